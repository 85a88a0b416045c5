//! How many passed, failed and were skipped, read from what the runners print.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::{Add, AddAssign};

use anyhow::Result;

/// Tests and checks by how they ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
}

impl Counts {
    pub(crate) const PASSED_CHECK: Self = Self::new(1, 0, 0);
    pub(crate) const FAILED_CHECK: Self = Self::new(0, 1, 0);

    pub(crate) const fn new(passed: u64, failed: u64, skipped: u64) -> Self {
        Self {
            passed,
            failed,
            skipped,
        }
    }

    /// One check, which says what was wrong.
    pub(crate) fn of_check(outcome: Result<()>) -> Self {
        match outcome {
            Ok(()) => Self::PASSED_CHECK,
            Err(e) => {
                println!("{e:#}");
                Self::FAILED_CHECK
            }
        }
    }

    /// One check that could not be made.
    pub(crate) fn skip(check: &str, reason: &str) -> Self {
        println!("SKIPPED: {check}: {reason}");
        Self::new(0, 0, 1)
    }

    /// What a test runner printed, Cargo's own or nextest, and whether it was content.
    ///
    /// `skipped` are the lines in which tests said that they skipped themselves; for the runner they passed.
    /// A runner that was not content though no test failed could not run: that is one failure.
    pub(crate) fn of_runner(output: &str, skipped: &BTreeSet<String>, content: bool) -> Self {
        let mut counts: Self = output
            .lines()
            .filter_map(summary)
            .fold(Self::default(), Self::add);
        let skips = skipped.len() as u64;
        counts.skipped += skips;
        counts.passed = counts.passed.saturating_sub(skips);
        if !content && counts.failed == 0 {
            counts.failed = 1;
        }
        counts
    }
}

impl Add for Counts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self::new(
            self.passed + other.passed,
            self.failed + other.failed,
            self.skipped + other.skipped,
        )
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            passed,
            failed,
            skipped,
        } = self;
        write!(f, "{passed} passed, {failed} failed, {skipped} skipped")
    }
}

/// The closing line of a test binary or of nextest.
///
/// A test binary's stands at the margin; nextest shows those of tests that failed further in, and counts them itself.
fn summary(line: &str) -> Option<Counts> {
    if let Some(rest) = line.strip_prefix("test result: ") {
        let (_, numbers) = rest.split_once(". ")?;
        return Some(Counts::new(
            number_before(numbers, "passed"),
            number_before(numbers, "failed"),
            number_before(numbers, "ignored"),
        ));
    }
    let (_, numbers) = line
        .trim()
        .strip_prefix("Summary [")?
        .split_once("tests run:")
        .or_else(|| line.split_once("test run:"))?;
    let failed = ["failed", "timed out", "exec failed"].map(|word| number_before(numbers, word));
    Some(Counts::new(
        number_before(numbers, "passed"),
        failed.iter().sum(),
        0,
    ))
}

/// The number that stands before the word, in a list such as `3 passed (1 slow), 2 failed`.
fn number_before(list: &str, word: &str) -> u64 {
    list.split([',', ';'])
        .map(str::trim)
        .find_map(|item| {
            let (number, rest) = item.split_once(' ')?;
            let named = rest == word || rest.strip_prefix(word)?.starts_with([' ', '(']);
            named.then(|| number.parse().ok())?
        })
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(output: &str, skipped: &[&str], content: bool, expect: Counts) {
        let skipped = skipped.iter().map(|s| (*s).to_owned()).collect();
        assert_eq!(Counts::of_runner(output, &skipped, content), expect);
    }

    #[test]
    fn the_summaries_of_many_test_binaries_add_up() {
        check(
            "running 2 tests\ntest result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 1 filtered out; finished in 0.1s\n\
             test result: FAILED. 3 passed; 1 failed; 2 ignored; 0 measured; 0 filtered out; finished in 0.1s",
            &[],
            false,
            Counts::new(5, 1, 2),
        );
    }

    #[test]
    fn the_summary_of_nextest_is_read() {
        check(
            "     Summary [   0.012s] 8 tests run: 5 passed (1 slow), 2 failed, 1 timed out, 4 skipped",
            &[],
            false,
            Counts::new(5, 3, 0),
        );
        check(
            "     Summary [   0.012s] 1 test run: 1 passed, 0 skipped",
            &[],
            true,
            Counts::new(1, 0, 0),
        );
    }

    #[test]
    fn what_nextest_shows_of_a_failed_test_is_not_counted_again() {
        check(
            "        FAIL [   0.1s] (1/2) a b\n    test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 1 filtered out\n\
                  Summary [   0.012s] 2 tests run: 1 passed, 1 failed, 0 skipped",
            &[],
            false,
            Counts::new(1, 1, 0),
        );
    }

    #[test]
    fn a_test_that_skipped_itself_did_not_pass() {
        check(
            "test result: ok. 5 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.1s",
            &["SKIPPED: a: no chromium", "SKIPPED: b: no node"],
            true,
            Counts::new(3, 0, 2),
        );
    }

    #[test]
    fn a_runner_that_could_not_run_is_a_failure() {
        check(
            "error: could not compile `x`",
            &[],
            false,
            Counts::new(0, 1, 0),
        );
    }

    #[test]
    fn the_closing_line_is_plain() {
        assert_eq!(
            Counts::new(12, 0, 3).to_string(),
            "12 passed, 0 failed, 3 skipped"
        );
    }
}
