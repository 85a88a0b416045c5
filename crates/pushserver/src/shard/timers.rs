//! When each connection of a shard next wants attention for the passing of time alone.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use pushcore::Timestamp;

/// Deadlines by slab index
///
/// A connection has one deadline that counts, kept beside it (`scheduled`). Moving it later costs nothing: the
/// old entry fires, finds that it is early and is put back. So a heartbeat that is postponed by every event
/// costs one heap operation per period, not one per event.
#[derive(Debug, Default)]
pub(crate) struct Timers(BinaryHeap<Reverse<(Timestamp, u32)>>);

/// The entry of one connection in [`Timers`]; [`NEVER`] if there is none
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scheduled(Timestamp);

const NEVER: Timestamp = Timestamp(u64::MAX);

impl Timers {
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Self(BinaryHeap::with_capacity(capacity))
    }

    /// Makes sure that the connection is looked at no later than `deadline`
    pub(crate) fn schedule(
        &mut self,
        scheduled: &mut Scheduled,
        index: usize,
        deadline: Timestamp,
    ) {
        if scheduled.0 <= deadline {
            return;
        }
        scheduled.0 = deadline;
        self.0.push(Reverse((deadline, index as u32)));
    }

    /// The next index whose entry is due, if any, with the time it was entered for
    pub(crate) fn pop_due(&mut self, now: Timestamp) -> Option<(usize, Timestamp)> {
        let Reverse((at, index)) = *self.0.peek()?;
        if at > now {
            return None;
        }
        self.0.pop();
        Some((index as usize, at))
    }

    /// When the next entry is due
    pub(crate) fn next(&self) -> Option<Timestamp> {
        self.0.peek().map(|Reverse((at, _))| *at)
    }
}

impl Scheduled {
    /// Takes note that the entry for `at` fired; false if it was a stale one
    pub(crate) fn fired(&mut self, at: Timestamp) -> bool {
        let is_current = self.0 == at;
        if is_current {
            self.0 = NEVER;
        }
        is_current
    }
}

impl Default for Scheduled {
    fn default() -> Self {
        Self(NEVER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_earlier_deadline_replaces_a_later_one_and_the_stale_entry_is_known() {
        let mut timers = Timers::default();
        let mut scheduled = Scheduled::default();
        timers.schedule(&mut scheduled, 7, Timestamp(100));
        timers.schedule(&mut scheduled, 7, Timestamp(200));
        timers.schedule(&mut scheduled, 7, Timestamp(50));
        assert_eq!(timers.next(), Some(Timestamp(50)));
        assert_eq!(timers.pop_due(Timestamp(49)), None);
        assert_eq!(timers.pop_due(Timestamp(150)), Some((7, Timestamp(50))));
        assert!(scheduled.fired(Timestamp(50)));
        assert_eq!(timers.pop_due(Timestamp(150)), Some((7, Timestamp(100))));
        assert!(
            !scheduled.fired(Timestamp(100)),
            "the entry that was replaced is stale"
        );
        assert_eq!(timers.next(), None);
    }
}
