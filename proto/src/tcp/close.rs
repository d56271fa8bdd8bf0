//! Ending a connection: CLOSE, ABORT, letting go, and what remains.
//!
//! Sections: RFC 9293 3.6, 3.9.1.4, 3.9.1.5, 3.10.4, 3.10.5; 3.6.1 (half-duplex close, TIME-WAIT).
//! In: calls of the application, and the reasons for which a connection ends.
//! Out: a FIN or a RST to send; the TIME-WAIT record; what the application may still read.

use super::open::ts_clock;
use super::recvq::RecvQueue;
use super::state::{Closed, Live, Shape};
use super::{CloseReason, Common, Connection, Event, Reset, ResetCause, State, TimeWait};
use crate::time::Instant;
use crate::wire::{Pos, Timestamps};

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
            Shape::Closed(closed) => closed.unread.clear(),
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
            closed.unread.clear();
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
        let mut over = Closed { reason, unread: RecvQueue::new(Pos::FIRST), fin: false, up: Pos::SYN };
        match &mut self.shape {
            Shape::Opening(_) => {}
            Shape::Live(live) => {
                over.fin = live.rcv.fin_taken;
                over.up = live.rcv.up;
                core::mem::swap(&mut over.unread, &mut live.rcv.queue);
                if over.unread.readable() == 0 || self.common.released {
                    over.unread.clear();
                }
            }
            // It was over before; the first reason stands.
            Shape::Closed(_) => return,
        }
        self.shape = Shape::Closed(over);
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
            window: rcv.offer(c.pressure).0,
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

#[cfg(test)]
mod tests {
    use super::super::play::*;
    use super::super::*;
    use crate::time::Duration;

    //= 9293/MUST-13
    #[test]
    fn the_active_closer_walks_to_time_wait() {
        let mut play = Play::established(&Config::default());
        play.conn.close(play.now);
        assert_eq!(play.state(), State::FinWait1);
        assert_eq!(play.sent(), ["F. 1:1 ack 1 fin"]);
        play.receive(seg(A, 1, 2));
        assert_eq!(play.state(), State::FinWait2);
        play.receive(seg(A, 1, 2).data(10));
        play.receive(seg(F, 11, 2));
        assert_eq!(play.state(), State::TimeWait);
        assert_eq!(play.conn.take_time_wait(play.now), None, "the last ACK is not on its way");
        assert_eq!(play.sent(), [". 2:2 ack 12 ack-quick"]);
        let record = play.conn.take_time_wait(play.now).expect("now it is");
        assert_eq!((record.snd_nxt, record.rcv_nxt), (ISS + 2, IRS + 12));
        assert_eq!(record.expires.since(play.now), Duration::from_secs(60));
        assert_eq!(record.timestamps, Some((PEER_TS, TS_OFFSET)));
        assert_eq!(play.conn.take_time_wait(play.now), None, "at most once");
        assert_eq!(play.state(), State::Closed);
        assert_eq!(play.events(), [Event::Readable, Event::PeerFin, Event::Closed(CloseReason::Normal)]);
        assert_eq!(play.read(100), Ok(Read::Data(10)));
        assert_eq!(play.read(100), Ok(Read::Eof));
    }

    #[test]
    fn the_passive_closer_walks_to_closed() {
        let mut play = Play::established(&plain());
        play.write(100);
        play.bursts();
        play.receive(seg(F, 1, 1));
        assert_eq!(play.state(), State::CloseWait);
        assert_eq!(play.sent(), [". 101:101 ack 2 ack-fin"]);
        play.write(3000);
        play.conn.close(play.now);
        assert_eq!(play.state(), State::CloseWait, "the FIN is not sent yet");
        play.bursts();
        assert_eq!(play.state(), State::LastAck);
        play.receive(seg(A, 2, 3101));
        assert_eq!(play.state(), State::LastAck, "all but the FIN");
        play.receive(seg(A, 2, 3102));
        assert_eq!((play.state(), play.conn.close_reason()), (State::Closed, Some(CloseReason::Normal)));
    }

    #[test]
    fn simultaneous_close_goes_through_closing() {
        let mut play = Play::established(&plain());
        play.conn.close(play.now);
        play.bursts();
        play.receive(seg(F, 1, 1));
        assert_eq!(play.state(), State::Closing);
        assert_eq!(play.sent(), [". 2:2 ack 2 ack-fin"]);
        play.receive(seg(A, 2, 2));
        assert_eq!(play.state(), State::TimeWait);
        assert!(play.conn.take_time_wait(play.now).is_some());
    }

    #[test]
    fn a_fin_and_its_acknowledgement_in_one_segment() {
        let mut play = Play::established(&plain());
        play.conn.close(play.now);
        play.bursts();
        play.receive(seg(F, 1, 2));
        assert_eq!(play.state(), State::TimeWait);
        assert_eq!(play.sent(), [". 2:2 ack 2 ack-fin"]);
    }

    #[test]
    fn a_fin_after_data_is_acknowledged_by_the_fin_of_a_close_that_comes_soon() {
        let mut play = Play::established(&plain());
        play.receive(seg(A, 1, 1).data(151));
        play.bursts();
        play.write(10);
        play.bursts();
        play.receive(seg(F, 152, 11));
        assert!(play.sent().is_empty(), "40 ms");
        play.conn.close(play.now);
        assert_eq!(play.sent(), ["F. 11:11 ack 153 fin"]);
    }

    //= 1337#3
    #[test]
    fn time_wait_ignores_resets_and_acknowledges_the_fin_again() {
        let mut play = Play::established(&plain());
        play.conn.close(play.now);
        play.bursts();
        play.receive(seg(F, 1, 2));
        assert_eq!(play.receive(seg(R, 2, 0)), Verdict::Dropped(DropReason::TimeWaitAssassination));
        play.bursts();
        assert_eq!(play.receive(seg(F, 1, 2)), Verdict::Answered(DropReason::Duplicate));
        assert_eq!(play.sent(), [". 2:2 ack 2 ack-time-wait"]);
        assert_eq!(play.state(), State::TimeWait);
    }

    #[test]
    fn close_in_syn_received_is_fin_wait_1_unless_something_is_queued() {
        let mut play = Play::syn_received(&plain());
        play.conn.close(play.now);
        assert_eq!(play.state(), State::FinWait1);
        assert_eq!(play.sent(), ["F. 1:1 ack 1 fin"]);
        play.receive(seg(A, 1, 2));
        assert_eq!(play.state(), State::FinWait2);
        let mut play = Play::syn_received(&plain());
        play.write(10);
        play.conn.close(play.now);
        assert_eq!(play.state(), State::SynReceived);
        assert!(play.sent().is_empty());
        play.receive(seg(A, 1, 1));
        assert_eq!(play.state(), State::FinWait1);
        assert_eq!(play.sent(), ["FP. 1:11 ack 1 fin"]);
    }

    #[test]
    fn close_in_syn_sent_forgets_everything() {
        let mut play = Play::syn_sent(&plain());
        play.write(10);
        play.conn.close(play.now);
        assert_eq!(play.state(), State::Closed);
        assert!(play.sent().is_empty());
        assert_eq!(play.conn.next_timeout(), None);
    }

    //= 9293/SHLD-3
    #[test]
    fn letting_go_of_unread_data_resets() {
        let mut play = Play::established(&plain());
        play.receive(seg(A, 1, 1).data(10));
        play.bursts();
        play.conn.release(play.now);
        assert_eq!(play.sent(), ["R. 1:1 ack 11 reset-unread-data"]);
        assert_eq!(play.conn.close_reason(), Some(CloseReason::Aborted));
        assert_eq!(play.info().memory, 0);
    }

    #[test]
    fn a_released_connection_does_not_wait_for_ever_in_fin_wait_2() {
        let mut play = Play::established(&plain());
        play.conn.release(play.now);
        play.bursts();
        play.receive(seg(A, 1, 2));
        assert_eq!(play.conn.next_timeout().map(|(_, timer)| timer), Some(Timer::FinWait2));
        assert_eq!(play.pass(Duration::from_secs(61)), []);
        assert!(play.conn.is_finished());
        let mut play = Play::established(&plain());
        play.conn.close(play.now);
        play.bursts();
        play.receive(seg(A, 1, 2));
        assert_eq!(play.conn.next_timeout(), None, "half-closed, but somebody reads");
    }

    #[test]
    fn abort_resets_only_where_the_peer_needs_it() {
        let aborted = |prepare: fn(&mut Play)| {
            let mut play = Play::established(&plain());
            prepare(&mut play);
            play.bursts();
            play.conn.abort(play.now);
            (play.sent().join(" "), play.state())
        };
        let reset = |line: &str| (line.into(), State::Closed);
        assert_eq!(aborted(|_| {}), reset("R. 1:1 ack 1 reset-abort"));
        assert_eq!(aborted(|play| play.conn.close(play.now)), reset("R. 2:2 ack 1 reset-abort"));
        let close_wait = |play: &mut Play| {
            play.receive(seg(F, 1, 1));
        };
        assert_eq!(aborted(close_wait), reset("R. 1:1 ack 2 reset-abort"));
        // CLOSING: both sides have said all they had to say.
        let closing = |play: &mut Play| {
            play.conn.close(play.now);
            play.bursts();
            play.receive(seg(F, 1, 1));
        };
        assert_eq!(aborted(closing), reset(""));
        let mut play = Play::syn_sent(&plain());
        play.conn.abort(play.now);
        assert!(play.sent().is_empty());
    }
}
