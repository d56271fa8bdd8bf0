//! Keep-alive: asking a silent peer whether it is still there.
//!
//! Sections: RFC 9293 3.8.4.
//! In: hours of silence.
//! Out: nothing, unless it was asked for; then probes without data, and an end only after several.

use tidegate_proto::tcp::{CloseReason, Config, State};
use tidegate_proto::time::Duration;

use crate::play::{established, with};

fn alive(c: &mut Config) {
    c.keepalive = true;
}

//= 9293/MUST-25
#[test]
fn keep_alive_is_off_unless_asked_for() {
    established(|p| {
        p.quiet(30 * 24 * 3600 * 1000);
        p.is(State::Established);
        assert_eq!(p.subject.next_timeout(), None);
    });
}

//= 9293/MUST-24
//= 9293/MUST-28
//= 9293/SHLD-12
//= 9293/MAY-5
#[test]
fn the_first_probe_comes_after_two_hours() {
    with(alive).established(|p| {
        p.expect_in(7_200_000, ". 0 ack 1 why keep-alive#1");
        p.inject(". 1 ack 1");
        p.expect_in(7_200_000, ". 0 ack 1 why keep-alive#1");
    });
}

//= 9293/MUST-27
//= 9293/MUST-29
#[test]
fn only_several_unanswered_probes_end_the_connection() {
    let setup = with(|c| {
        c.keepalive = true;
        c.keepalive_time = Duration::from_secs(60);
        c.keepalive_interval = Duration::from_secs(5);
        c.keepalive_probes = 3;
    });
    setup.established(|p| {
        p.expect_in(60_000, ". 0 ack 1 why keep-alive#1");
        p.expect_in(5_000, ". 0 ack 1 why keep-alive#2");
        p.expect_in(5_000, ". 0 ack 1 why keep-alive#3");
        p.wait(4_999);
        p.is(State::Established);
        p.wait(1);
        p.forget();
        p.is_closed(CloseReason::TimedOut);
    });
    setup.established(|p| {
        p.expect_in(60_000, ". 0 ack 1 why keep-alive#1");
        p.expect_in(5_000, ". 0 ack 1 why keep-alive#2");
        p.inject(". 1 ack 1");
        p.expect_in(60_000, ". 0 ack 1 why keep-alive#1");
    });
}

//= 9293/MUST-26
#[test]
fn anything_that_arrives_puts_the_probe_off() {
    with(alive).established(|p| {
        p.quiet(7_000_000);
        p.inject("P. 1:11 ack 1");
        p.expect(". 1 ack 11");
        p.quiet(7_199_999);
        p.wait(1);
        p.expect(". 0 ack 11 why keep-alive#1");
    });
}

//= 9293/MUST-26
#[test]
fn nothing_is_probed_while_data_is_outstanding() {
    with(|c| {
        c.keepalive = true;
        c.keepalive_time = Duration::from_secs(1);
        c.keepalive_interval = Duration::from_secs(1);
        c.keepalive_probes = 1;
    })
    .established(|p| {
        p.write(100);
        p.expect("P. 1:101 ack 1");
        for _ in 0..6 {
            assert!(p.next_timer());
            for sent in p.forget() {
                assert!(sent.cause.name().starts_with("retransmit"), "{}", p.story());
            }
        }
        p.is(State::Established);
        p.inject(". 1 ack 101");
        p.expect_in(1000, ". 100 ack 1 why keep-alive#1");
    });
}

/// The other side's probes are answered, with and without a garbage byte.
//= 9293/MAY-6
#[test]
fn the_peers_probes_are_answered() {
    established(|p| {
        for _ in 0..3 {
            p.wait(7_200_000);
            p.inject(". 0 ack 1");
            p.expect(". 1 ack 1");
            p.wait(7_200_000);
            p.inject_bytes(". 0:1 ack 1", &[0]);
            p.expect(". 1 ack 1");
        }
        p.read_nothing();
    });
}

//= 9293/MUST-24
#[test]
fn keep_alive_can_be_switched_while_the_connection_lives() {
    established(|p| {
        p.quiet(10_000_000);
        p.configure(|c| (c.keepalive, c.keepalive_time) = (true, Duration::from_secs(30_000)));
        p.expect_in(20_000_000, ". 0 ack 1 why keep-alive#1");
        p.configure(|c| c.keepalive = false);
        p.quiet(10_000_000);
        p.is(State::Established);
    });
}
