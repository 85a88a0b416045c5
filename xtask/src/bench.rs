//! `cargo xtask bench <what>`: speed as ratios to peers and physical floors, all in one run.

use std::process::Command;

use anyhow::{Result, bail};

/// What `cargo xtask bench` is asked to do.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// `ws-codec`, `sse-codec`, `pushcore` or `server`
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
    Server,
}

/// Runs the benchmark; its tables are its output.
pub(crate) fn run(args: &Args) -> Result<()> {
    match args.what {
        // A workspace of its own, so that no one else compiles its peers.
        What::WsCodec => cargo(
            &[
                "run",
                "--quiet",
                "--release",
                "--manifest-path",
                "crates/ws-codec/benches/peers/Cargo.toml",
            ],
            &args.rest,
        ),
        What::SseCodec => cargo(
            &["bench", "--package", "sse-codec", "--bench", "peers"],
            &args.rest,
        ),
        What::Pushcore => cargo(
            &["bench", "--package", "pushcore", "--bench", "peers"],
            &args.rest,
        ),
        // Optimised whatever the rest is built as: a slow generator would measure itself.
        What::Server => cargo(
            &["run", "--quiet", "--release", "--package", "push-bench"],
            &args.rest,
        ),
    }
}

fn cargo(command: &[&str], rest: &[String]) -> Result<()> {
    let status = Command::new("cargo")
        .args(command)
        .arg("--")
        .args(rest)
        .status()?;
    if !status.success() {
        bail!("cargo {} failed", command.join(" "));
    }
    Ok(())
}
