//! Stories of the establishment.
//!
//! Sections: RFC 9293 3.5, figures 6 and 7; RFC 6298 5.7.
//! In: settings.
//! Out: stages.

use tidegate_proto::time::Duration;

use super::{Settings, Stage};
use crate::app::script::Step;
use crate::link::{Act, Rule};

/// Both ends call at the same moment: their SYNs cross, and one connection comes of it (MUST-10).
pub(super) fn simultaneous_open(settings: &Settings) -> Stage {
    let mut stage = Stage::new(settings);
    let (a, b) = (stage.a_socket(), stage.b_socket(PORT));
    let call = |local, remote, text| {
        [
            Step::Until(stage.start),
            Step::Connect { local, remote },
            Step::Connected,
            Step::Say(text),
            Step::ReadOnce(100),
            A_MOMENT,
        ]
    };
    let a_steps = [&call(a, b, "A calls B\n")[..], &[Step::Close, Step::Eof, Step::Release]].concat();
    let b_steps = [&call(b, a, "B calls A\n")[..], &[Step::Eof, A_MOMENT, Step::Close, Step::Release]].concat();
    stage.add_scripts(&a_steps, &b_steps);
    stage
}

/// The first SYN is lost; A sends it again after a second.
pub(super) fn lost_syn(settings: &Settings) -> Stage {
    let mut stage = short_talk(settings);
    stage.world.add_rule(stage.a_to_b, Rule::first(|frame| frame.is_syn(), Act::Drop));
    stage
}

/// The third segment of the handshake is lost, and A has nothing to say: A is in ESTABLISHED, B still in
/// SYN-RECEIVED. B's SYN-ACK, sent again, heals that.
pub(super) fn lost_third_ack(settings: &Settings) -> Stage {
    let mut stage = Stage::new(settings);
    let (local, remote) = (stage.a_socket(), stage.b_socket(PORT));
    stage.add_scripts(
        &[
            Step::Until(stage.start),
            Step::Connect { local, remote },
            Step::Connected,
            Step::ReadOnce(100),
            Step::Close,
            Step::Eof,
            Step::Release,
        ],
        &[Step::Listen(remote), Step::Accept, Step::Say("B speaks first\n"), Step::Eof, Step::Close, Step::Release],
    );
    stage.world.add_rule(stage.a_to_b, Rule::first(|frame| frame.is_bare_ack(), Act::Drop));
    stage
}

/// One line from A to B, then A closes and B follows.
pub(super) fn short_talk(settings: &Settings) -> Stage {
    let mut stage = Stage::new(settings);
    let (local, remote) = (stage.a_socket(), stage.b_socket(PORT));
    stage.add_scripts(
        &[
            Step::Until(stage.start),
            Step::Connect { local, remote },
            Step::Connected,
            Step::Say("hello\n"),
            A_MOMENT,
            Step::Close,
            Step::Eof,
            Step::Release,
        ],
        &[Step::Listen(remote), Step::Accept, Step::ReadOnce(100), Step::Eof, A_MOMENT, Step::Close, Step::Release],
    );
    stage
}

/// What a program takes before it goes on, so that its calls do not melt into one segment.
pub(super) const A_MOMENT: Step = Step::Wait(Duration::from_micros(300));

/// A port without a protocol of its own.
pub(super) const PORT: u16 = 5000;
