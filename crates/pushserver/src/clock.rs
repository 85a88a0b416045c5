//! The one place where time is read.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use pushcore::Timestamp;

/// Wall-clock time that never goes back
///
/// The system's clock is read at the start; from then on time passes as the monotonic clock says, so that a clock that
/// is set back stalls no timer. The monotonic clock stands still while the machine sleeps, and a clock may be put right
/// long after the start: when the system's clock is found to be ahead, this one follows it.
#[derive(Debug)]
pub(crate) struct Clock {
    origin: Instant,
    /// The time at `origin`, in milliseconds since 1970; it only grows
    origin_unix: AtomicU64,
}

/// How far ahead the system's clock may be before it is followed: what adjustments by small steps never reach
const MAX_BEHIND: Duration = Duration::from_secs(1);

impl Clock {
    pub(crate) fn start() -> Self {
        Self {
            origin: Instant::now(),
            origin_unix: AtomicU64::new(wall().0),
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        let elapsed = self.origin.elapsed().as_millis() as u64;
        Timestamp(self.origin_unix.load(Ordering::Relaxed) + elapsed)
    }

    /// What the system's clock says, backward steps included: what tokens are judged by
    pub(crate) fn wall(&self) -> Timestamp {
        wall()
    }

    /// Catches up with the system's clock; to be called every second or so
    pub(crate) fn catch_up(&self) {
        let ahead = self.follow(wall());
        if !ahead.is_zero() {
            tracing::warn!(?ahead, "the system's clock has gone ahead, and is followed");
        }
    }

    /// Goes ahead to `wall`, if that is far enough from here; says by how much
    fn follow(&self, wall: Timestamp) -> Duration {
        let ahead = wall.since(self.now());
        if ahead <= MAX_BEHIND {
            return Duration::ZERO;
        }
        self.origin_unix
            .fetch_add(ahead.as_millis() as u64, Ordering::Relaxed);
        ahead
    }

    /// Goes ahead by `time`, as if the system's clock had
    #[cfg(test)]
    pub(crate) fn leap(&self, time: Duration) {
        self.follow(self.now().saturating_add(time));
    }

    /// The instant at which [`Clock::now`] first answers `at` or later, unless it goes ahead meanwhile
    pub(crate) fn instant(&self, at: Timestamp) -> Instant {
        let since =
            at.0.saturating_sub(self.origin_unix.load(Ordering::Relaxed));
        // A millisecond more, because `now` rounds down and a timer that fires early would spin.
        self.origin + Duration::from_millis(since + 1)
    }
}

fn wall() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    Timestamp(since.unwrap_or_default().as_millis() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_follows_a_clock_that_has_gone_ahead_and_none_that_was_set_back() {
        let clock = Clock::start();
        let before = clock.now();
        let hour = Duration::from_secs(3600);
        assert!(clock.follow(before.saturating_add(hour)) > hour - MAX_BEHIND);
        let after = clock.now();
        assert!(after >= before.saturating_add(hour), "{before:?} {after:?}");
        assert_eq!(clock.follow(before), Duration::ZERO);
        assert!(clock.now() >= after);
        // Timers know.
        let wait = clock.instant(clock.now().saturating_add(hour)) - Instant::now();
        assert!(wait <= hour + Duration::from_millis(2), "{wait:?}");
    }

    #[test]
    fn small_differences_are_left_to_pass() {
        let clock = Clock::start();
        let near = clock.now().saturating_add(MAX_BEHIND / 2);
        assert_eq!(clock.follow(near), Duration::ZERO);
    }
}
