//! Whom a subscription calls when there is something to read.

use std::cell::Cell;
use std::sync::Arc;
use std::task::Waker;

use slab::Slab;

/// Whoever polls many subscriptions, and is told by number which of them have something to read
///
/// For an owner of thousands that visits them in turns: waking one of them touches nothing of it, neither a waker nor a
/// reference count, and one call tells of all that one publish woke. See [`Subscription::notify`](crate::Subscription::notify).
pub trait Notify: Send + Sync {
    /// There is something for these: at least one, each at most once since its last poll, in no particular order.
    ///
    /// Called outside the hub's lock, by the thread that publishes.
    fn notify(&self, keys: &[u32]);
}

/// A subscription as a group's owner knows it
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) group: u32,
    pub(crate) key: u32,
}

/// Whom a subscription that is polled wants to be called
#[derive(Clone, Copy)]
pub(crate) enum Caller<'a> {
    Waker(&'a Waker),
    Key(Key),
}

/// A call that is to be made when there is something to read
#[derive(Clone, Debug)]
pub(crate) enum Call {
    Waker(Waker),
    Key(Key),
}

impl Call {
    /// Would it call the same?
    pub(crate) fn is_to(&self, caller: Caller<'_>) -> bool {
        match (self, caller) {
            (Call::Waker(own), Caller::Waker(waker)) => own.will_wake(waker),
            (Call::Key(own), Caller::Key(key)) => *own == key,
            _ => false,
        }
    }
}

impl From<Caller<'_>> for Call {
    fn from(caller: Caller<'_>) -> Call {
        match caller {
            Caller::Waker(waker) => Call::Waker(waker.clone()),
            Caller::Key(key) => Call::Key(key),
        }
    }
}

/// The owners that are told by number, each with how many subscriptions name it
#[derive(Default)]
pub(crate) struct Groups(Slab<(Arc<dyn Notify>, usize)>);

impl Groups {
    /// One more subscription is told by `owner`.
    pub(crate) fn enter(&mut self, owner: &Arc<dyn Notify>) -> u32 {
        let mut known = self.0.iter_mut();
        let index = match known.find(|(_, (known, _))| Arc::ptr_eq(known, owner)) {
            Some((index, (_, members))) => {
                *members += 1;
                index
            }
            None => self.0.insert((owner.clone(), 1)),
        };
        u32::try_from(index).expect("there are no more groups than subscriptions")
    }

    /// One subscription less.
    pub(crate) fn leave(&mut self, group: u32) {
        let members = &mut self.0[group as usize].1;
        *members -= 1;
        if *members == 0 {
            self.0.remove(group as usize);
        }
    }
}

/// Calls to be made once the lock is released
///
/// A topic with one reader is the rule, and one waker needs no list.
#[derive(Default)]
pub(crate) struct Calls {
    first: Option<Waker>,
    more: Option<Box<Lists>>,
}

/// Lists that are kept for their memory: waking many allocates nothing
#[derive(Default)]
struct Lists {
    wakers: Vec<Waker>,
    /// By group
    told: Vec<Told>,
}

/// What one owner is to be told
#[derive(Default)]
struct Told {
    owner: Option<Arc<dyn Notify>>,
    keys: Vec<u32>,
}

/// 4 to 16 bytes each
const MAX_KEPT: usize = 16_384;

thread_local! {
    /// Those that were used last
    static KEPT: Cell<Option<Box<Lists>>> = const { Cell::new(None) };
}

impl Calls {
    #[inline]
    pub(crate) fn push(&mut self, call: Call) {
        match call {
            Call::Waker(waker) if self.first.is_none() => self.first = Some(waker),
            Call::Waker(waker) => self.lists().wakers.push(waker),
            Call::Key(Key { group, key }) => {
                let known = self.more.as_deref_mut();
                match known.and_then(|lists| lists.told.get_mut(group as usize)) {
                    Some(told) => told.keys.push(key),
                    None => self.lists().told_of(group).keys.push(key),
                }
            }
        }
    }

    #[inline]
    fn lists(&mut self) -> &mut Lists {
        self.more
            .get_or_insert_with(|| KEPT.take().unwrap_or_default())
    }

    /// Learns, still under the lock, who the groups are: they may be gone later.
    #[inline]
    pub(crate) fn resolve(&mut self, groups: &Groups) {
        if let Some(lists) = &mut self.more {
            lists.resolve(groups);
        }
    }

    /// Makes them, wakers in the order in which they came.
    #[inline]
    pub(crate) fn make(self) {
        if let Some(first) = self.first {
            first.wake();
        }
        if let Some(lists) = self.more {
            lists.make();
        }
    }
}

impl Lists {
    #[inline(never)]
    fn told_of(&mut self, group: u32) -> &mut Told {
        let group = group as usize;
        if self.told.len() <= group {
            self.told.resize_with(group + 1, Told::default);
        }
        &mut self.told[group]
    }

    #[inline(never)]
    fn resolve(&mut self, groups: &Groups) {
        for (group, told) in self.told.iter_mut().enumerate() {
            if !told.keys.is_empty() {
                told.owner = groups.0.get(group).map(|(owner, _)| owner.clone());
            }
        }
    }

    #[inline(never)]
    fn make(mut self: Box<Lists>) {
        self.wakers.drain(..).for_each(Waker::wake);
        self.wakers.shrink_to(MAX_KEPT);
        for told in &mut self.told {
            if let Some(owner) = told.owner.take() {
                owner.notify(&told.keys);
            }
            told.keys.clear();
            told.keys.shrink_to(MAX_KEPT);
        }
        KEPT.set(Some(self));
    }
}

impl Extend<Call> for Calls {
    fn extend<T: IntoIterator<Item = Call>>(&mut self, calls: T) {
        calls.into_iter().for_each(|call| self.push(call));
    }
}
