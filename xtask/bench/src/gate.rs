//! The gate: ratios that must hold, and when one that does not is more than noise.

use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::results::{Outcome, Results, Spread};

/// What a measured value must not exceed.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Bound {
    /// Where it is measured
    pub(crate) scenario: String,
    /// What is measured
    pub(crate) metric: String,
    /// Of which server
    #[serde(default = "ours")]
    pub(crate) server: String,
    /// As a multiple of which server's, round by round; the value itself if nothing is said
    #[serde(default)]
    pub(crate) versus: Option<String>,
    /// The bound, from above
    #[serde(default)]
    pub(crate) at_most: Option<f64>,
    /// The bound, from below
    #[serde(default)]
    pub(crate) at_least: Option<f64>,
    /// What a short run on a busy machine may measure at most: beyond it something was broken, not disturbed
    #[serde(default)]
    pub(crate) quick: Option<f64>,
}

/// A bound beside what was measured.
pub(crate) struct Verdict {
    /// What was asked
    pub(crate) bound: Bound,
    /// What was measured; `None` if it was not
    pub(crate) measured: Option<Spread>,
    /// The same of the floor, where it is a peer that we are held against: no server can do with less
    pub(crate) floor: Option<Spread>,
    /// Rounds it comes from
    pub(crate) rounds: usize,
}

/// How a measurement stands to its bound.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Standing {
    /// The median is within
    Reached,
    /// The median is beyond, the better quartile is not: more rounds would tell
    Unclear,
    /// Three quarters of the rounds are beyond
    Missed,
    /// Nothing was measured
    Unmeasured,
}

#[derive(Deserialize)]
struct File {
    bound: Vec<Bound>,
}

fn ours() -> String {
    "pushserver".to_owned()
}

/// Reads the bounds.
pub(crate) fn load(path: &Path) -> Result<Vec<Bound>> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let file: File = toml::from_str(&text).with_context(|| format!("in {}", path.display()))?;
    Ok(file.bound)
}

/// The bounds of a quick run: those that say what it may measure.
pub(crate) fn quick(bounds: &[Bound]) -> Vec<Bound> {
    let wider = bounds.iter().filter(|bound| bound.quick.is_some());
    wider
        .map(|bound| Bound {
            at_most: bound.quick,
            ..bound.clone()
        })
        .collect()
}

/// Holds the results against every bound.
pub(crate) fn judge(bounds: &[Bound], results: &Results) -> Vec<Verdict> {
    let judged = bounds.iter().map(|bound| {
        let outcome = results.outcomes.get(&bound.scenario);
        let values = outcome.map_or_else(Vec::new, |o| match &bound.versus {
            Some(versus) => o.ratios(&bound.metric, &bound.server, versus),
            None => o
                .row(&bound.server)
                .and_then(|r| r.samples.get(&bound.metric).cloned())
                .unwrap_or_default(),
        });
        let of_floor = |(outcome, versus): (&Outcome, &String)| {
            let floor = outcome
                .base
                .as_ref()
                .filter(|_| !versus.starts_with("floor"))?;
            Spread::of(&outcome.ratios(&bound.metric, floor, versus))
        };
        Verdict {
            bound: bound.clone(),
            measured: Spread::of(&values),
            floor: outcome.zip(bound.versus.as_ref()).and_then(of_floor),
            rounds: values.len(),
        }
    });
    judged.collect()
}

impl Verdict {
    /// How it stands.
    pub(crate) fn standing(&self) -> Standing {
        let Some(measured) = self.measured else {
            return Standing::Unmeasured;
        };
        let within = |value: f64| {
            self.bound.at_most.is_none_or(|most| value <= most)
                && self.bound.at_least.is_none_or(|least| value >= least)
        };
        // The better quartile: three quarters of the rounds are on its worse side.
        let better = if self.bound.at_most.is_some() {
            measured.low
        } else {
            measured.high
        };
        if within(measured.median) {
            Standing::Reached
        } else if within(better) {
            Standing::Unclear
        } else {
            Standing::Missed
        }
    }

    /// The bound in words.
    pub(crate) fn asked(&self) -> String {
        let limit = match (self.bound.at_most, self.bound.at_least) {
            (Some(most), _) => format!("at most {most}"),
            (None, Some(least)) => format!("at least {least}"),
            (None, None) => "anything".to_owned(),
        };
        match &self.bound.versus {
            Some(versus) => format!("{limit} x {versus}"),
            None => limit,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(values: &[f64], at_most: f64, expect: Standing) {
        let bound = Bound {
            scenario: String::new(),
            metric: String::new(),
            server: ours(),
            versus: None,
            at_most: Some(at_most),
            at_least: None,
            quick: None,
        };
        let verdict = Verdict {
            bound,
            measured: Spread::of(values),
            floor: None,
            rounds: values.len(),
        };
        assert_eq!(verdict.standing(), expect);
    }

    #[test]
    fn a_bound_is_missed_only_when_the_better_quartile_is_beyond_it() {
        check(&[1.0, 1.02, 1.04, 1.06], 1.08, Standing::Reached);
        check(&[1.0, 1.09, 1.1, 1.11], 1.08, Standing::Unclear);
        check(&[1.1, 1.12, 1.1, 1.15], 1.08, Standing::Missed);
        check(&[], 1.08, Standing::Unmeasured);
    }
}
