//! Who reads a feed, who of them waits, and what they were given last.

use std::sync::Arc;

use crate::call::{Call, Caller};
use crate::cursor::Cursor;
use crate::delivery::{Batch, Budget};
use crate::planted::{self, Bug};
use crate::reading::Readings;

/// The subscriptions that read one feed
#[derive(Debug, Default)]
pub(crate) struct Readers {
    /// How many there are
    pub(crate) count: usize,
    /// Those that wait; each knows its own place here, so that it can leave in one step
    pub(crate) waiting: Vec<Waiting>,
    /// What was last handed out, for the next one at the same place; nothing where there is one reader
    pub(crate) memo: Option<Memo>,
}

/// A subscription that waits for a feed
#[derive(Debug)]
pub(crate) struct Waiting {
    /// Of a cursor that reads nothing else; one with several patterns keeps its own
    pub(crate) call: Option<Call>,
    pub(crate) cursor: u32,
    /// Which of its readings
    pub(crate) reading: u32,
}

impl Waiting {
    pub(crate) fn new(cursor: u32, reading: u32, call: Option<Call>) -> Waiting {
        Waiting {
            call,
            cursor,
            reading,
        }
    }

    /// Is it this reading of this cursor?
    pub(crate) fn is(&self, cursor: u32, reading: u32) -> bool {
        (self.cursor, self.reading) == (cursor, reading)
    }

    /// Keeps whom to call, the same waker if it is the same.
    pub(crate) fn arm(&mut self, caller: Caller<'_>) {
        if !self.call.as_ref().is_some_and(|own| own.is_to(caller)) {
            self.call = Some(caller.into());
        }
    }

    /// The call of its cursor, if it is to be made.
    pub(crate) fn disarm(&mut self, cursor: &mut Cursor) -> Option<Call> {
        match &mut cursor.readings {
            Readings::One(_) => self.call.take(),
            Readings::Many(many) => many.disarm(),
        }
    }
}

/// The batch that was handed out last, and who may be given it too
#[derive(Debug)]
pub(crate) struct Memo {
    /// The entry before the batch's first, or 0: a cursor from here up to the first event reads the same batch
    pub(crate) after: u64,
    pub(crate) budget: Budget,
    /// Whether the batch ended because of the budget; otherwise it is good until something is appended
    pub(crate) full: bool,
    pub(crate) batch: Arc<Batch>,
    /// The number, within its topic, of the entry after the batch
    pub(crate) next_seq: u64,
}

impl Memo {
    /// Would a cursor at `base` with `budget` read this batch from a feed whose newest entry is `newest`?
    pub(crate) fn fits(&self, base: u64, budget: Budget, newest: u64) -> bool {
        (self.after <= base || planted::has(Bug::SharedTooFar))
            && base < self.batch.events()[0].offset()
            && self.budget == budget
            && (self.full || self.batch.to().offset == newest)
    }
}

impl Readers {
    /// Puts a cursor that reads nothing else among those that wait, with whom to call; `place` is where
    /// it was put last.
    #[inline]
    pub(crate) fn arm(&mut self, cursor: u32, place: &mut u32, caller: Caller<'_>) {
        match self.waiting.get_mut(*place as usize) {
            Some(own) if own.is(cursor, 0) => own.arm(caller),
            _ => {
                *place = u32::try_from(self.waiting.len()).expect("subscriptions are bounded");
                self.waiting
                    .push(Waiting::new(cursor, 0, Some(caller.into())));
            }
        }
    }

    /// Lets go of what was handed out last if it begins with an event that is gone.
    pub(crate) fn forget_before(&mut self, lost_through: u64) {
        if self.count < 2 {
            return;
        }
        let stale = |memo: &Memo| memo.batch.events()[0].offset() <= lost_through;
        if self.memo.as_ref().is_some_and(stale) {
            self.memo = None;
        }
    }
}
