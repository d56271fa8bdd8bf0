//! An IPv4 packet.
//!
//! Sections: RFC 791 3.1; RFC 3168 5.
//! In: the bytes from the IP header on, and the length the link leaves for them.
//! Out: the IP part of the line, its own line with `-v`, and what is inside.

use core::net::IpAddr;

use super::bytes::{Captured, CutShort};
use super::ip::{self, Ip};
use super::line::{Address, Line, name_of};
use super::{checksum, put};

/// The line of an IPv4 packet.
pub(super) fn print(line: &mut Line, bytes: Captured, length: u32) -> Result<(), CutShort> {
    line.protocol = "ip";
    line.depth += 1;
    let first = bytes.u8(0)?;
    match first >> 4 {
        4 => {}
        version => {
            put!(line, "IP{version}{}", if version == 6 { ", wrong link-layer encapsulation" } else { "" });
            line.invalid();
            return Ok(());
        }
    }
    if !line.options.link_header {
        put!(line, "IP ");
    }
    let Ok(fixed) = bytes.array::<20>(0) else {
        line.cut_short();
        return Ok(());
    };
    if length < FIXED {
        put!(line, "truncated-ip {length}");
        return Ok(());
    }
    let header_length = u32::from(first & 0x0f) * 4;
    if header_length < FIXED {
        put!(line, "bad-hlen {header_length}");
        return Ok(());
    }
    let total = u32::from(bytes.u16(2)?);
    if length < total {
        put!(line, "truncated-ip - {} bytes missing! ", total - length);
    }
    let Some(payload_length) = total.checked_sub(header_length) else {
        put!(line, "bad-len {total}");
        return Ok(());
    };
    let bytes = bytes.limit(total);
    let [.., s0, s1, s2, s3, d0, d1, d2, d3] = fixed;
    let (source, destination) = (IpAddr::from([s0, s1, s2, s3]), IpAddr::from([d0, d1, d2, d3]));
    let fragment = bytes.u16(6)?;
    let ip = Ip {
        source,
        destination,
        final_destination: final_destination(bytes, header_length).map_or(destination, IpAddr::from),
        first_protocol: bytes.u8(9)?,
        fragmented: fragment & MORE_FRAGMENTS != 0,
    };
    if line.options.verbose && !print_header(line, bytes, header_length, fragment)? {
        // Like tcpdump: options that were not captured end the line here.
        put!(line, "{ip}: ");
        line.protocol = "ip";
        line.cut_short();
        return Ok(());
    }
    if fragment & OFFSET != 0 {
        put!(line, "{ip}: ip-proto-{}", ip.first_protocol);
        return Ok(());
    }
    if !ip::has_ports(ip.first_protocol) {
        put!(line, "{ip}: ");
    }
    if bytes.slice(0, header_length).is_err() {
        let captured = bytes.all().len();
        put!(line, " [remaining caplen({captured}) < header length({header_length})]");
        return Err(CutShort);
    }
    ip::print_payload(line, &ip, ip.first_protocol, bytes.from(header_length), payload_length)
}

/// `(tos 0x0, ttl 64, ...)` and the start of the next line. False if options were not captured whole.
fn print_header(line: &mut Line, bytes: Captured, header_length: u32, fragment: u16) -> Result<bool, CutShort> {
    let tos = bytes.u8(1)?;
    let ecn = ["", ",ECT(1)", ",ECT(0)", ",CE"][usize::from(tos & 3)];
    put!(line, "(tos 0x{tos:x}{ecn}");
    match bytes.u8(8)? {
        0 => {}
        ttl => put!(line, ", ttl {ttl}"),
    }
    put!(line, ", id {}, offset {}, flags [", bytes.u16(4)?, (fragment & OFFSET) * 8);
    line.bits(FLAGS, u32::from(fragment & !OFFSET));
    let protocol = bytes.u8(9)?;
    put!(line, "], proto {} ({protocol}), length {}", ip::name(protocol), bytes.u16(2)?);
    let mut is_whole = true;
    if header_length > FIXED {
        put!(line, ", options (");
        is_whole = print_options(line, bytes.from(FIXED), header_length - FIXED)?;
        if !is_whole {
            put!(line, " [truncated-option]");
        }
        put!(line, ")");
    }
    if let Ok(header) = bytes.slice(0, header_length) {
        let (field, sum) = (bytes.u16(10)?, checksum::of(header));
        if sum != 0 {
            put!(line, ", bad cksum {field:x} (->{:x})!", checksum::should_be(field, sum));
        }
    }
    put!(line, ")\n    ");
    Ok(is_whole)
}

/// False if an option was not captured whole; an error if not even its kind and length were.
fn print_options(line: &mut Line, options: Captured, length: u32) -> Result<bool, CutShort> {
    let mut at = 0;
    while at < length {
        if at > 0 {
            put!(line, ",");
        }
        let left = length - at;
        let kind = options.u8(at)?;
        match name_of(OPTIONS, u16::from(kind)) {
            Some(name) => put!(line, "{name}"),
            None => put!(line, "unknown {kind}"),
        }
        let option_length = match kind {
            END | NOP => 1,
            _ => u32::from(options.u8(at + 1)?),
        };
        if (option_length < 2 && kind != END && kind != NOP) || option_length > left {
            put!(line, " [bad length {option_length}]");
            return Ok(true);
        }
        if !options.has(at, option_length) {
            return Ok(false);
        }
        let option = options.from(at);
        let printed = match kind {
            END => return Ok(true),
            TIMESTAMP => print_timestamps(line, option, option_length),
            RECORD_ROUTE | LOOSE_ROUTE | STRICT_ROUTE => print_route(line, option, option_length),
            ROUTER_ALERT => print_router_alert(line, option, option_length),
            _ => Ok(()),
        };
        if printed.is_err() {
            return Ok(false);
        }
        at += option_length;
    }
    Ok(true)
}

fn print_router_alert(line: &mut Line, option: Captured, length: u32) -> Result<(), CutShort> {
    if length < 4 {
        put!(line, " [bad length {length}]");
        return Ok(());
    }
    match option.u16(2)? {
        0 => {}
        value => put!(line, " value {value}"),
    }
    Ok(())
}

/// The addresses of a route. Like tcpdump, the last one may run on into the next option.
fn print_route(line: &mut Line, option: Captured, length: u32) -> Result<(), CutShort> {
    if length < 3 {
        put!(line, " [bad length {length}]");
        return Ok(());
    }
    if (length + 1) & 3 != 0 {
        put!(line, " [bad length {length}]");
    }
    let pointer_field = option.u8(2)?;
    let pointer = u32::from(pointer_field).wrapping_sub(1);
    if pointer < 3 || pointer.wrapping_add(1) & 3 != 0 || pointer > length + 1 {
        put!(line, " [bad ptr {pointer_field}]");
    }
    for at in (3..length).step_by(4) {
        let comma = if pointer > at { "," } else { "" };
        put!(line, " {}{comma}", Address::from(option.array::<4>(at)?));
    }
    Ok(())
}

fn print_timestamps(line: &mut Line, option: Captured, length: u32) -> Result<(), CutShort> {
    if length < 4 {
        put!(line, "[bad length {length}]");
        return Ok(());
    }
    put!(line, " TS{{");
    let flags = option.u8(3)?;
    let (kind, overflow) = (flags & 0x0f, flags >> 4);
    let hop_length = if kind == 0 { 4 } else { 8 };
    if (length - 4) & (hop_length - 1) != 0 {
        put!(line, "[bad length {length}]");
    }
    let pointer_field = option.u8(2)?;
    let pointer = u32::from(pointer_field).wrapping_sub(1);
    if pointer < 4 || (pointer.wrapping_sub(4)) & (hop_length - 1) != 0 || pointer > length + 1 {
        put!(line, "[bad ptr {pointer_field}]");
    }
    let mut at = 0;
    match kind {
        0 => put!(line, "TSONLY"),
        1 => put!(line, "TS+ADDR"),
        3 => put!(line, "PRESPEC"),
        _ => put!(line, "[bad ts type {kind}]"),
    }
    if matches!(kind, 0 | 1 | 3) {
        at = 4;
        let mut separator = " ";
        while at < length {
            if pointer == at {
                separator = " ^ ";
            }
            let _whole = option.slice(at, hop_length)?;
            put!(line, "{separator}{}@", option.u32(at + hop_length - 4)?);
            if hop_length == 8 {
                put!(line, "{}", Address::from(option.array::<4>(at)?));
            }
            separator = " ";
            at += hop_length;
        }
    }
    if pointer == at {
        put!(line, " ^ ");
    }
    match overflow {
        0 => put!(line, "}}"),
        missed => put!(line, " [{missed} hops not recorded]}} "),
    }
    Ok(())
}

/// The last address of a source route, which the transport checksums cover.
fn final_destination(bytes: Captured, header_length: u32) -> Option<[u8; 4]> {
    let mut at = FIXED;
    while at < header_length {
        let option_length = match bytes.u8(at).ok()? {
            END => return None,
            NOP => 1,
            _ => u32::from(bytes.u8(at + 1).ok()?),
        };
        let kind = bytes.u8(at).ok()?;
        if option_length == 0 || (option_length < 2 && kind != NOP) || at + option_length > header_length {
            return None;
        }
        if matches!(kind, LOOSE_ROUTE | STRICT_ROUTE) && option_length >= 7 {
            return bytes.array(at + option_length - 4).ok();
        }
        at += option_length;
    }
    None
}

const FIXED: u32 = 20;
const OFFSET: u16 = 0x1fff;
const MORE_FRAGMENTS: u16 = 0x2000;
const FLAGS: &[(u32, &str)] = &[(0x2000, "+"), (0x4000, "DF"), (0x8000, "rsvd")];

const END: u8 = 0;
const NOP: u8 = 1;
const RECORD_ROUTE: u8 = 7;
const TIMESTAMP: u8 = 68;
const LOOSE_ROUTE: u8 = 131;
const STRICT_ROUTE: u8 = 137;
const ROUTER_ALERT: u8 = 148;
const OPTIONS: &[(u16, &str)] = &[
    (0, "EOL"),
    (1, "NOP"),
    (68, "timestamp"),
    (130, "security"),
    (7, "RR"),
    (137, "SSRR"),
    (131, "LSRR"),
    (148, "RA"),
    (82, "traceroute"),
];
