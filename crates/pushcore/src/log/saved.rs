//! Taking the log out of memory and putting it back.

use std::sync::Arc;

use crate::event::{Content, Event, Place, Record};
use crate::log::topic::Lost;
use crate::log::{EVENT_OVERHEAD, Life, Log};
use crate::position::{Epoch, Tag};
use crate::timestamp::Timestamp;
use crate::topic::Topic;

/// The log at one moment; its events are shared with the log
pub(crate) struct SavedLog {
    pub(crate) epoch: Epoch,
    pub(crate) head: u64,
    pub(crate) head_tag: Tag,
    pub(crate) head_time: Timestamp,
    pub(crate) lives: Vec<Life>,
    pub(crate) forgotten: Vec<Lost>,
    pub(crate) topics: Vec<SavedTopic>,
    /// In the order of their offsets
    pub(crate) events: Vec<Arc<Event>>,
}

/// What must be known of a topic beside its events
#[derive(Clone, Debug)]
pub(crate) struct SavedTopic {
    pub(crate) topic: Topic,
    pub(crate) first_seq: u64,
    pub(crate) exact_seq: u64,
    pub(crate) lost: Lost,
    pub(crate) born: u64,
    pub(crate) unknown_through: u64,
    pub(crate) last: Option<(u64, Tag)>,
}

/// An entry as a snapshot has it
pub(crate) struct SavedEvent {
    pub(crate) topic: u32,
    pub(crate) place: Place,
    pub(crate) record: Record,
    pub(crate) content: Content,
}

/// How many lives are remembered: who comes from one further back, and missed that its end was lost, is not told
const MAX_LIVES: usize = 64;

impl Log {
    /// The log as it is now.
    pub(crate) fn save(&self) -> SavedLog {
        let mut events = Vec::with_capacity(self.events);
        let mut topics = Vec::new();
        for &id in self.in_order.values() {
            let state = &self.topics[id as usize];
            if state.events.is_empty() {
                // Only its readers keep it; what it has lost is folded into the saved table below.
                continue;
            }
            events.extend(state.events.iter().cloned());
            topics.push(SavedTopic {
                topic: state.header.topic.clone(),
                first_seq: state.first_seq,
                exact_seq: state.exact_seq,
                lost: state.lost,
                born: state.born,
                unknown_through: state.unknown_through,
                last: state.last,
            });
        }
        events.sort_unstable_by_key(|event| event.offset());
        SavedLog {
            epoch: self.epoch,
            head: self.head,
            head_tag: self.head_tag,
            head_time: self.head_time,
            lives: self.lives.clone(),
            forgotten: self.forgotten_with_empty().buckets().to_vec(),
            topics,
            events,
        }
    }

    /// What would be forgotten if every topic without events went now.
    fn forgotten_with_empty(&self) -> super::Forgotten {
        let mut forgotten = super::Forgotten::default();
        for (bucket, &lost) in self.forgotten.buckets().iter().enumerate() {
            forgotten.restore(bucket, lost);
        }
        for (_, state) in self
            .topics
            .iter()
            .filter(|(_, state)| state.events.is_empty())
        {
            forgotten.add(&state.header.topic, state.lost);
        }
        forgotten
    }

    /// Puts back what is not of one topic; the log is new.
    pub(crate) fn restore_head(&mut self, saved: &SavedLog) {
        self.epoch = saved.epoch;
        self.head = saved.head;
        self.head_tag = saved.head_tag;
        self.head_time = saved.head_time;
        let own = self.lives.pop().expect("a new log has its own life");
        self.lives = saved.lives.clone();
        // A life that had written nothing by then is no part of what is restored, whatever it wrote later. The first one
        // stays all the same: what follows it shows that its beginning was restored.
        let mut first = true;
        self.lives
            .retain(|life| std::mem::take(&mut first) || life.after < saved.head);
        self.lives.push(Life {
            after: saved.head,
            key: own.key,
        });
        let beyond = self.lives.len().saturating_sub(MAX_LIVES);
        self.lives.drain(..beyond);
        for (bucket, &lost) in saved.forgotten.iter().enumerate() {
            self.forgotten.restore(bucket, lost);
        }
    }

    /// Puts back a topic; its events follow.
    pub(crate) fn restore_topic(&mut self, saved: &SavedTopic) -> u32 {
        let id = self.topic_or_new(&saved.topic);
        let state = &mut self.topics[id as usize];
        state.first_seq = saved.first_seq;
        state.exact_seq = saved.exact_seq;
        state.lost = saved.lost;
        state.born = saved.born;
        state.unknown_through = saved.unknown_through;
        state.last = saved.last;
        id
    }

    /// Puts back an entry; entries come in the order of their offsets, behind their topics.
    pub(crate) fn restore_event(&mut self, saved: SavedEvent) {
        let SavedEvent {
            topic,
            place,
            record,
            content,
        } = saved;
        let state = &mut self.topics[topic as usize];
        let event = content.into_event(state.header.clone(), &place, record);
        self.bytes += EVENT_OVERHEAD + event.body_len();
        if record == Record::Event {
            state.bytes += event.body_len() as u64;
            self.events += 1;
            self.rules[state.rule as usize]
                .order
                .push(place.offset, topic);
        } else {
            state.ended = Some(record);
            self.ends.push_back((place.time, place.offset, topic));
        }
        state.events.push_back(Arc::new(event));
    }

    /// Applies this log's own bounds to what was put back.
    pub(crate) fn settle_restored(&mut self, now: Timestamp) {
        let all: Vec<u32> = self.in_order.values().copied().collect();
        for topic in all {
            if self.topics.contains(topic as usize) {
                self.forget_if_idle(topic);
            }
            if self.topics.contains(topic as usize) {
                // Something is left of it, so it is not forgotten.
                self.make_room(topic, 0, 0);
            }
        }
        self.fit();
        self.due = Timestamp(0);
        self.expire(now);
    }
}
