//! How a hub follows a store.

use std::sync::Arc;

use crate::config::HubConfig;
use crate::delivery::Budget;
use crate::hub::{Hub, WeakHub};
use crate::pattern::PatternSet;
use crate::planted::{self, Bug};
use crate::position::Epoch;
use crate::store::{Sink, Store, StoreError, StoredEvent};
use crate::sync::Lock;
use crate::timestamp::Timestamp;

/// What a store tells a hub: kept until the hub has read what went before, then handed on
pub(crate) struct Follower {
    hub: WeakHub,
    /// `None` once the hub has caught up
    early: Lock<Option<Vec<Told>>>,
}

enum Told {
    Committed(Vec<StoredEvent>),
    Restarted(Epoch),
}

impl Follower {
    fn tell(&self, hub: &Hub, told: &Told) {
        match told {
            Told::Committed(entries) => hub.handle_committed(entries),
            Told::Restarted(epoch) => hub.handle_restarted(*epoch),
        }
    }

    fn handle(&self, told: Told) {
        // The lock is held while the hub is told, so that nothing overtakes what came early.
        let mut early = self.early.lock();
        match &mut *early {
            Some(early) => early.push(told),
            None => {
                if let Some(hub) = self.hub.upgrade() {
                    self.tell(&hub, &told);
                }
            }
        }
    }

    fn catch_up(&self, hub: &Hub) {
        let mut early = self.early.lock();
        let told = early.take().into_iter().flatten();
        if planted::has(Bug::FollowerOvertaken) {
            drop(early);
        }
        told.for_each(|told| self.tell(hub, &told));
    }
}

impl Sink for Follower {
    fn handle_committed(&self, entries: &[StoredEvent]) {
        self.handle(Told::Committed(entries.to_vec()));
    }

    fn handle_restarted(&self, epoch: Epoch) {
        self.handle(Told::Restarted(epoch));
    }
}

impl Hub {
    /// A hub over a store: it reads what the store retains, as much as its bounds take, and follows it from there.
    ///
    /// First it follows, then it reads, then it joins the two by offset, so that nothing falls between. Positions are the
    /// store's, so readers may come from another hub over the same store. Retention, lag, grants and presence are this
    /// hub's own; idempotency and ends are the store's. Topics end by an event's [`end`](crate::NewEvent::end).
    ///
    /// # Errors
    /// When the store cannot be read or followed.
    pub async fn open(
        store: Arc<dyn Store>,
        config: HubConfig,
        seed: u64,
        now: Timestamp,
    ) -> Result<Hub, StoreError> {
        let hub = Hub::over(store.clone(), config, seed, now);
        let follower = Arc::new(Follower {
            hub: hub.downgrade(),
            early: Lock::new(Some(Vec::new())),
        });
        let sink: Arc<dyn Sink> = follower.clone();
        let head = store.follow(Arc::downgrade(&sink)).await?;
        hub.handle_restarted(head.epoch);
        let budget = Budget {
            events: 4096,
            ..Budget::default()
        };
        let mut after = 0;
        loop {
            let page = store.read(after, &PatternSet::all(), budget).await?;
            hub.handle_lost(page.lost_through);
            hub.handle_committed(&page.entries);
            after = page.read_through;
            if page.is_last {
                break;
            }
        }
        follower.catch_up(&hub);
        hub.keep(sink);
        Ok(hub)
    }
}
