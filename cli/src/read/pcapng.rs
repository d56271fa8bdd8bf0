//! The pcapng format: sections of blocks, several interfaces, comments.
//!
//! Sections: draft-ietf-opsawg-pcapng 3, 4.
//! In: a stream that starts with a section header.
//! Out: its packets, each with what was said about it.

use bytes::Bytes;
use pcap_parser::traits::PcapNGPacketBlock;
use pcap_parser::{Block, EnhancedPacketBlock, InterfaceDescriptionBlock, OptionCode, PcapNGOption, SimplePacketBlock};
use pcap_parser::{parse_block_be, parse_block_le};

use crate::failure::Failure;
use crate::read::pcap::LONGEST;
use crate::read::stream::Stream;
use crate::read::{Direction, Interface, Packet, link_type};

/// Reads the blocks of one file.
pub(super) struct Reader {
    stream: Stream,
    section: Section,
}

/// What blocks refer to: it starts anew with each section header.
#[derive(Default)]
struct Section {
    big_endian: bool,
    interfaces: Vec<Described>,
}

struct Described {
    interface: Interface,
    /// Units of its timestamps in a second.
    resolution: u64,
    /// Seconds to add to them.
    offset: i64,
}

/// True for the first four bytes of a pcapng.
pub(super) fn is_magic(bytes: [u8; 4]) -> bool {
    bytes == SECTION_HEADER
}

impl Reader {
    /// Reads as far as the first interface, so that it can be told before the first packet.
    pub(super) fn new(stream: Stream) -> Result<Self, Failure> {
        let mut reader = Reader { stream, section: Section::default() };
        while reader.section.interfaces.is_empty() {
            let Some(block) = reader.next_block()? else { return Ok(reader) };
            if reader.take(&block, 1)?.is_some() {
                return Err(reader.stream.damage("a packet comes before any interface"));
            }
        }
        Ok(reader)
    }

    pub(super) fn interface(&self, index: u32) -> Option<&Interface> {
        self.section.interfaces.get(usize::try_from(index).ok()?).map(|described| &described.interface)
    }

    /// The next packet; nothing at the end of the file.
    pub(super) fn next(&mut self, number: u64) -> Result<Option<Packet>, Failure> {
        while let Some(block) = self.next_block()? {
            if let Some(packet) = self.take(&block, number)? {
                return Ok(Some(packet));
            }
        }
        Ok(None)
    }

    /// The bytes of the next block, from its type to its closing length.
    fn next_block(&mut self) -> Result<Option<Bytes>, Failure> {
        let Some(head) = self.stream.start::<12>()? else { return Ok(None) };
        let [k0, k1, k2, k3, l0, l1, l2, l3, magic @ ..] = head;
        if [k0, k1, k2, k3] == SECTION_HEADER {
            let big_endian = match magic {
                BYTE_ORDER_BIG => true,
                BYTE_ORDER_LITTLE => false,
                _ => return Err(self.stream.damage("a section header has no byte order")),
            };
            self.section = Section { big_endian, interfaces: Vec::new() };
        }
        let word = if self.section.big_endian { u32::from_be_bytes } else { u32::from_le_bytes };
        let length = word([l0, l1, l2, l3]);
        if !(12..=LONGEST_BLOCK).contains(&length) || !length.is_multiple_of(4) {
            return Err(self.stream.damage(format_args!("a block claims {length} bytes")));
        }
        let mut block = Vec::with_capacity(length as usize);
        block.extend(head);
        self.stream.rest(&mut block, length as usize - head.len())?;
        if block.last_chunk().copied().map(word) != Some(length) {
            return Err(self.stream.damage("a block's two lengths differ"));
        }
        Ok(Some(Bytes::from(block)))
    }

    /// Learns what a block says, and returns the packet if it holds one.
    fn take(&mut self, block: &Bytes, number: u64) -> Result<Option<Packet>, Failure> {
        let parse = if self.section.big_endian { parse_block_be } else { parse_block_le };
        let Ok((_, parsed)) = parse(block) else { return Err(self.stream.damage("a block cannot be decoded")) };
        match parsed {
            Block::InterfaceDescription(description) => {
                let described = self.describe(&description)?;
                if self.section.interfaces.len() == MOST_INTERFACES {
                    return Err(self.stream.damage("a section describes more interfaces than any machine has"));
                }
                self.section.interfaces.push(described);
                Ok(None)
            }
            Block::EnhancedPacket(packet) => self.enhanced(block, &packet, number).map(Some),
            Block::SimplePacket(packet) => self.simple(block, &packet, number).map(Some),
            _ => Ok(None),
        }
    }

    fn describe(&self, block: &InterfaceDescriptionBlock) -> Result<Described, Failure> {
        let Some(resolution) = units_per_second(block.if_tsresol) else {
            return Err(self.stream.damage("an interface has no usable time resolution"));
        };
        let find = |code| block.options.iter().find(|option: &&PcapNGOption| option.code == code);
        let long = if self.section.big_endian { i64::from_be_bytes } else { i64::from_le_bytes };
        let offset = find(OptionCode::IfTsoffset).and_then(|o| o.as_bytes().ok()?.first_chunk().copied());
        let interface = Interface {
            link_type: u32::try_from(block.linktype.0).unwrap_or(0),
            snaplen: if matches!(block.snaplen, 0 | 0x8000_0000..) { LONGEST } else { block.snaplen },
            name: find(OptionCode::IfName).map(text),
        };
        Ok(Described { interface, resolution, offset: offset.map_or(0, long) })
    }

    fn enhanced(&self, block: &Bytes, packet: &EnhancedPacketBlock, number: u64) -> Result<Packet, Failure> {
        let described = self.described(packet.if_id)?;
        let units = u64::from(packet.ts_high) << 32 | u64::from(packet.ts_low);
        let mut whole = self.packet(described, block.slice_ref(packet.packet_data()), packet.origlen, number)?;
        whole.time_ns = described.nanoseconds(units);
        whole.interface = packet.if_id;
        for option in &packet.options {
            match option.code {
                OptionCode::Comment => whole.comments.push(text(option)),
                FLAGS => whole.direction = self.direction(option),
                _ => {}
            }
        }
        Ok(whole)
    }

    /// A packet without time, on the first interface; cut at that one's snapshot length.
    fn simple(&self, block: &Bytes, packet: &SimplePacketBlock, number: u64) -> Result<Packet, Failure> {
        let described = self.described(0)?;
        let mut data = block.slice_ref(packet.packet_data());
        data.truncate(described.interface.snaplen as usize);
        self.packet(described, data, packet.origlen, number)
    }

    fn packet(&self, from: &Described, data: Bytes, original_len: u32, number: u64) -> Result<Packet, Failure> {
        let Some(link) = link_type(from.interface.link_type) else {
            let found = from.interface.link_type;
            return Err(self.stream.damage(format_args!("link type {found} is neither Ethernet nor raw IP")));
        };
        let (direction, comments) = (None, Vec::new());
        Ok(Packet { number, time_ns: 0, link, data, original_len, interface: 0, direction, comments })
    }

    fn described(&self, index: u32) -> Result<&Described, Failure> {
        let found = usize::try_from(index).ok().and_then(|index| self.section.interfaces.get(index));
        found
            .ok_or_else(|| self.stream.damage(format_args!("a packet names interface {index}, which is not described")))
    }

    fn direction(&self, flags: &PcapNGOption) -> Option<Direction> {
        let word = if self.section.big_endian { u32::from_be_bytes } else { u32::from_le_bytes };
        match word(*flags.as_bytes().ok()?.first_chunk()?) & 3 {
            1 => Some(Direction::In),
            2 => Some(Direction::Out),
            _ => None,
        }
    }
}

impl Described {
    /// Nanoseconds since 1970; what lies before counts as 1970.
    fn nanoseconds(&self, units: u64) -> u64 {
        let since = i128::from(units) * NANOS / i128::from(self.resolution) + i128::from(self.offset) * NANOS;
        u64::try_from(since.max(0)).unwrap_or(u64::MAX)
    }
}

/// What option if_tsresol means: a power of ten or, with the highest bit, of two. The decoder knows only the former.
fn units_per_second(resolution: u8) -> Option<u64> {
    match resolution & 0x80 {
        0 => 10u64.checked_pow(resolution.into()),
        _ => 1u64.checked_shl((resolution & 0x7f).into()),
    }
}

/// An option's text; what is not UTF-8 is replaced.
fn text(option: &PcapNGOption) -> String {
    String::from_utf8_lossy(option.as_bytes().unwrap_or_default()).trim_end_matches('\0').to_owned()
}

const SECTION_HEADER: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];
const BYTE_ORDER_BIG: [u8; 4] = [0x1a, 0x2b, 0x3c, 0x4d];
const BYTE_ORDER_LITTLE: [u8; 4] = [0x4d, 0x3c, 0x2b, 0x1a];
/// The option of a packet that tells its direction.
const FLAGS: OptionCode = OptionCode(2);
/// libpcap's first limit for a block. One that claims more is taken for damage.
const LONGEST_BLOCK: u32 = 16 * 1024 * 1024;
/// What a section may describe, so that memory stays bounded.
const MOST_INTERFACES: usize = 65_536;
const NANOS: i128 = 1_000_000_000;
