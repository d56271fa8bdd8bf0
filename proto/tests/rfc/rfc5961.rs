//! Blind attacks: a stranger who guesses numbers gets a challenge, and not too many of those.
//!
//! Sections: RFC 5961 3, 4, 5, 7 (3 and 5 stand in `resets` and `acks` too).
//! In: SYN, RST, data at every place of the window, in every synchronized state.
//! Out: the connection as it was; at most one challenge per interval.

use tidegate_proto::tcp::{CloseReason, DropReason, State, Verdict};
use tidegate_proto::time::Duration;

use crate::play::{Setup, established, with};
use crate::states;

const SYNCHRONIZED: [State; 6] =
    [State::Established, State::FinWait1, State::FinWait2, State::CloseWait, State::Closing, State::LastAck];

//= 5961#4.2
#[test]
fn a_syn_never_resets_whatever_its_number() {
    for state in SYNCHRONIZED {
        for line in ["S 0", "S 1", "S 2", "S 500", "S -1000", "S 1000000", "S 2147483647", "S. 1 ack 1", "S. 500 ack 1"]
        {
            established(|p| {
                states::lead(p, state);
                let info = p.info();
                let verdict = p.inject(line);
                assert!(matches!(verdict, Verdict::Answered(_)), "{line} in {state}: {verdict:?}");
                p.expect(&format!(". {} ack {}", info.snd_nxt.0, info.rcv_nxt.0));
                p.is(state);
                let after = p.info();
                assert_eq!((after.rcv_nxt, after.snd_una, after.snd_wnd), (info.rcv_nxt, info.snd_una, info.snd_wnd));
            });
        }
    }
}

/// A peer that really restarted answers the challenge with RST, and can open anew.
//= 5961#4.2
#[test]
fn a_restarted_peer_recovers() {
    Setup::default().hosts(|p| {
        p.inject("S 70000 <mss 1000>");
        p.expect(". 1 ack 1 why ack-challenge");
        p.inject("R 1");
        p.is_over();
        p.forget();
    });
}

//= 5961#7
#[test]
fn challenges_are_limited_per_connection() {
    established(|p| {
        assert_eq!(p.inject("R 100"), Verdict::Answered(DropReason::ResetNotExact));
        p.expect(". 1 ack 1 why ack-challenge");
        for _ in 0..50 {
            p.wait(9);
            assert_eq!(p.inject("R 100"), Verdict::Dropped(DropReason::RateLimited));
            p.expect_nothing();
        }
        p.wait(60);
        assert_eq!(p.inject("R 100"), Verdict::Answered(DropReason::ResetNotExact));
        p.expect(". 1 ack 1 why ack-challenge");
    });
}

/// The limit never swallows what counts: the exact reset still ends the connection, honest data still arrives.
//= 5961#7
#[test]
fn the_limit_leaves_honest_segments_alone() {
    established(|p| {
        for _ in 0..20 {
            p.inject_blindly("S 500");
        }
        p.inject("P. 1:101 ack 1");
        p.expect(". 1 ack 101");
        p.inject("R 101");
        p.is_closed(CloseReason::Reset);
    });
}

/// The interval is a setting.
#[test]
fn the_interval_can_be_set() {
    with(|c| c.challenge_ack_interval = Duration::ZERO).established(|p| {
        for _ in 0..10 {
            p.inject("R 100");
            p.expect(". 1 ack 1 why ack-challenge");
        }
    });
}

/// two sides that disagree about everything do not answer each other for ever.
#[test]
fn disagreement_makes_no_storm() {
    let corner = |iss, irs| crate::play::Corner { iss, irs };
    let mut a = Setup::default().open(crate::play::Role::Active, corner(1000, 2000));
    let mut b = Setup::default().open(crate::play::Role::Active, corner(900_000_000, 500_000_000));
    a.forget();
    b.forget();
    a.write(100);
    let mut packets = 0;
    for _ in 0..200 {
        for sent in a.forget() {
            packets += 1;
            let seq = i64::from(sent.header.seq.distance(b.irs));
            let ack = i64::from(sent.header.ack.distance(b.iss.expect("known")));
            b.inject_bytes(&format!(". {seq}:{} ack {ack}", seq + sent.payload.len() as i64), &sent.payload);
        }
        for sent in b.forget() {
            packets += 1;
            let seq = i64::from(sent.header.seq.distance(a.irs));
            let ack = i64::from(sent.header.ack.distance(a.iss.expect("known")));
            a.inject_bytes(&format!(". {seq}:{} ack {ack}", seq + sent.payload.len() as i64), &sent.payload);
        }
        a.wait(1);
        b.wait(1);
    }
    assert!(packets <= 20, "{packets} packets in 200 ms of disagreement");
}
