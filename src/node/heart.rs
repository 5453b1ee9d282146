//! Tells systemd's watchdog that the loop turns (`WatchdogSec=` in Standin's unit). It is what stops a service that is a unit
//! bound to Standin's when Standin stalls: systemd kills Standin, and what is bound to it ends (spec 7.13).

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
    systemd: SocketAddr,
    pause_ms: u64,
    due: Millis,
}

impl Heart {
    /// As systemd's environment says; none: nobody watches.
    #[must_use]
    pub fn from_environment() -> Option<Self> {
        let variable = |name: &str| std::env::var(name).ok();
        let is_other = variable("WATCHDOG_PID").is_some_and(|pid| pid != std::process::id().to_string());
        let limit_us: u64 = variable("WATCHDOG_USEC")?.parse().ok()?;
        if is_other || limit_us == 0 {
            return None;
        }
        Self::to(&variable("NOTIFY_SOCKET")?, limit_us / 1_000)
    }

    fn to(name: &str, limit_ms: u64) -> Option<Self> {
        let systemd = match name.strip_prefix('@') {
            Some(name) => SocketAddr::from_abstract_name(name),
            None => SocketAddr::from_pathname(name),
        };
        let socket = UnixDatagram::unbound().ok()?;
        // The loop never waits, for nobody.
        socket.set_nonblocking(true).ok()?;
        let pause_ms = (limit_ms / BEATS_PER_LIMIT).max(BEAT_PAUSE_MIN_MS);
        Some(Self { socket, systemd: systemd.ok()?, pause_ms, due: Millis(0) })
    }

    /// When the next beat is due.
    #[must_use]
    pub fn due(&self) -> Millis {
        self.due
    }

    /// The loop turns.
    pub fn beat(&mut self, now: Millis) {
        if now >= self.due {
            self.due = now.plus(self.pause_ms);
            // What does not arrive is systemd's to judge.
            let _ = self.socket.send_to_addr(b"WATCHDOG=1", &self.systemd);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// spec 7.13: a sign of life four times in the limit, and only then
    #[test]
    fn systemd_hears_that_the_loop_turns() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("notify");
        let systemd = UnixDatagram::bind(&path).unwrap();
        systemd.set_nonblocking(true).unwrap();
        let mut heart = Heart::to(&path.to_string_lossy(), 2_000).unwrap();
        let heard = || {
            let mut bytes = [0; 64];
            systemd.recv(&mut bytes).ok().map(|count| bytes[..count].to_vec())
        };
        heart.beat(Millis(10_000));
        assert_eq!(heard().as_deref(), Some(&b"WATCHDOG=1"[..]));
        heart.beat(Millis(10_499));
        assert_eq!(heard(), None);
        assert_eq!(heart.due(), Millis(10_500));
        heart.beat(Millis(10_500));
        assert!(heard().is_some());
    }
}
