//! Which way packets go: links, gateways, several interfaces.
//!
//! Sections: RFC 1122 3.3.1; RFC 9293 3.9.1.1; RFC 826; RFC 4861 7.2; RFC 792 (redirect).
//! In: interfaces, routes, peers near and far.
//! Out: frames on the right interface, to the right neighbour, from the right address.

use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use tidegate_proto::net::{
    Cause, ChecksumState, Cidr, Frame, IfaceConfig, IfaceId, Route, RouteError, SocketError, Stack, StackConfig,
    TxFrame,
};
use tidegate_proto::tcp::{DropReason, State, Verdict};
use tidegate_proto::time::Instant;
use tidegate_proto::wire::arp::{Operation, Packet};
use tidegate_proto::wire::eth::{self, MacAddr};
use tidegate_proto::wire::frame::{self, Link, Tcp};
use tidegate_proto::wire::icmp::{Echo, V4, V6};
use tidegate_proto::wire::ip::{self, protocol};
use tidegate_proto::wire::{Flags, Header, ipv6};

use crate::host::{ip_header, tcp};

const ROUTER: MacAddr = MacAddr([2, 0, 0, 0, 0, 0xfe]);

struct Net {
    stack: Stack,
    now: Instant,
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn route(dst: &str, prefix: u8, gateway: Option<&str>, iface: u16) -> Route {
    Route { dst: Cidr { addr: ip(dst), prefix }, gateway: gateway.map(ip), iface: IfaceId(iface) }
}

/// Two Ethernets, 192.0.2.1/24 with 2001:db8::1/64 and 198.51.100.1/24, and routers on both.
fn net() -> Net {
    let now = Instant::from_nanos(1_000_000_000);
    let mut stack = Stack::new(StackConfig::default(), [3; 32], now);
    for (n, addrs) in [(1, &[("192.0.2.1", 24), ("2001:db8::1", 64)][..]), (2, &[("198.51.100.1", 24)])] {
        let addrs = addrs.iter().map(|&(addr, prefix)| Cidr { addr: ip(addr), prefix }).collect();
        let mac = Some(MacAddr([2, 0, 0, 0, 0, n]));
        stack.add_interface(IfaceConfig { mac, mtu: 1500, addrs, max_burst: 0, checksum_offload: false });
    }
    for each in [
        route("0.0.0.0", 0, Some("192.0.2.254"), 0),
        route("203.0.113.0", 24, Some("198.51.100.254"), 1),
        route("::", 0, Some("fe80::fe"), 0),
    ] {
        assert_eq!(stack.add_route(each), Ok(()));
    }
    Net { stack, now }
}

impl Net {
    fn sent(&mut self) -> Vec<TxFrame> {
        std::iter::from_fn(|| self.stack.poll_transmit(self.now)).collect()
    }

    fn receive(&mut self, iface: u16, bytes: &[u8]) -> Verdict {
        let frame = Frame { bytes: Bytes::copy_from_slice(bytes), checksum: ChecksumState::Unknown, segments: 1 };
        self.stack.receive(IfaceId(iface), frame, self.now)
    }

    /// Sends an IP packet to the host in a frame from the router.
    fn arrives(&mut self, iface: u16, packet: &[u8]) -> Verdict {
        let ethertype = if packet[0] >> 4 == 4 { eth::ETHERTYPE_IPV4 } else { eth::ETHERTYPE_IPV6 };
        let dst = MacAddr([2, 0, 0, 0, 0, iface as u8 + 1]);
        let header = eth::Header { dst, src: ROUTER, ethertype }.to_bytes();
        self.receive(iface, &[&header[..], packet].concat())
    }

    /// Answers the one question that is asked now, which must be for `gateway`.
    fn answer(&mut self, iface: u16, gateway: &str) {
        let sent = self.sent();
        let [question] = &sent[..] else { panic!("{sent:?}") };
        assert_eq!((question.cause, question.iface), (Cause::NeighbourRequest, IfaceId(iface)));
        let (_, start) = eth::Header::parse(&question.header).unwrap();
        match ip(gateway) {
            IpAddr::V4(gateway) => {
                let asked = Packet::parse(&question.header[start..]).unwrap();
                assert_eq!(asked.target_ip, gateway);
                let reply = Packet {
                    operation: Operation::Reply,
                    sender_mac: ROUTER,
                    sender_ip: gateway,
                    target_mac: asked.sender_mac,
                    target_ip: asked.sender_ip,
                };
                let header =
                    eth::Header { dst: asked.sender_mac, src: ROUTER, ethertype: eth::ETHERTYPE_ARP }.to_bytes();
                assert_eq!(self.receive(iface, &[&header[..], &reply.to_bytes()].concat()), Verdict::Accepted);
            }
            IpAddr::V6(gateway) => {
                let (asked, payload) = ipv6::Header::parse(&question.header[start..]).unwrap();
                let message = V6::parse(&question.header[start..][payload], asked.src, asked.dst);
                let Ok(V6::NeighbourSolicitation { target, .. }) = message else { panic!("{message:?}") };
                assert_eq!((target, asked.src), (gateway, "2001:db8::1".parse().unwrap()));
                let answer = V6::NeighbourAdvertisement {
                    target,
                    target_mac: Some(ROUTER),
                    router: true,
                    solicited: true,
                    r#override: true,
                };
                let header = ipv6::Header { src: gateway, dst: asked.src, hop_limit: 255, ..asked };
                let message = answer.to_bytes(header.src, header.dst, &[]);
                let packet = frame::emit(None, &ip::Header::V6(header), &message, 0);
                assert_eq!(self.arrives(iface, &packet), Verdict::Accepted);
            }
        }
    }

    /// The one TCP segment that goes out now: its interface, where its frame goes, its headers.
    fn segment(&mut self) -> (IfaceId, MacAddr, ip::Header, Header) {
        let sent = self.sent();
        let [frame] = &sent[..] else { panic!("{sent:?}") };
        let (link, _) = eth::Header::parse(&frame.header).unwrap();
        let parsed = Tcp::parse(Link::Ethernet, &frame.header, None).unwrap();
        (frame.iface, link.dst, parsed.ip, parsed.tcp)
    }
}

/// The gateway is asked who it is, not the peer; the segment is addressed to the peer and handed to the gateway; the
/// answer of a peer who is on no link of ours is taken.
//= 9293/MUST-44
//= 9293/MUST-45
#[test]
fn a_peer_behind_a_gateway() {
    for (peer, gateway, iface, source) in [
        ("8.8.8.8", "192.0.2.254", 0, "192.0.2.1"),
        ("203.0.113.9", "198.51.100.254", 1, "198.51.100.1"),
        ("2a00::8", "fe80::fe", 0, "2001:db8::1"),
    ] {
        let mut net = net();
        let remote = SocketAddr::new(ip(peer), 80);
        let socket = net.stack.connect(None, remote, net.now).unwrap();
        net.answer(iface, gateway);
        let (out, mac, header, syn) = net.segment();
        assert_eq!((out, mac), (IfaceId(iface), ROUTER), "{peer}");
        assert_eq!((header.src(), header.dst()), (ip(source), ip(peer)));
        let local = net.stack.key(socket).unwrap().local();
        let answer = tcp(remote, local, 500, syn.seq.0.wrapping_add(1), Flags::SYN | Flags::ACK, &[]);
        assert_eq!(net.arrives(iface, &answer), Verdict::Accepted);
        assert_eq!(net.stack.state(socket), State::Established);
        let (out, mac, ..) = net.segment();
        assert_eq!((out, mac), (IfaceId(iface), ROUTER), "nobody is asked again");
    }
}

/// A neighbour stays a neighbour, and what no route covers is refused at once.
#[test]
fn near_and_nowhere() {
    let mut net = net();
    net.stack.connect(None, "192.0.2.9:80".parse().unwrap(), net.now).unwrap();
    net.answer(0, "192.0.2.9");
    let now = Instant::from_nanos(1_000_000_000);
    let mut bare = Stack::new(StackConfig::default(), [3; 32], now);
    let addrs = vec![Cidr { addr: ip("192.0.2.1"), prefix: 24 }];
    bare.add_interface(IfaceConfig { mac: None, mtu: 1500, addrs, max_burst: 0, checksum_offload: false });
    let far = "8.8.8.8:80".parse().unwrap();
    assert_eq!(bare.connect(None, far, now), Err(SocketError::NetworkUnreachable));
    assert_eq!(bare.add_route(route("::", 0, None, 0)), Err(RouteError::NoSource));
    assert_eq!(bare.add_route(route("8.0.0.0", 8, None, 0)), Ok(()));
    assert!(bare.connect(None, far, now).is_ok());
    assert_eq!(bare.routes(), [route("8.0.0.0", 8, None, 0)]);
}

/// A connection that somebody far away opens: the way back leads over the gateway, from the address that was called.
#[test]
fn a_listener_called_from_far_away() {
    let mut net = net();
    let listener = net.stack.listen("0.0.0.0:80".parse().unwrap(), 8).unwrap();
    let (client, server) = ("203.0.113.77:999".parse().unwrap(), "192.0.2.1:80".parse().unwrap());
    assert_eq!(net.arrives(0, &tcp(client, server, 100, 0, Flags::SYN, &[])), Verdict::Accepted);
    net.answer(1, "198.51.100.254");
    let (iface, mac, header, syn_ack) = net.segment();
    assert_eq!((iface, mac, header.src()), (IfaceId(1), ROUTER, server.ip()), "the longest prefix decides");
    let third = tcp(client, server, 101, syn_ack.seq.0.wrapping_add(1), Flags::ACK, &[]);
    assert_eq!(net.arrives(0, &third), Verdict::Accepted);
    assert!(net.stack.accept(listener, net.now).is_some());
}

/// An echo from far away is answered over the gateway too.
#[test]
fn an_echo_from_far_away() {
    let mut net = net();
    let header = ip_header(ip("8.8.8.8"), ip("192.0.2.1"), protocol::ICMP);
    let message = V4::EchoRequest(Echo { id: 1, seq: 1 }).to_bytes(&[]);
    assert_eq!(net.arrives(0, &frame::emit(None, &header, &message, 0)), Verdict::Accepted);
    net.answer(0, "192.0.2.254");
    let sent = net.sent();
    let [reply] = &sent[..] else { panic!("{sent:?}") };
    let (link, start) = eth::Header::parse(&reply.header).unwrap();
    let (header, _) = ip::Header::parse_quoted(&reply.header[start..]).unwrap();
    assert_eq!((link.dst, header.dst(), reply.cause), (ROUTER, ip("8.8.8.8"), Cause::EchoReply));
}

/// A redirect changes nothing, and is counted.
#[test]
fn a_redirect_is_not_believed() {
    let mut net = net();
    let remote = "8.8.8.8:80".parse().unwrap();
    net.stack.connect(None, remote, net.now).unwrap();
    net.answer(0, "192.0.2.254");
    let sent = net.sent();
    let quoted = &sent[0].header[14..];
    let header = ip_header(ip("192.0.2.254"), ip("192.0.2.1"), protocol::ICMP);
    let mut message = V4::Other { kind: 5, code: 1 }.to_bytes(quoted);
    // The gateway that it names, 192.0.2.66, and the checksum with it.
    message[4..].copy_from_slice(&[192, 0, 2, 66]);
    message[2..4].copy_from_slice(&[0, 0]);
    let sum = tidegate_proto::wire::checksum::Sum::new(tidegate_proto::wire::checksum::portable);
    let sum = sum.with(&message).with(quoted).checksum().to_be_bytes();
    message[2..4].copy_from_slice(&sum);
    let packet = [&frame::emit(None, &header, &message, quoted.len())[..], quoted].concat();
    assert_eq!(net.arrives(0, &packet), Verdict::Dropped(DropReason::Redirect));
    assert_eq!(net.stack.counters().icmp_in_redirects, 1);
    net.stack.connect(None, remote, net.now).unwrap();
    let (_, mac, ..) = net.segment();
    assert_eq!(mac, ROUTER);
}
