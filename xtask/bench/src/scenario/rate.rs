//! Open loop: events leave at their times whether or not the earlier ones have arrived.
//!
//! A delivery's latency counts from the moment its event was due, not from when it was sent, so that a stall
//! is charged to every event it delayed (no coordinated omission).

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::contest::{Contender, Sample, as_f64, interleave};
use crate::fleet::Plan;
use crate::poller::Wait;
use crate::profile::Profile;
use crate::results::{Row, quantile, rounded};
use crate::scenario::{Effort, fan_out};
use crate::server::Places;

/// Measures all servers in interleaved rounds of four slices' length each.
pub(crate) fn run(
    profiles: &[Profile],
    places: &Places,
    effort: &Effort,
    plan: &Plan,
    per_second: u32,
) -> Result<Vec<Row>> {
    let mut contenders = fan_out::start(profiles, places, plan);
    let time = effort.slice * 4;
    interleave(&mut contenders, effort.rounds, |c| {
        slice(c, plan, per_second, time)
    });
    Ok(contenders.into_iter().map(|c| c.row).collect())
}

fn slice(
    contender: &mut Contender,
    plan: &Plan,
    per_second: u32,
    time: Duration,
) -> Result<Sample> {
    let Contender { fleet, server, .. } = contender;
    fleet.burst(1)?;
    fleet.settle()?;
    let interval = Duration::from_secs(1) / per_second;
    let count = u32::try_from(time.as_nanos() / interval.as_nanos())?;
    let published = fleet.published();
    let due = fleet.received() + u64::from(count) * plan.subscribers as u64;
    let mut latencies = Vec::with_capacity(count as usize * plan.subscribers);
    let (cpu, received, start) = (server.cpu()?, fleet.received(), Instant::now());
    let mut sent = 0;
    while fleet.received() < due {
        if sent < count && start.elapsed() >= interval * sent {
            fleet.publish(1)?;
            sent += 1;
        }
        fleet.turn_with(Wait::Spin, |before, now| {
            let elapsed = start.elapsed();
            for event in before..now {
                // Subscribers have seen everything published, so the count is the event's number.
                let index = u32::try_from(event.saturating_sub(published)).unwrap_or(u32::MAX);
                latencies.push(elapsed.saturating_sub(interval * index).as_secs_f64() * 1e3);
            }
        })?;
        if start.elapsed() > time + Duration::from_secs(20) {
            anyhow::bail!("{} deliveries did not come", due - fleet.received());
        }
    }
    let cpu = server.cpu()? - cpu;
    let deliveries = as_f64(fleet.received() - received);
    fleet.settle()?;
    latencies.sort_by(f64::total_cmp);
    let at = |q| rounded(quantile(&latencies, q).unwrap_or(f64::NAN));
    Ok(vec![
        ("cpu", rounded(cpu.as_secs_f64() * 1e6 / deliveries)),
        ("p50", at(0.5)),
        ("p99", at(0.99)),
        ("p999", at(0.999)),
    ])
}
