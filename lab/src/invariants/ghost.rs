//! What an all-seeing observer remembers of two endpoints: ghost state, kept from the wire alone.
//!
//! Sections: RFC 9293 3.4 (sequence numbers), written anew so that judge and judged share nothing.
//! In: segments as they leave one host and reach the other.
//! Out: positions relative to the SYN, what was sent, what arrived, what was promised.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use tidegate_proto::tcp::{self, AckCause, Cause, RetransmitCause, State, Verdict};
use tidegate_proto::time::{Duration, Instant};

use super::frame::{ACK, FIN, RST, SYN, Segment};
use super::{Arrival, Setup, Tcb, View};

/// One host, as the observer knows it.
#[derive(Clone, Debug)]
pub struct Side {
    /// What it was set up with.
    pub setup: Setup,
    /// The number of its SYN.
    pub iss: Option<u32>,
    /// Behind the last number that it ever sent.
    pub sent_to: i64,
    /// Where its FIN stands, once sent.
    pub fin: Option<i64>,
    /// Its stream, as first sent.
    pub stream: Vec<u8>,
    /// What it sent more than once.
    pub resent: Ranges,
    /// A half-open record was made anew, so that the next SYN-ACK is a first one.
    pub reopened: bool,
    /// The ends of its segments, as first sent and not yet acknowledged.
    pub borders: VecDeque<i64>,
    /// When its connection began.
    pub opened: Option<Instant>,
    /// How long its first segment then waited for a neighbour's address.
    pub held: Duration,
    /// The options of its SYN or SYN-ACK.
    pub offered: Option<Offer>,
    /// What reached it of the peer's sequence space.
    pub arrived: Ranges,
    /// Where the peer's FIN stands, if it has arrived.
    pub peer_fin: Option<i64>,
    /// The options of the peer's SYN that reached it.
    pub heard: Option<Offer>,
    /// RCV.NXT after the event before, and what followed it since.
    pub taken: i64,
    /// The segment that arrived last among those beyond a gap.
    pub newest: Option<(i64, i64)>,
    /// The highest acknowledgement that it sent.
    pub acked: i64,
    /// The furthest right edge that it promised.
    pub promised: i64,
    /// The furthest right edge that the peer's promises to it reach.
    pub allowed: i64,
    /// The highest acknowledgement that reached it.
    pub confirmed: i64,
    /// Since when something in order waits for its acknowledgement.
    pub owes_since: Option<Instant>,
    /// How many full-sized segments do.
    pub owes_full: u32,
    /// Bare acknowledgements of the same number that reached it in a row, all of fast recovery included.
    pub duplicates: u32,
    /// Of these, since the number last moved.
    pub latest_duplicates: u32,
    /// When the latest of its segments so far arrives.
    pub last_arrival: Instant,
    /// When it last sent a limited challenge.
    pub challenged: Option<Instant>,
    /// The most timeouts in a row that it has told of or counted.
    pub retries: u8,
    /// It sent RST.
    pub reset: bool,
    /// RST reached it and was believed.
    pub was_reset: bool,
    /// How it looked after the event before.
    pub before: Option<View>,
    /// SND.NXT before the event in which its threshold last came down.
    pub decreased_at: i64,
    /// It has sent something.
    pub has_spoken: bool,
    /// What happened within the event at hand, or in all of them before it spoke.
    pub event: Happened,
}

/// What happened at one host within one event.
#[derive(Clone, Debug, Default)]
pub struct Happened {
    /// Wire segments that arrived, whole or damaged.
    pub arrived: u32,
    /// Of these, damaged.
    pub damaged: u32,
    /// Of these, RST.
    pub resets: u32,
    /// The sequence number, acknowledgement and right edge of each that was sound.
    pub acks: Vec<(i64, i64, i64)>,
    /// Segments that answer what arrived.
    pub answers: u32,
    /// RSTs that answer what arrived.
    pub reset_answers: u32,
    /// It told of a timeout.
    pub timeout: bool,
    /// Segments that were sent.
    pub sent: u32,
    /// The newest segment beyond a gap, and the first SACK block that was sent without it.
    pub forgotten: Option<((i64, i64), (i64, i64))>,
}

/// What a SYN offers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Offer {
    /// Maximum segment size.
    pub mss: Option<u16>,
    /// Window scale.
    pub scale: Option<u8>,
    /// SACK permitted.
    pub sack: bool,
    /// Timestamps.
    pub timestamps: bool,
}

/// A segment with its numbers as positions: 0 is the sender's SYN, 1 its first byte.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Placed {
    /// Its first number.
    pub seq: i64,
    /// Its first byte of payload.
    pub data: i64,
    /// Behind its last byte of payload.
    pub data_end: i64,
    /// Behind its last number.
    pub end: i64,
    /// What it acknowledges.
    pub ack: Option<i64>,
    /// The right edge that it promises.
    pub edge: Option<i64>,
}

/// A set of positions as sorted ranges.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Ranges(Vec<(i64, i64)>);

impl Ranges {
    /// Adds the positions from `start` up to, not including, `end`.
    pub fn insert(&mut self, mut start: i64, mut end: i64) {
        if start >= end {
            return;
        }
        let first = self.0.partition_point(|r| r.1 < start);
        let last = self.0.partition_point(|r| r.0 <= end);
        if let Some(touched) = self.0.get(first..last).filter(|t| !t.is_empty()) {
            start = start.min(touched[0].0);
            end = end.max(touched[touched.len() - 1].1);
        }
        self.0.splice(first..last, [(start, end)]);
    }

    /// True if every position from `start` up to, not including, `end` is in it.
    pub fn covers(&self, start: i64, end: i64) -> bool {
        start >= end || self.0.iter().any(|r| r.0 <= start && end <= r.1)
    }

    /// True if any of them is.
    pub fn touches(&self, start: i64, end: i64) -> bool {
        self.0.iter().any(|r| r.0 < end && start < r.1)
    }

    /// Behind the last position of the range that starts at 0.
    pub fn prefix(&self) -> i64 {
        self.0.first().filter(|r| r.0 <= 0).map_or(0, |r| r.1)
    }
}

impl Offer {
    fn of(segment: &Segment) -> Self {
        let options = &segment.options;
        let timestamps = options.timestamps.is_some();
        Offer { mss: options.mss, scale: options.scale, sack: options.sack_permitted, timestamps }
    }
}

impl Side {
    /// A host that has done nothing yet.
    pub fn new(setup: Setup) -> Self {
        Side {
            setup,
            iss: None,
            sent_to: 0,
            fin: None,
            stream: Vec::new(),
            resent: Ranges::default(),
            reopened: false,
            borders: VecDeque::new(),
            opened: None,
            held: Duration::ZERO,
            offered: None,
            arrived: Ranges::default(),
            peer_fin: None,
            heard: None,
            taken: 0,
            newest: None,
            acked: 0,
            promised: 0,
            allowed: 0,
            confirmed: 0,
            owes_since: None,
            owes_full: 0,
            duplicates: 0,
            latest_duplicates: 0,
            last_arrival: Instant::ZERO,
            challenged: None,
            retries: 0,
            reset: false,
            was_reset: false,
            before: None,
            decreased_at: 0,
            has_spoken: false,
            event: Happened::default(),
        }
    }

    /// It has come to the end of its patience at least once.
    pub fn gave_up(&self) -> bool {
        let tcp = &self.setup.tcp;
        let limits = [tcp.syn_retries, tcp.synack_retries, tcp.retries2, tcp.keepalive_probes];
        tcp.user_timeout.is_some() || limits.into_iter().any(|limit| self.retries >= limit)
    }

    /// Its peer is gone, and no RST said so, or it was lost, or not believed: it may wait for ever.
    pub fn is_forsaken(&self, peer: &Side) -> bool {
        // ABORT in CLOSING and LAST-ACK sends none (RFC 9293 3.10.5), nor does giving up (3.10.8).
        let closed = peer.before.as_ref().filter(|view| matches!(view.state, State::Closed | State::Listen));
        let silent = closed.is_some_and(|view| peer.setup.may_abort || peer.gave_up() || view.app.trouble.is_some());
        (peer.reset || silent) && !self.was_reset
    }

    /// The connection's own variables after the event before, if it had any.
    pub fn tcb_before(&self) -> Option<&Tcb> {
        self.before.as_ref()?.live()
    }

    /// The options in force for what it sends, once both SYNs are known to it.
    pub fn agreed(&self) -> Option<Offer> {
        let (ours, theirs) = (self.offered?, self.heard?);
        let scale = ours.scale.filter(|_| theirs.scale.is_some());
        let timestamps = ours.timestamps && theirs.timestamps;
        Some(Offer { mss: theirs.mss, scale, sack: ours.sack && theirs.sack, timestamps })
    }

    /// How far a right edge may lie before another that means the same: a scaled window is a multiple of its unit, and
    /// what it counts from is not (RFC 7323 2.4).
    pub fn rounding(&self) -> i64 {
        let scale = self.agreed().and_then(|agreed| agreed.scale);
        (1 << scale.unwrap_or(0).min(14)) - 1
    }

    /// The most payload that one of its segments may carry: RFC 9293 3.7.1, RFC 6691.
    pub fn most_payload(&self) -> u16 {
        let (headers, default) = if self.setup.socket.is_ipv6() { (60, 1220) } else { (40, 536) };
        let agreed = self.agreed();
        let options = if agreed.is_some_and(|a| a.timestamps) { 12 } else { 0 };
        let theirs = agreed.and_then(|a| a.mss).unwrap_or(default);
        theirs.min(self.setup.mtu.saturating_sub(headers)).saturating_sub(options)
    }
}

/// Where a segment of `from` stands, and what it says to `to`.
pub fn place(from: &Side, to: &Side, segment: &Segment) -> Placed {
    let position = |iss: Option<u32>, number: u32, near: i64| {
        near + i64::from(number.wrapping_sub(iss.unwrap_or(0).wrapping_add(low_bits(near))).cast_signed())
    };
    let seq = position(from.iss, segment.seq, from.sent_to);
    let data = seq + i64::from(segment.has(SYN));
    let data_end = data + i64::try_from(segment.payload.len()).unwrap_or(i64::MAX);
    let ack = segment.has(ACK).then(|| position(to.iss, segment.ack, to.sent_to));
    let scale = if segment.has(SYN) { 0 } else { from.agreed().and_then(|a| a.scale).unwrap_or(0).min(14) };
    let edge = ack.map(|ack| ack + (i64::from(segment.window) << scale));
    Placed { seq, data, data_end, end: data_end + i64::from(segment.has(FIN)), ack, edge }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "sequence numbers are modulo 2^32")]
const fn low_bits(position: i64) -> u32 {
    position as u32
}

/// A segment leaves `side`.
pub fn on_sent(sides: &mut [Side; 2], side: usize, segment: &Segment, cause: Option<Cause>, at: Instant) {
    let placed = place(&sides[side], &sides[1 - side], segment);
    let me = &mut sides[side];
    note_cause(me, cause, at);
    if segment.has(RST) {
        me.reset = true;
        return;
    }
    if segment.has(SYN) {
        me.offered = Some(Offer::of(segment));
        if me.sent_to == 0 {
            me.held = at.since(me.opened.unwrap_or(at));
        }
    }
    let end = placed.end;
    if core::mem::take(&mut me.reopened) {
        me.resent = Ranges::default();
    } else if placed.seq < end && placed.seq < me.sent_to {
        me.resent.insert(placed.seq, end.min(me.sent_to));
    }
    let known = i64::try_from(me.stream.len()).unwrap_or(i64::MAX) + 1;
    if let Ok(skip) = usize::try_from(known - placed.data)
        && let Some(new) = segment.payload.get(skip..)
    {
        me.stream.extend_from_slice(new);
    }
    // A retransmission may be cut shorter than what it repeats.
    let at = me.borders.partition_point(|border| *border < end);
    if placed.seq < end && me.borders.get(at) != Some(&end) {
        me.borders.insert(at, end);
    }
    me.sent_to = me.sent_to.max(end);
    if segment.has(FIN) {
        me.fin.get_or_insert(placed.data_end);
    }
    if let (Some(ack), Some(edge)) = (placed.ack, placed.edge) {
        me.acked = me.acked.max(ack);
        me.promised = me.promised.max(edge);
        me.owes_full = 0;
    }
}

/// What a sender says of its reasons.
fn note_cause(me: &mut Side, cause: Option<Cause>, at: Instant) {
    me.event.sent += 1;
    me.has_spoken = true;
    match cause {
        Some(Cause::Retransmit(RetransmitCause::Syn(n) | RetransmitCause::SynAck(n) | RetransmitCause::Timeout(n))) => {
            me.retries = me.retries.max(n);
            me.event.timeout = true;
        }
        Some(Cause::WindowProbe(n) | Cause::KeepAlive(n)) => me.retries = me.retries.max(n),
        Some(Cause::Ack(why)) if is_answer(why) => {
            me.event.answers += 1;
            if is_limited(why) {
                me.challenged = Some(at);
            }
        }
        Some(Cause::Reset(why)) if is_reset_answer(why) => me.event.reset_answers += 1,
        _ => {}
    }
}

/// True for an acknowledgement that one arriving segment, and nothing else, calls for.
fn is_answer(why: AckCause) -> bool {
    use AckCause::{Challenge, Duplicate, OutOfOrder, ProbeAnswer, TimeWait};
    matches!(why, Challenge(_) | Duplicate | OutOfOrder | ProbeAnswer | TimeWait)
}

/// True for those that RFC 5961 limits, whatever the segment that provoked them.
pub fn is_limited(why: AckCause) -> bool {
    use tcp::DropReason::{AckTooNew, AckTooOld, ResetNotExact, SynInWindow};
    matches!(why, AckCause::Challenge(ResetNotExact | SynInWindow | AckTooNew | AckTooOld))
}

/// True for a RST that answers a segment.
pub fn is_reset_answer(why: tcp::ResetCause) -> bool {
    use tcp::ResetCause::{DataAfterClose, NoConnection, UnacceptableAck};
    matches!(why, NoConnection | UnacceptableAck | DataAfterClose)
}

/// A frame reaches `side`.
pub fn on_arrival(sides: &mut [Side; 2], side: usize, arrival: &Arrival, at: Instant) {
    let event = &mut sides[side].event;
    event.arrived += u32::from(arrival.segments);
    let Some(segment) = &arrival.segment else {
        event.damaged += u32::from(arrival.segments);
        return;
    };
    if segment.has(RST) {
        event.resets += 1;
        sides[side].was_reset |= arrival.verdict == Verdict::Accepted;
        return;
    }
    if segment.has(SYN) {
        sides[side].heard = Some(Offer::of(segment));
        sides[side].opened.get_or_insert(at);
    }
    let placed = place(&sides[1 - side], &sides[side], segment);
    let full = usize::from(sides[1 - side].most_payload());
    let me = &mut sides[side];
    if let (Some(ack), Some(edge)) = (placed.ack, placed.edge) {
        // A SYN is trimmed off where only what stands behind it is new.
        let starts = [placed.seq, placed.data];
        me.event.acks.extend(starts.map(|seq| (seq, ack, edge)));
        me.allowed = me.allowed.max(edge);
        if ack > me.confirmed {
            me.confirmed = ack;
            me.latest_duplicates = 0;
        } else if placed.seq == placed.end {
            me.duplicates += 1;
            me.latest_duplicates += 1;
        }
    }
    me.arrived.insert(placed.seq, placed.end);
    if segment.has(FIN) {
        me.peer_fin.get_or_insert(placed.data_end);
    }
    if arrival.verdict != Verdict::Accepted || segment.payload.is_empty() {
        return;
    }
    let size = segment.payload.len() / usize::from(arrival.segments.max(1));
    if placed.data > me.taken {
        me.newest = Some((placed.data, placed.data_end));
    } else if placed.data_end > me.taken {
        me.taken = placed.data_end;
        if size >= full {
            me.owes_full += u32::from(arrival.segments);
        }
    }
}

/// An event is over: what it left behind is the past of the next.
pub fn on_rest(sides: &mut [Side; 2], views: &[View; 2], at: Instant) {
    for (side, view) in sides.iter_mut().zip(views) {
        if let Some(tcb) = view.live() {
            side.opened.get_or_insert(at);
            side.taken = tcb.info.rcv_nxt.0;
            if !tcb.info.in_recovery {
                side.duplicates = side.latest_duplicates;
            }
            // What waits for a neighbour's address, and is lost there, is on no wire.
            side.retries = side.retries.max(tcb.info.backoff);
            let una = tcb.info.snd_una.0;
            while side.borders.front().is_some_and(|border| *border <= una) {
                side.borders.pop_front();
            }
            let before = side.tcb_before().map(|before| (before.info.snd_ssthresh, before.info.snd_nxt.0));
            if let Some((ssthresh, nxt)) = before
                && ssthresh > tcb.info.snd_ssthresh
            {
                side.decreased_at = nxt;
            }
        }
        let owes = view.live().is_some_and(|tcb| tcb.info.rcv_nxt.0 > side.acked);
        side.owes_since = owes.then(|| side.owes_since.unwrap_or(at));
        side.before = Some(view.clone());
        // What a host says first may have waited for its neighbour's address.
        if side.has_spoken {
            side.event = Happened::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_join_where_they_touch() {
        let mut ranges = Ranges::default();
        for (start, end) in [(10, 20), (30, 40), (0, 5), (20, 30), (50, 50), (4, 6)] {
            ranges.insert(start, end);
        }
        assert_eq!(ranges, Ranges(alloc::vec![(0, 6), (10, 40)]));
        assert_eq!(ranges.prefix(), 6);
        assert!(ranges.covers(10, 40) && !ranges.covers(5, 11) && ranges.covers(7, 7));
        assert!(ranges.touches(5, 11) && !ranges.touches(6, 10));
    }
}
