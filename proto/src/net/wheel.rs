//! A hierarchical timing wheel: any number of deadlines, armed, moved and cancelled in constant time.
//!
//! Sections: none of an RFC's; Varghese and Lauck, "Hashed and Hierarchical Timing Wheels" (1987), scheme 7.
//! In: deadlines with the record that each belongs to; the time.
//! Out: the records that are due, earliest first; the exact instant of the next one.

use alloc::vec::Vec;
use core::cell::Cell;

use crate::time::Instant;

/// Deadlines, each with a key that says whose it is.
///
/// The 64 bits of an instant are cut into eleven digits of six bits. A deadline lies on the level of the highest digit
/// in which it differs from `elapsed`, in the slot which that digit names. The lowest occupied slot of the lowest
/// occupied level therefore holds the earliest deadline; when time reaches that slot, its deadlines move down. The
/// lowest level counts single nanoseconds, so no deadline is ever rounded.
#[derive(Clone, Debug)]
pub(crate) struct Wheel<K> {
    /// No deadline before this one is left on the levels above the lowest. Never goes back.
    elapsed: u64,
    nodes: Vec<Node<K>>,
    /// The first of the unused nodes.
    free: u32,
    len: usize,
    /// One bit per slot and level: it holds something.
    occupied: [u64; LEVELS],
    slots: Vec<Slot>,
}

/// Names an armed deadline. It belongs to one record, which gives it back by [`Wheel::cancel`] or when it is due.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct TimerId(u32);

#[derive(Clone, Debug)]
struct Node<K> {
    at: u64,
    previous: u32,
    next: u32,
    /// Level and slot, as an index into `slots`.
    place: u16,
    key: K,
}

/// A list of nodes. Timers of one kind are armed in the order in which they are due, so that keeping the list sorted
/// costs a look or two at its end; a list in which that fails is left as it is, equals in the order of arming.
#[derive(Clone, Debug)]
struct Slot {
    first: u32,
    last: u32,
    is_sorted: bool,
    /// The earliest deadline of a list that is not sorted, once somebody has looked for it.
    earliest: Cell<Option<u64>>,
}

impl<K: Copy> Wheel<K> {
    pub(crate) fn new(now: Instant) -> Self {
        let empty = Slot { first: NIL, last: NIL, is_sorted: true, earliest: Cell::new(None) };
        Wheel {
            elapsed: now.as_nanos(),
            nodes: Vec::new(),
            free: NIL,
            len: 0,
            occupied: [0; LEVELS],
            slots: alloc::vec![empty; LEVELS * SLOTS],
        }
    }

    /// How many deadlines are armed.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Arms `timer` for `at`, or moves it there. An instant that has passed is due at once.
    pub(crate) fn arm(&mut self, timer: &mut Option<TimerId>, key: K, at: Instant) {
        let at = at.as_nanos();
        let index = match *timer {
            Some(TimerId(index)) if self.nodes[index as usize].at == at => return,
            Some(TimerId(index)) => {
                self.unlink(index);
                self.nodes[index as usize].at = at;
                index
            }
            None => self.allocate(Node { at, previous: NIL, next: NIL, place: 0, key }),
        };
        self.link(index);
        *timer = Some(TimerId(index));
    }

    /// Forgets `timer`, if it is armed.
    pub(crate) fn cancel(&mut self, timer: &mut Option<TimerId>) {
        if let Some(TimerId(index)) = timer.take() {
            self.unlink(index);
            self.release(index);
        }
    }

    /// The earliest deadline, exactly.
    pub(crate) fn next(&self) -> Option<Instant> {
        let (level, slot) = self.first()?;
        let slot = &self.slots[level * SLOTS + slot];
        if slot.is_sorted {
            return Some(Instant::from_nanos(self.nodes[slot.first as usize].at));
        }
        let earliest = slot.earliest.get().or_else(|| {
            let mut earliest = None;
            let mut index = slot.first;
            while index != NIL {
                let node = &self.nodes[index as usize];
                earliest = Some(earliest.map_or(node.at, |at: u64| at.min(node.at)));
                index = node.next;
            }
            slot.earliest.set(earliest);
            earliest
        });
        earliest.map(Instant::from_nanos)
    }

    /// Takes out the earliest deadline that is due at `now`. Its [`TimerId`] is void from here on.
    pub(crate) fn expire(&mut self, now: Instant) -> Option<K> {
        let now = now.as_nanos();
        while let Some((level, slot)) = self.first()
            && self.start(level, slot) <= now
        {
            if level == 0 {
                let index = self.slots[slot].first;
                let key = self.nodes[index as usize].key;
                self.unlink(index);
                self.release(index);
                return Some(key);
            }
            self.elapsed = self.start(level, slot);
            self.cascade(level * SLOTS + slot);
        }
        self.elapsed = self.elapsed.max(now);
        None
    }

    /// Spreads a slot over the levels below; `elapsed` has just reached its start.
    fn cascade(&mut self, place: usize) {
        let mut index = self.slots[place].first;
        while index != NIL {
            let next = self.nodes[index as usize].next;
            self.unlink(index);
            self.link(index);
            index = next;
        }
    }

    /// The slot that holds the earliest deadline: on a level, digits before that of `elapsed` are never in use.
    fn first(&self) -> Option<(usize, usize)> {
        let level = self.occupied.iter().position(|&slots| slots != 0)?;
        Some((level, self.occupied[level].trailing_zeros() as usize))
    }

    /// The earliest instant that a slot stands for.
    fn start(&self, level: usize, slot: usize) -> u64 {
        let shift = level * DIGIT;
        let above = u64::MAX.checked_shl(u32::try_from(shift + DIGIT).unwrap_or(u32::MAX)).unwrap_or(0);
        (self.elapsed & above) | ((slot as u64) << shift)
    }

    fn link(&mut self, index: u32) {
        let at = self.nodes[index as usize].at;
        let position = at.max(self.elapsed);
        let level = (63 - ((position ^ self.elapsed) | 1).leading_zeros() as usize) / DIGIT;
        let digit = (position >> (level * DIGIT)) % (SLOTS as u64);
        let slot = usize::try_from(digit).expect("six bits");
        let place = level * SLOTS + slot;

        let previous = self.place_within(place, at);
        let list = &mut self.slots[place];
        if let Some(earliest) = list.earliest.get_mut() {
            *earliest = at.min(*earliest);
        }
        let next = if previous == NIL {
            core::mem::replace(&mut list.first, index)
        } else {
            core::mem::replace(&mut self.nodes[previous as usize].next, index)
        };
        if next == NIL {
            list.last = index;
        } else {
            self.nodes[next as usize].previous = index;
        }
        let node = &mut self.nodes[index as usize];
        (node.previous, node.next) = (previous, next);
        node.place = u16::try_from(place).expect("there are 704 places");
        self.occupied[level] |= 1 << slot;
    }

    /// The node after which a deadline belongs: the last one that is not later, if that is near the end of a sorted
    /// list, else the last one.
    fn place_within(&mut self, place: usize, at: u64) -> u32 {
        let last = self.slots[place].last;
        if self.slots[place].is_sorted {
            let mut previous = last;
            for _ in 0..MAX_LOOKS {
                if previous == NIL || self.nodes[previous as usize].at <= at {
                    return previous;
                }
                previous = self.nodes[previous as usize].previous;
            }
            self.slots[place].is_sorted = false;
            self.slots[place].earliest.set(None);
        }
        last
    }

    fn unlink(&mut self, index: u32) {
        let Node { at, previous, next, place, .. } = self.nodes[index as usize];
        let place = usize::from(place);
        let list = &mut self.slots[place];
        if previous == NIL {
            list.first = next;
        } else {
            self.nodes[previous as usize].next = next;
        }
        if next == NIL {
            list.last = previous;
        } else {
            self.nodes[next as usize].previous = previous;
        }
        if list.earliest.get() == Some(at) {
            list.earliest.set(None);
        }
        if list.first == NIL {
            list.is_sorted = true;
            self.occupied[place / SLOTS] &= !(1 << (place % SLOTS));
        }
    }

    fn allocate(&mut self, node: Node<K>) -> u32 {
        self.len += 1;
        if self.free == NIL {
            self.nodes.push(node);
            return u32::try_from(self.nodes.len() - 1).expect("memory ends before 2^32 deadlines do");
        }
        let index = self.free;
        self.free = self.nodes[index as usize].next;
        self.nodes[index as usize] = node;
        index
    }

    fn release(&mut self, index: u32) {
        self.nodes[index as usize].next = self.free;
        self.free = index;
        self.len -= 1;
    }
}

/// Bits per digit.
const DIGIT: usize = 6;
/// Slots per level: the values of a digit.
const SLOTS: usize = 1 << DIGIT;
/// Digits of a 64-bit instant.
const LEVELS: usize = 64_usize.div_ceil(DIGIT);
/// How far from the end of a sorted list a new deadline may belong.
const MAX_LOOKS: usize = 8;
/// The end of a list.
const NIL: u32 = u32::MAX;

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeMap;
    use proptest::prelude::*;

    #[derive(Clone, Debug)]
    enum Step {
        Arm(u8, u64),
        Cancel(u8),
        Advance(u64),
    }

    /// Spans of every magnitude: most timers are near, some are hours away, a few are as far as the clock goes.
    fn span() -> impl Strategy<Value = u64> {
        (0_u32..64, any::<u64>()).prop_map(|(bits, x)| x >> (63 - bits))
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (any::<u8>(), span()).prop_map(|(key, after)| Step::Arm(key % 32, after)),
            1 => any::<u8>().prop_map(|key| Step::Cancel(key % 32)),
            2 => span().prop_map(Step::Advance),
        ]
    }

    proptest! {
        /// Against the plainest model there is: a sorted map.
        #[test]
        fn deadlines_are_exact_and_come_in_order(origin in span(), steps in prop::collection::vec(step(), 1..200)) {
            let mut now = origin;
            let mut wheel = Wheel::new(Instant::from_nanos(now));
            let mut timers = [None; 32];
            let mut model: BTreeMap<u8, u64> = BTreeMap::new();
            for step in steps {
                match step {
                    Step::Arm(key, after) => {
                        let at = now.saturating_add(after);
                        wheel.arm(&mut timers[usize::from(key)], key, Instant::from_nanos(at));
                        model.insert(key, at);
                    }
                    Step::Cancel(key) => {
                        wheel.cancel(&mut timers[usize::from(key)]);
                        model.remove(&key);
                    }
                    Step::Advance(by) => {
                        now = now.saturating_add(by);
                        let mut before = 0;
                        while let Some(key) = wheel.expire(Instant::from_nanos(now)) {
                            timers[usize::from(key)] = None;
                            let at = model.remove(&key).expect("only what is armed comes out");
                            prop_assert!(before <= at && at <= now, "{before} {at} {now}");
                            before = at;
                        }
                    }
                }
                prop_assert_eq!(wheel.len(), model.len());
                prop_assert_eq!(wheel.next().map(Instant::as_nanos), model.values().min().copied());
            }
        }
    }

    #[test]
    fn equal_deadlines_come_in_the_order_of_arming() {
        let mut wheel = Wheel::new(Instant::ZERO);
        for key in 0..5 {
            wheel.arm(&mut None, key, Instant::from_nanos(1_000_000));
        }
        let due = Instant::from_nanos(1_000_000);
        assert_eq!(wheel.expire(Instant::from_nanos(999_999)), None);
        assert!(core::iter::from_fn(|| wheel.expire(due)).eq(0..5));
    }

    #[test]
    fn a_passed_instant_is_due_at_once_and_reported_as_it_is() {
        let mut wheel = Wheel::new(Instant::from_nanos(500));
        wheel.arm(&mut None, 'a', Instant::from_nanos(20));
        assert_eq!(wheel.next(), Some(Instant::from_nanos(20)));
        assert_eq!(wheel.expire(Instant::from_nanos(500)), Some('a'));
        assert_eq!(wheel.next(), None);
    }

    /// The cost of the next deadline does not depend on how many others there are: with TIME-WAIT records at their cap
    /// every new one takes the place of the earliest; and a busy connection moves its keep-alive timer to the end.
    #[test]
    fn timers_of_one_kind_stay_sorted() {
        let mut wheel = Wheel::new(Instant::ZERO);
        let mut timers = [None; 1000];
        for round in 0..10_000 {
            let key = round % timers.len();
            wheel.cancel(&mut timers[key]);
            wheel.arm(&mut timers[key], key, Instant::from_nanos(60_000_000_000 + round as u64));
        }
        assert!(wheel.slots.iter().all(|slot| slot.is_sorted));
        assert_eq!(wheel.next(), Some(Instant::from_nanos(60_000_009_000)));
    }

    #[test]
    fn nodes_are_used_again() {
        let mut wheel = Wheel::new(Instant::ZERO);
        for round in 0_u64..1000 {
            let mut timer = None;
            wheel.arm(&mut timer, (), Instant::from_nanos(round + 60_000_000_000));
            wheel.cancel(&mut timer);
        }
        assert_eq!((wheel.len(), wheel.nodes.len()), (0, 1));
    }
}
