//! What `serve` and `get` have in common: a host of our own over a device, as the command line describes it.
//!
//! Sections: none.
//! In: the options.
//! Out: what must be opened with rights, opened; rights given up; a running host; an end in order.

mod device;
mod privileges;
mod stop;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

use tidegate::Host;
use tidegate::dev::{Capture, CaptureFiles, CaptureStatus, Device, Impair, Merge};
use tidegate::lab::link::LinkConfig;
use tidegate::proto::net::{Cidr, IfaceId, Route, StackConfig};
use tidegate::proto::time::Duration;

use self::device::Dev;
use crate::failure::Failure;
use crate::values::{self, Rate, Which};
use crate::vices::Vices;

pub(crate) use self::stop::{Stop, abort, finish, report};

/// A host of our own.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The link: tun:NAME, tap:NAME, unix:PATH (plugs in, or waits at PATH), fd:N (a TUN or TAP that is open)
    #[arg(long, value_name = "KIND:WHERE", value_parser = Dev::parse, help_heading = HOST)]
    dev: Dev,
    /// This host's address and its network: 10.9.0.2/24, fd09::2/64; may be repeated
    #[arg(long, value_name = "ADDR/LEN", required = true, value_parser = cidr, help_heading = HOST)]
    addr: Vec<Cidr>,
    /// The way to everybody else; once for each version of IP
    #[arg(long, value_name = "ADDR", help_heading = HOST)]
    gateway: Vec<IpAddr>,
    /// The largest IP packet, bytes; by default the device's
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u16).range(68..), help_heading = HOST)]
    mtu: Option<u16>,
    /// A setting by the kernel's name, such as tcp_sack=0; may be repeated
    #[arg(long, value_name = "NAME=VALUE", help_heading = HOST)]
    sysctl: Vec<String>,
    /// Started as root: go on as this user, NAME or UID:GID
    #[arg(long, value_name = "NAME", help_heading = HOST)]
    user: Option<String>,

    /// So much longer, each way: 25ms
    #[arg(long, value_name = "TIME", default_value = "0", value_parser = values::duration, help_heading = LINK)]
    delay: Duration,
    #[command(flatten, next_help_heading = LINK)]
    vices: Vices,
    /// Bits per second, each way: 100mbit, 1G, unlimited
    #[arg(long, default_value = "unlimited", value_parser = Rate::parse, help_heading = LINK)]
    rate: Rate,
    /// Decides every chance on the link
    #[arg(long, value_name = "N", default_value_t = 1, help_heading = LINK)]
    seed: u64,

    /// Write a capture of the link, pcapng with comments, for Wireshark, tcpdump and explain
    #[arg(long, value_name = "FILE", help_heading = CAPTURE)]
    pcap: Option<PathBuf>,
    /// Begin another file after so many bytes, FILE0, FILE1...: 10M
    #[arg(long, value_name = "SIZE", requires = "pcap", value_parser = values::size, help_heading = CAPTURE)]
    pcap_size: Option<u64>,
    /// So many files, used in turn
    #[arg(long, value_name = "N", requires = "pcap_size", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1000), help_heading = CAPTURE)]
    pcap_files: u16,
    /// Keep so many bytes of each frame; 0 is all
    #[arg(long, value_name = "BYTES", requires = "pcap", default_value_t = 0, help_heading = CAPTURE)]
    pcap_snap: u32,
    /// Which frames get a comment that says why they were sent, or what became of them
    #[arg(long, value_enum, requires = "pcap", default_value_t, help_heading = CAPTURE)]
    reasons: Which,
}

/// Everything that needed rights is open.
pub(crate) struct Opened {
    device: Box<dyn Device>,
    config: StackConfig,
    capture: Option<CaptureStatus>,
}

impl Options {
    /// Opens what needs rights. Whatever else does, the caller opens before it goes on to [`Opened::start`].
    pub(crate) fn open(&self) -> Result<Opened, Failure> {
        let mut config = StackConfig::default();
        for text in &self.sysctl {
            let pair = text.split_once('=');
            let (name, value) =
                pair.ok_or_else(|| Failure::refused(format_args!("--sysctl {text}: write NAME=VALUE")))?;
            config.set_sysctl(name, value).map_err(Failure::refused)?;
        }
        let files = self.files()?;
        let capture = files.as_ref().map(CaptureFiles::status);
        let link = self.link();
        let is_impaired = link != ideal();
        let mut device = self.dev.open(self.mtu, &self.addr, is_impaired)?;
        if is_impaired {
            device = Box::new(Impair::new(device, link.clone(), link, self.seed)?);
        }
        if !device.capabilities().checksum_offload {
            device = Box::new(Merge::new(device));
        }
        if let Some(files) = files {
            let name = self.dev.to_string();
            device = Box::new(Capture::new(device, &name, files, self.pcap_snap, self.reasons.into()));
        }
        Ok(Opened { device, config, capture })
    }

    /// How long a frame of ours is on its way through the impaired link, at most.
    pub(crate) fn transit(&self) -> std::time::Duration {
        std::time::Duration::from_nanos((self.delay + self.vices.jitter).as_nanos())
    }

    fn link(&self) -> LinkConfig {
        LinkConfig { delay: self.delay, rate: self.rate.0, ..self.vices.of(ideal()) }
    }

    fn files(&self) -> Result<Option<CaptureFiles>, Failure> {
        let Some(path) = &self.pcap else { return Ok(None) };
        let files = match self.pcap_size {
            Some(size) => CaptureFiles::ring(path, size, self.pcap_files.into()),
            None => CaptureFiles::single(path),
        };
        let refused = |e| Failure::refused(format_args!("cannot write {}: {}", path.display(), plain(&e)));
        files.map(Some).map_err(refused)
    }
}

impl Opened {
    /// Gives up every right, and starts the host. No other thread may run yet: rights belong to threads.
    pub(crate) fn start(self, options: &Options) -> Result<(Host, Option<CaptureStatus>), Failure> {
        privileges::drop(options.user.as_deref())?;
        let mut builder = Host::builder().config(self.config);
        for addr in &options.addr {
            builder = builder.cidr(*addr);
        }
        if let Some(mtu) = options.mtu {
            builder = builder.mtu(mtu);
        }
        let host = builder.start(self.device)?;
        for gateway in &options.gateway {
            let any = match gateway {
                IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
                IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
            };
            let route = Route { dst: Cidr { addr: any, prefix: 0 }, gateway: Some(*gateway), iface: IfaceId(0) };
            let added = host.driver().call(|sockets, _| sockets.stack_mut().add_route(route));
            added.map_err(|e| Failure::refused(format_args!("--gateway {gateway}: {e}")))?;
        }
        Ok((host, self.capture))
    }
}

/// A link that does nothing to frames.
fn ideal() -> LinkConfig {
    LinkConfig { delay: Duration::ZERO, rate: None, ..LinkConfig::default() }
}

fn cidr(text: &str) -> Result<Cidr, String> {
    let example = "expected an address and the length of its network's prefix, such as 10.9.0.2/24 or fd09::2/64";
    let (addr, prefix) = text.split_once('/').ok_or(example)?;
    let addr: IpAddr = addr.parse().map_err(|_| example)?;
    let prefix: u8 = prefix.parse().map_err(|_| example)?;
    if prefix > if addr.is_ipv4() { 32 } else { 128 } {
        return Err(example.into());
    }
    Ok(Cidr { addr, prefix })
}

/// What the system says, without the number that Rust adds.
pub(crate) fn plain(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}

const HOST: &str = "Host";
const LINK: &str = "Link: what happens to frames on their way, beyond what the device does";
const CAPTURE: &str = "Capture";
