//! The subcommand `explain`.
//!
//! Sections: none.
//! In: its options.
//! Out: to come.

use crate::failure::Failure;

/// Explain a capture: connections, phases, and the cause of what is unusual.
#[derive(clap::Args)]
pub(crate) struct Args {}

/// Does what the arguments ask.
pub(crate) fn run(_args: Args) -> Result<(), Failure> {
    Err(Failure::refused("this subcommand does nothing yet"))
}
