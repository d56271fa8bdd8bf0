//! TUN and TAP interfaces of Linux: the kernel's network at one end, this process at the other.
//!
//! Sections: `Documentation/networking/tuntap.rst`; the header of each frame is `vnet`'s.
//! In: bursts, which the kernel takes whole, headers and payload gathered by one system call.
//! Out: what the kernel sends, bursts whole, as slices of pooled buffers.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use arrayvec::ArrayVec;
use bytes::Bytes;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use tidegate_proto::net::{ChecksumState, Frame, TxFrame};
use tidegate_proto::wire::frame::Link;

use super::pool::Pool;
use super::unsent::Unsent;
use super::{Capabilities, Device, MAX_BURST, MAX_FRAME, Room, Wait, sys, vnet};

/// Who cuts bursts into segments, merges segments, and computes checksums.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Offload {
    /// The kernel, if anybody: bursts of up to 64 KiB pass whole in both directions, their checksums unfinished.
    Kernel,
    /// This process: every frame is a segment with its checksum, as on a wire.
    Software,
}

/// One end of a TUN (bare IP packets) or TAP (Ethernet frames) interface, or of anything else that reads and writes
/// one packet at a time.
#[derive(Debug)]
pub struct Tun {
    fd: OwnedFd,
    name: String,
    link: Link,
    mtu: u16,
    offload: Offload,
    pool: Pool,
    unsent: Unsent,
    lost: u64,
}

impl Tun {
    /// One end of the interface `name` of the calling thread's network namespace: a TUN for [`Link::Ip`], a TAP for
    /// [`Link::Ethernet`]. It is created if it does not exist, and then lives as long as this end; `tun%d` takes the
    /// next free number. The kernel's end of a new interface has no addresses and is down.
    ///
    /// # Errors
    ///
    /// `PermissionDenied` without CAP_NET_ADMIN, unless `ip tuntap add dev NAME mode tun user USER` has made the
    /// interface for this user; `ResourceBusy` if another process has it; `InvalidInput` if the name cannot be one or
    /// belongs to an interface of another kind.
    pub fn open(name: &str, link: Link, offload: Offload) -> io::Result<Self> {
        let fd = rustix::fs::open("/dev/net/tun", OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty())?;
        let mode = if link == Link::Ip { libc::IFF_TUN } else { libc::IFF_TAP };
        let header = if offload == Offload::Kernel { libc::IFF_VNET_HDR } else { 0 };
        let flags = i16::try_from(mode | libc::IFF_NO_PI | header).expect("the flags have 15 bits");
        let name = sys::set_interface(&fd, name, flags)?;
        Self::new(fd, name, link, offload)
    }

    /// As [`open`](Self::open) for an end that somebody else has opened, with IFF_NO_PI and with or without
    /// IFF_VNET_HDR: what it is, the kernel knows. It becomes non-blocking.
    ///
    /// # Errors
    ///
    /// The kernel's if `fd` is no TUN or TAP; `InvalidInput` if its frames have a packet information header. If its
    /// interface is in another network namespace, its MTU is unknown here: [`from_packets`](Self::from_packets) takes
    /// it as an argument.
    pub fn from_fd(fd: OwnedFd) -> io::Result<Self> {
        let (name, flags) = sys::interface(&fd)?;
        let has = |flag: i32| i32::from(flags) & flag != 0;
        if !has(libc::IFF_NO_PI) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{name} was opened without IFF_NO_PI")));
        }
        set_nonblocking(&fd)?;
        let link = if has(libc::IFF_TUN) { Link::Ip } else { Link::Ethernet };
        let offload = if has(libc::IFF_VNET_HDR) { Offload::Kernel } else { Offload::Software };
        Self::new(fd, name, link, offload)
    }

    /// As [`from_fd`](Self::from_fd), for a descriptor that this process was started with, by its number. It stays
    /// open; this is a duplicate.
    ///
    /// # Errors
    ///
    /// Those of `from_fd`; EBADF if no such descriptor is open.
    pub fn inherited(number: u32) -> io::Result<Self> {
        Self::from_fd(sys::duplicate(number)?)
    }

    /// A descriptor that reads and writes one packet at a time and need not be a TUN: a datagram or sequential-packet
    /// socket, or what a VPN framework hands over. With [`Offload::Kernel`] each packet has the ten bytes of a
    /// virtio-net header before it. The descriptor becomes non-blocking.
    pub fn from_packets(fd: OwnedFd, link: Link, mtu: u16, offload: Offload) -> io::Result<Self> {
        set_nonblocking(&fd)?;
        Ok(Self::of(fd, String::new(), link, mtu, offload))
    }

    fn new(fd: OwnedFd, name: String, link: Link, offload: Offload) -> io::Result<Self> {
        if offload == Offload::Kernel {
            sys::set_vnet_header_len(&fd, i32::try_from(vnet::LEN).expect("it is 10"))?;
            sys::set_offload(&fd, libc::TUN_F_CSUM | libc::TUN_F_TSO4 | libc::TUN_F_TSO6 | libc::TUN_F_TSO_ECN)?;
        }
        let mtu = u16::try_from(sys::interface_mtu(&name)?).unwrap_or(u16::MAX);
        Ok(Self::of(fd, name, link, mtu, offload))
    }

    fn of(fd: OwnedFd, name: String, link: Link, mtu: u16, offload: Offload) -> Self {
        let pool = Pool::new(vnet::LEN + MAX_FRAME);
        Tun { fd, name, link, mtu, offload, pool, unsent: Unsent::default(), lost: 0 }
    }

    /// The interface's name; empty if there is none.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How many frames the kernel would not take, because its end of the interface is down or short of memory.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    fn read(&mut self) -> io::Result<Option<Frame>> {
        loop {
            let fd = &self.fd;
            let bytes = self.pool.read(|buffer| match sys::read(fd, buffer) {
                // A packet socket's peer has closed.
                Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) => Ok(true),
                Err(error) if is(&error, Errno::AGAIN) => Ok(false),
                Err(error) => Err(error),
            });
            let bytes = match bytes {
                Ok(Some(bytes)) => bytes,
                Ok(None) => return Ok(None),
                Err(error) if is(&error, Errno::INTR) => continue,
                Err(error) => return Err(error),
            };
            match self.offload {
                Offload::Software => {
                    return Ok(Some(Frame { bytes, checksum: ChecksumState::Unknown, segments: 1 }));
                }
                Offload::Kernel => match vnet::parse(bytes) {
                    Some(frame) => return Ok(Some(frame)),
                    // Too short for its header: no frame.
                    None => continue,
                },
            }
        }
    }
}

impl AsFd for Tun {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Device for Tun {
    fn capabilities(&self) -> Capabilities {
        let checksum_offload = self.offload == Offload::Kernel;
        Capabilities { link: self.link, mtu: self.mtu, max_burst: MAX_BURST, checksum_offload }
    }

    fn receive(&mut self, frames: &mut Vec<Frame>, limit: usize) -> io::Result<usize> {
        for received in 0..limit {
            let Some(frame) = self.read()? else { return Ok(received) };
            frames.push(frame);
        }
        Ok(limit)
    }

    fn send(&mut self, frames: &mut VecDeque<TxFrame>) -> io::Result<Room> {
        let (fd, link, lost) = (self.fd.as_fd(), self.link, &mut self.lost);
        if self.offload == Offload::Software {
            return self.unsent.send(frames, link, |frame| write(fd, &[IoSlice::new(frame)], lost));
        }
        while let Some(frame) = frames.front() {
            let header = vnet::header_of(frame, link);
            let room = {
                let joined;
                let payload: &[Bytes] = if frame.payload.len() <= MAX_SLICES {
                    &frame.payload
                } else {
                    joined = [Bytes::from(frame.payload.concat())];
                    &joined
                };
                let parts = [&header[..], &frame.header].into_iter().chain(payload.iter().map(Bytes::as_ref));
                let parts: ArrayVec<IoSlice<'_>, MAX_PARTS> = parts.map(IoSlice::new).collect();
                write(fd, &parts, lost)?
            };
            if room == Room::Full {
                return Ok(Room::Full);
            }
            frames.pop_front();
        }
        Ok(Room::Free)
    }

    fn wait(&self) -> Wait<'_> {
        Wait::Fd(self.fd.as_fd())
    }
}

/// Writes one frame. What the kernel takes no offence at losing is lost, and counted.
fn write(fd: BorrowedFd<'_>, parts: &[IoSlice<'_>], lost: &mut u64) -> io::Result<Room> {
    loop {
        match rustix::io::writev(fd, parts) {
            Ok(_) => return Ok(Room::Free),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => return Ok(Room::Full),
            // EIO: the kernel's end is down. It may come up.
            Err(Errno::IO | Errno::NOBUFS | Errno::NOMEM | Errno::INVAL | Errno::MSGSIZE) => {
                *lost += 1;
                return Ok(Room::Free);
            }
            Err(error) => return Err(error.into()),
        }
    }
}

fn set_nonblocking(fd: &OwnedFd) -> io::Result<()> {
    let flags = rustix::fs::fcntl_getfl(fd)?;
    Ok(rustix::fs::fcntl_setfl(fd, flags | OFlags::NONBLOCK)?)
}

fn is(error: &io::Error, errno: Errno) -> bool {
    error.raw_os_error() == Some(errno.raw_os_error())
}

/// Slices of payload that one write gathers: as many as a stack's bursts have at the most.
const MAX_SLICES: usize = 16;
/// The virtio header, the frame's headers, and its payload.
const MAX_PARTS: usize = 2 + MAX_SLICES;

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

    #[test]
    fn a_packet_socket_can_stand_in_for_an_interface() {
        let (ours, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::empty(), None).expect("a socket pair");
        let mut tun = Tun::from_packets(ours, Link::Ip, 1400, Offload::Software).expect("any descriptor will do");
        assert_eq!((tun.capabilities().mtu, tun.name()), (1400, ""));
        let mut frames = Vec::new();
        assert_eq!(tun.receive(&mut frames, 10).expect("nothing is no error"), 0);
        for packet in [&b"one"[..], b"two"] {
            rustix::io::write(&theirs, packet).expect("room");
        }
        assert_eq!(tun.receive(&mut frames, 10).expect("two packets"), 2);
        assert_eq!(frames.iter().map(|frame| &frame.bytes[..]).collect::<Vec<_>>(), [&b"one"[..], b"two"]);
        drop(theirs);
        let error = tun.receive(&mut frames, 10).expect_err("the other end is gone");
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }

    /// However many slices a payload has, it goes out as one packet, in order.
    #[test]
    fn slices_are_gathered() {
        for count in [1, MAX_SLICES, MAX_SLICES + 1, 100] {
            let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::empty(), None)
                .expect("a socket pair");
            let mut tun = Tun::from_packets(ours, Link::Ip, 1400, Offload::Kernel).expect("any descriptor will do");
            let slices: Vec<Bytes> = (0..count).map(|n| Bytes::from(vec![n as u8; 3])).collect();
            let frame = TxFrame {
                iface: tidegate_proto::net::IfaceId(0),
                header: ArrayVec::from_iter([0x45; 40]),
                payload: slices.clone().into(),
                gso_size: 0,
                checksum: tidegate_proto::net::TxChecksum::Full,
                socket: None,
                cause: tidegate_proto::net::Cause::EchoReply,
                note: None,
            };
            assert_eq!(tun.send(&mut VecDeque::from([frame])).expect("room"), Room::Free);
            let mut packet = vec![0; 1000];
            let len = rustix::io::read(&theirs, &mut packet[..]).expect("a packet");
            assert_eq!(packet[..len], [&[0; vnet::LEN][..], &[0x45; 40], &slices.concat()].concat());
        }
    }

    #[test]
    fn a_name_that_cannot_be_one_is_refused() {
        for name in ["", "much-too-long-for-a-name", "a/b"] {
            let error = match Tun::open(name, Link::Ip, Offload::Kernel) {
                Ok(_) => panic!("{name:?} is no name"),
                // Without the right to open the control device the name is not looked at.
                Err(error) if matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::NotFound) => {
                    return;
                }
                Err(error) => error,
            };
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{name:?}");
        }
    }
}
