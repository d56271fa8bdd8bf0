//! What both versions of IP share: one header for either, ECN bits, protocol numbers, kinds of addresses.
//!
//! Sections: RFC 3168 5 (ECN field); RFC 1112 6.4, RFC 2464 7 and RFC 4291 2.7.1 (multicast).
//! In: a packet of either version; addresses and ports.
//! Out: its header and where its payload lies; the key of a connection.

use core::net::{IpAddr, Ipv6Addr, SocketAddr};
use core::ops::Range;

use super::eth::{self, MacAddr};
use super::{Error, ipv4, ipv6};

/// Protocol numbers, which are IPv6's next-header values too.
#[expect(missing_docs, reason = "the names are IANA's")]
pub mod protocol {
    pub const HOP_BY_HOP: u8 = 0;
    pub const ICMP: u8 = 1;
    pub const TCP: u8 = 6;
    pub const UDP: u8 = 17;
    pub const ROUTING: u8 = 43;
    pub const FRAGMENT: u8 = 44;
    pub const ICMPV6: u8 = 58;
    pub const DESTINATION_OPTIONS: u8 = 60;
}

/// An IP header of either version.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Header {
    /// Version 4.
    V4(ipv4::Header),
    /// Version 6.
    V6(ipv6::Header),
}

impl Header {
    /// The header of a whole packet, and where the transport's bytes lie.
    pub fn parse(bytes: &[u8]) -> Result<(Header, Range<usize>), Error> {
        match bytes.first().map(|first| first >> 4) {
            Some(4) => ipv4::Header::parse(bytes).map(|(header, payload)| (Header::V4(header), payload)),
            Some(6) => ipv6::Header::parse(bytes).map(|(header, payload)| (Header::V6(header), payload)),
            Some(_) => Err(Error::BadVersion),
            None => Err(Error::Truncated),
        }
    }

    /// The header of a packet that may be cut short, and what is there of its payload.
    pub fn parse_quoted(bytes: &[u8]) -> Result<(Header, Range<usize>), Error> {
        match bytes.first().map(|first| first >> 4) {
            Some(4) => ipv4::Header::parse_quoted(bytes).map(|(header, payload)| (Header::V4(header), payload)),
            Some(6) => ipv6::Header::parse_quoted(bytes).map(|(header, payload)| (Header::V6(header), payload)),
            Some(_) => Err(Error::BadVersion),
            None => Err(Error::Truncated),
        }
    }

    /// Source address.
    pub const fn src(&self) -> IpAddr {
        match self {
            Header::V4(header) => IpAddr::V4(header.src),
            Header::V6(header) => IpAddr::V6(header.src),
        }
    }

    /// Destination address.
    pub const fn dst(&self) -> IpAddr {
        match self {
            Header::V4(header) => IpAddr::V4(header.dst),
            Header::V6(header) => IpAddr::V6(header.dst),
        }
    }

    /// What the payload is: see [`protocol`].
    pub const fn protocol(&self) -> u8 {
        match self {
            Header::V4(header) => header.protocol,
            Header::V6(header) => header.protocol,
        }
    }

    /// TTL or hop limit.
    pub const fn ttl(&self) -> u8 {
        match self {
            Header::V4(header) => header.ttl,
            Header::V6(header) => header.hop_limit,
        }
    }

    /// The ECN field.
    pub const fn ecn(&self) -> Ecn {
        match self {
            Header::V4(header) => header.ecn,
            Header::V6(header) => header.ecn,
        }
    }

    /// True for a piece of a packet.
    pub const fn is_fragment(&self) -> bool {
        match self {
            Header::V4(header) => header.is_fragment(),
            Header::V6(header) => header.fragment.is_some(),
        }
    }

    /// The EtherType that announces it.
    pub const fn ethertype(&self) -> u16 {
        match self {
            Header::V4(_) => eth::ETHERTYPE_IPV4,
            Header::V6(_) => eth::ETHERTYPE_IPV6,
        }
    }
}

/// True for an address that one host can have: not multicast, limited broadcast or unspecified (MUST-46, MUST-57,
/// MUST-63).
pub const fn is_unicast(addr: IpAddr) -> bool {
    match addr {
        IpAddr::V4(addr) => !addr.is_multicast() && !addr.is_broadcast() && !addr.is_unspecified(),
        IpAddr::V6(addr) => !addr.is_multicast() && !addr.is_unspecified(),
    }
}

/// The group that every host with this address joins, and that its neighbours ask: RFC 4291 section 2.7.1.
pub const fn solicited_node(addr: Ipv6Addr) -> Ipv6Addr {
    let [.., a, b] = addr.segments();
    Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | a & 0xff, b)
}

/// The Ethernet address of a multicast group: RFC 1112 section 6.4, RFC 2464 section 7.
pub const fn multicast_mac(group: IpAddr) -> MacAddr {
    match group {
        IpAddr::V4(group) => {
            let [_, b, c, d] = group.octets();
            MacAddr([0x01, 0x00, 0x5e, b & 0x7f, c, d])
        }
        IpAddr::V6(group) => {
            let [.., a, b, c, d] = group.octets();
            MacAddr([0x33, 0x33, a, b, c, d])
        }
    }
}

/// The ECN field of an IP header.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Ecn {
    /// 00: the sender does not use ECN.
    #[default]
    NotEct,
    /// 01.
    Ect1,
    /// 10.
    Ect0,
    /// 11: a router met congestion.
    Ce,
}

impl Ecn {
    /// The field from the lower two bits of a type-of-service or traffic-class byte.
    pub const fn from_bits(byte: u8) -> Ecn {
        match byte & 3 {
            0 => Ecn::NotEct,
            1 => Ecn::Ect1,
            2 => Ecn::Ect0,
            _ => Ecn::Ce,
        }
    }

    /// The two bits.
    pub const fn bits(self) -> u8 {
        match self {
            Ecn::NotEct => 0,
            Ecn::Ect1 => 1,
            Ecn::Ect0 => 2,
            Ecn::Ce => 3,
        }
    }
}

/// The two sockets that name a connection, seen from our side.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FourTuple {
    /// Our address.
    pub local_ip: IpAddr,
    /// The peer's address.
    pub remote_ip: IpAddr,
    /// Our port.
    pub local_port: u16,
    /// The peer's port.
    pub remote_port: u16,
}

impl FourTuple {
    /// The connection between `local` and `remote`.
    pub fn new(local: SocketAddr, remote: SocketAddr) -> Self {
        FourTuple { local_ip: local.ip(), remote_ip: remote.ip(), local_port: local.port(), remote_port: remote.port() }
    }

    /// Our socket.
    pub fn local(&self) -> SocketAddr {
        SocketAddr::new(self.local_ip, self.local_port)
    }

    /// The peer's socket.
    pub fn remote(&self) -> SocketAddr {
        SocketAddr::new(self.remote_ip, self.remote_port)
    }

    /// The same connection as the peer names it.
    pub fn reversed(&self) -> Self {
        FourTuple {
            local_ip: self.remote_ip,
            remote_ip: self.local_ip,
            local_port: self.remote_port,
            remote_port: self.local_port,
        }
    }
}

impl core::fmt::Debug for FourTuple {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{{{}, {}}}", self.local(), self.remote())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_and_their_ethernet_addresses() {
        let addr: Ipv6Addr = "2001:db8::1:02aa:bbcc".parse().expect("an address");
        let group = solicited_node(addr);
        assert_eq!(group, "ff02::1:ffaa:bbcc".parse::<Ipv6Addr>().expect("an address"));
        assert_eq!(multicast_mac(group.into()), MacAddr([0x33, 0x33, 0xff, 0xaa, 0xbb, 0xcc]));
        assert_eq!(multicast_mac([224, 129, 2, 3].into()), MacAddr([1, 0, 0x5e, 1, 2, 3]));
    }

    #[test]
    fn addresses_that_one_host_can_have() {
        for (addr, one) in [
            ("192.168.131.132", true),
            ("0.0.0.0", false),
            ("255.255.255.255", false),
            ("224.0.0.1", false),
            ("fd00::1", true),
            ("::", false),
            ("ff02::1", false),
        ] {
            assert_eq!(is_unicast(addr.parse().expect("an address")), one, "{addr}");
        }
    }

    #[test]
    fn ecn_bits_go_and_come() {
        for bits in 0..4 {
            assert_eq!(Ecn::from_bits(bits).bits(), bits);
        }
        assert_eq!(Ecn::from_bits(0xfe), Ecn::Ect0);
    }
}
