//! Packets that no connection sends: whole, or in pieces if they are too long for the link.
//!
//! Sections: RFC 791 2.3, 3.2; RFC 8200 4.5, 5; RFC 6864 4 (identification).
//! In: an IP header, and what goes behind it.
//! Out: frames on their way.

use core::net::IpAddr;

use arrayvec::ArrayVec;
use bytes::Bytes;

use super::link::bare;
use super::route::Way;
use super::{Cause, IfaceId, Stack, TxFrame};
use crate::time::Instant;
use crate::wire::frame::{self, MAX_HEADER_LEN};
use crate::wire::ip::{self, protocol};
use crate::wire::{ipv4, ipv6};

impl Stack {
    /// Sends a packet by the way that leads to its destination.
    pub(super) fn send_packet(
        &mut self,
        ip: &ip::Header,
        transport: &[u8],
        payload: Bytes,
        cause: Cause,
        now: Instant,
    ) {
        let Some(Way::Out { iface, next_hop, .. }) = self.way(ip.dst(), Some(ip.src())) else {
            self.counters.out_no_routes += 1;
            return;
        };
        let mtu = self.ifaces.get(usize::from(iface.0)).map_or(0, |iface| usize::from(iface.mtu));
        if ip_header_len(ip) + transport.len() + payload.len() <= mtu {
            let header = frame::emit(self.link_header(iface, ip).as_ref(), ip, transport, payload.len());
            self.send_frame(iface, next_hop, header, payload, cause, now);
        } else {
            let whole = [transport, &payload].concat().into();
            self.send_pieces(iface, next_hop, ip, &whole, mtu, cause, now);
        }
    }

    /// Sends the payload of one packet in several.
    #[expect(clippy::too_many_arguments, reason = "these are a packet's parts, and where it goes")]
    fn send_pieces(
        &mut self,
        iface: IfaceId,
        next_hop: IpAddr,
        ip: &ip::Header,
        whole: &Bytes,
        mtu: usize,
        cause: Cause,
        now: Instant,
    ) {
        // Nobody may learn from it how much this host sends, and no two packets in flight may share it.
        let id = self.ids.next();
        let fixed = match ip {
            ip::Header::V4(_) => ipv4::HEADER_LEN,
            ip::Header::V6(_) => ipv6::HEADER_LEN + ipv6::FRAGMENT_LEN,
        };
        // A multiple of eight bytes in each but the last.
        let room = mtu.saturating_sub(fixed) & !7;
        let Some(last) =
            whole.len().checked_sub(1).filter(|_| room > 0 && whole.len() <= usize::from(u16::MAX) - fixed)
        else {
            self.counters.frag_fails += 1;
            return;
        };
        let link = self.link_header(iface, ip);
        for start in (0..=last).step_by(room) {
            let piece = whole.slice(start..whole.len().min(start + room));
            let offset = u16::try_from(start).expect("a packet is no longer than 65,535 bytes");
            let more = start + room <= last;
            let header = match ip {
                ip::Header::V4(header) => {
                    let piece_of = ipv4::Header {
                        id: u16::try_from(id & 0xffff).expect("16 bits"),
                        dont_fragment: false,
                        more_fragments: more,
                        fragment_offset: offset,
                        ..*header
                    };
                    frame::emit(link.as_ref(), &ip::Header::V4(piece_of), &[], piece.len())
                }
                ip::Header::V6(header) => {
                    let id = u32::try_from(id & 0xffff_ffff).expect("32 bits");
                    let fragment = ipv6::Fragment { offset, more, id }.to_bytes(header.protocol);
                    let piece_of = ipv6::Header { protocol: protocol::FRAGMENT, ..*header };
                    frame::emit(link.as_ref(), &ip::Header::V6(piece_of), &fragment, piece.len())
                }
            };
            self.counters.frag_creates += 1;
            self.send_frame(iface, next_hop, header, piece, cause, now);
        }
        self.counters.frag_oks += 1;
    }

    fn send_frame(
        &mut self,
        iface: IfaceId,
        next_hop: IpAddr,
        header: ArrayVec<u8, MAX_HEADER_LEN>,
        payload: Bytes,
        cause: Cause,
        now: Instant,
    ) {
        let frame = TxFrame { header, payload: payload.into(), ..bare(iface, cause) };
        if let Some(frame) = self.resolve(frame, next_hop, now) {
            self.queue(frame);
        }
    }
}

fn ip_header_len(ip: &ip::Header) -> usize {
    match ip {
        ip::Header::V4(_) => ipv4::HEADER_LEN,
        ip::Header::V6(_) => ipv6::HEADER_LEN,
    }
}
