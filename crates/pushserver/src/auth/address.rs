//! Which address a client is counted under.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use http::header::{FORWARDED, HeaderMap, VIA};

use crate::config::Network;
use crate::web::field;

/// The client's address: the peer's, or what trusted proxies say it is
///
/// `X-Forwarded-For` is read from its end, where the proxy nearest to us wrote, and believed for as long as the one who
/// wrote is trusted. What a client itself puts there is therefore never reached, unless a trusted proxy passes it on
/// unchanged.
pub fn client_address(peer: IpAddr, headers: &HeaderMap, trusted: &[Network]) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(address));
    let mut client = peer.to_canonical();
    if !is_trusted(client) {
        return client;
    }
    let fields: Vec<&str> = headers
        .get_all(&field::FORWARDED_FOR)
        .iter()
        .map(|value| value.to_str().unwrap_or_default())
        .collect();
    let hops = fields.iter().rev().flat_map(|field| field.rsplit(','));
    for hop in hops {
        if !is_trusted(client) {
            break;
        }
        match address(hop.trim()) {
            Some(address) => client = address.to_canonical(),
            None => break,
        }
    }
    client
}

/// An address as proxies write it, some with a port
fn address(hop: &str) -> Option<IpAddr> {
    let bare = hop
        .strip_prefix('[')
        .and_then(|hop| hop.strip_suffix(']'))
        .unwrap_or(hop);
    bare.parse()
        .ok()
        .or_else(|| hop.parse::<SocketAddr>().ok().map(|address| address.ip()))
}

/// Whether the request comes straight from a program on this machine, through no proxy that says so
///
/// A reverse proxy on the same machine connects from loopback too; what it passes on for strangers has a header field that
/// tells.
pub fn is_direct_local(peer: IpAddr, headers: &HeaderMap) -> bool {
    let forwarding = [
        &FORWARDED,
        &field::FORWARDED_FOR,
        &field::FORWARDED_HOST,
        &field::FORWARDED_PROTO,
        &field::REAL_IP,
        &VIA,
    ];
    peer.to_canonical().is_loopback()
        && !forwarding
            .into_iter()
            .any(|name| headers.contains_key(name))
}

/// What an address is counted as: itself, or its /64 network, of which an IPv6 client has all
pub fn counted_as(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(
            address.to_bits() & !u128::from(u64::MAX),
        )),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[track_caller]
    fn check(peer: &str, fields: &[&'static str], expect: &str) {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append("x-forwarded-for", HeaderValue::from_static(field));
        }
        let trusted =
            ["127.0.0.0/8", "::1", "10.0.0.0/8"].map(|text| Network::parse(text).unwrap());
        let address = client_address(peer.parse().unwrap(), &headers, &trusted);
        assert_eq!(address.to_string(), expect, "{peer} {fields:?}");
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        check("192.0.2.1", &[], "192.0.2.1");
        check("192.0.2.1", &["203.0.113.5"], "192.0.2.1");
        check("127.0.0.1", &[], "127.0.0.1");
        check("127.0.0.1", &["203.0.113.5"], "203.0.113.5");
        check("::ffff:127.0.0.1", &["203.0.113.5"], "203.0.113.5");
        check("127.0.0.1", &["203.0.113.5, 10.1.1.1"], "203.0.113.5");
        check("127.0.0.1", &["203.0.113.5", "10.1.1.1"], "203.0.113.5");
        check("127.0.0.1", &["10.2.2.2,10.1.1.1"], "10.2.2.2");
    }

    #[test]
    fn what_a_client_claims_before_its_proxy_is_not_reached() {
        check("127.0.0.1", &["127.0.0.1, 203.0.113.5"], "203.0.113.5");
        check("127.0.0.1", &["6.6.6.6", "203.0.113.5"], "203.0.113.5");
        check("127.0.0.1", &["6.6.6.6, nonsense"], "127.0.0.1");
        check("127.0.0.1", &["6.6.6.6, nonsense, 10.1.1.1"], "10.1.1.1");
        check("127.0.0.1", &[""], "127.0.0.1");
    }

    #[test]
    fn ports_and_brackets_are_understood() {
        check("127.0.0.1", &["203.0.113.5:4711"], "203.0.113.5");
        check("127.0.0.1", &["[2001:db8::5]:4711"], "2001:db8::5");
        check("127.0.0.1", &["[2001:db8::5]"], "2001:db8::5");
        check("::1", &["2001:db8::5"], "2001:db8::5");
    }

    #[test]
    fn a_network_of_ipv6_counts_as_one() {
        let counted = |text: &str| counted_as(text.parse().unwrap()).to_string();
        assert_eq!(counted("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(counted("192.0.2.1"), "192.0.2.1");
        assert_eq!(counted("::ffff:192.0.2.1"), "192.0.2.1");
    }

    #[test]
    fn what_a_proxy_passes_on_is_not_local() {
        let local: IpAddr = [127, 0, 0, 1].into();
        let mut headers = HeaderMap::new();
        assert!(is_direct_local(local, &headers));
        assert!(!is_direct_local([192, 0, 2, 1].into(), &headers));
        headers.insert("via", HeaderValue::from_static("1.1 proxy"));
        assert!(!is_direct_local(local, &headers));
    }
}
