//! Tables: a frame built from its parts, and the line that tcpdump 4.99.3 prints for it.
//!
//! The differential test of the command compares thousands of generated frames with the real tcpdump; these few
//! show each rule by itself and run anywhere.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;

/// An IPv4 packet from 10.0.0.1 to 10.0.0.2 with a correct checksum.
fn ipv4(protocol: u8, payload: &[u8]) -> Vec<u8> {
    ipv4_with(protocol, 0x4000, &[], payload)
}

/// An IPv6 packet from 2001:db8::1 to ::ffff:10.0.0.2.
fn ipv6(next: u8, payload: &[u8]) -> Vec<u8> {
    let mut packet = std::vec![0x60, 0, 0, 0, 0, payload.len() as u8, next, 64, 0x20, 1, 0xd, 0xb8];
    packet.extend([0; 11]);
    packet.push(1);
    packet.extend([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 2]);
    packet.extend(payload);
    packet
}

fn ethernet(ethertype: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = std::vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
    frame.extend(ethertype.to_be_bytes());
    frame.extend(payload);
    frame
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

/// What is printed for packets whose length on the wire is given, without times.
fn print(options: Options, link: LinkType, packets: &[(&[u8], usize)]) -> Vec<String> {
    let mut printer = Printer::new(Options { time: TimeStyle::None, ..options });
    let printed = (1..).zip(packets).map(|(number, &(bytes, original_len))| {
        let frame = Frame { number, time_ns: 0, utc_offset: 0, link, bytes, original_len: original_len as u32 };
        let mut out = String::new();
        printer.print(&mut out, &frame);
        String::from(out.strip_suffix('\n').expect("a line ends"))
    });
    printed.collect()
}

fn line(packet: Vec<u8>) -> String {
    cut(packet, usize::MAX)
}

/// The line of a packet of which only `kept` bytes were captured.
fn cut(packet: Vec<u8>, kept: usize) -> String {
    let captured = &packet[..kept.min(packet.len())];
    print(Options::default(), LinkType::Raw, &[(captured, packet.len())]).remove(0)
}

fn verbose(packet: Vec<u8>) -> String {
    let options = Options { verbose: true, ..Options::default() };
    print(options, LinkType::Raw, &[(&packet, packet.len())]).remove(0)
}

fn framed(options: Options, frame: Vec<u8>) -> String {
    print(options, LinkType::Ethernet, &[(&frame, frame.len())]).remove(0)
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

#[test]
fn options_that_were_not_captured_end_the_line() {
    let segment = || tcp(0x10, &[1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2], &[]);
    let head = "IP 10.0.0.1.1000 > 10.0.0.2.2000: Flags [.], ack 200, win 1024, options [";
    for (kept, rest) in [(52, "nop,nop,TS val 1 ecr 2], length 0"), (48, "nop,nop,TS [|tcp]>"), (42, "nop,nop, [|tcp]")]
    {
        assert_eq!(cut(segment(), kept), format!("{head}{rest}"));
    }
    assert_eq!(cut(segment(), 30), "IP 10.0.0.1.1000 > 10.0.0.2.2000:  [|tcp]");
    assert_eq!(cut(segment(), 22), "IP 10.0.0.1 > 10.0.0.2: [|tcp]");
    assert_eq!(cut(segment(), 10), "IP  [|ip]");
}

#[test]
fn numbers_count_from_the_first_segment_with_an_acknowledgement() {
    let reply = |flags, seq, ack, options: &[u8], data: &[u8]| {
        let mut packet = ipv4(6, &segment(1000, flags, seq, ack, options, data));
        packet[12..20].copy_from_slice(&[10, 0, 0, 2, 10, 0, 0, 1]);
        packet[20..22].copy_from_slice(&2000u16.to_be_bytes());
        packet
    };
    let ask = |flags, seq, ack, data: &[u8]| ipv4(6, &segment(2000, flags, seq, ack, &[], data));
    let sack = [1, 1, 5, 10, 0, 0, 0x03, 0xf3, 0, 0, 0x03, 0xfd];
    let packets = [
        // The bare SYN is printed as it is and forgotten; the SYN-ACK sets both bases.
        ask(0x02, 1000, 0, b""),
        reply(0x12, 5000, 1001, &[], b""),
        ask(0x10, 1001, 5001, b""),
        ask(0x18, 1001, 5001, b"0123456789"),
        reply(0x10, 5001, 1001, &sack, b""),
        // A reset without an acknowledgement does not use the table.
        ask(0x04, 1011, 0, b""),
        // Neither reset nor FIN ends an entry; what is older than the base wraps.
        ask(0x10, 999, 5001, b"01"),
    ];
    let packets: Vec<_> = packets.iter().map(|packet| (packet.as_slice(), packet.len())).collect();
    let numbers = |options| -> Vec<String> {
        let printed = print(options, LinkType::Raw, &packets);
        printed.iter().map(|line| String::from(line.split("Flags ").nth(1).expect("a segment"))).collect()
    };
    assert_eq!(
        numbers(Options::default()),
        [
            "[S], seq 1000, win 1024, length 0",
            "[S.], seq 5000, ack 1001, win 1024, length 0",
            "[.], ack 1, win 1024, length 0",
            "[P.], seq 1:11, ack 1, win 1024, length 10",
            "[.], ack 1, win 1024, options [nop,nop,sack 1 {11:21}], length 0",
            "[R], seq 1011, win 1024, length 0",
            "[.], seq 4294967295:1, ack 1, win 1024, length 2",
        ]
    );
    let absolute = numbers(Options { absolute: true, ..Options::default() });
    assert_eq!(absolute[3], "[P.], seq 1001:1011, ack 5001, win 1024, length 10");
    assert_eq!(absolute[4], "[.], ack 1001, win 1024, options [nop,nop,sack 1 {1011:1021}], length 0");
}

#[test]
fn a_capture_that_starts_in_the_middle_counts_from_its_first_segment() {
    let packets = [tcp(0x10, &[], b"0123456789"), ipv4(6, &segment(2000, 0x10, 110, 200, &[], b"0123456789"))];
    let packets: Vec<_> = packets.iter().map(|packet| (packet.as_slice(), packet.len())).collect();
    let printed = print(Options::default(), LinkType::Raw, &packets);
    assert!(printed[0].contains("seq 100:110, ack 200,") && printed[1].contains("seq 10:20, ack 1,"), "{printed:?}");
}

#[test]
fn flags_are_printed_in_a_fixed_order() {
    for (flags, letters) in [(0x00, "none"), (0xff, "FSRP.UEW"), (0xc2, "SEW"), (0x14, "R."), (0x20, "U")] {
        let printed = line(tcp(flags, &[], &[]));
        assert!(printed.contains(&format!(": Flags [{letters}]")), "{printed}");
    }
}

#[test]
fn headers_of_impossible_length_are_told() {
    let with_words = |words: u8| {
        let mut packet = tcp(0x10, &[], b"abcd");
        packet[32] = words << 4;
        line(packet)
    };
    assert_eq!(with_words(4), "IP 10.0.0.1.1000 > 10.0.0.2.2000:  tcp 8 [bad hdr length 16 - too short, < 20]");
    assert_eq!(with_words(15), "IP 10.0.0.1.1000 > 10.0.0.2.2000: Flags [.] [bad hdr length 60 - too long, > 24]");
    let with_byte = |at: usize, byte: u8| {
        let mut packet = tcp(0x10, &[], &[]);
        packet[at] = byte;
        line(packet)
    };
    assert_eq!(with_byte(0, 0x44), "IP bad-hlen 16");
    assert_eq!(with_byte(3, 0), "IP bad-len 0");
    assert_eq!(
        with_byte(3, 100),
        "IP truncated-ip - 60 bytes missing! 10.0.0.1.1000 > 10.0.0.2.2000: Flags [.], seq 100:160, ack 200, win 1024, length 60"
    );
    assert_eq!(with_byte(0, 0x25), "unknown ip 2");
}

#[test]
fn text_is_recognised_by_port() {
    for (port, data, rest) in [
        (80, &b"GET /file_64KB HTTP/1.1\r\nHost: b\r\n\r\n"[..], ": HTTP: GET /file_64KB HTTP/1.1"),
        (8080, b"HTTP/1.1 200 OK\r\n", ": HTTP: HTTP/1.1 200 OK"),
        (80, b"GET / HTTP/1.1", ": HTTP: GET / HTTP/1.1 [|http]"),
        (80, b"\x16\x03\x01", ": HTTP"),
        (21, b"220 ready\r\n", ": FTP: 220 ready"),
        (22, b"SSH-2.0-OpenSSH_9.2\r\n", ": SSH: SSH-2.0-OpenSSH_9.2"),
        (22, b"\x00\x00\x05\xdc", ""),
        (25, b"220 mail ESMTP\r\n", ": SMTP: 220 mail ESMTP"),
        (554, b"PLAY rtsp://b/1 RTSP/1.0\r\n", ": RTSP: PLAY rtsp://b/1 RTSP/1.0"),
        (443, b"GET / HTTP/1.1\r\n", ""),
    ] {
        let printed = line(ipv4(6, &segment(port, 0x18, 1, 1, &[], data)));
        let (_, tail) = printed.split_once("length ").expect("a length");
        assert_eq!(tail, format!("{}{rest}", data.len()));
    }
}

#[test]
fn verbose_shows_the_ip_header_and_checks_sums() {
    assert_eq!(
        verbose(ipv4(6, &segment(80, 0x18, 1, 1, &[], b"GET / HTTP/1.1\r\nHost: b\r\n\r\n"))),
        "IP (tos 0x0, ttl 64, id 1, offset 0, flags [DF], proto TCP (6), length 67)\n    10.0.0.1.1000 > 10.0.0.2.80: \
         Flags [P.], cksum 0x0000 (incorrect -> 0x55b9), seq 1:28, ack 1, win 1024, length 27: HTTP, length: 27\n\
         \tGET / HTTP/1.1\n\tHost: b\n\t"
    );
    let mut packet = ipv4_with(200, 0xa000, &[148, 4, 0, 0], &[]);
    packet[1] = 3;
    assert_eq!(
        verbose(packet),
        "IP (tos 0x3,CE, ttl 64, id 1, offset 0, flags [+, rsvd], proto unknown (200), length 24, options (RA), \
         bad cksum 3116 (->3113)!)\n    10.0.0.1 > 10.0.0.2:  ip-proto-200 0"
    );
    let mut packet = ipv6(6, &segment(2000, 0x04, 1, 0, &[], b"why\x01\xff"));
    packet[..4].copy_from_slice(&[0x60, 0x3a, 0xbc, 0xde]);
    assert_eq!(
        verbose(packet),
        "IP6 (class 0x03, flowlabel 0xabcde, hlim 64, next-header TCP (6) payload length: 25) \
         2001:db8::1.1000 > ::ffff:10.0.0.2.2000: Flags [R], cksum 0x0000 (incorrect -> 0x78f5), seq 1:6, win 1024, \
         length 5 [RST why^AM-^?]"
    );
}

#[test]
fn ipv6_and_its_headers() {
    let segment = segment(2000, 0x02, 1, 0, &[], &[]);
    assert_eq!(
        line(ipv6(6, &segment)),
        "IP6 2001:db8::1.1000 > ::ffff:10.0.0.2.2000: Flags [S], seq 1, win 1024, length 0"
    );
    let behind = |header: [u8; 8]| [&header[..], &segment].concat();
    assert_eq!(
        line(ipv6(60, &behind([6, 0, 1, 4, 0, 0, 0, 0]))),
        "IP6 2001:db8::1 > ::ffff:10.0.0.2: DSTOPT 1000 > 2000: Flags [S], seq 1, win 1024, length 0"
    );
    assert_eq!(line(ipv6(44, &behind([6, 0, 5, 0, 0, 0, 0, 9]))), "IP6 2001:db8::1 > ::ffff:10.0.0.2: frag (1280|20)");
    assert_eq!(line(ipv6(59, &[])), "IP6 2001:db8::1 > ::ffff:10.0.0.2: no next header");
    assert_eq!(cut(ipv6(6, &segment), 45), "IP6 2001:db8::1.1000 > ::ffff:10.0.0.2.2000:  [|tcp]");
}

#[test]
fn ethernet_and_what_it_carries() {
    let request = [0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 2, 10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 10, 0, 0, 2];
    let mut reply = request;
    reply[7] = 2;
    let options = Options { link_header: true, ..Options::default() };
    assert_eq!(
        framed(Options::default(), ethernet(0x0806, &request)),
        "ARP, Request who-has 10.0.0.2 tell 10.0.0.1, length 28"
    );
    assert_eq!(
        framed(Options::default(), ethernet(0x0806, &reply)),
        "ARP, Reply 10.0.0.1 is-at 02:00:00:00:00:02, length 28"
    );
    let tagged = [&[0xa0, 5, 8, 0][..], &ipv4(200, &[])].concat();
    assert_eq!(
        framed(options, ethernet(0x8100, &tagged)),
        "02:00:00:00:00:02 > 02:00:00:00:00:01, ethertype 802.1Q (0x8100), length 38: vlan 5, p 5, \
         ethertype IPv4 (0x0800), 10.0.0.1 > 10.0.0.2:  ip-proto-200 0"
    );
    assert_eq!(
        framed(Options::default(), ethernet(0x88b5, b"abc\x00")),
        "02:00:00:00:00:02 > 02:00:00:00:00:01, ethertype Unknown (0x88b5), length 18: \n\
         \t0x0000:  6162 6300                                abc."
    );
}

#[test]
fn messages_of_icmp_and_datagrams() {
    let quoted = ipv4(17, &[3, 232, 19, 136, 0, 12, 0, 0, 1, 2, 3, 4]);
    for (packet, printed) in [
        (ipv4(17, &[3, 232, 19, 136, 0, 12, 0, 0, 1, 2, 3, 4]), ".1000 > 10.0.0.2.5000: UDP, length 4"),
        (ipv4(17, &[3, 232, 19, 136, 0, 22, 0, 0, 1, 2, 3, 4]), ".1000 > 10.0.0.2.5000: UDP, bad length 14 > 4"),
        (ipv4(1, &[8, 0, 0, 0, 0, 77, 0, 1]), " > 10.0.0.2: ICMP echo request, id 77, seq 1, length 8"),
        (
            ipv4(1, &[&[3, 3, 0, 0, 0, 0, 0, 0], &quoted[..]].concat()),
            " > 10.0.0.2: ICMP 10.0.0.2 udp port 5000 unreachable, length 40",
        ),
        (
            ipv4(1, &[&[3, 4, 0, 0, 0, 0, 5, 120], &quoted[..]].concat()),
            " > 10.0.0.2: ICMP 10.0.0.2 unreachable - need to frag (mtu 1400), length 40",
        ),
        (ipv4_with(6, 0x00b9, &[], b"abc"), " > 10.0.0.2: ip-proto-6"),
    ] {
        assert_eq!(line(packet), format!("IP 10.0.0.1{printed}"));
    }
    let solicitation = [&[135, 0, 0, 0, 0, 0, 0, 0, 0xfe, 0x80][..], &[0; 13], &[1, 1, 1, 2, 0, 0, 0, 0, 1]].concat();
    assert_eq!(
        line(ipv6(58, &solicitation)),
        "IP6 2001:db8::1 > ::ffff:10.0.0.2: ICMP6, neighbor solicitation, who has fe80::1, length 32"
    );
}

#[test]
fn lengths_that_contradict_each_other_print_no_packet() {
    let packet = tcp(0x10, &[], &[]);
    for (bytes, original, printed) in [
        (&packet[..0], 40, "[Invalid header: caplen==0]"),
        (&packet[..0], 0, "[Invalid header: caplen==0, len==0]"),
        (&packet, 0, "[Invalid header: len==0]"),
        (&packet, 12, "[Invalid header: len(12) < caplen(40)]"),
        (&packet, 300_000, "[Invalid header: len(300000) > 262144]"),
    ] {
        assert_eq!(print(Options::default(), LinkType::Raw, &[(bytes, original)]), [printed]);
    }
}

#[test]
fn times_are_printed_in_six_ways() {
    let packet = tcp(0x10, &[], &[]);
    // 2023-11-14 22:13:20 UTC, then 1.5 s later, then 0.25 s before that.
    let times = [1_700_000_000_000_001_999, 1_700_000_001_500_001_999, 1_700_000_001_250_001_999];
    for (time, expected) in [
        (TimeStyle::Clock, ["23:13:20.000001 ", "23:13:21.500001 ", "23:13:21.250001 "]),
        (TimeStyle::None, ["", "", ""]),
        (TimeStyle::Unix, ["1700000000.000001 ", "1700000001.500001 ", "1700000001.250001 "]),
        (TimeStyle::SincePrevious, [" 00:00:00.000000 ", " 00:00:01.500000 ", "-00:00:00.250000 "]),
        (
            TimeStyle::Dated,
            ["2023-11-14 23:13:20.000001 ", "2023-11-14 23:13:21.500001 ", "2023-11-14 23:13:21.250001 "],
        ),
        (TimeStyle::SinceFirst, [" 00:00:00.000000 ", " 00:00:01.500000 ", " 00:00:01.250000 "]),
    ] {
        let mut printer = Printer::new(Options { time, number: true, ..Options::default() });
        for (number, (time_ns, expected)) in (1..).zip(times.into_iter().zip(expected)) {
            let mut out = String::new();
            let frame =
                Frame { number, time_ns, utc_offset: 3_600, link: LinkType::Raw, bytes: &packet, original_len: 40 };
            printer.print(&mut out, &frame);
            assert_eq!(out.split("IP ").next(), Some(format!("    {number}  {expected}").as_str()));
        }
    }
}

#[test]
fn packets_in_packets_end_somewhere() {
    let nested = |layers: usize| (0..layers).fold(tcp(0x10, &[], &[]), |inner, _| ipv4(4, &inner));
    assert!(line(nested(10)).ends_with("Flags [.], ack 200, win 1024, length 0"));
    assert!(line(nested(1_000)).contains(" ip-proto-4 "));
}

/// What random bytes are put behind, so that they are taken for packets.
const STARTS: &[&[u8]] =
    &[&[], &[0x45], &[0x60], &[0x45, 0, 0, 99, 0, 0, 0, 0, 64], &[0x45, 0, 0, 99, 0, 0, 0, 0, 64, 6]];

proptest! {
    #[test]
    fn no_bytes_make_the_printer_panic(
        bytes in prop::collection::vec(any::<u8>(), 1..200),
        start in prop::sample::select(STARTS),
        ethernet in any::<bool>(),
        verbose in any::<bool>(),
        original in 0..300u32,
    ) {
        let bytes = [start, &bytes[..]].concat();
        let link = if ethernet { LinkType::Ethernet } else { LinkType::Raw };
        let mut printer = Printer::new(Options { verbose, link_header: verbose, ..Options::default() });
        for number in 1..3 {
            let mut out = String::new();
            let original_len = original.max(bytes.len() as u32);
            printer.print(&mut out, &Frame { number, time_ns: u64::MAX, utc_offset: -1, link, bytes: &bytes, original_len });
            prop_assert!(out.ends_with('\n') && out.is_ascii());
        }
    }
}
