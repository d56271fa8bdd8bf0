//! One direction of a conversation while it is being read.
//!
//! Sections: RFC 9293 3.4, 3.8; RFC 5681 2 (duplicate acknowledgement); RFC 6298 3 (Karn); RFC 7323 2.3 (scaling).
//! In: segments of one direction in the order of capture, and the state of the other direction.
//! Out: a [`Kind`] per segment, and the counters of [`Sent`].

use arrayvec::ArrayVec;

use super::sent::{Again, Kind, Sent};
use crate::tcp::{Cause, DropReason, RetransmitCause, Verdict};
use crate::time::{Duration, Instant};
use crate::trace::Record;
use crate::wire::{Flags, Pos, Seq, Space};

/// One segment placed into its conversation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Placed {
    pub(super) pos: Pos,
    pub(super) ack: Option<Pos>,
    pub(super) kind: Kind,
    /// Bytes of the stream that nobody had seen before.
    pub(super) new_bytes: u64,
}

impl Placed {
    /// It is part of the conversation: its numbers count, and its receiver may have taken it.
    pub(super) fn belongs(&self) -> bool {
        !matches!(self.kind, Kind::Stray | Kind::Refused(_))
    }
}

/// One direction while it is being read.
#[derive(Clone, Debug, Default)]
pub(super) struct Sender {
    pub(super) sent: Sent,
    space: Option<Space>,
    /// The position behind everything seen.
    pub(super) next: Pos,
    /// Where the stream's first byte stands: behind the SYN, or where the capture began.
    first: Pos,
    syn_ack_sent: bool,
    /// The highest acknowledgement it has sent, a position in the other direction.
    pub(super) acked: Option<Pos>,
    /// The right edge of the window it has offered, a position in the other direction.
    pub(super) right_edge: Option<Pos>,
    window: u16,
    duplicates: u32,
    holes: ArrayVec<Hole, HOLES>,
    /// A repair is under way up to here.
    recover: Option<Pos>,
    /// When it last sent data, SYN or FIN.
    last_sent: Option<Instant>,
    /// One segment whose round trip is being measured.
    timed: Option<(Pos, Instant)>,
    last_kind: Option<Kind>,
}

/// Bytes that have not been seen although later ones have.
#[derive(Clone, Copy, Debug)]
struct Hole {
    start: Pos,
    end: Pos,
    since: Instant,
}

impl Sender {
    /// The initial sequence number, if the SYN was seen.
    pub(super) fn isn(&self) -> Option<Seq> {
        self.sent.isn
    }

    /// Nothing before its highest number is missing.
    pub(super) fn is_gapless(&self) -> bool {
        self.holes.is_empty()
    }

    /// Payload bytes of one segment on the wire: what the other end's MSS option leaves beside our options. Unknown
    /// without that option: 536 is what it then should be, and seldom is.
    pub(super) fn segment_size(&self, peer: &Sender) -> Option<u32> {
        let theirs = peer.sent.options.as_ref()?;
        let ours = self.sent.options.as_ref()?;
        let mss = u32::from(theirs.mss?);
        let timestamps = ours.timestamps.is_some() && theirs.timestamps.is_some();
        let size = mss.saturating_sub(if timestamps { TIMESTAMPS_LEN } else { 0 });
        (size > 0).then_some(size)
    }

    /// The window it offers with `raw` in the header, bytes.
    pub(super) fn scaled(&self, raw: u16) -> u64 {
        u64::from(raw) << self.sent.scale.unwrap_or(0)
    }

    /// Places `record`, which this end sent, and takes note of it.
    pub(super) fn observe(&mut self, peer: &mut Sender, record: &Record, is_third: bool) -> Placed {
        let (pos, ack) = self.place(peer, record);
        let before = self.next;
        let kind = match told(record).unwrap_or_else(|| self.classify(peer, record, pos, ack, is_third)) {
            // Its sender says that it is new.
            Kind::Again(_) if record.cause.is_some_and(|cause| !matches!(cause, Cause::Retransmit(_))) => Kind::Doubled,
            kind => kind,
        };
        self.count(peer, record, kind, pos);
        let mut placed = Placed { pos, ack, kind, new_bytes: 0 };
        if placed.belongs() {
            let end = pos + u64::from(record.payload_len);
            placed.new_bytes = end.since(before.max(pos)) + self.missing(pos, end);
            self.follow(peer, record, kind, pos, ack);
        }
        self.last_kind = Some(kind);
        placed
    }

    /// Relative numbers, counted as tcpdump counts: from the SYN; without one, the first end heard counts from its
    /// first number and the other from the one before the first acknowledged.
    fn place(&mut self, peer: &mut Sender, record: &Record) -> (Pos, Option<Pos>) {
        let header = &record.header;
        if record.has(Flags::SYN) && self.sent.isn.is_none() {
            self.space = Some(Space::new(header.seq));
            (self.next, self.first) = (Pos::SYN, Pos::FIRST);
        }
        let space = *self.space.get_or_insert(Space::new(header.seq));
        self.sent.origin = Some(space.origin);
        let ack = record.has(Flags::ACK).then(|| {
            let theirs = *peer.space.get_or_insert_with(|| {
                (peer.next, peer.first) = (Pos::FIRST, Pos::FIRST);
                Space::new(header.ack - 1)
            });
            peer.sent.origin = Some(theirs.origin);
            theirs.pos(header.ack, peer.next)
        });
        (space.pos(header.seq, self.next), ack)
    }

    fn classify(&mut self, peer: &Sender, record: &Record, pos: Pos, ack: Option<Pos>, is_third: bool) -> Kind {
        let len = record.seq_len();
        let end = pos + len;
        if record.has(Flags::SYN) {
            let with_ack = record.has(Flags::ACK);
            return match self.sent.isn {
                Some(isn) if isn != record.header.seq => Kind::Stray,
                Some(_) if with_ack && self.syn_ack_sent => Kind::Again(match peer.last_kind {
                    Some(Kind::Again(Again::Syn)) => Again::Asked,
                    _ => Again::SynAck,
                }),
                Some(_) if !with_ack => Kind::Again(Again::Syn),
                // In a simultaneous open the SYN goes out twice: alone, then with ACK.
                _ if with_ack => Kind::SynAck,
                _ => Kind::Syn,
            };
        }
        let away = pos.0.saturating_sub(self.next.0).unsigned_abs();
        if away > FAR + peer.right_edge.map_or(0, |edge| edge.since(self.next)) {
            return Kind::Stray;
        }
        if record.has(Flags::RST) {
            return Kind::Reset;
        }
        let just_before = pos.0 + 1 == self.next.0;
        let all_acknowledged = peer.acked.is_some_and(|acked| acked >= self.next);
        if record.payload_len <= 1 && !record.has(Flags::FIN) {
            let closed = peer.window == 0 && peer.sent.zero_windows > 0;
            if closed && (just_before || (pos == self.next && len == 1)) {
                return Kind::WindowProbe;
            }
            if just_before && all_acknowledged && self.sent.isn.is_none_or(|_| self.next > Pos::FIRST || len == 0) {
                return Kind::KeepAlive;
            }
        }
        if len == 0 {
            return self.classify_ack(peer, record, ack, is_third);
        }
        if pos > self.next {
            return Kind::BeyondGap;
        }
        if pos < self.next {
            if let Some(since) = self.fills_hole(pos, end) {
                let patience = self.sent.rtt.mean().unwrap_or(Duration::ZERO).max(REORDERING);
                if record.time.since(since) < patience {
                    return Kind::OutOfOrder;
                }
            } else if peer.acked.is_some_and(|acked| acked >= end) {
                return Kind::Again(Again::Needless);
            }
            return Kind::Again(self.why_again(peer, record, pos));
        }
        if record.has(Flags::FIN) { Kind::Fin } else { Kind::Data }
    }

    fn classify_ack(&self, peer: &Sender, record: &Record, ack: Option<Pos>, is_third: bool) -> Kind {
        let same_ack = ack.is_some() && ack == self.acked;
        let same_window = record.header.window == self.window;
        if is_third {
            return Kind::Third;
        }
        match peer.last_kind {
            Some(Kind::KeepAlive) if same_ack => return Kind::KeepAliveAnswer,
            Some(Kind::WindowProbe) if same_ack && record.header.window == 0 => return Kind::ProbeAnswer,
            _ => {}
        }
        if record.header.window == 0 && self.window != 0 {
            return Kind::ZeroWindow;
        }
        match (same_ack, same_window) {
            (true, true) if ack.is_some_and(|ack| peer.next > ack) => Kind::DuplicateAck(self.duplicates + 1),
            // The window of a SYN is not scaled, so another number says nothing new.
            (true, false) if self.sent.first_window.is_some() => Kind::WindowUpdate,
            _ => Kind::Ack,
        }
    }

    fn why_again(&self, peer: &Sender, record: &Record, pos: Pos) -> Again {
        let silent = self.last_sent.map_or(Duration::ZERO, |sent| record.time.since(sent));
        if silent >= TIMEOUT_FLOOR {
            Again::Timeout
        } else if self.recover.is_some_and(|recover| pos < recover) {
            Again::Repair
        } else if peer.duplicates >= DUPLICATES {
            Again::Fast
        } else {
            Again::Unclear
        }
    }

    fn fills_hole(&self, start: Pos, end: Pos) -> Option<Instant> {
        self.holes.iter().find(|hole| start < hole.end && end > hole.start).map(|hole| hole.since)
    }

    /// How many of the bytes of `start..end` lie in gaps.
    fn missing(&self, start: Pos, end: Pos) -> u64 {
        self.holes.iter().map(|hole| end.min(hole.end).since(start.max(hole.start))).sum()
    }

    fn count(&mut self, peer: &mut Sender, record: &Record, kind: Kind, pos: Pos) {
        let size = self.segment_size(peer);
        let header = &record.header;
        let sent = &mut self.sent;
        sent.segments += 1;
        sent.headers += u64::from(record.header_len);
        sent.payload += u64::from(record.payload_len);
        sent.srtt = record.note.and_then(|note| note.srtt).or(sent.srtt);
        sent.data_segments += u64::from(record.payload_len > 0);
        let control = header.flags.any(Flags::SYN | Flags::FIN | Flags::RST);
        sent.bare_acks += u64::from(record.payload_len == 0 && !control && record.has(Flags::ACK));
        sent.wire_segments += match size {
            Some(size) if record.payload_len > size => {
                sent.merged += 1;
                sent.merged_first.get_or_insert((record.payload_len, size));
                u64::from(record.payload_len.div_ceil(size))
            }
            _ => 1,
        };
        match kind {
            Kind::Again(why) => {
                sent.again += 1;
                sent.again_bytes += u64::from(record.payload_len);
                match why {
                    Again::Syn | Again::SynAck | Again::Timeout => sent.again_timeout += 1,
                    Again::Fast => sent.again_fast += 1,
                    Again::Repair => sent.again_repair += 1,
                    Again::Needless => sent.again_needless += 1,
                    Again::Asked => sent.again_asked += 1,
                    Again::Unclear => {}
                }
            }
            Kind::OutOfOrder => sent.out_of_order += 1,
            Kind::Doubled => sent.doubled += 1,
            Kind::DuplicateAck(_) => sent.duplicate_acks += 1,
            Kind::WindowProbe => sent.window_probes += 1,
            Kind::KeepAlive => sent.keep_alives += 1,
            Kind::Reset => sent.resets += 1,
            Kind::Stray => sent.strays += 1,
            Kind::Refused(_) => sent.refused += 1,
            _ => {}
        }
        if matches!(kind, Kind::Stray | Kind::Refused(_)) {
            return;
        }
        if record.has(Flags::SYN) {
            sent.isn = Some(header.seq);
            self.syn_ack_sent |= kind == Kind::SynAck;
            sent.options = Some(header.options.clone());
            sent.syn_window = Some(header.window);
            let scales = |s: &Sent| s.options.as_ref().map(|o| o.window_scale);
            if let (Some(ours), Some(theirs)) = (scales(sent), scales(&peer.sent)) {
                let agreed = ours.zip(theirs);
                sent.scale = Some(agreed.map_or(0, |(ours, _)| ours.min(MAX_SCALE)));
                peer.sent.scale = Some(agreed.map_or(0, |(_, theirs)| theirs.min(MAX_SCALE)));
            }
        } else if !record.has(Flags::RST) {
            if sent.first_window.is_none() {
                sent.first_window = Some(header.window);
                sent.min_window = header.window;
            }
            sent.max_window = sent.max_window.max(header.window);
            sent.min_window = sent.min_window.min(header.window);
            sent.zero_windows += u64::from(header.window == 0 && self.window != 0);
        }
        if record.has(Flags::FIN) {
            sent.fin.get_or_insert(pos + u64::from(record.payload_len));
        }
    }

    fn follow(&mut self, peer: &mut Sender, record: &Record, kind: Kind, pos: Pos, ack: Option<Pos>) {
        let len = record.seq_len();
        let end = pos + len;
        let before = self.next;
        match kind {
            // A probe's byte is not taken while the window is closed, a keep-alive's was taken long ago, and what a
            // reset carries is no part of the stream.
            Kind::WindowProbe | Kind::KeepAlive | Kind::Reset => {}
            Kind::BeyondGap => {
                self.add_hole(Hole { start: self.next, end: pos, since: record.time });
                self.next = end;
            }
            _ if len > 0 => {
                self.cut_holes(pos, end);
                self.next = self.next.max(end);
            }
            _ => {}
        }
        if matches!(kind, Kind::Again(Again::Timeout | Again::Fast)) {
            self.recover = Some(before);
        }
        if len > 0 && kind != Kind::Reset {
            self.last_sent = Some(record.time);
            match kind {
                Kind::Again(_) => self.timed = None,
                _ if end > before && self.timed.is_none() => self.timed = Some((end, record.time)),
                _ => {}
            }
        }
        if !matches!(kind, Kind::Reset) {
            self.sent.stream = self.stream();
        }
        if let Some(ack) = ack.filter(|_| !record.has(Flags::RST)) {
            self.acknowledge(peer, record, kind, ack);
        }
    }

    /// Takes note of what the segment says of the other direction.
    fn acknowledge(&mut self, peer: &mut Sender, record: &Record, kind: Kind, ack: Pos) {
        if ack.0 - peer.next.0 > i64::try_from(FAR).unwrap_or(i64::MAX) {
            return;
        }
        if ack > peer.next && !matches!(peer.last_kind, Some(Kind::WindowProbe)) {
            peer.sent.unseen += ack.since(peer.next);
        }
        // What was acknowledged has been sent, seen or not.
        peer.next = peer.next.max(ack);
        peer.sent.stream = peer.stream();
        if let Some((_, sent)) = peer.timed.filter(|(end, _)| ack >= *end) {
            peer.timed = None;
            peer.sent.rtt.add(record.time.since(sent));
        }
        if peer.recover.is_some_and(|recover| ack >= recover) {
            peer.recover = None;
        }
        peer.cut_holes(Pos(i64::MIN), ack);
        self.duplicates = match kind {
            Kind::DuplicateAck(n) => n,
            _ if self.acked == Some(ack) => self.duplicates,
            _ => 0,
        };
        self.acked = self.acked.max(Some(ack));
        let window =
            if record.has(Flags::SYN) { u64::from(record.header.window) } else { self.scaled(record.header.window) };
        self.window = record.header.window;
        self.right_edge = self.right_edge.max(Some(ack + window));
    }

    /// How many bytes the other end has not acknowledged, if it has acknowledged anything.
    pub(super) fn unacknowledged(&self, peer: &Sender) -> u64 {
        let fin = self.sent.fin.is_some_and(|fin| self.next > fin);
        peer.acked.map_or(0, |acked| self.next.since(acked).saturating_sub(u64::from(fin)))
    }

    /// Bytes of the stream up to the highest number, FIN left out.
    fn stream(&self) -> u64 {
        let fin = self.sent.fin.is_some_and(|fin| self.next > fin);
        self.next.since(self.first).saturating_sub(u64::from(fin))
    }

    fn add_hole(&mut self, hole: Hole) {
        if self.holes.is_full() {
            self.holes.remove(0);
        }
        self.holes.push(hole);
    }

    /// `start..end` is accounted for.
    fn cut_holes(&mut self, start: Pos, end: Pos) {
        let mut kept = ArrayVec::<Hole, HOLES>::new();
        for hole in &self.holes {
            let left = Hole { end: hole.end.min(start), ..*hole };
            let right = Hole { start: hole.start.max(end), ..*hole };
            for part in [left, right] {
                if part.start < part.end && !kept.is_full() && kept.last().is_none_or(|k| k.end <= part.start) {
                    kept.push(part);
                }
            }
        }
        self.holes = kept;
    }
}

/// What our own stack says about a segment goes before what its numbers suggest.
fn told(record: &Record) -> Option<Kind> {
    match record.verdict {
        Some(Verdict::Answered(why) | Verdict::Dropped(why)) if !is_told_by_numbers(why) => {
            return Some(Kind::Refused(why));
        }
        _ => {}
    }
    Some(match record.cause? {
        Cause::Retransmit(why) => Kind::Again(match why {
            RetransmitCause::Syn(_) => Again::Syn,
            RetransmitCause::SynAck(0) => Again::Asked,
            RetransmitCause::SynAck(_) => Again::SynAck,
            RetransmitCause::Timeout(_) => Again::Timeout,
            RetransmitCause::Fast => Again::Fast,
            RetransmitCause::AfterTimeout
            | RetransmitCause::PartialAck
            | RetransmitCause::PathMtu
            | RetransmitCause::Rack
            | RetransmitCause::ReorderingTimer
            | RetransmitCause::TailLossProbe => Again::Repair,
        }),
        Cause::WindowProbe(_) => Kind::WindowProbe,
        Cause::KeepAlive(_) => Kind::KeepAlive,
        _ => return None,
    })
}

/// Reasons for which a segment may be dropped although it belongs to the conversation: repetitions, probes, and what
/// finds nobody at home.
const fn is_told_by_numbers(why: DropReason) -> bool {
    matches!(
        why,
        DropReason::Duplicate
            | DropReason::OutsideWindow
            | DropReason::NoConnection
            | DropReason::IgnoredReset
            | DropReason::ListenOverflow
            | DropReason::DataAfterClose
            | DropReason::AckTooOld
            | DropReason::RateLimited
    )
}

/// How many gaps are remembered per direction; of more, the oldest is forgotten.
const HOLES: usize = 8;
/// RFC 7323 3.2: the timestamps option, padded to a multiple of four.
const TIMESTAMPS_LEN: u32 = 12;
/// RFC 7323 2.3: larger shift counts mean this one.
const MAX_SCALE: u8 = 14;
/// RFC 5681 3.2: so many duplicate acknowledgements trigger a fast retransmission.
const DUPLICATES: u32 = 3;
/// Like Linux: no retransmission timeout is shorter than 200 ms; a little less, for imprecise clocks.
const TIMEOUT_FLOOR: Duration = Duration::from_millis(190);
/// A gap that closes within this time (or one round trip, if longer) is reordering. Wireshark uses the same 3 ms.
const REORDERING: Duration = Duration::from_millis(3);
/// Numbers further away than this from anything exchanged belong to another conversation.
const FAR: u64 = 1 << 24;
