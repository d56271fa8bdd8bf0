//! The stories that `tidegate lab` tells, each on the article's two hosts.
//!
//! Sections: each story names its own.
//! In: a name, and [`Settings`].
//! Out: a [`Stage`]: a world with everything in place, ready to run.

mod close;
mod download;
mod old;
mod open;
mod stage;
mod stream;
mod trouble;

pub use download::file_path;
pub use stage::{Settings, Stage};

/// One story.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// Its name: lower case, words joined by hyphens.
    pub name: &'static str,
    /// Sets the stage.
    pub build: fn(&Settings) -> Stage,
    /// True if its programs are meant to reach their goal; otherwise failing is the story.
    pub succeeds: bool,
}

/// All stories, the article's first.
pub const ALL: &[Scenario] = &[
    Scenario::good("article", download::article),
    Scenario::good("simultaneous-open", open::simultaneous_open),
    Scenario::good("simultaneous-close", close::simultaneous_close),
    Scenario::good("half-close", close::half_close),
    Scenario::bad("connection-refused", trouble::connection_refused),
    Scenario::bad("reset-in-transfer", trouble::reset_in_transfer),
    Scenario::good("zero-window", stream::zero_window),
    Scenario::good("full-duplex", stream::full_duplex),
    Scenario::good("byte-stream", stream::byte_stream),
    Scenario::good("lost-syn", open::lost_syn),
    Scenario::good("lost-third-ack", open::lost_third_ack),
    Scenario::good("old-duplicate-syn", old::old_duplicate_syn),
    Scenario::good("lost-last-ack", close::lost_last_ack),
    Scenario::good("old-segment", old::old_segment),
    Scenario::bad("peer-vanishes", trouble::peer_vanishes),
    Scenario::bad("multicast", trouble::multicast),
];

impl Scenario {
    /// The story of that name.
    pub fn by_name(name: &str) -> Option<&'static Scenario> {
        ALL.iter().find(|s| s.name == name)
    }

    const fn good(name: &'static str, build: fn(&Settings) -> Stage) -> Self {
        Scenario { name, build, succeeds: true }
    }

    const fn bad(name: &'static str, build: fn(&Settings) -> Stage) -> Self {
        Scenario { name, build, succeeds: false }
    }
}
