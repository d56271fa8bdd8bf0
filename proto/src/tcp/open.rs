//! Opening: what a SYN offers, what is agreed, and SYN-SENT.
//!
//! Sections: RFC 9293 3.5, 3.7.1 (MSS), 3.10.1 (OPEN), 3.10.7.3 (SYN-SENT); RFC 7323 1.3, 2, 3; RFC 2018 2; RFC 6928.
//! In: settings, and the peer's SYN.
//! Out: our SYN's options and window; a connection with both halves.

use super::ack::AckPolicy;
use super::cc::Cc;
use super::check::{View, check_flags};
use super::inflight::Run;
use super::input::Arrival;
use super::paws::Paws;
use super::rcv::ReceiveHalf;
use super::recvq::RecvQueue;
use super::snd::SendHalf;
use super::state::{Live, Opening, Shape};
use super::{
    Accepted, AckCause, CloseReason, Common, Config, Connection, DropReason, Event, ResetCause, Segment, Verdict,
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
    // A field of 16 bits covers 2^15 whatever its first bit is.
    let shift = cfg.rcv_buf_max.max(1).ilog2().saturating_sub(15);
    cfg.window_scaling.then(|| u8::try_from(shift).map_or(MAX_WINDOW_SCALE, |shift| shift.min(MAX_WINDOW_SCALE)))
}

/// The window of our SYN or SYN-ACK, which is never scaled: whole segments only.
pub(crate) fn syn_window(cfg: &Config, key: &FourTuple) -> u16 {
    let most = u16::try_from(cfg.rcv_buf / 2).unwrap_or(u16::MAX);
    let mss = advertised_mss(cfg, key);
    if most < mss { most } else { most - most % mss }
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
        //= 7323#2.3
        let scaling = agreed.window_scale.zip(peer.window_scale.map(|shift| shift.min(MAX_WINDOW_SCALE)));
        let (wscale, peer_wscale) = scaling.unwrap_or((0, 0));
        snd.wscale = peer_wscale;
        snd.set_window(Pos::SYN, snd.una, u32::from(window));
        let options = if timestamps { TIMESTAMPS_LEN } else { 0 };
        // Like Linux: until a longer one arrives, a segment of the default size counts as full.
        let mss = advertised_mss(&c.cfg, &c.key).saturating_sub(options).clamp(1, 536);
        let rcv = ReceiveHalf {
            space: Space::new(irs),
            queue: RecvQueue::new(Pos::FIRST),
            fin: None,
            edge: Pos::FIRST + u64::from(syn_window(&c.cfg, &c.key)),
            buffer: (c.cfg.rcv_buf / 2).min(u32::from(u16::MAX) << wscale),
            wscale,
            mss,
            up: Pos::SYN,
            paws: peer.timestamps.filter(|_| timestamps).map(|ts| Paws::new(ts.val, now)),
            sack: agreed.sack_permitted,
            dsack: None,
            acks: AckPolicy::new(&c.cfg),
            last_ack_sent: Pos::FIRST,
        };
        Live {
            snd,
            rcv,
            scaling,
            syn_ack_sent: c.passive,
            closed_first: false,
            challenged: None,
            heard: now,
            keepalives: 0,
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
        self.snd.cc = Cc::new(c.cfg.congestion, initial_window);
        c.events.raise(Event::Connected);
    }
}

impl SendHalf {
    /// The SYN or SYN-ACK goes out.
    pub(super) fn on_syn_sent(&mut self, sent: Instant, retransmits: u8) {
        self.inflight.push(Run {
            start: Pos::SYN,
            end: Pos::FIRST,
            size: 1,
            fin: false,
            sent,
            retransmits,
            lost: false,
        });
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
            live.snd.inflight.mark_all_lost();
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
