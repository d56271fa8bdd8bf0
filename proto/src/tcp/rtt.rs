//! The round-trip time and the retransmission timeout that follows from it.
//!
//! Sections: RFC 6298 2 and 5; RFC 9293 3.8.1.
//! In: round trips that were measured without ambiguity (Karn's rule is the caller's), and timeouts.
//! Out: SRTT, RTTVAR, RTO, and the RTO as backed off.

use crate::time::Duration;

/// The estimator of one connection, in integer nanoseconds.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Rtt {
    estimate: Option<Estimate>,
    initial: Duration,
    min: Duration,
    max: Duration,
    backoff: u8,
}

/// What at least one measurement has taught.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Estimate {
    srtt: Duration,
    rttvar: Duration,
    min_rtt: Duration,
}

impl Rtt {
    /// Nothing is measured yet: the RTO is `initial`. Later `min` is the least that the variance term may add to SRTT,
    /// and `max` bounds the RTO, backed off or not.
    pub const fn new(initial: Duration, min: Duration, max: Duration) -> Self {
        Rtt { estimate: None, initial, min, max, backoff: 0 }
    }

    /// A round trip was measured on a segment that was sent only once, or by its timestamp (Karn; RFC 6298 3).
    pub fn on_sample(&mut self, rtt: Duration) {
        self.estimate = Some(match self.estimate {
            //= 6298#2.2
            None => Estimate { srtt: rtt, rttvar: rtt / 2, min_rtt: rtt },
            //= 6298#2.3
            //= 9293/MUST-18
            Some(old) => {
                // Of the two differences one is zero, because durations do not go below it.
                let error = (old.srtt - rtt).max(rtt - old.srtt);
                Estimate {
                    rttvar: (old.rttvar * 3 + error) / 4,
                    srtt: (old.srtt * 7 + rtt) / 8,
                    min_rtt: old.min_rtt.min(rtt),
                }
            }
        });
        // A valid measurement says what the timeout should be, so its back-off ends: the note at the end of RFC 6298 5.
        self.backoff = 0;
    }

    /// The retransmission timer ran out.
    pub fn on_timeout(&mut self) {
        //= 6298#5.5
        self.backoff = self.backoff.saturating_add(1);
    }

    /// What the timeouts waited for has come: the answer to our SYN, or a window that closes or is open again. An
    /// acknowledgement of data is no such thing: what was sent again tells nothing about the path, and until something
    /// that was sent once is measured the timeout stays backed off (Karn).
    pub fn on_progress(&mut self) {
        self.backoff = 0;
    }

    /// A timeout turned out to be spurious: the path works, and its back-off was for nothing.
    pub fn on_spurious_timeout(&mut self) {
        //= 4015#3
        self.backoff = 0;
    }

    /// The handshake is complete, but its SYN or SYN-ACK had to be sent again. Unless a round trip is known all the
    /// same, data starts with a more patient timeout.
    pub fn on_handshake_after_timeout(&mut self) {
        //= 6298#5.7
        self.initial = self.initial.max(AFTER_SYN_TIMEOUT);
    }

    /// The retransmission timeout, back-off not counted.
    pub fn rto(&self) -> Duration {
        let rto = match self.estimate {
            //= 6298#2.1
            None => self.initial,
            // DEVIATES: 6298#2.4: the RFC rounds the whole RTO up to 1 s. Like Linux: the floor is under the variance
            // term alone, so that a path of any length gets 200 ms of patience and no more.
            Some(known) => known.srtt + (known.rttvar * 4).max(self.min),
        };
        //= 6298#2.5
        rto.min(self.max)
    }

    /// The retransmission timeout after the timeouts that have happened in a row.
    pub fn backed_off(&self) -> Duration {
        // Beyond 2^63 the product has long met the upper bound.
        (self.rto() * (1 << self.backoff.min(63))).min(self.max)
    }

    /// Timeouts in a row.
    pub const fn backoff(&self) -> u8 {
        self.backoff
    }

    /// SRTT, once measured.
    pub fn srtt(&self) -> Option<Duration> {
        self.estimate.map(|known| known.srtt)
    }

    /// RTTVAR; zero until measured.
    pub fn rttvar(&self) -> Duration {
        self.estimate.map_or(Duration::ZERO, |known| known.rttvar)
    }

    /// The smallest round trip measured.
    pub fn min_rtt(&self) -> Option<Duration> {
        self.estimate.map(|known| known.min_rtt)
    }
}

/// RFC 6298 5.7: three seconds, what RFC 1122 started with.
const AFTER_SYN_TIMEOUT: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tcp::Config;
    use proptest::prelude::*;

    fn rtt() -> Rtt {
        let cfg = Config::default();
        Rtt::new(cfg.rto_initial, cfg.rto_min, cfg.rto_max)
    }

    /// Computed by hand from the equations of RFC 6298 2.2 and 2.3, in microseconds, rounded down at each step:
    /// sample, SRTT, RTTVAR, RTO.
    #[test]
    fn samples_move_the_estimate_as_the_equations_say() {
        //= 6298#2.2
        //= 6298#2.3
        //= 9293/MUST-18
        let table = [
            (800_000, 800_000, 400_000, 2_400_000),
            (800_000, 800_000, 300_000, 2_000_000),
            (400_000, 750_000, 325_000, 2_050_000),
            (1_550_000, 850_000, 443_750, 2_625_000),
            (850_000, 850_000, 332_812, 2_181_250),
        ];
        let mut rtt = rtt();
        for (sample, srtt, rttvar, rto) in table {
            rtt.on_sample(Duration::from_micros(sample));
            assert_eq!(rtt.srtt().unwrap().as_micros(), srtt, "SRTT after {sample}");
            assert_eq!(rtt.rttvar().as_micros(), rttvar, "RTTVAR after {sample}");
            assert_eq!(rtt.rto().as_micros(), rto, "RTO after {sample}");
        }
        assert_eq!(rtt.min_rtt(), Some(Duration::from_millis(400)));
    }

    #[test]
    fn before_the_first_sample_the_timeout_is_one_second() {
        //= 6298#2.1
        assert_eq!(rtt().rto(), Duration::from_secs(1));
        assert_eq!((rtt().srtt(), rtt().rttvar(), rtt().min_rtt()), (None, Duration::ZERO, None));
    }

    #[test]
    fn the_variance_term_has_a_floor_and_the_whole_a_ceiling() {
        //= 6298#2.5
        let mut short = rtt();
        short.on_sample(Duration::from_micros(140));
        assert_eq!(short.rto(), Duration::from_micros(200_140));
        let mut long = rtt();
        long.on_sample(Duration::from_secs(300));
        assert_eq!(long.rto(), Duration::from_secs(120));
    }

    #[test]
    fn every_timeout_doubles_up_to_the_ceiling_and_progress_ends_it() {
        //= 6298#5.5
        //= 9293/MUST-19
        let mut rtt = rtt();
        for seconds in [1, 2, 4, 8, 16, 32, 64, 120, 120] {
            assert_eq!(rtt.backed_off(), Duration::from_secs(seconds));
            rtt.on_timeout();
        }
        for _ in 0..300 {
            rtt.on_timeout();
        }
        assert_eq!((rtt.backoff(), rtt.backed_off()), (u8::MAX, Duration::from_secs(120)));
        assert_eq!(rtt.rto(), Duration::from_secs(1), "the back-off does not touch the RTO itself");
        rtt.on_progress();
        assert_eq!((rtt.backoff(), rtt.backed_off()), (0, Duration::from_secs(1)));
        rtt.on_timeout();
        rtt.on_sample(Duration::from_millis(100));
        assert_eq!((rtt.backoff(), rtt.backed_off()), (0, Duration::from_millis(300)));
    }

    #[test]
    fn a_lost_syn_starts_data_with_three_seconds() {
        //= 6298#5.7
        let mut unmeasured = rtt();
        unmeasured.on_handshake_after_timeout();
        assert_eq!(unmeasured.rto(), Duration::from_secs(3));
        let mut measured = rtt();
        measured.on_sample(Duration::from_millis(10));
        measured.on_handshake_after_timeout();
        assert_eq!(measured.rto(), Duration::from_millis(210));
    }

    proptest! {
        /// SRTT stays between the smallest and the largest sample, and the RTO between its bounds.
        #[test]
        fn the_estimate_stays_within_what_was_measured(samples in proptest::collection::vec(0..10_000_000_000_u64, 1..50)) {
            let mut rtt = rtt();
            for &nanos in &samples {
                rtt.on_sample(Duration::from_nanos(nanos));
            }
            let srtt = rtt.srtt().unwrap().as_nanos();
            let (least, most) = (*samples.iter().min().unwrap(), *samples.iter().max().unwrap());
            // Each step rounds down by less than a nanosecond, and an eighth of every old loss is forgotten: 8 ns in all.
            prop_assert!(srtt + 8 >= least && srtt <= most);
            prop_assert!(rtt.rttvar().as_nanos() <= most);
            prop_assert!(rtt.rto() >= Duration::from_nanos(srtt) + Duration::from_millis(200) || rtt.rto() == Duration::from_secs(120));
            prop_assert!(rtt.rto() <= Duration::from_secs(120));
        }

        /// No sample, however absurd, overflows.
        #[test]
        fn absurd_samples_are_survived(samples in proptest::collection::vec(any::<u64>(), 1..20), timeouts: u8) {
            let mut rtt = rtt();
            for nanos in samples {
                rtt.on_sample(Duration::from_nanos(nanos));
            }
            for _ in 0..timeouts {
                rtt.on_timeout();
            }
            prop_assert!(rtt.backed_off() <= Duration::from_secs(120));
        }
    }
}
