//! A half-open record: SYN-RECEIVED after a passive open, before it is worth a connection.
//!
//! Sections: RFC 9293 3.10.7.4 (the SYN-RECEIVED rows), 3.8.3; RFC 4987 3.4 (SYN cache); RFC 5961 3, 4; RFC 7323 5.
//! In: the SYN that a listener took; later segments of the same four-tuple; time.
//! Out: the SYN-ACK, again if need be; what each segment deserves; all that a connection starts from.

use crate::net::wheel::TimerId;
use crate::tcp::check::{ResetKind, View, check_flags};
use crate::tcp::open::{syn_ack_options, syn_window, ts_clock};
use crate::tcp::{Accepted, Config, DropReason, Segment};
use crate::time::{Duration, Instant};
use crate::wire::{Flags, FourTuple, Header, Options, Pos, Seq, Space, Timestamps};

/// What a SYN costs before its sender has shown that it is there.
#[derive(Clone, Debug)]
pub(crate) struct HalfOpen {
    pub(crate) key: FourTuple,
    /// The listener's index.
    pub(crate) listener: u32,
    /// How often the SYN-ACK was sent again after a timeout.
    pub(crate) timeouts: u8,
    /// How often the SYN-ACK was sent, for whatever reason.
    times_sent: u8,
    pub(crate) timer: Option<TimerId>,
    iss: Seq,
    irs: Seq,
    /// SEG.WND of the SYN.
    window: u16,
    /// RCV.WND as the SYN-ACK says it.
    rcv_wnd: u16,
    mss: Option<u16>,
    window_scale: Option<u8>,
    sack_permitted: bool,
    /// TSval of the SYN, which is TS.Recent.
    timestamp: Option<u32>,
    ts_offset: u32,
    /// When the SYN-ACK was last sent.
    sent: Instant,
    /// Until when unacceptable segments get no further answer.
    quiet_until: Instant,
}

/// What a segment for a half-open record deserves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Arrival {
    /// It completes the handshake.
    Complete,
    /// The SYN-ACK again: the peer has not seen it.
    SynAckAgain,
    /// An acknowledgement that says where we are.
    Challenge(DropReason),
    /// A reset with the segment's own acknowledgement number.
    Reset(DropReason),
    /// The record goes; the listener listens on.
    BackToListen,
    /// Nothing.
    Drop(DropReason),
}

impl HalfOpen {
    /// The record of a SYN that arrived for `listener`.
    pub(crate) fn new(
        key: FourTuple,
        listener: u32,
        config: &Config,
        syn: &Header,
        iss: Seq,
        ts_offset: u32,
        now: Instant,
    ) -> Self {
        let Options { mss, window_scale, sack_permitted, timestamps, sack: _ } = &syn.options;
        HalfOpen {
            key,
            listener,
            timeouts: 0,
            times_sent: 0,
            timer: None,
            iss,
            irs: syn.seq,
            window: syn.window,
            rcv_wnd: syn_window(config, &key),
            mss: *mss,
            window_scale: *window_scale,
            sack_permitted: *sack_permitted,
            timestamp: timestamps.map(|ts| ts.val),
            ts_offset,
            sent: now,
            quiet_until: now,
        }
    }

    /// <SEQ=ISS><ACK=RCV.NXT><CTL=SYN,ACK>, which goes out now.
    pub(crate) fn syn_ack(&mut self, config: &Config, now: Instant) -> Header {
        self.sent = now;
        self.times_sent = self.times_sent.saturating_add(1);
        let tsval = ts_clock(now, self.ts_offset);
        Header {
            src_port: self.key.local_port,
            dst_port: self.key.remote_port,
            seq: self.iss,
            ack: self.irs + 1,
            flags: Flags::SYN | Flags::ACK,
            window: self.rcv_wnd,
            urgent: 0,
            options: syn_ack_options(config, &self.key, tsval, &self.peer_options()),
        }
    }

    /// <SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK>.
    pub(crate) fn acknowledgement(&self, config: &Config, now: Instant) -> Header {
        let tsval = ts_clock(now, self.ts_offset);
        let agreed = syn_ack_options(config, &self.key, tsval, &self.peer_options());
        // Only a window beside SYN stands there unscaled. The right edge stays where the SYN-ACK has put it.
        //= 7323#2.2
        let unit = 1_u16 << agreed.window_scale.unwrap_or(0);
        Header {
            src_port: self.key.local_port,
            dst_port: self.key.remote_port,
            seq: self.iss + 1,
            ack: self.irs + 1,
            flags: Flags::ACK,
            window: self.rcv_wnd.div_ceil(unit),
            urgent: 0,
            options: Options { timestamps: agreed.timestamps, ..Options::default() },
        }
    }

    /// When the SYN-ACK is to be sent again: 1 s after the first, then twice as long every time (RFC 6298 5.5).
    pub(crate) fn deadline(&self, config: &Config) -> Instant {
        let factor = 1_u64.checked_shl(u32::from(self.timeouts)).unwrap_or(u64::MAX);
        self.sent + config.rto_initial.saturating_mul(factor).min(config.rto_max)
    }

    /// What the connection starts from.
    pub(crate) fn accepted(&self) -> Accepted {
        Accepted {
            key: self.key,
            iss: self.iss,
            irs: self.irs,
            options: self.peer_options(),
            window: self.window,
            sent: self.sent,
            // Nobody can tell which of them was acknowledged, whatever asked for the second (Karn).
            //= 9293/MUST-18
            retransmits: self.times_sent.saturating_sub(1),
            ts_offset: self.ts_offset,
        }
    }

    /// SEGMENT ARRIVES in SYN-RECEIVED: RFC 9293 3.10.7.4. Challenges are rationed to one per `interval`.
    pub(crate) fn on_segment(&mut self, segment: &Segment, interval: Duration, now: Instant) -> Arrival {
        match self.judge(segment) {
            Arrival::Challenge(_) if now < self.quiet_until => Arrival::Drop(DropReason::RateLimited),
            challenge @ Arrival::Challenge(_) => {
                self.quiet_until = now + interval;
                challenge
            }
            other => other,
        }
    }

    fn judge(&self, segment: &Segment) -> Arrival {
        let header = &segment.header;
        let flags = header.flags;
        if let Err(why) = check_flags(flags) {
            return Arrival::Drop(why);
        }
        // Like Linux: the same SYN again asks for the SYN-ACK; a bare ACK, as the sequence check has it, would tell
        // a peer in SYN-SENT nothing.
        if flags.has(Flags::SYN) && !flags.has(Flags::ACK) && header.seq == self.irs {
            return Arrival::SynAckAgain;
        }

        // First: the sequence number, and the timestamp before it (RFC 7323 5.3 R1).
        let seq = Space::new(self.irs).pos(header.seq, Pos::FIRST);
        let view = View {
            rcv_nxt: Pos::FIRST,
            rcv_wnd: u32::from(self.rcv_wnd),
            snd_una: Pos::SYN,
            snd_nxt: Pos::FIRST,
            max_snd_wnd: u32::from(self.window),
        };
        if let (Some(recent), Some(theirs)) = (self.timestamp, header.options.timestamps)
            && theirs.val.wrapping_sub(recent).cast_signed() < 0
            && !flags.has(Flags::RST)
        {
            return Arrival::Challenge(DropReason::Paws);
        }
        if let Err(why) = view.check_sequence(seq, u64::from(segment.len())) {
            return if flags.has(Flags::RST) { Arrival::Drop(why) } else { Arrival::Challenge(why) };
        }

        // Second: RST.
        if flags.has(Flags::RST) {
            return match view.check_reset(seq) {
                Ok(ResetKind::Exact) => Arrival::BackToListen,
                Ok(ResetKind::InWindow) => Arrival::Challenge(DropReason::ResetNotExact),
                Err(why) => Arrival::Drop(why),
            };
        }

        // Fourth: SYN.
        //= 9293/MUST-11
        if flags.has(Flags::SYN) {
            return Arrival::BackToListen;
        }

        // Fifth: ACK.
        if !flags.has(Flags::ACK) {
            return Arrival::Drop(DropReason::NoAck);
        }
        let ack = Space::new(self.iss).pos(header.ack, Pos::FIRST);
        if !view.is_ack_of_syn(ack) {
            let why = if ack > view.snd_nxt { DropReason::AckTooNew } else { DropReason::AckTooOld };
            return Arrival::Reset(why);
        }
        Arrival::Complete
    }

    fn peer_options(&self) -> Options {
        Options {
            mss: self.mss,
            window_scale: self.window_scale,
            sack_permitted: self.sack_permitted,
            timestamps: self.timestamp.map(|val| Timestamps { val, ecr: 0 }),
            ..Options::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ISS: Seq = Seq(u32::MAX);
    const IRS: Seq = Seq(7000);
    const INTERVAL: Duration = Duration::from_millis(500);

    fn key() -> FourTuple {
        FourTuple::new(([192, 0, 2, 1], 80).into(), ([192, 0, 2, 2], 40_000).into())
    }

    fn timestamps(val: Option<u32>) -> Options {
        Options { timestamps: val.map(|val| Timestamps { val, ecr: 0 }), ..Options::default() }
    }

    fn half_open() -> HalfOpen {
        let options = Options { mss: Some(1460), window_scale: Some(7), ..timestamps(Some(100)) };
        let syn = Header { seq: IRS, flags: Flags::SYN, window: 29_200, options, ..Header::default() };
        HalfOpen::new(key(), 0, &Config::default(), &syn, ISS, 5, Instant::ZERO)
    }

    fn segment(flags: Flags, seq: Seq, ack: Seq, ts: u32) -> Segment {
        let header = Header { seq, ack, flags, window: 229, options: timestamps(Some(ts)), ..Header::default() };
        Segment { header, segments: 1, ..Segment::default() }
    }

    ///
    #[test]
    fn a_record_is_small() {
        assert!(size_of::<HalfOpen>() <= 128, "{}", size_of::<HalfOpen>());
    }

    /// One row per sentence of RFC 9293 3.10.7.4 about SYN-RECEIVED, and of RFC 5961 and 7323.
    //= 9293/MUST-11
    #[test]
    fn what_each_segment_deserves() {
        use DropReason::{AckTooNew, AckTooOld, BadFlags, Duplicate, NoAck, OutsideWindow, Paws, ResetNotExact};
        let (next, ok) = (IRS + 1, ISS + 1);
        for (what, arriving, expected) in [
            ("the third segment", segment(Flags::ACK, next, ok, 100), Arrival::Complete),
            ("the third was lost, the FIN is here", segment(Flags::ACK | Flags::FIN, next, ok, 100), Arrival::Complete),
            ("a later one overtook it", segment(Flags::ACK, next + 5000, ok, 100), Arrival::Complete),
            ("the SYN again", segment(Flags::SYN, IRS, Seq(0), 100), Arrival::SynAckAgain),
            ("another SYN, old", segment(Flags::SYN, IRS - 9, Seq(0), 100), Arrival::Challenge(Duplicate)),
            ("another SYN, in the window", segment(Flags::SYN, next + 9, Seq(0), 100), Arrival::BackToListen),
            ("an old timestamp", segment(Flags::ACK, next, ok, 99), Arrival::Challenge(Paws)),
            ("beyond the window", segment(Flags::ACK, next + 70_000, ok, 100), Arrival::Challenge(OutsideWindow)),
            ("RST, exact", segment(Flags::RST, next, Seq(0), 0), Arrival::BackToListen),
            ("RST, in the window", segment(Flags::RST, next + 1, Seq(0), 0), Arrival::Challenge(ResetNotExact)),
            ("RST, outside", segment(Flags::RST, IRS, Seq(0), 0), Arrival::Drop(OutsideWindow)),
            ("no ACK", segment(Flags::FIN, next, Seq(0), 100), Arrival::Drop(NoAck)),
            ("acknowledges too much", segment(Flags::ACK, next, ok + 1, 100), Arrival::Reset(AckTooNew)),
            ("acknowledges too little", segment(Flags::ACK, next, ISS, 100), Arrival::Reset(AckTooOld)),
            ("Christmas tree", segment(Flags::SYN | Flags::FIN, next, ok, 100), Arrival::Drop(BadFlags)),
        ] {
            assert_eq!(half_open().on_segment(&arriving, INTERVAL, Instant::ZERO), expected, "{what}");
        }
    }

    #[test]
    fn challenges_are_rationed() {
        let mut record = half_open();
        let bad = segment(Flags::ACK, IRS - 100, ISS + 1, 100);
        let answers = (0..1000)
            .filter(|&ms| {
                let now = Instant::ZERO + Duration::from_millis(ms);
                matches!(record.on_segment(&bad, INTERVAL, now), Arrival::Challenge(_))
            })
            .count();
        assert_eq!(answers, 2);
    }

    #[test]
    fn the_syn_ack_answers_what_the_syn_offered() {
        let mut record = half_open();
        let syn_ack = record.syn_ack(&Config::default(), Instant::ZERO + Duration::from_millis(3));
        assert_eq!((syn_ack.seq, syn_ack.ack, syn_ack.flags), (ISS, IRS + 1, Flags::SYN | Flags::ACK));
        assert_eq!(syn_ack.options.timestamps, Some(Timestamps { val: 8, ecr: 100 }));
        assert!(syn_ack.options.window_scale.is_some());
        assert!(!syn_ack.options.sack_permitted, "the SYN did not offer it");
    }

    /// Found by a random world: the SYN came twice, and the acknowledgement of the first SYN-ACK made a round trip
    /// shorter than the path.
    //= 9293/MUST-18
    #[test]
    fn a_syn_ack_that_was_sent_twice_measures_nothing() {
        let mut record = half_open();
        record.syn_ack(&Config::default(), Instant::ZERO);
        assert_eq!(record.accepted().retransmits, 0);
        assert_eq!(
            record.on_segment(&segment(Flags::SYN, IRS, Seq(0), 100), INTERVAL, Instant::ZERO),
            Arrival::SynAckAgain
        );
        record.syn_ack(&Config::default(), Instant::ZERO + Duration::from_millis(1));
        assert_eq!((record.accepted().retransmits, record.timeouts), (1, 0));
    }

    /// Found by a random world: a keep-alive probe met a half-open record.
    //= 7323#2.2
    #[test]
    fn a_challenge_offers_the_window_of_the_syn_ack() {
        let config = Config { rcv_buf: 100_001, ..Config::default() };
        let mut record = half_open();
        let syn_ack = record.syn_ack(&config, Instant::ZERO);
        let shift = syn_ack.options.window_scale.expect("both offer it");
        let challenge = record.acknowledgement(&config, Instant::ZERO);
        let offered = u32::from(challenge.window) << shift;
        assert!((0..1 << shift).contains(&(offered - u32::from(syn_ack.window))), "{offered}");
        assert!(challenge.window < syn_ack.window);
    }

    #[test]
    fn the_syn_ack_is_sent_again_ever_more_slowly() {
        let config = Config::default();
        let mut record = half_open();
        for (timeouts, secs) in [(0, 1), (1, 2), (2, 4), (5, 32), (7, 120), (200, 120)] {
            record.timeouts = timeouts;
            assert_eq!(record.deadline(&config), Instant::ZERO + Duration::from_secs(secs));
        }
    }
}
