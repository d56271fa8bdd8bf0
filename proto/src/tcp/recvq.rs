//! The receive queue: what is in order and waits for the application, and what came early.
//!
//! Sections: RFC 9293 3.10.7.4 (seventh step: the segment text), RFC 2018 4, RFC 2883 4, RFC 5681 4.2.
//! In: payload at its position, in any order, overlapping or not.
//! Out: the stream, in order and once; what to tell the sender by SACK and D-SACK.

use alloc::collections::BTreeMap;
use core::fmt;
use core::hash::{Hash, Hasher};

use arrayvec::ArrayVec;
use bytes::{Buf, Bytes};

use super::bytequeue::{ByteQueue, distance, hash_bytes};
use super::ranges::Ranges;
use crate::wire::Pos;

/// Everything received and not yet read. The first byte accepted for a position is the byte: what overlaps it later
/// is ignored, so nobody can rewrite the stream. Two queues are equal when their bytes are, however they were cut.
#[derive(Clone)]
pub struct RecvQueue {
    /// In order, up to RCV.NXT.
    ready: ByteQueue<SLAB>,
    /// Beyond RCV.NXT: disjoint pieces by position.
    early: BTreeMap<Pos, Bytes>,
    /// The positions in `early`, joined.
    held: Ranges,
    /// A position in each of the ranges that arrivals touched last, newest first.
    recent: ArrayVec<Pos, SACK_BLOCKS>,
    early_memory: usize,
}

/// What an arriving piece of payload did.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Inserted {
    /// Bytes that were not held before.
    pub new_bytes: usize,
    /// How far RCV.NXT moved.
    pub advanced: u64,
    /// The first part of it that was held already, for D-SACK.
    pub duplicate: Option<(Pos, Pos)>,
    /// It filled the first gap, wholly or in part.
    pub filled_gap: bool,
    /// It lies beyond RCV.NXT.
    pub out_of_order: bool,
    /// It opened one range too many and was not kept.
    pub refused: bool,
}

impl RecvQueue {
    /// An empty queue that expects the byte at `rcv_nxt`.
    pub fn new(rcv_nxt: Pos) -> Self {
        RecvQueue {
            ready: ByteQueue::new(rcv_nxt),
            early: BTreeMap::new(),
            held: Ranges::new(),
            recent: ArrayVec::new(),
            early_memory: 0,
        }
    }

    /// Takes in payload that starts at `at`. The caller has trimmed it to the window.
    pub fn insert(&mut self, at: Pos, mut payload: Bytes) -> Inserted {
        let rcv_nxt = self.rcv_nxt();
        let end = at + payload.len() as u64;
        let start = at.max(rcv_nxt);
        let mut inserted = Inserted { duplicate: self.first_held(at, end), ..Inserted::default() };
        if start >= end {
            return inserted;
        }
        inserted.out_of_order = start > rcv_nxt;
        if inserted.out_of_order && !self.may_hold(start, end) {
            inserted.refused = true;
            return inserted;
        }
        inserted.filled_gap = !inserted.out_of_order && !self.held.is_empty();
        let backing = payload.len();
        payload.advance(distance(at, start));
        if inserted.out_of_order || self.held.overlaps(start, end + 1).is_some() {
            inserted.new_bytes = self.hold(start, &payload, backing);
            self.join();
        } else {
            inserted.new_bytes = payload.len();
            self.append(payload, backing);
        }
        inserted.advanced = self.rcv_nxt().since(rcv_nxt);
        inserted
    }

    /// The position of the next byte in order.
    pub const fn rcv_nxt(&self) -> Pos {
        self.ready.end()
    }

    /// Bytes that can be read now.
    pub fn readable(&self) -> usize {
        self.ready.len()
    }

    /// Moves bytes in order into `out` and returns how many.
    pub fn read(&mut self, out: &mut [u8]) -> usize {
        let n = self.ready.copy_to(out);
        self.ready.discard_to(self.ready.start() + n as u64);
        n
    }

    /// Copies bytes in order into `out`, the first `skip` of them left out, and leaves all of them queued.
    pub fn peek(&self, skip: usize, out: &mut [u8]) -> usize {
        self.ready.copy_behind(skip, out)
    }

    /// The position of the next byte to be read.
    pub const fn read_position(&self) -> Pos {
        self.ready.start()
    }

    /// The next bytes in order without copying, as many as lie together; they stay queued.
    pub fn peek_bytes(&mut self) -> Option<Bytes> {
        self.ready.front()
    }

    /// Drops the next `len` bytes in order, or what there is of them, and returns how many.
    pub fn skip(&mut self, len: usize) -> usize {
        let len = len.min(self.readable());
        self.ready.discard_to(self.ready.start() + len as u64);
        len
    }

    /// The next bytes in order without copying, as many as lie together.
    pub fn recv_bytes(&mut self) -> Option<Bytes> {
        self.ready.take_front()
    }

    /// What is held beyond RCV.NXT, as SACK reports it: the range that the last arrival touched first, then those
    /// reported before it, then others.
    pub fn sack_blocks(&self) -> ArrayVec<(Pos, Pos), SACK_BLOCKS> {
        //= 2018#4
        let recent = self.recent.iter().filter_map(|&pos| self.held.covering(pos));
        let mut blocks: ArrayVec<_, SACK_BLOCKS> = recent.collect();
        for range in self.held.iter() {
            if !blocks.contains(&range) && blocks.try_push(range).is_err() {
                break;
            }
        }
        blocks
    }

    /// The ranges held beyond RCV.NXT, in order.
    pub const fn ooo_ranges(&self) -> &Ranges {
        &self.held
    }

    /// Bytes held beyond RCV.NXT.
    pub fn ooo_bytes(&self) -> u64 {
        self.held.bytes()
    }

    /// What both stores cost in bytes of memory.
    pub const fn memory(&self) -> usize {
        self.ready.memory() + self.early_memory
    }

    /// Gives up early bytes, the farthest first, until the memory is within `limit` or none are left. A sender must
    /// keep what was only SACKed, so nothing is lost but time.
    pub fn prune(&mut self, limit: usize) {
        //= 2018#8
        while self.memory() > limit && self.drop_farthest_piece() {}
    }

    /// Drops everything, read or not; RCV.NXT stays.
    pub fn clear(&mut self) {
        *self = RecvQueue::new(self.rcv_nxt());
    }

    /// The first part of `[at, end)` that is here already or was delivered.
    fn first_held(&self, at: Pos, end: Pos) -> Option<(Pos, Pos)> {
        //= 2883#4
        if at < self.rcv_nxt() && at < end {
            return Some((at, end.min(self.rcv_nxt())));
        }
        self.held.overlaps(at, end).map(|(held, held_end)| (held.max(at), held_end.min(end)))
    }

    /// Whether `[start, end)` may be held: it joins a range, or opens one of few enough, or lies before the farthest,
    /// which then goes.
    fn may_hold(&mut self, start: Pos, end: Pos) -> bool {
        if self.held.len() < MAX_RANGES || self.held.overlaps(start - 1, end + 1).is_some() {
            return true;
        }
        let Some((farthest, _)) = self.held.iter().next_back().filter(|&(farthest, _)| start < farthest) else {
            return false;
        };
        while self.held.end().is_some_and(|end| end > farthest) && self.drop_farthest_piece() {}
        true
    }

    /// Keeps what is new of `payload` at `start` among the early pieces, and returns how much that is.
    fn hold(&mut self, start: Pos, payload: &Bytes, backing: usize) -> usize {
        let end = start + payload.len() as u64;
        let (mut at, mut new_bytes) = (start, 0);
        while at < end {
            let (gap_end, next) = match self.held.overlaps(at, end) {
                Some((held, held_end)) => (held.max(at), held_end),
                None => (end, end),
            };
            if at < gap_end {
                let part = payload.slice(distance(start, at)..distance(start, gap_end));
                new_bytes += part.len();
                let part = if is_worth_its_buffer(&part, backing) { part } else { Bytes::copy_from_slice(&part) };
                self.early_memory += early_cost(&part);
                self.early.insert(at, part);
            }
            at = next;
        }
        let (first, behind) = self.held.insert(start, end);
        self.recent.retain(|pos| !(first <= *pos && *pos < behind));
        self.recent.truncate(SACK_BLOCKS - 1);
        self.recent.insert(0, start);
        new_bytes
    }

    /// Moves early pieces that have become the next in order.
    fn join(&mut self) {
        while let Some(first) = self.early.first_entry().filter(|first| *first.key() == self.ready.end()) {
            let bytes = first.remove();
            self.early_memory -= early_cost(&bytes);
            let backing = bytes.len();
            self.append(bytes, backing);
        }
        let rcv_nxt = self.rcv_nxt();
        self.held.remove_before(rcv_nxt);
        self.recent.retain(|pos| *pos >= rcv_nxt);
    }

    fn append(&mut self, bytes: Bytes, backing: usize) {
        if is_worth_its_buffer(&bytes, backing) {
            let cost = bytes.len() + HEADERS;
            self.ready.push(bytes, cost);
        } else {
            self.ready.write(&bytes);
        }
    }

    fn drop_farthest_piece(&mut self) -> bool {
        let Some((at, bytes)) = self.early.pop_last() else { return false };
        self.early_memory -= early_cost(&bytes);
        self.held.remove(at, at + bytes.len() as u64);
        let held = &self.held;
        self.recent.retain(|pos| held.contains(*pos));
        true
    }

    fn early_bytes(&self) -> impl Iterator<Item = &[u8]> {
        self.early.values().map(|bytes| &bytes[..])
    }
}

/// Whether to keep a reference to `part` of a payload of `backing` bytes, rather than copy it: the reference keeps the
/// whole buffer alive.
fn is_worth_its_buffer(part: &Bytes, backing: usize) -> bool {
    part.len() >= COPY_BELOW && part.len() >= backing / 2
}

/// What an early piece costs: its bytes, its place in the index, and the headers that share its buffer.
fn early_cost(piece: &Bytes) -> usize {
    piece.len() + INDEX + if piece.len() >= COPY_BELOW { HEADERS } else { 0 }
}

/// The SACK blocks that fit a header without other options (RFC 2018 3); with timestamps, three go out.
const SACK_BLOCKS: usize = 4;

/// How many ranges a peer may open beyond RCV.NXT: every second segment lost in a window of 128 segments, which is
/// worse than any path that still carries TCP. More are the mark of an attack on the index (CVE-2018-5390).
const MAX_RANGES: usize = 64;

/// Shorter payloads are copied: at 512 bytes, copying costs less than looking after one more buffer.
const COPY_BELOW: usize = 512;

/// Copies of small payloads share slabs of up to a page.
const SLAB: usize = 4096;

/// The most that Ethernet, IPv6 and TCP headers with all options take up in front of a payload: 14 + 40 + 60, rounded.
const HEADERS: usize = 128;

/// An entry of the index: key, reference, and its share of the tree's nodes and of the allocator's own needs.
const INDEX: usize = 2 * size_of::<(Pos, Bytes)>();

impl PartialEq for RecvQueue {
    fn eq(&self, other: &Self) -> bool {
        self.ready == other.ready
            && self.held == other.held
            && self.sack_blocks() == other.sack_blocks()
            && self.early_bytes().flatten().eq(other.early_bytes().flatten())
    }
}

impl Eq for RecvQueue {}

impl Hash for RecvQueue {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.ready, &self.held, self.sack_blocks()).hash(state);
        hash_bytes(self.early_bytes(), state);
    }
}

impl fmt::Debug for RecvQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecvQueue")
            .field("ready", &self.ready)
            .field("sack", &self.sack_blocks())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use alloc::vec::Vec;
    use proptest::prelude::*;
    use std::hash::DefaultHasher;

    fn bytes(len: usize, value: u8) -> Bytes {
        Bytes::from(vec![value; len])
    }

    fn blocks(queue: &RecvQueue) -> Vec<(i64, i64)> {
        queue.sack_blocks().iter().map(|(start, end)| (start.0, end.0)).collect()
    }

    fn drain(queue: &mut RecvQueue) -> Vec<u8> {
        let mut out = vec![0; queue.readable()];
        let n = queue.read(&mut out);
        assert_eq!(n, out.len());
        out
    }

    /// One row per way in which a segment can lie: RCV.NXT is 101, and [201, 301) is held.
    #[test]
    fn every_arrival_is_told_from_the_others() {
        //= 2883#4
        //= 5681#4.2
        let none = Inserted::default();
        let dup = |start, end| Some((Pos(start), Pos(end)));
        for (what, at, len, expected) in [
            ("nothing", 101, 0, none),
            ("wholly old", 1, 100, Inserted { duplicate: dup(1, 101), ..none }),
            ("part of the gap", 101, 50, Inserted { new_bytes: 50, advanced: 50, filled_gap: true, ..none }),
            ("the whole gap", 101, 100, Inserted { new_bytes: 100, advanced: 200, filled_gap: true, ..none }),
            (
                "old, then the gap",
                51,
                150,
                Inserted { new_bytes: 100, advanced: 200, duplicate: dup(51, 101), filled_gap: true, ..none },
            ),
            (
                "the gap, then held",
                101,
                150,
                Inserted { new_bytes: 100, advanced: 200, duplicate: dup(201, 251), filled_gap: true, ..none },
            ),
            (
                "across all that is held",
                101,
                300,
                Inserted { new_bytes: 200, advanced: 300, duplicate: dup(201, 301), filled_gap: true, ..none },
            ),
            ("joins at the end", 301, 50, Inserted { new_bytes: 50, out_of_order: true, ..none }),
            ("a range of its own", 151, 20, Inserted { new_bytes: 20, out_of_order: true, ..none }),
            ("held already", 221, 20, Inserted { duplicate: dup(221, 241), out_of_order: true, ..none }),
            (
                "over the start",
                191,
                20,
                Inserted { new_bytes: 10, duplicate: dup(201, 211), out_of_order: true, ..none },
            ),
        ] {
            let mut queue = RecvQueue::new(Pos(1));
            queue.insert(Pos(1), bytes(100, 1));
            queue.insert(Pos(201), bytes(100, 2));
            assert_eq!(queue.insert(Pos(at), bytes(len, 9)), expected, "{what}");
            assert_eq!(queue.rcv_nxt(), Pos(101) + expected.advanced, "{what}");
        }
    }

    #[test]
    fn the_first_accepted_byte_stays() {
        let mut queue = RecvQueue::new(Pos(1));
        queue.insert(Pos(5), bytes(4, b'b'));
        queue.insert(Pos(3), bytes(8, b'c'));
        queue.insert(Pos(1), bytes(12, b'a'));
        assert_eq!(drain(&mut queue), b"aaccbbbbccaa");
        queue.insert(Pos(1), bytes(12, b'z'));
        assert_eq!(queue.readable(), 0);
    }

    #[test]
    fn sack_reports_the_newest_block_first() {
        //= 2018#4
        let mut queue = RecvQueue::new(Pos(1));
        for (at, expected) in [
            (101, &[(101, 111)][..]),
            (201, &[(201, 211), (101, 111)]),
            (301, &[(301, 311), (201, 211), (101, 111)]),
            (111, &[(101, 121), (301, 311), (201, 211)]),
            (401, &[(401, 411), (101, 121), (301, 311), (201, 211)]),
            (501, &[(501, 511), (401, 411), (101, 121), (301, 311)]),
            // A duplicate is reported where it lies, as the last arrival.
            (305, &[(301, 315), (501, 511), (401, 411), (101, 121)]),
        ] {
            queue.insert(Pos(at), bytes(10, 0));
            assert_eq!(blocks(&queue), expected, "after {at}");
        }
        // The block that was crowded out comes back as soon as there is room.
        queue.insert(Pos(1), bytes(100, 0));
        assert_eq!((queue.rcv_nxt(), blocks(&queue)), (Pos(121), vec![(301, 315), (501, 511), (401, 411), (201, 211)]));
    }

    #[test]
    fn small_payloads_do_not_pin_a_big_buffer() {
        let frame = bytes(65_536, 7);
        let within = |part: &Bytes| frame.as_ptr_range().contains(&part.as_ptr());
        let mut queue = RecvQueue::new(Pos(1));
        queue.insert(Pos(1), frame.slice(..100));
        assert!(!within(&queue.recv_bytes().unwrap()), "a small payload is copied");
        queue.insert(Pos(101), frame.slice(..60_000));
        assert!(within(&queue.recv_bytes().unwrap()), "a big one is not");
        queue.insert(Pos(10_101), frame.clone());
        assert!(!within(&queue.recv_bytes().unwrap()), "the small rest of a big one is copied");
    }

    #[test]
    fn memory_is_charged_for_what_is_kept() {
        let mut queue = RecvQueue::new(Pos(1));
        queue.insert(Pos(101), bytes(1, 0));
        assert_eq!(queue.memory(), 1 + INDEX);
        queue.insert(Pos(201), bytes(1000, 0));
        assert_eq!(queue.memory(), 1 + INDEX + 1000 + INDEX + HEADERS);
        queue.insert(Pos(1), bytes(200, 0));
        drain(&mut queue);
        assert_eq!((queue.memory(), queue.ooo_bytes()), (0, 0));
    }

    #[test]
    fn pruning_gives_up_the_farthest_first() {
        let mut queue = RecvQueue::new(Pos(1));
        for at in [5001, 3001, 1001] {
            queue.insert(Pos(at), bytes(1000, 0));
        }
        queue.prune(queue.memory() - 1);
        assert_eq!(blocks(&queue), [(1001, 2001), (3001, 4001)]);
        queue.prune(0);
        assert_eq!((blocks(&queue), queue.memory()), (vec![], 0));
    }

    #[test]
    fn a_peer_cannot_open_ranges_without_end() {
        let mut queue = RecvQueue::new(Pos(1));
        for n in 0..64 {
            assert!(!queue.insert(Pos(1001 + 2 * n), bytes(1, 0)).refused);
        }
        let full = queue.memory();
        assert!(queue.insert(Pos(2001), bytes(1, 0)).refused, "beyond all others");
        assert!(!queue.insert(Pos(1002), bytes(1, 0)).refused, "joins two");
        assert!(!queue.insert(Pos(901), bytes(1, 0)).refused, "the 64th again");
        assert!(!queue.insert(Pos(801), bytes(1, 0)).refused, "nearer than the farthest, which goes");
        assert_eq!((queue.ooo_ranges().len(), queue.ooo_ranges().end()), (64, Some(Pos(1126))));
        assert_eq!(queue.memory(), full + 2 * (1 + INDEX), "three more pieces, one gone");
        queue.insert(Pos(1), bytes(1000, 0));
        assert_eq!(queue.rcv_nxt(), Pos(1004));
    }

    fn hash(queue: &RecvQueue) -> u64 {
        let mut state = DefaultHasher::new();
        queue.hash(&mut state);
        state.finish()
    }

    /// The plainest receiver there is: a byte and whether it was filled, for each position.
    struct Model {
        bytes: Vec<Option<u8>>,
        nxt: usize,
        read: usize,
    }

    impl Model {
        fn insert(&mut self, at: usize, data: &[u8]) -> (usize, usize) {
            let mut new = 0;
            for (cell, byte) in self.bytes[at..].iter_mut().zip(data) {
                if cell.is_none() {
                    *cell = Some(*byte);
                    new += 1;
                }
            }
            let before = self.nxt;
            self.nxt = before + self.bytes[before..].iter().take_while(|cell| cell.is_some()).count();
            (new, self.nxt - before)
        }

        fn ranges(&self) -> Vec<(i64, i64)> {
            let mut ranges = Vec::<(i64, i64)>::new();
            for (at, _) in self.bytes.iter().enumerate().skip(self.nxt).filter(|(_, cell)| cell.is_some()) {
                match ranges.last_mut() {
                    Some((_, end)) if *end == at as i64 => *end += 1,
                    _ => ranges.push((at as i64, at as i64 + 1)),
                }
            }
            ranges
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        Insert(usize, Vec<u8>),
        /// At RCV.NXT less the offset.
        InsertNext(usize, Vec<u8>),
        Read(usize),
        RecvBytes,
    }

    fn step() -> impl Strategy<Value = Step> {
        let data = || proptest::collection::vec(any::<u8>(), 1..1500);
        let small = || proptest::collection::vec(any::<u8>(), 1..20);
        prop_oneof![
            6 => (0..8000_usize, data()).prop_map(|(at, data)| Step::Insert(at, data)),
            6 => (0..8000_usize, small()).prop_map(|(at, data)| Step::Insert(at, data)),
            3 => (0..30_usize, data()).prop_map(|(back, data)| Step::InsertNext(back, data)),
            2 => (1..3000_usize).prop_map(Step::Read),
            1 => Just(Step::RecvBytes),
        ]
    }

    proptest! {
        /// Overlapping segments with contradicting bytes in any order: the stream is that of the plain receiver (I-01,
        /// I-03), and what is held beyond it as well (I-13, I-15).
        #[test]
        fn agrees_with_an_array_of_bytes(steps in proptest::collection::vec(step(), 0..60)) {
            let mut queue = RecvQueue::new(Pos(0));
            let mut model = Model { bytes: vec![None; 110_000], nxt: 0, read: 0 };
            for step in steps {
                let taken = match step {
                    Step::Read(n) => {
                        let mut out = vec![0; n];
                        let mut behind = vec![0; n];
                        let (peeked, later) = (queue.peek(0, &mut out), queue.peek(n / 2, &mut behind));
                        prop_assert_eq!(later, n.min(queue.readable().saturating_sub(n / 2)));
                        prop_assert!(out[n / 2..peeked.max(n / 2)].iter().zip(&behind).all(|(a, b)| a == b));
                        let (peek, n) = (out.clone(), queue.read(&mut out));
                        prop_assert_eq!((peeked, peek), (n, out.clone()));
                        prop_assert_eq!(n, out.len().min(model.nxt - model.read));
                        out.truncate(n);
                        out
                    }
                    Step::RecvBytes => {
                        let chunk = queue.recv_bytes();
                        prop_assert_eq!(chunk.is_some(), model.read < model.nxt);
                        chunk.unwrap_or_default().to_vec()
                    }
                    Step::Insert(..) | Step::InsertNext(..) => {
                        let (at, data) = match step {
                            Step::Insert(at, data) => (at, data),
                            Step::InsertNext(back, data) => (model.nxt.saturating_sub(back), data),
                            Step::Read(_) | Step::RecvBytes => unreachable!(),
                        };
                        let first_dup = (at..at + data.len()).find(|&pos| pos < model.nxt || model.bytes[pos].is_some());
                        let was_next = model.nxt;
                        let (new, advanced) = model.insert(at, &data);
                        let inserted = queue.insert(Pos(at as i64), Bytes::from(data.clone()));
                        prop_assert_eq!((inserted.new_bytes, inserted.advanced), (new, advanced as u64));
                        prop_assert_eq!(inserted.duplicate.map(|(start, _)| start.0), first_dup.map(|pos| pos as i64));
                        prop_assert_eq!(inserted.out_of_order, at > was_next);
                        prop_assert!(!inserted.refused);
                        if at > model.nxt {
                            let (start, end) = queue.sack_blocks()[0];
                            prop_assert!(start.0 <= at as i64 && (at + data.len()) as i64 <= end.0);
                        }
                        vec![]
                    }
                };
                let expected: Option<Vec<u8>> = model.bytes[model.read..model.read + taken.len()].iter().copied().collect();
                prop_assert_eq!(Some(&taken), expected.as_ref());
                model.read += taken.len();

                prop_assert_eq!((queue.rcv_nxt(), queue.readable()), (Pos(model.nxt as i64), model.nxt - model.read));
                let held: Vec<_> = queue.ooo_ranges().iter().map(|(start, end)| (start.0, end.0)).collect();
                prop_assert_eq!(&held, &model.ranges());
                prop_assert_eq!(queue.sack_blocks().len(), held.len().min(SACK_BLOCKS));
                prop_assert!(queue.memory() as u64 >= queue.readable() as u64 + queue.ooo_bytes());
                prop_assert_eq!(queue.memory() == 0, queue.readable() == 0 && held.is_empty());
            }
        }

        /// The same bytes in one piece or in many are the same queue.
        #[test]
        fn equality_and_hash_see_bytes_and_not_pieces(data in proptest::collection::vec(any::<u8>(), 2..2000), cut in 0..2000_usize) {
            let data = Bytes::from(data);
            let cut = cut % data.len();
            for at in [1, 100] {
                let (mut whole, mut parts) = (RecvQueue::new(Pos(1)), RecvQueue::new(Pos(1)));
                whole.insert(Pos(at), data.clone());
                parts.insert(Pos(at), data.slice(..cut));
                parts.insert(Pos(at) + cut as u64, data.slice(cut..));
                prop_assert_eq!((&whole, hash(&whole)), (&parts, hash(&parts)));
                parts.insert(Pos(5000), data.clone());
                prop_assert_ne!(&whole, &parts);
            }
        }
    }
}
