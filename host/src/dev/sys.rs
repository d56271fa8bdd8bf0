//! The system calls that no safe wrapper has. The only file of this crate with unsafe code.
//!
//! Sections: `linux/if_tun.h`.
//! In: descriptors and values.
//! Out: what the kernel says.
#![expect(unsafe_code, reason = "ioctl, and telling a buffer how much the kernel wrote into it")]

use std::io;
use std::os::fd::AsFd;

use bytes::BytesMut;

/// Reads what is there, behind what `buffer` has, into its spare capacity. Gives the number of bytes.
pub(super) fn read<Fd: AsFd>(fd: Fd, buffer: &mut BytesMut) -> io::Result<usize> {
    let (read, _) = rustix::io::read(fd, buffer.spare_capacity_mut())?;
    let read = read.len();
    let len = buffer.len() + read;
    // SAFETY: the kernel has written the first `read` bytes of the spare capacity, which starts at the old length.
    unsafe { buffer.set_len(len) };
    Ok(read)
}

#[cfg(target_os = "linux")]
pub(super) use linux::{duplicate, interface, interface_mtu, set_interface, set_offload, set_vnet_header_len};

#[cfg(target_os = "linux")]
mod linux {
    use std::io;
    use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

    /// `struct ifreq`, its union as bytes.
    #[repr(C)]
    struct InterfaceRequest {
        name: [u8; libc::IFNAMSIZ],
        value: [u8; size_of::<libc::ifreq>() - libc::IFNAMSIZ],
    }

    impl InterfaceRequest {
        /// An error if no interface can have this name.
        fn new(name: &str) -> io::Result<Self> {
            let bytes = name.as_bytes();
            // The name ends with a zero byte.
            if bytes.is_empty() || bytes.len() >= libc::IFNAMSIZ || bytes.contains(&0) || bytes.contains(&b'/') {
                let why = format!("{name:?} is no interface name: 1 to {} bytes", libc::IFNAMSIZ - 1);
                return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
            }
            let mut request = InterfaceRequest::default();
            request.name[..bytes.len()].copy_from_slice(bytes);
            Ok(request)
        }

        fn name(&self) -> String {
            let len = self.name.iter().position(|byte| *byte == 0).unwrap_or(self.name.len());
            String::from_utf8_lossy(&self.name[..len]).into_owned()
        }

        fn flags(&self) -> i16 {
            i16::from_ne_bytes([self.value[0], self.value[1]])
        }
    }

    impl Default for InterfaceRequest {
        fn default() -> Self {
            InterfaceRequest { name: [0; libc::IFNAMSIZ], value: [0; size_of::<libc::ifreq>() - libc::IFNAMSIZ] }
        }
    }

    /// A duplicate of the descriptor `number`, if there is one.
    pub(in super::super) fn duplicate(number: u32) -> io::Result<OwnedFd> {
        let number = i32::try_from(number).map_err(|_| io::Error::from_raw_os_error(libc::EBADF))?;
        // SAFETY: F_DUPFD_CLOEXEC touches no memory; of a number that is no descriptor it says EBADF.
        let duplicate = unsafe { libc::fcntl(number, libc::F_DUPFD_CLOEXEC, 0) };
        if duplicate < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel has just made this descriptor for us, and nobody else knows its number.
        Ok(unsafe { OwnedFd::from_raw_fd(duplicate) })
    }

    /// TUNSETIFF: makes `fd` one end of the interface `name`, which is created if it does not exist. Gives its name,
    /// which differs if `name` is a pattern like `tun%d`.
    pub(in super::super) fn set_interface<Fd: AsFd>(fd: Fd, name: &str, flags: i16) -> io::Result<String> {
        let mut request = InterfaceRequest::new(name)?;
        request.value[..2].copy_from_slice(&flags.to_ne_bytes());
        ioctl(fd, libc::TUNSETIFF, &mut request)?;
        Ok(request.name())
    }

    /// TUNGETIFF: the interface that `fd` is one end of, and its flags.
    pub(in super::super) fn interface<Fd: AsFd>(fd: Fd) -> io::Result<(String, i16)> {
        let mut request = InterfaceRequest::default();
        ioctl(fd, libc::TUNGETIFF, &mut request)?;
        Ok((request.name(), request.flags()))
    }

    /// TUNSETVNETHDRSZ: how long the virtio header is.
    pub(in super::super) fn set_vnet_header_len<Fd: AsFd>(fd: Fd, len: i32) -> io::Result<()> {
        ioctl(fd, libc::TUNSETVNETHDRSZ, &mut len.clone())
    }

    /// TUNSETOFFLOAD: what the kernel may leave to us.
    pub(in super::super) fn set_offload<Fd: AsFd>(fd: Fd, offloads: u32) -> io::Result<()> {
        // SAFETY: this request takes its argument by value and touches no memory of ours.
        let outcome =
            unsafe { libc::ioctl(fd.as_fd().as_raw_fd(), libc::TUNSETOFFLOAD, libc::c_ulong::from(offloads)) };
        if outcome < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// SIOCGIFMTU: the largest IP packet on an interface of the calling thread's network namespace.
    pub(in super::super) fn interface_mtu(name: &str) -> io::Result<i32> {
        let socket = rustix::net::socket(rustix::net::AddressFamily::INET, rustix::net::SocketType::DGRAM, None)?;
        let mut request = InterfaceRequest::new(name)?;
        ioctl(socket, libc::SIOCGIFMTU, &mut request)?;
        Ok(i32::from_ne_bytes([request.value[0], request.value[1], request.value[2], request.value[3]]))
    }

    /// A request whose argument is a pointer to what `T` is.
    fn ioctl<T>(fd: impl AsFd, request: libc::Ioctl, argument: &mut T) -> io::Result<()> {
        // SAFETY: every caller's request reads and writes at most one `T` (a `struct ifreq`, or an `int`) at the
        // pointer, whose bytes are all initialised and valid in any combination.
        let outcome = unsafe { libc::ioctl(fd.as_fd().as_raw_fd(), request, std::ptr::from_mut(argument)) };
        if outcome < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}
