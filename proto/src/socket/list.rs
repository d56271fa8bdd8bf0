//! What there is: listeners, connections, and the records of those that are opening or over.
//!
//! Sections: Linux `ss(8)`, `sock_diag(7)` (the queues of a listener).
//! In: descriptors; the stack.
//! Out: plain values, one for each.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::net::SocketAddr;

use super::sock::Role;
use super::{Fd, Sockets};
use crate::net::SocketId;
use crate::tcp::{Connection, State, TcpInfo};
use crate::time::Instant;
use crate::wire::FourTuple;

/// A listener, a connection, or the record of one.
#[derive(Clone, PartialEq, Debug)]
pub struct Listed {
    /// The program's descriptor; none if it has closed it, or has not accepted the connection yet.
    pub fd: Option<Fd>,
    /// The state.
    pub state: State,
    /// Our end.
    pub local: SocketAddr,
    /// The peer's end; none for a listener.
    pub remote: Option<SocketAddr>,
    /// Bytes that nobody has read; of a listener, connections that wait to be accepted.
    pub recv_queue: u64,
    /// Bytes that are not acknowledged, a FIN counted; of a listener, how many connections may wait.
    pub send_queue: u64,
    /// All that a connection knows of itself.
    pub info: Option<Box<TcpInfo>>,
}

impl Sockets {
    pub(super) fn list_all(&self, now: Instant) -> Vec<Listed> {
        let held = self.table.iter().filter_map(|(fd, sock)| match &sock.role {
            Role::Idle => None,
            Role::Listening(listeners) => Some(self.listener(fd, sock.local?, listeners)),
            Role::Connection(id) => {
                let mut listed = listed(self.stack.connection(*id)?, now);
                listed.fd = Some(fd);
                (listed.local, listed.remote) =
                    (sock.to_program(listed.local), listed.remote.map(|r| sock.to_program(r)));
                Some(listed)
            }
        });
        let others = self.stack.connections().filter(|(id, _)| !self.owners.contains_key(id));
        // What is in TIME-WAIT, or over, has a record of its own or none.
        let others = others.filter(|(id, _)| !self.is_over(*id)).map(|(_, connection)| listed(connection, now));
        let half_open = self.stack.half_opens().map(|key| record(&key, State::SynReceived));
        let time_wait = self.stack.time_waits().map(|key| record(&key, State::TimeWait));
        held.chain(others).chain(half_open).chain(time_wait).collect()
    }

    fn listener(&self, fd: Fd, local: SocketAddr, listeners: &[SocketId]) -> Listed {
        let queues = listeners.iter().filter_map(|id| self.stack.accept_queue(*id));
        // One listener for each version of IP, and one limit for both.
        let (waiting, limit) = queues.fold((0, 0), |sum, queue| (sum.0 + queue.0, sum.1.max(queue.1)));
        // `listen` lets one more wait than it was asked for, as Linux does.
        let (recv_queue, send_queue) = (waiting as u64, limit.saturating_sub(1) as u64);
        Listed { fd: Some(fd), state: State::Listen, local, remote: None, recv_queue, send_queue, info: None }
    }
}

fn listed(connection: &Connection, now: Instant) -> Listed {
    let key = connection.key();
    Listed {
        recv_queue: connection.readable() as u64,
        send_queue: connection.unacknowledged().0,
        info: Some(Box::new(connection.info(now))),
        ..record(&key, connection.state())
    }
}

fn record(key: &FourTuple, state: State) -> Listed {
    let (local, remote) = (key.local(), Some(key.remote()));
    Listed { fd: None, state, local, remote, recv_queue: 0, send_queue: 0, info: None }
}
