//! TCP options: those that this stack understands, and a walk over all of them.
//!
//! Sections: RFC 9293 3.1, 3.2; RFC 7323 (window scale, timestamps); RFC 2018 (SACK).
//! In: the option bytes of a header, any alignment, any content.
//! Out: [`Options`]; and the bytes to send, padded to a multiple of four.

use arrayvec::ArrayVec;

use super::Seq;

/// The options of one segment.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Options {
    /// Maximum segment size, bytes (kind 2).
    pub mss: Option<u16>,
    /// Window scale, a shift count as sent: may exceed 14 (kind 3).
    pub window_scale: Option<u8>,
    /// SACK permitted (kind 4).
    pub sack_permitted: bool,
    /// Timestamps (kind 8).
    pub timestamps: Option<Timestamps>,
    /// SACK blocks, the first one first (kind 5).
    pub sack: ArrayVec<SackBlock, 4>,
}

/// The timestamps option, RFC 7323 section 3.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Timestamps {
    /// TSval: the sender's clock.
    pub val: u32,
    /// TSecr: the last clock value the sender saw from its peer; meaningful only with the ACK flag.
    pub ecr: u32,
}

/// One SACK block, RFC 2018 section 3: the bytes from `start` up to, not including, `end`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct SackBlock {
    /// Left edge.
    pub start: Seq,
    /// Right edge: the number after the last byte.
    pub end: Seq,
}
