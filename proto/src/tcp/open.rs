//! Opening: what a SYN offers, what is agreed, and SYN-SENT.
//!
//! Sections: RFC 9293 3.5, 3.7.1 (MSS), 3.10.1 (OPEN), 3.10.7.3 (SYN-SENT); RFC 7323 1.3, 2, 3; RFC 2018 2; RFC 6928.
//! In: settings, and the peer's SYN.
//! Out: our SYN's options and window; a connection with both halves.

use alloc::boxed::Box;

use super::ack::AckPolicy;
use super::autotune::{RightSizing, scaled_window, window_of};
use super::cc::Cc;
use super::check::{View, check_flags};
use super::inflight::Run;
use super::input::Arrival;
use super::paws::Paws;
use super::rcv::ReceiveHalf;
use super::recvq::RecvQueue;
use super::sack::SackRecovery;
use super::snd::SendHalf;
use super::state::{Live, Opening, Shape};
use super::{
    Accepted, AckCause, CloseReason, Common, Config, Connection, DropReason, Event, ResetCause, RetransmitCause,
    Segment, Verdict,
};
use crate::time::Instant;
use crate::wire::{Flags, FourTuple, Options, Pos, Seq, Space, Timestamps};

/// The MSS that we announce: what our link carries, less the fixed headers.
pub(crate) fn advertised_mss(cfg: &Config, key: &FourTuple) -> u16 {
    //= 9293/MUST-67
    let fixed = if key.local_ip.is_ipv6() { 60 } else { 40 };
    cfg.mtu.saturating_sub(fixed).min(cfg.max_segment.unwrap_or(u16::MAX)).max(1)
}

/// Payload bytes of the segments that we send to a peer that announced `peer`, if anything.
fn send_mss(cfg: &Config, key: &FourTuple, peer: Option<u16>, timestamps: bool) -> u16 {
    //= 9293/MUST-14
    //= 9293/MUST-15
    let default = if key.local_ip.is_ipv6() { 1220 } else { 536 };
    let peer = peer.unwrap_or(default).max(SMALLEST_MSS);
    //= 9293/MUST-16
    let options = if timestamps { TIMESTAMPS_LEN } else { 0 };
    peer.min(advertised_mss(cfg, key)).saturating_sub(options).max(1)
}

/// The window scale that we offer: enough for the largest buffer we may ever have.
fn offered_window_scale(cfg: &Config) -> Option<u8> {
    let largest = if cfg.rcv_buf_locked { cfg.rcv_buf } else { cfg.rcv_buf_max.max(cfg.rcv_buf) };
    let largest = largest.min(cfg.window_clamp.unwrap_or(u32::MAX));
    // A field of 16 bits covers 2^15 whatever its first bit is.
    let shift = largest.max(1).ilog2().saturating_sub(15);
    cfg.window_scaling.then(|| u8::try_from(shift).map_or(MAX_WINDOW_SCALE, |shift| shift.min(MAX_WINDOW_SCALE)))
}

/// The window of our SYN or SYN-ACK, which is never scaled: whole segments only.
pub(crate) fn syn_window(cfg: &Config, key: &FourTuple) -> u16 {
    let most = u16::try_from(largest_window(cfg)).unwrap_or(u16::MAX);
    let mss = advertised_mss(cfg, key);
    if most < mss { most } else { most - most % mss }
}

/// The most that we may offer as window at the start.
fn largest_window(cfg: &Config) -> u32 {
    window_of(cfg.rcv_buf, cfg)
}

/// The options of our SYN.
pub(crate) fn syn_options(cfg: &Config, key: &FourTuple, tsval: u32) -> Options {
    //= 9293/MUST-14
    //= 9293/SHLD-5
    Options {
        mss: Some(advertised_mss(cfg, key)),
        window_scale: offered_window_scale(cfg),
        sack_permitted: cfg.sack,
        timestamps: cfg.timestamps.then_some(Timestamps { val: tsval, ecr: 0 }),
        ..Options::default()
    }
}

/// The options of our SYN-ACK: of ours, those that the peer's SYN offers too.
pub(crate) fn syn_ack_options(cfg: &Config, key: &FourTuple, tsval: u32, peer: &Options) -> Options {
    let ours = syn_options(cfg, key, tsval);
    //= 7323#1.3
    Options {
        window_scale: ours.window_scale.filter(|_| peer.window_scale.is_some()),
        sack_permitted: ours.sack_permitted && peer.sack_permitted,
        timestamps: ours.timestamps.and_then(|ours| Some(Timestamps { ecr: peer.timestamps?.val, ..ours })),
        ..ours
    }
}

/// Our timestamp clock: milliseconds, and an offset that hides how long the host has been up.
pub(crate) fn ts_clock(now: Instant, offset: u32) -> u32 {
    #[expect(clippy::cast_possible_truncation, reason = "the timestamp clock wraps (RFC 7323 5.4)")]
    let ticks = now.as_millis() as u32;
    ticks.wrapping_add(offset)
}

impl Live {
    /// Both initial sequence numbers are known: what the SYNs agreed on takes effect.
    fn new(c: &Common, mut snd: SendHalf, irs: Seq, peer: &Options, window: u16, now: Instant) -> Live {
        let agreed = syn_ack_options(&c.cfg, &c.key, 0, peer);
        //= 9293/MUST-5
        let timestamps = agreed.timestamps.is_some();
        snd.mss = send_mss(&c.cfg, &c.key, peer.mss, timestamps);
        let fixed = if c.key.local_ip.is_ipv6() { 60 } else { 40 };
        snd.pmtu.agree(&c.cfg, snd.mss, fixed + if timestamps { TIMESTAMPS_LEN } else { 0 }, now);
        snd.mss = snd.pmtu.mss();
        //= 7323#2.3
        let scaling = agreed.window_scale.zip(peer.window_scale.map(|shift| shift.min(MAX_WINDOW_SCALE)));
        let (wscale, peer_wscale) = scaling.unwrap_or((0, 0));
        snd.wscale = peer_wscale;
        snd.set_window(Pos::SYN, snd.una, u32::from(window));
        let options = if timestamps { TIMESTAMPS_LEN } else { 0 };
        // Like Linux: until a longer one arrives, a segment of the default size counts as full.
        let mss = advertised_mss(&c.cfg, &c.key).saturating_sub(options).clamp(1, 536);
        let edge = Pos::FIRST + u64::from(syn_window(&c.cfg, &c.key));
        // Like Linux: what an initial window brings asks for nothing more.
        let per_round = (10 * u64::from(advertised_mss(&c.cfg, &c.key))).min(edge.since(Pos::FIRST));
        let rcv = ReceiveHalf {
            space: Space::new(irs),
            queue: RecvQueue::new(Pos::FIRST),
            fin: None,
            fin_taken: false,
            edge,
            offered: edge,
            memory: c.cfg.rcv_buf,
            tuning: RightSizing::new(per_round, edge, now),
            buffer: scaled_window(c.cfg.rcv_buf, &c.cfg, wscale),
            wscale,
            mss,
            up: Pos::SYN,
            paws: peer.timestamps.filter(|_| timestamps).map(|ts| Paws::new(ts.val, now)),
            sack: agreed.sack_permitted,
            dsack: None,
            acks: AckPolicy::new(&c.cfg),
            last_ack_sent: Pos::FIRST,
        };
        snd.sack = (agreed.sack_permitted && c.cfg.recovery & 1 != 0).then(|| Box::new(SackRecovery::new(&c.cfg)));
        Live {
            snd,
            rcv,
            scaling,
            syn_ack_sent: c.passive,
            closed_first: false,
            challenged: None,
            heard: now,
            keepalives: 0,
            probed: now,
            keepalive_due: false,
        }
    }

    /// The SYN-ACK was sent from a half-open record.
    pub(super) fn accept(c: &Common, accepted: &Accepted, now: Instant) -> Live {
        let mut snd = SendHalf::new(&c.cfg, accepted.iss, 1, accepted.sent);
        snd.on_syn_sent(accepted.sent, accepted.retransmits);
        snd.retries = accepted.retransmits;
        Live::new(c, snd, accepted.irs, &accepted.options, accepted.window, now)
    }

    /// Our SYN is acknowledged: ESTABLISHED.
    pub(super) fn on_established(&mut self, c: &mut Common, syn_retransmits: u8) {
        if syn_retransmits > 0 {
            self.snd.rtt.on_handshake_after_timeout();
        }
        //= 6928#2
        // One loss may be chance; after two the path gets one segment to start with.
        let initial_window = if syn_retransmits > 1 { 1 } else { c.cfg.initial_window };
        self.snd.cc = Cc::new(&c.cfg, initial_window);
        self.snd.grow_buffer(c);
        c.events.raise(Event::Connected);
    }
}

impl SendHalf {
    /// The SYN or SYN-ACK goes out.
    pub(super) fn on_syn_sent(&mut self, sent: Instant, retransmits: u8) {
        self.inflight.push(Run { retransmits, ..Run::new(Pos::SYN, Pos::FIRST, 1, false, sent) });
        self.nxt = Pos::FIRST;
    }
}

impl Connection {
    /// SEGMENT ARRIVES in SYN-SENT: RFC 9293 3.10.7.3.
    pub(super) fn arrives_in_syn_sent(&mut self, segment: Segment, now: Instant) -> Verdict {
        let c = &mut self.common;
        let Shape::Opening(Opening { snd }) = &self.shape else { return Verdict::Dropped(DropReason::NoConnection) };
        let header = &segment.header;
        let flags = header.flags;
        if let Err(reason) = check_flags(flags) {
            return Verdict::Dropped(reason);
        }
        // First, check the ACK bit.
        let ack = snd.space.pos(header.ack, snd.una);
        let view = View { rcv_nxt: Pos::SYN, rcv_wnd: 0, snd_una: snd.una, snd_nxt: snd.nxt, max_snd_wnd: 0 };
        let acks_syn = flags.has(Flags::ACK) && view.is_ack_of_syn(ack);
        if flags.has(Flags::ACK) && !acks_syn {
            if flags.has(Flags::RST) {
                return Verdict::Dropped(DropReason::IgnoredReset);
            }
            c.reply_with_reset(header.ack);
            return Verdict::Answered(DropReason::AckTooNew);
        }
        // Second, check the RST bit.
        //= 5961#3.2
        if flags.has(Flags::RST) {
            if !acks_syn {
                return Verdict::Dropped(DropReason::IgnoredReset);
            }
            self.enter_closed(CloseReason::Refused);
            return Verdict::Accepted;
        }
        // Third, security: not in use. Fourth, check the SYN bit.
        if !flags.has(Flags::SYN) {
            return Verdict::Dropped(DropReason::NoAck);
        }
        //= 9293/MUST-10
        let mut live = Live::new(c, snd.clone(), header.seq, &header.options, header.window, now);
        if acks_syn {
            let arrival = Arrival::new(&live, segment);
            live.take_ack_of_syn(c, &arrival, now);
            live.rcv.acks.demand(AckCause::Handshake);
            live.take_text_of_syn(c, arrival, now);
        } else {
            // Simultaneous open: SYN-RECEIVED. Our SYN goes out again, now with the acknowledgement of theirs; what
            // theirs carries beside is not acknowledged, so it will come again.
            live.snd.inflight.mark_all_lost(RetransmitCause::AfterTimeout);
        }
        live.arm_timers(c, now);
        self.shape = Shape::Live(live);
        Verdict::Accepted
    }
}

impl Common {
    /// <SEQ=SEG.ACK><CTL=RST>: whoever acknowledges what was never sent speaks of another connection.
    pub(super) fn reply_with_reset(&mut self, seq: Seq) {
        self.reset = Some(super::Reset { seq, ack: None, timestamps: None, cause: ResetCause::UnacceptableAck });
    }
}

/// A peer that announces less gets segments of this size all the same, or it could make us send headers only.
/// Like Linux: the least MSS that leaves room for all options and eight bytes.
const SMALLEST_MSS: u16 = 48;

/// The timestamps option and its padding.
pub(super) const TIMESTAMPS_LEN: u16 = 12;

/// RFC 7323 2.3.
const MAX_WINDOW_SCALE: u8 = 14;

#[cfg(test)]
mod tests {
    use super::super::play::*;
    use super::super::*;
    use super::*;
    use crate::time::Duration;

    //= 9293/MUST-14
    //= 9293/MUST-67
    //= 9293/SHLD-5
    #[test]
    fn a_syn_offers_what_the_settings_say() {
        let syn = |cfg: &Config| syn_options(cfg, &key(), 7);
        let all = syn(&Config::default());
        assert_eq!((all.mss, all.window_scale, all.sack_permitted), (Some(1460), Some(10), true));
        assert_eq!(all.timestamps, Some(Timestamps { val: 7, ecr: 0 }));
        let none = syn(&plain());
        assert_eq!(
            (none.mss, none.window_scale, none.sack_permitted, none.timestamps),
            (Some(1460), None, false, None)
        );
        assert_eq!(syn_window(&Config::default(), &key()), 64_240, "44 segments of 1,460");
        let capped = Config { max_segment: Some(536), ..Config::default() };
        assert_eq!(syn(&capped).mss, Some(536));
        assert_eq!(syn(&Config { rcv_buf: 65_535, rcv_buf_max: 65_535, ..Config::default() }).window_scale, Some(0));
        assert_eq!(syn(&Config { rcv_buf_max: u32::MAX, ..Config::default() }).window_scale, Some(14));
    }

    //= 9293/MUST-15
    //= 9293/MUST-16
    #[test]
    fn the_segment_size_follows_the_peer_the_link_and_the_options() {
        let mut v6 = key();
        v6.local_ip = core::net::IpAddr::V6(core::net::Ipv6Addr::LOCALHOST);
        let cfg = Config::default();
        for (key, peer, timestamps, expected) in [
            (key(), Some(1460), false, 1460),
            (key(), Some(1460), true, 1448),
            (key(), Some(9000), false, 1460),
            (key(), Some(1000), false, 1000),
            (key(), None, false, 536),
            (key(), None, true, 524),
            (v6, None, false, 1220),
            (v6, Some(9000), false, 1440),
            (key(), Some(0), false, SMALLEST_MSS),
            (key(), Some(1), true, SMALLEST_MSS - 12),
        ] {
            assert_eq!(send_mss(&cfg, &key, peer, timestamps), expected, "{peer:?}");
        }
        assert_eq!(send_mss(&Config { mtu: 68, ..cfg }, &key(), Some(1460), true), 16);
    }

    //= 7323#1.3
    #[test]
    fn a_syn_ack_answers_only_what_was_offered() {
        let cfg = Config::default();
        let answer = syn_ack_options(&cfg, &key(), 7, &Options { mss: Some(1400), ..Options::default() });
        assert_eq!((answer.mss, answer.window_scale, answer.sack_permitted), (Some(1460), None, false));
        assert_eq!(answer.timestamps, None);
        let answer = syn_ack_options(&cfg, &key(), 7, &syn_options(&cfg, &key(), 5));
        assert_eq!(answer.timestamps, Some(Timestamps { val: 7, ecr: 5 }));
    }

    #[test]
    fn three_segments_open_and_the_third_scales_its_window() {
        let mut play = Play::syn_sent(&Config::default());
        assert_eq!(play.state(), State::SynSent);
        play.now += ms(10);
        let mut answer = seg(SA, 0, 1).ts(PEER_TS, ts_clock(play.now, TS_OFFSET)).window(28_960);
        answer.options.mss = Some(1400);
        answer.options.window_scale = Some(15);
        answer.options.sack_permitted = true;
        assert_eq!(play.receive(answer), Verdict::Accepted);
        let third = play.bursts();
        assert_eq!(third.iter().map(describe).collect::<std::vec::Vec<_>>(), [". 1:1 ack 1 ack-handshake"]);
        assert_eq!(third[0].header.window, 64, "65,536 in units of 1,024");
        assert_eq!(third[0].header.options.timestamps.map(|ts| ts.ecr), Some(PEER_TS));
        let info = play.info();
        assert_eq!((info.state, info.snd_wnd, info.snd_mss), (State::Established, 28_960, 1388));
        assert_eq!(info.window_scale, Some((10, 14)), "a shift above 14 counts as 14");
        assert_eq!(info.rtt, Some(ms(10)));
        assert_eq!(play.conn.poll_event(), Some(Event::Connected));
    }

    #[test]
    fn syn_sent_takes_only_what_answers_its_syn() {
        let f = |flags: Flags, ack| seg(flags, 0, ack);
        for (what, segment, verdict, state, sent) in [
            (
                "ACK of nothing",
                f(A, 0),
                Verdict::Answered(DropReason::AckTooNew),
                State::SynSent,
                "R 0:0 reset-unacceptable-ack",
            ),
            (
                "SYN-ACK too far",
                f(SA, 2),
                Verdict::Answered(DropReason::AckTooNew),
                State::SynSent,
                "R 2:2 reset-unacceptable-ack",
            ),
            ("ACK without SYN", f(A, 1), Verdict::Dropped(DropReason::NoAck), State::SynSent, ""),
            ("RST without ACK", f(R, 0), Verdict::Dropped(DropReason::IgnoredReset), State::SynSent, ""),
            (
                "RST with a wrong ACK",
                f(Flags(R.0 | A.0), 2),
                Verdict::Dropped(DropReason::IgnoredReset),
                State::SynSent,
                "",
            ),
            ("RST with the ACK", f(Flags(R.0 | A.0), 1), Verdict::Accepted, State::Closed, ""),
            ("FIN", f(Flags::FIN, 0), Verdict::Dropped(DropReason::NoAck), State::SynSent, ""),
            (
                "SYN and FIN",
                f(Flags(S.0 | Flags::FIN.0), 0),
                Verdict::Dropped(DropReason::BadFlags),
                State::SynSent,
                "",
            ),
            ("SYN", f(S, 0), Verdict::Accepted, State::SynReceived, "S. 0:0 ack 1 syn-ack"),
        ] {
            let mut play = Play::syn_sent(&plain());
            assert_eq!((play.receive(segment), play.state()), (verdict, state), "{what}");
            assert_eq!(play.sent().join(", "), sent, "{what}");
            if state == State::Closed {
                assert_eq!(play.conn.poll_event(), Some(Event::Closed(CloseReason::Refused)));
            }
        }
    }

    //= 9293/MUST-10
    #[test]
    fn simultaneous_open_with_either_last_segment() {
        for last in [seg(SA, 0, 1), seg(A, 1, 1)] {
            for cfg in [plain(), Config::default()] {
                let mut play = Play::syn_sent(&cfg);
                play.write(10);
                let mut syn = seg(S, 0, 0);
                syn.options = syn_options_of(&cfg, PEER_TS);
                assert_eq!(play.receive(syn), Verdict::Accepted);
                let answer = play.bursts();
                assert_eq!(describe(&answer[0]), "S. 0:0 ack 1 syn-ack");
                assert_eq!(answer[0].header.options.window_scale.is_some(), cfg.window_scaling);
                assert_eq!(answer[0].header.options.mss, Some(1460));
                assert_eq!(play.receive(last.clone()), Verdict::Accepted);
                assert_eq!(play.state(), State::Established);
                assert_eq!(play.sent(), ["P. 1:11 ack 1 data"]);
            }
        }
    }

    #[test]
    fn data_and_urgency_beside_the_syn_ack_are_taken_and_a_fin_is_not_allowed_there() {
        let mut play = Play::syn_sent(&plain());
        let mut answer = seg(SA, 0, 1);
        answer.data = stream(Pos::FIRST, 20);
        assert_eq!(play.receive(answer), Verdict::Accepted);
        assert_eq!(play.sent(), [". 1:1 ack 21 ack-handshake"]);
        assert_eq!(play.read(100), Ok(Read::Data(20)));
        let mut play = Play::syn_sent(&plain());
        let mut syn = seg(S, 0, 0);
        syn.data = stream(Pos::FIRST, 20);
        assert_eq!(play.receive(syn), Verdict::Accepted);
        assert_eq!(play.sent(), ["S. 0:0 ack 1 syn-ack"], "data before the handshake comes again");
    }

    //= 9293/MUST-22
    //= 9293/MUST-23
    #[test]
    fn a_syn_is_sent_again_for_more_than_three_minutes() {
        let mut play = Play::syn_sent(&Config::default());
        let sent = play.pass(Duration::from_secs(600));
        let times: std::vec::Vec<u64> = sent.iter().map(|(at, _)| at / 1000).collect();
        assert_eq!(times, [1, 3, 7, 15, 31, 63, 127]);
        assert_eq!(sent[1].1, "S 0:0 retransmit-syn 2");
        assert_eq!(play.conn.close_reason(), Some(CloseReason::TimedOut));
        let soft = Event::SoftError(SoftError::ExcessiveRetransmissions);
        assert_eq!(play.events(), [soft, Event::Closed(CloseReason::TimedOut)]);
    }

    //= 6928#2
    //= 6298#5.7
    #[test]
    fn a_handshake_that_lost_its_syn_starts_with_care() {
        for (timeouts, cwnd) in [(0, 10), (1, 10), (2, 1)] {
            let mut play = Play::syn_sent(&plain());
            for _ in 0..timeouts {
                let wait = play.conn.next_timeout().expect("armed").0.since(play.now);
                assert_eq!(play.pass(wait).len(), 1);
            }
            play.now += ms(10);
            play.receive(seg(SA, 0, 1));
            assert_eq!(play.info().snd_cwnd, cwnd);
            let rto = if timeouts == 0 { ms(210) } else { ms(3000) };
            assert_eq!(play.info().rto, rto);
        }
    }

    #[test]
    fn a_passive_open_completes_with_the_third_segment() {
        let mut play = Play::syn_received(&Config::default());
        assert_eq!(play.state(), State::SynReceived);
        play.now += ms(10);
        let third = seg(A, 1, 1).data(30);
        assert_eq!(play.receive(third), Verdict::Accepted);
        assert_eq!((play.state(), play.info().rtt), (State::Established, Some(ms(10))));
        assert_eq!(play.events(), [Event::Connected, Event::Readable]);
        assert_eq!(play.sent(), [". 1:1 ack 31 ack-quick"]);
    }

    #[test]
    fn syn_received_resets_a_wrong_acknowledgement_and_repeats_its_syn_ack() {
        let mut play = Play::syn_received(&plain());
        assert_eq!(play.receive(seg(A, 1, 2)), Verdict::Answered(DropReason::AckTooNew));
        assert_eq!(play.sent(), ["R 2:2 reset-unacceptable-ack"]);
        assert_eq!(play.receive(seg(A, 1, 0)), Verdict::Answered(DropReason::AckTooNew), "no ghost completes it");
        assert_eq!(play.sent(), ["R 0:0 reset-unacceptable-ack"]);
        assert_eq!(play.receive(seg(S, 0, 0)), Verdict::Answered(DropReason::Duplicate));
        assert_eq!(play.sent(), ["S. 0:0 ack 1 retransmit-syn-ack 0"]);
        assert_eq!(play.pass(ms(1000)), [(1000, "S. 0:0 ack 1 retransmit-syn-ack 1".into())]);
        assert_eq!(play.receive(seg(R, 1, 0)), Verdict::Accepted);
        assert_eq!(play.conn.close_reason(), Some(CloseReason::Reset));
    }
}
