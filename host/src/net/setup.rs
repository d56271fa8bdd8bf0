//! A socket before it connects or listens, as tokio's.
//!
//! Sections: Linux `socket(7)`, `tcp(7)`, `ip(7)`, `ipv6(7)`.
//! In: options, an address of our own.
//! Out: a [`TcpStream`] or a [`TcpListener`].

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tidegate_proto::socket::{Domain, Opt};

use super::socket::Socket;
use super::stream::{linger_of, set_linger_of};
use super::{TcpListener, TcpStream};
use crate::Host;
use crate::rt::Direction;

/// A TCP socket that is neither connected nor listening yet.
pub struct TcpSocket {
    pub(super) socket: Socket,
}

impl TcpSocket {
    /// A socket for IPv4 on the current host (see [`Host::current`]).
    ///
    /// # Errors
    ///
    /// `EMFILE`, when the host has as many sockets as it may; `NotConnected` if there is no current host.
    pub fn new_v4() -> io::Result<TcpSocket> {
        Host::current()?.socket_v4()
    }

    /// A socket for IPv6 on the current host (see [`Host::current`]).
    ///
    /// # Errors
    ///
    /// `EMFILE`, when the host has as many sockets as it may; `NotConnected` if there is no current host.
    pub fn new_v6() -> io::Result<TcpSocket> {
        Host::current()?.socket_v6()
    }

    pub(crate) fn on(host: &Host, domain: Domain) -> io::Result<TcpSocket> {
        Ok(TcpSocket { socket: Socket::new(host.driver(), domain)? })
    }

    /// SO_KEEPALIVE.
    pub fn keepalive(&self) -> io::Result<bool> {
        self.flag(Opt::KeepAlive)
    }

    /// SO_KEEPALIVE: an idle connection is probed.
    pub fn set_keepalive(&self, keepalive: bool) -> io::Result<()> {
        self.socket.set_option(Opt::KeepAlive, keepalive.into())
    }

    /// SO_REUSEADDR.
    pub fn reuseaddr(&self) -> io::Result<bool> {
        self.flag(Opt::ReuseAddr)
    }

    /// SO_REUSEADDR: what is left of old connections does not keep the port.
    pub fn set_reuseaddr(&self, reuseaddr: bool) -> io::Result<()> {
        self.socket.set_option(Opt::ReuseAddr, reuseaddr.into())
    }

    /// SO_REUSEPORT.
    pub fn reuseport(&self) -> io::Result<bool> {
        self.flag(Opt::ReusePort)
    }

    /// SO_REUSEPORT: others that have it set may bind to the same port.
    pub fn set_reuseport(&self, reuseport: bool) -> io::Result<()> {
        self.socket.set_option(Opt::ReusePort, reuseport.into())
    }

    /// SO_SNDBUF, bytes; twice what was set.
    pub fn send_buffer_size(&self) -> io::Result<u32> {
        self.socket.option(Opt::SndBuf)
    }

    /// SO_SNDBUF, bytes.
    pub fn set_send_buffer_size(&self, size: u32) -> io::Result<()> {
        self.socket.set_option(Opt::SndBuf, size)
    }

    /// SO_RCVBUF, bytes; twice what was set.
    pub fn recv_buffer_size(&self) -> io::Result<u32> {
        self.socket.option(Opt::RcvBuf)
    }

    /// SO_RCVBUF, bytes.
    pub fn set_recv_buffer_size(&self, size: u32) -> io::Result<()> {
        self.socket.set_option(Opt::RcvBuf, size)
    }

    /// SO_LINGER.
    pub fn linger(&self) -> io::Result<Option<Duration>> {
        linger_of(&self.socket)
    }

    /// SO_LINGER; see [`TcpStream::set_linger`].
    pub fn set_linger(&self, dur: Option<Duration>) -> io::Result<()> {
        set_linger_of(&self.socket, dur)
    }

    /// Dropping the connection resets it.
    pub fn set_zero_linger(&self) -> io::Result<()> {
        self.set_linger(Some(Duration::ZERO))
    }

    /// TCP_NODELAY.
    pub fn nodelay(&self) -> io::Result<bool> {
        self.flag(Opt::NoDelay)
    }

    /// TCP_NODELAY; see [`TcpStream::set_nodelay`].
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.socket.set_option(Opt::NoDelay, nodelay.into())
    }

    /// IP_TOS.
    pub fn tos_v4(&self) -> io::Result<u32> {
        self.socket.option(Opt::IpTos)
    }

    /// IP_TOS; the two bits of ECN are TCP's own.
    pub fn set_tos_v4(&self, tos: u32) -> io::Result<()> {
        self.socket.set_option(Opt::IpTos, tos)
    }

    /// The older name of [`tos_v4`](Self::tos_v4).
    pub fn tos(&self) -> io::Result<u32> {
        self.tos_v4()
    }

    /// The older name of [`set_tos_v4`](Self::set_tos_v4).
    pub fn set_tos(&self, tos: u32) -> io::Result<()> {
        self.set_tos_v4(tos)
    }

    /// IPV6_TCLASS.
    pub fn tclass_v6(&self) -> io::Result<u32> {
        self.socket.option(Opt::Ipv6Tclass)
    }

    /// IPV6_TCLASS; the two bits of ECN are TCP's own.
    pub fn set_tclass_v6(&self, tclass: u32) -> io::Result<()> {
        self.socket.set_option(Opt::Ipv6Tclass, tclass)
    }

    /// Our address, once there is one.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.call(|sockets, fd, _| sockets.local_addr(fd))
    }

    /// SO_ERROR: the pending error, told once.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.socket.take_error()
    }

    /// Gives the socket an address; port 0 leaves the choice to the host.
    ///
    /// # Errors
    ///
    /// `EADDRINUSE`, `EADDRNOTAVAIL`; `EINVAL` or `EAFNOSUPPORT` for an address of the other version.
    pub fn bind(&self, addr: SocketAddr) -> io::Result<()> {
        self.socket.call(|sockets, fd, _| sockets.bind(fd, addr))
    }

    /// Opens a connection.
    ///
    /// # Errors
    ///
    /// `ECONNREFUSED`, `ETIMEDOUT`, `ENETUNREACH`, `EHOSTUNREACH`, `EADDRNOTAVAIL`...
    ///
    /// Cancel safe: the attempt is given up.
    pub async fn connect(self, addr: SocketAddr) -> io::Result<TcpStream> {
        self.socket.until(Direction::Write, |sockets, fd, now| sockets.connect(fd, addr, now)).await?;
        Ok(TcpStream::from(self.socket))
    }

    /// Listens, with room for `backlog` connections that wait to be accepted.
    ///
    /// # Errors
    ///
    /// `EADDRINUSE`, if there is a listener at this address.
    pub fn listen(self, backlog: u32) -> io::Result<TcpListener> {
        let backlog = i32::try_from(backlog).unwrap_or(i32::MAX);
        self.socket.call(|sockets, fd, _| sockets.listen(fd, backlog))?;
        Ok(TcpListener { socket: self.socket })
    }

    fn flag(&self, option: Opt) -> io::Result<bool> {
        Ok(self.socket.option(option)? != 0)
    }
}

impl fmt::Debug for TcpSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TcpSocket").field(&self.socket).finish()
    }
}
