//! A subscription's cursor: what is told next, and in which order.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Waker;

use crate::config::{LagAction, LagPolicy};
use crate::delivery::{Batch, Budget, CloseReason, Delivery, End, EndReason, Gap, GapReason};
use crate::event::{Event, Record};
use crate::grant::Grant;
use crate::log::past::Head;
use crate::log::{Feed, Log};
use crate::pattern::Pattern;
use crate::planted::{self, Bug};
use crate::position::Position;
use crate::readers::Memo;
use crate::timestamp::Timestamp;

/// One subscription, as the hub keeps it
pub(crate) struct Cursor {
    /// What the reader would resume from: the last event it was given, or where it began
    pub(crate) position: Position,
    /// Up to here everything was given or announced; ahead of `position` when nothing followed it
    pub(crate) read: u64,
    pub(crate) readings: Vec<Reading>,
    pub(crate) waker: Option<Waker>,
    /// Whether the waker is to be called
    pub(crate) armed: bool,
    /// What is to be told before anything is read
    pub(crate) pending: VecDeque<Delivery>,
    pub(crate) lag: LagPolicy,
    /// Events up to here are skipped if newer ones replace them
    conflate_through: u64,
    pub(crate) grant: Option<Arc<Grant>>,
    /// Whether it was told that the grant runs out
    pub(crate) told_expiry: bool,
    /// When the hub has to wake it, whatever is published
    pub(crate) deadline: Option<Timestamp>,
    pub(crate) closed: Option<CloseReason>,
    /// The first join or leave it has not heard of, if it is to hear of them
    pub(crate) heard: Option<u64>,
}

/// A pattern that a cursor reads
pub(crate) struct Reading {
    pub(crate) pattern: Pattern,
    pub(crate) feed: Feed,
    /// Nothing at or below this offset is given or announced for this pattern: where it joined, or what was announced
    pub(crate) after: u64,
    /// The number of the next entry, where the feed is a topic
    next_seq: u64,
    /// Whether `next_seq` counts from something that was read, so that a difference is a number of events
    exact: bool,
    /// Its place among those that wait for the feed
    pub(crate) listed: Option<u32>,
}

impl Reading {
    /// Reads `feed` from above `after`.
    pub(crate) fn new(pattern: Pattern, feed: Feed, after: u64, log: &Log) -> Reading {
        let mut reading = Reading {
            pattern,
            feed,
            after,
            next_seq: 0,
            exact: false,
            listed: None,
        };
        reading.seek(after, log);
        if let Feed::Topic(id) = feed {
            let state = &log.topics[id as usize];
            if after < state.lost.through && after <= state.born && after >= state.unknown_through {
                // It comes from before the topic's first event, so it has missed all that are gone.
                reading.next_seq = 0;
                reading.exact = true;
            }
        }
        reading
    }

    /// Moves to the first entry above `offset`.
    fn seek(&mut self, offset: u64, log: &Log) {
        if let Feed::Topic(id) = self.feed {
            let state = &log.topics[id as usize];
            let late = u64::from(planted::has(Bug::ReplayEdge) && offset > 0);
            self.next_seq = state.seq_after(offset) + late;
            self.exact = offset >= state.lost.through;
        }
    }

    /// The first entry that a cursor which has read up to `read` is to be given.
    fn head(&self, read: u64, log: &Log) -> Head {
        match self.feed {
            Feed::Topic(_) => log.head_at(self.feed, self.next_seq),
            Feed::Wildcard(_) => log.head_after(self.feed, read.max(self.after)),
        }
    }

    /// Goes on behind `head`.
    fn advance(&mut self, head: Head, log: &Log) -> Head {
        self.next_seq = head.at + 1;
        log.head_at(self.feed, head.at + 1)
    }

    /// How many events it misses with what is announced up to `through`, where that is known; goes on behind them.
    fn missed(&mut self, through: u64, log: &Log) -> Option<u64> {
        let Feed::Topic(id) = self.feed else {
            return None;
        };
        let state = &log.topics[id as usize];
        if through < state.lost.through {
            // An event of another pattern lies between what is lost, and nothing tells how many are on either side.
            self.exact = false;
            return None;
        }
        let counted = self.exact && self.next_seq >= state.exact_seq;
        let missed = state.first_seq.checked_sub(self.next_seq);
        self.next_seq = self.next_seq.max(state.first_seq);
        self.exact = true;
        missed.filter(|_| counted)
    }
}

impl Cursor {
    pub(crate) fn new(position: Position, lag: LagPolicy, grant: Option<Arc<Grant>>) -> Cursor {
        Cursor {
            position,
            read: position.offset,
            readings: Vec::new(),
            waker: None,
            armed: false,
            pending: VecDeque::new(),
            lag,
            conflate_through: 0,
            grant,
            told_expiry: false,
            deadline: None,
            closed: None,
            heard: None,
        }
    }

    /// What is told next.
    pub(crate) fn next(
        &mut self,
        log: &mut Log,
        now: Timestamp,
        budget: Budget,
    ) -> Option<Delivery> {
        if let Some(reason) = self.closed {
            return Some(Delivery::Closed(reason));
        }
        if let Some(at) = self.grant.as_ref().and_then(|grant| grant.expires) {
            if at <= now && !planted::has(Bug::GrantNeverExpires) {
                return Some(self.close(CloseReason::Expired));
            }
            if !self.told_expiry && at.saturating_sub(log.config.expiry_notice) <= now {
                self.told_expiry = true;
                return Some(Delivery::Expiring { at });
            }
        }
        if let Some(delivery) = self.pending.pop_front() {
            return Some(delivery);
        }
        if self.lag.action != LagAction::Replay && self.lags(log, now) {
            match self.lag.action {
                LagAction::Disconnect => return Some(self.close(CloseReason::Lagged)),
                LagAction::Newest => self.skip_to_newest(log),
                LagAction::Conflate => self.conflate_through = log.head,
                LagAction::Replay => {}
            }
            if let Some(delivery) = self.pending.pop_front() {
                return Some(delivery);
            }
        }
        self.read(log, budget)
    }

    /// The log has begun a new epoch: what was not told yet no longer matters, and everything is read from the start.
    pub(crate) fn restart(&mut self, to: Position, log: &Log) {
        let is_gap = |told: &Delivery| matches!(told, Delivery::Gap(_));
        self.pending.retain(|told| !is_gap(told));
        for reading in &mut self.readings {
            let own = reading.pattern.clone();
            self.pending.push_back(Delivery::Gap(Gap {
                pattern: own.clone(),
                from: self.position,
                to,
                missed: None,
                reason: GapReason::Epoch,
            }));
            let listed = reading.listed;
            *reading = Reading::new(own, reading.feed, to.offset, log);
            reading.listed = listed;
        }
        self.read = to.offset;
        self.conflate_through = 0;
    }

    /// Ends it; every later poll says so again.
    pub(crate) fn close(&mut self, reason: CloseReason) -> Delivery {
        self.closed = Some(reason);
        self.pending.clear();
        Delivery::Closed(reason)
    }

    /// Has it nothing more to be told until something is published?
    pub(crate) fn is_caught_up(&self, log: &Log) -> bool {
        self.closed.is_none() && self.pending.is_empty() && self.read == log.head
    }

    /// Moves `read` to the head if nothing is to be given or announced before it.
    pub(crate) fn settle(&mut self, log: &Log) {
        let read = self.read;
        let quiet = |reading: &Reading| {
            !reading.head(read, log).exists()
                && log.lost(reading.feed).through <= read.max(reading.after)
        };
        if self.readings.iter().all(quiet) {
            self.read = log.head;
        }
    }

    fn read(&mut self, log: &mut Log, budget: Budget) -> Option<Delivery> {
        if let [reading] = &mut self.readings[..]
            && self.conflate_through <= self.read
        {
            let base = self.read.max(reading.after);
            if log.lost(reading.feed).through <= base {
                let newest = log.newest(reading.feed);
                if newest <= base {
                    self.read = log.head;
                    return None;
                }
                if let Some(memo) = &log.readers(reading.feed).memo
                    && memo.fits(base, budget, newest)
                {
                    let batch = memo.batch.clone();
                    reading.next_seq = memo.next_seq;
                    self.position = batch.to();
                    let rest = self.position.offset != newest;
                    self.read = if rest { self.position.offset } else { log.head };
                    return Some(Delivery::Batch(batch));
                }
            }
        }
        if let Some(batch) = self.read_topic(log, budget) {
            return Some(Delivery::Batch(batch));
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

    /// The short way for the common case: one topic, nothing lost, nothing to be conflated, and an event comes next.
    fn read_topic(&mut self, log: &mut Log, budget: Budget) -> Option<Arc<Batch>> {
        let [reading] = &mut self.readings[..] else {
            return None;
        };
        let Feed::Topic(id) = reading.feed else {
            return None;
        };
        let state = &mut log.topics[id as usize];
        let base = self.read.max(reading.after);
        if state.lost.through > base || self.conflate_through > base {
            return None;
        }
        let index = state.index(reading.next_seq);
        let ahead = state.event_count().checked_sub(index)?;
        let mut bytes = 0;
        let mut events = Vec::with_capacity(ahead.min(budget.events).max(1));
        for event in state
            .events
            .iter()
            .skip(index)
            .take(ahead.min(budget.events.max(1)))
        {
            bytes += event.body_len();
            if bytes > budget.bytes && !events.is_empty() {
                break;
            }
            events.push(event.clone());
        }
        let last = events.last()?.position();
        let after = index
            .checked_sub(1)
            .map_or(0, |before| state.events[before].offset());
        reading.next_seq = state.first_seq + (index + events.len()) as u64;
        let full = last.offset != state.newest();
        let batch = Arc::new(Batch::new(events, log.forms.clone()));
        let readers = state.readers.as_mut().expect("it is read");
        if readers.count > 1 {
            readers.memo = Some(Memo {
                after,
                budget,
                full,
                batch: batch.clone(),
                next_seq: reading.next_seq,
            });
        }
        self.position = last;
        self.read = if full { last.offset } else { log.head };
        Some(batch)
    }

    /// Gives or announces what comes first among the heads of the readings.
    fn read_from(&mut self, heads: &mut [Head], log: &mut Log, budget: Budget) -> Option<Delivery> {
        let next = first(heads);
        let mut losses_ahead = false;
        for reading in &mut self.readings {
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
        let events = self.collect(heads, losses_ahead, log, budget);
        let batch = Arc::new(Batch::new(events, log.forms.clone()));
        self.position = batch.to();
        self.read = self.position.offset;
        if let [reading] = &self.readings[..] {
            let full = self.read != log.newest(reading.feed);
            let next_seq = reading.next_seq;
            let readers = log.readers(reading.feed);
            if readers.count > 1 && !losses_ahead && self.conflate_through < batch.from().offset {
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
        heads: &mut [Head],
        losses_ahead: bool,
        log: &mut Log,
        budget: Budget,
    ) -> Vec<Arc<Event>> {
        let mut events: Vec<Arc<Event>> = Vec::new();
        let mut bytes = 0;
        loop {
            let next = first(heads);
            if next == u64::MAX || (events.len() >= budget.events && !events.is_empty()) {
                return events;
            }
            let event = self.event_of(heads, next, log);
            let last = events.last().map(|event| event.offset());
            // Between two events that are not neighbours something may be lost, and is announced first.
            let announces = losses_ahead && last.is_some_and(|last| last + 1 != next);
            bytes += event.body_len();
            let over = bytes > budget.bytes && !events.is_empty();
            if over || announces || event.record() != Record::Event {
                return events;
            }
            if !events.is_empty() && self.is_conflated(heads, next, log) {
                return events;
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
        if offset > self.conflate_through {
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
        for (reading, count) in self.readings.iter().zip(skipped) {
            if count > 0 {
                self.pending.push_back(Delivery::Gap(Gap {
                    pattern: reading.pattern.clone(),
                    from: log.place(before.max(reading.after) + 1),
                    to: log.position(through),
                    missed: (!losses_ahead).then_some(count),
                    reason: GapReason::Conflated,
                }));
            }
        }
        self.read = through;
        self.pending.pop_front()
    }

    /// Skips to the newest event and announces what lies before it.
    fn skip_to_newest(&mut self, log: &Log) {
        let newest = |reading: &Reading| log.newest_first(reading.feed).next().map(|e| e.offset());
        let Some(newest) = self.readings.iter().filter_map(newest).max() else {
            return;
        };
        if newest <= self.read + 1 {
            return;
        }
        let mut ends = Vec::new();
        self.walk(log, |entry| {
            if entry.offset() < newest && entry.record() != Record::Event {
                ends.push(Delivery::End(end_of(entry)));
            }
            entry.offset() < newest
        });
        for reading in &mut self.readings {
            let base = self.read.max(reading.after);
            let head = reading.head(self.read, log);
            let lost = log.lost(reading.feed).through;
            let lost_before = lost.min(newest - 1) > base;
            if base < newest - 1 && (head.offset < newest || lost_before) {
                let skipped = match reading.feed {
                    Feed::Topic(id) if !lost_before => {
                        let state = &log.topics[id as usize];
                        let next_seq = reading.next_seq.max(state.first_seq);
                        let skipped = state.seq_after(newest - 1) - next_seq;
                        let ended = state.ended.is_some() && state.newest() < newest;
                        Some(skipped - u64::from(ended))
                    }
                    _ => None,
                };
                self.pending.push_back(Delivery::Gap(Gap {
                    pattern: reading.pattern.clone(),
                    from: log.place(base + 1),
                    to: log.place(newest - 1),
                    missed: skipped,
                    reason: GapReason::Lag,
                }));
            }
            reading.seek(newest - 1, log);
        }
        self.pending.extend(ends);
        self.read = newest - 1;
    }

    /// Is it too far behind?
    fn lags(&self, log: &Log, now: Timestamp) -> bool {
        let max = self.lag.max_lag;
        let (mut events, mut bytes, mut lags) = (0, 0, false);
        self.walk(log, |event| {
            if event.record() != Record::Event {
                return true;
            }
            events += 1;
            bytes += event.body_len() as u64;
            lags = max.events.is_some_and(|max| events > max)
                || max.bytes.is_some_and(|max| bytes > max)
                || max.age.is_some_and(|max| now.since(event.time()) > max);
            // The first one is the oldest: without the other bounds there is nothing to find behind it.
            !lags && (max.events.is_some() || max.bytes.is_some())
        });
        lags
    }

    /// Looks at the entries ahead, ends included, in order, as long as `look` says so.
    pub(crate) fn walk(&self, log: &Log, mut look: impl FnMut(&Event) -> bool) {
        let mut heads: Vec<Head> = self
            .readings
            .iter()
            .map(|r| r.head(self.read, log))
            .collect();
        loop {
            let next = first(&heads);
            if next == u64::MAX {
                return;
            }
            let event = self.event_of(&heads, next, log);
            if !look(event) {
                return;
            }
            for (reading, head) in self.readings.iter().zip(&mut heads) {
                if head.offset == next {
                    *head = log.head_at(reading.feed, head.at + 1);
                }
            }
        }
    }

    /// The event at `offset`, which is one of the heads.
    fn event_of<'a>(&self, heads: &[Head], offset: u64, log: &'a Log) -> &'a Arc<Event> {
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

/// What readers are told of the end that this entry is.
pub(crate) fn end_of(entry: &Event) -> End {
    End {
        pattern: Pattern::exact(entry.topic().clone()),
        reason: match entry.record() {
            Record::Deleted => EndReason::Deleted,
            Record::Ended | Record::Event => EndReason::Ended,
        },
        at: entry.position(),
    }
}

/// The lowest offset among the heads; `u64::MAX` where there is none.
fn first(heads: &[Head]) -> u64 {
    heads
        .iter()
        .map(|head| head.offset)
        .min()
        .unwrap_or(u64::MAX)
}
