//! What is left of connections whose both sides have closed: TIME-WAIT records.
//!
//! Sections: RFC 9293 3.6.1, 3.10.7.4 (the TIME-WAIT rows); RFC 1337; RFC 6191; RFC 7323 5.
//! In: what a connection hands over; segments that still arrive for it; the end of 2 MSL.
//! Out: what each segment deserves; acknowledgements; reuse when it is safe.

use super::TimerKey;
use super::slab::Slab;
use super::wheel::{TimerId, Wheel};
use crate::tcp::check::{ResetKind, View, check_flags};
use crate::tcp::{AckCause, DropReason, Segment, TimeWait};
use crate::time::{Duration, Instant};
use crate::wire::{Flags, FourTuple, Header, Options, Pos, Seq, Space, Timestamps};

/// All TIME-WAIT records of a stack, in the order in which they came.
#[derive(Clone, Debug)]
pub(crate) struct TimeWaitTable {
    records: Slab<Record>,
    oldest: u32,
    newest: u32,
}

/// One record: enough to acknowledge, to recognise what is old, and to start anew where that is safe.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    key: FourTuple,
    snd_nxt: Seq,
    rcv_nxt: Seq,
    window: u16,
    /// TS.Recent and our clock's offset.
    timestamps: Option<(u32, u32)>,
    /// 2 MSL, milliseconds.
    lasts: u32,
    /// When this 2 MSL began.
    since: Instant,
    /// Until when unacceptable segments get no further answer.
    quiet_until: Instant,
    timer: Option<TimerId>,
    older: u32,
    newer: u32,
}

/// What a segment for a TIME-WAIT record deserves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Arrival {
    /// An acknowledgement.
    Acknowledge(AckCause, DropReason),
    /// The peer's FIN again: an acknowledgement, and 2 MSL start again.
    Restart,
    /// Nothing.
    Drop(DropReason),
    /// The record is to be forgotten.
    Delete,
    /// It is a SYN that is certainly new, and somebody listens: the record gives way (MAY-2).
    Reopen,
}

impl TimeWaitTable {
    pub(crate) const fn new() -> Self {
        TimeWaitTable { records: Slab::new(), oldest: NIL, newest: NIL }
    }

    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }

    pub(crate) fn get(&self, index: u32) -> Option<&Record> {
        self.records.get(index)
    }

    /// All records, by index.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Record> {
        self.records.iter().map(|(_, record)| record)
    }

    /// The record that would give way to a new one first.
    pub(crate) fn oldest(&self) -> Option<u32> {
        (self.oldest != NIL).then_some(self.oldest)
    }

    /// Takes a record over and starts its timer.
    //= 9293/MUST-13
    pub(crate) fn insert(&mut self, from: &TimeWait, now: Instant, wheel: &mut Wheel<TimerKey>) -> u32 {
        let TimeWait { key, snd_nxt, rcv_nxt, window, timestamps, expires } = *from;
        let lasts = u32::try_from(expires.since(now).as_nanos().div_ceil(1_000_000)).unwrap_or(u32::MAX);
        let index = self.records.insert(Record {
            key,
            snd_nxt,
            rcv_nxt,
            window,
            timestamps,
            lasts,
            since: now,
            quiet_until: now,
            timer: None,
            older: self.newest,
            newer: NIL,
        });
        if let Some(before) = self.records.get_mut(self.newest) {
            before.newer = index;
        } else {
            self.oldest = index;
        }
        self.newest = index;
        if let Some(record) = self.records.get_mut(index) {
            wheel.arm(&mut record.timer, TimerKey::TimeWait(index), expires);
        }
        index
    }

    /// Forgets a record and gives its four-tuple.
    pub(crate) fn remove(&mut self, index: u32, wheel: &mut Wheel<TimerKey>) -> Option<FourTuple> {
        let mut record = self.records.remove(index)?;
        wheel.cancel(&mut record.timer);
        match self.records.get_mut(record.older) {
            Some(older) => older.newer = record.newer,
            None => self.oldest = record.newer,
        }
        match self.records.get_mut(record.newer) {
            Some(newer) => newer.older = record.older,
            None => self.newest = record.older,
        }
        Some(record.key)
    }

    /// The timer of a record has run out; its [`TimerId`] is void.
    pub(crate) fn on_timeout(&mut self, index: u32) {
        if let Some(record) = self.records.get_mut(index) {
            record.timer = None;
        }
    }

    /// SEGMENT ARRIVES in TIME-WAIT, RFC 9293 3.10.7.4.
    pub(crate) fn on_segment(
        &mut self,
        index: u32,
        segment: &Segment,
        rules: &Rules,
        now: Instant,
        wheel: &mut Wheel<TimerKey>,
    ) -> Arrival {
        let Some(record) = self.records.get_mut(index) else { return Arrival::Drop(DropReason::NoConnection) };
        let arrival = record.judge(segment, rules);
        match arrival {
            Arrival::Restart => {
                record.since = now;
                let expires = now + Duration::from_millis(u64::from(record.lasts));
                wheel.arm(&mut record.timer, TimerKey::TimeWait(index), expires);
            }
            // The peer's own retransmissions are slow; whoever asks faster than this is answered once.
            Arrival::Acknowledge(..) if now < record.quiet_until => return Arrival::Drop(DropReason::RateLimited),
            Arrival::Acknowledge(..) => record.quiet_until = now + rules.answer_interval,
            Arrival::Drop(_) | Arrival::Delete | Arrival::Reopen => {}
        }
        arrival
    }
}

/// The settings that matter here.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    /// `tcp_rfc1337`.
    pub(crate) rfc1337: bool,
    /// `tcp_invalid_ratelimit`.
    pub(crate) answer_interval: Duration,
    /// Somebody listens where the segment goes, and has room.
    pub(crate) may_reopen: bool,
}

impl Record {
    pub(crate) fn key(&self) -> FourTuple {
        self.key
    }

    /// The largest sequence number that the old connection used, plus one.
    pub(crate) fn snd_nxt(&self) -> Seq {
        self.snd_nxt
    }

    /// The acknowledgement that this record answers with.
    pub(crate) fn acknowledgement(&self, ts_now: u32) -> Header {
        let timestamps =
            self.timestamps.map(|(recent, offset)| Timestamps { val: ts_now.wrapping_add(offset), ecr: recent });
        Header {
            src_port: self.key.local_port,
            dst_port: self.key.remote_port,
            seq: self.snd_nxt,
            ack: self.rcv_nxt,
            flags: Flags::ACK,
            window: self.window,
            urgent: 0,
            options: Options { timestamps, ..Options::default() },
        }
    }

    /// True if an active open may take the four-tuple over: the peer's PAWS will tell old segments from new ones by a
    /// clock that has moved on since.
    /// Like Linux: one second, the coarsest clock that RFC 7323 allows.
    pub(crate) fn may_reuse(&self, now: Instant) -> bool {
        self.timestamps.is_some() && now.since(self.since) >= Duration::from_secs(1)
    }

    fn judge(&self, segment: &Segment, rules: &Rules) -> Arrival {
        let header = &segment.header;
        let flags = header.flags;
        let challenge = |why| Arrival::Acknowledge(AckCause::Challenge(why), why);
        if let Err(why) = check_flags(flags) {
            return Arrival::Drop(why);
        }
        if rules.may_reopen && self.is_new_connection(header) {
            return Arrival::Reopen;
        }

        // First: the sequence number, and the timestamp before it (RFC 7323 5.3 R1).
        let stale = match (self.timestamps, header.options.timestamps) {
            (Some((recent, _)), Some(theirs)) => is_before(theirs.val, recent),
            _ => false,
        };
        if stale && !flags.has(Flags::RST) {
            return challenge(DropReason::Paws);
        }
        // Eighth, pulled forward: the peer's FIN again lies before the window, and still is what this state waits for.
        if flags.has(Flags::FIN | Flags::ACK)
            && !flags.any(Flags::RST | Flags::SYN)
            && header.seq + segment.len() == self.rcv_nxt
        {
            return Arrival::Restart;
        }
        let view = View {
            rcv_nxt: Pos::SYN,
            rcv_wnd: u32::from(self.window),
            snd_una: Pos::SYN + u64::from(SENT),
            snd_nxt: Pos::SYN + u64::from(SENT),
            max_snd_wnd: SENT,
        };
        let seq = Space::new(self.rcv_nxt).pos(header.seq, Pos::SYN);
        if let Err(why) = view.check_sequence(seq, u64::from(segment.len())) {
            return if flags.has(Flags::RST) {
                Arrival::Drop(why)
            } else {
                Arrival::Acknowledge(AckCause::TimeWait, why)
            };
        }

        // Second: RST.
        if flags.has(Flags::RST) {
            return match view.check_reset(seq) {
                _ if rules.rfc1337 => Arrival::Drop(DropReason::TimeWaitAssassination),
                Ok(ResetKind::Exact) => Arrival::Delete,
                Ok(ResetKind::InWindow) => challenge(DropReason::ResetNotExact),
                Err(why) => Arrival::Drop(why),
            };
        }

        // Fourth: SYN.
        if flags.has(Flags::SYN) {
            return challenge(DropReason::SynInWindow);
        }

        // Fifth: ACK. Everything that we sent was acknowledged before, and the peer has nothing to add.
        if !flags.has(Flags::ACK) {
            return Arrival::Drop(DropReason::NoAck);
        }
        match view.check_ack(Space::new(self.snd_nxt - SENT).pos(header.ack, view.snd_nxt)) {
            Err(DropReason::AckTooNew) => challenge(DropReason::AckTooNew),
            Err(why) => Arrival::Drop(why),
            Ok(_) if segment.is_empty() => Arrival::Drop(DropReason::Duplicate),
            // Bytes behind the peer's own FIN.
            Ok(_) => Arrival::Drop(DropReason::OutsideWindow),
        }
    }

    /// True for a SYN that no delayed segment of the old connection can be: by its timestamp if both connections have
    /// them, else by a sequence number beyond all that the old one used.
    //= 6191#2
    //= 9293/SHLD-4
    //= 9293/MAY-2
    fn is_new_connection(&self, header: &Header) -> bool {
        if !header.flags.has(Flags::SYN) || header.flags.any(Flags::ACK | Flags::RST | Flags::FIN) {
            return false;
        }
        let beyond = header.seq.distance(self.rcv_nxt) > 0;
        match (self.timestamps, header.options.timestamps) {
            (Some((recent, _)), Some(theirs)) => is_before(recent, theirs.val) || (theirs.val == recent && beyond),
            // DEVIATES: RFC 6191 2 would honour timestamps that only the new connection has: with nothing to compare
            // them to, the sequence number is the safer witness.
            _ => beyond,
        }
    }
}

/// True if timestamp `a` is older than `b`, modulo 2^32.
const fn is_before(a: u32, b: u32) -> bool {
    a.wrapping_sub(b).cast_signed() < 0
}

/// How far our direction is taken to have come: the record does not know, and no acknowledgement may be too old by less
/// than half the sequence space.
const SENT: u32 = 1 << 31;
/// The end of the list.
const NIL: u32 = u32::MAX;

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    const SND_NXT: Seq = Seq(1000);
    const RCV_NXT: Seq = Seq(u32::MAX - 1);

    fn key(port: u16) -> FourTuple {
        FourTuple::new(([192, 0, 2, 1], 80).into(), ([192, 0, 2, 2], port).into())
    }

    fn record(port: u16, timestamps: Option<(u32, u32)>) -> TimeWait {
        let expires = Instant::ZERO + Duration::from_secs(60);
        TimeWait { key: key(port), snd_nxt: SND_NXT, rcv_nxt: RCV_NXT, window: 500, timestamps, expires }
    }

    fn segment(flags: Flags, seq: Seq, ts: Option<u32>) -> Segment {
        let timestamps = ts.map(|val| Timestamps { val, ecr: 0 });
        let options = Options { timestamps, ..Options::default() };
        let header = Header { seq, ack: SND_NXT, flags, options, ..Header::default() };
        Segment { header, segments: 1, ..Segment::default() }
    }

    const RULES: Rules = Rules { rfc1337: true, answer_interval: Duration::from_millis(500), may_reopen: true };

    /// how much a connection that is over costs.
    #[test]
    fn a_record_is_small() {
        assert!(size_of::<Record>() <= 96, "{}", size_of::<Record>());
    }

    /// One row per sentence of RFC 9293 3.10.7.4, RFC 1337, RFC 6191 and RFC 7323 about this state.
    #[test]
    fn what_each_segment_deserves() {
        let challenge = |why| Arrival::Acknowledge(AckCause::Challenge(why), why);
        let late = |why| Arrival::Acknowledge(AckCause::TimeWait, why);
        let fin = Flags::FIN | Flags::ACK;
        for (what, ts, rfc1337, arriving, expected) in [
            ("the FIN again", None, true, segment(fin, RCV_NXT - 1, None), Arrival::Restart),
            ("the FIN again, timed", Some((7, 0)), true, segment(fin, RCV_NXT - 1, Some(7)), Arrival::Restart),
            ("an old FIN", None, true, segment(fin, RCV_NXT - 9, None), late(DropReason::Duplicate)),
            ("an old segment", None, true, segment(Flags::ACK, RCV_NXT - 9, None), late(DropReason::OutsideWindow)),
            ("a bare ACK", None, true, segment(Flags::ACK, RCV_NXT, None), Arrival::Drop(DropReason::Duplicate)),
            (
                "an old timestamp",
                Some((7, 0)),
                true,
                segment(Flags::ACK, RCV_NXT, Some(6)),
                challenge(DropReason::Paws),
            ),
            ("no ACK", None, true, segment(Flags::FIN, RCV_NXT, None), Arrival::Drop(DropReason::NoAck)),
            (
                "RST, RFC 1337",
                None,
                true,
                segment(Flags::RST, RCV_NXT, None),
                Arrival::Drop(DropReason::TimeWaitAssassination),
            ),
            ("RST", None, false, segment(Flags::RST, RCV_NXT, None), Arrival::Delete),
            ("RST within", None, false, segment(Flags::RST, RCV_NXT + 9, None), challenge(DropReason::ResetNotExact)),
            (
                "RST outside",
                None,
                false,
                segment(Flags::RST, RCV_NXT + 900, None),
                Arrival::Drop(DropReason::OutsideWindow),
            ),
            ("SYN beyond", None, true, segment(Flags::SYN, RCV_NXT + 5, None), Arrival::Reopen),
            ("SYN at the edge", None, true, segment(Flags::SYN, RCV_NXT, None), challenge(DropReason::SynInWindow)),
            ("SYN before", None, true, segment(Flags::SYN, RCV_NXT - 5, None), late(DropReason::Duplicate)),
            ("SYN, later clock", Some((7, 0)), true, segment(Flags::SYN, RCV_NXT - 5, Some(8)), Arrival::Reopen),
            ("SYN, same clock, beyond", Some((7, 0)), true, segment(Flags::SYN, RCV_NXT + 5, Some(7)), Arrival::Reopen),
            (
                "SYN, same clock, before",
                Some((7, 0)),
                true,
                segment(Flags::SYN, RCV_NXT - 5, Some(7)),
                late(DropReason::Duplicate),
            ),
            (
                "SYN, older clock, beyond",
                Some((7, 0)),
                true,
                segment(Flags::SYN, RCV_NXT + 5, Some(6)),
                challenge(DropReason::Paws),
            ),
            ("SYN, clock gone, beyond", Some((7, 0)), true, segment(Flags::SYN, RCV_NXT + 5, None), Arrival::Reopen),
            (
                "SYN with ACK",
                None,
                true,
                segment(Flags::SYN | Flags::ACK, RCV_NXT + 5, None),
                challenge(DropReason::SynInWindow),
            ),
        ] {
            let (mut table, mut wheel) = (TimeWaitTable::new(), Wheel::new(Instant::ZERO));
            let index = table.insert(&record(1, ts), Instant::ZERO, &mut wheel);
            let rules = Rules { rfc1337, ..RULES };
            assert_eq!(table.on_segment(index, &arriving, &rules, Instant::ZERO, &mut wheel), expected, "{what}");
        }
    }

    #[test]
    fn data_behind_the_fin_is_ignored() {
        let (mut table, mut wheel) = (TimeWaitTable::new(), Wheel::new(Instant::ZERO));
        let index = table.insert(&record(1, None), Instant::ZERO, &mut wheel);
        let mut late = segment(Flags::ACK, RCV_NXT, None);
        late.payload = Bytes::from_static(b"late");
        let arrival = table.on_segment(index, &late, &RULES, Instant::ZERO, &mut wheel);
        assert_eq!(arrival, Arrival::Drop(DropReason::OutsideWindow));
    }

    //= 9293/MUST-13
    #[test]
    fn the_fin_again_starts_2_msl_again() {
        let (mut table, mut wheel) = (TimeWaitTable::new(), Wheel::new(Instant::ZERO));
        let index = table.insert(&record(1, None), Instant::ZERO, &mut wheel);
        let later = Instant::ZERO + Duration::from_secs(10);
        table.on_segment(index, &segment(Flags::FIN | Flags::ACK, RCV_NXT - 1, None), &RULES, later, &mut wheel);
        assert_eq!(wheel.next(), Some(later + Duration::from_secs(60)));
    }

    #[test]
    fn answers_are_rationed() {
        let (mut table, mut wheel) = (TimeWaitTable::new(), Wheel::new(Instant::ZERO));
        let index = table.insert(&record(1, None), Instant::ZERO, &mut wheel);
        let old = segment(Flags::ACK, RCV_NXT - 9, None);
        let answers = (0..1000)
            .filter(|&ms| {
                let now = Instant::ZERO + Duration::from_millis(ms);
                matches!(table.on_segment(index, &old, &RULES, now, &mut wheel), Arrival::Acknowledge(..))
            })
            .count();
        assert_eq!(answers, 2);
    }

    #[test]
    fn the_oldest_gives_way_first() {
        let (mut table, mut wheel) = (TimeWaitTable::new(), Wheel::new(Instant::ZERO));
        let indices = [1, 2, 3].map(|port| table.insert(&record(port, None), Instant::ZERO, &mut wheel));
        table.remove(indices[1], &mut wheel);
        for port in [1, 3] {
            let oldest = table.oldest().unwrap();
            assert_eq!(table.remove(oldest, &mut wheel), Some(key(port)));
        }
        assert_eq!((table.oldest(), table.len(), wheel.len()), (None, 0, 0));
    }
}
