//! Congestion control behind one small interface: a sample in, a window out.
//!
//! Sections: RFC 5681 3.1 and 4.1; RFC 9293 3.8.2 (MUST-19, MAY-18).
//! In: what each acknowledgement delivered, and what was lost.
//! Out: cwnd and ssthresh, in segments.

mod reno;

pub use reno::Reno;

use crate::time::{Duration, Instant};

/// Which congestion controller a connection uses.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum CcKind {
    /// RFC 5681.
    #[default]
    Reno,
}

impl CcKind {
    /// The kernel's name.
    pub const fn name(self) -> &'static str {
        match self {
            CcKind::Reno => "reno",
        }
    }

    /// The controller of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "reno" => Some(CcKind::Reno),
            _ => None,
        }
    }
}

/// What one acknowledgement of new data tells the controller.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Sample {
    /// Segments that it acknowledged. A segment counts once, when all of it is acknowledged: however finely a peer
    /// divides its acknowledgements, they add up to what was sent (RFC 3465).
    pub acked: u32,
    /// Segments that the peer now holds, by number or by SACK, and was not known to hold before.
    pub delivered: u32,
    /// Segments that it makes us hold lost.
    pub lost: u32,
    /// Segments in flight before it.
    pub in_flight: u32,
    /// The congestion window, and nothing else, kept data back since the one before.
    pub cwnd_limited: bool,
    /// The round trip of the newest segment that it covers, if that was sent only once.
    pub rtt: Option<Duration>,
    /// When it arrived.
    pub now: Instant,
}

/// The congestion controller of one connection. Loss detection and repair are not its business: it is told.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Cc {
    /// RFC 5681.
    Reno(Reno),
}

impl Cc {
    /// A controller that starts with `initial_window` segments; 1 after a SYN that had to be sent more than once again
    /// (RFC 6928 2).
    pub fn new(kind: CcKind, initial_window: u32) -> Self {
        match kind {
            CcKind::Reno => Cc::Reno(Reno::new(initial_window)),
        }
    }

    /// The congestion window, segments; at least 1.
    pub const fn cwnd(&self) -> u32 {
        match self {
            Cc::Reno(reno) => reno.cwnd(),
        }
    }

    /// The slow-start threshold, segments; `u32::MAX` until the first loss.
    pub const fn ssthresh(&self) -> u32 {
        match self {
            Cc::Reno(reno) => reno.ssthresh(),
        }
    }

    /// True while the window still grows exponentially.
    pub const fn in_slow_start(&self) -> bool {
        self.cwnd() < self.ssthresh()
    }

    /// New data was acknowledged, and this is not fast recovery.
    pub fn on_ack(&mut self, sample: &Sample) {
        match self {
            Cc::Reno(reno) => reno.on_ack(sample),
        }
    }

    /// Loss was detected by duplicate acknowledgements while `in_flight` segments were out: fast recovery begins.
    /// Once per window of data.
    pub fn on_loss(&mut self, in_flight: u32, now: Instant) {
        match self {
            Cc::Reno(reno) => reno.on_loss(in_flight, now),
        }
    }

    /// The retransmission timer ran out for data that it had not yet sent again.
    pub fn on_timeout(&mut self, in_flight: u32) {
        match self {
            Cc::Reno(reno) => reno.on_timeout(in_flight),
        }
    }

    /// The retransmission timer ran out for the same data again: no news about the path's capacity.
    pub fn on_repeated_timeout(&mut self) {
        match self {
            Cc::Reno(reno) => reno.on_repeated_timeout(),
        }
    }

    /// Fast recovery is over, and `in_flight` segments are out.
    pub fn on_recovery_exit(&mut self, in_flight: u32) {
        match self {
            Cc::Reno(reno) => reno.on_recovery_exit(in_flight),
        }
    }

    /// Data is about to go out after nothing was sent for `idle` with nothing in flight.
    pub fn on_idle(&mut self, idle: Duration, rto: Duration) {
        match self {
            Cc::Reno(reno) => reno.on_idle(idle, rto),
        }
    }
}
