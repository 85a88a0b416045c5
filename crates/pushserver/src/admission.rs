//! How many connections there may be, in all and from one address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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
    /// Streams and long polls of clients behind those proxies, by the address of the client
    guests: Mutex<HashMap<IpAddr, usize>>,
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

/// The right of a client behind a proxy to one stream or long poll; given back when dropped
#[derive(Debug)]
pub(crate) struct Guest {
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
            guests: Mutex::default(),
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
        let limited = self.is_limited(peer);
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

    /// The right to one more stream or long poll for a client for whom a trusted proxy speaks, or the limit that is reached
    ///
    /// The connection is the proxy's, and may carry other clients' requests before and after; what the client takes up is
    /// the stream.
    pub(crate) fn admit_guest(
        self: &Arc<Self>,
        client: IpAddr,
        now: Timestamp,
    ) -> Result<Option<Box<Guest>>, &'static str> {
        if !self.is_limited(client) {
            return Ok(None);
        }
        let address = counted_as(client);
        if self.connects.take(address, 1, now).is_err() {
            return Err("address-connects");
        }
        let mut guests = self.guests();
        let of_address = guests.entry(address).or_default();
        if *of_address >= self.max_per_address {
            return Err("address-connections");
        }
        *of_address += 1;
        let admission = Arc::clone(self);
        Ok(Some(Box::new(Guest { admission, address })))
    }

    fn is_limited(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let trusted = self.trusted.iter().any(|network| network.contains(address));
        !address.is_loopback() && !trusted
    }

    fn guests(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.guests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many connections are open
    pub(crate) fn open(&self) -> usize {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).all
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let mut guests = self.admission.guests();
        if let Some(of_address) = guests.get_mut(&self.address) {
            *of_address -= 1;
            if *of_address == 0 {
                guests.remove(&self.address);
            }
        }
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
    fn a_client_behind_a_proxy_has_its_own_share_and_a_proxy_has_none() {
        let admission = admission(100, 2, 100);
        let admit = |client| admission.admit_guest(address(client), NOW);
        let first = admit("203.0.113.5").unwrap();
        let _second = admit("203.0.113.5").unwrap();
        assert_eq!(admit("203.0.113.5").unwrap_err(), "address-connections");
        assert!(admit("203.0.113.6").is_ok());
        drop(first);
        assert!(admit("203.0.113.5").is_ok());
        let proxies: Vec<_> = (0..5).map(|_| admit("192.0.2.9").unwrap()).collect();
        assert!(proxies.iter().all(Option::is_none));
    }

    #[test]
    fn a_client_behind_a_proxy_that_comes_too_often_waits() {
        let admission = admission(100, 100, 2);
        let connect = |now| admission.admit_guest(address("203.0.113.5"), now).map(drop);
        for _ in 0..4 {
            assert_eq!(connect(NOW), Ok(()));
        }
        assert_eq!(connect(NOW), Err("address-connects"));
        assert_eq!(connect(Timestamp(NOW.0 + 500)), Ok(()));
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
