//! TCP's options, well formed or not.
//!
//! Sections: RFC 9293 3.1; RFC 2018 3; RFC 7323 2, 3; RFC 2385; RFC 5482; RFC 5925 2.2; RFC 6994; RFC 7413 2.
//! In: the bytes between the fixed header and the data.
//! Out: `, options [...]`, or as much as could be read.

use super::bytes::{Captured, CutShort};
use super::line::{Line, name_of};
use super::sequence::Numbers;
use super::{mptcp, put};

/// The options of one segment.
#[derive(Clone, Copy, Debug)]
pub(super) struct List<'a> {
    pub(super) bytes: Captured<'a>,
    /// What the header says, captured or not.
    pub(super) length: u32,
    pub(super) flags: u8,
    pub(super) numbers: Numbers,
    /// The segment's data were captured to their end.
    pub(super) is_whole: bool,
}

/// Why an option could not be printed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Broken {
    /// It is longer than what is left, or too short for its kind.
    Bad,
    /// Its value was not captured.
    Cut,
    /// Not even its kind and length were.
    CutBefore,
}

impl From<CutShort> for Broken {
    fn from(_: CutShort) -> Self {
        Broken::CutBefore
    }
}

/// Prints the list; false if the line has ended in the middle of it, so that nothing may follow.
pub(super) fn print(line: &mut Line, list: List) -> Result<bool, CutShort> {
    put!(line, ", options [");
    let mut printed = 0;
    match print_each(line, &list, &mut printed) {
        Ok(()) => {
            put!(line, "]");
            return Ok(true);
        }
        Err(Broken::Bad) => {
            put!(line, "[bad opt]");
            // Like tcpdump: the list is closed only if something is in it.
            if printed > 0 {
                put!(line, "]");
            }
        }
        Err(Broken::Cut) => {
            line.cut_short();
            if printed > 0 {
                put!(line, ">");
            }
        }
        Err(Broken::CutBefore) => return Err(CutShort),
    }
    Ok(false)
}

/// Prints option after option, and counts those that are complete.
fn print_each(line: &mut Line, list: &List, printed: &mut u32) -> Result<(), Broken> {
    let mut at = 0;
    while at < list.length {
        if *printed > 0 {
            put!(line, ",");
        }
        let kind = list.bytes.u8(at)?;
        let has_length = !matches!(kind, END | NOP);
        let length = if has_length { u32::from(list.bytes.u8(at + 1)?) } else { 1 };
        if has_length && (length < 2 || length > list.length - at) {
            return Err(Broken::Bad);
        }
        match name_of(NAMES, u16::from(kind)) {
            Some(name) => put!(line, "{name}"),
            None => put!(line, "unknown-{kind}"),
        }
        let head = if has_length { 2 } else { 1 };
        let left = list.length - at - head;
        let data = Data { bytes: list.bytes.from(at + head), length: length - head, left };
        let used = print_value(line, list, kind, data)?;
        if used + head != length {
            put!(line, "[len {length}]");
        }
        // Parsing goes on behind what was used, whatever the length field says.
        at += head + used;
        *printed += 1;
        if kind == END {
            return Ok(());
        }
    }
    Ok(())
}

/// The value of one option.
#[derive(Clone, Copy, Debug)]
pub(super) struct Data<'a> {
    bytes: Captured<'a>,
    /// What the option's own length leaves for it.
    pub(super) length: u32,
    /// What the header leaves for it: fixed fields may run on into the next option.
    left: u32,
}

impl Data<'_> {
    /// Fails unless the header and the capture hold `n` bytes.
    pub(super) fn need(&self, n: u32) -> Result<(), Broken> {
        match n {
            n if n > self.left => Err(Broken::Bad),
            n if !self.bytes.has(0, n) => Err(Broken::Cut),
            _ => Ok(()),
        }
    }

    pub(super) fn array<const N: usize>(&self, at: u32) -> Result<[u8; N], Broken> {
        self.need(at + u32::try_from(N).unwrap_or(u32::MAX))?;
        Ok(self.bytes.array(at)?)
    }

    pub(super) fn u8(&self, at: u32) -> Result<u8, Broken> {
        self.array(at).map(u8::from_be_bytes)
    }

    pub(super) fn u16(&self, at: u32) -> Result<u16, Broken> {
        self.array(at).map(u16::from_be_bytes)
    }

    pub(super) fn u32(&self, at: u32) -> Result<u32, Broken> {
        self.array(at).map(u32::from_be_bytes)
    }

    pub(super) fn u64(&self, at: u32) -> Result<u64, Broken> {
        self.array(at).map(u64::from_be_bytes)
    }

    /// Prints the bytes from `at` to the option's end; as many as there are before it breaks.
    pub(super) fn print_hex(&self, line: &mut Line, at: u32) -> Result<(), Broken> {
        for at in at..self.length {
            put!(line, "{:02x}", self.u8(at)?);
        }
        Ok(())
    }
}

/// Prints what is behind the name, and says how many bytes that took.
fn print_value(line: &mut Line, list: &List, kind: u8, data: Data) -> Result<u32, Broken> {
    match kind {
        END | NOP | SACK_PERMITTED => return Ok(0),
        MSS => {
            put!(line, " {}", data.u16(0)?);
            return Ok(2);
        }
        WINDOW_SCALE => {
            put!(line, " {}", data.u8(0)?);
            return Ok(1);
        }
        SACK => print_sack(line, list.numbers.sack_base, data)?,
        ECHO | ECHO_REPLY | CC | CC_NEW | CC_ECHO => {
            put!(line, " {}", data.u32(0)?);
            return Ok(4);
        }
        TIMESTAMPS => {
            data.need(8)?;
            put!(line, " val {} ecr {}", data.u32(0)?, data.u32(4)?);
            return Ok(8);
        }
        SCPS => {
            data.need(2)?;
            put!(line, " cap {:02x} id {}", data.u8(0)?, data.u8(1)?);
            return Ok(2);
        }
        MD5 => {
            let digest: [u8; 16] = data.array(0)?;
            let obstacle = if list.is_whole { "shared secret not supplied with -M" } else { "snaplen too short" };
            put!(line, " {obstacle}, can't check - ");
            for byte in digest {
                put!(line, "{byte:02x}");
            }
            return Ok(16);
        }
        TCP_AO => print_tcp_ao(line, data)?,
        USER_TIMEOUT => {
            let field = data.u16(0)?;
            // Like tcpdump: it tests the wrong end of the field for the unit.
            let seconds = if field & 1 != 0 { u32::from(field >> 1) * 60 } else { u32::from(field >> 1) };
            put!(line, " 0x{field:x} {seconds}");
            return Ok(2);
        }
        MPTCP => {
            data.need(data.length)?;
            mptcp::print(line, data, list.flags)?;
        }
        FAST_OPEN => {
            data.need(data.length)?;
            put!(line, " ");
            print_fast_open(line, data, 0)?;
        }
        EXPERIMENT_2 => {
            data.need(data.length)?;
            if data.length < 2 {
                return Err(Broken::Bad);
            }
            put!(line, "-");
            match data.u16(0)? {
                FAST_OPEN_MAGIC => {
                    put!(line, "tfo");
                    print_fast_open(line, data, 2)?;
                }
                unknown => put!(line, "{unknown:04x}"),
            }
        }
        _ => {
            if data.length > 0 {
                put!(line, " 0x");
                data.print_hex(line, 0)?;
            }
        }
    }
    Ok(data.length)
}

fn print_sack(line: &mut Line, base: u32, data: Data) -> Result<(), Broken> {
    if !data.length.is_multiple_of(8) {
        put!(line, " invalid sack");
        return Ok(());
    }
    put!(line, " {} ", data.length / 8);
    for at in (0..data.length).step_by(8) {
        let (left, right) = (data.u32(at)?, data.u32(at + 4)?);
        put!(line, "{{{}:{}}}", left.wrapping_sub(base), right.wrapping_sub(base));
    }
    Ok(())
}

fn print_tcp_ao(line: &mut Line, data: Data) -> Result<(), Broken> {
    if data.length < 2 {
        line.invalid();
        return Ok(());
    }
    put!(line, " keyid {}", data.u8(0)?);
    put!(line, " rnextkeyid {}", data.u8(1)?);
    if data.length > 2 {
        put!(line, " mac 0x");
        data.print_hex(line, 2)?;
    }
    Ok(())
}

/// The cookie that starts at `at`.
fn print_fast_open(line: &mut Line, data: Data, at: u32) -> Result<(), Broken> {
    match data.length - at {
        0 => put!(line, " cookiereq"),
        // RFC 7413: 4 to 16 bytes, an even number.
        length if !length.is_multiple_of(2) || !(4..=16).contains(&length) => line.invalid(),
        _ => {
            put!(line, " cookie ");
            data.print_hex(line, at)?;
        }
    }
    Ok(())
}

const END: u8 = 0;
const NOP: u8 = 1;
const MSS: u8 = 2;
const WINDOW_SCALE: u8 = 3;
const SACK_PERMITTED: u8 = 4;
const SACK: u8 = 5;
const ECHO: u8 = 6;
const ECHO_REPLY: u8 = 7;
const TIMESTAMPS: u8 = 8;
const CC: u8 = 11;
const CC_NEW: u8 = 12;
const CC_ECHO: u8 = 13;
const MD5: u8 = 19;
const SCPS: u8 = 20;
const USER_TIMEOUT: u8 = 28;
const TCP_AO: u8 = 29;
const MPTCP: u8 = 30;
const FAST_OPEN: u8 = 34;
const EXPERIMENT_2: u8 = 254;
const FAST_OPEN_MAGIC: u16 = 0xf989;

const NAMES: &[(u16, &str)] = &[
    (0, "eol"),
    (1, "nop"),
    (2, "mss"),
    (3, "wscale"),
    (4, "sackOK"),
    (5, "sack"),
    (6, "echo"),
    (7, "echoreply"),
    (8, "TS"),
    (11, "cc"),
    (12, "ccnew"),
    // Like tcpdump 4.99.3: this one has no name.
    (13, ""),
    (19, "md5"),
    (20, "scps"),
    (28, "uto"),
    (29, "tcp-ao"),
    (30, "mptcp"),
    (34, "tfo"),
    (254, "exp"),
];
