//! Reno: slow start, congestion avoidance, and half the window after a loss.
//!
//! Sections: RFC 5681 3.1, 3.2 and 4.1; RFC 6582 3.2; RFC 6928.
//! In: samples and losses.
//! Out: cwnd and ssthresh, in segments.

use super::Sample;
use crate::time::{Duration, Instant};

/// RFC 5681 in segments.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Reno {
    cwnd: u32,
    ssthresh: u32,
    /// Segments acknowledged in congestion avoidance that have not made cwnd grow yet; less than cwnd.
    credit: u32,
    initial_window: u32,
}

impl Reno {
    pub(super) fn new(initial_window: u32) -> Self {
        let initial_window = initial_window.clamp(1, MAX_WINDOW);
        //= 6928#2
        Reno { cwnd: initial_window, ssthresh: u32::MAX, credit: 0, initial_window }
    }

    pub(super) const fn cwnd(&self) -> u32 {
        self.cwnd
    }

    pub(super) const fn ssthresh(&self) -> u32 {
        self.ssthresh
    }

    pub(super) fn on_ack(&mut self, sample: &Sample) {
        if !self.may_grow(sample) {
            return;
        }
        // DEVIATES: 5681#3.1: growth per acknowledgement is not held to one segment. Like Linux: receivers that merge
        // segments acknowledge many with one, and what counts is how much was delivered.
        //= 9293/MUST-19
        let slow_start = sample.acked.min(self.ssthresh.saturating_sub(self.cwnd));
        self.cwnd = (self.cwnd + slow_start.min(MAX_WINDOW)).min(MAX_WINDOW);
        self.avoid_congestion(sample.acked - slow_start);
    }

    pub(super) fn on_loss(&mut self, in_flight: u32, _now: Instant) {
        //= 5681#3.2
        self.reduce_threshold(in_flight);
        // The RFC adds three for the segments that the duplicate acknowledgements stand for; here these are taken off
        // what is in flight instead.
        self.cwnd = self.ssthresh;
        self.credit = 0;
    }

    pub(super) fn on_timeout(&mut self, in_flight: u32) {
        //= 5681#3.1
        self.reduce_threshold(in_flight);
        self.on_repeated_timeout();
    }

    pub(super) fn on_repeated_timeout(&mut self) {
        //= 5681#3.1
        self.cwnd = LOSS_WINDOW;
        self.credit = 0;
    }

    pub(super) fn on_recovery_exit(&mut self, in_flight: u32) {
        // The first of the RFC's two ways: the window opens no further than one segment beyond what is in flight, so
        // that the end of recovery lets no burst out.
        //= 6582#3.2
        self.cwnd = self.ssthresh.min(in_flight.max(1).saturating_add(1));
        self.credit = 0;
    }

    pub(super) fn on_idle(&mut self, idle: Duration, rto: Duration) {
        if idle <= rto {
            return;
        }
        // What was known of the path is kept as the threshold. Like Linux: three quarters of the window.
        self.ssthresh = self.ssthresh.max(self.cwnd / 2 + self.cwnd / 4);
        // Like Linux: one halving for each RTO begun after the first, not all at once as the RFC has it.
        //= 5681#4.1
        let restart = self.initial_window.min(self.cwnd);
        let halvings = u32::try_from((idle.as_nanos() - 1) / rto.as_nanos().max(1)).unwrap_or(u32::MAX);
        self.cwnd = self.cwnd.checked_shr(halvings).unwrap_or(0).max(restart);
        self.credit = 0;
    }

    /// A window that was not used says nothing about what the path would carry.
    fn may_grow(&self, sample: &Sample) -> bool {
        // Like Linux: slow start goes on while more than half of the window is used.
        let slow_start = self.cwnd < self.ssthresh && sample.in_flight > self.cwnd / 2;
        sample.cwnd_limited || slow_start
    }

    /// One segment more for each window that was delivered.
    fn avoid_congestion(&mut self, acked: u32) {
        self.credit = self.credit.saturating_add(acked);
        while self.credit >= self.cwnd {
            self.credit -= self.cwnd;
            self.cwnd = (self.cwnd + 1).min(MAX_WINDOW);
        }
    }

    fn reduce_threshold(&mut self, in_flight: u32) {
        // What duplicate acknowledgements let out beyond the window does not count: a loss must not widen it.
        self.ssthresh = (in_flight.min(self.cwnd) / 2).max(LEAST_THRESHOLD);
    }
}

/// RFC 5681 3.1: the loss window.
const LOSS_WINDOW: u32 = 1;

/// RFC 5681 equation 4.
const LEAST_THRESHOLD: u32 = 2;

/// More segments than the largest scaled window of 2^30 bytes holds at the smallest segment size in use on any link of
/// today, with room: 2^24.
const MAX_WINDOW: u32 = 1 << 24;

#[cfg(test)]
mod tests {
    use super::super::{Cc, CcKind};
    use super::*;
    use proptest::prelude::*;

    fn reno() -> Cc {
        with_window(10)
    }

    fn with_window(cwnd: u32) -> Cc {
        Cc::new(CcKind::Reno, cwnd)
    }

    fn full(cc: &Cc, acked: u32) -> Sample {
        Sample {
            acked,
            delivered: acked,
            lost: 0,
            in_flight: cc.cwnd(),
            cwnd_limited: true,
            rtt: None,
            now: Instant::ZERO,
        }
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
            cc.on_loss(40, Instant::ZERO);
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
            fast.on_loss(in_flight, Instant::ZERO);
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
            cc.on_loss(40, Instant::ZERO);
            cc.on_recovery_exit(in_flight);
            assert_eq!(cc.cwnd(), cwnd, "{in_flight} in flight");
        }
    }

    #[test]
    fn an_unused_window_does_not_grow() {
        for (in_flight, cwnd_limited, slow_start, avoidance) in
            [(10, true, 11, 10), (6, false, 11, 10), (5, false, 10, 10), (0, false, 10, 10)]
        {
            let sample = Sample { in_flight, cwnd_limited, ..full(&reno(), 1) };
            let mut cc = reno();
            cc.on_ack(&sample);
            assert_eq!(cc.cwnd(), slow_start, "slow start: {sample:?}");
            let mut cc = with_window(20);
            cc.on_loss(20, Instant::ZERO);
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
            cc.on_loss(320, Instant::ZERO);
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
                        cc.on_ack(&Sample { in_flight: before, cwnd_limited: limited, ..full(&reno(), n) });
                        prop_assert!(cc.cwnd() >= before && cc.cwnd() - before <= n);
                    }
                    1 => {
                        let acked = n % 64;
                        cc.on_ack(&Sample { in_flight: before, cwnd_limited: limited, ..full(&reno(), acked) });
                        prop_assert!(cc.cwnd() >= before && cc.cwnd() - before <= acked);
                    }
                    2 => {
                        cc.on_loss(n % 1000, Instant::ZERO);
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
            let (mut whole, mut divided) = (Cc::new(CcKind::Reno, start), Cc::new(CcKind::Reno, start));
            for part in &parts {
                divided.on_ack(&full(&divided, *part));
            }
            whole.on_ack(&full(&whole, parts.iter().sum()));
            prop_assert_eq!(whole, divided);
        }
    }
}
