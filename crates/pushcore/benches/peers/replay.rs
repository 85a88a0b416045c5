//! Reading what is retained: replay, and resuming.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use pushcore::*;

use crate::compare::{Side, compare, show};
use crate::work::{NOW, PAYLOAD, count, delivering, publish, subscribe, topic};

pub(crate) fn long(max_events: u64) -> HubConfig {
    let mut config = HubConfig::default();
    config.max_bytes = 1 << 30;
    config.retention.push(RetentionRule {
        pattern: Pattern::parse("**").expect("it is one"),
        retention: Retention {
            max_events: Some(max_events),
            max_bytes: None,
            max_age: None,
        },
    });
    config
}

pub(crate) fn filled(events: u64) -> (Hub, Topic) {
    let hub = Hub::new(long(events), 1, NOW);
    let name = topic(0);
    (0..events).for_each(|_| publish(&hub, &name));
    (hub, name)
}

/// Replay of a long log to one, and of a short one to many, beside cloning as many `Arc`s.
pub(crate) fn replay(rounds: usize) {
    println!("| replay | x bare Arc clones | ns an event |");
    println!("| --- | --- | --- |");
    for (events, readers) in [(1_000_000, 1), (1_000, 1_000)] {
        let (hub, name) = filled(events);
        let bare: Vec<_> = (0..events).map(|_| Arc::new(PAYLOAD.to_vec())).collect();
        let deliveries = events * readers;
        let sides: &mut [Side<'_>] = &mut [
            Box::new(|| {
                timed(deliveries, || {
                    for _ in 0..readers {
                        let mut reader = subscribe(&hub, &name, Start::Earliest);
                        while let Some(Delivery::Batch(batch)) =
                            reader.try_next(NOW, Budget::default())
                        {
                            count(batch.events().len());
                        }
                    }
                })
            }),
            Box::new(|| {
                timed(deliveries, || {
                    for _ in 0..readers {
                        for message in &bare {
                            black_box(message.clone());
                            count(1);
                        }
                    }
                })
            }),
        ];
        let (time, ratios) = compare(rounds, sides);
        println!(
            "| {events} events to {readers} | {} | {:.1} |",
            show(ratios[1]),
            time * 1e9 / deliveries as f64
        );
    }
    println!();
}

/// Resuming in a long log beside resuming in a short one.
pub(crate) fn resume(rounds: usize) {
    let (long, name) = filled(1_000_000);
    let (short, _) = filled(1_000);
    let resume = |hub: &Hub, back: u64| {
        let head = hub.head();
        let start = Start::After(Position {
            offset: head.offset - back,
            tag: Tag::NONE,
            ..head
        });
        let mut reader = subscribe(hub, &name, start);
        let budget = Budget {
            events: 1,
            ..Budget::default()
        };
        assert!(reader.try_next(NOW, budget).is_some());
    };
    let many = |hub: &Hub, most: u64| {
        let start = Instant::now();
        (0..5_000).for_each(|n| resume(hub, 1 + n * 7919 % most));
        start.elapsed().as_secs_f64()
    };
    let (time, ratios) = compare(
        rounds,
        &mut [
            Box::new(|| many(&long, 999_999)),
            Box::new(|| many(&short, 999)),
        ],
    );
    println!(
        "resume in 1,000,000 events: {} x in 1,000, {:.0} ns",
        show(ratios[1]),
        time * 1e9 / 5_000.0
    );
}

fn timed(expect: u64, work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    delivering(expect, work);
    start.elapsed().as_secs_f64()
}
