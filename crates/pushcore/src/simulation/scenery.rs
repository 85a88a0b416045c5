//! What a world is made of: topics, patterns, readers and bounds, drawn from its seed.

use std::time::Duration;

use super::world::Scale;
use crate::config::{HubConfig, LagAction, LagPolicy, MaxLag, Retention, RetentionRule};
use crate::pattern::Pattern;
use crate::random::Random;
use crate::topic::Topic;

const NAMES: [&str; 8] = ["a", "b", "a/x", "a/y", "b/x", "c/d/e", "c/d/f", "a/y/z"];
const PATTERNS: [&str; 16] = [
    "**", "a", "b", "a/x", "a/y", "b/x", "c/d/e", "*", "a/*", "*/x", "c/**", "a/**", "*/*",
    "*/d/*", "a/y/z", "never",
];

/// The patterns of a reader.
pub(super) fn patterns(random: &mut Random, scale: Scale) -> Vec<Pattern> {
    let count = [1, 1, 2, 3][(random.next() % 4) as usize];
    let is_wide = scale.has_few_topics() || random.next().is_multiple_of(256);
    let mut pattern = || match is_wide {
        true => any_pattern(random),
        false => Pattern::exact(far_topic(random, scale)),
    };
    let mut patterns: Vec<Pattern> = (0..count).map(|_| pattern()).collect();
    patterns.sort();
    patterns.dedup();
    patterns
}

/// One that a reader may add.
pub(super) fn one_more_pattern(random: &mut Random, scale: Scale) -> Pattern {
    match scale.has_few_topics() {
        true => any_pattern(random),
        false => Pattern::exact(far_topic(random, scale)),
    }
}

/// What is done about a reader that lags.
pub(super) fn lag(random: &mut Random) -> LagPolicy {
    let action = match random.next() % 10 {
        0 => LagAction::Newest,
        1 => LagAction::Conflate,
        2 => LagAction::Disconnect,
        _ => LagAction::Replay,
    };
    let max_lag = MaxLag {
        events: Some(random.next() % 12),
        bytes: random.next().is_multiple_of(3).then_some(200),
        age: random
            .next()
            .is_multiple_of(3)
            .then_some(Duration::from_millis(30)),
    };
    LagPolicy { action, max_lag }
}

/// Where something is published to.
pub(super) fn topic(random: &mut Random, scale: Scale) -> Topic {
    match scale.has_few_topics() {
        true => {
            let name = NAMES[(random.next() % scale.topics) as usize];
            Topic::parse(name).expect("a name")
        }
        false => far_topic(random, scale),
    }
}

impl Scale {
    fn has_few_topics(self) -> bool {
        self.topics <= NAMES.len() as u64
    }
}

fn far_topic(random: &mut Random, scale: Scale) -> Topic {
    let first = ["a", "b", "c"][(random.next() % 3) as usize];
    Topic::parse(&format!("{first}/{}", random.next() % scale.topics)).expect("it is one")
}

fn any_pattern(random: &mut Random) -> Pattern {
    // Some are read by many, so that readers meet at the same place.
    let among = [2, PATTERNS.len() as u64][(random.next() % 2) as usize];
    let text = PATTERNS[(random.next() % among) as usize];
    Pattern::parse(text).expect("it is one")
}

/// The bounds of its hubs.
pub(super) fn config(random: &mut Random, scale: Scale) -> HubConfig {
    let mut config = HubConfig::default();
    for pattern in ["**", "a/*", "b", "*/x"] {
        if random.next().is_multiple_of(2) {
            config.retention.push(RetentionRule {
                pattern: Pattern::parse(pattern).expect("it is one"),
                retention: Retention {
                    max_events: random
                        .next()
                        .is_multiple_of(2)
                        .then_some(1 + random.next() % 20),
                    max_bytes: random
                        .next()
                        .is_multiple_of(4)
                        .then_some(20 + random.next() % 400),
                    max_age: random
                        .next()
                        .is_multiple_of(2)
                        .then_some(Duration::from_millis(1 + random.next() % 100)),
                },
            });
        }
    }
    config.max_bytes = match scale.steps {
        ..=1000 => 20_000 + (random.next() % 60_000) as usize,
        _ => 4_000_000 + (random.next() % 40_000_000) as usize,
    };
    config.end_ttl = Duration::from_millis(1 + random.next() % 100);
    config.idempotency_ttl = Duration::from_millis(200);
    config.expiry_notice = Duration::from_millis(10);
    config.read_back_retry = Duration::from_millis(1 + random.next() % 20);
    config.max_read_back_bytes = 20 + (random.next() % 400) as usize;
    config.max_presence_changes = 3 + (random.next() % 20) as usize;
    config
}
