//! What is not a connection yet: listeners, half-open records, initial sequence numbers.
//!
//! Sections: RFC 9293 3.9.1.1 (passive OPEN), 3.10.7.2 (LISTEN); RFC 4987 3.2, 3.4 (backlog, SYN cache).
//! In: passive opens; segments that no connection claims.
//! Out: what a segment to a listener deserves; connections that wait to be accepted.

mod half_open;
mod isn;

pub(crate) use half_open::{Arrival as HalfOpenArrival, HalfOpen};
pub(crate) use isn::IsnGenerator;

use alloc::collections::{BTreeMap, VecDeque};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::tcp::check::check_flags;
use crate::tcp::{Config, DropReason};
use crate::wire::{Flags, Header};

/// A passive open that waits for peers.
#[derive(Clone, Debug)]
pub(crate) struct Listener {
    /// Where it listens.
    pub(crate) local: SocketAddr,
    /// What its connections start from.
    pub(crate) config: Config,
    /// Half-open records that belong to it.
    pub(crate) half_open: u32,
    backlog: usize,
    /// Established connections that nobody has accepted, by their index; the first one first.
    accept_queue: VecDeque<u32>,
}

/// What a segment for a listener deserves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Arrival {
    /// A half-open record and a SYN-ACK.
    Open,
    /// A reset: it acknowledges what was never sent.
    Reset(DropReason),
    /// Nothing.
    Drop(DropReason),
}

impl Listener {
    pub(crate) fn new(local: SocketAddr, backlog: usize, config: Config) -> Self {
        Listener { local, config, half_open: 0, backlog: backlog.max(1), accept_queue: VecDeque::new() }
    }

    pub(crate) fn set_backlog(&mut self, backlog: usize) {
        self.backlog = backlog.max(1);
    }

    /// True if no further connection can wait for `accept`.
    pub(crate) fn is_full(&self) -> bool {
        self.accept_queue.len() >= self.backlog
    }

    /// True if somebody waits to be accepted.
    pub(crate) fn has_waiting(&self) -> bool {
        !self.accept_queue.is_empty()
    }

    /// How many wait to be accepted, and how many may.
    pub(crate) fn queue(&self) -> (usize, usize) {
        (self.accept_queue.len(), self.backlog)
    }

    pub(crate) fn push(&mut self, connection: u32) {
        self.accept_queue.push_back(connection);
    }

    pub(crate) fn pop(&mut self) -> Option<u32> {
        self.accept_queue.pop_front()
    }
}

/// SEGMENT ARRIVES in LISTEN: RFC 9293 3.10.7.2. Text that comes with a SYN is not kept: until the handshake shows
/// that the source address is real, a spoofed SYN must not cost memory, and the peer sends again what is not
/// acknowledged.
pub(crate) fn judge(header: &Header) -> Arrival {
    if let Err(why) = check_flags(header.flags) {
        return Arrival::Drop(why);
    }
    // First: RST.
    if header.flags.has(Flags::RST) {
        return Arrival::Drop(DropReason::IgnoredReset);
    }
    // Second: ACK.
    if header.flags.has(Flags::ACK) {
        return Arrival::Reset(DropReason::AckTooNew);
    }
    // Third: SYN.
    if header.flags.has(Flags::SYN) {
        return Arrival::Open;
    }
    // Fourth: other text or control.
    Arrival::Drop(DropReason::NoAck)
}

/// Which listener has which address and port.
#[derive(Clone, Debug, Default)]
pub(crate) struct Listeners {
    /// By port, then address; the unspecified address stands for all of its version.
    indices: BTreeMap<(u16, IpAddr), u32>,
}

impl Listeners {
    pub(crate) fn len(&self) -> usize {
        self.indices.len()
    }

    /// The listener that a segment to `local` reaches.
    pub(crate) fn find(&self, local: SocketAddr) -> Option<u32> {
        let (port, addr) = (local.port(), local.ip());
        let exact = self.indices.get(&(port, addr));
        exact.or_else(|| self.indices.get(&(port, unspecified(addr)))).copied()
    }

    /// True if a new listener at `local` would get in the way of one that exists.
    //= 9293/MUST-41
    pub(crate) fn is_taken(&self, local: SocketAddr) -> bool {
        let (port, addr) = (local.port(), local.ip());
        if addr.is_unspecified() {
            let of_port = self.indices.range((port, FIRST_ADDRESS)..=(port, LAST_ADDRESS));
            of_port.map(|(&(_, other), _)| other).any(|other| other.is_ipv4() == addr.is_ipv4())
        } else {
            self.find(local).is_some()
        }
    }

    pub(crate) fn insert(&mut self, local: SocketAddr, index: u32) {
        self.indices.insert((local.port(), local.ip()), index);
    }

    pub(crate) fn remove(&mut self, local: SocketAddr) {
        self.indices.remove(&(local.port(), local.ip()));
    }
}

const fn unspecified(addr: IpAddr) -> IpAddr {
    match addr {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    }
}

/// The ends of `IpAddr`'s order.
const FIRST_ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
const LAST_ADDRESS: IpAddr = IpAddr::V6(Ipv6Addr::from_bits(u128::MAX));

#[cfg(test)]
mod tests {
    use super::*;

    /// One row per sentence of RFC 9293 3.10.7.2.
    #[test]
    fn what_each_segment_deserves() {
        for (flags, expected) in [
            (Flags::RST, Arrival::Drop(DropReason::IgnoredReset)),
            (Flags::RST | Flags::ACK, Arrival::Drop(DropReason::IgnoredReset)),
            (Flags::ACK, Arrival::Reset(DropReason::AckTooNew)),
            (Flags::SYN | Flags::ACK, Arrival::Reset(DropReason::AckTooNew)),
            (Flags::FIN | Flags::ACK, Arrival::Reset(DropReason::AckTooNew)),
            (Flags::SYN, Arrival::Open),
            (Flags::SYN | Flags::PSH, Arrival::Open),
            (Flags::FIN, Arrival::Drop(DropReason::NoAck)),
            (Flags::SYN | Flags::FIN, Arrival::Drop(DropReason::BadFlags)),
            (Flags::SYN | Flags::RST, Arrival::Drop(DropReason::BadFlags)),
            (Flags::NONE, Arrival::Drop(DropReason::BadFlags)),
        ] {
            assert_eq!(judge(&Header { flags, ..Header::default() }), expected, "{flags}");
        }
    }

    //= 9293/MUST-41
    #[test]
    fn addresses_are_taken_once() {
        let at = |addr: &str| addr.parse::<SocketAddr>().unwrap();
        let mut listeners = Listeners::default();
        listeners.insert(at("10.0.0.1:80"), 0);
        listeners.insert(at("[::]:80"), 1);
        for (addr, taken, found) in [
            ("10.0.0.1:80", true, Some(0)),
            ("10.0.0.2:80", false, None),
            ("0.0.0.0:80", true, None),
            ("0.0.0.0:81", false, None),
            ("[::]:80", true, Some(1)),
            ("[2001:db8::1]:80", true, Some(1)),
        ] {
            assert_eq!(listeners.is_taken(at(addr)), taken, "{addr}");
            assert_eq!(listeners.find(at(addr)), found, "{addr}");
        }
        listeners.remove(at("10.0.0.1:80"));
        assert!(!listeners.is_taken(at("0.0.0.0:80")));
    }
}
