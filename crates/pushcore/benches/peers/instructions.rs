//! Instructions, counted by Valgrind: they do not depend on what else the machine is doing.
//!
//! The bench starts itself under `callgrind` with one side of one scenario, for a few turns and for more; the difference,
//! divided by the turns, has neither the setting up in it nor the first turns.

use std::process::{Command, Stdio};

use crate::fan_out::{Scenario, Who};
use crate::work::delivering;

/// What the bench is started with under Valgrind
pub(crate) const ONE_SIDE: &str = "--one-side";

/// Is there a Valgrind?
pub(crate) fn are_countable() -> bool {
    Command::new("valgrind")
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Instructions of one turn of one side.
pub(crate) fn of_a_turn(index: usize, scenario: &Scenario, who: Who) -> f64 {
    // The ring has gone round before anything is counted, unless so many deliveries would take minutes here and hide what
    // the ring costs anyway.
    let deliveries = scenario.deliveries.max(1);
    let warm = (2048 / scenario.events).min(400_000 / deliveries) + 4;
    let more = (200_000 / deliveries).clamp(4, 64);
    (collected(index, who, warm + more) - collected(index, who, warm)) / more as f64
}

/// Runs one side, as it was bidden on the command line.
pub(crate) fn run_one_side(scenarios: &[Scenario], arguments: &[String]) {
    let number = |index: usize| arguments[index].parse::<usize>().expect("a number");
    let scenario = &scenarios[number(0)];
    let turns = number(2) as u64;
    let mut side = scenario.side(Who::ALL[number(1)]);
    delivering(turns * scenario.deliveries, || side(turns));
}

fn collected(scenario: usize, who: Who, turns: u64) -> f64 {
    let this = std::env::current_exe().expect("a program knows where it is");
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(this)
        .arg(ONE_SIDE)
        .args([
            scenario.to_string(),
            (who as usize).to_string(),
            turns.to_string(),
        ])
        .output()
        .expect("it was there a moment ago");
    let said = String::from_utf8_lossy(&output.stderr);
    let line = said.lines().find(|line| line.contains("Collected :"));
    let number = line.and_then(|line| line.split_whitespace().last()?.parse().ok());
    number.unwrap_or_else(|| panic!("valgrind counted nothing:\n{said}"))
}
