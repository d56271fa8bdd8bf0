//! What the scripts talk to: a bare [`Connection`], or a whole [`Stack`] reached through IP packets.
//!
//! Sections: none of an RFC's.
//! In: segments of the scripted peer, calls of the scripted application, the time.
//! Out: segments with their causes; every packet of a stack read by an independent parser first.

use std::net::IpAddr;

use bytes::Bytes;
use etherparse::{IpNumber, Ipv4Header, Ipv6FlowLabel, Ipv6Header, SlicedPacket, TcpHeader, TcpOptionElement};
use tidegate_proto::net::{self, Cidr, Frame, IfaceConfig, IfaceId, SocketError, SocketId, Stack, StackConfig};
use tidegate_proto::tcp::{
    Cause, Config, ConnError, Connection, Event, Read, Segment, State, TcpInfo, TimeWait, TxLimit, Verdict,
};
use tidegate_proto::time::Instant;
use tidegate_proto::wire::{Flags, FourTuple, Header, Options, SackBlock, Seq, Timestamps};

/// One segment as it leaves the subject.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) at: Instant,
    pub(crate) header: Header,
    pub(crate) payload: Vec<u8>,
    pub(crate) cause: Cause,
}

#[derive(Clone)]
pub(crate) enum Subject {
    Connection(Box<Bare>),
    Host(Box<Host>),
}

/// A connection without a host around it.
#[derive(Clone)]
pub(crate) struct Bare {
    pub(crate) connection: Connection,
    /// What the host would keep after TIME-WAIT was entered.
    pub(crate) time_wait: Option<TimeWait>,
}

/// A stack on a link that carries bare IP packets.
#[derive(Clone)]
pub(crate) struct Host {
    pub(crate) stack: Stack,
    pub(crate) iface: IfaceId,
    pub(crate) key: FourTuple,
    pub(crate) listener: Option<SocketId>,
    pub(crate) socket: Option<SocketId>,
}

impl Host {
    pub(crate) fn new(config: StackConfig, seed: u8, key: FourTuple, now: Instant) -> Self {
        let mtu = config.tcp.mtu;
        let mut stack = Stack::new(config, [seed; 32], now);
        let prefix = if key.local_ip.is_ipv4() { 24 } else { 64 };
        let addrs = vec![Cidr { addr: key.local_ip, prefix }];
        let iface = stack.add_interface(IfaceConfig { mac: None, mtu, addrs, max_burst: 0, checksum_offload: false });
        Host { stack, iface, key, listener: None, socket: None }
    }

    pub(crate) fn receive(&mut self, packet: Vec<u8>, now: Instant) -> Verdict {
        self.receive_merged(packet, 1, now)
    }

    fn receive_merged(&mut self, packet: Vec<u8>, segments: u16, now: Instant) -> Verdict {
        let frame = Frame { bytes: Bytes::from(packet), checksum: net::ChecksumState::Unknown, segments };
        self.stack.receive(self.iface, frame, now)
    }

    fn socket(&self) -> SocketId {
        self.socket.expect("a socket was opened or accepted")
    }
}

impl Subject {
    pub(crate) fn receive(&mut self, header: Header, options: &[u8], payload: Vec<u8>, now: Instant) -> Verdict {
        // Longer payloads than the suite's segments are several that were merged on the way in.
        let segments = payload.len().div_ceil(1000).max(1) as u16;
        match self {
            Subject::Connection(bare) => {
                assert!(options.is_empty(), "raw option bytes need a host");
                bare.connection.on_segment(
                    Segment { header, payload: Bytes::from(payload), segments, ttl: 64, ..Segment::default() },
                    now,
                )
            }
            Subject::Host(host) => {
                let packet = to_packet(&header, options, &payload, host.key.remote_ip, host.key.local_ip);
                host.receive_merged(packet, segments, now)
            }
        }
    }

    /// Everything that wants to go out now, burst cut into segments.
    pub(crate) fn drain(&mut self, now: Instant) -> Vec<Sent> {
        let mut out = Vec::new();
        match self {
            Subject::Connection(bare) => {
                while let Some(burst) = bare.connection.poll_transmit(now, TxLimit { burst: 65_536 }) {
                    let payload = burst.payload.concat();
                    cut(&burst.header, &payload, usize::from(burst.segment_size), |header, payload| {
                        out.push(Sent { at: now, header, payload, cause: burst.cause });
                    });
                    assert!(out.len() < 100_000, "the connection sends without end");
                }
                let record = bare.connection.take_time_wait(now);
                assert!(record.is_none() || bare.time_wait.is_none(), "TIME-WAIT is entered once");
                bare.time_wait = bare.time_wait.or(record);
            }
            Subject::Host(host) => {
                while let Some(frame) = host.stack.poll_transmit(now) {
                    let net::Cause::Tcp(cause) = frame.cause else { continue };
                    let mut bytes = frame.header.to_vec();
                    frame.payload.iter().for_each(|part| bytes.extend_from_slice(part));
                    assert!(
                        frame.gso_size == 0
                            || frame.payload.iter().map(Bytes::len).sum::<usize>() <= frame.gso_size.into(),
                        "a link without offload gets one segment at a time"
                    );
                    let (header, payload) = from_packet(&bytes, &host.key);
                    out.push(Sent { at: now, header, payload, cause });
                    assert!(out.len() < 100_000, "the stack sends without end");
                }
            }
        }
        out
    }

    pub(crate) fn events(&mut self) -> Vec<Event> {
        let mut out = Vec::new();
        match self {
            Subject::Connection(bare) => out.extend(std::iter::from_fn(|| bare.connection.poll_event())),
            Subject::Host(host) => {
                while let Some((socket, event)) = host.stack.poll_event() {
                    match event {
                        net::Event::Tcp(event) => {
                            assert_eq!(
                                Some(socket),
                                host.socket,
                                "an event for a socket that the program does not have"
                            );
                            out.push(event);
                        }
                        net::Event::Acceptable => assert_eq!(Some(socket), host.listener),
                    }
                }
            }
        }
        out
    }

    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        match self {
            Subject::Connection(bare) => bare.connection.next_timeout().map(|(at, _)| at),
            Subject::Host(host) => host.stack.next_timeout(),
        }
    }

    pub(crate) fn on_timeout(&mut self, now: Instant) {
        match self {
            Subject::Connection(bare) => bare.connection.on_timeout(now),
            Subject::Host(host) => host.stack.on_timeout(now),
        }
    }

    pub(crate) fn write(&mut self, data: &[u8], now: Instant) -> Result<usize, SocketError> {
        match self {
            Subject::Connection(bare) => bare.connection.write(data, now).map_err(SocketError::from),
            Subject::Host(host) => host.stack.write(host.socket(), data, now),
        }
    }

    pub(crate) fn write_urgent(&mut self, data: &[u8], now: Instant) -> Result<usize, SocketError> {
        match self {
            Subject::Connection(bare) => bare.connection.write_urgent(data, now).map_err(SocketError::from),
            Subject::Host(host) => host.stack.write_urgent(host.socket(), data, now),
        }
    }

    pub(crate) fn read(&mut self, out: &mut [u8], now: Instant) -> Result<Read, SocketError> {
        match self {
            Subject::Connection(bare) => bare.connection.read(out, now).map_err(SocketError::from),
            Subject::Host(host) => host.stack.read(host.socket(), out, now),
        }
    }

    pub(crate) fn close(&mut self, now: Instant) {
        match self {
            Subject::Connection(bare) => bare.connection.close(now),
            Subject::Host(host) => host.stack.close(host.socket(), now).expect("the program's socket"),
        }
    }

    pub(crate) fn release(&mut self, now: Instant) {
        match self {
            Subject::Connection(bare) => bare.connection.release(now),
            Subject::Host(host) => host.stack.release(host.socket.take().expect("the program's socket"), now),
        }
    }

    pub(crate) fn abort(&mut self, now: Instant) {
        match self {
            Subject::Connection(bare) => bare.connection.abort(now),
            Subject::Host(host) => host.stack.abort(host.socket(), now).expect("the program's socket"),
        }
    }

    pub(crate) fn configure(&mut self, change: impl FnOnce(&mut Config), now: Instant) {
        match self {
            Subject::Connection(bare) => bare.connection.configure(change, now),
            Subject::Host(host) => host.stack.configure(host.socket(), change, now).expect("the program's socket"),
        }
    }

    pub(crate) fn state(&self) -> State {
        match self {
            Subject::Connection(bare) if bare.time_wait.is_some() => State::TimeWait,
            Subject::Connection(bare) => bare.connection.state(),
            Subject::Host(host) => host.stack.state_of(&host.key),
        }
    }

    pub(crate) fn info(&self, now: Instant) -> Option<TcpInfo> {
        match self {
            Subject::Connection(bare) => Some(bare.connection.info(now)),
            Subject::Host(host) => host.stack.info(host.socket?, now),
        }
    }

    pub(crate) fn is_listening(&self) -> bool {
        matches!(self, Subject::Host(host) if host.listener.is_some())
    }

    /// What a further SEND says, without sending anything.
    pub(crate) fn refusal(&mut self, now: Instant) -> Option<ConnError> {
        match self.write(&[], now) {
            Ok(_) => None,
            Err(SocketError::Connection(error)) => Some(error),
            Err(error) => panic!("a connection's refusal, not {error:?}"),
        }
    }
}

/// What a device that splits does: every segment but the last loses FIN and PSH, and the numbers go on.
fn cut(header: &Header, payload: &[u8], size: usize, mut each: impl FnMut(Header, Vec<u8>)) {
    if payload.len() <= size || size == 0 {
        assert!(payload.is_empty() || size > 0, "a burst with payload has a segment size");
        return each(header.clone(), payload.to_vec());
    }
    let count = payload.len().div_ceil(size);
    for (i, part) in payload.chunks(size).enumerate() {
        let mut one = header.clone();
        one.seq = header.seq + (i * size) as u32;
        if i + 1 < count {
            one.flags = Flags(one.flags.0 & !(Flags::FIN.0 | Flags::PSH.0));
        }
        one.urgent = if header.flags.has(Flags::URG) { header.urgent.saturating_sub((i * size) as u16) } else { 0 };
        each(one, part.to_vec());
    }
}

/// The peer's packet, built by an independent library. `raw` follows the options that the header has.
pub(crate) fn to_packet(header: &Header, raw: &[u8], payload: &[u8], src: IpAddr, dst: IpAddr) -> Vec<u8> {
    let mut options = Vec::new();
    let known = &header.options;
    if let Some(mss) = known.mss {
        options.extend([2, 4]);
        options.extend(mss.to_be_bytes());
    }
    if known.sack_permitted {
        options.extend([4, 2]);
    }
    if let Some(ts) = known.timestamps {
        options.extend([8, 10]);
        options.extend(ts.val.to_be_bytes());
        options.extend(ts.ecr.to_be_bytes());
    }
    if let Some(shift) = known.window_scale {
        options.extend([3, 3, shift]);
    }
    if !known.sack.is_empty() {
        options.extend([5, 2 + 8 * known.sack.len() as u8]);
        for block in &known.sack {
            options.extend(block.start.0.to_be_bytes());
            options.extend(block.end.0.to_be_bytes());
        }
    }
    options.extend(raw);
    let mut tcp = TcpHeader::new(header.src_port, header.dst_port, header.seq.0, header.window);
    tcp.acknowledgment_number = header.ack.0;
    tcp.urgent_pointer = header.urgent;
    tcp.fin = header.flags.has(Flags::FIN);
    tcp.syn = header.flags.has(Flags::SYN);
    tcp.rst = header.flags.has(Flags::RST);
    tcp.psh = header.flags.has(Flags::PSH);
    tcp.ack = header.flags.has(Flags::ACK);
    tcp.urg = header.flags.has(Flags::URG);
    tcp.ece = header.flags.has(Flags::ECE);
    tcp.cwr = header.flags.has(Flags::CWR);
    tcp.ns = header.flags.has(Flags::AE);
    tcp.set_options_raw(&options).expect("at most 40 bytes of options");
    let len = tcp.header_len() + payload.len();
    let mut packet = Vec::new();
    match (src, dst) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            let ip = Ipv4Header::new(len as u16, 64, IpNumber::TCP, src.octets(), dst.octets()).expect("it fits");
            tcp.checksum = tcp.calc_checksum_ipv4(&ip, payload).expect("it fits");
            ip.write(&mut packet).expect("a vector takes everything");
        }
        (IpAddr::V6(src), IpAddr::V6(dst)) => {
            let ip = Ipv6Header {
                traffic_class: 0,
                flow_label: Ipv6FlowLabel::ZERO,
                payload_length: len as u16,
                next_header: IpNumber::TCP,
                hop_limit: 64,
                source: src.octets(),
                destination: dst.octets(),
            };
            tcp.checksum = tcp.calc_checksum_ipv6(&ip, payload).expect("it fits");
            ip.write(&mut packet).expect("a vector takes everything");
        }
        _ => panic!("one IP version at a time"),
    }
    tcp.write(&mut packet).expect("a vector takes everything");
    packet.extend_from_slice(payload);
    packet
}

/// Reads a packet of the stack's with an independent parser, and checks everything that must hold for any of them.
pub(crate) fn from_packet(bytes: &[u8], key: &FourTuple) -> (Header, Vec<u8>) {
    let packet = SlicedPacket::from_ip(bytes).expect("an independent parser reads every packet that is sent");
    let Some(etherparse::TransportSlice::Tcp(tcp)) = packet.transport else { panic!("a TCP segment: {bytes:?}") };
    let (src, dst) = match packet.net {
        Some(etherparse::NetSlice::Ipv4(ip)) => {
            let header = ip.header().to_header();
            assert_eq!(header.header_checksum, header.calc_header_checksum(), "IPv4 header checksum");
            assert_eq!(usize::from(header.total_len), bytes.len());
            assert!(header.dont_fragment, "TCP always sets DF");
            //= 9293/MUST-2
            let expected = tcp.calc_checksum_ipv4(ip.header().source(), ip.header().destination()).expect("it fits");
            assert_eq!(tcp.checksum(), expected, "TCP checksum");
            (IpAddr::V4(ip.header().source_addr()), IpAddr::V4(ip.header().destination_addr()))
        }
        Some(etherparse::NetSlice::Ipv6(ip)) => {
            let header = ip.header().to_header();
            assert_eq!(usize::from(header.payload_length) + 40, bytes.len());
            let expected = tcp.calc_checksum_ipv6(header.source, header.destination).expect("it fits");
            assert_eq!(tcp.checksum(), expected, "TCP checksum");
            (IpAddr::from(header.source), IpAddr::from(header.destination))
        }
        _ => panic!("an IP packet"),
    };
    //= 9293/MUST-45
    assert_eq!((src, dst), (key.local_ip, key.remote_ip), "addresses");
    let mut flags = Flags::NONE;
    for (set, flag) in [
        (tcp.fin(), Flags::FIN),
        (tcp.syn(), Flags::SYN),
        (tcp.rst(), Flags::RST),
        (tcp.psh(), Flags::PSH),
        (tcp.ack(), Flags::ACK),
        (tcp.urg(), Flags::URG),
        (tcp.ece(), Flags::ECE),
        (tcp.cwr(), Flags::CWR),
        (tcp.ns(), Flags::AE),
    ] {
        if set {
            flags |= flag;
        }
    }
    let header = Header {
        src_port: tcp.source_port(),
        dst_port: tcp.destination_port(),
        seq: Seq(tcp.sequence_number()),
        ack: Seq(tcp.acknowledgment_number()),
        flags,
        window: tcp.window_size(),
        urgent: tcp.urgent_pointer(),
        options: read_options(&tcp),
    };
    (header, tcp.payload().to_vec())
}

fn read_options(tcp: &etherparse::TcpSlice<'_>) -> Options {
    let mut options = Options::default();
    let mut rest = tcp.options_iterator();
    for option in rest.by_ref() {
        match option.expect("options that an independent parser reads") {
            TcpOptionElement::Noop => {}
            TcpOptionElement::MaximumSegmentSize(mss) => options.mss = Some(mss),
            TcpOptionElement::WindowScale(shift) => options.window_scale = Some(shift),
            TcpOptionElement::SelectiveAcknowledgementPermitted => options.sack_permitted = true,
            TcpOptionElement::Timestamp(val, ecr) => options.timestamps = Some(Timestamps { val, ecr }),
            TcpOptionElement::SelectiveAcknowledgement(first, others) => {
                options.sack = std::iter::once(first)
                    .chain(others.into_iter().flatten())
                    .map(|(start, end)| SackBlock { start: Seq(start), end: Seq(end) })
                    .collect();
            }
        }
    }
    //= 9293/MUST-69
    assert!(rest.rest().iter().all(|byte| *byte == 0), "zeroes behind EOL");
    options
}
