//! What a connection tells about itself: the kernel's `struct tcp_info`, and the RFC's variables.
//!
//! Sections: RFC 9293 3.3.1, 3.9.1.6 (STATUS).
//! In: a connection.
//! Out: plain values; reading them changes nothing.

use alloc::vec::Vec;

use super::inflight::Mark;
use super::open::advertised_mss;
use super::rate::Rate;
use super::snd::SendHalf;
use super::state::{Live, Opening, Shape};
use super::{Connection, State, Timer};
use crate::time::{Duration, Instant};
use crate::wire::Pos;

/// A snapshot of one connection.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
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
    /// Where loss recovery with SACK stands, if it is in use.
    pub phase: Option<super::Phase>,
    /// In fast recovery.
    pub in_recovery: bool,
    /// What the sender believes of the path.
    pub ca_state: CaState,
    /// Retransmission timeouts in a row that nothing answered.
    pub retransmits: u8,
    /// Probes of a closed window in a row, or keep-alive probes, that nothing answered.
    pub probes: u8,
    /// ECN is in use.
    pub ecn: bool,
    /// A packet with an ECN codepoint came.
    pub ecn_seen: bool,
    /// Data on a SYN was acknowledged with it.
    pub syn_data: bool,
    /// The delivery rate is what the application gave, not what the path could.
    pub app_limited: bool,
    /// Why Fast Open did not work, as `enum tcp_fastopen_client_fail` numbers it.
    pub fastopen_client_fail: u8,
    /// How long an acknowledgement waits for company.
    pub ato: Duration,
    /// Of the segments in flight: reported by SACK.
    pub sacked: u32,
    /// Of the segments in flight: held lost.
    pub lost: u32,
    /// Of the segments in flight: sent again.
    pub retrans: u32,
    /// Since data was last sent.
    pub last_data_sent: Duration,
    /// Since data last came.
    pub last_data_recv: Duration,
    /// Since an acknowledgement last came.
    pub last_ack_recv: Duration,
    /// The path's MTU, bytes.
    pub pmtu: u32,
    /// The most that we offer as window now, bytes.
    pub rcv_ssthresh: u32,
    /// The segment size that we told the peer, bytes.
    pub advmss: u16,
    /// Segments that may be out of order before that means loss.
    pub reordering: u32,
    /// The round trip as the receiver measures it; zero until measured.
    pub rcv_rtt: Duration,
    /// The most that the application has read in such a round trip, bytes.
    pub rcv_space: u32,
    /// How fast segments may leave, bytes a second.
    pub pacing_rate: u64,
    /// SO_MAX_PACING_RATE, bytes a second; `u64::MAX` without.
    pub max_pacing_rate: u64,
    /// Bytes written and never sent.
    pub notsent_bytes: u32,
    /// How fast data arrived at the peer lately, bytes a second.
    pub delivery_rate: u64,
    /// Segments with data that arrived at the peer, as far as we know.
    pub delivered: u32,
    /// Of those, marked on their way.
    pub delivered_ce: u32,
    /// Duplicates that the peer reported, RFC 2883.
    pub dsack_dups: u32,
    /// How often segments proved to have been out of order.
    pub reord_seen: u32,
    /// Segments that came out of order.
    pub rcv_ooopack: u32,
    /// How often another path was tried by another flow label.
    pub rehash: u32,
    /// Retransmission timeouts, in all.
    pub total_rto: u16,
    /// How often timeouts began, several in a row being one.
    pub total_rto_recoveries: u16,
    /// Time from each first timeout until its data was acknowledged.
    pub total_rto_time: Duration,
    /// Packets that came marked.
    pub received_ce: u32,
    /// Bytes that arrived at the peer as ECT(1), as its AccECN option tells.
    pub delivered_e1_bytes: u32,
    /// The same for ECT(0).
    pub delivered_e0_bytes: u32,
    /// The same for CE.
    pub delivered_ce_bytes: u32,
    /// Bytes that came as ECT(1).
    pub received_e1_bytes: u32,
    /// Bytes that came as ECT(0).
    pub received_e0_bytes: u32,
    /// Bytes that came as CE.
    pub received_ce_bytes: u32,
    /// Why AccECN does not work, as the kernel's `TCP_ACCECN_*_FAIL` bits.
    pub accecn_fail_mode: u16,
    /// Which AccECN options the peer has sent: 0 not known, 1 none, 2 empty, 3 counters.
    pub accecn_opt_seen: u16,
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
    /// Urgent bytes that are announced and not read, arrived or not (MUST-33).
    pub urgent: u64,
    /// The size of the send buffer as it has grown, bytes.
    pub snd_buf: u32,
    /// The size of the receive buffer as it has grown, bytes of memory.
    pub rcv_buf: u32,
    /// Memory charged to the connection's buffers, bytes.
    pub memory: usize,
}

/// What a sender believes of the path: the kernel's `enum tcp_ca_state`, with its numbers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum CaState {
    /// Nothing is wrong.
    #[default]
    Open,
    /// Duplicate acknowledgements or SACK blocks, and no loss yet.
    Disorder,
    /// The window shrinks because the network said so.
    Cwr,
    /// Fast recovery.
    Recovery,
    /// A retransmission timeout, and what it sends again.
    Loss,
}

impl CaState {
    /// All five, by number.
    pub const ALL: [CaState; 5] = [CaState::Open, CaState::Disorder, CaState::Cwr, CaState::Recovery, CaState::Loss];

    /// The kernel's name: `TCP_CA_Open`.
    pub const fn name(self) -> &'static str {
        match self {
            CaState::Open => "TCP_CA_Open",
            CaState::Disorder => "TCP_CA_Disorder",
            CaState::Cwr => "TCP_CA_CWR",
            CaState::Recovery => "TCP_CA_Recovery",
            CaState::Loss => "TCP_CA_Loss",
        }
    }
}

/// What a test wants to see beyond [`TcpInfo`]: the variables that the rules keep to themselves.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Inspection {
    /// The right edge of the window that we advertised; it never moves left (SHLD-14).
    pub rcv_edge: Pos,
    /// The right edge of the peer's window.
    pub snd_edge: Pos,
    /// SND.WL1 and SND.WL2.
    pub snd_wl: (Pos, Pos),
    /// MAX.SND.WND.
    pub max_snd_wnd: u32,
    /// TS.Recent.
    pub ts_recent: Option<u32>,
    /// The ranges held beyond RCV.NXT, in order.
    pub ooo: Vec<(Pos, Pos)>,
    /// What is in flight: each run, and what became of it.
    pub inflight: Vec<(Pos, Pos, Mark)>,
    /// Segments in the network as the sender counts them.
    pub pipe: u32,
    /// What the records of what is in flight cost, bytes of memory.
    pub records: usize,
    /// Every armed timer.
    pub timers: Vec<(Timer, Instant)>,
}

impl Connection {
    /// Everything worth knowing, in the kernel's `struct tcp_info` terms.
    pub fn info(&self, now: Instant) -> TcpInfo {
        let stats = &self.common.stats;
        let [busy_time, rwnd_limited, sndbuf_limited, cwnd_limited] = stats.limits.at(now).totals();
        let mut info = TcpInfo {
            state: self.state(),
            total_retrans: stats.total_retrans,
            bytes_retrans: stats.bytes_retrans,
            bytes_sent: stats.bytes_sent,
            bytes_acked: stats.bytes_acked,
            bytes_received: stats.bytes_received,
            segs_out: stats.segs_out,
            segs_in: stats.segs_in,
            data_segs_out: stats.data_segs_out,
            data_segs_in: stats.data_segs_in,
            busy_time,
            rwnd_limited,
            sndbuf_limited,
            cwnd_limited,
            recv_queue: self.readable(),
            rcv_ooopack: stats.rcv_ooopack,
            total_rto: stats.total_rto,
            total_rto_recoveries: stats.total_rto_recoveries,
            total_rto_time: stats.rto_time(now),
            last_data_recv: stats.last_data_recv.map_or(Duration::ZERO, |at| now.since(at)),
            last_ack_recv: stats.last_ack_recv.map_or(Duration::ZERO, |at| now.since(at)),
            delivered: stats.delivered,
            pmtu: u32::from(self.config().mtu),
            advmss: advertised_mss(self.config(), &self.key()),
            max_pacing_rate: self.config().max_pacing_rate.unwrap_or(u64::MAX),
            // The kernel's until reordering was seen.
            reordering: 3,
            memory: self.memory(),
            ..TcpInfo::default()
        };
        (info.snd_buf, info.rcv_buf) = self.buffers();
        match &self.shape {
            Shape::Opening(Opening { snd }) => info.describe_sending(snd, now),
            Shape::Live(Live { snd, rcv, scaling, .. }) => {
                info.describe_sending(snd, now);
                let in_bytes = |rate: Rate| rate.bytes_per_second(u64::from(snd.mss));
                info.pacing_rate = snd.pacing_rate(self.config()).map_or(u64::MAX, in_bytes);
                info.delivery_rate = snd.inflight.delivery_rate().map_or(0, |(rate, _)| in_bytes(rate));
                info.rcv_nxt = rcv.nxt();
                info.rcv_wnd = rcv.wnd();
                info.rcv_mss = rcv.mss;
                info.rcv_ssthresh = rcv.buffer;
                info.ato = rcv.acks.delay_time();
                info.window_scale = *scaling;
                info.timestamps = rcv.paws.is_some();
                info.sack = rcv.sack;
                info.ooo_queue = usize::try_from(rcv.queue.ooo_bytes()).unwrap_or(usize::MAX);
                info.urgent = rcv.up.since(rcv.nxt() - rcv.queue.readable() as u64);
                info.rcv_rtt = rcv.tuning.rtt().unwrap_or(Duration::ZERO);
                info.rcv_space = u32::try_from(rcv.tuning.per_round()).unwrap_or(u32::MAX);
            }
            Shape::Closed(_) => {}
        }
        info
    }

    /// The variables behind [`info`](Self::info), while both sides are known to each other.
    pub fn inspect(&self) -> Option<Inspection> {
        let Shape::Live(Live { snd, rcv, .. }) = &self.shape else { return None };
        Some(Inspection {
            rcv_edge: rcv.edge,
            snd_edge: snd.edge(),
            snd_wl: (snd.wl1, snd.wl2),
            max_snd_wnd: snd.max_wnd,
            ts_recent: rcv.paws.as_ref().map(|paws| paws.ts_recent()),
            ooo: rcv.queue.ooo_ranges().iter().collect(),
            inflight: snd.inflight.runs().map(|run| (run.start, run.end, run.mark)).collect(),
            pipe: snd.inflight.pipe(),
            records: snd.inflight.memory() + snd.sack.as_ref().map_or(0, |sack| sack.memory()),
            timers: self.common.timers.armed().collect(),
        })
    }
}

impl TcpInfo {
    fn describe_sending(&mut self, snd: &SendHalf, now: Instant) {
        self.snd_una = snd.una;
        self.snd_nxt = snd.nxt;
        self.snd_end = snd.end();
        self.snd_wnd = snd.wnd;
        self.snd_mss = snd.mss;
        self.snd_cwnd = snd.cwnd();
        self.snd_ssthresh = snd.cc.ssthresh();
        self.unacked = snd.inflight.segments();
        self.bytes_in_flight = snd.nxt.since(snd.una);
        self.rto = snd.rtt.backed_off();
        self.rtt = snd.rtt.srtt();
        self.rttvar = snd.rtt.rttvar();
        self.backoff = snd.rtt.backoff();
        self.min_rtt = snd.rtt.min_rtt();
        self.ca_state = snd.recovery.ca_state();
        let probing = snd.wnd == 0 && self.bytes_in_flight == 0;
        (self.probes, self.retransmits) = if probing { (snd.retries, 0) } else { (0, snd.retries) };
        self.lost = snd.inflight.lost() + snd.inflight.resent();
        self.sacked = snd.inflight.sacked();
        self.retrans = snd.inflight.resent();
        self.last_data_sent = now.since(snd.last_sent);
        self.notsent_bytes = u32::try_from(snd.end().since(snd.nxt)).unwrap_or(u32::MAX);
        self.in_recovery = match &snd.sack {
            Some(sack) => sack.phase() == super::Phase::Recovery,
            None => snd.recovery.is_fast(),
        };
        self.phase = snd.sack.as_ref().map(|sack| sack.phase());
        self.reordering = snd.sack.as_ref().map_or(self.reordering, |sack| sack.threshold());
        self.send_queue = snd.queue.len();
    }
}
