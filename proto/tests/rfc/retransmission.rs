//! Retransmission: how long to wait, how often, and when to give up.
//!
//! Sections: RFC 6298; RFC 9293 3.8.1, 3.8.3, 3.10.8.
//! In: silence, for as long as it takes.
//! Out: the same segment at growing intervals, advice to the application, and an end.

use tidegate_proto::tcp::{CloseReason, Event, SoftError, State};
use tidegate_proto::time::Duration;

use crate::play::{Corner, Role, Setup, established, with};

//= 9293/MUST-18
//= 9293/MUST-19
#[test]
fn the_timeout_doubles_up_to_its_limit() {
    established(|p| {
        p.write(500);
        p.expect("P. 1:501 ack 1");
        let mut rto = 210;
        for n in 1..=14 {
            p.expect_in(rto.min(120_000), &format!("P. 1:501 ack 1 why retransmit-timeout#{n}"));
            rto *= 2;
        }
        p.inject(". 1 ack 501");
        p.quiet(1_000_000);
    });
}

//= 9293/MUST-20
//= 9293/SHLD-9
//= 9293/SHLD-10
//= 9293/SHLD-11
#[test]
fn r1_is_told_and_r2_ends_the_connection() {
    established(|p| {
        p.write(500);
        p.expect("P. 1:501 ack 1");
        let start = p.now;
        let mut sent = 0;
        let mut told = None;
        while p.state() == State::Established {
            assert!(p.next_timer());
            sent += p.forget().len();
            let events = p.take_events();
            if events.contains(&Event::SoftError(SoftError::ExcessiveRetransmissions)) {
                assert_eq!(told, None, "told once");
                told = Some(sent);
            }
            if let Some(Event::Closed(reason)) = events.last() {
                assert_eq!(*reason, CloseReason::TimedOut);
            }
        }
        assert_eq!(told, Some(3), "tcp_retries1");
        assert_eq!(sent, 15, "tcp_retries2");
        let lasted = p.now.since(start);
        assert!(lasted >= Duration::from_secs(100), "R2 after {lasted}");
        p.is_over();
    });
}

//= 9293/MUST-21
#[test]
fn r2_can_be_set() {
    with(|c| c.retries2 = 4).established(|p| {
        p.write(500);
        p.expect("P. 1:501 ack 1");
        for pause in [210, 420, 840, 1680] {
            p.expect_in(pause, "P. 1:501 ack 1");
        }
        p.wait(3360);
        p.forget();
        p.is_closed(CloseReason::TimedOut);
    });
}

//= 9293/MUST-22
//= 9293/MUST-23
#[test]
fn a_syn_is_repeated_for_at_least_three_minutes() {
    Setup::default().syn_sent(|p| {
        p.expect("S 0");
        let start = p.now;
        for (n, pause) in [(1, 1), (2, 2), (3, 4), (4, 8), (5, 16), (6, 32), (7, 64)] {
            p.expect_in(pause * 1000, &format!("S 0 why retransmit-syn#{n}"));
        }
        while p.state() == State::SynSent {
            assert!(p.next_timer());
            p.expect_nothing();
        }
        let lasted = p.now.since(start);
        assert!(lasted >= Duration::from_secs(180), "gave up after {lasted}");
        p.is_closed(CloseReason::TimedOut);
    });
}

#[test]
fn a_lost_syn_costs_a_second() {
    Setup::default().syn_sent(|p| {
        p.expect("S 0");
        p.expect_in(1000, "S 0 why retransmit-syn#1");
        p.wait(10);
        p.inject("S. 0 ack 1 <mss 1000>");
        p.expect(". 1 ack 1");
        p.is(State::Established);
    });
}

/// RFC 6298 5.7: after a SYN that timed out, without a measurement, data starts with three seconds.
#[test]
fn data_after_a_lost_syn_is_patient() {
    Setup::default().syn_sent(|p| {
        p.expect("S 0");
        p.expect_in(1000, "S 0");
        p.wait(10);
        p.inject("S. 0 ack 1 <mss 1000>");
        p.expect(". 1 ack 1");
        p.write(500);
        p.expect("P. 1:501 ack 1");
        p.expect_in(3000, "P. 1:501 ack 1");
    });
}

/// RFC 6298 2.2, 2.3 in numbers: 10 ms at the handshake, then 50 ms.
//= 9293/MUST-18
#[test]
fn round_trips_shape_the_timeout() {
    established(|p| {
        let info = p.info();
        assert_eq!((info.rtt, info.rttvar), (Some(Duration::from_millis(10)), Duration::from_millis(5)));
        assert_eq!(info.rto, Duration::from_millis(210));
        p.write(500);
        p.forget();
        p.wait(50);
        p.inject(". 1 ack 501");
        let info = p.info();
        assert_eq!(info.rtt, Some(Duration::from_millis(15)));
        assert_eq!(info.rttvar, Duration::from_micros(13_750));
        assert_eq!(info.rto, Duration::from_millis(215));
    });
}

/// A path with a long and steady round trip has a timeout above it, so nothing is sent twice.
#[test]
fn a_long_path_does_not_time_out() {
    with(|c| c.rto_initial = Duration::from_secs(3)).syn_sent(|p| {
        p.expect("S 0");
        p.quiet(2000);
        p.inject("S. 0 ack 1 <mss 1000>");
        p.expect(". 1 ack 1");
        // srtt 2 s, rttvar 1 s.
        assert_eq!(p.info().rto, Duration::from_secs(6));
        for i in 0..10 {
            p.write(100);
            p.expect(&format!("P. {}:{} ack 1", 1 + 100 * i, 101 + 100 * i));
            p.quiet(2000);
            p.inject(&format!(". 1 ack {}", 101 + 100 * i));
        }
    });
}

/// Karn: what was sent twice measures nothing.
//= 9293/MUST-18
#[test]
fn an_ambiguous_acknowledgement_is_no_measurement() {
    established(|p| {
        p.write(500);
        p.expect("P. 1:501 ack 1");
        let before = p.info();
        p.expect_in(210, "P. 1:501 ack 1");
        p.wait(100);
        p.inject(". 1 ack 501");
        let after = p.info();
        assert_eq!((before.rtt, before.rttvar), (after.rtt, after.rttvar));
    });
}

/// RFC 6298 5.3: new data acknowledged starts the timer anew.
#[test]
fn progress_restarts_the_timer() {
    established(|p| {
        p.write(3000);
        p.forget();
        p.wait(150);
        p.inject(". 1 ack 1001");
        let rto = p.info().rto.as_millis();
        assert!(rto >= 200);
        p.quiet(rto - 1);
        p.wait(2);
        p.expect("p. 1001:2001 ack 1 why retransmit-timeout#1");
        p.forget();
    });
}

/// A duplicate acknowledgement does not.
#[test]
fn a_duplicate_does_not_restart_the_timer() {
    established(|p| {
        p.write(500);
        p.expect("P. 1:501 ack 1");
        p.quiet(100);
        p.inject(". 1 ack 1");
        p.quiet(100);
        p.inject(". 1 ack 1");
        p.expect_in(10, "P. 1:501 ack 1");
    });
}

/// RFC 6298 5.2: everything acknowledged, no timer.
#[test]
fn nothing_outstanding_no_timer() {
    established(|p| {
        p.write(500);
        p.forget();
        p.inject(". 1 ack 501");
        assert_eq!(p.subject.next_timeout(), None);
    });
}

/// After a timeout the window is rebuilt in slow start from the first hole on, nothing beyond it until then.
#[test]
fn after_a_timeout_slow_start_fills_from_the_first_hole() {
    established(|p| {
        p.write(8000);
        assert_eq!(p.forget().len(), 8);
        p.expect_in(210, "p. 1:1001 ack 1 why retransmit-timeout#1");
        p.quiet(100);
        p.inject(". 1 ack 1001");
        p.expect_all(&["p. 1001:2001 ack 1 why retransmit-after-timeout", "p. 2001:3001 ack 1"]);
        p.expect_nothing();
        p.inject(". 1 ack 3001");
        p.expect_all(&["p. 3001:4001 ack 1", "p. 4001:5001 ack 1", "p. 5001:6001 ack 1", "p. 6001:7001 ack 1"]);
        p.expect_nothing();
        // The rest had arrived after all.
        p.inject(". 1 ack 8001");
        p.quiet(1_000_000);
    });
}

/// The user timeout ends the connection whatever the counters say (RFC 9293 3.10.8).
#[test]
fn the_user_timeout_ends_the_connection() {
    with(|c| c.user_timeout = Some(Duration::from_secs(5))).established(|p| {
        p.write(500);
        p.expect("P. 1:501 ack 1");
        p.wait(4900);
        p.forget();
        p.is(State::Established);
        p.wait(200);
        p.forget();
        p.is_closed(CloseReason::TimedOut);
    });
}

/// Progress sets the user timeout back; idleness does not use it up.
#[test]
fn the_user_timeout_counts_from_the_last_progress() {
    with(|c| c.user_timeout = Some(Duration::from_secs(5))).established(|p| {
        p.quiet(60_000);
        p.write(1000);
        p.forget();
        for i in 1..=5 {
            p.wait(3000);
            p.forget();
            p.inject(&format!(". 1 ack {}", 1 + 100 * i));
            p.forget();
        }
        p.is(State::Established);
        p.wait(5100);
        p.forget();
        p.is_closed(CloseReason::TimedOut);
    });
}

/// It covers the SYN too.
#[test]
fn the_user_timeout_covers_the_syn() {
    with(|c| c.user_timeout = Some(Duration::from_secs(5))).syn_sent(|p| {
        p.expect("S 0");
        p.wait(5100);
        p.forget();
        p.is_closed(CloseReason::TimedOut);
    });
}

/// An owner that slept through several deadlines causes one retransmission, not a burst of them.
#[test]
fn a_clock_that_jumps_causes_one_retransmission() {
    for corner in Corner::ALL {
        let mut p = Setup::default().open(Role::Active, corner);
        p.write(500);
        p.expect("P. 1:501 ack 1");
        p.now += Duration::from_secs(3600);
        p.subject.on_timeout(p.now);
        p.drain();
        p.expect("P. 1:501 ack 1 why retransmit-timeout#1");
        p.expect_nothing();
    }
}

/// Partly acknowledged segments are sent again from where the acknowledgement stands.
#[test]
fn a_partly_acknowledged_segment_is_resent_from_there() {
    established(|p| {
        p.write(1000);
        p.expect("P. 1:1001 ack 1");
        p.inject(". 1 ack 301");
        let rto = p.info().rto.as_millis();
        p.wait(rto + 1);
        let again = p.forget();
        let first = again.first().expect("a retransmission");
        let seq = first.header.seq.distance(p.iss.expect("known"));
        assert!((1..=301).contains(&seq) && i64::from(seq) + first.payload.len() as i64 == 1001, "{}", p.story());
    });
}

/// The SYN-ACK of a half-open record is repeated, and the record ends when nobody answers.
#[test]
fn a_syn_ack_is_repeated_and_given_up() {
    for role in [Role::HostPassive, Role::HostPassive6] {
        let mut p = Setup::default().host(role, Corner::ALL[1]);
        p.inject("S 0 <mss 1000>");
        p.expect("S. 0 ack 1 why syn-ack");
        p.is(State::SynReceived);
        for (n, pause) in [(1, 1), (2, 2), (3, 4), (4, 8), (5, 16)] {
            p.expect_in(pause * 1000, &format!("S. 0 ack 1 why retransmit-syn-ack#{n}"));
        }
        p.quiet(120_000);
        p.is(State::Listen);
    }
}

//= 9293/MUST-21
#[test]
fn r2_can_be_changed_while_the_connection_lives() {
    established(|p| {
        p.write(500);
        p.expect("P. 1:501 ack 1");
        p.expect_in(210, "P. 1:501 ack 1");
        p.configure(|c| c.retries2 = 2);
        p.expect_in(420, "P. 1:501 ack 1");
        p.wait(840);
        p.is_closed(CloseReason::TimedOut);
    });
}

/// A round trip of nothing still leaves 200 ms of patience.
#[test]
fn the_floor_holds_without_any_delay() {
    Setup::default().syn_sent(|p| {
        p.expect("S 0");
        p.inject("S. 0 ack 1 <mss 1000>");
        p.expect(". 1 ack 1");
        p.write(100);
        p.expect("P. 1:101 ack 1");
        p.expect_in(200, "P. 1:101 ack 1");
    });
}

/// What was sent again is still what it was: segments are not cut anew, nor grown together, while they wait.
#[test]
fn small_segments_are_resent_in_order() {
    with(|c| c.nagle = false).established(|p| {
        for _ in 0..3 {
            p.write(100);
        }
        assert_eq!(p.forget().len(), 3);
        p.wait(210);
        let first = p.forget();
        assert_eq!(first.len(), 1, "{}", p.story());
        let end = 1 + first[0].payload.len() as i64;
        p.inject(&format!(". 1 ack {end}"));
        p.forget();
        p.inject(". 1 ack 301");
        p.quiet(100_000);
    });
}
