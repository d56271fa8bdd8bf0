//! `--dev`: what carries our frames.
//!
//! Sections: none.
//! In: `tun:NAME`, `tap:NAME`, `unix:PATH`, `fd:N`.
//! Out: the device; or, without the rights, the command that grants them.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

use tidegate::dev::{Device, Offload, Tun, UnixLink, UnixPort};
use tidegate::proto::net::Cidr;
use tidegate::proto::wire::frame::Link;

use super::plain;
use crate::failure::Failure;

/// What `--dev` names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Dev {
    Tun(String),
    Tap(String),
    Unix(PathBuf),
    Fd(u32),
}

impl Dev {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let example = "expected tun:NAME, tap:NAME, unix:PATH or fd:NUMBER";
        let (kind, place) = text.split_once(':').filter(|(_, place)| !place.is_empty()).ok_or(example)?;
        Ok(match kind {
            "tun" => Dev::Tun(place.to_owned()),
            "tap" => Dev::Tap(place.to_owned()),
            "unix" => Dev::Unix(place.into()),
            "fd" => Dev::Fd(place.parse().map_err(|_| example)?),
            _ => return Err(example.into()),
        })
    }

    /// Opens it. An impaired link carries single segments, so the kernel cuts and merges none. `addrs` are our
    /// addresses, for the advice.
    pub(super) fn open(&self, mtu: Option<u16>, addrs: &[Cidr], is_impaired: bool) -> Result<Box<dyn Device>, Failure> {
        let offload = if is_impaired { Offload::Software } else { Offload::Kernel };
        let refused = |e: io::Error| Failure::refused(format_args!("cannot open {self}: {}", plain(&e)));
        Ok(match self {
            Dev::Tun(name) => Box::new(Tun::open(name, Link::Ip, offload).map_err(|e| self.advice(&e, name, addrs))?),
            Dev::Tap(name) => {
                Box::new(Tun::open(name, Link::Ethernet, offload).map_err(|e| self.advice(&e, name, addrs))?)
            }
            Dev::Unix(path) => match UnixLink::connect(path, mtu.unwrap_or(ETHERNET_MTU)) {
                Ok(link) => Box::new(link),
                Err(e) if e.kind() == io::ErrorKind::NotFound => {
                    Box::new(UnixPort::bind(path, mtu.unwrap_or(ETHERNET_MTU)).map_err(refused)?)
                }
                // A socket that nobody listens at any more was left behind.
                Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => {
                    std::fs::remove_file(path).map_err(refused)?;
                    Box::new(UnixPort::bind(path, mtu.unwrap_or(ETHERNET_MTU)).map_err(refused)?)
                }
                Err(e) => return Err(refused(e)),
            },
            Dev::Fd(number) => {
                let tun = Tun::inherited(*number).map_err(refused)?;
                if is_impaired && tun.capabilities().checksum_offload {
                    let why = "it was opened with IFF_VNET_HDR, and an impaired link carries single segments";
                    return Err(Failure::refused(format_args!("cannot impair {self}: {why}")));
                }
                Box::new(tun)
            }
        })
    }

    /// What went wrong with a TUN or TAP; and without the rights, who grants them how.
    fn advice(&self, error: &io::Error, name: &str, addrs: &[Cidr]) -> Failure {
        let mode = if matches!(self, Dev::Tun(_)) { "tun" } else { "tap" };
        match error.kind() {
            io::ErrorKind::PermissionDenied => {
                let user = rustix::process::getuid().as_raw();
                let mut commands =
                    vec![format!("ip tuntap add dev {name} mode {mode} user {user}"), format!("ip link set {name} up")];
                for own in addrs {
                    let peer = neighbour(own);
                    commands.push(format!("ip addr add {peer}/{} dev {name}", own.prefix));
                }
                // The control device itself is root's on many systems.
                if std::fs::OpenOptions::new().read(true).write(true).open("/dev/net/tun").is_err() {
                    commands.push("chmod 666 /dev/net/tun".into());
                }
                let commands = commands.join(" && ");
                Failure::refused(format_args!(
                    "cannot open {self} without privileges: run as root, or have root run once: {commands}"
                ))
            }
            io::ErrorKind::NotFound => {
                Failure::refused(format_args!("cannot open {self}: there is no /dev/net/tun (modprobe tun)"))
            }
            _ => Failure::refused(format_args!("cannot open {self}: {}", plain(error))),
        }
    }
}

impl fmt::Display for Dev {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Dev::Tun(name) => write!(f, "tun:{name}"),
            Dev::Tap(name) => write!(f, "tap:{name}"),
            Dev::Unix(path) => write!(f, "unix:{}", path.display()),
            Dev::Fd(number) => write!(f, "fd:{number}"),
        }
    }
}

/// Another address of the same network: what the kernel's end of the link may be called.
fn neighbour(own: &Cidr) -> IpAddr {
    match own.addr {
        IpAddr::V4(addr) => {
            let bits = addr.to_bits();
            Ipv4Addr::from_bits(if bits & 0xff == 1 { bits + 1 } else { bits & !0xff | 1 }).into()
        }
        IpAddr::V6(addr) => {
            let bits = addr.to_bits();
            Ipv6Addr::from_bits(if bits & 0xffff == 1 { bits + 1 } else { bits & !0xffff | 1 }).into()
        }
    }
}

/// Ethernet's.
const ETHERNET_MTU: u16 = 1500;
