//! Congestion control: how fast, and how much slower after a loss.
//!
//! Sections: RFC 5681; RFC 6582 (NewReno); RFC 6928 (initial window); RFC 3042 (limited transmit); RFC 9293 3.8.2.
//! In: acknowledgements, duplicates, timeouts.
//! Out: segments on the wire, counted.

use crate::play::{Play, Setup, established, with};

/// A peer whose window never limits.
fn wide() -> Setup {
    Setup::default().peer("mss 1000,wscale 7")
}

/// Sends a thousand segments' worth and acknowledges the first flight, so that the peer's scaled window is known.
fn flood(p: &mut Play) {
    p.inject(". 1 ack 1");
    p.write(1_000_000);
}

//= 6928#2
#[test]
fn the_initial_window_is_ten_segments() {
    wide().established(|p| {
        flood(p);
        assert_eq!(p.forget().len(), 10);
        p.quiet(200);
    });
}

/// After a SYN that was lost twice the path deserves caution: one segment.
//= 5681#3.1
#[test]
fn a_lost_syn_costs_the_initial_window() {
    Setup::default().syn_sent(|p| {
        p.expect("S 0");
        p.expect_in(1000, "S 0");
        p.expect_in(2000, "S 0");
        p.inject("S. 0 ack 1 <mss 1000>");
        p.expect(". 1 ack 1");
        p.write(20_000);
        assert_eq!(p.forget().len(), 1);
    });
}

/// Slow start: for every segment acknowledged one more goes out.
//= 9293/MUST-19
//= 5681#3.1
#[test]
fn slow_start_doubles() {
    wide().established(|p| {
        flood(p);
        let mut flight = p.forget().len();
        let mut una = 1;
        for round in 0..4 {
            assert_eq!(flight, 10 << round);
            let mut next = 0;
            for _ in 0..flight / 2 {
                una += 2000;
                p.inject(&format!(". 1 ack {una}"));
                next += p.forget().len();
            }
            flight = next;
        }
        assert_eq!(p.info().snd_cwnd, 160);
    });
}

/// an acknowledgement cut in pieces earns no more than a whole one.
#[test]
fn dividing_acknowledgements_gains_nothing() {
    wide().established(|p| {
        flood(p);
        let flight = p.forget().len() as i64;
        for ack in (1..=1000 * flight).step_by(100) {
            p.inject_blindly(&format!(". 1 ack {ack}"));
        }
        p.inject_blindly(&format!(". 1 ack {}", 1 + 1000 * flight));
        assert!(p.info().snd_cwnd <= 20, "cwnd {} after one flight", p.info().snd_cwnd);
    });
}

/// Loses the first segment of a flight of ten: three duplicates bring it back.
//= 5681#3.2
#[test]
fn the_third_duplicate_repairs() {
    wide().established(|p| {
        p.inject(". 1 ack 1");
        p.write(10_000);
        assert_eq!(p.forget().len(), 10);
        p.inject(". 1 ack 1");
        p.expect_nothing();
        p.inject(". 1 ack 1");
        p.expect_nothing();
        p.inject(". 1 ack 1");
        p.expect("p. 1:1001 ack 1 why retransmit-fast");
        p.expect_nothing();
        assert!(p.info().in_recovery);
        // Half of what was in flight.
        assert_eq!(p.info().snd_ssthresh, 5);
        for _ in 0..6 {
            p.inject(". 1 ack 1");
            p.expect_nothing();
        }
        p.inject(". 1 ack 10001");
        let info = p.info();
        assert!(!info.in_recovery);
        assert!(info.snd_cwnd <= 5, "cwnd {} after recovery", info.snd_cwnd);
        assert_eq!(info.backoff, 0);
        p.quiet(100_000);
    });
}

/// RFC 3042: each of the first two duplicates lets one new segment go.
//= 3042#2
#[test]
fn the_first_two_duplicates_let_new_data_go() {
    wide().established(|p| {
        flood(p);
        assert_eq!(p.forget().len(), 10);
        p.inject(". 1 ack 1");
        p.expect("p. 10001:11001 ack 1");
        p.inject(". 1 ack 1");
        p.expect("p. 11001:12001 ack 1");
        p.inject(". 1 ack 1");
        p.expect("p. 1:1001 ack 1 why retransmit-fast");
        p.forget();
    });
}

/// Several holes in one window: each partial acknowledgement repairs the next, without a timeout and without another
/// reduction.
//= 6582#3.2
#[test]
fn partial_acknowledgements_repair_hole_after_hole() {
    wide().established(|p| {
        p.inject(". 1 ack 1");
        p.write(10_000);
        assert_eq!(p.forget().len(), 10);
        // Lost: the 1st, 4th and 7th.
        for _ in 0..3 {
            p.inject_blindly(". 1 ack 1");
        }
        let ssthresh = p.info().snd_ssthresh;
        for _ in 0..4 {
            p.inject_blindly(". 1 ack 1");
        }
        p.inject(". 1 ack 3001");
        p.expect("p. 3001:4001 ack 1 why retransmit-partial-ack");
        assert!(p.info().in_recovery);
        p.forget();
        p.inject(". 1 ack 6001");
        p.expect("p. 6001:7001 ack 1 why retransmit-partial-ack");
        p.forget();
        p.inject(". 1 ack 10001");
        assert!(!p.info().in_recovery);
        assert_eq!(p.info().snd_ssthresh, ssthresh, "one reduction per window (I-26)");
        assert_eq!(p.info().total_retrans, 3);
    });
}

/// What RFC 5681 2 calls a duplicate: nothing else counts towards three.
//= 5681#2
#[test]
fn only_true_duplicates_count() {
    let lines = [
        // Data, a new window, FIN: each says something else.
        ["P. 1:11 ack 1", "P. 11:21 ack 1", "P. 21:31 ack 1", "P. 31:41 ack 1"],
        [". 1 ack 1 win 60000", ". 1 ack 1 win 60001", ". 1 ack 1 win 60002", ". 1 ack 1 win 60003"],
    ];
    for lines in lines {
        established(|p| {
            p.write(10_000);
            p.forget();
            for line in lines {
                p.inject(line);
                let sent = p.forget();
                assert!(sent.iter().all(|sent| sent.payload.is_empty()), "{line}\n{}", p.story());
            }
            assert!(!p.info().in_recovery);
        });
    }
    // Nothing outstanding, nothing to repair.
    established(|p| {
        for _ in 0..10 {
            p.inject(". 1 ack 1");
            p.expect_nothing();
        }
        p.write(1000);
        p.expect("P. 1:1001 ack 1");
        assert!(!p.info().in_recovery);
    });
}

/// A timeout starts over from one segment, and remembers half of the flight.
//= 9293/MUST-19
//= 5681#3.1
#[test]
fn a_timeout_starts_over() {
    wide().established(|p| {
        flood(p);
        assert_eq!(p.forget().len(), 10);
        p.wait(210);
        assert_eq!(p.forget().len(), 1);
        let info = p.info();
        assert_eq!((info.snd_cwnd, info.snd_ssthresh), (1, 5));
        p.wait(420);
        p.forget();
        assert_eq!(p.info().snd_ssthresh, 5, "the second timeout of the same segment reduces no further");
    });
}

/// RFC 6582 3.2, and 4: duplicates of what was sent before a timeout do not start another repair.
//= 6582#3.2
#[test]
fn duplicates_after_a_timeout_start_no_fast_retransmit() {
    wide().established(|p| {
        flood(p);
        assert_eq!(p.forget().len(), 10);
        p.wait(210);
        assert_eq!(p.forget().len(), 1);
        for _ in 0..9 {
            p.inject(". 1 ack 1");
            let sent = p.forget();
            assert!(sent.iter().all(|sent| sent.cause.name() != "retransmit-fast"), "{}", p.story());
        }
    });
}

/// Congestion avoidance: a full window acknowledged is worth one segment.
//= 5681#3.1
#[test]
fn congestion_avoidance_grows_by_one_a_round() {
    wide().established(|p| {
        flood(p);
        p.forget();
        // A loss sets ssthresh; after recovery cwnd is there.
        for _ in 0..3 {
            p.inject_blindly(". 1 ack 1");
        }
        let mut una = p.info().snd_nxt.0;
        p.inject_blindly(&format!(". 1 ack {una}"));
        assert!(!p.info().in_recovery);
        while p.info().snd_cwnd < p.info().snd_ssthresh {
            una = p.info().snd_nxt.0;
            p.inject_blindly(&format!(". 1 ack {una}"));
        }
        let mut last = p.info().snd_cwnd;
        let mut grown = 0;
        for _ in 0..6 {
            // One round: everything in flight is acknowledged, two segments at a time.
            let end = p.info().snd_nxt.0;
            while una < end {
                una = (una + 2000).min(end);
                p.inject_blindly(&format!(". 1 ack {una}"));
            }
            let cwnd = p.info().snd_cwnd;
            assert!(cwnd >= last && cwnd <= last + 1, "{last} to {cwnd}\n{}", p.story());
            grown += cwnd - last;
            last = cwnd;
        }
        assert!((5..=6).contains(&grown), "{grown} in six rounds");
    });
}

/// After a pause of more than a timeout the old window proves nothing.
//= 5681#4.1
#[test]
fn after_idleness_the_window_restarts() {
    let script = |restart: bool| {
        move |p: &mut Play| {
            p.inject(". 1 ack 1");
            p.write(40_000);
            let mut una = 1;
            p.forget();
            while una < 40_001 {
                una = p.info().snd_nxt.0;
                p.inject_blindly(&format!(". 1 ack {una}"));
            }
            let before = p.info().snd_cwnd;
            assert!(before > 10);
            p.quiet(10_000);
            p.write(100_000);
            let burst = p.forget().len();
            if restart {
                assert_eq!(burst, 10, "cwnd was {before}");
            } else {
                assert_eq!(burst as u32, before);
            }
        }
    };
    wide().established(script(true));
    wide().config(|c| c.slow_start_after_idle = false).established(script(false));
}

/// A window that was never used up does not grow.
#[test]
fn a_window_that_is_not_used_does_not_grow() {
    established(|p| {
        for i in 0..100 {
            p.write(100);
            p.forget();
            p.wait(10);
            p.inject(&format!(". 1 ack {}", 101 + 100 * i));
        }
        assert_eq!(p.info().snd_cwnd, 10);
    });
}

/// acknowledging ahead of the data never moves anything.
#[test]
fn optimistic_acknowledgements_gain_nothing() {
    wide().established(|p| {
        flood(p);
        assert_eq!(p.forget().len(), 10);
        for ack in [20_000, 30_000, 1_000_000] {
            p.inject(&format!(". 1 ack {ack}"));
            let sent = p.forget();
            assert!(sent.iter().all(|sent| sent.payload.is_empty()), "{}", p.story());
        }
        assert_eq!(p.info().snd_cwnd, 10);
    });
}

/// A peer that repeats one acknowledgement for ever gets no more than one segment for each.
#[test]
fn spoofed_duplicates_are_no_amplifier() {
    wide().established(|p| {
        flood(p);
        p.forget();
        for _ in 0..1000 {
            p.inject(". 1 ack 1");
            assert!(p.forget().len() <= 1);
        }
    });
}

/// When the retransmission is lost too, only the timer helps; the third duplicate comes once.
#[test]
fn a_lost_retransmission_waits_for_the_timer() {
    with(|_| {}).peer("mss 1000,wscale 7").established(|p| {
        p.inject(". 1 ack 1");
        p.write(6000);
        p.forget();
        for _ in 0..5 {
            p.inject_blindly(". 1 ack 1");
        }
        assert_eq!(p.info().total_retrans, 1);
        p.wait(p.info().rto.as_millis() + 1);
        assert!(p.forget().iter().any(|sent| sent.cause.name() == "retransmit-timeout"), "{}", p.story());
    });
}

/// Reordering by less than three is no loss.
//= 5681#3.2
#[test]
fn slight_reordering_repairs_nothing() {
    wide().established(|p| {
        p.inject(". 1 ack 1");
        p.write(10_000);
        assert_eq!(p.forget().len(), 10);
        for first in [1, 3001, 6001] {
            p.inject(&format!(". 1 ack {first}"));
            p.inject(&format!(". 1 ack {first}"));
            p.expect_nothing();
            p.inject(&format!(". 1 ack {}", first + 3000));
            p.forget();
        }
        assert_eq!(p.info().total_retrans, 0);
        assert_eq!(p.info().snd_ssthresh, u32::MAX);
    });
}

/// A second loss in a later window halves again; in the same window it does not (I-26).
//= 5681#3.2
#[test]
fn each_window_with_a_loss_halves_once() {
    wide().established(|p| {
        flood(p);
        p.forget();
        let mut thresholds = Vec::new();
        for _ in 0..3 {
            for _ in 0..3 {
                let una = p.info().snd_una.0;
                p.inject_blindly(&format!(". 1 ack {una}"));
            }
            thresholds.push(p.info().snd_ssthresh);
            let end = p.info().snd_nxt.0;
            p.inject_blindly(&format!(". 1 ack {end}"));
            assert!(!p.info().in_recovery);
            // Grow back to a full window before the next loss.
            while p.info().snd_cwnd < 8 {
                let end = p.info().snd_nxt.0;
                p.inject_blindly(&format!(". 1 ack {end}"));
            }
        }
        assert!(thresholds.iter().all(|half| (2..=6).contains(half)), "{thresholds:?}");
    });
}

/// In flight there is never more new data than the congestion window allows (I-23); limited transmit is the one exception.
#[test]
fn new_data_stays_within_the_window() {
    wide().established(|p| {
        flood(p);
        let mut una = 1;
        for round in 0..200 {
            let info = p.info();
            if !info.in_recovery {
                assert!(info.unacked <= info.snd_cwnd + 2, "{} of {}\n{}", info.unacked, info.snd_cwnd, p.story());
            }
            match round % 11 {
                10 => {
                    for _ in 0..4 {
                        p.inject_blindly(&format!(". 1 ack {una}"));
                    }
                }
                _ => {
                    una = (una + 1500).min(info.snd_nxt.0);
                    p.inject_blindly(&format!(". 1 ack {una}"));
                }
            }
        }
    });
}

/// The needless copies of a timeout come back as duplicates of its very end: no loss of what was sent since.
//= 6582#3.2
#[test]
fn echoes_of_a_timeout_start_no_fast_retransmit() {
    wide().established(|p| {
        flood(p);
        assert_eq!(p.forget().len(), 10);
        p.wait(210);
        p.forget();
        p.inject(". 1 ack 10001");
        p.forget();
        for _ in 0..4 {
            p.inject(". 1 ack 10001");
            let sent = p.forget();
            assert!(sent.iter().all(|sent| sent.cause.name() != "retransmit-fast"), "{}", p.story());
        }
    });
}
