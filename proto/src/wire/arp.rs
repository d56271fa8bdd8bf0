//! ARP for IPv4 over Ethernet.
//!
//! Sections: RFC 826.
//! In: the payload of an Ethernet frame with EtherType 0x0806.
//! Out: a [`Packet`]; or the bytes of one to send.

use core::net::Ipv4Addr;

use zerocopy::network_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::Error;
use super::eth::{ETHERTYPE_IPV4, MacAddr};

/// A question or an answer: who has this address?
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Packet {
    /// What it is.
    pub operation: Operation,
    /// The sender's Ethernet address.
    pub sender_mac: MacAddr,
    /// The sender's IPv4 address.
    pub sender_ip: Ipv4Addr,
    /// The target's Ethernet address; zero in a request.
    pub target_mac: MacAddr,
    /// The target's IPv4 address.
    pub target_ip: Ipv4Addr,
}

/// What an ARP packet wants.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Operation {
    /// ares_op$REQUEST, 1.
    Request,
    /// ares_op$REPLY, 2.
    Reply,
}

/// The length of a packet.
pub const PACKET_LEN: usize = 28;

impl Packet {
    /// The packet at the start of `bytes`; what follows is Ethernet's padding.
    pub fn parse(bytes: &[u8]) -> Result<Packet, Error> {
        let (raw, _) = Raw::read_from_prefix(bytes).map_err(|_| Error::Truncated)?;
        if raw.hardware.get() != HARDWARE_ETHERNET || raw.protocol.get() != ETHERTYPE_IPV4 {
            return Err(Error::BadVersion);
        }
        if (raw.hardware_len, raw.protocol_len) != (6, 4) {
            return Err(Error::BadLength);
        }
        let operation = match raw.operation.get() {
            1 => Operation::Request,
            2 => Operation::Reply,
            _ => return Err(Error::BadVersion),
        };
        Ok(Packet {
            operation,
            sender_mac: MacAddr(raw.sender_mac),
            sender_ip: Ipv4Addr::from_octets(raw.sender_ip),
            target_mac: MacAddr(raw.target_mac),
            target_ip: Ipv4Addr::from_octets(raw.target_ip),
        })
    }

    /// The packet's bytes.
    pub fn to_bytes(&self) -> [u8; PACKET_LEN] {
        let operation = match self.operation {
            Operation::Request => 1,
            Operation::Reply => 2,
        };
        zerocopy::transmute!(Raw {
            hardware: HARDWARE_ETHERNET.into(),
            protocol: ETHERTYPE_IPV4.into(),
            hardware_len: 6,
            protocol_len: 4,
            operation: U16::new(operation),
            sender_mac: self.sender_mac.0,
            sender_ip: self.sender_ip.octets(),
            target_mac: self.target_mac.0,
            target_ip: self.target_ip.octets(),
        })
    }
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct Raw {
    hardware: U16,
    protocol: U16,
    hardware_len: u8,
    protocol_len: u8,
    operation: U16,
    sender_mac: [u8; 6],
    sender_ip: [u8; 4],
    target_mac: [u8; 6],
    target_ip: [u8; 4],
}

const HARDWARE_ETHERNET: u16 = 1;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_packet_survives_the_wire(request: bool, sender_mac: [u8; 6], sender_ip: [u8; 4], target_mac: [u8; 6], target_ip: [u8; 4]) {
            let packet = Packet {
                operation: if request { Operation::Request } else { Operation::Reply },
                sender_mac: MacAddr(sender_mac),
                sender_ip: sender_ip.into(),
                target_mac: MacAddr(target_mac),
                target_ip: target_ip.into(),
            };
            prop_assert_eq!(Packet::parse(&packet.to_bytes()), Ok(packet));
        }

        #[test]
        fn any_bytes_can_be_read(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = Packet::parse(&bytes);
        }
    }
}
