//! `cargo xtask conformance <suite>`: other people's tests of the protocols we speak.

use anyhow::{Result, bail};

pub(crate) mod autobahn;
mod python;

/// What `cargo xtask conformance` is asked to do.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    suite: Suite,
}

#[derive(clap::Subcommand)]
enum Suite {
    /// The Autobahn WebSocket test suite against ws-codec, as a server and as a client
    Autobahn(autobahn::Args),
}

/// How a suite went. A suite that could not run has not passed.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// Everything is as it should be
    Passed {
        /// What was counted, one line a role
        counts: String,
    },
    /// It could not run, because something it needs is not on this machine
    Skipped {
        /// What is missing
        why: String,
    },
    /// Something is not as it should be
    Failed {
        /// Each thing that is wrong, one line each
        what: Vec<String>,
    },
}

/// Runs the suite. Exits with 3 if it had to be skipped, so that no script takes that for a pass.
pub(crate) fn run(args: &Args) -> Result<()> {
    let outcome = match &args.suite {
        Suite::Autobahn(args) => autobahn::run(args)?,
    };
    match outcome {
        Outcome::Passed { counts } => {
            println!("{counts}\npassed");
            Ok(())
        }
        Outcome::Skipped { why } => {
            eprintln!("SKIPPED, nothing was tested: {why}");
            std::process::exit(3);
        }
        Outcome::Failed { what } => {
            for line in &what {
                eprintln!("{line}");
            }
            bail!("{} of the suite's expectations are not met", what.len());
        }
    }
}
