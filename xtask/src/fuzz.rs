//! `cargo xtask fuzz <target>`: libFuzzer on the stable toolchain.
//!
//! A target is `<crate prefix>-<name>` and lives in `crates/<crate>/fuzz/fuzz_targets/<name>.rs`:
//! `ws-decode`, `sse-encode`, `core-hub`.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

/// What `cargo xtask fuzz` is asked to do.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The target: `ws-…`, `sse-…` or `core-…` and the name of a file in that crate's fuzz_targets
    target: String,
    /// How long to run
    #[arg(long, default_value_t = 60)]
    seconds: u32,
}

/// Runs the target for its time and fails if libFuzzer found something.
pub(crate) fn run(args: &Args) -> Result<()> {
    let (prefix, name) = args
        .target
        .split_once('-')
        .context("a target is PREFIX-NAME, for example ws-decode")?;
    let krate = match prefix {
        "ws" => "ws-codec",
        "sse" => "sse-codec",
        "core" => "pushcore",
        other => bail!("no crate has the prefix {other:?}; the prefixes are ws, sse and core"),
    };
    let dir = Path::new("crates").join(krate);
    let file = dir.join("fuzz/fuzz_targets").join(format!("{name}.rs"));
    if !file.exists() {
        bail!("{} does not exist", file.display());
    }
    if Command::new("cargo")
        .args(["fuzz", "--version"])
        .output()
        .map_or(true, |o| !o.status.success())
    {
        bail!("cargo-fuzz is missing; `cargo install cargo-fuzz --locked` brings it in");
    }
    let fuzz = |command: &str| {
        let mut fuzz = Command::new("cargo");
        fuzz.current_dir(&dir)
            // libFuzzer's instrumentation needs `-Z` flags; this lets the stable compiler take them.
            .env("RUSTC_BOOTSTRAP", "1")
            .args(["fuzz", command, name]);
        fuzz
    };
    // By itself, so that a target that does not compile is not taken for one that found something.
    if !fuzz("build").status()?.success() {
        bail!("{} does not build", args.target);
    }
    // The words of a format, where a target has some: libFuzzer finds them late by itself.
    let words = format!("fuzz/{name}.dict");
    let dictionary = dir.join(&words).exists().then(|| format!("-dict={words}"));
    let status = fuzz("run")
        .args(["--", &format!("-max_total_time={}", args.seconds)])
        .args(dictionary)
        .status()?;
    if !status.success() {
        bail!(
            "{} found something: see the artifact named above",
            args.target
        );
    }
    Ok(())
}
