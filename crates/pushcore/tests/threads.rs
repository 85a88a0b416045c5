//! Real threads that sleep until they are woken: a wakeup that is lost shows as a reader that never comes to its end.

use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use pushcore::*;

const NOW: Timestamp = Timestamp(1);
const EVENTS: usize = 20_000;

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Reads until it has been given `EVENTS` events of each of two topics, asleep whenever there is nothing.
fn read(mut reader: Subscription) {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
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
                    thread::park();
                }
            }
            Poll::Ready(other) => panic!("{other:?}"),
            Poll::Pending => thread::park(),
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
