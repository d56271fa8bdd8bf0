//! From a bare socket to a listener or a connection: bind, listen, accept, connect, and the names of both ends.
//!
//! Sections: Linux `bind(2)`, `listen(2)`, `accept(2)`, `connect(2)`, `ipv6(7)` (IPV6_V6ONLY); RFC 9293 3.9.1.1.
//! In: addresses that a program names, or leaves to us.
//! Out: what the stack opened; the kernel's refusals, in its order.

use alloc::boxed::Box;
use arrayvec::ArrayVec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::ready::Ready;
use super::sock::{Call, Domain, Role, Shut, Sock};
use super::{Errno, Fd, Sockets};
use crate::net::SocketId;
use crate::tcp::State;
use crate::time::Instant;

impl Sockets {
    /// `bind`.
    pub(super) fn take_bind(&mut self, fd: Fd, addr: SocketAddr) -> Result<(), Errno> {
        let sock = self.table.get(fd).ok_or(Errno::EBADF)?;
        match sock.domain {
            Domain::V4 if addr.is_ipv6() => return Err(Errno::EAFNOSUPPORT),
            Domain::V6 if addr.is_ipv4() => return Err(Errno::EINVAL),
            Domain::V4 | Domain::V6 => {}
        }
        let ip = addr.ip();
        let is_mapped = matches!(ip, IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some());
        if is_mapped && sock.v6_only {
            return Err(Errno::EINVAL);
        }
        //= 9293/MUST-43
        if !ip.is_unspecified() && !self.stack.is_own_address(ip.to_canonical()) {
            return Err(Errno::EADDRNOTAVAIL);
        }
        if self.state_of(sock) != State::Closed || sock.has_port {
            return Err(Errno::EINVAL);
        }
        let port = match addr.port() {
            0 => self.free_port(ip).ok_or(Errno::EADDRINUSE)?,
            port if self.is_taken(fd, sock, SocketAddr::new(ip, port)) => return Err(Errno::EADDRINUSE),
            port => port,
        };
        let sock = self.table.get_mut(fd).ok_or(Errno::EBADF)?;
        sock.local = Some(SocketAddr::new(ip, port));
        sock.port_locked = addr.port() != 0;
        self.take_port(fd, port);
        Ok(())
    }

    /// `listen`: so many connections may wait, and one more, as in the kernel.
    pub(super) fn take_listen(&mut self, fd: Fd, backlog: i32) -> Result<(), Errno> {
        self.check_up()?;
        let sock = self.table.get(fd).ok_or(Errno::EBADF)?;
        // Like Linux: a negative number is a very large one.
        let backlog = usize::try_from(backlog).unwrap_or(SOMAXCONN).min(SOMAXCONN) + 1;
        if sock.call != Call::Unconnected {
            return Err(Errno::EINVAL);
        }
        if let Role::Listening(listeners) = sock.role.clone() {
            return listeners.into_iter().try_for_each(|id| Ok(self.stack.set_backlog(id, backlog)?));
        }
        if self.state_of(sock) != State::Closed {
            return Err(Errno::EINVAL);
        }
        if !sock.has_port {
            let ip = sock.local.map_or_else(|| sock.unspecified(), |local| local.ip());
            self.take_bind(fd, SocketAddr::new(ip, 0))?;
        }
        let sock = self.table.get(fd).ok_or(Errno::EBADF)?;
        let Some(local) = sock.local else { return Err(Errno::EINVAL) };
        let is_dual = !sock.v6_only && matches!(local.ip(), IpAddr::V6(Ipv6Addr::UNSPECIFIED));
        let both = is_dual.then(|| SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), local.port()));
        let (locals, config) = ([Some(sock.to_stack(local)), both], sock.config.clone());
        let mut listeners = ArrayVec::new();
        for local in locals.into_iter().flatten() {
            match self.stack.listen_with(local, backlog, config.clone()) {
                Ok(id) => listeners.push(id),
                Err(error) => {
                    self.stop_listening(&listeners);
                    return Err(error.into());
                }
            }
        }
        for &listener in &listeners {
            self.owners.insert(listener, fd);
        }
        self.table.get_mut(fd).ok_or(Errno::EBADF)?.role = Role::Listening(listeners);
        Ok(())
    }

    /// `accept`.
    pub(super) fn take_accept(&mut self, fd: Fd, now: Instant) -> Result<(Fd, SocketAddr), Errno> {
        if self.table.is_full() {
            return Err(Errno::EMFILE);
        }
        let sock = self.table.get_mut(fd).ok_or(Errno::EBADF)?;
        let Role::Listening(listeners) = &mut sock.role else { return Err(Errno::EINVAL) };
        let stack = &mut self.stack;
        let id = listeners.iter().find_map(|&listener| stack.accept(listener, now)).ok_or(Errno::EAGAIN)?;
        // The other IP version comes first next time.
        listeners.reverse();
        let (key, config) = {
            let connection = stack.connection(id).ok_or(Errno::ECONNABORTED)?;
            (connection.key(), connection.config().clone())
        };
        let child = sock.accepted(id, config, sock.to_program(key.local()));
        let peer = sock.to_program(key.remote());
        let fd = self.table.insert(Box::new(child))?;
        self.owners.insert(id, fd);
        self.ports.insert((key.local_port, fd));
        Ok((fd, peer))
    }

    /// `connect`, which never waits: `EINPROGRESS`, and once the descriptor is writable a second call tells the outcome.
    pub(super) fn take_connect(&mut self, fd: Fd, remote: SocketAddr, now: Instant) -> Result<(), Errno> {
        let sock = self.table.get(fd).ok_or(Errno::EBADF)?;
        let state = self.state_of(sock);
        match sock.call {
            Call::Connected => Err(Errno::EISCONN),
            Call::Connecting if matches!(state, State::SynSent | State::SynReceived) => Err(Errno::EALREADY),
            Call::Connecting if state == State::Closed => {
                // Refused, timed out, or reset: the socket is as before the first call.
                let error = self.take_pending(fd).unwrap_or(Errno::ECONNABORTED);
                self.dissolve(fd, now);
                Err(error)
            }
            Call::Connecting => {
                self.table.get_mut(fd).ok_or(Errno::EBADF)?.call = Call::Connected;
                Ok(())
            }
            Call::Unconnected if state != State::Closed => Err(Errno::EISCONN),
            Call::Unconnected => self.start_connect(fd, remote, now),
        }
    }

    fn start_connect(&mut self, fd: Fd, remote: SocketAddr, now: Instant) -> Result<(), Errno> {
        self.check_up()?;
        let sock = self.table.get(fd).ok_or(Errno::EBADF)?;
        match sock.domain {
            Domain::V4 if remote.is_ipv6() => return Err(Errno::EAFNOSUPPORT),
            Domain::V6 if remote.is_ipv4() => return Err(Errno::EINVAL),
            Domain::V4 | Domain::V6 => {}
        }
        // Like Linux: nowhere in particular is this host.
        let localhost: IpAddr = match remote.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        };
        let ip = if remote.ip().is_unspecified() { localhost } else { remote.ip() };
        let to = sock.to_stack(SocketAddr::new(ip, remote.port()));
        if sock.domain == Domain::V6 && to.is_ipv4() && sock.v6_only {
            return Err(Errno::ENETUNREACH);
        }
        if remote.port() == 0 {
            // Nobody can listen there.
            return Err(Errno::ECONNREFUSED);
        }
        let local = sock.local.map(|local| {
            let port = if sock.has_port { local.port() } else { 0 };
            (sock.to_stack(SocketAddr::new(local.ip(), port)), local.ip().is_unspecified())
        });
        let local = match local {
            // An address of the other version: the kernel's two answers.
            Some((local, false)) if local.is_ipv4() != to.is_ipv4() => {
                return Err(if local.is_ipv4() { Errno::EAFNOSUPPORT } else { Errno::ENETUNREACH });
            }
            Some((local, true)) => Some(SocketAddr::new(unspecified_like(to.ip()), local.port())),
            Some((local, false)) => Some(local),
            None => None,
        };
        let config = sock.config.clone();
        let id = self.stack.connect_with(local, to, config, now).map_err(Errno::of_connect)?;
        let local = self.stack.local_addr(id);
        let sock = self.table.get_mut(fd).ok_or(Errno::EBADF)?;
        sock.role = Role::Connection(id);
        sock.call = Call::Connecting;
        sock.end_told = false;
        sock.local = local.map(|local| sock.to_program(local));
        self.owners.insert(id, fd);
        if let Some(local) = local {
            self.take_port(fd, local.port());
        }
        Err(Errno::EINPROGRESS)
    }

    /// `getsockname`.
    pub(super) fn name_of(&self, fd: Fd) -> Result<SocketAddr, Errno> {
        let sock = self.table.get(fd).ok_or(Errno::EBADF)?;
        Ok(sock.local.unwrap_or_else(|| SocketAddr::new(sock.unspecified(), 0)))
    }

    /// `getpeername`.
    pub(super) fn peer_of(&self, fd: Fd) -> Result<SocketAddr, Errno> {
        let sock = self.table.get(fd).ok_or(Errno::EBADF)?;
        let connection = self.connection_of(sock).ok_or(Errno::ENOTCONN)?;
        if matches!(connection.state(), State::Closed | State::SynSent) {
            return Err(Errno::ENOTCONN);
        }
        Ok(sock.to_program(connection.key().remote()))
    }

    /// The opening of a connection fails for this reason.
    pub(super) fn fail_open(&mut self, fd: Fd, error: Errno) {
        let now = self.stack.now();
        if let Some(sock) = self.table.get_mut(fd)
            && let Role::Connection(id) = sock.role
        {
            sock.error = Some(error);
            sock.end_told = true;
            // A socket without a connection has nothing to abort.
            let _ = self.stack.abort(id, now);
            self.wake(fd, Ready::ALL);
        }
    }

    /// What the stack has of the socket goes; the socket is as it was before `connect` or `listen`.
    pub(super) fn dissolve(&mut self, fd: Fd, now: Instant) {
        let Some(sock) = self.table.get_mut(fd) else { return };
        let role = core::mem::replace(&mut sock.role, Role::Idle);
        sock.call = Call::Unconnected;
        sock.shut = Shut::default();
        sock.end_told = false;
        (sock.urgent_seen, sock.urgent_read) = (None, None);
        if !sock.port_locked && core::mem::take(&mut sock.has_port) {
            let port = sock.local.map_or(0, |local| local.port());
            self.ports.remove(&(port, fd));
        }
        match role {
            Role::Idle => {}
            Role::Listening(listeners) => self.stop_listening(&listeners),
            Role::Connection(id) => {
                self.owners.remove(&id);
                // It may be over already.
                let _ = self.stack.abort(id, now);
                self.stack.release(id, now);
            }
        }
    }

    pub(super) fn stop_listening(&mut self, listeners: &[SocketId]) {
        let now = self.stack.now();
        for &listener in listeners {
            self.owners.remove(&listener);
            self.stack.release(listener, now);
        }
    }

    fn take_port(&mut self, fd: Fd, port: u16) {
        if let Some(sock) = self.table.get_mut(fd) {
            sock.has_port = true;
            self.ports.insert((port, fd));
        }
    }

    /// A port that no other socket has.
    fn free_port(&mut self, ip: IpAddr) -> Option<u16> {
        let ports = &self.ports;
        let is_free = |port| ports.range((port, Fd(0))..=(port, Fd(u32::MAX))).next().is_none();
        self.stack.choose_port(ip.to_canonical(), is_free)
    }

    /// True if another socket is in the way of binding to `addr`.
    //= 9293/MUST-41
    fn is_taken(&self, fd: Fd, sock: &Sock, addr: SocketAddr) -> bool {
        let port = addr.port();
        let others = self.ports.range((port, Fd(0))..=(port, Fd(u32::MAX))).filter(|(_, other)| *other != fd);
        let by_socket = others.filter_map(|(_, other)| self.table.get(*other)).any(|other| {
            let may_share = sock.reuse_port && other.reuse_port
                || sock.reuse_addr && other.reuse_addr && !matches!(other.role, Role::Listening(_));
            let theirs = other.local.map_or(other.unspecified(), |local| local.ip());
            !may_share && overlaps((theirs, other.v6_only), (addr.ip(), sock.v6_only))
        });
        // What is left of closed connections keeps the port, too, unless the program says that it knows.
        let (ip, any) = (addr.ip().to_canonical(), addr.ip().is_unspecified());
        let by_remains = |local: SocketAddr| local.port() == port && (any || local.ip() == ip);
        by_socket || !sock.reuse_addr && !sock.reuse_port && self.stack.has_connection_from(by_remains)
    }
}

/// Whether two local addresses stand for one address at least; each with its `IPV6_V6ONLY`.
fn overlaps((a, a_only): (IpAddr, bool), (b, b_only): (IpAddr, bool)) -> bool {
    let covers = |ip: IpAddr, only: bool, other: IpAddr| match ip {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => other.to_canonical().is_ipv4(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => !only || !other.to_canonical().is_ipv4(),
        _ => ip.to_canonical() == other.to_canonical(),
    };
    covers(a, a_only, b) || covers(b, b_only, a)
}

const fn unspecified_like(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    }
}

/// `net.core.somaxconn`.
const SOMAXCONN: usize = 4096;
