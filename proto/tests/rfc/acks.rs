//! Acknowledgements: when they go out, and what an arriving one may say.
//!
//! Sections: RFC 9293 3.8.6.3, 3.10.7.4 (step 5); RFC 5681 4.2; RFC 5961 5.
//! In: data in every rhythm; acknowledgements old, new and impossible.
//! Out: at once, every second, or 40 ms later; SND.UNA moved or not.

use tidegate_proto::tcp::{Config, DropReason, State, Verdict};

use crate::play::{Play, Setup, established, with};
use crate::states;

/// Past its quick start.
fn patient(c: &mut Config) {
    c.quick_acks = 0;
}

//= 9293/SHLD-18
//= 9293/MUST-40
#[test]
fn a_single_segment_waits_forty_milliseconds() {
    with(patient).established(|p| {
        p.inject("P. 1:101 ack 1");
        p.expect_in(40, ". 1 ack 101 why ack-delayed");
        p.quiet(1000);
    });
}

/// The timer runs from the first segment that waits, not from the last.
//= 9293/MUST-40
#[test]
fn waiting_is_not_prolonged() {
    with(patient).established(|p| {
        p.inject("P. 1:11 ack 1");
        p.quiet(20);
        p.inject("P. 11:21 ack 1");
        p.quiet(10);
        p.inject("P. 21:31 ack 1");
        p.expect_in(10, ". 1 ack 31");
    });
}

//= 9293/SHLD-19
#[test]
fn every_second_full_segment_is_acknowledged() {
    with(patient).established(|p| {
        for i in 0..20 {
            let first = 1 + 2000 * i;
            p.inject(&format!(". {first}:{} ack 1", first + 1000));
            p.expect_nothing();
            p.inject(&format!(". {}:{} ack 1", first + 1000, first + 2000));
            p.expect(&format!(". 1 ack {} why ack-every-second", first + 2000));
            p.read(2000);
            p.forget();
        }
    });
}

/// Segments merged on the way in count as the segments that they were.
//= 9293/SHLD-19
#[test]
fn two_full_segments_in_one_frame_are_two() {
    with(patient).established(|p| {
        p.inject(". 1:2001 ack 1");
        p.expect(". 1 ack 2001");
    });
}

//= 9293/MUST-58
//= 9293/MUST-59
#[test]
fn all_queued_segments_share_one_acknowledgement() {
    established(|p| {
        p.inject_all(&[". 1:1001 ack 1", ". 1001:2001 ack 1", ". 2001:3001 ack 1", "P. 3001:3501 ack 1"]);
        p.expect(". 1 ack 3501");
        p.expect_nothing();
    });
}

/// The acknowledgement rides on data when there is some.
//= 9293/MUST-58
#[test]
fn data_carries_the_acknowledgement() {
    with(patient).established(|p| {
        p.inject("P. 1:101 ack 1");
        p.quiet(10);
        p.write(300);
        p.expect("P. 1:301 ack 101 why data");
        p.quiet(100);
    });
}

/// RFC 5681 4.2: above a gap, and when it is filled, at once; so that the sender can repair.
#[test]
fn gaps_are_acknowledged_at_once() {
    with(patient).established(|p| {
        p.inject("P. 1001:1101 ack 1");
        p.expect(". 1 ack 1 why ack-out-of-order");
        p.inject("P. 1101:1201 ack 1");
        p.expect(". 1 ack 1 why ack-out-of-order");
        p.inject("P. 1:501 ack 1");
        p.expect(". 1 ack 501 why ack-gap-filled");
        p.inject("P. 501:1001 ack 1");
        p.expect(". 1 ack 1201 why ack-gap-filled");
    });
}

/// The first segments of a connection are acknowledged at once; then patience begins.
#[test]
fn the_quick_start_ends() {
    with(|c| c.quick_acks = 4).established(|p| {
        let mut at_once = 0;
        for i in 0..20 {
            p.inject(&format!("P. {}:{} ack 1", 1 + 10 * i, 11 + 10 * i));
            at_once += p.forget().len();
            p.wait(100);
            p.forget();
        }
        assert!((1..=4).contains(&at_once), "{at_once} acknowledged at once");
    });
}

/// Acknowledgements are never acknowledged.
#[test]
fn a_bare_acknowledgement_gets_no_answer() {
    established(|p| {
        p.inject(". 1 ack 1");
        p.inject(". 1 ack 1");
        p.inject(". 1 ack 1 win 100");
        p.quiet(10_000);
    });
}

/// SND.UNA =< SEG.ACK =< SND.NXT moves SND.UNA.
#[test]
fn acknowledgements_move_snd_una() {
    established(|p| {
        p.write(3000);
        p.forget();
        for (ack, una) in [(501, 501), (501, 501), (1001, 1001), (400, 1001), (3001, 3001)] {
            p.inject_blindly(&format!(". 1 ack {ack}"));
            assert_eq!(p.info().snd_una.0, una, "after ack {ack}");
        }
        p.quiet(10_000);
    });
}

/// An acknowledgement of what was never sent: answered, dropped, and nothing in it counts.
#[test]
fn an_acknowledgement_of_unsent_data_is_answered_and_dropped() {
    for ahead in [1, 2, 1000, 70_000, i64::from(i32::MAX)] {
        established(|p| {
            p.write(500);
            p.expect("P. 1:501 ack 1");
            let verdict = p.inject(&format!("P. 1:101 ack {} win 9", 501 + ahead));
            // Half the number space ahead is the other half behind.
            assert!(matches!(verdict, Verdict::Answered(DropReason::AckTooNew | DropReason::AckTooOld)), "{verdict:?}");
            p.expect(". 501 ack 1 why ack-challenge");
            let info = p.info();
            assert_eq!((info.snd_una.0, info.rcv_nxt.0, info.snd_wnd), (1, 1, 65_535), "nothing changed");
        });
    }
}

/// The same in every state that checks it so.
#[test]
fn an_acknowledgement_of_unsent_data_in_every_state() {
    for state in [State::FinWait1, State::FinWait2, State::CloseWait, State::Closing, State::LastAck] {
        established(|p| {
            states::lead(p, state);
            let info = p.info();
            p.inject(&format!(". {} ack {}", info.rcv_nxt.0, info.snd_nxt.0 + 1));
            p.expect(&format!(". {} ack {}", info.snd_nxt.0, info.rcv_nxt.0));
            p.is(state);
        });
    }
}

/// data with an acknowledgement from nowhere has no effect; the honest, merely late one has.
//= 9293/MAY-12
//= 5961#5.2
#[test]
fn data_with_a_wild_acknowledgement_has_no_effect() {
    Setup::default().window(2000).established(|p| {
        for i in 0..30 {
            let first = 1 + 1000 * i;
            p.write(1000);
            p.expect(&format!("p. {first}:{} ack 1", first + 1000));
            p.inject(&format!(". 1 ack {}", first + 1000));
        }
        let before = p.info();
        for ack in [28_000, 20_000, 1, 0, -1, -1_000_000, 30_002, 1_000_000] {
            p.wait(500);
            p.inject(&format!("P. 1:101 ack {ack}"));
            p.expect(". 30001 ack 1");
            assert_eq!(p.info().rcv_nxt, before.rcv_nxt, "ack {ack}");
            p.read_nothing();
        }
        p.inject("P. 1:101 ack 28001");
        p.expect(". 30001 ack 101");
        p.read(100);
    });
}

/// before the peer has acknowledged anything it cannot acknowledge what came before the connection.
#[test]
fn ghost_acknowledgements_are_refused() {
    established(|p| {
        p.write(3);
        p.expect("P. 1:4 ack 1");
        for ack in [0, -1, -2, -1000, -60_000] {
            p.wait(if ack == 0 { 0 } else { 500 });
            p.forget();
            let verdict = p.inject(&format!("P. 1:101 ack {ack}"));
            assert!(!matches!(verdict, Verdict::Accepted), "ack {ack}");
            p.forget();
            assert_eq!(p.info().rcv_nxt.0, 1, "ack {ack}");
        }
    });
}

/// Old acknowledgements on new data are honest reordering.
#[test]
fn reordered_data_with_an_old_acknowledgement_is_taken() {
    established(|p| {
        p.write(1000);
        p.expect("P. 1:1001 ack 1");
        p.inject("P. 101:201 ack 1001");
        p.expect(". 1001 ack 1");
        p.inject("P. 1:101 ack 1");
        p.expect(". 1001 ack 201");
        p.read(200);
        assert_eq!(p.info().snd_una.0, 1001);
    });
}

/// While data waits for its acknowledgement the application's silence does not delay ours beyond the limit.
#[test]
fn reading_does_not_hold_back_or_hurry_the_acknowledgement() {
    with(patient).established(|p: &mut Play| {
        p.inject("P. 1:101 ack 1");
        p.quiet(20);
        p.read(100);
        p.expect_in(20, ". 1 ack 101");
    });
}
