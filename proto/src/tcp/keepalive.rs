//! Is the peer still there? Probes on a connection that has been silent for long.
//!
//! Sections: RFC 9293 3.8.4.
//! In: when the peer was last heard, and the keep-alive timer.
//! Out: probes, or the end after too many of them.

use super::state::Live;
use super::{CloseReason, Config, State};
use crate::time::Instant;

impl Live {
    /// When the next probe is due, if nothing is heard until then.
    pub(super) fn keepalive_deadline(&self, cfg: &Config) -> Option<Instant> {
        //= 9293/MUST-24
        //= 9293/MUST-26
        let silent = self.snd.syn_acked() && !self.snd.is_outstanding() && !self.snd.has_unsent();
        if !cfg.keepalive || !silent || self.state() == State::TimeWait {
            return None;
        }
        //= 9293/MUST-27
        Some(match self.keepalives {
            0 => self.heard + cfg.keepalive_time,
            _ => self.probed + cfg.keepalive_interval,
        })
    }

    /// The keep-alive timer ran out.
    pub(super) fn on_keepalive_timeout(&mut self, cfg: &Config, now: Instant) -> Result<(), CloseReason> {
        //= 9293/MUST-29
        if self.keepalives >= cfg.keepalive_probes {
            return Err(CloseReason::TimedOut);
        }
        self.keepalives += 1;
        self.probed = now;
        self.keepalive_due = true;
        Ok(())
    }

    /// Something acceptable arrived.
    pub(super) fn on_heard(&mut self, now: Instant) {
        self.heard = now;
        self.keepalives = 0;
        self.keepalive_due = false;
    }
}

#[cfg(test)]
mod tests {
    use super::super::play::*;
    use super::super::*;
    use crate::time::Duration;

    //= 9293/MUST-25
    //= 9293/MUST-28
    #[test]
    fn keepalive_is_off_and_waits_two_hours_when_on() {
        let mut play = Play::established(&plain());
        assert_eq!(play.pass(Duration::from_secs(100_000)), []);
        let mut play = Play::established(&plain());
        //= 9293/MUST-24
        play.conn.configure(|cfg| cfg.keepalive = true, play.now);
        let sent = play.pass(Duration::from_secs(7200));
        assert_eq!(sent, [(7_200_000, ". 0:0 ack 1 keep-alive 1".into())]);
    }

    //= 9293/MUST-27
    //= 9293/MUST-29
    //= 9293/SHLD-12
    #[test]
    fn only_a_row_of_unanswered_probes_ends_the_connection() {
        let cfg = Config {
            keepalive: true,
            keepalive_time: Duration::from_secs(10),
            keepalive_interval: Duration::from_secs(2),
            keepalive_probes: 3,
            ..plain()
        };
        let mut play = Play::established(&cfg);
        assert_eq!(play.pass(Duration::from_secs(13)).len(), 2);
        play.receive(seg(A, 1, 1));
        let sent = play.pass(Duration::from_secs(60));
        let told: alloc::vec::Vec<_> = sent.iter().map(|(at, line)| (*at, line.as_str())).collect();
        assert_eq!(
            told,
            [
                (10_000, ". 0:0 ack 1 keep-alive 1"),
                (12_000, ". 0:0 ack 1 keep-alive 2"),
                (14_000, ". 0:0 ack 1 keep-alive 3"),
                (16_000, "R. 1:1 ack 1 reset-timed-out"),
            ]
        );
        assert_eq!(play.conn.close_reason(), Some(CloseReason::TimedOut));
    }

    //= 9293/MUST-26
    #[test]
    fn no_probe_while_something_is_outstanding() {
        let cfg = Config { keepalive: true, keepalive_time: Duration::from_secs(1), ..plain() };
        let mut play = Play::established(&cfg);
        play.write(10);
        play.bursts();
        assert!(play.pass(Duration::from_secs(20)).iter().all(|(_, line)| line.contains("retransmit")));
    }
}
