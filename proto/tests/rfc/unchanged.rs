//! What is refused changes nothing: not the windows, not the queues, not a timer.
//!
//! Sections: RFC 9293 3.10.7.4 ("drop the segment and return"); RFC 5961 5.
//! In: thousands of unacceptable segments.
//! Out: the same variables as before.

use tidegate_proto::tcp::{DropReason, State, TcpInfo, Verdict};
use tidegate_proto::wire::Flags;

use crate::play::{Corner, Play, Role, Setup};
use crate::states;

/// Everything but the counters of segments.
fn without_counters(p: &Play) -> TcpInfo {
    TcpInfo { segs_in: 0, segs_out: 0, ..p.info() }
}

fn sweep(state: State, options: &str) {
    for corner in [Corner::ALL[0], Corner::ALL[3], Corner::ALL[4]] {
        let setup = Setup::default().peer(options).config(|c| (c.rcv_buf, c.rcv_buf_max) = (20_000, 20_000));
        let mut p = setup.open(Role::Active, corner);
        p.forget();
        p.inject_blindly("P. 501:601 ack 1");
        p.write(300);
        states::lead(&mut p, state);
        p.wait(600);
        p.forget();
        p.take_events();
        let info = p.info();
        let (una, nxt, rcv) = (info.snd_una.0, info.snd_nxt.0, info.rcv_nxt.0);
        for bits in 0..256 {
            for seq in [rcv, rcv - 1, rcv + 1, rcv - 100_000, rcv + 100_000, rcv + i64::from(i32::MAX)] {
                for (len, ack) in [(0, nxt), (20, nxt + 1), (20, una - 200_000), (700, nxt + 70_000), (1, 0)] {
                    let mut tried = p.clone();
                    let verdict = tried.inject_flags(Flags(bits), seq, len, ack);
                    let silent = matches!(verdict, Verdict::Dropped(_));
                    if silent {
                        tried.expect_nothing();
                    }
                    let refused = match verdict {
                        Verdict::Accepted | Verdict::Answered(DropReason::Duplicate) => false,
                        Verdict::Answered(reason) => reason != DropReason::NoMemory,
                        Verdict::Dropped(_) => true,
                    };
                    if refused && tried.state() == state {
                        let what = format!("{} {seq}+{len} ack {ack} in {state}: {verdict:?}", Flags(bits));
                        assert_eq!(without_counters(&p), without_counters(&tried), "{what}");
                        assert!(tried.take_events().is_empty(), "{what}");
                        assert_eq!(p.subject.next_timeout(), tried.subject.next_timeout(), "{what}");
                    } else if refused {
                        panic!(
                            "{} {seq}+{len} ack {ack}: {verdict:?} led from {state} to {}",
                            Flags(bits),
                            tried.state()
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn a_refused_segment_changes_nothing_in_established() {
    sweep(State::Established, "mss 1000");
    sweep(State::Established, "mss 1000,sackOK,TS,wscale 7");
}

#[test]
fn a_refused_segment_changes_nothing_while_closing() {
    for state in [State::FinWait1, State::CloseWait, State::LastAck] {
        sweep_behind_a_gap(state);
    }
}

/// FIN cannot come before the gap is filled, so these begin without one.
fn sweep_behind_a_gap(state: State) {
    for corner in [Corner::ALL[0], Corner::ALL[3]] {
        let mut p = Setup::default().open(Role::Active, corner);
        p.forget();
        states::lead(&mut p, state);
        p.wait(20);
        p.forget();
        p.take_events();
        let info = p.info();
        for bits in 0..256 {
            for offset in [0, 1, -1, 100_000] {
                for ack in [info.snd_nxt.0 + 1, info.snd_una.0 - 100_000] {
                    let mut tried = p.clone();
                    let seq = info.rcv_nxt.0 + offset;
                    let verdict = tried.inject_flags(Flags(bits), seq, 10, ack);
                    if matches!(verdict, Verdict::Dropped(_)) {
                        let what = format!("{} {seq} ack {ack} in {state}: {verdict:?}", Flags(bits));
                        assert_eq!(without_counters(&p), without_counters(&tried), "{what}");
                        assert_eq!(p.subject.next_timeout(), tried.subject.next_timeout(), "{what}");
                    }
                    if !Flags(bits).has(Flags::RST) {
                        assert_eq!((tried.info().snd_una, tried.info().rcv_nxt), (info.snd_una, info.rcv_nxt));
                    }
                }
            }
        }
    }
}
