//! BSD sockets over a [`Stack`]: what programs see, without a kernel.
//!
//! [`Sockets`] is the table of contents: its calls in the order in which a program meets them. Everything is pure, and
//! nothing waits: where the kernel would put a caller to sleep, a call says `EAGAIN` or `EINPROGRESS`, and
//! [`Sockets::poll_wake`] names the descriptor when it is worth trying again. Errors, readiness and their order are
//! Linux's; the tests hold them against a table that a real kernel filled in.
//!
//! | file | what it does |
//! |---|---|
//! | `errno` | the numbers, and the one mapping to them |
//! | `table`, `sock` | descriptors, and what is behind each |
//! | `open` | bind, listen, accept, connect, the names of both ends |
//! | `data` | send and receive with their flags; queue lengths |
//! | `urgent` | the urgent mark |
//! | `end` | shutdown, close, linger; the end of the whole host |
//! | `ready` | readiness by level, wakes by edge |
//! | `options` | getsockopt and setsockopt |
//! | `list` | what there is: `ss` |
//!
//! Signals are the caller's: after `EPIPE` from a send without MSG_NOSIGNAL the kernel would raise SIGPIPE. So are
//! `dup` and `fork`: a descriptor here is an open file description there.

mod data;
mod end;
mod errno;
mod list;
mod open;
mod options;
mod ready;
mod sock;
mod table;
mod urgent;

pub use end::Linger;
pub use errno::Errno;
pub use list::Listed;
pub use options::{Opt, Value};
pub use ready::{Edges, Ready};
pub use sock::Domain;
pub use table::Fd;

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::ops::BitOr;

use bytes::Bytes;

use crate::net::{Frame, IfaceId, SocketId, Stack, TxFrame};
use crate::tcp::Verdict;
use crate::time::Instant;
use sock::Sock;
use table::Table;

/// Sockets and the stack under them.
///
/// The contract is the stack's: feed [`receive`](Self::receive), run [`on_timeout`](Self::on_timeout) when
/// [`next_timeout`](Self::next_timeout) has come, drain [`poll_transmit`](Self::poll_transmit), then
/// [`poll_wake`](Self::poll_wake) (in place of the stack's events), then sleep. Every call on a descriptor may create
/// output.
#[derive(Clone, Debug)]
pub struct Sockets {
    stack: Stack,
    table: Table,
    /// Whose listener or connection it is.
    owners: BTreeMap<SocketId, Fd>,
    /// Which descriptors have which local port.
    ports: BTreeSet<(u16, Fd)>,
    /// Descriptors that something happened to.
    woken: VecDeque<Fd>,
    /// The host goes down: nothing new begins.
    is_down: bool,
}

/// The flags of send and receive, with Linux's bits. Others mean nothing here.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct MsgFlags(pub u32);

/// Which directions to shut.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Shutdown {
    /// `SHUT_RD`.
    Read,
    /// `SHUT_WR`.
    Write,
    /// `SHUT_RDWR`.
    Both,
}

impl Sockets {
    /// Sockets over `stack`, `limit` descriptors at the most.
    pub fn new(stack: Stack, limit: u32) -> Self {
        Sockets {
            stack,
            table: Table::new(limit),
            owners: BTreeMap::new(),
            ports: BTreeSet::new(),
            woken: VecDeque::new(),
            is_down: false,
        }
    }

    /// The stack below.
    pub fn stack(&self) -> &Stack {
        &self.stack
    }

    /// The stack below, to add interfaces or change settings; its events are not for others to take.
    pub fn stack_mut(&mut self) -> &mut Stack {
        &mut self.stack
    }

    /// `socket`: a TCP socket of this family. `EMFILE` when all descriptors are in use, `ENETDOWN` after
    /// [`take_down`](Self::take_down).
    pub fn socket(&mut self, domain: Domain) -> Result<Fd, Errno> {
        self.check_up()?;
        let config = self.stack.config().tcp.clone();
        self.table.insert(Box::new(Sock::new(domain, config)))
    }

    /// `bind`.
    pub fn bind(&mut self, fd: Fd, addr: SocketAddr) -> Result<(), Errno> {
        self.take_bind(fd, addr)
    }

    /// `listen`; on a listener: changes its backlog.
    pub fn listen(&mut self, fd: Fd, backlog: i32) -> Result<(), Errno> {
        self.take_listen(fd, backlog)
    }

    /// `accept`: the next connection, its peer's address, and all options that it inherits. `EAGAIN` while there is none.
    pub fn accept(&mut self, fd: Fd, now: Instant) -> Result<(Fd, SocketAddr), Errno> {
        self.take_accept(fd, now)
    }

    /// `connect`. Starts with `EINPROGRESS`; a call once the descriptor is writable gives the outcome (as SO_ERROR
    /// does), one before it `EALREADY`, one after it `EISCONN`.
    pub fn connect(&mut self, fd: Fd, remote: SocketAddr, now: Instant) -> Result<(), Errno> {
        self.take_connect(fd, remote, now)
    }

    /// `send`: as much as fits; `EAGAIN` if nothing does.
    pub fn send(&mut self, fd: Fd, data: &[u8], flags: MsgFlags, now: Instant) -> Result<usize, Errno> {
        self.take_send(fd, &[data], flags, now)
    }

    /// `writev`, `sendmsg`: the parts are one write.
    pub fn send_vectored(&mut self, fd: Fd, parts: &[&[u8]], flags: MsgFlags, now: Instant) -> Result<usize, Errno> {
        self.take_send(fd, parts, flags, now)
    }

    /// As `send` without copying: what fits is taken off the front of `data`.
    pub fn send_bytes(&mut self, fd: Fd, data: &mut Bytes, flags: MsgFlags, now: Instant) -> Result<usize, Errno> {
        self.take_send_bytes(fd, data, flags, now)
    }

    /// `recv`: what is there; 0 at the end of the stream, `EAGAIN` before it.
    pub fn recv(&mut self, fd: Fd, out: &mut [u8], flags: MsgFlags, now: Instant) -> Result<usize, Errno> {
        self.take_recv(fd, &mut [out], flags, now)
    }

    /// `readv`, `recvmsg`: fills the parts in turn.
    pub fn recv_vectored(
        &mut self,
        fd: Fd,
        parts: &mut [&mut [u8]],
        flags: MsgFlags,
        now: Instant,
    ) -> Result<usize, Errno> {
        self.take_recv(fd, parts, flags, now)
    }

    /// As `recv` without copying: the next chunk, whatever its size; empty at the end of the stream.
    pub fn recv_bytes(&mut self, fd: Fd, now: Instant) -> Result<Bytes, Errno> {
        self.take_recv_bytes(fd, now)
    }

    /// As [`recv_bytes`](Self::recv_bytes), and the chunk stays queued until [`skip`](Self::skip) takes it.
    pub fn peek_bytes(&mut self, fd: Fd, now: Instant) -> Result<Bytes, Errno> {
        self.take_peek_bytes(fd, now)
    }

    /// Takes the next `len` bytes as if they had been read, or what there is of them before the urgent mark.
    pub fn skip(&mut self, fd: Fd, len: usize, now: Instant) -> Result<usize, Errno> {
        self.take_skip(fd, len, now)
    }

    /// How many bytes a caller that may wait waits for, in all its calls together, before it returns from reading
    /// `len`: SO_RCVLOWAT, or all with MSG_WAITALL. The end of the stream, an error or the urgent mark ends the wait.
    pub fn recv_target(&self, fd: Fd, len: usize, flags: MsgFlags) -> Result<usize, Errno> {
        let sock = self.table.get(fd).ok_or(Errno::EBADF)?;
        Ok(if flags.has(MsgFlags::WAITALL) { len } else { sock.lowat().min(len) }.max(1))
    }

    /// `shutdown`.
    pub fn shutdown(&mut self, fd: Fd, how: Shutdown, now: Instant) -> Result<(), Errno> {
        self.take_shutdown(fd, how, now)
    }

    /// `close`. The descriptor is free at once; with SO_LINGER the caller waits as long as
    /// [`is_lingering`](Self::is_lingering) says of what it was given.
    pub fn close(&mut self, fd: Fd, now: Instant) -> Result<Option<Linger>, Errno> {
        self.take_close(fd, now)
    }

    /// The host goes down. Listeners end, what waits to be accepted is reset, connections that are not open yet are
    /// given up; every other one sends its FIN once all that was written has gone, and can be read until its peer has
    /// closed, too. No new one begins: `ENETDOWN`. Returns the connections that are not over, those included whose
    /// descriptor is closed.
    pub fn take_down(&mut self, now: Instant) -> Vec<SocketId> {
        self.end_all(now)
    }

    /// Aborts a connection, whoever holds it; its program hears `ECONNABORTED`. False if it is over already.
    pub fn destroy(&mut self, connection: SocketId, now: Instant) -> bool {
        self.end_at_once(connection, now)
    }

    /// Every listener and connection: those of descriptors first, then those that no program has, or not yet, then
    /// half-open and TIME-WAIT records.
    pub fn list(&self, now: Instant) -> Vec<Listed> {
        self.list_all(now)
    }

    /// `getsockname`.
    pub fn local_addr(&self, fd: Fd) -> Result<SocketAddr, Errno> {
        self.name_of(fd)
    }

    /// `getpeername`.
    pub fn peer_addr(&self, fd: Fd) -> Result<SocketAddr, Errno> {
        self.peer_of(fd)
    }

    /// `setsockopt`.
    pub fn set_option(&mut self, fd: Fd, option: Opt, value: &Value, now: Instant) -> Result<(), Errno> {
        self.take_option(fd, option, value, now)
    }

    /// `getsockopt`. SO_ERROR is told once.
    pub fn option(&mut self, fd: Fd, option: Opt, now: Instant) -> Result<Value, Errno> {
        self.read_option(fd, option, now)
    }

    /// SO_ERROR: the pending error, told once.
    pub fn take_error(&mut self, fd: Fd) -> Result<Option<Errno>, Errno> {
        self.table.get(fd).ok_or(Errno::EBADF)?;
        Ok(self.take_pending(fd))
    }

    /// SIOCINQ (FIONREAD): bytes that could be read, up to the urgent mark.
    pub fn inq(&self, fd: Fd) -> Result<usize, Errno> {
        self.bytes_to_read(fd)
    }

    /// SIOCATMARK: whether the next byte is the urgent one.
    pub fn is_at_mark(&self, fd: Fd) -> Result<bool, Errno> {
        self.stands_at_mark(fd)
    }

    /// SIOCOUTQ: bytes that the peer has not acknowledged, a FIN counted.
    pub fn outq(&self, fd: Fd) -> Result<u64, Errno> {
        Ok(self.bytes_to_send(fd)?.0)
    }

    /// SIOCOUTQNSD: bytes that were never sent, a FIN counted.
    pub fn outq_unsent(&self, fd: Fd) -> Result<u64, Errno> {
        Ok(self.bytes_to_send(fd)?.1)
    }

    /// The connection of a descriptor in the stack, if it has one.
    pub fn connection_id(&self, fd: Fd) -> Option<SocketId> {
        match self.table.get(fd)?.role {
            sock::Role::Connection(id) => Some(id),
            sock::Role::Idle | sock::Role::Listening(_) => None,
        }
    }

    /// How many descriptors are in use.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// True if no descriptor is in use.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// As [`Stack::receive`].
    pub fn receive(&mut self, iface: IfaceId, frame: Frame, now: Instant) -> Verdict {
        self.stack.receive(iface, frame, now)
    }

    /// As [`Stack::poll_transmit`].
    pub fn poll_transmit(&mut self, now: Instant) -> Option<TxFrame> {
        self.stack.poll_transmit(now)
    }

    /// As [`Stack::on_timeout`].
    pub fn on_timeout(&mut self, now: Instant) {
        self.stack.on_timeout(now);
    }

    /// As [`Stack::next_timeout`].
    pub fn next_timeout(&self) -> Option<Instant> {
        self.stack.next_timeout()
    }
}

impl MsgFlags {
    /// None.
    pub const NONE: MsgFlags = MsgFlags(0);
    /// `MSG_OOB`: urgent data.
    pub const OOB: MsgFlags = MsgFlags(0x1);
    /// `MSG_PEEK`: what is read stays.
    pub const PEEK: MsgFlags = MsgFlags(0x2);
    /// `MSG_TRUNC`: what is read is thrown away.
    pub const TRUNC: MsgFlags = MsgFlags(0x20);
    /// `MSG_DONTWAIT`: nothing here waits; whoever lets callers wait reads it.
    pub const DONTWAIT: MsgFlags = MsgFlags(0x40);
    /// `MSG_WAITALL`: read all of it; see [`Sockets::recv_target`].
    pub const WAITALL: MsgFlags = MsgFlags(0x100);
    /// `MSG_ERRQUEUE`: there is none, which is `EAGAIN`.
    pub const ERRQUEUE: MsgFlags = MsgFlags(0x2000);
    /// `MSG_NOSIGNAL`: `EPIPE` without SIGPIPE; whoever raises signals reads it.
    pub const NOSIGNAL: MsgFlags = MsgFlags(0x4000);
    /// `MSG_MORE`: more follows at once; a segment that is not full waits for it, 200 ms at the most.
    pub const MORE: MsgFlags = MsgFlags(0x8000);

    /// True if all of `other` is in `self`.
    pub const fn has(self, other: MsgFlags) -> bool {
        self.0 & other.0 == other.0
    }
}

impl BitOr for MsgFlags {
    type Output = MsgFlags;
    fn bitor(self, other: MsgFlags) -> MsgFlags {
        MsgFlags(self.0 | other.0)
    }
}
