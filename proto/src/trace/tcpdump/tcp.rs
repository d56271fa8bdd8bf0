//! TCP's part of the line.
//!
//! Sections: RFC 9293 3.1; RFC 3168 6.1.
//! In: the segment's bytes, the IP header around it, the numbers seen before.
//! Out: ports, flags, numbers, window, options, length, and a hint of the payload.

use core::net::SocketAddr;

use super::bytes::{Captured, CutShort};
use super::ip::{self, Ip};
use super::line::Line;
use super::sequence::Numbers;
use super::{checksum, payload, put, tcp_options};

/// The line of a segment. `length` is what the IP header leaves for it.
pub(super) fn print(line: &mut Line, ip: &Ip, bytes: Captured, length: u32) -> Result<(), CutShort> {
    line.protocol = "tcp";
    let (Ok(source), Ok(destination)) = (bytes.u16(0), bytes.u16(2)) else {
        // The missing space after the colon is tcpdump's.
        put!(line, "{ip}:");
        line.cut_short();
        return Ok(());
    };
    ip.print_ports(line, ip::TCP, source, destination);
    let Ok::<[u8; 20], _>([.., offset_reserved, flags, w0, w1, c0, c1, u0, u1]) = bytes.array(0) else {
        line.cut_short();
        return Ok(());
    };
    let header_length = u32::from(offset_reserved >> 4) * 4;
    if header_length < FIXED {
        // Two spaces after the colon: tcpdump's as well.
        let rest = length.wrapping_sub(header_length);
        put!(line, " tcp {rest} [bad hdr length {header_length} - too short, < {FIXED}]");
        return Ok(());
    }
    let (seq, ack) = (bytes.u32(4)?, bytes.u32(8)?);
    put!(line, "Flags [");
    print_flags(line, flags);
    put!(line, "]");

    let numbers = if line.options.absolute || flags & ACK == 0 {
        Numbers::absolute(seq, ack)
    } else {
        let (from, to) = (SocketAddr::new(ip.source, source), SocketAddr::new(ip.destination, destination));
        line.bases.relative(from, to, flags & SYN != 0, seq, ack)
    };
    let Some(data_length) = length.checked_sub(header_length) else {
        put!(line, " [bad hdr length {header_length} - too long, > {length}]");
        return Ok(());
    };
    if line.options.verbose && !ip.fragmented {
        print_checksum(line, ip, u16::from_be_bytes([c0, c1]), bytes, length);
    }
    if data_length > 0 || flags & (SYN | FIN | RST) != 0 {
        put!(line, ", seq {}", numbers.seq);
        if data_length > 0 {
            put!(line, ":{}", numbers.seq.wrapping_add(data_length));
        }
    }
    if flags & ACK != 0 {
        put!(line, ", ack {}", numbers.ack);
    }
    put!(line, ", win {}", u16::from_be_bytes([w0, w1]));
    if flags & URG != 0 {
        put!(line, ", urg {}", u16::from_be_bytes([u0, u1]));
    }
    if header_length > FIXED {
        let (options, options_length) = (bytes.from(FIXED), header_length - FIXED);
        let is_whole = bytes.has(0, length);
        let list = tcp_options::List { bytes: options, length: options_length, flags, numbers, is_whole };
        if !tcp_options::print(line, list)? {
            return Ok(());
        }
    }
    put!(line, ", length {data_length}");
    if data_length == 0 {
        return Ok(());
    }
    if !bytes.has(0, header_length) {
        let captured = bytes.all().len();
        put!(line, " [remaining caplen({captured}) < header length({header_length})]");
        return Err(CutShort);
    }
    let data = bytes.from(header_length);
    if flags & RST != 0 && line.options.verbose {
        print_reset_reason(line, data, data_length);
        return Ok(());
    }
    payload::print(line, [source, destination], data, data_length)
}

/// The letters in tcpdump's order. RFC 9293 draws the bits the other way round.
fn print_flags(line: &mut Line, flags: u8) {
    if flags == 0 {
        put!(line, "none");
    }
    for (bit, letter) in FLAGS {
        if flags & bit != 0 {
            put!(line, "{letter}");
        }
    }
}

fn print_checksum(line: &mut Line, ip: &Ip, field: u16, bytes: Captured, length: u32) {
    let Ok(segment) = bytes.slice(0, length) else { return };
    put!(line, ", cksum 0x{field:04x}");
    match ip.checksum(ip::TCP, segment) {
        0 => put!(line, " (correct)"),
        sum => put!(line, " (incorrect -> 0x{:04x})", checksum::should_be(field, sum)),
    }
}

/// The text that a reset may carry, made visible, as far as it was captured.
fn print_reset_reason(line: &mut Line, data: Captured, length: u32) {
    let missing = if data.has(0, length) { "" } else { "!" };
    let more = if length > LONGEST_REASON { "+" } else { "" };
    put!(line, " [{missing}RST{more} ");
    for &byte in data.limit(length.min(LONGEST_REASON)).all() {
        line.visible(byte);
    }
    put!(line, "]");
}

const FIXED: u32 = 20;
/// tcpdump shows this much of the text in a reset.
const LONGEST_REASON: u32 = 30;

pub(super) const FIN: u8 = 0x01;
pub(super) const SYN: u8 = 0x02;
pub(super) const RST: u8 = 0x04;
pub(super) const PSH: u8 = 0x08;
pub(super) const ACK: u8 = 0x10;
pub(super) const URG: u8 = 0x20;
const ECE: u8 = 0x40;
const CWR: u8 = 0x80;
const FLAGS: [(u8, char); 8] =
    [(FIN, 'F'), (SYN, 'S'), (RST, 'R'), (PSH, 'P'), (ACK, '.'), (URG, 'U'), (ECE, 'E'), (CWR, 'W')];
