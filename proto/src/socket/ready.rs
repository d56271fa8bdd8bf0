//! Readiness: what `poll` would say of a descriptor now, and what has woken those who wait for it.
//!
//! Sections: Linux `poll(2)`, `epoll(7)`, `tcp(7)`.
//! In: a socket with its connection; events of the stack.
//! Out: [`Ready`] flags by level; wakes by edge.

use core::fmt;
use core::ops::{BitAnd, BitOr, BitOrAssign, Not};

use super::sock::{Role, Sock};
use super::urgent::Urgent;
use super::{Errno, Fd, Sockets};
use crate::net::{Event, SocketId};
use crate::tcp::{self, SoftError, State};

/// A set of conditions, with the bits of `poll(2)` and `epoll(7)`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Ready(pub u16);

impl Ready {
    /// Nothing.
    pub const NONE: Ready = Ready(0);
    /// `POLLIN`: a read would not wait.
    pub const IN: Ready = Ready(0x1);
    /// `POLLPRI`: urgent data waits.
    pub const PRI: Ready = Ready(0x2);
    /// `POLLOUT`: a write would not wait.
    pub const OUT: Ready = Ready(0x4);
    /// `POLLERR`: an error waits to be taken.
    pub const ERR: Ready = Ready(0x8);
    /// `POLLHUP`: both directions are shut, or there is no connection.
    pub const HUP: Ready = Ready(0x10);
    /// `POLLNVAL`: no such descriptor.
    pub const NVAL: Ready = Ready(0x20);
    /// `POLLRDHUP`: the peer has closed its side, or ours does not read any more.
    pub const RDHUP: Ready = Ready(0x2000);
    /// Everything that a change of state can touch.
    pub const ALL: Ready = Ready(0x201f);
    /// What nobody has to ask for: errors, hang-ups, closed descriptors.
    pub const ALWAYS: Ready = Ready(0x38);

    /// True if all of `other` is in `self`.
    pub const fn has(self, other: Ready) -> bool {
        self.0 & other.0 == other.0
    }

    /// True if nothing is in it.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl BitOr for Ready {
    type Output = Ready;
    fn bitor(self, other: Ready) -> Ready {
        Ready(self.0 | other.0)
    }
}

impl BitOrAssign for Ready {
    fn bitor_assign(&mut self, other: Ready) {
        self.0 |= other.0;
    }
}

impl BitAnd for Ready {
    type Output = Ready;
    fn bitand(self, other: Ready) -> Ready {
        Ready(self.0 & other.0)
    }
}

impl Not for Ready {
    type Output = Ready;
    fn not(self) -> Ready {
        Ready(!self.0)
    }
}

/// `IN|OUT|RDHUP`, or `-` for nothing.
impl fmt::Debug for Ready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut names = NAMES.iter().filter(|(bit, _)| self.has(*bit)).map(|(_, name)| name);
        f.write_str(names.next().unwrap_or(&"-"))?;
        names.try_for_each(|name| write!(f, "|{name}"))
    }
}

const NAMES: [(Ready, &str); 7] = [
    (Ready::IN, "IN"),
    (Ready::PRI, "PRI"),
    (Ready::OUT, "OUT"),
    (Ready::ERR, "ERR"),
    (Ready::HUP, "HUP"),
    (Ready::NVAL, "NVAL"),
    (Ready::RDHUP, "RDHUP"),
];

/// How often a descriptor was woken, for each direction: what changed since a caller last looked is an edge.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Edges {
    /// Wakes of readers.
    pub input: u64,
    /// Wakes of writers.
    pub output: u64,
}

impl Sockets {
    /// What `poll` says of the descriptor now, by level.
    pub fn readiness(&self, fd: Fd) -> Ready {
        self.table.get(fd).map_or(Ready::NVAL, |sock| self.level(sock))
    }

    /// As [`readiness`](Self::readiness), and the caller is going to wait: if there is no room to write, a wake comes
    /// when there is.
    pub fn poll(&mut self, fd: Fd) -> Ready {
        let ready = self.readiness(fd);
        if let (Some(sock), false) = (self.table.get_mut(fd), ready.has(Ready::OUT)) {
            sock.wants_room = true;
        }
        ready
    }

    /// How often the descriptor was woken so far. For edge-triggered waiting: whoever remembers the last count sees
    /// whether there was a new edge, and asks [`readiness`](Self::readiness) what there is.
    pub fn edges(&self, fd: Fd) -> Edges {
        self.table.get(fd).map_or_else(Edges::default, |sock| sock.edges)
    }

    /// The next descriptor that something happened to, and whom it wakes: those who wait for any of these conditions.
    /// Drained after [`poll_transmit`](Self::poll_transmit).
    pub fn poll_wake(&mut self) -> Option<(Fd, Ready)> {
        while let Some((socket, event)) = self.stack.poll_event() {
            self.absorb(socket, &event);
        }
        loop {
            let fd = self.woken.pop_front()?;
            // Who was closed meanwhile waits for nothing; who has its number now was woken for itself.
            if let Some(sock) = self.table.get_mut(fd) {
                let wake = core::mem::take(&mut sock.wake);
                if !wake.is_empty() {
                    return Some((fd, wake));
                }
            }
        }
    }

    /// An event of the stack becomes a wake.
    fn absorb(&mut self, socket: SocketId, event: &Event) {
        let Some(&fd) = self.owners.get(&socket) else { return };
        let Some(sock) = self.table.get_mut(fd) else { return };
        let wake = match event {
            Event::Acceptable => Ready::IN,
            Event::Tcp(tcp::Event::Connected) if !sock.quick_ack => {
                // Asked for before there was a connection that could have it.
                let _ = self.stack.set_quick_ack(socket, false, self.stack.now());
                Ready::ALL
            }
            Event::Tcp(tcp::Event::Connected | tcp::Event::PeerFin | tcp::Event::Closed(_)) => Ready::ALL,
            Event::Tcp(tcp::Event::Readable | tcp::Event::Urgent) => {
                let enough = self.readiness(fd) & (Ready::IN | Ready::PRI);
                if enough.is_empty() { Ready::NONE } else { Ready::IN | Ready::PRI }
            }
            Event::Tcp(tcp::Event::Writable) => {
                if core::mem::take(&mut sock.wants_room) {
                    Ready::OUT
                } else {
                    Ready::NONE
                }
            }
            Event::Tcp(tcp::Event::SoftError(error)) => {
                self.on_soft_error(fd, socket, *error);
                return;
            }
        };
        self.wake(fd, wake);
    }

    /// Trouble that may pass. TCP goes on (MUST-56), but whoever waits for a connection to a host that is out of reach
    /// is told so now.
    //= 9293/SHLD-25
    fn on_soft_error(&mut self, fd: Fd, socket: SocketId, error: SoftError) {
        let is_opening = self.stack.state(socket) == State::SynSent;
        if error != SoftError::Unreachable || !is_opening {
            return;
        }
        // Like Linux, and RFC 5461 4.1: a connection that was never there is given up at the first such report.
        self.fail_open(fd, Errno::EHOSTUNREACH);
    }

    /// Wakes those who wait for one of these conditions.
    pub(super) fn wake(&mut self, fd: Fd, wake: Ready) {
        let Some(sock) = self.table.get_mut(fd) else { return };
        if wake.is_empty() {
            return;
        }
        sock.edges.input += u64::from(!(wake & (Ready::IN | Ready::PRI | Ready::RDHUP)).is_empty());
        sock.edges.output += u64::from(wake.has(Ready::OUT));
        if sock.wake.is_empty() {
            self.woken.push_back(fd);
        }
        sock.wake |= wake;
    }

    /// The conditions that hold, in the order of Linux's `tcp_poll`.
    fn level(&self, sock: &Sock) -> Ready {
        let state = self.state_of(sock);
        let mut ready = Ready::NONE;
        if let Role::Listening(listeners) = &sock.role {
            let waiting = listeners.iter().any(|&listener| self.stack.is_acceptable(listener));
            return if waiting { Ready::IN } else { ready };
        }
        let shut = self.shut_of(sock);
        if shut.is_both() || state == State::Closed {
            ready |= Ready::HUP;
        }
        if shut.read {
            ready |= Ready::IN | Ready::RDHUP;
        }
        if !matches!(state, State::SynSent | State::SynReceived) {
            ready |= self.level_of_queues(sock, shut.write);
        }
        if self.pending_error(sock).is_some() {
            ready |= Ready::ERR;
        }
        ready
    }

    fn level_of_queues(&self, sock: &Sock, write_shut: bool) -> Ready {
        let Some(connection) = self.connection_of(sock) else { return Ready::OUT };
        let mut ready = Ready::NONE;
        let urgent = Urgent::of(sock, connection);
        let hole = urgent.is_some_and(|urgent| urgent.ahead == 0) && !sock.oob_inline;
        let available = connection.readable();
        let enough = available >= sock.lowat() + usize::from(hole);
        if available > 0 && (enough || connection.is_window_short()) {
            ready |= Ready::IN;
        }
        if write_shut || connection.has_room() {
            ready |= Ready::OUT;
        }
        if urgent.is_some_and(|urgent| urgent.has_arrived && !urgent.was_read) {
            ready |= Ready::PRI;
        }
        ready
    }

    /// What SO_ERROR would say: an error of a call, or how the connection ended.
    pub(super) fn pending_error(&self, sock: &Sock) -> Option<Errno> {
        let end = || self.connection_of(sock).filter(|_| !sock.end_told).and_then(Errno::of_end);
        sock.error.or_else(end)
    }

    /// The pending error, told once.
    pub(super) fn take_pending(&mut self, fd: Fd) -> Option<Errno> {
        let error = self.pending_error(self.table.get(fd)?)?;
        let sock = self.table.get_mut(fd)?;
        if sock.error.take().is_none() {
            sock.end_told = true;
        }
        Some(error)
    }
}
