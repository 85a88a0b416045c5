//! The connections of a shard that have something to do.
//!
//! A waker sets one bit; the shard's turn takes all bits that are set, in slab order. Any number of wakes before
//! the turn cost one visit, and none of them allocates or takes a lock.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Wake, Waker};

use atomic_waker::AtomicWaker;

/// A set of slab indices, filled from any thread and emptied by the shard
///
/// Two levels: a bit per connection, and a bit per word of those, so that an empty set of a hundred thousand
/// connections is found empty in a few loads. Memory is `capacity / 8` bytes and is taken once.
#[derive(Debug)]
pub(crate) struct DirtySet {
    summary: Box<[AtomicU64]>,
    words: Box<[AtomicU64]>,
    turn: AtomicWaker,
}

impl DirtySet {
    /// A set for the indices `0..capacity`
    pub(crate) fn new(capacity: usize) -> Arc<Self> {
        let words = capacity.div_ceil(64).max(1);
        Arc::new(Self {
            summary: (0..words.div_ceil(64)).map(|_| AtomicU64::new(0)).collect(),
            words: (0..words).map(|_| AtomicU64::new(0)).collect(),
            turn: AtomicWaker::new(),
        })
    }

    /// How many indices fit
    pub(crate) fn capacity(&self) -> usize {
        self.words.len() * 64
    }

    /// Marks a connection and makes sure that a turn follows
    pub(crate) fn mark(&self, index: usize) {
        let word = index / 64;
        let before = self.words[word].fetch_or(1 << (index % 64), Ordering::AcqRel);
        if before == 0 {
            // Only the first mark of a word has to announce it: a later one finds a word that is announced
            // or being taken, and is taken with it.
            self.summary[word / 64].fetch_or(1 << (word % 64), Ordering::AcqRel);
            self.turn.wake();
        }
    }

    /// Arranges for the task behind `cx` to run once something is marked
    pub(crate) fn register(&self, cx: &Context<'_>) {
        self.turn.register(cx.waker());
    }

    /// Takes all marked indices into `into`, in ascending order
    pub(crate) fn take(&self, into: &mut Vec<usize>) {
        for (group, summary) in self.summary.iter().enumerate() {
            if summary.load(Ordering::Relaxed) == 0 {
                continue;
            }
            for word in bits(summary.swap(0, Ordering::AcqRel)) {
                let word = group * 64 + word;
                into.extend(
                    bits(self.words[word].swap(0, Ordering::AcqRel)).map(|bit| word * 64 + bit),
                );
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
        let mut taken = Vec::new();
        set.take(&mut taken);
        assert_eq!(taken, expect);
        taken.clear();
        set.take(&mut taken);
        assert!(taken.is_empty(), "what was taken is gone");
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
    fn no_mark_is_lost_between_a_marking_thread_and_a_taking_one() {
        let set = DirtySet::new(4_096);
        let marker = {
            let set = Arc::clone(&set);
            std::thread::spawn(move || (0..4_096).for_each(|index| set.mark(index)))
        };
        let mut taken = Vec::new();
        while !marker.is_finished() {
            set.take(&mut taken);
        }
        marker.join().expect("the marking thread does not panic");
        set.take(&mut taken);
        taken.sort_unstable();
        assert_eq!(taken, (0..4_096).collect::<Vec<_>>());
    }
}
