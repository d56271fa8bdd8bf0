//! Ethernet II frames.
//!
//! Sections: none of TCP's; RFC 894, RFC 2464.
//! In: a frame's bytes.
//! Out: addresses, EtherType, and where the packet starts.

use core::fmt;

use zerocopy::network_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::Error;

/// The header of an Ethernet II frame.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Header {
    /// Destination address.
    pub dst: MacAddr,
    /// Source address.
    pub src: MacAddr,
    /// What the payload is: one of the `ETHERTYPE` constants here, or another.
    pub ethertype: u16,
}

/// The length of a header without tags.
pub const HEADER_LEN: usize = 14;
/// IPv4.
pub const ETHERTYPE_IPV4: u16 = 0x0800;
/// ARP.
pub const ETHERTYPE_ARP: u16 = 0x0806;
/// IPv6.
pub const ETHERTYPE_IPV6: u16 = 0x86dd;

impl Header {
    /// The header of a frame, and where its payload starts. VLAN tags are passed over.
    pub fn parse(bytes: &[u8]) -> Result<(Header, usize), Error> {
        let (raw, mut rest) = Raw::read_from_prefix(bytes).map_err(|_| Error::Truncated)?;
        let mut ethertype = raw.ethertype.get();
        let mut payload = HEADER_LEN;
        for _ in 0..MAX_TAGS {
            if !matches!(ethertype, TAG_8021Q | TAG_8021AD) {
                break;
            }
            let (tag, behind) = Tag::read_from_prefix(rest).map_err(|_| Error::Truncated)?;
            (ethertype, rest, payload) = (tag.ethertype.get(), behind, payload + TAG_LEN);
        }
        Ok((Header { dst: MacAddr(raw.dst), src: MacAddr(raw.src), ethertype }, payload))
    }

    /// The header's bytes, without tags.
    pub fn to_bytes(&self) -> [u8; HEADER_LEN] {
        zerocopy::transmute!(Raw { dst: self.dst.0, src: self.src.0, ethertype: self.ethertype.into() })
    }
}

/// A six-byte Ethernet address.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct MacAddr(pub [u8; 6]);

impl MacAddr {
    /// Every station on the link.
    pub const BROADCAST: MacAddr = MacAddr([0xff; 6]);

    /// True for addresses of groups of stations, broadcast included.
    pub const fn is_multicast(self) -> bool {
        self.0[0] & 1 == 1
    }
}

impl fmt::Display for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct Raw {
    dst: [u8; 6],
    src: [u8; 6],
    ethertype: U16,
}

/// What stands between a tag's own EtherType and the payload: IEEE 802.1Q.
#[derive(FromBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct Tag {
    _control: U16,
    ethertype: U16,
}

const TAG_8021Q: u16 = 0x8100;
const TAG_8021AD: u16 = 0x88a8;
const TAG_LEN: usize = 4;
/// A service tag and a customer tag: IEEE 802.1ad.
const MAX_TAGS: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_header_survives_the_wire(dst: [u8; 6], src: [u8; 6], ethertype in 0x600_u16..0x8000) {
            let header = Header { dst: MacAddr(dst), src: MacAddr(src), ethertype };
            prop_assert_eq!(Header::parse(&header.to_bytes()), Ok((header, HEADER_LEN)));
        }

        #[test]
        fn any_bytes_can_be_read(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            if let Ok((_, payload)) = Header::parse(&bytes) {
                prop_assert!(payload <= bytes.len());
            }
        }
    }

    #[test]
    fn tags_are_passed_over() {
        let mut bytes = [0; 22];
        bytes[12..].copy_from_slice(&[0x88, 0xa8, 0, 1, 0x81, 0, 0, 2, 0x86, 0xdd]);
        let (header, payload) = Header::parse(&bytes).expect("both tags are whole");
        assert_eq!((header.ethertype, payload), (ETHERTYPE_IPV6, 22));
        assert_eq!(Header::parse(&bytes[..20]), Err(Error::Truncated));
    }
}
