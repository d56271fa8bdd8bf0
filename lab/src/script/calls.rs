//! The system calls of a script, on [`Sockets`], in virtual time. One call at a time may wait.
//!
//! Sections: Linux `socket(7)`, `tcp(7)`, and the page of each call.
//! In: a call, what it must give, and when it must return if it may wait.
//! Out: nothing, or what was different.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use core::net::SocketAddr;

use tidegate_proto::socket::{Domain, Errno, Fd, MsgFlags, Opt, Shutdown, Sockets, Value};
use tidegate_proto::time::{Duration, Instant};

use super::ast::{Call, Expr};
use super::run::Stop;

pub(super) struct Calls {
    pub(super) sockets: Sockets,
    local: SocketAddr,
    remote: SocketAddr,
    /// The descriptors by the script's numbers, and whether calls on them may not wait.
    fds: BTreeMap<i64, (Fd, bool)>,
    waiting: Option<Waiting>,
}

/// A call that has not returned.
struct Waiting {
    call: Call,
    until: Instant,
    /// Bytes that it has moved so far.
    moved: usize,
}

/// What became of a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Outcome {
    Returned,
    Waits,
}

/// What a call gives: a result, or the name of an error.
type Given = Result<i64, Errno>;

impl Calls {
    pub(super) fn new(sockets: Sockets, local: SocketAddr, remote: SocketAddr) -> Self {
        Calls { sockets, local, remote, fds: BTreeMap::new(), waiting: None }
    }

    /// The two ends of the youngest connection that has any.
    pub(super) fn current(&self) -> Option<(SocketAddr, SocketAddr)> {
        self.fds.values().rev().find_map(|&(fd, _)| {
            let key = self.sockets.stack().key(self.sockets.connection_id(fd)?)?;
            Some((key.local(), key.remote()))
        })
    }

    /// Until when the call that waits may wait.
    pub(super) fn waits_until(&self) -> Option<Instant> {
        self.waiting.as_ref().map(|waiting| waiting.until)
    }

    /// A call begins; without `until` it must return at once.
    pub(super) fn begin(
        &mut self,
        call: &Call,
        until: Option<Instant>,
        tolerance: Duration,
        now: Instant,
    ) -> Result<(), Stop> {
        if self.waiting.is_some() {
            return Err(Stop::NotApplicable(String::from("a call while another one waits")));
        }
        let waiting = Waiting { call: call.clone(), until: until.unwrap_or(now), moved: 0 };
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
        match self.attempt(&waiting.call, &mut waiting.moved, now)? {
            None if now > waiting.until + tolerance => {
                Err(Stop::Fail(format!("{} still waits, expected that it has returned", waiting.call.name)))
            }
            None => {
                self.waiting = Some(waiting);
                Ok(Outcome::Waits)
            }
            Some(_) if now + tolerance < waiting.until => {
                Err(Stop::Fail(format!("{} has returned too early", waiting.call.name)))
            }
            Some(given) => self.compare(&waiting.call, given).map(|()| Outcome::Returned),
        }
    }

    /// No call may wait any more.
    pub(super) fn finish(&mut self) -> Result<(), Stop> {
        match self.waiting.take() {
            None => Ok(()),
            Some(waiting) => Err(Stop::Fail(format!("{} never returned", waiting.call.name))),
        }
    }

    /// Holds what a call gave against what the script says; a new descriptor gets the script's number.
    fn compare(&mut self, call: &Call, given: Given) -> Result<(), Stop> {
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
                let is_new = expected >= 0 && errno.is_none() && !self.fds.contains_key(&expected);
                let fd = Fd(u32::try_from(fd).map_err(|_| Stop::Fail(gave.clone()))?);
                is_new && self.fds.insert(expected, (fd, self.starts_nonblocking(call))).is_none()
            }
            Ok(n) => n == expected && errno.is_none(),
            Err(e) => expected == -1 && errno.as_ref().is_some_and(|errno| *errno == format!("{e:?}")),
        };
        if fits {
            return Ok(());
        }
        let wanted = errno.as_ref().map_or_else(|| format!("{expected}"), |errno| format!("{expected} {errno}"));
        Err(Stop::Fail(format!("{name} gave {gave}, expected {wanted}")))
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
    fn attempt(&mut self, call: &Call, moved: &mut usize, now: Instant) -> Result<Option<Given>, Stop> {
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
            ("read", [fd, Expr::Any, len]) => return self.receive(fd, len, MsgFlags::NONE, now),
            ("recv", [fd, Expr::Any, len, flags]) => return self.receive(fd, len, message_flags(flags)?, now),
            ("write", [fd, Expr::Any, len]) => return self.send(fd, len, MsgFlags::NONE, moved, now),
            ("send", [fd, Expr::Any, len, flags]) | ("sendto", [fd, Expr::Any, len, flags, Expr::Any, _]) => {
                return self.send(fd, len, message_flags(flags)?, moved, now);
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
            ("close", [fd]) => {
                let given = self.on(fd, |sockets, fd| sockets.close(fd, now))?;
                if matches!(given, Ok(Some(_))) {
                    return Err(Stop::NotApplicable(String::from("a close that lingers")));
                }
                self.fds.remove(&number(fd)?);
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
            Expr::Any if self.local.is_ipv6() => Domain::V6,
            Expr::Any => Domain::V4,
            family => match number(family)? {
                AF_INET => Domain::V4,
                AF_INET6 => Domain::V6,
                _ => return Err(odd("an address family")),
            },
        };
        Ok(self.sockets.socket(domain).map(|fd| i64::from(fd.0)))
    }

    fn receive(&mut self, fd: &Expr, len: &Expr, flags: MsgFlags, now: Instant) -> Result<Option<Given>, Stop> {
        if flags.has(MsgFlags::WAITALL) {
            return Err(odd("MSG_WAITALL"));
        }
        let len = usize::try_from(number(len)?).map_err(|_| odd("a length"))?;
        let mut buffer = vec![0; len.min(LARGEST)];
        let given = self.on(fd, |sockets, fd| sockets.recv(fd, &mut buffer, flags, now))?;
        let waits = given == Err(Errno::EAGAIN) && !flags.has(MsgFlags::DONTWAIT) && !self.is_nonblocking(fd)?;
        Ok((!waits).then(|| given.map(count)))
    }

    fn send(
        &mut self,
        fd: &Expr,
        len: &Expr,
        flags: MsgFlags,
        moved: &mut usize,
        now: Instant,
    ) -> Result<Option<Given>, Stop> {
        let len = usize::try_from(number(len)?).ok().filter(|len| *len <= LARGEST).ok_or_else(|| odd("a length"))?;
        let data = vec![0; len - *moved];
        let given = self.on(fd, |sockets, fd| sockets.send(fd, &data, flags, now))?;
        let may_wait = !flags.has(MsgFlags::DONTWAIT) && !self.is_nonblocking(fd)?;
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

    fn is_nonblocking(&self, fd: &Expr) -> Result<bool, Stop> {
        Ok(self.fds.get(&number(fd)?).is_some_and(|(_, nonblocking)| *nonblocking))
    }

    fn address(&self, addr: &Expr, default: SocketAddr) -> Result<SocketAddr, Stop> {
        match addr {
            Expr::Any => Ok(default),
            Expr::SockAddr(addr) => Ok(*addr),
            _ => Err(odd("an address")),
        }
    }
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
fn number(expr: &Expr) -> Result<i64, Stop> {
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

fn odd(what: &str) -> Stop {
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
const CONSTANTS: [(&str, i64); 29] = [
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
];

/// The most that one call moves: what a Linux system call moves at the most would not be worth its memory here.
const LARGEST: usize = 64 << 20;
