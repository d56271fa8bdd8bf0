//! The Internet checksum over whatever was captured.
//!
//! Sections: RFC 1071; RFC 9293 3.1; RFC 8200 8.1.
//! In: the bytes, and the pseudo-header.
//! Out: the sum's remainder (0 means correct), and what the field should have held.

use core::net::IpAddr;

/// The pseudo-header that TCP, UDP and ICMPv6 sum as well.
pub(super) fn of_pseudo_header(source: IpAddr, destination: IpAddr, protocol: u8, length: u32, bytes: &[u8]) -> u16 {
    let mut sum = u64::from(protocol) + u64::from(length);
    for address in [source, destination] {
        sum += match address {
            IpAddr::V4(address) => words(&address.octets()),
            IpAddr::V6(address) => words(&address.octets()),
        };
    }
    finish(sum + words(bytes))
}

/// The checksum of `bytes` alone.
pub(super) fn of(bytes: &[u8]) -> u16 {
    finish(words(bytes))
}

/// What a checksum field that holds `field` should have held, if the sum over everything is `sum`.
pub(super) fn should_be(field: u16, sum: u16) -> u16 {
    let total = u32::from(field) + u32::from(sum);
    let folded = (total & 0xffff) + (total >> 16);
    u16::try_from((folded & 0xffff) + (folded >> 16)).expect("two folds leave 16 bits")
}

fn words(bytes: &[u8]) -> u64 {
    let mut pairs = bytes.chunks_exact(2);
    let even: u64 = pairs.by_ref().map(|pair| u64::from(pair[0]) << 8 | u64::from(pair[1])).sum();
    even + pairs.remainder().first().map_or(0, |&last| u64::from(last) << 8)
}

fn finish(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).expect("folded to 16 bits")
}
