//! A contest: servers side by side, a slice each a round, so that what the machine does happens to all of them.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::fleet::{Fleet, Plan};
use crate::profile::Profile;
use crate::results::{Row, rounded};
use crate::server::{Places, Server};

/// One server with its fleet.
pub(crate) struct Contender {
    /// Its profile
    pub(crate) profile: Profile,
    /// The fleet, before the server, so that it is closed first
    pub(crate) fleet: Fleet,
    /// The process
    pub(crate) server: Server,
    /// What has been measured of it
    pub(crate) row: Row,
    /// It went wrong and is passed over
    failed: bool,
}

/// A round's values for one server, by metric.
pub(crate) type Sample = Vec<(&'static str, f64)>;

impl Contender {
    /// Starts the server, lets a fleet whose every event is checked go ahead, and then connects the one that counts.
    pub(crate) fn start(profile: &Profile, places: &Places, plan: &Plan) -> Result<Contender> {
        let server = Server::start(profile, places, &[])?;
        let verified = verify(profile, &server, plan)
            .with_context(|| format!("{}: {}", profile.name, server.output()))?;
        let fleet = Fleet::connect(profile, server.address, plan, false)?;
        Ok(Contender {
            profile: profile.clone(),
            fleet,
            server,
            row: Row {
                server: profile.name.clone(),
                samples: std::collections::BTreeMap::new(),
                verified,
                note: None,
            },
            failed: false,
        })
    }

    /// Publishes `window` events at a time for `time`: CPU and fresh pages for each delivery, deliveries a second.
    pub(crate) fn slice(&mut self, window: usize, time: Duration) -> Result<Sample> {
        self.fleet.burst(1)?;
        self.fleet.settle()?;
        let faults = self.server.page_faults();
        let (cpu, received, start) = (self.server.cpu()?, self.fleet.received(), Instant::now());
        while start.elapsed() < time {
            self.fleet.burst(window)?;
        }
        let wall = start.elapsed();
        let count = as_f64(self.fleet.received() - received);
        let cpu = self.server.cpu()? - cpu;
        let faults = as_f64(self.server.page_faults() - faults);
        Ok(vec![
            ("faults", rounded(faults * 1e3 / count)),
            ("cpu", rounded(cpu.as_secs_f64() * 1e6 / count)),
            ("throughput", rounded(count / wall.as_secs_f64())),
        ])
    }
}

/// Runs a smaller fleet with every event parsed; how many were checked, or what was wrong.
fn verify(profile: &Profile, server: &Server, plan: &Plan) -> Result<u64> {
    let mut small = plan.clone();
    // As many as there are topics, so that each topic keeps its subscriber.
    small.subscribers = plan.subscribers.min(200.max(plan.topics));
    let mut fleet = Fleet::connect(profile, server.address, &small, true)?;
    for _ in 0..12 {
        fleet.burst(plan.window)?;
    }
    for index in 0..small.subscribers {
        let Some(judge) = fleet.judge(index) else {
            continue;
        };
        ensure!(judge.lost == 0, "subscriber {index} lost {}", judge.lost);
        ensure!(
            judge.repeated == 0,
            "subscriber {index} got {} twice or late",
            judge.repeated
        );
        ensure!(
            judge.closed.is_none(),
            "subscriber {index} was closed with {:?}",
            judge.closed
        );
    }
    Ok(fleet.received())
}

/// Gives every contender a slice a round, in an order that shifts by one each round.
pub(crate) fn interleave(
    contenders: &mut [Contender],
    rounds: usize,
    mut slice: impl FnMut(&mut Contender) -> Result<Sample>,
) {
    let count = contenders.len();
    for round in 0..rounds {
        for turn in 0..count {
            let contender = &mut contenders[(round + turn) % count];
            if contender.failed {
                continue;
            }
            match slice(contender) {
                Ok(sample) => contender.row.push(&sample),
                Err(error) => {
                    let note = format!("{error:#}; {}", contender.server.output());
                    eprintln!(
                        "  {} fell out in round {round}: {note}",
                        contender.profile.name
                    );
                    contender.row.note = Some(format!("fell out: {error:#}"));
                    contender.failed = true;
                }
            }
        }
    }
}

/// A count as a number to divide with.
#[expect(clippy::cast_precision_loss, reason = "counts here are far below 2^52")]
pub(crate) fn as_f64(count: u64) -> f64 {
    count as f64
}
