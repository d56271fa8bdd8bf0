//! Ending: shutdown, close, linger.
//!
//! Sections: Linux `shutdown(2)`, `close(2)`, `socket(7)` (SO_LINGER), `tcp(7)` (TCP_LINGER2); RFC 9293 3.6, 3.9.1.4, 3.9.1.5.
//! In: what the program does not want any more.
//! Out: FIN or RST on its way, a free descriptor, and whether a caller of `close` waits.

use alloc::vec::Vec;

use super::ready::Ready;
use super::sock::{Call, Role};
use super::{Errno, Fd, Shutdown, Sockets};
use crate::net::SocketId;
use crate::tcp::State;
use crate::time::{Duration, Instant};
use crate::wire::FourTuple;

/// A connection whose descriptor is gone, and whose caller waits until what was written is acknowledged, or until
/// SO_LINGER's time is over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Linger {
    /// Whose end it is.
    pub key: FourTuple,
    /// When to stop waiting.
    pub until: Instant,
}

impl Sockets {
    /// `shutdown`.
    pub(super) fn take_shutdown(&mut self, fd: Fd, how: Shutdown, now: Instant) -> Result<(), Errno> {
        let sock = self.table.get(fd).ok_or(Errno::EBADF)?;
        let state = self.state_of(sock);
        let sock = self.table.get_mut(fd).ok_or(Errno::EBADF)?;
        let (read, write) = (how != Shutdown::Write, how != Shutdown::Read);
        if sock.call == Call::Connecting {
            sock.call = Call::Connected;
        }
        match state {
            // Like Linux: shut all the same, for whatever comes of the socket.
            State::Closed => {
                sock.shut.read |= read;
                sock.shut.write |= write;
                self.wake(fd, Ready::ALL);
                return Err(Errno::ENOTCONN);
            }
            State::Listen if !read => {}
            State::Listen => self.dissolve(fd, now),
            State::SynSent => {
                self.dissolve(fd, now);
                if let Some(sock) = self.table.get_mut(fd) {
                    sock.error = Some(Errno::ECONNRESET);
                }
            }
            _ => {
                sock.shut.read |= read;
                sock.shut.write |= write;
                if let Role::Connection(id) = sock.role {
                    let refuses = sock.shut.is_both();
                    if write {
                        self.stack.close(id, now)?;
                    }
                    if refuses {
                        self.stack.refuse_data(id, now)?;
                    }
                }
            }
        }
        self.wake(fd, Ready::ALL);
        Ok(())
    }

    /// `close`.
    pub(super) fn take_close(&mut self, fd: Fd, now: Instant) -> Result<Option<Linger>, Errno> {
        let sock = self.table.remove(fd).ok_or(Errno::EBADF)?;
        if sock.has_port
            && let Some(local) = sock.local
        {
            self.ports.remove(&(local.port(), fd));
        }
        let id = match &sock.role {
            Role::Idle => return Ok(None),
            Role::Listening(listeners) => {
                self.stop_listening(listeners);
                return Ok(None);
            }
            Role::Connection(id) => *id,
        };
        self.owners.remove(&id);
        let key = self.stack.key(id);
        if sock.no_fin_wait {
            self.stack.configure(id, |config| config.fin_timeout = Duration::ZERO, now)?;
        }
        //= 9293/SHLD-3
        if sock.linger == (true, 0) && self.stack.connection(id).is_some_and(|connection| connection.readable() == 0) {
            self.stack.abort(id, now)?;
        }
        self.stack.release(id, now);
        let until = now + Duration::from_secs(u64::from(sock.linger.1));
        let linger = key.filter(|_| sock.linger.0).map(|key| Linger { key, until });
        Ok(linger.filter(|linger| self.is_lingering(linger, now)))
    }

    /// True while a closed connection still has something to be acknowledged, and its caller has not waited long enough.
    pub fn is_lingering(&self, linger: &Linger, now: Instant) -> bool {
        let state = self.stack.state_of(&linger.key);
        now < linger.until && matches!(state, State::FinWait1 | State::Closing | State::LastAck)
    }

    /// The end of the host.
    pub(super) fn end_all(&mut self, now: Instant) -> Vec<SocketId> {
        self.is_down = true;
        let busy = self.table.iter().filter(|(_, sock)| !matches!(sock.role, Role::Idle));
        let ends = busy.map(|(fd, sock)| match sock.role {
            Role::Listening(_) => (fd, Shutdown::Read),
            Role::Idle | Role::Connection(_) => (fd, Shutdown::Write),
        });
        let ends: Vec<(Fd, Shutdown)> = ends.collect();
        for (fd, how) in ends {
            // A connection that is over already has nothing to end.
            let _ = self.take_shutdown(fd, how, now);
        }
        self.stack.connections().map(|(id, _)| id).filter(|id| !self.is_over(*id)).collect()
    }

    /// True for a connection of which nothing is left but, perhaps, its TIME-WAIT record.
    pub fn is_over(&self, connection: SocketId) -> bool {
        matches!(self.stack.state(connection), State::Closed | State::TimeWait)
    }

    /// The end of one connection.
    pub(super) fn end_at_once(&mut self, connection: SocketId, now: Instant) -> bool {
        if !self.stack.destroy(connection, now) {
            return false;
        }
        if let Some(&fd) = self.owners.get(&connection)
            && let Some(sock) = self.table.get_mut(fd)
        {
            // Like Linux: SOCK_DESTROY.
            sock.error = Some(Errno::ECONNABORTED);
            sock.end_told = true;
            self.wake(fd, Ready::ALL);
        }
        true
    }

    /// Refuses what is new to a host that goes down.
    pub(super) fn check_up(&self) -> Result<(), Errno> {
        if self.is_down { Err(Errno::ENETDOWN) } else { Ok(()) }
    }
}
