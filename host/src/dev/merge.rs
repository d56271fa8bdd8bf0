//! Merging at the device's edge, for devices that bring one segment at a time: what GRO does in Linux.
//!
//! Sections: none; the rules are `proto`'s `offload::Merger`.
//! In: a device.
//! Out: the same device, its frames carrying many segments each.

use std::collections::VecDeque;
use std::io;

use tidegate_proto::net::offload::Merger;
use tidegate_proto::net::{ChecksumState, Frame, TxFrame};
use tidegate_proto::time::{Duration, Instant};
use tidegate_proto::wire::checksum::portable;

use super::{Capabilities, Device, Room, Wait};

/// A device whose received segments are merged: those of one [`Device::receive`], which therefore waits for nothing.
/// Verdicts on what was merged stay here: a [`Capture`](super::Capture) belongs around it, not inside.
#[derive(Debug)]
pub struct Merge<D> {
    device: D,
    merger: Merger,
    arrived: Vec<Frame>,
}

impl<D: Device> Merge<D> {
    /// Merges what `device` receives.
    pub fn new(device: D) -> Self {
        let merger = Merger::new(device.capabilities().link, portable, Duration::ZERO, MAX_SEGMENTS);
        Merge { device, merger, arrived: Vec::new() }
    }

    /// The device itself.
    pub fn into_inner(self) -> D {
        self.device
    }

    fn drain(&mut self, frames: &mut Vec<Frame>) {
        while let Some((frame, ())) = self.merger.poll_ready() {
            frames.push(frame);
        }
    }
}

impl<D: Device> Device for Merge<D> {
    fn capabilities(&self) -> Capabilities {
        self.device.capabilities()
    }

    /// As the device's, the count included; what comes out are fewer frames. One that was merged or verified below
    /// passes as it is, behind those before it.
    fn receive(&mut self, frames: &mut Vec<Frame>, limit: usize) -> io::Result<usize> {
        let outcome = self.device.receive(&mut self.arrived, limit);
        let mut arrived = std::mem::take(&mut self.arrived);
        for frame in arrived.drain(..) {
            if frame.checksum == ChecksumState::Unknown && frame.segments == 1 {
                self.merger.push(frame.bytes, (), Instant::ZERO);
            } else {
                self.merger.flush();
                self.drain(frames);
                frames.push(frame);
            }
        }
        self.arrived = arrived;
        self.merger.flush();
        self.drain(frames);
        outcome
    }

    fn send(&mut self, frames: &mut VecDeque<TxFrame>) -> io::Result<Room> {
        self.device.send(frames)
    }

    fn wait(&self) -> Wait<'_> {
        self.device.wait()
    }

    fn next_timeout(&self) -> Option<Instant> {
        self.device.next_timeout()
    }
}

/// As many segments as fit in 64 KiB at the usual MTU; Linux's limit is the size alone.
const MAX_SEGMENTS: u16 = 64;
