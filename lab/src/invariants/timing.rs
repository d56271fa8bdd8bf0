//! I-16 to I-19, I-21: timers and round trips.
//!
//! Sections: RFC 6298; RFC 9293 3.8.1, 3.8.6.1, 3.8.6.3.
//! In: both sides at rest.
//! Out: timers that are missing or idle, timeouts and round trips that cannot be.

use alloc::format;

use tidegate_proto::tcp::Timer;
use tidegate_proto::time::Duration;

use super::{Finding, Scene, View};

/// After the work is done the next deadline lies ahead, and the stack's is the earliest of its connections'.
//= I-16
pub(super) fn i_16_deadlines(scene: &Scene<'_>, view: &View) -> Finding {
    if view.next_timeout.is_some_and(|at| at <= scene.at) {
        return Err(format!("wants to be woken at {:?}, which is over", view.next_timeout));
    }
    let own = view.live().and_then(|tcb| tcb.next_timeout).map(|(at, _)| at);
    match (own, view.next_timeout) {
        (Some(own), None) => Err(format!("the connection waits for {own:?}, the stack for nothing")),
        (Some(own), Some(stack)) if stack > own => {
            Err(format!("the connection waits for {own:?}, the stack for {stack:?}"))
        }
        _ => Ok(()),
    }
}

/// What is outstanding is guarded by a timer, and so is what waits for a window; nothing outstanding, none of them.
//= I-17
pub(super) fn i_17_armed(_: &Scene<'_>, view: &View) -> Finding {
    let Some(tcb) = view.live() else { return Ok(()) };
    let info = &tcb.info;
    let outstanding = info.snd_una < info.snd_nxt;
    let unsent = info.snd_nxt < info.snd_end;
    let Some(inner) = &tcb.inner else {
        let armed = tcb.next_timeout.is_some();
        return if armed || !outstanding { Ok(()) } else { Err("SYN is outstanding and no timer runs".into()) };
    };
    let is_armed = |wanted: Timer| inner.timers.iter().any(|(timer, _)| *timer == wanted);
    let guarded = is_armed(Timer::Retransmission) || is_armed(Timer::Persist);
    if outstanding && !guarded {
        return Err("something is outstanding, and neither the retransmission nor the persist timer runs".into());
    }
    if !outstanding && unsent && !guarded && !is_armed(Timer::Cork) && !is_armed(Timer::Pacing) {
        return Err("something waits to be sent, and no timer runs".into());
    }
    if !outstanding && !unsent && guarded {
        return Err("nothing is outstanding, and a retransmission or persist timer runs".into());
    }
    Ok(())
}

/// The timeout lies within its bounds, doubles when it runs out, and comes back with progress; no round trip is taken
/// from what was sent twice.
//= I-18
pub(super) fn i_18_rto(scene: &Scene<'_>, view: &View) -> Finding {
    let me = scene.me();
    let Some(tcb) = view.live() else { return Ok(()) };
    let (info, cfg) = (&tcb.info, &me.setup.tcp);
    let least = cfg.rto_min.min(cfg.rto_initial);
    if info.rto < least || info.rto > cfg.rto_max {
        return Err(format!("the timeout is {}, not between {least} and {}", info.rto, cfg.rto_max));
    }
    let Some(before) = me.tcb_before().filter(|before| before.id == tcb.id) else {
        let ambiguous = info.snd_una.0 == 1 && me.resent.covers(0, 1) && !info.timestamps;
        return match info.rtt {
            Some(_) if ambiguous => Err("a SYN that was sent twice gave a round trip".into()),
            _ => Ok(()),
        };
    };
    let past = &before.info;
    let sampled = (info.rtt, info.rttvar) != (past.rtt, past.rttvar);
    if info.backoff == past.backoff + 1 && !sampled && info.rto != (past.rto * 2).min(cfg.rto_max) {
        return Err(format!("backed off from {} to {}", past.rto, info.rto));
    }
    // Karn: what was sent again may be acknowledged without ending the back-off; a measured round trip ends it.
    let progress = info.snd_una > past.snd_una;
    let most = if sampled { 0 } else { past.backoff };
    if progress && info.backoff > most && !me.event.timeout {
        return Err(format!("{} timeouts are counted although SND.UNA has moved", info.backoff));
    }
    if !progress && info.rtt != past.rtt {
        return Err("a round trip was taken from no acknowledgement".into());
    }
    //= 9293/MUST-18
    let ambiguous = me.resent.covers(past.snd_una.0, info.snd_una.0);
    if progress && sampled && ambiguous && !info.timestamps {
        return Err(format!("{:?} to {:?} was sent twice and gave a round trip", past.snd_una, info.snd_una));
    }
    Ok(())
}

/// No round trip is shorter than the path; while nothing goes missing, none is longer than the slowest passages there
/// and back with a delayed acknowledgement between.
//= I-19
pub(super) fn i_19_srtt(scene: &Scene<'_>, view: &View) -> Finding {
    let Some(info) = view.live().map(|tcb| &tcb.info) else { return Ok(()) };
    let path = scene.me().setup.delay + scene.peer().setup.delay;
    // An echoed timestamp is as coarse as its clock.
    let least = path.saturating_sub(if info.timestamps { TICK } else { Duration::ZERO });
    for measured in [info.rtt, info.min_rtt].into_iter().flatten() {
        if measured < least {
            return Err(format!("a round trip of {measured} over a path of {path}"));
        }
    }
    if let (Some(srtt), Some([there, back])) = (info.rtt, scene.slowest) {
        let (me, peer) = (scene.me(), scene.peer());
        let waits = LONGEST_ACK_DELAY + me.setup.merge + peer.setup.merge + me.held + peer.held + TICK;
        if srtt > there + back + waits {
            return Err(format!("a round trip of {srtt}; the slowest passages were {there} and {back}"));
        }
    }
    Ok(())
}

/// An acknowledgement waits less than half a second, and not for a second full-sized segment.
//= I-21
pub(super) fn i_21_delayed_ack(scene: &Scene<'_>, view: &View) -> Finding {
    let me = scene.me();
    if view.live().is_none_or(|tcb| tcb.inner.is_none()) || !view.state.is_synchronized() {
        return Ok(());
    }
    match me.owes_since {
        Some(since) if scene.at.since(since) > LONGEST_ACK_DELAY => {
            Err(format!("what came at {since:?} is not acknowledged yet"))
        }
        Some(_) if me.owes_full >= 2 => Err(format!("{} full-sized segments wait together", me.owes_full)),
        _ => Ok(()),
    }
}

/// RFC 9293 3.8.6.3, MUST-40.
const LONGEST_ACK_DELAY: Duration = Duration::from_millis(500);
/// One tick of the timestamp clock.
const TICK: Duration = Duration::from_millis(1);
