//! `tidegate drill`: packetdrill scripts against our stack, in virtual time.
//!
//! Sections: none.
//! In: scripts, or directories of them.
//! Out: what failed and why, what is not applicable, a line of counts; exit status 1 if a script failed, 2 if one does
//! not parse.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tidegate_lab::script::{Definition, Settings, Verdict, parse, run};
use tidegate_proto::time::Duration;

use crate::failure::Failure;

/// Run packetdrill scripts against this stack, in virtual time.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// A script, or a directory whose .pkt files are run.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// How far from its time a packet may be, unless the script says so: 4ms, 500us.
    #[arg(long, value_name = "TIME", default_value = "4ms")]
    tolerance: Duration,
    /// A setting of the stack by the kernel's name; may be repeated.
    #[arg(long, value_name = "NAME=VALUE")]
    sysctl: Vec<String>,
    /// What a word in the scripts stands for; may be repeated.
    #[arg(short = 'D', value_name = "NAME=VALUE")]
    define: Vec<String>,
    /// IPv4, unless a script says which; the default.
    #[arg(long)]
    ipv4: bool,
    /// IPv6, unless a script says which.
    #[arg(long, conflicts_with = "ipv4")]
    ipv6: bool,
}

pub(crate) fn drill(args: Args) -> Result<(), Failure> {
    let mut settings = Settings { tolerance: args.tolerance, ipv6: args.ipv6 && !args.ipv4, ..Settings::default() };
    for setting in &args.sysctl {
        let (name, value) = pair(setting)?;
        settings.stack.set_sysctl(name, value).map_err(Failure::refused)?;
    }
    let mut definitions = Vec::new();
    for define in &args.define {
        let (name, value) = pair(define)?;
        definitions.push((name.to_owned(), Definition::Word(value.to_owned())));
    }
    let mut files = Vec::new();
    for path in args.files {
        collect(&path, &mut files)?;
    }

    let mut out = io::stdout().lock();
    let (mut passed, mut failed, mut other, mut unreadable) = (0, 0, 0, 0);
    for file in &files {
        let name = file.display();
        let text = fs::read_to_string(file).map_err(|e| Failure::refused(format_args!("{name}: {e}")))?;
        let script = match parse(&text, &definitions) {
            Ok(script) => script,
            Err(e) => {
                unreadable += 1;
                let (place, expected, found) = (e.place, e.expected, e.found);
                writeln!(out, "{name}:{}:{}: expected {expected}, found {found}", place.line, place.column)?;
                continue;
            }
        };
        match run(&script, &settings) {
            Verdict::Pass => passed += 1,
            Verdict::Fail(place, why) => {
                failed += 1;
                let line = text.lines().zip(1..).find(|(_, n)| *n == place.line).map_or("", |(line, _)| line);
                writeln!(out, "{name}:{}: failed: {why}\n  script   {}", place.line, line.trim())?;
            }
            Verdict::NotApplicable(place, why) => {
                other += 1;
                writeln!(out, "{name}:{}: not applicable: {why}", place.line)?;
            }
        }
    }
    writeln!(out, "{passed} passed, {failed} failed, {other} not applicable")?;
    out.flush()?;
    if unreadable > 0 {
        return Err(Failure::refused(format_args!("{unreadable} of {} scripts do not parse", files.len())));
    }
    if failed > 0 {
        return Err(Failure::Failed(anyhow::Error::msg(format!("{failed} of {} scripts failed", files.len()))));
    }
    Ok(())
}

fn pair(text: &str) -> Result<(&str, &str), Failure> {
    text.split_once('=').ok_or_else(|| Failure::refused(format_args!("{text:?} is not NAME=VALUE")))
}

/// The file itself, or the scripts of a directory and those below it, in the order of their names.
fn collect(path: &Path, files: &mut Vec<PathBuf>) -> Result<(), Failure> {
    if !path.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    let refuse = |e: io::Error| Failure::refused(format_args!("{}: {e}", path.display()));
    let mut entries = Vec::new();
    for entry in fs::read_dir(path).map_err(refuse)? {
        entries.push(entry.map_err(refuse)?.path());
    }
    entries.sort();
    for entry in entries.iter().filter(|entry| entry.is_dir() || entry.extension().is_some_and(|end| end == "pkt")) {
        collect(entry, files)?;
    }
    Ok(())
}
