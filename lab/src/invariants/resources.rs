//! I-27, I-28, I-30: memory, what is left over, and replies.
//!
//! Sections: RFC 5961 7; RFC 9293 3.5.2.
//! In: both sides at rest and at the end; segments that leave.
//! Out: memory that nobody accounts for, records that nobody needs, replies that nobody asked for.

use alloc::format;

use tidegate_proto::net::Population;
use tidegate_proto::tcp::Cause;

use super::ghost::{Placed, is_limited};
use super::{Finding, Scene, Sent, View};

/// The memory charged is what the buffers hold, at least their bytes and at most what the settings allow.
//= I-27
pub(super) fn i_27_memory(scene: &Scene<'_>, view: &View) -> Finding {
    let cfg = &scene.me().setup.tcp;
    let Some(info) = view.tcb.as_ref().map(|tcb| &tcb.info) else {
        return match view.population.memory {
            0 => Ok(()),
            memory => Err(format!("{memory} bytes are charged, and there is no connection")),
        };
    };
    if view.population.connections == 1 && view.population.memory != info.memory {
        return Err(format!("the stack holds {} bytes, its connection {}", view.population.memory, info.memory));
    }
    let held = info.send_queue + info.recv_queue + info.ooo_queue;
    let (snd, rcv) = (cfg.snd_buf.max(cfg.snd_buf_max), cfg.rcv_buf.max(cfg.rcv_buf_max));
    let most = usize::try_from(snd).unwrap_or(usize::MAX).saturating_add(usize::try_from(rcv).unwrap_or(usize::MAX));
    if info.memory < held || info.memory > most.saturating_add(SLACK) || (held == 0 && info.memory > SLACK) {
        return Err(format!("{} bytes are charged for {held}, the limit is {most}", info.memory));
    }
    Ok(())
}

/// When both are closed and 2 MSL have passed, nothing is left.
//= I-28
pub(super) fn i_28_nothing_left(scene: &Scene<'_>, view: &View) -> Finding {
    if !view.app.finished && scene.me().is_forsaken(scene.peer()) {
        return Ok(());
    }
    match view.population {
        p if p == Population::default() => Ok(()),
        // Nobody came, and the program waits on.
        p if !view.app.connected && p == (Population { listeners: 1, ..Population::default() }) => Ok(()),
        p => Err(format!("{p:?} are left")),
    }
}

/// One segment gets one answer at the most.
//= I-30
pub(super) fn i_30_replies(scene: &Scene<'_>, _: &View) -> Finding {
    let event = &scene.me().event;
    let sound = event.arrived - event.damaged;
    let answers = event.answers + event.reset_answers;
    if answers > sound { Err(format!("{answers} answers to {sound} segments")) } else { Ok(()) }
}

/// Challenges keep their distance.
//= I-30
pub(super) fn i_30_limited(scene: &Scene<'_>, sent: &Sent, _: &Placed) -> Finding {
    let me = scene.me();
    let interval = me.setup.tcp.challenge_ack_interval;
    match (sent.cause, me.challenged) {
        (Some(Cause::Ack(why)), Some(last)) if is_limited(why) && scene.at.since(last) < interval => {
            Err(format!("a challenge {} after the last", scene.at.since(last)))
        }
        _ => Ok(()),
    }
}

/// The last segment that found room is charged whole, and a queue keeps a little for the next.
const SLACK: usize = 128 * 1024;
