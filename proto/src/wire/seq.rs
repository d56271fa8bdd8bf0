//! Sequence numbers: on the wire modulo 2^32, inside as plain ordered positions.
//!
//! Sections: RFC 9293 3.4.
//! In: a [`Seq`] from a header, and a position near which it must lie.
//! Out: a [`Pos`], with lawful order; and back again for what we send.

use core::fmt;
use core::ops::{Add, AddAssign, Sub};

/// A sequence or acknowledgement number as it stands in a header. Deliberately without `Ord`: modulo 2^32 there is
/// no lawful order. Cross into [`Pos`] through a [`Space`] before comparing.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Seq(pub u32);

impl Seq {
    /// The signed distance from `other` to `self`, by the shorter way round the circle.
    pub const fn distance(self, other: Seq) -> i32 {
        self.0.wrapping_sub(other.0).cast_signed()
    }
}

impl Add<u32> for Seq {
    type Output = Seq;
    fn add(self, n: u32) -> Seq {
        Seq(self.0.wrapping_add(n))
    }
}

impl Sub<u32> for Seq {
    type Output = Seq;
    fn sub(self, n: u32) -> Seq {
        Seq(self.0.wrapping_sub(n))
    }
}

impl fmt::Debug for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seq {}", self.0)
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An unwrapped position in one direction of a connection: 0 is the SYN, 1 the first byte of data; exactly the
/// relative numbers that tcpdump prints, but they never wrap.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Pos(pub i64);

impl Pos {
    /// Where the SYN stands.
    pub const SYN: Pos = Pos(0);
    /// Where the first byte of data stands.
    pub const FIRST: Pos = Pos(1);

    /// How many numbers lie between `earlier` and `self`; zero if `earlier` is not earlier.
    pub fn since(self, earlier: Pos) -> u64 {
        u64::try_from(self.0 - earlier.0).unwrap_or(0)
    }
}

impl Add<u64> for Pos {
    type Output = Pos;
    fn add(self, n: u64) -> Pos {
        Pos(self.0.saturating_add_unsigned(n))
    }
}

impl AddAssign<u64> for Pos {
    fn add_assign(&mut self, n: u64) {
        *self = *self + n;
    }
}

impl Sub<u64> for Pos {
    type Output = Pos;
    fn sub(self, n: u64) -> Pos {
        Pos(self.0.saturating_sub_unsigned(n))
    }
}

impl fmt::Debug for Pos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "@{}", self.0)
    }
}

/// One direction's sequence space: the only bridge between [`Seq`] and [`Pos`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Space {
    /// The initial sequence number (ISS or IRS): the number of the SYN.
    pub origin: Seq,
}

impl Space {
    /// The space that starts at `origin`.
    pub const fn new(origin: Seq) -> Self {
        Space { origin }
    }

    /// The position of `seq` that lies nearest to `near` (at most 2^31 away).
    pub fn pos(self, seq: Seq, near: Pos) -> Pos {
        Pos(near.0 + i64::from(seq.distance(self.seq(near))))
    }

    /// The number that stands for `pos` on the wire.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the wire carries positions modulo 2^32"
    )]
    pub const fn seq(self, pos: Pos) -> Seq {
        Seq(self.origin.0.wrapping_add(pos.0 as u32))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Whatever the origin and however far the stream has come, a number crosses the border and back unchanged.
        #[test]
        fn a_position_survives_the_wire(origin: u32, near in 0_i64..1 << 40, away in i64::from(i32::MIN)..=i64::from(i32::MAX)) {
            let space = Space::new(Seq(origin));
            let pos = Pos(near + away);
            prop_assert_eq!(space.pos(space.seq(pos), Pos(near)), pos);
        }
    }

    #[test]
    fn numbers_wrap_and_positions_do_not() {
        let space = Space::new(Seq(u32::MAX));
        assert_eq!(space.seq(Pos::FIRST), Seq(0));
        assert_eq!(space.pos(Seq(9), Pos::SYN), Pos(10));
        assert!(space.pos(Seq(9), Pos::SYN) > space.pos(Seq(u32::MAX), Pos::SYN));
    }
}
