//! What must hold after every event between two endpoints.
//!
//! Sections: RFC 9293, 5681, 6298, 7323, 2018, 2883, 5961, as each invariant names them.
//! In: a world's moments, in order, and both hosts after every event.
//! Out: [`Violation`]s, each with the invariant's id, the event, the time, the seed, and both sides' variables.
//!
//! The watcher knows what no endpoint can know: what the other one has. It reads the wire with a parser of its own
//! ([`frame`]) and keeps its own account of both directions ([`ghost`]); the rules stand in one file per group:
//!
//! | file | invariants |
//! |---|---|
//! | `stream` | I-01 to I-04, I-36, I-38: what the programs get |
//! | `sequence` | I-05 to I-15: numbers, windows, acknowledgements |
//! | `timing` | I-16 to I-21: timers and round trips |
//! | `congestion` | I-22, I-23, I-25, I-26 |
//! | `resources` | I-27, I-28, I-30 |
//! | `wire` | I-32 to I-35 |
//!
//! I-20, I-37 and I-41 to I-43 compare several runs: `lab/tests/worlds`. I-24, I-29, I-31, I-39 and I-40 have to wait for
//! what they are about.

mod congestion;
pub mod frame;
pub mod ghost;
mod resources;
mod sequence;
mod stream;
mod timing;
mod wire;

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::net::SocketAddr;

use tidegate_proto::net::{self, Note, Population, SocketId};
use tidegate_proto::tcp::{self, Inspection, State, TcpInfo, Timer, Verdict};
use tidegate_proto::time::{Duration, Instant};
use tidegate_proto::wire::frame::Link;
use tidegate_proto::wire::{FourTuple, eth};

use crate::app::{App, Trouble};
use crate::link::{Fate, Passage};
use crate::world::{HostId, Moment, Observer, Sighting, Stuck, Way, World};
use frame::{Look, RST, SYN, Segment};
use ghost::Side;

/// One of the two hosts of the connection that is watched.
#[derive(Clone, PartialEq, Debug)]
pub struct Setup {
    /// The host.
    pub host: HostId,
    /// Its socket.
    pub socket: SocketAddr,
    /// The largest IP packet on its link.
    pub mtu: u16,
    /// What its frames start with.
    pub link: Link,
    /// The settings of its connection.
    pub tcp: tcp::Config,
    /// The least time that a segment needs from here to the other side.
    pub delay: Duration,
    /// How long arriving segments may wait to be merged.
    pub merge: Duration,
    /// Its program may abort, or its user timeout may end it early.
    pub may_abort: bool,
}

/// A broken invariant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Violation {
    /// Which.
    pub id: &'static str,
    /// What was seen.
    pub what: String,
    /// At which side: 0 or 1.
    pub side: usize,
    /// When.
    pub at: Instant,
    /// In which event of the world.
    pub event: u64,
    /// The world's seed.
    pub seed: u64,
    /// The variables of both sides.
    pub sides: [String; 2],
}

/// Something that the watcher sees.
#[derive(Clone, PartialEq, Debug)]
pub enum Seen {
    /// A segment of the connection leaves a side.
    Sent(Sent),
    /// A frame of the connection, or a damaged one, reaches a side.
    Arrived(Arrival),
    /// A side put something onto the wire that no parser accepts.
    Garbage(&'static str),
    /// A side changed its state.
    Changed(State, State),
    /// The event is over: how both sides look now.
    Rest(Box<[View; 2]>),
    /// The world is over, well or not: how both sides look at the end.
    End(Box<[View; 2]>, Result<(), Stuck>),
}

/// A segment that leaves a side.
#[derive(Clone, PartialEq, Debug)]
pub struct Sent {
    /// The segment, one as it stands on the wire.
    pub segment: Segment,
    /// Why it goes out.
    pub cause: Option<tcp::Cause>,
    /// What its sender knew after the burst that it belongs to.
    pub note: Option<Note>,
    /// When it arrives, if it does.
    pub arrives: Option<Instant>,
    /// A second copy arrives.
    pub copied: bool,
}

/// A frame that reaches a side.
#[derive(Clone, PartialEq, Debug)]
pub struct Arrival {
    /// The segment, perhaps merged; `None` if it is damaged.
    pub segment: Option<Segment>,
    /// How many wire segments it was.
    pub segments: u16,
    /// What the stack said.
    pub verdict: Verdict,
}

/// One side after an event.
#[derive(Clone, PartialEq, Debug)]
pub struct View {
    /// The connection's state, whatever shape it is in.
    pub state: State,
    /// Its variables, while it has a control block of its own.
    pub tcb: Option<Tcb>,
    /// When the stack wants to be woken.
    pub next_timeout: Option<Instant>,
    /// What the stack holds.
    pub population: Population,
    /// What its program has done.
    pub app: AppView,
}

impl View {
    /// The connection's variables, unless it is over.
    pub fn live(&self) -> Option<&Tcb> {
        self.tcb.as_ref().filter(|tcb| tcb.info.state != State::Closed)
    }
}

/// A connection's own variables.
#[derive(Clone, PartialEq, Debug)]
pub struct Tcb {
    /// Its socket.
    pub id: SocketId,
    /// What everybody may know of it.
    pub info: TcpInfo,
    /// What the rules keep to themselves; `None` before the peer is known.
    pub inner: Option<Inspection>,
    /// Its next deadline.
    pub next_timeout: Option<(Instant, Timer)>,
}

/// What a program has done.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct AppView {
    /// Bytes written.
    pub written: u64,
    /// Bytes read.
    pub read: u64,
    /// The end of the stream was read.
    pub eof: bool,
    /// It has, or had, a connection.
    pub connected: bool,
    /// It has nothing left to do.
    pub finished: bool,
    /// What went wrong.
    pub trouble: Option<Trouble>,
}

/// What a rule finds: nothing wrong, or what.
type Finding = Result<(), String>;

/// Everything that a rule may look at.
struct Scene<'a> {
    sides: &'a [Side; 2],
    /// Whose turn it is.
    side: usize,
    at: Instant,
    /// So far nothing was lost, damaged, doubled, overtaken or sent twice, and nobody aborted.
    innocent: bool,
    /// The longest passage of a segment so far, in each direction; `None` once anything went missing.
    slowest: Option<[Duration; 2]>,
}

impl Scene<'_> {
    fn me(&self) -> &Side {
        &self.sides[self.side]
    }

    fn peer(&self) -> &Side {
        &self.sides[1 - self.side]
    }
}

type OnSent = fn(&Scene<'_>, &Sent, &ghost::Placed) -> Finding;
type OnRest = fn(&Scene<'_>, &View) -> Finding;

/// The rules about each segment that leaves.
const ON_SENT: &[(&str, OnSent)] = &[
    ("I-32", wire::i_32_fits),
    ("I-34", wire::i_34_reset),
    ("I-35", wire::i_35_negotiated),
    ("I-11", sequence::i_11_order),
    ("I-10", sequence::i_10_same_bytes),
    ("I-06", sequence::i_06_acknowledges),
    ("I-08", sequence::i_08_window),
    ("I-09", sequence::i_09_right_edge),
    ("I-13", sequence::i_13_sack),
    ("I-23", congestion::i_23_flight),
    ("I-30", resources::i_30_limited),
];

/// The rules about each side at rest.
const ON_REST: &[(&str, OnRest)] = &[
    ("I-01", stream::i_01_prefix),
    ("I-03", stream::i_03_delivered),
    ("I-04", stream::i_04_damaged),
    ("I-05", sequence::i_05_una_nxt),
    ("I-07", sequence::i_07_across),
    ("I-09", sequence::i_09_edge_kept),
    ("I-12", sequence::i_12_window_updates),
    ("I-13", sequence::i_13_newest_first),
    ("I-14", sequence::i_14_in_flight),
    ("I-15", sequence::i_15_out_of_order),
    ("I-16", timing::i_16_deadlines),
    ("I-17", timing::i_17_armed),
    ("I-18", timing::i_18_rto),
    ("I-19", timing::i_19_srtt),
    ("I-21", timing::i_21_delayed_ack),
    ("I-22", congestion::i_22_floors),
    ("I-23", congestion::i_23_pipe),
    ("I-25", congestion::i_25_growth),
    ("I-26", congestion::i_26_one_decrease),
    ("I-27", resources::i_27_memory),
    ("I-30", resources::i_30_replies),
    ("I-34", wire::i_34_no_reset_for_reset),
];

/// The rules about each side when all is over.
const ON_END: &[(&str, OnRest)] = &[
    ("I-02", stream::i_02_whole),
    ("I-28", resources::i_28_nothing_left),
    ("I-36", stream::i_36_how_it_ended),
    ("I-38", stream::i_38_gone),
];

/// Watches one connection between two hosts of a world.
#[derive(Clone, Debug)]
pub struct Watcher {
    seed: u64,
    sides: [Side; 2],
    event: u64,
    innocent: bool,
    slowest: Option<[Duration; 2]>,
    violations: Vec<Violation>,
    record: Option<Vec<(Instant, usize, Seen)>>,
}

impl Watcher {
    /// A watcher of the connection between the two sockets, in the world of `seed`.
    pub fn new(seed: u64, setups: [Setup; 2]) -> Self {
        Watcher {
            seed,
            innocent: setups.iter().all(|setup| !setup.may_abort),
            sides: setups.map(Side::new),
            event: 0,
            slowest: Some([Duration::ZERO; 2]),
            violations: Vec::new(),
            record: None,
        }
    }

    /// Keeps everything that is seen, for [`take_record`](Self::take_record).
    pub fn keep_record(&mut self) {
        self.record = Some(Vec::new());
    }

    /// Everything that was seen, in order: when, at which side, what.
    pub fn take_record(&mut self) -> Vec<(Instant, usize, Seen)> {
        self.record.take().unwrap_or_default()
    }

    /// What was broken, in order; only the first few.
    pub fn violations(&self) -> &[Violation] {
        &self.violations
    }

    /// The world is over, with this result.
    pub fn on_end(&mut self, world: &World, result: &Result<(), Stuck>) {
        let views = self.look(world);
        self.judge(world.now(), 0, Seen::End(views, result.clone()));
    }

    /// Judges one thing that was seen, then remembers it.
    pub fn judge(&mut self, at: Instant, side: usize, seen: Seen) {
        if let Some(record) = &mut self.record {
            record.push((at, side, seen.clone()));
        }
        match seen {
            Seen::Sent(sent) => self.judge_sent(at, side, &sent),
            Seen::Arrived(arrival) => ghost::on_arrival(&mut self.sides, side, &arrival, at),
            Seen::Garbage(what) => self.blame("I-32", side, at, what.into()),
            Seen::Changed(from, to) => {
                self.sides[side].reopened = (from, to) == (State::Listen, State::SynReceived);
                if let Err(what) = wire::i_33_figure_5(from, to) {
                    self.blame("I-33", side, at, what);
                }
            }
            Seen::Rest(views) => {
                self.judge_views(ON_REST, at, &views);
                ghost::on_rest(&mut self.sides, &views, at);
                self.event += 1;
            }
            Seen::End(views, result) => {
                if let Err(stuck) = result {
                    self.blame("I-36", 0, at, format!("{stuck}"));
                }
                self.judge_views(ON_END, at, &views);
            }
        }
    }

    fn judge_sent(&mut self, at: Instant, side: usize, sent: &Sent) {
        let segment = &sent.segment;
        if segment.has(SYN) && !segment.has(RST) {
            self.sides[side].iss.get_or_insert(segment.seq);
        }
        let placed = ghost::place(&self.sides[side], &self.sides[1 - side], segment);
        let resent = placed.end > placed.seq && placed.seq < self.sides[side].sent_to;
        let last = &mut self.sides[side].last_arrival;
        let astray = sent.arrives.is_none_or(|at| at < *last);
        *last = sent.arrives.unwrap_or(*last).max(*last);
        self.innocent &= !(astray || resent || sent.copied);
        self.slowest = match (self.slowest, sent.arrives) {
            (Some(mut slowest), Some(arrives)) => {
                slowest[side] = slowest[side].max(arrives.since(at));
                Some(slowest)
            }
            _ => None,
        };
        let mut found = Vec::new();
        self.sides[side].event.forgotten = sequence::forgotten(&self.scene(side, at), sent, &placed);
        for (id, rule) in ON_SENT {
            if let Err(what) = rule(&self.scene(side, at), sent, &placed) {
                found.push((*id, what));
            }
        }
        for (id, what) in found {
            self.blame(id, side, at, what);
        }
        ghost::on_sent(&mut self.sides, side, segment, sent.cause, at);
    }

    fn judge_views(&mut self, rules: &[(&'static str, OnRest)], at: Instant, views: &[View; 2]) {
        let mut found = Vec::new();
        for (side, view) in views.iter().enumerate() {
            for (id, rule) in rules {
                if let Err(what) = rule(&self.scene(side, at), view) {
                    found.push((*id, side, what));
                }
            }
        }
        if !found.is_empty() {
            // So that the report shows both sides as they are now.
            for (side, view) in self.sides.iter_mut().zip(views) {
                side.before = Some(view.clone());
            }
        }
        for (id, side, what) in found {
            self.blame(id, side, at, what);
        }
    }

    fn scene(&self, side: usize, at: Instant) -> Scene<'_> {
        Scene { sides: &self.sides, side, at, innocent: self.innocent, slowest: self.slowest }
    }

    fn blame(&mut self, id: &'static str, side: usize, at: Instant, what: String) {
        if self.violations.len() < MOST_VIOLATIONS {
            let sides = [&self.sides[0], &self.sides[1]].map(describe);
            self.violations.push(Violation { id, what, side, at, event: self.event, seed: self.seed, sides });
        }
    }

    fn look(&self, world: &World) -> Box<[View; 2]> {
        Box::new([0, 1].map(|side| self.look_at(world, side)))
    }

    fn look_at(&self, world: &World, side: usize) -> View {
        let setup = &self.sides[side].setup;
        let stack = world.stack(setup.host);
        let key = FourTuple::new(setup.socket, self.sides[1 - side].setup.socket);
        let found = stack.connections().find(|(_, connection)| connection.key() == key);
        let tcb = found.map(|(id, connection)| Tcb {
            id,
            info: connection.info(world.now()),
            inner: connection.inspect(),
            next_timeout: connection.next_timeout(),
        });
        let app = world.apps(setup.host).iter().find_map(|app| match app {
            App::Pump(pump) => Some(AppView {
                written: pump.sent(),
                read: pump.received(),
                eof: pump.saw_eof(),
                connected: pump.socket().is_some() || app.is_finished(),
                finished: app.is_finished(),
                trouble: app.trouble().cloned(),
            }),
            _ => None,
        });
        View {
            state: stack.state_of(&key),
            tcb,
            next_timeout: stack.next_timeout(),
            population: stack.population(),
            app: app.unwrap_or_default(),
        }
    }

    fn side_of(&self, host: HostId) -> Option<usize> {
        self.sides.iter().position(|side| side.setup.host == host)
    }

    fn see(&mut self, sighting: &Sighting) {
        let Some(side) = self.side_of(sighting.port.host) else { return };
        match &sighting.way {
            Way::Out(passages) => {
                for (bytes, passage) in sighting.wire.iter().zip(passages) {
                    self.see_out(sighting, side, bytes, passage);
                }
            }
            Way::In(verdict) => {
                let look = if sighting.segments > 1 { Look::Merged } else { Look::Wire };
                let segment = match frame::read(self.sides[side].setup.link, &sighting.bytes, look) {
                    Ok(Some(segment)) if self.is_ours(&segment, 1 - side) => Some(segment),
                    Ok(_) => return,
                    Err(_) => None,
                };
                let arrival = Arrival { segment, segments: sighting.segments, verdict: *verdict };
                self.judge(sighting.at, side, Seen::Arrived(arrival));
            }
        }
    }

    fn see_out(&mut self, sighting: &Sighting, side: usize, bytes: &bytes::Bytes, passage: &Passage) {
        let Setup { link, mtu, .. } = self.sides[side].setup;
        let header = if link == Link::Ethernet { eth::HEADER_LEN } else { 0 };
        if bytes.len() > header + usize::from(mtu) {
            self.judge(sighting.at, side, Seen::Garbage("longer than the MTU"));
        }
        match frame::read(link, bytes, Look::Wire) {
            Err(what) => self.judge(sighting.at, side, Seen::Garbage(what)),
            Ok(Some(segment)) if self.is_ours(&segment, side) => {
                let sent = Sent {
                    segment,
                    cause: match sighting.origin.cause {
                        Some(net::Cause::Tcp(cause)) => Some(cause),
                        _ => None,
                    },
                    note: sighting.origin.note,
                    arrives: match passage.fate {
                        Fate::Arrives(at) if !passage.corrupted => Some(at),
                        _ => None,
                    },
                    copied: passage.copy.is_some(),
                };
                self.judge(sighting.at, side, Seen::Sent(sent));
            }
            Ok(_) => {}
        }
    }

    fn is_ours(&self, segment: &Segment, from: usize) -> bool {
        segment.from == self.sides[from].setup.socket && segment.to == self.sides[1 - from].setup.socket
    }
}

impl Observer for Watcher {
    fn on_moment(&mut self, moment: &Moment) {
        match moment {
            Moment::Frame(sighting) => self.see(sighting),
            Moment::State(change) => {
                if let Some(side) = self.side_of(change.host) {
                    self.judge(change.at, side, Seen::Changed(change.from, change.to));
                }
            }
        }
    }

    fn after_event(&mut self, world: &World) {
        let views = self.look(world);
        self.judge(world.now(), 0, Seen::Rest(views));
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Violation { id, what, side, at, event, seed, sides } = self;
        let name = if *side == 0 { 'A' } else { 'B' };
        writeln!(f, "{id} is broken at {name} in event {event} at {at:?} of the world of seed {seed}: {what}")?;
        writeln!(f, "  A {}", sides[0])?;
        write!(f, "  B {}", sides[1])
    }
}

/// A side's variables in one line.
fn describe(side: &Side) -> String {
    let ghost = format!(
        "sent_to {} acked {} promised {} allowed {} arrived {}",
        side.sent_to,
        side.acked,
        side.promised,
        side.allowed,
        side.arrived.prefix()
    );
    let Some(view) = &side.before else { return format!("nothing yet; {ghost}") };
    let Some(Tcb { info: i, inner, .. }) = &view.tcb else { return format!("{}; {ghost}", view.state) };
    let mut text = format!(
        "{} una {:?} nxt {:?} end {:?} wnd {} rcv.nxt {:?} rcv.wnd {} mss {} cwnd {} ssthresh {} unacked {} rto {} \
         srtt {:?} backoff {} {}; {ghost}",
        i.state,
        i.snd_una,
        i.snd_nxt,
        i.snd_end,
        i.snd_wnd,
        i.rcv_nxt,
        i.rcv_wnd,
        i.snd_mss,
        i.snd_cwnd,
        i.snd_ssthresh,
        i.unacked,
        i.rto,
        i.rtt,
        i.backoff,
        if i.in_recovery { "recovering" } else { "open" },
    );
    if let Some(inner) = inner {
        text += &format!("; {inner:?}");
    }
    text
}

/// One broken rule breaks others: the first few tell the story.
const MOST_VIOLATIONS: usize = 8;

#[cfg(test)]
mod tests;
