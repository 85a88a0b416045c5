//! Moments, small.

use core::time::Duration;

/// A moment in nanoseconds: half the size of a `Duration`, and good for 584 years
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Nanos(u64);

impl Nanos {
    pub(crate) const NEVER: Nanos = Nanos(u64::MAX);

    /// `NEVER` stays `NEVER`.
    pub(crate) fn after(self, time: Duration) -> Nanos {
        Nanos(self.0.saturating_add(Nanos::from(time).0))
    }

    pub(crate) fn into_duration(self) -> Option<Duration> {
        (self != Nanos::NEVER).then(|| Duration::from_nanos(self.0))
    }
}

impl From<Duration> for Nanos {
    fn from(time: Duration) -> Nanos {
        Nanos(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX))
    }
}
