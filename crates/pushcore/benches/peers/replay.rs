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

/// Resuming in a long log beside resuming in a short one: finding the place, and reading the first event there too.
///
/// An event of the long log has to come from memory, whoever asks for it, where the short log lies in the cache. So there are
/// short logs, too, among so many that theirs lie as far from the processor.
pub(crate) fn resume(rounds: usize) {
    let (million, name) = filled(1_000_000);
    let (thousand, _) = filled(1_000);
    let names: Vec<Topic> = (0..1_000).map(topic).collect();
    let many = Hub::new(long(1_000), 1, NOW);
    for _ in 0..1_000 {
        names.iter().for_each(|name| publish(&many, name));
    }
    println!(
        "| resume in 1,000,000 events | x in 1,000 | x in 1,000 of one topic among 1,000 | ns |"
    );
    println!("| --- | --- | --- | --- |");
    for then in [Then::Go, Then::ReadOne] {
        let in_one =
            |hub: &Hub, most: u64| resumes(|n| resume_once(hub, &name, 1 + n * 7919 % most, then));
        let in_any = || {
            resumes(|n| {
                let topic = n * 7919 % 1_000;
                let events_back = 1 + n * 104_729 % 998;
                let back = events_back * 1_000 + 999 - topic;
                resume_once(&many, &names[topic as usize], back, then);
            })
        };
        let (time, ratios) = compare(
            rounds,
            &mut [
                Box::new(|| in_one(&million, 999_999)),
                Box::new(|| in_one(&thousand, 999)),
                Box::new(in_any),
            ],
        );
        println!(
            "| {} | {} | {} | {:.0} |",
            match then {
                Then::Go => "finding the place",
                Then::ReadOne => "and reading the first event",
            },
            show(ratios[1]),
            show(ratios[2]),
            time * 1e9 / RESUMES as f64
        );
    }
}

const RESUMES: u64 = 5_000;

/// What who has come back does
#[derive(Clone, Copy)]
enum Then {
    Go,
    ReadOne,
}

fn resumes(resume: impl FnMut(u64)) -> f64 {
    let start = Instant::now();
    (0..RESUMES).for_each(resume);
    start.elapsed().as_secs_f64()
}

/// Comes with a position so many offsets behind the head, and goes.
fn resume_once(hub: &Hub, name: &Topic, back: u64, then: Then) {
    let head = hub.head();
    let start = Start::After(Position {
        offset: head.offset - back,
        tag: Tag::NONE,
        ..head
    });
    let mut reader = black_box(subscribe(hub, name, start));
    let budget = Budget {
        events: 1,
        ..Budget::default()
    };
    if let Then::ReadOne = then {
        assert!(reader.try_next(NOW, budget).is_some());
    }
}

fn timed(expect: u64, work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    delivering(expect, work);
    start.elapsed().as_secs_f64()
}
