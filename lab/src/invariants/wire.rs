//! I-32 to I-35: what stands on the wire, and the states behind it.
//!
//! Sections: RFC 9293 3.1, 3.3.2 (Figure 5), 3.5.2 (resets); RFC 7323 2.2, 3.2; RFC 2018 2, 3.
//! In: a segment that leaves, a change of state.
//! Out: what is wrong with it.

use alloc::format;

use tidegate_proto::tcp::{Cause, State};

use super::frame::{ACK, FIN, RST, SYN};
use super::ghost::{Placed, is_reset_answer};
use super::{Finding, Scene, Sent, View};

/// Every emitted packet fits the link, and its options fit the header. (That it parses and that its checksums are
/// right was settled when it was read.)
//= I-32
pub(super) fn i_32_fits(scene: &Scene<'_>, sent: &Sent, _: &Placed) -> Finding {
    let (len, mtu) = (sent.segment.packet_len, usize::from(scene.me().setup.mtu));
    if len > mtu {
        return Err(format!("a packet of {len} bytes on a link of {mtu}"));
    }
    let flags = sent.segment.flags;
    let both = |pair| flags & pair == pair;
    if both(SYN | FIN) || both(SYN | RST) || both(FIN | RST) {
        return Err(format!("flags {flags:#04x} contradict each other"));
    }
    let payload = sent.segment.payload.len();
    if payload > usize::from(scene.me().most_payload()) {
        return Err(format!("{payload} bytes of payload, at most {} may go", scene.me().most_payload()));
    }
    if sent.segment.options.mss.is_some() != sent.segment.has(SYN) {
        return Err("an MSS option belongs to SYN, and every SYN has one".into());
    }
    Ok(())
}

/// The arrows of Figure 5, and what one arriving segment or one call can do that takes two of them.
//= I-33
pub(super) fn i_33_figure_5(from: State, to: State) -> Finding {
    use State::{
        CloseWait, Closed, Closing, Established, FinWait1, FinWait2, LastAck, Listen, SynReceived, SynSent, TimeWait,
    };
    let lawful = match (from, to) {
        (Closed, Listen | SynSent)
        | (Listen, SynReceived | SynSent | Closed)
        | (SynSent, Established | SynReceived | Closed)
        | (SynReceived, Established | FinWait1 | Listen | Closed)
        | (Established, FinWait1 | CloseWait)
        | (FinWait1, FinWait2 | Closing | TimeWait)
        | (FinWait2, TimeWait)
        | (CloseWait, LastAck)
        | (Closing, TimeWait) => true,
        // A record of a connection may leave without a trace of LISTEN between (RFC 9293 3.6.1: reuse of TIME-WAIT).
        (TimeWait, SynReceived | SynSent) => true,
        // The acknowledgement of our SYN and the peer's FIN in one segment.
        (SynReceived | SynSent, CloseWait) => true,
        // RST, ABORT, or giving up; and the ends of LAST-ACK and TIME-WAIT.
        (_, Closed) => true,
        _ => false,
    };
    if lawful { Ok(()) } else { Err(format!("Figure 5 has no arrow from {from} to {to}")) }
}

/// No RST in a flow that gives no reason for one.
//= I-34
pub(super) fn i_34_reset(scene: &Scene<'_>, sent: &Sent, _: &Placed) -> Finding {
    match sent.cause {
        Some(Cause::Reset(why)) if scene.innocent && is_reset_answer(why) => {
            Err(format!("RST ({why:?}) although nothing was lost, damaged, doubled, overtaken, sent twice or aborted"))
        }
        Some(Cause::Reset(_)) | None => Ok(()),
        Some(cause) if sent.segment.has(RST) => Err(format!("RST, and the cause says {}", cause.name())),
        Some(_) => Ok(()),
    }
}

/// Never RST in reply to RST.
//= I-34
pub(super) fn i_34_no_reset_for_reset(scene: &Scene<'_>, _: &View) -> Finding {
    let event = &scene.me().event;
    let others = event.arrived - event.damaged - event.resets;
    if event.reset_answers > others {
        return Err(format!("{} RSTs in answer to {others} segments and {} RSTs", event.reset_answers, event.resets));
    }
    Ok(())
}

/// Options that both sides have offered, and no others; timestamps on every segment but RST once they are agreed on.
//= I-35
pub(super) fn i_35_negotiated(scene: &Scene<'_>, sent: &Sent, _: &Placed) -> Finding {
    let (segment, options) = (&sent.segment, &sent.segment.options);
    if segment.has(SYN) {
        let heard = scene.me().heard.filter(|_| segment.has(ACK));
        if let Some(heard) = heard
            && ((options.scale.is_some() && heard.scale.is_none())
                || (options.sack_permitted && !heard.sack)
                || (options.timestamps.is_some() && !heard.timestamps))
        {
            return Err(format!("a SYN-ACK offers {options:?} to a peer that offered {heard:?}"));
        }
        if options.scale.is_some_and(|shift| shift > 14) {
            return Err("a window scale beyond 14".into());
        }
        return if options.sack.is_empty() { Ok(()) } else { Err("SACK blocks on a SYN".into()) };
    }
    if options.scale.is_some() || options.sack_permitted {
        return Err(format!("{options:?} without SYN"));
    }
    // Before both SYNs are known only RST goes out without SYN.
    let Some(agreed) = scene.me().agreed() else {
        return if segment.has(RST) { Ok(()) } else { Err("neither SYN nor RST before both SYNs are known".into()) };
    };
    if !options.sack.is_empty() && !agreed.sack {
        return Err("SACK blocks that were not agreed on".into());
    }
    if options.timestamps.is_some() && !agreed.timestamps {
        return Err("timestamps that were not agreed on".into());
    }
    if options.timestamps.is_none() && agreed.timestamps && !segment.has(RST) {
        return Err("no timestamps although they were agreed on".into());
    }
    Ok(())
}
