//! One core's worth of connections.
//!
//! A shard is a thread with a single-threaded runtime. hyper parses and answers every request; a stream, once its
//! head is agreed, is taken over from hyper and lives here as an entry of a slab. A subscription's waker marks its
//! entry in the [`DirtySet`]; once per turn the shard visits the marked entries, drains each cursor and writes what
//! waits in as few writes as possible. Publishing marks, turning writes: all that is published before the turn is
//! joined by it, with no delay added on purpose.

mod accept;
mod dirty;
mod driver;
mod entry;
mod http2;
mod patrol;
mod sock;
mod timers;

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use pushcore::{Notify, Timestamp};
use slab::Slab;
use tokio::net::TcpListener;
use tokio::task::coop::unconstrained;

use self::dirty::{Cause, DirtySet};
use self::entry::{Entry, Turn};
use self::sock::Sock;
use self::timers::Timers;
use crate::admission::Place;
use crate::app::App;
use crate::leaving::Phase;
use crate::transport::Door;

/// The connections of one thread
pub(crate) struct Shard {
    app: Arc<App>,
    dirty: Arc<DirtySet>,
    state: RefCell<State>,
}

struct State {
    entries: Slab<Entry>,
    timers: Timers,
    todo: Vec<(usize, Cause)>,
    /// The one read buffer of all connections of the shard
    read_buffer: Box<[u8]>,
}

/// What one read from a socket can bring
///
/// One buffer a shard, so its size costs nothing per connection; 64 KiB takes the largest default message whole.
const READ_BUFFER_BYTES: usize = 64 * 1024;

/// Places for connections that are reserved at once
///
/// Reserved and not grown, because growing copies every connection while all of them wait, and leaves as much behind.
/// What is not used costs addresses and no memory: at most 144 bytes a place, 150 MB a shard.
pub(crate) const MAX_RESERVED: usize = 1 << 20;

/// Visits of one turn between two looks at the clock
///
/// A visit that writes takes some 10 µs, so deadlines and the delivery lag are known within a millisecond in a turn of any
/// length, for a nanosecond a visit.
const VISITS_PER_LOOK: usize = 64;

impl Shard {
    /// Serves `listener` on this thread until the server has left
    pub(crate) fn run(app: Arc<App>, listener: std::net::TcpListener) -> std::io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build_local(Default::default())?;
        runtime.block_on(async {
            let listener = TcpListener::from_std(listener)?;
            let shard = Rc::new(Self::new(app));
            let turns = tokio::task::spawn_local(unconstrained(Rc::clone(&shard).turns()));
            let accepting = tokio::task::spawn_local(accept::accept(Rc::clone(&shard), listener));
            shard.app.leaving.gone().await;
            accepting.abort();
            turns.abort();
            Ok(())
        })
    }

    fn new(app: Arc<App>) -> Self {
        let dirty = DirtySet::new(app.config.connections.max);
        let reserved = app.config.connections.max.min(MAX_RESERVED);
        Self {
            app,
            dirty,
            state: RefCell::new(State {
                entries: Slab::with_capacity(reserved),
                timers: Timers::with_capacity(reserved),
                todo: Vec::new(),
                read_buffer: vec![0; READ_BUFFER_BYTES].into(),
            }),
        }
    }

    /// Takes a connection whose HTTP part is over
    ///
    /// `head` is the response head, written before anything of the stream; `early` is what the client sent after
    /// its request.
    fn adopt(&self, sock: Sock, head: Bytes, mut door: Door, early: Bytes, place: Place) {
        let mut state = self.state.borrow_mut();
        if state.entries.len() >= self.dirty.capacity() {
            return;
        }
        let slot = state.entries.vacant_entry();
        let index = slot.key();
        let owner: Arc<dyn Notify> = self.dirty.clone();
        door.notify(&owner, index as u32);
        slot.insert(Entry::new(
            sock,
            self.dirty.waker(index),
            head,
            door,
            early,
            place,
        ));
        if self.app.leaving.phase() > Phase::Serving {
            state.entries[index].handle_leave(self.app.farewell(), self.app.clock.now());
        }
        self.dirty.mark(index);
    }

    /// Visits marked entries, turn after turn
    async fn turns(self: Rc<Self>) {
        let mut sleep = pin!(tokio::time::sleep(Duration::ZERO));
        let mut leaving = pin!(self.app.leaving.started());
        let mut left = false;
        poll_fn(|cx| {
            self.dirty.register(cx);
            if !left && leaving.as_mut().poll(cx).is_ready() {
                left = true;
                self.send_away();
            }
            let next = self.turn();
            if let Some(next) = next {
                let deadline = self.app.clock.instant(next);
                if sleep.deadline() != deadline.into() {
                    sleep.as_mut().reset(deadline.into());
                }
                if sleep.as_mut().poll(cx).is_ready() {
                    cx.waker().wake_by_ref();
                }
            }
            Poll::<()>::Pending
        })
        .await;
    }

    /// One pass over all that is marked or due; answers when the next deadline is
    fn turn(&self) -> Option<Timestamp> {
        let mut now = self.app.clock.now();
        let _counted_at_its_end = self.app.metrics.turn();
        let state = &mut *self.state.borrow_mut();
        let mut todo = std::mem::take(&mut state.todo);
        self.dirty.take(&mut todo);
        for (visited, (index, cause)) in todo.drain(..).enumerate() {
            if visited % VISITS_PER_LOOK == VISITS_PER_LOOK - 1 {
                now = self.app.clock.now();
            }
            self.visit(state, index, cause, now);
        }
        state.todo = todo;
        while let Some((index, at)) = state.timers.pop_due(now) {
            if state
                .entries
                .get_mut(index)
                .is_some_and(|entry| entry.scheduled.fired(at))
            {
                self.visit(state, index, Cause::Anything, now);
            }
        }
        state.timers.next()
    }

    /// Tells every stream to end, each with its own time to come back
    fn send_away(&self) {
        let now = self.app.clock.now();
        for (index, entry) in &mut self.state.borrow_mut().entries {
            entry.handle_leave(self.app.farewell(), now);
            self.dirty.mark(index);
        }
    }

    fn visit(&self, state: &mut State, index: usize, cause: Cause, now: Timestamp) {
        let Some(entry) = state.entries.get_mut(index) else {
            // A waker of a connection that is gone: its index may even be in use again, and then this was a
            // spurious visit, which costs nothing but itself.
            return;
        };
        match entry.turn(cause, &self.app, now, &mut state.read_buffer) {
            Turn::Sent => return,
            Turn::Idle => {}
            Turn::Again => self.dirty.mark(index),
            Turn::Over => {
                state.entries.remove(index);
                return;
            }
        }
        // A deadline that has passed and could not be met is for another turn: this one visits all that is due, and
        // would never end.
        let deadline = entry.deadline(&self.app).max(Timestamp(now.0 + 1));
        state.timers.schedule(&mut entry.scheduled, index, deadline);
    }
}
