//! The bounds that are not settings, for the reference of all settings.

use std::fmt::Write;

use pushcore::HubConfig;

use crate::{auth, rates};

/// A bound that is not a setting
struct Bound {
    of: &'static str,
    value: usize,
    /// What it takes when it is reached, and what happens then
    cost: &'static str,
}

/// The section of the reference that tells them, in Markdown
pub(super) fn section() -> String {
    let mut out = String::from(HEAD);
    for Bound { of, value, cost } in bounds() {
        writeln!(out, "| {of} | {} | {cost} |", grouped(value))
            .expect("writing to a String cannot fail");
    }
    out
}

const HEAD: &str = "
## Fixed bounds

What is not a setting has a bound too. These are far above what a server meets in service; they are there so that nothing grows without end.

| at most | | what it takes, and what happens then |
| --- | --- | --- |
";

fn bounds() -> Vec<Bound> {
    let hub = HubConfig::default();
    let of = |of, value, cost| Bound { of, value, cost };
    vec![
        of(
            "Subscriptions, over all connections",
            hub.max_subscriptions,
            "512 bytes each, 512 MB; each stream has one, so `connections.max` is reached first. A new one is refused: 503",
        ),
        of(
            "Different patterns with a `*` that are read at a time",
            hub.max_wildcards,
            "Each has an index of what it matches, which counts in `log.ceiling_bytes`. A reader of another one is refused: 503",
        ),
        of(
            "Ends of topics remembered",
            hub.max_ended,
            "They are part of the log and count in `log.ceiling_bytes`. The oldest is forgotten before `log.end_retention` is over",
        ),
        of(
            "Bytes of idempotency keys remembered",
            hub.max_idempotency_bytes,
            "32 MiB: a key takes its own bytes, its subject's, its topic's and 128. The oldest are forgotten first, as with \
             `log.max_idempotency_keys`",
        ),
        of(
            "Revocations remembered",
            hub.max_revocations,
            "About 200 bytes and the name twice, so some 3 MB. The one that would run out first is forgotten",
        ),
        of(
            "Members present, over all topics",
            hub.max_members,
            "About 200 bytes, the name and the data: 30 MB with short ones. Another `join` is refused with `limit`",
        ),
        of(
            "Bytes of a member's data",
            hub.max_metadata_bytes,
            "With these for every member 440 MB. A `join` with more is refused with `limit`",
        ),
        of(
            "Changes of presence kept for readers that have not heard of them",
            hub.max_presence_changes,
            "About 100 bytes each, the data shared with the member's. A reader that falls behind them is told to ask who is there",
        ),
        of(
            "Addresses, or /64 networks, whose failed attempts are counted",
            auth::MAX_FAILING_ADDRESSES,
            "40 bytes each, 0.3 MB. Those that are forgiven are forgotten first, then any",
        ),
        of(
            "Tokens that were good a moment ago, and are not verified again",
            auth::MAX_RECENT_TOKENS,
            "About 300 bytes each, 2.5 MB. Any is forgotten, and verified when it comes again",
        ),
        of(
            "Subjects, addresses or keys whose rate is measured, for each setting of `[rates]`",
            rates::MAX_REMEMBERED,
            "About 100 bytes each, 10 MB. Those that have done nothing for two seconds are forgotten first; if there are more, \
             everybody starts anew",
        ),
    ]
}

/// `10,000`
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let first = digits.len() % 3;
    let (head, rest) = digits.split_at(first);
    let mut groups: Vec<&str> = if head.is_empty() {
        Vec::new()
    } else {
        vec![head]
    };
    groups.extend(
        (0..rest.len())
            .step_by(3)
            .filter_map(|at| rest.get(at..at + 3)),
    );
    groups.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_in_groups() {
        for (number, written) in [
            (7, "7"),
            (100, "100"),
            (4096, "4,096"),
            (100_000, "100,000"),
            (1_000_000, "1,000,000"),
        ] {
            assert_eq!(grouped(number), written);
        }
    }
}
