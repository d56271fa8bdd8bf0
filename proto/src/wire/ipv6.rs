//! The IPv6 header, and the way past its extension headers.
//!
//! Sections: RFC 8200 3, 4; RFC 6946 (atomic fragments); RFC 5095 (routing type 0 is dead).
//! In: a packet's bytes, with or without a link's padding behind them.
//! Out: a [`Header`] and where the transport's payload lies; or the bytes of one to send.

use core::net::Ipv6Addr;
use core::ops::Range;

use zerocopy::network_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::ip::protocol;
use super::{Ecn, Error};

/// An IPv6 header, its extension headers already walked.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Header {
    /// Source address.
    pub src: Ipv6Addr,
    /// Destination address.
    pub dst: Ipv6Addr,
    /// What stands behind the last extension header: see [`super::ip::protocol`].
    pub protocol: u8,
    /// Hop limit.
    pub hop_limit: u8,
    /// Differentiated services code point, 6 bits.
    pub dscp: u8,
    /// The ECN field.
    pub ecn: Ecn,
    /// Flow label, 20 bits (RFC 6437).
    pub flow_label: u32,
    /// Set if this is a piece of a packet; the payload is then that piece. Not written by `to_bytes`: a fragment's own
    /// header goes behind this one.
    pub fragment: Option<Fragment>,
}

/// A fragment header, RFC 8200 section 4.5.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Fragment {
    /// Where the piece lies, bytes; a multiple of 8.
    pub offset: u16,
    /// Others follow.
    pub more: bool,
    /// Which packet it is a piece of.
    pub id: u32,
}

impl Fragment {
    /// The fragment header before a piece of a packet whose payload is `protocol`'s.
    pub fn to_bytes(self, protocol: u8) -> [u8; FRAGMENT_LEN] {
        zerocopy::transmute!(RawFragment {
            next_header: protocol,
            reserved: 0,
            offset_more: U16::new(self.offset & !7 | u16::from(self.more)),
            id: U32::new(self.id),
        })
    }
}

/// The length of the fixed header.
pub const HEADER_LEN: usize = 40;
/// The length of a fragment header.
pub const FRAGMENT_LEN: usize = 8;

impl Header {
    /// The header of a whole packet, and where the transport's bytes lie.
    pub fn parse(bytes: &[u8]) -> Result<(Header, Range<usize>), Error> {
        let (header, end) = Header::read(bytes)?;
        let packet = bytes.get(..end).ok_or(Error::Truncated)?;
        let (header, start) = header.walk_extensions(packet)?;
        Ok((header, start..end))
    }

    /// The header of a packet that may be cut short, as an ICMPv6 error quotes it, and what is there of its payload.
    pub fn parse_quoted(bytes: &[u8]) -> Result<(Header, Range<usize>), Error> {
        let (header, end) = Header::read(bytes)?;
        let packet = bytes.get(..end).unwrap_or(bytes);
        let (header, start) = header.walk_extensions(packet)?;
        Ok((header, start..packet.len()))
    }

    /// The header's bytes for a payload of `payload_len` bytes, without extension headers. A burst that only a split
    /// brings below the 16 bits of the length field carries the field's largest value until then.
    pub fn to_bytes(&self, payload_len: usize) -> [u8; HEADER_LEN] {
        let traffic_class = u32::from(self.dscp << 2 | self.ecn.bits());
        zerocopy::transmute!(Raw {
            version_class_flow: U32::new(6 << 28 | traffic_class << 20 | self.flow_label & FLOW_LABEL),
            payload_len: U16::new(u16::try_from(payload_len).unwrap_or(u16::MAX)),
            next_header: self.protocol,
            hop_limit: self.hop_limit,
            src: self.src.octets(),
            dst: self.dst.octets(),
        })
    }

    /// Rewrites the length of the header that `packet` starts with. Does nothing to what is no header.
    pub fn rewrite(packet: &mut [u8], payload_len: u16) {
        if let Ok((raw, _)) = Raw::mut_from_prefix(packet) {
            raw.payload_len = U16::new(payload_len);
        }
    }

    /// The fixed header as it stands there, and where the packet ends.
    fn read(bytes: &[u8]) -> Result<(Header, usize), Error> {
        let (raw, _) = Raw::read_from_prefix(bytes).map_err(|_| Error::Truncated)?;
        let [first, second, ..] = raw.version_class_flow.to_bytes();
        if first >> 4 != 6 {
            return Err(Error::BadVersion);
        }
        let traffic_class = first << 4 | second >> 4;
        let header = Header {
            src: Ipv6Addr::from_octets(raw.src),
            dst: Ipv6Addr::from_octets(raw.dst),
            protocol: raw.next_header,
            hop_limit: raw.hop_limit,
            dscp: traffic_class >> 2,
            ecn: Ecn::from_bits(traffic_class),
            flow_label: raw.version_class_flow.get() & FLOW_LABEL,
            fragment: None,
        };
        Ok((header, HEADER_LEN + usize::from(raw.payload_len.get())))
    }

    /// Passes the extension headers of `packet`, up to the transport or the first real fragment.
    fn walk_extensions(mut self, packet: &[u8]) -> Result<(Header, usize), Error> {
        let mut at = HEADER_LEN;
        for _ in 0..MAX_EXTENSIONS {
            let rest = packet.get(at..).ok_or(Error::Truncated)?;
            match self.protocol {
                protocol::HOP_BY_HOP | protocol::DESTINATION_OPTIONS => {
                    let extension = extension(rest)?;
                    check_options(extension.get(2..).unwrap_or_default())?;
                    at += extension.len();
                }
                protocol::ROUTING => {
                    let extension = extension(rest)?;
                    // With no segments left the header has done its work; with some left we would have to forward.
                    if extension.get(3) != Some(&0) {
                        return Err(Error::BadExtension);
                    }
                    at += extension.len();
                }
                protocol::FRAGMENT => {
                    let (raw, _) = RawFragment::read_from_prefix(rest).map_err(|_| Error::Truncated)?;
                    at += FRAGMENT_LEN;
                    let offset = raw.offset_more.get();
                    let fragment = Fragment { offset: offset & !7, more: offset & 1 == 1, id: raw.id.get() };
                    // A fragment that is the whole packet is one (RFC 6946).
                    if fragment.offset != 0 || fragment.more {
                        let header = Header { protocol: raw.next_header, fragment: Some(fragment), ..self };
                        return Ok((header, at));
                    }
                }
                _ => return Ok((self, at)),
            }
            self.protocol = rest.first().copied().ok_or(Error::Truncated)?;
        }
        Err(Error::BadExtension)
    }
}

/// True if `bytes`, which start with header `first`, hold every extension header and the whole header of the transport
/// behind them: what the first fragment of a packet must (RFC 7112).
pub fn has_whole_chain(first: u8, mut bytes: &[u8]) -> bool {
    let mut next = first;
    for _ in 0..MAX_EXTENSIONS {
        match next {
            protocol::HOP_BY_HOP | protocol::ROUTING | protocol::DESTINATION_OPTIONS => {
                let Ok(header) = extension(bytes) else { return false };
                let (Some(&behind), Some(rest)) = (header.first(), bytes.get(header.len()..)) else { return false };
                (next, bytes) = (behind, rest);
            }
            // A fragment within a fragment.
            protocol::FRAGMENT => return false,
            protocol::TCP => {
                let len = bytes.get(12).map(|offset| usize::from(offset >> 4) * 4);
                return len.is_some_and(|len| bytes.len() >= len.max(20));
            }
            protocol::UDP | protocol::ICMPV6 => return bytes.len() >= 8,
            _ => return true,
        }
    }
    false
}

/// One extension header of the common shape: next header, length in units of 8 bytes beyond the first.
fn extension(rest: &[u8]) -> Result<&[u8], Error> {
    let units = rest.get(1).copied().ok_or(Error::Truncated)?;
    rest.get(..8 + usize::from(units) * 8).ok_or(Error::Truncated)
}

/// Options of a hop-by-hop or destination header: one that we do not know and that does not say "skip me" in its
/// upper two bits condemns the packet (RFC 8200 4.2).
fn check_options(mut options: &[u8]) -> Result<(), Error> {
    while let Some((&kind, rest)) = options.split_first() {
        if kind == PAD1 {
            options = rest;
            continue;
        }
        if kind >> 6 != 0 {
            return Err(Error::BadExtension);
        }
        let (&len, rest) = rest.split_first().ok_or(Error::BadExtension)?;
        options = rest.get(usize::from(len)..).ok_or(Error::BadExtension)?;
    }
    Ok(())
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct Raw {
    version_class_flow: U32,
    payload_len: U16,
    next_header: u8,
    hop_limit: u8,
    src: [u8; 16],
    dst: [u8; 16],
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct RawFragment {
    next_header: u8,
    reserved: u8,
    offset_more: U16,
    id: U32,
}

const FLOW_LABEL: u32 = 0x000f_ffff;
const PAD1: u8 = 0;
/// RFC 8200 4.1 has an order with seven places; RFC 8504 5.3 lets a host set a limit.
const MAX_EXTENSIONS: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    fn sample() -> Header {
        Header {
            src: Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1),
            dst: Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 2),
            protocol: protocol::TCP,
            hop_limit: 64,
            dscp: 0,
            ecn: Ecn::NotEct,
            flow_label: 0,
            fragment: None,
        }
    }

    fn with_extensions(first: u8, extensions: &[u8]) -> Vec<u8> {
        let mut bytes = Header { protocol: first, ..sample() }.to_bytes(extensions.len() + 3).to_vec();
        bytes.extend_from_slice(extensions);
        bytes.extend_from_slice(b"tcp");
        bytes
    }

    proptest! {
        #[test]
        fn a_header_survives_the_wire(src: [u8; 16], dst: [u8; 16], hop_limit: u8, dscp in 0_u8..64, ecn in 0_u8..4, flow_label in 0_u32..1 << 20, len in 0_usize..100, padding in 0_usize..30) {
            let header = Header { src: src.into(), dst: dst.into(), hop_limit, dscp, ecn: Ecn::from_bits(ecn), flow_label, ..sample() };
            let mut bytes = header.to_bytes(len).to_vec();
            bytes.resize(HEADER_LEN + len + padding, 0);
            prop_assert_eq!(Header::parse(&bytes), Ok((header, HEADER_LEN..HEADER_LEN + len)));
        }

        #[test]
        fn any_bytes_can_be_read(mut bytes in prop::collection::vec(any::<u8>(), 40..120), next in prop::sample::select(&[0_u8, 43, 44, 60, 6][..]), six in prop::bool::weighted(0.9)) {
            if six {
                let len = (bytes.len() - 40) as u8;
                bytes[..7].copy_from_slice(&[0x60, 0, 0, 0, 0, len, next]);
            }
            for range in [Header::parse(&bytes), Header::parse_quoted(&bytes)].into_iter().flatten().map(|(_, range)| range) {
                prop_assert!(bytes.get(range).is_some());
            }
        }
    }

    #[test]
    fn extension_headers_lead_to_the_transport() {
        let pad = [1, 4, 0, 0, 0, 0];
        let hop_by_hop = [&[protocol::ROUTING, 0][..], &pad].concat();
        let routing = [protocol::DESTINATION_OPTIONS, 0, 4, 0, 0, 0, 0, 0];
        let options = [&[protocol::TCP, 0][..], &pad].concat();
        let bytes = with_extensions(protocol::HOP_BY_HOP, &[&hop_by_hop[..], &routing, &options].concat());
        let (header, range) = Header::parse(&bytes).expect("three harmless headers");
        assert_eq!((header.protocol, &bytes[range]), (protocol::TCP, &b"tcp"[..]));
    }

    #[test]
    fn a_fragment_says_so_and_an_atomic_one_is_whole() {
        let bytes = with_extensions(protocol::FRAGMENT, &[protocol::TCP, 0, 0, 9, 0, 0, 0, 7]);
        let (header, _) = Header::parse(&bytes).expect("a fragment header is eight bytes");
        assert_eq!(header.fragment, Some(Fragment { offset: 8, more: true, id: 7 }));
        let bytes = with_extensions(protocol::FRAGMENT, &[protocol::TCP, 0, 0, 0, 0, 0, 0, 7]);
        let (header, range) = Header::parse(&bytes).expect("a fragment header is eight bytes");
        assert_eq!((header.fragment, header.protocol, range), (None, protocol::TCP, 48..51));
    }

    #[test]
    fn headers_that_condemn_the_packet() {
        let unknown = [protocol::TCP, 0, 0x80, 4, 0, 0, 0, 0];
        let overrun = [protocol::TCP, 0, 1, 5, 0, 0, 0, 0];
        let segments_left = [protocol::TCP, 0, 0, 1, 0, 0, 0, 0];
        for (first, extension) in [
            (protocol::HOP_BY_HOP, unknown),
            (protocol::DESTINATION_OPTIONS, overrun),
            (protocol::ROUTING, segments_left),
        ] {
            assert_eq!(Header::parse(&with_extensions(first, &extension)), Err(Error::BadExtension));
        }
        let endless = [protocol::DESTINATION_OPTIONS, 0, 1, 4, 0, 0, 0, 0].repeat(20);
        let bytes = with_extensions(protocol::DESTINATION_OPTIONS, &endless);
        assert_eq!(Header::parse(&bytes), Err(Error::BadExtension));
        assert_eq!(Header::parse(&bytes[..100]), Err(Error::Truncated));
    }
}
