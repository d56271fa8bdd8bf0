//! Fast retransmit and fast recovery without SACK: NewReno.
//!
//! Sections: RFC 5681 3.2; RFC 6582; RFC 3042 (limited transmit).
//! In: duplicate acknowledgements, acknowledgements of new data, timeouts.
//! Out: when the first segment in flight is to be sent again, and how many segments may be in the network.
//!
//! The RFC inflates cwnd by a segment for each duplicate acknowledgement, because each tells that one segment has left
//! the network. Here cwnd stays what the controller says and those segments are taken off the pipe instead: the same
//! sum, and the same question ("is the pipe below cwnd?") in every phase. A sender that uses the peer's SACK blocks
//! answers that question from its scoreboard, and needs from here only the phases and the recovery point.

use super::CaState;
use crate::wire::Pos;

/// Loss detection and recovery of one connection.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Recovery {
    phase: Phase,
    /// SND.NXT when the last loss was detected, by duplicates or by timeout; `None` before the first.
    recover: Option<Pos>,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
enum Phase {
    /// No loss is known.
    Open {
        /// Duplicate acknowledgements in a row.
        dup_acks: u32,
        /// Segments in flight before the first of them.
        flight: u32,
    },
    /// Fast recovery.
    Fast {
        /// Segments that have left the network, as their duplicate acknowledgements tell.
        departed: u32,
        /// A partial acknowledgement has come.
        partial: bool,
    },
    /// What was in flight at the timeout is not all acknowledged.
    Loss,
}

/// What a duplicate acknowledgement asks for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum DupAck {
    /// Nothing but to count it: it may let a segment of new data out.
    Counted,
    /// The third: the first segment in flight is lost and goes again at once. `flight` is what was in flight before
    /// the first of the three, from which the new threshold follows.
    FastRetransmit {
        /// Segments.
        flight: u32,
    },
    /// Nothing: after a timeout duplicates only tell that something arrived twice.
    Ignored,
}

/// What an acknowledgement of new data means for recovery.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum NewAck {
    /// This is not fast recovery: the congestion window may grow.
    Ordinary,
    /// Fast recovery goes on, and the segment that is now the first in flight was lost as well and goes again at once.
    Partial {
        /// Only the first partial acknowledgement restarts the retransmission timer.
        first: bool,
    },
    /// Fast recovery goes on: nothing more is known to be lost.
    Within,
    /// Fast recovery is over.
    Full,
}

impl Recovery {
    /// An acknowledgement arrived that is a duplicate by the rule of RFC 5681 2. `una` and `nxt` are SND.UNA and
    /// SND.NXT, `in_flight` the segments between.
    pub fn on_dup_ack(&mut self, una: Pos, nxt: Pos, in_flight: u32) -> DupAck {
        let may_enter = self.may_enter(una);
        match &mut self.phase {
            Phase::Open { dup_acks, flight } => {
                if *dup_acks == 0 {
                    *flight = in_flight;
                }
                *dup_acks = dup_acks.saturating_add(1);
                //= 5681#3.2
                if *dup_acks < DUP_THRESH || !may_enter {
                    return DupAck::Counted;
                }
                let flight = *flight;
                self.phase = Phase::Fast { departed: DUP_THRESH, partial: false };
                self.recover = Some(nxt);
                DupAck::FastRetransmit { flight }
            }
            Phase::Fast { departed, .. } => {
                // One segment sent is at least one that can depart: a peer cannot invent departures without end.
                *departed = departed.saturating_add(1).min(in_flight);
                DupAck::Counted
            }
            Phase::Loss => DupAck::Ignored,
        }
    }

    /// An acknowledgement moved SND.UNA to `una` and acknowledged `acked` whole segments.
    pub fn on_ack(&mut self, una: Pos, acked: u32) -> NewAck {
        let below = self.recover.is_some_and(|recover| una < recover);
        match &mut self.phase {
            Phase::Fast { departed, partial } if below => {
                // Part of a segment tells nothing about the next one.
                if acked == 0 {
                    return NewAck::Within;
                }
                // One of the segments was the hole, the others had departed before. Like Linux; the RFC deflates cwnd
                // by the same amount, but lets it fall below the threshold.
                //= 6582#3.2
                *departed = departed.saturating_sub(acked - 1);
                let first = !*partial;
                *partial = true;
                NewAck::Partial { first }
            }
            Phase::Fast { .. } => {
                //= 6582#3.2
                self.phase = Phase::default();
                NewAck::Full
            }
            Phase::Loss if below => NewAck::Ordinary,
            Phase::Loss | Phase::Open { .. } => {
                self.phase = Phase::default();
                NewAck::Ordinary
            }
        }
    }

    /// The retransmission timer ran out; `nxt` is SND.NXT.
    pub fn on_timeout(&mut self, nxt: Pos) {
        //= 6582#4
        self.recover = Some(nxt);
        self.phase = Phase::Loss;
    }

    /// How many segments are in the network, of `in_flight` not acknowledged and `lost` held lost and not sent again.
    pub fn pipe(&self, in_flight: u32, lost: u32) -> u32 {
        in_flight.saturating_sub(lost).saturating_sub(self.departed())
    }

    /// How many more segments may go out now. The first segment, when it is to go again at once, does not ask.
    pub fn room(&self, cwnd: u32, in_flight: u32, lost: u32) -> u32 {
        cwnd.saturating_sub(self.pipe(in_flight, lost))
    }

    /// True during fast recovery.
    pub const fn is_fast(&self) -> bool {
        matches!(self.phase, Phase::Fast { .. })
    }

    /// True until everything in flight at the last timeout is acknowledged.
    pub const fn is_after_timeout(&self) -> bool {
        matches!(self.phase, Phase::Loss)
    }

    /// The phase as the kernel names it.
    pub const fn ca_state(&self) -> CaState {
        match self.phase {
            Phase::Open { dup_acks: 0, .. } => CaState::Open,
            Phase::Open { .. } => CaState::Disorder,
            Phase::Fast { .. } => CaState::Recovery,
            Phase::Loss => CaState::Loss,
        }
    }

    /// Where recovery ends: SND.NXT when the last loss was detected.
    pub const fn recover(&self) -> Option<Pos> {
        self.recover
    }

    /// Segments that have left the network without being acknowledged.
    fn departed(&self) -> u32 {
        match self.phase {
            //= 3042#2
            Phase::Open { dup_acks, .. } => dup_acks.min(LIMITED_TRANSMIT),
            Phase::Fast { departed, .. } => departed,
            Phase::Loss => 0,
        }
    }

    /// Duplicates may stem from what the last recovery sent again without need, until something that was first sent
    /// after it is acknowledged.
    fn may_enter(&self, una: Pos) -> bool {
        //= 6582#3.2
        //= 6582#4
        self.recover.is_none_or(|recover| una > recover)
    }
}

impl Default for Phase {
    fn default() -> Self {
        Phase::Open { dup_acks: 0, flight: 0 }
    }
}

/// RFC 5681 3.2: so many duplicates in a row mean loss, fewer may be reordering.
const DUP_THRESH: u32 = 3;

/// RFC 3042 2: so many segments beyond cwnd keep the acknowledgements coming until the third duplicate.
const LIMITED_TRANSMIT: u32 = 2;

#[cfg(test)]
mod tests {
    use super::super::cc::{Cc, CcKind, Sample};
    use super::super::config::Config;
    use super::super::ranges::Ranges;
    use super::*;
    use crate::time::Instant;
    use alloc::collections::VecDeque;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    /// A sender with segments of one byte, the rules above in the order in which a connection applies them, and a
    /// receiver that acknowledges each segment. The network keeps order and loses what the test names.
    struct Transfer {
        una: Pos,
        nxt: Pos,
        end: Pos,
        lost: bool,
        cc: Cc,
        recovery: Recovery,
        received: Ranges,
        wire: VecDeque<Pos>,
        drop: Vec<i64>,
        sent: Vec<i64>,
        resent: Vec<i64>,
    }

    impl Transfer {
        fn new(end: i64, window: u32, drop: &[i64]) -> Self {
            let mut transfer = Transfer {
                una: Pos(1),
                nxt: Pos(1),
                end: Pos(end),
                lost: false,
                cc: Cc::new(&Config { congestion: CcKind::Reno, ..Config::default() }, window),
                recovery: Recovery::default(),
                received: Ranges::new(),
                wire: VecDeque::new(),
                drop: drop.to_vec(),
                sent: Vec::new(),
                resent: Vec::new(),
            };
            transfer.send();
            transfer
        }

        fn in_flight(&self) -> u32 {
            self.nxt.since(self.una) as u32
        }

        fn send(&mut self) {
            if std::mem::take(&mut self.lost) {
                self.resent.push(self.una.0);
                self.wire.push_back(self.una);
            }
            while self.nxt < self.end && self.recovery.room(self.cc.cwnd(), self.in_flight(), 0) > 0 {
                self.sent.push(self.nxt.0);
                match self.drop.iter().position(|&pos| pos == self.nxt.0) {
                    Some(at) => drop(self.drop.remove(at)),
                    None => self.wire.push_back(self.nxt),
                }
                self.nxt += 1;
            }
        }

        /// The next segment arrives and its acknowledgement returns. False when the network is empty.
        fn step(&mut self) -> bool {
            let Some(pos) = self.wire.pop_front() else { return false };
            self.received.insert(pos, pos + 1);
            let ack = self.received.covering(Pos(1)).map_or(Pos(1), |(_, end)| end);
            let in_flight = self.in_flight();
            if ack == self.una {
                if let DupAck::FastRetransmit { flight } = self.recovery.on_dup_ack(self.una, self.nxt, in_flight) {
                    self.cc.on_loss(flight);
                    self.lost = true;
                }
            } else {
                let acked = ack.since(self.una) as u32;
                self.una = ack;
                match self.recovery.on_ack(ack, acked) {
                    NewAck::Ordinary => {
                        self.cc.on_ack(&Sample { acked, ..Sample::full(in_flight, Instant::ZERO) });
                    }
                    NewAck::Partial { .. } => self.lost = true,
                    NewAck::Within => {}
                    NewAck::Full => self.cc.on_recovery_exit(self.in_flight()),
                }
            }
            self.send();
            true
        }
    }

    #[test]
    fn the_third_duplicate_sends_the_lost_segment_at_once() {
        //= 5681#3.2
        let mut recovery = Recovery::default();
        assert_eq!(recovery.on_dup_ack(Pos(1), Pos(11), 10), DupAck::Counted);
        assert_eq!(recovery.on_dup_ack(Pos(1), Pos(12), 11), DupAck::Counted);
        assert!(!recovery.is_fast());
        assert_eq!(recovery.on_dup_ack(Pos(1), Pos(13), 12), DupAck::FastRetransmit { flight: 10 });
        assert_eq!((recovery.is_fast(), recovery.recover()), (true, Some(Pos(13))));
        assert_eq!(recovery.on_dup_ack(Pos(1), Pos(13), 12), DupAck::Counted);
    }

    #[test]
    fn an_acknowledgement_between_starts_the_count_again() {
        let mut recovery = Recovery::default();
        for una in [1, 2, 3, 4] {
            assert_eq!(recovery.on_dup_ack(Pos(una), Pos(20), 10), DupAck::Counted);
            assert_eq!(recovery.on_dup_ack(Pos(una), Pos(20), 10), DupAck::Counted);
            assert_eq!(recovery.on_ack(Pos(una + 1), 1), NewAck::Ordinary);
        }
    }

    #[test]
    fn limited_transmit_lets_two_segments_out_and_no_more() {
        //= 3042#2
        let mut recovery = Recovery::default();
        recovery.on_timeout(Pos(5));
        recovery.on_ack(Pos(5), 4);
        for room in [1, 2, 2, 2] {
            // SND.UNA is at the recovery point, so the duplicates do not start recovery.
            assert_eq!(recovery.on_dup_ack(Pos(5), Pos(15), 10), DupAck::Counted);
            assert_eq!(recovery.room(10, 10, 0), room);
        }
        assert_eq!(recovery.room(10, 12, 0), 0);
    }

    /// Segment 1 of ten is lost: the story of RFC 5681 3.2, step by step.
    #[test]
    fn one_loss_is_repaired_within_a_round_trip() {
        //= 5681#3.2
        let mut t = Transfer::new(100, 10, &[1]);
        assert_eq!((t.sent.len(), t.wire.len()), (10, 9));
        t.step();
        t.step();
        assert_eq!((t.sent.len(), t.resent.len()), (12, 0), "limited transmit");
        t.step();
        assert_eq!((t.sent.len(), t.resent.as_slice()), (12, &[1][..]), "fast retransmit");
        assert_eq!((t.cc.ssthresh(), t.cc.cwnd()), (5, 5));
        // 12 in flight less 3 departed: four more must depart before the pipe of 9 is below 5.
        for sent in [12, 12, 12, 12, 13, 14] {
            t.step();
            assert_eq!(t.sent.len(), sent);
        }
        // The two of limited transmit, then the retransmission: everything up to the recovery point.
        t.step();
        t.step();
        assert_eq!((t.una, t.recovery.is_fast()), (Pos(1), true));
        t.step();
        assert_eq!((t.una, t.recovery.is_fast(), t.cc.cwnd()), (Pos(13), false, 5));
        assert_eq!(t.resent, [1]);
    }

    #[test]
    fn partial_acknowledgements_repair_one_hole_each() {
        //= 6582#3.2
        let mut t = Transfer::new(100, 12, &[1, 4, 5, 9]);
        while t.step() {}
        assert_eq!((t.una, t.resent.as_slice()), (Pos(100), &[1, 4, 5, 9][..]));
    }

    #[test]
    fn only_the_first_partial_acknowledgement_restarts_the_timer() {
        //= 6582#3.2
        let mut recovery = Recovery::default();
        for _ in 0..3 {
            recovery.on_dup_ack(Pos(1), Pos(11), 10);
        }
        assert_eq!(recovery.on_ack(Pos(2), 0), NewAck::Within);
        assert_eq!(recovery.on_ack(Pos(4), 3), NewAck::Partial { first: true });
        assert_eq!(recovery.on_ack(Pos(6), 2), NewAck::Partial { first: false });
        assert_eq!(recovery.on_ack(Pos(11), 5), NewAck::Full);
    }

    #[test]
    fn a_timeout_ends_recovery_and_its_duplicates_start_none() {
        //= 6582#4
        let mut recovery = Recovery::default();
        for _ in 0..3 {
            recovery.on_dup_ack(Pos(1), Pos(11), 10);
        }
        recovery.on_timeout(Pos(11));
        assert_eq!((recovery.is_fast(), recovery.is_after_timeout()), (false, true));
        assert_eq!(recovery.pipe(10, 10), 0, "everything is held lost");
        for _ in 0..5 {
            assert_eq!(recovery.on_dup_ack(Pos(1), Pos(11), 10), DupAck::Ignored);
        }
        assert_eq!(recovery.on_ack(Pos(5), 4), NewAck::Ordinary, "slow start");
        assert!(recovery.is_after_timeout());
        assert_eq!(recovery.on_ack(Pos(11), 6), NewAck::Ordinary);
        assert!(!recovery.is_after_timeout());
        for _ in 0..5 {
            assert_eq!(recovery.on_dup_ack(Pos(11), Pos(20), 9), DupAck::Counted, "at the recovery point");
        }
        recovery.on_ack(Pos(12), 1);
        recovery.on_dup_ack(Pos(12), Pos(20), 8);
        recovery.on_dup_ack(Pos(12), Pos(20), 8);
        assert_eq!(recovery.on_dup_ack(Pos(12), Pos(20), 8), DupAck::FastRetransmit { flight: 8 }, "beyond it");
    }

    #[test]
    fn invented_duplicates_do_not_empty_the_pipe_for_ever() {
        let mut recovery = Recovery::default();
        for _ in 0..1000 {
            recovery.on_dup_ack(Pos(1), Pos(11), 10);
        }
        assert_eq!(recovery.room(5, 10, 0), 5, "never more than cwnd");
        assert_eq!(recovery.room(5, 20, 0), 0, "and what they let out counts");
    }

    proptest! {
        /// Whatever of the first window is lost, as long as three duplicates can tell: each hole is sent again once,
        /// nothing else is, and everything arrives without a timeout (I-23, I-26).
        #[test]
        fn every_hole_is_repaired_once(window in 8..40_u32, holes in proptest::collection::btree_set(1..40_i64, 1..8)) {
            let holes: Vec<i64> = holes.into_iter().filter(|&hole| hole <= i64::from(window) - 3).collect();
            prop_assume!(!holes.is_empty());
            prop_assume!(i64::from(window) - holes[0] - holes.len() as i64 + 1 >= 3);
            let mut t = Transfer::new(400, window, &holes);
            let mut decreases = 0;
            let mut recovering = false;
            while t.step() {
                decreases += u32::from(t.recovery.is_fast() && !recovering);
                recovering = t.recovery.is_fast();
                prop_assert!(t.in_flight() >= t.recovery.pipe(t.in_flight(), 0));
            }
            prop_assert_eq!((t.una, decreases), (Pos(400), 1));
            prop_assert_eq!(t.resent, holes);
        }
    }
}
