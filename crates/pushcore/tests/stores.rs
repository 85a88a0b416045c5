//! The stores of this crate, and one that behaves as badly as a store may, through the conformance suite.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use async_trait::async_trait;
use pushcore::store::conformance::{be_slow, block_on, run};
use pushcore::store::{Health, MemoryStore, Sink, Store, StoreError, StoredEvent, StoredPage};
use pushcore::*;

#[test]
fn the_memory_store_keeps_the_promises_of_a_store() {
    block_on(run(|| Arc::new(MemoryStore::new(1, 1000))));
}

#[test]
fn a_nasty_store_may_be_slow_fail_and_leave_holes() {
    block_on(run(|| Arc::new(Nasty::new())));
}

/// Slow, answering out of order, failing before and after it has done its work, with holes between its offsets, and telling its followers things
/// twice
struct Nasty {
    inner: MemoryStore,
    calls: AtomicU64,
}

impl Nasty {
    fn new() -> Nasty {
        Nasty {
            inner: MemoryStore::new(7, 1000),
            calls: AtomicU64::new(0),
        }
    }

    fn call(&self) -> u64 {
        self.calls.fetch_add(1, Ordering::Relaxed)
    }
}

/// Offsets with holes between them.
fn sparse(position: Position) -> Position {
    Position {
        offset: position.offset * 1000,
        ..position
    }
}

fn sparse_entry(entry: &StoredEvent) -> StoredEvent {
    StoredEvent {
        position: sparse(entry.position),
        previous: entry.previous * 1000,
        ..entry.clone()
    }
}

#[async_trait]
impl Store for Nasty {
    async fn append(
        &self,
        batch: Vec<NewEvent>,
        subject: Option<String>,
        now: Timestamp,
    ) -> Receipts {
        let call = self.call();
        be_slow(call % 3).await;
        let refuse = |batch: usize| vec![Err(PublishError::Unavailable("nasty".into())); batch];
        if call % 4 == 1 {
            return refuse(batch.len());
        }
        let count = batch.len();
        let receipts = self.inner.append(batch, subject, now).await;
        // Of those that are asked together the later is answered first.
        be_slow(9 - call % 9).await;
        if call % 4 == 3 {
            // It is in the log, and the answer is lost.
            return refuse(count);
        }
        let sparse = |receipt: Receipt| Receipt {
            position: sparse(receipt.position),
            ..receipt
        };
        receipts
            .into_iter()
            .map(|receipt| receipt.map(sparse))
            .collect()
    }

    async fn read(
        &self,
        after: u64,
        patterns: &PatternSet,
        budget: Budget,
    ) -> Result<StoredPage, StoreError> {
        let call = self.call();
        be_slow(call % 3).await;
        if call.is_multiple_of(3) {
            return Err(StoreError::Unavailable("nasty".into()));
        }
        let mut page = self.inner.read(after / 1000, patterns, budget).await?;
        page.read_through *= 1000;
        page.lost_through *= 1000;
        page.entries = page.entries.iter().map(sparse_entry).collect();
        Ok(page)
    }

    async fn follow(&self, sink: Weak<dyn Sink>) -> Result<Position, StoreError> {
        if self.call().is_multiple_of(2) {
            return Err(StoreError::Unavailable("nasty".into()));
        }
        let twice: Arc<dyn Sink> = Arc::new(Twice(sink));
        let head = self.inner.follow(Arc::downgrade(&twice)).await?;
        // A store keeps its own side of the following; this one keeps it for ever.
        Box::leak(Box::new(twice));
        Ok(sparse(head))
    }

    fn health(&self) -> Health {
        Health::Live
    }
}

/// Tells everything twice
struct Twice(Weak<dyn Sink>);

impl Sink for Twice {
    fn handle_committed(&self, entries: &[StoredEvent]) {
        let entries: Vec<StoredEvent> = entries.iter().map(sparse_entry).collect();
        if let Some(sink) = self.0.upgrade() {
            for entry in entries {
                sink.handle_committed(std::slice::from_ref(&entry));
                sink.handle_committed(&[entry]);
            }
        }
    }

    fn handle_restarted(&self, epoch: Epoch) {
        if let Some(sink) = self.0.upgrade() {
            sink.handle_restarted(epoch);
        }
    }
}

fn publish(hub: &Hub, text: &str) -> Position {
    let event = NewEvent::new(Topic::parse("a").expect("a topic"), text);
    let receipts = block_on(hub.publish(vec![event], None, Timestamp(1)));
    receipts[0]
        .as_ref()
        .expect("nothing is wrong with it")
        .position
}

fn read(reader: &mut Subscription) -> Vec<String> {
    let mut told = Vec::new();
    while let Some(delivery) = reader.try_next(Timestamp(1), Budget::default()) {
        match delivery {
            Delivery::Batch(batch) => told.extend(
                batch
                    .events()
                    .iter()
                    .map(|event| String::from_utf8_lossy(event.data().as_bytes()).into_owned()),
            ),
            Delivery::Gap(gap) => told.push(format!("{}({})", gap.reason.as_str(), gap.pattern)),
            other => panic!("{other:?}"),
        }
    }
    told
}

#[test]
fn readers_are_told_when_a_store_comes_back_without_its_tail() {
    let store = MemoryStore::new(1, 1000);
    let hub = block_on(Hub::open(
        Arc::new(store.clone()),
        HubConfig::default(),
        1,
        Timestamp(1),
    ));
    let hub = hub.expect("the store is live");
    let subscribe = |text: &str, start| {
        let options = SubscribeOptions {
            patterns: vec![Pattern::parse(text).expect("a pattern")],
            start,
            ..SubscribeOptions::default()
        };
        hub.subscribe(options, Timestamp(1)).expect("there is room")
    };
    let mut exact = subscribe("a", Start::Now);
    let mut wide = subscribe("*", Start::Now);
    let kept = publish(&hub, "one");
    let lost = publish(&hub, "two");
    assert_eq!(read(&mut exact), ["one", "two"]);
    assert_eq!(read(&mut wide), ["one", "two"]);
    store.lose_tail(kept.offset);
    let new = publish(&hub, "three");
    assert_ne!(new.epoch, lost.epoch);
    for reader in [
        &mut exact,
        &mut wide,
        &mut subscribe("a", Start::After(lost)),
    ] {
        let told = read(reader);
        assert!(told[0].starts_with("epoch("), "{told:?}");
        assert_eq!(told[1..], ["one", "three"]);
    }
}

#[test]
fn a_hub_that_was_not_told_of_an_entry_says_so() {
    let store = MemoryStore::new(1, 2);
    let hub = block_on(Hub::open(
        Arc::new(store.clone()),
        HubConfig::default(),
        1,
        Timestamp(1),
    ));
    let first = publish(&hub.expect("the store is live"), "one");
    let hub = block_on(Hub::open(
        Arc::new(store.clone()),
        HubConfig::default(),
        1,
        Timestamp(1),
    ));
    let hub = hub.expect("the store is live");
    for text in ["two", "three", "four"] {
        publish(&hub, text);
    }
    let late = block_on(Hub::open(
        Arc::new(store),
        HubConfig::default(),
        1,
        Timestamp(1),
    ));
    let options = SubscribeOptions {
        patterns: vec![Pattern::parse("a").expect("a pattern")],
        start: Start::After(first),
        ..SubscribeOptions::default()
    };
    let mut reader = late
        .expect("the store is live")
        .subscribe(options, Timestamp(1))
        .expect("there is room");
    assert_eq!(read(&mut reader), ["retention(a)", "three", "four"]);
}

#[test]
fn who_is_behind_memory_is_given_what_the_store_still_has() {
    let store = MemoryStore::new(1, 6);
    let mut config = HubConfig::default();
    config.retention.push(RetentionRule {
        pattern: Pattern::parse("**").expect("a pattern"),
        retention: Retention {
            max_events: Some(2),
            ..Retention::default()
        },
    });
    let hub = block_on(Hub::open(Arc::new(store), config, 1, Timestamp(1)));
    let hub = hub.expect("the store is live");
    let subscribe = |start| {
        let options = SubscribeOptions {
            patterns: vec![Pattern::parse("a").expect("a pattern")],
            start,
            ..SubscribeOptions::default()
        };
        hub.subscribe(options, Timestamp(1)).expect("there is room")
    };
    let first = publish(&hub, "1");
    let mut slow = subscribe(Start::Now);
    for text in ["2", "3", "4", "5"] {
        publish(&hub, text);
    }
    assert_eq!(read(&mut slow), ["2", "3", "4", "5"]);
    assert_eq!(
        read(&mut subscribe(Start::After(first))),
        ["2", "3", "4", "5"]
    );
    for text in ["6", "7", "8"] {
        publish(&hub, text);
    }
    // Six are left in the store, and two of them in memory.
    assert_eq!(
        read(&mut subscribe(Start::After(first))),
        ["retention(a)", "3", "4", "5", "6", "7", "8"]
    );
}
