//! A file is one noun; one that grows past what can be read at a sitting has become two.

use std::path::Path;

use super::File;

/// Lines a source file may have, its tests included
const MAX_LINES: usize = 600;

/// Files that may be longer, each with the reason
const LONGER: [(&str, &str); 1] = [(
    "crates/pushcore/tests/scenarios.rs",
    "scenarios, each of which is read alone",
)];

/// Sentences about source files that have grown too long.
pub(super) fn check(files: &[File]) -> Vec<String> {
    check_against(files, &LONGER)
}

fn check_against(files: &[File], longer: &[(&str, &str)]) -> Vec<String> {
    let lines = |f: &File| f.text.lines().count();
    let allowed = |path: &Path| longer.iter().any(|(name, _)| Path::new(name) == path);
    let mut findings: Vec<String> = files
        .iter()
        .filter(|f| f.path.extension().is_some_and(|e| e == "rs"))
        .filter(|f| lines(f) > MAX_LINES && !allowed(&f.path))
        .map(|f| {
            format!(
                "{}: {} lines, more than {MAX_LINES}; is it still one noun?",
                f.path.display(),
                lines(f)
            )
        })
        .collect();
    // A permission nobody needs any more would cover the next file of that name.
    for (name, _) in longer {
        let needed = files
            .iter()
            .any(|f| f.path == Path::new(name) && lines(f) > MAX_LINES);
        if !needed {
            findings.push(format!("{name}: is allowed to be long and is not"));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::*;

    #[test]
    fn a_long_file_is_found_unless_it_is_named() {
        let long = "x\n".repeat(MAX_LINES + 1);
        let files = [
            file("a.rs", &long),
            file("b.rs", "x\n"),
            file("c.md", &long),
        ];
        assert_eq!(
            check_against(&files, &[]),
            ["a.rs: 601 lines, more than 600; is it still one noun?"]
        );
        assert!(check_against(&files, &[("a.rs", "one flat table")]).is_empty());
    }

    #[test]
    fn a_permission_without_need_is_found() {
        let files = [file("a.rs", "x\n")];
        assert_eq!(
            check_against(&files, &[("a.rs", "one flat table")]),
            ["a.rs: is allowed to be long and is not"]
        );
    }
}
