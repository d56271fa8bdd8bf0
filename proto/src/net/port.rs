//! Ephemeral ports.
//!
//! Sections: RFC 6056 3.3.2 (random selection); attack A-09.
//! In: the range of ports; which of them are free towards the peer in question.
//! Out: one of them that nobody can foresee, or none.

use super::random::Random;

/// A port of `range` (both ends included) that `is_free`, every one as likely as the other while most are free.
pub(crate) fn choose(range: (u16, u16), random: &mut Random, is_free: impl Fn(u16) -> bool) -> Option<u16> {
    let (low, high) = (range.0.max(1), range.1);
    let count = u32::from(high.checked_sub(low)?) + 1;
    let nth = |n: u32| u16::try_from(u32::from(low) + n % count).expect("n % count stays within the range");
    for _ in 0..TRIES {
        let port = nth(random.below(count));
        if is_free(port) {
            return Some(port);
        }
    }
    // Nearly all are taken: every port once, from a random one on.
    let start = random.below(count);
    (0..count).map(|step| nth(start + step)).find(|&port| is_free(port))
}

/// How many random draws before looking at every port: with half the ports taken, all of them fail once in 2^16.
const TRIES: u32 = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeMap;

    #[test]
    fn the_last_free_port_is_found_and_exhaustion_ends() {
        let mut random = Random::new(&[5; 16]);
        assert_eq!(choose((32_768, 60_999), &mut random, |port| port == 40_000), Some(40_000));
        assert_eq!(choose((32_768, 60_999), &mut random, |_| false), None);
        assert_eq!(choose((9, 8), &mut random, |_| true), None);
        assert_eq!(choose((0, 1), &mut random, |_| true), Some(1));
        assert_eq!(choose((65_535, 65_535), &mut random, |_| true), Some(65_535));
    }

    /// at least 13.5 bits of uncertainty.
    #[test]
    fn ports_are_spread_over_the_whole_range() {
        let mut random = Random::new(&[5; 16]);
        let mut blocks: BTreeMap<u16, u32> = BTreeMap::new();
        for _ in 0..100_000 {
            let port = choose((32_768, 60_999), &mut random, |_| true).unwrap();
            assert!((32_768..=60_999).contains(&port));
            *blocks.entry((port - 32_768) / 1_000).or_default() += 1;
        }
        // 28 full blocks of a thousand ports, 3,542 draws expected in each.
        assert!(blocks.range(..28).all(|(_, &count)| (3_250..3_850).contains(&count)), "{blocks:?}");
    }
}
