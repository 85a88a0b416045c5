//! What leaves the log: by count and bytes of a topic, by age, by the ceiling, and by being erased.

use std::sync::Arc;

use crate::delivery::Batch;
use crate::event::{Event, Header, Record};
use crate::log::forgotten::Forgotten;
use crate::log::topic::{Keys, Lost, TopicLog};
use crate::log::wildcard::Wildcard;
use crate::log::{EVENT_OVERHEAD, KEY_OVERHEAD, Log, MAX_TOLD, WILDCARD_ENTRY, cost_of_topic};
use crate::order::Order;
use crate::planted::{self, Bug};
use crate::position::{Epoch, Position, Tag};
use crate::timestamp::Timestamp;

impl Log {
    /// Lets go of what `topic` has beyond its count and bytes, with so many events and bytes to come; the last one that
    /// went. The newest event is kept however large it is.
    #[inline]
    pub(crate) fn make_room(
        &mut self,
        topic: u32,
        events: usize,
        bytes: usize,
    ) -> Option<Arc<Event>> {
        let state = &self.topics[topic as usize];
        let rule = &self.rules[state.rule as usize];
        let (max_events, max_bytes) = (rule.max_events, rule.max_bytes);
        let mut events = (state.event_count() + events) as u64;
        let mut bytes = state.bytes + bytes as u64;
        let mut gone = None;
        while events > 1 && (events > max_events || bytes > max_bytes) {
            let event = self.evict_front(topic);
            events -= 1;
            bytes -= event.body_len() as u64;
            gone = Some(event);
        }
        gone
    }

    /// Keeps everything within the ceiling, of which the encodings have their own part.
    #[inline]
    pub(crate) fn fit(&mut self) {
        if self.bytes > self.max_bytes {
            while self.bytes > self.max_bytes && self.evict_oldest() {}
        }
    }

    /// Lets go of what is too old at `now`: events, and ends that were remembered long enough.
    #[inline]
    pub(crate) fn expire(&mut self, now: Timestamp) {
        if now < self.due && self.ends.len() <= self.config.max_ended {
            return;
        }
        self.expire_all(now);
    }

    fn expire_all(&mut self, now: Timestamp) {
        for rule in 0..self.rules.len() {
            let Some(max_age) = self.rules[rule].max_age else {
                continue;
            };
            while let Some((time, topic)) = self.oldest_of_rule(rule) {
                if time.saturating_add(max_age) > now {
                    break;
                }
                self.evict_oldest_of(topic);
            }
        }
        while let Some(&(time, _, topic)) = self.ends.front() {
            let kept = self.ends.len() <= self.config.max_ended;
            if kept && time.saturating_add(self.config.end_ttl) > now {
                break;
            }
            self.forget_end(topic);
        }
        self.due = self.next_expiry().unwrap_or(Timestamp(u64::MAX));
    }

    /// When [`Log::expire`] has something to do next.
    pub(crate) fn next_expiry(&mut self) -> Option<Timestamp> {
        let mut next = self
            .ends
            .front()
            .map(|(time, ..)| time.saturating_add(self.config.end_ttl));
        for rule in 0..self.rules.len() {
            let max_age = self.rules[rule].max_age;
            let due =
                max_age.and_then(|age| Some(self.oldest_of_rule(rule)?.0.saturating_add(age)));
            next = match (next, due) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            };
        }
        next
    }

    /// Lets go of every event of a topic; says how many there were.
    pub(crate) fn erase(&mut self, topic: u32) -> u64 {
        let mut erased = 0;
        while self.topics[topic as usize].oldest().is_some() {
            erased += 1;
            // The last one must not take the topic with it: its end is still to come.
            self.evict_front(topic);
        }
        erased
    }

    /// Notes that a topic has lost an entry that this log was not told of: the one before the next.
    pub(crate) fn notice_hole(&mut self, topic: u32, previous: u64) {
        let state = &mut self.topics[topic as usize];
        let known = state.newest().max(state.lost.through);
        if previous <= known || state.last.is_some_and(|(last, _)| last >= previous) {
            return;
        }
        // What was there is as good as lost, and so is everything before the hole: a gap is one range.
        while self.topics[topic as usize].oldest().is_some() {
            self.evict_front(topic);
        }
        let lost = Lost {
            through: previous,
            time: self.head_time,
        };
        self.refresh_wildcards(topic);
        let state = &mut self.topics[topic as usize];
        state.lost.merge(lost);
        state.exact_seq = state.next_seq() + 1;
        for &id in &state.wildcards {
            self.wildcards[id as usize].lost.merge(lost);
        }
    }

    /// Notes that entries up to `through` are gone, of whatever topic.
    pub(crate) fn lose_unknown(&mut self, through: u64) {
        let time = self.head_time;
        self.forgotten.add_everywhere(Lost { through, time });
    }

    /// Lets a topic that has ended go on, because its store says so.
    pub(crate) fn begin_anew(&mut self, topic: u32) {
        while self.topics[topic as usize].ended.is_some() {
            // Ends leave in their order; those before this one are older still.
            let Some(&(.., oldest)) = self.ends.front() else {
                return;
            };
            self.forget_end_of(oldest, topic);
        }
    }

    /// Forgets everything and begins a new epoch; topics and wildcards with readers stay.
    pub(crate) fn clear(&mut self, epoch: Epoch) {
        self.epoch = epoch;
        self.told.clear();
        self.forget_all(0, Tag::NONE);
    }

    /// Forgets everything and goes on behind `through` in the same epoch: what lies before is the store's to give.
    pub(crate) fn rewind(&mut self, through: u64) {
        self.told.retain(|told| told.0 <= through);
        self.forget_all(through, self.tag(through));
    }

    fn forget_all(&mut self, head: u64, head_tag: Tag) {
        for rule in &mut self.rules {
            rule.order = Order::default();
        }
        self.ends.clear();
        self.spare = None;
        let lost = Lost {
            through: head,
            time: self.head_time,
        };
        self.forgotten = Forgotten::default();
        self.forgotten.add_everywhere(lost);
        (self.head, self.head_tag) = (head, head_tag);
        (self.bytes, self.events) = (0, 0);
        self.lives_begun += 1;
        let all: Vec<u32> = self.in_order.values().copied().collect();
        for id in all {
            let old = &mut self.topics[id as usize];
            let header = Arc::new(Header {
                topic: old.header.topic.clone(),
                epoch: self.epoch,
                forms: self.forms.clone(),
            });
            let mut new = TopicLog::new(header, old.rule, head, lost);
            new.readers = old.readers.take();
            match &mut new.readers {
                Some(readers) => readers.memo = None,
                None => self.bytes += cost_of_topic(&new.header.topic),
            }
            *old = new;
            self.forget_if_idle(id);
        }
        for (_, wildcard) in &mut self.wildcards {
            wildcard.readers.memo = None;
            wildcard.entries.clear();
            (wildcard.from, wildcard.lost, wildcard.dead) = (head, lost, 0);
            wildcard.knows_past = true;
        }
    }

    /// Keeps the tag of an entry that a store has told, so that another one in its place is noticed.
    pub(crate) fn remember_told(&mut self, position: Position) {
        if self.told.len() >= MAX_TOLD {
            self.told.pop_front();
        }
        self.told.push_back((position.offset, position.tag));
    }

    /// Is it known that another entry had this offset?
    pub(crate) fn is_another(&self, position: Position) -> bool {
        let known = self.tag(position.offset);
        known != Tag::NONE
            && position.tag != Tag::NONE
            && known != position.tag
            && !planted::has(Bug::RewoundUnnoticed)
    }

    /// Lets go of a topic if nothing of it must be remembered.
    pub(crate) fn forget_if_idle(&mut self, topic: u32) {
        if !self.topics[topic as usize].is_idle() {
            return;
        }
        let gone = self.topics.remove(topic as usize);
        self.bytes -= cost_of_topic(&gone.header.topic);
        if !planted::has(Bug::ForgottenInSilence) {
            self.forgotten.add(&gone.header.topic, gone.lost);
        }
        self.by_name.remove(&gone.header.topic);
        self.in_order.remove(&gone.header.topic);
    }

    /// Is there a newer event of the same topic and key in the log?
    pub(crate) fn is_replaced(&mut self, topic: u32, event: &Event) -> bool {
        let Some(key) = event.key() else { return false };
        let state = &mut self.topics[topic as usize];
        let keys = match &state.keys {
            Some(keys) => keys,
            None => {
                let keyed = state
                    .events
                    .iter()
                    .filter_map(|e| Some((Box::from(e.key()?), e.offset())));
                let keys: Keys = keyed.collect();
                self.bytes += keys
                    .keys()
                    .map(|key| KEY_OVERHEAD + key.len())
                    .sum::<usize>();
                state.keys.insert(Box::new(keys))
            }
        };
        keys.get(key).is_some_and(|&newest| newest > event.offset())
    }

    /// Lets go of a topic's index of newest keys.
    pub(crate) fn forget_keys(&mut self, topic: u32) {
        if let Some(keys) = self.topics[topic as usize].keys.take() {
            self.bytes -= keys
                .keys()
                .map(|key| KEY_OVERHEAD + key.len())
                .sum::<usize>();
        }
    }

    /// Lets go of the oldest entry of all, unless it is the newest too; says whether there was one.
    fn evict_oldest(&mut self) -> bool {
        let mut oldest = self.ends.front().map(|&(_, offset, topic)| (offset, topic));
        for rule in 0..self.rules.len() {
            if self.oldest_of_rule(rule).is_none() {
                continue;
            }
            let front = self.rules[rule]
                .order
                .front()
                .expect("it has an oldest event");
            if oldest.is_none_or(|(offset, _)| front.0 < offset) {
                oldest = Some(front);
            }
        }
        let Some((offset, topic)) = oldest.filter(|&(offset, _)| offset != self.head) else {
            return false;
        };
        if self.ends.front().is_some_and(|end| end.1 == offset) {
            self.forget_end(topic);
        } else {
            self.evict_oldest_of(topic);
        }
        true
    }

    /// When the oldest event of a rule's topics was published, and whose it is; passes over the dead ones.
    fn oldest_of_rule(&mut self, rule: usize) -> Option<(Timestamp, u32)> {
        let order = &mut self.rules[rule].order;
        while let Some((offset, topic)) = order.front() {
            let oldest = self.topics.get(topic as usize).and_then(|t| t.oldest());
            if let Some(event) = oldest.filter(|event| event.offset() == offset) {
                return Some((event.time(), topic));
            }
            order.pop();
            order.dead -= 1;
        }
        None
    }

    /// Lets go of a topic's oldest event, and of the topic if that was all.
    fn evict_oldest_of(&mut self, topic: u32) {
        self.evict_front(topic);
        self.forget_if_idle(topic);
    }

    /// Lets go of a topic's oldest event, which the caller has seen.
    #[inline]
    fn evict_front(&mut self, topic: u32) -> Arc<Event> {
        self.refresh_wildcards(topic);
        let state = &mut self.topics[topic as usize];
        let event = state.events.pop_front().expect("the caller saw an event");
        debug_assert_eq!(event.record(), Record::Event);
        let (room, len) = (state.events.capacity(), state.events.len());
        if room > 32 && len < room / 4 {
            state.events.shrink_to(len * 2);
        }
        let lost = Lost {
            through: event.offset(),
            time: event.time(),
        };
        state.first_seq += 1;
        state.bytes -= event.body_len() as u64;
        if !planted::has(Bug::SilentEviction) {
            state.lost.merge(lost);
        }
        if let Some(keys) = &mut state.keys
            && let Some(key) = event.key()
            && keys.get(key) == Some(&event.offset())
        {
            keys.remove(key);
            self.bytes -= KEY_OVERHEAD + key.len();
        }
        if let Some(readers) = &mut state.readers {
            readers.forget_before(lost.through);
        }
        let is_spare = |spare: &Arc<Batch>| spare.events()[0].offset() == lost.through;
        if self.spare.as_ref().is_some_and(is_spare) {
            self.spare = None;
        }
        self.bytes -= EVENT_OVERHEAD + event.body_len();
        self.events -= 1;
        self.evicted += 1;
        let (rule, wildcards) = (state.rule as usize, state.wildcards.len());
        if !self.rules[rule].order.pop_if(lost.through) {
            self.leave_in_order(rule);
        }
        if wildcards > 0 {
            self.lose_in_wildcards(topic, lost);
        }
        event
    }

    /// Counts an entry of a rule's order as dead.
    #[inline(never)]
    fn leave_in_order(&mut self, rule: usize) {
        let order = &mut self.rules[rule].order;
        order.dead += 1;
        if order.dead > order.len() / 2 + 1024 {
            let topics = &self.topics;
            order.compact(|offset, topic| {
                let oldest = topics.get(topic as usize).and_then(|t| t.oldest());
                oldest.is_some_and(|event| event.offset() <= offset)
            });
        }
    }

    #[inline(never)]
    fn lose_in_wildcards(&mut self, topic: u32, lost: Lost) {
        for index in 0..self.topics[topic as usize].wildcards.len() {
            let id = self.topics[topic as usize].wildcards[index];
            self.wildcards[id as usize].lose(lost);
            self.trim(id);
        }
    }

    /// Lets go of the end of a topic, which from then on may be published to again.
    fn forget_end(&mut self, topic: u32) {
        self.forget_end_of(topic, u32::MAX);
    }

    /// The same, and keeps the topic `kept` even if nothing is left of it.
    fn forget_end_of(&mut self, topic: u32, kept: u32) {
        self.ends.pop_front().expect("the caller saw it");
        self.refresh_wildcards(topic);
        let state = &mut self.topics[topic as usize];
        let end = state
            .events
            .pop_back()
            .expect("an ended topic's last entry is its end");
        state.ended = None;
        // The end had a number, which will be given to an event: what was counted up to here no longer counts events.
        state.exact_seq = state.next_seq() + 1;
        if state.events.is_empty() {
            state.first_seq += 1;
        }
        if let Some(readers) = &mut state.readers {
            readers.memo = None;
        }
        self.bytes -= EVENT_OVERHEAD + end.body_len();
        for index in 0..self.topics[topic as usize].wildcards.len() {
            let id = self.topics[topic as usize].wildcards[index];
            let wildcard = &mut self.wildcards[id as usize];
            if end.offset() > wildcard.from {
                wildcard.dead += 1;
            }
            wildcard.readers.memo = None;
            self.trim(id);
        }
        if topic != kept {
            self.forget_if_idle(topic);
        }
    }

    /// Throws out a wildcard's dead entries: those in front at once, those between once they are the greater part.
    fn trim(&mut self, id: u32) {
        let mut entries = std::mem::take(&mut self.wildcards[id as usize].entries);
        let before = entries.len();
        while entries
            .front()
            .is_some_and(|&entry| self.event(entry).is_none())
        {
            entries.pop_front();
        }
        let mut gone = before - entries.len();
        if self.wildcards[id as usize].dead - gone > entries.len() / 2 + 64 {
            entries.retain(|&entry| self.event(entry).is_some());
            gone = before - entries.len();
            entries.shrink_to(entries.len() * 2);
        }
        self.bytes -= gone * WILDCARD_ENTRY;
        let wildcard: &mut Wildcard = &mut self.wildcards[id as usize];
        wildcard.dead -= gone;
        wildcard.entries = entries;
        let first = wildcard
            .entries
            .front()
            .map_or(u64::MAX, |entry| entry.offset);
        wildcard.readers.forget_before(first - 1);
    }
}
