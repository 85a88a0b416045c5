//! Real threads that sleep until they are woken: a wakeup that is lost shows as a reader that never comes to its end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use pushcore::*;

const NOW: Timestamp = Timestamp(1);
const EVENTS: usize = 20_000;

struct Unpark {
    thread: Thread,
    bell: AtomicBool,
}

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.bell.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

/// How long nobody may be woken while there is something to read: a hundred times what the whole test takes
const PATIENCE: Duration = Duration::from_secs(20);

/// Sleeps until it is woken; a wakeup that was lost is told instead of being waited for without end.
fn sleep(bell: &AtomicBool, reader: &Subscription, given: usize) {
    let since = Instant::now();
    while !bell.swap(false, Ordering::Acquire) {
        let left = PATIENCE.saturating_sub(since.elapsed());
        assert!(
            !left.is_zero(),
            "a reader of {:?} was not woken for {PATIENCE:?}: it was given {given} events, {} are waiting for it",
            reader.patterns(),
            reader.backlog().events,
        );
        thread::park_timeout(left);
    }
}

/// Reads until it has been given `EVENTS` events of each of two topics, asleep whenever there is nothing.
fn read(mut reader: Subscription) {
    let unpark = Arc::new(Unpark {
        thread: thread::current(),
        bell: AtomicBool::new(false),
    });
    let waker = Waker::from(unpark.clone());
    let budget = Budget {
        events: 7,
        ..Budget::default()
    };
    let (mut given, mut last) = (0, 0);
    while given < 2 * EVENTS {
        match reader.poll(&mut Context::from_waker(&waker), NOW, budget) {
            Poll::Ready(Delivery::Batch(batch)) => {
                for event in batch.events() {
                    assert!(event.offset() > last, "out of order");
                    last = event.offset();
                }
                given += batch.events().len();
                // What is armed and caught up may sleep at once.
                if reader.is_caught_up() && given < 2 * EVENTS {
                    sleep(&unpark.bell, &reader, given);
                }
            }
            Poll::Ready(other) => panic!("{other:?}"),
            Poll::Pending => sleep(&unpark.bell, &reader, given),
        }
    }
}

#[test]
fn whoever_sleeps_is_woken() {
    let mut config = HubConfig::default();
    config.retention.push(RetentionRule {
        pattern: Pattern::parse("**").expect("a pattern"),
        retention: Retention {
            max_events: None,
            max_bytes: None,
            max_age: None,
        },
    });
    let hub = Hub::new(config, 1, NOW);
    thread::scope(|scope| {
        for patterns in [&["a", "b"][..], &["*"], &["**", "a"], &["a", "b", "c"]] {
            let options = SubscribeOptions {
                patterns: patterns
                    .iter()
                    .map(|text| Pattern::parse(text).expect("a pattern"))
                    .collect(),
                ..SubscribeOptions::default()
            };
            let reader = hub.subscribe(options, NOW).expect("there is room");
            scope.spawn(move || read(reader));
        }
        for name in ["a", "b"] {
            let hub = hub.clone();
            scope.spawn(move || {
                let topic = Topic::parse(name).expect("a topic");
                for number in 0..EVENTS {
                    drop(hub.publish(vec![NewEvent::new(topic.clone(), "x")], None, NOW));
                    if number.is_multiple_of(64) {
                        thread::yield_now();
                    }
                }
            });
        }
    });
}
