//! Fan-out, replay and publishing beside `tokio::sync::broadcast` and a bare loop that clones an `Arc`.
//!
//! Every figure is a ratio within one round, because absolute times of a shared machine mean nothing; the table gives the
//! median over the rounds and, in brackets, the quartiles. All sides run on one thread over the same little executor: a
//! waker puts its task's number into a list, and a turn polls the tasks of the list. Run by `cargo xtask bench pushcore`.

// A counting allocator cannot be written without it.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::future::Future;
use std::hint::black_box;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Instant;

use pushcore::*;

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);
static LIVE: AtomicU64 = AtomicU64::new(0);

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        LIVE.fetch_add(layout.size() as u64, Ordering::Relaxed);
        // SAFETY: the caller keeps the contract, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size() as u64, Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const NOW: Timestamp = Timestamp(1);
const PAYLOAD: [u8; 128] = [b'x'; 128];

fn main() {
    let quick = std::env::args().any(|argument| argument == "--quick");
    let rounds = if quick { 5 } else { 21 };
    println!(
        "| scenario | x broadcast | x bare Arc clones | allocations an event | ns a delivery |"
    );
    println!("| --- | --- | --- | --- | --- |");
    for subscribers in [1, 100, 1_000, 10_000] {
        for burst in [1, 16] {
            let events = (400_000 / subscribers).clamp(20, 20_000) / if quick { 4 } else { 1 };
            fan_out(subscribers, burst, events.max(16), rounds);
        }
    }
    topics(1_000, 20, rounds);
    println!();
    replay(rounds.min(5));
    resume(rounds);
    publish_alone(rounds);
    memory();
}

/// A waker that puts its task's number into the list of those to be polled
struct Task {
    number: usize,
    ready: Arc<Mutex<Vec<usize>>>,
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.ready.lock().expect("no panic").push(self.number);
    }
}

/// The same little executor for everybody
struct Executor<T> {
    tasks: Vec<(T, Waker)>,
    ready: Arc<Mutex<Vec<usize>>>,
    turn: Vec<usize>,
}

impl<T: FnMut(&mut Context<'_>)> Executor<T> {
    fn new(tasks: impl Iterator<Item = T>) -> Executor<T> {
        let ready = Arc::new(Mutex::new(Vec::new()));
        let with_waker = |(number, task)| {
            let ready = ready.clone();
            (task, Waker::from(Arc::new(Task { number, ready })))
        };
        let tasks: Vec<_> = tasks.enumerate().map(with_waker).collect();
        let turn = (0..tasks.len()).collect();
        let mut executor = Executor { tasks, ready, turn };
        executor.poll_turn();
        executor
    }

    fn run(&mut self) {
        std::mem::swap(&mut self.turn, &mut self.ready.lock().expect("no panic"));
        self.poll_turn();
    }

    fn poll_turn(&mut self) {
        for number in self.turn.drain(..) {
            let (task, waker) = &mut self.tasks[number];
            task(&mut Context::from_waker(waker));
        }
    }
}

fn topic(number: usize) -> Topic {
    Topic::parse(&format!("topic/{number}")).expect("it is one")
}

fn event(topic: &Topic) -> NewEvent {
    NewEvent {
        data: Data::bytes(PAYLOAD.to_vec()),
        ..NewEvent::new(topic.clone(), "")
    }
}

fn publish(hub: &Hub, topic: &Topic) {
    drop(black_box(hub.publish_one(event(topic), None, NOW)));
}

fn reader(mut subscription: Subscription) -> impl FnMut(&mut Context<'_>) {
    move |cx| {
        while let Poll::Ready(delivery) = subscription.poll(cx, NOW, Budget::default()) {
            match &delivery {
                Delivery::Batch(batch) => count(batch.events().len()),
                other => panic!("{other:?}"),
            }
            if subscription.is_caught_up() {
                break;
            }
        }
    }
}

static DELIVERED: AtomicU64 = AtomicU64::new(0);

fn count(events: usize) {
    let before = DELIVERED.load(Ordering::Relaxed);
    DELIVERED.store(before + events as u64, Ordering::Relaxed);
}

fn subscribe(hub: &Hub, topic: &Topic, start: Start) -> Subscription {
    let options = SubscribeOptions {
        patterns: vec![Pattern::exact(topic.clone())],
        start,
        ..SubscribeOptions::default()
    };
    hub.subscribe(options, NOW).expect("there is room")
}

type Receiver = Pin<Box<dyn Future<Output = ()>>>;

fn receiver(
    mut receiver: tokio::sync::broadcast::Receiver<Arc<Vec<u8>>>,
) -> impl FnMut(&mut Context<'_>) {
    let mut task: Receiver = Box::pin(async move {
        while let Ok(message) = receiver.recv().await {
            black_box(&message);
            count(1);
        }
    });
    move |cx| {
        let _ = task.as_mut().poll(cx);
    }
}

/// One side of a comparison: does its work once and says how long it took
type Side<'a> = Box<dyn FnMut() -> f64 + 'a>;

/// Runs the sides in turn, and gives for each the quartiles of its ratio to the first one's time.
fn compare(rounds: usize, sides: &mut [Side<'_>]) -> (f64, Vec<[f64; 3]>) {
    for side in sides.iter_mut() {
        side();
    }
    let mut first = Vec::new();
    let mut ratios = vec![Vec::new(); sides.len()];
    for _ in 0..rounds {
        let times: Vec<f64> = sides.iter_mut().map(|side| side()).collect();
        first.push(times[0]);
        for (ratios, time) in ratios.iter_mut().zip(&times) {
            ratios.push(times[0] / time);
        }
    }
    (
        quartiles(first)[1],
        ratios.into_iter().map(quartiles).collect(),
    )
}

fn quartiles(mut values: Vec<f64>) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    let at = |share: usize| values[(values.len() - 1) * share / 4];
    [at(1), at(2), at(3)]
}

fn show([low, middle, high]: [f64; 3]) -> String {
    format!("{middle:.2} [{low:.2}-{high:.2}]")
}

/// Work done by `work` `times` times, timed, and checked to have delivered what it should.
fn timed(expect: u64, mut work: impl FnMut()) -> f64 {
    DELIVERED.store(0, Ordering::Relaxed);
    let start = Instant::now();
    work();
    let time = start.elapsed().as_secs_f64();
    assert_eq!(
        DELIVERED.load(Ordering::Relaxed),
        expect,
        "something was lost or given twice"
    );
    time
}

/// One topic; bursts of `burst` events, and then everybody's turn.
fn fan_out(subscribers: usize, burst: usize, events: usize, rounds: usize) {
    let hub = Hub::new(HubConfig::default(), 1, NOW);
    let name = topic(0);
    let mut ours =
        Executor::new((0..subscribers).map(|_| reader(subscribe(&hub, &name, Start::Now))));
    let (sender, _keep) = tokio::sync::broadcast::channel(1024);
    let mut theirs = Executor::new((0..subscribers).map(|_| receiver(sender.subscribe())));
    let turns = events / burst + 1;
    let deliveries = (turns * burst * subscribers) as u64;
    let allocations = AtomicU64::new(0);
    let sides: &mut [Side<'_>] = &mut [
        Box::new(|| {
            let before = ALLOCATIONS.load(Ordering::Relaxed);
            let time = timed(deliveries, || {
                for _ in 0..turns {
                    (0..burst).for_each(|_| publish(&hub, &name));
                    ours.run();
                }
            });
            allocations.store(
                ALLOCATIONS.load(Ordering::Relaxed) - before,
                Ordering::Relaxed,
            );
            time
        }),
        Box::new(|| {
            timed(deliveries, || {
                for _ in 0..turns {
                    for _ in 0..burst {
                        let _ = black_box(sender.send(Arc::new(PAYLOAD.to_vec())));
                    }
                    theirs.run();
                }
            })
        }),
        Box::new(|| {
            timed(deliveries, || {
                for _ in 0..turns * burst {
                    let message = Arc::new(PAYLOAD.to_vec());
                    for _ in 0..subscribers {
                        black_box(message.clone());
                        count(1);
                    }
                }
            })
        }),
    ];
    let (time, ratios) = compare(rounds, sides);
    println!(
        "| fan-out to {subscribers}, {burst} at a time | {} | {} | {:.1} | {:.0} |",
        show(ratios[1]),
        show(ratios[2]),
        allocations.load(Ordering::Relaxed) as f64 / (turns * burst) as f64,
        time * 1e9 / deliveries as f64,
    );
}

/// Many topics with one subscriber each; one event to each, and then everybody's turn.
fn topics(count_of: usize, turns: usize, rounds: usize) {
    let hub = Hub::new(HubConfig::default(), 1, NOW);
    let names: Vec<Topic> = (0..count_of).map(topic).collect();
    let mut ours = Executor::new(
        names
            .iter()
            .map(|name| reader(subscribe(&hub, name, Start::Now))),
    );
    let senders: Vec<_> = names
        .iter()
        .map(|_| tokio::sync::broadcast::channel(16).0)
        .collect();
    let mut theirs = Executor::new(senders.iter().map(|sender| receiver(sender.subscribe())));
    let deliveries = (count_of * turns) as u64;
    let allocations = AtomicU64::new(0);
    let sides: &mut [Side<'_>] = &mut [
        Box::new(|| {
            let before = ALLOCATIONS.load(Ordering::Relaxed);
            let time = timed(deliveries, || {
                for _ in 0..turns {
                    names.iter().for_each(|name| publish(&hub, name));
                    ours.run();
                }
            });
            allocations.store(
                ALLOCATIONS.load(Ordering::Relaxed) - before,
                Ordering::Relaxed,
            );
            time
        }),
        Box::new(|| {
            timed(deliveries, || {
                for _ in 0..turns {
                    for sender in &senders {
                        let _ = black_box(sender.send(Arc::new(PAYLOAD.to_vec())));
                    }
                    theirs.run();
                }
            })
        }),
        Box::new(|| {
            timed(deliveries, || {
                for _ in 0..deliveries {
                    black_box(Arc::new(PAYLOAD.to_vec()).clone());
                    count(1);
                }
            })
        }),
    ];
    let (time, ratios) = compare(rounds, sides);
    println!(
        "| {count_of} topics, one subscriber each | {} | {} | {:.1} | {:.0} |",
        show(ratios[1]),
        show(ratios[2]),
        allocations.load(Ordering::Relaxed) as f64 / deliveries as f64,
        time * 1e9 / deliveries as f64,
    );
}

fn long(max_events: u64) -> HubConfig {
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

fn filled(events: u64) -> (Hub, Topic) {
    let hub = Hub::new(long(events), 1, NOW);
    let name = topic(0);
    (0..events).for_each(|_| publish(&hub, &name));
    (hub, name)
}

/// Replay of a long log to one, and of a short one to many, beside cloning as many `Arc`s.
fn replay(rounds: usize) {
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
fn resume(rounds: usize) {
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

/// Publishing that nobody reads, beside building the message and its `Arc`.
fn publish_alone(rounds: usize) {
    let hub = Hub::new(HubConfig::default(), 1, NOW);
    let name = topic(0);
    let many = 20_000;
    let allocations = AtomicU64::new(0);
    let (time, ratios) = compare(
        rounds,
        &mut [
            Box::new(|| {
                let before = ALLOCATIONS.load(Ordering::Relaxed);
                let start = Instant::now();
                (0..many).for_each(|_| publish(&hub, &name));
                let time = start.elapsed().as_secs_f64();
                allocations.store(
                    ALLOCATIONS.load(Ordering::Relaxed) - before,
                    Ordering::Relaxed,
                );
                time
            }),
            Box::new(|| {
                let start = Instant::now();
                (0..many).for_each(|_| drop(black_box(Arc::new(PAYLOAD.to_vec()))));
                start.elapsed().as_secs_f64()
            }),
        ],
    );
    println!(
        "publish without subscribers: {} x a bare Arc, {:.0} ns, {:.1} allocations",
        show(ratios[1]),
        time * 1e9 / f64::from(many),
        allocations.load(Ordering::Relaxed) as f64 / f64::from(many)
    );
}

/// What a subscription and an event cost, by what the allocator was asked for.
fn memory() {
    let hub = Hub::new(long(1_000_000), 1, NOW);
    let name = topic(0);
    let mut own = subscribe(&hub, &name, Start::Now);
    let live = || LIVE.load(Ordering::Relaxed);
    let waker = Waker::noop();
    let mut readers = Vec::with_capacity(100_000);
    let before = live();
    for _ in 0..100_000 {
        let mut reader = subscribe(&hub, &name, Start::Now);
        assert!(
            reader
                .poll(&mut Context::from_waker(waker), NOW, Budget::default())
                .is_pending()
        );
        readers.push(reader);
    }
    let each = (live() - before) as f64 / 100_000.0 + size_of::<Subscription>() as f64;
    println!(
        "a subscription that waits: {each:.0} bytes, its handle of {} included",
        size_of::<Subscription>()
    );
    assert!(each <= 512.0);
    drop(readers);
    let before = live();
    let events = 1_000_000;
    (0..events).for_each(|_| publish(&hub, &name));
    let each = (live() - before) as f64 / f64::from(events) - PAYLOAD.len() as f64;
    println!("a retained event: {each:.0} bytes beyond its data");
    assert!(each <= 128.0);
    assert!(own.try_next(NOW, Budget::default()).is_some());
}
