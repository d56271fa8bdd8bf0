//! Everything that must not be guessed, derived from the stack's seed.
//!
//! Sections: RFC 6528, RFC 6056, RFC 7739 (what each key is for).
//! In: the 32-byte seed.
//! Out: one key per purpose, and a stream of random numbers.

use siphasher::sip::SipHasher24;

/// A key of SipHash.
pub(crate) type Key = [u8; 16];

/// The key for one purpose. Keys of different purposes tell nothing of each other.
pub(crate) fn derive(seed: &[u8; 32], purpose: &str) -> Key {
    let (key, rest) = seed.split_first_chunk::<16>().expect("the seed has 32 bytes");
    let half = |number: u8| {
        let mut message = [0; 48];
        let (head, tail) = message.split_at_mut(16);
        head.copy_from_slice(rest);
        tail[0] = number;
        for (place, byte) in tail[1..].iter_mut().zip(purpose.bytes()) {
            *place = byte;
        }
        SipHasher24::new_with_key(key).hash(&message).to_le_bytes()
    };
    let mut derived = [0; 16];
    let (low, high) = derived.split_at_mut(8);
    low.copy_from_slice(&half(0));
    high.copy_from_slice(&half(1));
    derived
}

/// Numbers that nobody outside can predict: a keyed hash of a counter.
#[derive(Clone, Debug)]
pub(crate) struct Random {
    hasher: SipHasher24,
    counter: u64,
}

impl Random {
    pub(crate) fn new(key: &Key) -> Self {
        Random { hasher: SipHasher24::new_with_key(key), counter: 0 }
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.counter = self.counter.wrapping_add(1);
        self.hasher.hash(&self.counter.to_le_bytes())
    }

    /// A number below `bound`, which is not 0. With bounds of 16 bits the bias is below 2^-48.
    pub(crate) fn below(&mut self, bound: u32) -> u32 {
        u32::try_from(self.next() % u64::from(bound)).expect("less than a bound of 32 bits")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_depend_on_every_byte_of_the_seed_and_on_the_purpose() {
        let base = derive(&[7; 32], "isn");
        assert_ne!(base, derive(&[7; 32], "ports"));
        for byte in 0..32 {
            let mut seed = [7; 32];
            seed[byte] ^= 1;
            assert_ne!(base, derive(&seed, "isn"), "byte {byte}");
        }
    }

    #[test]
    fn the_stream_is_even_enough() {
        let mut random = Random::new(&[1; 16]);
        let mut counts = [0_u32; 10];
        for _ in 0..10_000 {
            counts[random.below(10) as usize] += 1;
        }
        assert!(counts.iter().all(|&count| (850..1150).contains(&count)), "{counts:?}");
    }
}
