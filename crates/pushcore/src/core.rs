//! What is behind a hub's lock: the log, the cursors, and what decides about them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::task::Waker;

use slab::Slab;

use crate::config::HubConfig;
use crate::cursor::{Cursor, Reading, end_of};
use crate::delivery::{Budget, CloseReason, Delivery, End, EndReason, Gap};
use crate::event::{Content, NewEvent, Record};
use crate::forms::FormCache;
use crate::grant::{Grant, Revocation};
use crate::idempotency::{ScopedKey, Seen, Window, digest};
use crate::log::{Feed, Log};
use crate::pattern::Pattern;
use crate::planted::{self, Bug};
use crate::position::{Epoch, Position};
use crate::presence::{Presence, PresenceError, Told};
use crate::publish::{Durability, PublishError, Receipt, Receipts};
use crate::random::Random;
use crate::readers::Waiting;
use crate::revoked::Revoked;
use crate::store::{StoredEntry, StoredEvent};
use crate::subscribe::{Start, SubscribeError, SubscribeOptions};
use crate::timestamp::Timestamp;
use crate::topic::Topic;

/// What is behind a hub's lock
pub(crate) struct Core {
    pub(crate) log: Log,
    pub(crate) cursors: Slab<Box<Cursor>>,
    pub(crate) window: Window,
    pub(crate) revoked: Revoked,
    pub(crate) presence: Presence,
    /// Cursors by when their grants need attention
    deadlines: BTreeSet<(Timestamp, u32)>,
    pub(crate) published: u64,
    pub(crate) config: Arc<HubConfig>,
}

/// Wakers to be called once the lock is released
pub(crate) type Wakers = Vec<Waker>;

impl Core {
    pub(crate) fn new(config: Arc<HubConfig>, seed: u64, now: Timestamp) -> Core {
        let mut random = Random::new(seed);
        let epoch = Epoch(random.next());
        let forms = FormCache::new(config.max_form_bytes);
        Core {
            log: Log::new(config.clone(), epoch, random.next(), forms, now),
            cursors: Slab::new(),
            window: Window::default(),
            revoked: Revoked::default(),
            presence: Presence::new(config.max_presence_changes),
            deadlines: BTreeSet::new(),
            published: 0,
            config,
        }
    }

    pub(crate) fn publish(
        &mut self,
        batch: Vec<NewEvent>,
        subject: Option<&str>,
        now: Timestamp,
        wakers: &mut Wakers,
    ) -> Receipts {
        if let Err(refused) = self.check_batch_len(batch.len()) {
            return refused;
        }
        self.log.expire(now);
        self.window.expire(now, &self.config);
        let publish_one = |event| self.publish_one(event, subject, now, wakers);
        batch.into_iter().map(publish_one).collect()
    }

    fn publish_one(
        &mut self,
        event: NewEvent,
        subject: Option<&str>,
        now: Timestamp,
        wakers: &mut Wakers,
    ) -> Result<Receipt, PublishError> {
        self.check_size(&event)?;
        let key = ScopedKey::new(&event, subject).map(|key| (key, digest(&event)));
        if let Some((key, digest)) = &key
            && let Some(seen) = self.window.find(key)
            && !planted::has(Bug::RetryPublishesTwice)
        {
            if seen.digest != *digest {
                return Err(PublishError::IdempotencyConflict);
            }
            return Ok(receipt(seen.position, true));
        }
        let topic = match self.log.topic(&event.topic) {
            Some(topic) if self.log.topics[topic as usize].ended.is_some() => {
                return Err(PublishError::Ended);
            }
            Some(topic) => topic,
            None => self.log.topic_or_new(&event.topic),
        };
        let (end, content) = (event.end, Content::from(event));
        let position = self.append(topic, content, Record::Event, now);
        if end {
            self.append(topic, Content::empty(), Record::Ended, now);
        }
        self.wake_readers(topic, wakers);
        self.log.retain(topic);
        self.published += 1;
        if let Some((key, digest)) = key {
            let seen = Seen { position, digest };
            self.window.remember(key, seen, now, &self.config);
        }
        Ok(receipt(position, false))
    }

    /// Takes in what a store has committed.
    pub(crate) fn commit(&mut self, entries: &[StoredEvent], wakers: &mut Wakers) {
        for stored in entries {
            let Position { epoch, offset, tag } = stored.position;
            if epoch != self.log.epoch || offset <= self.log.head {
                // It was told before, or by a life of the store that is over.
                continue;
            }
            let topic = self.log.topic_or_new(stored.topic());
            self.log.notice_hole(topic, stored.previous);
            let (content, record) = match &stored.entry {
                StoredEntry::Event(event) => (Content::from(NewEvent::clone(event)), Record::Event),
                StoredEntry::End(_, EndReason::Deleted) => (Content::empty(), Record::Deleted),
                StoredEntry::End(..) => (Content::empty(), Record::Ended),
            };
            if record == Record::Event {
                self.log.begin_anew(topic);
                self.published += 1;
            }
            self.log
                .append(topic, content, record, (offset, tag), stored.time);
            self.wake_readers(topic, wakers);
            self.log.retain(topic);
        }
    }

    /// Begins a new epoch with an empty log; every reader is told.
    pub(crate) fn restart(&mut self, epoch: Epoch, wakers: &mut Wakers) {
        if epoch == self.log.epoch {
            return;
        }
        self.log.clear(epoch);
        let to = self.log.place(0);
        for (_, cursor) in &mut self.cursors {
            cursor.restart(to, &self.log);
            wake_one(cursor, wakers);
        }
    }

    /// Refuses a batch as a whole if anything of it is beyond its bounds.
    pub(crate) fn check_batch(&self, batch: &[NewEvent]) -> Result<(), Receipts> {
        self.check_batch_len(batch.len())?;
        let refused = batch.iter().find_map(|event| self.check_size(event).err());
        match refused {
            Some(error) => Err(batch.iter().map(|_| Err(error.clone())).collect()),
            None => Ok(()),
        }
    }

    fn check_batch_len(&self, len: usize) -> Result<(), Receipts> {
        let max = self.config.max_batch_events;
        match len > max {
            true => Err(vec![Err(PublishError::BatchTooLong { max }); len]),
            false => Ok(()),
        }
    }

    fn check_size(&self, event: &NewEvent) -> Result<(), PublishError> {
        let (bytes, max) = (event.size(), self.config.max_event_bytes);
        match bytes > max {
            true => Err(PublishError::TooLarge { bytes, max }),
            false => Ok(()),
        }
    }

    pub(crate) fn end_topic(
        &mut self,
        topic: &Topic,
        now: Timestamp,
        wakers: &mut Wakers,
    ) -> Result<Position, PublishError> {
        self.log.expire(now);
        let topic = self.log.topic_or_new(topic);
        if self.log.topics[topic as usize].ended.is_some() {
            return Err(PublishError::Ended);
        }
        let position = self.append(topic, Content::empty(), Record::Ended, now);
        self.wake_readers(topic, wakers);
        self.log.retain(topic);
        Ok(position)
    }

    pub(crate) fn delete_topic(
        &mut self,
        topic: &Topic,
        now: Timestamp,
        wakers: &mut Wakers,
    ) -> Option<u64> {
        self.log.expire(now);
        let topic = self.log.topic(topic)?;
        let erased = self.log.erase(topic);
        if self.log.topics[topic as usize].ended.is_none() {
            self.append(topic, Content::empty(), Record::Deleted, now);
        }
        self.wake_readers(topic, wakers);
        Some(erased)
    }

    fn append(&mut self, topic: u32, content: Content, record: Record, now: Timestamp) -> Position {
        let place = self.log.next_place();
        self.log
            .append(topic, content, record, place, now)
            .position()
    }

    /// Takes the wakers of those that wait for a topic, by its name or by a wildcard.
    fn wake_readers(&mut self, topic: u32, wakers: &mut Wakers) {
        self.log.refresh_wildcards(topic);
        let state = &mut self.log.topics[topic as usize];
        if let Some(readers) = &mut state.readers {
            wake(&mut readers.waiting, &mut self.cursors, wakers);
        }
        for &id in &state.wildcards {
            let readers = &mut self.log.wildcards[id as usize].readers;
            wake(&mut readers.waiting, &mut self.cursors, wakers);
        }
    }

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
        let mut cursor = Cursor::new(position, options.lag, options.grant);
        cursor.heard = options.presence.then_some(self.presence.next);
        let id = self.cursors.insert(Box::new(cursor));
        let id = u32::try_from(id).expect("subscriptions are bounded");
        let at = self.join(id, patterns, options.start, now);
        let cursor = &mut self.cursors[id as usize];
        cursor.position = resumes_from(options.start, at);
        cursor.read = at.offset;
        self.set_deadline(id, now);
        self.log.fit();
        let position = self.cursors[id as usize].position;
        Ok((id, position))
    }

    /// Adds patterns that read from `start` on, but not from before the cursor; says from where.
    fn join(&mut self, id: u32, patterns: Vec<Pattern>, start: Start, now: Timestamp) -> Position {
        let (from, foreign) = match start {
            Start::Now | Start::Last(0) => (self.log.head, None),
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
            let pending = &mut self.cursors[id as usize].pending;
            pending.extend(gaps.map(Delivery::Gap));
        }
        for (pattern, feed) in patterns.into_iter().zip(feeds) {
            self.enter(id, pattern, feed, from);
        }
        at
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
                cursor.pending.push_back(Delivery::End(end_of(end)));
                self.log.leave(feed);
                return;
            }
        }
        let reading = Reading::new(pattern, feed, from, &self.log);
        // One pattern is the rule, and room for more would double what a subscription costs.
        cursor
            .readings
            .reserve_exact(usize::from(cursor.readings.is_empty()));
        cursor.readings.push(reading);
    }

    pub(crate) fn add(
        &mut self,
        id: u32,
        mut patterns: Vec<Pattern>,
        start: Option<Start>,
        now: Timestamp,
    ) -> Result<Position, SubscribeError> {
        let cursor = &mut self.cursors[id as usize];
        if cursor.closed.is_some() {
            return Err(SubscribeError::Closed);
        }
        let grant = cursor.grant.clone();
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
        cursor.position = resumes_from(start, at);
        self.log.fit();
        Ok(at)
    }

    pub(crate) fn remove(&mut self, id: u32, pattern: &Pattern) -> bool {
        let readings = &self.cursors[id as usize].readings;
        let Some(index) = readings
            .iter()
            .position(|reading| reading.pattern == *pattern)
        else {
            return false;
        };
        self.drop_reading(id, index);
        let pending = &mut self.cursors[id as usize].pending;
        pending.retain(|told| !matches!(told, Delivery::Gap(gap) if gap.pattern == *pattern));
        self.log.fit();
        true
    }

    pub(crate) fn regrant(
        &mut self,
        id: u32,
        grant: Arc<Grant>,
        now: Timestamp,
    ) -> Result<(), SubscribeError> {
        let cursor = &mut self.cursors[id as usize];
        if cursor.closed.is_some() {
            return Err(SubscribeError::Closed);
        }
        let same = cursor
            .grant
            .as_ref()
            .is_none_or(|own| own.subject.is_none() || own.subject == grant.subject);
        if !same {
            return Err(SubscribeError::OtherSubject);
        }
        self.check_grant(&grant, &[], now)?;
        let unnoticed = planted::has(Bug::GrantOnlyAtSubscribe);
        self.revoke_patterns(id, |pattern| !unnoticed && !grant.may_subscribe(pattern));
        let cursor = &mut self.cursors[id as usize];
        cursor.grant = Some(grant);
        cursor.told_expiry = false;
        cursor
            .pending
            .retain(|delivery| !matches!(delivery, Delivery::Expiring { .. }));
        self.set_deadline(id, now);
        Ok(())
    }

    /// Lets a cursor hear who comes and goes, from now on.
    pub(crate) fn hear_presence(&mut self, id: u32) {
        let next = self.presence.next;
        self.cursors[id as usize].heard.get_or_insert(next);
    }

    /// Takes the waker of one cursor, if it waits.
    pub(crate) fn wake(&mut self, id: u32, wakers: &mut Wakers) {
        wake_one(&mut self.cursors[id as usize], wakers);
    }

    pub(crate) fn revoke(
        &mut self,
        revocation: &Revocation,
        until: Timestamp,
        now: Timestamp,
        wakers: &mut Wakers,
    ) {
        self.revoked
            .insert(revocation, until, now, self.config.max_revocations);
        let ids: Vec<usize> = self.cursors.iter().map(|(id, _)| id).collect();
        for id in ids {
            let short = u32::try_from(id).expect("subscriptions are bounded");
            let cursor = &mut self.cursors[id];
            match (revocation, &cursor.grant) {
                (_, None) => continue,
                (Revocation::Pattern(pattern), Some(_)) => {
                    if !self.revoke_patterns(short, |own| own.overlaps(pattern)) {
                        continue;
                    }
                }
                (_, Some(grant)) => {
                    if !Revoked::is_meant(revocation, grant) || cursor.closed.is_some() {
                        continue;
                    }
                    cursor.close(CloseReason::Revoked);
                    self.drop_readings(short);
                }
            }
            wake_one(&mut self.cursors[id], wakers);
        }
    }

    /// Takes patterns from a cursor and lets it be told; says whether there were any.
    fn revoke_patterns(&mut self, id: u32, is_revoked: impl Fn(&Pattern) -> bool) -> bool {
        let mut any = false;
        let mut index = 0;
        while let Some(reading) = self.cursors[id as usize].readings.get(index) {
            if !is_revoked(&reading.pattern) {
                index += 1;
                continue;
            }
            any = true;
            let cursor = &mut self.cursors[id as usize];
            let pattern = cursor.readings[index].pattern.clone();
            let pending = &mut cursor.pending;
            pending.retain(|told| !matches!(told, Delivery::Gap(gap) if gap.pattern == pattern));
            let end = End {
                pattern,
                reason: EndReason::Revoked,
                at: cursor.position,
            };
            cursor.pending.push_back(Delivery::End(end));
            self.drop_reading(id, index);
        }
        any
    }

    pub(crate) fn unsubscribe(&mut self, id: u32) {
        self.drop_readings(id);
        let cursor = self.cursors.remove(id as usize);
        if let Some(at) = cursor.deadline {
            self.deadlines.remove(&(at, id));
        }
        self.log.fit();
    }

    /// What a cursor is told next; arms its waker if that was all. The second says whether it was.
    pub(crate) fn next(
        &mut self,
        id: u32,
        now: Timestamp,
        budget: Budget,
        waker: Option<&Waker>,
    ) -> (Option<Delivery>, bool) {
        let cursor = &mut self.cursors[id as usize];
        let mut delivery = cursor.next(&mut self.log, now, budget);
        if delivery.is_none()
            && let Some(heard) = &mut cursor.heard
        {
            let readings = &cursor.readings;
            let reads = |topic: &Topic| {
                readings
                    .iter()
                    .any(|reading| reading.pattern.matches(topic))
            };
            delivery = match self.presence.told(heard, reads) {
                Told::Change(change) => Some(Delivery::Presence(change)),
                Told::Missed => Some(Delivery::PresenceMissed),
                Told::Nothing => None,
            };
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
        let heard_all = cursor.heard.is_none_or(|heard| heard == self.presence.next);
        let caught_up = heard_all && cursor.is_caught_up(&self.log);
        if caught_up && let Some(waker) = waker {
            let known = cursor
                .waker
                .as_ref()
                .is_some_and(|own| own.will_wake(waker));
            if !known {
                cursor.waker = Some(waker.clone());
            }
            cursor.armed = true;
            if delivery.is_none() || !planted::has(Bug::LostWakeup) {
                self.list(id);
            }
        }
        (delivery, caught_up)
    }

    pub(crate) fn tick(&mut self, now: Timestamp, wakers: &mut Wakers) {
        self.log.expire(now);
        self.window.expire(now, &self.config);
        self.revoked.expire(now);
        while let Some(topic) = self.presence.expire_one(now) {
            self.wake_watchers(&topic, wakers);
        }
        while let Some(&(at, id)) = self.deadlines.first().filter(|(at, _)| *at <= now) {
            self.deadlines.remove(&(at, id));
            self.cursors[id as usize].deadline = None;
            self.set_deadline(id, now);
            wake_one(&mut self.cursors[id as usize], wakers);
        }
    }

    pub(crate) fn next_timeout(&mut self) -> Option<Timestamp> {
        let all = [
            self.log.next_expiry(),
            self.window.next_expiry(&self.config),
            self.revoked.next_expiry(),
            self.presence.next_expiry(),
            self.deadlines.first().map(|(at, _)| *at),
        ];
        all.into_iter().flatten().min()
    }

    pub(crate) fn join_presence(
        &mut self,
        topic: &Topic,
        member: &str,
        metadata: Option<&str>,
        until: Timestamp,
        wakers: &mut Wakers,
    ) -> Result<bool, PresenceError> {
        let came = self
            .presence
            .join(topic, member, metadata, until, &self.config)?;
        if came {
            self.wake_watchers(topic, wakers);
        }
        Ok(came)
    }

    pub(crate) fn leave_presence(
        &mut self,
        topic: &Topic,
        member: &str,
        wakers: &mut Wakers,
    ) -> bool {
        let was_there = self.presence.leave(topic, member);
        if was_there {
            self.wake_watchers(topic, wakers);
        }
        was_there
    }

    /// Wakes those of a topic's readers that hear of presence; they stay where they wait for events.
    fn wake_watchers(&mut self, topic: &Topic, wakers: &mut Wakers) {
        let mut feeds: Vec<Feed> = self
            .log
            .wildcards_of(topic)
            .into_iter()
            .map(Feed::Wildcard)
            .collect();
        if let Some(id) = self.log.topic(topic)
            && self.log.topics[id as usize].readers.is_some()
        {
            feeds.push(Feed::Topic(id));
        }
        for feed in feeds {
            for one in &self.log.readers(feed).waiting {
                let cursor = &mut self.cursors[one.cursor as usize];
                if cursor.heard.is_some() {
                    wake_one(cursor, wakers);
                }
            }
        }
    }

    pub(crate) fn check_grant(
        &self,
        grant: &Grant,
        patterns: &[Pattern],
        now: Timestamp,
    ) -> Result<(), SubscribeError> {
        if grant.is_expired(now) {
            return Err(SubscribeError::Expired);
        }
        if self.revoked.concerns(grant, now) {
            return Err(SubscribeError::Revoked);
        }
        let allowed =
            |p: &Pattern| grant.may_subscribe(p) && !self.revoked.concerns_pattern(p, now);
        match patterns.iter().find(|pattern| !allowed(pattern)) {
            Some(pattern) => Err(SubscribeError::Forbidden {
                pattern: pattern.clone(),
            }),
            None => Ok(()),
        }
    }

    fn check_room(&self, has: usize, more: &[Pattern]) -> Result<(), SubscribeError> {
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

    /// Puts a cursor down for the next moment its grant needs attention: the notice, then the end.
    fn set_deadline(&mut self, id: u32, now: Timestamp) {
        let cursor = &mut self.cursors[id as usize];
        let expires = cursor.grant.as_ref().and_then(|grant| grant.expires);
        let notice = expires.map(|at| at.saturating_sub(self.config.expiry_notice));
        let next = notice
            .filter(|notice| *notice > now)
            .or(expires.filter(|at| *at > now));
        if let Some(old) = std::mem::replace(&mut cursor.deadline, next) {
            self.deadlines.remove(&(old, id));
        }
        if let Some(at) = next {
            self.deadlines.insert((at, id));
        }
    }

    /// Puts a cursor among those that wait for its feeds.
    fn list(&mut self, id: u32) {
        let cursor = &mut self.cursors[id as usize];
        for (index, reading) in cursor.readings.iter_mut().enumerate() {
            if reading.listed.is_none() {
                let waiting = &mut self.log.readers(reading.feed).waiting;
                reading.listed = Some(short(waiting.len()));
                waiting.push(Waiting {
                    cursor: id,
                    reading: short(index),
                });
            }
        }
    }

    fn drop_readings(&mut self, id: u32) {
        while !self.cursors[id as usize].readings.is_empty() {
            self.drop_reading(id, self.cursors[id as usize].readings.len() - 1);
        }
    }

    fn drop_reading(&mut self, id: u32, index: usize) {
        let gone = self.cursors[id as usize].readings.swap_remove(index);
        if let Some(place) = gone.listed {
            let waiting = &mut self.log.readers(gone.feed).waiting;
            waiting.swap_remove(place as usize);
            if let Some(&moved) = waiting.get(place as usize) {
                // The one that was moved may be a reading of this very cursor that has just changed its own place.
                let of_moved = &mut self.cursors[moved.cursor as usize].readings;
                of_moved[moved.reading as usize].listed = Some(place);
            }
        }
        if let Some(moved) = self.cursors[id as usize].readings.get(index)
            && let (Some(place), feed) = (moved.listed, moved.feed)
        {
            self.log.readers(feed).waiting[place as usize].reading = short(index);
        }
        self.log.leave(gone.feed);
    }
}

/// The position of a reader that begins at `at`: until it was given an event, it keeps the one it came with, so that one
/// from another life is told of the gap again if it is cut before it has read anything.
fn resumes_from(start: Start, at: Position) -> Position {
    match start {
        Start::After(position) => position,
        _ => at,
    }
}

fn receipt(position: Position, duplicate: bool) -> Receipt {
    Receipt {
        position,
        duplicate,
        durability: Durability::Volatile,
    }
}

fn wake(waiting: &mut Vec<Waiting>, cursors: &mut Slab<Box<Cursor>>, wakers: &mut Wakers) {
    for one in waiting.drain(..) {
        let cursor = &mut cursors[one.cursor as usize];
        cursor.readings[one.reading as usize].listed = None;
        wake_one(cursor, wakers);
    }
}

fn wake_one(cursor: &mut Cursor, wakers: &mut Wakers) {
    if std::mem::take(&mut cursor.armed) {
        wakers.extend(cursor.waker.clone());
    }
}

fn short(index: usize) -> u32 {
    u32::try_from(index).expect("subscriptions and patterns are bounded")
}
