//! Where events are kept when memory is not enough.

#[cfg(any(feature = "conformance", test))]
pub mod conformance;
mod follow;
mod memory;

use std::sync::Arc;

use async_trait::async_trait;

use crate::delivery::{Budget, EndReason};
use crate::event::NewEvent;
use crate::pattern::PatternSet;
use crate::position::{Epoch, Position};
use crate::publish::Receipts;
use crate::timestamp::Timestamp;
use crate::topic::Topic;

pub use memory::MemoryStore;

/// Where events are kept when memory is not enough: a log on disk, a cluster
///
/// A store gives every entry its position, in one order for all topics; offsets grow but may leave holes. It decides
/// what only it can know: which publish is a retry, and whether a topic has ended. A hub over it
/// ([`Hub::open`](crate::Hub::open)) keeps the newest part in memory, serves its readers from there, and reads back for
/// those who stand further behind; several hubs, in several processes, may follow one store.
///
/// Only these methods wait. The way of an event to its readers is plain calls to a [`Sink`].
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Appends a batch, in its order, and answers for each event once it is as durable as the store makes it.
    ///
    /// An event answered with an error is not in the log, with one exception:
    /// [`PublishError::Unavailable`](crate::PublishError::Unavailable) may be said of one that is, because the answer was
    /// lost on its way. That is what idempotency keys are for.
    async fn append(
        &self,
        batch: Vec<NewEvent>,
        subject: Option<String>,
        now: Timestamp,
    ) -> Receipts;

    /// Reads what is committed to the topics of `patterns` behind the offset `after`, in the order of offsets.
    ///
    /// Everything that a sink was told of before can be read. A page comes further than `after` or is the last; one entry
    /// is given however large it is. A store without an index of topics may give entries of others too.
    ///
    /// # Errors
    /// When the store cannot read now, or what comes next is damaged.
    async fn read(
        &self,
        after: u64,
        patterns: &PatternSet,
        budget: Budget,
    ) -> Result<StoredPage, StoreError>;

    /// Tells `sink` of every entry committed from now on, in the order of offsets, until the sink is dropped; says where the
    /// log ends now. What lies before that is for [`read`](Store::read).
    ///
    /// # Errors
    /// When the store cannot be followed now.
    async fn follow(&self, sink: std::sync::Weak<dyn Sink>) -> Result<Position, StoreError>;

    /// How it is.
    fn health(&self) -> Health;
}

/// Who is told what a store has committed
///
/// Plain calls, one after another, from whatever thread the store uses. An implementation does not call the store back.
pub trait Sink: Send + Sync {
    /// Entries were committed, in the order of their offsets. Some may have been told before.
    fn handle_committed(&self, entries: &[StoredEvent]);

    /// The store was recovered without its tail, and goes on in a new epoch from its beginning: what it retains is told again.
    fn handle_restarted(&self, epoch: Epoch);
}

/// An entry of a store's log
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredEvent {
    /// Where it is
    pub position: Position,
    /// The offset of the entry before it in its topic, retained or not; 0 if there was none. By it a follower notices
    /// that it was not told of an entry
    pub previous: u64,
    /// When it was published
    pub time: Timestamp,
    /// What it is
    pub entry: StoredEntry,
}

/// What an entry of a store's log is
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoredEntry {
    /// An event; its `end` is an entry of its own
    Event(Arc<NewEvent>),
    /// The end of a topic
    End(Topic, EndReason),
}

impl StoredEvent {
    /// The topic it belongs to.
    #[must_use]
    pub fn topic(&self) -> &Topic {
        match &self.entry {
            StoredEntry::Event(event) => &event.topic,
            StoredEntry::End(topic, _) => topic,
        }
    }

    /// Bytes of its data and labels.
    #[must_use]
    pub fn size(&self) -> usize {
        match &self.entry {
            StoredEntry::Event(event) => event.size(),
            StoredEntry::End(..) => 0,
        }
    }
}

/// A part of a store's log
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredPage {
    /// The epoch it was read in
    pub epoch: Epoch,
    /// What is retained, in the order of offsets
    pub entries: Vec<StoredEvent>,
    /// Everything at or below this offset that was asked for is in this page, or gone: what to read after next
    pub read_through: u64,
    /// What retention has taken: entries at or below this offset may be gone
    pub lost_through: u64,
    /// Whether the log ends here
    pub is_last: bool,
}

/// How a store is
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// It takes and gives
    Live,
    /// It gives what it has, and nothing new, since that moment
    Stale {
        /// When it was last known to be live
        since: Timestamp,
    },
    /// It does neither
    Down,
}

/// Why a store could not be read or followed
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Not now; to be tried again.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// A part of the log cannot be read.
    #[error("the store is damaged from {from} to {to}")]
    Corrupt {
        /// First offset
        from: u64,
        /// Last offset
        to: u64,
    },
}
