//! How many connections there may be, in all and from one address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use pushcore::Timestamp;

use crate::auth::counted_as;
use crate::config::{Config, Network};
use crate::rates::Rates;

/// The connections that are open, by address
///
/// Memory: one entry per address with at least one connection, so at most one per connection, and what
/// [`Rates`] remembers.
#[derive(Debug)]
pub(crate) struct Admission {
    max: usize,
    max_per_address: usize,
    connects: Rates<IpAddr>,
    /// Proxies, which have many clients
    trusted: Vec<Network>,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// The right to one connection; given back when dropped
#[derive(Debug)]
pub(crate) struct Place {
    admission: Arc<Admission>,
    address: IpAddr,
}

impl Admission {
    pub(crate) fn new(config: &Config) -> Arc<Self> {
        Arc::new(Self {
            max: config.connections.max,
            max_per_address: config.connections.max_per_address,
            connects: Rates::new(config.rates.address_connects_per_second),
            trusted: config.server.trusted_proxies.clone(),
            open: Mutex::default(),
        })
    }

    /// A place for one more connection, or the limit that is reached
    ///
    /// Trusted proxies, and with them by default everything on this machine, share no limit by address: every client
    /// behind one has its address.
    pub(crate) fn admit(
        self: &Arc<Self>,
        peer: IpAddr,
        now: Timestamp,
    ) -> Result<Place, &'static str> {
        let address = counted_as(peer);
        let limited = !peer.to_canonical().is_loopback() && !self.is_trusted(peer);
        if limited && self.connects.take(address, 1, now).is_err() {
            return Err("address-connects");
        }
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.all >= self.max {
            return Err("connections");
        }
        let of_address = open.by_address.entry(address).or_default();
        if limited && *of_address >= self.max_per_address {
            return Err("address-connections");
        }
        *of_address += 1;
        open.all += 1;
        Ok(Place {
            admission: Arc::clone(self),
            address,
        })
    }

    fn is_trusted(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        self.trusted.iter().any(|network| network.contains(peer))
    }

    /// How many connections are open
    pub(crate) fn open(&self) -> usize {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).all
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self
            .admission
            .open
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        open.all -= 1;
        if let Some(of_address) = open.by_address.get_mut(&self.address) {
            *of_address -= 1;
            if *of_address == 0 {
                open.by_address.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000);

    fn admission(max: usize, max_per_address: usize, connects: usize) -> Arc<Admission> {
        let mut config = Config::default();
        config.connections.max = max;
        config.connections.max_per_address = max_per_address;
        config.rates.address_connects_per_second = Some(connects);
        config
            .server
            .trusted_proxies
            .push(Network::parse("192.0.2.9").unwrap());
        Admission::new(&config)
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_place_is_refused_at_either_limit_and_comes_back_when_dropped() {
        let admission = admission(3, 2, 100);
        let admit = |from| admission.admit(address(from), NOW);
        let first = admit("192.0.2.1").unwrap();
        let _second = admit("192.0.2.1").unwrap();
        assert_eq!(admit("192.0.2.1").unwrap_err(), "address-connections");
        let _third = admit("192.0.2.2").unwrap();
        assert_eq!(admit("192.0.2.2").unwrap_err(), "connections");
        drop(first);
        assert!(admit("192.0.2.2").is_ok());
    }

    #[test]
    fn all_of_an_ipv6_network_counts_as_one_address() {
        let admission = admission(100, 1, 100);
        let _first = admission.admit(address("2001:db8::1"), NOW).unwrap();
        let second = admission.admit(address("2001:db8::2"), NOW);
        assert_eq!(second.unwrap_err(), "address-connections");
    }

    #[test]
    fn those_who_connect_too_often_wait_and_proxies_do_not() {
        let admission = admission(100, 100, 2);
        let connect = |from, now| admission.admit(address(from), now).map(drop);
        for _ in 0..4 {
            assert_eq!(connect("192.0.2.1", NOW), Ok(()));
        }
        assert_eq!(connect("192.0.2.1", NOW), Err("address-connects"));
        for proxy in ["192.0.2.9", "127.0.0.1", "::ffff:127.0.0.1"] {
            for _ in 0..20 {
                assert_eq!(connect(proxy, NOW), Ok(()));
            }
        }
        let later = Timestamp(NOW.0 + 500);
        assert_eq!(connect("192.0.2.1", later), Ok(()));
    }
}
