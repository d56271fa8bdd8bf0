//! A queue of stream bytes addressed by position: what both directions of a connection keep their payload in.
//!
//! Sections: none; RFC 9293 3.8 speaks of buffers and leaves them to us.
//! In: bytes to copy (into growing slabs) or to take by reference.
//! Out: reference-counted slices at any position, copies from the front, and what the memory truly costs.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::fmt;
use core::hash::{Hash, Hasher};
use core::iter;

use arrayvec::ArrayVec;
use bytes::{Buf, Bytes, BytesMut};

use super::Payload;
use crate::wire::Pos;

/// Bytes `[start, end)` of a stream, in pieces of whatever size they came in.
///
/// Copied bytes go into slabs of up to `SLAB` bytes, which start small and grow with the queue, so that many small
/// writes share one allocation and an almost empty queue costs little. An empty queue owns no memory. Two queues are
/// equal when their positions and bytes are; how these are cut into pieces does not count.
pub struct ByteQueue<const SLAB: usize> {
    start: Pos,
    end: Pos,
    /// Everything but the tail, in order, each piece starting where the one before it ends.
    pieces: VecDeque<Piece>,
    /// The last bytes, still in the slab where more can join them.
    tail: BytesMut,
    /// What the open slab costs, whatever part of it is filled.
    slab: usize,
    /// The sum of the pieces' costs.
    charged: usize,
}

/// Bytes that no longer change. The last piece of a closed slab carries the slab's whole cost, because it is the one
/// that keeps the slab alive longest.
#[derive(Clone)]
struct Piece {
    start: Pos,
    bytes: Bytes,
    charge: usize,
}

impl<const SLAB: usize> ByteQueue<SLAB> {
    /// An empty queue whose first byte will stand at `start`.
    pub fn new(start: Pos) -> Self {
        ByteQueue { start, end: start, pieces: VecDeque::new(), tail: BytesMut::new(), slab: 0, charged: 0 }
    }

    /// The position of the first byte.
    pub const fn start(&self) -> Pos {
        self.start
    }

    /// Behind the last byte.
    pub const fn end(&self) -> Pos {
        self.end
    }

    /// How many bytes are queued.
    pub fn len(&self) -> usize {
        distance(self.start, self.end)
    }

    /// True if nothing is queued.
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// What the queue costs in bytes of memory: whole slabs, referenced bytes as declared, and the index.
    pub const fn memory(&self) -> usize {
        self.charged + self.slab
    }

    /// Appends a copy of `data`.
    pub fn write(&mut self, mut data: &[u8]) {
        while !data.is_empty() {
            let room = self.tail.capacity() - self.tail.len();
            if room == 0 {
                self.open_slab(data.len());
                continue;
            }
            let (now, later) = data.split_at(room.min(data.len()));
            self.tail.extend_from_slice(now);
            self.end += now.len() as u64;
            data = later;
        }
    }

    /// Appends `data` without copying it; `cost` is the memory that the reference keeps alive.
    pub fn push(&mut self, data: Bytes, cost: usize) {
        if data.is_empty() {
            return;
        }
        self.freeze_tail();
        let start = self.end;
        self.end += data.len() as u64;
        self.append(Piece { start, bytes: data, charge: cost + size_of::<Piece>() });
    }

    /// The bytes `[at, at + len)`, or as many of them as are queued, as references. If more than `N` pieces hold them,
    /// the last of the `N` is a copy of the rest.
    pub fn slices<const N: usize>(&mut self, at: Pos, len: usize) -> Payload {
        let end = self.end.min(at + len as u64);
        if end > self.tail_start() {
            self.freeze_tail();
        }
        let first = self.pieces.partition_point(|piece| piece.end() <= at);
        match self.pieces.get(first) {
            None => Payload::NONE,
            Some(piece) if end <= piece.end() => piece.part(at, end).into(),
            Some(_) => self.gather::<N>(first, at, end),
        }
    }

    /// As [`slices`](Self::slices), over several pieces from the one with index `first` on.
    fn gather<const N: usize>(&self, first: usize, at: Pos, end: Pos) -> Payload {
        let mut parts =
            self.pieces.range(first..).map(|piece| piece.part(at, end)).take_while(|part| !part.is_empty()).peekable();
        let mut slices = Vec::new();
        while let Some(part) = parts.next() {
            if slices.len() + 1 < N || parts.peek().is_none() {
                slices.push(part);
                continue;
            }
            let mut rest = BytesMut::from(&part[..]);
            parts.by_ref().for_each(|part| rest.extend_from_slice(&part));
            slices.push(rest.freeze());
        }
        slices.into()
    }

    /// Copies bytes from the front into `out` and returns how many; they stay queued.
    pub fn copy_to(&self, out: &mut [u8]) -> usize {
        self.copy_behind(0, out)
    }

    /// As [`copy_to`](Self::copy_to), from `skip` bytes behind the front on.
    pub fn copy_behind(&self, mut skip: usize, out: &mut [u8]) -> usize {
        let whole = out.len();
        let mut room = out;
        for chunk in self.chunks() {
            let skipped = skip.min(chunk.len());
            skip -= skipped;
            let chunk = &chunk[skipped..];
            let n = chunk.len().min(room.len());
            let (into, later) = room.split_at_mut(n);
            into.copy_from_slice(&chunk[..n]);
            room = later;
            if room.is_empty() {
                break;
            }
        }
        whole - room.len()
    }

    /// The first bytes, as many as lie together, without copying; they stay queued.
    pub fn front(&mut self) -> Option<Bytes> {
        if self.pieces.is_empty() {
            self.freeze_tail();
        }
        Some(self.pieces.front()?.bytes.clone())
    }

    /// Takes the front piece out, whatever its size.
    pub fn take_front(&mut self) -> Option<Bytes> {
        let bytes = self.front()?;
        self.discard_to(self.start + bytes.len() as u64);
        Some(bytes)
    }

    /// Drops everything before `pos`, or everything if that lies behind the end.
    pub fn discard_to(&mut self, pos: Pos) {
        if pos >= self.end {
            return self.clear();
        }
        if pos <= self.start {
            return;
        }
        while let Some(piece) = self.pieces.pop_front_if(|piece| piece.end() <= pos) {
            self.charged -= piece.charge;
        }
        if let Some(piece) = self.pieces.front_mut() {
            piece.bytes.advance(distance(piece.start, pos));
            piece.start = piece.start.max(pos);
        } else {
            self.tail.advance(distance(self.tail_start(), pos));
        }
        self.start = pos;
    }

    /// Drops everything; the next byte stands where it would have stood anyway.
    pub fn clear(&mut self) {
        *self = ByteQueue::new(self.end);
    }

    fn tail_start(&self) -> Pos {
        self.end - self.tail.len() as u64
    }

    /// Cuts the filled part of the tail off as a piece; more bytes can still join the slab behind it.
    fn freeze_tail(&mut self) {
        if !self.tail.is_empty() {
            let start = self.tail_start();
            let bytes = self.tail.split().freeze();
            self.append(Piece { start, bytes, charge: size_of::<Piece>() });
        }
    }

    /// Closes the slab and opens one that suits a queue of this size and a write of `hint` bytes.
    fn open_slab(&mut self, hint: usize) {
        self.freeze_tail();
        if let Some(last) = self.pieces.back_mut() {
            last.charge += self.slab;
            self.charged += self.slab;
        }
        self.tail = BytesMut::with_capacity(self.len().max(hint).clamp(SMALLEST_SLAB.min(SLAB), SLAB));
        self.slab = self.tail.capacity();
    }

    fn append(&mut self, piece: Piece) {
        self.charged += piece.charge;
        self.pieces.push_back(piece);
    }

    fn chunks(&self) -> impl Iterator<Item = &[u8]> {
        self.pieces.iter().map(|piece| &piece.bytes[..]).chain(iter::once(&self.tail[..]))
    }
}

impl Piece {
    fn end(&self) -> Pos {
        self.start + self.bytes.len() as u64
    }

    /// What of `[at, end)` lies in this piece.
    fn part(&self, at: Pos, end: Pos) -> Bytes {
        let from = distance(self.start, at).min(self.bytes.len());
        let to = distance(self.start, end).min(self.bytes.len());
        self.bytes.slice(from..to.max(from))
    }
}

/// The bytes between two positions of one queue; zero if `to` is not behind `from`.
pub(super) fn distance(from: Pos, to: Pos) -> usize {
    usize::try_from(to.since(from)).expect("a queue is no larger than memory")
}

/// Feeds bytes to a hasher so that only the bytes count: a hasher may tell one write from two, so the writes are
/// blocks of one size wherever the chunks end.
pub(super) fn hash_bytes<'a>(chunks: impl Iterator<Item = &'a [u8]>, state: &mut impl Hasher) {
    let mut block = ArrayVec::<u8, 64>::new();
    for mut chunk in chunks {
        while !chunk.is_empty() {
            let (now, later) = chunk.split_at(chunk.len().min(block.remaining_capacity()));
            block.extend(now.iter().copied());
            if block.is_full() {
                state.write(&block);
                block.clear();
            }
            chunk = later;
        }
    }
    state.write(&block);
}

/// A slab starts no smaller, so that a burst of small writes shares one; chosen below the 1,460 bytes that a single
/// full segment needs anyway.
const SMALLEST_SLAB: usize = 512;

impl<const SLAB: usize> Clone for ByteQueue<SLAB> {
    fn clone(&self) -> Self {
        // A plain clone of the tail would lose its free room, and with it the equal behaviour of the clone.
        let mut tail = BytesMut::with_capacity(self.tail.capacity());
        tail.extend_from_slice(&self.tail);
        ByteQueue { pieces: self.pieces.clone(), tail, ..*self }
    }
}

impl<const SLAB: usize> PartialEq for ByteQueue<SLAB> {
    fn eq(&self, other: &Self) -> bool {
        (self.start, self.end) == (other.start, other.end) && self.chunks().flatten().eq(other.chunks().flatten())
    }
}

impl<const SLAB: usize> Eq for ByteQueue<SLAB> {}

impl<const SLAB: usize> Hash for ByteQueue<SLAB> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.start, self.end).hash(state);
        hash_bytes(self.chunks(), state);
    }
}

/// The range, and the first bytes: `[@1, @152) b"GET /file_64KB H"...`.
impl<const SLAB: usize> fmt::Debug for ByteQueue<SLAB> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut first = [0; 16];
        let n = self.copy_to(&mut first);
        let shown = first.get(..n).unwrap_or_default().escape_ascii();
        let more = if self.len() > n { "..." } else { "" };
        write!(f, "[{:?}, {:?}) b\"{shown}\"{more}", self.start, self.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::hash::DefaultHasher;

    type Queue = ByteQueue<1024>;

    fn hash(queue: &Queue) -> u64 {
        let mut state = DefaultHasher::new();
        queue.hash(&mut state);
        state.finish()
    }

    fn content(queue: &Queue) -> Vec<u8> {
        queue.chunks().flatten().copied().collect()
    }

    #[test]
    fn an_empty_queue_owns_nothing() {
        let mut queue = Queue::new(Pos(1));
        assert_eq!(queue.memory(), 0);
        queue.write(b"request");
        assert_eq!(queue.memory(), SMALLEST_SLAB);
        queue.discard_to(Pos(8));
        assert_eq!((queue.memory(), queue.start(), queue.end()), (0, Pos(8), Pos(8)));
        assert_eq!((queue.pieces.capacity(), queue.tail.capacity()), (0, 0));
    }

    #[test]
    fn small_writes_share_a_slab_and_are_cut_off_without_copying() {
        let mut queue = Queue::new(Pos(1));
        queue.write(b"one");
        let first = queue.slices::<4>(Pos(1), 3);
        queue.write(b"two");
        let both = queue.slices::<4>(Pos(1), 6);
        assert_eq!(both.iter().map(|part| &part[..]).collect::<Vec<_>>(), [&b"one"[..], b"two"]);
        assert_eq!(first[0].as_ptr(), both[0].as_ptr(), "the same bytes, not a copy");
        assert_eq!(both[1].as_ptr() as usize, both[0].as_ptr() as usize + 3, "the same slab");
    }

    #[test]
    fn a_slab_is_charged_whole_until_its_last_byte_is_gone() {
        let mut queue = Queue::new(Pos(1));
        queue.write(&[7; 512]);
        queue.write(&[8; 100]);
        let index = size_of::<Piece>();
        assert_eq!(queue.memory(), 512 + index + 512, "two slabs, the first one closed");
        queue.discard_to(Pos(512));
        assert_eq!(queue.memory(), 512 + index + 512, "its last byte keeps the first slab alive");
        queue.discard_to(Pos(513));
        assert_eq!(queue.memory(), 512);
    }

    #[test]
    fn slabs_grow_with_the_queue() {
        let mut queue = Queue::new(Pos(1));
        for _ in 0..3 {
            queue.write(&[0; 512]);
        }
        assert_eq!(queue.slab, 1024);
    }

    #[test]
    fn what_does_not_fit_the_places_is_gathered_in_the_last() {
        let mut queue = Queue::new(Pos(1));
        for byte in b"abcdefgh" {
            queue.push(Bytes::copy_from_slice(&[*byte]), 1);
        }
        let parts = queue.slices::<3>(Pos(2), 6);
        assert_eq!(parts.iter().map(|part| &part[..]).collect::<Vec<_>>(), [&b"b"[..], b"c", b"defg"]);
    }

    #[test]
    fn debug_shows_the_range_and_how_it_begins() {
        let mut queue = Queue::new(Pos(1));
        queue.write(b"GET /file_64KB HTTP/1.1\r\n");
        assert_eq!(std::format!("{queue:?}"), "[@1, @26) b\"GET /file_64KB H\"...");
    }

    #[derive(Clone, Debug)]
    enum Step {
        Write(Vec<u8>),
        Push(Vec<u8>),
        Slices(usize, usize),
        Discard(usize),
        TakeFront,
        Clone,
        Clear,
    }

    fn step() -> impl Strategy<Value = Step> {
        let data = || proptest::collection::vec(any::<u8>(), 0..700);
        prop_oneof![
            4 => data().prop_map(Step::Write),
            2 => proptest::collection::vec(any::<u8>(), 0..4).prop_map(Step::Write),
            2 => data().prop_map(Step::Push),
            6 => (0..3000_usize, 0..3000_usize).prop_map(|(at, len)| Step::Slices(at, len)),
            4 => (0..800_usize).prop_map(Step::Discard),
            2 => Just(Step::TakeFront),
            1 => Just(Step::Clone),
            1 => Just(Step::Clear),
        ]
    }

    proptest! {
        /// Against a plain vector of bytes: same content, same slices, equal and equally hashed however it was cut.
        #[test]
        fn agrees_with_a_vector(start in 0..1_i64 << 40, steps in proptest::collection::vec(step(), 0..40)) {
            let mut queue = Queue::new(Pos(start));
            let mut model = Vec::<u8>::new();
            let mut model_start = Pos(start);
            for step in steps {
                match step {
                    Step::Write(data) => {
                        queue.write(&data);
                        model.extend(data);
                    }
                    Step::Push(data) => {
                        model.extend(&data);
                        queue.push(Bytes::from(data.clone()), data.len());
                    }
                    Step::Slices(at, len) => {
                        let parts = queue.slices::<3>(model_start + at as u64, len);
                        let from = at.min(model.len());
                        let expected = &model[from..(at + len).clamp(from, model.len())];
                        prop_assert_eq!(parts.concat(), expected);
                        prop_assert!(parts.iter().all(|part| !part.is_empty()));
                    }
                    Step::Discard(n) => {
                        queue.discard_to(model_start + n as u64);
                        let n = n.min(model.len());
                        model.drain(..n);
                        model_start += n as u64;
                    }
                    Step::TakeFront => {
                        let taken = queue.take_front().unwrap_or_default();
                        prop_assert_eq!(taken.is_empty(), model.is_empty());
                        let expected: Vec<u8> = model.drain(..taken.len()).collect();
                        prop_assert_eq!(&taken[..], expected);
                        model_start += taken.len() as u64;
                    }
                    Step::Clone => {
                        let clone = queue.clone();
                        prop_assert_eq!((&clone, clone.memory()), (&queue, queue.memory()));
                        queue = clone;
                    }
                    Step::Clear => {
                        queue.clear();
                        model_start += model.len() as u64;
                        model.clear();
                    }
                }
                prop_assert_eq!((queue.start(), queue.len()), (model_start, model.len()));
                prop_assert_eq!(content(&queue), &model[..]);
                prop_assert_eq!(queue.is_empty(), queue.memory() == 0);
                prop_assert!(queue.memory() >= queue.len());
                let mut out = [0; 600];
                let n = queue.copy_to(&mut out);
                prop_assert_eq!(&out[..n], &model[..model.len().min(600)]);

                let mut in_one_piece = Queue::new(model_start);
                in_one_piece.push(Bytes::from(model.clone()), 0);
                prop_assert_eq!(&queue, &in_one_piece);
                prop_assert_eq!(hash(&queue), hash(&in_one_piece));
            }
        }
    }
}
