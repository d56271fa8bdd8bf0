//! The article's two hosts and the Ethernet link between them.
//!
//! Sections: none.
//! In: [`Settings`].
//! Out: a [`Stage`] to put programs on.

use alloc::vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tidegate_proto::net::{Cidr, IfaceConfig, StackConfig};
use tidegate_proto::tcp;
use tidegate_proto::time::{Duration, Instant};
use tidegate_proto::wire::eth::MacAddr;

use crate::app::script::Step;
use crate::app::{App, Content, Script};
use crate::link::{ETHERNET_HEADER, LinkConfig};
use crate::world::{HostId, LinkId, Port, World};

/// What a user may choose.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Decides every dice, initial sequence number and secret.
    pub seed: u64,
    /// Both directions of the link.
    pub link: LinkConfig,
    /// Settings of both hosts and their connections.
    pub stack: StackConfig,
    /// The largest IP packet on the link, bytes.
    pub mtu: u16,
    /// IPv6 instead of IPv4.
    pub ipv6: bool,
    /// How long an arriving segment waits for others to be merged with; `None` shows every wire segment.
    pub merge: Option<Duration>,
    /// How often the file is downloaded.
    pub downloads: u64,
    /// The file's length, bytes.
    pub size: u64,
    /// From the client's end of stream to the server's close.
    pub think: Duration,
}

impl Default for Settings {
    /// The article's scene.
    fn default() -> Self {
        Settings {
            seed: 1,
            link: LinkConfig::default(),
            stack: StackConfig { tcp: article_tcp(), ..StackConfig::default() },
            mtu: 1500,
            ipv6: false,
            merge: Some(Duration::from_micros(50)),
            downloads: 2,
            size: 65_536,
            think: Duration::from_micros(240),
        }
    }
}

/// The article's hosts ran kernels whose largest receive buffer gives a window scale of 7.
fn article_tcp() -> tcp::Config {
    tcp::Config { rcv_buf_max: 6_291_456, ..tcp::Config::default() }
}

/// Two hosts on one link, and what runs there.
#[derive(Clone, Debug)]
pub struct Stage {
    /// The world.
    pub world: World,
    /// The client, 192.168.131.132.
    pub a: Port,
    /// The server, 192.168.131.138.
    pub b: Port,
    /// The link from A to B.
    pub a_to_b: LinkId,
    /// The link from B to A.
    pub b_to_a: LinkId,
    /// A's address.
    pub a_ip: IpAddr,
    /// B's address.
    pub b_ip: IpAddr,
    /// When the first connection is opened: early enough for the first SYN to leave at [`Stage::FIRST_SYN`].
    pub start: Instant,
}

impl Stage {
    /// When the first SYN leaves, on a clock whose zero is [`Stage::EPOCH`]: the article's 10:09:11.163215.
    pub const FIRST_SYN: Instant = Instant::from_nanos(11_163_215_000);
    /// The world's time zero, in seconds since 1970: 2026-01-01 10:09:00 UTC.
    pub const EPOCH: u64 = 1_767_262_140;

    /// The two hosts.
    pub fn new(settings: &Settings) -> Self {
        Self::with(settings, settings.stack.tcp.clone(), settings.stack.tcp.clone())
    }

    /// The two hosts, each with its own settings of TCP.
    pub fn with(settings: &Settings, a_tcp: tcp::Config, b_tcp: tcp::Config) -> Self {
        let mut world = World::new(settings.seed);
        let [a_ip, b_ip] = match settings.ipv6 {
            false => [132, 138].map(|n| IpAddr::V4(Ipv4Addr::new(192, 168, 131, n))),
            true => [0x132, 0x138].map(|n| IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0x131, 0, 0, 0, 0, n))),
        };
        let a = add_host(&mut world, settings, a_tcp, a_ip, 132);
        let b = add_host(&mut world, settings, b_tcp, b_ip, 138);
        let link = LinkConfig { max_frame: usize::from(settings.mtu) + ETHERNET_HEADER, ..settings.link.clone() };
        let a_to_b = world.add_link(a, b, link.clone());
        let b_to_a = world.add_link(b, a, link);
        // Before the first SYN, A asks for B's Ethernet address: there and back again.
        let start = Self::FIRST_SYN - settings.link.delay * 2;
        Stage { world, a, b, a_to_b, b_to_a, a_ip, b_ip, start }
    }

    /// A's socket: the article's port.
    pub fn a_socket(&self) -> SocketAddr {
        SocketAddr::new(self.a_ip, 37_584)
    }

    /// A socket of B's.
    pub fn b_socket(&self, port: u16) -> SocketAddr {
        SocketAddr::new(self.b_ip, port)
    }

    /// Puts a script on each host. What A writes is what B expects, and the other way round.
    pub fn add_scripts(&mut self, a: &[Step], b: &[Step]) {
        self.world.add_app(self.a.host, App::Script(Script::new(a, A_WRITES, B_WRITES)));
        self.world.add_app(self.b.host, App::Script(Script::new(b, B_WRITES, A_WRITES)));
    }

    /// The script on a host, if the stage has scripts.
    pub fn script(&self, host: HostId) -> Option<&Script> {
        self.world.apps(host).iter().find_map(|app| match app {
            App::Script(script) => Some(script),
            _ => None,
        })
    }
}

fn add_host(world: &mut World, settings: &Settings, tcp: tcp::Config, ip: IpAddr, last: u8) -> Port {
    let tcp = tcp::Config { mtu: settings.mtu, ..tcp };
    let host = world.add_host(StackConfig { tcp, host: settings.stack.host.clone() });
    let interface = IfaceConfig {
        mac: Some(MacAddr([0x02, 0x00, 192, 168, 131, last])),
        mtu: settings.mtu,
        addrs: vec![Cidr { addr: ip, prefix: if ip.is_ipv4() { 24 } else { 64 } }],
        max_burst: if settings.merge.is_some() { 65_536 } else { 0 },
        checksum_offload: false,
    };
    world.add_interface(host, interface, settings.merge)
}

/// What A's script and pump write.
pub(super) const A_WRITES: Content = Content::new(0xa);
/// What B's write.
pub(super) const B_WRITES: Content = Content::new(0xb);
