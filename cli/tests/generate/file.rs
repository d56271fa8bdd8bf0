//! The bytes of a capture file, in every format and byte order that `dump` reads.

use super::Frame;

/// How a capture is stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Format {
    Micro,
    Nano,
    Ng,
}

/// The file's bytes.
pub(crate) fn write(format: Format, big_endian: bool, link_type: u16, frames: &[Frame]) -> Vec<u8> {
    let mut file = Writer { big_endian, bytes: Vec::new() };
    if format == Format::Ng {
        file.section(link_type);
    } else {
        file.u32(if format == Format::Nano { 0xa1b2_3c4d } else { 0xa1b2_c3d4 });
        file.u16(2);
        file.u16(4);
        for word in [0, 0, 262_144, u32::from(link_type)] {
            file.u32(word);
        }
    }
    for frame in frames {
        match format {
            Format::Ng => file.packet_block(frame),
            Format::Nano => file.record(frame, frame.nanos),
            Format::Micro => file.record(frame, frame.nanos / 1_000),
        }
    }
    file.bytes
}

struct Writer {
    big_endian: bool,
    bytes: Vec<u8>,
}

impl Writer {
    fn u16(&mut self, word: u16) {
        self.bytes.extend(if self.big_endian { word.to_be_bytes() } else { word.to_le_bytes() });
    }

    fn u32(&mut self, word: u32) {
        self.bytes.extend(if self.big_endian { word.to_be_bytes() } else { word.to_le_bytes() });
    }

    fn record(&mut self, frame: &Frame, fraction: u32) {
        let captured = u32::try_from(frame.captured.len()).expect("fits");
        for word in [frame.seconds, fraction, captured, frame.original_len] {
            self.u32(word);
        }
        self.bytes.extend(&frame.captured);
    }

    fn section(&mut self, link_type: u16) {
        for word in [0x0a0d_0d0a, 28, 0x1a2b_3c4d] {
            self.u32(word);
        }
        self.u16(1);
        self.u16(0);
        self.u32(u32::MAX);
        self.u32(u32::MAX);
        self.u32(28);
        // One interface with nanoseconds, option if_tsresol 9.
        self.u32(1);
        self.u32(32);
        self.u16(link_type);
        self.u16(0);
        self.u32(262_144);
        self.u16(9);
        self.u16(1);
        self.bytes.extend([9, 0, 0, 0]);
        self.u32(0);
        self.u32(32);
    }

    fn packet_block(&mut self, frame: &Frame) {
        let time = u64::from(frame.seconds) * 1_000_000_000 + u64::from(frame.nanos);
        let captured = frame.captured.len();
        let padded = captured.next_multiple_of(4);
        // With a comment, as our own captures have them.
        let length = u32::try_from(32 + padded + 12 + 4).expect("fits");
        let [high, low] = [time >> 32, time & 0xffff_ffff].map(|half| u32::try_from(half).expect("32 bits"));
        for word in [6, length, 0, high, low, u32::try_from(captured).expect("fits"), frame.original_len] {
            self.u32(word);
        }
        self.bytes.extend(&frame.captured);
        self.bytes.resize(self.bytes.len() + padded - captured, 0);
        self.u16(1);
        self.u16(7);
        self.bytes.extend(b"because\0");
        self.u32(0);
        self.u32(length);
    }
}
