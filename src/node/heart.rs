//! Tells systemd that Standin is up (`Type=notify`), and its watchdog that the loop turns (`WatchdogSec=` in Standin's unit). The
//! watchdog is what stops a service that is a unit bound to Standin's when Standin stalls: systemd kills Standin, and what is
//! bound to it ends (spec 7.13).

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use crate::engine::base::Millis;

/// So many signs of life in the time that systemd allows.
const BEATS_PER_LIMIT: u64 = 4;
/// Not more often than this, ms: an idle instance costs next to nothing.
const BEAT_PAUSE_MIN_MS: u64 = 100;

/// The way to systemd.
#[derive(Debug)]
pub struct Heart {
    socket: UnixDatagram,
    /// systemd has heard that the loop turns.
    is_ready: bool,
    /// What systemd allows without a sign of life, ms; none: nobody watches.
    limit_ms: Option<u64>,
    due: Option<Millis>,
}

impl Heart {
    /// As systemd's environment says; none: there is no systemd to tell, or its socket cannot be used.
    #[must_use]
    pub fn from_environment() -> Option<Self> {
        let variable = |name: &str| std::env::var(name).ok();
        let limit_ms = limit_ms(variable("WATCHDOG_USEC"), variable("WATCHDOG_PID"), std::process::id());
        Self::to(&variable("NOTIFY_SOCKET")?, limit_ms)
    }

    fn to(name: &str, limit_ms: Option<u64>) -> Option<Self> {
        let systemd = match name.strip_prefix('@') {
            Some(name) => SocketAddr::from_abstract_name(name),
            None => SocketAddr::from_pathname(name),
        };
        let socket = UnixDatagram::unbound().ok()?;
        // The loop never waits, for nobody.
        socket.set_nonblocking(true).ok()?;
        socket.connect_addr(&systemd.ok()?).ok()?;
        Some(Self { socket, is_ready: false, limit_ms, due: Some(Millis(0)) })
    }

    /// A Standin that stands still is killed after so long, ms; none: nobody watches.
    #[must_use]
    pub fn limit_ms(&self) -> Option<u64> {
        self.limit_ms
    }

    /// When the next beat is due; none: there is nothing more to say.
    #[must_use]
    pub fn due(&self) -> Option<Millis> {
        self.due
    }

    /// The loop turns.
    pub fn beat(&mut self, now: Millis) {
        if self.due.is_none_or(|due| now < due) {
            return;
        }
        if !self.is_ready {
            self.is_ready = self.socket.send(b"READY=1").is_ok();
        }
        if self.limit_ms.is_some() {
            // What does not arrive is systemd's to judge.
            let _ = self.socket.send(b"WATCHDOG=1");
        }
        let pause_ms = self.limit_ms.map(|limit_ms| (limit_ms / BEATS_PER_LIMIT).max(BEAT_PAUSE_MIN_MS));
        let again_ms = if self.is_ready { pause_ms } else { Some(BEAT_PAUSE_MIN_MS) };
        self.due = again_ms.map(|ms| now.plus(ms));
    }
}

/// From the values of `WATCHDOG_USEC` and `WATCHDOG_PID`: what systemd allows the process `own` without a sign of life.
fn limit_ms(limit_us: Option<String>, whose: Option<String>, own: u32) -> Option<u64> {
    if whose.is_some_and(|pid| pid != own.to_string()) {
        return None;
    }
    let limit_us: u64 = limit_us?.parse().ok()?;
    Some(limit_us.div_ceil(1_000)).filter(|limit_ms| *limit_ms > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bench() -> (tempfile::TempDir, String, UnixDatagram) {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("notify");
        let systemd = UnixDatagram::bind(&path).unwrap();
        systemd.set_nonblocking(true).unwrap();
        (home, path.to_string_lossy().into_owned(), systemd)
    }

    fn heard(systemd: &UnixDatagram) -> Option<String> {
        let mut bytes = [0; 64];
        systemd.recv(&mut bytes).ok().map(|count| String::from_utf8_lossy(&bytes[..count]).into_owned())
    }

    /// spec 7.13: a sign of life four times in the limit, and only then
    #[test]
    fn systemd_hears_that_the_loop_turns() {
        let (_home, path, systemd) = bench();
        let mut heart = Heart::to(&path, Some(2_000)).unwrap();
        assert_eq!(heard(&systemd), None, "not before the loop turns");
        heart.beat(Millis(10_000));
        assert_eq!(heard(&systemd).as_deref(), Some("READY=1"));
        assert_eq!(heard(&systemd).as_deref(), Some("WATCHDOG=1"));
        heart.beat(Millis(10_499));
        assert_eq!(heard(&systemd), None);
        assert_eq!(heart.due(), Some(Millis(10_500)));
        heart.beat(Millis(10_500));
        assert_eq!(heard(&systemd).as_deref(), Some("WATCHDOG=1"));
    }

    /// spec 7.13: where nobody watches it is told once that Standin is up
    #[test]
    fn without_a_watchdog_systemd_hears_once() {
        let (_home, path, systemd) = bench();
        let mut heart = Heart::to(&path, None).unwrap();
        heart.beat(Millis(10_000));
        assert_eq!(heard(&systemd).as_deref(), Some("READY=1"));
        assert_eq!((heart.due(), heart.limit_ms()), (None, None));
        heart.beat(Millis(20_000));
        assert_eq!(heard(&systemd), None);
    }

    /// spec 7.13: a watchdog counts only where it is this process's and can be told
    #[test]
    fn a_watchdog_of_another_process_is_none() {
        let of = |limit: &str, whose: Option<&str>| limit_ms(Some(limit.into()), whose.map(str::to_owned), 7);
        assert_eq!(of("2000000", Some("7")), Some(2_000));
        assert_eq!(of("2000000", None), Some(2_000));
        assert_eq!(of("2000000", Some("8")), None);
        assert_eq!((of("0", None), of("soon", None), limit_ms(None, None, 7)), (None, None, None));
        let (home, path, systemd) = bench();
        drop(systemd);
        assert!(Heart::to(&path, Some(2_000)).is_none(), "nobody hears there");
        drop(home);
    }
}
