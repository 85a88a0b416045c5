//! Nothing in the repository names this machine or where its packages came from.

use std::path::Path;

use super::File;

/// Words in the host of a package registry
const REGISTRIES: [&str; 5] = ["npm", "pypi", "crates", "debian", "pythonhosted"];

/// Where people and machines keep their checkouts
const HOMES: [&str; 3] = ["/home/", "/Users/", "/root/"];

/// Sentences about registry addresses and absolute paths of a machine.
pub(super) fn check(root: &Path, files: &[File]) -> Vec<String> {
    let around = root
        .parent()
        .filter(|p| p.parent().is_some())
        .map(|p| format!("{}/", p.display()));
    let mut findings = Vec::new();
    for file in files {
        // Cargo.lock names crates.io as Cargo does for everybody; this file and its tests name what they look for.
        if file.path.ends_with("Cargo.lock") || file.path.ends_with("tidy/hosts.rs") {
            continue;
        }
        for (number, line) in file.text.lines().enumerate() {
            let here = format!("{}:{}", file.path.display(), number + 1);
            if let Some(host) = registry(line) {
                findings.push(format!("{here}: names the registry {host}"));
            }
            if let Some(path) = machine(line, around.as_deref()) {
                findings.push(format!(
                    "{here}: names {path}, which is a place on one machine"
                ));
            }
        }
    }
    findings
}

/// The host of a package registry's address in the line.
fn registry(line: &str) -> Option<&str> {
    line.split("://").skip(1).find_map(|rest| {
        let end = rest.find(['/', ' ', '"', ')', '>']).unwrap_or(rest.len());
        let host = &rest[..end];
        REGISTRIES.iter().any(|r| host.contains(r)).then_some(host)
    })
}

/// The start of an absolute path into somebody's checkout.
fn machine<'a>(line: &str, around: Option<&'a str>) -> Option<&'a str> {
    HOMES.into_iter().chain(around).find(|prefix| {
        line.match_indices(prefix).any(|(at, _)| {
            let before = line[..at].chars().next_back();
            !before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '}' | '*'))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::*;

    #[track_caller]
    fn check_line(line: &str, expect: &[&str]) {
        let files = [file("a.md", line)];
        assert_eq!(check(Path::new("/srv/build/it"), &files), expect);
    }

    #[test]
    fn ordinary_addresses_and_paths_are_left_alone() {
        check_line(
            "see https://docs.rs/bytes and /usr/bin/env and http://localhost:8000/topics/news",
            &[],
        );
        check_line("the folder app/home/x, and crates.io by its name", &[]);
    }

    #[test]
    fn a_registry_address_is_found() {
        check_line(
            // In two parts, so that the line itself is not what it plants.
            concat!(
                "\"resolved\": \"https:",
                "//registry.npm.example/ws/-/ws.tgz\""
            ),
            &["a.md:1: names the registry registry.npm.example"],
        );
    }

    #[test]
    fn a_path_of_one_machine_is_found() {
        check_line(
            "run /home/me/pushserver/x",
            &["a.md:1: names /home/, which is a place on one machine"],
        );
        check_line(
            "in /srv/build/other/x",
            &["a.md:1: names /srv/build/, which is a place on one machine"],
        );
    }
}
