//! The timers of one connection: which are armed, and which is due first.
//!
//! Sections: RFC 6298 5 (retransmission), RFC 9293 3.8.6.1 (persist), 3.8.6.3 (delayed ACK), 3.8.4 (keep-alive), 3.8.3.
//! In: a deadline from the rule that needs one.
//! Out: the earliest deadline, and the timers that are due.

use crate::time::Instant;

/// Which timer asks for attention.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
#[expect(missing_docs, reason = "the names are the RFCs'")]
pub enum Timer {
    TailLossProbe,
    Reordering,
    Retransmission,
    Persist,
    DelayedAck,
    KeepAlive,
    UserTimeout,
    Cork,
    Pacing,
    FinWait2,
    TimeWait,
}

impl Timer {
    /// Every timer, in the order in which those that are due at the same instant run.
    pub const ALL: [Timer; 11] = [
        Timer::TailLossProbe,
        Timer::Reordering,
        Timer::Retransmission,
        Timer::Persist,
        Timer::DelayedAck,
        Timer::KeepAlive,
        Timer::UserTimeout,
        Timer::Cork,
        Timer::Pacing,
        Timer::FinWait2,
        Timer::TimeWait,
    ];
}

/// The deadlines of one connection.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Timers {
    deadlines: [Option<Instant>; Timer::ALL.len()],
}

impl Timers {
    /// Arms `timer`, or moves its deadline.
    pub(super) fn set(&mut self, timer: Timer, deadline: Instant) {
        self.deadlines[timer as usize] = Some(deadline);
    }

    /// Arms `timer` unless it is armed already.
    pub(super) fn set_if_unarmed(&mut self, timer: Timer, deadline: Instant) {
        self.deadlines[timer as usize].get_or_insert(deadline);
    }

    /// Disarms `timer`.
    pub(super) fn cancel(&mut self, timer: Timer) {
        self.deadlines[timer as usize] = None;
    }

    /// Disarms everything.
    pub(super) fn clear(&mut self) {
        *self = Timers::default();
    }

    /// When `timer` is due, if it is armed.
    pub(super) fn deadline(&self, timer: Timer) -> Option<Instant> {
        self.deadlines[timer as usize]
    }

    /// The earliest deadline and whose it is.
    pub(super) fn next(&self) -> Option<(Instant, Timer)> {
        self.armed().map(|(timer, at)| (at, timer)).min()
    }

    /// Every armed timer with its deadline.
    pub(super) fn armed(&self) -> impl Iterator<Item = (Timer, Instant)> + '_ {
        Timer::ALL.into_iter().filter_map(|timer| Some((timer, self.deadline(timer)?)))
    }

    /// Disarms the first timer that is due at `now`, and names it.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<Timer> {
        let (timer, _) = self.armed().find(|(_, at)| *at <= now)?;
        self.cancel(timer);
        Some(timer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_deadline_comes_first_and_a_due_timer_fires_once() {
        let at = Instant::from_nanos;
        let mut timers = Timers::default();
        assert_eq!(timers.next(), None);
        timers.set(Timer::KeepAlive, at(30));
        timers.set(Timer::DelayedAck, at(20));
        timers.set_if_unarmed(Timer::DelayedAck, at(10));
        assert_eq!(timers.next(), Some((at(20), Timer::DelayedAck)));
        assert_eq!(timers.take_due(at(19)), None);
        assert_eq!(timers.take_due(at(40)), Some(Timer::DelayedAck));
        assert_eq!(timers.take_due(at(40)), Some(Timer::KeepAlive));
        assert_eq!(timers.take_due(at(40)), None);
        timers.set(Timer::Cork, at(1));
        timers.clear();
        assert_eq!(timers.deadline(Timer::Cork), None);
    }

    #[test]
    fn every_timer_has_a_place_of_its_own() {
        for (place, timer) in Timer::ALL.into_iter().enumerate() {
            assert_eq!(timer as usize, place);
        }
    }
}
