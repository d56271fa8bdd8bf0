//! What one end of a conversation sent: what kind of segment each was, and counters.
//!
//! Sections: RFC 5681 2 (duplicate acknowledgement); RFC 6298 3 (Karn); RFC 7323 2.3 (scaling).
//! In: what reading one direction finds out.
//! Out: plain data.

use crate::tcp::DropReason;
use crate::time::Duration;
use crate::wire::{Options, Pos, Seq};

/// What a segment was for, as far as its numbers show.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Kind {
    /// The first SYN.
    Syn,
    /// The first SYN-ACK.
    SynAck,
    /// The third segment of the handshake.
    Third,
    /// New data.
    Data,
    /// New data behind a gap: bytes before it have not been seen.
    BeyondGap,
    /// FIN, with or without data.
    Fin,
    /// An acknowledgement and nothing else.
    Ack,
    /// The n-th acknowledgement in a row that says the same while data is outstanding.
    DuplicateAck(u32),
    /// The same acknowledgement with another window.
    WindowUpdate,
    /// The window is closed.
    ZeroWindow,
    /// Sent before, or so long overdue that it must be a repetition.
    Again(Again),
    /// It fills a gap that is too young for a repetition: the network has reordered.
    OutOfOrder,
    /// A copy that its sender, our own stack, knows nothing of: the network has doubled it.
    Doubled,
    /// Asks whether a closed window has opened.
    WindowProbe,
    /// The answer to that, with the window still closed.
    ProbeAnswer,
    /// Asks whether the other end is still there.
    KeepAlive,
    /// It is.
    KeepAliveAnswer,
    /// RST.
    Reset,
    /// Its numbers lie far outside of what this conversation exchanges.
    Stray,
    /// Its receiver was our own stack, which did not take it, for this reason.
    Refused(DropReason),
}

/// Why a segment seems to have been sent again.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Again {
    /// The SYN found no answer.
    Syn,
    /// The SYN-ACK found no answer.
    SynAck,
    /// The SYN-ACK, because the SYN came once more.
    Asked,
    /// The sender had been silent for a retransmission timeout.
    Timeout,
    /// Three duplicate acknowledgements or more had asked for it.
    Fast,
    /// Part of the repair that a timeout or a fast retransmission began.
    Repair,
    /// It had been acknowledged before it was sent again.
    Needless,
    /// The numbers do not say.
    Unclear,
}

impl Kind {
    /// True for what an undisturbed conversation consists of.
    pub const fn is_usual(self) -> bool {
        matches!(self, Kind::Syn | Kind::SynAck | Kind::Third | Kind::Data | Kind::Fin | Kind::Ack | Kind::WindowUpdate)
    }
}

/// Round trips of one direction: from a segment to the acknowledgement that covers it, as seen where the capture was
/// taken. Repeated segments are left out (Karn's rule).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Rtt {
    /// How many were measured.
    pub samples: u64,
    /// The shortest.
    pub min: Duration,
    /// The longest.
    pub max: Duration,
    /// All together.
    pub sum: Duration,
}

impl Rtt {
    /// The mean, if anything was measured.
    pub fn mean(&self) -> Option<Duration> {
        (self.samples > 0).then(|| self.sum / self.samples)
    }

    pub(super) fn add(&mut self, sample: Duration) {
        self.min = if self.samples == 0 { sample } else { self.min.min(sample) };
        self.max = self.max.max(sample);
        self.sum += sample;
        self.samples += 1;
    }
}

/// What one end sent, counted.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Sent {
    /// Its initial sequence number, if its SYN was seen.
    pub isn: Option<Seq>,
    /// What relative numbers count from: position 0.
    pub origin: Option<Seq>,
    /// The options of its SYN.
    pub options: Option<Options>,
    /// Segments, as captured.
    pub segments: u64,
    /// Segments on the wire, counting each merged one for what it was merged from.
    pub wire_segments: u64,
    /// Segments that carried data.
    pub data_segments: u64,
    /// Acknowledgements without data, SYN, FIN or RST.
    pub bare_acks: u64,
    /// Payload bytes, repetitions included.
    pub payload: u64,
    /// Bytes of the stream: every byte once.
    pub stream: u64,
    /// Bytes of IP and TCP headers, as captured.
    pub headers: u64,
    /// Captured segments longer than the wire allows.
    pub merged: u64,
    /// The first of those: its length, and the length of what it was merged from.
    pub merged_first: Option<(u32, u32)>,
    /// Segments sent again.
    pub again: u64,
    /// Payload bytes sent again.
    pub again_bytes: u64,
    /// Of [`again`](Self::again): after a timeout, SYN and SYN-ACK included.
    pub again_timeout: u64,
    /// Of [`again`](Self::again): after duplicate acknowledgements.
    pub again_fast: u64,
    /// Of [`again`](Self::again): part of the repair that one of these began.
    pub again_repair: u64,
    /// Of [`again`](Self::again): acknowledged before they were sent again.
    pub again_needless: u64,
    /// Of [`again`](Self::again): SYN-ACKs that a repeated SYN asked for.
    pub again_asked: u64,
    /// Segments that the network overtook.
    pub out_of_order: u64,
    /// Copies that the network made.
    pub doubled: u64,
    /// Duplicate acknowledgements.
    pub duplicate_acks: u64,
    /// Times its window closed.
    pub zero_windows: u64,
    /// Probes of the other end's closed window.
    pub window_probes: u64,
    /// Keep-alive probes.
    pub keep_alives: u64,
    /// Resets.
    pub resets: u64,
    /// Segments that belong to another conversation.
    pub strays: u64,
    /// Segments that the other end, our own stack, did not take.
    pub refused: u64,
    /// Bytes that must have been sent (they were acknowledged, or later ones were seen), but not where the capture
    /// was taken.
    pub unseen: u64,
    /// Bytes of the stream that were not acknowledged when the capture ended.
    pub unacknowledged: u64,
    /// The shift count of its windows (RFC 7323 2.3); `None` if the capture does not show what was agreed.
    pub scale: Option<u8>,
    /// The window of its SYN, never scaled.
    pub syn_window: Option<u16>,
    /// Its first window after that, as it stands in the header.
    pub first_window: Option<u16>,
    /// Its largest window after the SYN, as it stands in the header.
    pub max_window: u16,
    /// Its smallest window after the SYN, as it stands in the header.
    pub min_window: u16,
    /// Where its FIN stood.
    pub fin: Option<Pos>,
    /// Round trips of its segments.
    pub rtt: Rtt,
    /// The smoothed round-trip time that it last had itself, if it is our own stack and says so.
    pub srtt: Option<Duration>,
}
