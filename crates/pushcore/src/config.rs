//! Every bound of a hub.

use std::time::Duration;

use crate::pattern::Pattern;

/// Every bound of a hub, with its default
///
/// The log's memory is at most [`max_bytes`](HubConfig::max_bytes), which counts events, their overhead, indexes,
/// encodings and topics. Beside it stand subscriptions (at most 512 bytes each plus their patterns), presence and the
/// idempotency window, each with bounds of its own, and what readers hold in their hands: events are shared, so one that
/// was evicted lives until the last reader that was given it lets go.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HubConfig {
    /// How long events are kept, by topic; the most specific rule that matches a topic governs it, and
    /// [`Retention::default`] governs a topic that none matches
    pub retention: Vec<RetentionRule>,
    /// Ceiling over the whole log, in bytes, encodings included; beyond it the oldest events go, of whatever topic
    ///
    /// 256 MiB hold about 1.3 million events of 100 bytes.
    pub max_bytes: usize,
    /// What encodings may take of [`max_bytes`](HubConfig::max_bytes)
    ///
    /// The rest is the log's, whether encodings need their part or not, so that neither has to wait for the other.
    pub max_form_bytes: usize,
    /// Largest event, in bytes of data and labels; larger ones are refused
    pub max_event_bytes: usize,
    /// Most events in one publish
    pub max_batch_events: usize,
    /// Most subscriptions at a time: at 512 bytes each, 512 MiB
    pub max_subscriptions: usize,
    /// Subscriptions for which room is reserved at once. Default 0
    ///
    /// Beyond it the room doubles when it is full, which copies every cursor under the lock. What is reserved and not used
    /// costs addresses and, where memory is given page by page when it is touched, no memory.
    pub reserved_subscriptions: usize,
    /// Most patterns of one subscription
    pub max_patterns: usize,
    /// Most different wildcard patterns subscribed to at a time; each has an index in the log, which counts in the ceiling
    pub max_wildcards: usize,
    /// Most bytes that a subscription has read from a store at a time
    ///
    /// They are held from the store's answer to the same poll's return, or by a store that has answered while the reader
    /// does not poll: 10,000 readers far behind hold at most 320 MiB at 32 KiB each.
    pub max_read_back_bytes: usize,
    /// How long a store that could not be read is left alone by the subscription that tried
    pub read_back_retry: Duration,
    /// How long the end of a topic is remembered after it
    pub end_ttl: Duration,
    /// Most ends remembered; beyond it the oldest are forgotten early
    pub max_ended: usize,
    /// Most idempotency keys remembered
    pub max_idempotency_keys: usize,
    /// Most bytes of idempotency keys remembered: a key costs its own bytes, its subject's, its topic's and 128
    pub max_idempotency_bytes: usize,
    /// How long an idempotency key is remembered
    pub idempotency_ttl: Duration,
    /// How long before its grant runs out a subscription is told
    pub expiry_notice: Duration,
    /// Most revocations remembered for subscriptions to come; beyond it the oldest are forgotten
    pub max_revocations: usize,
    /// Most members present over all topics
    pub max_members: usize,
    /// Most bytes of a member's metadata
    pub max_metadata_bytes: usize,
    /// Most joins and leaves kept for readers that are slow to hear of them; who falls behind is told to ask who is there
    pub max_presence_changes: usize,
}

impl Default for HubConfig {
    fn default() -> HubConfig {
        HubConfig {
            retention: Vec::new(),
            max_bytes: 256 << 20,
            max_form_bytes: 32 << 20,
            max_event_bytes: 1 << 20,
            max_batch_events: 10_000,
            max_subscriptions: 1_000_000,
            reserved_subscriptions: 0,
            max_patterns: 128,
            max_wildcards: 100_000,
            max_read_back_bytes: 32 << 10,
            read_back_retry: Duration::from_secs(1),
            end_ttl: Duration::from_secs(300),
            max_ended: 100_000,
            max_idempotency_keys: 100_000,
            max_idempotency_bytes: 32 << 20,
            idempotency_ttl: Duration::from_secs(600),
            expiry_notice: Duration::from_secs(60),
            max_revocations: 10_000,
            max_members: 100_000,
            max_metadata_bytes: 4096,
            max_presence_changes: 4096,
        }
    }
}

impl HubConfig {
    /// The same with bounds that fit each other: one event and all encodings leave room for the log.
    pub(crate) fn within_itself(mut self) -> HubConfig {
        self.max_event_bytes = self.max_event_bytes.min(self.max_bytes / 4);
        self.max_form_bytes = self.max_form_bytes.min(self.max_bytes / 2);
        self
    }
}

/// How long the events of some topics are kept
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetentionRule {
    /// Which topics
    pub pattern: Pattern,
    /// How long
    pub retention: Retention,
}

/// How long the events of each topic are kept: whichever bound is reached first
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Most events of one topic; `None` for no bound but the ceiling
    pub max_events: Option<u64>,
    /// Most bytes of data and labels of one topic; the newest event is kept however large it is
    pub max_bytes: Option<u64>,
    /// Longest time after its publication
    pub max_age: Option<Duration>,
}

impl Default for Retention {
    /// 1,000 events or 1 MiB of one topic, for an hour.
    fn default() -> Retention {
        Retention {
            max_events: Some(1000),
            max_bytes: Some(1 << 20),
            max_age: Some(Duration::from_secs(3600)),
        }
    }
}

/// When a subscription lags, and what is done about it
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LagPolicy {
    /// What is done
    pub action: LagAction,
    /// When: as soon as one of these is exceeded
    pub max_lag: MaxLag,
}

/// What is done about a subscription that lags
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LagAction {
    /// Nothing: it reads on until retention takes what it has not read
    #[default]
    Replay,
    /// It skips to the newest event, with a `lag` gap that ends before it
    Newest,
    /// It skips events that a newer one with the same topic and key replaces; each run of skipped events is a
    /// `conflated` gap
    Conflate,
    /// It is closed, at its position
    Disconnect,
}

/// How far behind is too far; without any bound a subscription never lags
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MaxLag {
    /// Events not read
    pub events: Option<u64>,
    /// Bytes not read
    pub bytes: Option<u64>,
    /// Age of the oldest event not read
    pub age: Option<Duration>,
}
