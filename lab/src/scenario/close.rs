//! Stories of the release.
//!
//! Sections: RFC 9293 3.6, figures 12 and 13; 3.10.7.4 (TIME-WAIT).
//! In: settings.
//! Out: stages.

use tidegate_proto::time::Duration;

use super::open::{A_MOMENT, PORT, short_talk};
use super::{Settings, Stage};
use crate::app::script::Step;
use crate::link::{Act, Rule};

/// Both ends close at the same moment: their FINs cross, both pass through CLOSING to TIME-WAIT.
pub(super) fn simultaneous_close(settings: &Settings) -> Stage {
    let mut stage = Stage::new(settings);
    let (local, remote) = (stage.a_socket(), stage.b_socket(PORT));
    let both_close = Step::Until(Stage::FIRST_SYN + Duration::from_millis(100) + settings.link.delay * 10);
    stage.add_scripts(
        &[
            Step::Until(stage.start),
            Step::Connect { local, remote },
            Step::Connected,
            Step::Write(1_000),
            both_close,
            Step::Close,
            Step::Eof,
            Step::Release,
        ],
        &[Step::Listen(remote), Step::Accept, Step::Read(1_000), both_close, Step::Close, Step::Eof, Step::Release],
    );
    stage
}

/// A closes its side and goes on listening: 20,000 bytes flow back over a connection that is half closed.
pub(super) fn half_close(settings: &Settings) -> Stage {
    let mut stage = Stage::new(settings);
    let (local, remote) = (stage.a_socket(), stage.b_socket(PORT));
    stage.add_scripts(
        &[
            Step::Until(stage.start),
            Step::Connect { local, remote },
            Step::Connected,
            Step::Say("everything you have, please\n"),
            A_MOMENT,
            Step::Close,
            Step::Read(20_000),
            Step::Eof,
            Step::Release,
        ],
        &[
            Step::Listen(remote),
            Step::Accept,
            Step::ReadOnce(100),
            Step::Eof,
            Step::Wait(Duration::from_millis(100)),
            Step::Write(20_000),
            A_MOMENT,
            Step::Close,
            Step::Release,
        ],
    );
    stage
}

/// A's last acknowledgement is lost: B sends its FIN again, A answers from TIME-WAIT and starts 2 x MSL anew.
pub(super) fn lost_last_ack(settings: &Settings) -> Stage {
    let mut stage = short_talk(settings);
    // B has nothing to say, so A's second bare acknowledgement is that of B's FIN.
    stage.world.add_rule(stage.a_to_b, Rule { what: |frame| frame.is_bare_ack(), skip: 1, times: 1, act: Act::Drop });
    stage
}
