//! ICMP and ICMPv6 messages as a script writes them, from and to bytes.
//!
//! Sections: RFC 792, RFC 1122 3.2.2, RFC 1191 4, RFC 4443; the type and code names of packetdrill.
//! In: a scripted message, the addresses around it and the connection that it quotes; or a packet of the stack's.
//! Out: the packet to inject, or the message with what a script can say of it.

use alloc::vec;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use tidegate_proto::wire::checksum::{Sum, portable};
use tidegate_proto::wire::icmp::{DATA_OFFSET, Quote};
use tidegate_proto::wire::{frame, ip};

use super::ast::{Icmp, IpInfo, Quoted, Range};
use super::segment::{info_of, ip_header};

/// A message that the stack sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Message {
    pub(super) info: IpInfo,
    /// Type and code.
    pub(super) kind: (u8, u8),
    /// The second half of its first eight bytes: identifier and sequence number, or an MTU.
    rest: [u8; 4],
    /// Bytes of the whole message.
    len: usize,
    /// What it quotes, if that is a segment.
    quoted: Option<(Quote, usize)>,
}

/// The packet that carries `icmp` from `from` to `to`. What it quotes went from `quoted.0` to `quoted.1`, its sequence
/// numbers `offset` above the script's. `None` for a type, a code or an MTU that this IP version does not have.
pub(super) fn encode(
    icmp: &Icmp,
    info: &IpInfo,
    (from, to): (IpAddr, IpAddr),
    quoted: (SocketAddr, SocketAddr),
    offset: u32,
) -> Option<Bytes> {
    let is_v4 = from.is_ipv4();
    let (kind, code) = numbers(icmp, is_v4)?;
    let mut rest = [0; 4];
    match (icmp.mtu, icmp.id) {
        (Some(mtu), _) if is_v4 => {
            let [c, d] = u16::try_from(mtu).ok().filter(|_| (kind, code) == FRAGMENTATION_NEEDED)?.to_be_bytes();
            rest = [0, 0, c, d];
        }
        (Some(mtu), _) => rest = Some(mtu).filter(|_| (kind, code) == PACKET_TOO_BIG)?.to_be_bytes(),
        (None, Some(id)) => {
            let [a, b] = id.to_be_bytes();
            rest = [a, b, 0, 0];
        }
        (None, None) => {}
    }
    let data = match icmp.quoted {
        None => Vec::new(),
        Some(Quoted::Tcp(range)) => quote(range, offset, quoted),
        Some(Quoted::Udp(len)) => quote_udp(len, quoted),
        Some(Quoted::Raw(len)) => vec![0; usize::from(len).checked_sub(DATA_OFFSET)?],
    };
    let [e, f, g, h] = rest;
    let mut message = Vec::from([kind, code, 0, 0, e, f, g, h]);
    message.extend_from_slice(&data);
    let protocol = if is_v4 { ip::protocol::ICMP } else { ip::protocol::ICMPV6 };
    let sum = match is_v4 {
        true => Sum::new(portable),
        false => Sum::pseudo_header(portable, from, to, protocol, message.len()),
    };
    let checksum = sum.with(&message).checksum();
    message.splice(2..4, checksum.to_be_bytes());
    let header = ip_header(info, from, to, protocol);
    let mut packet = frame::emit(None, &header, &[], message.len()).to_vec();
    packet.extend_from_slice(&message);
    Some(Bytes::from(packet))
}

/// The message that a packet carries; `None` if it carries something else, or something broken.
pub(super) fn decode(packet: &[u8]) -> Option<Message> {
    let (ip, range) = ip::Header::parse(packet).ok()?;
    let bytes = packet.get(range)?;
    let sum = match ip.protocol() {
        ip::protocol::ICMP => Sum::new(portable),
        ip::protocol::ICMPV6 => Sum::pseudo_header(portable, ip.src(), ip.dst(), ip.protocol(), bytes.len()),
        _ => return None,
    };
    if !sum.with(bytes).is_valid() {
        return None;
    }
    let &[kind, code, _, _, e, f, g, h] = bytes.first_chunk::<DATA_OFFSET>()?;
    let data = bytes.get(DATA_OFFSET..)?;
    let quoted = Quote::parse(data).zip(quoted_len(data));
    Some(Message { info: info_of(&ip), kind: (kind, code), rest: [e, f, g, h], len: bytes.len(), quoted })
}

impl Message {
    /// The first thing that the script states and the message does not have; `offset` as in [`encode`].
    pub(super) fn first_difference(&self, wanted: &Icmp, is_v4: bool, offset: u32) -> Option<&'static str> {
        let [a, b, c, d] = self.rest;
        let mtu = if is_v4 { u32::from(u16::from_be_bytes([c, d])) } else { u32::from_be_bytes(self.rest) };
        let fits_quote = match (wanted.quoted, &self.quoted) {
            (None | Some(Quoted::Udp(_)), _) => true,
            (Some(Quoted::Tcp(range)), Some((quote, len))) => {
                quote.seq.0 == range.start.wrapping_add(offset) && *len == usize::from(range.len)
            }
            (Some(Quoted::Tcp(_)), None) => false,
            (Some(Quoted::Raw(len)), _) => self.len == usize::from(len),
        };
        let rows = [
            (numbers(wanted, is_v4) == Some(self.kind), "type or code"),
            (wanted.mtu.is_none_or(|wanted| wanted == mtu), "MTU"),
            (wanted.id.is_none_or(|wanted| wanted == u16::from_be_bytes([a, b])), "identifier"),
            (fits_quote, "quoted packet"),
        ];
        rows.into_iter().find(|(fits, _)| !fits).map(|(_, what)| what)
    }
}

/// The IP header and the first eight bytes behind it of a segment that was sent.
fn quote(range: Range, offset: u32, (source, destination): (SocketAddr, SocketAddr)) -> Vec<u8> {
    let mut bytes = quoted_header(TCP_HEADER + usize::from(range.len), ip::protocol::TCP, source, destination);
    bytes.extend_from_slice(&source.port().to_be_bytes());
    bytes.extend_from_slice(&destination.port().to_be_bytes());
    bytes.extend_from_slice(&range.start.wrapping_add(offset).to_be_bytes());
    bytes
}

fn quote_udp(len: u16, (source, destination): (SocketAddr, SocketAddr)) -> Vec<u8> {
    let total = UDP_HEADER + usize::from(len);
    let mut bytes = quoted_header(total, ip::protocol::UDP, source, destination);
    bytes.extend_from_slice(&source.port().to_be_bytes());
    bytes.extend_from_slice(&destination.port().to_be_bytes());
    bytes.extend_from_slice(&u16::try_from(total).unwrap_or(u16::MAX).to_be_bytes());
    bytes.extend_from_slice(&[0, 0]);
    bytes
}

fn quoted_header(payload: usize, protocol: u8, source: SocketAddr, destination: SocketAddr) -> Vec<u8> {
    match ip_header(&IpInfo::default(), source.ip(), destination.ip(), protocol) {
        ip::Header::V4(header) => header.to_bytes(payload).to_vec(),
        ip::Header::V6(header) => header.to_bytes(payload).to_vec(),
    }
}

/// Payload bytes of the segment in a quote, as its headers tell.
fn quoted_len(data: &[u8]) -> Option<usize> {
    let word = |at: usize| data.get(at..at + 2)?.try_into().ok().map(u16::from_be_bytes).map(usize::from);
    let whole = match data.first()? >> 4 {
        4 => word(2)?.checked_sub(usize::from(data.first()? & 15) * 4)?,
        _ => word(4)?,
    };
    let (_, payload) = ip::Header::parse_quoted(data).ok()?;
    let header = data.get(payload.start + 12).map_or(TCP_HEADER, |offset| usize::from(offset >> 4) * 4);
    whole.checked_sub(header)
}

/// Type and code of a message.
fn numbers(icmp: &Icmp, is_v4: bool) -> Option<(u8, u8)> {
    let types: &[Type] = if is_v4 { &V4 } else { &V6 };
    let (kind, codes) = match icmp.kind.strip_prefix("type_") {
        Some(number) => (number.parse().ok()?, [].as_slice()),
        None => types.iter().find(|(name, ..)| *name == icmp.kind).map(|&(_, kind, codes)| (kind, codes))?,
    };
    let code = match icmp.code.as_deref() {
        None => 0,
        Some(code) => match code.strip_prefix("code_") {
            Some(number) => number.parse().ok()?,
            None => codes.iter().find(|(name, _)| *name == code)?.1,
        },
    };
    Some((kind, code))
}

const TCP_HEADER: usize = 20;
const UDP_HEADER: usize = 8;
const FRAGMENTATION_NEEDED: (u8, u8) = (3, 4);
const PACKET_TOO_BIG: (u8, u8) = (2, 0);

/// A type of message: its name, its number, and its codes by their names.
type Type = (&'static str, u8, &'static [(&'static str, u8)]);

/// ICMP's types and codes by packetdrill's names.
const V4: [Type; 13] = [
    ("echo_reply", 0, &[]),
    (
        "unreachable",
        3,
        &[
            ("net_unreachable", 0),
            ("host_unreachable", 1),
            ("protocol_unreachable", 2),
            ("port_unreachable", 3),
            ("frag_needed", 4),
            ("source_route_failed", 5),
            ("net_unknown", 6),
            ("host_unknown", 7),
            ("source_host_isolated", 8),
            ("net_prohibited", 9),
            ("host_prohibited", 10),
            ("net_unreachable_for_tos", 11),
            ("host_unreachable_for_tos", 12),
            ("packet_filtered", 13),
            ("precedence_violation", 14),
            ("precedence_cutoff", 15),
        ],
    ),
    ("source_quench", 4, &[]),
    ("redirect", 5, &[]),
    ("echo_request", 8, &[]),
    ("time_exceeded", 11, &[]),
    ("parameter_problem", 12, &[]),
    ("timestamp_request", 13, &[]),
    ("timestamp_reply", 14, &[]),
    ("information_request", 15, &[]),
    ("information_reply", 16, &[]),
    ("address_mask_request", 17, &[]),
    ("address_mask_reply", 18, &[]),
];

/// ICMPv6's.
const V6: [Type; 6] = [
    (
        "unreachable",
        1,
        &[
            ("net_unreachable", 0),
            ("no_route", 0),
            ("admin_prohibited", 1),
            ("not_neighbour", 2),
            ("address_unreachable", 3),
            ("port_unreachable", 4),
        ],
    ),
    ("packet_too_big", 2, &[]),
    ("time_exceeded", 3, &[("exceeded_hop_limit", 0), ("exceeded_frag_time", 1)]),
    ("parameter_problem", 4, &[("header_field", 0), ("unknown_next_header", 1), ("unknown_option", 2)]),
    ("echo_request", 128, &[]),
    ("echo_reply", 129, &[]),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn unreachable() -> Icmp {
        let quoted = Some(Quoted::Tcp(Range { start: 1, len: 1000 }));
        Icmp { kind: "unreachable".into(), code: Some("frag_needed".into()), mtu: Some(1400), id: None, quoted }
    }

    #[test]
    fn what_is_written_is_read() {
        for is_v4 in [true, false] {
            let ip = |n: u8| match is_v4 {
                true => IpAddr::V4(Ipv4Addr::new(10, 0, 0, n)),
                false => IpAddr::V6(Ipv4Addr::new(10, 0, 0, n).to_ipv6_mapped()),
            };
            let ends = (SocketAddr::new(ip(1), 8080), SocketAddr::new(ip(2), 9000));
            let icmp = match is_v4 {
                true => unreachable(),
                false => Icmp { kind: "packet_too_big".into(), code: None, ..unreachable() },
            };
            let bytes = encode(&icmp, &IpInfo::default(), (ip(2), ip(1)), ends, 77).expect("a message");
            let message = decode(&bytes).expect("what was just written");
            assert_eq!(message.first_difference(&icmp, is_v4, 77), None);
            assert_eq!(message.first_difference(&icmp, is_v4, 78), Some("quoted packet"));
            let (quote, _) = message.quoted.expect("a segment");
            assert_eq!((quote.src, quote.dst), ends);
            let other = Icmp { mtu: Some(1401), ..icmp.clone() };
            assert_eq!(message.first_difference(&other, is_v4, 77), Some("MTU"));
            let other = Icmp { kind: "time_exceeded".into(), code: None, mtu: None, ..icmp };
            assert_eq!(message.first_difference(&other, is_v4, 77), Some("type or code"));
        }
    }

    #[test]
    fn what_a_version_does_not_have_is_refused() {
        let v4 = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let ends = (SocketAddr::new(v4, 1), SocketAddr::new(v4, 2));
        let encode = |icmp: &Icmp| encode(icmp, &IpInfo::default(), (v4, v4), ends, 0);
        assert_eq!(encode(&Icmp { kind: "packet_too_big".into(), ..unreachable() }), None);
        assert_eq!(encode(&Icmp { code: Some("no_route".into()), ..unreachable() }), None);
        assert_eq!(encode(&Icmp { code: None, ..unreachable() }), None, "an MTU goes with frag_needed alone");
        let by_number = Icmp { kind: "type_3".into(), code: Some("code_4".into()), ..unreachable() };
        assert_eq!(encode(&by_number), encode(&unreachable()));
    }
}
