//! A store that is slow, fails, loses answers, tells late and twice, and now and then loses its tail.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};

use async_trait::async_trait;

use crate::delivery::Budget;
use crate::event::NewEvent;
use crate::pattern::PatternSet;
use crate::position::{Epoch, Position};
use crate::publish::{PublishError, Receipts};
use crate::random::Random;
use crate::store::conformance::be_slow;
use crate::store::{Health, MemoryStore, Sink, Store, StoreError, StoredEvent, StoredPage};
use crate::timestamp::Timestamp;

/// The store of a world, over one that does what it should
pub(super) struct Nasty {
    inner: MemoryStore,
    followers: Arc<Followers>,
    /// Keeps the inner store's telling alive
    _sink: Arc<dyn Sink>,
    state: Mutex<State>,
}

struct State {
    random: Random,
    is_calm: bool,
}

/// What was committed and is still to be told, for each follower and for the oracle
#[derive(Default)]
struct Followers(Mutex<Vec<Arc<Follower>>>);

/// One who is told, sooner or later
#[derive(Default)]
pub(super) struct Follower {
    sink: Option<Weak<dyn Sink>>,
    queue: Mutex<VecDeque<Told>>,
}

#[derive(Clone)]
pub(super) enum Told {
    Committed(Vec<StoredEvent>),
    Restarted(Epoch),
}

impl Nasty {
    pub(super) fn new(seed: u64, max_entries: usize) -> Nasty {
        let inner = MemoryStore::new(seed, max_entries);
        let followers = Arc::new(Followers::default());
        let sink: Arc<dyn Sink> = followers.clone();
        now(inner.follow(Arc::downgrade(&sink))).expect("the inner store is live");
        Nasty {
            inner,
            followers,
            _sink: sink,
            state: Mutex::new(State {
                random: Random::new(seed),
                is_calm: false,
            }),
        }
    }

    /// A follower that is no hub's: what was really committed.
    pub(super) fn ledger(&self) -> Arc<Follower> {
        let ledger = Arc::new(Follower::default());
        lock(&self.followers.0).push(ledger.clone());
        ledger
    }

    /// The one that followed last.
    pub(super) fn last_follower(&self) -> Arc<Follower> {
        lock(&self.followers.0)
            .last()
            .expect("somebody follows")
            .clone()
    }

    pub(super) fn head(&self) -> Position {
        now(self.inner.follow(Weak::<Followers>::new())).expect("the inner store is live")
    }

    /// What retention has taken.
    pub(super) fn lost_through(&self) -> u64 {
        let nothing = Budget {
            events: 0,
            bytes: 0,
        };
        let page = now(self.inner.read(u64::MAX, &PatternSet::none(), nothing));
        page.expect("the inner store is live").lost_through
    }

    /// From now on nothing fails and nothing is slow.
    pub(super) fn calm(&self) {
        lock(&self.state).is_calm = true;
    }

    /// Comes back without what lies behind `head`, in a new epoch.
    pub(super) fn lose_tail(&self, head: u64) {
        self.inner.lose_tail(head);
    }

    /// Comes back without what lies behind `head`, in the same epoch, and says nothing.
    pub(super) fn rewind(&self, head: u64) {
        self.inner.rewind(head);
    }

    /// Commits a batch, whatever else is going on.
    pub(super) fn commit(&self, batch: Vec<NewEvent>, at: Timestamp) -> Receipts {
        now(self.inner.append(batch, None, at))
    }

    fn chance(&self, of: u64) -> bool {
        let mut state = lock(&self.state);
        !state.is_calm && state.random.next().is_multiple_of(of)
    }

    async fn be_slow(&self) {
        let turns = match self.chance(2) {
            true => lock(&self.state).random.next() % 4,
            false => 0,
        };
        be_slow(turns).await;
    }
}

#[async_trait]
impl Store for Nasty {
    async fn append(
        &self,
        batch: Vec<NewEvent>,
        subject: Option<String>,
        at: Timestamp,
    ) -> Receipts {
        let refuse = |count| vec![Err(PublishError::Unavailable("nasty".into())); count];
        self.be_slow().await;
        if self.chance(10) {
            return refuse(batch.len());
        }
        let count = batch.len();
        let receipts = self.inner.append(batch, subject, at).await;
        // Answers overtake each other here.
        self.be_slow().await;
        match self.chance(10) {
            true => refuse(count),
            false => receipts,
        }
    }

    async fn read(
        &self,
        after: u64,
        patterns: &PatternSet,
        budget: Budget,
    ) -> Result<StoredPage, StoreError> {
        self.be_slow().await;
        if self.chance(8) {
            return Err(StoreError::Unavailable("nasty".into()));
        }
        self.inner.read(after, patterns, budget).await
    }

    async fn follow(&self, sink: Weak<dyn Sink>) -> Result<Position, StoreError> {
        if self.chance(4) {
            return Err(StoreError::Unavailable("nasty".into()));
        }
        lock(&self.followers.0).push(Arc::new(Follower {
            sink: Some(sink),
            queue: Mutex::default(),
        }));
        Ok(self.head())
    }

    fn health(&self) -> Health {
        Health::Live
    }
}

impl Sink for Followers {
    fn handle_committed(&self, entries: &[StoredEvent]) {
        if !entries.is_empty() {
            self.tell(&Told::Committed(entries.to_vec()));
        }
    }

    fn handle_restarted(&self, epoch: Epoch) {
        self.tell(&Told::Restarted(epoch));
    }
}

impl Followers {
    fn tell(&self, told: &Told) {
        let mut followers = lock(&self.0);
        followers.retain(|one| one.sink.as_ref().is_none_or(|sink| sink.strong_count() > 0));
        for follower in &*followers {
            lock(&follower.queue).push_back(told.clone());
        }
    }
}

impl Follower {
    /// What comes next, taken out.
    pub(super) fn next(&self) -> Option<Told> {
        lock(&self.queue).pop_front()
    }

    /// Tells it so many things, some of them twice; up to where it knows the log now, if it was told of something.
    pub(super) fn deliver(&self, count: usize, twice: bool) -> Option<u64> {
        let mut known = None;
        for _ in 0..count {
            let (Some(told), Some(sink)) =
                (self.next(), self.sink.as_ref().and_then(Weak::upgrade))
            else {
                break;
            };
            match &told {
                Told::Committed(entries) => {
                    sink.handle_committed(entries);
                    if twice {
                        sink.handle_committed(entries);
                    }
                    known = entries.last().map(|entry| entry.position.offset).or(known);
                }
                Told::Restarted(epoch) => {
                    sink.handle_restarted(*epoch);
                    known = Some(0);
                }
            }
        }
        known
    }
}

/// The answer of a future that needs nobody to wake it.
pub(super) fn now<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    for _ in 0..1000 {
        if let Poll::Ready(answer) = future
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
        {
            return answer;
        }
    }
    panic!("it was slow a thousand times")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
