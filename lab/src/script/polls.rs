//! poll and epoll, by level and by edge.
//!
//! Sections: Linux `poll(2)`, `epoll(7)`, `epoll_ctl(2)`.
//! In: descriptors and conditions that a script names; wakes of the sockets.
//! Out: which descriptors are ready for what, held against what the script says.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec::Vec;

use tidegate_proto::socket::{Errno, Fd, Ready};
use tidegate_proto::time::{Duration, Instant};

use super::ast::Expr;
use super::calls::{Calls, Given, Progress, number, odd};
use super::run::Stop;

/// What one epoll descriptor watches.
#[derive(Debug, Default)]
pub(super) struct Epoll {
    watched: BTreeMap<Fd, Watch>,
}

/// One descriptor that epoll watches.
#[derive(Debug)]
struct Watch {
    /// The events asked for, with EPOLLET and EPOLLONESHOT.
    events: i64,
    /// What the program wants to get back with them.
    data: i64,
    /// By edge: something has happened since the last report.
    edge: bool,
    /// EPOLLONESHOT: it was reported.
    spent: bool,
}

impl Epoll {
    /// Those who wait for `ready` on `fd` are woken.
    pub(super) fn on_wake(&mut self, fd: Fd, ready: Ready) {
        if let Some(watch) = self.watched.get_mut(&fd) {
            let asked = bits(watch.events) | Ready::ERR | Ready::HUP;
            watch.edge |= !(asked & ready).is_empty();
        }
    }

    /// The descriptor is closed.
    pub(super) fn forget(&mut self, fd: Fd) {
        self.watched.remove(&fd);
    }
}

impl Calls {
    /// `poll`: the `revents` that come back are those that the script says.
    pub(super) fn poll(
        &mut self,
        fds: &[Expr],
        timeout: &Expr,
        progress: &mut Progress,
        now: Instant,
    ) -> Result<Option<Given>, Stop> {
        let mut found = Vec::new();
        for entry in fds {
            let Expr::PollFd { fd, events, .. } = entry else { return Err(odd("an entry of poll")) };
            let asked = bits(number(events)?);
            let level = match self.fds.get(&number(fd)?) {
                Some(&(fd, _)) => self.sockets.poll(fd) & (asked | Ready::ERR | Ready::HUP),
                None => Ready::NVAL,
            };
            found.push(with_twins(level, number(events)?));
        }
        let ready = found.iter().filter(|ready| **ready != 0).count();
        if ready == 0 && self.goes_on(timeout, progress, now)? {
            return Ok(None);
        }
        for (entry, found) in fds.iter().zip(&found) {
            let Expr::PollFd { fd, revents: Some(revents), .. } = entry else { continue };
            same_events(&format!("poll of {fd}"), revents, *found)?;
        }
        Ok(Some(Ok(i64::try_from(ready).unwrap_or(i64::MAX))))
    }

    /// `epoll_ctl`.
    pub(super) fn epoll_control(
        &mut self,
        epoll: &Expr,
        op: &Expr,
        fd: &Expr,
        event: Option<&Expr>,
    ) -> Result<Given, Stop> {
        let (op, script) = (number(op)?, number(fd)?);
        let Some(&(fd, _)) = self.fds.get(&script) else { return Ok(Err(Errno::EBADF)) };
        let watch = match event {
            Some(Expr::EpollEvent { events, value, .. }) => {
                Some(Watch { events: number(events)?, data: number(value)?, edge: true, spent: false })
            }
            _ => None,
        };
        // A watch wants to hear of room in the send buffer.
        self.sockets.poll(fd);
        let Some(epoll) = self.epolls.get_mut(&number(epoll)?) else { return Ok(Err(Errno::EBADF)) };
        let known = epoll.watched.contains_key(&fd);
        match (op, known, watch) {
            (ADD, true, _) => return Err(Stop::Fail(format!("epoll watches {script} already"))),
            (CHANGE | REMOVE, false, _) => return Ok(Err(Errno::ENOENT)),
            (ADD, false, Some(watch)) | (CHANGE, true, Some(watch)) => drop(epoll.watched.insert(fd, watch)),
            (REMOVE, true, _) => drop(epoll.watched.remove(&fd)),
            _ => return Ok(Err(Errno::EINVAL)),
        }
        Ok(Ok(0))
    }

    /// `epoll_wait`: the events that come back are those that the script says, in its order.
    pub(super) fn epoll_wait(
        &mut self,
        epoll: &Expr,
        events: &Expr,
        timeout: &Expr,
        progress: &mut Progress,
        now: Instant,
    ) -> Result<Option<Given>, Stop> {
        let Some(epoll) = self.epolls.get_mut(&number(epoll)?) else { return Ok(Some(Err(Errno::EBADF))) };
        let mut found = Vec::new();
        for (fd, watch) in &mut epoll.watched {
            let level =
                with_twins(self.sockets.poll(*fd) & (bits(watch.events) | Ready::ERR | Ready::HUP), watch.events);
            let by_edge = watch.events & EDGE != 0;
            if level != 0 && !watch.spent && (watch.edge || !by_edge) {
                watch.edge = false;
                watch.spent = watch.events & ONCE != 0;
                found.push((level, watch.data));
            }
        }
        if found.is_empty() && self.goes_on(timeout, progress, now)? {
            return Ok(None);
        }
        let expected = match events {
            Expr::List(events) => events.as_slice(),
            Expr::Any => &[],
            one => core::slice::from_ref(one),
        };
        for (expected, (level, data)) in expected.iter().zip(&found) {
            let Expr::EpollEvent { events, value, .. } = expected else { return Err(odd("an event of epoll")) };
            same_events("epoll_wait", events, *level)?;
            if number(value)? != *data {
                return Err(Stop::Fail(format!("epoll_wait gave the data {data}, expected {value}")));
            }
        }
        Ok(Some(Ok(i64::try_from(found.len()).unwrap_or(i64::MAX))))
    }

    /// Nothing is ready: whether the call waits on.
    fn goes_on(&self, timeout: &Expr, progress: &mut Progress, now: Instant) -> Result<bool, Stop> {
        let timeout = number(timeout)?;
        if timeout >= 0 {
            let span = Duration::from_millis(timeout.unsigned_abs());
            let deadline = *progress.deadline.get_or_insert(now + span);
            return Ok(now < deadline);
        }
        Ok(true)
    }
}

fn same_events(what: &str, expected: &Expr, found: i64) -> Result<(), Stop> {
    if *expected == Expr::Any || number(expected)? == found {
        return Ok(());
    }
    let shown = Ready(u16::try_from(found).unwrap_or(0));
    Err(Stop::Fail(format!("{what} gave {shown:?}, expected {expected}")))
}

/// The conditions that a script asks for; POLLRDNORM and POLLWRNORM are POLLIN and POLLOUT by other names.
fn bits(events: i64) -> Ready {
    let plain = Ready(u16::try_from(events & 0x203f).unwrap_or(0));
    let input = if events & READ_NORMAL != 0 { Ready::IN } else { Ready::NONE };
    let output = if events & WRITE_NORMAL != 0 { Ready::OUT } else { Ready::NONE };
    plain | input | output
}

/// What holds, under the names that were asked for.
fn with_twins(level: Ready, asked: i64) -> i64 {
    let mut found = i64::from(level.0);
    for (plain, twin) in [(Ready::IN, READ_NORMAL), (Ready::OUT, WRITE_NORMAL)] {
        if level.has(plain) {
            found &= !i64::from(plain.0) | asked;
            found |= asked & twin;
        }
    }
    found
}

const READ_NORMAL: i64 = 0x40;
const WRITE_NORMAL: i64 = 0x100;
const ONCE: i64 = 1 << 30;
const EDGE: i64 = 1 << 31;
const ADD: i64 = 1;
const REMOVE: i64 = 2;
const CHANGE: i64 = 3;
