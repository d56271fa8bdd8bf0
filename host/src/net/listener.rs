//! A listener, as tokio's.
//!
//! Sections: Linux `listen(2)`, `accept(2)`.
//! In: an address; connections that peers open.
//! Out: [`TcpStream`]s.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};

use tidegate_proto::socket::Opt;
use tokio::net::ToSocketAddrs;

use super::TcpStream;
use super::socket::Socket;
use crate::Host;
use crate::rt::Direction;

/// A TCP socket that listens for connections. Dropping it refuses what has not been accepted.
pub struct TcpListener {
    pub(super) socket: Socket,
}

impl TcpListener {
    /// Listens at `addr` on the current host (see [`Host::current`]). Port 0 leaves the choice to the host. A name is
    /// resolved by the system's own resolver.
    ///
    /// # Errors
    ///
    /// `EADDRINUSE`, `EADDRNOTAVAIL`, and `NotConnected` if there is no current host.
    pub async fn bind<A: ToSocketAddrs>(addr: A) -> io::Result<TcpListener> {
        Host::current()?.bind(addr).await
    }

    /// The next connection and its peer's address.
    ///
    /// # Errors
    ///
    /// `EMFILE`, when the host has as many sockets as it may; the connection waits on.
    ///
    /// Cancel safe: a connection is taken only by the poll that returns it.
    pub async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let (fd, peer) = self.socket.until(Direction::Read, |sockets, fd, now| sockets.accept(fd, now)).await?;
        Ok((TcpStream::from(Socket::adopt(self.socket.driver(), fd)), peer))
    }

    /// As [`accept`](Self::accept). The last task that polled is the one that is woken.
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        let accepted = self.socket.poll_call(Direction::Read, cx, |sockets, fd, now| sockets.accept(fd, now));
        accepted.map_ok(|(fd, peer)| (TcpStream::from(Socket::adopt(self.socket.driver(), fd)), peer))
    }

    /// The address that it listens at.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.call(|sockets, fd, _| sockets.local_addr(fd))
    }

    /// IP_TTL of the connections to come.
    pub fn ttl(&self) -> io::Result<u32> {
        self.socket.option(Opt::IpTtl)
    }

    /// Sets IP_TTL of the connections to come: 1 to 255.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.socket.set_option(Opt::IpTtl, ttl)
    }
}

impl fmt::Debug for TcpListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TcpListener").field(&self.socket).finish()
    }
}
