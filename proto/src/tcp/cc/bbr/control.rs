//! What follows from the model: pacing rate, send quantum, cwnd.
//!
//! Sections: draft-ietf-ccwg-bbr-06 5.5.8 and 5.6.
//! In: the model and a sample.
//! Out: pacing rate; cwnd and quantum in segments.

use super::super::Sample;
use super::{Bbr, HEADROOM_PERCENT, INFINITY, MAX_CWND, MIN_PIPE_CWND, State};
use crate::tcp::rate::Rate;
use crate::time::Duration;

impl Bbr {
    pub(super) fn init_pacing_rate(&mut self, sample: &Sample) {
        //= bbr#5.6.2
        let srtt = if sample.srtt.is_zero() { Duration::from_millis(1) } else { sample.srtt };
        self.pacing_rate = Some(Rate::of(self.initial_cwnd, srtt).percent(self.state.pacing_gain()));
    }

    pub(super) fn set_pacing_rate(&mut self, gain: u32) {
        //= bbr#5.6.2
        let rate = self.bw.percent(gain).percent(100 - PACING_MARGIN_PERCENT);
        if rate > Rate::ZERO && (self.full_bw_reached || self.pacing_rate.is_none_or(|old| old < rate)) {
            self.pacing_rate = Some(rate);
        }
    }

    pub(super) fn set_send_quantum(&mut self, sample: &Sample) {
        //= bbr#5.6.3
        let per_ms = self.pacing_rate.unwrap_or_default().volume(Duration::from_millis(1)) >> 10;
        let most = (MOST_QUANTUM / sample.mss.max(1)).max(2);
        self.send_quantum = u32::try_from(per_ms).unwrap_or(u32::MAX).clamp(2, most);
    }

    pub(super) fn set_cwnd(&mut self, sample: &Sample) {
        //= bbr#5.6.4.6
        let extra = self.extra_acked();
        let max_inflight = self.quantization_budget(self.bdp(self.state.cwnd_gain()).saturating_add(extra));
        if self.full_bw_reached {
            self.cwnd = self.cwnd.saturating_add(sample.delivered).min(max_inflight);
        } else if self.cwnd < max_inflight || sample.rate.total_delivered < u64::from(self.initial_cwnd) {
            self.cwnd = self.cwnd.saturating_add(sample.delivered);
        }
        self.cwnd = self.cwnd.clamp(MIN_PIPE_CWND, MAX_CWND);
        if self.state == State::ProbeRtt {
            self.cwnd = self.cwnd.min(self.probe_rtt_cwnd());
        }
        self.bound_cwnd_for_model();
    }

    /// BDPMultiple(), `gain` in hundredths.
    pub(super) fn bdp(&self, gain: u32) -> u32 {
        //= bbr#5.6.4.2
        let Some(min_rtt) = self.min_rtt else { return self.initial_cwnd };
        let scaled = self.bw.volume(min_rtt).saturating_mul(u64::from(gain)) / 100;
        u32::try_from(scaled.div_ceil(1 << 10)).unwrap_or(u32::MAX).min(MAX_CWND)
    }

    /// Inflight(), `gain` in hundredths.
    pub(super) fn inflight(&self, gain: u32) -> u32 {
        self.quantization_budget(self.bdp(gain))
    }

    pub(super) fn inflight_with_headroom(&self) -> u32 {
        //= bbr#5.3.3.9
        if self.inflight_longterm == INFINITY {
            return INFINITY;
        }
        let headroom = percent(self.inflight_longterm, HEADROOM_PERCENT).max(1);
        self.inflight_longterm.saturating_sub(headroom).max(MIN_PIPE_CWND)
    }

    pub(super) fn probe_rtt_cwnd(&self) -> u32 {
        //= bbr#5.6.4.5
        self.bdp(State::ProbeRtt.cwnd_gain()).max(MIN_PIPE_CWND)
    }

    pub(super) fn save_cwnd(&mut self) {
        //= bbr#5.6.4.4
        self.prior_cwnd = match self.in_recovery || self.state == State::ProbeRtt {
            false => self.cwnd,
            true => self.prior_cwnd.max(self.cwnd),
        };
    }

    pub(super) fn restore_cwnd(&mut self) {
        self.cwnd = self.cwnd.max(self.prior_cwnd);
    }

    fn quantization_budget(&self, inflight: u32) -> u32 {
        let offload_budget = 3 * self.send_quantum;
        let inflight = inflight.max(offload_budget).max(MIN_PIPE_CWND);
        if self.state == State::ProbeBwUp { inflight.saturating_add(2) } else { inflight }
    }

    fn bound_cwnd_for_model(&mut self) {
        //= bbr#5.6.4.7
        let cap = match self.state {
            State::ProbeBwDown | State::ProbeBwRefill | State::ProbeBwUp => self.inflight_longterm,
            State::ProbeBwCruise | State::ProbeRtt => self.inflight_with_headroom(),
            State::Startup | State::Drain => INFINITY,
        };
        self.cwnd = self.cwnd.min(cap.min(self.inflight_shortterm).max(MIN_PIPE_CWND));
    }
}

/// So many hundredths of `segments`.
pub(super) fn percent(segments: u32, percent: u32) -> u32 {
    u32::try_from(u64::from(segments) * u64::from(percent) / 100).unwrap_or(u32::MAX)
}

/// The draft's BBR.PacingMarginPercent.
const PACING_MARGIN_PERCENT: u32 = 1;
/// bbr 5.6.3: 64 KBytes.
const MOST_QUANTUM: u32 = 65_536;
