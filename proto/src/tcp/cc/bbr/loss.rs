//! What a loss teaches, what a timeout does, and how both are taken back.
//!
//! Sections: draft-ietf-ccwg-bbr-06 5.5.10.2, 5.5.11 and 5.6.4.4.
//! In: bursts held lost, recovery begun and ended.
//! Out: the long-term bound of what may be in flight; the state as it was before.

use super::{BETA_PERCENT, Bbr, LOSS_THRESH_PERCENT, State, is_inflight_too_high};
use crate::tcp::rate::Lost;
use crate::time::Instant;

impl Bbr {
    /// HandleLostPacket().
    pub(in crate::tcp::cc) fn on_lost(&mut self, lost: &Lost, now: Instant) {
        //= bbr#5.5.10.2
        if !self.is_loss_in_round {
            self.loss_round_delivered = self.delivered;
            self.save_state_upon_loss();
        }
        self.is_loss_in_round = true;
        self.loss_events_in_round = self.loss_events_in_round.saturating_add(1);
        if self.is_bw_probe_sample && is_inflight_too_high(lost.lost_since, lost.tx_in_flight) {
            self.handle_inflight_too_high(inflight_at_loss(lost), lost, now);
        }
    }

    /// OnEnterFastRecovery().
    pub(in crate::tcp::cc) fn on_enter_recovery(&mut self) {
        //= bbr#5.6.4.4
        self.save_cwnd();
        self.in_recovery = true;
    }

    /// OnEnterRTO().
    pub(in crate::tcp::cc) fn on_timeout(&mut self) {
        self.save_state_upon_loss();
        self.in_recovery = true;
        // Everything is held lost by now: C.inflight is none.
        self.cwnd = 1;
    }

    /// Everything that was lost is repaired.
    pub(in crate::tcp::cc) fn on_repaired(&mut self) {
        if core::mem::take(&mut self.in_recovery) {
            self.restore_cwnd();
        }
    }

    /// HandleSpuriousLossDetection().
    pub(in crate::tcp::cc) fn undo(&mut self) {
        //= bbr#5.5.11.2
        self.in_recovery = false;
        self.restore_cwnd();
        self.is_loss_in_round = false;
        self.reset_full_bw();
        self.bw_shortterm = self.bw_shortterm.max(self.undo_bw_shortterm);
        self.inflight_shortterm = self.inflight_shortterm.max(self.undo_inflight_shortterm);
        self.inflight_longterm = self.inflight_longterm.max(self.undo_inflight_longterm);
        match self.undo_state.take() {
            Some(State::Startup) if self.state != State::Startup => {
                self.full_bw_reached = false;
                if self.state != State::ProbeRtt {
                    self.state = State::Startup;
                }
            }
            Some(State::ProbeBwUp) if self.state != State::ProbeBwUp && self.state != State::ProbeRtt => {
                self.start_probe_bw_refill();
            }
            _ => {}
        }
    }

    fn save_state_upon_loss(&mut self) {
        //= bbr#5.5.11.1
        self.save_cwnd();
        self.undo_state = None;
        self.undo_bw_shortterm = self.bw_shortterm;
        self.undo_inflight_shortterm = self.inflight_shortterm;
        self.undo_inflight_longterm = self.inflight_longterm;
    }

    fn handle_inflight_too_high(&mut self, inflight: u32, lost: &Lost, now: Instant) {
        self.prev_probe_too_high = true;
        self.is_bw_probe_sample = false;
        if !lost.app_limited {
            let target = self.bdp(100).min(self.cwnd);
            self.inflight_longterm = inflight.max(super::control::percent(target, BETA_PERCENT));
        }
        if self.state == State::ProbeBwUp {
            self.undo_state = Some(State::ProbeBwUp);
            self.start_probe_bw_down(now);
        }
    }
}

/// At what number in flight did losses cross the threshold, somewhere in the burst?
pub(super) fn inflight_at_loss(lost: &Lost) -> u32 {
    //= bbr#5.5.10.2
    let inflight_prev = lost.tx_in_flight.saturating_sub(lost.segments);
    let lost_prev = u64::from(lost.lost_since.saturating_sub(lost.segments));
    let allowed = u64::from(inflight_prev) * LOSS_THRESH_PERCENT;
    let prefix = allowed.saturating_sub(lost_prev * 100) / (100 - LOSS_THRESH_PERCENT);
    inflight_prev.saturating_add(u32::try_from(prefix).unwrap_or(u32::MAX))
}
