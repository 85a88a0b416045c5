//! Fan-out, replay and publishing beside `tokio::sync::broadcast` and a bare loop that clones an `Arc`.
//!
//! Times are ratios within one round, because absolute times of a shared machine mean nothing; the table gives the
//! median over the rounds and, in brackets, the quartiles. Beside them stand allocations and, where there is a Valgrind,
//! instructions, which are the same on any machine. All sides run on one thread over the same little executor. Run by
//! `cargo xtask bench pushcore`; `--quick` for few rounds, `--instructions` for nothing but the counts, `--times` for
//! nothing but the times, `--resume` for nothing but resuming.

mod allocations;
mod compare;
mod executor;
mod fan_out;
mod instructions;
mod memory;
mod replay;
mod work;

use std::time::Instant;

use compare::{Side, compare, show};
use fan_out::{Scenario, Turns, Who};
use work::delivering;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let has = |name: &str| arguments.iter().any(|argument| argument == name);
    let scenarios = Scenario::all();
    if let Some(at) = arguments
        .iter()
        .position(|argument| argument == instructions::ONE_SIDE)
    {
        instructions::run_one_side(&scenarios, &arguments[at + 1..]);
        return;
    }
    if has("--resume") {
        replay::resume(21);
        return;
    }
    if !has("--instructions") {
        let rounds = if has("--quick") { 25 } else { 151 };
        times(&scenarios, rounds);
        if has("--times") {
            return;
        }
        println!();
        replay::replay(rounds.min(5));
        replay::resume(rounds.min(21));
        memory::memory();
        println!();
    }
    counts(&scenarios);
}

fn times(scenarios: &[Scenario], rounds: usize) {
    println!("| scenario | time x broadcast | time x bare Arc clones | ns an event and delivery |");
    println!("| --- | --- | --- | --- |");
    for scenario in scenarios {
        let per_round = scenario.turns * scenario.deliveries;
        let sides = Who::ALL.map(|who| -> Side<'_> {
            let mut side: Turns = scenario.side(who);
            Box::new(move || {
                // The side before has filled the caches with its own; that is paid for by turns that are not timed, as many
                // as it takes to go once round the rings of a thousand channels.
                side(scenario.turns.min(16));
                let start = Instant::now();
                delivering(per_round, || side(scenario.turns));
                start.elapsed().as_secs_f64()
            })
        });
        let (time, ratios) = compare(rounds, &mut Vec::from(sides));
        let each = scenario.turns * scenario.deliveries.max(scenario.events);
        println!(
            "| {} | {} | {} | {:.0} |",
            scenario.name,
            show(ratios[1]),
            show(ratios[2]),
            time * 1e9 / each as f64,
        );
    }
}

/// Allocations and instructions for each event (or, where there are more of them, delivery).
fn counts(scenarios: &[Scenario]) {
    let countable = instructions::are_countable();
    if !countable {
        println!("no instructions are counted: there is no valgrind here");
    }
    println!(
        "| scenario | allocations an event, pushcore / broadcast | instructions a delivery, pushcore / broadcast | ratio |"
    );
    println!("| --- | --- | --- | --- |");
    for (index, scenario) in scenarios.iter().enumerate() {
        let allocations = [Who::Pushcore, Who::Broadcast].map(|who| {
            let mut side = scenario.side(who);
            // The ring is full by then, and so are the lists that grow.
            side((2048 / scenario.events).max(32));
            let before = allocations::count();
            side(scenario.turns);
            let allocations = allocations::count() - before;
            allocations as f64 / (scenario.turns * scenario.events) as f64
        });
        let each = scenario.deliveries.max(scenario.events) as f64;
        let told = match countable {
            true => {
                let [ours, theirs] = [Who::Pushcore, Who::Broadcast]
                    .map(|who| instructions::of_a_turn(index, scenario, who) / each);
                format!("{ours:.0} / {theirs:.0} | {:.2}", ours / theirs)
            }
            false => "- | -".to_owned(),
        };
        println!(
            "| {} | {:.2} / {:.2} | {told} |",
            scenario.name, allocations[0], allocations[1]
        );
    }
}
