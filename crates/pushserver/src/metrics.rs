//! What the server counts about itself.
//!
//! The path of an event touches three atomics in a cell that only its own thread uses, and neither a lock nor a name: per batch
//! and connection, or in a shard's turn once for all that are alike ([`turn`]). Names come in when somebody asks ([`export`]).

pub(crate) mod export;
mod lag;
mod turn;

use std::cell::Cell as ThreadCell;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use pushcore::{Batch, GapReason, PublishError, Receipt, Timestamp};

use self::lag::Lag;

/// How events reach a client
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Transport {
    /// Server-Sent Events
    EventStream,
    /// WebSocket with the subprotocol `push.v1`
    Push,
    /// WebSocket without a subprotocol
    Plain,
    /// A page of events in JSON
    Poll,
}

impl Transport {
    pub(crate) const ALL: [Self; 4] = [Self::EventStream, Self::Push, Self::Plain, Self::Poll];

    /// The word for it in metrics and in `/admin`
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::EventStream => "sse",
            Self::Push => "websocket",
            Self::Plain => "websocket-plain",
            Self::Poll => "poll",
        }
    }
}

/// Counters that any thread may raise
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    cells: [Cell; CELLS],
    /// What is counted by a word, none of it on the path of an event
    counts: Mutex<Counts>,
}

/// The counters of the threads that share a number
///
/// On lines of its own, so that two shards never wait for each other's caches.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Cell {
    published: AtomicU64,
    delivered: [AtomicU64; Transport::ALL.len()],
    lag: [Lag; Transport::ALL.len()],
}

/// More threads than this share cells, which costs time and no exactness
const CELLS: usize = 16;

type Words = BTreeMap<&'static str, u64>;

#[derive(Clone, Debug, Default)]
struct Counts {
    gaps: Words,
    resumes: Words,
    refused: Words,
    closed: Words,
    sent_away: u64,
}

impl Metrics {
    /// The log has answered for events; those are counted that it took now
    pub(crate) fn published(&self, results: &[Result<Receipt, PublishError>]) {
        let is_new = |result: &&_| {
            matches!(
                result,
                Ok(Receipt {
                    duplicate: false,
                    ..
                })
            )
        };
        let events = results.iter().filter(is_new).count();
        self.cell()
            .published
            .fetch_add(events as u64, Ordering::Relaxed);
    }

    /// A batch is on its way to one client; when its stream began, the log's newest event was `head`
    ///
    /// Every event counts as late as the oldest of its batch. What is older than the stream is history, and its age
    /// says nothing about the server.
    pub(crate) fn delivered(&self, transport: Transport, batch: &Batch, head: u64, now: Timestamp) {
        let events = batch.events();
        let count = events.len() as u64;
        let oldest = events.first().filter(|oldest| oldest.offset() > head);
        let lag = oldest.map(|oldest| now.0.saturating_sub(oldest.time().0));
        if !self.add_to_turn(transport, count, lag) {
            let lagging = lag.map_or(0, |_| count);
            self.count_delivered(transport, count, lagging, lag.unwrap_or_default());
        }
    }

    /// Counts `events`, of which `lagging` are late by so many milliseconds and the others history
    fn count_delivered(&self, transport: Transport, events: u64, lagging: u64, millis: u64) {
        let cell = self.cell();
        if events > 0 {
            cell.delivered[transport as usize].fetch_add(events, Ordering::Relaxed);
        }
        if lagging > 0 {
            cell.lag[transport as usize].observe(millis, lagging);
        }
    }

    /// Events were sent as pages
    pub(crate) fn paged(&self, events: usize) {
        self.cell().delivered[Transport::Poll as usize].fetch_add(events as u64, Ordering::Relaxed);
    }

    pub(crate) fn gap(&self, reason: GapReason) {
        *self.counts().gaps.entry(reason.as_str()).or_default() += 1;
    }

    /// A client came back with a position, and it is known whether anything was lost
    pub(crate) fn resumed(&self, outcome: &'static str) {
        *self.counts().resumes.entry(outcome).or_default() += 1;
    }

    /// A request or connection was refused, by the kind of its problem
    pub(crate) fn refused(&self, kind: &'static str) {
        *self.counts().refused.entry(kind).or_default() += 1;
    }

    /// A stream was closed by us, by the reason
    pub(crate) fn closed(&self, reason: &'static str) {
        *self.counts().closed.entry(reason).or_default() += 1;
    }

    /// A stream was told to end because the server leaves
    pub(crate) fn sent_away(&self) {
        self.counts().sent_away += 1;
    }

    /// How many streams were told to end
    pub(crate) fn streams_sent_away(&self) -> u64 {
        self.counts().sent_away
    }

    /// Events delivered by all transports
    pub(crate) fn delivered_in_all(&self) -> u64 {
        Transport::ALL
            .into_iter()
            .map(|transport| self.delivered_by(transport))
            .sum()
    }

    /// Events delivered by a transport
    fn delivered_by(&self, transport: Transport) -> u64 {
        self.sum(|cell| &cell.delivered[transport as usize])
    }

    fn sum(&self, counter: impl Fn(&Cell) -> &AtomicU64) -> u64 {
        let loaded = |cell| counter(cell).load(Ordering::Relaxed);
        self.cells.iter().map(loaded).sum()
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn cell(&self) -> &Cell {
        static THREADS: AtomicUsize = AtomicUsize::new(0);
        thread_local! {
            static OWN: ThreadCell<usize> = const { ThreadCell::new(usize::MAX) };
        }
        let index = OWN.with(|own| {
            if own.get() == usize::MAX {
                own.set(THREADS.fetch_add(1, Ordering::Relaxed) % CELLS);
            }
            own.get()
        });
        &self.cells[index]
    }
}
