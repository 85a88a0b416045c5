//! `cargo xtask stall`: one of a hundred readers is stopped for a while, under load.

use std::process::{Command, Stdio};

use anyhow::{Result, bail};

use crate::workspace::cargo;

/// What `cargo xtask stall` is asked to do.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// How long the reader is stopped
    #[arg(long, default_value_t = 60)]
    seconds: u32,
    /// Shards of the server
    #[arg(long, default_value_t = Shards::One, value_enum)]
    shards: Shards,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Shards {
    #[value(name = "1")]
    One,
    #[value(name = "2")]
    Two,
}

/// Runs the test of that name for that long; its figures are its output.
pub(crate) fn run(args: &Args) -> Result<()> {
    let test = match args.shards {
        Shards::One => "stopped_reader::a_stopped_reader_disturbs_nobody_on_one_shard",
        Shards::Two => "stopped_reader::a_stopped_reader_disturbs_nobody_on_two_shards",
    };
    let status = Command::new(cargo())
        .args([
            "test",
            "--quiet",
            "--package",
            "pushserver",
            "--test",
            "integration",
        ])
        .args(["--", "--exact", test, "--nocapture"])
        .env("PUSHSERVER_STALL_SECONDS", args.seconds.to_string())
        .stdin(Stdio::null())
        .status()?;
    if !status.success() {
        bail!("others noticed that a reader was stopped, or memory grew beyond its bound");
    }
    Ok(())
}
