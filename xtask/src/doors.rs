//! `cargo xtask doors`: what TLS, HTTP/2 and compression cost, on the optimised server.

use std::process::{Command, Stdio};

use anyhow::{Result, bail};

use crate::workspace::{Workspace, cargo};

/// What `cargo xtask doors` is asked to do.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Connections of each door
    #[arg(long, default_value_t = 2000)]
    clients: u32,
    /// Events delivered to all of them
    #[arg(long, default_value_t = 100)]
    events: u32,
    /// How often, each door in turn
    #[arg(long, default_value_t = 3)]
    rounds: u32,
}

/// Runs the test of it with that many connections; its table is its output, and `cargo xtask bench server --report` has a place
/// for it.
pub(crate) fn run(args: &Args) -> Result<()> {
    let outcomes = Workspace::load()?.target.join("bench/doors.json");
    let status = Command::new(cargo())
        .args(["test", "--quiet", "--release", "--package", "pushserver"])
        .args(["--test", "integration", "--", "--exact"])
        .args([
            "doors::each_door_delivers_and_its_cost_is_known",
            "--nocapture",
        ])
        .env("PUSHSERVER_DOORS_CLIENTS", args.clients.to_string())
        .env("PUSHSERVER_DOORS_EVENTS", args.events.to_string())
        .env("PUSHSERVER_DOORS_ROUNDS", args.rounds.to_string())
        .env("PUSHSERVER_DOORS_OUTCOMES", outcomes)
        .stdin(Stdio::null())
        .status()?;
    if !status.success() {
        bail!("a door does not deliver");
    }
    Ok(())
}
