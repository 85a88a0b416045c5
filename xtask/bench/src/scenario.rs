//! The scenarios: what each does and what it measures.

use std::time::Duration;

use anyhow::Result;

use crate::fleet::Plan;
use crate::profile::{Profile, Transport};
use crate::results::{Outcome, Row};
use crate::server::Places;

mod counted;
mod fan_out;
mod idle;
mod publish;
mod rate;
mod replay;
mod slow;

/// One line of the list.
#[derive(Clone)]
pub(crate) struct Scenario {
    /// What `--scenario` and the results call it
    pub(crate) name: String,
    /// What it does, in a line
    pub(crate) title: String,
    /// What happens
    pub(crate) kind: Kind,
}

/// What happens in a scenario.
#[derive(Clone)]
pub(crate) enum Kind {
    /// Bursts of events to subscribers: CPU a delivery
    FanOut(Plan),
    /// Events at fixed times whatever happens: latency
    Rate { plan: Plan, per_second: u32 },
    /// Connections that only exist: memory each, CPU a connect
    Idle {
        transport: Transport,
        connections: usize,
    },
    /// Clients that come back behind: CPU an event
    Replay { clients: usize, behind: usize },
    /// Some subscribers never read: what the others keep
    Slow { transport: Transport },
    /// One subscriber, many publishes: CPU an event published
    Publish { door: &'static str, window: usize },
    /// System calls and instructions a delivery, which no noise touches
    Counted(Plan),
}

/// How a run is done.
#[derive(Clone)]
pub(crate) struct Effort {
    /// Rounds
    pub(crate) rounds: usize,
    /// A server's time in each
    pub(crate) slice: Duration,
    /// Scale of what is not a slice (idle connections, events to replay), in percent
    pub(crate) percent: usize,
}

/// Every scenario, in the order of the report.
pub(crate) fn all() -> Vec<Scenario> {
    let mut list = Vec::new();
    for transport in [Transport::Ws, Transport::Sse] {
        for (subscribers, sizes) in [(100, &[128][..]), (1_000, &[128, 1_024]), (5_000, &[128])] {
            for &size in sizes {
                for window in [1, 16] {
                    list.push(fan_out(transport, subscribers, size, window));
                }
            }
        }
    }
    for window in [1, 16] {
        let mut brokers = fan_out(Transport::Line, 1_000, 128, window);
        brokers.title = format!(
            "one topic, 1,000 subscribers, 128 B, {window} in flight: brokers by their own protocol, the others by WebSocket"
        );
        list.push(brokers);
    }
    for transport in [Transport::Ws, Transport::Sse] {
        list.push(Scenario {
            name: format!("topics-{}", transport.name()),
            title: format!(
                "1,000 topics with a {} subscriber each, 128 B, 64 in flight",
                label(transport)
            ),
            kind: Kind::FanOut(topics(transport)),
        });
    }
    for transport in [Transport::Ws, Transport::Sse] {
        list.push(Scenario {
            name: format!("rate-{}", transport.name()),
            title: format!(
                "20 events a second to 1,000 {} subscribers, on time whatever happens",
                label(transport)
            ),
            kind: Kind::Rate {
                plan: Plan::fan_out(transport, 1_000, 128, 16),
                per_second: 20,
            },
        });
    }
    for transport in [Transport::Ws, Transport::Sse] {
        list.push(Scenario {
            name: format!("idle-{}", transport.name()),
            title: format!("10,000 idle {} connections", label(transport)),
            kind: Kind::Idle {
                transport,
                connections: 10_000,
            },
        });
    }
    for (clients, behind) in [(500, 200), (100, 100_000)] {
        list.push(Scenario {
            name: format!("replay-{clients}x{behind}"),
            title: format!(
                "{clients} clients come back {behind} events behind (128 B, event stream)"
            ),
            kind: Kind::Replay { clients, behind },
        });
    }
    for transport in [Transport::Ws, Transport::Sse] {
        list.push(Scenario {
            name: format!("slow-{}", transport.name()),
            title: format!(
                "20 of 120 {} subscribers never read, 4 KiB events",
                label(transport)
            ),
            kind: Kind::Slow { transport },
        });
    }
    for (door, window, title) in [
        ("post", 1, "one HTTP request an event, one at a time"),
        ("batch", 100, "one HTTP request for 100 events"),
        ("ws", 64, "64 WebSocket messages at a time"),
    ] {
        list.push(Scenario {
            name: format!("publish-{door}"),
            title: format!("publishing: {title}; one topic, one subscriber"),
            kind: Kind::Publish { door, window },
        });
    }
    for transport in [Transport::Ws, Transport::Sse] {
        for window in [1, 16] {
            list.push(Scenario {
                name: format!("counted-{}-w{window}", transport.name()),
                title: format!(
                    "100 {} subscribers, 128 B, {window} in flight, counted",
                    label(transport)
                ),
                kind: Kind::Counted(Plan::fan_out(transport, 100, 128, window)),
            });
        }
        list.push(Scenario {
            name: format!("counted-topics-{}", transport.name()),
            title: format!(
                "1,000 topics with a {} subscriber each, 128 B, 64 in flight, counted",
                label(transport)
            ),
            kind: Kind::Counted(topics(transport)),
        });
    }
    list
}

fn fan_out(transport: Transport, subscribers: usize, size: usize, window: usize) -> Scenario {
    Scenario {
        name: format!("{}-{subscribers}-{size}-w{window}", transport.name()),
        title: format!(
            "one topic, {subscribers} {} subscribers, {size} B, {window} in flight",
            label(transport)
        ),
        kind: Kind::FanOut(Plan::fan_out(transport, subscribers, size, window)),
    }
}

fn topics(transport: Transport) -> Plan {
    Plan {
        topics: 1_000,
        ..Plan::fan_out(transport, 1_000, 128, 64)
    }
}

fn label(transport: Transport) -> &'static str {
    match transport {
        Transport::Ws => "WebSocket",
        Transport::Sse => "event stream",
        Transport::Line => "line protocol",
    }
}

impl Scenario {
    /// Whether a server can take part.
    pub(crate) fn suits(&self, profile: &Profile) -> bool {
        match &self.kind {
            Kind::FanOut(plan) if plan.transport == Transport::Line => {
                profile.line.is_some()
                    || ["floor", "floor-batch", "pushserver"].contains(&profile.name.as_str())
            }
            Kind::FanOut(plan) | Kind::Rate { plan, .. } => {
                profile.reader(plan.transport).is_some()
                    && profile.cheapest_door(plan.topics).is_ok()
            }
            Kind::Idle { transport, .. } | Kind::Slow { transport } => {
                profile.reader(*transport).is_some()
            }
            Kind::Replay { .. } => profile.replays,
            Kind::Publish { door, .. } => profile.publish.contains_key(*door),
            Kind::Counted(plan) => profile.native && profile.reader(plan.transport).is_some(),
        }
    }

    /// How many connections a contender holds throughout, for the limit of open files.
    pub(crate) fn connections(&self) -> usize {
        match &self.kind {
            Kind::FanOut(plan) | Kind::Rate { plan, .. } => plan.subscribers,
            _ => 0,
        }
    }

    /// Measures these servers.
    pub(crate) fn run(
        &self,
        profiles: &[Profile],
        places: &Places,
        effort: &Effort,
    ) -> Result<Outcome> {
        let rows: Vec<Row> = match &self.kind {
            Kind::FanOut(plan) => fan_out::run(profiles, places, effort, plan)?,
            Kind::Rate { plan, per_second } => {
                rate::run(profiles, places, effort, plan, *per_second)?
            }
            Kind::Idle {
                transport,
                connections,
            } => idle::run(
                profiles,
                places,
                effort,
                *transport,
                connections * effort.percent / 100,
            )?,
            Kind::Replay { clients, behind } => replay::run(
                profiles,
                places,
                effort,
                *clients,
                behind * effort.percent / 100,
            )?,
            Kind::Slow { transport } => slow::run(profiles, places, effort, *transport)?,
            Kind::Publish { door, window } => {
                publish::run(profiles, places, effort, door, *window)?
            }
            Kind::Counted(plan) => counted::run(profiles, places, plan)?,
        };
        let base = rows
            .iter()
            .any(|r| r.server == "floor")
            .then(|| "floor".to_owned());
        Ok(Outcome {
            title: self.title.clone(),
            base,
            rows,
        })
    }
}
