//! The eleven states of RFC 9293 Figure 5, and the shapes from which they are derived.
//!
//! Sections: RFC 9293 3.3.2.
//! In: the stored shape of a connection.
//! Out: its name.

use core::fmt;

use super::CloseReason;
use super::rcv::ReceiveHalf;
use super::recvq::RecvQueue;
use super::snd::SendHalf;
use crate::time::Instant;
use crate::wire::Pos;

/// A state of RFC 9293 Figure 5.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
#[expect(missing_docs, reason = "the names are the RFC's")]
pub enum State {
    #[default]
    Closed,
    Listen,
    SynSent,
    SynReceived,
    Established,
    FinWait1,
    FinWait2,
    CloseWait,
    Closing,
    LastAck,
    TimeWait,
}

impl State {
    /// All eleven, in the RFC's order of telling.
    pub const ALL: [State; 11] = [
        State::Closed,
        State::Listen,
        State::SynSent,
        State::SynReceived,
        State::Established,
        State::FinWait1,
        State::FinWait2,
        State::CloseWait,
        State::Closing,
        State::LastAck,
        State::TimeWait,
    ];

    /// The RFC's spelling.
    pub const fn name(self) -> &'static str {
        match self {
            State::Closed => "CLOSED",
            State::Listen => "LISTEN",
            State::SynSent => "SYN-SENT",
            State::SynReceived => "SYN-RECEIVED",
            State::Established => "ESTABLISHED",
            State::FinWait1 => "FIN-WAIT-1",
            State::FinWait2 => "FIN-WAIT-2",
            State::CloseWait => "CLOSE-WAIT",
            State::Closing => "CLOSING",
            State::LastAck => "LAST-ACK",
            State::TimeWait => "TIME-WAIT",
        }
    }

    /// True from ESTABLISHED on: both sides know both initial sequence numbers.
    pub const fn is_synchronized(self) -> bool {
        !matches!(self, State::Closed | State::Listen | State::SynSent | State::SynReceived)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What is stored of a connection: as much as it knows, and no more.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[expect(clippy::large_enum_variant, reason = "nearly every connection is Live, and nothing moves it")]
pub(super) enum Shape {
    /// The peer's initial sequence number is not known: SYN-SENT.
    Opening(Opening),
    /// Both are known.
    Live(Live),
    /// It is over.
    Closed(Closed),
}

/// SYN-SENT.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Opening {
    pub(super) snd: SendHalf,
}

/// Every state between SYN-RECEIVED and TIME-WAIT.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Live {
    pub(super) snd: SendHalf,
    pub(super) rcv: ReceiveHalf,
    /// Our and the peer's window scale, if both offered one.
    pub(super) scaling: Option<(u8, u8)>,
    /// SYN-ACK was sent at least once.
    pub(super) syn_ack_sent: bool,
    /// Our CLOSE came before the peer's FIN: CLOSING and TIME-WAIT, not LAST-ACK, lie ahead.
    pub(super) closed_first: bool,
    /// When the last challenge ACK was sent (RFC 5961 7).
    pub(super) challenged: Option<Instant>,
    /// When anything acceptable last arrived.
    pub(super) heard: Instant,
    /// Keep-alive probes since then.
    pub(super) keepalives: u8,
    /// When the last of those was due.
    pub(super) probed: Instant,
    /// The next keep-alive probe is due.
    pub(super) keepalive_due: bool,
}

/// CLOSED, with what the application may still read.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Closed {
    pub(super) reason: CloseReason,
    pub(super) unread: RecvQueue,
    /// The peer's FIN had been taken.
    pub(super) fin: bool,
    /// RCV.UP.
    pub(super) up: Pos,
}

impl Shape {
    /// The name of the state. Read it beside Figure 5: LISTEN is the listener's, not a connection's.
    pub(super) fn state(&self) -> State {
        match self {
            Shape::Opening(_) => State::SynSent,
            Shape::Live(live) => live.state(),
            Shape::Closed(_) => State::Closed,
        }
    }
}

impl Live {
    /// The name of the state, between SYN-RECEIVED and TIME-WAIT.
    pub(super) fn state(&self) -> State {
        let snd = &self.snd;
        if !snd.syn_acked() {
            // CLOSE in SYN-RECEIVED waits for ESTABLISHED if anything is queued (RFC 9293 3.10.4).
            return if snd.closing && snd.queue.is_empty() { State::FinWait1 } else { State::SynReceived };
        }
        match (self.rcv.fin_taken, snd.closing, self.closed_first) {
            (false, false, _) => State::Established,
            (false, true, _) if snd.fin_acked() => State::FinWait2,
            (false, true, _) => State::FinWait1,
            (true, _, true) if snd.fin_acked() => State::TimeWait,
            (true, _, true) => State::Closing,
            (true, _, false) if snd.fin_sent() => State::LastAck,
            (true, _, false) => State::CloseWait,
        }
    }
}
