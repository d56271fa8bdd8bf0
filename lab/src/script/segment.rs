//! Segments as a script writes them, from and to bytes. Both ends of a scripted connection start from sequence number
//! 0, so the numbers of a script are those on the wire; only timestamps are not.
//!
//! Sections: RFC 9293 3.1, 3.2; RFC 791; RFC 8200.
//! In: a scripted segment and its addresses, or a packet of the stack's.
//! Out: the packet to inject, or the segment as a script would write it.

use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use tidegate_proto::wire::checksum::{Sum, portable};
use tidegate_proto::wire::{Ecn, frame, ip, ipv4, ipv6};

use super::ast::{Flags, IpInfo, Options, Range, Tcp, TcpOption, Tos};

/// The packet that carries this segment between these sockets; the payload is zeros.
pub(super) fn encode(tcp: &Tcp, info: &IpInfo, from: SocketAddr, to: SocketAddr) -> Bytes {
    let mut header = Vec::with_capacity(60);
    header.extend_from_slice(&from.port().to_be_bytes());
    header.extend_from_slice(&to.port().to_be_bytes());
    header.extend_from_slice(&tcp.range.start.to_be_bytes());
    header.extend_from_slice(&tcp.ack.unwrap_or(0).to_be_bytes());
    let mut options = Vec::new();
    if let Options::These(all) = &tcp.options {
        all.iter().for_each(|option| encode_option(&mut options, option));
    }
    options.resize(options.len().next_multiple_of(4), 0);
    let words = u16::try_from(5 + options.len() / 4).expect("options are 40 bytes at the most");
    header.extend_from_slice(&(words << 12 | tcp.flags.0).to_be_bytes());
    header.extend_from_slice(&tcp.win.unwrap_or(0).to_be_bytes());
    header.extend_from_slice(&[0, 0]);
    header.extend_from_slice(&tcp.urg.unwrap_or(0).to_be_bytes());
    header.extend_from_slice(&options);

    let payload = alloc::vec![0; usize::from(tcp.range.len)];
    let len = header.len() + payload.len();
    let sum = Sum::pseudo_header(portable, from.ip(), to.ip(), ip::protocol::TCP, len);
    let checksum = sum.with(&header).with(&payload).checksum();
    header.splice(16..18, checksum.to_be_bytes());
    let ip = ip_header(info, from.ip(), to.ip(), ip::protocol::TCP);
    let mut packet = frame::emit(None, &ip, &header, payload.len()).to_vec();
    packet.extend_from_slice(&payload);
    Bytes::from(packet)
}

/// A segment of the stack's as a script would write it, with everything said: addresses, IP fields, the segment.
pub(super) fn decode(packet: &[u8]) -> Option<(SocketAddr, SocketAddr, IpInfo, Tcp)> {
    let (ip, range) = ip::Header::parse(packet).ok()?;
    if ip.protocol() != ip::protocol::TCP {
        return None;
    }
    let info = info_of(&ip);
    let bytes = packet.get(range)?;
    // What the stack sends is checked like what it gets: a segment with a wrong checksum is none.
    //= 9293/MUST-2
    if !Sum::pseudo_header(portable, ip.src(), ip.dst(), ip.protocol(), bytes.len()).with(bytes).is_valid() {
        return None;
    }
    let word = |at: usize| bytes.get(at..at + 2)?.try_into().ok().map(u16::from_be_bytes);
    let double = |at: usize| bytes.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes);
    let offset_flags = word(12)?;
    let header_len = usize::from(offset_flags >> 12) * 4;
    let flags = Flags(offset_flags & 0x1ff);
    let len = u16::try_from(bytes.len().checked_sub(header_len)?).ok()?;
    let tcp = Tcp {
        ports: Some((word(0)?, word(2)?)),
        flags,
        range: Range { start: double(4)?, len },
        ack: flags.has(Flags::ACK).then_some(double(8)?),
        win: word(14),
        urg: word(18),
        options: Options::These(decode_options(bytes.get(20..header_len)?)?),
        damage: Vec::new(),
    };
    Some((SocketAddr::new(ip.src(), word(0)?), SocketAddr::new(ip.dst(), word(2)?), info, tcp))
}

fn encode_option(out: &mut Vec<u8>, option: &TcpOption) {
    let mut put = |kind: u8, data: &[&[u8]]| {
        let len = 2 + data.iter().map(|part| part.len()).sum::<usize>();
        out.extend_from_slice(&[kind, u8::try_from(len).expect("options are 40 bytes at the most")]);
        data.iter().for_each(|part| out.extend_from_slice(part));
    };
    match option {
        TcpOption::Eol => out.push(0),
        TcpOption::Nop => out.push(1),
        TcpOption::Mss(mss) => put(2, &[&mss.to_be_bytes()]),
        TcpOption::WindowScale(shift) => put(3, &[&[*shift]]),
        TcpOption::SackPermitted => put(4, &[]),
        TcpOption::Sack(blocks) => {
            let edges: Vec<u8> =
                blocks.iter().flat_map(|(a, b)| [a.to_be_bytes(), b.to_be_bytes()]).flatten().collect();
            put(5, &[&edges]);
        }
        TcpOption::Timestamps { val, ecr } => put(8, &[&val.to_be_bytes(), &ecr.to_be_bytes()]),
        TcpOption::Md5(digest) => put(19, &[digest]),
        TcpOption::FastOpen(cookie) => put(34, &[cookie]),
        TcpOption::FastOpenExperimental(cookie) => put(254, &[&FAST_OPEN_MAGIC, cookie]),
        TcpOption::Unknown(kind, data) => put(*kind, &[data]),
    }
}

/// The options of a header; `None` where a length makes the rest unreadable.
fn decode_options(mut bytes: &[u8]) -> Option<Vec<TcpOption>> {
    let mut all = Vec::new();
    while let Some((&kind, rest)) = bytes.split_first() {
        if kind < 2 {
            all.push(if kind == 0 { TcpOption::Eol } else { TcpOption::Nop });
            bytes = rest;
            continue;
        }
        let len = usize::from(*rest.first()?);
        let data = bytes.get(2..len)?;
        bytes = bytes.get(len..)?;
        all.push(decode_option(kind, data));
    }
    Some(all)
}

fn decode_option(kind: u8, data: &[u8]) -> TcpOption {
    let double = |bytes: [u8; 4]| u32::from_be_bytes(bytes);
    match (kind, data) {
        (2, &[a, b]) => TcpOption::Mss(u16::from_be_bytes([a, b])),
        (3, &[shift]) => TcpOption::WindowScale(shift),
        (4, []) => TcpOption::SackPermitted,
        (5, edges) if !edges.is_empty() && edges.len().is_multiple_of(8) => {
            let blocks = edges.as_chunks::<8>().0.iter();
            TcpOption::Sack(
                blocks.map(|&[a, b, c, d, e, f, g, h]| (double([a, b, c, d]), double([e, f, g, h]))).collect(),
            )
        }
        (8, &[a, b, c, d, e, f, g, h]) => {
            TcpOption::Timestamps { val: double([a, b, c, d]), ecr: double([e, f, g, h]) }
        }
        (19, digest) if digest.len() == 16 => TcpOption::Md5(digest.try_into().expect("16 bytes")),
        (34, cookie) => TcpOption::FastOpen(cookie.to_vec()),
        (254, data) => match data.strip_prefix(&FAST_OPEN_MAGIC) {
            Some(cookie) => TcpOption::FastOpenExperimental(cookie.to_vec()),
            None => TcpOption::Unknown(kind, data.to_vec()),
        },
        _ => TcpOption::Unknown(kind, data.to_vec()),
    }
}

/// Everything that a script can say of an IP header.
pub(super) fn info_of(ip: &ip::Header) -> IpInfo {
    let (dscp, ecn, flow_label, ttl) = match ip {
        ip::Header::V4(ip) => (ip.dscp, ip.ecn, None, ip.ttl),
        ip::Header::V6(ip) => (ip.dscp, ip.ecn, Some(ip.flow_label), ip.hop_limit),
    };
    IpInfo { tos: Some(Tos::Byte(dscp << 2 | ecn_bits(ecn))), flow_label, ttl: Some(ttl) }
}

/// The IP header around what a script injects.
pub(super) fn ip_header(info: &IpInfo, src: IpAddr, dst: IpAddr, protocol: u8) -> ip::Header {
    let tos = match info.tos {
        None | Some(Tos::NoEcn) => 0,
        Some(Tos::Ect1) => 1,
        Some(Tos::Ect0 | Tos::Ect01) => 2,
        Some(Tos::Ce) => 3,
        Some(Tos::Byte(byte)) => byte,
    };
    let ecn = [Ecn::NotEct, Ecn::Ect1, Ecn::Ect0, Ecn::Ce].into_iter().find(|&ecn| ecn_bits(ecn) == tos & 3);
    let (dscp, ecn) = (tos >> 2, ecn.expect("two bits have four values"));
    let ttl = info.ttl.unwrap_or(INJECTED_TTL);
    match (src, dst) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            ip::Header::V4(ipv4::Header { ttl, dscp, ecn, ..ipv4::Header::atomic(src, dst, protocol) })
        }
        (src, dst) => {
            let v6 = |addr: IpAddr| match addr {
                IpAddr::V6(addr) => addr,
                IpAddr::V4(addr) => addr.to_ipv6_mapped(),
            };
            let flow_label = info.flow_label.unwrap_or(0);
            ip::Header::V6(ipv6::Header {
                src: v6(src),
                dst: v6(dst),
                protocol,
                hop_limit: ttl,
                dscp,
                ecn,
                flow_label,
                fragment: None,
            })
        }
    }
}

const fn ecn_bits(ecn: Ecn) -> u8 {
    match ecn {
        Ecn::NotEct => 0,
        Ecn::Ect1 => 1,
        Ecn::Ect0 => 2,
        Ecn::Ce => 3,
    }
}

/// What the experimental form of Fast Open starts with (RFC 7413 appendix A, RFC 6994).
const FAST_OPEN_MAGIC: [u8; 2] = [0xf9, 0x89];

/// The TTL of what is injected, as a host on the same network would send it.
const INJECTED_TTL: u8 = 64;
