//! Playing a scene: the world runs, and everything that is asked for is written as it happens.
//!
//! Sections: none.
//! In: a stage and the options.
//! Out: the printed capture, the explanation, what happened behind the scene; JSON; a pcapng file.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, StdoutLock, Write};

use indicatif::{ProgressBar, ProgressStyle};
use tidegate_lab::app::App;
use tidegate_lab::capture::{Capture, reason_of};
use tidegate_lab::link::Origin;
use tidegate_lab::scenario::{Scenario, Settings, Stage};
use tidegate_lab::world::{Change, Moment, Observer, Port, Sighting, Stuck, Way, World};
use tidegate_proto::tcp::{DropReason, State, Verdict};
use tidegate_proto::time::{Duration, Instant};
use tidegate_proto::trace::Record;
use tidegate_proto::trace::comment::Reason;
use tidegate_proto::trace::flow::{Detail, End, Limits};
use tidegate_proto::trace::tcpdump::{Frame, LinkType, Options, Printer};
use tidegate_proto::wire::{FourTuple, eth, ip};

use super::behind::Behind;
use super::json::Json;
use super::{Args, At, stories, wants_colour};
use crate::explain::render::Style;
use crate::explain::sentences as say;
use crate::explain::{self, Explainer, FEW};
use crate::failure::Failure;

/// Everything that watches the world.
pub(super) struct Play<'a> {
    args: &'a Args,
    a: Port,
    out: BufWriter<StdoutLock<'static>>,
    printer: Printer,
    /// The line being printed; kept for its memory.
    line: String,
    /// Frames of the printed capture so far.
    shown: u64,
    explainer: Explainer,
    behind: Behind,
    json: Option<Json>,
    file: Option<(Capture, BufWriter<File>)>,
    progress: Option<ProgressBar>,
    /// The first write that failed: nobody can hear of it inside the world.
    error: Option<io::Error>,
    /// A's connections: when each was established.
    established: Vec<(FourTuple, Instant)>,
    /// Of these, the ones that have begun to close.
    closing: Vec<Closing>,
}

/// A connection that has begun to close; over half of it, data may still flow.
struct Closing {
    /// As A names it.
    key: FourTuple,
    established: Instant,
    /// Bytes that the end that sent the most had sent when it was asked.
    sent: u64,
}

impl<'a> Play<'a> {
    /// Opens what has to be opened, and says what the scene is about.
    pub(super) fn new(
        args: &'a Args,
        scenario: &Scenario,
        settings: &Settings,
        stage: &Stage,
    ) -> Result<Self, Failure> {
        let file = match &args.pcap {
            Some(path) => Some((capture(args, stage), BufWriter::new(super::create(path)?))),
            None => None,
        };
        let mut play = Play {
            args,
            a: stage.a,
            out: BufWriter::with_capacity(1 << 16, io::stdout().lock()),
            printer: Printer::new(Options::default()),
            line: String::new(),
            shown: 0,
            explainer: Explainer::new(Detail::First(FEW)),
            behind: Behind::new(scenario, stage, args.lang),
            json: args.json.then(|| Json::new(stage)),
            file,
            progress: progress(args, settings),
            error: None,
            established: Vec::new(),
            closing: Vec::new(),
        };
        match &play.json {
            Some(json) => {
                let line = json.scene(scenario, settings);
                writeln!(play.out, "{line}")?;
            }
            None if !args.quiet => {
                let about = stories::introduction(scenario, settings, stage, args.lang);
                let title = say::LAB_CAPTURE.say(args.lang, &[]);
                write!(play.out, "{about}\n{title}\n\n")?;
            }
            None => {}
        }
        Ok(play)
    }

    /// Lets the world run to its end. What stops it is told after the explanation, by [`finish`](Self::finish).
    pub(super) fn run(&mut self, stage: &mut Stage) -> Result<Result<(), Stuck>, Failure> {
        loop {
            let stepped = stage.world.step(self);
            if let Some(error) = self.error.take() {
                return Err(error.into());
            }
            match stepped {
                Ok(true) => self.show_progress(stage),
                Ok(false) => return Ok(stage.world.check_end()),
                Err(stuck) => return Ok(Err(stuck)),
            }
        }
    }

    /// The explanation, and everything that is still to be written.
    pub(super) fn finish(mut self, stage: &Stage, outcome: Option<&str>) -> Result<(), Failure> {
        if let Some(progress) = &self.progress {
            progress.finish_and_clear();
        }
        if let Some((mut capture, mut file)) = self.file.take() {
            file.write_all(&capture.take_bytes())?;
            file.flush()?;
        }
        let story = self.explainer.finish();
        if let Some(json) = &self.json {
            for report in &story.reports {
                writeln!(self.out, "{}", explain::json::line(report)?)?;
            }
            writeln!(self.out, "{}", story.overview_json()?)?;
            writeln!(self.out, "{}", json.end(stage, outcome))?;
        } else if !self.args.quiet {
            let style = Style { lang: self.args.lang, colour: wants_colour(), live: true, ..Style::default() };
            self.out.write_all(self.behind.tell(stage).as_bytes())?;
            if !story.reports.is_empty() {
                write!(self.out, "\n{}", story.tell(style))?;
            }
        }
        Ok(self.out.flush()?)
    }

    fn on_frame(&mut self, sighting: &Sighting) -> io::Result<()> {
        if let Some(json) = &self.json {
            let line = json.frame(sighting);
            writeln!(self.out, "{line}")?;
        }
        if sighting.port != self.a {
            return Ok(());
        }
        if !(self.args.all || is_tcp(&sighting.bytes)) {
            return Ok(());
        }
        self.shown += 1;
        let frame = Frame {
            number: self.shown,
            time_ns: since_1970(sighting.at).as_nanos(),
            utc_offset: 0,
            link: LinkType::Ethernet,
            bytes: &sighting.bytes,
            original_len: u32::try_from(sighting.bytes.len()).unwrap_or(u32::MAX),
        };
        if !is_damaged(sighting)
            && let Some(mut record) = Record::from_frame(&frame)
        {
            // The sender's own reason, whoever that is: nothing has to be guessed here.
            let Origin { cause, note, .. } = sighting.origin;
            let sent = cause.map(|cause| Reason::Sent { cause, note });
            sent.into_iter().chain(reason_of(sighting)).for_each(|reason| record.add(&reason));
            self.explainer.push(&record);
        }
        if self.args.json || self.args.quiet {
            return Ok(());
        }
        self.line.clear();
        self.printer.print(&mut self.line, &frame);
        self.out.write_all(self.line.as_bytes())
    }

    fn on_change(&mut self, change: &Change) -> io::Result<()> {
        if change.host == self.a.host && change.to == State::Established {
            self.established.push((change.key, change.at));
        }
        if change.host == self.a.host && change.from == State::Established {
            let known = self.established.iter().position(|(key, _)| *key == change.key);
            let known = known.map(|at| self.established.swap_remove(at));
            self.closing.extend(known.map(|(key, established)| Closing { key, established, sent: 0 }));
        }
        match &self.json {
            Some(json) => writeln!(self.out, "{}", json.state(change)),
            None => Ok(()),
        }
    }

    /// Asks the end that has sent the most what limited it, while its connection is still there to be asked.
    fn ask_for_limits(&mut self, world: &World, closing: &mut Closing) {
        let key = closing.key;
        let hosts = world.hosts().map(|host| match host == self.a.host {
            true => (host, key, End::A),
            false => (host, key.reversed(), End::B),
        });
        let infos = hosts.filter_map(|(host, key, end)| {
            let stack = world.stack(host);
            let mut sockets = world.apps(host).iter().flat_map(App::sockets);
            let socket = sockets.find(|socket| stack.key(*socket) == Some(key))?;
            Some((end, stack.info(socket, world.now())?))
        });
        if let Some((end, info)) = infos.max_by_key(|(_, info)| info.bytes_sent)
            && info.bytes_sent > closing.sent.max(u64::from(info.snd_mss))
        {
            closing.sent = info.bytes_sent;
            let limits = Limits::from_info(end, &info, world.now().since(closing.established));
            self.explainer.set_limits(key.local(), key.remote(), limits);
        }
    }

    fn show_progress(&mut self, stage: &Stage) {
        let Some(progress) = &self.progress else { return };
        if !stage.world.events().is_multiple_of(EVENTS_PER_GLANCE) {
            return;
        }
        for app in stage.world.apps(stage.a.host) {
            if let App::Client(client) = app {
                progress.set_position(client.received());
            }
        }
    }
}

impl Observer for Play<'_> {
    fn on_moment(&mut self, moment: &Moment) {
        if self.error.is_some() {
            return;
        }
        self.behind.on_moment(moment);
        let mut written = match moment {
            Moment::Frame(sighting) => self.on_frame(sighting),
            Moment::State(change) => self.on_change(change),
        };
        if let Some((capture, file)) = &mut self.file {
            capture.on_moment(moment);
            written = written.and_then(|()| file.write_all(&capture.take_bytes()));
        }
        self.error = written.err();
    }

    fn after_event(&mut self, world: &World) {
        if self.closing.is_empty() {
            return;
        }
        let mut closing = std::mem::take(&mut self.closing);
        for connection in &mut closing {
            self.ask_for_limits(world, connection);
        }
        // Behind the other end's FIN nothing can come.
        let a = world.stack(self.a.host);
        closing.retain(|c| {
            !matches!(a.state_of(&c.key), State::TimeWait | State::LastAck | State::Closed | State::Listen)
        });
        self.closing = closing;
    }
}

fn capture(args: &Args, stage: &Stage) -> Capture {
    let sides: &[(Port, &str)] = match args.pcap_at {
        At::A => &[(stage.a, "A")],
        At::B => &[(stage.b, "B")],
        At::Both => &[(stage.a, "A"), (stage.b, "B")],
    };
    Capture::new(sides, args.reasons.into(), since_1970(Instant::ZERO))
}

/// A bar where somebody can see it, the capture does not scroll through it, and there is something to wait for.
fn progress(args: &Args, settings: &Settings) -> Option<ProgressBar> {
    let total = settings.size.saturating_mul(settings.downloads);
    let stdout_scrolls = io::stdout().is_terminal() && !args.quiet;
    if stdout_scrolls || !io::stderr().is_terminal() || total < WORTH_A_BAR || args.scenario != "article" {
        return None;
    }
    let template = "{bar:40} {bytes}/{total_bytes} {elapsed} ({eta} left)";
    let style = ProgressStyle::with_template(template).expect("the template is well formed");
    Some(ProgressBar::new(total).with_style(style))
}

/// A segment that no analysis should believe: its receiver's checksum said so.
fn is_damaged(sighting: &Sighting) -> bool {
    matches!(
        sighting.way,
        Way::In(Verdict::Dropped(DropReason::BadChecksum | DropReason::Malformed | DropReason::BadOptions))
    )
}

/// What `tcpdump tcp` would let through.
fn is_tcp(bytes: &[u8]) -> bool {
    let packet = eth::Header::parse(bytes).ok().and_then(|(_, at)| bytes.get(at..));
    packet.is_some_and(|p| ip::Header::parse_quoted(p).is_ok_and(|(ip, _)| ip.protocol() == ip::protocol::TCP))
}

pub(super) fn since_1970(at: Instant) -> Duration {
    Duration::from_secs(Stage::EPOCH) + at.since(Instant::ZERO)
}

/// A download below this many bytes is over before a bar can be read.
const WORTH_A_BAR: u64 = 4 << 20;
/// Looking at the client costs little, but not nothing.
const EVENTS_PER_GLANCE: u64 = 512;
