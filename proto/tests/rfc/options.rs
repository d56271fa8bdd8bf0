//! Options on the wire: known, unknown, misplaced and impossible ones.
//!
//! Sections: RFC 9293 3.1, 3.2.
//! In: option bytes of every kind, into a whole host.
//! Out: the right settings, or the segment dropped; never harm to the connection.

use tidegate_proto::tcp::{DropReason, State, Verdict};

use crate::play::{Corner, Play, Role, Setup};

fn hosts(script: impl Fn(&mut Play)) {
    Setup::default().hosts(script);
}

/// The send MSS that a SYN with these option bytes leads to.
fn mss_after(raw: &str) -> u16 {
    let mut p = Setup::default().config(|c| c.max_segment = None).host(Role::HostPassive, Corner::ALL[1]);
    p.inject(&format!("S 0 <raw {raw}>"));
    p.expect("S. 0 ack 1");
    p.inject(". 1 ack 1");
    p.accept();
    p.forget();
    p.info().snd_mss
}

//= 9293/MUST-4
//= 9293/MUST-64
#[test]
fn mss_is_read_at_any_alignment() {
    for raw in [
        "02 04 02 bc",
        "01 02 04 02 bc 00 00 00",
        "01 01 02 04 02 bc 00 00",
        "01 01 01 02 04 02 bc 00",
        "02 04 02 bc 00 00 00 00",
        "01 02 04 02 bc 01 01 01",
    ] {
        assert_eq!(mss_after(raw), 700, "{raw}");
    }
}

//= 9293/MUST-69
#[test]
fn what_follows_the_end_of_the_list_is_not_read() {
    assert_eq!(mss_after("00 02 04 02 bc 00 00 00"), 536);
    assert_eq!(mss_after("02 04 02 bc 00 02 04 03"), 700);
}

//= 9293/MUST-6
//= 9293/MUST-68
#[test]
fn unknown_options_are_stepped_over_by_their_length() {
    for raw in [
        "fd 02 02 04 02 bc 00 00",
        "fe 06 de ad be ef 02 04 02 bc 00 00",
        "22 0a 01 02 03 04 05 06 07 08 02 04 02 bc 00 00",
    ] {
        assert_eq!(mss_after(raw), 700, "{raw}");
    }
}

//= 9293/MUST-5
#[test]
fn options_are_taken_on_any_segment() {
    for raw in [
        "01 01 01 01",
        "fd 04 12 34",
        "02 04 00 01",
        "03 03 0e 00",
        "04 02 00 00",
        "05 0a 00 00 00 01 00 00 00 02 00 00",
    ] {
        hosts(|p| {
            let mss = p.info().snd_mss;
            assert_eq!(p.inject(&format!("P. 1:101 ack 1 <raw {raw}>")), Verdict::Accepted, "{raw}");
            p.expect(". 1 ack 101");
            p.read(100);
            assert_eq!(p.info().snd_mss, mss, "MSS counts only with SYN");
            assert_eq!(p.info().window_scale, None);
        });
    }
}

//= 9293/MUST-7
#[test]
fn impossible_lengths_cost_the_segment_and_not_the_connection() {
    for raw in [
        "02 00 02 bc",
        "02 01 02 bc",
        "08 00 00 00",
        "fd 00 00 00",
        "fd 01 00 00",
        "01 01 01 02",
        "02 28 00 00",
        "05 ff 00 00",
    ] {
        hosts(|p| {
            let verdict = p.inject(&format!("P. 1:101 ack 1 <raw {raw}>"));
            assert_eq!(verdict, Verdict::Dropped(DropReason::BadOptions), "{raw}");
            p.expect_nothing();
            p.is(State::Established);
            p.inject("P. 1:101 ack 1");
            p.expect(". 1 ack 101");
            p.read(100);
        });
        let mut p = Setup::default().host(Role::HostPassive, Corner::ALL[1]);
        p.inject(&format!("S 0 <raw {raw}>"));
        p.forget();
    }
}

/// Known kinds with a length that they cannot have.
//= 9293/MUST-7
#[test]
fn known_kinds_with_a_wrong_length_do_no_harm() {
    for (kind, right) in [("02", 4), ("03", 3), ("04", 2), ("05", 10), ("08", 10)] {
        for len in (2..=36_usize).filter(|len| *len != right) {
            let rest = "7f ".repeat(len - 2);
            let pad = "01 ".repeat((4 - len % 4) % 4);
            let raw = format!("{kind} {len:02x} {rest}{pad}");
            let mut p = Setup::default().host(Role::HostPassive, Corner::ALL[1]);
            p.inject(&format!("S 0 <raw {raw}>"));
            p.expect("S. 0 ack 1");
            p.inject(". 1 ack 1");
            p.accept();
            p.inject_blindly(&format!("P. 1:101 ack 1 <raw {raw}>"));
            p.is(State::Established);
            p.inject_blindly("P. 1:101 ack 1");
            p.read(100);
            p.forget();
        }
    }
}

/// All kinds, all lengths: nothing panics, nothing hangs, the connection lives.
//= 9293/MUST-7
//= 9293/MUST-68
#[test]
fn every_kind_and_length_is_survived() {
    let mut p = Setup::default().open(Role::HostPassive, Corner::ALL[1]);
    p.forget();
    let mut next = 1;
    for kind in 0..=255_u8 {
        for len in 0..=255_u8 {
            p.inject_blindly(&format!("P. {next}:{} ack 1 <raw {kind:02x} {len:02x} 05 0a>", next + 1));
            next = p.info().rcv_nxt.0;
            if next % 4096 == 0 {
                let waiting = p.info().recv_queue;
                p.read(waiting);
            }
        }
    }
    p.is(State::Established);
}
