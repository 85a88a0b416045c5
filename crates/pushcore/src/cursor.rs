//! A subscription's cursor: what is told next, and in which order.

mod lag;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::config::{LagAction, LagPolicy};
use crate::delivery::{
    Batch, Budget, CloseReason, Delivery, End, EndReason, Gap, GapReason, within,
};
use crate::event::{Event, Record};
use crate::grant::Grant;
use crate::log::past::Head;
use crate::log::{Feed, Log};
use crate::pattern::Pattern;
use crate::planted::{self, Bug};
use crate::position::Position;
use crate::readers::Memo;
use crate::reading::{Reading, Readings};
use crate::timestamp::Timestamp;

/// One subscription, as the hub keeps it
///
/// What a delivery touches lies here, beside the next cursor's: a fan-out costs two cache lines for each, in a row.
#[derive(Debug)]
pub(crate) struct Cursor {
    /// What the reader would resume from: the last event it was given, or where it began
    pub(crate) position: Position,
    /// Up to here everything was given or announced; ahead of `position` when nothing followed it
    pub(crate) read: u64,
    pub(crate) readings: Readings,
    /// When the grant needs attention: the notice that it runs out, then its end. It is not looked at before.
    attention: Timestamp,
    rare: Option<Box<Rare>>,
    /// Whether it is told of a gap where memory ends, whatever the store has
    pub(crate) memory_alone: bool,
    /// Whether it came with a position that its hub has not been told of yet, but perhaps another hub over the same store
    pub(crate) ahead: bool,
    /// Whether the store has that position
    pub(crate) is_confirmed: bool,
    grant: Option<Arc<Grant>>,
    /// When the hub has to wake it, whatever is published
    pub(crate) deadline: Option<Timestamp>,
}

/// What few subscriptions have, and those only at times
#[derive(Debug, Default)]
struct Rare {
    /// What is to be told before anything is read
    pending: VecDeque<Delivery>,
    lag: LagPolicy,
    /// Events up to here are skipped if newer ones replace them
    conflate_through: u64,
    closed: Option<CloseReason>,
    /// The first join or leave it has not heard of, if it is to hear of them
    heard: Option<u64>,
}

const NEVER: Timestamp = Timestamp(u64::MAX);

impl Cursor {
    pub(crate) fn new(position: Position, lag: LagPolicy) -> Cursor {
        let rare = Rare {
            lag,
            ..Rare::default()
        };
        Cursor {
            position,
            read: position.offset,
            readings: Readings::default(),
            attention: NEVER,
            memory_alone: false,
            ahead: false,
            is_confirmed: false,
            rare: (!rare.is_idle()).then(|| Box::new(rare)),
            grant: None,
            deadline: None,
        }
    }

    /// What is told next.
    pub(crate) fn next(
        &mut self,
        log: &mut Log,
        now: Timestamp,
        budget: Budget,
    ) -> Option<Delivery> {
        if self.rare.is_some() || self.attention <= now || self.ahead {
            let told = self.next_beside_events(log, now);
            if told.is_some() || self.ahead {
                return told;
            }
        }
        self.read(log, budget)
    }

    /// What is to be told before anything is read: of the grant, of what is pending, of a lag.
    fn next_beside_events(&mut self, log: &mut Log, now: Timestamp) -> Option<Delivery> {
        if let Some(reason) = self.closed() {
            return Some(Delivery::Closed(reason));
        }
        if self.attention <= now
            && let Some(at) = self.grant.as_ref().and_then(|grant| grant.expires)
        {
            if at <= now && !planted::has(Bug::GrantNeverExpires) {
                return Some(self.close(CloseReason::Expired));
            }
            if self.attention < at {
                self.attention = at;
                return Some(Delivery::Expiring { at });
            }
        }
        if let Some(delivery) = self.next_pending() {
            return Some(delivery);
        }
        if self.ahead && self.is_reached(log) {
            return self.next_pending();
        }
        let action = self
            .rare
            .as_ref()
            .map_or(LagAction::Replay, |r| r.lag.action);
        if self.ahead || action == LagAction::Replay || !self.lags(log, now) {
            return None;
        }
        match action {
            LagAction::Disconnect => return Some(self.close(CloseReason::Lagged)),
            LagAction::Newest => self.skip_to_newest(log),
            LagAction::Conflate => self.rare().conflate_through = log.head,
            LagAction::Replay => {}
        }
        self.next_pending()
    }

    /// Has the log come to the position it came with? If another entry is there, that is told.
    fn is_reached(&mut self, log: &mut Log) -> bool {
        if log.head < self.read {
            return false;
        }
        self.ahead = false;
        if log.is_another(self.position) && self.position.offset == self.read {
            self.read_from_start(log);
        }
        for reading in self.readings.iter_mut() {
            reading.seek(self.read.max(reading.after), log);
        }
        true
    }

    /// It came from another life of the log, and reads everything.
    pub(crate) fn read_from_start(&mut self, log: &mut Log) {
        for reading in self.readings.iter() {
            if let Feed::Wildcard(id) = reading.feed {
                log.reach_back(id, 0);
            }
        }
        self.begin_again(log.place(0), GapReason::Rewound, log);
    }

    pub(crate) fn next_pending(&mut self) -> Option<Delivery> {
        let rare = self.rare.as_mut()?;
        let pending = rare.pending.pop_front();
        if rare.is_idle() {
            self.rare = None;
        }
        pending
    }

    /// Lets something be told before anything is read.
    pub(crate) fn tell(&mut self, delivery: Delivery) {
        self.rare().pending.push_back(delivery);
    }

    /// Keeps of what is to be told only what `is_kept` says.
    pub(crate) fn retain_pending(&mut self, is_kept: impl FnMut(&Delivery) -> bool) {
        if let Some(rare) = &mut self.rare {
            rare.pending.retain(is_kept);
        }
    }

    pub(crate) fn grant(&self) -> Option<&Arc<Grant>> {
        self.grant.as_ref()
    }

    /// Reads on under `grant`, of whose end it is told so long before.
    pub(crate) fn set_grant(&mut self, grant: Option<Arc<Grant>>, notice: Duration) {
        let expires = grant.as_ref().and_then(|grant| grant.expires);
        self.attention = expires.map_or(NEVER, |at| at.saturating_sub(notice));
        self.grant = grant;
    }

    pub(crate) fn closed(&self) -> Option<CloseReason> {
        self.rare.as_ref()?.closed
    }

    /// The first join or leave it has not heard of, if it is to hear of them.
    pub(crate) fn heard(&self) -> Option<u64> {
        self.rare.as_ref()?.heard
    }

    /// Is to hear of joins and leaves from this one on.
    pub(crate) fn hear_from(&mut self, next: u64) {
        self.rare().heard = Some(next);
    }

    fn conflate_through(&self) -> u64 {
        self.rare.as_ref().map_or(0, |rare| rare.conflate_through)
    }

    fn rare(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    /// The log goes on from `to`: who has read further is told why, and what was not told yet no longer matters.
    pub(crate) fn begin_again(&mut self, to: Position, reason: GapReason, log: &Log) {
        let base = |reading: &Reading| self.read.max(reading.after);
        if reason == GapReason::Rewound && self.readings.iter().all(|r| base(r) <= to.offset) {
            for reading in self.readings.iter_mut() {
                reading.seek(self.read.max(reading.after), log);
            }
            return;
        }
        let is_epoch =
            |told: &Delivery| matches!(told, Delivery::Gap(gap) if gap.reason == GapReason::Epoch);
        let was_to_hear = |rare: &Rare| rare.pending.iter().any(is_epoch);
        let (to, reason) = match self.rare.as_deref().is_some_and(was_to_hear) {
            // It hears of the epoch still, and reads all there is.
            true => (log.place(0), GapReason::Epoch),
            false => (to, reason),
        };
        // Ends are read again with the events before them.
        self.retain_pending(|told| match told {
            Delivery::Gap(_) => false,
            Delivery::End(end) => end.reason == EndReason::Revoked,
            _ => true,
        });
        let mut gaps = Vec::new();
        for reading in self.readings.iter_mut() {
            let own = reading.pattern.clone();
            gaps.push(Delivery::Gap(Gap {
                pattern: own.clone(),
                from: self.position,
                to,
                missed: None,
                reason,
            }));
            let place = reading.place;
            *reading = Reading::new(own, reading.feed, to.offset, log);
            reading.place = place;
        }
        self.read = to.offset;
        self.ahead = false;
        if planted::has(Bug::RestartInSilence) {
            return;
        }
        let rare = self.rare();
        rare.pending.extend(gaps);
        rare.conflate_through = 0;
    }

    /// Ends it; every later poll says so again.
    pub(crate) fn close(&mut self, reason: CloseReason) -> Delivery {
        let rare = self.rare();
        rare.closed = Some(reason);
        rare.pending.clear();
        Delivery::Closed(reason)
    }

    /// Has it nothing more to be told until something is published?
    pub(crate) fn is_caught_up(&self, log: &Log) -> bool {
        let is_quiet = |rare: &Rare| rare.closed.is_none() && rare.pending.is_empty();
        let has_read_all = match self.ahead {
            true => self.is_confirmed && self.read > log.head,
            false => self.read == log.head,
        };
        has_read_all && self.rare.as_deref().is_none_or(is_quiet)
    }

    /// Moves `read` to the head if nothing is to be given or announced before it.
    pub(crate) fn settle(&mut self, log: &Log) {
        if self.ahead {
            return;
        }
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
        let conflate_through = self.conflate_through();
        if let [reading] = &mut self.readings[..]
            && conflate_through <= self.read
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
        if log.reads_back && !self.memory_alone && self.behind_memory(log).is_some() {
            // The store may have it.
            return None;
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
        let conflate_through = self.conflate_through();
        let [reading] = &mut self.readings[..] else {
            return None;
        };
        let Feed::Topic(id) = reading.feed else {
            return None;
        };
        let state = &mut log.topics[id as usize];
        let base = self.read.max(reading.after);
        if state.lost.through > base || conflate_through > base {
            return None;
        }
        let index = state.index(reading.next_seq);
        let ahead = state.event_count().checked_sub(index)?;
        let count = within(budget, state.events.range(index..index + ahead));
        let last = state.events.get(index + count.checked_sub(1)?)?.position();
        reading.next_seq = state.first_seq + (index + count) as u64;
        let full = last.offset != state.newest();
        let readers = state.readers.as_mut().expect("it is read");
        let is_shared = readers.count > 1;
        let batch = match count {
            1 => {
                let old = match is_shared {
                    true => readers.memo.take().map(|memo| memo.batch),
                    false => log.spare.take(),
                };
                Batch::of_one(state.events[index].clone(), old)
            }
            _ => {
                let events = state.events.range(index..index + count);
                Arc::new(Batch::of_many(events.cloned().collect()))
            }
        };
        if is_shared {
            readers.memo = Some(Memo {
                after: index
                    .checked_sub(1)
                    .map_or(0, |before| state.events[before].offset()),
                budget,
                full,
                batch: batch.clone(),
                next_seq: reading.next_seq,
            });
        } else if count == 1 {
            log.spare = Some(batch.clone());
        }
        self.position = last;
        self.read = if full { last.offset } else { log.head };
        Some(batch)
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

impl Rare {
    /// Has it nothing that must be kept?
    fn is_idle(&self) -> bool {
        self.pending.is_empty()
            && self.lag.action == LagAction::Replay
            && self.closed.is_none()
            && self.heard.is_none()
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
