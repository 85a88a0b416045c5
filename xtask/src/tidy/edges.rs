//! Who may depend on whom: three leaves that know nothing of each other, and a server above them.

use crate::workspace::{Package, Workspace};

/// The crates that know no runtime, no sockets and none of the other crates
const LEAVES: [&str; 3] = ["sse-codec", "ws-codec", "pushcore"];

/// What would bring a runtime, a socket or HTTP into a leaf
const RUNTIMES: [&str; 8] = [
    "tokio",
    "tokio-util",
    "mio",
    "async-std",
    "smol",
    "hyper",
    "hyper-util",
    "socket2",
];

/// Peers to measure and test against, never on the serving path
const PEERS: [&str; 5] = [
    "fastwebsockets",
    "tungstenite",
    "tokio-tungstenite",
    "tokio-websockets",
    "sockudo-ws",
];

/// Sentences about edges that should not be there.
pub(super) fn check(workspace: &Workspace) -> Vec<String> {
    let names: Vec<&str> = workspace.members().map(|p| p.name.as_str()).collect();
    let mut findings = Vec::new();
    for package in workspace.members() {
        if is_for_developers(package) {
            findings.extend(embeds_the_server(package));
            continue;
        }
        findings.extend(between_our_own(package, &names));
        if LEAVES.contains(&package.name.as_str()) {
            findings.extend(carries(workspace, package, &RUNTIMES));
        }
        findings.extend(carries(workspace, package, &PEERS));
    }
    findings
}

/// Developer commands stand in xtask/; nobody is handed them.
fn is_for_developers(package: &Package) -> bool {
    package
        .manifest_path
        .components()
        .any(|c| c.as_os_str() == "xtask")
}

/// They may look at every crate but start the server as a process, as everybody does.
fn embeds_the_server(package: &Package) -> Option<String> {
    let embeds = package.dependencies.iter().any(|d| d.name == "pushserver");
    embeds.then(|| {
        format!(
            "{}: starts the server as a process, and does not link it",
            package.name
        )
    })
}

fn between_our_own(package: &Package, names: &[&str]) -> Vec<String> {
    package
        .dependencies
        .iter()
        .filter(|d| names.contains(&d.name.as_str()) && !may(&package.name, &d.name))
        .map(|d| {
            format!(
                "{}: may not depend on {}, not even in its tests",
                package.name, d.name
            )
        })
        .collect()
}

/// The arrows of the picture in docs/ARCHITECTURE.md
fn may(from: &str, to: &str) -> bool {
    match from {
        // An example or test of the server is its own user.
        "pushserver" => to != "xtask",
        leaf if LEAVES.contains(&leaf) => false,
        // A storage engine implements pushcore's trait.
        _ => to == "pushcore",
    }
}

/// What a manifest asks for, or what comes with it by a longer way, that may not come.
fn carries(workspace: &Workspace, package: &Package, unwanted: &[&str]) -> Vec<String> {
    let asked = package
        .dependencies
        .iter()
        .filter(|d| !d.is_dev())
        .map(|d| d.name.as_str());
    let mut found: Vec<&str> = asked
        .chain(workspace.shipped_with(package))
        .filter(|name| unwanted.contains(name))
        .collect();
    found.sort_unstable();
    found.dedup();
    found
        .iter()
        .map(|name| format!("{}: {name} may only be a dev-dependency", package.name))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// A package and its `(dependency, kind)`s
    type Member<'a> = (&'a str, &'a [(&'a str, Option<&'a str>)]);

    /// What is not a member is foreign.
    #[track_caller]
    fn check_edges(members: &[Member<'_>], expect: &[&str]) {
        let mut names: Vec<&str> = members.iter().map(|m| m.0).collect();
        names.extend(members.iter().flat_map(|m| m.1.iter().map(|d| d.0)));
        names.sort_unstable();
        names.dedup();
        let of = |name: &str| {
            members
                .iter()
                .find(|m| m.0 == name)
                .map_or(&[][..], |m| m.1)
        };
        let packages: Vec<Value> = names
            .iter()
            .map(|n| {
                let deps: Vec<Value> = of(n)
                    .iter()
                    .map(|(d, k)| json!({"name": d, "kind": k}))
                    .collect();
                let folder = if *n == "xtask" { "xtask" } else { "crates" };
                json!({"id": n, "name": n, "manifest_path": format!("{folder}/{n}/Cargo.toml"), "dependencies": deps})
            })
            .collect();
        let nodes: Vec<Value> = names
            .iter()
            .map(|n| {
                let deps: Vec<Value> = of(n)
                    .iter()
                    .map(|(d, k)| json!({"pkg": d, "dep_kinds": [{"kind": k}]}))
                    .collect();
                json!({"id": n, "deps": deps})
            })
            .collect();
        let members: Vec<&str> = members.iter().map(|m| m.0).collect();
        let metadata = json!({"workspace_root": "/r", "target_directory": "/t", "packages": packages,
            "workspace_members": members, "resolve": {"nodes": nodes}});
        let workspace = Workspace::parse(metadata.to_string().as_bytes()).unwrap();
        assert_eq!(check(&workspace), expect);
    }

    #[test]
    fn the_picture_itself_is_tidy() {
        check_edges(
            &[
                ("sse-codec", &[("memchr", None), ("tokio", Some("dev"))]),
                ("ws-codec", &[("fastwebsockets", Some("dev"))]),
                ("pushcore", &[("bytes", None)]),
                ("log-store", &[("pushcore", None)]),
                (
                    "pushserver",
                    &[
                        ("pushcore", None),
                        ("ws-codec", None),
                        ("tokio", None),
                        ("fastwebsockets", Some("dev")),
                    ],
                ),
                ("xtask", &[("ws-codec", None)]),
            ],
            &[],
        );
    }

    #[test]
    fn a_leaf_that_knows_another_is_found_even_in_its_tests() {
        check_edges(
            &[
                ("sse-codec", &[("pushcore", Some("dev"))]),
                ("pushcore", &[]),
            ],
            &["sse-codec: may not depend on pushcore, not even in its tests"],
        );
    }

    #[test]
    fn a_runtime_in_a_leaf_is_found_however_it_comes() {
        check_edges(
            &[("pushcore", &[("tokio", None)])],
            &["pushcore: tokio may only be a dev-dependency"],
        );
        check_edges(
            &[
                ("ws-codec", &[("carrier", None)]),
                ("carrier", &[("hyper", None)]),
            ],
            &[
                "ws-codec: may not depend on carrier, not even in its tests",
                "ws-codec: hyper may only be a dev-dependency",
            ],
        );
    }

    #[test]
    fn a_peer_on_the_serving_path_is_found() {
        check_edges(
            &[("pushserver", &[("fastwebsockets", None)])],
            &["pushserver: fastwebsockets may only be a dev-dependency"],
        );
    }

    #[test]
    fn a_developer_command_that_links_the_server_is_found() {
        check_edges(
            &[
                ("xtask", &[("pushserver", None), ("fastwebsockets", None)]),
                ("pushserver", &[]),
            ],
            &["xtask: starts the server as a process, and does not link it"],
        );
    }

    #[test]
    fn a_store_that_knows_the_server_is_found() {
        check_edges(
            &[("log-store", &[("pushserver", None)]), ("pushserver", &[])],
            &["log-store: may not depend on pushserver, not even in its tests"],
        );
    }
}
