//! The end of a host: in order as long as there is time, and at once then.
//!
//! Sections: RFC 9293 3.6 (closing), 3.10.5 (ABORT).
//! In: the connections that are not over, a deadline.
//! Out: resets at the deadline; how many; wakers of those who wait for the end.

use std::task::{Poll, Waker};

use tidegate_proto::net::SocketId;
use tidegate_proto::socket::Sockets;
use tidegate_proto::time::Instant;

/// The end of a host, on its way or reached.
#[derive(Debug)]
pub(super) struct Ending {
    until: Instant,
    /// The last one was not over when it was looked at; the others may be.
    remaining: Vec<SocketId>,
    aborted: usize,
    is_over: bool,
    waiting: Vec<Waker>,
}

impl Ending {
    pub(super) fn new(sockets: &mut Sockets, until: Instant, now: Instant) -> Self {
        let remaining = sockets.take_down(now);
        Ending { until, remaining, aborted: 0, is_over: false, waiting: Vec::new() }
    }

    /// Ends at `until`, if that is earlier.
    pub(super) fn hurry(&mut self, until: Instant) {
        self.until = self.until.min(until);
    }

    /// When it has to be over.
    pub(super) fn deadline(&self) -> Option<Instant> {
        (!self.is_over).then_some(self.until)
    }

    /// Looks at what remains; at the deadline, or with a link that is cut, aborts it. True if there are resets to send.
    pub(super) fn advance(
        &mut self,
        sockets: &mut Sockets,
        link: Outlook,
        now: Instant,
        woken: &mut Vec<Waker>,
    ) -> bool {
        if self.is_over {
            return false;
        }
        while self.remaining.pop_if(|last| sockets.is_over(*last)).is_some() {}
        let must_end = now >= self.until || link == Outlook::Cut;
        let before = self.aborted;
        if must_end {
            self.aborted += self.remaining.drain(..).filter(|id| sockets.destroy(*id, now)).count();
        }
        // An acknowledgement that waits for room at the device is worth waiting for, too.
        self.is_over = must_end || self.remaining.is_empty() && link == Outlook::Idle;
        if self.is_over {
            woken.append(&mut self.waiting);
        }
        self.aborted > before
    }

    /// How many connections were aborted, once it is over.
    pub(super) fn poll(&mut self, waker: &Waker) -> Poll<usize> {
        if self.is_over {
            return Poll::Ready(self.aborted);
        }
        if !self.waiting.iter().any(|waiting| waiting.will_wake(waker)) {
            self.waiting.push(waker.clone());
        }
        Poll::Pending
    }
}

/// How it stands with the link.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Outlook {
    /// Everything has gone.
    Idle,
    /// Frames wait for room.
    Busy,
    /// The device has failed.
    Cut,
}
