//! Delivery-rate samples: how fast the path has lately carried what was sent, and whether the application let it.
//!
//! Sections: draft-ietf-ccwg-bbr-06 4.1 (draft-cheng-iccrg-delivery-rate-estimation before).
//! In: bursts as they are sent, what each acknowledgement delivered, what is held lost.
//! Out: one [`RateSample`] per acknowledgement.
//!
//! Each burst remembers how much had been delivered when it was sent. When it is delivered itself, the difference is
//! what the path has carried meanwhile, and the time it took is the longer of two: that between the acknowledgements,
//! and that between the sendings. The first is too short where acknowledgements were held back and came together, the
//! second where the sender let a burst go at once; no path is as fast as the shorter of them says.

use crate::time::{Duration, Instant};

/// Segments per second, in 1/1024: from one segment in a quarter of an hour up to terabits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Rate(u64);

impl Rate {
    /// Nothing at all.
    pub const ZERO: Rate = Rate(0);
    /// Faster than any path.
    pub const MAX: Rate = Rate(1 << 50);

    /// So many segments in that time.
    pub fn of(segments: u32, time: Duration) -> Self {
        // 2^32 segments, 2^10 and 10^9 are just within 2^72; whoever sends 2^24 segments in one sample loses the rest.
        let scaled = u64::from(segments.min(1 << 24)) * (1 << 10) * 1_000_000;
        Rate(scaled.saturating_mul(1_000) / time.as_nanos().max(1)).min(Rate::MAX)
    }

    /// This many hundredths of it.
    #[must_use]
    pub fn percent(self, percent: u32) -> Self {
        Rate(self.0 * u64::from(percent) / 100).min(Rate::MAX)
    }

    /// Segments that it carries in that time, in 1/1024.
    pub fn volume(self, time: Duration) -> u64 {
        let micros = time.as_micros().min(1 << 32);
        match self.0.checked_mul(micros) {
            Some(product) => product / 1_000_000,
            None => (self.0 / 1_000_000).saturating_mul(micros),
        }
    }

    /// How long `bytes` take in segments of `size` bytes.
    pub fn time_for(self, bytes: u64, size: u64) -> Duration {
        let per_second = (self.0 * size.max(1)) >> 10;
        Duration::from_nanos(bytes.min(1 << 30) * 1_000_000_000 / per_second.max(1))
    }

    /// Bytes per second, in segments of `size` bytes.
    pub fn bytes_per_second(self, size: u64) -> u64 {
        self.0.saturating_mul(size) >> 10
    }

    /// A rate given in bytes per second, in segments of `size` bytes.
    pub fn from_bytes_per_second(bytes: u64, size: u64) -> Self {
        Rate(bytes.min(1 << 50) * (1 << 10) / size.max(1)).min(Rate::MAX)
    }
}

/// What a burst remembers of the moment when it was sent.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Sent {
    /// P.delivered: segments delivered by then, modulo 2^32.
    delivered: u32,
    /// P.delivered_time: when that count last rose.
    delivered_at: Instant,
    /// P.first_send_time: when what had been delivered last was sent.
    first_sent: Instant,
    /// P.lost: segments held lost by then, modulo 2^32.
    lost: u32,
    /// P.tx_in_flight: segments in flight, this burst included.
    in_flight: u32,
    /// P.is_app_limited: the application had left room unused.
    app_limited: bool,
}

/// What one acknowledgement tells of the path.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct RateSample {
    /// RS.delivery_rate, if it can be trusted.
    pub rate: Option<Rate>,
    /// RS.delivered: segments delivered since the newest of those delivered was sent.
    pub delivered: u32,
    /// RS.prior_delivered: segments delivered when that was sent.
    pub prior_delivered: u64,
    /// C.delivered: segments delivered in all, these included.
    pub total_delivered: u64,
    /// RS.lost: segments held lost since that was sent.
    pub lost: u32,
    /// RS.tx_in_flight: segments in flight when that was sent.
    pub tx_in_flight: u32,
    /// RS.is_app_limited.
    pub app_limited: bool,
    /// Something was delivered.
    pub has_data: bool,
}

/// A burst that is held lost, as [`Cc::on_lost`](super::cc::Cc::on_lost) is told of it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Lost {
    /// P.size: segments of it.
    pub segments: u32,
    /// P.tx_in_flight.
    pub tx_in_flight: u32,
    /// Segments held lost since it was sent, these included.
    pub lost_since: u32,
    /// P.is_app_limited.
    pub app_limited: bool,
}

/// The estimator of one connection.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct RateSampler {
    /// C.delivered.
    delivered: u64,
    /// C.delivered_time.
    delivered_at: Instant,
    /// C.first_send_time.
    first_sent: Instant,
    /// C.lost.
    lost: u64,
    /// C.app_limited: the bubble is gone when so many are delivered; 0 if there is none.
    app_limited: u64,
    /// The last sample that the application did not limit, or a better one that it did.
    last: Option<(Rate, bool)>,
}

impl RateSampler {
    /// A burst of `segments` goes out while `in_flight` others are on their way.
    pub fn on_sent(&mut self, segments: u32, in_flight: u32, now: Instant) -> Sent {
        //= bbr#4.1.2.2
        if in_flight == 0 {
            self.first_sent = now;
            self.delivered_at = now;
        }
        Sent {
            delivered: low(self.delivered),
            delivered_at: self.delivered_at,
            first_sent: self.first_sent,
            lost: low(self.lost),
            in_flight: in_flight.saturating_add(segments),
            app_limited: self.app_limited > 0,
        }
    }

    /// An acknowledgement delivered `segments`; `newest` is the one of them that was sent last, and when that was.
    pub fn on_delivered(
        &mut self,
        segments: u32,
        newest: Option<(Instant, Sent)>,
        min_rtt: Option<Duration>,
        now: Instant,
    ) -> RateSample {
        //= bbr#4.1.2.3
        let mut sample = RateSample { total_delivered: self.delivered, ..RateSample::default() };
        let Some((at, newest)) = newest.filter(|_| segments > 0) else { return sample };
        self.delivered += u64::from(segments);
        self.delivered_at = now;
        self.first_sent = at;
        if self.app_limited > 0 && self.delivered > self.app_limited {
            self.app_limited = 0;
        }
        sample.has_data = true;
        sample.total_delivered = self.delivered;
        sample.delivered = low(self.delivered).wrapping_sub(newest.delivered);
        sample.prior_delivered = self.delivered.saturating_sub(u64::from(sample.delivered));
        sample.lost = low(self.lost).wrapping_sub(newest.lost);
        sample.tx_in_flight = newest.in_flight;
        sample.app_limited = newest.app_limited;
        let interval = at.since(newest.first_sent).max(now.since(newest.delivered_at));
        // Shorter than any round trip: an old copy was taken for the new one.
        if !interval.is_zero() && min_rtt.is_none_or(|min| min <= interval) {
            let rate = Rate::of(sample.delivered, interval);
            sample.rate = Some(rate);
            if !sample.app_limited || self.last.is_none_or(|(last, _)| last < rate) {
                self.last = Some((rate, sample.app_limited));
            }
        }
        sample
    }

    /// A burst of `segments` that was sent like `sent` is held lost.
    pub fn on_lost(&mut self, segments: u32, sent: &Sent) -> Lost {
        self.lost += u64::from(segments);
        Lost {
            segments,
            tx_in_flight: sent.in_flight,
            lost_since: low(self.lost).wrapping_sub(sent.lost),
            app_limited: sent.app_limited,
        }
    }

    /// There was room to send, and nothing to send: until what is in flight now is delivered, samples show the
    /// application and not the path.
    pub fn mark_app_limited(&mut self, in_flight: u32) {
        //= bbr#4.1.2.4
        self.app_limited = (self.delivered + u64::from(in_flight)).max(1);
    }

    /// True until the last gap that the application left has passed through the path.
    pub const fn is_app_limited(&self) -> bool {
        self.app_limited > 0
    }

    /// Segments delivered in all.
    pub const fn delivered(&self) -> u64 {
        self.delivered
    }

    /// The last rate that the path has shown, and whether the application limited it.
    pub const fn delivery_rate(&self) -> Option<(Rate, bool)> {
        self.last
    }
}

/// A count modulo 2^32: no flight has as many segments, so differences come out right, and records stay small.
fn low(count: u64) -> u32 {
    u32::try_from(count & u64::from(u32::MAX)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    fn at(ms: u64) -> Instant {
        Instant::ZERO + Duration::from_millis(ms)
    }

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn rates_volumes_and_times_fit_together() {
        let rate = Rate::of(1000, ms(100));
        assert_eq!(rate.bytes_per_second(1500), 15_000_000);
        assert_eq!(rate.volume(ms(20)), 200 << 10);
        assert_eq!(rate.time_for(15_000, 1500), ms(1));
        assert_eq!(rate.percent(150).volume(ms(20)), 300 << 10);
        assert_eq!(Rate::from_bytes_per_second(15_000_000, 1500), rate);
        assert_eq!(Rate::of(u32::MAX, Duration::from_nanos(1)), Rate::of(1 << 24, Duration::from_nanos(1)));
        assert_eq!(Rate::ZERO.time_for(1 << 20, 1460).as_secs(), 1 << 20);
    }

    /// Ten segments every millisecond, acknowledged 100 ms later.
    #[test]
    fn a_steady_stream_shows_its_rate() {
        //= bbr#4.1.2.3
        let mut sampler = RateSampler::default();
        let sent: Vec<Sent> = (0..100).map(|n| sampler.on_sent(10, n * 10, at(u64::from(n)))).collect();
        let mut rates = Vec::new();
        for (n, sent) in sent.iter().enumerate() {
            let sample = sampler.on_delivered(10, Some((at(n as u64), *sent)), Some(ms(100)), at(100 + n as u64));
            assert!(sample.has_data && !sample.app_limited);
            rates.extend(sample.rate);
        }
        assert_eq!(rates.last(), Some(&Rate::of(1000, ms(199))), "nothing was delivered before the first came");
        let again = sampler.on_sent(10, 990, at(150));
        let sample = sampler.on_delivered(10, Some((at(150), again)), Some(ms(100)), at(250));
        assert_eq!(sample.prior_delivered, 1000);
    }

    #[test]
    fn acknowledgements_that_come_together_do_not_make_a_path_fast() {
        let mut sampler = RateSampler::default();
        let first = sampler.on_sent(10, 0, at(0));
        let second = sampler.on_sent(10, 10, at(50));
        sampler.on_delivered(10, Some((at(0), first)), None, at(149));
        let sample = sampler.on_delivered(10, Some((at(50), second)), None, at(150));
        assert_eq!(sample.rate, Some(Rate::of(20, ms(150))));
        // Sent slowly, delivered at once: the sending is the longer of the two.
        let third = sampler.on_sent(1, 1, at(160));
        let fourth = sampler.on_sent(1, 2, at(300));
        sampler.on_delivered(1, Some((at(160), third)), None, at(301));
        let sample = sampler.on_delivered(1, Some((at(300), fourth)), None, at(302));
        assert_eq!(sample.rate, Some(Rate::of(2, ms(300 - 50))));
    }

    #[test]
    fn an_interval_shorter_than_the_least_round_trip_is_not_believed() {
        let mut sampler = RateSampler::default();
        let sent = sampler.on_sent(10, 0, at(0));
        assert_eq!(sampler.on_delivered(10, Some((at(0), sent)), Some(ms(100)), at(99)).rate, None);
    }

    #[test]
    fn a_gap_of_the_application_marks_one_flight() {
        //= bbr#4.1.2.4
        let mut sampler = RateSampler::default();
        let before = sampler.on_sent(10, 0, at(0));
        sampler.mark_app_limited(10);
        let after = sampler.on_sent(10, 10, at(10));
        assert!(!sampler.on_delivered(10, Some((at(0), before)), None, at(100)).app_limited);
        assert!(sampler.is_app_limited());
        assert!(sampler.on_delivered(10, Some((at(10), after)), None, at(110)).app_limited);
        assert!(!sampler.is_app_limited(), "the bubble has passed");
        let later = sampler.on_sent(10, 0, at(120));
        assert!(!sampler.on_delivered(10, Some((at(120), later)), None, at(220)).app_limited);
    }

    #[test]
    fn losses_are_counted_since_each_burst() {
        let mut sampler = RateSampler::default();
        let first = sampler.on_sent(10, 0, at(0));
        let lost = sampler.on_lost(3, &first);
        assert_eq!((lost.segments, lost.lost_since, lost.tx_in_flight), (3, 3, 10));
        let second = sampler.on_sent(5, 7, at(1));
        let lost = sampler.on_lost(2, &first);
        assert_eq!((lost.lost_since, sampler.on_lost(1, &second).lost_since), (5, 3));
        assert_eq!(sampler.on_delivered(4, Some((at(1), second)), None, at(50)).lost, 3);
    }

    proptest! {
        /// No rate is above what was sent in the time of the sample, and nothing overflows.
        #[test]
        fn no_path_is_faster_than_it_is(steps in proptest::collection::vec((any::<bool>(), 1..100_u32, 0..u64::MAX >> 24), 1..60)) {
            let mut sampler = RateSampler::default();
            let mut now = Instant::ZERO;
            let mut flying = alloc::collections::VecDeque::new();
            let mut in_flight = 0;
            for (send, n, wait) in steps {
                now += Duration::from_nanos(wait);
                if send || flying.is_empty() {
                    flying.push_back((n, now, sampler.on_sent(n, in_flight, now)));
                    in_flight += n;
                } else if let Some((n, then, sent)) = flying.pop_front() {
                    in_flight -= n;
                    let sample = sampler.on_delivered(n, Some((then, sent)), None, now);
                    prop_assert!(sample.delivered >= n);
                    let whole = Rate::of(sample.delivered, now.since(then));
                    prop_assert!(sample.rate.is_none_or(|rate| rate <= whole), "slower than from its own sending on");
                }
            }
        }
    }
}
