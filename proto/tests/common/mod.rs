//! Two hosts back to back, in virtual time: every frame arrives after the same delay, unless a test says otherwise,
//! and etherparse judges every one of them.
#![allow(dead_code, missing_docs, unreachable_pub)]

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use etherparse::{NetSlice, SlicedPacket, TransportSlice};
use tidegate_proto::net::{
    Cause, ChecksumState, Cidr, Event, Frame, IfaceConfig, IfaceId, SocketId, Stack, StackConfig, TxFrame, offload,
};
use tidegate_proto::tcp::{Read, State, Verdict};
use tidegate_proto::time::{Duration, Instant};
use tidegate_proto::wire::checksum::portable;
use tidegate_proto::wire::eth::MacAddr;
use tidegate_proto::wire::frame::{Link, Tcp};

pub const IFACE: IfaceId = IfaceId(0);
/// One way.
pub const DELAY: Duration = Duration::from_micros(70);

/// Which host.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    A,
    B,
}

pub use Side::{A, B};

impl Side {
    pub fn other(self) -> Side {
        match self {
            A => B,
            B => A,
        }
    }
}

/// One frame on the wire, whole.
#[derive(Clone, Debug)]
pub struct Sent {
    pub at: Instant,
    pub from: Side,
    pub cause: Cause,
    pub bytes: Bytes,
}

pub struct Pair {
    pub now: Instant,
    pub a: Stack,
    pub b: Stack,
    pub link: Link,
    pub mtu: u16,
    /// What is on its way.
    wire: VecDeque<Sent>,
    /// All that was sent.
    pub log: Vec<Sent>,
    /// What became of what arrived.
    pub verdicts: Vec<(Side, Verdict)>,
    pub events: Vec<(Side, SocketId, Event)>,
    /// Decides which frames are lost.
    pub lose: Box<dyn FnMut(&Sent) -> bool>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Ethernet,
    RawIp,
}

pub fn iface(kind: Kind, n: u8, max_burst: u32) -> IfaceConfig {
    let mac = (kind == Kind::Ethernet).then_some(MacAddr([2, 0, 0, 0, 0, n]));
    let addrs = vec![
        Cidr { addr: IpAddr::from([192, 168, 131, n]), prefix: 24 },
        Cidr { addr: IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, u16::from(n)]), prefix: 64 },
    ];
    IfaceConfig { mac, mtu: 1500, addrs, max_burst, checksum_offload: false }
}

impl Pair {
    pub fn new(kind: Kind) -> Self {
        Pair::with(kind, &StackConfig::default(), 0)
    }

    pub fn with(kind: Kind, config: &StackConfig, max_burst: u32) -> Self {
        Pair::on(config, [132, 138].map(|n| iface(kind, n, max_burst)))
    }

    /// Over devices that finish checksums.
    pub fn with_offload(kind: Kind, max_burst: u32) -> Self {
        let offload = |n| IfaceConfig { checksum_offload: true, ..iface(kind, n, max_burst) };
        Pair::on(&StackConfig::default(), [132, 138].map(offload))
    }

    fn on(config: &StackConfig, [of_a, of_b]: [IfaceConfig; 2]) -> Self {
        let now = Instant::ZERO + Duration::from_secs(1);
        let mut stacks = [1, 2].map(|seed| Stack::new(config.clone(), [seed; 32], now)).into_iter();
        let (mut a, mut b) = (stacks.next().unwrap(), stacks.next().unwrap());
        let link = if of_a.mac.is_some() { Link::Ethernet } else { Link::Ip };
        a.add_interface(of_a);
        b.add_interface(of_b);
        Pair {
            now,
            a,
            b,
            link,
            mtu: 1500,
            wire: VecDeque::new(),
            log: Vec::new(),
            verdicts: Vec::new(),
            events: Vec::new(),
            lose: Box::new(|_| false),
        }
    }

    pub fn stack(&mut self, side: Side) -> &mut Stack {
        match side {
            A => &mut self.a,
            B => &mut self.b,
        }
    }

    pub fn addr(&self, side: Side, port: u16) -> SocketAddr {
        ([192, 168, 131, if side == A { 132 } else { 138 }], port).into()
    }

    pub fn addr6(&self, side: Side, port: u16) -> SocketAddr {
        ([0xfd00, 0, 0, 0, 0, 0, 0, if side == A { 132 } else { 138 }], port).into()
    }

    /// Keeps the contract once, for both hosts.
    pub fn drain(&mut self) {
        for side in [A, B] {
            while let Some(frame) = {
                let now = self.now;
                self.stack(side).poll_transmit(now)
            } {
                self.send(side, &frame);
            }
            while let Some((socket, event)) = self.stack(side).poll_event() {
                self.events.push((side, socket, event));
            }
        }
    }

    fn send(&mut self, from: Side, frame: &TxFrame) {
        for bytes in offload::split(frame, self.link, portable) {
            self.judge(&bytes);
            let sent = Sent { at: self.now, from, cause: frame.cause, bytes };
            if !(self.lose)(&sent) {
                self.wire.push_back(sent.clone());
            }
            self.log.push(sent);
        }
    }

    /// I-32: an independent parser reads every frame, finds its checksums right and its length within the MTU.
    fn judge(&self, bytes: &[u8]) {
        let packet = match self.link {
            Link::Ethernet => SlicedPacket::from_ethernet(bytes),
            Link::Ip => SlicedPacket::from_ip(bytes),
        }
        .unwrap_or_else(|error| panic!("{error}: {bytes:02x?}"));
        let start = if self.link == Link::Ethernet { 14 } else { 0 };
        let len = bytes.len() - start;
        assert!(len <= usize::from(self.mtu), "{len} bytes: {:?}", Tcp::parse(self.link, bytes, None));
        match (&packet.net, &packet.transport) {
            (Some(NetSlice::Ipv4(ip)), transport) => {
                let header = ip.header().to_header();
                assert_eq!(header.header_checksum, header.calc_header_checksum());
                if let Some(TransportSlice::Tcp(tcp)) = transport {
                    assert_eq!(tcp.checksum(), tcp.calc_checksum_ipv4(header.source, header.destination).unwrap());
                    // Atomic datagrams; the pieces of a burst count on from 0.
                    assert!(header.dont_fragment && header.identification < 64);
                }
            }
            (Some(NetSlice::Ipv6(ip)), transport) => {
                let header = ip.header().to_header();
                if let Some(TransportSlice::Tcp(tcp)) = transport {
                    assert_eq!(tcp.checksum(), tcp.calc_checksum_ipv6(header.source, header.destination).unwrap());
                    assert!(header.flow_label.value() != 0);
                }
            }
            (Some(NetSlice::Arp(_)), None) => {}
            other => panic!("what is this? {other:?}"),
        }
    }

    /// The next thing that will happen, if anything will.
    pub fn next(&self) -> Option<Instant> {
        let arrival = self.wire.front().map(|sent| sent.at + DELAY);
        [arrival, self.a.next_timeout(), self.b.next_timeout()].into_iter().flatten().min()
    }

    /// One step: the earliest arrival or timer.
    pub fn step(&mut self) -> bool {
        self.drain();
        let Some(next) = self.next() else { return false };
        assert!(next >= self.now, "time goes back");
        self.now = next;
        while self.wire.front().is_some_and(|sent| sent.at + DELAY <= next) {
            let sent = self.wire.pop_front().unwrap();
            self.deliver(sent.from.other(), sent.bytes);
        }
        for side in [A, B] {
            if self.stack(side).next_timeout().is_some_and(|at| at <= next) {
                self.stack(side).on_timeout(next);
            }
        }
        self.drain();
        for side in [A, B] {
            let timeout = self.stack(side).next_timeout();
            assert!(timeout.is_none_or(|at| at > next), "I-16: a deadline that does not pass");
        }
        true
    }

    pub fn deliver(&mut self, to: Side, bytes: Bytes) -> Verdict {
        let frame = Frame { bytes, checksum: ChecksumState::Unknown, segments: 1 };
        let now = self.now;
        let verdict = self.stack(to).receive(IFACE, frame, now);
        self.verdicts.push((to, verdict));
        verdict
    }

    pub fn run_for(&mut self, span: Duration) {
        let until = self.now + span;
        self.drain();
        while self.next().is_some_and(|at| at <= until) {
            self.step();
        }
        self.now = until;
    }

    /// Until nothing will ever happen again.
    pub fn run_to_the_end(&mut self) {
        for _ in 0..1_000_000 {
            if !self.step() {
                return;
            }
        }
        panic!("it never ends");
    }

    /// A connection from A to a listener at B, both ends in the applications' hands.
    pub fn establish(&mut self, to: SocketAddr) -> (SocketId, SocketId) {
        let listener = match self.b.listen(to, 8) {
            Ok(listener) => listener,
            Err(_) => panic!("{to} is taken"),
        };
        let a = self.a.connect(None, to, self.now).unwrap();
        self.run_for(Duration::from_millis(1));
        let now = self.now;
        let b = self.b.accept(listener, now).expect("established");
        self.b.close(listener, now).unwrap();
        assert_eq!((self.a.state(a), self.b.state(b)), (State::Established, State::Established));
        (a, b)
    }

    pub fn read_all(&mut self, side: Side, socket: SocketId) -> Vec<u8> {
        let (mut all, mut buffer) = (Vec::new(), [0; 4096]);
        let now = self.now;
        while let Ok(Read::Data(n)) = self.stack(side).read(socket, &mut buffer, now) {
            all.extend_from_slice(&buffer[..n]);
        }
        all
    }

    /// The TCP segments sent so far: who, flags, payload length.
    pub fn segments(&self) -> Vec<(Side, String, usize)> {
        self.log
            .iter()
            .filter_map(|sent| {
                let tcp = Tcp::parse(self.link, &sent.bytes, Some(portable)).ok()?;
                Some((sent.from, tcp.tcp.flags.to_string(), tcp.payload.len()))
            })
            .collect()
    }

    pub fn causes(&self, side: Side) -> Vec<Cause> {
        self.log.iter().filter(|sent| sent.from == side).map(|sent| sent.cause).collect()
    }
}
