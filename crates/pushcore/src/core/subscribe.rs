//! Cursors: how they come, what they are told next, how they go.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::call::Caller;
use crate::core::{Core, short};
use crate::cursor::{Cursor, end_of};
use crate::delivery::{Batch, Budget, Delivery, EndReason, Gap, GapReason};
use crate::event::Record;
use crate::log::Feed;
use crate::pattern::Pattern;
use crate::planted::{self, Bug};
use crate::position::Position;
use crate::presence::Told;
use crate::read_back::{From, Span};
use crate::reading::{Reading, Readings};
use crate::store::StoredPage;
use crate::subscribe::{Start, SubscribeError, SubscribeOptions};
use crate::timestamp::Timestamp;
use crate::topic::Topic;

impl Core {
    pub(crate) fn subscribe(
        &mut self,
        options: SubscribeOptions,
        now: Timestamp,
    ) -> Result<(u32, Position), SubscribeError> {
        let max = self.config.max_subscriptions;
        if self.cursors.len() >= max {
            return Err(SubscribeError::TooManySubscriptions { max });
        }
        let mut patterns = options.patterns;
        let mut seen = BTreeSet::new();
        patterns.retain(|pattern| seen.insert(pattern.clone()));
        if let Some(grant) = &options.grant {
            self.check_grant(grant, &patterns, now)?;
        }
        self.check_room(0, &patterns)?;
        self.log.expire(now);
        let position = self.log.place(0);
        let mut cursor = Cursor::new(position, options.lag);
        cursor.set_grant(options.grant, self.config.expiry_notice);
        if options.presence {
            cursor.hear_from(self.presence.next);
        }
        let id = short(self.cursors.insert(cursor));
        let at = self.join(id, patterns, options.start, now);
        let cursor = &mut self.cursors[id as usize];
        cursor.position = resumes_from(options.start, at);
        cursor.read = at.offset;
        cursor.ahead = at.offset > self.log.head;
        self.set_deadline(id, now);
        self.log.fit();
        let position = self.cursors[id as usize].position;
        Ok((id, position))
    }

    /// Adds patterns that read from `start` on, but not from before the cursor; says from where.
    fn join(&mut self, id: u32, patterns: Vec<Pattern>, start: Start, now: Timestamp) -> Position {
        let (from, foreign) = match start {
            Start::Now | Start::Last(0) => (self.log.head, None),
            Start::After(position) if self.may_come(id, position) => (position.offset, None),
            Start::After(position) => self.log.resolve(position),
            Start::Earliest | Start::Last(_) | Start::Since(_) => (0, None),
        };
        let read = self.cursors[id as usize].read;
        let join = |pattern: &Pattern| self.log.join(pattern, from.max(read));
        let feeds: Vec<Feed> = patterns.iter().map(join).collect();
        let from = match start {
            Start::Now | Start::After(_) => from,
            Start::Earliest => self.log.before_earliest(&feeds),
            Start::Last(count) => self.log.before_last(&feeds, count),
            Start::Since(time) => self.log.before_time(&feeds, time.min(now)),
        };
        let from = from.max(read);
        let at = self.log.position(from);
        if let (Some(reason), Start::After(position)) = (foreign, start) {
            let gaps = patterns.iter().map(|pattern| Gap {
                pattern: pattern.clone(),
                from: position,
                to: at,
                missed: None,
                reason,
            });
            let cursor = &mut self.cursors[id as usize];
            gaps.for_each(|gap| cursor.tell(Delivery::Gap(gap)));
        }
        for (pattern, feed) in patterns.into_iter().zip(feeds) {
            self.enter(id, pattern, feed, from);
        }
        at
    }

    /// May the hub be told later of a position that a cursor begins with?
    fn may_come(&self, id: u32, position: Position) -> bool {
        let (log, cursor) = (&self.log, &self.cursors[id as usize]);
        let is_own = cursor.readings.is_empty() || position.offset == cursor.read;
        log.reads_back && position.epoch == log.epoch && position.offset > log.head && is_own
    }

    /// Gives a cursor one more reading; one of a topic that has ended before `from` is told so and leaves at once.
    fn enter(&mut self, id: u32, pattern: Pattern, feed: Feed, from: u64) {
        let cursor = &mut self.cursors[id as usize];
        if let Feed::Topic(topic) = feed {
            let state = &self.log.topics[topic as usize];
            let end = state
                .events
                .back()
                .filter(|end| end.record() != Record::Event);
            if let Some(end) = end.filter(|end| end.offset() <= from) {
                cursor.tell(Delivery::End(end_of(end)));
                self.log.leave(feed);
                return;
            }
        }
        let reading = Reading::new(pattern, feed, from, &self.log);
        let call = match cursor.readings {
            Readings::One(_) => self.disarm(id),
            Readings::Many(_) => None,
        };
        self.cursors[id as usize].readings.push(reading, call);
    }

    pub(crate) fn add(
        &mut self,
        id: u32,
        mut patterns: Vec<Pattern>,
        start: Option<Start>,
        now: Timestamp,
    ) -> Result<Position, SubscribeError> {
        let cursor = &mut self.cursors[id as usize];
        if cursor.closed().is_some() {
            return Err(SubscribeError::Closed);
        }
        let grant = cursor.grant().cloned();
        if let Some(grant) = &grant {
            self.check_grant(grant, &patterns, now)?;
        }
        let cursor = &mut self.cursors[id as usize];
        let mut known = cursor.read;
        patterns.retain(|pattern| {
            let mut readings = cursor.readings.iter();
            let reading = readings.find(|reading| reading.pattern == *pattern);
            known = known.max(reading.map_or(0, |reading| reading.after));
            reading.is_none()
        });
        if patterns.is_empty() {
            return Ok(self.log.position(known));
        }
        let (is_first, readings) = (cursor.readings.is_empty(), cursor.readings.len());
        self.check_room(readings, &patterns)?;
        let cursor = &mut self.cursors[id as usize];
        cursor.settle(&self.log);
        let Some(start) = start.filter(|_| is_first) else {
            let start = start.unwrap_or(Start::After(self.log.place(cursor.read)));
            let at = self.join(id, patterns, start, now);
            self.log.fit();
            return Ok(at);
        };
        // Nothing is read yet, so the cursor goes where the first patterns begin.
        cursor.read = 0;
        let at = self.join(id, patterns, start, now);
        let cursor = &mut self.cursors[id as usize];
        cursor.read = at.offset;
        cursor.ahead = at.offset > self.log.head;
        cursor.position = resumes_from(start, at);
        self.log.fit();
        Ok(at)
    }

    pub(crate) fn remove(&mut self, id: u32, pattern: &Pattern) -> bool {
        let cursor = &mut self.cursors[id as usize];
        // Of a topic that had ended there is no reading any more, but perhaps a gap to be told.
        cursor
            .retain_pending(|told| !matches!(told, Delivery::Gap(gap) if gap.pattern == *pattern));
        let mut readings = cursor.readings.iter();
        let Some(index) = readings.position(|reading| reading.pattern == *pattern) else {
            return false;
        };
        self.drop_reading(id, index);
        self.log.fit();
        true
    }

    pub(crate) fn unsubscribe(&mut self, id: u32) {
        self.drop_readings(id);
        let cursor = self.cursors.remove(id as usize);
        if let Some(at) = cursor.deadline {
            self.deadlines.remove(&(at, id));
        }
        self.log.fit();
    }

    /// What a cursor is told next, if that is events that are found in the short way; if not, nothing was done.
    #[inline(always)]
    pub(crate) fn next_batch(
        &mut self,
        id: u32,
        now: Timestamp,
        budget: Budget,
        caller: Option<Caller<'_>>,
    ) -> Option<Given> {
        let cursor = &mut self.cursors[id as usize];
        if !cursor.hears_of_events_alone(now) || planted::has(Bug::ArmedTooLate) {
            return None;
        }
        let (batch, position) = cursor.read_alone(&mut self.log, budget)?;
        let caught_up = cursor.read == self.log.head;
        if let Some(caller) = caller.filter(|_| caught_up && !planted::has(Bug::LostWakeup))
            && let Readings::One(reading) = &mut cursor.readings
        {
            let readers = self.log.readers(reading.feed);
            readers.arm(id, &mut reading.place, caller);
        }
        Some(Given {
            batch,
            position,
            caught_up,
        })
    }

    /// What a cursor is told next; arms its call if that was all, or if the store must be asked.
    pub(crate) fn next(
        &mut self,
        id: u32,
        now: Timestamp,
        budget: Budget,
        caller: Option<Caller<'_>>,
    ) -> Next {
        let cursor = &mut self.cursors[id as usize];
        let mut delivery = cursor.next(&mut self.log, now, budget);
        let reads_back = self.log.reads_back && delivery.is_none() && !cursor.memory_alone;
        let needs = match reads_back {
            true => cursor.behind_memory(&self.log),
            false => None,
        };
        if delivery.is_none()
            && needs.is_none()
            && let Some(mut heard) = cursor.heard()
        {
            let readings = &cursor.readings;
            let reads = |topic: &Topic| {
                readings
                    .iter()
                    .any(|reading| reading.pattern.matches(topic))
            };
            delivery = match self.presence.told(&mut heard, reads) {
                Told::Change(change) => Some(Delivery::Presence(change)),
                Told::Missed => Some(Delivery::PresenceMissed),
                Told::Nothing => None,
            };
            cursor.hear_from(heard);
        }
        match &delivery {
            Some(Delivery::Closed(_)) => self.drop_readings(id),
            Some(Delivery::End(end)) if end.reason != EndReason::Revoked => {
                self.remove(id, &end.pattern);
            }
            _ => {}
        }
        // Conflation may have made an index of keys.
        self.log.fit();
        let cursor = &mut self.cursors[id as usize];
        let next = self.presence.next;
        let heard_all = cursor.heard().is_none_or(|heard| heard == next);
        let caught_up = heard_all && cursor.is_caught_up(&self.log);
        // One that waits for the store is woken too, for it may be told that its grant is gone.
        if (caught_up || needs.is_some())
            && let Some(caller) = caller
        {
            self.arm(id, caller, delivery.is_some());
        }
        Next {
            position: self.cursors[id as usize].position,
            delivery,
            caught_up,
            needs,
        }
    }

    /// Takes from a page of the store what a cursor is told next, if it still needs that.
    pub(crate) fn take_page(
        &mut self,
        id: u32,
        from: From,
        page: &StoredPage,
        budget: Budget,
    ) -> Option<Delivery> {
        let cursor = &mut self.cursors[id as usize];
        let span = cursor.behind_memory(&self.log)?;
        if span.from != from || page.epoch != self.log.epoch {
            return None;
        }
        if cursor.ahead {
            return cursor.confirm(page, &mut self.log);
        }
        let head = page.read_through;
        if page.is_last && head < span.through && page.entries.is_empty() {
            // It was told of what lies there, and the store has it no longer.
            return cursor.gap_in_store(span.through, GapReason::Corrupt, &self.log);
        }
        let delivery = cursor.take_page(page, span, &mut self.log, budget);
        if let Some(Delivery::End(end)) = &delivery {
            self.remove(id, &end.pattern);
        }
        delivery
    }

    /// Tells a cursor that the store cannot read what lies up to `to`.
    pub(crate) fn take_damage(&mut self, id: u32, to: u64) -> Option<Delivery> {
        let cursor = &mut self.cursors[id as usize];
        let span = cursor.behind_memory(&self.log)?;
        let to = to.min(span.through);
        cursor.gap_in_store(to, GapReason::Corrupt, &self.log)
    }

    /// Wakes a cursor at `at`, if nothing wakes it before.
    pub(crate) fn wake_at(&mut self, id: u32, at: Timestamp) {
        let cursor = &mut self.cursors[id as usize];
        if cursor.deadline.is_some_and(|earlier| earlier <= at) {
            return;
        }
        if let Some(old) = cursor.deadline.replace(at) {
            self.deadlines.remove(&(old, id));
        }
        self.deadlines.insert((at, id));
    }

    pub(super) fn check_room(&self, has: usize, more: &[Pattern]) -> Result<(), SubscribeError> {
        let max = self.config.max_patterns;
        if has + more.len() > max {
            return Err(SubscribeError::TooManyPatterns { max });
        }
        let max = self.config.max_wildcards;
        let new = more
            .iter()
            .filter(|pattern| self.log.is_new_wildcard(pattern))
            .count();
        if self.log.wildcards.len() + new > max {
            return Err(SubscribeError::TooManyWildcards { max });
        }
        Ok(())
    }
}

/// Events that a poll comes to in the short way
pub(crate) struct Given {
    pub(crate) batch: Arc<Batch>,
    /// Of the cursor now
    pub(crate) position: Position,
    /// Whether that was all
    pub(crate) caught_up: bool,
}

/// What a poll comes to
pub(crate) struct Next {
    /// Of the cursor now
    pub(crate) position: Position,
    pub(crate) delivery: Option<Delivery>,
    /// Whether that was all
    pub(crate) caught_up: bool,
    /// What must be read from the store before there is more
    pub(crate) needs: Option<Span>,
}

/// The position of a reader that begins at `at`: until it was given an event, it keeps the one it came with, so that one
/// from another life is told of the gap again if it is cut before it has read anything.
fn resumes_from(start: Start, at: Position) -> Position {
    match start {
        Start::After(position) => position,
        _ => at,
    }
}
