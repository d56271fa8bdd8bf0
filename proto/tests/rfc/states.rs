//! Ways into each of the eleven states, by segments and calls alone.
//!
//! Sections: RFC 9293 3.3.2, Figure 5.
//! In: an established connection, or none.
//! Out: the same in another state, nothing unread by the test that led it there.

use tidegate_proto::tcp::State;

use crate::play::Play;

/// Leads an established connection on; what it sends on the way is forgotten.
pub(crate) fn lead(p: &mut Play, state: State) {
    p.forget();
    let script: &[&str] = match state {
        State::Established => &[],
        State::FinWait1 => &["close"],
        State::FinWait2 => &["close", ". 1 ack 2"],
        State::CloseWait => &["F. 1 ack 1"],
        State::Closing => &["close", "F. 1 ack 1"],
        State::LastAck => &["F. 1 ack 1", "close"],
        State::TimeWait => &["close", "F. 1 ack 2"],
        _ => panic!("{state} does not follow ESTABLISHED"),
    };
    for step in script {
        match *step {
            "close" => p.close(),
            segment => drop(p.inject_blindly(segment)),
        }
        p.forget();
    }
    p.wait(50);
    p.forget();
    p.is(state);
}

/// The peer sends until our window is closed.
pub(crate) fn fill_window(p: &mut Play) {
    for _ in 0..1000 {
        let info = p.info();
        let (next, room) = (info.rcv_nxt.0, i64::from(info.rcv_wnd).min(1000));
        if room == 0 {
            return;
        }
        p.inject_blindly(&format!("P. {next}:{} ack 1", next + room));
        p.wait(50);
        p.forget();
    }
    panic!("the window never closes\n{}", p.story());
}
