//! Errors as the kernel gives them.
//!
//! Sections: Linux `errno(3)`.
//! In: an [`Errno`] of the socket room.
//! Out: an [`io::Error`] with the same number, kind and text as the kernel's sockets give.

use std::io;

use tidegate_proto::socket::Errno;

/// The error that the standard library makes of this number.
pub(crate) fn os(errno: Errno) -> io::Error {
    io::Error::from_raw_os_error(errno.number())
}
