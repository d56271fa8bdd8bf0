//! The subcommand `dump`.
//!
//! Sections: none.
//! In: its options.
//! Out: to come.

use crate::failure::Failure;

/// Print a capture in tcpdump's one-line format.
#[derive(clap::Args)]
pub(crate) struct Args {}

/// Does what the arguments ask.
pub(crate) fn run(_args: Args) -> Result<(), Failure> {
    Err(Failure::refused("this subcommand does nothing yet"))
}
