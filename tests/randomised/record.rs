//! What one client got, in the order in which it got it.

use serde_json::Value;

/// The record of a client, over all of its connections.
#[derive(Clone, Debug, Default)]
pub(crate) struct Record {
    pub(crate) patterns: Vec<String>,
    /// The position it was given when it first came
    pub(crate) start: u64,
    pub(crate) seen: Vec<Seen>,
}

/// One thing it got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// An event; the topic is told unless the client follows just one
    Event {
        id: String,
        topic: Option<String>,
        data: String,
    },
    /// A range, both ends in it, in which events of a pattern may be missing
    Gap {
        pattern: String,
        from: u64,
        to: u64,
        missed: Option<u64>,
    },
    /// A position that the server claims: all up to it was told
    At(u64),
    /// The connection was cut, and it came back by this door
    Cut(&'static str),
}

impl Seen {
    /// A gap as JSON carries it everywhere.
    #[track_caller]
    pub(crate) fn gap(gap: &Value) -> Self {
        let text = |name: &str| gap[name].as_str().unwrap_or_else(|| panic!("{gap}"));
        Self::Gap {
            pattern: text("match").to_owned(),
            from: offset(text("from")),
            to: offset(text("to")),
            missed: gap["missed"].as_u64(),
        }
    }
}

impl Seen {
    /// For a fault's message: everything but the data.
    pub(crate) fn brief(&self) -> String {
        match self {
            Self::Event { id, .. } => offset(id).to_string(),
            Self::Gap {
                pattern, from, to, ..
            } => format!("gap({pattern}: {from}-{to})"),
            Self::At(position) => format!("at({position})"),
            Self::Cut(door) => format!("cut, by {door}"),
        }
    }
}

impl Record {
    pub(crate) fn events(&self) -> usize {
        self.count(|s| matches!(s, Seen::Event { .. }))
    }

    pub(crate) fn gaps(&self) -> usize {
        self.count(|s| matches!(s, Seen::Gap { .. }))
    }

    pub(crate) fn cuts(&self) -> usize {
        self.count(|s| matches!(s, Seen::Cut(_)))
    }

    fn count(&self, of: impl Fn(&Seen) -> bool) -> usize {
        self.seen.iter().filter(|s| of(s)).count()
    }
}

/// The offset in a position's text, which is its second part.
#[track_caller]
pub(crate) fn offset(position: &str) -> u64 {
    let parts: Vec<&str> = position.split('-').collect();
    match parts[..] {
        [_, offset, _] => offset.parse().unwrap(),
        _ => panic!("{position:?} is not a position"),
    }
}
