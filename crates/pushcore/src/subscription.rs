//! A reader's hold on the log.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use crate::call::{Caller, Key, Notify};
use crate::core::Next;
use crate::delivery::{Budget, Delivery};
use crate::grant::Grant;
use crate::hub::Hub;
use crate::pattern::{Pattern, PatternSet};
use crate::planted::{self, Bug};
use crate::position::Position;
use crate::read_back::{Fetch, Span};
use crate::stats::Backlog;
use crate::store::{StoreError, StoredPage};
use crate::subscribe::{Start, SubscribeError};
use crate::sync::Lock;
use crate::timestamp::Timestamp;

/// A reader's patterns and its one cursor
///
/// What it costs while it does not read is this: a cursor. The hub keeps no queue for it. Dropping it ends it.
pub struct Subscription {
    hub: Hub,
    id: u32,
    caught_up: bool,
    /// Who is told of it by number, if not the waker of its last poll
    told: Option<Key>,
    position: Position,
    /// The page of the store that it waits for
    fetch: Option<Box<Lock<Fetch>>>,
}

/// Pages of a store that may hold nothing for a reader before others have their turn
const MAX_PAGES: usize = 16;

impl Subscription {
    pub(crate) fn new(hub: Hub, id: u32, position: Position) -> Subscription {
        Subscription {
            hub,
            id,
            caught_up: false,
            told: None,
            position,
            fetch: None,
        }
    }

    /// The cursor: the position of the last event given, or where it began. Resuming after it repeats no event and
    /// skips none.
    #[must_use]
    pub fn position(&self) -> Position {
        self.position
    }

    /// Up to where everything has been given or announced: the head, once nothing is left.
    pub(crate) fn reached(&self) -> Position {
        let core = self.hub.lock();
        let cursor = &core.cursors[self.id as usize];
        match cursor.read == cursor.position.offset {
            true => cursor.position,
            false => core.log.position(cursor.read),
        }
    }

    /// Gives what comes next, or arranges for the waker of `cx` to be called when there is something.
    ///
    /// Ready at every call until nothing is left; [`Delivery::Closed`] is given for ever. The waker stays for later
    /// calls, so that polling with the same one again costs no clone. It is called outside the hub's lock, once for each
    /// time it was armed.
    ///
    /// Costs a lock; the batch itself is shared with every subscription that stands at the same place. Over a store, a
    /// subscription that stands behind what memory holds has the store read, by this call and with the same waker: at most
    /// [`HubConfig::max_read_back_bytes`](crate::HubConfig) at a time, which are handed out as soon as they are there. If
    /// the store cannot be read now, it is asked again after
    /// [`HubConfig::read_back_retry`](crate::HubConfig), woken by [`Hub::handle_tick`](crate::Hub::handle_tick).
    pub fn poll(&mut self, cx: &mut Context<'_>, now: Timestamp, budget: Budget) -> Poll<Delivery> {
        match self.next(now, budget, Some(cx.waker())) {
            Some(delivery) => Poll::Ready(delivery),
            None => Poll::Pending,
        }
    }

    /// Gives what comes next, if there is something; wakes nobody later. Over a store that is slow to be read, nothing may
    /// mean not yet.
    pub fn try_next(&mut self, now: Timestamp, budget: Budget) -> Option<Delivery> {
        self.next(now, budget, None)
    }

    /// Lets `owner` be told by `key` when there is something to read, from the next poll on and instead of that poll's waker.
    ///
    /// The waker is then for the store alone, where one must be read. To be called once; costs a walk over the owners there
    /// are, so they should be few, such as the threads of a server.
    ///
    /// # Panics
    /// When it was called before.
    pub fn notify(&mut self, owner: &Arc<dyn Notify>, key: u32) {
        assert!(self.told.is_none(), "a subscription has one owner for good");
        let group = self.hub.lock().groups.enter(owner);
        self.told = Some(Key { group, key });
    }

    /// Whether the last poll reached the head and left the waker armed, even though it was ready: polling once more
    /// before a wake would find nothing, and may be left out.
    #[must_use]
    pub fn is_caught_up(&self) -> bool {
        self.caught_up
    }

    /// Its patterns, in no particular order.
    #[must_use]
    pub fn patterns(&self) -> Vec<Pattern> {
        self.hub.lock().cursors[self.id as usize].patterns()
    }

    /// Whether it reads nothing any more and has been told of every end.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.hub.lock().cursors[self.id as usize].is_over()
    }

    /// Reads one more pattern: [`add_all`](Subscription::add_all) of one.
    ///
    /// # Errors
    /// As there.
    pub fn add(
        &mut self,
        pattern: Pattern,
        start: Option<Start>,
        now: Timestamp,
    ) -> Result<Position, SubscribeError> {
        self.add_all(vec![pattern], start, now)
    }

    /// Reads `patterns` too; says from where, the same place for all of them.
    ///
    /// They join at the place up to which this subscription has been brought, or where `start` says if that is later: one
    /// cursor cannot go back for one pattern, and what lies before comes through [`Hub::history`]. The first patterns of
    /// an empty subscription take the cursor where they begin; to be given from one position they must come together,
    /// because the cursor may move as soon as there is something to read. Poll afterwards: there may be something to read. A
    /// pattern that is read already stays where it is.
    ///
    /// # Errors
    /// When the grant does not allow it, a bound is reached, or the subscription is over.
    pub fn add_all(
        &mut self,
        patterns: Vec<Pattern>,
        start: Option<Start>,
        now: Timestamp,
    ) -> Result<Position, SubscribeError> {
        let mut core = self.hub.lock();
        let at = core.add(self.id, patterns, start, now)?;
        self.position = core.cursors[self.id as usize].position;
        self.caught_up = false;
        drop(core);
        if !planted::has(Bug::StalePage) {
            // What the store was asked for has nothing of the new patterns.
            self.fetch = None;
        }
        Ok(at)
    }

    /// Is told from now on who comes to its topics and leaves them, as if it had asked for that at its start.
    pub fn hear_presence(&mut self) {
        self.hub.lock().hear_presence(self.id);
    }

    /// Reads `pattern` no longer; says whether it did.
    pub fn remove(&mut self, pattern: &Pattern) -> bool {
        self.hub.lock().remove(self.id, pattern)
    }

    /// Goes on under a renewed grant, from the same cursor.
    ///
    /// Patterns that it does not cover end at once, as [`EndReason::Revoked`](crate::EndReason::Revoked). Poll afterwards.
    ///
    /// # Errors
    /// When it is for another subject, has run out or was revoked, or the subscription is over; then the old one stays. A grant
    /// that names nobody may be followed by one that names somebody, once.
    pub fn regrant(&mut self, grant: Arc<Grant>, now: Timestamp) -> Result<(), SubscribeError> {
        self.caught_up = false;
        self.hub.lock().regrant(self.id, grant, now)
    }

    /// How far it is behind; costs a walk over that.
    #[must_use]
    pub fn backlog(&self) -> Backlog {
        let core = self.hub.lock();
        core.cursors[self.id as usize].backlog(&core.log)
    }

    pub(crate) fn number(&self) -> u32 {
        self.id
    }

    /// Whether it waits for a store, so that finding nothing does not mean that there is nothing.
    pub(crate) fn is_reading_back(&self) -> bool {
        self.fetch.is_some()
    }

    /// Is told of a gap where memory ends, whatever the store has.
    pub(crate) fn read_memory_alone(&mut self) {
        self.fetch = None;
        self.hub.lock().cursors[self.id as usize].memory_alone = true;
    }

    #[inline]
    fn next(&mut self, now: Timestamp, budget: Budget, waker: Option<&Waker>) -> Option<Delivery> {
        let mut core = self.hub.lock();
        let Some(given) = core.next_batch(self.id, now, budget, self.caller(waker)) else {
            let next = core.next(self.id, now, budget, self.caller(in_time(waker)));
            drop(core);
            return self.next_beside_batch(next, now, budget, waker);
        };
        drop(core);
        self.position = given.position;
        self.caught_up = given.caught_up && waker.is_some();
        if self.fetch.is_some() {
            // It goes on in memory.
            self.fetch = None;
        }
        Some(Delivery::Batch(given.batch))
    }

    /// What comes next where it is not simply events in memory; `next` is what memory says.
    #[inline(never)]
    fn next_beside_batch(
        &mut self,
        next: Next,
        now: Timestamp,
        budget: Budget,
        waker: Option<&Waker>,
    ) -> Option<Delivery> {
        let mut next = next;
        for page in 0..MAX_PAGES {
            if page > 0 {
                next = self
                    .hub
                    .lock()
                    .next(self.id, now, budget, self.caller(in_time(waker)));
            }
            self.keep_place(&next, waker);
            let Some(span) = next.needs else {
                if self.fetch.is_some() && matches!(next.delivery, None | Some(Delivery::Batch(_)))
                {
                    // It goes on in memory.
                    self.fetch = None;
                }
                return next.delivery;
            };
            let Poll::Ready(page) = self.poll_page(span, now, budget, waker) else {
                return None;
            };
            let told = self.take_page(span, page, now, budget);
            if told.is_some() {
                return told;
            }
        }
        if let Some(waker) = waker {
            waker.wake_by_ref();
        }
        None
    }

    /// Whom to call where the waker of a poll is given.
    fn caller<'w>(&self, waker: Option<&'w Waker>) -> Option<Caller<'w>> {
        waker.map(|waker| self.told.map_or(Caller::Waker(waker), Caller::Key))
    }

    fn keep_place(&mut self, next: &Next, waker: Option<&Waker>) {
        self.position = next.position;
        self.caught_up = next.caught_up && waker.is_some();
        if let Some(waker) = waker.filter(|_| next.caught_up)
            && planted::has(Bug::ArmedTooLate)
        {
            self.hub.lock().arm(self.id, Caller::Waker(waker), false);
        }
    }

    /// Asks the store, without the hub's lock.
    fn poll_page(
        &mut self,
        span: Span,
        now: Timestamp,
        budget: Budget,
        waker: Option<&Waker>,
    ) -> Poll<Result<StoredPage, StoreError>> {
        let fetch = self.fetch.take();
        let mut fetch = match fetch.map(|mut fetch| (fetch.get_mut().is_for(span.from, now), fetch))
        {
            Some((true, fetch)) => fetch,
            _ => Box::new(Lock::new(self.begin_fetch(span, budget))),
        };
        let waker = waker.unwrap_or(Waker::noop());
        let page = fetch.get_mut().poll(&mut Context::from_waker(waker));
        if let Some(at) = fetch.get_mut().retry_at() {
            self.hub.lock().wake_at(self.id, at);
        }
        if page.is_pending() {
            self.fetch = Some(fetch);
        }
        page
    }

    fn begin_fetch(&self, span: Span, budget: Budget) -> Fetch {
        let core = self.hub.lock();
        let cursor = &core.cursors[self.id as usize];
        let budget = Budget {
            bytes: budget.bytes.min(core.config.max_read_back_bytes),
            ..budget
        };
        // Another entry may have the offset that it came with, of whatever topic.
        let patterns = match cursor.ahead {
            true => PatternSet::all(),
            false => cursor.patterns().into_iter().collect(),
        };
        let store = self
            .hub
            .store()
            .expect("only a hub over a store reads back");
        Fetch::begin(store.clone(), patterns, span.from, budget)
    }

    fn take_page(
        &mut self,
        span: Span,
        page: Result<StoredPage, StoreError>,
        now: Timestamp,
        budget: Budget,
    ) -> Option<Delivery> {
        let mut core = self.hub.lock();
        let has_come_on = |page: &StoredPage| page.is_last || page.read_through > span.from.after;
        let told = match page {
            Ok(page) if has_come_on(&page) => core.take_page(self.id, span.from, &page, budget),
            Err(StoreError::Corrupt { to, .. }) if to > span.from.after => {
                core.take_damage(self.id, to)
            }
            Ok(_) | Err(_) => {
                let at = now.saturating_add(core.config.read_back_retry);
                self.fetch = Some(Box::new(Lock::new(Fetch::RetryAt(at))));
                None
            }
        };
        self.position = core.cursors[self.id as usize].position;
        told
    }
}

/// The waker that is to be armed while the hub is still locked.
fn in_time(waker: Option<&Waker>) -> Option<&Waker> {
    waker.filter(|_| !planted::has(Bug::ArmedTooLate))
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription")
            .field("id", &self.id)
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut core = self.hub.lock();
        core.unsubscribe(self.id);
        if let Some(Key { group, .. }) = self.told {
            core.groups.leave(group);
        }
    }
}
