//! The connections of a shard that have something to do.
//!
//! Marking sets one bit; the shard's turn takes all bits that are set, in slab order. Any number of marks before
//! the turn cost one visit, and none of them allocates or takes a lock.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Wake, Waker};

use atomic_waker::AtomicWaker;
use pushcore::Notify;

/// A set of slab indices, filled from any thread and emptied by the shard
///
/// Two levels: two bits per connection, and a bit per word of those, so that an empty set of a hundred thousand
/// connections is found empty in a few loads. Memory is `capacity / 4` bytes and is taken once.
#[derive(Debug)]
pub(crate) struct DirtySet {
    summary: Box<[AtomicU64]>,
    words: Box<[Word]>,
    turn: AtomicWaker,
}

/// The bits of 64 connections, by cause
#[derive(Debug, Default)]
struct Word {
    events: AtomicU64,
    anything: AtomicU64,
}

/// Why a connection is visited
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// Its subscription has something to read, and nothing else is known to have happened
    Events,
    /// Its socket, the time, or whatever else
    Anything,
}

impl DirtySet {
    /// A set for the indices `0..capacity`
    pub(crate) fn new(capacity: usize) -> Arc<Self> {
        let words = capacity.div_ceil(64).max(1);
        Arc::new(Self {
            summary: (0..words.div_ceil(64)).map(|_| AtomicU64::new(0)).collect(),
            words: (0..words).map(|_| Word::default()).collect(),
            turn: AtomicWaker::new(),
        })
    }

    /// How many indices fit
    pub(crate) fn capacity(&self) -> usize {
        self.words.len() * 64
    }

    /// Marks a connection, for whatever cause, and makes sure that a turn follows
    pub(crate) fn mark(&self, index: usize) {
        let (word, bit) = (index / 64, 1 << (index % 64));
        if self.set(word, &self.words[word].anything, bit) {
            self.turn.wake();
        }
    }

    /// Sets bits of a word; says whether a turn has to be made sure of
    fn set(&self, word: usize, of_cause: &AtomicU64, bits: u64) -> bool {
        // Only the first mark of a word has to announce it: a later one finds a word that is announced or being taken,
        // and is taken with it.
        let is_first = of_cause.fetch_or(bits, Ordering::AcqRel) == 0;
        if is_first {
            self.summary[word / 64].fetch_or(1 << (word % 64), Ordering::AcqRel);
        }
        is_first
    }

    /// Arranges for the task behind `cx` to run once something is marked
    pub(crate) fn register(&self, cx: &Context<'_>) {
        self.turn.register(cx.waker());
    }

    /// Takes all marked indices into `into`, in ascending order
    pub(crate) fn take(&self, into: &mut Vec<(usize, Cause)>) {
        for (group, summary) in self.summary.iter().enumerate() {
            if summary.load(Ordering::Relaxed) == 0 {
                continue;
            }
            for index in bits(summary.swap(0, Ordering::AcqRel)) {
                let index = group * 64 + index;
                let word = &self.words[index];
                let anything = word.anything.swap(0, Ordering::AcqRel);
                let events = word.events.swap(0, Ordering::AcqRel);
                into.extend(bits(anything | events).map(|bit| {
                    let cause = match anything >> bit & 1 {
                        0 => Cause::Events,
                        _ => Cause::Anything,
                    };
                    (index * 64 + bit, cause)
                }));
            }
        }
    }

    /// A waker that marks `index`
    pub(crate) fn waker(self: &Arc<Self>, index: usize) -> Waker {
        Waker::from(Arc::new(Mark {
            set: Arc::clone(self),
            index,
        }))
    }
}

impl Notify for DirtySet {
    fn notify(&self, keys: &[u32]) {
        let mut is_first = false;
        // Neighbours were mostly put to sleep one after the other, so that a word is written once for all of them.
        for neighbours in keys.chunk_by(|one, next| one / 64 == next / 64) {
            let word = neighbours[0] as usize / 64;
            let bits = neighbours
                .iter()
                .fold(0, |bits, key| bits | 1 << (key % 64));
            is_first |= self.set(word, &self.words[word].events, bits);
        }
        if is_first {
            self.turn.wake();
        }
    }
}

#[derive(Debug)]
struct Mark {
    set: Arc<DirtySet>,
    index: usize,
}

impl Wake for Mark {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.set.mark(self.index);
    }
}

fn bits(mut word: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        if word == 0 {
            return None;
        }
        let bit = word.trailing_zeros() as usize;
        word &= word - 1;
        Some(bit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(marks: &[usize], expect: &[usize]) {
        let set = DirtySet::new(10_000);
        for index in marks {
            set.waker(*index).wake();
        }
        assert_eq!(taken(&set), all(expect, Cause::Anything));
        assert_eq!(taken(&set), [], "what was taken is gone");
        let keys: Vec<u32> = marks.iter().map(|index| *index as u32).collect();
        set.notify(&keys);
        assert_eq!(taken(&set), all(expect, Cause::Events));
        assert_eq!(taken(&set), [], "what was taken is gone");
    }

    fn taken(set: &DirtySet) -> Vec<(usize, Cause)> {
        let mut taken = Vec::new();
        set.take(&mut taken);
        taken
    }

    fn all(indices: &[usize], cause: Cause) -> Vec<(usize, Cause)> {
        indices.iter().map(|index| (*index, cause)).collect()
    }

    #[test]
    fn marked_indices_come_out_once_and_in_order() {
        check(&[], &[]);
        check(
            &[9_999, 0, 63, 64, 4_095, 4_096, 64],
            &[0, 63, 64, 4_095, 4_096, 9_999],
        );
    }

    #[test]
    fn events_do_not_hide_another_cause() {
        let set = DirtySet::new(200);
        set.notify(&[7, 70, 71]);
        set.mark(70);
        set.mark(150);
        assert_eq!(
            taken(&set),
            [
                (7, Cause::Events),
                (70, Cause::Anything),
                (71, Cause::Events),
                (150, Cause::Anything)
            ]
        );
    }

    #[test]
    fn no_mark_is_lost_between_a_marking_thread_and_a_taking_one() {
        let set = DirtySet::new(4_096);
        let marker = {
            let set = Arc::clone(&set);
            std::thread::spawn(move || {
                for index in 0..4_096 {
                    match index % 2 {
                        0 => set.mark(index),
                        _ => set.notify(&[index as u32]),
                    }
                }
            })
        };
        let mut taken = Vec::new();
        while !marker.is_finished() {
            set.take(&mut taken);
        }
        marker.join().expect("the marking thread does not panic");
        set.take(&mut taken);
        taken.sort_unstable_by_key(|(index, _)| *index);
        let cause = [Cause::Anything, Cause::Events];
        let expect: Vec<_> = (0..4_096).map(|index| (index, cause[index % 2])).collect();
        assert_eq!(taken, expect);
    }
}
