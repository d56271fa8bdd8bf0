//! Relative sequence numbers, as tcpdump counts them.
//!
//! Sections: RFC 9293 3.4.
//! In: the addresses, ports and numbers of every segment that carries an acknowledgement.
//! Out: the numbers to print.

use alloc::collections::BTreeMap;
use core::net::SocketAddr;

/// Where each conversation's numbers start, by its pair of endpoints. An entry lives as long as the capture: tcpdump
/// forgets none either, and a number must not change its meaning halfway down. A tree, since whoever wrote the capture
/// chose the keys.
#[derive(Clone, Debug, Default)]
pub(super) struct Bases {
    table: BTreeMap<(SocketAddr, SocketAddr), Base>,
}

/// The zeros of one conversation: `low` for the endpoint that sorts first, `high` for the other.
#[derive(Clone, Copy, Debug, Default)]
struct Base {
    low: u32,
    high: u32,
}

/// What to print for one segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Numbers {
    pub(super) seq: u32,
    pub(super) ack: u32,
    /// What the blocks of a SACK option are counted from.
    pub(super) sack_base: u32,
}

impl Numbers {
    /// The numbers as they are on the wire.
    pub(super) fn absolute(seq: u32, ack: u32) -> Self {
        Numbers { seq, ack, sack_base: 0 }
    }
}

impl Bases {
    /// The numbers of a segment that carries an acknowledgement. The first one of a conversation, and every one with
    /// SYN, sets the bases and is itself printed as it is.
    pub(super) fn relative(&mut self, from: SocketAddr, to: SocketAddr, syn: bool, seq: u32, ack: u32) -> Numbers {
        let reversed = sorts_after(from, to);
        let key = if reversed { (to, from) } else { (from, to) };
        let known = self.table.get(&key).copied().filter(|_| !syn);
        let base = known.unwrap_or_else(|| {
            let (own, peer) = (seq, ack.wrapping_sub(1));
            let base = if reversed { Base { low: peer, high: own } } else { Base { low: own, high: peer } };
            self.table.insert(key, base);
            base
        });
        let (own, peer) = if reversed { (base.high, base.low) } else { (base.low, base.high) };
        match known {
            None => Numbers { seq, ack, sack_base: peer },
            Some(_) => Numbers { seq: seq.wrapping_sub(own), ack: ack.wrapping_sub(peer), sack_base: peer },
        }
    }
}

/// tcpdump's order: by port, then by the bytes of the address.
fn sorts_after(one: SocketAddr, other: SocketAddr) -> bool {
    (one.port(), one.ip()) > (other.port(), other.ip())
}
