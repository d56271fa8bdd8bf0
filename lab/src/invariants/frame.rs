//! A reader of frames that shares nothing with the codecs it judges.
//!
//! Sections: RFC 791 3.1, RFC 8200 3, RFC 9293 3.1 and 3.2, RFC 7323, RFC 2018.
//! In: the bytes of a frame.
//! Out: the TCP segment in it, field by field; or the first thing that is wrong with it.

use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use bytes::Bytes;
use tidegate_proto::wire::frame::Link;

/// A TCP segment as it stands on the wire.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Segment {
    /// Who sends it.
    pub from: SocketAddr,
    /// To whom.
    pub to: SocketAddr,
    /// The sequence number.
    pub seq: u32,
    /// The acknowledgement number, whether ACK is set or not.
    pub ack: u32,
    /// The control bits: [`FIN`], [`SYN`], [`RST`], [`ACK`] and their neighbours.
    pub flags: u8,
    /// The window field.
    pub window: u16,
    /// Its options.
    pub options: Options,
    /// Its payload.
    pub payload: Bytes,
    /// The length of its IP packet.
    pub packet_len: usize,
}

/// The options of a segment.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Options {
    /// Maximum segment size.
    pub mss: Option<u16>,
    /// Window scale.
    pub scale: Option<u8>,
    /// SACK permitted.
    pub sack_permitted: bool,
    /// Timestamps: TSval and TSecr.
    pub timestamps: Option<(u32, u32)>,
    /// SACK blocks.
    pub sack: Vec<(u32, u32)>,
}

/// The sender has no more data.
pub const FIN: u8 = 0x01;
/// The number is the initial one.
pub const SYN: u8 = 0x02;
/// The connection is over, or never was.
pub const RST: u8 = 0x04;
/// The acknowledgement number counts.
pub const ACK: u8 = 0x10;

impl Segment {
    /// True if that bit is set.
    pub fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

/// How closely to look.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Look {
    /// At one packet as it stands on the wire: every length and every checksum must be right.
    Wire,
    /// At what was merged on the way in: its checksum was verified before, and is no more.
    Merged,
}

/// The TCP segment in a frame, `None` if it carries something else.
///
/// # Errors
///
/// Says what is wrong with it.
pub fn read(link: Link, frame: &Bytes, look: Look) -> Result<Option<Segment>, &'static str> {
    let (packet_at, padded) = match link {
        Link::Ip => (0, false),
        Link::Ethernet => {
            let kind = be16(frame, 12).ok_or("shorter than an Ethernet header")?;
            if kind != 0x0800 && kind != 0x86dd {
                return Ok(None);
            }
            (14, frame.len() <= 60)
        }
    };
    let packet = frame.slice(packet_at..);
    let (src, dst, protocol, header_len, packet_len) = match packet.first().ok_or("no IP header")? >> 4 {
        4 => read_ipv4(&packet)?,
        6 => read_ipv6(&packet)?,
        _ => return Err("neither IPv4 nor IPv6"),
    };
    if packet_len > packet.len() || (packet_len < packet.len() && !padded) {
        return Err("the IP length is not the packet's");
    }
    if protocol != 6 {
        return Ok(None);
    }
    let tcp = packet.slice(header_len.min(packet_len)..packet_len);
    if look == Look::Wire {
        let addresses = match (src, dst) {
            (IpAddr::V4(a), IpAddr::V4(b)) => ones_sum(ones_sum(0, &a.octets()), &b.octets()),
            (IpAddr::V6(a), IpAddr::V6(b)) => ones_sum(ones_sum(0, &a.octets()), &b.octets()),
            _ => return Err("two versions of IP in one packet"),
        };
        let len = u32::try_from(tcp.len()).map_err(|_| "longer than IP allows")?;
        let pseudo = ones_sum(ones_sum(addresses, &[0, protocol]), &len.to_be_bytes());
        if ones_sum(pseudo, &tcp) != 0xffff {
            return Err("the TCP checksum is wrong");
        }
    }
    let mut segment = read_tcp(&tcp, src, dst)?;
    segment.packet_len = packet_len;
    Ok(Some(segment))
}

type Packet = (IpAddr, IpAddr, u8, usize, usize);

fn read_ipv4(packet: &[u8]) -> Result<Packet, &'static str> {
    let header_len = usize::from(packet[0] & 0x0f) * 4;
    let header = packet.get(..header_len).filter(|h| h.len() >= 20).ok_or("an IPv4 header of impossible length")?;
    if ones_sum(0, header) != 0xffff {
        return Err("the IPv4 header checksum is wrong");
    }
    let total = usize::from(be16(header, 2).ok_or("no IPv4 length")?);
    if be16(header, 6).is_none_or(|fragment| fragment & 0x3fff != 0) {
        return Err("a fragment");
    }
    if total < header_len {
        return Err("an IPv4 packet shorter than its header");
    }
    let addr = |at: usize| array(header, at).map(|a: [u8; 4]| IpAddr::from(Ipv4Addr::from(a)));
    let src = addr(12).ok_or("no source address")?;
    let dst = addr(16).ok_or("no destination address")?;
    Ok((src, dst, header[9], header_len, total))
}

fn read_ipv6(packet: &[u8]) -> Result<Packet, &'static str> {
    let header = packet.get(..40).ok_or("an IPv6 header cut short")?;
    let len = usize::from(be16(header, 4).ok_or("no IPv6 length")?);
    let addr = |at: usize| array(header, at).map(|a: [u8; 16]| IpAddr::from(Ipv6Addr::from(a)));
    let src = addr(8).ok_or("no source address")?;
    let dst = addr(24).ok_or("no destination address")?;
    Ok((src, dst, header[6], 40, 40 + len))
}

fn read_tcp(tcp: &Bytes, src: IpAddr, dst: IpAddr) -> Result<Segment, &'static str> {
    let header_len = tcp.get(12).map(|b| usize::from(b >> 4) * 4).ok_or("a TCP header cut short")?;
    if header_len < 20 || header_len > tcp.len() {
        return Err("a TCP header of impossible length");
    }
    let short = "a TCP header cut short";
    Ok(Segment {
        from: SocketAddr::new(src, be16(tcp, 0).ok_or(short)?),
        to: SocketAddr::new(dst, be16(tcp, 2).ok_or(short)?),
        seq: be32(tcp, 4).ok_or(short)?,
        ack: be32(tcp, 8).ok_or(short)?,
        flags: *tcp.get(13).ok_or(short)?,
        window: be16(tcp, 14).ok_or(short)?,
        options: read_options(&tcp[20..header_len])?,
        payload: tcp.slice(header_len..),
        packet_len: 0,
    })
}

fn read_options(mut bytes: &[u8]) -> Result<Options, &'static str> {
    let mut options = Options::default();
    while let Some((&kind, rest)) = bytes.split_first() {
        match kind {
            0 if rest.iter().all(|b| *b == 0) => break,
            0 => return Err("something behind the end of the options"),
            1 => {
                bytes = rest;
                continue;
            }
            _ => {}
        }
        let len = bytes.get(1).copied().map(usize::from).filter(|len| *len >= 2).ok_or("an option without length")?;
        let value = bytes.get(2..len).ok_or("an option longer than the header")?;
        match (kind, value.len()) {
            (2, 2) => options.mss = be16(value, 0),
            (3, 1) => options.scale = value.first().copied(),
            (4, 0) => options.sack_permitted = true,
            (5, 8 | 16 | 24 | 32) => {
                options.sack = value.chunks_exact(8).filter_map(|b| Some((be32(b, 0)?, be32(b, 4)?))).collect();
            }
            (8, 8) => options.timestamps = be32(value, 0).zip(be32(value, 4)),
            (2..=5 | 8, _) => return Err("an option of impossible length"),
            _ => {}
        }
        bytes = &bytes[len..];
    }
    Ok(options)
}

/// The sum of RFC 1071 over `bytes`, added to `sum`; 0xffff over anything that contains its own right checksum.
fn ones_sum(sum: u16, bytes: &[u8]) -> u16 {
    let mut total = u64::from(sum);
    for pair in bytes.chunks(2) {
        total += u64::from(pair[0]) << 8 | u64::from(pair.get(1).copied().unwrap_or(0));
    }
    while total > 0xffff {
        total = (total & 0xffff) + (total >> 16);
    }
    u16::try_from(total).expect("just folded")
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at + N)?.try_into().ok()
}

fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    array(bytes, at).map(u16::from_be_bytes)
}

fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(u32::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;
    use tidegate_proto::wire::{Flags, Seq};

    #[test]
    fn a_good_frame_is_read_and_any_flipped_bit_is_seen() {
        let frame = sample::segment(1, Seq(u32::MAX), Flags::ACK | Flags::FIN, b"seven..");
        let segment = read(Link::Ethernet, &frame, Look::Wire).expect("sound").expect("TCP");
        assert_eq!((segment.from.port(), segment.to.port(), segment.seq), (1, 80, u32::MAX));
        assert!(segment.has(ACK) && segment.has(FIN) && !segment.has(SYN));
        assert_eq!((&segment.payload[..], segment.packet_len), (&b"seven.."[..], 47));
        for bit in 14 * 8..frame.len() * 8 {
            let mut bytes = Vec::from(&*frame);
            bytes[bit / 8] ^= 1 << (bit % 8);
            let found = read(Link::Ethernet, &bytes.into(), Look::Wire);
            assert_ne!(found, Ok(Some(segment.clone())), "bit {bit}");
        }
    }

    #[test]
    fn cut_frames_are_refused_and_never_panic() {
        let frame = sample::segment(1, Seq(5), Flags::SYN, &[7; 100]);
        for len in 0..frame.len() {
            assert!(read(Link::Ethernet, &frame.slice(..len), Look::Wire).is_err(), "{len} bytes");
            assert!(read(Link::Ip, &frame.slice(len..), Look::Wire).ok().flatten().is_some() == (len == 14));
        }
    }
}
