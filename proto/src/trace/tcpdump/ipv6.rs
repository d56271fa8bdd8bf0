//! An IPv6 packet and its extension headers.
//!
//! Sections: RFC 8200 3, 4; RFC 2711; RFC 2675; RFC 8754 is named only.
//! In: the bytes from the IP header on, and the length the link leaves for them.
//! Out: the IP part of the line, and what is inside.

use core::net::IpAddr;

use super::bytes::{Captured, CutShort};
use super::ip::{self, Ip};
use super::line::{Address, Line};
use super::put;

/// The line of an IPv6 packet.
pub(super) fn print(line: &mut Line, bytes: Captured, length: u32) -> Result<(), CutShort> {
    line.protocol = "ip6";
    line.depth += 1;
    let Ok(fixed) = bytes.array::<40>(0) else {
        line.cut_short();
        return Ok(());
    };
    if length < FIXED {
        put!(line, "truncated-ip6 {length}");
        return Ok(());
    }
    if !line.options.link_header {
        put!(line, "IP6 ");
    }
    let word = bytes.u32(0)?;
    match word >> 28 {
        6 => {}
        version => {
            put!(line, "version error: {version} != 6");
            return Ok(());
        }
    }
    let payload_length = u32::from(bytes.u16(4)?);
    let packet = Packet { bytes, length, payload_length };
    // A jumbogram says its length later.
    if payload_length > 0 {
        packet.print_missing(line, payload_length);
    }
    let protocol = bytes.u8(6)?;
    if line.options.verbose {
        print_header(line, word, protocol, bytes.u8(7)?, payload_length);
    }
    let (source, destination) = (address(&fixed, 8), address(&fixed, 24));
    let ip = Ip {
        source,
        destination,
        final_destination: final_destination(bytes, protocol).unwrap_or(destination),
        first_protocol: protocol,
        fragmented: false,
    };
    if !ip::has_ports(protocol) {
        put!(line, "{ip}: ");
    }
    packet.print_headers(line, ip)
}

/// The packet from its fixed header on.
struct Packet<'a> {
    bytes: Captured<'a>,
    /// What the link leaves for it.
    length: u32,
    /// As the fixed header says; 0 in a jumbogram.
    payload_length: u32,
}

impl Packet<'_> {
    fn print_missing(&self, line: &mut Line, payload_length: u32) {
        let total = payload_length.saturating_add(FIXED);
        if self.length < total {
            put!(line, "truncated-ip6 - {} bytes missing!", total - self.length);
        }
    }

    /// Extension headers, and what is behind them.
    fn print_headers(&self, line: &mut Line, mut ip: Ip) -> Result<(), CutShort> {
        match self.walk(line, &mut ip) {
            Ok(Some(payload)) => ip::print_payload(line, &ip, payload.protocol, payload.bytes, payload.length),
            Ok(None) => Ok(()),
            Err(CutShort) => {
                line.cut_short();
                Ok(())
            }
        }
    }

    /// Prints extension headers one after another. Returns what is behind the last one, if that can be told.
    fn walk(&self, line: &mut Line, ip: &mut Ip) -> Result<Option<Payload<'_>>, CutShort> {
        let mut at = FIXED;
        let mut payload_length = self.payload_length;
        let mut next = ip.first_protocol;
        let mut seen_hop_by_hop = false;
        loop {
            let end = FIXED.saturating_add(payload_length);
            if !matches!(next, HOP_BY_HOP | DESTINATION | FRAGMENT | ROUTING) {
                if self.payload_length == 0 && payload_length > 0 {
                    self.print_missing(line, payload_length);
                }
                let length = end.checked_sub(at).ok_or(CutShort)?;
                return Ok(Some(Payload { protocol: next, bytes: self.bytes.limit(end).from(at), length }));
            }
            // An absent length hides nothing from the headers, though everything from what follows them.
            let packet = if payload_length == 0 { self.bytes } else { self.bytes.limit(end) };
            let bytes = packet.from(at);
            let advance = match next {
                HOP_BY_HOP if seen_hop_by_hop => {
                    return complain(line, "[The Hop-by-Hop Options header was already found]");
                }
                HOP_BY_HOP if at != FIXED => {
                    return complain(line, "[The Hop-by-Hop Options header don't follow the IPv6 header]");
                }
                HOP_BY_HOP => {
                    seen_hop_by_hop = true;
                    print_hop_by_hop(line, bytes, &mut payload_length)?
                }
                DESTINATION => {
                    let options = Options { name: "DSTOPT", protocol: "dstopt", is_hop_by_hop: false, payload_length };
                    Some(options.print(line, bytes, &mut Jumbo::default())?)
                }
                FRAGMENT => {
                    ip.fragmented = true;
                    // Like tcpdump: counted from the length field, whatever a jumbo option says, in 64 bits.
                    let rest = u64::from(self.payload_length).wrapping_sub(u64::from(at - FIXED) + 8);
                    print_fragment(line, bytes, rest)?
                }
                _ => {
                    let _next = bytes.u8(0)?;
                    print_routing(line, bytes)?
                }
            };
            let Some(advance) = advance else { return Ok(None) };
            line.protocol = "ip6";
            next = bytes.u8(0)?;
            at += advance;
        }
    }
}

/// The hop-by-hop options, which may tell an absent length. `None` if they do not.
fn print_hop_by_hop(line: &mut Line, bytes: Captured, payload_length: &mut u32) -> Result<Option<u32>, CutShort> {
    line.protocol = "hbhopt";
    let _length = bytes.u8(1)?;
    let is_told = *payload_length != 0;
    let options = Options { name: "HBH", protocol: "hbhopt", is_hop_by_hop: true, payload_length: *payload_length };
    let mut jumbo = Jumbo::default();
    let printed = options.print(line, bytes, &mut jumbo);
    match jumbo.length {
        _ if is_told => {}
        Some(length) => *payload_length = length,
        None => {
            if printed.is_err() {
                line.cut_short();
            }
            return complain(line, "[No valid Jumbo Payload Hop-by-Hop option found]");
        }
    }
    printed.map(Some)
}

/// What is behind the last extension header.
struct Payload<'a> {
    protocol: u8,
    bytes: Captured<'a>,
    length: u32,
}

/// Says what is wrong with a header; nothing behind it can be told.
fn complain<T>(line: &mut Line, sentence: &str) -> Result<Option<T>, CutShort> {
    put!(line, "{sentence}");
    line.invalid();
    Ok(None)
}

/// `(class 0x03, flowlabel 0xabcde, hlim 64, ...) `
fn print_header(line: &mut Line, word: u32, protocol: u8, hop_limit: u8, payload_length: u32) {
    let (class, flow_label) = (word >> 20 & 0xff, word & 0x000f_ffff);
    put!(line, "(");
    if class != 0 {
        put!(line, "class 0x{class:02x}, ");
    }
    if flow_label != 0 {
        put!(line, "flowlabel 0x{flow_label:05x}, ");
    }
    let name = ip::name(protocol);
    put!(line, "hlim {hop_limit}, next-header {name} ({protocol}) payload length: {payload_length}) ");
}

/// A fragment header. `None` if what follows is not the start of a packet.
fn print_fragment(line: &mut Line, bytes: Captured, rest: u64) -> Result<Option<u32>, CutShort> {
    line.protocol = "frag6";
    let offset = bytes.u16(2)? & 0xfff8;
    if line.options.verbose {
        let identification = bytes.u32(4)?;
        put!(line, "frag (0x{identification:08x}:{offset}|{rest})");
    } else {
        put!(line, "frag ({offset}|{rest})");
    }
    if offset != 0 {
        return Ok(None);
    }
    put!(line, " ");
    // Like tcpdump: nothing behind it is worth no word.
    Ok(Some(8).filter(|_| bytes.has(8, 1)))
}

/// A routing header. `None` if it cannot be understood.
fn print_routing(line: &mut Line, bytes: Captured) -> Result<Option<u32>, CutShort> {
    line.protocol = "rt6";
    put!(line, "RT6");
    let length = bytes.u8(1)?;
    put!(line, " (len={length}");
    let kind = bytes.u8(2)?;
    put!(line, ", type={kind}{}", if kind == 0 { " [Deprecated]" } else { "" });
    put!(line, ", segleft={}", bytes.u8(3)?);
    match kind {
        0 | 2 => {
            let reserved = bytes.u32(4)?;
            if reserved != 0 || line.options.verbose {
                put!(line, ", rsv=0x{reserved:x}");
            }
        }
        4 => {
            put!(line, ", last-entry={}", bytes.u8(4)?);
            let flags = bytes.u8(5)?;
            if flags != 0 || line.options.verbose {
                put!(line, ", flags=0x{flags:x}");
            }
            put!(line, ", tag={:x}", bytes.u16(6)?);
        }
        _ => {
            put!(line, " (unknown type)");
            line.invalid();
            return Ok(None);
        }
    }
    if length % 2 == 1 {
        put!(line, " (invalid length {length})");
        line.invalid();
        return Ok(None);
    }
    for segment in 0..u32::from(length) / 2 {
        put!(line, ", [{segment}]{}", Address::from(bytes.array::<16>(8 + segment * 16)?));
    }
    put!(line, ") ");
    Ok(Some((u32::from(length) + 1) * 8))
}

/// A header of options: hop by hop, or for the destination.
struct Options {
    name: &'static str,
    protocol: &'static str,
    is_hop_by_hop: bool,
    payload_length: u32,
}

impl Options {
    /// Prints the options and returns the header's length.
    fn print(&self, line: &mut Line, bytes: Captured, jumbo: &mut Jumbo) -> Result<u32, CutShort> {
        line.protocol = self.protocol;
        let length = (u32::from(bytes.u8(1)?) + 1) * 8;
        let _whole = bytes.slice(0, length)?;
        put!(line, "{} ", self.name);
        if self.is_hop_by_hop || line.options.verbose {
            self.print_each(line, bytes.from(2).limit(length - 2), length - 2, jumbo)?;
        }
        Ok(length)
    }

    fn print_each(&self, line: &mut Line, options: Captured, length: u32, jumbo: &mut Jumbo) -> Result<(), CutShort> {
        let verbose = line.options.verbose;
        let mut at = 0;
        while at < length {
            let kind = options.u8(at)?;
            if kind == PAD1 {
                if verbose {
                    put!(line, "(pad1)");
                }
                at += 1;
                continue;
            }
            let data_length = options.u8(at + 1)?;
            let end = at + 2 + u32::from(data_length);
            let option = options.slice(at, end - at)?;
            match kind {
                PADN if verbose => put!(line, "(padn)"),
                PADN => {}
                ROUTER_ALERT => {
                    self.check(line, "rtalert", options.from(at), 4, data_length == 2)?;
                    if verbose {
                        put!(line, "(rtalert: 0x{:04x}) ", options.u16(at + 2)?);
                    }
                }
                JUMBO => {
                    self.check(line, "jumbo", options.from(at), 6, data_length == 4)?;
                    self.take_jumbo(line, options.u32(at + 2)?, jumbo);
                }
                HOME_ADDRESS => {
                    self.check(line, "homeaddr", options.from(at), 18, data_length >= 16)?;
                    if verbose {
                        put!(line, "(homeaddr: {}", Address::from(options.array::<16>(at + 2)?));
                        print_sub_options(line, Captured::new(option).from(18))?;
                        put!(line, ")");
                    }
                }
                _ if verbose => put!(line, "(opt_type 0x{kind:02x}: len={data_length})"),
                _ => {}
            }
            at = end;
        }
        if verbose {
            put!(line, " ");
        }
        Ok(())
    }

    /// A known option must have its size; a wrong one ends the list.
    fn check(&self, line: &mut Line, name: &str, option: Captured, size: u32, fits: bool) -> Result<(), CutShort> {
        if !option.has(0, size) {
            put!(line, "({name}: trunc)");
            return Err(CutShort);
        }
        if !fits {
            put!(line, "({name}: invalid len {})", option.u8(1)?);
            return Err(CutShort);
        }
        Ok(())
    }

    /// The length of a packet that is longer than 65,535 bytes, if this may be one.
    fn take_jumbo(&self, line: &mut Line, length: u32, jumbo: &mut Jumbo) {
        let objection = match () {
            () if jumbo.seen => " - already seen",
            () if !self.is_hop_by_hop => " - not a hop-by-hop option",
            () if self.payload_length != 0 => " - payload len != 0",
            () if length <= u32::from(u16::MAX) => " - < 65536",
            () => {
                jumbo.length = Some(length);
                ""
            }
        };
        jumbo.seen = true;
        if line.options.verbose {
            put!(line, "(jumbo: {length}{objection}) ");
        }
    }
}

/// What the options of one header said about a packet longer than 65,535 bytes.
#[derive(Default)]
struct Jumbo {
    seen: bool,
    length: Option<u32>,
}

/// The options inside a home address.
fn print_sub_options(line: &mut Line, options: Captured) -> Result<(), CutShort> {
    let mut rest = options;
    while !rest.is_empty() {
        let kind = rest.u8(0)?;
        if kind == PAD1 {
            put!(line, ", pad1");
            rest = rest.from(1);
            continue;
        }
        let length = rest.u8(1)?;
        let _whole = rest.slice(0, u32::from(length) + 2)?;
        match kind {
            PADN => put!(line, ", padn"),
            _ => put!(line, ", sopt_type 0x{kind:02x}: len={length}"),
        }
        rest = rest.from(u32::from(length) + 2);
    }
    Ok(())
}

fn address(header: &[u8; 40], at: usize) -> IpAddr {
    let bytes: [u8; 16] = header.get(at..).and_then(|rest| rest.first_chunk()).copied().unwrap_or_default();
    IpAddr::from(bytes)
}

/// The last address of a routing header, which the transport checksums cover.
fn final_destination(packet: Captured, mut next: u8) -> Option<IpAddr> {
    let mut at = FIXED;
    loop {
        let bytes = packet.from(at);
        match next {
            HOP_BY_HOP | DESTINATION => at += (u32::from(bytes.u8(1).ok()?) + 1) * 8,
            FRAGMENT => at += 8,
            ROUTING => {
                let [_, length, kind, _]: [u8; 4] = bytes.array(0).ok()?;
                let at = match kind {
                    0 | 2 if length % 2 == 0 && length > 0 => u32::from(length) * 8 - 8,
                    // Segment routing lists the last segment first.
                    4 => 8,
                    _ => return None,
                };
                return bytes.array::<16>(at).ok().map(IpAddr::from);
            }
            _ => return None,
        }
        next = bytes.u8(0).ok()?;
    }
}

const FIXED: u32 = 40;
const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const DESTINATION: u8 = 60;

const PAD1: u8 = 0;
const PADN: u8 = 1;
const ROUTER_ALERT: u8 = 5;
const JUMBO: u8 = 194;
const HOME_ADDRESS: u8 = 201;
