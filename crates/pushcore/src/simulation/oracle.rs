//! What was published, and whether each reader was told what it had to be told.
//!
//! The oracle knows only what publishers were answered. A reader's account goes through what it is told and keeps, for
//! each of its patterns, the next published event it owes an explanation for.

use std::collections::BTreeMap;

use crate::delivery::{Gap, GapReason};
use crate::event::Event;
use crate::pattern::Pattern;
use crate::position::{Epoch, Position};
use crate::topic::Topic;

/// What publishers were answered, in the present life of the log
#[derive(Default)]
pub(super) struct Published {
    pub(super) epoch: Epoch,
    pub(super) head: u64,
    /// How often it lost something, so that an answer of before is not looked for
    pub(super) lives: u64,
    events: BTreeMap<u64, (Topic, String)>,
    /// Offsets by pattern, for the patterns that somebody reads
    by_pattern: BTreeMap<Pattern, Vec<u64>>,
}

impl Published {
    /// Begins anew, in another epoch.
    pub(super) fn clear(&mut self, head: Position) {
        self.epoch = head.epoch;
        self.lives += 1;
        self.head = head.offset;
        self.events.clear();
        self.by_pattern.values_mut().for_each(Vec::clear);
    }

    /// Loses what lies above `head`.
    pub(super) fn rewind(&mut self, head: u64) {
        self.head = head;
        self.lives += 1;
        self.events.retain(|&offset, _| offset <= head);
        for offsets in self.by_pattern.values_mut() {
            offsets.retain(|&offset| offset <= head);
        }
    }

    pub(super) fn add(
        &mut self,
        position: Position,
        topic: &Topic,
        data: &str,
    ) -> Result<(), String> {
        let offset = position.offset;
        if position.epoch != self.epoch || offset <= self.head {
            return Err(format!(
                "a publish was answered {position}, behind {}",
                self.head
            ));
        }
        self.head = offset;
        self.events.insert(offset, (topic.clone(), data.to_owned()));
        for (pattern, offsets) in &mut self.by_pattern {
            if pattern.matches(topic) {
                offsets.push(offset);
            }
        }
        Ok(())
    }

    /// Was this event published there?
    pub(super) fn has(&self, position: Position, topic: &Topic, data: &str) -> bool {
        let known = self.events.get(&position.offset);
        known.is_some_and(|(own, said)| own == topic && said == data)
    }

    fn of(&self, pattern: &Pattern) -> &[u64] {
        self.by_pattern.get(pattern).map_or(&[], Vec::as_slice)
    }

    fn know(&mut self, pattern: &Pattern) {
        if !self.by_pattern.contains_key(pattern) {
            let mine = self
                .events
                .iter()
                .filter(|(_, (topic, _))| pattern.matches(topic));
            let offsets = mine.map(|(&offset, _)| offset).collect();
            self.by_pattern.insert(pattern.clone(), offsets);
        }
    }
}

/// One stream of one reader: from its subscription until it is cut
#[derive(Default)]
pub(super) struct Account {
    patterns: Vec<Owed>,
    last: u64,
    pub(super) delivered: u64,
    pub(super) gaps: u64,
}

/// What a stream owes for one pattern
struct Owed {
    pattern: Pattern,
    /// Index, among the pattern's offsets, of the first event it owes
    next: usize,
    gap_through: u64,
    /// Why the position it came with must be said to be foreign, until that was said
    foreign: Option<GapReason>,
    /// Whether that must be said before the next event; otherwise it may be
    must_be_said: bool,
}

impl Account {
    /// From now on every event of `pattern` above `after` is owed.
    pub(super) fn read(
        &mut self,
        pattern: &Pattern,
        after: u64,
        foreign: Option<GapReason>,
        log: &mut Published,
    ) {
        log.know(pattern);
        // One that is added before that was said may hear of it too.
        let of_others = self.patterns.iter().find_map(|owed| owed.foreign);
        self.patterns.push(Owed {
            pattern: pattern.clone(),
            next: log.of(pattern).partition_point(|&offset| offset <= after),
            gap_through: after,
            foreign: foreign.or(of_others),
            must_be_said: foreign.is_some(),
        });
    }

    /// The log lost what lay behind `head` (0 with a new epoch) while this stream was open.
    pub(super) fn rewind(&mut self, head: u64, reason: GapReason, log: &Published) {
        let last = self.last;
        let is_of_epoch = |owed: &Owed| owed.must_be_said && owed.foreign == Some(GapReason::Epoch);
        // Then it hears of that alone, for what it has added since too, and reads from the start.
        let hears_of_epoch = reason == GapReason::Rewound && self.patterns.iter().any(is_of_epoch);
        for owed in &mut self.patterns {
            if hears_of_epoch && is_of_epoch(owed) {
                continue;
            }
            owed.foreign = Some(match hears_of_epoch {
                true => GapReason::Epoch,
                false => reason,
            });
            owed.must_be_said =
                reason == GapReason::Epoch || last > head || owed.gap_through > head;
            owed.next = owed.next.min(log.of(&owed.pattern).len());
        }
        self.last = last.min(head);
    }

    /// Does one of its patterns match?
    pub(super) fn reads(&self, topic: &Topic) -> bool {
        self.patterns.iter().any(|owed| owed.pattern.matches(topic))
    }

    /// Nothing more is owed for `pattern`.
    pub(super) fn leave(&mut self, pattern: &Pattern) {
        self.patterns.retain(|owed| owed.pattern != *pattern);
    }

    pub(super) fn event(&mut self, event: &Event, log: &Published) -> Result<(), String> {
        let offset = event.offset();
        match log.events.get(&offset) {
            Some((topic, data))
                if topic == event.topic() && data.as_bytes() == event.data().as_bytes() => {}
            other => return Err(format!("{event:?} was published as {other:?}")),
        }
        if offset <= self.last {
            return Err(format!("{event:?} came after {}", self.last));
        }
        self.last = offset;
        self.delivered += 1;
        let mut owed_by_any = false;
        for owed in self
            .patterns
            .iter_mut()
            .filter(|owed| owed.pattern.matches(event.topic()))
        {
            if let Some(reason) = owed.foreign.take()
                && owed.must_be_said
            {
                return Err(format!(
                    "{event:?} came before the {reason:?} gap of {}",
                    owed.pattern
                ));
            }
            let offsets = log.of(&owed.pattern);
            match offsets.get(owed.next) {
                Some(&next) if next < offset => {
                    return Err(format!(
                        "{next} of {} was skipped before {event:?}",
                        owed.pattern
                    ));
                }
                Some(&next) if next == offset => {
                    owed.next += 1;
                    owed_by_any = true;
                }
                _ if offset <= owed.gap_through => {
                    return Err(format!(
                        "{event:?} lies in a gap of {} or before its start",
                        owed.pattern
                    ));
                }
                _ => return Err(format!("{event:?} was given twice to {}", owed.pattern)),
            }
        }
        if !owed_by_any {
            return Err(format!("{event:?} is of no pattern of this reader"));
        }
        self.skipped_before(offset, log)
    }

    pub(super) fn gap(&mut self, gap: &Gap, log: &Published) -> Result<(), String> {
        self.gaps += 1;
        let Some(owed) = self
            .patterns
            .iter_mut()
            .find(|owed| owed.pattern == gap.pattern)
        else {
            return Err(format!("{gap:?} is of no pattern of this reader"));
        };
        if matches!(gap.reason, GapReason::Epoch | GapReason::Rewound) {
            return match owed.foreign.take() {
                Some(reason) if reason == gap.reason => {
                    self.last = gap.to.offset.min(self.last);
                    owed.gap_through = gap.to.offset;
                    owed.next = log
                        .of(&gap.pattern)
                        .partition_point(|&offset| offset <= gap.to.offset);
                    Ok(())
                }
                expected => Err(format!("{gap:?} where {expected:?} was expected")),
            };
        }
        let (from, to) = (gap.from.offset, gap.to.offset);
        if from > to
            || from <= owed.gap_through
            || from <= self.last && !log.of(&gap.pattern).is_empty() && to <= self.last
        {
            return Err(format!(
                "{gap:?} is empty or told before (last {})",
                self.last
            ));
        }
        let offsets = log.of(&owed.pattern);
        if offsets.get(owed.next).is_some_and(|&next| next < from) {
            return Err(format!("{} was skipped before {gap:?}", offsets[owed.next]));
        }
        let after = offsets
            .partition_point(|&offset| offset <= to)
            .max(owed.next);
        let missed = (after - owed.next) as u64;
        if gap.missed.is_some_and(|said| said != missed) {
            return Err(format!("{gap:?} took {missed}"));
        }
        owed.next = after;
        owed.gap_through = to;
        Ok(())
    }

    /// The reader has read up to the end of a topic.
    pub(super) fn skipped_before(&self, offset: u64, log: &Published) -> Result<(), String> {
        for owed in &self.patterns {
            let next = log.of(&owed.pattern).get(owed.next);
            if let Some(next) = next.filter(|&&next| next < offset) {
                return Err(format!(
                    "{next} of {} was neither given nor in a gap",
                    owed.pattern
                ));
            }
        }
        Ok(())
    }
}
