//! The scenarios that have a peer: each side's work, by turns.

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::Arc;

use pushcore::*;
use tokio::sync::broadcast;

use crate::executor::Executor;
use crate::work::{NOW, PAYLOAD, count, publish, reader, receiver, subscribe, topic};

/// One side of a scenario, ready to do so many turns
pub(crate) type Turns = Box<dyn FnMut(u64)>;

/// What is done at every turn, by each side
pub(crate) struct Scenario {
    pub(crate) name: String,
    /// Turns in a round
    pub(crate) turns: u64,
    /// Events of a turn
    pub(crate) events: u64,
    /// Deliveries of a turn
    pub(crate) deliveries: u64,
    make: [Box<dyn Fn() -> Turns>; 3],
}

/// Whose work
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    Pushcore,
    Broadcast,
    /// A loop that clones an `Arc` for each delivery
    Bare,
}

impl Who {
    pub(crate) const ALL: [Who; 3] = [Who::Pushcore, Who::Broadcast, Who::Bare];
}

impl Scenario {
    /// A side with everything set up.
    pub(crate) fn side(&self, who: Who) -> Turns {
        self.make[who as usize]()
    }

    /// All of them, in the order of the table.
    pub(crate) fn all() -> Vec<Scenario> {
        let mut all = Vec::new();
        for subscribers in [1, 100, 1_000, 10_000] {
            for burst in [1, 16] {
                all.push(fan_out(subscribers, burst));
            }
        }
        all.push(topics(1_000, 16, Peer::ByName));
        all.push(topics(1_000, 16, Peer::InAList));
        all.push(topics(1_000, 1, Peer::InAList));
        all.push(alone());
        all
    }
}

fn message() -> Arc<Vec<u8>> {
    black_box(Arc::new(black_box(PAYLOAD).to_vec()))
}

fn hub(retained: u64) -> Hub {
    let mut config = HubConfig::default();
    config.retention.push(RetentionRule {
        pattern: Pattern::parse("**").expect("it is one"),
        retention: Retention {
            max_events: Some(retained),
            ..Retention::default()
        },
    });
    Hub::new(config, 1, NOW)
}

/// One topic that keeps as much as the channel; bursts of `burst` events, and then everybody's turn.
fn fan_out(subscribers: u64, burst: u64) -> Scenario {
    // A side's part of a round is short beside a scheduler's slice, so that few rounds are interrupted.
    let events = (200_000 / subscribers).clamp(16, 2_000);
    Scenario {
        name: format!("fan-out to {subscribers}, {burst} at a time"),
        turns: events / burst + 1,
        events: burst,
        deliveries: burst * subscribers,
        make: [
            Box::new(move || {
                let (hub, name) = (hub(1024), topic(0));
                let readers = (0..subscribers).map(|_| reader(subscribe(&hub, &name, Start::Now)));
                let mut executor = Executor::new(readers);
                Box::new(move |turns| {
                    for _ in 0..turns {
                        (0..burst).for_each(|_| publish(&hub, &name));
                        executor.run();
                    }
                })
            }),
            Box::new(move || {
                let sender = broadcast::channel(1024).0;
                let mut executor =
                    Executor::new((0..subscribers).map(|_| receiver(sender.subscribe())));
                Box::new(move |turns| {
                    for _ in 0..turns {
                        (0..burst).for_each(|_| send(&sender));
                        executor.run();
                    }
                })
            }),
            Box::new(move || {
                Box::new(move |turns| {
                    for _ in 0..turns * burst {
                        let message = message();
                        for _ in 0..subscribers {
                            black_box(message.clone());
                            count(1);
                        }
                    }
                })
            }),
        ],
    }
}

/// How the channels of many topics are kept
#[derive(Clone, Copy, Debug)]
enum Peer {
    /// In a table by the topics' names, which is how a publish names its topic here
    ByName,
    /// In a list, so that a publisher has its channel in the hand and need not find it
    InAList,
}

/// Many topics with one subscriber each; one event to each, and then everybody's turn.
///
/// A channel has room for 16 values, but lets go of each one when its last receiver has taken it: it has the memory of its
/// newest round, where a log has that of all it keeps. So there is a log that keeps 16 events of each topic, and one that
/// keeps no more than the channel in fact does.
fn topics(topics: u64, kept: u64, peer: Peer) -> Scenario {
    const ROOM: usize = 16;
    let names = move || (0..topics as usize).map(topic).collect::<Vec<Topic>>();
    let channels = match peer {
        Peer::ByName => "by name",
        Peer::InAList => "in a list",
    };
    Scenario {
        name: format!(
            "{topics} topics of one subscriber, {kept} kept of each; channels {channels}"
        ),
        turns: 16,
        events: topics,
        deliveries: topics,
        make: [
            Box::new(move || {
                let (hub, names) = (hub(kept), names());
                let readers = names
                    .iter()
                    .map(|name| reader(subscribe(&hub, name, Start::Now)));
                let mut executor = Executor::new(readers);
                Box::new(move |turns| {
                    for _ in 0..turns {
                        names.iter().for_each(|name| publish(&hub, name));
                        executor.run();
                    }
                })
            }),
            Box::new(move || {
                let channel = |_| broadcast::channel(ROOM).0;
                let senders: Vec<_> = (0..topics).map(channel).collect();
                let receivers = senders.iter().map(|sender| receiver(sender.subscribe()));
                let mut executor = Executor::new(receivers);
                let names = names();
                let by_name: HashMap<Topic, broadcast::Sender<_>> =
                    names.iter().cloned().zip(senders.clone()).collect();
                Box::new(move |turns| {
                    for _ in 0..turns {
                        match peer {
                            Peer::InAList => senders.iter().for_each(send),
                            Peer::ByName => names.iter().for_each(|name| send(&by_name[name])),
                        }
                        executor.run();
                    }
                })
            }),
            Box::new(move || {
                Box::new(move |turns| {
                    for _ in 0..turns * topics {
                        black_box(message().clone());
                        count(1);
                    }
                })
            }),
        ],
    }
}

fn send(sender: &broadcast::Sender<Arc<Vec<u8>>>) {
    let _ = black_box(sender.send(message()));
}

/// Publishing that nobody reads. A channel without receivers keeps nothing; the log keeps what it is bidden to.
fn alone() -> Scenario {
    Scenario {
        name: "publish without subscribers".to_owned(),
        turns: 2_000,
        events: 1,
        deliveries: 0,
        make: [
            Box::new(|| {
                let (hub, name) = (hub(1024), topic(0));
                Box::new(move |turns| (0..turns).for_each(|_| publish(&hub, &name)))
            }),
            Box::new(|| {
                let sender = broadcast::channel(1024).0;
                Box::new(move |turns| {
                    (0..turns).for_each(|_| send(&sender));
                })
            }),
            Box::new(|| Box::new(|turns| (0..turns).for_each(|_| drop(message())))),
        ],
    }
}
