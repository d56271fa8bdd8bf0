//! Runs a script against one stack, in virtual time.
//!
//! What the script injects is fed in, system calls go to [`Sockets`], and every packet of the stack must be one that
//! the script expects next, at its time. Bursts are split at the segment size first.
//!
//! Sections: the language of packetdrill; nothing of an RFC's.
//! In: a [`Script`] and [`Settings`].
//! Out: a [`Report`]: passed, failed with the first difference, or not applicable with the reason; what was printed,
//! and every packet.

use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use bytes::Bytes;
use tidegate_proto::net::{
    Cause, ChecksumState, Cidr, Frame, IfaceConfig, IfaceId, InitialSequence, Note, Stack, StackConfig, offload,
};
use tidegate_proto::socket::Sockets;
use tidegate_proto::tcp::{self, CaState, State};
use tidegate_proto::time::{Duration, Instant};
use tidegate_proto::trace::tcpdump::{self, Printer, TimeStyle};
use tidegate_proto::wire::checksum::portable;
use tidegate_proto::wire::{Seq, frame::Link};

use super::ast::{
    Action, Code, Direction, Event, Flags, Options, Packet, Place, Script, Tcp, TcpOption, Transport, When,
};
use super::calls::{Calls, Outcome};
use super::code::{self, Names, Value};
use super::damage::damaged;
use super::head::Head;
use super::{icmp, segment};

/// What a run is told besides the script.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The stack's settings before the script's.
    pub stack: StackConfig,
    /// IPv6 instead of IPv4, unless the script says which.
    pub ipv6: bool,
    /// IPv4 through sockets of IPv6, unless the script says which.
    pub mapped: bool,
    /// How far from its time a packet or the end of a call may be, unless the script says so.
    pub tolerance: Duration,
    /// The MTU, unless the script says so; without it 1500 bytes, and 1520 for IPv6, so that a script finds the same
    /// segment size in both.
    pub mtu: Option<u16>,
    /// A packet that comes behind the last one expected fails the script, too.
    pub strict: bool,
    /// One packet of the script is one segment: consecutive ones may not meet it together.
    pub strict_segments: bool,
    /// Keep every packet.
    pub capture: bool,
}

impl Default for Settings {
    fn default() -> Self {
        let mut stack = StackConfig::default();
        // Scripts are written for kernels whose interfaces have no pacing: what a window allows leaves at once.
        stack.tcp.pacing = false;
        // Their largest receive buffer gives a window scale of 7, and writes do not wait for a send buffer to grow.
        (stack.tcp.rcv_buf_max, stack.tcp.snd_buf) = (6_291_456, 4_194_304);
        Settings {
            stack,
            ipv6: false,
            mapped: false,
            tolerance: Duration::from_millis(4),
            mtu: None,
            strict: true,
            strict_segments: false,
            capture: false,
        }
    }
}

/// How a run ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Everything was as the script says.
    Pass,
    /// Something was not: the event, and what was different.
    Fail(Place, String),
    /// The script needs what is not here: the event or option, and what it is.
    NotApplicable(Place, String),
}

/// A run from its beginning to its end.
#[derive(Clone, PartialEq, Debug)]
pub struct Report {
    /// How it ended.
    pub verdict: Verdict,
    /// What code blocks printed, line by line.
    pub printed: Vec<String>,
    /// Every packet, if they were to be kept.
    pub packets: Vec<Passed>,
    /// When it ended.
    pub ended: Instant,
}

/// One packet of a run.
#[derive(Clone, PartialEq, Debug)]
pub struct Passed {
    /// When.
    pub at: Instant,
    /// IP and what it carries.
    pub bytes: Bytes,
    /// For a packet of the script's: what the stack made of it. For one of the stack's: why it was sent, and what the
    /// sender knew.
    pub fate: Result<tcp::Verdict, (Cause, Option<Note>)>,
}

/// Why a run ends before the script does.
#[derive(Debug)]
pub(super) enum Stop {
    /// At the event that is being run.
    Fail(String),
    /// At another place.
    FailAt(Place, String),
    NotApplicable(String),
}

/// Runs `script` on a stack of its own. The same script and settings give the same verdict, always.
pub fn run(script: &Script, settings: &Settings) -> Verdict {
    play(script, settings).verdict
}

/// As [`run`], with everything that there is to tell.
pub fn play(script: &Script, settings: &Settings) -> Report {
    let mut place = script.options.first().map_or(Place { line: 1, column: 1 }, |option| option.place);
    let verdict = |place, stop| match stop {
        Stop::Fail(what) => Verdict::Fail(place, what),
        Stop::FailAt(place, what) => Verdict::Fail(place, what),
        Stop::NotApplicable(why) => Verdict::NotApplicable(place, why),
    };
    let mut run = match Run::new(script, settings, &mut place) {
        Ok(run) => run,
        Err(stop) => {
            let verdict = verdict(place, stop);
            return Report { verdict, printed: Vec::new(), packets: Vec::new(), ended: Instant::ZERO };
        }
    };
    let ended = script.events.iter().try_for_each(|event| {
        place = event.place;
        run.event(event)
    });
    let ended = ended.and_then(|()| run.finish());
    let verdict = ended.map_or_else(|stop| verdict(place, stop), |()| Verdict::Pass);
    Report { verdict, printed: run.names.printed, packets: run.packets, ended: run.now }
}

pub(super) struct Run {
    pub(super) calls: Calls,
    pub(super) now: Instant,
    /// The time of the event before.
    previous: Instant,
    /// Timers in a row that were due without time passing.
    ticks: u32,
    pub(super) tolerance: Duration,
    pub(super) strict_segments: bool,
    strict: bool,
    /// What the stack has sent and no event has met.
    pub(super) sent: VecDeque<Sent>,
    /// A timestamp of ours as the script writes it, and as it was on the wire.
    pub(super) timestamps: Option<(u32, u32)>,
    /// The first sequence number of ours on the wire, where the script has 0.
    pub(super) offset: u32,
    /// What code blocks have assigned and printed.
    names: Names,
    capture: bool,
    packets: Vec<Passed>,
    pub(super) printer: Printer,
}

/// One segment of the stack's.
pub(super) struct Sent {
    pub(super) at: Instant,
    pub(super) bytes: Bytes,
    pub(super) cause: Cause,
}

impl Run {
    fn new(script: &Script, settings: &Settings, place: &mut Place) -> Result<Self, Stop> {
        let mut head = Head::new(settings);
        for option in &script.options {
            *place = option.place;
            head.take(option)?;
        }
        if let Some(command) = &script.before {
            Head::command(&mut head.stack, command)?;
        }
        if let Some(command) = &script.after {
            // Settings behind the last event change nothing; a command that cannot be honoured is told all the same.
            Head::command(&mut head.stack.clone(), command)?;
        }
        head.stack.host.initial_sequence = InitialSequence::Fixed(Seq(0));
        let (local, remote) = match head.ipv6 {
            false => (LOCAL_V4.into(), REMOTE_V4.into()),
            true => (LOCAL_V6.into(), REMOTE_V6.into()),
        };
        let (local, remote): (IpAddr, IpAddr) = (head.local_ip.unwrap_or(local), head.remote_ip.unwrap_or(remote));
        if local.is_ipv6() != head.ipv6 || remote.is_ipv6() != head.ipv6 {
            return Err(Stop::NotApplicable(String::from("addresses of another IP version than the packets'")));
        }
        let mut stack = Stack::new(head.stack, SEED, Instant::ZERO);
        stack.add_interface(IfaceConfig {
            mac: None,
            mtu: head.mtu.unwrap_or(if head.ipv6 { IPV6_MTU } else { IPV4_MTU }),
            addrs: Vec::from([Cidr { addr: local, prefix: 0 }]),
            max_burst: 65_536,
            checksum_offload: false,
        });
        let (local, remote) = (SocketAddr::new(local, head.bind_port), SocketAddr::new(remote, head.connect_port));
        Ok(Run {
            calls: Calls::new(Sockets::new(stack, 1024), local, remote, head.mapped),
            now: Instant::ZERO,
            previous: Instant::ZERO,
            ticks: 0,
            tolerance: head.tolerance,
            strict_segments: head.strict_segments,
            strict: settings.strict,
            sent: VecDeque::new(),
            timestamps: None,
            offset: 0,
            names: Names::default(),
            capture: settings.capture,
            packets: Vec::new(),
            printer: Printer::new(tcpdump::Options { time: TimeStyle::None, absolute: true, ..Default::default() }),
        })
    }

    fn event(&mut self, event: &Event) -> Result<(), Stop> {
        let after = |time: Duration| self.previous + time;
        let (from, to) = match event.when {
            When::After(time) => (after(time), Some(after(time))),
            When::At(time) => (Instant::ZERO + time, Some(Instant::ZERO + time)),
            When::Any => (self.previous, None),
            When::Between(from, to) => (Instant::ZERO + from, Some(Instant::ZERO + to)),
            When::AfterBetween(from, to) => (after(from), Some(after(to))),
        };
        if from < self.previous {
            return Err(Stop::Fail(String::from("its time is before that of the event before it")));
        }
        if let Action::Packet(packet) = &event.action
            && packet.direction == Direction::Out
        {
            let at = self.expect(packet, from, to)?;
            let is_point = matches!(event.when, When::After(_) | When::At(_));
            self.previous = if is_point { from } else { at.max(self.previous) };
            return self.advance(self.previous);
        }
        self.advance(from)?;
        self.previous = from;
        match &event.action {
            Action::Packet(packet) => self.inject(packet)?,
            Action::Call(call) => {
                self.await_call(from)?;
                let start = match event.when {
                    When::At(time) | When::After(time) => time,
                    _ => Duration::ZERO,
                };
                let until = call.until.map(|until| from + (until - start));
                self.calls.begin(call, event.place, until, self.tolerance, self.now)?;
            }
            Action::Command(command) => {
                let stack = self.calls.sockets.stack_mut();
                let mut config = stack.config().clone();
                Head::command(&mut config, command)?;
                stack.set_config(config);
            }
            Action::Code(code) => self.evaluate(code)?,
        }
        self.settle()
    }

    /// Nothing is left: no call that waits, and no packet that nobody expected.
    fn finish(&mut self) -> Result<(), Stop> {
        if let Some(until) = self.calls.waits_until() {
            self.advance(until + self.tolerance)?;
        }
        self.calls.finish()?;
        match self.sent.pop_front() {
            Some(stray) if self.strict => {
                Err(Stop::Fail(format!("behind the last event came\n  {}", self.line_of(&stray))))
            }
            _ => Ok(()),
        }
    }

    /// A call may begin when the one before it has returned.
    fn await_call(&mut self, from: Instant) -> Result<(), Stop> {
        while let Some(until) = self.calls.waits_until() {
            let latest = until + self.tolerance;
            if self.now >= latest {
                return self.calls.finish();
            }
            match self.next_timeout().filter(|due| *due <= latest) {
                Some(_) => self.tick()?,
                None => self.now = latest,
            }
            self.settle()?;
        }
        if self.now > from + self.tolerance {
            let (now, from) = (seconds(self.now), seconds(from));
            return Err(Stop::Fail(format!(
                "begins at {now}, when the call before it has returned, expected at {from}"
            )));
        }
        Ok(())
    }

    fn inject(&mut self, packet: &Packet) -> Result<(), Stop> {
        if !packet.layers.is_empty() {
            return Err(Stop::NotApplicable(String::from("encapsulated packets")));
        }
        let bytes = match &packet.transport {
            Transport::Udp(_) => return Err(Stop::NotApplicable(String::from("UDP"))),
            Transport::Icmp(message) => {
                let (local, remote) = (self.calls.local, self.calls.remote);
                let bytes = icmp::encode(message, &packet.ip, (remote.ip(), local.ip()), (local, remote), self.offset);
                bytes.ok_or_else(|| {
                    let version = if local.is_ipv4() { "ICMP" } else { "ICMPv6" };
                    Stop::NotApplicable(format!("a message that {version} does not have: {message}"))
                })?
            }
            Transport::Tcp(tcp) => self.segment(tcp, packet)?,
        };
        let frame = Frame { bytes: bytes.clone(), checksum: ChecksumState::Unknown, segments: 1 };
        let verdict = self.calls.sockets.receive(IfaceId(0), frame, self.now);
        self.keep(bytes, Ok(verdict));
        Ok(())
    }

    /// A segment of the script's as it is on the wire.
    fn segment(&mut self, scripted: &Tcp, packet: &Packet) -> Result<Bytes, Stop> {
        let mut tcp = scripted.clone();
        match tcp.ports {
            Some((theirs, ours)) => self.calls.focus_on(ours, theirs),
            None if tcp.flags.has(Flags::SYN) && !tcp.flags.has(Flags::ACK) => self.calls.meet_listener(),
            None => {}
        }
        if tcp.flags.has(Flags::ACK) {
            tcp.ack = tcp.ack.map(|ack| ack.wrapping_add(self.offset));
        }
        if let Options::These(options) = &mut tcp.options {
            for option in options {
                match (option, self.timestamps) {
                    (TcpOption::Timestamps { ecr, .. }, Some((script, wire))) if *ecr != 0 => {
                        *ecr = ecr.wrapping_sub(script).wrapping_add(wire);
                    }
                    (TcpOption::Sack(blocks), _) => {
                        for (left, right) in blocks {
                            *left = left.wrapping_add(self.offset);
                            *right = right.wrapping_add(self.offset);
                        }
                    }
                    _ => {}
                }
            }
        }
        let bytes = segment::encode(&tcp, &packet.ip, self.calls.remote, self.calls.local);
        if tcp.damage.is_empty() {
            return Ok(bytes);
        }
        damaged(&bytes, &tcp.damage)
            .ok_or_else(|| Stop::NotApplicable(String::from("damage where the packet has nothing to be damaged")))
    }

    fn evaluate(&mut self, code: &Code) -> Result<(), Stop> {
        let failed = |place, what| Stop::FailAt(place, what);
        let statements =
            code::parse(code).map_err(|e| failed(e.place, format!("expected {}, found {}", e.expected, e.found)))?;
        let known = self.calls.known(self.now);
        let given = |name: &str| constant(name).or_else(|| known.value(name)).map(|n| Value::Int(n.into()));
        self.names.run(&statements, &given).map_err(|raised| failed(raised.place, raised.what))
    }

    /// Lets time pass until `to`.
    fn advance(&mut self, to: Instant) -> Result<(), Stop> {
        self.settle()?;
        while self.next_timeout().is_some_and(|due| due <= to) {
            self.tick()?;
        }
        self.now = self.now.max(to);
        self.settle()
    }

    /// The next thing that happens, `latest` at the latest; false if there is none.
    pub(super) fn step(&mut self, latest: Instant) -> Result<bool, Stop> {
        self.settle()?;
        if !self.sent.is_empty() {
            return Ok(true);
        }
        if self.next_timeout().is_some_and(|due| due <= latest) {
            self.tick()?;
            return Ok(true);
        }
        self.now = self.now.max(latest);
        Ok(false)
    }

    /// When the stack or a call that waits next wants to be looked at.
    fn next_timeout(&self) -> Option<Instant> {
        let call = self.calls.deadline();
        self.calls.sockets.next_timeout().into_iter().chain(call).min()
    }

    fn tick(&mut self) -> Result<(), Stop> {
        if let Some(due) = self.next_timeout() {
            // A timer that is due again and again at one moment would keep the run there for ever.
            self.ticks = if due > self.now { 0 } else { self.ticks + 1 };
            if self.ticks > MOST_TICKS {
                return Err(Stop::Fail(format!("a timer that is due at {} does not end", seconds(due))));
            }
            self.now = self.now.max(due);
            self.calls.sockets.on_timeout(self.now);
        }
        self.settle()
    }

    /// Takes what the stack sends, and lets a call that waits try again.
    fn settle(&mut self) -> Result<(), Stop> {
        loop {
            self.drain();
            self.calls.take_wakes();
            // A call may leave output behind and wait all the same: as long as there is some, the stack wants to be asked.
            if self.calls.retry(self.tolerance, self.now)? == Outcome::Waits && !self.drain() {
                return Ok(());
            }
        }
    }

    /// Takes what the stack sends; true if there is something.
    fn drain(&mut self) -> bool {
        let mut any = false;
        while let Some(frame) = self.calls.sockets.poll_transmit(self.now) {
            any = true;
            let (at, cause, note) = (self.now, frame.cause, frame.note);
            for bytes in offload::split(&frame, Link::Ip, portable) {
                self.keep(bytes.clone(), Err((cause, note)));
                self.sent.push_back(Sent { at, bytes, cause });
            }
        }
        any
    }

    fn keep(&mut self, bytes: Bytes, fate: Result<tcp::Verdict, (Cause, Option<Note>)>) {
        if self.capture {
            self.packets.push(Passed { at: self.now, bytes, fate });
        }
    }
}

/// The constants that code blocks know.
fn constant(name: &str) -> Option<u64> {
    let state = State::ALL.into_iter().find(|state| kernel_name(*state) == name);
    let phase = CaState::ALL.into_iter().find(|state| state.name() == name);
    let option = OPTION_BITS.iter().find(|(known, _)| *known == name);
    state.map(|state| u64::from(state.number())).or(phase.map(|phase| phase as u64)).or(option.map(|&(_, bit)| bit))
}

/// The kernel's name of a state.
const fn kernel_name(state: State) -> &'static str {
    match state {
        State::Closed => "TCP_CLOSE",
        State::Listen => "TCP_LISTEN",
        State::SynSent => "TCP_SYN_SENT",
        State::SynReceived => "TCP_SYN_RECV",
        State::Established => "TCP_ESTABLISHED",
        State::FinWait1 => "TCP_FIN_WAIT1",
        State::FinWait2 => "TCP_FIN_WAIT2",
        State::CloseWait => "TCP_CLOSE_WAIT",
        State::Closing => "TCP_CLOSING",
        State::LastAck => "TCP_LAST_ACK",
        State::TimeWait => "TCP_TIME_WAIT",
    }
}

pub(super) fn seconds(at: Instant) -> String {
    let micros = at.since(Instant::ZERO).as_micros();
    format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000)
}

/// The flags of `tcpi_options`.
const OPTION_BITS: [(&str, u64); 6] = [
    ("TCPI_OPT_TIMESTAMPS", 1),
    ("TCPI_OPT_SACK", 2),
    ("TCPI_OPT_WSCALE", 4),
    ("TCPI_OPT_ECN", 8),
    ("TCPI_OPT_ECN_SEEN", 16),
    ("TCPI_OPT_SYN_DATA", 32),
];

/// The two ends, as packetdrill has them.
const LOCAL_V4: Ipv4Addr = Ipv4Addr::new(192, 168, 0, 1);
const REMOTE_V4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const LOCAL_V6: Ipv6Addr = Ipv6Addr::new(0xfd3d, 0xfa7b, 0xd17d, 0, 0, 0, 0, 1);
const REMOTE_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);

/// The MTU unless the script says another: Ethernet's, and so much more for IPv6 as its header is longer than IPv4's, so
/// that a script finds the same MSS in both.
const IPV4_MTU: u16 = 1500;
const IPV6_MTU: u16 = 1520;

/// So many timers may be due at one moment: more than a script has connections.
const MOST_TICKS: u32 = 10_000;

/// A run has no secrets.
const SEED: [u8; 32] = [7; 32];
