//! Sending and receiving.
//!
//! Sections: Linux `send(2)`, `recv(2)`, `tcp(7)` (urgent data, SIOCINQ, SIOCATMARK, SIOCOUTQ); RFC 9293 3.9.1.2, 3.9.1.3.
//! In: bytes, or room for bytes, and flags.
//! Out: how many went; the kernel's errors, in its order. Nothing waits here: `EAGAIN` says that a caller may.

use alloc::vec;
use bytes::Bytes;

use super::sock::Role;
use super::urgent::Urgent;
use super::{Errno, Fd, MsgFlags, Sockets};
use crate::net::{SocketId, Stack};
use crate::tcp::{Connection, Read, State};
use crate::time::Instant;

impl Sockets {
    /// `send` and its relatives: the parts are one write.
    pub(super) fn take_send(&mut self, fd: Fd, parts: &[&[u8]], flags: MsgFlags, now: Instant) -> Result<usize, Errno> {
        let id = self.check_send(fd)?;
        let len = parts.iter().fold(0_usize, |len, part| len.saturating_add(part.len()));
        let sent = if flags.has(MsgFlags::OOB) {
            self.send_urgent(id, parts, now)?
        } else {
            self.stack.write_vectored(id, parts, now)?
        };
        self.note_sent(fd, id, len, sent, flags, now)
    }

    /// As `take_send` without copying: what fits is taken off the front of `data`.
    pub(super) fn take_send_bytes(
        &mut self,
        fd: Fd,
        data: &mut Bytes,
        flags: MsgFlags,
        now: Instant,
    ) -> Result<usize, Errno> {
        let id = self.check_send(fd)?;
        let len = data.len();
        let sent = self.stack.send_bytes(id, data, now)?;
        self.note_sent(fd, id, len, sent, flags, now)
    }

    /// What a write has to hear before it may write: the pending error first, once.
    fn check_send(&mut self, fd: Fd) -> Result<SocketId, Errno> {
        let sock = self.table.get(fd).ok_or(Errno::EBADF)?;
        if let Some(error) = self.pending_error(sock) {
            self.take_pending(fd);
            return Err(error);
        }
        let state = self.state_of(sock);
        let Role::Connection(id) = sock.role else { return Err(Errno::EPIPE) };
        match state {
            State::SynSent | State::SynReceived => Err(Errno::EAGAIN),
            State::Established | State::CloseWait if !sock.shut.write => Ok(id),
            _ => Err(Errno::EPIPE),
        }
    }

    /// The urgent pointer points behind the last byte of all parts.
    fn send_urgent(&mut self, id: SocketId, parts: &[&[u8]], now: Instant) -> Result<usize, Errno> {
        let mut sent = 0;
        for part in parts {
            let n = self.stack.write_urgent(id, part, now)?;
            sent += n;
            if n < part.len() {
                break;
            }
        }
        Ok(sent)
    }

    fn note_sent(
        &mut self,
        fd: Fd,
        id: SocketId,
        len: usize,
        sent: usize,
        flags: MsgFlags,
        now: Instant,
    ) -> Result<usize, Errno> {
        let sock = self.table.get_mut(fd).ok_or(Errno::EBADF)?;
        sock.wants_room |= sent < len;
        let more = flags.has(MsgFlags::MORE);
        if core::mem::replace(&mut sock.more, more) != more {
            self.stack.set_more(id, more, now)?;
        }
        if sent == 0 && len > 0 { Err(Errno::EAGAIN) } else { Ok(sent) }
    }

    /// `recv` and its relatives, into several places in turn.
    pub(super) fn take_recv(
        &mut self,
        fd: Fd,
        parts: &mut [&mut [u8]],
        flags: MsgFlags,
        now: Instant,
    ) -> Result<usize, Errno> {
        if flags.has(MsgFlags::OOB) {
            return self.take_recv_urgent(fd, parts, flags, now);
        }
        let len = parts.iter().fold(0_usize, |len, part| len.saturating_add(part.len()));
        let (peek, discard) = (flags.has(MsgFlags::PEEK), flags.has(MsgFlags::TRUNC));
        let mut scratch = if discard { vec![0; len.min(SCRATCH)] } else { vec![] };
        self.read_runs(fd, len, flags, now, |stack, id, run| {
            let mut done = 0;
            while done < run.len {
                let rest = run.len - done;
                let place = if discard {
                    let end = rest.min(scratch.len());
                    scratch.get_mut(..end)
                } else {
                    place(parts, run.at + done, rest)
                };
                let Some(place) = place.filter(|place| !place.is_empty()) else { break };
                let n = if peek {
                    stack.connection(id).map_or(0, |connection| connection.peek(run.skip + done, place))
                } else {
                    read(stack, id, place, now)
                };
                if n == 0 {
                    break;
                }
                done += n;
            }
            done
        })
    }

    /// As `take_recv` without copying: the next chunk, empty at the end of the stream.
    pub(super) fn take_recv_bytes(&mut self, fd: Fd, now: Instant) -> Result<Bytes, Errno> {
        let chunk = self.take_peek_bytes(fd, now)?;
        self.take_skip(fd, chunk.len(), now)?;
        Ok(chunk)
    }

    /// Takes bytes that were seen.
    pub(super) fn take_skip(&mut self, fd: Fd, len: usize, now: Instant) -> Result<usize, Errno> {
        match self.next_run(fd, 0) {
            Some((id, run)) if !run.is_mark => Ok(self.stack.skip(id, run.len.min(len), now)?),
            _ => Ok(0),
        }
    }

    /// The next chunk, which stays queued; empty at the end of the stream.
    pub(super) fn take_peek_bytes(&mut self, fd: Fd, now: Instant) -> Result<Bytes, Errno> {
        self.check_recv(fd, MsgFlags::NONE, now)?;
        while let Some((id, run)) = self.next_run(fd, 0) {
            if run.is_mark {
                discard(&mut self.stack, id, now);
                continue;
            }
            let mut chunk = self.stack.peek_bytes(id, now)?.unwrap_or_default();
            // A chunk might run over the urgent mark.
            chunk.truncate(run.len);
            return Ok(chunk);
        }
        self.nothing_to_read(fd).map(|_| Bytes::new())
    }

    /// Reads runs of bytes up to the urgent mark, and says what it means if there are none.
    fn read_runs(
        &mut self,
        fd: Fd,
        len: usize,
        flags: MsgFlags,
        now: Instant,
        mut take: impl FnMut(&mut Stack, SocketId, Run) -> usize,
    ) -> Result<usize, Errno> {
        self.check_recv(fd, flags, now)?;
        let peek = flags.has(MsgFlags::PEEK);
        let (mut copied, mut skip, mut found) = (0, 0, false);
        while let Some((id, run)) = self.next_run(fd, skip) {
            found = true;
            if run.is_mark {
                if copied > 0 {
                    break;
                }
                // The urgent byte is not part of the stream.
                skip += 1;
                if !peek {
                    discard(&mut self.stack, id, now);
                    skip = 0;
                }
                found = self.next_run(fd, skip).is_some();
                continue;
            }
            let wanted = Run { len: run.len.min(len - copied), at: copied, skip, ..run };
            let n = take(&mut self.stack, id, wanted);
            copied += n;
            skip = if peek { skip + n } else { 0 };
            if n < run.len || copied == len || run.until_mark {
                break;
            }
        }
        if copied > 0 || (len == 0 && found) {
            return Ok(copied);
        }
        self.nothing_to_read(fd)
    }

    /// What a read has to hear before it may look.
    fn check_recv(&mut self, fd: Fd, flags: MsgFlags, now: Instant) -> Result<(), Errno> {
        let sock = self.table.get(fd).ok_or(Errno::EBADF)?;
        if flags.has(MsgFlags::ERRQUEUE) {
            return Err(Errno::EAGAIN);
        }
        if matches!(sock.role, Role::Listening(_)) {
            return Err(Errno::ENOTCONN);
        }
        self.drop_stale_urgent(fd, now);
        Ok(())
    }

    /// The next bytes that lie together, `skip` bytes behind the next one to be read.
    fn next_run(&self, fd: Fd, skip: usize) -> Option<(SocketId, Run)> {
        let sock = self.table.get(fd)?;
        let Role::Connection(id) = sock.role else { return None };
        let connection = self.stack.connection(id)?;
        let available = connection.readable().checked_sub(skip).filter(|n| *n > 0)?;
        let mark = Urgent::of(sock, connection).and_then(|urgent| urgent.ahead.checked_sub(skip));
        let (len, until_mark) = match mark {
            Some(0) if !sock.oob_inline => {
                return Some((id, Run { len: 1, at: 0, skip, is_mark: true, until_mark: false }));
            }
            Some(ahead) if ahead > 0 && ahead < available => (ahead, true),
            _ => (available, false),
        };
        Some((id, Run { len, at: 0, skip, is_mark: false, until_mark }))
    }

    /// Nothing is there: the end, an error, or not yet. In the order of Linux's `tcp_recvmsg`.
    fn nothing_to_read(&mut self, fd: Fd) -> Result<usize, Errno> {
        let sock = self.table.get(fd).ok_or(Errno::EBADF)?;
        let (state, shut) = (self.state_of(sock), self.shut_of(sock));
        if self.connection_of(sock).is_some_and(Connection::is_peer_closed) {
            return Ok(0);
        }
        match self.take_pending(fd) {
            Some(error) => Err(error),
            None if shut.read => Ok(0),
            None if state == State::Closed => Err(Errno::ENOTCONN),
            None => Err(Errno::EAGAIN),
        }
    }

    /// `recv` with MSG_OOB: the urgent byte, out of turn.
    fn take_recv_urgent(
        &mut self,
        fd: Fd,
        parts: &mut [&mut [u8]],
        flags: MsgFlags,
        now: Instant,
    ) -> Result<usize, Errno> {
        self.check_recv(fd, flags, now)?;
        let sock = self.table.get(fd).ok_or(Errno::EBADF)?;
        let connection = self.connection_of(sock).ok_or(Errno::EINVAL)?;
        let urgent = Urgent::of(sock, connection).filter(|urgent| !urgent.was_read && !sock.oob_inline);
        let urgent = urgent.ok_or(Errno::EINVAL)?;
        if connection.state() == State::Closed && !connection.is_peer_closed() {
            return Err(Errno::ENOTCONN);
        }
        if !urgent.has_arrived {
            return if self.shut_of(sock).read { Ok(0) } else { Err(Errno::EAGAIN) };
        }
        let copied = match place(parts, 0, 1) {
            Some(place) if !place.is_empty() => connection.peek(urgent.ahead, place),
            _ => 0,
        };
        if !flags.has(MsgFlags::PEEK) {
            self.table.get_mut(fd).ok_or(Errno::EBADF)?.urgent_read = Some(urgent.up);
        }
        Ok(copied)
    }

    /// The urgent pointer has moved on while the reader stood at the old mark: the old urgent byte is not part of the
    /// stream either.
    fn drop_stale_urgent(&mut self, fd: Fd, now: Instant) {
        let Some(sock) = self.table.get(fd) else { return };
        let Role::Connection(id) = sock.role else { return };
        let Some(connection) = self.stack.connection(id) else { return };
        let (seen, up) = (sock.urgent_seen, connection.urgent());
        let stood_at_mark = seen.is_some_and(|seen| seen == connection.read_position() + 1);
        let is_stale = seen != up && stood_at_mark && !sock.oob_inline && connection.readable() > 0;
        if is_stale {
            discard(&mut self.stack, id, now);
        }
        if let Some(sock) = self.table.get_mut(fd) {
            sock.urgent_seen = up;
        }
    }

    /// SIOCINQ, FIONREAD: bytes before the urgent mark, or all that can be read.
    pub(super) fn bytes_to_read(&self, fd: Fd) -> Result<usize, Errno> {
        let sock = self.table.get(fd).ok_or(Errno::EBADF)?;
        if matches!(sock.role, Role::Listening(_)) {
            return Err(Errno::EINVAL);
        }
        let Some(connection) = self.connection_of(sock) else { return Ok(0) };
        let urgent = Urgent::of(sock, connection).filter(|urgent| urgent.has_arrived && !sock.oob_inline);
        Ok(urgent.map_or_else(|| connection.readable(), |urgent| urgent.ahead))
    }

    /// SIOCATMARK.
    pub(super) fn stands_at_mark(&self, fd: Fd) -> Result<bool, Errno> {
        let sock = self.table.get(fd).ok_or(Errno::EBADF)?;
        let urgent = self.connection_of(sock).and_then(|connection| Urgent::of(sock, connection));
        Ok(urgent.is_some_and(|urgent| urgent.ahead == 0))
    }

    /// SIOCOUTQ and SIOCOUTQNSD: what the peer has not acknowledged, and what was never sent, a FIN counted as a byte.
    pub(super) fn bytes_to_send(&self, fd: Fd) -> Result<(u64, u64), Errno> {
        let sock = self.table.get(fd).ok_or(Errno::EBADF)?;
        if matches!(sock.role, Role::Listening(_)) {
            return Err(Errno::EINVAL);
        }
        let is_open = !matches!(self.state_of(sock), State::SynSent | State::SynReceived);
        Ok(self.connection_of(sock).filter(|_| is_open).map_or((0, 0), |connection| connection.unacknowledged()))
    }
}

/// Bytes that lie together.
#[derive(Clone, Copy, Debug)]
struct Run {
    len: usize,
    /// Where they go in the program's memory.
    at: usize,
    /// Where they are, behind the next byte to be read.
    skip: usize,
    /// It is the urgent byte.
    is_mark: bool,
    /// They end before the urgent byte.
    until_mark: bool,
}

/// The first `len` bytes or fewer, `at` bytes into all parts, that lie in one part.
fn place<'a>(parts: &'a mut [&mut [u8]], mut at: usize, len: usize) -> Option<&'a mut [u8]> {
    for part in parts {
        if at < part.len() {
            let end = part.len().min(at.saturating_add(len));
            return part.get_mut(at..end);
        }
        at -= part.len();
    }
    None
}

/// Reads bytes that were seen to be there.
fn read(stack: &mut Stack, id: SocketId, out: &mut [u8], now: Instant) -> usize {
    match stack.read(id, out, now) {
        Ok(Read::Data(n)) => n,
        _ => 0,
    }
}

/// Reads one byte and forgets it.
fn discard(stack: &mut Stack, id: SocketId, now: Instant) {
    read(stack, id, &mut [0], now);
}

/// MSG_TRUNC throws away in pieces of this size.
const SCRATCH: usize = 16_384;
