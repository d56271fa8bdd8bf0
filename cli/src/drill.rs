//! `tidegate drill`: packetdrill scripts against our stack, in virtual time.
//!
//! Sections: none.
//! In: scripts, or directories of them.
//! Out: what failed and why, what is not applicable, a table of counts; exit status 1 if a script failed, 2 if one does
//! not parse; JSON, a line for each script; a pcapng file.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use indicatif::ProgressBar;
use serde_json::json;
use tidegate_lab::script::{Definition, Passed, Report, Settings, Verdict, parse, play};
use tidegate_proto::time::{Duration, Instant};
use tidegate_proto::trace::comment::Reason;
use tidegate_proto::trace::pcapng::{Direction, Interface, InterfaceId, Packet, Writer};
use tidegate_proto::wire::frame::Link;

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
    /// IPv4 through sockets of IPv6, unless a script says which.
    #[arg(long, conflicts_with_all = ["ipv4", "ipv6"])]
    mapped: bool,
    /// The MTU, unless a script says which; without it 1500, and 1520 for IPv6.
    #[arg(long, value_name = "BYTES")]
    mtu: Option<u16>,
    /// A packet behind the last one expected fails a script, too.
    #[arg(long)]
    strict: bool,
    /// One packet of a script is one segment: several may not meet it together.
    #[arg(long, alias = "strict_segments")]
    strict_segments: bool,
    /// Write every packet of every script, pcapng with reasons, one interface for each script.
    #[arg(long, value_name = "FILE")]
    pcap: Option<PathBuf>,
    /// For programs: a line of JSON for each script.
    #[arg(long)]
    json: bool,
}

/// How many scripts of a folder ended how.
#[derive(Clone, Copy, Default)]
struct Counts {
    passed: u32,
    failed: u32,
    not_applicable: u32,
    unreadable: u32,
}

pub(crate) fn drill(args: Args) -> Result<(), Failure> {
    let settings = settings(&args)?;
    let definitions = definitions(&args.define)?;
    let mut files = Vec::new();
    for path in &args.files {
        collect(path, &mut files)?;
    }
    let mut capture = match &args.pcap {
        Some(path) => {
            let file = fs::File::create(path);
            let file = file.map_err(|e| Failure::refused(format_args!("{}: {e}", path.display())))?;
            Some((Writer::new("tidegate"), io::BufWriter::new(file)))
        }
        None => None,
    };
    // A bar where somebody can see it; what is told about scripts goes around it.
    let bar = ProgressBar::new(files.len() as u64);
    let mut out = io::stdout().lock();
    let mut table = BTreeMap::<PathBuf, Counts>::new();
    for file in &files {
        let name = file.display();
        let text = fs::read_to_string(file).map_err(|e| Failure::refused(format_args!("{name}: {e}")))?;
        let counts = table.entry(file.parent().unwrap_or(Path::new("")).to_owned()).or_default();
        let told = match parse(&text, &definitions) {
            Ok(script) => {
                let report = play(&script, &settings);
                counts.add(&report.verdict);
                if let Some((writer, file)) = &mut capture {
                    write_packets(writer, &name.to_string(), &report.packets);
                    file.write_all(&writer.take_bytes())?;
                }
                if args.json { json_of(&name.to_string(), &report) } else { told(&name.to_string(), &text, &report) }
            }
            Err(e) => {
                counts.unreadable += 1;
                let (line, column) = (e.place.line, e.place.column);
                let (expected, found) = (&e.expected, &e.found);
                if args.json {
                    let error = json!({
                        "script": name.to_string(), "verdict": "unreadable", "line": line, "column": column,
                        "expected": expected, "found": found,
                    });
                    format!("{error}\n")
                } else {
                    format!("{name}:{line}:{column}: expected {expected}, found {found}\n")
                }
            }
        };
        bar.suspend(|| out.write_all(told.as_bytes()))?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    if let Some((_, file)) = &mut capture {
        file.flush()?;
    }
    let all = table.values().fold(Counts::default(), |all, counts| all.plus(counts));
    if !args.json {
        print_table(&mut out, &table, &all)?;
    }
    out.flush()?;
    if all.unreadable > 0 {
        return Err(Failure::refused(format_args!("{} of {} scripts do not parse", all.unreadable, files.len())));
    }
    if all.failed > 0 {
        return Err(Failure::Failed(anyhow::Error::msg(format!("{} of {} scripts failed", all.failed, files.len()))));
    }
    Ok(())
}

fn settings(args: &Args) -> Result<Settings, Failure> {
    let mut settings = Settings {
        tolerance: args.tolerance,
        ipv6: args.ipv6 && !args.ipv4,
        mapped: args.mapped,
        mtu: args.mtu,
        strict: args.strict,
        strict_segments: args.strict_segments,
        capture: args.pcap.is_some(),
        ..Settings::default()
    };
    for setting in &args.sysctl {
        let (name, value) = pair(setting)?;
        settings.stack.set_sysctl(name, value).map_err(Failure::refused)?;
    }
    Ok(settings)
}

fn definitions(defines: &[String]) -> Result<Vec<(String, Definition)>, Failure> {
    let define =
        |define: &String| pair(define).map(|(name, value)| (name.to_owned(), Definition::Word(value.to_owned())));
    defines.iter().map(define).collect()
}

/// What there is to say of a script: nothing of one that passes and prints nothing.
fn told(name: &str, text: &str, report: &Report) -> String {
    let mut told: String = report.printed.iter().map(|line| format!("{name}: {line}\n")).collect();
    match &report.verdict {
        Verdict::Pass => {}
        Verdict::Fail(place, why) => {
            let line = text.lines().zip(1..).find(|(_, n)| *n == place.line).map_or("", |(line, _)| line);
            told.push_str(&format!("{name}:{}: failed: {why}\n  script   {}\n", place.line, line.trim()));
        }
        Verdict::NotApplicable(place, why) => {
            told.push_str(&format!("{name}:{}: not applicable: {why}\n", place.line));
        }
    }
    told
}

fn json_of(name: &str, report: &Report) -> String {
    let (verdict, line, why) = match &report.verdict {
        Verdict::Pass => ("pass", None, None),
        Verdict::Fail(place, why) => ("fail", Some(place.line), Some(why)),
        Verdict::NotApplicable(place, why) => ("not applicable", Some(place.line), Some(why)),
    };
    let seconds = report.ended.since(Instant::ZERO).as_micros();
    let object = json!({
        "script": name, "verdict": verdict, "line": line, "why": why, "printed": report.printed, "microseconds": seconds,
    });
    format!("{object}\n")
}

/// Each script is an interface of the file, named after it, its time from its own beginning.
fn write_packets(writer: &mut Writer, name: &str, packets: &[Passed]) {
    let interface: InterfaceId =
        writer.add_interface(&Interface { name: name.to_owned(), link: Link::Ip, snap_len: 0 });
    for packet in packets {
        let (direction, reason) = match packet.fate {
            Ok(verdict) => (Direction::Inbound, Reason::Received(verdict)),
            Err((cause, note)) => (Direction::Outbound, Reason::Sent { cause, note }),
        };
        let reason = reason.to_string();
        writer.packet(&Packet {
            interface,
            time: packet.at,
            direction,
            bytes: &packet.bytes,
            comments: &[reason.as_str()],
        });
    }
}

/// One row for each folder if there are several, then the sum.
fn print_table(out: &mut impl Write, table: &BTreeMap<PathBuf, Counts>, all: &Counts) -> io::Result<()> {
    if table.len() > 1 {
        let width = table.keys().map(|path| path.display().to_string().len()).max().unwrap_or(0);
        writeln!(out, "{:width$}  passed  failed  not applicable  unreadable", "")?;
        for (path, counts) in table {
            let Counts { passed, failed, not_applicable, unreadable } = counts;
            let path = path.display().to_string();
            writeln!(out, "{path:width$}  {passed:>6}  {failed:>6}  {not_applicable:>14}  {unreadable:>10}")?;
        }
    }
    let Counts { passed, failed, not_applicable, .. } = all;
    writeln!(out, "{passed} passed, {failed} failed, {not_applicable} not applicable")
}

impl Counts {
    fn add(&mut self, verdict: &Verdict) {
        match verdict {
            Verdict::Pass => self.passed += 1,
            Verdict::Fail(..) => self.failed += 1,
            Verdict::NotApplicable(..) => self.not_applicable += 1,
        }
    }

    fn plus(self, other: &Counts) -> Counts {
        Counts {
            passed: self.passed + other.passed,
            failed: self.failed + other.failed,
            not_applicable: self.not_applicable + other.not_applicable,
            unreadable: self.unreadable + other.unreadable,
        }
    }
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
