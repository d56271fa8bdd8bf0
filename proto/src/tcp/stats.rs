//! What a connection counts: never read by a rule, and therefore left out of equality and hashing.
//!
//! Sections: RFC 9293 3.9.1.6 (STATUS); the kernel's `struct tcp_info` and `tcp_chrono`.
//! In: segments as they come and go; what holds the sender back.
//! Out: totals.

use core::hash::{Hash, Hasher};

use crate::time::{Duration, Instant};

/// Counters of one connection.
#[derive(Clone, Debug, Default)]
pub(super) struct Stats {
    pub(super) total_retrans: u64,
    pub(super) bytes_retrans: u64,
    pub(super) bytes_sent: u64,
    pub(super) bytes_acked: u64,
    pub(super) bytes_received: u64,
    pub(super) segs_out: u64,
    pub(super) segs_in: u64,
    pub(super) data_segs_out: u64,
    pub(super) data_segs_in: u64,
    /// Segments that came out of order.
    pub(super) rcv_ooopack: u32,
    /// Segments that arrived at the peer, as far as we know.
    pub(super) delivered: u32,
    /// Retransmission timeouts, and how often they began.
    pub(super) total_rto: u16,
    pub(super) total_rto_recoveries: u16,
    /// Time from each first timeout until all that it held lost was acknowledged.
    total_rto_time: Duration,
    /// The first of the timeouts that go on.
    timeouts_since: Option<Instant>,
    /// When data last came, and an acknowledgement.
    pub(super) last_data_recv: Option<Instant>,
    pub(super) last_ack_recv: Option<Instant>,
    pub(super) limits: Chronograph,
}

impl Stats {
    /// The retransmission timer ran out.
    pub(super) fn on_timeout(&mut self, now: Instant) {
        self.total_rto = self.total_rto.saturating_add(1);
        if self.timeouts_since.is_none() {
            self.timeouts_since = Some(now);
            self.total_rto_recoveries = self.total_rto_recoveries.saturating_add(1);
        }
    }

    /// What the timeouts held lost is acknowledged.
    pub(super) fn end_timeouts(&mut self, now: Instant) {
        if let Some(since) = self.timeouts_since.take() {
            self.total_rto_time += now.since(since);
        }
    }

    /// Time in timeouts until `now`, those that go on included.
    pub(super) fn rto_time(&self, now: Instant) -> Duration {
        self.total_rto_time + self.timeouts_since.map_or(Duration::ZERO, |since| now.since(since))
    }
}

/// Two connections that would act alike are equal, whatever they have counted.
impl PartialEq for Stats {
    fn eq(&self, _: &Stats) -> bool {
        true
    }
}

impl Eq for Stats {}

impl Hash for Stats {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

/// What keeps a sender that has work from sending more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Limit {
    /// Nothing to send, nothing outstanding.
    Idle,
    /// The application: all that it wrote is on its way.
    Application,
    /// The peer's window.
    Window,
    /// Our send buffer: the application would write more.
    SendBuffer,
    /// The congestion window.
    Congestion,
}

/// How long each limit held.
#[derive(Clone, Debug)]
pub(super) struct Chronograph {
    current: Limit,
    since: Instant,
    busy: Duration,
    window: Duration,
    send_buffer: Duration,
    congestion: Duration,
}

impl Default for Chronograph {
    fn default() -> Self {
        let none = Duration::ZERO;
        let (current, since) = (Limit::Idle, Instant::ZERO);
        Chronograph { current, since, busy: none, window: none, send_buffer: none, congestion: none }
    }
}

impl Chronograph {
    /// From `now` on, this holds the sender back.
    pub(super) fn switch(&mut self, limit: Limit, now: Instant) {
        if limit != self.current {
            *self = self.at(now);
            self.current = limit;
        }
    }

    /// The totals at `now`.
    pub(super) fn at(&self, now: Instant) -> Chronograph {
        let mut sum = self.clone();
        let passed = now.since(self.since);
        sum.since = now.max(self.since);
        match self.current {
            Limit::Idle => return sum,
            Limit::Application => {}
            Limit::Window => sum.window += passed,
            Limit::SendBuffer => sum.send_buffer += passed,
            Limit::Congestion => sum.congestion += passed,
        }
        sum.busy += passed;
        sum
    }

    /// Time with data outstanding or waiting; and of that, limited by the peer's window, our send buffer, and the
    /// congestion window.
    pub(super) fn totals(&self) -> [Duration; 4] {
        [self.busy, self.window, self.send_buffer, self.congestion]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_moment_of_work_is_charged_to_one_limit() {
        let at = |ms| Instant::ZERO + Duration::from_millis(ms);
        let mut watch = Chronograph::default();
        for (ms, limit) in [
            (5, Limit::Application),
            (10, Limit::Window),
            (30, Limit::Congestion),
            (60, Limit::Idle),
            (90, Limit::SendBuffer),
        ] {
            watch.switch(limit, at(ms));
        }
        let ms = |totals: [Duration; 4]| totals.map(Duration::as_millis);
        assert_eq!(ms(watch.totals()), [55, 20, 0, 30]);
        assert_eq!(ms(watch.at(at(100)).totals()), [65, 20, 10, 30]);
    }
}
