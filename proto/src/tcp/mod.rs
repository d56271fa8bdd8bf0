//! One connection.
//!
//! [`Connection`] is the table of contents: its public calls in the order in which a program meets them. Every rule
//! lives in the file that carries its name.

pub mod ack;
pub mod bytequeue;
pub mod cause;
pub mod cc;
pub mod config;
pub mod info;
pub mod paws;
pub mod ranges;
pub mod recovery;
pub mod recvq;
pub mod rtt;
pub mod segment;
pub mod sendq;
pub mod state;

pub use cause::{AckCause, Cause, ResetCause, RetransmitCause};
pub use config::Config;
pub use info::TcpInfo;
pub use segment::{DropReason, Segment, Transmit, Verdict};
pub use state::State;

use bytes::Bytes;

use crate::time::Instant;
use crate::wire::{FourTuple, Options, Seq};

/// What the passive side knows of a connection when it leaves the SYN queue.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Accepted {
    /// Who talks to whom.
    pub key: FourTuple,
    /// Our initial sequence number, already sent in the SYN-ACK.
    pub iss: Seq,
    /// The peer's initial sequence number.
    pub irs: Seq,
    /// The peer's options, from its SYN.
    pub options: Options,
    /// The window of the peer's SYN, which is never scaled.
    pub window: u16,
    /// When the SYN-ACK was last sent.
    pub sent: Instant,
    /// How often the SYN-ACK was sent again; a round trip may be measured only if never (Karn).
    pub retransmits: u8,
    /// Added to our clock to give TSval on this connection.
    pub ts_offset: u32,
}

/// How much output the owner can take now.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct TxLimit {
    /// The most payload bytes one burst may carry; at least one segment goes even if this is smaller.
    pub burst: usize,
}

/// What a [`Connection::read`] found.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Read {
    /// So many bytes were copied out.
    Data(usize),
    /// Nothing now, but the peer may still send.
    Pending,
    /// The peer has closed its side and everything before was read.
    Eof,
}

/// Something the application may want to know. Drained by [`Connection::poll_event`].
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Event {
    /// The three-way handshake is complete.
    Connected,
    /// There is data to read, or the end of the stream.
    Readable,
    /// There is room to write again after a short write.
    Writable,
    /// Urgent data appeared, or the urgent pointer advanced (MUST-32).
    Urgent,
    /// Something went wrong that may pass (MUST-47): ICMP, or R1 reached.
    SoftError(SoftError),
    /// The peer has sent its FIN.
    PeerFin,
    /// The connection has left ESTABLISHED and its relatives for good.
    Closed(CloseReason),
}

/// Trouble that does not end the connection.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum SoftError {
    /// R1 was reached: several retransmissions in a row went unanswered (SHLD-9).
    ExcessiveRetransmissions,
    /// An ICMP message said that the peer cannot be reached just now (MUST-56).
    Unreachable,
}

/// How a connection ended (MUST-12).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum CloseReason {
    /// Both sides sent FIN and both were acknowledged.
    Normal,
    /// The application aborted, or closed with unread data.
    Aborted,
    /// The peer sent RST.
    Reset,
    /// The peer answered our SYN with RST.
    Refused,
    /// Retransmissions, probes, keep-alives or the user timeout ran out.
    TimedOut,
}

/// Why a call was refused.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ConnError {
    /// Our side was closed already; RFC 9293: "connection closing".
    Closing,
    /// The connection is over; the reason says how.
    Closed(CloseReason),
    /// No such connection, or it is not in a state that allows the call.
    NotConnected,
}

/// What remains of a connection in TIME-WAIT: enough to answer, little enough to keep by the thousand.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct TimeWait {
    /// Who talked to whom.
    pub key: FourTuple,
    /// SND.NXT: what our segments carry.
    pub snd_nxt: Seq,
    /// RCV.NXT: what we acknowledge.
    pub rcv_nxt: Seq,
    /// The window that we advertise, as it stands in the header.
    pub window: u16,
    /// TS.Recent and our clock's offset, if the connection used timestamps.
    pub timestamps: Option<(u32, u32)>,
    /// When 2 MSL have passed.
    pub expires: Instant,
}

/// Which timer asks for attention.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
#[expect(missing_docs, reason = "the names are the RFCs'")]
pub enum Timer {
    Retransmission,
    Persist,
    DelayedAck,
    KeepAlive,
    UserTimeout,
    Cork,
    FinWait2,
    TimeWait,
}

/// One TCP connection that has a TCB of its own.
///
/// A pure state machine: the owner feeds segments and the time, drains output, and sleeps until
/// [`next_timeout`](Connection::next_timeout).
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Connection {
    key: FourTuple,
}

#[expect(unused_variables, clippy::todo, reason = "the room is being built")]
impl Connection {
    /// OPEN, active: the first [`poll_transmit`](Self::poll_transmit) gives the SYN. RFC 9293 3.9.1.1.
    pub fn connect(cfg: &Config, key: FourTuple, iss: Seq, ts_offset: u32, now: Instant) -> Self {
        todo!()
    }

    /// A half-open record becomes a connection in SYN-RECEIVED, its SYN-ACK already sent; the owner feeds it the
    /// segment that completed the handshake next.
    pub fn accept(cfg: &Config, accepted: &Accepted, now: Instant) -> Self {
        todo!()
    }

    /// SEGMENT ARRIVES, RFC 9293 3.10.7.3 and 3.10.7.4.
    pub fn on_segment(&mut self, segment: Segment, now: Instant) -> Verdict {
        todo!()
    }

    /// Runs every timer that is due at `now`.
    pub fn on_timeout(&mut self, now: Instant) {
        todo!()
    }

    /// The next burst to send, if any may go now.
    pub fn poll_transmit(&mut self, now: Instant, limit: TxLimit) -> Option<Transmit> {
        todo!()
    }

    /// The next event for the application.
    pub fn poll_event(&mut self) -> Option<Event> {
        todo!()
    }

    /// When [`on_timeout`](Self::on_timeout) wants to be called, and why.
    pub fn next_timeout(&self) -> Option<(Instant, Timer)> {
        todo!()
    }

    /// SEND, RFC 9293 3.9.1.2: copies as much of `data` as fits; 0 means that the send buffer is full and
    /// [`Event::Writable`] will come.
    pub fn write(&mut self, data: &[u8], now: Instant) -> Result<usize, ConnError> {
        todo!()
    }

    /// As [`write`](Self::write), but takes the bytes without copying them: as many as fit, the rest is left in `data`.
    pub fn send_bytes(&mut self, data: &mut Bytes, now: Instant) -> Result<usize, ConnError> {
        todo!()
    }

    /// SEND with the URGENT flag: the urgent pointer will point behind the last byte of `data` (MUST-30, MUST-62).
    pub fn write_urgent(&mut self, data: &[u8], now: Instant) -> Result<usize, ConnError> {
        todo!()
    }

    /// RECEIVE, RFC 9293 3.9.1.3.
    pub fn read(&mut self, out: &mut [u8], now: Instant) -> Result<Read, ConnError> {
        todo!()
    }

    /// The next received chunk without copying it; `None` like [`Read::Pending`], an empty one like [`Read::Eof`].
    pub fn recv_bytes(&mut self, now: Instant) -> Result<Option<Bytes>, ConnError> {
        todo!()
    }

    /// CLOSE of the sending side (shutdown): queued data goes first, then FIN; reading goes on. RFC 9293 3.9.1.4.
    pub fn close(&mut self, now: Instant) {
        todo!()
    }

    /// The application lets go of the connection: nothing will be read any more. Unread or later data is answered
    /// with RST (SHLD-3); otherwise FIN goes out as for [`close`](Self::close), and FIN-WAIT-2 is bounded in time.
    pub fn release(&mut self, now: Instant) {
        todo!()
    }

    /// ABORT, RFC 9293 3.9.1.5: RST if the state calls for one, and everything queued is dropped.
    pub fn abort(&mut self, now: Instant) {
        todo!()
    }

    /// STATUS: the name of the state, derived from the stored shape (RFC 9293 Figure 5).
    pub fn state(&self) -> State {
        todo!()
    }

    /// Everything worth knowing, in the kernel's `struct tcp_info` terms.
    pub fn info(&self, now: Instant) -> TcpInfo {
        todo!()
    }

    /// The record that takes over once TIME-WAIT is entered and the last acknowledgement is on its way; at most once.
    /// The owner calls this after draining [`poll_transmit`](Self::poll_transmit).
    pub fn take_time_wait(&mut self, now: Instant) -> Option<TimeWait> {
        todo!()
    }

    /// The two sockets that name this connection.
    pub fn key(&self) -> FourTuple {
        self.key
    }

    /// Bytes that a [`read`](Self::read) could take now.
    pub fn readable(&self) -> usize {
        todo!()
    }

    /// Bytes that a [`write`](Self::write) could take now.
    pub fn writable(&self) -> usize {
        todo!()
    }

    /// True when the record can be forgotten: closed, nothing left to send.
    pub fn is_finished(&self) -> bool {
        todo!()
    }
}
