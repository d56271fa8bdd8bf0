//! The TCP header.
//!
//! Sections: RFC 9293 3.1; RFC 3168 and RFC 9768 for the ECN flags.
//! In: a segment's bytes and the addresses of its pseudo-header.
//! Out: a [`Header`] and where the payload starts; or the bytes of one to send.

use core::net::IpAddr;

use arrayvec::ArrayVec;
use zerocopy::network_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::checksum::{Sum, SumFn};
use super::ip::protocol;
use super::{Error, Options, Seq};

/// A TCP header, options included, checksum left to the codec.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Header {
    /// Source port.
    pub src_port: u16,
    /// Destination port.
    pub dst_port: u16,
    /// SEG.SEQ.
    pub seq: Seq,
    /// SEG.ACK; meaningful only with [`Flags::ACK`].
    pub ack: Seq,
    /// The control bits.
    pub flags: Flags,
    /// SEG.WND as it stands on the wire, not scaled (MUST-1: unsigned).
    pub window: u16,
    /// SEG.UP; meaningful only with [`Flags::URG`].
    pub urgent: u16,
    /// The options that this stack understands.
    pub options: Options,
}

/// The length of a header without options.
pub const MIN_HEADER_LEN: usize = 20;
/// The length of a header with all the options that it can carry.
pub const MAX_HEADER_LEN: usize = 60;
/// Where in the header its checksum stands.
pub const CHECKSUM_OFFSET: u16 = 16;

impl Header {
    /// The header of a segment between these addresses, and where its payload starts. The checksum is verified with
    /// `verify`; without it, because someone below has done so.
    pub fn parse(bytes: &[u8], src: IpAddr, dst: IpAddr, verify: Option<SumFn>) -> Result<(Header, usize), Error> {
        let (raw, _) = Raw::read_from_prefix(bytes).map_err(|_| Error::Truncated)?;
        //= 9293/MUST-3
        if let Some(sum) = verify
            && !Sum::pseudo_header(sum, src, dst, protocol::TCP, bytes.len()).with(bytes).is_valid()
        {
            return Err(Error::BadChecksum);
        }
        let offset_flags = raw.offset_flags.get();
        let header_len = usize::from(offset_flags >> 12) * 4;
        if header_len < MIN_HEADER_LEN {
            return Err(Error::BadLength);
        }
        let options = bytes.get(MIN_HEADER_LEN..header_len).ok_or(Error::Truncated)?;
        let header = Header {
            src_port: raw.src_port.get(),
            dst_port: raw.dst_port.get(),
            seq: Seq(raw.seq.get()),
            ack: Seq(raw.ack.get()),
            flags: Flags(offset_flags & Flags::ALL.0),
            //= 9293/MUST-1
            window: raw.window.get(),
            urgent: raw.urgent.get(),
            //= 9293/MUST-5
            options: Options::parse(options)?,
        };
        Ok((header, header_len))
    }

    /// The header's bytes, the checksum over it and all of `payload` included.
    pub fn to_bytes<T: AsRef<[u8]>>(
        &self,
        src: IpAddr,
        dst: IpAddr,
        payload: &[T],
        sum: SumFn,
    ) -> ArrayVec<u8, MAX_HEADER_LEN> {
        let options = self.options.to_bytes();
        let mut raw = self.to_raw(options.len());
        let len = MIN_HEADER_LEN + options.len() + payload.iter().map(|part| part.as_ref().len()).sum::<usize>();
        //= 9293/MUST-2
        let start = Sum::pseudo_header(sum, src, dst, protocol::TCP, len).with(raw.as_bytes()).with(&options);
        raw.checksum = U16::new(start.with_all(payload).checksum());
        concat(&raw, &options)
    }

    /// As `to_bytes` for a device that finishes the checksum: its field has the sum of the pseudo-header alone, and
    /// `payload_len` bytes will follow.
    pub fn to_bytes_partial(
        &self,
        src: IpAddr,
        dst: IpAddr,
        payload_len: usize,
        sum: SumFn,
    ) -> ArrayVec<u8, MAX_HEADER_LEN> {
        let options = self.options.to_bytes();
        let mut raw = self.to_raw(options.len());
        let len = MIN_HEADER_LEN + options.len() + payload_len;
        raw.checksum = U16::new(Sum::pseudo_header(sum, src, dst, protocol::TCP, len).partial());
        concat(&raw, &options)
    }

    /// The fixed part, its checksum still zero.
    fn to_raw(&self, options_len: usize) -> Raw {
        let words = u16::try_from((MIN_HEADER_LEN + options_len) / 4).expect("at most 15 words");
        Raw {
            src_port: U16::new(self.src_port),
            dst_port: U16::new(self.dst_port),
            seq: U32::new(self.seq.0),
            ack: U32::new(self.ack.0),
            offset_flags: U16::new(words << 12 | self.flags.0 & Flags::ALL.0),
            window: U16::new(self.window),
            checksum: U16::ZERO,
            urgent: U16::new(self.urgent),
        }
    }

    /// Rewrites the fixed part of the header that `segment` starts with, all but its ports, to what `self` says, and
    /// computes the checksum over the segment, which must be whole. The option bytes stay as they are. Does nothing
    /// to what is no header.
    pub fn rewrite(&self, segment: &mut [u8], src: IpAddr, dst: IpAddr, sum: SumFn) {
        let Ok((raw, _)) = Raw::mut_from_prefix(segment) else { return };
        let offset = raw.offset_flags.get() & !Flags::ALL.0;
        raw.offset_flags = U16::new(offset | self.flags.0 & Flags::ALL.0);
        (raw.seq, raw.ack) = (U32::new(self.seq.0), U32::new(self.ack.0));
        (raw.window, raw.urgent, raw.checksum) = (U16::new(self.window), U16::new(self.urgent), U16::ZERO);
        let checksum = Sum::pseudo_header(sum, src, dst, protocol::TCP, segment.len()).with(segment).checksum();
        if let Ok((raw, _)) = Raw::mut_from_prefix(segment) {
            raw.checksum = U16::new(checksum);
        }
    }

    /// How many bytes the header takes with its options.
    pub fn header_len(&self) -> usize {
        MIN_HEADER_LEN + self.options.to_bytes().len()
    }
}

/// A whole header.
fn concat(raw: &Raw, options: &[u8]) -> ArrayVec<u8, MAX_HEADER_LEN> {
    let mut bytes = ArrayVec::new();
    for part in [raw.as_bytes(), options] {
        bytes.try_extend_from_slice(part).expect("20 bytes and at most 40 of options");
    }
    bytes
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct Raw {
    src_port: U16,
    dst_port: U16,
    seq: U32,
    ack: U32,
    offset_flags: U16,
    window: U16,
    checksum: U16,
    urgent: U16,
}

/// The control bits of a header, in their places on the wire.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Flags(pub u16);

#[expect(missing_docs, reason = "the names are the RFC's")]
impl Flags {
    pub const NONE: Flags = Flags(0);
    pub const FIN: Flags = Flags(0x001);
    pub const SYN: Flags = Flags(0x002);
    pub const RST: Flags = Flags(0x004);
    pub const PSH: Flags = Flags(0x008);
    pub const ACK: Flags = Flags(0x010);
    pub const URG: Flags = Flags(0x020);
    pub const ECE: Flags = Flags(0x040);
    pub const CWR: Flags = Flags(0x080);
    pub const AE: Flags = Flags(0x100);
    const ALL: Flags = Flags(0x1ff);
}

impl Flags {
    /// True if every bit of `other` is set.
    pub const fn has(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }

    /// The flags without those of `other`.
    pub const fn without(self, other: Flags) -> Flags {
        Flags(self.0 & !other.0)
    }

    /// True if any bit of `other` is set.
    pub const fn any(self, other: Flags) -> bool {
        self.0 & other.0 != 0
    }
}

impl core::ops::BitOr for Flags {
    type Output = Flags;
    fn bitor(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }
}

impl core::ops::BitOrAssign for Flags {
    fn bitor_assign(&mut self, other: Flags) {
        self.0 |= other.0;
    }
}

/// tcpdump's letters, in its order: `S.`, `F.`, `P.`, `none`.
impl core::fmt::Display for Flags {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        if self.0 & 0xff == 0 {
            return f.write_str("none");
        }
        for (flag, letter) in [
            (Flags::FIN, 'F'),
            (Flags::SYN, 'S'),
            (Flags::RST, 'R'),
            (Flags::PSH, 'P'),
            (Flags::ACK, '.'),
            (Flags::URG, 'U'),
            (Flags::ECE, 'E'),
            (Flags::CWR, 'W'),
        ] {
            if self.has(flag) {
                core::fmt::Write::write_char(f, letter)?;
            }
        }
        Ok(())
    }
}

impl core::fmt::Debug for Flags {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "[{self}]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::checksum::portable;
    use crate::wire::options::tests::any_options;
    use proptest::prelude::*;
    use std::vec::Vec;

    const A: IpAddr = IpAddr::V4(core::net::Ipv4Addr::new(192, 168, 131, 132));
    const B: IpAddr = IpAddr::V4(core::net::Ipv4Addr::new(192, 168, 131, 138));

    fn any_header() -> impl Strategy<Value = Header> {
        let numbers = (any::<u32>(), any::<u32>(), any::<u16>(), any::<u16>());
        ((any::<u16>(), any::<u16>()), numbers, 0_u16..0x200, any_options()).prop_map(
            |((src_port, dst_port), (seq, ack, window, urgent), flags, options)| Header {
                src_port,
                dst_port,
                seq: Seq(seq),
                ack: Seq(ack),
                flags: Flags(flags),
                window,
                urgent,
                options,
            },
        )
    }

    fn emit(header: &Header, payload: &[&[u8]]) -> Vec<u8> {
        let mut bytes = header.to_bytes(A, B, payload, portable).to_vec();
        payload.iter().for_each(|part| bytes.extend_from_slice(part));
        bytes
    }

    proptest! {
        //= 9293/MUST-1
        //= 9293/MUST-2
        //= 9293/MUST-5
        #[test]
        fn a_header_survives_the_wire(header in any_header(), one: Vec<u8>, two: Vec<u8>) {
            let bytes = emit(&header, &[&one, &two]);
            let len = header.header_len();
            prop_assert_eq!(Header::parse(&bytes, A, B, Some(portable)), Ok((header, len)));
            prop_assert_eq!(&bytes[len..], [one, two].concat());
        }

        //= 9293/MUST-3
        #[test]
        fn a_turned_bit_is_seen(header in any_header(), payload: Vec<u8>, at: prop::sample::Index, bit in 0_u8..8) {
            let mut bytes = emit(&header, &[&payload]);
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            prop_assert_eq!(Header::parse(&bytes, A, B, Some(portable)), Err(Error::BadChecksum));
        }

        #[test]
        fn any_bytes_can_be_read(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            if let Ok((_, payload)) = Header::parse(&bytes, A, B, None) {
                prop_assert!(payload <= bytes.len());
            }
        }
    }

    #[test]
    fn lengths_that_cannot_be() {
        let good = emit(&Header::default(), &[b"four"]);
        for (offset, parsed) in [
            (0, Err(Error::BadLength)),
            (4, Err(Error::BadLength)),
            (5, Ok(20)),
            (7, Err(Error::Truncated)),
            (15, Err(Error::Truncated)),
        ] {
            let mut bytes = good.clone();
            bytes[12] = offset << 4;
            assert_eq!(Header::parse(&bytes, A, B, None).map(|(_, payload)| payload), parsed, "data offset {offset}");
        }
        assert_eq!(Header::parse(&good[..19], A, B, None), Err(Error::Truncated));
    }

    #[test]
    fn the_addresses_are_under_the_checksum() {
        let bytes = emit(&Header::default(), &[]);
        assert_eq!(Header::parse(&bytes, A, A, Some(portable)), Err(Error::BadChecksum));
    }
}
