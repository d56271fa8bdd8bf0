//! What IPv4 and IPv6 have in common: who talks to whom, and which protocol comes next.
//!
//! Sections: RFC 791, RFC 8200; IANA's protocol numbers.
//! In: the packet behind the IP headers.
//! Out: the line of the protocol inside.

use core::fmt;
use core::net::IpAddr;

use super::bytes::{Captured, CutShort};
use super::line::{Address, Line, name_of};
use super::{checksum, icmp, icmp6, ipv4, ipv6, put, tcp, udp};

/// The IP header around a transport header, as far as the transport's line needs it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ip {
    pub(super) source: IpAddr,
    pub(super) destination: IpAddr,
    /// Where source routing ends: this address is in the pseudo-header.
    pub(super) final_destination: IpAddr,
    /// The protocol field of the first header: extension headers of IPv6 show here.
    pub(super) first_protocol: u8,
    /// More fragments follow, or came before: checksums cannot be verified.
    pub(super) fragmented: bool,
}

impl Ip {
    /// The checksum over the pseudo-header and `bytes`; 0 if it is right.
    pub(super) fn checksum(&self, protocol: u8, bytes: &[u8]) -> u16 {
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        checksum::of_pseudo_header(self.source, self.final_destination, protocol, length, bytes)
    }

    /// True if this header names `protocol` itself: then the transport prints the addresses, with its ports.
    pub(super) fn announces(&self, protocol: u8) -> bool {
        self.first_protocol == protocol
    }

    /// Both ends with their ports, or the ports alone behind extension headers.
    pub(super) fn print_ports(&self, line: &mut Line, protocol: u8, source: u16, destination: u16) {
        if self.announces(protocol) {
            put!(line, "{}.{source} > {}.{destination}: ", Address(self.source), Address(self.destination));
        } else {
            put!(line, "{source} > {destination}: ");
        }
    }
}

/// `source > destination`
impl fmt::Display for Ip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} > {}", Address(self.source), Address(self.destination))
    }
}

/// Protocols that print their addresses themselves, with the ports.
pub(super) fn has_ports(protocol: u8) -> bool {
    matches!(protocol, TCP | UDP | SCTP | DCCP)
}

/// The line of the protocol inside. `length` is what the IP header leaves for it.
pub(super) fn print_payload(
    line: &mut Line,
    ip: &Ip,
    protocol: u8,
    bytes: Captured,
    length: u32,
) -> Result<(), CutShort> {
    match protocol {
        TCP => return tcp::print(line, ip, bytes, length),
        UDP => return udp::print(line, ip, bytes, length),
        ICMP if ip.source.is_ipv4() => return icmp::print(line, ip, bytes, length),
        ICMPV6 if ip.source.is_ipv6() => return icmp6::print(line, ip, bytes, length),
        ICMP | IGMP | ICMPV6 if (protocol == ICMPV6) == ip.source.is_ipv4() => {
            let needed = if protocol == ICMPV6 { 6 } else { 4 };
            put!(line, "[{} requires IPv{needed}]", name(protocol));
            line.invalid();
        }
        IPV4 if line.depth < DEEPEST => return ipv4::print(line, bytes, length),
        IPV6 if line.depth < DEEPEST => return ipv6::print(line, bytes, length),
        NONE => put!(line, "no next header"),
        ND => put!(line, " nd {length}"),
        _ if has_ports(protocol) => put!(line, "{ip}:  ip-proto-{protocol} {length}"),
        _ => put!(line, " ip-proto-{protocol} {length}"),
    }
    Ok(())
}

/// tcpdump's name of a protocol.
pub(super) fn name(protocol: u8) -> &'static str {
    name_of(PROTOCOLS, u16::from(protocol)).unwrap_or("unknown")
}

pub(super) const ICMP: u8 = 1;
pub(super) const IGMP: u8 = 2;
pub(super) const IPV4: u8 = 4;
pub(super) const TCP: u8 = 6;
pub(super) const UDP: u8 = 17;
pub(super) const DCCP: u8 = 33;
pub(super) const IPV6: u8 = 41;
pub(super) const ICMPV6: u8 = 58;
pub(super) const NONE: u8 = 59;
pub(super) const ND: u8 = 77;
pub(super) const SCTP: u8 = 132;

/// Packets in packets are followed this far down; a crafted one could otherwise exhaust the call stack.
pub(super) const DEEPEST: u32 = 32;

const PROTOCOLS: &[(u16, &str)] = &[
    (0, "Options"),
    (1, "ICMP"),
    (2, "IGMP"),
    (4, "IPIP"),
    (6, "TCP"),
    (8, "EGP"),
    (9, "IGRP"),
    (17, "UDP"),
    (33, "DCCP"),
    (41, "IPv6"),
    (43, "Routing"),
    (44, "Fragment"),
    (46, "RSVP"),
    (47, "GRE"),
    (50, "ESP"),
    (51, "AH"),
    (55, "Mobile IP"),
    (58, "ICMPv6"),
    (62, "Mobile IP (old)"),
    (88, "EIGRP"),
    (89, "OSPF"),
    (103, "PIM"),
    (108, "Compressed IP"),
    (112, "VRRP"),
    (113, "PGM"),
    (132, "SCTP"),
    (135, "Mobility"),
    (143, "Ethernet"),
];
