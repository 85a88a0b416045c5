//! Topics with replay and backpressure: one log, many cursors, nothing lost in silence.
//!
//! ```text
//!  publish ──> Hub ──> log ──────────────────────────────────────────────┐
//!                      │ 1 a │ 2 b │ 3 a │ 4 c │ 5 a │  every topic, one order
//!                      └──────────────────────────────────────────────┘
//!                         ▲           ▲                 ▲
//!                       cursor      cursor            cursor      one for each Subscription
//!                    (far behind)  (a and b)         (waiting)
//! ```
//!
//! A [`Hub`] holds a log of events. A [`Subscription`] is a cursor into it, with the [`Pattern`]s it reads: there is no queue
//! for each subscriber, and replay and live delivery are one thing. pushcore knows no HTTP, no runtime and no clock: time
//! comes in as `now`, randomness as a seed, and what waits is woken through [`std::task::Waker`].
//!
//! ```
//! use pushcore::*;
//!
//! let now = Timestamp(1_700_000_000_000);
//! let hub = Hub::new(HubConfig::default(), 1, now);
//! let topic = Topic::parse("news/world").unwrap();
//! let receipts = hub.publish(vec![NewEvent::new(topic.clone(), "hello")], None, now);
//! let position = receipts.try_ready().ok().unwrap()[0].as_ref().unwrap().position;
//!
//! // Somebody comes late, and reads everything from the start.
//! let mut reader = hub
//!     .subscribe(
//!         SubscribeOptions {
//!             patterns: vec![Pattern::parse("news/*").unwrap()],
//!             start: Start::Earliest,
//!             ..SubscribeOptions::default()
//!         },
//!         now,
//!     )
//!     .unwrap();
//! let Some(Delivery::Batch(batch)) = reader.try_next(now, Budget::default()) else { panic!() };
//! assert_eq!(batch.events()[0].data(), DataRef::Text("hello"));
//! assert_eq!(reader.position(), position);
//! ```
//!
//! # What is promised, and where it is kept
//!
//! | promise | kept by |
//! | --- | --- |
//! | **Order.** A subscription is given the events of all its patterns in the order of their offsets. | one cursor, which takes the lowest of the heads of its few feeds (`cursor/read.rs`) |
//! | **No silent loss.** Each event published to its patterns behind its position is given, or lies in a gap that is announced before the next event: never both, never neither. | `cursor/read.rs`, from what every feed knows to be lost: topics (`log/topic.rs`), wildcards (`log/wildcard.rs`), and names that the log has forgotten (`log/forgotten.rs`). Whatever leaves the log leaves by `log/retain.rs`, which notes it there |
//! | **No duplicate** within a subscription, nor after resuming with the last position seen. An event that two patterns match is given once. | the cursor, which goes back only where the log itself begins again, and says so |
//! | **A publish that was answered is in the log.** A retry with its idempotency key is the same event while the key is remembered. | `core/publish.rs`, `idempotency.rs`; over a store, the store (`store/`) |
//! | **A slow reader costs a cursor** and slows nobody: no publish waits for a reader, and no code of a reader runs under the lock. What it does not read in time is a gap, a conflation or an end, as its [`LagPolicy`] says. | `cursor/lag.rs`, `call.rs` |
//! | **Nobody sleeps through an event.** Who is told that there is nothing more is called when there is. | `core/waiting.rs`: finding nothing and being put among those that wait are one step under the lock |
//! | **Authority is live.** A grant is asked when a subscription begins, its end is looked at by every poll, and a renewal or a revocation changes running subscriptions at once. Replay and live delivery are one path, so neither gets past it. | `cursor.rs`, `core/authority.rs` |
//! | **Memory is bounded.** The log and its indexes never exceed [`HubConfig::max_bytes`], encodings included; every other thing that grows has its bound in [`HubConfig`]. | `log/retain.rs`, `forms.rs`; what is read from a store, `read_back.rs` |
//!
//! The promises are held against seeded worlds (`simulation/`), in which only what publishers were answered counts, and
//! which find every one of nineteen bugs planted on purpose (`planted.rs`), and under many interleavings of threads
//! (`interleaved.rs`), which find three.
//!
//! # Positions and gaps, exactly
//!
//! A [`Position`] is an epoch, an offset and a tag. A reader that has seen position p has, for each of its patterns, been
//! given everything up to p or been told of a gap.
//!
//! 1. **Only events move the cursor.** A gap or an end leaves [`Subscription::position`] where it was, so being cut between a
//!    gap and what follows loses nothing; the gap is told again. Within one subscription no range is told twice.
//! 2. **Gaps lie between the events given.** Before the event at offset o, a pattern that may have lost something between what
//!    was read and o has that range announced, and no more of it than up to o − 1. So no event of the pattern lies in a gap of
//!    it, even where the topics under one wildcard are kept for different times; a reader of such a wildcard may be told of
//!    many small gaps. If nothing follows, the whole range is announced at once.
//! 3. **A range is exact, its content generous.** It may cover offsets that held nothing for the reader. `missed` is told for
//!    single topics, where the log has counted without interruption.
//! 4. **What waits is not disturbed.** A reader that was told everything up to the head is not told of what topics other than
//!    its own lose, however long it waits.
//! 5. **A topic without events, end and readers is forgotten.** What it had lost goes into a table by a hash of names, and a
//!    reader that comes from before is told of a gap, needless for one name in a thousand.
//! 6. **A position of another epoch** is an `epoch` gap for each pattern, from that position to the start of this log; then
//!    everything retained is given. Nothing published since is passed over.
//! 7. **A position this log never gave** (beyond its head, or with another tag) is a `rewound` gap, from that position to the
//!    last one that every life of the log has had in common; then everything retained behind that. A tag is a function of its
//!    life's key and its offset, so this is noticed even where the event itself is gone.
//! 8. Until it was given an event, a reader from elsewhere keeps the position it came with: cut early, it is told again.
//! 9. **A pattern added later** joins where the subscription has been brought to; what lies before comes through [`Hub::history`].
//! 10. **Conflation** announces each run of skipped events by itself: one range over all of them would cover events that are
//!     given. `newest` announces one `lag` gap for each pattern that skips something, which ends before the event given next.
//! 11. A **store** may leave holes between offsets; losses are found by each entry's `previous`, never by counting. What memory
//!     holds no longer is read from the store by the polls of its own reader (`read_back.rs`) and is no gap; `earliest`, the
//!     last N and a time begin within memory, because a subscription says at once where it begins, and where a store does,
//!     or has its last N, is known only when it was read.
//! 12. A position that a **hub over a store** was not told of yet, but that the store has, is waited for: its reader comes from
//!     another hub. A store that was rewound in its epoch is noticed by the tags of the newest 1,024 entries told and of those
//!     retained in memory.
//!
//! # Cost
//!
//! Publishing costs a look at the topic by its name, and a call for each that waits for it; who is awake already costs
//! nothing. Matching a new topic against all wildcards is a walk over its segments. A poll costs a lock; subscribers of one
//! pattern at the same place share one [`Batch`], so fan-out costs each of them a reference count beside it.
//!
//! On that way one allocation is made for an event, its data, and two for a batch of several: an event takes the memory of the one that retention takes for
//! it, unless somebody still holds that or an encoding of it is cached, and a batch of one event that of the batch before
//! it. For one topic there is a short way from the log to its reader (`Cursor::read_alone`), beside the one that merges feeds
//! and tells of everything else; they must agree, and the seeded worlds take both.
//!
//! A subscription has at most 512 bytes plus its patterns, a retained event at most 128 bytes beyond its data
//! (`cargo xtask bench pushcore` checks both). Resuming costs the same in a log of a million events as in one of a thousand,
//! for the place is computed, not searched (`log/topic.rs`); only the first reader of a wildcard that begins in the past pays
//! for building the index of its topics, no more than for reading it.

mod call;
mod config;
mod core;
mod cursor;
mod delivery;
mod event;
mod forms;
mod grant;
mod hub;
mod idempotency;
mod inspect;
#[cfg(test)]
mod interleaved;
mod label;
mod log;
mod order;
mod pattern;
mod planted;
mod position;
mod presence;
mod publish;
mod random;
mod read_back;
mod readers;
mod reading;
mod revoked;
#[cfg(test)]
mod simulation;
mod snapshot;
mod stats;
pub mod store;
mod subscribe;
mod subscription;
mod sync;
mod timestamp;
mod topic;
mod trie;

pub use call::Notify;
pub use config::{HubConfig, LagAction, LagPolicy, MaxLag, Retention, RetentionRule};
pub use delivery::{Batch, Budget, CloseReason, Delivery, End, EndReason, Gap, GapReason};
pub use event::{Data, DataRef, Event, NewEvent};
pub use grant::{Grant, Revocation};
pub use hub::Hub;
pub use inspect::{MAX_COUNTED, SubscriptionId, SubscriptionStatus};
pub use label::{ContentType, EventType, IdempotencyKey, Key, LabelError};
pub use pattern::{Pattern, PatternError, PatternSet};
pub use position::{Epoch, Position, PositionError, Tag};
pub use presence::{Member, PresenceChange, PresenceError, PresenceKind};
pub use publish::{Durability, Publish, PublishError, Receipt, Receipts};
pub use snapshot::{RestoreError, Snapshot};
pub use stats::{Backlog, HubStats, Page, TopicStatus};
pub use subscribe::{Start, SubscribeError, SubscribeOptions};
pub use subscription::Subscription;
pub use timestamp::Timestamp;
pub use topic::{Topic, TopicError};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeExamples;
