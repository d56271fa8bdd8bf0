//! Both sides at once: simultaneous open and simultaneous close.
//!
//! Sections: RFC 9293 3.5 (Figures 7 and 8), 3.6 (Figure 13).
//! In: the peer's SYN or FIN that crosses ours.
//! Out: one connection, and its orderly end.

use tidegate_proto::tcp::{CloseReason, Event, State};

use crate::play::{Setup, established};

//= 9293/MUST-10
#[test]
fn crossing_syns_make_one_connection() {
    Setup::default().syn_sent(|p| {
        p.expect("S 0");
        p.wait(5);
        p.inject("S 0 <mss 1000>");
        p.is(State::SynReceived);
        p.expect("S. 0 ack 1");
        p.wait(5);
        // Figure 8, line 6: the peer's SYN-ACK, its SYN the same as before.
        p.inject("S. 0 ack 1 <mss 1000>");
        p.is(State::Established);
        p.forget();
        assert_eq!(p.take_events(), [Event::Connected]);
        p.write(100);
        p.expect("P. 1:101 ack 1");
        p.inject("P. 1:201 ack 101");
        p.forget();
        p.read(200);
        p.forget();
    });
}

//= 9293/MUST-10
#[test]
fn a_bare_ack_completes_a_simultaneous_open_too() {
    Setup::default().syn_sent(|p| {
        p.expect("S 0");
        p.inject("S 0 <mss 1000>");
        p.expect("S. 0 ack 1");
        p.inject(". 1 ack 1");
        p.is(State::Established);
    });
}

/// The SYN-ACK of a simultaneous open is repeated like any other.
#[test]
fn the_syn_ack_of_a_simultaneous_open_is_retransmitted() {
    Setup::default().syn_sent(|p| {
        p.expect("S 0");
        p.inject("S 0 <mss 1000>");
        p.expect("S. 0 ack 1");
        p.expect_in(1000, "S. 0 ack 1");
        p.expect_in(2000, "S. 0 ack 1");
    });
}

//= 9293/MUST-11
#[test]
fn a_reset_in_syn_received_after_an_active_open_refuses_it() {
    Setup::default().syn_sent(|p| {
        p.expect("S 0");
        p.inject("S 0 <mss 1000>");
        p.expect("S. 0 ack 1");
        p.inject("R 1");
        p.is_closed(CloseReason::Refused);
    });
}

/// Figure 13: FINs cross, each is acknowledged, both wait.
#[test]
fn crossing_fins_lead_through_closing_to_time_wait() {
    established(|p| {
        p.close();
        p.expect("F. 1 ack 1");
        p.is(State::FinWait1);
        p.inject("F. 1 ack 1");
        p.expect(". 2 ack 2");
        p.is(State::Closing);
        assert!(p.take_events().contains(&Event::PeerFin));
        p.inject(". 2 ack 2");
        p.is(State::TimeWait);
        assert!(p.take_events().contains(&Event::Closed(CloseReason::Normal)));
    });
}

/// The same with data still under way on both sides.
#[test]
fn crossing_fins_behind_crossing_data() {
    established(|p| {
        p.write(300);
        p.expect("P. 1:301 ack 1");
        p.close();
        p.expect("F. 301 ack 1");
        p.inject("FP. 1:501 ack 1");
        p.is(State::Closing);
        p.expect(". 302 ack 502");
        p.read(500);
        p.read_end();
        p.inject(". 502 ack 302");
        p.is(State::TimeWait);
    });
}

/// In CLOSING an acknowledgement of less than our FIN changes nothing, and FIN is sent again.
#[test]
fn closing_waits_for_the_acknowledgement_of_fin() {
    established(|p| {
        p.close();
        p.expect("F. 1 ack 1");
        p.inject("F. 1 ack 1");
        p.expect(". 2 ack 2");
        p.inject(". 2 ack 1");
        p.is(State::Closing);
        p.expect_in(210, "F. 1 ack 2");
        p.is(State::Closing);
    });
}
