//! `cargo xtask bench <what>`: speed as ratios to peers and physical floors, all in one run.

use std::process::Command;

use anyhow::{Result, bail};

/// What `cargo xtask bench` is asked to do.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// `ws-codec`, `sse-codec` or `pushcore`
    what: What,
    /// Handed to the benchmark as they are
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum What {
    WsCodec,
    SseCodec,
    Pushcore,
}

/// Runs the benchmark; its tables are its output.
pub(crate) fn run(args: &Args) -> Result<()> {
    let package = match args.what {
        What::WsCodec => "ws-codec",
        What::SseCodec => "sse-codec",
        What::Pushcore => "pushcore",
    };
    let status = Command::new("cargo")
        .args(["bench", "--package", package, "--bench", "peers", "--"])
        .args(&args.rest)
        .status()?;
    if !status.success() {
        bail!("the benchmark of {package} failed");
    }
    Ok(())
}
