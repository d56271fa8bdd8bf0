//! TCP as a pure state machine, and the host without devices around it.
//!
//! Nothing in this crate can name a clock, a socket, a thread or a source of randomness: time comes in as an
//! argument, and so does the 32-byte seed from which every secret is derived. The same code therefore runs over a
//! real device, in a virtual world and under an exhaustive explorer.
//!
//! # The map
//!
//! | room | what lives there |
//! |---|---|
//! | [`time`] | [`time::Instant`] and [`time::Duration`], in nanoseconds |
//! | [`wire`] | codecs: bytes to meaning and back, never a panic on input |
//! | [`tcp`] | one connection: RFC 9293 and its relatives, one RFC one file |
//! | [`listen`] | what is not a connection yet: backlog, half-open records, initial sequence numbers |
//! | [`net`] | the host without devices: [`net::Stack`], demultiplexing, IP, ARP and NDP, ICMP, TIME-WAIT, timers |
//! | [`socket`] | BSD sockets over a stack: descriptors, readiness, options, error numbers |
//! | [`trace`] | watching: pcapng, tcpdump's line format, analysis of a conversation |
//!
//! # The contract
//!
//! *A call that takes `&mut` may create output.* The owner of a [`net::Stack`] feeds every frame at hand to
//! [`net::Stack::receive`], then drains [`net::Stack::poll_transmit`], then [`net::Stack::poll_event`], then reads
//! [`net::Stack::next_timeout`], and only then sleeps: until that instant or the next input, whichever comes first.
//! Whoever keeps to that order loses nothing.
#![no_std]
#![deny(clippy::float_arithmetic)]
#![cfg_attr(test, allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap, clippy::cast_sign_loss))]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod listen;
pub mod net;
pub mod socket;
pub mod tcp;
pub mod time;
pub mod trace;
pub mod wire;
