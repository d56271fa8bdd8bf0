//! Two kinds of sockets behind one set of traits, so that one test runs over both: the kernel's loopback by tokio, and
//! two hosts at the ends of a link in memory.

use std::fmt::Debug;
use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};

use tidegate::Host;
use tidegate::dev::channel;
use tidegate::proto::wire::frame::Link;
use tokio::io::{AsyncRead, AsyncWrite, Interest, Ready};

/// Where connections are made.
pub(crate) trait Kin: Send + Sync + 'static {
    type Listener: Listener<Stream = Self::Stream>;
    type Stream: Stream;

    /// A listener at a port of the host's choice.
    fn bind(&self) -> impl Future<Output = io::Result<Self::Listener>> + Send;

    /// A connection to it.
    fn connect(&self, to: SocketAddr) -> impl Future<Output = io::Result<Self::Stream>> + Send;

    /// A port at the listeners' address where nobody listens.
    fn closed_port(&self) -> SocketAddr;
}

pub(crate) trait Listener: Debug + Send + Sync + Unpin + 'static {
    type Stream;
    fn accept(&self) -> impl Future<Output = io::Result<(Self::Stream, SocketAddr)>> + Send;
    fn local_addr(&self) -> io::Result<SocketAddr>;
}

pub(crate) trait Stream: AsyncRead + AsyncWrite + Debug + Send + Sync + Unpin + Sized + 'static {
    type Read: AsyncRead + Debug + Send + Sync + Unpin + 'static;
    type Write: AsyncWrite + Debug + Send + Sync + Unpin + 'static;

    fn into_split(self) -> (Self::Read, Self::Write);
    fn reunite(read: Self::Read, write: Self::Write) -> Result<Self, (Self::Read, Self::Write)>;
    fn forget(write: Self::Write);
    fn peek(&self, buf: &mut [u8]) -> impl Future<Output = io::Result<usize>> + Send;
    fn ready(&self, interest: Interest) -> impl Future<Output = io::Result<Ready>> + Send;
    fn try_read(&self, buf: &mut [u8]) -> io::Result<usize>;
    fn try_write(&self, buf: &[u8]) -> io::Result<usize>;
    fn try_io<R>(&self, interest: Interest, io: impl FnOnce() -> io::Result<R>) -> io::Result<R>;
    fn take_error(&self) -> io::Result<Option<io::Error>>;
    fn local_addr(&self) -> io::Result<SocketAddr>;
    fn peer_addr(&self) -> io::Result<SocketAddr>;
    fn set_zero_linger(&self) -> io::Result<()>;
    fn nodelay(&self) -> io::Result<bool>;
    fn set_nodelay(&self, on: bool) -> io::Result<()>;
    fn ttl(&self) -> io::Result<u32>;
    fn set_ttl(&self, ttl: u32) -> io::Result<()>;
}

/// Both libraries give their calls the same names.
macro_rules! kin {
    ($($net:ident)::+) => {
        impl Listener for $($net)::+::TcpListener {
            type Stream = $($net)::+::TcpStream;
            async fn accept(&self) -> io::Result<(Self::Stream, SocketAddr)> {
                self.accept().await
            }
            fn local_addr(&self) -> io::Result<SocketAddr> {
                self.local_addr()
            }
        }

        impl Stream for $($net)::+::TcpStream {
            type Read = $($net)::+::tcp::OwnedReadHalf;
            type Write = $($net)::+::tcp::OwnedWriteHalf;

            fn into_split(self) -> (Self::Read, Self::Write) {
                self.into_split()
            }
            fn reunite(read: Self::Read, write: Self::Write) -> Result<Self, (Self::Read, Self::Write)> {
                read.reunite(write).map_err(|error| {
                    assert_eq!(error.to_string(), "tried to reunite halves that are not from the same socket");
                    (error.0, error.1)
                })
            }
            fn forget(write: Self::Write) {
                write.forget();
            }
            async fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
                self.peek(buf).await
            }
            async fn ready(&self, interest: Interest) -> io::Result<Ready> {
                self.ready(interest).await
            }
            fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
                self.try_read(buf)
            }
            fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
                self.try_write(buf)
            }
            fn try_io<R>(&self, interest: Interest, io: impl FnOnce() -> io::Result<R>) -> io::Result<R> {
                self.try_io(interest, io)
            }
            fn take_error(&self) -> io::Result<Option<io::Error>> {
                self.take_error()
            }
            fn local_addr(&self) -> io::Result<SocketAddr> {
                self.local_addr()
            }
            fn peer_addr(&self) -> io::Result<SocketAddr> {
                self.peer_addr()
            }
            fn set_zero_linger(&self) -> io::Result<()> {
                self.set_zero_linger()
            }
            fn nodelay(&self) -> io::Result<bool> {
                self.nodelay()
            }
            fn set_nodelay(&self, on: bool) -> io::Result<()> {
                self.set_nodelay(on)
            }
            fn ttl(&self) -> io::Result<u32> {
                self.ttl()
            }
            fn set_ttl(&self, ttl: u32) -> io::Result<()> {
                self.set_ttl(ttl)
            }
        }
    };
}

kin!(tokio::net);
kin!(tidegate::net);

/// tokio's sockets on the kernel's loopback.
pub(crate) struct Kernel;

impl Kin for Kernel {
    type Listener = tokio::net::TcpListener;
    type Stream = tokio::net::TcpStream;

    async fn bind(&self) -> io::Result<Self::Listener> {
        tokio::net::TcpListener::bind("127.0.0.1:0").await
    }

    async fn connect(&self, to: SocketAddr) -> io::Result<Self::Stream> {
        tokio::net::TcpStream::connect(to).await
    }

    fn closed_port(&self) -> SocketAddr {
        StdListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port")
    }
}

/// Ours: clients on one host, listeners on another.
pub(crate) struct Ours {
    pub(crate) client: Host,
    pub(crate) server: Host,
}

impl Ours {
    pub(crate) fn new() -> Self {
        let (near, far) = channel(Link::Ip, 1500, 256);
        let host = |end, addr, seed| Host::builder().addr(addr).expect("an address").seed([seed; 32]).start(end);
        let client = host(near, "10.9.0.1/24", 1).expect("a host");
        let server = host(far, "10.9.0.2/24", 2).expect("a host");
        Ours { client, server }
    }
}

impl Kin for Ours {
    type Listener = tidegate::net::TcpListener;
    type Stream = tidegate::net::TcpStream;

    async fn bind(&self) -> io::Result<Self::Listener> {
        self.server.bind("10.9.0.2:0").await
    }

    async fn connect(&self, to: SocketAddr) -> io::Result<Self::Stream> {
        self.client.connect(to).await
    }

    fn closed_port(&self) -> SocketAddr {
        "10.9.0.2:1".parse().expect("an address")
    }
}

/// An error as a program sees it: number, kind and text.
pub(crate) fn told(error: &io::Error) -> (Option<i32>, io::ErrorKind, String) {
    (error.raw_os_error(), error.kind(), error.to_string())
}
