//! The subcommand `dump`: a capture in tcpdump's format.
//!
//! Sections: none; the rules of the format are the printer's.
//! In: a capture, and tcpdump's options.
//! Out: what `tcpdump -n -r FILE` prints, byte for byte.

use std::io::{self, BufRead, BufWriter, IsTerminal, LineWriter, Write};
use std::path::{Path, PathBuf};

use clap::ArgAction;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use tidegate_proto::trace::tcpdump::{Frame, Options, Printer, TimeStyle};

use crate::failure::Failure;
use crate::read::{self, Interface, Packet, Packets, Source};

/// Print a capture in tcpdump's one-line format.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The capture, pcap or pcapng; - is standard input
    #[arg(short = 'r', value_name = "FILE")]
    read: PathBuf,

    /// Stop after this many packets
    #[arg(short = 'c', value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,

    /// Show the link header
    #[arg(short = 'e')]
    link_header: bool,

    /// Show more: the IP header, checksums, whole messages
    #[arg(short = 'v')]
    verbose: bool,

    /// -t no time, -tt seconds since 1970, -ttt since the last packet, -tttt with date, -ttttt since the first
    #[arg(short = 't', action = ArgAction::Count)]
    time: u8,

    /// Show sequence numbers as they are on the wire
    #[arg(short = 'S')]
    absolute: bool,

    /// Number the packets
    #[arg(short = '#', long = "number")]
    number: bool,

    /// Addresses and ports as numbers, which is the case anyway
    #[arg(short = 'n', action = ArgAction::Count)]
    _numeric: u8,
}

/// Prints the capture.
pub(crate) fn run(args: Args) -> Result<(), Failure> {
    let options = Options {
        time: time_style(args.time)?,
        link_header: args.link_header,
        verbose: args.verbose,
        absolute: args.absolute,
        number: args.number,
    };
    let packets = match read::open(&args.read)? {
        Source::Packets(packets) => packets,
        Source::Text(mut text) => {
            let what = if text.fill_buf()?.is_empty() { "empty" } else { "neither a pcap nor a pcapng" };
            return Err(Failure::refused(format_args!("{} is {what}", args.read.display())));
        }
    };
    if let Some(interface) = packets.interface(0) {
        eprintln!("{}", banner(&args.read, interface));
    }
    let stdout = io::stdout().lock();
    let count = args.count.unwrap_or(u64::MAX);
    if stdout.is_terminal() {
        print(packets, count, options, LineWriter::new(stdout))
    } else {
        print(packets, count, options, BufWriter::with_capacity(64 * 1024, stdout))
    }
}

/// Prints everything up to the damage, if there is any, before it reports it.
fn print(mut packets: Packets, count: u64, options: Options, mut out: impl Write) -> Result<(), Failure> {
    let mut printer = Printer::new(options);
    let zone = TimeZone::system();
    let mut line = String::new();
    let mut printed = 0;
    let ended = loop {
        if printed == count {
            break Ok(());
        }
        let packet = match packets.next() {
            Some(Ok(packet)) => packet,
            Some(Err(damage)) => break Err(damage),
            None => break Ok(()),
        };
        line.clear();
        printer.print(&mut line, &frame(&packet, &zone));
        out.write_all(line.as_bytes())?;
        printed += 1;
    };
    out.flush()?;
    ended
}

fn frame<'a>(packet: &'a Packet, zone: &TimeZone) -> Frame<'a> {
    let time = Timestamp::from_nanosecond(packet.time_ns.into()).unwrap_or(Timestamp::MAX);
    Frame {
        number: packet.number,
        time_ns: packet.time_ns,
        utc_offset: zone.to_offset(time).seconds(),
        link: packet.link,
        bytes: &packet.data,
        original_len: packet.original_len,
    }
}

fn time_style(flags: u8) -> Result<TimeStyle, Failure> {
    Ok(match flags {
        0 => TimeStyle::Clock,
        1 => TimeStyle::None,
        2 => TimeStyle::Unix,
        3 => TimeStyle::SincePrevious,
        4 => TimeStyle::Dated,
        5 => TimeStyle::SinceFirst,
        _ => return Err(Failure::refused("-t may be given at most five times")),
    })
}

/// What tcpdump says on standard error before the first line.
fn banner(path: &Path, interface: &Interface) -> String {
    let path = path.display();
    let link = match interface.link_type {
        1 => "EN10MB (Ethernet)",
        228 => "IPV4 (Raw IPv4)",
        229 => "IPV6 (Raw IPv6)",
        12 | 14 | 101 => "RAW (Raw IP)",
        unknown => {
            return format!("reading from file {path}, link-type {unknown}, snapshot length {}", interface.snaplen);
        }
    };
    format!("reading from file {path}, link-type {link}, snapshot length {}", interface.snaplen)
}
