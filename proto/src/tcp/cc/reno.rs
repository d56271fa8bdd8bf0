//! Reno: slow start, congestion avoidance, and half the window after a loss.
//!
//! Sections: RFC 5681 3.1, 3.2; RFC 3465 (byte counting).
//! In: samples and losses.
//! Out: cwnd and ssthresh, in segments.

use super::Sample;
use super::window::Window;

/// RFC 5681 in segments.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Reno {
    pub(super) window: Window,
    /// Segments acknowledged in congestion avoidance that have not made cwnd grow yet; less than cwnd.
    credit: u32,
}

impl Reno {
    pub(super) const fn new(window: Window) -> Self {
        Reno { window, credit: 0 }
    }

    pub(super) fn on_ack(&mut self, sample: &Sample) {
        let left = if self.window.in_slow_start() { self.window.slow_start(sample.acked) } else { sample.acked };
        self.avoid_congestion(left);
    }

    pub(super) fn on_loss(&mut self, in_flight: u32) {
        //= 5681#3.2
        // The RFC adds three for the segments that the duplicate acknowledgements stand for; here these are taken off
        // what is in flight instead.
        self.window.reduce(self.threshold(in_flight));
        self.credit = 0;
    }

    pub(super) fn on_timeout(&mut self, in_flight: u32) {
        self.window.on_timeout(self.threshold(in_flight));
        self.credit = 0;
    }

    pub(super) fn undo(&mut self) {
        self.window.undo();
        self.credit = 0;
    }

    /// The window was set from outside: a new count begins.
    pub(super) fn on_reset(&mut self) {
        self.credit = 0;
    }

    /// One segment more for each window that was delivered.
    fn avoid_congestion(&mut self, acked: u32) {
        self.credit = self.credit.saturating_add(acked);
        while self.credit >= self.window.cwnd() {
            self.credit -= self.window.cwnd();
            self.window.grow(1);
        }
    }

    fn threshold(&self, in_flight: u32) -> u32 {
        // What duplicate acknowledgements let out beyond the window does not count: a loss must not widen it.
        //= 5681#3.1
        in_flight.min(self.window.cwnd()) / 2
    }
}

#[cfg(test)]
mod tests {
    use super::super::window::{LEAST_THRESHOLD, MAX_WINDOW};
    use super::super::{Cc, CcKind};
    use super::*;
    use crate::tcp::Config;
    use crate::time::{Duration, Instant};
    use proptest::prelude::*;

    fn reno() -> Cc {
        with_window(10)
    }

    fn with_window(cwnd: u32) -> Cc {
        Cc::new(&Config { congestion: CcKind::Reno, ..Config::default() }, cwnd)
    }

    fn full(cc: &Cc, acked: u32) -> Sample {
        Sample { acked, ..Sample::full(cc.cwnd(), Instant::ZERO) }
    }

    /// A whole window is acknowledged in steps of `acked` segments.
    fn round(cc: &mut Cc, acked: u32) {
        let mut left = cc.cwnd();
        while left > 0 {
            let now = acked.min(left);
            cc.on_ack(&full(cc, now));
            left -= now;
        }
    }

    #[test]
    fn slow_start_doubles_and_congestion_avoidance_adds_one() {
        //= 5681#3.1
        //= 9293/MUST-19
        for acked in [1, 2, 3, 40] {
            let mut cc = reno();
            assert_eq!((cc.cwnd(), cc.ssthresh(), cc.in_slow_start()), (10, u32::MAX, true));
            round(&mut cc, acked);
            round(&mut cc, acked);
            assert_eq!(cc.cwnd(), 40);
            cc.on_loss(40);
            cc.on_recovery_exit(40);
            assert_eq!((cc.cwnd(), cc.ssthresh(), cc.in_slow_start()), (20, 20, false));
            for expected in 21..30 {
                round(&mut cc, acked);
                assert_eq!(cc.cwnd(), expected, "{acked} segments per acknowledgement");
            }
        }
    }

    #[test]
    fn an_acknowledgement_across_the_threshold_does_both() {
        let mut cc = with_window(20);
        cc.on_timeout(20);
        assert_eq!((cc.cwnd(), cc.ssthresh()), (1, 10));
        cc.on_ack(&full(&cc, 9));
        assert_eq!((cc.cwnd(), cc.in_slow_start()), (10, false));
        cc.on_timeout(10);
        cc.on_ack(&full(&cc, 4 + 5 + 6 + 5));
        assert_eq!(cc.cwnd(), 7);
    }

    #[test]
    fn losses_halve_what_was_in_flight_and_not_the_window() {
        //= 5681#3.1
        //= 5681#3.2
        for (in_flight, ssthresh) in [(90, 20), (40, 20), (11, 5), (5, 2), (3, 2), (1, 2), (0, 2)] {
            let mut fast = with_window(40);
            fast.on_loss(in_flight);
            assert_eq!((fast.cwnd(), fast.ssthresh()), (ssthresh, ssthresh));
            let mut slow = with_window(40);
            slow.on_timeout(in_flight);
            assert_eq!((slow.cwnd(), slow.ssthresh()), (1, ssthresh));
            slow.on_repeated_timeout();
            assert_eq!((slow.cwnd(), slow.ssthresh()), (1, ssthresh), "held by a timeout of the same data");
        }
    }

    #[test]
    fn the_end_of_recovery_lets_no_burst_out() {
        //= 6582#3.2
        for (in_flight, cwnd) in [(0, 2), (1, 2), (7, 8), (19, 20), (30, 20)] {
            let mut cc = with_window(40);
            cc.on_loss(40);
            cc.on_recovery_exit(in_flight);
            assert_eq!(cc.cwnd(), cwnd, "{in_flight} in flight");
        }
    }

    #[test]
    fn an_unused_window_does_not_grow() {
        for (in_flight, cwnd_limited, slow_start, avoidance) in
            [(10, true, 11, 10), (6, false, 11, 10), (5, false, 10, 10), (0, false, 10, 10)]
        {
            let sample = Sample { in_flight, cwnd_limited, ..Sample::full(in_flight, Instant::ZERO) };
            let mut cc = reno();
            cc.on_ack(&sample);
            assert_eq!(cc.cwnd(), slow_start, "slow start: {sample:?}");
            let mut cc = with_window(20);
            cc.on_loss(20);
            for _ in 0..9 {
                cc.on_ack(&sample);
            }
            assert_eq!(cc.cwnd(), avoidance, "congestion avoidance: {sample:?}");
            cc.on_ack(&sample);
            assert_eq!(cc.cwnd(), avoidance + u32::from(cwnd_limited), "congestion avoidance: {sample:?}");
        }
    }

    #[test]
    fn the_window_decays_while_the_connection_is_idle() {
        //= 5681#4.1
        let rto = Duration::from_millis(200);
        for (idle_millis, cwnd) in
            [(0, 160), (200, 160), (201, 80), (400, 80), (401, 40), (600, 40), (1000, 10), (20_000, 10), (u64::MAX, 10)]
        {
            let mut cc = reno();
            for _ in 0..5 {
                round(&mut cc, 1);
            }
            cc.on_loss(320);
            cc.on_idle(Duration::from_millis(idle_millis), rto);
            assert_eq!((cc.cwnd(), cc.ssthresh()), (cwnd, 160), "idle for {idle_millis} ms");
        }
        let mut small = reno();
        small.on_timeout(40);
        small.on_idle(Duration::from_secs(9), Duration::from_secs(1));
        assert_eq!(small.cwnd(), 1, "idleness never opens the window");
    }

    proptest! {
        /// I-22 and I-25, whatever happens in whatever order.
        #[test]
        fn the_window_keeps_its_bounds(events in proptest::collection::vec((0..6_u8, any::<u32>(), any::<bool>()), 0..100)) {
            let mut cc = reno();
            for (event, n, limited) in events {
                let before = cc.cwnd();
                match event {
                    0 => {
                        cc.on_ack(&Sample { acked: n, cwnd_limited: limited, ..Sample::full(before, Instant::ZERO) });
                        prop_assert!(cc.cwnd() >= before && cc.cwnd() - before <= n);
                    }
                    1 => {
                        let acked = n % 64;
                        cc.on_ack(&Sample { acked, cwnd_limited: limited, ..Sample::full(before, Instant::ZERO) });
                        prop_assert!(cc.cwnd() >= before && cc.cwnd() - before <= acked);
                    }
                    2 => {
                        cc.on_loss(n % 1000);
                        prop_assert!(cc.cwnd() <= before.max(LEAST_THRESHOLD), "a loss never widens the window");
                    }
                    3 => cc.on_timeout(n % 1000),
                    4 => cc.on_recovery_exit(n % 1000),
                    _ => {
                        cc.on_idle(Duration::from_nanos(u64::from(n)), Duration::from_millis(200));
                        prop_assert!(cc.cwnd() <= before);
                    }
                }
                prop_assert!((1..=MAX_WINDOW).contains(&cc.cwnd()));
                prop_assert!(cc.ssthresh() >= 2);
            }
        }

        /// However an acknowledgement is divided, the window grows by the same.
        #[test]
        fn division_gains_nothing(parts in proptest::collection::vec(0..5_u32, 1..40), start in 2..30_u32) {
            let (mut whole, mut divided) = (with_window(start), with_window(start));
            for part in &parts {
                divided.on_ack(&full(&divided, *part));
            }
            whole.on_ack(&full(&whole, parts.iter().sum()));
            prop_assert_eq!(whole, divided);
        }
    }
}
