//! How often something may be done.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::{HeaderValue, StatusCode, header};
use pushcore::Timestamp;

use crate::auth::counted_as;
use crate::config::{self, Auth};
use crate::web::problem::Problem;

/// What may be saved up: this many seconds' worth
const BURST_SECONDS: f64 = 2.0;

/// Most of whom it is remembered how much they have done lately: at about 100 bytes each, 10 MB
///
/// Those who have done nothing for two seconds are forgotten first; if there are more who have, everybody starts anew.
pub(crate) const MAX_REMEMBERED: usize = 100_000;

/// What one of them has left
///
/// It may be overdrawn by one thing however large, so that a batch larger than a burst is let through, and paid for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Allowance {
    left: f64,
    at: Timestamp,
}

impl Allowance {
    pub(crate) fn full(per_second: usize, now: Timestamp) -> Self {
        Self {
            left: per_second as f64 * BURST_SECONDS,
            at: now,
        }
    }

    /// Takes `count`, or says how long to wait
    pub(crate) fn take(
        &mut self,
        per_second: usize,
        count: usize,
        now: Timestamp,
    ) -> Result<(), Duration> {
        let per_second = per_second as f64;
        let earned = now.since(self.at).as_secs_f64() * per_second;
        self.left = (self.left + earned).min(per_second * BURST_SECONDS);
        self.at = now;
        if self.left < 1.0 {
            let wait = (1.0 - self.left) / per_second.max(f64::MIN_POSITIVE);
            return Err(Duration::from_secs_f64(wait.min(3600.0)));
        }
        self.left -= count as f64;
        Ok(())
    }

    /// Whether nothing would be lost by forgetting it
    fn is_full(&self, per_second: usize, now: Timestamp) -> bool {
        let per_second = per_second as f64;
        self.left + now.since(self.at).as_secs_f64() * per_second >= per_second * BURST_SECONDS
    }
}

/// The same bound for each of many
#[derive(Debug)]
pub(crate) struct Rates<K> {
    per_second: Option<usize>,
    allowances: Mutex<HashMap<K, Allowance>>,
}

impl<K: Eq + Hash> Rates<K> {
    pub(crate) fn new(per_second: Option<usize>) -> Self {
        Self {
            per_second,
            allowances: Mutex::default(),
        }
    }

    /// Takes `count` from what `who` has left, or says how long to wait
    pub(crate) fn take(&self, who: K, count: usize, now: Timestamp) -> Result<(), Duration> {
        let Some(per_second) = self.per_second else {
            return Ok(());
        };
        let mut allowances = self
            .allowances
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if allowances.len() >= MAX_REMEMBERED {
            allowances.retain(|_, allowance| !allowance.is_full(per_second, now));
            if allowances.len() >= MAX_REMEMBERED {
                allowances.clear();
            }
        }
        allowances
            .entry(who)
            .or_insert_with(|| Allowance::full(per_second, now))
            .take(per_second, count, now)
    }
}

/// How often anybody may publish
#[derive(Debug)]
pub(crate) struct PublishRates {
    is_open: AtomicBool,
    keys: Rates<String>,
    subjects: Rates<String>,
    addresses: Rates<IpAddr>,
}

impl PublishRates {
    /// Where there is no key there is nobody to be told apart, and programs of this machine publish as they like
    pub(crate) fn new(rates: &config::Rates, auth: &Auth) -> Self {
        Self {
            is_open: AtomicBool::new(auth.is_open()),
            keys: Rates::new(rates.key_publishes_per_second),
            subjects: Rates::new(rates.subject_publishes_per_second),
            addresses: Rates::new(rates.subject_publishes_per_second),
        }
    }

    /// Whether nobody is held back
    pub(crate) fn is_open(&self) -> bool {
        self.is_open.load(Ordering::Relaxed)
    }

    /// There is a key now, or there is none any more
    pub(crate) fn reload(&self, auth: &Auth) {
        self.is_open.store(auth.is_open(), Ordering::Relaxed);
    }

    /// Lets `events` through, or says that there were too many
    pub(crate) fn admit(
        &self,
        subject: Option<&str>,
        address: IpAddr,
        events: usize,
        now: Timestamp,
    ) -> Result<(), Problem> {
        if self.is_open() || events == 0 {
            return Ok(());
        }
        let (taken, setting) = match subject {
            Some(key) if key.starts_with("key:") => (
                self.keys.take(key.to_owned(), events, now),
                "rates.key_publishes_per_second",
            ),
            Some(subject) => (
                self.subjects.take(subject.to_owned(), events, now),
                "rates.subject_publishes_per_second",
            ),
            None => (
                self.addresses.take(counted_as(address), events, now),
                "rates.subject_publishes_per_second",
            ),
        };
        taken.map_err(|wait| too_many("too-many-events", setting, wait))
    }
}

/// 429, with the time after which it is worth trying again
pub(crate) fn too_many(kind: &'static str, setting: &str, wait: Duration) -> Problem {
    let detail = format!(
        "more than `{setting}` allows; wait {} ms",
        wait.as_millis() + 1
    );
    let seconds = HeaderValue::from(wait.as_secs() + 1);
    Problem::new(StatusCode::TOO_MANY_REQUESTS, kind, "Not now", detail)
        .with(header::RETRY_AFTER, seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes one at each of these milliseconds; `x` where it is refused
    #[track_caller]
    fn check(per_second: usize, at: &[u64], expect: &str) {
        let rates = Rates::new(Some(per_second));
        let taken = |at: &u64| rates.take("ann", 1, Timestamp(1_000_000 + at));
        let told: String = at
            .iter()
            .map(|at| if taken(at).is_ok() { '.' } else { 'x' })
            .collect();
        assert_eq!(told, expect, "{at:?}");
    }

    #[test]
    fn two_seconds_worth_may_come_at_once_and_then_it_is_the_rate() {
        check(2, &[0, 0, 0, 0, 0], "....x");
        check(2, &[0, 0, 0, 0, 400, 500, 600, 1000], "....x.x.");
        check(1, &[0, 0, 60_000, 60_000, 60_000], "....x");
    }

    #[test]
    fn each_has_an_allowance_and_a_large_batch_is_paid_for() {
        let rates = Rates::new(Some(10));
        let now = Timestamp(1_000_000);
        assert_eq!(rates.take("ann", 120, now), Ok(()));
        let wait = rates.take("ann", 1, now).unwrap_err();
        assert!(wait > Duration::from_secs(10), "{wait:?}");
        assert_eq!(rates.take("bob", 1, now), Ok(()));
        let then = now.saturating_add(wait + Duration::from_millis(1));
        assert_eq!(rates.take("ann", 1, then), Ok(()));
    }

    #[test]
    fn no_more_are_remembered_than_the_bound() {
        let rates = Rates::new(Some(1));
        for who in 0..=MAX_REMEMBERED {
            let _ = rates.take(who, 1, Timestamp(1_000_000));
        }
        assert!(rates.allowances.lock().unwrap().len() <= MAX_REMEMBERED);
    }

    #[test]
    fn without_a_key_nobody_is_held_back_and_with_one_everybody_is() {
        let mut auth = config::Config::default().auth;
        let mut rates = config::Config::default().rates;
        rates.subject_publishes_per_second = Some(1);
        rates.key_publishes_per_second = Some(1);
        let (address, now) = ([192, 0, 2, 1].into(), Timestamp(1_000_000));
        let open = PublishRates::new(&rates, &auth);
        for _ in 0..100 {
            open.admit(None, address, 1, now).unwrap();
        }
        auth.anonymous_publish = vec!["a".to_owned()];
        let closed = PublishRates::new(&rates, &auth);
        for subject in [None, Some("ann"), Some("key:shop")] {
            closed.admit(subject, address, 2, now).unwrap();
            let problem = closed.admit(subject, address, 1, now).unwrap_err();
            assert_eq!(problem.status(), 429);
        }
    }
}
