//! Urgent data: a mark in the stream, nothing more.
//!
//! Sections: RFC 9293 3.8.5, 3.10.2, 3.10.7.4 (step 6); RFC 6093.
//! In: URG with every pointer; SEND with the urgent flag.
//! Out: an event, a pointer behind the last urgent byte; and the same stream of bytes.

use tidegate_proto::tcp::Event;

use crate::play::{Corner, Play, Role, Setup, established, with};
use crate::states;

//= 9293/MUST-30
//= 9293/MUST-62
#[test]
fn the_pointer_stands_behind_the_urgent_data() {
    established(|p| {
        p.write_urgent(10);
        // SEG.SEQ + SEG.UP is the number behind the last urgent byte.
        p.expect("PU. 1:11 ack 1 urg 10");
        p.inject(". 1 ack 11");
        p.write(5);
        p.expect("P. 11:16 ack 1 urg 0");
    });
}

/// Data before the urgent data carries the pointer too: the peer learns as early as can be.
//= 9293/MUST-62
#[test]
fn earlier_data_points_ahead() {
    Setup::default().window(1000).established(|p| {
        p.write(1000);
        p.expect("P. 1:1001 ack 1");
        p.write(500);
        p.write_urgent(100);
        p.expect_nothing();
        p.inject(". 1 ack 1001");
        let sent = p.expect("pU. 1001:1601 ack 1 urg 600");
        assert_eq!(sent.header.urgent, 600);
    });
}

//= 9293/MUST-31
#[test]
fn urgent_data_may_be_longer_than_a_segment() {
    established(|p| {
        p.write_urgent(2500);
        p.expect_all(&["pU. 1:1001 ack 1 urg 2500", "pU. 1001:2001 ack 1 urg 1500"]);
        p.forget();
        p.inject(". 1 ack 2001");
        p.forget();
    });
}

//= 9293/MUST-32
#[test]
fn the_application_is_told_when_urgent_data_appears_and_advances() {
    established(|p| {
        p.inject("PU. 1:11 ack 1 urg 5");
        p.forget();
        assert!(urgent(p), "first appears");
        p.inject("PU. 11:21 ack 1 urg 2");
        p.forget();
        assert!(urgent(p), "advances");
        p.inject("PU. 21:31 ack 1 urg 0");
        p.forget();
        assert!(!urgent(p), "behind: nothing new");
        p.read(30);
        p.forget();
    });
}

fn urgent(p: &mut Play) -> bool {
    p.take_events().contains(&Event::Urgent)
}

/// The pointer may announce what has not arrived.
//= 9293/MUST-32
#[test]
fn the_pointer_may_run_ahead_of_the_data() {
    established(|p| {
        p.inject("PU. 1:11 ack 1 urg 500");
        p.forget();
        assert!(urgent(p));
        p.inject("PU. 11:21 ack 1 urg 490");
        p.forget();
        assert!(!urgent(p), "the same place told again");
        p.read(20);
        p.forget();
    });
}

//= 9293/MUST-66
#[test]
fn a_closed_window_takes_the_urgent_pointer() {
    with(|c| (c.rcv_buf, c.rcv_buf_max) = (4000, 4000)).established(|p| {
        states::fill_window(p);
        p.take_events();
        let next = p.info().rcv_nxt.0;
        p.inject(&format!("U. {next} ack 1 urg 10"));
        p.forget();
        assert!(urgent(p));
    });
}

/// whatever the pointer, with and without payload, the stream is the one without URG.
//= 9293/MUST-30
#[test]
fn the_stream_is_the_same_whatever_the_pointer() {
    for pointer in (0..=u16::MAX).step_by(97).chain([1, 2, 99, 100, 101, u16::MAX]) {
        let corner = Corner::ALL[usize::from(pointer) % Corner::ALL.len()];
        let mut p = Setup::default().open(Role::Active, corner);
        p.inject_blindly(&format!("U. 1:101 ack 1 urg {pointer}"));
        p.inject_blindly(&format!("U. 101 ack 1 urg {pointer}"));
        p.inject_blindly(&format!("PU. 101:201 ack 1 urg {pointer}"));
        p.inject_blindly(&format!("FPU. 201:301 ack 1 urg {pointer}"));
        p.read(300);
        p.read_end();
        p.forget();
    }
}

/// A pointer without the flag means nothing.
#[test]
fn a_pointer_without_the_flag_is_nothing() {
    established(|p| {
        p.inject("P. 1:11 ack 1 urg 7");
        p.forget();
        assert!(!urgent(p));
        p.read(10);
        p.forget();
    });
}

/// Retransmitted urgent data still is.
#[test]
fn urgent_data_is_urgent_again_when_resent() {
    established(|p| {
        p.write_urgent(10);
        p.expect("PU. 1:11 ack 1 urg 10");
        p.expect_in(210, "pU. 1:11 ack 1 urg 10");
    });
}

//= 9293/MUST-33
#[test]
fn the_application_can_ask_how_much_urgent_data_remains() {
    established(|p| {
        assert_eq!(p.info().urgent, 0);
        p.inject("PU. 1:11 ack 1 urg 50");
        p.forget();
        assert_eq!(p.info().urgent, 50);
        p.read(10);
        assert_eq!(p.info().urgent, 40);
        p.inject("P. 11:101 ack 1");
        p.forget();
        p.read(30);
        assert_eq!(p.info().urgent, 10);
        p.read(60);
        assert_eq!(p.info().urgent, 0);
        p.forget();
    });
}

/// The pointer is sixteen bits: further away it says "at least so far", until it comes near.
//= 9293/MUST-31
#[test]
fn a_pointer_further_than_its_field_is_cut() {
    Setup::default().peer("mss 1000,wscale 7").established(|p| {
        p.inject(". 1 ack 1");
        p.write(69_000);
        let mut seen = p.forget().len();
        p.write_urgent(1000);
        let mut una = p.info().snd_nxt.0;
        p.inject(&format!(". 1 ack {una}"));
        while una < 70_001 {
            for sent in p.forget() {
                let first = i64::from(sent.header.seq.distance(p.iss.expect("known")));
                assert_eq!(i64::from(sent.header.urgent), (70_001 - first).min(65_535), "{}", p.story());
                seen += 1;
            }
            una = p.info().snd_nxt.0;
            p.inject(&format!(". 1 ack {una}"));
        }
        assert_eq!(seen, 70);
    });
}

/// A single byte, as programs have always sent it.
//= 9293/MUST-62
#[test]
fn one_urgent_byte_behind_others() {
    Setup::default().window(100).established(|p| {
        p.write(100);
        p.expect("P. 1:101 ack 1");
        p.write(9);
        p.write_urgent(1);
        p.inject(". 1 ack 101");
        p.expect("PU. 101:111 ack 1 urg 10");
        p.inject(". 1 ack 111");
        p.write_urgent(1);
        p.expect("PU. 111:112 ack 1 urg 1");
    });
}
