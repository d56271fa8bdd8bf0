//! SEGMENT ARRIVES, once both initial sequence numbers are known: the steps of the RFC's list, in its order.
//!
//! Sections: RFC 9293 3.10.7.4; RFC 5961 3 to 5; RFC 7323 4.3, 5.3; RFC 5681 3.2, 4.2; RFC 6093.
//! In: a parsed segment, its numbers turned into positions.
//! Out: what became of it, and everything that it changed.

use arrayvec::ArrayVec;
use bytes::Bytes;

use super::cc::Sample;
use super::check::{AckKind, ResetKind, View, check_flags};
use super::inflight::Delivery;
use super::open::ts_clock;
use super::sack::Ack;
use super::scoreboard::{Extent, Report};
use super::state::Live;
use super::{
    AckCause, CloseReason, Common, DropReason, Event, Pressure, ResetCause, RetransmitCause, Segment, State, Timer,
    Verdict,
};
use crate::time::{Duration, Instant};
use crate::wire::{Flags, Pos, SackBlock, Seq, Timestamps};

/// An arriving segment in this connection's own terms.
pub(super) struct Arrival {
    /// SEG.SEQ.
    seq: Pos,
    /// SEG.ACK, as a position and as it stood on the wire.
    ack: Pos,
    raw_ack: Seq,
    /// SEG.WND, scaled.
    wnd: u32,
    /// SEG.UP.
    urgent: u16,
    flags: Flags,
    timestamps: Option<Timestamps>,
    /// Its SACK blocks.
    sack: ArrayVec<SackBlock, 4>,
    payload: Bytes,
    /// Where its FIN stands, if it has one.
    fin: Option<Pos>,
    /// How many wire segments it was.
    segments: u16,
    /// A part that could not be taken in, although the segment itself is acceptable.
    refused: Option<DropReason>,
}

/// Why the walk through the steps ends before the last of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stop {
    /// The segment is dropped in silence.
    Drop(DropReason),
    /// The segment is dropped, and an answer is on its way.
    Answer(DropReason),
    /// The segment ends the connection.
    Close(CloseReason),
    /// The segment makes us reset the connection.
    Reset(DropReason, ResetCause),
}

impl From<DropReason> for Stop {
    fn from(reason: DropReason) -> Self {
        Stop::Drop(reason)
    }
}

impl Arrival {
    /// Moves a segment across the border: from here on every number is a position near RCV.NXT or SND.UNA.
    pub(super) fn new(live: &Live, segment: Segment) -> Self {
        let Segment { header, payload, segments, .. } = segment;
        // The window field of a segment with SYN is never scaled (RFC 7323 2.2).
        //= 9293/MUST-1
        //= 9293/REC-1
        let scale = if header.flags.has(Flags::SYN) { 0 } else { live.snd.wscale };
        let seq = live.rcv.space.pos(header.seq, live.rcv.nxt());
        let before_fin = payload.len() as u64 + u64::from(header.flags.has(Flags::SYN));
        Arrival {
            seq,
            fin: header.flags.has(Flags::FIN).then(|| seq + before_fin),
            ack: live.snd.space.pos(header.ack, live.snd.una),
            raw_ack: header.ack,
            wnd: u32::from(header.window) << scale,
            urgent: header.urgent,
            flags: header.flags,
            timestamps: header.options.timestamps,
            sack: header.options.sack,
            payload,
            segments: segments.max(1),
            refused: None,
        }
    }

    /// SEG.LEN.
    fn len(&self) -> u64 {
        self.payload.len() as u64 + u64::from(self.flags.has(Flags::SYN)) + u64::from(self.fin.is_some())
    }

    /// Where the payload starts: behind the SYN, if there is one.
    fn data(&self) -> Pos {
        self.seq + u64::from(self.flags.has(Flags::SYN))
    }

    /// Nothing but an acknowledgement, as RFC 5681 2 counts duplicates.
    fn is_bare(&self) -> bool {
        self.len() == 0
    }

    /// The acknowledgement and the urgent pointer still count; text and FIN do not.
    fn drop_text(&mut self, reason: DropReason) {
        self.payload = Bytes::new();
        self.fin = None;
        self.refused = Some(reason);
    }
}

impl Live {
    /// The steps of RFC 9293 3.10.7.4. The third, security and compartment, is not in use.
    pub(super) fn on_segment(&mut self, c: &mut Common, segment: Segment, now: Instant) -> Result<(), Stop> {
        let mut seg = Arrival::new(self, segment);
        check_flags(seg.flags)?;
        self.check_sequence(c, &mut seg, now)?;
        self.check_reset(c, &seg, now)?;
        self.check_syn(c, &seg, now)?;
        let kind = self.check_ack(c, &seg, now)?;
        self.on_heard(now);
        c.unreachable = false;
        self.take_timestamp(&seg, now);
        self.take_ack(c, &seg, kind, now)?;
        self.take_urgent(c, &seg);
        self.take_data(c, &mut seg, now)?;
        self.take_fin(c, &seg, now);
        seg.refused.map_or(Ok(()), |reason| Err(Stop::Answer(reason)))
    }

    /// What the checks read.
    fn view(&self) -> View {
        View {
            rcv_nxt: self.rcv.nxt(),
            rcv_wnd: self.rcv.wnd(),
            snd_una: self.snd.una,
            snd_nxt: self.snd.nxt,
            max_snd_wnd: self.snd.max_wnd,
        }
    }

    /// First, check the sequence number; before it the timestamp, as RFC 7323 5.3 asks.
    fn check_sequence(&mut self, c: &Common, seg: &mut Arrival, now: Instant) -> Result<(), Stop> {
        if seg.flags.has(Flags::RST) {
            // A RST has its own, stricter test and gets no answer.
            return Ok(());
        }
        //= 7323#5.3
        if let (Some(paws), Some(ts)) = (&self.rcv.paws, seg.timestamps)
            && let Err(reason) = paws.check_paws(ts.val, false, now)
        {
            return Err(self.answer(c, seg, reason, now));
        }
        if self.is_syn_of_simultaneous_open(seg) {
            return self.take_repeated_syn(seg);
        }
        let view = self.view();
        match view.check_sequence(seg.seq, seg.len()) {
            Ok(()) => Ok(()),
            //= 9293/MUST-66
            Err(reason) if view.rcv_wnd == 0 && seg.seq == view.rcv_nxt => {
                // The window is closed: the text is refused, but a valid ACK and URG count.
                seg.drop_text(reason);
                self.rcv.acks.demand(AckCause::ProbeAnswer);
                Ok(())
            }
            Err(reason) => {
                self.take_timestamp_of_repeat(&view, seg, now);
                Err(self.answer(c, seg, reason, now))
            }
        }
    }

    /// The segment that we acknowledged last has come again, so that acknowledgement was lost. The next one shall echo
    /// this copy, or the peer would take the time that it waited for a round trip.
    fn take_timestamp_of_repeat(&mut self, view: &View, seg: &Arrival, now: Instant) {
        // Like Linux: only the very last segment, and only if its acknowledgement is valid, since any old number would
        // come this far.
        if seg.seq + seg.len() == view.rcv_nxt && seg.flags.has(Flags::ACK) && view.check_ack(seg.ack).is_ok() {
            self.take_timestamp(seg, now);
        }
    }

    /// In SYN-RECEIVED after a simultaneous open, the peer's SYN comes again, with or without the acknowledgement of ours.
    fn is_syn_of_simultaneous_open(&self, seg: &Arrival) -> bool {
        !self.snd.syn_acked() && seg.flags.has(Flags::SYN) && seg.seq == Pos::SYN
    }

    /// The SYN itself lies before the window and is trimmed off (RFC 9293 3.5, Figure 8); without ACK it asks for our
    /// SYN-ACK once more.
    fn take_repeated_syn(&mut self, seg: &mut Arrival) -> Result<(), Stop> {
        if seg.flags.has(Flags::ACK) {
            seg.seq = Pos::FIRST;
            seg.flags = Flags(seg.flags.0 & !Flags::SYN.0);
            if self.view().is_ack_of_syn(seg.ack) {
                self.rcv.acks.demand(AckCause::Handshake);
            }
            return Ok(());
        }
        self.snd.inflight.mark_all_lost(RetransmitCause::AfterTimeout);
        self.snd.repair = RetransmitCause::SynAck(0);
        Err(Stop::Answer(DropReason::Duplicate))
    }

    /// Second, check the RST bit.
    fn check_reset(&mut self, c: &Common, seg: &Arrival, now: Instant) -> Result<(), Stop> {
        if !seg.flags.has(Flags::RST) {
            return Ok(());
        }
        //= 1337#3
        if self.state() == State::TimeWait {
            return Err(Stop::Drop(DropReason::TimeWaitAssassination));
        }
        match self.view().check_reset(seg.seq)? {
            //= 9293/MUST-11
            //= 9293/MUST-12
            ResetKind::Exact if !self.snd.syn_acked() && !c.passive => Err(Stop::Close(CloseReason::Refused)),
            ResetKind::Exact => Err(Stop::Close(CloseReason::Reset)),
            ResetKind::InWindow => Err(self.challenge(c, DropReason::ResetNotExact, now)),
        }
    }

    /// Fourth, check the SYN bit.
    fn check_syn(&mut self, c: &Common, seg: &Arrival, now: Instant) -> Result<(), Stop> {
        //= 5961#4.2
        if seg.flags.has(Flags::SYN) { Err(self.challenge(c, DropReason::SynInWindow, now)) } else { Ok(()) }
    }

    /// Fifth, check the ACK field.
    fn check_ack(&mut self, c: &mut Common, seg: &Arrival, now: Instant) -> Result<AckKind, Stop> {
        if !seg.flags.has(Flags::ACK) {
            return Err(Stop::Drop(DropReason::NoAck));
        }
        if !self.snd.syn_acked() {
            if self.view().is_ack_of_syn(seg.ack) {
                return Ok(AckKind::Advances);
            }
            c.reply_with_reset(seg.raw_ack);
            return Err(Stop::Answer(DropReason::AckTooNew));
        }
        self.view().check_ack(seg.ack).map_err(|reason| self.challenge(c, reason, now))
    }

    /// TS.Recent follows the segments that touch the left edge of the window.
    fn take_timestamp(&mut self, seg: &Arrival, now: Instant) {
        //= 7323#4.3
        if let (Some(paws), Some(ts)) = (&mut self.rcv.paws, seg.timestamps) {
            paws.on_segment(ts.val, seg.seq, self.rcv.last_ack_sent, now);
        }
    }

    /// The rest of the fifth step: what an acceptable acknowledgement does.
    fn take_ack(&mut self, c: &mut Common, seg: &Arrival, kind: AckKind, now: Instant) -> Result<(), Stop> {
        c.stats.last_ack_recv = Some(now);
        if !self.snd.syn_acked() {
            self.take_ack_of_syn(c, seg, now);
            return Ok(());
        }
        let una = self.snd.una;
        let window_changed = seg.ack >= una && self.take_window(seg, now);
        if self.snd.sack.is_some() {
            self.on_ack_with_sack(c, seg, kind, window_changed, now);
        } else {
            self.on_ack_without_sack(c, seg, kind, window_changed, now);
        }
        match self.state() {
            // In LAST-ACK the acknowledgement of our FIN is the end.
            State::LastAck if self.snd.fin_acked() => Err(Stop::Close(CloseReason::Normal)),
            _ => Ok(()),
        }
    }

    /// Loss recovery by duplicates: the peer does not permit SACK.
    fn on_ack_without_sack(
        &mut self,
        c: &mut Common,
        seg: &Arrival,
        kind: AckKind,
        window_changed: bool,
        now: Instant,
    ) {
        let una = self.snd.una;
        match kind {
            AckKind::Advances => self.on_new_ack(c, seg, now),
            AckKind::Duplicate if seg.ack == una => self.on_same_ack(seg, window_changed, now),
            AckKind::Duplicate => {}
        }
    }

    /// An acknowledgement, old ones included, for a sender that keeps a scoreboard.
    fn on_ack_with_sack(&mut self, c: &mut Common, seg: &Arrival, kind: AckKind, window_changed: bool, now: Instant) {
        let snd = &mut self.snd;
        let (una, in_flight, fack) = (snd.una, snd.inflight.segments(), snd.inflight.highest_sacked());
        let advances = kind == AckKind::Advances;
        if !advances && !snd.is_outstanding() {
            snd.retries = 0;
            snd.progress = now;
        }
        let had_room = c.has_room(snd);
        let cwnd_limited = snd.congestion_room() == 0;
        snd.check_app_limited();
        let extent = Extent { una, nxt: snd.nxt, ack: seg.ack, max_wnd: snd.max_wnd };
        let report = if seg.sack.is_empty() { Report::default() } else { Report::new(&seg.sack, snd.space, extent) };
        let mut delivery = Delivery::default();
        if advances {
            snd.advance(seg.ack, &mut delivery, now);
            c.stats.bytes_acked += seg.ack.min(snd.queue.end()).since(una.max(Pos::FIRST));
        }
        for &(start, end) in &report.held {
            snd.inflight.on_sack(start, end, &mut delivery);
        }
        let rtt = if advances { self.take_round_trip(c, seg, &delivery, now) } else { None };
        let snd = &mut self.snd;
        let echo = seg.timestamps.filter(|_| self.rcv.paws.is_some()).map(|ts| ts.ecr);
        let ack = Ack {
            fack,
            una: snd.una,
            nxt: snd.nxt,
            advances,
            repeated: seg.ack == una && seg.is_bare() && !window_changed && seg.sack.is_empty() && una < snd.nxt,
            echo,
            ts_offset: c.ts_offset,
            mss: snd.mss,
            may_send_new: snd.has_unsent() && snd.nxt < snd.edge(),
            min_rtt: snd.rtt.min_rtt(),
            srtt: snd.rtt.srtt(),
            now,
            report,
            delivery,
        };
        let Some(sack) = &mut snd.sack else { return };
        let outcome = sack.on_ack(&ack, &mut snd.inflight, &mut snd.cc);
        if outcome.spurious_timeout {
            //= 4015#3
            snd.rtt.on_spurious_timeout();
            snd.retries = 0;
        }
        let may_grow = !sack.is_probing_timeout() && outcome.may_grow;
        let rate = snd.inflight.take_rate_sample(&delivery, ack.min_rtt, now);
        snd.tell_losses(now);
        if may_grow || snd.cc.is_model_based() {
            let sample = Sample {
                acked: delivery.delivered,
                delivered: delivery.delivered,
                lost: outcome.lost,
                in_flight,
                cwnd_limited,
                una: snd.una,
                nxt: snd.nxt,
                rtt,
                srtt: ack.srtt.unwrap_or_default(),
                pipe: snd.inflight.pipe(),
                mss: u32::from(snd.mss),
                rate,
                now,
            };
            snd.cc.on_ack(&sample);
            if snd.cc.discounts_samples() {
                snd.inflight.mark_app_limited();
            }
        }
        if advances {
            //= 6298#5.2
            //= 6298#5.3
            for timer in [Timer::Retransmission, Timer::TailLossProbe, Timer::Persist] {
                c.timers.cancel(timer);
            }
            self.tell_of_room(c, had_room);
        }
    }

    /// SND.WND <- SEG.WND, if the segment is not older than the last that changed it. True if it changed.
    fn take_window(&mut self, seg: &Arrival, now: Instant) -> bool {
        let closed = self.snd.wnd == 0;
        let changed = self.snd.take_window(seg.seq, seg.ack, seg.wnd);
        if self.snd.wnd == 0 {
            self.snd.on_closed_window_answered(now);
        } else {
            self.snd.probe_due = false;
        }
        if closed != (self.snd.wnd == 0) {
            // Probes count from the first, and what was sent in vain to a closed window is forgotten when it opens.
            self.snd.rtt.on_progress();
        }
        changed
    }

    /// Our SYN is acknowledged: SYN-SENT or SYN-RECEIVED becomes ESTABLISHED.
    pub(super) fn take_ack_of_syn(&mut self, c: &mut Common, seg: &Arrival, now: Instant) {
        let retransmits = self.snd.inflight.head().map_or(0, |syn| syn.retransmits);
        self.snd.set_window(seg.seq, seg.ack, seg.wnd);
        let mut delivery = Delivery::default();
        self.snd.advance(seg.ack, &mut delivery, now);
        self.take_round_trip(c, seg, &delivery, now);
        self.snd.rtt.on_progress();
        self.on_established(c, retransmits);
        c.stats.end_timeouts(now);
        c.timers.cancel(Timer::Retransmission);
    }

    /// Sixth to eighth step for what stands beside the SYN of a SYN-ACK.
    pub(super) fn take_text_of_syn(&mut self, c: &mut Common, mut seg: Arrival, now: Instant) {
        self.take_urgent(c, &seg);
        // What cannot be taken in here is not acknowledged either, so the peer sends it again.
        let _ = self.take_data(c, &mut seg, now);
        self.take_fin(c, &seg, now);
    }

    /// SND.UNA moves.
    fn on_new_ack(&mut self, c: &mut Common, seg: &Arrival, now: Instant) {
        let (una, in_flight) = (self.snd.una, self.snd.inflight.segments());
        let had_room = c.has_room(&self.snd);
        let cwnd_limited = self.snd.congestion_room() == 0;
        self.snd.check_app_limited();
        let probed = self.snd.retries > 0 && c.timers.deadline(Timer::Persist).is_some();
        let mut delivery = Delivery::default();
        self.snd.advance(seg.ack, &mut delivery, now);
        // The answer to a probe acknowledges what arrived long before: its age is no round trip.
        //= 9293/MUST-18
        delivery.oldest = delivery.oldest.filter(|_| !probed);
        c.stats.bytes_acked += seg.ack.min(self.snd.queue.end()).since(una.max(Pos::FIRST));
        let rtt = self.take_round_trip(c, seg, &delivery, now);
        c.stats.delivered = c.stats.delivered.saturating_add(delivery.delivered);
        let sample = Sample {
            acked: delivery.acked,
            delivered: delivery.delivered,
            lost: 0,
            in_flight,
            cwnd_limited,
            una: self.snd.una,
            nxt: self.snd.nxt,
            rtt,
            srtt: self.snd.rtt.srtt().unwrap_or_default(),
            pipe: self.snd.pipe(),
            mss: u32::from(self.snd.mss),
            rate: self.snd.inflight.take_rate_sample(&delivery, self.snd.rtt.min_rtt(), now),
            now,
        };
        //= 6298#5.2
        //= 6298#5.3
        if self.snd.on_ack_of_data(&sample) {
            c.timers.cancel(Timer::Retransmission);
        }
        self.snd.grow_buffer(c);
        c.timers.cancel(Timer::Persist);
        if !self.snd.recovery.is_after_timeout() {
            c.stats.end_timeouts(now);
        }
        self.tell_of_room(c, had_room);
    }

    /// The peer acknowledges the same number again.
    fn on_same_ack(&mut self, seg: &Arrival, window_changed: bool, now: Instant) {
        //= 5681#2
        if seg.is_bare() && !window_changed && self.snd.is_outstanding() {
            self.snd.on_duplicate_ack();
        } else if !self.snd.is_outstanding() {
            self.snd.retries = 0;
            self.snd.progress = now;
        }
    }

    /// One round-trip sample from an acknowledgement that moves SND.UNA.
    fn take_round_trip(&mut self, c: &Common, seg: &Arrival, delivery: &Delivery, now: Instant) -> Option<Duration> {
        if let Some(sent) = delivery.oldest {
            self.snd.rtt.on_sample(now.since(sent));
        } else if let (true, Some(ts)) = (self.rcv.paws.is_some() && delivery.ambiguous, seg.timestamps) {
            //= 7323#4.1
            // The echo tells which copy arrived. One that we cannot have sent is a lie or a middlebox's.
            let age = c.age_of(ts.ecr, now);
            if age <= now.since(c.started) + TICK {
                self.snd.rtt.on_sample(age.max(TICK));
            }
        }
        delivery.newest.map(|sent| now.since(sent))
    }

    /// Sixth, check the URG bit.
    fn take_urgent(&mut self, c: &mut Common, seg: &Arrival) {
        if !seg.flags.has(Flags::URG) || self.rcv.fin_taken {
            return;
        }
        //= 9293/MUST-30
        //= 9293/MUST-31
        //= 9293/MUST-62
        //= 6093#4
        let up = seg.data() + u64::from(seg.urgent);
        if up > self.rcv.up && up > self.rcv.nxt() {
            self.rcv.up = up;
            //= 9293/MUST-32
            c.events.raise(Event::Urgent);
        }
    }

    /// Seventh, process the segment text.
    fn take_data(&mut self, c: &mut Common, seg: &mut Arrival, now: Instant) -> Result<(), Stop> {
        if seg.payload.is_empty() {
            return Ok(());
        }
        c.stats.data_segs_in += u64::from(seg.segments);
        c.stats.last_data_recv = Some(now);
        let at = seg.data();
        // After the peer's FIN no text can be new.
        let end = self.rcv.fin.map_or(self.rcv.edge, |fin| fin.min(self.rcv.edge));
        if self.rcv.fin_taken {
            return Ok(());
        }
        //= 9293/SHLD-3
        let refuses = c.released || (c.refuses && self.snd.closing);
        if refuses && at + seg.payload.len() as u64 > self.rcv.nxt() {
            return Err(Stop::Reset(DropReason::DataAfterClose, ResetCause::DataAfterClose));
        }
        let room = usize::try_from(end.since(at)).unwrap_or(usize::MAX);
        seg.payload.truncate(room);
        if c.pressure == Pressure::High && !self.may_take(c, at, seg.payload.len()) {
            self.rcv.acks.demand(AckCause::NoMemory);
            seg.drop_text(DropReason::NoMemory);
            return Ok(());
        }
        let arrived = seg.payload.len();
        //= 9293/SHLD-31
        let inserted = self.rcv.queue.insert(at, core::mem::take(&mut seg.payload));
        if self.rcv.queue.memory() > self.rcv.memory as usize {
            self.rcv.queue.prune(self.rcv.memory as usize);
        }
        c.stats.bytes_received += inserted.advanced;
        if inserted.out_of_order {
            c.stats.rcv_ooopack = c.stats.rcv_ooopack.saturating_add(u32::from(seg.segments));
        }
        let size = arrived.div_ceil(usize::from(seg.segments));
        let size = u16::try_from(size).unwrap_or(u16::MAX);
        self.rcv.mss = self.rcv.mss.max(size);
        let echo = seg.timestamps.filter(|_| self.rcv.paws.is_some()).map(|ts| (ts.ecr, c.age_of(ts.ecr, now)));
        self.rcv.measure_round_trip(echo, size >= self.rcv.mss, now);
        if let (true, Some(duplicate)) = (c.cfg.dsack, inserted.duplicate) {
            self.rcv.dsack.get_or_insert(duplicate);
        }
        if inserted.refused {
            seg.refused = Some(DropReason::NoMemory);
        }
        self.rcv.acks.on_data(seg.segments, arrived >= usize::from(self.rcv.mss), &inserted, now);
        if inserted.advanced > 0 {
            c.events.raise(Event::Readable);
        }
        Ok(())
    }

    /// The host has no memory left: what comes early is not kept, and of what is in order as much as every connection
    /// may keep. The peer sends the rest again.
    fn may_take(&mut self, c: &Common, at: Pos, len: usize) -> bool {
        self.rcv.queue.prune(0);
        at <= self.rcv.nxt()
            && (self.rcv.queue.readable() == 0 || self.rcv.queue.memory() + len <= c.cfg.rcv_buf_min as usize)
    }

    /// Eighth, check the FIN bit. The FIN may have come before data that only now has arrived.
    fn take_fin(&mut self, c: &mut Common, seg: &Arrival, now: Instant) {
        if let Some(fin) = seg.fin.filter(|fin| *fin < self.rcv.edge) {
            self.rcv.fin.get_or_insert(fin);
        }
        if self.rcv.fin_taken {
            return;
        }
        if self.rcv.fin != Some(self.rcv.queue.rcv_nxt()) {
            //= 5681#4.2
            // Behind a gap a FIN is out of order as data is, even alone.
            if seg.fin.is_some() {
                self.rcv.acks.demand(AckCause::OutOfOrder);
            }
            return;
        }
        //= 9293/MUST-12
        self.rcv.fin_taken = true;
        self.closed_first = self.snd.closing;
        self.rcv.acks.on_fin(self.closed_first, now);
        c.events.raise(Event::Readable);
        c.events.raise(Event::PeerFin);
    }

    /// An unacceptable segment gets an acknowledgement, so that a peer that is out of step finds back.
    fn answer(&mut self, c: &Common, seg: &Arrival, reason: DropReason, now: Instant) -> Stop {
        // A segment that occupies sequence numbers cannot be part of a loop of acknowledgements, for the answer
        // occupies none; it is not counted against the limit. Like Linux.
        if seg.is_bare() || seg.flags.has(Flags::SYN) {
            if seg.is_bare() && reason == DropReason::OutsideWindow && seg.seq + 1 == self.rcv.nxt() {
                return self.limited_answer(AckCause::ProbeAnswer, reason, PROBE_ANSWER_INTERVAL, now);
            }
            return self.challenge(c, reason, now);
        }
        let cause = match reason {
            _ if self.state() == State::TimeWait => AckCause::TimeWait,
            DropReason::Duplicate => AckCause::Duplicate,
            other => AckCause::Challenge(other),
        };
        //= 2883#4
        if c.cfg.dsack && reason == DropReason::Duplicate && !seg.payload.is_empty() {
            self.rcv.dsack = Some((seg.data(), seg.data() + seg.payload.len() as u64));
        }
        self.rcv.acks.demand(cause);
        Stop::Answer(reason)
    }

    /// A challenge ACK: only a peer that knows the connection can answer it to the point.
    fn challenge(&mut self, c: &Common, reason: DropReason, now: Instant) -> Stop {
        self.limited_answer(AckCause::Challenge(reason), reason, c.cfg.challenge_ack_interval, now)
    }

    /// At most one such answer per interval and connection, so that nobody can count them or make two hosts loop.
    fn limited_answer(&mut self, cause: AckCause, reason: DropReason, interval: Duration, now: Instant) -> Stop {
        //= 5961#7
        if self.challenged.is_some_and(|last| now.since(last) < interval) {
            return Stop::Drop(DropReason::RateLimited);
        }
        self.challenged = Some(now);
        self.rcv.acks.demand(cause);
        Stop::Answer(reason)
    }
}

impl Common {
    /// How old the timestamp of ours is that the peer echoes.
    fn age_of(&self, echo: u32, now: Instant) -> Duration {
        Duration::from_millis(u64::from(ts_clock(now, self.ts_offset).wrapping_sub(echo)))
    }
}

impl Stop {
    /// What the stack is told.
    pub(super) fn verdict(self) -> Verdict {
        match self {
            Stop::Drop(reason) => Verdict::Dropped(reason),
            Stop::Answer(reason) | Stop::Reset(reason, _) => Verdict::Answered(reason),
            Stop::Close(_) => Verdict::Accepted,
        }
    }
}

/// No sender probes faster than its least timeout, 200 ms in most stacks, so every honest probe is answered; and two
/// hosts that take each other's answers for probes exchange ten a second, not thousands.
const PROBE_ANSWER_INTERVAL: Duration = Duration::from_millis(100);

/// One tick of the timestamp clock.
const TICK: Duration = Duration::from_millis(1);

#[cfg(test)]
mod tests {
    use super::super::play::*;
    use super::super::*;
    use super::*;
    use Verdict::{Accepted, Answered, Dropped};

    //= 9293/SHLD-31
    //= 2018#4
    #[test]
    fn text_out_of_order_is_kept_and_reported() {
        let mut play = Play::established(&Config::default());
        assert_eq!(play.receive(seg(A, 101, 1).data(100)), Accepted);
        let bursts = play.bursts();
        assert_eq!(describe(&bursts[0]), ". 1:1 ack 1 ack-out-of-order");
        assert_eq!(sack_of(&bursts[0])[..], [(101, 201)]);
        assert_eq!(play.receive(seg(A, 301, 1).data(100)), Accepted);
        assert_eq!(sack_of(&play.bursts()[0])[..], [(301, 401), (101, 201)], "the newest first");
        assert_eq!(play.receive(seg(A, 1, 1).data(100)), Accepted);
        let bursts = play.bursts();
        assert_eq!(describe(&bursts[0]), ". 1:1 ack 201 ack-gap-filled");
        assert_eq!(sack_of(&bursts[0])[..], [(301, 401)]);
        assert_eq!(play.read(1000), Ok(Read::Data(200)));
        assert_eq!(play.events(), [Event::Readable]);
    }

    //= 2883#4
    #[test]
    fn text_that_came_before_is_answered_with_d_sack() {
        let mut play = Play::established(&Config::default());
        play.receive(seg(A, 1, 1).data(100));
        play.bursts();
        assert_eq!(play.receive(seg(A, 1, 1).data(100)), Answered(DropReason::Duplicate));
        let bursts = play.bursts();
        assert_eq!(describe(&bursts[0]), ". 1:1 ack 101 ack-duplicate");
        assert_eq!(sack_of(&bursts[0])[..], [(1, 101)]);
        // Again at once: an answer to text is never withheld.
        assert_eq!(play.receive(seg(A, 1, 1).data(100)), Answered(DropReason::Duplicate));
        assert_eq!(play.bursts().len(), 1);
        // Half old, half new.
        assert_eq!(play.receive(seg(A, 51, 1).data(100)), Accepted);
        let bursts = play.bursts();
        assert_eq!(describe(&bursts[0]), ". 1:1 ack 151 ack-duplicate");
        assert_eq!(sack_of(&bursts[0])[..], [(51, 101)]);
    }

    //= 5961#3.2
    #[test]
    fn of_all_resets_one_number_resets() {
        let edge = 1 + i64::from(Play::established(&plain()).info().rcv_wnd);
        for (seq, verdict) in [
            (0, Dropped(DropReason::OutsideWindow)),
            (1, Accepted),
            (2, Answered(DropReason::ResetNotExact)),
            (edge - 1, Answered(DropReason::ResetNotExact)),
            (edge + 1, Dropped(DropReason::OutsideWindow)),
        ] {
            let mut play = Play::established(&plain());
            assert_eq!(play.receive(seg(R, seq, 0)), verdict, "{seq}");
            assert_eq!(play.state() == State::Closed, seq == 1);
            let sent = play.sent();
            match verdict {
                Answered(_) => assert_eq!(sent, [". 1:1 ack 1 ack-challenge"]),
                _ => assert!(sent.is_empty()),
            }
        }
    }

    //= 9293/MUST-12
    #[test]
    fn after_a_reset_what_had_arrived_is_still_there_and_then_the_error() {
        let mut play = Play::established(&plain());
        play.receive(seg(A, 1, 1).data(10));
        play.receive(seg(R, 11, 0));
        assert_eq!(play.events(), [Event::Readable, Event::Closed(CloseReason::Reset)]);
        assert_eq!(play.read(100), Ok(Read::Data(10)));
        assert_eq!(play.read(100), Err(ConnError::Closed(CloseReason::Reset)));
        assert_eq!(play.conn.write(b"x", play.now), Err(ConnError::Closed(CloseReason::Reset)));
        assert!(play.conn.is_finished());
    }

    //= 5961#4.2
    //= 5961#7
    #[test]
    fn a_syn_in_a_synchronized_state_is_challenged_now_and_then() {
        let mut play = Play::established(&plain());
        assert_eq!(play.receive(seg(S, 1, 0)), Answered(DropReason::SynInWindow));
        assert_eq!(play.sent(), [". 1:1 ack 1 ack-challenge"]);
        assert_eq!(play.receive(seg(S, 5, 0)), Dropped(DropReason::RateLimited));
        assert_eq!(play.sent().len(), 0);
        play.now += ms(500);
        assert_eq!(
            play.receive(seg(SA, 0, 1)),
            Answered(DropReason::Duplicate),
            "an old SYN-ACK lies before the window"
        );
        assert_eq!(play.sent(), [". 1:1 ack 1 ack-challenge"]);
        assert_eq!(play.state(), State::Established);
    }

    //= 5961#5.2
    #[test]
    fn an_acknowledgement_out_of_range_changes_nothing() {
        for (ack, reason) in
            [(200, DropReason::AckTooNew), (0, DropReason::AckTooOld), (-70_000, DropReason::AckTooOld)]
        {
            let mut play = Play::established(&plain());
            play.write(100);
            play.bursts();
            let before = play.info();
            assert_eq!(play.receive(seg(A, 1, ack).data(10).window(7)), Answered(reason));
            let after = play.info();
            assert_eq!((after.snd_una, after.snd_wnd, after.rcv_nxt), (before.snd_una, before.snd_wnd, before.rcv_nxt));
            assert_eq!(play.sent(), [". 101:101 ack 1 ack-challenge"]);
        }
    }

    #[test]
    fn segments_without_ack_or_sense_are_dropped() {
        let mut play = Play::established(&plain());
        for (flags, reason) in [
            (Flags::NONE, DropReason::BadFlags),
            (Flags::PSH, DropReason::BadFlags),
            (Flags::FIN, DropReason::NoAck),
            (Flags(S.0 | Flags::FIN.0), DropReason::BadFlags),
            (Flags(S.0 | R.0), DropReason::BadFlags),
        ] {
            assert_eq!(play.receive(seg(flags, 1, 1)), Dropped(reason), "{flags}");
        }
        assert_eq!(play.sent().len(), 0);
    }

    //= 7323#5.3
    //= 7323#4.3
    #[test]
    fn an_older_timestamp_is_refused_and_ts_recent_follows_the_left_edge() {
        let mut play = Play::established(&Config::default());
        assert_eq!(play.receive(seg(A, 1, 1).data(10).ts(PEER_TS + 5, TS_OFFSET)), Accepted);
        play.bursts();
        assert_eq!(play.receive(seg(A, 11, 1).data(10).ts(PEER_TS + 4, TS_OFFSET)), Answered(DropReason::Paws));
        let answer = play.bursts();
        assert_eq!(describe(&answer[0]), ". 1:1 ack 11 ack-challenge");
        assert_eq!(answer[0].header.options.timestamps.map(|ts| ts.ecr), Some(PEER_TS + 5));
        // A segment beyond a gap does not set TS.Recent, or its sender could lock the true peer out.
        assert_eq!(play.receive(seg(A, 500, 1).data(10).ts(PEER_TS + 1_000_000, TS_OFFSET)), Accepted);
        assert_eq!(play.conn.inspect().and_then(|inner| inner.ts_recent), Some(PEER_TS + 5));
    }

    #[test]
    fn the_echo_is_of_the_copy_when_an_acknowledgement_was_lost() {
        let mut play = Play::established(&Config::default());
        play.receive(seg(A, 1, 1).data(10).ts(PEER_TS + 5, TS_OFFSET));
        play.bursts();
        for (seq, ack, echo) in [(1, 2, 5), (0, 1, 5), (1, 1, 300)] {
            play.receive(seg(A, seq, ack).data(10).ts(PEER_TS + 300, TS_OFFSET));
            let answers = play.bursts();
            assert_eq!(
                answers[0].header.options.timestamps.map(|ts| ts.ecr),
                Some(PEER_TS + echo),
                "seq {seq} ack {ack}"
            );
        }
    }

    //= 7323#4.1
    #[test]
    fn the_echo_measures_what_karn_cannot_and_a_lie_measures_nothing() {
        for (echo_age, rtt) in [(0, Some(7)), (5, Some(7)), (20, None)] {
            let mut play = Play::established(&Config::default());
            play.write(100);
            play.bursts();
            play.pass(ms(300));
            let srtt = play.info().rtt;
            let echo = ts_clock(play.now, TS_OFFSET).wrapping_sub(if rtt.is_some() { echo_age } else { 1_000_000 });
            play.receive(seg(A, 1, 101).ts(PEER_TS + 1, echo));
            assert_eq!(play.info().rtt == srtt, rtt.is_none(), "echo {echo_age} ms old");
        }
    }

    //= 9293/MUST-30
    //= 9293/MUST-32
    //= 9293/MUST-33
    //= 6093#4
    #[test]
    fn urgent_data_stays_in_the_stream_and_is_announced_once_per_advance() {
        let mut play = Play::established(&plain());
        let urgent = |seq, up| Seg { urgent: up, ..seg(Flags(A.0 | Flags::URG.0), seq, 1) };
        assert_eq!(play.receive(urgent(1, 50).data(10)), Accepted);
        assert_eq!(play.events(), [Event::Urgent, Event::Readable]);
        assert_eq!(play.info().urgent, 50, "forty of them have not arrived");
        assert_eq!(play.receive(urgent(11, 40).data(10)), Accepted);
        assert_eq!(play.events(), [Event::Readable], "the same pointer");
        assert_eq!(play.receive(urgent(21, 0).data(10)), Accepted);
        assert_eq!(play.events(), [Event::Readable], "a pointer of zero points at nothing");
        assert_eq!(play.read(100), Ok(Read::Data(30)));
        assert_eq!(play.info().urgent, 20);
    }

    //= 9293/MUST-66
    #[test]
    fn a_closed_window_still_takes_acknowledgements_urgency_and_resets() {
        let cfg = plain().with_buffers(2000, 16_384);
        let mut play = Play::established(&cfg);
        play.write(100);
        play.bursts();
        play.receive(seg(A, 1, 1).data(1000));
        play.bursts();
        assert_eq!(play.info().rcv_wnd, 0);
        let probe = Seg { urgent: 5, ..seg(Flags(A.0 | Flags::URG.0), 1001, 101).data(1) };
        assert_eq!(play.receive(probe), Answered(DropReason::OutsideWindow));
        assert_eq!((play.info().snd_una, play.info().rcv_nxt), (Pos(101), Pos(1001)));
        assert_eq!(play.sent(), [". 101:101 ack 1001 ack-probe-answer"]);
        assert!(play.events().contains(&Event::Urgent));
        assert_eq!(play.receive(seg(R, 1001, 0)), Accepted);
    }

    #[test]
    fn text_and_fin_beyond_the_window_are_cut_off() {
        let cfg = plain().with_buffers(2000, 16_384);
        let mut play = Play::established(&cfg);
        let mut segment = seg(F, 1, 1);
        segment.data = stream(Pos(1), 1400);
        assert_eq!(play.receive(segment), Accepted);
        assert_eq!((play.info().rcv_nxt, play.state()), (Pos(1001), State::Established));
        assert_eq!(play.read(2000), Ok(Read::Data(1000)));
    }

    #[test]
    fn a_fin_before_its_data_waits_for_it() {
        let mut play = Play::established(&plain());
        assert_eq!(play.receive(seg(F, 101, 1)), Accepted);
        assert_eq!(play.state(), State::Established);
        assert_eq!(play.receive(seg(A, 1, 1).data(100)), Accepted);
        assert_eq!((play.state(), play.info().rcv_nxt), (State::CloseWait, Pos(102)));
        assert_eq!(play.events(), [Event::Readable, Event::PeerFin]);
        assert_eq!(play.receive(seg(A, 102, 1).data(9)), Accepted, "text behind a FIN is ignored");
        assert_eq!(play.read(1000), Ok(Read::Data(100)));
        assert_eq!(play.read(1000), Ok(Read::Eof));
    }

    #[test]
    fn only_a_newer_segment_moves_the_window() {
        let mut play = Play::established(&plain());
        play.write(1000);
        play.bursts();
        play.receive(seg(A, 1, 501).data(100).window(5000));
        assert_eq!(play.info().snd_wnd, 5000);
        play.receive(seg(A, 1, 301).data(100).window(9000));
        assert_eq!(play.info().snd_wnd, 5000, "an older acknowledgement");
        play.receive(seg(A, 101, 501).window(7000));
        assert_eq!(play.info().snd_wnd, 7000);
        play.receive(seg(A, 101, 501).window(100));
        assert_eq!(play.info().snd_wnd, 100, "the peer may shrink it");
    }

    /// Found by a random world: the peer's window of 200 bytes fills, and the segment that says so is one sent again.
    #[test]
    fn an_acknowledgement_on_an_old_number_brings_its_window_along() {
        let mut play = Play::established(&plain());
        play.write(1000);
        play.bursts();
        assert_eq!(play.receive(seg(A, 201, 1).data(100).window(600)), Accepted);
        assert_eq!(play.receive(seg(A, 1, 401).data(200).window(200)), Accepted);
        assert_eq!((play.info().snd_una, play.info().snd_wnd), (Pos(401), 200), "the right edge stays at 601");
        assert_eq!(play.receive(seg(A, 101, 401).data(100).window(900)), Answered(DropReason::Duplicate));
        assert_eq!(play.receive(seg(A, 250, 401).data(100).window(900)), Accepted);
        assert_eq!(play.info().snd_wnd, 900);
    }

    //= 5681#3.2
    //= 6582#3.2
    #[test]
    fn three_duplicates_send_the_first_segment_again() {
        let mut play = Play::established(&plain());
        play.write(14_600);
        assert_eq!(play.bursts().len(), 1);
        for n in 1..=2 {
            play.receive(seg(A, 1, 1));
            assert!(play.sent().is_empty(), "duplicate {n}");
        }
        play.receive(seg(A, 1, 1));
        assert_eq!(play.sent(), [". 1:1461 ack 1 retransmit-fast"]);
        assert!(play.info().in_recovery);
        assert_eq!((play.info().snd_cwnd, play.info().snd_ssthresh), (5, 5));
        play.receive(seg(A, 1, 4381));
        assert_eq!(play.sent(), [". 4381:5841 ack 1 retransmit-partial-ack"]);
        play.receive(seg(A, 1, 14_601));
        assert!(!play.info().in_recovery);
        assert_eq!(play.info().total_retrans, 2);
    }

    //= 9293/SHLD-3
    #[test]
    fn data_for_an_application_that_let_go_is_reset() {
        let mut play = Play::established(&plain());
        play.conn.release(play.now);
        assert_eq!(play.sent(), ["F. 1:1 ack 1 fin"]);
        assert_eq!(play.receive(seg(A, 1, 2).data(10)), Answered(DropReason::DataAfterClose));
        assert_eq!(play.sent(), ["R. 2:2 ack 1 reset-data-after-close"]);
        assert!(play.conn.is_finished());
    }

    #[test]
    fn a_keepalive_probe_is_answered() {
        let mut play = Play::established(&plain());
        for _ in 0..3 {
            assert_eq!(play.receive(seg(A, 0, 1)), Answered(DropReason::OutsideWindow));
            assert_eq!(play.sent(), [". 1:1 ack 1 ack-probe-answer"]);
            assert_eq!(play.receive(seg(A, 0, 1)), Dropped(DropReason::RateLimited), "not a second one at once");
            play.now += ms(200);
        }
    }

    //= 9293/MUST-58
    //= 9293/SHLD-19
    #[test]
    fn acknowledgements_wait_for_a_second_segment_or_for_data() {
        let mut play = Play::established(&Config { quick_acks: 0, ..plain() });
        play.receive(seg(A, 1, 1).data(1460));
        assert!(play.sent().is_empty());
        play.receive(seg(A, 1461, 1).data(1460));
        assert_eq!(play.sent(), [". 1:1 ack 2921 ack-every-second"]);
        play.receive(seg(A, 2921, 1).data(1460));
        assert_eq!(play.pass(ms(40)), [(40, ". 1:1 ack 4381 ack-delayed".into())]);
        play.receive(seg(A, 4381, 1).data(1460));
        play.write(5);
        assert_eq!(play.sent(), ["P. 1:6 ack 5841 data"]);
        assert_eq!(play.pass(ms(40)), []);
    }
}
