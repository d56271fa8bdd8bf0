//! Quantities as people write them: `64K`, `1%`, `70us`, `100mbit`.
//!
//! Sections: none.
//! In: an option's text.
//! Out: a number in its unit, exactly; or what is wrong, in half a sentence that clap completes.

use clap::ValueEnum;
use tidegate_lab::capture::Reasons;
use tidegate_lab::link::Queue;
use tidegate_lab::rng::Ppm;
use tidegate_proto::time::Duration;

/// A rate in bits per second; without limit if there is no number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Rate(pub(crate) Option<u64>);

impl Rate {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        rate(text).map(Rate)
    }
}

/// Which frames of a capture get a comment.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum)]
pub(crate) enum Which {
    /// Every one
    All,
    /// All but plain data and plain acknowledgements
    #[default]
    Unusual,
    /// None
    None,
}

impl From<Which> for Reasons {
    fn from(which: Which) -> Self {
        match which {
            Which::All => Reasons::All,
            Which::Unusual => Reasons::Unusual,
            Which::None => Reasons::None,
        }
    }
}

/// Bytes: `65536`, `64K`, `1M`, `1G`, `64KB`, `64KiB`; 1K is 1,024.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    let (number, unit) = split(text);
    let shift = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        _ => return Err("expected bytes, such as 65536, 64K or 1M".into()),
    };
    decimal(number, 1 << shift).ok_or_else(|| "expected bytes, such as 65536, 64K or 1M".into())
}

/// A share of frames: `1%` or `0.01`. A bare number from 1 up is ambiguous, and refused.
pub(crate) fn probability(text: &str) -> Result<Ppm, String> {
    let example = "expected a share of frames, such as 1% or 0.01";
    let (percent, per_one) = match text.strip_suffix('%') {
        Some(number) => (decimal(number.trim(), 10_000).ok_or(example)?, false),
        None => (decimal(text, 10_000).ok_or(example)?, true),
    };
    let most = 100 * 10_000;
    if !per_one {
        let ppm = u32::try_from(percent).ok().filter(|&p| u64::from(p) <= most);
        return ppm.map(Ppm).ok_or_else(|| "no more than 100% of all frames can be meant".into());
    }
    // Here `percent` is the bare number in units of 1/10,000.
    match percent {
        0..10_000 => {
            let ppm = decimal(text, 1_000_000).ok_or(example)?;
            Ok(Ppm(u32::try_from(ppm).expect("less than one")))
        }
        _ if percent <= most => Err(format!("write {}% or {}", plain(percent, 10_000), plain(percent, 1_000_000))),
        _ => Err("no more than 100% of all frames can be meant".into()),
    }
}

/// A time: `70us`, `1.5ms`, `2s`, `500ns`; `0`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let time: Duration = text
        .replace("µs", "us")
        .replace(' ', "")
        .parse()
        .map_err(|_| "expected a time with its unit, such as 70us, 1.5ms or 2s")?;
    if time > LONGEST {
        return Err("no more than an hour makes sense here".into());
    }
    Ok(time)
}

/// Bits per second: `1G`, `100mbit`, `64kbit`, `1000000`; here k is 1,000. `unlimited` is a rate, too.
pub(crate) fn rate(text: &str) -> Result<Option<u64>, String> {
    let example = "expected bits per second, such as 100mbit, 1G or unlimited";
    if text.eq_ignore_ascii_case("unlimited") {
        return Ok(None);
    }
    let (number, unit) = split(text);
    let lower = unit.to_ascii_lowercase();
    let bare = lower.strip_suffix("bit/s").or(lower.strip_suffix("bps")).or(lower.strip_suffix("bit"));
    let scale = match bare.unwrap_or(&lower) {
        "" => 1,
        "k" => 1_000,
        "m" => 1_000_000,
        "g" => 1_000_000_000,
        _ => return Err(example.into()),
    };
    match decimal(number, scale) {
        Some(0) | None => Err(example.into()),
        some => Ok(some),
    }
}

/// What may wait in front of the link: `256K` in bytes, `100p` in packets, `unlimited`.
pub(crate) fn queue(text: &str) -> Result<Queue, String> {
    let example = "expected bytes or packets, such as 256K, 100p or unlimited";
    if text.eq_ignore_ascii_case("unlimited") {
        return Ok(Queue::Unlimited);
    }
    let number = |n: u64| usize::try_from(n).ok().filter(|&n| n > 0).ok_or_else(|| String::from(example));
    match text.strip_suffix('p') {
        Some(packets) => number(decimal(packets, 1).ok_or(example)?).map(Queue::Frames),
        None => number(size(text).map_err(|_| example)?).map(Queue::Bytes),
    }
}

/// The number and the unit behind it.
fn split(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    (&text[..end], text[end..].trim())
}

/// A decimal number times `scale`, rounded down; `None` if it is none, or too large.
fn decimal(text: &str, scale: u64) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let all_digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || !all_digits(whole) || !all_digits(fraction) || fraction.len() > 18 {
        return None;
    }
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let mut rest = 0_u128;
    if !fraction.is_empty() {
        rest = fraction.parse::<u128>().ok()? * u128::from(scale) / 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    }
    whole.checked_mul(scale)?.checked_add(u64::try_from(rest).ok()?)
}

/// `value / scale` without trailing zeros, for a scale that is a power of ten.
fn plain(value: u64, scale: u64) -> String {
    let digits = usize::try_from(scale.ilog10()).expect("a few digits");
    let text = format!("{}.{:0digits$}", value / scale, value % scale);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Delays longer than this are no networks.
const LONGEST: Duration = Duration::from_secs(3_600);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, bytes) in
            [("65536", 65_536), ("64K", 65_536), ("64KB", 65_536), ("1.5M", 1_572_864), ("1G", 1 << 30), ("0", 0)]
        {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["", "K", "1X", "-1", "1.2.3", "99999999999999999999"] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn probabilities() {
        for (text, ppm) in [
            ("1%", 10_000),
            ("0.01", 10_000),
            ("0", 0),
            ("0%", 0),
            ("100%", 1_000_000),
            ("0.5%", 5_000),
            (".25", 250_000),
            ("0.000001", 1),
            ("0.0001%", 1),
        ] {
            assert_eq!(probability(text), Ok(Ppm(ppm)), "{text}");
        }
        for (text, hint) in [
            ("2", "write 2% or 0.02"),
            ("1", "write 1% or 0.01"),
            ("1.5", "write 1.5% or 0.015"),
            ("30", "write 30% or 0.3"),
        ] {
            assert_eq!(probability(text), Err(hint.into()), "{text}");
        }
        for text in ["101%", "101", "x", "", "%", "-1%"] {
            assert!(probability(text).is_err(), "{text}");
        }
    }

    #[test]
    fn durations() {
        for (text, nanos) in
            [("70us", 70_000), ("1.5ms", 1_500_000), ("2s", 2_000_000_000), ("5ns", 5), ("0", 0), ("70 us", 70_000)]
        {
            assert_eq!(duration(text), Ok(Duration::from_nanos(nanos)), "{text}");
        }
        for text in ["70", "us", "1m", "2h", "99999s", "1e3us"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn rates() {
        for (text, bits) in [
            ("1G", 1_000_000_000),
            ("100mbit", 100_000_000),
            ("64kbit", 64_000),
            ("1.5Mbps", 1_500_000),
            ("9600", 9_600),
        ] {
            assert_eq!(rate(text), Ok(Some(bits)), "{text}");
        }
        assert_eq!(rate("unlimited"), Ok(None));
        for text in ["0", "fast", "1T", ""] {
            assert!(rate(text).is_err(), "{text}");
        }
    }

    #[test]
    fn queues() {
        assert_eq!(queue("100p"), Ok(Queue::Frames(100)));
        assert_eq!(queue("256K"), Ok(Queue::Bytes(262_144)));
        assert_eq!(queue("unlimited"), Ok(Queue::Unlimited));
        for text in ["0", "0p", "p", "many"] {
            assert!(queue(text).is_err(), "{text}");
        }
    }
}
