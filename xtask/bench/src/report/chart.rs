//! Bar charts as SVG: one bar a server, its quartiles as a whisker.

use crate::report::number;
use crate::results::{Outcome, Results, Spread};

/// A chart of the page: which scenario and metric it shows.
struct Chart {
    file: &'static str,
    title: &'static str,
    scenario: &'static str,
    metric: &'static str,
    versus: Option<&'static str>,
}

const CHARTS: [Chart; 6] = [
    chart(
        "ws-w1.svg",
        "WebSocket, 1,000 subscribers, one event in flight: CPU a delivery, x floor",
        "ws-1000-128-w1",
        "cpu",
        Some("floor"),
    ),
    chart(
        "ws-w16.svg",
        "WebSocket, 1,000 subscribers, 16 events in flight: CPU a delivery, x floor",
        "ws-1000-128-w16",
        "cpu",
        Some("floor"),
    ),
    chart(
        "sse-w1.svg",
        "Event stream, 1,000 subscribers, one event in flight: CPU a delivery, x floor",
        "sse-1000-128-w1",
        "cpu",
        Some("floor"),
    ),
    chart(
        "sse-w16.svg",
        "Event stream, 1,000 subscribers, 16 events in flight: CPU a delivery, x floor",
        "sse-1000-128-w16",
        "cpu",
        Some("floor"),
    ),
    chart(
        "idle-ws.svg",
        "10,000 idle WebSockets: KiB of memory each",
        "idle-ws",
        "rss",
        None,
    ),
    chart(
        "idle-sse.svg",
        "10,000 idle event streams: KiB of memory each",
        "idle-sse",
        "rss",
        None,
    ),
];

const fn chart(
    file: &'static str,
    title: &'static str,
    scenario: &'static str,
    metric: &'static str,
    versus: Option<&'static str>,
) -> Chart {
    Chart {
        file,
        title,
        scenario,
        metric,
        versus,
    }
}

/// File name and content of every chart that something was measured for.
pub(crate) fn all(results: &Results) -> Vec<(&'static str, String)> {
    let drawn = CHARTS.iter().filter_map(|chart| {
        let outcome = results.outcomes.get(chart.scenario)?;
        Some((chart.file, draw(chart, &bars(chart, outcome))))
    });
    drawn.collect()
}

/// The charts of a scenario: file and title.
pub(crate) fn of(scenario: &str) -> impl Iterator<Item = (&'static str, &'static str)> {
    CHARTS
        .iter()
        .filter(move |c| c.scenario == scenario)
        .map(|c| (c.file, c.title))
}

fn bars(chart: &Chart, outcome: &Outcome) -> Vec<(String, Spread)> {
    let mut bars: Vec<_> = outcome
        .rows
        .iter()
        .filter_map(|row| {
            let spread = match chart.versus {
                Some(base) => Spread::of(&outcome.ratios(chart.metric, &row.server, base)),
                None => row.spread(chart.metric),
            };
            Some((row.server.clone(), spread?))
        })
        .collect();
    bars.sort_by(|a, b| a.1.median.total_cmp(&b.1.median));
    bars
}

const LABEL: f64 = 130.0;
const PLOT: f64 = 430.0;
const LINE: f64 = 24.0;

fn draw(chart: &Chart, bars: &[(String, Spread)]) -> String {
    let longest = bars
        .iter()
        .map(|(_, s)| s.high.max(s.median))
        .fold(f64::MIN_POSITIVE, f64::max);
    let x = |value: f64| LABEL + PLOT * value / longest;
    let (mut y, mut body) = (40.0, String::new());
    for (server, spread) in bars {
        let color = match server.as_str() {
            "pushserver" => "#c2410c",
            name if name.starts_with("floor") => "#a3a3a3",
            _ => "#64748b",
        };
        let middle = y + 8.0;
        body.push_str(&format!(
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{server}</text>\
             <rect x=\"{LABEL}\" y=\"{y}\" width=\"{:.1}\" height=\"16\" fill=\"{color}\"/>\
             <path d=\"M{:.1} {middle}H{:.1}\" stroke=\"#171717\"/>\
             <text x=\"{:.1}\" y=\"{}\">{}</text>\n",
            LABEL - 8.0,
            y + 12.5,
            x(spread.median) - LABEL,
            x(spread.low),
            x(spread.high),
            x(spread.high.max(spread.median)) + 6.0,
            y + 12.5,
            number(spread.median),
        ));
        y += LINE;
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 640 {:.0}\" font-family=\"sans-serif\" font-size=\"12\">\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\
         <text x=\"8\" y=\"22\" font-size=\"13\" font-weight=\"bold\">{}</text>\n{body}</svg>\n",
        y + 8.0,
        chart.title
    )
}
