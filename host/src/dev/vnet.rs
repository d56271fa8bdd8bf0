//! The virtio-net header, which Linux puts before each frame of a TUN or TAP interface that asks for it.
//!
//! Sections: Virtual I/O Device 1.2, 5.1.6 (`struct virtio_net_hdr`, the legacy form without `num_buffers`).
//! In: a frame to send, whose checksum or segments are left to the kernel; a frame received with its header.
//! Out: the header; what it says of checksum and segments.

use bytes::Bytes;
use tidegate_proto::net::{ChecksumState, Frame, TxChecksum, TxFrame};
use tidegate_proto::wire::Flags;
use tidegate_proto::wire::frame::Link;

/// Its length.
pub(super) const LEN: usize = 10;

/// The header of a frame to send.
pub(super) fn header_of(frame: &TxFrame, link: Link) -> [u8; LEN] {
    let mut header = Header::default();
    if let TxChecksum::Partial { start, offset } = frame.checksum {
        (header.flags, header.csum_start, header.csum_offset) = (NEEDS_CSUM, start, offset);
        if frame.gso_size > 0 {
            let version = frame.header.get(ip_at(link)).map_or(0, |byte| byte >> 4);
            let flags = frame.header.get(usize::from(start) + TCP_FLAGS_AT).copied().unwrap_or(0);
            header.gso_type = if version == 4 { GSO_TCPV4 } else { GSO_TCPV6 };
            // CWR belongs on the first segment alone.
            if Flags(u16::from(flags)).has(Flags::CWR) {
                header.gso_type |= GSO_ECN;
            }
            header.hdr_len = u16::try_from(frame.header.len()).expect("headers are at most 128 bytes");
            header.gso_size = frame.gso_size;
        }
    }
    header.to_bytes()
}

/// What was read from the device, header first. `None` if it is too short to be anything.
pub(super) fn parse(mut bytes: Bytes) -> Option<Frame> {
    let header = Header::from_bytes(*bytes.first_chunk()?);
    let bytes = bytes.split_off(LEN);
    let checksum = match header.flags {
        flags if flags & NEEDS_CSUM != 0 => ChecksumState::Partial,
        flags if flags & DATA_VALID != 0 => ChecksumState::Verified,
        _ => ChecksumState::Unknown,
    };
    let segments = header.segments(&bytes);
    Some(Frame { bytes, checksum, segments })
}

/// `struct virtio_net_hdr`, in the machine's byte order as a TUN device has it unless told otherwise.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
struct Header {
    flags: u8,
    gso_type: u8,
    hdr_len: u16,
    gso_size: u16,
    csum_start: u16,
    csum_offset: u16,
}

impl Header {
    fn to_bytes(self) -> [u8; LEN] {
        let mut bytes = [self.flags, self.gso_type, 0, 0, 0, 0, 0, 0, 0, 0];
        let words = [self.hdr_len, self.gso_size, self.csum_start, self.csum_offset];
        for (place, word) in bytes[2..].as_chunks_mut().0.iter_mut().zip(words) {
            *place = word.to_ne_bytes();
        }
        bytes
    }

    fn from_bytes(bytes: [u8; LEN]) -> Self {
        let [flags, gso_type, words @ ..] = bytes;
        let word = |at: usize| u16::from_ne_bytes([words[2 * at], words[2 * at + 1]]);
        Header { flags, gso_type, hdr_len: word(0), gso_size: word(1), csum_start: word(2), csum_offset: word(3) }
    }

    /// How many segments a frame stands for.
    fn segments(&self, frame: &[u8]) -> u16 {
        if !matches!(self.gso_type & !GSO_ECN, GSO_TCPV4 | GSO_TCPV6) || self.gso_size == 0 {
            return 1;
        }
        // `hdr_len` is a hint, and may reach into the payload; the TCP header knows its own length.
        let tcp_at = usize::from(self.csum_start);
        let tcp_len = frame.get(tcp_at + TCP_OFFSET_AT).map_or(0, |byte| usize::from(byte >> 4) * 4);
        let payload = frame.len().saturating_sub(tcp_at + tcp_len);
        u16::try_from(payload.div_ceil(usize::from(self.gso_size))).unwrap_or(u16::MAX).max(1)
    }
}

/// Where the IP header starts.
fn ip_at(link: Link) -> usize {
    match link {
        Link::Ethernet => tidegate_proto::wire::eth::HEADER_LEN,
        Link::Ip => 0,
    }
}

/// `VIRTIO_NET_HDR_F_NEEDS_CSUM`.
const NEEDS_CSUM: u8 = 1;
/// `VIRTIO_NET_HDR_F_DATA_VALID`.
const DATA_VALID: u8 = 2;
/// `VIRTIO_NET_HDR_GSO_TCPV4`.
const GSO_TCPV4: u8 = 1;
/// `VIRTIO_NET_HDR_GSO_TCPV6`.
const GSO_TCPV6: u8 = 4;
/// `VIRTIO_NET_HDR_GSO_ECN`.
const GSO_ECN: u8 = 0x80;
/// Where a TCP header has its own length.
const TCP_OFFSET_AT: usize = 12;
/// Where a TCP header has its flags.
const TCP_FLAGS_AT: usize = 13;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tidegate_proto::net::{Cause, IfaceId};

    /// Sent by us: what the kernel is told.
    fn tx(version: u8, flags: u8, gso_size: u16, checksum: TxChecksum) -> TxFrame {
        let start = if version == 4 { 20 } else { 40 };
        let mut header: arrayvec::ArrayVec<u8, 128> = (0..start + 32).map(|_| 0).collect();
        header[0] = version << 4;
        header[start + TCP_FLAGS_AT] = flags;
        TxFrame {
            iface: IfaceId(0),
            header,
            payload: Bytes::from(vec![0; 3000]).into(),
            gso_size,
            checksum,
            socket: None,
            cause: Cause::Tcp(tidegate_proto::tcp::Cause::Data),
            note: None,
        }
    }

    #[test]
    fn what_the_kernel_is_told() {
        let partial = |start| TxChecksum::Partial { start, offset: 16 };
        let plain = Header::default();
        let finish = Header { flags: 1, csum_start: 20, csum_offset: 16, ..plain };
        let burst = Header { gso_type: 1, hdr_len: 52, gso_size: 1448, ..finish };
        for (why, frame, header) in [
            ("nothing to do", tx(4, 0x10, 0, TxChecksum::Full), plain),
            ("a checksum to finish", tx(4, 0x10, 0, partial(20)), finish),
            ("a burst over IPv4", tx(4, 0x10, 1448, partial(20)), burst),
            ("with CWR", tx(4, 0x90, 1448, partial(20)), Header { gso_type: 0x81, ..burst }),
            (
                "a burst over IPv6",
                tx(6, 0x10, 1428, partial(40)),
                Header { gso_type: 4, hdr_len: 72, gso_size: 1428, csum_start: 40, ..burst },
            ),
        ] {
            assert_eq!(Header::from_bytes(header_of(&frame, Link::Ip)), header, "{why}");
        }
    }

    #[test]
    fn what_the_kernel_tells() {
        let frame = |header: Header, len: usize| {
            let mut bytes = header.to_bytes().to_vec();
            bytes.resize(LEN + len, 0);
            if len > 32 {
                bytes[LEN + 20 + TCP_OFFSET_AT] = 8 << 4;
            }
            let frame = parse(bytes.into()).expect("long enough");
            assert_eq!(frame.bytes.len(), len);
            (frame.checksum, frame.segments)
        };
        let gso = Header { flags: 1, gso_type: 1, hdr_len: 1000, gso_size: 1448, csum_start: 20, csum_offset: 16 };
        for (why, header, len, expected) in [
            ("nothing", Header::default(), 1500, (ChecksumState::Unknown, 1)),
            ("verified", Header { flags: 2, ..Header::default() }, 1500, (ChecksumState::Verified, 1)),
            ("unfinished", Header { flags: 1, ..Header::default() }, 1500, (ChecksumState::Partial, 1)),
            ("two segments and a byte", gso, 52 + 2 * 1448 + 1, (ChecksumState::Partial, 3)),
            ("two segments", gso, 52 + 2 * 1448, (ChecksumState::Partial, 2)),
            ("with ECN", Header { gso_type: 0x84, ..gso }, 52 + 2 * 1448, (ChecksumState::Partial, 2)),
            ("UDP", Header { gso_type: 5, ..gso }, 52 + 2 * 1448, (ChecksumState::Partial, 1)),
            ("no size", Header { gso_size: 0, ..gso }, 52 + 2 * 1448, (ChecksumState::Partial, 1)),
            ("shorter than its headers", gso, 10, (ChecksumState::Partial, 1)),
        ] {
            assert_eq!(frame(header, len), expected, "{why}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_can_be_read(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let len = bytes.len();
            let frame = parse(bytes.into());
            prop_assert_eq!(frame.as_ref().map(|frame| frame.bytes.len()), len.checked_sub(LEN));
            prop_assert!(frame.is_none_or(|frame| frame.segments >= 1));
        }
    }
}
