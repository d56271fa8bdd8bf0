//! Closing: who says FIN first, who still talks, and when it is over.
//!
//! Sections: RFC 9293 3.6, 3.9.1.4, 3.10.4, 3.10.7.4 (step 8).
//! In: CLOSE, FIN, data around it.
//! Out: FIN-WAIT-1, FIN-WAIT-2, CLOSE-WAIT, LAST-ACK, TIME-WAIT, CLOSED, each at its time.

use tidegate_proto::net::SocketError;
use tidegate_proto::tcp::{CloseReason, ConnError, Event, State};
use tidegate_proto::wire::Flags;

use crate::play::{Corner, Role, Setup, established, with};
use crate::states;

/// Figure 12, seen from the side that closes first.
#[test]
fn the_active_close() {
    established(|p| {
        p.close();
        p.is(State::FinWait1);
        p.expect("F. 1 ack 1 why fin");
        p.inject(". 1 ack 2");
        p.is(State::FinWait2);
        p.inject("F. 1 ack 2");
        p.expect(". 2 ack 2");
        p.is(State::TimeWait);
        let events = p.take_events();
        assert!(events.contains(&Event::PeerFin) && events.contains(&Event::Closed(CloseReason::Normal)), "{events:?}");
    });
}

/// The peer's FIN acknowledges ours: no FIN-WAIT-2.
#[test]
fn fin_that_acknowledges_fin_leads_straight_to_time_wait() {
    established(|p| {
        p.close();
        p.expect("F. 1 ack 1");
        p.inject("F. 1 ack 2");
        p.expect(". 2 ack 2");
        p.is(State::TimeWait);
    });
}

/// Figure 12, seen from the other side.
#[test]
fn the_passive_close() {
    established(|p| {
        p.inject("F. 1 ack 1");
        p.expect(". 1 ack 2 why ack-fin");
        p.is(State::CloseWait);
        assert!(p.take_events().contains(&Event::PeerFin));
        p.read_end();
        p.close();
        p.expect("F. 1 ack 2 why fin");
        p.is(State::LastAck);
        p.inject(". 2 ack 2");
        p.is_closed(CloseReason::Normal);
    });
}

/// A FIN on a connection without data is acknowledged at once; so is one in quick-ACK mode.
#[test]
fn fin_is_acknowledged_at_once_without_data() {
    with(|c| c.quick_acks = 0).established(|p| {
        p.inject("F. 1 ack 1");
        p.expect(". 1 ack 2");
    });
    established(|p| {
        p.inject("P. 1:101 ack 1");
        p.expect(". 1 ack 101");
        p.inject("F. 101 ack 1");
        p.expect(". 1 ack 102");
    });
}

/// Otherwise it waits like any other: an application that closes in that time says both in one segment, as in the
/// article, whose release has three segments.
#[test]
fn fin_behind_data_waits_for_the_close_of_the_other_side() {
    let setup = with(|c| c.quick_acks = 0);
    setup.established(|p| {
        p.inject("P. 1:101 ack 1");
        p.expect_in(40, ". 1 ack 101");
        p.write(500);
        p.expect("P. 1:501 ack 101");
        p.inject("F. 101 ack 501");
        p.is(State::CloseWait);
        p.quiet(39);
        p.close();
        p.expect("F. 501 ack 102 why fin");
        p.inject(". 102 ack 502");
        p.is_closed(CloseReason::Normal);
    });
    setup.established(|p| {
        p.inject("P. 1:101 ack 1");
        p.expect_in(40, ". 1 ack 101");
        p.inject("F. 101 ack 1");
        p.expect_in(40, ". 1 ack 102 why ack-delayed");
        p.is(State::CloseWait);
    });
}

/// CLOSE waits for nothing but the data before it: FIN rides on the last segment.
#[test]
fn fin_rides_on_the_last_data() {
    Setup::default().window(1000).established(|p| {
        p.write(1500);
        p.expect("p. 1:1001 ack 1");
        p.close();
        p.is(State::FinWait1);
        p.expect_nothing();
        p.inject(". 1 ack 1001");
        p.expect("FP. 1001:1501 ack 1");
    });
}

#[test]
fn after_close_nothing_can_be_written() {
    established(|p| {
        p.close();
        p.expect("F. 1 ack 1");
        assert_eq!(p.write_some(10), Err(SocketError::Connection(ConnError::Closing)));
        p.expect_nothing();
    });
    established(|p| {
        states::lead(p, State::LastAck);
        assert_eq!(p.write_some(10), Err(SocketError::Connection(ConnError::Closing)));
    });
}

/// Half-close: the side that has closed goes on receiving, and acknowledging, for as long as the peer likes.
#[test]
fn data_flows_back_after_close() {
    established(|p| {
        p.close();
        p.expect("F. 1 ack 1");
        p.inject("P. 1:1001 ack 1");
        p.expect(". 2 ack 1001");
        p.is(State::FinWait1);
        p.inject(". 1001 ack 2");
        p.is(State::FinWait2);
        p.quiet(3_600_000);
        p.inject("P. 1001:2001 ack 2");
        p.expect(". 2 ack 2001");
        p.read(2000);
        p.forget();
        p.inject("FP. 2001:2501 ack 2");
        p.expect(". 2 ack 2502");
        p.is(State::TimeWait);
        p.read(500);
        p.read_end();
    });
}

/// The other half: in CLOSE-WAIT everything can still be sent.
#[test]
fn in_close_wait_data_is_sent_until_close() {
    established(|p| {
        states::lead(p, State::CloseWait);
        p.write(1000);
        p.expect("P. 1:1001 ack 2");
        p.inject(". 2 ack 1001");
        p.write(10);
        p.expect("P. 1001:1011 ack 2");
        p.close();
        p.expect("F. 1011 ack 2");
        p.is(State::LastAck);
        p.inject(". 2 ack 1011");
        p.is(State::LastAck);
        p.inject(". 2 ack 1012");
        p.is_closed(CloseReason::Normal);
    });
}

/// A FIN behind a gap says nothing yet: the stream ends where the last byte does.
#[test]
fn fin_behind_a_gap_waits_for_the_gap() {
    established(|p| {
        p.inject("F. 501 ack 1");
        p.expect(". 1 ack 1");
        p.is(State::Established);
        p.read_nothing();
        p.inject("P. 1:501 ack 1");
        p.expect(". 1 ack 502");
        p.is(State::CloseWait);
        p.read(500);
        p.read_end();
    });
}

/// Data and FIN behind the gap, then the gap.
#[test]
fn data_with_fin_behind_a_gap() {
    established(|p| {
        p.inject("FP. 501:1001 ack 1");
        p.expect(". 1 ack 1");
        p.inject(". 1:501 ack 1");
        p.expect(". 1 ack 1002");
        p.is(State::CloseWait);
        p.read(1000);
        p.read_end();
    });
}

/// FIN occupies a number of the receive window: outside it is not taken.
#[test]
fn fin_is_bounded_by_the_window() {
    with(|c| (c.rcv_buf, c.rcv_buf_max) = (4000, 4000)).established(|p| {
        states::fill_window(p);
        let next = p.info().rcv_nxt.0;
        p.inject(&format!("F. {next} ack 1"));
        p.expect(&format!(". 1 ack {next} win 0"));
        p.is(State::Established);
    });
}

/// FIN sent again because our acknowledgement was lost: acknowledged again, in every state behind it.
#[test]
fn a_repeated_fin_is_acknowledged_again() {
    for (state, seq) in [(State::CloseWait, 1), (State::Closing, 2), (State::LastAck, 2)] {
        established(|p| {
            states::lead(p, state);
            p.inject("F. 1 ack 1");
            p.expect(&format!(". {seq} ack 2"));
            p.is(state);
            p.forget();
        });
    }
}

/// Data behind the peer's FIN cannot be: it is not delivered, nor acknowledged.
#[test]
fn data_behind_the_peers_fin_is_ignored() {
    established(|p| {
        states::lead(p, State::CloseWait);
        p.inject("P. 2:102 ack 1");
        p.forget();
        assert_eq!(p.info().rcv_nxt.0, 2);
        p.read_end();
        p.is(State::CloseWait);
    });
}

/// FIN is sent again until it is acknowledged.
#[test]
fn fin_is_retransmitted() {
    established(|p| {
        p.close();
        p.expect("F. 1 ack 1");
        p.expect_in(210, "F. 1 ack 1 why retransmit-timeout#1");
        p.expect_in(420, "F. 1 ack 1 why retransmit-timeout#2");
        p.inject(". 1 ack 2");
        p.is(State::FinWait2);
        p.quiet(100_000);
    });
    established(|p| {
        states::lead(p, State::CloseWait);
        p.close();
        p.expect("F. 1 ack 2");
        p.expect_in(210, "F. 1 ack 2");
        p.is(State::LastAck);
    });
}

/// The last of data and FIN were lost together: both come again.
#[test]
fn data_and_fin_are_retransmitted_together() {
    established(|p| {
        p.write(500);
        p.expect("P. 1:501 ack 1");
        p.close();
        p.expect("F. 501 ack 1");
        p.wait(210);
        let first = p.forget().swap_remove(0);
        assert_eq!(first.payload.len(), 500);
        p.inject(". 1 ack 501");
        if !first.header.flags.has(Flags::FIN) {
            p.expect("F. 501 ack 1");
        }
        p.inject(". 1 ack 502");
        p.is(State::FinWait2);
    });
}

//= 9293/SHLD-3
#[test]
fn letting_go_with_unread_data_resets() {
    established(|p| {
        p.inject("P. 1:101 ack 1");
        p.forget();
        p.release();
        p.expect("Ra 1 why reset-unread-data");
        p.is_gone();
    });
}

//= 9293/SHLD-3
//= 9293/MAY-1
#[test]
fn data_after_letting_go_is_answered_with_reset() {
    for state in [State::FinWait1, State::FinWait2] {
        established(|p| {
            p.release();
            p.expect("F. 1 ack 1");
            let ack = if state == State::FinWait2 { 2 } else { 1 };
            p.inject(&format!(". 1 ack {ack}"));
            p.is(state);
            p.inject(&format!("P. 1:101 ack {ack}"));
            p.expect("Ra * why reset-data-after-close");
            p.is_gone();
        });
    }
}

/// A connection that was let go does not stay in FIN-WAIT-2 for ever; one that is still held does.
#[test]
fn fin_wait_2_ends_when_nobody_holds_it() {
    established(|p| {
        p.release();
        p.expect("F. 1 ack 1");
        p.inject(". 1 ack 2");
        p.is(State::FinWait2);
        p.wait(59_000);
        p.is(State::FinWait2);
        p.wait(62_000);
        p.is_gone();
        p.forget();
    });
    established(|p| {
        p.close();
        p.expect("F. 1 ack 1");
        p.inject(". 1 ack 2");
        p.quiet(600_000);
        p.is(State::FinWait2);
    });
}

/// Letting go of what was wholly read closes in order.
#[test]
fn letting_go_without_unread_data_closes_in_order() {
    established(|p| {
        p.inject("P. 1:101 ack 1");
        p.forget();
        p.read(100);
        p.forget();
        p.write(700);
        p.expect("P. 1:701 ack 101");
        p.release();
        p.expect("F. 701 ack 101");
        p.inject("F. 101 ack 702");
        p.expect(". 702 ack 102");
        p.is(State::TimeWait);
    });
}

/// A second CLOSE changes nothing.
#[test]
fn close_twice_sends_one_fin() {
    established(|p| {
        p.close();
        p.expect("F. 1 ack 1");
        p.close();
        p.expect_nothing();
        p.inject(". 1 ack 2");
        p.close();
        p.expect_nothing();
        p.is(State::FinWait2);
    });
}

/// CLOSE in CLOSE-WAIT with data that the peer's window holds back: FIN waits behind it, and the name of the state
/// changes when FIN is sent.
#[test]
fn in_close_wait_fin_waits_behind_queued_data() {
    Setup::default().window(1000).established(|p| {
        states::lead(p, State::CloseWait);
        p.write(1800);
        p.expect("p. 1:1001 ack 2");
        p.close();
        p.expect_nothing();
        p.is(State::CloseWait);
        p.inject(". 2 ack 1001");
        p.expect("FP. 1001:1801 ack 2");
        p.is(State::LastAck);
    });
}

/// A reset while we wait for the end ends it, and is told as such.
#[test]
fn a_reset_while_closing_is_told() {
    for state in [State::FinWait1, State::FinWait2, State::CloseWait] {
        established(|p| {
            states::lead(p, state);
            p.take_events();
            p.inject(&format!("R {}", p.info().rcv_nxt.0));
            p.is_closed(CloseReason::Reset);
        });
    }
    // In CLOSING and LAST-ACK both sides have said all they had to say (RFC 9293 3.10.7.4, second).
    for state in [State::Closing, State::LastAck] {
        established(|p| {
            states::lead(p, state);
            p.inject("R 2");
            p.is_over();
        });
    }
}

/// One byte in flight each way, both close: nothing is lost.
#[test]
fn every_byte_before_fin_arrives() {
    for role in [Role::Active, Role::Passive, Role::HostActive] {
        let mut p = Setup::default().open(role, Corner::ALL[0]);
        p.forget();
        p.write(1);
        p.expect("P. 1:2 ack 1");
        p.close();
        p.expect("F. 2 ack 1");
        p.inject("FP. 1:2 ack 3");
        p.expect(". 3 ack 3");
        p.is(State::TimeWait);
        p.read(1);
        p.read_end();
        p.expect_nothing();
    }
}
