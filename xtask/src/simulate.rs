//! `cargo xtask simulate --seeds N`: pushcore's seeded worlds, more of them than the tests run.

use std::process::Command;

use anyhow::{Result, bail};

/// What `cargo xtask simulate` is asked to do.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// How many small worlds to run; one large world is run for each two hundred of them
    #[arg(long, default_value_t = 100_000)]
    seeds: u64,
    /// The first seed
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Run one small world and print everything that happens in it
    #[arg(long, conflicts_with_all = ["seeds", "from"])]
    seed: Option<u64>,
}

/// Runs the worlds; fails with the seed of the first that breaks a promise.
pub(crate) fn run(args: &Args) -> Result<()> {
    let mut command = Command::new("cargo");
    command.args(["test", "--release", "--package", "pushcore", "--lib", "--"]);
    command.env("RUST_BACKTRACE", "0");
    match args.seed {
        Some(seed) => {
            command.env("PUSHCORE_SEED", seed.to_string());
            command.args(["one_seed_as_asked_for", "--nocapture"]);
        }
        None => {
            command.env("PUSHCORE_SEEDS", args.seeds.to_string());
            command.env("PUSHCORE_LARGE_SEEDS", args.seeds.div_ceil(200).to_string());
            command.env("PUSHCORE_FROM", args.from.to_string());
            command.args(["worlds_keep_every_promise", "--nocapture"]);
        }
    }
    if !command.status()?.success() {
        bail!(
            "a world broke a promise: its seed is named above; `cargo xtask simulate --seed SEED` shows it"
        );
    }
    Ok(())
}
