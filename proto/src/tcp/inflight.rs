//! What is on its way: one record per burst sent and not acknowledged, marked with what became of it.
//!
//! Sections: RFC 9293 3.4 (retransmission queue), 3.10.7.4; RFC 2018 5 and RFC 6675 3 (scoreboard); RFC 6298 3 (Karn);
//! RFC 8985 5.1 (per-segment send times).
//! In: bursts as they are sent, acknowledgements, and what is held lost.
//! Out: segments in the network (`pipe`), what to send again, and what was delivered.

use alloc::vec::Vec;

use super::RetransmitCause;
use super::rate::{Lost, Rate, RateSample, RateSampler, Sent};
use super::runs::{Place, Runs};
use crate::time::{Duration, Instant};
use crate::wire::Pos;

/// A burst of segments that were sent together and share one fate so far. Split at a segment's border when they no
/// longer do; SACKed neighbours are joined again.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Run {
    /// Where it starts: always the first number of a segment.
    pub(super) start: Pos,
    /// The number behind its last.
    pub(super) end: Pos,
    /// When it was last sent.
    pub(super) sent: Instant,
    /// What was known of the path's rate then.
    pub(super) tx: Sent,
    /// How many segments it is.
    pub(super) segments: u32,
    /// Payload bytes of each segment; the last may have fewer. Of joined runs, the largest.
    pub(super) size: u16,
    /// True if the last number is a FIN's, which rides on the last segment.
    pub(super) fin: bool,
    /// How often it was sent again.
    pub(super) retransmits: u8,
    /// What became of it.
    pub(super) mark: Mark,
    /// The rule that held it lost, if one did.
    pub(super) why: RetransmitCause,
}

/// What became of a run, as far as anyone can tell.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Mark {
    /// On its way.
    #[default]
    Sent,
    /// The peer holds it, beyond a gap (RFC 2018). It may still change its mind.
    Sacked,
    /// Held lost, and not yet sent again.
    Lost,
    /// Held lost, and on its way again.
    Resent,
}

impl Run {
    /// A burst that goes out for the first time: `[start, end)` in segments of `size`, a FIN at the end or not.
    pub(super) fn new(start: Pos, end: Pos, size: u16, fin: bool, sent: Instant) -> Self {
        let size = size.max(1);
        let (tx, mark, why) = (Sent::default(), Mark::Sent, UNTOLD);
        let mut run = Run { start, end, sent, tx, segments: 0, size, fin, retransmits: 0, mark, why };
        run.recount();
        run
    }

    /// Where the first `segments` of it end.
    pub(super) fn border(&self, segments: u32) -> Pos {
        if segments >= self.segments { self.end } else { self.start + u64::from(segments) * u64::from(self.size) }
    }

    /// How many whole segments of it lie before `pos`.
    fn whole_before(&self, pos: Pos) -> u32 {
        if pos >= self.end {
            return self.segments;
        }
        // The last segment, short or with a FIN, is whole only with the end of the run.
        let whole = pos.since(self.start) / u64::from(self.size);
        u32::try_from(whole).unwrap_or(u32::MAX).min(self.segments - 1)
    }

    /// How many segments of it are touched by what lies before `pos`.
    fn touched_before(&self, pos: Pos) -> u32 {
        if pos >= self.end {
            return self.segments;
        }
        let touched = pos.since(self.start).div_ceil(u64::from(self.size));
        u32::try_from(touched).unwrap_or(u32::MAX).min(self.segments)
    }

    /// The part from its `segments`-th segment on; `self` keeps what lies before. `segments` is neither none nor all.
    fn split_off(&mut self, segments: u32) -> Run {
        let border = self.border(segments);
        let rest = Run { start: border, segments: self.segments - segments, ..*self };
        self.end = border;
        self.segments = segments;
        self.fin = false;
        rest
    }

    /// Segments as they would be cut now: a SYN counts as a byte, a FIN alone as a segment.
    fn recount(&mut self) {
        let data = self.end.since(self.start) - u64::from(self.fin);
        self.segments = u32::try_from(data.div_ceil(u64::from(self.size))).unwrap_or(u32::MAX).max(1);
    }
}

/// What one acknowledgement told: what it covered for the first time, by number or by SACK.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Delivery {
    /// Segments that are now wholly acknowledged by number.
    pub acked: u32,
    /// Segments that are now SACKed.
    pub sacked: u32,
    /// Segments that the peer now holds and was not known to hold before: RFC 9937's DeliveredData.
    pub delivered: u32,
    /// When the oldest segment acknowledged by number was sent, if none of them was sent twice.
    pub oldest: Option<Instant>,
    /// When the newest of them was sent.
    pub newest: Option<Instant>,
    /// When the oldest segment newly SACKed was sent, of those sent only once.
    pub sacked_oldest: Option<Instant>,
    /// When the newest of them was sent.
    pub sacked_newest: Option<Instant>,
    /// A segment acknowledged by number was sent more than once, so that nobody can tell which copy arrived (Karn).
    pub ambiguous: bool,
    /// When a segment acknowledged by number was last sent again, if one was.
    pub resent: Option<Instant>,
    /// Of the segments delivered that were sent once, the one that was sent last.
    pub latest: Option<Latest>,
    /// Of the segments delivered that were sent more than once, the one that was sent last.
    pub latest_resent: Option<Latest>,
    /// Where the lowest segment newly delivered that was sent only once starts.
    pub lowest: Option<Pos>,
    /// When the one that was sent last was, and what it remembers of the path's rate.
    pub newest_tx: Option<(Instant, Sent)>,
}

/// The most recently sent segment that an acknowledgement covers (RFC 8985 6.2, step 2).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Latest {
    /// When it was last sent.
    pub sent: Instant,
    /// The number behind its last.
    pub end: Pos,
}

impl Delivery {
    /// `run` or a part of it has arrived.
    fn count(&mut self, run: &Run) {
        self.delivered += run.segments;
        if self.newest_tx.is_none_or(|(newest, _)| newest <= run.sent) {
            self.newest_tx = Some((run.sent, run.tx));
        }
        let latest = Some(Latest { sent: run.sent, end: run.end });
        if run.retransmits > 0 {
            self.latest_resent = self.latest_resent.max(latest);
        } else {
            self.latest = self.latest.max(latest);
            self.lowest = Some(self.lowest.map_or(run.start, |lowest| lowest.min(run.start)));
        }
    }

    fn count_acked(&mut self, run: &Run) {
        self.acked += run.segments;
        if run.retransmits > 0 {
            self.ambiguous = true;
            self.resent = self.resent.max(Some(run.sent));
        } else if run.mark != Mark::Sacked {
            self.oldest = self.oldest.or(Some(run.sent));
            self.newest = Some(run.sent);
        }
        if run.mark != Mark::Sacked {
            self.count(run);
        }
    }

    fn count_sacked(&mut self, run: &Run) {
        self.sacked += run.segments;
        if run.retransmits == 0 {
            self.sacked_oldest = self.sacked_oldest.or(Some(run.sent));
            self.sacked_newest = self.sacked_newest.max(Some(run.sent));
        }
        self.count(run);
    }
}

/// All runs in flight, in order, without gaps, from the segment that holds SND.UNA up to SND.NXT.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct InFlight {
    runs: Runs,
    /// Segments in `runs`, and how many of them bear each mark.
    segments: u32,
    sacked: u32,
    lost: u32,
    resent: u32,
    /// Nothing before it is held lost and not sent again.
    lost_from: Pos,
    /// Behind the last position that was SACKed since something was.
    highest_sacked: Option<Pos>,
    /// What all of it tells of the path's rate.
    rate: RateSampler,
    /// What was held lost since the controller was last told.
    losses: Vec<Lost>,
}

impl InFlight {
    /// A burst goes out for the first time.
    pub(super) fn push(&mut self, mut run: Run) {
        debug_assert!(self.runs.back().is_none_or(|last| last.end == run.start), "runs leave no gap");
        run.tx = self.rate.on_sent(run.segments, self.pipe(), run.sent);
        self.segments += run.segments;
        self.runs.push_back(run);
    }

    /// Everything before `una` is acknowledged. A segment leaves when it is acknowledged whole.
    pub(super) fn ack_to(&mut self, una: Pos, delivery: &mut Delivery) {
        while let Some(run) = self.runs.front_mut() {
            if run.start >= una {
                break;
            }
            let whole = run.whole_before(una);
            if whole == 0 {
                break;
            }
            let gone = if whole == run.segments {
                self.runs.pop_front().expect("just seen")
            } else {
                // Joined runs may have had segments of several sizes; but no number of an honest peer's falls among
                // what it has SACKed, and whatever a liar's does, all the segments are counted in the end.
                let rest = run.split_off(whole);
                core::mem::replace(run, rest)
            };
            self.segments -= gone.segments;
            self.uncount(gone.mark, gone.segments);
            delivery.count_acked(&gone);
        }
        if self.sacked == 0 {
            self.highest_sacked = None;
        }
        //= 9293/MUST-18
        //= 6298#3
        if delivery.ambiguous {
            (delivery.oldest, delivery.newest) = (None, None);
        }
    }

    /// The peer reports that it holds `[start, end)`, which lies between SND.UNA and SND.NXT. A segment counts when it
    /// is held whole.
    pub(super) fn on_sack(&mut self, start: Pos, end: Pos, delivery: &mut Delivery) {
        let Some(mut place) = self.runs.find(start) else { return };
        while let Some(&run) = self.runs.get(place) {
            if run.start >= end {
                break;
            }
            if run.mark != Mark::Sacked {
                let before = if start > run.start { run.touched_before(start) } else { 0 };
                let upto = run.whole_before(end);
                if before < upto {
                    place = self.cut(place, before, upto);
                    self.mark_sacked(place, delivery);
                    place = self.join_sacked(place);
                }
            }
            let Some(next) = self.runs.next(place) else { break };
            place = next;
        }
    }

    /// Where the highest SACKed segment ends, if any is.
    pub(super) fn highest_sacked(&self) -> Option<Pos> {
        self.highest_sacked
    }

    /// The peer does not hold what it reported after all: nothing is SACKed any more, and all of that counts as sent.
    pub(super) fn forget_sacks(&mut self) {
        //= 2018#8
        for run in self.runs.iter_mut().filter(|run| run.mark == Mark::Sacked) {
            let before = run.segments;
            run.mark = Mark::Sent;
            // Joined runs may have had segments of several sizes; what goes again is cut anew.
            run.recount();
            self.segments = self.segments - before + run.segments;
        }
        self.sacked = 0;
        self.highest_sacked = None;
    }

    /// Everything that is on its way and not SACKED is held lost, if `lost` says so of it and it is not the first.
    pub(super) fn mark_lost_where(&mut self, why: RetransmitCause, mut lost: impl FnMut(&Run) -> bool) -> u32 {
        let mut newly = 0;
        for run in self.runs.iter_mut() {
            if matches!(run.mark, Mark::Sent | Mark::Resent) && lost(run) {
                self.resent -= if run.mark == Mark::Resent { run.segments } else { 0 };
                self.losses.push(self.rate.on_lost(run.segments, &run.tx));
                run.mark = Mark::Lost;
                run.why = why;
                self.lost += run.segments;
                newly += run.segments;
            }
        }
        self.lost_from = self.runs.front().map_or(Pos::SYN, |run| run.start);
        newly
    }

    /// Everything but what is SACKed is held lost.
    pub(super) fn mark_all_lost(&mut self, why: RetransmitCause) -> u32 {
        self.mark_lost_where(why, |_| true)
    }

    /// What is on its way within `[start, end)`, which begins and ends at segments' borders and was last sent at `sent`,
    /// is held lost. Returns how many segments that are.
    pub(super) fn mark_lost(&mut self, start: Pos, end: Pos, sent: Instant, why: RetransmitCause) -> u32 {
        let mut lost = 0;
        let mut at = self.runs.find(start);
        while let Some(place) = at {
            let Some(run) = self.runs.get_mut(place).filter(|run| run.start < end) else { break };
            if matches!(run.mark, Mark::Sent | Mark::Resent) && run.sent == sent {
                let (segments, from) = (run.segments, run.start);
                let resent = run.mark == Mark::Resent;
                self.losses.push(self.rate.on_lost(segments, &run.tx));
                run.mark = Mark::Lost;
                run.why = why;
                self.resent -= if resent { segments } else { 0 };
                self.lost += segments;
                self.lost_from = self.lost_from.min(from);
                lost += segments;
            }
            at = self.runs.next(place);
        }
        lost
    }

    /// The first segment that is not SACKed is held lost. True if it was not before.
    pub(super) fn mark_head_lost(&mut self, why: RetransmitCause) -> bool {
        let Some(place) = self.runs.first() else { return false };
        let Some(&head) = self.runs.get(place) else { return false };
        if !matches!(head.mark, Mark::Sent | Mark::Resent) {
            return false;
        }
        let place = self.cut(place, 0, 1);
        self.losses.push(self.rate.on_lost(1, &head.tx));
        self.set_mark(place, Mark::Lost);
        if let Some(head) = self.runs.get_mut(place) {
            head.why = why;
        }
        self.lost_from = head.start;
        true
    }

    /// Nothing is held lost any more: what was held lost is on its way, wherever its first copy may be.
    pub(super) fn forget_losses(&mut self) {
        for run in self.runs.iter_mut().filter(|run| matches!(run.mark, Mark::Lost | Mark::Resent)) {
            run.mark = Mark::Sent;
        }
        (self.lost, self.resent) = (0, 0);
    }

    /// The first run that is held lost.
    pub(super) fn first_lost(&mut self) -> Option<Run> {
        if self.lost == 0 {
            return None;
        }
        let first = self.runs.front()?.start;
        let mut at = self.runs.find(self.lost_from.max(first));
        while let Some(place) = at {
            let run = self.runs.get(place)?;
            if run.mark == Mark::Lost {
                self.lost_from = run.start;
                return Some(*run);
            }
            at = self.runs.next(place);
        }
        None
    }

    /// The first `segments` of the run that starts at `start` go out again.
    pub(super) fn on_retransmit(&mut self, start: Pos, segments: u32, now: Instant) {
        let Some(place) = self.runs.find(start) else { return };
        let place = self.cut(place, 0, segments);
        if self.runs.get(place).is_some_and(|run| run.mark == Mark::Lost) {
            self.set_mark(place, Mark::Resent);
        }
        let pipe = self.pipe().saturating_sub(segments);
        let Some(run) = self.runs.get_mut(place) else { return };
        run.retransmits = run.retransmits.saturating_add(1);
        run.sent = now;
        run.tx = self.rate.on_sent(segments, pipe, now);
    }

    /// The lost run that starts at `start` falls in two at `at`, wherever that is: the peer's window ends there, so
    /// its segments must.
    pub(super) fn split_lost(&mut self, start: Pos, at: Pos) {
        let Some(place) = self.runs.find(start) else { return };
        let Some(run) = self.runs.get_mut(place) else { return };
        if at <= run.start || run.end <= at || run.mark != Mark::Lost {
            return;
        }
        let mut rest = Run { start: at, ..*run };
        rest.recount();
        let before = run.segments;
        run.end = at;
        run.fin = false;
        run.recount();
        let after = run.segments + rest.segments;
        self.runs.insert_behind(place, rest);
        self.segments = self.segments - before + after;
        self.lost = self.lost - before + after;
    }

    /// The lost run that starts at `start` is cut into segments of `size` from here on: the path carries no larger ones.
    pub(super) fn recut_lost(&mut self, start: Pos, size: u16) {
        let Some(run) = self.runs.find(start).and_then(|place| self.runs.get_mut(place)) else { return };
        if run.mark != Mark::Lost || run.size <= size {
            return;
        }
        let before = run.segments;
        run.size = size.max(1);
        run.recount();
        self.segments = self.segments - before + run.segments;
        self.lost = self.lost - before + run.segments;
    }

    /// The largest segment on its way or held lost.
    pub(super) fn largest(&self) -> u16 {
        self.runs.iter().filter(|run| run.mark != Mark::Sacked).map(|run| run.size).max().unwrap_or(0)
    }

    /// The last segment that is not SACKed, as a run of its own.
    pub(super) fn last_unsacked(&self) -> Option<Run> {
        let last = self.runs.back()?;
        if last.mark == Mark::Sacked {
            return None;
        }
        let start = last.border(last.segments - 1);
        Some(Run { start, segments: 1, ..*last })
    }

    /// The segment that starts at `start` goes out again although it is not held lost.
    pub(super) fn on_probe(&mut self, start: Pos, now: Instant) {
        let Some(place) = self.runs.find(start) else { return };
        let Some(run) = self.runs.get(place) else { return };
        let before = run.whole_before(start);
        let place = self.cut(place, before, before + 1);
        let pipe = self.pipe();
        if let Some(run) = self.runs.get_mut(place) {
            run.retransmits = run.retransmits.saturating_add(1);
            run.sent = now;
            run.tx = self.rate.on_sent(1, pipe, now);
        }
    }

    /// What an acknowledgement that delivered this tells of the path's rate. Once per acknowledgement.
    pub(super) fn take_rate_sample(&mut self, told: &Delivery, min_rtt: Option<Duration>, now: Instant) -> RateSample {
        self.rate.on_delivered(told.delivered, told.newest_tx, min_rtt, now)
    }

    /// There was room to send, and nothing to send.
    pub(super) fn mark_app_limited(&mut self) {
        self.rate.mark_app_limited(self.pipe());
    }

    /// What was held lost since this was last called.
    pub(super) fn take_losses(&mut self) -> impl Iterator<Item = Lost> + '_ {
        self.losses.drain(..)
    }

    /// Segments of data delivered in all.
    pub(super) fn delivered(&self) -> u64 {
        self.rate.delivered()
    }

    /// The last rate that the path has shown, and whether the application limited it.
    pub(super) fn delivery_rate(&self) -> Option<(Rate, bool)> {
        self.rate.delivery_rate()
    }

    /// True while the sender starts after a gap that the application left.
    pub(super) fn is_app_limited(&self) -> bool {
        self.rate.is_app_limited()
    }

    /// The oldest run.
    pub(super) fn head(&self) -> Option<&Run> {
        self.runs.front()
    }

    /// The first run behind `start` and before `end` that is on its way and was last sent at `sent`.
    pub(super) fn first_sent_at(&self, sent: Instant, start: Pos, end: Pos) -> Option<Run> {
        let mut at = self.runs.find(start.max(self.runs.front()?.start));
        while let Some(place) = at {
            let run = self.runs.get(place).filter(|run| run.start < end)?;
            if run.sent == sent && matches!(run.mark, Mark::Sent | Mark::Resent) {
                return Some(*run);
            }
            at = self.runs.next(place);
        }
        None
    }

    /// Segments sent and not acknowledged by number.
    pub(super) fn segments(&self) -> u32 {
        self.segments
    }

    /// Of those, segments SACKed.
    pub(super) fn sacked(&self) -> u32 {
        self.sacked
    }

    /// Segments held lost and not sent again.
    pub(super) fn lost(&self) -> u32 {
        self.lost
    }

    /// Segments held lost and sent again.
    pub(super) fn resent(&self) -> u32 {
        self.resent
    }

    /// Segments that are still in the network, as far as anyone can tell.
    pub(super) fn pipe(&self) -> u32 {
        //= 6675#4
        self.segments - self.lost - self.sacked
    }

    /// Every run that is on its way, for the first time or again.
    pub(super) fn pending(&self) -> impl Iterator<Item = &Run> {
        self.runs.iter().filter(|run| matches!(run.mark, Mark::Sent | Mark::Resent))
    }

    /// Every run, in order.
    pub(super) fn runs(&self) -> impl Iterator<Item = &Run> {
        self.runs.iter()
    }

    /// What the records cost in bytes of memory.
    pub(super) fn memory(&self) -> usize {
        self.runs.memory()
    }

    /// Cuts the run at `place` so that its segments from `from` up to `upto` are one run, and returns where that lies.
    fn cut(&mut self, mut place: Place, from: u32, upto: u32) -> Place {
        let Some(run) = self.runs.get_mut(place) else { return place };
        let rest = (upto < run.segments).then(|| run.split_off(upto));
        let middle = (from > 0).then(|| run.split_off(from));
        if let Some(rest) = rest {
            self.runs.insert_behind(place, rest);
        }
        if let Some(middle) = middle {
            place = self.runs.insert_behind(place, middle);
        }
        place
    }

    fn mark_sacked(&mut self, place: Place, delivery: &mut Delivery) {
        let Some(&run) = self.runs.get(place) else { return };
        delivery.count_sacked(&run);
        self.set_mark(place, Mark::Sacked);
        self.highest_sacked = self.highest_sacked.max(Some(run.end));
    }

    /// Joins the SACKed run at `place` with SACKed neighbours, so that the list stays as short as the peer's own.
    fn join_sacked(&mut self, mut place: Place) -> Place {
        if let Some(prev) = self.runs.prev(place)
            && self.runs.get(prev).is_some_and(|run| run.mark == Mark::Sacked)
        {
            self.join_with_next(prev);
            place = prev;
        }
        if let Some(next) = self.runs.next(place)
            && self.runs.get(next).is_some_and(|run| run.mark == Mark::Sacked)
        {
            self.join_with_next(place);
        }
        place
    }

    fn join_with_next(&mut self, place: Place) {
        let Some(&next) = self.runs.next(place).and_then(|next| self.runs.get(next)) else { return };
        let Some(run) = self.runs.get_mut(place) else { return };
        *run = Run {
            end: next.end,
            segments: run.segments + next.segments,
            size: run.size.max(next.size),
            fin: next.fin,
            sent: run.sent.max(next.sent),
            retransmits: run.retransmits.max(next.retransmits),
            ..*run
        };
        self.runs.remove_behind(place);
    }

    fn set_mark(&mut self, place: Place, mark: Mark) {
        let Some(run) = self.runs.get_mut(place) else { return };
        let (before, segments) = (core::mem::replace(&mut run.mark, mark), run.segments);
        self.uncount(before, segments);
        match mark {
            Mark::Sent => {}
            Mark::Sacked => self.sacked += segments,
            Mark::Lost => self.lost += segments,
            Mark::Resent => self.resent += segments,
        }
    }

    fn uncount(&mut self, mark: Mark, segments: u32) {
        match mark {
            Mark::Sent => {}
            Mark::Sacked => self.sacked -= segments,
            Mark::Lost => self.lost -= segments,
            Mark::Resent => self.resent -= segments,
        }
    }
}

/// What is lost and was told by nobody in particular goes again as after a timeout.
const UNTOLD: RetransmitCause = RetransmitCause::AfterTimeout;

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    fn run(start: i64, end: i64, size: u16) -> Run {
        Run::new(Pos(start), Pos(end), size, false, Instant::ZERO)
    }

    fn at(nanos: u64) -> Instant {
        Instant::from_nanos(nanos)
    }

    fn ack(inflight: &mut InFlight, una: i64) -> Delivery {
        let mut delivery = Delivery::default();
        inflight.ack_to(Pos(una), &mut delivery);
        delivery
    }

    fn sack(inflight: &mut InFlight, start: i64, end: i64) -> Delivery {
        let mut delivery = Delivery::default();
        inflight.on_sack(Pos(start), Pos(end), &mut delivery);
        delivery
    }

    fn runs(inflight: &InFlight) -> Vec<(i64, i64, Mark)> {
        inflight.runs().map(|run| (run.start.0, run.end.0, run.mark)).collect()
    }

    #[test]
    fn a_partly_acknowledged_segment_counts_until_it_is_acknowledged_whole() {
        let mut inflight = InFlight::default();
        inflight.push(run(1, 351, 100));
        assert_eq!(inflight.segments(), 4);
        assert_eq!(ack(&mut inflight, 51).acked, 0);
        assert_eq!(ack(&mut inflight, 101).acked, 1);
        assert_eq!(ack(&mut inflight, 250).acked, 1);
        assert_eq!(inflight.head().map(|run| run.start), Some(Pos(201)));
        assert_eq!(ack(&mut inflight, 351).acked, 2);
        assert_eq!(inflight.segments(), 0);
    }

    #[test]
    fn a_fin_rides_on_the_last_segment_and_stands_alone_behind_none() {
        let mut inflight = InFlight::default();
        inflight.push(Run::new(Pos(1), Pos(202), 100, true, at(0)));
        assert_eq!(inflight.segments(), 2);
        assert_eq!(ack(&mut inflight, 201).acked, 1, "the FIN is not acknowledged yet");
        assert_eq!(ack(&mut inflight, 202).acked, 1);
        inflight.push(Run::new(Pos(202), Pos(203), 100, true, at(0)));
        assert_eq!(inflight.segments(), 1);
    }

    //= 9293/MUST-18
    //= 6298#3
    #[test]
    fn no_round_trip_is_taken_from_what_was_sent_twice() {
        let mut inflight = InFlight::default();
        inflight.push(Run { sent: at(5), ..run(1, 101, 100) });
        inflight.push(Run { sent: at(7), ..run(101, 301, 100) });
        inflight.mark_head_lost(UNTOLD);
        inflight.on_retransmit(Pos(1), 1, at(9));
        let acked = ack(&mut inflight, 201);
        assert_eq!((acked.acked, acked.oldest, acked.newest, acked.ambiguous), (2, None, None, true));
        assert_eq!(ack(&mut inflight, 301).oldest, Some(at(7)));
    }

    #[test]
    fn a_retransmission_splits_the_run_and_takes_the_mark_off() {
        let mut inflight = InFlight::default();
        inflight.push(run(1, 501, 100));
        inflight.mark_all_lost(UNTOLD);
        assert_eq!(inflight.pipe(), 0);
        inflight.on_retransmit(Pos(1), 2, at(3));
        assert_eq!((inflight.pipe(), inflight.lost(), inflight.resent()), (2, 3, 2));
        assert_eq!(inflight.first_lost().map(|run| (run.start, run.retransmits)), Some((Pos(201), 0)));
        inflight.mark_head_lost(UNTOLD);
        assert_eq!((inflight.pipe(), inflight.lost()), (1, 4));
        assert_eq!(inflight.first_lost().map(|run| (run.end, run.retransmits)), Some((Pos(101), 1)));
    }

    /// RFC 2018 5: marks on the queue of what is in flight; a segment of which the peer reports a part is not held.
    #[test]
    fn a_sacked_segment_is_marked_and_its_neighbours_join_it() {
        use Mark::{Sacked, Sent};
        let mut inflight = InFlight::default();
        inflight.push(run(1, 1001, 100));
        inflight.push(Run { sent: at(4), ..run(1001, 1051, 100) });
        let news = sack(&mut inflight, 251, 499);
        assert_eq!((news.sacked, news.delivered, news.lowest), (1, 1, Some(Pos(301))));
        assert_eq!(runs(&inflight), [(1, 301, Sent), (301, 401, Sacked), (401, 1001, Sent), (1001, 1051, Sent)]);
        assert_eq!(sack(&mut inflight, 401, 601).sacked, 2);
        assert_eq!(runs(&inflight), [(1, 301, Sent), (301, 601, Sacked), (601, 1001, Sent), (1001, 1051, Sent)]);
        let news = sack(&mut inflight, 301, 1051);
        assert_eq!((news.sacked, news.sacked_oldest, news.sacked_newest), (5, Some(at(0)), Some(at(4))));
        assert_eq!(news.latest, Some(Latest { sent: at(4), end: Pos(1051) }));
        assert_eq!(runs(&inflight), [(1, 301, Sent), (301, 1051, Sacked)]);
        assert_eq!((inflight.sacked(), inflight.pipe(), inflight.segments()), (8, 3, 11));
        assert_eq!(sack(&mut inflight, 301, 1051), Delivery::default(), "old news");
        let news = ack(&mut inflight, 1051);
        assert_eq!((news.acked, news.delivered), (11, 3));
        assert_eq!((inflight.sacked(), inflight.highest_sacked()), (0, None));
    }

    //= 2018#8
    #[test]
    fn what_was_reported_and_taken_back_counts_as_sent_again() {
        let mut inflight = InFlight::default();
        inflight.push(run(1, 251, 100));
        inflight.push(run(251, 501, 100));
        sack(&mut inflight, 101, 501);
        assert_eq!((inflight.segments(), inflight.sacked()), (6, 5));
        inflight.forget_sacks();
        assert_eq!((inflight.segments(), inflight.sacked(), inflight.pipe()), (5, 0, 5), "cut anew");
        assert_eq!(inflight.highest_sacked(), None);
    }

    #[test]
    fn the_last_segment_can_be_sent_again_alone() {
        let mut inflight = InFlight::default();
        inflight.push(run(1, 351, 100));
        let last = inflight.last_unsacked().expect("in flight");
        assert_eq!((last.start, last.end, last.segments), (Pos(301), Pos(351), 1));
        inflight.on_probe(last.start, at(9));
        assert_eq!((inflight.pipe(), inflight.lost(), inflight.runs().count()), (4, 0, 2));
        let news = sack(&mut inflight, 301, 351);
        assert_eq!((news.latest, news.latest_resent), (None, Some(Latest { sent: at(9), end: Pos(351) })));
        assert_eq!(inflight.last_unsacked(), None);
    }

    /// A peer that reports every second segment of a large window makes each report cost a constant number of moves.
    #[test]
    fn a_window_of_thirty_thousand_segments_lies_in_small_chunks() {
        let mut inflight = InFlight::default();
        for n in 0..30_000 {
            inflight.push(run(1 + n * 100, 101 + n * 100, 100));
        }
        for n in (0..30_000).rev().step_by(2) {
            assert_eq!(sack(&mut inflight, 1 + n * 100, 101 + n * 100).sacked, 1);
        }
        assert_eq!((inflight.sacked(), inflight.pipe(), inflight.runs().count()), (15_000, 15_000, 30_000));
        assert!(inflight.memory() <= 30_000 * 80, "{}", inflight.memory());
        assert_eq!(sack(&mut inflight, 1, 3_000_001).sacked, 15_000);
        assert_eq!(inflight.runs().count(), 1);
        assert_eq!(ack(&mut inflight, 3_000_001).delivered, 0);
        assert_eq!(inflight.memory(), 0, "a connection with nothing in flight holds no large list");
    }

    /// What the model knows of each segment: its end, its mark, and whether the peer's number has passed it.
    #[derive(Clone, Debug)]
    struct Model {
        segments: Vec<(Pos, Pos, Mark)>,
    }

    impl Model {
        fn count(&self, mark: Mark) -> u32 {
            self.segments.iter().filter(|segment| segment.2 == mark).count() as u32
        }
    }

    proptest! {
        /// Whatever happens, the runs stay ordered and without gaps, and every segment has the mark that a list of
        /// single segments would give it (I-14).
        #[test]
        fn runs_say_what_single_segments_would(steps in proptest::collection::vec((0_u8..9, 1_u16..400, 1_u32..6), 1..120)) {
            let mut inflight = InFlight::default();
            let mut model = Model { segments: Vec::new() };
            let (mut una, mut nxt) = (Pos(1), Pos(1));
            for (step, n, segments) in steps {
                match step {
                    0 | 1 => {
                        let burst = Run::new(nxt, nxt + u64::from(n), 100, false, Instant::ZERO);
                        for i in 0..burst.segments {
                            model.segments.push((burst.border(i), burst.border(i + 1), Mark::Sent));
                        }
                        inflight.push(burst);
                        nxt += u64::from(n);
                    }
                    2 => {
                        una = nxt.min(una + u64::from(n));
                        // What the peer holds beyond a gap joins what it acknowledges when the gap is filled.
                        for segment in model.segments.iter().filter(|segment| segment.2 == Mark::Sacked) {
                            una = if segment.0 <= una { una.max(segment.1) } else { una };
                        }
                        let gone = model.segments.iter().take_while(|segment| segment.1 <= una).count();
                        let fresh = model.segments.drain(..gone).filter(|segment| segment.2 != Mark::Sacked).count();
                        let news = ack(&mut inflight, una.0);
                        prop_assert_eq!((news.acked as usize, news.delivered as usize), (gone, fresh));
                    }
                    3 => {
                        let head = model.segments.first_mut().filter(|head| matches!(head.2, Mark::Sent | Mark::Resent));
                        prop_assert_eq!(inflight.mark_head_lost(UNTOLD), head.is_some());
                        if let Some(head) = head {
                            head.2 = Mark::Lost;
                        }
                    }
                    4..=6 => {
                        let start = una + u64::from(n) * u64::from(segments - 1);
                        let end = nxt.min(start + u64::from(n));
                        if start < end {
                            let news = sack(&mut inflight, start.0, end.0);
                            let mut fresh = 0;
                            for segment in &mut model.segments {
                                if start <= segment.0 && segment.1 <= end && segment.2 != Mark::Sacked {
                                    segment.2 = Mark::Sacked;
                                    fresh += 1;
                                }
                            }
                            prop_assert_eq!((news.sacked, news.delivered), (fresh, fresh));
                        }
                    }
                    _ => {
                        if n > 300 {
                            inflight.mark_all_lost(UNTOLD);
                            for segment in &mut model.segments {
                                segment.2 = if segment.2 == Mark::Sacked { Mark::Sacked } else { Mark::Lost };
                            }
                        }
                        let lost = model.segments.iter().position(|segment| segment.2 == Mark::Lost);
                        let first = inflight.first_lost();
                        prop_assert_eq!(first.map(|run| run.start), lost.map(|lost| model.segments[lost].0));
                        if let (Some(first), Some(lost)) = (first, lost) {
                            let segments = segments.min(first.segments);
                            inflight.on_retransmit(first.start, segments, Instant::ZERO);
                            for segment in &mut model.segments[lost..][..segments as usize] {
                                segment.2 = Mark::Resent;
                            }
                        }
                    }
                }
                let runs: Vec<Run> = inflight.runs().copied().collect();
                prop_assert!(runs.windows(2).all(|pair| pair[0].end == pair[1].start));
                prop_assert_eq!(runs.iter().map(|run| run.segments).sum::<u32>(), inflight.segments());
                prop_assert_eq!(inflight.segments() as usize, model.segments.len());
                for segment in &model.segments {
                    let run = runs.iter().find(|run| run.start <= segment.0 && segment.1 <= run.end);
                    prop_assert_eq!(run.map(|run| run.mark), Some(segment.2));
                }
                let counts = (inflight.sacked(), inflight.lost(), inflight.resent());
                let model = (model.count(Mark::Sacked), model.count(Mark::Lost), model.count(Mark::Resent));
                prop_assert_eq!(counts, model);
                prop_assert!(runs.first().is_none_or(|run| run.start <= una && una < run.end));
                prop_assert_eq!(runs.last().map_or(nxt, |run| run.end), nxt);
            }
        }
    }
}
