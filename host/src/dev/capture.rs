//! Another device whose frames are written to pcapng files, with what no observer can know: why each was sent, and what
//! became of those received.
//!
//! Sections: none; the file format is `proto`'s `trace::pcapng`, the comments are `trace::comment`'s.
//! In: a device, and files.
//! Out: the same device; captures for Wireshark, tcpdump and `tidegate explain`.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tidegate_lab::capture::Reasons;
use tidegate_proto::net::{Frame, TxFrame, offload};
use tidegate_proto::tcp::Verdict;
use tidegate_proto::time::{Duration, Instant};
use tidegate_proto::trace::comment::Reason;
use tidegate_proto::trace::pcapng::{Direction, Interface, InterfaceId, Packet, Writer};
use tidegate_proto::wire::checksum::portable;

use super::{Capabilities, Device, Room, Wait};
use crate::clock;

/// A device that keeps a record of its frames.
///
/// The record is what a capture on this host shows. Of a device that passes bursts whole, a burst is one frame of up to
/// 64 KiB, in both directions, as tcpdump shows it on the interface; its checksum is filled in. What other devices send
/// is recorded as the segments that they cut it into, and what they receive as it comes. Around a
/// [`Merge`](super::Merge) that is the merged frame.
#[derive(Debug)]
pub struct Capture<D: Device> {
    device: D,
    reasons: Reasons,
    interface: Interface,
    writer: Writer,
    id: InterfaceId,
    files: CaptureFiles,
    /// Received, and not judged yet.
    unjudged: VecDeque<(Duration, Bytes)>,
    /// How many of the frames that wait for room have been recorded.
    recorded: usize,
}

/// Where captures go: one file, or several that are used in turn.
#[derive(Debug)]
pub struct CaptureFiles {
    files: Vec<File>,
    current: usize,
    /// When the next file is begun.
    max_bytes: u64,
    /// In the current file.
    written: u64,
    status: CaptureStatus,
}

/// How a capture is doing. It stays with whoever asks, when the device is elsewhere or gone.
#[derive(Clone, Debug, Default)]
pub struct CaptureStatus(Arc<Mutex<Status>>);

#[derive(Debug, Default)]
struct Status {
    frames: u64,
    failure: Option<Arc<io::Error>>,
}

impl<D: Device> Capture<D> {
    /// Records what passes `device`, an interface called `name`: at most `snap_len` bytes of each frame, or all if
    /// that is 0. `reasons` tells which frames get comments.
    pub fn new(device: D, name: &str, files: CaptureFiles, snap_len: u32, reasons: Reasons) -> Self {
        let interface = Interface { name: name.into(), link: device.capabilities().link, snap_len };
        let (writer, id) = begin(&interface);
        Capture { device, reasons, interface, writer, id, files, unjudged: VecDeque::new(), recorded: 0 }
    }

    fn record(&mut self, bytes: &[u8], direction: Direction, since_1970: Duration, reason: Option<Reason>) {
        let is_told = |reason: &Reason| match self.reasons {
            Reasons::All => true,
            Reasons::Unusual => reason.is_unusual(),
            Reasons::None => false,
        };
        let comment = reason.filter(is_told).map(|reason| reason.to_string());
        let comments: Vec<&str> = comment.iter().map(String::as_str).collect();
        let time = Instant::ZERO + since_1970;
        self.writer.packet(&Packet { interface: self.id, time, direction, bytes, comments: &comments });
        self.files.status.lock().frames += 1;
        if self.files.is_full_with(self.writer.pending()) {
            self.write();
        }
    }

    /// What is recorded of a frame that goes out.
    fn record_sent(&mut self, frame: &TxFrame, since_1970: Duration) {
        let Capabilities { link, checksum_offload, .. } = self.device.capabilities();
        let reason = Reason::Sent { cause: frame.cause, note: frame.note };
        let whole;
        let frame = if checksum_offload {
            whole = TxFrame { gso_size: 0, ..frame.clone() };
            &whole
        } else {
            frame
        };
        for piece in offload::split(frame, link, portable) {
            self.record(&piece, Direction::Outbound, since_1970, Some(reason));
        }
    }

    /// Frames whose owner says nothing about them.
    fn record_unjudged(&mut self) {
        while let Some((at, bytes)) = self.unjudged.pop_front() {
            self.record(&bytes, Direction::Inbound, at, None);
        }
    }

    /// To the file, and on to the next one if this one is full.
    fn write(&mut self) {
        self.files.write(&self.writer.take_bytes());
        if self.files.is_full_with(0) {
            self.files.turn();
            (self.writer, self.id) = begin(&self.interface);
        }
    }
}

impl<D: Device> Device for Capture<D> {
    fn capabilities(&self) -> Capabilities {
        self.device.capabilities()
    }

    fn receive(&mut self, frames: &mut Vec<Frame>, limit: usize) -> io::Result<usize> {
        self.record_unjudged();
        let before = frames.len();
        let outcome = self.device.receive(frames, limit);
        if frames.len() > before {
            let at = clock::since_1970();
            let link = self.interface.link;
            self.unjudged.extend(frames[before..].iter().map(|frame| (at, offload::completed(frame, link, portable))));
        }
        outcome
    }

    fn send(&mut self, frames: &mut VecDeque<TxFrame>) -> io::Result<Room> {
        self.record_unjudged();
        if frames.len() > self.recorded {
            let at = clock::since_1970();
            for frame in frames.iter().skip(self.recorded) {
                self.record_sent(frame, at);
            }
        }
        self.write();
        let outcome = self.device.send(frames);
        self.recorded = frames.len();
        outcome
    }

    fn wait(&self) -> Wait<'_> {
        self.device.wait()
    }

    fn next_timeout(&self) -> Option<Instant> {
        self.device.next_timeout()
    }

    fn on_verdict(&mut self, verdict: Verdict) {
        if let Some((at, bytes)) = self.unjudged.pop_front() {
            self.record(&bytes, Direction::Inbound, at, Some(Reason::Received(verdict)));
        }
        if self.unjudged.is_empty() {
            self.write();
        }
        self.device.on_verdict(verdict);
    }
}

impl<D: Device> Drop for Capture<D> {
    fn drop(&mut self) {
        self.record_unjudged();
        self.write();
    }
}

/// A file's first blocks.
fn begin(interface: &Interface) -> (Writer, InterfaceId) {
    let mut writer = Writer::new("tidegate");
    let id = writer.add_interface(interface);
    (writer, id)
}

impl CaptureFiles {
    /// One file, however large it gets.
    pub fn single(path: impl AsRef<Path>) -> io::Result<Self> {
        Ok(Self::of(vec![File::create(path)?], u64::MAX))
    }

    /// `count` files of some `max_bytes` each, a last record more at the most: when the last file is full, the first is
    /// begun again. They are called as tcpdump calls them, `PATH` with a number behind it, and all are
    /// opened at once, so that a program may give up its rights afterwards.
    ///
    /// # Errors
    ///
    /// The system's; `InvalidInput` for no files.
    pub fn ring(path: impl AsRef<Path>, max_bytes: u64, count: usize) -> io::Result<Self> {
        if count == 0 {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "a capture needs at least one file"));
        }
        let digits = (count - 1).to_string().len();
        let files = (0..count).map(|n| {
            let mut name = path.as_ref().as_os_str().to_owned();
            name.push(format!("{n:0digits$}"));
            File::create(PathBuf::from(name))
        });
        Ok(Self::of(files.collect::<io::Result<_>>()?, max_bytes))
    }

    fn of(files: Vec<File>, max_bytes: u64) -> Self {
        CaptureFiles { files, current: 0, max_bytes, written: 0, status: CaptureStatus::default() }
    }

    /// Tells how the capture is doing.
    pub fn status(&self) -> CaptureStatus {
        self.status.clone()
    }

    /// Traffic goes on when the disk is full; the capture does not.
    fn write(&mut self, bytes: &[u8]) {
        let mut status = self.status.lock();
        if bytes.is_empty() || status.failure.is_some() {
            return;
        }
        self.written = self.written.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        status.failure = self.files[self.current].write_all(bytes).err().map(Arc::new);
    }

    /// True if the current file takes nothing more once `pending` bytes are in it.
    fn is_full_with(&self, pending: usize) -> bool {
        self.written.saturating_add(u64::try_from(pending).unwrap_or(u64::MAX)) >= self.max_bytes
    }

    /// Begins the next file.
    fn turn(&mut self) {
        self.current = (self.current + 1) % self.files.len();
        self.written = 0;
        let file = &mut self.files[self.current];
        let emptied = file.set_len(0).and_then(|()| file.rewind());
        let mut status = self.status.lock();
        status.failure = status.failure.take().or(emptied.err().map(Arc::new));
    }
}

impl CaptureStatus {
    /// Frames recorded so far.
    pub fn frames(&self) -> u64 {
        self.lock().frames
    }

    /// Why nothing is written any more, if that is so: a full disk.
    pub fn failure(&self) -> Option<Arc<io::Error>> {
        self.lock().failure.clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Status> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
