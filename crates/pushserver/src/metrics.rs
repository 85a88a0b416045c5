//! What the server counts about itself.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use pushcore::{Batch, GapReason, Timestamp};

/// Counters that any thread may raise
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    published: AtomicU64,
    delivered: AtomicU64,
    gaps: Mutex<BTreeMap<&'static str, u64>>,
    refused: Mutex<BTreeMap<&'static str, u64>>,
    closed: Mutex<BTreeMap<&'static str, u64>>,
}

impl Metrics {
    pub(crate) fn published(&self, events: u64) {
        self.published.fetch_add(events, Ordering::Relaxed);
    }

    pub(crate) fn delivered(&self, batch: &Batch, _now: Timestamp) {
        self.delivered
            .fetch_add(batch.events().len() as u64, Ordering::Relaxed);
    }

    pub(crate) fn gap(&self, reason: GapReason) {
        count(&self.gaps, reason.as_str());
    }

    /// A request or connection was refused, by the kind of its problem
    pub(crate) fn refused(&self, kind: &'static str) {
        count(&self.refused, kind);
    }

    /// A stream was closed by us, by the reason
    pub(crate) fn closed(&self, reason: &'static str) {
        count(&self.closed, reason);
    }
}

fn count(counts: &Mutex<BTreeMap<&'static str, u64>>, name: &'static str) {
    *counts
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .entry(name)
        .or_default() += 1;
}
