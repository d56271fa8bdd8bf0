//! What the benches drive: the same jobs for our stack, for smoltcp, and for a bare copy loop.
//!
//! Two hosts in one process and one thread, frames handed over in memory, so that a job costs what the two stacks and
//! the copies cost and nothing else.
#![allow(dead_code, unreachable_pub, missing_docs, reason = "each bench uses a part")]

pub mod floor;
pub mod ours;
pub mod smol;

/// How bulk data travels.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// 1,460-byte segments, checksums computed and verified.
    Checksums,
    /// 1,460-byte segments, checksums left to the device.
    NoChecksums,
    /// Bursts of up to 64 KiB in one frame, checksums left to the device, as over a TUN with offload.
    Super,
}

/// Payload of a full segment at MTU 1500 without TCP options.
pub const SEGMENT: usize = 1460;
/// What one call of a bulk job moves.
pub const BLOCK: usize = 1 << 20;
/// Send and receive buffers, as in smoltcp's own benchmarks.
pub const BUFFER: usize = 65_536;
