//! Which way leads to an address: an interface, the next hop, and which of our addresses speaks there.
//!
//! Sections: RFC 9293 3.9.1.1 (MUST-44); RFC 1122 3.3.1 (local or remote, gateways); RFC 6724 5 (rule 8).
//! In: the interfaces with their addresses, the routes; a destination.
//! Out: an interface, a next hop and a source address.

use core::fmt;
use core::net::{IpAddr, Ipv6Addr};

use super::{Cidr, IfaceConfig, IfaceId};
use crate::wire::ip;

/// A way to a network that is not on one of our links, or is behind a link without addresses of ours.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Route {
    /// Where it leads. A prefix of 0 makes it the default route of its version of IP.
    pub dst: Cidr,
    /// The router on the link; without one, the destinations themselves are there.
    pub gateway: Option<IpAddr>,
    /// The link.
    pub iface: IfaceId,
}

/// Why a route was refused.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum RouteError {
    /// The interface does not exist.
    NoInterface,
    /// The interface has no address of this version of IP, which packets could come from.
    NoSource,
    /// The gateway is not on the interface's link.
    GatewayNotOnLink,
    /// Destination and gateway are of two versions of IP, or the prefix is longer than the address.
    Mismatch,
}

/// The way to a destination.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Way {
    /// It is one of our own addresses.
    Loopback,
    /// It is beyond this interface.
    Out {
        iface: IfaceId,
        /// The neighbour that packets are handed to: the destination itself, or a router.
        next_hop: IpAddr,
        /// The address of ours that speaks there.
        source: IpAddr,
    },
}

/// The way to `dst`: the longest prefix among our addresses and routes that covers it. Of equals that which leads out
/// of the interface that `from` belongs to, then our links before routes, then the first.
pub(crate) fn find(ifaces: &[IfaceConfig], routes: &[Route], dst: IpAddr, from: Option<IpAddr>) -> Option<Way> {
    if owner(ifaces, dst).is_some() {
        return Some(Way::Loopback);
    }
    let home = from.and_then(|from| owner(ifaces, from));
    let links = (0..).zip(ifaces).flat_map(|(number, iface)| {
        let link = move |cidr: &Cidr| Route { dst: *cidr, gateway: None, iface: IfaceId(number) };
        iface.addrs.iter().map(move |cidr| (link(cidr), Some(cidr.addr)))
    });
    let routes = routes.iter().map(|route| (*route, None));
    let rank = |route: &Route| (route.dst.prefix, home == Some(route.iface));
    let covering = links.chain(routes).filter(|(route, _)| route.dst.contains(dst));
    // The first of equals stays.
    let (route, source) = covering.reduce(|held, next| if rank(&held.0) < rank(&next.0) { next } else { held })?;
    let next_hop = route.gateway.unwrap_or(dst);
    let source = source.or_else(|| source_on(ifaces, route.iface, next_hop, dst))?;
    Some(Way::Out { iface: route.iface, next_hop, source })
}

/// The address of ours on this interface that packets to `dst` by way of `next_hop` come from: the one whose network
/// the next hop is in; for IPv6 the one that has most in common with the destination, else the first.
fn source_on(ifaces: &[IfaceConfig], iface: IfaceId, next_hop: IpAddr, dst: IpAddr) -> Option<IpAddr> {
    let own = &ifaces.get(usize::from(iface.0))?.addrs;
    let reaches = |cidr: &&Cidr| cidr.addr.is_ipv4() == dst.is_ipv4() && is_link_local(cidr.addr) == is_link_local(dst);
    let rank = |cidr: &&Cidr| match (cidr.addr, dst) {
        (IpAddr::V6(own), IpAddr::V6(dst)) => (own.to_bits() ^ dst.to_bits()).leading_zeros(),
        _ => u32::from(cidr.contains(next_hop)),
    };
    // Of equals, `max_by_key` takes the last one.
    own.iter().filter(reaches).rev().max_by_key(rank).map(|cidr| cidr.addr)
}

/// Looks at a route before it is taken in.
pub(crate) fn check(ifaces: &[IfaceConfig], route: &Route) -> Result<(), RouteError> {
    let iface = ifaces.get(usize::from(route.iface.0)).ok_or(RouteError::NoInterface)?;
    let bits = if route.dst.addr.is_ipv4() { 32 } else { 128 };
    if route.dst.prefix > bits || route.gateway.is_some_and(|gateway| gateway.is_ipv4() != route.dst.addr.is_ipv4()) {
        return Err(RouteError::Mismatch);
    }
    if !iface.addrs.iter().any(|own| own.addr.is_ipv4() == route.dst.addr.is_ipv4()) {
        return Err(RouteError::NoSource);
    }
    // Without link addresses nobody asks who the gateway is.
    let is_on_link = |gateway: IpAddr| {
        is_host(ifaces, gateway)
            && owner(ifaces, gateway).is_none()
            && (iface.mac.is_none() || is_link_local(gateway) || iface.addrs.iter().any(|own| own.contains(gateway)))
    };
    if route.gateway.is_some_and(|gateway| !is_on_link(gateway)) {
        return Err(RouteError::GatewayNotOnLink);
    }
    Ok(())
}

/// fe80::/10. Such addresses mean something on their link only.
pub(crate) const fn is_link_local(addr: IpAddr) -> bool {
    match addr {
        IpAddr::V4(_) => false,
        IpAddr::V6(addr) => Ipv6Addr::is_unicast_link_local(&addr),
    }
}

impl fmt::Display for RouteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RouteError::NoInterface => "the route's interface does not exist",
            RouteError::NoSource => "the route's interface has no address of this version of IP",
            RouteError::GatewayNotOnLink => "the gateway is not on the link of the route's interface",
            RouteError::Mismatch => "destination, prefix and gateway of the route do not fit together",
        })
    }
}

impl core::error::Error for RouteError {}

/// The interface that has `addr` as its own.
pub(crate) fn owner(ifaces: &[IfaceConfig], addr: IpAddr) -> Option<IfaceId> {
    (0..).zip(ifaces).find(|(_, iface)| iface.addrs.iter().any(|own| own.addr == addr)).map(|(n, _)| IfaceId(n))
}

/// True for an address that one host can have here: unicast, and no network's broadcast address.
pub(crate) fn is_host(ifaces: &[IfaceConfig], addr: IpAddr) -> bool {
    ip::is_unicast(addr) && !ifaces.iter().flat_map(|iface| &iface.addrs).any(|cidr| cidr.is_broadcast(addr))
}

impl Cidr {
    /// True if `addr` is in the network.
    pub fn contains(&self, addr: IpAddr) -> bool {
        match (self.addr, addr) {
            (IpAddr::V4(own), IpAddr::V4(addr)) => {
                let host = u32::MAX.checked_shr(u32::from(self.prefix)).unwrap_or(0);
                (own.to_bits() ^ addr.to_bits()) & !host == 0
            }
            (IpAddr::V6(own), IpAddr::V6(addr)) => {
                let host = u128::MAX.checked_shr(u32::from(self.prefix)).unwrap_or(0);
                (own.to_bits() ^ addr.to_bits()) & !host == 0
            }
            _ => false,
        }
    }

    /// True if `addr` is the network's broadcast address (RFC 1122 3.2.1.3); with prefixes of 31 and 32 there is
    /// none (RFC 3021).
    pub fn is_broadcast(&self, addr: IpAddr) -> bool {
        match addr {
            IpAddr::V4(v4) if self.prefix < 31 => {
                let host = u32::MAX.checked_shr(u32::from(self.prefix)).unwrap_or(0);
                self.contains(addr) && v4.to_bits() & host == host
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    fn iface(addrs: &[(&str, u8)]) -> IfaceConfig {
        let addrs = addrs.iter().map(|&(addr, prefix)| Cidr { addr: addr.parse().unwrap(), prefix }).collect();
        IfaceConfig { mac: None, mtu: 1500, addrs, max_burst: 0, checksum_offload: false }
    }

    fn ifaces() -> Vec<IfaceConfig> {
        Vec::from([
            iface(&[("10.0.0.1", 8), ("2001:db8::1", 64)]),
            iface(&[("10.1.0.1", 16), ("10.1.0.2", 16)]),
            iface(&[("192.0.2.1", 32), ("198.51.100.0", 31)]),
        ])
    }

    fn way(n: u16, next_hop: &str, source: &str) -> Way {
        Way::Out { iface: IfaceId(n), next_hop: next_hop.parse().unwrap(), source: source.parse().unwrap() }
    }

    fn route(dst: &str, prefix: u8, gateway: Option<&str>, n: u16) -> Route {
        let dst = Cidr { addr: dst.parse().unwrap(), prefix };
        Route { dst, gateway: gateway.map(|gateway| gateway.parse().unwrap()), iface: IfaceId(n) }
    }

    /// RFC 1122 3.3.1: a gateway for what is not on a link, the most specific one, and the address that it knows.
    #[test]
    fn routes_lead_beyond_the_links() {
        let mut ifaces = ifaces();
        ifaces.push(iface(&[
            ("203.0.113.7", 24),
            ("203.0.113.8", 25),
            ("fe80::1", 64),
            ("2001:db8:5::1", 64),
            ("fd00::1", 8),
        ]));
        let routes = [
            route("0.0.0.0", 0, Some("10.0.0.254"), 0),
            route("172.16.0.0", 12, Some("10.1.0.254"), 1),
            route("172.16.5.0", 24, Some("203.0.113.1"), 3),
            route("192.88.99.0", 24, None, 2),
            route("0.0.0.0", 0, Some("203.0.113.200"), 3),
            route("::", 0, Some("fe80::99"), 3),
            route("2001:db8::", 80, Some("fe80::98"), 3),
        ];
        for each in &routes {
            assert_eq!(check(&ifaces, each), Ok(()), "{each:?}");
        }
        let to = |addr: &str| find(&ifaces, &routes, addr.parse().unwrap(), None);
        assert_eq!(to("8.8.8.8"), Some(way(0, "10.0.0.254", "10.0.0.1")), "the first of two default routes");
        assert_eq!(to("172.16.9.9"), Some(way(1, "10.1.0.254", "10.1.0.1")));
        assert_eq!(to("172.16.5.9"), Some(way(3, "203.0.113.1", "203.0.113.7")));
        assert_eq!(to("192.88.99.1"), Some(way(2, "192.88.99.1", "192.0.2.1")), "a link without addresses of ours");
        assert_eq!(to("10.1.2.3"), Some(way(1, "10.1.2.3", "10.1.0.1")), "the link itself");
        assert_eq!(to("2001:db8:9::1"), Some(way(3, "fe80::99", "2001:db8:5::1")), "the source that looks most alike");
        assert_eq!(to("fd00:1::1"), Some(way(3, "fd00:1::1", "fd00::1")));
        assert_eq!(to("2001:db8::5"), Some(way(3, "fe80::98", "2001:db8:5::1")), "longer than the link's prefix");
        let from = |addr: &str, own: &str| find(&ifaces, &routes, addr.parse().unwrap(), own.parse().ok());
        assert_eq!(from("8.8.8.8", "203.0.113.8"), Some(way(3, "203.0.113.200", "203.0.113.7")), "its own link first");
        assert_eq!(from("172.16.9.9", "203.0.113.8"), to("172.16.9.9"), "but only of equals");
    }

    #[test]
    fn routes_that_lead_nowhere_are_refused() {
        let mut ethernet = ifaces();
        ethernet[0].mac = Some(crate::wire::eth::MacAddr([2, 0, 0, 0, 0, 1]));
        for (each, why) in [
            (route("0.0.0.0", 0, Some("10.0.0.2"), 9), RouteError::NoInterface),
            (route("0.0.0.0", 0, Some("2001:db8::2"), 0), RouteError::Mismatch),
            (route("0.0.0.0", 33, Some("10.0.0.2"), 0), RouteError::Mismatch),
            (route("::", 0, Some("2001:db8::2"), 1), RouteError::NoSource),
            (route("0.0.0.0", 0, Some("172.16.0.1"), 0), RouteError::GatewayNotOnLink),
            (route("0.0.0.0", 0, Some("10.0.0.1"), 0), RouteError::GatewayNotOnLink),
            (route("0.0.0.0", 0, Some("10.255.255.255"), 0), RouteError::GatewayNotOnLink),
        ] {
            assert_eq!(check(&ethernet, &each), Err(why), "{each:?}");
        }
        assert_eq!(check(&ethernet, &route("0.0.0.0", 0, Some("172.16.0.1"), 1)), Ok(()), "nobody is asked there");
    }

    //= 9293/MUST-44
    #[test]
    fn the_longest_prefix_decides() {
        let ifaces = ifaces();
        let to = |addr: &str| find(&ifaces, &[], addr.parse().unwrap(), None);
        assert_eq!(to("10.9.9.9"), Some(way(0, "10.9.9.9", "10.0.0.1")));
        assert_eq!(to("10.1.9.9"), Some(way(1, "10.1.9.9", "10.1.0.1")));
        assert_eq!(to("10.1.0.2"), Some(Way::Loopback));
        assert_eq!(to("2001:db8::2"), Some(way(0, "2001:db8::2", "2001:db8::1")));
        assert_eq!(to("198.51.100.1"), Some(way(2, "198.51.100.1", "198.51.100.0")));
        assert_eq!(to("192.0.2.2"), None);
        assert_eq!(to("2001:db9::2"), None);
    }

    #[test]
    fn broadcast_addresses_are_no_hosts() {
        let ifaces = ifaces();
        for (addr, host) in [
            ("10.255.255.255", false),
            ("10.1.255.255", false),
            ("10.2.255.255", true),
            ("255.255.255.255", false),
            ("192.0.2.1", true),
            ("198.51.100.1", true),
            ("224.0.0.1", false),
            ("2001:db8::ffff:ffff:ffff:ffff", true),
        ] {
            assert_eq!(is_host(&ifaces, addr.parse().unwrap()), host, "{addr}");
        }
    }
}
