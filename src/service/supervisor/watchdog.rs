//! Standin's end of the watchdog (spec 7.13): moves the deadline on, and notices a guard that does not move.

use std::sync::{Arc, TryLockError};

use rustix::process::{Pid, Signal, kill_process};

use super::Shared;

/// Without another word the service may run so long after Standin's loop was last seen turning, ms (spec 7.12).
pub const ALLOWANCE_MS: u64 = 2_000;
/// The loop shows so often that it turns, ms.
pub const PULSE_MS: u64 = 500;
/// A guard that has shown nothing for so long is killed, ms. Counted in time and not in pulses: with an arbiter every confirmation
/// is one more pulse.
const SILENT_MS: u64 = 2_000;
/// A pulse that comes later than this tells of a stall of this process, which says nothing about the guard, ms.
const PULSE_LATE_MS: u64 = 2 * PULSE_MS;

/// Belongs to the loop that decides, and to nobody else: what it shows is that *this loop* turns.
pub struct Watchdog {
    shared: Arc<Shared>,
    last_ms: u64,
    beats: u64,
    /// When the guard was last seen to move, or began to be watched.
    moved_ms: u64,
}

impl Watchdog {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, last_ms: 0, beats: 0, moved_ms: 0 }
    }

    /// When the next pulse is due, ms of the clock that counts suspension.
    #[must_use]
    pub fn due_ms(&self) -> u64 {
        self.last_ms.saturating_add(PULSE_MS)
    }

    /// From when on a pulse is worth its while, if the loop turns for something else; before [`Self::due_ms`].
    #[must_use]
    pub fn worth_ms(&self) -> u64 {
        self.last_ms.saturating_add(PULSE_MS / 2)
    }

    /// The service is about to be started.
    pub fn begin(&mut self, now_ms: u64, limit_ms: Option<u64>) {
        // An idle guard has shown nothing for a while; only from now on does that mean anything.
        self.last_ms = 0;
        self.pulse(now_ms, limit_ms);
    }

    /// The loop turns, now (ms of the clock that counts suspension): the service may run for [`ALLOWANCE_MS`] more, but not
    /// beyond `limit_ms`. Kills a guard that has not moved for 2 s, and with it the service.
    pub fn pulse(&mut self, now_ms: u64, limit_ms: Option<u64>) {
        let until_ms = now_ms.saturating_add(ALLOWANCE_MS).min(limit_ms.unwrap_or(u64::MAX));
        // 0 would mean: not watched.
        self.shared.sheet.allow(until_ms.max(1));
        let was_late = now_ms.saturating_sub(self.last_ms) > PULSE_LATE_MS;
        self.last_ms = now_ms;
        let beats = self.shared.sheet.beats();
        if was_late || beats != self.beats {
            self.moved_ms = now_ms;
        }
        self.beats = beats;
        if now_ms.saturating_sub(self.moved_ms) >= SILENT_MS && self.kill_guard() {
            self.moved_ms = now_ms;
        }
    }

    /// Only when something of the service may run: an idle guard shows nothing. False: to be tried again.
    fn kill_guard(&self) -> bool {
        let mut inner = match self.shared.inner.try_lock() {
            Ok(inner) => inner,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            // Somebody writes to a guard that does not read. The next pulse tries again.
            Err(TryLockError::WouldBlock) => return false,
        };
        if !inner.record.may_run() || inner.is_closing {
            return true;
        }
        let guard = inner.guard_process.and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
        if let Some(guard) = guard {
            inner.was_silent = true;
            // The kernel kills the command with it; what the command left is found by its mark.
            let _ = kill_process(guard, Signal::KILL);
        }
        true
    }
}
