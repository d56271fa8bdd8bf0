//! Pacing: bursts leave one after the other at the rate of the path, instead of all at once.
//!
//! Sections: draft-ietf-ccwg-bbr-06 5.6.2 and 5.6.3; for windows without a rate of their own, Linux's ratios.
//! In: the controller's rate, or its window and SRTT; bursts as they leave.
//! Out: whether the next burst may leave now, how long it may be, and when the next one may.
//!
//! A window says how much may be in the network, not how fast it gets there. When many acknowledgements come at once,
//! or none were needed, a whole window leaves back to back and meets every queue on the way as one piece. Here a burst
//! is as long as what the rate carries in a millisecond, and the next one waits until the rate has carried it. A sender
//! that was late may catch up by a millisecond, so that a timer's slack costs nothing; on paths shorter than that,
//! nothing ever waits.

use super::config::Config;
use super::rate::Rate;
use super::snd::SendHalf;
use crate::time::{Duration, Instant};

/// When the next burst may leave.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Pacer {
    next: Instant,
}

impl Pacer {
    /// True if a burst may leave now.
    pub(super) fn is_open(&self, now: Instant) -> bool {
        self.next <= now
    }

    /// When one may.
    pub(super) const fn opens_at(&self) -> Instant {
        self.next
    }

    /// A burst leaves that takes so long at the rate of the path.
    fn on_sent(&mut self, takes: Duration, now: Instant) {
        self.next = self.next.max(now - SLICE) + takes;
    }
}

impl SendHalf {
    /// The rate to send at, if anything asks for one.
    pub(super) fn pacing_rate(&self, cfg: &Config) -> Option<Rate> {
        // Like Linux: the first window is not paced, for nothing is known of the path yet.
        if self.inflight.delivered() < u64::from(cfg.initial_window) {
            return None;
        }
        let wanted = self.cc.pacing_rate().or_else(|| if cfg.pacing { self.window_rate(cfg) } else { None });
        let limit = cfg.max_pacing_rate.map(|bytes| Rate::from_bytes_per_second(bytes, u64::from(self.mss)));
        match (wanted, limit) {
            (Some(wanted), Some(limit)) => Some(wanted.min(limit)),
            (wanted, limit) => wanted.or(limit),
        }
    }

    /// The longest burst of `bytes` at the most that may leave at once; `None` if nothing may before its time.
    pub(super) fn paced_burst(&self, cfg: &Config, bytes: usize, now: Instant) -> Option<usize> {
        let Some(rate) = self.pacing_rate(cfg) else { return Some(bytes) };
        if !self.pacer.is_open(now) {
            return None;
        }
        //= bbr#5.6.3
        let size = u64::from(self.mss);
        let slice = (rate.volume(SLICE) * size) >> 10;
        Some(bytes.min(usize::try_from(slice.max(LEAST_BURST * size)).unwrap_or(usize::MAX)))
    }

    /// `bytes` leave.
    pub(super) fn on_paced(&mut self, cfg: &Config, bytes: u64, now: Instant) {
        if let Some(rate) = self.pacing_rate(cfg) {
            let takes = rate.time_for(bytes, u64::from(self.mss));
            self.pacer.on_sent(takes, now);
        }
    }

    /// A window in each round trip, and as much more as lets the window and not the rate be the limit.
    fn window_rate(&self, cfg: &Config) -> Option<Rate> {
        let srtt = self.rtt.srtt()?;
        let cwnd = self.cc.cwnd();
        // Like Linux: the threshold is near when the next round trip would reach it.
        let ratio = if cwnd < self.cc.ssthresh() / 2 { cfg.pacing_ss_ratio } else { cfg.pacing_ca_ratio };
        Some(Rate::of(cwnd.max(self.inflight.pipe()), srtt).percent(ratio))
    }
}

/// A burst is what the rate carries in a millisecond (the draft's send_quantum; Linux's `sk_pacing_shift`).
const SLICE: Duration = Duration::from_millis(1);
/// Like Linux: `tcp_min_tso_segs`.
const LEAST_BURST: u64 = 2;

#[cfg(test)]
mod tests {
    use super::super::play::*;
    use super::super::*;
    use alloc::vec::Vec;

    /// SRTT is 10 ms and the window 20 after the first: 2x20 segments in 10 ms are 4 in each millisecond.
    #[test]
    fn what_a_millisecond_carries_leaves_each_millisecond() {
        let cfg = Config { pacing: true, ..plain() };
        let mut play = Play::established(&cfg);
        play.write(100_000);
        assert_eq!(play.bursts().len(), 1, "the first window leaves at once");
        play.now += ms(10);
        play.receive(seg(A, 1, 14_601));
        assert_eq!(play.info().snd_cwnd, 20);
        let mut at = Vec::new();
        let start = play.now;
        loop {
            for burst in play.bursts() {
                assert!(burst.payload_len() <= 4 * 1460);
                at.push((play.now.since(start).as_millis(), burst.payload_len() / 1460));
            }
            match play.conn.next_timeout() {
                Some((due, Timer::Pacing)) => {
                    play.now = due;
                    play.conn.on_timeout(due);
                }
                _ => break,
            }
        }
        assert_eq!(at.iter().map(|(_, n)| n).sum::<usize>(), 20, "{at:?}");
        assert!(at.last().is_some_and(|(ms, _)| (3..=5).contains(ms)), "{at:?}");
    }

    #[test]
    fn a_limit_of_the_application_holds_for_every_controller() {
        for congestion in cc::CcKind::NAMED {
            let cfg = Config { max_pacing_rate: Some(146_000), congestion, ..plain() };
            let mut play = Play::established(&cfg);
            play.write(100_000);
            play.bursts();
            play.now += ms(10);
            play.receive(seg(A, 1, 14_601));
            let start = play.now;
            let mut sent = 0;
            while play.now.since(start) < ms(90) {
                sent += play.bursts().iter().map(Transmit::payload_len).sum::<usize>();
                let Some((due, Timer::Pacing)) = play.conn.next_timeout() else { break };
                play.now = due;
                play.conn.on_timeout(due);
            }
            assert!((13_000..=17_600).contains(&sent), "{sent} bytes in 90 ms with {congestion:?}");
        }
    }
}
