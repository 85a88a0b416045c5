//! The programs the tests talk to, brought in through the ordinary package managers where that can be done.
//!
//! What was brought in stays in `target/tools` (Python and Node modules, cargo-deny) or in the system (Debian's
//! packages), so that the second run finds it and asks nobody. A program that cannot be had is named, with the
//! reason; the tests that need it skip themselves and are counted as skipped.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::workspace::{Workspace, cargo};

/// The programs the tests start, and the Debian packages they come in
const PROGRAMS: [(&str, &str); 8] = [
    ("chromium", "chromium"),
    ("curl", "curl"),
    ("nginx", "nginx"),
    ("haproxy", "haproxy"),
    ("caddy", "caddy"),
    ("node", "nodejs"),
    ("npm", "npm"),
    ("python3", "python3"),
];

/// The version of cargo-deny whose findings the committed deny.toml is written for
const CARGO_DENY: &str = "0.20.2";

/// Something a test cannot do without, and why it is not here.
pub(crate) struct Absent {
    pub(crate) name: String,
    pub(crate) reason: String,
}

/// Where what we bring in is kept.
pub(crate) fn folder(workspace: &Workspace) -> PathBuf {
    workspace.target.join("tools")
}

/// Brings in everything that is not there yet, and says what could not be had.
pub(crate) fn bring_in(workspace: &Workspace) -> Vec<Absent> {
    let tools = folder(workspace);
    let mut absent = programs();
    absent.extend(failed("Python modules", python(workspace, &tools)));
    absent.extend(failed("Node modules", node(workspace, &tools)));
    absent.extend(failed("cargo-deny", cargo_deny(&tools).map(drop)));
    absent
}

fn failed(name: &str, outcome: Result<()>) -> Option<Absent> {
    outcome.err().map(|e| Absent {
        name: name.to_owned(),
        reason: format!("{e:#}"),
    })
}

/// Debian's packages, in one go; as root or where sudo asks nothing.
fn programs() -> Vec<Absent> {
    let missing = || {
        PROGRAMS
            .iter()
            .filter(|(program, _)| which(program).is_none())
    };
    let mut packages: Vec<&str> = missing().map(|(_, package)| *package).collect();
    // Debian's Python leaves out what makes environments.
    if which("python3").is_none() || !python_makes_environments() {
        packages.push("python3-venv");
    }
    if packages.is_empty() {
        return Vec::new();
    }
    let outcome = apt(&packages);
    let reason = match &outcome {
        Ok(()) => "its package is installed but the program is not in PATH".to_owned(),
        Err(e) => format!("{e:#}"),
    };
    missing()
        .map(|(program, _)| Absent {
            name: (*program).to_owned(),
            reason: reason.clone(),
        })
        .collect()
}

fn python_makes_environments() -> bool {
    Command::new("python3")
        .args(["-c", "import ensurepip, venv"])
        .output()
        .is_ok_and(|o| o.status.success())
}

fn apt(packages: &[&str]) -> Result<()> {
    if which("apt-get").is_none() {
        bail!("no apt-get here; install {} by hand", packages.join(", "));
    }
    let sudo = which("sudo").is_some() && run(Command::new("sudo").args(["-n", "true"])).is_ok();
    let as_root = || {
        if is_root() {
            return Ok(Command::new("env"));
        }
        if !sudo {
            bail!(
                "not root, and sudo wants a password; apt-get install {}",
                packages.join(" ")
            );
        }
        let mut command = Command::new("sudo");
        command.args(["-n", "env"]);
        Ok(command)
    };
    let install = |command: &mut Command| {
        command
            // A runlevel of one keeps Debian's proxies from being started as services: the tests start their own.
            .args(["RUNLEVEL=1", "DEBIAN_FRONTEND=noninteractive", "apt-get"])
            .args(["install", "--yes", "--no-install-recommends"])
            .args(packages);
        run(command)
    };
    println!("apt-get install {}", packages.join(" "));
    if install(&mut as_root()?).is_ok() {
        return Ok(());
    }
    run(as_root()?.args(["apt-get", "update"]))?;
    install(&mut as_root()?)
}

fn is_root() -> bool {
    Command::new("id")
        .arg("-u")
        .output()
        .is_ok_and(|o| o.stdout.starts_with(b"0\n"))
}

/// The modules of tests/clients/requirements.txt, in an environment of their own.
fn python(workspace: &Workspace, tools: &Path) -> Result<()> {
    let wanted = workspace.root.join("tests/clients/requirements.txt");
    let venv = tools.join("venv");
    once(&venv, &wanted, || {
        run(Command::new("python3")
            .args(["-m", "venv", "--clear"])
            .arg(&venv))?;
        run(Command::new(venv.join("bin/python"))
            .args(["-m", "pip", "install", "--quiet", "--requirement"])
            .arg(&wanted))
    })
}

/// The modules of tests/clients/package.json, in a folder of their own.
fn node(workspace: &Workspace, tools: &Path) -> Result<()> {
    let wanted = workspace.root.join("tests/clients/package.json");
    let npm = tools.join("npm");
    once(&npm, &wanted, || {
        fs::create_dir_all(&npm)?;
        fs::copy(&wanted, npm.join("package.json"))?;
        run(Command::new("npm").current_dir(&npm).args([
            "install",
            "--no-package-lock",
            "--omit-lockfile-registry-resolved",
            "--no-audit",
            "--no-fund",
            "--loglevel=error",
        ]))
    })
}

/// cargo-deny from PATH or from our own folder; compiled without optimisation, as it runs for a second.
pub(crate) fn cargo_deny(tools: &Path) -> Result<PathBuf> {
    let root = tools.join("cargo");
    let ours = root.join("bin/cargo-deny");
    if let Some(theirs) = which("cargo-deny") {
        return Ok(theirs);
    }
    if !ours.exists() {
        println!("cargo install cargo-deny@{CARGO_DENY}");
        run(Command::new(cargo())
            .args(["install", "--quiet", "--locked", "--debug", "--root"])
            .arg(&root)
            .arg(format!("cargo-deny@{CARGO_DENY}"))
            .env("CARGO_PROFILE_DEV_DEBUG", "0")
            // Its build belongs neither to our profile nor beside our artifacts.
            .env("CARGO_TARGET_DIR", tools.join("cargo-build")))?;
        fs::remove_dir_all(tools.join("cargo-build"))?;
    }
    Ok(ours)
}

/// Does the work unless it was done for the same list before.
fn once(folder: &Path, list: &Path, work: impl FnOnce() -> Result<()>) -> Result<()> {
    let wanted =
        fs::read_to_string(list).with_context(|| format!("cannot read {}", list.display()))?;
    let stamp = folder.join("brought-in");
    if fs::read_to_string(&stamp).is_ok_and(|done| done == wanted) {
        return Ok(());
    }
    println!("bringing in {}", list.display());
    work()?;
    fs::write(&stamp, wanted).context("cannot remember what was brought in")
}

/// Runs it in silence; what it said is the error if it fails.
fn run(command: &mut Command) -> Result<()> {
    let output = command
        .output()
        .with_context(|| format!("cannot start {}", command.get_program().display()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let last: Vec<&str> = said.trim().lines().rev().take(3).collect();
        let last: Vec<&str> = last.into_iter().rev().collect();
        bail!(
            "{} failed: {}",
            command.get_program().display(),
            last.join(" / ")
        );
    }
    Ok(())
}

/// The program's place in PATH.
pub(crate) fn which(program: &str) -> Option<PathBuf> {
    // Debian keeps the proxies where only root looks.
    let beyond = ["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(beyond)
        .map(|folder| folder.join(program))
        .find(|p| p.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_done_once_for_the_same_list() {
        let folder = std::env::temp_dir().join(format!("xtask-once-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let list = folder.join("list");
        fs::write(&list, "a==1\n").unwrap();
        let mut times = 0;
        for _ in 0..2 {
            once(&folder, &list, || {
                times += 1;
                Ok(())
            })
            .unwrap();
        }
        assert_eq!(times, 1);
        fs::write(&list, "a==2\n").unwrap();
        once(&folder, &list, || bail!("no network")).unwrap_err();
        once(&folder, &list, || {
            times += 1;
            Ok(())
        })
        .unwrap();
        assert_eq!(times, 2, "a failure is not remembered as done");
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn what_a_failing_program_said_is_the_reason() {
        let error =
            run(Command::new("sh").args(["-c", "echo no such package >&2; exit 3"])).unwrap_err();
        assert_eq!(error.to_string(), "sh failed: no such package");
    }
}
