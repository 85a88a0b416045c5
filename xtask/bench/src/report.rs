//! What a run says: tables on the terminal, and the page made from all results.

use std::fs;
use std::path::Path;
use std::time::Instant;

use anyhow::Result;

use crate::contest;
use crate::gate::{Bound, Standing, Verdict};
use crate::results::{Outcome, Results, Row, Spread};

mod chart;
mod page;

/// A metric in words.
pub(crate) struct Metric {
    /// Its name in the results
    pub(crate) name: &'static str,
    /// A table's column
    pub(crate) title: &'static str,
    /// Whether it is given as a multiple of the base too
    pub(crate) compared: bool,
}

/// Every metric, in the order of columns.
pub(crate) const METRICS: [Metric; 18] = [
    metric("cpu", "CPU, us each", true),
    metric("throughput", "events/s", false),
    metric("faults", "fresh pages a thousand", false),
    metric("p50", "p50, ms", true),
    metric("p99", "p99, ms", true),
    metric("p999", "p99.9, ms", true),
    metric("rss", "KiB a connection", false),
    metric("connect", "CPU a connect, us", true),
    metric("syscalls", "system calls each", true),
    metric("instructions", "instructions each", true),
    metric("kept", "throughput kept", false),
    metric("slow-rss", "KiB a slow reader", false),
    metric("sent-mib", "MiB sent to each", false),
    metric("lost", "missed by the slow", false),
    metric("announced", "of these announced", false),
    metric("silent", "silently lost", false),
    metric("cut-without-a-word", "cut without a word", false),
    metric("bytes", "bytes each", true),
];

const fn metric(name: &'static str, title: &'static str, compared: bool) -> Metric {
    Metric {
        name,
        title,
        compared,
    }
}

/// Prints a scenario's table.
pub(crate) fn print(outcome: &Outcome) {
    let (head, rows) = table(outcome);
    let mut widths: Vec<usize> = head.iter().map(|h| h.chars().count()).collect();
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    for row in std::iter::once(&head).chain(&rows) {
        let cells = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:<width$}"));
        println!("  {}", cells.collect::<Vec<_>>().join("  ").trim_end());
    }
    for row in &outcome.rows {
        if let Some(note) = &row.note {
            println!("  {}: {note}", row.server);
        }
    }
}

/// Head and rows of a scenario's table: for each metric that was measured, its spread and its ratio to the base.
pub(crate) fn table(outcome: &Outcome) -> (Vec<String>, Vec<Vec<String>>) {
    let measured = |m: &&Metric| outcome.rows.iter().any(|r| r.samples.contains_key(m.name));
    let metrics: Vec<&Metric> = METRICS.iter().filter(measured).collect();
    let mut head = vec!["server".to_owned()];
    for metric in &metrics {
        head.push(metric.title.to_owned());
        if let (true, Some(base)) = (metric.compared, &outcome.base) {
            head.push(format!("x {base}"));
        }
    }
    let row = |row: &Row| {
        let mut cells = vec![row.server.clone()];
        for metric in &metrics {
            cells.push(
                row.spread(metric.name)
                    .map_or_else(String::new, |s| number(s.median)),
            );
            if let (true, Some(base)) = (metric.compared, &outcome.base) {
                let ratio = Spread::of(&outcome.ratios(metric.name, &row.server, base));
                cells.push(ratio.map_or_else(String::new, |s| spread(&s)));
            }
        }
        cells
    };
    (head, outcome.rows.iter().map(row).collect())
}

/// A median with its quartiles.
pub(crate) fn spread(spread: &Spread) -> String {
    if spread.low == spread.high {
        return number(spread.median);
    }
    format!(
        "{} [{}-{}]",
        number(spread.median),
        number(spread.low),
        number(spread.high)
    )
}

/// Three digits, or whole thousands.
pub(crate) fn number(value: f64) -> String {
    match value.abs() {
        v if v >= 1e6 => format!("{:.2} M", value / 1e6),
        v if v >= 10_000.0 => format!("{:.0} k", value / 1e3),
        v if v >= 100.0 => format!("{value:.0}"),
        v if v >= 10.0 => format!("{value:.1}"),
        v if v >= 1.0 || v == 0.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// Prints the bounds that were measured and returns how many are missed.
pub(crate) fn print_verdicts(verdicts: &[Verdict]) -> usize {
    let mut missed = 0;
    println!();
    for verdict in verdicts {
        let Some(measured) = verdict.measured else {
            continue;
        };
        let standing = match verdict.standing() {
            Standing::Reached => "reached",
            Standing::Unclear => "unclear",
            Standing::Missed => "MISSED",
            Standing::Unmeasured => continue,
        };
        missed += usize::from(verdict.standing() == Standing::Missed);
        println!(
            "{standing:<8} {:<18} {:<12} {} ({} rounds), {}",
            verdict.bound.scenario,
            verdict.bound.metric,
            spread(&measured),
            verdict.rounds,
            verdict.asked()
        );
    }
    missed
}

/// The machine in a few lines.
pub(crate) fn machine() -> Vec<String> {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let cpuinfo = read("/proc/cpuinfo");
    let field = |text: &str, name: &str| {
        let line = text
            .lines()
            .find(|l| l.starts_with(name))
            .unwrap_or_default();
        line.split(':').nth(1).unwrap_or_default().trim().to_owned()
    };
    let cores = cpuinfo
        .lines()
        .filter(|l| l.starts_with("processor"))
        .count();
    let family = (field(&cpuinfo, "cpu family"), field(&cpuinfo, "model\t"));
    let guest = if cpuinfo.contains(" hypervisor") {
        ", a virtual machine"
    } else {
        ""
    };
    vec![
        format!(
            "{} (family {}, model {}), {cores} cores{guest}",
            field(&cpuinfo, "model name"),
            family.0,
            family.1
        ),
        format!("Linux {}", read("/proc/sys/kernel/osrelease").trim()),
        format!("memory {}", field(&read("/proc/meminfo"), "MemTotal")),
        fresh_page(),
    ]
}

/// What the kernel takes for a page that a process touches for the first time: a virtual machine may have to ask its host.
fn fresh_page() -> String {
    const REGION: usize = 64 << 20;
    let mut regions = Vec::new();
    let mut costs: Vec<f64> = Vec::new();
    for _ in 0..8 {
        let mut region = vec![0_u8; REGION];
        let start = Instant::now();
        region.iter_mut().step_by(4096).for_each(|byte| *byte = 1);
        costs.push(start.elapsed().as_secs_f64() * 1e6 / contest::as_f64((REGION / 4096) as u64));
        // Kept, or the next one would be given the same pages.
        regions.push(region);
    }
    costs.sort_by(f64::total_cmp);
    format!(
        "a fresh page of memory (4 KiB): {} to {} us",
        number(costs[0]),
        number(costs[costs.len() - 1])
    )
}

/// Writes docs/PERFORMANCE.md and its charts.
pub(crate) fn write(results: &Results, bounds: &[Bound], root: &Path) -> Result<()> {
    let dir = root.join("docs/performance");
    fs::create_dir_all(&dir)?;
    results.write(&dir.join("results.json"))?;
    for (name, svg) in chart::all(results) {
        fs::write(dir.join(name), svg)?;
    }
    fs::write(
        root.join("docs/PERFORMANCE.md"),
        page::render(results, bounds),
    )?;
    println!("docs/PERFORMANCE.md is written");
    Ok(())
}
