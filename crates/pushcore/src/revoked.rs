//! What was taken back, for subscriptions to come.

use std::collections::{BTreeSet, HashMap};

use crate::grant::{Grant, Revocation};
use crate::pattern::Pattern;
use crate::timestamp::Timestamp;

/// Revocations that are remembered, each until its own time
///
/// A grant is looked up by its token and subject; patterns, of which there are few, are gone through.
#[derive(Debug, Default)]
pub(crate) struct Revoked {
    until: HashMap<Revocation, Timestamp>,
    by_time: BTreeSet<(Timestamp, Revocation)>,
    patterns: usize,
}

impl Revoked {
    /// Remembers one; beyond `max` the one that would be forgotten first is.
    pub(crate) fn insert(
        &mut self,
        revocation: &Revocation,
        until: Timestamp,
        now: Timestamp,
        max: usize,
    ) {
        self.expire(now);
        if until <= now || max == 0 {
            return;
        }
        self.forget(revocation);
        if self.until.len() == max {
            let first = self.by_time.first().map(|(_, first)| first.clone());
            self.forget(&first.expect("there are `max`"));
        }
        self.patterns += usize::from(matches!(revocation, Revocation::Pattern(_)));
        self.until.insert(revocation.clone(), until);
        self.by_time.insert((until, revocation.clone()));
    }

    pub(crate) fn expire(&mut self, now: Timestamp) {
        while let Some((_, revocation)) = self.by_time.first().filter(|(until, _)| *until <= now) {
            self.forget(&revocation.clone());
        }
    }

    pub(crate) fn next_expiry(&self) -> Option<Timestamp> {
        self.by_time.first().map(|(until, _)| *until)
    }

    /// Everything remembered, in the order in which it will be forgotten.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Timestamp, Revocation)> {
        self.by_time.iter().cloned()
    }

    /// Was this grant's token or subject revoked?
    pub(crate) fn concerns(&self, grant: &Grant, now: Timestamp) -> bool {
        if self.until.is_empty() {
            return false;
        }
        let token = grant.token_id.clone().map(Revocation::Token);
        let subject = grant.subject.clone().map(Revocation::Subject);
        let is_live = |revocation: Revocation| {
            self.until
                .get(&revocation)
                .is_some_and(|until| *until > now)
        };
        token.is_some_and(is_live) || subject.is_some_and(is_live)
    }

    /// Was a pattern that overlaps this one revoked?
    pub(crate) fn concerns_pattern(&self, pattern: &Pattern, now: Timestamp) -> bool {
        if self.patterns == 0 {
            return false;
        }
        let mut live = self.by_time.iter().filter(|(until, _)| *until > now);
        live.any(|(_, r)| matches!(r, Revocation::Pattern(revoked) if revoked.overlaps(pattern)))
    }

    /// Does a revocation speak of this grant's token or subject?
    pub(crate) fn is_meant(revocation: &Revocation, grant: &Grant) -> bool {
        match revocation {
            Revocation::Token(id) => grant.token_id.as_ref() == Some(id),
            Revocation::Subject(subject) => grant.subject.as_ref() == Some(subject),
            Revocation::Pattern(_) => false,
        }
    }

    fn forget(&mut self, revocation: &Revocation) {
        if let Some((revocation, until)) = self.until.remove_entry(revocation) {
            self.patterns -= usize::from(matches!(revocation, Revocation::Pattern(_)));
            self.by_time.remove(&(until, revocation));
        }
    }
}
