//! BBR, version 3: sends at the rate that the path delivers, with a little more in flight than it holds.
//!
//! Sections: draft-ietf-ccwg-bbr-06 5.1, 5.2, 5.3.1, 5.3.2 and 5.4; the other files of this folder have the rest.
//! In: a delivery-rate sample with each acknowledgement, bursts held lost.
//! Out: pacing rate and cwnd, in segments.
//!
//! A loss says that a queue has overflowed somewhere, or nothing at all. BBR keeps a model of the path instead: the most
//! that it delivered lately (`max_bw`) and the least time that a round trip took (`min_rtt`). Their product is what fits
//! into the path without a queue. It sends at that rate, and every few seconds a little faster for a round trip, to see
//! whether more comes out at the other end; then a little slower, to drain what it has queued; and every five seconds
//! with half as much in flight, to see the round trip without a queue. Loss above 2 % bounds what it tries
//! (`inflight_longterm`, `bw_shortterm`, `inflight_shortterm`), so that it can share a queue with those who back off at
//! every loss.

mod control;
mod loss;
mod model;
mod probe_bw;
mod probe_rtt;
#[cfg(test)]
mod tests;

use super::Sample;
use crate::tcp::rate::Rate;
use crate::time::{Duration, Instant};
use model::AckPhase;

/// BBR in segments, under the draft's names.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Bbr {
    state: State,
    cwnd: u32,
    initial_cwnd: u32,
    pacing_rate: Option<Rate>,
    /// Segments: a quantum of pacing.
    send_quantum: u32,
    prior_cwnd: u32,
    in_recovery: bool,

    /// C.delivered, as last told.
    delivered: u64,
    round_count: u64,
    round_start: bool,
    next_round_delivered: u64,
    rounds_since_probe_up: u32,
    drain_start_round: u64,

    /// The best sample of the last cycle of probing, and of this one.
    max_bw_filter: [Rate; 2],
    bw: Rate,
    min_rtt: Option<Duration>,
    min_rtt_stamp: Instant,

    full_bw: Rate,
    full_bw_count: u8,
    full_bw_now: bool,
    full_bw_reached: bool,

    /// Extra acknowledged in the last rounds, and in these.
    extra_acked_filter: [u32; 2],
    extra_acked_rounds: u8,
    extra_acked_interval_start: Instant,
    extra_acked_delivered: u32,

    bw_latest: Rate,
    inflight_latest: u32,
    bw_shortterm: Rate,
    inflight_shortterm: u32,
    inflight_longterm: u32,
    loss_round_delivered: u64,
    loss_round_start: bool,
    is_loss_in_round: bool,
    loss_events_in_round: u8,

    cycle_stamp: Instant,
    bw_probe_wait: Duration,
    bw_probe_up_rounds: u8,
    bw_probe_up_acked: u32,
    probe_up_acked_per_inc: u32,
    is_bw_probe_sample: bool,
    prev_probe_too_high: bool,
    prev_probe_precautionary: bool,
    ack_phase: AckPhase,

    probe_rtt_min_delay: Option<Duration>,
    probe_rtt_min_stamp: Instant,
    probe_rtt_expired: bool,
    probe_rtt_done_stamp: Option<Instant>,
    probe_rtt_round_done: bool,
    idle_restart: bool,

    undo_state: Option<State>,
    undo_bw_shortterm: Rate,
    undo_inflight_shortterm: u32,
    undo_inflight_longterm: u32,
}

/// Where the state machine is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum State {
    /// Doubles the rate every round trip until the path is full.
    Startup,
    /// Drains the queue that Startup has left.
    Drain,
    /// Sends slower than the path delivers.
    ProbeBwDown,
    /// Sends as fast as the path delivers.
    ProbeBwCruise,
    /// Fills the path before it tries more.
    ProbeBwRefill,
    /// Tries more.
    ProbeBwUp,
    /// Looks for the round trip without a queue.
    ProbeRtt,
}

impl State {
    const fn is_probe_bw(self) -> bool {
        matches!(self, State::ProbeBwDown | State::ProbeBwCruise | State::ProbeBwRefill | State::ProbeBwUp)
    }

    /// Hundredths of the bandwidth to send at.
    //= bbr#5.6.1
    const fn pacing_gain(self) -> u32 {
        match self {
            State::Startup => 277,
            State::Drain => 50,
            State::ProbeBwDown => 90,
            State::ProbeBwCruise | State::ProbeBwRefill | State::ProbeRtt => 100,
            State::ProbeBwUp => 125,
        }
    }

    /// Hundredths of the bandwidth-delay product to have in flight.
    //= bbr#5.6.1
    const fn cwnd_gain(self) -> u32 {
        match self {
            State::ProbeBwUp => 225,
            State::ProbeRtt => 50,
            _ => 200,
        }
    }
}

impl Bbr {
    pub(super) fn new(cwnd: u32, initial_cwnd: u32) -> Self {
        //= bbr#5.2.1
        let start = Instant::ZERO;
        Bbr {
            state: State::Startup,
            cwnd: cwnd.clamp(1, MAX_CWND),
            initial_cwnd: initial_cwnd.clamp(1, MAX_CWND),
            pacing_rate: None,
            send_quantum: 2,
            prior_cwnd: 0,
            in_recovery: false,
            delivered: 0,
            round_count: 0,
            round_start: false,
            next_round_delivered: 0,
            rounds_since_probe_up: 0,
            drain_start_round: 0,
            max_bw_filter: [Rate::ZERO; 2],
            bw: Rate::ZERO,
            min_rtt: None,
            min_rtt_stamp: start,
            full_bw: Rate::ZERO,
            full_bw_count: 0,
            full_bw_now: false,
            full_bw_reached: false,
            extra_acked_filter: [0; 2],
            extra_acked_rounds: 0,
            extra_acked_interval_start: start,
            extra_acked_delivered: 0,
            bw_latest: Rate::ZERO,
            inflight_latest: 0,
            bw_shortterm: Rate::MAX,
            inflight_shortterm: INFINITY,
            inflight_longterm: INFINITY,
            loss_round_delivered: 0,
            loss_round_start: false,
            is_loss_in_round: false,
            loss_events_in_round: 0,
            cycle_stamp: start,
            bw_probe_wait: Duration::ZERO,
            bw_probe_up_rounds: 0,
            bw_probe_up_acked: 0,
            probe_up_acked_per_inc: INFINITY,
            is_bw_probe_sample: false,
            prev_probe_too_high: false,
            prev_probe_precautionary: false,
            ack_phase: AckPhase::Init,
            probe_rtt_min_delay: None,
            probe_rtt_min_stamp: start,
            probe_rtt_expired: false,
            probe_rtt_done_stamp: None,
            probe_rtt_round_done: false,
            idle_restart: false,
            undo_state: None,
            undo_bw_shortterm: Rate::ZERO,
            undo_inflight_shortterm: 0,
            undo_inflight_longterm: 0,
        }
    }

    pub(super) const fn cwnd(&self) -> u32 {
        self.cwnd
    }

    pub(super) const fn pacing_rate(&self) -> Option<Rate> {
        self.pacing_rate
    }

    /// Samples taken now show what BBR chose to send, not what the path could carry.
    pub(super) fn discounts_samples(&self) -> bool {
        self.state == State::ProbeRtt
    }

    /// UpdateOnACK().
    pub(super) fn on_ack(&mut self, sample: &Sample) {
        //= bbr#5.2.3
        self.delivered = sample.rate.total_delivered.max(self.delivered);
        if self.pacing_rate.is_none() {
            self.init_pacing_rate(sample);
        }
        self.update_latest_delivery_signals(sample);
        self.update_congestion_signals(sample);
        self.update_ack_aggregation(sample);
        self.check_full_bw_reached(sample);
        self.check_startup_done(sample);
        self.check_drain_done(sample);
        self.update_probe_bw_cycle_phase(sample);
        self.update_min_rtt(sample);
        self.check_probe_rtt(sample);
        self.advance_latest_delivery_signals(sample);
        self.bw = self.max_bw().min(self.bw_shortterm);
        self.set_pacing_rate(self.state.pacing_gain());
        self.set_send_quantum(sample);
        self.set_cwnd(sample);
    }

    /// HandleRestartFromIdle(): data goes out with nothing in flight, after the application had nothing to send.
    pub(super) fn on_restart(&mut self, now: Instant) {
        //= bbr#5.4.1
        self.idle_restart = true;
        self.extra_acked_interval_start = now;
        if self.state.is_probe_bw() {
            self.set_pacing_rate(100);
        } else if self.state == State::ProbeRtt {
            self.check_probe_rtt_done(now);
        }
    }

    /// CheckStartupDone() and CheckStartupHighLoss().
    fn check_startup_done(&mut self, sample: &Sample) {
        //= bbr#5.3.1.3
        if self.state == State::Startup
            && !self.full_bw_reached
            && self.in_recovery
            && self.loss_round_start
            && self.loss_events_in_round >= STARTUP_FULL_LOSS_COUNT
            && is_inflight_too_high(sample.rate.lost, sample.rate.tx_in_flight)
        {
            self.undo_state = Some(State::Startup);
            self.full_bw_reached = true;
            self.inflight_longterm = self.bdp(100).max(self.inflight_latest);
        }
        if self.loss_round_start {
            self.loss_events_in_round = 0;
        }
        if self.state == State::Startup && self.full_bw_reached {
            //= bbr#5.3.2
            self.state = State::Drain;
            self.drain_start_round = self.round_count;
        }
    }

    fn check_drain_done(&mut self, sample: &Sample) {
        //= bbr#5.3.2
        let drained = sample.pipe <= self.inflight(100) || self.round_count > self.drain_start_round + 3;
        if self.state == State::Drain && drained {
            self.start_probe_bw_down(sample.now);
        }
    }

    /// CheckFullBWReached(): three rounds without a quarter more.
    fn check_full_bw_reached(&mut self, sample: &Sample) {
        //= bbr#5.3.1.2
        let (Some(rate), true) = (sample.rate.rate, self.round_start && !self.full_bw_now) else { return };
        if sample.rate.app_limited {
            return;
        }
        if rate >= self.full_bw.percent(125) {
            self.reset_full_bw();
            self.full_bw = rate;
            return;
        }
        self.full_bw_count += 1;
        self.full_bw_now = self.full_bw_count >= 3;
        self.full_bw_reached |= self.full_bw_now;
    }

    fn reset_full_bw(&mut self) {
        self.full_bw = Rate::ZERO;
        self.full_bw_count = 0;
        self.full_bw_now = false;
    }
}

/// Do so many losses among so many in flight say that these were too many?
fn is_inflight_too_high(lost: u32, tx_in_flight: u32) -> bool {
    //= bbr#5.5.10.2
    u64::from(lost) * 100 > u64::from(tx_in_flight) * LOSS_THRESH_PERCENT
}

/// "Infinity", for a number of segments.
const INFINITY: u32 = u32::MAX;
/// More segments than any window holds.
const MAX_CWND: u32 = 1 << 24;
/// The draft's BBR.LossThresh.
const LOSS_THRESH_PERCENT: u64 = 2;
/// The draft's BBR.Beta, hundredths.
const BETA_PERCENT: u32 = 70;
/// The draft's BBR.Headroom, hundredths.
const HEADROOM_PERCENT: u32 = 15;
/// The draft's BBR.MinPipeCwnd.
const MIN_PIPE_CWND: u32 = 4;
/// The draft's BBRStartupFullLossCnt.
const STARTUP_FULL_LOSS_COUNT: u8 = 6;
