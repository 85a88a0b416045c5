//! The workspace as Cargo sees it: where it is, what is in it, who depends on whom.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

/// What `cargo metadata` says, cut down to what the developer commands ask of it.
#[derive(Deserialize)]
pub(crate) struct Workspace {
    /// The folder of the root `Cargo.toml`
    #[serde(rename = "workspace_root")]
    pub(crate) root: PathBuf,
    /// Where Cargo builds, which `CARGO_TARGET_DIR` may have moved
    #[serde(rename = "target_directory")]
    pub(crate) target: PathBuf,
    /// Every package in the dependency graph, ours and others'
    pub(crate) packages: Vec<Package>,
    /// The ids of our own packages
    workspace_members: Vec<String>,
    resolve: Resolve,
}

/// One package of the graph.
#[derive(Clone, Deserialize)]
pub(crate) struct Package {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) manifest_path: PathBuf,
    /// What its manifest asks for, whether a feature switches it on or not
    pub(crate) dependencies: Vec<Dependency>,
}

/// One line of a manifest's dependency tables.
#[derive(Clone, Deserialize)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    kind: Option<String>,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Edge>,
}

#[derive(Deserialize)]
struct Edge {
    pkg: String,
    dep_kinds: Vec<EdgeKind>,
}

#[derive(Deserialize)]
struct EdgeKind {
    kind: Option<String>,
}

impl Dependency {
    /// Whether only tests, examples and benches see it
    pub(crate) fn is_dev(&self) -> bool {
        self.kind.as_deref() == Some("dev")
    }
}

impl Workspace {
    /// Asks Cargo, with the features that are on by default.
    pub(crate) fn load() -> Result<Self> {
        let output = Command::new(cargo())
            .args(["metadata", "--format-version", "1", "--locked"])
            .output()
            .context("cannot run cargo metadata")?;
        if !output.status.success() {
            bail!(
                "cargo metadata failed: {}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
        Self::parse(&output.stdout)
    }

    pub(crate) fn parse(json: &[u8]) -> Result<Self> {
        serde_json::from_slice(json).context("cargo metadata is not what was expected")
    }

    /// Our own packages
    pub(crate) fn members(&self) -> impl Iterator<Item = &Package> {
        let ours = |p: &&Package| self.workspace_members.contains(&p.id);
        self.packages.iter().filter(ours)
    }

    /// Names of everything that is compiled into `package` when somebody uses it, itself left out.
    ///
    /// Dev-dependencies do not count; build-dependencies do.
    pub(crate) fn shipped_with(&self, package: &Package) -> Vec<&str> {
        let mut seen = vec![package.id.as_str()];
        let mut next = 0;
        while let Some(&id) = seen.get(next) {
            next += 1;
            let Some(node) = self.resolve.nodes.iter().find(|n| n.id == id) else {
                continue;
            };
            for edge in &node.deps {
                let shipped = edge
                    .dep_kinds
                    .iter()
                    .any(|k| k.kind.as_deref() != Some("dev"));
                if shipped && !seen.contains(&edge.pkg.as_str()) {
                    seen.push(&edge.pkg);
                }
            }
        }
        seen.iter()
            .skip(1)
            .filter_map(|id| self.packages.iter().find(|p| p.id == *id))
            .map(|p| p.name.as_str())
            .collect()
    }
}

/// The cargo that runs us, so that a toolchain chosen on the command line stays chosen.
pub(crate) fn cargo() -> String {
    std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned())
}
