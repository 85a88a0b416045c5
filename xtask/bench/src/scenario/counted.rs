//! What no noise touches: system calls a delivery, counted by strace, and instructions of the server's own
//! a delivery, counted by callgrind.
//!
//! Nine tenths of a delivery's time is the kernel's, so a needless copy hides in the spread of the times. It
//! cannot hide here: both counts are the same in every run to within a per cent.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::contest::as_f64;
use crate::fleet::{Fleet, Plan};
use crate::profile::Profile;
use crate::results::{Row, rounded};
use crate::server::{Places, Server};

/// Counts each server's calls and instructions, as far as the tools are there.
pub(crate) fn run(profiles: &[Profile], places: &Places, plan: &Plan) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for profile in profiles {
        let mut row = Row {
            server: profile.name.clone(),
            samples: BTreeMap::new(),
            verified: 0,
            note: None,
        };
        for (metric, counted) in [
            ("syscalls", syscalls(profile, places, plan)),
            ("instructions", instructions(profile, places, plan)),
        ] {
            match counted {
                Ok(value) => row.push(&[(metric, rounded(value))]),
                Err(error) => {
                    eprintln!("  {metric} of {} are not counted: {error:#}", profile.name);
                    row.note = Some(format!("{metric}: {error:#}"));
                }
            }
        }
        rows.push(row);
    }
    Ok(rows)
}

/// Deliveries that strace watches, which makes each cost a good deal more than it does
const TRACED: usize = 2_000;

/// Deliveries that callgrind counts; what differs between two runs without them vanishes beside
const COUNTED: usize = 30_000;

/// Attaches strace for some bursts.
fn syscalls(profile: &Profile, places: &Places, plan: &Plan) -> Result<f64> {
    let server = Server::start(profile, places, &[])?;
    let mut fleet = Fleet::connect(profile, server.address, plan, false)?;
    fleet.burst(plan.window)?;
    let summary = places.work().join(format!("strace-{}.txt", server.pid()));
    let mut tracer = Command::new("strace")
        .args([
            "-f",
            "-c",
            "-U",
            "calls,name",
            "-p",
            &server.pid().to_string(),
            "-o",
        ])
        .arg(&summary)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("strace is missing")?;
    // It says nothing when it has attached; its mark is in the traced process.
    let status = format!("/proc/{}/status", server.pid());
    let attached = || std::fs::read_to_string(&status).is_ok_and(|s| !s.contains("TracerPid:\t0"));
    for _ in 0..500 {
        if attached() {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    if !attached() {
        push_process::interrupt(tracer.id());
        bail!("strace may not attach");
    }
    let before = fleet.received();
    for _ in 0..(TRACED / plan.window / plan.copies()).max(3) {
        fleet.burst(plan.window)?;
    }
    let deliveries = fleet.received() - before;
    push_process::interrupt(tracer.id());
    tracer.wait()?;
    let text = std::fs::read_to_string(&summary)?;
    std::fs::remove_file(&summary)?;
    let total = text
        .lines()
        .find(|l| l.trim_end().ends_with("total"))
        .and_then(|l| l.split_whitespace().next()?.parse::<u64>().ok())
        .context("strace wrote no total")?;
    Ok(as_f64(total) / as_f64(deliveries))
}

/// Runs under callgrind twice, once with more bursts; start and end cancel out in the difference.
fn instructions(profile: &Profile, places: &Places, plan: &Plan) -> Result<f64> {
    let few = 3;
    let many = few + (COUNTED / plan.window / plan.copies()).max(3);
    let more = collected(profile, places, plan, many)?
        .saturating_sub(collected(profile, places, plan, few)?);
    let deliveries = (many - few) * plan.window * plan.copies();
    Ok(as_f64(more) / as_f64(deliveries as u64))
}

fn collected(profile: &Profile, places: &Places, plan: &Plan, bursts: usize) -> Result<u64> {
    let wrapper = [
        "valgrind",
        "--tool=callgrind",
        "--callgrind-out-file=/dev/null",
    ]
    .map(str::to_owned);
    let mut server = Server::start(profile, places, &wrapper)?;
    let mut fleet = Fleet::connect(profile, server.address, plan, false)?;
    for _ in 0..bursts {
        fleet.burst(plan.window)?;
    }
    drop(fleet);
    let output = server.stop();
    output
        .lines()
        .find_map(|l| l.split("Collected :").nth(1))
        .and_then(|n| n.trim().parse().ok())
        .with_context(|| format!("callgrind wrote no count: {output}"))
}
