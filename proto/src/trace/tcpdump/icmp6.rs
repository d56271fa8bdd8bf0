//! ICMPv6, with neighbour discovery and multicast listeners.
//!
//! Sections: RFC 4443; RFC 4861 4; RFC 2710 3; RFC 3810 5; RFC 6275 6.
//! In: the message's bytes and the IP header around it.
//! Out: what it says; options and checksum with `-v`.

use super::bytes::{Captured, CutShort};
use super::icmp6_options as options;
use super::ip::{self, Ip};
use super::line::{Address, Line, name_of};
use super::{checksum, put};

/// The line of a message. `length` is what the IP headers leave for it.
pub(super) fn print(line: &mut Line, ip: &Ip, bytes: Captured, length: u32) -> Result<(), CutShort> {
    line.protocol = "icmp6";
    if length == 0 {
        put!(line, "ICMP6, length {length}");
        line.invalid();
        return Ok(());
    }
    if line.options.verbose
        && !ip.fragmented
        && let Ok(message) = bytes.slice(0, length)
    {
        let field = bytes.u16(2)?;
        match ip.checksum(ip::ICMPV6, message) {
            0 => put!(line, "[icmp6 sum ok] "),
            sum => put!(line, "[bad icmp6 cksum 0x{field:04x} -> 0x{:04x}!] ", checksum::should_be(field, sum)),
        }
    }
    let kind = bytes.u8(0)?;
    match name_of(NAMES, u16::from(kind)) {
        Some(name) => put!(line, "ICMP6, {name}"),
        None => put!(line, "ICMP6, unknown icmp6 type ({kind})"),
    }
    if line.options.verbose && matches!(kind, ROUTER_SOLICITATION..=REDIRECT | HOME_AGENT_REPLY | PREFIX_ADVERTISEMENT)
    {
        put!(line, ", length {length}");
    }
    let code = bytes.u8(1)?;
    if !print_body(line, kind, code, bytes, length)? {
        if !matches!(kind, UNREACHABLE) {
            put!(line, ", length {length}");
        }
        line.hex("\n\t", bytes.limit(length).all());
    } else if !line.options.verbose {
        put!(line, ", length {length}");
    }
    Ok(())
}

/// What the message says; false if nobody here can tell, so that the bytes are shown.
fn print_body(line: &mut Line, kind: u8, code: u8, bytes: Captured, length: u32) -> Result<bool, CutShort> {
    match kind {
        UNREACHABLE => return print_unreachable(line, code, bytes),
        TOO_BIG => put!(line, ", mtu {}", bytes.u32(4)?),
        TIME_EXCEEDED => match code {
            0 => put!(line, " for {}", address(bytes, QUOTED + 24)?),
            1 => put!(line, " (reassembly)"),
            _ => put!(line, ", unknown code ({code})"),
        },
        PARAMETER_PROBLEM => {
            let _quoted = address(bytes, QUOTED + 24)?;
            match PARAMETER_PROBLEMS.get(usize::from(code)) {
                Some(name) => put!(line, ", {name} - octet {}", bytes.u32(4)?),
                None => put!(line, ", code-#{code}"),
            }
        }
        ECHO | ECHO_REPLY => {
            let (id, seq) = (bytes.u16(4)?, bytes.u16(6)?);
            put!(line, ", id {id}, seq {seq}");
        }
        LISTENER_QUERY if length == MLD => print_listener(line, bytes),
        LISTENER_QUERY if length >= MLD2_QUERY => {
            put!(line, " v2");
            print_listener_query(line, bytes, length)?;
        }
        LISTENER_QUERY => put!(line, " unknown-version (len {length}) "),
        LISTENER_REPORT | LISTENER_DONE => print_listener(line, bytes),
        LISTENER_REPORT_2 => print_listener_report(line, bytes, length)?,
        ROUTER_SOLICITATION => print_options(line, bytes, 8, length)?,
        ROUTER_ADVERTISEMENT => {
            if line.options.verbose {
                print_router(line, bytes)?;
            }
            print_options(line, bytes, 16, length)?;
        }
        NEIGHBOR_SOLICITATION => {
            put!(line, ", who has {}", address(bytes, 8)?);
            print_options(line, bytes, 24, length)?;
        }
        NEIGHBOR_ADVERTISEMENT => {
            put!(line, ", tgt is {}", address(bytes, 8)?);
            if line.options.verbose {
                put!(line, ", Flags [");
                line.bits(NEIGHBOR_FLAGS, bytes.u32(4)?);
                put!(line, "]");
            }
            print_options(line, bytes, 24, length)?;
        }
        REDIRECT => {
            put!(line, ", {}", address(bytes, 24)?);
            put!(line, " to {}", address(bytes, 8)?);
            print_options(line, bytes, 40, length)?;
        }
        INVERSE_SOLICITATION | INVERSE_ADVERTISEMENT => {}
        HOME_AGENT_REQUEST | PREFIX_SOLICITATION => put!(line, ", id 0x{:04x}", bytes.u16(4)?),
        HOME_AGENT_REPLY => {
            if line.options.verbose {
                put!(line, ", id 0x{:04x}", bytes.u16(4)?);
                for at in (8..length).step_by(16) {
                    put!(line, ", {}", address(bytes, at)?);
                }
            }
        }
        PREFIX_ADVERTISEMENT => {
            if line.options.verbose {
                put!(line, ", id 0x{:04x}", bytes.u16(4)?);
                let flags = bytes.u8(6)?;
                put!(line, "{}", if flags & 0xc0 != 0 { " " } else { "" });
                put!(line, "{}", if flags & 0x80 != 0 { "M" } else { "" });
                put!(line, "{}", if flags & 0x40 != 0 { "O" } else { "" });
            }
            print_options(line, bytes, 8, length)?;
        }
        _ => return Ok(false),
    }
    Ok(true)
}

fn print_unreachable(line: &mut Line, code: u8, bytes: Captured) -> Result<bool, CutShort> {
    let Some(name) = UNREACHABLES.get(usize::from(code)) else {
        put!(line, ", unknown unreach code ({code})");
        return Ok(false);
    };
    put!(line, ", {name}");
    match code {
        BEYOND_SCOPE => {
            let (source, destination) = (address(bytes, QUOTED + 8)?, address(bytes, QUOTED + 24)?);
            put!(line, " {destination}, source address {source}");
        }
        PORT => {
            let (protocol, port) = quoted_port(bytes.from(QUOTED))?;
            put!(line, ", {} {protocol} port {port}", address(bytes, QUOTED + 24)?);
        }
        _ => put!(line, " {}", address(bytes, QUOTED + 24)?),
    }
    Ok(true)
}

/// The transport and the destination port of the packet that an error is about.
fn quoted_port(packet: Captured) -> Result<(&'static str, u16), CutShort> {
    let mut next = packet.u8(6)?;
    let mut at = 40;
    loop {
        let bytes = packet.from(at);
        let advance = match next {
            ip::TCP => return Ok(("tcp", bytes.u16(2)?)),
            ip::UDP => return Ok(("udp", bytes.u16(2)?)),
            // Hop-by-hop, destination and routing headers.
            0 | 60 | 43 => (u32::from(bytes.u8(1)?) + 1) * 8,
            // A fragment: only the first one holds ports.
            44 if bytes.u16(2)? & 0xfff8 == 0 => 8,
            // An authentication header.
            51 => (u32::from(bytes.u8(1)?) + 2) * 4,
            _ => return Err(CutShort),
        };
        next = bytes.u8(0)?;
        at += advance;
    }
}

fn print_router(line: &mut Line, bytes: Captured) -> Result<(), CutShort> {
    let message: [u8; 16] = bytes.array(0)?;
    let [_, _, _, _, hop_limit, flags, ..] = message;
    put!(line, "\n\thop limit {hop_limit}, Flags [");
    line.bits(ROUTER_FLAGS, u32::from(flags));
    let (lifetime, reachable, retransmit) = (bytes.u16(6)?, bytes.u32(8)?, bytes.u32(12)?);
    put!(line, "], pref {}, router lifetime {lifetime}s", options::preference(flags));
    put!(line, ", reachable time {reachable}ms, retrans timer {retransmit}ms");
    Ok(())
}

fn print_options(line: &mut Line, bytes: Captured, at: u32, length: u32) -> Result<(), CutShort> {
    if line.options.verbose { options::print(line, bytes.from(at), length.saturating_sub(at)) } else { Ok(()) }
}

/// A message of the first version of multicast listener discovery.
fn print_listener(line: &mut Line, bytes: Captured) {
    // The missing space before it is tcpdump's, and so is silence about a short one.
    if let (Ok(delay), Ok(group)) = (bytes.u16(4), address(bytes, 8)) {
        put!(line, "max resp delay: {delay} addr: {group}");
    }
}

fn print_listener_query(line: &mut Line, bytes: Captured, length: u32) -> Result<(), CutShort> {
    let code = u32::from(bytes.u16(4)?);
    if line.options.verbose {
        let delay = if code < 0x8000 { code } else { ((code & 0x0fff) | 0x1000) << (((code & 0x7000) >> 12) + 3) };
        put!(line, " [max resp delay={delay}]");
    }
    put!(line, " [gaddr {}", address(bytes, 8)?);
    if line.options.verbose {
        let flags = bytes.u8(24)?;
        if flags & 0x08 != 0 {
            put!(line, " sflag");
        }
        if flags & 0x07 != 0 {
            put!(line, " robustness={}", flags & 0x07);
        }
        let interval = u32::from(bytes.u8(25)?);
        let seconds =
            if interval < 128 { interval } else { ((interval & 0x0f) | 0x10) << (((interval & 0x70) >> 4) + 3) };
        put!(line, " qqi={seconds}");
    }
    let sources = u32::from(bytes.u16(26)?);
    if sources > 0 {
        if length < MLD2_QUERY + sources * 16 {
            put!(line, " [invalid number of sources]");
        } else {
            put!(line, ", {sources} source(s)");
        }
    }
    put!(line, "]");
    Ok(())
}

fn print_listener_report(line: &mut Line, bytes: Captured, length: u32) -> Result<(), CutShort> {
    if length < 8 {
        put!(line, " [invalid len {length}]");
        return Ok(());
    }
    let groups = bytes.u16(6)?;
    put!(line, ", {groups} group record(s)");
    if !line.options.verbose {
        return Ok(());
    }
    let mut at = 8;
    for _ in 0..groups {
        if length < at + 20 {
            put!(line, " [invalid number of groups]");
            return Ok(());
        }
        put!(line, " [gaddr {}", address(bytes, at + 4)?);
        let kind = bytes.u8(at)?;
        match name_of(RECORDS, u16::from(kind)) {
            Some(name) => put!(line, " {name}"),
            None => put!(line, "  [v2-report-#{kind}]"),
        }
        let sources = u32::from(bytes.u16(at + 2)?);
        if length < at + 20 + sources * 16 {
            put!(line, " [invalid number of sources {sources}]");
            return Ok(());
        }
        put!(line, ", {sources} source(s)]");
        at += 20 + sources * 16;
    }
    Ok(())
}

fn address(bytes: Captured, at: u32) -> Result<Address, CutShort> {
    Ok(Address::from(bytes.array::<16>(at)?))
}

/// Where the packet that an error is about starts.
const QUOTED: u32 = 8;
const MLD: u32 = 24;
const MLD2_QUERY: u32 = 28;

const UNREACHABLE: u8 = 1;
const TOO_BIG: u8 = 2;
const TIME_EXCEEDED: u8 = 3;
const PARAMETER_PROBLEM: u8 = 4;
const ECHO: u8 = 128;
const ECHO_REPLY: u8 = 129;
const LISTENER_QUERY: u8 = 130;
const LISTENER_REPORT: u8 = 131;
const LISTENER_DONE: u8 = 132;
const ROUTER_SOLICITATION: u8 = 133;
const ROUTER_ADVERTISEMENT: u8 = 134;
const NEIGHBOR_SOLICITATION: u8 = 135;
const NEIGHBOR_ADVERTISEMENT: u8 = 136;
const REDIRECT: u8 = 137;
const INVERSE_SOLICITATION: u8 = 141;
const INVERSE_ADVERTISEMENT: u8 = 142;
const LISTENER_REPORT_2: u8 = 143;
const HOME_AGENT_REQUEST: u8 = 144;
const HOME_AGENT_REPLY: u8 = 145;
const PREFIX_SOLICITATION: u8 = 146;
const PREFIX_ADVERTISEMENT: u8 = 147;

const BEYOND_SCOPE: u8 = 2;
const PORT: u8 = 4;
const UNREACHABLES: [&str; 5] =
    ["unreachable route", " unreachable prohibited", "beyond scope", "unreachable address", "unreachable port"];
const PARAMETER_PROBLEMS: [&str; 4] = ["erroneous", "next header", "option", "incomplete header chain"];
const NEIGHBOR_FLAGS: &[(u32, &str)] =
    &[(0x8000_0000, "router"), (0x4000_0000, "solicited"), (0x2000_0000, "override")];
const ROUTER_FLAGS: &[(u32, &str)] =
    &[(0x80, "managed"), (0x40, "other stateful"), (0x20, "home agent"), (0x02, "ipv6 only")];
const RECORDS: &[(u16, &str)] = &[(1, "is_in"), (2, "is_ex"), (3, "to_in"), (4, "to_ex"), (5, "allow"), (6, "block")];

const NAMES: &[(u16, &str)] = &[
    (1, "destination unreachable"),
    (2, "packet too big"),
    (3, "time exceeded in-transit"),
    (4, "parameter problem"),
    (128, "echo request"),
    (129, "echo reply"),
    (130, "multicast listener query"),
    (131, "multicast listener report"),
    (132, "multicast listener done"),
    (133, "router solicitation"),
    (134, "router advertisement"),
    (135, "neighbor solicitation"),
    (136, "neighbor advertisement"),
    (137, "redirect"),
    (138, "router renumbering"),
    (139, "who-are-you request"),
    (140, "who-are-you reply"),
    (141, "inverse neighbor solicitation"),
    (142, "inverse neighbor advertisement"),
    (143, "multicast listener report v2"),
    (144, "ha discovery request"),
    (145, "ha discovery reply"),
    (146, "mobile router solicitation"),
    (147, "mobile router advertisement"),
    (155, "RPL"),
    (200, "mtrace response"),
    (201, "mtrace message"),
];
