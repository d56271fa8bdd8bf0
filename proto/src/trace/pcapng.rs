//! Writing captures that Wireshark and tcpdump open: pcapng, with comments on packets.
//!
//! Sections: draft-ietf-opsawg-pcapng 4.1 to 4.3, 4.6 (section header, interface, enhanced packet, statistics).
//! In: interfaces, and frames with their time, direction and comments.
//! Out: the file's bytes, the same on every machine; whoever has a disk writes them there.

use alloc::string::String;
use alloc::vec::Vec;

use crate::time::Instant;
use crate::wire::frame::Link;

/// A capture file in the making. Times are nanoseconds.
#[derive(Clone, Debug)]
pub struct Writer {
    buffer: Vec<u8>,
    /// The snap length of each interface, in the order of their blocks.
    snap_lens: Vec<u32>,
}

/// An interface of this file.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct InterfaceId(u32);

/// What a file says of an interface.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Interface {
    /// Its name, such as `A` or `eth0`.
    pub name: String,
    /// What its frames start with.
    pub link: Link,
    /// The most bytes of a frame that are kept; 0 for all of them.
    pub snap_len: u32,
}

/// One frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Packet<'a> {
    /// Where it was seen.
    pub interface: InterfaceId,
    /// When: nanoseconds since 1970-01-01 00:00 UTC.
    pub time: Instant,
    /// Which way it went.
    pub direction: Direction,
    /// All of it.
    pub bytes: &'a [u8],
    /// What to say about it. Each is cut at 65,535 bytes.
    pub comments: &'a [&'a str],
}

/// Which way a frame went, as seen from the host whose interface it is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Direction {
    /// To the host.
    Inbound,
    /// From the host.
    Outbound,
}

impl Writer {
    /// A file that begins with the name of the program that writes it.
    pub fn new(application: &str) -> Self {
        let mut writer = Writer { buffer: Vec::new(), snap_lens: Vec::new() };
        writer.block(SECTION_HEADER, |body| {
            body.extend_from_slice(&BYTE_ORDER_MAGIC.to_le_bytes());
            body.extend_from_slice(&VERSION_MAJOR.to_le_bytes());
            body.extend_from_slice(&VERSION_MINOR.to_le_bytes());
            // The section ends where the file does.
            body.extend_from_slice(&u64::MAX.to_le_bytes());
            option(body, SHB_USERAPPL, application.as_bytes());
            end_of_options(body);
        });
        writer
    }

    /// Describes an interface. Packets may name it from here on.
    pub fn add_interface(&mut self, interface: &Interface) -> InterfaceId {
        let link_type = match interface.link {
            Link::Ethernet => LINKTYPE_ETHERNET,
            Link::Ip => LINKTYPE_RAW,
        };
        self.block(INTERFACE_DESCRIPTION, |body| {
            body.extend_from_slice(&link_type.to_le_bytes());
            body.extend_from_slice(&[0; 2]);
            body.extend_from_slice(&interface.snap_len.to_le_bytes());
            option(body, IF_NAME, interface.name.as_bytes());
            option(body, IF_TSRESOL, &[NANOSECONDS]);
            end_of_options(body);
        });
        let id = InterfaceId(len32(self.snap_lens.len()));
        self.snap_lens.push(interface.snap_len);
        id
    }

    /// Writes one frame. An interface of another file stands for one that keeps whole frames.
    pub fn packet(&mut self, packet: &Packet<'_>) {
        let InterfaceId(id) = packet.interface;
        let snap_len = usize::try_from(id).ok().and_then(|at| self.snap_lens.get(at)).copied().unwrap_or(0);
        let snap_len = usize::try_from(snap_len).unwrap_or(usize::MAX);
        let kept = packet.bytes.get(..snap_len).filter(|_| snap_len != 0).unwrap_or(packet.bytes);
        self.block(ENHANCED_PACKET, |body| {
            body.extend_from_slice(&id.to_le_bytes());
            time(body, packet.time);
            body.extend_from_slice(&len32(kept.len()).to_le_bytes());
            body.extend_from_slice(&len32(packet.bytes.len()).to_le_bytes());
            body.extend_from_slice(kept);
            pad(body);
            for comment in packet.comments {
                option(body, OPT_COMMENT, comment.as_bytes());
            }
            let flags: u32 = match packet.direction {
                Direction::Inbound => 1,
                Direction::Outbound => 2,
            };
            option(body, EPB_FLAGS, &flags.to_le_bytes());
            end_of_options(body);
        });
    }

    /// Says how many frames an interface received and how many of them were dropped, up to `now`.
    pub fn statistics(&mut self, interface: InterfaceId, now: Instant, received: u64, dropped: u64) {
        self.block(INTERFACE_STATISTICS, |body| {
            body.extend_from_slice(&interface.0.to_le_bytes());
            time(body, now);
            option(body, ISB_IFRECV, &received.to_le_bytes());
            option(body, ISB_IFDROP, &dropped.to_le_bytes());
            end_of_options(body);
        });
    }

    /// How many bytes [`take_bytes`](Self::take_bytes) would give.
    pub fn pending(&self) -> usize {
        self.buffer.len()
    }

    /// What was written since the last call, to be appended to the file.
    pub fn take_bytes(&mut self) -> Vec<u8> {
        core::mem::take(&mut self.buffer)
    }

    /// One block: its type, its length before and behind.
    fn block(&mut self, kind: u32, body: impl FnOnce(&mut Vec<u8>)) {
        let mut contents = Vec::new();
        body(&mut contents);
        let len = len32(contents.len() + BLOCK_OVERHEAD).to_le_bytes();
        self.buffer.extend_from_slice(&kind.to_le_bytes());
        self.buffer.extend_from_slice(&len);
        self.buffer.extend_from_slice(&contents);
        self.buffer.extend_from_slice(&len);
    }
}

/// One option, cut to what its length field can say, text between characters.
fn option(body: &mut Vec<u8>, code: u16, value: &[u8]) {
    let mut len = value.len().min(usize::from(u16::MAX));
    while len < value.len() && value[len] & 0xc0 == 0x80 {
        len -= 1;
    }
    body.extend_from_slice(&code.to_le_bytes());
    body.extend_from_slice(&u16::try_from(len).expect("just cut").to_le_bytes());
    body.extend_from_slice(&value[..len]);
    pad(body);
}

fn end_of_options(body: &mut Vec<u8>) {
    body.extend_from_slice(&[0; 4]);
}

/// The upper half first, whatever the byte order.
fn time(body: &mut Vec<u8>, at: Instant) {
    let [high, low] = [at.as_nanos() >> 32, at.as_nanos() & 0xffff_ffff];
    for half in [high, low] {
        body.extend_from_slice(&u32::try_from(half).expect("half of 64 bits").to_le_bytes());
    }
}

/// Everything starts at a multiple of four; so does the body of each block.
fn pad(body: &mut Vec<u8>) {
    body.resize(body.len().next_multiple_of(4), 0);
}

fn len32(len: usize) -> u32 {
    u32::try_from(len).expect("a frame and its comments are far below 4 GiB")
}

const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION: u32 = 1;
const INTERFACE_STATISTICS: u32 = 5;
const ENHANCED_PACKET: u32 = 6;
/// Type, and length twice.
const BLOCK_OVERHEAD: usize = 12;
const BYTE_ORDER_MAGIC: u32 = 0x1a2b_3c4d;
const VERSION_MAJOR: u16 = 1;
const VERSION_MINOR: u16 = 0;
const OPT_COMMENT: u16 = 1;
const SHB_USERAPPL: u16 = 4;
const IF_NAME: u16 = 2;
const IF_TSRESOL: u16 = 9;
/// if_tsresol: a power of ten, 10^-9 seconds.
const NANOSECONDS: u8 = 9;
const EPB_FLAGS: u16 = 2;
const ISB_IFRECV: u16 = 4;
const ISB_IFDROP: u16 = 5;
const LINKTYPE_ETHERNET: u16 = 1;
/// IPv4 or IPv6, told apart by the version field.
const LINKTYPE_RAW: u16 = 101;

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use proptest::prelude::*;

    /// The blocks of a file: type and body. Checks what is common to all of them.
    fn blocks(mut bytes: &[u8]) -> Vec<(u32, &[u8])> {
        let word = |bytes: &[u8]| u32::from_le_bytes(bytes[..4].try_into().expect("four bytes"));
        let mut blocks = Vec::new();
        while !bytes.is_empty() {
            let len = word(&bytes[4..]) as usize;
            assert_eq!(len % 4, 0);
            assert_eq!(word(&bytes[len - 4..]) as usize, len, "the length stands at both ends");
            blocks.push((word(bytes), &bytes[8..len - 4]));
            bytes = &bytes[len..];
        }
        blocks
    }

    /// The options in a block's body.
    fn options(mut bytes: &[u8]) -> Vec<(u16, &[u8])> {
        let half = |bytes: &[u8]| u16::from_le_bytes(bytes[..2].try_into().expect("two bytes"));
        let mut options = Vec::new();
        while half(bytes) != 0 {
            let len = usize::from(half(&bytes[2..]));
            options.push((half(bytes), &bytes[4..4 + len]));
            bytes = &bytes[4 + len.next_multiple_of(4)..];
        }
        assert_eq!(bytes, [0; 4]);
        options
    }

    fn interface(link: Link, snap_len: u32) -> Interface {
        Interface { name: String::from("A"), link, snap_len }
    }

    #[test]
    fn a_file_with_one_packet_byte_by_byte() {
        let mut writer = Writer::new("tide");
        let interface = writer.add_interface(&interface(Link::Ethernet, 0));
        let time = Instant::from_nanos(0x0000_0001_0000_0002);
        let direction = Direction::Outbound;
        writer.packet(&Packet { interface, time, direction, bytes: &[0xaa; 5], comments: &["why"] });
        #[rustfmt::skip]
        let expected = [
            vec![0x0a, 0x0d, 0x0d, 0x0a, 40, 0, 0, 0, 0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0],
            vec![0xff; 8],
            vec![4, 0, 4, 0, b't', b'i', b'd', b'e', 0, 0, 0, 0, 40, 0, 0, 0],
            vec![1, 0, 0, 0, 40, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0],
            vec![2, 0, 1, 0, b'A', 0, 0, 0, 9, 0, 1, 0, 9, 0, 0, 0, 0, 0, 0, 0, 40, 0, 0, 0],
            vec![6, 0, 0, 0, 60, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 5, 0, 0, 0, 5, 0, 0, 0],
            vec![0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0, 0, 0],
            vec![1, 0, 3, 0, b'w', b'h', b'y', 0, 2, 0, 4, 0, 2, 0, 0, 0, 0, 0, 0, 0, 60, 0, 0, 0],
        ]
        .concat();
        assert_eq!(writer.take_bytes(), expected);
        assert!(writer.take_bytes().is_empty());
    }

    #[test]
    fn each_interface_has_its_own_link_and_snap_length() {
        let mut writer = Writer::new("tidegate");
        let whole = writer.add_interface(&interface(Link::Ethernet, 0));
        let cut = writer.add_interface(&interface(Link::Ip, 4));
        for interface in [cut, whole] {
            let (time, direction) = (Instant::ZERO, Direction::Inbound);
            writer.packet(&Packet { interface, time, direction, bytes: &[7; 9], comments: &[] });
        }
        writer.statistics(cut, Instant::from_nanos(9), 2, 1);
        let bytes = writer.take_bytes();
        let blocks = blocks(&bytes);
        let kinds: Vec<u32> = blocks.iter().map(|(kind, _)| *kind).collect();
        let description = [SECTION_HEADER, INTERFACE_DESCRIPTION, INTERFACE_DESCRIPTION];
        assert_eq!(kinds, [&description[..], &[ENHANCED_PACKET, ENHANCED_PACKET, INTERFACE_STATISTICS]].concat());
        assert_eq!((blocks[1].1[0], blocks[2].1[0]), (1, 101), "link types");
        assert_eq!(blocks[3].1[..20], [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 9, 0, 0, 0]);
        assert_eq!(blocks[4].1[..20], [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 9, 0, 0, 0]);
        let counts = [(ISB_IFRECV, &2_u64.to_le_bytes()[..]), (ISB_IFDROP, &1_u64.to_le_bytes()[..])];
        assert_eq!(options(&blocks[5].1[12..]), counts);
    }

    #[test]
    fn a_comment_that_is_too_long_ends_between_characters() {
        let mut writer = Writer::new("tidegate");
        let interface = writer.add_interface(&interface(Link::Ip, 0));
        let long = "潮".repeat(30_000);
        let comments = [&long[..]];
        let (time, direction) = (Instant::ZERO, Direction::Inbound);
        writer.packet(&Packet { interface, time, direction, bytes: &[], comments: &comments });
        let bytes = writer.take_bytes();
        let (_, comment) = options(&blocks(&bytes)[2].1[20..])[0];
        assert_eq!(core::str::from_utf8(comment).map(str::len), Ok(65_535));
        let odd = alloc::format!("x{long}");
        writer.packet(&Packet { interface, time, direction, bytes: &[], comments: &[&odd] });
        let bytes = writer.take_bytes();
        let (_, comment) = options(&blocks(&bytes)[0].1[20..])[0];
        assert_eq!(core::str::from_utf8(comment).map(str::len), Ok(65_533));
    }

    proptest! {
        #[test]
        fn every_packet_can_be_found_again(packets in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..50), any::<u64>(), prop::collection::vec(".{0,20}", 0..3)), 0..5)) {
            let mut writer = Writer::new("tidegate");
            let interface = writer.add_interface(&interface(Link::Ethernet, 0));
            let mut bytes = writer.take_bytes();
            for (frame, nanos, comments) in &packets {
                let comments: Vec<&str> = comments.iter().map(String::as_str).collect();
                let time = Instant::from_nanos(*nanos);
                writer.packet(&Packet { interface, time, direction: Direction::Inbound, bytes: frame, comments: &comments });
                bytes.extend(writer.take_bytes());
            }
            let blocks = blocks(&bytes);
            prop_assert_eq!(blocks.len(), 2 + packets.len());
            for ((_, body), (frame, nanos, comments)) in blocks[2..].iter().zip(&packets) {
                let half = |at: usize| u64::from(u32::from_le_bytes(body[at..at + 4].try_into().expect("four bytes")));
                prop_assert_eq!(half(4) << 32 | half(8), *nanos);
                prop_assert_eq!(&body[20..20 + frame.len()], &frame[..]);
                let options = options(&body[20 + frame.len().next_multiple_of(4)..]);
                let found: Vec<&[u8]> = options.iter().filter(|(code, _)| *code == OPT_COMMENT).map(|(_, text)| *text).collect();
                prop_assert_eq!(found, comments.iter().map(String::as_bytes).collect::<Vec<_>>());
            }
        }
    }
}
