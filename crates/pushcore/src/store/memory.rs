//! A store in memory, for programs that share one log between hubs, and for tests.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Weak};

use async_trait::async_trait;

use crate::config::HubConfig;
use crate::delivery::{Budget, EndReason};
use crate::event::NewEvent;
use crate::idempotency::{ScopedKey, Seen, Window, digest};
use crate::pattern::PatternSet;
use crate::position::{Epoch, Position, Tag};
use crate::publish::{Durability, PublishError, Receipt, Receipts};
use crate::random::Random;
use crate::store::{Health, Sink, Store, StoreError, StoredEntry, StoredEvent, StoredPage};
use crate::sync::Lock;
use crate::timestamp::Timestamp;
use crate::topic::Topic;

/// A store in memory that several hubs may follow
///
/// It keeps the newest `max_entries` entries. Clones share one log. Ends are remembered as long as one of their topic's
/// entries is kept.
#[derive(Clone)]
pub struct MemoryStore(Arc<Lock<State>>);

struct State {
    random: Random,
    epoch: Epoch,
    key: u64,
    head: u64,
    max_entries: usize,
    entries: VecDeque<StoredEvent>,
    topics: HashMap<Topic, Known>,
    window: Window,
    config: HubConfig,
    lost_through: u64,
    sinks: Vec<Weak<dyn Sink>>,
}

/// What is known of a topic
#[derive(Default)]
struct Known {
    last: u64,
    ended: bool,
    entries: usize,
}

impl MemoryStore {
    /// An empty store; its epoch and tags come from `seed`.
    #[must_use]
    pub fn new(seed: u64, max_entries: usize) -> MemoryStore {
        let mut random = Random::new(seed);
        MemoryStore(Arc::new(Lock::new(State {
            epoch: Epoch(random.next()),
            key: random.next(),
            random,
            head: 0,
            max_entries,
            entries: VecDeque::new(),
            topics: HashMap::new(),
            window: Window::default(),
            config: HubConfig::default(),
            lost_through: 0,
            sinks: Vec::new(),
        })))
    }

    /// Loses what lies behind the offset `head` and tells nobody, as a store must not.
    #[cfg(test)]
    pub(crate) fn rewind(&self, head: u64) {
        let mut state = self.0.lock();
        state.cut(head);
    }

    /// Loses what lies behind the offset `head`, as an unclean recovery may, and begins a new epoch.
    pub fn lose_tail(&self, head: u64) {
        let mut state = self.0.lock();
        let epoch = Epoch(state.random.next());
        state.epoch = epoch;
        state.cut(head);
        for sink in state.sinks() {
            sink.handle_restarted(epoch);
            sink.handle_committed(state.entries.make_contiguous());
        }
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn append(
        &self,
        batch: Vec<NewEvent>,
        subject: Option<String>,
        now: Timestamp,
    ) -> Receipts {
        let mut state = self.0.lock();
        let mut committed = Vec::new();
        let subject = subject.as_deref();
        let receipts = batch
            .into_iter()
            .map(|event| state.append(event, subject, now, &mut committed))
            .collect();
        for sink in state.sinks() {
            sink.handle_committed(&committed);
        }
        receipts
    }

    async fn read(
        &self,
        after: u64,
        patterns: &PatternSet,
        budget: Budget,
    ) -> Result<StoredPage, StoreError> {
        let state = self.0.lock();
        let first = state
            .entries
            .partition_point(|entry| entry.position.offset <= after);
        let mut page = StoredPage {
            epoch: state.epoch,
            entries: Vec::new(),
            read_through: after.max(state.head),
            lost_through: state.lost_through,
            is_last: true,
        };
        let mut bytes = 0;
        for entry in state.entries.range(first..) {
            if !patterns.matches(entry.topic()) {
                continue;
            }
            let size = entry.size();
            let full = page.entries.len() >= budget.events || bytes + size > budget.bytes;
            if let Some(last) = page.entries.last().filter(|_| full) {
                page.read_through = last.position.offset;
                page.is_last = false;
                break;
            }
            bytes += size;
            page.entries.push(entry.clone());
        }
        Ok(page)
    }

    async fn follow(&self, sink: Weak<dyn Sink>) -> Result<Position, StoreError> {
        let mut state = self.0.lock();
        state.sinks.push(sink);
        Ok(state.position(state.head))
    }

    fn health(&self) -> Health {
        Health::Live
    }
}

impl State {
    /// Lets go of what lies behind the offset `head`; what comes next has other tags.
    fn cut(&mut self, head: u64) {
        self.key = self.random.next();
        self.window = Window::default();
        self.head = self.head.min(head);
        self.lost_through = self.lost_through.min(head);
        self.topics.clear();
        let mut entries = std::mem::take(&mut self.entries);
        entries.retain(|entry| entry.position.offset <= head);
        for entry in &mut entries {
            entry.position.epoch = self.epoch;
            self.know(entry);
        }
        self.entries = entries;
    }

    fn append(
        &mut self,
        event: NewEvent,
        subject: Option<&str>,
        now: Timestamp,
        committed: &mut Vec<StoredEvent>,
    ) -> Result<Receipt, PublishError> {
        self.window.expire(now, &self.config);
        let key = ScopedKey::new(&event, subject).map(|key| (key, digest(&event)));
        if let Some((key, digest)) = &key
            && let Some(seen) = self.window.find(key)
        {
            if seen.digest != *digest {
                return Err(PublishError::IdempotencyConflict);
            }
            return Ok(receipt(seen.position, true));
        }
        if self
            .topics
            .get(&event.topic)
            .is_some_and(|known| known.ended)
        {
            return Err(PublishError::Ended);
        }
        let (topic, end) = (event.topic.clone(), event.end);
        let position = self.push(StoredEntry::Event(Arc::new(event)), &topic, now, committed);
        if end {
            self.push(
                StoredEntry::End(topic.clone(), EndReason::Ended),
                &topic,
                now,
                committed,
            );
        }
        if let Some((key, digest)) = key {
            self.window
                .remember(key, Seen { position, digest }, now, &self.config);
        }
        Ok(receipt(position, false))
    }

    fn push(
        &mut self,
        entry: StoredEntry,
        topic: &Topic,
        now: Timestamp,
        committed: &mut Vec<StoredEvent>,
    ) -> Position {
        self.head += 1;
        let position = self.position(self.head);
        let stored = StoredEvent {
            position,
            previous: self.topics.get(topic).map_or(0, |known| known.last),
            time: self.entries.back().map_or(now, |last| now.max(last.time)),
            entry,
        };
        self.know(&stored);
        committed.push(stored.clone());
        self.entries.push_back(stored);
        while self.entries.len() > self.max_entries {
            self.forget_oldest();
        }
        position
    }

    fn know(&mut self, entry: &StoredEvent) {
        let known = self.topics.entry(entry.topic().clone()).or_default();
        known.last = entry.position.offset;
        known.ended = matches!(entry.entry, StoredEntry::End(..));
        known.entries += 1;
    }

    fn forget_oldest(&mut self) {
        if let Some(gone) = self.entries.pop_front() {
            self.lost_through = gone.position.offset;
            if let Some(known) = self.topics.get_mut(gone.topic()) {
                known.entries -= 1;
                if known.entries == 0 {
                    self.topics.remove(gone.topic());
                }
            }
        }
    }

    fn position(&self, offset: u64) -> Position {
        let tag = match offset {
            0 => Tag::NONE,
            _ => Tag(Random::tag(self.key, offset)),
        };
        Position {
            epoch: self.epoch,
            offset,
            tag,
        }
    }

    fn sinks(&mut self) -> Vec<Arc<dyn Sink>> {
        self.sinks.retain(|sink| sink.strong_count() > 0);
        self.sinks.iter().filter_map(Weak::upgrade).collect()
    }
}

fn receipt(position: Position, duplicate: bool) -> Receipt {
    Receipt {
        position,
        duplicate,
        durability: Durability::Volatile,
    }
}
