//! Reading captures from disk: pcap, pcapng, text.
