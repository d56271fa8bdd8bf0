//! What flows: bytes that follow from their offset, so that nobody has to keep them to check them.
//!
//! Sections: none.
//! In: a seed and an offset in the stream.
//! Out: the bytes there: lines of 63 lower-case letters, readable wherever a tool shows them.

use crate::rng::split_mix;

/// An endless text.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Content {
    seed: u64,
}

impl Content {
    /// The text of that seed.
    pub const fn new(seed: u64) -> Self {
        Content { seed }
    }

    /// Writes the bytes from `offset` on into `out`.
    pub fn fill(&self, offset: u64, out: &mut [u8]) {
        self.walk(offset, out.iter_mut(), |slot, byte| {
            *slot = byte;
            true
        });
    }

    /// Compares `got` with the bytes from `offset` on: the offset of the first that differs.
    pub fn first_difference(&self, offset: u64, got: &[u8]) -> Option<u64> {
        self.walk(offset, got.iter(), |&have, want| have == want)
    }

    /// Takes each slot and the byte that belongs there to `visit`, until that says no: the offset where it did.
    fn walk<T>(
        &self,
        offset: u64,
        slots: impl Iterator<Item = T>,
        mut visit: impl FnMut(T, u8) -> bool,
    ) -> Option<u64> {
        let mut word = self.word(offset / 8);
        for (at, slot) in (offset..).zip(slots) {
            if at % 8 == 0 {
                word = self.word(at / 8);
            }
            let byte = match at % LINE {
                column if column == LINE - 1 => b'\n',
                _ => LETTERS[usize::from(word[usize::try_from(at % 8).expect("below 8")] % 26)],
            };
            if !visit(slot, byte) {
                return Some(at);
            }
        }
        None
    }

    fn word(&self, index: u64) -> [u8; 8] {
        split_mix(&mut self.seed.wrapping_add(index.wrapping_mul(0x9e37_79b9_7f4a_7c15))).to_le_bytes()
    }
}

/// Bytes per line, its end included.
const LINE: u64 = 64;
const LETTERS: &[u8; 26] = b"abcdefghijklmnopqrstuvwxyz";

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn pieces_fit_together_and_a_wrong_byte_is_found() {
        let content = Content::new(1);
        let mut whole = vec![0; 1_000];
        content.fill(0, &mut whole);
        for (start, end) in [(0, 1), (1, 8), (7, 700), (63, 65), (512, 1_000)] {
            let mut piece = vec![0; end - start];
            content.fill(start as u64, &mut piece);
            assert_eq!(piece, whole[start..end]);
        }
        assert_eq!(content.first_difference(0, &whole), None);
        whole[640] ^= 1;
        assert_eq!(content.first_difference(600, &whole[600..]), Some(640));
        assert_eq!(whole.iter().filter(|&&b| b == b'\n').count(), 15);
    }

    #[test]
    fn texts_of_different_seeds_differ() {
        let (mut one, mut two) = ([0; 64], [0; 64]);
        Content::new(1).fill(0, &mut one);
        Content::new(2).fill(0, &mut two);
        assert_ne!(one, two);
    }
}
