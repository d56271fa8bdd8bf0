//! Packets that are damaged on their way.
//!
//! Sections: none of an RFC's; what the language calls `mut`, `trun` and `ins`.
//! In: the packet as it was sent, its checksums right, and what happens to it.
//! Out: what arrives. Its checksums are still those of what was sent.

use alloc::vec::Vec;
use core::ops::Range;

use bytes::Bytes;
use tidegate_proto::wire::ip;

use super::ast::{Damage, DamageField, DamageKind, Header};

/// What arrives of `packet`; `None` if the place that is to be damaged is not there.
pub(super) fn damaged(packet: &Bytes, damage: &[Damage]) -> Option<Bytes> {
    let mut bytes = packet.to_vec();
    for damage in damage {
        let place = place(packet, damage)?;
        if place.end > bytes.len() || place.start > place.end {
            return None;
        }
        match damage.kind {
            // The low half of the first byte: its high half says which IP it is.
            DamageKind::Mutate if damage.field == DamageField::Ihl => *bytes.get_mut(place.start)? ^= 0x0f,
            DamageKind::Mutate => bytes.get_mut(place)?.iter_mut().for_each(|byte| *byte = !*byte),
            DamageKind::Truncate => drop(bytes.drain(place)),
            DamageKind::Insert => {
                let more: Vec<u8> = place.clone().map(|_| FILL).collect();
                drop(bytes.splice(place.start..place.start, more));
            }
        }
    }
    Some(Bytes::from(bytes))
}

/// Which bytes of the packet are meant.
fn place(packet: &[u8], damage: &Damage) -> Option<Range<usize>> {
    let (_, payload) = ip::Header::parse(packet).ok()?;
    let base = if damage.header == Header::Ip { 0 } else { payload.start };
    let (start, end) = match damage.field {
        DamageField::Ihl => (0, 1),
        DamageField::SourcePort => (payload.start, payload.start + 2),
        DamageField::Mss => {
            let at = mss_at(packet.get(payload.clone())?)?;
            (payload.start + at, payload.start + at + 2)
        }
        DamageField::Span(from, to) => (base + usize::from(from), base + usize::from(to)),
        DamageField::Offset(at, size) => (base + usize::from(at), base + usize::from(at) + usize::from(size)),
    };
    Some(start..end)
}

/// Where the value of the MSS option stands in a segment.
fn mss_at(segment: &[u8]) -> Option<usize> {
    let end = usize::from(segment.get(12)? >> 4) * 4;
    let mut at = 20;
    while at < end {
        at += match (*segment.get(at)?, segment.get(at + 1)) {
            (0, _) => return None,
            (1, _) => 1,
            (2, _) => return Some(at + 2),
            (_, Some(&len)) if len >= 2 => usize::from(len),
            _ => return None,
        };
    }
    None
}

/// What is inserted.
const FILL: u8 = 0xff;
