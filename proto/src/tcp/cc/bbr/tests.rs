//! BBR on a modelled path: one bottleneck with a queue, a fixed delay, and losses where the test wants them.

use alloc::collections::VecDeque;

use super::super::{Cc, CcKind, Sample};
use super::*;
use crate::tcp::Config;
use crate::tcp::rate::{RateSampler, Sent};
use crate::wire::Pos;

/// A sender that always has data, on a path of `per_second` segments.
struct Path {
    cc: Cc,
    sampler: RateSampler,
    now: Instant,
    next_send: Instant,
    free_at: Instant,
    service: Duration,
    delay: Duration,
    queue: u32,
    /// One in so many segments vanishes; 0 for none.
    lose: u32,
    count: u32,
    flying: VecDeque<(Instant, Instant, Sent, bool)>,
    delivered: u32,
    dropped: u32,
}

impl Path {
    fn new(per_second: u64, rtt_ms: u64, queue: u32, lose: u32) -> Self {
        let cc = Cc::new(&Config { congestion: CcKind::Bbr, ..Config::default() }, 10);
        Path {
            cc,
            sampler: RateSampler::default(),
            now: Instant::ZERO,
            next_send: Instant::ZERO,
            free_at: Instant::ZERO,
            service: Duration::from_nanos(1_000_000_000 / per_second),
            delay: Duration::from_millis(rtt_ms),
            queue,
            lose,
            count: 0,
            flying: VecDeque::new(),
            delivered: 0,
            dropped: 0,
        }
    }

    fn in_flight(&self) -> u32 {
        self.flying.len() as u32
    }

    fn bbr(&self) -> &Bbr {
        match &self.cc {
            Cc::Bbr(bbr) => bbr,
            _ => unreachable!("the test made it so"),
        }
    }

    fn send(&mut self) {
        self.count += 1;
        let sent = self.sampler.on_sent(1, self.in_flight(), self.now);
        let waiting = self.free_at.since(self.now).as_nanos() / self.service.as_nanos();
        let full = waiting >= u64::from(self.queue);
        let lost = full || (self.lose > 0 && self.count.is_multiple_of(self.lose));
        if !full {
            self.free_at = self.free_at.max(self.now) + self.service;
        }
        self.flying.push_back((self.free_at.max(self.now) + self.delay, self.now, sent, lost));
    }

    /// The first in flight arrives, or is missed when its turn comes.
    fn arrive(&mut self) {
        let Some((at, then, sent, lost)) = self.flying.pop_front() else { return };
        self.now = self.now.max(at);
        if lost {
            self.dropped += 1;
            let lost = self.sampler.on_lost(1, &sent);
            self.cc.on_lost(&lost, self.now);
            return;
        }
        self.delivered += 1;
        let rate = self.sampler.on_delivered(1, Some((then, sent)), None, self.now);
        let rtt = self.now.since(then);
        let in_flight = self.in_flight();
        let sample = Sample {
            rate,
            pipe: in_flight,
            cwnd_limited: in_flight + 1 >= self.cc.cwnd(),
            rtt: Some(rtt),
            srtt: rtt,
            una: Pos(1),
            ..Sample::full(in_flight + 1, self.now)
        };
        self.cc.on_ack(&sample);
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            let may_send = self.in_flight() < self.cc.cwnd();
            let due = self.next_send.max(self.now);
            let arrival = self.flying.front().map(|(at, ..)| *at);
            if may_send && arrival.is_none_or(|at| due <= at) {
                self.now = due;
                self.send();
                let gap = self.cc.pacing_rate().map_or(Duration::ZERO, |rate| rate.time_for(1, 1));
                self.next_send = self.now + gap;
            } else {
                self.arrive();
            }
        }
    }
}

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

#[test]
fn startup_finds_the_rate_and_drain_the_round_trip() {
    //= bbr#5.3.1.2
    //= bbr#5.3.2
    let mut path = Path::new(1000, 100, 1000, 0);
    path.run(secs(3));
    let bbr = path.bbr();
    assert!(bbr.full_bw_reached && bbr.state.is_probe_bw(), "{:?}", bbr.state);
    let rate = bbr.max_bw().bytes_per_second(1);
    assert!((950..=1050).contains(&rate), "{rate}");
    assert!((100..103).contains(&bbr.min_rtt.map_or(0, Duration::as_millis)), "{:?}", bbr.min_rtt);
}

#[test]
fn the_path_is_full_and_its_queue_nearly_empty() {
    let mut path = Path::new(1000, 100, 1000, 0);
    path.run(secs(4));
    let before = path.delivered;
    path.run(secs(20));
    let share = (path.delivered - before) * 100 / 20_000;
    assert!(share >= 94, "{share} % of the link");
    assert_eq!(path.dropped, 0);
    assert!(path.in_flight() < 250, "{}", path.in_flight());
}

#[test]
fn one_percent_of_loss_costs_little_and_ten_percent_bounds_the_flight() {
    //= bbr#5.5.10
    let mut path = Path::new(1000, 50, 50, 100);
    path.run(secs(4));
    let before = path.delivered;
    path.run(secs(20));
    let share = (path.delivered - before) * 100 / 20_000;
    // Each round with a loss lowers the short-term bound by that loss and the pacing margin, until the next probe some
    // fifty rounds later; losses as regular as these leave no round without one.
    assert!(share >= 85, "{share} % of the link");
    let mut lossy = Path::new(1000, 50, 50, 10);
    lossy.run(secs(10));
    assert!(lossy.bbr().inflight_longterm < INFINITY, "the threshold of 2 % is crossed");
}

#[test]
fn every_five_seconds_the_flight_is_halved() {
    //= bbr#5.3.4.3
    let mut path = Path::new(1000, 100, 1000, 0);
    path.run(secs(4));
    let mut least = u32::MAX;
    for _ in 0..700 {
        path.run(Duration::from_millis(10));
        if path.bbr().state == State::ProbeRtt {
            least = least.min(path.in_flight());
        }
    }
    assert!((40..=60).contains(&least), "{least} of a product of 100");
}

#[test]
fn a_timeout_leaves_one_segment_and_repair_restores_the_window() {
    //= bbr#5.6.4.4
    let mut path = Path::new(1000, 100, 1000, 0);
    path.run(secs(4));
    let before = path.cc.cwnd();
    path.cc.on_timeout(0);
    assert_eq!(path.cc.cwnd(), 1);
    path.cc.on_repaired();
    assert_eq!(path.cc.cwnd(), before);
}

#[test]
fn what_was_no_loss_is_undone() {
    //= bbr#5.5.11.2
    let mut path = Path::new(1000, 100, 1000, 0);
    path.run(Duration::from_millis(250));
    assert_eq!(path.bbr().state, State::Startup);
    path.cc.on_loss(path.in_flight());
    path.lose = 5;
    while !path.bbr().full_bw_reached {
        path.run(Duration::from_millis(1));
    }
    assert!(path.bbr().full_bw_reached && path.bbr().inflight_longterm < INFINITY, "{:?}", path.bbr());
    path.cc.on_undo();
    assert_eq!((path.bbr().state, path.bbr().inflight_longterm), (State::Startup, INFINITY));
}

/// The losses that cross 2 % do so after a part of a burst: `(100 * 2 - 100 * lost) / 98` of it.
#[test]
fn the_flight_at_which_losses_crossed_the_threshold() {
    let lost = |segments, tx_in_flight, lost_since| crate::tcp::rate::Lost {
        segments,
        tx_in_flight,
        lost_since,
        app_limited: false,
    };
    for (burst, expected) in [(lost(10, 110, 10), 102), (lost(10, 110, 12), 100), (lost(40, 1040, 40), 1020)] {
        assert_eq!(loss::inflight_at_loss(&burst), expected);
    }
}
