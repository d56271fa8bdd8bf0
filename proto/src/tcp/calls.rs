//! SEND and RECEIVE: the application's bytes, in and out.
//!
//! Sections: RFC 9293 3.9.1.2, 3.9.1.3, 3.10.2, 3.10.3.
//! In: bytes to send, or a place for bytes received.
//! Out: how many were taken; whether more will come.

use super::recvq::RecvQueue;
use super::sendq::SendQueue;
use super::snd::SendHalf;
use super::state::{Closed, Live, Opening, Shape};
use super::{AckCause, CloseReason, Common, ConnError, Connection};
use crate::time::Instant;

impl Connection {
    /// SEND of `len` bytes: `put` queues as many of them as it is told.
    pub(super) fn send(
        &mut self,
        len: usize,
        now: Instant,
        put: impl FnOnce(&mut SendQueue, usize),
    ) -> Result<usize, ConnError> {
        let c = &mut self.common;
        let snd = match &mut self.shape {
            Shape::Opening(Opening { snd }) | Shape::Live(Live { snd, .. }) => snd,
            Shape::Closed(closed) => return Err(ConnError::Closed(closed.reason)),
        };
        if snd.closing {
            return Err(ConnError::Closing);
        }
        let room = len.min(c.writable(snd));
        snd.blocked = room < len;
        if room > 0 {
            snd.start_lagging(now);
            put(&mut snd.queue, room);
            snd.on_written();
        }
        if let Shape::Live(live) = &mut self.shape {
            live.arm_timers(c, now);
        }
        Ok(room)
    }

    /// RECEIVE: `take` takes what it can from the queue, or gives `None` if there is nothing; the default value of `T`
    /// stands for the end of the stream.
    pub(super) fn receive<T: Default>(
        &mut self,
        take: impl FnOnce(&mut RecvQueue) -> Option<T>,
    ) -> Result<Option<T>, ConnError> {
        match &mut self.shape {
            Shape::Opening(_) => Ok(None),
            Shape::Live(live) => {
                if let Some(taken) = take(&mut live.rcv.queue) {
                    live.on_read();
                    return Ok(Some(taken));
                }
                // Nothing is left before the FIN: end of stream.
                Ok(live.rcv.fin_taken().then(T::default))
            }
            Shape::Closed(closed) => closed.receive(take),
        }
    }
}

impl Live {
    /// The application has taken bytes out; the peer may want to hear of the room.
    fn on_read(&mut self) {
        if self.rcv.window_update_due() {
            self.rcv.acks.demand(AckCause::WindowUpdate);
        }
    }
}

impl Closed {
    /// What had arrived before the end is still there; then comes the end itself.
    fn receive<T: Default>(&mut self, take: impl FnOnce(&mut RecvQueue) -> Option<T>) -> Result<Option<T>, ConnError> {
        if let Some(taken) = self.unread.as_mut().and_then(take) {
            return Ok(Some(taken));
        }
        self.unread = None;
        match self.reason {
            CloseReason::Normal => Ok(Some(T::default())),
            reason => Err(ConnError::Closed(reason)),
        }
    }
}

impl SendHalf {
    /// Something new waits to be sent: the user timeout counts from the moment when the first of it began to wait.
    pub(super) fn start_lagging(&mut self, now: Instant) {
        if !self.is_outstanding() && !self.has_unsent() {
            self.progress = now;
        }
    }
}

impl Common {
    /// Room in the send buffer, bytes.
    pub(super) fn writable(&self, snd: &SendHalf) -> usize {
        usize::try_from(self.cfg.snd_buf).unwrap_or(usize::MAX).saturating_sub(snd.queue.len())
    }
}
