//! The front door: publish, subscribe, revoke.
//!
//! This first form keeps every event and scans; it has the final signatures.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::config::HubConfig;
use crate::delivery::{Batch, Budget, CloseReason, Delivery, End, EndReason};
use crate::event::{Content, Event, Header, NewEvent, Place, Record};
use crate::forms::FormCache;
use crate::grant::{Grant, Revocation};
use crate::pattern::Pattern;
use crate::position::{Epoch, Position, Tag};
use crate::publish::{Durability, Publish, PublishError, Receipt};
use crate::stats::{Backlog, HubStats, Page, TopicStatus};
use crate::subscribe::{Start, SubscribeError, SubscribeOptions};
use crate::timestamp::Timestamp;
use crate::topic::Topic;

/// The front door: publish, subscribe, revoke; clones share one log
#[derive(Clone)]
pub struct Hub(Arc<Mutex<Core>>);

struct Core {
    epoch: Epoch,
    forms: Arc<FormCache>,
    events: Vec<Arc<Event>>,
    wakers: BTreeMap<u64, Waker>,
    next_subscription: u64,
}

impl Hub {
    /// A hub with an empty log in memory.
    #[must_use]
    pub fn new(config: HubConfig, seed: u64, now: Timestamp) -> Hub {
        let _ = now;
        Hub(Arc::new(Mutex::new(Core {
            epoch: Epoch(seed),
            forms: FormCache::new(config.max_form_bytes),
            events: Vec::new(),
            wakers: BTreeMap::new(),
            next_subscription: 0,
        })))
    }

    /// Publishes a batch, in order; `subject` is who, for idempotency keys.
    pub fn publish(&self, batch: Vec<NewEvent>, subject: Option<&str>, now: Timestamp) -> Publish {
        let _ = subject;
        let mut core = self.lock();
        let mut receipts = Vec::with_capacity(batch.len());
        for new in batch {
            let content = Content::new(
                new.data,
                new.event_type.as_ref(),
                new.key.as_ref(),
                new.content_type.as_ref(),
            );
            receipts.push(core.append(&new.topic, content, Record::Event, now));
            if new.end {
                let _ = core.append(&new.topic, Content::empty(), Record::Ended, now);
            }
        }
        core.wake();
        Publish::ready(receipts)
    }

    /// Ends a topic without a last event; says where the end stands.
    pub fn end_topic(&self, topic: &Topic, now: Timestamp) -> Result<Position, PublishError> {
        let mut core = self.lock();
        let receipt = core.append(topic, Content::empty(), Record::Ended, now)?;
        core.wake();
        Ok(receipt.position)
    }

    /// Ends a topic and erases its events; says how many there were, or `None` if the topic is not known.
    pub fn delete_topic(&self, topic: &Topic, now: Timestamp) -> Option<u64> {
        let mut core = self.lock();
        let before = core.events.len();
        core.events.retain(|e| e.topic() != topic);
        let erased = before - core.events.len();
        let _ = core.append(topic, Content::empty(), Record::Deleted, now);
        core.wake();
        (erased > 0).then_some(erased as u64)
    }

    /// The position of the newest event.
    #[must_use]
    pub fn head(&self) -> Position {
        self.lock().head()
    }

    /// What is known of a topic.
    #[must_use]
    pub fn topic_status(&self, topic: &Topic) -> Option<TopicStatus> {
        let core = self.lock();
        let own: Vec<_> = core.events.iter().filter(|e| e.topic() == topic).collect();
        let last = own.iter().rev().find(|e| e.record() == Record::Event);
        Some(TopicStatus {
            last: last.map(|e| e.position()),
            first: own.first().map(|e| e.offset()),
            events: own.len() as u64,
            bytes: own.iter().map(|e| e.body_len() as u64).sum(),
            ended: own.last()?.record() != Record::Event,
            subscribers: 0,
        })
    }

    /// Topics in the order of their names, after `after`, at most `limit`.
    #[must_use]
    pub fn topics(&self, after: Option<&Topic>, limit: usize) -> Vec<Topic> {
        let core = self.lock();
        let mut topics: Vec<_> = core.events.iter().map(|e| e.topic().clone()).collect();
        topics.sort();
        topics.dedup();
        topics.retain(|t| after.is_none_or(|a| t > a));
        topics.truncate(limit);
        topics
    }

    /// Counts and sizes.
    #[must_use]
    pub fn stats(&self) -> HubStats {
        let core = self.lock();
        HubStats {
            events: core.events.len(),
            form_bytes: core.forms.bytes(),
            ..HubStats::default()
        }
    }

    /// Starts a subscription.
    ///
    /// # Errors
    /// When the grant does not allow it or a bound is reached.
    pub fn subscribe(
        &self,
        options: SubscribeOptions,
        now: Timestamp,
    ) -> Result<Subscription, SubscribeError> {
        if let Some(grant) = &options.grant {
            check(grant, &options.patterns, now)?;
        }
        let mut core = self.lock();
        let position = core.start(options.start, &options.patterns);
        core.next_subscription += 1;
        Ok(Subscription {
            hub: self.clone(),
            id: core.next_subscription,
            patterns: options.patterns,
            position,
            read: position.offset,
            grant: options.grant,
        })
    }

    /// One page of what is retained.
    ///
    /// # Errors
    /// As [`Hub::subscribe`].
    pub fn history(
        &self,
        options: SubscribeOptions,
        budget: Budget,
        now: Timestamp,
    ) -> Result<Page, SubscribeError> {
        let mut subscription = self.subscribe(options, now)?;
        let mut page = Page {
            events: Vec::new(),
            gaps: Vec::new(),
            ends: Vec::new(),
            next: subscription.position(),
            up_to_date: true,
        };
        while let Some(delivery) = subscription.try_next(now, budget) {
            match delivery {
                Delivery::Batch(batch) => page.events.extend_from_slice(batch.events()),
                Delivery::Gap(gap) => page.gaps.push(gap),
                Delivery::End(end) => page.ends.push(end),
                _ => break,
            }
        }
        page.next = subscription.position();
        Ok(page)
    }

    /// Does what time asks for: retention by age, grants that run out, windows that close.
    pub fn handle_tick(&self, now: Timestamp) {
        let _ = now;
    }

    /// When [`Hub::handle_tick`] has something to do next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        None
    }

    /// Takes authority back, from running subscriptions and from those to come until `until`.
    pub fn revoke(&self, revocation: &Revocation, until: Timestamp, now: Timestamp) {
        let _ = (revocation, until, now);
    }

    fn lock(&self) -> MutexGuard<'_, Core> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn check(grant: &Grant, patterns: &[Pattern], now: Timestamp) -> Result<(), SubscribeError> {
    if grant.is_expired(now) {
        return Err(SubscribeError::Expired);
    }
    match patterns.iter().find(|p| !grant.may_subscribe(p)) {
        Some(pattern) => Err(SubscribeError::Forbidden {
            pattern: pattern.clone(),
        }),
        None => Ok(()),
    }
}

impl Core {
    fn head(&self) -> Position {
        self.events.last().map_or(
            Position {
                epoch: self.epoch,
                offset: 0,
                tag: Tag::NONE,
            },
            |e| e.position(),
        )
    }

    fn append(
        &mut self,
        topic: &Topic,
        content: Content,
        record: Record,
        now: Timestamp,
    ) -> Result<Receipt, PublishError> {
        let last = self.events.iter().rev().find(|e| e.topic() == topic);
        if last.is_some_and(|e| e.record() != Record::Event) {
            return Err(PublishError::Ended);
        }
        let header = Arc::new(Header {
            topic: topic.clone(),
            epoch: self.epoch,
            forms: self.forms.clone(),
        });
        let offset = self.events.last().map_or(0, |e| e.offset()) + 1;
        let place = Place {
            offset,
            tag: Tag(offset as u32),
            previous: last.map_or(0, |e| e.offset()),
            time: now,
        };
        let event = Arc::new(content.into_event(header, &place, record));
        self.events.push(event.clone());
        Ok(Receipt {
            position: event.position(),
            duplicate: false,
            durability: Durability::Volatile,
        })
    }

    fn start(&self, start: Start, patterns: &[Pattern]) -> Position {
        let mine = |e: &&Arc<Event>| patterns.iter().any(|p| p.matches(e.topic()));
        let before = |event: Option<&Arc<Event>>| {
            event.map_or(self.head(), |e| Position {
                offset: e.offset() - 1,
                tag: Tag::NONE,
                ..self.head()
            })
        };
        match start {
            Start::Now => self.head(),
            Start::After(position) => position,
            Start::Earliest => before(self.events.iter().find(mine)),
            Start::Last(0) => self.head(),
            Start::Last(n) => {
                let skip = usize::try_from(n - 1).unwrap_or(usize::MAX);
                let mut back = self.events.iter().rev().filter(mine);
                before(back.nth(skip).or(self.events.iter().find(mine)))
            }
            Start::Since(time) => {
                before(self.events.iter().filter(mine).find(|e| e.time() >= time))
            }
        }
    }

    fn wake(&mut self) {
        for (_, waker) in std::mem::take(&mut self.wakers) {
            waker.wake();
        }
    }
}

/// A reader's patterns and its one cursor; dropping it ends it
pub struct Subscription {
    hub: Hub,
    id: u64,
    patterns: Vec<Pattern>,
    position: Position,
    read: u64,
    grant: Option<Arc<Grant>>,
}

impl Subscription {
    /// The cursor: the position of the last event delivered, or where it began.
    #[must_use]
    pub fn position(&self) -> Position {
        self.position
    }

    /// Its patterns, in the order they were added.
    #[must_use]
    pub fn patterns(&self) -> Vec<Pattern> {
        self.patterns.clone()
    }

    /// Hands out what comes next, or arranges for `cx` to be woken when there is something.
    pub fn poll(&mut self, cx: &mut Context<'_>, now: Timestamp, budget: Budget) -> Poll<Delivery> {
        match self.try_next(now, budget) {
            Some(delivery) => Poll::Ready(delivery),
            None => {
                let mut core = self.hub.lock();
                core.wakers.insert(self.id, cx.waker().clone());
                Poll::Pending
            }
        }
    }

    /// Hands out what comes next, if there is something.
    pub fn try_next(&mut self, now: Timestamp, budget: Budget) -> Option<Delivery> {
        if self.grant.as_ref().is_some_and(|g| g.is_expired(now)) {
            return Some(Delivery::Closed(CloseReason::Expired));
        }
        let core = self.hub.lock();
        let mut events: Vec<Arc<Event>> = Vec::new();
        let read = self.read;
        for event in core.events.iter().filter(|e| e.offset() > read) {
            if !self.patterns.iter().any(|p| p.matches(event.topic())) {
                continue;
            }
            if event.record() != Record::Event {
                if events.is_empty() {
                    self.read = event.offset();
                    return Some(Delivery::End(End {
                        pattern: Pattern::exact(event.topic().clone()),
                        reason: EndReason::Ended,
                        at: event.position(),
                    }));
                }
                break;
            }
            events.push(event.clone());
            self.read = event.offset();
            self.position = event.position();
            if events.len() >= budget.events {
                break;
            }
        }
        let forms = core.forms.clone();
        (!events.is_empty()).then(|| Delivery::Batch(Arc::new(Batch::new(events, forms))))
    }

    /// Reads `pattern` too, from the cursor on, or from `start` if that is later; says from where.
    ///
    /// # Errors
    /// When the grant does not allow it or a bound is reached.
    pub fn add(
        &mut self,
        pattern: Pattern,
        start: Option<Start>,
        now: Timestamp,
    ) -> Result<Position, SubscribeError> {
        let _ = start;
        if let Some(grant) = &self.grant {
            check(grant, std::slice::from_ref(&pattern), now)?;
        }
        if !self.patterns.contains(&pattern) {
            self.patterns.push(pattern);
        }
        Ok(self.position)
    }

    /// Reads `pattern` no longer; says whether it did.
    pub fn remove(&mut self, pattern: &Pattern) -> bool {
        let before = self.patterns.len();
        self.patterns.retain(|p| p != pattern);
        before != self.patterns.len()
    }

    /// Goes on under a renewed grant.
    ///
    /// # Errors
    /// When it is for another subject, has run out or was revoked.
    pub fn regrant(&mut self, grant: Arc<Grant>, now: Timestamp) -> Result<(), SubscribeError> {
        let _ = now;
        if self
            .grant
            .as_ref()
            .is_some_and(|own| own.subject != grant.subject)
        {
            return Err(SubscribeError::OtherSubject);
        }
        self.patterns.retain(|p| grant.may_subscribe(p));
        self.grant = Some(grant);
        Ok(())
    }

    /// Whether the last poll reached the head and left the waker armed, so that polling again before a wake would find
    /// nothing.
    #[must_use]
    pub fn is_caught_up(&self) -> bool {
        false
    }

    /// How far it is behind.
    #[must_use]
    pub fn backlog(&self) -> Backlog {
        let core = self.hub.lock();
        let mut backlog = Backlog::default();
        for event in core.events.iter().filter(|e| e.offset() > self.read) {
            if self.patterns.iter().any(|p| p.matches(event.topic())) {
                backlog.events += 1;
                backlog.bytes += event.body_len() as u64;
                backlog.oldest = backlog.oldest.or(Some(event.time()));
            }
        }
        backlog
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.hub.lock().wakers.remove(&self.id);
    }
}
