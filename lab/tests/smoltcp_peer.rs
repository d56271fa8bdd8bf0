//! Our stack against smoltcp's: a peer that nobody here has written.
//!
//! Sections: RFC 9293; RFC 7323, RFC 2018 and RFC 5681 as far as smoltcp has them.
//! In: both roles, both IP versions, Ethernet and raw IP, links that lose, hold back and double.
//! Out: both streams whole and in order, both sides closed, nothing left behind.

use std::cell::Cell;
use std::collections::VecDeque;
use std::net::SocketAddr;

use bytes::Bytes;
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::tcp as theirs;
use smoltcp::wire::{EthernetAddress, HardwareAddress, IpCidr};
use tidegate_lab::app::pump::{CloseWhen, Open, PumpConfig};
use tidegate_lab::app::{App, Content, Pump, Turn};
use tidegate_lab::link::{Link, LinkConfig, LinkStats, Origin, Parcel};
use tidegate_lab::rng::{Ppm, Rng};
use tidegate_proto::net::offload::split;
use tidegate_proto::net::{
    ChecksumState, Cidr, Event, Frame, IfaceConfig, IfaceId, Population, SocketId, Stack, StackConfig,
};
use tidegate_proto::time::{Duration, Instant};
use tidegate_proto::wire::checksum::portable;
use tidegate_proto::wire::eth::MacAddr;
use tidegate_proto::wire::frame;

/// One meeting.
#[derive(Clone, Copy, Debug)]
struct Meeting {
    seed: u64,
    /// Our side opens; else smoltcp's does.
    we_connect: bool,
    /// Our side closes first; else smoltcp's does.
    we_close: bool,
    ipv6: bool,
    ethernet: bool,
    mtu: u16,
    /// Bytes from us and from them.
    sizes: [u64; 2],
    timestamps: bool,
    link: Vices,
}

#[derive(Clone, Copy, Debug, Default)]
struct Vices {
    loss: u64,
    reorder: u64,
    duplicate: u64,
}

/// smoltcp's end of the link.
struct Wire {
    rx: VecDeque<Bytes>,
    tx: VecDeque<Vec<u8>>,
    medium: Medium,
    mtu: usize,
}

struct Rx(Bytes);
struct Tx<'a>(&'a mut VecDeque<Vec<u8>>);

impl RxToken for Rx {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(&self.0)
    }
}

impl TxToken for Tx<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let mut bytes = vec![0; len];
        let result = f(&mut bytes);
        self.0.push_back(bytes);
        result
    }
}

impl Device for Wire {
    type RxToken<'a> = Rx;
    type TxToken<'a> = Tx<'a>;

    fn receive(&mut self, _: smoltcp::time::Instant) -> Option<(Rx, Tx<'_>)> {
        Some((Rx(self.rx.pop_front()?), Tx(&mut self.tx)))
    }

    fn transmit(&mut self, _: smoltcp::time::Instant) -> Option<Tx<'_>> {
        Some(Tx(&mut self.tx))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = self.medium;
        capabilities.max_transmission_unit = self.mtu;
        capabilities
    }
}

/// smoltcp's host and the program on it.
struct Them {
    iface: Interface,
    wire: Wire,
    sockets: SocketSet<'static>,
    handle: SocketHandle,
    opens_at: Option<Instant>,
    sent: u64,
    received: u64,
    saw_eof: bool,
    closed: bool,
}

/// Our host and the program on it.
struct Us {
    stack: Stack,
    pump: App,
}

struct World {
    meeting: Meeting,
    now: Instant,
    us: Us,
    them: Them,
    there: Link,
    back: Link,
}

/// The article's port of a web server, and a client's.
const PORTS: [u16; 2] = [40_000, 80];
const OURS: Content = Content::new(1);
const THEIRS: Content = Content::new(2);
const OPENS_AT: Instant = Instant::from_nanos(1_000_000);

thread_local! {
    /// smoltcp asks a function without arguments for its timestamp clock.
    static MILLIS: Cell<u32> = const { Cell::new(0) };
}

impl Meeting {
    fn sockets(&self) -> [SocketAddr; 2] {
        let ports = if self.we_connect { PORTS } else { [PORTS[1], PORTS[0]] };
        [0, 1].map(|side| match self.ipv6 {
            true => SocketAddr::from(([0xfd00, 0, 0, 0, 0, 0, 0, [1, 2][side]], ports[side])),
            false => SocketAddr::from(([10, 0, 0, [1, 2][side]], ports[side])),
        })
    }

    fn prefix(&self) -> u8 {
        if self.ipv6 { 64 } else { 24 }
    }

    fn link(&self, name: &str) -> Link {
        let config = LinkConfig {
            delay: Duration::from_millis(5),
            loss: Ppm::percent(u32::try_from(self.link.loss).expect("percent")),
            reorder: Ppm::percent(u32::try_from(self.link.reorder).expect("percent")),
            duplicate: Ppm::percent(u32::try_from(self.link.duplicate).expect("percent")),
            rate: Some(10_000_000),
            ..LinkConfig::default()
        };
        Link::new(config, Rng::new(self.seed, name))
    }

    fn us(&self) -> Us {
        let [local, remote] = self.sockets();
        let mut config = StackConfig::default();
        config.tcp.timestamps = self.timestamps;
        let mut stack = Stack::new(config, [7; 32], Instant::ZERO);
        stack.add_interface(IfaceConfig {
            mac: self.ethernet.then_some(MacAddr([2, 0, 0, 0, 0, 1])),
            mtu: self.mtu,
            addrs: vec![Cidr { addr: local.ip(), prefix: self.prefix() }],
            max_burst: 65_536,
            checksum_offload: true,
        });
        let pump = Pump::new(PumpConfig {
            open: match self.we_connect {
                true => Open::Connect { local, remote, at: OPENS_AT },
                false => Open::Listen(local),
            },
            tcp: None,
            send: self.sizes[0],
            sends: OURS,
            write_size: 10_000,
            write_gap: Duration::ZERO,
            receives: THEIRS,
            expect: self.sizes[1],
            read_size: 4_096,
            read_gap: Duration::ZERO,
            read_after: Duration::ZERO,
            close: if self.we_close { CloseWhen::AllSent } else { CloseWhen::PeerClosed },
            abort_after: None,
        });
        Us { stack, pump: App::Pump(pump) }
    }

    fn them(&self) -> Them {
        let [_, local] = self.sockets();
        let (medium, hardware) = match self.ethernet {
            true => (Medium::Ethernet, HardwareAddress::Ethernet(EthernetAddress([2, 0, 0, 0, 0, 2]))),
            false => (Medium::Ip, HardwareAddress::Ip),
        };
        // smoltcp counts the Ethernet header.
        let mtu = usize::from(self.mtu) + if self.ethernet { 14 } else { 0 };
        let mut wire = Wire { rx: VecDeque::new(), tx: VecDeque::new(), medium, mtu };
        let mut config = Config::new(hardware);
        config.random_seed = self.seed;
        let mut iface = Interface::new(config, &mut wire, smoltcp::time::Instant::ZERO);
        iface.update_ip_addrs(|addrs| addrs.push(IpCidr::new(local.ip().into(), self.prefix())).expect("room for one"));
        let buffer = || theirs::SocketBuffer::new(vec![0; 30_000]);
        let mut socket = theirs::Socket::new(buffer(), buffer());
        if self.timestamps {
            socket.set_tsval_generator(Some(|| MILLIS.get()));
        }
        if self.we_connect {
            socket.listen(local.port()).expect("a fresh socket");
        }
        let mut sockets = SocketSet::new(Vec::new());
        let handle = sockets.add(socket);
        let opens_at = (!self.we_connect).then_some(OPENS_AT);
        Them { iface, wire, sockets, handle, opens_at, sent: 0, received: 0, saw_eof: false, closed: false }
    }

    /// Plays it to its end. What the two links did.
    fn play(self) -> [LinkStats; 2] {
        let (there, back) = (self.link("there"), self.link("back"));
        let mut world = World { meeting: self, now: Instant::ZERO, us: self.us(), them: self.them(), there, back };
        let end = Instant::ZERO + Duration::from_secs(3600);
        while let Some(next) = world.settle() {
            world.now = next;
            assert!(world.now < end, "{self:?} is not over after an hour: {}", world.describe());
        }
        let story = world.describe();
        assert_eq!(world.us.pump.trouble(), None, "{self:?}: {story}");
        assert!(world.us.pump.is_finished(), "{self:?}: {story}");
        assert_eq!(world.them.received, self.sizes[0], "{self:?}: {story}");
        assert!(world.them.saw_eof, "{self:?}: {story}");
        assert_eq!(world.them.socket().state(), theirs::State::Closed, "{self:?}");
        assert_eq!(world.us.stack.population(), Population::default(), "{self:?}");
        [world.there.stats(), world.back.stats()]
    }
}

impl World {
    /// Does everything that can be done now; the next time at which there is something to do.
    fn settle(&mut self) -> Option<Instant> {
        loop {
            let mut busy = self.carry();
            busy |= self.us.work(self.now, &mut self.there, self.meeting.ethernet);
            busy |= self.them.work(self.now, &mut self.back, &self.meeting);
            if !busy {
                break;
            }
        }
        let links = [self.there.next_arrival(), self.back.next_arrival()];
        let ours = [self.us.stack.next_timeout(), self.us.pump.wake_at()];
        let theirs = [self.them.next_timeout(self.now), self.them.opens_at];
        links.into_iter().chain(ours).chain(theirs).flatten().min()
    }

    fn carry(&mut self) -> bool {
        let mut busy = false;
        while let Some(parcel) = self.there.poll_arrival(self.now) {
            self.them.wire.rx.push_back(parcel.bytes);
            busy = true;
        }
        while let Some(parcel) = self.back.poll_arrival(self.now) {
            let frame = Frame { bytes: parcel.bytes, checksum: ChecksumState::Unknown, segments: 1 };
            let _ = self.us.stack.receive(IfaceId(0), frame, self.now);
            busy = true;
        }
        busy
    }

    fn describe(&mut self) -> String {
        let App::Pump(pump) = &self.us.pump else { unreachable!("ours is a pump") };
        let info = pump.socket().and_then(|socket| self.us.stack.info(socket, self.now));
        let (sent, received) = (self.them.sent, self.them.received);
        format!(
            "at {:?} ours {pump:?} {info:?}; theirs {} sent {sent} received {received}",
            self.now,
            self.them.socket().state()
        )
    }
}

impl Us {
    fn work(&mut self, now: Instant, link: &mut Link, ethernet: bool) -> bool {
        let mut busy = false;
        if self.stack.next_timeout().is_some_and(|at| at <= now) {
            self.stack.on_timeout(now);
            busy = true;
        }
        let kind = if ethernet { frame::Link::Ethernet } else { frame::Link::Ip };
        while let Some(frame) = self.stack.poll_transmit(now) {
            for bytes in split(&frame, kind, portable) {
                send(link, bytes, now);
            }
            busy = true;
        }
        let events: Vec<(SocketId, Event)> = std::iter::from_fn(|| self.stack.poll_event()).collect();
        if !events.is_empty() || self.pump.wake_at().is_some_and(|at| at <= now) {
            self.pump.turn(&mut Turn { stack: &mut self.stack, events: &events, now });
            busy = true;
        }
        busy
    }
}

impl Them {
    fn socket(&mut self) -> &mut theirs::Socket<'static> {
        self.sockets.get_mut(self.handle)
    }

    fn next_timeout(&mut self, now: Instant) -> Option<Instant> {
        let micros = self.iface.poll_at(clock(now), &self.sockets)?.total_micros();
        let at = Instant::from_nanos(u64::try_from(micros).expect("after the start") * 1_000);
        // Its clock is coarser than ours.
        Some(at.max(now + Duration::from_micros(1)))
    }

    fn work(&mut self, now: Instant, link: &mut Link, meeting: &Meeting) -> bool {
        MILLIS.set(u32::try_from(now.as_millis()).expect("a short test"));
        if self.opens_at.is_some_and(|at| at <= now) {
            self.opens_at = None;
            let [remote, local] = meeting.sockets();
            let Them { iface, sockets, handle, .. } = self;
            let socket = sockets.get_mut::<theirs::Socket>(*handle);
            socket.connect(iface.context(), remote, local).expect("a fresh socket");
        }
        let arrived = !self.wire.rx.is_empty();
        self.iface.poll(clock(now), &mut self.wire, &mut self.sockets);
        let moved = self.run(meeting);
        if moved {
            self.iface.poll(clock(now), &mut self.wire, &mut self.sockets);
        }
        let sent = !self.wire.tx.is_empty();
        for bytes in self.wire.tx.drain(..) {
            send(link, bytes.into(), now);
        }
        arrived || moved || sent
    }

    /// The program: sends, receives and compares, closes first or last. True if it did something.
    fn run(&mut self, meeting: &Meeting) -> bool {
        let before = (self.sent, self.received, self.saw_eof, self.closed);
        let mut buffer = [0; 4_096];
        while self.socket().can_recv() {
            let n = self.socket().recv_slice(&mut buffer).expect("just asked");
            assert_eq!(OURS.first_difference(self.received, &buffer[..n]), None, "{meeting:?}");
            self.received += n as u64;
        }
        let open = self.socket().is_active() && self.socket().state() != theirs::State::SynReceived;
        while open && self.socket().can_send() && self.sent < meeting.sizes[1] {
            let rest = usize::try_from(meeting.sizes[1] - self.sent).unwrap_or(usize::MAX);
            let piece = &mut buffer[..rest.min(4_096)];
            THEIRS.fill(self.sent, piece);
            self.sent +=
                self.sockets.get_mut::<theirs::Socket>(self.handle).send_slice(piece).expect("just asked") as u64;
        }
        use theirs::State::{CloseWait, Closing, LastAck, TimeWait};
        self.saw_eof |= matches!(self.socket().state(), CloseWait | Closing | LastAck | TimeWait);
        let all_sent = self.sent == meeting.sizes[1];
        if open && !self.closed && all_sent && self.socket().may_send() && (self.saw_eof || !meeting.we_close) {
            self.socket().close();
            self.closed = true;
        }
        before != (self.sent, self.received, self.saw_eof, self.closed)
    }
}

fn clock(now: Instant) -> smoltcp::time::Instant {
    smoltcp::time::Instant::from_micros(i64::try_from(now.as_nanos() / 1_000).expect("a short test"))
}

fn send(link: &mut Link, bytes: Bytes, now: Instant) {
    let _ = link.send(Parcel { bytes, origin: Origin { number: 0, cause: None, note: None } }, now);
}

/// Every combination of roles and packets over links with these vices.
fn meet(sizes: &[[u64; 2]], seeds: u64, link: Vices) {
    let (mut lost, mut held, mut duplicated) = (0, 0, 0);
    for (seed, &sizes) in (0..seeds).flat_map(|seed| sizes.iter().map(move |sizes| (seed, sizes))) {
        for choices in 0..16_u32 {
            let choice = |bit: u32| choices >> bit & 1 == 1;
            let (ipv6, ethernet) = (choice(0), choice(1));
            let meeting = Meeting {
                seed: seed * 16 + u64::from(choices),
                we_connect: choice(2),
                we_close: choice(3),
                ipv6,
                ethernet,
                mtu: if ipv6 { 1280 } else { 576 },
                sizes,
                timestamps: seed % 2 == 0,
                link,
            };
            for stats in meeting.play() {
                lost += stats.lost;
                held += stats.held;
                duplicated += stats.duplicated;
            }
        }
    }
    let happened = [lost, held, duplicated].map(|count| count > 0);
    assert_eq!(happened, [link.loss, link.reorder, link.duplicate].map(|percent| percent > 0));
}

#[test]
fn over_a_good_link() {
    meet(&[[0, 0], [1, 1], [100_000, 0], [0, 100_000], [60_000, 60_000]], 2, Vices::default());
}

#[test]
fn over_a_link_that_loses() {
    meet(&[[20_000, 0], [0, 20_000], [10_000, 10_000]], 20, Vices { loss: 5, ..Vices::default() });
}

#[test]
fn over_a_link_that_holds_back_and_doubles() {
    meet(&[[20_000, 0], [0, 20_000], [10_000, 10_000]], 20, Vices { reorder: 10, duplicate: 10, ..Vices::default() });
}

#[test]
fn over_a_link_with_every_vice() {
    meet(&[[5_000, 5_000]], 40, Vices { loss: 15, reorder: 10, duplicate: 10 });
}
