//! What surrounds a segment: checksums, addresses, and packets that are not what they seem.
//!
//! Sections: RFC 9293 3.1, 3.9.1.1, 3.9.2, 3.9.2.3.
//! In: damaged, misdirected and impossible packets.
//! Out: nothing at all; and for honest ones, the right addresses.

use std::net::{IpAddr, SocketAddr};

use tidegate_proto::net::SocketError;
use tidegate_proto::tcp::{DropReason, State, Verdict};
use tidegate_proto::wire::{Flags, Header, Seq};

use crate::play::{Corner, Host, Play, Role, Setup, Subject, from_packet, to_packet};

fn host(p: &mut Play) -> &mut Host {
    let Subject::Host(host) = &mut p.subject else { panic!("a host was asked for") };
    host
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// The peer's SYN, as bytes.
fn syn(p: &Play, src: IpAddr, dst: IpAddr) -> Vec<u8> {
    let header = Header {
        src_port: p.key.remote_port,
        dst_port: p.key.local_port,
        seq: Seq(77),
        flags: Flags::SYN,
        window: 65_535,
        ..Header::default()
    };
    to_packet(&header, &[], &[], src, dst)
}

/// any bit flipped anywhere in the TCP segment changes nothing.
//= 9293/MUST-3
#[test]
fn a_damaged_segment_is_nothing() {
    for role in [Role::HostPassive, Role::HostPassive6] {
        let mut p = Setup::default().open(role, Corner::ALL[1]);
        p.forget();
        let before = p.info();
        let header = Header {
            src_port: p.key.remote_port,
            dst_port: p.key.local_port,
            seq: p.irs + 1,
            ack: p.iss.expect("known") + 1,
            flags: Flags::PSH | Flags::ACK,
            window: 500,
            ..Header::default()
        };
        let packet = to_packet(&header, &[], &crate::play::peer_bytes(1, 20), p.key.remote_ip, p.key.local_ip);
        let start = if p.key.local_ip.is_ipv4() { 20 } else { 40 };
        let now = p.now;
        for bit in 0..(packet.len() - start) * 8 {
            let mut damaged = packet.clone();
            damaged[start + bit / 8] ^= 1 << (bit % 8);
            let verdict = host(&mut p).receive(damaged, now);
            assert!(matches!(verdict, Verdict::Dropped(_)), "bit {bit}: {verdict:?}");
            p.drain();
            p.expect_nothing();
        }
        let after = p.info();
        assert_eq!((before.rcv_nxt, before.snd_wnd, before.segs_in), (after.rcv_nxt, after.snd_wnd, after.segs_in));
        assert_eq!(p.inject("P. 1:21 ack 1 win 500"), Verdict::Accepted, "the same, whole");
        p.expect(". 1 ack 21");
    }
}

/// A damaged IPv4 header too; and a packet cut anywhere.
//= 9293/MUST-3
#[test]
fn a_damaged_or_cut_packet_is_nothing() {
    for role in [Role::HostPassive, Role::HostPassive6] {
        let mut p = Setup::default().host(role, Corner::ALL[1]);
        let packet = syn(&p, p.key.remote_ip, p.key.local_ip);
        let now = p.now;
        if p.key.local_ip.is_ipv4() {
            for bit in 0..20 * 8 {
                let mut damaged = packet.clone();
                damaged[bit / 8] ^= 1 << (bit % 8);
                host(&mut p).receive(damaged, now);
                p.drain();
                p.expect_nothing();
                p.is(State::Listen);
            }
        }
        for len in 0..packet.len() {
            host(&mut p).receive(packet[..len].to_vec(), now);
            p.drain();
            p.expect_nothing();
            p.is(State::Listen);
        }
    }
}

//= 9293/MUST-57
#[test]
fn a_syn_to_many_is_dropped_in_silence() {
    for dst in ["224.0.0.1", "239.1.2.3", "255.255.255.255", "192.0.2.255"] {
        let mut p = Setup::default().host(Role::HostPassive, Corner::ALL[1]);
        let packet = syn(&p, p.key.remote_ip, ip(dst));
        let now = p.now;
        assert!(matches!(host(&mut p).receive(packet, now), Verdict::Dropped(_)), "{dst}");
        assert!(host(&mut p).stack.poll_transmit(now).is_none(), "{dst}");
        assert_eq!(host(&mut p).stack.population().half_open, 0);
    }
    let mut p = Setup::default().host(Role::HostPassive6, Corner::ALL[1]);
    let packet = syn(&p, p.key.remote_ip, ip("ff02::1"));
    let now = p.now;
    assert_eq!(host(&mut p).receive(packet, now), Verdict::Dropped(DropReason::Multicast));
    assert!(host(&mut p).stack.poll_transmit(now).is_none());
}

/// sources that no peer can have.
//= 9293/MUST-63
#[test]
fn a_segment_from_an_impossible_source_is_dropped_in_silence() {
    for (role, src) in [
        (Role::HostPassive, "224.0.0.1"),
        (Role::HostPassive, "255.255.255.255"),
        (Role::HostPassive, "0.0.0.0"),
        (Role::HostPassive, "127.0.0.1"),
        (Role::HostPassive, "192.0.2.255"),
        (Role::HostPassive, "192.0.2.1"),
        (Role::HostPassive6, "ff02::1"),
        (Role::HostPassive6, "::"),
        (Role::HostPassive6, "::1"),
        (Role::HostPassive6, "2001:db8::1"),
    ] {
        for flags in [Flags::SYN, Flags::ACK, Flags::RST, Flags::FIN, Flags::SYN | Flags::ACK] {
            let mut p = Setup::default().host(role, Corner::ALL[1]);
            let header = Header {
                src_port: p.key.remote_port,
                dst_port: p.key.local_port,
                seq: Seq(77),
                ack: Seq(99),
                flags,
                window: 9,
                ..Header::default()
            };
            let packet = to_packet(&header, &[], &[], ip(src), p.key.local_ip);
            let now = p.now;
            let verdict = host(&mut p).receive(packet, now);
            assert_eq!(verdict, Verdict::Dropped(DropReason::MartianSource), "{src} {flags}");
            assert!(host(&mut p).stack.poll_transmit(now).is_none(), "{src} {flags}");
            assert_eq!(host(&mut p).stack.population().half_open, 0);
        }
    }
}

/// LAND, a SYN that seems to come from the very socket that it goes to.
#[test]
fn land_gets_no_answer() {
    let mut p = Setup::default().host(Role::HostPassive, Corner::ALL[1]);
    let header = Header { src_port: 80, dst_port: 80, seq: Seq(77), flags: Flags::SYN, ..Header::default() };
    let packet = to_packet(&header, &[], &[], p.key.local_ip, p.key.local_ip);
    let now = p.now;
    host(&mut p).receive(packet, now);
    assert!(host(&mut p).stack.poll_transmit(now).is_none());
}

//= 9293/MUST-46
#[test]
fn an_open_to_nobody_or_to_many_is_refused() {
    for (role, remote) in [
        (Role::HostActive, "224.0.0.1:80"),
        (Role::HostActive, "255.255.255.255:80"),
        (Role::HostActive, "192.0.2.255:80"),
        (Role::HostActive, "0.0.0.0:80"),
        (Role::HostActive6, "[ff02::1]:80"),
        (Role::HostActive6, "[::]:80"),
    ] {
        let mut p = Setup::default().closed_host(role, Corner::ALL[1]);
        let now = p.now;
        let remote = remote.parse::<SocketAddr>().expect("an address");
        assert_eq!(host(&mut p).stack.connect(None, remote, now), Err(SocketError::InvalidAddress), "{remote}");
        assert!(host(&mut p).stack.poll_transmit(now).is_none());
    }
}

//= 9293/MUST-44
//= 9293/MUST-45
#[test]
fn an_open_without_address_gets_one_and_keeps_it() {
    for role in [Role::HostActive, Role::HostActive6] {
        let mut p = Setup::default().closed_host(role, Corner::ALL[1]);
        let (now, remote) = (p.now, p.key.remote());
        let socket = host(&mut p).stack.connect(None, remote, now).expect("a way there");
        let key = host(&mut p).stack.key(socket).expect("connecting");
        assert_eq!(key.local_ip, p.key.local_ip);
        p.key = key;
        host(&mut p).key = key;
        host(&mut p).socket = Some(socket);
        p.drain();
        p.expect("S 0");
        p.inject("S. 0 ack 1 <mss 1000>");
        p.expect(". 1 ack 1");
        p.write(100);
        p.expect("P. 1:101 ack 1");
    }
}

/// An address that is not ours cannot be the source.
//= 9293/MUST-43
#[test]
fn an_open_from_a_foreign_address_is_refused() {
    let mut p = Setup::default().closed_host(Role::HostActive, Corner::ALL[1]);
    let (now, remote) = (p.now, p.key.remote());
    let foreign = "192.0.2.77:0".parse::<SocketAddr>().expect("an address");
    let refused = host(&mut p).stack.connect(Some(foreign), remote, now);
    assert_eq!(refused, Err(SocketError::AddressNotAvailable));
}

/// OPEN of a connection that exists fails (RFC 9293 3.10.1), and disturbs nothing.
#[test]
fn an_open_of_an_existing_connection_is_refused() {
    let mut p = Setup::default().open(Role::HostActive, Corner::ALL[1]);
    let (now, key) = (p.now, p.key);
    let again = host(&mut p).stack.connect(Some(key.local()), key.remote(), now);
    assert_eq!(again, Err(SocketError::AddressInUse));
    p.is(State::Established);
}

//= 9293/MUST-49
#[test]
fn time_to_live_is_a_setting() {
    for role in [Role::HostActive, Role::HostActive6] {
        let mut p = Setup::default().host_config(|h| h.default_ttl = 7).closed_host(role, Corner::ALL[1]);
        let (now, remote) = (p.now, p.key.remote());
        host(&mut p).stack.connect(None, remote, now).expect("a way there");
        let frame = host(&mut p).stack.poll_transmit(now).expect("a SYN");
        let at = if remote.is_ipv4() { 8 } else { 7 };
        assert_eq!(frame.header[at], 7);
    }
}

/// IPv4 options, known or not, are stepped over.
//= 9293/MUST-50
#[test]
fn ip_options_are_ignored() {
    let options: [&[u8]; 4] =
        [&[1, 1, 1, 0], &[7, 7, 4, 0, 0, 0, 0, 0], &[68, 12, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0], &[0x9e, 4, 0, 0]];
    for options in options {
        let mut p = Setup::default().host(Role::HostPassive, Corner::ALL[1]);
        let packet = with_ip_options(&syn(&p, p.key.remote_ip, p.key.local_ip), options);
        let now = p.now;
        host(&mut p).receive(packet, now);
        let frame = host(&mut p).stack.poll_transmit(now).expect("a SYN-ACK");
        let (header, _) = from_packet(&frame.header, &p.key);
        assert_eq!(header.ack, Seq(78), "{options:?}");
    }
}

fn with_ip_options(packet: &[u8], options: &[u8]) -> Vec<u8> {
    let (mut ip, rest) = etherparse::Ipv4Header::from_slice(packet).expect("ours");
    ip.options = options.try_into().expect("a multiple of four");
    ip.set_payload_len(rest.len()).expect("it fits");
    ip.header_checksum = ip.calc_header_checksum();
    let mut out = ip.to_bytes().to_vec();
    out.extend_from_slice(rest);
    out
}

/// IPv6 extension headers too.
#[test]
fn ipv6_extension_headers_are_skipped() {
    let mut p = Setup::default().host(Role::HostPassive6, Corner::ALL[1]);
    let packet = syn(&p, p.key.remote_ip, p.key.local_ip);
    // Hop-by-hop, then destination options, each eight bytes of padding.
    let mut longer = packet[..40].to_vec();
    let len = u16::try_from(packet.len() - 40 + 16).expect("it fits");
    longer[4..6].copy_from_slice(&len.to_be_bytes());
    longer[6] = 0;
    longer.extend([60, 0, 1, 4, 0, 0, 0, 0]);
    longer.extend([6, 0, 1, 4, 0, 0, 0, 0]);
    longer.extend_from_slice(&packet[40..]);
    let now = p.now;
    host(&mut p).receive(longer, now);
    assert!(host(&mut p).stack.poll_transmit(now).is_some(), "a SYN-ACK");
    p.is(State::SynReceived);
}

/// A packet for another host is nobody's business.
#[test]
fn a_packet_for_another_host_is_dropped() {
    let mut p = Setup::default().host(Role::HostPassive, Corner::ALL[1]);
    let packet = syn(&p, p.key.remote_ip, ip("192.0.2.99"));
    let now = p.now;
    assert_eq!(host(&mut p).receive(packet, now), Verdict::Dropped(DropReason::NotForUs));
    assert!(host(&mut p).stack.poll_transmit(now).is_none());
}

/// Loopback to oneself is lawful: one stack, both ends.
#[test]
fn a_host_can_talk_to_itself() {
    let mut p = Setup::default().closed_host(Role::HostActive, Corner::ALL[1]);
    let now = p.now;
    let own = SocketAddr::new(p.key.local_ip, 8080);
    let stack = &mut host(&mut p).stack;
    let listener = stack.listen(own, 5).expect("free");
    let client = stack.connect(None, own, now).expect("a way to oneself");
    settle(stack, now);
    let server = stack.accept(listener, now).expect("the handshake is complete");
    assert_eq!((stack.state(client), stack.state(server)), (State::Established, State::Established));
    assert_eq!(stack.write(client, b"to myself", now), Ok(9));
    settle(stack, now);
    let mut out = [0; 32];
    assert_eq!(stack.read(server, &mut out, now), Ok(tidegate_proto::tcp::Read::Data(9)));
    assert_eq!(&out[..9], b"to myself");
}

/// Nothing of a conversation with oneself may reach a device.
fn settle(stack: &mut tidegate_proto::net::Stack, now: tidegate_proto::time::Instant) {
    assert_eq!(stack.poll_transmit(now), None, "it left the host");
}

//= 9293/MUST-48
//= 9293/SHLD-21
//= 9293/SHLD-22
#[test]
fn diffserv_is_set_and_changed_while_the_connection_lives() {
    for role in [Role::HostActive, Role::HostPassive6] {
        let mut p = Setup::default().open(role, Corner::ALL[1]);
        for dscp in [0, 46, 10, 63] {
            let now = p.now;
            let Host { stack, socket, .. } = host(&mut p);
            let socket = socket.expect("open");
            stack.configure(socket, |config| config.dscp = dscp, now).expect("open");
            stack.abort(socket, now).expect("open");
            let mut next = Setup::default().open(role, Corner::ALL[1]);
            let frame = stack.poll_transmit(now).expect("a segment");
            let field = match frame.header[0] >> 4 {
                4 => frame.header[1] >> 2,
                _ => (frame.header[0] & 0xf) << 2 | frame.header[1] >> 6,
            };
            assert_eq!(field, dscp);
            std::mem::swap(&mut p, &mut next);
        }
    }
}

//= 9293/MUST-49
#[test]
fn time_to_live_is_changed_while_the_connection_lives() {
    for role in [Role::HostActive, Role::HostPassive6] {
        let mut p = Setup::default().open(role, Corner::ALL[1]);
        let now = p.now;
        let Host { stack, socket, .. } = host(&mut p);
        let socket = socket.expect("open");
        stack.configure(socket, |config| config.ttl = Some(3), now).expect("open");
        stack.write(socket, b"x", now).expect("open");
        let frame = stack.poll_transmit(now).expect("a segment");
        assert_eq!(frame.header[if frame.header[0] >> 4 == 4 { 8 } else { 7 }], 3);
    }
}

/// a socket that opens to itself is a simultaneous open with itself; it ends, one way or the other, in peace.
#[test]
fn an_open_to_oneself_makes_no_storm() {
    let mut p = Setup::default().closed_host(Role::HostActive, Corner::ALL[1]);
    let now = p.now;
    let own = SocketAddr::new(p.key.local_ip, 8080);
    let stack = &mut host(&mut p).stack;
    if let Ok(socket) = stack.connect(Some(own), own, now) {
        settle(stack, now);
        assert_eq!(stack.state(socket), State::Established);
        assert_eq!(stack.write(socket, b"echo", now), Ok(4));
        settle(stack, now);
        let mut out = [0; 8];
        assert_eq!(stack.read(socket, &mut out, now), Ok(tidegate_proto::tcp::Read::Data(4)));
    }
}
