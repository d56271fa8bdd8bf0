//! Passive and active opens.
//!
//! Sections: RFC 9293 3.9.1.1 (OPEN); RFC 6056; RFC 6191 and RFC 9293 3.6.1 (reuse of TIME-WAIT).
//! In: the addresses that a program names, or leaves to us.
//! Out: a listener or a connection, or why there is none.

use core::net::{IpAddr, SocketAddr};

use super::demux::Slot;
use super::endpoint::{Endpoint, Owner, Socket};
use super::route::{self, Way};
use super::{SocketError, SocketId, Stack, port};
use crate::listen::Listener;
use crate::tcp::{Config, Connection};
use crate::time::Instant;
use crate::wire::{FourTuple, Seq};

impl Stack {
    /// OPEN, passive.
    pub(super) fn open_passive(
        &mut self,
        local: SocketAddr,
        backlog: usize,
        config: Config,
    ) -> Result<SocketId, SocketError> {
        //= 9293/MUST-43
        if !local.ip().is_unspecified() && route::owner(&self.ifaces, local.ip()).is_none() {
            return Err(SocketError::AddressNotAvailable);
        }
        let local = match local.port() {
            0 => {
                let port = self.unused_port(local.ip(), |_| true).ok_or(SocketError::NoPorts)?;
                SocketAddr::new(local.ip(), port)
            }
            _ => local,
        };
        // Connections from or to the port do not matter, in whatever state they are.
        //= 9293/MUST-41
        //= 9293/MUST-42
        if self.listeners.is_taken(local) {
            return Err(SocketError::AddressInUse);
        }
        let listener = Listener::new(local, backlog, config);
        let index = self.sockets.insert(Socket::Listener(listener.into()));
        self.listeners.insert(local, index);
        Ok(self.socket_id(index))
    }

    /// A port that nobody listens on at `addr`, and that `is_free`.
    pub(super) fn unused_port(&mut self, addr: IpAddr, is_free: impl Fn(u16) -> bool) -> Option<u16> {
        let (range, listeners) = (self.config.host.local_port_range, &self.listeners);
        let is_free = |port| !listeners.is_taken(SocketAddr::new(addr, port)) && is_free(port);
        port::choose(range, &mut self.ports, is_free)
    }

    /// True if somebody waits in this listener's accept queue.
    pub(super) fn has_waiting(&self, listener: SocketId) -> bool {
        let is_current = self.sockets.generation(listener.index) == listener.generation;
        is_current
            && matches!(self.sockets.get(listener.index), Some(Socket::Listener(listener)) if listener.has_waiting())
    }

    /// The first connection of a listener's accept queue becomes the application's.
    pub(super) fn take_accepted(&mut self, listener: SocketId) -> Option<SocketId> {
        if self.sockets.generation(listener.index) != listener.generation {
            return None;
        }
        let index = self.listener_mut(listener.index)?.pop()?;
        self.endpoint_mut(index)?.owner = Owner::Application;
        // What happened before is told now.
        self.touch(index);
        Some(self.socket_id(index))
    }

    /// CLOSE of a listener. False if the socket is none.
    pub(super) fn close_listener(&mut self, socket: SocketId, now: Instant) -> bool {
        if self.sockets.generation(socket.index) != socket.generation
            || !matches!(self.sockets.get(socket.index), Some(Socket::Listener(_)))
        {
            return false;
        }
        self.advance(now);
        let half_open = self.half_open.iter().filter(|(_, record)| record.listener == socket.index);
        let half_open: alloc::vec::Vec<u32> = half_open.map(|(index, _)| index).collect();
        half_open.into_iter().for_each(|index| self.remove_half_open(index));
        if let Some(Socket::Listener(mut listener)) = self.sockets.remove(socket.index) {
            self.listeners.remove(listener.local);
            while let Some(index) = listener.pop() {
                if let Some(endpoint) = self.endpoint_mut(index) {
                    endpoint.connection.abort(now);
                    self.disown(index);
                }
            }
        }
        true
    }

    /// OPEN, active.
    pub(super) fn open_active(
        &mut self,
        local: Option<SocketAddr>,
        remote: SocketAddr,
        config: Config,
        now: Instant,
    ) -> Result<SocketId, SocketError> {
        //= 9293/MUST-46
        if !route::is_host(&self.ifaces, remote.ip()) || remote.port() == 0 {
            return Err(SocketError::InvalidAddress);
        }
        let (local_ip, local_port) = local.map_or((None, 0), |local| (Some(local.ip()), local.port()));
        let local_ip = self.source(local_ip.filter(|ip| !ip.is_unspecified()), remote.ip())?;
        let key = |port| FourTuple::new(SocketAddr::new(local_ip, port), remote);
        let key = match local_port {
            0 => key(self.ephemeral_port(local_ip, remote, now).ok_or(SocketError::NoPorts)?),
            port if self.is_free(&key(port), now) => key(port),
            _ => return Err(SocketError::AddressInUse),
        };
        let path = self.path(&key, &config).ok_or(SocketError::NetworkUnreachable)?;

        let above = self.take_over_time_wait(&key);
        let iss = self.initial_sequence(&key, above, now);
        let ts_offset = self.isn.timestamp_offset(key.local_ip, key.remote_ip);
        let config = Config { mtu: path.mtu, ..config };
        let connection = Connection::connect(&config, key, iss, ts_offset, now);
        let index = self.adopt(Endpoint::new(connection, path, Owner::Application));
        self.counters.active_opens += 1;
        self.touch(index);
        Ok(self.socket_id(index))
    }

    /// The address that our side speaks from: the one asked for, or the one whose network the peer or its
    /// router is in. The connection keeps it.
    //= 9293/MUST-44
    //= 9293/MUST-45
    fn source(&self, wanted: Option<IpAddr>, remote: IpAddr) -> Result<IpAddr, SocketError> {
        match wanted {
            Some(ip) if ip.is_ipv4() != remote.is_ipv4() => Err(SocketError::InvalidAddress),
            Some(ip) if route::owner(&self.ifaces, ip).is_none() => Err(SocketError::AddressNotAvailable),
            wanted => match self.way(remote, wanted).ok_or(SocketError::NetworkUnreachable)? {
                Way::Loopback => Ok(wanted.unwrap_or(remote)),
                Way::Out { source, .. } => Ok(wanted.unwrap_or(source)),
            },
        }
    }

    /// A port that leads from `local` to `remote` nowhere yet, that nobody listens on, and that nobody can foresee.
    fn ephemeral_port(&mut self, local: IpAddr, remote: SocketAddr, now: Instant) -> Option<u16> {
        let mut random = self.ports.clone();
        let port = port::choose(self.config.host.local_port_range, &mut random, |port| {
            let local = SocketAddr::new(local, port);
            local != remote && self.listeners.find(local).is_none() && self.is_free(&FourTuple::new(local, remote), now)
        });
        self.ports = random;
        port
    }

    /// True if nothing has this four-tuple, or only a TIME-WAIT record that may give way.
    fn is_free(&self, key: &FourTuple, now: Instant) -> bool {
        match self.find(key) {
            None => true,
            Some(Slot::TimeWait(index)) => {
                let record = self.time_wait.get(index);
                self.config.host.tw_reuse && record.is_some_and(|record| record.may_reuse(now))
            }
            Some(Slot::Connection(_) | Slot::HalfOpen(_)) => false,
        }
    }

    /// Forgets the TIME-WAIT record of this four-tuple, and gives the sequence number that its successor has to start
    /// beyond.
    //= 6191#3
    fn take_over_time_wait(&mut self, key: &FourTuple) -> Option<Seq> {
        let Some(Slot::TimeWait(index)) = self.find(key) else { return None };
        let end = self.time_wait.get(index)?.snd_nxt();
        self.remove_time_wait(index);
        self.counters.time_wait_reused += 1;
        Some(end)
    }
}
