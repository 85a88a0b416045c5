//! Whether the streams of a connection that another layer carries are taken by its client.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Counts of one connection's streams
///
/// A transport asks a body for more only while the client takes what came before. So a body that is neither waiting for its
/// source nor asked again is one that the client does not take.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    open: AtomicUsize,
    resting: AtomicUsize,
    asked: AtomicU64,
}

/// One stream, from its request until it has ended
#[derive(Debug)]
pub(crate) struct Watched {
    streams: Arc<Streams>,
    is_resting: bool,
}

/// What was seen of a connection at one moment
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sight {
    open: usize,
    resting: usize,
    asked: u64,
}

impl Streams {
    /// One more, which waits for us as long as its request is not answered
    pub(crate) fn watch(self: &Arc<Self>) -> Watched {
        self.open.fetch_add(1, Ordering::Relaxed);
        self.resting.fetch_add(1, Ordering::Relaxed);
        Watched {
            streams: Arc::clone(self),
            is_resting: true,
        }
    }

    pub(crate) fn look(&self) -> Sight {
        Sight {
            open: self.open.load(Ordering::Relaxed),
            resting: self.resting.load(Ordering::Relaxed),
            asked: self.asked.load(Ordering::Relaxed),
        }
    }
}

impl Sight {
    /// Whether nothing has been taken since `before`, of anything that could be
    pub(crate) fn is_stalled_since(&self, before: &Sight) -> bool {
        before.open > 0 && self.open > 0 && self.resting == 0 && self.asked == before.asked
    }

    /// Whether there are no streams
    pub(crate) fn is_idle(&self) -> bool {
        self.open == 0
    }
}

impl Watched {
    /// The response is handed over
    pub(crate) fn answered(mut self) -> Self {
        self.rest(false);
        self
    }

    /// The transport has asked for more, and waits if there is none
    pub(crate) fn polled(&mut self, is_pending: bool) {
        self.streams.asked.fetch_add(1, Ordering::Relaxed);
        self.rest(is_pending);
    }

    fn rest(&mut self, is_resting: bool) {
        match (self.is_resting, is_resting) {
            (false, true) => self.streams.resting.fetch_add(1, Ordering::Relaxed),
            (true, false) => self.streams.resting.fetch_sub(1, Ordering::Relaxed),
            _ => return,
        };
        self.is_resting = is_resting;
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.rest(false);
        self.streams.open.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_stalled_when_no_stream_is_asked_for_more() {
        let streams = Arc::new(Streams::default());
        let mut one = streams.watch();
        let before = streams.look();
        assert!(
            !streams.look().is_stalled_since(&before),
            "not answered yet"
        );
        one = one.answered();
        assert!(streams.look().is_stalled_since(&before));
        one.polled(false);
        assert!(!streams.look().is_stalled_since(&before), "it was asked");
        let before = streams.look();
        assert!(streams.look().is_stalled_since(&before));
        let mut other = streams.watch().answered();
        other.polled(true);
        let before = streams.look();
        assert!(
            !streams.look().is_stalled_since(&before),
            "one waits for events"
        );
        drop(other);
        assert!(streams.look().is_stalled_since(&streams.look()));
        drop(one);
        assert!(streams.look().is_idle());
        assert_eq!(
            streams.look(),
            Sight {
                asked: 2,
                ..Sight::default()
            }
        );
    }
}
