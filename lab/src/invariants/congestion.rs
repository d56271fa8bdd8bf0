//! I-22, I-23, I-25, I-26: the congestion window.
//!
//! Sections: RFC 5681 3; RFC 6582; RFC 3042; RFC 6928.
//! In: segments that leave, and both sides at rest.
//! Out: windows that are too narrow, too wide, or change for no reason.

use alloc::format;

use tidegate_proto::tcp::Cause;

use super::ghost::Placed;
use super::{Finding, Scene, Sent, View};

/// One segment may always be in flight, two but after a timeout; the threshold is at least two.
//= I-22
pub(super) fn i_22_floors(scene: &Scene<'_>, view: &View) -> Finding {
    let Some(info) = view.live().map(|tcb| &tcb.info) else { return Ok(()) };
    let (cwnd, ssthresh) = (info.snd_cwnd, info.snd_ssthresh);
    let me = scene.me();
    let again = me.retries > 0 || info.backoff > 0 || info.total_retrans > 0 || me.resent.touches(0, 1);
    if cwnd < 1 || (cwnd < 2 && !again && me.setup.tcp.initial_window > 1) {
        return Err(format!("cwnd is {cwnd}"));
    }
    if ssthresh < 2 {
        return Err(format!("ssthresh is {ssthresh}"));
    }
    Ok(())
}

/// New data goes only while what is in flight fits the congestion window: two segments more for limited transmit, and
/// one for each segment that a duplicate acknowledgement reports as gone.
//= I-23
pub(super) fn i_23_flight(scene: &Scene<'_>, sent: &Sent, placed: &Placed) -> Finding {
    let me = scene.me();
    let (Some(note), Some(Cause::Data | Cause::Fin)) = (sent.note, sent.cause) else { return Ok(()) };
    if placed.data_end <= me.sent_to || sent.segment.payload.is_empty() {
        return Ok(());
    }
    if me.tcb_before().is_some_and(|before| before.info.phase.is_some()) {
        // What SACK tells is subtracted at rest.
        return Ok(());
    }
    let segments = u64::from(note.cwnd) + u64::from(me.duplicates) + LIMITED_TRANSMIT;
    let most = segments * u64::from(me.most_payload()) + 1;
    if note.in_flight > most {
        return Err(format!("{} bytes in flight with cwnd {} and {} gone", note.in_flight, note.cwnd, me.duplicates));
    }
    Ok(())
}

/// With SACK the sender knows what is in the network: no more than the window, but for a tail loss probe and the first
/// segment after a timeout. A reduction that is taken back turns what was held lost into something on its way.
//= I-23
pub(super) fn i_23_pipe(scene: &Scene<'_>, view: &View) -> Finding {
    let Some(tcb) = view.live().filter(|tcb| tcb.info.phase.is_some()) else { return Ok(()) };
    let (Some(inner), Some(before)) = (&tcb.inner, scene.me().tcb_before()) else { return Ok(()) };
    let most = tcb.info.snd_cwnd.max(before.info.unacked).saturating_add(EXCEPTIONS);
    if inner.pipe > most {
        return Err(format!("{} segments in the network with cwnd {}", inner.pipe, tcb.info.snd_cwnd));
    }
    Ok(())
}

/// However acknowledgements are divided, the window grows by no more segments than they acknowledge.
//= I-25
pub(super) fn i_25_growth(scene: &Scene<'_>, view: &View) -> Finding {
    let me = scene.me();
    let Some(tcb) = view.live() else { return Ok(()) };
    let Some(before) = me.tcb_before().filter(|before| before.id == tcb.id) else { return Ok(()) };
    let grown = tcb.info.snd_cwnd.saturating_sub(before.info.snd_cwnd);
    // The initial window is that of the moment when the connection is established (RFC 6928 2).
    if grown == 0 || before.info.in_recovery || !before.info.state.is_synchronized() {
        return Ok(());
    }
    // In recovery with SACK proportional rate reduction holds instead; else the least threshold is two, even where the
    // window was one.
    if tcb.info.in_recovery && (tcb.info.phase.is_some() || tcb.info.snd_cwnd <= 2) {
        return Ok(());
    }
    // A reduction that is taken back brings the threshold back too.
    if tcb.info.phase.is_some() && tcb.info.total_retrans > 0 && tcb.info.snd_ssthresh > before.info.snd_ssthresh {
        return Ok(());
    }
    let acked = me.borders.iter().take_while(|border| **border <= tcb.info.snd_una.0).count();
    if usize::try_from(grown).unwrap_or(usize::MAX) > acked {
        return Err(format!("cwnd grew by {grown} when {acked} segments were acknowledged"));
    }
    Ok(())
}

/// The threshold comes down once per window of data; a timeout in fast recovery may bring it down again (RFC 5681 3.1).
//= I-26
pub(super) fn i_26_one_decrease(scene: &Scene<'_>, view: &View) -> Finding {
    let me = scene.me();
    let Some(info) = view.live().map(|tcb| &tcb.info) else { return Ok(()) };
    let Some(before) = me.tcb_before() else { return Ok(()) };
    let again = info.snd_una.0 < me.decreased_at && info.backoff == 0;
    if info.snd_ssthresh < before.info.snd_ssthresh && again {
        let (old, new) = (before.info.snd_ssthresh, info.snd_ssthresh);
        return Err(format!("ssthresh from {old} to {new} again before {} is acknowledged", me.decreased_at));
    }
    Ok(())
}

/// A tail loss probe, and the first segment after a timeout.
const EXCEPTIONS: u32 = 2;

/// RFC 3042: one segment for each of the first two duplicate acknowledgements.
const LIMITED_TRANSMIT: u64 = 2;
