//! Reading captures: from a file or standard input, in whatever format they come.
//!
//! Sections: draft-ietf-opsawg-pcap, draft-ietf-opsawg-pcapng.
//! In: a path, or `-`.
//! Out: packets one after another, in bounded memory, and where the damage is if there is any.

mod pcap;
mod pcapng;
mod stream;
pub(crate) mod text;

#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use bytes::Bytes;
use tidegate_proto::trace::tcpdump::LinkType;

use crate::failure::Failure;
use crate::read::stream::Stream;

/// A capture that has been opened and recognised.
pub(crate) enum Source {
    /// pcap or pcapng.
    Packets(Packets),
    /// Neither: text, perhaps, from its first byte on. Empty if the file is.
    Text(Box<dyn BufRead>),
}

/// One captured frame.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Packet {
    /// Its place in the capture, counted from 1.
    pub(crate) number: u64,
    /// Nanoseconds since 1970, UTC.
    pub(crate) time_ns: u64,
    /// What `data` starts with.
    pub(crate) link: LinkType,
    /// What was captured.
    pub(crate) data: Bytes,
    /// How many bytes there were on the wire.
    pub(crate) original_len: u32,
    /// The interface it was captured on: an index into the interfaces of its section; 0 in a pcap.
    pub(crate) interface: u32,
    /// Seen on its way in or out, if the capture says so.
    pub(crate) direction: Option<Direction>,
    /// What was written beside it.
    pub(crate) comments: Vec<String>,
}

/// Which way a packet went, seen from the machine that captured it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Direction {
    /// Received.
    In,
    /// Sent.
    Out,
}

/// What a capture's head says about the packets to come.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Interface {
    /// The link type's number in the file.
    pub(crate) link_type: u32,
    /// No packet is captured longer than this.
    pub(crate) snaplen: u32,
    /// `eth0`, if the capture says so.
    pub(crate) name: Option<String>,
}

/// The packets of a capture, in its order. After an error there are no more.
pub(crate) struct Packets {
    format: Format,
    number: u64,
    ended: bool,
}

enum Format {
    Pcap(pcap::Reader),
    Pcapng(pcapng::Reader),
}

/// Opens the capture at `path`; `-` is standard input.
pub(crate) fn open(path: &Path) -> Result<Source, Failure> {
    let is_standard_input = path.as_os_str() == "-";
    let name = if is_standard_input { "standard input".to_owned() } else { path.display().to_string() };
    let refused = |verb: &str, e: io::Error| Failure::refused(format_args!("cannot {verb} {name}: {}", reason(&e)));
    let mut input: Box<dyn Read> = if is_standard_input {
        Box::new(io::stdin().lock())
    } else {
        Box::new(File::open(path).map_err(|e| refused("open", e))?)
    };
    let mut magic = Vec::with_capacity(4);
    input.by_ref().take(4).read_to_end(&mut magic).map_err(|e| refused("read", e))?;
    let input = BufReader::with_capacity(BUFFER, input);
    let whole = io::Cursor::new(magic.clone()).chain(input);
    let format = match magic.first_chunk() {
        Some(magic) if pcap::is_magic(*magic) => Format::Pcap(pcap::Reader::new(Stream::new(name, whole))?),
        Some(magic) if pcapng::is_magic(*magic) => Format::Pcapng(pcapng::Reader::new(Stream::new(name, whole))?),
        _ => return Ok(Source::Text(Box::new(whole))),
    };
    Ok(Source::Packets(Packets { format, number: 0, ended: false }))
}

impl Packets {
    /// An interface by its number in the current section: link type, name. The only one of a pcap is number 0.
    pub(crate) fn interface(&self, index: u32) -> Option<&Interface> {
        match &self.format {
            Format::Pcap(reader) => Some(reader.interface()).filter(|_| index == 0),
            Format::Pcapng(reader) => reader.interface(index),
        }
    }
}

impl Iterator for Packets {
    type Item = Result<Packet, Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let number = self.number + 1;
        let next = match &mut self.format {
            Format::Pcap(reader) => reader.next(number),
            Format::Pcapng(reader) => reader.next(number),
        };
        self.number = number;
        self.ended = !matches!(next, Ok(Some(_)));
        next.transpose()
    }
}

/// The link types that can be read, by their numbers in files.
fn link_type(number: u32) -> Option<LinkType> {
    match number {
        1 => Some(LinkType::Ethernet),
        // Raw IP: two systems' private numbers, the common one, IPv4 only, IPv6 only.
        12 | 14 | 101 | 228 | 229 => Some(LinkType::Raw),
        _ => None,
    }
}

/// What the system says, without the number that Rust adds.
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}

const BUFFER: usize = 64 * 1024;
