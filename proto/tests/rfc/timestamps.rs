//! Timestamps: on every segment, what they measure, and what they protect.
//!
//! Sections: RFC 7323 3, 4, 5.
//! In: segments with young, old and absent timestamps.
//! Out: echoes, round trips, and old duplicates turned away.

use tidegate_proto::tcp::{CloseReason, DropReason, State, Verdict};
use tidegate_proto::time::Duration;

use crate::play::{Host, Role, START, Setup, from_packet, with};

fn stamped() -> Setup {
    Setup::default().peer("mss 1000,TS")
}

/// The fixture refuses any segment without; here the values.
//= 7323#3.2
#[test]
fn timestamps_tick_in_milliseconds_and_echo_the_peer() {
    stamped().established(|p| {
        p.wait(100);
        let first = p.inject("P. 1:101 ack 1 <TS val 110 ecr 0>");
        assert_eq!(first, Verdict::Accepted);
        let one = p.expect(". 1 ack 101 <TS val * ecr 110>");
        p.wait(1000);
        p.inject("P. 101:201 ack 1 <TS val 1110 ecr 110>");
        let two = p.expect(". 1 ack 201 <TS val * ecr 1110>");
        let ticks = |sent: &crate::play::Sent| sent.header.options.timestamps.expect("checked").val;
        assert_eq!(ticks(&two).wrapping_sub(ticks(&one)), 1000);
    });
}

/// Only if both sides offered them.
//= 7323#3.2
#[test]
fn one_side_alone_does_not_stamp() {
    with(|c| c.timestamps = false).peer("mss 1000,TS").established(|p| {
        assert!(!p.info().timestamps);
        p.write(100);
        p.expect("P. 1:101 ack 1 <>");
    });
    Setup::default().established(|p| {
        assert!(!p.info().timestamps);
        p.write(100);
        p.expect("P. 1:101 ack 1 <>");
    });
}

/// The option's twelve bytes come off the segment.
//= 9293/MUST-16
#[test]
fn the_option_makes_segments_shorter() {
    stamped().established(|p| {
        p.write(2000);
        p.expect("p. 1:989 ack 1");
        p.forget();
    });
}

/// RFC 7323 5.3 R1: an older timestamp is a former life; acknowledged and dropped.
//= 7323#5.3
#[test]
fn an_old_timestamp_is_turned_away() {
    stamped().established(|p| {
        p.wait(1000);
        p.inject("P. 1:101 ack 1 <TS val 1000 ecr 0>");
        p.expect(". 1 ack 101");
        for old in [999, 0, -1, -1_000_000, i64::from(i32::MIN) + 1001] {
            p.wait(500);
            let verdict = p.inject(&format!("P. 101:201 ack 1 <TS val {old} ecr 0>"));
            assert_eq!(verdict, Verdict::Answered(DropReason::Paws), "{old}");
            p.expect(". 1 ack 101 <TS val * ecr 1000>");
        }
        p.inject("P. 101:201 ack 1 <TS val 1000 ecr 0>");
        p.expect(". 1 ack 201");
    });
}

/// PAWS does not look at RST: a peer that lost its state has a new clock.
//= 7323#5.2
#[test]
fn a_reset_needs_no_young_timestamp() {
    for options in ["<>", "<TS val -5000 ecr 0>"] {
        stamped().established(|p| {
            p.wait(1000);
            p.inject("P. 1:101 ack 1 <TS val 1000 ecr 0>");
            p.forget();
            p.inject(&format!("R 101 {options}"));
            p.is_closed(CloseReason::Reset);
        });
    }
}

/// TS.Recent follows only what lies at the left edge: the echo of a delayed acknowledgement is the earliest segment's.
//= 7323#4.3
#[test]
fn a_delayed_acknowledgement_echoes_the_first_segment() {
    stamped().config(|c| c.quick_acks = 0).established(|p| {
        p.inject(". 1:11 ack 1 <TS val 2000 ecr 0>");
        p.expect_nothing();
        p.inject(". 11:21 ack 1 <TS val 2005 ecr 0>");
        p.wait(40);
        p.expect(". 1 ack 21 <TS val * ecr 2000>");
    });
}

/// A segment behind a gap does not change the echo: nor can it lock the true peer out.
//= 7323#4.3
#[test]
fn a_segment_behind_a_gap_is_not_echoed() {
    stamped().established(|p| {
        p.inject("P. 1:101 ack 1 <TS val 1000 ecr 0>");
        p.expect(". 1 ack 101 <TS val * ecr 1000>");
        p.inject("P. 201:301 ack 1 <TS val 900000 ecr 0>");
        p.expect(". 1 ack 101 <TS val * ecr 1000>");
        p.inject("P. 101:201 ack 1 <TS val 1001 ecr 0>");
        p.expect(". 1 ack 301 <TS val * ecr 1001>");
    });
}

/// RFC 7323 3.2 would have us drop it; middleboxes and old kernels make that a stalled connection.
#[test]
fn a_segment_without_timestamp_is_tolerated() {
    stamped().established(|p| {
        assert_eq!(p.inject("P. 1:101 ack 1 <>"), Verdict::Accepted);
        p.expect(". 1 ack 101");
        p.read(100);
    });
}

/// RTTM: with an echo even the acknowledgement of a retransmission is a measurement.
//= 7323#4.1
#[test]
fn an_echo_measures_what_karn_cannot() {
    stamped().established(|p| {
        p.write(500);
        p.expect("P. 1:501 ack 1");
        p.expect_in(210, "P. 1:501 ack 1");
        p.wait(30);
        p.inject(&format!(". 1 ack 501 <TS val {} ecr {}>", 300, p.echo()));
        let info = p.info();
        // 7/8 of 10 ms and 1/8 of 30 ms.
        assert_eq!(info.rtt.map(|rtt| rtt.as_micros() / 1000), Some(12));
    });
}

/// an echo of something never sent measures nothing absurd.
#[test]
fn a_wild_echo_does_no_harm() {
    for echo in [1_000_000, -1, i64::from(i32::MAX), i64::from(i32::MIN)] {
        stamped().established(|p| {
            let limit = Duration::from_secs(120);
            for i in 0..5 {
                p.write(100);
                p.forget();
                p.wait(10);
                p.inject(&format!(". 1 ack {} <TS val {} ecr {echo}>", 101 + 100 * i, 100 + 10 * i));
                let info = p.info();
                assert!(info.rto >= Duration::from_millis(200) && info.rto <= limit, "rto {}", info.rto);
            }
        });
    }
    // In the past, but before the connection.
    stamped().established(|p| {
        p.write(100);
        p.forget();
        p.inject(". 1 ack 101 <TS val 100 ecr -50000000>");
        assert!(p.info().rto < Duration::from_secs(60), "an echo from before the first segment: {}", p.info().rto);
    });
}

/// RFC 7323 5.5: after 24 days without a segment the old clock says nothing.
//= 7323#5.5
#[test]
fn after_24_days_an_old_timestamp_is_taken() {
    stamped().established(|p| {
        p.inject("P. 1:101 ack 1 <TS val 1000 ecr 0>");
        p.forget();
        p.wait(25 * 24 * 3600 * 1000);
        assert_eq!(p.inject("P. 101:201 ack 1 <TS val 5 ecr 0>"), Verdict::Accepted);
        p.expect(". 1 ack 201 <TS val * ecr 5>");
    });
}

/// The clock wraps in both directions, and nobody notices.
#[test]
fn a_wrapping_clock_is_no_step_back() {
    stamped().established(|p| {
        let mut next = 1;
        for _ in 0..20 {
            p.wait(400_000_000);
            assert_eq!(p.inject(&format!("P. {next}:{} ack 1", next + 10)), Verdict::Accepted);
            next += 10;
            p.wait(40);
            p.expect(&format!(". 1 ack {next}"));
        }
    });
}

/// Our own resets carry a fresh one.
#[test]
fn a_reset_carries_a_timestamp() {
    stamped().established(|p| {
        p.wait(700);
        p.abort();
        let reset = p.expect("Ra 1");
        assert!(reset.header.options.timestamps.is_some(), "{}", p.story());
    });
}

/// the clocks that two peers see start at different, unguessable values.
#[test]
fn each_peer_sees_a_clock_of_its_own() {
    let mut seen = std::collections::BTreeSet::new();
    for last in 2..=101 {
        let mut key = crate::play::key(Role::HostActive);
        key.remote_ip = std::net::Ipv4Addr::new(192, 0, 2, last).into();
        let mut host = Host::new(tidegate_proto::net::StackConfig::default(), 7, key, START);
        host.stack.connect(Some(key.local()), key.remote(), START).expect("an address of ours");
        let frame = host.stack.poll_transmit(START).expect("a SYN");
        seen.insert(from_packet(&frame.header, &key).0.options.timestamps.expect("offered").val >> 8);
    }
    assert!(seen.len() >= 99, "{} different offsets of 100", seen.len());
}

/// The first timestamp of the peer is whatever it is.
#[test]
fn paws_spares_the_handshake() {
    stamped().syn_sent(|p| {
        p.expect("S 0");
        p.inject("S. 0 ack 1 <mss 1000,TS val -70000 ecr 0>");
        p.expect(". 1 ack 1 <TS val * ecr -70000>");
        p.is(State::Established);
    });
}
