//! TCP segments: every option, well formed and not, and text that tcpdump recognises.

use super::Random;
use super::ip::Pseudo;

/// Few ports and few numbers, so that relative numbers come into play.
const PORTS: [u16; 13] = [1000, 2000, 3000, 40_000, 40_000, 80, 80, 8080, 21, 22, 25, 443, 554];

const TEXTS: [&[u8]; 24] = [
    b"GET /file_64KB HTTP/1.1\r\nHost: 192.168.131.138\r\nUser-Agent: Wget\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nServer: x\r\n\r\nbody \x00\x01",
    b"HTTP/1.1 200",
    b"HTTP/1.1  20x\r\n",
    b"get / http/1.0\n\n",
    b"POST",
    b"\r\n",
    b"\n",
    b" GET /\r\n",
    b"GET\t/\tx\r\n",
    b"GET /\rx\r\n",
    b"GET /\r",
    b"220 ready\r\nnext line\r\n",
    b"220 caf\xc3\xa9\r\n",
    b"USER anonymous\r\nPASS \x7f\r\n",
    b"SSH-2.0-OpenSSH_9.2\r\n",
    b"SSH-2.0-OpenSSH_9.2\n",
    b"SSH-2.0-OpenSSH_9.2",
    b"SSH-\r\n",
    b"hello\r\nSSH-2.0-x\r\n",
    b"OPTIONS rtsp://example.com RTSP/1.0\r\nCSeq: 1\r\n\r\n",
    b"RTSP/1.0 404 Not Found\r\n\r\n",
    b"PLAY x\r\n",
    b"why\x01\xff\x7f not? a reason longer than thirty bytes",
];

pub(crate) fn segment(random: &mut Random, pseudo: &Pseudo) -> Vec<u8> {
    let mut options = if random.chance(60) { options(random) } else { Vec::new() };
    options.truncate(40);
    let padded = options.len().next_multiple_of(4);
    options.resize(padded, 0);
    let words = 5 + options.len() / 4;
    let words = if random.chance(4) { random.byte() & 15 } else { u8::try_from(words).expect("fits") };
    let flags = match random.below(10) {
        0 => random.byte(),
        1 => 0x02,
        2 => 0x12,
        3 => random.pick(&[0x04, 0x14]),
        4 => 0x11,
        5 => 0x18,
        6 => 0,
        _ => 0x10,
    };
    let data = match random.below(4) {
        0 => random.some_bytes(40),
        1 => random.pick(&TEXTS).to_vec(),
        _ => Vec::new(),
    };
    let number = |random: &mut Random| match random.below(6) {
        0 => random.long(),
        1 => u32::MAX - u32::from(random.byte()),
        _ => 100_000 + u32::from(random.word() & 0x0fff),
    };
    let mut bytes = Vec::new();
    bytes.extend(random.pick(&PORTS).to_be_bytes());
    bytes.extend(random.pick(&PORTS).to_be_bytes());
    bytes.extend(number(random).to_be_bytes());
    bytes.extend(number(random).to_be_bytes());
    bytes.push(words << 4 | (random.byte() & random.byte() & 15));
    bytes.push(flags);
    bytes.extend(random.bytes(2));
    bytes.extend([0, 0]);
    bytes.extend(random.bytes(2));
    bytes.extend(options);
    bytes.extend(data);
    let sum = if random.chance(30) { random.word() } else { pseudo.checksum(6, &bytes) };
    bytes[16..18].copy_from_slice(&sum.to_be_bytes());
    if random.chance(4) {
        let kept = random.below(bytes.len());
        bytes.truncate(kept);
    }
    bytes
}

fn options(random: &mut Random) -> Vec<u8> {
    if random.chance(25) {
        // What a real stack sends.
        let mut bytes = vec![1, 1, 8, 10];
        bytes.extend(random.bytes(8));
        if random.chance(40) {
            bytes.extend([1, 1, 5, 10]);
            bytes.extend(random.bytes(8));
        }
        return bytes;
    }
    let mut bytes = Vec::new();
    while bytes.len() < 40 && random.chance(75) {
        let kind = random.pick(&[
            0u8, 1, 1, 1, 2, 2, 3, 4, 5, 5, 6, 7, 8, 8, 9, 11, 12, 13, 14, 19, 20, 27, 28, 28, 29, 29, 30, 30, 30, 30,
            30, 34, 34, 69, 77, 253, 254, 254, 255,
        ]);
        bytes.push(kind);
        if kind <= 1 {
            continue;
        }
        let sane = match kind {
            2 | 28 => 2,
            3 => 1,
            4 => 0,
            5 => 8 * random.below(5),
            8 => 8,
            6 | 7 | 11 | 12 | 13 => 4,
            19 => 16,
            29 => random.below(20),
            30 => random.pick(&[1, 2, 4, 6, 8, 10, 14, 16, 18, 20, 22, 26, 28]),
            34 => random.below(20),
            254 => random.pick(&[0, 2, 4, 6, 10]),
            _ => random.below(6),
        };
        let length = if random.chance(10) { random.below(12) } else { sane };
        let claimed = if random.chance(5) { random.byte() & 0x1f } else { u8::try_from(length + 2).expect("fits") };
        bytes.push(claimed);
        let mut value = random.bytes(length);
        match (kind, value.as_mut_slice()) {
            // Subtypes that exist, and flags of the data sequence signal that fit more often than not.
            (30, [subtype, flags, ..]) if random.chance(90) => {
                *subtype = *subtype & 0x0f | random.below(10).to_be_bytes()[7] << 4;
                if random.chance(50) {
                    *subtype &= 0xf1;
                    *flags &= 0x9f;
                }
            }
            (254, [high, low, ..]) if random.chance(60) => (*high, *low) = (0xf9, 0x89),
            _ => {}
        }
        bytes.extend(value);
    }
    bytes
}
