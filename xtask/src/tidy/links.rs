//! A link in a document leads somewhere.

use std::path::{Component, Path, PathBuf};

use super::File;

/// Sentences about relative links in Markdown whose file or heading is not there.
pub(super) fn check(root: &Path, files: &[File]) -> Vec<String> {
    let mut findings = Vec::new();
    for file in files.iter().filter(|f| is_markdown(&f.path)) {
        for (line, target) in targets(&file.text) {
            if let Some(trouble) = trouble(root, files, file, target) {
                findings.push(format!("{}:{line}: {trouble}", file.path.display()));
            }
        }
    }
    findings
}

fn is_markdown(path: &Path) -> bool {
    path.extension().is_some_and(|e| e == "md")
}

/// `[text](target)` outside code, with its line; a link title is cut off.
fn targets(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut in_fence = false;
    for (number, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_fence = !in_fence;
        }
        if in_fence || line.starts_with("    ") {
            continue;
        }
        // Every second piece between backticks is code.
        for prose in line.split('`').step_by(2) {
            for piece in prose.split("](").skip(1) {
                let target = piece.split([')', ' ']).next().unwrap_or("");
                found.push((number + 1, target));
            }
        }
    }
    found
}

fn trouble(root: &Path, files: &[File], from: &File, target: &str) -> Option<String> {
    if target.contains("://") || target.starts_with("mailto:") {
        return None;
    }
    let (path, heading) = match target.split_once('#') {
        Some((path, heading)) => (path, Some(heading)),
        None => (target, None),
    };
    let folder = from.path.parent().unwrap_or(Path::new(""));
    let to = if path.is_empty() {
        from.path.clone()
    } else {
        normal(&folder.join(path))
    };
    let known = files.iter().find(|f| f.path == to);
    if known.is_none() && !root.join(&to).exists() {
        return Some(format!("{target} leads nowhere"));
    }
    let (heading, document) = (heading?, known?);
    let present = !is_markdown(&to) || headings(&document.text).any(|h| h == heading);
    (!present).then(|| format!("{target}: no such heading"))
}

/// The anchors of a document, made as GitHub makes them.
fn headings(text: &str) -> impl Iterator<Item = String> {
    text.lines()
        .filter(|l| l.starts_with('#'))
        .map(|l| l.trim_start_matches('#').trim())
        .map(|l| {
            l.to_lowercase()
                .chars()
                .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
                .map(|c| if c == ' ' { '-' } else { c })
                .collect()
        })
}

/// The path without `.` and `..`, by its letters alone.
fn normal(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                out.pop();
            }
            Component::CurDir => {}
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::*;

    #[track_caller]
    fn check_links(text: &str, expect: &[&str]) {
        let files = [
            file("docs/A.md", text),
            file("docs/B.md", "# One heading: two\n"),
            file("README.md", "# Top\n"),
        ];
        assert_eq!(check(Path::new("/nonexistent"), &files), expect);
    }

    #[test]
    fn links_that_lead_somewhere_are_left_alone() {
        check_links(
            "[b](B.md) [h](B.md#one-heading-two) [up](../README.md) [web](https://example.org/x)",
            &[],
        );
    }

    #[test]
    fn a_dead_file_is_found_with_its_line() {
        check_links("fine\n[x](C.md)", &["docs/A.md:2: C.md leads nowhere"]);
        check_links("[x](../B.md)", &["docs/A.md:1: ../B.md leads nowhere"]);
    }

    #[test]
    fn a_dead_heading_is_found() {
        check_links(
            "[x](B.md#three)",
            &["docs/A.md:1: B.md#three: no such heading"],
        );
        check_links(
            "# Here\n[x](#there)",
            &["docs/A.md:2: #there: no such heading"],
        );
    }

    #[test]
    fn code_is_not_prose() {
        check_links("```\n[x](C.md)\n```\n`[x](C.md)`\n    [x](C.md)", &[]);
    }
}
