//! The network adapter between a stack and its link: cuts bursts into wire segments, merges what arrives.
//!
//! Sections: none of an RFC; what Linux calls GSO, GRO and interrupt coalescing.
//! In: frames from the stack, parcels from the link, the time.
//! Out: wire segments for the link, frames for the stack, and what a capture at this edge would show.

use alloc::collections::VecDeque;
use alloc::vec;
use alloc::vec::Vec;

use bytes::Bytes;
use tidegate_proto::net::offload::{Merger, split};
use tidegate_proto::net::{ChecksumState, Frame, TxFrame};
use tidegate_proto::time::{Duration, Instant};
use tidegate_proto::wire::checksum::portable;
use tidegate_proto::wire::frame::Link;

use crate::link::{Origin, Parcel};

/// One adapter.
#[derive(Clone, Debug)]
pub struct Adapter {
    /// What its frames start with.
    link: Link,
    /// Merges what arrives; without it every wire segment is shown alone, both ways.
    merger: Option<Merger<Origin>>,
    ready: VecDeque<Received>,
}

/// A frame for the stack.
#[derive(Clone, Debug)]
pub struct Received {
    /// The frame.
    pub frame: Frame,
    /// The origin of its first segment.
    pub origin: Origin,
}

/// A frame from the stack.
#[derive(Clone, Debug)]
pub struct Sent {
    /// What a capture shows.
    pub seen: Bytes,
    /// What goes onto the link.
    pub wire: Vec<Bytes>,
}

impl Adapter {
    /// An adapter on a link of that kind, in which the first segment waits for company as long as `merge` says.
    pub fn new(link: Link, merge: Option<Duration>) -> Self {
        let merger = merge.map(|hold| Merger::new(link, portable, hold, MOST_SEGMENTS));
        Adapter { link, merger, ready: VecDeque::new() }
    }

    /// What its frames start with.
    pub fn link(&self) -> Link {
        self.link
    }

    /// A frame from the link.
    pub fn on_arrival(&mut self, parcel: Parcel, now: Instant) {
        let Some(merger) = &mut self.merger else {
            let frame = Frame { bytes: parcel.bytes, checksum: ChecksumState::Unknown, segments: 1 };
            self.ready.push_back(Received { frame, origin: parcel.origin });
            return;
        };
        merger.push(parcel.bytes, parcel.origin, now);
        self.drain_merger();
    }

    /// The next frame that the stack may have now.
    pub fn poll_received(&mut self, now: Instant) -> Option<Received> {
        if self.next_flush().is_some_and(|at| at <= now) {
            if let Some(merger) = &mut self.merger {
                merger.on_timeout(now);
            }
            self.drain_merger();
        }
        self.ready.pop_front()
    }

    /// When waiting for company ends.
    pub fn next_flush(&self) -> Option<Instant> {
        self.merger.as_ref().and_then(Merger::next_timeout)
    }

    /// Cuts a frame of the stack's.
    pub fn send(&self, frame: &TxFrame) -> Vec<Sent> {
        let wire: Vec<Bytes> = split(frame, self.link, portable).collect();
        match wire.len() {
            0 | 1 => wire.into_iter().map(|bytes| Sent { seen: bytes.clone(), wire: vec![bytes] }).collect(),
            _ if self.merger.is_some() => vec![Sent { seen: self.whole(frame), wire }],
            _ => wire.into_iter().map(|bytes| Sent { seen: bytes.clone(), wire: vec![bytes] }).collect(),
        }
    }

    /// The frame before it is cut, as a capture on a host with segmentation offload shows it.
    fn whole(&self, frame: &TxFrame) -> Bytes {
        let mut one = frame.clone();
        one.gso_size = 0;
        split(&one, self.link, portable).collect::<Vec<_>>().concat().into()
    }

    fn drain_merger(&mut self) {
        while let Some((frame, origin)) = self.merger.as_mut().and_then(Merger::poll_ready) {
            self.ready.push_back(Received { frame, origin });
        }
    }
}

/// Like Linux: 64 KiB, which no connection with a common MSS exceeds in so many segments.
const MOST_SEGMENTS: u16 = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;
    use tidegate_proto::wire::{Flags, Seq};

    const WAIT: Duration = Duration::from_micros(50);

    fn parcel(number: u64, seq: u32, flags: Flags, payload: usize) -> Parcel {
        let bytes = sample::segment(1, Seq(seq), flags, &vec![7; payload]);
        Parcel { bytes, origin: Origin { number, cause: None, note: None } }
    }

    fn drain(adapter: &mut Adapter, now: Instant) -> Vec<(u64, u16, usize)> {
        let mut out = Vec::new();
        while let Some(got) = adapter.poll_received(now) {
            out.push((got.origin.number, got.frame.segments, got.frame.bytes.len()));
        }
        out
    }

    #[test]
    fn what_comes_within_the_wait_is_one_frame_with_the_origin_of_its_first() {
        let mut adapter = Adapter::new(Link::Ethernet, Some(WAIT));
        for n in 0..5_u32 {
            let at = Instant::ZERO + Duration::from_micros(12) * u64::from(n);
            adapter.on_arrival(parcel(u64::from(n) + 1, 1 + n * 1_448, Flags::ACK, 1_448), at);
            assert_eq!(drain(&mut adapter, at), []);
        }
        let due = adapter.next_flush().expect("it waits");
        assert_eq!(due, Instant::ZERO + WAIT);
        assert_eq!(drain(&mut adapter, due), [(1, 5, 54 + 5 * 1_448)]);
        assert_eq!(adapter.next_flush(), None);
    }

    #[test]
    fn acknowledgements_do_not_wait_and_do_not_overtake() {
        let mut adapter = Adapter::new(Link::Ethernet, Some(WAIT));
        adapter.on_arrival(parcel(1, 1, Flags::ACK, 0), Instant::ZERO);
        assert_eq!(drain(&mut adapter, Instant::ZERO), [(1, 1, 60)]);
        adapter.on_arrival(parcel(2, 1, Flags::ACK, 100), Instant::ZERO);
        adapter.on_arrival(parcel(3, 101, Flags::ACK, 100), Instant::ZERO);
        adapter.on_arrival(parcel(4, 201, Flags::ACK, 0), Instant::ZERO);
        assert_eq!(drain(&mut adapter, Instant::ZERO), [(2, 2, 254), (4, 1, 60)]);
    }

    #[test]
    fn copies_and_damaged_frames_keep_their_origins() {
        let mut adapter = Adapter::new(Link::Ethernet, Some(WAIT));
        let first = parcel(1, 1, Flags::ACK, 100);
        let mut damaged = Vec::from(&*parcel(2, 101, Flags::ACK, 100).bytes);
        *damaged.last_mut().expect("a frame") ^= 1;
        adapter.on_arrival(first.clone(), Instant::ZERO);
        adapter.on_arrival(first, Instant::ZERO);
        adapter.on_arrival(Parcel { bytes: damaged.into(), ..parcel(2, 101, Flags::ACK, 100) }, Instant::ZERO);
        let origins: Vec<u64> = drain(&mut adapter, Instant::ZERO + WAIT).into_iter().map(|(n, ..)| n).collect();
        assert_eq!(origins, [1, 2, 1]);
    }

    #[test]
    fn without_merging_every_segment_goes_alone_and_at_once() {
        let mut adapter = Adapter::new(Link::Ethernet, None);
        adapter.on_arrival(parcel(1, 1, Flags::ACK, 100), Instant::ZERO);
        adapter.on_arrival(parcel(2, 101, Flags::ACK, 100), Instant::ZERO);
        assert_eq!(drain(&mut adapter, Instant::ZERO), [(1, 1, 154), (2, 1, 154)]);
    }
}
