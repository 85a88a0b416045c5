//! What is wrong with a configuration, said so that it can be put right.

use std::fmt;
use std::path::PathBuf;

/// Everything that is wrong with a configuration
///
/// All problems are told at once, one line each. Values of settings that may hold secrets are never part of the text.
#[derive(Debug, thiserror::Error)]
pub struct ConfigError {
    problems: Vec<Problem>,
}

impl ConfigError {
    pub(super) fn new(problems: Vec<Problem>) -> Self {
        Self { problems }
    }

    /// What is wrong, in the order in which it was found
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl From<Problem> for ConfigError {
    fn from(problem: Problem) -> Self {
        Self {
            problems: vec![problem],
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

/// One thing that is wrong
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// The file cannot be read
    #[error("{}: {reason}", path.display())]
    Unreadable {
        /// Which file
        path: PathBuf,
        /// What the operating system says
        reason: std::io::Error,
    },
    /// The file is not TOML
    ///
    /// Only the parser's message is told and never the line itself, which may hold a secret.
    #[error("{origin}: {message}")]
    Syntax {
        /// Where it stands
        origin: Origin,
        /// What the parser says
        message: String,
    },
    /// A key that does not exist
    #[error("{origin}: unknown setting {key}{}", nearest.as_ref().map(Nearest::question).unwrap_or_default())]
    UnknownKey {
        /// Where it stands
        origin: Origin,
        /// The key as it was written
        key: String,
        /// The known key that was perhaps meant
        nearest: Option<Nearest>,
    },
    /// A value that is not what its setting wants
    #[error("{origin}: {key} is {}, expected {wants}", value.as_deref().unwrap_or("not as it should be (the value is not shown)"))]
    BadValue {
        /// Where it stands
        origin: Origin,
        /// Which setting
        key: String,
        /// The value as it was written, unless it might be a secret
        value: Option<String>,
        /// What would be right
        wants: &'static str,
    },
    /// Settings that are each right and together wrong
    #[error("{0}")]
    Conflict(String),
}

/// Where a value comes from
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A line of the configuration file
    File {
        /// Which file
        path: PathBuf,
        /// Line, counted from 1
        line: usize,
    },
    /// An environment variable
    Variable(String),
    /// A flag, be it one of its own (`--listen`) or `--set`
    CommandLine,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Variable(name) => write!(f, "environment variable {name}"),
            Self::CommandLine => f.write_str("command line"),
        }
    }
}

/// A known name that resembles an unknown one
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nearest(String);

impl Nearest {
    /// The candidate most like `name`, if one is like it at all
    ///
    /// A setting that was put into the wrong section, or into none, is recognised by its last part.
    pub(super) fn among(name: &str, candidates: impl Iterator<Item = String>) -> Option<Self> {
        let last = |key: &str| key.rsplit(['.', '_']).next().map(str::to_owned);
        let score = |candidate: &String| {
            let whole = strsim::normalized_damerau_levenshtein(name, candidate);
            let moved = candidate.rsplit_once('.').map_or(0.0, |(_, own)| {
                let own_of_name = name.rsplit('.').next().unwrap_or(name);
                0.9 * strsim::normalized_damerau_levenshtein(own_of_name, own)
            });
            let akin = last(name) == last(candidate);
            // Many settings share the last word of their names, so half a likeness of it says nothing.
            let moved = if moved >= MIN_LIKENESS_ALONE {
                moved
            } else {
                0.0
            };
            whole.max(moved) + if akin { 0.05 } else { 0.0 }
        };
        candidates
            .map(|candidate| (score(&candidate), candidate))
            .max_by(|a, b| a.0.total_cmp(&b.0))
            .filter(|(score, _)| *score >= MIN_LIKENESS)
            .map(|(_, candidate)| Self(candidate))
    }

    /// The name
    pub fn name(&self) -> &str {
        &self.0
    }

    fn question(&self) -> String {
        format!("; did you mean {}?", self.0)
    }
}

/// Below this a suggestion is more confusing than none
const MIN_LIKENESS: f64 = 0.6;

/// The same for a likeness of the last parts alone
const MIN_LIKENESS_ALONE: f64 = 0.7;
