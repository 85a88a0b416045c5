//! The Python 2.7 environment that the Autobahn test suite needs.
//!
//! The suite is Python 2 code: its wheel installs under Python 3 and then fails to start. virtualenv 20.21 is the last
//! that makes Python 2.7 environments, so it gets an environment of its own.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// The suite's `wstest`, installed under `dir` if it is not there yet; `Err` inside says what this machine lacks.
pub(crate) fn wstest(dir: &Path) -> Result<std::result::Result<PathBuf, String>> {
    let wstest = dir.join("venv27/bin/wstest");
    if wstest.exists() {
        return Ok(Ok(wstest));
    }
    let Some(python27) = python27() else {
        return Ok(Err(
            "Python 2.7 is not here; `pyenv install 2.7.18` brings it".to_owned(),
        ));
    };
    if !works("python3", ["-m", "venv", "--help"]) {
        return Ok(Err("python3 with its venv module is not here".to_owned()));
    }
    println!(
        "installing the Autobahn test suite under {} (a minute)",
        dir.display()
    );
    std::fs::create_dir_all(dir)?;
    let tool = dir.join("tool");
    let venv = dir.join("venv27");
    call(
        "python3",
        [OsStr::new("-m"), "venv".as_ref(), tool.as_ref()],
    )?;
    call(
        tool.join("bin/pip"),
        ["install", "--quiet", "virtualenv==20.21.1"],
    )?;
    call(
        tool.join("bin/virtualenv"),
        [
            OsStr::new("--quiet"),
            "-p".as_ref(),
            python27.as_ref(),
            venv.as_ref(),
        ],
    )?;
    call(
        venv.join("bin/pip"),
        [
            "install",
            "--quiet",
            "--only-binary",
            "cryptography",
            "autobahntestsuite==25.10.1",
        ],
    )?;
    if !wstest.exists() {
        bail!("the installation left no {}", wstest.display());
    }
    Ok(Ok(wstest))
}

fn python27() -> Option<PathBuf> {
    let found = Command::new("pyenv")
        .args(["prefix", "2.7.18"])
        .output()
        .ok()?;
    let prefix = String::from_utf8(found.stdout).ok()?;
    let pyenv = Path::new(prefix.trim()).join("bin/python2.7");
    if found.status.success() && pyenv.exists() {
        return Some(pyenv);
    }
    works("python2.7", ["--version"]).then(|| "python2.7".into())
}

fn works<const N: usize>(program: &str, args: [&str; N]) -> bool {
    Command::new(program)
        .args(args)
        .output()
        .is_ok_and(|output| output.status.success())
}

fn call<S: AsRef<OsStr>>(
    program: impl AsRef<OsStr>,
    args: impl IntoIterator<Item = S>,
) -> Result<()> {
    let program = program.as_ref();
    let status = Command::new(program)
        .args(args)
        .status()
        .with_context(|| format!("{}", program.display()))?;
    if !status.success() {
        bail!("{} failed", program.display());
    }
    Ok(())
}
