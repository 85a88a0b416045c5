//! Every developer command, the same locally and in CI: `cargo xtask <command>`.
//!
//! Each command is one module with a `Args` (what clap parses) and a `run`.

use std::process::ExitCode;

use clap::Parser;

mod attack;
mod bench;
mod conformance;
mod drain;
mod fuzz;
mod simulate;
mod stall;
mod test;
mod tidy;
mod tools;
mod workspace;

#[derive(Parser)]
#[command(
    name = "cargo xtask",
    about = "Developer commands of the pushserver workspace"
)]
enum Command {
    /// Attack the release binary in every way we know, and see what honest clients notice of it
    Attack(attack::Args),
    /// Measure a crate beside its peers and the physical floors
    Bench(bench::Args),
    /// Run other people's tests of a protocol we speak
    Conformance(conformance::Args),
    /// Restart the server under thousands of clients, and see that none of them loses anything
    Drain(drain::Args),
    /// Run a fuzz target of one of the crates under libFuzzer
    Fuzz(fuzz::Args),
    /// Stop one of a hundred readers under load, and see that nobody else notices
    Stall(stall::Args),
    /// Run everything that must be true of a change
    Test(test::Args),
    /// Check what the compiler cannot see: dependency edges, layout, links, sizes
    Tidy,
    /// Run pushcore's seeded worlds, from any seed and as many as you like
    Simulate(simulate::Args),
}

fn main() -> ExitCode {
    let outcome = match Command::parse() {
        Command::Attack(args) => attack::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Conformance(args) => conformance::run(&args),
        Command::Drain(args) => drain::run(&args),
        Command::Fuzz(args) => fuzz::run(&args),
        Command::Stall(args) => stall::run(&args),
        Command::Simulate(args) => simulate::run(&args),
        Command::Test(args) => return test::run(&args),
        Command::Tidy => tidy::run(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
