//! What a connection tells about itself: the kernel's `struct tcp_info`, and the RFC's variables.
//!
//! Sections: RFC 9293 3.3.1, 3.9.1.6 (STATUS).
//! In: a connection.
//! Out: plain values; reading them changes nothing.

use super::State;
use crate::time::Duration;
use crate::wire::Pos;

/// A snapshot of one connection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TcpInfo {
    /// The state's name.
    pub state: State,
    /// SND.UNA, relative to our SYN.
    pub snd_una: Pos,
    /// SND.NXT, relative to our SYN.
    pub snd_nxt: Pos,
    /// The end of everything that the application has written (and of FIN, once it closed).
    pub snd_end: Pos,
    /// SND.WND, bytes, scaled.
    pub snd_wnd: u32,
    /// RCV.NXT, relative to the peer's SYN.
    pub rcv_nxt: Pos,
    /// RCV.WND as last advertised: what is left of it, bytes.
    pub rcv_wnd: u32,
    /// The segment size we send with, options taken off, bytes.
    pub snd_mss: u16,
    /// The segment size we expect to receive, bytes.
    pub rcv_mss: u16,
    /// Our and the peer's window scale, if both offered one.
    pub window_scale: Option<(u8, u8)>,
    /// Timestamps are in use.
    pub timestamps: bool,
    /// SACK is in use.
    pub sack: bool,
    /// Congestion window, segments.
    pub snd_cwnd: u32,
    /// Slow-start threshold, segments; `u32::MAX` until the first loss.
    pub snd_ssthresh: u32,
    /// Segments in flight that are not acknowledged.
    pub unacked: u32,
    /// Bytes in flight: SND.NXT - SND.UNA.
    pub bytes_in_flight: u64,
    /// The retransmission timeout as it would be armed now.
    pub rto: Duration,
    /// SRTT, once measured.
    pub rtt: Option<Duration>,
    /// RTTVAR.
    pub rttvar: Duration,
    /// Timeouts in a row.
    pub backoff: u8,
    /// The smallest round trip measured.
    pub min_rtt: Option<Duration>,
    /// In fast recovery.
    pub in_recovery: bool,
    /// Segments sent again, in all.
    pub total_retrans: u64,
    /// Payload bytes sent again, in all.
    pub bytes_retrans: u64,
    /// Payload bytes sent, retransmissions included.
    pub bytes_sent: u64,
    /// Payload bytes acknowledged by the peer.
    pub bytes_acked: u64,
    /// Payload bytes received in order.
    pub bytes_received: u64,
    /// Segments sent and received.
    pub segs_out: u64,
    /// Segments received.
    pub segs_in: u64,
    /// Segments with payload sent.
    pub data_segs_out: u64,
    /// Segments with payload received.
    pub data_segs_in: u64,
    /// Time with data outstanding or waiting.
    pub busy_time: Duration,
    /// Of that, limited by the peer's window.
    pub rwnd_limited: Duration,
    /// Of that, limited by our send buffer.
    pub sndbuf_limited: Duration,
    /// Of that, limited by the congestion window.
    pub cwnd_limited: Duration,
    /// Bytes queued for sending, sent or not.
    pub send_queue: usize,
    /// Bytes received in order and not read.
    pub recv_queue: usize,
    /// Bytes received out of order.
    pub ooo_queue: usize,
    /// Memory charged to the connection's buffers, bytes.
    pub memory: usize,
}
