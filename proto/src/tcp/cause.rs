//! Why a segment was sent: every emission has a cause.
//!
//! Sections: each variant names its own.
//! In: the rule that asked for the segment.
//! Out: a value to count and assert, and a stable name to write into captures.

use super::DropReason;

/// Why a segment goes out.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Cause {
    /// The first SYN of an active open.
    Syn,
    /// The first SYN-ACK: the answer to a SYN.
    SynAck,
    /// New data, which acknowledges as it goes.
    Data,
    /// New data in a segment larger than the path is known to carry (RFC 4821).
    PathProbe,
    /// New data beyond the congestion window, because nothing came back for two round trips (RFC 8985 7.3).
    TailLossProbe,
    /// FIN, alone or behind the last data: the application closed.
    Fin,
    /// Nothing but an acknowledgement.
    Ack(AckCause),
    /// Something that was sent before.
    Retransmit(RetransmitCause),
    /// The peer's window is closed: the n-th probe (RFC 9293 3.8.6.1).
    WindowProbe(u8),
    /// Nothing was heard for the keep-alive interval: the n-th probe (RFC 9293 3.8.4).
    KeepAlive(u8),
    /// A reset.
    Reset(ResetCause),
}

/// Why a bare acknowledgement goes out now.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum AckCause {
    /// The third segment of the handshake.
    Handshake,
    /// Two full-sized segments have arrived since the last one (SHLD-19).
    EverySecond,
    /// The connection is in quick-ACK mode: its first segments, or after a gap.
    Quick,
    /// The delayed-ACK timer ran out (SHLD-18).
    Delayed,
    /// A segment arrived out of order (RFC 5681 4.2).
    OutOfOrder,
    /// A segment filled a gap, wholly or in part (RFC 5681 4.2).
    GapFilled,
    /// The peer's FIN.
    Fin,
    /// The receive window has opened enough to say so (SHLD-14, MUST-39).
    WindowUpdate,
    /// The peer sent something that was received before; D-SACK if negotiated (RFC 2883).
    Duplicate,
    /// The peer sent something unacceptable (RFC 9293 3.10.7.4; RFC 5961).
    Challenge(DropReason),
    /// The peer probed a closed window or an idle connection.
    ProbeAnswer,
    /// A segment arrived for a connection in TIME-WAIT.
    TimeWait,
    /// The host has no memory left, and what arrived could not be kept.
    NoMemory,
}

/// Which rule asked for a retransmission.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum RetransmitCause {
    /// The n-th timeout of the SYN.
    Syn(u8),
    /// The n-th timeout of the SYN-ACK, or a repeated SYN that asks for it again (0).
    SynAck(u8),
    /// The n-th timeout of the retransmission timer in a row (RFC 6298 5.4).
    Timeout(u8),
    /// Sent again while the timeout's window is rebuilt in slow start.
    AfterTimeout,
    /// The third duplicate acknowledgement (RFC 5681 3.2).
    Fast,
    /// A partial acknowledgement during recovery (RFC 6582 3.2).
    PartialAck,
    /// It was larger than the path carries (RFC 1191, RFC 8201, RFC 4821).
    PathMtu,
    /// A segment that was sent later has arrived, and the reordering window has passed (RFC 8985 6.2).
    Rack,
    /// The reordering timer ran out: what was sent later has long arrived (RFC 8985 6.3).
    ReorderingTimer,
    /// Nothing came back for two round trips: the last segment again (RFC 8985 7.3).
    TailLossProbe,
}

/// Why a reset goes out.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ResetCause {
    /// A segment came for a connection that does not exist (RFC 9293 3.5.2).
    NoConnection,
    /// The application aborted (RFC 9293 3.9.1.5).
    Abort,
    /// The application closed and left data unread (SHLD-3).
    UnreadData,
    /// Data came for a connection that nobody reads any more (SHLD-3).
    DataAfterClose,
    /// Before the connection was synchronized: the acknowledgement is for something never sent (RFC 9293 3.10.7).
    UnacceptableAck,
    /// Retransmissions, probes or the user timeout ran out.
    TimedOut,
}

impl Cause {
    /// A stable name for programs and captures: lower case, words joined by hyphens, without the number.
    pub const fn name(self) -> &'static str {
        match self {
            Cause::Syn => "syn",
            Cause::SynAck => "syn-ack",
            Cause::Data => "data",
            Cause::PathProbe => "path-probe",
            Cause::TailLossProbe => "tail-loss-probe",
            Cause::Fin => "fin",
            Cause::Ack(ack) => match ack {
                AckCause::Handshake => "ack-handshake",
                AckCause::EverySecond => "ack-every-second",
                AckCause::Quick => "ack-quick",
                AckCause::Delayed => "ack-delayed",
                AckCause::OutOfOrder => "ack-out-of-order",
                AckCause::GapFilled => "ack-gap-filled",
                AckCause::Fin => "ack-fin",
                AckCause::WindowUpdate => "ack-window-update",
                AckCause::Duplicate => "ack-duplicate",
                AckCause::Challenge(_) => "ack-challenge",
                AckCause::ProbeAnswer => "ack-probe-answer",
                AckCause::TimeWait => "ack-time-wait",
                AckCause::NoMemory => "ack-no-memory",
            },
            Cause::Retransmit(why) => match why {
                RetransmitCause::Syn(_) => "retransmit-syn",
                RetransmitCause::SynAck(_) => "retransmit-syn-ack",
                RetransmitCause::Timeout(_) => "retransmit-timeout",
                RetransmitCause::AfterTimeout => "retransmit-after-timeout",
                RetransmitCause::Fast => "retransmit-fast",
                RetransmitCause::PartialAck => "retransmit-partial-ack",
                RetransmitCause::PathMtu => "retransmit-path-mtu",
                RetransmitCause::Rack => "retransmit-rack",
                RetransmitCause::ReorderingTimer => "retransmit-reordering-timer",
                RetransmitCause::TailLossProbe => "retransmit-tail-loss-probe",
            },
            Cause::WindowProbe(_) => "window-probe",
            Cause::KeepAlive(_) => "keep-alive",
            Cause::Reset(why) => match why {
                ResetCause::NoConnection => "reset-no-connection",
                ResetCause::Abort => "reset-abort",
                ResetCause::UnreadData => "reset-unread-data",
                ResetCause::DataAfterClose => "reset-data-after-close",
                ResetCause::UnacceptableAck => "reset-unacceptable-ack",
                ResetCause::TimedOut => "reset-timed-out",
            },
        }
    }

    /// The number that belongs to the cause: which timeout, which probe.
    pub const fn count(self) -> Option<u8> {
        match self {
            Cause::Retransmit(RetransmitCause::Syn(n) | RetransmitCause::SynAck(n) | RetransmitCause::Timeout(n))
            | Cause::WindowProbe(n)
            | Cause::KeepAlive(n) => Some(n),
            _ => None,
        }
    }
}
