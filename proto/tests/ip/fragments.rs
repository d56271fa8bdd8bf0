//! Packets that arrive in pieces.
//!
//! Sections: RFC 791 3.2; RFC 1122 3.3.2; RFC 8200 4.5; RFC 6946; RFC 6980; attacks.
//! In: TCP segments and ICMP messages, cut.
//! Out: what the whole would have brought; complaints to senders; counters.

use std::net::SocketAddr;

use tidegate_proto::net::StackConfig;
use tidegate_proto::tcp::{DropReason, Verdict};
use tidegate_proto::time::Duration;
use tidegate_proto::wire::icmp::{Echo, V4, V6};
use tidegate_proto::wire::ip::protocol;
use tidegate_proto::wire::{Flags, frame, ip};

use crate::host::{Host, addr, cut, ip_header, tcp};

/// Client 192.0.2.2 or 2001:db8::2, and the server at this host.
fn ends(v6: bool) -> (SocketAddr, SocketAddr) {
    (SocketAddr::new(addr(v6, 2), 4000), SocketAddr::new(addr(v6, 1), 80))
}

/// A connection whose every segment arrives in pieces, in reverse order, each piece twice.
#[test]
fn a_connection_whose_segments_arrive_in_pieces() {
    for v6 in [false, true] {
        let mut host = Host::new(&StackConfig::default());
        let (client, server) = ends(v6);
        let listener = host.stack.listen(server, 8).unwrap();
        let mut id = 0;
        let mut feed = |host: &mut Host, packet: &[u8]| {
            id += 1;
            for piece in cut(packet, id, 24).iter().rev() {
                assert_eq!(host.receive(piece), Verdict::Accepted);
                host.receive(piece);
            }
        };
        // An atomic packet has one piece, which is the whole (RFC 6946).
        host.receive(&tcp(client, server, 100, 0, Flags::SYN, &[]));
        let iss = host.segments()[0].seq.0;
        let data: Vec<u8> = (0..=255).cycle().take(1000).collect();
        feed(&mut host, &tcp(client, server, 101, iss.wrapping_add(1), Flags::ACK, &data));
        let socket = host.stack.accept(listener, host.now).expect("the third segment came with data");
        let mut read = [0; 2000];
        let n = host.stack.read(socket, &mut read, host.now).unwrap();
        assert_eq!(n, tidegate_proto::tcp::Read::Data(1000));
        assert_eq!(read[..1000], data);
        let counters = host.stack.counters();
        let pieces = 1020_u64.div_ceil(24);
        // The copy that comes behind the last piece begins a packet anew.
        assert_eq!((counters.reasm_reqds, counters.reasm_oks, counters.reasm_fails), (2 * pieces, 1, 0));
        assert_eq!(host.stack.population().timers, 1, "it waits for its rest");
    }
}

/// RFC 1122 3.3.2: who sent the first piece hears that the rest is missing.
#[test]
fn the_rest_does_not_come() {
    for v6 in [false, true] {
        let mut host = Host::new(&StackConfig::default());
        let (client, server) = ends(v6);
        let packet = tcp(client, server, 100, 0, Flags::SYN, &[9; 2000]);
        let pieces = cut(&packet, 7, 1400);
        host.receive(&pieces[0]);
        assert!(host.pass(Duration::from_secs(29)).is_empty());
        let sent = host.pass(Duration::from_secs(40));
        let [told] = &sent[..] else { panic!("{sent:?}") };
        let (header, payload) = ip::Header::parse(told).unwrap();
        assert_eq!((header.src(), header.dst()), (server.ip(), client.ip()));
        let quoted = &told[payload.start + 8..];
        assert_eq!(quoted, &pieces[0][..quoted.len()]);
        match header {
            ip::Header::V4(_) => {
                assert_eq!(V4::parse(&told[payload]), Ok(V4::TimeExceeded { code: 1 }));
                assert_eq!(told.len(), 576);
            }
            ip::Header::V6(header) => {
                let message = V6::parse(&told[payload], header.src, header.dst);
                assert_eq!(message, Ok(V6::TimeExceeded { code: 1 }));
                assert_eq!(told.len(), 1280);
            }
        }
        // Without the first piece nobody would know which packet it was.
        host.receive(&pieces[1]);
        assert!(host.pass(Duration::from_secs(70)).is_empty());
        let counters = host.stack.counters();
        assert_eq!((counters.reasm_timeout, counters.reasm_fails, counters.icmp_out_time_excds), (2, 2, 1));
        assert_eq!(host.stack.population(), Default::default());
    }
}

/// no error answers an error, and no flood of forged pieces makes a flood of answers.
#[test]
fn complaints_are_few() {
    let mut host = Host::new(&StackConfig::default());
    let (client, server) = ends(false);
    let header = ip_header(client.ip(), server.ip(), protocol::ICMP);
    let error = V4::TimeExceeded { code: 0 }.to_bytes(&[0; 64]);
    let packet = [&frame::emit(None, &header, &error, 64)[..], &[0; 64]].concat();
    host.receive(&cut(&packet, 1, 32)[0]);
    assert!(host.pass(Duration::from_secs(31)).is_empty());
    let packet = tcp(client, server, 100, 0, Flags::SYN, &[0; 100]);
    for id in 0..1000 {
        host.receive(&cut(&packet, id, 64)[0]);
    }
    let sent = host.pass(Duration::from_secs(31));
    assert_eq!(sent.len(), 50, "icmp_msgs_burst");
    assert_eq!(host.stack.counters().icmp_out_rate_limit_global, 950);
}

/// RFC 8200 4.5: these are told at once.
#[test]
fn impossible_pieces_of_ipv6_are_objected_to() {
    let mut host = Host::new(&StackConfig::default());
    let (client, server) = ends(true);
    let packet = tcp(client, server, 100, 0, Flags::SYN, &[0; 100]);
    let mut piece = cut(&packet, 1, 64).remove(0);
    piece.truncate(40 + 8 + 60);
    piece[5] = 68;
    assert_eq!(host.receive(&piece), Verdict::Dropped(DropReason::Malformed));
    let sent = host.sent();
    let [told] = &sent[..] else { panic!("{sent:?}") };
    let Ok((ip::Header::V6(header), payload)) = ip::Header::parse(told) else { panic!("{told:?}") };
    let message = V6::parse(&told[payload.clone()], header.src, header.dst);
    assert_eq!(message, Ok(V6::ParameterProblem { code: 0, pointer: 4 }));
    assert_eq!(told[payload.start + 8..], piece[..]);
    assert_eq!(host.stack.counters().icmp_out_parm_probs, 1);
}

/// Echo works through pieces, in both directions.
#[test]
fn an_echo_longer_than_the_link() {
    for (v6, len) in [(false, 1000), (true, 1000), (false, 5000), (true, 5000), (false, 65_000), (true, 65_000)] {
        let mut host = Host::new(&StackConfig::default());
        let (client, server) = ends(v6);
        let data: Vec<u8> = (0..len).map(|n: u32| (n / 7) as u8).collect();
        let echo = Echo { id: 1, seq: 2 };
        let header = ip_header(client.ip(), server.ip(), if v6 { protocol::ICMPV6 } else { protocol::ICMP });
        let message = match header {
            ip::Header::V4(_) => V4::EchoRequest(echo).to_bytes(&data).to_vec(),
            ip::Header::V6(header) => V6::EchoRequest(echo).to_bytes(header.src, header.dst, &data).to_vec(),
        };
        let packet = [&frame::emit(None, &header, &message, data.len())[..], &data].concat();
        for piece in cut(&packet, 5, 512) {
            assert_eq!(host.receive(&piece), Verdict::Accepted);
        }
        // A peer of ours puts the answer together.
        let mut peer = Host::at(&StackConfig::default(), 2);
        let sent = host.sent();
        assert!(sent.iter().all(|packet| packet.len() <= 1500));
        for packet in &sent {
            peer.receive(packet);
        }
        let pieces = if len > 1500 { sent.len() as u64 } else { 0 };
        assert_eq!((host.stack.counters().frag_creates, peer.stack.counters().reasm_reqds), (pieces, pieces));
        assert_eq!(peer.stack.counters().reasm_oks, u64::from(len > 1500));
        // What came out is an echo reply with a good checksum: nobody here asked, so it is nobody's.
        assert_eq!(peer.last, Some(Verdict::Dropped(DropReason::UnknownProtocol)), "{len}");
    }
}

/// What is said about neighbours does not come in pieces (RFC 6980).
#[test]
fn neighbour_discovery_in_pieces() {
    let mut host = Host::new(&StackConfig::default());
    let (client, server) = ends(true);
    let ip::Header::V6(header) = ip_header(client.ip(), server.ip(), protocol::ICMPV6) else { unreachable!() };
    let header = tidegate_proto::wire::ipv6::Header { hop_limit: 255, ..header };
    let question = V6::NeighbourSolicitation { target: header.dst, source_mac: None };
    let message = question.to_bytes(header.src, header.dst, &[]);
    let packet = frame::emit(None, &ip::Header::V6(header), &message, 0);
    assert_eq!(host.receive(&packet), Verdict::Accepted);
    let verdicts: Vec<Verdict> = cut(&packet, 5, 16).iter().map(|piece| host.receive(piece)).collect();
    assert_eq!(verdicts, [Verdict::Accepted, Verdict::Dropped(DropReason::Fragment)]);
}
