//! One topic's part of the log.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crate::event::{Event, Header, Record};
use crate::position::Tag;
use crate::readers::Readers;
use crate::timestamp::Timestamp;

/// What a log no longer has of a feed
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lost {
    /// Events at or below this offset may be gone, those above it are all there
    pub(crate) through: u64,
    /// When the last of those was published
    pub(crate) time: Timestamp,
}

impl Lost {
    pub(crate) fn merge(&mut self, other: Lost) {
        self.through = self.through.max(other.through);
        self.time = self.time.max(other.time);
    }
}

/// One topic: its retained events, its readers and what it remembers of what is gone
///
/// It exists as long as it has an event, an end or a reader; a topic that is forgotten folds what it lost into the
/// log's `forgotten`, which the next topic of that name begins with.
pub(crate) struct TopicLog {
    pub(crate) header: Arc<Header>,
    /// Which retention rule governs it
    pub(crate) rule: u32,
    /// Retained events in order, and behind them the end if it has ended
    pub(crate) events: VecDeque<Arc<Event>>,
    /// Bytes of data and labels
    pub(crate) bytes: u64,
    /// The number of `events[0]` among all entries since the topic was made
    pub(crate) first_seq: u64,
    /// Entries since this number are numbered without a hole, so that differences count events
    pub(crate) exact_seq: u64,
    pub(crate) lost: Lost,
    /// The head when the topic was made: it had no event between what was forgotten then and here
    pub(crate) born: u64,
    /// What the log had forgotten when the topic was made
    pub(crate) unknown_through: u64,
    /// The newest event, retained or not
    pub(crate) last: Option<(u64, Tag)>,
    /// How it ended, if it has
    pub(crate) ended: Option<Record>,
    /// The wildcards that match it, as of `wildcards_version`
    pub(crate) wildcards: Vec<u32>,
    pub(crate) wildcards_version: u64,
    pub(crate) readers: Option<Box<Readers>>,
    /// The newest offset of each key, while somebody conflates
    pub(crate) keys: Option<HashMap<Box<str>, u64>>,
}

impl TopicLog {
    pub(crate) fn new(header: Arc<Header>, rule: u32, born: u64, forgotten: Lost) -> TopicLog {
        TopicLog {
            header,
            rule,
            events: VecDeque::new(),
            bytes: 0,
            first_seq: 0,
            exact_seq: 0,
            lost: forgotten,
            born,
            unknown_through: forgotten.through,
            last: None,
            ended: None,
            wildcards: Vec::new(),
            wildcards_version: 0,
            readers: None,
            keys: None,
        }
    }

    /// The number the next entry will have.
    pub(crate) fn next_seq(&self) -> u64 {
        self.first_seq + self.events.len() as u64
    }

    /// The entry with this number, or the first after it that is retained.
    pub(crate) fn at(&self, seq: u64) -> Option<&Arc<Event>> {
        self.events.get(self.index(seq))
    }

    /// Where the entry with this number is in `events`, or the first after it that is retained.
    pub(crate) fn index(&self, seq: u64) -> usize {
        usize::try_from(seq.saturating_sub(self.first_seq)).unwrap_or(usize::MAX)
    }

    /// The number of the first entry above `offset`: a binary search.
    pub(crate) fn seq_after(&self, offset: u64) -> u64 {
        let index = self
            .events
            .partition_point(|event| event.offset() <= offset);
        self.first_seq + index as u64
    }

    /// The entry at `offset`, if it is retained: a binary search.
    pub(crate) fn find(&self, offset: u64) -> Option<&Arc<Event>> {
        let index = self
            .events
            .binary_search_by_key(&offset, |event| event.offset())
            .ok()?;
        self.events.get(index)
    }

    /// How many of its entries are events: all but the end.
    pub(crate) fn event_count(&self) -> usize {
        self.events.len() - usize::from(self.ended.is_some())
    }

    /// The oldest event; the end is none.
    pub(crate) fn oldest(&self) -> Option<&Arc<Event>> {
        self.events
            .front()
            .filter(|event| event.record() == Record::Event)
    }

    /// The offset of the newest entry, or 0.
    pub(crate) fn newest(&self) -> u64 {
        self.events.back().map_or(0, |event| event.offset())
    }

    /// Has it nothing that must be remembered?
    pub(crate) fn is_idle(&self) -> bool {
        self.events.is_empty() && self.readers.is_none()
    }
}
