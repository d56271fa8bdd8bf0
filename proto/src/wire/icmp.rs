//! ICMP for IPv4, and ICMPv6 with neighbour discovery.
//!
//! Sections: RFC 792; RFC 1191 4; RFC 4443 3, 4; RFC 4861 4.3, 4.4, 4.6.1, 7.1.
//! In: the payload of an IP packet; for ICMPv6 the addresses of its pseudo-header too.
//! Out: a [`V4`] or [`V6`] message and where its data starts; or the bytes of one to send; what an error quotes.

use core::net::{IpAddr, Ipv6Addr, SocketAddr};

use arrayvec::ArrayVec;

use super::checksum::{self, Sum};
use super::eth::MacAddr;
use super::ip::{self, protocol};
use super::{Error, Seq};

/// An ICMP message. Behind its eight bytes stands the data of an echo, or the packet that an error quotes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum V4 {
    /// Echo, type 8.
    EchoRequest(Echo),
    /// Echo reply, type 0.
    EchoReply(Echo),
    /// Destination unreachable, type 3.
    Unreachable {
        /// Why: 0 network, 1 host, 2 protocol, 3 port, 4 too big, ...
        code: u8,
        /// With code 4, the MTU of the next hop, or 0 from a router older than RFC 1191.
        next_hop_mtu: u16,
    },
    /// Source quench, type 4; obsolete (RFC 6633).
    SourceQuench,
    /// Time exceeded, type 11.
    TimeExceeded {
        /// 0 in transit, 1 in reassembly.
        code: u8,
    },
    /// Parameter problem, type 12.
    ParameterProblem {
        /// 0: `pointer` says where.
        code: u8,
        /// Which byte of the quoted packet is at fault.
        pointer: u8,
    },
    /// Anything else. Never emitted by this host.
    Other {
        /// Its type.
        kind: u8,
        /// Its code.
        code: u8,
    },
}

/// An ICMPv6 message. Behind it stands the data of an echo, or the packet that an error quotes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum V6 {
    /// Destination unreachable, type 1.
    Unreachable {
        /// Why: 0 no route, 1 prohibited, 3 address, 4 port, ...
        code: u8,
    },
    /// Packet too big, type 2.
    PacketTooBig {
        /// The MTU of the next hop.
        mtu: u32,
    },
    /// Time exceeded, type 3.
    TimeExceeded {
        /// 0 in transit, 1 in reassembly.
        code: u8,
    },
    /// Parameter problem, type 4.
    ParameterProblem {
        /// 0 a field, 1 a next header, 2 an option.
        code: u8,
        /// Which byte of the quoted packet is at fault.
        pointer: u32,
    },
    /// Echo request, type 128.
    EchoRequest(Echo),
    /// Echo reply, type 129.
    EchoReply(Echo),
    /// Who has this address? Type 135.
    NeighbourSolicitation {
        /// The address asked for.
        target: Ipv6Addr,
        /// The asker's link-layer address.
        source_mac: Option<MacAddr>,
    },
    /// This host has it. Type 136.
    NeighbourAdvertisement {
        /// The address in question.
        target: Ipv6Addr,
        /// Its link-layer address.
        target_mac: Option<MacAddr>,
        /// R: the sender is a router.
        router: bool,
        /// S: this answers a solicitation.
        solicited: bool,
        /// O: this replaces what a cache has.
        r#override: bool,
    },
    /// Anything else. Never emitted by this host.
    Other {
        /// Its type.
        kind: u8,
        /// Its code.
        code: u8,
    },
}

/// What an echo and its reply have in common.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Echo {
    /// Identifier.
    pub id: u16,
    /// Sequence number.
    pub seq: u16,
}

/// Where the data of a message starts, neighbour discovery's apart.
pub const DATA_OFFSET: usize = 8;

impl V4 {
    /// The message in an IP payload; its data starts at [`DATA_OFFSET`].
    pub fn parse(bytes: &[u8]) -> Result<V4, Error> {
        let [kind, code, _, _, rest @ ..] = first_eight(bytes)?;
        if !Sum::new(checksum::portable).with(bytes).is_valid() {
            return Err(Error::BadChecksum);
        }
        let [pointer, _, c, d] = rest;
        Ok(match kind {
            0 => V4::EchoReply(Echo::from_bytes(rest)),
            3 => V4::Unreachable { code, next_hop_mtu: if code == 4 { u16::from_be_bytes([c, d]) } else { 0 } },
            4 => V4::SourceQuench,
            8 => V4::EchoRequest(Echo::from_bytes(rest)),
            11 => V4::TimeExceeded { code },
            12 => V4::ParameterProblem { code, pointer },
            kind => V4::Other { kind, code },
        })
    }

    /// The first eight bytes, the checksum over them and `data` included.
    pub fn to_bytes(&self, data: &[u8]) -> [u8; DATA_OFFSET] {
        let (kind, code, rest) = match *self {
            V4::EchoReply(echo) => (0, 0, echo.to_bytes()),
            V4::Unreachable { code, next_hop_mtu } => {
                let [c, d] = next_hop_mtu.to_be_bytes();
                (3, code, [0, 0, c, d])
            }
            V4::SourceQuench => (4, 0, [0; 4]),
            V4::EchoRequest(echo) => (8, 0, echo.to_bytes()),
            V4::TimeExceeded { code } => (11, code, [0; 4]),
            V4::ParameterProblem { code, pointer } => (12, code, [pointer, 0, 0, 0]),
            V4::Other { kind, code } => (kind, code, [0; 4]),
        };
        let [e, f, g, h] = rest;
        let sum = Sum::new(checksum::portable).with(&[kind, code, 0, 0, e, f, g, h]).with(data);
        let [c, d] = sum.checksum().to_be_bytes();
        [kind, code, c, d, e, f, g, h]
    }

    /// True for messages that quote a packet, and that must never be answered with another error (RFC 1122 3.2.2).
    pub const fn is_error(&self) -> bool {
        matches!(
            self,
            V4::Unreachable { .. } | V4::SourceQuench | V4::TimeExceeded { .. } | V4::ParameterProblem { .. }
        )
    }
}

impl V6 {
    /// The message in an IP payload; its data starts at [`DATA_OFFSET`]. For neighbour discovery the caller still has
    /// to see that the hop limit is 255.
    pub fn parse(bytes: &[u8], src: Ipv6Addr, dst: Ipv6Addr) -> Result<V6, Error> {
        let [kind, code, _, _, rest @ ..] = first_eight(bytes)?;
        if !pseudo_header(src, dst, bytes.len()).with(bytes).is_valid() {
            return Err(Error::BadChecksum);
        }
        Ok(match kind {
            1 => V6::Unreachable { code },
            2 => V6::PacketTooBig { mtu: u32::from_be_bytes(rest) },
            3 => V6::TimeExceeded { code },
            4 => V6::ParameterProblem { code, pointer: u32::from_be_bytes(rest) },
            128 => V6::EchoRequest(Echo::from_bytes(rest)),
            129 => V6::EchoReply(Echo::from_bytes(rest)),
            NEIGHBOUR_SOLICITATION => {
                let (target, source_mac) = neighbour_body(bytes, code, SOURCE_LINK_LAYER)?;
                // RFC 4861 7.1.1: an asker that has no address yet asks the solicited-node group, and hides its
                // link-layer address.
                if src.is_unspecified() && (source_mac.is_some() || dst != ip::solicited_node(target)) {
                    return Err(Error::BadVersion);
                }
                V6::NeighbourSolicitation { target, source_mac }
            }
            NEIGHBOUR_ADVERTISEMENT => {
                let (target, target_mac) = neighbour_body(bytes, code, TARGET_LINK_LAYER)?;
                let [flags, ..] = rest;
                let (router, solicited) = (flags & ROUTER != 0, flags & SOLICITED != 0);
                // RFC 4861 7.1.2.
                if solicited && dst.is_multicast() {
                    return Err(Error::BadVersion);
                }
                let r#override = flags & OVERRIDE != 0;
                V6::NeighbourAdvertisement { target, target_mac, router, solicited, r#override }
            }
            kind => V6::Other { kind, code },
        })
    }

    /// The message's bytes up to its data, the checksum over them and `data` included.
    pub fn to_bytes(&self, src: Ipv6Addr, dst: Ipv6Addr, data: &[u8]) -> ArrayVec<u8, 32> {
        let (kind, code, rest) = match *self {
            V6::Unreachable { code } => (1, code, [0; 4]),
            V6::PacketTooBig { mtu } => (2, 0, mtu.to_be_bytes()),
            V6::TimeExceeded { code } => (3, code, [0; 4]),
            V6::ParameterProblem { code, pointer } => (4, code, pointer.to_be_bytes()),
            V6::EchoRequest(echo) => (128, 0, echo.to_bytes()),
            V6::EchoReply(echo) => (129, 0, echo.to_bytes()),
            V6::NeighbourSolicitation { .. } => (NEIGHBOUR_SOLICITATION, 0, [0; 4]),
            V6::NeighbourAdvertisement { router, solicited, r#override, .. } => {
                let flags = [(router, ROUTER), (solicited, SOLICITED), (r#override, OVERRIDE)];
                let flags = flags.iter().filter(|(set, _)| *set).fold(0, |all, (_, flag)| all | flag);
                (NEIGHBOUR_ADVERTISEMENT, 0, [flags, 0, 0, 0])
            }
            V6::Other { kind, code } => (kind, code, [0; 4]),
        };
        let neighbour = match *self {
            V6::NeighbourSolicitation { target, source_mac } => neighbour_bytes(target, SOURCE_LINK_LAYER, source_mac),
            V6::NeighbourAdvertisement { target, target_mac, .. } => {
                neighbour_bytes(target, TARGET_LINK_LAYER, target_mac)
            }
            _ => ArrayVec::new(),
        };
        let [e, f, g, h] = rest;
        let len = DATA_OFFSET + neighbour.len() + data.len();
        let sum = pseudo_header(src, dst, len).with(&[kind, code, 0, 0, e, f, g, h]).with(&neighbour).with(data);
        let [c, d] = sum.checksum().to_be_bytes();
        [kind, code, c, d, e, f, g, h].into_iter().chain(neighbour).collect()
    }

    /// True for messages that quote a packet, and that must never be answered with another error (RFC 4443 2.4).
    pub const fn is_error(&self) -> bool {
        matches!(
            self,
            V6::Unreachable { .. } | V6::PacketTooBig { .. } | V6::TimeExceeded { .. } | V6::ParameterProblem { .. }
        )
    }
}

impl Echo {
    fn from_bytes([a, b, c, d]: [u8; 4]) -> Echo {
        Echo { id: u16::from_be_bytes([a, b]), seq: u16::from_be_bytes([c, d]) }
    }

    fn to_bytes(self) -> [u8; 4] {
        let ([a, b], [c, d]) = (self.id.to_be_bytes(), self.seq.to_be_bytes());
        [a, b, c, d]
    }
}

/// What an error quotes of a TCP segment: enough to find the connection and to see that the segment was ours.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Quote {
    /// Who sent the quoted segment.
    pub src: SocketAddr,
    /// Where it was going.
    pub dst: SocketAddr,
    /// Its sequence number.
    pub seq: Seq,
    /// The whole packet's length, as its header has it.
    pub len: u16,
}

impl Quote {
    /// The TCP segment quoted in an error's data; `None` if it is another protocol, or not enough of it is there.
    pub fn parse(data: &[u8]) -> Option<Quote> {
        let (header, payload) = ip::Header::parse_quoted(data).ok()?;
        let &[a, b, c, d, e, f, g, h] = data.get(payload)?.first_chunk::<8>()?;
        let len = match (header, data) {
            (ip::Header::V4(_), &[_, _, high, low, ..]) => u16::from_be_bytes([high, low]),
            (ip::Header::V6(_), &[_, _, _, _, high, low, ..]) => u16::from_be_bytes([high, low]).saturating_add(40),
            _ => return None,
        };
        // Only the first fragment starts with ports.
        let first = match header {
            ip::Header::V4(header) => header.fragment_offset == 0,
            ip::Header::V6(header) => header.fragment.is_none_or(|fragment| fragment.offset == 0),
        };
        (first && header.protocol() == protocol::TCP).then(|| Quote {
            src: SocketAddr::new(header.src(), u16::from_be_bytes([a, b])),
            dst: SocketAddr::new(header.dst(), u16::from_be_bytes([c, d])),
            seq: Seq(u32::from_be_bytes([e, f, g, h])),
            len,
        })
    }
}

fn first_eight(bytes: &[u8]) -> Result<[u8; DATA_OFFSET], Error> {
    bytes.first_chunk().copied().ok_or(Error::Truncated)
}

fn pseudo_header(src: Ipv6Addr, dst: Ipv6Addr, len: usize) -> Sum {
    Sum::pseudo_header(checksum::portable, IpAddr::V6(src), IpAddr::V6(dst), protocol::ICMPV6, len)
}

/// The target and the link-layer address of a neighbour message, with the checks that 7.1.1 and 7.1.2 share.
fn neighbour_body(bytes: &[u8], code: u8, wanted: u8) -> Result<(Ipv6Addr, Option<MacAddr>), Error> {
    let (target, mut options) =
        bytes.get(DATA_OFFSET..).and_then(<[u8]>::split_first_chunk::<16>).ok_or(Error::Truncated)?;
    let target = Ipv6Addr::from_octets(*target);
    if code != 0 || target.is_multicast() {
        return Err(Error::BadVersion);
    }
    let mut mac = None;
    while let [kind, units, ..] = *options {
        if units == 0 {
            return Err(Error::BadLength);
        }
        let (option, rest) = options.split_at_checked(usize::from(units) * 8).ok_or(Error::Truncated)?;
        if let (true, [_, _, address @ ..]) = (kind == wanted, option)
            && let Ok(address) = <[u8; 6]>::try_from(address)
        {
            mac = Some(MacAddr(address));
        }
        options = rest;
    }
    Ok((target, mac))
}

fn neighbour_bytes(target: Ipv6Addr, kind: u8, mac: Option<MacAddr>) -> ArrayVec<u8, 24> {
    let option = mac.map(|mac| [kind, 1].into_iter().chain(mac.0));
    target.octets().into_iter().chain(option.into_iter().flatten()).collect()
}

const NEIGHBOUR_SOLICITATION: u8 = 135;
const NEIGHBOUR_ADVERTISEMENT: u8 = 136;
const ROUTER: u8 = 0x80;
const SOLICITED: u8 = 0x40;
const OVERRIDE: u8 = 0x20;
const SOURCE_LINK_LAYER: u8 = 1;
const TARGET_LINK_LAYER: u8 = 2;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    fn any_echo() -> impl Strategy<Value = Echo> {
        (any::<u16>(), any::<u16>()).prop_map(|(id, seq)| Echo { id, seq })
    }

    fn any_v4() -> impl Strategy<Value = V4> {
        prop_oneof![
            any_echo().prop_map(V4::EchoRequest),
            any_echo().prop_map(V4::EchoReply),
            any::<u16>().prop_map(|next_hop_mtu| V4::Unreachable { code: 4, next_hop_mtu }),
            (0_u8..4).prop_map(|code| V4::Unreachable { code, next_hop_mtu: 0 }),
            Just(V4::SourceQuench),
            (0_u8..2).prop_map(|code| V4::TimeExceeded { code }),
            (0_u8..2, any::<u8>()).prop_map(|(code, pointer)| V4::ParameterProblem { code, pointer }),
        ]
    }

    fn any_v6() -> impl Strategy<Value = V6> {
        let target = any::<[u8; 15]>().prop_map(|rest| {
            let mut octets = [0xfd; 16];
            octets[1..].copy_from_slice(&rest);
            Ipv6Addr::from_octets(octets)
        });
        let neighbour = (target, prop::option::of(any::<[u8; 6]>().prop_map(MacAddr)));
        prop_oneof![
            any_echo().prop_map(V6::EchoRequest),
            any_echo().prop_map(V6::EchoReply),
            (0_u8..7).prop_map(|code| V6::Unreachable { code }),
            any::<u32>().prop_map(|mtu| V6::PacketTooBig { mtu }),
            (0_u8..2).prop_map(|code| V6::TimeExceeded { code }),
            (0_u8..3, any::<u32>()).prop_map(|(code, pointer)| V6::ParameterProblem { code, pointer }),
            neighbour.clone().prop_map(|(target, source_mac)| V6::NeighbourSolicitation { target, source_mac }),
            (neighbour, any::<[bool; 3]>()).prop_map(|((target, target_mac), [router, solicited, r#override])| {
                V6::NeighbourAdvertisement { target, target_mac, router, solicited, r#override }
            }),
        ]
    }

    const A: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1);
    const B: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 2);

    fn v6_bytes(message: V6, src: Ipv6Addr, dst: Ipv6Addr) -> Vec<u8> {
        message.to_bytes(src, dst, &[]).to_vec()
    }

    proptest! {
        #[test]
        fn v4_survives_the_wire(message in any_v4(), data: Vec<u8>) {
            let bytes = [&message.to_bytes(&data)[..], &data].concat();
            prop_assert_eq!(V4::parse(&bytes), Ok(message));
        }

        #[test]
        fn v6_survives_the_wire(message in any_v6(), data: Vec<u8>) {
            let is_neighbour = matches!(message, V6::NeighbourSolicitation { .. } | V6::NeighbourAdvertisement { .. });
            let data = if is_neighbour { Vec::new() } else { data };
            let bytes = [&message.to_bytes(A, B, &data)[..], &data].concat();
            prop_assert_eq!(V6::parse(&bytes, A, B), Ok(message));
            prop_assert_eq!(V6::parse(&bytes, A, A), Err(Error::BadChecksum));
        }

        /// Any bytes under a right checksum, so that the fuzz reaches behind it.
        #[test]
        fn any_bytes_can_be_read(mut bytes in prop::collection::vec(any::<u8>(), 0..60), neighbour: bool) {
            let _ = V4::parse(&bytes);
            let _ = V6::parse(&bytes, A, B);
            let _ = Quote::parse(&bytes);
            if bytes.len() > 8 {
                bytes[0] = if neighbour { NEIGHBOUR_SOLICITATION } else { bytes[0] };
                bytes[2..4].copy_from_slice(&[0, 0]);
                let sum = pseudo_header(A, B, bytes.len()).with(&bytes).checksum();
                bytes[2..4].copy_from_slice(&sum.to_be_bytes());
                prop_assert_ne!(V6::parse(&bytes, A, B), Err(Error::BadChecksum));
            }
        }
    }

    #[test]
    fn neighbour_messages_that_rfc_4861_forbids() {
        let mac = Some(MacAddr([2, 0, 0, 0, 0, 1]));
        let none = Ipv6Addr::UNSPECIFIED;
        let group = ip::solicited_node(B);
        let solicitation = |source_mac| V6::NeighbourSolicitation { target: B, source_mac };
        let advertisement = |solicited| V6::NeighbourAdvertisement {
            target: A,
            target_mac: mac,
            router: false,
            solicited,
            r#override: true,
        };
        for (message, src, dst, fine) in [
            (solicitation(mac), A, group, true),
            (solicitation(None), none, group, true),
            (solicitation(mac), none, group, false),
            (solicitation(None), none, B, false),
            (V6::NeighbourSolicitation { target: group, source_mac: mac }, A, group, false),
            (advertisement(true), A, B, true),
            (advertisement(false), A, "ff02::1".parse().expect("an address"), true),
            (advertisement(true), A, "ff02::1".parse().expect("an address"), false),
        ] {
            let parsed = V6::parse(&v6_bytes(message, src, dst), src, dst);
            assert_eq!(parsed, if fine { Ok(message) } else { Err(Error::BadVersion) }, "{src} > {dst}");
        }
    }

    #[test]
    fn an_option_of_length_zero_is_an_error() {
        let mut bytes = v6_bytes(V6::NeighbourSolicitation { target: B, source_mac: Some(MacAddr::default()) }, A, B);
        bytes[25] = 0;
        bytes[2..4].copy_from_slice(&[0, 0]);
        let sum = pseudo_header(A, B, bytes.len()).with(&bytes).checksum();
        bytes[2..4].copy_from_slice(&sum.to_be_bytes());
        assert_eq!(V6::parse(&bytes, A, B), Err(Error::BadLength));
    }

    #[test]
    fn a_quote_names_the_connection() {
        let header = super::super::ipv6::Header {
            src: A,
            dst: B,
            protocol: protocol::TCP,
            hop_limit: 1,
            dscp: 0,
            ecn: super::super::Ecn::NotEct,
            flow_label: 0,
            fragment: None,
        };
        let mut bytes = header.to_bytes(1000).to_vec();
        bytes.extend_from_slice(&[0x80, 0, 0, 80, 0, 0, 0, 9]);
        let quote = Quote { src: (A, 0x8000).into(), dst: (B, 80).into(), seq: Seq(9), len: 1040 };
        assert_eq!(Quote::parse(&bytes), Some(quote));
        assert_eq!(Quote::parse(&bytes[..47]), None);
    }
}
