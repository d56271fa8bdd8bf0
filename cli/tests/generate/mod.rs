//! Captures full of packets that nobody should send, made from a seed.
//!
//! Sections: none; what RFC 791, 792, 768, 826, 4443, 4861, 8200 and 9293 say, and then broken.
//! In: a seed.
//! Out: frames, and the bytes of a capture file that holds them.
//!
//! Ports and protocols that tcpdump decodes further than `dump` does are left out; `docs/dump.md` names them.

mod file;
mod icmp;
mod ip;
mod tcp;

pub(crate) use file::{Format, write};

/// A frame as it stands in the file.
pub(crate) struct Frame {
    pub(crate) seconds: u32,
    pub(crate) nanos: u32,
    pub(crate) captured: Vec<u8>,
    pub(crate) original_len: u32,
}

/// Numbers from a seed: SplitMix64.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Random(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `n`.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % n as u64).expect("below n")
    }

    /// True in `percent` of all cases.
    pub(crate) fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    pub(crate) fn byte(&mut self) -> u8 {
        self.next().to_be_bytes()[0]
    }

    pub(crate) fn word(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }

    pub(crate) fn long(&mut self) -> u32 {
        u32::from_be_bytes([self.byte(), self.byte(), self.byte(), self.byte()])
    }

    pub(crate) fn bytes(&mut self, n: usize) -> Vec<u8> {
        (0..n).map(|_| self.byte()).collect()
    }

    /// Up to `most` bytes, often none.
    pub(crate) fn some_bytes(&mut self, most: usize) -> Vec<u8> {
        let n = if self.chance(40) { 0 } else { self.below(most + 1) };
        self.bytes(n)
    }
}

/// `count` frames, with or without an Ethernet header.
pub(crate) fn frames(random: &mut Random, count: usize, ethernet: bool) -> Vec<Frame> {
    // Across the end of daylight saving time in New York, 2025-11-02.
    let mut seconds = 1_762_050_000u32;
    (0..count)
        .map(|_| {
            seconds = match random.below(20) {
                0 => seconds - 1,
                1 => seconds + 3_000,
                2..6 => seconds + 1,
                _ => seconds,
            };
            let nanos = u32::try_from(random.below(1_000_000_000)).expect("fits");
            let whole = if ethernet { frame(random) } else { packet(random) };
            cut(random, seconds, nanos, whole)
        })
        .collect()
}

/// Cuts some frames short, and lies about the length of a few.
fn cut(random: &mut Random, seconds: u32, nanos: u32, mut whole: Vec<u8>) -> Frame {
    if whole.is_empty() {
        whole.push(0);
    }
    let mut original_len = u32::try_from(whole.len()).expect("fits");
    if random.chance(25) {
        let kept = 1 + random.below(whole.len());
        whole.truncate(kept);
    }
    if random.chance(2) {
        original_len = u32::try_from(random.below(200)).expect("fits");
    }
    Frame { seconds, nanos, captured: whole, original_len }
}

fn frame(random: &mut Random) -> Vec<u8> {
    let mut bytes = random.bytes(12);
    while random.chance(8) {
        let tag = random.pick(&[0x8100u16, 0x9100, 0x9200, 0x88a8]);
        bytes.extend(tag.to_be_bytes());
        bytes.extend(random.bytes(2));
    }
    let (ethertype, payload) = match random.below(20) {
        0 => (random.pick(&[0x1234u16, 0x88b5, 0x8038, 0x6007]), random.some_bytes(60)),
        1 | 2 => (random.pick(&[0x0806u16, 0x0806, 0x8035]), arp(random)),
        3 => (0x0800, ip::v6(random, 0)),
        4 => (0x86dd, ip::v4(random, 0)),
        5..13 => (0x0800, ip::v4(random, 0)),
        _ => (0x86dd, ip::v6(random, 0)),
    };
    bytes.extend(ethertype.to_be_bytes());
    bytes.extend(payload);
    if random.chance(10) {
        // Ethernet pads short frames.
        let padded = bytes.len().max(60);
        bytes.resize(padded, 0);
    }
    bytes
}

fn packet(random: &mut Random) -> Vec<u8> {
    match random.below(20) {
        0 => random.bytes(3),
        1..11 => ip::v4(random, 0),
        _ => ip::v6(random, 0),
    }
}

fn arp(random: &mut Random) -> Vec<u8> {
    let mut bytes = Vec::new();
    let hardware = if random.chance(80) { 1 } else { random.pick(&[0u16, 6, 7, 23, 24, 32, 77]) };
    let protocol = if random.chance(85) { 0x0800 } else { random.pick(&[0x1000u16, 0x86dd, 0x1234]) };
    bytes.extend(hardware.to_be_bytes());
    bytes.extend(protocol.to_be_bytes());
    bytes.push(if random.chance(85) { 6 } else { random.pick(&[0, 4, 8, 16]) });
    bytes.push(if random.chance(85) { 4 } else { random.pick(&[0, 3, 6, 16]) });
    bytes.extend([
        0,
        if random.chance(80) { 1 + random.pick(&[0, 1]) } else { random.pick(&[0, 3, 4, 5, 8, 9, 10, 99]) },
    ]);
    bytes.extend(random.bytes(10));
    bytes.extend(if random.chance(50) { vec![0; 6] } else { random.bytes(6) });
    bytes.extend(random.bytes(4));
    bytes.extend(random.some_bytes(30));
    bytes
}
