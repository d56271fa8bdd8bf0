//! A quick look at a frame: enough to tell connections apart and to pick frames in a script.
//!
//! Sections: RFC 9293 3.1 (the fields).
//! In: a frame's bytes, whole or damaged.
//! Out: its addresses, flags and numbers as they stand there, checksums not looked at.

use core::net::SocketAddr;

use tidegate_proto::wire::frame::{self, Link};
use tidegate_proto::wire::{Flags, FourTuple, Header, eth};

/// What a glance at a frame shows.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Glimpse {
    /// The EtherType, or the one that the frame would have.
    pub ethertype: u16,
    /// The segment in it, if it is TCP and not damaged beyond recognition.
    pub tcp: Option<TcpGlimpse>,
}

/// What a glance at a TCP segment shows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TcpGlimpse {
    /// Who sends it.
    pub from: SocketAddr,
    /// To whom.
    pub to: SocketAddr,
    /// Its header.
    pub header: Header,
    /// Bytes of payload.
    pub payload: usize,
}

impl Glimpse {
    /// Looks at an Ethernet frame.
    pub fn of(frame: &[u8]) -> Self {
        Self::on(Link::Ethernet, frame)
    }

    /// Looks at a frame of a link of that kind.
    pub fn on(link: Link, frame: &[u8]) -> Self {
        let ethertype = match (link, frame.first()) {
            (Link::Ethernet, _) => eth::Header::parse(frame).map_or(0, |(header, _)| header.ethertype),
            (Link::Ip, Some(first)) if first >> 4 == 4 => eth::ETHERTYPE_IPV4,
            (Link::Ip, Some(first)) if first >> 4 == 6 => eth::ETHERTYPE_IPV6,
            (Link::Ip, _) => 0,
        };
        let tcp = frame::Tcp::parse(link, frame, None).ok().map(|found| TcpGlimpse {
            from: SocketAddr::new(found.ip.src(), found.tcp.src_port),
            to: SocketAddr::new(found.ip.dst(), found.tcp.dst_port),
            header: found.tcp,
            payload: found.payload.len(),
        });
        Glimpse { ethertype, tcp }
    }

    /// True for either version of IP.
    pub fn is_ip(&self) -> bool {
        matches!(self.ethertype, eth::ETHERTYPE_IPV4 | eth::ETHERTYPE_IPV6)
    }

    /// True for a SYN without ACK.
    pub fn is_syn(&self) -> bool {
        self.has(Flags::SYN) && !self.has(Flags::ACK)
    }

    /// True for a SYN-ACK.
    pub fn is_syn_ack(&self) -> bool {
        self.has(Flags::SYN | Flags::ACK)
    }

    /// True if the segment carries payload.
    pub fn is_data(&self) -> bool {
        self.tcp.as_ref().is_some_and(|t| t.payload > 0)
    }

    /// True if the segment carries FIN.
    pub fn is_fin(&self) -> bool {
        self.has(Flags::FIN)
    }

    /// True for an acknowledgement with nothing else.
    pub fn is_bare_ack(&self) -> bool {
        let others = Flags::SYN | Flags::FIN | Flags::RST;
        self.has(Flags::ACK) && !self.is_data() && !self.tcp.as_ref().is_some_and(|t| t.header.flags.any(others))
    }

    fn has(&self, flags: Flags) -> bool {
        self.tcp.as_ref().is_some_and(|t| t.header.flags.has(flags))
    }
}

impl TcpGlimpse {
    /// The connection as its sender names it.
    pub fn key(&self) -> FourTuple {
        FourTuple::new(self.from, self.to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;
    use tidegate_proto::wire::Seq;

    #[test]
    fn kinds_of_segments_are_told_apart() {
        let look = |flags, payload: &[u8]| Glimpse::of(&sample::segment(1, Seq(5), flags, payload));
        assert!(look(Flags::SYN, b"").is_syn());
        assert!(!look(Flags::SYN | Flags::ACK, b"").is_syn());
        assert!(look(Flags::SYN | Flags::ACK, b"").is_syn_ack());
        assert!(look(Flags::ACK, b"").is_bare_ack(), "Ethernet's padding is no payload");
        assert!(!look(Flags::ACK, b"x").is_bare_ack());
        assert!(look(Flags::ACK, b"x").is_data());
        assert!(look(Flags::FIN | Flags::ACK, b"").is_fin());
        assert_eq!(Glimpse::of(b"too short"), Glimpse::default());
        let frame = sample::segment(1, Seq(5), Flags::SYN, b"");
        assert_eq!(Glimpse::on(Link::Ip, &frame[14..]), Glimpse::of(&frame));
        assert_eq!(Glimpse::on(Link::Ip, b""), Glimpse::default());
    }
}
