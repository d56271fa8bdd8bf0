//! I-01 to I-04, I-36, I-38: what the programs at both ends get.
//!
//! Sections: RFC 9293 3.9.1 (SEND, RECEIVE, CLOSE), 3.8.3 (giving up).
//! In: what each program wrote and read, and how it ended.
//! Out: what must not be.

use alloc::format;

use tidegate_proto::tcp::{CloseReason, State};

use super::{Finding, Scene, Tcb, View};
use crate::app::Trouble;

/// What a program reads is a prefix of what the other wrote. (The pumps compare every byte.)
//= I-01
pub(super) fn i_01_prefix(scene: &Scene<'_>, view: &View) -> Finding {
    match &view.app.trouble {
        Some(Trouble::WrongByte(at)) => return Err(format!("byte {at} is not the one that was written")),
        Some(Trouble::TooLong(by)) => return Err(format!("{by} bytes were read that nobody wrote")),
        _ => {}
    }
    let stream = u64::try_from(scene.peer().stream.len()).unwrap_or(u64::MAX);
    if view.app.read > stream {
        return Err(format!("{} bytes were read and only {stream} were ever sent", view.app.read));
    }
    Ok(())
}

/// After a clean close both lengths are equal and the end of the stream has come.
//= I-02
pub(super) fn i_02_whole(scene: &Scene<'_>, view: &View) -> Finding {
    if let Some(Trouble::Short { got, expected }) = view.app.trouble
        && !scene.peer().reset
    {
        return Err(format!("the stream ended after {got} of {expected} bytes"));
    }
    let stream = u64::try_from(scene.peer().stream.len()).unwrap_or(u64::MAX);
    if view.app.trouble.is_none() && view.app.eof && view.app.read != stream {
        return Err(format!("the stream ended after {} bytes, and {stream} were sent", view.app.read));
    }
    Ok(())
}

/// What was delivered stays delivered, and nothing follows the end of the stream.
//= I-03
pub(super) fn i_03_delivered(scene: &Scene<'_>, view: &View) -> Finding {
    let Some(before) = &scene.me().before else { return Ok(()) };
    if view.app.read < before.app.read || (before.app.eof && !view.app.eof) {
        return Err(format!("{} bytes had been read, and now {}", before.app.read, view.app.read));
    }
    if before.app.eof && view.app.read > before.app.read {
        return Err("bytes behind the end of the stream".into());
    }
    Ok(())
}

/// A damaged segment changes nothing.
//= I-04
pub(super) fn i_04_damaged(scene: &Scene<'_>, view: &View) -> Finding {
    let event = &scene.me().event;
    let (Some(before), Some(now)) = (scene.me().tcb_before(), view.live()) else { return Ok(()) };
    let only_damage = event.damaged > 0 && event.damaged == event.arrived && event.sent == 0;
    let timers_ran = before.next_timeout.is_some_and(|(at, _)| at <= scene.at);
    let program_ran = scene.me().before.as_ref().is_some_and(|before| before.app != view.app);
    if only_damage && !timers_ran && !program_ran && before.id == now.id && !is_same(before, now) {
        return Err(format!("only damaged segments arrived, and yet: before {before:?}"));
    }
    Ok(())
}

/// The same but for what is counted as time goes by, and for what a program has read.
fn is_same(before: &Tcb, now: &Tcb) -> bool {
    let timeless = |tcb: &Tcb| {
        let mut info = tcb.info.clone();
        info.busy_time = tidegate_proto::time::Duration::ZERO;
        (info.last_data_sent, info.last_data_recv) = (info.busy_time, info.busy_time);
        (info.last_ack_recv, info.total_rto_time) = (info.busy_time, info.busy_time);
        (info.rwnd_limited, info.sndbuf_limited, info.cwnd_limited) = (info.busy_time, info.busy_time, info.busy_time);
        info
    };
    timeless(before) == timeless(now) && before.inner == now.inner && before.next_timeout == now.next_timeout
}

/// Everything is delivered, or the connection ends by a rule that lets it, and says so.
//= I-36
pub(super) fn i_36_how_it_ended(scene: &Scene<'_>, view: &View) -> Finding {
    let me = scene.me();
    let Some(trouble) = &view.app.trouble else {
        // A listener that gave up its only caller, or that its only caller left during the handshake, waits for another, lawfully.
        let peer = scene.peer();
        let gave_up = peer.before.as_ref().is_some_and(|before| before.app.trouble.is_some());
        let jilted = !view.app.connected && (peer.reset || gave_up || me.gave_up());
        let waits = !view.app.finished && !jilted && !me.is_forsaken(peer);
        return if waits { Err("the program still waits".into()) } else { Ok(()) };
    };
    let lawful = match trouble {
        Trouble::Ended(CloseReason::TimedOut) => me.gave_up(),
        Trouble::Ended(CloseReason::Reset | CloseReason::Refused) => me.was_reset,
        Trouble::Ended(CloseReason::Aborted) => me.reset,
        // Judged by I-01 and I-02.
        Trouble::WrongByte(_) | Trouble::TooLong(_) | Trouble::Short { .. } => true,
        Trouble::Ended(CloseReason::Normal) | Trouble::Call(_) | Trouble::BadHead(_) => false,
    };
    if lawful { Ok(()) } else { Err(format!("{trouble}, and nothing gave a reason")) }
}

/// Nobody stays behind.
//= I-38
pub(super) fn i_38_gone(scene: &Scene<'_>, view: &View) -> Finding {
    match view.state {
        State::Closed | State::Listen => Ok(()),
        // A program holds it, and its peer's RST was lost or not believed.
        _ if !view.app.finished && scene.me().is_forsaken(scene.peer()) => Ok(()),
        state => Err(format!("nothing will ever happen again, and the state is {state}")),
    }
}
