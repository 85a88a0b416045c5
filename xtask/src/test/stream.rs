//! Other people's commands, heard as they run and counted when they end.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;

use anyhow::{Context, Result};

use super::Counts;

/// Tells the tests where to write down that they were skipped
const SKIPS: &str = "PUSHSERVER_SKIPS";

/// A command that is one check, its output passed on.
pub(super) fn checked(command: &mut Command) -> Counts {
    match command.status() {
        Ok(status) if status.success() => Counts::PASSED_CHECK,
        Ok(_) => Counts::FAILED_CHECK,
        Err(e) => Counts::of_check(Err(e.into())),
    }
}

/// A test runner, its output passed on and its summaries read.
pub(super) fn tested(command: &mut Command, skips: &Path) -> Counts {
    match heard(command, skips) {
        Ok(counts) => counts,
        Err(e) => Counts::of_check(Err(e)),
    }
}

fn heard(command: &mut Command, skips: &Path) -> Result<Counts> {
    if let Some(folder) = skips.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(skips, "")?;
    let mut child = command
        .env(SKIPS, skips)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot start the test runner")?;
    let (lines, heard) = mpsc::channel();
    let mut readers = Vec::new();
    let pipes: [Option<Box<dyn Read + Send>>; 2] = [
        child.stdout.take().map(|p| Box::new(p) as _),
        child.stderr.take().map(|p| Box::new(p) as _),
    ];
    for pipe in pipes.into_iter().flatten() {
        let lines = lines.clone();
        readers.push(thread::spawn(move || pass_on(pipe, &lines)));
    }
    drop(lines);
    let mut output = String::new();
    for line in heard {
        println!("{line}");
        output.push_str(&line);
        output.push('\n');
    }
    for reader in readers {
        reader.join().expect("a reader only sends lines");
    }
    let content = child.wait()?.success();
    let written = fs::read_to_string(skips)?;
    let skipped: BTreeSet<String> = output
        .lines()
        .chain(written.lines())
        .filter(|l| l.starts_with("SKIPPED: "))
        .map(str::to_owned)
        .collect();
    // Those whose output the runner kept to itself are said here.
    for line in skipped.iter().filter(|l| !output.contains(l.as_str())) {
        println!("{line}");
    }
    Ok(Counts::of_runner(&output, &skipped, content))
}

/// Sends each line on; what is not UTF-8 in it is replaced, not lost.
fn pass_on(pipe: impl Read, lines: &mpsc::Sender<String>) {
    let mut pipe = BufReader::new(pipe);
    let mut line = Vec::new();
    while pipe.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
        let text = String::from_utf8_lossy(&line).trim_end().to_owned();
        if lines.send(text).is_err() {
            return;
        }
        line.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(script: &str, expect: Counts) {
        let skips = std::env::temp_dir().join(format!(
            "xtask-skips-{}-{}",
            std::process::id(),
            script.len()
        ));
        let counts = tested(Command::new("sh").args(["-c", script]), &skips);
        fs::remove_file(&skips).unwrap();
        assert_eq!(counts, expect);
    }

    #[test]
    fn both_pipes_are_heard() {
        check(
            "echo 'test result: ok. 2 passed; 0 failed; 0 ignored'; echo 'test result: ok. 1 passed; 0 failed; 0 ignored' >&2",
            Counts::new(3, 0, 0),
        );
    }

    #[test]
    fn a_skip_counts_once_whether_written_or_said() {
        check(
            "echo 'SKIPPED: a: no node'; echo 'SKIPPED: a: no node' >> $PUSHSERVER_SKIPS; \
             echo 'SKIPPED: b: no curl' >> $PUSHSERVER_SKIPS; echo 'test result: ok. 3 passed; 0 failed; 0 ignored'",
            Counts::new(1, 0, 2),
        );
    }

    #[test]
    fn a_runner_that_dies_without_a_word_failed() {
        check("kill -9 $$", Counts::new(0, 1, 0));
    }
}
