//! Every developer command, the same locally and in CI: `cargo xtask <command>`.
//!
//! Each command is one module with a `Args` (what clap parses) and a `run`.

use clap::Parser;

mod bench;
mod fuzz;
mod simulate;

#[derive(Parser)]
#[command(
    name = "cargo xtask",
    about = "Developer commands of the pushserver workspace"
)]
enum Command {
    /// Measure a crate beside its peers and the physical floors
    Bench(bench::Args),
    /// Run a fuzz target of one of the crates under libFuzzer
    Fuzz(fuzz::Args),
    /// Run pushcore's seeded worlds, from any seed and as many as you like
    Simulate(simulate::Args),
}

fn main() -> anyhow::Result<()> {
    match Command::parse() {
        Command::Bench(args) => bench::run(&args),
        Command::Fuzz(args) => fuzz::run(&args),
        Command::Simulate(args) => simulate::run(&args),
    }
}
