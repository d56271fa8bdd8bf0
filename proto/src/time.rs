//! Instants and durations, in nanoseconds.
//!
//! Sections: none; the clock of RFC 9293 is whatever the owner passes in.
//! In: numbers from the owner's monotonic clock, or a world's virtual one.
//! Out: the only two time types that the crate knows.

use core::fmt;
use core::iter::Sum;
use core::ops::{Add, AddAssign, Div, Mul, Sub, SubAssign};
use core::str::FromStr;

/// A point in time: nanoseconds since an origin that the owner chooses. Never goes backwards.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Instant(u64);

/// A span of time in nanoseconds, up to 584 years.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Duration(u64);

impl Instant {
    /// The origin of the owner's clock.
    pub const ZERO: Instant = Instant(0);

    /// The instant `nanos` nanoseconds after the origin.
    pub const fn from_nanos(nanos: u64) -> Self {
        Instant(nanos)
    }

    /// Nanoseconds since the origin.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Whole milliseconds since the origin.
    pub const fn as_millis(self) -> u64 {
        self.0 / 1_000_000
    }

    /// The time that has passed since `earlier`; zero if `earlier` is later.
    pub const fn since(self, earlier: Instant) -> Duration {
        Duration(self.0.saturating_sub(earlier.0))
    }
}

impl Duration {
    /// No time at all.
    pub const ZERO: Duration = Duration(0);
    /// Longer than any connection lives.
    pub const MAX: Duration = Duration(u64::MAX);

    /// `n` nanoseconds.
    pub const fn from_nanos(n: u64) -> Self {
        Duration(n)
    }

    /// `n` microseconds.
    pub const fn from_micros(n: u64) -> Self {
        Duration(n.saturating_mul(1_000))
    }

    /// `n` milliseconds.
    pub const fn from_millis(n: u64) -> Self {
        Duration(n.saturating_mul(1_000_000))
    }

    /// `n` seconds.
    pub const fn from_secs(n: u64) -> Self {
        Duration(n.saturating_mul(1_000_000_000))
    }

    /// The whole span in nanoseconds.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// The whole span in microseconds, rounded down.
    pub const fn as_micros(self) -> u64 {
        self.0 / 1_000
    }

    /// The whole span in milliseconds, rounded down.
    pub const fn as_millis(self) -> u64 {
        self.0 / 1_000_000
    }

    /// The whole span in seconds, rounded down.
    pub const fn as_secs(self) -> u64 {
        self.0 / 1_000_000_000
    }

    /// True for a span of no length.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// `self - other`, or zero where that would be negative.
    pub const fn saturating_sub(self, other: Duration) -> Duration {
        Duration(self.0.saturating_sub(other.0))
    }

    /// `self * factor`, or [`Duration::MAX`] where that would overflow.
    pub const fn saturating_mul(self, factor: u64) -> Duration {
        Duration(self.0.saturating_mul(factor))
    }
}

impl Add<Duration> for Instant {
    type Output = Instant;
    fn add(self, d: Duration) -> Instant {
        Instant(self.0.saturating_add(d.0))
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, d: Duration) {
        *self = *self + d;
    }
}

impl Sub<Duration> for Instant {
    type Output = Instant;
    fn sub(self, d: Duration) -> Instant {
        Instant(self.0.saturating_sub(d.0))
    }
}

impl Add for Duration {
    type Output = Duration;
    fn add(self, d: Duration) -> Duration {
        Duration(self.0.saturating_add(d.0))
    }
}

impl AddAssign for Duration {
    fn add_assign(&mut self, d: Duration) {
        *self = *self + d;
    }
}

impl Sub for Duration {
    type Output = Duration;
    fn sub(self, d: Duration) -> Duration {
        self.saturating_sub(d)
    }
}

impl SubAssign for Duration {
    fn sub_assign(&mut self, d: Duration) {
        *self = *self - d;
    }
}

impl Mul<u64> for Duration {
    type Output = Duration;
    fn mul(self, factor: u64) -> Duration {
        self.saturating_mul(factor)
    }
}

impl Div<u64> for Duration {
    type Output = Duration;
    fn div(self, divisor: u64) -> Duration {
        Duration(self.0 / divisor)
    }
}

impl Sum for Duration {
    fn sum<I: Iterator<Item = Duration>>(iter: I) -> Duration {
        iter.fold(Duration::ZERO, |a, b| a + b)
    }
}

impl From<core::time::Duration> for Duration {
    fn from(d: core::time::Duration) -> Self {
        Duration(u64::try_from(d.as_nanos()).unwrap_or(u64::MAX))
    }
}

impl From<Duration> for core::time::Duration {
    fn from(d: Duration) -> Self {
        core::time::Duration::from_nanos(d.0)
    }
}

impl fmt::Debug for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:09}s", self.0 / 1_000_000_000, self.0 % 1_000_000_000)
    }
}

impl fmt::Debug for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        core::time::Duration::from(*self).fmt(f)
    }
}

/// Seconds, milliseconds or microseconds, whichever reads best: `1.5s`, `200ms`, `140us`.
impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, name) = match self.0 {
            0..1_000 => return write!(f, "{}ns", self.0),
            1_000..1_000_000 => (1_000, "us"),
            1_000_000..1_000_000_000 => (1_000_000, "ms"),
            _ => (1_000_000_000, "s"),
        };
        let (whole, rest) = (self.0 / unit, (self.0 % unit) * 1_000 / unit);
        match rest {
            0 => write!(f, "{whole}{name}"),
            r if r % 100 == 0 => write!(f, "{whole}.{}{name}", r / 100),
            r if r % 10 == 0 => write!(f, "{whole}.{:02}{name}", r / 10),
            r => write!(f, "{whole}.{r:03}{name}"),
        }
    }
}

/// A number, with or without a fraction, and one of the units that [`Duration`] prints: `1.5s`, `200ms`, `140us`,
/// `5ns`. What is finer than a nanosecond is cut off.
impl FromStr for Duration {
    type Err = NotADuration;

    fn from_str(text: &str) -> Result<Self, NotADuration> {
        let (number, unit) = text.split_at(text.find(|c: char| c.is_ascii_alphabetic()).ok_or(NotADuration)?);
        let nanos: u64 = match unit {
            "ns" => 1,
            "us" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            _ => return Err(NotADuration),
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
        if whole.is_empty() || fraction.is_empty() || !whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit())
        {
            return Err(NotADuration);
        }
        let whole: u64 = whole.parse().map_err(|_| NotADuration)?;
        let fraction = fraction.bytes().scan(nanos, |place, digit| {
            *place /= 10;
            Some(*place * u64::from(digit - b'0'))
        });
        let total = whole.checked_mul(nanos).and_then(|n| n.checked_add(fraction.sum())).ok_or(NotADuration)?;
        Ok(Duration(total))
    }
}

/// The text is no [`Duration`], or one longer than 584 years.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NotADuration;

impl fmt::Display for NotADuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a duration such as 1.5s, 200ms, 140us or 5ns")
    }
}

impl core::error::Error for NotADuration {}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn durations_print_in_the_unit_that_reads_best() {
        for (nanos, text) in [
            (0, "0ns"),
            (999, "999ns"),
            (140_000, "140us"),
            (1_500, "1.5us"),
            (200_000_000, "200ms"),
            (1_234_567, "1.234ms"),
            (60_000_000_000, "60s"),
        ] {
            assert_eq!(Duration::from_nanos(nanos).to_string(), text);
            let unit = if nanos > 1_000_000 { 1_000 } else { 1 };
            assert_eq!(text.parse(), Ok(Duration::from_nanos(nanos / unit * unit)), "{text} reads back");
        }
    }

    #[test]
    fn what_is_no_duration() {
        for text in ["", "5", "ms", ".5s", "5.s", "-1s", "1h", "1 s", "1.2.3s", "99999999999s", "\u{661}s"] {
            assert_eq!(text.parse::<Duration>(), Err(NotADuration), "{text}");
        }
        assert_eq!("0.0000000019s".parse(), Ok(Duration::from_nanos(1)));
    }

    #[test]
    fn arithmetic_saturates_instead_of_wrapping() {
        let t = Instant::from_nanos(5);
        assert_eq!(t.since(Instant::from_nanos(9)), Duration::ZERO);
        assert_eq!(t - Duration::from_secs(1), Instant::ZERO);
        assert_eq!(t + Duration::MAX, Instant::from_nanos(u64::MAX));
    }
}
