//! What a frame starts with: an Ethernet header, VLAN tags, or an IP header at once.
//!
//! Sections: RFC 894, RFC 2464; IEEE 802.1Q.
//! In: the captured bytes and the frame's length on the wire.
//! Out: the link part of the line with `-e`, and the packet's line by its EtherType.

use super::bytes::{Captured, CutShort};
use super::line::{Line, name_of};
use super::{arp, ipv4, ipv6, put};

/// A frame without a link header.
pub(super) fn raw(line: &mut Line, bytes: Captured, length: u32) -> Result<(), CutShort> {
    line.protocol = "raw";
    if line.options.link_header {
        put!(line, "ip: ");
    }
    match bytes.u8(0)? >> 4 {
        4 => ipv4::print(line, bytes, length),
        6 => ipv6::print(line, bytes, length),
        version => {
            put!(line, "unknown ip {version}");
            Ok(())
        }
    }
}

/// A frame with an Ethernet header.
pub(super) fn ethernet(line: &mut Line, bytes: Captured, length: u32) -> Result<(), CutShort> {
    line.protocol = "ether";
    let (Ok(header), HEADER..) = (bytes.slice(0, HEADER), length) else {
        line.cut_short();
        return Ok(());
    };
    let outer_type = bytes.u16(TYPE_AT)?;
    if line.options.link_header {
        print_addresses(line, header);
        if !VLAN_TAGS.contains(&outer_type) {
            print_type(line, outer_type, length);
        }
    }
    let Some((inner_type, bytes, payload_length)) = skip_tags(line, outer_type, bytes.from(HEADER), length) else {
        line.protocol = "vlan";
        line.cut_short();
        return Ok(());
    };
    match inner_type {
        0x0800 => return ipv4::print(line, bytes, payload_length),
        0x86dd => return ipv6::print(line, bytes, payload_length),
        0x0806 | 0x8035 => return arp::print(line, bytes, payload_length),
        _ => {}
    }
    // Nobody here knows it: the header if it is not there yet, and the bytes.
    if !line.options.link_header {
        print_addresses(line, header);
        print_type(line, inner_type, length);
    }
    line.hex_and_ascii("\n\t", bytes.all());
    Ok(())
}

/// What is behind the VLAN tags: a type, the bytes, their length. Nothing if a tag was cut.
fn skip_tags<'a>(
    line: &mut Line,
    mut length_type: u16,
    mut bytes: Captured<'a>,
    frame_length: u32,
) -> Option<(u16, Captured<'a>, u32)> {
    let mut length = frame_length - HEADER;
    let mut tags = 0;
    while VLAN_TAGS.contains(&length_type) {
        let [t0, t1, l0, l1] = bytes.array(0).ok()?;
        length = length.checked_sub(4)?;
        bytes = bytes.from(4);
        if line.options.link_header {
            match tags {
                0 => print_type(line, length_type, frame_length),
                _ => print_inner_type(line, length_type),
            }
            print_tag(line, u16::from_be_bytes([t0, t1]));
        }
        length_type = u16::from_be_bytes([l0, l1]);
        tags += 1;
    }
    if line.options.link_header && tags > 0 {
        print_inner_type(line, length_type);
    }
    Some((length_type, bytes, length))
}

fn print_addresses(line: &mut Line, header: &[u8]) {
    if let Some((destination, rest)) = header.split_first_chunk::<6>()
        && let Some(source) = rest.first_chunk::<6>()
    {
        line.link_address(source);
        put!(line, " > ");
        line.link_address(destination);
        put!(line, ", ");
    }
}

fn print_type(line: &mut Line, length_type: u16, length: u32) {
    if length_type <= LONGEST_LENGTH {
        put!(line, "802.3, length {length_type}: ");
    } else {
        let name = name_of(ETHERTYPES, length_type).unwrap_or("Unknown");
        put!(line, "ethertype {name} (0x{length_type:04x}), length {length}: ");
    }
}

fn print_inner_type(line: &mut Line, length_type: u16) {
    if length_type > LONGEST_LENGTH {
        let name = name_of(ETHERTYPES, length_type).unwrap_or("Unknown");
        put!(line, "ethertype {name} (0x{length_type:04x}), ");
    }
}

fn print_tag(line: &mut Line, tag: u16) {
    let (id, priority) = (tag & 0x0fff, tag >> 13);
    let eligible = if tag & 0x1000 != 0 { ", DEI" } else { "" };
    put!(line, "vlan {id}, p {priority}{eligible}, ");
}

const HEADER: u32 = 14;
const TYPE_AT: u32 = 12;
/// Up to here the field is a length (IEEE 802.3), beyond a type.
const LONGEST_LENGTH: u16 = 1_500;
const VLAN_TAGS: [u16; 4] = [0x8100, 0x9100, 0x9200, 0x88a8];

/// EtherTypes by name, as tcpdump calls them.
pub(super) const ETHERTYPES: &[(u16, &str)] = &[
    (0x0600, "NS"),
    (0x0707, "GeoNet (old)"),
    (0x0800, "IPv4"),
    (0x0806, "ARP"),
    (0x1000, "Trail"),
    (0x1111, "CALM FAST"),
    (0x6001, "MOP DL"),
    (0x6002, "MOP RC"),
    (0x6003, "DN"),
    (0x6004, "LAT"),
    (0x6007, "SCA"),
    (0x6558, "TEB"),
    (0x8035, "Reverse ARP"),
    (0x8038, "Lanbridge"),
    (0x803c, "DEC DNS"),
    (0x803e, "DEC DTS"),
    (0x805b, "VEXP"),
    (0x805c, "VPROD"),
    (0x809b, "Appletalk"),
    (0x80f3, "Appletalk ARP"),
    (0x8100, "802.1Q"),
    (0x8137, "IPX"),
    (0x86dd, "IPv6"),
    (0x8808, "MPCP"),
    (0x8809, "Slow Protocols"),
    (0x880b, "PPP"),
    (0x8847, "MPLS unicast"),
    (0x8848, "MPLS multicast"),
    (0x8863, "PPPoE D"),
    (0x8864, "PPPoE S"),
    (0x886f, "MS NLB heartbeat"),
    (0x888e, "EAPOL"),
    (0x8899, "Realtek protocols"),
    (0x88a2, "AoE"),
    (0x88a8, "802.1Q-QinQ"),
    (0x88ca, "TIPC"),
    (0x88cc, "LLDP"),
    (0x88e5, "802.1AE MACsec"),
    (0x88f7, "PTP"),
    (0x8902, "CFM"),
    (0x893a, "IEEE1905.1"),
    (0x8947, "GeoNet"),
    (0x894f, "NSH"),
    (0x9000, "Loopback"),
    (0x9100, "802.1Q-9100"),
    (0x9200, "802.1Q-9200"),
    (0xabcd, "CFM (old)"),
    (0xd28b, "Arista Vendor Specific Protocol"),
    (0xfefe, "OSI"),
];
