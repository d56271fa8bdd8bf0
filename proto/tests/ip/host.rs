//! One stack on a link of bare IP, and packets made by hand.

use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use tidegate_proto::net::{ChecksumState, Cidr, Frame, IfaceConfig, IfaceId, Stack, StackConfig, TxFrame, offload};
use tidegate_proto::tcp::Verdict;
use tidegate_proto::time::{Duration, Instant};
use tidegate_proto::wire::checksum::portable;
use tidegate_proto::wire::frame::{self, Link, Tcp};
use tidegate_proto::wire::ip::protocol;
use tidegate_proto::wire::{Flags, Header, Seq, ip, ipv4, ipv6};

/// A stack, and the time in which it lives.
pub(crate) struct Host {
    pub(crate) stack: Stack,
    pub(crate) now: Instant,
    /// What became of the last packet that arrived.
    pub(crate) last: Option<Verdict>,
}

pub(crate) const IFACE: IfaceId = IfaceId(0);

impl Host {
    /// 192.0.2.1/24 and 2001:db8::1/64 on a link of bare IP.
    pub(crate) fn new(config: &StackConfig) -> Self {
        Host::at(config, 1)
    }

    /// The same as host `n`.
    pub(crate) fn at(config: &StackConfig, n: u8) -> Self {
        let now = Instant::ZERO + Duration::from_secs(1);
        let mut stack = Stack::new(config.clone(), [3; 32], now);
        let addrs = vec![Cidr { addr: addr(false, n), prefix: 24 }, Cidr { addr: addr(true, n), prefix: 64 }];
        stack.add_interface(IfaceConfig { mac: None, mtu: 1500, addrs, max_burst: 0, checksum_offload: false });
        Host { stack, now, last: None }
    }

    pub(crate) fn receive(&mut self, packet: &[u8]) -> Verdict {
        let frame = Frame { bytes: Bytes::copy_from_slice(packet), checksum: ChecksumState::Unknown, segments: 1 };
        let verdict = self.stack.receive(IFACE, frame, self.now);
        self.last = Some(verdict);
        verdict
    }

    /// Everything that goes out now.
    pub(crate) fn sent(&mut self) -> Vec<Bytes> {
        let mut all = Vec::new();
        while let Some(frame) = self.stack.poll_transmit(self.now) {
            all.extend(whole(&frame));
        }
        all
    }

    /// The TCP segments among that.
    pub(crate) fn segments(&mut self) -> Vec<Header> {
        let parse = |bytes: Bytes| Some(Tcp::parse(Link::Ip, &bytes, Some(portable)).ok()?.tcp);
        self.sent().into_iter().filter_map(parse).collect()
    }

    /// Time passes, and every timer that is due runs.
    pub(crate) fn pass(&mut self, span: Duration) -> Vec<Bytes> {
        let until = self.now + span;
        let mut all = self.sent();
        while let Some(at) = self.stack.next_timeout().filter(|&at| at <= until) {
            self.now = self.now.max(at);
            self.stack.on_timeout(self.now);
            all.extend(self.sent());
        }
        self.now = until;
        all
    }
}

/// Host `n` of the link.
pub(crate) fn addr(v6: bool, n: u8) -> IpAddr {
    if v6 { IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, u16::from(n)]) } else { IpAddr::from([192, 0, 2, n]) }
}

fn whole(frame: &TxFrame) -> Vec<Bytes> {
    offload::split(frame, Link::Ip, portable).collect()
}

/// A TCP packet from one socket to another.
pub(crate) fn tcp(src: SocketAddr, dst: SocketAddr, seq: u32, ack: u32, flags: Flags, data: &[u8]) -> Vec<u8> {
    let header = Header {
        src_port: src.port(),
        dst_port: dst.port(),
        seq: Seq(seq),
        ack: Seq(ack),
        flags,
        window: 65_535,
        ..Header::default()
    };
    let ip = ip_header(src.ip(), dst.ip(), protocol::TCP);
    [&frame::emit_tcp(None, &ip, &header, &[data], portable)[..], data].concat()
}

pub(crate) fn ip_header(src: IpAddr, dst: IpAddr, protocol: u8) -> ip::Header {
    match (src, dst) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => ip::Header::V4(ipv4::Header::atomic(src, dst, protocol)),
        (IpAddr::V6(src), IpAddr::V6(dst)) => ip::Header::V6(ipv6::Header {
            src,
            dst,
            protocol,
            hop_limit: 64,
            dscp: 0,
            ecn: tidegate_proto::wire::Ecn::NotEct,
            flow_label: 0,
            fragment: None,
        }),
        _ => panic!("two versions"),
    }
}

/// The pieces of a packet, each with `size` bytes of its payload (a multiple of 8), as a router or a sender cuts it.
pub(crate) fn cut(packet: &[u8], id: u16, size: usize) -> Vec<Vec<u8>> {
    let (header, payload) = ip::Header::parse(packet).expect("a good packet");
    let payload = &packet[payload];
    let count = payload.len().div_ceil(size);
    let piece = |(n, data): (usize, &[u8])| {
        let (offset, more) = ((n * size) as u16, n + 1 < count);
        match header {
            ip::Header::V4(header) => {
                let header =
                    ipv4::Header { id, dont_fragment: false, more_fragments: more, fragment_offset: offset, ..header };
                [&header.to_bytes(data.len()), data].concat()
            }
            ip::Header::V6(header) => {
                let first = ipv6::Header { protocol: protocol::FRAGMENT, ..header }.to_bytes(8 + data.len());
                let fragment = ipv6::Fragment { offset, more, id: u32::from(id) }.to_bytes(header.protocol);
                [&first[..], &fragment, data].concat()
            }
        }
    };
    payload.chunks(size).enumerate().map(piece).collect()
}
