//! ICMP and ICMPv6 messages, with the packets and options they quote.

use super::Random;
use super::ip::{self, Pseudo, checksum};

pub(crate) fn v4(random: &mut Random, depth: u32) -> Vec<u8> {
    let kind = random.pick(&[0u8, 3, 3, 3, 3, 4, 5, 8, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 1, 2, 19, 40, 200]);
    let code = if random.chance(60) { random.byte() & 7 } else { random.byte() & 31 };
    let mut bytes = vec![kind, code, 0, 0];
    bytes.extend(random.bytes(4));
    if matches!(kind, 3 | 4 | 5 | 11 | 12) && depth < 3 {
        let mut quoted = ip::v4(random, depth + 1);
        // Longer messages may carry extensions, which tcpdump decodes further than we do.
        quoted.truncate(if random.chance(50) { 28 } else { 100 });
        bytes.extend(quoted);
    } else if kind == 9 && random.chance(80) {
        let count = random.below(4);
        bytes[4] = u8::try_from(count).expect("fits");
        bytes[5] = random.pick(&[2, 2, 2, 4]);
        if random.chance(50) {
            bytes[6] = 0;
        }
        bytes.extend(random.bytes(8 * count));
    } else {
        bytes.extend(random.some_bytes(32));
    }
    let sum = if random.chance(20) { random.word() } else { checksum(&bytes) };
    bytes[2..4].copy_from_slice(&sum.to_be_bytes());
    shorten(random, bytes)
}

pub(crate) fn v6(random: &mut Random, pseudo: &Pseudo, depth: u32) -> Vec<u8> {
    let kind = random.pick(&[
        1u8, 1, 1, 2, 3, 4, 128, 129, 130, 130, 131, 132, 133, 134, 134, 135, 135, 136, 136, 137, 143, 143, 0, 99, 141,
        142, 150, 201,
    ]);
    let code = if random.chance(60) { random.byte() & 1 } else { random.byte() & 7 };
    let mut bytes = vec![kind, code, 0, 0];
    bytes.extend(random.bytes(4));
    match kind {
        1..=4 if depth < 3 => bytes.extend(ip::v6(random, depth + 1)),
        134 => {
            bytes.extend(random.bytes(8));
            options(random, &mut bytes);
        }
        133 => options(random, &mut bytes),
        135 | 136 => {
            bytes.extend(random.bytes(16));
            options(random, &mut bytes);
        }
        137 => {
            bytes.extend(random.bytes(32));
            options(random, &mut bytes);
        }
        130..=132 => bytes.extend(random.bytes(16)),
        143 => listener_records(random, &mut bytes),
        _ => bytes.extend(random.some_bytes(32)),
    }
    if kind == 130 && random.chance(60) {
        bytes.extend(random.bytes(2));
        let sources = random.below(3);
        bytes.extend([0, u8::try_from(sources).expect("fits")]);
        bytes.extend(random.bytes(16 * sources));
    }
    let sum = if random.chance(30) { random.word() } else { pseudo.checksum(58, &bytes) };
    bytes[2..4].copy_from_slice(&sum.to_be_bytes());
    shorten(random, bytes)
}

fn listener_records(random: &mut Random, bytes: &mut Vec<u8>) {
    let records = random.below(4);
    bytes[6..8].copy_from_slice(&[0, u8::try_from(records).expect("fits")]);
    for _ in 0..records {
        let sources = random.below(3);
        bytes.extend([random.byte() & 7, 0, 0, u8::try_from(sources).expect("fits")]);
        bytes.extend(random.bytes(16 + 16 * sources));
    }
}

fn options(random: &mut Random, bytes: &mut Vec<u8>) {
    while random.chance(60) {
        let kind = random.pick(&[1u8, 1, 2, 2, 3, 4, 5, 7, 8, 24, 25, 99]);
        let sane = match kind {
            3 => 4,
            24 => random.pick(&[1, 2, 3]),
            25 => random.pick(&[1, 3, 5]),
            4 => random.pick(&[1, 2]),
            _ => 1,
        };
        let units = if random.chance(8) { random.byte() & 3 } else { sane };
        bytes.extend([kind, units]);
        bytes.extend(random.bytes((usize::from(units) * 8).saturating_sub(2)));
    }
}

fn shorten(random: &mut Random, mut bytes: Vec<u8>) -> Vec<u8> {
    if random.chance(6) {
        let kept = random.below(bytes.len());
        bytes.truncate(kept);
    }
    bytes
}
