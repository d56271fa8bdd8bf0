//! The physical limit: application buffer, copy, header and checksum, verify, copy, application buffer. No protocol.

use std::hint::black_box;

use tidegate_proto::wire::checksum;

use super::{Mode, SEGMENT};

/// Moves `bytes` from one application buffer to another, a frame at a time.
pub struct Floor {
    source: Vec<u8>,
    sink: Vec<u8>,
    frame: Vec<u8>,
    mode: Mode,
}

impl Floor {
    pub fn new(mode: Mode) -> Self {
        let payload = if mode == Mode::Super { 44 * SEGMENT } else { SEGMENT };
        Floor { source: vec![0x5a; payload], sink: vec![0; payload], frame: vec![0; 40 + payload], mode }
    }

    pub fn transfer(&mut self, bytes: usize) {
        let mut moved = 0;
        while moved < bytes {
            self.frame[40..].copy_from_slice(&self.source);
            if self.mode == Mode::Checksums {
                let sum = checksum::fold(checksum::portable(&self.frame[20..]));
                self.frame[36..38].copy_from_slice(&sum.to_be_bytes());
                black_box(checksum::portable(&self.frame[20..]));
            }
            self.sink.copy_from_slice(&self.frame[40..]);
            black_box(&mut self.sink);
            moved += self.source.len();
        }
    }
}
