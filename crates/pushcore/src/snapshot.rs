//! The log in a file, so that the next process goes on where this one stopped.
//!
//! A file is `pushcore`, a version, and blocks; a block is a kind, a length, that many bytes and a digest of them. The last
//! block counts what went before, so a file that was cut short is noticed. Numbers are little-endian.

use std::io::{self, Read, Write};

use crate::config::HubConfig;
use crate::core::Core;
use crate::event::{Content, Event, Place, Record};
use crate::grant::Revocation;
use crate::hub::Hub;
use crate::idempotency::Seen;
use crate::log::topic::Lost;
use crate::log::{Life, SavedEvent, SavedLog, SavedTopic};
use crate::pattern::Pattern;
use crate::position::{Epoch, Position, Tag};
use crate::random::Digest;
use crate::timestamp::Timestamp;
use crate::topic::Topic;

/// A hub's log at one moment: events, ends, idempotency keys, revocations, and what is known of what is gone
///
/// Taking it locks the hub for as long as counting its events takes; it shares them, so it costs little memory and is
/// written without the lock. Subscriptions and presence are not in it: readers come back with their positions.
pub struct Snapshot {
    log: SavedLog,
    seen: Vec<(Timestamp, String, Seen)>,
    revoked: Vec<(Timestamp, Revocation)>,
}

/// Why a file could not be restored
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// Reading failed.
    #[error("the snapshot could not be read: {0}")]
    Io(#[from] io::Error),
    /// It does not begin as a snapshot does.
    #[error("this is not a snapshot")]
    NotASnapshot,
    /// It was written in another format.
    #[error("the snapshot has format {found}, and this program reads {expected}")]
    Version {
        /// What it has
        found: u32,
        /// What is read
        expected: u32,
    },
    /// A part of it is damaged.
    #[error("the snapshot is damaged: {what}, in block {block}")]
    Damaged {
        /// What is wrong
        what: &'static str,
        /// Which block, counted from 0
        block: u64,
    },
}

const MAGIC: &[u8; 8] = b"pushcore";
const VERSION: u32 = 1;
/// A block is closed once it has this many bytes, so that neither side holds more than this and one event
const BLOCK: usize = 256 << 10;
/// Largest block that is believed: one event of the largest size there can be, and room
const MAX_BLOCK: usize = 1 << 30;

const HEAD: u8 = 1;
const TOPICS: u8 = 2;
const EVENTS: u8 = 3;
const SEEN: u8 = 4;
const REVOKED: u8 = 5;
const END: u8 = 6;

impl Snapshot {
    pub(crate) fn take(core: &Core) -> Snapshot {
        Snapshot {
            log: core.log.save(),
            seen: core
                .window
                .iter()
                .map(|(time, key, seen)| (time, key.to_owned(), seen))
                .collect(),
            revoked: core.revoked.iter().collect(),
        }
    }

    /// How many events it holds.
    #[must_use]
    pub fn events(&self) -> usize {
        self.log.events.len()
    }

    /// Writes it, in many small writes: give it a buffered writer, and flush that.
    ///
    /// # Errors
    /// What `out` says.
    pub fn write_to(&self, out: &mut impl Write) -> io::Result<()> {
        let mut out = Blocks {
            out,
            block: Vec::new(),
            blocks: 0,
        };
        out.out.write_all(MAGIC)?;
        out.out.write_all(&VERSION.to_le_bytes())?;
        out.head(&self.log)?;
        for topic in &self.log.topics {
            out.topic(topic);
            out.close_if_full(TOPICS)?;
        }
        out.close(TOPICS)?;
        for event in &self.log.events {
            let topics = &self.log.topics;
            let topic = topics.binary_search_by(|saved| saved.topic.cmp(event.topic()));
            out.event(topic.expect("an event's topic is saved"), event);
            out.close_if_full(EVENTS)?;
        }
        out.close(EVENTS)?;
        for (time, key, seen) in &self.seen {
            out.u64(time.0);
            out.text(key);
            out.u64(seen.position.offset);
            out.u32(seen.position.tag.0);
            out.u64(seen.digest);
            out.close_if_full(SEEN)?;
        }
        out.close(SEEN)?;
        for (until, revocation) in &self.revoked {
            out.u64(until.0);
            let (kind, text) = match revocation {
                Revocation::Token(id) => (0, id.as_str()),
                Revocation::Subject(subject) => (1, subject.as_str()),
                Revocation::Pattern(pattern) => (2, pattern.as_str()),
            };
            out.u8(kind);
            out.text(text);
            out.close_if_full(REVOKED)?;
        }
        out.close(REVOKED)?;
        let blocks = out.blocks;
        out.u64(blocks);
        out.close(END)
    }
}

impl Hub {
    /// The log as it is now, to be written somewhere.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::take(&self.lock())
    }

    /// A hub that goes on where a snapshot was taken: the same epoch, positions and ends.
    ///
    /// The bounds are those of `config`, which may differ from before. What was published after the snapshot was taken
    /// is unknown to it: a reader from then is told `rewound`. If `reader` fails nothing is restored.
    ///
    /// # Errors
    /// When the file cannot be read or is damaged; the error says where.
    pub fn restore(
        reader: &mut impl Read,
        config: HubConfig,
        seed: u64,
        now: Timestamp,
    ) -> Result<Hub, RestoreError> {
        let hub = Hub::new(config, seed, now);
        let mut restoring = Restoring {
            topics: Vec::new(),
            last_offset: 0,
            head: 0,
        };
        check_start(reader)?;
        let mut core = hub.lock();
        for number in 0.. {
            let (kind, block) = read_block(reader, number)?;
            let mut input = Input {
                rest: &block,
                block: number,
            };
            match (number, kind) {
                (0, HEAD) => restoring.head(&mut input, &mut core)?,
                (0, _) | (_, HEAD) => return Err(input.damaged("the head is not where it belongs")),
                (_, END) => {
                    if input.u64()? != number {
                        return Err(input.damaged("blocks are missing"));
                    }
                    break;
                }
                (_, TOPICS) => restoring.topics(&mut input, &mut core)?,
                (_, EVENTS) => restoring.events(&mut input, &mut core)?,
                (_, SEEN) => restoring.seen(&mut input, &mut core)?,
                (_, REVOKED) => restoring.revoked(&mut input, &mut core, now)?,
                _ => return Err(input.damaged("a block of a kind that does not exist")),
            }
        }
        core.log.settle_restored(now);
        drop(core);
        Ok(hub)
    }
}

/// Writes blocks
struct Blocks<'a, W> {
    out: &'a mut W,
    block: Vec<u8>,
    blocks: u64,
}

impl<W: Write> Blocks<'_, W> {
    fn head(&mut self, log: &SavedLog) -> io::Result<()> {
        self.u64(log.epoch.0);
        self.u64(log.head);
        self.u32(log.head_tag.0);
        self.u64(log.head_time.0);
        self.u32(u32::try_from(log.lives.len()).expect("there are few lives"));
        for life in &log.lives {
            self.u64(life.after);
            self.u64(life.key);
        }
        let lost = log.forgotten.iter().enumerate();
        let lost: Vec<_> = lost.filter(|(_, lost)| lost.through > 0).collect();
        self.u32(u32::try_from(lost.len()).expect("one a bucket"));
        for (bucket, lost) in lost {
            self.u32(u32::try_from(bucket).expect("there are few buckets"));
            self.lost(*lost);
        }
        self.close(HEAD)
    }

    fn topic(&mut self, topic: &SavedTopic) {
        self.text(topic.topic.as_str());
        self.u64(topic.first_seq);
        self.u64(topic.exact_seq);
        self.lost(topic.lost);
        self.u64(topic.born);
        self.u64(topic.unknown_through);
        let (offset, tag) = topic.last.unwrap_or_default();
        self.u64(offset);
        self.u32(tag.0);
    }

    fn event(&mut self, topic: usize, event: &Event) {
        self.u32(u32::try_from(topic).expect("topics are counted in 32 bits"));
        self.u64(event.offset());
        self.u32(event.tag().0);
        self.u64(event.previous());
        self.u64(event.time().0);
        self.u8(match event.record() {
            Record::Event => 0,
            Record::Ended => 1,
            Record::Deleted => 2,
        });
        let parts = event.content_parts();
        self.u8(u8::from(parts.is_text));
        self.u8(parts.labels[0]);
        self.u8(parts.labels[1]);
        self.u8(parts.labels[2]);
        self.bytes(parts.body);
    }

    fn u8(&mut self, value: u8) {
        self.block.push(value);
    }

    fn u32(&mut self, value: u32) {
        self.block.extend(value.to_le_bytes());
    }

    fn u64(&mut self, value: u64) {
        self.block.extend(value.to_le_bytes());
    }

    fn lost(&mut self, lost: Lost) {
        self.u64(lost.through);
        self.u64(lost.time.0);
    }

    fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.u32(u32::try_from(bytes.len()).expect("events are far smaller than 4 GiB"));
        self.block.extend_from_slice(bytes);
    }

    fn close_if_full(&mut self, kind: u8) -> io::Result<()> {
        if self.block.len() >= BLOCK {
            self.close(kind)?;
        }
        Ok(())
    }

    fn close(&mut self, kind: u8) -> io::Result<()> {
        let length =
            u32::try_from(self.block.len()).expect("a block has one event more than it should");
        self.out.write_all(&[kind])?;
        self.out.write_all(&length.to_le_bytes())?;
        self.out.write_all(&self.block)?;
        self.out
            .write_all(&digest(kind, &self.block).to_le_bytes())?;
        self.block.clear();
        self.blocks += 1;
        Ok(())
    }
}

/// What was put back so far
struct Restoring {
    /// Topics by their number in the file
    topics: Vec<u32>,
    last_offset: u64,
    head: u64,
}

impl Restoring {
    fn head(&mut self, input: &mut Input<'_>, core: &mut Core) -> Result<(), RestoreError> {
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

    fn topics(&mut self, input: &mut Input<'_>, core: &mut Core) -> Result<(), RestoreError> {
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

    fn events(&mut self, input: &mut Input<'_>, core: &mut Core) -> Result<(), RestoreError> {
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

    fn seen(&mut self, input: &mut Input<'_>, core: &mut Core) -> Result<(), RestoreError> {
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

    fn revoked(
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

/// Reads numbers and texts out of a block
struct Input<'a> {
    rest: &'a [u8],
    block: u64,
}

impl<'a> Input<'a> {
    fn damaged(&self, what: &'static str) -> RestoreError {
        RestoreError::Damaged {
            what,
            block: self.block,
        }
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], RestoreError> {
        let Some((taken, rest)) = self.rest.split_at_checked(count) else {
            return Err(self.damaged("it ends too early"));
        };
        self.rest = rest;
        Ok(taken)
    }

    fn u8(&mut self) -> Result<u8, RestoreError> {
        Ok(self.take(1)?[0])
    }

    fn u32(&mut self) -> Result<u32, RestoreError> {
        let bytes = self.take(4)?;
        Ok(u32::from_le_bytes(bytes.try_into().expect("4 were taken")))
    }

    fn u64(&mut self) -> Result<u64, RestoreError> {
        let bytes = self.take(8)?;
        Ok(u64::from_le_bytes(bytes.try_into().expect("8 were taken")))
    }

    fn lost(&mut self) -> Result<Lost, RestoreError> {
        Ok(Lost {
            through: self.u64()?,
            time: Timestamp(self.u64()?),
        })
    }

    fn bytes(&mut self) -> Result<&'a [u8], RestoreError> {
        let count = self.u32()? as usize;
        self.take(count)
    }

    fn text(&mut self) -> Result<&'a str, RestoreError> {
        let bytes = self.bytes()?;
        std::str::from_utf8(bytes).map_err(|_| self.damaged("a text is not UTF-8"))
    }
}

fn check_start(reader: &mut impl Read) -> Result<(), RestoreError> {
    let mut start = [0; 12];
    reader
        .read_exact(&mut start)
        .map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => RestoreError::NotASnapshot,
            _ => RestoreError::Io(error),
        })?;
    let (magic, version) = start.split_at(8);
    if magic != MAGIC {
        return Err(RestoreError::NotASnapshot);
    }
    let found = u32::from_le_bytes(version.try_into().expect("4 are left"));
    if found != VERSION {
        let expected = VERSION;
        return Err(RestoreError::Version { found, expected });
    }
    Ok(())
}

/// A block, once its digest was found to be right.
fn read_block(reader: &mut impl Read, number: u64) -> Result<(u8, Vec<u8>), RestoreError> {
    let damaged = |what| RestoreError::Damaged {
        what,
        block: number,
    };
    let cut = |error: io::Error| match error.kind() {
        io::ErrorKind::UnexpectedEof => damaged("the file was cut short"),
        _ => RestoreError::Io(error),
    };
    let mut start = [0; 5];
    reader.read_exact(&mut start).map_err(cut)?;
    let length = u32::from_le_bytes(start[1..].try_into().expect("4 are left")) as usize;
    if length > MAX_BLOCK {
        return Err(damaged("a length that is too large"));
    }
    // Memory in proportion to what is there, not to what is announced.
    let mut block = Vec::new();
    reader
        .by_ref()
        .take(length as u64)
        .read_to_end(&mut block)?;
    if block.len() < length {
        return Err(damaged("the file was cut short"));
    }
    let mut expect = [0; 8];
    reader.read_exact(&mut expect).map_err(cut)?;
    if digest(start[0], &block) != u64::from_le_bytes(expect) {
        return Err(damaged("its digest is wrong"));
    }
    Ok((start[0], block))
}

fn digest(kind: u8, block: &[u8]) -> u64 {
    let mut digest = Digest::new();
    digest.update(&[kind]);
    digest.update(block);
    digest.finish()
}
