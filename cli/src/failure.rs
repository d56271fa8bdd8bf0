//! How a command ends when it cannot do what it was asked.
//!
//! Sections: none.
//! In: errors of the command line, the file system and the captures.
//! Out: one sentence on standard error and an exit status.

use std::fmt::Display;
use std::io;
use std::process::ExitCode;

/// Why a subcommand ended without success.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It cannot be done as asked: bad usage, an impossible value, a file that cannot be opened. Exit status 2.
    Refused(anyhow::Error),
    /// It went wrong on the way: a damaged capture, a transfer that failed. Exit status 1.
    Failed(anyhow::Error),
}

impl Failure {
    /// A refusal, in one sentence without a full stop.
    pub(crate) fn refused(sentence: impl Display) -> Self {
        Failure::Refused(anyhow::Error::msg(sentence.to_string()))
    }

    /// Says why on standard error. A reader who has gone away (`tidegate ... | head`) is no failure, and hears nothing.
    pub(crate) fn report(self) -> ExitCode {
        let (error, status) = match self {
            Failure::Refused(error) => (error, 2),
            Failure::Failed(error) => (error, 1),
        };
        let is_broken_pipe =
            |cause: &io::Error| matches!(cause.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset);
        if error.chain().filter_map(|cause| cause.downcast_ref()).any(is_broken_pipe) {
            return ExitCode::SUCCESS;
        }
        eprintln!("tidegate: {error:#}");
        ExitCode::from(status)
    }
}

/// `?` means that something went wrong on the way; a refusal is said explicitly.
impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        let error = error.into();
        match error.downcast::<clap::Error>() {
            Ok(usage) => Failure::refused(sentence(&usage)),
            Err(error) => Failure::Failed(error),
        }
    }
}

/// The first paragraph of clap's message, on one line: what is wrong, without the usage text behind it.
fn sentence(usage: &clap::Error) -> String {
    let text = usage.to_string();
    let lines = text.lines().map(str::trim).take_while(|line| !line.is_empty());
    let joined = lines.collect::<Vec<_>>().join(" ");
    joined.strip_prefix("error: ").unwrap_or(&joined).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_usage_error_is_one_sentence() {
        let command = clap::Command::new("x").arg(clap::Arg::new("read").short('r').required(true));
        let error = command.try_get_matches_from(["x", "--what"]).expect_err("there is no --what");
        match Failure::from(error) {
            Failure::Refused(why) => assert_eq!(why.to_string(), "unexpected argument '--what' found"),
            Failure::Failed(why) => panic!("usage is a refusal: {why}"),
        }
    }
}
