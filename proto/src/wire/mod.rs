//! Codecs: bytes to meaning and back. Nothing here panics on input, and nothing here keeps state.
//!
//! Each file is one header. Parsing takes a byte slice and gives the header and where its payload starts, or a named
//! error; emitting writes into a buffer and always fills in the checksum where the header has one.

pub mod arp;
pub mod checksum;
pub mod eth;
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
