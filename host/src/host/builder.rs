//! What a host is made of.
//!
//! Sections: none of an RFC's; settings go by the kernel's names.
//! In: addresses, settings, a device.
//! Out: a running [`Host`].

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use rustix::rand::{GetRandomFlags, getrandom};
use tidegate_proto::net::{Cidr, IfaceId, Route, Stack, StackConfig};
use tidegate_proto::socket::Sockets;
use tidegate_proto::wire::eth::MacAddr;

use super::Host;
use crate::clock;
use crate::dev::Device;
use crate::rt::Driver;

/// A host to be: addresses and settings, each with a sensible default but for the addresses.
#[derive(Clone, Debug)]
pub struct Builder {
    config: StackConfig,
    addrs: Vec<Cidr>,
    routes: Vec<(Cidr, Option<IpAddr>)>,
    mac: Option<MacAddr>,
    mtu: Option<u16>,
    seed: Option<[u8; 32]>,
    max_sockets: u32,
}

impl Builder {
    pub(super) fn new() -> Self {
        Builder {
            config: StackConfig::default(),
            addrs: Vec::new(),
            routes: Vec::new(),
            mac: None,
            mtu: None,
            seed: None,
            max_sockets: MAX_SOCKETS,
        }
    }

    /// An address and its network: `"10.9.0.2/24"`, `"fd09::2/64"`. Any number, of both versions; the first of a
    /// version is the one that connections start from.
    ///
    /// # Errors
    ///
    /// `InvalidInput`, if it is not an address with a prefix length.
    pub fn addr(mut self, addr: &str) -> io::Result<Self> {
        let parsed = parse(addr);
        self.addrs.push(parsed.ok_or_else(|| {
            let why = format!("{addr:?} is not an address with its prefix length, such as 10.9.0.2/24 or fd09::2/64");
            io::Error::new(io::ErrorKind::InvalidInput, why)
        })?);
        Ok(self)
    }

    /// As [`addr`](Self::addr).
    #[must_use]
    pub fn cidr(mut self, cidr: Cidr) -> Self {
        self.addrs.push(cidr);
        self
    }

    /// The router for everything that is not on the link: `"10.9.0.1"`, `"fe80::1"`. One for each version of IP.
    ///
    /// # Errors
    ///
    /// `InvalidInput`, if it is not an address.
    pub fn gateway(self, gateway: &str) -> io::Result<Self> {
        let gateway = host_addr(gateway)?;
        let any = if gateway.is_ipv4() { IpAddr::V4(Ipv4Addr::UNSPECIFIED) } else { Ipv6Addr::UNSPECIFIED.into() };
        Ok(self.route(Cidr { addr: any, prefix: 0 }, Some(gateway)))
    }

    /// A way to a network that is not the link's: over a router, or, with none, on the link all the same. Of several
    /// the one with the longest prefix counts.
    #[must_use]
    pub fn route(mut self, dst: Cidr, gateway: Option<IpAddr>) -> Self {
        self.routes.push((dst, gateway));
        self
    }

    /// The host's own Ethernet address; by default a locally administered one, made of the seed.
    #[must_use]
    pub fn mac(mut self, mac: MacAddr) -> Self {
        self.mac = Some(mac);
        self
    }

    /// The largest IP packet, bytes; by default what the device carries, and never more than that.
    #[must_use]
    pub fn mtu(mut self, mtu: u16) -> Self {
        self.mtu = Some(mtu);
        self
    }

    /// Changes a setting by its sysctl name: `tcp_sack`, or `net.ipv4.tcp_sack`.
    ///
    /// # Errors
    ///
    /// `InvalidInput`, naming what the setting takes, or the name that was probably meant.
    pub fn sysctl(mut self, name: &str, value: &str) -> io::Result<Self> {
        let outcome = self.config.set_sysctl(name, value);
        outcome.map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error.to_string()))?;
        Ok(self)
    }

    /// All settings at once; what [`sysctl`](Self::sysctl) changed before is lost.
    #[must_use]
    pub fn config(mut self, config: StackConfig) -> Self {
        self.config = config;
        self
    }

    /// The seed of every secret of the host: initial sequence numbers, ports, hashes. Only for tests that must
    /// repeat; by default the system's randomness gives it.
    #[must_use]
    pub fn seed(mut self, seed: [u8; 32]) -> Self {
        self.seed = Some(seed);
        self
    }

    /// How many sockets there may be at a time; the next one is `EMFILE`. A million by default.
    #[must_use]
    pub fn max_sockets(mut self, limit: u32) -> Self {
        self.max_sockets = limit;
        self
    }

    /// Starts the host over `device`.
    ///
    /// # Errors
    ///
    /// The system's, if it has no more descriptors or threads, or no randomness; `InvalidInput` for a route that leads
    /// nowhere.
    pub fn start(self, device: impl Device + 'static) -> io::Result<Host> {
        let seed = match self.seed {
            Some(seed) => seed,
            None => random()?,
        };
        let mut mac = [0; 6];
        mac.copy_from_slice(&seed[..6]);
        // Unicast, and of no maker.
        mac[0] = mac[0] & !1 | 2;
        let mut interface = device.capabilities().interface(self.mac.unwrap_or(MacAddr(mac)), self.addrs);
        interface.mtu = self.mtu.map_or(interface.mtu, |mtu| mtu.min(interface.mtu));
        let stack = Stack::new(self.config, seed, clock::now());
        let driver = Driver::start(Sockets::new(stack, self.max_sockets), device, interface)?;
        for (dst, gateway) in self.routes {
            let route = Route { dst, gateway, iface: IfaceId(0) };
            let added = driver.call(|sockets, _| sockets.stack_mut().add_route(route));
            added.map_err(|why| {
                let way = gateway.map_or_else(String::new, |gateway| format!(" by way of {gateway}"));
                let why = format!("the route to {}/{}{way}: {why}", dst.addr, dst.prefix);
                io::Error::new(io::ErrorKind::InvalidInput, why)
            })?;
        }
        Ok(Host { driver })
    }
}

fn host_addr(addr: &str) -> io::Result<IpAddr> {
    addr.parse().map_err(|_| {
        let why = format!("{addr:?} is not an address, such as 10.9.0.1 or fe80::1");
        io::Error::new(io::ErrorKind::InvalidInput, why)
    })
}

fn parse(addr: &str) -> Option<Cidr> {
    let (addr, prefix) = addr.split_once('/')?;
    let addr: IpAddr = addr.parse().ok()?;
    let prefix = prefix.parse().ok().filter(|prefix| *prefix <= if addr.is_ipv4() { 32 } else { 128 })?;
    Some(Cidr { addr, prefix })
}

fn random() -> io::Result<[u8; 32]> {
    let mut seed = [0; 32];
    let mut filled = 0;
    while filled < seed.len() {
        match getrandom(&mut seed[filled..], GetRandomFlags::empty()) {
            Ok(n) => filled += n,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(seed)
}

/// `fs.nr_open`, the kernel's limit of descriptors for one process.
const MAX_SOCKETS: u32 = 1_048_576;
