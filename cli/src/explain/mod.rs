//! The subcommand `explain`: a capture told in the three phases of a connection.
//!
//! Sections: RFC 9293 3.5, 3.6, Figure 5.
//! In: pcap, pcapng, tcpdump's text, or an article that quotes it; or the packets of a virtual world.
//! Out: per connection a ladder, sentences and a summary; or one line each when there are many; or JSON.

pub(crate) mod json;
pub(crate) mod layout;
pub(crate) mod reasons;
pub(crate) mod render;
pub(crate) mod sentences;
pub(crate) mod states;

use std::hash::{BuildHasher, RandomState};
use std::io::{self, IsTerminal, Write};
use std::net::SocketAddr;
use std::path::PathBuf;

use tidegate_proto::trace::Record;
use tidegate_proto::trace::flow::{Detail, FlowReport, Flows, Limits, Options};
use tidegate_proto::trace::tcpdump::Frame;

use self::render::Style;
pub(crate) use self::sentences::Lang;
use crate::failure::Failure;
use crate::read::text::Text;
use crate::read::{self, Packet, Source};

/// Explain a capture: its connections, their three phases, and the cause of what is unusual
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The capture: pcap, pcapng, tcpdump's text, or an article that quotes it; - reads standard input
    file: PathBuf,
    /// Explain only this connection, counted from 1
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    conn: Option<u64>,
    /// Write one JSON object per connection
    #[arg(long)]
    json: bool,
    /// The language of the explanation
    #[arg(long, value_enum, default_value_t)]
    lang: Lang,
}

/// Does what the arguments ask.
pub(crate) fn run(args: Args) -> Result<(), Failure> {
    let detail = match args.conn {
        Some(n) => Detail::Only(n),
        None => Detail::First(FEW),
    };
    let mut explainer = Explainer::new(detail);
    let damage = read(&args, &mut explainer)?;
    let story = explainer.finish();
    if story.reports.is_empty() {
        damage?;
        let name = match args.file.display().to_string() {
            dash if dash == "-" => "standard input".to_owned(),
            path => path,
        };
        return Err(Failure::Failed(anyhow::anyhow!("{name} holds no TCP segment")));
    }
    let colour = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let style = Style { lang: args.lang, colour, ..Style::default() };
    let one = match args.conn {
        None => None,
        Some(n) => Some(story.find(n).ok_or_else(|| {
            Failure::refused(format!("there is no connection {n}: the capture holds {}", story.begun))
        })?),
    };
    let mut out = io::BufWriter::new(io::stdout().lock());
    match one {
        _ if args.json => {
            let chosen = one.map_or(&story.reports[..], std::slice::from_ref);
            for report in chosen {
                writeln!(out, "{}", json::line(report)?)?;
            }
            if one.is_none() {
                writeln!(out, "{}", story.overview_json()?)?;
            }
        }
        Some(report) => write!(out, "{}\n{}", render::flow(report, style), render::legend(style))?,
        None => write!(out, "{}", story.tell(style))?,
    }
    out.flush()?;
    damage
}

/// Reads everything that can be read; the inner result says what damage ended the reading early.
fn read(args: &Args, explainer: &mut Explainer) -> Result<Result<(), Failure>, Failure> {
    match read::open(&args.file)? {
        Source::Packets(packets) => {
            for packet in packets {
                match packet {
                    Ok(packet) => explainer.push_packet(&packet),
                    Err(damage) => return Ok(Err(damage)),
                }
            }
        }
        Source::Text(text) => {
            for record in Text::new(text) {
                match record {
                    Ok(record) => explainer.push(&record),
                    // Half of a text with wrong times is no story.
                    Err(e) if e.kind() == io::ErrorKind::InvalidData => return Err(e.into()),
                    Err(e) => return Ok(Err(e.into())),
                }
            }
        }
    }
    Ok(Ok(()))
}

/// Turns records into stories.
pub(crate) struct Explainer {
    flows: Flows,
}

/// All conversations of a capture, understood.
pub(crate) struct Story {
    /// In the order in which they began.
    pub(crate) reports: Vec<FlowReport>,
    /// How many there were.
    begun: u64,
    records: u64,
    left_out: u64,
}

impl Explainer {
    /// `detail` says whose ladders will be drawn.
    pub(crate) fn new(detail: Detail) -> Self {
        let keys = RandomState::new();
        let mut seed = [0; 16];
        let (low, high) = seed.split_at_mut(8);
        low.copy_from_slice(&keys.hash_one(0).to_le_bytes());
        high.copy_from_slice(&keys.hash_one(1).to_le_bytes());
        Explainer { flows: Flows::new(Options { detail, seed, ..Options::default() }) }
    }

    /// The next segment of the capture.
    pub(crate) fn push(&mut self, record: &Record) {
        self.flows.push(record);
    }

    /// The next packet of a capture file; whatever is no TCP is passed over.
    fn push_packet(&mut self, packet: &Packet) {
        let frame = Frame {
            number: packet.number,
            time_ns: packet.time_ns,
            utc_offset: 0,
            link: packet.link,
            bytes: &packet.data,
            original_len: packet.original_len,
        };
        let Some(mut record) = Record::from_frame(&frame) else { return };
        record.interface = packet.interface;
        for reason in packet.comments.iter().filter_map(|comment| comment.parse().ok()) {
            record.add(&reason);
        }
        self.push(&record);
    }

    /// What our own stack knows about what limited the conversation between these sockets.
    pub(crate) fn set_limits(&mut self, one: SocketAddr, other: SocketAddr, limits: Limits) {
        self.flows.set_limits(one, other, limits);
    }

    /// The capture is over.
    pub(crate) fn finish(self) -> Story {
        let (begun, records) = (self.flows.begun(), self.flows.records());
        let (reports, left_out) = self.flows.finish();
        Story { reports, begun, records, left_out }
    }
}

impl Story {
    /// The n-th conversation of the capture, counted from 1.
    fn find(&self, n: u64) -> Option<&FlowReport> {
        self.reports.iter().find(|report| report.index == n)
    }

    /// What the other lines of JSON do not say: how many conversations there were, and how many have no line.
    pub(crate) fn overview_json(&self) -> Result<String, serde_json::Error> {
        json::overview(self.begun, self.records, self.left_out)
    }

    /// Each conversation whole if there are few, else one line each, the worst first.
    pub(crate) fn tell(&self, style: Style) -> String {
        if self.begun <= FEW {
            let brief = |n: usize| Style { brief: n > 0, ..style };
            let told: Vec<String> =
                self.reports.iter().enumerate().map(|(n, report)| render::flow(report, brief(n))).collect();
            return told.join("\n\n") + "\n" + &render::legend(style);
        }
        let mut worst: Vec<FlowReport> = self.reports.clone();
        worst.sort_by_key(|report| (std::cmp::Reverse(report.badness()), report.index));
        render::overview(&worst, self.begun, self.records, self.left_out, style)
    }
}

/// So many conversations are told whole.
pub(crate) const FEW: u64 = 3;

#[cfg(test)]
mod tests;
