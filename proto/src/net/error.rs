//! Why a call on a stack was refused, and what an application may want to hear.
//!
//! Sections: RFC 9293 3.9.1 (the user's calls and their error responses).
//! In: nothing.
//! Out: [`SocketError`], [`Event`].

use core::fmt;

use crate::tcp::{self, ConnError};

/// Something an application may want to know of one of its sockets.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Event {
    /// A listener has a connection ready for [`Stack::accept`](super::Stack::accept).
    Acceptable,
    /// Something happened on a connection.
    Tcp(tcp::Event),
}

/// Why a call on a [`Stack`](super::Stack) was refused.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum SocketError {
    /// The address and port are taken.
    AddressInUse,
    /// The address is not one of this host's.
    AddressNotAvailable,
    /// No interface leads there.
    NetworkUnreachable,
    /// Not an address that TCP can reach: multicast, broadcast, unspecified (MUST-46).
    InvalidAddress,
    /// All ephemeral ports towards this peer are taken.
    NoPorts,
    /// No such socket, or not of the kind that the call needs.
    BadSocket,
    /// The connection's own refusal.
    Connection(ConnError),
}

impl From<ConnError> for SocketError {
    fn from(e: ConnError) -> Self {
        SocketError::Connection(e)
    }
}

impl fmt::Display for SocketError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SocketError::AddressInUse => "the address and port are taken",
            SocketError::AddressNotAvailable => "the address is not one of this host's",
            SocketError::NetworkUnreachable => "no interface leads to this network",
            SocketError::InvalidAddress => "TCP cannot reach a multicast, broadcast or unspecified address",
            SocketError::NoPorts => "all ephemeral ports towards this peer are taken",
            SocketError::BadSocket => "no such socket, or not of the kind that the call needs",
            SocketError::Connection(ConnError::Closing) => "the connection is closing",
            SocketError::Connection(ConnError::Closed(_)) => "the connection is closed",
            SocketError::Connection(ConnError::NotConnected) => "the socket is not connected",
        })
    }
}

impl core::error::Error for SocketError {}
