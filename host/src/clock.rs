//! The time that a stack is told: the machine's monotonic clock; and the time that captures tell.
//!
//! Sections: none.
//! In: nothing.
//! Out: an instant that never goes back; the time since 1970. This is the only file that reads a clock.

use tidegate_proto::time::{Duration, Instant};

/// What time it is. Read it once per batch: it costs some 20 ns.
#[cfg(unix)]
pub fn now() -> Instant {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let seconds = u64::try_from(now.tv_sec).expect("the monotonic clock starts at zero");
    let nanos = u64::try_from(now.tv_nsec).expect("below a second");
    Instant::from_nanos(seconds * 1_000_000_000 + nanos)
}

/// What time it is. Read it once per batch: it costs some 20 ns.
#[cfg(not(unix))]
#[expect(clippy::disallowed_methods, reason = "this is the clock")]
pub fn now() -> Instant {
    use std::sync::OnceLock;
    use std::time;
    static START: OnceLock<time::Instant> = OnceLock::new();
    let start = START.get_or_init(time::Instant::now);
    Instant::from_nanos(u64::try_from(start.elapsed().as_nanos()).expect("584 years"))
}

/// How long it is since 1970-01-01 00:00 UTC, by the machine's calendar clock, which somebody may set.
#[expect(clippy::disallowed_methods, reason = "this is the clock")]
pub fn since_1970() -> Duration {
    use std::time::SystemTime;
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Duration::from_nanos(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}
