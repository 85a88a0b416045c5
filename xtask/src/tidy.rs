//! `cargo xtask tidy`: what the compiler cannot see, held to what the documents say.
//!
//! Each check is a pure function from what it looks at to the sentences it has to say, so that a planted
//! violation can be shown to it in a unit test.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::workspace::Workspace;

mod edges;
mod hosts;
mod layout;
mod links;
mod size;

/// A file of the repository: its path from the top and its text.
pub(crate) struct File {
    pub(crate) path: PathBuf,
    pub(crate) text: String,
}

/// Prints what is untidy, and fails if anything is.
pub(crate) fn run() -> Result<()> {
    let workspace = Workspace::load()?;
    let findings = findings(&workspace)?;
    for finding in &findings {
        println!("{finding}");
    }
    if !findings.is_empty() {
        bail!("{} untidy", findings.len());
    }
    Ok(())
}

fn findings(workspace: &Workspace) -> Result<Vec<String>> {
    let paths = tracked(&workspace.root)?;
    let files = texts(&workspace.root, &paths);
    let mut findings = edges::check(workspace);
    findings.extend(layout::check(&paths, workspace));
    findings.extend(links::check(&workspace.root, &files));
    findings.extend(size::check(&files));
    findings.extend(hosts::check(&workspace.root, &files));
    Ok(findings)
}

/// Every file that is in the repository or about to be: what git would not ignore.
fn tracked(root: &Path) -> Result<Vec<PathBuf>> {
    let output = Command::new("git")
        .current_dir(root)
        .args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ])
        .output()
        .context("cannot run git")?;
    if !output.status.success() {
        bail!(
            "git ls-files failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let names = String::from_utf8(output.stdout).context("a file name is not UTF-8")?;
    let mut paths: Vec<PathBuf> = names
        .split('\0')
        .filter(|n| !n.is_empty())
        .map(PathBuf::from)
        .filter(|p| root.join(p).exists())
        .collect();
    paths.sort();
    paths.dedup();
    Ok(paths)
}

/// The files that are text; a corpus of bytes has nothing to tidy.
fn texts(root: &Path, paths: &[PathBuf]) -> Vec<File> {
    let read = |path: &PathBuf| {
        let text = std::fs::read_to_string(root.join(path)).ok()?;
        (!text.contains('\0')).then(|| File {
            path: path.clone(),
            text,
        })
    };
    paths.iter().filter_map(read).collect()
}

#[cfg(test)]
fn file(path: &str, text: &str) -> File {
    File {
        path: PathBuf::from(path),
        text: text.to_owned(),
    }
}
