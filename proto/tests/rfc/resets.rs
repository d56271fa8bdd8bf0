//! Resets: which ones count, and when one is sent.
//!
//! Sections: RFC 9293 3.5.2, 3.5.3, 3.10.5, 3.10.7.1; RFC 5961 3.
//! In: RST at every place of the window; segments for nobody; ABORT in every state.
//! Out: one connection less, a challenge, or silence; and the resets of our own.

use tidegate_proto::tcp::{CloseReason, DropReason, Event, State, Verdict};

use crate::play::{Corner, Role, Setup, established, with};
use crate::states;

//= 5961#3.2
#[test]
fn a_reset_at_rcv_nxt_ends_the_connection() {
    established(|p| {
        assert_eq!(p.inject("R 1"), Verdict::Accepted);
        p.is_closed(CloseReason::Reset);
    });
}

//= 9293/MUST-12
#[test]
fn the_application_can_tell_a_reset_from_a_normal_close() {
    established(|p| {
        p.inject("R. 1 ack 1");
        assert_eq!(p.take_events().last(), Some(&Event::Closed(CloseReason::Reset)));
    });
    established(|p| {
        p.inject("F. 1 ack 1");
        p.close();
        p.forget();
        p.inject(". 2 ack 2");
        let events = p.take_events();
        assert!(events.contains(&Event::PeerFin));
        assert_eq!(events.last(), Some(&Event::Closed(CloseReason::Normal)));
    });
}

//= 9293/SHLD-2
#[test]
fn a_reset_may_carry_data() {
    established(|p| {
        p.inject("R. 1:50 ack 1");
        p.is_closed(CloseReason::Reset);
    });
}

/// In the window but not at its left edge: perhaps a guess, so the peer is asked.
//= 5961#3.2
#[test]
fn a_reset_elsewhere_in_the_window_is_challenged() {
    for seq in [2, 3, 1000, 30_000] {
        established(|p| {
            assert_eq!(p.inject(&format!("R {seq}")), Verdict::Answered(DropReason::ResetNotExact));
            p.expect(". 1 ack 1 why ack-challenge");
            p.is(State::Established);
            // The true peer, had it lost the connection, answers the challenge with a reset at the right place.
            p.inject("R 1");
            p.is_closed(CloseReason::Reset);
        });
    }
}

//= 5961#3.2
#[test]
fn a_reset_outside_the_window_is_dropped_in_silence() {
    for seq in [0, -1, -70_000, 100_000, i64::from(i32::MAX), i64::from(i32::MIN)] {
        established(|p| {
            assert_eq!(p.inject(&format!("R {seq}")), Verdict::Dropped(DropReason::OutsideWindow), "{seq}");
            p.expect_nothing();
            p.is(State::Established);
        });
    }
}

/// of all numbers around the window exactly one kills, in every synchronized state.
//= 5961#3.2
#[test]
fn exactly_one_number_kills() {
    let states =
        [State::Established, State::FinWait1, State::FinWait2, State::CloseWait, State::Closing, State::LastAck];
    for corner in [Corner::ALL[1], Corner::ALL[3]] {
        for state in states {
            let mut kills = Vec::new();
            for seq in -300..300 {
                let setup = with(|c| (c.rcv_buf, c.rcv_buf_max) = (400, 400));
                let mut p = setup.open(Role::Active, corner);
                states::lead(&mut p, state);
                p.inject_blindly(&format!("R {seq}"));
                if p.state() == State::Closed {
                    kills.push(seq);
                } else {
                    p.is(state);
                }
            }
            let rcv_nxt = if matches!(state, State::CloseWait | State::Closing | State::LastAck) { 2 } else { 1 };
            assert_eq!(kills, [rcv_nxt], "{state}");
        }
    }
}

//= 9293/MUST-66
#[test]
fn a_reset_counts_while_our_window_is_closed() {
    with(|c| (c.rcv_buf, c.rcv_buf_max) = (4000, 4000)).established(|p| {
        states::fill_window(p);
        let end = p.info().rcv_nxt.0;
        p.inject(&format!("R {}", end + 1));
        p.forget();
        p.is(State::Established);
        p.inject(&format!("R {end}"));
        p.is_closed(CloseReason::Reset);
    });
}

/// RFC 9293 3.10.7.1: the two forms of a reset for nobody.
#[test]
fn a_segment_for_nobody_is_reset() {
    for role in [Role::HostPassive, Role::HostPassive6] {
        for (line, answer) in [
            ("S 0", "R. * ack 1"),
            ("S 5 <mss 1000>", "R. * ack 6"),
            ("F 5", "R. * ack 6"),
            ("P 5:105", "R. * ack 105"),
            ("SP 5:105", "R. * ack 106"),
            (". 5 ack 9", "R 9"),
            ("S. 5 ack 9", "R 9"),
            ("FP. 5:105 ack 9", "R 9"),
        ] {
            let mut p = Setup::default().closed_host(role, Corner::ALL[1]);
            assert_eq!(p.inject(line), Verdict::Answered(DropReason::NoConnection), "{line}");
            let reset = p.expect(answer);
            p.expect_nothing();
            if answer.starts_with("R.") {
                assert_eq!(reset.header.seq.0, 0, "SEQ=0");
            }
            p.is(State::Closed);
        }
    }
}

#[test]
fn a_reset_for_nobody_is_dropped() {
    for line in ["R 0", "R. 0 ack 5", "RP. 0:5 ack 9", "RF 0"] {
        let mut p = Setup::default().closed_host(Role::HostPassive, Corner::ALL[1]);
        assert!(matches!(p.inject(line), Verdict::Dropped(_)), "{line}");
        p.expect_nothing();
    }
}

/// RFC 9293 3.10.5: ABORT says RST where the peer holds a connection, and nothing where it does not or has closed.
#[test]
fn abort_resets_where_the_state_calls_for_it() {
    for (state, reset) in [
        (State::SynReceived, true),
        (State::Established, true),
        (State::FinWait1, true),
        (State::FinWait2, true),
        (State::CloseWait, true),
        (State::Closing, false),
        (State::LastAck, false),
    ] {
        for corner in Corner::ALL {
            let mut p = Setup::default().accepted(corner);
            if state != State::SynReceived {
                p.inject(". 1 ack 1");
                states::lead(&mut p, state);
            }
            p.forget();
            p.is(state);
            let snd_nxt = p.info().snd_nxt.0;
            p.abort();
            if reset {
                p.expect(&format!("Ra {snd_nxt} why reset-abort"));
            }
            p.is_closed(CloseReason::Aborted);
        }
    }
}

/// What was queued is dropped at ABORT; the reset stands where the peer's window begins to accept it.
#[test]
fn abort_drops_what_is_queued() {
    Setup::default().window(2000).established(|p| {
        p.write(10_000);
        p.expect_all(&["p. 1:1001 ack 1", "p. 1001:2001 ack 1"]);
        p.abort();
        p.expect("Ra 2001");
        p.quiet(300_000);
        p.is_closed(CloseReason::Aborted);
    });
}

/// A connection that was reset answers like one that never was.
#[test]
fn after_a_reset_the_peer_is_a_stranger() {
    Setup::default().hosts(|p| {
        p.inject("R 1");
        p.inject("P. 1:101 ack 1");
        p.expect("R 1");
        p.is_over();
    });
}

/// RST from us ends it for good: nothing is sent afterwards, whatever still arrives.
#[test]
fn nothing_leaves_a_closed_connection_but_resets() {
    established(|p| {
        p.write(5000);
        p.forget();
        p.inject("R 1");
        p.forget();
        p.quiet(1_000_000);
    });
}
