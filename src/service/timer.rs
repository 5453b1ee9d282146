//! A timer of the clock that counts suspension (spec 7.12): what waits for it is woken to the millisecond, after a suspension at
//! once, and never before its time.

use std::io;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};

/// One timer.
#[derive(Debug)]
pub struct Timer(OwnedFd);

impl Timer {
    /// Reading from it waits.
    ///
    /// # Errors
    /// No descriptor is left.
    pub fn waiting() -> io::Result<Self> {
        Self::new(TimerfdFlags::CLOEXEC)
    }

    /// Reading from it does not wait.
    ///
    /// # Errors
    /// No descriptor is left.
    pub fn polled() -> io::Result<Self> {
        Self::new(TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK)
    }

    fn new(flags: TimerfdFlags) -> io::Result<Self> {
        Ok(Self(timerfd_create(TimerfdClockId::Boottime, flags)?))
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

    /// Its time has come; that is read only once.
    ///
    /// # Errors
    /// Not yet, where reading does not wait (`WouldBlock`); set anew meanwhile; the descriptor is broken.
    pub fn has_come(&self) -> Result<(), Errno> {
        let mut expirations = [0; 8];
        rustix::io::read(&self.0, &mut expirations).map(|_| ())
    }

    /// Becomes readable when its time has come, and gives 8 bytes then.
    ///
    /// # Errors
    /// No descriptor is left.
    pub fn handle(&self) -> io::Result<OwnedFd> {
        self.0.try_clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::sheet::boot_ms;

    /// spec 7.12: not before its time, and once
    #[test]
    fn it_comes_at_its_time_and_once() {
        let at_ms = boot_ms() + 20;
        let timer = Timer::waiting().unwrap();
        timer.set(Some(at_ms));
        timer.has_come().unwrap();
        assert!(boot_ms() >= at_ms);
        let timer = Timer::polled().unwrap();
        assert_eq!(timer.has_come(), Err(Errno::AGAIN));
        timer.set(Some(1));
        timer.has_come().unwrap();
        assert_eq!(timer.has_come(), Err(Errno::AGAIN));
        timer.set(Some(1));
        timer.set(None);
        assert_eq!(timer.has_come(), Err(Errno::AGAIN), "taken back");
    }
}
