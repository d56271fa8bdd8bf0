//! The command `tidegate`: play TCP, print captures, explain them.
//!
//! Sections: none; one subcommand, one file.
//! In: the command line.
//! Out: the subcommand's output; exit status 0, or a sentence on standard error and 1 (it went wrong) or 2 (refused).

mod drill;
mod dump;
mod explain;
mod failure;
#[cfg(target_os = "linux")]
mod get;
mod lab;
#[cfg(target_os = "linux")]
mod on;
mod read;
#[cfg(target_os = "linux")]
mod serve;
mod values;
mod vices;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::failure::Failure;

/// TCP in user space, and the reason of every segment.
#[derive(Parser)]
#[command(name = "tidegate", version, disable_help_subcommand = true)]
struct Tidegate {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Lab(lab::Args),
    Dump(dump::Args),
    #[command(alias = "packetdrill")]
    Drill(drill::Args),
    Explain(explain::Args),
    #[cfg(target_os = "linux")]
    Serve(serve::Args),
    #[cfg(target_os = "linux")]
    Get(get::Args),
}

fn main() -> ExitCode {
    let outcome = match Tidegate::try_parse() {
        Ok(Tidegate { command: Command::Lab(args) }) => lab::run(args),
        Ok(Tidegate { command: Command::Dump(args) }) => dump::run(args),
        Ok(Tidegate { command: Command::Drill(args) }) => drill::drill(args),
        Ok(Tidegate { command: Command::Explain(args) }) => explain::run(args),
        #[cfg(target_os = "linux")]
        Ok(Tidegate { command: Command::Serve(args) }) => serve::run(args),
        #[cfg(target_os = "linux")]
        Ok(Tidegate { command: Command::Get(args) }) => return get::run(args),
        Err(e) if e.use_stderr() => Err(Failure::from(e)),
        Err(help_or_version) => {
            // Nobody is left to be told when even this cannot be written.
            let _ = help_or_version.print();
            return ExitCode::SUCCESS;
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
