//! What kept a sender from sending faster.
//!
//! Sections: none of an RFC's; the four classes are those of Linux's `tcp_info` chronographs.
//! In: from our own stack, its exact account; from a foreign capture, when data, acknowledgements and windows passed.
//! Out: [`Limits`], exact or inferred.

use super::End;
use crate::tcp::TcpInfo;
use crate::time::{Duration, Instant};

/// How long each of four things limited the end that sent the most.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Whose sending this is about.
    pub sender: End,
    /// From the sender's own account; else inferred from a capture.
    pub exact: bool,
    /// It had nothing to send.
    pub application: Duration,
    /// The congestion window was full: it waited for acknowledgements.
    pub cwnd: Duration,
    /// The peer's window was full.
    pub peer_window: Duration,
    /// The send buffer was full. Nobody can see this from outside.
    pub send_buffer: Duration,
}

/// One of the four.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[expect(missing_docs, reason = "the fields of Limits say it")]
pub enum LimitedBy {
    Application,
    Cwnd,
    PeerWindow,
    SendBuffer,
}

impl LimitedBy {
    /// All four, in the order in which they are told.
    pub const ALL: [LimitedBy; 4] =
        [LimitedBy::Application, LimitedBy::Cwnd, LimitedBy::PeerWindow, LimitedBy::SendBuffer];
}

impl Limits {
    /// The exact account of `sender`, whose connection lasted `total`.
    pub fn from_info(sender: End, info: &TcpInfo, total: Duration) -> Self {
        let limited = info.cwnd_limited + info.rwnd_limited + info.sndbuf_limited;
        Limits {
            sender,
            exact: true,
            application: total - limited,
            cwnd: info.cwnd_limited,
            peer_window: info.rwnd_limited,
            send_buffer: info.sndbuf_limited,
        }
    }

    /// How long `what` limited the sender.
    pub const fn time(&self, what: LimitedBy) -> Duration {
        match what {
            LimitedBy::Application => self.application,
            LimitedBy::Cwnd => self.cwnd,
            LimitedBy::PeerWindow => self.peer_window,
            LimitedBy::SendBuffer => self.send_buffer,
        }
    }

    /// The shares in whole percent, in the order of [`LimitedBy::ALL`]; they add up to 100 unless all times are zero.
    pub fn percent(&self) -> [u64; 4] {
        let times = LimitedBy::ALL.map(|what| self.time(what).as_nanos());
        let total: u64 = times.iter().fold(0, |sum, t| sum.saturating_add(*t));
        if total == 0 {
            return [0; 4];
        }
        let share = |t: u64| u128::from(t) * 100;
        let mut percent = times.map(|t| u64::try_from(share(t) / u128::from(total)).unwrap_or(100));
        // Largest remainders first, so that the parts add up.
        let mut order = [0, 1, 2, 3];
        order.sort_by_key(|&i: &usize| core::cmp::Reverse(times.get(i).map_or(0, |t| share(*t) % u128::from(total))));
        let missing = 100 - percent.iter().sum::<u64>();
        for i in order.into_iter().take(usize::try_from(missing).unwrap_or(0)) {
            if let Some(p) = percent.get_mut(i) {
                *p += 1;
            }
        }
        percent
    }
}

/// The account of one direction as a capture suggests it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Guess {
    application: Duration,
    cwnd: Duration,
    peer_window: Duration,
    last_data: Option<Instant>,
    all_acked: Option<Instant>,
    window_full: bool,
    /// Since the window has had room for a full segment again.
    room_since: Option<Instant>,
    /// The last segment ended what the application had to say: pushed, and shorter than a full one.
    pushed_short: bool,
}

/// One data segment, as far as this matters.
#[derive(Clone, Copy, Debug)]
pub(super) struct DataSeen {
    pub(super) now: Instant,
    /// Nothing was outstanding before it.
    pub(super) was_idle: bool,
    /// After it the peer's window has no room for another full segment.
    pub(super) fills_window: bool,
    /// It carried PSH and less than whole segments.
    pub(super) pushed_short: bool,
    /// How much of a round trip lies between the sender and the capture, both ways together.
    pub(super) away: Duration,
}

impl Guess {
    /// The sender has sent new data.
    pub(super) fn on_data(&mut self, begin: Instant, data: &DataSeen) {
        match self.last_data {
            // Until its first byte it had nothing to say.
            None => self.application += data.now.since(begin),
            Some(last) => {
                // Until the window opened there was nothing else to wait for.
                let opened = if self.window_full { self.room_since.unwrap_or(data.now) } else { last };
                self.peer_window += opened.since(last);
                let idle = match self.all_acked {
                    Some(acked) if data.was_idle => data.now.since(acked.max(opened)) - data.away,
                    _ => Duration::ZERO,
                };
                self.application += idle;
                let waited = data.now.since(opened) - idle;
                if self.pushed_short && !idle.is_zero() {
                    self.application += waited;
                } else {
                    self.cwnd += waited;
                }
            }
        }
        self.last_data = Some(data.now);
        (self.all_acked, self.room_since) = (None, None);
        self.window_full = data.fills_window;
        self.pushed_short = data.pushed_short;
    }

    /// Everything that the sender has sent is acknowledged.
    pub(super) fn on_all_acked(&mut self, now: Instant) {
        self.all_acked.get_or_insert(now);
    }

    /// The peer's window has room for another full segment.
    pub(super) fn on_room(&mut self, now: Instant) {
        self.room_since.get_or_insert(now);
    }

    /// The account so far.
    pub(super) fn limits(&self, sender: End) -> Limits {
        Limits {
            sender,
            exact: false,
            application: self.application,
            cwnd: self.cwnd,
            peer_window: self.peer_window,
            send_buffer: Duration::ZERO,
        }
    }
}
