//! The subcommand `lab`.
//!
//! Sections: none.
//! In: its options.
//! Out: to come.

use crate::failure::Failure;

/// Play a scene between two hosts on our own TCP, and explain it.
#[derive(clap::Args)]
pub(crate) struct Args {}

/// Does what the arguments ask.
pub(crate) fn run(_args: Args) -> Result<(), Failure> {
    Err(Failure::refused("this subcommand does nothing yet"))
}
