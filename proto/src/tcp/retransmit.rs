//! When to send again: the retransmission timer, the probes of a closed window, and when to give up.
//!
//! Sections: RFC 6298 5; RFC 9293 3.8.1, 3.8.3 (R1, R2), 3.8.6.1 (zero-window probing), 3.9.1.1 and 3.10.8 (user timeout).
//! In: timers that ran out, and the state of the sending half.
//! Out: timers armed, segments marked lost, probes due, or the end.

use super::snd::{Allowance, SendHalf};
use super::state::{Live, Shape};
use super::{AckCause, CloseReason, Common, Connection, Event, ResetCause, RetransmitCause, SoftError, State, Timer};
use crate::time::{Duration, Instant};
use crate::wire::Pos;

impl Connection {
    /// A timer is due.
    pub(super) fn on_timer(&mut self, timer: Timer, now: Instant) {
        let c = &mut self.common;
        let result = match (&mut self.shape, timer) {
            (Shape::Closed(_), _) => Ok(()),
            (_, Timer::UserTimeout) => Err(CloseReason::TimedOut),
            (Shape::Opening(opening), Timer::Retransmission) => opening.snd.on_retransmission_timeout(c, now),
            (Shape::Opening(_), _) => Ok(()),
            (Shape::Live(live), Timer::Retransmission) => live.snd.on_retransmission_timeout(c, now),
            (Shape::Live(live), Timer::TailLossProbe) => {
                live.snd.tail_probe_due = true;
                Ok(())
            }
            (Shape::Live(live), Timer::Reordering) => {
                live.snd.on_reordering_timeout(c, now);
                Ok(())
            }
            (Shape::Live(live), Timer::Persist) => live.snd.on_persist_timeout(c),
            (Shape::Live(live), Timer::DelayedAck) => {
                live.rcv.acks.demand(AckCause::Delayed);
                Ok(())
            }
            (Shape::Live(live), Timer::KeepAlive) => live.on_keepalive_timeout(&c.cfg, now),
            (Shape::Live(live), Timer::Cork) => {
                live.snd.hurry = live.snd.queue.end();
                Ok(())
            }
            (Shape::Live(_), Timer::Pacing) => Ok(()),
            (Shape::Live(_), Timer::FinWait2) => Err(CloseReason::TimedOut),
            (Shape::Live(_), Timer::TimeWait) => Ok(()),
        };
        match result {
            Ok(()) => {
                if let Shape::Live(live) = &mut self.shape {
                    live.arm_timers(&mut self.common, now);
                }
            }
            // Like Linux: a peer that is silent on probes may have lost the connection, and a RST tells it so if it
            // listens. A peer that is silent on data gets none (RFC 9293 3.10.8).
            Err(reason) if timer == Timer::KeepAlive => self.reset(ResetCause::TimedOut, reason, now),
            Err(reason) => self.enter_closed(reason),
        }
    }
}

impl SendHalf {
    /// The retransmission timer ran out.
    pub(super) fn on_retransmission_timeout(&mut self, c: &mut Common, now: Instant) -> Result<(), CloseReason> {
        c.stats.on_timeout(now);
        //= 9293/MUST-23
        let limit = match (self.syn_acked(), c.passive) {
            (true, _) => c.cfg.retries2,
            (false, false) => c.cfg.syn_retries,
            (false, true) => c.cfg.synack_retries,
        };
        self.on_unanswered(c, limit)?;
        if self.syn_acked() && self.pmtu.on_timeout(&c.cfg, self.retries, now) {
            self.mss = self.pmtu.mss();
        }
        //= 9293/MUST-19
        let (una, nxt, repeated) = (self.una, self.nxt, self.retries > 1);
        let fresh = match &mut self.sack {
            Some(sack) if una > Pos::SYN => sack.on_timeout(una, nxt, repeated, &mut self.inflight),
            _ => !repeated,
        };
        if fresh {
            self.cc.on_timeout(self.inflight.segments());
        } else {
            self.cc.on_repeated_timeout();
        }
        self.recovery.on_timeout(nxt);
        //= 6298#5.4
        self.inflight.mark_all_lost(RetransmitCause::AfterTimeout);
        self.repair = RetransmitCause::Timeout(self.retries);
        self.repair_now = self.sack.is_some() && self.syn_acked();
        self.tail_probe_due = false;
        Ok(())
    }

    /// The timer of a closed window ran out: the first time after one RTO, then at doubling intervals.
    pub(super) fn on_persist_timeout(&mut self, c: &mut Common) -> Result<(), CloseReason> {
        //= 9293/SHLD-29
        //= 9293/SHLD-30
        if self.wnd > 0 && !self.is_outstanding() {
            // Silly-window avoidance has waited long enough: what fits goes (RFC 9293 3.8.6.2.1, the override timeout).
            self.hurry = self.edge();
            return Ok(());
        }
        //= 9293/MUST-36
        self.on_unanswered(c, c.cfg.retries2)?;
        self.probe_due = true;
        Ok(())
    }

    /// One more timeout without an answer.
    fn on_unanswered(&mut self, c: &mut Common, limit: u8) -> Result<(), CloseReason> {
        //= 9293/MUST-20
        //= 9293/MUST-22
        //= 9293/SHLD-11
        if self.retries >= limit {
            return Err(CloseReason::TimedOut);
        }
        self.retries += 1;
        //= 6298#5.5
        self.rtt.on_timeout();
        //= 9293/SHLD-9
        //= 9293/SHLD-10
        if self.retries == c.cfg.retries1 {
            c.events.raise(Event::SoftError(SoftError::ExcessiveRetransmissions));
        }
        Ok(())
    }

    /// Something from the peer shows that it lives and keeps its window closed on purpose.
    pub(super) fn on_closed_window_answered(&mut self, now: Instant) {
        //= 9293/MUST-37
        //= 9293/SHLD-17
        self.retries = 0;
        self.progress = now;
    }
}

impl Live {
    /// Arms what has to be armed and disarms the rest. Called at the end of everything that can change the answer.
    pub(super) fn arm_timers(&mut self, c: &mut Common, now: Instant) {
        self.snd.tell_losses(now);
        self.arm_retransmission(c, now);
        self.arm_probe(c, now);
        self.arm_pacing(c, now);
        let lagging = self.snd.is_outstanding() || self.snd.has_unsent();
        match c.cfg.user_timeout {
            Some(timeout) if lagging => c.timers.set(Timer::UserTimeout, self.snd.progress + timeout),
            _ => c.timers.cancel(Timer::UserTimeout),
        }
        match self.keepalive_deadline(&c.cfg) {
            Some(deadline) => c.timers.set(Timer::KeepAlive, deadline),
            None => c.timers.cancel(Timer::KeepAlive),
        }
        match self.rcv.acks.deadline() {
            Some(deadline) => c.timers.set(Timer::DelayedAck, deadline),
            None => c.timers.cancel(Timer::DelayedAck),
        }
        if c.released && self.state() == State::FinWait2 {
            c.timers.set_if_unarmed(Timer::FinWait2, now + c.cfg.fin_timeout);
        } else {
            c.timers.cancel(Timer::FinWait2);
        }
    }

    /// The tail loss probe and RACK's reordering timer.
    fn arm_probe(&self, c: &mut Common, now: Instant) {
        let snd = &self.snd;
        match snd.sack.as_ref().and_then(|sack| sack.reordering_deadline()).filter(|_| snd.is_outstanding()) {
            Some(at) => c.timers.set(Timer::Reordering, at),
            None => c.timers.cancel(Timer::Reordering),
        }
        // The peer may keep a lone segment's acknowledgement back. Like Linux: as long as the least timeout.
        let patience = c.cfg.rto_min;
        let wanted = snd.sack.as_ref().filter(|_| !snd.tail_probe_due && snd.retries == 0);
        let timeout = wanted.and_then(|sack| sack.probe_timeout(&snd.inflight, snd.rtt.srtt(), patience));
        match (timeout, c.timers.deadline(Timer::Retransmission)) {
            //= 8985#7.2
            (Some(timeout), Some(expiry)) if snd.syn_acked() => {
                c.timers.set_if_unarmed(Timer::TailLossProbe, (now + timeout).min(expiry));
            }
            _ => c.timers.cancel(Timer::TailLossProbe),
        }
    }

    /// What may go but for its time wakes us when that comes.
    fn arm_pacing(&self, c: &mut Common, now: Instant) {
        let snd = &self.snd;
        let waits = !snd.pacer.is_open(now)
            && snd.syn_acked()
            && snd.congestion_room() > 0
            && (snd.inflight.lost() > 0 || (snd.has_unsent() && snd.nxt < snd.edge()));
        if waits && snd.pacing_rate(&c.cfg).is_some() {
            c.timers.set(Timer::Pacing, snd.pacer.opens_at());
        } else {
            c.timers.cancel(Timer::Pacing);
        }
    }

    /// Retransmission timer, persist timer or cork timer: at most one of them, since each guards the same queue.
    fn arm_retransmission(&mut self, c: &mut Common, now: Instant) {
        let snd = &self.snd;
        let wanted = if snd.is_outstanding() {
            // What lies beyond a window that has shrunk to nothing is probed for, not sent again.
            //= 9293/MUST-35
            let closed = snd.syn_acked() && snd.wnd == 0;
            Some(if closed { Timer::Persist } else { Timer::Retransmission })
        } else if snd.syn_acked() && snd.has_unsent() {
            match snd.allowance(&c.cfg, u64::from(snd.mss), u64::from(snd.mss)) {
                Allowance::Window => Some(Timer::Persist),
                Allowance::Empty if snd.edge() <= snd.nxt => Some(Timer::Persist),
                Allowance::Small if snd.is_corked(&c.cfg) => Some(Timer::Cork),
                _ => None,
            }
        } else {
            None
        };
        for timer in [Timer::Retransmission, Timer::Persist, Timer::Cork] {
            if wanted != Some(timer) {
                c.timers.cancel(timer);
            }
        }
        match wanted {
            //= 6298#5.1
            Some(timer @ (Timer::Retransmission | Timer::Persist)) => {
                c.timers.set_if_unarmed(timer, now + snd.rtt.backed_off());
            }
            Some(timer) => c.timers.set_if_unarmed(timer, now + CORK),
            None => {}
        }
    }
}

/// Like Linux: a corked segment waits no longer.
const CORK: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests {
    use super::super::play::*;
    use super::super::*;
    use super::*;

    //= 9293/MUST-18
    //= 9293/MUST-19
    //= 9293/MUST-20
    //= 9293/SHLD-9
    //= 9293/SHLD-10
    //= 9293/SHLD-11
    //= 6298#5.5
    #[test]
    fn data_that_nobody_acknowledges_is_sent_again_ever_more_slowly_until_r2() {
        let mut play = Play::established(&plain());
        play.write(3000);
        play.bursts();
        let sent = play.pass(Duration::from_secs(3600));
        assert_eq!(sent.len(), 15, "tcp_retries2");
        let at: alloc::vec::Vec<u64> = sent.iter().map(|(at, _)| *at).collect();
        assert_eq!(at[..4], [210, 630, 1470, 3150]);
        assert!(at.windows(2).all(|pair| pair[1] - pair[0] <= 120_000));
        assert_eq!(sent[1].1, ". 1:1461 ack 1 retransmit-timeout 2", "one segment");
        assert!(at[14] > 100_000, "R2 is at least 100 s away");
        let soft = Event::SoftError(SoftError::ExcessiveRetransmissions);
        assert_eq!(play.events(), [soft, Event::Closed(CloseReason::TimedOut)]);
        assert!(play.conn.is_finished(), "no RST on the way out");
    }

    //= 9293/MUST-21
    #[test]
    fn r2_is_the_applications_to_choose() {
        let mut play = Play::established(&plain());
        play.conn.configure(|cfg| cfg.retries2 = 2, play.now);
        play.write(10);
        play.bursts();
        assert_eq!(play.pass(Duration::from_secs(60)).len(), 2);
        assert_eq!(play.conn.close_reason(), Some(CloseReason::TimedOut));
    }

    //= 6298#5.4
    #[test]
    fn after_a_timeout_everything_goes_again_in_slow_start() {
        let mut play = Play::established(&plain());
        play.write(14_600);
        play.bursts();
        assert_eq!(play.pass(ms(210)), [(210, ". 1:1461 ack 1 retransmit-timeout 1".into())]);
        assert_eq!((play.info().snd_cwnd, play.info().snd_ssthresh), (1, 5));
        play.receive(seg(A, 1, 1461));
        assert_eq!(play.sent(), [". 1461:4381 ack 1 retransmit-after-timeout"]);
        assert_eq!(play.info().backoff, 1);
        play.receive(seg(A, 1, 14_601));
        assert!(play.sent().is_empty(), "the peer had the rest all along");
        assert_eq!(play.info().unacked, 0);
        assert_eq!(play.conn.next_timeout(), None);
    }

    /// Found by a script: the acknowledgement of what was sent again ended the back-off.
    //= 9293/MUST-18
    //= 6298#5.5
    #[test]
    fn the_timeout_stays_backed_off_until_a_round_trip_is_measured() {
        let mut play = Play::established(&plain());
        play.write(100);
        play.bursts();
        assert_eq!(play.pass(ms(630)).iter().map(|(at, _)| *at).collect::<alloc::vec::Vec<_>>(), [210, 630]);
        play.receive(seg(A, 1, 101));
        play.write(100);
        play.bursts();
        let (at, _) = play.conn.next_timeout().expect("armed");
        assert_eq!(at.since(play.now), ms(840), "twice doubled");
        play.now += ms(10);
        play.receive(seg(A, 1, 201));
        play.write(100);
        play.bursts();
        let (at, _) = play.conn.next_timeout().expect("armed");
        assert_eq!(at.since(play.now), ms(210), "a segment that was sent once was measured");
    }

    //= 6298#5.2
    //= 6298#5.3
    #[test]
    fn every_new_acknowledgement_restarts_the_timer_and_the_last_stops_it() {
        let mut play = Play::established(&plain());
        play.write(2920);
        play.bursts();
        play.now += ms(100);
        play.receive(seg(A, 1, 1461));
        let (at, timer) = play.conn.next_timeout().expect("armed");
        assert_eq!((at.since(play.now), timer), (play.info().rto, Timer::Retransmission));
        play.receive(seg(A, 1, 2921));
        assert_eq!(play.conn.next_timeout(), None);
    }

    #[test]
    fn the_user_timeout_ends_what_makes_no_progress() {
        let cfg = Config { user_timeout: Some(Duration::from_secs(5)), ..plain() };
        let mut play = Play::established(&cfg);
        play.pass(Duration::from_secs(60));
        play.write(10);
        play.bursts();
        let sent = play.pass(Duration::from_secs(60));
        assert!(sent.iter().all(|(at, _)| *at < 5000));
        assert_eq!(play.conn.close_reason(), Some(CloseReason::TimedOut));
        let mut play = Play::syn_sent(&cfg);
        assert_eq!(play.pass(Duration::from_secs(60)).len(), 2);
        assert_eq!(play.conn.close_reason(), Some(CloseReason::TimedOut));
    }

    #[test]
    fn the_user_timeout_spares_a_peer_that_answers_probes() {
        let cfg = Config { user_timeout: Some(Duration::from_secs(5)), ..plain() };
        let mut play = Play::established(&cfg);
        play.receive(seg(A, 1, 1).window(0));
        play.write(10);
        for _ in 0..5 {
            let wait = play.conn.next_timeout().expect("probes").0.since(play.now);
            play.pass(wait);
            play.receive(seg(A, 1, 1).window(0));
        }
        play.receive(seg(A, 1, 1).window(0));
        assert_eq!(play.state(), State::Established);
    }

    #[test]
    fn probes_that_nobody_answers_end_the_connection() {
        let mut play = Play::established(&Config { retries2: 3, ..plain() });
        play.receive(seg(A, 1, 1).window(0));
        play.write(10);
        assert_eq!(play.pass(Duration::from_secs(60)).len(), 3);
        assert_eq!(play.conn.close_reason(), Some(CloseReason::TimedOut));
    }

    #[test]
    fn no_timer_is_due_again_at_once() {
        let mut play = Play::established(&Config { keepalive: true, ..plain() });
        play.write(3000);
        play.bursts();
        // The clock jumps by a day.
        play.now += Duration::from_secs(86_400);
        play.conn.on_timeout(play.now);
        assert!(play.conn.next_timeout().is_none_or(|(at, _)| at > play.now));
    }
}
