//! `cargo xtask test`: everything that must be true of a change, in one command.
//!
//! The last line is `N passed, N failed, N skipped`, summed over every runner; a step that runs no tests (format,
//! lints, documentation, tidiness, licences) is one check in it. A test that lacks a tool says
//! `SKIPPED: <test>: <reason>` and counts as skipped, not as passed.

use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::Result;

use crate::conformance::{self, Outcome};
use crate::tidy;
use crate::tools;
use crate::workspace::{Workspace, cargo};

mod counts;
mod stream;

pub(crate) use counts::Counts;

/// What `cargo xtask test` is asked to do.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Fail if any test was skipped, as CI does
    #[arg(long)]
    strict: bool,
    /// Only what needs nothing brought in: format, lints, tidiness, and the tests with the tools that are here
    #[arg(long, conflicts_with = "strict")]
    quick: bool,
    /// Run only the tests whose name contains this, and nothing else
    filter: Option<String>,
}

/// Runs the steps, and fails if something did; nothing is printed after the counts.
pub(crate) fn run(args: &Args) -> ExitCode {
    let counts = steps(args).unwrap_or_else(|e| Counts::of_check(Err(e)));
    let skipped_too_many = args.strict && counts.skipped > 0;
    if skipped_too_many {
        println!("a skipped test is a failure here (--strict)");
    }
    println!("{counts}");
    if counts.failed > 0 || skipped_too_many {
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn steps(args: &Args) -> Result<Counts> {
    let workspace = Workspace::load()?;
    std::env::set_current_dir(&workspace.root)?;
    let mut run = Run {
        workspace,
        counts: Counts::default(),
        notices: Vec::new(),
    };
    match &args.filter {
        Some(filter) => run.step("tests", |run| run.tests(Some(filter))),
        None => run.everything(args.quick),
    }
    println!();
    for notice in &run.notices {
        println!("{notice}");
    }
    Ok(run.counts)
}

/// The steps so far.
struct Run {
    workspace: Workspace,
    counts: Counts,
    /// What the reader should know and would not see in the counts
    notices: Vec<String>,
}

impl Run {
    fn everything(&mut self, quick: bool) {
        if !quick {
            self.step("tools", Self::tools);
        }
        self.step("format", |_| cargo_check(&["fmt", "--all", "--check"]));
        self.step("lints", |_| {
            cargo_check(&[
                "clippy",
                "--workspace",
                "--all-targets",
                "--all-features",
                "--",
                "--deny=warnings",
            ])
        });
        self.step("tidy", |_| Counts::of_check(tidy::run()));
        if !quick {
            self.step("documentation", |_| documentation());
            self.step("licences, bans, sources", Self::deny);
        }
        self.step("tests", |run| run.tests(None));
        // Cargo alone runs these with the other tests.
        if has_nextest() {
            self.step("examples in the documentation", Self::doc_tests);
        }
        if !quick {
            self.step("conformance: autobahn", |_| autobahn());
            self.step("benchmark: quick", |_| quick_benchmark());
        }
    }

    /// One step: a heading, its output, and its time.
    fn step(&mut self, name: &str, work: impl FnOnce(&mut Self) -> Counts) {
        println!("\n== {name}");
        let start = Instant::now();
        let counts = work(self);
        println!(
            "== {name}: {counts} in {:.0} s",
            start.elapsed().as_secs_f32()
        );
        self.counts += counts;
    }

    fn tools(&mut self) -> Counts {
        for absent in tools::bring_in(&self.workspace) {
            self.notice(format!(
                "COULD NOT BRING IN {}: {}",
                absent.name, absent.reason
            ));
        }
        Counts::default()
    }

    /// Licences, bans and sources always; advisories where their database can be had.
    fn deny(&mut self) -> Counts {
        let deny = match tools::cargo_deny(&tools::folder(&self.workspace)) {
            Ok(deny) => deny,
            Err(e) => return Counts::skip("cargo deny", &format!("{e:#}")),
        };
        let check = |what: &[&str]| Command::new(&deny).arg("check").args(what).output();
        let always =
            stream::checked(Command::new(&deny).args(["check", "licenses", "bans", "sources"]));
        match check(&["advisories"]) {
            Ok(output) if output.status.success() => always,
            Ok(output) => {
                let said = String::from_utf8_lossy(&output.stderr).into_owned();
                if said.contains("failed to fetch advisory database") {
                    self.notice(
                        "NOT CHECKED: security advisories, because their database cannot be reached from here"
                            .to_owned(),
                    );
                    return always;
                }
                eprint!("{said}");
                always + Counts::FAILED_CHECK
            }
            Err(e) => Counts::of_check(Err(e.into())),
        }
    }

    /// The tests of every crate: by nextest where it is installed, else by Cargo alone.
    ///
    /// Neither is told which targets: what they choose by themselves includes the examples, which tests start.
    fn tests(&mut self, filter: Option<&str>) -> Counts {
        let mut command = Command::new(cargo());
        if has_nextest() {
            command.args(["nextest", "run", "--no-tests=pass"]);
        } else {
            command.arg("test");
        }
        command
            .args(["--workspace", "--all-features", "--no-fail-fast"])
            .args(filter);
        stream::tested(&mut command, &self.skips())
    }

    fn doc_tests(&mut self) -> Counts {
        let mut command = Command::new(cargo());
        command.args([
            "test",
            "--doc",
            "--workspace",
            "--all-features",
            "--no-fail-fast",
        ]);
        stream::tested(&mut command, &self.skips())
    }

    /// Where tests write down that they were skipped: a runner that captures their output hides it.
    fn skips(&self) -> PathBuf {
        tools::folder(&self.workspace).join("skipped")
    }

    fn notice(&mut self, notice: String) {
        println!("{notice}");
        self.notices.push(notice);
    }
}

fn has_nextest() -> bool {
    Command::new(cargo())
        .args(["nextest", "--version"])
        .output()
        .is_ok_and(|o| o.status.success())
}

/// Autobahn's cases in both roles, as one check.
fn autobahn() -> Counts {
    match conformance::autobahn::run(&conformance::autobahn::Args::default()) {
        Ok(Outcome::Passed { counts }) => {
            println!("{counts}");
            Counts::PASSED_CHECK
        }
        Ok(Outcome::Skipped { why }) => Counts::skip("conformance: autobahn", &why),
        Ok(Outcome::Failed { what }) => {
            for line in &what {
                println!("{line}");
            }
            Counts::FAILED_CHECK
        }
        Err(e) => Counts::of_check(Err(e)),
    }
}

/// Whether the server, optimised, still stands to the bare send loop as it did: ratios with room for noise, and counts.
fn quick_benchmark() -> Counts {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    if cores < 2 {
        let why = "server and load generator need a core each, and there is one";
        return Counts::skip("benchmark: quick", why);
    }
    cargo_check(&[
        "run",
        "--quiet",
        "--release",
        "--package",
        "push-bench",
        "--",
        "--quick",
    ])
}

fn cargo_check(args: &[&str]) -> Counts {
    stream::checked(Command::new(cargo()).args(args))
}

fn documentation() -> Counts {
    stream::checked(
        Command::new(cargo())
            .args(["doc", "--workspace", "--no-deps", "--all-features"])
            .env("RUSTDOCFLAGS", "-D warnings"),
    )
}
