//! Windows: what the peer lets us send, and what we let the peer send.
//!
//! Sections: RFC 9293 3.8.6 (3.8.6.1 probes, 3.8.6.2 silly windows), 3.10.7.4 (SND.WL1, SND.WL2).
//! In: windows that open, close, shrink; an application that reads in morsels.
//! Out: no byte beyond the right edge, no silly segment, no window forgotten.

use tidegate_proto::tcp::{CloseReason, State};

use crate::play::{Play, Setup, established, with};
use crate::states;

/// I-08: never past what the peer allows.
#[test]
fn nothing_is_sent_beyond_the_window() {
    Setup::default().window(3000).established(|p| {
        p.write(10_000);
        p.expect_all(&["p. 1:1001 ack 1", "p. 1001:2001 ack 1", "p. 2001:3001 ack 1"]);
        p.expect_nothing();
        p.inject(". 1 ack 1001 win 3000");
        p.expect("p. 3001:4001 ack 1");
        p.expect_nothing();
        p.inject(". 1 ack 1001 win 5000");
        p.expect_all(&["p. 4001:5001 ack 1", "p. 5001:6001 ack 1"]);
    });
}

//= 9293/MUST-36
//= 9293/SHLD-29
//= 9293/SHLD-30
#[test]
fn a_closed_window_is_probed_with_growing_patience() {
    established(|p| {
        p.inject(". 1 ack 1 win 0");
        p.write(500);
        p.expect_nothing();
        let mut pause = 210;
        for n in 1..=14 {
            p.expect_in(pause.min(120_000), &format!(". 0 ack 1 why window-probe#{n}"));
            p.inject(". 1 ack 1 win 0");
            pause *= 2;
        }
        p.inject(". 1 ack 1 win 1000");
        p.expect("P. 1:501 ack 1");
    });
}

//= 9293/MUST-37
#[test]
fn the_connection_stays_open_while_probes_are_answered() {
    established(|p| {
        p.inject(". 1 ack 1 win 0");
        p.write(500);
        let start = p.now;
        for _ in 0..200 {
            assert!(p.next_timer());
            if !p.forget().is_empty() {
                p.inject(". 1 ack 1 win 0");
            }
        }
        p.is(State::Established);
        assert!(p.now.since(start).as_secs() > 3600 * 5, "probing went on for {}", p.now.since(start));
        p.inject(". 1 ack 1 win 500");
        p.expect("P. 1:501 ack 1");
    });
}

/// A peer that does not even answer probes is gone.
#[test]
fn unanswered_probes_end_the_connection() {
    established(|p| {
        p.inject(". 1 ack 1 win 0");
        p.write(500);
        while p.state() == State::Established {
            assert!(p.next_timer(), "a timer runs\n{}", p.story());
            p.forget();
        }
        p.is_closed(CloseReason::TimedOut);
    });
}

/// A window update may be lost: the answer to the next probe tells all the same (I-37).
#[test]
fn a_probe_finds_the_reopened_window() {
    established(|p| {
        p.inject(". 1 ack 1 win 0");
        p.write(3000);
        p.expect_in(210, ". 0 ack 1");
        p.inject(". 1 ack 1 win 5000");
        p.expect_all(&["p. 1:1001 ack 1", "p. 1001:2001 ack 1", "P. 2001:3001 ack 1"]);
    });
}

/// Zero windows are no loss: the congestion window does not shrink for them.
#[test]
fn probing_is_not_congestion() {
    established(|p| {
        let before = p.info().snd_cwnd;
        p.inject(". 1 ack 1 win 0");
        p.write(500);
        p.expect_in(210, ". 0 ack 1");
        p.expect_in(420, ". 0 ack 1");
        assert_eq!(p.info().snd_cwnd, before);
    });
}

/// FIN behind a closed window: probed too, never forgotten.
#[test]
fn a_closed_window_holds_data_and_fin_and_is_probed() {
    established(|p| {
        p.inject(". 1 ack 1 win 0");
        p.write(100);
        p.close();
        p.is(State::FinWait1);
        p.expect_in(210, ". 0 ack 1 why window-probe#1");
        p.inject(". 1 ack 1 win 100");
        p.forget();
        p.inject(". 1 ack 101 win 100");
        p.forget();
        p.inject(". 1 ack 102 win 100");
        p.is(State::FinWait2);
    });
}

//= 9293/MUST-34
//= 9293/SHLD-15
//= 9293/SHLD-16
#[test]
fn a_shrinking_window_stops_new_data_and_not_retransmission() {
    Setup::default().window(5000).established(|p| {
        p.write(20_000);
        assert_eq!(p.forget().len(), 5);
        // The right edge moves from 5001 to 2001.
        p.inject(". 1 ack 1 win 2000");
        p.expect_nothing();
        p.wait(210);
        let again = p.forget();
        assert!(!again.is_empty());
        assert!(again.iter().all(|sent| sent.cause.name().starts_with("retransmit")), "{}", p.story());
        p.inject(". 1 ack 2001 win 1000");
        let more = p.forget();
        let end =
            |sent: &crate::play::Sent| i64::from(sent.header.seq.distance(p.iss.unwrap())) + sent.payload.len() as i64;
        assert!(more.iter().all(|sent| end(sent) <= 5001), "nothing new beyond what had been sent\n{}", p.story());
    });
}

//= 9293/MUST-35
//= 9293/SHLD-17
#[test]
fn a_window_shrunk_to_zero_is_probed_and_does_not_time_out() {
    Setup::default().window(5000).established(|p| {
        p.write(5000);
        assert_eq!(p.forget().len(), 5);
        p.inject(". 1 ack 1 win 0");
        let mut asked = 0;
        for _ in 0..100 {
            assert!(p.next_timer(), "probing goes on\n{}", p.story());
            if !p.forget().is_empty() {
                asked += 1;
                p.inject(". 1 ack 1 win 0");
            }
        }
        assert!(asked > 30, "asked {asked} times");
        p.is(State::Established);
        p.inject(". 1 ack 1 win 5000");
        p.wait(120_000);
        assert!(p.forget().iter().any(|sent| !sent.payload.is_empty()), "and is resent\n{}", p.story());
    });
}

/// SND.WL1 and SND.WL2: an older segment does not set the window.
#[test]
fn a_stale_segment_does_not_set_the_window() {
    established(|p| {
        p.inject("P. 101:201 ack 1 win 2000");
        p.forget();
        assert_eq!(p.info().snd_wnd, 2000);
        p.inject("P. 1:101 ack 1 win 500");
        p.forget();
        assert_eq!(p.info().snd_wnd, 2000, "SEG.SEQ < SND.WL1");
        p.inject(". 201 ack 1 win 700");
        assert_eq!(p.info().snd_wnd, 700, "SND.WL1 < SEG.SEQ");
        p.inject(". 201 ack 1 win 900");
        assert_eq!(p.info().snd_wnd, 900, "equal numbers: the later arrival counts");
    });
    established(|p| {
        p.write(2000);
        p.forget();
        p.inject(". 1 ack 2001 win 5000");
        p.inject(". 1 ack 1001 win 100");
        assert_eq!(p.info().snd_wnd, 5000, "SEG.ACK < SND.WL2");
    });
}

//= 9293/MUST-38
#[test]
fn the_sender_avoids_silly_segments() {
    Setup::default().window(2500).established(|p| {
        p.write(10_000);
        p.expect_all(&["p. 1:1001 ack 1", "p. 1001:2001 ack 1"]);
        // 500 bytes of room are neither a full segment nor half of the largest window.
        p.expect_nothing();
        p.inject(". 1 ack 2001 win 500");
        // Between 0.1 and 1 second the silly segment goes after all, lest both wait for ever.
        let waiting_since = p.now;
        p.quiet(99);
        assert!(p.next_timer());
        let sent = p.expect("p. 2001:2501 ack 1");
        assert!(sent.at.since(waiting_since).as_millis() <= 1000);
    });
}

/// Half of the largest window the peer ever offered is enough, however small that is.
//= 9293/MUST-38
#[test]
fn half_of_the_largest_window_is_worth_a_segment() {
    Setup::default().window(600).established(|p| {
        p.write(5000);
        p.expect("p. 1:601 ack 1");
        p.inject(". 1 ack 601 win 299");
        p.expect_nothing();
        p.inject(". 1 ack 601 win 300");
        p.expect("p. 601:901 ack 1");
    });
}

/// A peer that offers one byte at a time gets few segments.
//= 9293/MUST-38
#[test]
fn a_miserly_peer_gets_few_segments() {
    Setup::default().window(10_000).established(|p| {
        p.write(10_000);
        p.forget();
        p.inject_blindly(". 1 ack 10001 win 1");
        p.write(10_000);
        let mut data = 0;
        for _ in 0..100 {
            p.wait(50);
            data += p.forget().iter().filter(|sent| !sent.payload.is_empty()).count();
            p.inject_blindly(". 1 ack 10001 win 2");
        }
        assert!(data <= 50, "{data} silly segments in five seconds");
    });
}

fn small(p: &mut Play) -> i64 {
    states::fill_window(p);
    p.info().rcv_nxt.0
}

//= 9293/MUST-39
#[test]
fn the_receiver_opens_its_window_by_segments_not_by_bytes() {
    with(|c| (c.rcv_buf, c.rcv_buf_max) = (8000, 8000)).established(|p| {
        let next = small(p);
        for _ in 0..9 {
            p.read(50);
            p.expect_nothing();
        }
        // Asked meanwhile, it still says zero: the right edge moves by a segment or not at all.
        p.inject(&format!(". {} ack 1", next - 1));
        p.expect(&format!(". 1 ack {next} win 0"));
        let mut read = 450;
        let update = loop {
            p.read(50);
            read += 50;
            let sent = p.forget();
            if let Some(update) = sent.into_iter().next() {
                break update;
            }
            assert!(read < 4000, "the window never opens\n{}", p.story());
        };
        assert_eq!(update.cause.name(), "ack-window-update");
        assert!(update.header.window >= 1000, "opened by {} after {read} were read", update.header.window);
    });
}

/// The window shuts as data arrives and is not read; the next bytes are refused with the same acknowledgement.
#[test]
fn the_window_shuts_when_nobody_reads() {
    with(|c| (c.rcv_buf, c.rcv_buf_max) = (8000, 8000)).established(|p| {
        let next = small(p);
        p.inject(&format!("P. {next}:{} ack 1", next + 100));
        p.expect(&format!(". 1 ack {next} win 0"));
        assert_eq!(p.info().rcv_nxt.0, next);
        p.read((next - 1) as usize);
        let update = p.expect(&format!(". 1 ack {next} why ack-window-update"));
        assert!(update.header.window >= 1000);
        p.inject(&format!("P. {next}:{} ack 1", next + 100));
        p.forget();
        assert_eq!(p.info().rcv_nxt.0, next + 100);
        p.wait(100);
        p.forget();
    });
}

//= 9293/MAY-8
#[test]
fn our_window_may_stay_closed() {
    with(|c| (c.rcv_buf, c.rcv_buf_max) = (8000, 8000)).established(|p| {
        let next = small(p);
        for _ in 0..100 {
            p.quiet(60_000);
            p.inject(&format!(". {} ack 1", next - 1));
            p.expect(&format!(". 1 ack {next} win 0"));
        }
        p.is(State::Established);
    });
}

/// A window that is scaled never promises more than it can keep, and never takes back (checked on every segment).
#[test]
fn scaled_windows_keep_their_promises() {
    with(|c| (c.rcv_buf, c.rcv_buf_max) = (40_000, 6_000_000)).peer("mss 1000,wscale 7").established(|p| {
        let mut next = 1;
        for i in 0..300_i64 {
            let len = 1 + (i * 37) % 1000;
            let room = i64::from(p.info().rcv_wnd);
            let len = len.min(room);
            if len > 0 {
                p.inject_blindly(&format!("P. {next}:{} ack 1", next + len));
                next += len;
                assert_eq!(p.info().rcv_nxt.0, next, "what the window allows is taken");
            }
            if i % 5 == 4 {
                let take = p.info().recv_queue / 2;
                if take > 0 {
                    p.read(take);
                }
                p.forget();
            }
            p.wait(50);
            p.forget();
        }
    });
}

/// An idle connection holds no buffers, neither before nor after it was busy.
#[test]
fn an_idle_connection_holds_no_buffers() {
    established(|p| {
        assert_eq!(p.info().memory, 0);
        p.write(5000);
        p.forget();
        p.inject("P. 1:1001 ack 5001");
        p.forget();
        assert!(p.info().memory > 0);
        p.read(1000);
        p.wait(100);
        p.forget();
        assert_eq!(p.info().memory, 0);
    });
}

/// The send buffer has an end, and says so; room again is told once.
#[test]
fn a_full_send_buffer_takes_no_more() {
    use tidegate_proto::tcp::Event;
    with(|c| (c.snd_buf, c.snd_buf_locked) = (5000, true)).established(|p| {
        let taken = p.write_some(20_000).expect("the connection is open");
        assert!(taken > 0 && taken < 20_000, "took {taken}");
        p.forget();
        assert_eq!(p.write_some(1), Ok(0));
        p.take_events();
        let mut una = 1;
        while una < 1 + taken as i64 {
            una = (una + 1000).min(1 + taken as i64);
            p.inject_blindly(&format!(". 1 ack {una}"));
        }
        let events = p.take_events();
        assert_eq!(events.iter().filter(|event| **event == Event::Writable).count(), 1, "{events:?}");
        assert_eq!(p.write_some(1000), Ok(1000));
        p.forget();
    });
}

/// A window that is closed from the start is probed like one that closes.
//= 9293/MUST-36
#[test]
fn a_window_closed_from_the_start_is_probed() {
    Setup::default().window(0).established(|p| {
        p.write(500);
        p.expect_in(210, ". 0 ack 1 why window-probe#1");
        p.inject(". 1 ack 1 win 500");
        p.expect("P. 1:501 ack 1");
    });
}

/// FIN alone behind a closed window.
#[test]
fn fin_alone_waits_for_the_window_and_asks_for_it() {
    Setup::default().window(0).established(|p| {
        p.close();
        p.is(State::FinWait1);
        let sent = p.forget();
        if sent.is_empty() {
            p.expect_in(210, ". 0 ack 1 why window-probe#1");
            p.inject(". 1 ack 1 win 500");
            p.expect("F. 1 ack 1");
        }
        p.inject(". 1 ack 2 win 500");
        p.is(State::FinWait2);
    });
}

/// Data that fills the window to its last byte, with a FIN that lies one beyond: the data counts, the FIN comes again.
#[test]
fn fin_just_beyond_the_window_comes_again() {
    with(|c| (c.rcv_buf, c.rcv_buf_max) = (4000, 4000)).established(|p| {
        let room = i64::from(p.info().rcv_wnd);
        let mut next = 1;
        while next + 1000 <= room {
            p.inject_blindly(&format!("P. {next}:{} ack 1", next + 1000));
            next += 1000;
        }
        p.inject_blindly(&format!("FP. {next}:{} ack 1", 1 + room));
        let next = p.info().rcv_nxt.0;
        if next == 1 + room {
            p.is(State::Established);
        }
        let len = p.info().recv_queue;
        p.read(len);
        p.forget();
        p.inject_blindly(&format!("FP. {next}:{} ack 1", 1 + room));
        p.is(State::CloseWait);
        let rest = p.info().recv_queue;
        if rest > 0 {
            p.read(rest);
        }
        p.read_end();
        p.wait(50);
        p.forget();
    });
}

/// I-21 and SWS together: a slow reader of a long stream never stalls the peer for good.
#[test]
fn a_slow_reader_is_served_to_the_end() {
    with(|c| (c.rcv_buf, c.rcv_buf_max) = (8000, 8000)).established(|p| {
        let (mut next, mut edge, total) = (1, 1 + i64::from(p.info().rcv_wnd), 40_000);
        let mut rounds = 0;
        while next <= total {
            let len = (edge - next).min(1000).min(total + 1 - next);
            if len > 0 {
                p.inject(&format!("P. {next}:{} ack 1", next + len));
                next += len;
            }
            if p.info().recv_queue > 0 {
                let take = p.info().recv_queue.min(700);
                p.read(take);
            }
            p.wait(50);
            for sent in p.forget() {
                let ack = i64::from(sent.header.ack.distance(p.irs));
                edge = edge.max(ack + i64::from(sent.header.window));
            }
            rounds += 1;
            assert!(rounds < 1000, "stalled at {next}\n{}", p.story());
        }
    });
}

/// A window that has become too small to be useful is told of as soon as it is useful again.
//= 9293/MUST-39
#[test]
fn a_window_below_a_segment_is_reopened_by_reading() {
    with(|c| (c.rcv_buf, c.rcv_buf_max) = (8000, 8000)).established(|p| {
        let room = i64::from(p.info().rcv_wnd);
        let mut next = 1;
        while 1 + room - next >= 1000 {
            p.inject_blindly(&format!("P. {next}:{} ack 1", next + 900));
            next += 900;
            p.wait(50);
        }
        p.forget();
        let left = 1 + room - next;
        assert!(left < 1000);
        let mut read = 0;
        let update = loop {
            p.read(100);
            read += 100;
            if let Some(update) = p.forget().pop() {
                break update;
            }
            assert!(read < 3500, "never told\n{}", p.story());
        };
        assert!(i64::from(update.header.window) >= 1000, "{left} left, {read} read");
    });
}
