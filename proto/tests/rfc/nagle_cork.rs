//! Small segments: Nagle, cork, and the push.
//!
//! Sections: RFC 9293 3.7.4, 3.9.1.2.
//! In: small writes.
//! Out: few segments, full ones, the last of them pushed; and nothing held back for ever.

use crate::play::{Setup, established, with};

//= 9293/SHLD-7
#[test]
fn one_small_segment_is_outstanding_at_a_time() {
    established(|p| {
        p.write(10);
        p.expect("P. 1:11 ack 1");
        p.write(10);
        p.write(10);
        p.expect_nothing();
        p.inject(". 1 ack 11");
        p.expect("P. 11:31 ack 1");
    });
}

/// A full segment goes whatever is outstanding.
//= 9293/SHLD-7
//= 9293/SHLD-28
#[test]
fn full_segments_do_not_wait() {
    established(|p| {
        p.write(10);
        p.expect("P. 1:11 ack 1");
        p.write(600);
        p.expect_nothing();
        p.write(600);
        p.expect("p. 11:1011 ack 1");
        p.expect_nothing();
        p.inject(". 1 ack 1011");
        p.expect("P. 1011:1211 ack 1");
    });
}

//= 9293/MUST-17
#[test]
fn nagle_can_be_switched_off() {
    with(|c| c.nagle = false).established(|p| {
        for i in 0..5 {
            p.write(10);
            p.expect(&format!("P. {}:{} ack 1", 1 + 10 * i, 11 + 10 * i));
        }
    });
}

/// FIN does not wait for an acknowledgement, nor does the data before it.
#[test]
fn close_ends_the_waiting() {
    established(|p| {
        p.write(10);
        p.expect("P. 1:11 ack 1");
        p.write(20);
        p.expect_nothing();
        p.close();
        p.expect("FP. 11:31 ack 1");
    });
}

//= 9293/MUST-60
//= 9293/MUST-61
#[test]
fn the_last_buffered_segment_is_pushed() {
    established(|p| {
        p.write(2500);
        p.expect_all(&[". 1:1001 ack 1", ". 1001:2001 ack 1"]);
        p.forget();
        p.inject(". 1 ack 2001");
        p.forget();
    });
    with(|c| c.nagle = false).established(|p| {
        p.write(2500);
        p.expect_all(&[". 1:1001 ack 1", ". 1001:2001 ack 1", "P. 2001:2501 ack 1"]);
    });
    established(|p| {
        p.write(1000);
        p.expect("P. 1:1001 ack 1");
    });
}

//= 9293/SHLD-27
//= 9293/MAY-16
#[test]
fn writes_that_wait_are_sent_in_the_largest_segments() {
    Setup::default().window(1000).established(|p| {
        p.write(1000);
        p.expect("P. 1:1001 ack 1");
        for _ in 0..100 {
            p.write(25);
        }
        p.expect_nothing();
        p.inject(". 1 ack 1001 win 10000");
        p.expect_all(&["p. 1001:2001 ack 1", "p. 2001:3001 ack 1"]);
        p.forget();
        p.wait(300);
        p.forget();
    });
}

/// Under cork only full segments go; what is left over goes after 200 ms.
#[test]
fn cork_holds_partial_segments_for_a_while() {
    with(|c| c.cork = true).established(|p| {
        p.write(300);
        p.expect_nothing();
        p.expect_in(200, "P. 1:301 ack 1");
    });
    with(|c| c.cork = true).established(|p| {
        p.write(1300);
        p.expect("p. 1:1001 ack 1");
        p.expect_nothing();
        p.inject(". 1 ack 1001");
        p.expect_nothing();
        p.wait(200);
        p.expect("P. 1001:1301 ack 1");
    });
}

#[test]
fn close_pulls_the_cork() {
    with(|c| c.cork = true).established(|p| {
        p.write(300);
        p.expect_nothing();
        p.close();
        p.expect("FP. 1:301 ack 1");
    });
}

/// Switching Nagle off, or pulling the cork, lets go what waits.
//= 9293/MUST-17
#[test]
fn what_waits_goes_when_the_setting_changes() {
    established(|p| {
        p.write(10);
        p.expect("P. 1:11 ack 1");
        p.write(20);
        p.expect_nothing();
        p.configure(|c| c.nagle = false);
        p.expect("P. 11:31 ack 1");
    });
    with(|c| c.cork = true).established(|p| {
        p.write(20);
        p.expect_nothing();
        p.configure(|c| c.cork = false);
        p.expect("P. 1:21 ack 1");
    });
}

/// Urgent data does not wait.
#[test]
fn urgent_data_is_not_held_back() {
    established(|p| {
        p.write(10);
        p.expect("P. 1:11 ack 1");
        p.write_urgent(5);
        p.expect("PU. 11:16 ack 1 urg 5");
    });
}
