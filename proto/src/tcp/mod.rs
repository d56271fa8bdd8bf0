//! One connection.
//!
//! [`Connection`] is the table of contents: its public calls in the order in which a program meets them. Every rule
//! lives in the file that carries its name.

pub mod ack;
mod autotune;
pub mod bytequeue;
mod calls;
pub mod cause;
pub mod cc;
pub(crate) mod check;
mod close;
pub mod config;
mod events;
pub mod frto;
mod inflight;
pub mod info;
mod input;
mod keepalive;
pub(crate) mod open;
mod output;
mod pacing;
pub mod paws;
mod payload;
#[cfg(test)]
mod play;
mod pmtu;
pub mod prr;
mod rack;
pub mod ranges;
pub mod rate;
mod rcv;
pub mod recovery;
pub mod recvq;
mod retransmit;
pub mod rtt;
mod runs;
mod sack;
pub mod scoreboard;
pub mod segment;
pub mod sendq;
mod snd;
pub mod state;
mod stats;
pub mod tcp_info;
pub mod timer;
pub mod tlp;
pub mod undo;

pub use autotune::Pressure;
pub use cause::{AckCause, Cause, ResetCause, RetransmitCause};
pub use config::Config;
pub use inflight::{Delivery, Mark};
pub use info::{CaState, Inspection, TcpInfo};
pub use payload::Payload;
pub use pmtu::MtuProbing;
pub use sack::Phase;
pub use segment::{DropReason, Segment, Transmit, Verdict};
pub use state::State;
pub use timer::Timer;

use bytes::Bytes;

use crate::time::Instant;
use crate::wire::{FourTuple, Options, Seq, Timestamps};
use events::Events;
use input::Stop;
use pmtu::{Claim, Judgement};
use snd::SendHalf;
use state::{Live, Opening, Shape};
use stats::Stats;
use timer::Timers;

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

/// One TCP connection that has a TCB of its own.
///
/// A pure state machine: the owner feeds segments and the time, drains output, and sleeps until
/// [`next_timeout`](Connection::next_timeout).
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Connection {
    common: Common,
    shape: Shape,
}

/// What a connection has in every shape.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Common {
    key: FourTuple,
    cfg: Config,
    /// It began with a passive open (MUST-11).
    passive: bool,
    /// The application has let go: nobody will read any more.
    released: bool,
    /// The application does not read any more: once our side is closed, new data is answered with RST.
    refuses: bool,
    /// Something says that the peer is out of reach, and nothing was heard from it since.
    unreachable: bool,
    /// How much memory the host has left.
    pressure: Pressure,
    /// Added to our clock to give TSval.
    ts_offset: u32,
    /// When it began: no echo of a timestamp can be older.
    started: Instant,
    /// A RST that is to go out before anything else.
    reset: Option<Reset>,
    timers: Timers,
    events: Events,
    stats: Stats,
}

/// A RST to send.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Reset {
    seq: Seq,
    ack: Option<Seq>,
    timestamps: Option<Timestamps>,
    cause: ResetCause,
}

impl Connection {
    /// OPEN, active: the first [`poll_transmit`](Self::poll_transmit) gives the SYN. RFC 9293 3.9.1.1.
    pub fn connect(cfg: &Config, key: FourTuple, iss: Seq, ts_offset: u32, now: Instant) -> Self {
        let snd = SendHalf::new(cfg, iss, 1, now);
        Connection { common: Common::new(cfg, key, false, ts_offset, now), shape: Shape::Opening(Opening { snd }) }
    }

    /// A half-open record becomes a connection in SYN-RECEIVED, its SYN-ACK already sent; the owner feeds it the
    /// segment that completed the handshake next.
    pub fn accept(cfg: &Config, accepted: &Accepted, now: Instant) -> Self {
        let mut common = Common::new(cfg, accepted.key, true, accepted.ts_offset, accepted.sent);
        let mut live = Live::accept(&common, accepted, now);
        live.arm_timers(&mut common, now);
        Connection { common, shape: Shape::Live(live) }
    }

    /// SEGMENT ARRIVES, RFC 9293 3.10.7.3 and 3.10.7.4.
    pub fn on_segment(&mut self, segment: Segment, now: Instant) -> Verdict {
        self.common.stats.segs_in += u64::from(segment.segments.max(1));
        match &mut self.shape {
            Shape::Opening(_) => self.arrives_in_syn_sent(segment, now),
            Shape::Live(live) => {
                let stopped = live.on_segment(&mut self.common, segment, now).err();
                live.arm_timers(&mut self.common, now);
                match stopped {
                    Some(Stop::Close(reason)) => self.enter_closed(reason),
                    Some(Stop::Reset(_, cause)) => self.reset(cause, CloseReason::Aborted, now),
                    _ => {}
                }
                stopped.map_or(Verdict::Accepted, Stop::verdict)
            }
            Shape::Closed(_) => Verdict::Dropped(DropReason::NoConnection),
        }
    }

    /// The peer cannot be reached just now: its neighbour does not answer, or an ICMP error says so. An error counts
    /// only if it quotes, by its sequence number, a segment that is in flight; else anyone could send it (RFC 5927 4.1).
    //= 9293/MUST-47
    //= 9293/MUST-56
    pub fn on_unreachable(&mut self, quoted: Option<Seq>) -> Verdict {
        let snd = match &self.shape {
            Shape::Opening(opening) => &opening.snd,
            Shape::Live(live) => &live.snd,
            Shape::Closed(_) => return Verdict::Dropped(DropReason::NoConnection),
        };
        if let Some(seq) = quoted {
            let pos = snd.space.pos(seq, snd.una);
            if pos < snd.una || snd.nxt <= pos {
                return Verdict::Dropped(DropReason::OutsideWindow);
            }
        }
        self.common.unreachable = true;
        self.common.events.raise(Event::SoftError(SoftError::Unreachable));
        Verdict::Accepted
    }

    /// A router says that a segment of ours was larger than its link, which carries `mtu` bytes, the IP header included.
    /// It counts until `until`, if it quotes a segment in flight and names less than was sent (RFC 5927 4.1, 7);
    /// and if larger ones have arrived before, only once the retransmission timer has run out.
    //= 9293/MUST-54
    pub fn on_packet_too_big(&mut self, quoted: Seq, mtu: u16, until: Instant, now: Instant) -> Verdict {
        let Shape::Live(live) = &mut self.shape else { return Verdict::Dropped(DropReason::Implausible) };
        let quoted = live.snd.space.pos(quoted, live.snd.una);
        if quoted < live.snd.una || live.snd.nxt <= quoted {
            return Verdict::Dropped(DropReason::OutsideWindow);
        }
        match live.snd.on_packet_too_big(Claim { mtu, until, quoted }) {
            Judgement::NoNews => return Verdict::Dropped(DropReason::Implausible),
            Judgement::Believed | Judgement::Doubted => {}
        }
        live.arm_timers(&mut self.common, now);
        Verdict::Accepted
    }

    /// What others have learnt of the path: packets of so many bytes pass, until then; `None` if nothing is known.
    pub fn set_path_mtu(&mut self, told: Option<(u16, Instant)>) {
        match &mut self.shape {
            Shape::Opening(Opening { snd }) => {
                snd.pmtu.on_hint(told);
            }
            Shape::Live(live) => {
                if live.snd.pmtu.on_hint(told) {
                    live.snd.mss = live.snd.pmtu.mss();
                }
            }
            Shape::Closed(_) => {}
        }
    }

    /// What this connection has learnt of the path from a router, and was not asked for yet.
    pub fn take_path_mtu(&mut self) -> Option<u16> {
        match &mut self.shape {
            Shape::Live(live) => live.snd.pmtu.take_news(),
            Shape::Opening(_) | Shape::Closed(_) => None,
        }
    }

    /// An ICMP message says that something is wrong on the way. It may pass: the application is told, and the connection
    /// goes on trying.
    pub fn on_soft_error(&mut self, error: SoftError) {
        //= 9293/MUST-47
        //= 9293/MUST-56
        //= 9293/SHLD-25
        if !matches!(self.shape, Shape::Closed(_)) {
            self.common.events.raise(Event::SoftError(error));
        }
    }

    /// Runs every timer that is due at `now`.
    pub fn on_timeout(&mut self, now: Instant) {
        while let Some(timer) = self.common.timers.take_due(now) {
            self.on_timer(timer, now);
        }
    }

    /// The next burst to send, if any may go now.
    pub fn poll_transmit(&mut self, now: Instant, limit: TxLimit) -> Option<Transmit> {
        self.next_burst(now, limit)
    }

    /// The next event for the application.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.common.events.poll()
    }

    /// When [`on_timeout`](Self::on_timeout) wants to be called, and why.
    pub fn next_timeout(&self) -> Option<(Instant, Timer)> {
        self.common.timers.next()
    }

    /// SEND, RFC 9293 3.9.1.2: copies as much of `data` as fits; 0 means that the send buffer is full and
    /// [`Event::Writable`] will come.
    pub fn write(&mut self, data: &[u8], now: Instant) -> Result<usize, ConnError> {
        self.send(data.len(), now, |queue, room| queue.write(&data[..room]))
    }

    /// As [`write`](Self::write), but takes the bytes without copying them: as many as fit, the rest is left in `data`.
    pub fn send_bytes(&mut self, data: &mut Bytes, now: Instant) -> Result<usize, ConnError> {
        self.send(data.len(), now, |queue, room| queue.push(data.split_to(room)))
    }

    /// SEND with the URGENT flag: the urgent pointer will point behind the last byte of `data` (MUST-30, MUST-62).
    pub fn write_urgent(&mut self, data: &[u8], now: Instant) -> Result<usize, ConnError> {
        let written = self.write(data, now)?;
        if let (Shape::Opening(Opening { snd }) | Shape::Live(Live { snd, .. }), true) = (&mut self.shape, written > 0)
        {
            snd.up = snd.queue.end();
        }
        Ok(written)
    }

    /// RECEIVE, RFC 9293 3.9.1.3.
    pub fn read(&mut self, out: &mut [u8], now: Instant) -> Result<Read, ConnError> {
        let wanted = !out.is_empty();
        let read = self.receive(now, |queue| Some(queue.read(out)).filter(|n| *n > 0 || !wanted))?;
        Ok(read.map_or(Read::Pending, |n| if n == 0 && wanted { Read::Eof } else { Read::Data(n) }))
    }

    /// The next received chunk without copying it; `None` like [`Read::Pending`], an empty one like [`Read::Eof`].
    pub fn recv_bytes(&mut self, now: Instant) -> Result<Option<Bytes>, ConnError> {
        self.receive(now, |queue| queue.recv_bytes())
    }

    /// CLOSE of the sending side (shutdown): queued data goes first, then FIN; reading goes on. RFC 9293 3.9.1.4.
    pub fn close(&mut self, now: Instant) {
        self.on_close(now);
    }

    /// The application lets go of the connection: nothing will be read any more. Unread or later data is answered
    /// with RST (SHLD-3); otherwise FIN goes out as for [`close`](Self::close), and FIN-WAIT-2 is bounded in time.
    pub fn release(&mut self, now: Instant) {
        self.on_release(now);
    }

    /// ABORT, RFC 9293 3.9.1.5: RST if the state calls for one, and everything queued is dropped.
    pub fn abort(&mut self, now: Instant) {
        self.on_abort(now);
    }

    /// Changes settings of the running connection (MUST-17, MUST-21, MUST-24): Nagle, cork, keep-alive, R2, timeouts,
    /// buffers.
    /// Those that the handshake has settled keep their effect.
    pub fn configure(&mut self, change: impl FnOnce(&mut Config), now: Instant) {
        let congestion = self.common.cfg.congestion;
        change(&mut self.common.cfg);
        match &mut self.shape {
            Shape::Opening(opening) => opening.snd.set_buffer(&self.common.cfg),
            Shape::Live(live) => {
                if congestion != self.common.cfg.congestion {
                    live.snd.cc.switch(&self.common.cfg);
                }
                live.snd.set_buffer(&self.common.cfg);
                live.rcv.set_buffer(&self.common.cfg);
                live.arm_timers(&mut self.common, now);
            }
            Shape::Closed(_) => {}
        }
    }

    /// STATUS: the name of the state, derived from the stored shape (RFC 9293 Figure 5).
    pub fn state(&self) -> State {
        self.shape.state()
    }

    /// How it ended, once it has.
    pub fn close_reason(&self) -> Option<CloseReason> {
        match &self.shape {
            Shape::Closed(closed) => Some(closed.reason),
            Shape::Opening(_) | Shape::Live(_) => None,
        }
    }

    /// The record that takes over once TIME-WAIT is entered and the last acknowledgement is on its way; at most once.
    /// The owner calls this after draining [`poll_transmit`](Self::poll_transmit).
    pub fn take_time_wait(&mut self, now: Instant) -> Option<TimeWait> {
        self.on_take_time_wait(now)
    }

    /// The two sockets that name this connection.
    pub fn key(&self) -> FourTuple {
        self.common.key
    }

    /// Its settings.
    pub fn config(&self) -> &Config {
        &self.common.cfg
    }

    /// Bytes that a [`read`](Self::read) could take now.
    pub fn readable(&self) -> usize {
        match &self.shape {
            Shape::Live(live) => live.rcv.queue.readable(),
            Shape::Closed(closed) => closed.unread.readable(),
            Shape::Opening(_) => 0,
        }
    }

    /// Bytes that a [`write`](Self::write) could take now.
    pub fn writable(&self) -> usize {
        match &self.shape {
            Shape::Opening(Opening { snd }) | Shape::Live(Live { snd, .. }) if !snd.closing => {
                self.common.writable(snd)
            }
            _ => 0,
        }
    }

    /// True when the record can be forgotten: closed, nothing left to send.
    pub fn is_finished(&self) -> bool {
        matches!(self.shape, Shape::Closed(_)) && self.common.reset.is_none()
    }
}

impl Common {
    fn new(cfg: &Config, key: FourTuple, passive: bool, ts_offset: u32, started: Instant) -> Self {
        Common {
            key,
            cfg: cfg.clone(),
            passive,
            released: false,
            refuses: false,
            unreachable: false,
            pressure: Pressure::None,
            ts_offset,
            started,
            reset: None,
            timers: Timers::default(),
            events: Events::default(),
            stats: Stats::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::play::{A, Fate, ISS, Pair, Play, SA, Seg, ms, plain, seg, stream};
    use super::*;
    use crate::time::Duration;
    use crate::wire::{Flags, Pos};
    use alloc::vec::Vec;
    use proptest::prelude::*;

    /// One side's program: sends `total` bytes, reads everything, and closes when `close_at_once` or at the end of the
    /// peer's stream.
    struct Program {
        total: usize,
        sent: usize,
        received: Vec<u8>,
        close_at_once: bool,
    }

    impl Program {
        fn new(total: usize, close_at_once: bool) -> Self {
            Program { total, sent: 0, received: Vec::new(), close_at_once }
        }

        fn run(&mut self, conn: &mut Connection, now: Instant) {
            if self.sent < self.total {
                let rest = stream(Pos(1 + self.sent as i64), self.total - self.sent);
                self.sent += conn.write(&rest, now).unwrap_or(0);
            }
            let mut out = [0; 4096];
            let eof = loop {
                match conn.read(&mut out, now) {
                    Ok(Read::Data(n)) => self.received.extend_from_slice(&out[..n]),
                    Ok(Read::Eof) => break true,
                    Ok(Read::Pending) | Err(_) => break false,
                }
            };
            if self.sent == self.total && conn.state() != State::SynSent && (self.close_at_once || eof) {
                conn.close(now);
            }
        }
    }

    /// What must hold for one connection after every event.
    fn check(conn: &Connection, last: &mut (Pos, Pos, Pos), now: Instant) {
        let info = conn.info(now);
        let Some(inner) = conn.inspect() else { return };
        assert!(info.snd_una <= info.snd_nxt && info.snd_nxt <= info.snd_end.max(Pos::FIRST), "I-05 {info:?}");
        assert!(last.0 <= info.snd_una && last.1 <= info.rcv_nxt, "I-05: UNA and RCV.NXT never go back");
        assert!(last.2 <= inner.rcv_edge, "I-09");
        *last = (info.snd_una, info.rcv_nxt, inner.rcv_edge);
        let armed = |timer| inner.timers.iter().any(|(armed, _)| *armed == timer);
        let outstanding = info.snd_una < info.snd_nxt;
        let guarded = armed(Timer::Retransmission) || armed(Timer::Persist);
        assert!(!outstanding || guarded, "I-17 {info:?} {inner:?}");
        assert!(outstanding || !armed(Timer::Retransmission), "I-17 {info:?}");
        assert!(inner.ooo.iter().all(|(start, end)| info.rcv_nxt < *start && *end <= inner.rcv_edge), "I-15");
        assert!(inner.pipe <= info.unacked && info.snd_cwnd >= 1 && info.snd_ssthresh >= 2, "I-14, I-22");
    }

    /// A sends `up` bytes, B sends `down` and closes behind A; both streams arrive whole and both sides end.
    fn exchange(cfg: &Config, iss: Seq, up: usize, down: usize, fate: impl FnMut(u64, bool) -> Fate + 'static) -> Pair {
        let mut pair = Pair::new(cfg, iss, ms(5), fate);
        let (mut at_a, mut at_b) = (Program::new(up, true), Program::new(down, false));
        let mut last = [(Pos(0), Pos(0), Pos(0)); 2];
        pair.run(Duration::from_secs(7200), |a, b, now| {
            at_a.run(a, now);
            check(a, &mut last[0], now);
            if let Some(b) = b {
                at_b.run(b, now);
                check(b, &mut last[1], now);
            }
        });
        let b = pair.b.as_ref().expect("B was made");
        let ends = (pair.a.close_reason(), b.close_reason());
        if ends.0 == Some(CloseReason::Normal) {
            assert!(at_b.received == stream(Pos(1), up), "{up} up");
            assert!(at_a.received == stream(Pos(1), down), "{down} down");
        } else {
            panic!("{ends:?} at {:?}: {:?} {:?}", pair.now, pair.a.info(pair.now), b.info(pair.now));
        }
        pair
    }

    #[test]
    fn both_directions_arrive_whole_and_both_sides_end() {
        for cfg in [plain(), Config::default()] {
            for (up, down) in [(0, 0), (1, 1), (151, 65_800), (300_000, 2_000_000)] {
                let pair = exchange(&cfg, ISS, up, down, |_, _| Fate::FINE);
                let b = pair.b.expect("B was made");
                assert_eq!(b.close_reason(), Some(CloseReason::Normal));
                assert_eq!(pair.a.info(pair.now).total_retrans + b.info(pair.now).total_retrans, 0);
            }
        }
    }

    #[test]
    fn what_is_lost_is_sent_again() {
        let lossy: [fn(u64, bool) -> bool; 4] =
            [|n, _| n == 1, |n, _| n % 7 == 3, |n, from_a| from_a && n % 3 == 0, |n, from_a| !from_a && n % 4 == 0];
        for lose in lossy {
            for cfg in [plain(), Config::default()] {
                exchange(
                    &cfg,
                    ISS,
                    20_000,
                    40_000,
                    move |n, from_a| if lose(n, from_a) { Fate::LOST } else { Fate::FINE },
                );
            }
        }
    }

    //= 9293/MUST-47
    //= 9293/MUST-56
    #[test]
    fn a_soft_error_is_told_and_ends_nothing() {
        let mut play = Play::established(&plain());
        play.conn.on_soft_error(SoftError::Unreachable);
        assert_eq!(play.events(), [Event::SoftError(SoftError::Unreachable)]);
        assert_eq!(play.state(), State::Established);
        play.conn.abort(play.now);
        play.events();
        play.conn.on_soft_error(SoftError::Unreachable);
        assert_eq!(play.events(), []);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

        /// Loss up to 20 %, duplication and reordering, small and odd buffers and packets, numbers near the wrap.
        #[test]
        fn any_wire_any_settings(
            seed: u64,
            loss in 0_u64..20,
            up in 0_usize..60_000,
            down in 0_usize..60_000,
            mtu in 100_u16..1600,
            rcv_buf in 1000_u32..200_000,
            snd_buf in 1000_u32..200_000,
            rcv_buf_locked: bool,
            snd_buf_locked: bool,
            full: bool,
            origin in prop_oneof![Just(0_u32), Just(1 << 31), Just(u32::MAX - 1000), any::<u32>()],
        ) {
            let base = if full { Config::default() } else { plain() };
            let cfg = Config { mtu, rcv_buf, snd_buf, rcv_buf_locked, snd_buf_locked, ..base };
            let mut dice = seed | 1;
            let fate = move |_, _| {
                dice ^= dice << 13;
                dice ^= dice >> 7;
                dice ^= dice << 17;
                match dice % 100 {
                    n if n < loss => Fate::LOST,
                    n if n < loss + 3 => Fate { copies: 2, late: Duration::ZERO },
                    n if n < loss + 8 => Fate { copies: 1, late: ms(dice >> 32 & 15) },
                    _ => Fate::FINE,
                }
            };
            exchange(&cfg, Seq(origin), up, down, fate);
        }

        /// Whatever a peer sends, in whatever state, nothing panics, hangs, or breaks what must hold.
        #[test]
        fn any_segments_in_any_order(
            full: bool,
            passive: bool,
            steps in proptest::collection::vec((0_u8..12, any::<u16>(), -20_i64..3000, -20_i64..3000, 0_usize..2000), 1..80),
        ) {
            let base = if full { Config::default() } else { plain() };
            let cfg = Config { keepalive: true, ..base }.with_buffers(8000, 5000);
            let mut play = if passive { Play::syn_received(&cfg) } else { Play::syn_sent(&cfg) };
            let mut last = (Pos(0), Pos(0), Pos(0));
            for (step, bits, seq, ack, n) in steps {
                match step {
                    0 => drop(play.conn.write(&stream(play.info().snd_end.max(Pos(1)), n), play.now)),
                    1 => drop(play.read(n)),
                    2 => drop(play.pass(ms(n as u64 * 3))),
                    3 if n < 500 => play.conn.close(play.now),
                    3 if n < 600 => play.conn.release(play.now),
                    3 if n < 650 => play.conn.abort(play.now),
                    4 => drop(play.receive(seg(SA, 0, 1))),
                    5 | 6 => {
                        let (nxt, una) = (play.info().rcv_nxt.0.max(1), play.info().snd_nxt.0);
                        play.receive(seg(A, nxt, una).data(n).window(bits));
                    }
                    _ => {
                        let chance = Seg { urgent: bits, segments: bits % 4, ..seg(Flags(bits & 0x1ff), seq, ack) };
                        play.receive(chance.data(n.saturating_sub(1000)).window(bits));
                    }
                }
                if bits % 3 > 0 {
                    play.bursts();
                    check(&play.conn, &mut last, play.now);
                }
            }
            play.pass(Duration::from_secs(100_000));
            prop_assert!(play.info().memory < 40_000);
        }
    }
}
