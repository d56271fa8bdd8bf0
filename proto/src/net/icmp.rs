//! ICMP and ICMPv6 as a host speaks them: echo is answered, neighbours are told who we are, errors find their
//! connection.
//!
//! Sections: RFC 792, RFC 4443; RFC 1122 3.2.2; RFC 4861 7.2; RFC 9293 3.9.2.2; RFC 6633 (source quench).
//! In: ICMP messages to one of our addresses, or to a group that every host is in.
//! Out: echo replies, neighbour advertisements, complaints about packets; what an error says, at the connection that it is about.

use core::net::{IpAddr, Ipv6Addr};

use bytes::Bytes;

use super::demux::Slot;
use super::ip::ipv6_header;
use super::link::bare;
use super::{Cause, IfaceId, Stack, TxFrame, pmtu};
use crate::tcp::{DropReason, Verdict};
use crate::time::{Duration, Instant};
use crate::wire::icmp::{DATA_OFFSET, Quote, V4, V6};
use crate::wire::ip::{self, protocol};
use crate::wire::{FourTuple, frame, ipv4, ipv6};

impl Stack {
    /// An ICMP message to one of our addresses.
    pub(super) fn icmp_arrives(
        &mut self,
        ip: &ipv4::Header,
        payload: &Bytes,
        now: Instant,
    ) -> Result<Verdict, DropReason> {
        // Parsed, a message has its first eight bytes.
        let message = V4::parse(payload)?;
        let data = payload.slice(DATA_OFFSET..);
        match message {
            // A router that no longer wants our packets for somebody: who believes that lets anyone on the link, or
            // whoever can name a packet of ours, lead them elsewhere. Like Linux with accept_redirects off.
            V4::Other { kind: REDIRECT_V4, .. } => {
                self.counters.icmp_in_redirects += 1;
                Err(DropReason::Redirect)
            }
            V4::EchoRequest(echo) => {
                let ttl = self.config.host.default_ttl;
                let answer =
                    ip::Header::V4(ipv4::Header { ttl, ..ipv4::Header::atomic(ip.dst, ip.src, protocol::ICMP) });
                let reply = V4::EchoReply(echo).to_bytes(&data);
                self.send_echo_reply(&answer, &reply, data, now);
                Ok(Verdict::Accepted)
            }
            //= 9293/MUST-55
            V4::SourceQuench => Err(DropReason::UnknownProtocol),
            V4::Unreachable { code: 4, next_hop_mtu } => self.too_big_arrives(&data, u32::from(next_hop_mtu), now),
            V4::Unreachable { .. } | V4::TimeExceeded { .. } | V4::ParameterProblem { .. } => self.error_arrives(&data),
            V4::EchoReply(_) | V4::Other { .. } => Err(DropReason::UnknownProtocol),
        }
    }

    /// An ICMPv6 message to one of our addresses or to a group.
    pub(super) fn icmpv6_arrives(
        &mut self,
        iface: IfaceId,
        ip: &ipv6::Header,
        payload: &Bytes,
        now: Instant,
    ) -> Result<Verdict, DropReason> {
        // Parsed, a message has its first eight bytes.
        let message = V6::parse(payload, ip.src, ip.dst)?;
        match message {
            V6::Other { kind: REDIRECT_V6, .. } => {
                self.counters.icmp_in_redirects += 1;
                Err(DropReason::Redirect)
            }
            // RFC 4861 7.1: what a router passed on is no neighbour's.
            V6::NeighbourSolicitation { .. } | V6::NeighbourAdvertisement { .. } if ip.hop_limit != 255 => {
                Err(DropReason::Malformed)
            }
            V6::NeighbourSolicitation { target, source_mac } => {
                if !self.has_address(iface, IpAddr::V6(target)) {
                    return Err(DropReason::NotForUs);
                }
                if let Some(mac) = source_mac {
                    self.neighbour_says(iface, IpAddr::V6(ip.src), mac, true, now);
                }
                self.advertise(iface, target, ip.src, now);
                Ok(Verdict::Accepted)
            }
            V6::NeighbourAdvertisement { target, target_mac: Some(mac), solicited: true, .. } => {
                self.neighbour_says(iface, IpAddr::V6(target), mac, false, now);
                Ok(Verdict::Accepted)
            }
            V6::NeighbourAdvertisement { .. } => Err(DropReason::NotForUs),
            // Only a question for neighbours may come from nowhere.
            _ if ip.src.is_unspecified() => Err(DropReason::MartianSource),
            _ if ip.dst.is_multicast() => Err(DropReason::Multicast),
            V6::EchoRequest(echo) => {
                let data = payload.slice(DATA_OFFSET..);
                let hop_limit = self.config.host.default_ttl;
                let answer = ipv6::Header { hop_limit, ..ipv6_header(ip.dst, ip.src, protocol::ICMPV6) };
                let reply = V6::EchoReply(echo).to_bytes(ip.dst, ip.src, &data);
                self.send_echo_reply(&ip::Header::V6(answer), &reply, data, now);
                Ok(Verdict::Accepted)
            }
            V6::Unreachable { .. } | V6::TimeExceeded { .. } | V6::ParameterProblem { .. } => {
                self.error_arrives(&payload.slice(DATA_OFFSET..))
            }
            V6::PacketTooBig { mtu } => self.too_big_arrives(&payload.slice(DATA_OFFSET..), mtu, now),
            V6::EchoReply(_) | V6::Other { .. } => Err(DropReason::UnknownProtocol),
        }
    }

    fn send_echo_reply(&mut self, ip: &ip::Header, reply: &[u8], data: Bytes, now: Instant) {
        self.counters.icmp_in_echos += 1;
        self.send_packet(ip, reply, data, Cause::EchoReply, now);
        self.counters.icmp_out_echo_reps += 1;
    }

    /// Tells `asker`, or everyone if it has no address yet, that `target` is ours: RFC 4861 7.2.4.
    fn advertise(&mut self, iface: IfaceId, target: Ipv6Addr, asker: Ipv6Addr, now: Instant) {
        let Some(mac) = self.ifaces.get(usize::from(iface.0)).and_then(|iface| iface.mac) else { return };
        let solicited = !asker.is_unspecified();
        let dst = if solicited { asker } else { ALL_NODES };
        let message =
            V6::NeighbourAdvertisement { target, target_mac: Some(mac), router: false, solicited, r#override: true };
        let ip = ip::Header::V6(ipv6::Header { hop_limit: 255, ..ipv6_header(target, dst, protocol::ICMPV6) });
        let message = message.to_bytes(target, dst, &[]);
        let header = frame::emit(self.link_header(iface, &ip).as_ref(), &ip, &message, 0);
        let frame = TxFrame { header, ..bare(iface, Cause::NeighbourReply) };
        if let Some(frame) = self.resolve(frame, IpAddr::V6(dst), now) {
            self.queue(frame);
        }
    }

    /// Tells the sender of a packet what was wrong with it: RFC 1122 3.2.2, RFC 4443 2.4.
    pub(super) fn complain(&mut self, about: &ip::Header, packet: Bytes, complaint: Complaint, now: Instant) {
        let (src, dst) = (about.dst(), about.src());
        if src.is_multicast() || is_error_itself(about.protocol(), &packet) {
            return;
        }
        if !self.icmp_limit.may_send(self.config.host.icmp_msgs_per_sec, self.config.host.icmp_msgs_burst, now) {
            self.counters.icmp_out_rate_limit_global += 1;
            return;
        }
        let ttl = self.config.host.default_ttl;
        let (ip, message, quote) = match (src, dst) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => {
                let ip = ipv4::Header { ttl, ..ipv4::Header::atomic(src, dst, protocol::ICMP) };
                let quote = packet.slice(..packet.len().min(QUOTE_V4));
                let Some(message) = complaint.v4() else { return };
                (ip::Header::V4(ip), message.to_bytes(&quote).into_iter().collect(), quote)
            }
            (IpAddr::V6(src), IpAddr::V6(dst)) => {
                let ip = ipv6::Header { hop_limit: ttl, ..ipv6_header(src, dst, protocol::ICMPV6) };
                let quote = packet.slice(..packet.len().min(QUOTE_V6));
                (ip::Header::V6(ip), complaint.v6().to_bytes(src, dst, &quote), quote)
            }
            _ => return,
        };
        match complaint {
            Complaint::ReassemblyTime => self.counters.icmp_out_time_excds += 1,
            Complaint::Parameter { .. } => self.counters.icmp_out_parm_probs += 1,
        }
        self.send_packet(&ip, &message, quote, Cause::Icmp, now);
    }

    /// An error about a packet of ours: its connection hears of it, if the quoted segment may be one that it sent.
    //= 9293/MUST-54
    fn error_arrives(&mut self, quoted: &[u8]) -> Result<Verdict, DropReason> {
        self.counters.icmp_in_errors += 1;
        let quote = Quote::parse(quoted).ok_or(DropReason::Malformed)?;
        match self.find(&FourTuple::new(quote.src, quote.dst)) {
            Some(Slot::Connection(index)) => {
                let endpoint = self.endpoint_mut(index).ok_or(DropReason::NoConnection)?;
                let verdict = endpoint.connection.on_unreachable(Some(quote.seq));
                self.touch(index);
                Ok(verdict)
            }
            _ => Err(DropReason::NoConnection),
        }
    }
}

impl Stack {
    /// A packet of ours was larger than a link on its way, which carries `mtu` bytes, or as much as it does not say (0).
    //= 9293/MUST-54
    fn too_big_arrives(&mut self, quoted: &[u8], mtu: u32, now: Instant) -> Result<Verdict, DropReason> {
        self.counters.icmp_in_errors += 1;
        let quote = Quote::parse(quoted).ok_or(DropReason::Malformed)?;
        let host = &self.config.host;
        if host.no_pmtu_disc > 1 {
            return Err(DropReason::Implausible);
        }
        let mtu = u16::try_from(mtu).unwrap_or(u16::MAX);
        let mtu = if mtu == 0 && quote.src.is_ipv4() { pmtu::plateau_below(quote.len) } else { mtu };
        // RFC 5927 7.1: a link that refuses a packet is narrower than that packet.
        if mtu >= quote.len {
            return Err(DropReason::Implausible);
        }
        let (mtu, may_fragment) = match quote.src.is_ipv4() {
            // Like Linux: without path MTU discovery, one complaint makes packets as small as any will be.
            true if host.no_pmtu_disc == 1 => (host.min_pmtu, true),
            // Like Linux: what is narrower than this is left to the routers to cut.
            true => (mtu.max(host.min_pmtu), mtu < host.min_pmtu),
            //= 8201#4
            false if mtu < MIN_MTU_V6 => return Err(DropReason::Implausible),
            false => (mtu, false),
        };
        let until = now + host.mtu_expires;
        let Some(Slot::Connection(index)) = self.find(&FourTuple::new(quote.src, quote.dst)) else {
            return Err(DropReason::NoConnection);
        };
        let endpoint = self.endpoint_mut(index).ok_or(DropReason::NoConnection)?;
        let verdict = endpoint.connection.on_packet_too_big(quote.seq, mtu, until, now);
        self.learn_path(index, may_fragment, now);
        self.touch(index);
        Ok(verdict)
    }
}

/// What this host tells the sender of a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Complaint {
    /// The rest of its pieces did not come in time.
    ReassemblyTime,
    /// A field is wrong. For IPv6 only.
    Parameter { code: u8, pointer: u32 },
}

impl Complaint {
    fn v4(self) -> Option<V4> {
        matches!(self, Complaint::ReassemblyTime).then_some(V4::TimeExceeded { code: REASSEMBLY })
    }

    fn v6(self) -> V6 {
        match self {
            Complaint::ReassemblyTime => V6::TimeExceeded { code: REASSEMBLY },
            Complaint::Parameter { code, pointer } => V6::ParameterProblem { code, pointer },
        }
    }
}

/// How fast this host sends ICMP errors, so that nobody can use it to send them to others.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct RateLimit {
    /// When all that was sent would have been sent at the even rate.
    paid: Instant,
}

impl RateLimit {
    /// Whether one more may go, out of so many a second and so many at once.
    fn may_send(&mut self, per_second: u32, burst: u32, now: Instant) -> bool {
        let Some(interval) = 1_000_000_000_u64.checked_div(u64::from(per_second)) else { return false };
        let paid = self.paid.max(now) + Duration::from_nanos(interval);
        let may = paid.since(now) <= Duration::from_nanos(interval.saturating_mul(u64::from(burst)));
        if may {
            self.paid = paid;
        }
        may
    }
}

/// An error is never answered with another.
fn is_error_itself(protocol: u8, packet: &[u8]) -> bool {
    let Ok((header, payload)) = ip::Header::parse_quoted(packet) else { return true };
    let kind = packet.get(payload.start).copied();
    match header {
        ip::Header::V4(_) => protocol == protocol::ICMP && kind.is_none_or(|kind| !matches!(kind, 0 | 8 | 13..=18)),
        ip::Header::V6(_) => protocol == protocol::ICMPV6 && kind.is_none_or(|kind| kind < 128),
    }
}

/// RFC 8200 5: every link carries as much.
const MIN_MTU_V6: u16 = 1280;
/// RFC 792 and RFC 4861 4.5: redirect.
const REDIRECT_V4: u8 = 5;
const REDIRECT_V6: u8 = 137;
/// Reassembly took too long: a code of time exceeded in both versions.
const REASSEMBLY: u8 = 1;
/// RFC 1812 4.3.2.3: an error is no longer than 576 bytes.
const QUOTE_V4: usize = 576 - ipv4::HEADER_LEN - DATA_OFFSET;
/// RFC 4443 2.4: an error is no longer than 1280 bytes.
const QUOTE_V6: usize = 1280 - ipv6::HEADER_LEN - DATA_OFFSET;

/// ff02::1.
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
