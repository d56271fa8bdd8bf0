//! Both halves of a connection, each with a life of its own, as tokio's; and what all halves can do.
//!
//! Sections: none.
//! In: a connection.
//! Out: [`OwnedReadHalf`] and [`OwnedWriteHalf`]; the connection again, if both meet.

use std::error::Error;
use std::fmt;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{Shutdown, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{BufMut, Bytes};
use tokio::io::{AsyncBufRead, AsyncRead, AsyncWrite, Interest, ReadBuf, Ready};

use super::TcpStream;

/// What reads of a [`TcpStream`], made by [`TcpStream::into_split`].
#[derive(Debug)]
pub struct OwnedReadHalf {
    stream: Arc<TcpStream>,
    shown: Bytes,
}

/// What writes of a [`TcpStream`], made by [`TcpStream::into_split`]. Dropping it shuts the connection's writing
/// down: the peer sees the end. [`forget`](Self::forget) leaves it open.
#[derive(Debug)]
pub struct OwnedWriteHalf {
    stream: Arc<TcpStream>,
    shuts_down: bool,
}

pub(super) fn split(stream: TcpStream) -> (OwnedReadHalf, OwnedWriteHalf) {
    let stream = Arc::new(stream);
    let other = Arc::clone(&stream);
    (OwnedReadHalf { stream, shown: Bytes::new() }, OwnedWriteHalf { stream: other, shuts_down: true })
}

/// Two halves of different connections that were to be put together again: here they are.
#[derive(Debug)]
pub struct ReuniteError(pub OwnedReadHalf, pub OwnedWriteHalf);

impl fmt::Display for ReuniteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("tried to reunite halves that are not from the same socket")
    }
}

impl Error for ReuniteError {}

impl OwnedReadHalf {
    /// The connection again.
    ///
    /// # Errors
    ///
    /// Both halves, if they are not of one connection.
    pub fn reunite(self, other: OwnedWriteHalf) -> Result<TcpStream, ReuniteError> {
        reunite(self, other)
    }

    fn stream(&self) -> &TcpStream {
        &self.stream
    }
}

impl OwnedWriteHalf {
    /// The connection again.
    ///
    /// # Errors
    ///
    /// Both halves, if they are not of one connection.
    pub fn reunite(self, other: OwnedReadHalf) -> Result<TcpStream, ReuniteError> {
        reunite(other, self)
    }

    /// Drops the half without shutting writing down.
    pub fn forget(mut self) {
        self.shuts_down = false;
    }

    fn stream(&self) -> &TcpStream {
        &self.stream
    }

    fn finish(&mut self) -> io::Result<()> {
        let outcome = self.stream.shutdown(Shutdown::Write);
        self.shuts_down &= outcome.is_err();
        outcome
    }
}

fn reunite(read: OwnedReadHalf, write: OwnedWriteHalf) -> Result<TcpStream, ReuniteError> {
    if !Arc::ptr_eq(&read.stream, &write.stream) {
        return Err(ReuniteError(read, write));
    }
    write.forget();
    Ok(Arc::into_inner(read.stream).expect("a connection has two halves, and the other is gone"))
}

impl Drop for OwnedWriteHalf {
    fn drop(&mut self) {
        if self.shuts_down {
            // A connection that is over has nothing to shut.
            let _ = self.stream.shutdown(Shutdown::Write);
        }
    }
}

/// What either half can do.
macro_rules! half {
    ($half:ty) => {
        impl $half {
            /// As [`TcpStream::ready`].
            ///
            /// Cancel safe.
            pub async fn ready(&self, interest: Interest) -> io::Result<Ready> {
                self.stream().ready(interest).await
            }

            /// The peer's address.
            pub fn peer_addr(&self) -> io::Result<SocketAddr> {
                self.stream().peer_addr()
            }

            /// Our end's address.
            pub fn local_addr(&self) -> io::Result<SocketAddr> {
                self.stream().local_addr()
            }
        }

        impl AsRef<TcpStream> for $half {
            fn as_ref(&self) -> &TcpStream {
                self.stream()
            }
        }
    };
}

/// What a reading half can do.
macro_rules! reads {
    ($half:ty) => {
        impl $half {
            /// As [`TcpStream::peek`].
            ///
            /// Cancel safe.
            pub async fn peek(&mut self, buf: &mut [u8]) -> io::Result<usize> {
                self.stream().peek(buf).await
            }

            /// As [`TcpStream::poll_peek`].
            pub fn poll_peek(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<usize>> {
                self.stream().poll_peek(cx, buf)
            }

            /// As [`TcpStream::readable`].
            ///
            /// Cancel safe.
            pub async fn readable(&self) -> io::Result<()> {
                self.stream().readable().await
            }

            /// As [`TcpStream::try_read`].
            pub fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
                self.stream().try_read(buf)
            }

            /// As [`TcpStream::try_read_vectored`].
            pub fn try_read_vectored(&self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
                self.stream().try_read_vectored(bufs)
            }

            /// As [`TcpStream::try_read_buf`].
            pub fn try_read_buf<B: BufMut>(&self, buf: &mut B) -> io::Result<usize> {
                self.stream().try_read_buf(buf)
            }

            /// As [`TcpStream::recv_bytes`].
            ///
            /// Cancel safe.
            pub async fn recv_bytes(&self) -> io::Result<Bytes> {
                self.stream().recv_bytes().await
            }

            /// As [`TcpStream::try_recv_bytes`].
            pub fn try_recv_bytes(&self) -> io::Result<Bytes> {
                self.stream().try_recv_bytes()
            }
        }

        /// Cancel safe.
        impl AsyncRead for $half {
            fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
                self.stream().poll_read_as(cx, buf)
            }
        }

        /// Without copying: what is shown is where it arrived. Cancel safe.
        impl AsyncBufRead for $half {
            fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
                let this = self.get_mut();
                let mut shown = std::mem::take(&mut this.shown);
                let outcome = this.stream().poll_show(&mut shown, cx);
                this.shown = shown;
                outcome.map_ok(|()| &this.shown[..])
            }

            fn consume(mut self: Pin<&mut Self>, len: usize) {
                let mut shown = std::mem::take(&mut self.shown);
                self.stream().consume_shown(&mut shown, len);
                self.shown = shown;
            }
        }
    };
}

/// What a writing half can do.
macro_rules! writes {
    ($half:ty) => {
        impl $half {
            /// As [`TcpStream::writable`].
            ///
            /// Cancel safe.
            pub async fn writable(&self) -> io::Result<()> {
                self.stream().writable().await
            }

            /// As [`TcpStream::try_write`].
            pub fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
                self.stream().try_write(buf)
            }

            /// As [`TcpStream::try_write_vectored`].
            pub fn try_write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
                self.stream().try_write_vectored(bufs)
            }

            /// As [`TcpStream::send_bytes`].
            ///
            /// Cancel safe: `data` holds what has not gone.
            pub async fn send_bytes(&self, data: &mut Bytes) -> io::Result<()> {
                self.stream().send_bytes(data).await
            }

            /// As [`TcpStream::try_send_bytes`].
            pub fn try_send_bytes(&self, data: &mut Bytes) -> io::Result<usize> {
                self.stream().try_send_bytes(data)
            }
        }

        /// Flushing does nothing: what is written is on its way. Shutting down sends FIN.
        impl AsyncWrite for $half {
            fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
                self.stream().poll_write_as(cx, buf)
            }

            fn poll_write_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                bufs: &[IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                self.stream().poll_write_vectored_as(cx, bufs)
            }

            fn is_write_vectored(&self) -> bool {
                true
            }

            fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(Ok(()))
            }

            fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(self.finish())
            }
        }
    };
}

pub(super) use {half, reads, writes};

half!(OwnedReadHalf);
reads!(OwnedReadHalf);
half!(OwnedWriteHalf);
writes!(OwnedWriteHalf);
