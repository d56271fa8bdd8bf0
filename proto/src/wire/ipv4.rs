//! The IPv4 header.
//!
//! Sections: RFC 791 3.1; RFC 2474 (DSCP); RFC 3168 5 (ECN); RFC 6864 (identification).
//! In: a packet's bytes, with or without a link's padding behind them.
//! Out: a [`Header`] and where its payload lies; or the bytes of one to send.

use core::net::Ipv4Addr;
use core::ops::Range;

use zerocopy::network_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::checksum::{self, Sum};
use super::{Ecn, Error};

/// An IPv4 header without its options.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Header {
    /// Source address.
    pub src: Ipv4Addr,
    /// Destination address.
    pub dst: Ipv4Addr,
    /// What the payload is: see [`super::ip::protocol`].
    pub protocol: u8,
    /// Time to live.
    pub ttl: u8,
    /// Differentiated services code point, 6 bits.
    pub dscp: u8,
    /// The ECN field.
    pub ecn: Ecn,
    /// Identification: meaningful only where the packet may be fragmented.
    pub id: u16,
    /// DF.
    pub dont_fragment: bool,
    /// MF.
    pub more_fragments: bool,
    /// Where this fragment lies in the payload of the whole packet, bytes; a multiple of 8.
    pub fragment_offset: u16,
}

/// The length of a header without options.
pub const HEADER_LEN: usize = 20;

impl Header {
    /// The header of an atomic packet, one that is never fragmented: its identification means nothing and tells
    /// nothing (RFC 6864 4.1). TTL 64, no DSCP, not ECN-capable.
    pub const fn atomic(src: Ipv4Addr, dst: Ipv4Addr, protocol: u8) -> Header {
        Header {
            src,
            dst,
            protocol,
            ttl: 64,
            dscp: 0,
            ecn: Ecn::NotEct,
            id: 0,
            dont_fragment: true,
            more_fragments: false,
            fragment_offset: 0,
        }
    }

    /// The header of a whole packet, and where its payload lies: up to the packet's own length, which may be less
    /// than the frame's. Options are passed over.
    pub fn parse(bytes: &[u8]) -> Result<(Header, Range<usize>), Error> {
        let (header, header_len, total_len) = Header::read(bytes)?;
        let options = bytes.get(..header_len).ok_or(Error::Truncated)?;
        if total_len < header_len {
            return Err(Error::BadLength);
        }
        if total_len > bytes.len() {
            return Err(Error::Truncated);
        }
        if !Sum::new(checksum::portable).with(options).is_valid() {
            return Err(Error::BadChecksum);
        }
        Ok((header, header_len..total_len))
    }

    /// The header of a packet that may be cut short, as an ICMP error quotes it, and what is there of its payload.
    /// The header's checksum is not looked at: routers change what they quote.
    pub fn parse_quoted(bytes: &[u8]) -> Result<(Header, Range<usize>), Error> {
        let (header, header_len, total_len) = Header::read(bytes)?;
        let end = total_len.min(bytes.len());
        if end < header_len { Err(Error::Truncated) } else { Ok((header, header_len..end)) }
    }

    /// The header's bytes, checksum included, for a payload of `payload_len` bytes. A burst that only a split brings
    /// below the 16 bits of the length field carries the field's largest value until then.
    pub fn to_bytes(&self, payload_len: usize) -> [u8; HEADER_LEN] {
        let mut flags = self.fragment_offset / 8;
        flags |= if self.dont_fragment { DF } else { 0 };
        flags |= if self.more_fragments { MF } else { 0 };
        let mut raw = Raw {
            version_ihl: 0x45,
            tos: self.dscp << 2 | self.ecn.bits(),
            total_len: U16::new(u16::try_from(HEADER_LEN + payload_len).unwrap_or(u16::MAX)),
            id: U16::new(self.id),
            flags_offset: U16::new(flags),
            ttl: self.ttl,
            protocol: self.protocol,
            checksum: U16::ZERO,
            src: self.src.octets(),
            dst: self.dst.octets(),
        };
        raw.checksum = U16::new(Sum::new(checksum::portable).with(raw.as_bytes()).checksum());
        zerocopy::transmute!(raw)
    }

    /// Rewrites the length and identification of the header that `packet` starts with, and its checksum. Does nothing
    /// to what is no header.
    pub fn rewrite(packet: &mut [u8], total_len: u16, id: u16) {
        let Ok((_, header_len, _)) = Header::read(packet) else { return };
        let Some(bytes) = packet.get_mut(..header_len) else { return };
        let Ok((raw, _)) = Raw::mut_from_prefix(bytes) else { return };
        (raw.total_len, raw.id, raw.checksum) = (U16::new(total_len), U16::new(id), U16::ZERO);
        let checksum = Sum::new(checksum::portable).with(bytes).checksum();
        if let Ok((raw, _)) = Raw::mut_from_prefix(bytes) {
            raw.checksum = U16::new(checksum);
        }
    }

    /// True for a piece of a packet.
    pub const fn is_fragment(&self) -> bool {
        self.more_fragments || self.fragment_offset != 0
    }

    /// The header, its length and the packet's, as they stand there.
    fn read(bytes: &[u8]) -> Result<(Header, usize, usize), Error> {
        let (raw, _) = Raw::read_from_prefix(bytes).map_err(|_| Error::Truncated)?;
        if raw.version_ihl >> 4 != 4 {
            return Err(Error::BadVersion);
        }
        let header_len = usize::from(raw.version_ihl & 0xf) * 4;
        if header_len < HEADER_LEN {
            return Err(Error::BadLength);
        }
        let flags = raw.flags_offset.get();
        let header = Header {
            src: Ipv4Addr::from_octets(raw.src),
            dst: Ipv4Addr::from_octets(raw.dst),
            protocol: raw.protocol,
            ttl: raw.ttl,
            dscp: raw.tos >> 2,
            ecn: Ecn::from_bits(raw.tos),
            id: raw.id.get(),
            dont_fragment: flags & DF != 0,
            more_fragments: flags & MF != 0,
            fragment_offset: (flags & OFFSET) << 3,
        };
        Ok((header, header_len, usize::from(raw.total_len.get())))
    }
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct Raw {
    version_ihl: u8,
    tos: u8,
    total_len: U16,
    id: U16,
    flags_offset: U16,
    ttl: u8,
    protocol: u8,
    checksum: U16,
    src: [u8; 4],
    dst: [u8; 4],
}

const DF: u16 = 0x4000;
const MF: u16 = 0x2000;
const OFFSET: u16 = 0x1fff;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec;

    fn any_header() -> impl Strategy<Value = Header> {
        let addresses = (any::<[u8; 4]>(), any::<[u8; 4]>());
        let fragment = (any::<bool>(), any::<bool>(), 0_u16..0x2000);
        (addresses, any::<u8>(), any::<u8>(), 0_u8..64, 0_u8..4, any::<u16>(), fragment).prop_map(
            |((src, dst), protocol, ttl, dscp, ecn, id, (dont_fragment, more_fragments, offset))| Header {
                src: src.into(),
                dst: dst.into(),
                protocol,
                ttl,
                dscp,
                ecn: Ecn::from_bits(ecn),
                id,
                dont_fragment,
                more_fragments,
                fragment_offset: offset * 8,
            },
        )
    }

    fn sample() -> vec::Vec<u8> {
        let header = Header {
            src: Ipv4Addr::new(192, 168, 131, 132),
            dst: Ipv4Addr::new(192, 168, 131, 138),
            protocol: 6,
            ttl: 64,
            dscp: 0,
            ecn: Ecn::NotEct,
            id: 7,
            dont_fragment: true,
            more_fragments: false,
            fragment_offset: 0,
        };
        let mut bytes = header.to_bytes(8).to_vec();
        bytes.extend_from_slice(&[1, 2, 3, 4, 5, 6, 7, 8]);
        bytes
    }

    proptest! {
        #[test]
        fn a_header_survives_the_wire(header in any_header(), len in 0_usize..100, padding in 0_usize..30) {
            let mut bytes = header.to_bytes(len).to_vec();
            bytes.resize(HEADER_LEN + len + padding, 0);
            prop_assert_eq!(Header::parse(&bytes), Ok((header, HEADER_LEN..HEADER_LEN + len)));
        }

        #[test]
        fn any_bytes_can_be_read(mut bytes in prop::collection::vec(any::<u8>(), 0..80), four: bool) {
            if let (Some(first), true) = (bytes.first_mut(), four) {
                *first = 0x40 | *first & 0xf;
            }
            for range in [Header::parse(&bytes), Header::parse_quoted(&bytes)].into_iter().flatten().map(|(_, range)| range) {
                prop_assert!(bytes.get(range).is_some());
            }
        }
    }

    #[test]
    fn lengths_that_cannot_be() {
        let good = sample();
        assert_eq!(Header::parse(&good).map(|(_, range)| range), Ok(20..28));
        assert_eq!(Header::parse(&good[..27]), Err(Error::Truncated));
        assert_eq!(Header::parse(&good[..19]), Err(Error::Truncated));
        assert_eq!(Header::parse_quoted(&good[..27]).map(|(_, range)| range), Ok(20..27));
        for (at, value, error) in [
            (0, 0x65, Error::BadVersion),
            (0, 0x44, Error::BadLength),
            (0, 0x4f, Error::Truncated),
            (3, 19, Error::BadLength),
            (8, 63, Error::BadChecksum),
        ] {
            let mut bad = good.clone();
            bad[at] = value;
            assert_eq!(Header::parse(&bad), Err(error), "byte {at} = {value:#x}");
        }
    }

    #[test]
    fn options_are_passed_over() {
        let mut bytes = sample();
        bytes[0] = 0x46;
        bytes[10..12].copy_from_slice(&[0, 0]);
        let sum = Sum::new(checksum::portable).with(&bytes[..24]).checksum();
        bytes[10..12].copy_from_slice(&sum.to_be_bytes());
        assert_eq!(Header::parse(&bytes).map(|(_, range)| range), Ok(24..28));
    }
}
