//! Stories of segments that come out of the past.
//!
//! Sections: RFC 9293 3.5 (figure 8), 3.4.3; RFC 7323 5 (PAWS); RFC 6191; RFC 6528.
//! In: settings.
//! Out: stages.

use tidegate_proto::time::Duration;

use super::open::{A_MOMENT, PORT, short_talk};
use super::{Settings, Stage};
use crate::app::script::Step;
use crate::link::{Act, Rule};

/// The article's first question. A's first SYN is not lost but wanders about until its connection, made with the
/// second, is long over. B takes it for a new one and answers; A, who knows of nothing, answers with RST.
///
/// Real networks forget a segment after MSL, which is why 2 x MSL of TIME-WAIT suffice: this one is held longer.
pub(super) fn old_duplicate_syn(settings: &Settings) -> Stage {
    let mut stage = short_talk(settings);
    let wanders = settings.stack.tcp.msl * 2 + Duration::from_secs(15);
    stage.world.add_rule(stage.a_to_b, Rule::first(|frame| frame.is_syn(), Act::Hold(wanders)));
    stage
}

/// A segment of a former connection between the same two sockets arrives in the next one. Its timestamp is old:
/// PAWS turns it away. (Without timestamps its sequence number lies outside the window: see RFC 6528.)
pub(super) fn old_segment(settings: &Settings) -> Stage {
    let mut stage = Stage::new(settings);
    let (local, remote) = (stage.a_socket(), stage.b_socket(PORT));
    // With timestamps A may reuse its sockets a second after (RFC 6191); without, only when TIME-WAIT is over.
    let rest = match settings.stack.tcp.timestamps && settings.stack.host.tw_reuse {
        true => Duration::from_secs(2),
        false => settings.stack.tcp.msl * 2 + Duration::from_secs(1),
    };
    let copy_comes = rest + Duration::from_millis(500) + settings.link.delay * 4;
    stage.add_scripts(
        &[
            Step::Until(stage.start),
            Step::Connect { local, remote },
            Step::Connected,
            Step::Say("the first connection\n"),
            A_MOMENT,
            Step::Close,
            Step::Eof,
            Step::Release,
            Step::Wait(rest),
            Step::Connect { local, remote },
            Step::Connected,
            Step::Wait(Duration::from_secs(1) + settings.link.delay * 8),
            Step::Say("the second connection\n"),
            A_MOMENT,
            Step::Close,
            Step::Eof,
            Step::Release,
        ],
        &[
            Step::Listen(remote),
            Step::Accept,
            Step::ReadOnce(100),
            Step::Eof,
            A_MOMENT,
            Step::Close,
            Step::Release,
            Step::Accept,
            Step::ReadOnce(100),
            Step::Eof,
            A_MOMENT,
            Step::Close,
            Step::Release,
        ],
    );
    stage.world.add_rule(stage.a_to_b, Rule::first(|frame| frame.is_data(), Act::Copy(copy_comes)));
    stage
}
