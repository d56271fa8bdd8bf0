//! Codecs: bytes to meaning and back. Nothing here panics on input, and nothing here keeps state.
//!
//! Each file is one header. Parsing takes a byte slice and gives the header and where its payload starts, or a named
//! error; emitting gives the bytes of the header, its checksum always filled in.
#![deny(clippy::indexing_slicing)]
#![cfg_attr(test, allow(clippy::indexing_slicing))]

pub mod arp;
pub mod checksum;
pub mod eth;
pub mod frame;
pub mod icmp;
pub mod ip;
pub mod ipv4;
pub mod ipv6;
pub mod options;
pub mod seq;
pub mod tcp;

pub use ip::{Ecn, FourTuple};
pub use options::{Options, SackBlock, Timestamps};
pub use seq::{Pos, Seq, Space};
pub use tcp::{Flags, Header};

use core::fmt;

/// Why bytes are not the header that they were taken for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Error {
    /// They end before the header does, or before the length in it.
    Truncated,
    /// A length in the header contradicts itself.
    BadLength,
    /// Another version, protocol or kind of address than was looked for.
    BadVersion,
    /// The checksum is wrong (MUST-3).
    BadChecksum,
    /// An option with an impossible length (MUST-7).
    BadOptions,
    /// An IPv6 extension header that obliges us to discard the packet (RFC 8200 4.2, 4.4).
    BadExtension,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Error::Truncated => "the packet is shorter than its headers say",
            Error::BadLength => "a length in the header contradicts itself",
            Error::BadVersion => "not the version or protocol that was looked for",
            Error::BadChecksum => "the checksum is wrong",
            Error::BadOptions => "an option has an impossible length",
            Error::BadExtension => "an extension header asks for the packet to be discarded",
        })
    }
}

impl core::error::Error for Error {}
