//! What the driver's thread sleeps on, besides the device: a timer with exact deadlines, and a bell.
//!
//! Sections: none; Linux's `timerfd` and `eventfd`.
//! In: a deadline; a reason to look again.
//! Out: descriptors that become readable then.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::task::Wake;

use rustix::event::{EventfdFlags, eventfd};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use tidegate_proto::time::Instant;

/// A timer on the clock of [`crate::clock`].
#[derive(Debug)]
pub(super) struct Alarm(OwnedFd);

impl Alarm {
    pub(super) fn new() -> io::Result<Self> {
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        Ok(Alarm(timerfd_create(TimerfdClockId::Monotonic, flags)?))
    }

    /// Goes off at `deadline`, whatever it was set to before, or never; a deadline that is past, at once.
    pub(super) fn set(&self, deadline: Option<Instant>) {
        let never = Timespec { tv_sec: 0, tv_nsec: 0 };
        // Zero would mean never.
        let at = deadline.map_or(never, |at| {
            let nanos = at.as_nanos().max(1);
            let seconds = i64::try_from(nanos / 1_000_000_000).expect("64 bits of nanoseconds are 584 years");
            Timespec { tv_sec: seconds, tv_nsec: i64::try_from(nanos % 1_000_000_000).expect("below a second") }
        });
        let timer = Itimerspec { it_interval: never, it_value: at };
        timerfd_settime(&self.0, TimerfdTimerFlags::ABSTIME, &timer).expect("it is a timer, and the time is a time");
    }
}

impl AsFd for Alarm {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Wakes the driver's thread, however often it has been rung before.
#[derive(Debug)]
pub(super) struct Bell(OwnedFd);

impl Bell {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Bell(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?))
    }

    /// The only failure is a counter that is full, and so rings already.
    pub(super) fn ring(&self) {
        let _ = rustix::io::write(&self.0, &1_u64.to_ne_bytes());
    }

    /// The only failure is that it does not ring.
    pub(super) fn silence(&self) {
        let _ = rustix::io::read(&self.0, &mut [0_u8; 8]);
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.ring();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.ring();
    }
}
