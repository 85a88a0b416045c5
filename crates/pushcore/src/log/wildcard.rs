//! The events of all topics that match one pattern, in one order.

use std::collections::VecDeque;

use crate::log::topic::Lost;
use crate::pattern::Pattern;
use crate::readers::Readers;

/// An index over the topics that match a wildcard pattern, shared by all its readers
///
/// It begins at the cursor of its first reader and grows backwards when somebody asks for more; entries of events that are
/// gone are passed over and thrown out once they are the greater part. It goes with its last reader.
pub(crate) struct Wildcard {
    pub(crate) pattern: Pattern,
    pub(crate) entries: VecDeque<Entry>,
    /// Every retained entry above this offset is in `entries`
    pub(crate) from: u64,
    /// Whether `lost` covers what was lost before the index was made
    pub(crate) knows_past: bool,
    pub(crate) lost: Lost,
    /// Entries of events that are gone
    pub(crate) dead: usize,
    pub(crate) readers: Readers,
}

/// An event by its topic and its number within it: found in one step
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) offset: u64,
    pub(crate) topic: u32,
    /// The low half of the number; which of two events four thousand million apart is meant, the offset tells
    pub(crate) seq: u32,
}

impl Wildcard {
    pub(crate) fn new(pattern: Pattern, from: u64) -> Wildcard {
        Wildcard {
            pattern,
            entries: VecDeque::new(),
            from,
            knows_past: false,
            lost: Lost::default(),
            dead: 0,
            readers: Readers::default(),
        }
    }

    /// Where the first entry above `offset` is: a binary search.
    pub(crate) fn index_after(&self, offset: u64) -> usize {
        self.entries.partition_point(|entry| entry.offset <= offset)
    }

    /// The offset of the newest entry, or 0.
    pub(crate) fn newest(&self) -> u64 {
        self.entries.back().map_or(0, |entry| entry.offset)
    }

    /// Notes that an event is gone.
    pub(crate) fn lose(&mut self, lost: Lost) {
        self.lost.merge(lost);
        if lost.through > self.from {
            self.dead += 1;
        }
    }
}
