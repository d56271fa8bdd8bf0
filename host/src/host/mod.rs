//! A host: one stack over one device, with addresses of its own, and the sockets on it.
//!
//! Sections: none of an RFC's.
//! In: a device, addresses and settings.
//! Out: a cheap handle that opens sockets, and tells what the host does.
//!
//! | file | what it does |
//! |---|---|
//! | `builder` | what a host is made of |
//! | `current` | which host the tokio-named calls of [`net`](crate::net) mean |

mod builder;
mod current;

pub use builder::Builder;
pub use current::{Entered, Within};

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tidegate_proto::net::Counters;
use tidegate_proto::socket::{Domain, Listed};
use tidegate_proto::time;
use tokio::net::ToSocketAddrs;

use crate::clock;
use crate::net::{TcpListener, TcpSocket, TcpStream};
use crate::rt::Driver;

/// A host in user space: a TCP stack with addresses of its own, running over a device. A cheap handle to it; several
/// hosts may live in one process.
///
/// The host lives as long as a handle or a socket of it does. When the last is dropped, it is gone at once, with
/// everything that it has not yet sent: [`shutdown`](Host::shutdown) before that ends all connections in order.
///
/// ```no_run
/// # async fn example() -> std::io::Result<()> {
/// use tidegate::Host;
/// use tidegate::dev::{Offload, Tun};
/// use tidegate::proto::wire::frame::Link;
///
/// let tun = Tun::open("tide0", Link::Ip, Offload::Kernel)?;
/// let host = Host::builder().addr("10.9.0.2/24")?.start(tun)?;
/// let stream = host.connect("10.9.0.1:80").await?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Host {
    driver: Driver,
}

impl Host {
    /// A host to be.
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// Opens a connection, as [`TcpStream::connect`] does on the current host.
    ///
    /// # Errors
    ///
    /// The last address's, if none of them answers: the kernel's numbers.
    ///
    /// Cancel safe: the attempt is given up.
    pub async fn connect(&self, addr: impl ToSocketAddrs) -> io::Result<TcpStream> {
        let mut last = None;
        for addr in tokio::net::lookup_host(addr).await? {
            let attempt = match self.socket(addr) {
                Ok(socket) => socket.connect(addr).await,
                Err(error) => Err(error),
            };
            match attempt {
                Ok(stream) => return Ok(stream),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(no_address))
    }

    /// A listener, as [`TcpListener::bind`] makes one on the current host.
    ///
    /// # Errors
    ///
    /// The last address's, if none of them can be had: the kernel's numbers.
    pub async fn bind(&self, addr: impl ToSocketAddrs) -> io::Result<TcpListener> {
        let mut last = None;
        for addr in tokio::net::lookup_host(addr).await? {
            match self.listen(addr) {
                Ok(listener) => return Ok(listener),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(no_address))
    }

    /// A socket for IPv4, to be set up before it connects or listens.
    ///
    /// # Errors
    ///
    /// `EMFILE`, when the host has as many sockets as it may.
    pub fn socket_v4(&self) -> io::Result<TcpSocket> {
        TcpSocket::on(self, Domain::V4)
    }

    /// A socket for IPv6, to be set up before it connects or listens. Unless `only_v6` is set, it speaks IPv4, too.
    ///
    /// # Errors
    ///
    /// `EMFILE`, when the host has as many sockets as it may.
    pub fn socket_v6(&self) -> io::Result<TcpSocket> {
        TcpSocket::on(self, Domain::V6)
    }

    /// What the host has counted, under the kernel's MIB names; [`Counters::by_name`] lists them as `nstat` does.
    pub fn counters(&self) -> Counters {
        self.driver.call(|sockets, _| sockets.stack().counters().clone())
    }

    /// Every listener and connection of the host with its addresses, state, queues and TCP_INFO, as `ss` shows them;
    /// those included that no program holds any more, or not yet.
    pub fn sockets(&self) -> Vec<Listed> {
        self.driver.call(|sockets, now| sockets.list(now))
    }

    /// Ends the host in order, and returns how many connections had to be aborted because they were not over when
    /// `deadline` had passed.
    ///
    /// Listeners end at once, what nobody has accepted is reset, and nothing new begins: `ENETDOWN`. Every connection
    /// sends what was written, and its FIN, and is over when the peer has acknowledged that and has closed, too; until
    /// then it can be read. So it is with connections that were dropped before. What is not over at the deadline is
    /// reset; who still has such a connection hears `ECONNABORTED`.
    ///
    /// Of several calls the earliest deadline counts: after a patient one, `shutdown(Duration::ZERO)` makes short work
    /// of it.
    ///
    /// Cancel safe: the end goes on.
    pub async fn shutdown(&self, deadline: Duration) -> usize {
        let nanos = u64::try_from(deadline.as_nanos()).unwrap_or(u64::MAX);
        self.driver.shutdown(clock::now() + time::Duration::from_nanos(nanos)).await
    }

    /// The driver below, for what has no call of its own here.
    pub fn driver(&self) -> &Driver {
        &self.driver
    }

    fn listen(&self, addr: SocketAddr) -> io::Result<TcpListener> {
        let socket = self.socket(addr)?;
        // Like tokio.
        socket.set_reuseaddr(true)?;
        socket.bind(addr)?;
        socket.listen(BACKLOG)
    }

    fn socket(&self, addr: SocketAddr) -> io::Result<TcpSocket> {
        if addr.is_ipv4() { self.socket_v4() } else { self.socket_v6() }
    }
}

fn no_address() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "could not resolve to any address")
}

/// Like tokio: connections that may wait for `accept`.
const BACKLOG: u32 = 1024;
