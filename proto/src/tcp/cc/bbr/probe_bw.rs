//! ProbeBW: the cycle of sending slower, as fast as the path delivers, and faster.
//!
//! Sections: draft-ietf-ccwg-bbr-06 5.3.3.
//! In: samples.
//! Out: the next state of the cycle, and the long-term bound of what may be in flight.

use super::super::Sample;
use super::model::AckPhase;
use super::{Bbr, INFINITY, MAX_CWND, State, is_inflight_too_high};
use crate::time::{Duration, Instant};

impl Bbr {
    pub(super) fn start_probe_bw_down(&mut self, now: Instant) {
        //= bbr#5.3.3.9
        self.reset_congestion_signals();
        self.probe_up_acked_per_inc = INFINITY;
        self.pick_probe_wait(now);
        self.cycle_stamp = now;
        self.ack_phase = AckPhase::ProbeStopping;
        self.start_round();
        self.state = State::ProbeBwDown;
    }

    pub(super) fn start_probe_bw_cruise(&mut self) {
        self.state = State::ProbeBwCruise;
    }

    pub(super) fn start_probe_bw_refill(&mut self) {
        self.reset_short_term_model();
        self.bw_probe_up_rounds = 0;
        self.bw_probe_up_acked = 0;
        self.prev_probe_precautionary = false;
        self.ack_phase = AckPhase::Refilling;
        self.start_round();
        self.state = State::ProbeBwRefill;
    }

    fn start_probe_bw_up(&mut self, sample: &Sample) {
        self.ack_phase = AckPhase::ProbeStarting;
        self.start_round();
        self.reset_full_bw();
        self.full_bw = sample.rate.rate.unwrap_or_default();
        self.state = State::ProbeBwUp;
        self.raise_inflight_longterm_slope();
    }

    pub(super) fn update_probe_bw_cycle_phase(&mut self, sample: &Sample) {
        //= bbr#5.3.3.9
        if !self.full_bw_reached || self.adapt_long_term_model(sample) {
            return;
        }
        match self.state {
            State::ProbeBwDown => {
                if !self.is_time_to_probe_bw(sample) && self.is_time_to_cruise(sample) {
                    self.start_probe_bw_cruise();
                }
            }
            State::ProbeBwCruise => {
                self.is_time_to_probe_bw(sample);
            }
            State::ProbeBwRefill => {
                if self.round_start {
                    self.is_bw_probe_sample = true;
                    self.start_probe_bw_up(sample);
                }
            }
            State::ProbeBwUp => {
                if self.is_time_to_go_down(sample) {
                    self.prev_probe_too_high = false;
                    self.start_probe_bw_down(sample.now);
                }
            }
            State::Startup | State::Drain | State::ProbeRtt => {}
        }
    }

    /// True if it was, and REFILL has begun.
    fn is_time_to_probe_bw(&mut self, sample: &Sample) -> bool {
        //= bbr#5.3.3.8
        let elapsed = sample.now > self.cycle_stamp + self.bw_probe_wait;
        let reno_rounds = self.bdp(100).min(self.cwnd).min(MOST_RENO_ROUNDS);
        let due = elapsed || self.rounds_since_probe_up >= reno_rounds;
        if due {
            self.start_probe_bw_refill();
        }
        due
    }

    fn is_time_to_cruise(&self, sample: &Sample) -> bool {
        sample.pipe <= self.inflight_with_headroom() && sample.pipe <= self.inflight(100)
    }

    fn is_time_to_go_down(&mut self, sample: &Sample) -> bool {
        //= bbr#5.3.3.7
        if self.prev_probe_too_high && sample.pipe >= self.inflight_longterm {
            self.prev_probe_precautionary = true;
            return true;
        }
        if sample.cwnd_limited && self.cwnd >= self.inflight_longterm {
            self.reset_full_bw();
            self.full_bw = sample.rate.rate.unwrap_or_default();
            return false;
        }
        self.full_bw_now
    }

    fn pick_probe_wait(&mut self, now: Instant) {
        //= bbr#5.3.3.8
        // The moment and the count of rounds are as good as dice here: what matters is that flows differ, and the
        // state machine stays a function of what it was told.
        let mut dice = now.as_nanos() ^ self.round_count.rotate_left(32);
        dice = (dice ^ dice >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        dice = (dice ^ dice >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        dice ^= dice >> 31;
        self.rounds_since_probe_up = u32::from(dice & 1 == 1);
        self.bw_probe_wait = Duration::from_secs(2) + Duration::from_millis((dice >> 1) % 1001);
    }

    fn raise_inflight_longterm_slope(&mut self) {
        //= bbr#5.3.3.9
        let growth = 1_u32 << self.bw_probe_up_rounds.min(30);
        self.bw_probe_up_rounds = (self.bw_probe_up_rounds + 1).min(30);
        self.probe_up_acked_per_inc = (self.cwnd / growth).max(1);
    }

    fn probe_inflight_longterm_upward(&mut self, sample: &Sample) {
        if !sample.cwnd_limited || self.cwnd < self.inflight_longterm {
            return;
        }
        self.bw_probe_up_acked = self.bw_probe_up_acked.saturating_add(sample.delivered);
        let delta = self.bw_probe_up_acked / self.probe_up_acked_per_inc;
        self.bw_probe_up_acked -= delta * self.probe_up_acked_per_inc;
        self.inflight_longterm = self.inflight_longterm.saturating_add(delta).min(MAX_CWND);
        if self.round_start {
            self.raise_inflight_longterm_slope();
        }
    }

    /// True if the next state is decided.
    fn adapt_long_term_model(&mut self, sample: &Sample) -> bool {
        if self.ack_phase == AckPhase::ProbeStarting && self.round_start {
            self.ack_phase = AckPhase::ProbeFeedback;
        }
        if self.ack_phase == AckPhase::ProbeStopping && self.round_start {
            self.is_bw_probe_sample = false;
            self.ack_phase = AckPhase::Init;
            if self.state.is_probe_bw() && !sample.rate.app_limited {
                self.advance_max_bw_filter();
            }
            //= bbr#5.3.3.6
            if self.state.is_probe_bw() && self.prev_probe_precautionary && !self.prev_probe_too_high {
                self.start_probe_bw_refill();
                return true;
            }
        }
        let safe = !is_inflight_too_high(sample.rate.lost, sample.rate.tx_in_flight);
        if safe && self.inflight_longterm != INFINITY {
            self.inflight_longterm = self.inflight_longterm.max(sample.rate.tx_in_flight);
            if self.state == State::ProbeBwUp {
                self.probe_inflight_longterm_upward(sample);
            }
        }
        false
    }
}

/// bbr 5.3.3.8: rounds between probes at the most.
const MOST_RENO_ROUNDS: u32 = 63;
