//! Who may: grants that are renewed, run out and are revoked; and who is present.

use std::sync::Arc;

use crate::call::Calls;
use crate::core::{Core, short};
use crate::delivery::{CloseReason, Delivery, End, EndReason};
use crate::grant::{Grant, Revocation};
use crate::pattern::Pattern;
use crate::planted::{self, Bug};
use crate::presence::PresenceError;
use crate::revoked::Revoked;
use crate::subscribe::SubscribeError;
use crate::timestamp::Timestamp;
use crate::topic::Topic;

impl Core {
    pub(crate) fn regrant(
        &mut self,
        id: u32,
        grant: Arc<Grant>,
        now: Timestamp,
    ) -> Result<(), SubscribeError> {
        let cursor = &mut self.cursors[id as usize];
        if cursor.closed().is_some() {
            return Err(SubscribeError::Closed);
        }
        let same = cursor
            .grant()
            .is_none_or(|own| own.subject.is_none() || own.subject == grant.subject);
        if !same {
            return Err(SubscribeError::OtherSubject);
        }
        self.check_grant(&grant, &[], now)?;
        let unnoticed = planted::has(Bug::GrantOnlyAtSubscribe);
        self.revoke_patterns(id, |pattern| !unnoticed && !grant.may_subscribe(pattern));
        let cursor = &mut self.cursors[id as usize];
        cursor.set_grant(Some(grant), self.config.expiry_notice);
        cursor.retain_pending(|delivery| !matches!(delivery, Delivery::Expiring { .. }));
        self.set_deadline(id, now);
        Ok(())
    }

    /// Lets a cursor hear who comes and goes, from now on.
    pub(crate) fn hear_presence(&mut self, id: u32) {
        let cursor = &mut self.cursors[id as usize];
        if cursor.heard().is_none() {
            cursor.hear_from(self.presence.next);
        }
    }

    pub(crate) fn revoke(
        &mut self,
        revocation: &Revocation,
        until: Timestamp,
        now: Timestamp,
        calls: &mut Calls,
    ) {
        self.revoked
            .insert(revocation, until, now, self.config.max_revocations);
        let ids: Vec<usize> = self.cursors.iter().map(|(id, _)| id).collect();
        for id in ids {
            let short = short(id);
            let cursor = &mut self.cursors[id];
            match (revocation, cursor.grant()) {
                (_, None) => continue,
                (Revocation::Pattern(pattern), Some(_)) => {
                    if !self.revoke_patterns(short, |own| own.overlaps(pattern)) {
                        continue;
                    }
                }
                (_, Some(grant)) => {
                    if !Revoked::is_meant(revocation, grant) || cursor.closed().is_some() {
                        continue;
                    }
                    cursor.close(CloseReason::Revoked);
                    self.drop_readings(short);
                }
            }
            self.wake(short, calls);
        }
    }

    /// Takes patterns from a cursor and lets it be told; says whether there were any.
    fn revoke_patterns(&mut self, id: u32, is_revoked: impl Fn(&Pattern) -> bool) -> bool {
        let mut any = false;
        let mut index = 0;
        // Of a topic that had ended there is no reading any more, but perhaps a gap to be told.
        let of_gone =
            |told: &Delivery| matches!(told, Delivery::Gap(gap) if is_revoked(&gap.pattern));
        self.cursors[id as usize].retain_pending(|told| !of_gone(told));
        while let Some(reading) = self.cursors[id as usize].readings.get(index) {
            if !is_revoked(&reading.pattern) {
                index += 1;
                continue;
            }
            any = true;
            let cursor = &mut self.cursors[id as usize];
            let pattern = cursor.readings[index].pattern.clone();
            cursor.retain_pending(
                |told| !matches!(told, Delivery::Gap(gap) if gap.pattern == pattern),
            );
            let end = End {
                pattern,
                reason: EndReason::Revoked,
                at: cursor.position,
            };
            cursor.tell(Delivery::End(end));
            self.drop_reading(id, index);
        }
        any
    }

    pub(crate) fn check_grant(
        &self,
        grant: &Grant,
        patterns: &[Pattern],
        now: Timestamp,
    ) -> Result<(), SubscribeError> {
        if grant.is_expired(now) {
            return Err(SubscribeError::Expired);
        }
        if self.revoked.concerns(grant, now) {
            return Err(SubscribeError::Revoked);
        }
        let allowed =
            |p: &Pattern| grant.may_subscribe(p) && !self.revoked.concerns_pattern(p, now);
        match patterns.iter().find(|pattern| !allowed(pattern)) {
            Some(pattern) => Err(SubscribeError::Forbidden {
                pattern: pattern.clone(),
            }),
            None => Ok(()),
        }
    }

    /// Puts a cursor down for the next moment its grant needs attention: the notice, then the end.
    pub(super) fn set_deadline(&mut self, id: u32, now: Timestamp) {
        let cursor = &mut self.cursors[id as usize];
        let expires = cursor.grant().and_then(|grant| grant.expires);
        let notice = expires.map(|at| at.saturating_sub(self.config.expiry_notice));
        let next = notice
            .filter(|notice| *notice > now)
            .or(expires.filter(|at| *at > now));
        if let Some(old) = std::mem::replace(&mut cursor.deadline, next) {
            self.deadlines.remove(&(old, id));
        }
        if let Some(at) = next {
            self.deadlines.insert((at, id));
        }
    }

    pub(crate) fn join_presence(
        &mut self,
        topic: &Topic,
        member: &str,
        metadata: Option<&str>,
        until: Timestamp,
        calls: &mut Calls,
    ) -> Result<bool, PresenceError> {
        let came = self
            .presence
            .join(topic, member, metadata, until, &self.config)?;
        if came {
            self.wake_watchers(topic, calls);
        }
        Ok(came)
    }

    pub(crate) fn leave_presence(
        &mut self,
        topic: &Topic,
        member: &str,
        calls: &mut Calls,
    ) -> bool {
        let was_there = self.presence.leave(topic, member);
        if was_there {
            self.wake_watchers(topic, calls);
        }
        was_there
    }
}
