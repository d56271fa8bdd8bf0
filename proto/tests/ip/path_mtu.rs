//! How large packets to a peer may be: told by routers, or found out.
//!
//! Sections: RFC 1191; RFC 8201; RFC 5927 4.1, 7; RFC 4821; RFC 8899; attack A-12.
//! In: two hosts and a router between them that passes packets up to a size, and tells or not.
//! Out: a transfer that arrives whole, in segments of the right size.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

use tidegate_proto::net::{Cause, SocketId, StackConfig, TxFrame, offload};
use tidegate_proto::tcp::{self, DropReason, Read, RetransmitCause, Verdict};
use tidegate_proto::time::{Duration, Instant};
use tidegate_proto::wire::checksum::portable;
use tidegate_proto::wire::frame::{self, Link, Tcp};
use tidegate_proto::wire::icmp::{V4, V6};
use tidegate_proto::wire::ip::{self, protocol};

use crate::host::{Host, addr, ip_header};

const DELAY: Duration = Duration::from_millis(5);

/// A writes, B reads; between them a router.
struct Path {
    a: Host,
    b: Host,
    at_a: SocketId,
    at_b: Option<SocketId>,
    listener: SocketId,
    now: Instant,
    wire: VecDeque<(Instant, bool, Vec<u8>)>,
    /// The largest packet that passes.
    mtu: usize,
    /// What the router says of it.
    says: Option<u32>,
    v6: bool,
    received: usize,
    /// A's TCP packets: when, why, how long.
    log: Vec<(Instant, Cause, usize)>,
    verdicts: Vec<Verdict>,
}

impl Path {
    fn new(v6: bool, config: &StackConfig, mtu: usize, says: Option<u32>) -> Self {
        let (mut a, mut b) = (Host::at(config, 1), Host::at(&StackConfig::default(), 2));
        let to = SocketAddr::new(addr(v6, 2), 80);
        let listener = b.stack.listen(to, 8).unwrap();
        let now = a.now;
        let at_a = a.stack.connect(None, to, now).unwrap();
        Path {
            a,
            b,
            at_a,
            at_b: None,
            listener,
            now,
            wire: VecDeque::new(),
            mtu,
            says,
            v6,
            received: 0,
            log: Vec::new(),
            verdicts: Vec::new(),
        }
    }

    /// Another connection of the same two hosts takes this one's place.
    fn again(&mut self) {
        let to = SocketAddr::new(addr(self.v6, 2), 80);
        self.at_a = self.a.stack.connect(None, to, self.now).unwrap();
        self.at_b = None;
        self.received = 0;
        self.log.clear();
    }

    fn drain(&mut self) {
        for from_a in [true, false] {
            loop {
                let host = if from_a { &mut self.a } else { &mut self.b };
                let Some(sent) = host.stack.poll_transmit(self.now) else { break };
                for packet in offload::split(&sent, Link::Ip, portable) {
                    self.pass(from_a, &sent, &packet);
                }
            }
        }
        while self.a.stack.poll_event().is_some() || self.b.stack.poll_event().is_some() {}
    }

    fn pass(&mut self, from_a: bool, sent: &TxFrame, packet: &[u8]) {
        if from_a && matches!(sent.cause, Cause::Tcp(_)) {
            self.log.push((self.now, sent.cause, packet.len()));
        }
        let fragile = matches!(ip::Header::parse(packet), Ok((ip::Header::V4(header), _)) if !header.dont_fragment);
        if packet.len() <= self.mtu {
            self.wire.push_back((self.now + DELAY, !from_a, packet.to_vec()));
        } else if fragile {
            let id = self.log.len() as u16;
            let pieces = crate::host::cut(packet, id, (self.mtu - 20) & !7);
            self.wire.extend(pieces.into_iter().map(|piece| (self.now + DELAY, !from_a, piece)));
        } else if let Some(mtu) = self.says {
            let answer = too_big(packet, mtu);
            self.wire.push_back((self.now + DELAY, from_a, answer));
        }
    }

    /// A writes until `total` bytes have arrived, or the time is over. True if they have.
    fn transfer(&mut self, total: usize, limit: Duration) -> bool {
        let until = self.now + limit;
        let mut written = 0;
        while self.received < total && self.now < until {
            if written < total {
                let data = vec![7; (total - written).min(65_536)];
                written += self.a.stack.write(self.at_a, &data, self.now).unwrap_or(0);
            }
            if !self.step() {
                return false;
            }
        }
        self.received >= total
    }

    /// The next arrival or timer.
    fn step(&mut self) -> bool {
        self.drain();
        let arrival = self.wire.iter().map(|(at, ..)| *at).min();
        let timers = [self.a.stack.next_timeout(), self.b.stack.next_timeout(), arrival];
        let Some(next) = timers.into_iter().flatten().min() else { return false };
        self.now = self.now.max(next);
        (self.a.now, self.b.now) = (self.now, self.now);
        while self.wire.front().is_some_and(|(at, ..)| *at <= self.now) {
            let (_, to_a, packet) = self.wire.pop_front().unwrap();
            let verdict = if to_a { self.a.receive(&packet) } else { self.b.receive(&packet) };
            if to_a && matches!(ip::Header::parse(&packet), Ok((header, _)) if header.protocol() != protocol::TCP) {
                self.verdicts.push(verdict);
            }
        }
        self.a.stack.on_timeout(self.now);
        self.b.stack.on_timeout(self.now);
        self.read();
        true
    }

    /// Everything that is on its way arrives, and is acknowledged.
    fn rest(&mut self) {
        let until = self.now + Duration::from_millis(500);
        while self.now < until && self.step() {}
    }

    fn read(&mut self) {
        self.at_b = self.at_b.or_else(|| self.b.stack.accept(self.listener, self.now));
        let Some(at_b) = self.at_b else { return };
        let mut buffer = [0; 65_536];
        while let Ok(Read::Data(n)) = self.b.stack.read(at_b, &mut buffer, self.now) {
            assert!(buffer[..n].iter().all(|&byte| byte == 7));
            self.received += n;
        }
    }

    fn mss(&self) -> u16 {
        self.a.stack.info(self.at_a, self.now).unwrap().snd_mss
    }

    fn largest(&self) -> usize {
        self.log.iter().map(|(_, _, len)| *len).max().unwrap_or(0)
    }

    /// How often A sent something for this reason.
    fn count(&self, cause: tcp::Cause) -> usize {
        self.log.iter().filter(|(_, why, _)| *why == Cause::Tcp(cause)).count()
    }
}

/// What a router says that cannot pass `packet` on.
fn too_big(packet: &[u8], mtu: u32) -> Vec<u8> {
    let (header, _) = ip::Header::parse_quoted(packet).unwrap();
    let quote = &packet[..packet.len().min(128)];
    let router: IpAddr = addr(header.src().is_ipv6(), 254);
    match header {
        ip::Header::V4(about) => {
            let message = V4::Unreachable { code: 4, next_hop_mtu: mtu as u16 }.to_bytes(quote);
            let header = ip_header(router, IpAddr::V4(about.src), protocol::ICMP);
            [&frame::emit(None, &header, &message, quote.len())[..], quote].concat()
        }
        ip::Header::V6(about) => {
            let ip::Header::V6(header) = ip_header(router, IpAddr::V6(about.src), protocol::ICMPV6) else {
                unreachable!()
            };
            let message = V6::PacketTooBig { mtu }.to_bytes(header.src, header.dst, quote);
            [&frame::emit(None, &ip::Header::V6(header), &message, quote.len())[..], quote].concat()
        }
    }
}

const PATH_MTU: tcp::Cause = tcp::Cause::Retransmit(RetransmitCause::PathMtu);

/// A router on the way carries less than both links: the first flight goes again in smaller segments at once, nothing
/// waits for a timer, and the next connection starts with what this one learnt.
//= 9293/MUST-54
#[test]
fn a_router_tells_and_segments_shrink_at_once() {
    for (v6, mtu) in [(false, 1400), (false, 600), (true, 1400), (true, 1280)] {
        let mut path = Path::new(v6, &StackConfig::default(), mtu, Some(mtu as u32));
        assert!(path.transfer(1_000_000, Duration::from_secs(60)), "{mtu}");
        let headers = if v6 { 72 } else { 52 };
        assert_eq!(usize::from(path.mss()), mtu - headers);
        assert!(path.count(PATH_MTU) > 0);
        let timeouts = path
            .log
            .iter()
            .filter(|(_, why, _)| matches!(why, Cause::Tcp(tcp::Cause::Retransmit(RetransmitCause::Timeout(_)))));
        assert_eq!(timeouts.count(), 0);
        assert!(path.log.iter().filter(|(_, _, len)| *len > mtu).count() <= 10, "one flight was too large");
        let info = path.a.stack.info(path.at_a, path.now).unwrap();
        assert!(info.snd_cwnd >= 10, "it was no congestion: {}", info.snd_cwnd);
        path.again();
        assert!(path.transfer(100_000, Duration::from_secs(60)));
        assert_eq!(path.largest(), mtu, "known from the start");
        // After ten minutes the path may be another one.
        path.now += Duration::from_secs(601);
        path.again();
        path.mtu = 1500;
        assert!(path.transfer(100_000, Duration::from_secs(60)));
        assert_eq!(path.largest(), 1500);
    }
}

/// A router from before RFC 1191 names no size: the next plateau is tried.
#[test]
fn a_router_that_names_no_size() {
    let mut path = Path::new(false, &StackConfig::default(), 1100, Some(0));
    assert!(path.transfer(200_000, Duration::from_secs(60)));
    assert_eq!(path.mss(), 1006 - 52);
}

/// The path becomes narrower under a connection: what has worked before is given up at the first timeout (RFC 5927 7.2).
#[test]
fn a_path_that_becomes_narrower() {
    for v6 in [false, true] {
        let mut path = Path::new(v6, &StackConfig::default(), 1500, Some(1300));
        assert!(path.transfer(200_000, Duration::from_secs(60)));
        (path.mtu, path.received) = (1300, 0);
        let from = path.now;
        assert!(path.transfer(200_000, Duration::from_secs(60)));
        assert_eq!(usize::from(path.mss()), 1300 - if v6 { 72 } else { 52 });
        assert!(path.now.since(from) < Duration::from_secs(2), "{:?}", path.now.since(from));
    }
}

/// claims that cannot be, or that nobody can have made who saw the packet, change nothing; and a liar who sees
/// everything cannot make segments smaller than the floor.
//= 5927#7.2
#[test]
fn a_router_that_lies() {
    for v6 in [false, true] {
        let mut path = Path::new(v6, &StackConfig::default(), 1500, None);
        assert!(path.transfer(100_000, Duration::from_secs(60)));
        path.rest();
        let mss = path.mss();
        path.a.stack.write(path.at_a, &[7; 3000], path.now).unwrap();
        let sent = path.a.sent();
        let packet = &sent[0];
        let mut before = packet.to_vec();
        let at = Tcp::parse(Link::Ip, packet, None).unwrap().tcp_at;
        before[at + 4..at + 8].copy_from_slice(&0x7fff_0000_u32.to_be_bytes());
        for (about, mtu, verdict) in [
            (&before[..], 1300, Verdict::Dropped(DropReason::OutsideWindow)),
            (packet, 1500, Verdict::Dropped(DropReason::Implausible)),
            (packet, 65_535, Verdict::Dropped(DropReason::Implausible)),
            (packet, 0, if v6 { Verdict::Dropped(DropReason::Implausible) } else { Verdict::Accepted }),
            (packet, 1279, if v6 { Verdict::Dropped(DropReason::Implausible) } else { Verdict::Accepted }),
            // It may be so, but larger ones have arrived: it has to wait, for a timeout that does not come.
            (packet, 1300, Verdict::Accepted),
        ] {
            assert_eq!(path.a.receive(&too_big(about, mtu)), verdict, "{mtu}");
        }
        assert_eq!(path.mss(), mss);
    }
    // Who sees the packets can claim what is less than they are. While they arrive, that is not believed.
    let mut path = Path::new(false, &StackConfig::default(), 1500, None);
    assert!(path.transfer(100_000, Duration::from_secs(60)));
    for _ in 0..50 {
        path.a.stack.write(path.at_a, &[7; 30_000], path.now).unwrap();
        let sent = path.a.sent();
        for packet in &sent {
            path.a.receive(&too_big(packet, 68));
            path.wire.push_back((path.now + DELAY, false, packet.to_vec()));
        }
        path.received = 0;
        assert!(path.transfer(10_000, Duration::from_secs(5)));
    }
    assert_eq!(path.mss(), 1448);
}

/// A link narrower than any should be is left to the routers to cut; so is every link with discovery off.
#[test]
fn routers_may_cut_what_is_smaller_than_the_floor() {
    let mut path = Path::new(false, &StackConfig::default(), 300, Some(300));
    assert!(path.transfer(50_000, Duration::from_secs(60)));
    assert_eq!(path.mss(), 552 - 52);
    let mut config = StackConfig::default();
    config.set_sysctl("ip_no_pmtu_disc", "1").unwrap();
    let mut path = Path::new(false, &config, 700, Some(700));
    assert!(path.transfer(50_000, Duration::from_secs(60)));
    assert_eq!((path.mss(), path.verdicts.len()), (1448, 0));
    assert!(path.b.stack.counters().reasm_oks > 30);
}

/// A router that drops and says nothing: without probing the transfer never ends, with it the segments shrink after
/// R1 timeouts, and then grow to what passes.
//= 8899#4.4
//= 8899#5.3
#[test]
fn a_black_hole() {
    for (v6, mtu) in [(false, 1400), (true, 1400), (false, 1200), (false, 700)] {
        let mut off = Path::new(v6, &StackConfig::default(), mtu, None);
        assert!(!off.transfer(100_000, Duration::from_secs(30)), "probing is off by default, as in Linux");
        let mut config = StackConfig::default();
        config.set_sysctl("tcp_mtu_probing", "1").unwrap();
        let mut path = Path::new(v6, &config, mtu, None);
        assert!(path.transfer(3_000_000, Duration::from_secs(120)), "{mtu} {}", path.mss());
        let headers = if v6 { 72 } else { 52 };
        let best = mtu - headers;
        assert!((best - 20..=best).contains(&usize::from(path.mss())), "{mtu}: {}", path.mss());
        assert!(path.count(tcp::Cause::PathProbe) >= 3);
    }
}

/// From the start, with a small size, on a path that carries the largest.
//= 8899#5.3
#[test]
fn always_probing_reaches_the_link() {
    let mut config = StackConfig::default();
    config.set_sysctl("tcp_mtu_probing", "2").unwrap();
    let mut path = Path::new(false, &config, 1500, None);
    assert!(path.transfer(2_000_000, Duration::from_secs(60)));
    assert!(path.mss() >= 1448 - 8, "{}", path.mss());
    assert_eq!(path.log.iter().find(|(_, _, len)| *len > 100).map(|(_, _, len)| *len), Some(1024 + 52));
}
