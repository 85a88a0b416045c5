//! Clients that come back with a position and are behind: what an event they missed costs.

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use crate::contest::as_f64;
use crate::fleet::{Fleet, Plan};
use crate::profile::{Profile, Transport};
use crate::results::{Row, rounded};
use crate::scenario::Effort;
use crate::server::{Places, Server};

/// Profiles may keep more of this topic than of others; its name gets the number 0
const TOPIC: &str = "replay";

/// A server whose log is filled, and the position to come back with.
struct Filled {
    profile: Profile,
    server: Server,
    position: String,
    row: Row,
}

/// Fills each server's log once, then lets the clients come back round after round.
pub(crate) fn run(
    profiles: &[Profile],
    places: &Places,
    effort: &Effort,
    clients: usize,
    behind: usize,
) -> Result<Vec<Row>> {
    let mut filled = Vec::new();
    for profile in profiles {
        match fill(profile, places, clients, behind) {
            Ok(server) => filled.push(server),
            Err(error) => eprintln!("  {} is left out: {error:#}", profile.name),
        }
    }
    // A hundred thousand events to a hundred clients is gigabytes a slice.
    let rounds = if behind > 10_000 {
        effort.rounds.min(5)
    } else {
        effort.rounds
    };
    let count = filled.len();
    for round in 0..rounds {
        for turn in 0..count {
            let server = &mut filled[(round + turn) % count];
            match come_back(server, clients, behind, false) {
                Ok(sample) => server.row.push(&sample),
                Err(error) => server.row.note = Some(format!("{error:#}")),
            }
        }
    }
    Ok(filled.into_iter().map(|f| f.row).collect())
}

fn fill(profile: &Profile, places: &Places, clients: usize, behind: usize) -> Result<Filled> {
    const AT_ONCE: usize = 100;
    let server = Server::start(profile, places, &[])?;
    let mut plan = Plan::fan_out(Transport::Sse, 1, 128, AT_ONCE);
    plan.name = TOPIC;
    let mut fleet = Fleet::connect(profile, server.address, &plan, true)?;
    // The event to come back with, and then as many as they shall be behind.
    fleet.burst(1)?;
    let position = fleet
        .judge(0)
        .context("the fleet is judged")?
        .last_id
        .clone();
    ensure!(!position.is_empty(), "{} sends no event ids", profile.name);
    let mut left = behind;
    while left > 0 {
        let now = left.min(AT_ONCE);
        fleet.burst(now)?;
        left -= now;
    }
    let mut filled = Filled {
        profile: profile.clone(),
        server,
        position,
        row: Row {
            server: profile.name.clone(),
            samples: BTreeMap::new(),
            verified: 0,
            note: None,
        },
    };
    let some = clients.min(20);
    come_back(&mut filled, some, behind, true)?;
    filled.row.verified = (some * behind) as u64;
    Ok(filled)
}

fn come_back(
    filled: &mut Filled,
    clients: usize,
    behind: usize,
    judged: bool,
) -> Result<Vec<(&'static str, f64)>> {
    let mut plan = Plan::fan_out(Transport::Sse, clients, 128, 0);
    plan.name = TOPIC;
    plan.resume = Some(filled.position.clone());
    let (cpu, start) = (filled.server.cpu()?, Instant::now());
    let mut fleet = Fleet::connect(&filled.profile, filled.server.address, &plan, judged)?;
    fleet.await_total((clients * behind) as u64)?;
    let (cpu, wall) = (filled.server.cpu()? - cpu, start.elapsed());
    for index in 0..clients {
        if let Some(judge) = fleet.judge(index) {
            ensure!(
                judge.lost == 0 && judge.repeated == 0,
                "client {index} lost {} and got {} twice",
                judge.lost,
                judge.repeated
            );
        }
    }
    let events = as_f64((clients * behind) as u64);
    Ok(vec![
        ("cpu", rounded(cpu.as_secs_f64() * 1e6 / events)),
        ("throughput", rounded(events / wall.as_secs_f64())),
    ])
}
