//! IP input and output: what is for us, from whom it may come, and what header goes before what we send.
//!
//! Sections: RFC 791, RFC 8200; RFC 6980 (no fragments in neighbour discovery); RFC 1122 3.2.1.3 and RFC 4291 2.5 (addresses that no packet may have); RFC 6864
//! (identification); RFC 6437 (flow label); RFC 9293 3.9.2.3; attacks.
//! In: a packet from a device; a TCP header and payload to send.
//! Out: a segment for the four-tuple's owner; a frame, or a segment that is looped back.

use core::net::{IpAddr, Ipv6Addr};

use bytes::{Bytes, BytesMut};

use super::demux::tuple_bytes;
use super::endpoint::Path;
use super::icmp::Complaint;
use super::reassembly::{Arrival, Limits, Piece};
use super::route::Way;
use super::{Cause, ChecksumState, Frame, IfaceId, Note, SocketId, Stack, TxChecksum, TxFrame, route};
use crate::tcp::{self, DropReason, Payload, Segment, Transmit, Verdict};
use crate::time::Instant;
use crate::wire::ip::protocol;
use crate::wire::tcp::CHECKSUM_OFFSET;
use crate::wire::{Ecn, Error, FourTuple, Header, frame, ip, ipv4, ipv6};

impl Stack {
    /// An IP packet in `frame`, from byte `start` on; `to_us_alone` if the link below brought it to nobody else.
    pub(super) fn packet_arrives(
        &mut self,
        iface: IfaceId,
        frame: &Frame,
        start: usize,
        to_us_alone: bool,
        now: Instant,
    ) -> Result<Verdict, DropReason> {
        let packet = frame.bytes.get(start..).ok_or(DropReason::Malformed)?;
        let (header, payload) = ip::Header::parse(packet).inspect_err(|_| self.counters.in_hdr_errors += 1)?;
        let (src, dst) = (header.src(), header.dst());
        self.check_source(&header).inspect_err(|_| self.counters.in_addr_errors += 1)?;
        let is_ours = route::owner(&self.ifaces, dst).is_some();
        if !is_ours && route::is_host(&self.ifaces, dst) {
            self.counters.in_addr_errors += 1;
            return Err(DropReason::NotForUs);
        }
        // RFC 1122 3.3.6: a unicast packet in a broadcast frame is somebody's mistake.
        if is_ours && !to_us_alone {
            return Err(DropReason::Multicast);
        }
        if header.is_fragment() {
            let packet = packet.get(..payload.end).ok_or(DropReason::Malformed)?;
            let piece = Piece { header: &header, packet, start: payload.start };
            return if is_ours { self.piece_arrives(iface, &piece, now) } else { Err(DropReason::Multicast) };
        }
        let payload = start + payload.start..start + payload.end;
        match header.protocol() {
            //= 9293/MUST-57
            protocol::TCP if !is_ours => Err(DropReason::Multicast),
            protocol::TCP => {
                let verify = (frame.checksum == ChecksumState::Unknown).then_some(self.sum);
                let bytes = frame.bytes.get(payload.clone()).ok_or(DropReason::Malformed)?;
                let (tcp, data) =
                    Header::parse(bytes, src, dst, verify).inspect_err(|&error| self.count_bad_segment(error))?;
                let key =
                    FourTuple { local_ip: dst, remote_ip: src, local_port: tcp.dst_port, remote_port: tcp.src_port };
                let segment = Segment {
                    header: tcp,
                    payload: frame.bytes.slice(payload.start + data..payload.end),
                    segments: frame.segments.max(1),
                    ecn: header.ecn(),
                    ttl: header.ttl(),
                };
                Ok(self.segment_arrives(&key, segment, now))
            }
            protocol::ICMP => match header {
                ip::Header::V4(header) if is_ours => self.icmp_arrives(&header, &frame.bytes.slice(payload), now),
                _ => Err(DropReason::Multicast),
            },
            protocol::ICMPV6 => match header {
                ip::Header::V6(header) => self.icmpv6_arrives(iface, &header, &frame.bytes.slice(payload), now),
                ip::Header::V4(_) => Err(DropReason::UnknownProtocol),
            },
            _ => {
                self.counters.in_unknown_protos += 1;
                Err(DropReason::UnknownProtocol)
            }
        }
    }

    /// A piece of a packet to one of our addresses: with the last of them, the packet.
    fn piece_arrives(&mut self, iface: IfaceId, piece: &Piece<'_>, now: Instant) -> Result<Verdict, DropReason> {
        self.counters.reasm_reqds += 1;
        let host = &self.config.host;
        let memory = usize::try_from(host.ipfrag_high_thresh).unwrap_or(usize::MAX);
        let limits = Limits { memory, time: host.ipfrag_time };
        let (arrival, evicted) = self.reassembly.on_piece(piece, limits, now, &mut self.wheel);
        self.counters.reasm_fails += evicted;
        let refused = match arrival {
            Arrival::Held | Arrival::Again => return Ok(Verdict::Accepted),
            Arrival::Whole(bytes) => {
                self.counters.reasm_oks += 1;
                // RFC 6980 5: what is said about neighbours needs no fragments, and would escape those that watch it.
                if let Ok((ip::Header::V6(header), payload)) = ip::Header::parse(&bytes)
                    && header.protocol == protocol::ICMPV6
                    && bytes.get(payload.start).is_some_and(|kind| NEIGHBOUR_DISCOVERY.contains(kind))
                {
                    return Err(DropReason::Fragment);
                }
                let whole = Frame { bytes, checksum: ChecksumState::Unknown, segments: 1 };
                return self.packet_arrives(iface, &whole, 0, true, now);
            }
            Arrival::Overlap => {
                self.counters.reasm_overlaps += 1;
                DropReason::Fragment
            }
            Arrival::Refused { code, pointer } => {
                let about = Bytes::copy_from_slice(piece.packet);
                self.complain(piece.header, about, Complaint::Parameter { code, pointer }, now);
                DropReason::Malformed
            }
            Arrival::Dropped(why) => why,
        };
        self.counters.reasm_fails += 1;
        Err(refused)
    }

    /// A packet was not completed in time. Its sender is told, if it would know which packet it was.
    pub(super) fn on_reassembly_timeout(&mut self, index: u32, now: Instant) {
        let Some(overdue) = self.reassembly.on_timeout(index, &mut self.wheel) else { return };
        self.counters.reasm_timeout += 1;
        self.counters.reasm_fails += 1;
        //= 8200#4.5
        if let Some((header, packet)) = overdue.first {
            self.complain(&header, packet, Complaint::ReassemblyTime, now);
        }
    }

    /// Only another host may be the source of what a device brings, and loopback addresses never leave a host.
    fn check_source(&self, header: &ip::Header) -> Result<(), DropReason> {
        let (src, dst) = (header.src(), header.dst());
        // A host that has no address yet asks for its neighbours all the same (RFC 4861 7.2.2).
        let asks_for_neighbours = header.protocol() == protocol::ICMPV6 && src.is_unspecified();
        let is_own = route::owner(&self.ifaces, src).is_some();
        //= 9293/MUST-63
        if (!route::is_host(&self.ifaces, src) && !asks_for_neighbours) || is_own || is_local(src) || is_local(dst) {
            return Err(DropReason::MartianSource);
        }
        Ok(())
    }

    fn count_bad_segment(&mut self, error: Error) {
        self.counters.in_errs += 1;
        if error == Error::BadChecksum {
            self.counters.in_csum_errors += 1;
        }
    }

    /// Sends a segment that no connection sends: a reset, or a small record's answer.
    pub(super) fn reply(&mut self, key: &FourTuple, header: Header, cause: tcp::Cause, now: Instant) {
        let path = self.path(key, &self.config.tcp);
        self.reply_on(path, key, header, cause, now);
    }

    /// As `reply`, with the TTL and the code point of a listener's connections.
    pub(super) fn reply_as(
        &mut self,
        config: &tcp::Config,
        key: &FourTuple,
        header: Header,
        cause: tcp::Cause,
        now: Instant,
    ) {
        let path = self.path(key, config);
        self.reply_on(path, key, header, cause, now);
    }

    fn reply_on(&mut self, path: Option<Path>, key: &FourTuple, header: Header, cause: tcp::Cause, now: Instant) {
        let Some(path) = path else {
            self.counters.out_no_routes += 1;
            return;
        };
        let transmit = Transmit { header, payload: Payload::NONE, segment_size: 0, ecn: Ecn::NotEct, cause };
        if let Some(frame) = self.send_segment(&path, key, transmit, None, None, now) {
            self.queue(frame);
        }
    }

    /// Sends a segment or burst: gives the frame if it can go at once. What is for ourselves is looped back instead,
    /// and what waits for a neighbour waits.
    pub(super) fn send_segment(
        &mut self,
        path: &Path,
        key: &FourTuple,
        transmit: Transmit,
        socket: Option<SocketId>,
        note: Option<Note>,
        now: Instant,
    ) -> Option<TxFrame> {
        self.count_out(&transmit);
        let Some(iface) = path.iface else {
            self.loop_back(key, transmit);
            return None;
        };
        let ip = self.tcp_ip_header(path, key, &transmit);
        let Transmit { header, payload, segment_size, cause, .. } = transmit;
        let len = payload.byte_len();
        let is_burst = segment_size > 0 && len > usize::from(segment_size);
        let link = self.link_header(iface, &ip);
        // Whoever cuts a burst into segments computes their checksums; one over the whole would be of no use.
        let is_partial = is_burst || self.finishes_checksums(iface);
        let (header, checksum) = if is_partial {
            let tcp = header.to_bytes_partial(ip.src(), ip.dst(), len, self.sum);
            let header = frame::emit(link.as_ref(), &ip, &tcp, len);
            let start = u16::try_from(header.len() - tcp.len()).expect("headers are at most 128 bytes");
            (header, TxChecksum::Partial { start, offset: CHECKSUM_OFFSET })
        } else {
            (frame::emit_tcp(link.as_ref(), &ip, &header, &payload, self.sum), TxChecksum::Full)
        };
        let frame = TxFrame {
            iface,
            header,
            payload,
            gso_size: if is_burst { segment_size } else { 0 },
            checksum,
            socket,
            cause: Cause::Tcp(cause),
            note,
        };
        self.resolve(frame, path.next_hop, now)
    }

    /// The way to `dst` for packets from `from`.
    pub(super) fn way(&self, dst: IpAddr, from: Option<IpAddr>) -> Option<Way> {
        route::find(&self.ifaces, &self.routes, dst, from)
    }

    /// True if the device below computes the checksum of what it sends.
    fn finishes_checksums(&self, iface: IfaceId) -> bool {
        self.ifaces.get(usize::from(iface.0)).is_some_and(|iface| iface.checksum_offload)
    }

    /// The IP header of a TCP segment.
    fn tcp_ip_header(&mut self, path: &Path, key: &FourTuple, transmit: &Transmit) -> ip::Header {
        let (dscp, ecn) = (path.dscp, transmit.ecn);
        match (key.local_ip, key.remote_ip) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => ip::Header::V4(ipv4::Header {
                ttl: path.ttl,
                dscp,
                ecn,
                // What may be cut needs a name of its own.
                id: if path.may_fragment { u16::try_from(self.ids.next() & 0xffff).expect("16 bits") } else { 0 },
                dont_fragment: !path.may_fragment,
                ..ipv4::Header::atomic(src, dst, protocol::TCP)
            }),
            (src, dst) => ip::Header::V6(ipv6::Header {
                hop_limit: path.ttl,
                dscp,
                ecn,
                flow_label: path.flow_label,
                ..ipv6_header(as_v6(src), as_v6(dst), protocol::TCP)
            }),
        }
    }

    /// One label per connection, which routers may spread load by (RFC 6437 3), and nobody can read anything from.
    pub(super) fn flow_label(&self, key: &FourTuple) -> u32 {
        let hash = tuple_bytes(key, |bytes| self.flow_hasher.hash(bytes));
        u32::try_from(hash & 0xf_ffff).expect("20 bits").max(1)
    }

    /// A segment to one of our own addresses arrives there without a device: at the next poll.
    fn loop_back(&mut self, key: &FourTuple, transmit: Transmit) {
        let Transmit { header, payload, segment_size, ecn, .. } = transmit;
        let len = payload.byte_len();
        let payload = match &*payload {
            [] => Bytes::new(),
            [one] => one.clone(),
            parts => {
                let mut whole = BytesMut::with_capacity(len);
                parts.iter().for_each(|part| whole.extend_from_slice(part));
                whole.freeze()
            }
        };
        let segments = u16::try_from(len.div_ceil(usize::from(segment_size.max(1)))).unwrap_or(u16::MAX).max(1);
        let ttl = self.config.host.default_ttl;
        self.looped.push_back((key.reversed(), Segment { header, payload, segments, ecn, ttl }));
    }

    fn count_out(&mut self, transmit: &Transmit) {
        let segments = transmit.payload_len().div_ceil(usize::from(transmit.segment_size.max(1))).max(1) as u64;
        self.counters.out_segs += segments;
        match transmit.cause {
            tcp::Cause::Retransmit(_) => self.counters.retrans_segs += segments,
            tcp::Cause::Reset(_) => self.counters.out_rsts += 1,
            _ => {}
        }
    }
}

impl From<Error> for DropReason {
    fn from(error: Error) -> Self {
        match error {
            Error::BadChecksum => DropReason::BadChecksum,
            Error::BadOptions => DropReason::BadOptions,
            Error::Truncated | Error::BadLength | Error::BadVersion | Error::BadExtension => DropReason::Malformed,
        }
    }
}

/// The IPv6 header of what this host sends.
pub(super) fn ipv6_header(src: Ipv6Addr, dst: Ipv6Addr, protocol: u8) -> ipv6::Header {
    ipv6::Header { src, dst, protocol, hop_limit: 64, dscp: 0, ecn: Ecn::NotEct, flow_label: 0, fragment: None }
}

/// The types of ICMPv6 messages about routers and neighbours (RFC 4861 4).
const NEIGHBOUR_DISCOVERY: core::ops::RangeInclusive<u8> = 133..=137;

/// 127.0.0.0/8 and ::1.
const fn is_local(addr: IpAddr) -> bool {
    match addr {
        IpAddr::V4(addr) => addr.is_loopback(),
        IpAddr::V6(addr) => addr.is_loopback(),
    }
}

const fn as_v6(addr: IpAddr) -> Ipv6Addr {
    match addr {
        IpAddr::V4(addr) => addr.to_ipv6_mapped(),
        IpAddr::V6(addr) => addr,
    }
}
