//! The patterns of a cursor, and how far it has come with each.

use std::ops::{Deref, DerefMut};

use crate::call::{Call, Caller};
use crate::log::past::Head;
use crate::log::{Feed, Log};
use crate::pattern::Pattern;
use crate::planted::{self, Bug};

/// A pattern that a cursor reads
#[derive(Debug)]
pub(crate) struct Reading {
    pub(crate) pattern: Pattern,
    pub(crate) feed: Feed,
    /// Nothing at or below this offset is given or announced for this pattern: where it joined, or what was announced
    pub(crate) after: u64,
    /// The number of the next entry, where the feed is a topic
    pub(crate) next_seq: u64,
    /// Whether `next_seq` counts from something that was read, so that a difference is a number of events
    exact: bool,
    /// Where it was put among those that wait for the feed; it waits if it is still there
    pub(crate) place: u32,
}

impl Reading {
    /// Reads `feed` from above `after`.
    pub(crate) fn new(pattern: Pattern, feed: Feed, after: u64, log: &Log) -> Reading {
        let mut reading = Reading {
            pattern,
            feed,
            after,
            next_seq: 0,
            exact: false,
            place: u32::MAX,
        };
        reading.seek(after, log);
        if let Feed::Topic(id) = feed {
            let state = &log.topics[id as usize];
            if after < state.lost.through && after <= state.born && after >= state.unknown_through {
                // It comes from before the topic's first event, so it has missed all that are gone.
                reading.next_seq = 0;
                reading.exact = true;
            }
        }
        reading
    }

    /// Moves to the first entry above `offset`.
    pub(crate) fn seek(&mut self, offset: u64, log: &Log) {
        if let Feed::Topic(id) = self.feed {
            let state = &log.topics[id as usize];
            let late = u64::from(planted::has(Bug::ReplayEdge) && offset > 0);
            self.next_seq = state.seq_after(offset) + late;
            self.exact = offset >= state.lost.through;
        }
    }

    /// The first entry that a cursor which has read up to `read` is to be given.
    pub(crate) fn head(&self, read: u64, log: &Log) -> Head {
        match self.feed {
            Feed::Topic(_) => log.head_at(self.feed, self.next_seq),
            Feed::Wildcard(_) => log.head_after(self.feed, read.max(self.after)),
        }
    }

    /// Goes on behind `head`.
    pub(crate) fn advance(&mut self, head: Head, log: &Log) -> Head {
        self.next_seq = head.at + 1;
        log.head_at(self.feed, head.at + 1)
    }

    /// How many events it misses with what is announced up to `through`, where that is known; goes on behind them.
    pub(crate) fn missed(&mut self, through: u64, log: &Log) -> Option<u64> {
        let Feed::Topic(id) = self.feed else {
            return None;
        };
        let state = &log.topics[id as usize];
        if through < state.lost.through {
            // An event of another pattern lies between what is lost, and nothing tells how many are on either side.
            self.exact = false;
            return None;
        }
        let counted = self.exact && self.next_seq >= state.exact_seq;
        let missed = state.first_seq.checked_sub(self.next_seq);
        self.next_seq = self.next_seq.max(state.first_seq);
        self.exact = true;
        missed.filter(|_| counted)
    }
}

/// The patterns of one cursor
///
/// One pattern is the rule. It lies in the cursor itself, and whom to call lies in the feed's list of those that wait, so
/// that waking touches nothing of the cursor and a delivery nothing but it.
#[derive(Debug)]
pub(crate) enum Readings {
    One(Reading),
    Many(Many),
}

/// Several patterns, or none
#[derive(Debug, Default)]
pub(crate) struct Many {
    list: Vec<Reading>,
    /// Stays when it was made, so that arming it again costs no clone
    pub(crate) call: Option<Call>,
    /// Whether the call is to be made
    pub(crate) armed: bool,
}

impl Default for Readings {
    fn default() -> Readings {
        Readings::Many(Many::default())
    }
}

impl Readings {
    /// Puts one more behind the others; `call` is the armed one of a first reading, which is kept from now on here.
    pub(crate) fn push(&mut self, reading: Reading, call: Option<Call>) {
        match std::mem::take(self) {
            Readings::One(first) => {
                *self = Readings::Many(Many {
                    list: vec![first, reading],
                    armed: call.is_some(),
                    call,
                });
            }
            Readings::Many(many) if many.list.is_empty() && !many.armed => {
                *self = Readings::One(reading);
            }
            Readings::Many(mut many) => {
                many.list.push(reading);
                *self = Readings::Many(many);
            }
        }
    }

    /// Takes one out; the last one comes in its place.
    pub(crate) fn swap_remove(&mut self, index: usize) -> Reading {
        match std::mem::take(self) {
            Readings::One(reading) => reading,
            Readings::Many(mut many) => {
                let gone = many.list.swap_remove(index);
                *self = Readings::Many(many);
                gone
            }
        }
    }
}

impl Many {
    /// The call, if it is to be made.
    pub(crate) fn disarm(&mut self) -> Option<Call> {
        std::mem::take(&mut self.armed)
            .then(|| self.call.clone())
            .flatten()
    }

    /// Keeps whom to call.
    pub(crate) fn arm(&mut self, caller: Caller<'_>) {
        if !self.call.as_ref().is_some_and(|own| own.is_to(caller)) {
            self.call = Some(caller.into());
        }
        self.armed = true;
    }

    /// Keeps a call that was armed elsewhere.
    pub(crate) fn arm_with(&mut self, call: Call) {
        self.call = Some(call);
        self.armed = true;
    }
}

impl Deref for Readings {
    type Target = [Reading];

    fn deref(&self) -> &[Reading] {
        match self {
            Readings::One(reading) => std::slice::from_ref(reading),
            Readings::Many(many) => &many.list,
        }
    }
}

impl DerefMut for Readings {
    fn deref_mut(&mut self) -> &mut [Reading] {
        match self {
            Readings::One(reading) => std::slice::from_mut(reading),
            Readings::Many(many) => &mut many.list,
        }
    }
}
