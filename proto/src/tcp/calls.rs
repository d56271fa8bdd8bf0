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
        now: Instant,
        take: impl FnOnce(&mut RecvQueue) -> Option<T>,
    ) -> Result<Option<T>, ConnError> {
        match &mut self.shape {
            Shape::Opening(_) => Ok(None),
            Shape::Live(live) => {
                if let Some(taken) = take(&mut live.rcv.queue) {
                    live.on_read();
                    live.arm_timers(&mut self.common, now);
                    return Ok(Some(taken));
                }
                // Nothing is left before the FIN: end of stream.
                Ok(live.rcv.fin_taken.then(T::default))
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

#[cfg(test)]
mod tests {
    use super::super::play::*;
    use super::super::*;
    use crate::wire::Pos;

    #[test]
    fn a_short_write_is_followed_by_an_event_when_there_is_room() {
        let mut play = Play::established(&Config { snd_buf: 3000, ..plain() });
        assert_eq!(play.conn.writable(), 3000);
        assert_eq!(play.write(5000), 3000);
        assert_eq!(play.conn.write(b"x", play.now), Ok(0));
        play.bursts();
        play.receive(seg(A, 1, 501));
        assert_eq!(play.events(), [], "too little to wake anybody");
        play.receive(seg(A, 1, 1461));
        assert_eq!(play.events(), [Event::Writable]);
        play.receive(seg(A, 1, 2921));
        assert_eq!(play.events(), [], "once");
        assert!(play.info().sndbuf_limited.is_zero());
    }

    #[test]
    fn bytes_are_taken_without_copying_as_far_as_there_is_room() {
        let mut play = Play::established(&Config { snd_buf: 3000, ..plain() });
        let mut data = Bytes::from(stream(Pos(1), 5000));
        assert_eq!(play.conn.send_bytes(&mut data, play.now), Ok(3000));
        assert_eq!(data.len(), 2000);
        assert_eq!(play.sent(), ["P. 1:3001 ack 1 data"]);
    }

    #[test]
    fn reading_gives_data_then_pending_then_the_end() {
        let mut play = Play::established(&plain());
        assert_eq!(play.read(10), Ok(Read::Pending));
        assert_eq!(play.conn.recv_bytes(play.now), Ok(None));
        play.receive(seg(A, 1, 1).data(30));
        assert_eq!(play.conn.readable(), 30);
        assert_eq!(play.read(0), Ok(Read::Data(0)));
        assert_eq!(play.read(10), Ok(Read::Data(10)));
        assert_eq!(play.conn.recv_bytes(play.now), Ok(Some(Bytes::from(stream(Pos(11), 20)))));
        assert_eq!(play.read(10), Ok(Read::Pending));
        play.receive(seg(F, 31, 1));
        assert_eq!(play.read(10), Ok(Read::Eof));
        assert_eq!(play.conn.recv_bytes(play.now), Ok(Some(Bytes::new())));
    }

    #[test]
    fn calls_in_syn_sent_queue_and_wait() {
        let mut play = Play::syn_sent(&plain());
        assert_eq!(play.write(10), 10);
        assert_eq!(play.read(10), Ok(Read::Pending));
        assert!(play.sent().is_empty());
        play.receive(seg(SA, 0, 1));
        assert_eq!(play.sent(), ["P. 1:11 ack 1 data"], "the data carries the acknowledgement");
    }

    #[test]
    fn an_idle_connection_owns_no_buffer() {
        let mut play = Play::established(&Config::default());
        play.write(10_000);
        play.bursts();
        play.receive(seg(A, 1, 10_001).data(5000));
        play.read(10_000).expect("data");
        assert_eq!(play.info().memory, 0);
    }
}
