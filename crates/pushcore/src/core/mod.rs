//! What is behind a hub's lock: the log, the cursors, and what decides about them.

mod authority;
mod publish;
mod subscribe;
mod waiting;

use std::collections::BTreeSet;
use std::sync::Arc;

use slab::Slab;

use crate::call::{Calls, Groups};
use crate::config::HubConfig;
use crate::cursor::Cursor;
use crate::forms::FormCache;
use crate::idempotency::Window;
use crate::log::Log;
use crate::position::Epoch;
use crate::presence::Presence;
use crate::random::Random;
use crate::revoked::Revoked;
use crate::timestamp::Timestamp;

/// What is behind a hub's lock
pub(crate) struct Core {
    pub(crate) log: Log,
    pub(crate) cursors: Slab<Cursor>,
    pub(crate) window: Window,
    pub(crate) revoked: Revoked,
    pub(crate) presence: Presence,
    /// Cursors by when their grants need attention
    deadlines: BTreeSet<(Timestamp, u32)>,
    /// Who is told by number what there is to read
    pub(crate) groups: Groups,
    pub(crate) published: u64,
    pub(crate) config: Arc<HubConfig>,
}

pub(crate) use subscribe::Next;

impl Core {
    pub(crate) fn new(config: Arc<HubConfig>, seed: u64, now: Timestamp) -> Core {
        let mut random = Random::new(seed);
        let epoch = Epoch(random.next());
        let forms = FormCache::new(config.max_form_bytes);
        Core {
            log: Log::new(config.clone(), epoch, random.next(), forms, now),
            cursors: Slab::with_capacity(config.reserved_subscriptions),
            window: Window::default(),
            revoked: Revoked::default(),
            presence: Presence::new(config.max_presence_changes),
            deadlines: BTreeSet::new(),
            groups: Groups::default(),
            published: 0,
            config,
        }
    }

    pub(crate) fn tick(&mut self, now: Timestamp, calls: &mut Calls) {
        self.log.expire(now);
        self.window.expire(now, &self.config);
        self.revoked.expire(now);
        while let Some(topic) = self.presence.expire_one(now) {
            self.wake_watchers(&topic, calls);
        }
        while let Some(&(at, id)) = self.deadlines.first().filter(|(at, _)| *at <= now) {
            self.deadlines.remove(&(at, id));
            self.cursors[id as usize].deadline = None;
            self.set_deadline(id, now);
            self.wake(id, calls);
        }
    }

    pub(crate) fn next_timeout(&mut self) -> Option<Timestamp> {
        let all = [
            self.log.next_expiry(),
            self.window.next_expiry(&self.config),
            self.revoked.next_expiry(),
            self.presence.next_expiry(),
            self.deadlines.first().map(|(at, _)| *at),
        ];
        all.into_iter().flatten().min()
    }
}

fn short(index: usize) -> u32 {
    u32::try_from(index).expect("subscriptions and patterns are bounded")
}
