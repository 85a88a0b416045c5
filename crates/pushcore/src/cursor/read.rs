//! What a cursor reads: events in the order of their offsets, and what is announced between them.

use std::sync::Arc;

use super::{Cursor, end_of};
use crate::delivery::{Batch, Budget, Delivery, Gap, GapReason, within};
use crate::event::{Event, Record};
use crate::log::past::Head;
use crate::log::{Feed, Log};
use crate::planted::{self, Bug};
use crate::position::Position;
use crate::readers::Memo;
use crate::reading::{Reading, Readings};

impl Cursor {
    pub(super) fn read(&mut self, log: &mut Log, budget: Budget) -> Option<Delivery> {
        if let Some((batch, _)) = self.read_alone(log, budget) {
            return Some(Delivery::Batch(batch));
        }
        let is_at_end = |reading: &Reading| {
            let base = self.read.max(reading.after);
            log.lost(reading.feed).through <= base && log.newest(reading.feed) <= base
        };
        if self.readings.iter().all(is_at_end) {
            self.read = log.head;
            return None;
        }
        if log.reads_back && !self.memory_alone && self.behind_memory(log).is_some() {
            // The store may have it.
            return None;
        }
        let mut heads = std::mem::take(&mut log.scratch);
        heads.clear();
        heads.extend(
            self.readings
                .iter()
                .map(|reading| reading.head(self.read, log)),
        );
        let delivery = self.read_from(&mut heads, log, budget);
        log.scratch = heads;
        delivery
    }

    /// The short way for the common case: one pattern, of which nothing is lost and nothing to be conflated, and an event
    /// comes next; either the batch that was given to another one here, or the next of one topic. With it comes the
    /// position, so that the caller need not read what was just written.
    #[inline(always)]
    pub(crate) fn read_alone(
        &mut self,
        log: &mut Log,
        budget: Budget,
    ) -> Option<(Arc<Batch>, Position)> {
        let conflate_through = self.conflate_through();
        let Readings::One(reading) = &mut self.readings else {
            return None;
        };
        let base = self.read.max(reading.after);
        if conflate_through > base {
            return None;
        }
        let (readers, newest) = match reading.feed {
            Feed::Topic(id) => {
                let state = &log.topics[id as usize];
                if state.lost.through > base {
                    return None;
                }
                (state.readers.as_deref()?, state.newest())
            }
            Feed::Wildcard(id) => {
                let state = &log.wildcards[id as usize];
                if state.lost.through > base {
                    return None;
                }
                (&state.readers, state.newest())
            }
        };
        if newest <= base {
            return None;
        }
        if readers.count > 1
            && let Some(memo) = &readers.memo
            && memo.fits(base, budget, newest)
        {
            let batch = memo.batch.clone();
            let last = batch.events().last().expect("a batch is not empty");
            let position = Position {
                epoch: log.epoch,
                offset: last.offset(),
                tag: last.tag(),
            };
            reading.next_seq = memo.next_seq;
            self.position = position;
            let rest = position.offset != newest;
            self.read = if rest { position.offset } else { log.head };
            return Some((batch, position));
        }
        match reading.feed {
            Feed::Topic(id) => self.read_topic(id, newest, log, budget),
            Feed::Wildcard(_) => None,
        }
    }

    /// The next events of one topic, of which nothing is lost.
    // What comes back is in registers so; see `Core::take_in`.
    #[inline(always)]
    fn read_topic(
        &mut self,
        id: u32,
        newest: u64,
        log: &mut Log,
        budget: Budget,
    ) -> Option<(Arc<Batch>, Position)> {
        let Readings::One(reading) = &mut self.readings else {
            return None;
        };
        let state = &mut log.topics[id as usize];
        let index = state.index(reading.next_seq);
        let ahead = state.events.len().checked_sub(index)?;
        let count = match ahead {
            0 | 1 => ahead,
            _ => {
                let events = state.event_count() - index;
                within(budget, state.events.range(index..index + events))
            }
        };
        let last = &state.events[index + count.checked_sub(1)?];
        if last.record() != Record::Event {
            return None;
        }
        let (offset, tag) = (last.offset(), last.tag());
        let next_seq = state.first_seq + (index + count) as u64;
        reading.next_seq = next_seq;
        let full = offset != newest;
        let readers = state.readers.as_deref_mut().expect("it is read");
        let is_shared = readers.count > 1;
        let batch = match count {
            1 => {
                let old = match is_shared {
                    true => readers.memo.take().map(|memo| memo.batch),
                    false => log.spare.take(),
                };
                Batch::of_one(last.clone(), old)
            }
            _ => {
                let events = state.events.range(index..index + count);
                Arc::new(Batch::of_many(events.cloned().collect()))
            }
        };
        if is_shared {
            let before = index.checked_sub(1);
            readers.memo = Some(Memo {
                after: before.map_or(0, |before| state.events[before].offset()),
                budget,
                full,
                batch: batch.clone(),
                next_seq,
            });
        } else if count == 1 {
            log.spare = Some(batch.clone());
        }
        let position = Position {
            epoch: log.epoch,
            offset,
            tag,
        };
        self.position = position;
        self.read = if full { offset } else { log.head };
        Some((batch, position))
    }

    /// Gives or announces what comes first among the heads of the readings.
    fn read_from(&mut self, heads: &mut [Head], log: &mut Log, budget: Budget) -> Option<Delivery> {
        let next = first(heads);
        let mut losses_ahead = false;
        for reading in self.readings.iter_mut() {
            let base = self.read.max(reading.after);
            let lost = log.lost(reading.feed).through;
            let through = lost.min(next - 1);
            losses_ahead |= lost > through;
            if through > base {
                reading.after = through;
                return Some(Delivery::Gap(Gap {
                    missed: reading.missed(through, log),
                    pattern: reading.pattern.clone(),
                    from: log.place(base + 1),
                    to: log.position(through - u64::from(planted::has(Bug::GapOneShort))),
                    reason: GapReason::Retention,
                }));
            }
        }
        if next == u64::MAX {
            self.read = log.head;
            return None;
        }
        let before = self.offset_before_first(heads, log);
        let first_event = self.event_of(heads, next, log);
        if first_event.record() != Record::Event {
            return Some(self.end(heads, next, log));
        }
        if self.is_conflated(heads, next, log) {
            return self.conflate(heads, losses_ahead, log);
        }
        let mut events = std::mem::take(&mut log.scratch_events);
        self.collect(&mut events, heads, losses_ahead, log, budget);
        let batch = Batch::take_from(&mut events);
        log.scratch_events = events;
        self.position = batch.to();
        self.read = self.position.offset;
        let conflate_through = self.conflate_through();
        if let [reading] = &self.readings[..] {
            let full = self.read != log.newest(reading.feed);
            let next_seq = reading.next_seq;
            let readers = log.readers(reading.feed);
            if readers.count > 1 && !losses_ahead && conflate_through < batch.from().offset {
                readers.memo = Some(Memo {
                    after: before,
                    budget,
                    full,
                    batch: batch.clone(),
                    next_seq,
                });
            }
        }
        if first(heads) == u64::MAX && !losses_ahead {
            self.read = log.head;
        }
        Some(Delivery::Batch(batch))
    }

    /// Takes events in offset order, up to the budget, an end, or a place where something else is to be told.
    fn collect(
        &mut self,
        events: &mut Vec<Arc<Event>>,
        heads: &mut [Head],
        losses_ahead: bool,
        log: &mut Log,
        budget: Budget,
    ) {
        let mut bytes = 0;
        loop {
            let next = first(heads);
            if next == u64::MAX || (events.len() >= budget.events && !events.is_empty()) {
                return;
            }
            let event = self.event_of(heads, next, log);
            let last = events.last().map(|event| event.offset());
            // Between two events that are not neighbours something may be lost, and is announced first.
            let announces = losses_ahead && last.is_some_and(|last| last + 1 != next);
            bytes += event.body_len();
            let over = bytes > budget.bytes && !events.is_empty();
            if over || announces || event.record() != Record::Event {
                return;
            }
            if !events.is_empty() && self.is_conflated(heads, next, log) {
                return;
            }
            let event = self.event_of(heads, next, log).clone();
            events.push(event);
            self.advance(heads, next, log);
        }
    }

    /// Tells the end of a topic.
    fn end(&mut self, heads: &mut [Head], offset: u64, log: &Log) -> Delivery {
        let end = end_of(self.event_of(heads, offset, log));
        self.advance(heads, offset, log);
        self.read = offset;
        Delivery::End(end)
    }

    /// Is the event at `offset` to be skipped, because a newer one replaces it?
    fn is_conflated(&self, heads: &[Head], offset: u64, log: &mut Log) -> bool {
        if offset > self.conflate_through() {
            return false;
        }
        let event = self.event_of(heads, offset, log).clone();
        let topic = log.topic(event.topic()).expect("it has this event");
        event.record() == Record::Event && log.is_replaced(topic, &event)
    }

    /// Skips a run of events that newer ones replace, and announces it.
    fn conflate(
        &mut self,
        heads: &mut [Head],
        losses_ahead: bool,
        log: &mut Log,
    ) -> Option<Delivery> {
        let before = self.read;
        let mut skipped = vec![0; self.readings.len()];
        let mut next = first(heads);
        let mut through = next;
        while next != u64::MAX && self.is_conflated(heads, next, log) {
            for (count, head) in skipped.iter_mut().zip(&*heads) {
                *count += u64::from(head.offset == next);
            }
            through = next;
            self.advance(heads, next, log);
            next = first(heads);
            if losses_ahead && next != through + 1 {
                // Something of another pattern may be lost before the next event, and is announced by itself.
                break;
            }
        }
        let counted = self.readings.iter().zip(skipped);
        let gaps = counted.filter(|(_, count)| *count > 0);
        let gaps: Vec<Delivery> = gaps
            .map(|(reading, count)| {
                Delivery::Gap(Gap {
                    pattern: reading.pattern.clone(),
                    from: log.place(before.max(reading.after) + 1),
                    to: log.position(through),
                    missed: (!losses_ahead).then_some(count),
                    reason: GapReason::Conflated,
                })
            })
            .collect();
        self.read = through;
        self.rare().pending.extend(gaps);
        self.next_pending()
    }

    /// The event at `offset`, which is one of the heads.
    pub(super) fn event_of<'a>(&self, heads: &[Head], offset: u64, log: &'a Log) -> &'a Arc<Event> {
        let index = heads.iter().position(|head| head.offset == offset);
        let index = index.expect("the offset is a head's");
        log.event_at(self.readings[index].feed, heads[index].at)
    }

    /// Moves every reading whose head is at `offset` behind it.
    fn advance(&mut self, heads: &mut [Head], offset: u64, log: &Log) {
        for (reading, head) in self.readings.iter_mut().zip(heads) {
            if head.offset == offset {
                *head = reading.advance(*head, log);
            }
        }
    }

    fn offset_before_first(&self, heads: &[Head], log: &Log) -> u64 {
        match (&self.readings[..], heads) {
            ([reading], [head]) => log.offset_before(reading.feed, head.at),
            _ => 0,
        }
    }
}

/// The lowest offset among the heads; `u64::MAX` where there is none.
pub(super) fn first(heads: &[Head]) -> u64 {
    heads
        .iter()
        .map(|head| head.offset)
        .min()
        .unwrap_or(u64::MAX)
}
