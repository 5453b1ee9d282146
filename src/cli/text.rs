//! Numbers, moments and words as people read them. Pure.

use crate::engine::base::UnixMillis;
use crate::text::is_steering;

/// `text` without characters that steer a terminal: each becomes `?`, a tab a space.
#[must_use]
pub fn clean(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\t' => ' ',
            c if is_steering(c) => '?',
            c => c,
        })
        .collect()
}

/// A length of time, never like a clock: `3 s`, `2m11s`, `3h05m`, `6 days`.
#[must_use]
pub fn span(span_ms: u64) -> String {
    let seconds = span_ms / 1_000;
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{minutes}m{:02}s", seconds % 60),
        3_600..172_800 => format!("{hours}h{:02}m", minutes % 60),
        _ => format!("{days} days"),
    }
}

/// A moment with how long ago it was: `2026-11-22T14:00:00Z (2m11s ago)`.
#[must_use]
pub fn moment(at: UnixMillis, now: UnixMillis) -> String {
    let ago = u64::try_from(now.0 - at.0).map(|ms| format!("{} ago", span(ms)));
    let ahead = || format!("in {}", span(at.0.abs_diff(now.0)));
    format!("{} ({})", at.rfc3339(0), ago.unwrap_or_else(|_| ahead()))
}

/// A number of bytes in powers of 1000: `980 B`, `4.2 KB`, `1.3 GB`.
#[must_use]
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["KB", "MB", "GB", "TB", "PB"];
    if count < 1_000 {
        return format!("{count} B");
    }
    let mut tenths = count / 100;
    let mut unit = 0;
    while tenths >= 10_000 && unit + 1 < UNITS.len() {
        tenths /= 1_000;
        unit += 1;
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

/// `1 file`, `2 files`.
#[must_use]
pub fn count(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// Permission bits as `ls` writes them: `rw-r-----`.
#[must_use]
pub fn mode(bits: u32) -> String {
    (0..9).rev().map(|bit| if bits >> bit & 1 == 1 { ['x', 'w', 'r'][bit % 3] } else { '-' }).collect()
}

/// Wall time now. A label for people; decides nothing (spec 7.12).
#[must_use]
pub fn wall_now() -> UnixMillis {
    let since_1970 = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    UnixMillis(i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_read_as_people_write_them() {
        assert_eq!(span(999), "0 s");
        assert_eq!(span(131_000), "2m11s");
        assert_eq!(span(3 * 3_600_000 + 300_000), "3h05m");
        assert_eq!(span(6 * 86_400_000), "6 days");
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(4_242), "4.2 KB");
        assert_eq!(bytes(1_999_999), "1.9 MB");
        assert_eq!(bytes(1_200_000_000), "1.2 GB");
        assert_eq!(mode(0o640), "rw-r-----");
        let now = UnixMillis(1_795_356_011_000);
        assert_eq!(moment(UnixMillis(1_795_356_000_000), now), "2026-11-22T14:00:00Z (11 s ago)");
        assert_eq!(moment(UnixMillis(1_795_356_021_000), now), "2026-11-22T14:00:21Z (in 10 s)");
    }

    #[test]
    fn nothing_that_steers_a_terminal_is_left() {
        assert_eq!(clean("a\x1b[31mb\u{202e}c\td\u{9b}"), "a?[31mb?c d?");
    }
}
