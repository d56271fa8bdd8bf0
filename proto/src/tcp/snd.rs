//! The sending half: SND variables, what is queued, what is in flight, and how much more may go.
//!
//! Sections: RFC 9293 3.3.1, 3.8.6 (window), 3.8.6.2.1 (sender's silly-window avoidance), 3.7.4 (Nagle); RFC 5681 3.1.
//! In: bytes of the application, windows and acknowledgements of the peer.
//! Out: how long the next burst may be, or what holds it back.

use alloc::boxed::Box;
use alloc::collections::VecDeque;

use super::cc::{Cc, Sample};
use super::inflight::{Delivery, InFlight};
use super::pacing::Pacer;
use super::pmtu::{Claim, Judgement, PathMtu};
use super::recovery::{DupAck, NewAck, Recovery};
use super::rtt::Rtt;
use super::sack::{Ack, SackRecovery};
use super::scoreboard::Report;
use super::sendq::SendQueue;
use super::{Common, Config, RetransmitCause};
use crate::time::Instant;
use crate::wire::{Pos, Seq, Space};

/// Everything that one connection knows of its sending direction.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct SendHalf {
    /// Our sequence space: ISS is its origin.
    pub(super) space: Space,
    /// SND.UNA.
    pub(super) una: Pos,
    /// SND.NXT.
    pub(super) nxt: Pos,
    /// SND.WND, bytes, scaled.
    pub(super) wnd: u32,
    /// SND.WL1: SEG.SEQ of the last window update.
    pub(super) wl1: Pos,
    /// SND.WL2: SEG.ACK of the last window update.
    pub(super) wl2: Pos,
    /// MAX.SND.WND: the largest window that the peer ever offered.
    pub(super) max_wnd: u32,
    /// The peer's window scale.
    pub(super) wscale: u8,
    /// Payload bytes of a full-sized segment, the options that every segment carries taken off.
    pub(super) mss: u16,
    /// SND.UP: behind the last urgent byte; the SYN's position when there never was one.
    pub(super) up: Pos,
    /// The size of the send buffer, bytes.
    pub(super) buffer: u32,
    /// Bytes that the application wrote and the peer has not acknowledged.
    pub(super) queue: SendQueue,
    /// What of it is on its way.
    pub(super) inflight: InFlight,
    /// CLOSE was called: a FIN stands behind the last byte of the queue.
    pub(super) closing: bool,
    /// A write was cut short, and the application waits for room.
    pub(super) blocked: bool,
    /// The last write said that more would follow at once (MSG_MORE).
    pub(super) more: bool,
    /// The round-trip time and the timeout that follows from it.
    pub(super) rtt: Rtt,
    /// The congestion window.
    pub(super) cc: Cc,
    /// When the next burst may leave.
    pub(super) pacer: Pacer,
    /// Duplicate acknowledgements and fast recovery.
    pub(super) recovery: Recovery,
    /// The same with SACK, if both sides permit it.
    pub(super) sack: Option<Box<SackRecovery>>,
    /// A tail loss probe is due.
    pub(super) tail_probe_due: bool,
    /// Why what is held lost is sent again.
    pub(super) repair: RetransmitCause,
    /// The first lost segment does not ask for room in the congestion window.
    pub(super) repair_now: bool,
    /// Timeouts or probes in a row that nothing answered.
    pub(super) retries: u8,
    /// The next probe of a closed window is due.
    pub(super) probe_due: bool,
    /// Up to here nothing waits any longer for company: the cork's or the silly-window timer ran out.
    pub(super) hurry: Pos,
    /// The end of the last segment that was sent with less than a full load (Minshall's variant of Nagle).
    small: Pos,
    /// The ends of writes, for PSH.
    pushes: Pushes,
    /// How large segments may be, and why.
    pub(super) pmtu: PathMtu,
    /// When SND.UNA last moved, or began to lag behind.
    pub(super) progress: Instant,
    /// When data was last sent.
    pub(super) last_sent: Instant,
}

/// What the next burst of new data may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Allowance {
    /// So many bytes may go now.
    Send(u64),
    /// Nothing is left that was not sent.
    Empty,
    /// The peer's window is full.
    Window,
    /// The congestion window is full.
    Congestion,
    /// A segment that is not full waits for more, for an acknowledgement, or for a wider window.
    Small,
}

impl SendHalf {
    /// A half that has sent nothing, not even the SYN.
    pub(super) fn new(cfg: &Config, iss: Seq, mss: u16, now: Instant) -> Self {
        SendHalf {
            space: Space::new(iss),
            una: Pos::SYN,
            nxt: Pos::SYN,
            wnd: 0,
            wl1: Pos::SYN,
            wl2: Pos::SYN,
            max_wnd: 0,
            wscale: 0,
            mss,
            up: Pos::SYN,
            buffer: cfg.snd_buf,
            queue: SendQueue::new(Pos::FIRST),
            inflight: InFlight::default(),
            closing: false,
            blocked: false,
            more: false,
            rtt: Rtt::new(cfg.rto_initial, cfg.rto_min, cfg.rto_max),
            cc: Cc::new(cfg, cfg.initial_window),
            pacer: Pacer::default(),
            recovery: Recovery::default(),
            sack: None,
            tail_probe_due: false,
            repair: RetransmitCause::AfterTimeout,
            repair_now: false,
            retries: 0,
            probe_due: false,
            hurry: Pos::SYN,
            small: Pos::SYN,
            pushes: Pushes::default(),
            pmtu: PathMtu::default(),
            progress: now,
            last_sent: now,
        }
    }

    /// True once the peer has acknowledged our SYN.
    pub(super) fn syn_acked(&self) -> bool {
        self.una > Pos::SYN
    }

    /// The end of everything that is to be sent: the last byte written, and the FIN behind it.
    pub(super) fn end(&self) -> Pos {
        self.queue.end() + u64::from(self.closing)
    }

    /// True if the FIN was sent.
    pub(super) fn fin_sent(&self) -> bool {
        self.closing && self.nxt > self.queue.end()
    }

    /// True if the peer has acknowledged our FIN.
    pub(super) fn fin_acked(&self) -> bool {
        self.closing && self.una > self.queue.end()
    }

    /// True if something was sent and not acknowledged.
    pub(super) fn is_outstanding(&self) -> bool {
        self.una < self.nxt
    }

    /// True if something waits that was never sent.
    pub(super) fn has_unsent(&self) -> bool {
        self.nxt < self.end()
    }

    /// The right edge of the peer's window.
    pub(super) fn edge(&self) -> Pos {
        self.una + u64::from(self.wnd)
    }

    /// The sequence number for a segment that carries nothing: SND.NXT, unless the peer has shrunk its window and
    /// would not accept that.
    pub(super) fn acceptable_seq(&self) -> Pos {
        //= 9293/MUST-34
        // Like Linux: the right edge of a shrunk window is the highest number that the peer accepts. By less than a unit of
        // its scale no window has shrunk: there the field was rounded (RFC 7323 2.4).
        //= 7323#2.4
        if self.nxt.since(self.edge()) < 1 << self.wscale {
            return self.nxt;
        }
        self.nxt.min(self.edge()).max(self.una)
    }

    /// An acknowledgement of everything before `ack`, which lies between SND.UNA and SND.NXT.
    pub(super) fn advance(&mut self, ack: Pos, delivery: &mut Delivery, now: Instant) {
        self.una = ack;
        self.progress = now;
        self.retries = 0;
        self.probe_due = false;
        self.queue.ack_to(ack.min(self.queue.end()).max(Pos::FIRST));
        self.pushes.forget_to(ack);
        self.inflight.ack_to(ack, delivery);
        if self.pmtu.on_ack(ack) {
            self.mss = self.pmtu.mss();
        }
    }

    /// A router says that the segment with this number was larger than its link. It goes again in smaller ones, at
    /// once and with all others that were too large: that they are lost says nothing of congestion.
    pub(super) fn on_packet_too_big(&mut self, claim: Claim) -> Judgement {
        let judgement = self.pmtu.on_claim(claim, self.inflight.largest());
        if judgement == Judgement::Believed {
            self.mss = self.pmtu.mss();
            let mss = self.mss;
            self.inflight.mark_lost_where(RetransmitCause::PathMtu, |run| run.size > mss);
            self.repair = RetransmitCause::PathMtu;
            self.repair_now = true;
        }
        judgement
    }

    /// The window that a segment offers: SND.WND <- SEG.WND, SND.WL1 <- SEG.SEQ, SND.WL2 <- SEG.ACK, if it is newer
    /// than the last that did so. True if the window changed.
    pub(super) fn take_window(&mut self, seq: Pos, ack: Pos, wnd: u32) -> bool {
        // DEVIATES: 9293 3.10.7.4: an acknowledgement that moves SND.UNA brings its window along even with an old
        // number, as a retransmission's. Else the right edge would follow SND.UNA beyond all that the peer has offered.
        // Like Linux.
        let newer = self.wl1 < seq || (self.wl1 == seq && self.wl2 <= ack) || self.una < ack;
        let changed = newer && self.wnd != wnd;
        if newer {
            self.set_window(self.wl1.max(seq), ack, wnd);
        }
        changed
    }

    /// The first window that the peer offers, or a newer one.
    pub(super) fn set_window(&mut self, seq: Pos, ack: Pos, wnd: u32) {
        self.wnd = wnd;
        self.wl1 = seq;
        self.wl2 = ack;
        self.max_wnd = self.max_wnd.max(wnd);
    }

    /// How many bytes of new data may go in one burst of `burst` bytes at the most, in segments of `size`.
    pub(super) fn allowance(&self, cfg: &Config, size: u64, burst: u64) -> Allowance {
        let unsent = self.queue.end().since(self.nxt);
        //= 9293/MUST-34
        //= 9293/SHLD-15
        let usable = self.edge().since(self.nxt);
        let room = u64::from(self.congestion_room()) * size;
        if unsent == 0 {
            return Allowance::Empty;
        } else if usable == 0 {
            return Allowance::Window;
        } else if room == 0 {
            return Allowance::Congestion;
        }
        let whole_burst = (burst - burst % size).max(size);
        let most = unsent.min(usable).min(room).min(whole_burst);
        let tail = most % size;
        //= 9293/MUST-38
        //= 9293/SHLD-28
        if tail == 0 || self.may_send_small(cfg, most, unsent, usable, size) {
            Allowance::Send(most)
        } else if most > tail {
            Allowance::Send(most - tail)
        } else if most == usable {
            Allowance::Window
        } else {
            Allowance::Small
        }
    }

    /// Whether a burst of `most` bytes may end with a segment that is not full.
    fn may_send_small(&self, cfg: &Config, most: u64, unsent: u64, usable: u64, size: u64) -> bool {
        if self.nxt + most <= self.hurry {
            true
        } else if most == unsent {
            //= 9293/SHLD-7
            //= 9293/MUST-17
            // Minshall's variant of Nagle, like Linux: only small segments wait for each other.
            let nagle = !cfg.nagle || self.small <= self.una || self.up > self.nxt;
            self.closing || (nagle && !self.is_corked(cfg))
        } else {
            // Cut by the peer's window: worth sending alone if it is half of the widest that the peer ever offered.
            most == usable && most < size && most >= u64::from(self.max_wnd / 2)
        }
    }

    /// True if a segment that is not full waits for more data to come.
    pub(super) const fn is_corked(&self, cfg: &Config) -> bool {
        cfg.cork || self.more
    }

    /// While true, F-RTO wants new data to go, and nothing again.
    pub(super) fn is_probing_timeout(&self) -> bool {
        self.sack.as_ref().is_some_and(|sack| sack.is_probing_timeout())
    }

    /// The congestion window: the controller's, but PRR's while losses are repaired.
    pub(super) fn cwnd(&self) -> u32 {
        let repairing = self
            .sack
            .as_ref()
            .filter(|_| !self.cc.is_constant() && !self.cc.is_model_based())
            .and_then(|sack| sack.cwnd())
            .map(|cwnd| cwnd.max(1));
        repairing.unwrap_or_else(|| self.cc.cwnd())
    }

    /// How many more segments the congestion window lets into the network.
    pub(super) fn congestion_room(&self) -> u32 {
        match &self.sack {
            Some(_) => self.cwnd().saturating_sub(self.inflight.pipe()),
            None => self.recovery.room(self.cc.cwnd(), self.inflight.segments(), self.inflight.lost()),
        }
    }

    /// An acknowledgement of new data, for recovery and congestion control. True if the retransmission timer starts anew.
    pub(super) fn on_ack_of_data(&mut self, sample: &Sample) -> bool {
        let after_timeout = self.recovery.is_after_timeout();
        let news = self.recovery.on_ack(self.una, sample.acked);
        if after_timeout && !self.recovery.is_after_timeout() {
            self.cc.on_repaired();
        }
        if news == NewAck::Full {
            self.cc.on_recovery_exit(self.inflight.segments());
        }
        if news == NewAck::Ordinary || self.cc.is_model_based() {
            self.cc.on_ack(sample);
            if self.cc.discounts_samples() {
                self.inflight.mark_app_limited();
            }
        }
        match news {
            NewAck::Ordinary | NewAck::Within | NewAck::Full => {}
            NewAck::Partial { first } => {
                self.repair_head(RetransmitCause::PartialAck);
                return first;
            }
        }
        true
    }

    /// Segments in the network.
    pub(super) fn pipe(&self) -> u32 {
        match &self.sack {
            Some(_) => self.inflight.pipe(),
            None => self.recovery.pipe(self.inflight.segments(), self.inflight.lost()),
        }
    }

    /// Tells the controller of what was held lost.
    pub(super) fn tell_losses(&mut self, now: Instant) {
        for lost in self.inflight.take_losses() {
            self.cc.on_lost(&lost, now);
        }
    }

    /// More is about to be sent, or acknowledged: was there room before, and nothing to send?
    pub(super) fn check_app_limited(&mut self) {
        //= bbr#4.1.2.4
        if !self.has_unsent() && self.inflight.lost() == 0 && self.congestion_room() > 0 {
            self.inflight.mark_app_limited();
        }
    }

    /// A duplicate acknowledgement, by the definition of RFC 5681 2.
    pub(super) fn on_duplicate_ack(&mut self) {
        match self.recovery.on_dup_ack(self.una, self.nxt, self.inflight.segments()) {
            // A probe that was too large is no sign of congestion (RFC 4821 7.6.1).
            //= 8899#4.4
            DupAck::FastRetransmit { .. } if self.pmtu.on_loss(self.una) => self.repair_head(RetransmitCause::PathMtu),
            DupAck::FastRetransmit { flight } => {
                self.cc.on_loss(flight);
                self.repair_head(RetransmitCause::Fast);
            }
            DupAck::Counted | DupAck::Ignored => {}
        }
    }

    /// RACK's timer ran out.
    pub(super) fn on_reordering_timeout(&mut self, c: &Common, now: Instant) {
        let Some(sack) = &mut self.sack else { return };
        let at = Ack {
            report: Report::default(),
            delivery: Delivery::default(),
            fack: None,
            una: self.una,
            nxt: self.nxt,
            advances: false,
            repeated: false,
            echo: None,
            ts_offset: c.ts_offset,
            mss: self.mss,
            may_send_new: false,
            min_rtt: self.rtt.min_rtt(),
            srtt: self.rtt.srtt(),
            now,
        };
        sack.on_reordering_timeout(&mut self.inflight, &mut self.cc, &at);
    }

    /// The first segment in flight goes again, and does not wait for room in the congestion window.
    fn repair_head(&mut self, cause: RetransmitCause) {
        self.inflight.mark_head_lost(cause);
        self.repair = cause;
        self.repair_now = true;
    }

    /// New data went out, up to `end`; its last segment was not full if `small`.
    pub(super) fn on_new_data_sent(&mut self, end: Pos, small: bool, now: Instant) {
        if small {
            self.small = end;
        }
        self.last_sent = now;
        self.nxt = self.nxt.max(end);
    }

    /// The application has written up to the end of the queue.
    pub(super) fn on_written(&mut self) {
        self.pushes.push(self.queue.end(), self.mss);
    }

    /// Whether a burst that ends at `end` carries PSH: it holds the end of a write, or more than half of the peer's
    /// largest window went by without one.
    pub(super) fn takes_push(&mut self, start: Pos, end: Pos) -> bool {
        //= 9293/MUST-60
        //= 9293/MUST-61
        //= 9293/SHLD-27
        self.pushes.take(start, end, u64::from(self.max_wnd / 2))
    }
}

/// The ends of writes that are not acknowledged yet, those closer than a segment to the next one left out.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
struct Pushes {
    ends: VecDeque<Pos>,
    /// Where the last segment with PSH ended.
    last: Pos,
}

impl Pushes {
    fn push(&mut self, end: Pos, mss: u16) {
        let near = |before: &Pos| end.since(*before) < u64::from(mss);
        if self.ends.len() > 1 && self.ends.get(self.ends.len() - 2).is_some_and(near) {
            self.ends.pop_back();
        }
        self.ends.push_back(end);
    }

    fn forget_to(&mut self, una: Pos) {
        while self.ends.front().is_some_and(|end| *end <= una) {
            self.ends.pop_front();
        }
    }

    fn take(&mut self, start: Pos, end: Pos, half_window: u64) -> bool {
        let holds_an_end = self.ends.iter().any(|mark| start < *mark && *mark <= end);
        // Like Linux: a long write is pushed once per half window, so that a slow reader is not kept waiting.
        let push = holds_an_end || end.since(self.last.max(Pos::FIRST)) > half_window;
        if push {
            self.last = self.last.max(end);
        }
        push
    }
}
