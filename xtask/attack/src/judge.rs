//! What is asked of the server under an attack, and whether it did it.

use std::collections::BTreeMap;
use std::time::Duration;

/// What the offender's connections and requests were told, and how often.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Told(pub(crate) BTreeMap<String, u64>);

impl Told {
    /// Counts one answer.
    pub(crate) fn note(&mut self, answer: impl Into<String>) {
        *self.0.entry(answer.into()).or_default() += 1;
    }

    /// Adds another count.
    pub(crate) fn add(&mut self, other: Told) {
        for (answer, count) in other.0 {
            *self.0.entry(answer).or_default() += count;
        }
    }
}

/// The most that an attack may make the server's memory grow by.
#[derive(Clone, Copy)]
pub(crate) struct Bound {
    pub(crate) bytes: u64,
    /// The arithmetic, without the slack that every bound has
    pub(crate) because: &'static str,
}

/// What every bound allows besides its arithmetic: the allocator keeps some of what was freed, and code and tables are
/// touched for the first time.
pub(crate) const SLACK: u64 = 4 << 20;

/// Latency under an attack may be this many times that of quiet times.
pub(crate) const MAX_RATIO: f64 = 2.0;

/// Below this, a ratio says nothing about the server.
///
/// It is one time slice of the Linux scheduler (3 ms on two cores): whoever else runs on the machine takes as much at
/// will, from the server or from the clients. No user of a push server notices it either.
pub(crate) const FLOOR: Duration = Duration::from_millis(3);

/// What was seen in one attack.
pub(crate) struct Seen {
    pub(crate) told: Told,
    pub(crate) growth: u64,
    /// 99th percentiles of the windows, in the order they were measured
    pub(crate) quiet: Vec<Duration>,
    pub(crate) attacked: Vec<Duration>,
    /// Deliveries that did not come
    pub(crate) missing: usize,
    /// Honest clients that were closed
    pub(crate) lost: usize,
    pub(crate) is_alive: bool,
}

/// The sentences against the server; none if it withstood.
pub(crate) fn faults(seen: &Seen, allowed: &[&str], bound: Bound) -> Vec<String> {
    let mut faults = Vec::new();
    if !seen.is_alive {
        faults.push("the server died".to_owned());
    }
    if seen.told.0.is_empty() {
        faults.push("the offender was told nothing".to_owned());
    }
    for answer in seen
        .told
        .0
        .keys()
        .filter(|a| !allowed.contains(&a.as_str()))
    {
        faults.push(format!("the offender met {answer:?}"));
    }
    let most = bound.bytes + SLACK;
    if seen.growth > most {
        faults.push(format!(
            "memory grew by {}, more than {}",
            mib(seen.growth),
            mib(most)
        ));
    }
    if seen.lost > 0 {
        faults.push(format!("{} honest clients were closed", seen.lost));
    }
    if seen.missing > 0 {
        faults.push(format!(
            "{} deliveries to honest clients did not come",
            seen.missing
        ));
    }
    if !is_in_time(seen) {
        let (quiet, attacked) = (median(&seen.quiet), median(&seen.attacked));
        faults.push(format!(
            "honest clients waited {attacked:.1?} instead of {quiet:.1?}"
        ));
    }
    faults
}

/// Whether honest clients were served as in quiet times, or so fast that it makes no difference.
pub(crate) fn is_in_time(seen: &Seen) -> bool {
    median(&seen.attacked) < FLOOR || ratio(seen) <= MAX_RATIO
}

/// Latency under attack against that of quiet times: medians of the windows, so that one window in which somebody else
/// used the machine decides nothing.
pub(crate) fn ratio(seen: &Seen) -> f64 {
    median(&seen.attacked).as_secs_f64() / median(&seen.quiet).as_secs_f64().max(1e-6)
}

/// The middle one, or the mean of the two in the middle.
pub(crate) fn median(of: &[Duration]) -> Duration {
    let mut of = of.to_vec();
    of.sort_unstable();
    match of.len() {
        0 => Duration::ZERO,
        n if n % 2 == 1 => of[n / 2],
        n => (of[n / 2 - 1] + of[n / 2]) / 2,
    }
}

/// For people.
pub(crate) fn mib(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUND: Bound = Bound {
        bytes: 8 << 20,
        because: "500 x 16 KiB",
    };

    fn ms(times: &[u64]) -> Vec<Duration> {
        times.iter().map(|&t| Duration::from_millis(t)).collect()
    }

    fn withstood() -> Seen {
        let mut told = Told::default();
        told.note("431");
        Seen {
            told,
            growth: 1 << 20,
            quiet: ms(&[4, 5, 6]),
            attacked: ms(&[9, 10, 90]),
            missing: 0,
            lost: 0,
            is_alive: true,
        }
    }

    #[track_caller]
    fn check(seen: &Seen, expect: &[&str]) {
        assert_eq!(faults(seen, &["431", "closed"], BOUND), expect);
    }

    #[test]
    fn a_server_that_withstands_is_not_blamed() {
        check(&withstood(), &[]);
    }

    #[test]
    fn an_offender_that_is_let_in_is_found() {
        let mut seen = withstood();
        seen.told.note("alg none: 200");
        check(&seen, &["the offender met \"alg none: 200\""]);
        seen.told.0.clear();
        check(&seen, &["the offender was told nothing"]);
    }

    #[test]
    fn memory_beyond_the_bound_is_found() {
        let seen = Seen {
            growth: 12 << 20,
            ..withstood()
        };
        check(&seen, &[]);
        let seen = Seen {
            growth: (12 << 20) + (1 << 19),
            ..withstood()
        };
        check(&seen, &["memory grew by 12.5 MiB, more than 12.0 MiB"]);
    }

    #[test]
    fn honest_clients_that_wait_or_are_closed_are_found() {
        let seen = Seen {
            attacked: ms(&[9, 11, 12]),
            ..withstood()
        };
        check(&seen, &["honest clients waited 11.0ms instead of 5.0ms"]);
        let seen = Seen {
            lost: 1,
            missing: 7,
            ..withstood()
        };
        check(
            &seen,
            &[
                "1 honest clients were closed",
                "7 deliveries to honest clients did not come",
            ],
        );
        let seen = Seen {
            is_alive: false,
            ..withstood()
        };
        check(&seen, &["the server died"]);
    }

    #[test]
    fn below_the_floor_a_ratio_says_nothing() {
        let seen = Seen {
            quiet: vec![Duration::from_micros(300)],
            attacked: ms(&[2]),
            ..withstood()
        };
        assert!(ratio(&seen) > 6.0);
        check(&seen, &[]);
        let seen = Seen {
            quiet: vec![Duration::from_micros(300)],
            attacked: ms(&[3]),
            ..withstood()
        };
        check(&seen, &["honest clients waited 3.0ms instead of 300.0µs"]);
    }
}
