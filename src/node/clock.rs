//! The two clocks (spec 7.12): a monotonic one that counts suspension decides, the wall clock labels.

use std::time::{SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

use crate::engine::base::{Millis, Now, UnixMillis};

/// Both, now.
#[must_use]
pub fn now() -> Now {
    Now { mono: monotonic(), wall: wall() }
}

/// `CLOCK_BOOTTIME`.
#[must_use]
pub fn monotonic() -> Millis {
    let at = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(at.tv_sec).unwrap_or(0);
    let millis = u64::try_from(at.tv_nsec / 1_000_000).unwrap_or(0);
    Millis(seconds * 1_000 + millis)
}

/// `CLOCK_REALTIME`.
#[must_use]
pub fn wall() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMillis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
