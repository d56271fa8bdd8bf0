//! The payload of a segment or burst: references to where its bytes lie, in order.
//!
//! Sections: none.
//! In: slices of a send queue, usually one.
//! Out: the same, in a value that is cheap to hand on.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ops::Deref;
use core::slice;

use bytes::Bytes;

/// The slices of a payload, none of them empty. It behaves like `[Bytes]`.
///
/// Nearly every segment has one slice or none, and is handed on by value several times on its way out; so one slice
/// lies within, and only several of them, the part of a burst in each slab, are elsewhere.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Payload(Parts);

#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
enum Parts {
    #[default]
    None,
    One(Bytes),
    Several(Box<[Bytes]>),
}

impl Payload {
    /// No payload.
    pub const NONE: Payload = Payload(Parts::None);

    /// How many bytes it has.
    pub fn byte_len(&self) -> usize {
        self.iter().map(Bytes::len).sum()
    }
}

impl Deref for Payload {
    type Target = [Bytes];

    fn deref(&self) -> &[Bytes] {
        match &self.0 {
            Parts::None => &[],
            Parts::One(part) => slice::from_ref(part),
            Parts::Several(parts) => parts,
        }
    }
}

impl From<Bytes> for Payload {
    fn from(part: Bytes) -> Self {
        Payload(if part.is_empty() { Parts::None } else { Parts::One(part) })
    }
}

impl From<Vec<Bytes>> for Payload {
    fn from(mut parts: Vec<Bytes>) -> Self {
        parts.retain(|part| !part.is_empty());
        match parts.len() {
            0 | 1 => parts.pop().unwrap_or_default().into(),
            _ => Payload(Parts::Several(parts.into_boxed_slice())),
        }
    }
}

impl<'a> IntoIterator for &'a Payload {
    type Item = &'a Bytes;
    type IntoIter = slice::Iter<'a, Bytes>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_keep_their_order_and_empty_ones_vanish() {
        let part = Bytes::from_static;
        assert_eq!((Payload::NONE.byte_len(), Payload::from(Bytes::new())), (0, Payload::NONE));
        assert_eq!(Payload::from(Vec::from([part(b""), part(b"one")])), Payload::from(part(b"one")));
        let several = Payload::from(Vec::from([part(b"one"), part(b""), part(b"two")]));
        assert_eq!((several.concat(), several.len(), several.byte_len()), (b"onetwo".to_vec(), 2, 6));
    }

    /// What is handed on by value has to stay small.
    #[test]
    fn it_is_little_more_than_one_reference() {
        assert!(size_of::<Payload>() <= size_of::<Bytes>() + 8);
    }
}
