//! `cargo xtask drain`: a deploy under load, on the optimised server.

use std::process::{Command, Stdio};

use anyhow::{Result, bail};

use crate::workspace::cargo;

/// What `cargo xtask drain` is asked to do.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Clients, half event streams and half WebSockets; each takes a descriptor here and one in the server
    #[arg(long, default_value_t = 5000)]
    clients: u32,
    /// The window over which they come back
    #[arg(long, default_value_t = 20)]
    seconds: u32,
    /// Two servers over one store, each stream living until its moment, instead of one that restarts
    #[arg(long)]
    rolling: bool,
}

/// Runs the test of it with that many clients; its figures are its output.
pub(crate) fn run(args: &Args) -> Result<()> {
    let test = match args.rolling {
        false => "drain::nobody_notices_a_deploy",
        true => "drain::nobody_notices_a_rolling_deploy_over_a_shared_store",
    };
    let package = ["--quiet", "--release", "--package", "pushserver"];
    if args.rolling {
        let mut build = Command::new(cargo());
        succeed(
            build
                .arg("build")
                .args(package)
                .args(["--example", "shared_store"]),
        )?;
    }
    let mut test_it = Command::new(cargo());
    test_it
        .arg("test")
        .args(package)
        .args([
            "--test",
            "integration",
            "--",
            "--exact",
            test,
            "--nocapture",
        ])
        .env("PUSHSERVER_DRAIN_CLIENTS", args.clients.to_string())
        .env("PUSHSERVER_DRAIN_SECONDS", args.seconds.to_string());
    succeed(&mut test_it)
}

fn succeed(command: &mut Command) -> Result<()> {
    if !command.stdin(Stdio::null()).status()?.success() {
        bail!("a deploy was noticed");
    }
    Ok(())
}
