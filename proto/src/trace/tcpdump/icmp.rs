//! ICMP for IPv4.
//!
//! Sections: RFC 792; RFC 950; RFC 1191 4; RFC 1256; RFC 4884 4 by length only.
//! In: the message's bytes.
//! Out: what it says, and with `-v` the packet it complains about.

use alloc::format;
use alloc::string::String;
use core::fmt::Write;

use super::bytes::{Captured, CutShort};
use super::ip::{self, Ip};
use super::line::{Address, Line, name_of};
use super::{checksum, ipv4, put};

/// The line of a message. `length` is what the IP header leaves for it.
pub(super) fn print(line: &mut Line, ip: &Ip, bytes: Captured, length: u32) -> Result<(), CutShort> {
    line.protocol = "icmp";
    let kind = bytes.u8(0)?;
    let Ok(text) = describe(bytes) else {
        // A message that was cut short prints nothing of itself.
        line.cut_short();
        return Ok(());
    };
    put!(line, "ICMP {text}, length {length}");
    if !line.options.verbose {
        return Ok(());
    }
    if !ip.fragmented
        && let Ok(message) = bytes.slice(0, length)
    {
        let sum = checksum::of(message);
        if sum != 0 {
            let field = bytes.u16(2)?;
            put!(line, " (wrong icmp cksum {field:x} (->{:x})!)", checksum::should_be(field, sum));
        }
    }
    if ERRORS.contains(&kind) && line.depth < ip::DEEPEST {
        put!(line, "\n\t");
        let quoted = bytes.from(QUOTED);
        let quoted = quoted.limit(u32::from(quoted.u16(2)?));
        ipv4::print(line, quoted, u32::from(quoted.u16(2)?))?;
    }
    if MULTI_PART.contains(&kind) && length > LONGEST_SINGLE_PART {
        // What follows the quoted packet is not decoded, but missed if it was not captured.
        line.protocol = "icmp";
        if !bytes.has(0, SHORTEST_MULTI_PART) {
            line.cut_short();
        }
    }
    Ok(())
}

fn describe(bytes: Captured) -> Result<String, CutShort> {
    let [kind, code] = bytes.array(0)?;
    Ok(match kind {
        ECHO | ECHO_REPLY => {
            let name = if kind == ECHO { "request" } else { "reply" };
            format!("echo {name}, id {}, seq {}", bytes.u16(4)?, bytes.u16(6)?)
        }
        UNREACHABLE => unreachable(bytes, code)?,
        REDIRECT => {
            let (destination, gateway) = (quoted_destination(bytes)?, Address::from(bytes.array::<4>(4)?));
            match code {
                0 => format!("redirect {destination} to net {gateway}"),
                1 => format!("redirect {destination} to host {gateway}"),
                2 => format!("redirect-tos {destination} to net {gateway}"),
                3 => format!("redirect-tos {destination} to host {gateway}"),
                _ => format!("redirect-#{code} {destination} to {gateway}"),
            }
        }
        ROUTER_ADVERTISEMENT => router_advertisement(bytes)?,
        TIME_EXCEEDED => {
            let _quoted = quoted_destination(bytes)?;
            match code {
                0 => String::from("time exceeded in-transit"),
                1 => String::from("ip reassembly time exceeded"),
                _ => format!("time exceeded-#{code}"),
            }
        }
        PARAMETER_PROBLEM if code != 0 => format!("parameter problem - code {code}"),
        PARAMETER_PROBLEM => format!("parameter problem - octet {}", bytes.u8(4)?),
        MASK_REPLY => format!("address mask is 0x{:08x}", bytes.u32(8)?),
        TIMESTAMP => format!("time stamp query id {} seq {}", bytes.u16(4)?, bytes.u16(6)?),
        TIMESTAMP_REPLY => {
            let (id, seq) = (bytes.u16(4)?, bytes.u16(6)?);
            let [origin, received, sent] = [time_of_day(bytes, 8)?, time_of_day(bytes, 12)?, time_of_day(bytes, 16)?];
            format!("time stamp reply id {id} seq {seq}: org {origin}, recv {received}, xmit {sent}")
        }
        _ => match name_of(NAMES, u16::from(kind)) {
            Some(name) => String::from(name),
            None => format!("type-#{kind}"),
        },
    })
}

fn unreachable(bytes: Captured, code: u8) -> Result<String, CutShort> {
    let destination = quoted_destination(bytes)?;
    Ok(match code {
        0 => format!("net {destination} unreachable"),
        1 => format!("host {destination} unreachable"),
        PROTOCOL => format!("{destination} protocol {} unreachable", bytes.u8(QUOTED + 9)?),
        PORT => {
            let quoted = bytes.from(QUOTED);
            let header_length = u32::from(quoted.u8(0)? & 0x0f) * 4;
            let port = quoted.u16(header_length + 2)?;
            match quoted.u8(9)? {
                ip::TCP => format!("{destination} tcp port {port} unreachable"),
                ip::UDP => format!("{destination} udp port {port} unreachable"),
                protocol => format!("{destination} protocol {protocol} port {port} unreachable"),
            }
        }
        TOO_BIG => match bytes.u16(6)? {
            0 => format!("{destination} unreachable - need to frag"),
            mtu => format!("{destination} unreachable - need to frag (mtu {mtu})"),
        },
        5 => format!("{destination} unreachable - source route failed"),
        6 => format!("net {destination} unreachable - unknown"),
        7 => format!("host {destination} unreachable - unknown"),
        8 => format!("{destination} unreachable - source host isolated"),
        9 => format!("net {destination} unreachable - admin prohibited"),
        10 => format!("host {destination} unreachable - admin prohibited"),
        11 => format!("net {destination} unreachable - tos prohibited"),
        12 => format!("host {destination} unreachable - tos prohibited"),
        13 => format!("host {destination} unreachable - admin prohibited filter"),
        14 => format!("host {destination} unreachable - host precedence violation"),
        15 => format!("host {destination} unreachable - precedence cutoff"),
        _ => format!("{destination} unreachable - #{code}"),
    })
}

fn router_advertisement(bytes: Captured) -> Result<String, CutShort> {
    let [count, size, l0, l1] = bytes.array(4)?;
    let lifetime = u16::from_be_bytes([l0, l1]);
    let (hours, minutes, seconds) = (lifetime / 3_600, lifetime / 60 % 60, lifetime % 60);
    let mut text = String::from("router advertisement lifetime ");
    let written = match lifetime {
        0..60 => write!(text, "{seconds}"),
        60..3_600 => write!(text, "{minutes}:{seconds:02}"),
        _ => write!(text, "{hours}:{minutes:02}:{seconds:02}"),
    };
    written.expect("a String takes everything");
    write!(text, " {count}:").expect("a String takes everything");
    if size != 2 {
        write!(text, " [size {size}]").expect("a String takes everything");
        return Ok(text);
    }
    for entry in 0..u32::from(count) {
        let (address, preference) = (bytes.array::<4>(8 + entry * 8)?, bytes.u32(12 + entry * 8)?);
        write!(text, " {{{} {preference}}}", Address::from(address)).expect("a String takes everything");
    }
    Ok(text)
}

/// Milliseconds since midnight.
fn time_of_day(bytes: Captured, at: u32) -> Result<String, CutShort> {
    let millis = bytes.u32(at)?;
    let (seconds, millis) = (millis / 1_000, millis % 1_000);
    Ok(format!("{:02}:{:02}:{:02}.{millis:03}", seconds / 3_600, seconds / 60 % 60, seconds % 60))
}

fn quoted_destination(bytes: Captured) -> Result<Address, CutShort> {
    Ok(Address::from(bytes.array::<4>(QUOTED + 16)?))
}

/// Where the packet that an error is about starts.
const QUOTED: u32 = 8;

const ECHO_REPLY: u8 = 0;
const UNREACHABLE: u8 = 3;
const SOURCE_QUENCH: u8 = 4;
const REDIRECT: u8 = 5;
const ECHO: u8 = 8;
const ROUTER_ADVERTISEMENT: u8 = 9;
const TIME_EXCEEDED: u8 = 11;
const PARAMETER_PROBLEM: u8 = 12;
const TIMESTAMP: u8 = 13;
const TIMESTAMP_REPLY: u8 = 14;
const MASK_REPLY: u8 = 18;
const ERRORS: [u8; 5] = [UNREACHABLE, SOURCE_QUENCH, REDIRECT, TIME_EXCEEDED, PARAMETER_PROBLEM];

/// Errors that may carry more than the packet they are about (RFC 4884), if they are longer than this.
const MULTI_PART: [u8; 3] = [UNREACHABLE, TIME_EXCEEDED, PARAMETER_PROBLEM];
const LONGEST_SINGLE_PART: u32 = 156;
/// Up to the first byte of the first object.
const SHORTEST_MULTI_PART: u32 = 141;

const PROTOCOL: u8 = 2;
const PORT: u8 = 3;
const TOO_BIG: u8 = 4;

const NAMES: &[(u16, &str)] = &[
    (4, "source quench"),
    (10, "router solicitation"),
    (15, "information request"),
    (16, "information reply"),
    (17, "address mask request"),
];
