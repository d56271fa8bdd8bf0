//! The link below IP: Ethernet frames, and ARP to fill in their addresses. On other links, nothing.
//!
//! Sections: RFC 894, RFC 2464; RFC 826; RFC 1122 2.3.2, 3.2.1.3; RFC 4861 7.2.
//! In: frames from a device; frames for a neighbour, their destination still blank.
//! Out: packets for IP; frames that know where they go; questions and answers about neighbours.

use core::net::{IpAddr, Ipv6Addr};

use arrayvec::ArrayVec;

use super::ip::ipv6_header;
use super::neighbour::{Overdue, Question, Resolution};
use super::{Cause, Cidr, Frame, IfaceId, Route, Stack, TxChecksum, TxFrame, route};
use crate::tcp::{DropReason, Payload, Verdict};
use crate::time::Instant;
use crate::wire::arp::{Operation, Packet};
use crate::wire::eth::{self, MacAddr};
use crate::wire::icmp::V6;
use crate::wire::ip::{self, multicast_mac, protocol, solicited_node};
use crate::wire::{frame, ipv6};

impl Stack {
    /// A frame from a device.
    pub(super) fn frame_arrives(&mut self, iface: IfaceId, frame: &Frame, now: Instant) -> Result<Verdict, DropReason> {
        let Some(mac) = self.ifaces.get(usize::from(iface.0)).ok_or(DropReason::NotForUs)?.mac else {
            return self.packet_arrives(iface, frame, 0, true, now);
        };
        let (header, start) = eth::Header::parse(&frame.bytes)?;
        if header.dst != mac && !header.dst.is_multicast() {
            return Err(DropReason::NotForUs);
        }
        match header.ethertype {
            eth::ETHERTYPE_ARP => {
                let packet = Packet::parse(frame.bytes.get(start..).ok_or(DropReason::Malformed)?)?;
                self.arp_arrives(iface, mac, &packet, now)
            }
            eth::ETHERTYPE_IPV4 | eth::ETHERTYPE_IPV6 => {
                self.packet_arrives(iface, frame, start, !header.dst.is_multicast(), now)
            }
            _ => Err(DropReason::UnknownProtocol),
        }
    }

    /// RFC 826, "Packet Reception".
    fn arp_arrives(
        &mut self,
        iface: IfaceId,
        mac: MacAddr,
        packet: &Packet,
        now: Instant,
    ) -> Result<Verdict, DropReason> {
        let (sender, target) = (IpAddr::V4(packet.sender_ip), IpAddr::V4(packet.target_ip));
        if !self.has_address(iface, target) {
            return Err(DropReason::NotForUs);
        }
        let is_request = packet.operation == Operation::Request;
        // A probe (RFC 5227) has no sender address; one with ours is a conflict, or a forgery.
        if !self.neighbour_says(iface, sender, packet.sender_mac, is_request, now) && !sender.is_unspecified() {
            return Err(DropReason::MartianSource);
        }
        if is_request {
            let reply = Packet {
                operation: Operation::Reply,
                sender_mac: mac,
                sender_ip: packet.target_ip,
                target_mac: packet.sender_mac,
                target_ip: packet.sender_ip,
            };
            self.queue_arp(iface, packet.sender_mac, &reply, Cause::NeighbourReply);
        }
        Ok(Verdict::Accepted)
    }

    /// `addr` has said who it is; `asked_us` if it did so in a question of its own. False if it is no neighbour.
    pub(super) fn neighbour_says(
        &mut self,
        iface: IfaceId,
        addr: IpAddr,
        mac: MacAddr,
        asked_us: bool,
        now: Instant,
    ) -> bool {
        if !self.is_neighbour(iface, addr) {
            return false;
        }
        for mut frame in self.neighbours.learn(iface, addr, mac, asked_us, now, &mut self.wheel) {
            set_destination(&mut frame, mac);
            self.queue(frame);
        }
        true
    }

    /// The link header of an IP packet on this interface, the destination to be filled in by `resolve`.
    pub(super) fn link_header(&self, iface: IfaceId, ip: &ip::Header) -> Option<eth::Header> {
        let src = self.ifaces.get(usize::from(iface.0))?.mac?;
        Some(eth::Header { dst: MacAddr::default(), src, ethertype: ip.ethertype() })
    }

    /// Fills in the link address of `next_hop`: gives the frame if that is known, keeps it until it is otherwise.
    pub(super) fn resolve(&mut self, mut frame: TxFrame, next_hop: IpAddr, now: Instant) -> Option<TxFrame> {
        let iface = frame.iface;
        if self.ifaces.get(usize::from(iface.0))?.mac.is_none() {
            return Some(frame);
        }
        if next_hop.is_multicast() {
            set_destination(&mut frame, multicast_mac(next_hop));
            return Some(frame);
        }
        let mut waiting = Some(frame);
        let (mac, question) = match self.neighbours.resolve(iface, next_hop, &mut waiting, now, &mut self.wheel) {
            Resolution::Send(mac, question) => (Some(mac), question),
            Resolution::Wait(question) => (None, question),
        };
        if let Some(question) = question {
            self.ask(&question);
        }
        let mut frame = waiting?;
        set_destination(&mut frame, mac?);
        Some(frame)
    }

    pub(super) fn on_neighbour_timeout(&mut self, index: u32, now: Instant) {
        match self.neighbours.on_timeout(index, now, &mut self.wheel) {
            Some(Overdue::Ask(question)) => self.ask(&question),
            Some(Overdue::Unreachable(lost)) => {
                for socket in lost.iter().filter_map(|frame| frame.socket) {
                    if self.sockets.generation(socket.index) == socket.generation
                        && let Some(endpoint) = self.endpoint_mut(socket.index)
                    {
                        endpoint.connection.on_unreachable(None);
                        self.touch(socket.index);
                    }
                }
            }
            None => {}
        }
    }

    /// Puts a question about a neighbour on the wire.
    fn ask(&mut self, question: &Question) {
        let Question { iface, addr, mac: known } = *question;
        let Some(mac) = self.ifaces.get(usize::from(iface.0)).and_then(|iface| iface.mac) else { return };
        match (self.source_towards(iface, addr), addr) {
            (Some(IpAddr::V4(sender_ip)), IpAddr::V4(target_ip)) => {
                let request = Packet {
                    operation: Operation::Request,
                    sender_mac: mac,
                    sender_ip,
                    target_mac: MacAddr::default(),
                    target_ip,
                };
                self.queue_arp(iface, known.unwrap_or(MacAddr::BROADCAST), &request, Cause::NeighbourRequest);
            }
            (Some(IpAddr::V6(src)), IpAddr::V6(target)) => {
                let group = solicited_node(target);
                let (dst, dst_mac) = match known {
                    Some(mac) => (target, mac),
                    None => (group, multicast_mac(IpAddr::V6(group))),
                };
                let solicitation = V6::NeighbourSolicitation { target, source_mac: Some(mac) };
                self.queue_neighbour_message(iface, src, dst, dst_mac, &solicitation, Cause::NeighbourRequest);
            }
            _ => {}
        }
    }

    /// Sends an ARP packet.
    fn queue_arp(&mut self, iface: IfaceId, dst: MacAddr, packet: &Packet, cause: Cause) {
        let ethernet = eth::Header { dst, src: packet.sender_mac, ethertype: eth::ETHERTYPE_ARP };
        let header = ethernet.to_bytes().into_iter().chain(packet.to_bytes()).collect();
        self.queue(TxFrame { header, ..bare(iface, cause) });
    }

    /// Sends a message of neighbour discovery: hop limit 255 shows that no router passed it on (RFC 4861 11.2).
    pub(super) fn queue_neighbour_message(
        &mut self,
        iface: IfaceId,
        src: Ipv6Addr,
        dst: Ipv6Addr,
        dst_mac: MacAddr,
        message: &V6,
        cause: Cause,
    ) {
        let ip = ip::Header::V6(ipv6::Header { hop_limit: 255, ..ipv6_header(src, dst, protocol::ICMPV6) });
        let ethernet = self.link_header(iface, &ip).map(|header| eth::Header { dst: dst_mac, ..header });
        let message = message.to_bytes(src, dst, &[]);
        let header = frame::emit(ethernet.as_ref(), &ip, &message, 0);
        self.queue(TxFrame { header, ..bare(iface, cause) });
    }

    /// True if the interface has this address.
    pub(super) fn has_address(&self, iface: IfaceId, addr: IpAddr) -> bool {
        self.addresses(iface).iter().any(|own| own.addr == addr)
    }

    /// True for an address that another host on this link may have.
    fn is_neighbour(&self, iface: IfaceId, addr: IpAddr) -> bool {
        let is_gateway = |route: &Route| route.iface == iface && route.gateway == Some(addr);
        route::is_host(&self.ifaces, addr)
            && route::owner(&self.ifaces, addr).is_none()
            && (self.addresses(iface).iter().any(|own| own.contains(addr)) || self.routes.iter().any(is_gateway))
    }

    /// The address of ours that a neighbour would expect to hear from.
    fn source_towards(&self, iface: IfaceId, addr: IpAddr) -> Option<IpAddr> {
        let own = self.addresses(iface);
        let covering = own.iter().filter(|own| own.contains(addr)).max_by_key(|own| own.prefix);
        // A router may be known by an address that is in no network of ours: its link-local one.
        covering.or_else(|| own.iter().find(|own| own.addr.is_ipv4() == addr.is_ipv4())).map(|own| own.addr)
    }

    fn addresses(&self, iface: IfaceId) -> &[Cidr] {
        self.ifaces.get(usize::from(iface.0)).map_or(&[], |iface| &iface.addrs)
    }
}

/// A frame without content.
pub(super) fn bare(iface: IfaceId, cause: Cause) -> TxFrame {
    TxFrame {
        iface,
        header: ArrayVec::new(),
        payload: Payload::NONE,
        gso_size: 0,
        checksum: TxChecksum::Full,
        socket: None,
        cause,
        note: None,
    }
}

/// Fills in where an Ethernet frame goes.
fn set_destination(frame: &mut TxFrame, mac: MacAddr) {
    if let Some(place) = frame.header.first_chunk_mut() {
        *place = mac.0;
    }
}
