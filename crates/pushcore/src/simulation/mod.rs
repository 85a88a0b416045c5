//! Seeded worlds that hold the crate to its promises, and bugs planted to see whether they would be found.
//!
//! `cargo test -p pushcore` runs 10,000 small worlds and 50 large ones; `cargo xtask simulate --seeds N [--from SEED]`
//! runs others, through the variables PUSHCORE_SEEDS and PUSHCORE_FROM. A failure names its seed.

mod oracle;
mod people;
mod reader;
mod scenery;
mod shared;
mod store;
mod world;

use std::sync::atomic::{AtomicU64, Ordering};

use crate::planted::{self, Bug};
use world::{Scale, Trace, run};

const SMALL: Scale = Scale {
    steps: 300,
    readers: 5,
    topics: 8,
    batch: 4,
};
const LARGE: Scale = Scale {
    steps: 40_000,
    readers: 2_000,
    topics: 500,
    batch: 12,
};

/// Runs the worlds of `seeds` on both cores; panics with the first seed that fails.
fn run_all(from: u64, seeds: u64, scale: Scale) -> Trace {
    let next = AtomicU64::new(from);
    let work = || {
        let mut total = Trace::default();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= from + seeds {
                return total;
            }
            match run(seed, scale, false) {
                Ok(trace) => {
                    total.published += trace.published;
                    total.delivered += trace.delivered;
                    total.gaps += trace.gaps;
                }
                Err(error) => panic!("seed {seed} of {scale:?}: {error}"),
            }
        }
    };
    std::thread::scope(|scope| {
        let other = scope.spawn(work);
        let mut total = work();
        let other = other
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        total.published += other.published;
        total.delivered += other.delivered;
        total.gaps += other.gaps;
        total
    })
}

fn variable(name: &str) -> Option<u64> {
    std::env::var(name)
        .ok()
        .map(|value| value.parse().expect("a number"))
}

#[test]
fn small_worlds_keep_every_promise() {
    let seeds = variable("PUSHCORE_SEEDS").unwrap_or(10_000);
    let from = variable("PUSHCORE_FROM").unwrap_or(0);
    let total = run_all(from, seeds, SMALL);
    println!("{seeds} small worlds from seed {from}: {total:?}");
    assert!(
        total.delivered > seeds && total.gaps > 0,
        "a world in which nothing happens proves nothing"
    );
}

#[test]
fn large_worlds_keep_every_promise() {
    let seeds = variable("PUSHCORE_LARGE_SEEDS").unwrap_or(50);
    let from = variable("PUSHCORE_FROM").unwrap_or(0);
    let total = run_all(from, seeds, LARGE);
    println!("{seeds} large worlds from seed {from}: {total:?}");
}

#[test]
fn one_seed_as_asked_for() {
    if let Some(seed) = variable("PUSHCORE_SEED") {
        let scale = match variable("PUSHCORE_LARGE") {
            Some(_) => LARGE,
            None => SMALL,
        };
        println!("{:?}", run(seed, scale, true).unwrap());
    }
}

#[test]
fn a_seed_has_one_trace() {
    for seed in 0..50 {
        let first = run(seed, SMALL, false).unwrap();
        assert_eq!(run(seed, SMALL, false).unwrap(), first, "seed {seed}");
    }
}

#[test]
fn every_planted_bug_is_found() {
    let bugs = [
        Bug::ReplayEdge,
        Bug::LostWakeup,
        Bug::GapOneShort,
        Bug::GrantOnlyAtSubscribe,
        Bug::GrantNeverExpires,
        Bug::SilentEviction,
        Bug::DuplicateAfterResume,
        Bug::SharedTooFar,
        Bug::ForgottenInSilence,
        Bug::ShortIndex,
        Bug::RetryPublishesTwice,
        Bug::TagIgnored,
        Bug::PageSkipsOne,
        Bug::StoreLosesInSilence,
        Bug::StalePage,
        Bug::RestartInSilence,
        Bug::RewoundUnnoticed,
        Bug::PresenceUnheard,
        Bug::LeaseEndsInSilence,
    ];
    for bug in bugs {
        planted::plant(Some(bug));
        let found = (0..1000).find_map(|seed| {
            let broken = run(seed, SMALL, false).err()?;
            planted::plant(None);
            let sound = run(seed, SMALL, false).is_ok();
            planted::plant(Some(bug));
            sound.then_some((seed, broken))
        });
        planted::plant(None);
        let (seed, error) = found.unwrap_or_else(|| panic!("{bug:?} was not found"));
        println!("{bug:?}: seed {seed}: {error}");
    }
}
