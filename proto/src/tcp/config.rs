//! The settings of one connection, under the kernel's names where it has one.
//!
//! Sections: RFC 9293 (where it says "configurable"), RFC 6298, 5681, 7323, 5961.
//! In: the owner's choices.
//! Out: plain values that the rules read.

use super::cc::{CcKind, HyStartKind};
use super::pmtu::MtuProbing;
use crate::time::Duration;

/// Settings of a connection. [`Default`] is what Linux ships.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Config {
    /// The largest IP packet the path's first link carries, bytes; the MSS we offer follows from it.
    pub mtu: u16,
    /// TCP_MAXSEG: an upper bound of our own on both directions' MSS.
    pub max_segment: Option<u16>,
    /// `tcp_rmem[0]`: what every connection may keep of received data however short of memory the host is, bytes.
    pub rcv_buf_min: u32,
    /// `tcp_rmem[1]`: receive buffer at the start, bytes of true memory; half of it is offered as window at the most.
    pub rcv_buf: u32,
    /// `tcp_rmem[2]`: the largest receive buffer that it grows to; decides the window scale we offer.
    pub rcv_buf_max: u32,
    /// SO_RCVBUF was set: `rcv_buf` is the size, and it does not grow.
    pub rcv_buf_locked: bool,
    /// `tcp_moderate_rcvbuf`: the receive buffer grows with what the path delivers.
    pub moderate_rcvbuf: bool,
    /// TCP_WINDOW_CLAMP: the most that we ever offer as window, bytes.
    pub window_clamp: Option<u32>,
    /// `tcp_wmem[0]`: what every connection may queue for sending however short of memory the host is, bytes.
    pub snd_buf_min: u32,
    /// `tcp_wmem[1]`: send buffer at the start, bytes.
    pub snd_buf: u32,
    /// `tcp_wmem[2]`: the largest send buffer that it grows to.
    pub snd_buf_max: u32,
    /// SO_SNDBUF was set: `snd_buf` is the size, and it does not grow.
    pub snd_buf_locked: bool,
    /// TCP_NOTSENT_LOWAT: so many bytes at the most wait in the send buffer without having been sent.
    pub notsent_lowat: Option<u32>,
    /// `tcp_window_scaling`, RFC 7323.
    pub window_scaling: bool,
    /// `tcp_timestamps`, RFC 7323.
    pub timestamps: bool,
    /// `tcp_sack`, RFC 2018.
    pub sack: bool,
    /// `tcp_dsack`, RFC 2883.
    pub dsack: bool,
    /// `tcp_recovery`: bit 0, losses are found by SACK, RACK and probes, and not by duplicates alone; bit 1, the reordering window does not adapt; bit 2, the duplicate threshold does not close it.
    pub recovery: u8,
    /// `tcp_early_retrans`: 3 sends tail loss probes (RFC 8985 7), 0 does not.
    pub early_retrans: u8,
    /// `tcp_frto`, RFC 5682.
    pub frto: bool,
    /// `tcp_reordering`: so many segments SACKed beyond a gap mean loss.
    pub reordering: u32,
    /// `tcp_max_reordering`: what that may grow to where reordering is seen.
    pub max_reordering: u32,
    /// Nagle's algorithm (SHLD-7); off is TCP_NODELAY (MUST-17).
    pub nagle: bool,
    /// TCP_CORK: partial segments wait until it is lifted, 200 ms at most.
    pub cork: bool,
    /// How long an acknowledgement may wait for company (SHLD-18, MUST-40).
    pub delayed_ack: Duration,
    /// How many segments at the start are acknowledged at once (quick-ACK mode).
    pub quick_acks: u8,
    /// RFC 6298 2.1: RTO before the first measurement.
    pub rto_initial: Duration,
    /// `tcp_rto_min_us`: the floor of 4*RTTVAR.
    pub rto_min: Duration,
    /// `tcp_rto_max_ms`.
    pub rto_max: Duration,
    /// `tcp_syn_retries`: how often a SYN is sent again (MUST-23: at least 3 minutes).
    pub syn_retries: u8,
    /// `tcp_synack_retries`: how often a SYN-ACK is sent again.
    pub synack_retries: u8,
    /// `tcp_retries1`: R1, after so many timeouts the application is told (SHLD-9, SHLD-10).
    pub retries1: u8,
    /// `tcp_retries2`: R2, after so many the connection ends (SHLD-11).
    pub retries2: u8,
    /// IP_TTL, IPV6_UNICAST_HOPS: the TTL or hop limit of what is sent; the host's if it is not given (MUST-49).
    pub ttl: Option<u8>,
    /// IP_TOS, IPV6_TCLASS: the DiffServ code point of what is sent, 6 bits (MUST-48).
    pub dscp: u8,
    /// TCP_USER_TIMEOUT: ends the connection when data stays unacknowledged so long (RFC 9293 3.9.1.1).
    pub user_timeout: Option<Duration>,
    /// SO_KEEPALIVE (MUST-24, MUST-25: off by default).
    pub keepalive: bool,
    /// `tcp_keepalive_time` (MUST-27, MUST-28).
    pub keepalive_time: Duration,
    /// `tcp_keepalive_intvl`.
    pub keepalive_interval: Duration,
    /// `tcp_keepalive_probes` (MUST-29).
    pub keepalive_probes: u8,
    /// `tcp_fin_timeout`: how long a released connection may stay in FIN-WAIT-2.
    pub fin_timeout: Duration,
    /// Maximum segment lifetime; TIME-WAIT lasts twice as long (MUST-13).
    pub msl: Duration,
    /// Initial window in segments, RFC 6928.
    pub initial_window: u32,
    /// `tcp_congestion_control`.
    pub congestion: CcKind,
    /// What ends CUBIC's first slow start before a loss does: HyStart++ (RFC 9406), or classic HyStart as in Linux.
    pub hystart: HyStartKind,
    /// Whether bursts leave one after the other at the rate of the window, with controllers that have no rate of their own.
    pub pacing: bool,
    /// `tcp_pacing_ss_ratio`: hundredths of a window per round trip that slow start is paced at.
    pub pacing_ss_ratio: u32,
    /// `tcp_pacing_ca_ratio`: the same in congestion avoidance.
    pub pacing_ca_ratio: u32,
    /// SO_MAX_PACING_RATE: never faster than so many bytes per second.
    pub max_pacing_rate: Option<u64>,
    /// `tcp_slow_start_after_idle`, RFC 5681 4.1.
    pub slow_start_after_idle: bool,
    /// The least time between two challenge ACKs of one connection, RFC 5961 7 (`tcp_invalid_ratelimit`).
    pub challenge_ack_interval: Duration,
    /// `tcp_mtu_probing`: the search for the largest packet that the path carries, RFC 4821.
    pub mtu_probing: MtuProbing,
    /// `tcp_base_mss`: where that search begins, payload bytes.
    pub base_mss: u16,
    /// `tcp_mtu_probe_floor`: how small segments may become in a black hole, payload bytes.
    pub mtu_probe_floor: u16,
    /// `tcp_probe_interval`: after so long a search that has come to its end begins anew.
    pub probe_interval: Duration,
    /// `tcp_probe_threshold`: bounds closer together than so many bytes end the search.
    pub probe_threshold: u16,
}

impl Config {
    /// Both buffers of a fixed size, as after SO_RCVBUF and SO_SNDBUF: bytes of memory to receive into, bytes to send.
    #[must_use]
    pub fn with_buffers(self, rcv_buf: u32, snd_buf: u32) -> Self {
        Config { rcv_buf, rcv_buf_locked: true, snd_buf, snd_buf_locked: true, ..self }
    }
}

impl Default for Config {
    fn default() -> Self {
        Config {
            mtu: 1500,
            max_segment: None,
            rcv_buf_min: 4_096,
            rcv_buf: 131_072,
            rcv_buf_max: 33_554_432,
            rcv_buf_locked: false,
            moderate_rcvbuf: true,
            window_clamp: None,
            snd_buf_min: 4_096,
            snd_buf: 16_384,
            snd_buf_max: 33_554_432,
            snd_buf_locked: false,
            notsent_lowat: None,
            window_scaling: true,
            timestamps: true,
            sack: true,
            dsack: true,
            recovery: 0,
            early_retrans: 3,
            frto: true,
            reordering: 3,
            max_reordering: 300,
            nagle: true,
            cork: false,
            delayed_ack: Duration::from_millis(40),
            quick_acks: 16,
            rto_initial: Duration::from_secs(1),
            rto_min: Duration::from_millis(200),
            rto_max: Duration::from_secs(120),
            syn_retries: 7,
            synack_retries: 5,
            retries1: 3,
            retries2: 15,
            ttl: None,
            dscp: 0,
            user_timeout: None,
            keepalive: false,
            keepalive_time: Duration::from_secs(7200),
            keepalive_interval: Duration::from_secs(75),
            keepalive_probes: 9,
            fin_timeout: Duration::from_secs(60),
            msl: Duration::from_secs(30),
            initial_window: 10,
            congestion: CcKind::default(),
            hystart: HyStartKind::default(),
            pacing: true,
            pacing_ss_ratio: 200,
            pacing_ca_ratio: 120,
            max_pacing_rate: None,
            slow_start_after_idle: true,
            challenge_ack_interval: Duration::from_millis(500),
            mtu_probing: MtuProbing::default(),
            base_mss: 1024,
            mtu_probe_floor: 48,
            probe_interval: Duration::from_secs(600),
            probe_threshold: 8,
        }
    }
}
