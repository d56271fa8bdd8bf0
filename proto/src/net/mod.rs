//! The host without devices.
//!
//! [`Stack`] is the table of contents: its public calls in the order in which a program meets them. What they stand
//! on lives in files of its own:
//!
//! | file | what it does |
//! |---|---|
//! | `link` | Ethernet, ARP; which frame waits for which neighbour (`neighbour`) |
//! | `ip` | what is for us, from whom it may come; headers and checksums of what we send; loopback |
//! | `packet` | packets that no connection sends, whole or in pieces |
//! | `pmtu` | what routers have said of the paths to other hosts |
//! | `reassembly` | packets that arrive in pieces |
//! | `icmp` | echo, neighbour discovery, errors |
//! | `segment` | from a four-tuple to whatever has it (`demux`): connection, half-open record, TIME-WAIT record, listener |
//! | `timewait` | the TIME-WAIT records |
//! | `open` | passive and active opens: addresses (`route`), ports (`port`), initial sequence numbers |
//! | `endpoint` | a connection, its holder, its timer (`wheel`), its events |
//! | `memory` | what all buffers cost together, and when that is too much |
//! | `offload` | bursts cut into segments, and segments merged, where a device does neither |

mod config;
mod counters;
pub(crate) mod demux;
mod endpoint;
mod error;
mod frame;
mod icmp;
mod ip;
mod link;
mod memory;
mod neighbour;
pub mod offload;
mod open;
mod packet;
mod pmtu;
mod port;
pub(crate) mod random;
mod reassembly;
mod route;
mod segment;
mod slab;
mod sysctl;
mod timewait;
pub(crate) mod wheel;

pub use config::{Cidr, HostConfig, IfaceConfig, IfaceId, InitialSequence, SocketId, StackConfig};
pub use counters::{Counters, Population};
pub use error::{Event, SocketError};
pub use frame::{Cause, ChecksumState, Frame, Note, TxChecksum, TxFrame};
pub use memory::MemorySteps;
pub use route::{Route, RouteError};
pub use sysctl::{SYSCTLS, Sysctl, SysctlError};

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use siphasher::sip::SipHasher13;

use crate::listen::{HalfOpen, IsnGenerator, Listeners};
use crate::tcp::{self, CloseReason, Connection, Read, Segment, State, TcpInfo, TxLimit, Verdict};
use crate::time::Instant;
use crate::wire::FourTuple;
use crate::wire::checksum::{self, SumFn};
use demux::{Demux, Slot};
use endpoint::{Endpoint, Socket};
use memory::Budget;
use neighbour::NeighbourCache;
use pmtu::PathCache;
use random::Random;
use reassembly::Reassembly;
use slab::Slab;
use timewait::TimeWaitTable;
use wheel::Wheel;

/// A host: interfaces, listeners, connections, and what is left of them.
///
/// The contract: feed every frame at hand to [`receive`](Self::receive), run [`on_timeout`](Self::on_timeout) if
/// [`next_timeout`](Self::next_timeout) has come, drain [`poll_transmit`](Self::poll_transmit), then
/// [`poll_event`](Self::poll_event), then sleep until [`next_timeout`](Self::next_timeout) or the next input.
#[derive(Clone, Debug)]
pub struct Stack {
    config: StackConfig,
    ifaces: Vec<IfaceConfig>,
    routes: Vec<Route>,
    /// The latest time that any call has named.
    now: Instant,
    /// What each four-tuple leads to.
    demux: Demux,
    sockets: Slab<Socket>,
    listeners: Listeners,
    half_open: Slab<HalfOpen>,
    time_wait: TimeWaitTable,
    neighbours: NeighbourCache,
    reassembly: Reassembly,
    paths: PathCache,
    icmp_limit: icmp::RateLimit,
    wheel: Wheel<TimerKey>,
    /// How many of the sockets are connections.
    connections: usize,
    /// What their buffers cost.
    budget: Budget,
    /// Connections that may have something to send.
    ready: VecDeque<u32>,
    /// Connections that may have an event to tell.
    eventful: VecDeque<u32>,
    /// Events of listeners.
    announced: VecDeque<(SocketId, Event)>,
    /// Frames of no connection: answers of small records, ARP, ICMP.
    outbox: VecDeque<TxFrame>,
    /// Segments to ourselves, with their four-tuple as the receiver sees it.
    looped: VecDeque<(FourTuple, Segment)>,
    isn: IsnGenerator,
    ports: Random,
    ids: Random,
    flow_hasher: SipHasher13,
    sum: SumFn,
    counters: Counters,
}

impl Stack {
    /// A host without interfaces. Every secret (initial sequence numbers, ports, hash keys) comes from `seed`.
    pub fn new(config: StackConfig, seed: [u8; 32], now: Instant) -> Self {
        let key = |purpose| random::derive(&seed, purpose);
        Stack {
            ifaces: Vec::new(),
            routes: Vec::new(),
            now,
            demux: Demux::new(&key("demux")),
            sockets: Slab::new(),
            listeners: Listeners::default(),
            half_open: Slab::new(),
            time_wait: TimeWaitTable::new(),
            neighbours: NeighbourCache::new(config.host.neighbour_lifetime),
            reassembly: Reassembly::new(),
            paths: PathCache::default(),
            icmp_limit: icmp::RateLimit::default(),
            wheel: Wheel::new(now),
            connections: 0,
            budget: Budget::default(),
            ready: VecDeque::new(),
            eventful: VecDeque::new(),
            announced: VecDeque::new(),
            outbox: VecDeque::new(),
            looped: VecDeque::new(),
            isn: IsnGenerator::new(&key("initial sequence numbers"), &key("timestamp offsets")),
            ports: Random::new(&key("ephemeral ports")),
            ids: Random::new(&key("identifications")),
            flow_hasher: SipHasher13::new_with_key(&key("flow labels")),
            sum: checksum::portable,
            counters: Counters::default(),
            config,
        }
    }

    /// Adds an interface.
    pub fn add_interface(&mut self, config: IfaceConfig) -> IfaceId {
        let id = IfaceId(u16::try_from(self.ifaces.len()).expect("fewer than 65,536 interfaces"));
        self.ifaces.push(config);
        id
    }

    /// Adds a way to networks that are not on our links. What goes to them from here on takes it, connections that
    /// exist keep the way that they have.
    pub fn add_route(&mut self, route: Route) -> Result<(), RouteError> {
        route::check(&self.ifaces, &route)?;
        self.routes.push(route);
        Ok(())
    }

    /// The routes, in the order in which they were added.
    pub fn routes(&self) -> &[Route] {
        &self.routes
    }

    /// Computes checksums with `sum` from here on: the fastest routine of the owner's processor.
    pub fn set_checksum(&mut self, sum: SumFn) {
        self.sum = sum;
    }

    /// A passive open. An unspecified address listens on every one of this host's of that version.
    pub fn listen(&mut self, local: SocketAddr, backlog: usize) -> Result<SocketId, SocketError> {
        self.listen_with(local, backlog, self.config.tcp.clone())
    }

    /// As `listen`, with settings of its own for the connections it accepts. Their MTU is the interface's.
    pub fn listen_with(
        &mut self,
        local: SocketAddr,
        backlog: usize,
        config: tcp::Config,
    ) -> Result<SocketId, SocketError> {
        self.open_passive(local, backlog, config)
    }

    /// The next established connection of a listener.
    pub fn accept(&mut self, listener: SocketId, now: Instant) -> Option<SocketId> {
        self.advance(now);
        self.take_accepted(listener)
    }

    /// An active open; without `local` the stack chooses address and port, with port 0 only the port.
    pub fn connect(
        &mut self,
        local: Option<SocketAddr>,
        remote: SocketAddr,
        now: Instant,
    ) -> Result<SocketId, SocketError> {
        self.connect_with(local, remote, self.config.tcp.clone(), now)
    }

    /// As `connect`, with settings of its own. The MTU is the interface's.
    pub fn connect_with(
        &mut self,
        local: Option<SocketAddr>,
        remote: SocketAddr,
        config: tcp::Config,
        now: Instant,
    ) -> Result<SocketId, SocketError> {
        self.advance(now);
        self.open_active(local, remote, config, now)
    }

    /// Queues data for sending: as much as fits. 0 means that the send buffer is full, and
    /// [`tcp::Event::Writable`] will come.
    pub fn write(&mut self, socket: SocketId, data: &[u8], now: Instant) -> Result<usize, SocketError> {
        Ok(self.with_connection(socket, now, |connection| connection.write(data, now))??)
    }

    /// As `write`, the parts being one write.
    pub fn write_vectored(&mut self, socket: SocketId, parts: &[&[u8]], now: Instant) -> Result<usize, SocketError> {
        Ok(self.with_connection(socket, now, |connection| connection.write_vectored(parts, now))??)
    }

    /// As `write`; the urgent pointer will point behind the last byte that was taken.
    pub fn write_urgent(&mut self, socket: SocketId, data: &[u8], now: Instant) -> Result<usize, SocketError> {
        Ok(self.with_connection(socket, now, |connection| connection.write_urgent(data, now))??)
    }

    /// As `write` without copying: what fits is taken off the front of `data`.
    pub fn send_bytes(&mut self, socket: SocketId, data: &mut Bytes, now: Instant) -> Result<usize, SocketError> {
        Ok(self.with_connection(socket, now, |connection| connection.send_bytes(data, now))??)
    }

    /// Takes received data out.
    pub fn read(&mut self, socket: SocketId, out: &mut [u8], now: Instant) -> Result<Read, SocketError> {
        Ok(self.with_connection(socket, now, |connection| connection.read(out, now))??)
    }

    /// As `read` without copying: `None` for nothing now, an empty chunk for the end of the stream.
    pub fn recv_bytes(&mut self, socket: SocketId, now: Instant) -> Result<Option<Bytes>, SocketError> {
        Ok(self.with_connection(socket, now, |connection| connection.recv_bytes(now))??)
    }

    /// As `recv_bytes`, and the chunk stays where it is.
    pub fn peek_bytes(&mut self, socket: SocketId, now: Instant) -> Result<Option<Bytes>, SocketError> {
        Ok(self.with_connection(socket, now, |connection| connection.peek_bytes(now))??)
    }

    /// Drops the next `len` received bytes, or what there is of them, as if they had been read.
    pub fn skip(&mut self, socket: SocketId, len: usize, now: Instant) -> Result<usize, SocketError> {
        Ok(self.with_connection(socket, now, |connection| connection.skip(len, now))??)
    }

    /// Closes our side; reading goes on (shutdown of the sending side). On a listener: stop listening; connections
    /// that nobody has accepted are aborted.
    pub fn close(&mut self, socket: SocketId, now: Instant) -> Result<(), SocketError> {
        if self.close_listener(socket, now) {
            return Ok(());
        }
        self.with_connection(socket, now, |connection| connection.close(now))
    }

    /// The application lets go: closes as `close`, and the id is dead from here on.
    pub fn release(&mut self, socket: SocketId, now: Instant) {
        if self.close_listener(socket, now) {
            return;
        }
        if self.with_connection(socket, now, |connection| connection.release(now)).is_ok() {
            self.disown(socket.index);
        }
    }

    /// Our side is closed, and nothing will be read any more, although the socket stays: new data resets the connection.
    pub fn refuse_data(&mut self, socket: SocketId, now: Instant) -> Result<(), SocketError> {
        self.with_connection(socket, now, Connection::refuse_data)
    }

    /// Resets the connection and drops everything queued. A connection that has reached TIME-WAIT is over already.
    pub fn abort(&mut self, socket: SocketId, now: Instant) -> Result<(), SocketError> {
        // DEVIATES: 9293 3.10.5: ABORT in TIME-WAIT leaves the record. It guards the next connection of these two
        // sockets, which no program may give away. Like Linux.
        self.with_connection(socket, now, |connection| connection.abort(now))
    }

    /// As [`abort`](Self::abort), whoever holds the connection: for a host that goes down. False if it is over already.
    pub fn destroy(&mut self, socket: SocketId, now: Instant) -> bool {
        self.abort_any(socket, now)
    }

    /// Changes settings of a connection that exists: Nagle, cork, keep-alive, user timeout, TTL, DiffServ code point...
    /// On a listener: what its later connections start from.
    //= 9293/MUST-48
    //= 9293/MUST-49
    //= 9293/SHLD-21
    pub fn configure(
        &mut self,
        socket: SocketId,
        change: impl FnOnce(&mut tcp::Config),
        now: Instant,
    ) -> Result<(), SocketError> {
        self.change_settings(socket, change, now)
    }

    /// How many connections may wait for `accept` from here on.
    pub fn set_backlog(&mut self, listener: SocketId, backlog: usize) -> Result<(), SocketError> {
        self.listener_of(listener).ok_or(SocketError::BadSocket)?.set_backlog(backlog);
        Ok(())
    }

    /// What was just written waits for a write that follows (MSG_MORE); false lifts that.
    pub fn set_more(&mut self, socket: SocketId, more: bool, now: Instant) -> Result<(), SocketError> {
        self.with_connection(socket, now, |connection| connection.set_more(more, now))
    }

    /// Acknowledges at once for a while, or else with data that may come soon (TCP_QUICKACK).
    pub fn set_quick_ack(&mut self, socket: SocketId, on: bool, now: Instant) -> Result<(), SocketError> {
        self.with_connection(socket, now, |connection| connection.set_quick_ack(on, now))
    }

    /// The state of a socket: LISTEN for a listener, CLOSED for an id that is dead.
    pub fn state(&self, socket: SocketId) -> State {
        if self.sockets.generation(socket.index) != socket.generation {
            return State::Closed;
        }
        match self.sockets.get(socket.index) {
            Some(Socket::Listener(_)) => State::Listen,
            // The record of a TIME-WAIT connection lives by itself; its name is the connection's as long as it does.
            Some(Socket::Connection(endpoint)) => match self.find(&endpoint.connection.key()) {
                Some(Slot::TimeWait(_)) => State::TimeWait,
                _ => endpoint.connection.state(),
            },
            None => State::Closed,
        }
    }

    /// The state of whatever has this four-tuple: connection, half-open or TIME-WAIT record, else LISTEN or CLOSED.
    pub fn state_of(&self, key: &FourTuple) -> State {
        self.state_of_key(key)
    }

    /// Everything worth knowing of a connection.
    pub fn info(&self, socket: SocketId, now: Instant) -> Option<TcpInfo> {
        self.held(socket).map(|endpoint| endpoint.connection.info(now))
    }

    /// A connection that an application holds, to look at.
    pub fn connection(&self, socket: SocketId) -> Option<&Connection> {
        self.held(socket).map(|endpoint| &endpoint.connection)
    }

    /// How the connection ended, once it has.
    pub fn close_reason(&self, socket: SocketId) -> Option<CloseReason> {
        self.held(socket)?.connection.close_reason()
    }

    /// The two sockets of a connection.
    pub fn key(&self, socket: SocketId) -> Option<FourTuple> {
        self.held(socket).map(|endpoint| endpoint.connection.key())
    }

    /// Where a listener listens, or our side of a connection.
    pub fn local_addr(&self, socket: SocketId) -> Option<SocketAddr> {
        match self.sockets.get(socket.index) {
            Some(Socket::Listener(listener)) if self.sockets.generation(socket.index) == socket.generation => {
                Some(listener.local)
            }
            _ => self.key(socket).map(|key| key.local()),
        }
    }

    /// The settings that new connections start from.
    pub fn config(&self) -> &StackConfig {
        &self.config
    }

    /// Changes the settings. What exists keeps those that it began with, as far as they are a connection's.
    pub fn set_config(&mut self, config: StackConfig) {
        self.config = config;
    }

    /// The latest time that any call has named.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// True if somebody waits to be accepted.
    pub fn is_acceptable(&self, listener: SocketId) -> bool {
        self.has_waiting(listener)
    }

    /// A port of this address that nobody listens on, that `is_free` too, and that nobody can foresee.
    pub fn choose_port(&mut self, addr: IpAddr, is_free: impl Fn(u16) -> bool) -> Option<u16> {
        self.unused_port(addr, is_free)
    }

    /// True if a connection, in whatever state and whoever holds it, has such a local address. Looks at all of them.
    pub fn has_connection_from(&self, is_such: impl Fn(SocketAddr) -> bool) -> bool {
        let connections = self.connections().map(|(_, connection)| connection);
        let live = connections.filter(|connection| connection.state() != State::Closed).map(Connection::key);
        live.chain(self.time_waits()).any(|key| is_such(key.local()))
    }

    /// True if `addr` is one of this host's.
    pub fn is_own_address(&self, addr: IpAddr) -> bool {
        route::owner(&self.ifaces, addr).is_some()
    }

    /// A frame from a device. Never panics, whatever the bytes.
    pub fn receive(&mut self, iface: IfaceId, frame: Frame, now: Instant) -> Verdict {
        self.advance(now);
        self.frame_arrives(iface, &frame, now).unwrap_or_else(Verdict::Dropped)
    }

    /// The next frame to send.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<TxFrame> {
        self.advance(now);
        loop {
            if let Some(frame) = self.outbox.pop_front() {
                return Some(frame);
            }
            if let Some((key, segment)) = self.looped.pop_front() {
                self.segment_arrives(&key, segment, now);
                continue;
            }
            let index = *self.ready.front()?;
            if let Some(frame) = self.poll_connection(index, now) {
                return Some(frame);
            }
        }
    }

    /// The next event for an application.
    pub fn poll_event(&mut self) -> Option<(SocketId, Event)> {
        self.announced.pop_front().or_else(|| self.next_event())
    }

    /// Runs every timer that is due at `now`.
    pub fn on_timeout(&mut self, now: Instant) {
        self.advance(now);
        while let Some(due) = self.wheel.expire(now) {
            match due {
                TimerKey::Connection(index) => self.on_connection_timeout(index, now),
                TimerKey::HalfOpen(index) => self.on_half_open_timeout(index, now),
                TimerKey::TimeWait(index) => {
                    self.time_wait.on_timeout(index);
                    self.remove_time_wait(index);
                }
                TimerKey::Neighbour(index) => self.on_neighbour_timeout(index, now),
                TimerKey::Reassembly(index) => self.on_reassembly_timeout(index, now),
            }
        }
    }

    /// When `on_timeout` wants to be called: exactly, and never too late. While output is waiting to be drained, that
    /// is at once.
    pub fn next_timeout(&self) -> Option<Instant> {
        if self.outbox.is_empty() && self.looped.is_empty() && self.ready.is_empty() {
            self.wheel.next()
        } else {
            Some(self.now)
        }
    }

    /// What this host has counted.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// How many connections, half-open records and TIME-WAIT records there are. Looks at every connection.
    pub fn population(&self) -> Population {
        self.count_population()
    }

    /// How many connections wait to be accepted, and how many may; `None` if the socket is no listener.
    pub fn accept_queue(&self, listener: SocketId) -> Option<(usize, usize)> {
        if self.sockets.generation(listener.index) != listener.generation {
            return None;
        }
        match self.sockets.get(listener.index)? {
            Socket::Listener(listener) => Some(listener.queue()),
            Socket::Connection(_) => None,
        }
    }

    /// Every connection that has a TCB of its own, in the order of their slots; for those that look after invariants.
    pub fn connections(&self) -> impl Iterator<Item = (SocketId, &Connection)> {
        self.sockets.iter().filter_map(|(index, socket)| match socket {
            Socket::Connection(endpoint) => Some((self.socket_id(index), &endpoint.connection)),
            Socket::Listener(_) => None,
        })
    }

    /// The four-tuple of every half-open record, in the order of their slots.
    pub fn half_opens(&self) -> impl Iterator<Item = FourTuple> {
        self.half_open.iter().map(|(_, record)| record.key)
    }

    /// The four-tuple of every TIME-WAIT record, in the order of their slots.
    pub fn time_waits(&self) -> impl Iterator<Item = FourTuple> {
        self.time_wait.iter().map(timewait::Record::key)
    }

    /// Time moves on; it never goes back.
    fn advance(&mut self, now: Instant) {
        self.now = self.now.max(now);
    }

    /// One burst of the connection at the head of the ready list, or what follows from its having none.
    fn poll_connection(&mut self, index: u32, now: Instant) -> Option<TxFrame> {
        let socket = self.socket_id(index);
        self.tell_path(index, now);
        let burst = self.endpoint(index).map_or(0, |endpoint| self.max_burst(endpoint));
        let endpoint = self.endpoint_mut(index);
        let transmit = endpoint.and_then(|endpoint| endpoint.connection.poll_transmit(now, TxLimit { burst }));
        let Some(transmit) = transmit else {
            self.ready.pop_front();
            self.settle(index, now);
            return None;
        };
        self.charge(index);
        let endpoint = self.endpoint(index)?;
        let (path, key) = (endpoint.path, endpoint.connection.key());
        let note = self.config.host.notes.then(|| Note::of(&endpoint.connection, now));
        self.send_segment(&path, &key, transmit, Some(socket), note, now)
    }

    /// How much payload one frame of this connection may carry.
    fn max_burst(&self, endpoint: &Endpoint) -> usize {
        let iface = endpoint.path.iface.and_then(|iface| self.ifaces.get(usize::from(iface.0)));
        iface.map_or(0, |iface| usize::try_from(iface.max_burst).unwrap_or(usize::MAX))
    }

    /// Queues a frame that belongs to no connection. What an owner who never drains does not take is lost, as on a
    /// full device.
    fn queue(&mut self, frame: TxFrame) {
        if self.outbox.len() < MAX_OUTBOX {
            self.outbox.push_back(frame);
        } else {
            self.counters.out_discards += 1;
        }
    }
}

/// Whose timer it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum TimerKey {
    Connection(u32),
    HalfOpen(u32),
    TimeWait(u32),
    Neighbour(u32),
    Reassembly(u32),
}

/// Answers that wait to be drained. Like Linux: the default length of a device's queue.
const MAX_OUTBOX: usize = 1000;
