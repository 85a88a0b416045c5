//! What was taken back, for subscriptions to come.

use crate::grant::{Grant, Revocation};
use crate::pattern::Pattern;
use crate::timestamp::Timestamp;

/// Revocations that are remembered, each until its own time
#[derive(Debug, Default)]
pub(crate) struct Revoked {
    list: std::collections::VecDeque<(Timestamp, Revocation)>,
}

impl Revoked {
    /// Remembers one; beyond `max` the oldest is forgotten.
    pub(crate) fn insert(
        &mut self,
        revocation: &Revocation,
        until: Timestamp,
        now: Timestamp,
        max: usize,
    ) {
        self.expire(now);
        self.list.retain(|(_, known)| known != revocation);
        if until > now && max > 0 {
            if self.list.len() == max {
                self.list.pop_front();
            }
            self.list.push_back((until, revocation.clone()));
        }
    }

    pub(crate) fn expire(&mut self, now: Timestamp) {
        self.list.retain(|(until, _)| *until > now);
    }

    pub(crate) fn next_expiry(&self) -> Option<Timestamp> {
        self.list.iter().map(|(until, _)| *until).min()
    }

    /// Was this grant's token or subject revoked?
    pub(crate) fn concerns(&self, grant: &Grant, now: Timestamp) -> bool {
        let mut live = self.list.iter().filter(|(until, _)| *until > now);
        live.any(|(_, revocation)| Revoked::is_meant(revocation, grant))
    }

    /// Was a pattern that overlaps this one revoked?
    pub(crate) fn concerns_pattern(&self, pattern: &Pattern, now: Timestamp) -> bool {
        let mut live = self.list.iter().filter(|(until, _)| *until > now);
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
}
