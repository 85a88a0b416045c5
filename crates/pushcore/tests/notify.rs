//! Owners of many subscriptions that are told by number which of them have something to read.

// Everything here is a test, also what is not marked as one.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use pushcore::*;

const NOW: Timestamp = Timestamp(1);

/// Collects the numbers it is told
#[derive(Default)]
struct Owner {
    told: Mutex<Vec<u32>>,
    changed: Condvar,
}

impl Notify for Owner {
    fn notify(&self, keys: &[u32]) {
        assert!(!keys.is_empty(), "told of nothing");
        self.told.lock().unwrap().extend(keys);
        self.changed.notify_one();
    }
}

impl Owner {
    fn take(&self) -> Vec<u32> {
        let mut told = std::mem::take(&mut *self.told.lock().unwrap());
        told.sort_unstable();
        told
    }

    /// Waits until there is something; a call that was lost is told instead of being waited for without end.
    fn wait(&self) -> BTreeSet<u32> {
        const PATIENCE: Duration = Duration::from_secs(20);
        let told = self.told.lock().unwrap();
        let is_empty = |told: &mut Vec<u32>| told.is_empty();
        let (mut told, waited) = self
            .changed
            .wait_timeout_while(told, PATIENCE, is_empty)
            .unwrap();
        assert!(!waited.timed_out(), "nothing was told for {PATIENCE:?}");
        told.drain(..).collect()
    }
}

fn follow(hub: &Hub, patterns: &[&str], owner: &Arc<Owner>, key: u32) -> Subscription {
    let patterns = patterns.iter().map(|text| Pattern::parse(text).unwrap());
    let options = SubscribeOptions {
        patterns: patterns.collect(),
        ..SubscribeOptions::default()
    };
    let mut reader = hub.subscribe(options, NOW).unwrap();
    let owner: Arc<dyn Notify> = owner.clone();
    reader.notify(&owner, key);
    reader
}

fn publish(hub: &Hub, topic: &str) {
    let event = NewEvent::new(Topic::parse(topic).unwrap(), "x");
    let published = hub.publish_one(event, None, NOW).try_ready();
    assert!(matches!(published, Ok(Ok(_))));
}

/// Reads all there is; says how many events that was.
fn drain(reader: &mut Subscription) -> usize {
    let cx = &mut Context::from_waker(Waker::noop());
    let mut events = 0;
    while let Poll::Ready(delivery) = reader.poll(cx, NOW, Budget::default()) {
        match delivery {
            Delivery::Batch(batch) => events += batch.events().len(),
            other => panic!("{other:?}"),
        }
    }
    events
}

#[test]
fn each_owner_is_told_of_its_own_that_wait_and_of_each_once_until_it_is_polled() {
    let hub = Hub::new(HubConfig::default(), 1, NOW);
    let [one, other] = [(); 2].map(|()| Arc::new(Owner::default()));
    let mut readers = [
        follow(&hub, &["a"], &one, 10),
        follow(&hub, &["a", "b"], &one, 20),
        follow(&hub, &["*"], &other, 10),
        follow(&hub, &["c"], &one, 30),
    ];
    publish(&hub, "a");
    assert!(one.take().is_empty(), "nobody has been polled");
    for reader in &mut readers {
        drain(reader);
    }
    publish(&hub, "a");
    assert_eq!((one.take(), other.take()), (vec![10, 20], vec![10]));
    publish(&hub, "a");
    publish(&hub, "b");
    assert_eq!((one.take(), other.take()), (vec![], vec![]));
    assert_eq!(readers.each_mut().map(drain), [2, 3, 3, 0]);
    publish(&hub, "b");
    publish(&hub, "c");
    assert_eq!((one.take(), other.take()), (vec![20, 30], vec![10]));
}

#[test]
fn a_call_stays_armed_while_patterns_come_and_go() {
    let hub = Hub::new(HubConfig::default(), 1, NOW);
    let owner = Arc::new(Owner::default());
    let mut reader = follow(&hub, &["a"], &owner, 7);
    assert_eq!(drain(&mut reader), 0);
    reader.add(Pattern::parse("b").unwrap(), None, NOW).unwrap();
    assert_eq!(drain(&mut reader), 0);
    assert!(reader.remove(&Pattern::parse("a").unwrap()));
    publish(&hub, "b");
    assert_eq!(owner.take(), [7]);
}

#[test]
fn an_owner_is_let_go_with_its_last_subscription() {
    let hub = Hub::new(HubConfig::default(), 1, NOW);
    let owner = Arc::new(Owner::default());
    let mut readers: Vec<_> = (0..3)
        .map(|key| follow(&hub, &["a"], &owner, key))
        .collect();
    for reader in &mut readers {
        drain(reader);
    }
    readers.truncate(1);
    publish(&hub, "a");
    assert_eq!(owner.take(), [0]);
    drop(readers);
    assert_eq!(Arc::strong_count(&owner), 1);
}

#[test]
fn an_owner_that_sleeps_until_it_is_told_reads_everything() {
    const EVENTS: usize = 5_000;
    const TOPICS: [&str; 2] = ["a", "b"];
    let mut config = HubConfig::default();
    config.retention.push(RetentionRule {
        pattern: Pattern::parse("**").unwrap(),
        retention: Retention {
            max_events: Some(2 * EVENTS as u64),
            ..Retention::default()
        },
    });
    let hub = Hub::new(config, 1, NOW);
    let owner = Arc::new(Owner::default());
    let of: [&[&str]; 4] = [&["a"], &["b"], &["a", "b"], &["*"]];
    let mut readers: Vec<_> = (0..)
        .zip(of)
        .map(|(key, of)| follow(&hub, of, &owner, key))
        .collect();
    let mut left = [EVENTS, EVENTS, 2 * EVENTS, 2 * EVENTS];
    thread::scope(|scope| {
        for topic in TOPICS {
            let hub = &hub;
            scope.spawn(move || (0..EVENTS).for_each(|_| publish(hub, topic)));
        }
        let mut visit: BTreeSet<u32> = (0..4).collect();
        loop {
            for key in visit {
                left[key as usize] -= drain(&mut readers[key as usize]);
            }
            if left == [0; 4] {
                break;
            }
            visit = owner.wait();
        }
    });
}
