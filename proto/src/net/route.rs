//! Which interface leads to an address, and which of our addresses speaks there.
//!
//! Sections: RFC 9293 3.9.1.1 (MUST-44); RFC 1122 3.3.1.1 (local or remote).
//! In: the interfaces with their addresses; a destination.
//! Out: an interface and a source address.

use core::net::IpAddr;

use super::{Cidr, IfaceConfig, IfaceId};
use crate::wire::ip;

/// The way to a destination.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Route {
    /// It is one of our own addresses.
    Loopback,
    /// It is a neighbour on this interface.
    OnLink {
        iface: IfaceId,
        /// The address of ours whose network it is in.
        source: IpAddr,
    },
}

/// The way to `dst`: the longest prefix among our addresses that covers it, the first of equals.
pub(crate) fn find(ifaces: &[IfaceConfig], dst: IpAddr) -> Option<Route> {
    if owner(ifaces, dst).is_some() {
        return Some(Route::Loopback);
    }
    let mut best: Option<(u8, Route)> = None;
    for (number, iface) in (0..).zip(ifaces) {
        for cidr in iface.addrs.iter().filter(|cidr| cidr.contains(dst)) {
            if best.is_none_or(|(prefix, _)| prefix < cidr.prefix) {
                best = Some((cidr.prefix, Route::OnLink { iface: IfaceId(number), source: cidr.addr }));
            }
        }
    }
    best.map(|(_, route)| route)
}

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

    //= 9293/MUST-44
    #[test]
    fn the_longest_prefix_decides() {
        let ifaces = ifaces();
        let to = |addr: &str| find(&ifaces, addr.parse().unwrap());
        let on_link = |n, source: &str| Some(Route::OnLink { iface: IfaceId(n), source: source.parse().unwrap() });
        assert_eq!(to("10.9.9.9"), on_link(0, "10.0.0.1"));
        assert_eq!(to("10.1.9.9"), on_link(1, "10.1.0.1"));
        assert_eq!(to("10.1.0.2"), Some(Route::Loopback));
        assert_eq!(to("2001:db8::2"), on_link(0, "2001:db8::1"));
        assert_eq!(to("198.51.100.1"), on_link(2, "198.51.100.0"));
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
