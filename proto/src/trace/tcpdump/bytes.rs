//! The captured part of a packet, read leniently.
//!
//! Sections: none.
//! In: bytes that may end anywhere.
//! Out: fields, or the fact that the capture ends before them.

/// The capture ends before the field that was asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct CutShort;

/// What was captured of a packet from some header on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Captured<'a>(&'a [u8]);

impl<'a> Captured<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Captured(bytes)
    }

    pub(super) fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// What follows the first `n` bytes; nothing if the capture ends before.
    pub(super) fn from(self, n: u32) -> Captured<'a> {
        Captured(usize::try_from(n).ok().and_then(|n| self.0.get(n..)).unwrap_or_default())
    }

    /// At most the first `n` bytes.
    pub(super) fn limit(self, n: u32) -> Captured<'a> {
        Captured(usize::try_from(n).ok().and_then(|n| self.0.get(..n)).unwrap_or(self.0))
    }

    /// True if `n` bytes from `at` on were captured.
    pub(super) fn has(self, at: u32, n: u32) -> bool {
        u64::from(at) + u64::from(n) <= self.0.len() as u64
    }

    /// The `n` bytes from `at` on.
    pub(super) fn slice(self, at: u32, n: u32) -> Result<&'a [u8], CutShort> {
        if !self.has(at, n) {
            return Err(CutShort);
        }
        Ok(self.from(at).limit(n).0)
    }

    pub(super) fn array<const N: usize>(self, at: u32) -> Result<[u8; N], CutShort> {
        self.from(at).0.first_chunk().copied().ok_or(CutShort)
    }

    pub(super) fn u8(self, at: u32) -> Result<u8, CutShort> {
        self.array(at).map(u8::from_be_bytes)
    }

    pub(super) fn u16(self, at: u32) -> Result<u16, CutShort> {
        self.array(at).map(u16::from_be_bytes)
    }

    pub(super) fn u32(self, at: u32) -> Result<u32, CutShort> {
        self.array(at).map(u32::from_be_bytes)
    }

    /// Everything that was captured.
    pub(super) fn all(self) -> &'a [u8] {
        self.0
    }
}
