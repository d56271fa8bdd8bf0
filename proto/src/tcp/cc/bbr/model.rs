//! The model of the path: rounds, the most that it delivers, the degree of aggregation, the signals of this round.
//!
//! Sections: draft-ietf-ccwg-bbr-06 5.5.1 to 5.5.9 and 5.5.10.3.
//! In: samples.
//! Out: max_bw, bw_latest, inflight_latest, extra_acked, and the short-term bounds.

use super::super::Sample;
use super::{BETA_PERCENT, Bbr, INFINITY, State};
use crate::tcp::rate::Rate;

/// What the samples of these acknowledgements are samples of.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum AckPhase {
    /// Not of a probe.
    Init,
    /// Of what was sent before REFILL.
    Refilling,
    /// A probe has begun; its feedback is a round away.
    ProbeStarting,
    /// Of the probe.
    ProbeFeedback,
    /// The probe is over; its last samples come in.
    ProbeStopping,
}

impl Bbr {
    pub(super) fn max_bw(&self) -> Rate {
        self.max_bw_filter[0].max(self.max_bw_filter[1])
    }

    pub(super) fn extra_acked(&self) -> u32 {
        self.extra_acked_filter[0].max(self.extra_acked_filter[1])
    }

    pub(super) fn start_round(&mut self) {
        self.next_round_delivered = self.delivered;
    }

    pub(super) fn update_latest_delivery_signals(&mut self, sample: &Sample) {
        //= bbr#5.5.10.3
        self.loss_round_start = false;
        if !sample.rate.has_data {
            return;
        }
        self.bw_latest = self.bw_latest.max(sample.rate.rate.unwrap_or_default());
        self.inflight_latest = self.inflight_latest.max(sample.rate.delivered);
        if sample.rate.prior_delivered >= self.loss_round_delivered {
            self.loss_round_delivered = sample.rate.total_delivered;
            self.loss_round_start = true;
        }
    }

    pub(super) fn advance_latest_delivery_signals(&mut self, sample: &Sample) {
        if self.loss_round_start {
            self.bw_latest = sample.rate.rate.unwrap_or_default();
            self.inflight_latest = sample.rate.delivered;
        }
    }

    pub(super) fn reset_congestion_signals(&mut self) {
        self.is_loss_in_round = false;
        self.bw_latest = Rate::ZERO;
        self.inflight_latest = 0;
    }

    pub(super) fn update_congestion_signals(&mut self, sample: &Sample) {
        self.update_max_bw(sample);
        if self.loss_round_start {
            self.adapt_lower_bounds_from_congestion();
            self.is_loss_in_round = false;
        }
    }

    pub(super) fn advance_max_bw_filter(&mut self) {
        //= bbr#5.5.6
        // Like Linux: a cycle without any sample forgets nothing.
        if self.max_bw_filter[1] > Rate::ZERO {
            self.max_bw_filter = [self.max_bw_filter[1], Rate::ZERO];
        }
    }

    pub(super) fn reset_short_term_model(&mut self) {
        self.bw_shortterm = Rate::MAX;
        self.inflight_shortterm = INFINITY;
    }

    pub(super) fn update_ack_aggregation(&mut self, sample: &Sample) {
        //= bbr#5.5.9
        let expected = self.bw.volume(sample.now.since(self.extra_acked_interval_start)) >> 10;
        let mut expected = u32::try_from(expected).unwrap_or(u32::MAX);
        if self.extra_acked_delivered <= expected {
            self.extra_acked_delivered = 0;
            self.extra_acked_interval_start = sample.now;
            expected = 0;
        }
        self.extra_acked_delivered = self.extra_acked_delivered.saturating_add(sample.delivered);
        let extra = self.extra_acked_delivered.saturating_sub(expected).min(self.cwnd);
        if self.round_start {
            // Like Linux: two halves of the window instead of a list of its rounds.
            self.extra_acked_rounds += 1;
            let half = if self.full_bw_reached { EXTRA_ACKED_ROUNDS / 2 } else { 1 };
            if self.extra_acked_rounds >= half {
                self.extra_acked_rounds = 0;
                self.extra_acked_filter = [self.extra_acked_filter[1], 0];
            }
        }
        self.extra_acked_filter[1] = self.extra_acked_filter[1].max(extra);
    }

    fn update_max_bw(&mut self, sample: &Sample) {
        //= bbr#5.5.5
        self.update_round(sample);
        let Some(rate) = sample.rate.rate else { return };
        if rate >= self.max_bw() || !sample.rate.app_limited {
            self.max_bw_filter[1] = self.max_bw_filter[1].max(rate);
        }
    }

    fn update_round(&mut self, sample: &Sample) {
        //= bbr#5.5.1
        self.round_start = sample.rate.has_data && sample.rate.prior_delivered >= self.next_round_delivered;
        if self.round_start {
            self.start_round();
            self.round_count += 1;
            self.rounds_since_probe_up = self.rounds_since_probe_up.saturating_add(1);
        }
    }

    fn adapt_lower_bounds_from_congestion(&mut self) {
        //= bbr#5.5.10.3
        let probing = matches!(self.state, State::Startup | State::ProbeBwRefill | State::ProbeBwUp);
        if probing || !self.is_loss_in_round {
            return;
        }
        if self.bw_shortterm == Rate::MAX {
            self.bw_shortterm = self.max_bw();
        }
        if self.inflight_shortterm == INFINITY {
            self.inflight_shortterm = self.cwnd;
        }
        self.bw_shortterm = self.bw_latest.max(self.bw_shortterm.percent(BETA_PERCENT));
        self.inflight_shortterm =
            self.inflight_latest.max(super::control::percent(self.inflight_shortterm, BETA_PERCENT));
    }
}

/// The draft's BBR.ExtraAckedFilterLen.
const EXTRA_ACKED_ROUNDS: u8 = 10;
