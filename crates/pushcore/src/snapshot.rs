//! The log in a file, so that the next process goes on where this one stopped.
//!
//! A file is `pushcore`, a version, and blocks; a block is a kind, a length, that many bytes and a digest of them. The last
//! block counts what went before, so a file that was cut short is noticed. Numbers are little-endian.

mod input;
mod restore;
mod write;

use std::io::{self, Read, Write};

use crate::config::HubConfig;
use crate::core::Core;
use crate::grant::Revocation;
use crate::hub::Hub;
use crate::idempotency::Seen;
use crate::log::SavedLog;
use crate::random::Digest;
use crate::timestamp::Timestamp;
use input::{Input, check_start, read_block};
use restore::Restoring;
use write::Blocks;

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
        let mut out = Blocks::begin(out)?;
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
        out.end()
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
        let mut restoring = Restoring::default();
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

fn digest(kind: u8, block: &[u8]) -> u64 {
    let mut digest = Digest::new();
    digest.update(&[kind]);
    digest.update(block);
    digest.finish()
}
