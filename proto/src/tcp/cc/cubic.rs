//! CUBIC: the window grows along a cubic curve of the time since the last loss, flat around the window of that loss.
//!
//! Sections: RFC 9438 4 and 5.8; RFC 9406 for the first slow start.
//! In: samples, losses, idle times.
//! Out: cwnd and ssthresh, in segments.
//!
//! Reno needs a round trip for each segment that it adds, and so hours to refill a long fat path. CUBIC asks the clock
//! instead: t seconds after a loss at window W_max the target is W_max + C (t-K)^3. It rises fast while it is far below
//! W_max, hesitates around W_max, where the path was full last time, and then rises ever faster in search of more. K is
//! chosen so that the curve starts at the reduced window. Where that would be slower than Reno (short or thin paths),
//! the window of an equally fair Reno is followed instead. Everything is in 1/65536 segments and 1/1024 seconds.

use super::Sample;
use super::hystart::{Growth, HyStart, HyStartKind};
use super::window::{MAX_WINDOW, Window};
use crate::time::{Duration, Instant};

/// RFC 9438 in segments.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Cubic {
    pub(super) window: Window,
    /// What cwnd has beyond its whole segments, in 1/65536.
    fraction: u64,
    /// W_max, in 1/65536 segments; zero before the first loss and after a timeout.
    w_max: u64,
    /// cwnd_prior, in 1/65536 segments: the window at the last reduction.
    cwnd_prior: u64,
    epoch: Option<Epoch>,
    hystart: HyStart,
    /// W_max, cwnd_prior and the epoch as they were before the last loss.
    before: Option<(u64, u64, Option<Epoch>)>,
    /// When the last acknowledgement came.
    last_ack: Instant,
}

/// A stage of congestion avoidance.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Epoch {
    /// t_epoch, times without a full window left out.
    start: Instant,
    /// K, in 1/1024 seconds.
    k: u64,
    /// Where the curve is flat, in 1/65536 segments.
    origin: u64,
    /// W_est, in 1/65536 segments.
    w_est: u64,
}

impl Cubic {
    pub(super) fn new(window: Window, hystart: HyStartKind, paced: bool) -> Self {
        Cubic {
            window,
            fraction: 0,
            w_max: 0,
            cwnd_prior: 0,
            epoch: None,
            hystart: HyStart::new(hystart, paced),
            before: None,
            last_ack: Instant::ZERO,
        }
    }

    pub(super) fn on_ack(&mut self, sample: &Sample) {
        let mut left = sample.acked;
        if self.window.in_slow_start() {
            left = self.slow_start(sample);
            if self.window.in_slow_start() {
                return;
            }
        }
        if left > 0 {
            self.avoid_congestion(left, sample);
        }
    }

    /// An acknowledgement that does not count, because the window was not full: its time does not count either.
    pub(super) fn on_idle_ack(&mut self, now: Instant) {
        //= 9438#5.8
        if let Some(epoch) = &mut self.epoch {
            epoch.start += now.since(self.last_ack.max(epoch.start));
        }
        self.last_ack = now;
    }

    /// Sending goes on after nothing was in flight for a while.
    pub(super) fn on_restart(&mut self, now: Instant) {
        self.on_idle_ack(now);
    }

    pub(super) fn on_loss(&mut self) {
        self.reduce();
        self.window.reduce(self.threshold());
        self.fraction = 0;
    }

    pub(super) fn on_timeout(&mut self) {
        //= 9438#4.8
        let before = self.before;
        self.reduce();
        if before.is_some() {
            self.before = before;
        }
        // The first stage after a timeout starts at its own window: no curve leads back to the old one.
        self.w_max = 0;
        self.window.on_timeout(self.threshold());
        self.fraction = 0;
    }

    pub(super) fn undo(&mut self) {
        //= 9438#4.9.1
        //= 9438#4.9.2
        self.window.undo();
        if let Some((w_max, cwnd_prior, epoch)) = self.before.take() {
            (self.w_max, self.cwnd_prior, self.epoch) = (w_max, cwnd_prior, epoch);
        }
    }

    pub(super) fn on_repaired(&mut self) {
        self.window.on_repaired();
        self.before = None;
    }

    /// The window was set from outside: a new stage begins.
    pub(super) fn on_reset(&mut self) {
        self.epoch = None;
        self.fraction = 0;
    }

    /// What is left of `sample.acked` for congestion avoidance.
    fn slow_start(&mut self, sample: &Sample) -> u32 {
        //= 9438#4.10
        // After a loss the threshold is known, and there is nothing to look for.
        if self.window.ssthresh() < u32::MAX {
            return self.window.slow_start(sample.acked);
        }
        match self.hystart.on_ack(sample, self.window.cwnd()) {
            Growth::Add(segments) => self.window.slow_start(segments),
            Growth::Leave => {
                self.window.leave_slow_start();
                sample.acked
            }
        }
    }

    fn avoid_congestion(&mut self, acked: u32, sample: &Sample) {
        let cwnd = self.cwnd();
        let acked = u64::from(acked.min(MAX_WINDOW));
        let mut epoch = self.epoch.unwrap_or_else(|| self.begin(cwnd, sample.now));
        self.last_ack = sample.now;
        let t = sample.now.since(epoch.start);
        //= 9438#4.3
        // Once W_est has passed the window of the last loss, Reno's own slope is fair.
        let (over, under) = if epoch.w_est >= self.cwnd_prior { (1, 1) } else { ALPHA };
        epoch.w_est = (epoch.w_est + ((acked * over) << 32) / (cwnd * under)).min(u64::from(MAX_WINDOW) << 16);
        self.epoch = Some(epoch);
        let next = if epoch.w_cubic(ticks(t)) < epoch.w_est {
            cwnd.max(epoch.w_est)
        } else {
            //= 9438#4.4
            //= 9438#4.5
            let target = epoch.w_cubic(ticks(t + sample.srtt)).clamp(cwnd, cwnd + cwnd / 2);
            cwnd + (target - cwnd) * acked / (cwnd >> 16).max(1)
        };
        // No acknowledgement adds more than it acknowledges (I-25).
        self.set_cwnd(next.min(cwnd + (acked << 16)));
    }

    /// A stage of congestion avoidance begins.
    fn begin(&mut self, cwnd: u64, now: Instant) -> Epoch {
        //= 9438#4.2
        let (origin, k) = if self.w_max > cwnd {
            // K^3 = (W_max - cwnd_epoch) / C, and C is 2/5.
            (self.w_max, cube_root(((self.w_max - cwnd) << 13) * 5))
        } else {
            (cwnd, 0)
        };
        Epoch { start: now, k, origin, w_est: cwnd }
    }

    /// What a loss changes beside the window itself.
    fn reduce(&mut self) {
        let cwnd = self.cwnd();
        self.before = Some((self.w_max, self.cwnd_prior, self.epoch));
        self.epoch = None;
        self.cwnd_prior = cwnd;
        //= 9438#4.7
        // A loss before the window of the last one: others have come, and room is made for them.
        let (over, under) = BETA;
        self.w_max = if cwnd < self.w_max { cwnd * (under + over) / (2 * under) } else { cwnd };
    }

    fn threshold(&self) -> u32 {
        //= 9438#4.6
        // Like Linux: of cwnd rather than of what is in flight; a window that is not used does not grow.
        let (over, under) = BETA;
        u32::try_from((self.cwnd() * over / under) >> 16).unwrap_or(MAX_WINDOW)
    }

    fn cwnd(&self) -> u64 {
        (u64::from(self.window.cwnd()) << 16) + self.fraction
    }

    fn set_cwnd(&mut self, cwnd: u64) {
        let whole = u32::try_from(cwnd >> 16).unwrap_or(MAX_WINDOW);
        self.window.grow(whole.saturating_sub(self.window.cwnd()));
        self.fraction = cwnd & 0xffff;
    }
}

impl Epoch {
    /// W_cubic(t) = C (t-K)^3 + W_max, in 1/65536 segments; zero where it would be negative.
    fn w_cubic(&self, t: u64) -> u64 {
        //= 9438#4.2
        // Beyond 2^20 ticks, a quarter of an hour, every window is at its limit.
        let distance = t.abs_diff(self.k).min(1 << 20);
        // 2/5 of the cube; 30 bits of it are the ticks', of which 16 stay.
        let rise = ((distance * distance * distance) >> 14) * 2 / 5;
        if t < self.k { self.origin.saturating_sub(rise) } else { self.origin + rise }
    }
}

/// Whole 1/1024 seconds.
fn ticks(t: Duration) -> u64 {
    // A billion by 1024 is 976,562.5: the tick is half a nanosecond too long, and both sides of K are measured with it.
    t.as_nanos() / 976_563
}

/// The largest number whose cube is not above `n`.
fn cube_root(n: u64) -> u64 {
    let mut root = 0_u64;
    for bit in (0..21).rev() {
        let next = root | 1 << bit;
        if next * next * next <= n {
            root = next;
        }
    }
    root
}

/// RFC 9438 4.6: beta_cubic.
const BETA: (u64, u64) = (7, 10);
/// RFC 9438 4.3: alpha_cubic, 3 (1-beta) / (1+beta).
const ALPHA: (u64, u64) = (9, 17);

#[cfg(test)]
mod tests {
    use super::super::{Cc, CcKind};
    use super::*;
    use crate::tcp::Config;
    use proptest::prelude::*;

    fn with_window(cwnd: u32) -> Cc {
        Cc::new(&Config { congestion: CcKind::Cubic, hystart: HyStartKind::Off, ..Config::default() }, cwnd)
    }

    /// A path of one round-trip time that delivers whole windows, two segments per acknowledgement.
    struct Path {
        cc: Cc,
        now: Instant,
        rtt: Duration,
    }

    impl Path {
        fn after_loss(cwnd: u32, rtt: Duration) -> Self {
            let mut cc = with_window(cwnd);
            cc.on_loss(cwnd);
            cc.on_repaired();
            Path { cc, now: Instant::ZERO, rtt }
        }

        fn round(&mut self) {
            let cwnd = self.cc.cwnd();
            let gap = self.rtt / u64::from(cwnd.div_ceil(2));
            let mut left = cwnd;
            while left > 0 {
                self.now += gap;
                let acked = left.min(2);
                left -= acked;
                let full = Sample::full(self.cc.cwnd(), self.now);
                self.cc.on_ack(&Sample { acked, srtt: self.rtt, ..full });
            }
        }

        fn run(&mut self, time: Duration) {
            let end = self.now + time;
            while self.now < end {
                self.round();
            }
        }
    }

    /// Computed from the equations of RFC 9438 4.2 by hand: W_max 1000 segments, so K = cbrt(300 / 0.4) = 9.086 s.
    //= 9293/MAY-18
    #[test]
    fn the_window_follows_the_cubic_curve() {
        //= 9438#4.2
        //= 9438#4.4
        //= 9438#4.5
        let rtt = Duration::from_millis(100);
        let mut path = Path::after_loss(1000, rtt);
        assert_eq!((path.cc.cwnd(), path.cc.ssthresh()), (700, 700));
        for (seconds, expected) in [(1, 789), (3, 910), (6, 988), (9, 1000), (12, 1010), (15, 1083)] {
            path.run((Instant::ZERO + Duration::from_secs(seconds)).since(path.now));
            let cwnd = path.cc.cwnd();
            assert!(cwnd.abs_diff(expected) * 100 <= expected * 2, "{cwnd} instead of {expected} after {seconds} s");
        }
    }

    #[test]
    fn the_cube_root_is_exact() {
        for root in [0, 1, 2, 3, 10, 1000, 99_999, (1 << 21) - 1] {
            let cube: u64 = root * root * root;
            assert_eq!((cube_root(cube), cube_root(cube + 1)), (root, root.max(cube_root(cube + 1))));
            assert!(root == 0 || cube_root(cube - 1) == root - 1);
        }
    }

    /// On a path of 1 ms the cubic curve is almost flat for a second, and Reno's window is followed.
    #[test]
    fn a_short_path_gets_what_reno_would_get() {
        //= 9438#4.3
        let mut path = Path::after_loss(20, Duration::from_millis(1));
        assert_eq!(path.cc.cwnd(), 14);
        for _ in 0..34 {
            path.round();
        }
        // alpha is 9/17 up to the window of the loss, then 1: 6 segments take some 12 rounds, the rest one each.
        assert!((38..=44).contains(&path.cc.cwnd()), "{}", path.cc.cwnd());
    }

    #[test]
    fn a_loss_takes_three_tenths_and_a_second_one_before_recovery_makes_room() {
        //= 9438#4.6
        //= 9438#4.7
        let mut path = Path::after_loss(1000, Duration::from_millis(100));
        path.run(Duration::from_secs(1));
        let cwnd = path.cc.cwnd();
        path.cc.on_loss(cwnd);
        path.cc.on_repaired();
        assert!(path.cc.cwnd().abs_diff(cwnd * 7 / 10) <= 1);
        // Fast convergence: the curve is now flat at 0.85 of the window of the second loss, not at the window itself.
        path.run(Duration::from_secs(7));
        let plateau = path.cc.cwnd();
        assert!(plateau.abs_diff(cwnd * 85 / 100) * 100 <= cwnd * 2, "{plateau} of {cwnd}");
    }

    #[test]
    fn a_timeout_starts_anew_and_its_curve_at_its_own_window() {
        //= 9438#4.8
        let mut path = Path::after_loss(100, Duration::from_millis(100));
        path.cc.on_timeout(70);
        assert_eq!((path.cc.cwnd(), path.cc.ssthresh()), (1, 49));
        path.cc.on_repeated_timeout();
        assert_eq!((path.cc.cwnd(), path.cc.ssthresh()), (1, 49), "held by a timeout of the same data");
        for cwnd in [2, 4, 8, 16, 32, 49] {
            path.round();
            assert_eq!(path.cc.cwnd(), cwnd);
        }
        path.run(Duration::from_secs(1));
        let cwnd = path.cc.cwnd();
        assert!((53..66).contains(&cwnd), "Reno's slope from 49 on, not a leap towards 70: {cwnd}");
    }

    #[test]
    fn what_was_no_loss_is_undone_with_its_curve() {
        //= 9438#4.9.2
        let mut path = Path::after_loss(1000, Duration::from_millis(100));
        path.run(Duration::from_secs(5));
        let mut spared = path.cc.clone();
        let cwnd = path.cc.cwnd();
        path.cc.on_loss(cwnd);
        path.cc.on_undo();
        assert_eq!(path.cc.cwnd(), cwnd);
        let sample = Sample { acked: 40, srtt: path.rtt, ..Sample::full(cwnd, path.now + Duration::from_secs(6)) };
        path.cc.on_ack(&sample);
        spared.on_ack(&sample);
        assert_eq!(path.cc.cwnd(), spared.cwnd(), "as if nothing had happened");
        path.cc.on_loss(cwnd);
        path.cc.on_repaired();
        path.cc.on_undo();
        assert!(path.cc.cwnd() < cwnd, "too late: it was a loss");
    }

    #[test]
    fn time_without_a_full_window_does_not_count() {
        //= 9438#5.8
        let rtt = Duration::from_millis(100);
        let mut path = Path::after_loss(1000, rtt);
        path.run(Duration::from_secs(2));
        let mut busy = path.cc.clone();
        let hour = Duration::from_secs(3600);
        let mut idle = path.cc.clone();
        let quiet =
            Sample { acked: 1, in_flight: 1, cwnd_limited: false, srtt: rtt, ..Sample::full(1, path.now + hour) };
        idle.on_ack(&quiet);
        let mut restarted = path.cc.clone();
        restarted.on_restart(path.now + hour);
        let later = |cc: &mut Cc, pause: Duration| {
            let sample = Sample { acked: 200, srtt: rtt, ..Sample::full(cc.cwnd(), path.now + pause + rtt) };
            cc.on_ack(&sample);
            cc.cwnd()
        };
        let expected = later(&mut busy, Duration::ZERO);
        assert_eq!(later(&mut idle, hour), expected);
        assert_eq!(later(&mut restarted, hour), expected);
    }

    proptest! {
        /// I-22 and I-25, whatever happens in whatever order, at whatever time.
        #[test]
        fn the_window_keeps_its_bounds(
            hystart in 0..3_u8,
            events in proptest::collection::vec((0..9_u8, any::<u32>(), any::<bool>(), any::<u32>()), 0..100),
        ) {
            let hystart = [HyStartKind::Off, HyStartKind::Classic, HyStartKind::PlusPlus][usize::from(hystart)];
            let mut cc = Cc::new(&Config { congestion: CcKind::Cubic, hystart, ..Config::default() }, 10);
            let mut now = Instant::ZERO;
            for (event, n, limited, time) in events {
                now += Duration::from_nanos(u64::from(time) << (time % 16));
                let before = cc.cwnd();
                let rtt = Duration::from_nanos(u64::from(time));
                match event {
                    0 | 1 => {
                        let acked = if event == 0 { n } else { n % 64 };
                        let full = Sample::full(before, now);
                        cc.on_ack(&Sample { acked, cwnd_limited: limited, rtt: Some(rtt), srtt: rtt, ..full });
                        prop_assert!(cc.cwnd() >= before && cc.cwnd() - before <= acked);
                    }
                    2 => {
                        cc.on_loss(n % 1000);
                        prop_assert!(cc.cwnd() <= before.max(2), "a loss never widens the window");
                    }
                    3 => cc.on_timeout(n % 1000),
                    4 => cc.on_recovery_exit(n % 1000),
                    5 => cc.on_undo(),
                    6 => cc.on_repaired(),
                    7 => cc.on_restart(now),
                    _ => {
                        cc.on_idle(Duration::from_nanos(u64::from(n)), Duration::from_millis(200));
                        prop_assert!(cc.cwnd() <= before);
                    }
                }
                prop_assert!((1..=MAX_WINDOW).contains(&cc.cwnd()));
                prop_assert!(cc.ssthresh() >= 2);
            }
        }

        /// However an acknowledgement is divided, in slow start the window grows by the same, and in congestion
        /// avoidance by no more.
        #[test]
        fn division_gains_nothing(parts in proptest::collection::vec(0..5_u32, 1..40), start in 2..300_u32) {
            let now = Instant::ZERO + Duration::from_secs(1);
            let (mut whole, mut divided) = (with_window(start), with_window(start));
            let sum = parts.iter().sum();
            for part in parts {
                divided.on_ack(&Sample { acked: part, ..Sample::full(divided.cwnd(), now) });
            }
            whole.on_ack(&Sample { acked: sum, ..Sample::full(start, now) });
            prop_assert_eq!(whole.cwnd(), divided.cwnd());
        }
    }
}
