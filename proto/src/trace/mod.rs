//! Watching: pcapng writing, tcpdump's one-line format, analysis of a conversation. Only reads.

pub mod comment;
pub mod pcapng;
pub mod tcpdump;
