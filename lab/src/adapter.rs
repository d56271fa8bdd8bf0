//! The network adapter between a stack and its link: cuts bursts into wire segments, merges what arrives.
//!
//! Sections: none of an RFC; what Linux calls GSO, GRO and interrupt coalescing.
//! In: frames from the stack, parcels from the link, the time.
//! Out: wire segments for the link, frames for the stack, and what a capture at this edge would show.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use bytes::Bytes;
use tidegate_proto::net::{ChecksumState, Frame, TxFrame};
use tidegate_proto::time::{Duration, Instant};

use crate::link::{Origin, Parcel};

/// One adapter.
#[derive(Clone, Debug)]
pub struct Adapter {
    /// How long the first segment waits for company; `None` merges nothing and shows every wire segment.
    merge: Option<Duration>,
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
    /// An adapter that waits for company as long as `merge` says.
    pub fn new(merge: Option<Duration>) -> Self {
        Adapter { merge, ready: VecDeque::new() }
    }

    /// A frame from the link.
    pub fn on_arrival(&mut self, parcel: Parcel, now: Instant) {
        let _ = (self.merge, now);
        let frame = Frame { bytes: parcel.bytes, checksum: ChecksumState::Unknown, segments: 1 };
        self.ready.push_back(Received { frame, origin: parcel.origin });
    }

    /// The next frame that the stack may have now.
    pub fn poll_received(&mut self, now: Instant) -> Option<Received> {
        let _ = now;
        self.ready.pop_front()
    }

    /// When waiting for company ends.
    pub fn next_flush(&self) -> Option<Instant> {
        None
    }

    /// Cuts a frame of the stack's.
    pub fn send(&self, frame: &TxFrame) -> Vec<Sent> {
        let mut bytes = Vec::from(frame.header.as_slice());
        for part in &frame.payload {
            bytes.extend_from_slice(part);
        }
        let bytes = Bytes::from(bytes);
        alloc::vec![Sent { seen: bytes.clone(), wire: alloc::vec![bytes] }]
    }
}
