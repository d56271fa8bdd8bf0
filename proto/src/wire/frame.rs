//! A whole frame's headers: link, IP and transport together.
//!
//! Sections: RFC 894, RFC 2464 (IP over Ethernet); RFC 9293 3.1.
//! In: the three headers to put before a payload; or the bytes of a TCP frame.
//! Out: the header bytes, lengths and checksums filled in; or where each header lies.

use core::ops::Range;

use arrayvec::ArrayVec;

use super::checksum::SumFn;
use super::ip::{self, protocol};
use super::{Error, eth, tcp};

/// What frames on a link start with.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Link {
    /// An Ethernet header.
    #[default]
    Ethernet,
    /// An IP header, nothing before it.
    Ip,
}

/// Room for the longest headers that this stack writes: 14 of Ethernet, 40 of IPv6, 60 of TCP.
pub const MAX_HEADER_LEN: usize = 128;

/// The headers of a frame that carries `transport` (header and all that belongs to it) and then `payload_len` bytes.
pub fn emit(
    link: Option<&eth::Header>,
    ip: &ip::Header,
    transport: &[u8],
    payload_len: usize,
) -> ArrayVec<u8, MAX_HEADER_LEN> {
    let mut header = ArrayVec::new();
    let mut push =
        |bytes: &[u8]| header.try_extend_from_slice(bytes).expect("no transport header exceeds TCP's 60 bytes");
    if let Some(link) = link {
        push(&link.to_bytes());
    }
    let len = transport.len() + payload_len;
    match ip {
        ip::Header::V4(ip) => push(&ip.to_bytes(len)),
        ip::Header::V6(ip) => push(&ip.to_bytes(len)),
    }
    push(transport);
    header
}

/// The headers of a TCP frame, the TCP checksum computed over all of `payload`.
pub fn emit_tcp<T: AsRef<[u8]>>(
    link: Option<&eth::Header>,
    ip: &ip::Header,
    tcp: &tcp::Header,
    payload: &[T],
    sum: SumFn,
) -> ArrayVec<u8, MAX_HEADER_LEN> {
    let payload_len = payload.iter().map(|part| part.as_ref().len()).sum();
    emit(link, ip, &tcp.to_bytes(ip.src(), ip.dst(), payload, sum), payload_len)
}

/// A TCP frame, taken apart.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tcp {
    /// The IP header.
    pub ip: ip::Header,
    /// Where it starts.
    pub ip_at: usize,
    /// The TCP header.
    pub tcp: tcp::Header,
    /// Where it starts.
    pub tcp_at: usize,
    /// Where its payload lies; any link's padding is behind it.
    pub payload: Range<usize>,
}

impl Tcp {
    /// The headers of a whole, unfragmented TCP frame. [`Error::BadVersion`] for anything else.
    pub fn parse(link: Link, bytes: &[u8], verify: Option<SumFn>) -> Result<Tcp, Error> {
        let ip_at = ip_start(link, bytes)?;
        let packet = bytes.get(ip_at..).ok_or(Error::Truncated)?;
        let (ip, segment) = ip::Header::parse(packet)?;
        Tcp::within(packet, ip, segment, ip_at, verify)
    }

    /// As `parse`, for the headers of a frame whose payload is elsewhere.
    pub fn parse_header(link: Link, bytes: &[u8]) -> Result<Tcp, Error> {
        let ip_at = ip_start(link, bytes)?;
        let packet = bytes.get(ip_at..).ok_or(Error::Truncated)?;
        let (ip, segment) = ip::Header::parse_quoted(packet)?;
        Tcp::within(packet, ip, segment, ip_at, None)
    }

    fn within(
        packet: &[u8],
        ip: ip::Header,
        segment: Range<usize>,
        ip_at: usize,
        verify: Option<SumFn>,
    ) -> Result<Tcp, Error> {
        if ip.protocol() != protocol::TCP || ip.is_fragment() {
            return Err(Error::BadVersion);
        }
        let bytes = packet.get(segment.clone()).ok_or(Error::Truncated)?;
        let (tcp, header_len) = tcp::Header::parse(bytes, ip.src(), ip.dst(), verify)?;
        let tcp_at = ip_at + segment.start;
        Ok(Tcp { ip, ip_at, tcp, tcp_at, payload: tcp_at + header_len..ip_at + segment.end })
    }
}

/// Where the IP header of a frame starts.
fn ip_start(link: Link, bytes: &[u8]) -> Result<usize, Error> {
    match link {
        Link::Ip => Ok(0),
        Link::Ethernet => match eth::Header::parse(bytes)? {
            (header, at) if matches!(header.ethertype, eth::ETHERTYPE_IPV4 | eth::ETHERTYPE_IPV6) => Ok(at),
            _ => Err(Error::BadVersion),
        },
    }
}
