//! Bytes both ways at once: the application of random worlds.
//!
//! Sections: RFC 9293 3.9.1 (SEND, RECEIVE, CLOSE, ABORT).
//! In: how much to send and to expect, in which pieces and how fast, and when to close.
//! Out: the stream, every byte compared with what the peer must have written.

use alloc::boxed::Box;
use alloc::vec;
use core::net::SocketAddr;

use tidegate_proto::net::{SocketError, SocketId, Stack};
use tidegate_proto::tcp::{self, Read, State};
use tidegate_proto::time::{Duration, Instant};

use super::{Content, Trouble, Turn};

/// What a pump does.
#[derive(Clone, Debug)]
pub struct PumpConfig {
    /// How its connection comes about.
    pub open: Open,
    /// Settings of the connection, if not the host's.
    pub tcp: Option<Box<tcp::Config>>,
    /// How many bytes it sends.
    pub send: u64,
    /// What it sends.
    pub sends: Content,
    /// The most it writes in one call.
    pub write_size: usize,
    /// How long it rests after each write.
    pub write_gap: Duration,
    /// What it expects to receive.
    pub receives: Content,
    /// How many bytes it expects to receive.
    pub expect: u64,
    /// The most it reads in one call.
    pub read_size: usize,
    /// How long it rests after each read: a slow reader has this above zero.
    pub read_gap: Duration,
    /// How long after the connection is established it reads for the first time.
    pub read_after: Duration,
    /// When it closes its side.
    pub close: CloseWhen,
    /// It aborts once it has sent and received so many bytes together.
    pub abort_after: Option<u64>,
}

/// How a connection comes about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Open {
    /// A passive open; the first connection is taken.
    Listen(SocketAddr),
    /// An active one, at this time. Two of them towards each other are a simultaneous open.
    Connect {
        /// Our socket.
        local: SocketAddr,
        /// The peer's.
        remote: SocketAddr,
        /// When.
        at: Instant,
    },
}

/// When a pump closes its side.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CloseWhen {
    /// As soon as everything is written: the peer may go on sending.
    AllSent,
    /// When everything is written and the peer has closed.
    PeerClosed,
}

/// A pump.
#[derive(Clone, Debug)]
pub struct Pump {
    config: PumpConfig,
    listener: Option<SocketId>,
    socket: Option<SocketId>,
    established: bool,
    sent: u64,
    received: u64,
    closed: bool,
    eof: bool,
    next_write: Instant,
    next_read: Instant,
    last_turn: Instant,
    ended: bool,
    trouble: Option<Trouble>,
}

impl Pump {
    /// A pump that opens when its configuration says.
    pub fn new(config: PumpConfig) -> Self {
        Pump {
            config,
            listener: None,
            socket: None,
            established: false,
            sent: 0,
            received: 0,
            closed: false,
            eof: false,
            next_write: Instant::ZERO,
            next_read: Instant::ZERO,
            last_turn: Instant::ZERO,
            ended: false,
            trouble: None,
        }
    }

    /// What it was asked to do.
    pub fn config(&self) -> &PumpConfig {
        &self.config
    }

    /// Its connection, from the call that opened it to its end.
    pub fn socket(&self) -> Option<SocketId> {
        self.socket
    }

    /// Bytes that its writes have handed over.
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// Bytes that its reads have returned.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// The peer's end of stream was read.
    pub fn saw_eof(&self) -> bool {
        self.eof
    }

    pub(super) fn turn(&mut self, turn: &mut Turn<'_>) {
        if self.ended {
            return;
        }
        self.last_turn = turn.now;
        match self.proceed(turn) {
            Ok(false) => {}
            Ok(true) => self.end(turn),
            Err(trouble) => {
                self.trouble = Some(trouble);
                self.end(turn);
            }
        }
    }

    pub(super) fn wake_at(&self) -> Option<Instant> {
        if self.ended {
            return None;
        }
        match (self.socket, self.config.open) {
            (None, Open::Connect { at, .. }) => Some(at),
            (None, Open::Listen(_)) => self.listener.is_none().then_some(Instant::ZERO),
            (Some(_), _) if !self.established => None,
            // Only rests that are still ahead: everything else is told by an event.
            (Some(_), _) => [self.next_write, self.next_read].into_iter().filter(|&at| at > self.last_turn).min(),
        }
    }

    pub(super) fn is_finished(&self) -> bool {
        self.ended
    }

    pub(super) fn trouble(&self) -> Option<&Trouble> {
        self.trouble.as_ref()
    }

    /// Does what can be done now: `true` when everything is.
    fn proceed(&mut self, turn: &mut Turn<'_>) -> Result<bool, Trouble> {
        let now = turn.now;
        let Some(socket) = self.open(turn)? else { return Ok(false) };
        if !self.established {
            match turn.stack.state(socket) {
                State::SynSent | State::SynReceived => return Ok(false),
                State::Closed => {
                    return Err(turn
                        .stack
                        .close_reason(socket)
                        .map_or(Trouble::Call(SocketError::BadSocket), Trouble::Ended));
                }
                _ => {}
            }
            self.established = true;
            self.next_read = now + self.config.read_after;
            self.next_write = now;
        }
        self.write(socket, turn.stack, now)?;
        self.read(socket, turn.stack, now)?;
        if self.config.abort_after.is_some_and(|limit| self.sent + self.received >= limit) {
            turn.stack.abort(socket, now)?;
            return Ok(true);
        }
        let all_written = self.sent == self.config.send;
        if !self.closed && all_written && (self.eof || self.config.close == CloseWhen::AllSent) {
            turn.stack.close(socket, now)?;
            self.closed = true;
        }
        Ok(self.closed && self.eof)
    }

    fn open(&mut self, turn: &mut Turn<'_>) -> Result<Option<SocketId>, Trouble> {
        if self.socket.is_some() {
            return Ok(self.socket);
        }
        match self.config.open {
            Open::Connect { at, .. } if at > turn.now => {}
            Open::Connect { local, remote, .. } => {
                let socket = match self.config.tcp.clone() {
                    None => turn.stack.connect(Some(local), remote, turn.now)?,
                    Some(tcp) => turn.stack.connect_with(Some(local), remote, *tcp, turn.now)?,
                };
                self.socket = Some(socket);
            }
            Open::Listen(local) => {
                let listener = match (self.listener, self.config.tcp.clone()) {
                    (Some(listener), _) => listener,
                    (None, None) => turn.stack.listen(local, 1)?,
                    (None, Some(tcp)) => turn.stack.listen_with(local, 1, *tcp)?,
                };
                self.listener = Some(listener);
                self.socket = turn.stack.accept(listener, turn.now);
                if self.socket.is_some() {
                    turn.stack.close(listener, turn.now)?;
                }
            }
        }
        Ok(self.socket)
    }

    fn write(&mut self, socket: SocketId, stack: &mut Stack, now: Instant) -> Result<(), Trouble> {
        let mut buffer = vec![0; self.config.write_size];
        while self.sent < self.config.send && self.next_write <= now {
            let rest = usize::try_from(self.config.send - self.sent).unwrap_or(usize::MAX);
            let piece = &mut buffer[..rest.min(self.config.write_size)];
            self.config.sends.fill(self.sent, piece);
            let written = stack.write(socket, piece, now)?;
            self.sent += u64::try_from(written).unwrap_or(0);
            if written < piece.len() {
                break;
            }
            self.next_write = now + self.config.write_gap;
        }
        Ok(())
    }

    fn read(&mut self, socket: SocketId, stack: &mut Stack, now: Instant) -> Result<(), Trouble> {
        let mut buffer = vec![0; self.config.read_size];
        while !self.eof && self.next_read <= now {
            match stack.read(socket, &mut buffer, now) {
                Ok(Read::Data(n)) => self.take(&buffer[..n])?,
                Ok(Read::Pending) => break,
                Ok(Read::Eof) => self.take_eof()?,
                Err(other) => return Err(other.into()),
            }
            self.next_read = now + self.config.read_gap;
        }
        Ok(())
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), Trouble> {
        if let Some(at) = self.config.receives.first_difference(self.received, bytes) {
            return Err(Trouble::WrongByte(at));
        }
        self.received += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        match self.received.checked_sub(self.config.expect) {
            None | Some(0) => Ok(()),
            Some(more) => Err(Trouble::TooLong(more)),
        }
    }

    fn take_eof(&mut self) -> Result<(), Trouble> {
        self.eof = true;
        match self.received == self.config.expect {
            true => Ok(()),
            false => Err(Trouble::Short { got: self.received, expected: self.config.expect }),
        }
    }

    fn end(&mut self, turn: &mut Turn<'_>) {
        self.ended = true;
        if let Some(socket) = self.socket.take() {
            turn.stack.release(socket, turn.now);
        }
        if let Some(listener) = self.listener.take() {
            // Already closed if a connection was taken: then there is nothing left to let go.
            turn.stack.release(listener, turn.now);
        }
    }
}
