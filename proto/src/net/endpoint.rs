//! A connection as the host sees it: who holds it, which way its packets go, whether it has work to do.
//!
//! Sections: RFC 9293 3.9.1 (the user's calls), 3.9.2 (TTL, DiffServ), 3.10.8 (timeouts).
//! In: a connection that something happened to.
//! Out: its timer armed, its events announced, its TIME-WAIT record taken over, its place freed when all is done.

use alloc::boxed::Box;
use core::net::IpAddr;

use super::demux::Slot;
use super::pmtu::PathEntry;
use super::route::Way;
use super::wheel::TimerId;
use super::{Event, IfaceId, Population, SocketError, SocketId, Stack, StackConfig, TimerKey};
use crate::listen::Listener;
use crate::tcp::{CloseReason, Config, Connection, Pressure, State};
use crate::time::Instant;
use crate::wire::FourTuple;

/// What a [`SocketId`] names.
#[derive(Clone, Debug)]
pub(super) enum Socket {
    Listener(Box<Listener>),
    Connection(Box<Endpoint>),
}

/// A connection and what the host knows of it.
#[derive(Clone, Debug)]
pub(super) struct Endpoint {
    pub(super) connection: Connection,
    pub(super) path: Path,
    pub(super) owner: Owner,
    pub(super) timer: Option<TimerId>,
    /// Up to which version of the path cache it knows of its path.
    path_version: Option<u32>,
    /// What its buffers cost, as the host's budget has it.
    charged: usize,
    /// It is in the list of those that may have something to send.
    is_ready: bool,
    /// It is in the list of those that may have an event to tell.
    is_eventful: bool,
    /// Its four-tuple leads elsewhere by now, or nowhere.
    is_detached: bool,
    /// The state in which it last settled.
    settled: State,
}

/// Who holds a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Owner {
    /// The accept queue of this listener.
    Listener(u32),
    Application,
    Nobody,
}

/// The way of a connection's packets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Path {
    /// Where they go out; `None` for one of our own addresses.
    pub(super) iface: Option<IfaceId>,
    /// The neighbour that they are handed to: the peer, or a router.
    pub(super) next_hop: IpAddr,
    /// The largest IP packet on it.
    pub(super) mtu: u16,
    /// Time to live or hop limit.
    pub(super) ttl: u8,
    /// Differentiated services code point.
    pub(super) dscp: u8,
    /// IPv6's, 20 bits.
    pub(super) flow_label: u32,
    /// Routers may cut its IPv4 packets.
    pub(super) may_fragment: bool,
}

impl Path {
    /// Packets carry the TTL and the code point that a connection's settings name, or the host's.
    fn mark_as(&mut self, config: &Config, host: &StackConfig) {
        self.ttl = config.ttl.unwrap_or(host.host.default_ttl).max(1);
        self.dscp = config.dscp & 0x3f;
    }
}

impl Endpoint {
    pub(super) fn new(connection: Connection, path: Path, owner: Owner) -> Box<Self> {
        Box::new(Endpoint {
            settled: connection.state(),
            connection,
            path,
            owner,
            timer: None,
            path_version: None,
            charged: 0,
            is_ready: false,
            is_eventful: false,
            is_detached: false,
        })
    }
}

impl Stack {
    /// The way of packets with this four-tuple.
    pub(super) fn path(&self, key: &FourTuple, config: &Config) -> Option<Path> {
        let (iface, next_hop, mtu) = match self.way(key.remote_ip, Some(key.local_ip))? {
            Way::Loopback => (None, key.remote_ip, LOOPBACK_MTU),
            //= 9293/SHLD-6
            Way::Out { iface, next_hop, .. } => (Some(iface), next_hop, self.ifaces.get(usize::from(iface.0))?.mtu),
        };
        let flow_label = if key.remote_ip.is_ipv6() { self.flow_label(key) } else { 0 };
        let mut path =
            Path { iface, next_hop, mtu, ttl: 0, dscp: 0, flow_label, may_fragment: self.config.host.no_pmtu_disc > 0 };
        path.mark_as(config, &self.config);
        Some(path)
    }

    /// Tells a connection what has been learnt of its path since it last heard.
    pub(super) fn tell_path(&mut self, index: u32, now: Instant) {
        let Some(Socket::Connection(endpoint)) = self.sockets.get_mut(index) else { return };
        let version = Some(self.paths.version());
        if endpoint.path_version == version || endpoint.path.iface.is_none() {
            return;
        }
        let is_new = endpoint.path_version.is_none();
        endpoint.path_version = version;
        match self.paths.find(endpoint.connection.key().remote_ip, now) {
            Some(path) => {
                endpoint.path.may_fragment |= path.may_fragment;
                endpoint.connection.set_path_mtu(Some((path.mtu, path.until)));
            }
            None if is_new => {}
            None => endpoint.connection.set_path_mtu(None),
        }
    }

    /// What a connection has learnt of its path is worth knowing for others.
    pub(super) fn learn_path(&mut self, index: u32, may_fragment: bool, now: Instant) {
        let until = now + self.config.host.mtu_expires;
        if let Some(Socket::Connection(endpoint)) = self.sockets.get_mut(index)
            && let Some(mtu) = endpoint.connection.take_path_mtu()
        {
            let may_fragment = may_fragment || mtu <= self.config.host.min_pmtu && endpoint.path.next_hop.is_ipv4();
            endpoint.path.may_fragment |= may_fragment;
            let dst = endpoint.connection.key().remote_ip;
            self.paths.learn(dst, PathEntry { mtu, until, may_fragment });
        }
    }

    /// Changes the settings of a connection or a listener.
    pub(super) fn change_settings(
        &mut self,
        socket: SocketId,
        change: impl FnOnce(&mut Config),
        now: Instant,
    ) -> Result<(), SocketError> {
        if let Some(listener) = self.listener_of(socket) {
            change(&mut listener.config);
            return Ok(());
        }
        self.with_connection(socket, now, |connection| connection.configure(change, now))?;
        if let Some(Socket::Connection(endpoint)) = self.sockets.get_mut(socket.index) {
            endpoint.path.mark_as(endpoint.connection.config(), &self.config);
        }
        Ok(())
    }

    /// Takes a new connection in, and leads its four-tuple to it.
    pub(super) fn adopt(&mut self, endpoint: Box<Endpoint>) -> u32 {
        let key = endpoint.connection.key();
        let index = self.sockets.insert(Socket::Connection(endpoint));
        self.connections += 1;
        self.demux.insert(&key, Slot::Connection(index));
        index
    }

    pub(super) fn socket_id(&self, index: u32) -> SocketId {
        SocketId { index, generation: self.sockets.generation(index) }
    }

    pub(super) fn endpoint(&self, index: u32) -> Option<&Endpoint> {
        match self.sockets.get(index) {
            Some(Socket::Connection(endpoint)) => Some(endpoint),
            _ => None,
        }
    }

    pub(super) fn endpoint_mut(&mut self, index: u32) -> Option<&mut Endpoint> {
        match self.sockets.get_mut(index) {
            Some(Socket::Connection(endpoint)) => Some(endpoint),
            _ => None,
        }
    }

    pub(super) fn listener_mut(&mut self, index: u32) -> Option<&mut Listener> {
        match self.sockets.get_mut(index) {
            Some(Socket::Listener(listener)) => Some(listener),
            _ => None,
        }
    }

    /// The listener that an application holds under this id.
    pub(super) fn listener_of(&mut self, socket: SocketId) -> Option<&mut Listener> {
        let is_current = self.sockets.generation(socket.index) == socket.generation;
        self.listener_mut(socket.index).filter(|_| is_current)
    }

    /// The connection that an application holds under this id.
    pub(super) fn held(&self, socket: SocketId) -> Option<&Endpoint> {
        let is_current = self.sockets.generation(socket.index) == socket.generation;
        self.endpoint(socket.index).filter(|endpoint| is_current && endpoint.owner == Owner::Application)
    }

    pub(super) fn held_mut(&mut self, socket: SocketId) -> Result<&mut Endpoint, SocketError> {
        self.held(socket).ok_or(SocketError::BadSocket)?;
        self.endpoint_mut(socket.index).ok_or(SocketError::BadSocket)
    }

    /// Does something to a connection that an application holds.
    pub(super) fn with_connection<T>(
        &mut self,
        socket: SocketId,
        now: Instant,
        call: impl FnOnce(&mut Connection) -> T,
    ) -> Result<T, SocketError> {
        self.advance(now);
        let pressure = self.pressure();
        let connection = &mut self.held_mut(socket)?.connection;
        connection.set_pressure(pressure);
        let result = call(connection);
        self.touch(socket.index);
        Ok(result)
    }

    /// Aborts a connection, whoever holds it.
    pub(super) fn abort_any(&mut self, socket: SocketId, now: Instant) -> bool {
        if matches!(self.state(socket), State::Closed | State::Listen | State::TimeWait) {
            return false;
        }
        self.advance(now);
        if let Some(endpoint) = self.endpoint_mut(socket.index) {
            endpoint.connection.abort(now);
            self.touch(socket.index);
        }
        true
    }

    /// Something happened to this connection: it will be asked for output and events.
    pub(super) fn touch(&mut self, index: u32) {
        let Some(Socket::Connection(endpoint)) = self.sockets.get_mut(index) else { return };
        if !endpoint.is_ready {
            endpoint.is_ready = true;
            self.ready.push_back(index);
        }
        self.charge(index);
    }

    /// What the connection's buffers cost may have changed.
    pub(super) fn charge(&mut self, index: u32) {
        let Some(Socket::Connection(endpoint)) = self.sockets.get_mut(index) else { return };
        let memory = endpoint.connection.memory();
        if memory != endpoint.charged {
            let before = core::mem::replace(&mut endpoint.charged, memory);
            self.recharge(before, memory);
        }
    }

    /// How short of memory this host is.
    pub(super) fn pressure(&self) -> Pressure {
        self.budget.pressure(&self.config.host.mem)
    }

    fn recharge(&mut self, before: usize, after: usize) {
        if self.budget.recharge(before, after, &self.config.host.mem) {
            self.counters.memory_pressures += 1;
        }
    }

    /// The connection has nothing more to send now: what follows from that.
    pub(super) fn settle(&mut self, index: u32, now: Instant) {
        let Some(Socket::Connection(endpoint)) = self.sockets.get_mut(index) else { return };
        endpoint.is_ready = false;
        if !endpoint.is_eventful && endpoint.owner == Owner::Application {
            endpoint.is_eventful = true;
            self.eventful.push_back(index);
        }
        let time_wait = endpoint.connection.take_time_wait(now);
        match endpoint.connection.next_timeout() {
            Some((at, _)) => self.wheel.arm(&mut endpoint.timer, TimerKey::Connection(index), at),
            None => self.wheel.cancel(&mut endpoint.timer),
        }
        let is_finished = endpoint.connection.is_finished();
        if !is_finished {
            endpoint.settled = endpoint.connection.state();
        }
        if let Some(record) = time_wait {
            endpoint.is_detached = true;
            self.enter_time_wait(index, &record, now);
        }
        if is_finished {
            self.on_finished(index);
        }
    }

    /// What an application may hear next of its connections.
    pub(super) fn next_event(&mut self) -> Option<(SocketId, Event)> {
        while let Some(&index) = self.eventful.front() {
            if let Some(endpoint) = self.endpoint_mut(index) {
                if let Some(event) = endpoint.connection.poll_event() {
                    return Some((self.socket_id(index), Event::Tcp(event)));
                }
                endpoint.is_eventful = false;
            }
            self.eventful.pop_front();
        }
        None
    }

    /// The application lets go: nothing of the connection is its own any more.
    pub(super) fn disown(&mut self, index: u32) {
        if let Some(endpoint) = self.endpoint_mut(index) {
            endpoint.owner = Owner::Nobody;
            self.touch(index);
        }
    }

    pub(super) fn on_connection_timeout(&mut self, index: u32, now: Instant) {
        if let Some(endpoint) = self.endpoint_mut(index) {
            endpoint.timer = None;
            endpoint.connection.on_timeout(now);
            self.learn_path(index, false, now);
            self.touch(index);
        }
    }

    pub(super) fn count_population(&self) -> Population {
        Population {
            connections: self.connections,
            half_open: self.half_open.len(),
            time_wait: self.time_wait.len(),
            listeners: self.listeners.len(),
            timers: self.wheel.len(),
            memory: self.budget.charged() + self.reassembly.memory(),
        }
    }

    /// The connection is over and has sent its last: its four-tuple is free, and its place, too, if nobody holds it.
    fn on_finished(&mut self, index: u32) {
        let Some(endpoint) = self.endpoint_mut(index) else { return };
        let was_attached = !core::mem::replace(&mut endpoint.is_detached, true);
        let (owner, key) = (endpoint.owner, endpoint.connection.key());
        let (settled, reason) = (endpoint.settled, endpoint.connection.close_reason());
        if was_attached {
            self.demux.remove(&key, Slot::Connection(index));
            match settled {
                _ if reason == Some(CloseReason::Normal) => {}
                State::SynSent | State::SynReceived => self.counters.attempt_fails += 1,
                State::Established | State::CloseWait => self.counters.estab_resets += 1,
                _ => {}
            }
        }
        // Like Linux: who has connected will be accepted, even if only to hear how it ended.
        if owner != Owner::Nobody {
            return;
        }
        if let Some(Socket::Connection(mut endpoint)) = self.sockets.remove(index) {
            self.wheel.cancel(&mut endpoint.timer);
            self.connections -= 1;
            self.recharge(endpoint.charged, 0);
        }
    }
}

/// The largest IPv4 packet.
const LOOPBACK_MTU: u16 = u16::MAX;

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;
    use core::net::SocketAddr;

    use super::*;
    use crate::net::{Cidr, IfaceConfig, StackConfig};

    /// A host with so many connections to itself, all of them idle.
    fn host(connections: usize, now: Instant) -> (Stack, Vec<(SocketId, SocketId)>) {
        let mut stack = Stack::new(StackConfig::default(), [7; 32], now);
        let server: SocketAddr = "192.0.2.1:80".parse().expect("an address");
        let addrs = Vec::from([Cidr { addr: server.ip(), prefix: 24 }]);
        stack.add_interface(IfaceConfig { mac: None, mtu: 1500, addrs, max_burst: 0, checksum_offload: false });
        let listener = stack.listen(server, 8).expect("a free port");
        let open = |_| {
            let client = stack.connect(None, server, now).expect("a free port");
            assert_eq!(stack.poll_transmit(now), None, "nothing leaves this host");
            (client, stack.accept(listener, now).expect("the handshake is complete"))
        };
        let pairs = (0..connections).map(open).collect();
        assert_eq!(stack.poll_transmit(now), None);
        while stack.poll_event().is_some() {}
        (stack, pairs)
    }

    /// What the stack does depends on what happened, not on how many connections there are: every call walks these
    /// lists, and nothing else.
    #[test]
    fn idle_connections_stand_on_no_list() {
        let now = Instant::from_nanos(1_000_000_000);
        let (mut stack, pairs) = host(200, now);
        assert_eq!((stack.ready.len(), stack.eventful.len(), stack.announced.len(), stack.wheel.len()), (0, 0, 0, 0));
        let (client, server) = pairs[77];
        stack.write(client, b"x", now).expect("open");
        assert_eq!(stack.ready, [client.index]);
        assert_eq!(stack.poll_transmit(now), None);
        let mut told = Vec::from_iter(stack.eventful.iter().copied());
        told.sort_unstable();
        assert_eq!(told, [client.index, server.index]);
        assert!(stack.ready.is_empty());
    }
}
