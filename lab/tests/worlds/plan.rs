//! What a seed decides about a world.
//!
//! Sections: none; the knobs are those of the links, the stacks and the programs.
//! In: a seed.
//! Out: a [`Plan`], and the [`World`] that it describes.

use std::net::{IpAddr, SocketAddr};

use tidegate_lab::app::pump::{CloseWhen, Open, PumpConfig};
use tidegate_lab::app::{App, Content, Pump};
use tidegate_lab::invariants::{Setup, Watcher};
use tidegate_lab::link::{LinkConfig, Queue};
use tidegate_lab::rng::{Ppm, Rng};
use tidegate_lab::world::{Happening, Patience, Port, World};
use tidegate_proto::net::{Cidr, HostConfig, IfaceConfig, InitialSequence, StackConfig};
use tidegate_proto::tcp;
use tidegate_proto::time::{Duration, Instant};
use tidegate_proto::wire::Seq;
use tidegate_proto::wire::eth::MacAddr;
use tidegate_proto::wire::frame::Link;

/// Everything about a world that its seed decides.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) ipv6: bool,
    pub(crate) framing: Link,
    pub(crate) mtu: u16,
    /// A to B, B to A.
    pub(crate) links: [LinkConfig; 2],
    pub(crate) hosts: [HostPlan; 2],
    pub(crate) simultaneous_open: bool,
    /// From when to when nothing passes, in one direction or both.
    pub(crate) blackout: Option<(Instant, Instant, [bool; 2])>,
}

#[derive(Clone, Debug)]
pub(crate) struct HostPlan {
    pub(crate) tcp: tcp::Config,
    pub(crate) isn: u32,
    pub(crate) max_burst: u32,
    pub(crate) checksum_offload: bool,
    pub(crate) merge: Option<Duration>,
    pub(crate) opens: Duration,
    pub(crate) pump: PumpPlan,
}

#[derive(Clone, Debug)]
pub(crate) struct PumpPlan {
    pub(crate) send: u64,
    pub(crate) write_size: usize,
    pub(crate) write_gap: Duration,
    pub(crate) read_size: usize,
    pub(crate) read_gap: Duration,
    pub(crate) read_after: Duration,
    pub(crate) close: CloseWhen,
    pub(crate) abort_after: Option<u64>,
}

impl Plan {
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed, "plan");
        let dice = &mut rng;
        let ipv6 = one_in(dice, 4);
        let mtu = match ipv6 {
            true => choose(dice, &[1280, 1280, 1400, 1500, 9000]),
            false => choose(dice, &[68, 72, 100, 128, 296, 508, 576, 576, 1006, 1500, 1500, 9000]),
        };
        let simultaneous_open = one_in(dice, 8);
        let links = [link(dice, mtu), link(dice, mtu)];
        let mut hosts = [host(dice, mtu), host(dice, mtu)];
        if hosts.iter().all(|host| host.pump.close == CloseWhen::PeerClosed) {
            hosts[usize::from(one_in(dice, 2))].pump.close = CloseWhen::AllSent;
        }
        if simultaneous_open {
            // The second SYN leaves before the first can have arrived.
            let delay = links[0].delay.min(links[1].delay).as_nanos();
            hosts[1].opens = hosts[0].opens + Duration::from_nanos(dice.below(delay.max(1)));
        }
        let framing = if one_in(dice, 4) { Link::Ip } else { Link::Ethernet };
        let blackout = one_in(dice, 6).then(|| {
            let start = hosts[0].opens + links[0].delay * dice.below(12);
            let end = start + Duration::from_millis(choose(dice, &[20, 500, 5_000, 100_000]));
            let ways = choose(dice, &[[true, true], [true, false], [false, true]]);
            (Instant::ZERO + start, Instant::ZERO + end, ways)
        });
        Plan { seed, ipv6, framing, mtu, links, hosts, simultaneous_open, blackout }
    }

    pub(crate) fn socket(&self, side: usize) -> SocketAddr {
        let ip = match self.ipv6 {
            true => IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, [1, 2][side]]),
            false => IpAddr::from([192, 0, 2, [1, 2][side]]),
        };
        SocketAddr::new(ip, [40_000, 80][side])
    }

    pub(crate) fn build(&self) -> (World, [Port; 2]) {
        let mut world = World::new(self.seed);
        let ports = [0, 1].map(|side| {
            let plan = &self.hosts[side];
            let host = HostConfig {
                initial_sequence: InitialSequence::Fixed(Seq(plan.isn)),
                // So that no segment has to wait for its neighbour's address in mid-connection.
                neighbour_lifetime: Duration::MAX,
                ..HostConfig::default()
            };
            let host = world.add_host(StackConfig { tcp: plan.tcp.clone(), host });
            let interface = IfaceConfig {
                mac: (self.framing == Link::Ethernet).then_some(MacAddr([2, 0, 0, 0, 0, [1, 2][side]])),
                mtu: self.mtu,
                addrs: vec![Cidr { addr: self.socket(side).ip(), prefix: if self.ipv6 { 64 } else { 24 } }],
                max_burst: plan.max_burst,
                checksum_offload: plan.checksum_offload,
            };
            world.add_interface(host, interface, plan.merge)
        });
        let there = world.add_link(ports[0], ports[1], self.links[0].clone());
        let back = world.add_link(ports[1], ports[0], self.links[1].clone());
        if let Some((start, end, ways)) = self.blackout {
            for (link, config) in
                [there, back].into_iter().zip(&self.links).zip(ways).filter_map(|(l, way)| way.then_some(l))
            {
                let dark = LinkConfig { loss: Ppm::ALWAYS, ..config.clone() };
                world.schedule(start, Happening::Relink(link, dark));
                world.schedule(end, Happening::Relink(link, config.clone()));
            }
        }
        for (side, port) in ports.iter().enumerate() {
            world.add_app(port.host, App::Pump(Pump::new(self.pump(side))));
        }
        world.set_patience(Patience { until: Instant::ZERO + self.patience(), events: MOST_EVENTS });
        (world, ports)
    }

    /// I-36: how long it may take. A lossy link may cost every segment the longest timeout; then there are the rests of
    /// the programs, the longest way to give up, and 2 MSL.
    fn patience(&self) -> Duration {
        let longest = tcp::Config::default().rto_max;
        let bad = |link: &LinkConfig| link.loss != Ppm::NEVER || link.corrupt != Ppm::NEVER;
        let lossy = self.blackout.is_some() || self.links.iter().any(bad);
        let sizes = self.hosts.iter().map(|host| host.pump.send);
        let limits = self.hosts.iter().filter_map(|host| host.tcp.max_segment);
        let segment = limits.min().unwrap_or(self.mtu).min(self.mtu) / 4;
        let segments: u64 = sizes.map(|size| 2 + size / u64::from(segment)).sum();
        let transfer = if lossy { longest * segments } else { Duration::from_secs(5) * segments };
        let calls = Duration::from_millis(20) * 2 * 200;
        transfer + calls + longest * 20 + Duration::from_secs(60)
    }

    fn pump(&self, side: usize) -> PumpConfig {
        let (host, pump, peer) = (&self.hosts[side], &self.hosts[side].pump, &self.hosts[1 - side].pump);
        let (local, remote) = (self.socket(side), self.socket(1 - side));
        PumpConfig {
            open: match side == 0 || self.simultaneous_open {
                true => Open::Connect { local, remote, at: Instant::ZERO + host.opens },
                false => Open::Listen(local),
            },
            tcp: None,
            send: pump.send,
            sends: Content::new(self.seed * 2 + side as u64),
            write_size: pump.write_size,
            write_gap: pump.write_gap,
            receives: Content::new(self.seed * 2 + 1 - side as u64),
            expect: peer.send,
            read_size: pump.read_size,
            read_gap: pump.read_gap,
            read_after: pump.read_after,
            close: pump.close,
            abort_after: pump.abort_after,
        }
    }

    pub(crate) fn watcher(&self, ports: [Port; 2]) -> Watcher {
        let setup = |side: usize| Setup {
            host: ports[side].host,
            socket: self.socket(side),
            mtu: self.mtu,
            link: self.framing,
            tcp: self.hosts[side].tcp.clone(),
            delay: self.links[side].delay,
            merge: self.hosts[side].merge.unwrap_or(Duration::ZERO),
            may_abort: self.hosts[side].pump.abort_after.is_some() || self.hosts[side].tcp.user_timeout.is_some(),
        };
        Watcher::new(self.seed, [setup(0), setup(1)])
    }
}

fn one_in(dice: &mut Rng, n: u64) -> bool {
    dice.below(n) == 0
}

fn choose<T: Clone>(dice: &mut Rng, from: &[T]) -> T {
    dice.pick(from).expect("something to choose from").clone()
}

fn link(dice: &mut Rng, mtu: u16) -> LinkConfig {
    let delay = Duration::from_micros(choose(dice, &[10, 70, 500, 5_000, 30_000, 150_000]));
    let bad = !one_in(dice, 4);
    // A vice that half of the bad links have, up to `most` percent.
    let mut vice = |most: u64| match bad && one_in(dice, 2) {
        true => Ppm(u32::try_from(dice.below(most * 10_000)).expect("below a million")),
        false => Ppm::NEVER,
    };
    let (loss, duplicate, reorder, corrupt) = (vice(30), vice(15), vice(30), vice(10));
    LinkConfig {
        delay,
        jitter: if one_in(dice, 2) { Duration::ZERO } else { Duration::from_nanos(dice.below(delay.as_nanos())) },
        loss,
        duplicate,
        reorder,
        corrupt,
        rate: choose(dice, &[None, Some(500_000), Some(10_000_000), Some(1_000_000_000)]),
        queue: choose(dice, &[Queue::Unlimited, Queue::Unlimited, Queue::Frames(4), Queue::Bytes(20_000)]),
        max_frame: usize::from(mtu) + 14,
    }
}

fn host(dice: &mut Rng, mtu: u16) -> HostPlan {
    let on = |dice: &mut Rng| !one_in(dice, 4);
    let rcv_buf = choose(dice, &[300, 1_000, 2_500, 8_192, 30_000, 131_072, 131_072]);
    let tcp = tcp::Config {
        mtu,
        rcv_buf,
        rcv_buf_max: rcv_buf.max(choose(dice, &[1, 131_072, 6_291_456])),
        snd_buf: choose(dice, &[700, 5_000, 65_536, 4_194_304]),
        window_scaling: on(dice),
        timestamps: on(dice),
        sack: on(dice),
        dsack: on(dice),
        nagle: on(dice),
        quick_acks: choose(dice, &[0, 2, 16]),
        delayed_ack: Duration::from_millis(choose(dice, &[0, 1, 40, 40, 200, 499])),
        initial_window: choose(dice, &[1, 2, 4, 10, 10]),
        max_segment: one_in(dice, 8).then(|| choose(dice, &[64, 536, 1_000])),
        slow_start_after_idle: on(dice),
        retries2: choose(dice, &[3, 8, 15, 15]),
        user_timeout: one_in(dice, 12).then(|| Duration::from_secs(choose(dice, &[1, 10, 60]))),
        keepalive: one_in(dice, 6),
        keepalive_time: Duration::from_secs(choose(dice, &[1, 30])),
        keepalive_interval: Duration::from_secs(1),
        keepalive_probes: choose(dice, &[2, 9]),
        ..tcp::Config::default()
    };
    let edge: u32 = choose(dice, &[0, 0x8000_0000]);
    let isn = match dice.below(4) {
        0 => u32::try_from(dice.below(1 << 32)).expect("below"),
        _ => edge.wrapping_sub(u32::try_from(dice.below(20_000)).expect("small")),
    };
    HostPlan {
        tcp,
        isn,
        max_burst: choose(dice, &[0, 3_000, 65_536]),
        checksum_offload: one_in(dice, 3),
        merge: choose(dice, &[None, Some(Duration::from_micros(50)), Some(Duration::from_millis(1))]),
        opens: Duration::from_micros(1 + dice.below(2_000)),
        pump: pump(dice, mtu),
    }
}

fn pump(dice: &mut Rng, mtu: u16) -> PumpPlan {
    let most = match dice.below(20) {
        0..3 => 1,
        3..12 => 3_000,
        12..17 => 20_000,
        17..19 => 100_000,
        _ => 300_000,
    };
    let send = dice.below(most).min(u64::from(mtu) * MOST_SEGMENTS);
    let least = usize::try_from(send / 200).expect("small");
    let gap = |dice: &mut Rng| match one_in(dice, 4) {
        true => Duration::from_micros(dice.below(20_000)),
        false => Duration::ZERO,
    };
    PumpPlan {
        send,
        write_size: choose(dice, &[1, 100, 1_448, 10_000, 65_536]).max(least),
        write_gap: gap(dice),
        read_size: choose(dice, &[1, 100, 4_096, 65_536]).max(least),
        read_gap: gap(dice),
        read_after: if one_in(dice, 8) { Duration::from_millis(dice.below(3_000)) } else { Duration::ZERO },
        close: choose(dice, &[CloseWhen::AllSent, CloseWhen::PeerClosed]),
        abort_after: one_in(dice, 20).then(|| dice.below(most)),
    }
}

/// A world of MTUs so small has to be content with so many of them.
const MOST_SEGMENTS: u64 = 300;
const MOST_EVENTS: u64 = 1_000_000;
