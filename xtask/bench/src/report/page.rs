//! docs/PERFORMANCE.md, from the results alone.

use crate::gate::{self, Bound, Standing};
use crate::report::{chart, number, spread, table};
use crate::results::Results;

/// The page.
pub(crate) fn render(results: &Results, bounds: &[Bound]) -> String {
    format!(
        "# Performance\n\n{INTRODUCTION}\n\n## The machine\n\n{}\n\n## The bounds\n\n{}\n\n## What it means for sizing\n\n{}\n\n## The servers\n\n{}\n\n## The measurements\n\n{}",
        results
            .machine
            .iter()
            .map(|l| format!("- {l}\n"))
            .collect::<String>()
            .trim_end(),
        verdicts(results, bounds),
        sizing(results),
        servers(results),
        measurements(results),
    )
}

const INTRODUCTION: &str = "This page is written by `cargo xtask bench server --report` from the results of `cargo xtask bench server`, which
are kept beside it in `docs/performance/results.json`. Nothing on it is typed by hand.

**Read the ratios.** A virtual machine differs from itself by 40 % within minutes, so an absolute time means little here and less
elsewhere. Every server gets a short slice in each round, in an order that shifts, and a ratio is taken within its round. Given are the median
and, in brackets, the quartiles over the rounds.

**The floor** is the least a push server can do: one thread, one epoll, one `send()` of ready bytes for each event and
subscriber, without a log, limits or timers. `floor-batch` sends all that one read brought in one `send()`. For event streams it sends the same bytes
as pushserver does.

**Method.** Server and load generator run on cores of their own, over loopback, in clear text, with TCP_NODELAY. The generator is one thread that
spins on epoll, so that no server pays for waking it, and counts events by a byte that occurs once in each. CPU is the
scheduler's own count over the server's whole process tree. Before anything is counted, a fleet whose every byte is parsed checks the same server for loss, duplicates and
order. \"In flight\" is how many events are published at once before the next wait for them: with one nobody can join writes, with
sixteen a server that joins what waits for a connection sends one packet where another sends sixteen. Latencies are open loop: they
count from when an event was due. Instructions are those of the server's own code (callgrind), system calls are counted by strace; neither depends on the
machine's mood. A fresh page is one that the kernel had to give to the server during the slice: a log that grows needs them,
one that has reached its retention does not.";

fn verdicts(results: &Results, bounds: &[Bound]) -> String {
    let mut out = String::from(
        "| scenario | metric | bound | measured | the floor itself | rounds | |\n|---|---|---|---|---|---|---|\n",
    );
    for verdict in gate::judge(bounds, results) {
        let (measured, standing) = match (verdict.measured, verdict.standing()) {
            (Some(measured), Standing::Reached) => (spread(&measured), "reached"),
            (Some(measured), Standing::Unclear) => (spread(&measured), "within the noise"),
            (Some(measured), _) => (spread(&measured), "**missed**"),
            (None, _) => (String::from("-"), "not measured"),
        };
        out.push_str(&format!(
            "| {} | {} | {} | {measured} | {} | {} | {standing} |\n",
            verdict.bound.scenario,
            verdict.bound.metric,
            verdict.asked(),
            verdict.floor.as_ref().map_or_else(String::new, spread),
            verdict.rounds
        ));
    }
    out.trim_end().to_owned()
}

/// What the figures of our own server mean to who plans machines for it.
fn sizing(results: &Results) -> String {
    let ours = |scenario: &str, metric: &str| {
        results
            .outcomes
            .get(scenario)?
            .row("pushserver")?
            .spread(metric)
    };
    let mut lines = Vec::new();
    for (scenario, what) in [
        ("idle-ws", "idle WebSockets"),
        ("idle-sse", "idle event streams"),
    ] {
        if let Some(rss) = ours(scenario, "rss") {
            lines.push(format!(
                "- One GiB holds {} {what} ({} KiB each), besides what the kernel keeps for their sockets.",
                number(1_048_576.0 / rss.median),
                number(rss.median)
            ));
        }
        if let Some(connect) = ours(scenario, "connect") {
            lines.push(format!(
                "- One core makes {} of them a second.",
                number(1e6 / connect.median)
            ));
        }
    }
    for (scenario, what) in [
        (
            "ws-1000-128-w1",
            "WebSocket deliveries a second when events come one by one",
        ),
        ("ws-1000-128-w16", "when sixteen come at once"),
        (
            "sse-1000-128-w1",
            "event stream deliveries a second when events come one by one",
        ),
        ("sse-1000-128-w16", "when sixteen come at once"),
        (
            "replay-500x200",
            "events a second to clients that come back",
        ),
        (
            "publish-post",
            "events published a second by one HTTP request each",
        ),
        (
            "publish-batch",
            "events published a second by batches of 100",
        ),
    ] {
        if let Some(cpu) = ours(scenario, "cpu") {
            lines.push(format!(
                "- One core makes {} {what} ({} us each).",
                number(1e6 / cpu.median),
                number(cpu.median)
            ));
        }
    }
    lines.join("\n")
}

fn servers(results: &Results) -> String {
    let lines = results
        .about
        .iter()
        .map(|(name, about)| format!("- **{name}**: {about}\n"));
    lines.collect::<String>().trim_end().to_owned()
}

/// What `cargo xtask doors` measures
const DOORS: [&str; 2] = ["doors-sse", "doors-ws"];

fn measurements(results: &Results) -> String {
    let mut out = String::new();
    let scenarios = crate::scenario::all().into_iter().map(|s| s.name);
    for name in scenarios.chain(DOORS.map(str::to_owned)) {
        let Some(outcome) = results.outcomes.get(&name) else {
            continue;
        };
        out.push_str(&format!("### {}\n\n", capital(&outcome.title)));
        let (head, rows) = table(outcome);
        out.push_str(&format!(
            "| {} |\n|{}\n",
            head.join(" | "),
            "---|".repeat(head.len())
        ));
        for row in rows {
            out.push_str(&format!("| {} |\n", row.join(" | ")));
        }
        out.push('\n');
        for (file, title) in chart::of(&name) {
            out.push_str(&format!("![{title}](performance/{file})\n\n"));
        }
        for row in &outcome.rows {
            if let Some(note) = &row.note {
                out.push_str(&format!("- {}: {note}\n", row.server));
            }
        }
        let verified: u64 = outcome.rows.iter().map(|r| r.verified).sum();
        if verified > 0 {
            out.push_str(&format!("{verified} events were checked one by one before: none lost, repeated or out of order.\n"));
        }
        let rounds = outcome.rounds();
        let command = match DOORS.contains(&name.as_str()) {
            true => format!("cargo xtask doors --rounds {rounds}"),
            false => format!("cargo xtask bench server --scenario {name} --rounds {rounds}"),
        };
        out.push_str(&format!("`{command}`\n\n"));
    }
    out.trim_end().to_owned() + "\n"
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}
