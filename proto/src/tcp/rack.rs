//! RACK: a segment is lost if one that was sent later has arrived, and enough time has passed to allow for reordering.
//!
//! Sections: RFC 8985 4 to 6 (5.2 state, 6.2 on each acknowledgement, 6.3 on the timer).
//! In: when each segment was sent, and which of them have arrived.
//! Out: segments to be held lost, and when to look again.
//!
//! Counting duplicates finds a loss only behind which three segments arrive, and takes reordering by three for a loss.
//! Time is a better witness. Of all segments that have arrived, take the one that was sent last: whatever was sent
//! before it and is still missing has been overtaken. It is given one round trip from its own sending, and on top of it
//! a reordering window; after that it is held lost. The same rule finds lost retransmissions, since they have a later
//! sending of their own, and the losses that a tail loss probe uncovers.
//!
//! The window starts as a quarter of the least round trip. Each round trip in which the peer reports a duplicate (so
//! something was repaired without need) makes it a quarter wider, up to a whole SRTT, and after sixteen recoveries
//! without such a report it is narrow again. As long as no reordering was ever seen there is no window at all once as
//! many segments are SACKed as the duplicate threshold, nor during recovery: a path that keeps order should not wait.
//!
//! Linux walks all that is in flight in the order of sending for each acknowledgement, up to the segment that arrived.
//! Here sendings stand in a queue, a burst each, and the queue is consumed: its front is dropped as soon as what it sent
//! has arrived or is held lost, and looking stops at the first sending that has time left. A segment is looked at once
//! per time it is sent, not once per acknowledgement.

use alloc::collections::VecDeque;

use super::inflight::{InFlight, Latest};
use super::{Delivery, RetransmitCause};
use crate::time::{Duration, Instant};
use crate::wire::Pos;

/// What one connection knows of the order of things.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Rack {
    /// RACK.segment: of all that has arrived, what was sent last.
    segment: Option<Latest>,
    /// RACK.rtt: its round trip.
    rtt: Duration,
    /// RACK.reordering_seen.
    reordering_seen: bool,
    /// RACK.reo_wnd_mult.
    mult: u32,
    /// RACK.reo_wnd_persist: recoveries until the window is narrow again.
    persist: u32,
    /// RACK.dsack_round: the round trip that ends there has widened the window already.
    dsack_round: Option<Pos>,
    /// The window does not adapt (`tcp_recovery` & 2).
    is_static: bool,
    /// The duplicate threshold does not end the wait (`tcp_recovery` & 4).
    ignores_threshold: bool,
    /// What was sent, in the order of sending; each entry starts with something that may still be on its way.
    sendings: VecDeque<Sending>,
}

/// Segments that were sent together.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
struct Sending {
    sent: Instant,
    start: Pos,
    end: Pos,
}

/// What the size of the reordering window depends on beside RACK's own state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Surroundings {
    /// The least round trip.
    pub(super) min_rtt: Option<Duration>,
    /// SRTT.
    pub(super) srtt: Option<Duration>,
    /// Fast recovery, or recovery from a timeout.
    pub(super) recovering: bool,
    /// Segments SACKed.
    pub(super) sacked: u32,
    /// So many of them mean loss, as far as this path is known.
    pub(super) threshold: u32,
}

/// What a look at the queue found.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Found {
    /// Segments newly held lost.
    pub(super) lost: u32,
    /// When to look again, if something has time left.
    pub(super) again: Option<Instant>,
}

impl Rack {
    /// Nothing is known. `setting` is `tcp_recovery`.
    pub(super) fn new(setting: u8) -> Self {
        Rack {
            segment: None,
            rtt: Duration::ZERO,
            reordering_seen: false,
            mult: 1,
            persist: PERSIST,
            dsack_round: None,
            is_static: setting & 2 != 0,
            ignores_threshold: setting & 4 != 0,
            sendings: VecDeque::new(),
        }
    }

    /// `[start, end)` goes out, for the first time or again.
    pub(super) fn on_sent(&mut self, start: Pos, end: Pos, sent: Instant) {
        match self.sendings.back_mut() {
            Some(last) if last.sent == sent && last.end == start => last.end = end,
            _ => self.sendings.push_back(Sending { sent, start, end }),
        }
    }

    /// Step 1 and 2: segments have arrived. `is_copy` tells of a retransmission, by its time of sending, whether its
    /// acknowledgement may be for an earlier copy.
    pub(super) fn on_delivered(&mut self, delivery: &Delivery, now: Instant, is_copy: impl Fn(Instant) -> bool) {
        //= 8985#6.2
        let resent = delivery.latest_resent.filter(|latest| !is_copy(latest.sent));
        let Some(latest) = delivery.latest.max(resent) else { return };
        self.rtt = now.since(latest.sent);
        self.segment = self.segment.max(Some(latest));
    }

    /// Everything before `una` is acknowledged.
    pub(super) fn forget_to(&mut self, una: Pos) {
        while self.sendings.front().is_some_and(|front| front.end <= una) {
            self.sendings.pop_front();
        }
        if self.sendings.is_empty() && self.sendings.capacity() > KEPT_CAPACITY {
            self.sendings = VecDeque::new();
        }
    }

    /// Step 3: something that was sent only once arrived after what was sent behind it.
    pub(super) fn on_reordering(&mut self) {
        //= 8985#6.2
        self.reordering_seen = true;
    }

    /// The peer reports that a retransmission was not needed: the window is wider from now on, once per round trip.
    pub(super) fn on_duplicate(&mut self, una: Pos, nxt: Pos) {
        //= 8985#6.2
        self.dsack_round = self.dsack_round.filter(|round| una < *round);
        if self.dsack_round.is_none() && !self.is_static {
            self.dsack_round = Some(nxt);
            self.mult = self.mult.saturating_add(1);
            self.persist = PERSIST;
        }
    }

    /// Recovery is over.
    pub(super) fn on_recovery_exit(&mut self) {
        //= 8985#6.2
        self.persist = self.persist.saturating_sub(1);
        if self.persist == 0 {
            self.mult = 1;
        }
    }

    /// Step 4: RACK.reo_wnd.
    pub(super) fn window(&self, s: &Surroundings) -> Duration {
        //= 8985#6.2
        if !self.reordering_seen && (s.recovering || (s.sacked >= s.threshold && !self.ignores_threshold)) {
            return Duration::ZERO;
        }
        let quarter = s.min_rtt.unwrap_or(Duration::ZERO) / 4;
        quarter.saturating_mul(u64::from(self.mult)).min(s.srtt.unwrap_or(Duration::ZERO))
    }

    /// Step 5, and the timer: what was overtaken and has used up its round trip and its window is held lost.
    pub(super) fn detect_loss(
        &mut self,
        inflight: &mut InFlight,
        s: &Surroundings,
        why: RetransmitCause,
        now: Instant,
    ) -> Found {
        let mut found = Found::default();
        let Some(segment) = self.segment else { return found };
        let patience = self.rtt + self.window(s);
        while let Some(front) = self.sendings.front_mut() {
            if front.sent > segment.sent {
                break;
            }
            let Some(run) = inflight.first_sent_at(front.sent, front.start, front.end) else {
                self.sendings.pop_front();
                continue;
            };
            front.start = run.start;
            if (Latest { sent: run.sent, end: run.end }) >= segment {
                break;
            }
            //= 8985#6.2
            let deadline = run.sent + patience;
            if deadline > now {
                // DEVIATES: 8985#6.2: the timer is set for the first segment whose time is up, not for the last. Each
                // is found as early as it can be, and nothing behind it needs to be looked at before.
                found.again = Some(deadline);
                break;
            }
            found.lost += inflight.mark_lost(run.start, run.end, run.sent, why);
        }
        found
    }

    /// Marks were taken back: what is on its way is looked at again.
    pub(super) fn restart(&mut self, inflight: &InFlight) {
        let pending = inflight.pending();
        self.sendings = pending.map(|run| Sending { sent: run.sent, start: run.start, end: run.end }).collect();
        self.sendings.make_contiguous().sort_unstable();
    }

    /// Reordering was seen at some time.
    pub(super) const fn has_seen_reordering(&self) -> bool {
        self.reordering_seen
    }

    /// What the queue costs in bytes of memory.
    pub(super) fn memory(&self) -> usize {
        self.sendings.capacity() * size_of::<Sending>()
    }
}

/// RFC 8985 6.2: recoveries for which a wider window is kept.
const PERSIST: u32 = 16;

/// Room for so many sendings is kept when nothing is in flight.
const KEPT_CAPACITY: usize = 8;

#[cfg(test)]
mod tests {
    use super::super::inflight::Run;
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    const RTT: Duration = Duration::from_millis(40);

    fn at(ms: u64) -> Instant {
        Instant::ZERO + Duration::from_millis(ms)
    }

    /// A path of 40 ms that keeps order, as far as is known.
    const CALM: Surroundings =
        Surroundings { min_rtt: Some(RTT), srtt: Some(RTT), recovering: false, sacked: 0, threshold: 3 };

    /// Segments of one byte; each burst leaves at its own time.
    struct Sender {
        rack: Rack,
        inflight: InFlight,
        nxt: Pos,
    }

    impl Sender {
        fn new(setting: u8) -> Self {
            Sender { rack: Rack::new(setting), inflight: InFlight::default(), nxt: Pos(1) }
        }

        fn send(&mut self, n: u64, now: Instant) {
            let end = self.nxt + n;
            self.inflight.push(Run::new(self.nxt, end, 1, false, now));
            self.rack.on_sent(self.nxt, end, now);
            self.nxt = end;
        }

        fn resend(&mut self, now: Instant) -> Option<i64> {
            let run = self.inflight.first_lost()?;
            self.inflight.on_retransmit(run.start, 1, now);
            self.rack.on_sent(run.start, run.start + 1, now);
            Some(run.start.0)
        }

        /// `[start, end)` is SACKed at `now`.
        fn sack(&mut self, start: i64, end: i64, s: Surroundings, now: Instant) -> Found {
            let mut delivery = Delivery::default();
            self.inflight.on_sack(Pos(start), Pos(end), &mut delivery);
            self.rack.on_delivered(&delivery, now, |_| false);
            let s = Surroundings { sacked: self.inflight.sacked(), ..s };
            self.rack.detect_loss(&mut self.inflight, &s, RetransmitCause::Rack, now)
        }
    }

    //= 8985#6.2
    #[test]
    fn what_was_overtaken_has_a_round_trip_and_a_quarter() {
        let mut t = Sender::new(1);
        t.send(1, at(0));
        t.send(1, at(1));
        let found = t.sack(2, 3, CALM, at(41));
        assert_eq!((found.lost, found.again), (0, Some(at(50))));
        let found = t.rack.detect_loss(&mut t.inflight, &CALM, RetransmitCause::ReorderingTimer, at(50));
        assert_eq!((found.lost, found.again), (1, None));
    }

    //= 8985#6.2
    #[test]
    fn the_duplicate_threshold_ends_the_wait_on_a_path_that_keeps_order() {
        let mut t = Sender::new(1);
        t.send(6, at(0));
        assert_eq!(t.sack(2, 4, CALM, at(40)), Found { lost: 0, again: Some(at(50)) });
        assert_eq!(t.sack(4, 5, CALM, at(40)), Found { lost: 1, again: None }, "of 1, 5 and 6 only 1 was overtaken");
        for (setting, reordered) in [(1, true), (5, false)] {
            let mut t = Sender::new(setting);
            t.send(6, at(0));
            if reordered {
                t.rack.on_reordering();
            }
            assert_eq!(t.sack(2, 6, CALM, at(40)).again, Some(at(50)), "tcp_recovery {setting}");
        }
    }

    //= 8985#6.2
    #[test]
    fn a_retransmission_that_is_lost_is_found_like_anything_else() {
        let mut t = Sender::new(1);
        t.send(5, at(0));
        assert_eq!(t.sack(2, 5, CALM, at(40)).lost, 1);
        assert_eq!(t.resend(at(40)), Some(1));
        t.send(1, at(41));
        let recovering = Surroundings { recovering: true, ..CALM };
        assert_eq!(t.sack(5, 6, recovering, at(42)).lost, 0, "sent before the retransmission");
        let found = t.sack(6, 7, recovering, at(81));
        assert_eq!(found, Found { lost: 1, again: None });
        assert_eq!(t.resend(at(81)), Some(1));
    }

    //= 8985#6.2
    #[test]
    fn reports_of_duplicates_widen_the_window_once_per_round_trip_and_not_for_ever() {
        let mut rack = Rack::new(1);
        rack.on_reordering();
        let window = |rack: &Rack| rack.window(&CALM).as_millis();
        assert_eq!(window(&rack), 10);
        rack.on_duplicate(Pos(1), Pos(100));
        rack.on_duplicate(Pos(50), Pos(120));
        assert_eq!(window(&rack), 20, "the same round trip");
        rack.on_duplicate(Pos(100), Pos(200));
        assert_eq!(window(&rack), 30);
        for una in [200, 300, 400, 500] {
            rack.on_duplicate(Pos(una), Pos(una + 100));
        }
        assert_eq!(window(&rack), 40, "no wider than SRTT");
        for _ in 0..15 {
            rack.on_recovery_exit();
        }
        assert_eq!(window(&rack), 40);
        rack.on_recovery_exit();
        assert_eq!(window(&rack), 10);
        let mut fixed = Rack::new(1 | 2);
        fixed.on_reordering();
        fixed.on_duplicate(Pos(1), Pos(100));
        assert_eq!(window(&fixed), 10, "tcp_recovery 2: static");
    }

    //= 8985#6.2
    #[test]
    fn in_recovery_nothing_waits_unless_reordering_was_seen() {
        let mut rack = Rack::new(1);
        let recovering = Surroundings { recovering: true, ..CALM };
        assert_eq!(rack.window(&recovering), Duration::ZERO);
        rack.on_reordering();
        assert_eq!(rack.window(&recovering), RTT / 4);
    }

    /// An acknowledgement that may be for the first copy says nothing about when the second arrived.
    //= 8985#6.2
    #[test]
    fn an_ambiguous_copy_moves_nothing() {
        let mut t = Sender::new(1);
        t.send(3, at(0));
        t.inflight.mark_all_lost(RetransmitCause::AfterTimeout);
        t.resend(at(200));
        let mut delivery = Delivery::default();
        t.inflight.ack_to(Pos(2), &mut delivery);
        t.rack.on_delivered(&delivery, at(201), |_| true);
        assert_eq!(t.rack.segment, None);
        t.rack.on_delivered(&delivery, at(240), |_| false);
        assert_eq!((t.rack.segment, t.rack.rtt), (Some(Latest { sent: at(200), end: Pos(2) }), RTT));
    }

    /// The work of an acknowledgement does not grow with the window: with thirty thousand segments in flight, each in a
    /// sending of its own, one is looked at.
    #[test]
    fn each_sending_is_looked_at_once() {
        let mut t = Sender::new(1);
        t.rack.on_reordering();
        for n in 0..30_000 {
            t.send(1, Instant::ZERO + Duration::from_micros(n));
        }
        for n in 1..4900 {
            let found = t.sack(2 * n, 2 * n + 1, CALM, at(40) + Duration::from_micros(2 * n.unsigned_abs()));
            let held = t.rack.sendings.len();
            assert!(found.again.is_some() && held >= 29_999, "the first has time left: {held}");
        }
        let found = t.rack.detect_loss(&mut t.inflight, &CALM, RetransmitCause::ReorderingTimer, at(100));
        assert_eq!((found.lost, found.again), (4899, None));
        assert!(t.rack.sendings.len() <= 30_000 - 2 * 4899 + 1, "{}", t.rack.sendings.len());
    }

    proptest! {
        /// Against the RFC's own walk over everything in flight: the same segments are held lost at the same time.
        #[test]
        fn the_queue_finds_what_a_walk_would(steps in proptest::collection::vec((0..4_u8, 1..12_i64, 1..30_u64), 1..60)) {
            let mut t = Sender::new(1);
            t.rack.on_reordering();
            let mut now = at(0);
            for (step, n, pause) in steps {
                now += Duration::from_millis(pause);
                match step {
                    0 => t.send(n.unsigned_abs(), now),
                    1 => {
                        let start = (t.nxt.0 - n).max(1);
                        t.sack(start, (start + 2).min(t.nxt.0), CALM, now);
                    }
                    2 => while t.resend(now).is_some() {},
                    _ => {
                        t.rack.detect_loss(&mut t.inflight, &CALM, RetransmitCause::ReorderingTimer, now);
                    }
                }
                if let (1 | 3, Some(segment)) = (step, t.rack.segment) {
                    let patience = t.rack.rtt + t.rack.window(&CALM);
                    let overdue = |run: &Run| (0..run.segments).any(|i| {
                        let end = run.border(i + 1);
                        (Latest { sent: run.sent, end }) < segment && run.sent + patience <= now
                    });
                    let missed: Vec<_> = t.inflight.pending().filter(|run| overdue(run)).collect();
                    prop_assert!(missed.is_empty(), "{missed:?} at {now:?}, latest {segment:?}");
                }
            }
        }
    }
}
