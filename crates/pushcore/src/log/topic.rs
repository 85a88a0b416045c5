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
// Three cache lines, in this order: a reader touches the first, a publisher the first two. Where many topics are busy, what
// a publish costs is the lines that it touches.
#[repr(C, align(64))]
pub(crate) struct TopicLog {
    /// Retained events in order, and behind them the end if it has ended
    pub(crate) events: VecDeque<Arc<Event>>,
    /// The number of `events[0]` among all entries since the topic was made
    pub(crate) first_seq: u64,
    pub(crate) lost: Lost,
    pub(crate) readers: Option<Box<Readers>>,
    /// Bytes of data and labels
    pub(crate) bytes: u64,
    /// The newest event, retained or not
    pub(crate) last: Option<(u64, Tag)>,
    /// Which retention rule governs it
    pub(crate) rule: u32,
    /// How it ended, if it has
    pub(crate) ended: Option<Record>,
    pub(crate) wildcards_version: u64,
    pub(crate) header: Arc<Header>,
    /// The newest offset of each key, while somebody conflates
    pub(crate) keys: Option<Box<Keys>>,
    /// The wildcards that match it, as of `wildcards_version`
    pub(crate) wildcards: Vec<u32>,
    /// Entries since this number are numbered without a hole, so that differences count events
    pub(crate) exact_seq: u64,
    /// The head when the topic was made: it had no event between what was forgotten then and here
    pub(crate) born: u64,
    /// What the log had forgotten when the topic was made
    pub(crate) unknown_through: u64,
}

const _: () = assert!(size_of::<TopicLog>() == 192);

pub(crate) type Keys = HashMap<Box<str>, u64>;

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
        self.first_seq + self.index_after(offset) as u64
    }

    /// Where the first entry above `offset` is.
    ///
    /// Offsets grow evenly enough that looking where `offset` would be on a straight line finds it in a step or two; each
    /// step of a plain binary search in a long log is a cache miss.
    fn index_after(&self, offset: u64) -> usize {
        let (mut low, mut high) = (0, self.events.len());
        for _ in 0..4 {
            if high - low < 8 {
                break;
            }
            let (first, last) = (self.events[low].offset(), self.events[high - 1].offset());
            if offset < first {
                return low;
            }
            if offset >= last {
                return high;
            }
            let share = u128::from(offset - first) * (high - 1 - low) as u128;
            let guess = low + (share / u128::from(last - first)) as usize;
            // A little to both sides, so that a good guess closes in from both.
            let (left, right) = (guess.saturating_sub(4).max(low), (guess + 4).min(high - 1));
            match self.events[left].offset() <= offset {
                true => low = left,
                false => high = left,
            }
            match self.events[right].offset() <= offset {
                true => low = low.max(right),
                false => high = high.min(right),
            }
        }
        while low < high {
            let middle = low + (high - low) / 2;
            match self.events[middle].offset() <= offset {
                true => low = middle + 1,
                false => high = middle,
            }
        }
        low
    }

    /// The entry at `offset`, if it is retained.
    pub(crate) fn find(&self, offset: u64) -> Option<&Arc<Event>> {
        let before = self.index_after(offset).checked_sub(1)?;
        self.events
            .get(before)
            .filter(|event| event.offset() == offset)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Content, Place};
    use crate::forms::FormCache;
    use crate::position::Epoch;
    use crate::random::Random;
    use crate::topic::Topic;

    #[test]
    fn every_offset_is_found_where_a_scan_finds_it() {
        let header = Arc::new(Header {
            topic: Topic::parse("a").unwrap(),
            epoch: Epoch(1),
            forms: FormCache::new(0),
        });
        let mut random = Random::new(1);
        for length in [0, 1, 2, 7, 8, 9, 40, 300] {
            for widest in [1, 3, 1 << 40] {
                let mut log = TopicLog::new(header.clone(), 0, 0, Lost::default());
                let mut offset = 0;
                for _ in 0..length {
                    offset += 1 + random.next() % widest;
                    let place = Place {
                        offset,
                        tag: Tag(1),
                        previous: 0,
                        time: Timestamp(0),
                    };
                    let event = Content::empty().into_event(header.clone(), &place, Record::Event);
                    log.events.push_back(Arc::new(event));
                }
                let own = log.events.iter().map(|event| event.offset());
                let near = own.flat_map(|offset| [offset - 1, offset, offset + 1]);
                for offset in near.chain([0, u64::MAX]) {
                    let scan = log
                        .events
                        .iter()
                        .filter(|event| event.offset() <= offset)
                        .count();
                    assert_eq!(log.seq_after(offset), scan as u64, "{offset} of {length}");
                    let found = log.find(offset).map(|event| event.offset());
                    let known = log.events.iter().any(|event| event.offset() == offset);
                    assert_eq!(found, known.then_some(offset));
                }
            }
        }
    }
}
