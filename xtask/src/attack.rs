//! `cargo xtask attack`: what strangers do to a socket, done to the release binary.

use std::process::{Command, Stdio};

use anyhow::{Result, bail};

use crate::workspace::{Workspace, cargo};

/// What `cargo xtask attack` is asked to do.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Handed to the attacker as they are: `--list`, `--only NAME`, `--seconds N`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

/// Builds the server as it is released, then the attacker, and lets it loose; its table is its output.
pub(crate) fn run(args: &Args) -> Result<()> {
    let release = ["--quiet", "--release", "--package"];
    let mut server = Command::new(cargo());
    server.arg("build").args(release).arg("pushserver");
    if !server.status()?.success() {
        bail!("the server does not build");
    }
    let target = Workspace::load()?.target;
    let mut attacker = Command::new(cargo());
    attacker
        .arg("run")
        .args(release)
        .args(["push-attack", "--", "--server"])
        .arg(target.join("release/pushserver"))
        .arg("--work")
        .arg(target.join("attack"))
        .args(&args.rest)
        .stdin(Stdio::null());
    if !attacker.status()?.success() {
        bail!("the server did not withstand every attack");
    }
    Ok(())
}
