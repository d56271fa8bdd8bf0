//! Reading captures from disk: pcap, pcapng, text.

pub(crate) mod text;
