//! Ending a connection: CLOSE, ABORT, letting go, and what remains.
//!
//! Sections: RFC 9293 3.6, 3.9.1.4, 3.9.1.5, 3.10.4, 3.10.5; 3.6.1 (half-duplex close, TIME-WAIT).
//! In: calls of the application, and the reasons for which a connection ends.
//! Out: a FIN or a RST to send; the TIME-WAIT record; what the application may still read.

use super::open::ts_clock;
use super::state::{Closed, Live, Shape};
use super::{CloseReason, Common, Connection, Event, Reset, ResetCause, State, TimeWait};
use crate::time::Instant;
use crate::wire::Timestamps;

impl Connection {
    /// CLOSE, RFC 9293 3.10.4.
    pub(super) fn on_close(&mut self, now: Instant) {
        match &mut self.shape {
            // In SYN-SENT nothing was promised: the TCB goes, and what was queued with it.
            Shape::Opening(_) => self.enter_closed(CloseReason::Aborted),
            Shape::Live(live) if !live.snd.closing => {
                live.snd.closing = true;
                live.snd.start_lagging(now);
                live.arm_timers(&mut self.common, now);
            }
            Shape::Live(_) | Shape::Closed(_) => {}
        }
    }

    /// The application lets go.
    pub(super) fn on_release(&mut self, now: Instant) {
        let unread = self.readable() > 0;
        self.common.released = true;
        match &mut self.shape {
            //= 9293/SHLD-3
            Shape::Live(_) if unread => self.reset(ResetCause::UnreadData, CloseReason::Aborted, now),
            Shape::Live(live) => {
                live.rcv.queue.clear();
                live.arm_timers(&mut self.common, now);
                self.on_close(now);
            }
            Shape::Opening(_) => self.enter_closed(CloseReason::Aborted),
            Shape::Closed(closed) => closed.unread = None,
        }
    }

    /// ABORT, RFC 9293 3.10.5.
    pub(super) fn on_abort(&mut self, now: Instant) {
        match self.state() {
            State::SynSent | State::Closing | State::LastAck | State::TimeWait => {
                self.enter_closed(CloseReason::Aborted);
            }
            State::Closed | State::Listen => {}
            _ => self.reset(ResetCause::Abort, CloseReason::Aborted, now),
        }
        if let Shape::Closed(closed) = &mut self.shape {
            closed.unread = None;
        }
    }

    /// Sends RST and closes.
    pub(super) fn reset(&mut self, cause: ResetCause, reason: CloseReason, now: Instant) {
        if let Shape::Live(live) = &self.shape {
            self.common.reset = Some(live.farewell(&self.common, cause, now));
        }
        self.enter_closed(reason);
    }

    /// The connection is over. What arrived in order stays readable, everything else is freed.
    pub(super) fn enter_closed(&mut self, reason: CloseReason) {
        let over = Shape::Closed(Closed { reason, unread: None });
        let unread = match core::mem::replace(&mut self.shape, over) {
            Shape::Live(live) => Some(live.rcv.queue).filter(|queue| queue.readable() > 0 && !self.common.released),
            Shape::Opening(_) => None,
            Shape::Closed(closed) => {
                // It was over before; the first reason stands.
                self.shape = Shape::Closed(closed);
                return;
            }
        };
        self.shape = Shape::Closed(Closed { reason, unread });
        self.common.timers.clear();
        self.common.events.raise(Event::Closed(reason));
    }

    /// TIME-WAIT leaves the connection as soon as its last acknowledgement does.
    pub(super) fn on_take_time_wait(&mut self, now: Instant) -> Option<TimeWait> {
        let Shape::Live(live) = &self.shape else { return None };
        if live.state() != State::TimeWait || live.rcv.acks.due(now).is_some() {
            return None;
        }
        let c = &self.common;
        let (snd, rcv) = (&live.snd, &live.rcv);
        let record = TimeWait {
            key: c.key,
            snd_nxt: snd.space.seq(snd.nxt),
            rcv_nxt: rcv.space.seq(rcv.nxt()),
            window: rcv.offer().0,
            timestamps: rcv.paws.as_ref().map(|paws| (paws.ts_recent(), c.ts_offset)),
            //= 9293/MUST-13
            expires: now + c.cfg.msl * 2,
        };
        self.enter_closed(CloseReason::Normal);
        Some(record)
    }
}

impl Live {
    /// The RST that ends this connection for the peer, too.
    fn farewell(&self, c: &Common, cause: ResetCause, now: Instant) -> Reset {
        let timestamps =
            self.rcv.paws.as_ref().map(|paws| Timestamps { val: ts_clock(now, c.ts_offset), ecr: paws.ts_recent() });
        Reset {
            seq: self.snd.space.seq(self.snd.acceptable_seq()),
            ack: Some(self.rcv.space.seq(self.rcv.nxt())),
            timestamps,
            cause,
        }
    }
}
