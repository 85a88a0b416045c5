//! What every store must do, to be run against yours.
//!
//! Give [`run`] a way to make an empty store; it panics at the first thing that is wrong, and says what it was. It needs no
//! runtime of its own: hand it to whatever runs your store's futures, or to [`block_on`].

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use crate::config::HubConfig;
use crate::delivery::{Budget, Delivery};
use crate::event::NewEvent;
use crate::hub::Hub;
use crate::label::IdempotencyKey;
use crate::pattern::{Pattern, PatternSet};
use crate::position::{Epoch, Position};
use crate::publish::{PublishError, Receipt};
use crate::store::{Sink, Store, StoreError, StoredEntry, StoredEvent};
use crate::subscribe::{Start, SubscribeOptions};
use crate::timestamp::Timestamp;
use crate::topic::Topic;

/// Runs the whole suite; each part begins with an empty store from `make`.
///
/// # Panics
/// At the first promise that the store breaks.
pub async fn run<S: Store>(make: impl Fn() -> Arc<S>) {
    positions_grow_and_are_read_back_in_order(make()).await;
    entries_know_the_one_before_them_in_their_topic(make()).await;
    topics_can_be_read_by_their_patterns(make()).await;
    answers_may_overtake_each_other_and_belong_to_what_was_asked(make()).await;
    a_retry_is_the_same_event(make()).await;
    an_ended_topic_takes_nothing_more(make()).await;
    a_follower_is_told_of_everything_committed_since(make()).await;
    readers_may_go_from_one_hub_to_another(make()).await;
}

/// Polls a future on this thread until it is ready.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(value) => return value,
            Poll::Pending => thread::park(),
        }
    }
}

/// Is pending so many times and wakes itself each time: a store that takes its time, without a clock.
pub async fn be_slow(turns: u64) {
    let mut left = turns;
    poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(());
        }
        left -= 1;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

const NOW: Timestamp = Timestamp(1_000);
/// How often something that is unavailable is tried again
const PATIENCE: usize = 100;

fn event(topic: &str, number: usize) -> NewEvent {
    let mut event = NewEvent::new(
        Topic::parse(topic).expect("a topic"),
        format!("{topic} {number}"),
    );
    event.idempotency = IdempotencyKey::parse(&number.to_string()).ok();
    event
}

/// Publishes one event as a client does: again, with the same key, while the store is unavailable.
async fn publish(store: &dyn Store, event: NewEvent) -> Result<Receipt, PublishError> {
    for _ in 0..PATIENCE {
        let mut receipts = store.append(vec![event.clone()], None, NOW).await;
        assert_eq!(receipts.len(), 1, "a batch is answered event by event");
        match receipts.remove(0) {
            Err(PublishError::Unavailable(_)) => {}
            answer => return answer,
        }
    }
    panic!("the store was unavailable {PATIENCE} times in a row");
}

async fn publish_many(store: &dyn Store, topics: &[&str]) -> Vec<Position> {
    let mut positions = Vec::new();
    for (number, topic) in topics.iter().enumerate() {
        let receipt = publish(store, event(topic, number)).await;
        positions.push(receipt.expect("nothing is wrong with it").position);
    }
    positions
}

/// Everything behind `after`, page by page.
async fn read_all(store: &dyn Store, after: u64) -> Vec<StoredEvent> {
    read_matching(store, after, &PatternSet::all()).await
}

async fn read_matching(
    store: &dyn Store,
    mut after: u64,
    patterns: &PatternSet,
) -> Vec<StoredEvent> {
    let mut entries: Vec<StoredEvent> = Vec::new();
    let budget = Budget {
        events: 3,
        ..Budget::default()
    };
    for _ in 0..PATIENCE * 10 {
        let page = match store.read(after, patterns, budget).await {
            Ok(page) => page,
            Err(StoreError::Unavailable(_)) => continue,
            Err(error) => panic!("{error}"),
        };
        let through = page.read_through;
        assert!(page.is_last || through > after, "a page comes further");
        let within =
            |entry: &StoredEvent| entry.position.offset > after && entry.position.offset <= through;
        assert!(page.entries.iter().all(within), "{page:?} after {after}");
        entries.extend(page.entries);
        after = through;
        if page.is_last {
            return entries;
        }
    }
    panic!("reading came to no end");
}

/// Polls all of them in turn; their values in their order, whichever is ready first.
async fn join_all<T>(futures: impl Iterator<Item = impl Future<Output = T> + Send>) -> Vec<T> {
    let mut running: Vec<_> = futures.map(Box::pin).collect();
    let mut values: Vec<Option<T>> = running.iter().map(|_| None).collect();
    poll_fn(|cx| {
        for (future, value) in running.iter_mut().zip(&mut values) {
            if value.is_none()
                && let Poll::Ready(ready) = future.as_mut().poll(cx)
            {
                *value = Some(ready);
            }
        }
        match values.iter().all(Option::is_some) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    })
    .await;
    values.into_iter().flatten().collect()
}

async fn answers_may_overtake_each_other_and_belong_to_what_was_asked(store: Arc<dyn Store>) {
    let publishes = (0..9).map(|number| publish(&*store, event("a", number)));
    let receipts = join_all(publishes).await;
    let read = read_all(&*store, 0).await;
    assert_eq!(read.len(), receipts.len(), "each is there once");
    for (number, receipt) in receipts.into_iter().enumerate() {
        let at = receipt.expect("nothing is wrong with it").position;
        let own = read.iter().find(|entry| entry.position == at);
        let Some(StoredEntry::Event(found)) = own.map(|own| &own.entry) else {
            panic!("there is no event at {at}, which was the answer to publish {number}");
        };
        assert_eq!(
            found.data,
            event("a", number).data,
            "what is at {at} is not what was published there"
        );
    }
}

async fn positions_grow_and_are_read_back_in_order(store: Arc<dyn Store>) {
    let topics = ["a", "b", "a", "c/d", "a", "b", "a"];
    let positions = publish_many(&*store, &topics).await;
    let grow =
        |pair: &[Position]| pair[0].epoch == pair[1].epoch && pair[0].offset < pair[1].offset;
    assert!(positions.windows(2).all(grow), "{positions:?}");
    assert!(
        positions.iter().all(|position| position.tag.0 != 0),
        "every event has a tag"
    );
    let read = read_all(&*store, 0).await;
    assert_eq!(
        read.iter().map(|entry| entry.position).collect::<Vec<_>>(),
        positions
    );
    assert_eq!(
        read.iter()
            .map(|entry| entry.topic().as_str())
            .collect::<Vec<_>>(),
        topics
    );
    let rest = read_all(&*store, positions[3].offset).await;
    assert_eq!(rest, read[4..], "reading begins behind an offset");
}

async fn entries_know_the_one_before_them_in_their_topic(store: Arc<dyn Store>) {
    let positions = publish_many(&*store, &["a", "b", "a", "b", "a"]).await;
    let previous: Vec<u64> = read_all(&*store, 0)
        .await
        .iter()
        .map(|entry| entry.previous)
        .collect();
    let offset = |index: usize| positions[index].offset;
    assert_eq!(previous, [0, 0, offset(0), offset(1), offset(2)]);
}

async fn topics_can_be_read_by_their_patterns(store: Arc<dyn Store>) {
    let positions = publish_many(&*store, &["a", "b", "c/d", "b", "a", "c/d", "b", "b", "a"]).await;
    for (patterns, expect) in [
        (&["a"][..], &[0, 4, 8][..]),
        (&["c/*", "a"], &[0, 2, 4, 5, 8]),
        (&["x"], &[]),
    ] {
        let patterns: PatternSet = patterns
            .iter()
            .map(|text| Pattern::parse(text).expect("a pattern"))
            .collect();
        let read = read_matching(&*store, 0, &patterns).await;
        let mine = read.iter().filter(|entry| patterns.matches(entry.topic()));
        let offsets: Vec<Position> = mine.map(|entry| entry.position).collect();
        let expect: Vec<Position> = expect
            .iter()
            .map(|&index: &usize| positions[index])
            .collect();
        assert_eq!(offsets, expect, "{patterns:?}");
    }
}

async fn a_retry_is_the_same_event(store: Arc<dyn Store>) {
    let first = publish(&*store, event("a", 1)).await.expect("it is new");
    let again = publish(&*store, event("a", 1))
        .await
        .expect("it is a retry");
    assert!(again.duplicate);
    assert_eq!(first.position, again.position);
    let mut other = event("a", 1);
    other.data = "other".into();
    assert_eq!(
        publish(&*store, other).await,
        Err(PublishError::IdempotencyConflict)
    );
    assert_eq!(read_all(&*store, 0).await.len(), 1);
}

async fn an_ended_topic_takes_nothing_more(store: Arc<dyn Store>) {
    let mut last = event("a", 1);
    last.end = true;
    let receipt = publish(&*store, last.clone()).await.expect("it is new");
    assert_eq!(
        publish(&*store, event("a", 2)).await,
        Err(PublishError::Ended)
    );
    let again = publish(&*store, last)
        .await
        .expect("a retry of the last event is no new one");
    assert_eq!(again.position, receipt.position);
    let read = read_all(&*store, 0).await;
    assert!(matches!(read[1].entry, StoredEntry::End(..)), "{read:?}");
    assert_eq!(read.len(), 2);
}

/// A sink that writes down what it is told
#[derive(Default)]
struct Heard(Mutex<Vec<StoredEvent>>);

impl Sink for Heard {
    fn handle_committed(&self, entries: &[StoredEvent]) {
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        heard.extend_from_slice(entries);
    }

    fn handle_restarted(&self, _: Epoch) {}
}

async fn a_follower_is_told_of_everything_committed_since(store: Arc<dyn Store>) {
    let before = publish_many(&*store, &["a", "b"]).await;
    let heard = Arc::new(Heard::default());
    let sink: Arc<dyn Sink> = heard.clone();
    let head = follow(&*store, &sink).await;
    assert_eq!(head, before[1], "following says where the log ends");
    let mut published = Vec::new();
    for number in 10..20 {
        published.push(
            publish(&*store, event("a", number))
                .await
                .expect("it is new")
                .position,
        );
    }
    let heard = heard
        .0
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    let mut offsets: Vec<Position> = heard.iter().map(|entry| entry.position).collect();
    offsets.dedup();
    assert_eq!(offsets, published, "in order, and each of them");
    assert_eq!(read_all(&*store, head.offset).await.len(), published.len());
}

async fn follow(store: &dyn Store, sink: &Arc<dyn Sink>) -> Position {
    for _ in 0..PATIENCE {
        if let Ok(head) = store.follow(Arc::downgrade(sink)).await {
            return head;
        }
    }
    panic!("the store could not be followed {PATIENCE} times in a row");
}

async fn open(store: Arc<dyn Store>) -> Hub {
    for seed in 0..PATIENCE as u64 {
        if let Ok(hub) = Hub::open(store.clone(), HubConfig::default(), seed, NOW).await {
            return hub;
        }
    }
    panic!("no hub could be opened over the store in {PATIENCE} times");
}

async fn readers_may_go_from_one_hub_to_another(store: Arc<dyn Store>) {
    publish_many(&*store, &["a", "b", "a"]).await;
    let (one, other) = (open(store.clone()).await, open(store.clone()).await);
    assert_eq!(one.head(), other.head());
    for number in 10..14 {
        let hub = [&one, &other][number % 2];
        for _ in 0..PATIENCE {
            let receipts = hub.publish(vec![event("a", number)], None, NOW).await;
            if receipts[0].is_ok() {
                break;
            }
        }
    }
    let read = |hub: &Hub, start, budget| {
        let options = SubscribeOptions {
            patterns: vec![Pattern::parse("**").expect("a pattern")],
            start,
            ..SubscribeOptions::default()
        };
        let mut reader = hub.subscribe(options, NOW).expect("there is room");
        let mut read = Vec::new();
        while read.len() < budget
            && let Some(delivery) = reader.try_next(
                NOW,
                Budget {
                    events: 1,
                    bytes: 1,
                },
            )
        {
            match delivery {
                Delivery::Batch(batch) => read.push(batch.to()),
                other => panic!("{other:?}"),
            }
        }
        (read, reader.position())
    };
    let (mut read_by_both, position) = read(&one, Start::Earliest, 4);
    let (rest, _) = read(&other, Start::After(position), usize::MAX);
    read_by_both.extend(rest);
    let stored: Vec<Position> = read_all(&*store, 0)
        .await
        .iter()
        .map(|entry| entry.position)
        .collect();
    assert_eq!(stored.len(), 7);
    assert_eq!(
        read_by_both, stored,
        "nothing lost and nothing twice between two hubs"
    );
}
