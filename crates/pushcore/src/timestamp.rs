//! A moment, as the caller's clock tells it.

use std::fmt;
use std::time::Duration;

/// Milliseconds since the Unix epoch
///
/// pushcore has no clock: every operation takes `now`. It expects `now` not to go backwards; where a caller's clock
/// does, the log keeps its own times from going back (an event is never older than the one before it) and a
/// deadline is merely reached later.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// The moment `after` later, or the last one there is.
    #[must_use]
    pub fn saturating_add(self, after: Duration) -> Timestamp {
        Timestamp(self.0.saturating_add(millis(after)))
    }

    /// The moment `before` earlier, or the first one there is.
    #[must_use]
    pub fn saturating_sub(self, before: Duration) -> Timestamp {
        Timestamp(self.0.saturating_sub(millis(before)))
    }

    /// How long ago `earlier` was; zero if it is not earlier.
    #[must_use]
    pub fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
