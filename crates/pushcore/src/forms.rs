//! Encodings, made once and shared, within a bound.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};

use bytes::Bytes;

use crate::delivery::Batch;
use crate::event::Event;
use crate::sync::Lock;

/// The encodings one event or batch has by now
///
/// A list, because there are rarely more than two; one pointer when there is none.
#[derive(Default)]
pub(crate) struct Forms(Lock<Option<Box<Form>>>);

struct Form {
    index: u8,
    bytes: Bytes,
    next: Option<Box<Form>>,
}

impl Forms {
    /// The form `index`, made by `encode` if it is not there.
    ///
    /// `encode` runs without a lock, so that one form may be made from another; of two threads that race, the first
    /// one's bytes are kept and the second's thrown away.
    pub(crate) fn get_or_encode(
        &self,
        index: u8,
        cache: &FormCache,
        holder: impl FnOnce() -> Holder,
        encode: impl FnOnce() -> Bytes,
    ) -> Bytes {
        if let Some(bytes) = find(&self.0.lock(), index) {
            return bytes;
        }
        let bytes = encode();
        let cost = cost(&bytes);
        if cost > cache.max_bytes {
            return bytes;
        }
        let mut first = self.0.lock();
        if let Some(bytes) = find(&first, index) {
            return bytes;
        }
        let next = first.take();
        *first = Some(Box::new(Form {
            index,
            bytes: bytes.clone(),
            next,
        }));
        // Charged before anybody else can see it: who lets go of it takes its cost off again.
        let mut over = cache.charge(cost, holder());
        drop(first);
        while over {
            over = cache.evict_one();
        }
        bytes
    }

    /// Lets go of every form; returns how many there were and what they cost.
    fn clear(&self) -> (usize, usize) {
        drain(self.0.lock().take())
    }

    /// What [`Forms::clear`] does, for the holder's own end.
    #[inline]
    pub(crate) fn release(&mut self, cache: &FormCache) {
        let first = self.0.get_mut();
        if first.is_some() {
            let (count, bytes) = drain(first.take());
            cache.release(count, bytes);
        }
    }
}

fn find(first: &Option<Box<Form>>, index: u8) -> Option<Bytes> {
    let mut form = first.as_deref();
    while let Some(this) = form {
        if this.index == index {
            return Some(this.bytes.clone());
        }
        form = this.next.as_deref();
    }
    None
}

fn drain(mut first: Option<Box<Form>>) -> (usize, usize) {
    let (mut count, mut bytes) = (0, 0);
    while let Some(mut form) = first {
        count += 1;
        bytes += cost(&form.bytes);
        first = form.next.take();
    }
    (count, bytes)
}

fn cost(bytes: &Bytes) -> usize {
    bytes.len() + FORM_OVERHEAD
}

/// What a form costs beside its bytes: its node (48), what `Bytes` shares (24), its entry in the cache's queue (up to
/// twice 16, as the queue grows by doubling), and the allocator's rounding
pub(crate) const FORM_OVERHEAD: usize = 128;

/// Whose forms an entry of the cache speaks of
pub(crate) enum Holder {
    Event(Weak<Event>),
    Batch(Weak<Batch>),
}

/// Bounds the forms of a hub: beyond `max_bytes` those made first go first
///
/// Its bytes count in the log's ceiling.
pub(crate) struct FormCache {
    max_bytes: usize,
    state: Lock<State>,
}

#[derive(Default)]
struct State {
    bytes: usize,
    forms: usize,
    queue: VecDeque<Holder>,
}

impl FormCache {
    pub(crate) fn new(max_bytes: usize) -> Arc<FormCache> {
        Arc::new(FormCache {
            max_bytes,
            state: Lock::default(),
        })
    }

    /// What all forms cost now.
    pub(crate) fn bytes(&self) -> usize {
        self.state.lock().bytes
    }

    /// Counts one more form; says whether there is too much now.
    fn charge(&self, cost: usize, holder: Holder) -> bool {
        let mut state = self.state.lock();
        state.bytes += cost;
        state.forms += 1;
        state.queue.push_back(holder);
        // Holders that are gone leave their entries behind; this keeps those to a constant share.
        if state.queue.len() > 2 * state.forms + 64 {
            state.queue.retain(|holder| match holder {
                Holder::Event(event) => event.strong_count() > 0,
                Holder::Batch(batch) => batch.strong_count() > 0,
            });
        }
        state.bytes > self.max_bytes
    }

    /// Lets go of the forms made first; says whether there is still too much.
    fn evict_one(&self) -> bool {
        let mut state = self.state.lock();
        let Some(holder) = state.queue.pop_front() else {
            return false;
        };
        drop(state);
        // The holder's own lock and, if this was its last owner, its end both need the state.
        let (count, bytes) = match &holder {
            Holder::Event(event) => event.upgrade().map_or((0, 0), |e| e.forms().clear()),
            Holder::Batch(batch) => batch.upgrade().map_or((0, 0), |b| b.forms().clear()),
        };
        self.release(count, bytes);
        self.state.lock().bytes > self.max_bytes
    }

    fn release(&self, count: usize, bytes: usize) {
        let mut state = self.state.lock();
        state.forms -= count;
        state.bytes -= bytes;
    }
}
