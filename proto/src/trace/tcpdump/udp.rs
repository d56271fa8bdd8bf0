//! UDP's part of the line.
//!
//! Sections: RFC 768; RFC 8200 8.1.
//! In: the datagram's bytes and the IP header around it.
//! Out: ports and length. What is inside is not looked at.

use super::bytes::{Captured, CutShort};
use super::ip::{self, Ip};
use super::line::Line;
use super::{checksum, put};

/// The line of a datagram. `length` is what the IP header leaves for it.
pub(super) fn print(line: &mut Line, ip: &Ip, bytes: Captured, length: u32) -> Result<(), CutShort> {
    line.protocol = "udp";
    let (Ok(source), Ok(destination)) = (bytes.u16(0), bytes.u16(2)) else {
        if ip.announces(ip::UDP) {
            put!(line, "{ip}: ");
        }
        line.cut_short();
        return Ok(());
    };
    ip.print_ports(line, ip::UDP, source, destination);
    if length < FIXED {
        put!(line, "truncated-udp {length}");
        return Ok(());
    }
    let Ok(length_field) = bytes.u16(4) else {
        line.cut_short();
        return Ok(());
    };
    let datagram_length = match length_field {
        0 if length >= JUMBO => length,
        field => u32::from(field),
    };
    if datagram_length < FIXED {
        put!(line, "truncated-udplength {datagram_length}");
        return Ok(());
    }
    let Ok(checksum) = bytes.u16(6) else {
        line.cut_short();
        return Ok(());
    };
    let data_length = datagram_length - FIXED;
    // Like tcpdump: over IPv4 the checksum needs `-vv`.
    if line.options.verbose && ip.source.is_ipv6() && !ip.fragmented {
        print_checksum(line, ip, checksum, bytes, length.min(datagram_length));
    }
    match length - FIXED {
        left if left < data_length && !ip.fragmented => put!(line, "UDP, bad length {data_length} > {left}"),
        _ => put!(line, "UDP, length {data_length}"),
    }
    Ok(())
}

fn print_checksum(line: &mut Line, ip: &Ip, field: u16, bytes: Captured, length: u32) {
    let Ok(datagram) = bytes.slice(0, length) else { return };
    match ip.checksum(ip::UDP, datagram) {
        0 => put!(line, "[udp sum ok] "),
        sum => put!(line, "[bad udp cksum 0x{field:04x} -> 0x{:04x}!] ", checksum::should_be(field, sum)),
    }
}

const FIXED: u32 = 8;
/// From here on the length field cannot hold the length, and is zero.
const JUMBO: u32 = 65_536;
