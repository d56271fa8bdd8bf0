//! What both versions of IP share: ECN bits, protocol numbers, the four-tuple, the pseudo-header.
//!
//! Sections: RFC 9293 3.1 (pseudo-header); RFC 3168 5 (ECN field).
//! In: addresses and ports.
//! Out: the key of a connection and the sum that every TCP checksum starts with.

use core::net::{IpAddr, SocketAddr};

/// The ECN field of an IP header.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Ecn {
    /// 00: the sender does not use ECN.
    #[default]
    NotEct,
    /// 01.
    Ect1,
    /// 10.
    Ect0,
    /// 11: a router met congestion.
    Ce,
}

/// The two sockets that name a connection, seen from our side.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FourTuple {
    /// Our address.
    pub local_ip: IpAddr,
    /// The peer's address.
    pub remote_ip: IpAddr,
    /// Our port.
    pub local_port: u16,
    /// The peer's port.
    pub remote_port: u16,
}

impl FourTuple {
    /// The connection between `local` and `remote`.
    pub fn new(local: SocketAddr, remote: SocketAddr) -> Self {
        FourTuple { local_ip: local.ip(), remote_ip: remote.ip(), local_port: local.port(), remote_port: remote.port() }
    }

    /// Our socket.
    pub fn local(&self) -> SocketAddr {
        SocketAddr::new(self.local_ip, self.local_port)
    }

    /// The peer's socket.
    pub fn remote(&self) -> SocketAddr {
        SocketAddr::new(self.remote_ip, self.remote_port)
    }

    /// The same connection as the peer names it.
    pub fn reversed(&self) -> Self {
        FourTuple {
            local_ip: self.remote_ip,
            remote_ip: self.local_ip,
            local_port: self.remote_port,
            remote_port: self.local_port,
        }
    }
}

impl core::fmt::Debug for FourTuple {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{{{}, {}}}", self.local(), self.remote())
    }
}
