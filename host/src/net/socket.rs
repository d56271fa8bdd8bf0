//! An owned descriptor of a driver: what listeners and streams stand on.
//!
//! Sections: Linux `socket(7)`; tokio's cooperative budget.
//! In: calls on a socket.
//! Out: their outcome with the kernel's errors, now or when there is one.

use std::fmt;
use std::io;
use std::task::{Context, Poll, ready};

use tidegate_proto::socket::{Domain, Errno, Fd, Opt, Ready, Sockets, Value};
use tidegate_proto::time::Instant;
use tokio::io::{Interest, Ready as TokioReady};
use tokio::task::coop;

use crate::error::os;
use crate::rt::{Direction, Driver};

/// Closed when it is dropped.
pub(super) struct Socket {
    driver: Driver,
    fd: Fd,
}

impl Socket {
    pub(super) fn new(driver: &Driver, domain: Domain) -> io::Result<Self> {
        let fd = driver.call(|sockets, _| sockets.socket(domain)).map_err(os)?;
        Ok(Self::adopt(driver, fd))
    }

    /// Owns a descriptor that a call made.
    pub(super) fn adopt(driver: &Driver, fd: Fd) -> Self {
        Socket { driver: driver.clone(), fd }
    }

    pub(super) const fn driver(&self) -> &Driver {
        &self.driver
    }

    /// A call that says `WouldBlock` where others wait.
    pub(super) fn call<T>(&self, call: impl FnOnce(&mut Sockets, Fd, Instant) -> Result<T, Errno>) -> io::Result<T> {
        self.driver.call(|sockets, now| call(sockets, self.fd, now)).map_err(os)
    }

    /// A call of the one task that polls this direction. It costs that task some of its budget.
    pub(super) fn poll_call<T>(
        &self,
        direction: Direction,
        cx: &mut Context<'_>,
        mut call: impl FnMut(&mut Sockets, Fd, Instant) -> Result<T, Errno>,
    ) -> Poll<io::Result<T>> {
        let budget = ready!(coop::poll_proceed(cx));
        let outcome = ready!(self.driver.poll_call(self.fd, direction, cx, |sockets, now| call(sockets, self.fd, now)));
        budget.made_progress();
        Poll::Ready(outcome.map_err(os))
    }

    /// A call of any number of tasks. It costs them some of their budget.
    pub(super) async fn until<T>(
        &self,
        direction: Direction,
        mut call: impl FnMut(&mut Sockets, Fd, Instant) -> Result<T, Errno>,
    ) -> io::Result<T> {
        std::future::poll_fn(coop::poll_proceed).await.made_progress();
        self.driver.until(self.fd, direction, |sockets, now| call(sockets, self.fd, now)).await.map_err(os)
    }

    /// Until the one task that polls this direction may try again.
    pub(super) fn poll_ready(&self, direction: Direction, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let budget = ready!(coop::poll_proceed(cx));
        ready!(self.driver.poll_ready(self.fd, direction, direction.interest(), cx));
        budget.made_progress();
        Poll::Ready(Ok(()))
    }

    /// What the socket is ready for, once there is something.
    pub(super) async fn ready(&self, interest: Interest) -> io::Result<TokioReady> {
        std::future::poll_fn(coop::poll_proceed).await.made_progress();
        let ready = self.driver.ready(self.fd, wanted(interest)).await;
        Ok(to_tokio(ready, interest))
    }

    /// Calls `io`, which is one of the calls above that say `WouldBlock`, if the socket is ready for it.
    pub(super) fn try_io<R>(&self, interest: Interest, io: impl FnOnce() -> io::Result<R>) -> io::Result<R> {
        let ready = self.driver.call(|sockets, _| sockets.poll(self.fd)) & (wanted(interest) | Ready::ALWAYS);
        if ready.is_empty() { Err(io::ErrorKind::WouldBlock.into()) } else { io() }
    }

    /// Calls `io` each time when something has happened, until it does not say `WouldBlock`.
    pub(super) async fn async_io<R>(&self, interest: Interest, mut io: impl FnMut() -> io::Result<R>) -> io::Result<R> {
        let wanted = wanted(interest);
        loop {
            std::future::poll_fn(coop::poll_proceed).await.made_progress();
            self.driver.ready(self.fd, wanted).await;
            let edges = self.driver.call(|sockets, _| sockets.edges(self.fd));
            match io() {
                // It may want more than the socket has: only something new is worth another try.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.driver.next_edge(self.fd, wanted, edges).await;
                }
                outcome => return outcome,
            }
        }
    }

    /// An option whose value is a number.
    pub(super) fn option(&self, option: Opt) -> io::Result<u32> {
        match self.call(|sockets, fd, now| sockets.option(fd, option, now))? {
            Value::Int(value) => Ok(u32::try_from(value).unwrap_or(0)),
            _ => Err(io::ErrorKind::InvalidInput.into()),
        }
    }

    /// Sets an option whose value is a number.
    pub(super) fn set_option(&self, option: Opt, value: u32) -> io::Result<()> {
        // Like Linux: numbers are signed there, and large ones are as good as the largest.
        let value = Value::Int(i32::try_from(value).unwrap_or(i32::MAX));
        self.call(|sockets, fd, now| sockets.set_option(fd, option, &value, now))
    }

    pub(super) fn take_error(&self) -> io::Result<Option<io::Error>> {
        Ok(self.call(|sockets, fd, _| sockets.take_error(fd))?.map(os))
    }
}

/// Both names and the state, as far as there are any.
impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.driver.call(|sockets, _| (sockets.local_addr(self.fd), sockets.peer_addr(self.fd)));
        let mut debug = f.debug_struct("Socket");
        if let Ok(local) = names.0 {
            debug.field("addr", &local);
        }
        if let Ok(peer) = names.1 {
            debug.field("peer", &peer);
        }
        debug.field("fd", &self.fd.0).finish()
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.driver.close(self.fd);
    }
}

/// What somebody with this interest waits for.
fn wanted(interest: Interest) -> Ready {
    let mut ready = Ready::NONE;
    if interest.is_readable() {
        ready |= Direction::Read.interest() | Ready::PRI;
    }
    if interest.is_writable() {
        ready |= Direction::Write.interest();
    }
    if interest.is_priority() {
        ready |= Ready::PRI;
    }
    ready
}

/// Readiness as tokio reports it of `epoll`'s answer.
fn to_tokio(ready: Ready, interest: Interest) -> TokioReady {
    let mut all = TokioReady::EMPTY;
    let mut add = |holds: bool, what: TokioReady| {
        if holds {
            all |= what;
        }
    };
    let (reads, writes) = (interest.is_readable() || interest.is_priority(), interest.is_writable());
    add(interest.is_readable() && !(ready & (Ready::IN | Ready::PRI)).is_empty(), TokioReady::READABLE);
    add(interest.is_priority() && ready.has(Ready::PRI), TokioReady::PRIORITY);
    add(writes && ready.has(Ready::OUT), TokioReady::WRITABLE);
    let (read_closed, write_closed) = (Ready::IN | Ready::RDHUP, Ready::OUT | Ready::ERR);
    add(reads && (ready.has(Ready::HUP) || ready.has(read_closed)), TokioReady::READ_CLOSED);
    add(writes && (ready.has(Ready::HUP) || ready.has(write_closed)), TokioReady::WRITE_CLOSED);
    add(interest.is_error() && ready.has(Ready::ERR), TokioReady::ERROR);
    all
}
