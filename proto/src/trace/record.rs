//! One TCP segment as a capture shows it, whatever the capture's format.
//!
//! Sections: RFC 9293 3.1.
//! In: a captured frame, perhaps cut short; or what a reader of tcpdump's text understood.
//! Out: a [`Record`] for the analysis; nothing here judges whether the segment was right.

use core::net::{IpAddr, SocketAddr};

use bytes::Bytes;

use super::comment::Reason;
use super::flow::http;
use super::tcpdump::{Frame, LinkType};
use crate::net::{self, Note};
use crate::tcp::{Cause, Verdict};
use crate::time::{Duration, Instant};
use crate::wire::ip::protocol;
use crate::wire::{Flags, Header, eth, ipv4, ipv6, tcp};

/// One captured segment.
#[derive(Clone, PartialEq, Debug)]
pub struct Record {
    /// Its number in the capture; the first is 1. Numbers may be missing, never repeated.
    pub number: u64,
    /// When it was captured: nanoseconds since the epoch, or since midnight where the capture names no date.
    pub time: Instant,
    /// Which of the capture's interfaces saw it; 0 if it has but one.
    pub interface: u32,
    /// Who sent it.
    pub src: SocketAddr,
    /// To whom.
    pub dst: SocketAddr,
    /// Its header; numbers are absolute.
    pub header: Header,
    /// Bytes of its IP and TCP headers, options and extension headers included.
    pub header_len: u32,
    /// Bytes of payload that it carried, captured or not.
    pub payload_len: u32,
    /// The payload as far as it was captured, if an HTTP head begins with it; else nothing.
    pub payload: Bytes,
    /// Why it was sent, if its sender was our own stack and says so.
    pub cause: Option<Cause>,
    /// What its sender knew at that moment.
    pub note: Option<Note>,
    /// What became of it, if its receiver was our own stack and says so.
    pub verdict: Option<Verdict>,
}

impl Record {
    /// The segment in a captured frame; `None` if the frame carries no whole TCP header.
    pub fn from_frame(frame: &Frame<'_>) -> Option<Record> {
        let bytes = frame.bytes;
        let ip_at = match frame.link {
            LinkType::Ethernet => packet_start(bytes)?,
            LinkType::Raw => 0,
        };
        let packet = bytes.get(ip_at..)?;
        let ip = Ip::parse(packet)?;
        let segment = packet.get(ip.header_len..ip.captured_len)?;
        let (header, tcp_len) = tcp_header(segment, ip.src, ip.dst)?;
        // A length of zero is written by hosts that leave the cutting to their device.
        let on_wire = usize::try_from(frame.original_len).ok()?.saturating_sub(ip_at);
        let total_len = ip.total_len.unwrap_or(on_wire);
        let header_len = ip.header_len + tcp_len;
        let payload = segment.get(tcp_len..).unwrap_or_default();
        let kept = if http::begins(payload) { payload.get(..KEPT).unwrap_or(payload) } else { &[] };
        Some(Record {
            number: frame.number,
            time: Instant::ZERO + Duration::from_nanos(frame.time_ns),
            interface: 0,
            src: SocketAddr::new(ip.src, header.src_port),
            dst: SocketAddr::new(ip.dst, header.dst_port),
            header,
            header_len: u32::try_from(header_len).ok()?,
            payload_len: u32::try_from(total_len.saturating_sub(header_len)).ok()?,
            payload: Bytes::copy_from_slice(kept),
            cause: None,
            note: None,
            verdict: None,
        })
    }

    /// Takes over what our own stack says about it.
    pub fn add(&mut self, reason: &Reason) {
        match *reason {
            Reason::Sent { cause, note } => {
                self.note = note;
                if let net::Cause::Tcp(cause) = cause {
                    self.cause = Some(cause);
                }
            }
            Reason::Received(verdict) => self.verdict = Some(verdict),
        }
    }

    /// SEG.LEN: payload, and one each for SYN and FIN.
    pub fn seq_len(&self) -> u64 {
        u64::from(self.payload_len) + u64::from(self.has(Flags::SYN)) + u64::from(self.has(Flags::FIN))
    }

    /// True if every one of `flags` is set.
    pub fn has(&self, flags: Flags) -> bool {
        self.header.flags.has(flags)
    }
}

/// What is needed of an IP header.
struct Ip {
    src: IpAddr,
    dst: IpAddr,
    header_len: usize,
    /// Where the captured part of the packet ends, any padding left out.
    captured_len: usize,
    /// As the header says; `None` if it says nothing.
    total_len: Option<usize>,
}

impl Ip {
    fn parse(packet: &[u8]) -> Option<Ip> {
        let length_at = |at: usize| Some(usize::from(u16::from_be_bytes(*packet.get(at..)?.first_chunk()?)));
        match packet.first()? >> 4 {
            4 => {
                let total_len = length_at(2)?;
                if total_len == 0 {
                    return Ip::without_length(packet);
                }
                let (header, payload) = ipv4::Header::parse_quoted(packet).ok()?;
                (header.protocol == protocol::TCP && header.fragment_offset == 0).then_some(Ip {
                    src: header.src.into(),
                    dst: header.dst.into(),
                    header_len: payload.start,
                    captured_len: payload.end,
                    total_len: Some(total_len),
                })
            }
            6 => {
                let (header, payload) = ipv6::Header::parse_quoted(packet).ok()?;
                let is_first = header.fragment.is_none_or(|fragment| fragment.offset == 0);
                (header.protocol == protocol::TCP && is_first).then_some(Ip {
                    src: header.src.into(),
                    dst: header.dst.into(),
                    header_len: payload.start,
                    captured_len: payload.end,
                    total_len: Some(length_at(4)? + ipv6::HEADER_LEN),
                })
            }
            _ => None,
        }
    }

    /// An IPv4 header whose length field is zero: read as if it named all that was captured.
    fn without_length(packet: &[u8]) -> Option<Ip> {
        let mut copy = packet.to_vec();
        let len = u16::try_from(packet.len()).unwrap_or(u16::MAX);
        copy.get_mut(2..4)?.copy_from_slice(&len.to_be_bytes());
        Ip::parse(&copy).map(|ip| Ip { captured_len: packet.len(), total_len: None, ..ip })
    }
}

/// Where the packet of an Ethernet frame starts, VLAN tags passed.
fn packet_start(frame: &[u8]) -> Option<usize> {
    let mut at = ETHERTYPE_AT;
    loop {
        match u16::from_be_bytes(*frame.get(at..)?.first_chunk()?) {
            eth::ETHERTYPE_IPV4 | eth::ETHERTYPE_IPV6 => return Some(at + 2),
            ETHERTYPE_VLAN | ETHERTYPE_SERVICE_VLAN => at += 4,
            _ => return None,
        }
    }
}

/// The header at the start of `segment` and its length. Options that are damaged or not wholly captured are left out.
fn tcp_header(segment: &[u8], src: IpAddr, dst: IpAddr) -> Option<(Header, usize)> {
    if let Ok(parsed) = tcp::Header::parse(segment, src, dst, None) {
        return Some(parsed);
    }
    let mut fixed: [u8; tcp::MIN_HEADER_LEN] = *segment.first_chunk()?;
    let offset = fixed.get_mut(OFFSET_AT)?;
    let len = usize::from(*offset >> 4) * 4;
    *offset = MIN_OFFSET << 4 | *offset & 0x0f;
    let (header, _) = tcp::Header::parse(&fixed, src, dst, None).ok()?;
    (len >= tcp::MIN_HEADER_LEN).then_some((header, len))
}

/// Behind the two addresses of an Ethernet header.
const ETHERTYPE_AT: usize = 12;
/// IEEE 802.1Q.
const ETHERTYPE_VLAN: u16 = 0x8100;
/// IEEE 802.1ad.
const ETHERTYPE_SERVICE_VLAN: u16 = 0x88a8;
/// RFC 9293 3.1: where the data offset stands.
const OFFSET_AT: usize = 12;
/// A data offset without options, in words of four bytes.
const MIN_OFFSET: u8 = 5;
/// How much of a payload is kept: enough for most heads.
const KEPT: usize = 2048;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tcp::RetransmitCause;
    use crate::wire::checksum;
    use crate::wire::eth::MacAddr;
    use crate::wire::{Ecn, Options, Seq, Timestamps, frame, ip};
    use alloc::vec::Vec;

    fn request() -> Vec<u8> {
        let (src, dst) = ("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap());
        let link = eth::Header { src: MacAddr([2; 6]), dst: MacAddr([4; 6]), ethertype: eth::ETHERTYPE_IPV4 };
        let header = Header {
            src_port: 5000,
            dst_port: 80,
            seq: Seq(7),
            ack: Seq(9),
            flags: Flags::ACK | Flags::PSH,
            window: 229,
            options: Options { timestamps: Some(Timestamps { val: 1, ecr: 2 }), ..Options::default() },
            ..Header::default()
        };
        let ip = ip::Header::V4(ipv4::Header {
            src,
            dst,
            protocol: protocol::TCP,
            ttl: 64,
            dscp: 0,
            ecn: Ecn::NotEct,
            id: 1,
            dont_fragment: true,
            more_fragments: false,
            fragment_offset: 0,
        });
        let mut bytes = frame::emit_tcp(Some(&link), &ip, &header, &[REQUEST], checksum::portable).to_vec();
        bytes.extend(REQUEST);
        bytes
    }

    fn record(bytes: &[u8], original_len: usize) -> Option<Record> {
        Record::from_frame(&Frame {
            number: 3,
            time_ns: 5,
            utc_offset: 0,
            link: LinkType::Ethernet,
            bytes,
            original_len: u32::try_from(original_len).unwrap(),
        })
    }

    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\n\r\n";

    #[test]
    fn a_frame_becomes_a_record() {
        let bytes = request();
        let record = record(&bytes, bytes.len()).expect("a TCP frame");
        assert_eq!((record.src, record.dst), ("10.0.0.1:5000".parse().unwrap(), "10.0.0.2:80".parse().unwrap()));
        assert_eq!((record.header_len, record.payload_len), (52, 18));
        assert_eq!(&record.payload[..], REQUEST);
        assert_eq!(record.header.options.timestamps, Some(Timestamps { val: 1, ecr: 2 }));
    }

    /// The lengths are those of the wire whatever the snap length cut, down to the fixed header.
    #[test]
    fn a_cut_frame_keeps_its_lengths() {
        let bytes = request();
        for captured in 14 + 20 + 20..bytes.len() {
            let record = record(&bytes[..captured], bytes.len()).expect("its fixed header is there");
            assert_eq!((record.header.seq, record.header_len, record.payload_len), (Seq(7), 52, 18), "{captured}");
        }
        assert_eq!(record(&bytes[..14 + 20 + 19], bytes.len()), None);
    }

    #[test]
    fn tags_padding_and_a_missing_length_are_understood() {
        let mut tagged = request();
        tagged.splice(12..12, [0x88, 0xa8, 0, 1, 0x81, 0, 0, 2]);
        tagged.extend([0; 7]);
        assert_eq!(record(&tagged, tagged.len()).expect("two tags").payload_len, 18);

        let mut unmeasured = request();
        unmeasured[16..18].copy_from_slice(&[0, 0]);
        assert_eq!(record(&unmeasured, unmeasured.len()).expect("no length").payload_len, 18);
    }

    #[test]
    fn what_is_no_tcp_is_no_record() {
        let mut udp = request();
        udp[14 + 9] = 17;
        assert_eq!(record(&udp, udp.len()), None);
        let mut later_fragment = request();
        later_fragment[14 + 7] = 1;
        assert_eq!(record(&later_fragment, later_fragment.len()), None);
        assert_eq!(record(&[], 0), None);
    }

    #[test]
    fn reasons_are_taken_over() {
        let bytes = request();
        let mut record = record(&bytes, bytes.len()).expect("a TCP frame");
        let cause = Cause::Retransmit(RetransmitCause::Fast);
        record.add(&Reason::Sent { cause: net::Cause::Tcp(cause), note: None });
        record.add(&Reason::Received(Verdict::Accepted));
        assert_eq!((record.cause, record.verdict), (Some(cause), Some(Verdict::Accepted)));
    }
}
