//! Both halves of a borrowed connection, as tokio's.
//!
//! Sections: none.
//! In: a connection for a while.
//! Out: [`ReadHalf`] and [`WriteHalf`].

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{Shutdown, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{BufMut, Bytes};
use tokio::io::{AsyncBufRead, AsyncRead, AsyncWrite, Interest, ReadBuf, Ready};

use super::TcpStream;
use super::split_owned::{half, reads, writes};

/// What reads of a [`TcpStream`], made by [`TcpStream::split`].
#[derive(Debug)]
pub struct ReadHalf<'a> {
    stream: &'a TcpStream,
    shown: Bytes,
}

/// What writes of a [`TcpStream`], made by [`TcpStream::split`]. Dropping it shuts nothing down.
#[derive(Debug)]
pub struct WriteHalf<'a>(&'a TcpStream);

pub(super) fn split(stream: &mut TcpStream) -> (ReadHalf<'_>, WriteHalf<'_>) {
    (ReadHalf { stream, shown: Bytes::new() }, WriteHalf(stream))
}

half!(ReadHalf<'_>);
reads!(ReadHalf<'_>);
half!(WriteHalf<'_>);
writes!(WriteHalf<'_>);

impl ReadHalf<'_> {
    fn stream(&self) -> &TcpStream {
        self.stream
    }
}

impl WriteHalf<'_> {
    fn stream(&self) -> &TcpStream {
        self.0
    }

    fn finish(&mut self) -> io::Result<()> {
        self.0.shutdown(Shutdown::Write)
    }
}
