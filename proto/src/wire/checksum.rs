//! The Internet checksum: the one's complement sum of 16-bit words.
//!
//! Sections: RFC 1071; RFC 9293 3.1 and RFC 8200 8.1 (the pseudo-headers).
//! In: slices of a packet, in order, of any length and alignment.
//! Out: the checksum to write, or whether the one that was received is right.

use core::net::IpAddr;

/// Sums the bytes as 16-bit words in the machine's own order, the last odd byte followed by a zero. The result is not
/// folded, but below 2^56. [`portable`] is one; an owner that knows its processor may bring a faster one.
pub type SumFn = fn(&[u8]) -> u64;

/// A one's complement sum in the making.
#[derive(Clone, Copy, Debug)]
pub struct Sum {
    sum: SumFn,
    total: u64,
    /// An odd number of bytes went in so far: the next one is the second byte of a word.
    odd: bool,
}

impl Sum {
    /// The sum of nothing.
    pub const fn new(sum: SumFn) -> Self {
        Sum { sum, total: 0, odd: false }
    }

    /// The sum that a TCP or ICMPv6 checksum starts with; `len` is that of the upper-layer header and its payload.
    pub fn pseudo_header(sum: SumFn, src: IpAddr, dst: IpAddr, protocol: u8, len: usize) -> Self {
        let len = u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes();
        let start = [len, [0, 0, 0, protocol]].map(word).iter().sum::<u64>();
        Sum { sum, total: start + address(src) + address(dst), odd: false }
    }

    /// The sum with `bytes` behind what it has.
    #[must_use]
    pub fn with(self, bytes: &[u8]) -> Self {
        let part = (self.sum)(bytes);
        // A slice that starts in the middle of a word has its bytes in the wrong halves; swapping them once at the
        // end is the same as shifting every word (RFC 1071 2 (B)).
        let part = if self.odd { u64::from(fold(part).swap_bytes()) } else { u64::from(fold32(part)) };
        Sum { total: self.total + part, odd: self.odd ^ (bytes.len() % 2 == 1), ..self }
    }

    /// The sum with every slice of `parts` behind what it has.
    #[must_use]
    pub fn with_all<T: AsRef<[u8]>>(self, parts: &[T]) -> Self {
        parts.iter().fold(self, |sum, part| sum.with(part.as_ref()))
    }

    /// The checksum that makes the whole valid, as the number to write in network order.
    pub fn checksum(self) -> u16 {
        !u16::from_be(fold(self.total))
    }

    /// The sum itself, folded and not inverted: what stands in the checksum field of a packet that a device finishes.
    pub fn partial(self) -> u16 {
        u16::from_be(fold(self.total))
    }

    /// True if what was summed, its checksum field included, is valid.
    pub fn is_valid(self) -> bool {
        fold(self.total) == 0xffff
    }
}

/// The portable [`SumFn`]. Compilers turn the loop over 32-byte chunks into vector instructions, as long as each chunk
/// is summed as a whole: with an array of lanes beside it they do not, and it takes six times as long.
pub fn portable(bytes: &[u8]) -> u64 {
    let (chunks, rest) = bytes.as_chunks::<32>();
    let mut total: u64 = chunks.iter().map(|chunk| words(chunk)).sum();
    let (_, tail) = rest.as_chunks::<4>();
    total += words(rest);
    // A word of four bytes is two of two: zeros behind the end change neither.
    let mut last = [0; 4];
    last.iter_mut().zip(tail).for_each(|(to, from)| *to = *from);
    total + word(last)
}

/// The sum folded to one 16-bit word, carries added back in.
pub const fn fold(sum: u64) -> u16 {
    let sum = fold32(sum) as u64;
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    #[expect(clippy::cast_possible_truncation, reason = "two folds of a 32-bit sum leave 16 bits")]
    let folded = sum as u16;
    folded
}

/// The sum folded to 32 bits: 2^32 and 1 are the same in this arithmetic.
const fn fold32(sum: u64) -> u32 {
    let sum = (sum & 0xffff_ffff) + (sum >> 32);
    let sum = (sum & 0xffff_ffff) + (sum >> 32);
    #[expect(clippy::cast_possible_truncation, reason = "two folds leave 32 bits")]
    let folded = sum as u32;
    folded
}

/// What an address adds to a pseudo-header's sum.
fn address(addr: IpAddr) -> u64 {
    match addr {
        IpAddr::V4(addr) => word(addr.octets()),
        IpAddr::V6(addr) => words(&addr.octets()),
    }
}

/// The sum of all whole groups of four bytes.
fn words(bytes: &[u8]) -> u64 {
    let (words, _) = bytes.as_chunks::<4>();
    words.iter().copied().map(word).sum()
}

/// Two 16-bit words at once: the fold brings them together.
fn word(bytes: [u8; 4]) -> u64 {
    u64::from(u32::from_ne_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    /// RFC 1071 word by word, as slowly as it is written there.
    fn by_the_book(bytes: &[u8]) -> u16 {
        let mut sum = 0_u32;
        for pair in bytes.chunks(2) {
            sum += u32::from(u16::from_be_bytes([pair[0], *pair.get(1).unwrap_or(&0)]));
            sum = (sum & 0xffff) + (sum >> 16);
        }
        !(sum as u16)
    }

    #[test]
    fn the_example_of_rfc_1071() {
        // RFC 1071 3: the words 0001 f203 f4f5 f6f7 sum to ddf2.
        let bytes = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(Sum::new(portable).with(&bytes).checksum(), !0xddf2);
    }

    #[test]
    fn a_long_run_of_ones_does_not_overflow() {
        let bytes = std::vec![0xff_u8; 70_001];
        assert_eq!(Sum::new(portable).with(&bytes).checksum(), by_the_book(&bytes));
    }

    proptest! {
        /// Cut anywhere, odd lengths included, the pieces sum to what the whole sums to.
        #[test]
        fn pieces_sum_to_the_whole(parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..100), 0..6)) {
            let whole: Vec<u8> = parts.concat();
            prop_assert_eq!(Sum::new(portable).with_all(&parts).checksum(), by_the_book(&whole));
        }

        /// With its checksum in place a packet is valid, and with one bit turned it is not.
        #[test]
        fn a_turned_bit_is_seen(mut bytes in prop::collection::vec(any::<u8>(), 4..200), at: prop::sample::Index, bit in 0_u8..8) {
            bytes[..2].copy_from_slice(&[0, 0]);
            let sum = Sum::new(portable).with(&bytes).checksum();
            bytes[..2].copy_from_slice(&sum.to_be_bytes());
            prop_assert!(Sum::new(portable).with(&bytes).is_valid());
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            prop_assert!(!Sum::new(portable).with(&bytes).is_valid());
        }
    }
}
