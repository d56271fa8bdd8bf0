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
        Some(self.heard + cfg.keepalive_time + cfg.keepalive_interval * u64::from(self.keepalives))
    }

    /// The keep-alive timer ran out.
    pub(super) fn on_keepalive_timeout(&mut self, cfg: &Config) -> Result<(), CloseReason> {
        //= 9293/MUST-29
        if self.keepalives >= cfg.keepalive_probes {
            return Err(CloseReason::TimedOut);
        }
        self.keepalives += 1;
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
