//! What passes between a stack and its devices.
//!
//! Sections: none of an RFC's.
//! In: frames as devices deliver them, with what the device knows of them.
//! Out: frames as devices send them, with the reason of each.

use arrayvec::ArrayVec;
use bytes::Bytes;

use super::{IfaceId, SocketId};
use crate::tcp::{self, Connection, Payload, State};
use crate::time::{Duration, Instant};

/// One frame from a device.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Ethernet or IP bytes.
    pub bytes: Bytes,
    /// How far the checksums have been looked at.
    pub checksum: ChecksumState,
    /// How many wire segments were merged into this frame; at least 1.
    pub segments: u16,
}

/// What the device knows of a frame's transport checksum.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum ChecksumState {
    /// Nothing: it must be verified.
    #[default]
    Unknown,
    /// It was verified below, or the frame never left this machine.
    Verified,
    /// The frame comes from this machine and has not been on a wire: its checksum field holds the sum of the
    /// pseudo-header alone, and there is nothing to verify.
    Partial,
}

/// One frame to a device, already with Ethernet and IP headers. If it carries more payload than `gso_size`, the device
/// (or [`offload::split`](super::offload::split)) cuts it into segments and finishes their headers.
#[derive(Clone, PartialEq, Debug)]
pub struct TxFrame {
    /// Where it goes out.
    pub iface: IfaceId,
    /// Link, IP and TCP headers.
    pub header: ArrayVec<u8, 128>,
    /// The payload, in order.
    pub payload: Payload,
    /// Payload bytes per wire segment, or 0 for a frame that is one segment or no TCP at all.
    pub gso_size: u16,
    /// What is left to do for the transport checksum.
    pub checksum: TxChecksum,
    /// Whose segment it is.
    pub socket: Option<SocketId>,
    /// Why it goes out.
    pub cause: Cause,
    /// What the sender knew at that moment, for captures with reasons.
    pub note: Option<Note>,
}

/// What is left to do for a frame's transport checksum before it is on the wire.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum TxChecksum {
    /// Nothing.
    #[default]
    Full,
    /// The field, `offset` bytes behind byte `start` of the frame, holds the sum of the pseudo-header, folded and not
    /// inverted. The device (or [`offload::split`](super::offload::split)) sums from `start` to the end, and puts the
    /// inverted sum there. Every burst is left so, since each of its segments gets a checksum of its own.
    Partial {
        /// Where the transport header starts.
        start: u16,
        /// Where in it the checksum stands.
        offset: u16,
    },
}

/// Why a frame goes out.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Cause {
    /// A TCP segment, for this reason.
    Tcp(tcp::Cause),
    /// Who has this address? (RFC 826, RFC 4861)
    NeighbourRequest,
    /// This host has it.
    NeighbourReply,
    /// An answer to ICMP echo.
    EchoReply,
    /// Another ICMP message.
    Icmp,
}

/// A sender's variables at the moment of sending, as captures with reasons carry them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Note {
    /// The state's name.
    pub state: State,
    /// Congestion window, segments.
    pub cwnd: u32,
    /// Slow-start threshold, segments.
    pub ssthresh: u32,
    /// Bytes in flight after this segment.
    pub in_flight: u64,
    /// Retransmission timeout.
    pub rto: Duration,
    /// Smoothed round-trip time, once measured.
    pub srtt: Option<Duration>,
}

impl Note {
    /// What this connection knows now.
    pub(super) fn of(connection: &Connection, now: Instant) -> Self {
        let info = connection.info(now);
        Note {
            state: info.state,
            cwnd: info.snd_cwnd,
            ssthresh: info.snd_ssthresh,
            in_flight: info.bytes_in_flight,
            rto: info.rto,
            srtt: info.rtt,
        }
    }
}
