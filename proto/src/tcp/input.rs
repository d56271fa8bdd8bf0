//! SEGMENT ARRIVES, once both initial sequence numbers are known: the steps of the RFC's list, in its order.
//!
//! Sections: RFC 9293 3.10.7.4; RFC 5961 3 to 5; RFC 7323 4.3, 5.3; RFC 5681 3.2, 4.2; RFC 6093.
//! In: a parsed segment, its numbers turned into positions.
//! Out: what became of it, and everything that it changed.

use bytes::Bytes;

use super::cc::Sample;
use super::check::{AckKind, ResetKind, View, check_flags};
use super::inflight::Acked;
use super::open::ts_clock;
use super::state::Live;
use super::{
    AckCause, CloseReason, Common, DropReason, Event, ResetCause, RetransmitCause, Segment, State, Timer, Verdict,
};
use crate::time::{Duration, Instant};
use crate::wire::{Flags, Pos, Seq, Timestamps};

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
    payload: Bytes,
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
        Arrival {
            seq: live.rcv.space.pos(header.seq, live.rcv.nxt()),
            ack: live.snd.space.pos(header.ack, live.snd.una),
            raw_ack: header.ack,
            wnd: u32::from(header.window) << scale,
            urgent: header.urgent,
            flags: header.flags,
            timestamps: header.options.timestamps,
            payload,
            segments: segments.max(1),
            refused: None,
        }
    }

    /// SEG.LEN.
    fn len(&self) -> u64 {
        self.payload.len() as u64 + u64::from(self.flags.has(Flags::SYN)) + u64::from(self.flags.has(Flags::FIN))
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
        self.flags = Flags(self.flags.0 & !Flags::FIN.0);
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
            Err(reason) => Err(self.answer(c, seg, reason, now)),
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
            self.rcv.acks.demand(AckCause::Handshake);
            return Ok(());
        }
        self.snd.inflight.mark_all_lost();
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
        if !self.snd.syn_acked() {
            self.take_ack_of_syn(c, seg, now);
            return Ok(());
        }
        let una = self.snd.una;
        let window_changed = seg.ack >= una && self.take_window(seg, now);
        match kind {
            AckKind::Advances => self.on_new_ack(c, seg, now),
            AckKind::Duplicate if seg.ack == una => self.on_same_ack(seg, window_changed, now),
            AckKind::Duplicate => {}
        }
        match self.state() {
            // In LAST-ACK the acknowledgement of our FIN is the end.
            State::LastAck if self.snd.fin_acked() => Err(Stop::Close(CloseReason::Normal)),
            _ => Ok(()),
        }
    }

    /// SND.WND <- SEG.WND, if the segment is not older than the last that changed it. True if it changed.
    fn take_window(&mut self, seg: &Arrival, now: Instant) -> bool {
        let closed = self.snd.wnd == 0;
        let changed = self.snd.take_window(seg.seq, seg.ack, seg.wnd);
        if self.snd.wnd == 0 {
            self.snd.on_closed_window_answered(now);
        } else if closed {
            self.snd.rtt.on_progress();
            self.snd.probe_due = false;
        }
        changed
    }

    /// Our SYN is acknowledged: SYN-SENT or SYN-RECEIVED becomes ESTABLISHED.
    pub(super) fn take_ack_of_syn(&mut self, c: &mut Common, seg: &Arrival, now: Instant) {
        let retransmits = self.snd.inflight.head().map_or(0, |syn| syn.retransmits);
        self.snd.set_window(seg.seq, seg.ack, seg.wnd);
        let acked = self.snd.advance(seg.ack, now);
        self.take_round_trip(c, seg, acked, now);
        self.snd.rtt.on_progress();
        self.on_established(c, retransmits);
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
        let cwnd_limited = self.snd.congestion_room() == 0;
        let acked = self.snd.advance(seg.ack, now);
        c.stats.bytes_acked += seg.ack.min(self.snd.queue.end()).since(una.max(Pos::FIRST));
        self.take_round_trip(c, seg, acked, now);
        self.snd.rtt.on_progress();
        let sample = Sample { acked: acked.segments, in_flight, cwnd_limited, now };
        //= 6298#5.2
        //= 6298#5.3
        if self.snd.on_ack_of_data(&sample) {
            c.timers.cancel(Timer::Retransmission);
        }
        c.timers.cancel(Timer::Persist);
        if self.snd.blocked && c.writable(&self.snd) >= (c.cfg.snd_buf / 3) as usize {
            self.snd.blocked = false;
            c.events.raise(Event::Writable);
        }
    }

    /// The peer acknowledges the same number again.
    fn on_same_ack(&mut self, seg: &Arrival, window_changed: bool, now: Instant) {
        //= 5681#2
        if seg.is_bare() && !window_changed && self.snd.is_outstanding() {
            self.snd.on_duplicate_ack(now);
        } else if !self.snd.is_outstanding() {
            self.snd.retries = 0;
            self.snd.progress = now;
        }
    }

    /// One round-trip sample from an acknowledgement that moves SND.UNA.
    fn take_round_trip(&mut self, c: &Common, seg: &Arrival, acked: Acked, now: Instant) {
        if let Some(sent) = acked.sent {
            self.snd.rtt.on_sample(now.since(sent));
        } else if let (true, Some(ts)) = (self.rcv.paws.is_some() && acked.ambiguous, seg.timestamps) {
            //= 7323#4.1
            // The echo tells which copy arrived. One that we cannot have sent is a lie or a middlebox's.
            let age = Duration::from_millis(u64::from(ts_clock(now, c.ts_offset).wrapping_sub(ts.ecr)));
            if age <= now.since(c.started) + TICK {
                self.snd.rtt.on_sample(age.max(TICK));
            }
        }
    }

    /// Sixth, check the URG bit.
    fn take_urgent(&mut self, c: &mut Common, seg: &Arrival) {
        if !seg.flags.has(Flags::URG) || self.rcv.fin_taken() {
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
        let at = seg.data();
        // After the peer's FIN no text can be new.
        let end = self.rcv.fin.map_or(self.rcv.edge, |fin| fin.min(self.rcv.edge));
        if self.rcv.fin_taken() {
            return Ok(());
        }
        //= 9293/SHLD-3
        if c.released && at + seg.payload.len() as u64 > self.rcv.nxt() {
            return Err(Stop::Reset(DropReason::DataAfterClose, ResetCause::DataAfterClose));
        }
        let room = usize::try_from(end.since(at)).unwrap_or(usize::MAX);
        seg.payload.truncate(room);
        let arrived = seg.payload.len();
        //= 9293/SHLD-31
        let inserted = self.rcv.queue.insert(at, seg.payload.clone());
        if self.rcv.queue.memory() > c.cfg.rcv_buf as usize {
            self.rcv.queue.prune(c.cfg.rcv_buf as usize);
        }
        c.stats.bytes_received += inserted.advanced;
        let size = arrived.div_ceil(usize::from(seg.segments));
        self.rcv.mss = self.rcv.mss.max(u16::try_from(size).unwrap_or(u16::MAX));
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

    /// Eighth, check the FIN bit. The FIN may have come before data that only now has arrived.
    fn take_fin(&mut self, c: &mut Common, seg: &Arrival, now: Instant) {
        let taken = self.rcv.fin_taken();
        if seg.flags.has(Flags::FIN) {
            let fin = seg.data() + seg.payload.len() as u64;
            if fin < self.rcv.edge || fin == self.rcv.nxt() {
                self.rcv.fin.get_or_insert(fin);
            }
        }
        if taken || !self.rcv.fin_taken() {
            return;
        }
        //= 9293/MUST-12
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
            let probe = seg.is_bare() && reason == DropReason::OutsideWindow && seg.seq + 1 == self.rcv.nxt();
            let cause = if probe { AckCause::ProbeAnswer } else { AckCause::Challenge(reason) };
            return self.limited_answer(c, cause, reason, now);
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
        self.limited_answer(c, AckCause::Challenge(reason), reason, now)
    }

    /// At most one such answer per interval and connection, so that nobody can count them or make two hosts loop.
    fn limited_answer(&mut self, c: &Common, cause: AckCause, reason: DropReason, now: Instant) -> Stop {
        //= 5961#7
        if self.challenged.is_some_and(|last| now.since(last) < c.cfg.challenge_ack_interval) {
            return Stop::Drop(DropReason::RateLimited);
        }
        self.challenged = Some(now);
        self.rcv.acks.demand(cause);
        Stop::Answer(reason)
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

/// One tick of the timestamp clock.
const TICK: Duration = Duration::from_millis(1);
