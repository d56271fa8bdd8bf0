//! The pcap format: one header, then records.
//!
//! Sections: draft-ietf-opsawg-pcap 4, 5.
//! In: a stream whose magic number says pcap.
//! Out: its packets. Both byte orders, microseconds and nanoseconds.

use bytes::Bytes;
use pcap_parser::{PcapHeader, parse_pcap_header};
use tidegate_proto::trace::tcpdump::LinkType;

use crate::failure::Failure;
use crate::read::stream::Stream;
use crate::read::{Interface, Packet, link_type};

/// Reads the records of one file.
pub(super) struct Reader {
    stream: Stream,
    header: PcapHeader,
    interface: Interface,
    link: LinkType,
}

/// True for the first four bytes of a pcap.
pub(super) fn is_magic(bytes: [u8; 4]) -> bool {
    MAGICS.iter().any(|magic| bytes == magic.to_le_bytes() || bytes == magic.to_be_bytes())
}

impl Reader {
    pub(super) fn new(mut stream: Stream) -> Result<Self, Failure> {
        let Some(bytes) = stream.start::<24>()? else { return Err(stream.damage("the header is missing")) };
        let (_, header) = parse_pcap_header(&bytes).map_err(|_| stream.damage("this is no pcap header"))?;
        // The upper bits tell about frame check sequences.
        let network = u32::try_from(header.network.0).unwrap_or(0) & 0x03ff_ffff;
        let Some(link) = link_type(network) else {
            return Err(stream.refused(format_args!("link type {network} is neither Ethernet nor raw IP")));
        };
        // Like libpcap: a snapshot length that makes no sense means none.
        let snaplen = if matches!(header.snaplen, 0 | 0x8000_0000..) { LONGEST } else { header.snaplen };
        let interface = Interface { link_type: network, snaplen, name: None };
        Ok(Reader { stream, header, interface, link })
    }

    pub(super) fn interface(&self) -> &Interface {
        &self.interface
    }

    /// The next packet; nothing at the end of the file.
    pub(super) fn next(&mut self, number: u64) -> Result<Option<Packet>, Failure> {
        let Some(head) = self.stream.start::<16>()? else { return Ok(None) };
        let [seconds, fraction, captured, original_len] = self.words(head);
        if captured > LONGEST {
            return Err(self.stream.damage(format_args!("a record claims {captured} bytes")));
        }
        let mut data = Vec::new();
        if self.header.is_modified_format() {
            // An interface, a protocol and a packet type that nobody needs.
            self.stream.rest(&mut data, 8)?;
            data.clear();
        }
        self.stream.rest(&mut data, captured as usize)?;
        // Like libpcap: whatever is beyond the snapshot length does not count.
        data.truncate(self.interface.snaplen as usize);
        let nanos = u64::from(fraction) * if self.header.is_nanosecond_precision() { 1 } else { 1_000 };
        Ok(Some(Packet {
            number,
            time_ns: u64::from(seconds) * 1_000_000_000 + nanos,
            link: self.link,
            data: Bytes::from(data),
            original_len,
            interface: 0,
            direction: None,
            comments: Vec::new(),
        }))
    }

    fn words(&self, head: [u8; 16]) -> [u32; 4] {
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = head;
        let word = if self.header.is_bigendian() { u32::from_be_bytes } else { u32::from_le_bytes };
        [word([a, b, c, d]), word([e, f, g, h]), word([i, j, k, l]), word([m, n, o, p])]
    }
}

/// Microseconds, nanoseconds, and a patched libpcap's format with longer records.
const MAGICS: [u32; 3] = [0xa1b2_c3d4, 0xa1b2_3c4d, 0xa1b2_cd34];
/// libpcap's longest packet. A record that claims more is taken for damage.
pub(super) const LONGEST: u32 = 262_144;
