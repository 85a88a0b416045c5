//! What the hub says of itself.

use crate::delivery::Gap;
use crate::event::Event;
use crate::position::Position;
use crate::timestamp::Timestamp;
use std::sync::Arc;

/// What is known of a topic
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopicStatus {
    /// The position of its newest event, retained or not; `None` if it has had none that the log remembers
    pub last: Option<Position>,
    /// The offset of its oldest retained event; `None` if it has none
    pub first: Option<u64>,
    /// How many events are retained
    pub events: u64,
    /// Bytes of their data and labels
    pub bytes: u64,
    /// Whether it has ended
    pub ended: bool,
    /// How many subscriptions name it; those that reach it by a wildcard are not counted
    pub subscribers: usize,
}

/// What is known of a hub
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HubStats {
    /// Topics the log remembers
    pub topics: usize,
    /// Events retained
    pub events: usize,
    /// What they, their indexes and the topics cost, in bytes
    pub log_bytes: usize,
    /// What encodings cost, in bytes
    pub form_bytes: usize,
    /// Subscriptions
    pub subscriptions: usize,
    /// Different wildcard patterns subscribed to
    pub wildcards: usize,
    /// Idempotency keys remembered
    pub idempotency_keys: usize,
    /// Members present
    pub members: usize,
    /// Events published since the hub began
    pub published: u64,
    /// Events evicted since the hub began
    pub evicted: u64,
}

/// How far a subscription is behind
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Events retained that it has not read
    pub events: u64,
    /// Bytes of their data and labels
    pub bytes: u64,
    /// When the oldest of them was published
    pub oldest: Option<Timestamp>,
}

/// One page of history
#[derive(Clone, Debug)]
pub struct Page {
    /// The events, in offset order
    pub events: Vec<Arc<Event>>,
    /// What is missing before and between them; no range holds an event of the page for its pattern
    pub gaps: Vec<Gap>,
    /// Topics that ended within the page
    pub ends: Vec<crate::delivery::End>,
    /// What to ask for the next page after
    pub next: Position,
    /// Whether the page reaches the head
    pub up_to_date: bool,
}

impl Page {
    pub(crate) fn new(next: Position) -> Page {
        Page {
            events: Vec::new(),
            gaps: Vec::new(),
            ends: Vec::new(),
            next,
            up_to_date: false,
        }
    }
}
