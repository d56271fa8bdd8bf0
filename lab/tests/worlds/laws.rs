//! What must hold across runs: copies, clocks, duplicates, and windows whose opening nobody hears of.
//!
//! Sections: RFC 9293 3.8.6.1 (probing), 3.10.7.4 (what is outside the window).
//! In: worlds from seeds, played in two ways.
//! Out: the same, or what the rule allows to differ.

use tidegate_lab::app::App;
use tidegate_lab::glimpse::Glimpse;
use tidegate_lab::link::{Act, LinkConfig, Queue, Rule};
use tidegate_lab::rng::{Ppm, Rng};
use tidegate_lab::world::{Happening, LinkId, Moment, Observer, Port, World};
use tidegate_proto::net::Cause;
use tidegate_proto::tcp::{self, AckCause, State};
use tidegate_proto::time::{Duration, Instant};
use tidegate_proto::wire::checksum::portable;
use tidegate_proto::wire::{Ecn, Flags, FourTuple, Header, Options, Seq, eth, frame, ip, ipv4, ipv6};

use crate::plan::Plan;
use crate::{Observers, play};

/// What both programs have in the end.
fn delivered(world: &World) -> Vec<(u64, bool)> {
    let pumps = world.hosts().flat_map(|host| world.apps(host)).filter_map(|app| match app {
        App::Pump(pump) => {
            assert_eq!(app.trouble(), None);
            Some((pump.received(), pump.saw_eof()))
        }
        _ => None,
    });
    pumps.collect()
}

/// The plan of `seed` with everything that could end a connection early taken out.
fn peaceful(seed: u64) -> Plan {
    let mut plan = Plan::new(seed);
    for link in &mut plan.links {
        *link = LinkConfig {
            queue: Queue::Unlimited,
            max_frame: link.max_frame,
            delay: link.delay,
            rate: None,
            ..LinkConfig::default()
        };
    }
    (plan.framing, plan.blackout) = (frame::Link::Ethernet, None);
    for host in &mut plan.hosts {
        host.pump.abort_after = None;
        (host.tcp.keepalive, host.tcp.user_timeout) = (false, None);
    }
    plan
}

/// A copy of a world at any step, fed the same, does the same; and what the copy does is nothing to the original.
//= I-43
#[test]
fn a_copy_does_what_the_original_does() {
    for seed in 0..100 {
        let plan = Plan::new(seed);
        let steps = play(&plan, false).events;
        let (mut world, ports) = plan.build();
        let mut observers = Observers { watcher: plan.watcher(ports), trace: 0, capture: None };
        let step = Rng::new(seed, "copy").below(steps);
        for _ in 0..step {
            world.step(&mut observers).expect("the same as before");
        }
        let finish = |mut world: World, mut observers: Observers| {
            while world.step(&mut observers).expect("the same as before") {}
            observers.trace
        };
        let copy = finish(world.clone(), observers.clone());
        assert_eq!(finish(world, observers), copy, "seed {seed}, step {step}");
    }
}

/// Doubling every packet changes nothing of what is delivered.
//= I-42
#[test]
fn what_comes_twice_is_delivered_once() {
    for seed in 0..100 {
        let plain = peaceful(seed);
        let mut doubled = plain.clone();
        for link in &mut doubled.links {
            link.duplicate = Ppm::ALWAYS;
        }
        let [once, twice] = [plain, doubled].map(|plan| {
            let (mut world, _) = plan.build();
            world.run(&mut ()).expect("a good link");
            delivered(&world)
        });
        assert_eq!(once, twice, "seed {seed}");
    }
}

/// Packets that are only good for being dropped change nothing of what is delivered.
//= I-42
#[test]
fn what_is_dropped_changes_nothing() {
    for seed in 0..100 {
        let plan = peaceful(seed);
        let mut life = Life::default();
        let (mut quiet, _) = plan.build();
        quiet.run(&mut life).expect("a good link");
        let (mut noisy, ports) = plan.build();
        add_noise(&mut noisy, &plan, ports, &life);
        noisy.run(&mut ()).expect("a good link");
        assert_eq!(delivered(&quiet), delivered(&noisy), "seed {seed}");
    }
}

/// What has arrived is what is delivered: a later copy with other bytes cannot rewrite it, whether it waits behind a gap
/// or to be read.
//= I-03
#[test]
fn a_later_copy_cannot_rewrite_what_has_arrived() {
    for seed in 0..60 {
        let mut plan = peaceful(seed);
        plan.simultaneous_open = false;
        for host in &mut plan.hosts {
            host.tcp.timestamps = false;
            host.merge = None;
            host.pump.read_after = Duration::from_secs(2);
        }
        plan.hosts[0].pump.send = 3_000;
        let (mut world, ports) = plan.build();
        // So that what follows waits behind a gap.
        world.add_rule(LinkId(0), Rule::first(Glimpse::is_data, Act::Hold(Duration::from_secs(1))));
        let mut arrivals = Arrivals { at: ports[1], data: Vec::new() };
        let mut forged = 0;
        while world.step(&mut arrivals).expect("a good link") {
            for (header, len) in arrivals.data.drain(..) {
                let key = FourTuple::new(plan.socket(0), plan.socket(1));
                let bytes = segment(&key, 0, header.seq, header.ack, header.flags, &vec![b'X'; len]);
                world.schedule(world.now(), Happening::Inject(ports[0], bytes.into()));
                forged += 1;
            }
        }
        assert!(forged > 0);
        let expected = plan.hosts.each_ref().map(|host| (host.pump.send, true));
        assert_eq!(delivered(&world), [expected[1], expected[0]], "seed {seed}");
    }
}

/// The data that a stack has sent and that arrives at a port: its header and length.
struct Arrivals {
    at: Port,
    data: Vec<(Header, usize)>,
}

impl Observer for Arrivals {
    fn on_moment(&mut self, moment: &Moment) {
        let Moment::Frame(sighting) = moment else { return };
        if let Some(tcp) = Glimpse::of(&sighting.bytes).tcp
            && sighting.port == self.at
            && !sighting.is_out()
            && sighting.origin.cause.is_some()
            && tcp.payload > 0
        {
            self.data.push((tcp.header, tcp.payload));
        }
    }
}

/// When both sides were established, and when the last frame went.
#[derive(Default)]
struct Life {
    established: Instant,
    last_frame: Instant,
}

impl Observer for Life {
    fn on_moment(&mut self, moment: &Moment) {
        match moment {
            Moment::State(change) if change.to == State::Established => self.established = change.at,
            Moment::Frame(sighting) => self.last_frame = sighting.at,
            Moment::State(_) => {}
        }
    }
}

/// Segments between the two sockets, both ways, that no state may believe: far outside every window, with a wrong
/// checksum, or with flags that contradict each other.
fn add_noise(world: &mut World, plan: &Plan, ports: [Port; 2], life: &Life) {
    let mut dice = Rng::new(plan.seed, "noise");
    for _ in 0..60 {
        let side = usize::from(dice.below(2) == 0);
        let key = FourTuple::new(plan.socket(side), plan.socket(1 - side));
        let far = 0x4000_0000 + u32::try_from(dice.below(0x2000_0000)).expect("below");
        let flags = [Flags::ACK, Flags::RST, Flags::RST | Flags::ACK, Flags::FIN | Flags::ACK, Flags::ACK | Flags::PSH];
        let flags = *dice.pick(&flags).expect("some");
        let (kind, length) = (dice.below(3), usize::try_from(dice.below(30)).expect("small"));
        let (seq, ack) = (Seq(plan.hosts[side].isn) + far, Seq(plan.hosts[1 - side].isn) + far);
        let flags = if kind == 1 { Flags::SYN | Flags::FIN } else { flags };
        let mut bytes = segment(&key, side, seq, ack, flags, &[b'x'; 30][..length]);
        if kind == 2 {
            *bytes.last_mut().expect("a segment") ^= 1;
        }
        let at = dice.between(life.established.as_nanos(), life.last_frame.as_nanos());
        world.schedule(Instant::from_nanos(at), Happening::Inject(ports[side], bytes.into()));
    }
}

fn segment(key: &FourTuple, side: usize, seq: Seq, ack: Seq, flags: Flags, payload: &[u8]) -> Vec<u8> {
    let (protocol, ecn) = (ip::protocol::TCP, Ecn::NotEct);
    let ip = match (key.local_ip, key.remote_ip) {
        (std::net::IpAddr::V4(src), std::net::IpAddr::V4(dst)) => ip::Header::V4(ipv4::Header {
            src,
            dst,
            protocol,
            ttl: 64,
            dscp: 0,
            ecn,
            id: 0,
            dont_fragment: true,
            more_fragments: false,
            fragment_offset: 0,
        }),
        (std::net::IpAddr::V6(src), std::net::IpAddr::V6(dst)) => ip::Header::V6(ipv6::Header {
            src,
            dst,
            protocol,
            hop_limit: 64,
            dscp: 0,
            ecn,
            flow_label: 0,
            fragment: None,
        }),
        _ => unreachable!("both sides have one version"),
    };
    let mac = |side: usize| eth::MacAddr([2, 0, 0, 0, 0, [1, 2][side]]);
    let link = eth::Header { dst: mac(1 - side), src: mac(side), ethertype: ip.ethertype() };
    let (src_port, dst_port) = (key.local_port, key.remote_port);
    let tcp = Header { src_port, dst_port, seq, ack, flags, window: 9, urgent: 0, options: Options::default() };
    let header = frame::emit_tcp(Some(&link), &ip, &tcp, &[payload], portable);
    header.iter().chain(payload).copied().collect()
}

/// A clock that stands still, goes back or jumps ahead makes no stack panic or talk without end; and a call with an old
/// time is as good as one with the latest.
//= I-20
#[test]
fn a_clock_that_goes_wrong_does_no_harm() {
    for seed in 0..60 {
        let plan = Plan::new(seed);
        let steps = play(&plan, false).events;
        let (mut world, _) = plan.build();
        let mut dice = Rng::new(seed, "clock");
        for _ in 0..dice.below(steps) {
            world.step(&mut ()).expect("the same as before");
        }
        let now = world.now();
        for host in world.hosts() {
            let before = now - Duration::from_nanos(dice.below(2_000_000_000));
            let (mut steady, mut backwards) = (world.stack(host).clone(), world.stack(host).clone());
            backwards.on_timeout(before);
            assert_eq!(drain(&mut steady, now), drain(&mut backwards, before), "seed {seed}");
            assert_eq!(steady.next_timeout(), backwards.next_timeout(), "seed {seed}");
            let mut ahead = steady;
            for _ in 0..40 {
                let later = ahead.next_timeout().unwrap_or(now) + Duration::from_secs(dice.below(100_000));
                ahead.on_timeout(later);
                drain(&mut ahead, later);
                assert!(ahead.next_timeout().is_none_or(|at| at > later), "seed {seed}: it wants the past");
            }
            assert_eq!(
                ahead.connections().filter(|(_, c)| c.state().is_synchronized()).count(),
                idle(&ahead),
                "seed {seed}"
            );
        }
    }
}

/// How many frames a stack sends at once.
fn drain(stack: &mut tidegate_proto::net::Stack, now: Instant) -> usize {
    let frames = std::iter::from_fn(|| stack.poll_transmit(now)).take(100_000).count();
    assert!(frames < 100_000, "it never stops");
    while stack.poll_event().is_some() {}
    frames
}

/// Connections that have nothing in flight, nothing to send, and no reason to end.
fn idle(stack: &tidegate_proto::net::Stack) -> usize {
    let quiet = |connection: &tcp::Connection| {
        let info = connection.info(Instant::ZERO);
        connection.state().is_synchronized() && info.snd_una == info.snd_end
    };
    stack.connections().filter(|(_, connection)| quiet(connection)).count()
}

/// Counts probes and window updates.
#[derive(Default)]
struct Counts {
    probes: u64,
    updates: u64,
}

impl Observer for Counts {
    fn on_moment(&mut self, moment: &Moment) {
        let Moment::Frame(sighting) = moment else { return };
        if sighting.is_out() {
            match sighting.origin.cause {
                Some(Cause::Tcp(tcp::Cause::WindowProbe(_))) => self.probes += 1,
                Some(Cause::Tcp(tcp::Cause::Ack(AckCause::WindowUpdate))) => self.updates += 1,
                _ => {}
            }
        }
    }
}

/// A window that opens again is noticed even if every update that says so is lost.
//= I-37
#[test]
fn an_opening_window_is_noticed_although_every_update_is_lost() {
    let mut plan = peaceful(3);
    let (mtu, window) = (1_500, 2_000);
    (plan.mtu, plan.ipv6, plan.simultaneous_open) = (mtu, false, false);
    for (side, host) in plan.hosts.iter_mut().enumerate() {
        host.isn = 0;
        let (rcv_buf, max_segment) = (2 * window, Some(500));
        host.tcp = tcp::Config {
            mtu,
            rcv_buf,
            rcv_buf_max: rcv_buf,
            max_segment,
            timestamps: false,
            ..tcp::Config::default()
        };
        host.merge = None;
        host.pump.send = if side == 0 { 5 * u64::from(window) } else { 0 };
        (host.pump.write_size, host.pump.read_size) = (65_536, 65_536);
        (host.pump.write_gap, host.pump.read_after) = (Duration::ZERO, Duration::ZERO);
        host.pump.read_gap = if side == 1 { Duration::from_secs(3) } else { Duration::ZERO };
    }
    for link in &mut plan.links {
        link.max_frame = usize::from(mtu) + 14;
    }
    let (mut world, _) = plan.build();
    let mut heard = Counts::default();
    world.run(&mut heard).expect("a good link");
    assert_eq!((heard.probes > 0, heard.updates > 2), (true, true), "{} {}", heard.probes, heard.updates);

    // One update each time the window is full: with the number that stands behind the full window.
    let (mut world, _) = plan.build();
    for what in [is_update::<2_001>, is_update::<4_001>, is_update::<6_001>, is_update::<8_001>] {
        world.add_rule(LinkId(1), Rule::first(what, Act::Drop));
    }
    let mut unheard = Counts::default();
    world.run(&mut unheard).expect("every update is lost, and no answer to a probe");
    assert_eq!(world.link_stats(LinkId(1)).lost, 4);
    assert!(unheard.probes > heard.probes);
    assert_eq!(delivered(&world), [(0, true), (10_000, true)]);
    assert!(world.now() < Instant::ZERO + Duration::from_secs(60 + 5 * 3 + 5 * 10), "{:?}", world.now());
}

fn is_update<const ACK: u32>(frame: &Glimpse) -> bool {
    let open = |tcp: &tidegate_lab::glimpse::TcpGlimpse| tcp.header.ack == Seq(ACK) && tcp.header.window > 0;
    frame.is_bare_ack() && frame.tcp.as_ref().is_some_and(open)
}
