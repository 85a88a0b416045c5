//! Many clients, cut and resumed at random, and not one event lost in silence.
//!
//! Over 200 clients follow topics and patterns over three transports while 100,000 events are published. Each is cut
//! at random places, stays away for a while, and comes back by any door with its position; retention is small, so
//! that some find a gap. What publishers were answered is the only oracle; [`checker`] holds every client's record
//! against it.
//!
//! `PUSHSERVER_SEED=…` repeats a run's choices; the threads still meet as they will.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex};
use std::thread;
use std::time::Instant;

use serde_json::json;

use crate::support::foreign::Site;
use crate::support::http::Request;
use crate::support::server::Server;

mod checker;
mod client;
mod guests;
mod record;
mod seed;

use checker::{Oracle, Published};
use client::Client;
use record::{Record, Seen};
use seed::Seed;

const CLIENTS: usize = 200;
const EVENTS: usize = 100_000;
const PUBLISHERS: usize = 8;

/// What the last event of each topic says
const LAST: &str = "last";

/// 60 topics of one to four segments.
fn topics() -> Vec<String> {
    let rooms =
        (0..4).flat_map(|house| (0..10).map(move |room| format!("house{house}/room{room}")));
    let single = (0..10).map(|n| format!("single{n}"));
    let deep = (0..10).map(|n| format!("house{}/deep/{n}/down", n % 4));
    rooms.chain(single).chain(deep).collect()
}

/// What a client follows: mostly one topic, at times everything.
fn patterns(seed: &mut Seed, topics: &[String]) -> Vec<String> {
    let any = |seed: &mut Seed| topics[seed.below(topics.len())].clone();
    match seed.below(20) {
        0..10 => vec![any(seed)],
        10..13 => (0..3).map(|_| any(seed)).collect(),
        13..16 => vec![format!("house{}/*", seed.below(4))],
        16..18 => vec![format!("house{}/**", seed.below(4)), any(seed)],
        18 => vec!["*".to_owned(), "*/deep/**".to_owned()],
        _ => vec!["**".to_owned()],
    }
}

/// How far the publishers are, for clients that stay away for so many events.
#[derive(Default)]
struct Progress {
    published: Mutex<usize>,
    more: Condvar,
}

impl Progress {
    fn published(&self) -> usize {
        *self.published.lock().unwrap()
    }

    fn add(&self, events: usize) {
        *self.published.lock().unwrap() += events;
        self.more.notify_all();
    }

    /// Returns when so many more have been published, or all of them.
    fn wait_for(&self, events: usize) {
        let published = self.published.lock().unwrap();
        let until = (*published + events).min(EVENTS);
        drop(
            self.more
                .wait_while(published, |published| *published < until),
        );
    }
}

/// Publishes this publisher's share in batches of every size, and keeps what it was answered.
fn publish(
    server: &Server,
    topics: &[String],
    mut seed: Seed,
    progress: &Progress,
) -> Vec<Published> {
    let mut answered = Vec::new();
    while progress.published() < EVENTS {
        let size = 1 + seed.below(64);
        let batch: Vec<(usize, String)> = (0..size)
            .map(|_| {
                let padding = "x".repeat(seed.below(100));
                (
                    seed.below(topics.len()),
                    format!("{}{padding}", seed.next()),
                )
            })
            .collect();
        answered.extend(publish_batch(server, topics, batch));
        progress.add(size);
    }
    answered
}

#[track_caller]
fn publish_batch(
    server: &Server,
    topics: &[String],
    batch: Vec<(usize, String)>,
) -> Vec<Published> {
    let lines: Vec<String> = batch
        .iter()
        .map(|(topic, data)| json!({"topic": topics[*topic], "data": data}).to_string())
        .collect();
    let reply = server.ask(&Request::post("/publish", lines.join("\n").as_bytes()));
    assert_eq!(reply.status(), 200, "{reply:?}");
    let answer = reply.json();
    let results = answer["results"].as_array().unwrap();
    assert_eq!(results.len(), batch.len());
    batch
        .into_iter()
        .zip(results)
        .map(|((topic, data), result)| Published {
            id: result["id"].as_str().unwrap().to_owned(),
            topic,
            data,
        })
        .collect()
}

/// One run: what was published, and what each client got.
fn run(site: &Site, seed: &mut Seed) -> (Oracle, Vec<Record>) {
    let server = &site.server;
    let topics = topics();
    let progress = Progress::default();
    let clients: Vec<Client<'_>> = (0..CLIENTS)
        .map(|_| {
            Client::new(
                server,
                &topics,
                patterns(seed, &topics),
                seed.split(),
                &progress,
            )
        })
        .collect();
    // Everyone is there before the first event, so that all of them are for everyone.
    let connected = AtomicUsize::new(0);
    let guests = guests::arrive(site, &topics);
    thread::scope(|scope| {
        let _guard = server.dies_with_the_test();
        let guests: Vec<_> = guests
            .into_iter()
            .map(|guest| scope.spawn(|| guest.follow()))
            .collect();
        let clients: Vec<_> = clients
            .into_iter()
            .map(|client| {
                let connected = &connected;
                scope.spawn(move || client.follow(connected))
            })
            .collect();
        while connected.load(Ordering::Relaxed) < CLIENTS {
            assert!(
                !clients.iter().any(thread::ScopedJoinHandle::is_finished),
                "a client failed"
            );
            thread::yield_now();
        }
        let publishers: Vec<_> = (0..PUBLISHERS)
            .map(|_| {
                let seed = seed.split();
                scope.spawn(|| publish(server, &topics, seed, &progress))
            })
            .collect();
        let mut published: Vec<Published> = publishers
            .into_iter()
            .flat_map(|p| p.join().unwrap())
            .collect();
        let last = (0..topics.len())
            .map(|topic| (topic, LAST.to_owned()))
            .collect();
        published.extend(publish_batch(server, &topics, last));
        let clients = clients.into_iter().chain(guests);
        let records = clients.map(|c| c.join().unwrap()).collect();
        (Oracle::new(topics.clone(), published), records)
    })
}

/// The checker says no to this very record with an event taken out, repeated, or exchanged with the next.
#[track_caller]
fn catches_what_is_planted(oracle: &Oracle, record: &Record) {
    let is_event = |seen: &Seen| matches!(seen, Seen::Event { .. });
    let pair = record
        .seen
        .windows(2)
        .position(|pair| pair.iter().all(is_event));
    let Some(at) = pair else {
        return;
    };
    let faults: [(&str, fn(&mut Vec<Seen>, usize)); 3] = [
        ("a lost event", |seen, at| drop(seen.remove(at))),
        ("a duplicate", |seen, at| seen.insert(at, seen[at].clone())),
        ("a swap", |seen, at| seen.swap(at, at + 1)),
    ];
    for (name, plant) in faults {
        let mut planted = record.clone();
        plant(&mut planted.seen, at);
        assert!(
            oracle.check(&planted).is_err(),
            "{name} at {at} is not caught"
        );
    }
}

#[test]
fn every_event_is_delivered_or_inside_an_announced_gap() {
    let mut seed = Seed::from_environment();
    println!("PUSHSERVER_SEED={}", seed.shown());
    let site = Site::with(&[
        "log.max_events=150",
        "rates.subject_publishes_per_second=none",
        "rates.address_connects_per_second=none",
    ]);
    let start = Instant::now();
    let (oracle, records) = run(&site, &mut seed);
    let took = start.elapsed();
    let mut faults = Vec::new();
    for (number, record) in records.iter().enumerate() {
        if let Err(fault) = oracle.check(record) {
            faults.push(format!("client {number} of {:?}: {fault}", record.patterns));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    for record in &records {
        catches_what_is_planted(&oracle, record);
    }
    let count = |of: fn(&Record) -> usize| records.iter().map(of).sum::<usize>();
    let (events, gaps, cuts) = (
        count(Record::events),
        count(Record::gaps),
        count(Record::cuts),
    );
    println!(
        "{} published, {events} delivered to {} clients, {gaps} gaps, {cuts} cuts, {took:.1?}",
        oracle.len(),
        records.len()
    );
    // A run in which nothing went wrong would have shown nothing.
    assert!(oracle.len() >= EVENTS);
    assert!(events > EVENTS, "{events} delivered");
    assert!(gaps > CLIENTS, "{gaps} gaps");
    assert!(cuts > CLIENTS, "{cuts} cuts");
}
