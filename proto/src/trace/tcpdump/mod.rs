//! One frame in, the line that `tcpdump -n` 4.99.3 would print for it out.
//!
//! Sections: RFC 9293 3.1 for TCP's part; the wording is tcpdump's own, with its quirks.
//! In: a captured frame, perhaps cut short or malformed, its link type and its time.
//! Out: text; several lines with `verbose`.
//!
//! The printer reads raw bytes and does not use the codecs of [`crate::wire`]: those reject what is malformed, and
//! malformed is what somebody with a capture most wants to see.

mod arp;
mod bytes;
mod checksum;
mod icmp;
mod icmp6;
mod icmp6_options;
mod ip;
mod ipv4;
mod ipv6;
mod line;
mod link;
mod mptcp;
mod payload;
mod sequence;
mod tcp;
mod tcp_options;
mod time;
mod udp;

#[cfg(test)]
mod tests;

use alloc::string::String;

use self::bytes::Captured;
use self::line::Line;
use self::sequence::Bases;

/// How the time of a packet is shown; tcpdump's `-t` options.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum TimeStyle {
    /// `10:09:11.000140 `
    #[default]
    Clock,
    /// Nothing at all: `-t`.
    None,
    /// Seconds since 1970: `-tt`.
    Unix,
    /// Time since the previous packet: `-ttt`.
    SincePrevious,
    /// The date before the clock: `-tttt`.
    Dated,
    /// Time since the first packet: `-ttttt`.
    SinceFirst,
}

/// What to print, by tcpdump's options. The default is `tcpdump -n`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Options {
    /// `-t` to `-ttttt`.
    pub time: TimeStyle,
    /// `-e`: show the link header.
    pub link_header: bool,
    /// `-v`: the IP header, checksums, whole messages.
    pub verbose: bool,
    /// `-S`: sequence numbers as they are on the wire.
    pub absolute: bool,
    /// `-#`: number the packets.
    pub number: bool,
}

/// What a frame starts with.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum LinkType {
    /// An Ethernet header: link type 1.
    Ethernet,
    /// An IPv4 or IPv6 header: link types 12, 14 and 101, and also 228 (always IPv4) and 229 (always IPv6).
    Raw,
}

/// A frame as a capture holds it.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// Its place in the capture, counted from 1.
    pub number: u64,
    /// Nanoseconds since 1970, UTC.
    pub time_ns: u64,
    /// Seconds to add for local time; 0 prints UTC.
    pub utc_offset: i32,
    /// What `bytes` starts with.
    pub link: LinkType,
    /// The bytes that were captured.
    pub bytes: &'a [u8],
    /// How many bytes there were on the wire.
    pub original_len: u32,
}

/// Prints the frames of one capture, in their order.
#[derive(Clone, Debug, Default)]
pub struct Printer {
    options: Options,
    bases: Bases,
    clock: time::Reference,
}

impl Printer {
    /// A printer that has seen nothing yet.
    pub fn new(options: Options) -> Self {
        Printer { options, ..Printer::default() }
    }

    /// Appends what tcpdump prints for `frame`, ending in a newline.
    pub fn print(&mut self, out: &mut String, frame: &Frame) {
        let mut line = Line::new(out, self.options, &mut self.bases);
        if self.options.number {
            put!(line, "{:5}  ", frame.number);
        }
        if !line.refuse_lengths(frame) {
            self.clock.print(&mut line, frame.time_ns, frame.utc_offset);
            let bytes = Captured::new(frame.bytes);
            let printed = match frame.link {
                LinkType::Ethernet => link::ethernet(&mut line, bytes, frame.original_len),
                LinkType::Raw => link::raw(&mut line, bytes, frame.original_len),
            };
            if printed.is_err() {
                line.cut_short();
            }
        }
        out.push('\n');
    }
}

/// Appends formatted text to a [`Line`]. Writing to a string cannot fail.
macro_rules! put {
    ($line:expr, $($text:tt)*) => {
        $line.write(format_args!($($text)*))
    };
}
use put;
