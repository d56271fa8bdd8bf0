//! The receiving half: RCV variables, what has arrived, and the window that we advertise.
//!
//! Sections: RFC 9293 3.3.1, 3.8.6 (window management), 3.8.6.2.2 (receiver's silly-window avoidance); RFC 2018 4; RFC 2883.
//! In: payload with its position; what the application has read.
//! Out: RCV.NXT, the window field, SACK blocks.

use arrayvec::ArrayVec;

use super::ack::AckPolicy;
use super::autotune::{Pressure, RightSizing};
use super::paws::Paws;
use super::recvq::RecvQueue;
use crate::wire::{Pos, SackBlock, Seq, Space};

/// Everything that one connection knows of its receiving direction.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct ReceiveHalf {
    /// The peer's sequence space: IRS is its origin.
    pub(super) space: Space,
    /// Bytes that have arrived and are not read.
    pub(super) queue: RecvQueue,
    /// Where the peer's FIN stands, once it has arrived; perhaps before data that is still missing.
    pub(super) fin: Option<Pos>,
    /// Everything up to and with the FIN has arrived.
    pub(super) fin_taken: bool,
    /// The right edge of the window: the furthest that was ever advertised.
    pub(super) edge: Pos,
    /// The right edge as last advertised, rounded as its field is.
    pub(super) offered: Pos,
    /// The size of the receive buffer, bytes of true memory.
    pub(super) memory: u32,
    /// The most that we offer as window, bytes: what of the buffer is for payload.
    pub(super) buffer: u32,
    /// What the buffer's size follows.
    pub(super) tuning: RightSizing,
    /// Our window scale.
    pub(super) wscale: u8,
    /// The largest segment that the peer has sent, or may be expected to send.
    pub(super) mss: u16,
    /// RCV.UP: behind the last urgent byte; the SYN's position when there never was one.
    pub(super) up: Pos,
    /// TS.Recent, if both sides use timestamps.
    pub(super) paws: Option<Paws>,
    /// Both sides permit SACK.
    pub(super) sack: bool,
    /// What arrived twice and is to be reported with the next acknowledgement.
    pub(super) dsack: Option<(Pos, Pos)>,
    /// When to acknowledge.
    pub(super) acks: AckPolicy,
    /// Last.ACK.sent (RFC 7323 4.3).
    pub(super) last_ack_sent: Pos,
}

impl ReceiveHalf {
    /// RCV.NXT: behind everything received in order, FIN included.
    pub(super) fn nxt(&self) -> Pos {
        self.queue.rcv_nxt() + u64::from(self.fin_taken)
    }

    /// RCV.WND: what is left of the window as last advertised.
    pub(super) fn wnd(&self) -> u32 {
        u32::try_from(self.edge.since(self.nxt())).expect("the window field and its scale bound the window")
    }

    /// The window field of the next segment and the right edge that it promises.
    ///
    /// The edge moves by no less than a segment. A scaled field can only name multiples of its unit, and RCV.NXT moves by
    /// any number of bytes: rounding up would move the edge with every acknowledgement, until a program that does not
    /// read had promised more than its buffer holds. So it is rounded up only where there is room, else down.
    pub(super) fn offer(&self, pressure: Pressure) -> (u16, Pos) {
        let unit = 1_u64 << self.wscale;
        let (nxt, mut free) = (self.nxt(), self.free());
        if pressure > Pressure::None {
            // Like Linux: four segments, enough for a sender to recover a loss without a timeout.
            free = free.min(4 * u64::from(self.mss));
        }
        let wider = nxt + (free - free % unit).min(u64::from(u16::MAX) * unit);
        //= 9293/MUST-39
        //= 9293/SHLD-14
        let edge = if wider.since(self.edge) >= self.worth_opening() { wider } else { self.edge };
        let kept = edge.since(nxt);
        let up = kept.next_multiple_of(unit);
        // DEVIATES: 9293/SHLD-14: what the peer sees of the edge may move left by less than a unit (RFC 7323 2.4 tells
        // senders to expect it). What was promised is taken all the same.
        //= 7323#2.4
        let units = if up <= free { up / unit } else { kept / unit };
        let field = u16::try_from(units).unwrap_or(u16::MAX);
        (field, nxt + u64::from(field) * unit)
    }

    /// True if the application has read so much since the last acknowledgement that the peer should hear of it.
    pub(super) fn window_update_due(&self, pressure: Pressure) -> bool {
        let (nxt, (_, edge)) = (self.nxt(), self.offer(pressure));
        // Like Linux: worth a segment of its own when the window at least doubles.
        self.fin.is_none() && edge > self.edge && edge.since(nxt) >= 2 * self.offered.since(nxt)
    }

    /// Room for new bytes.
    fn free(&self) -> u64 {
        u64::from(self.buffer).saturating_sub(self.queue.readable() as u64)
    }

    /// The right edge moves by no less than this.
    fn worth_opening(&self) -> u64 {
        u64::from(u32::from(self.mss).min(self.buffer / 2)).max(1)
    }

    /// A segment with this window and everything received so far acknowledged is on its way.
    pub(super) fn on_ack_sent(&mut self, edge: Pos) {
        self.on_offered(edge);
        self.last_ack_sent = self.nxt();
        self.dsack = None;
        self.acks.on_ack_sent();
    }

    /// A segment promises this right edge.
    pub(super) fn on_offered(&mut self, edge: Pos) {
        self.offered = edge;
        self.edge = self.edge.max(edge);
    }

    /// True if there is anything to report by SACK; nearly always there is not.
    pub(super) fn has_sack_blocks(&self) -> bool {
        self.sack && (self.dsack.is_some() || !self.queue.ooo_ranges().is_empty())
    }

    /// The SACK blocks of the next acknowledgement, `room` of them at the most: D-SACK first, then the newest.
    pub(super) fn sack_blocks(&self, room: usize) -> ArrayVec<SackBlock, 4> {
        if !self.has_sack_blocks() {
            return ArrayVec::new();
        }
        //= 2018#4
        let held = self.queue.sack_blocks();
        let block = |(start, end): (Pos, Pos)| SackBlock { start: self.seq(start), end: self.seq(end) };
        self.duplicate(held.first(), room).into_iter().chain(held).map(block).take(room.min(4)).collect()
    }

    /// What arrived twice, if the peer can tell it from what arrived once: by its place before RCV.NXT, or by the block
    /// around it that follows.
    fn duplicate(&self, next: Option<&(Pos, Pos)>, room: usize) -> Option<(Pos, Pos)> {
        //= 2883#4
        let (start, end) = self.dsack?;
        let within = room > 1 && next.is_some_and(|next| next.0 <= start && end <= next.1);
        (within || end <= self.nxt()).then_some((start, end))
    }

    fn seq(&self, pos: Pos) -> Seq {
        self.space.seq(pos)
    }
}

#[cfg(test)]
mod tests {
    use super::super::play::*;
    use super::super::*;
    use crate::wire::{Pos, Space};
    use alloc::vec;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    //= 9293/MUST-39
    //= 9293/SHLD-14
    #[test]
    fn the_window_opens_by_no_less_than_a_segment() {
        let cfg = Config { rcv_buf: 8000, rcv_buf_locked: true, quick_acks: 0, ..plain() };
        let mut play = Play::established(&cfg);
        assert_eq!(play.info().rcv_wnd, 4000);
        for at in [1, 1461] {
            play.receive(seg(A, at, 1).data(1460));
        }
        assert_eq!(play.bursts()[0].header.window, 1080);
        play.read(1000).expect("data");
        assert!(play.sent().is_empty(), "a thousand bytes more are less than a segment");
        play.read(500).expect("data");
        let update = play.bursts();
        assert_eq!(describe(&update[0]), ". 1:1 ack 2921 ack-window-update");
        assert_eq!(update[0].header.window, 2580);
    }

    #[test]
    fn an_update_is_worth_a_segment_when_the_window_doubles() {
        let mut play = Play::established(&Config::default());
        for at in 0..20 {
            play.receive(seg(A, 1 + at * 1448, 1).data(1448));
        }
        play.bursts();
        play.read(100_000).expect("data");
        assert!(play.sent().is_empty(), "more than half of it was open");
        for at in 20..43 {
            play.receive(seg(A, 1 + at * 1448, 1).data(1448));
        }
        play.bursts();
        for at in 43..60 {
            play.receive(seg(A, 1 + at * 1448, 1).data(1448));
        }
        play.bursts();
        play.read(100_000).expect("data");
        assert_eq!(play.sent(), [". 1:1 ack 86881 ack-window-update"]);
    }

    /// Found by a random world: where one block has room, or a newer block comes between, a duplicate beyond RCV.NXT
    /// would look like news.
    //= 2883#4
    #[test]
    fn a_duplicate_beyond_a_gap_is_told_only_with_the_block_around_it() {
        for (mtu, segment, expected) in [(68, 16, vec![(33, 65)]), (1500, 16, vec![(33, 49), (33, 65)])] {
            let mut play = Play::established(&Config { mtu, ..Config::default() });
            let arrives = |play: &mut Play, at: i64| {
                play.receive(seg(A, at, 1).data(segment));
                let bursts = play.bursts();
                let sack = &bursts.last().expect("an acknowledgement").header.options.sack;
                let pos = |number| Space::new(IRS).pos(number, Pos(1)).0;
                sack.iter().map(|block| (pos(block.start), pos(block.end))).collect::<Vec<_>>()
            };
            arrives(&mut play, 33);
            arrives(&mut play, 49);
            assert_eq!(arrives(&mut play, 33), expected, "MTU {mtu}");
        }
        let mut play = Play::established(&Config::default());
        for at in [33, 33, 97] {
            play.receive(seg(A, at, 1).data(16));
        }
        let first = play.bursts()[0].header.options.sack[0];
        assert_eq!(first.start, Space::new(IRS).seq(Pos(97)), "the newest segment comes first");
    }

    proptest! {
        /// Whatever arrives and is read, the right edge never moves left and never promises more than the buffer.
        #[test]
        fn the_right_edge_never_moves_left(scaled: bool, steps in proptest::collection::vec((0_u16..3000, 0_usize..3000), 1..60)) {
            let base = if scaled { Config::default() } else { plain() };
            let cfg = base.with_buffers(30_000, 30_000);
            let mut play = Play::established(&cfg);
            let mut edge = Pos(0);
            for (arrive, read) in steps {
                let nxt = play.info().rcv_nxt;
                play.receive(seg(A, nxt.0, 1).data(usize::from(arrive)));
                play.bursts();
                play.read(read).expect("open");
                play.bursts();
                let inner = play.conn.inspect().expect("open");
                prop_assert!(inner.rcv_edge >= edge);
                edge = inner.rcv_edge;
                let held = play.info().recv_queue as u64 + edge.since(play.info().rcv_nxt);
                prop_assert!(held <= 15_000 + 128, "{held}");
            }
        }
    }
}
