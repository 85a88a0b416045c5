//! What enters the log, and who is woken for it.

use crate::call::Calls;
use crate::core::{Core, short};
use crate::delivery::GapReason;
use crate::event::{Content, NewEvent, Record};
use crate::idempotency::{ScopedKey, Seen, digest};
use crate::planted::{self, Bug};
use crate::position::{Epoch, Position};
use crate::publish::{Durability, PublishError, Receipt, Receipts};
use crate::read_back::content_of;
use crate::store::StoredEvent;
use crate::timestamp::Timestamp;
use crate::topic::Topic;

impl Core {
    pub(crate) fn publish(
        &mut self,
        batch: Vec<NewEvent>,
        subject: Option<&str>,
        now: Timestamp,
        calls: &mut Calls,
    ) -> Receipts {
        if let Err(refused) = self.check_batch_len(batch.len()) {
            return refused;
        }
        self.log.expire(now);
        self.window.expire(now, &self.config);
        let publish_one = |event| self.publish_one(event, subject, now, calls);
        batch.into_iter().map(publish_one).collect()
    }

    /// Publishes one event; what [`publish`](Core::publish) does for each.
    #[inline]
    pub(crate) fn publish_alone(
        &mut self,
        event: NewEvent,
        subject: Option<&str>,
        now: Timestamp,
        calls: &mut Calls,
    ) -> Result<Receipt, PublishError> {
        self.log.expire(now);
        self.window.expire(now, &self.config);
        self.publish_one(event, subject, now, calls)
    }

    #[inline]
    fn publish_one(
        &mut self,
        event: NewEvent,
        subject: Option<&str>,
        now: Timestamp,
        calls: &mut Calls,
    ) -> Result<Receipt, PublishError> {
        self.check_size(&event)?;
        if event.idempotency.is_some() {
            return self.publish_once(event, subject, now, calls);
        }
        let position = self.take_in(event, now, calls)?;
        Ok(receipt(position, false))
    }

    /// Publishes an event with an idempotency key, unless that was done before.
    #[inline(never)]
    fn publish_once(
        &mut self,
        event: NewEvent,
        subject: Option<&str>,
        now: Timestamp,
        calls: &mut Calls,
    ) -> Result<Receipt, PublishError> {
        let key = ScopedKey::new(&event, subject).expect("it has an idempotency key");
        let digest = digest(&event);
        if let Some(seen) = self.window.find(&key)
            && !planted::has(Bug::RetryPublishesTwice)
        {
            if seen.digest != digest {
                return Err(PublishError::IdempotencyConflict);
            }
            return Ok(receipt(seen.position, true));
        }
        let position = self.take_in(event, now, calls)?;
        let seen = Seen { position, digest };
        self.window.remember(key, seen, now, &self.config);
        Ok(receipt(position, false))
    }

    /// Puts an event into the log, if its topic goes on, and wakes its readers.
    // What comes back is in registers so. Through memory it is written in small parts and read in large ones, for which the
    // processor waits longer than the rest takes.
    #[inline(always)]
    fn take_in(
        &mut self,
        event: NewEvent,
        now: Timestamp,
        calls: &mut Calls,
    ) -> Result<Position, PublishError> {
        let topic = match self.log.topic(&event.topic) {
            Some(topic) if self.log.topics[topic as usize].ended.is_some() => {
                return Err(PublishError::Ended);
            }
            Some(topic) => topic,
            None => self.log.topic_or_new(&event.topic),
        };
        let NewEvent {
            data,
            event_type,
            key,
            content_type,
            end,
            ..
        } = event;
        let labels = (event_type.as_ref(), key.as_ref(), content_type.as_ref());
        let content = Content::new(data, labels.0, labels.1, labels.2);
        let position = self.append(topic, content, Record::Event, now);
        if end {
            self.append(topic, Content::empty(), Record::Ended, now);
        }
        self.wake_readers(topic, calls);
        self.published += 1;
        Ok(position)
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

    pub(crate) fn check_size(&self, event: &NewEvent) -> Result<(), PublishError> {
        let (bytes, max) = (event.size(), self.config.max_event_bytes);
        match bytes > max {
            true => Err(PublishError::TooLarge { bytes, max }),
            false => Ok(()),
        }
    }

    /// Takes in what a store has committed.
    pub(crate) fn commit(&mut self, entries: &[StoredEvent], calls: &mut Calls) {
        for stored in entries {
            let Position { epoch, offset, tag } = stored.position;
            if epoch != self.log.epoch {
                // It was told by a life of the store that is over.
                continue;
            }
            if offset <= self.log.head {
                if !self.log.is_another(stored.position) {
                    // It was told before.
                    continue;
                }
                // The store was rewound and uses offsets again.
                self.log.rewind(offset - 1);
                self.begin_again(GapReason::Rewound, calls);
            }
            self.log.remember_told(stored.position);
            let topic = self.log.topic_or_new(stored.topic());
            self.log.notice_hole(topic, stored.previous);
            let (content, record) = content_of(&stored.entry);
            if record == Record::Event {
                self.log.begin_anew(topic);
                self.published += 1;
            }
            self.log
                .append(topic, content, record, (offset, tag), stored.time);
            self.wake_readers(topic, calls);
        }
    }

    /// Begins a new epoch with an empty log; every reader is told.
    pub(crate) fn restart(&mut self, epoch: Epoch, calls: &mut Calls) {
        if epoch == self.log.epoch {
            return;
        }
        self.log.clear(epoch);
        self.begin_again(GapReason::Epoch, calls);
    }

    /// The log goes on from another head than cursors know.
    fn begin_again(&mut self, reason: GapReason, calls: &mut Calls) {
        let to = self.log.head();
        let ids: Vec<usize> = self.cursors.iter().map(|(id, _)| id).collect();
        for id in ids {
            self.cursors[id].begin_again(to, reason, &self.log);
            self.wake(short(id), calls);
        }
    }

    pub(crate) fn end_topic(
        &mut self,
        topic: &Topic,
        now: Timestamp,
        calls: &mut Calls,
    ) -> Result<Position, PublishError> {
        self.log.expire(now);
        let topic = self.log.topic_or_new(topic);
        if self.log.topics[topic as usize].ended.is_some() {
            return Err(PublishError::Ended);
        }
        let position = self.append(topic, Content::empty(), Record::Ended, now);
        self.wake_readers(topic, calls);
        Ok(position)
    }

    pub(crate) fn delete_topic(
        &mut self,
        topic: &Topic,
        now: Timestamp,
        calls: &mut Calls,
    ) -> Option<u64> {
        self.log.expire(now);
        let topic = self.log.topic(topic)?;
        let erased = self.log.erase(topic);
        if self.log.topics[topic as usize].ended.is_none() {
            self.append(topic, Content::empty(), Record::Deleted, now);
        }
        self.log.refresh_wildcards(topic);
        self.wake_readers(topic, calls);
        Some(erased)
    }

    fn append(&mut self, topic: u32, content: Content, record: Record, now: Timestamp) -> Position {
        let (offset, tag) = self.log.next_place();
        self.log.append(topic, content, record, (offset, tag), now);
        Position {
            epoch: self.log.epoch,
            offset,
            tag,
        }
    }
}

fn receipt(position: Position, duplicate: bool) -> Receipt {
    Receipt {
        position,
        duplicate,
        durability: Durability::Volatile,
    }
}
