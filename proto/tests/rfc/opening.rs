//! Opening: active and passive, and everything that can come instead of the expected answer.
//!
//! Sections: RFC 9293 3.5, 3.7.1, 3.10.1, 3.10.7.3, 3.10.7.4 (SYN-RECEIVED); RFC 6298 5.7; RFC 6928.
//! In: SYN, SYN-ACK, ACK, good and bad.
//! Out: the handshake, or the reset that the RFC asks for.

use tidegate_proto::tcp::{CloseReason, DropReason, Event, Read, State, Verdict};

use crate::play::{Corner, Role, Setup, with};

#[test]
fn an_active_open_sends_syn_and_acknowledges_the_answer() {
    Setup::default().syn_sent(|p| {
        p.is(State::SynSent);
        p.expect("S 0 why syn");
        p.wait(3);
        assert_eq!(p.inject("S. 0 ack 1 <mss 1000>"), Verdict::Accepted);
        p.expect(". 1 ack 1 <> why ack-handshake");
        p.is(State::Established);
        assert_eq!(p.take_events(), [Event::Connected]);
    });
}

#[test]
fn a_passive_open_is_connected_by_the_third_segment() {
    for corner in Corner::ALL {
        let mut p = Setup::default().accepted(corner);
        p.is(State::SynReceived);
        p.quiet(3);
        assert_eq!(p.inject(". 1 ack 1"), Verdict::Accepted);
        p.is(State::Established);
        assert_eq!(p.take_events(), [Event::Connected]);
        p.expect_nothing();
    }
}

//= 9293/MUST-14
//= 9293/MUST-67
//= 9293/SHLD-5
//= 9293/SHLD-6
//= 9293/MAY-3
#[test]
fn the_offered_mss_is_the_link_without_fixed_headers() {
    let setup = with(|c| c.max_segment = None);
    for (role, mtu, mss) in [
        (Role::Active, 1500, 1460),
        (Role::Active, 576, 536),
        (Role::Active, 9000, 8960),
        (Role::HostActive, 1500, 1460),
        (Role::HostActive6, 1500, 1440),
        (Role::HostActive6, 1280, 1220),
    ] {
        let mut p = setup.clone().config(|c| c.mtu = mtu).connect(role, Corner::ALL[1]);
        let syn = p.expect("S 0");
        assert_eq!(syn.header.options.mss, Some(mss), "{role:?} over {mtu}");
    }
}

//= 9293/MUST-15
#[test]
fn without_an_mss_option_the_default_of_the_ip_version_holds() {
    for (role, mss) in
        [(Role::Active, 536), (Role::Passive, 536), (Role::HostActive6, 1220), (Role::HostPassive6, 1220)]
    {
        with(|c| c.max_segment = None).peer("").play(role, Corner::ALL[1], |p| {
            p.write(3000);
            p.expect(&format!("p. 1:{} ack 1", 1 + mss));
            p.forget();
        });
    }
}

//= 9293/MUST-16
#[test]
fn the_peers_mss_bounds_what_is_sent() {
    for (offered, sent) in [("mss 100", 100), ("mss 536", 536), ("mss 9000", 1000)] {
        Setup::default().peer(offered).established(|p| {
            p.write(20_000);
            p.expect(&format!("p. 1:{} ack 1", 1 + sent));
            p.forget();
        });
    }
}

/// A peer that offers an absurd MSS does not make us send a packet for every byte.
#[test]
fn an_absurd_mss_has_a_floor() {
    for offered in ["mss 0", "mss 1", "mss 8"] {
        let mut p = Setup::default().connect(Role::Active, Corner::ALL[1]);
        p.expect("S 0");
        p.inject(&format!("S. 0 ack 1 <{offered}>"));
        p.expect(". 1 ack 1");
        assert!(p.info().snd_mss >= 48, "{offered} gave {}", p.info().snd_mss);
    }
}

#[test]
fn each_option_of_ours_can_be_switched_off() {
    let offers = |setup: Setup, line| setup.syn_sent(|p| drop(p.expect(line)));
    offers(with(|_| {}), "S 0 <mss 1000,sackOK,TS,wscale 10>");
    offers(with(|c| c.timestamps = false), "S 0 <mss 1000,sackOK,wscale 10>");
    offers(with(|c| c.sack = false), "S 0 <mss 1000,TS,wscale 10>");
    offers(with(|c| c.window_scaling = false), "S 0 <mss 1000,sackOK,TS>");
}

/// What the peer's SYN did not offer is not in our SYN-ACK.
#[test]
fn a_syn_ack_offers_only_what_the_syn_offered() {
    for (offered, answered) in [
        ("mss 1000", "mss 1000"),
        ("mss 1000,sackOK", "mss 1000,sackOK"),
        ("mss 1000,wscale 3", "mss 1000,wscale 10"),
        ("mss 1000,TS val 9 ecr *", "mss 1000,TS val * ecr 9"),
        ("mss 1000,sackOK,TS val 9 ecr *,wscale 0", "mss 1000,sackOK,TS val * ecr 9,wscale 10"),
    ] {
        for role in [Role::HostPassive, Role::HostPassive6] {
            let mut p = Setup::default().host(role, Corner::ALL[1]);
            p.inject(&format!("S 0 <{offered}>"));
            p.expect(&format!("S. 0 ack 1 <{answered}> why syn-ack"));
            p.expect_nothing();
        }
    }
}

/// RFC 9293 3.10.7.3, first: an acknowledgement of something else is answered with RST.
#[test]
fn in_syn_sent_an_unacceptable_ack_is_reset() {
    for line in
        [". 0 ack 0", ". 0 ack 2", ". 77 ack 1000000", ". 0 ack -1", "S. 0 ack 0", "S. 0 ack 2", "P. 0:10 ack 2"]
    {
        let ack = line.rsplit(' ').next().expect("a number");
        Setup::default().syn_sent(|p| {
            p.expect("S 0");
            assert!(matches!(p.inject(line), Verdict::Answered(_)), "{line}");
            p.expect(&format!("R {ack} why reset-unacceptable-ack"));
            p.is(State::SynSent);
        });
    }
}

/// The same with RST: dropped, and no reset in answer to a reset.
#[test]
fn in_syn_sent_a_reset_counts_only_with_the_exact_ack() {
    for line in ["R 0", "R 1", "R. 0 ack 0", "R. 0 ack 2", "R. 0 ack -1", "R. 5 ack 5000"] {
        Setup::default().syn_sent(|p| {
            p.expect("S 0");
            assert!(matches!(p.inject(line), Verdict::Dropped(_)), "{line}");
            p.expect_nothing();
            p.is(State::SynSent);
        });
    }
    Setup::default().syn_sent(|p| {
        p.expect("S 0");
        p.inject("R. 0 ack 1");
        p.is_closed(CloseReason::Refused);
    });
}

/// Fifth: neither SYN nor RST, even with an acceptable ACK, is dropped.
#[test]
fn in_syn_sent_what_has_neither_syn_nor_rst_is_dropped() {
    for line in [". 1 ack 1", "P. 1:100 ack 1", "F. 1 ack 1", "F 0", "none 0", "P 0:10", "U 0 urg 1"] {
        Setup::default().syn_sent(|p| {
            p.expect("S 0");
            assert!(matches!(p.inject(line), Verdict::Dropped(_)), "{line}");
            p.expect_nothing();
            p.is(State::SynSent);
        });
    }
}

/// Data and FIN on the SYN-ACK belong to the stream, or are asked for again: never lost, never early.
#[test]
fn data_on_the_syn_ack_reaches_the_application() {
    Setup::default().syn_sent(|p| {
        p.expect("S 0");
        // SEG.SEQ is the SYN's number: the payload starts one behind it.
        p.inject_bytes("S. 0 ack 1 <mss 1000>", &crate::play::peer_bytes(1, 100));
        p.is(State::Established);
        let ack = p.expect(". 1");
        if crate::play::Origin::relative(p.irs, ack.header.ack) == 1 {
            p.inject("P. 1:101 ack 1");
        }
        p.forget();
        p.read(100);
        p.forget();
    });
}

#[test]
fn fin_on_the_syn_ack_is_nonsense() {
    Setup::default().syn_sent(|p| {
        p.expect("S 0");
        assert!(matches!(p.inject("SF. 0 ack 1"), Verdict::Dropped(DropReason::BadFlags)));
        p.is(State::SynSent);
    });
}

/// The third segment was lost: the peer repeats its SYN-ACK, and gets the acknowledgement again.
#[test]
fn a_repeated_syn_ack_is_acknowledged_again() {
    Setup::default().active(|p| {
        p.inject("S. 0 ack 1 <mss 1000>");
        p.expect(". 1 ack 1");
        p.is(State::Established);
    });
}

/// RFC 9293 3.10.7.4, fifth, SYN-RECEIVED: a bad ACK gets a reset that carries its number.
#[test]
fn in_syn_received_an_unacceptable_ack_is_reset() {
    for ack in [0, 2, 5000, -1, i64::from(i32::MAX)] {
        for corner in Corner::ALL {
            let mut p = Setup::default().accepted(corner);
            p.inject(&format!(". 1 ack {ack}"));
            p.expect(&format!("R {ack} why reset-unacceptable-ack"));
            p.is(State::SynReceived);
            p.expect_nothing();
        }
        let mut p = Setup::default().host(Role::HostPassive, Corner::ALL[1]);
        p.inject("S 0 <mss 1000>");
        p.expect("S. 0 ack 1");
        p.inject(&format!(". 1 ack {ack}"));
        p.expect(&format!("R {ack}"));
        p.is(State::SynReceived);
        p.expect_nothing();
    }
}

/// The segment that completes the handshake may carry data, and FIN.
#[test]
fn the_third_segment_may_carry_data_and_fin() {
    for corner in Corner::ALL {
        let mut p = Setup::default().accepted(corner);
        p.inject("FP. 1:101 ack 1");
        p.is(State::CloseWait);
        p.expect(". 1 ack 102");
        p.read(100);
        p.read_end();
        p.forget();
    }
    let mut p = Setup::default().host(Role::HostPassive, Corner::ALL[1]);
    p.inject("S 0 <mss 1000>");
    p.expect("S. 0 ack 1");
    p.inject("FP. 1:101 ack 1");
    p.accept();
    p.is(State::CloseWait);
    p.expect(". 1 ack 102");
    p.read(100);
    p.read_end();
}

/// Without the ACK bit nothing completes a handshake.
#[test]
fn in_syn_received_a_segment_without_ack_is_dropped() {
    for corner in Corner::ALL {
        let mut p = Setup::default().accepted(corner);
        assert!(matches!(p.inject("P 1:101"), Verdict::Dropped(_)));
        assert!(matches!(p.inject("F 1"), Verdict::Dropped(_)));
        p.expect_nothing();
        p.is(State::SynReceived);
    }
}

/// SEND before the connection is established is queued (RFC 9293 3.10.2), and goes out with its first ACK.
#[test]
fn what_is_written_early_goes_out_when_established() {
    Setup::default().syn_sent(|p| {
        p.expect("S 0");
        p.write(500);
        p.expect_nothing();
        p.inject("S. 0 ack 1 <mss 1000>");
        p.expect("P. 1:501 ack 1");
    });
}

/// CLOSE and ABORT in SYN-SENT delete the TCB without a word (RFC 9293 3.10.4, 3.10.5).
#[test]
fn close_and_abort_in_syn_sent_say_nothing() {
    Setup::default().syn_sent(|p| {
        p.expect("S 0");
        p.close();
        p.is(State::Closed);
        p.expect_nothing();
    });
    Setup::default().syn_sent(|p| {
        p.expect("S 0");
        p.abort();
        p.is_closed(CloseReason::Aborted);
    });
}

/// CLOSE in SYN-RECEIVED sends FIN: FIN-WAIT-1 (RFC 9293 3.10.4).
#[test]
fn close_in_syn_received_leads_to_fin_wait_1() {
    for corner in Corner::ALL {
        let mut p = Setup::default().accepted(corner);
        p.close();
        p.forget();
        p.inject(". 1 ack 1");
        p.forget();
        p.is(State::FinWait1);
        p.inject(". 1 ack 2");
        p.is(State::FinWait2);
    }
}

#[test]
fn receive_before_data_finds_nothing_and_no_end() {
    Setup::default().active(|p| {
        assert_eq!(p.try_read(), Ok(Read::Pending));
    });
}

/// RFC 7323 2.3: a shift above 14 counts as 14.
#[test]
fn a_window_scale_above_fourteen_counts_as_fourteen() {
    Setup::default().peer("mss 1000,wscale 15").window(1).established(|p| {
        assert_eq!(p.info().window_scale.map(|(_, theirs)| theirs), Some(14));
        p.inject(". 1 ack 1 win 1");
        assert_eq!(p.info().snd_wnd, 1 << 14);
    });
}

/// RFC 7323 2.2: the windows of SYN and SYN-ACK are never scaled.
#[test]
fn the_window_of_a_syn_is_not_scaled() {
    Setup::default().peer("mss 1000,wscale 7").syn_sent(|p| {
        p.expect("S 0");
        p.inject("S. 0 ack 1 win 5000 <mss 1000,wscale 7>");
        p.expect(". 1 ack 1");
        assert_eq!(p.info().snd_wnd, 5000);
        p.inject(". 1 ack 1 win 5000");
        assert_eq!(p.info().snd_wnd, 5000 << 7);
    });
}

/// RFC 7323 2.2: both or neither.
#[test]
fn one_side_alone_does_not_scale() {
    Setup::default().peer("mss 1000").window(5000).established(|p| {
        assert_eq!(p.info().window_scale, None);
        assert_eq!(p.info().snd_wnd, 5000);
    });
    with(|c| c.window_scaling = false).peer("mss 1000,wscale 7").window(5000).established(|p| {
        assert_eq!(p.info().window_scale, None);
        assert_eq!(p.info().snd_wnd, 5000);
    });
}
