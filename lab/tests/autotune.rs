//! Buffers that follow the path: default settings fill a long fat one, and a thousand idle connections cost nothing.
//!
//! Sections: Linux `tcp(7)`: tcp_rmem, tcp_wmem, tcp_mem.

use tidegate_lab::app::pump::{CloseWhen, Open, Pump, PumpConfig};
use tidegate_lab::app::{App, Content};
use tidegate_lab::link::LinkConfig;
use tidegate_lab::world::{HostId, Port, World};
use tidegate_proto::net::{Cidr, IfaceConfig, Stack, StackConfig};
use tidegate_proto::time::{Duration, Instant};

const GIGABIT: u64 = 1_000_000_000;

/// A pump on each side: A sends as much as it can, B reads it at once.
fn bulk(config: &StackConfig, link: &LinkConfig, bytes: u64) -> (World, HostId, HostId) {
    let mut world = World::new(7);
    let [a, b] = [1, 2].map(|last| {
        let host = world.add_host(config.clone());
        let addrs = vec![Cidr { addr: [192, 0, 2, last].into(), prefix: 24 }];
        // Frames as large as a device with segmentation offload takes them, and merged again: the link below has no
        // overhead per packet to speak of.
        let iface = IfaceConfig { mac: None, mtu: 9000, addrs, max_burst: 65_536, checksum_offload: true };
        world.add_interface(host, iface, Some(Duration::from_micros(50)))
    });
    world.add_link(a, b, link.clone());
    world.add_link(b, a, link.clone());
    let pump = |port: Port, open, send, expect, close| {
        App::Pump(Pump::new(PumpConfig {
            open,
            tcp: None,
            send,
            sends: Content::new(port.host.0 as u64),
            write_size: 65_536,
            write_gap: Duration::ZERO,
            receives: Content::new(1 - port.host.0 as u64),
            expect,
            read_size: 65_536,
            read_gap: Duration::ZERO,
            read_after: Duration::ZERO,
            close,
            abort_after: None,
        }))
    };
    let (local, remote) = (([192, 0, 2, 1], 40_000).into(), ([192, 0, 2, 2], 80).into());
    let at = Instant::ZERO;
    world.add_app(b.host, pump(b, Open::Listen(remote), 0, bytes, CloseWhen::PeerClosed));
    world.add_app(a.host, pump(a, Open::Connect { local, remote, at }, bytes, 0, CloseWhen::AllSent));
    (world, a.host, b.host)
}

/// Bytes that the receiving program had read by each of these times.
fn received_at(world: &mut World, receiver: HostId, times: &[Duration]) -> Vec<u64> {
    let mut marks = Vec::new();
    for &time in times {
        while world.now() < Instant::ZERO + time && world.step(&mut ()).expect("no rule against it") {}
        let [App::Pump(pump)] = world.apps(receiver) else { panic!("one program") };
        marks.push(pump.received());
    }
    marks
}

/// 1 Gbit/s and 100 ms: 12.5 MB in flight. From windows of 64 KiB, by slow start, in less than three seconds.
#[test]
fn default_settings_fill_a_long_fat_path_within_three_seconds() {
    let config = StackConfig::default();
    let tcp = &config.tcp;
    assert_eq!((tcp.rcv_buf_min, tcp.rcv_buf, tcp.rcv_buf_max), (4096, 131_072, 33_554_432));
    assert_eq!((tcp.snd_buf_min, tcp.snd_buf, tcp.snd_buf_max), (4096, 16_384, 33_554_432));
    let link = LinkConfig { delay: Duration::from_millis(50), rate: Some(GIGABIT), ..LinkConfig::default() };
    let (mut world, _, receiver) = bulk(&config, &link, u64::MAX / 2);
    let seconds = [Duration::from_millis(2_900), Duration::from_millis(3_100)];
    let marks = received_at(&mut world, receiver, &seconds);
    let rate = (marks[1] - marks[0]) * 8 * 5;
    assert!(rate >= GIGABIT / 100 * 97, "{rate} bit/s, {marks:?}");
}

/// The sum of memory is kept as connections come, are used and go; idle ones cost nothing.
#[test]
fn a_thousand_idle_connections_hold_no_buffer() {
    let now = Instant::from_nanos(1_000_000_000);
    let mut stack = Stack::new(StackConfig::default(), [7; 32], now);
    let server = ([192, 0, 2, 1], 80).into();
    let addrs = vec![Cidr { addr: [192, 0, 2, 1].into(), prefix: 24 }];
    stack.add_interface(IfaceConfig { mac: None, mtu: 1500, addrs, max_burst: 0, checksum_offload: false });
    let listener = stack.listen(server, 8).expect("a free port");
    let mut pairs = Vec::new();
    for _ in 0..500 {
        let client = stack.connect(None, server, now).expect("a free port");
        while stack.poll_transmit(now).is_some() {}
        pairs.push((client, stack.accept(listener, now).expect("complete")));
    }
    assert_eq!((stack.population().connections, stack.population().memory), (1000, 0));
    let mut charged = 0;
    for &(client, server) in &pairs {
        assert_eq!(stack.write(client, &[7; 10_000], now), Ok(10_000));
        while stack.poll_transmit(now).is_some() {}
        let sum: usize = stack.connections().map(|(_, connection)| connection.memory()).sum();
        assert_eq!(stack.population().memory, sum, "the sum is kept, not counted");
        charged = charged.max(sum);
        let mut room = [0; 20_000];
        stack.read(server, &mut room, now).expect("open");
        while stack.poll_transmit(now).is_some() {}
    }
    assert!(charged >= 10_000);
    // The last acknowledgements are delayed ones.
    let later = now + Duration::from_secs(1);
    stack.on_timeout(later);
    while stack.poll_transmit(later).is_some() {}
    assert_eq!((stack.population().connections, stack.population().memory), (1000, 0));
}
