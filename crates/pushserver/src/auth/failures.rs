//! Failed attempts, by address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use pushcore::Timestamp;

use super::address::counted_as;

/// How often each address has failed lately
///
/// A leaking bucket per address: each failure fills it by one, each [`FORGIVEN_EVERY`] empties it by one, and while it is
/// full nothing from there is looked at. At most [`MAX_ADDRESSES`] are remembered, 40 bytes each; when there are more, the
/// ones that have emptied go first and then any.
#[derive(Debug)]
pub(super) struct Failures {
    max: u64,
    addresses: HashMap<IpAddr, Bucket>,
}

/// When the bucket will be empty: one number says both how full it is and since when
#[derive(Clone, Copy, Debug)]
struct Bucket {
    empty_at: Timestamp,
}

const FORGIVEN_EVERY: Duration = Duration::from_secs(3);
/// 40 bytes each, so 0.3 MB
pub(crate) const MAX_ADDRESSES: usize = 8192;

impl Failures {
    pub(super) fn new(max: usize) -> Self {
        Self {
            max: max as u64,
            addresses: HashMap::new(),
        }
    }

    /// How long until something from this address is looked at; `None` if it is now
    pub(super) fn wait(&self, address: IpAddr, now: Timestamp) -> Option<Duration> {
        let bucket = self.addresses.get(&counted_as(address))?;
        let full = FORGIVEN_EVERY.as_millis() as u64 * (self.max - 1);
        let left = bucket.empty_at.since(now).as_millis() as u64;
        left.checked_sub(full)
            .filter(|&wait| wait > 0)
            .map(Duration::from_millis)
    }

    /// Counts a failure
    pub(super) fn note(&mut self, address: IpAddr, now: Timestamp) {
        let address = counted_as(address);
        if self.addresses.len() >= MAX_ADDRESSES && !self.addresses.contains_key(&address) {
            self.make_room(now);
        }
        let bucket = self
            .addresses
            .entry(address)
            .or_insert(Bucket { empty_at: now });
        bucket.empty_at = bucket.empty_at.max(now).saturating_add(FORGIVEN_EVERY);
    }

    fn make_room(&mut self, now: Timestamp) {
        self.addresses.retain(|_, bucket| bucket.empty_at > now);
        if self.addresses.len() >= MAX_ADDRESSES {
            let any = self.addresses.keys().next().copied();
            any.and_then(|address| self.addresses.remove(&address));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    fn at(seconds: u64) -> Timestamp {
        Timestamp(1_000_000 + seconds * 1000)
    }

    #[test]
    fn an_address_that_failed_too_often_waits_and_is_forgiven() {
        let mut failures = Failures::new(3);
        for _ in 0..2 {
            failures.note(HOME, at(0));
            assert_eq!(failures.wait(HOME, at(0)), None);
        }
        failures.note(HOME, at(0));
        assert_eq!(failures.wait(HOME, at(0)), Some(Duration::from_secs(3)));
        assert_eq!(failures.wait(HOME, at(2)), Some(Duration::from_secs(1)));
        assert_eq!(failures.wait(HOME, at(3)), None);
        failures.note(HOME, at(3));
        assert!(failures.wait(HOME, at(3)).is_some());
        assert_eq!(failures.wait(HOME, at(100)), None);
    }

    #[test]
    fn one_address_does_not_answer_for_another_but_a_network_of_ipv6_does() {
        let mut failures = Failures::new(1);
        failures.note(HOME, at(0));
        assert_eq!(failures.wait([192, 0, 2, 2].into(), at(0)), None);
        failures.note("2001:db8::1".parse().unwrap(), at(0));
        assert!(
            failures
                .wait("2001:db8::ffff:2".parse().unwrap(), at(0))
                .is_some()
        );
        assert_eq!(
            failures.wait("2001:db8:0:1::1".parse().unwrap(), at(0)),
            None
        );
    }

    #[test]
    fn memory_is_bounded_however_many_addresses_fail() {
        let mut failures = Failures::new(1);
        for number in 0..3 * MAX_ADDRESSES as u32 {
            failures.note(IpAddr::V4(number.into()), at(0));
        }
        assert_eq!(failures.addresses.len(), MAX_ADDRESSES);
        failures.note(HOME, at(60));
        assert_eq!(failures.addresses.len(), 1);
    }
}
