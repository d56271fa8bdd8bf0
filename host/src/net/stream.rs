//! A connection, as tokio's.
//!
//! Sections: Linux `tcp(7)`, `send(2)`, `recv(2)`, `shutdown(2)`; the traits of `tokio::io`.
//! In: bytes to send; the peer's.
//! Out: the peer's bytes, in order; errors as the kernel gives them.

use std::fmt;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{Shutdown, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use arrayvec::ArrayVec;
use bytes::{BufMut, Bytes};
use tidegate_proto::socket::{self, Errno, Fd, MsgFlags, Opt, Sockets, Value};
use tidegate_proto::tcp::TcpInfo;
use tidegate_proto::time::Instant;
use tokio::io::{AsyncBufRead, AsyncRead, AsyncWrite, Interest, ReadBuf, Ready};
use tokio::net::ToSocketAddrs;

use super::socket::Socket;
use super::split::{self, ReadHalf, WriteHalf};
use super::split_owned::{self, OwnedReadHalf, OwnedWriteHalf};
use crate::Host;
use crate::rt::Direction;

/// A TCP connection.
///
/// Dropping it closes it: what was written still goes out, and the peer sees the end; or a reset, if something was
/// received that nobody has read (RFC 2525 2.17).
pub struct TcpStream {
    pub(super) socket: Socket,
    /// What [`AsyncBufRead`] has shown and nobody has consumed. It is still in the receive queue, too.
    shown: Bytes,
}

impl TcpStream {
    /// Opens a connection from the current host (see [`Host::current`]). A name is resolved by the system's own
    /// resolver, and its addresses tried in turn.
    ///
    /// # Errors
    ///
    /// The last address's: `ECONNREFUSED`, `ETIMEDOUT`, `ENETUNREACH`...; and `NotConnected` if there is no current
    /// host.
    ///
    /// Cancel safe: the attempt is given up.
    pub async fn connect<A: ToSocketAddrs>(addr: A) -> io::Result<TcpStream> {
        Host::current()?.connect(addr).await
    }

    /// Our end's address.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.call(|sockets, fd, _| sockets.local_addr(fd))
    }

    /// The peer's address.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.socket.call(|sockets, fd, _| sockets.peer_addr(fd))
    }

    /// SO_ERROR: the pending error, told once.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.socket.take_error()
    }

    /// What can be read, without taking it; waits until there is something. 0 at the end of the stream.
    ///
    /// Cancel safe.
    pub async fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.socket.until(Direction::Read, |sockets, fd, now| sockets.recv(fd, buf, MsgFlags::PEEK, now)).await
    }

    /// As [`peek`](Self::peek). The last task that polled for reading is the one that is woken.
    pub fn poll_peek(&self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<usize>> {
        let peek = |sockets: &mut Sockets, fd, now| read_into(sockets, fd, buf, MsgFlags::PEEK, now);
        self.socket.poll_call(Direction::Read, cx, peek)
    }

    /// Waits until the connection is ready for some of `interest`, and says for what.
    ///
    /// Readiness is looked up when it is asked for: a `try_` call after it finds what it promised, unless another
    /// task was faster.
    ///
    /// Cancel safe.
    pub async fn ready(&self, interest: Interest) -> io::Result<Ready> {
        self.socket.ready(interest).await
    }

    /// Waits until there is something to read, or the end.
    ///
    /// Cancel safe.
    pub async fn readable(&self) -> io::Result<()> {
        self.ready(Interest::READABLE).await.map(drop)
    }

    /// Waits until there is room to write.
    ///
    /// Cancel safe.
    pub async fn writable(&self) -> io::Result<()> {
        self.ready(Interest::WRITABLE).await.map(drop)
    }

    /// As [`readable`](Self::readable). The last task that polled for reading is the one that is woken.
    pub fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket.poll_ready(Direction::Read, cx)
    }

    /// As [`writable`](Self::writable). The last task that polled for writing is the one that is woken.
    pub fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket.poll_ready(Direction::Write, cx)
    }

    /// Reads what is there; `WouldBlock` if nothing is.
    pub fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.socket.call(|sockets, fd, now| sockets.recv(fd, buf, MsgFlags::NONE, now))
    }

    /// As [`try_read`](Self::try_read), into several buffers in turn.
    pub fn try_read_vectored(&self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let mut parts: ArrayVec<&mut [u8], MAX_PARTS> = bufs.iter_mut().take(MAX_PARTS).map(|buf| &mut **buf).collect();
        self.socket.call(|sockets, fd, now| sockets.recv_vectored(fd, &mut parts, MsgFlags::NONE, now))
    }

    /// As [`try_read`](Self::try_read), into whatever takes bytes.
    pub fn try_read_buf<B: BufMut>(&self, buf: &mut B) -> io::Result<usize> {
        if !buf.has_remaining_mut() {
            return self.try_read(&mut []);
        }
        let chunk = self.socket.call(|sockets, fd, now| {
            let mut chunk = sockets.peek_bytes(fd, now)?;
            chunk.truncate(buf.remaining_mut());
            sockets.skip(fd, chunk.len(), now)?;
            Ok(chunk)
        })?;
        let len = chunk.len();
        buf.put(chunk);
        Ok(len)
    }

    /// Writes as much as there is room for; `WouldBlock` if there is none.
    pub fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        self.socket.call(|sockets, fd, now| sockets.send(fd, buf, MsgFlags::NONE, now))
    }

    /// As [`try_write`](Self::try_write): the parts are one write.
    pub fn try_write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        let parts = parts_of(bufs);
        self.socket.call(|sockets, fd, now| sockets.send_vectored(fd, &parts, MsgFlags::NONE, now))
    }

    /// Calls `io`, which uses the `try_` calls of this connection, if the connection is ready for `interest`;
    /// `WouldBlock` otherwise.
    pub fn try_io<R>(&self, interest: Interest, io: impl FnOnce() -> io::Result<R>) -> io::Result<R> {
        self.socket.try_io(interest, io)
    }

    /// Calls `io`, which uses the `try_` calls of this connection, each time when the connection is ready for
    /// `interest`, until it does not say `WouldBlock`.
    pub async fn async_io<R>(&self, interest: Interest, io: impl FnMut() -> io::Result<R>) -> io::Result<R> {
        self.socket.async_io(interest, io).await
    }

    /// The next bytes without copying them: as many as lie together, none at the end of the stream.
    ///
    /// The bytes keep the whole buffer alive that they arrived in.
    ///
    /// Cancel safe.
    pub async fn recv_bytes(&self) -> io::Result<Bytes> {
        self.socket.until(Direction::Read, |sockets, fd, now| sockets.recv_bytes(fd, now)).await
    }

    /// As [`recv_bytes`](Self::recv_bytes); `WouldBlock` if nothing is there.
    pub fn try_recv_bytes(&self) -> io::Result<Bytes> {
        self.socket.call(|sockets, fd, now| sockets.recv_bytes(fd, now))
    }

    /// Sends all of `data` without copying it: it is kept until the peer has acknowledged it. What has gone is taken
    /// off the front of `data`, however this ends.
    ///
    /// Cancel safe: `data` holds what has not gone.
    pub async fn send_bytes(&self, data: &mut Bytes) -> io::Result<()> {
        while !data.is_empty() {
            let send = |sockets: &mut Sockets, fd, now| sockets.send_bytes(fd, data, MsgFlags::NONE, now);
            self.socket.until(Direction::Write, send).await?;
        }
        Ok(())
    }

    /// As [`send_bytes`](Self::send_bytes), as much as there is room for; `WouldBlock` if there is none.
    pub fn try_send_bytes(&self, data: &mut Bytes) -> io::Result<usize> {
        self.socket.call(|sockets, fd, now| sockets.send_bytes(fd, data, MsgFlags::NONE, now))
    }

    /// What the connection knows of itself: the kernel's TCP_INFO.
    pub fn info(&self) -> io::Result<TcpInfo> {
        match self.socket.call(|sockets, fd, now| sockets.option(fd, Opt::Info, now))? {
            Value::Info(info) => Ok(*info),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    /// Shuts one direction or both, whoever else holds the connection.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        let how = match how {
            Shutdown::Read => socket::Shutdown::Read,
            Shutdown::Write => socket::Shutdown::Write,
            Shutdown::Both => socket::Shutdown::Both,
        };
        self.socket.call(|sockets, fd, now| sockets.shutdown(fd, how, now))
    }

    /// Ends the connection at once, with a reset: what was not sent or not read is lost.
    pub fn abort(self) {
        // With a linger time of nothing, closing resets; it cannot fail on a socket that is ours.
        let _ = self.set_zero_linger();
    }

    /// TCP_NODELAY.
    pub fn nodelay(&self) -> io::Result<bool> {
        Ok(self.socket.option(Opt::NoDelay)? != 0)
    }

    /// TCP_NODELAY: small segments do not wait for acknowledgements (Nagle's algorithm is off).
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.socket.set_option(Opt::NoDelay, nodelay.into())
    }

    /// TCP_QUICKACK.
    pub fn quickack(&self) -> io::Result<bool> {
        Ok(self.socket.option(Opt::QuickAck)? != 0)
    }

    /// TCP_QUICKACK: acknowledgements do not wait for company, for now.
    pub fn set_quickack(&self, quickack: bool) -> io::Result<()> {
        self.socket.set_option(Opt::QuickAck, quickack.into())
    }

    /// SO_LINGER.
    pub fn linger(&self) -> io::Result<Option<Duration>> {
        linger_of(&self.socket)
    }

    /// SO_LINGER, in whole seconds. Unlike the kernel's, dropping the connection never waits; a time of nothing means
    /// a reset in place of an orderly end.
    pub fn set_linger(&self, dur: Option<Duration>) -> io::Result<()> {
        set_linger_of(&self.socket, dur)
    }

    /// Dropping the connection resets it.
    pub fn set_zero_linger(&self) -> io::Result<()> {
        self.set_linger(Some(Duration::ZERO))
    }

    /// IP_TTL.
    pub fn ttl(&self) -> io::Result<u32> {
        self.socket.option(Opt::IpTtl)
    }

    /// Sets IP_TTL: 1 to 255.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.socket.set_option(Opt::IpTtl, ttl)
    }

    /// Both halves, for as long as they borrow the connection.
    pub fn split(&mut self) -> (ReadHalf<'_>, WriteHalf<'_>) {
        split::split(self)
    }

    /// Both halves, each with a life of its own.
    pub fn into_split(self) -> (OwnedReadHalf, OwnedWriteHalf) {
        split_owned::split(self)
    }

    pub(super) fn poll_read_as(&self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let read = |sockets: &mut Sockets, fd, now| read_into(sockets, fd, buf, MsgFlags::NONE, now);
        self.socket.poll_call(Direction::Read, cx, read).map_ok(drop)
    }

    pub(super) fn poll_write_as(&self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let write = |sockets: &mut Sockets, fd, now| sockets.send(fd, buf, MsgFlags::NONE, now);
        self.socket.poll_call(Direction::Write, cx, write)
    }

    pub(super) fn poll_write_vectored_as(&self, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let parts = parts_of(bufs);
        let write = |sockets: &mut Sockets, fd, now| sockets.send_vectored(fd, &parts, MsgFlags::NONE, now);
        self.socket.poll_call(Direction::Write, cx, write)
    }

    /// Shows the next bytes as they lie in the receive queue; whatever was shown before, other calls may have taken.
    pub(super) fn poll_show(&self, shown: &mut Bytes, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        shown.clear();
        let peek = |sockets: &mut Sockets, fd, now| sockets.peek_bytes(fd, now);
        self.socket.poll_call(Direction::Read, cx, peek).map_ok(|chunk| *shown = chunk)
    }

    /// Takes what was shown off the receive queue.
    pub(super) fn consume_shown(&self, shown: &mut Bytes, len: usize) {
        assert!(len <= shown.len(), "{len} bytes consumed where {} were shown", shown.len());
        bytes::Buf::advance(shown, len);
        // If the connection was aborted meanwhile, nothing is queued any more.
        let _ = self.socket.call(|sockets, fd, now| sockets.skip(fd, len, now));
    }
}

impl From<Socket> for TcpStream {
    fn from(socket: Socket) -> Self {
        TcpStream { socket, shown: Bytes::new() }
    }
}

/// Cancel safe.
impl AsyncRead for TcpStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.poll_read_as(cx, buf)
    }
}

/// Without copying: what is shown is where it arrived. Cancel safe.
impl AsyncBufRead for TcpStream {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let this = self.get_mut();
        let mut shown = std::mem::take(&mut this.shown);
        let outcome = this.poll_show(&mut shown, cx);
        this.shown = shown;
        outcome.map_ok(|()| &this.shown[..])
    }

    fn consume(mut self: Pin<&mut Self>, len: usize) {
        let mut shown = std::mem::take(&mut self.shown);
        self.consume_shown(&mut shown, len);
        self.shown = shown;
    }
}

/// Flushing does nothing: what is written is on its way. Shutting down sends FIN.
impl AsyncWrite for TcpStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_as(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored_as(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.shutdown(Shutdown::Write))
    }
}

impl fmt::Debug for TcpStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TcpStream").field(&self.socket).finish()
    }
}

pub(super) fn linger_of(socket: &Socket) -> io::Result<Option<Duration>> {
    match socket.call(|sockets, fd, now| sockets.option(fd, Opt::Linger, now))? {
        Value::Linger { on, seconds } => Ok(on.then(|| Duration::from_secs(seconds.into()))),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

pub(super) fn set_linger_of(socket: &Socket, dur: Option<Duration>) -> io::Result<()> {
    let seconds = dur.map_or(0, |dur| u32::try_from(dur.as_secs()).unwrap_or(u32::MAX));
    let value = Value::Linger { on: dur.is_some(), seconds };
    socket.call(|sockets, fd, now| sockets.set_option(fd, Opt::Linger, &value, now))
}

/// Reads into the unfilled part of `buf`. No more of it is initialised than there are bytes to read.
fn read_into(
    sockets: &mut Sockets,
    fd: Fd,
    buf: &mut ReadBuf<'_>,
    flags: MsgFlags,
    now: Instant,
) -> Result<usize, Errno> {
    // At the urgent mark nothing counts as readable, and reading goes on behind it.
    let len = sockets.inq(fd).unwrap_or(0).max(1).min(buf.remaining());
    let n = sockets.recv(fd, buf.initialize_unfilled_to(len), flags, now)?;
    buf.advance(n);
    Ok(n)
}

fn parts_of<'a>(bufs: &'a [IoSlice<'_>]) -> ArrayVec<&'a [u8], MAX_PARTS> {
    bufs.iter().take(MAX_PARTS).map(|buf| &**buf).collect()
}

/// Buffers of one vectored call; more wait for the next. hyper's queue has 64 at the most.
const MAX_PARTS: usize = 64;
