//! Connections that only exist: memory each, and the CPU it took to make one.

use anyhow::Result;
use std::collections::BTreeMap;
use std::time::Duration;

use crate::contest::as_f64;
use crate::fleet::{Fleet, Plan};
use crate::profile::{Profile, Transport};
use crate::results::{Row, rounded};
use crate::scenario::Effort;
use crate::server::{Places, Server};

/// Starts each server afresh in each of a few rounds and connects to it.
pub(crate) fn run(
    profiles: &[Profile],
    places: &Places,
    effort: &Effort,
    transport: Transport,
    connections: usize,
) -> Result<Vec<Row>> {
    let mut rows: Vec<Row> = profiles
        .iter()
        .map(|p| Row {
            server: p.name.clone(),
            samples: BTreeMap::new(),
            verified: 0,
            note: None,
        })
        .collect();
    // Memory hardly varies between rounds and a round is long.
    for round in 0..effort.rounds.clamp(1, 5) {
        for turn in 0..profiles.len() {
            let index = (round + turn) % profiles.len();
            match once(&profiles[index], places, transport, connections) {
                Ok(sample) => rows[index].push(&sample),
                Err(error) => rows[index].note = Some(format!("{error:#}")),
            }
        }
    }
    Ok(rows)
}

fn once(
    profile: &Profile,
    places: &Places,
    transport: Transport,
    connections: usize,
) -> Result<Vec<(&'static str, f64)>> {
    let server = Server::start(profile, places, &[])?;
    // What the first connection brings in (code pages, tables) is not the price of a connection.
    let plan = |subscribers| Plan::fan_out(transport, subscribers, 128, 0);
    let first = Fleet::connect(profile, server.address, &plan(1), false)?;
    let (cpu, rss) = (server.cpu()?, server.rss_kib());
    let fleet = Fleet::connect(profile, server.address, &plan(connections), false)?;
    let cpu = server.cpu()? - cpu;
    std::thread::sleep(Duration::from_millis(300));
    let grown = server.rss_kib().saturating_sub(rss);
    drop(fleet);
    drop(first);
    let count = as_f64(connections as u64);
    Ok(vec![
        ("rss", rounded(as_f64(grown) / count)),
        ("connect", rounded(cpu.as_secs_f64() * 1e6 / count)),
    ])
}
