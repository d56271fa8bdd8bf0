//! I-05 to I-15: numbers, windows and acknowledgements.
//!
//! Sections: RFC 9293 3.4, 3.8.6, 3.10.7.4; RFC 2018 4; RFC 2883 4.
//! In: segments that leave, and both sides at rest.
//! Out: what contradicts what the other side has, or what the same side said before.

use alloc::format;
use alloc::vec::Vec;

use tidegate_proto::tcp::{Cause, Mark};
use tidegate_proto::wire::Pos;

use super::frame::{ACK, FIN, RST, SYN};
use super::ghost::{Placed, Side};
use super::{Finding, Scene, Sent, View};

/// SND.UNA <= SND.NXT <= SND.UNA + the most that can be in flight; neither SND.UNA nor RCV.NXT ever goes back.
//= I-05
pub(super) fn i_05_una_nxt(scene: &Scene<'_>, view: &View) -> Finding {
    let Some(tcb) = view.live() else { return Ok(()) };
    let info = &tcb.info;
    let cfg = &scene.me().setup.tcp;
    let most = i64::from(cfg.snd_buf.max(cfg.snd_buf_max)) + 2;
    if info.snd_nxt < info.snd_una || info.snd_nxt.0 - info.snd_una.0 > most {
        return Err(format!("SND.UNA {:?}, SND.NXT {:?}, send buffer {most}", info.snd_una, info.snd_nxt));
    }
    if let Some(before) = scene.me().tcb_before().filter(|before| before.id == tcb.id)
        && view.state.is_synchronized()
        && (info.snd_una < before.info.snd_una || info.rcv_nxt < before.info.rcv_nxt)
    {
        let (una, nxt) = (before.info.snd_una, before.info.rcv_nxt);
        return Err(format!("back from {una:?} to {:?}, or from {nxt:?} to {:?}", info.snd_una, info.rcv_nxt));
    }
    Ok(())
}

/// Nothing is acknowledged that has not arrived, and no acknowledgement goes back.
//= I-06
pub(super) fn i_06_acknowledges(scene: &Scene<'_>, sent: &Sent, placed: &Placed) -> Finding {
    let me = scene.me();
    if sent.segment.has(RST) {
        return Ok(());
    }
    let Some(ack) = placed.ack else {
        return if sent.segment.has(SYN) { Ok(()) } else { Err("neither ACK nor SYN nor RST".into()) };
    };
    if ack > me.arrived.prefix() {
        return Err(format!("acknowledges {ack}, and only {} has arrived without a gap", me.arrived.prefix()));
    }
    if ack < me.acked {
        return Err(format!("acknowledges {ack} after {}", me.acked));
    }
    Ok(())
}

/// What one side holds acknowledged the other has; what it has the other sent.
//= I-07
pub(super) fn i_07_across(scene: &Scene<'_>, view: &View) -> Finding {
    let Some(tcb) = view.live() else { return Ok(()) };
    let (una, theirs) = (tcb.info.snd_una.0, scene.peer().arrived.prefix());
    if una > theirs {
        return Err(format!("SND.UNA is {una}, and only {theirs} has reached the peer"));
    }
    if tcb.inner.is_some() && (tcb.info.rcv_nxt.0 > scene.me().arrived.prefix()) {
        return Err(format!("RCV.NXT is {:?}, and only {} has arrived", tcb.info.rcv_nxt, scene.me().arrived.prefix()));
    }
    if scene.me().arrived.prefix() > scene.peer().sent_to {
        return Err(format!("{} arrived of {} sent", scene.me().arrived.prefix(), scene.peer().sent_to));
    }
    Ok(())
}

/// Nothing goes beyond the furthest edge that the peer has promised, but for a probe of one byte.
//= I-08
pub(super) fn i_08_window(scene: &Scene<'_>, sent: &Sent, placed: &Placed) -> Finding {
    let me = scene.me();
    if sent.segment.has(RST) || sent.segment.has(SYN) || placed.end == placed.seq {
        return Ok(());
    }
    let probe = matches!(sent.cause, Some(Cause::WindowProbe(_)));
    if placed.end > me.allowed + i64::from(probe) {
        return Err(format!("sends up to {}, and the peer's window ends at {}", placed.end, me.allowed));
    }
    Ok(())
}

/// The right edge that is promised never moves left.
//= I-09
pub(super) fn i_09_right_edge(scene: &Scene<'_>, sent: &Sent, placed: &Placed) -> Finding {
    match placed.edge.filter(|_| !sent.segment.has(RST)) {
        Some(edge) if edge + scene.me().rounding() < scene.me().promised => {
            Err(format!("the window ends at {edge} after {}", scene.me().promised))
        }
        _ => Ok(()),
    }
}

/// What was promised is kept.
//= I-09
pub(super) fn i_09_edge_kept(scene: &Scene<'_>, view: &View) -> Finding {
    let inner = view.live().and_then(|tcb| tcb.inner.as_ref());
    match inner.map(|inner| inner.rcv_edge.0) {
        Some(edge) if edge < scene.me().promised => {
            Err(format!("takes up to {edge}, and has promised {}", scene.me().promised))
        }
        _ => Ok(()),
    }
}

/// What is sent again is what was sent before.
//= I-10
pub(super) fn i_10_same_bytes(scene: &Scene<'_>, sent: &Sent, placed: &Placed) -> Finding {
    if sent.segment.has(RST) {
        return Ok(());
    }
    let stream = &scene.me().stream;
    let Ok(at) = usize::try_from(placed.data - 1) else { return Ok(()) };
    let known = stream.get(at..).unwrap_or(&[]);
    match known.iter().zip(&sent.segment.payload).position(|(old, new)| old != new) {
        Some(differs) => Err(format!("byte {} is not what it was", at + differs)),
        None => Ok(()),
    }
}

/// SYN first, then data without a gap, then FIN, then nothing more.
//= I-11
pub(super) fn i_11_order(scene: &Scene<'_>, sent: &Sent, placed: &Placed) -> Finding {
    let (me, segment) = (scene.me(), &sent.segment);
    if segment.has(RST) {
        return Ok(());
    }
    if segment.has(SYN) != (placed.seq == 0 && placed.end > 0) {
        // A probe before the first byte stands where the SYN stood, and carries nothing.
        return Err(format!("position {} with flags {:#04x}", placed.seq, segment.flags));
    }
    if placed.seq < 0 || placed.seq > me.sent_to {
        return Err(format!("starts at {}, and everything before {} was sent", placed.seq, me.sent_to));
    }
    if !segment.payload.is_empty() && !segment.has(ACK) {
        return Err("payload without ACK".into());
    }
    if let Some(fin) = me.fin {
        let fin_moved = segment.has(FIN) && placed.data_end != fin;
        if placed.data_end > fin + i64::from(segment.payload.is_empty()) || fin_moved {
            return Err(format!("up to {} although FIN stands at {fin}", placed.end));
        }
    }
    Ok(())
}

/// The window changes only by a segment that says so and is no older than the last that did; and its right edge is one
/// that the peer has promised.
//= I-12
pub(super) fn i_12_window_updates(scene: &Scene<'_>, view: &View) -> Finding {
    let me = scene.me();
    let Some(tcb) = view.live() else { return Ok(()) };
    let Some(inner) = &tcb.inner else { return Ok(()) };
    if inner.snd_edge.0 > me.allowed && view.state.is_synchronized() {
        return Err(format!("sends up to {:?}, and the peer allows {}", inner.snd_edge, me.allowed));
    }
    let Some(before) = me.tcb_before().filter(|before| before.id == tcb.id) else { return Ok(()) };
    let Some(past) = &before.inner else { return Ok(()) };
    let (old, new) = (past.snd_wl, inner.snd_wl);
    if old == new && before.info.snd_wnd == tcb.info.snd_wnd {
        return Ok(());
    }
    let wnd = i64::from(tcb.info.snd_wnd);
    // An acknowledgement that moves SND.UNA may be a retransmission with an old number, which WL1 does not go back to.
    let tells = |(seq, ack, edge): &(i64, i64, i64)| {
        let newer = *seq == new.0.0 || (*seq < new.0.0 && *ack > before.info.snd_una.0);
        newer && *ack == new.1.0 && *edge == new.1.0 + wnd
    };
    if !me.event.acks.iter().any(tells) {
        return Err(format!("WL1, WL2 and SND.WND are {new:?} and {wnd}, and no segment of this event said so"));
    }
    if new.0 < old.0 || (new.0 == old.0 && new.1 < old.1) {
        return Err(format!("from {old:?} back to {new:?}"));
    }
    Ok(())
}

/// SACK blocks: received, disjoint, inside the window; a D-SACK block before all others.
//= I-13
pub(super) fn i_13_sack(scene: &Scene<'_>, sent: &Sent, placed: &Placed) -> Finding {
    let me = scene.me();
    let (blocks, kept) = sack_blocks(scene, sent, placed);
    let ack = placed.ack.unwrap_or(0);
    if let Some((start, end)) = blocks.iter().find(|(start, end)| start >= end || !me.arrived.covers(*start, *end)) {
        return Err(format!("block {start}..{end} has not arrived"));
    }
    for (index, &(start, end)) in blocks.iter().enumerate().skip(kept) {
        if start <= ack || end > me.promised {
            return Err(format!("block {start}..{end} is not between {ack} and {}", me.promised));
        }
        if blocks[kept..index].iter().any(|other| other.0 <= end && start <= other.1) {
            return Err(format!("block {start}..{end} touches another"));
        }
    }
    Ok(())
}

/// The first block but for D-SACK holds the newest segment, as long as that is held at all.
//= I-13
pub(super) fn i_13_newest_first(scene: &Scene<'_>, view: &View) -> Finding {
    let Some((newest, first)) = scene.me().event.forgotten else { return Ok(()) };
    let Some(inner) = view.live().and_then(|tcb| tcb.inner.as_ref()) else { return Ok(()) };
    match inner.ooo.iter().any(|(start, end)| start.0 <= newest.0 && newest.1 <= end.0) {
        true => Err(format!("the newest segment is {newest:?}, and the first block is {first:?}")),
        false => Ok(()),
    }
}

/// The newest segment beyond a gap and the first block, if the one is not in the other.
pub(super) fn forgotten(scene: &Scene<'_>, sent: &Sent, placed: &Placed) -> Option<((i64, i64), (i64, i64))> {
    let (blocks, kept) = sack_blocks(scene, sent, placed);
    let newest = scene.me().newest.filter(|newest| placed.ack.is_some_and(|ack| newest.0 > ack));
    let pair = newest.zip(blocks.get(kept).copied());
    pair.filter(|(newest, first)| newest.0 < first.0 || first.1 <= newest.0).or(scene.me().event.forgotten)
}

/// The blocks as positions, and how many of them are D-SACK: one or none.
fn sack_blocks(scene: &Scene<'_>, sent: &Sent, placed: &Placed) -> (Vec<(i64, i64)>, usize) {
    let near = scene.me().arrived.prefix();
    let position = |number: u32| near + distance(number, scene.peer().iss.unwrap_or(0), near);
    let blocks: Vec<_> = sent.segment.options.sack.iter().map(|b| (position(b.0), position(b.1))).collect();
    let (Some(ack), Some(first)) = (placed.ack, blocks.first()) else { return (blocks, 0) };
    // RFC 2883 wants the block around it second; after several arrivals at once the newest has taken that place.
    let within = |other: &(i64, i64)| other.0 <= first.0 && first.1 <= other.1;
    let duplicate = first.1 <= ack || blocks[1..].iter().any(within);
    (blocks, usize::from(duplicate))
}

fn distance(number: u32, iss: u32, near: i64) -> i64 {
    let near = u32::try_from(near & i64::from(u32::MAX)).expect("just masked");
    i64::from(number.wrapping_sub(iss.wrapping_add(near)).cast_signed())
}

/// What is in flight: sorted, without gaps, from SND.UNA to SND.NXT; what is lost is part of it.
//= I-14
pub(super) fn i_14_in_flight(_: &Scene<'_>, view: &View) -> Finding {
    let Some(tcb) = view.live() else { return Ok(()) };
    let Some(inner) = &tcb.inner else { return Ok(()) };
    let runs = &inner.inflight;
    let (una, nxt) = (tcb.info.snd_una, tcb.info.snd_nxt);
    let joined = runs.windows(2).all(|pair| pair[0].1 == pair[1].0) && runs.iter().all(|run| run.0 < run.1);
    let whole = match (runs.first(), runs.last()) {
        (Some(first), Some(last)) => first.0 <= una && una < first.1 && last.1 == nxt,
        _ => una == nxt,
    };
    if !joined || !whole {
        return Err(format!("in flight is {runs:?}, and SND.UNA {una:?}, SND.NXT {nxt:?}"));
    }
    let all_lost = !runs.is_empty() && runs.iter().all(|run| run.2 == Mark::Lost);
    if inner.pipe > tcb.info.unacked || (all_lost && inner.pipe > 0) {
        return Err(format!("pipe is {} of {} segments: {runs:?}", inner.pipe, tcb.info.unacked));
    }
    Ok(())
}

/// What is held beyond a gap: sorted, disjoint, inside the window, and something that arrived.
//= I-15
pub(super) fn i_15_out_of_order(scene: &Scene<'_>, view: &View) -> Finding {
    let Some(tcb) = view.live() else { return Ok(()) };
    let Some(inner) = &tcb.inner else { return Ok(()) };
    let me: &Side = scene.me();
    let mut last = tcb.info.rcv_nxt;
    for &(start, end) in &inner.ooo {
        let has_gap = start > last || (start == last && last == Pos::SYN);
        if !has_gap || start >= end || end > inner.rcv_edge {
            return Err(format!(
                "{:?} is held, RCV.NXT is {last:?}, the window ends at {:?}",
                inner.ooo, inner.rcv_edge
            ));
        }
        if !me.arrived.covers(start.0, end.0) {
            return Err(format!("{start:?}..{end:?} is held and has not arrived"));
        }
        last = end;
    }
    if inner.ooo.len() > MOST_RANGES {
        return Err(format!("{} ranges are held", inner.ooo.len()));
    }
    Ok(())
}

/// A bound on what a peer can make us keep.
const MOST_RANGES: usize = 4096;
