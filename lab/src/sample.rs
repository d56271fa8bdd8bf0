//! Frames for the room's own tests.
//!
//! Sections: RFC 9293 3.1.
//! In: the few fields that a test cares about.
//! Out: a whole Ethernet frame with right lengths and checksums.

use alloc::vec::Vec;
use core::net::Ipv4Addr;

use bytes::Bytes;
use tidegate_proto::wire::checksum::portable;
use tidegate_proto::wire::{Flags, Header, Options, Seq, eth, frame, ip, ipv4};

/// A segment from port `src_port` of one host to port 80 of another, padded to Ethernet's minimum.
pub(crate) fn segment(src_port: u16, seq: Seq, flags: Flags, payload: &[u8]) -> Bytes {
    let ip =
        ip::Header::V4(ipv4::Header::atomic(Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2), ip::protocol::TCP));
    let (dst, src) = (eth::MacAddr([2, 0, 0, 0, 0, 2]), eth::MacAddr([2, 0, 0, 0, 0, 1]));
    let link = eth::Header { dst, src, ethertype: ip.ethertype() };
    let options = Options::default();
    let tcp = Header { src_port, dst_port: 80, seq, ack: Seq(9), flags, window: 100, urgent: 0, options };
    let header = frame::emit_tcp(Some(&link), &ip, &tcp, &[payload], portable);
    let mut bytes: Vec<u8> = header.iter().chain(payload).copied().collect();
    bytes.resize(bytes.len().max(60), 0);
    bytes.into()
}
