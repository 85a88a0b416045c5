//! A subscription's cursor: what is told next, and in which order.

mod lag;
mod read;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::config::{LagAction, LagPolicy};
use crate::delivery::{Budget, CloseReason, Delivery, End, EndReason, Gap, GapReason};
use crate::event::{Event, Record};
use crate::grant::Grant;
use crate::log::{Feed, Log};
use crate::pattern::Pattern;
use crate::planted::{self, Bug};
use crate::position::Position;
use crate::reading::{Reading, Readings};
use crate::timestamp::Timestamp;

/// One subscription, as the hub keeps it
///
/// What a delivery touches lies here, beside the next cursor's: a fan-out costs two cache lines for each, in a row.
#[derive(Debug)]
pub(crate) struct Cursor {
    /// What the reader would resume from: the last event it was given, or where it began
    pub(crate) position: Position,
    /// Up to here everything was given or announced; ahead of `position` when nothing followed it
    pub(crate) read: u64,
    pub(crate) readings: Readings,
    /// When the grant needs attention: the notice that it runs out, then its end. It is not looked at before.
    attention: Timestamp,
    rare: Option<Box<Rare>>,
    /// Whether it is told of a gap where memory ends, whatever the store has
    pub(crate) memory_alone: bool,
    /// Whether it came with a position that its hub has not been told of yet, but perhaps another hub over the same store
    pub(crate) ahead: bool,
    /// Whether the store has that position
    pub(crate) is_confirmed: bool,
    grant: Option<Arc<Grant>>,
    /// When the hub has to wake it, whatever is published
    pub(crate) deadline: Option<Timestamp>,
}

/// What few subscriptions have, and those only at times
#[derive(Debug, Default)]
struct Rare {
    /// What is to be told before anything is read
    pending: VecDeque<Delivery>,
    lag: LagPolicy,
    /// Events up to here are skipped if newer ones replace them
    conflate_through: u64,
    closed: Option<CloseReason>,
    /// The first join or leave it has not heard of, if it is to hear of them
    heard: Option<u64>,
}

const NEVER: Timestamp = Timestamp(u64::MAX);

impl Cursor {
    pub(crate) fn new(position: Position, lag: LagPolicy) -> Cursor {
        let rare = Rare {
            lag,
            ..Rare::default()
        };
        Cursor {
            position,
            read: position.offset,
            readings: Readings::default(),
            attention: NEVER,
            memory_alone: false,
            ahead: false,
            is_confirmed: false,
            rare: (!rare.is_idle()).then(|| Box::new(rare)),
            grant: None,
            deadline: None,
        }
    }

    /// What is told next.
    pub(crate) fn next(
        &mut self,
        log: &mut Log,
        now: Timestamp,
        budget: Budget,
    ) -> Option<Delivery> {
        if !self.hears_of_events_alone(now) {
            let told = self.next_beside_events(log, now);
            if told.is_some() || self.ahead {
                return told;
            }
        }
        self.read(log, budget)
    }

    /// Is there nothing to be told, or to be looked after, beside events?
    #[inline]
    pub(crate) fn hears_of_events_alone(&self, now: Timestamp) -> bool {
        self.rare.is_none() && now < self.attention && !self.ahead
    }

    /// What is to be told before anything is read: of the grant, of what is pending, of a lag.
    fn next_beside_events(&mut self, log: &mut Log, now: Timestamp) -> Option<Delivery> {
        if let Some(reason) = self.closed() {
            return Some(Delivery::Closed(reason));
        }
        if self.attention <= now
            && let Some(at) = self.grant.as_ref().and_then(|grant| grant.expires)
        {
            if at <= now && !planted::has(Bug::GrantNeverExpires) {
                return Some(self.close(CloseReason::Expired));
            }
            if self.attention < at {
                self.attention = at;
                return Some(Delivery::Expiring { at });
            }
        }
        if let Some(delivery) = self.next_pending() {
            return Some(delivery);
        }
        if self.ahead && self.is_reached(log) {
            return self.next_pending();
        }
        let action = self
            .rare
            .as_ref()
            .map_or(LagAction::Replay, |r| r.lag.action);
        if self.ahead || action == LagAction::Replay || !self.lags(log, now) {
            return None;
        }
        match action {
            LagAction::Disconnect => return Some(self.close(CloseReason::Lagged)),
            LagAction::Newest => self.skip_to_newest(log),
            LagAction::Conflate => self.rare().conflate_through = log.head,
            LagAction::Replay => {}
        }
        self.next_pending()
    }

    /// Has the log come to the position it came with? If another entry is there, that is told.
    fn is_reached(&mut self, log: &mut Log) -> bool {
        if log.head < self.read {
            return false;
        }
        self.ahead = false;
        if log.is_another(self.position) && self.position.offset == self.read {
            self.read_from_start(log);
        }
        for reading in self.readings.iter_mut() {
            reading.seek(self.read.max(reading.after), log);
        }
        true
    }

    /// It came from another life of the log, and reads everything.
    pub(crate) fn read_from_start(&mut self, log: &mut Log) {
        for reading in self.readings.iter() {
            if let Feed::Wildcard(id) = reading.feed {
                log.reach_back(id, 0);
            }
        }
        self.begin_again(log.place(0), GapReason::Rewound, log);
    }

    pub(crate) fn next_pending(&mut self) -> Option<Delivery> {
        let rare = self.rare.as_mut()?;
        let pending = rare.pending.pop_front();
        if rare.is_idle() {
            self.rare = None;
        }
        pending
    }

    /// Lets something be told before anything is read.
    pub(crate) fn tell(&mut self, delivery: Delivery) {
        self.rare().pending.push_back(delivery);
    }

    /// Keeps of what is to be told only what `is_kept` says.
    pub(crate) fn retain_pending(&mut self, is_kept: impl FnMut(&Delivery) -> bool) {
        if let Some(rare) = &mut self.rare {
            rare.pending.retain(is_kept);
        }
    }

    pub(crate) fn grant(&self) -> Option<&Arc<Grant>> {
        self.grant.as_ref()
    }

    /// Reads on under `grant`, of whose end it is told so long before.
    pub(crate) fn set_grant(&mut self, grant: Option<Arc<Grant>>, notice: Duration) {
        let expires = grant.as_ref().and_then(|grant| grant.expires);
        self.attention = expires.map_or(NEVER, |at| at.saturating_sub(notice));
        self.grant = grant;
    }

    pub(crate) fn closed(&self) -> Option<CloseReason> {
        self.rare.as_ref()?.closed
    }

    /// The first join or leave it has not heard of, if it is to hear of them.
    pub(crate) fn heard(&self) -> Option<u64> {
        self.rare.as_ref()?.heard
    }

    /// Is to hear of joins and leaves from this one on.
    pub(crate) fn hear_from(&mut self, next: u64) {
        self.rare().heard = Some(next);
    }

    fn conflate_through(&self) -> u64 {
        self.rare.as_ref().map_or(0, |rare| rare.conflate_through)
    }

    fn rare(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    /// The log goes on from `to`: who has read further is told why, and what was not told yet no longer matters.
    pub(crate) fn begin_again(&mut self, to: Position, reason: GapReason, log: &Log) {
        let base = |reading: &Reading| self.read.max(reading.after);
        if reason == GapReason::Rewound && self.readings.iter().all(|r| base(r) <= to.offset) {
            for reading in self.readings.iter_mut() {
                reading.seek(self.read.max(reading.after), log);
            }
            return;
        }
        let is_epoch =
            |told: &Delivery| matches!(told, Delivery::Gap(gap) if gap.reason == GapReason::Epoch);
        let was_to_hear = |rare: &Rare| rare.pending.iter().any(is_epoch);
        let (to, reason) = match self.rare.as_deref().is_some_and(was_to_hear) {
            // It hears of the epoch still, and reads all there is.
            true => (log.place(0), GapReason::Epoch),
            false => (to, reason),
        };
        // Ends are read again with the events before them.
        self.retain_pending(|told| match told {
            Delivery::Gap(_) => false,
            Delivery::End(end) => end.reason == EndReason::Revoked,
            _ => true,
        });
        let mut gaps = Vec::new();
        for reading in self.readings.iter_mut() {
            let own = reading.pattern.clone();
            gaps.push(Delivery::Gap(Gap {
                pattern: own.clone(),
                from: self.position,
                to,
                missed: None,
                reason,
            }));
            let place = reading.place;
            *reading = Reading::new(own, reading.feed, to.offset, log);
            reading.place = place;
        }
        self.read = to.offset;
        self.ahead = false;
        if planted::has(Bug::RestartInSilence) {
            return;
        }
        let rare = self.rare();
        rare.pending.extend(gaps);
        rare.conflate_through = 0;
    }

    /// Ends it; every later poll says so again.
    pub(crate) fn close(&mut self, reason: CloseReason) -> Delivery {
        let rare = self.rare();
        rare.closed = Some(reason);
        rare.pending.clear();
        Delivery::Closed(reason)
    }

    /// Has it nothing more to be told until something is published?
    pub(crate) fn is_caught_up(&self, log: &Log) -> bool {
        let is_quiet = |rare: &Rare| rare.closed.is_none() && rare.pending.is_empty();
        let has_read_all = match self.ahead {
            true => self.is_confirmed && self.read > log.head,
            false => self.read == log.head,
        };
        has_read_all && self.rare.as_deref().is_none_or(is_quiet)
    }

    /// Does it read nothing, with nothing left to be told?
    pub(crate) fn is_over(&self) -> bool {
        let is_quiet = |rare: &Rare| rare.pending.is_empty();
        self.readings.is_empty() && self.rare.as_deref().is_none_or(is_quiet)
    }

    /// Moves `read` to the head if nothing is to be given or announced before it.
    pub(crate) fn settle(&mut self, log: &Log) {
        if self.ahead {
            return;
        }
        let read = self.read;
        let quiet = |reading: &Reading| {
            !reading.head(read, log).exists()
                && log.lost(reading.feed).through <= read.max(reading.after)
        };
        if self.readings.iter().all(quiet) {
            self.read = log.head;
        }
    }
}

/// What readers are told of the end that this entry is.
pub(crate) fn end_of(entry: &Event) -> End {
    End {
        pattern: Pattern::exact(entry.topic().clone()),
        reason: match entry.record() {
            Record::Deleted => EndReason::Deleted,
            Record::Ended | Record::Event => EndReason::Ended,
        },
        at: entry.position(),
    }
}

impl Rare {
    /// Has it nothing that must be kept?
    fn is_idle(&self) -> bool {
        self.pending.is_empty()
            && self.lag.action == LagAction::Replay
            && self.closed.is_none()
            && self.heard.is_none()
    }
}
