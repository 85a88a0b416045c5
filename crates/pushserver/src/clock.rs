//! The one place where time is read.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use pushcore::Timestamp;

/// Wall-clock time that never goes back
///
/// The system's clock is read once, at the start; from then on time passes as the monotonic clock says. So a
/// clock that is set back or forward neither expires events early nor stalls a timer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    origin: Instant,
    origin_unix: Duration,
}

impl Clock {
    pub(crate) fn start() -> Self {
        let origin_unix = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Self {
            origin: Instant::now(),
            origin_unix,
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        let since = self.origin_unix + self.origin.elapsed();
        Timestamp(since.as_millis() as u64)
    }

    /// The instant at which [`Clock::now`] first answers `at` or later
    pub(crate) fn instant(&self, at: Timestamp) -> Instant {
        let since = Duration::from_millis(at.0).saturating_sub(self.origin_unix);
        // A millisecond more, because `now` rounds down and a timer that fires early would spin.
        self.origin + since + Duration::from_millis(1)
    }
}
