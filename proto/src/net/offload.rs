//! Segmentation and merging in software, for devices that do neither: what GSO and GRO do at Linux's device edge.
//!
//! Sections: RFC 9293 3.1, 3.7; RFC 6864 (identification of the pieces); RFC 3168 6.1.2 (CWR on the first piece only).
//! In: bursts from the stack; frames from a device.
//! Out: frames that fit the link; frames of up to 64 KiB that carry the count of their segments.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use bytes::{Bytes, BytesMut};

use super::{ChecksumState, Frame, TxChecksum, TxFrame};
use crate::time::{Duration, Instant};
use crate::wire::checksum::SumFn;
use crate::wire::frame::{self, Link};
use crate::wire::{Flags, ip, ipv4, ipv6};

/// The frames that go on the wire for `frame`: itself, or one for every `gso_size` bytes of its payload, each with its
/// own lengths, sequence number, flags and checksums. A frame that is no TCP stays in one piece.
pub fn split(frame: &TxFrame, link: Link, sum: SumFn) -> Split<'_> {
    let total = frame.payload.byte_len();
    let size = usize::from(frame.gso_size);
    let is_burst = size != 0 && total > size;
    let is_unfinished = is_burst || frame.checksum != TxChecksum::Full;
    let headers = if is_unfinished { frame::Tcp::parse_header(link, &frame.header).ok() } else { None };
    let size = if is_burst && headers.is_some() { size } else { total.max(1) };
    let pieces = total.div_ceil(size).max(1);
    Split {
        headers,
        sum,
        size,
        header: &frame.header,
        rest: Slices { slices: &frame.payload, skip: 0 },
        total,
        at: 0,
        pieces,
        next: 0,
        buffer: BytesMut::with_capacity(pieces * frame.header.len() + total),
    }
}

/// The pieces of a frame, in order; all of them share one buffer.
#[derive(Debug)]
pub struct Split<'a> {
    /// The headers of the burst, or of a segment without its checksum; `None` for a frame that goes as it is.
    headers: Option<frame::Tcp>,
    sum: SumFn,
    size: usize,
    header: &'a [u8],
    rest: Slices<'a>,
    total: usize,
    /// How much of the payload has gone.
    at: usize,
    pieces: usize,
    next: usize,
    buffer: BytesMut,
}

impl Iterator for Split<'_> {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        if self.next == self.pieces {
            return None;
        }
        self.buffer.extend_from_slice(self.header);
        self.rest.copy(self.size.min(self.total - self.at), &mut self.buffer);
        if let Some(headers) = &self.headers {
            let mut tcp = headers.tcp.clone();
            let offset = u32::try_from(self.at).expect("a burst is at most 64 KiB");
            tcp.seq = tcp.seq + offset;
            if self.next != 0 {
                tcp.flags = tcp.flags.without(Flags::CWR);
            }
            if self.next + 1 != self.pieces {
                tcp.flags = tcp.flags.without(Flags::FIN | Flags::PSH);
            }
            // The urgent pointer counts from the piece's own sequence number; behind the urgent data it says nothing.
            tcp.urgent = u16::try_from(u32::from(tcp.urgent).saturating_sub(offset)).expect("it only shrinks");
            if tcp.urgent == 0 {
                tcp.flags = tcp.flags.without(Flags::URG);
            }
            // Like Linux: the pieces' identifications count on from the burst's.
            let nth = u16::try_from(self.next).expect("a burst is at most 64 KiB");
            rewrite(&mut self.buffer, headers, &tcp, nth, self.sum);
        }
        self.at += self.size.min(self.total - self.at);
        self.next += 1;
        Some(self.buffer.split().freeze())
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.pieces - self.next, Some(self.pieces - self.next))
    }
}

impl ExactSizeIterator for Split<'_> {}

/// A received frame as it is on a wire: one that has never been on one gets the TCP checksum that it still lacks.
pub fn completed(frame: &Frame, link: Link, sum: SumFn) -> Bytes {
    if frame.checksum != ChecksumState::Partial {
        return frame.bytes.clone();
    }
    let Ok(headers) = frame::Tcp::parse(link, &frame.bytes, None) else { return frame.bytes.clone() };
    let mut bytes = BytesMut::from(&*frame.bytes);
    let (src, dst) = (headers.ip.src(), headers.ip.dst());
    headers.tcp.rewrite(&mut bytes[headers.tcp_at..headers.payload.end], src, dst, sum);
    bytes.freeze()
}

/// Merges what arrives in order into frames of many segments, so that the stack runs once for all of them.
///
/// Like Linux: data segments of one connection that follow each other and differ in nothing but sequence number,
/// length, PSH and FIN become one; PSH, FIN or a short segment ends it; whatever else comes on the connection ends it
/// too, so that nothing on one connection overtakes. A frame with a wrong checksum passes untouched, for the stack to
/// drop and count.
///
/// The contract is the stack's: after [`Merger::push`] or [`Merger::on_timeout`] drain [`Merger::poll_ready`], then
/// read [`Merger::next_timeout`]. Each frame may bring a `tag`; a merged frame has that of its first segment.
#[derive(Clone, Debug)]
pub struct Merger<T = ()> {
    link: Link,
    sum: SumFn,
    hold: Duration,
    max_segments: u16,
    /// What may still grow, the oldest first.
    held: Vec<Held<T>>,
    ready: VecDeque<(Frame, T)>,
}

impl<T> Merger<T> {
    /// A merger for one interface. A segment waits at most `hold` for others to join it, and at most `max_segments`
    /// go into one frame.
    pub fn new(link: Link, sum: SumFn, hold: Duration, max_segments: u16) -> Self {
        Merger { link, sum, hold, max_segments, held: Vec::new(), ready: VecDeque::new() }
    }

    /// A frame from the wire.
    pub fn push(&mut self, bytes: Bytes, tag: T, now: Instant) {
        let Ok(headers) = frame::Tcp::parse(self.link, &bytes, Some(self.sum)) else {
            let frame = Frame { bytes, checksum: ChecksumState::Unknown, segments: 1 };
            self.ready.push_back((frame, tag));
            return;
        };
        let due = now + self.hold;
        let segment = Held { first: bytes, tag, len: headers.payload.len(), headers, rest: Vec::new(), due };
        if let Some(at) = self.held.iter().position(|held| held.is_same_connection(&segment)) {
            let held = &mut self.held[at];
            if held.segments() < self.max_segments && held.may_take(&segment) {
                let last = segment.len < held.headers.payload.len() || segment.headers.tcp.flags.any(ENDS);
                held.take(segment);
                if last {
                    self.release(at);
                }
                return;
            }
            self.release(at);
        }
        if self.max_segments > 1 && segment.may_wait() {
            if self.held.len() == MAX_HELD {
                self.release(0);
            }
            self.held.push(segment);
        } else {
            self.ready.push_back(segment.into_frame(self.sum));
        }
    }

    /// Lets go of everything that has waited its time.
    pub fn on_timeout(&mut self, now: Instant) {
        while self.next_timeout().is_some_and(|due| due <= now) {
            self.release(0);
        }
    }

    /// Lets go of everything.
    pub fn flush(&mut self) {
        while !self.held.is_empty() {
            self.release(0);
        }
    }

    /// The next frame for the stack.
    pub fn poll_ready(&mut self) -> Option<(Frame, T)> {
        self.ready.pop_front()
    }

    /// When [`Merger::on_timeout`] wants to be called.
    pub fn next_timeout(&self) -> Option<Instant> {
        self.held.first().map(|held| held.due)
    }

    fn release(&mut self, at: usize) {
        let held = self.held.remove(at);
        self.ready.push_back(held.into_frame(self.sum));
    }
}

/// A segment that waits for others, and those that have joined it.
#[derive(Clone, Debug)]
struct Held<T> {
    first: Bytes,
    tag: T,
    headers: frame::Tcp,
    /// The payloads behind the first.
    rest: Vec<Bytes>,
    /// Bytes of payload in all.
    len: usize,
    due: Instant,
}

impl<T> Held<T> {
    fn segments(&self) -> u16 {
        u16::try_from(self.rest.len() + 1).unwrap_or(u16::MAX)
    }

    fn is_same_connection(&self, other: &Held<T>) -> bool {
        let ends = |held: &Held<T>| {
            let (ip, tcp) = (&held.headers.ip, &held.headers.tcp);
            (tcp.src_port, tcp.dst_port, ip.src(), ip.dst())
        };
        ends(self) == ends(other)
    }

    /// May others join behind this segment?
    fn may_wait(&self) -> bool {
        let flags = self.headers.tcp.flags;
        let ip_header_len = self.headers.tcp_at - self.headers.ip_at;
        let is_plain = match self.headers.ip {
            ip::Header::V4(_) => ip_header_len == ipv4::HEADER_LEN,
            ip::Header::V6(_) => ip_header_len == ipv6::HEADER_LEN,
        };
        self.len > 0 && is_plain && flags.has(Flags::ACK) && !flags.any(ENDS | NEVER)
    }

    /// May `next` join behind what is here?
    fn may_take(&self, next: &Held<T>) -> bool {
        let (mine, theirs) = (&self.headers, &next.headers);
        let Ok(so_far) = u32::try_from(self.len) else { return false };
        let flags = |held: &frame::Tcp| held.tcp.flags.without(ENDS | Flags::CWR);
        next.len > 0
            && next.len <= mine.payload.len()
            && mine.tcp_at - mine.ip_at + (mine.payload.start - mine.tcp_at) + self.len + next.len <= MAX_PACKET
            && theirs.tcp.seq == mine.tcp.seq + so_far
            && (theirs.tcp.ack, theirs.tcp.window) == (mine.tcp.ack, mine.tcp.window)
            && flags(theirs) == flags(mine)
            && !theirs.tcp.flags.any(Flags::CWR | NEVER)
            && without_id(theirs.ip) == without_id(mine.ip)
            && (theirs.ip_at, theirs.tcp_at) == (mine.ip_at, mine.tcp_at)
            && next.first.get(..theirs.ip_at) == self.first.get(..mine.ip_at)
            && next.options() == self.options()
    }

    fn take(&mut self, next: Held<T>) {
        self.headers.tcp.flags |= next.headers.tcp.flags;
        self.len += next.len;
        self.rest.push(next.first.slice(next.headers.payload));
    }

    /// The option bytes as they stand there, so that options which we do not know must be the same too.
    fn options(&self) -> Option<&[u8]> {
        self.first.get(self.headers.tcp_at + crate::wire::tcp::MIN_HEADER_LEN..self.headers.payload.start)
    }

    fn into_frame(self, sum: SumFn) -> (Frame, T) {
        let segments = self.segments();
        let bytes = if self.rest.is_empty() {
            self.first
        } else {
            let mut bytes = BytesMut::with_capacity(self.headers.payload.start + self.len);
            bytes.extend_from_slice(&self.first[..self.headers.payload.end]);
            self.rest.iter().for_each(|payload| bytes.extend_from_slice(payload));
            rewrite(&mut bytes, &self.headers, &self.headers.tcp, 0, sum);
            bytes.freeze()
        };
        (Frame { bytes, checksum: ChecksumState::Verified, segments }, self.tag)
    }
}

/// Gives a frame whose payload has changed its lengths and checksums, and the TCP header `tcp`.
fn rewrite(bytes: &mut [u8], headers: &frame::Tcp, tcp: &crate::wire::Header, nth: u16, sum: SumFn) {
    let (ip, tcp_at) = (headers.ip, headers.tcp_at);
    let packet = &mut bytes[headers.ip_at..];
    let len = packet.len();
    match ip {
        ip::Header::V4(ip) => {
            ipv4::Header::rewrite(packet, u16::try_from(len).unwrap_or(u16::MAX), ip.id.wrapping_add(nth));
        }
        ip::Header::V6(_) => {
            ipv6::Header::rewrite(packet, u16::try_from(len - ipv6::HEADER_LEN).unwrap_or(u16::MAX));
        }
    }
    tcp.rewrite(&mut bytes[tcp_at..], ip.src(), ip.dst(), sum);
}

/// What must be the same in the IP headers of segments that are merged: all but the identification.
fn without_id(header: ip::Header) -> ip::Header {
    match header {
        ip::Header::V4(header) => ip::Header::V4(ipv4::Header { id: 0, ..header }),
        header @ ip::Header::V6(_) => header,
    }
}

/// Payload in several slices, and how much of the first is used up.
#[derive(Debug)]
struct Slices<'a> {
    slices: &'a [Bytes],
    skip: usize,
}

impl Slices<'_> {
    /// Moves the next `len` bytes behind what `out` has.
    fn copy(&mut self, mut len: usize, out: &mut BytesMut) {
        while let Some((first, rest)) = self.slices.split_first() {
            let part = &first[self.skip..];
            if len < part.len() {
                out.extend_from_slice(&part[..len]);
                self.skip += len;
                return;
            }
            out.extend_from_slice(part);
            len -= part.len();
            (self.slices, self.skip) = (rest, 0);
        }
    }
}

/// Nothing joins behind a segment with one of these: its sender wants it seen.
const ENDS: Flags = Flags(Flags::FIN.0 | Flags::PSH.0);
/// A segment with one of these goes alone.
const NEVER: Flags = Flags(Flags::SYN.0 | Flags::RST.0 | Flags::URG.0);
/// An IP packet's length field has 16 bits.
const MAX_PACKET: usize = 65_535;
/// Like Linux: so many connections wait at a time.
const MAX_HELD: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::{Cause, IfaceId};
    use crate::tcp;
    use crate::wire::checksum::portable;
    use crate::wire::eth::{self, MacAddr};
    use crate::wire::{Ecn, Header, Options, Seq, Timestamps};
    use proptest::prelude::*;

    const HOLD: Duration = Duration::from_micros(50);

    fn ip(v6: bool) -> ip::Header {
        let (protocol, dscp, ecn) = (ip::protocol::TCP, 0, Ecn::Ect0);
        if v6 {
            let [src, dst] = [1, 2].map(|n| core::net::Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, n));
            let header = ipv6::Header { src, dst, protocol, hop_limit: 64, dscp, ecn, flow_label: 7, fragment: None };
            return ip::Header::V6(header);
        }
        ip::Header::V4(ipv4::Header {
            src: [10, 0, 0, 1].into(),
            dst: [10, 0, 0, 2].into(),
            protocol,
            ttl: 64,
            dscp,
            ecn,
            id: 0xfffe,
            dont_fragment: true,
            more_fragments: false,
            fragment_offset: 0,
        })
    }

    fn link_header(link: Link, ip: &ip::Header) -> Option<eth::Header> {
        let (dst, src) = (MacAddr([2, 0, 0, 0, 0, 2]), MacAddr([2, 0, 0, 0, 0, 1]));
        (link == Link::Ethernet).then(|| eth::Header { dst, src, ethertype: ip.ethertype() })
    }

    fn header(src_port: u16, seq: u32, flags: Flags) -> Header {
        let timestamps = Some(Timestamps { val: 5, ecr: 6 });
        let options = Options { timestamps, ..Options::default() };
        Header { src_port, dst_port: 80, seq: Seq(seq), ack: Seq(9), flags, window: 100, urgent: 0, options }
    }

    fn burst(link: Link, v6: bool, tcp: &Header, payload: &[Bytes], gso_size: u16) -> TxFrame {
        let ip = ip(v6);
        TxFrame {
            iface: IfaceId(0),
            header: frame::emit_tcp(link_header(link, &ip).as_ref(), &ip, tcp, payload, portable),
            payload: payload.to_vec().into(),
            gso_size,
            checksum: TxChecksum::Full,
            socket: None,
            cause: Cause::Tcp(tcp::Cause::Data),
            note: None,
        }
    }

    /// One frame of one segment.
    fn segment(tcp: &Header, payload: &[u8]) -> Bytes {
        let frame = burst(Link::Ethernet, false, tcp, &[Bytes::copy_from_slice(payload)], 0);
        let mut frames = split(&frame, Link::Ethernet, portable);
        frames.next().expect("every frame has at least one piece")
    }

    fn parse(link: Link, bytes: &[u8]) -> frame::Tcp {
        frame::Tcp::parse(link, bytes, Some(portable)).expect("a whole segment with a right checksum")
    }

    fn drain(merger: &mut Merger) -> Vec<Frame> {
        core::iter::from_fn(|| merger.poll_ready()).map(|(frame, ())| frame).collect()
    }

    /// What comes out of a merger that sees `frames` at once.
    fn merged(frames: impl IntoIterator<Item = Bytes>) -> Vec<Frame> {
        let mut merger = Merger::new(Link::Ethernet, portable, HOLD, 64);
        frames.into_iter().for_each(|frame| merger.push(frame, (), Instant::ZERO));
        merger.flush();
        drain(&mut merger)
    }

    /// What a device delivers unfinished, a capture shows finished; all else stays as it is.
    #[test]
    fn an_unfinished_frame_is_completed() {
        for link in [Link::Ethernet, Link::Ip] {
            for v6 in [false, true] {
                let payload = [Bytes::from_static(b"payload")];
                let sent = burst(link, v6, &header(1000, 7, Flags::ACK), &payload, 0);
                let right: Bytes = split(&sent, link, portable).collect::<Vec<_>>().concat().into();
                let mut unfinished = right.to_vec();
                let at = parse(link, &right).tcp_at + 16;
                unfinished[at] ^= 0x5a;
                let frame = |checksum| Frame { bytes: unfinished.clone().into(), checksum, segments: 1 };
                assert_eq!(completed(&frame(ChecksumState::Partial), link, portable), right);
                assert_eq!(completed(&frame(ChecksumState::Unknown), link, portable), unfinished);
            }
        }
        let noise = Frame { bytes: Bytes::from_static(&[0x45; 30]), checksum: ChecksumState::Partial, segments: 1 };
        assert_eq!(completed(&noise, Link::Ip, portable), noise.bytes);
    }

    fn any_link() -> impl Strategy<Value = Link> {
        prop_oneof![Just(Link::Ethernet), Just(Link::Ip)]
    }

    proptest! {
        /// Cut and merged again, a burst is what it was; and in between every piece is a segment in its own right.
        #[test]
        fn split_and_merge_are_inverse(
            link in any_link(),
            v6: bool,
            parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..3000), 1..8),
            seq: u32,
            gso_size in 1_u16..3000,
            ends in prop::sample::select(&[Flags::NONE, Flags::PSH, Flags::FIN, ENDS][..]),
            ecn in prop::sample::select(&[Flags::NONE, Flags::ECE, Flags::CWR][..]),
        ) {
            let payload: Vec<Bytes> = parts.iter().map(|part| Bytes::copy_from_slice(part)).collect();
            let whole = parts.concat();
            let tcp = header(1, seq, Flags::ACK | ends | ecn);
            let burst = burst(link, v6, &tcp, &payload, gso_size);
            let frames: Vec<Bytes> = split(&burst, link, portable).collect();
            prop_assert_eq!(frames.len(), whole.len().div_ceil(usize::from(gso_size)).max(1));
            let mut at = 0;
            for (nth, bytes) in frames.iter().enumerate() {
                let piece = parse(link, bytes);
                prop_assert_eq!(piece.payload.end, bytes.len());
                prop_assert_eq!(piece.tcp.seq, Seq(seq) + at as u32);
                prop_assert_eq!(&bytes[piece.payload.clone()], &whole[at..at + piece.payload.len()]);
                let last = nth + 1 == frames.len();
                prop_assert_eq!(piece.tcp.flags.any(ENDS), last && ends != Flags::NONE);
                prop_assert_eq!(piece.tcp.flags.has(Flags::CWR), nth == 0 && ecn == Flags::CWR);
                prop_assert_eq!(piece.tcp.flags.has(Flags::ECE), ecn == Flags::ECE);
                prop_assert_eq!(&piece.tcp.options, &tcp.options);
                if let ip::Header::V4(ip) = piece.ip {
                    prop_assert_eq!(ip.id, 0xfffe_u16.wrapping_add(nth as u16));
                }
                at += piece.payload.len();
            }
            prop_assert_eq!(at, whole.len());

            let mut merger = Merger::new(link, portable, HOLD, u16::MAX);
            frames.iter().for_each(|frame| merger.push(frame.clone(), (), Instant::ZERO));
            merger.flush();
            let merged = drain(&mut merger);
            prop_assert_eq!(merged.len(), 1);
            prop_assert_eq!(usize::from(merged[0].segments), frames.len());
            prop_assert_eq!(merged[0].checksum, ChecksumState::Verified);
            let again = [&burst.header[..], &whole].concat();
            prop_assert_eq!(&merged[0].bytes[..], &again[..]);
        }

        /// Whatever arrives, each connection's bytes leave in the order in which they came.
        #[test]
        fn nothing_overtakes_on_a_connection(
            frames in prop::collection::vec((0_u16..3, 0_u32..4, 1_usize..4, prop::sample::select(&[0x10_u16, 0x10, 0x10, 0x18, 0x11, 0x14, 0x90][..])), 0..40),
        ) {
            let bytes_of = |bytes: &Bytes| {
                let parsed = parse(Link::Ethernet, bytes);
                let (port, seq) = (parsed.tcp.src_port, parsed.tcp.seq);
                let data = bytes.slice(parsed.payload);
                (port, data.iter().enumerate().map(|(n, byte)| (seq.0 + n as u32, *byte)).collect::<Vec<_>>())
            };
            let mut next = [0_u32; 3];
            let input: Vec<Bytes> = frames.into_iter().map(|(port, jump, len, flags)| {
                // Mostly in order, now and then somewhere else.
                let seq = next[usize::from(port)] + jump / 3;
                next[usize::from(port)] = seq + len as u32;
                segment(&header(port, seq, Flags(flags)), &[port as u8, 2, 3, 4][..len])
            }).collect();
            let output: Vec<Bytes> = merged(input.clone()).into_iter().map(|frame| frame.bytes).collect();
            for port in 0..3 {
                let stream = |frames: &[Bytes]| {
                    frames.iter().map(bytes_of).filter(|(p, _)| *p == port).flat_map(|(_, bytes)| bytes).collect::<Vec<_>>()
                };
                prop_assert_eq!(stream(&output), stream(&input));
            }
        }

        #[test]
        fn any_bytes_pass(frames in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 0..5)) {
            let frames: Vec<Bytes> = frames.into_iter().map(Bytes::from).collect();
            let out = merged(frames.clone());
            prop_assert_eq!(out.into_iter().map(|frame| frame.bytes).collect::<Vec<_>>(), frames);
        }
    }

    #[test]
    fn what_may_join_and_what_may_not() {
        let first = header(1, 100, Flags::ACK);
        let next = header(1, 104, Flags::ACK);
        let other_options = Options { timestamps: Some(Timestamps { val: 6, ecr: 6 }), ..Options::default() };
        for (why, tcp, payload, joins) in [
            ("the next segment", next.clone(), &b"more"[..], true),
            ("a short one", next.clone(), b"m", true),
            ("with PSH", Header { flags: Flags::ACK | Flags::PSH, ..next.clone() }, b"more", true),
            ("with FIN", Header { flags: Flags::ACK | Flags::FIN, ..next.clone() }, b"more", true),
            ("a longer one", next.clone(), b"longer", false),
            ("a gap", Header { seq: Seq(105), ..next.clone() }, b"more", false),
            ("the same again", first.clone(), b"four", false),
            ("another acknowledgement", Header { ack: Seq(10), ..next.clone() }, b"more", false),
            ("another window", Header { window: 99, ..next.clone() }, b"more", false),
            ("another timestamp", Header { options: other_options, ..next.clone() }, b"more", false),
            ("a bare acknowledgement", next.clone(), b"", false),
            ("RST", Header { flags: Flags::ACK | Flags::RST, ..next.clone() }, b"more", false),
            ("URG", Header { flags: Flags::ACK | Flags::URG, ..next.clone() }, b"more", false),
            ("CWR", Header { flags: Flags::ACK | Flags::CWR, ..next.clone() }, b"more", false),
            ("ECE", Header { flags: Flags::ACK | Flags::ECE, ..next.clone() }, b"more", false),
            ("another connection", Header { src_port: 2, ..next.clone() }, b"more", false),
        ] {
            let frames = merged([segment(&first, b"four"), segment(&tcp, payload)]);
            assert_eq!(frames.len(), if joins { 1 } else { 2 }, "{why}");
        }
    }

    #[test]
    fn a_segment_waits_its_time_and_no_longer() {
        let mut merger = Merger::new(Link::Ethernet, portable, HOLD, 3);
        merger.push(segment(&header(1, 0, Flags::ACK), b"four"), (), Instant::ZERO);
        assert!(merger.poll_ready().is_none());
        let due = Instant::ZERO + HOLD;
        assert_eq!(merger.next_timeout(), Some(due));
        merger.on_timeout(due);
        assert_eq!(drain(&mut merger).len(), 1);
        assert_eq!(merger.next_timeout(), None);
        (0..4).for_each(|n| merger.push(segment(&header(1, 4 * n, Flags::ACK), b"four"), (), due));
        merger.flush();
        let counts: Vec<u16> = drain(&mut merger).iter().map(|frame| frame.segments).collect();
        assert_eq!(counts, [3, 1], "at most three in one frame");
    }

    #[test]
    fn a_merged_frame_has_the_tag_of_its_first_segment() {
        let mut merger = Merger::new(Link::Ethernet, portable, HOLD, 64);
        for (n, tag) in ["first", "second", "third"].into_iter().enumerate() {
            merger.push(segment(&header(1, 4 * n as u32, Flags::ACK), b"four"), tag, Instant::ZERO);
        }
        merger.flush();
        assert_eq!(merger.poll_ready().map(|(frame, tag)| (frame.segments, tag)), Some((3, "first")));
    }

    #[test]
    fn ip_options_keep_a_segment_apart() {
        let mut optioned = segment(&header(1, 4, Flags::ACK), b"more").to_vec();
        let ip_at = eth::HEADER_LEN;
        optioned.splice(ip_at + ipv4::HEADER_LEN..ip_at + ipv4::HEADER_LEN, [1; 4]);
        optioned[ip_at] = 0x46;
        let len = (optioned.len() - ip_at) as u16;
        ipv4::Header::rewrite(&mut optioned[ip_at..], len, 0xfffe);
        assert_eq!(parse(Link::Ethernet, &optioned).tcp_at, ip_at + 24);
        let frames = merged([segment(&header(1, 0, Flags::ACK), b"four"), optioned.clone().into()]);
        assert_eq!(frames.len(), 2);
        assert_eq!(frames[1].bytes, optioned);
    }

    #[test]
    fn a_damaged_segment_is_left_to_the_stack() {
        let mut damaged = segment(&header(1, 4, Flags::ACK), b"more").to_vec();
        *damaged.last_mut().expect("it has payload") ^= 1;
        let frames = merged([segment(&header(1, 0, Flags::ACK), b"four"), damaged.clone().into()]);
        let damaged = frames.iter().find(|frame| frame.bytes == damaged).expect("it passes untouched");
        assert_eq!(damaged.checksum, ChecksumState::Unknown);
        assert_eq!(frames.len(), 2);
    }

    #[test]
    fn the_urgent_pointer_counts_from_its_own_segment() {
        let tcp = Header { urgent: 6, ..header(1, 0, Flags::ACK | Flags::URG) };
        let frame = burst(Link::Ip, false, &tcp, &[Bytes::from_static(b"twelve bytes")], 4);
        let pointers: Vec<(bool, u16)> = split(&frame, Link::Ip, portable)
            .map(|bytes| parse(Link::Ip, &bytes).tcp)
            .map(|tcp| (tcp.flags.has(Flags::URG), tcp.urgent))
            .collect();
        assert_eq!(pointers, [(true, 6), (true, 2), (false, 0)]);
    }
}
