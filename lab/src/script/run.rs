//! Runs a script against one stack, in virtual time.
//!
//! What the script injects is fed in, system calls go to [`Sockets`], and every packet of the stack must be one that
//! the script expects next, at its time. Bursts are split at the segment size first.
//!
//! Sections: the language of packetdrill; nothing of an RFC's.
//! In: a [`Script`] and [`Settings`].
//! Out: a [`Verdict`]: passed, failed with the first difference, or not applicable with the reason.

use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use bytes::Bytes;
use tidegate_proto::net::{
    Cause, ChecksumState, Cidr, Frame, IfaceConfig, IfaceId, InitialSequence, Stack, StackConfig, offload,
};
use tidegate_proto::socket::Sockets;
use tidegate_proto::time::{Duration, Instant};
use tidegate_proto::trace::tcpdump::{self, LinkType, Printer, TimeStyle};
use tidegate_proto::wire::checksum::portable;
use tidegate_proto::wire::{Seq, frame::Link};

use super::ast::{
    Action, Direction, Event, Flags, HeadOption, HeadValue, IpInfo, Options, Packet, Place, Range, Script, Tcp,
    TcpOption, Tos, Transport, When,
};
use super::calls::{Calls, Outcome};
use super::segment::{decode, encode};

/// What a run is told besides the script.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The stack's settings before the script's.
    pub stack: StackConfig,
    /// IPv6 instead of IPv4, unless the script says which.
    pub ipv6: bool,
    /// How far from its time a packet or the end of a call may be, unless the script says so.
    pub tolerance: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { stack: StackConfig::default(), ipv6: false, tolerance: Duration::from_millis(4) }
    }
}

/// How a run ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Everything was as the script says, and nothing else came.
    Pass,
    /// Something was not: the event, and what was different.
    Fail(Place, String),
    /// The script needs what is not here: the event or option, and what it is.
    NotApplicable(Place, String),
}

/// Why a run ends before the script does.
pub(super) enum Stop {
    Fail(String),
    NotApplicable(String),
}

/// Runs `script` on a stack of its own. The same script and settings give the same verdict, always.
pub fn run(script: &Script, settings: &Settings) -> Verdict {
    let mut place = script.options.first().map_or(Place { line: 1, column: 1 }, |option| option.place);
    let ended = Run::new(script, settings, &mut place).and_then(|mut run| {
        for event in &script.events {
            place = event.place;
            run.event(event)?;
        }
        run.finish()
    });
    match ended {
        Ok(()) => Verdict::Pass,
        Err(Stop::Fail(what)) => Verdict::Fail(place, what),
        Err(Stop::NotApplicable(why)) => Verdict::NotApplicable(place, why),
    }
}

struct Run {
    calls: Calls,
    now: Instant,
    /// The time of the event before.
    previous: Instant,
    tolerance: Duration,
    local: SocketAddr,
    remote: SocketAddr,
    /// What the stack has sent and no event has met.
    sent: VecDeque<Sent>,
    /// A timestamp of ours as the script writes it, and as it was on the wire.
    timestamps: Option<(u32, u32)>,
    printer: Printer,
}

/// One segment of the stack's.
struct Sent {
    at: Instant,
    bytes: Bytes,
    cause: Cause,
}

impl Run {
    fn new(script: &Script, settings: &Settings, place: &mut Place) -> Result<Self, Stop> {
        let mut head =
            Head { stack: settings.stack.clone(), ipv6: settings.ipv6, tolerance: settings.tolerance, mtu: None };
        for option in &script.options {
            *place = option.place;
            head.take(option)?;
        }
        for command in [&script.before, &script.after].into_iter().flatten() {
            head.command(command)?;
        }
        head.stack.host.initial_sequence = InitialSequence::Fixed(Seq(0));
        let (local, remote, prefix): (IpAddr, IpAddr, u8) = match head.ipv6 {
            false => (Ipv4Addr::new(192, 168, 0, 1).into(), Ipv4Addr::new(192, 0, 2, 1).into(), 0),
            true => {
                let address = |a, b, c| Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 1);
                (address(0xfd3d, 0xfa7b, 0xd17d).into(), address(0x2001, 0xdb8, 0).into(), 0)
            }
        };
        let mut stack = Stack::new(head.stack, SEED, Instant::ZERO);
        stack.add_interface(IfaceConfig {
            mac: None,
            mtu: head.mtu.unwrap_or(if head.ipv6 { IPV6_MTU } else { IPV4_MTU }),
            addrs: Vec::from([Cidr { addr: local, prefix }]),
            max_burst: 65_536,
            checksum_offload: false,
        });
        let (local, remote) = (SocketAddr::new(local, PORT), SocketAddr::new(remote, PORT));
        Ok(Run {
            calls: Calls::new(Sockets::new(stack, 1024), local, remote),
            now: Instant::ZERO,
            previous: Instant::ZERO,
            tolerance: head.tolerance,
            local,
            remote,
            sent: VecDeque::new(),
            timestamps: None,
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
                let start = match event.when {
                    When::At(time) | When::After(time) => time,
                    _ => Duration::ZERO,
                };
                let until = call.until.map(|until| from + (until - start));
                self.calls.begin(call, until, self.tolerance, self.now)?;
            }
            Action::Command(command) => Head::ignorable(command)?,
            Action::Code(_) => return Err(Stop::NotApplicable(String::from("code blocks are not evaluated"))),
        }
        self.settle()
    }

    /// Nothing is left: no call that waits, no packet that nobody expected.
    fn finish(&mut self) -> Result<(), Stop> {
        if let Some(until) = self.calls.waits_until() {
            self.advance(until + self.tolerance)?;
        }
        self.calls.finish()?;
        match self.sent.pop_front() {
            None => Ok(()),
            Some(stray) => Err(Stop::Fail(format!("behind the last event came\n  {}", self.line_of(&stray)))),
        }
    }

    fn inject(&mut self, packet: &Packet) -> Result<(), Stop> {
        let mut tcp = segment_of(packet)?.clone();
        if let Some((theirs, ours)) = tcp.ports {
            self.remote.set_port(theirs);
            self.local.set_port(ours);
        } else if let Some(key) = self.calls.current() {
            (self.local, self.remote) = key;
        }
        if let Options::These(options) = &mut tcp.options {
            for option in options {
                if let (TcpOption::Timestamps { ecr, .. }, Some((script, wire))) = (option, self.timestamps)
                    && *ecr != 0
                {
                    *ecr = ecr.wrapping_sub(script).wrapping_add(wire);
                }
            }
        }
        let bytes = encode(&tcp, &packet.ip, self.remote, self.local);
        let frame = Frame { bytes, checksum: ChecksumState::Unknown, segments: 1 };
        // What becomes of it shows in what the stack does.
        let _ = self.calls.sockets.receive(IfaceId(0), frame, self.now);
        Ok(())
    }

    /// Waits for the packet, and says when it came.
    fn expect(&mut self, packet: &Packet, from: Instant, to: Option<Instant>) -> Result<Instant, Stop> {
        let expected = segment_of(packet)?;
        let mut joined: Option<(Sent, IpInfo, Tcp)> = None;
        let latest = to.map_or(self.now + PATIENCE, |to| to + self.tolerance);
        loop {
            while self.sent.is_empty() {
                if !self.step(latest)? {
                    let line = self.wanted(expected, packet, None);
                    return Err(Stop::Fail(format!("expected {line}\n  and nothing came until {}", seconds(self.now))));
                }
            }
            let sent = self.sent.pop_front().expect("the loop above waits for one");
            let Some((source, destination, info, tcp)) = decode(&sent.bytes) else {
                return Err(Stop::Fail(format!("expected a segment, came\n  {}", self.line_of(&sent))));
            };
            (self.local, self.remote) = (source, destination);
            let early = sent.at + self.tolerance < from;
            if early || sent.at > latest {
                let (line, at) = (self.line_of(&sent), seconds(sent.at));
                let (from, to) = (seconds(from), to.map_or_else(|| String::from("any time"), seconds));
                return Err(Stop::Fail(format!("came at {at}, expected at {from} to {to}\n  {line}")));
            }
            let (at, whole) = match joined.take() {
                None => (sent.at, tcp),
                Some((first, _, before)) => match join(&before, &tcp) {
                    Some(whole) => (first.at, whole),
                    None => return Err(self.difference("the rest of it", expected, packet, &sent, &tcp)),
                },
            };
            let mut wanted = expected.clone();
            self.map_timestamps(&mut wanted, &whole);
            let is_part = whole.range.len < wanted.range.len && whole.range.start == wanted.range.start;
            if is_part && whole.range.len > 0 {
                joined = Some((sent, info, whole));
                continue;
            }
            if let Some(what) = first_difference(&wanted, &packet.ip, &whole, &info) {
                return Err(self.difference(what, &wanted, packet, &sent, &whole));
            }
            self.learn_timestamps(expected, &whole);
            return Ok(at);
        }
    }

    /// Timestamps of the script become those of the wire, once one of ours is known.
    fn map_timestamps(&self, wanted: &mut Tcp, actual: &Tcp) {
        let Options::These(options) = &mut wanted.options else { return };
        for option in options {
            let TcpOption::Timestamps { val, .. } = option else { continue };
            match (self.timestamps, timestamp_of(actual)) {
                (Some((script, wire)), Some(live)) => {
                    let mapped = val.wrapping_sub(script).wrapping_add(wire);
                    // The clock of timestamps ticks in milliseconds, and a segment may be as early or late as any.
                    let distance = mapped.wrapping_sub(live).min(live.wrapping_sub(mapped));
                    let is_near = Duration::from_millis(u64::from(distance)) <= self.tolerance;
                    *val = if is_near { live } else { mapped };
                }
                (None, Some(live)) => *val = live,
                (_, None) => {}
            }
        }
    }

    fn learn_timestamps(&mut self, expected: &Tcp, actual: &Tcp) {
        if let (None, Some(script), Some(wire)) = (self.timestamps, timestamp_of(expected), timestamp_of(actual)) {
            self.timestamps = Some((script, wire));
        }
    }

    /// Lets time pass until `to`.
    fn advance(&mut self, to: Instant) -> Result<(), Stop> {
        self.settle()?;
        while self.calls.sockets.next_timeout().is_some_and(|due| due <= to) {
            self.tick()?;
        }
        self.now = self.now.max(to);
        self.settle()
    }

    /// The next thing that happens, `latest` at the latest; false if there is none.
    fn step(&mut self, latest: Instant) -> Result<bool, Stop> {
        self.settle()?;
        if !self.sent.is_empty() {
            return Ok(true);
        }
        if self.calls.sockets.next_timeout().is_some_and(|due| due <= latest) {
            self.tick()?;
            return Ok(true);
        }
        self.now = self.now.max(latest);
        Ok(false)
    }

    fn tick(&mut self) -> Result<(), Stop> {
        if let Some(due) = self.calls.sockets.next_timeout() {
            self.now = self.now.max(due);
            self.calls.sockets.on_timeout(self.now);
        }
        self.settle()
    }

    /// Takes what the stack sends, and lets a call that waits try again.
    fn settle(&mut self) -> Result<(), Stop> {
        loop {
            while let Some(frame) = self.calls.sockets.poll_transmit(self.now) {
                let pieces = offload::split(&frame, Link::Ip, portable);
                let (at, cause) = (self.now, frame.cause);
                self.sent.extend(pieces.map(|bytes| Sent { at, bytes, cause }));
            }
            while self.calls.sockets.poll_wake().is_some() {}
            if self.calls.retry(self.tolerance, self.now)? == Outcome::Waits {
                return Ok(());
            }
        }
    }

    fn difference(&mut self, what: &str, expected: &Tcp, packet: &Packet, sent: &Sent, actual: &Tcp) -> Stop {
        let wanted = self.wanted(expected, packet, Some(actual));
        let line = self.line_of(sent);
        Stop::Fail(format!("{what} differs\n  expected {wanted}\n  actual   {line}"))
    }

    /// The expected segment in tcpdump's format; what the script leaves open is as in the actual one.
    fn wanted(&mut self, expected: &Tcp, packet: &Packet, actual: Option<&Tcp>) -> String {
        let mut tcp = expected.clone();
        tcp.win = tcp.win.or(actual.and_then(|actual| actual.win));
        if let (Options::Any, Some(actual)) = (&tcp.options, actual) {
            tcp.options = actual.options.clone();
        }
        let (local, remote) = match tcp.ports {
            Some((ours, theirs)) => (SocketAddr::new(self.local.ip(), ours), SocketAddr::new(self.remote.ip(), theirs)),
            None => (self.local, self.remote),
        };
        self.print(&encode(&tcp, &packet.ip, local, remote))
    }

    fn line_of(&mut self, sent: &Sent) -> String {
        let cause = match sent.cause {
            Cause::Tcp(cause) => cause.name(),
            _ => "not TCP",
        };
        let line = self.print(&sent.bytes);
        format!("{line}\n  at {}, because: {cause}", seconds(sent.at))
    }

    fn print(&mut self, bytes: &[u8]) -> String {
        let mut line = String::new();
        let original_len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let frame = tcpdump::Frame { number: 1, time_ns: 0, utc_offset: 0, link: LinkType::Raw, bytes, original_len };
        self.printer.print(&mut line, &frame);
        line.trim_end().to_string()
    }
}

/// What the head of a script and its commands say.
struct Head {
    stack: StackConfig,
    ipv6: bool,
    tolerance: Duration,
    mtu: Option<u16>,
}

impl Head {
    fn take(&mut self, option: &HeadOption) -> Result<(), Stop> {
        let unusable = || Stop::NotApplicable(format!("the option {option}"));
        let plain = match &option.value {
            Some(HeadValue::Plain(plain)) => plain.as_str(),
            Some(HeadValue::Define(..)) => return Ok(()),
            _ => "",
        };
        match (option.name.as_str(), plain) {
            ("ip_version", "ipv4") => self.ipv6 = false,
            ("ip_version", "ipv6") => self.ipv6 = true,
            ("tolerance_usecs", micros) => {
                self.tolerance = Duration::from_micros(micros.parse().map_err(|_| unusable())?);
            }
            ("mtu", mtu) => self.mtu = Some(mtu.parse().map_err(|_| unusable())?),
            // No buffer of the runner's waits to be freed.
            ("send_omit_free", "") => {}
            _ => return Err(unusable()),
        }
        Ok(())
    }

    /// A command before the first event may set what the stack starts with.
    fn command(&mut self, command: &str) -> Result<(), Stop> {
        let words: Vec<&str> = command.split_whitespace().collect();
        let settings = match words.as_slice() {
            ["sysctl", "-q" | "-w", settings @ ..] | ["sysctl", settings @ ..] => settings,
            [program, settings @ ..] if program.ends_with("/set_sysctls.py") => settings,
            _ => return Self::ignorable(command),
        };
        for setting in settings {
            let Some((name, value)) = setting.split_once('=') else { return Self::ignorable(command) };
            let bare = name.trim_start_matches('/').replace('/', ".");
            let bare = bare.strip_prefix("proc.sys.").unwrap_or(&bare);
            self.stack.set_sysctl(bare, value).map_err(|e| Stop::NotApplicable(e.to_string()))?;
        }
        Ok(())
    }

    /// A command that only restores what scripts before it changed; there were none.
    fn ignorable(command: &str) -> Result<(), Stop> {
        let program = command.split_whitespace().next().unwrap_or_default();
        let name = program.rsplit('/').next().unwrap_or_default();
        if name.starts_with("sysctl_restore_") && name.ends_with(".sh") {
            return Ok(());
        }
        Err(Stop::NotApplicable(format!("the command `{command}`")))
    }
}

/// The segment of a packet line.
fn segment_of(packet: &Packet) -> Result<&Tcp, Stop> {
    let what = match &packet.transport {
        _ if !packet.layers.is_empty() => "encapsulated packets",
        Transport::Udp(_) => "UDP",
        Transport::Icmp(_) => "ICMP",
        Transport::Tcp(tcp) if !tcp.damage.is_empty() => "damaged packets",
        Transport::Tcp(tcp) => return Ok(tcp),
    };
    Err(Stop::NotApplicable(String::from(what)))
}

/// Two consecutive segments as one that was not split.
fn join(first: &Tcp, second: &Tcp) -> Option<Tcp> {
    let ends = Flags::FIN.0 | PSH.0;
    let follows = first.range.start.wrapping_add(u32::from(first.range.len)) == second.range.start;
    let alike = first.flags.0 | ends == second.flags.0 | ends && first.flags.0 & ends == 0;
    let same = (first.ack, first.win, &first.options) == (second.ack, second.win, &second.options);
    let len = first.range.len.checked_add(second.range.len)?;
    let range = Range { start: first.range.start, len };
    (follows && alike && same && second.range.len > 0).then(|| Tcp { range, ..second.clone() })
}

/// The first thing that the script states and the segment does not have.
fn first_difference(wanted: &Tcp, wanted_ip: &IpInfo, actual: &Tcp, ip: &IpInfo) -> Option<&'static str> {
    let ecn = |info: &IpInfo| match info.tos {
        Some(Tos::Byte(byte)) => byte & 3,
        _ => 0,
    };
    let tos_fits = match wanted_ip.tos {
        None => true,
        Some(Tos::NoEcn) => ecn(ip) == 0,
        Some(Tos::Ect1) => ecn(ip) == 1,
        Some(Tos::Ect0) => ecn(ip) == 2,
        Some(Tos::Ce) => ecn(ip) == 3,
        Some(Tos::Ect01) => matches!(ecn(ip), 1 | 2),
        Some(byte @ Tos::Byte(_)) => ip.tos == Some(byte),
    };
    let rows = [
        (wanted.flags == actual.flags, "the flags"),
        (wanted.range.start == actual.range.start, "the sequence number"),
        (wanted.range.len == actual.range.len, "the payload length"),
        (wanted.ack == actual.ack, "the acknowledgment number"),
        (wanted.win.is_none() || wanted.win == actual.win, "the window"),
        (wanted.urg.unwrap_or(0) == actual.urg.unwrap_or(0), "the urgent pointer"),
        (wanted.options == Options::Any || wanted.options == actual.options, "options"),
        (wanted.ports.is_none() || wanted.ports == actual.ports, "ports"),
        (tos_fits, "the DiffServ byte"),
        (wanted_ip.ttl.is_none() || wanted_ip.ttl == ip.ttl, "the TTL"),
        (wanted_ip.flow_label.is_none() || wanted_ip.flow_label == ip.flow_label, "the flow label"),
    ];
    rows.into_iter().find(|(fits, _)| !fits).map(|(_, what)| what)
}

fn timestamp_of(tcp: &Tcp) -> Option<u32> {
    let Options::These(options) = &tcp.options else { return None };
    options.iter().find_map(|option| match option {
        TcpOption::Timestamps { val, .. } => Some(*val),
        _ => None,
    })
}

fn seconds(at: Instant) -> String {
    let micros = at.since(Instant::ZERO).as_micros();
    format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000)
}

const PSH: Flags = Flags(0x08);

/// The port of either end, unless the script names another; packetdrill's.
const PORT: u16 = 8080;

/// The MTU unless the script says another: Ethernet's, and so much more for IPv6 as its header is longer than IPv4's, so
/// that a script finds the same MSS in both.
const IPV4_MTU: u16 = 1500;
const IPV6_MTU: u16 = 1520;

/// How long a packet that may come at any time is waited for.
const PATIENCE: Duration = Duration::from_secs(3600);

/// A run has no secrets.
const SEED: [u8; 32] = [7; 32];
