//! The options of neighbour discovery.
//!
//! Sections: RFC 4861 4.6; RFC 4191 2; RFC 6275 7; RFC 8106 5.
//! In: the bytes behind a message's fixed part.
//! Out: one line for each option.

use super::bytes::{Captured, CutShort};
use super::line::{Address, Line, name_of};
use super::put;

/// Prints the options in `bytes`, of which `length` bytes belong to the message.
pub(super) fn print(line: &mut Line, bytes: Captured, length: u32) -> Result<(), CutShort> {
    let mut at = 0;
    while at < length && !bytes.from(at).is_empty() {
        let [kind, units] = bytes.array(at)?;
        let option_length = u32::from(units) * 8;
        if units == 0 {
            return Err(CutShort);
        }
        let _whole = bytes.slice(at, option_length)?;
        let name = name_of(NAMES, u16::from(kind)).unwrap_or("unknown");
        put!(line, "\n\t  {name} option ({kind}), length {option_length} ({units}): ");
        // Like tcpdump: fixed fields are read whatever the option's length says.
        let option = bytes.from(at);
        let value = option.from(2).limit(option_length - 2).all();
        match kind {
            SOURCE_LINK | TARGET_LINK => line.link_address(value),
            PREFIX => print_prefix(line, option, units)?,
            // Like tcpdump: the bytes shown are the first ones of the list, not the option's own.
            REDIRECTED => line.hex("\n\t    ", bytes.limit(option_length).all()),
            MTU => {
                put!(line, " {}{}", option.u32(4)?, if units == 1 { "" } else { "bad option length" });
            }
            INTERVAL => put!(line, " {}ms", option.u32(4)?),
            HOME_AGENT => put!(line, " preference {}, lifetime {}", option.u16(4)?, option.u16(6)?),
            ROUTE => print_route(line, option, units)?,
            DNS_SERVERS => {
                put!(line, " lifetime {}s,", option.u32(4)?);
                for server in 0..u32::from(units - 1) / 2 {
                    put!(line, " addr: {}", Address::from(option.array::<16>(8 + server * 16)?));
                }
            }
            DNS_DOMAINS => print_domains(line, option.limit(option_length))?,
            _ => {
                line.hex("\n\t  ", value);
                return Ok(());
            }
        }
        at += option_length;
    }
    Ok(())
}

/// The two bits of a router's or a route's preference.
pub(super) fn preference(flags: u8) -> &'static str {
    ["medium", "high", "rsv", "low"][usize::from(flags >> 3 & 3)]
}

fn print_prefix(line: &mut Line, option: Captured, units: u8) -> Result<(), CutShort> {
    let prefix = Address::from(option.array::<16>(16)?);
    put!(line, "{prefix}/{}{}, Flags [", option.u8(2)?, if units == 4 { "" } else { "badlen" });
    line.bits(PREFIX_FLAGS, u32::from(option.u8(3)?));
    put!(line, "], valid time ");
    print_lifetime(line, option.u32(4)?);
    put!(line, ", pref. time ");
    print_lifetime(line, option.u32(8)?);
    Ok(())
}

fn print_route(line: &mut Line, option: Captured, units: u8) -> Result<(), CutShort> {
    let mut prefix = [0; 16];
    match units {
        1 => {}
        2 => prefix[..8].copy_from_slice(&option.array::<8>(8)?),
        3 => prefix = option.array(8)?,
        _ => return Err(CutShort),
    }
    put!(line, " {}/{}, pref={}, lifetime=", Address::from(prefix), option.u8(2)?, preference(option.u8(3)?));
    print_lifetime(line, option.u32(4)?);
    Ok(())
}

/// Domain names as they are written out in full; a compressed one ends the list.
fn print_domains(line: &mut Line, option: Captured) -> Result<(), CutShort> {
    put!(line, " lifetime {}s, domain(s):", option.u32(4)?);
    let mut rest = option.from(8).all();
    while let Some((&first, _)) = rest.split_first().filter(|(first, _)| **first != 0) {
        put!(line, " ");
        let mut label = first;
        while label != 0 {
            let name = rest.get(1..=usize::from(label)).filter(|_| label < 64).ok_or(CutShort)?;
            for &byte in name {
                line.visible(byte);
            }
            put!(line, ".");
            rest = rest.get(1 + usize::from(label)..).unwrap_or_default();
            label = *rest.first().ok_or(CutShort)?;
        }
        rest = rest.get(1..).unwrap_or_default();
    }
    Ok(())
}

fn print_lifetime(line: &mut Line, seconds: u32) {
    match seconds {
        u32::MAX => put!(line, "infinity"),
        _ => put!(line, "{seconds}s"),
    }
}

const SOURCE_LINK: u8 = 1;
const TARGET_LINK: u8 = 2;
const PREFIX: u8 = 3;
const REDIRECTED: u8 = 4;
const MTU: u8 = 5;
const INTERVAL: u8 = 7;
const HOME_AGENT: u8 = 8;
const ROUTE: u8 = 24;
const DNS_SERVERS: u8 = 25;
const DNS_DOMAINS: u8 = 31;
const PREFIX_FLAGS: &[(u32, &str)] = &[(0x80, "onlink"), (0x40, "auto"), (0x20, "router")];
const NAMES: &[(u16, &str)] = &[
    (1, "source link-address"),
    (2, "destination link-address"),
    (3, "prefix info"),
    (4, "redirected header"),
    (5, "mtu"),
    (7, "advertisement interval"),
    (8, "homeagent information"),
    (24, "route info"),
    (25, "rdnss"),
    (31, "dnssl"),
];
