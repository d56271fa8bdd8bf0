//! Holds what the stack sends against what a script expects next.
//!
//! Sections: the language of packetdrill; nothing of an RFC's.
//! In: a packet line, its time, and the stack's packets in their order.
//! Out: when the packet came; or the first difference, both packets in tcpdump's format, and why ours was sent.

use alloc::format;
use alloc::string::{String, ToString};
use core::net::SocketAddr;

use tidegate_proto::net::Cause;
use tidegate_proto::time::{Duration, Instant};
use tidegate_proto::trace::tcpdump::{self, LinkType};

use super::ast::{Flags, Icmp, IpInfo, Options, Packet, Range, Tcp, TcpOption, Tos, Transport};
use super::icmp;
use super::run::{Run, Sent, Stop, seconds};
use super::segment::{decode, encode};

impl Run {
    /// Waits for the packet, and says when it came.
    pub(super) fn expect(&mut self, packet: &Packet, from: Instant, to: Option<Instant>) -> Result<Instant, Stop> {
        if !packet.layers.is_empty() {
            return Err(Stop::NotApplicable(String::from("encapsulated packets")));
        }
        match &packet.transport {
            Transport::Udp(_) => Err(Stop::NotApplicable(String::from("UDP"))),
            Transport::Icmp(icmp) => self.expect_icmp(icmp, packet, from, to),
            Transport::Tcp(tcp) if !tcp.damage.is_empty() => {
                Err(Stop::NotApplicable(String::from("damage to a packet of the stack's")))
            }
            Transport::Tcp(tcp) => self.expect_segment(tcp, packet, from, to),
        }
    }

    fn expect_segment(
        &mut self,
        expected: &Tcp,
        packet: &Packet,
        from: Instant,
        to: Option<Instant>,
    ) -> Result<Instant, Stop> {
        let mut joined: Option<(Sent, Tcp)> = None;
        loop {
            let Some(sent) = self.next_sent(from, to)? else {
                let line = self.wanted(expected, packet, None);
                return Err(Stop::Fail(format!("expected {line}\n  and nothing came until {}", seconds(self.now))));
            };
            let Some((source, destination, info, mut tcp)) = decode(&sent.bytes) else {
                let line = self.wanted(expected, packet, None);
                let came = self.line_of(&sent);
                return Err(Stop::Fail(format!("another packet comes\n  expected {line}\n  actual   {came}")));
            };
            self.learn_offset(expected, &tcp);
            tcp.range.start = tcp.range.start.wrapping_sub(self.offset);
            // A SYN of ours begins the connection that the script speaks of from here on.
            if tcp.flags.has(Flags::SYN) && !tcp.flags.has(Flags::ACK) && expected.ports.is_none() {
                (self.calls.local, self.calls.remote) = (source, destination);
            }
            if !self.calls.is_about(source, destination, expected.ports) {
                return Err(self.difference("the connection", expected, packet, &sent, &tcp));
            }
            let (at, whole) = match joined.take() {
                None => (sent.at, tcp),
                Some((first, before)) => match join(&before, &tcp) {
                    Some(whole) => (first.at, whole),
                    None => return Err(self.difference("the rest of it", expected, packet, &sent, &tcp)),
                },
            };
            let mut wanted = expected.clone();
            self.map_timestamps(&mut wanted, &whole);
            let is_part = whole.range.len < wanted.range.len && whole.range.start == wanted.range.start;
            if is_part && whole.range.len > 0 && !self.strict_segments {
                joined = Some((Sent { at, ..sent }, whole));
                continue;
            }
            if let Some(what) = first_difference(&wanted, &packet.ip, &whole, &info) {
                return Err(self.difference(what, &wanted, packet, &sent, &whole));
            }
            self.learn_timestamps(expected, &whole);
            return Ok(at);
        }
    }

    fn expect_icmp(
        &mut self,
        expected: &Icmp,
        packet: &Packet,
        from: Instant,
        to: Option<Instant>,
    ) -> Result<Instant, Stop> {
        let (local, remote) = (self.calls.local, self.calls.remote);
        let bytes = icmp::encode(expected, &packet.ip, (local.ip(), remote.ip()), (remote, local), self.offset);
        let bytes =
            bytes.ok_or_else(|| Stop::NotApplicable(format!("a message that ICMP does not have: {expected}")))?;
        let line = self.print(&bytes);
        let Some(sent) = self.next_sent(from, to)? else {
            return Err(Stop::Fail(format!("expected {line}\n  and nothing came until {}", seconds(self.now))));
        };
        let what = match icmp::decode(&sent.bytes) {
            None => Some("the packet"),
            Some(message) => message
                .first_difference(expected, local.is_ipv4(), self.offset)
                .or_else(|| ip_difference(&packet.ip, &message.info)),
        };
        match what {
            None => Ok(sent.at),
            Some(what) => {
                let came = self.line_of(&sent);
                Err(Stop::Fail(format!("{what} differs\n  expected {line}\n  actual   {came}")))
            }
        }
    }

    /// The next packet of the stack's, which must come at its time; `None` if none comes.
    fn next_sent(&mut self, from: Instant, to: Option<Instant>) -> Result<Option<Sent>, Stop> {
        let latest = to.map_or(self.now + PATIENCE, |to| to + self.tolerance);
        let sent = loop {
            if let Some(sent) = self.sent.pop_front() {
                break sent;
            }
            if !self.step(latest)? {
                return Ok(None);
            }
        };
        if sent.at + self.tolerance < from || sent.at > latest {
            let (line, at) = (self.line_of(&sent), seconds(sent.at));
            let when = match to {
                None => format!("after {}", seconds(from)),
                Some(to) if to == from => format!("at {}", seconds(from)),
                Some(to) => format!("from {} to {}", seconds(from), seconds(to)),
            };
            return Err(Stop::Fail(format!("came at {at}, expected {when}\n  {line}")));
        }
        Ok(Some(sent))
    }

    /// Our sequence numbers start from 0, unless those of an earlier connection had to be left behind.
    fn learn_offset(&mut self, expected: &Tcp, actual: &Tcp) {
        if expected.flags.has(Flags::SYN) && actual.flags.has(Flags::SYN) && expected.range.start == 0 {
            self.offset = actual.range.start;
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

    fn difference(&mut self, what: &str, expected: &Tcp, packet: &Packet, sent: &Sent, actual: &Tcp) -> Stop {
        let wanted = self.wanted(expected, packet, Some(actual));
        let line = self.line_of(sent);
        Stop::Fail(format!("{what} differs\n  expected {wanted}\n  actual   {line}"))
    }

    /// The expected segment in tcpdump's format; what the script leaves open is as in the actual one.
    fn wanted(&mut self, expected: &Tcp, packet: &Packet, actual: Option<&Tcp>) -> String {
        let mut tcp = expected.clone();
        tcp.range.start = tcp.range.start.wrapping_add(self.offset);
        tcp.win = tcp.win.or(actual.and_then(|actual| actual.win));
        if let (Options::Any, Some(actual)) = (&tcp.options, actual) {
            tcp.options = actual.options.clone();
        }
        let (local, remote) = (self.calls.local, self.calls.remote);
        let (local, remote) = match tcp.ports {
            Some((ours, theirs)) => (SocketAddr::new(local.ip(), ours), SocketAddr::new(remote.ip(), theirs)),
            None => (local, remote),
        };
        self.print(&encode(&tcp, &packet.ip, local, remote))
    }

    pub(super) fn line_of(&mut self, sent: &Sent) -> String {
        let cause = match sent.cause {
            Cause::Tcp(cause) => cause.name(),
            Cause::EchoReply => "echo-reply",
            Cause::Icmp => "icmp",
            Cause::NeighbourRequest | Cause::NeighbourReply => "neighbour",
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
    let rows = [
        (wanted.flags == actual.flags, "the flags"),
        (wanted.range.start == actual.range.start, "the sequence number"),
        (wanted.range.len == actual.range.len, "the payload length"),
        (wanted.ack == actual.ack, "the acknowledgment number"),
        (wanted.win.is_none() || wanted.win == actual.win, "the window"),
        (wanted.urg.unwrap_or(0) == actual.urg.unwrap_or(0), "the urgent pointer"),
        (wanted.options == Options::Any || wanted.options == actual.options, "options"),
    ];
    let first = rows.into_iter().find(|(fits, _)| !fits).map(|(_, what)| what);
    first.or_else(|| ip_difference(wanted_ip, ip))
}

/// The same for the IP header.
fn ip_difference(wanted: &IpInfo, ip: &IpInfo) -> Option<&'static str> {
    let ecn = match ip.tos {
        Some(Tos::Byte(byte)) => byte & 3,
        _ => 0,
    };
    let tos_fits = match wanted.tos {
        None => true,
        Some(Tos::NoEcn) => ecn == 0,
        Some(Tos::Ect1) => ecn == 1,
        Some(Tos::Ect0) => ecn == 2,
        Some(Tos::Ce) => ecn == 3,
        Some(Tos::Ect01) => matches!(ecn, 1 | 2),
        Some(byte @ Tos::Byte(_)) => ip.tos == Some(byte),
    };
    let rows = [
        (tos_fits, "the DiffServ byte"),
        (wanted.ttl.is_none() || wanted.ttl == ip.ttl, "the TTL"),
        (wanted.flow_label.is_none() || wanted.flow_label == ip.flow_label, "the flow label"),
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

const PSH: Flags = Flags(0x08);

/// How long a packet that may come at any time is waited for.
const PATIENCE: Duration = Duration::from_secs(3600);
