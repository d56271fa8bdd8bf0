//! IPv4 and IPv6 packets with options, extension headers, fragments and wrong lengths.

use super::{Random, icmp, tcp};

/// The addresses packets go between: few, so that conversations arise.
const V4: [[u8; 4]; 3] = [[10, 0, 0, 1], [10, 0, 0, 2], [192, 168, 131, 132]];
const V6: [[u8; 16]; 5] = [
    [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
    [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0xff, 0xfe, 0, 0, 2],
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 10, 1, 2, 3],
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 1, 2, 3],
    [0x20, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0],
];

/// What the payload sums into its checksum.
pub(crate) struct Pseudo {
    pub(crate) addresses: Vec<u8>,
}

impl Pseudo {
    /// The Internet checksum of the pseudo-header and `bytes`.
    pub(crate) fn checksum(&self, protocol: u8, bytes: &[u8]) -> u16 {
        let mut all = self.addresses.clone();
        all.extend(u32::try_from(bytes.len()).expect("fits").to_be_bytes());
        all.extend([0, 0, 0, protocol]);
        all.extend(bytes);
        checksum(&all)
    }
}

pub(crate) fn checksum(bytes: &[u8]) -> u16 {
    let mut sum: u32 =
        bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0))).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).expect("folded")
}

pub(crate) fn v4(random: &mut Random, depth: u32) -> Vec<u8> {
    let (source, destination) = (random.pick(&V4), random.pick(&V4));
    let pseudo = Pseudo { addresses: [source, destination].concat() };
    let (protocol, payload) = payload(random, &pseudo, true, depth);
    let options = if random.chance(15) { v4_options(random) } else { Vec::new() };
    let header = 20 + options.len();
    let words = if random.chance(2) { random.byte() & 15 } else { u8::try_from(header / 4).expect("fits") };
    let total = match random.below(30) {
        0 => random.word() & 0x7f,
        1 => random.word(),
        _ => u16::try_from(header + payload.len()).unwrap_or(u16::MAX),
    };
    let version = if random.chance(1) { random.byte() & 15 } else { 4 };
    let fragment = match random.below(12) {
        0 => random.word(),
        1 => 0x2000,
        2 => 0x8000,
        3..7 => 0,
        _ => 0x4000,
    };
    let mut bytes = vec![version << 4 | words, if random.chance(30) { random.byte() } else { 0 }];
    bytes.extend(total.to_be_bytes());
    bytes.extend(random.bytes(2));
    bytes.extend(fragment.to_be_bytes());
    bytes.extend([random.pick(&[64, 64, 0, 1, 255]), protocol, 0, 0]);
    bytes.extend(pseudo.addresses);
    bytes.extend(options);
    let sum = if random.chance(10) { random.word() } else { checksum(&bytes) };
    bytes[10..12].copy_from_slice(&sum.to_be_bytes());
    bytes.extend(payload);
    bytes
}

fn v4_options(random: &mut Random) -> Vec<u8> {
    let mut bytes = Vec::new();
    while bytes.len() < 32 && random.chance(70) {
        let kind = random.pick(&[0u8, 1, 1, 7, 68, 130, 131, 137, 148, 82, 99]);
        bytes.push(kind);
        if kind > 1 {
            let sane = match kind {
                7 | 131 | 137 => 3 + 4 * random.below(4),
                68 => 4 + random.pick(&[4, 8]) * random.below(3),
                _ => 4,
            };
            let length = if random.chance(15) { random.below(12) } else { sane };
            bytes.push(u8::try_from(length).expect("fits"));
            let mut rest = random.bytes(length.saturating_sub(2));
            if let Some(pointer) = rest.first_mut().filter(|_| random.chance(80)) {
                *pointer = random.pick(&[4, 5, 8, 9, 12, 16]);
            }
            if let Some(flags) = rest.get_mut(1).filter(|_| kind == 68) {
                *flags = random.pick(&[0, 1, 3, 0x31, 2, 9]);
            }
            bytes.extend(rest);
        }
    }
    bytes.truncate(40);
    let padded = bytes.len().next_multiple_of(4);
    bytes.resize(padded, 0);
    bytes
}

pub(crate) fn v6(random: &mut Random, depth: u32) -> Vec<u8> {
    let (source, destination) = (random.pick(&V6), random.pick(&V6));
    let pseudo = Pseudo { addresses: [source, destination].concat() };
    let (mut next, mut rest) = payload(random, &pseudo, false, depth);
    while random.chance(20) {
        let kind = random.pick(&[0u8, 60, 60, 43, 44]);
        let mut header = match kind {
            43 => routing(random),
            44 => fragment(random),
            _ => options(random),
        };
        header[0] = next;
        next = kind;
        header.extend(rest);
        rest = header;
    }
    let length = match random.below(30) {
        0 => 0,
        1 => random.word() & 0x7f,
        2 => random.word(),
        _ => u16::try_from(rest.len()).unwrap_or(u16::MAX),
    };
    let version = if random.chance(1) { random.byte() & 15 } else { 6 };
    let flow = if random.chance(40) { random.long() & 0x0fff_ffff } else { 0 };
    let mut bytes = Vec::from((u32::from(version) << 28 | flow).to_be_bytes());
    bytes.extend(length.to_be_bytes());
    bytes.extend([next, 64]);
    bytes.extend(pseudo.addresses);
    bytes.extend(rest);
    bytes
}

fn options(random: &mut Random) -> Vec<u8> {
    let mut bytes = vec![0, 0];
    while bytes.len() < 30 && random.chance(60) {
        let kind = random.pick(&[0u8, 1, 5, 0xc2, 0xc9, 99]);
        bytes.push(kind);
        if kind > 0 {
            let sane = match kind {
                5 => 2,
                0xc2 => 4,
                0xc9 => 16 + random.pick(&[0, 0, 4]),
                _ => random.below(6),
            };
            let length = if random.chance(10) { random.below(20) } else { sane };
            bytes.push(u8::try_from(length).expect("fits"));
            bytes.extend(random.bytes(length));
        }
    }
    if !bytes.len().is_multiple_of(8) {
        let missing = bytes.len().next_multiple_of(8) - bytes.len();
        if missing == 1 || random.chance(30) {
            bytes.extend(vec![0; missing]);
        } else {
            bytes.extend([1, u8::try_from(missing - 2).expect("fits")]);
            bytes.extend(vec![0; missing - 2]);
        }
    }
    bytes[1] = if random.chance(3) { random.byte() & 7 } else { u8::try_from(bytes.len() / 8 - 1).expect("fits") };
    bytes
}

fn routing(random: &mut Random) -> Vec<u8> {
    let segments = random.below(3);
    let length = if random.chance(10) { random.byte() & 7 } else { u8::try_from(2 * segments).expect("fits") };
    let mut bytes = vec![0, length, random.pick(&[0, 0, 2, 4, 4, 3]), random.byte() & 3];
    bytes.extend(if random.chance(50) { vec![0; 4] } else { random.bytes(4) });
    bytes.extend(random.bytes(16 * segments));
    bytes
}

fn fragment(random: &mut Random) -> Vec<u8> {
    let offset = if random.chance(70) { random.word() & 1 } else { random.word() };
    let mut bytes = vec![0, 0];
    bytes.extend(offset.to_be_bytes());
    bytes.extend(random.bytes(4));
    bytes
}

/// A protocol and its bytes.
fn payload(random: &mut Random, pseudo: &Pseudo, is_v4: bool, depth: u32) -> (u8, Vec<u8>) {
    match random.below(40) {
        0 => (random.pick(&[200, 252, 59, 77, 63]), random.some_bytes(40)),
        1 if depth < 3 => (4, v4(random, depth + 1)),
        2 if depth < 3 => (41, v6(random, depth + 1)),
        3 => (if is_v4 { 58 } else { random.pick(&[1, 2]) }, random.some_bytes(20)),
        4..10 => (17, udp(random, pseudo)),
        10..16 if is_v4 => (1, icmp::v4(random, depth)),
        10..16 => (58, icmp::v6(random, pseudo, depth)),
        _ => (6, tcp::segment(random, pseudo)),
    }
}

fn udp(random: &mut Random, pseudo: &Pseudo) -> Vec<u8> {
    let data = random.some_bytes(40);
    let length = match random.below(20) {
        0 => random.word() & 0x3f,
        _ => u16::try_from(8 + data.len()).expect("fits"),
    };
    let mut bytes = Vec::new();
    bytes.extend(random.pick(&[1000u16, 2000, 33_333, 60_000]).to_be_bytes());
    bytes.extend(random.pick(&[1000u16, 2000, 33_333, 60_000]).to_be_bytes());
    bytes.extend(length.to_be_bytes());
    bytes.extend([0, 0]);
    bytes.extend(data);
    let sum = match random.below(4) {
        0 => 0,
        1 => random.word(),
        _ => pseudo.checksum(17, &bytes),
    };
    bytes[6..8].copy_from_slice(&sum.to_be_bytes());
    if random.chance(5) {
        let kept = random.below(bytes.len());
        bytes.truncate(kept);
    }
    bytes
}
