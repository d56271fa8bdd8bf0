//! What the driver's lock protects: sockets, device, and whoever waits.
//!
//! Sections: none; the stack's contract, step by step.
//! In: the time, and the lock.
//! Out: frames in the stack, frames at the device, the next deadline, wakers to call.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::task::{Poll, Waker};

use tidegate_proto::net::{Frame, IfaceId, TxFrame};
use tidegate_proto::socket::{Fd, Ready, Sockets};
use tidegate_proto::time::Instant;

use super::ending::{Ending, Outlook};
use super::waiters::{Key, Waiters};
use crate::dev::{Device, Room, Wait};

/// A stack's sockets and the device below.
pub(super) struct Engine {
    sockets: Sockets,
    /// `None` once it has failed.
    device: Option<Box<dyn Device>>,
    failure: Option<Arc<io::Error>>,
    iface: IfaceId,
    arrived: Vec<Frame>,
    /// What waits for room; no more than the connections' windows.
    queue: VecDeque<TxFrame>,
    room: Room,
    waiting: Waiters,
    ending: Option<Ending>,
    /// To be called once the lock is given back.
    woken: Vec<Waker>,
    /// What the alarm is set to.
    armed: Option<Instant>,
    /// The driver's thread waits for room, or is on its way to do so.
    pub(super) awaits_room: bool,
    pub(super) is_stopped: bool,
    pub(super) wakeups: u64,
}

impl Engine {
    pub(super) fn new(sockets: Sockets, device: Box<dyn Device>, iface: IfaceId) -> Self {
        Engine {
            sockets,
            device: Some(device),
            failure: None,
            iface,
            arrived: Vec::new(),
            queue: VecDeque::new(),
            room: Room::Free,
            waiting: Waiters::default(),
            ending: None,
            woken: Vec::new(),
            armed: None,
            awaits_room: false,
            is_stopped: false,
            wakeups: 0,
        }
    }

    pub(super) fn sockets_mut(&mut self) -> &mut Sockets {
        &mut self.sockets
    }

    /// Feeds one batch to the stack. True if the device may have more. Word for later is left before the device is
    /// asked, so that what comes in between is not slept through.
    pub(super) fn receive(&mut self, waker: &Waker, now: Instant) -> bool {
        let Some(device) = &mut self.device else { return false };
        if let Wait::Waker { readable, writable } = device.wait() {
            readable.register(waker);
            writable.register(waker);
        }
        self.receive_batch(now) == BATCH
    }

    /// Feeds one batch to the stack for a caller that would wait otherwise. True if there was something. Whoever looks
    /// after the device goes on doing so.
    pub(super) fn receive_some(&mut self, now: Instant) -> bool {
        self.receive_batch(now) > 0
    }

    /// Everything that can happen now: timers, output, wakes.
    pub(super) fn drain(&mut self, now: Instant) {
        loop {
            if self.sockets.next_timeout().is_some_and(|at| at <= now) {
                self.sockets.on_timeout(now);
            }
            while let Some(frame) = self.sockets.poll_transmit(now) {
                self.queue.push_back(frame);
            }
            self.send(now);
            while let Some((fd, ready)) = self.sockets.poll_wake() {
                self.waiting.take(fd, ready, &mut self.woken);
            }
            if self.advance_ending(now) {
                continue;
            }
            // A wake may have led to output: an acknowledgement that was asked for before there was a connection.
            if self.sockets.next_timeout().is_none_or(|at| at > now) {
                return;
            }
        }
    }

    /// The next deadline, if it is earlier than what the alarm is set to.
    pub(super) fn arm_earlier(&mut self) -> Option<Instant> {
        let next = self.next_timeout()?;
        if self.armed.is_some_and(|armed| armed <= next) {
            return None;
        }
        self.armed = Some(next);
        Some(next)
    }

    /// The next deadline, or none, if the alarm is set to another.
    pub(super) fn arm_exactly(&mut self) -> Option<Option<Instant>> {
        let next = self.next_timeout();
        (std::mem::replace(&mut self.armed, next) != next).then_some(next)
    }

    /// What a socket is ready for; if that is nothing, `waker` is remembered.
    pub(super) fn poll_ready(&mut self, fd: Fd, key: Key, interest: Ready, waker: &Waker) -> Poll<Ready> {
        let ready = self.sockets.poll(fd) & (interest | Ready::ALWAYS);
        if ready.is_empty() {
            self.waiting.insert(fd, key, interest, waker);
            return Poll::Pending;
        }
        Poll::Ready(ready)
    }

    /// Calls `waker` at the next wake of `interest`, whatever the socket is ready for now.
    pub(super) fn wait(&mut self, fd: Fd, key: Key, interest: Ready, waker: &Waker) {
        // Asking is what makes room worth a wake.
        self.sockets.poll(fd);
        self.waiting.insert(fd, key, interest, waker);
    }

    /// Who waited does not any more.
    pub(super) fn forget(&mut self, fd: Fd, key: Key) {
        self.waiting.remove(fd, key);
    }

    /// Closes a socket, and wakes whoever waits for it.
    pub(super) fn close(&mut self, fd: Fd, now: Instant) {
        // The outcome is for those who wait for a lingering socket.
        let _ = self.sockets.close(fd, now);
        self.waiting.take_all(fd, &mut self.woken);
    }

    /// Ends all connections, at `deadline` by force.
    pub(super) fn end(&mut self, deadline: Instant, now: Instant) {
        match &mut self.ending {
            Some(ending) => ending.hurry(deadline),
            None => self.ending = Some(Ending::new(&mut self.sockets, deadline, now)),
        }
    }

    /// How many connections had to be aborted, once all have ended; [`end`](Self::end) has begun it.
    pub(super) fn poll_end(&mut self, waker: &Waker) -> Poll<usize> {
        self.ending.as_mut().map_or(Poll::Ready(0), |ending| ending.poll(waker))
    }

    pub(super) fn take_woken(&mut self) -> Vec<Waker> {
        std::mem::take(&mut self.woken)
    }

    pub(super) fn is_full(&self) -> bool {
        self.room == Room::Full
    }

    pub(super) fn has_device(&self) -> bool {
        self.device.is_some()
    }

    pub(super) fn device_error(&self) -> Option<Arc<io::Error>> {
        self.failure.clone()
    }

    /// When something happens by itself: a timer of the stack's, or of the device's.
    fn next_timeout(&self) -> Option<Instant> {
        let device = self.device.as_ref().and_then(Device::next_timeout);
        let ending = self.ending.as_ref().and_then(Ending::deadline);
        self.sockets.next_timeout().into_iter().chain(device).chain(ending).min()
    }

    /// True if there is more to send.
    fn advance_ending(&mut self, now: Instant) -> bool {
        let link = match &self.device {
            None => Outlook::Cut,
            Some(_) if self.queue.is_empty() => Outlook::Idle,
            Some(_) => Outlook::Busy,
        };
        let Some(ending) = &mut self.ending else { return false };
        ending.advance(&mut self.sockets, link, now, &mut self.woken)
    }

    /// How many frames the device had, up to a batch; all are fed to the stack.
    fn receive_batch(&mut self, now: Instant) -> usize {
        let Some(device) = &mut self.device else { return 0 };
        let outcome = device.receive(&mut self.arrived, BATCH);
        let arrived = self.arrived.len();
        for frame in self.arrived.drain(..) {
            let verdict = self.sockets.receive(self.iface, frame, now);
            device.on_verdict(verdict);
        }
        if let Err(error) = outcome {
            self.fail(error);
        }
        arrived
    }

    fn send(&mut self, now: Instant) {
        let Some(device) = &mut self.device else {
            self.queue.clear();
            return;
        };
        let is_due = device.next_timeout().is_some_and(|at| at <= now);
        if self.queue.is_empty() && self.room == Room::Free && !is_due {
            return;
        }
        match device.send(&mut self.queue) {
            Ok(room) => self.room = room,
            Err(error) => self.fail(error),
        }
    }

    /// The device is gone.
    fn fail(&mut self, error: io::Error) {
        (self.device, self.failure, self.room) = (None, Some(Arc::new(error)), Room::Free);
        self.queue.clear();
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("failure", &self.failure).field("wakeups", &self.wakeups).finish_non_exhaustive()
    }
}

/// Frames that are taken from the device while the lock is held; then others may have it.
const BATCH: usize = 64;
