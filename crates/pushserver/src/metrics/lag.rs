//! How long events take from being published to being written, as a histogram.

use std::sync::atomic::{AtomicU64, Ordering};

/// Upper bounds of the buckets in milliseconds, the clock's grain; one more bucket has no bound
pub(super) const BOUNDS: [u64; 13] = [
    1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 10_000, 60_000,
];

/// Lags counted by bucket
#[derive(Debug, Default)]
pub(super) struct Lag {
    counts: [AtomicU64; BOUNDS.len() + 1],
    sum: AtomicU64,
}

/// What several threads have counted, added up
#[derive(Debug, Default, PartialEq)]
pub(super) struct Total {
    /// By bucket, each without those before it
    pub(super) counts: [u64; BOUNDS.len() + 1],
    pub(super) sum_millis: u64,
}

impl Lag {
    pub(super) fn observe(&self, millis: u64, count: u64) {
        // Nearly all are in the first bucket, so it is looked at first.
        let bucket = BOUNDS.iter().position(|bound| millis <= *bound);
        let bucket = bucket.unwrap_or(BOUNDS.len());
        self.counts[bucket].fetch_add(count, Ordering::Relaxed);
        if millis > 0 {
            self.sum.fetch_add(millis * count, Ordering::Relaxed);
        }
    }

    pub(super) fn add_to(&self, total: &mut Total) {
        for (into, count) in total.counts.iter_mut().zip(&self.counts) {
            *into += count.load(Ordering::Relaxed);
        }
        total.sum_millis += self.sum.load(Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(millis: u64, bucket: usize) {
        let (lag, mut total) = (Lag::default(), Total::default());
        lag.observe(millis, 3);
        lag.add_to(&mut total);
        let mut expect = Total::default();
        expect.counts[bucket] = 3;
        expect.sum_millis = 3 * millis;
        assert_eq!(total, expect, "{millis} ms");
    }

    #[test]
    fn a_lag_falls_into_the_first_bucket_that_holds_it() {
        check(0, 0);
        check(1, 0);
        check(2, 1);
        check(3, 2);
        check(60_000, 12);
        check(60_001, 13);
    }
}
