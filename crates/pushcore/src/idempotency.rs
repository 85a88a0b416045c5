//! Which publishes were seen lately.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crate::config::HubConfig;
use crate::event::{Data, DataRef, NewEvent};
use crate::label::{ContentType, EventType, Key};
use crate::position::Position;
use crate::random::Digest;
use crate::timestamp::Timestamp;

/// The window in which a repeated idempotency key is the same publish
///
/// Bounded in keys, bytes and time; what is forgotten first is the oldest.
#[derive(Debug, Default)]
pub(crate) struct Window {
    seen: HashMap<Arc<str>, Seen>,
    oldest_first: VecDeque<(Timestamp, Arc<str>)>,
    bytes: usize,
}

/// What a key stood for
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) position: Position,
    pub(crate) digest: u64,
}

/// A key within its subject and topic
#[derive(Clone, Debug)]
pub(crate) struct ScopedKey(Arc<str>);

/// What a key costs beside its text: its entries in the map (48, at most twice that) and in the queue (24), and counts
const KEY_OVERHEAD: usize = 128;

impl ScopedKey {
    /// Neither a topic nor a key has control characters, so the parts cannot run into each other.
    pub(crate) fn new(event: &NewEvent, subject: Option<&str>) -> Option<ScopedKey> {
        let (topic, key) = (&event.topic, event.idempotency.as_ref()?);
        Some(ScopedKey(match subject {
            Some(subject) => format!("{topic}\n{key}\n{subject}").into(),
            None => format!("{topic}\n{key}").into(),
        }))
    }
}

impl Window {
    /// What `key` stood for, if it was seen.
    pub(crate) fn find(&self, key: &ScopedKey) -> Option<Seen> {
        self.seen.get(&key.0).copied()
    }

    /// Remembers a key that was not seen.
    pub(crate) fn remember(
        &mut self,
        key: ScopedKey,
        seen: Seen,
        now: Timestamp,
        config: &HubConfig,
    ) {
        self.bytes += key.0.len() + KEY_OVERHEAD;
        self.oldest_first.push_back((now, key.0.clone()));
        self.seen.insert(key.0, seen);
        while self.seen.len() > config.max_idempotency_keys
            || self.bytes > config.max_idempotency_bytes
        {
            self.forget_oldest();
        }
    }

    /// Forgets what is too old at `now`.
    pub(crate) fn expire(&mut self, now: Timestamp, config: &HubConfig) {
        while self.next_expiry(config).is_some_and(|due| due <= now) {
            self.forget_oldest();
        }
    }

    /// When [`Window::expire`] has something to do next.
    pub(crate) fn next_expiry(&self, config: &HubConfig) -> Option<Timestamp> {
        let (time, _) = self.oldest_first.front()?;
        Some(time.saturating_add(config.idempotency_ttl))
    }

    pub(crate) fn len(&self) -> usize {
        self.seen.len()
    }

    /// Everything in it, the oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Timestamp, &str, Seen)> {
        self.oldest_first
            .iter()
            .map(|(time, key)| (*time, &**key, self.seen[key]))
    }

    /// Puts back what [`Window::iter`] gave.
    pub(crate) fn restore(&mut self, time: Timestamp, key: &str, seen: Seen, config: &HubConfig) {
        self.remember(ScopedKey(key.into()), seen, time, config);
    }

    fn forget_oldest(&mut self) {
        if let Some((_, key)) = self.oldest_first.pop_front() {
            self.bytes -= key.len() + KEY_OVERHEAD;
            self.seen.remove(&key);
        }
    }
}

/// What tells two events apart under one idempotency key: everything but the key itself.
pub(crate) fn digest(event: &NewEvent) -> u64 {
    let mut digest = Digest::new();
    let data: &Data = &event.data;
    let (kind, bytes) = match data.as_ref() {
        DataRef::Text(text) => (0, text.as_bytes()),
        DataRef::Bytes(bytes) => (1, bytes),
    };
    digest.update(&[kind, u8::from(event.end)]);
    digest.update(bytes);
    let labels = [
        event.event_type.as_ref().map(EventType::as_str),
        event.key.as_ref().map(Key::as_str),
        event.content_type.as_ref().map(ContentType::as_str),
    ];
    for label in labels {
        digest.update(label.unwrap_or_default().as_bytes());
    }
    digest.finish()
}
