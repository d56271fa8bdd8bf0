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
mod engine;

use std::future::poll_fn;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread::JoinHandle;

use arrayvec::ArrayVec;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use tidegate_proto::net::IfaceConfig;
use tidegate_proto::socket::{Fd, Ready, Sockets};
use tidegate_proto::time::Instant;

use crate::clock;
use crate::dev::{Device, Wait};
use alarm::{Alarm, Bell};
use engine::Engine;

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
    /// there is nothing, the task is woken when there may be.
    pub fn poll_ready(&self, fd: Fd, interest: Ready, cx: &mut Context<'_>) -> Poll<Ready> {
        let mut engine = self.0.shared.lock();
        engine.poll_ready(fd, interest, cx.waker())
    }

    /// As [`poll_ready`](Self::poll_ready), once there is something. Any number of tasks may wait for a socket.
    ///
    /// Cancel safe: it takes nothing from the socket.
    pub async fn ready(&self, fd: Fd, interest: Ready) -> Ready {
        poll_fn(|cx| self.poll_ready(fd, interest, cx)).await
    }

    /// Closes a socket (as [`Sockets::close`], without waiting for what lingers). Who waits for it learns of it:
    /// [`Ready::NVAL`].
    pub fn close(&self, fd: Fd) {
        let now = clock::now();
        let mut engine = self.0.shared.lock();
        engine.close(fd, now);
        self.0.shared.settle(engine, now);
    }

    /// Why the device is gone, if it is. Its connections are then as on a cut cable: they live until they time out.
    pub fn device_error(&self) -> Option<Arc<io::Error>> {
        self.0.shared.lock().device_error()
    }

    /// How often the driver's own thread has woken up.
    pub fn wakeups(&self) -> u64 {
        self.0.shared.lock().wakeups
    }
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
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => unreachable!("poll knows these descriptors: {error}"),
        }
        self.bell.silence();
    }
}
