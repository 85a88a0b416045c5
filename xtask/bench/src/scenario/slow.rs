//! Slow readers: twenty that never read beside a hundred that do.
//!
//! Two processes of each server run side by side, one with and one without them, so that what the fast subscribers
//! keep is a ratio within a round. At the end the slow ones read what is left for them, and every event that they
//! do not get must have been announced.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::contest::{Contender, Sample, as_f64};
use crate::fleet::{Fleet, Plan};
use crate::profile::{Profile, Transport};
use crate::results::{Row, rounded};
use crate::scenario::Effort;
use crate::server::Places;

const FAST: usize = 100;
const SLOW: usize = 20;
const SIZE: usize = 4096;
const WINDOW: usize = 16;

/// Sent to each subscriber before the end, beyond what any kernel buffers.
const AT_LEAST_BYTES: u64 = 50 << 20;

/// How long a server may take over it; the table tells how far it came.
const PATIENCE: Duration = Duration::from_secs(15);

/// Nothing for so long means that nothing more will come
const QUIET: Duration = Duration::from_secs(4);

struct Pair {
    without: Contender,
    with: Contender,
    slow: Fleet,
    /// Memory before the first event, without and with the slow readers
    before_kib: (u64, u64),
    row: Row,
}

/// Measures every server with and without slow readers in interleaved rounds.
pub(crate) fn run(
    profiles: &[Profile],
    places: &Places,
    effort: &Effort,
    transport: Transport,
) -> Result<Vec<Row>> {
    let mut pairs = Vec::new();
    for profile in profiles {
        match start(profile, places, transport) {
            Ok(pair) => pairs.push(pair),
            Err(error) => eprintln!("  {} is left out: {error:#}", profile.name),
        }
    }
    let count = pairs.len();
    for round in 0..effort.rounds {
        for turn in 0..count {
            let pair = &mut pairs[(round + turn) % count];
            if pair.row.note.is_some() {
                continue;
            }
            match round_of(pair, round, effort.slice) {
                Ok(sample) => pair.row.push(&sample),
                Err(error) => pair.row.note = Some(format!("fell out in round {round}: {error:#}")),
            }
        }
    }
    pairs.into_iter().map(finish).collect()
}

fn start(profile: &Profile, places: &Places, transport: Transport) -> Result<Pair> {
    let plan = Plan::fan_out(transport, FAST, SIZE, WINDOW);
    let without = Contender::start(profile, places, &plan)?;
    let with = Contender::start(profile, places, &plan)?;
    let slow = Fleet::connect(
        profile,
        with.server.address,
        &Plan::fan_out(transport, SLOW, SIZE, 0),
        true,
    )?;
    Ok(Pair {
        before_kib: (without.server.rss_kib(), with.server.rss_kib()),
        row: with.row.clone(),
        without,
        with,
        slow,
    })
}

/// A slice of each, the one that goes first alternating.
fn round_of(pair: &mut Pair, round: usize, time: Duration) -> Result<Sample> {
    let (without, with);
    if round.is_multiple_of(2) {
        without = pair.without.slice(WINDOW, time)?;
        with = pair.with.slice(WINDOW, time)?;
    } else {
        with = pair.with.slice(WINDOW, time)?;
        without = pair.without.slice(WINDOW, time)?;
    }
    let value = |sample: &Sample, name| {
        sample
            .iter()
            .find(|(n, _)| *n == name)
            .map_or(f64::NAN, |s| s.1)
    };
    let (before, after) = (value(&without, "throughput"), value(&with, "throughput"));
    Ok(vec![
        ("throughput", after),
        ("kept", rounded(after / before)),
    ])
}

/// Sends until every subscriber was sent enough, weighs the server, and lets the slow ones read.
fn finish(mut pair: Pair) -> Result<Row> {
    let mut row = pair.row;
    if row.note.is_some() {
        return Ok(row);
    }
    let deadline = Instant::now() + PATIENCE;
    while pair.with.fleet.published() * (SIZE as u64) < AT_LEAST_BYTES && Instant::now() < deadline
    {
        pair.with.fleet.burst(WINDOW)?;
    }
    // What the log and its encodings take is the same in both, once both have filled it.
    let grown = |contender: &Contender, before| contender.server.rss_kib().saturating_sub(before);
    let (without, with) = (
        grown(&pair.without, pair.before_kib.0),
        grown(&pair.with, pair.before_kib.1),
    );
    let grown = with.saturating_sub(without);
    row.push(&[
        ("slow-rss", rounded(as_f64(grown) / as_f64(SLOW as u64))),
        (
            "sent-mib",
            rounded(as_f64(pair.with.fleet.published() * SIZE as u64) / 1_048_576.0),
        ),
    ]);
    let published = pair.with.fleet.published();
    let ended = pair.slow.drain(QUIET)?;
    let (mut lost, mut announced, mut silent, mut cut) = (0, 0, 0, 0);
    let mut codes = BTreeMap::<u16, u32>::new();
    for index in 0..SLOW {
        let Some(judge) = pair.slow.judge(index) else {
            continue;
        };
        lost += judge.lost;
        announced += judge.announced;
        match judge.closed {
            Some(code) => *codes.entry(code).or_default() += 1,
            None if ended.contains(&index) => cut += 1,
            // Still connected: what is missing at its end is missing without a word.
            None => silent += judge.missing_until(published),
        }
    }
    silent += lost - announced;
    row.push(&[
        ("lost", as_f64(lost)),
        ("announced", as_f64(announced)),
        ("silent", as_f64(silent)),
        ("cut-without-a-word", as_f64(cut)),
    ]);
    if !codes.is_empty() {
        row.note = Some(format!(
            "slow readers were closed with {codes:?} (code: how many)"
        ));
    }
    Ok(row)
}
