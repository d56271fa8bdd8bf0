//! Frames over a UNIX stream socket, each behind its length: how QEMU's `-netdev stream` and passt speak, and so how
//! two processes, or a virtual machine and we, share a link without privileges.
//!
//! Sections: none; the length is four bytes in network order.
//! In: a connected socket.
//! Out: a device.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;

use bytes::{Buf, Bytes, BytesMut};
use rustix::io::Errno;
use tidegate_proto::net::{ChecksumState, Frame, TxFrame};
use tidegate_proto::wire::frame::Link;

use super::unsent::Unsent;
use super::{Capabilities, Device, MAX_BURST, MAX_FRAME, Room, Wait, sys};

/// One end of a link over a UNIX stream socket.
#[derive(Debug)]
pub struct UnixLink {
    fd: OwnedFd,
    link: Link,
    mtu: u16,
    /// What was read and is no whole frame yet.
    inbound: BytesMut,
    /// How much of the frame at the head of the queue has been written, its length included.
    written: usize,
    unsent: Unsent,
}

impl UnixLink {
    /// Connects to the socket at `path`, whose owner speaks Ethernet, as QEMU and passt do, with packets of up to
    /// `mtu` bytes.
    pub fn connect(path: impl AsRef<Path>, mtu: u16) -> io::Result<Self> {
        Self::new(UnixStream::connect(path)?, Link::Ethernet, mtu)
    }

    /// A link over a connected socket: one that a listener accepted, or half of a pair. It becomes non-blocking.
    pub fn new(stream: UnixStream, link: Link, mtu: u16) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        let inbound = BytesMut::with_capacity(READ);
        Ok(UnixLink { fd: stream.into(), link, mtu, inbound, written: 0, unsent: Unsent::default() })
    }

    /// The next whole frame of what was read.
    fn next_frame(&mut self) -> io::Result<Option<Bytes>> {
        let Some(prefix) = self.inbound.first_chunk() else { return Ok(None) };
        let len = usize::try_from(u32::from_be_bytes(*prefix)).unwrap_or(usize::MAX);
        if len > MAX_FRAME {
            let why = format!("a frame of {len} bytes: the peer does not speak this protocol");
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
        if self.inbound.len() < PREFIX + len {
            return Ok(None);
        }
        self.inbound.advance(PREFIX);
        Ok(Some(self.inbound.split_to(len).freeze()))
    }

    /// Reads more; false if there is nothing now.
    fn fill(&mut self) -> io::Result<bool> {
        self.inbound.reserve(READ);
        loop {
            match sys::read(&self.fd, &mut self.inbound) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) => return Ok(true),
                Err(error) => match Errno::from_io_error(&error) {
                    Some(Errno::INTR) => {}
                    Some(Errno::AGAIN) => return Ok(false),
                    _ => return Err(error),
                },
            }
        }
    }
}

impl AsFd for UnixLink {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Device for UnixLink {
    fn capabilities(&self) -> Capabilities {
        Capabilities { link: self.link, mtu: self.mtu, max_burst: MAX_BURST, checksum_offload: false }
    }

    fn receive(&mut self, frames: &mut Vec<Frame>, limit: usize) -> io::Result<usize> {
        let mut received = 0;
        while received < limit {
            match self.next_frame()? {
                Some(bytes) => {
                    frames.push(Frame { bytes, checksum: ChecksumState::Unknown, segments: 1 });
                    received += 1;
                }
                None if !self.fill()? => break,
                None => {}
            }
        }
        Ok(received)
    }

    fn send(&mut self, frames: &mut VecDeque<TxFrame>) -> io::Result<Room> {
        let (fd, written) = (self.fd.as_fd(), &mut self.written);
        self.unsent.send(frames, self.link, |frame| {
            let prefix = u32::try_from(frame.len()).expect("a segment is at most 64 KiB").to_be_bytes();
            while *written < PREFIX + frame.len() {
                let rest = (prefix.get(*written..).unwrap_or(&[]), &frame[written.saturating_sub(PREFIX)..]);
                match rustix::io::writev(fd, &[IoSlice::new(rest.0), IoSlice::new(rest.1)]) {
                    Ok(n) => *written += n,
                    Err(Errno::INTR) => {}
                    Err(Errno::AGAIN) => return Ok(Room::Full),
                    Err(error) => return Err(error.into()),
                }
            }
            *written = 0;
            Ok(Room::Free)
        })
    }

    fn wait(&self) -> Wait<'_> {
        Wait::Fd(self.fd.as_fd())
    }
}

/// The length before each frame.
const PREFIX: usize = 4;
/// Bytes to ask for at a time: a full frame and some.
const READ: usize = 128 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};

    fn link() -> (UnixLink, UnixStream) {
        let (ours, theirs) = UnixStream::pair().expect("a socket pair");
        (UnixLink::new(ours, Link::Ethernet, 1500).expect("a socket"), theirs)
    }

    fn prefixed(frame: &[u8]) -> Vec<u8> {
        [&u32::try_from(frame.len()).expect("short").to_be_bytes()[..], frame].concat()
    }

    #[test]
    fn frames_arrive_however_the_stream_is_cut() {
        let (mut link, mut theirs) = link();
        let frames = [vec![1; 60], vec![], vec![2; 65_549], vec![3; 1514]];
        let stream: Vec<u8> = frames.iter().flat_map(|frame| prefixed(frame)).collect();
        let mut received = Vec::new();
        for piece in stream.chunks(977) {
            theirs.write_all(piece).expect("room");
            assert!(link.receive(&mut received, 100).expect("alive") < 100);
        }
        assert!(received.iter().map(|frame| &frame.bytes[..]).eq(frames.iter().map(|frame| &frame[..])));
    }

    #[test]
    fn a_limit_leaves_the_rest_for_later() {
        let (mut link, mut theirs) = link();
        theirs.write_all(&[prefixed(b"one"), prefixed(b"two"), prefixed(b"three")].concat()).expect("room");
        let mut received = Vec::new();
        assert_eq!(link.receive(&mut received, 2).expect("alive"), 2);
        assert_eq!(link.receive(&mut received, 2).expect("alive"), 1);
        assert_eq!(received.last().map(|frame| &frame.bytes[..]), Some(&b"three"[..]));
    }

    #[test]
    fn what_arrived_before_the_end_is_received_before_it_is_told() {
        let (mut link, mut theirs) = link();
        theirs.write_all(&prefixed(b"last words")).expect("room");
        drop(theirs);
        let mut received = Vec::new();
        let error = link.receive(&mut received, 10).expect_err("the peer is gone");
        assert_eq!((received.len(), error.kind()), (1, io::ErrorKind::UnexpectedEof));
    }

    #[test]
    fn an_impossible_length_ends_the_link() {
        let (mut link, mut theirs) = link();
        theirs.write_all(b"GET / HTTP/1.1\r\n").expect("room");
        let error = link.receive(&mut Vec::new(), 10).expect_err("no frame is that long");
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn a_full_socket_is_waited_for_and_nothing_is_torn() {
        let (mut link, mut theirs) = link();
        let payload = Bytes::from(vec![7; 9000]);
        let mut frames: VecDeque<TxFrame> = (0..100)
            .map(|_| TxFrame {
                iface: tidegate_proto::net::IfaceId(0),
                header: arrayvec::ArrayVec::from_iter([1; 14]),
                payload: payload.clone().into(),
                gso_size: 0,
                checksum: tidegate_proto::net::TxChecksum::Full,
                socket: None,
                cause: tidegate_proto::net::Cause::EchoReply,
                note: None,
            })
            .collect();
        let expected = prefixed(&[&[1; 14][..], &payload].concat()).repeat(100);
        assert_eq!(link.send(&mut frames).expect("alive"), Room::Full, "900 kB do not fit in a socket");
        let mut received = vec![0; 100_000];
        let mut got = Vec::new();
        while got.len() < expected.len() {
            let n = theirs.read(&mut received).expect("alive");
            got.extend_from_slice(&received[..n]);
            link.send(&mut frames).expect("alive");
        }
        assert!(got == expected);
        assert_eq!(link.send(&mut frames).expect("alive"), Room::Free);
    }
}
