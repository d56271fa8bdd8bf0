//! Protection against wrapped sequence numbers: which timestamps are too old, and which one to remember.
//!
//! Sections: RFC 7323 4.3 and 5.
//! In: the timestamp of each arriving segment.
//! Out: whether it is acceptable; TS.Recent, which our segments echo.

use super::DropReason;
use crate::time::{Duration, Instant};
use crate::wire::Pos;

/// TS.Recent of one connection whose sides both use timestamps.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Paws {
    ts_recent: u32,
    /// When TS.Recent was last taken from a segment.
    taken: Instant,
}

impl Paws {
    /// The peer's SYN carried `tsval`.
    pub const fn new(tsval: u32, now: Instant) -> Self {
        Paws { ts_recent: tsval, taken: now }
    }

    /// The timestamp to echo.
    pub const fn ts_recent(&self) -> u32 {
        self.ts_recent
    }

    /// Refuses a segment that was sent before one that has already arrived. A RST is never refused for its age.
    pub fn check_paws(&self, tsval: u32, is_rst: bool, now: Instant) -> Result<(), DropReason> {
        //= 7323#5.2
        let exempt = is_rst;
        //= 7323#5.3
        if exempt || !self.is_older(tsval) || self.is_outdated(now) { Ok(()) } else { Err(DropReason::Paws) }
    }

    /// Remembers the timestamp of an acceptable segment that starts at `seq`, if that is no later than what we last
    /// acknowledged: the oldest segment that the next acknowledgement will cover is the one to echo.
    pub fn on_segment(&mut self, tsval: u32, seq: Pos, last_ack_sent: Pos, now: Instant) {
        //= 7323#4.3
        if seq <= last_ack_sent && (!self.is_older(tsval) || self.is_outdated(now)) {
            *self = Paws::new(tsval, now);
        }
    }

    fn is_older(&self, tsval: u32) -> bool {
        tsval.wrapping_sub(self.ts_recent).cast_signed() < 0
    }

    /// After so long a silence the peer's clock may have gone halfway round, and TS.Recent proves nothing any more.
    fn is_outdated(&self, now: Instant) -> bool {
        //= 7323#5.5
        now.since(self.taken) > OUTDATED
    }
}

/// RFC 7323 5.5: 24 days; a clock of 1 ms, the fastest allowed, changes its sign bit in 24.8.
const OUTDATED: Duration = Duration::from_secs(24 * 86_400);

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Instant = Instant::from_nanos(5_000_000_000);

    fn after_days(days: u64) -> Instant {
        NOW + Duration::from_secs(days * 86_400)
    }

    /// TS.Recent, SEG.TSval, and whether the segment is acceptable.
    #[test]
    fn older_timestamps_are_refused_by_the_shorter_way_round() {
        //= 7323#5.2
        //= 7323#5.3
        for (recent, tsval, acceptable) in [
            (100, 100, true),
            (100, 101, true),
            (100, 99, false),
            (0, u32::MAX, false),
            (u32::MAX, 0, true),
            (0, 0x7fff_ffff, true),
            (0, 0x8000_0000, false),
            (0x8000_0000, 0, false),
            (0x8000_0001, 0, true),
        ] {
            let paws = Paws::new(recent, NOW);
            let expected = if acceptable { Ok(()) } else { Err(DropReason::Paws) };
            assert_eq!(paws.check_paws(tsval, false, NOW), expected, "{tsval} after {recent}");
            assert_eq!(paws.check_paws(tsval, true, NOW), Ok(()), "a RST with {tsval} after {recent}");
        }
    }

    #[test]
    fn after_24_days_any_timestamp_is_good() {
        //= 7323#5.5
        let mut paws = Paws::new(100, NOW);
        assert_eq!(paws.check_paws(99, false, after_days(24)), Err(DropReason::Paws));
        assert_eq!(paws.check_paws(99, false, after_days(25)), Ok(()));
        paws.on_segment(99, Pos(1), Pos(1), after_days(24));
        assert_eq!(paws.ts_recent(), 100);
        paws.on_segment(99, Pos(1), Pos(1), after_days(25));
        assert_eq!((paws.ts_recent(), paws.check_paws(98, false, after_days(26))), (99, Err(DropReason::Paws)));
    }

    /// SEG.TSval, SEG.SEQ (Last.ACK.sent is 500), and TS.Recent afterwards.
    #[test]
    fn the_oldest_segment_that_waits_for_its_acknowledgement_is_echoed() {
        //= 7323#4.3
        let mut paws = Paws::new(100, NOW);
        for (tsval, seq, recent) in [
            (110, 500, 110),
            // The next segment in line, the acknowledgement still delayed: the first one's timestamp stays.
            (120, 600, 110),
            // Out of order, beyond a gap.
            (130, 900, 110),
            // It overlaps what we last acknowledged.
            (140, 450, 140),
            (140, 500, 140),
            // Older than TS.Recent: only a check that failed to refuse it would come here.
            (135, 500, 140),
        ] {
            paws.on_segment(tsval, Pos(seq), Pos(500), NOW);
            assert_eq!(paws.ts_recent(), recent, "TSval {tsval} at {seq}");
        }
    }
}
