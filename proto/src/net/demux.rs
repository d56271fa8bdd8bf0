//! From a four-tuple to whatever has it.
//!
//! Sections: RFC 9293 3.3.2 (the TCB lookup of SEGMENT ARRIVES); attack A-28.
//! In: the four-tuple of a segment.
//! Out: the connection, half-open record or TIME-WAIT record that it belongs to.

use hashbrown::HashTable;
use siphasher::sip::SipHasher13;

use core::net::IpAddr;

use super::random::Key;
use crate::wire::FourTuple;

/// Where a four-tuple leads.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Slot {
    Connection(u32),
    HalfOpen(u32),
    TimeWait(u32),
}

/// A hash table under a secret key, so that nobody can choose addresses that collide. The records keep the
/// four-tuples, the table only their hashes; `is` asks the record. Never iterated.
#[derive(Clone, Debug)]
pub(crate) struct Demux {
    hasher: SipHasher13,
    table: HashTable<Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    hash: u64,
    slot: Slot,
}

impl Demux {
    pub(crate) fn new(key: &Key) -> Self {
        Demux { hasher: SipHasher13::new_with_key(key), table: HashTable::new() }
    }

    pub(crate) fn find(&self, key: &FourTuple, is: impl Fn(Slot) -> bool) -> Option<Slot> {
        let hash = self.hash(key);
        self.table.find(hash, |entry| entry.hash == hash && is(entry.slot)).map(|entry| entry.slot)
    }

    /// Leads `key`, which leads nowhere yet, to `slot`.
    pub(crate) fn insert(&mut self, key: &FourTuple, slot: Slot) {
        let hash = self.hash(key);
        self.table.insert_unique(hash, Entry { hash, slot }, |entry| entry.hash);
    }

    /// Leads `key` to `to` instead of `from`.
    pub(crate) fn replace(&mut self, key: &FourTuple, from: Slot, to: Slot) {
        let hash = self.hash(key);
        if let Some(entry) = self.table.find_mut(hash, |entry| entry.slot == from) {
            entry.slot = to;
        }
    }

    /// Forgets that `key` leads to `slot`.
    pub(crate) fn remove(&mut self, key: &FourTuple, slot: Slot) {
        let hash = self.hash(key);
        if let Ok(entry) = self.table.find_entry(hash, |entry| entry.slot == slot) {
            entry.remove();
        }
    }

    fn hash(&self, key: &FourTuple) -> u64 {
        tuple_bytes(key, |bytes| self.hasher.hash(bytes))
    }
}

/// Hands the four-tuple to `hash` as bytes: 12 for IPv4, 36 for IPv6.
pub(crate) fn tuple_bytes(key: &FourTuple, hash: impl FnOnce(&[u8]) -> u64) -> u64 {
    let (local_port, remote_port) = (key.local_port.to_be_bytes(), key.remote_port.to_be_bytes());
    let mut bytes = [0; 36];
    let ports = match (key.local_ip, key.remote_ip) {
        (IpAddr::V4(local), IpAddr::V4(remote)) => {
            bytes[..4].copy_from_slice(&local.octets());
            bytes[4..8].copy_from_slice(&remote.octets());
            8
        }
        (local, remote) => {
            bytes[..16].copy_from_slice(&ipv6_octets(local));
            bytes[16..32].copy_from_slice(&ipv6_octets(remote));
            32
        }
    };
    bytes[ports..ports + 2].copy_from_slice(&local_port);
    bytes[ports + 2..ports + 4].copy_from_slice(&remote_port);
    hash(&bytes[..ports + 4])
}

fn ipv6_octets(addr: IpAddr) -> [u8; 16] {
    match addr {
        IpAddr::V4(addr) => addr.to_ipv6_mapped().octets(),
        IpAddr::V6(addr) => addr.octets(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    fn tuple(port: u16) -> FourTuple {
        FourTuple::new("192.0.2.1:80".parse().unwrap(), ([192, 0, 2, 2], port).into())
    }

    #[test]
    fn every_tuple_leads_to_its_own_record() {
        let keys: Vec<FourTuple> = (1..=2000).map(tuple).collect();
        let mut demux = Demux::new(&[3; 16]);
        let is = |key: FourTuple| {
            let keys = &keys;
            move |slot| matches!(slot, Slot::Connection(n) if keys[n as usize] == key)
        };
        for (n, key) in (0..).zip(&keys) {
            assert_eq!(demux.find(key, is(*key)), None);
            demux.insert(key, Slot::Connection(n));
        }
        for (n, key) in (0..).zip(&keys) {
            assert_eq!(demux.find(key, is(*key)), Some(Slot::Connection(n)));
        }
        demux.replace(&keys[7], Slot::Connection(7), Slot::TimeWait(0));
        assert_eq!(demux.find(&keys[7], |slot| slot == Slot::TimeWait(0)), Some(Slot::TimeWait(0)));
        demux.remove(&keys[7], Slot::TimeWait(0));
        assert_eq!(demux.table.len(), 1999);
        assert_eq!(demux.find(&keys[7], |_| true), None);
    }

    /// without the key nobody can tell which tuples collide.
    #[test]
    fn the_hash_depends_on_the_key() {
        let (a, b) = (Demux::new(&[3; 16]), Demux::new(&[4; 16]));
        assert_ne!(a.hash(&tuple(1)), b.hash(&tuple(1)));
        assert_ne!(a.hash(&tuple(1)), a.hash(&tuple(1).reversed()));
    }
}
