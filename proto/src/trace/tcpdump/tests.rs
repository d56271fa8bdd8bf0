//! Tables: a frame built from its parts, and the line that tcpdump 4.99.3 prints for it.
//!
//! The differential test of the command compares thousands of generated frames with the real tcpdump; these few
//! show each rule by itself and run anywhere.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::*;

/// An IPv4 packet from 10.0.0.1 to 10.0.0.2 with a correct checksum.
fn ipv4(protocol: u8, payload: &[u8]) -> Vec<u8> {
    ipv4_with(protocol, 0x4000, &[], payload)
}

fn ipv4_with(protocol: u8, fragment: u16, options: &[u8], payload: &[u8]) -> Vec<u8> {
    let words = 5 + options.len() / 4;
    let total = words * 4 + payload.len();
    let mut packet = std::vec![0x40 | words as u8, 0, (total >> 8) as u8, total as u8, 0, 1];
    packet.extend(fragment.to_be_bytes());
    packet.extend([64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    packet.extend(options);
    let sum = checksum::of(&packet);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    packet.extend(payload);
    packet
}

/// A segment from port 1000 to port `port`, its header filled up with zeros to a multiple of four.
fn segment(port: u16, flags: u8, seq: u32, ack: u32, options: &[u8], data: &[u8]) -> Vec<u8> {
    let words = 5 + options.len().div_ceil(4);
    let mut bytes = Vec::from(1000u16.to_be_bytes());
    bytes.extend(port.to_be_bytes());
    bytes.extend(seq.to_be_bytes());
    bytes.extend(ack.to_be_bytes());
    bytes.extend([(words << 4) as u8, flags, 4, 0, 0, 0, 0, 7]);
    bytes.extend(options);
    bytes.resize(words * 4, 0);
    bytes.extend(data);
    bytes
}

fn tcp(flags: u8, options: &[u8], data: &[u8]) -> Vec<u8> {
    ipv4(6, &segment(2000, flags, 100, 200, options, data))
}

/// The lines for several packets, without times.
fn lines(options: Options, packets: &[Vec<u8>]) -> String {
    let mut printer = Printer::new(Options { time: TimeStyle::None, ..options });
    let mut out = String::new();
    for (number, packet) in (1..).zip(packets) {
        let original_len = packet.len() as u32;
        let frame = Frame { number, time_ns: 0, utc_offset: 0, link: LinkType::Raw, bytes: packet, original_len };
        printer.print(&mut out, &frame);
    }
    out
}

fn line(packet: Vec<u8>) -> String {
    String::from(lines(Options::default(), &[packet]).trim_end_matches('\n'))
}

#[test]
fn options_are_printed_with_tcpdumps_quirks() {
    for (options, printed) in [
        (&[2, 4, 5, 0xb4, 1, 3, 3, 7][..], "mss 1460,nop,wscale 7], length 0"),
        (&[4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2], "sackOK,TS val 1 ecr 2], length 0"),
        (&[5, 10, 0, 0, 0, 200, 0, 0, 1, 44], "sack 1 {1:101},eol], length 0"),
        (&[5, 2], "sack 0 ,eol], length 0"),
        (&[5, 5, 1, 2, 3], "sack invalid sack,eol], length 0"),
        (&[34, 2], "tfo  cookiereq,eol], length 0"),
        (&[254, 4, 0xf9, 0x89], "exp-tfo cookiereq], length 0"),
        (&[28, 4, 0x80, 5], "uto 0x8005 983160], length 0"),
        (&[13, 6, 0, 0, 0, 9], " 9,eol], length 0"),
        (&[77, 4, 0xaa, 0xbb], "unknown-77 0xaabb], length 0"),
        (&[2, 3, 5, 0], "mss 1280[len 3]], length 0"),
        (&[9, 1], "[bad opt]"),
        (&[1, 9, 1, 0], "nop,[bad opt]]"),
        (&[1, 8, 3, 1], "nop,TS[bad opt]]"),
        (&[0, 1, 1, 1], "eol], length 0"),
        (&[30, 4, 1, 0x81], "mptcp 4 capable v1 csum], length 0"),
    ] {
        let head = "IP 10.0.0.1.1000 > 10.0.0.2.2000: Flags [S.], seq 100, ack 200, win 1024, options [";
        assert_eq!(line(tcp(0x12, options, &[])), format!("{head}{printed}"));
    }
}
