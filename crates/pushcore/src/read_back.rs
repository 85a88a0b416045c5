//! Reading from the store what memory holds no longer.
//!
//! A hub over a store keeps the newest part of its log in memory. A cursor that stands further back is not told of a gap
//! that is none: its subscription reads the store, page by page, in the polls of its own reader, so nobody else waits for
//! it, and what it is given from a page it is given at once, so that no page is kept.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::cursor::{Cursor, end_of};
use crate::delivery::{Batch, Budget, Delivery, Gap, GapReason};
use crate::event::{Content, Event, Header, NewEvent, Place, Record};
use crate::log::Log;
use crate::pattern::PatternSet;
use crate::planted::{self, Bug};
use crate::position::Tag;
use crate::store::{Store, StoreError, StoredEntry, StoredEvent, StoredPage};
use crate::timestamp::Timestamp;

/// What a cursor needs of the store: everything behind `from`, up to where memory may lack something
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) from: From,
    pub(crate) through: u64,
}

/// A page on its way to a subscription
pub(crate) enum Fetch {
    Reading {
        from: From,
        page: Page,
    },
    /// The store was not available, and is not to be asked before that moment
    RetryAt(Timestamp),
}

/// Where a page begins, and in which life of the log it was asked for
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct From {
    pub(crate) after: u64,
    pub(crate) life: u64,
}

type Page = Pin<Box<dyn Future<Output = Result<StoredPage, StoreError>> + Send>>;

impl Fetch {
    /// Asks the store for what lies behind `after`.
    pub(crate) fn begin(
        store: Arc<dyn Store>,
        patterns: PatternSet,
        from: From,
        budget: Budget,
    ) -> Fetch {
        let page = async move { store.read(from.after, &patterns, budget).await };
        Fetch::Reading {
            from,
            page: Box::pin(page),
        }
    }

    /// Is it of use to one who stands there?
    pub(crate) fn is_for(&self, from: From, now: Timestamp) -> bool {
        match self {
            Fetch::Reading { from: own, .. } => *own == from,
            Fetch::RetryAt(at) => now < *at,
        }
    }

    /// When the store may be asked again.
    pub(crate) fn retry_at(&self) -> Option<Timestamp> {
        match self {
            Fetch::Reading { .. } => None,
            Fetch::RetryAt(at) => Some(*at),
        }
    }

    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<StoredPage, StoreError>> {
        match self {
            Fetch::Reading { page, .. } => page.as_mut().poll(cx),
            Fetch::RetryAt(_) => Poll::Pending,
        }
    }
}

impl Cursor {
    /// What it needs of the store before it can go on in memory.
    pub(crate) fn behind_memory(&self, log: &Log) -> Option<Span> {
        if self.ahead {
            let from = From {
                after: self.read - 1,
                life: log.lives_begun,
            };
            let through = self.read;
            return (!self.is_confirmed).then_some(Span { from, through });
        }
        let lacks = |through: u64, base: u64| (through > base).then_some(through);
        let bases = self.readings.iter().map(|r| self.read.max(r.after));
        let lost = self.readings.iter().map(|r| log.lost(r.feed).through);
        Some(Span {
            through: lost
                .zip(bases.clone())
                .filter_map(|(l, b)| lacks(l, b))
                .max()?,
            from: From {
                after: bases.min()?,
                life: log.lives_begun,
            },
        })
    }

    /// Takes from a page whether the store has the position it came with, which its hub was not told of; if another entry
    /// is there, or none can be, that is told.
    pub(crate) fn confirm(&mut self, page: &StoredPage, log: &mut Log) -> Option<Delivery> {
        let at = |entry: &&StoredEvent| entry.position.offset == self.read;
        let is_it = match page.entries.iter().find(at) {
            Some(entry) => {
                self.position.tag == Tag::NONE || entry.position.tag == self.position.tag
            }
            None => page.read_through >= self.read,
        };
        if is_it {
            self.is_confirmed = true;
            return None;
        }
        self.read_from_start(log);
        self.next_pending()
    }

    /// Takes from a page what comes next; `None` if there was nothing in it for this reader.
    pub(crate) fn take_page(
        &mut self,
        page: &StoredPage,
        span: Span,
        log: &mut Log,
        budget: Budget,
    ) -> Option<Delivery> {
        let through = page.read_through.min(span.through);
        let wants = |entry: &&StoredEvent| self.wants(entry, through);
        let wanted: Vec<&StoredEvent> = page.entries.iter().filter(wants).collect();
        let first = wanted.first().map(|entry| entry.position.offset);
        let before_first = first.map_or(through, |first| first - 1);
        let lost = page.lost_through.min(before_first);
        if let Some(gap) = self.gap_in_store(lost, GapReason::Retention, log) {
            return Some(gap);
        }
        let mut events: Vec<Arc<Event>> = Vec::new();
        let mut bytes = 0;
        for entry in &wanted {
            let offset = entry.position.offset;
            let event = restored(entry, log);
            let is_end = event.record() != Record::Event;
            bytes += event.body_len();
            if let Some(last) = events.last().map(|event| event.offset()) {
                // Between two events something may be lost even in the store, and is announced first.
                let announces = last < page.lost_through && offset > last + 1;
                let over = events.len() >= budget.events || bytes > budget.bytes;
                if announces || over || is_end {
                    break;
                }
            }
            if is_end {
                self.go_to(offset, log);
                return Some(Delivery::End(end_of(&event)));
            }
            events.push(Arc::new(event));
        }
        let is_all = events.len() == wanted.len();
        let last = events.last().map(|event| event.position());
        let past = u64::from(planted::has(Bug::PageSkipsOne));
        match last {
            Some(last) if !is_all => self.go_to(last.offset + past, log),
            _ => self.go_to(through, log),
        }
        self.position = last?;
        Some(Delivery::Batch(Batch::take_from(&mut events)))
    }

    /// Tells that the store has nothing up to `through`; the first of the gaps, if there is one.
    pub(crate) fn gap_in_store(
        &mut self,
        through: u64,
        reason: GapReason,
        log: &Log,
    ) -> Option<Delivery> {
        let mut gaps = Vec::new();
        for reading in self.readings.iter_mut() {
            let base = self.read.max(reading.after);
            if through > base && !planted::has(Bug::StoreLosesInSilence) {
                reading.after = through;
                reading.seek(through, log);
                gaps.push(Delivery::Gap(Gap {
                    pattern: reading.pattern.clone(),
                    from: log.place(base + 1),
                    to: log.position(through),
                    missed: None,
                    reason,
                }));
            }
        }
        gaps.into_iter().for_each(|gap| self.tell(gap));
        self.next_pending()
    }

    fn wants(&self, entry: &StoredEvent, through: u64) -> bool {
        let offset = entry.position.offset;
        let reads = |reading: &crate::reading::Reading| {
            offset > self.read.max(reading.after) && reading.pattern.matches(entry.topic())
        };
        offset <= through && self.readings.iter().any(reads)
    }

    /// Has read everything up to `offset`.
    fn go_to(&mut self, offset: u64, log: &Log) {
        self.read = offset;
        for reading in self.readings.iter_mut() {
            reading.seek(offset.max(reading.after), log);
        }
    }
}

/// An entry as it would lie in memory.
fn restored(entry: &StoredEvent, log: &Log) -> Event {
    let place = Place {
        offset: entry.position.offset,
        tag: entry.position.tag,
        previous: entry.previous,
        time: entry.time,
    };
    let header = match log.topic(entry.topic()) {
        Some(id) => log.topics[id as usize].header.clone(),
        None => Arc::new(Header {
            topic: entry.topic().clone(),
            epoch: log.epoch,
            forms: log.forms.clone(),
        }),
    };
    let (content, record) = content_of(&entry.entry);
    content.into_event(header, &place, record)
}

/// What an entry of a store is in memory.
pub(crate) fn content_of(entry: &StoredEntry) -> (Content, Record) {
    use crate::delivery::EndReason;
    match entry {
        StoredEntry::Event(event) => (Content::from(NewEvent::clone(event)), Record::Event),
        StoredEntry::End(_, EndReason::Deleted) => (Content::empty(), Record::Deleted),
        StoredEntry::End(..) => (Content::empty(), Record::Ended),
    }
}
