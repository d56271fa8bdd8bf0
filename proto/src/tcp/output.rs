//! What to send next, and whether now.
//!
//! Sections: RFC 9293 3.8 (data communication), 3.8.6.1 (probes), 3.8.4, 3.10.2 (SEND); RFC 5681 3; RFC 7323 3; RFC 2018 4.
//! In: both halves of a connection, and how much the owner can take.
//! Out: one burst, the most urgent first: RST, SYN, what was lost, new data, FIN, probes, acknowledgements.

use arrayvec::ArrayVec;
use bytes::Bytes;

use super::inflight::Run;
use super::open::{advertised_mss, syn_options, syn_window, ts_clock};
use super::snd::Allowance;
use super::state::{Live, Opening, Shape};
use super::stats::Limit;
use super::{Cause, Common, Connection, Reset, RetransmitCause, Transmit, TxLimit};
use crate::time::Instant;
use crate::wire::{Ecn, Flags, Header, Options, Pos, Timestamps};

impl Connection {
    /// The next burst, if any may go now.
    pub(super) fn next_burst(&mut self, now: Instant, limit: TxLimit) -> Option<Transmit> {
        let c = &mut self.common;
        if let Some(reset) = c.reset.take() {
            return Some(c.reset_segment(reset));
        }
        match &mut self.shape {
            Shape::Opening(opening) => opening.poll_transmit(c, now),
            Shape::Live(live) => live.poll_transmit(c, now, limit),
            Shape::Closed(_) => None,
        }
    }
}

impl Opening {
    /// The SYN, for the first time or again.
    fn poll_transmit(&mut self, c: &mut Common, now: Instant) -> Option<Transmit> {
        let cause = self.snd.next_syn(Cause::Syn, RetransmitCause::Syn, now)?;
        c.timers.set(super::Timer::Retransmission, now + self.snd.rtt.backed_off());
        let header = Header {
            seq: self.snd.space.seq(Pos::SYN),
            flags: Flags::SYN,
            window: syn_window(&c.cfg, &c.key),
            options: syn_options(&c.cfg, &c.key, ts_clock(now, c.ts_offset)),
            ..c.header()
        };
        Some(c.count(Transmit { header, payload: ArrayVec::new(), segment_size: 0, ecn: Ecn::NotEct, cause }))
    }
}

impl super::snd::SendHalf {
    /// Why a segment with SYN goes out now, if one does; it is on its way when this returns.
    fn next_syn(&mut self, first: Cause, again: fn(u8) -> RetransmitCause, now: Instant) -> Option<Cause> {
        if self.nxt == Pos::SYN {
            self.on_syn_sent(now, 0);
            return Some(first);
        }
        self.inflight.first_lost().filter(|run| run.start == Pos::SYN)?;
        self.inflight.on_retransmit(Pos::SYN, 1, now);
        Some(Cause::Retransmit(again(self.retries)))
    }
}

impl Live {
    /// The next burst of a connection whose peer is known.
    fn poll_transmit(&mut self, c: &mut Common, now: Instant, limit: TxLimit) -> Option<Transmit> {
        let transmit = self
            .poll_syn_ack(c, now)
            .or_else(|| self.poll_retransmission(c, now, limit))
            .or_else(|| self.poll_data(c, now, limit))
            .or_else(|| self.poll_fin(c, now))
            .or_else(|| self.poll_probe(c, now))
            .or_else(|| self.poll_ack(c, now));
        if transmit.is_none() {
            self.note_limit(c, now);
        }
        self.arm_timers(c, now);
        transmit.map(|transmit| c.count(transmit))
    }

    /// SYN-ACK, in SYN-RECEIVED: after a simultaneous open, or because it was lost.
    fn poll_syn_ack(&mut self, c: &Common, now: Instant) -> Option<Transmit> {
        if self.snd.syn_acked() {
            return None;
        }
        let cause = self.snd.next_syn(Cause::SynAck, RetransmitCause::SynAck, now)?;
        let cause = if self.syn_ack_sent { cause } else { Cause::SynAck };
        self.syn_ack_sent = true;
        let options = Options {
            mss: Some(advertised_mss(&c.cfg, &c.key)),
            window_scale: self.scaling.map(|(ours, _)| ours),
            sack_permitted: self.rcv.sack,
            timestamps: self.timestamps(c, now),
            ..Options::default()
        };
        let header = Header {
            seq: self.snd.space.seq(Pos::SYN),
            ack: self.rcv.space.seq(self.rcv.nxt()),
            flags: Flags::SYN | Flags::ACK,
            window: syn_window(&c.cfg, &c.key),
            options,
            ..c.header()
        };
        self.rcv.on_ack_sent(self.rcv.edge);
        Some(Transmit { header, payload: ArrayVec::new(), segment_size: 0, ecn: Ecn::NotEct, cause })
    }

    /// What is held lost goes again, as much as the congestion window lets into the network.
    fn poll_retransmission(&mut self, c: &mut Common, now: Instant, limit: TxLimit) -> Option<Transmit> {
        let run = self.snd.inflight.first_lost()?;
        let room = self.snd.congestion_room().max(u32::from(self.snd.repair_now));
        if room == 0 || run.start == Pos::SYN {
            return None;
        }
        let burst = u32::try_from(limit.burst / usize::from(run.size)).unwrap_or(u32::MAX).max(1);
        let mut segments = run.segments().min(room).min(burst);
        if run.start < self.snd.una {
            // What is left of a segment of which the peer has acknowledged a part.
            segments = 1;
        }
        //= 9293/SHLD-16
        while run.border(segments) > self.snd.edge() {
            segments -= 1;
            if segments == 0 {
                return None;
            }
        }
        let (start, end) = (run.start.max(self.snd.una), run.border(segments));
        let fin = run.fin && end == run.end;
        let data = end.since(start) - u64::from(fin);
        let payload = self.snd.queue.payload(start, usize::try_from(data).expect("a run is no longer than a burst"));
        self.snd.inflight.on_retransmit(run.start, segments, now);
        self.snd.repair_now = false;
        self.snd.last_sent = now;
        c.stats.total_retrans += u64::from(segments);
        c.stats.bytes_retrans += data;
        let cause = Cause::Retransmit(self.snd.repair);
        if matches!(self.snd.repair, RetransmitCause::Timeout(_)) {
            self.snd.repair = RetransmitCause::AfterTimeout;
        }
        let push = end >= self.snd.queue.end() || self.snd.takes_push(start, end);
        let flags =
            if push && data > 0 { Flags::PSH } else { Flags::NONE } | if fin { Flags::FIN } else { Flags::NONE };
        Some(self.segment(c, now, start, flags, payload, run.size, cause))
    }

    /// Data that was never sent, and the FIN if it fits behind.
    fn poll_data(&mut self, c: &mut Common, now: Instant, limit: TxLimit) -> Option<Transmit> {
        if !self.snd.syn_acked() || self.snd.inflight.lost() > 0 {
            return None;
        }
        self.restart_after_idle(c, now);
        let size = self.segment_size(c);
        let Allowance::Send(len) = self.snd.allowance(&c.cfg, u64::from(size), limit.burst as u64) else { return None };
        let start = self.snd.nxt;
        let payload = self.snd.queue.payload(start, usize::try_from(len).expect("a burst fits in memory"));
        let data_end = start + len;
        let fin = self.snd.closing && data_end == self.snd.queue.end() && data_end < self.snd.edge();
        let end = data_end + u64::from(fin);
        self.snd.inflight.push(Run { start, end, size, fin, sent: now, retransmits: 0, lost: false });
        self.snd.on_new_data_sent(end, len % u64::from(size) != 0, now);
        let push = self.snd.takes_push(start, data_end);
        let flags = if push { Flags::PSH } else { Flags::NONE } | if fin { Flags::FIN } else { Flags::NONE };
        let cause = if fin { Cause::Fin } else { Cause::Data };
        Some(self.segment(c, now, start, flags, payload, size, cause))
    }

    /// A FIN behind data that is on its way already.
    fn poll_fin(&mut self, c: &mut Common, now: Instant) -> Option<Transmit> {
        let snd = &mut self.snd;
        let start = snd.nxt;
        let due = snd.closing && start == snd.queue.end() && start > Pos::SYN && snd.inflight.lost() == 0;
        // The FIN counts against the peer's window like a byte; a half-open peer has not told us its own yet.
        if !due || (snd.syn_acked() && start >= snd.edge()) {
            return None;
        }
        let end = start + 1;
        snd.inflight.push(Run { start, end, size: snd.mss, fin: true, sent: now, retransmits: 0, lost: false });
        snd.on_new_data_sent(end, false, now);
        Some(self.segment(c, now, start, Flags::FIN, ArrayVec::new(), 0, Cause::Fin))
    }

    /// A segment with an old number and nothing in it, which the peer must answer.
    fn poll_probe(&mut self, c: &mut Common, now: Instant) -> Option<Transmit> {
        if core::mem::take(&mut self.snd.probe_due) {
            // Like Linux: SND.UNA-1, so that no byte is spent on a window that is closed.
            let cause = Cause::WindowProbe(self.snd.rtt.backoff());
            return Some(self.segment(c, now, self.snd.una - 1, Flags::NONE, ArrayVec::new(), 0, cause));
        }
        if core::mem::take(&mut self.keepalive_due) {
            //= 9293/SHLD-12
            let cause = Cause::KeepAlive(self.keepalives);
            return Some(self.segment(c, now, self.snd.nxt - 1, Flags::NONE, ArrayVec::new(), 0, cause));
        }
        None
    }

    /// An acknowledgement that found nothing to ride on.
    fn poll_ack(&mut self, c: &mut Common, now: Instant) -> Option<Transmit> {
        //= 9293/MUST-58
        //= 9293/MUST-59
        let cause = self.rcv.acks.due(now)?;
        let at = self.snd.acceptable_seq();
        Some(self.segment(c, now, at, Flags::NONE, ArrayVec::new(), 0, Cause::Ack(cause)))
    }

    /// A segment at `at`: acknowledges, offers a window, and carries every option that is agreed.
    #[expect(clippy::too_many_arguments, reason = "these are a segment's parts; a struct would only name them twice")]
    fn segment(
        &mut self,
        c: &Common,
        now: Instant,
        at: Pos,
        flags: Flags,
        payload: ArrayVec<Bytes, 16>,
        size: u16,
        cause: Cause,
    ) -> Transmit {
        let (window, edge) = self.rcv.offer();
        let room = match payload.is_empty() {
            true => self.sack_room(c),
            // What goes again has the size that it had, which may leave no room for blocks within the MSS.
            false => {
                self.sack_room_with_data(c).min(usize::from(self.snd.mss.saturating_sub(size)).saturating_sub(4) / 8)
            }
        };
        let sack = self.rcv.sack_blocks(room);
        let mut header = Header {
            seq: self.snd.space.seq(at),
            ack: self.rcv.space.seq(self.rcv.nxt()),
            flags: flags | Flags::ACK,
            window,
            options: Options { timestamps: self.timestamps(c, now), sack, ..Options::default() },
            ..c.header()
        };
        //= 9293/MUST-30
        //= 9293/MUST-62
        if self.snd.up > at {
            header.flags |= Flags::URG;
            header.urgent = u16::try_from(self.snd.up.since(at)).unwrap_or(u16::MAX);
        }
        if !payload.is_empty() {
            self.rcv.acks.on_data_sent(now);
        }
        self.rcv.on_ack_sent(edge);
        Transmit { header, payload, segment_size: size, ecn: Ecn::NotEct, cause }
    }

    /// The timestamps option, on every segment once it is agreed on.
    fn timestamps(&self, c: &Common, now: Instant) -> Option<Timestamps> {
        //= 7323#3.2
        let paws = self.rcv.paws.as_ref()?;
        Some(Timestamps { val: ts_clock(now, c.ts_offset), ecr: paws.ts_recent() })
    }

    /// How many SACK blocks fit beside the other options, in 40 bytes and in the smallest packet of our link.
    fn sack_room(&self, c: &Common) -> usize {
        let fixed = if c.key.local_ip.is_ipv6() { 60 } else { 40 };
        let timestamps = if self.rcv.paws.is_some() { 12 } else { 0 };
        let room = usize::from(c.cfg.mtu.saturating_sub(fixed)).min(40);
        room.saturating_sub(timestamps + 4) / 8
    }

    /// As [`sack_room`](Self::sack_room), where at least half of the segment is left to its payload.
    fn sack_room_with_data(&self, c: &Common) -> usize {
        self.sack_room(c).min(usize::from(self.snd.mss / 2).saturating_sub(4) / 8)
    }

    /// Payload bytes of a full segment now: SACK blocks take their room from it.
    fn segment_size(&self, c: &Common) -> u16 {
        //= 9293/MUST-16
        let blocks = self.rcv.sack_blocks(self.sack_room_with_data(c)).len();
        let sack = if blocks == 0 { 0 } else { 4 + 8 * blocks };
        self.snd.mss - u16::try_from(sack).expect("options fit in 40 bytes")
    }

    /// The congestion window says nothing about a path that was not used for a while.
    fn restart_after_idle(&mut self, c: &Common, now: Instant) {
        //= 5681#4.1
        let idle = now.since(self.snd.last_sent);
        let rto = self.snd.rtt.rto();
        if c.cfg.slow_start_after_idle && !self.snd.is_outstanding() && self.snd.has_unsent() && idle > rto {
            self.snd.cc.on_idle(idle, rto);
            self.snd.last_sent = now;
        }
    }

    /// Nothing more can go: what holds the sender back from here on.
    fn note_limit(&self, c: &mut Common, now: Instant) {
        let snd = &self.snd;
        let limit = match snd.allowance(&c.cfg, u64::from(snd.mss), u64::from(snd.mss)) {
            _ if !snd.is_outstanding() && !snd.has_unsent() => Limit::Idle,
            Allowance::Window => Limit::Window,
            Allowance::Congestion => Limit::Congestion,
            Allowance::Empty if snd.blocked => Limit::SendBuffer,
            Allowance::Empty | Allowance::Small | Allowance::Send(_) => Limit::Application,
        };
        c.stats.limits.switch(limit, now);
    }
}

impl Common {
    /// A header with the ports filled in.
    fn header(&self) -> Header {
        Header { src_port: self.key.local_port, dst_port: self.key.remote_port, ..Header::default() }
    }

    /// A RST.
    fn reset_segment(&mut self, reset: Reset) -> Transmit {
        let header = Header {
            seq: reset.seq,
            ack: reset.ack.unwrap_or_default(),
            flags: if reset.ack.is_some() { Flags::RST | Flags::ACK } else { Flags::RST },
            options: Options { timestamps: reset.timestamps, ..Options::default() },
            ..self.header()
        };
        let cause = Cause::Reset(reset.cause);
        self.count(Transmit { header, payload: ArrayVec::new(), segment_size: 0, ecn: Ecn::NotEct, cause })
    }

    /// Counts what goes out.
    fn count(&mut self, transmit: Transmit) -> Transmit {
        let bytes = transmit.payload_len();
        let segments = bytes.div_ceil(usize::from(transmit.segment_size.max(1))).max(1) as u64;
        self.stats.segs_out += segments;
        if bytes > 0 {
            self.stats.data_segs_out += segments;
            self.stats.bytes_sent += bytes as u64;
        }
        transmit
    }
}
