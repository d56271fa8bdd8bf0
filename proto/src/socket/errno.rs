//! Error numbers, and the one place where the stack's refusals and endings become them.
//!
//! Sections: Linux `errno(3)`, `tcp(7)`, `connect(2)`; RFC 9293 3.9.1 for what each of them answers to.
//! In: a [`SocketError`], or how a connection ended.
//! Out: an [`Errno`] with Linux's number, name and text.

use core::fmt;

use crate::net::SocketError;
use crate::tcp::{CloseReason, ConnError, Connection};

/// Why a call failed, as Linux numbers and names it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(i32)]
#[expect(missing_docs, reason = "each has its text")]
pub enum Errno {
    EPERM = 1,
    ENOENT = 2,
    EINTR = 4,
    EBADF = 9,
    EAGAIN = 11,
    ENOMEM = 12,
    EACCES = 13,
    EFAULT = 14,
    EINVAL = 22,
    EMFILE = 24,
    EPIPE = 32,
    EDOM = 33,
    ENOTSOCK = 88,
    EDESTADDRREQ = 89,
    EMSGSIZE = 90,
    ENOPROTOOPT = 92,
    EPROTONOSUPPORT = 93,
    ESOCKTNOSUPPORT = 94,
    EOPNOTSUPP = 95,
    EAFNOSUPPORT = 97,
    EADDRINUSE = 98,
    EADDRNOTAVAIL = 99,
    ENETDOWN = 100,
    ENETUNREACH = 101,
    ECONNABORTED = 103,
    ECONNRESET = 104,
    ENOBUFS = 105,
    EISCONN = 106,
    ENOTCONN = 107,
    ETIMEDOUT = 110,
    ECONNREFUSED = 111,
    EHOSTUNREACH = 113,
    EALREADY = 114,
    EINPROGRESS = 115,
}

impl Errno {
    /// All of them, by number.
    pub const ALL: &[Errno] = &[
        Errno::EPERM,
        Errno::ENOENT,
        Errno::EINTR,
        Errno::EBADF,
        Errno::EAGAIN,
        Errno::ENOMEM,
        Errno::EACCES,
        Errno::EFAULT,
        Errno::EINVAL,
        Errno::EMFILE,
        Errno::EPIPE,
        Errno::EDOM,
        Errno::ENOTSOCK,
        Errno::EDESTADDRREQ,
        Errno::EMSGSIZE,
        Errno::ENOPROTOOPT,
        Errno::EPROTONOSUPPORT,
        Errno::ESOCKTNOSUPPORT,
        Errno::EOPNOTSUPP,
        Errno::EAFNOSUPPORT,
        Errno::EADDRINUSE,
        Errno::EADDRNOTAVAIL,
        Errno::ENETDOWN,
        Errno::ENETUNREACH,
        Errno::ECONNABORTED,
        Errno::ECONNRESET,
        Errno::ENOBUFS,
        Errno::EISCONN,
        Errno::ENOTCONN,
        Errno::ETIMEDOUT,
        Errno::ECONNREFUSED,
        Errno::EHOSTUNREACH,
        Errno::EALREADY,
        Errno::EINPROGRESS,
    ];

    /// The number, as `raw_os_error` gives it.
    pub const fn number(self) -> i32 {
        self as i32
    }

    /// The error with this number.
    pub fn from_number(number: i32) -> Option<Errno> {
        Errno::ALL.iter().copied().find(|errno| errno.number() == number)
    }

    /// The name of the constant.
    pub const fn name(self) -> &'static str {
        match self {
            Errno::EPERM => "EPERM",
            Errno::ENOENT => "ENOENT",
            Errno::EINTR => "EINTR",
            Errno::EBADF => "EBADF",
            Errno::EAGAIN => "EAGAIN",
            Errno::ENOMEM => "ENOMEM",
            Errno::EACCES => "EACCES",
            Errno::EFAULT => "EFAULT",
            Errno::EINVAL => "EINVAL",
            Errno::EMFILE => "EMFILE",
            Errno::EPIPE => "EPIPE",
            Errno::EDOM => "EDOM",
            Errno::ENOTSOCK => "ENOTSOCK",
            Errno::EDESTADDRREQ => "EDESTADDRREQ",
            Errno::EMSGSIZE => "EMSGSIZE",
            Errno::ENOPROTOOPT => "ENOPROTOOPT",
            Errno::EPROTONOSUPPORT => "EPROTONOSUPPORT",
            Errno::ESOCKTNOSUPPORT => "ESOCKTNOSUPPORT",
            Errno::EOPNOTSUPP => "EOPNOTSUPP",
            Errno::EAFNOSUPPORT => "EAFNOSUPPORT",
            Errno::EADDRINUSE => "EADDRINUSE",
            Errno::EADDRNOTAVAIL => "EADDRNOTAVAIL",
            Errno::ENETDOWN => "ENETDOWN",
            Errno::ENETUNREACH => "ENETUNREACH",
            Errno::ECONNABORTED => "ECONNABORTED",
            Errno::ECONNRESET => "ECONNRESET",
            Errno::ENOBUFS => "ENOBUFS",
            Errno::EISCONN => "EISCONN",
            Errno::ENOTCONN => "ENOTCONN",
            Errno::ETIMEDOUT => "ETIMEDOUT",
            Errno::ECONNREFUSED => "ECONNREFUSED",
            Errno::EHOSTUNREACH => "EHOSTUNREACH",
            Errno::EALREADY => "EALREADY",
            Errno::EINPROGRESS => "EINPROGRESS",
        }
    }

    /// What the C library says of it.
    pub const fn text(self) -> &'static str {
        match self {
            Errno::EPERM => "Operation not permitted",
            Errno::ENOENT => "No such file or directory",
            Errno::EINTR => "Interrupted system call",
            Errno::EBADF => "Bad file descriptor",
            Errno::EAGAIN => "Resource temporarily unavailable",
            Errno::ENOMEM => "Cannot allocate memory",
            Errno::EACCES => "Permission denied",
            Errno::EFAULT => "Bad address",
            Errno::EINVAL => "Invalid argument",
            Errno::EMFILE => "Too many open files",
            Errno::EPIPE => "Broken pipe",
            Errno::EDOM => "Numerical argument out of domain",
            Errno::ENOTSOCK => "Socket operation on non-socket",
            Errno::EDESTADDRREQ => "Destination address required",
            Errno::EMSGSIZE => "Message too long",
            Errno::ENOPROTOOPT => "Protocol not available",
            Errno::EPROTONOSUPPORT => "Protocol not supported",
            Errno::ESOCKTNOSUPPORT => "Socket type not supported",
            Errno::EOPNOTSUPP => "Operation not supported",
            Errno::EAFNOSUPPORT => "Address family not supported by protocol",
            Errno::EADDRINUSE => "Address already in use",
            Errno::EADDRNOTAVAIL => "Cannot assign requested address",
            Errno::ENETDOWN => "Network is down",
            Errno::ENETUNREACH => "Network is unreachable",
            Errno::ECONNABORTED => "Software caused connection abort",
            Errno::ECONNRESET => "Connection reset by peer",
            Errno::ENOBUFS => "No buffer space available",
            Errno::EISCONN => "Transport endpoint is already connected",
            Errno::ENOTCONN => "Transport endpoint is not connected",
            Errno::ETIMEDOUT => "Connection timed out",
            Errno::ECONNREFUSED => "Connection refused",
            Errno::EHOSTUNREACH => "No route to host",
            Errno::EALREADY => "Operation already in progress",
            Errno::EINPROGRESS => "Operation now in progress",
        }
    }

    /// How a connection's end is told to its holder: once, and then no more. `None` for an end that is no error, and
    /// while it is not over.
    pub(super) fn of_end(connection: &Connection) -> Option<Errno> {
        match connection.close_reason()? {
            CloseReason::Normal => None,
            //= 9293/MUST-12
            CloseReason::Refused => Some(Errno::ECONNREFUSED),
            // Like Linux: whoever has heard the peer's FIN can only have been writing.
            CloseReason::Reset if connection.is_peer_closed() => Some(Errno::EPIPE),
            CloseReason::Reset | CloseReason::Aborted => Some(Errno::ECONNRESET),
            // What made the peer seem out of reach says more than the silence that followed.
            CloseReason::TimedOut if connection.soft_error().is_some() => Some(Errno::EHOSTUNREACH),
            CloseReason::TimedOut => Some(Errno::ETIMEDOUT),
        }
    }

    /// Why an active open was refused.
    pub(super) fn of_connect(error: SocketError) -> Errno {
        match error {
            SocketError::AddressInUse | SocketError::NoPorts => Errno::EADDRNOTAVAIL,
            SocketError::InvalidAddress => Errno::ENETUNREACH,
            other => other.into(),
        }
    }
}

impl From<SocketError> for Errno {
    fn from(error: SocketError) -> Errno {
        match error {
            SocketError::AddressInUse | SocketError::NoPorts => Errno::EADDRINUSE,
            SocketError::AddressNotAvailable | SocketError::InvalidAddress => Errno::EADDRNOTAVAIL,
            SocketError::NetworkUnreachable => Errno::ENETUNREACH,
            SocketError::BadSocket => Errno::EBADF,
            SocketError::Connection(ConnError::NotConnected) => Errno::ENOTCONN,
            SocketError::Connection(ConnError::Closing | ConnError::Closed(_)) => Errno::EPIPE,
        }
    }
}

/// The wording of the C library and the number, as the standard library prints an operating system's error.
impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (os error {})", self.text(), self.number())
    }
}

impl core::error::Error for Errno {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    /// The standard library asks the C library of this machine.
    #[cfg(target_os = "linux")]
    #[test]
    fn the_texts_are_the_operating_systems() {
        for errno in Errno::ALL {
            let theirs = std::io::Error::from_raw_os_error(errno.number());
            assert_eq!(errno.to_string(), theirs.to_string());
            assert_eq!(Errno::from_number(errno.number()), Some(*errno));
        }
        assert_eq!(Errno::from_number(0), None);
    }
}
