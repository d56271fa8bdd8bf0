//! Two stacks back to back: opening, closing and refusing over Ethernet and raw IP, both IP versions.
#![allow(missing_docs)]

mod common;

use std::net::SocketAddr;

use bytes::Bytes;
use common::{A, B, IFACE, Kind, Pair, Side, iface};
use proptest::prelude::*;
use tidegate_proto::net::{
    Cause, ChecksumState, Event, Frame, InitialSequence, Population, SocketError, Stack, StackConfig, TxChecksum,
    offload,
};
use tidegate_proto::tcp::{self, CloseReason, DropReason, ResetCause, SoftError, State, Verdict};
use tidegate_proto::time::{Duration, Instant};
use tidegate_proto::wire::arp::{Operation, Packet};
use tidegate_proto::wire::checksum::{Sum, portable};
use tidegate_proto::wire::eth::{self, MacAddr};
use tidegate_proto::wire::icmp::{Echo, V4, V6};
use tidegate_proto::wire::{Ecn, Flags, FourTuple, Header, Options, Seq, Timestamps, frame, ip, ipv4, ipv6};

const MS: fn(u64) -> Duration = Duration::from_millis;

/// The flags of what went over the wire, in one line: `A S, B S., A .`.
fn story(pair: &Pair) -> String {
    let told: Vec<String> = pair.segments().iter().map(|(from, flags, _)| format!("{from:?} {flags}")).collect();
    told.join(", ")
}

/// One lock around one stack is all that a program with threads needs.
#[test]
fn a_stack_can_move_between_threads() {
    fn is_send<T: Send>() {}
    is_send::<Stack>();
}

#[test]
fn a_handshake_and_a_close_leave_nothing_behind() {
    for (kind, ipv6) in [(Kind::Ethernet, false), (Kind::Ethernet, true), (Kind::RawIp, false), (Kind::RawIp, true)] {
        let mut pair = Pair::new(kind);
        let to = if ipv6 { pair.addr6(B, 80) } else { pair.addr(B, 80) };
        let (a, b) = pair.establish(to);
        assert_eq!(story(&pair), "A S, B S., A .");
        // Ethernet: a question and its answer before the SYN; B has learnt who A is from the question.
        let neighbours = pair.log.iter().filter(|sent| !matches!(sent.cause, Cause::Tcp(_))).count();
        assert_eq!(neighbours, if kind == Kind::Ethernet { 2 } else { 0 });

        let now = pair.now;
        assert_eq!(pair.a.write(a, b"GET /", now), Ok(5));
        pair.run_for(MS(1));
        assert_eq!(pair.read_all(B, b), b"GET /");
        let now = pair.now;
        pair.a.close(a, now).unwrap();
        pair.run_for(MS(1));
        pair.b.close(b, pair.now).unwrap();
        pair.run_for(MS(100));
        assert_eq!((pair.a.state(a), pair.b.state(b)), (State::TimeWait, State::Closed));
        assert_eq!(pair.a.population().time_wait, 1);
        let now = pair.now;
        pair.a.release(a, now);
        pair.b.release(b, now);
        pair.run_to_the_end();
        // I-28: and 2 MSL later nothing is left.
        assert_eq!((pair.a.population(), pair.b.population()), (Population::default(), Population::default()));
        assert!(pair.now >= now + Duration::from_secs(59));
    }
}

#[test]
fn a_port_that_nobody_listens_on_refuses() {
    let mut pair = Pair::new(Kind::Ethernet);
    let to = pair.addr(B, 81);
    let a = pair.a.connect(None, to, pair.now).unwrap();
    pair.run_for(MS(1));
    assert_eq!(story(&pair), "A S, B R.");
    assert!(pair.causes(B).contains(&Cause::Tcp(tcp::Cause::Reset(ResetCause::NoConnection))));
    assert_eq!(pair.a.close_reason(a), Some(CloseReason::Refused));
    assert_eq!(pair.a.counters().attempt_fails, 1);
    assert_eq!(pair.b.counters().out_rsts, 1);
    let now = pair.now;
    pair.a.release(a, now);
    pair.run_to_the_end();
    assert_eq!(pair.a.population(), Population::default());
}

#[test]
fn what_an_open_may_not_ask_for() {
    let mut pair = Pair::new(Kind::Ethernet);
    let at = |addr: &str| addr.parse::<SocketAddr>().unwrap();
    //= 9293/MUST-46
    for (local, remote, error) in [
        (None, "224.0.0.1:80", SocketError::InvalidAddress),
        (None, "255.255.255.255:80", SocketError::InvalidAddress),
        (None, "192.168.131.255:80", SocketError::InvalidAddress),
        (None, "0.0.0.0:80", SocketError::InvalidAddress),
        (None, "[ff02::1]:80", SocketError::InvalidAddress),
        (None, "192.168.131.138:0", SocketError::InvalidAddress),
        (None, "10.0.0.1:80", SocketError::NetworkUnreachable),
        (Some("10.0.0.2:0"), "192.168.131.138:80", SocketError::AddressNotAvailable),
        (Some("[fd00::84]:0"), "192.168.131.138:80", SocketError::InvalidAddress),
    ] {
        let now = pair.now;
        assert_eq!(pair.a.connect(local.map(at), at(remote), now), Err(error), "{remote}");
    }
    //= 9293/MUST-43
    assert_eq!(pair.a.listen(at("10.0.0.2:80"), 1), Err(SocketError::AddressNotAvailable));
    pair.a.listen(at("192.168.131.132:80"), 1).unwrap();
    assert_eq!(pair.a.listen(at("0.0.0.0:80"), 1), Err(SocketError::AddressInUse));
    // An explicit local port leads to one peer once.
    let (local, remote) = (Some(at("0.0.0.0:5000")), pair.addr(B, 80));
    let now = pair.now;
    let first = pair.a.connect(local, remote, now).unwrap();
    assert_eq!(pair.a.key(first).unwrap().local(), at("192.168.131.132:5000"));
    assert_eq!(pair.a.connect(local, remote, now), Err(SocketError::AddressInUse));
    //= 9293/MUST-42
    assert!(pair.a.listen(at("0.0.0.0:5000"), 1).is_ok());
    assert_eq!(pair.log.len(), 0);
}

//= 9293/MUST-10
#[test]
fn both_sides_open_at_once() {
    let mut pair = Pair::new(Kind::RawIp);
    let (at_a, at_b) = (pair.addr(A, 1000), pair.addr(B, 2000));
    let now = pair.now;
    let a = pair.a.connect(Some(at_a), at_b, now).unwrap();
    let b = pair.b.connect(Some(at_b), at_a, now).unwrap();
    pair.run_for(MS(10));
    assert_eq!((pair.a.state(a), pair.b.state(b)), (State::Established, State::Established));
    let now = pair.now;
    pair.a.write(a, b"one stream", now).unwrap();
    pair.run_for(MS(10));
    assert_eq!(pair.read_all(B, b), b"one stream");
}

#[test]
fn a_host_talks_to_itself() {
    let mut pair = Pair::new(Kind::Ethernet);
    let to = pair.addr(A, 80);
    let listener = pair.a.listen(to, 1).unwrap();
    let now = pair.now;
    let client = pair.a.connect(None, to, now).unwrap();
    pair.drain();
    let server = pair.a.accept(listener, now).expect("no time passes on the way to oneself");
    let data = vec![7; 200_000];
    let mut sent = 0;
    let mut received = 0;
    while received < data.len() {
        sent += pair.a.write(client, &data[sent..], pair.now).unwrap();
        pair.run_for(MS(1));
        received += pair.read_all(A, server).len();
    }
    assert_eq!(pair.log.len(), 0, "nothing went out");
    assert_eq!(pair.a.info(client, pair.now).unwrap().snd_mss, 65_535 - 40 - 12);
    let now = pair.now;
    pair.a.release(client, now);
    pair.a.release(server, now);
    pair.a.release(listener, now);
    pair.run_to_the_end();
    assert_eq!(pair.a.population(), Population::default());
}

/// a full accept queue keeps the handshake waiting, and nothing is lost.
#[test]
fn a_full_backlog_holds_the_peer_off_until_there_is_room() {
    let mut pair = Pair::new(Kind::RawIp);
    let to = pair.addr(B, 80);
    let listener = pair.b.listen(to, 2).unwrap();
    let clients: Vec<_> = (0..5).map(|_| pair.a.connect(None, to, pair.now).unwrap()).collect();
    pair.run_for(MS(500));
    let mut accepted = Vec::new();
    assert!(pair.b.counters().listen_overflows > 0);
    for _ in 0..20 {
        let now = pair.now;
        accepted.extend(pair.b.accept(listener, now));
        pair.run_for(Duration::from_secs(1));
    }
    assert_eq!(accepted.len(), 5);
    assert_eq!(pair.b.population().half_open, 0);
    for client in clients {
        assert_eq!(pair.a.state(client), State::Established);
    }
}

#[test]
fn a_full_backlog_resets_if_told_to() {
    let mut config = StackConfig::default();
    config.set_sysctl("tcp_abort_on_overflow", "1").unwrap();
    let mut pair = Pair::with(Kind::RawIp, &config, 0);
    let to = pair.addr(B, 80);
    pair.b.listen(to, 1).unwrap();
    let clients: Vec<_> = (0..3).map(|_| pair.a.connect(None, to, pair.now).unwrap()).collect();
    pair.run_for(MS(10));
    let reset = clients.iter().filter(|&&client| pair.a.close_reason(client) == Some(CloseReason::Reset)).count();
    assert_eq!(reset, 2);
}

#[test]
fn unaccepted_connections_end_with_their_listener() {
    let mut pair = Pair::new(Kind::RawIp);
    let to = pair.addr(B, 80);
    let listener = pair.b.listen(to, 8).unwrap();
    let client = pair.a.connect(None, to, pair.now).unwrap();
    pair.run_for(MS(1));
    assert_eq!(pair.events.iter().filter(|event| event.2 == Event::Acceptable).count(), 1);
    let now = pair.now;
    pair.b.close(listener, now).unwrap();
    pair.run_for(MS(1));
    assert_eq!(pair.a.close_reason(client), Some(CloseReason::Reset));
    assert_eq!((pair.a.counters().estab_resets, pair.b.counters().estab_resets), (1, 1));
    assert_eq!(pair.b.population(), Population::default());
    assert_eq!(pair.b.state(listener), State::Closed);
}

/// As with the kernel: who has connected is accepted, and its holder hears how it ended.
#[test]
fn a_connection_that_is_reset_before_it_is_accepted_is_accepted_all_the_same() {
    let mut pair = Pair::new(Kind::RawIp);
    let to = pair.addr(B, 80);
    let listener = pair.b.listen(to, 8).unwrap();
    for accepts in [true, false] {
        let client = pair.a.connect(None, to, pair.now).unwrap();
        pair.run_for(MS(1));
        let now = pair.now;
        pair.a.abort(client, now).unwrap();
        pair.run_for(MS(1));
        let now = pair.now;
        if accepts {
            let accepted = pair.b.accept(listener, now).unwrap();
            assert_eq!(pair.b.close_reason(accepted), Some(CloseReason::Reset));
            pair.b.release(accepted, now);
        } else {
            pair.b.close(listener, now).unwrap();
        }
        pair.run_to_the_end();
        assert_eq!(pair.b.population().connections, 0);
    }
}

#[test]
fn the_syn_ack_comes_again_and_again_and_then_no_more() {
    let mut pair = Pair::new(Kind::RawIp);
    let to = pair.addr(B, 80);
    pair.b.listen(to, 8).unwrap();
    pair.deliver(B, segment(A, 5000, 80, Flags::SYN, Seq(1), Seq(0), &Options::default()));
    pair.lose = Box::new(|_| true);
    pair.run_to_the_end();
    // 1 + 2 + 4 + 8 + 16 + 32 s after the first.
    let syn_acks: Vec<Duration> =
        pair.log.iter().filter(|sent| sent.from == B).map(|sent| sent.at.since(pair.log[0].at)).collect();
    assert_eq!(syn_acks, [0, 1, 3, 7, 15, 31].map(Duration::from_secs));
    assert_eq!(pair.b.population().half_open, 0);
    assert_eq!(pair.now.since(pair.log[0].at), Duration::from_secs(63));
}

/// memory is bounded, whatever the number of spoofed SYNs; connections that exist do not notice.
#[test]
fn a_flood_of_syns_fills_a_bounded_queue() {
    let mut config = StackConfig::default();
    config.set_sysctl("tcp_max_syn_backlog", "128").unwrap();
    let mut pair = Pair::with(Kind::RawIp, &config, 0);
    let to = pair.addr(B, 80);
    pair.b.listen(to, 1000).unwrap();
    for n in 0..10_000_u16 {
        pair.deliver(B, segment(A, n + 1, 80, Flags::SYN, Seq(u32::from(n)), Seq(0), &Options::default()));
    }
    assert_eq!(pair.b.population().half_open, 128);
    assert_eq!(pair.b.counters().req_q_full_drop, 10_000 - 128);
    assert_eq!(pair.verdicts.last(), Some(&(B, Verdict::Dropped(DropReason::ListenOverflow))));
    pair.lose = Box::new(|_| true);
    pair.run_to_the_end();
    assert_eq!(pair.b.population().half_open, 0);
}

/// MAY-2, RFC 6191: the same four-tuple again, both roles.
//= 9293/MAY-2
//= 9293/SHLD-4
#[test]
fn a_four_tuple_in_time_wait_is_used_again_when_that_is_safe() {
    for closer in [A, B] {
        let mut pair = Pair::new(Kind::RawIp);
        let (from, to) = (pair.addr(A, 5000), pair.addr(B, 80));
        let listener = pair.b.listen(to, 8).unwrap();
        for round in 0..3 {
            let now = pair.now;
            let a = pair.a.connect(Some(from), to, now).unwrap_or_else(|error| panic!("{closer:?} {round}: {error}"));
            pair.run_for(MS(1));
            let now = pair.now;
            let b = pair.b.accept(listener, now).unwrap_or_else(|| panic!("{closer:?} {round}"));
            let (first, second) = if closer == A { (a, b) } else { (b, a) };
            pair.stack(closer).release(first, now);
            pair.run_for(MS(1));
            let now = pair.now;
            pair.stack(closer.other()).release(second, now);
            pair.run_for(MS(50));
            assert_eq!(pair.stack(closer).population().time_wait, 1);
            if closer == A {
                // Active: not before the peer's PAWS can tell the two apart.
                let now = pair.now;
                assert_eq!(pair.a.connect(Some(from), to, now), Err(SocketError::AddressInUse));
            }
            pair.run_for(Duration::from_secs(1));
        }
        assert_eq!(pair.a.counters().time_wait_reused, if closer == A { 2 } else { 0 });
        assert_eq!(pair.b.counters().passive_opens, 3);
    }
}

#[test]
fn an_old_duplicate_does_not_reopen_a_connection_in_time_wait() {
    let mut pair = Pair::new(Kind::RawIp);
    let to = pair.addr(B, 80);
    let listener = pair.b.listen(to, 8).unwrap();
    let a = pair.a.connect(None, to, pair.now).unwrap();
    pair.run_for(MS(1));
    let old_syn = pair.log[0].bytes.clone();
    let now = pair.now;
    let b = pair.b.accept(listener, now).unwrap();
    pair.b.release(b, now);
    pair.run_for(MS(1));
    let now = pair.now;
    pair.a.release(a, now);
    pair.run_for(MS(50));
    assert_eq!(pair.b.population().time_wait, 1);
    assert_eq!(pair.deliver(B, old_syn), Verdict::Answered(DropReason::Paws));
    assert_eq!(pair.b.population().time_wait, 1);
}

/// The article's second question: the last ACK is lost, the FIN comes again, and 2 MSL start again.
//= 9293/MUST-13
#[test]
fn a_lost_last_ack_is_sent_again_from_time_wait() {
    let mut pair = Pair::new(Kind::RawIp);
    let to = pair.addr(B, 80);
    let (a, b) = pair.establish(to);
    let now = pair.now;
    pair.a.release(a, now);
    pair.run_for(MS(1));
    let before = pair.log.len();
    pair.lose = Box::new(|sent| sent.from == A);
    pair.b.release(b, pair.now);
    pair.run_for(MS(100));
    assert_eq!(story(&pair).split(", ").skip(before).collect::<Vec<_>>(), ["B F.", "A ."]);
    pair.lose = Box::new(|_| false);
    pair.run_for(Duration::from_secs(2));
    assert_eq!(story(&pair).split(", ").skip(before).collect::<Vec<_>>(), ["B F.", "A .", "B F.", "A ."]);
    let again = pair.log.last().unwrap();
    assert_eq!(again.cause, Cause::Tcp(tcp::Cause::Ack(tcp::AckCause::TimeWait)));
    let again = again.at;
    assert_eq!(pair.b.population(), Population::default());
    pair.run_to_the_end();
    assert_eq!(pair.now, again + Duration::from_secs(60));
    assert_eq!(pair.a.population(), Population::default());
}

/// text on a SYN is not kept, and comes again.
#[test]
fn data_on_a_syn_is_sent_again() {
    let mut pair = Pair::new(Kind::RawIp);
    let to = pair.addr(B, 80);
    let listener = pair.b.listen(to, 1).unwrap();
    let options = Options { mss: Some(1460), ..Options::default() };
    let with_text = |flags, seq, ack: Seq, text: &[u8]| {
        let (src, dst) = ([192, 168, 131, 132].into(), [192, 168, 131, 138].into());
        let ip = ip::Header::V4(ipv4::Header::atomic(src, dst, ip::protocol::TCP));
        let (options, window) = (options.clone(), 1000);
        let header = Header { src_port: 9, dst_port: 80, seq, ack, flags, options, window, urgent: 0 };
        let head = frame::emit_tcp(None, &ip, &header, &[text], portable);
        Bytes::from([&head[..], text].concat())
    };
    assert_eq!(pair.deliver(B, with_text(Flags::SYN, Seq(99), Seq(0), b"early")), Verdict::Accepted);
    pair.drain();
    let syn_ack = frame::Tcp::parse(pair.link, &pair.log[0].bytes, None).unwrap().tcp;
    assert_eq!(syn_ack.ack, Seq(100), "the SYN and nothing else");
    assert_eq!(pair.deliver(B, with_text(Flags::ACK, Seq(100), syn_ack.seq + 1, b"early")), Verdict::Accepted);
    pair.drain();
    let now = pair.now;
    let b = pair.b.accept(listener, now).expect("text that acknowledges completes the handshake");
    assert_eq!(pair.read_all(B, b), b"early");
}

/// RFC 9293 3.10.7.4, second: a half-open record that is reset leaves its listener as it was.
//= 9293/MUST-11
#[test]
fn a_reset_half_open_connection_returns_to_listen() {
    let mut pair = Pair::new(Kind::RawIp);
    let to = pair.addr(B, 80);
    pair.b.listen(to, 1).unwrap();
    let none = Options::default();
    pair.deliver(B, segment(A, 5000, 80, Flags::SYN, Seq(7), Seq(0), &none));
    let key = FourTuple::new(to, pair.addr(A, 5000));
    assert_eq!(pair.b.state_of(&key), State::SynReceived);
    assert_eq!(pair.b.half_opens().collect::<Vec<_>>(), [key]);
    assert_eq!(pair.deliver(B, segment(A, 5000, 80, Flags::RST, Seq(8), Seq(0), &none)), Verdict::Accepted);
    assert_eq!(pair.b.state_of(&key), State::Listen);
    assert_eq!(pair.b.state_of(&FourTuple::new(pair.addr(B, 81), key.remote())), State::Closed);
    assert_eq!(pair.b.population().half_open, 0);
}

///
#[test]
fn time_wait_records_are_capped_and_the_oldest_goes_first() {
    let mut config = StackConfig::default();
    config.set_sysctl("tcp_max_tw_buckets", "3").unwrap();
    let mut pair = Pair::with(Kind::RawIp, &config, 0);
    for port in 1..=5 {
        let to = pair.addr(B, port);
        let (a, b) = pair.establish(to);
        let now = pair.now;
        pair.a.release(a, now);
        pair.run_for(MS(1));
        let now = pair.now;
        pair.b.release(b, now);
        pair.run_for(MS(50));
    }
    let ports: Vec<u16> = pair.a.time_waits().map(|key| key.remote_port).collect();
    assert_eq!(ports.len(), 3);
    assert!([3, 4, 5].iter().all(|port| ports.contains(port)), "{ports:?}");
    assert_eq!(pair.a.counters().time_wait_overflow, 2);
}

/// and when no port is left, an error says so.
#[test]
fn ephemeral_ports_differ_and_run_out() {
    let mut config = StackConfig::default();
    config.set_sysctl("ip_local_port_range", "40000 40099").unwrap();
    let mut pair = Pair::with(Kind::RawIp, &config, 0);
    let (to, other) = (pair.addr(B, 80), pair.addr(B, 81));
    let now = pair.now;
    let mut ports: Vec<u16> = (0..100)
        .map(|_| {
            let socket = pair.a.connect(None, to, now).unwrap();
            pair.a.key(socket).unwrap().local_port
        })
        .collect();
    assert!(ports.windows(2).filter(|pair| pair[1] == pair[0] + 1).count() < 10, "they are in order: {ports:?}");
    ports.sort_unstable();
    ports.dedup();
    assert_eq!(ports.len(), 100);
    assert_eq!(pair.a.connect(None, to, now), Err(SocketError::NoPorts));
    assert!(pair.a.connect(None, other, now).is_ok(), "towards another socket all are free");
}

#[test]
fn a_neighbour_that_does_not_answer_is_a_soft_error() {
    let mut pair = Pair::new(Kind::Ethernet);
    let to = "192.168.131.200:80".parse().unwrap();
    let a = pair.a.connect(None, to, pair.now).unwrap();
    pair.run_for(MS(2999));
    let questions = pair.causes(A).iter().filter(|cause| **cause == Cause::NeighbourRequest).count();
    assert_eq!(questions, 3);
    assert_eq!(pair.events, []);
    pair.run_for(MS(1));
    //= 9293/MUST-47
    let error = Event::Tcp(tcp::Event::SoftError(SoftError::Unreachable));
    assert!(pair.events.contains(&(A, a, error)));
    assert_eq!(pair.a.state(a), State::SynSent, "soft: it goes on trying");
}

/// Who asks for our address is answered, even without one of its own (RFC 5227, RFC 4861 7.2.4); who asks for another,
/// or answers unasked, is not heard.
#[test]
fn neighbours_are_answered_and_not_believed_unasked() {
    let mut pair = Pair::new(Kind::Ethernet);
    let stranger = MacAddr([2, 0, 0, 0, 0, 66]);
    let arp = |operation, sender: [u8; 4], target: [u8; 4]| {
        let ethernet = eth::Header { dst: MacAddr::BROADCAST, src: stranger, ethertype: eth::ETHERTYPE_ARP };
        let packet = Packet {
            operation,
            sender_mac: stranger,
            sender_ip: sender.into(),
            target_mac: MacAddr::default(),
            target_ip: target.into(),
        };
        Bytes::from([&ethernet.to_bytes()[..], &packet.to_bytes()].concat())
    };
    let (b, a) = ([192, 168, 131, 138], [192, 168, 131, 132]);
    let not_for_us = Verdict::Dropped(DropReason::NotForUs);
    for (what, frame, verdict, answers) in [
        ("a probe", arp(Operation::Request, [0; 4], b), Verdict::Accepted, 1),
        ("for another", arp(Operation::Request, [192, 168, 131, 7], a), not_for_us, 0),
        ("in our name", arp(Operation::Request, b, b), Verdict::Dropped(DropReason::MartianSource), 0),
        ("from elsewhere", arp(Operation::Request, [10, 0, 0, 1], b), Verdict::Dropped(DropReason::MartianSource), 0),
        ("an answer to nothing", arp(Operation::Reply, a, b), Verdict::Accepted, 0),
    ] {
        let before = pair.log.len();
        assert_eq!(pair.deliver(B, frame), verdict, "{what}");
        pair.drain();
        assert_eq!(pair.log.len() - before, answers, "{what}");
    }

    let (std::net::IpAddr::V6(target), std::net::IpAddr::V6(peer)) = (pair.addr6(B, 0).ip(), pair.addr6(A, 0).ip())
    else {
        unreachable!()
    };
    let nowhere = std::net::Ipv6Addr::UNSPECIFIED;
    let group = ip::solicited_node(target);
    let solicitation = V6::NeighbourSolicitation { target, source_mac: None };
    let message = solicitation.to_bytes(nowhere, group, &[]);
    for (hop_limit, verdict) in [(64, Verdict::Dropped(DropReason::Malformed)), (255, Verdict::Accepted)] {
        let header = ip::Header::V6(ipv6_header(nowhere, group, ip::protocol::ICMPV6, hop_limit));
        assert_eq!(pair.deliver(B, ethernet_frame(&header, &message, &[])), verdict);
    }
    pair.drain();
    let answer = pair.log.last().unwrap().bytes.clone();
    assert_eq!(answer[..6], [0x33, 0x33, 0, 0, 0, 1], "to all nodes");
    let unasked = V6::NeighbourAdvertisement {
        target: peer,
        target_mac: Some(stranger),
        router: false,
        solicited: true,
        r#override: true,
    };
    let header = ip::Header::V6(ipv6_header(peer, target, ip::protocol::ICMPV6, 255));
    pair.deliver(B, ethernet_frame(&header, &unasked.to_bytes(peer, target, &[]), &[]));

    // Nothing of this has told B where A is: it asks.
    for to in [pair.addr(A, 80), pair.addr6(A, 80)] {
        let before = pair.log.len();
        pair.b.connect(None, to, pair.now).unwrap();
        pair.drain();
        assert_eq!(pair.log[before..].iter().map(|sent| sent.cause).collect::<Vec<_>>(), [Cause::NeighbourRequest]);
    }
}

#[test]
fn echo_requests_are_answered() {
    let mut pair = Pair::new(Kind::Ethernet);
    let echo = Echo { id: 7, seq: 1 };
    let (src, dst) = ([192, 168, 131, 132].into(), [192, 168, 131, 138].into());
    let data = b"hello, host".to_vec();
    let v4 = ip::Header::V4(ipv4::Header::atomic(src, dst, ip::protocol::ICMP));
    let message = V4::EchoRequest(echo).to_bytes(&data);
    pair.deliver(B, ethernet_frame(&v4, &message, &data));
    let (src, dst) = (pair.addr6(A, 0).ip(), pair.addr6(B, 0).ip());
    let (std::net::IpAddr::V6(src), std::net::IpAddr::V6(dst)) = (src, dst) else { unreachable!() };
    let v6 = ip::Header::V6(ipv6_header(src, dst, ip::protocol::ICMPV6, 64));
    let message = V6::EchoRequest(echo).to_bytes(src, dst, &data);
    pair.deliver(B, ethernet_frame(&v6, &message, &data));
    pair.run_for(MS(1));
    assert!(pair.verdicts.iter().filter(|(side, _)| *side == B).all(|(_, verdict)| *verdict == Verdict::Accepted));
    let replies: Vec<&[u8]> =
        pair.log.iter().filter(|sent| sent.cause == Cause::EchoReply).map(|sent| &sent.bytes[..]).collect();
    assert_eq!(replies.len(), 2);
    assert!(replies.iter().all(|reply| reply.ends_with(&data)));
    assert_eq!(V4::parse(&replies[0][34..]), Ok(V4::EchoReply(echo)));
    assert_eq!(V6::parse(&replies[1][54..], dst, src), Ok(V6::EchoReply(echo)));
}

/// MUST-57, MUST-63: dropped in silence.
//= 9293/MUST-57
//= 9293/MUST-63
#[test]
fn packets_from_impossible_sources_get_no_answer() {
    let mut pair = Pair::new(Kind::RawIp);
    let to = pair.addr(B, 80);
    pair.b.listen(to, 8).unwrap();
    for (src, dst, why) in [
        ("127.0.0.1", "192.168.131.138", DropReason::MartianSource),
        ("224.0.0.1", "192.168.131.138", DropReason::MartianSource),
        ("255.255.255.255", "192.168.131.138", DropReason::MartianSource),
        ("192.168.131.255", "192.168.131.138", DropReason::MartianSource),
        ("0.0.0.0", "192.168.131.138", DropReason::MartianSource),
        ("192.168.131.138", "192.168.131.138", DropReason::MartianSource),
        ("192.168.131.132", "127.0.0.1", DropReason::MartianSource),
        ("192.168.131.132", "224.0.0.1", DropReason::Multicast),
        ("192.168.131.132", "192.168.131.255", DropReason::Multicast),
        ("192.168.131.132", "255.255.255.255", DropReason::Multicast),
        ("192.168.131.132", "192.168.131.139", DropReason::NotForUs),
        ("::", "fd00::8a", DropReason::MartianSource),
        ("::1", "fd00::8a", DropReason::MartianSource),
        ("ff02::1", "fd00::8a", DropReason::MartianSource),
        ("fd00::8a", "fd00::8a", DropReason::MartianSource),
        ("fd00::84", "ff02::1", DropReason::Multicast),
        ("fd00::84", "fd00::9", DropReason::NotForUs),
    ] {
        for flags in [Flags::SYN, Flags::ACK, Flags::FIN | Flags::ACK, Flags::RST, Flags::SYN | Flags::ACK] {
            let (src, dst) = (src.parse().unwrap(), dst.parse().unwrap());
            let header = Header { src_port: 80, dst_port: 80, flags, ..Header::default() };
            assert_eq!(pair.deliver(B, tcp_packet(src, dst, &header)), Verdict::Dropped(why), "{src} > {dst} {flags}");
        }
    }
    pair.drain();
    assert_eq!(pair.log.len(), 0);
    assert_eq!(pair.b.population().half_open, 0);
}

/// RFC 1122 3.3.6.
#[test]
fn unicast_packets_in_broadcast_frames_are_ignored() {
    let mut pair = Pair::new(Kind::Ethernet);
    let to = pair.addr(B, 80);
    pair.b.listen(to, 8).unwrap();
    let a = pair.a.connect(None, to, pair.now).unwrap();
    pair.run_for(MS(1));
    assert_eq!(pair.a.state(a), State::Established);
    let syn = pair.log.iter().find(|sent| sent.cause == Cause::Tcp(tcp::Cause::Syn)).unwrap();
    let mut bytes = syn.bytes.to_vec();
    bytes[..6].copy_from_slice(&MacAddr::BROADCAST.0);
    assert_eq!(pair.deliver(B, bytes.into()), Verdict::Dropped(DropReason::Multicast));
}

/// an error is believed only if it quotes what is in flight, and never ends a connection.
//= 9293/MUST-54
//= 9293/MUST-55
//= 9293/MUST-56
#[test]
fn icmp_errors_find_their_connection() {
    let mut pair = Pair::new(Kind::RawIp);
    let to = pair.addr(B, 80);
    pair.lose = Box::new(|_| true);
    let a = pair.a.connect(None, to, pair.now).unwrap();
    pair.drain();
    let syn = pair.log[0].bytes.clone();
    let mut forged = syn.to_vec();
    forged[24] ^= 0x40;
    let unreachable = |code| V4::Unreachable { code, next_hop_mtu: 0 };
    let ip = ip::Header::V4(ipv4::Header::atomic(
        [192, 168, 131, 1].into(),
        [192, 168, 131, 132].into(),
        ip::protocol::ICMP,
    ));
    for (message, quoted, verdict) in [
        (unreachable(1), &syn[..28], Verdict::Accepted),
        (unreachable(3), &syn[..], Verdict::Accepted),
        (V4::TimeExceeded { code: 0 }, &syn[..], Verdict::Accepted),
        (unreachable(1), &forged[..], Verdict::Dropped(DropReason::OutsideWindow)),
        (unreachable(1), &syn[..27], Verdict::Dropped(DropReason::Malformed)),
        (V4::SourceQuench, &syn[..], Verdict::Dropped(DropReason::UnknownProtocol)),
    ] {
        let header = frame::emit(None, &ip, &message.to_bytes(quoted), quoted.len());
        assert_eq!(pair.deliver(A, [&header[..], quoted].concat().into()), verdict, "{message:?}");
        pair.drain();
        let told =
            pair.events.drain(..).filter(|event| matches!(event.2, Event::Tcp(tcp::Event::SoftError(_)))).count();
        assert_eq!(told, usize::from(verdict == Verdict::Accepted), "{message:?}");
    }
    assert_eq!(pair.a.state(a), State::SynSent);
}

/// I-34: never a reset for a reset; otherwise one that its receiver will believe (RFC 9293 3.10.7.1).
#[test]
fn segments_to_nobody_are_reset() {
    let mut pair = Pair::new(Kind::RawIp);
    let none = Options::default();
    for flags in [Flags::RST, Flags::RST | Flags::ACK] {
        let arriving = segment(A, 5000, 99, flags, Seq(1), Seq(2), &none);
        assert_eq!(pair.deliver(B, arriving), Verdict::Dropped(DropReason::IgnoredReset));
    }
    pair.drain();
    assert_eq!(pair.log.len(), 0);
    for (flags, reset) in [
        (Flags::SYN, (Seq(0), Seq(8), Flags::RST | Flags::ACK)),
        (Flags::FIN, (Seq(0), Seq(8), Flags::RST | Flags::ACK)),
        (Flags::ACK, (Seq(9), Seq(0), Flags::RST)),
        (Flags::SYN | Flags::ACK, (Seq(9), Seq(0), Flags::RST)),
    ] {
        let arriving = segment(A, 5000, 99, flags, Seq(7), Seq(9), &none);
        assert_eq!(pair.deliver(B, arriving), Verdict::Answered(DropReason::NoConnection));
        pair.drain();
        let answer = frame::Tcp::parse(pair.link, &pair.log.last().unwrap().bytes, Some(portable)).unwrap().tcp;
        assert_eq!((answer.seq, answer.ack, answer.flags), reset, "{flags}");
    }
}

/// The same initial sequence numbers at the edges of the space, for worlds that want them.
#[test]
fn initial_sequence_numbers_can_be_fixed() {
    let mut config = StackConfig::default();
    config.host.initial_sequence = InitialSequence::Fixed(Seq(u32::MAX));
    let mut pair = Pair::with(Kind::RawIp, &config, 0);
    let to = pair.addr(B, 80);
    pair.establish(to);
    let seqs: Vec<Seq> =
        pair.log.iter().map(|sent| frame::Tcp::parse(pair.link, &sent.bytes, None).unwrap().tcp.seq).collect();
    assert_eq!(seqs, [Seq(u32::MAX), Seq(u32::MAX), Seq(0)]);
}

/// MUST-48, MUST-49, SHLD-21, SHLD-22.
#[test]
fn ttl_and_dscp_are_the_applications_choice() {
    let mut pair = Pair::new(Kind::RawIp);
    let to = pair.addr(B, 80);
    let (a, _) = pair.establish(to);
    let marked = |config: &mut tcp::Config| (config.ttl, config.dscp) = (Some(3), 46);
    pair.a.configure(a, marked, pair.now).unwrap();
    let now = pair.now;
    pair.a.write(a, b"x", now).unwrap();
    pair.drain();
    let (header, _) = ipv4::Header::parse(&pair.log.last().unwrap().bytes).unwrap();
    assert_eq!((header.ttl, header.dscp), (3, 46));
}

/// A burst goes out as one frame, and arrives as the segments that a device makes of it.
#[test]
fn bursts_carry_many_segments() {
    let mut pair = Pair::with(Kind::Ethernet, &StackConfig::default(), 65_536);
    let to = pair.addr(B, 80);
    let (a, b) = pair.establish(to);
    let data: Vec<u8> = (0..300_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    let (mut sent, mut received) = (0, Vec::new());
    while received.len() < data.len() {
        sent += pair.a.write(a, &data[sent..], pair.now).unwrap();
        pair.run_for(MS(1));
        received.extend(pair.read_all(B, b));
    }
    assert!(received == data);
    let info = pair.a.info(a, pair.now).unwrap();
    assert_eq!(info.total_retrans, 0);
    assert!(info.data_segs_out >= 300_000 / 1448);
}

/// A device that finishes checksums as virtio's do (sum from `start` to the end, put it at `offset`) and the software
/// that stands in for one make the same right segment of the same frame.
#[test]
fn a_device_or_software_finishes_a_partial_checksum() {
    for (kind, link) in [(Kind::Ethernet, frame::Link::Ethernet), (Kind::RawIp, frame::Link::Ip)] {
        for ipv6 in [false, true] {
            let mut pair = Pair::with_offload(kind, 65_536);
            let to = if ipv6 { pair.addr6(B, 80) } else { pair.addr(B, 80) };
            let (a, b) = pair.establish(to);
            pair.a.write(a, b"odd", pair.now).unwrap();
            let mut tx = pair.a.poll_transmit(pair.now).expect("a segment");
            assert_eq!(tx.gso_size, 0);
            let by_software: Vec<Bytes> = offload::split(&tx, link, portable).collect();
            let TxChecksum::Partial { start, offset } = tx.checksum else { panic!("{:?}", tx.checksum) };
            let (start, offset) = (usize::from(start), usize::from(offset));
            let sum = Sum::new(portable).with(&tx.header[start..]).with_all(&tx.payload).checksum();
            tx.header[start + offset..start + offset + 2].copy_from_slice(&sum.to_be_bytes());
            let by_device = [&tx.header[..], b"odd"].concat();
            assert_eq!(by_software, [&by_device[..]]);
            assert!(frame::Tcp::parse(link, &by_device, Some(portable)).is_ok());

            // What never was on a wire has nothing to verify.
            let mut unfinished = by_device.clone();
            unfinished[start + offset] ^= 1;
            for (checksum, verdict) in [
                (ChecksumState::Unknown, Verdict::Dropped(DropReason::BadChecksum)),
                (ChecksumState::Partial, Verdict::Accepted),
            ] {
                let frame = Frame { bytes: unfinished.clone().into(), checksum, segments: 1 };
                assert_eq!(pair.b.receive(IFACE, frame, pair.now), verdict);
            }
            assert_eq!(pair.read_all(B, b), b"odd");

            pair.a.write(a, &[7; 5000], pair.now).unwrap();
            let burst = pair.a.poll_transmit(pair.now).expect("a burst");
            assert!(burst.gso_size > 0 && matches!(burst.checksum, TxChecksum::Partial { .. }));
            for bytes in offload::split(&burst, link, portable) {
                assert!(frame::Tcp::parse(link, &bytes, Some(portable)).is_ok());
            }
        }
    }
}

/// I-40 in small: what a stranger sees does not depend on whether others are connected.
#[test]
fn idle_connections_change_nothing_for_others() {
    let answers = [0, 50].map(|idle| {
        let mut pair = Pair::new(Kind::RawIp);
        for port in 0..idle {
            let to = pair.addr(B, 1000 + port);
            pair.establish(to);
        }
        pair.now = Instant::ZERO + Duration::from_secs(100);
        pair.log.clear();
        pair.deliver(B, segment(A, 5000, 99, Flags::SYN, Seq(7), Seq(9), &Options::default()));
        pair.drain();
        pair.log.last().unwrap().bytes.clone()
    });
    assert_eq!(answers[0], answers[1]);
}

fn ipv6_header(src: std::net::Ipv6Addr, dst: std::net::Ipv6Addr, protocol: u8, hop_limit: u8) -> ipv6::Header {
    ipv6::Header { src, dst, protocol, hop_limit, dscp: 0, ecn: Ecn::NotEct, flow_label: 0, fragment: None }
}

fn ethernet_frame(ip: &ip::Header, transport: &[u8], payload: &[u8]) -> Bytes {
    let ethernet = eth::Header {
        dst: MacAddr([2, 0, 0, 0, 0, 138]),
        src: MacAddr([2, 0, 0, 0, 0, 132]),
        ethertype: ip.ethertype(),
    };
    let header = frame::emit(Some(&ethernet), ip, transport, payload.len());
    [&header[..], payload].concat().into()
}

fn tcp_packet(src: std::net::IpAddr, dst: std::net::IpAddr, header: &Header) -> Bytes {
    let ip = match (src, dst) {
        (std::net::IpAddr::V4(src), std::net::IpAddr::V4(dst)) => {
            ip::Header::V4(ipv4::Header::atomic(src, dst, ip::protocol::TCP))
        }
        (std::net::IpAddr::V6(src), std::net::IpAddr::V6(dst)) => {
            ip::Header::V6(ipv6_header(src, dst, ip::protocol::TCP, 64))
        }
        _ => unreachable!("one version"),
    };
    let none: &[Bytes] = &[];
    frame::emit_tcp(None, &ip, header, none, portable).to_vec().into()
}

/// A segment from `from` to the other host, over raw IP.
fn segment(from: Side, src_port: u16, dst_port: u16, flags: Flags, seq: Seq, ack: Seq, options: &Options) -> Bytes {
    let addr = |side| std::net::IpAddr::from([192, 168, 131, if side == A { 132 } else { 138 }]);
    let header = Header { src_port, dst_port, seq, ack, flags, window: 65_535, urgent: 0, options: options.clone() };
    tcp_packet(addr(from), addr(from.other()), &header)
}

/// What an attacker may do to a frame.
fn mutated(bytes: &[u8], at: usize, value: u8, cut: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let len = bytes.len();
    bytes[at % len] = value;
    bytes.truncate(len - cut % (len + 1));
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// No bytes make a stack panic, and no bytes leave it with a deadline that does not pass.
    #[test]
    fn any_bytes_can_arrive(frames in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..120), 1..20)) {
        for kind in [Kind::Ethernet, Kind::RawIp] {
            let now = Instant::ZERO;
            let mut stack = Stack::new(StackConfig::default(), [1; 32], now);
            stack.add_interface(iface(kind, 138, 0));
            for bytes in &frames {
                let frame = Frame { bytes: bytes.clone().into(), checksum: ChecksumState::Verified, segments: 1 };
                stack.receive(IFACE, frame, now);
            }
            while stack.poll_transmit(now).is_some() {}
            while stack.poll_event().is_some() {}
            prop_assert!(stack.next_timeout().is_none_or(|at| at > now));
        }
    }

    /// Real frames with a byte changed or the end cut off, checksum "verified", into both ends of a connection.
    #[test]
    fn damaged_frames_can_arrive(damage in prop::collection::vec((any::<u16>(), any::<u16>(), any::<u8>(), prop::option::of(any::<u16>())), 1..40), ipv6: bool) {
        let mut pair = Pair::new(Kind::Ethernet);
        let to = if ipv6 { pair.addr6(B, 80) } else { pair.addr(B, 80) };
        let (a, _) = pair.establish(to);
        let now = pair.now;
        pair.a.write(a, &[9; 5000], now).unwrap();
        pair.run_for(MS(50));
        let recorded = pair.log.clone();
        for (which, at, value, cut) in damage {
            let original = &recorded[usize::from(which) % recorded.len()];
            let bytes = mutated(&original.bytes, usize::from(at), value, usize::from(cut.unwrap_or(0)));
            let frame = Frame { bytes: bytes.into(), checksum: ChecksumState::Verified, segments: 1 };
            let now = pair.now;
            pair.stack(original.from.other()).receive(IFACE, frame, now);
            pair.drain();
        }
        pair.run_for(MS(500));
    }
}

/// Timestamps are offset per pair of addresses: the two directions' clocks do not show how long the hosts are up.
#[test]
fn timestamps_do_not_show_the_clock() {
    let mut pair = Pair::new(Kind::RawIp);
    let to = pair.addr(B, 80);
    pair.establish(to);
    let vals: Vec<u32> = pair
        .log
        .iter()
        .filter_map(|sent| frame::Tcp::parse(pair.link, &sent.bytes, None).unwrap().tcp.options.timestamps)
        .map(|Timestamps { val, .. }| val)
        .collect();
    assert_eq!(vals.len(), 3);
    assert!(vals[0] > 10_000 && vals[1] > 10_000 && vals[0].abs_diff(vals[1]) > 10_000, "{vals:?}");
}
