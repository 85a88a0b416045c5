//! Whom to wake once the lock is released.

use std::cell::Cell;
use std::task::Waker;

/// Wakers to be called once the lock is released
///
/// A topic with one reader is the rule, and one waker needs no list.
#[derive(Default)]
pub(crate) struct Wakers {
    first: Option<Waker>,
    more: Vec<Waker>,
}

impl Wakers {
    #[inline]
    pub(crate) fn push(&mut self, waker: Waker) {
        match self.first {
            None => self.first = Some(waker),
            Some(_) => self.push_behind_first(waker),
        }
    }

    #[inline(never)]
    fn push_behind_first(&mut self, waker: Waker) {
        if self.more.capacity() == 0 {
            self.more = KEPT.take();
        }
        self.more.push(waker);
    }

    /// Calls them, in the order in which they came.
    #[inline]
    pub(crate) fn wake(self) {
        if let Some(first) = self.first {
            first.wake();
        }
        if !self.more.is_empty() {
            wake_all(self.more);
        }
    }
}

impl Extend<Waker> for Wakers {
    fn extend<T: IntoIterator<Item = Waker>>(&mut self, wakers: T) {
        wakers.into_iter().for_each(|waker| self.push(waker));
    }
}

#[inline(never)]
fn wake_all(mut wakers: Vec<Waker>) {
    wakers.drain(..).for_each(Waker::wake);
    wakers.shrink_to(MAX_KEPT);
    KEPT.set(wakers);
}

thread_local! {
    /// The list that was used last, kept for its memory: waking somebody allocates nothing.
    static KEPT: Cell<Vec<Waker>> = const { Cell::new(Vec::new()) };
}

/// 16 bytes each
const MAX_KEPT: usize = 16_384;
