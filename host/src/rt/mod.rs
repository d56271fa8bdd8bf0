//! The driver: keeps the contract of one stack over one device, in real time.
//!
//! Sections: none of an RFC's; the contract is [`proto`](crate::proto)'s.
//! In: calls of any thread; frames and room of a device; the clock.
//! Out: frames, wakes, and a thread that sleeps until exactly the next deadline or the next thing that happens.
//!
//! One lock is around the stack and its device's queue. Whoever has it runs to the end (stack, output, device, wakes)
//! on its own thread, so that no data crosses to another CPU on its way. The driver's thread does the same when the
//! device or the clock calls, and sleeps otherwise. A caller that makes the next deadline earlier arms the timer that
//! the thread sleeps on, which wakes nobody.

mod alarm;
mod ending;
mod engine;
mod waiters;

use std::future::poll_fn;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread::JoinHandle;

use arrayvec::ArrayVec;
use rustix::event::{PollFd, PollFlags, poll};
use tidegate_proto::net::IfaceConfig;
use tidegate_proto::socket::{Edges, Errno, Fd, Ready, Sockets};
use tidegate_proto::time::Instant;

use crate::clock;
use crate::dev::{Device, Wait};
use alarm::{Alarm, Bell};
use engine::Engine;
use waiters::Key;

/// A stack with its sockets, running over a device. A cheap handle: when the last is dropped, the driver's thread
/// ends, and with it everything that it drove, at once; peers hear nothing more.
#[derive(Clone, Debug)]
pub struct Driver(Arc<Running>);

impl Driver {
    /// Adds `interface` to the stack of `sockets`, and runs it over `device`.
    ///
    /// # Errors
    ///
    /// The system's, if it has no more descriptors or threads.
    pub fn start(mut sockets: Sockets, device: impl Device + 'static, interface: IfaceConfig) -> io::Result<Self> {
        let descriptor = match device.wait() {
            Wait::Fd(fd) => Some(fd.try_clone_to_owned()?),
            Wait::Waker { .. } => None,
        };
        let iface = sockets.stack_mut().add_interface(interface);
        let shared = Arc::new(Shared {
            engine: Mutex::new(Engine::new(sockets, Box::new(device), iface)),
            alarm: Alarm::new()?,
            bell: Arc::new(Bell::new()?),
        });
        let sleeper = Arc::clone(&shared);
        let thread =
            std::thread::Builder::new().name("tidegate".into()).spawn(move || sleeper.run(descriptor.as_ref()))?;
        Ok(Driver(Arc::new(Running { shared, thread: Some(thread) })))
    }

    /// Does something with the sockets, and everything that follows from it, before it returns: frames have gone to
    /// the device, and whoever waited is woken. It must not wait for anything itself.
    pub fn call<T>(&self, call: impl FnOnce(&mut Sockets, Instant) -> T) -> T {
        let now = clock::now();
        let mut engine = self.0.shared.lock();
        let outcome = call(engine.sockets_mut(), now);
        self.0.shared.settle(engine, now);
        outcome
    }

    /// Which of `interest` the socket is ready for, and with them errors and hang-ups, which nobody has to ask for. If
    /// there is nothing, the task is woken when there may be. One task in each `direction`: the last that polled.
    pub fn poll_ready(&self, fd: Fd, direction: Direction, interest: Ready, cx: &mut Context<'_>) -> Poll<Ready> {
        self.poll_ready_as(fd, direction.key(), interest, cx)
    }

    /// Does something with a socket that may have to wait: `EAGAIN`, `EINPROGRESS` and `EALREADY` mean that `call` is
    /// worth another try once the socket is ready for `interest`. Before that it receives from the device itself, so
    /// that what has arrived crosses to no other thread. One task in each `direction`: the last that polled.
    pub fn poll_call<T>(
        &self,
        fd: Fd,
        direction: Direction,
        cx: &mut Context<'_>,
        call: impl FnMut(&mut Sockets, Instant) -> Result<T, Errno>,
    ) -> Poll<Result<T, Errno>> {
        self.poll_call_as(fd, direction.key(), direction.interest(), cx, call)
    }

    /// What a socket is ready for of `interest`, once there is something. Any number of tasks may wait for a socket.
    ///
    /// Cancel safe: it takes nothing from the socket.
    pub async fn ready(&self, fd: Fd, interest: Ready) -> Ready {
        let mut waiter = Waiter::new(self, fd);
        poll_fn(|cx| waiter.note(|key| self.poll_ready_as(fd, key, interest, cx))).await
    }

    /// As [`poll_call`](Self::poll_call), for any number of tasks.
    ///
    /// Cancel safe: `call` has done what it does if and only if the future has completed, as far as that holds of one
    /// call that says `EAGAIN`.
    pub async fn until<T>(
        &self,
        fd: Fd,
        direction: Direction,
        mut call: impl FnMut(&mut Sockets, Instant) -> Result<T, Errno>,
    ) -> Result<T, Errno> {
        let mut waiter = Waiter::new(self, fd);
        poll_fn(|cx| waiter.note(|key| self.poll_call_as(fd, key, direction.interest(), cx, &mut call))).await
    }

    /// Waits for a wake of `interest` after the one that was the `last`, whatever the socket is ready for.
    ///
    /// Cancel safe.
    pub async fn next_edge(&self, fd: Fd, interest: Ready, last: Edges) {
        let mut waiter = Waiter::new(self, fd);
        let poll = |key, cx: &mut Context<'_>| {
            let mut engine = self.0.shared.lock();
            if engine.sockets_mut().edges(fd) != last {
                return Poll::Ready(());
            }
            engine.wait(fd, key, interest, cx.waker());
            Poll::Pending
        };
        poll_fn(|cx| waiter.note(|key| poll(key, cx))).await;
    }

    /// Closes a socket (as [`Sockets::close`], without waiting for what lingers). Who waits for it learns of it:
    /// [`Ready::NVAL`].
    pub fn close(&self, fd: Fd) {
        let now = clock::now();
        let mut engine = self.0.shared.lock();
        engine.close(fd, now);
        self.0.shared.settle(engine, now);
    }

    /// Ends everything: [`Sockets::take_down`] now, and what is not over at `deadline` is aborted. Returns how many
    /// connections that were. It is over when every connection is, or only its TIME-WAIT record is left, and what they
    /// sent has gone to the device. Of several calls the earliest deadline counts.
    ///
    /// Cancel safe: the end goes on.
    pub async fn shutdown(&self, deadline: Instant) -> usize {
        let mut has_begun = false;
        poll_fn(|cx| {
            let now = clock::now();
            let mut engine = self.0.shared.lock();
            if !std::mem::replace(&mut has_begun, true) {
                engine.end(deadline, now);
            }
            let outcome = engine.poll_end(cx.waker());
            self.0.shared.settle(engine, now);
            outcome
        })
        .await
    }

    /// Why the device is gone, if it is. Its connections are then as on a cut cable: they live until they time out.
    pub fn device_error(&self) -> Option<Arc<io::Error>> {
        self.0.shared.lock().device_error()
    }

    /// How often the driver's own thread has woken up.
    pub fn wakeups(&self) -> u64 {
        self.0.shared.lock().wakeups
    }

    fn poll_ready_as(&self, fd: Fd, key: Key, interest: Ready, cx: &mut Context<'_>) -> Poll<Ready> {
        let mut engine = self.0.shared.lock();
        engine.poll_ready(fd, key, interest, cx.waker())
    }

    fn poll_call_as<T>(
        &self,
        fd: Fd,
        key: Key,
        interest: Ready,
        cx: &mut Context<'_>,
        mut call: impl FnMut(&mut Sockets, Instant) -> Result<T, Errno>,
    ) -> Poll<Result<T, Errno>> {
        let now = clock::now();
        let mut engine = self.0.shared.lock();
        let mut outcome = call(engine.sockets_mut(), now);
        if is_later(&outcome) && engine.receive_some(now) {
            outcome = call(engine.sockets_mut(), now);
        }
        let is_later = is_later(&outcome);
        if is_later {
            engine.wait(fd, key, interest, cx.waker());
        }
        self.0.shared.settle(engine, now);
        if is_later { Poll::Pending } else { Poll::Ready(outcome) }
    }
}

/// What a task waits for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Direction {
    /// Something to read, or to accept.
    Read,
    /// Room to write, or the outcome of `connect`.
    Write,
}

impl Direction {
    const fn key(self) -> Key {
        match self {
            Direction::Read => Key::Reader,
            Direction::Write => Key::Writer,
        }
    }

    /// What it waits for at the socket.
    pub const fn interest(self) -> Ready {
        match self {
            Direction::Read => Ready(Ready::IN.0 | Ready::RDHUP.0),
            Direction::Write => Ready::OUT,
        }
    }
}

/// A future's place among those who wait.
#[derive(Debug)]
struct Waiter<'a> {
    driver: &'a Driver,
    fd: Fd,
    key: Key,
    waits: bool,
}

impl<'a> Waiter<'a> {
    fn new(driver: &'a Driver, fd: Fd) -> Self {
        Waiter { driver, fd, key: Key::next(), waits: false }
    }

    /// Polls, and remembers whether there is a place to give back.
    fn note<T>(&mut self, poll: impl FnOnce(Key) -> Poll<T>) -> Poll<T> {
        let outcome = poll(self.key);
        self.waits = outcome.is_pending();
        outcome
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        if self.waits {
            self.driver.0.shared.lock().forget(self.fd, self.key);
        }
    }
}

const fn is_later<T>(outcome: &Result<T, Errno>) -> bool {
    matches!(outcome, Err(Errno::EAGAIN | Errno::EINPROGRESS | Errno::EALREADY))
}

/// A driver's thread; it ends with the last handle.
#[derive(Debug)]
struct Running {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shared.lock().is_stopped = true;
        self.shared.bell.ring();
        if let Some(thread) = self.thread.take()
            // The last handle may be dropped by a waker that the thread itself calls.
            && thread.thread().id() != std::thread::current().id()
        {
            let _ = thread.join();
        }
    }
}

#[derive(Debug)]
struct Shared {
    engine: Mutex<Engine>,
    alarm: Alarm,
    bell: Arc<Bell>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Engine> {
        self.engine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What follows from a call: output, an earlier deadline, wakes. The lock is given back before anybody is woken.
    fn settle(&self, mut engine: MutexGuard<'_, Engine>, now: Instant) {
        engine.drain(now);
        if let Some(deadline) = engine.arm_earlier() {
            self.alarm.set(Some(deadline));
        }
        // The thread sleeps without waiting for room: it has to look again.
        let must_look = engine.is_full() && !std::mem::replace(&mut engine.awaits_room, true);
        let woken = engine.take_woken();
        drop(engine);
        if must_look {
            self.bell.ring();
        }
        woken.into_iter().for_each(Waker::wake);
    }

    /// The driver's thread; `device` is the device's descriptor, if it has one.
    fn run(&self, device: Option<&OwnedFd>) {
        let waker = Waker::from(Arc::clone(&self.bell));
        loop {
            let mut engine = self.lock();
            if engine.is_stopped {
                return;
            }
            engine.wakeups += 1;
            let now = clock::now();
            let has_more = engine.receive(&waker, now);
            engine.drain(now);
            if let Some(deadline) = engine.arm_exactly() {
                self.alarm.set(deadline);
            }
            engine.awaits_room = engine.is_full();
            let interest = PollFlags::IN | if engine.awaits_room { PollFlags::OUT } else { PollFlags::empty() };
            let device = device.filter(|_| engine.has_device());
            let woken = engine.take_woken();
            drop(engine);
            woken.into_iter().for_each(Waker::wake);
            if !has_more {
                self.sleep(device, interest);
            }
        }
    }

    /// Until the device is ready or reports an error, the deadline has come, or the bell has rung.
    fn sleep(&self, device: Option<&OwnedFd>, interest: PollFlags) {
        let mut fds = ArrayVec::<PollFd<'_>, 3>::new();
        fds.push(PollFd::new(&self.alarm, PollFlags::IN));
        fds.push(PollFd::new(&*self.bell, PollFlags::IN));
        fds.extend(device.map(|fd| PollFd::new(fd, interest)));
        match poll(&mut fds, None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => unreachable!("poll knows these descriptors: {error}"),
        }
        self.bell.silence();
    }
}
