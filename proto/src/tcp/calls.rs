//! SEND and RECEIVE: the application's bytes, in and out.
//!
//! Sections: RFC 9293 3.9.1.2, 3.9.1.3, 3.10.2, 3.10.3; POSIX sockets and tcp(7) for what goes beyond them.
//! In: bytes to send, or a place for bytes received.
//! Out: how many were taken; whether more will come; what an interface of sockets wants to know of the queues.

use bytes::Bytes;

use super::recvq::RecvQueue;
use super::sendq::SendQueue;
use super::snd::SendHalf;
use super::state::{Closed, Live, Opening, Shape};
use super::{AckCause, CloseReason, Common, ConnError, Connection, Event, Pressure, SoftError};
use crate::time::Instant;
use crate::wire::Pos;

impl Connection {
    /// As [`write`](Self::write), the parts being one write: PSH stands behind the last of them.
    pub fn write_vectored(&mut self, parts: &[&[u8]], now: Instant) -> Result<usize, ConnError> {
        let len = parts.iter().fold(0_usize, |len, part| len.saturating_add(part.len()));
        self.send(len, now, |queue, mut room| {
            for part in parts {
                let n = part.len().min(room);
                queue.write(&part[..n]);
                room -= n;
            }
        })
    }

    /// The application shut both directions, and keeps the connection all the same.
    pub fn refuse_data(&mut self) {
        self.common.refuses = true;
    }

    /// MSG_MORE: what was just written waits for a write that follows, as under a cork; false lifts that.
    pub fn set_more(&mut self, more: bool, now: Instant) {
        if let Shape::Opening(Opening { snd }) | Shape::Live(Live { snd, .. }) = &mut self.shape {
            snd.more = more;
        }
        self.configure(|_| {}, now);
    }

    /// TCP_QUICKACK: acknowledge at once for a while, or with data of our own if some comes soon.
    pub fn set_quick_ack(&mut self, on: bool, now: Instant) {
        if let Shape::Live(live) = &mut self.shape {
            live.rcv.acks.set_quick(on);
            live.arm_timers(&mut self.common, now);
        }
    }

    /// TCP_QUICKACK as it stands now.
    pub fn is_quick_ack(&self) -> bool {
        match &self.shape {
            Shape::Live(live) => live.rcv.acks.is_eager(),
            Shape::Opening(_) | Shape::Closed(_) => true,
        }
    }

    /// The host's memory has become short, or is no longer. Takes effect with the next call.
    pub fn set_pressure(&mut self, pressure: Pressure) {
        self.common.pressure = pressure;
    }

    /// What the buffers cost in bytes of memory.
    pub fn memory(&self) -> usize {
        match &self.shape {
            Shape::Opening(opening) => opening.snd.queue.memory(),
            Shape::Live(live) => live.snd.queue.memory() + live.rcv.queue.memory(),
            Shape::Closed(closed) => closed.unread.memory(),
        }
    }

    /// The sizes of the send buffer and of the receive buffer as they have grown, bytes (SO_SNDBUF, SO_RCVBUF).
    pub fn buffers(&self) -> (u32, u32) {
        match &self.shape {
            Shape::Opening(opening) => (opening.snd.buffer, self.common.cfg.rcv_buf),
            Shape::Live(live) => (live.snd.buffer, live.rcv.memory),
            Shape::Closed(_) => (self.common.cfg.snd_buf, self.common.cfg.rcv_buf),
        }
    }

    /// Copies received bytes into `out`, the first `skip` of them left out, and leaves all of them queued.
    pub fn peek(&self, skip: usize, out: &mut [u8]) -> usize {
        self.received().map_or(0, |queue| queue.peek(skip, out))
    }

    /// As [`recv_bytes`](Self::recv_bytes), and the chunk stays queued.
    pub fn peek_bytes(&mut self, now: Instant) -> Result<Option<Bytes>, ConnError> {
        self.receive(now, RecvQueue::peek_bytes)
    }

    /// Drops the next `len` received bytes, or what there is of them, as if they had been read.
    pub fn skip(&mut self, len: usize, now: Instant) -> Result<usize, ConnError> {
        Ok(self.receive(now, |queue| Some(queue.skip(len)))?.unwrap_or(0))
    }

    /// The position of the next byte to be read, relative to the peer's SYN.
    pub fn read_position(&self) -> Pos {
        self.received().map_or(Pos::FIRST, RecvQueue::read_position)
    }

    /// RCV.UP: behind the last urgent byte that the peer has announced, arrived or not, if it ever announced one.
    //= 9293/MUST-33
    pub fn urgent(&self) -> Option<Pos> {
        let up = match &self.shape {
            Shape::Opening(_) => Pos::SYN,
            Shape::Live(live) => live.rcv.up,
            Shape::Closed(closed) => closed.up,
        };
        Some(up).filter(|up| *up > Pos::SYN)
    }

    /// True once everything up to and with the peer's FIN has arrived.
    pub fn is_peer_closed(&self) -> bool {
        match &self.shape {
            Shape::Opening(_) => false,
            Shape::Live(live) => live.rcv.fin_taken,
            Shape::Closed(closed) => closed.fin,
        }
    }

    /// True if so little of the peer's window is left that it may wait for us to read (SO_RCVLOWAT must not).
    pub fn is_window_short(&self) -> bool {
        match &self.shape {
            Shape::Live(live) => live.rcv.wnd() <= u32::from(live.rcv.mss),
            Shape::Opening(_) | Shape::Closed(_) => false,
        }
    }

    /// What was written, FIN included: how much of it the peer has not acknowledged, and how much was never sent.
    pub fn unacknowledged(&self) -> (u64, u64) {
        match &self.shape {
            Shape::Opening(Opening { snd }) | Shape::Live(Live { snd, .. }) => {
                (snd.end().since(snd.una.max(Pos::FIRST)), snd.end().since(snd.nxt.max(Pos::FIRST)))
            }
            Shape::Closed(_) => (0, 0),
        }
    }

    /// True if a third of the send buffer is free, and TCP_NOTSENT_LOWAT far from reached: worth waking a writer for.
    /// [`Event::Writable`] comes when this becomes true.
    pub fn has_room(&self) -> bool {
        match &self.shape {
            Shape::Opening(Opening { snd }) | Shape::Live(Live { snd, .. }) => self.common.has_room(snd),
            Shape::Closed(_) => true,
        }
    }

    /// What made the peer seem out of reach, if nothing was heard from it since.
    pub fn soft_error(&self) -> Option<SoftError> {
        self.common.unreachable.then_some(SoftError::Unreachable)
    }

    fn received(&self) -> Option<&RecvQueue> {
        match &self.shape {
            Shape::Opening(_) => None,
            Shape::Live(live) => Some(&live.rcv.queue),
            Shape::Closed(closed) => Some(&closed.unread),
        }
    }

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
            snd.check_app_limited();
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
                    live.on_read(&self.common, now);
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
    fn on_read(&mut self, c: &Common, now: Instant) {
        self.rcv.grow_buffer(&c.cfg, c.pressure, now);
        if self.rcv.window_update_due(c.pressure) {
            self.rcv.acks.demand(AckCause::WindowUpdate);
        }
    }

    /// Something left the send buffer, or was sent: a writer that waits may go on.
    pub(super) fn tell_of_room(&mut self, c: &mut Common, had_room: bool) {
        if c.has_room(&self.snd) {
            // A writer that was refused while the host had no memory left never saw its own buffer full.
            let waits = core::mem::take(&mut self.snd.blocked);
            if !had_room || waits {
                c.events.raise(Event::Writable);
            }
        }
    }
}

impl Closed {
    /// What had arrived before the end is still there; then comes the end itself.
    fn receive<T: Default>(&mut self, take: impl FnOnce(&mut RecvQueue) -> Option<T>) -> Result<Option<T>, ConnError> {
        if let Some(taken) = take(&mut self.unread) {
            return Ok(Some(taken));
        }
        match self.reason {
            CloseReason::Normal => Ok(Some(T::default())),
            reason => Err(ConnError::Closed(reason)),
        }
    }
}

impl SendHalf {
    /// Bytes written and never sent.
    fn unsent(&self) -> u64 {
        self.queue.end().since(self.nxt.max(Pos::FIRST))
    }

    /// Something new waits to be sent: the user timeout counts from the moment when the first of it began to wait.
    pub(super) fn start_lagging(&mut self, now: Instant) {
        if !self.is_outstanding() && !self.has_unsent() {
            self.progress = now;
        }
    }
}

impl Common {
    /// How much may be queued for sending, bytes: the send buffer, or what is left to everybody when the host has no
    /// memory left.
    fn send_limit(&self, snd: &SendHalf) -> u32 {
        if self.pressure == Pressure::High { snd.buffer.min(self.cfg.snd_buf_min) } else { snd.buffer }
    }

    /// Room in the send buffer, bytes, and below the mark for what was not sent.
    pub(super) fn writable(&self, snd: &SendHalf) -> usize {
        let buffer = u64::from(self.send_limit(snd)).saturating_sub(snd.queue.len() as u64);
        let unsent = self.cfg.notsent_lowat.map_or(u64::MAX, |lowat| u64::from(lowat).saturating_sub(snd.unsent()));
        usize::try_from(buffer.min(unsent)).unwrap_or(usize::MAX)
    }

    /// Like Linux: a third of the send buffer is free, and half of TCP_NOTSENT_LOWAT.
    pub(super) fn has_room(&self, snd: &SendHalf) -> bool {
        let (buffer, used) = (u64::from(self.send_limit(snd)), snd.queue.len() as u64);
        let is_low = |lowat: u32| snd.unsent() * 2 < u64::from(lowat);
        buffer.saturating_sub(used) >= used.div_ceil(2) && used < buffer && self.cfg.notsent_lowat.is_none_or(is_low)
    }
}

#[cfg(test)]
mod tests {
    use super::super::play::*;
    use super::super::*;
    use crate::wire::Pos;

    #[test]
    fn a_short_write_is_followed_by_an_event_when_there_is_room() {
        let mut play = Play::established(&plain().with_buffers(131_072, 3000));
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
        let mut play = Play::established(&plain().with_buffers(131_072, 3000));
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
