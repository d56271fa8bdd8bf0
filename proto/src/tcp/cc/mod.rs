//! Congestion control behind one small interface: a sample in, a window and a pacing rate out.
//!
//! Sections: RFC 5681 3.1 and 4.1; RFC 9438; RFC 7661 (an unused window does not grow); RFC 9293 3.8.2 (MUST-19, MAY-18).
//! In: what each acknowledgement delivered, and what was lost.
//! Out: cwnd and ssthresh, in segments.

mod bbr;
mod cubic;
mod fixed;
mod hystart;
mod reno;
mod window;

pub use bbr::Bbr;
pub use cubic::Cubic;
pub use fixed::Fixed;
pub use hystart::HyStartKind;
pub use reno::Reno;

use alloc::boxed::Box;

use super::Config;
use super::rate::{Lost, Rate, RateSample};
use crate::time::{Duration, Instant};
use crate::wire::Pos;
use window::Window;

/// Which congestion controller a connection uses.
//= 9293/MAY-18
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum CcKind {
    /// RFC 5681.
    Reno,
    /// RFC 9438.
    #[default]
    Cubic,
    /// draft-ietf-ccwg-bbr.
    Bbr,
    /// A window of so many segments, whatever happens: only for simulations that want to see loss repair without
    /// congestion control. No name reaches it, so neither does `tcp_congestion_control` nor `TCP_CONGESTION`.
    Fixed(u32),
}

impl CcKind {
    /// Those that have a name a user may choose.
    pub const NAMED: [CcKind; 3] = [CcKind::Reno, CcKind::Cubic, CcKind::Bbr];

    /// The kernel's name.
    pub const fn name(self) -> &'static str {
        match self {
            CcKind::Reno => "reno",
            CcKind::Cubic => "cubic",
            CcKind::Bbr => "bbr",
            CcKind::Fixed(_) => "fixed",
        }
    }

    /// The controller of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::NAMED.into_iter().find(|kind| kind.name() == name)
    }
}

/// What one acknowledgement tells the controller.
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
    /// SND.UNA after it.
    pub una: Pos,
    /// SND.NXT.
    pub nxt: Pos,
    /// The round trip of the newest segment that it covers, if that was sent only once.
    pub rtt: Option<Duration>,
    /// SRTT; zero before the first measurement.
    pub srtt: Duration,
    /// Segments in the network after it.
    pub pipe: u32,
    /// Payload bytes of a full segment.
    pub mss: u32,
    /// What it tells of the path's rate.
    pub rate: RateSample,
    /// When it arrived.
    pub now: Instant,
}

/// The congestion controller of one connection. Loss detection and repair are not its business: it is told.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Cc {
    /// RFC 5681.
    Reno(Reno),
    /// RFC 9438.
    Cubic(Box<Cubic>),
    /// draft-ietf-ccwg-bbr.
    Bbr(Box<Bbr>),
    /// No control at all.
    Fixed(Fixed),
}

impl Cc {
    /// The controller that `cfg` names. It starts with `initial_window` segments; 1 after a SYN that had to be sent more
    /// than once again (RFC 6928 2).
    pub fn new(cfg: &Config, initial_window: u32) -> Self {
        Self::with(cfg, Window::new(initial_window))
    }

    /// Another controller takes over: it starts from the window and the threshold that this one has found.
    pub fn switch(&mut self, cfg: &Config) {
        *self = Self::with(cfg, Window::inherited(self.cwnd(), self.ssthresh(), cfg.initial_window));
    }

    fn with(cfg: &Config, window: Window) -> Self {
        match cfg.congestion {
            CcKind::Reno => Cc::Reno(Reno::new(window)),
            CcKind::Cubic => Cc::Cubic(Box::new(Cubic::new(window, cfg.hystart, cfg.pacing))),
            CcKind::Bbr => Cc::Bbr(Box::new(Bbr::new(window.cwnd(), cfg.initial_window))),
            CcKind::Fixed(cwnd) => Cc::Fixed(Fixed::new(cwnd)),
        }
    }

    /// The congestion window, segments; at least 1.
    pub fn cwnd(&self) -> u32 {
        match self {
            Cc::Reno(reno) => reno.window.cwnd(),
            Cc::Cubic(cubic) => cubic.window.cwnd(),
            Cc::Bbr(bbr) => bbr.cwnd(),
            Cc::Fixed(fixed) => fixed.cwnd,
        }
    }

    /// True if no loss ever changes the window.
    pub const fn is_constant(&self) -> bool {
        matches!(self, Cc::Fixed(_))
    }

    /// The slow-start threshold, segments; `u32::MAX` until the first loss.
    pub fn ssthresh(&self) -> u32 {
        match self {
            Cc::Reno(reno) => reno.window.ssthresh(),
            Cc::Cubic(cubic) => cubic.window.ssthresh(),
            Cc::Bbr(_) | Cc::Fixed(_) => u32::MAX,
        }
    }

    /// The rate at which the controller itself wants to send, if it has a mind of its own about that.
    pub fn pacing_rate(&self) -> Option<Rate> {
        match self {
            Cc::Bbr(bbr) => bbr.pacing_rate(),
            Cc::Reno(_) | Cc::Cubic(_) | Cc::Fixed(_) => None,
        }
    }

    /// True if it keeps a model of the path: it is told of every burst held lost, and of acknowledgements in recovery.
    pub const fn is_model_based(&self) -> bool {
        matches!(self, Cc::Bbr(_))
    }

    /// True while it sends less than the path would carry on purpose, so that samples show nothing of the path.
    pub fn discounts_samples(&self) -> bool {
        matches!(self, Cc::Bbr(bbr) if bbr.discounts_samples())
    }

    /// True while the window still grows exponentially.
    pub fn in_slow_start(&self) -> bool {
        self.cwnd() < self.ssthresh()
    }

    /// A burst is held lost.
    pub fn on_lost(&mut self, lost: &Lost, now: Instant) {
        if let Cc::Bbr(bbr) = self {
            bbr.on_lost(lost, now);
        }
    }

    /// New data was acknowledged, and this is not fast recovery; or it is, and the controller is model-based.
    pub fn on_ack(&mut self, sample: &Sample) {
        let may_grow = self.may_grow(sample);
        match self {
            Cc::Reno(reno) if may_grow => reno.on_ack(sample),
            Cc::Cubic(cubic) if may_grow => cubic.on_ack(sample),
            Cc::Cubic(cubic) => cubic.on_idle_ack(sample.now),
            Cc::Bbr(bbr) => bbr.on_ack(sample),
            Cc::Reno(_) | Cc::Fixed(_) => {}
        }
    }

    /// Loss was detected while `in_flight` segments were out, and fast recovery begins. Once per window of data.
    pub fn on_loss(&mut self, in_flight: u32) {
        match self {
            Cc::Reno(reno) => reno.on_loss(in_flight),
            Cc::Cubic(cubic) => cubic.on_loss(),
            Cc::Bbr(bbr) => bbr.on_enter_recovery(),
            Cc::Fixed(_) => {}
        }
    }

    /// The retransmission timer ran out for data that it had not yet sent again.
    pub fn on_timeout(&mut self, in_flight: u32) {
        match self {
            Cc::Reno(reno) => reno.on_timeout(in_flight),
            Cc::Cubic(cubic) => cubic.on_timeout(),
            Cc::Bbr(bbr) => bbr.on_timeout(),
            Cc::Fixed(_) => {}
        }
    }

    /// The retransmission timer ran out for the same data again: no news about the path's capacity.
    pub fn on_repeated_timeout(&mut self) {
        self.set_window(Window::on_repeated_timeout);
    }

    /// Fast recovery is over, and `in_flight` segments are out.
    pub fn on_recovery_exit(&mut self, in_flight: u32) {
        self.set_window(|window| window.on_recovery_exit(in_flight));
        self.on_repaired();
    }

    /// Everything that was in flight at the last loss or timeout is acknowledged.
    pub fn on_repaired(&mut self) {
        match self {
            Cc::Reno(reno) => reno.window.on_repaired(),
            Cc::Cubic(cubic) => cubic.on_repaired(),
            Cc::Bbr(bbr) => bbr.on_repaired(),
            Cc::Fixed(_) => {}
        }
    }

    /// What was taken for a loss was none: the last reduction is taken back, as long as it was not yet repaired.
    pub fn on_undo(&mut self) {
        match self {
            Cc::Reno(reno) => reno.undo(),
            Cc::Cubic(cubic) => cubic.undo(),
            Cc::Bbr(bbr) => bbr.undo(),
            Cc::Fixed(_) => {}
        }
    }

    /// Data is about to go out after nothing was sent for `idle` with nothing in flight.
    pub fn on_idle(&mut self, idle: Duration, rto: Duration) {
        if idle > rto {
            self.set_window(|window| window.on_idle(idle, rto));
        }
    }

    /// Data is about to go out with nothing in flight: the time since the last acknowledgement was the application's.
    pub fn on_restart(&mut self, now: Instant) {
        match self {
            Cc::Cubic(cubic) => cubic.on_restart(now),
            Cc::Bbr(bbr) => bbr.on_restart(now),
            Cc::Reno(_) | Cc::Fixed(_) => {}
        }
    }

    /// A window that was not used says nothing about what the path would carry.
    fn may_grow(&self, sample: &Sample) -> bool {
        // Like Linux: slow start goes on while more than half of the window is used.
        //= 7661#4.3
        sample.cwnd_limited || (self.in_slow_start() && sample.in_flight > self.cwnd() / 2)
    }

    /// Something beside acknowledgements and losses sets the window of those that have one.
    fn set_window(&mut self, set: impl FnOnce(&mut Window)) {
        match self {
            Cc::Reno(reno) => {
                set(&mut reno.window);
                reno.on_reset();
            }
            Cc::Cubic(cubic) => {
                set(&mut cubic.window);
                cubic.on_reset();
            }
            Cc::Bbr(_) | Cc::Fixed(_) => {}
        }
    }
}

#[cfg(test)]
impl Sample {
    /// One segment acknowledged of a window that was full.
    pub(in crate::tcp) fn full(cwnd: u32, now: Instant) -> Self {
        let at = Pos::FIRST;
        let none = Duration::ZERO;
        Sample {
            acked: 1,
            delivered: 1,
            lost: 0,
            in_flight: cwnd,
            cwnd_limited: true,
            una: at,
            nxt: at,
            rtt: None,
            srtt: none,
            pipe: cwnd.saturating_sub(1),
            mss: 1460,
            rate: RateSample::default(),
            now,
        }
    }
}
