//! The top level holds what the architecture says and nothing else, and every crate explains itself.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::workspace::Workspace;

/// What the top level is made of; dot-files and dot-folders stand beside it
const TOP: [&str; 11] = [
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "clippy.toml",
    "crates",
    "deny.toml",
    "docs",
    "rustfmt.toml",
    "tests",
];

/// Sentences about files that stand in the wrong place or are absent.
pub(super) fn check(paths: &[PathBuf], workspace: &Workspace) -> Vec<String> {
    let mut findings = strangers(paths);
    for package in workspace.members() {
        let Ok(manifest) = package.manifest_path.strip_prefix(&workspace.root) else {
            findings.push(format!("{}: stands outside the repository", package.name));
            continue;
        };
        let folder = manifest.parent().unwrap_or(Path::new(""));
        findings.extend(without_readme(paths, folder));
    }
    findings
}

fn strangers(paths: &[PathBuf]) -> Vec<String> {
    let tops: BTreeSet<String> = paths
        .iter()
        .filter_map(|p| p.components().next())
        .map(|c| c.as_os_str().to_string_lossy().into_owned())
        .collect();
    tops.iter()
        .filter(|t| !t.starts_with('.') && *t != "xtask" && !TOP.contains(&t.as_str()))
        .map(|t| format!("{t}: does not belong at the top level"))
        .collect()
}

/// A crate is used alone by somebody, who reads its README first; what is in xtask/ is nobody's dependency.
fn without_readme(paths: &[PathBuf], folder: &Path) -> Option<String> {
    let readme = folder.join("README.md");
    (!folder.starts_with("xtask") && !paths.contains(&readme))
        .then(|| format!("{}: is missing", readme.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(names: &[&str]) -> Vec<PathBuf> {
        names.iter().map(PathBuf::from).collect()
    }

    #[test]
    fn a_stranger_at_the_top_is_found() {
        let files = paths(&[
            ".ci/run",
            "Cargo.toml",
            "crates/a/src/lib.rs",
            "notes.txt",
            "scripts/x.sh",
            "xtask/src/main.rs",
        ]);
        assert_eq!(
            strangers(&files),
            [
                "notes.txt: does not belong at the top level",
                "scripts: does not belong at the top level"
            ]
        );
    }

    #[test]
    fn a_crate_without_a_readme_is_found() {
        let files = paths(&["crates/a/README.md", "crates/b/src/lib.rs"]);
        assert_eq!(without_readme(&files, Path::new("crates/a")), None);
        assert_eq!(
            without_readme(&files, Path::new("crates/b")).as_deref(),
            Some("crates/b/README.md: is missing")
        );
        assert_eq!(without_readme(&files, Path::new("xtask/bench")), None);
    }
}
