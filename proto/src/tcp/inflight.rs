//! What is on its way: one record per burst sent and not acknowledged.
//!
//! Sections: RFC 9293 3.4 (retransmission queue), 3.10.7.4; RFC 6298 3 (Karn); RFC 5681 2 (FlightSize).
//! In: bursts as they are sent, acknowledgements, and what is held lost.
//! Out: segments in the network (`pipe`), what to send again, and what an acknowledgement tells of the round trip.

use alloc::collections::VecDeque;

use crate::time::Instant;
use crate::wire::Pos;

/// A burst of segments that were sent together and share one fate so far. Split at a segment's border when they no longer do.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Run {
    /// Where it starts: always the first number of a segment.
    pub(super) start: Pos,
    /// The number behind its last.
    pub(super) end: Pos,
    /// Payload bytes of each segment; the last may have fewer.
    pub(super) size: u16,
    /// True if the last number is a FIN's, which rides on the last segment.
    pub(super) fin: bool,
    /// When it was last sent.
    pub(super) sent: Instant,
    /// How often it was sent again.
    pub(super) retransmits: u8,
    /// Held lost, and not yet sent again.
    pub(super) lost: bool,
}

impl Run {
    /// Payload bytes (a SYN counts as one).
    fn data(&self) -> u64 {
        self.end.since(self.start) - u64::from(self.fin)
    }

    /// How many segments it is.
    pub(super) fn segments(&self) -> u32 {
        u32::try_from(self.data().div_ceil(u64::from(self.size))).unwrap_or(u32::MAX).max(1)
    }

    /// Where the first `segments` of it end.
    pub(super) fn border(&self, segments: u32) -> Pos {
        if segments >= self.segments() { self.end } else { self.start + u64::from(segments) * u64::from(self.size) }
    }

    /// The part from its `segments`-th segment on; `self` keeps what lies before.
    fn split_off(&mut self, segments: u32) -> Run {
        let border = self.border(segments);
        let rest = Run { start: border, ..*self };
        self.end = border;
        self.fin = false;
        rest
    }
}

/// What an acknowledgement covered.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Acked {
    /// Segments that are now wholly acknowledged.
    pub(super) segments: u32,
    /// When the oldest of them was sent, if none of them was sent twice.
    pub(super) sent: Option<Instant>,
    /// True if one of them was sent more than once, so that nobody can tell which copy was acknowledged (Karn).
    pub(super) ambiguous: bool,
}

/// All runs in flight, in order, without gaps, from the segment that holds SND.UNA up to SND.NXT.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct InFlight {
    runs: VecDeque<Run>,
    /// Segments in `runs`.
    segments: u32,
    /// Of those, held lost.
    lost: u32,
}

impl InFlight {
    /// A burst goes out for the first time.
    pub(super) fn push(&mut self, run: Run) {
        debug_assert!(self.runs.back().is_none_or(|last| last.end == run.start), "runs leave no gap");
        self.segments += run.segments();
        self.lost += if run.lost { run.segments() } else { 0 };
        self.runs.push_back(run);
    }

    /// Everything before `una` is acknowledged. A segment leaves when it is acknowledged whole.
    pub(super) fn ack_to(&mut self, una: Pos) -> Acked {
        let mut acked = Acked::default();
        while let Some(run) = self.runs.front_mut() {
            if run.start >= una {
                break;
            }
            let whole = if run.end <= una {
                run.segments()
            } else {
                let whole = una.since(run.start) / u64::from(run.size);
                // The last segment of a run with FIN is whole only when the FIN is acknowledged too.
                u32::try_from(whole).unwrap_or(u32::MAX).min(run.segments() - 1)
            };
            if whole == 0 {
                break;
            }
            acked.segments += whole;
            match run.retransmits {
                0 if acked.sent.is_none() => acked.sent = Some(run.sent),
                0 => {}
                _ => acked.ambiguous = true,
            }
            self.segments -= whole;
            self.lost -= if run.lost { whole } else { 0 };
            if run.end <= una {
                self.runs.pop_front();
            } else {
                *run = run.split_off(whole);
                break;
            }
        }
        if self.runs.is_empty() && self.runs.capacity() > KEPT_CAPACITY {
            self.runs = VecDeque::new();
        }
        //= 9293/MUST-18
        //= 6298#3
        if acked.ambiguous {
            acked.sent = None;
        }
        acked
    }

    /// Everything is held lost: the retransmission timer ran out.
    pub(super) fn mark_all_lost(&mut self) {
        for run in &mut self.runs {
            run.lost = true;
        }
        self.lost = self.segments;
    }

    /// The first segment is held lost.
    pub(super) fn mark_head_lost(&mut self) {
        let Some(head) = self.runs.front_mut() else { return };
        if head.lost {
            return;
        }
        if head.segments() > 1 {
            let rest = head.split_off(1);
            self.runs.insert(1, rest);
        }
        self.runs[0].lost = true;
        self.lost += 1;
    }

    /// The first run that is held lost.
    pub(super) fn first_lost(&self) -> Option<Run> {
        if self.lost == 0 { None } else { self.runs.iter().find(|run| run.lost).copied() }
    }

    /// The first `segments` of the lost run that starts at `start` go out again.
    pub(super) fn on_retransmit(&mut self, start: Pos, segments: u32, now: Instant) {
        let Some(at) = self.runs.iter().position(|run| run.start == start && run.lost) else { return };
        let run = &mut self.runs[at];
        let rest = (segments < run.segments()).then(|| run.split_off(segments));
        run.lost = false;
        run.retransmits = run.retransmits.saturating_add(1);
        run.sent = now;
        self.lost -= run.segments();
        if let Some(rest) = rest {
            self.runs.insert(at + 1, rest);
        }
    }

    /// The lost run that starts at `start` falls in two at `at`, wherever that is: the peer's window ends there, so
    /// its segments must.
    pub(super) fn split_lost(&mut self, start: Pos, at: Pos) {
        let Some(index) = self.runs.iter().position(|run| run.start == start && run.lost) else { return };
        let run = &mut self.runs[index];
        if at <= run.start || run.end <= at {
            return;
        }
        let rest = Run { start: at, ..*run };
        let before = run.segments();
        run.end = at;
        run.fin = false;
        let after = run.segments() + rest.segments();
        self.runs.insert(index + 1, rest);
        self.segments = self.segments - before + after;
        self.lost = self.lost - before + after;
    }

    /// The oldest run.
    pub(super) fn head(&self) -> Option<&Run> {
        self.runs.front()
    }

    /// Segments sent and not acknowledged.
    pub(super) fn segments(&self) -> u32 {
        self.segments
    }

    /// Segments held lost.
    pub(super) fn lost(&self) -> u32 {
        self.lost
    }

    /// Segments that are still in the network, as far as anyone can tell.
    pub(super) fn pipe(&self) -> u32 {
        self.segments - self.lost
    }

    /// Every run, in order.
    pub(super) fn runs(&self) -> impl Iterator<Item = &Run> {
        self.runs.iter()
    }
}

/// Room for so many runs is kept when nothing is in flight, so that request and response do not allocate each time.
const KEPT_CAPACITY: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    fn run(start: i64, end: i64, size: u16) -> Run {
        Run { start: Pos(start), end: Pos(end), size, fin: false, sent: Instant::ZERO, retransmits: 0, lost: false }
    }

    fn at(nanos: u64) -> Instant {
        Instant::from_nanos(nanos)
    }

    #[test]
    fn a_partly_acknowledged_segment_counts_until_it_is_acknowledged_whole() {
        let mut inflight = InFlight::default();
        inflight.push(run(1, 351, 100));
        assert_eq!(inflight.segments(), 4);
        assert_eq!(inflight.ack_to(Pos(51)).segments, 0);
        assert_eq!(inflight.ack_to(Pos(101)).segments, 1);
        assert_eq!(inflight.ack_to(Pos(250)).segments, 1);
        assert_eq!(inflight.head().map(|run| run.start), Some(Pos(201)));
        assert_eq!(inflight.ack_to(Pos(351)).segments, 2);
        assert_eq!(inflight.segments(), 0);
    }

    #[test]
    fn a_fin_rides_on_the_last_segment_and_stands_alone_behind_none() {
        let mut inflight = InFlight::default();
        inflight.push(Run { fin: true, ..run(1, 202, 100) });
        assert_eq!(inflight.segments(), 2);
        assert_eq!(inflight.ack_to(Pos(201)).segments, 1, "the FIN is not acknowledged yet");
        assert_eq!(inflight.ack_to(Pos(202)).segments, 1);
        inflight.push(Run { fin: true, ..run(202, 203, 100) });
        assert_eq!(inflight.segments(), 1);
    }

    //= 9293/MUST-18
    //= 6298#3
    #[test]
    fn no_round_trip_is_taken_from_what_was_sent_twice() {
        let mut inflight = InFlight::default();
        inflight.push(Run { sent: at(5), ..run(1, 101, 100) });
        inflight.push(Run { sent: at(7), ..run(101, 301, 100) });
        inflight.mark_head_lost();
        inflight.on_retransmit(Pos(1), 1, at(9));
        let acked = inflight.ack_to(Pos(201));
        assert_eq!((acked.segments, acked.sent, acked.ambiguous), (2, None, true));
        assert_eq!(inflight.ack_to(Pos(301)).sent, Some(at(7)));
    }

    #[test]
    fn a_retransmission_splits_the_run_and_takes_the_mark_off() {
        let mut inflight = InFlight::default();
        inflight.push(run(1, 501, 100));
        inflight.mark_all_lost();
        assert_eq!(inflight.pipe(), 0);
        inflight.on_retransmit(Pos(1), 2, at(3));
        assert_eq!((inflight.pipe(), inflight.lost()), (2, 3));
        assert_eq!(inflight.first_lost().map(|run| (run.start, run.retransmits)), Some((Pos(201), 0)));
        inflight.mark_head_lost();
        assert_eq!((inflight.pipe(), inflight.lost()), (1, 4));
        assert_eq!(inflight.first_lost().map(|run| (run.end, run.retransmits)), Some((Pos(101), 1)));
    }

    proptest! {
        /// Whatever happens, the runs stay ordered and without gaps, and the counts are those of the runs.
        #[test]
        fn counts_are_those_of_the_runs(steps in proptest::collection::vec((0_u8..6, 1_u16..400, 1_u32..6), 1..80)) {
            let mut inflight = InFlight::default();
            let (mut una, mut nxt) = (Pos(1), Pos(1));
            for (step, n, segments) in steps {
                match step {
                    0 | 1 => {
                        inflight.push(Run { start: nxt, end: nxt + u64::from(n), ..run(0, 0, 100) });
                        nxt += u64::from(n);
                    }
                    2 => {
                        una = nxt.min(una + u64::from(n));
                        inflight.ack_to(una);
                    }
                    3 => inflight.mark_head_lost(),
                    4 if n < 100 => {
                        if let Some(lost) = inflight.first_lost() {
                            inflight.split_lost(lost.start, lost.start.max(una) + u64::from(n));
                        }
                    }
                    _ => {
                        if n > 300 {
                            inflight.mark_all_lost();
                        }
                        if let Some(lost) = inflight.first_lost() {
                            inflight.on_retransmit(lost.start, segments, Instant::ZERO);
                        }
                    }
                }
                let runs: Vec<Run> = inflight.runs().copied().collect();
                prop_assert!(runs.windows(2).all(|pair| pair[0].end == pair[1].start));
                prop_assert_eq!(runs.iter().map(Run::segments).sum::<u32>(), inflight.segments());
                prop_assert_eq!(runs.iter().filter(|run| run.lost).map(Run::segments).sum::<u32>(), inflight.lost());
                prop_assert!(runs.first().is_none_or(|run| run.start <= una && una < run.end));
                prop_assert_eq!(runs.last().map_or(nxt, |run| run.end), nxt);
            }
        }
    }
}
