//! What to send next, and whether now.
//!
//! Sections: RFC 9293 3.8 (data communication), 3.8.6.1 (probes), 3.8.4, 3.10.2 (SEND); RFC 5681 3; RFC 7323 3; RFC 2018 4.
//! In: both halves of a connection, and how much the owner can take.
//! Out: one burst, the most urgent first: RST, SYN, what was lost, new data, FIN, probes, acknowledgements.

use super::inflight::{Delivery, Run};
use super::open::{advertised_mss, syn_options, syn_window, ts_clock};
use super::snd::Allowance;
use super::state::{Live, Opening, Shape};
use super::stats::Limit;
use super::{Cause, Common, Connection, Payload, Reset, RetransmitCause, Timer, Transmit, TxLimit};
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
        c.timers.set(Timer::Retransmission, now + self.snd.rtt.backed_off());
        if let Some(timeout) = c.cfg.user_timeout {
            c.timers.set(Timer::UserTimeout, self.snd.progress + timeout);
        }
        let header = Header {
            seq: self.snd.space.seq(Pos::SYN),
            flags: Flags::SYN,
            window: syn_window(&c.cfg, &c.key),
            options: syn_options(&c.cfg, &c.key, ts_clock(now, c.ts_offset)),
            ..c.header()
        };
        Some(c.count(Transmit { header, payload: Payload::NONE, segment_size: 0, ecn: Ecn::NotEct, cause }))
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
            .or_else(|| self.poll_tail_probe(c, now))
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
            // What was promised since the first SYN-ACK stays promised.
            //= 9293/SHLD-14
            window: u16::try_from(self.rcv.wnd()).unwrap_or(u16::MAX),
            options,
            ..c.header()
        };
        self.rcv.on_ack_sent(self.rcv.edge);
        Some(Transmit { header, payload: Payload::NONE, segment_size: 0, ecn: Ecn::NotEct, cause })
    }

    /// What is held lost goes again, as much as the congestion window lets into the network.
    fn poll_retransmission(&mut self, c: &mut Common, now: Instant, limit: TxLimit) -> Option<Transmit> {
        let room = self.snd.congestion_room().max(u32::from(self.snd.repair_now));
        let run = self.snd.inflight.first_lost()?;
        if self.snd.is_probing_timeout() {
            return None;
        }
        if room == 0 || run.start == Pos::SYN {
            return None;
        }
        //= 9293/SHLD-16
        //= 9293/MUST-34
        if run.size > self.snd.mss {
            // What is acknowledged of its first segment goes no more, so that it can be cut where SND.UNA is.
            self.snd.inflight.split_lost(run.start, self.snd.una);
            self.snd.inflight.ack_to(self.snd.una, &mut Delivery::default());
            self.snd.inflight.recut_lost(run.start.max(self.snd.una), self.snd.mss);
        }
        self.snd.pmtu.forget_probe();
        let run = self.snd.inflight.first_lost()?;
        self.snd.inflight.split_lost(run.start, self.snd.edge());
        let run = self.snd.inflight.first_lost().filter(|run| run.end <= self.snd.edge())?;
        let paced = if self.snd.repair_now { Some(0) } else { self.snd.paced_burst(&c.cfg, limit.burst, now) };
        let burst = u32::try_from(paced? / usize::from(run.size)).unwrap_or(u32::MAX).max(1);
        let mut segments = run.segments.min(room).min(burst);
        if run.start < self.snd.una {
            // What is left of a segment of which the peer has acknowledged a part.
            segments = 1;
        }
        let (start, end) = (run.start.max(self.snd.una), run.border(segments));
        let fin = run.fin && end == run.end;
        let data = end.since(start) - u64::from(fin);
        let payload = self.snd.queue.payload(start, usize::try_from(data).expect("a run is no longer than a burst"));
        self.snd.inflight.on_retransmit(run.start, segments, now);
        self.snd.on_paced(&c.cfg, data, now);
        if run.start <= self.snd.una && self.snd.sack.is_some() {
            // Like Linux: the first segment gets a timeout's time for its answer, however late it goes again.
            c.timers.cancel(Timer::Retransmission);
        }
        self.snd.repair_now = false;
        self.snd.last_sent = now;
        let by_timeout = self.snd.sack.is_none() || matches!(self.snd.repair, RetransmitCause::Timeout(_));
        let cause = Cause::Retransmit(if by_timeout { self.snd.repair } else { run.why });
        self.note_resent(c, start, end, segments, now);
        if matches!(self.snd.repair, RetransmitCause::Timeout(_)) {
            self.snd.repair = RetransmitCause::AfterTimeout;
        }
        let push = end >= self.snd.queue.end() || self.snd.takes_push(start, end);
        let flags =
            if push && data > 0 { Flags::PSH } else { Flags::NONE } | if fin { Flags::FIN } else { Flags::NONE };
        Some(self.segment(c, now, start, flags, payload, run.size, cause))
    }

    /// The tail loss probe: a segment of new data if there is one, whatever the congestion window says, else the last
    /// segment again.
    //= 8985#7.3
    fn poll_tail_probe(&mut self, c: &mut Common, now: Instant) -> Option<Transmit> {
        if !core::mem::take(&mut self.snd.tail_probe_due) || !self.snd.is_outstanding() {
            return None;
        }
        // The timeout is counted from the probe on: its answer is to come first.
        c.timers.cancel(Timer::Retransmission);
        let size = self.segment_size(c);
        let usable = self.snd.edge().since(self.snd.nxt);
        let new = self.snd.queue.end().since(self.snd.nxt).min(u64::from(size)).min(usable);
        let (run, new) = if new > 0 {
            let start = self.snd.nxt;
            let run = Run::new(start, start + new, size, false, now);
            self.snd.inflight.push(run);
            self.snd.on_new_data_sent(run.end, new < u64::from(size), now);
            (run, true)
        } else {
            let last = self.snd.inflight.last_unsacked().filter(|run| run.end <= self.snd.edge())?;
            self.snd.inflight.on_probe(last.start, now);
            (last, false)
        };
        let nxt = self.snd.nxt;
        if let Some(sack) = &mut self.snd.sack {
            sack.on_sent(run.start, run.end, 1, now);
            sack.on_probe(nxt, !new);
        }
        let start = run.start.max(self.snd.una);
        let data = run.end.since(start) - u64::from(run.fin);
        let payload = self.snd.queue.payload(start, usize::try_from(data).expect("a segment fits in memory"));
        self.snd.last_sent = now;
        let flags = if run.fin { Flags::PSH | Flags::FIN } else { Flags::PSH };
        let cause = if new { Cause::TailLossProbe } else { Cause::Retransmit(RetransmitCause::TailLossProbe) };
        Some(self.segment(c, now, start, flags, payload, run.size, cause))
    }

    /// Something goes again: recovery keeps account of it.
    fn note_resent(&mut self, c: &Common, start: Pos, end: Pos, segments: u32, now: Instant) {
        let tsval = self.rcv.paws.is_some().then(|| ts_clock(now, c.ts_offset));
        if let Some(sack) = &mut self.snd.sack {
            sack.on_sent(start, end, segments, now);
            sack.on_resent(segments, tsval);
        }
    }

    /// Data that was never sent, and the FIN if it fits behind.
    fn poll_data(&mut self, c: &mut Common, now: Instant, limit: TxLimit) -> Option<Transmit> {
        if !self.snd.syn_acked() || (self.snd.inflight.lost() > 0 && !self.snd.is_probing_timeout()) {
            return None;
        }
        self.restart_after_idle(c, now);
        if self.snd.pmtu.expire(now) {
            self.snd.mss = self.snd.pmtu.mss();
        }
        if let Some(probe) = self.poll_path_probe(c, now) {
            return Some(probe);
        }
        let size = self.segment_size(c);
        let burst = self.snd.paced_burst(&c.cfg, limit.burst, now)?;
        let Allowance::Send(len) = self.snd.allowance(&c.cfg, u64::from(size), burst as u64) else { return None };
        let start = self.snd.nxt;
        let had_room = c.has_room(&self.snd);
        let payload = self.snd.queue.payload(start, usize::try_from(len).expect("a burst fits in memory"));
        let data_end = start + len;
        let fin = self.snd.closing && data_end == self.snd.queue.end() && data_end < self.snd.edge();
        let end = data_end + u64::from(fin);
        let run = Run::new(start, end, size, fin, now);
        self.snd.inflight.push(run);
        if let Some(sack) = &mut self.snd.sack {
            sack.on_sent(start, end, run.segments, now);
            // The probe asks after what was sent last.
            c.timers.cancel(Timer::TailLossProbe);
        }
        self.snd.on_paced(&c.cfg, len, now);
        self.snd.on_new_data_sent(end, len % u64::from(size) != 0, now);
        if len >= u64::from(size) {
            self.snd.pmtu.on_sent(end, size);
        }
        self.tell_of_room(c, had_room);
        let push = self.snd.takes_push(start, data_end);
        let flags = if push { Flags::PSH } else { Flags::NONE } | if fin { Flags::FIN } else { Flags::NONE };
        let cause = if fin { Cause::Fin } else { Cause::Data };
        Some(self.segment(c, now, start, flags, payload, size, cause))
    }

    /// One segment larger than the path is known to carry, if it is time to try one and enough smaller ones can follow
    /// to tell of its loss.
    fn poll_path_probe(&mut self, c: &Common, now: Instant) -> Option<Transmit> {
        // Like Linux: nothing is held lost, and the window would take eleven segments.
        let snd = &mut self.snd;
        if snd.recovery.is_fast() || snd.cc.cwnd() < LEAST_CWND_FOR_PROBE || self.rcv.has_sack_blocks() {
            return None;
        }
        let size = snd.pmtu.next_probe(&c.cfg, now)?;
        let followers = 4 * u64::from(snd.mss);
        let wanted = u64::from(size) + followers;
        let unsent = snd.queue.end().since(snd.nxt);
        if unsent < wanted || snd.edge().since(snd.nxt) < wanted || snd.congestion_room() < 5 {
            return None;
        }
        let (start, end) = (snd.nxt, snd.nxt + u64::from(size));
        let payload = snd.queue.payload(start, usize::from(size));
        snd.inflight.push(Run::new(start, end, size, false, now));
        snd.on_new_data_sent(end, false, now);
        snd.pmtu.on_probe_sent(start, end, size, now);
        let flags = if snd.takes_push(start, end) { Flags::PSH } else { Flags::NONE };
        Some(self.segment(c, now, start, flags, payload, size, Cause::PathProbe))
    }

    /// A FIN behind data that is on its way already.
    fn poll_fin(&mut self, c: &Common, now: Instant) -> Option<Transmit> {
        let snd = &mut self.snd;
        let start = snd.nxt;
        let due = snd.closing && start == snd.queue.end() && start > Pos::SYN && snd.inflight.lost() == 0;
        // The FIN counts against the peer's window like a byte; a half-open peer has not told us its own yet.
        if !due || (snd.syn_acked() && start >= snd.edge()) {
            return None;
        }
        let end = start + 1;
        snd.inflight.push(Run::new(start, end, snd.mss, true, now));
        if let Some(sack) = &mut snd.sack {
            sack.on_sent(start, end, 1, now);
        }
        snd.on_new_data_sent(end, false, now);
        Some(self.segment(c, now, start, Flags::FIN, Payload::NONE, 0, Cause::Fin))
    }

    /// A segment with an old number and nothing in it, which the peer must answer.
    fn poll_probe(&mut self, c: &Common, now: Instant) -> Option<Transmit> {
        if core::mem::take(&mut self.snd.probe_due) {
            // Like Linux: SND.UNA-1, so that no byte is spent on a window that is closed.
            let cause = Cause::WindowProbe(self.snd.rtt.backoff());
            return Some(self.segment(c, now, self.snd.una - 1, Flags::NONE, Payload::NONE, 0, cause));
        }
        if core::mem::take(&mut self.keepalive_due) {
            //= 9293/SHLD-12
            let cause = Cause::KeepAlive(self.keepalives);
            return Some(self.segment(c, now, self.snd.nxt - 1, Flags::NONE, Payload::NONE, 0, cause));
        }
        None
    }

    /// An acknowledgement that found nothing to ride on.
    fn poll_ack(&mut self, c: &Common, now: Instant) -> Option<Transmit> {
        //= 9293/MUST-58
        //= 9293/MUST-59
        let cause = self.rcv.acks.due(now)?;
        let at = self.snd.acceptable_seq();
        Some(self.segment(c, now, at, Flags::NONE, Payload::NONE, 0, Cause::Ack(cause)))
    }

    /// A segment at `at`: acknowledges, offers a window, and carries every option that is agreed.
    #[expect(clippy::too_many_arguments, reason = "these are a segment's parts; a struct would only name them twice")]
    fn segment(
        &mut self,
        c: &Common,
        now: Instant,
        at: Pos,
        flags: Flags,
        payload: Payload,
        size: u16,
        cause: Cause,
    ) -> Transmit {
        let (window, edge) = self.rcv.offer(c.pressure);
        let room = match payload.is_empty() {
            _ if !self.rcv.has_sack_blocks() => 0,
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
        match cause {
            // The peer discards what a probe says beside asking for an answer, for its number is an old one: an
            // acknowledgement that is owed stays owed.
            Cause::WindowProbe(_) | Cause::KeepAlive(_) => self.rcv.on_offered(edge),
            _ => self.rcv.on_ack_sent(edge),
        }
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
        if !self.rcv.has_sack_blocks() {
            return self.snd.mss;
        }
        let blocks = self.rcv.sack_blocks(self.sack_room_with_data(c)).len();
        let sack = if blocks == 0 { 0 } else { 4 + 8 * blocks };
        self.snd.mss - u16::try_from(sack).expect("options fit in 40 bytes")
    }

    /// The congestion window says nothing about a path that was not used for a while.
    fn restart_after_idle(&mut self, c: &Common, now: Instant) {
        if self.snd.is_outstanding() || !self.snd.has_unsent() {
            return;
        }
        if self.snd.inflight.is_app_limited() || !self.snd.cc.is_model_based() {
            self.snd.cc.on_restart(now);
        }
        //= 5681#4.1
        let idle = now.since(self.snd.last_sent);
        let rto = self.snd.rtt.rto();
        if c.cfg.slow_start_after_idle && idle > rto {
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
        self.count(Transmit { header, payload: Payload::NONE, segment_size: 0, ecn: Ecn::NotEct, cause })
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
        if matches!(transmit.cause, Cause::Retransmit(_)) {
            self.stats.total_retrans += segments;
            self.stats.bytes_retrans += bytes as u64;
        }
        transmit
    }
}

/// Like Linux: a smaller congestion window is not risked on a probe.
const LEAST_CWND_FOR_PROBE: u32 = 11;

#[cfg(test)]
mod tests {
    use super::super::play::*;
    use super::super::*;
    use crate::time::Duration;
    use crate::wire::{Flags, Pos};

    //= 9293/SHLD-28
    #[test]
    fn a_burst_is_cut_to_the_congestion_window_the_peers_window_and_whole_segments() {
        let mut play = Play::established(&plain());
        play.write(100_000);
        let bursts = play.bursts();
        assert_eq!(bursts.iter().map(describe).collect::<alloc::vec::Vec<_>>(), [". 1:14601 ack 1 data"]);
        assert_eq!(bursts[0].segment_size, 1460);
        play.receive(seg(A, 1, 14_601).window(4000));
        assert_eq!(play.sent(), [". 14601:17521 ack 1 data"], "two whole segments, not the rest");
        play.receive(seg(A, 1, 17_521).window(60_000));
        let small = TxLimit { burst: 3000 };
        let burst = play.conn.poll_transmit(play.now, small).map(|burst| burst.payload_len());
        assert_eq!(burst, Some(2920));
        let none = play.conn.poll_transmit(play.now, TxLimit { burst: 0 }).map(|burst| burst.payload_len());
        assert_eq!(none, Some(1460), "at least one segment");
    }

    //= 9293/SHLD-7
    //= 9293/MUST-17
    #[test]
    fn small_segments_wait_for_each_other_unless_told_not_to() {
        let mut play = Play::established(&plain());
        play.write(10);
        assert_eq!(play.sent(), ["P. 1:11 ack 1 data"]);
        play.write(10);
        assert!(play.sent().is_empty());
        play.write(2000);
        assert_eq!(play.sent(), ["P. 11:1471 ack 1 data"], "a full segment need not wait");
        play.conn.configure(|cfg| cfg.nagle = false, play.now);
        assert_eq!(play.sent(), ["P. 1471:2021 ack 1 data"]);
        play.write(1);
        assert_eq!(play.sent(), ["P. 2021:2022 ack 1 data"]);
    }

    #[test]
    fn an_acknowledgement_of_the_small_segment_releases_the_next() {
        let mut play = Play::established(&plain());
        play.write(10);
        play.bursts();
        play.write(10);
        play.receive(seg(A, 1, 11));
        assert_eq!(play.sent(), ["P. 11:21 ack 1 data"]);
        play.write(10);
        play.conn.close(play.now);
        assert_eq!(play.sent(), ["FP. 21:31 ack 1 fin"], "nothing can follow it");
    }

    #[test]
    fn a_cork_holds_a_part_of_a_segment_for_200_ms() {
        let mut play = Play::established(&Config { cork: true, ..plain() });
        play.write(10);
        assert!(play.sent().is_empty());
        assert_eq!(play.pass(ms(300)), [(200, "P. 1:11 ack 1 data".into())]);
        play.receive(seg(A, 1, 11));
        play.write(10);
        assert!(play.sent().is_empty());
        play.conn.configure(|cfg| cfg.cork = false, play.now);
        assert_eq!(play.sent(), ["P. 11:21 ack 1 data"]);
    }

    //= 9293/MUST-38
    #[test]
    fn a_narrow_window_is_not_filled_with_crumbs() {
        let mut play = Play::established(&plain());
        play.write(5000);
        play.bursts();
        play.receive(seg(A, 1, 5001).window(100));
        play.write(5000);
        assert!(play.sent().is_empty());
        // Silly-window avoidance gives up after one RTO.
        let rto = play.info().rto;
        assert_eq!(play.pass(ms(400)), [(rto.as_millis(), ". 5001:5101 ack 1 data".into())]);
        // Half of the widest window ever is worth a segment.
        let mut play = Play::established(&plain());
        let narrow = seg(A, 1, 1).window(1000);
        let mut fresh = Play::syn_sent(&plain());
        let mut answer = seg(SA, 0, 1).window(1000);
        answer.options.mss = Some(1460);
        fresh.receive(answer);
        fresh.bursts();
        fresh.write(5000);
        assert_eq!(fresh.sent(), ["P. 1:1001 ack 1 data"]);
        play.receive(narrow);
        play.write(500);
        assert_eq!(play.sent(), ["P. 1:501 ack 1 data"], "everything there is, and it fits");
    }

    //= 9293/MUST-60
    //= 9293/MUST-61
    #[test]
    fn push_marks_the_end_of_a_write_and_each_half_window() {
        let mut play = Play::established(&plain());
        let mut pushed = alloc::vec::Vec::new();
        play.write(100_000);
        let mut acked = 1;
        while acked <= 100_000 {
            for burst in play.bursts() {
                let end = play.info().snd_nxt.0;
                if burst.header.flags.has(Flags::PSH) {
                    pushed.push(end);
                }
            }
            acked = play.info().snd_nxt.0;
            play.receive(seg(A, 1, acked));
        }
        assert_eq!(pushed, [43_801, 100_001], "the peer's widest window is 60,000");
    }

    /// Found by a script: the SYN counted as a byte that had gone without PSH.
    //= 9293/MUST-60
    #[test]
    fn just_half_a_window_is_not_pushed() {
        let mut play = Play::established(&Config { mtu: 1040, ..plain() });
        play.write(100_000);
        assert_eq!(play.sent(), [". 1:10001 ack 1 data"]);
        play.receive(seg(A, 1, 10_001));
        assert_eq!(play.sent(), [". 10001:30001 ack 1 data"], "half of 60,000 bytes");
        play.receive(seg(A, 1, 11_001));
        assert_eq!(play.sent(), ["P. 30001:32001 ack 1 data"]);
    }

    #[test]
    fn a_fin_rides_on_the_last_data_and_stands_alone_behind_it() {
        let mut play = Play::established(&plain());
        play.write(2000);
        play.conn.close(play.now);
        assert_eq!(play.state(), State::FinWait1);
        assert_eq!(play.sent(), ["FP. 1:2001 ack 1 fin"]);
        let mut play = Play::established(&plain());
        play.write(2000);
        play.bursts();
        play.conn.close(play.now);
        assert_eq!(play.sent(), ["F. 2001:2001 ack 1 fin"]);
        assert_eq!(play.conn.write(b"x", play.now), Err(ConnError::Closing));
    }

    //= 9293/MUST-36
    //= 9293/SHLD-29
    //= 9293/SHLD-30
    //= 9293/MUST-37
    #[test]
    fn a_closed_window_is_probed_for_as_long_as_the_probes_are_answered() {
        let mut play = Play::established(&plain());
        play.receive(seg(A, 1, 1).window(0));
        play.write(100);
        let mut at = alloc::vec::Vec::new();
        for n in 1..=30 {
            let wait = play.conn.next_timeout().expect("the persist timer").0.since(play.now);
            at.push(wait.as_millis());
            let sent = play.pass(wait);
            assert_eq!(
                sent.iter().map(|(_, line)| line.as_str()).collect::<alloc::vec::Vec<_>>(),
                [alloc::format!(". 0:0 ack 1 window-probe {n}")]
            );
            assert_eq!(play.receive(seg(A, 1, 1).window(0)), Verdict::Accepted);
        }
        assert_eq!(at[..4], [210, 420, 840, 1680]);
        assert_eq!(at[29], 120_000);
        play.receive(seg(A, 1, 1));
        assert_eq!(play.sent(), ["P. 1:101 ack 1 data"]);
        assert_eq!(play.info().backoff, 0);
    }

    /// Found by a random world: the SYN-ACK that came again took back what a challenge between had offered.
    //= 9293/SHLD-14
    #[test]
    fn a_syn_ack_that_goes_again_takes_nothing_back() {
        let mut play = Play::syn_sent(&Config { rcv_buf: 5_000, rcv_buf_locked: true, ..plain() });
        play.receive(seg(S, 0, 0));
        let first = play.bursts()[0].header.window;
        play.receive(seg(A, 9_000, 1));
        let challenge = play.bursts()[0].header.window;
        assert!(challenge > first, "whole segments beside SYN, {first}; the buffer now, {challenge}");
        play.now += ms(1000);
        play.conn.on_timeout(play.now);
        let again = &play.bursts()[0];
        assert_eq!((again.header.flags, again.header.window), (SA, challenge));
    }

    /// Found by a random world: the peer's data was acknowledged by a probe, and the peer had to send it again.
    //= 9293/SHLD-18
    #[test]
    fn a_probe_does_not_stand_for_an_acknowledgement() {
        let mut play = Play::established(&Config { delayed_ack: ms(400), quick_acks: 0, ..plain() });
        assert_eq!(play.receive(seg(A, 1, 1).window(0)), Verdict::Accepted);
        play.write(100);
        assert_eq!(play.sent(), [] as [&str; 0]);
        play.receive(seg(A, 1, 1).data(100).window(0));
        let sent = play.pass(ms(500));
        let [(_, probe), (at, acknowledgement)] = &sent[..] else { panic!("{sent:?}") };
        assert_eq!((probe.as_str(), *at), (". 0:0 ack 101 window-probe 1", 400));
        assert_eq!(acknowledgement, ". 1:1 ack 101 ack-delayed");
    }

    #[test]
    fn a_fin_alone_waits_for_a_closed_window_and_probes_it() {
        let mut play = Play::established(&plain());
        play.receive(seg(A, 1, 1).window(0));
        play.conn.close(play.now);
        assert!(play.sent().is_empty());
        assert_eq!(play.pass(ms(210)), [(210, ". 0:0 ack 1 window-probe 1".into())]);
        play.receive(seg(A, 1, 1).window(1));
        assert_eq!(play.sent(), ["F. 1:1 ack 1 fin"]);
    }

    //= 9293/MUST-34
    //= 9293/MUST-35
    //= 9293/SHLD-15
    //= 9293/SHLD-16
    //= 9293/SHLD-17
    #[test]
    fn a_window_that_shrinks_under_what_is_in_flight() {
        let mut play = Play::established(&plain());
        play.write(20_000);
        play.bursts();
        play.receive(seg(A, 1, 1).window(2000));
        assert!(play.sent().is_empty(), "nothing new");
        let sent = play.pass(ms(210));
        assert_eq!(sent, [(210, ". 1:1461 ack 1 retransmit-timeout 1".into())]);
        play.receive(seg(A, 1, 1461).window(539));
        assert_eq!(play.sent(), [". 1461:2000 ack 1 retransmit-after-timeout"], "what is inside the window");
        play.receive(seg(A, 1, 2000).window(0));
        for n in 1..=20 {
            let wait = play.conn.next_timeout().expect("the persist timer").0.since(play.now);
            let sent = play.pass(wait);
            assert_eq!(sent[0].1, alloc::format!(". 1999:1999 ack 1 window-probe {n}"));
            play.receive(seg(A, 1, 2000).window(0));
        }
        play.receive(seg(A, 1, 2000).window(60_000));
        assert!(play.pass(ms(300)).iter().all(|(_, line)| line.contains("retransmit")));
        play.receive(seg(A, 1, 14_601));
        assert_eq!(play.sent().len(), 1);
    }

    //= 9293/MUST-30
    //= 9293/MUST-62
    #[test]
    fn the_urgent_pointer_points_behind_the_urgent_data() {
        let mut play = Play::established(&plain());
        play.write(10);
        play.conn.write_urgent(&stream(Pos(11), 5), play.now).expect("open");
        let bursts = play.bursts();
        assert_eq!(describe(&bursts[0]), "P.U 1:16 ack 1 data");
        assert_eq!(bursts[0].header.urgent, 15);
        play.write(10);
        play.conn.configure(|cfg| cfg.nagle = false, play.now);
        let bursts = play.bursts();
        assert_eq!((describe(&bursts[0]).as_str(), bursts[0].header.urgent), ("P. 16:26 ack 1 data", 0));
    }

    //= 5681#4.1
    #[test]
    fn after_an_idle_time_the_congestion_window_starts_anew() {
        let mut play = Play::established(&plain());
        let mut acked = 1;
        for _ in 0..3 {
            play.write(50_000);
            while !play.bursts().is_empty() {
                acked = play.info().snd_nxt.0;
                play.receive(seg(A, 1, acked));
            }
        }
        let before = play.info().snd_cwnd;
        assert!(before > 20, "{before}");
        play.pass(Duration::from_secs(100));
        play.write(50_000);
        assert_eq!(play.sent(), [alloc::format!(". {acked}:{} ack 1 data", acked + 14_600)]);
        assert_eq!(play.info().snd_cwnd, 10);
    }

    //= 2018#4
    #[test]
    fn sack_blocks_take_their_room_from_the_payload() {
        let mut play = Play::established(&Config::default());
        play.receive(seg(A, 101, 1).data(100));
        play.bursts();
        play.write(5000);
        let bursts = play.bursts();
        assert_eq!((bursts[0].segment_size, sack_of(&bursts[0]).len()), (1436, 1));
        // Three blocks fit beside timestamps, however many ranges there are.
        for n in 2..6 {
            play.receive(seg(A, 1 + n * 200, 1).data(100));
        }
        assert!(play.bursts().iter().all(|burst| burst.header.options.sack.len() <= 3));
    }

    //= 7323#3.2
    #[test]
    fn timestamps_tick_in_milliseconds_on_every_segment() {
        let mut play = Play::established(&Config::default());
        play.write(10);
        let first = play.bursts()[0].header.options.timestamps.expect("agreed");
        play.now += ms(25);
        play.receive(seg(A, 1, 11).data(3));
        play.write(10);
        let second = play.bursts()[0].header.options.timestamps.expect("agreed");
        assert_eq!(second.val.wrapping_sub(first.val), 25);
        play.conn.abort(play.now);
        let reset = play.bursts();
        assert_eq!(describe(&reset[0]), "R. 21:21 ack 4 reset-abort");
        assert_eq!(reset[0].header.options.timestamps.map(|ts| ts.val), Some(second.val));
    }

    #[test]
    fn what_holds_the_sender_back_is_named() {
        let mut play = Play::established(&plain());
        play.write(14_600 + 100);
        play.bursts();
        play.pass(ms(30));
        assert_eq!((play.info().cwnd_limited, play.info().busy_time), (ms(30), ms(30)));
        play.receive(seg(A, 1, 14_601).window(0));
        play.bursts();
        play.pass(ms(20));
        assert_eq!(play.info().rwnd_limited, ms(20));
        let info = play.info();
        assert_eq!(info.busy_time, ms(50));
    }

    #[test]
    fn many_pieces_too_small_for_one_burst_lose_nothing() {
        let mut play = Play::established(&Config { nagle: false, ..plain() });
        for n in 0..400 {
            let mut piece = Bytes::from(stream(Pos(1 + n * 30), 30));
            play.conn.send_bytes(&mut piece, play.now).expect("open");
        }
        let sent: alloc::vec::Vec<u8> =
            play.bursts().iter().flat_map(|burst| burst.payload.iter().flatten().copied()).collect();
        assert_eq!(sent, stream(Pos(1), 12_000));
    }
}
