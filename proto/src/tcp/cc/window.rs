//! What Reno and CUBIC have in common: a window, its threshold, and what happens to them whatever the growth.
//!
//! Sections: RFC 5681 3.1 and 4.1; RFC 6582 3.2; RFC 6928 2; RFC 4015 (the response to a spurious loss).
//! In: segments acknowledged in slow start, losses, idle times.
//! Out: cwnd and ssthresh, in segments.

use crate::time::Duration;

/// A congestion window and its threshold, segments.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Window {
    cwnd: u32,
    ssthresh: u32,
    initial: u32,
    /// Both as they were before the last loss, while that may still turn out to have been none.
    before: Option<(u32, u32)>,
}

impl Window {
    pub(super) fn new(initial: u32) -> Self {
        let initial = initial.clamp(1, MAX_WINDOW);
        //= 6928#2
        Window { cwnd: initial, ssthresh: u32::MAX, initial, before: None }
    }

    /// A window that another controller has found.
    pub(super) fn inherited(cwnd: u32, ssthresh: u32, initial: u32) -> Self {
        Window { cwnd: cwnd.clamp(1, MAX_WINDOW), ssthresh: ssthresh.max(LEAST_THRESHOLD), ..Window::new(initial) }
    }

    pub(super) const fn cwnd(&self) -> u32 {
        self.cwnd
    }

    pub(super) const fn ssthresh(&self) -> u32 {
        self.ssthresh
    }

    pub(super) const fn in_slow_start(&self) -> bool {
        self.cwnd < self.ssthresh
    }

    /// One segment more for each of `acked`, up to the threshold; what is left of them.
    pub(super) fn slow_start(&mut self, acked: u32) -> u32 {
        // DEVIATES: 5681#3.1: growth per acknowledgement is not held to one segment. Like Linux: receivers that merge
        // segments acknowledge many with one, and what counts is how much was delivered.
        //= 9293/MUST-19
        let used = acked.min(self.ssthresh.saturating_sub(self.cwnd));
        self.grow(used);
        acked - used
    }

    pub(super) fn grow(&mut self, segments: u32) {
        self.cwnd = self.cwnd.saturating_add(segments).min(MAX_WINDOW);
    }

    /// Slow start ends here, without a loss.
    pub(super) fn leave_slow_start(&mut self) {
        self.ssthresh = self.cwnd.max(LEAST_THRESHOLD);
    }

    /// A loss: both come down to `ssthresh`.
    pub(super) fn reduce(&mut self, ssthresh: u32) {
        self.before = Some((self.cwnd, self.ssthresh));
        self.ssthresh = ssthresh.max(LEAST_THRESHOLD);
        self.cwnd = self.ssthresh;
    }

    /// A timeout: the threshold comes down to `ssthresh`, and slow start begins anew.
    pub(super) fn on_timeout(&mut self, ssthresh: u32) {
        //= 5681#3.1
        // In the middle of fast recovery it belongs to the same episode.
        self.before.get_or_insert((self.cwnd, self.ssthresh));
        self.ssthresh = ssthresh.max(LEAST_THRESHOLD);
        self.on_repeated_timeout();
    }

    pub(super) fn on_repeated_timeout(&mut self) {
        //= 5681#3.1
        self.cwnd = LOSS_WINDOW;
    }

    pub(super) fn on_recovery_exit(&mut self, in_flight: u32) {
        // The first of the RFC's two ways: the window opens no further than one segment beyond what is in flight, so
        // that the end of recovery lets no burst out.
        //= 6582#3.2
        self.cwnd = self.ssthresh.min(in_flight.max(1).saturating_add(1));
    }

    /// Nothing was lost after all: what the loss took is given back, and what was gained since is kept.
    pub(super) fn undo(&mut self) {
        //= 4015#3.3
        if let Some((cwnd, ssthresh)) = self.before.take() {
            self.cwnd = self.cwnd.max(cwnd);
            self.ssthresh = self.ssthresh.max(ssthresh);
        }
    }

    /// Nothing was sent for `idle`, longer than `rto`.
    pub(super) fn on_idle(&mut self, idle: Duration, rto: Duration) {
        self.keep_as_threshold();
        // Like Linux: one halving for each RTO begun after the first, not all at once as the RFC has it.
        //= 5681#4.1
        let restart = self.initial.min(self.cwnd);
        let halvings = u32::try_from((idle.as_nanos() - 1) / rto.as_nanos().max(1)).unwrap_or(u32::MAX);
        self.cwnd = self.cwnd.checked_shr(halvings).unwrap_or(0).max(restart);
    }

    /// What was known of the path is kept as the threshold. Like Linux: three quarters of the window.
    fn keep_as_threshold(&mut self) {
        self.ssthresh = self.ssthresh.max(self.cwnd / 2 + self.cwnd / 4);
    }

    /// Everything up to the recovery point is acknowledged: the losses were losses, and nothing will be given back.
    pub(super) fn on_repaired(&mut self) {
        self.before = None;
    }
}

/// RFC 5681 3.1: the loss window.
const LOSS_WINDOW: u32 = 1;

/// RFC 5681 equation 4.
pub(super) const LEAST_THRESHOLD: u32 = 2;

/// More segments than the largest scaled window of 2^30 bytes holds at the smallest segment size in use on any link of
/// today, with room: 2^24.
pub(super) const MAX_WINDOW: u32 = 1 << 24;
