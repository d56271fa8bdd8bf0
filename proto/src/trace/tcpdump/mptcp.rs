//! The Multipath TCP option.
//!
//! Sections: RFC 6824 3 and RFC 8684 3, as far as tcpdump 4.99.3 knows them.
//! In: the option's value and the segment's flags.
//! Out: the subtype and its fields.

use super::line::{Address, Line};
use super::put;
use super::tcp::{ACK, SYN};
use super::tcp_options::{Broken, Data};

/// Prints the option behind its name.
pub(super) fn print(line: &mut Line, data: Data, flags: u8) -> Result<(), Broken> {
    line.protocol = "mptcp";
    if data.length == 0 {
        return Err(Broken::Bad);
    }
    put!(line, " {}", data.length + 2);
    let (subtype, low) = (data.u8(0)? >> 4, data.u8(0)? & 0x0f);
    put!(line, " {}", SUBTYPES.get(usize::from(subtype)).unwrap_or(&"unknown"));
    match subtype {
        0 => print_capable(line, data, flags, low),
        1 => print_join(line, data, flags, low),
        2 => print_dss(line, data, flags),
        3 => print_add_address(line, data, low),
        4 => print_remove_address(line, data),
        5 => print_priority(line, data, low),
        6 if data.length == 10 => {
            put!(line, " seq {}", data.u64(2)?);
            Ok(())
        }
        7 if data.length == 10 => {
            put!(line, " key 0x{:x}", data.u64(2)?);
            Ok(())
        }
        6 | 7 => Err(Broken::Bad),
        _ => Ok(()),
    }
}

fn print_capable(line: &mut Line, data: Data, flags: u8, version: u8) -> Result<(), Broken> {
    let is_syn = flags & SYN != 0;
    let is_ack = flags & (SYN | ACK) == ACK;
    match data.length {
        2 | 10 if is_syn => {}
        18 | 20 if is_ack => {}
        _ => return Err(Broken::Bad),
    }
    if version > 1 {
        put!(line, " Unknown Version ({version})");
        return Ok(());
    }
    put!(line, " v{version}");
    if data.u8(1)? & CHECKSUM_REQUIRED != 0 {
        put!(line, " csum");
    }
    if data.length >= 10 {
        put!(line, " {{0x{:x}", data.u64(2)?);
        if data.length >= 18 {
            put!(line, ",0x{:x}", data.u64(10)?);
        }
        put!(line, "}}");
    }
    Ok(())
}

fn print_join(line: &mut Line, data: Data, flags: u8, low: u8) -> Result<(), Broken> {
    let is_syn = flags & SYN != 0;
    let is_ack = flags & ACK != 0;
    match data.length {
        10 if is_syn => {}
        14 if is_syn && is_ack => {}
        22 if is_ack => {
            put!(line, " hmac 0x");
            return data.print_hex(line, 2);
        }
        _ => return Err(Broken::Bad),
    }
    if low & BACKUP != 0 {
        put!(line, " backup");
    }
    put!(line, " id {}", data.u8(1)?);
    if data.length == 10 {
        put!(line, " token 0x{:x} nonce 0x{:x}", data.u32(2)?, data.u32(6)?);
    } else {
        put!(line, " hmac 0x{:x} nonce 0x{:x}", data.u64(2)?, data.u32(10)?);
    }
    Ok(())
}

fn print_dss(line: &mut Line, data: Data, flags: u8) -> Result<(), Broken> {
    if data.length < 2 || flags & SYN != 0 {
        return Err(Broken::Bad);
    }
    let dss = data.u8(1)?;
    let mut at = 2;
    if dss & DATA_FIN != 0 {
        put!(line, " fin");
    }
    if dss & HAS_ACK != 0 {
        put!(line, " ack ");
        at = print_data_number(line, data, at, dss & LONG_ACK != 0)?;
    }
    if dss & HAS_MAPPING != 0 {
        put!(line, " seq ");
        at = print_data_number(line, data, at, dss & LONG_SEQ != 0)?;
        let fits = |end| if end > data.length { Err(Broken::Bad) } else { Ok(()) };
        fits(at + 4)?;
        put!(line, " subseq {}", data.u32(at)?);
        fits(at + 6)?;
        put!(line, " len {}", data.u16(at + 4)?);
        at += 6;
        // The checksum is there if it was negotiated; only the length tells.
        if at + 2 <= data.length {
            put!(line, " csum 0x{:x}", data.u16(at)?);
            at += 2;
        }
    }
    if at == data.length { Ok(()) } else { Err(Broken::Bad) }
}

/// A number of the data level at `at`; returns where it ends.
fn print_data_number(line: &mut Line, data: Data, at: u32, long: bool) -> Result<u32, Broken> {
    let end = at + if long { 8 } else { 4 };
    if end > data.length {
        return Err(Broken::Bad);
    }
    let number = if long { data.u64(at)? } else { u64::from(data.u32(at)?) };
    put!(line, "{number}");
    Ok(end)
}

fn print_add_address(line: &mut Line, data: Data, version: u8) -> Result<(), Broken> {
    if !matches!(data.length, 6 | 8 | 14 | 16 | 18 | 20 | 26 | 28) {
        return Err(Broken::Bad);
    }
    let name = match version {
        0 => "v1",
        1 => "v1-echo",
        4 => "v0-ip4",
        6 => "v0-ip6",
        _ => "[bad version/echo]",
    };
    put!(line, " {name} id {}", data.u8(1)?);
    let mut at = if data.length <= 16 {
        put!(line, " {}", Address::from(data.array::<4>(2)?));
        6
    } else {
        put!(line, " {}", Address::from(data.array::<16>(2)?));
        18
    };
    // A port makes the rest two bytes longer, a digest eight.
    if (data.length - at) % 8 == 2 {
        put!(line, ":{}", data.u16(at)?);
        at += 2;
    }
    if at < data.length {
        put!(line, " hmac 0x{:x}", data.u64(at)?);
    }
    Ok(())
}

fn print_remove_address(line: &mut Line, data: Data) -> Result<(), Broken> {
    if data.length < 2 {
        return Err(Broken::Bad);
    }
    put!(line, " id");
    for at in 1..data.length {
        put!(line, " {}", data.u8(at)?);
    }
    Ok(())
}

fn print_priority(line: &mut Line, data: Data, low: u8) -> Result<(), Broken> {
    if !matches!(data.length, 1 | 2) {
        return Err(Broken::Bad);
    }
    put!(line, " {}", if low & BACKUP != 0 { "backup" } else { "non-backup" });
    if data.length == 2 {
        put!(line, " id {}", data.u8(1)?);
    }
    Ok(())
}

const SUBTYPES: [&str; 8] = ["capable", "join", "dss", "add-addr", "rem-addr", "prio", "fail", "fast-close"];
const CHECKSUM_REQUIRED: u8 = 0x80;
const BACKUP: u8 = 0x01;
const DATA_FIN: u8 = 0x10;
const LONG_SEQ: u8 = 0x08;
const HAS_MAPPING: u8 = 0x04;
const LONG_ACK: u8 = 0x02;
const HAS_ACK: u8 = 0x01;
