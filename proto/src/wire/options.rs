//! TCP options: those that this stack understands, and a walk over all of them.
//!
//! Sections: RFC 9293 3.1, 3.2; RFC 7323 (window scale, timestamps); RFC 2018 (SACK).
//! In: the option bytes of a header, any alignment, any content.
//! Out: [`Options`]; and the bytes to send, padded to a multiple of four.

use arrayvec::ArrayVec;

use super::{Error, Seq};

/// The options of one segment.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Options {
    /// Maximum segment size, bytes (kind 2).
    pub mss: Option<u16>,
    /// Window scale, a shift count as sent: may exceed 14 (kind 3).
    pub window_scale: Option<u8>,
    /// SACK permitted (kind 4).
    pub sack_permitted: bool,
    /// Timestamps (kind 8).
    pub timestamps: Option<Timestamps>,
    /// SACK blocks, the first one first (kind 5).
    pub sack: ArrayVec<SackBlock, 4>,
}

/// The timestamps option, RFC 7323 section 3.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Timestamps {
    /// TSval: the sender's clock.
    pub val: u32,
    /// TSecr: the last clock value the sender saw from its peer; meaningful only with the ACK flag.
    pub ecr: u32,
}

/// One SACK block, RFC 2018 section 3: the bytes from `start` up to, not including, `end`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct SackBlock {
    /// Left edge.
    pub start: Seq,
    /// Right edge: the number after the last byte.
    pub end: Seq,
}

/// The most option bytes a header can have: a data offset of 15 words, less the fixed 20 bytes.
pub const MAX_LEN: usize = 40;

impl Options {
    /// The options in the bytes behind the fixed header. Fails only where a length makes the rest unreadable.
    pub fn parse(bytes: &[u8]) -> Result<Options, Error> {
        let mut options = Options::default();
        //= 9293/MUST-64
        for option in walk(bytes) {
            options.take(option?);
        }
        Ok(options)
    }

    /// Their bytes, padded to a multiple of four and in Linux's order, so that captures look alike: MSS,
    /// SACK-permitted beside the timestamps, window scale, SACK. Blocks that have no room are left out, the last first.
    pub fn to_bytes(&self) -> ArrayVec<u8, MAX_LEN> {
        let mut out = ArrayVec::new();
        if let Some(mss) = self.mss {
            push(&mut out, &[kind::MSS, 4]);
            push(&mut out, &mss.to_be_bytes());
        }
        // Two bytes bring each of these to a multiple of four: SACK-permitted where it is there, NOPs else.
        if self.sack_permitted && self.timestamps.is_none() {
            push(&mut out, &[kind::NOP, kind::NOP]);
        }
        if self.sack_permitted {
            push(&mut out, &[kind::SACK_PERMITTED, 2]);
        }
        if let Some(timestamps) = self.timestamps {
            if !self.sack_permitted {
                push(&mut out, &[kind::NOP, kind::NOP]);
            }
            push(&mut out, &[kind::TIMESTAMPS, 10]);
            push(&mut out, &timestamps.val.to_be_bytes());
            push(&mut out, &timestamps.ecr.to_be_bytes());
        }
        if let Some(shift) = self.window_scale {
            push(&mut out, &[kind::NOP, kind::WINDOW_SCALE, 3, shift]);
        }
        let room = out.remaining_capacity().saturating_sub(4) / 8;
        let blocks = self.sack.get(..room).unwrap_or(&self.sack);
        if !blocks.is_empty() {
            let len = u8::try_from(2 + 8 * blocks.len()).expect("at most four blocks");
            push(&mut out, &[kind::NOP, kind::NOP, kind::SACK, len]);
            for block in blocks {
                push(&mut out, &block.start.0.to_be_bytes());
                push(&mut out, &block.end.0.to_be_bytes());
            }
        }
        //= 9293/MUST-69
        debug_assert!(out.len().is_multiple_of(4), "every group above is a multiple of four, so none needs EOL");
        out
    }

    /// Takes one option over. Of two of a kind the later counts.
    fn take(&mut self, option: Raw<'_>) {
        match (option.kind, option.data) {
            (kind::MSS, &[a, b]) => self.mss = Some(u16::from_be_bytes([a, b])),
            (kind::WINDOW_SCALE, &[shift]) => self.window_scale = Some(shift),
            (kind::SACK_PERMITTED, &[]) => self.sack_permitted = true,
            (kind::TIMESTAMPS, &[a, b, c, d, e, f, g, h]) => {
                self.timestamps =
                    Some(Timestamps { val: u32::from_be_bytes([a, b, c, d]), ecr: u32::from_be_bytes([e, f, g, h]) });
            }
            (kind::SACK, data) if !data.is_empty() && data.len() % 8 == 0 => {
                let (blocks, _) = data.as_chunks::<8>();
                self.sack = blocks.iter().take(self.sack.capacity()).map(SackBlock::from_bytes).collect();
            }
            //= 9293/MUST-6
            // Like Linux: a known kind with a length that it cannot have is passed over as if it were unknown.
            _ => {}
        }
    }
}

impl SackBlock {
    fn from_bytes(&[a, b, c, d, e, f, g, h]: &[u8; 8]) -> SackBlock {
        SackBlock { start: Seq(u32::from_be_bytes([a, b, c, d])), end: Seq(u32::from_be_bytes([e, f, g, h])) }
    }
}

/// Option kinds of IANA's registry.
#[expect(missing_docs, reason = "the names are IANA's")]
pub mod kind {
    pub const EOL: u8 = 0;
    pub const NOP: u8 = 1;
    pub const MSS: u8 = 2;
    pub const WINDOW_SCALE: u8 = 3;
    pub const SACK_PERMITTED: u8 = 4;
    pub const SACK: u8 = 5;
    pub const TIMESTAMPS: u8 = 8;
}

/// One option as it stands there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Raw<'a> {
    /// Its kind: one of [`kind`], or another.
    pub kind: u8,
    /// What follows its length byte; empty for EOL and NOP, which have none.
    pub data: &'a [u8],
}

/// Every option in turn, known or not, EOL and NOP too. Ends behind EOL, or behind the first error.
pub fn walk(bytes: &[u8]) -> Walk<'_> {
    Walk { rest: bytes }
}

/// The walk that [`walk`] starts.
#[derive(Clone, Debug)]
pub struct Walk<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Walk<'a> {
    type Item = Result<Raw<'a>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let (&kind, rest) = self.rest.split_first()?;
        //= 9293/MUST-4
        //= 9293/MUST-68
        // Only these two have no length byte, whatever options the future brings.
        if kind == kind::EOL || kind == kind::NOP {
            self.rest = if kind == kind::EOL { &[] } else { rest };
            return Some(Ok(Raw { kind, data: &[] }));
        }
        //= 9293/MUST-7
        let data = rest.split_first().and_then(|(&len, rest)| rest.split_at_checked(usize::from(len).checked_sub(2)?));
        let Some((data, rest)) = data else {
            self.rest = &[];
            return Some(Err(Error::BadOptions));
        };
        self.rest = rest;
        Some(Ok(Raw { kind, data }))
    }
}

/// Appends what is known to fit.
fn push(out: &mut ArrayVec<u8, MAX_LEN>, bytes: &[u8]) {
    out.try_extend_from_slice(bytes).expect("the fixed options take 20 bytes and SACK blocks are counted");
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Options that fit a header with all their blocks.
    pub(crate) fn any_options() -> impl Strategy<Value = Options> {
        let blocks = prop::collection::vec((any::<u32>(), any::<u32>()), 0..=4);
        let timestamps = prop::option::of((any::<u32>(), any::<u32>()));
        let syn = (prop::option::of(any::<u16>()), prop::option::of(any::<u8>()), any::<bool>());
        (syn, timestamps, blocks).prop_map(|((mss, window_scale, sack_permitted), timestamps, blocks)| {
            let mut options = Options {
                mss,
                window_scale,
                sack_permitted,
                timestamps: timestamps.map(|(val, ecr)| Timestamps { val, ecr }),
                sack: ArrayVec::new(),
            };
            let room = (MAX_LEN - options.to_bytes().len()).saturating_sub(4) / 8;
            let blocks = blocks.into_iter().take(room);
            options.sack = blocks.map(|(start, end)| SackBlock { start: Seq(start), end: Seq(end) }).collect();
            options
        })
    }

    proptest! {
        //= 9293/MUST-69
        #[test]
        fn options_survive_the_wire(options in any_options()) {
            let bytes = options.to_bytes();
            prop_assert_eq!(bytes.len() % 4, 0);
            prop_assert_eq!(Options::parse(&bytes), Ok(options));
        }

        //= 9293/MUST-64
        /// However many NOPs stand before them, at whatever alignment they come to lie.
        #[test]
        fn alignment_does_not_matter(options in any_options(), nops in 0_usize..9) {
            let mut bytes = std::vec![kind::NOP; nops];
            bytes.extend_from_slice(&options.to_bytes());
            prop_assert_eq!(Options::parse(&bytes), Ok(options));
        }

        //= 9293/MUST-7
        #[test]
        fn any_bytes_can_be_read(bytes in prop::collection::vec(prop_oneof![any::<u8>(), 0_u8..12], 0..=MAX_LEN)) {
            prop_assert!(walk(&bytes).count() <= bytes.len());
            let _ = Options::parse(&bytes);
        }

        //= 9293/MUST-6
        //= 9293/MUST-68
        #[test]
        fn an_unknown_option_is_passed_over(options in any_options(), kind in 30_u8.., data in prop::collection::vec(any::<u8>(), 0..20)) {
            let mut bytes = std::vec![kind, data.len() as u8 + 2];
            bytes.extend_from_slice(&data);
            bytes.extend_from_slice(&options.to_bytes());
            prop_assert_eq!(Options::parse(&bytes), Ok(options));
        }
    }

    #[test]
    fn linux_order() {
        let mut options = Options {
            mss: Some(1460),
            window_scale: Some(7),
            sack_permitted: true,
            timestamps: Some(Timestamps { val: 1, ecr: 2 }),
            sack: ArrayVec::new(),
        };
        let with_timestamps = [2, 4, 5, 180, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2, 1, 3, 3, 7];
        assert_eq!(options.to_bytes()[..], with_timestamps);
        options.timestamps = None;
        assert_eq!(options.to_bytes()[..], [2, 4, 5, 180, 1, 1, 4, 2, 1, 3, 3, 7]);
        let block = SackBlock { start: Seq(3), end: Seq(4) };
        let timestamps = Some(Timestamps { val: 1, ecr: 2 });
        let ack = Options { timestamps, sack: [block; 4].into_iter().collect(), ..Options::default() };
        let bytes = ack.to_bytes();
        assert_eq!(bytes[..16], [1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2, 1, 1, 5, 26]);
        assert_eq!(bytes.len(), 40, "three blocks fit beside the timestamps, the fourth does not");
    }

    //= 9293/MUST-7
    //= 9293/MUST-4
    #[test]
    fn lengths_that_cannot_be() {
        for (bytes, parsed) in [
            (&[2][..], Err(Error::BadOptions)),
            (&[2, 0, 5, 180], Err(Error::BadOptions)),
            (&[2, 1, 5, 180], Err(Error::BadOptions)),
            (&[2, 4, 5], Err(Error::BadOptions)),
            (&[99, 5, 1, 1], Err(Error::BadOptions)),
            (&[1, 1, 0, 2], Ok(None)),
            (&[0, 2, 4, 5, 180], Ok(None)),
            (&[2, 3, 5, 1], Ok(None)),
            (&[2, 4, 5, 180, 0, 9], Ok(Some(1460))),
        ] {
            assert_eq!(Options::parse(bytes).map(|options| options.mss), parsed, "{bytes:?}");
        }
    }
}
