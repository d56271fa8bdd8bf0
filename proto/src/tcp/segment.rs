//! What goes into a connection and what comes out of it.
//!
//! Sections: RFC 9293 3.3.1 (SEG variables), 3.10.7 (verdicts).
//! In: a parsed segment from the stack.
//! Out: a verdict on it; bursts to send.

use bytes::Bytes;

use super::{Cause, Payload};
use crate::wire::{Ecn, Flags, Header};

/// One arriving segment: parsed, checksum verified, payload still in the device's buffer.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Segment {
    /// Its header.
    pub header: Header,
    /// Its payload.
    pub payload: Bytes,
    /// How many segments of the sender's were merged into this one on the way in; at least 1.
    pub segments: u16,
    /// The ECN field of its IP header.
    pub ecn: Ecn,
    /// The TTL or hop limit of its IP header.
    pub ttl: u8,
}

impl Segment {
    /// SEG.LEN: the payload, and one each for SYN and FIN.
    pub fn len(&self) -> u32 {
        let data = u32::try_from(self.payload.len()).expect("a segment fits an IP datagram");
        data + u32::from(self.header.flags.has(Flags::SYN)) + u32::from(self.header.flags.has(Flags::FIN))
    }

    /// True if the segment occupies no sequence number.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// One burst to send: a header for its first segment, payload of one or many segments.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Transmit {
    /// The header; the stack fills in checksums, a device that splits advances the sequence number.
    pub header: Header,
    /// The payload, in order.
    pub payload: Payload,
    /// How many payload bytes each segment of the burst carries; the last may be shorter.
    pub segment_size: u16,
    /// What the IP header's ECN field shall say.
    pub ecn: Ecn,
    /// Why this goes out.
    pub cause: Cause,
}

impl Transmit {
    /// Payload bytes in the burst.
    pub fn payload_len(&self) -> usize {
        self.payload.byte_len()
    }
}

/// What became of an arriving segment. RFC 9293 3.10.7.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Verdict {
    /// It was acceptable and did its work.
    Accepted,
    /// It was not acceptable, and an answer goes out because of it.
    Answered(DropReason),
    /// It was dropped in silence.
    Dropped(DropReason),
}

/// Why an arriving frame or segment did not do its work. One variant, one crime.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum DropReason {
    /// The frame or packet is shorter than its headers say, or its lengths contradict each other.
    Malformed,
    /// The TCP or IP checksum is wrong (MUST-3).
    BadChecksum,
    /// Options with an impossible length (MUST-7).
    BadOptions,
    /// Not addressed to this host.
    NotForUs,
    /// A source address that no peer can have: multicast, broadcast, unspecified, our own (MUST-63).
    MartianSource,
    /// TCP to a multicast or broadcast address (MUST-57).
    Multicast,
    /// A protocol that nobody here speaks.
    UnknownProtocol,
    /// An IP fragment that contradicts others of its packet.
    Fragment,
    /// A router's wish that packets go another way, which this host does not believe.
    Redirect,
    /// An ICMP error that tells nothing new, or nothing that can be.
    Implausible,
    /// No connection and no listener has this four-tuple.
    NoConnection,
    /// No way leads back to its sender.
    NoRoute,
    /// RST for a connection that does not exist, or in a state that ignores it.
    IgnoredReset,
    /// The listener's queue is full.
    ListenOverflow,
    /// The sequence numbers lie outside the receive window.
    OutsideWindow,
    /// Everything in it had been received before.
    Duplicate,
    /// Its timestamp is older than TS.Recent: RFC 7323 5.
    Paws,
    /// RST inside the window but not at RCV.NXT: RFC 5961 3.
    ResetNotExact,
    /// SYN in a synchronized state: RFC 5961 4.
    SynInWindow,
    /// The ACK bit is off in a state that needs it.
    NoAck,
    /// It acknowledges what was never sent.
    AckTooNew,
    /// It acknowledges less than the peer's largest window before SND.UNA: RFC 5961 5.
    AckTooOld,
    /// A combination of flags that no rule allows, such as SYN with FIN.
    BadFlags,
    /// In the window, but the receive buffer has no room.
    NoMemory,
    /// Data for a connection that nobody reads any more (SHLD-3).
    DataAfterClose,
    /// RST while in TIME-WAIT: RFC 1337.
    TimeWaitAssassination,
    /// The answer that it deserved was withheld: the challenge-ACK limit is reached.
    RateLimited,
}

impl DropReason {
    /// A stable name for programs: lower case, words joined by hyphens.
    pub const fn name(self) -> &'static str {
        match self {
            DropReason::Malformed => "malformed",
            DropReason::BadChecksum => "bad-checksum",
            DropReason::BadOptions => "bad-options",
            DropReason::NotForUs => "not-for-us",
            DropReason::MartianSource => "martian-source",
            DropReason::Multicast => "multicast",
            DropReason::UnknownProtocol => "unknown-protocol",
            DropReason::Fragment => "fragment",
            DropReason::Redirect => "redirect",
            DropReason::Implausible => "implausible",
            DropReason::NoConnection => "no-connection",
            DropReason::NoRoute => "no-route",
            DropReason::IgnoredReset => "ignored-reset",
            DropReason::ListenOverflow => "listen-overflow",
            DropReason::OutsideWindow => "outside-window",
            DropReason::Duplicate => "duplicate",
            DropReason::Paws => "paws",
            DropReason::ResetNotExact => "reset-not-exact",
            DropReason::SynInWindow => "syn-in-window",
            DropReason::NoAck => "no-ack",
            DropReason::AckTooNew => "ack-too-new",
            DropReason::AckTooOld => "ack-too-old",
            DropReason::BadFlags => "bad-flags",
            DropReason::NoMemory => "no-memory",
            DropReason::DataAfterClose => "data-after-close",
            DropReason::TimeWaitAssassination => "time-wait-assassination",
            DropReason::RateLimited => "rate-limited",
        }
    }
}
