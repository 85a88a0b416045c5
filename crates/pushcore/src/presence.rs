//! Who is there.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use crate::config::HubConfig;
use crate::pattern::Pattern;
use crate::planted::{self, Bug};
use crate::timestamp::Timestamp;
use crate::topic::Topic;

/// Somebody came to a topic or left it
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PresenceChange {
    /// Where
    pub topic: Topic,
    /// Who
    pub member: Arc<str>,
    /// What was told about them when they came
    pub metadata: Option<Arc<str>>,
    /// Which of the two
    pub kind: PresenceKind,
}

/// Came or left
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PresenceKind {
    /// Came
    Join,
    /// Left, or its lease ran out
    Leave,
}

/// Somebody who is present
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Where
    pub topic: Topic,
    /// Who
    pub member: Arc<str>,
    /// What was told about them when they came
    pub metadata: Option<Arc<str>>,
    /// When their lease runs out unless it is renewed
    pub until: Timestamp,
}

/// Why somebody cannot be present
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PresenceError {
    /// There are too many members.
    #[error("{max} members are present already")]
    TooManyMembers {
        /// [`HubConfig::max_members`]
        max: usize,
    },
    /// The name is empty or too long.
    #[error("a member's name has 1 to 255 bytes")]
    Name,
    /// The metadata are too long.
    #[error("a member's metadata have at most {max} bytes")]
    MetadataTooLong {
        /// [`HubConfig::max_metadata_bytes`]
        max: usize,
    },
}

/// Members by topic, and the changes that readers have yet to be told
///
/// Changes are kept as events are: in one short log that every reader has a cursor into. Who falls behind its end is told
/// so and asks who is there.
#[derive(Default)]
pub(crate) struct Presence {
    topics: BTreeMap<Topic, BTreeMap<Arc<str>, Lease>>,
    by_time: BTreeSet<(Timestamp, Topic, Arc<str>)>,
    members: usize,
    changes: VecDeque<PresenceChange>,
    max_changes: usize,
    /// The number of the next change
    pub(crate) next: u64,
}

struct Lease {
    metadata: Option<Arc<str>>,
    until: Timestamp,
}

/// What a reader of changes is told next
pub(crate) enum Told {
    Change(PresenceChange),
    /// Changes were thrown away before it heard of them
    Missed,
    Nothing,
}

impl Presence {
    pub(crate) fn new(max_changes: usize) -> Presence {
        Presence {
            max_changes,
            ..Presence::default()
        }
    }

    /// Lets somebody come, or renews their lease; says whether they came.
    pub(crate) fn join(
        &mut self,
        topic: &Topic,
        member: &str,
        metadata: Option<&str>,
        until: Timestamp,
        config: &HubConfig,
    ) -> Result<bool, PresenceError> {
        if member.is_empty() || member.len() > 255 {
            return Err(PresenceError::Name);
        }
        let max = config.max_metadata_bytes;
        if metadata.is_some_and(|metadata| metadata.len() > max) {
            return Err(PresenceError::MetadataTooLong { max });
        }
        let member: Arc<str> = match self.lease(topic, member) {
            Some((name, lease)) => {
                let (name, old) = (name.clone(), lease.until);
                lease.until = until;
                self.by_time.remove(&(old, topic.clone(), name.clone()));
                self.by_time.insert((until, topic.clone(), name));
                return Ok(false);
            }
            None => member.into(),
        };
        let max = config.max_members;
        if self.members >= max {
            return Err(PresenceError::TooManyMembers { max });
        }
        let metadata: Option<Arc<str>> = metadata.map(Arc::from);
        self.members += 1;
        self.by_time.insert((until, topic.clone(), member.clone()));
        let lease = Lease {
            metadata: metadata.clone(),
            until,
        };
        let members = self.topics.entry(topic.clone()).or_default();
        members.insert(member.clone(), lease);
        self.tell(topic, member, metadata, PresenceKind::Join);
        Ok(true)
    }

    /// Lets somebody go; says whether they were there.
    pub(crate) fn leave(&mut self, topic: &Topic, member: &str) -> bool {
        let Some(members) = self.topics.get_mut(topic) else {
            return false;
        };
        let Some((name, lease)) = members.remove_entry(member) else {
            return false;
        };
        if members.is_empty() {
            self.topics.remove(topic);
        }
        self.members -= 1;
        self.by_time
            .remove(&(lease.until, topic.clone(), name.clone()));
        self.tell(topic, name, lease.metadata, PresenceKind::Leave);
        true
    }

    /// Lets one go whose lease ran out; says where it was.
    pub(crate) fn expire_one(&mut self, now: Timestamp) -> Option<Topic> {
        let (_, topic, member) = self.by_time.first().filter(|first| first.0 <= now)?;
        let (topic, member) = (topic.clone(), member.clone());
        self.leave(&topic, &member);
        if planted::has(Bug::LeaseEndsInSilence) {
            self.next -= 1;
            self.changes.pop_back();
        }
        Some(topic)
    }

    pub(crate) fn next_expiry(&self) -> Option<Timestamp> {
        self.by_time.first().map(|first| first.0)
    }

    pub(crate) fn len(&self) -> usize {
        self.members
    }

    /// Who is there at `now`, in the order of topics and names, at most `limit`.
    pub(crate) fn members(&self, pattern: &Pattern, now: Timestamp, limit: usize) -> Vec<Member> {
        let prefix = pattern.literal_prefix();
        let from = (
            std::ops::Bound::Included(prefix),
            std::ops::Bound::Unbounded,
        );
        let topics = self.topics.range::<str, _>(from);
        topics
            .take_while(|(topic, _)| topic.as_str().starts_with(prefix))
            .filter(|(topic, _)| pattern.matches(topic))
            .flat_map(|(topic, members)| members.iter().map(move |member| (topic, member)))
            .filter(|(_, (_, lease))| lease.until > now)
            .map(|(topic, (name, lease))| Member {
                topic: topic.clone(),
                member: name.clone(),
                metadata: lease.metadata.clone(),
                until: lease.until,
            })
            .take(limit)
            .collect()
    }

    /// What a reader that has heard everything before change number `heard` is told next.
    pub(crate) fn told(&self, heard: &mut u64, reads: impl Fn(&Topic) -> bool) -> Told {
        let first = self.next - self.changes.len() as u64;
        if *heard < first {
            *heard = self.next;
            return Told::Missed;
        }
        while *heard < self.next {
            let change = &self.changes[(*heard - first) as usize];
            *heard += 1;
            if reads(&change.topic) {
                return Told::Change(change.clone());
            }
        }
        Told::Nothing
    }

    fn tell(
        &mut self,
        topic: &Topic,
        member: Arc<str>,
        metadata: Option<Arc<str>>,
        kind: PresenceKind,
    ) {
        self.next += 1;
        self.changes.push_back(PresenceChange {
            topic: topic.clone(),
            member,
            metadata,
            kind,
        });
        if self.changes.len() > self.max_changes {
            self.changes.pop_front();
        }
    }

    fn lease(&mut self, topic: &Topic, member: &str) -> Option<(&Arc<str>, &mut Lease)> {
        let members = self.topics.get_mut(topic)?;
        let from = (
            std::ops::Bound::Included(member),
            std::ops::Bound::Included(member),
        );
        members.range_mut::<str, _>(from).next()
    }
}
