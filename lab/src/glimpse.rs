//! A quick look at a frame: enough to tell connections apart and to pick frames in a script.
//!
//! Sections: RFC 9293 3.1 (the fields).
//! In: a frame's bytes, whole or damaged.
//! Out: its addresses, flags and numbers as they stand there, believed without a check.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tidegate_proto::wire::{Flags, FourTuple, Seq};

/// What a glance at a frame shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Glimpse {
    /// The EtherType.
    pub ether_type: u16,
    /// The segment in it, if it is TCP.
    pub tcp: Option<TcpGlimpse>,
}

/// What a glance at a TCP segment shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TcpGlimpse {
    /// Who sends it.
    pub from: SocketAddr,
    /// To whom.
    pub to: SocketAddr,
    /// SEG.SEQ.
    pub seq: Seq,
    /// SEG.ACK.
    pub ack: Seq,
    /// The control bits.
    pub flags: Flags,
    /// SEG.WND, not scaled.
    pub window: u16,
    /// Bytes of payload.
    pub payload: usize,
}

impl Glimpse {
    /// Looks at an Ethernet frame.
    pub fn of(frame: &[u8]) -> Self {
        let ether_type = u16_at(frame, 12).unwrap_or(0);
        let tcp = match ether_type {
            IPV4 => in_ipv4(frame.get(14..).unwrap_or(&[])),
            IPV6 => in_ipv6(frame.get(14..).unwrap_or(&[])),
            _ => None,
        };
        Glimpse { ether_type, tcp }
    }

    /// True for either version of IP.
    pub fn is_ip(&self) -> bool {
        matches!(self.ether_type, IPV4 | IPV6)
    }

    /// True for a SYN without ACK.
    pub fn is_syn(&self) -> bool {
        self.tcp.is_some_and(|t| t.flags.has(Flags::SYN) && !t.flags.has(Flags::ACK))
    }

    /// True for a SYN-ACK.
    pub fn is_syn_ack(&self) -> bool {
        self.tcp.is_some_and(|t| t.flags.has(Flags::SYN | Flags::ACK))
    }

    /// True if the segment carries payload.
    pub fn is_data(&self) -> bool {
        self.tcp.is_some_and(|t| t.payload > 0)
    }

    /// True if the segment carries FIN.
    pub fn is_fin(&self) -> bool {
        self.tcp.is_some_and(|t| t.flags.has(Flags::FIN))
    }

    /// True for an acknowledgement with nothing else.
    pub fn is_bare_ack(&self) -> bool {
        self.tcp.is_some_and(|t| {
            t.payload == 0 && t.flags.has(Flags::ACK) && !t.flags.any(Flags::SYN | Flags::FIN | Flags::RST)
        })
    }
}

impl TcpGlimpse {
    /// The connection as its sender names it.
    pub fn key(&self) -> FourTuple {
        FourTuple::new(self.from, self.to)
    }
}

fn in_ipv4(packet: &[u8]) -> Option<TcpGlimpse> {
    let header = usize::from(packet.first()? & 0x0f) * 4;
    let total = usize::from(u16_at(packet, 2)?);
    let address = |at| <[u8; 4]>::try_from(packet.get(at..at + 4)?).ok().map(|a| IpAddr::from(Ipv4Addr::from(a)));
    let is_later_fragment = u16_at(packet, 6)? & 0x1fff != 0;
    (*packet.get(9)? == TCP && !is_later_fragment).then_some(())?;
    in_tcp(packet.get(header..)?, total.checked_sub(header)?, address(12)?, address(16)?)
}

fn in_ipv6(packet: &[u8]) -> Option<TcpGlimpse> {
    let address = |at| <[u8; 16]>::try_from(packet.get(at..at + 16)?).ok().map(|a| IpAddr::from(Ipv6Addr::from(a)));
    (*packet.get(6)? == TCP).then_some(())?;
    in_tcp(packet.get(40..)?, usize::from(u16_at(packet, 4)?), address(8)?, address(24)?)
}

fn in_tcp(segment: &[u8], length: usize, from: IpAddr, to: IpAddr) -> Option<TcpGlimpse> {
    let offset_and_flags = u16_at(segment, 12)?;
    let header = usize::from(offset_and_flags >> 12) * 4;
    Some(TcpGlimpse {
        from: SocketAddr::new(from, u16_at(segment, 0)?),
        to: SocketAddr::new(to, u16_at(segment, 2)?),
        seq: Seq(u32_at(segment, 4)?),
        ack: Seq(u32_at(segment, 8)?),
        flags: Flags(offset_and_flags & 0x1ff),
        window: u16_at(segment, 14)?,
        payload: length.saturating_sub(header),
    })
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at + 2)?.try_into().ok().map(u16::from_be_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes)
}

/// EtherType of IPv4.
const IPV4: u16 = 0x0800;
/// EtherType of IPv6.
const IPV6: u16 = 0x86dd;
/// Protocol number of TCP.
const TCP: u8 = 6;
