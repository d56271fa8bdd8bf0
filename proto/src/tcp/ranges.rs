//! Sets of positions as sorted ranges: one structure for reassembly, for SACK and for the analysis of captures.
//!
//! Sections: RFC 2018 3 and 4 (what a receiver holds beyond its cumulative acknowledgement).
//! In: half-open ranges of positions, in any order, overlapping or not.
//! Out: the same set as the fewest disjoint ranges, in order.

use alloc::vec::Vec;

use crate::wire::Pos;

/// A set of positions, kept as sorted, disjoint, non-empty, non-touching half-open ranges `[start, end)`.
///
/// Finding is a binary search; inserting and removing also move the ranges behind the place. Whoever lets a peer
/// choose the ranges bounds their number.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Ranges {
    ranges: Vec<(Pos, Pos)>,
}

impl Ranges {
    /// The empty set; it owns no memory.
    pub const fn new() -> Self {
        Ranges { ranges: Vec::new() }
    }

    /// True if no position is in the set.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// How many ranges the set consists of.
    pub fn len(&self) -> usize {
        self.ranges.len()
    }

    /// How many positions are in the set.
    pub fn bytes(&self) -> u64 {
        self.iter().map(|(start, end)| end.since(start)).sum()
    }

    /// Behind the last position of the set.
    pub fn end(&self) -> Option<Pos> {
        self.ranges.last().map(|&(_, end)| end)
    }

    /// The ranges, in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (Pos, Pos)> + ExactSizeIterator + Clone + '_ {
        self.ranges.iter().copied()
    }

    /// True if `pos` is in the set.
    pub fn contains(&self, pos: Pos) -> bool {
        self.covering(pos).is_some()
    }

    /// The range in which `pos` lies.
    pub fn covering(&self, pos: Pos) -> Option<(Pos, Pos)> {
        self.first_beyond(pos).filter(|&(start, _)| start <= pos)
    }

    /// The first range that shares a position with `[start, end)`, whole.
    pub fn overlaps(&self, start: Pos, end: Pos) -> Option<(Pos, Pos)> {
        self.first_beyond(start).filter(|&(held, _)| held < end && start < end)
    }

    /// True if every position of `[start, end)` is in the set.
    pub fn covers(&self, start: Pos, end: Pos) -> bool {
        start >= end || self.covering(start).is_some_and(|(_, held_end)| held_end >= end)
    }

    /// Adds `[start, end)` and returns the range in which it now lies, joined with all that it overlaps or touches.
    /// An empty range adds nothing and comes back as it is.
    pub fn insert(&mut self, start: Pos, end: Pos) -> (Pos, Pos) {
        if start >= end {
            return (start, end);
        }
        let first = self.ranges.partition_point(|&(_, held_end)| held_end < start);
        let behind = self.ranges.partition_point(|&(held_start, _)| held_start <= end);
        let joined = self.ranges.get(first..behind).unwrap_or_default();
        let merged = (
            joined.first().map_or(start, |&(held_start, _)| held_start.min(start)),
            joined.last().map_or(end, |&(_, held_end)| held_end.max(end)),
        );
        self.replace(first, behind, [Some(merged), None]);
        merged
    }

    /// Takes `[start, end)` out of the set; ranges that it cuts keep their rest on either side.
    pub fn remove(&mut self, start: Pos, end: Pos) {
        if start >= end {
            return;
        }
        let first = self.ranges.partition_point(|&(_, held_end)| held_end <= start);
        let behind = self.ranges.partition_point(|&(held_start, _)| held_start < end);
        let cut = self.ranges.get(first..behind).unwrap_or_default();
        let left = cut.first().map(|&(held_start, _)| (held_start, start)).filter(|&(s, e)| s < e);
        let right = cut.last().map(|&(_, held_end)| (end, held_end)).filter(|&(s, e)| s < e);
        self.replace(first, behind, [left, right]);
    }

    /// Takes everything before `pos` out of the set.
    pub fn remove_before(&mut self, pos: Pos) {
        let gone = self.ranges.partition_point(|&(_, end)| end <= pos);
        self.ranges.drain(..gone);
        if let Some((start, _)) = self.ranges.first_mut() {
            *start = pos.max(*start);
        }
    }

    /// The first range that ends behind `pos`.
    fn first_beyond(&self, pos: Pos) -> Option<(Pos, Pos)> {
        let index = self.ranges.partition_point(|&(_, end)| end <= pos);
        self.ranges.get(index).copied()
    }

    /// Puts up to two ranges in the place of those from index `first` up to `behind`.
    fn replace(&mut self, first: usize, behind: usize, with: [Option<(Pos, Pos)>; 2]) {
        self.ranges.splice(first..behind.max(first), with.into_iter().flatten());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rangemap::RangeSet;

    fn ranges(list: &[(i64, i64)]) -> Ranges {
        let mut set = Ranges::new();
        for &(start, end) in list {
            set.insert(Pos(start), Pos(end));
        }
        set
    }

    fn plain(set: &Ranges) -> Vec<(i64, i64)> {
        set.iter().map(|(start, end)| (start.0, end.0)).collect()
    }

    /// One row per way in which a new range can lie beside the old ones.
    #[test]
    fn inserting_joins_what_overlaps_or_touches() {
        for (insert, merged, after) in [
            ((1, 5), (1, 5), &[(1, 5), (10, 20), (30, 40)][..]),
            ((1, 10), (1, 20), &[(1, 20), (30, 40)]),
            ((5, 15), (5, 20), &[(5, 20), (30, 40)]),
            ((12, 15), (10, 20), &[(10, 20), (30, 40)]),
            ((20, 30), (10, 40), &[(10, 40)]),
            ((21, 29), (21, 29), &[(10, 20), (21, 29), (30, 40)]),
            ((0, 50), (0, 50), &[(0, 50)]),
            ((40, 41), (30, 41), &[(10, 20), (30, 41)]),
            ((7, 7), (7, 7), &[(10, 20), (30, 40)]),
            ((9, 3), (9, 3), &[(10, 20), (30, 40)]),
        ] {
            let mut set = ranges(&[(10, 20), (30, 40)]);
            assert_eq!(set.insert(Pos(insert.0), Pos(insert.1)), (Pos(merged.0), Pos(merged.1)), "insert {insert:?}");
            assert_eq!(plain(&set), after, "insert {insert:?}");
        }
    }

    #[test]
    fn removing_leaves_the_rest_on_either_side() {
        for (remove, after) in [
            ((12, 15), &[(10, 12), (15, 20), (30, 40)][..]),
            ((10, 20), &[(30, 40)]),
            ((15, 35), &[(10, 15), (35, 40)]),
            ((20, 30), &[(10, 20), (30, 40)]),
            ((0, 50), &[]),
            ((33, 31), &[(10, 20), (30, 40)]),
        ] {
            let mut set = ranges(&[(10, 20), (30, 40)]);
            set.remove(Pos(remove.0), Pos(remove.1));
            assert_eq!(plain(&set), after, "remove {remove:?}");
        }
    }

    #[test]
    fn questions_are_answered_at_both_edges() {
        let set = ranges(&[(10, 20), (30, 40)]);
        assert_eq!(set.covering(Pos(9)), None);
        assert_eq!(set.covering(Pos(10)), Some((Pos(10), Pos(20))));
        assert_eq!(set.covering(Pos(19)), Some((Pos(10), Pos(20))));
        assert_eq!(set.covering(Pos(20)), None);
        assert_eq!(set.overlaps(Pos(20), Pos(30)), None);
        assert_eq!(set.overlaps(Pos(20), Pos(31)), Some((Pos(30), Pos(40))));
        assert_eq!(set.overlaps(Pos(15), Pos(15)), None);
        assert!(set.covers(Pos(30), Pos(40)) && !set.covers(Pos(30), Pos(41)) && set.covers(Pos(7), Pos(7)));
        assert_eq!((set.len(), set.bytes(), set.end()), (2, 20, Some(Pos(40))));
    }

    #[derive(Clone, Debug)]
    enum Step {
        Insert(i64, i64),
        Remove(i64, i64),
        RemoveBefore(i64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (0..200_i64, 1..30_i64).prop_map(|(start, len)| Step::Insert(start, start + len)),
            2 => (0..200_i64, 1..30_i64).prop_map(|(start, len)| Step::Remove(start, start + len)),
            1 => (0..100_i64).prop_map(Step::RemoveBefore),
        ]
    }

    proptest! {
        /// Whatever the order of steps, the set is the one that an independent implementation holds.
        #[test]
        fn agrees_with_rangemap(steps in proptest::collection::vec(step(), 0..60)) {
            let mut set = Ranges::new();
            let mut model = RangeSet::new();
            for step in steps {
                match step {
                    Step::Insert(start, end) => {
                        let merged = set.insert(Pos(start), Pos(end));
                        model.insert(start..end);
                        let expected = model.get(&start).cloned();
                        prop_assert_eq!(Some(merged.0.0..merged.1.0), expected);
                    }
                    Step::Remove(start, end) => {
                        set.remove(Pos(start), Pos(end));
                        model.remove(start..end);
                    }
                    Step::RemoveBefore(pos) => {
                        set.remove_before(Pos(pos));
                        if pos > 0 {
                            model.remove(0..pos);
                        }
                    }
                }
                prop_assert_eq!(plain(&set), model.iter().map(|r| (r.start, r.end)).collect::<Vec<_>>());
                for pos in 0..240 {
                    prop_assert_eq!(set.contains(Pos(pos)), model.contains(&pos));
                    let first = model.overlapping(pos..pos + 7).next().map(|r| (Pos(r.start), Pos(r.end)));
                    prop_assert_eq!(set.overlaps(Pos(pos), Pos(pos + 7)), first);
                }
            }
        }
    }
}
