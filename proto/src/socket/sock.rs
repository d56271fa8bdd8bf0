//! One socket: what the program has asked for, and what the stack does for it.
//!
//! Sections: Linux `socket(7)`, `tcp(7)`.
//! In: the calls on its descriptor.
//! Out: plain values that the calls read.

use arrayvec::ArrayVec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::ready::{Edges, Ready};
use super::{Errno, Sockets};
use crate::net::SocketId;
use crate::tcp::{Config, Connection, State};
use crate::wire::Pos;

/// The address family of a socket.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Domain {
    /// `AF_INET`.
    V4,
    /// `AF_INET6`; unless `IPV6_V6ONLY` is set, IPv4 peers appear as `::ffff:a.b.c.d`.
    V6,
}

/// What a descriptor stands for.
#[derive(Clone, Debug)]
pub(super) struct Sock {
    pub(super) domain: Domain,
    pub(super) role: Role,
    /// How far `connect` has come, as its caller knows.
    pub(super) call: Call,
    /// The settings that the connection starts from, and those it has.
    pub(super) config: Config,
    /// The address that the socket has, or had.
    pub(super) local: Option<SocketAddr>,
    /// The port is taken: another `bind` may not change it.
    pub(super) has_port: bool,
    /// The program named the port, and keeps it when a connection is dissolved.
    pub(super) port_locked: bool,
    /// An error that waits to be taken.
    pub(super) error: Option<Errno>,
    /// How the connection ended was told.
    pub(super) end_told: bool,
    /// What the program has shut.
    pub(super) shut: Shut,
    /// A writer found no room and waits for it.
    pub(super) wants_room: bool,
    /// The last write said that more would follow.
    pub(super) more: bool,
    /// The urgent pointer when the program last read, and when it read the byte before it out of band.
    pub(super) urgent_seen: Option<Pos>,
    pub(super) urgent_read: Option<Pos>,
    /// Whom the events since the last [`Sockets::poll_wake`] wake.
    pub(super) wake: Ready,
    pub(super) edges: Edges,

    pub(super) reuse_addr: bool,
    pub(super) reuse_port: bool,
    pub(super) v6_only: bool,
    pub(super) oob_inline: bool,
    /// SO_RCVLOWAT.
    pub(super) rcv_lowat: i32,
    /// SO_LINGER: whether, and how many seconds.
    pub(super) linger: (bool, u32),
    /// TCP_LINGER2 is negative.
    pub(super) no_fin_wait: bool,
    /// TCP_QUICKACK as asked for before there was a connection.
    pub(super) quick_ack: bool,
}

/// What the stack has of a socket.
#[derive(Clone, Debug)]
pub(super) enum Role {
    /// Nothing.
    Idle,
    /// One listener, or one for each IP version.
    Listening(ArrayVec<SocketId, 2>),
    /// A connection, in whatever state.
    Connection(SocketId),
}

/// How far `connect` has come: the kernel's `socket_state`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Call {
    Unconnected,
    Connecting,
    Connected,
}

/// Directions that are shut.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Shut {
    pub(super) read: bool,
    pub(super) write: bool,
}

impl Shut {
    pub(super) const fn is_both(self) -> bool {
        self.read && self.write
    }
}

impl Sock {
    pub(super) fn new(domain: Domain, config: Config) -> Self {
        Sock {
            domain,
            role: Role::Idle,
            call: Call::Unconnected,
            config,
            local: None,
            has_port: false,
            port_locked: false,
            error: None,
            end_told: false,
            shut: Shut::default(),
            wants_room: false,
            more: false,
            urgent_seen: None,
            urgent_read: None,
            wake: Ready::NONE,
            edges: Edges::default(),
            reuse_addr: false,
            reuse_port: false,
            v6_only: false,
            oob_inline: false,
            rcv_lowat: 1,
            linger: (false, 0),
            no_fin_wait: false,
            quick_ack: true,
        }
    }

    /// A socket for a connection of this listener, with what it inherits.
    pub(super) fn accepted(&self, connection: SocketId, config: Config, local: SocketAddr) -> Self {
        Sock {
            role: Role::Connection(connection),
            call: Call::Connected,
            local: Some(local),
            has_port: true,
            port_locked: self.port_locked,
            reuse_addr: self.reuse_addr,
            reuse_port: self.reuse_port,
            v6_only: self.v6_only,
            oob_inline: self.oob_inline,
            rcv_lowat: self.rcv_lowat,
            linger: self.linger,
            no_fin_wait: self.no_fin_wait,
            ..Sock::new(self.domain, config)
        }
    }

    /// How many bytes a reader waits for, at least.
    pub(super) fn lowat(&self) -> usize {
        usize::try_from(self.rcv_lowat.max(1)).unwrap_or(usize::MAX)
    }

    /// An address as the stack takes it: IPv4 for a mapped one.
    pub(super) fn to_stack(&self, addr: SocketAddr) -> SocketAddr {
        SocketAddr::new(addr.ip().to_canonical(), addr.port())
    }

    /// An address as this socket shows it: mapped, if the socket is IPv6 and the address is not.
    pub(super) fn to_program(&self, addr: SocketAddr) -> SocketAddr {
        match (self.domain, addr.ip()) {
            (Domain::V6, IpAddr::V4(ip)) => SocketAddr::new(ip.to_ipv6_mapped().into(), addr.port()),
            _ => addr,
        }
    }

    /// The address of a socket that has none.
    pub(super) const fn unspecified(&self) -> IpAddr {
        match self.domain {
            Domain::V4 => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            Domain::V6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        }
    }
}

impl Sockets {
    /// The connection behind a socket.
    pub(super) fn connection_of(&self, sock: &Sock) -> Option<&Connection> {
        match sock.role {
            Role::Connection(id) => self.stack.connection(id),
            Role::Idle | Role::Listening(_) => None,
        }
    }

    /// The state that a socket is in; TIME-WAIT is the stack's, not the socket's.
    pub(super) fn state_of(&self, sock: &Sock) -> State {
        match &sock.role {
            Role::Idle => State::Closed,
            Role::Listening(_) => State::Listen,
            Role::Connection(_) => self.connection_of(sock).map_or(State::Closed, Connection::state),
        }
    }

    /// What is shut, by the program, by the peer's FIN, or because the connection is over.
    pub(super) fn shut_of(&self, sock: &Sock) -> Shut {
        let Some(connection) = self.connection_of(sock) else { return sock.shut };
        let over = connection.state() == State::Closed;
        Shut { read: sock.shut.read || over || connection.is_peer_closed(), write: sock.shut.write || over }
    }
}
