//! The system calls of a script, on [`Sockets`], in virtual time. One call at a time may wait.
//!
//! Sections: Linux `socket(7)`, `tcp(7)`, and the page of each call.
//! In: a call, what it must give, and when it must return if it may wait.
//! Out: nothing, or what was different.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use tidegate_proto::socket::{Domain, Errno, Fd, Linger, MsgFlags, Opt, Ready, Shutdown, Sockets, Value};
use tidegate_proto::tcp::TcpInfo;
use tidegate_proto::time::{Duration, Instant};
use tidegate_proto::wire::FourTuple;

use super::ast::{Call, Expr, Place};
use super::polls::Epoll;
use super::run::Stop;

pub(super) struct Calls {
    pub(super) sockets: Sockets,
    /// The two ends of the connection that the script speaks of, where it does not name them.
    pub(super) local: SocketAddr,
    pub(super) remote: SocketAddr,
    /// IPv4 through sockets of IPv6.
    mapped: bool,
    /// The port for the next peer of a new listener.
    next_peer: u16,
    /// A listener has met no SYN yet.
    awaits_peer: bool,
    /// The descriptors by the script's numbers, and whether calls on them may not wait.
    pub(super) fds: BTreeMap<i64, (Fd, bool)>,
    /// Sets of descriptors that epoll watches, by the script's numbers.
    pub(super) epolls: BTreeMap<i64, Epoll>,
    waiting: Option<Waiting>,
}

/// A call that has not returned.
struct Waiting {
    call: Call,
    place: Place,
    until: Instant,
    progress: Progress,
}

/// How far a call that waits has come.
#[derive(Default)]
pub(super) struct Progress {
    /// Bytes that it has moved so far.
    moved: usize,
    /// A write that found the send buffer full.
    wants_room: bool,
    /// When it gives up waiting, if it does.
    pub(super) deadline: Option<Instant>,
    /// A close that lingers.
    linger: Option<Linger>,
}

/// What became of a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Outcome {
    Returned,
    Waits,
}

/// What a call gives: a result, or the name of an error.
pub(super) type Given = Result<i64, Errno>;

/// What a code block can ask of the connection under test.
pub(super) struct Known {
    info: TcpInfo,
    snd_buf: i32,
    rcv_buf: i32,
}

impl Known {
    /// The number that a code block has under this name.
    pub(super) fn value(&self, name: &str) -> Option<u64> {
        let size = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        match name {
            "SK_MEMINFO_RMEM_ALLOC" => Some(size(self.info.recv_queue.saturating_add(self.info.ooo_queue))),
            "SK_MEMINFO_RCVBUF" => u64::try_from(self.rcv_buf).ok(),
            "SK_MEMINFO_WMEM_ALLOC" => Some(self.info.bytes_in_flight),
            "SK_MEMINFO_SNDBUF" => u64::try_from(self.snd_buf).ok(),
            "SK_MEMINFO_WMEM_QUEUED" => Some(size(self.info.send_queue)),
            "SK_MEMINFO_FWD_ALLOC" | "SK_MEMINFO_OPTMEM" | "SK_MEMINFO_BACKLOG" | "SK_MEMINFO_DROPS" => Some(0),
            name => self.info.field(name),
        }
    }
}

impl Calls {
    pub(super) fn new(sockets: Sockets, local: SocketAddr, remote: SocketAddr, mapped: bool) -> Self {
        Calls {
            sockets,
            local,
            remote,
            mapped,
            next_peer: remote.port(),
            awaits_peer: false,
            fds: BTreeMap::new(),
            epolls: BTreeMap::new(),
            waiting: None,
        }
    }

    /// The script names the ports of a packet, and means that connection from here on.
    pub(super) fn focus_on(&mut self, ours: u16, theirs: u16) {
        self.local.set_port(ours);
        self.remote.set_port(theirs);
        self.awaits_peer = false;
    }

    /// A SYN without ports is for the listener that has met none, from a peer of its own.
    pub(super) fn meet_listener(&mut self) {
        if core::mem::take(&mut self.awaits_peer) {
            self.remote.set_port(self.next_peer);
            self.next_peer = self.next_peer.wrapping_add(1).max(1);
        }
    }

    /// True if a packet between these ends is one that the script can mean: with these ports, or the connection that it
    /// speaks of.
    pub(super) fn is_about(&self, source: SocketAddr, destination: SocketAddr, ports: Option<(u16, u16)>) -> bool {
        match ports {
            Some(ports) => ports == (source.port(), destination.port()),
            None => (source, destination) == (self.local, self.remote),
        }
    }

    /// What a code block can ask of the connection that the script speaks of.
    pub(super) fn known(&mut self, now: Instant) -> Known {
        let key = FourTuple::new(self.local, self.remote);
        let stack = self.sockets.stack();
        let by_key = self
            .fds
            .values()
            .map(|(fd, _)| *fd)
            .find(|fd| self.sockets.connection_id(*fd).is_some_and(|id| stack.key(id) == Some(key)));
        let fd = by_key.or_else(|| self.fds.values().map(|(fd, _)| *fd).next_back());
        let closed = || stack.connections().find(|(_, connection)| connection.key() == key);
        let mut info = match fd {
            None => closed().map(|(_, connection)| connection.info(now)).unwrap_or_default(),
            Some(_) => TcpInfo::default(),
        };
        let mut number = |option| match fd.map(|fd| self.sockets.option(fd, option, now)) {
            Some(Ok(Value::Int(n))) => n,
            _ => 0,
        };
        let (snd_buf, rcv_buf) = (number(Opt::SndBuf), number(Opt::RcvBuf));
        if let Some(fd) = fd
            && let Ok(Value::Info(of_socket)) = self.sockets.option(fd, Opt::Info, now)
        {
            info = *of_socket;
        }
        Known { info, snd_buf, rcv_buf }
    }

    /// Until when the call that waits may wait.
    pub(super) fn waits_until(&self) -> Option<Instant> {
        self.waiting.as_ref().map(|waiting| waiting.until)
    }

    /// When the call that waits gives up by itself.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.waiting.as_ref().and_then(|waiting| waiting.progress.deadline)
    }

    /// Wakes become edges of epoll.
    pub(super) fn take_wakes(&mut self) {
        while let Some((fd, ready)) = self.sockets.poll_wake() {
            self.epolls.values_mut().for_each(|epoll| epoll.on_wake(fd, ready));
        }
    }

    /// A call begins; without `until` it must return at once.
    pub(super) fn begin(
        &mut self,
        call: &Call,
        place: Place,
        until: Option<Instant>,
        tolerance: Duration,
        now: Instant,
    ) -> Result<(), Stop> {
        let waiting = Waiting { call: call.clone(), place, until: until.unwrap_or(now), progress: Progress::default() };
        self.waiting = Some(waiting);
        let outcome = self.retry(tolerance, now)?;
        if until.is_none() && self.waiting.take().is_some() && outcome == Outcome::Waits {
            return Err(Stop::Fail(format!("{} waits, expected that it returns at once", call.name)));
        }
        Ok(())
    }

    /// The call that waits tries again.
    pub(super) fn retry(&mut self, tolerance: Duration, now: Instant) -> Result<Outcome, Stop> {
        let Some(mut waiting) = self.waiting.take() else { return Ok(Outcome::Waits) };
        let (place, name) = (waiting.place, waiting.call.name.clone());
        let here = |stop| match stop {
            Stop::Fail(what) => Stop::FailAt(place, what),
            other => other,
        };
        match self.attempt(&waiting.call, &mut waiting.progress, now).map_err(here)? {
            None if now > waiting.until + tolerance => {
                Err(Stop::FailAt(place, format!("{name} still waits, expected that it has returned")))
            }
            None => {
                self.waiting = Some(waiting);
                Ok(Outcome::Waits)
            }
            Some(_) if now + tolerance < waiting.until => {
                Err(Stop::FailAt(place, format!("{name} has returned too early")))
            }
            Some(given) => self.compare(&waiting.call, given, now).map(|()| Outcome::Returned).map_err(here),
        }
    }

    /// No call may wait any more.
    pub(super) fn finish(&mut self) -> Result<(), Stop> {
        match self.waiting.take() {
            None => Ok(()),
            Some(waiting) => Err(Stop::FailAt(waiting.place, format!("{} never returned", waiting.call.name))),
        }
    }

    /// Holds what a call gave against what the script says; a new descriptor gets the script's number.
    fn compare(&mut self, call: &Call, given: Given, now: Instant) -> Result<(), Stop> {
        let Call { name, result, errno, .. } = call;
        let gave = match given {
            Ok(n) => format!("{n}"),
            Err(e) => format!("-1 {e:?}"),
        };
        let expected = match result {
            Expr::Any => return Ok(()),
            other => number(other)?,
        };
        let fits = match given {
            Ok(fd) if makes_descriptor(name) => {
                let is_new = expected >= 0 && errno.is_none() && !self.is_open(expected);
                let fd = Fd(u32::try_from(fd).map_err(|_| Stop::Fail(gave.clone()))?);
                is_new && self.fds.insert(expected, (fd, self.starts_nonblocking(call))).is_none()
            }
            Ok(_) if name.starts_with("epoll_create") => {
                let is_new = expected >= 0 && errno.is_none() && !self.is_open(expected);
                is_new && self.epolls.insert(expected, Epoll::default()).is_none()
            }
            Ok(n) => n == expected && errno.is_none(),
            Err(e) => expected == -1 && errno.as_ref().is_some_and(|errno| names(errno, e)),
        };
        if fits {
            self.follow(call, given, now);
            return Ok(());
        }
        let wanted = errno.as_ref().map_or_else(|| format!("{expected}"), |errno| format!("{expected} {errno}"));
        Err(Stop::Fail(format!("{name} gave {gave}, expected {wanted}")))
    }

    /// Which connection the script speaks of after this call.
    fn follow(&mut self, call: &Call, given: Given, _now: Instant) {
        let connects = matches!(call.name.as_str(), "connect" | "sendto" | "sendmsg");
        if call.name == "listen" && given.is_ok() {
            self.awaits_peer = true;
        }
        let fd = call.arguments.first().and_then(|fd| number(fd).ok()).and_then(|fd| self.fds.get(&fd));
        if let (true, Some(&(fd, _))) = (connects, fd)
            && let Some(key) = self.sockets.connection_id(fd).and_then(|id| self.sockets.stack().key(id))
        {
            (self.local, self.remote) = (key.local(), key.remote());
        }
    }

    fn is_open(&self, fd: i64) -> bool {
        self.fds.contains_key(&fd) || self.epolls.contains_key(&fd)
    }

    fn starts_nonblocking(&self, call: &Call) -> bool {
        let kind = match call.name.as_str() {
            "socket" => call.arguments.get(1),
            "accept4" => call.arguments.get(3),
            _ => None,
        };
        kind.and_then(|kind| number(kind).ok()).is_some_and(|kind| kind & O_NONBLOCK != 0)
    }

    /// Makes the call; `None` if it would wait.
    fn attempt(&mut self, call: &Call, progress: &mut Progress, now: Instant) -> Result<Option<Given>, Stop> {
        let arguments = call.arguments.as_slice();
        let given = match (call.name.as_str(), arguments) {
            ("socket", [family, kind, protocol]) => self.socket(family, kind, protocol)?,
            ("bind", [fd, addr, _]) => {
                let addr = self.address(addr, self.local)?;
                self.on(fd, |sockets, fd| sockets.bind(fd, addr).map(|()| 0))?
            }
            ("listen", [fd, backlog]) => {
                let backlog = i32::try_from(number(backlog)?).map_err(|_| odd("a backlog"))?;
                self.on(fd, |sockets, fd| sockets.listen(fd, backlog).map(|()| 0))?
            }
            ("accept", [fd, Expr::Any, Expr::Any]) | ("accept4", [fd, Expr::Any, Expr::Any, _]) => {
                self.on(fd, |sockets, fd| sockets.accept(fd, now).map(|(fd, _)| i64::from(fd.0)))?
            }
            ("connect", [fd, addr, _]) => {
                let addr = self.address(addr, self.remote)?;
                let given = self.on(fd, |sockets, fd| sockets.connect(fd, addr, now).map(|()| 0))?;
                let is_under_way = matches!(given, Err(Errno::EINPROGRESS | Errno::EALREADY));
                if is_under_way && !self.is_nonblocking(fd)? {
                    return Ok(None);
                }
                given
            }
            ("read", [fd, buffer, len]) => {
                return self.receive(
                    fd,
                    Into { buffer, lens: &[length(len)?] },
                    MsgFlags::NONE,
                    &mut progress.moved,
                    now,
                );
            }
            ("recv", [fd, buffer, len, flags]) | ("recvfrom", [fd, buffer, len, flags, Expr::Any, Expr::Any]) => {
                let into = Into { buffer, lens: &[length(len)?] };
                return self.receive(fd, into, message_flags(flags)?, &mut progress.moved, now);
            }
            ("readv", [fd, Expr::List(parts), count]) => {
                let lens = lengths(parts, count)?;
                return self.receive(
                    fd,
                    Into { buffer: &Expr::Any, lens: &lens },
                    MsgFlags::NONE,
                    &mut progress.moved,
                    now,
                );
            }
            ("recvmsg", [fd, message, flags]) => {
                return self.receive_message(fd, message, flags, &mut progress.moved, now);
            }
            ("write", [fd, data, len]) => return self.send(fd, &[(data, length(len)?)], MsgFlags::NONE, progress, now),
            ("send", [fd, data, len, flags]) => {
                return self.send(fd, &[(data, length(len)?)], message_flags(flags)?, progress, now);
            }
            ("sendto", [fd, data, len, flags, _, _]) => {
                // TCP knows where it sends to.
                return self.send(fd, &[(data, length(len)?)], message_flags(flags)?, progress, now);
            }
            ("writev", [fd, Expr::List(parts), count]) => {
                let lens = lengths(parts, count)?;
                let parts: Vec<_> = lens.iter().map(|len| (&Expr::Any, *len)).collect();
                return self.send(fd, &parts, MsgFlags::NONE, progress, now);
            }
            ("sendmsg", [fd, Expr::MsgHdr { iov_len, iov, control: None, .. }, flags]) => {
                let lens = lengths(iov, &Expr::Int(*iov_len))?;
                let parts: Vec<_> = lens.iter().map(|len| (&Expr::Any, *len)).collect();
                return self.send(fd, &parts, message_flags(flags)?, progress, now);
            }
            ("poll", [Expr::List(fds), _, timeout]) => return self.poll(fds, timeout, progress, now),
            ("epoll_create" | "epoll_create1", [_]) => Ok(0),
            ("epoll_ctl", [epoll, op, fd, rest @ ..]) => self.epoll_control(epoll, op, fd, rest.first())?,
            ("epoll_wait", [epoll, events, _, timeout]) => {
                return self.epoll_wait(epoll, events, timeout, progress, now);
            }
            ("shutdown", [fd, how]) => {
                let how = match number(how)? {
                    0 => Shutdown::Read,
                    1 => Shutdown::Write,
                    2 => Shutdown::Both,
                    _ => return Ok(Some(Err(Errno::EINVAL))),
                };
                self.on(fd, |sockets, fd| sockets.shutdown(fd, how, now).map(|()| 0))?
            }
            ("close", [_]) if progress.linger.is_some() => {
                let is_over = progress.linger.is_none_or(|linger| !self.sockets.is_lingering(&linger, now));
                return Ok(is_over.then_some(Ok(0)));
            }
            ("close", [fd]) if self.epolls.remove(&number(fd)?).is_some() => Ok(0),
            ("close", [fd]) => {
                let given = self.on(fd, |sockets, fd| sockets.close(fd, now))?;
                if let Some((fd, _)) = self.fds.remove(&number(fd)?) {
                    self.epolls.values_mut().for_each(|epoll| epoll.forget(fd));
                }
                // Like Linux: O_NONBLOCK does not spare a close the wait.
                if let Ok(Some(linger)) = given {
                    (progress.linger, progress.deadline) = (Some(linger), Some(linger.until));
                    return Ok(None);
                }
                given.map(|_| 0)
            }
            ("fcntl", [fd, command, rest @ ..]) => self.fcntl(fd, command, rest)?,
            ("ioctl", [fd, Expr::Word(request), Expr::List(value)]) => self.ioctl(fd, request, value)?,
            ("setsockopt", [fd, level, name, value, _]) => self.set_option(fd, level, name, value, now)?,
            ("getsockopt", [fd, level, name, value, _]) => self.option(fd, level, name, value, now)?,
            (name, _) => return Err(Stop::NotApplicable(format!("the system call {name} with these arguments"))),
        };
        let waits = matches!(call.name.as_str(), "accept" | "accept4")
            && given == Err(Errno::EAGAIN)
            && !arguments.first().map_or(Ok(false), |fd| self.is_nonblocking(fd))?;
        Ok((!waits).then_some(given))
    }

    fn socket(&mut self, family: &Expr, kind: &Expr, protocol: &Expr) -> Result<Given, Stop> {
        let (kind, protocol) = (number(kind)? & !(O_NONBLOCK | O_CLOEXEC), number(protocol)?);
        if kind != SOCK_STREAM || !matches!(protocol, 0 | IPPROTO_TCP) {
            return Err(odd("a socket that is not TCP's"));
        }
        let domain = match family {
            Expr::Any if self.local.is_ipv6() || self.mapped => Domain::V6,
            Expr::Any => Domain::V4,
            family => match number(family)? {
                AF_INET => Domain::V4,
                AF_INET6 => Domain::V6,
                _ => return Err(odd("an address family")),
            },
        };
        Ok(self.sockets.socket(domain).map(|fd| i64::from(fd.0)))
    }

    /// Reads into buffers; waits for as much as the socket or MSG_WAITALL asks for, if it may.
    fn receive(
        &mut self,
        fd: &Expr,
        into: Into<'_>,
        flags: MsgFlags,
        moved: &mut usize,
        now: Instant,
    ) -> Result<Option<Given>, Stop> {
        let total: usize = into.lens.iter().map(|len| (*len).min(LARGEST)).sum();
        let mut buffer = vec![0; total - *moved];
        let may_wait = !flags.has(MsgFlags::DONTWAIT) && !self.is_nonblocking(fd)?;
        let given = self.on(fd, |sockets, fd| {
            let target = sockets.recv_target(fd, total, flags)?;
            sockets.recv(fd, &mut buffer, flags, now).map(|n| (n, target))
        })?;
        let peeks = flags.has(MsgFlags::PEEK);
        let (n, target) = match given {
            Err(Errno::EAGAIN) if may_wait => return Ok(None),
            Err(_) if *moved > 0 => return Ok(Some(Ok(count(*moved)))),
            Err(e) => return Ok(Some(Err(e))),
            Ok(given) => given,
        };
        let so_far = *moved + n;
        if may_wait && n > 0 && so_far < target {
            if !peeks {
                *moved = so_far;
            }
            return Ok(None);
        }
        if let (Expr::Text(text) | Expr::TextPrefix(text), true) = (into.buffer, *moved == 0) {
            let read = buffer.get(..n).unwrap_or_default();
            let is_prefix = matches!(into.buffer, Expr::TextPrefix(_));
            if !(read == text || is_prefix && read.starts_with(text)) {
                return Err(Stop::Fail(format!("what was read is not {}", into.buffer)));
            }
        }
        Ok(Some(Ok(count(so_far))))
    }

    /// `recvmsg`: TCP has neither a name nor, but for TCP_INQ, control messages to give.
    fn receive_message(
        &mut self,
        fd: &Expr,
        message: &Expr,
        flags: &Expr,
        moved: &mut usize,
        now: Instant,
    ) -> Result<Option<Given>, Stop> {
        let Expr::MsgHdr { iov_len, iov, flags: expected, control } = message else {
            return Err(odd("a message header"));
        };
        let lens = lengths(iov, &Expr::Int(*iov_len))?;
        let flags = message_flags(flags)?;
        let given = self.receive(fd, Into { buffer: &Expr::Any, lens: &lens }, flags, moved, now)?;
        if let Some(Ok(_)) = given {
            same("msg_flags", expected, 0)?;
            if control.as_ref().is_some_and(|control| !control.is_empty()) {
                return Err(Stop::NotApplicable(String::from("control messages of recvmsg")));
            }
        }
        Ok(given)
    }

    fn send(
        &mut self,
        fd: &Expr,
        parts: &[(&Expr, usize)],
        flags: MsgFlags,
        progress: &mut Progress,
        now: Instant,
    ) -> Result<Option<Given>, Stop> {
        // Like Linux: a writer that waits is woken when a third of the buffer is free.
        if progress.wants_room && !self.is_writable(fd)? {
            return Ok(None);
        }
        let moved = &mut progress.moved;
        let mut data = Vec::new();
        for (text, len) in parts {
            let start = data.len();
            if let Expr::Text(text) = text {
                data.extend_from_slice(text.get(..*len).ok_or_else(|| odd("a string shorter than its length"))?);
            }
            data.resize(start + len, 0);
        }
        let len = data.len();
        let rest = data.get(*moved..).unwrap_or_default();
        let given = self.on(fd, |sockets, fd| sockets.send(fd, rest, flags, now))?;
        let may_wait = !flags.has(MsgFlags::DONTWAIT) && !self.is_nonblocking(fd)?;
        progress.wants_room = may_wait;
        match given {
            Ok(n) if may_wait && *moved + n < len => {
                *moved += n;
                Ok(None)
            }
            Err(Errno::EAGAIN) if may_wait => Ok(None),
            Err(_) if *moved > 0 => Ok(Some(Ok(count(*moved)))),
            Ok(n) => Ok(Some(Ok(count(*moved + n)))),
            Err(e) => Ok(Some(Err(e))),
        }
    }

    fn fcntl(&mut self, fd: &Expr, command: &Expr, rest: &[Expr]) -> Result<Given, Stop> {
        let script = number(fd)?;
        let Some((_, nonblocking)) = self.fds.get_mut(&script) else { return Ok(Err(Errno::EBADF)) };
        match (command, rest) {
            (Expr::Word(name), []) if name == "F_GETFL" => Ok(Ok(O_RDWR | if *nonblocking { O_NONBLOCK } else { 0 })),
            (Expr::Word(name), [flags]) if name == "F_SETFL" => {
                let flags = number(flags)?;
                if flags & !(O_RDWR | O_NONBLOCK) != 0 {
                    return Err(odd("a flag of fcntl"));
                }
                *nonblocking = flags & O_NONBLOCK != 0;
                Ok(Ok(0))
            }
            _ => Err(odd("a command of fcntl")),
        }
    }

    fn ioctl(&mut self, fd: &Expr, request: &str, value: &[Expr]) -> Result<Given, Stop> {
        let given = match request {
            "FIONREAD" | "SIOCINQ" => self.on(fd, |sockets, fd| sockets.inq(fd).map(count))?,
            "SIOCOUTQ" => self.on(fd, |sockets, fd| sockets.outq(fd).map(|n| i64::try_from(n).unwrap_or(i64::MAX)))?,
            "SIOCOUTQNSD" => {
                self.on(fd, |sockets, fd| sockets.outq_unsent(fd).map(|n| i64::try_from(n).unwrap_or(i64::MAX)))?
            }
            _ => return Err(odd("a request of ioctl")),
        };
        match (given, value) {
            (Err(e), _) => Ok(Err(e)),
            (Ok(n), [expected]) => same(request, expected, n).map(|()| Ok(0)),
            (Ok(_), _) => Err(odd("a value of ioctl")),
        }
    }

    fn set_option(&mut self, fd: &Expr, level: &Expr, name: &Expr, value: &Expr, now: Instant) -> Result<Given, Stop> {
        let option = option_of(level, name)?;
        let value = match value {
            Expr::List(values) => match values.as_slice() {
                [value] => Value::Int(i32::try_from(number(value)?).map_err(|_| odd("the value of an option"))?),
                _ => return Err(odd("the value of an option")),
            },
            Expr::Linger { onoff, linger } => Value::Linger {
                on: *onoff != 0,
                seconds: u32::try_from(*linger).map_err(|_| odd("the value of an option"))?,
            },
            Expr::Text(text) => Value::Name(String::from_utf8_lossy(text).into_owned()),
            _ => return Err(odd("the value of an option")),
        };
        self.on(fd, |sockets, fd| sockets.set_option(fd, option, &value, now).map(|()| 0))
    }

    fn option(&mut self, fd: &Expr, level: &Expr, name: &Expr, value: &Expr, now: Instant) -> Result<Given, Stop> {
        let option = option_of(level, name)?;
        match (self.on(fd, |sockets, fd| sockets.option(fd, option, now))?, value) {
            (Err(e), _) => Ok(Err(e)),
            (Ok(Value::Int(n)), Expr::List(values)) => match values.as_slice() {
                [expected] => same(option.name(), expected, i64::from(n)).map(|()| Ok(0)),
                _ => Err(odd("the value of an option")),
            },
            (Ok(Value::Name(name)), Expr::Text(text)) if name.as_bytes() == text => Ok(Ok(0)),
            (Ok(Value::Name(name)), Expr::Text(_)) => Err(Stop::Fail(format!("{} is {name}", option.name()))),
            (Ok(Value::Linger { on, seconds }), Expr::Linger { onoff, linger }) => {
                let fits = on == (*onoff != 0) && i64::from(seconds) == *linger;
                if fits { Ok(Ok(0)) } else { Err(Stop::Fail(format!("SO_LINGER is {on}, {seconds}"))) }
            }
            _ => Err(odd("the value of an option")),
        }
    }

    fn on<T>(
        &mut self,
        fd: &Expr,
        call: impl FnOnce(&mut Sockets, Fd) -> Result<T, Errno>,
    ) -> Result<Result<T, Errno>, Stop> {
        Ok(match self.fds.get(&number(fd)?) {
            Some(&(fd, _)) => call(&mut self.sockets, fd),
            None => Err(Errno::EBADF),
        })
    }

    pub(super) fn is_nonblocking(&self, fd: &Expr) -> Result<bool, Stop> {
        Ok(self.fds.get(&number(fd)?).is_some_and(|(_, nonblocking)| *nonblocking))
    }

    /// True if a write would do something: take bytes, or fail.
    fn is_writable(&mut self, fd: &Expr) -> Result<bool, Stop> {
        let Some(&(fd, _)) = self.fds.get(&number(fd)?) else { return Ok(true) };
        Ok(!(self.sockets.poll(fd) & (Ready::OUT | Ready::ALWAYS)).is_empty())
    }

    fn address(&self, addr: &Expr, default: SocketAddr) -> Result<SocketAddr, Stop> {
        match addr {
            Expr::Any => match default.ip() {
                IpAddr::V4(ip) if self.mapped => Ok(SocketAddr::new(ip.to_ipv6_mapped().into(), default.port())),
                _ => Ok(default),
            },
            Expr::SockAddr(addr) => Ok(*addr),
            _ => Err(odd("an address")),
        }
    }
}

/// Where a read goes: what the script says that it reads, and how long each buffer is.
struct Into<'a> {
    buffer: &'a Expr,
    lens: &'a [usize],
}

fn length(len: &Expr) -> Result<usize, Stop> {
    usize::try_from(number(len)?).ok().filter(|len| *len <= LARGEST).ok_or_else(|| odd("a length"))
}

/// The lengths of the buffers of a vector.
fn lengths(parts: &[Expr], count: &Expr) -> Result<Vec<usize>, Stop> {
    if usize::try_from(number(count)?).ok() != Some(parts.len()) {
        return Err(odd("a vector of another length than it says"));
    }
    let len = |part: &Expr| match part {
        Expr::Iovec(len) => length(&Expr::Int(*len)),
        _ => Err(odd("a buffer")),
    };
    parts.iter().map(len).collect()
}

/// True if the script's name is this error's; Linux has two for one of them.
fn names(errno: &str, given: Errno) -> bool {
    errno == given.name() || errno == "EWOULDBLOCK" && given == Errno::EAGAIN
}

fn makes_descriptor(name: &str) -> bool {
    matches!(name, "socket" | "accept" | "accept4")
}

fn same(what: &str, expected: &Expr, actual: i64) -> Result<(), Stop> {
    if *expected == Expr::Any || number(expected)? == actual {
        return Ok(());
    }
    Err(Stop::Fail(format!("{what} is {actual}, expected {expected}")))
}

fn option_of(level: &Expr, name: &Expr) -> Result<Opt, Stop> {
    let Expr::Word(name) = name else { return Err(odd("the name of an option")) };
    let option = Opt::from_name(name).map_err(|_| odd(name))?;
    if number(level)? != i64::from(option.number().0) {
        return Err(odd("the level of an option"));
    }
    Ok(option)
}

fn message_flags(flags: &Expr) -> Result<MsgFlags, Stop> {
    u32::try_from(number(flags)?).map(MsgFlags).map_err(|_| odd("a flag"))
}

/// The number that an expression stands for.
pub(super) fn number(expr: &Expr) -> Result<i64, Stop> {
    match expr {
        Expr::Int(n) => Ok(*n),
        Expr::Or(parts) => parts.iter().try_fold(0, |all, part| Ok(all | number(part)?)),
        Expr::Word(word) => {
            let row = CONSTANTS.iter().find(|(name, _)| name == word);
            row.map(|&(_, n)| n).ok_or_else(|| Stop::NotApplicable(format!("the constant {word}")))
        }
        other => Err(Stop::NotApplicable(format!("{other} where a number is needed"))),
    }
}

pub(super) fn odd(what: &str) -> Stop {
    Stop::NotApplicable(format!("{what} that is not here"))
}

fn count(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

const AF_INET: i64 = 2;
const AF_INET6: i64 = 10;
const SOCK_STREAM: i64 = 1;
const IPPROTO_TCP: i64 = 6;
const O_RDWR: i64 = 0o2;
const O_NONBLOCK: i64 = 0o4000;
const O_CLOEXEC: i64 = 0o2_000_000;

/// The names that a script gives to numbers; the numbers are Linux's.
const CONSTANTS: &[(&str, i64)] = &[
    ("AF_INET", AF_INET),
    ("PF_INET", AF_INET),
    ("AF_INET6", AF_INET6),
    ("PF_INET6", AF_INET6),
    ("SOCK_STREAM", SOCK_STREAM),
    ("SOCK_NONBLOCK", O_NONBLOCK),
    ("SOCK_CLOEXEC", O_CLOEXEC),
    ("IPPROTO_IP", 0),
    ("IPPROTO_TCP", IPPROTO_TCP),
    ("IPPROTO_IPV6", 41),
    ("SOL_IP", 0),
    ("SOL_SOCKET", 1),
    ("SOL_TCP", IPPROTO_TCP),
    ("SOL_IPV6", 41),
    ("SHUT_RD", 0),
    ("SHUT_WR", 1),
    ("SHUT_RDWR", 2),
    ("O_RDWR", O_RDWR),
    ("O_NONBLOCK", O_NONBLOCK),
    ("MSG_OOB", 0x1),
    ("MSG_PEEK", 0x2),
    ("MSG_TRUNC", 0x20),
    ("MSG_DONTWAIT", 0x40),
    ("MSG_WAITALL", 0x100),
    ("MSG_ERRQUEUE", 0x2000),
    ("MSG_NOSIGNAL", 0x4000),
    ("MSG_MORE", 0x8000),
    ("SOMAXCONN", 4096),
    ("INADDR_ANY", 0),
    ("POLLIN", 0x1),
    ("POLLPRI", 0x2),
    ("POLLOUT", 0x4),
    ("POLLERR", 0x8),
    ("POLLHUP", 0x10),
    ("POLLNVAL", 0x20),
    ("POLLRDNORM", 0x40),
    ("POLLWRNORM", 0x100),
    ("POLLRDHUP", 0x2000),
    ("EPOLLIN", 0x1),
    ("EPOLLPRI", 0x2),
    ("EPOLLOUT", 0x4),
    ("EPOLLERR", 0x8),
    ("EPOLLHUP", 0x10),
    ("EPOLLRDNORM", 0x40),
    ("EPOLLWRNORM", 0x100),
    ("EPOLLRDHUP", 0x2000),
    ("EPOLLONESHOT", 1 << 30),
    ("EPOLLET", 1 << 31),
    ("EPOLL_CTL_ADD", 1),
    ("EPOLL_CTL_DEL", 2),
    ("EPOLL_CTL_MOD", 3),
    ("EPOLL_CLOEXEC", O_CLOEXEC),
    ("FD_CLOEXEC", 1),
];

/// The most that one call moves: what a Linux system call moves at the most would not be worth its memory here.
const LARGEST: usize = 64 << 20;
