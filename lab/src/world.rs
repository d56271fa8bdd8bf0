//! A virtual clock, hosts, links between them, and applications on them; it steps to the earliest event.
//!
//! Sections: none; the contract of `tidegate_proto` is kept here as every owner of a stack must keep it.
//! In: hosts, links, applications, and things that happen at given times.
//! Out: every frame as seen at each host's edge, every change of state, and the question "does all still hold?" after
//! every event.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use core::fmt;

use bytes::Bytes;
use tidegate_proto::net::{Cause, Event, IfaceConfig, IfaceId, SocketId, Stack, StackConfig};
use tidegate_proto::tcp::{State, Verdict};
use tidegate_proto::time::{Duration, Instant};
use tidegate_proto::wire::FourTuple;
use tidegate_proto::wire::frame::Link as Framing;

use crate::adapter::Adapter;
use crate::app::{App, Turn};
use crate::glimpse::Glimpse;
use crate::link::{Link, LinkConfig, LinkStats, Loss, Origin, Parcel, Passage, Rule};
use crate::rng::Rng;
use crate::states::States;

/// A host of a world, in the order in which they were added.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct HostId(pub usize);

/// A link of a world, in the order in which they were added.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct LinkId(pub usize);

/// One interface of one host.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Port {
    /// The host.
    pub host: HostId,
    /// Its interface.
    pub iface: IfaceId,
}

/// Something to look at.
#[derive(Clone, PartialEq, Debug)]
pub enum Moment {
    /// A frame passed a host's edge.
    Frame(Sighting),
    /// A connection changed its state.
    State(Change),
}

/// A frame as it passed the edge of a host, where a capture would see it.
#[derive(Clone, PartialEq, Debug)]
pub struct Sighting {
    /// When.
    pub at: Instant,
    /// Where.
    pub port: Port,
    /// Which way, and what became of it.
    pub way: Way,
    /// The frame; larger than the MTU before segmentation and after merging.
    pub bytes: Bytes,
    /// The wire segments that it was cut into, for a frame that its host sent.
    pub wire: Vec<Bytes>,
    /// How many wire segments it stands for.
    pub segments: u16,
    /// Where it comes from. A merged frame has the origin of its first segment.
    pub origin: Origin,
    /// The state of its connection at this host right afterwards; `None` if it is no TCP.
    pub state: Option<State>,
}

/// Which way a frame goes, and what became of it.
#[derive(Clone, PartialEq, Debug)]
pub enum Way {
    /// Onto the link: what the link did with each wire segment.
    Out(Vec<Passage>),
    /// From the link: what the stack said.
    In(Verdict),
}

impl Sighting {
    /// True for a frame that its host sent.
    pub fn is_out(&self) -> bool {
        matches!(self.way, Way::Out(_))
    }
}

/// A change of state, as RFC 9293 Figure 5 draws them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Change {
    /// When.
    pub at: Instant,
    /// At which host.
    pub host: HostId,
    /// Which connection, as that host names it.
    pub key: FourTuple,
    /// The state before.
    pub from: State,
    /// The state after. A finished connection is CLOSED even where a listener waits for the next.
    pub to: State,
}

/// Something that happens at a given time, whatever the stacks do.
#[derive(Clone, PartialEq, Debug)]
pub enum Happening {
    /// A host loses power: nothing leaves it, nothing enters it, ever again.
    Vanish(HostId),
    /// A frame that no stack made leaves this port.
    Inject(Port, Bytes),
    /// A link's properties change.
    Relink(LinkId, LinkConfig),
}

/// Who watches a world. Every call comes after the event, when the world is at rest.
pub trait Observer {
    /// Something to look at, in order.
    fn on_moment(&mut self, moment: &Moment) {
        let _ = moment;
    }

    /// An event has been dealt with to its end.
    fn after_event(&mut self, world: &World) {
        let _ = world;
    }
}

/// Nobody watches.
impl Observer for () {}

/// When to lose patience with a world.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Patience {
    /// It must be over by then.
    pub until: Instant,
    /// So many events are enough for everybody.
    pub events: u64,
}

/// Why a world did not come to its end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Stuck {
    /// Nothing will ever happen again, but these hosts' applications still wait.
    Deadlock(Vec<HostId>),
    /// It is later than [`Patience::until`].
    TooLong(Instant),
    /// More events than [`Patience::events`].
    TooManyEvents(u64),
    /// A host does not come to rest: it asks for the present again and again.
    Restless(HostId, Instant),
}

/// A world.
#[derive(Clone, Debug)]
pub struct World {
    now: Instant,
    seed: u64,
    hosts: Vec<Host>,
    links: Vec<Cable>,
    agenda: BTreeMap<(Instant, u64), Happening>,
    scheduled: u64,
    patience: Patience,
    moments: VecDeque<Moment>,
    emissions: u64,
    events: u64,
}

#[derive(Clone, Debug)]
struct Host {
    stack: Stack,
    /// One per interface.
    adapters: Vec<Adapter>,
    apps: Vec<App>,
    vanished: bool,
    /// Connections that are in some state between CLOSED and CLOSED.
    states: States,
}

#[derive(Clone, Debug)]
struct Cable {
    from: Port,
    to: Port,
    link: Link,
}

impl World {
    /// An empty world at time zero. Every dice in it comes from `seed`.
    pub fn new(seed: u64) -> Self {
        World {
            now: Instant::ZERO,
            seed,
            hosts: Vec::new(),
            links: Vec::new(),
            agenda: BTreeMap::new(),
            scheduled: 0,
            patience: Patience { until: Instant::ZERO + Duration::from_secs(7 * 86_400), events: u64::MAX },
            moments: VecDeque::new(),
            emissions: 0,
            events: 0,
        }
    }

    /// Adds a host; its secrets come from the world's seed.
    pub fn add_host(&mut self, config: StackConfig) -> HostId {
        let id = HostId(self.hosts.len());
        let seed = Rng::new(self.seed, &alloc::format!("host {}", id.0)).seed_bytes();
        let stack = Stack::new(config, seed, self.now);
        self.hosts.push(Host {
            stack,
            adapters: Vec::new(),
            apps: Vec::new(),
            vanished: false,
            states: States::default(),
        });
        id
    }

    /// Adds an interface to a host. With `merge`, arriving segments that follow each other within that time are merged
    /// before the stack sees them, and bursts that leave are seen before they are cut.
    pub fn add_interface(&mut self, host: HostId, config: IfaceConfig, merge: Option<Duration>) -> Port {
        let host_ref = &mut self.hosts[host.0];
        let link = if config.mac.is_some() { Framing::Ethernet } else { Framing::Ip };
        let iface = host_ref.stack.add_interface(config);
        host_ref.adapters.push(Adapter::new(link, merge));
        Port { host, iface }
    }

    /// Adds a one-way link. A frame that leaves a port enters every link that starts there.
    pub fn add_link(&mut self, from: Port, to: Port, config: LinkConfig) -> LinkId {
        let id = LinkId(self.links.len());
        let rng = Rng::new(self.seed, &alloc::format!("link {}", id.0));
        let framing = self.hosts[from.host.0].adapters[usize::from(from.iface.0)].link();
        self.links.push(Cable { from, to, link: Link::framed(framing, config, rng) });
        id
    }

    /// Adds a scripted decision to a link.
    pub fn add_rule(&mut self, link: LinkId, rule: Rule) {
        self.links[link.0].link.add_rule(rule);
    }

    /// Starts a program on a host.
    pub fn add_app(&mut self, host: HostId, app: App) {
        self.hosts[host.0].apps.push(app);
    }

    /// Lets something happen at a time.
    pub fn schedule(&mut self, at: Instant, what: Happening) {
        self.scheduled += 1;
        self.agenda.insert((at, self.scheduled), what);
    }

    /// Sets when to lose patience.
    pub fn set_patience(&mut self, patience: Patience) {
        self.patience = patience;
    }

    /// The time.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// Events so far.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// All hosts.
    pub fn hosts(&self) -> impl Iterator<Item = HostId> + use<> {
        (0..self.hosts.len()).map(HostId)
    }

    /// A host's stack.
    pub fn stack(&self, host: HostId) -> &Stack {
        &self.hosts[host.0].stack
    }

    /// A host's stack, for tests that call it themselves; what that creates goes out with the next event.
    pub fn stack_mut(&mut self, host: HostId) -> &mut Stack {
        &mut self.hosts[host.0].stack
    }

    /// A host's programs.
    pub fn apps(&self, host: HostId) -> &[App] {
        &self.hosts[host.0].apps
    }

    /// The state of every connection of a host that is neither CLOSED nor LISTEN.
    pub fn states(&self, host: HostId) -> impl Iterator<Item = (&FourTuple, State)> {
        self.hosts[host.0].states.iter()
    }

    /// What a link did so far.
    pub fn link_stats(&self, link: LinkId) -> LinkStats {
        self.links[link.0].link.stats()
    }

    /// True once every program is done and nothing of any connection is left anywhere.
    pub fn is_quiet(&self) -> bool {
        self.next_event().is_none()
    }

    /// Runs until nothing will ever happen again.
    ///
    /// # Errors
    ///
    /// [`Stuck`] if that is not the end that the programs wanted, or if it does not come.
    pub fn run(&mut self, observer: &mut impl Observer) -> Result<(), Stuck> {
        while self.step(observer)? {}
        self.check_end()
    }

    /// Says whether the end that was reached is the one that the programs wanted.
    ///
    /// # Errors
    ///
    /// [`Stuck::Deadlock`] if a program still waits for something.
    pub fn check_end(&self) -> Result<(), Stuck> {
        let waiting: Vec<HostId> = self
            .hosts()
            .filter(|h| !self.hosts[h.0].vanished && !self.hosts[h.0].apps.iter().all(App::is_finished))
            .collect();
        if waiting.is_empty() { Ok(()) } else { Err(Stuck::Deadlock(waiting)) }
    }

    /// Deals with the earliest event: `false` if there is none.
    ///
    /// # Errors
    ///
    /// [`Stuck`] if patience runs out.
    pub fn step(&mut self, observer: &mut impl Observer) -> Result<bool, Stuck> {
        let Some(at) = self.next_event() else { return Ok(false) };
        self.now = self.now.max(at);
        self.events += 1;
        if self.now > self.patience.until {
            return Err(Stuck::TooLong(self.patience.until));
        }
        if self.events > self.patience.events {
            return Err(Stuck::TooManyEvents(self.patience.events));
        }
        while let Some(entry) = self.agenda.first_entry().filter(|e| e.key().0 <= at) {
            let happening = entry.remove();
            self.happen(happening);
        }
        self.carry_arrivals();
        for host in self.hosts() {
            self.serve(host)?;
        }
        while let Some(moment) = self.moments.pop_front() {
            observer.on_moment(&moment);
        }
        observer.after_event(self);
        Ok(true)
    }

    /// When the next event is due.
    pub fn next_event(&self) -> Option<Instant> {
        let agenda = self.agenda.keys().map(|(at, _)| *at).next();
        let links = self.links.iter().filter_map(|c| c.link.next_arrival()).min();
        let hosts = self.hosts.iter().filter_map(Host::next_event).min();
        [agenda, links, hosts].into_iter().flatten().min()
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Vanish(host) => {
                self.hosts[host.0].vanished = true;
                self.hosts[host.0].states = States::default();
            }
            Happening::Inject(port, bytes) => {
                let origin = self.next_origin(None, None);
                let passages = alloc::vec![self.put_on_links(port, &bytes, origin)];
                self.see(Sighting {
                    at: self.now,
                    port,
                    way: Way::Out(passages),
                    wire: alloc::vec![bytes.clone()],
                    bytes,
                    segments: 1,
                    origin,
                    state: None,
                });
            }
            Happening::Relink(link, config) => self.links[link.0].link.set_config(config),
        }
    }

    /// Takes what has arrived from the links to the adapters.
    fn carry_arrivals(&mut self) {
        for cable in &mut self.links {
            while let Some(parcel) = cable.link.poll_arrival(self.now) {
                let host = &mut self.hosts[cable.to.host.0];
                if !host.vanished {
                    host.adapters[usize::from(cable.to.iface.0)].on_arrival(parcel, self.now);
                }
            }
        }
    }

    /// Everything that a host can do now. The contract: feed, drain output, drain events, read the next deadline.
    fn serve(&mut self, host: HostId) -> Result<(), Stuck> {
        for _ in 0..MOST_ROUNDS {
            if self.hosts[host.0].vanished {
                return Ok(());
            }
            let mut busy = self.feed(host);
            busy |= self.run_timers(host);
            busy |= self.drain_output(host);
            busy |= self.run_apps(host);
            if !busy {
                return Ok(());
            }
        }
        Err(Stuck::Restless(host, self.now))
    }

    fn feed(&mut self, host: HostId) -> bool {
        let mut busy = false;
        for index in 0..self.hosts[host.0].adapters.len() {
            let iface = IfaceId(u16::try_from(index).expect("few interfaces"));
            while let Some(received) = self.hosts[host.0].adapters[index].poll_received(self.now) {
                busy = true;
                let link = self.hosts[host.0].adapters[index].link();
                let key = connection_of(link, &received.frame.bytes).map(|k| k.reversed());
                let bytes = received.frame.bytes.clone();
                let segments = received.frame.segments;
                let verdict = self.hosts[host.0].stack.receive(iface, received.frame, self.now);
                let state = key.map(|k| self.hosts[host.0].stack.state_of(&k));
                let (port, origin) = (Port { host, iface }, received.origin);
                let (at, way, wire) = (self.now, Way::In(verdict), Vec::new());
                self.see(Sighting { at, port, way, bytes, wire, segments, origin, state });
                if let Some(key) = key {
                    if state == Some(State::TimeWait) {
                        self.hosts[host.0].states.rest_again(&key);
                    }
                    self.note_state(host, key);
                }
            }
        }
        busy
    }

    fn run_timers(&mut self, host: HostId) -> bool {
        let due = self.hosts[host.0].stack.next_timeout().is_some_and(|at| at <= self.now);
        if due {
            self.hosts[host.0].stack.on_timeout(self.now);
            self.note_states(host);
        }
        due
    }

    fn drain_output(&mut self, host: HostId) -> bool {
        let mut busy = false;
        while let Some(frame) = self.hosts[host.0].stack.poll_transmit(self.now) {
            busy = true;
            let port = Port { host, iface: frame.iface };
            let origin = self.next_origin(Some(frame.cause), frame.note);
            for sent in self.hosts[host.0].adapters[usize::from(frame.iface.0)].send(&frame) {
                let passages = sent.wire.iter().map(|bytes| self.put_on_links(port, bytes, origin)).collect();
                let link = self.hosts[host.0].adapters[usize::from(frame.iface.0)].link();
                let key = connection_of(link, &sent.seen);
                let state = key.map(|k| self.hosts[host.0].stack.state_of(&k));
                let segments = u16::try_from(sent.wire.len()).unwrap_or(u16::MAX);
                let way = Way::Out(passages);
                // The state first: a SYN is sent in SYN-SENT.
                if let Some(key) = key {
                    self.note_state(host, key);
                }
                let (at, bytes, wire) = (self.now, sent.seen, sent.wire);
                self.see(Sighting { at, port, way, bytes, wire, segments, origin, state });
            }
        }
        busy
    }

    fn run_apps(&mut self, host: HostId) -> bool {
        let Host { stack, apps, .. } = &mut self.hosts[host.0];
        let mut events: Vec<(SocketId, Event)> = Vec::new();
        while let Some(event) = stack.poll_event() {
            events.push(event);
        }
        let mut ran = false;
        for app in apps {
            if !events.is_empty() || app.wake_at().is_some_and(|at| at <= self.now) {
                app.turn(&mut Turn { stack: &mut *stack, events: &events, now: self.now });
                ran = true;
            }
        }
        if ran {
            self.note_states(host);
        }
        ran || !events.is_empty()
    }

    /// The frame enters every link that starts at `port`; what happened on the first of them is told.
    fn put_on_links(&mut self, port: Port, bytes: &Bytes, origin: Origin) -> Passage {
        let mut told = None;
        for cable in self.links.iter_mut().filter(|c| c.from == port) {
            let passage = match self.hosts[cable.to.host.0].vanished {
                true => Passage::lost(Loss::NobodyThere),
                false => cable.link.send(Parcel { bytes: bytes.clone(), origin }, self.now),
            };
            told.get_or_insert(passage);
        }
        told.unwrap_or(Passage::lost(Loss::NobodyThere))
    }

    fn next_origin(&mut self, cause: Option<Cause>, note: Option<tidegate_proto::net::Note>) -> Origin {
        self.emissions += 1;
        Origin { number: self.emissions, cause, note }
    }

    fn see(&mut self, sighting: Sighting) {
        self.moments.push_back(Moment::Frame(sighting));
    }

    /// Compares one connection's state with the one last noted.
    fn note_state(&mut self, host: HostId, key: FourTuple) {
        let Host { stack, states, .. } = &mut self.hosts[host.0];
        if let Some((from, to)) = states.note(key, stack.state_of(&key)) {
            self.moments.push_back(Moment::State(Change { at: self.now, host, key, from, to }));
        }
    }

    /// Looks at every connection that a call or a timer may have moved.
    fn note_states(&mut self, host: HostId) {
        for key in self.hosts[host.0].states.moving() {
            self.note_state(host, key);
        }
        while let Some(first) = self.hosts[host.0].states.first_resting() {
            self.note_state(host, first);
            if self.hosts[host.0].states.first_resting() == Some(first) {
                break;
            }
        }
    }
}

impl Host {
    fn next_event(&self) -> Option<Instant> {
        if self.vanished {
            return None;
        }
        let adapters = self.adapters.iter().filter_map(Adapter::next_flush).min();
        let apps = self.apps.iter().filter_map(App::wake_at).min();
        [self.stack.next_timeout(), adapters, apps].into_iter().flatten().min()
    }
}

impl fmt::Display for Stuck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Stuck::Deadlock(hosts) => {
                f.write_str("nothing will ever happen again, but programs still wait on ")?;
                for (i, host) in hosts.iter().enumerate() {
                    write!(f, "{}host {}", if i > 0 { ", " } else { "" }, host.0)?;
                }
                Ok(())
            }
            Stuck::TooLong(at) => write!(f, "it is not over after {} s of virtual time", at.as_millis() / 1_000),
            Stuck::TooManyEvents(n) => write!(f, "it is not over after {n} events"),
            Stuck::Restless(host, at) => write!(f, "host {} does not come to rest at {at:?}", host.0),
        }
    }
}

impl core::error::Error for Stuck {}

/// The connection of a frame, as its sender names it.
fn connection_of(link: Framing, frame: &[u8]) -> Option<FourTuple> {
    Glimpse::on(link, frame).tcp.map(|t| t.key())
}

/// Rounds of feed, drain and run at one instant. A full burst through a link without delay needs a few.
const MOST_ROUNDS: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::script::Step;
    use crate::scenario::{Scenario, Settings, Stage};

    #[test]
    fn a_program_that_waits_for_nothing_is_a_deadlock() {
        let mut stage = Stage::new(&Settings::default());
        let remote = stage.b_socket(80);
        stage.add_scripts(&[], &[Step::Listen(remote), Step::Accept]);
        assert_eq!(stage.world.run(&mut ()), Err(Stuck::Deadlock(alloc::vec![stage.b.host])));
    }

    #[test]
    fn patience_ends() {
        let build = Scenario::by_name("peer-vanishes").expect("there is such a scenario").build;
        let patient = |patience| {
            let mut stage = build(&Settings::default());
            stage.world.set_patience(patience);
            stage.world.run(&mut ())
        };
        let minute = Stage::FIRST_SYN + Duration::from_secs(60);
        assert_eq!(patient(Patience { until: minute, events: u64::MAX }), Err(Stuck::TooLong(minute)));
        let forever = Instant::from_nanos(u64::MAX);
        assert_eq!(patient(Patience { until: forever, events: 10 }), Err(Stuck::TooManyEvents(10)));
        assert_eq!(patient(Patience { until: forever, events: u64::MAX }), Ok(()));
    }

    /// Many connections leave TIME-WAIT one after the other, each noticed at its time.
    #[test]
    fn every_time_wait_ends_two_msl_after_it_began() {
        struct Waits(BTreeMap<FourTuple, Instant>, usize);
        impl Observer for Waits {
            fn on_moment(&mut self, moment: &Moment) {
                let Moment::State(change) = moment else { return };
                if change.to == State::TimeWait {
                    self.0.insert(change.key, change.at);
                }
                if change.from == State::TimeWait {
                    let began = self.0.remove(&change.key).expect("it began");
                    assert_eq!(change.at.since(began), Duration::from_secs(60));
                    self.1 += 1;
                }
            }
        }
        let settings = Settings { downloads: 20, size: 1_000, ..Settings::default() };
        let mut stage = (Scenario::by_name("article").expect("there is such a scenario").build)(&settings);
        let mut waits = Waits(BTreeMap::new(), 0);
        assert_eq!(stage.world.run(&mut waits), Ok(()));
        assert_eq!((waits.0.len(), waits.1), (0, 20));
    }
}
