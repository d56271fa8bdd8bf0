//! Which segments are acceptable, and what the others get.
//!
//! Sections: RFC 9293 3.4, 3.10.7.4 (step 1 and 7); RFC 9293/SHLD-31.
//! In: segments at every place around the window.
//! Out: delivered, kept for later, trimmed, or answered with an acknowledgement and dropped.

use tidegate_proto::tcp::{DropReason, State, Verdict};

use crate::play::{Setup, established, with};
use crate::states;

/// An unacceptable segment is answered with an acknowledgement of what is expected: so the peer learns.
#[test]
fn an_unacceptable_segment_is_answered_and_dropped() {
    for line in [
        ". 0 ack 1",
        ". -1 ack 1",
        "P. -100:0 ack 1",
        "P. -100:1 ack 1",
        ". 100000 ack 1",
        "P. 100000:100001 ack 1",
        "P. 2147483000:2147483001 ack 1",
        "F. -500 ack 1",
    ] {
        established(|p| {
            assert!(matches!(p.inject(line), Verdict::Answered(_)), "{line}");
            p.expect(". 1 ack 1");
            p.is(State::Established);
            p.read_nothing();
        });
    }
}

/// The four cases of RFC 9293 3.4, window 1,000 bytes: first byte, last byte, one further.
#[test]
fn the_edges_of_the_window() {
    let setup = with(|c| (c.rcv_buf, c.rcv_buf_max, c.challenge_ack_interval) = (2000, 2000, Default::default()));
    setup.established(|p| {
        let edge = 1 + i64::from(p.info().rcv_wnd);
        for (seq, len, kept) in [
            (edge, 1, 0),
            (edge + 1, 100, 0),
            (-99, 100, 0),
            (edge - 1, 1, 1),
            (edge - 1, 10, 1),
            (edge - 10, 10, 10),
            (edge - 10, 1000, 10),
        ] {
            p.inject(&format!("P. {seq}:{} ack 1", seq + len));
            p.expect(". 1 ack 1");
            assert_eq!(p.info().ooo_queue, kept, "{seq} {len}");
        }
        // What lies before and in the window is cut to what lies in it.
        p.inject("P. -49:51 ack 1");
        p.expect(". 1 ack 51");
        p.read(50);
    });
}

//= 9293/SHLD-31
//= 9293/MAY-13
#[test]
fn what_comes_out_of_order_is_kept() {
    established(|p| {
        p.inject("P. 2001:3001 ack 1");
        p.expect(". 1 ack 1 why ack-out-of-order");
        p.inject("P. 1001:2001 ack 1");
        p.expect(". 1 ack 1");
        p.read_nothing();
        p.inject("P. 1:1001 ack 1");
        p.expect(". 1 ack 3001 why ack-gap-filled");
        p.read(3000);
    });
}

/// Whatever the order, whatever the overlap, the stream is the same.
#[test]
fn any_order_and_overlap_gives_the_same_stream() {
    let pieces = [(1, 700), (300, 1300), (1000, 1600), (1500, 2501), (1, 2), (2400, 2501)];
    for order in permutations(pieces.len()) {
        let mut p = Setup::default().open(crate::play::Role::Active, crate::play::Corner::ALL[3]);
        for i in order {
            let (first, end) = pieces[i];
            p.inject_blindly(&format!("P. {first}:{end} ack 1"));
        }
        p.read(2500);
        p.wait(50);
        p.forget();
        assert_eq!(p.info().rcv_nxt.0, 2501);
        assert_eq!(p.info().ooo_queue, 0);
    }
}

fn permutations(n: usize) -> Vec<Vec<usize>> {
    let mut all = vec![vec![]];
    for i in 0..n {
        all = all
            .into_iter()
            .flat_map(|one: Vec<usize>| {
                (0..=i).map(move |at| {
                    let mut next = one.clone();
                    next.insert(at, i);
                    next
                })
            })
            .collect();
    }
    all
}

/// the first bytes that were accepted for a number stay; a later segment cannot rewrite them.
#[test]
fn accepted_bytes_are_never_rewritten() {
    established(|p| {
        p.inject("P. 501:1001 ack 1");
        p.forget();
        p.inject_bytes("P. 501:1001 ack 1", &[0xee; 500]);
        p.forget();
        p.inject_bytes("P. 901:1001 ack 1", &[0xdd; 100]);
        p.forget();
        p.inject("P. 1:501 ack 1");
        p.forget();
        p.inject_bytes("P. 1:1001 ack 1", &[0xcc; 1000]);
        p.forget();
        p.read(1000);
    });
}

/// A closed window takes no data, but the acknowledgement and the window in such a segment's fellows still count.
//= 9293/MUST-66
#[test]
fn a_closed_window_takes_acknowledgements() {
    with(|c| (c.rcv_buf, c.rcv_buf_max) = (4000, 4000)).established(|p| {
        states::fill_window(p);
        let next = p.info().rcv_nxt.0;
        p.write(500);
        p.expect(&format!("P. 1:501 ack {next} win 0"));
        p.inject(&format!(". {next} ack 501"));
        assert_eq!(p.info().snd_una.0, 501);
        p.inject(&format!("P. {next}:{} ack 501", next + 1));
        p.expect(&format!(". 501 ack {next} win 0"));
        assert_eq!(p.info().rcv_nxt.0, next);
    });
}

/// The ACK bit is off: dropped, whatever else it says (RFC 9293 3.10.7.4, fifth).
#[test]
fn without_ack_nothing_happens() {
    for state in
        [State::Established, State::FinWait1, State::FinWait2, State::CloseWait, State::Closing, State::LastAck]
    {
        for flags in ["P", "F", "U", "none", "FPU"] {
            established(|p| {
                states::lead(p, state);
                let next = p.info().rcv_nxt.0;
                let verdict = p.inject(&format!("{flags} {next}:{}", next + 10));
                assert!(matches!(verdict, Verdict::Dropped(_)), "{flags} in {state}: {verdict:?}");
                p.expect_nothing();
                p.is(state);
                assert_eq!(p.info().rcv_nxt.0, next);
                p.forget();
            });
        }
    }
}

/// Exact duplicates are acknowledged, and told as such.
#[test]
fn a_duplicate_is_acknowledged_again() {
    established(|p| {
        p.inject("P. 1:1001 ack 1");
        p.expect(". 1 ack 1001");
        assert_eq!(p.inject("P. 1:1001 ack 1"), Verdict::Answered(DropReason::Duplicate));
        p.expect(". 1 ack 1001 why ack-duplicate");
        p.read(1000);
        p.read_nothing();
    });
}

//= 9293/MUST-1
//= 9293/REC-1
#[test]
fn the_window_field_is_unsigned() {
    Setup::default().window(65_535).established(|p| {
        assert_eq!(p.info().snd_wnd, 65_535);
        p.inject(". 1 ack 1 win 32768");
        assert_eq!(p.info().snd_wnd, 32_768);
        p.inject(". 1 ack 1 win 32767");
        assert_eq!(p.info().snd_wnd, 32_767);
    });
    Setup::default().peer("mss 1000,wscale 14").window(65_535).established(|p| {
        p.inject(". 1 ack 1 win 65535");
        assert_eq!(p.info().snd_wnd, 65_535 << 14);
    });
}
