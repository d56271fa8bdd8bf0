//! SACK on the receiving side: what is reported, and in which order.
//!
//! Sections: RFC 2018 3, 4; RFC 2883 4.
//! In: segments with gaps, and twice.
//! Out: blocks, the newest first; duplicates reported before them.

use crate::play::{Play, Setup, with};

fn sacking() -> Setup {
    Setup::default().peer("mss 1000,sackOK")
}

#[test]
fn a_block_reports_what_lies_behind_a_gap() {
    sacking().established(|p| {
        p.inject("P. 1001:2001 ack 1");
        p.expect(". 1 ack 1 <sack 1001:2001>");
        p.inject("P. 2001:3001 ack 1");
        p.expect(". 1 ack 1 <sack 1001:3001>");
        p.inject("P. 1:1001 ack 1");
        p.expect(". 1 ack 3001 <>");
    });
}

/// RFC 2018 4: the first block holds the segment that caused the acknowledgement, the others the ones before it.
#[test]
fn the_newest_block_comes_first() {
    sacking().established(|p| {
        p.inject("P. 1001:1101 ack 1");
        p.expect(". 1 ack 1 <sack 1001:1101>");
        p.inject("P. 3001:3101 ack 1");
        p.expect(". 1 ack 1 <sack 3001:3101 1001:1101>");
        p.inject("P. 2001:2101 ack 1");
        p.expect(". 1 ack 1 <sack 2001:2101 3001:3101 1001:1101>");
        p.inject("P. 4001:4101 ack 1");
        p.expect(". 1 ack 1 <sack 4001:4101 2001:2101 3001:3101 1001:1101>");
        p.inject("P. 5001:5101 ack 1");
        p.expect(". 1 ack 1 <sack 5001:5101 4001:4101 2001:2101 3001:3101>");
        p.inject("P. 1101:1201 ack 1");
        p.expect(". 1 ack 1 <sack 1001:1201 5001:5101 4001:4101 2001:2101>");
    });
}

/// Timestamps leave room for three.
#[test]
fn beside_timestamps_three_blocks_fit() {
    Setup::default().peer("mss 1000,sackOK,TS").established(|p| {
        for first in [1001, 2001, 3001, 4001] {
            p.inject_blindly(&format!("P. {first}:{} ack 1", first + 100));
        }
        p.inject("P. 6001:6101 ack 1");
        p.expect(". 1 ack 1 <TS,sack 6001:6101 4001:4101 3001:3101>");
    });
}

/// Acknowledgements that ride on data report too.
#[test]
fn data_carries_blocks() {
    sacking().established(|p| {
        p.inject("P. 1001:2001 ack 1");
        p.forget();
        p.write(100);
        p.expect("P. 1:101 ack 1 <sack 1001:2001>");
    });
}

/// A segment that fills a gap in part.
#[test]
fn a_gap_filled_in_part_leaves_its_block() {
    sacking().established(|p| {
        p.inject_blindly("P. 1001:2001 ack 1");
        p.inject("P. 1:501 ack 1");
        p.expect(". 1 ack 501 <sack 1001:2001>");
        p.inject("P. 501:1001 ack 1");
        p.expect(". 1 ack 2001 <>");
    });
}

/// RFC 2883 4.1: what came a second time is reported first, once.
//= 2883#4.1
#[test]
fn a_duplicate_below_the_acknowledgement_is_reported() {
    sacking().established(|p| {
        p.inject_blindly("P. 1:1001 ack 1");
        p.inject("P. 1:1001 ack 1");
        p.expect(". 1 ack 1001 <sack 1:1001>");
        p.inject("P. 1001:1101 ack 1");
        p.expect(". 1 ack 1101 <>");
    });
}

/// Above it: the duplicate, then the block that holds it.
//= 2883#4.2
#[test]
fn a_duplicate_behind_a_gap_is_reported_with_its_block() {
    sacking().established(|p| {
        p.inject_blindly("P. 1001:1501 ack 1");
        p.inject_blindly("P. 1501:2001 ack 1");
        p.inject("P. 1001:1501 ack 1");
        p.expect(". 1 ack 1 <sack 1001:1501 1001:2001>");
        p.inject_blindly("P. 3001:3101 ack 1");
        p.inject("P. 1501:2001 ack 1");
        p.expect(". 1 ack 1 <sack 1501:2001 1001:2001 3001:3101>");
    });
}

/// Only the part that is a duplicate is reported as one.
//= 2883#4.2
#[test]
fn a_partial_duplicate_is_reported_by_its_part() {
    sacking().established(|p| {
        p.inject_blindly("P. 1:501 ack 1");
        p.inject("P. 1:1001 ack 1");
        p.expect(". 1 ack 1001 <sack 1:501>");
    });
    sacking().established(|p| {
        p.inject_blindly("P. 1001:1501 ack 1");
        p.inject("P. 1301:1801 ack 1");
        p.expect(". 1 ack 1 <sack 1301:1501 1001:1801>");
    });
}

/// Reported once: the next acknowledgement is silent about it.
//= 2883#4
#[test]
fn a_duplicate_is_reported_once() {
    sacking().established(|p| {
        p.inject_blindly("P. 1:501 ack 1");
        p.inject("P. 1:501 ack 1");
        p.expect(". 1 ack 501 <sack 1:501>");
        p.write(10);
        p.expect("P. 1:11 ack 501 <>");
    });
}

#[test]
fn duplicates_can_go_unreported() {
    sacking().config(|c| c.dsack = false).established(|p| {
        p.inject_blindly("P. 1:1001 ack 1");
        p.inject("P. 1:1001 ack 1");
        p.expect(". 1 ack 1001 <>");
    });
}

/// Without agreement no blocks: the fixture checks every segment, here the gap.
#[test]
fn without_agreement_nothing_is_reported() {
    let script = |p: &mut Play| {
        p.inject("P. 1001:2001 ack 1");
        p.expect(". 1 ack 1 <>");
        p.inject("P. 1001:2001 ack 1");
        p.expect(". 1 ack 1 <>");
        p.forget();
    };
    Setup::default().established(script);
    with(|c| c.sack = false).peer("mss 1000,sackOK").established(script);
}

/// FIN behind a gap: its number is not reported as a byte that the application will get.
#[test]
fn fin_behind_a_gap() {
    sacking().established(|p| {
        p.inject("FP. 1001:2001 ack 1");
        let sent = p.expect(". 1 ack 1");
        let blocks = &sent.header.options.sack;
        assert_eq!(blocks.len(), 1);
        let end = blocks[0].end.distance(p.irs);
        assert!(end == 2001 || end == 2002, "{end}");
        p.inject("P. 1:1001 ack 1");
        p.expect(". 1 ack 2002 <>");
    });
}

/// blocks from the peer about what it cannot have are ignored, however absurd; the data still arrives.
#[test]
fn absurd_blocks_do_no_harm() {
    let edges = [0, 1, 2, 500, 3001, 3002, -1, 100_000, i64::from(i32::MAX), i64::from(i32::MIN)];
    for start in edges {
        for end in edges {
            let mut p = sacking().open(crate::play::Role::Active, crate::play::Corner::ALL[3]);
            p.forget();
            p.write(3000);
            p.forget();
            for _ in 0..4 {
                p.inject_blindly(&format!(". 1 ack 1 <sack {start}:{end} {end}:{start} {start}:{end}>"));
            }
            p.inject_blindly(". 1 ack 3001");
            assert_eq!(p.info().snd_una.0, 3001);
            assert_eq!(p.info().bytes_in_flight, 0);
        }
    }
}
