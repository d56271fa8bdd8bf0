//! Files built word by word, read whole, cut anywhere, and damaged.

use std::io::{Read, Write};

use proptest::prelude::*;
use tempfile::NamedTempFile;
use tidegate_proto::time::Instant;
use tidegate_proto::trace::pcapng;
use tidegate_proto::wire::frame::Link;

use super::*;

/// What a file gives, and the sentence with which it ends early.
fn read(bytes: &[u8]) -> (Vec<Packet>, Option<String>) {
    let mut file = NamedTempFile::new().expect("a temporary file");
    file.write_all(bytes).expect("a file that can be written");
    let mut packets = Vec::new();
    let source = match open(file.path()) {
        Ok(Source::Packets(source)) => source,
        Ok(Source::Text(_)) => return (packets, Some("text".to_owned())),
        Err(failure) => return (packets, Some(sentence(failure, file.path()))),
    };
    for packet in source {
        match packet {
            Ok(packet) => packets.push(packet),
            Err(failure) => return (packets, Some(sentence(failure, file.path()))),
        }
    }
    (packets, None)
}

fn sentence(failure: Failure, path: &Path) -> String {
    let error = match failure {
        Failure::Refused(error) | Failure::Failed(error) => error,
    };
    error.to_string().replace(&path.display().to_string(), "FILE")
}

/// Words in one byte order.
struct Words {
    big_endian: bool,
    bytes: Vec<u8>,
}

impl Words {
    fn new(big_endian: bool) -> Self {
        Words { big_endian, bytes: Vec::new() }
    }

    fn long(mut self, words: &[u32]) -> Self {
        for word in words {
            self.bytes.extend(if self.big_endian { word.to_be_bytes() } else { word.to_le_bytes() });
        }
        self
    }

    fn short(mut self, words: &[u16]) -> Self {
        for word in words {
            self.bytes.extend(if self.big_endian { word.to_be_bytes() } else { word.to_le_bytes() });
        }
        self
    }

    fn raw(mut self, bytes: &[u8]) -> Self {
        self.bytes.extend(bytes);
        self
    }

    fn pcap(self, magic: u32, snaplen: u32, link_type: u32) -> Self {
        self.long(&[magic]).short(&[2, 4]).long(&[0, 0, snaplen, link_type])
    }

    fn section(self) -> Self {
        self.long(&[0x0a0d_0d0a, 28, 0x1a2b_3c4d]).short(&[1, 0]).long(&[u32::MAX, u32::MAX, 28])
    }

    /// An interface with one option in four bytes at most.
    fn interface(self, link_type: u16, option: u16, value: &[u8]) -> Self {
        let padded = value.len().next_multiple_of(4);
        let length = u32::try_from(20 + 4 + padded + 4).expect("small");
        let count = u16::try_from(value.len()).expect("small");
        let padding = vec![0; padded - value.len()];
        let head = self.long(&[1, length]).short(&[link_type, 0]).long(&[0]).short(&[option, count]);
        head.raw(value).raw(&padding).long(&[0, length])
    }

    /// A packet of four bytes.
    fn packet(self, interface: u32, units: u64, flags: u32) -> Self {
        let [high, low] = [units >> 32, units & 0xffff_ffff].map(|half| u32::try_from(half).expect("32 bits"));
        let block = self.long(&[6, 48, interface, high, low, 4, 60]).raw(b"abcd");
        block.short(&[2, 4]).long(&[flags, 0, 48])
    }
}

#[test]
fn a_pcap_is_read_in_both_byte_orders_and_both_resolutions() {
    for big_endian in [false, true] {
        for (magic, time_ns) in [(0xa1b2_c3d4, 7_000_999_000), (0xa1b2_3c4d, 7_000_000_999)] {
            let file = Words::new(big_endian).pcap(magic, 65_535, 1).long(&[7, 999, 3, 60]).raw(b"xyz");
            let (packets, error) = read(&file.bytes);
            assert_eq!(error, None);
            let expected = Packet {
                number: 1,
                time_ns,
                link: LinkType::Ethernet,
                data: Bytes::from_static(b"xyz"),
                original_len: 60,
                interface: 0,
                direction: None,
                comments: Vec::new(),
            };
            assert_eq!(packets, [expected], "{magic:x}, big-endian {big_endian}");
        }
    }
}

#[test]
fn a_patched_pcap_and_a_snapshot_length_are_honoured() {
    let file = Words::new(false).pcap(0xa1b2_cd34, 2, 101).long(&[7, 0, 3, 60, 1, 2]).raw(b"xyz");
    let (packets, error) = read(&file.bytes);
    assert_eq!((packets[0].data.as_ref(), packets[0].link, error), (&b"xy"[..], LinkType::Raw, None));
}

#[test]
fn our_own_capture_comes_back_with_its_reasons() {
    let mut writer = pcapng::Writer::new("test");
    let [a, b] = ["A", "B"].map(|name| {
        writer.add_interface(&pcapng::Interface { name: name.to_owned(), link: Link::Ethernet, snap_len: 0 })
    });
    let first = Instant::from_nanos(1_795_428_551_000_000_001);
    for (interface, direction) in [(b, pcapng::Direction::Outbound), (a, pcapng::Direction::Inbound)] {
        let comments = &["retransmission: RTO 1", "cwnd=1"];
        writer.packet(&pcapng::Packet { interface, time: first, direction, bytes: b"frame", comments });
    }
    let (packets, error) = read(&writer.take_bytes());
    assert_eq!(error, None);
    let seen: Vec<_> = packets.iter().map(|p| (p.number, p.interface, p.direction)).collect();
    assert_eq!(seen, [(1, 1, Some(Direction::Out)), (2, 0, Some(Direction::In))]);
    assert_eq!(packets[0].time_ns, first.as_nanos());
    assert_eq!(packets[0].comments, ["retransmission: RTO 1", "cwnd=1"]);
    assert_eq!(packets[0].data.as_ref(), b"frame");
}

#[test]
fn each_interface_has_its_clock() {
    for big_endian in [false, true] {
        for (option, value, units, time_ns) in [
            // Without an option: microseconds.
            (2, &b"eth0"[..], 1_500_000, 1_500_000_000),
            // if_tsresol: powers of ten and of two.
            (9, &[9], 1_500_000, 1_500_000),
            (9, &[3], 1_500, 1_500_000_000),
            (9, &[0x80 | 10], 1_536, 1_500_000_000),
        ] {
            let file = Words::new(big_endian).section().interface(1, option, value).packet(0, units, 2);
            let (packets, error) = read(&file.bytes);
            assert_eq!(error, None);
            assert_eq!(packets[0].time_ns, time_ns, "option {option}, value {value:?}");
            assert_eq!(packets[0].direction, Some(Direction::Out));
        }
        let offset = if big_endian { 100i64.to_be_bytes() } else { 100i64.to_le_bytes() };
        let file = Words::new(big_endian).section().interface(1, 14, &offset).packet(0, 1, 1);
        let (packets, error) = read(&file.bytes);
        assert_eq!((packets[0].time_ns, error), (100_000_001_000, None));
    }
}

#[test]
fn a_new_section_starts_with_no_interfaces() {
    let one = Words::new(false).section().interface(1, 2, b"eth0").packet(0, 1, 0).bytes;
    let other = Words::new(true).section().interface(101, 2, b"tun0").packet(0, 1, 0).bytes;
    let (packets, error) = read(&[one.clone(), other].concat());
    assert_eq!(error, None);
    assert_eq!([packets[0].link, packets[1].link], [LinkType::Ethernet, LinkType::Raw]);

    let orphan = Words::new(true).section().packet(0, 1, 0).bytes;
    let (packets, error) = read(&[one, orphan].concat());
    assert_eq!(packets.len(), 1);
    let expected = "FILE is damaged at offset 136: a packet names interface 0, which is not described";
    assert_eq!(error.as_deref(), Some(expected));
}

/// A file, and where each of its records ends.
fn files() -> [(Vec<u8>, Vec<usize>); 2] {
    let pcap = Words::new(false).pcap(0xa1b2_c3d4, 65_535, 1);
    let pcap = pcap.long(&[7, 0, 3, 60]).raw(b"xyz").long(&[7, 1, 5, 5]).raw(b"abcde");
    let ng = Words::new(true).section().interface(1, 2, b"eth0").packet(0, 1, 0).packet(0, 2, 0);
    [(pcap.bytes, vec![24, 43, 64]), (ng.bytes, vec![28, 60, 108, 156])]
}

#[test]
fn a_file_that_is_cut_gives_everything_before_the_cut() {
    for (file, ends) in files() {
        assert_eq!(ends.last(), Some(&file.len()));
        // Packets are the last two records of either file.
        let first_packet = ends.len() - 2;
        for cut in ends[0]..file.len() {
            let (packets, error) = read(&file[..cut]);
            let whole = ends.iter().filter(|end| **end <= cut).count();
            assert_eq!(packets.len(), whole.saturating_sub(first_packet), "cut at {cut}");
            match error {
                None => assert!(ends.contains(&cut), "a cut at {cut} went unnoticed"),
                Some(error) => {
                    let offset = ends[whole - 1];
                    assert!(
                        error.starts_with(&format!("FILE is damaged at offset {offset}: the file ends")),
                        "{error}"
                    );
                }
            }
        }
    }
}

#[test]
fn nonsense_is_told_with_its_offset() {
    let pcap = || Words::new(false).pcap(0xa1b2_c3d4, 65_535, 1);
    let ng = || Words::new(false).section().interface(1, 2, b"eth0");
    for (file, expected) in [
        (pcap().long(&[7, 0, 300_000, 60]), "FILE is damaged at offset 24: a record claims 300000 bytes"),
        (ng().long(&[6, 17, 0]), "FILE is damaged at offset 60: a block claims 17 bytes"),
        (ng().long(&[6, 0x4000_0000, 0]), "FILE is damaged at offset 60: a block claims 1073741824 bytes"),
        (ng().long(&[6, 16, 0, 20]), "FILE is damaged at offset 60: a block's two lengths differ"),
        (ng().long(&[6, 16, 0, 16]), "FILE is damaged at offset 60: a block cannot be decoded"),
        (
            ng().interface(113, 2, b"any").packet(1, 1, 0),
            "FILE is damaged at offset 92: link type 113 is neither Ethernet nor raw IP",
        ),
        (Words::new(false).pcap(0xa1b2_c3d4, 65_535, 113), "FILE: link type 113 is neither Ethernet nor raw IP"),
        (
            Words::new(false).section().interface(1, 9, &[0xff]),
            "FILE is damaged at offset 28: an interface has no usable time resolution",
        ),
        (Words::new(false).raw(b"10:09:11.000000 IP"), "text"),
        (Words::new(false), "text"),
    ] {
        assert_eq!(read(&file.bytes).1.as_deref(), Some(expected));
    }
}

#[test]
fn text_is_handed_over_from_its_first_byte() {
    let mut file = NamedTempFile::new().expect("a temporary file");
    file.write_all(b"10:09:11").expect("a file that can be written");
    let Ok(Source::Text(mut text)) = open(file.path()) else { panic!("this is text") };
    let mut all = String::new();
    text.read_to_string(&mut all).expect("text");
    assert_eq!(all, "10:09:11");
}

#[test]
fn a_file_that_is_not_there_is_refused_in_one_sentence() {
    let Err(failure) = open(Path::new("/nowhere/x.pcap")) else { panic!("there is no such file") };
    let Failure::Refused(error) = failure else { panic!("this cannot be done as asked") };
    assert_eq!(error.to_string(), "cannot open /nowhere/x.pcap: No such file or directory");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn damage_anywhere_neither_panics_nor_invents_packets(
        which in 0..2usize,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let [pcap, ng] = files();
        let mut file = if which == 0 { pcap.0 } else { ng.0 };
        for (at, byte) in changes {
            let at = at.index(file.len());
            file[at] = byte;
        }
        let (packets, _) = read(&file);
        prop_assert!(packets.len() <= 4);
    }
}
