//! The urgent mark, as sockets know it: one byte out of band, or a mark in the stream.
//!
//! Sections: RFC 9293 3.8.5, RFC 6093; Linux `tcp(7)` (urgent data), `recv(2)` (MSG_OOB).
//! In: the urgent pointer of a connection, and how far its reader has come.
//! Out: where the urgent byte stands, and whether it can be read.

use super::sock::Sock;
use crate::tcp::Connection;
use crate::wire::Pos;

/// The urgent byte that is announced and not passed: the last one before the urgent pointer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Urgent {
    /// The urgent pointer.
    pub(super) up: Pos,
    /// Bytes to read before it.
    pub(super) ahead: usize,
    /// It is in the receive queue.
    pub(super) has_arrived: bool,
    /// It was read out of band.
    pub(super) was_read: bool,
}

impl Urgent {
    pub(super) fn of(sock: &Sock, connection: &Connection) -> Option<Urgent> {
        let (up, at) = (connection.urgent()?, connection.read_position());
        let ahead = usize::try_from(up.since(at).checked_sub(1)?).ok()?;
        let has_arrived = ahead < connection.readable();
        Some(Urgent { up, ahead, has_arrived, was_read: sock.urgent_read == Some(up) })
    }
}
