//! The front door: publish, subscribe, revoke.

use std::fmt;
use std::ops::Bound;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use crate::call::Calls;
use crate::config::{HubConfig, LagAction};
use crate::core::Core;
use crate::delivery::{Budget, Delivery};
use crate::event::NewEvent;
use crate::grant::{Grant, Revocation};
use crate::inspect::SubscriptionId;
use crate::pattern::Pattern;
use crate::position::{Epoch, Position};
use crate::presence::{Member, PresenceError};
use crate::publish::{Publish, PublishError, Receipt};
use crate::stats::{HubStats, Page, TopicStatus};
use crate::store::{Sink, Store, StoredEvent};
use crate::subscribe::{SubscribeError, SubscribeOptions};
use crate::subscription::Subscription;
use crate::sync::{Guard, Lock};
use crate::timestamp::Timestamp;
use crate::topic::Topic;

/// The front door: publish, subscribe, revoke
///
/// Clones share one log. Every method locks it for a short while and waits for nothing else; whoever waits is called after
/// the lock is released.
#[derive(Clone)]
pub struct Hub(Arc<Shared>);

struct Shared {
    core: Lock<Core>,
    store: Option<Arc<dyn Store>>,
    /// What the store tells; it goes with the hub
    sink: OnceLock<Arc<dyn Sink>>,
}

/// A hub that may be gone
pub(crate) struct WeakHub(Weak<Shared>);

impl WeakHub {
    pub(crate) fn upgrade(&self) -> Option<Hub> {
        self.0.upgrade().map(Hub)
    }
}

impl Hub {
    /// A hub with an empty log in memory; its epoch and tags come from `seed`, which should differ between lives.
    #[must_use]
    pub fn new(config: HubConfig, seed: u64, now: Timestamp) -> Hub {
        let core = Core::new(Arc::new(config.within_itself()), seed, now);
        Hub::with(core, None)
    }

    /// A hub that will be told by a store what there is.
    pub(crate) fn over(store: Arc<dyn Store>, config: HubConfig, seed: u64, now: Timestamp) -> Hub {
        let mut core = Core::new(Arc::new(config.within_itself()), seed, now);
        core.log.lives.clear();
        core.log.reads_back = true;
        Hub::with(core, Some(store))
    }

    fn with(core: Core, store: Option<Arc<dyn Store>>) -> Hub {
        Hub(Arc::new(Shared {
            core: Lock::new(core),
            store,
            sink: OnceLock::new(),
        }))
    }

    pub(crate) fn downgrade(&self) -> WeakHub {
        WeakHub(Arc::downgrade(&self.0))
    }

    /// Keeps what the store tells for as long as the hub lives.
    pub(crate) fn keep(&self, sink: Arc<dyn Sink>) {
        let _ = self.0.sink.set(sink);
    }

    /// The store has committed entries.
    pub(crate) fn handle_committed(&self, entries: &[StoredEvent]) {
        self.waking(|core, calls| core.commit(entries, calls));
    }

    /// The store begins a new epoch.
    pub(crate) fn handle_restarted(&self, epoch: Epoch) {
        self.waking(|core, calls| core.restart(epoch, calls));
    }

    /// The store has lost entries that this hub was not told of.
    pub(crate) fn handle_lost(&self, through: u64) {
        self.lock().log.lose_unknown(through);
    }

    /// Publishes a batch, in order; `subject` is who, for idempotency keys.
    ///
    /// Each event is published or refused by itself, but those of one batch stand together in the log. Who may publish
    /// is for the caller to decide ([`Grant::may_publish`](crate::Grant::may_publish)). Never waits for a subscriber.
    ///
    /// Over the memory log it is done at once; over a store the future must be awaited.
    pub fn publish(&self, batch: Vec<NewEvent>, subject: Option<&str>, now: Timestamp) -> Publish {
        let Some(store) = &self.0.store else {
            return Publish::ready(
                self.waking(|core, calls| core.publish(batch, subject, now, calls)),
            );
        };
        let (store, subject) = (store.clone(), subject.map(str::to_owned));
        match self.lock().check_batch(&batch) {
            Ok(()) => Publish::pending(async move { store.append(batch, subject, now).await }),
            Err(refused) => Publish::ready(refused),
        }
    }

    /// Publishes one event, as [`publish`](Hub::publish) does a batch of one, without the lists.
    pub fn publish_one(
        &self,
        event: NewEvent,
        subject: Option<&str>,
        now: Timestamp,
    ) -> Publish<Result<Receipt, PublishError>> {
        let Some(store) = &self.0.store else {
            // Not by `waking`: the event would be copied into its closure.
            let mut calls = Calls::default();
            let mut core = self.lock();
            let receipt = core.publish_alone(event, subject, now, &mut calls);
            calls.resolve(&core.groups);
            drop(core);
            calls.make();
            return Publish::ready(receipt);
        };
        let (store, subject) = (store.clone(), subject.map(str::to_owned));
        match self.lock().check_size(&event) {
            Ok(()) => Publish::pending(async move {
                let mut answers = store.append(vec![event], subject, now).await;
                let answer = answers.pop().filter(|_| answers.is_empty());
                answer.unwrap_or_else(|| {
                    let why = "the store did not answer for the event";
                    Err(PublishError::Unavailable(why.to_owned()))
                })
            }),
            Err(refused) => Publish::ready(Err(refused)),
        }
    }

    /// Ends a topic without a last event; says where the end stands.
    ///
    /// Readers are told after the events before it. Until [`HubConfig::end_ttl`] has passed, publishing to the topic is
    /// refused; then it may begin anew.
    ///
    /// # Errors
    /// [`PublishError::Ended`] when it has ended already; [`PublishError::Unavailable`] over a store, where a topic ends by
    /// an event's [`end`](NewEvent::end).
    pub fn end_topic(&self, topic: &Topic, now: Timestamp) -> Result<Position, PublishError> {
        if self.0.store.is_some() {
            let why = "over a store a topic ends with an event";
            return Err(PublishError::Unavailable(why.to_owned()));
        }
        self.waking(|core, calls| core.end_topic(topic, now, calls))
    }

    /// Ends a topic and erases its events; says how many there were, or `None` if the log does not know the topic.
    ///
    /// For those who have not read them they are a gap, and the end says `deleted`.
    pub fn delete_topic(&self, topic: &Topic, now: Timestamp) -> Option<u64> {
        self.waking(|core, calls| core.delete_topic(topic, now, calls))
    }

    /// The position of the newest entry of the log.
    #[must_use]
    pub fn head(&self) -> Position {
        self.lock().log.head()
    }

    /// What is known of a topic; `None` if the log remembers nothing of it.
    #[must_use]
    pub fn topic_status(&self, topic: &Topic) -> Option<TopicStatus> {
        let core = self.lock();
        let log = &core.log;
        let state = &log.topics[log.topic(topic)? as usize];
        Some(TopicStatus {
            last: state.last.map(|(offset, tag)| Position {
                epoch: log.epoch,
                offset,
                tag,
            }),
            first: state.oldest().map(|event| event.offset()),
            events: state.event_count() as u64,
            bytes: state.bytes,
            ended: state.ended.is_some(),
            subscribers: state.readers.as_ref().map_or(0, |readers| readers.count),
        })
    }

    /// The names of topics, in their order, after `after`, at most `limit`.
    #[must_use]
    pub fn topics(&self, after: Option<&Topic>, limit: usize) -> Vec<Topic> {
        let core = self.lock();
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let names = core
            .log
            .in_order
            .range::<Topic, _>((from, Bound::Unbounded));
        names.map(|(topic, _)| topic.clone()).take(limit).collect()
    }

    /// Counts and sizes.
    #[must_use]
    pub fn stats(&self) -> HubStats {
        let core = self.lock();
        HubStats {
            topics: core.log.topics.len(),
            events: core.log.events,
            log_bytes: core.log.bytes,
            form_bytes: core.log.forms.bytes(),
            subscriptions: core.cursors.len(),
            wildcards: core.log.wildcards.len(),
            idempotency_keys: core.window.len(),
            members: core.presence.len(),
            published: core.published,
            evicted: core.log.evicted,
        }
    }

    /// Starts a subscription.
    ///
    /// Costs a binary search for each topic. The first reader of a wildcard that begins in the past has the index of its
    /// topics built, which costs as much as reading it will.
    ///
    /// # Errors
    /// When the grant does not allow it or a bound is reached.
    pub fn subscribe(
        &self,
        options: SubscribeOptions,
        now: Timestamp,
    ) -> Result<Subscription, SubscribeError> {
        let (id, position) = self.lock().subscribe(options, now)?;
        Ok(Subscription::new(self.clone(), id, position))
    }

    /// One page of what is retained, by the same rules as a subscription; but a page has no connection that could be ended,
    /// so [`LagAction::Disconnect`] reads on like [`LagAction::Replay`].
    ///
    /// Over a store that does not answer at once, what memory holds no longer is a gap.
    ///
    /// # Errors
    /// As [`Hub::subscribe`].
    pub fn history(
        &self,
        mut options: SubscribeOptions,
        budget: Budget,
        now: Timestamp,
    ) -> Result<Page, SubscribeError> {
        if options.lag.action == LagAction::Disconnect {
            options.lag.action = LagAction::Replay;
        }
        let mut subscription = self.subscribe(options, now)?;
        let mut page = Page::new(subscription.position());
        let mut left = budget;
        while page.events.is_empty() || left.events > 0 && left.bytes > 0 {
            match subscription.try_next(now, left) {
                Some(Delivery::Batch(batch)) => {
                    left.events = left.events.saturating_sub(batch.events().len());
                    left.bytes = left.bytes.saturating_sub(batch.bytes());
                    page.events.extend_from_slice(batch.events());
                }
                Some(Delivery::Gap(gap)) => page.gaps.push(gap),
                Some(Delivery::End(end)) => page.ends.push(end),
                // It is said again at every turn.
                Some(Delivery::Closed(_)) => break,
                Some(_) => {}
                // A page comes at once or not at all, so it does not wait for a store.
                None if subscription.is_reading_back() => subscription.read_memory_alone(),
                None => {
                    page.up_to_date = true;
                    break;
                }
            }
        }
        // A page comes whole or not at all, so what follows a gap cannot be cut off from it, and the next page need not
        // tell the gap again.
        page.next = if page.up_to_date {
            subscription.reached()
        } else {
            subscription.position()
        };
        Ok(page)
    }

    /// Does what time asks for: retention by age, grants that run out, windows that close.
    ///
    /// To be called at or after [`Hub::poll_timeout`]. Correctness does not hang on it: publishing and subscribing apply
    /// ages themselves, and a poll decides by its own `now`. What it does for a sleeping reader is to wake it.
    pub fn handle_tick(&self, now: Timestamp) {
        self.waking(|core, calls| core.tick(now, calls));
    }

    /// When [`Hub::handle_tick`] has something to do next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        self.lock().next_timeout()
    }

    /// Takes authority back, from running subscriptions at once and from those to come until `until`.
    ///
    /// Subscriptions without a grant, which are the program's own, are not concerned. Costs a walk over all subscriptions.
    pub fn revoke(&self, revocation: &Revocation, until: Timestamp, now: Timestamp) {
        self.waking(|core, calls| core.revoke(revocation, until, now, calls));
    }

    /// Was this grant's token or subject taken back?
    ///
    /// Subscriptions look by themselves; this is for what else a grant allows, such as publishing.
    #[must_use]
    pub fn is_revoked(&self, grant: &Grant, now: Timestamp) -> bool {
        let named = grant.token_id.is_some() || grant.subject.is_some();
        named && self.lock().revoked.concerns(grant, now)
    }

    /// Would a subscription to these patterns be allowed? For what else is to be judged as reading is.
    ///
    /// # Errors
    /// As [`Hub::subscribe`], bounds aside.
    pub fn check_reading(
        &self,
        grant: &Grant,
        patterns: &[Pattern],
        now: Timestamp,
    ) -> Result<(), SubscribeError> {
        self.lock().check_grant(grant, patterns, now)
    }

    /// Lets a subscription go on under a renewed grant, as [`Subscription::regrant`] does for whoever holds it.
    ///
    /// The caller makes sure that the subscription still lives: its name may be another's afterwards.
    ///
    /// # Errors
    /// As [`Subscription::regrant`].
    pub fn regrant(
        &self,
        id: SubscriptionId,
        grant: Arc<Grant>,
        now: Timestamp,
    ) -> Result<(), SubscribeError> {
        self.waking(|core, calls| {
            if !core.cursors.contains(id.0 as usize) {
                return Err(SubscribeError::Closed);
            }
            core.regrant(id.0, grant, now)?;
            core.wake(id.0, calls);
            Ok(())
        })
    }

    /// Lets `member` be present at a topic for `lease`, or renews that; says whether they came.
    ///
    /// Readers of the topic that asked for presence are told who comes. What was told about a member when they came stays
    /// until they leave.
    ///
    /// # Errors
    /// When there are too many members, or the name or the metadata are too long.
    pub fn join(
        &self,
        topic: &Topic,
        member: &str,
        metadata: Option<&str>,
        lease: Duration,
        now: Timestamp,
    ) -> Result<bool, PresenceError> {
        let until = now.saturating_add(lease);
        self.waking(|core, calls| core.join_presence(topic, member, metadata, until, calls))
    }

    /// Lets `member` leave a topic before their lease runs out; says whether they were there.
    pub fn leave(&self, topic: &Topic, member: &str) -> bool {
        self.waking(|core, calls| core.leave_presence(topic, member, calls))
    }

    /// Who is present at the topics of `pattern`, in the order of topics and names, at most `limit`.
    #[must_use]
    pub fn presence(&self, pattern: &Pattern, limit: usize, now: Timestamp) -> Vec<Member> {
        self.lock().presence.members(pattern, now, limit)
    }

    /// Does `work` under the lock and makes the calls it collected when the lock is released.
    #[inline]
    fn waking<T>(&self, work: impl FnOnce(&mut Core, &mut Calls) -> T) -> T {
        let mut calls = Calls::default();
        let mut core = self.lock();
        let result = work(&mut core, &mut calls);
        calls.resolve(&core.groups);
        drop(core);
        calls.make();
        result
    }

    pub(crate) fn store(&self) -> Option<&Arc<dyn Store>> {
        self.0.store.as_ref()
    }

    pub(crate) fn lock(&self) -> Guard<'_, Core> {
        self.0.core.lock()
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub").finish_non_exhaustive()
    }
}
