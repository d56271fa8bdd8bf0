//! The send queue: every byte that the application has written and the peer has not acknowledged.
//!
//! Sections: RFC 9293 3.8.1 (data stays until it is acknowledged), 3.9.1.2.
//! In: writes, and the peer's acknowledgements.
//! Out: payload for first transmissions and retransmissions alike, by position.

use bytes::Bytes;

use super::Payload;
use super::bytequeue::ByteQueue;
use crate::wire::Pos;

/// Bytes from SND.UNA to the end of what was written.
///
/// A byte is copied at most once, by [`write`](Self::write); what is sent are references to it, so a retransmission
/// carries the very bytes of the first transmission.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct SendQueue {
    bytes: ByteQueue<SLAB>,
}

impl SendQueue {
    /// An empty queue; the first byte written will stand at `start`.
    pub fn new(start: Pos) -> Self {
        SendQueue { bytes: ByteQueue::new(start) }
    }

    /// The position of the first byte that is not acknowledged.
    pub const fn start(&self) -> Pos {
        self.bytes.start()
    }

    /// Behind the last byte written.
    pub const fn end(&self) -> Pos {
        self.bytes.end()
    }

    /// Bytes written and not acknowledged.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// True if every byte written is acknowledged; the queue then owns no memory.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// What the queue costs in bytes of memory.
    pub const fn memory(&self) -> usize {
        self.bytes.memory()
    }

    /// Appends a copy of `data`.
    pub fn write(&mut self, data: &[u8]) {
        self.bytes.write(data);
    }

    /// Appends `data` without copying it.
    pub fn push(&mut self, data: Bytes) {
        let cost = data.len();
        self.bytes.push(data, cost);
    }

    /// The bytes `[at, at + len)`, or as many of them as are queued, by reference. Where more than sixteen pieces hold
    /// them, the last of the sixteen is a copy of the rest, so that the length is kept.
    pub fn payload(&mut self, at: Pos, len: usize) -> Payload {
        self.bytes.slices::<16>(at, len)
    }

    /// The peer has acknowledged everything before `pos`.
    pub fn ack_to(&mut self, pos: Pos) {
        self.bytes.discard_to(pos);
    }

    /// Drops everything.
    pub fn clear(&mut self) {
        self.bytes.clear();
    }
}

/// The largest slab: what one burst can carry, so a bulk transfer allocates once per burst.
const SLAB: usize = 65_536;

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    /// One copy at `write`, none after it: the retransmission is the first transmission's memory (I-10).
    #[test]
    fn a_retransmission_carries_the_very_same_bytes() {
        let mut queue = SendQueue::new(Pos::FIRST);
        queue.write(&[7; 4000]);
        let first = queue.payload(Pos(1), 1460);
        queue.write(&[8; 4000]);
        queue.payload(Pos(1461), 1460);
        let again = queue.payload(Pos(1), 1460);
        assert_eq!(first, again);
        assert_eq!(first[0].as_ptr(), again[0].as_ptr());
    }

    #[test]
    fn acknowledged_bytes_are_gone_and_sent_ones_stay_readable() {
        let mut queue = SendQueue::new(Pos::FIRST);
        queue.write(b"hello world");
        let sent = queue.payload(Pos(1), 11);
        queue.ack_to(Pos(7));
        assert_eq!((queue.start(), queue.len()), (Pos(7), 5));
        assert_eq!(queue.payload(Pos(7), 100).concat(), b"world");
        queue.ack_to(Pos(12));
        assert_eq!((queue.is_empty(), queue.memory()), (true, 0));
        assert_eq!(sent.concat(), b"hello world", "a burst in the device's hands outlives its acknowledgement");
    }

    #[test]
    fn sixteen_pieces_carry_any_number_of_small_writes() {
        let mut queue = SendQueue::new(Pos::FIRST);
        let all: Vec<u8> = (0..100).collect();
        for &byte in &all {
            queue.write(&[byte]);
            queue.payload(queue.end() - 1, 1);
        }
        let burst = queue.payload(Pos(1), 100);
        assert_eq!((burst.len(), burst.concat()), (16, all));
    }

    #[test]
    fn a_bulk_writer_pays_one_slab_per_burst() {
        let mut queue = SendQueue::new(Pos::FIRST);
        queue.write(&[1; 65_536]);
        assert_eq!((queue.memory(), queue.payload(Pos(1), 65_536).len()), (65_536, 1));
        queue.push(Bytes::from_static(&[2; 10_000]));
        assert_eq!(queue.payload(Pos(65_537), 20_000).concat(), [2; 10_000]);
    }
}
