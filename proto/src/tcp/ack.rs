//! When the receiver acknowledges: at once, with every second segment, or after a short wait for company.
//!
//! Sections: RFC 9293 3.8.6.3 (SHLD-18, SHLD-19, MUST-40), RFC 5681 4.2.
//! In: what arrived, what was sent.
//! Out: whether a bare acknowledgement is due, why, and when the wait for company ends.

use super::AckCause;
use super::config::Config;
use super::recvq::Inserted;
use crate::time::{Duration, Instant};

/// The acknowledgement that one connection owes.
///
/// Quick-ACK mode: the first segments are acknowledged one by one, because a sender in slow start lives on
/// acknowledgements. It ends when its count is used up, or when the application answers what it receives: then
/// acknowledgements can ride on the answers.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct AckPolicy {
    delay: Duration,
    quick_acks: u8,
    /// Acknowledgements left in quick-ACK mode.
    quick: u8,
    /// Data is answered by data.
    interactive: bool,
    /// Full-sized segments since the last acknowledgement.
    full_sized: u32,
    /// Out-of-order segments that have not had the acknowledgement that each of them deserves.
    duplicates: u16,
    /// One is due now.
    due: Option<AckCause>,
    /// One is due then.
    deadline: Option<Instant>,
    /// When data last arrived.
    last_data: Option<Instant>,
}

impl AckPolicy {
    /// Nothing is owed, and the first segments will be acknowledged at once.
    pub fn new(cfg: &Config) -> Self {
        //= 9293/MUST-40
        AckPolicy {
            delay: cfg.delayed_ack.min(LONGEST_DELAY),
            quick_acks: cfg.quick_acks,
            quick: cfg.quick_acks,
            interactive: false,
            full_sized: 0,
            duplicates: 0,
            due: None,
            deadline: None,
            last_data: None,
        }
    }

    /// Payload arrived: `segments` of them merged into one, `full_sized` if the peer's segments get no longer.
    pub fn on_data(&mut self, segments: u16, full_sized: bool, inserted: &Inserted, now: Instant) {
        self.last_data = Some(now);
        //= 5681#4.2
        let trouble = if inserted.out_of_order {
            self.duplicates = self.duplicates.saturating_add(segments);
            Some(AckCause::OutOfOrder)
        } else if inserted.filled_gap {
            Some(AckCause::GapFilled)
        } else if inserted.duplicate.is_some() {
            Some(AckCause::Duplicate)
        } else {
            None
        };
        if let Some(cause) = trouble {
            self.due = Some(cause);
            if !inserted.out_of_order {
                self.duplicates = 0;
            }
            self.enter_quick_mode();
            return;
        }
        if full_sized {
            self.full_sized = self.full_sized.saturating_add(u32::from(segments));
        }
        if self.is_quick() {
            self.demand(AckCause::Quick);
        } else if self.full_sized >= FULL_SIZED_PER_ACK {
            //= 9293/SHLD-19
            self.demand(AckCause::EverySecond);
        } else {
            self.delay(now);
        }
    }

    /// The peer's FIN arrived in order, behind its data if the segment had any; `closed` if our own side is closed, so
    /// that no FIN of ours can carry the acknowledgement.
    pub fn on_fin(&mut self, closed: bool, now: Instant) {
        if closed || self.last_data.is_none() || self.is_quick() {
            self.demand(AckCause::Fin);
        } else {
            // A close that follows soon makes this acknowledgement and our FIN one segment.
            self.delay(now);
        }
    }

    /// How long an acknowledgement may wait for company.
    pub const fn delay_time(&self) -> Duration {
        self.delay
    }

    /// Something else asks for an acknowledgement at once.
    pub fn demand(&mut self, cause: AckCause) {
        self.due.get_or_insert(cause);
    }

    /// We sent data. Soon after data arrived, that was an answer.
    pub fn on_data_sent(&mut self, now: Instant) {
        // Like Linux: an answer within the time that an acknowledgement may wait.
        if self.last_data.is_some_and(|arrived| now.since(arrived) <= self.delay) {
            self.interactive = true;
        }
    }

    /// A segment with ACK went out: every segment of a synchronized connection but RST.
    pub fn on_ack_sent(&mut self) {
        //= 9293/MUST-58
        if self.is_pending() {
            self.quick = self.quick.saturating_sub(1);
        }
        self.full_sized = 0;
        self.deadline = None;
        self.duplicates = self.duplicates.saturating_sub(1);
        // The peer's fast retransmit counts its segments' duplicates; one for all of them would tell it nothing.
        //= 5681#4.2
        self.due = (self.duplicates > 0).then_some(AckCause::OutOfOrder);
    }

    /// Why a bare acknowledgement is to go out now, if one is.
    pub fn due(&self, now: Instant) -> Option<AckCause> {
        let delayed = || self.deadline.filter(|deadline| *deadline <= now).map(|_| AckCause::Delayed);
        self.due.or_else(delayed)
    }

    /// When [`due`](Self::due) will say so if nothing is sent until then; nothing if it does already.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline.filter(|_| self.due.is_none())
    }

    /// True if something that arrived is not acknowledged yet.
    pub const fn is_pending(&self) -> bool {
        self.due.is_some() || self.deadline.is_some()
    }

    /// TCP_QUICKACK: on brings quick-ACK mode back, and what is owed goes out now; off makes acknowledgements wait for
    /// company. Neither lasts: what arrives and what is sent decides again.
    pub fn set_quick(&mut self, on: bool) {
        if on {
            self.enter_quick_mode();
            if self.deadline.is_some() {
                self.demand(AckCause::Quick);
            }
        } else {
            self.interactive = true;
        }
    }

    /// True while data is not answered by data: TCP_QUICKACK as it is read back.
    pub const fn is_eager(&self) -> bool {
        !self.interactive
    }

    fn is_quick(&self) -> bool {
        self.quick > 0 && !self.interactive
    }

    /// Like Linux: after loss the sender starts slowly again, and lives on acknowledgements again.
    fn enter_quick_mode(&mut self) {
        self.quick = self.quick_acks;
        self.interactive = false;
    }

    fn delay(&mut self, now: Instant) {
        //= 9293/SHLD-18
        self.deadline.get_or_insert(now + self.delay);
    }
}

/// MUST-40: an acknowledgement waits less than half a second, whatever the settings say.
const LONGEST_DELAY: Duration = Duration::from_millis(499);

/// SHLD-19.
const FULL_SIZED_PER_ACK: u32 = 2;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Pos;
    use proptest::prelude::*;

    const IN_ORDER: Inserted =
        Inserted { new_bytes: 1, advanced: 1, duplicate: None, filled_gap: false, out_of_order: false, refused: false };
    const OUT_OF_ORDER: Inserted = Inserted { advanced: 0, out_of_order: true, ..IN_ORDER };
    const GAP_FILLED: Inserted = Inserted { filled_gap: true, ..IN_ORDER };
    const DUPLICATE: Inserted = Inserted { new_bytes: 0, advanced: 0, duplicate: Some((Pos(1), Pos(2))), ..IN_ORDER };

    fn at(millis: u64) -> Instant {
        Instant::ZERO + Duration::from_millis(millis)
    }

    fn quick() -> AckPolicy {
        AckPolicy::new(&Config::default())
    }

    /// A connection on which a request was answered at `at(0)`.
    fn interactive() -> AckPolicy {
        let mut acks = quick();
        acks.on_data(1, false, &IN_ORDER, at(0));
        acks.on_ack_sent();
        acks.on_data_sent(at(0));
        acks.on_ack_sent();
        acks
    }

    #[test]
    fn the_first_segments_are_acknowledged_at_once() {
        let mut acks = quick();
        for n in 0..16 {
            acks.on_data(1, false, &IN_ORDER, at(n));
            assert_eq!((acks.due(at(n)), acks.deadline()), (Some(AckCause::Quick), None));
            acks.on_ack_sent();
            assert_eq!((acks.due(at(n)), acks.is_pending()), (None, false));
        }
        acks.on_data(1, false, &IN_ORDER, at(20));
        assert_eq!((acks.due(at(20)), acks.deadline()), (None, Some(at(60))));
    }

    #[test]
    fn then_every_second_full_sized_segment_is() {
        //= 9293/SHLD-19
        let mut acks = interactive();
        for n in 1..50 {
            acks.on_data(1, true, &IN_ORDER, at(n));
            assert_eq!(acks.due(at(n)), None);
            acks.on_data(1, true, &IN_ORDER, at(n));
            assert_eq!(acks.due(at(n)), Some(AckCause::EverySecond));
            acks.on_ack_sent();
        }
        acks.on_data(5, true, &IN_ORDER, at(60));
        assert_eq!(acks.due(at(60)), Some(AckCause::EverySecond), "segments count, not frames");
    }

    #[test]
    fn a_lone_segment_waits_for_company_and_no_longer() {
        //= 9293/SHLD-18
        //= 9293/MUST-40
        let mut acks = interactive();
        acks.on_data(1, true, &IN_ORDER, at(100));
        acks.on_data(1, false, &IN_ORDER, at(120));
        assert_eq!((acks.due(at(139)), acks.deadline()), (None, Some(at(140))));
        assert_eq!(acks.due(at(140)), Some(AckCause::Delayed));
        acks.on_ack_sent();
        assert_eq!((acks.due(at(200)), acks.deadline()), (None, None));
        let slow = AckPolicy::new(&Config { delayed_ack: Duration::from_secs(9), quick_acks: 0, ..Config::default() });
        assert!(slow.delay < Duration::from_millis(500));
    }

    #[test]
    fn trouble_is_told_at_once_and_brings_quick_mode_back() {
        //= 5681#4.2
        for (inserted, cause) in [
            (OUT_OF_ORDER, AckCause::OutOfOrder),
            (GAP_FILLED, AckCause::GapFilled),
            (DUPLICATE, AckCause::Duplicate),
            (Inserted { refused: true, new_bytes: 0, ..OUT_OF_ORDER }, AckCause::OutOfOrder),
        ] {
            let mut acks = interactive();
            acks.on_data(1, true, &inserted, at(100));
            assert_eq!(acks.due(at(100)), Some(cause));
            acks.on_ack_sent();
            acks.on_data(1, true, &IN_ORDER, at(101));
            assert_eq!(acks.due(at(101)), Some(AckCause::Quick));
        }
    }

    #[test]
    fn each_segment_out_of_order_has_its_own_acknowledgement() {
        //= 5681#4.2
        let mut acks = interactive();
        acks.on_data(2, true, &OUT_OF_ORDER, at(1));
        acks.on_data(1, true, &OUT_OF_ORDER, at(1));
        for _ in 0..3 {
            assert_eq!(acks.due(at(1)), Some(AckCause::OutOfOrder));
            acks.on_ack_sent();
        }
        assert_eq!(acks.due(at(1)), None);
        acks.on_data(9, true, &OUT_OF_ORDER, at(2));
        acks.on_data(1, true, &GAP_FILLED, at(2));
        assert_eq!(acks.due(at(2)), Some(AckCause::GapFilled));
        acks.on_ack_sent();
        assert_eq!(acks.due(at(2)), None, "news makes the duplicates pointless");
    }

    /// The article's release: request, response, FIN, and a close that follows within 40 ms or does not.
    #[test]
    fn a_fin_waits_where_our_own_may_follow() {
        let fin = |mut acks: AckPolicy, closed| {
            acks.on_fin(closed, at(100));
            (acks.due(at(100)), acks.deadline())
        };
        let at_once = (Some(AckCause::Fin), None);
        assert_eq!(fin(quick(), false), at_once, "no data ever came");
        assert_eq!(fin(interactive(), false), (None, Some(at(140))), "the article's server");
        assert_eq!(fin(interactive(), true), at_once, "our FIN is gone: nothing to wait for");
        let mut receiving = quick();
        receiving.on_data(1, true, &IN_ORDER, at(99));
        receiving.on_ack_sent();
        assert_eq!(fin(receiving, false), at_once, "quick-ACK mode");
        let no_quick = AckPolicy::new(&Config { quick_acks: 0, ..Config::default() });
        assert_eq!(fin(no_quick, false), at_once, "no data, whatever the mode");
    }

    #[test]
    fn only_a_prompt_answer_makes_a_connection_interactive() {
        let mut late = quick();
        late.on_data(1, false, &IN_ORDER, at(0));
        late.on_ack_sent();
        late.on_data_sent(at(41));
        late.on_data(1, false, &IN_ORDER, at(50));
        assert_eq!(late.due(at(50)), Some(AckCause::Quick));
        let mut asking = quick();
        asking.on_data_sent(at(0));
        asking.on_data(1, false, &IN_ORDER, at(1));
        assert_eq!(asking.due(at(1)), Some(AckCause::Quick), "a question is no answer");
    }

    #[test]
    fn what_is_demanded_goes_first_and_data_carries_everything() {
        //= 9293/MUST-58
        let mut acks = interactive();
        acks.on_data(1, true, &IN_ORDER, at(1));
        acks.demand(AckCause::WindowUpdate);
        acks.demand(AckCause::ProbeAnswer);
        assert_eq!((acks.due(at(1)), acks.deadline()), (Some(AckCause::WindowUpdate), None));
        acks.on_data_sent(at(1));
        acks.on_ack_sent();
        assert!(!acks.is_pending());
    }

    proptest! {
        /// I-21: nothing waits as long as half a second, and no two full-sized segments wait at all.
        #[test]
        fn nothing_is_kept_waiting(events in proptest::collection::vec((0..7_u8, 1..4_u16, any::<bool>(), 0..100_u64), 1..100)) {
            let mut acks = quick();
            let (mut now, mut waiting, mut full) = (at(0), None::<Instant>, 0);
            for (event, segments, full_sized, pause) in events {
                now += Duration::from_millis(pause);
                // The owner wakes at the deadline.
                if acks.deadline().is_some_and(|deadline| deadline <= now) {
                    prop_assert!(acks.deadline().unwrap().since(waiting.unwrap()) < Duration::from_millis(500));
                    acks.on_ack_sent();
                    (waiting, full) = (None, 0);
                }
                let inserted = [IN_ORDER, IN_ORDER, IN_ORDER, OUT_OF_ORDER, GAP_FILLED, DUPLICATE].get(usize::from(event));
                match inserted {
                    Some(inserted) => {
                        acks.on_data(segments, full_sized, inserted, now);
                        full += if full_sized { segments } else { 0 };
                    }
                    None => acks.on_fin(full_sized, now),
                }
                waiting = waiting.or(Some(now));
                prop_assert!(acks.is_pending());
                prop_assert!(full < 2 || acks.due(now).is_some());
                while acks.due(now).is_some() {
                    acks.on_ack_sent();
                    (waiting, full) = (None, 0);
                }
            }
        }
    }
}
