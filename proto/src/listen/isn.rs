//! Where a connection's numbers start.
//!
//! Sections: RFC 6528 3; RFC 9293 3.4.1; RFC 7323 5.4 and attack A-08 (timestamp offsets).
//! In: the four-tuple, the time, a secret key.
//! Out: an initial sequence number; an offset for the timestamp clock.

use core::net::IpAddr;

use siphasher::sip::SipHasher24;

use crate::net::demux::tuple_bytes;
use crate::net::random::Key;
use crate::time::{Duration, Instant};
use crate::wire::{FourTuple, Seq};

/// Chooses initial sequence numbers: a clock plus a keyed hash of the four-tuple. One connection's numbers tell nothing
/// of another's, while successive connections of the same four-tuple start ever higher.
#[derive(Clone, Debug)]
pub(crate) struct IsnGenerator {
    sequence: SipHasher24,
    timestamp: SipHasher24,
}

impl IsnGenerator {
    pub(crate) fn new(sequence: &Key, timestamp: &Key) -> Self {
        IsnGenerator { sequence: SipHasher24::new_with_key(sequence), timestamp: SipHasher24::new_with_key(timestamp) }
    }

    /// ISN = M + F(four-tuple, key).
    //= 9293/MUST-8
    //= 9293/MUST-9
    //= 9293/SHLD-1
    pub(crate) fn iss(&self, key: &FourTuple, now: Instant) -> Seq {
        let clock = now.as_nanos() / TICK.as_nanos();
        Seq(low_bits(clock.wrapping_add(tuple_bytes(key, |bytes| self.sequence.hash(bytes)))))
    }

    /// What is added to our clock to give TSval towards this peer. It depends on the two addresses only, so that a
    /// later connection between them continues the clock of an earlier one, as RFC 6191 needs.
    pub(crate) fn timestamp_offset(&self, local: IpAddr, remote: IpAddr) -> u32 {
        let key = FourTuple { local_ip: local, remote_ip: remote, local_port: 0, remote_port: 0 };
        low_bits(tuple_bytes(&key, |bytes| self.timestamp.hash(bytes)))
    }
}

#[expect(clippy::cast_possible_truncation, reason = "sequence numbers and timestamps are modulo 2^32")]
const fn low_bits(x: u64) -> u32 {
    x as u32
}

/// The clock M ticks every 64 ns and so goes round in 274 s: longer than 4 MSL of 30 s, and faster than any
/// connection of less than 125 Mbit/s uses numbers up.
/// Like Linux: 64 ns, where RFC 6528 proposes 4 us.
const TICK: Duration = Duration::from_nanos(64);

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    fn tuple(port: u16) -> FourTuple {
        FourTuple::new(([192, 0, 2, 1], port).into(), ([192, 0, 2, 2], 80).into())
    }

    //= 9293/MUST-8
    #[test]
    fn the_same_tuple_starts_higher_later() {
        let isn = IsnGenerator::new(&[1; 16], &[2; 16]);
        let early = isn.iss(&tuple(5), Instant::ZERO);
        let late = isn.iss(&tuple(5), Instant::ZERO + Duration::from_secs(60));
        assert_eq!(late.distance(early), 60_000_000_000_i64.wrapping_div(64) as i32);
    }

    //= 9293/MUST-9
    //= 9293/SHLD-1
    #[test]
    fn tuples_and_keys_are_independent() {
        let isn = IsnGenerator::new(&[1; 16], &[2; 16]);
        let other = IsnGenerator::new(&[9; 16], &[2; 16]);
        let numbers: Vec<u32> = (0..4096).map(|port| isn.iss(&tuple(port), Instant::ZERO).0).collect();
        assert_ne!(isn.iss(&tuple(1), Instant::ZERO), other.iss(&tuple(1), Instant::ZERO));
        // Every bit of the difference between neighbours is a coin toss.
        for bit in 0..32 {
            let ones = numbers.windows(2).filter(|pair| (pair[1].wrapping_sub(pair[0]) >> bit) & 1 == 1).count();
            assert!((1850..2250).contains(&ones), "bit {bit}: {ones}");
        }
    }

    #[test]
    fn timestamp_offsets_belong_to_pairs_of_addresses() {
        let isn = IsnGenerator::new(&[1; 16], &[2; 16]);
        let a = IpAddr::from([192, 0, 2, 1]);
        let offsets: Vec<u32> = (0..64).map(|host| isn.timestamp_offset(a, [198, 51, 100, host].into())).collect();
        let mut low: Vec<u32> = offsets.iter().map(|offset| offset & 0xffff).collect();
        low.sort_unstable();
        low.dedup();
        assert!(low.len() > 60, "offsets share low bits");
    }
}
