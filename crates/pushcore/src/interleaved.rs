//! The same promises under many interleavings of threads, chosen from a seed.
//!
//! Every lock of the crate is a place where the scheduler may go on with another thread. A reader that nobody wakes leaves
//! all threads blocked, which the scheduler notices at once and reports with the schedule that led there.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use bytes::Bytes;
use shuttle::scheduler::{PctScheduler, RandomScheduler};
use shuttle::sync::{Condvar, Mutex};
use shuttle::{Config, Runner, thread};

use crate::planted::{self, Bug};
use crate::store::MemoryStore;
use crate::store::conformance::block_on;
use crate::sync::Scheduled;
use crate::*;

const NOW: Timestamp = Timestamp(1000);
/// Schedules of each kind
const SCHEDULES: usize = 1500;

/// Runs a world under many schedules: chosen at random, and by priorities that change at few places.
fn explore(world: fn()) {
    let _scheduled = Scheduled::begin();
    let mut config = Config::new();
    // A violation is told by the panic.
    config.silence_warnings = true;
    Runner::new(RandomScheduler::new_from_seed(1, SCHEDULES), config.clone()).run(world);
    Runner::new(PctScheduler::new_from_seed(1, 3, SCHEDULES), config).run(world);
}

/// What goes wrong under some schedule when a bug is planted.
fn explore_with(bug: Bug, world: fn()) -> Option<String> {
    planted::plant(Some(bug));
    let result = catch_unwind(AssertUnwindSafe(|| explore(world)));
    planted::plant(None);
    let panic = result.err()?;
    let said = panic.downcast_ref::<String>().cloned();
    Some(
        said.or(panic.downcast_ref::<&str>().map(|&s| s.to_owned()))
            .unwrap_or_default(),
    )
}

/// Where a thread sleeps until its waker rings
#[derive(Default)]
struct Bell {
    rung: Mutex<bool>,
    changed: Condvar,
}

impl Bell {
    fn sleep(&self) {
        let mut rung = self.rung.lock().unwrap();
        while !*rung {
            rung = self.changed.wait(rung).unwrap();
        }
        *rung = false;
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        *self.rung.lock().unwrap() = true;
        self.changed.notify_one();
    }
}

fn topic(name: &str) -> Topic {
    Topic::parse(name).unwrap()
}

fn reading(patterns: &[&str]) -> SubscribeOptions {
    let patterns = patterns.iter().map(|text| Pattern::parse(text).unwrap());
    SubscribeOptions {
        patterns: patterns.collect(),
        ..SubscribeOptions::default()
    }
}

fn publish(hub: &Hub, name: &str) {
    let published = hub.publish_one(NewEvent::new(topic(name), "x"), None, NOW);
    assert!(published.try_ready().ok().unwrap().is_ok());
}

/// Reads so many events, asleep whenever there is nothing.
fn read(reader: &mut Subscription, expect: usize) {
    let bell = Arc::new(Bell::default());
    let waker = Waker::from(bell.clone());
    let (mut given, mut last) = (0, 0);
    while given < expect {
        match reader.poll(&mut Context::from_waker(&waker), NOW, Budget::default()) {
            Poll::Ready(Delivery::Batch(batch)) => {
                for event in batch.events() {
                    assert!(event.offset() > last, "out of order");
                    last = event.offset();
                }
                given += batch.events().len();
                if reader.is_caught_up() && given < expect {
                    bell.sleep();
                }
            }
            Poll::Ready(other) => panic!("{other:?}"),
            Poll::Pending => bell.sleep(),
        }
    }
    assert_eq!(given, expect);
}

/// Readers of one pattern, of a wildcard and of several, and two publishers
fn sleepers() {
    let hub = Hub::new(HubConfig::default(), 1, NOW);
    let mut threads = Vec::new();
    for (patterns, expect) in [(&["a"][..], 2), (&["*"], 4), (&["a", "b"], 4)] {
        let mut reader = hub.subscribe(reading(patterns), NOW).unwrap();
        threads.push(thread::spawn(move || read(&mut reader, expect)));
    }
    for name in ["a", "b"] {
        let hub = hub.clone();
        threads.push(thread::spawn(move || {
            (0..2).for_each(|_| publish(&hub, name));
        }));
    }
    threads
        .into_iter()
        .for_each(|thread| thread.join().unwrap());
    assert_eq!(hub.stats().subscriptions, 0);
}

/// A reader takes a second pattern and leaves the first while events come, beside another that comes and goes
fn changing() {
    let hub = Hub::new(HubConfig::default(), 1, NOW);
    let mut changing = hub.subscribe(reading(&["a"]), NOW).unwrap();
    let other = hub.subscribe(reading(&["a"]), NOW).unwrap();
    let bell = Arc::new(Bell::default());
    let waker = Waker::from(bell.clone());
    assert!(
        changing
            .poll(&mut Context::from_waker(&waker), NOW, Budget::default())
            .is_pending()
    );
    let publisher = {
        let hub = hub.clone();
        thread::spawn(move || publish(&hub, "b"))
    };
    let leaver = thread::spawn(move || drop(other));
    let at = changing
        .add(Pattern::parse("b").unwrap(), None, NOW)
        .unwrap();
    if at.offset == 0 {
        // It joined before the event, which therefore comes.
        let context = &mut Context::from_waker(&waker);
        if changing.poll(context, NOW, Budget::default()).is_pending() {
            changing.remove(&Pattern::parse("a").unwrap());
            bell.sleep();
            let given = changing.try_next(NOW, Budget::default());
            assert!(matches!(given, Some(Delivery::Batch(_))), "{given:?}");
        }
    }
    publisher.join().unwrap();
    leaver.join().unwrap();
}

/// A sleeping reader is told that its authority is gone, and of who comes
fn authority() {
    let hub = Hub::new(HubConfig::default(), 1, NOW);
    let options = SubscribeOptions {
        grant: Some(Arc::new(Grant {
            subject: Some("s".to_owned()),
            ..Grant::all()
        })),
        presence: true,
        ..reading(&["a"])
    };
    let mut reader = hub.subscribe(options, NOW).unwrap();
    let sleeper = thread::spawn(move || {
        let bell = Arc::new(Bell::default());
        let waker = Waker::from(bell.clone());
        let mut came = 0;
        loop {
            match reader.poll(&mut Context::from_waker(&waker), NOW, Budget::default()) {
                Poll::Ready(Delivery::Presence(_)) => came += 1,
                Poll::Ready(Delivery::Closed(CloseReason::Revoked)) => return came,
                Poll::Ready(other) => panic!("{other:?}"),
                Poll::Pending => bell.sleep(),
            }
        }
    });
    let joiner = {
        let hub = hub.clone();
        thread::spawn(move || {
            hub.join(
                &topic("a"),
                "m",
                None,
                std::time::Duration::from_secs(1),
                NOW,
            )
        })
    };
    let later = Timestamp(NOW.0 + 1000);
    hub.revoke(&Revocation::Subject("s".to_owned()), later, NOW);
    assert!(joiner.join().unwrap().unwrap());
    assert!(sleeper.join().unwrap() <= 1);
}

/// Two threads ask for encodings in a cache that holds hardly one, while their event leaves the log
fn encoders() {
    let config = HubConfig {
        max_form_bytes: 300,
        ..HubConfig::default()
    };
    let hub = Hub::new(config, 1, NOW);
    let mut reader = hub.subscribe(reading(&["a"]), NOW).unwrap();
    publish(&hub, "a");
    let Some(Delivery::Batch(batch)) = reader.try_next(NOW, Budget::default()) else {
        panic!("it was published");
    };
    let threads: Vec<_> = (0..2)
        .map(|number| {
            let batch = batch.clone();
            thread::spawn(move || {
                for index in [0, 0, number] {
                    let bytes = || Bytes::from(vec![index; 100]);
                    assert_eq!(batch.events()[0].form(index, bytes), vec![index; 100]);
                    assert_eq!(batch.form(index, bytes), vec![index; 100]);
                }
            })
        })
        .collect();
    drop(batch);
    hub.delete_topic(&topic("a"), NOW);
    threads
        .into_iter()
        .for_each(|thread| thread.join().unwrap());
    drop(reader);
    assert_eq!(hub.stats().form_bytes, 0);
}

/// A hub is opened over a store that others write to
fn follower() {
    let store = MemoryStore::new(1, 100);
    let writer = {
        let store: Arc<dyn store::Store> = Arc::new(store.clone());
        thread::spawn(move || {
            for _ in 0..3 {
                let batch = vec![NewEvent::new(topic("a"), "x")];
                block_on(store.append(batch, None, NOW));
            }
        })
    };
    let hub = block_on(Hub::open(Arc::new(store), HubConfig::default(), 1, NOW)).unwrap();
    writer.join().unwrap();
    let options = SubscribeOptions {
        start: Start::Earliest,
        ..reading(&["a"])
    };
    let page = hub.history(options, Budget::default(), NOW).unwrap();
    assert_eq!((page.events.len(), page.gaps.len()), (3, 0));
}

#[test]
fn whoever_sleeps_is_woken_under_every_schedule_tried() {
    explore(sleepers);
}

#[test]
fn a_waker_stays_armed_while_patterns_change() {
    explore(changing);
}

#[test]
fn authority_and_presence_wake_a_sleeper() {
    explore(authority);
}

#[test]
fn encodings_are_counted_whoever_makes_and_drops_them() {
    explore(encoders);
}

#[test]
fn a_hub_misses_nothing_that_is_committed_while_it_opens() {
    explore(follower);
}

#[test]
fn what_only_an_interleaving_shows_is_found() {
    let lost = explore_with(Bug::LostWakeup, sleepers).expect("a lost wakeup is found");
    assert!(lost.contains("deadlock"), "{lost}");
    let late = explore_with(Bug::ArmedTooLate, sleepers).expect("a waker armed too late is found");
    assert!(late.contains("deadlock"), "{late}");
    explore_with(Bug::FollowerOvertaken, follower).expect("an entry that was overtaken is found");
}
