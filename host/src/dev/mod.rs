//! Devices: what carries frames between a stack and the world.
//!
//! Sections: none of an RFC's.
//! In: bursts from a stack, as [`TxFrame`]s.
//! Out: frames for a stack, with what the device knows of their checksums and segments.
//!
//! | device | what it is | where |
//! |---|---|---|
//! | [`Tun`] | a TUN or TAP interface, super-segments whole in both directions | Linux |
//! | [`UnixLink`] | frames over a UNIX stream socket, as QEMU and passt speak them | UNIX |
//! | [`UnixPort`] | its listening end, which outlives its peers | Linux |
//! | [`channel`] | both ends of a link in memory, for any packet source | everywhere |
//! | [`Merge`] | merges what another device receives, as GRO does | everywhere |
//! | [`Impair`] | another device behind a bad network: loss, delay, reordering... | everywhere |
//! | [`Capture`] | another device whose frames are written to files, with reasons | everywhere |

mod capture;
mod channel;
mod impair;
mod merge;
#[cfg(target_os = "linux")]
mod pool;
#[cfg(unix)]
mod sys;
#[cfg(target_os = "linux")]
mod tun;
#[cfg(unix)]
mod unix;
#[cfg(target_os = "linux")]
mod unix_port;
mod unsent;
#[cfg(target_os = "linux")]
mod vnet;
mod waker;

pub use capture::{Capture, CaptureFiles, CaptureStatus};
pub use channel::{ChannelEnd, channel};
pub use impair::Impair;
pub use merge::Merge;
#[cfg(target_os = "linux")]
pub use tun::{Offload, Tun};
#[cfg(unix)]
pub use unix::UnixLink;
#[cfg(target_os = "linux")]
pub use unix_port::UnixPort;
pub use waker::WakerSlot;

use std::collections::VecDeque;
use std::io;
#[cfg(unix)]
use std::os::fd::BorrowedFd;

use tidegate_proto::net::{Cidr, Frame, IfaceConfig, TxFrame};
use tidegate_proto::tcp::Verdict;
use tidegate_proto::time::Instant;
use tidegate_proto::wire::eth::MacAddr;
use tidegate_proto::wire::frame::Link;

/// Something that carries frames. No call waits.
pub trait Device: Send {
    /// What it can do. The same answer as long as it lives.
    fn capabilities(&self) -> Capabilities;

    /// Puts what has arrived, at most `limit` frames, behind what `frames` has, and tells how many came off the link:
    /// fewer than `limit` mean that there is no more now.
    ///
    /// An error is the end of the device: an interface that was deleted, a peer that hung up. What arrived before it
    /// is in `frames`.
    fn receive(&mut self, frames: &mut Vec<Frame>, limit: usize) -> io::Result<usize>;

    /// Sends what it can from the front of `frames`. After [`Room::Full`], whatever is left there, the owner calls
    /// again when the device is writable. A frame that the device cannot carry is lost, as on any link.
    ///
    /// An error is the end of the device.
    fn send(&mut self, frames: &mut VecDeque<TxFrame>) -> io::Result<Room>;

    /// How to wait for it.
    fn wait(&self) -> Wait<'_>;

    /// When the owner calls [`receive`](Self::receive) and [`send`](Self::send) again even if nothing has happened
    /// that it could wait for: a device that holds frames back.
    fn next_timeout(&self) -> Option<Instant> {
        None
    }

    /// What became of a frame that [`receive`](Self::receive) gave: one call for each, in their order, before the next
    /// call of anything else. An owner that does not know leaves it out.
    fn on_verdict(&mut self, _verdict: Verdict) {}
}

impl<D: Device + ?Sized> Device for Box<D> {
    fn capabilities(&self) -> Capabilities {
        (**self).capabilities()
    }

    fn receive(&mut self, frames: &mut Vec<Frame>, limit: usize) -> io::Result<usize> {
        (**self).receive(frames, limit)
    }

    fn send(&mut self, frames: &mut VecDeque<TxFrame>) -> io::Result<Room> {
        (**self).send(frames)
    }

    fn wait(&self) -> Wait<'_> {
        (**self).wait()
    }

    fn next_timeout(&self) -> Option<Instant> {
        (**self).next_timeout()
    }

    fn on_verdict(&mut self, verdict: Verdict) {
        (**self).on_verdict(verdict);
    }
}

/// What a device can do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Capabilities {
    /// What its frames start with.
    pub link: Link,
    /// The largest IP packet that it carries, bytes.
    pub mtu: u16,
    /// The largest burst that it takes in one frame, bytes of payload; it passes them on whole, or cuts them itself.
    pub max_burst: u32,
    /// It finishes TCP checksums.
    pub checksum_offload: bool,
}

impl Capabilities {
    /// The interface of a stack over this device. `mac` is the stack's own address, which matters on Ethernet only.
    pub fn interface(&self, mac: MacAddr, addrs: Vec<Cidr>) -> IfaceConfig {
        IfaceConfig {
            mac: (self.link == Link::Ethernet).then_some(mac),
            mtu: self.mtu,
            addrs,
            max_burst: self.max_burst,
            checksum_offload: self.checksum_offload,
        }
    }
}

/// Whether a device takes more frames.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Room {
    /// Everything went.
    Free,
    /// Something waits until there is room.
    Full,
}

/// How to wait for a device.
#[derive(Debug)]
pub enum Wait<'a> {
    /// Until this descriptor is readable **or reports an error** (a deleted interface does nothing else); and, after
    /// [`Room::Full`], until it is writable.
    #[cfg(unix)]
    Fd(BorrowedFd<'a>),
    /// Register a waker, then call [`Device::receive`] and [`Device::send`] once more, then sleep: the waker is called
    /// for whatever comes later.
    Waker {
        /// Where it is called for frames, and for the end of the device.
        readable: &'a WakerSlot,
        /// Where it is called for room, after [`Room::Full`].
        writable: &'a WakerSlot,
    },
}

/// The largest burst: with the longest headers, IPv4's length field still holds it.
const MAX_BURST: u32 = 65_535 - 20 - 60;
/// Room for the largest frame: an IP packet of 65,535 bytes and its link header.
#[cfg(unix)]
const MAX_FRAME: usize = 65_535 + 18;
