//! HyStart++ and classic HyStart: slow start ends when the queue begins to grow, not when it overflows.
//!
//! Sections: RFC 9406 4.2 and 4.3; for the classic one Ha and Rhee, "Hybrid Slow Start" (2008), as Linux has it.
//! In: round trips measured in the first slow start.
//! Out: how fast the window may grow, and when to leave slow start.
//!
//! Slow start doubles the window every round trip, so it learns of a full queue a round trip late: with twice what the
//! path can hold in flight. A queue shows in the round-trip time before it overflows. HyStart++ compares the least round
//! trip of this round with that of the round before; when it has risen by an eighth, growth slows down to a quarter
//! (conservative slow start) for five rounds. If the round trip falls below its baseline again, it was jitter, and slow
//! start goes on; if not, congestion avoidance begins. The classic algorithm leaves at once: on the same sign, or when
//! a train of closely spaced acknowledgements has become as long as the path.

use super::Sample;
use crate::time::{Duration, Instant};
use crate::wire::Pos;

/// Which of them ends slow start.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum HyStartKind {
    /// None: only a loss does.
    Off,
    /// Linux's: delay or acknowledgement train.
    Classic,
    /// RFC 9406.
    #[default]
    PlusPlus,
}

/// What the next acknowledgement may add.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Growth {
    /// So many segments.
    Add(u32),
    /// Slow start is over.
    Leave,
}

/// The first slow start of one connection.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct HyStart {
    kind: HyStartKind,
    /// Without pacing, so many segments at the most count of one acknowledgement.
    limit: u32,
    round: Option<Round>,
    /// The least round trip of the round before.
    last_min: Option<Duration>,
    /// The least round trip ever; the classic algorithm's baseline.
    least: Option<Duration>,
    css: Option<Conservative>,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Round {
    /// SND.NXT when it began: it ends when that is acknowledged.
    end: Pos,
    min: Option<Duration>,
    samples: u32,
    began: Instant,
    /// The last acknowledgement of an unbroken train.
    train: Instant,
}

/// Conservative slow start.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Conservative {
    baseline: Duration,
    /// Rounds begun, the one in which it began included.
    rounds: u8,
    /// Segments acknowledged that have not made the window grow yet; fewer than the divisor.
    credit: u32,
}

impl HyStart {
    pub(super) const fn new(kind: HyStartKind, paced: bool) -> Self {
        //= 9406#4.3
        let limit = if paced { u32::MAX } else { UNPACED_LIMIT };
        HyStart { kind, limit, round: None, last_min: None, least: None, css: None }
    }

    /// An acknowledgement in slow start.
    pub(super) fn on_ack(&mut self, sample: &Sample, cwnd: u32) -> Growth {
        match self.kind {
            HyStartKind::Off => Growth::Add(sample.acked),
            HyStartKind::Classic => self.on_ack_classic(sample, cwnd),
            HyStartKind::PlusPlus => self.on_ack_plus_plus(sample),
        }
    }

    fn on_ack_plus_plus(&mut self, sample: &Sample) -> Growth {
        //= 9406#4.2
        let round = self.round.get_or_insert_with(|| Round::new(sample));
        round.measure(sample.rtt);
        let enough = round.min.filter(|_| round.samples >= N_RTT_SAMPLE);
        let growth = self.growth(sample.acked.min(self.limit), enough);
        if let (true, Some(css)) = (self.close_round(sample), &mut self.css) {
            css.rounds += 1;
            if css.rounds > CSS_ROUNDS {
                return Growth::Leave;
            }
        }
        growth
    }

    /// `enough` is the least round trip of this round, once it was measured often enough.
    fn growth(&mut self, acked: u32, enough: Option<Duration>) -> Growth {
        match &mut self.css {
            None => {
                if let (Some(min), Some(last)) = (enough, self.last_min)
                    && min >= last + threshold(last)
                {
                    self.css = Some(Conservative { baseline: min, rounds: 1, credit: 0 });
                }
                Growth::Add(acked)
            }
            Some(css) if enough.is_some_and(|min| min < css.baseline) => {
                // It was jitter.
                self.css = None;
                Growth::Add(acked)
            }
            Some(css) => {
                css.credit += acked.min(u32::MAX >> 1);
                let grown = css.credit / CSS_GROWTH_DIVISOR;
                css.credit %= CSS_GROWTH_DIVISOR;
                Growth::Add(grown)
            }
        }
    }

    fn on_ack_classic(&mut self, sample: &Sample, cwnd: u32) -> Growth {
        if let Some(rtt) = sample.rtt {
            self.least = Some(self.least.map_or(rtt, |least| least.min(rtt)));
        }
        let round = self.round.get_or_insert_with(|| Round::new(sample));
        round.measure(sample.rtt);
        let Some(least) = self.least else { return Growth::Add(sample.acked) };
        let near = sample.now.since(round.train) <= TRAIN_GAP;
        if near {
            round.train = sample.now;
        }
        // Like Linux: with pacing, bursts leave at twice the rate of delivery, and a train must be twice as long.
        let longest = if self.limit == u32::MAX { least } else { least / 2 };
        let train = near && sample.now.since(round.began) > longest;
        let delay = round.samples >= N_RTT_SAMPLE && round.min.is_some_and(|min| min > least + threshold(least));
        self.close_round(sample);
        if cwnd >= LOW_WINDOW && (train || delay) { Growth::Leave } else { Growth::Add(sample.acked) }
    }

    /// True if this was the last acknowledgement of a round: the next one begins.
    fn close_round(&mut self, sample: &Sample) -> bool {
        let Some(round) = self.round.as_ref().filter(|round| round.end <= sample.una) else { return false };
        self.last_min = round.min;
        self.round = Some(Round::new(sample));
        true
    }
}

impl Round {
    /// A round that begins with what is sent after this acknowledgement.
    const fn new(sample: &Sample) -> Self {
        Round { end: sample.nxt, min: None, samples: 0, began: sample.now, train: sample.now }
    }

    fn measure(&mut self, rtt: Option<Duration>) {
        if let Some(rtt) = rtt {
            self.min = Some(self.min.map_or(rtt, |min| min.min(rtt)));
            self.samples = self.samples.saturating_add(1);
        }
    }
}

/// By how much the round-trip time must rise.
fn threshold(before: Duration) -> Duration {
    //= 9406#4.3
    (before / 8).clamp(MIN_RTT_THRESH, MAX_RTT_THRESH)
}

/// RFC 9406 4.3.
const MIN_RTT_THRESH: Duration = Duration::from_millis(4);
/// RFC 9406 4.3.
const MAX_RTT_THRESH: Duration = Duration::from_millis(16);
/// RFC 9406 4.3: so many measurements of a round say enough.
const N_RTT_SAMPLE: u32 = 8;
/// RFC 9406 4.3.
const CSS_GROWTH_DIVISOR: u32 = 4;
/// RFC 9406 4.3.
const CSS_ROUNDS: u8 = 5;
/// RFC 9406 4.3: L, for senders that do not pace.
const UNPACED_LIMIT: u32 = 8;
/// Like Linux: below such a window the classic algorithm does not look (`hystart_low_window`).
const LOW_WINDOW: u32 = 16;
/// Like Linux: acknowledgements closer than this form a train (`hystart_ack_delta_us`).
const TRAIN_GAP: Duration = Duration::from_millis(2);

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::VecDeque;

    /// A path that acknowledges each segment by itself.
    struct Path {
        hystart: HyStart,
        now: Instant,
        una: i64,
        /// The round trip of each segment in flight.
        flight: VecDeque<Duration>,
        cwnd: u32,
        left: bool,
    }

    impl Path {
        fn new(kind: HyStartKind, cwnd: u32, rtt: Duration) -> Self {
            let flight = (0..cwnd).map(|_| rtt).collect();
            Path { hystart: HyStart::new(kind, true), now: Instant::ZERO, una: 1, flight, cwnd, left: false }
        }

        /// What is in flight is acknowledged, `gap` apart; what goes out meanwhile will take `rtt`. The last
        /// acknowledgement lets its segments out at the start of the next round.
        fn round(&mut self, rtt: Duration, gap: Duration) {
            self.now += self.flight[0];
            for _ in 0..self.cwnd {
                self.flight.resize(self.cwnd as usize, rtt);
                self.now += gap;
                let nxt = Pos(self.una + self.flight.len() as i64);
                self.una += 1;
                let rtt_of_this = self.flight.pop_front();
                let full = Sample::full(self.cwnd, self.now);
                let sample = Sample { una: Pos(self.una), nxt, rtt: rtt_of_this, ..full };
                match self.hystart.on_ack(&sample, self.cwnd) {
                    Growth::Add(n) => self.cwnd += n,
                    Growth::Leave => self.left = true,
                }
            }
        }
    }

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    const GAP: Duration = Duration::from_micros(10);

    #[test]
    fn the_threshold_is_an_eighth_between_four_and_sixteen_milliseconds() {
        //= 9406#4.3
        for (rtt, expected) in [(1, 4), (32, 4), (64, 8), (100, 12), (128, 16), (900, 16)] {
            assert_eq!(threshold(ms(rtt)).as_millis(), expected, "{rtt} ms");
        }
    }

    #[test]
    fn a_steady_round_trip_never_ends_slow_start() {
        for kind in [HyStartKind::Off, HyStartKind::PlusPlus] {
            let mut path = Path::new(kind, 10, ms(100));
            for round in 1..10 {
                path.round(ms(100), GAP);
                assert_eq!((path.cwnd, path.left), (10 << round, false), "{kind:?}");
            }
        }
    }

    #[test]
    fn a_rise_slows_growth_to_a_quarter_and_five_rounds_later_slow_start_is_over() {
        //= 9406#4.2
        let mut path = Path::new(HyStartKind::PlusPlus, 10, ms(100));
        path.round(ms(100), GAP);
        path.round(ms(113), GAP);
        assert_eq!(path.cwnd, 40);
        path.round(ms(113), GAP);
        assert_eq!(path.cwnd, 40 + 6 + 34 / 4, "the eighth sample of the round tells");
        for _ in 0..3 {
            let before = path.cwnd;
            path.round(ms(113), GAP);
            let grown = path.cwnd - before;
            assert!((before / 4).abs_diff(grown) <= 1 && !path.left, "{before} grew by {grown}");
        }
        path.round(ms(113), GAP);
        assert!(path.left);
    }

    #[test]
    fn a_rise_of_less_than_the_threshold_says_nothing() {
        let mut path = Path::new(HyStartKind::PlusPlus, 10, ms(100));
        path.round(ms(112), GAP);
        path.round(ms(112), GAP);
        assert_eq!(path.cwnd, 40);
    }

    #[test]
    fn a_round_trip_below_the_baseline_resumes_slow_start() {
        //= 9406#4.2
        let mut path = Path::new(HyStartKind::PlusPlus, 16, ms(100));
        path.round(ms(130), GAP);
        path.round(ms(100), GAP);
        assert_eq!(path.cwnd, 32 + 8 + 24 / 4);
        path.round(ms(100), GAP);
        assert!(path.cwnd > 46 + 8 / 4 + 37 && !path.left, "{}", path.cwnd);
    }

    #[test]
    fn eight_samples_are_needed() {
        for (cwnd, expected) in [(3, 12), (4, 16), (5, 10 + 8)] {
            let mut path = Path::new(HyStartKind::PlusPlus, cwnd, ms(100));
            path.round(ms(200), GAP);
            path.round(ms(200), GAP);
            assert_eq!(path.cwnd, expected);
        }
    }

    #[test]
    fn without_pacing_an_acknowledgement_counts_eight_segments_at_the_most() {
        //= 9406#4.3
        let sample = Sample { acked: 40, una: Pos(41), nxt: Pos(81), ..Sample::full(40, Instant::ZERO) };
        assert_eq!(HyStart::new(HyStartKind::PlusPlus, false).on_ack(&sample, 40), Growth::Add(8));
        assert_eq!(HyStart::new(HyStartKind::PlusPlus, true).on_ack(&sample, 40), Growth::Add(40));
    }

    #[test]
    fn the_classic_algorithm_leaves_at_once_on_delay_and_on_a_long_train() {
        let mut path = Path::new(HyStartKind::Classic, 20, ms(100));
        path.round(ms(113), GAP);
        assert!(!path.left);
        path.round(ms(113), GAP);
        assert!(path.left, "delay");
        for (cwnd, gap, left, what) in [
            (20, ms(1), false, "a train as long as the path"),
            (22, ms(1), true, "a longer one"),
            (40, ms(3), false, "gaps"),
            (7, ms(2), false, "a small window"),
        ] {
            let mut path = Path::new(HyStartKind::Classic, cwnd, ms(20));
            path.round(ms(20), gap);
            assert_eq!(path.left, left, "{what}");
        }
    }
}
