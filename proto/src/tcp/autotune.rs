//! How large the two buffers of a connection grow, and when they must not.
//!
//! Sections: RFC 9293 3.8.6 (SHLD-14); RFC 7323 2.3, 4.1; Fisk and Feng, "Dynamic Right-Sizing" (2001); Linux `tcp(7)`.
//! In: what arrives, what the application reads, the congestion window, how much memory the host has left.
//! Out: the size of the receive buffer, and thereby the window; the size of the send buffer.
//!
//! # Why buffers have to follow the path
//!
//! A sender can have one window in flight per round trip, so a fixed window of W bytes is a speed limit of W/RTT: 64 KiB
//! over 100 ms is 5 Mbit/s on whatever link. A buffer that is large enough for every path is far too large for nearly
//! all of them, and a thousand connections would promise memory that nobody has. So both buffers start small and follow
//! what the path shows.
//!
//! *Receiving*: only the sender knows its congestion window, but the receiver can measure its effect: the bytes that the
//! application takes out per round trip are at least what the sender had in flight. In slow start that doubles from one
//! round trip to the next, so the buffer is made large enough for twice what was just seen, and for more if the last
//! round has seen growth already. Bytes count when they are *read*: a program that does not read needs no wider window.
//! The round trip is the receiver's own measurement, since who only receives gets no acknowledgements: the age of the
//! timestamp that is echoed, or, without timestamps, the time in which one window's worth arrives.
//!
//! *Sending*: what is in flight has to be kept for retransmission, and as much again has to be at hand when its
//! acknowledgement comes. So the buffer holds twice the congestion window.
//!
//! Buffers only grow. A window that was offered stays offered (SHLD-14), and a queue shrinks by itself when it is empty:
//! the size is a limit and not an allocation. A program that sets a size itself (SO_RCVBUF, SO_SNDBUF) has decided, and
//! nothing here touches it again. When the host runs short of memory no buffer grows, and windows close down to a few
//! segments as they are used up.

use super::rcv::ReceiveHalf;
use super::snd::SendHalf;
use super::{Common, Config};
use crate::time::{Duration, Instant};
use crate::wire::Pos;

/// How much memory the host has left for buffers: the three steps of `tcp_mem`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
pub enum Pressure {
    /// Enough.
    #[default]
    None,
    /// Little: no buffer grows, and windows are kept to a few segments.
    Some,
    /// None: a connection gets only what `tcp_rmem` and `tcp_wmem` promise each one.
    High,
}

/// What the receive buffer follows.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct RightSizing {
    /// The round trip as the receiver measures it.
    rtt: Option<Duration>,
    /// The echoed timestamp that was measured last.
    echo: Option<u32>,
    /// Without timestamps: when a window was open, and where it ends.
    window: (Instant, Pos),
    /// When the present round began, and what the application had read by then.
    round: (Instant, Pos),
    /// The most that was read in one round.
    per_round: u64,
}

impl RightSizing {
    /// A connection begins; the first `per_round` bytes per round trip ask for no larger buffer.
    pub(super) fn new(per_round: u64, edge: Pos, now: Instant) -> Self {
        RightSizing { rtt: None, echo: None, window: (now, edge), round: (now, Pos::FIRST), per_round }
    }

    /// The receiver's round-trip time, once measured.
    pub(super) const fn rtt(&self) -> Option<Duration> {
        self.rtt
    }

    /// The most that the application has read in one round trip, bytes.
    pub(super) const fn per_round(&self) -> u64 {
        self.per_round
    }

    /// A full-sized segment echoes our timestamp, which is so old.
    fn on_echo(&mut self, echo: u32, age: Duration) {
        //= 7323#4.1
        if self.echo.replace(echo) == Some(echo) {
            return;
        }
        // A clock of milliseconds cannot tell less than one of them from nothing.
        let age = age.max(Duration::from_millis(1));
        self.rtt = Some(self.rtt.map_or(age, |rtt| (rtt * 7 + age) / 8));
    }

    /// Without timestamps: RCV.NXT is at `nxt` and the right edge at `edge`.
    fn on_progress(&mut self, nxt: Pos, edge: Pos, now: Instant) {
        let (open, end) = self.window;
        if nxt < end {
            return;
        }
        // A sender fills a window in one round trip at the least. The shortest time is nearest to the truth.
        let span = now.since(open);
        if !span.is_zero() {
            self.rtt = Some(self.rtt.map_or(span, |rtt| rtt.min(span)));
        }
        self.window = (now, edge);
    }

    /// The application has read up to `read`: the window that the path deserves, if a round is over in which more was
    /// read than in any before it.
    fn on_read(&mut self, read: Pos, mss: u16, now: Instant) -> Option<u64> {
        let (began, from) = self.round;
        if now.since(began) < self.rtt? {
            return None;
        }
        let copied = read.since(from);
        self.round = (now, read);
        let before = self.per_round.max(1);
        self.per_round = self.per_round.max(copied);
        if copied <= before {
            return None;
        }
        // Like Linux: twice what came, since it may double in the next round; sixteen segments, so that small windows
        // leave the sender room to recover; and by how much this round outgrew the last, twice.
        let window = 2 * copied + 16 * u64::from(mss);
        Some(window.saturating_add((window / before).saturating_mul(2 * (copied - before))))
    }
}

impl ReceiveHalf {
    /// Payload has arrived. `echo` is the timestamp of ours that it echoes, and how old that is.
    pub(super) fn measure_round_trip(&mut self, echo: Option<(u32, Duration)>, full_sized: bool, now: Instant) {
        match echo {
            Some((echo, age)) if full_sized => self.tuning.on_echo(echo, age),
            Some(_) => {}
            None => {
                let (nxt, edge) = (self.nxt(), self.edge);
                self.tuning.on_progress(nxt, edge, now);
            }
        }
    }

    /// The application has read: the buffer grows if the path deserves it.
    pub(super) fn grow_buffer(&mut self, cfg: &Config, pressure: Pressure, now: Instant) {
        let read = self.queue.read_position();
        let Some(window) = self.tuning.on_read(read, self.mss, now) else { return };
        if !cfg.moderate_rcvbuf || cfg.rcv_buf_locked || pressure > Pressure::None {
            return;
        }
        let most = cfg.rcv_buf_max.max(cfg.rcv_buf);
        let memory = u32::try_from(window.saturating_mul(2)).unwrap_or(u32::MAX).min(most);
        if memory > self.memory {
            self.memory = memory;
            self.set_window(cfg);
        }
    }

    /// The settings have changed. What is promised to the peer stays promised, and what has grown stays grown unless
    /// the program has set the size itself.
    pub(super) fn set_buffer(&mut self, cfg: &Config) {
        self.memory = if cfg.rcv_buf_locked { cfg.rcv_buf } else { self.memory.max(cfg.rcv_buf) };
        self.set_window(cfg);
    }

    fn set_window(&mut self, cfg: &Config) {
        self.buffer = scaled_window(self.memory, cfg, self.wscale);
    }
}

impl SendHalf {
    /// The congestion window may have grown, and the send buffer with it.
    pub(super) fn grow_buffer(&mut self, c: &Common) {
        let cfg = &c.cfg;
        if cfg.snd_buf_locked || c.pressure > Pressure::None {
            return;
        }
        // Like Linux: no less than the initial window, however small the congestion window has become.
        let segments = u64::from(self.cc.cwnd().max(cfg.initial_window));
        let wanted = 2 * segments * (u64::from(self.mss) + SEGMENT_OVERHEAD);
        if wanted > u64::from(self.buffer) {
            let most = cfg.snd_buf_max.max(cfg.snd_buf);
            self.buffer = u32::try_from(wanted).unwrap_or(u32::MAX).min(most).max(self.buffer);
        }
    }

    /// The settings have changed.
    pub(super) fn set_buffer(&mut self, cfg: &Config) {
        self.buffer = if cfg.snd_buf_locked { cfg.snd_buf } else { self.buffer.max(cfg.snd_buf) };
    }
}

/// The window that a buffer of `memory` bytes can keep: half of it, because it holds more than payload. A segment of
/// 512 bytes, the least that is kept by reference, costs less than twice its payload with headers and bookkeeping.
pub(super) fn window_of(memory: u32, cfg: &Config) -> u32 {
    (memory / 2).min(cfg.window_clamp.unwrap_or(u32::MAX))
}

/// The same as a field of that scale can offer it: no more than its largest number, and no less than one unit, or the
/// window would never open.
pub(super) fn scaled_window(memory: u32, cfg: &Config, wscale: u8) -> u32 {
    window_of(memory, cfg).clamp(1 << wscale, u32::from(u16::MAX) << wscale)
}

/// What a segment costs beside its payload while it waits for its acknowledgement: its share of the record in flight,
/// of the slab and of the queue's index.
const SEGMENT_OVERHEAD: u64 = 128;
