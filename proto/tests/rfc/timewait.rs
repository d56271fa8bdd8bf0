//! TIME-WAIT: answering the last repeated FIN, and keeping old segments out of new connections.
//!
//! Sections: RFC 9293 3.6.1, 3.10.7.4, 3.10.8; RFC 1337; RFC 6191.
//! In: what still arrives after both FINs: FIN again, RST, old data, a new SYN.
//! Out: acknowledgements, a restarted timer, or a new connection that no old segment can disturb.

use tidegate_proto::net::Population;
use tidegate_proto::tcp::{DropReason, State, Verdict};

use crate::play::{Play, Setup, Subject};
use crate::states;

/// TIME-WAIT on a whole host, entered at this moment.
fn waiting(setup: &Setup, script: impl Fn(&mut Play)) {
    setup.hosts(|p| {
        states::lead(p, State::TimeWait);
        script(p);
    });
}

fn population(p: &Play) -> Population {
    let Subject::Host(host) = &p.subject else { panic!("only a host counts") };
    host.stack.population()
}

//= 9293/MUST-13
#[test]
fn time_wait_lasts_two_segment_lifetimes() {
    waiting(&Setup::default(), |p| {
        // The last acknowledgement went out 50 ms ago.
        p.quiet(59_900);
        p.is(State::TimeWait);
        assert_eq!(population(p).time_wait, 1);
        p.quiet(200);
        p.is_over();
        assert_eq!(population(p).time_wait, 0);
    });
}

/// A small record is all that remains, at once.
#[test]
fn the_connection_makes_room_for_a_record() {
    waiting(&Setup::default(), |p| {
        p.release();
        let population = population(p);
        assert_eq!((population.connections, population.time_wait, population.memory), (0, 1, 0));
    });
}

/// I-28: after the last timer a host is empty.
#[test]
fn nothing_remains_afterwards() {
    waiting(&Setup::default(), |p| {
        p.release();
        p.quiet(61_000);
        let left = population(p);
        assert_eq!((left.connections, left.half_open, left.time_wait, left.timers, left.memory), (0, 0, 0, 0, 0));
    });
}

/// Our last acknowledgement was lost: FIN comes again, is acknowledged again, and the time starts over.
//= 9293/MUST-13
#[test]
fn a_repeated_fin_restarts_the_timer() {
    waiting(&Setup::default(), |p| {
        p.wait(40_000);
        p.inject("F. 1 ack 2");
        p.expect(". 2 ack 2");
        p.quiet(59_999);
        p.is(State::TimeWait);
        p.quiet(2);
        p.is_over();
    });
}

/// RFC 1337: a reset does not end TIME-WAIT; nor does anything else.
//= 1337#3
#[test]
fn time_wait_cannot_be_assassinated() {
    for line in ["R 2", "R. 2 ack 2", "R 3"] {
        waiting(&Setup::default(), |p| {
            let verdict = p.inject(line);
            assert!(!matches!(verdict, Verdict::Accepted), "{line}: {verdict:?}");
            p.forget();
            p.is(State::TimeWait);
        });
    }
    waiting(&Setup::default(), |p| {
        assert_eq!(p.inject("R 2"), Verdict::Dropped(DropReason::TimeWaitAssassination));
        p.expect_nothing();
    });
}

/// Unless the owner prefers it so.
#[test]
fn without_rfc1337_the_exact_reset_ends_it() {
    let setup = Setup::default().host_config(|h| h.rfc1337 = false);
    waiting(&setup, |p| {
        p.inject("R 2");
        p.is_over();
    });
    waiting(&setup, |p| {
        p.inject("R 900");
        p.forget();
        p.is(State::TimeWait);
    });
}

/// Old segments are answered with what we expect, and change nothing.
#[test]
fn old_segments_are_answered() {
    for line in ["P. 1:2 ack 2", ". 1 ack 1", "P. -500:1 ack 2", ". 100000 ack 2"] {
        waiting(&Setup::default(), |p| {
            p.inject(line);
            p.expect(". 2 ack 2");
            p.is(State::TimeWait);
        });
    }
}

/// No ACK, no RST, no SYN: nothing.
#[test]
fn segments_without_ack_are_dropped_silently() {
    for line in ["P 2:12", "F 2", "none 2", "SF 70000"] {
        waiting(&Setup::default(), |p| {
            p.inject(line);
            p.expect_nothing();
            p.is(State::TimeWait);
        });
    }
}

/// A SYN beyond the last number of the old connection starts a new one, if somebody listens.
//= 9293/MAY-2
#[test]
fn a_newer_syn_starts_a_new_connection() {
    Setup::default().hosts(|p| {
        if !p.subject.is_listening() {
            return;
        }
        states::lead(p, State::TimeWait);
        p.release();
        p.irs = p.irs + 100_000;
        p.restart();
        p.inject("S 0 <mss 1000>");
        p.expect("S. 0 ack 1 why syn-ack");
        p.is(State::SynReceived);
        p.inject(". 1 ack 1");
        p.accept();
        p.is(State::Established);
        assert_eq!(population(p).time_wait, 0);
    });
}

/// An old duplicate SYN is answered like any old segment: the article's story told at its end.
//= 9293/MAY-2
#[test]
fn an_older_syn_starts_nothing() {
    for line in ["S 0 <mss 1000>", "S 1", "S -5000", "S 2"] {
        waiting(&Setup::default(), |p| {
            p.inject(line);
            p.expect(". 2 ack 2");
            p.is(State::TimeWait);
        });
    }
}

/// RFC 6191: with timestamps the clock decides, and an older sequence number does not matter.
//= 9293/SHLD-4
//= 6191#2
#[test]
fn a_younger_timestamp_starts_a_new_connection() {
    let setup = Setup::default().peer("mss 1000,TS");
    setup.hosts(|p| {
        if !p.subject.is_listening() {
            return;
        }
        states::lead(p, State::TimeWait);
        p.release();
        p.irs = p.irs - 100_000;
        p.restart();
        p.inject("S 0 <mss 1000,TS val 5000 ecr *>");
        p.expect("S. 0 ack 1 why syn-ack");
        p.is(State::SynReceived);
        p.forget();
    });
    setup.hosts(|p| {
        states::lead(p, State::TimeWait);
        p.wait(500);
        p.inject("S 0 <mss 1000,TS val 3 ecr *>");
        p.expect(". 2 ack 2");
        p.is(State::TimeWait);
    });
}

/// The new connection's numbers lie beyond the old one's, so that no old segment of ours fits into it.
//= 6191#2
#[test]
fn our_numbers_in_the_new_connection_are_new() {
    Setup::default().hosts(|p| {
        if !p.subject.is_listening() {
            return;
        }
        p.write(50_000);
        let mut una = 1;
        p.forget();
        while una < 50_001 {
            una = p.info().snd_nxt.0;
            p.inject_blindly(&format!(". 1 ack {una}"));
        }
        p.close();
        p.forget();
        p.inject("F. 1 ack 50002");
        p.forget();
        p.is(State::TimeWait);
        p.release();
        let last = p.iss.expect("known") + 50_002;
        p.irs = p.irs + 100_000;
        p.restart();
        p.inject("S 0 <mss 1000>");
        let syn_ack = p.expect("S. 0 ack 1");
        assert!(syn_ack.header.seq.distance(last) > 0, "{} after {last}", syn_ack.header.seq);
    });
}

/// In TIME-WAIT the application can still read what it had not, and its end.
#[test]
fn what_was_not_read_stays_readable() {
    Setup::default().hosts(|p| {
        p.inject_blindly("P. 1:501 ack 1");
        p.close();
        p.forget();
        p.inject("F. 501 ack 2");
        p.forget();
        p.is(State::TimeWait);
        p.read(500);
        p.read_end();
        p.quiet(61_000);
        p.is_over();
    });
}

/// With timestamps the acknowledgement of TIME-WAIT carries them.
#[test]
fn the_last_acknowledgement_is_stamped() {
    waiting(&Setup::default().peer("mss 1000,TS"), |p| {
        p.inject("F. 1 ack 2");
        p.expect(". 2 ack 2 <TS>");
    });
}

/// Both ends are the same: a SYN whose timestamp is not younger counts by its number.
//= 6191#2
#[test]
fn an_equal_timestamp_leaves_it_to_the_number() {
    let setup = Setup::default().peer("mss 1000,TS");
    for (seq, ts, taken) in [(100_000, "TS val 10 ecr *", true), (0, "TS val 10 ecr *", false), (100_000, "", true)] {
        setup.hosts(|p| {
            if !p.subject.is_listening() {
                return;
            }
            // The peer's last segment was stamped 10.
            states::lead(p, State::TimeWait);
            p.release();
            let story = p.story();
            p.irs = p.irs + seq;
            if taken {
                p.restart();
            }
            let options = if ts.is_empty() { "mss 1000".to_owned() } else { format!("mss 1000,{ts}") };
            p.inject(&format!("S 0 <{options}>"));
            assert_eq!(p.state() == State::SynReceived, taken, "{seq} {ts}\n{}", story);
            p.forget();
        });
    }
}

/// An active open may take the place of a record whose timestamps are a second old, and not before.
//= 6191#2
#[test]
fn an_active_open_reuses_an_old_record_only() {
    let setup = Setup::default().peer("mss 1000,TS");
    let again = |p: &mut Play| {
        let (key, now) = (p.key, p.now);
        let Subject::Host(host) = &mut p.subject else { panic!("only a host connects") };
        host.stack.connect(Some(key.local()), key.remote(), now)
    };
    waiting(&setup, |p| {
        p.release();
        assert!(again(p).is_err(), "the record is fresh");
        p.wait(1100);
        let socket = again(p).expect("the record is a second old");
        let Subject::Host(host) = &mut p.subject else { panic!("only a host connects") };
        host.socket = Some(socket);
        p.restart();
        p.drain();
        p.expect("S 0");
    });
    // Without timestamps nothing tells old segments from new ones.
    waiting(&Setup::default(), |p| {
        p.release();
        p.wait(30_000);
        assert!(again(p).is_err());
    });
    waiting(&setup.clone().host_config(|h| h.tw_reuse = false), |p| {
        p.release();
        p.wait(30_000);
        assert!(again(p).is_err());
    });
}

/// there are never more records than allowed.
#[test]
fn records_are_bounded() {
    let setup = Setup::default().host_config(|h| h.max_tw_buckets = 5);
    let mut p = setup.open(crate::play::Role::HostPassive, crate::play::Corner::ALL[5]);
    for port in 0..20 {
        states::lead(&mut p, State::TimeWait);
        p.release();
        assert!(population(&p).time_wait <= 5);
        p.key.remote_port = 41_000 + port;
        let Subject::Host(host) = &mut p.subject else { unreachable!("a host was asked for") };
        host.key = p.key;
        p.restart();
        p.inject("S 0 <mss 1000>");
        p.expect("S. 0 ack 1");
        p.inject(". 1 ack 1");
        p.accept();
    }
    assert_eq!(population(&p).connections, 1);
}
