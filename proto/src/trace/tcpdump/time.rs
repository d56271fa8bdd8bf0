//! The time in front of a line.
//!
//! Sections: none.
//! In: nanoseconds since 1970 and the offset of local time.
//! Out: tcpdump's six ways to write them, in microseconds.

use core::fmt;

use super::line::Line;
use super::{TimeStyle, put};

/// The packet that relative times count from.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Reference {
    micros: Option<u64>,
}

impl Reference {
    pub(super) fn print(&mut self, line: &mut Line, time_ns: u64, utc_offset: i32) {
        // tcpdump cuts off what it does not print.
        let micros = time_ns / 1_000;
        match line.options.time {
            TimeStyle::None => {}
            TimeStyle::Clock => put!(line, "{} ", Clock { micros, utc_offset, date: false }),
            TimeStyle::Dated => put!(line, "{} ", Clock { micros, utc_offset, date: true }),
            TimeStyle::Unix if is_after_2038(micros) => put!(line, "{NO_TIME} "),
            TimeStyle::Unix => put!(line, "{}.{:06} ", micros / SECOND, micros % SECOND),
            TimeStyle::SincePrevious | TimeStyle::SinceFirst => {
                // Like tcpdump: a packet at time zero leaves the reference unset.
                let reference = self.micros.filter(|&micros| micros != 0).unwrap_or(micros);
                let sign = if micros < reference { '-' } else { ' ' };
                let difference = Clock { micros: micros.abs_diff(reference), utc_offset: 0, date: false };
                put!(line, "{sign}{difference} ");
                let follows = line.options.time == TimeStyle::SincePrevious;
                self.micros = Some(if follows { micros } else { reference });
            }
        }
    }
}

/// A time of day, perhaps with its date.
struct Clock {
    micros: u64,
    utc_offset: i32,
    date: bool,
}

impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if is_after_2038(self.micros) {
            return f.write_str(NO_TIME);
        }
        let seconds = i64::try_from(self.micros / SECOND).expect("fewer than 2^31") + i64::from(self.utc_offset);
        let (days, second) = (seconds.div_euclid(DAY), seconds.rem_euclid(DAY));
        if self.date {
            let (year, month, day) = civil(days);
            write!(f, "{year}-{month:02}-{day:02} ")?;
        }
        let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
        write!(f, "{hour:02}:{minute:02}:{second:02}.{:06}", self.micros % SECOND)
    }
}

/// The date of a day counted from 1970-01-01, in the Gregorian calendar: year, month, day.
fn civil(days: i64) -> (i64, i64, i64) {
    // Years that start in March have their leap day at the end; 400 of them are an era of 146,097 days.
    let from_march_0 = days + 719_468;
    let (era, day) = (from_march_0.div_euclid(146_097), from_march_0.rem_euclid(146_097));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (year, month) = if month < 10 { (year, month + 3) } else { (year + 1, month - 9) };
    (era * 400 + year, month, day)
}

/// tcpdump 4.99.3 takes seconds as 32 bits and refuses the upper half.
fn is_after_2038(micros: u64) -> bool {
    (micros / SECOND) & 0x8000_0000 != 0
}

const SECOND: u64 = 1_000_000;
const DAY: i64 = 86_400;
const NO_TIME: &str = "[Error converting time]";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_follow_the_gregorian_calendar() {
        for (days, date) in [
            (0, (1970, 1, 1)),
            (-1, (1969, 12, 31)),
            (11_016, (2000, 2, 29)),
            (11_017, (2000, 3, 1)),
            (20_780, (2026, 11, 23)),
            (47_540, (2100, 2, 28)),
            (47_541, (2100, 3, 1)),
        ] {
            assert_eq!(civil(days), date, "{days}");
        }
    }
}
