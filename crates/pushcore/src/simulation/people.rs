//! Who is present, as the oracle sees it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::oracle::Account;
use crate::hub::Hub;
use crate::pattern::Pattern;
use crate::presence::{PresenceChange, PresenceKind};
use crate::random::Random;
use crate::timestamp::Timestamp;
use crate::topic::Topic;

/// The members of one hub, and everything that came and went
#[derive(Default)]
pub(super) struct People {
    until: BTreeMap<(Topic, String), Timestamp>,
    changes: Vec<(Topic, String, PresenceKind)>,
}

impl People {
    pub(super) fn heard_all(&self) -> usize {
        self.changes.len()
    }

    /// Somebody comes, stays on or goes; the hub must say the same.
    pub(super) fn step(
        &mut self,
        hub: &Hub,
        topic: Topic,
        random: &mut Random,
        now: Timestamp,
    ) -> Result<(), String> {
        let name = format!("m{}", random.next() % 4);
        let key = (topic.clone(), name.clone());
        if random.next().is_multiple_of(3) {
            let was_there = self.until.remove(&key).is_some();
            if hub.leave(&topic, &name) != was_there {
                return Err(format!("{name} was at {topic}: {was_there}"));
            }
            if was_there {
                self.changes.push((topic, name, PresenceKind::Leave));
            }
        } else {
            let lease = Duration::from_millis(1 + random.next() % 50);
            let came = self.until.insert(key, now.saturating_add(lease)).is_none();
            let said = hub.join(&topic, &name, None, lease, now);
            if said != Ok(came) {
                return Err(format!(
                    "{name} came to {topic}: {said:?}, and {came} is true"
                ));
            }
            if came {
                self.changes.push((topic, name, PresenceKind::Join));
            }
        }
        self.check_members(hub, now)
    }

    /// Time has passed, and the hub was told so.
    pub(super) fn expire(&mut self, now: Timestamp) {
        let due = |(key, until): (&(Topic, String), &Timestamp)| {
            (*until <= now).then(|| (*until, key.clone()))
        };
        let mut gone: Vec<_> = self.until.iter().filter_map(due).collect();
        gone.sort();
        for (_, key) in gone {
            self.until.remove(&key);
            self.changes.push((key.0, key.1, PresenceKind::Leave));
        }
    }

    fn check_members(&self, hub: &Hub, now: Timestamp) -> Result<(), String> {
        let all = Pattern::parse("**").expect("it is one");
        let said = hub.presence(&all, 1000, now);
        let said: Vec<_> = said
            .iter()
            .map(|one| (&one.topic, &*one.member, one.until))
            .collect();
        let there = self.until.iter().filter(|(_, until)| **until > now);
        let there: Vec<_> = there
            .map(|(key, until)| (&key.0, &*key.1, *until))
            .collect();
        match said == there {
            true => Ok(()),
            false => Err(format!(
                "{there:?} are present, and {said:?} are said to be"
            )),
        }
    }

    /// A reader that has heard the first `heard` changes is told of one.
    pub(super) fn told(
        &self,
        heard: &mut usize,
        change: &PresenceChange,
        account: &Account,
    ) -> Result<(), String> {
        let next = self.next_for(*heard, account);
        let Some(index) = next else {
            return Err(format!("{change:?} did not happen"));
        };
        let (topic, member, kind) = &self.changes[index];
        if (topic, &**member, *kind) != (&change.topic, &*change.member, change.kind) {
            return Err(format!(
                "{change:?} where {:?} came first",
                self.changes[index]
            ));
        }
        *heard = index + 1;
        Ok(())
    }

    /// A reader is told that it missed some.
    pub(super) fn missed(&self, heard: &mut usize, max_changes: usize) -> Result<(), String> {
        let behind = self.changes.len() - std::mem::replace(heard, self.changes.len());
        match behind > max_changes {
            true => Ok(()),
            false => Err(format!(
                "{behind} changes were thrown away, and {max_changes} are kept"
            )),
        }
    }

    /// A reader has nothing more to be told.
    pub(super) fn heard_everything(
        &self,
        heard: &mut usize,
        account: &Account,
    ) -> Result<(), String> {
        match self.next_for(*heard, account) {
            Some(index) => Err(format!("{:?} was not told", self.changes[index])),
            None => {
                *heard = self.changes.len();
                Ok(())
            }
        }
    }

    fn next_for(&self, heard: usize, account: &Account) -> Option<usize> {
        let ahead = self.changes.iter().enumerate().skip(heard);
        let mut mine = ahead.filter(|(_, change)| account.reads(&change.0));
        mine.next().map(|(index, _)| index)
    }
}
