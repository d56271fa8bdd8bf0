//! Loss detection and repair for a peer that permits SACK: how the rules work together.
//!
//! Sections: RFC 6675 (scoreboard), RFC 8985 (RACK-TLP), RFC 9937 (PRR), RFC 5682 (F-RTO), RFC 3522, 3708, 4015 (undo).
//! In: acknowledgements with what they delivered, timers, what is sent.
//! Out: segments held lost, the congestion window while they are repaired, and orders to congestion control.
//!
//! Each rule stands in a file of its own and knows nothing of the others; here is the order in which they are asked. An
//! acknowledgement is first read for what it delivered. Then the duplicates it reports, and the time it echoes, may take
//! back a reduction. Then RACK looks for losses: the first begins recovery, in which PRR says how much may be sent, until
//! everything that was in flight when it began is acknowledged. A timeout holds everything lost that is not SACKed; F-RTO
//! then asks whether that was true.

use super::cc::Cc;
use super::frto::{Evidence, Frto, Opinion};
use super::inflight::InFlight;
use super::prr::{Progress, Prr};
use super::rack::{Found, Rack, Surroundings};
use super::scoreboard::Report;
use super::tlp::{Answer, TailLossProbe};
use super::undo::Undo;
use super::{Config, Delivery, RetransmitCause};
use crate::time::{Duration, Instant};
use crate::wire::Pos;

/// Where loss recovery stands; the kernel's names for it are Open, Disorder, Recovery and Loss.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum Phase {
    /// Nothing is out of order.
    #[default]
    Open,
    /// Something is SACKed beyond a gap, and nothing is held lost.
    Disorder,
    /// Fast recovery.
    Recovery,
    /// Recovery from a timeout.
    Loss,
}

/// Loss recovery of one connection.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct SackRecovery {
    phase: Phase,
    /// SND.NXT when recovery began: where it ends.
    recover: Pos,
    /// The duplicate threshold of this path, as far as it is known.
    threshold: u32,
    max_threshold: u32,
    frto_on: bool,
    probes: bool,
    rack: Rack,
    prr: Prr,
    tlp: TailLossProbe,
    undo: Undo,
    frto: Frto,
    /// When RACK wants to look again.
    again: Option<Instant>,
    /// Segments sent again, and reported as duplicates, since the connection began.
    resent: u64,
    duplicates: u64,
}

/// One acknowledgement, read.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Ack {
    pub(super) report: Report,
    pub(super) delivery: Delivery,
    /// The highest position SACKed before it.
    pub(super) fack: Option<Pos>,
    /// SND.UNA and SND.NXT after it.
    pub(super) una: Pos,
    pub(super) nxt: Pos,
    /// It moved SND.UNA.
    pub(super) advances: bool,
    /// Nothing but the same number again.
    pub(super) repeated: bool,
    /// TSecr, and our timestamp clock's value at a given time.
    pub(super) echo: Option<u32>,
    pub(super) ts_offset: u32,
    pub(super) mss: u16,
    pub(super) may_send_new: bool,
    pub(super) min_rtt: Option<Duration>,
    pub(super) srtt: Option<Duration>,
    pub(super) now: Instant,
}

/// What an acknowledgement leads to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Outcome {
    /// Segments newly held lost.
    pub(super) lost: u32,
    /// The congestion window may grow by what was delivered.
    pub(super) may_grow: bool,
    /// A timeout turned out to be spurious.
    pub(super) spurious_timeout: bool,
}

impl SackRecovery {
    pub(super) fn new(cfg: &Config) -> Self {
        SackRecovery {
            phase: Phase::Open,
            recover: Pos::SYN,
            threshold: cfg.reordering.max(1),
            max_threshold: cfg.max_reordering,
            frto_on: cfg.frto,
            probes: cfg.early_retrans >= 3,
            rack: Rack::new(cfg.recovery),
            prr: Prr::default(),
            tlp: TailLossProbe::default(),
            undo: Undo::default(),
            frto: Frto::Off,
            again: None,
            resent: 0,
            duplicates: 0,
        }
    }

    /// An acknowledgement arrived, and `inflight` has taken in what it delivered.
    pub(super) fn on_ack(&mut self, ack: &Ack, inflight: &mut InFlight, cc: &mut Cc) -> Outcome {
        let mut outcome = Outcome::default();
        let probe_duplicated = self.take_duplicate(ack);
        self.take_reordering(ack);
        let is_copy = |sent: Instant| match ack.echo {
            Some(echo) => echo.wrapping_sub(super::open::ts_clock(sent, ack.ts_offset)).cast_signed() < 0,
            None => ack.min_rtt.is_some_and(|least| ack.now.since(sent) < least),
        };
        self.rack.on_delivered(&ack.delivery, ack.now, is_copy);
        self.rack.forget_to(ack.una);
        let answer = Answer { ack: ack.una, duplicate: probe_duplicated, repeated: ack.repeated };
        //= 8985#7.4.2
        if self.tlp.on_ack(answer) && self.phase <= Phase::Disorder {
            cc.on_loss(inflight.segments().saturating_add(ack.delivery.acked));
            cc.on_recovery_exit(inflight.segments());
        }
        self.take_end(ack, inflight, cc);
        match self.phase {
            Phase::Loss => outcome.spurious_timeout = self.take_loss(ack, inflight, cc),
            Phase::Recovery => self.take_partial(ack, inflight, cc),
            Phase::Open | Phase::Disorder => {
                if self.undo.is_disproved_by_duplicates() {
                    self.take_back(inflight, cc);
                }
            }
        }
        outcome.lost = self.look(inflight, RetransmitCause::Rack, ack.min_rtt, ack.srtt, ack.now);
        self.take_losses(inflight, cc, &ack.delivery, ack);
        if self.phase == Phase::Recovery {
            let safe = ack.advances && outcome.lost == 0;
            let (delivered, pipe) = (ack.delivery.delivered, inflight.pipe());
            self.prr.on_ack(Progress { delivered, pipe, ssthresh: cc.ssthresh(), safe });
        } else {
            outcome.may_grow = ack.advances;
        }
        outcome
    }

    /// The reordering timer ran out.
    pub(super) fn on_reordering_timeout(&mut self, inflight: &mut InFlight, cc: &mut Cc, at: &Ack) {
        let lost = self.look(inflight, RetransmitCause::ReorderingTimer, at.min_rtt, at.srtt, at.now);
        self.take_losses(inflight, cc, &at.delivery, at);
        if self.phase == Phase::Recovery && lost > 0 {
            let pipe = inflight.pipe();
            self.prr.on_ack(Progress { delivered: 0, pipe, ssthresh: cc.ssthresh(), safe: false });
        }
    }

    /// The retransmission timer ran out. True if that is news for congestion control: not in a recovery that has cut the
    /// window already.
    pub(super) fn on_timeout(&mut self, una: Pos, nxt: Pos, repeated: bool, inflight: &mut InFlight) -> bool {
        //= 2018#8
        if inflight.head().is_some_and(|head| head.mark == super::Mark::Sacked) {
            inflight.forget_sacks();
        }
        let fresh = self.phase <= Phase::Disorder || una >= self.recover;
        if fresh {
            self.undo.begin(una);
        }
        //= 5682#2.1
        self.frto.on_timeout(self.frto_on && (fresh || repeated));
        self.phase = Phase::Loss;
        self.recover = nxt;
        self.tlp.forget();
        self.again = None;
        fresh && !repeated
    }

    /// `[start, end)`, `segments` of them, goes out.
    pub(super) fn on_sent(&mut self, start: Pos, end: Pos, segments: u32, now: Instant) {
        self.rack.on_sent(start, end, now);
        if self.phase == Phase::Recovery {
            self.prr.on_sent(segments);
        }
    }

    /// What just went out had been sent before, at `tsval` of our timestamp clock.
    pub(super) fn on_resent(&mut self, segments: u32, tsval: Option<u32>) {
        self.resent = self.resent.saturating_add(u64::from(segments));
        self.undo.on_retransmit(segments, tsval);
    }

    /// A tail loss probe went out; `end` is SND.NXT after it.
    pub(super) fn on_probe(&mut self, end: Pos, retransmission: bool) {
        self.tlp.on_probe(end, retransmission);
    }

    /// How long after now a tail loss probe is due, if one is to be sent at all.
    pub(super) fn probe_timeout(
        &self,
        inflight: &InFlight,
        srtt: Option<Duration>,
        ack_delay: Duration,
    ) -> Option<Duration> {
        //= 8985#7.2
        let applies = self.probes && self.phase == Phase::Open && !self.tlp.is_out() && inflight.sacked() == 0;
        applies.then(|| TailLossProbe::timeout(srtt, inflight.segments() == 1, ack_delay))
    }

    /// When RACK wants to look again.
    pub(super) fn reordering_deadline(&self) -> Option<Instant> {
        self.again
    }

    /// The congestion window while PRR governs it.
    pub(super) fn cwnd(&self) -> Option<u32> {
        (self.phase == Phase::Recovery).then(|| self.prr.cwnd())
    }

    /// While true, nothing that is held lost goes again, and new data goes in its place.
    pub(super) fn is_probing_timeout(&self) -> bool {
        self.frto.is_probing()
    }

    pub(super) fn phase(&self) -> Phase {
        self.phase
    }

    /// The duplicate threshold: how many segments reordering was seen to span.
    pub(super) fn threshold(&self) -> u32 {
        self.threshold
    }

    pub(super) fn memory(&self) -> usize {
        self.rack.memory()
    }

    /// A D-SACK. True if it reports the tail loss probe.
    fn take_duplicate(&mut self, ack: &Ack) -> bool {
        let Some((start, end)) = ack.report.duplicate else { return false };
        let segments = u32::try_from(end.since(start).div_ceil(u64::from(ack.mss.max(1)))).unwrap_or(u32::MAX);
        self.duplicates = self.duplicates.saturating_add(u64::from(segments));
        // More duplicates than retransmissions: the network makes copies, and they say nothing about us.
        if self.duplicates > self.resent {
            return false;
        }
        self.undo.on_duplicate(end, segments);
        if self.tlp.is_end(end) {
            return true;
        }
        //= 8985#6.2
        if self.rack.has_seen_reordering() {
            self.rack.on_duplicate(ack.una, ack.nxt);
        }
        false
    }

    /// Something that was sent once arrived behind what was sent later: by how many segments is the new threshold.
    fn take_reordering(&mut self, ack: &Ack) {
        let (Some(fack), Some(lowest)) = (ack.fack, ack.delivery.lowest) else { return };
        if lowest < fack {
            self.rack.on_reordering();
            let span = u32::try_from(fack.since(lowest).div_ceil(u64::from(ack.mss.max(1)))).unwrap_or(u32::MAX);
            self.threshold = self.threshold.max(span.min(self.max_threshold));
        }
    }

    /// Recovery ends when everything that was in flight when it began is acknowledged.
    fn take_end(&mut self, ack: &Ack, inflight: &mut InFlight, cc: &mut Cc) {
        if self.phase <= Phase::Disorder || ack.una < self.recover || !ack.advances {
            return;
        }
        if self.phase == Phase::Loss && self.frto != Frto::Off {
            // The last word on the timeout is F-RTO's.
            return;
        }
        if self.undo.is_disproved(ack.echo) {
            self.take_back(inflight, cc);
            return;
        }
        if self.phase == Phase::Recovery {
            cc.on_recovery_exit(inflight.segments());
        } else {
            cc.on_repaired();
        }
        self.rack.on_recovery_exit();
        self.phase = Phase::Open;
    }

    /// An acknowledgement after a timeout. True if the timeout was spurious.
    fn take_loss(&mut self, ack: &Ack, inflight: &mut InFlight, cc: &mut Cc) -> bool {
        let complete = ack.una >= self.recover;
        let echoed = ack.advances && self.undo.is_disproved_by_echo(ack.echo);
        let original = ack.delivery.lowest.is_some_and(|lowest| lowest < self.recover);
        let opinion = self.frto.on_ack(Evidence {
            original,
            advances: ack.advances,
            complete,
            duplicate: !ack.advances && (ack.repeated || ack.delivery.sacked > 0),
            may_send_new: ack.may_send_new,
        });
        if echoed || opinion == Opinion::Spurious || self.undo.is_disproved_by_duplicates() {
            self.take_back(inflight, cc);
            return true;
        }
        if complete {
            cc.on_repaired();
            self.frto = Frto::Off;
            self.phase = Phase::Open;
            self.rack.on_recovery_exit();
        }
        false
    }

    /// An acknowledgement during fast recovery.
    fn take_partial(&mut self, ack: &Ack, inflight: &mut InFlight, cc: &mut Cc) {
        // Plain luck: the hole was filled by the original. While copies are out they may yet tell more.
        let echoed = ack.advances && self.undo.is_disproved_by_echo(ack.echo) && inflight.resent() == 0;
        if echoed || self.undo.is_disproved_by_duplicates() {
            self.take_back(inflight, cc);
        }
    }

    /// The reduction is taken back: nothing was lost.
    fn take_back(&mut self, inflight: &mut InFlight, cc: &mut Cc) {
        //= 4015#3
        inflight.forget_losses();
        self.rack.restart(inflight);
        self.undo.close();
        self.frto = Frto::Off;
        self.phase = Phase::Open;
        cc.on_undo();
    }

    /// RACK looks at what was overtaken.
    fn look(
        &mut self,
        inflight: &mut InFlight,
        why: RetransmitCause,
        min_rtt: Option<Duration>,
        srtt: Option<Duration>,
        now: Instant,
    ) -> u32 {
        let recovering = self.phase >= Phase::Recovery;
        let s = Surroundings { min_rtt, srtt, recovering, sacked: inflight.sacked(), threshold: self.threshold };
        let Found { lost, again } = self.rack.detect_loss(inflight, &s, why, now);
        self.again = again;
        lost
    }

    /// What follows from what is held lost: recovery, or only disorder.
    fn take_losses(&mut self, inflight: &InFlight, cc: &mut Cc, delivery: &Delivery, ack: &Ack) {
        if self.phase >= Phase::Recovery {
            return;
        }
        if inflight.lost() == 0 {
            self.phase = if inflight.sacked() > 0 { Phase::Disorder } else { Phase::Open };
            return;
        }
        //= 6675#5
        self.phase = Phase::Recovery;
        self.recover = ack.nxt;
        self.undo.begin(ack.una);
        self.tlp.forget();
        self.prr = Prr::new(inflight.segments(), inflight.sacked(), delivery.delivered);
        cc.on_loss(inflight.segments().saturating_add(delivery.acked));
    }
}
