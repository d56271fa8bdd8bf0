//! The subcommand `lab`: two hosts of our own, one virtual link, a story.
//!
//! Sections: none.
//! In: a scenario and its options.
//! Out: the capture at A, the explanation of every connection, the summary; or JSON; and a pcapng file.

mod behind;
mod json;
mod play;
mod stories;

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;

use clap::ValueEnum;
use tidegate_lab::app::App;
use tidegate_lab::link::LinkConfig;
use tidegate_lab::scenario::{self, Scenario, Settings, Stage};
use tidegate_lab::world::{Patience, Stuck};
use tidegate_proto::time::{Duration, Instant};

use self::play::Play;
use crate::explain::Lang;
use crate::failure::Failure;
use crate::values::{self, Rate, Which};
use crate::vices::Vices;

/// Play a scene between two hosts on our own TCP, and explain it
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Which scene; --list names them all
    #[arg(default_value = "article")]
    scenario: String,
    /// Name the scenes, with one line each
    #[arg(long)]
    list: bool,

    /// How often the file is downloaded, a new connection each time
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=1_000_000), help_heading = DOWNLOAD)]
    downloads: u64,
    /// The file's size in bytes: 65536, 64K, 1M
    #[arg(long, default_value = "64K", value_parser = values::size, help_heading = DOWNLOAD)]
    size: u64,
    /// How long the server waits before it closes after the client has: 100ms makes four segments of the release
    #[arg(long, value_name = "TIME", value_parser = values::duration, help_heading = DOWNLOAD)]
    think: Option<Duration>,

    /// One way from host to host: 70us, 20ms
    #[arg(long, value_name = "TIME", default_value = "70us", value_parser = values::duration, help_heading = LINK)]
    delay: Duration,
    #[command(flatten, next_help_heading = LINK)]
    vices: Vices,
    /// Bits per second: 100mbit, 1G, unlimited
    #[arg(long, default_value = "1G", value_parser = Rate::parse, help_heading = LINK)]
    rate: Rate,
    /// The largest IP packet, bytes
    #[arg(long, value_name = "BYTES", default_value_t = 1500, help_heading = LINK)]
    mtu: u16,

    /// IPv6 instead of IPv4
    #[arg(long, help_heading = HOSTS)]
    ipv6: bool,
    /// The congestion controller: reno, cubic or bbr
    #[arg(long, value_name = "NAME", help_heading = HOSTS)]
    cc: Option<String>,
    /// A setting of both hosts by the kernel's name, such as tcp_sack=0; may be repeated
    #[arg(long, value_name = "NAME=VALUE", help_heading = HOSTS)]
    sysctl: Vec<String>,
    /// Show every wire segment instead of merging what arrives (GRO) and cutting late what leaves (GSO)
    #[arg(long, help_heading = HOSTS)]
    no_merge: bool,
    /// Decides every chance and every secret
    #[arg(long, value_name = "N", default_value_t = 1, help_heading = HOSTS)]
    seed: u64,

    /// Write a capture, pcapng with comments, for Wireshark and tcpdump
    #[arg(long, value_name = "FILE", help_heading = OUTPUT)]
    pcap: Option<PathBuf>,
    /// Whose side the capture file shows
    #[arg(long, value_enum, default_value_t, help_heading = OUTPUT)]
    pcap_at: At,
    /// Which frames of the file get a comment that says why they were sent, or what became of them
    #[arg(long, value_enum, default_value_t, help_heading = OUTPUT)]
    reasons: Which,
    /// Print ARP and neighbour discovery, too
    #[arg(long, help_heading = OUTPUT)]
    all: bool,
    /// One JSON object a line instead of text
    #[arg(long, help_heading = OUTPUT)]
    json: bool,
    /// The language of the explanation
    #[arg(long, value_enum, default_value_t, help_heading = OUTPUT)]
    lang: Lang,
    /// Print nothing unless something goes wrong
    #[arg(long, conflicts_with = "json", help_heading = OUTPUT)]
    quiet: bool,
}

/// Whose side a capture shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum)]
enum At {
    /// The client's
    #[default]
    A,
    /// The server's
    B,
    /// Each as an interface of its own
    Both,
}

/// Does what the arguments ask.
pub(crate) fn run(args: Args) -> Result<(), Failure> {
    if args.list {
        io::stdout().lock().write_all(stories::list(args.lang).as_bytes())?;
        return Ok(());
    }
    let Some(scenario) = Scenario::by_name(&args.scenario) else {
        let known = scenario::ALL.iter().map(|s| s.name).collect::<Vec<_>>().join(", ");
        return Err(Failure::refused(format!("there is no scene {:?}; there are {known}", args.scenario)));
    };
    let settings = settings(&args)?;
    let mut stage = (scenario.build)(&settings);
    // Whoever asks for a gigabyte over 9,600 bit/s gets it: virtual time costs nothing.
    stage.world.set_patience(Patience { until: Instant::from_nanos(u64::MAX), events: u64::MAX });
    let mut play = Play::new(&args, scenario, &settings, &stage)?;
    let ran = play.run(&mut stage)?;
    let outcome = match ran {
        // Failing is what some scenes are about; being stuck is never.
        Ok(()) if !scenario.succeeds => None,
        Ok(()) => first_trouble(&stage),
        Err(stuck) => first_trouble(&stage).or_else(|| Some(stuck_in(&stage, &stuck))),
    };
    play.finish(&stage, outcome.as_deref())?;
    outcome.map_or(Ok(()), |why| Err(Failure::Failed(anyhow::Error::msg(why))))
}

/// What the options say, checked.
fn settings(args: &Args) -> Result<Settings, Failure> {
    let mut settings = Settings { seed: args.seed, downloads: args.downloads, size: args.size, ..Settings::default() };
    let smallest = if args.ipv6 { SMALLEST_MTU_V6 } else { SMALLEST_MTU_V4 };
    if args.mtu < smallest {
        let version = if args.ipv6 { "IPv6 (RFC 8200)" } else { "IPv4 (RFC 791)" };
        let sentence = format!("an MTU of {} is impossible: {version} needs links of at least {smallest}", args.mtu);
        return Err(Failure::refused(sentence));
    }
    settings.mtu = args.mtu;
    settings.ipv6 = args.ipv6;
    settings.link = LinkConfig { delay: args.delay, rate: args.rate.0, ..args.vices.of(settings.link) };
    settings.think = args.think.unwrap_or(settings.think);
    if args.no_merge {
        settings.merge = None;
    }
    let cc = args.cc.iter().map(|name| ("tcp_congestion_control", name.as_str()));
    let mut sysctls: Vec<(&str, &str)> = cc.collect();
    for text in &args.sysctl {
        let pair = text.split_once('=');
        sysctls.push(pair.ok_or_else(|| Failure::refused(format!("--sysctl {text}: write NAME=VALUE")))?);
    }
    for (name, value) in sysctls {
        settings.stack.set_sysctl(name, value).map_err(Failure::refused)?;
    }
    Ok(settings)
}

/// The first program that did not reach its goal.
fn first_trouble(stage: &Stage) -> Option<String> {
    for (host, name) in [(stage.a.host, "A"), (stage.b.host, "B")] {
        for app in stage.world.apps(host) {
            let Some(trouble) = app.trouble() else { continue };
            let who = match app {
                App::Client(client) => {
                    let failed = client.downloads().iter().filter(|d| d.trouble.is_some()).count();
                    format!("{failed} of {} downloads failed, the first of them so", client.downloads().len())
                }
                _ => format!("{name}'s program did not reach its goal"),
            };
            return Some(format!("{who}: {trouble}"));
        }
    }
    None
}

/// Why a world did not come to its end, its hosts by their names.
fn stuck_in(stage: &Stage, stuck: &Stuck) -> String {
    let name = |host| if host == stage.a.host { "A" } else { "B" };
    match stuck {
        Stuck::Deadlock(hosts) => {
            let names: Vec<&str> = hosts.iter().copied().map(name).collect();
            format!("nothing will ever happen again, but programs still wait on {}", names.join(" and "))
        }
        Stuck::Restless(host, _) => format!("host {} does not come to rest", name(*host)),
        other => other.to_string(),
    }
}

/// Opens the capture file; refused if that cannot be.
fn create(path: &PathBuf) -> Result<File, Failure> {
    File::create(path).map_err(|e| Failure::refused(format!("cannot write {}: {e}", path.display())))
}

/// The world's clock as a capture prints it, UTC: `10:09:11.163215`.
fn time_of_day(at: Instant) -> String {
    let micros = play::since_1970(at).as_micros();
    let seconds = micros / 1_000_000 % 86_400;
    let (h, m, s) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    format!("{h:02}:{m:02}:{s:02}.{:06}", micros % 1_000_000)
}

/// True where escape sequences are welcome.
fn wants_colour() -> bool {
    io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}

const DOWNLOAD: &str = "The download";
const LINK: &str = "The link, both ways";
const HOSTS: &str = "The hosts";
const OUTPUT: &str = "Output";
/// RFC 791: every link carries 68 bytes.
const SMALLEST_MTU_V4: u16 = 68;
/// RFC 8200 section 5.
const SMALLEST_MTU_V6: u16 = 1280;
