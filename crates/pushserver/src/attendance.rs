//! Who is present through which connection.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pushcore::{Hub, PresenceError, Timestamp, Topic};

/// How long a presence lasts that nobody renews: what is left of a connection that could not say goodbye
const LEASE: Duration = Duration::from_secs(60);

/// How often a connection renews what it holds
const RENEW_EVERY: Duration = Duration::from_secs(20);

const _: () = assert!(RENEW_EVERY.as_secs() * 2 < LEASE.as_secs());

/// How many connections hold each member at each topic
///
/// A person with two windows is present once, until the last one closes. Memory: an entry for each member at each topic,
/// of which the hub allows so many.
#[derive(Debug)]
pub(crate) struct Attendance {
    hub: Hub,
    held: Mutex<HashMap<(Topic, Arc<str>), usize>>,
}

/// What one connection holds; given back when dropped
pub(crate) struct Present {
    attendance: Arc<Attendance>,
    at: BTreeMap<Topic, (Arc<str>, Option<Arc<str>>)>,
    renew: Timestamp,
}

impl Attendance {
    pub(crate) fn new(hub: &Hub) -> Arc<Self> {
        Arc::new(Self {
            hub: hub.clone(),
            held: Mutex::default(),
        })
    }

    fn held(&self) -> MutexGuard<'_, HashMap<(Topic, Arc<str>), usize>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Present {
    pub(crate) fn new(attendance: &Arc<Attendance>) -> Self {
        Self {
            attendance: Arc::clone(attendance),
            at: BTreeMap::new(),
            renew: Timestamp(u64::MAX),
        }
    }

    /// At how many topics
    pub(crate) fn len(&self) -> usize {
        self.at.len()
    }

    pub(crate) fn is_at(&self, topic: &Topic) -> bool {
        self.at.contains_key(topic)
    }

    /// Lets `member` be present at `topic` for as long as the connection lives
    ///
    /// Who is there already, through this connection or another, keeps what was told about them when they came.
    pub(crate) fn join(
        &mut self,
        topic: Topic,
        member: &str,
        metadata: Option<&str>,
        now: Timestamp,
    ) -> Result<(), PresenceError> {
        if self.is_at(&topic) {
            return Ok(());
        }
        let mut held = self.attendance.held();
        self.attendance
            .hub
            .join(&topic, member, metadata, LEASE, now)?;
        let member: Arc<str> = member.into();
        *held
            .entry((topic.clone(), Arc::clone(&member)))
            .or_default() += 1;
        drop(held);
        self.at.insert(topic, (member, metadata.map(Arc::from)));
        self.renew = self.renew.min(now.saturating_add(RENEW_EVERY));
        Ok(())
    }

    /// Says whether the connection held a presence there
    pub(crate) fn leave(&mut self, topic: &Topic) -> bool {
        let Some((member, _)) = self.at.remove(topic) else {
            return false;
        };
        let mut held = self.attendance.held();
        let key = (topic.clone(), member);
        if let Some(count) = held.get_mut(&key) {
            *count -= 1;
            if *count == 0 {
                held.remove(&key);
                self.attendance.hub.leave(topic, &key.1);
            }
        }
        true
    }

    /// Leaves where `may_stay` says no
    pub(crate) fn retain(&mut self, may_stay: impl Fn(&Topic) -> bool) {
        let gone: Vec<_> = self.at.keys().filter(|topic| !may_stay(topic)).collect();
        for topic in gone.into_iter().cloned().collect::<Vec<_>>() {
            self.leave(&topic);
        }
    }

    /// Leaves everywhere
    pub(crate) fn clear(&mut self) {
        self.retain(|_| false);
    }

    /// Renews what is held if it is time, where `may_stay` still says yes
    pub(crate) fn handle_time(&mut self, now: Timestamp, may_stay: impl Fn(&Topic) -> bool) {
        if now < self.renew {
            return;
        }
        self.retain(may_stay);
        for (topic, (member, metadata)) in &self.at {
            let renewed = self
                .attendance
                .hub
                .join(topic, member, metadata.as_deref(), LEASE, now);
            if let Err(error) = renewed {
                tracing::debug!(%topic, %error, "a presence that ran out could not be taken up again");
            }
        }
        self.renew = if self.at.is_empty() {
            Timestamp(u64::MAX)
        } else {
            now.saturating_add(RENEW_EVERY)
        };
    }

    /// When [`Present::handle_time`] has something to do
    pub(crate) fn deadline(&self) -> Timestamp {
        self.renew
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        self.clear();
    }
}

impl fmt::Debug for Present {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.at.keys()).finish()
    }
}
