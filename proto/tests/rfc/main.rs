//! The RFCs, played: segments in, segments out, through the public calls of a connection and of a stack.
//!
//! Sections: each file is one subject, each test one rule; the tags above a test name the rules that it shows.
//! In: scripts, run in both roles, on bare connections and whole hosts, with sequence numbers that wrap inside them.
//! Out: what an honest peer, a confused one and an enemy get to see.
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "scripts speak of relative numbers, which the wire truncates"
)]

mod play;
mod states;

mod acceptability;
mod acks;
mod autotune;
mod closing;
mod congestion;
mod host;
mod isn;
mod keepalive;
mod listen;
mod matrix;
mod nagle_cork;
mod opening;
mod options;
mod random;
mod resets;
mod retransmission;
mod rfc5961;
mod sack_receiver;
mod simultaneous;
mod timestamps;
mod timewait;
mod unchanged;
mod urgent;
mod windows;
mod wrap;
