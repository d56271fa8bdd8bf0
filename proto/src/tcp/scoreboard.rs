//! The peer's SACK blocks, read with suspicion.
//!
//! Sections: RFC 2018 3 to 5 and 8; RFC 2883 4 and 5; RFC 6675 3.
//! In: the blocks of one acknowledgement as they stand on the wire, and how far the connection has come.
//! Out: ranges that may be marked in the list of what is in flight, and the duplicate that the peer reports.
//!
//! A receiver that holds data beyond a gap names up to four ranges of it with each acknowledgement, the newest first.
//! The sender keeps them as marks on its own records of what is in flight, so the memory of what the peer has said can
//! never be larger than what we have said ourselves. What a block may claim is checked at both of its ends: nothing
//! before SND.UNA can be held beyond a gap, and nothing behind SND.NXT can have arrived.
//!
//! The first block may be a D-SACK instead: it lies before the acknowledgement number, or within the second block, and
//! says that something arrived twice. That is a retransmission that was not needed, or a copy that the network made.
//! Who counts its own retransmissions can tell: more reported duplicates than retransmissions are the network's.
//!
//! A receiver may drop what it has SACKed, if it is short of memory (it should not). It is found out when the number
//! that it acknowledges stands at the start of something it once SACKed: then every mark is worth nothing.

use arrayvec::ArrayVec;

use crate::wire::{Pos, SackBlock, Space};

/// What the blocks of one acknowledgement say, as far as they can be true.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Report {
    /// Ranges that the peer holds beyond a gap, newest first; cut to what is in flight.
    pub held: ArrayVec<(Pos, Pos), 4>,
    /// A range that arrived twice.
    pub duplicate: Option<(Pos, Pos)>,
}

/// How far a connection has come: what the blocks are checked against.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Extent {
    /// SND.UNA before this acknowledgement.
    pub una: Pos,
    /// SND.NXT.
    pub nxt: Pos,
    /// SEG.ACK.
    pub ack: Pos,
    /// MAX.SND.WND: nobody can have kept a range longer than this, nor remember one that is further back.
    pub max_wnd: u32,
}

impl Report {
    /// Reads the blocks of an acknowledgement that is itself acceptable.
    pub fn new(blocks: &[SackBlock], space: Space, extent: Extent) -> Self {
        let mut report = Report::default();
        let range = |block: &SackBlock| (space.pos(block.start, extent.ack), space.pos(block.end, extent.ack));
        let mut ranges: ArrayVec<(Pos, Pos), 4> = blocks.iter().take(4).map(range).collect();
        if let Some(&first) = ranges.first()
            && is_duplicate(first, ranges.get(1), extent.ack)
        {
            ranges.remove(0);
            report.duplicate = Some(first).filter(|&range| extent.may_have_come_twice(range));
        }
        let held = ranges.into_iter().filter(|&range| extent.may_hold(range));
        report.held = held.map(|(start, end)| (start.max(extent.una.max(extent.ack)), end)).collect();
        report.held.retain(|(start, end)| start < end);
        report
    }
}

impl Extent {
    /// A block beyond a gap: between SND.UNA and SND.NXT, and not empty.
    fn may_hold(&self, (start, end): (Pos, Pos)) -> bool {
        //= 2018#3
        start < end && end <= self.nxt && self.una <= start
    }

    /// A range that arrived twice: no longer than any window, and not so old that the peer would have forgotten it.
    fn may_have_come_twice(&self, (start, end): (Pos, Pos)) -> bool {
        //= 2883#4
        let window = u64::from(self.max_wnd);
        let oldest = Pos::FIRST.max(self.una - window);
        start < end && end <= self.nxt && oldest <= start && end.since(start) <= window
    }
}

/// Whether the first block is a D-SACK: it lies before the acknowledgement number, or within the second block.
fn is_duplicate(first: (Pos, Pos), second: Option<&(Pos, Pos)>, ack: Pos) -> bool {
    //= 2883#4
    first.0 < ack || second.is_some_and(|second| second.0 <= first.0 && first.1 <= second.1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Seq;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    type Range = (i64, i64);

    const ISS: Seq = Seq(u32::MAX - 20);
    const EXTENT: Extent = Extent { una: Pos(1001), nxt: Pos(5001), ack: Pos(1001), max_wnd: 8000 };

    fn block(start: i64, end: i64) -> SackBlock {
        SackBlock { start: Space::new(ISS).seq(Pos(start)), end: Space::new(ISS).seq(Pos(end)) }
    }

    fn report(blocks: &[(i64, i64)], extent: Extent) -> (Vec<Range>, Option<Range>) {
        let blocks: Vec<_> = blocks.iter().map(|&(start, end)| block(start, end)).collect();
        let report = Report::new(&blocks, Space::new(ISS), extent);
        let plain = |(start, end): (Pos, Pos)| (start.0, end.0);
        (report.held.into_iter().map(plain).collect(), report.duplicate.map(plain))
    }

    //= 2018#3
    #[test]
    fn a_block_is_checked_at_both_ends() {
        for (start, end, good) in [
            (1001, 1002, true),
            (2001, 3001, true),
            (5000, 5001, true),
            (4001, 5002, false),
            (3001, 3001, false),
            (3001, 2001, false),
            (5001, 6001, false),
            (1001 + (1 << 31), 1002 + (1 << 31), false),
        ] {
            let (held, duplicate) = report(&[(start, end)], EXTENT);
            assert_eq!((held.len(), duplicate), (usize::from(good), None), "{start}..{end}");
        }
    }

    /// RFC 2883 4.1 and 4.2: the block before the number, the block within the block that follows.
    //= 2883#4
    #[test]
    fn a_duplicate_is_told_from_what_is_held() {
        let acked = Extent { ack: Pos(3001), ..EXTENT };
        assert_eq!(report(&[(2001, 3001)], acked), (Vec::new(), Some((2001, 3001))));
        assert_eq!(report(&[(501, 601)], EXTENT), (Vec::new(), Some((501, 601))), "long acknowledged");
        let twice = report(&[(2001, 3001), (2001, 4001)], EXTENT);
        assert_eq!(twice, (Vec::from([(2001, 4001)]), Some((2001, 3001))));
        let newest = report(&[(3001, 4001), (1501, 2001)], EXTENT);
        assert_eq!(newest, (Vec::from([(3001, 4001), (1501, 2001)]), None));
    }

    #[test]
    fn no_duplicate_is_older_or_longer_than_a_window() {
        let far = Extent { una: Pos(100_001), nxt: Pos(104_001), ack: Pos(100_001), max_wnd: 8000 };
        for (start, end, good) in
            [(92_001, 93_001, true), (92_000, 93_001, false), (96_001, 104_001, true), (95_000, 104_001, false)]
        {
            assert_eq!(report(&[(start, end)], far).1.is_some(), good, "{start}..{end}");
        }
        assert_eq!(report(&[(0, 10)], EXTENT).1, None, "no data is that old");
    }

    proptest! {
        /// Whatever the blocks say, what comes of them lies in flight.
        #[test]
        fn nothing_comes_of_lies(blocks in proptest::collection::vec((any::<u32>(), any::<u32>()), 0..5), ack in 1001..5001_i64) {
            let extent = Extent { ack: Pos(ack), ..EXTENT };
            let blocks: Vec<_> =
                blocks.into_iter().map(|(start, end)| SackBlock { start: Seq(start), end: Seq(end) }).collect();
            let report = Report::new(&blocks, Space::new(ISS), extent);
            for (start, end) in report.held {
                prop_assert!(extent.ack <= start && start < end && end <= extent.nxt);
            }
            if let Some((start, end)) = report.duplicate {
                prop_assert!(Pos::FIRST <= start && start < end && end <= extent.nxt);
            }
        }
    }
}
