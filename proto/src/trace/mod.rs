//! Watching: pcapng writing, tcpdump's one-line format, analysis of a conversation. Only reads.

pub mod comment;
pub mod flow;
pub mod pcapng;
pub mod record;
pub mod tcpdump;

pub use record::Record;
