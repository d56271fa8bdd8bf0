//! ProbeRTT: the least round trip, and how it is kept fresh.
//!
//! Sections: draft-ietf-ccwg-bbr-06 5.3.4 and 5.5.7.
//! In: round trips.
//! Out: min_rtt, and the state in which little enough is in flight to measure it.

use super::super::Sample;
use super::model::AckPhase;
use super::{Bbr, State};
use crate::time::{Duration, Instant};

impl Bbr {
    pub(super) fn update_min_rtt(&mut self, sample: &Sample) {
        //= bbr#5.3.4.3
        self.probe_rtt_expired = sample.now > self.probe_rtt_min_stamp + PROBE_RTT_INTERVAL;
        if let Some(rtt) = sample.rtt
            && (self.probe_rtt_expired || self.probe_rtt_min_delay.is_none_or(|min| rtt < min))
        {
            // The first measurement starts the clock; before it there was nothing to expire.
            self.probe_rtt_expired &= self.probe_rtt_min_delay.is_some();
            self.probe_rtt_min_delay = Some(rtt);
            self.probe_rtt_min_stamp = sample.now;
        }
        let expired = sample.now > self.min_rtt_stamp + MIN_RTT_FILTER_LEN;
        if let Some(delay) = self.probe_rtt_min_delay
            && (expired || self.min_rtt.is_none_or(|min| delay < min))
        {
            self.min_rtt = Some(delay);
            self.min_rtt_stamp = self.probe_rtt_min_stamp;
        }
    }

    pub(super) fn check_probe_rtt(&mut self, sample: &Sample) {
        if self.state != State::ProbeRtt && self.probe_rtt_expired && !self.idle_restart {
            self.save_cwnd();
            self.state = State::ProbeRtt;
            self.probe_rtt_done_stamp = None;
            self.ack_phase = AckPhase::ProbeStopping;
            self.start_round();
        }
        if self.state == State::ProbeRtt {
            self.handle_probe_rtt(sample);
        }
        if sample.rate.delivered > 0 {
            self.idle_restart = false;
        }
    }

    pub(super) fn check_probe_rtt_done(&mut self, now: Instant) {
        if self.probe_rtt_done_stamp.is_some_and(|done| now > done) {
            self.probe_rtt_min_stamp = now;
            self.restore_cwnd();
            self.exit_probe_rtt(now);
        }
    }

    fn handle_probe_rtt(&mut self, sample: &Sample) {
        if self.probe_rtt_done_stamp.is_none() {
            if sample.pipe <= self.probe_rtt_cwnd() {
                self.probe_rtt_done_stamp = Some(sample.now + PROBE_RTT_DURATION);
                self.probe_rtt_round_done = false;
                self.start_round();
            }
            return;
        }
        self.probe_rtt_round_done |= self.round_start;
        if self.probe_rtt_round_done {
            self.check_probe_rtt_done(sample.now);
        }
    }

    fn exit_probe_rtt(&mut self, now: Instant) {
        //= bbr#5.3.4.4
        self.reset_short_term_model();
        if self.full_bw_reached {
            self.start_probe_bw_down(now);
            self.start_probe_bw_cruise();
        } else {
            self.state = State::Startup;
        }
    }
}

/// The draft's BBR.ProbeRTTInterval.
const PROBE_RTT_INTERVAL: Duration = Duration::from_secs(5);
/// The draft's BBR.ProbeRTTDuration.
const PROBE_RTT_DURATION: Duration = Duration::from_millis(200);
/// The draft's BBR.MinRTTFilterLen.
const MIN_RTT_FILTER_LEN: Duration = Duration::from_secs(10);
