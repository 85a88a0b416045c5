//! A file is one noun; one that grows past what can be read at a sitting has become two.

use super::File;

/// Lines a source file may have, its tests included
const MAX_LINES: usize = 600;

/// Sentences about source files that have grown too long.
pub(super) fn check(files: &[File]) -> Vec<String> {
    let lines = |f: &File| f.text.lines().count();
    files
        .iter()
        .filter(|f| f.path.extension().is_some_and(|e| e == "rs"))
        .filter(|f| lines(f) > MAX_LINES)
        .map(|f| {
            format!(
                "{}: {} lines, more than {MAX_LINES}; is it still one noun?",
                f.path.display(),
                lines(f)
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::*;

    #[test]
    fn a_long_source_file_is_found() {
        let long = "x\n".repeat(MAX_LINES + 1);
        let files = [
            file("a.rs", &long),
            file("b.rs", "x\n"),
            file("c.md", &long),
        ];
        assert_eq!(
            check(&files),
            ["a.rs: 601 lines, more than 600; is it still one noun?"]
        );
    }
}
