//! The table.

use std::time::Duration;

use crate::attacks::Attack;
use crate::crowd::{EVENTS_PER_SECOND, READERS};
use crate::judge::{self, FLOOR, MAX_RATIO, SLACK, Seen, median, mib};

/// What the figures mean, before the first of them.
pub(crate) fn print_head(release: &str, cores: &str, windows: usize, seconds: f64) {
    println!("server: {release}; {cores}");
    println!(
        "honest: {READERS} readers (50 event streams, 25 push.v1, 25 plain WebSockets), {EVENTS_PER_SECOND} events/s; \
         p99 of quiet time and of the attack, medians of {windows} windows of {seconds} s each, taken in turn"
    );
    println!(
        "withstood: p99 at most {MAX_RATIO} times quiet time or below {FLOOR:?}; memory within its bound and {} of slack; \
         every offender told or closed as the table says\n",
        mib(SLACK)
    );
    println!(
        "| attack | at | the offender met | memory | bound | server CPU | quiet p99 | attack p99 | ratio | |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"
    );
}

/// One row; the sentences against the server follow it.
pub(crate) fn print_row(
    attack: &Attack,
    seen: &Seen,
    cpu: f64,
    faults: &[String],
    is_second_look: bool,
) {
    let told: Vec<String> = seen
        .told
        .0
        .iter()
        .map(|(answer, n)| format!("{answer} x{n}"))
        .collect();
    let verdict = match (faults.is_empty(), is_second_look) {
        (true, false) => "withstood",
        (true, true) => "withstood (second look)",
        (false, _) => "**FAILED**",
    };
    println!(
        "| {} | {} | {} | {} | {} | {:.0} % | {} | {} | {:.2} | {verdict} |",
        attack.name,
        attack.rate,
        told.join(", "),
        mib(seen.growth),
        mib(attack.bound.bytes + SLACK),
        cpu * 100.0,
        ms(median(&seen.quiet)),
        ms(median(&seen.attacked)),
        judge::ratio(seen),
    );
    for fault in faults {
        eprintln!("{}: {fault}", attack.name);
    }
}

/// What each attack is, for those who ask before.
pub(crate) fn print_list(attacks: &[Attack]) {
    for attack in attacks {
        println!("{}: {}", attack.name, attack.does);
        println!(
            "    at {}; the offender meets one of: {}",
            attack.rate,
            attack.told.join(", ")
        );
        println!(
            "    memory: {} ({})",
            mib(attack.bound.bytes),
            attack.bound.because
        );
    }
}

fn ms(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1000.0)
}
