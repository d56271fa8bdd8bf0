//! Buffers that follow the path, and what stops them.
//!
//! Sections: RFC 9293 SHLD-14; RFC 7323 2.3; Linux `tcp(7)`: tcp_rmem, tcp_wmem, tcp_moderate_rcvbuf, tcp_mem.

use super::play::{Play, Setup, with};
use tidegate_proto::net::MemorySteps;
use tidegate_proto::tcp::Event;
use tidegate_proto::time::Duration;

/// The peer sends `segments` of them, the application reads them all, and a round trip of 100 ms is over.
fn round(p: &mut Play, next: &mut i64, segments: i64) {
    p.wait(100);
    for _ in 0..segments {
        p.inject_blindly(&format!(". {next}:{} ack 1", *next + 1000));
        *next += 1000;
        p.read(1000);
        p.forget();
    }
}

/// A sender in slow start is never held back: the window stays ahead of twice what was read in the last round trip.
#[test]
fn the_receive_buffer_follows_what_is_read_per_round_trip() {
    for options in ["mss 1000,sackOK,TS,wscale 7", "mss 1000,wscale 7"] {
        Setup::default().peer(options).established(|p| {
            assert_eq!((p.info().rcv_buf, p.info().rcv_space), (131_072, 10_000));
            let (mut next, mut segments) = (1, 10);
            for _ in 0..8 {
                round(p, &mut next, segments);
                let window = i64::from(p.info().rcv_buf) / 2;
                assert!(window >= 2 * segments * 1000, "{window} bytes, {segments} segments came");
                segments = (segments * 2).min(400);
            }
            let rtt = p.info().rcv_rtt;
            assert!(rtt >= Duration::from_millis(1) && rtt <= Duration::from_millis(130), "{rtt}");
            assert!(p.info().rcv_buf <= 33_554_432);
            assert!(p.info().rcv_wnd >= 500_000, "{}", p.info().rcv_wnd);
            let grown = p.info().rcv_buf;
            for _ in 0..20 {
                round(p, &mut next, 1);
            }
            assert_eq!(p.info().rcv_buf, grown, "it never shrinks");
        });
    }
}

/// What is not read asks for no more room, however much arrives.
#[test]
fn who_does_not_read_gets_no_larger_buffer() {
    Setup::default().peer("mss 1000,sackOK,TS,wscale 7").established(|p| {
        for n in 0..60 {
            p.wait(100);
            p.inject_blindly(&format!(". {}:{} ack 1", 1 + 1000 * n, 1001 + 1000 * n));
        }
        assert_eq!(p.info().rcv_buf, 131_072);
    });
}

/// The program's own size, tcp_moderate_rcvbuf=0, and tcp_rmem[2] are bounds.
#[test]
fn what_bounds_the_receive_buffer() {
    let grown = |setup: Setup, most: u32| {
        setup.peer("mss 1000,sackOK,TS,wscale 7").established(|p| {
            let mut next = 1;
            for segments in [10, 20, 40, 60, 60, 60] {
                round(p, &mut next, segments.min(i64::from(p.info().rcv_wnd) / 1000));
            }
            assert_eq!(p.info().rcv_buf, most);
        });
    };
    grown(with(|c| c.moderate_rcvbuf = false), 131_072);
    grown(with(|c| c.rcv_buf_locked = true), 131_072);
    grown(with(|c| c.rcv_buf_max = 150_000), 150_000);
}

/// TCP_WINDOW_CLAMP bounds the window whatever the buffer.
#[test]
fn a_clamp_bounds_the_window() {
    with(|c| c.window_clamp = Some(20_000)).peer("mss 1000,wscale 7").established(|p| {
        let mut next = 1;
        for segments in [10, 20, 20, 20, 20] {
            round(p, &mut next, segments);
            assert!(p.info().rcv_wnd <= 20_000, "{}", p.info().rcv_wnd);
        }
    });
}

/// The window scale is that of the largest window there may ever be.
//= 7323#2.3
#[test]
fn the_window_scale_is_for_the_largest_buffer() {
    let offers = |setup: Setup, shift: u8| {
        setup.syn_sent(|p| drop(p.expect(&format!("S 0 <mss 1000,sackOK,TS,wscale {shift}>"))))
    };
    offers(with(|_| {}), 10);
    offers(with(|c| c.rcv_buf_max = 6_291_456), 7);
    offers(with(|c| (c.rcv_buf, c.rcv_buf_locked) = (1_000_000, true)), 4);
    offers(with(|c| (c.rcv_buf, c.rcv_buf_locked) = (10_000, true)), 0);
    offers(with(|c| c.window_clamp = Some(70_000)), 1);
}

/// Twice the congestion window can be queued, so that the next one is at hand when this one is acknowledged.
#[test]
fn the_send_buffer_follows_the_congestion_window() {
    with(|c| c.snd_buf = 16_384).peer("mss 1000,wscale 7").established(|p| {
        assert_eq!(p.info().snd_buf, 2 * 10 * 1128);
        let mut una = 1;
        for _ in 0..5 {
            let taken = p.write_some(1_000_000).expect("open");
            assert!(taken > 0, "room for the next window");
            p.forget();
            let sent = p.info().snd_nxt.0;
            p.wait(100);
            while una < sent {
                una = (una + 2000).min(sent);
                p.inject_blindly(&format!(". 1 ack {una}"));
            }
        }
        let info = p.info();
        assert!(info.snd_cwnd >= 150, "{}", info.snd_cwnd);
        assert_eq!(info.snd_buf, 2 * info.snd_cwnd * 1128);
    });
    with(|c| (c.snd_buf, c.snd_buf_max) = (16_384, 20_000)).established(|p| assert_eq!(p.info().snd_buf, 20_000));
    with(|c| (c.snd_buf, c.snd_buf_locked) = (9_000, true)).established(|p| {
        assert_eq!(p.info().snd_buf, 9_000);
        assert_eq!(p.write_some(20_000), Ok(9_000));
        p.forget();
    });
}

/// Hosts whose buffers together may cost so much.
fn host_with_memory(low: usize, pressure: usize, high: usize) -> Setup {
    Setup::default().host_config(|host| host.mem = MemorySteps { low, pressure, high })
}

/// under pressure nothing grows, and windows close down to four segments without ever being taken back (which is
/// checked on every segment).
//= 9293/SHLD-14
#[test]
fn under_pressure_windows_close_as_they_are_used() {
    host_with_memory(5_000, 20_000, 1_000_000).peer("mss 1000,wscale 7").hosts(|p| {
        let mut next = 1;
        for _ in 0..62 {
            p.wait(100);
            p.inject_blindly(&format!(". {next}:{} ack 1", next + 1000));
            next += 1000;
        }
        assert!(p.info().rcv_wnd <= 4096, "{:?}", p.info());
        assert_eq!(p.info().rcv_buf, 131_072);
        p.read(62_000);
        p.forget();
        p.inject_blindly(&format!(". {next}:{} ack 1", next + 1000));
        p.read(1000);
        p.forget();
        assert!(p.info().rcv_wnd > 60_000, "{}", p.info().rcv_wnd);
    });
}

/// with no memory left a connection gets what it was promised, and nothing that was acknowledged is lost.
#[test]
fn without_memory_everybody_gets_a_little() {
    host_with_memory(1_000, 2_000, 4_000).peer("mss 1000,wscale 7").hosts(|p| {
        p.inject_blindly("P. 1:4001 ack 1");
        // More than is left: refused, and said so.
        p.inject("P. 4001:8001 ack 1");
        p.expect(". 1 ack 4001");
        p.inject("P. 6001:7001 ack 1");
        p.expect(". 1 ack 4001");
        assert_eq!((p.info().recv_queue, p.info().ooo_queue), (4000, 0));
        p.read(4000);
        p.forget();
        p.inject_blindly("P. 4001:8001 ack 1");
        p.read(4000);
        p.forget();
        assert_eq!(p.info().memory, 0);
    });
}

/// A writer that finds no memory is woken when there is some again.
#[test]
fn a_writer_waits_for_memory() {
    host_with_memory(1_000, 2_000, 3_000).config(|c| c.snd_buf = 16_384).window(2000).hosts(|p| {
        assert_eq!(p.write_some(2_500), Ok(2_500));
        let refused = p.write_some(60_000).expect("open");
        assert!(refused < 60_000);
        assert_eq!(p.write_some(1_000), Ok(0), "tcp_wmem[0] is used up");
        p.forget();
        p.take_events();
        let end = 1 + 2_500 + refused as i64;
        while p.info().snd_una.0 < end {
            p.inject_blindly(&format!(". 1 ack {}", p.info().snd_nxt.0));
        }
        assert!(p.take_events().contains(&Event::Writable));
        assert_eq!(p.write_some(1_000), Ok(1_000));
        p.forget();
    });
}

/// Found by random worlds: a window whose field was rounded down looks shrunk, and a peer that numbered its bare
/// acknowledgements by its edge was not heard any more.
//= 7323#2.4
#[test]
fn a_rounded_window_has_not_shrunk() {
    Setup::default().peer("mss 1000,wscale 7").window(1280).established(|p| {
        p.write(1200);
        p.forget();
        p.inject(". 1:1001 ack 1 win 9");
        p.expect(". 1201 ack 1001");
        p.inject(". 1001:2001 ack 1 win 8");
        p.expect(". 1025 ack 2001");
    });
}
