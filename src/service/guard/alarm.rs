//! Wakes the guard at a moment of the clock that counts suspension: a machine that slept wakes it at once (spec 7.12).

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread;

use rustix::io::Errno;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};

/// One alarm, and the thread that waits for it.
pub struct Alarm(Arc<OwnedFd>);

impl Alarm {
    /// Starts the thread; `on_alarm` is called there each time.
    ///
    /// # Errors
    /// No descriptor or thread is left.
    pub fn new(on_alarm: impl Fn() + Send + 'static) -> io::Result<Self> {
        let timer = Arc::new(timerfd_create(TimerfdClockId::Boottime, TimerfdFlags::CLOEXEC)?);
        let waited = Arc::clone(&timer);
        thread::Builder::new().name("alarm".into()).spawn(move || {
            let mut expirations = [0; 8];
            loop {
                match rustix::io::read(&waited, &mut expirations) {
                    Ok(_) => on_alarm(),
                    // Set anew meanwhile.
                    Err(Errno::INTR | Errno::CANCELED) => {}
                    Err(_) => return,
                }
            }
        })?;
        Ok(Self(timer))
    }

    /// At this moment, ms; none: not at all. Replaces the one before.
    pub fn set(&self, at_ms: Option<u64>) {
        let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
        // A value of 0 is no alarm, so the first millisecond of the machine is one later.
        let value = at_ms.map_or(zero, |at_ms| {
            let at_ms = at_ms.max(1);
            Timespec {
                tv_sec: i64::try_from(at_ms / 1_000).unwrap_or(i64::MAX),
                tv_nsec: i64::try_from(at_ms % 1_000 * 1_000_000).unwrap_or(0),
            }
        });
        // Fails for a moment that is none; this one is.
        let _ =
            timerfd_settime(&self.0, TimerfdTimerFlags::ABSTIME, &Itimerspec { it_interval: zero, it_value: value });
    }
}
