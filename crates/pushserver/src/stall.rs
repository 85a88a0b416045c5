//! Whether each stream of a connection that another layer carries is taken by its client, and what becomes of one that is not.
//!
//! HTTP/2 gives each stream a window of its own, so a client can leave one response lying and go on with the others. A stream
//! is therefore judged by itself: one that was answered, is not waiting for its source and was not asked for more during
//! `stream.write_deadline` is reset (RFC 9113 section 5.4.2), which frees what it holds, its place for a large page among it.
//! The connection goes on for the sake of the others: who reads one topic in a page and has forgotten another in a second
//! page does nothing wrong. If all its streams are overdue there are no others: the connection is closed, since it may be one
//! of which nothing is read, and then a reset would not arrive either.
//!
//! What the transport has taken over counts as taken: at most `http2.send_buffer_bytes` and one piece for each stream. A client that
//! answers no PING is found by `http2.ping_timeout`, and a WebSocket's pings have to come through what waits before them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use slab::Slab;
use tokio::task::AbortHandle;

/// The streams of one connection
///
/// A transport asks a body for more only while the client takes what came before. So a body that is neither waiting for its
/// source nor asked again is one that the client does not take.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    open: Mutex<Slab<Stream>>,
}

/// What is known of one stream
#[derive(Debug)]
struct Stream {
    /// It waits for us: for its answer, or for something to send
    is_resting: bool,
    /// It was asked for more, or had come to rest, since the last look
    has_moved: bool,
    /// Looks in a row between which it did not move
    still: u32,
    /// What carries it: ended, it resets the stream
    task: Option<AbortHandle>,
}

/// One stream, from its request until it has ended
#[derive(Debug)]
pub(crate) struct Watched {
    streams: Arc<Streams>,
    key: usize,
}

/// What was seen of a connection at one moment
#[derive(Debug)]
pub(crate) struct Sight {
    open: usize,
    overdue: usize,
    tasks: Vec<AbortHandle>,
}

impl Streams {
    /// One more, which waits for us as long as its request is not answered
    pub(crate) fn watch(self: &Arc<Self>) -> Watched {
        let key = self.lock().insert(Stream {
            is_resting: true,
            has_moved: true,
            still: 0,
            task: None,
        });
        Watched {
            streams: Arc::clone(self),
            key,
        }
    }

    /// What carries the stream of this key from now on
    pub(crate) fn carry(&self, key: usize, task: AbortHandle) {
        if let Some(stream) = self.lock().get_mut(key) {
            stream.task = Some(task);
        }
    }

    /// Looks at each stream; one that has not moved for `patience` looks in a row is overdue
    pub(crate) fn look(&self, patience: u32) -> Sight {
        let mut open = self.lock();
        let mut sight = Sight {
            open: open.len(),
            overdue: 0,
            tasks: Vec::new(),
        };
        for (_, stream) in open.iter_mut() {
            let has_moved = std::mem::take(&mut stream.has_moved);
            stream.still = match has_moved || stream.is_resting {
                true => 0,
                false => stream.still + 1,
            };
            if stream.still >= patience {
                sight.overdue += 1;
                sight.tasks.extend(stream.task.take());
            }
        }
        sight
    }

    fn lock(&self) -> MutexGuard<'_, Slab<Stream>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sight {
    /// Whether there are streams and all of them are overdue
    pub(crate) fn is_stalled(&self) -> bool {
        self.open > 0 && self.overdue == self.open
    }

    /// Whether there are no streams
    pub(crate) fn is_idle(&self) -> bool {
        self.open == 0
    }

    /// Resets the streams that are overdue; tells how many
    pub(crate) fn reset(self) -> usize {
        self.tasks.iter().for_each(AbortHandle::abort);
        self.tasks.len()
    }
}

impl Watched {
    /// What [`Streams::carry`] knows it by, as long as it is there
    pub(crate) fn key(&self) -> usize {
        self.key
    }

    /// The response is handed over
    pub(crate) fn answered(self) -> Self {
        self.moved(false);
        self
    }

    /// The transport has asked for more, and waits if there is none
    pub(crate) fn polled(&mut self, is_pending: bool) {
        self.moved(is_pending);
    }

    /// The transport does not take what is there
    pub(crate) fn blocked(&mut self) {
        let mut open = self.streams.lock();
        let stream = &mut open[self.key];
        // Its time begins with its first byte that waits.
        stream.has_moved |= stream.is_resting;
        stream.is_resting = false;
    }

    /// Resets the stream, whatever still waits in it
    pub(crate) fn reset(self) {
        let task = self.streams.lock()[self.key].task.take();
        if let Some(task) = task {
            task.abort();
        }
    }

    fn moved(&self, is_resting: bool) {
        let mut open = self.streams.lock();
        let stream = &mut open[self.key];
        stream.has_moved = true;
        stream.is_resting = is_resting;
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let stream = self.streams.lock().remove(self.key);
        // Elsewhere than under the lock: what is known of a stream may be the last that holds its task.
        drop(stream);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: u32 = 2;

    /// Looks until whoever does not move is overdue; tells how many are, of how many
    fn look(streams: &Streams) -> (usize, usize) {
        // The first look only begins the time.
        for _ in 0..PATIENCE {
            streams.look(PATIENCE);
        }
        let sight = streams.look(PATIENCE);
        (sight.overdue, sight.open)
    }

    #[test]
    fn a_stream_is_overdue_when_it_is_not_asked_for_more() {
        let streams = Arc::new(Streams::default());
        let mut one = streams.watch();
        assert_eq!(look(&streams), (0, 1), "not answered yet");
        one = one.answered();
        assert_eq!(look(&streams), (1, 1));
        one.polled(false);
        assert_eq!(streams.look(PATIENCE).overdue, 0, "it was asked");
        assert_eq!(look(&streams), (1, 1));
        one.polled(true);
        assert_eq!(look(&streams), (0, 1), "it waits for events");
        one.blocked();
        assert_eq!(streams.look(PATIENCE).overdue, 0, "its time begins");
        one.blocked();
        assert_eq!(streams.look(PATIENCE).overdue, 0, "half of it is over");
        one.blocked();
        assert_eq!(streams.look(PATIENCE).overdue, 1);
        drop(one);
        assert!(streams.look(PATIENCE).is_idle());
    }

    #[test]
    fn a_stream_that_rests_or_moves_excuses_no_other() {
        let streams = Arc::new(Streams::default());
        let _one = streams.watch().answered();
        let mut other = streams.watch().answered();
        other.polled(true);
        assert_eq!(look(&streams), (1, 2), "one waits for events");
        for _ in 0..=PATIENCE {
            other.polled(false);
            streams.look(PATIENCE);
        }
        let sight = streams.look(PATIENCE);
        assert_eq!(sight.overdue, 1, "one is asked for more");
        assert!(!sight.is_stalled());
        assert_eq!(look(&streams), (2, 2));
        assert!(streams.look(PATIENCE).is_stalled());
    }

    #[test]
    fn only_what_is_overdue_is_reset_and_once() {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.unwrap().block_on(async {
            let streams = Arc::new(Streams::default());
            let stalled = streams.watch().answered();
            let mut resting = streams.watch().answered();
            resting.polled(true);
            let [first, second] = [stalled.key(), resting.key()].map(|key| {
                let task = tokio::spawn(std::future::pending::<()>());
                streams.carry(key, task.abort_handle());
                task
            });
            (0..PATIENCE).for_each(|_| drop(streams.look(PATIENCE)));
            assert_eq!(streams.look(PATIENCE).reset(), 1);
            assert!(first.await.unwrap_err().is_cancelled());
            assert_eq!(streams.look(PATIENCE).reset(), 0);
            assert!(!second.is_finished());
            resting.reset();
            assert!(second.await.unwrap_err().is_cancelled());
        });
    }
}
