//! The text being printed, and the words that several protocols share.
//!
//! Sections: none.
//! In: pieces of text; names of protocols.
//! Out: the line of one frame.

use alloc::string::String;
use core::fmt::{self, Write};
use core::net::IpAddr;

use super::sequence::Bases;
use super::{Frame, Options, put};

/// The line of one frame, as far as it is printed.
pub(super) struct Line<'a> {
    out: &'a mut String,
    pub(super) options: Options,
    pub(super) bases: &'a mut Bases,
    /// Who is reading the packet: named when the capture turns out to end too early.
    pub(super) protocol: &'static str,
    /// How many IP headers have been opened inside one another.
    pub(super) depth: u32,
}

impl<'a> Line<'a> {
    pub(super) fn new(out: &'a mut String, options: Options, bases: &'a mut Bases) -> Self {
        Line { out, options, bases, protocol: "", depth: 0 }
    }

    /// Appends text; called by `put!`.
    pub(super) fn write(&mut self, text: fmt::Arguments) {
        self.out.write_fmt(text).expect("a String takes everything");
    }

    /// Appends bytes that are ASCII.
    pub(super) fn write_bytes(&mut self, bytes: &[u8]) {
        self.out.extend(bytes.iter().map(|&byte| char::from(byte)));
    }

    /// The capture ends in the middle of a header.
    pub(super) fn cut_short(&mut self) {
        let protocol = self.protocol;
        put!(self, " [|{protocol}]");
    }

    /// What was read contradicts itself.
    pub(super) fn invalid(&mut self) {
        put!(self, " (invalid)");
    }

    /// Prints what is wrong with the record around the packet, if anything is.
    pub(super) fn refuse_lengths(&mut self, frame: &Frame) -> bool {
        let captured = frame.bytes.len() as u64;
        let original = u64::from(frame.original_len);
        let mut separator = "[Invalid header:";
        if captured == 0 {
            // The missing space is tcpdump's.
            put!(self, "[Invalid header: caplen==0");
            separator = ",";
        }
        if original == 0 {
            put!(self, "{separator} len==0");
            separator = ",";
        } else if original < captured {
            put!(self, "{separator} len({original}) < caplen({captured})");
            separator = ",";
        }
        for (name, length) in [("caplen", captured), ("len", original)] {
            if length > MAXIMUM_SNAPLEN {
                put!(self, "{separator} {name}({length}) > {MAXIMUM_SNAPLEN}");
                separator = ",";
            }
        }
        let refused = separator == ",";
        if refused {
            put!(self, "]");
        }
        refused
    }

    /// Bytes in hexadecimal, sixteen on a line, each line after `indent`.
    pub(super) fn hex(&mut self, indent: &str, bytes: &[u8]) {
        for (row, chunk) in bytes.chunks(16).enumerate() {
            put!(self, "{indent}0x{:04x}: ", row * 16);
            self.hex_groups(chunk);
        }
    }

    /// As [`Line::hex`], with the printable characters beside.
    pub(super) fn hex_and_ascii(&mut self, indent: &str, bytes: &[u8]) {
        for (row, chunk) in bytes.chunks(16).enumerate() {
            put!(self, "{indent}0x{:04x}: ", row * 16);
            self.hex_groups(chunk);
            let missing = 16 - chunk.len();
            let padding = missing * 2 + missing / 2 + 2;
            put!(self, "{:padding$}", "");
            for &byte in chunk {
                let shown = if byte.is_ascii_graphic() { char::from(byte) } else { '.' };
                put!(self, "{shown}");
            }
        }
    }

    fn hex_groups(&mut self, bytes: &[u8]) {
        for (at, byte) in bytes.iter().enumerate() {
            let space = if at % 2 == 0 { " " } else { "" };
            put!(self, "{space}{byte:02x}");
        }
    }

    /// Bytes joined by colons, as link addresses are written.
    pub(super) fn link_address(&mut self, bytes: &[u8]) {
        for (at, byte) in bytes.iter().enumerate() {
            let colon = if at == 0 { "" } else { ":" };
            put!(self, "{colon}{byte:02x}");
        }
    }

    /// The names of the bits that are set, joined by `, `; `none` if there are none.
    pub(super) fn bits(&mut self, names: &[(u32, &str)], value: u32) {
        let mut separator = "";
        for (bit, name) in names {
            if value & bit == *bit {
                put!(self, "{separator}{name}");
                separator = ", ";
            }
        }
        if separator.is_empty() {
            put!(self, "none");
        }
    }

    /// One byte of text, made visible: `^A`, `M-x`.
    pub(super) fn visible(&mut self, byte: u8) {
        let meta = if byte.is_ascii() { "" } else { "M-" };
        let low = byte & 0x7f;
        let (control, shown) = if matches!(low, 0x20..0x7f) { ("", low) } else { ("^", low ^ 0x40) };
        put!(self, "{meta}{control}{}", char::from(shown));
    }
}

/// An address, written as `inet_ntop` does it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Address(pub(super) IpAddr);

impl From<[u8; 4]> for Address {
    fn from(bytes: [u8; 4]) -> Self {
        Address(IpAddr::from(bytes))
    }
}

impl From<[u8; 16]> for Address {
    fn from(bytes: [u8; 16]) -> Self {
        Address(IpAddr::from(bytes))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            // An IPv4 address under a zero prefix: Rust writes `::102:304`, inet_ntop `::1.2.3.4`.
            IpAddr::V6(v6) if matches!(v6.segments(), [0, 0, 0, 0, 0, 0, high, _] if high != 0) => {
                let [.., a, b, c, d] = v6.octets();
                write!(f, "::{a}.{b}.{c}.{d}")
            }
            address => address.fmt(f),
        }
    }
}

/// Looks up the name of a number.
pub(super) fn name_of(names: &[(u16, &'static str)], number: u16) -> Option<&'static str> {
    names.iter().find(|(known, _)| *known == number).map(|(_, name)| *name)
}

/// The longest packet that libpcap hands out.
const MAXIMUM_SNAPLEN: u64 = 262_144;
