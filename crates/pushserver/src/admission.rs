//! How many connections there may be, in all and from one address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// The connections that are open, by address
///
/// Memory: one entry per address with at least one connection, so at most one per connection.
#[derive(Debug)]
pub(crate) struct Admission {
    max: usize,
    max_per_address: usize,
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
    pub(crate) fn new(max: usize, max_per_address: usize) -> Arc<Self> {
        Arc::new(Self {
            max,
            max_per_address,
            open: Mutex::default(),
        })
    }

    /// A place for one more connection, unless all or those of its address are taken
    ///
    /// Addresses on loopback share no limit of their own: behind a proxy on the same machine every client has
    /// the proxy's.
    pub(crate) fn admit(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let address = address.to_canonical();
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.all >= self.max {
            return None;
        }
        let of_address = open.by_address.entry(address).or_default();
        if *of_address >= self.max_per_address && !address.is_loopback() {
            return None;
        }
        *of_address += 1;
        open.all += 1;
        Some(Place {
            admission: Arc::clone(self),
            address,
        })
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

    #[test]
    fn a_place_is_refused_at_either_limit_and_comes_back_when_dropped() {
        let admission = Admission::new(3, 2);
        let (a, b): (IpAddr, IpAddr) = ([192, 0, 2, 1].into(), [192, 0, 2, 2].into());
        let first = admission.admit(a).expect("within both limits");
        let _second = admission.admit(a).expect("at the limit of the address");
        assert!(
            admission.admit(a).is_none(),
            "one past the limit of the address"
        );
        let _third = admission.admit(b).expect("at the limit of all");
        assert!(admission.admit(b).is_none(), "one past the limit of all");
        drop(first);
        assert!(admission.admit(b).is_some());
    }
}
