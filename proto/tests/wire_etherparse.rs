//! Every header that we emit, judged by etherparse: an independent implementation reads back the same values and
//! computes the same checksums.
#![allow(missing_docs, clippy::cast_possible_truncation)]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use etherparse::{LinkSlice, NetSlice, SlicedPacket, TcpOptionElement, TransportSlice};
use proptest::prelude::*;
use tidegate_proto::net::{Cause, IfaceId, TxChecksum, TxFrame, offload};
use tidegate_proto::wire::checksum::portable;
use tidegate_proto::wire::eth::{self, MacAddr};
use tidegate_proto::wire::icmp::{self, Echo};
use tidegate_proto::wire::{
    Ecn, Flags, Header, Options, SackBlock, Seq, Timestamps, arp, frame, ip, ip::protocol, ipv4, ipv6,
};

fn any_mac() -> impl Strategy<Value = MacAddr> {
    any::<[u8; 6]>().prop_map(MacAddr)
}

fn any_ip(protocol: u8) -> impl Strategy<Value = ip::Header> {
    let common = (0_u8..64, 0_u8..4, any::<u8>());
    let v4 = (any::<u32>(), any::<u32>(), any::<u16>(), any::<bool>(), common.clone()).prop_map(
        move |(src, dst, id, dont_fragment, (dscp, ecn, ttl))| {
            ip::Header::V4(ipv4::Header {
                src: Ipv4Addr::from_bits(src),
                dst: Ipv4Addr::from_bits(dst),
                protocol,
                ttl,
                dscp,
                ecn: Ecn::from_bits(ecn),
                id,
                dont_fragment,
                more_fragments: false,
                fragment_offset: 0,
            })
        },
    );
    let v6 = (any::<u128>(), any::<u128>(), 0_u32..1 << 20, common).prop_map(
        move |(src, dst, flow_label, (dscp, ecn, hop_limit))| {
            ip::Header::V6(ipv6::Header {
                src: Ipv6Addr::from_bits(src),
                dst: Ipv6Addr::from_bits(dst),
                protocol,
                hop_limit,
                dscp,
                ecn: Ecn::from_bits(ecn),
                flow_label,
                fragment: None,
            })
        },
    );
    prop_oneof![v4, v6]
}

fn any_options() -> impl Strategy<Value = Options> {
    let syn = (prop::option::of(any::<u16>()), prop::option::of(any::<u8>()), any::<bool>());
    let timestamps = prop::option::of((any::<u32>(), any::<u32>()));
    let syn = (syn, timestamps).prop_map(|((mss, window_scale, sack_permitted), timestamps)| Options {
        mss,
        window_scale,
        sack_permitted,
        timestamps: timestamps.map(|(val, ecr)| Timestamps { val, ecr }),
        ..Options::default()
    });
    let blocks = prop::collection::vec((any::<u32>(), any::<u32>()), 0..=3);
    let timestamps = prop::option::of((any::<u32>(), any::<u32>()));
    let others = (blocks, timestamps).prop_map(|(blocks, timestamps)| Options {
        timestamps: timestamps.map(|(val, ecr)| Timestamps { val, ecr }),
        sack: blocks.into_iter().map(|(start, end)| SackBlock { start: Seq(start), end: Seq(end) }).collect(),
        ..Options::default()
    });
    prop_oneof![syn, others]
}

fn any_tcp() -> impl Strategy<Value = Header> {
    let numbers = (any::<u32>(), any::<u32>(), any::<u16>(), any::<u16>());
    ((any::<u16>(), any::<u16>()), numbers, 0_u16..0x200, any_options()).prop_map(
        |((src_port, dst_port), (seq, ack, window, urgent), flags, options)| Header {
            src_port,
            dst_port,
            seq: Seq(seq),
            ack: Seq(ack),
            flags: Flags(flags),
            window,
            urgent,
            options,
        },
    )
}

/// The options as etherparse reads them.
fn judged(options: etherparse::TcpOptionsIterator<'_>) -> Options {
    let mut read = Options::default();
    for option in options {
        match option.expect("etherparse knows every option that we emit") {
            TcpOptionElement::Noop => {}
            TcpOptionElement::MaximumSegmentSize(mss) => read.mss = Some(mss),
            TcpOptionElement::WindowScale(shift) => read.window_scale = Some(shift),
            TcpOptionElement::SelectiveAcknowledgementPermitted => read.sack_permitted = true,
            TcpOptionElement::SelectiveAcknowledgement(first, others) => {
                let blocks = std::iter::once(first).chain(others.into_iter().flatten());
                read.sack = blocks.map(|(start, end)| SackBlock { start: Seq(start), end: Seq(end) }).collect();
            }
            TcpOptionElement::Timestamp(val, ecr) => read.timestamps = Some(Timestamps { val, ecr }),
        }
    }
    read
}

/// Everything that etherparse can check of one of our TCP frames against what it was built from.
fn judge_tcp(bytes: &[u8], link: &eth::Header, ip: &ip::Header, tcp: &Header, payload: &[u8]) {
    let packet = SlicedPacket::from_ethernet(bytes).expect("etherparse reads the frame");
    let Some(LinkSlice::Ethernet2(ethernet)) = &packet.link else { panic!("no Ethernet header") };
    assert_eq!((ethernet.source(), ethernet.destination()), (link.src.0, link.dst.0));
    let Some(TransportSlice::Tcp(read)) = &packet.transport else { panic!("no TCP header") };
    let checksum = match (ip, packet.net.as_ref().expect("an IP header")) {
        (ip::Header::V4(ip), NetSlice::Ipv4(net)) => {
            let header = net.header();
            assert_eq!((header.source_addr(), header.destination_addr()), (ip.src, ip.dst));
            assert_eq!((header.ttl(), header.identification()), (ip.ttl, ip.id));
            assert_eq!(header.dont_fragment(), ip.dont_fragment);
            assert_eq!((header.dcp().value(), header.ecn().value()), (ip.dscp, ip.ecn.bits()));
            assert_eq!(header.header_checksum(), header.to_header().calc_header_checksum());
            read.calc_checksum_ipv4(header.source(), header.destination())
        }
        (ip::Header::V6(ip), NetSlice::Ipv6(net)) => {
            let header = net.header();
            assert_eq!((header.source_addr(), header.destination_addr()), (ip.src, ip.dst));
            assert_eq!((header.hop_limit(), header.flow_label().value()), (ip.hop_limit, ip.flow_label));
            assert_eq!(header.traffic_class(), ip.dscp << 2 | ip.ecn.bits());
            read.calc_checksum_ipv6(header.source(), header.destination())
        }
        _ => panic!("another version of IP"),
    };
    assert_eq!(Ok(read.checksum()), checksum);
    assert_eq!((read.source_port(), read.destination_port()), (tcp.src_port, tcp.dst_port));
    assert_eq!((read.sequence_number(), read.acknowledgment_number()), (tcp.seq.0, tcp.ack.0));
    assert_eq!((read.window_size(), read.urgent_pointer()), (tcp.window, tcp.urgent));
    for (set, flag) in [
        (read.fin(), Flags::FIN),
        (read.syn(), Flags::SYN),
        (read.rst(), Flags::RST),
        (read.psh(), Flags::PSH),
        (read.ack(), Flags::ACK),
        (read.urg(), Flags::URG),
        (read.ece(), Flags::ECE),
        (read.cwr(), Flags::CWR),
        (read.ns(), Flags::AE),
    ] {
        assert_eq!(set, tcp.flags.has(flag), "{flag:?}");
    }
    assert_eq!(judged(read.options_iterator()), tcp.options);
    assert_eq!(read.payload(), payload);
}

proptest! {
    //= 9293/MUST-2
    #[test]
    fn tcp_frames(src in any_mac(), dst in any_mac(), ip in any_ip(protocol::TCP), tcp in any_tcp(), payload in prop::collection::vec(any::<u8>(), 0..3000)) {
        let link = eth::Header { dst, src, ethertype: ip.ethertype() };
        let (left, right) = payload.split_at(payload.len() / 3);
        let mut bytes = frame::emit_tcp(Some(&link), &ip, &tcp, &[left, right], portable).to_vec();
        bytes.extend_from_slice(&payload);
        judge_tcp(&bytes, &link, &ip, &tcp, &payload);
        let ours = frame::Tcp::parse(frame::Link::Ethernet, &bytes, Some(portable)).expect("we read it too");
        prop_assert_eq!((ours.ip, ours.tcp), (ip, tcp));
        prop_assert_eq!(&bytes[ours.payload], payload);
    }

    #[test]
    fn split_bursts(src in any_mac(), dst in any_mac(), ip in any_ip(protocol::TCP), tcp in any_tcp(), payload in prop::collection::vec(any::<u8>(), 0..9000), gso_size in 100_u16..1500) {
        let tcp = Header { flags: tcp.flags.without(Flags::URG), urgent: 0, ..tcp };
        let link = eth::Header { dst, src, ethertype: ip.ethertype() };
        let payload = bytes::Bytes::from(payload);
        let burst = TxFrame {
            iface: IfaceId(0),
            header: frame::emit_tcp(Some(&link), &ip, &tcp, &[&payload], portable),
            payload: payload.clone().into(),
            gso_size,
            checksum: TxChecksum::Full,
            socket: None,
            cause: Cause::Tcp(tidegate_proto::tcp::Cause::Data),
            note: None,
        };
        let frames: Vec<_> = offload::split(&burst, frame::Link::Ethernet, portable).collect();
        let pieces: Vec<&[u8]> = if payload.is_empty() { vec![&[]] } else { payload.chunks(usize::from(gso_size)).collect() };
        prop_assert_eq!(frames.len(), pieces.len());
        for (nth, (bytes, piece)) in frames.iter().zip(&pieces).enumerate() {
            let mut ip = ip;
            if let ip::Header::V4(ip) = &mut ip {
                ip.id = ip.id.wrapping_add(nth as u16);
            }
            let mut flags = tcp.flags;
            if nth > 0 {
                flags = flags.without(Flags::CWR);
            }
            if nth + 1 < pieces.len() {
                flags = flags.without(Flags::FIN | Flags::PSH);
            }
            let seq = tcp.seq + nth as u32 * u32::from(gso_size);
            judge_tcp(bytes, &link, &ip, &Header { seq, flags, ..tcp.clone() }, piece);
        }
    }

    #[test]
    fn arp_frames(request: bool, sender_mac in any_mac(), target_mac in any_mac(), sender_ip: u32, target_ip: u32) {
        let operation = if request { arp::Operation::Request } else { arp::Operation::Reply };
        let (sender_ip, target_ip) = (Ipv4Addr::from_bits(sender_ip), Ipv4Addr::from_bits(target_ip));
        let packet = arp::Packet { operation, sender_mac, sender_ip, target_mac, target_ip };
        let link = eth::Header { dst: MacAddr::BROADCAST, src: sender_mac, ethertype: eth::ETHERTYPE_ARP };
        let bytes = [&link.to_bytes()[..], &packet.to_bytes()].concat();
        let read = SlicedPacket::from_ethernet(&bytes).expect("etherparse reads the frame");
        let Some(NetSlice::Arp(read)) = read.net else { panic!("no ARP packet") };
        let read = read.to_packet();
        prop_assert_eq!(read.operation.0, if request { 1 } else { 2 });
        let addresses = (read.sender_hw_addr(), read.sender_protocol_addr(), read.target_hw_addr(), read.target_protocol_addr());
        prop_assert_eq!(addresses, (&sender_mac.0[..], &sender_ip.octets()[..], &target_mac.0[..], &target_ip.octets()[..]));
    }

    #[test]
    fn icmp_packets(ip in any_ip(protocol::ICMP), id: u16, seq: u16, mtu: u16, data: Vec<u8>) {
        let ip::Header::V4(ip) = ip else { return Ok(()) };
        for message in [
            icmp::V4::EchoRequest(Echo { id, seq }),
            icmp::V4::EchoReply(Echo { id, seq }),
            icmp::V4::Unreachable { code: 4, next_hop_mtu: mtu },
            icmp::V4::Unreachable { code: 3, next_hop_mtu: 0 },
            icmp::V4::TimeExceeded { code: 1 },
        ] {
            let bytes = [&frame::emit(None, &ip::Header::V4(ip), &message.to_bytes(&data), data.len()), &data[..]].concat();
            let packet = SlicedPacket::from_ip(&bytes).expect("etherparse reads the packet");
            let Some(TransportSlice::Icmpv4(read)) = packet.transport else { panic!("no ICMP message") };
            use etherparse::{Icmpv4Type, icmpv4::{DestUnreachableHeader, TimeExceededCode}};
            let expected = match message {
                icmp::V4::EchoRequest(_) => Icmpv4Type::EchoRequest(etherparse::IcmpEchoHeader { id, seq }),
                icmp::V4::EchoReply(_) => Icmpv4Type::EchoReply(etherparse::IcmpEchoHeader { id, seq }),
                icmp::V4::Unreachable { code: 4, .. } => {
                    Icmpv4Type::DestinationUnreachable(DestUnreachableHeader::FragmentationNeeded { next_hop_mtu: mtu })
                }
                icmp::V4::Unreachable { .. } => Icmpv4Type::DestinationUnreachable(DestUnreachableHeader::Port),
                _ => Icmpv4Type::TimeExceeded(TimeExceededCode::FragmentReassemblyTimeExceeded),
            };
            prop_assert_eq!(read.icmp_type(), expected.clone());
            prop_assert_eq!(read.checksum(), expected.calc_checksum(&data));
            prop_assert_eq!(read.payload(), &data[..]);
        }
    }

    #[test]
    fn icmpv6_packets(ip in any_ip(protocol::ICMPV6), mac in any_mac(), target: u128, id: u16, seq: u16, mtu: u32, data: Vec<u8>) {
        let ip::Header::V6(ip) = ip else { return Ok(()) };
        let target = Ipv6Addr::from_bits(target);
        let advertisement = icmp::V6::NeighbourAdvertisement { target, target_mac: Some(mac), router: false, solicited: true, r#override: true };
        for (message, kind) in [
            (icmp::V6::EchoRequest(Echo { id, seq }), 128),
            (icmp::V6::EchoReply(Echo { id, seq }), 129),
            (icmp::V6::PacketTooBig { mtu }, 2),
            (icmp::V6::Unreachable { code: 4 }, 1),
            (icmp::V6::NeighbourSolicitation { target, source_mac: Some(mac) }, 135),
            (advertisement, 136),
        ] {
            let data = if kind >= 135 { &[][..] } else { &data };
            let bytes = [&frame::emit(None, &ip::Header::V6(ip), &message.to_bytes(ip.src, ip.dst, data), data.len()), data].concat();
            let packet = SlicedPacket::from_ip(&bytes).expect("etherparse reads the packet");
            let Some(TransportSlice::Icmpv6(read)) = packet.transport else { panic!("no ICMPv6 message") };
            prop_assert_eq!(read.type_u8(), kind);
            prop_assert!(read.is_checksum_valid(ip.src.octets(), ip.dst.octets()));
            prop_assert!(kind < 135 || read.payload().starts_with(&target.octets()));
            prop_assert!(kind < 135 || read.payload().ends_with(&mac.0));
        }
    }
}

#[test]
fn the_articles_first_segment() {
    let ip = ip::Header::V4(ipv4::Header {
        src: Ipv4Addr::new(192, 168, 131, 132),
        dst: Ipv4Addr::new(192, 168, 131, 138),
        protocol: protocol::TCP,
        ttl: 64,
        dscp: 0,
        ecn: Ecn::NotEct,
        id: 1,
        dont_fragment: true,
        more_fragments: false,
        fragment_offset: 0,
    });
    let options = Options {
        mss: Some(1460),
        window_scale: Some(7),
        sack_permitted: true,
        timestamps: Some(Timestamps { val: 1, ecr: 0 }),
        ..Options::default()
    };
    let tcp = Header {
        src_port: 37584,
        dst_port: 80,
        seq: Seq(3_124_300_130),
        flags: Flags::SYN,
        window: 29200,
        options,
        ..Header::default()
    };
    let link = eth::Header { dst: MacAddr([2, 0, 0, 0, 0, 2]), src: MacAddr([2, 0, 0, 0, 0, 1]), ethertype: 0x0800 };
    let bytes = frame::emit_tcp::<&[u8]>(Some(&link), &ip, &tcp, &[], portable);
    assert_eq!(bytes.len(), 14 + 20 + 40);
    judge_tcp(&bytes, &link, &ip, &tcp, &[]);
    assert_eq!(ip.src(), IpAddr::from([192, 168, 131, 132]));
}
