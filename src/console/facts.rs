//! Numbers, times and names as people read them: units on every number, ages never like a clock.

use crate::engine::base::{Role, UnixMillis};
use crate::engine::status::{Status, Transfer};

const SECOND_MS: u64 = 1_000;
const MINUTE_S: u64 = 60;
const HOUR_S: u64 = 3_600;
const DAY_S: u64 = 86_400;

/// Milliseconds from `from` to `to`, 0 if that lies behind.
#[must_use]
pub fn between(from: UnixMillis, to: UnixMillis) -> u64 {
    u64::try_from(to.0.saturating_sub(from.0)).unwrap_or(0)
}

/// A time span in its two greatest units: `11s`, `2m11s`, `4h05m`, `6 days`.
#[must_use]
pub fn age(span_ms: u64) -> String {
    let seconds = span_ms / SECOND_MS;
    match seconds {
        0..MINUTE_S => format!("{seconds}s"),
        MINUTE_S..HOUR_S => format!("{}m{:02}s", seconds / MINUTE_S, seconds % MINUTE_S),
        HOUR_S..172_800 => format!("{}h{:02}m", seconds / HOUR_S, seconds % HOUR_S / MINUTE_S),
        _ => format!("{} days", seconds / DAY_S),
    }
}

/// Seconds still to wait, rounded up, so that a count-down ends at `1 s` and not at `0 s`.
#[must_use]
pub fn seconds_left(until: UnixMillis, now: UnixMillis) -> u64 {
    between(now, until).div_ceil(SECOND_MS)
}

/// A setting's duration: `250 ms`, `3 s`, `2 min`, `1 h`.
#[must_use]
pub fn duration(span_ms: u64) -> String {
    match span_ms {
        0 => "0 s".into(),
        ms if ms % 3_600_000 == 0 => format!("{} h", ms / 3_600_000),
        ms if ms % 60_000 == 0 => format!("{} min", ms / 60_000),
        ms if ms % 1_000 == 0 => format!("{} s", ms / 1_000),
        ms => format!("{ms} ms"),
    }
}

/// A round trip: `0.4 ms`, `12 ms`.
#[must_use]
pub fn round_trip(ms: f64) -> String {
    if ms < 9.95 { format!("{ms:.1} ms") } else { format!("{ms:.0} ms") }
}

/// `98 214`.
#[must_use]
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// `812 B`, `1.4 KB`, `1.2 GB`; thousands, as disks count.
#[must_use]
pub fn bytes(number: u64) -> String {
    const UNITS: [(&str, u64); 4] =
        [("TB", 1_000_000_000_000), ("GB", 1_000_000_000), ("MB", 1_000_000), ("KB", 1_000)];
    for (unit, size) in UNITS {
        if number >= size {
            let tenths = u128::from(number) * 10 / u128::from(size);
            return if tenths < 100 {
                format!("{}.{} {unit}", tenths / 10, tenths % 10)
            } else {
                format!("{} {unit}", tenths / 10)
            };
        }
    }
    format!("{number} B")
}

/// `1 alert`, `2 alerts`, `0 alerts`; a branch has its own plural.
#[must_use]
pub fn counted(number: u64, one: &str) -> String {
    let plural = match number {
        1 => "",
        _ if one.ends_with("ch") => "es",
        _ => "s",
    };
    format!("{} {one}{plural}", grouped(number))
}

/// How far a transfer is: `receiving 42 %, 62 MB/s, 11s left`.
#[must_use]
pub fn transfer(transfer: &Transfer) -> String {
    let (done, all) = match transfer.bytes_total {
        0 => (transfer.files_done, transfer.files_total),
        all => (transfer.bytes_done, all),
    };
    let percent = u128::from(done) * 100 / u128::from(all.max(1));
    let rate = transfer.rate.map_or(String::new(), |rate| format!(", {}/s", bytes(rate)));
    let left = transfer.left_ms.map_or(String::new(), |ms| format!(", {} left", age(ms)));
    format!("{} {} %{rate}{left}", transfer.step.word(), percent.min(100))
}

/// Time of day if it is the day of `now`, else date and time: `13:58:40Z`, `2026-11-16 09:50:11Z`.
#[must_use]
pub fn moment(at: UnixMillis, now: UnixMillis) -> String {
    if at.rfc3339(0)[..10] == now.rfc3339(0)[..10] { at.clock(0) } else { at.rfc3339(0).replace('T', " ") }
}

/// `2027-12-01`.
#[must_use]
pub fn day(at: UnixMillis) -> String {
    at.rfc3339(0)[..10].to_owned()
}

/// A name without its domain, for narrow places; addresses stay whole.
#[must_use]
pub fn short_host(host: &str) -> &str {
    let is_address = host.contains(':') || host.chars().all(|c| c.is_ascii_digit() || c == '.');
    if is_address { host } else { host.split('.').next().unwrap_or(host) }
}

/// The other instance's short name, or its role if there is none yet.
#[must_use]
pub fn peer_name(status: &Status) -> String {
    match &status.peer {
        Some(peer) if !peer.host.is_empty() => short_host(&peer.host).to_owned(),
        _ if status.role == Some(Role::Shadow) => match status.settings.shadow.master_hosts.first() {
            Some(host) => short_host(host).to_owned(),
            None => "the master".into(),
        },
        _ => "the shadow".into(),
    }
}

/// This instance's short name, or `this instance`.
#[must_use]
pub fn own_name(status: &Status) -> String {
    match status.instance.host.as_str() {
        "" => "this instance".into(),
        host => short_host(host).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_as_ages() {
        assert_eq!(age(11_900), "11s");
        assert_eq!(age(131_000), "2m11s");
        assert_eq!(age(4 * 3_600_000 + 300_000), "4h05m");
        assert_eq!(age(6 * 86_400_000), "6 days");
        assert_eq!(seconds_left(UnixMillis(2_001), UnixMillis(1_000)), 2);
        assert_eq!(seconds_left(UnixMillis(1), UnixMillis(1_000)), 0);
    }

    #[test]
    fn numbers_carry_units() {
        assert_eq!(grouped(98_214), "98 214");
        assert_eq!(grouped(14), "14");
        assert_eq!(bytes(1_240_000_000), "1.2 GB");
        assert_eq!(bytes(12_400), "12 KB");
        assert_eq!(bytes(812), "812 B");
        assert_eq!(duration(3_000), "3 s");
        assert_eq!(duration(250), "250 ms");
        assert_eq!(round_trip(0.42), "0.4 ms");
    }

    #[test]
    fn names_lose_their_domain_and_addresses_do_not() {
        assert_eq!(short_host("node-b.example.net"), "node-b");
        assert_eq!(short_host("10.1.4.21"), "10.1.4.21");
        assert_eq!(short_host("fd00::20"), "fd00::20");
    }
}
