//! What was measured: samples by round, so that any two servers can be compared within their rounds.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// Everything a report is made from.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Results {
    /// The machine, one fact a line
    pub(crate) machine: Vec<String>,
    /// What each server is
    pub(crate) about: BTreeMap<String, String>,
    /// By scenario, the newest measurement of each
    pub(crate) outcomes: BTreeMap<String, Outcome>,
}

/// One scenario's measurement.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Outcome {
    /// What it does, in a line
    pub(crate) title: String,
    /// The server that ratios are to, if it took part
    pub(crate) base: Option<String>,
    /// What was measured of each server, in the order of the run
    pub(crate) rows: Vec<Row>,
}

/// One server in one scenario.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Row {
    /// The profile's name
    pub(crate) server: String,
    /// By metric, one value a round
    pub(crate) samples: BTreeMap<String, Vec<f64>>,
    /// Events that were parsed and checked before counting began
    pub(crate) verified: u64,
    /// What went wrong, in a server's own way of going wrong
    pub(crate) note: Option<String>,
}

/// A middle and how far the values stray from it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    /// Half of the values are below
    pub(crate) median: f64,
    /// A quarter is below
    pub(crate) low: f64,
    /// A quarter is above
    pub(crate) high: f64,
}

impl Spread {
    /// The quartiles of some values; `None` if there are none.
    pub(crate) fn of(values: &[f64]) -> Option<Spread> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        Some(Spread {
            median: quantile(&sorted, 0.5)?,
            low: quantile(&sorted, 0.25)?,
            high: quantile(&sorted, 0.75)?,
        })
    }
}

/// A quantile of sorted values, between two of them where it falls between.
pub(crate) fn quantile(sorted: &[f64], q: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    #[expect(
        clippy::cast_precision_loss,
        reason = "a sample count is far below 2^52"
    )]
    let at = q * last as f64;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and the last index"
    )]
    let below = at.floor() as usize;
    let above = (below + 1).min(last);
    Some(sorted[below] + (sorted[above] - sorted[below]) * at.fract())
}

impl Outcome {
    /// The row of a server.
    pub(crate) fn row(&self, server: &str) -> Option<&Row> {
        self.rows.iter().find(|r| r.server == server)
    }

    /// One server's metric as a multiple of another's, round by round.
    pub(crate) fn ratios(&self, metric: &str, server: &str, to: &str) -> Vec<f64> {
        let samples = |name| self.row(name).and_then(|r: &Row| r.samples.get(metric));
        match (samples(server), samples(to)) {
            (Some(ours), Some(theirs)) => ours.iter().zip(theirs).map(|(a, b)| a / b).collect(),
            _ => Vec::new(),
        }
    }

    /// How many rounds the longest row has.
    pub(crate) fn rounds(&self) -> usize {
        let lengths = self
            .rows
            .iter()
            .flat_map(|r| r.samples.values().map(Vec::len));
        lengths.max().unwrap_or(0)
    }
}

impl Row {
    /// The spread of a metric.
    pub(crate) fn spread(&self, metric: &str) -> Option<Spread> {
        Spread::of(self.samples.get(metric)?)
    }

    /// Adds a round's values.
    pub(crate) fn push(&mut self, sample: &[(&str, f64)]) {
        for (metric, value) in sample {
            self.samples
                .entry((*metric).to_owned())
                .or_default()
                .push(*value);
        }
    }
}

impl Results {
    /// Reads results back; empty if there are none yet.
    pub(crate) fn read(path: &Path) -> Result<Results> {
        match std::fs::read(path) {
            Ok(bytes) => {
                serde_json::from_slice(&bytes).with_context(|| format!("in {}", path.display()))
            }
            Err(_) => Ok(Results::default()),
        }
    }

    /// Adds what `cargo xtask doors` has left, if it has run: outcomes of its own, because the generator here speaks clear text.
    pub(crate) fn add_doors(&mut self, path: &Path) -> Result<()> {
        if let Ok(bytes) = std::fs::read(path) {
            let doors: BTreeMap<String, Outcome> =
                serde_json::from_slice(&bytes).with_context(|| format!("in {}", path.display()))?;
            self.outcomes.extend(doors);
        }
        Ok(())
    }

    /// Writes them, rounded to four digits so that the file can be read and compared.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        if let Some(dir) = path.parent() {
            std::fs::create_dir_all(dir)?;
        }
        std::fs::write(path, serde_json::to_string_pretty(self)? + "\n")?;
        Ok(())
    }
}

/// Four significant digits.
pub(crate) fn rounded(value: f64) -> f64 {
    format!("{value:.3e}").parse().unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quartiles_fall_between_values() {
        let spread = Spread::of(&[4.0, 1.0, 3.0, 2.0]).unwrap();
        assert_eq!((spread.low, spread.median, spread.high), (1.75, 2.5, 3.25));
    }

    #[test]
    fn ratios_are_taken_within_a_round() {
        let row = |server: &str, values: &[f64]| {
            let samples = BTreeMap::from([("cpu".to_owned(), values.to_vec())]);
            Row {
                server: server.to_owned(),
                samples,
                verified: 0,
                note: None,
            }
        };
        let rows = vec![
            row("floor", &[1.0, 2.0, 4.0]),
            row("ours", &[2.0, 4.0, 8.0]),
        ];
        let outcome = Outcome {
            title: String::new(),
            base: None,
            rows,
        };
        assert_eq!(outcome.ratios("cpu", "ours", "floor"), [2.0, 2.0, 2.0]);
    }
}
