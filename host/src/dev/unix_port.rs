//! The listening end of a UNIX-socket link: a socket in the file system that peers plug into, one at a time.
//!
//! Sections: none; the frames are `unix`'s.
//! In: a path.
//! Out: a device that outlives its peers.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use rustix::event::epoll::{self, EventData, EventFlags};
use tidegate_proto::net::{Frame, TxFrame};
use tidegate_proto::wire::frame::Link;

use super::{Capabilities, Device, MAX_BURST, Room, UnixLink, Wait};

/// A socket that waits for whoever connects. While nobody has, frames sent are lost, as on a cable that is not plugged
/// in; when a peer has gone, the next one is taken.
#[derive(Debug)]
pub struct UnixPort {
    listener: UnixListener,
    peer: Option<UnixLink>,
    /// Readable when the listener or the peer is, and when a full peer has room again.
    events: OwnedFd,
    mtu: u16,
}

impl UnixPort {
    /// Listens at `path` for Ethernet links with packets of up to `mtu` bytes.
    ///
    /// # Errors
    ///
    /// The system's: `AddrInUse` if something is at `path` already.
    pub fn bind(path: impl AsRef<Path>, mtu: u16) -> io::Result<Self> {
        let listener = UnixListener::bind(path)?;
        listener.set_nonblocking(true)?;
        let events = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        epoll::add(&events, &listener, EventData::new_u64(0), EventFlags::IN)?;
        Ok(UnixPort { listener, peer: None, events, mtu })
    }

    /// The peer, or the next one that waits.
    fn peer(&mut self) -> io::Result<Option<&mut UnixLink>> {
        if self.peer.is_none() {
            let stream: UnixStream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                // Whoever it was has gone again.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => return Ok(None),
                Err(error) => return Err(error),
            };
            let link = UnixLink::new(stream, Link::Ethernet, self.mtu)?;
            epoll::add(&self.events, &link, EventData::new_u64(1), EventFlags::IN)?;
            // Others wait until this one has gone.
            epoll::modify(&self.events, &self.listener, EventData::new_u64(0), EventFlags::empty())?;
            self.peer = Some(link);
        }
        Ok(self.peer.as_mut())
    }

    fn unplug(&mut self) -> io::Result<()> {
        // The descriptor leaves the set when it is closed.
        self.peer = None;
        Ok(epoll::modify(&self.events, &self.listener, EventData::new_u64(0), EventFlags::IN)?)
    }
}

impl Device for UnixPort {
    fn capabilities(&self) -> Capabilities {
        Capabilities { link: Link::Ethernet, mtu: self.mtu, max_burst: MAX_BURST, checksum_offload: false }
    }

    /// The end of a peer is not the end of the device.
    fn receive(&mut self, frames: &mut Vec<Frame>, limit: usize) -> io::Result<usize> {
        let before = frames.len();
        loop {
            let Some(peer) = self.peer()? else { return Ok(frames.len() - before) };
            match peer.receive(frames, limit - (frames.len() - before)) {
                Ok(_) => return Ok(frames.len() - before),
                Err(_) => self.unplug()?,
            }
        }
    }

    fn send(&mut self, frames: &mut VecDeque<TxFrame>) -> io::Result<Room> {
        let Some(peer) = self.peer()? else {
            frames.clear();
            return Ok(Room::Free);
        };
        let Ok(room) = peer.send(frames) else {
            self.unplug()?;
            frames.clear();
            return Ok(Room::Free);
        };
        let interest = if room == Room::Full { EventFlags::IN | EventFlags::OUT } else { EventFlags::IN };
        if let Some(peer) = &self.peer {
            epoll::modify(&self.events, peer, EventData::new_u64(1), interest)?;
        }
        Ok(room)
    }

    fn wait(&self) -> Wait<'_> {
        Wait::Fd(self.events.as_fd())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn peers_come_and_go_one_after_the_other() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("port");
        let mut port = UnixPort::bind(&path, 1500).expect("a free name");
        let mut frames = Vec::new();
        assert_eq!(port.receive(&mut frames, 10).expect("nobody is no error"), 0);
        let mut first = UnixStream::connect(&path).expect("somebody listens");
        let mut second = UnixStream::connect(&path).expect("it may wait");
        second.write_all(&[0, 0, 0, 1, 2]).expect("room");
        first.write_all(&[0, 0, 0, 1, 1]).expect("room");
        assert_eq!(port.receive(&mut frames, 10).expect("alive"), 1);
        drop(first);
        assert_eq!(port.receive(&mut frames, 10).expect("alive"), 1);
        drop(second);
        assert_eq!(port.receive(&mut frames, 10).expect("alive"), 0);
        let _third = UnixStream::connect(&path).expect("somebody listens");
        assert!(UnixPort::bind(&path, 1500).is_err_and(|error| error.kind() == io::ErrorKind::AddrInUse));
        let received: Vec<u8> = frames.iter().map(|frame| frame.bytes[0]).collect();
        assert_eq!(received, [1, 2]);
    }
}
