//! Looking back: where a reader begins, and what a wildcard's index must reach.

use std::ops::Bound;
use std::sync::Arc;

use crate::delivery::GapReason;
use crate::event::{Event, Record};
use crate::log::topic::Lost;
use crate::log::wildcard::Entry;
use crate::log::{Feed, Log, WILDCARD_ENTRY, low_half};
use crate::pattern::Pattern;
use crate::planted::{self, Bug};
use crate::position::{Position, Tag};
use crate::timestamp::Timestamp;

/// An entry of a feed and where it is: a number within a topic, an index within a wildcard
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head {
    /// `u64::MAX` where there is none
    pub(crate) offset: u64,
    pub(crate) at: u64,
}

impl Head {
    pub(crate) fn exists(self) -> bool {
        self.offset != u64::MAX
    }
}

impl Log {
    /// Where reading goes on for one who has seen `position`, and if that is not a place of this log, why.
    pub(crate) fn resolve(&self, position: Position) -> (u64, Option<GapReason>) {
        if position.epoch != self.epoch {
            return (0, Some(GapReason::Epoch));
        }
        if position.offset == 0 {
            return (0, None);
        }
        let known = self.tag(position.offset);
        let agrees = planted::has(Bug::TagIgnored)
            || known == position.tag
            || known == Tag::NONE
            || position.tag == Tag::NONE;
        if position.offset <= self.head && agrees {
            let again = u64::from(planted::has(Bug::DuplicateAfterResume));
            return (position.offset - again, None);
        }
        // It comes from a life whose end was lost. Which of the restored heads that life began with, nothing tells; the
        // first one is below them all.
        let common = match &self.lives[..] {
            [first, second, ..] if first.after == 0 && second.after < position.offset => {
                second.after
            }
            _ => 0,
        };
        (common, Some(GapReason::Rewound))
    }

    /// What a feed has lost.
    pub(crate) fn lost(&self, feed: Feed) -> Lost {
        match feed {
            Feed::Topic(id) => self.topics[id as usize].lost,
            Feed::Wildcard(id) => self.wildcards[id as usize].lost,
        }
    }

    /// The offset of a feed's newest entry, or 0.
    pub(crate) fn newest(&self, feed: Feed) -> u64 {
        match feed {
            Feed::Topic(id) => self.topics[id as usize].newest(),
            Feed::Wildcard(id) => self.wildcards[id as usize].newest(),
        }
    }

    /// A feed's first entry above `offset`: a binary search.
    pub(crate) fn head_after(&self, feed: Feed, offset: u64) -> Head {
        match feed {
            Feed::Topic(id) => self.head_at(feed, self.topics[id as usize].seq_after(offset)),
            Feed::Wildcard(id) => {
                self.head_at(feed, self.wildcards[id as usize].index_after(offset) as u64)
            }
        }
    }

    /// A feed's first retained entry from `at` on.
    pub(crate) fn head_at(&self, feed: Feed, at: u64) -> Head {
        match feed {
            Feed::Topic(id) => {
                let state = &self.topics[id as usize];
                let at = at.max(state.first_seq);
                let offset = state.at(at).map_or(u64::MAX, |event| event.offset());
                Head { offset, at }
            }
            Feed::Wildcard(id) => {
                let entries = &self.wildcards[id as usize].entries;
                let mut at = at;
                while let Some(&entry) = entries.get(at as usize) {
                    if self.event(entry).is_some() {
                        return Head {
                            offset: entry.offset,
                            at,
                        };
                    }
                    at += 1;
                }
                Head {
                    offset: u64::MAX,
                    at,
                }
            }
        }
    }

    /// The event of a head that exists.
    pub(crate) fn event_at(&self, feed: Feed, at: u64) -> &Arc<Event> {
        let event = match feed {
            Feed::Topic(id) => self.topics[id as usize].at(at),
            Feed::Wildcard(id) => self.event(self.wildcards[id as usize].entries[at as usize]),
        };
        event.expect("a head that exists is retained while the log is locked")
    }

    /// The offset of the entry before one in its feed, gone or not; 0 if the feed does not know of one.
    pub(crate) fn offset_before(&self, feed: Feed, at: u64) -> u64 {
        match feed {
            Feed::Topic(id) => {
                let state = &self.topics[id as usize];
                let before = state.index(at).checked_sub(1);
                before.map_or(0, |index| state.events[index].offset())
            }
            Feed::Wildcard(id) => {
                let wildcard = &self.wildcards[id as usize];
                let before = (at as usize).checked_sub(1);
                // What lies at or below `from` is not in the index, so nothing is known of a cursor there.
                before.map_or(wildcard.from, |index| wildcard.entries[index].offset)
            }
        }
    }

    /// Where to begin to read everything that `feeds` retain.
    pub(crate) fn before_earliest(&self, feeds: &[Feed]) -> u64 {
        let firsts = feeds.iter().map(|&feed| self.head_after(feed, 0));
        let first = firsts
            .filter(|head| head.exists())
            .map(|head| head.offset)
            .min();
        first.map_or(self.head, |offset| offset - 1)
    }

    /// Where to begin to read the newest `count` events of `feeds`, or as many as are retained.
    pub(crate) fn before_last(&self, feeds: &[Feed], count: u64) -> u64 {
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        if count == 0 {
            return self.head;
        }
        let mut offsets = Vec::new();
        for &feed in feeds {
            offsets.extend(
                self.newest_first(feed)
                    .take(count)
                    .map(|event| event.offset()),
            );
        }
        offsets.sort_unstable_by(|a, b| b.cmp(a));
        offsets.dedup();
        match offsets.get(count - 1) {
            Some(&offset) => offset - 1,
            None => self.before_earliest(feeds),
        }
    }

    /// Where to begin to read what was published to `feeds` at `time` or later.
    pub(crate) fn before_time(&self, feeds: &[Feed], time: Timestamp) -> u64 {
        let mut before = self.head;
        for &feed in feeds {
            let lost = self.lost(feed);
            if lost.through > 0 && lost.time >= time {
                // Where the first of those was is not known any more; beginning at the start announces them all.
                return 0;
            }
            let mine = self
                .newest_first(feed)
                .take_while(|event| event.time() >= time);
            before = before.min(mine.last().map_or(self.head, |event| event.offset() - 1));
        }
        before
    }

    /// A feed's retained events, the newest first; ends are passed over.
    pub(crate) fn newest_first(&self, feed: Feed) -> Box<dyn Iterator<Item = &Arc<Event>> + '_> {
        let is_event = |event: &&Arc<Event>| event.record() == Record::Event;
        match feed {
            Feed::Topic(id) => {
                let events = self.topics[id as usize].events.iter();
                Box::new(events.rev().filter(is_event))
            }
            Feed::Wildcard(id) => {
                let entries = self.wildcards[id as usize].entries.iter();
                Box::new(
                    entries
                        .rev()
                        .filter_map(|&entry| self.event(entry))
                        .filter(is_event),
                )
            }
        }
    }

    /// Extends a wildcard's index so that it holds everything retained above `from`.
    ///
    /// Costs a walk over the topics that begin as the pattern does, and a sort of the entries found: no more than
    /// reading them will.
    pub(crate) fn reach_back(&mut self, id: u32, from: u64) {
        let wildcard = &self.wildcards[id as usize];
        if from >= wildcard.from || planted::has(Bug::ShortIndex) {
            return;
        }
        let reached = wildcard.from;
        let mut lost = wildcard.lost;
        let mut found = Vec::new();
        for topic in self.matching(&wildcard.pattern) {
            let state = &self.topics[topic as usize];
            lost.merge(state.lost);
            if state.newest() <= from {
                continue;
            }
            let mut seq = state.seq_after(from);
            while let Some(event) = state.at(seq).filter(|event| event.offset() <= reached) {
                found.push(Entry {
                    offset: event.offset(),
                    topic,
                    seq: low_half(seq),
                });
                seq += 1;
            }
        }
        found.sort_unstable_by_key(|entry| entry.offset);
        lost.merge(self.forgotten.of_all());
        self.bytes += found.len() * WILDCARD_ENTRY;
        let wildcard = &mut self.wildcards[id as usize];
        for entry in found.into_iter().rev() {
            wildcard.entries.push_front(entry);
        }
        wildcard.from = from;
        if !wildcard.knows_past {
            wildcard.knows_past = true;
            wildcard.lost = lost;
        }
    }

    /// The topics that match a pattern, in the order of their names.
    pub(crate) fn matching<'a>(&'a self, pattern: &'a Pattern) -> impl Iterator<Item = u32> + 'a {
        let prefix = pattern.literal_prefix();
        let from = (Bound::Included(prefix), Bound::Unbounded);
        self.in_order
            .range::<str, _>(from)
            .take_while(move |(topic, _)| topic.as_str().starts_with(prefix))
            .filter(|(topic, _)| pattern.matches(topic))
            .map(|(_, &id)| id)
    }
}
