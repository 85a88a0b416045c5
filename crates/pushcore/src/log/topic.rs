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

    /// The number of the first entry above `offset`: a few steps, however many entries there are.
    pub(crate) fn seq_after(&self, offset: u64) -> u64 {
        self.first_seq + self.index_after(offset) as u64
    }

    /// Where the first entry above `offset` is.
    fn index_after(&self, offset: u64) -> usize {
        first_above(offset, self.events.len(), |index| {
            self.events[index].offset()
        })
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

/// Where the first of so many rising numbers above `number` is.
///
/// Each look at an entry of a long log is a cache miss. Where offsets follow each other without holes, as in a log of one
/// topic, no entry between the ends is looked at; where they grow evenly, two are. However they grow, no more than three for
/// each step of a binary search are.
fn first_above(number: u64, len: usize, at: impl Fn(usize) -> u64) -> usize {
    let Some(last) = len.checked_sub(1) else {
        return 0;
    };
    let (mut low, mut below) = (0, at(0));
    if number < below {
        return 0;
    }
    let (mut high, mut above) = (last, at(last));
    if number >= above {
        return len;
    }
    let mut next = Look::Straight;
    while high - low > 1 {
        let (width, rise) = ((high - low) as u64, above - below);
        if width == rise {
            return low + (number - below) as usize + 1;
        }
        let middle = match next {
            Look::Straight => {
                let share = u128::from(number - below) * u128::from(width) / u128::from(rise);
                (low + share as usize).max(low + 1)
            }
            Look::Behind => low + 1,
            Look::Before => high - 1,
            Look::Halfway => low + (high - low) / 2,
        };
        let found = at(middle);
        if found == number {
            return middle + 1;
        }
        next = match (next, found < number) {
            (Look::Straight, true) => Look::Behind,
            (Look::Straight, false) => Look::Before,
            (Look::Behind | Look::Before, _) => Look::Halfway,
            (Look::Halfway, _) => Look::Straight,
        };
        match found < number {
            true => (low, below) = (middle, found),
            false => (high, above) = (middle, found),
        }
    }
    high
}

/// Where to look next
enum Look {
    /// Where the number would be on a straight line
    Straight,
    /// Just behind an entry that is below it
    Behind,
    /// Just before one that is above it
    Before,
    /// In the middle, so that badly spread numbers come to an end too
    Halfway,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Content, Place};
    use crate::forms::FormCache;
    use crate::position::Epoch;
    use crate::random::Random;
    use crate::topic::Topic;

    /// How many entries are looked at to find a place among so many.
    fn looks(len: usize, at: impl Fn(usize) -> u64, number: u64) -> usize {
        let looks = std::cell::Cell::new(0);
        let found = first_above(number, len, |index| {
            looks.set(looks.get() + 1);
            at(index)
        });
        assert!(found == len || at(found) > number);
        assert!(found == 0 || at(found - 1) <= number);
        looks.get()
    }

    #[test]
    fn a_place_in_a_long_log_is_found_in_as_many_looks_as_in_a_short_one() {
        for len in [1_000, 1_000_000] {
            let mut random = Random::new(1);
            for _ in 0..1_000 {
                let index = random.next() % len;
                let len = len as usize;
                assert_eq!(looks(len, |at| 7 + at as u64, 7 + index).max(2), 2);
                let even = |at: usize| 7 + 1_000 * at as u64;
                assert!(looks(len, even, 7 + 1_000 * index) <= 3);
                assert!(looks(len, even, 7 + 1_000 * index + 500) <= 4);
                // However badly they are spread, three times a binary search is enough.
                let cubes = |at: usize| (at as u64).pow(3);
                assert!(looks(len, cubes, index.pow(3) + 1) <= 2 + 3 * 20);
            }
        }
    }

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
