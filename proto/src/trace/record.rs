//! One TCP segment as a capture shows it, whatever the capture's format.
//!
//! Sections: RFC 9293 3.1.
//! In: a packet's bytes, or what a reader of tcpdump's text understood.
//! Out: a [`Record`] for the analysis; nothing here judges whether the segment was right.

use core::net::SocketAddr;

use bytes::Bytes;

use crate::time::Instant;
use crate::wire::{Flags, Header};

/// One captured segment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record {
    /// Its number in the capture; the first is 1. Numbers may be missing, never repeated.
    pub number: u64,
    /// When it was captured: nanoseconds since the epoch, or since midnight where the capture names no date.
    pub time: Instant,
    /// Who sent it.
    pub src: SocketAddr,
    /// To whom.
    pub dst: SocketAddr,
    /// Its header; numbers are absolute.
    pub header: Header,
    /// Bytes of its IP and TCP headers, options and extension headers included.
    pub header_len: u32,
    /// Bytes of payload that it carried, captured or not.
    pub payload_len: u32,
    /// The payload as far as it was captured and kept: enough for the first lines of a request or a response.
    pub payload: Bytes,
}

impl Record {
    /// SEG.LEN: payload, and one each for SYN and FIN.
    pub fn seq_len(&self) -> u64 {
        u64::from(self.payload_len) + u64::from(self.has(Flags::SYN)) + u64::from(self.has(Flags::FIN))
    }

    /// True if every one of `flags` is set.
    pub fn has(&self, flags: Flags) -> bool {
        self.header.flags.has(flags)
    }
}
