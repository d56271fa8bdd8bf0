//! What a link may do to frames, as options: the same for links of the lab and for a real one.
//!
//! Sections: none.
//! In: the command line.
//! Out: a link with these vices.

use tidegate_lab::link::{LinkConfig, Queue};
use tidegate_lab::rng::Ppm;
use tidegate_proto::time::Duration;

use crate::values;

/// A link's vices, each way.
#[derive(clap::Args)]
pub(crate) struct Vices {
    /// Frames that are lost: 1% or 0.01
    #[arg(long, value_name = "SHARE", default_value = "0", value_parser = values::probability)]
    loss: Ppm,
    /// Up to so much more, at random, in order
    #[arg(long, value_name = "TIME", default_value = "0", value_parser = values::duration)]
    pub(crate) jitter: Duration,
    /// Frames that are overtaken by later ones
    #[arg(long, value_name = "SHARE", default_value = "0", value_parser = values::probability)]
    reorder: Ppm,
    /// Frames that arrive twice
    #[arg(long, value_name = "SHARE", default_value = "0", value_parser = values::probability)]
    duplicate: Ppm,
    /// Frames that arrive with a bit flipped
    #[arg(long, value_name = "SHARE", default_value = "0", value_parser = values::probability)]
    corrupt: Ppm,
    /// What may wait in front of the link: 256K, 100p (packets), unlimited
    #[arg(long, default_value = "unlimited", value_parser = values::queue)]
    queue: Queue,
}

impl Vices {
    /// `link` with these.
    pub(crate) fn of(&self, link: LinkConfig) -> LinkConfig {
        LinkConfig {
            jitter: self.jitter,
            loss: self.loss,
            duplicate: self.duplicate,
            reorder: self.reorder,
            corrupt: self.corrupt,
            queue: self.queue,
            ..link
        }
    }
}
