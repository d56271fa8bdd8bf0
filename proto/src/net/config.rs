//! What the owner of a stack decides: interfaces and settings.
//!
//! Sections: RFC 9293 3.9 (what must be configurable); each setting names its own.
//! In: the owner's choices.
//! Out: plain values that the rules read.

use alloc::vec::Vec;
use core::net::IpAddr;

use super::memory::MemorySteps;
use crate::tcp;
use crate::time::Duration;
use crate::wire::Seq;
use crate::wire::eth::MacAddr;

/// An interface of a stack, in the order in which they were added.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct IfaceId(pub u16);

/// A listener or a connection of a stack. Never reused while the stack lives.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct SocketId {
    /// Its slot.
    pub index: u32,
    /// Which occupant of that slot it is.
    pub generation: u32,
}

/// An address and the length of its network prefix: `192.168.131.132/24`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Cidr {
    /// The address.
    pub addr: IpAddr,
    /// How many leading bits name the network.
    pub prefix: u8,
}

/// One interface: Ethernet with a MAC address, raw IP without.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct IfaceConfig {
    /// Our Ethernet address; `None` for a link that carries bare IP packets.
    pub mac: Option<MacAddr>,
    /// The largest IP packet, bytes.
    pub mtu: u16,
    /// Our addresses here, the first of a version being the preferred source.
    pub addrs: Vec<Cidr>,
    /// The largest burst that the link below takes in one frame, bytes of payload (64 KiB with segmentation offload,
    /// 0 for one segment at a time).
    pub max_burst: u32,
    /// The device finishes TCP checksums: frames go down with [`TxChecksum::Partial`](super::TxChecksum::Partial), and
    /// the payload is never summed.
    pub checksum_offload: bool,
}

/// Settings of a whole stack.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct StackConfig {
    /// The settings that new connections start from.
    pub tcp: tcp::Config,
    /// Settings of the host around them.
    pub host: HostConfig,
}

/// Settings that are not one connection's.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct HostConfig {
    /// `tcp_max_syn_backlog`: half-open records per listener at the most.
    pub max_syn_backlog: u32,
    /// `tcp_mem`: how much memory all buffers together may cost, in three steps.
    pub mem: MemorySteps,
    /// `tcp_max_tw_buckets`: TIME-WAIT records at the most.
    pub max_tw_buckets: u32,
    /// `tcp_tw_reuse`: an active open may take over a TIME-WAIT record whose timestamps are a second old (RFC 6191).
    pub tw_reuse: bool,
    /// `tcp_rfc1337`: RST does not end TIME-WAIT.
    pub rfc1337: bool,
    /// `tcp_abort_on_overflow`: a full accept queue answers with RST instead of silence.
    pub abort_on_overflow: bool,
    /// `ip_local_port_range`: ephemeral ports, both ends included.
    pub local_port_range: (u16, u16),
    /// `ip_default_ttl` and hop limit (MUST-49).
    pub default_ttl: u8,
    /// `ip_no_pmtu_disc`: 0 learns from routers how large packets may be; 1 lets routers cut TCP's packets (DF off), and
    /// sends smaller ones when one complains all the same; 2 does not even listen to that.
    pub no_pmtu_disc: u8,
    /// `route.min_pmtu`: no IPv4 router can make packets smaller than that, bytes.
    pub min_pmtu: u16,
    /// `route.mtu_expires`: how long counts what a router has said.
    pub mtu_expires: Duration,
    /// `ipfrag_high_thresh`: bytes that wait for the rest of their packets at the most, a quarter of them from one
    /// source; 0 takes no fragments.
    pub ipfrag_high_thresh: u32,
    /// `ipfrag_time`: how long IPv4 fragments wait.
    pub ipfrag_time: Duration,
    /// `icmp_msgs_per_sec`: ICMP errors that this host sends at the most.
    pub icmp_msgs_per_sec: u32,
    /// `icmp_msgs_burst`: how many of them may go at once.
    pub icmp_msgs_burst: u32,
    /// How long a neighbour entry is trusted.
    pub neighbour_lifetime: Duration,
    /// Where the sequence numbers of new connections start.
    pub initial_sequence: InitialSequence,
    /// Frames carry a [`Note`](super::Note) for captures with reasons. It costs some time per frame.
    pub notes: bool,
}

/// How initial sequence numbers are chosen.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum InitialSequence {
    /// By RFC 6528: a clock and a keyed hash of the four-tuple.
    #[default]
    Keyed,
    /// Always this one. For virtual worlds that look at the edges of the sequence space; never on a real network.
    Fixed(Seq),
}

impl Default for HostConfig {
    fn default() -> Self {
        HostConfig {
            max_syn_backlog: 1024,
            mem: MemorySteps::default(),
            max_tw_buckets: 65_536,
            tw_reuse: true,
            rfc1337: true,
            abort_on_overflow: false,
            local_port_range: (32_768, 60_999),
            default_ttl: 64,
            no_pmtu_disc: 0,
            min_pmtu: 552,
            mtu_expires: Duration::from_secs(600),
            ipfrag_high_thresh: 4 * 1024 * 1024,
            ipfrag_time: Duration::from_secs(30),
            icmp_msgs_per_sec: 1000,
            icmp_msgs_burst: 50,
            neighbour_lifetime: Duration::from_secs(60),
            initial_sequence: InitialSequence::Keyed,
            notes: true,
        }
    }
}
