//! Randomness from a seed: the same numbers on every machine, in debug and release.
//!
//! Sections: none. The generator is xoshiro256** (Blackman and Vigna), its state filled by SplitMix64.
//! In: a seed and the name of a stream, so that one part of a world cannot disturb another's dice.
//! Out: numbers, choices, and probabilities in parts per million, without a floating-point step.

/// A generator of pseudo-random numbers. Not for secrets.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Rng {
    state: [u64; 4],
}

/// A probability in parts per million.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Ppm(pub u32);

impl Ppm {
    /// It never happens.
    pub const NEVER: Ppm = Ppm(0);
    /// It always happens.
    pub const ALWAYS: Ppm = Ppm(1_000_000);

    /// So many percent.
    pub const fn percent(n: u32) -> Self {
        Ppm(n.saturating_mul(10_000))
    }
}

impl Rng {
    /// The generator of the stream `name` in the world of `seed`.
    pub fn new(seed: u64, name: &str) -> Self {
        let mut mixed = seed;
        for byte in name.bytes() {
            mixed = split_mix(&mut mixed.wrapping_add(u64::from(byte)));
        }
        let mut state = [0; 4];
        for word in &mut state {
            *word = split_mix(&mut mixed);
        }
        Rng { state }
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        let [s0, s1, s2, s3] = &mut self.state;
        let out = s1.wrapping_mul(5).rotate_left(7).wrapping_mul(9);
        let shifted = *s1 << 17;
        *s2 ^= *s0;
        *s3 ^= *s1;
        *s1 ^= *s2;
        *s0 ^= *s3;
        *s2 ^= shifted;
        *s3 = s3.rotate_left(45);
        out
    }

    /// A number from 0 up to, not including, `bound`; 0 if `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 {
            return 0;
        }
        // The last, incomplete run of `bound` numbers would favour the small ones: draw again.
        let whole = u64::MAX - u64::MAX % bound;
        loop {
            let n = self.next_u64();
            if n < whole {
                return n % bound;
            }
        }
    }

    /// A number from `low` to `high`, both included.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low.saturating_add(self.below(high.saturating_sub(low).saturating_add(1)))
    }

    /// True with probability `p`. A certain answer draws nothing, so that a knob at 0 disturbs no other dice.
    pub fn chance(&mut self, p: Ppm) -> bool {
        match p {
            Ppm(0) => false,
            Ppm(1_000_000..) => true,
            Ppm(ppm) => self.below(1_000_000) < u64::from(ppm),
        }
    }

    /// One of the slice's elements; `None` only if there are none.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        let index = self.below(u64::try_from(from.len()).unwrap_or(u64::MAX));
        usize::try_from(index).ok().and_then(|i| from.get(i))
    }

    /// 32 bytes, as [`tidegate_proto::net::Stack::new`] wants them.
    pub fn seed_bytes(&mut self) -> [u8; 32] {
        let mut seed = [0; 32];
        for chunk in seed.chunks_exact_mut(8) {
            chunk.copy_from_slice(&self.next_u64().to_le_bytes());
        }
        seed
    }
}

/// SplitMix64: one step of the counter and its mixed value. Also good as a hash of a counter.
pub fn split_mix(counter: &mut u64) -> u64 {
    *counter = counter.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *counter;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The published reference values, so that nobody's machine and nobody's edit changes a world.
    #[test]
    fn the_numbers_are_those_of_the_published_generators() {
        let mut counter = 1_234_567;
        assert_eq!(split_mix(&mut counter), 6_457_827_717_110_365_317);
        assert_eq!(split_mix(&mut counter), 3_203_168_211_198_807_973);
        let mut rng = Rng { state: [1, 2, 3, 4] };
        assert_eq!([rng.next_u64(), rng.next_u64(), rng.next_u64()], [11_520, 0, 1_509_978_240]);
    }

    #[test]
    fn streams_of_one_seed_differ_and_repeat() {
        let draw = |seed, name| Rng::new(seed, name).next_u64();
        assert_eq!(draw(1, "a"), draw(1, "a"));
        assert_ne!(draw(1, "a"), draw(1, "b"));
        assert_ne!(draw(1, "ab"), draw(1, "ba"));
        assert_ne!(draw(1, "a"), draw(2, "a"));
    }

    #[test]
    fn one_percent_is_one_in_a_hundred() {
        let mut rng = Rng::new(1, "dice");
        let hits = (0..1_000_000).filter(|_| rng.chance(Ppm::percent(1))).count();
        assert!((9_700..10_300).contains(&hits), "{hits}");
    }

    #[test]
    fn certain_answers_draw_nothing() {
        let mut rng = Rng::new(1, "dice");
        let before = rng.clone();
        assert!(!rng.chance(Ppm::NEVER));
        assert!(rng.chance(Ppm::ALWAYS));
        assert_eq!(rng, before);
    }

    #[test]
    fn bounds_hold_and_both_ends_occur() {
        let mut rng = Rng::new(7, "bounds");
        let mut seen = [false; 3];
        for _ in 0..100 {
            let n = rng.between(5, 7);
            seen[usize::try_from(n - 5).expect("5 to 7")] = true;
        }
        assert_eq!(seen, [true; 3]);
        assert_eq!(rng.below(0), 0);
        assert_eq!(rng.between(u64::MAX, u64::MAX), u64::MAX);
    }
}
