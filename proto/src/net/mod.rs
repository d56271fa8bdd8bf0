//! The host without devices.
//!
//! [`Stack`] demultiplexes frames to connections, half-open records and TIME-WAIT records, answers ARP, neighbour
//! discovery and ICMP echo, and keeps every timer.

pub mod offload;

use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use arrayvec::ArrayVec;
use bytes::Bytes;

use crate::tcp::{self, CloseReason, ConnError, Read, State, TcpInfo, Verdict};
use crate::time::{Duration, Instant};
use crate::wire::FourTuple;
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
    /// How long a neighbour entry is trusted.
    pub neighbour_lifetime: Duration,
}

impl Default for HostConfig {
    fn default() -> Self {
        HostConfig {
            max_syn_backlog: 1024,
            max_tw_buckets: 65_536,
            tw_reuse: true,
            rfc1337: true,
            abort_on_overflow: false,
            local_port_range: (32_768, 60_999),
            default_ttl: 64,
            neighbour_lifetime: Duration::from_secs(60),
        }
    }
}

/// One frame from a device.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Ethernet or IP bytes.
    pub bytes: Bytes,
    /// How far the checksums have been looked at.
    pub checksum: ChecksumState,
    /// How many wire segments were merged into this frame; at least 1.
    pub segments: u16,
}

/// What the device knows of a frame's transport checksum.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum ChecksumState {
    /// Nothing: it must be verified.
    #[default]
    Unknown,
    /// It was verified below, or the frame never left this machine.
    Verified,
}

/// One frame to a device, already with Ethernet and IP headers. If it carries more payload than `gso_size`, the
/// device (or [`offload::split`]) cuts it into segments and finishes their headers.
#[derive(Clone, PartialEq, Debug)]
pub struct TxFrame {
    /// Where it goes out.
    pub iface: IfaceId,
    /// Link, IP and TCP headers.
    pub header: ArrayVec<u8, 128>,
    /// The payload, in order.
    pub payload: ArrayVec<Bytes, 16>,
    /// Payload bytes per wire segment, or 0 for a frame that is one segment or no TCP at all.
    pub gso_size: u16,
    /// Whose segment it is.
    pub socket: Option<SocketId>,
    /// Why it goes out.
    pub cause: Cause,
    /// What the sender knew at that moment, for captures with reasons.
    pub note: Option<Note>,
}

/// Why a frame goes out.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Cause {
    /// A TCP segment, for this reason.
    Tcp(tcp::Cause),
    /// Who has this address? (RFC 826, RFC 4861)
    NeighbourRequest,
    /// This host has it.
    NeighbourReply,
    /// An answer to ICMP echo.
    EchoReply,
    /// Another ICMP message.
    Icmp,
}

/// A sender's variables at the moment of sending, as captures with reasons carry them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Note {
    /// The state's name.
    pub state: State,
    /// Congestion window, segments.
    pub cwnd: u32,
    /// Slow-start threshold, segments.
    pub ssthresh: u32,
    /// Bytes in flight after this segment.
    pub in_flight: u64,
    /// Retransmission timeout.
    pub rto: Duration,
    /// Smoothed round-trip time, once measured.
    pub srtt: Option<Duration>,
}

/// Something an application may want to know of one of its sockets.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Event {
    /// A listener has a connection ready for [`Stack::accept`].
    Acceptable,
    /// Something happened on a connection.
    Tcp(tcp::Event),
}

/// Why a call on a [`Stack`] was refused.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum SocketError {
    /// The address and port are taken.
    AddressInUse,
    /// The address is not one of this host's.
    AddressNotAvailable,
    /// No interface leads there.
    NetworkUnreachable,
    /// Not an address that TCP can reach: multicast, broadcast, unspecified (MUST-46).
    InvalidAddress,
    /// All ephemeral ports towards this peer are taken.
    NoPorts,
    /// No such socket, or not of the kind that the call needs.
    BadSocket,
    /// The connection's own refusal.
    Connection(ConnError),
}

impl From<ConnError> for SocketError {
    fn from(e: ConnError) -> Self {
        SocketError::Connection(e)
    }
}

/// Counters, under the kernel's MIB names (RFC 4022 and `TcpExt`).
#[derive(Clone, Default, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the names are the kernel's")]
pub struct Counters {
    pub active_opens: u64,
    pub passive_opens: u64,
    pub attempt_fails: u64,
    pub estab_resets: u64,
    pub in_segs: u64,
    pub out_segs: u64,
    pub retrans_segs: u64,
    pub in_errs: u64,
    pub in_csum_errors: u64,
    pub out_rsts: u64,
    pub listen_overflows: u64,
    pub time_wait_reused: u64,
}

/// A host: interfaces, listeners, connections, and what is left of them.
#[derive(Clone, Debug)]
pub struct Stack {}

#[expect(unused_variables, missing_docs, clippy::todo, reason = "the room is being built")]
impl Stack {
    /// A host without interfaces. Every secret (initial sequence numbers, ports, hash keys) comes from `seed`.
    pub fn new(config: StackConfig, seed: [u8; 32], now: Instant) -> Self {
        todo!()
    }
    pub fn add_interface(&mut self, config: IfaceConfig) -> IfaceId {
        todo!()
    }
    /// A passive open. An unspecified address listens on every one of this host's of that version.
    pub fn listen(&mut self, local: SocketAddr, backlog: usize) -> Result<SocketId, SocketError> {
        todo!()
    }
    /// As `listen`, with settings of its own for the connections it accepts.
    pub fn listen_with(
        &mut self,
        local: SocketAddr,
        backlog: usize,
        config: tcp::Config,
    ) -> Result<SocketId, SocketError> {
        todo!()
    }
    /// The next established connection of a listener.
    pub fn accept(&mut self, listener: SocketId, now: Instant) -> Option<SocketId> {
        todo!()
    }
    /// An active open; without `local` the stack chooses address and port, with port 0 only the port.
    pub fn connect(
        &mut self,
        local: Option<SocketAddr>,
        remote: SocketAddr,
        now: Instant,
    ) -> Result<SocketId, SocketError> {
        todo!()
    }
    /// As `connect`, with settings of its own.
    pub fn connect_with(
        &mut self,
        local: Option<SocketAddr>,
        remote: SocketAddr,
        config: tcp::Config,
        now: Instant,
    ) -> Result<SocketId, SocketError> {
        todo!()
    }
    pub fn write(&mut self, socket: SocketId, data: &[u8], now: Instant) -> Result<usize, SocketError> {
        todo!()
    }
    pub fn write_urgent(&mut self, socket: SocketId, data: &[u8], now: Instant) -> Result<usize, SocketError> {
        todo!()
    }
    pub fn send_bytes(&mut self, socket: SocketId, data: &mut Bytes, now: Instant) -> Result<usize, SocketError> {
        todo!()
    }
    pub fn read(&mut self, socket: SocketId, out: &mut [u8], now: Instant) -> Result<Read, SocketError> {
        todo!()
    }
    pub fn recv_bytes(&mut self, socket: SocketId, now: Instant) -> Result<Option<Bytes>, SocketError> {
        todo!()
    }
    /// Closes our side; reading goes on (shutdown of the sending side). On a listener: stop listening.
    pub fn close(&mut self, socket: SocketId, now: Instant) -> Result<(), SocketError> {
        todo!()
    }
    /// The application lets go: closes as `close`, and the id is dead from here on.
    pub fn release(&mut self, socket: SocketId, now: Instant) {
        todo!()
    }
    pub fn abort(&mut self, socket: SocketId, now: Instant) -> Result<(), SocketError> {
        todo!()
    }
    pub fn state(&self, socket: SocketId) -> State {
        todo!()
    }
    /// The state of whatever has this four-tuple: connection, half-open or TIME-WAIT record, else LISTEN or CLOSED.
    pub fn state_of(&self, key: &FourTuple) -> State {
        todo!()
    }
    pub fn info(&self, socket: SocketId, now: Instant) -> Option<TcpInfo> {
        todo!()
    }
    pub fn close_reason(&self, socket: SocketId) -> Option<CloseReason> {
        todo!()
    }
    pub fn key(&self, socket: SocketId) -> Option<FourTuple> {
        todo!()
    }
    /// A frame from a device. Never panics, whatever the bytes.
    pub fn receive(&mut self, iface: IfaceId, frame: Frame, now: Instant) -> Verdict {
        todo!()
    }
    pub fn poll_transmit(&mut self, now: Instant) -> Option<TxFrame> {
        todo!()
    }
    pub fn poll_event(&mut self) -> Option<(SocketId, Event)> {
        todo!()
    }
    pub fn on_timeout(&mut self, now: Instant) {
        todo!()
    }
    pub fn next_timeout(&self) -> Option<Instant> {
        todo!()
    }
    pub fn counters(&self) -> &Counters {
        todo!()
    }
    /// How many connections, half-open records and TIME-WAIT records there are.
    pub fn population(&self) -> Population {
        todo!()
    }
}

/// How much a stack holds (I-28: all zero when everything is over).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Population {
    /// Connections with a TCB of their own.
    pub connections: usize,
    /// Half-open records in SYN queues.
    pub half_open: usize,
    /// TIME-WAIT records.
    pub time_wait: usize,
    /// Listeners.
    pub listeners: usize,
    /// Timers armed.
    pub timers: usize,
    /// Bytes charged for buffers.
    pub memory: usize,
}
