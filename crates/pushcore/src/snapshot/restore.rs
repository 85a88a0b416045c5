//! Putting back what a snapshot holds.

use super::RestoreError;
use super::input::Input;
use crate::core::Core;
use crate::event::{Content, Place, Record};
use crate::grant::Revocation;
use crate::idempotency::Seen;
use crate::log::{Life, SavedEvent, SavedLog, SavedTopic};
use crate::pattern::Pattern;
use crate::position::{Epoch, Position, Tag};
use crate::timestamp::Timestamp;
use crate::topic::Topic;

/// What was put back so far
#[derive(Default)]
pub(super) struct Restoring {
    /// Topics by their number in the file
    topics: Vec<u32>,
    last_offset: u64,
    head: u64,
}

impl Restoring {
    pub(super) fn head(
        &mut self,
        input: &mut Input<'_>,
        core: &mut Core,
    ) -> Result<(), RestoreError> {
        let mut log = SavedLog {
            epoch: Epoch(input.u64()?),
            head: input.u64()?,
            head_tag: Tag(input.u32()?),
            head_time: Timestamp(input.u64()?),
            lives: Vec::new(),
            forgotten: core.log.forgotten.buckets().to_vec(),
            topics: Vec::new(),
            events: Vec::new(),
        };
        for _ in 0..input.u32()? {
            log.lives.push(Life {
                after: input.u64()?,
                key: input.u64()?,
            });
        }
        for _ in 0..input.u32()? {
            let bucket = input.u32()? as usize;
            let lost = input.lost()?;
            match log.forgotten.get_mut(bucket) {
                Some(known) => *known = lost,
                None => return Err(input.damaged("a bucket that does not exist")),
            }
        }
        self.head = log.head;
        core.log.restore_head(&log);
        Ok(())
    }

    pub(super) fn topics(
        &mut self,
        input: &mut Input<'_>,
        core: &mut Core,
    ) -> Result<(), RestoreError> {
        while !input.rest.is_empty() {
            let name = input.text()?;
            let topic = Topic::parse(name).map_err(|_| input.damaged("a topic's name"))?;
            let mut saved = SavedTopic {
                topic,
                first_seq: input.u64()?,
                exact_seq: input.u64()?,
                lost: input.lost()?,
                born: input.u64()?,
                unknown_through: input.u64()?,
                last: None,
            };
            let last = (input.u64()?, Tag(input.u32()?));
            saved.last = (last.0 > 0).then_some(last);
            self.topics.push(core.log.restore_topic(&saved));
        }
        Ok(())
    }

    pub(super) fn events(
        &mut self,
        input: &mut Input<'_>,
        core: &mut Core,
    ) -> Result<(), RestoreError> {
        while !input.rest.is_empty() {
            let topic = input.u32()? as usize;
            let place = Place {
                offset: input.u64()?,
                tag: Tag(input.u32()?),
                previous: input.u64()?,
                time: Timestamp(input.u64()?),
            };
            let record = match input.u8()? {
                0 => Record::Event,
                1 => Record::Ended,
                2 => Record::Deleted,
                _ => return Err(input.damaged("an event of a kind that does not exist")),
            };
            let is_text = input.u8()? == 1;
            let labels = [input.u8()?, input.u8()?, input.u8()?];
            let body = input.bytes()?;
            let content = Content::from_parts(is_text, labels, body);
            let content = content.ok_or_else(|| input.damaged("an event's text"))?;
            let Some(&topic) = self.topics.get(topic) else {
                return Err(input.damaged("an event without a topic"));
            };
            if place.offset <= self.last_offset || place.offset > self.head {
                return Err(input.damaged("events are not in order"));
            }
            self.last_offset = place.offset;
            core.log.restore_event(SavedEvent {
                topic,
                place,
                record,
                content,
            });
        }
        Ok(())
    }

    pub(super) fn seen(
        &mut self,
        input: &mut Input<'_>,
        core: &mut Core,
    ) -> Result<(), RestoreError> {
        let epoch = core.log.epoch;
        while !input.rest.is_empty() {
            let time = Timestamp(input.u64()?);
            let key = input.text()?;
            let position = Position {
                epoch,
                offset: input.u64()?,
                tag: Tag(input.u32()?),
            };
            let digest = input.u64()?;
            let config = core.config.clone();
            core.window
                .restore(time, key, Seen { position, digest }, &config);
        }
        Ok(())
    }

    pub(super) fn revoked(
        &mut self,
        input: &mut Input<'_>,
        core: &mut Core,
        now: Timestamp,
    ) -> Result<(), RestoreError> {
        while !input.rest.is_empty() {
            let until = Timestamp(input.u64()?);
            let kind = input.u8()?;
            let text = input.text()?.to_owned();
            let revocation = match kind {
                0 => Revocation::Token(text),
                1 => Revocation::Subject(text),
                2 => Revocation::Pattern(
                    Pattern::parse(&text).map_err(|_| input.damaged("a revoked pattern"))?,
                ),
                _ => return Err(input.damaged("a revocation of a kind that does not exist")),
            };
            core.revoked
                .insert(&revocation, until, now, core.config.max_revocations);
        }
        Ok(())
    }
}
