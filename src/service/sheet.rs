//! What Standin and its guard tell each other without a message: until when the service may run, and that the guard lives.
//!
//! A few bytes of shared memory (a memfd, the guard's standard error), because a message may wait in a pipe behind others,
//! and because an idle service must cost next to nothing: moving the deadline on is one system call, and the guard looks at
//! it when the old one is over, or once a second.

use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::process::Stdio;

use rustix::fs::{MemfdFlags, memfd_create};
use rustix::time::{ClockId, clock_gettime};

/// Tells a sheet from any other file.
const MAGIC: [u8; 8] = *b"standin1";
const MAGIC_AT: u64 = 0;
/// Milliseconds of the clock that counts suspension; 0: the service is not watched.
const UNTIL_AT: u64 = 8;
/// Grows while the guard lives.
const BEATS_AT: u64 = 16;
/// Words of a panicking guard land behind this, where they harm nothing.
const WORDS_AT: u64 = 4_096;
/// A deadline further ahead than this is no deadline but damage, ms.
const AHEAD_MAX_MS: u64 = 3_600_000;

/// See the module.
#[derive(Debug)]
pub struct Sheet(File);

impl Sheet {
    /// A new one, not watched.
    ///
    /// # Errors
    /// No memory, or no descriptor is left.
    pub fn new() -> io::Result<Self> {
        let mut file = File::from(memfd_create("standin-sheet", MemfdFlags::CLOEXEC)?);
        file.write_all_at(&MAGIC, MAGIC_AT)?;
        file.write_all_at(&[0; 16], UNTIL_AT)?;
        file.seek(SeekFrom::Start(WORDS_AT))?;
        Ok(Self(file))
    }

    /// To become the guard's standard error.
    ///
    /// # Errors
    /// No descriptor is left.
    pub fn handle(&self) -> io::Result<Stdio> {
        Ok(Stdio::from(self.0.try_clone()?))
    }

    /// In the guard: the one it was started with.
    pub fn inherited() -> Option<Self> {
        let file = File::from(io::stderr().as_fd().try_clone_to_owned().ok()?);
        let mut magic = [0; MAGIC.len()];
        // Of a terminal or pipe nothing can be read at a position.
        file.read_exact_at(&mut magic, MAGIC_AT).ok()?;
        (magic == MAGIC).then_some(Self(file))
    }

    /// The service may run until then (see [`boot_ms`]); 0: it is not watched.
    pub fn allow(&self, until_ms: u64) {
        // Memory: it fails only when none is left, and then the old deadline stands, which is the safe side.
        let _ = self.0.write_all_at(&until_ms.to_le_bytes(), UNTIL_AT);
    }

    /// Until when it may run; none: it is not watched.
    pub fn until_ms(&self) -> Option<u64> {
        Some(self.number(UNTIL_AT)).filter(|until_ms| *until_ms != 0)
    }

    /// The time is over (or the sheet is damaged, which is treated alike).
    pub fn is_over(&self, now_ms: u64) -> bool {
        self.until_ms().is_some_and(|until_ms| now_ms >= until_ms || until_ms > now_ms.saturating_add(AHEAD_MAX_MS))
    }

    /// The guard lives.
    pub fn beat(&self, beats: u64) {
        let _ = self.0.write_all_at(&beats.to_le_bytes(), BEATS_AT);
    }

    /// Changes while the guard lives.
    pub fn beats(&self) -> u64 {
        self.number(BEATS_AT)
    }

    fn number(&self, at: u64) -> u64 {
        let mut bytes = [0; 8];
        match self.0.read_exact_at(&mut bytes, at) {
            Ok(()) => u64::from_le_bytes(bytes),
            // No deadline can be read: one that is over.
            Err(_) => 1,
        }
    }
}

/// Now, by the clock that counts suspension (spec 7.12), ms.
#[must_use]
pub fn boot_ms() -> u64 {
    let at = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(at.tv_sec).unwrap_or(0);
    seconds * 1_000 + u64::try_from(at.tv_nsec / 1_000_000).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// spec 7.13: the watchdog's deadline, and the safe side of every doubt
    #[test]
    fn a_deadline_is_over_when_it_is_reached_or_cannot_be_true() {
        let sheet = Sheet::new().unwrap();
        assert!(!sheet.is_over(u64::MAX - AHEAD_MAX_MS), "not watched");
        sheet.allow(1_000);
        assert_eq!(sheet.until_ms(), Some(1_000));
        assert!(!sheet.is_over(999));
        assert!(sheet.is_over(1_000));
        sheet.allow(u64::MAX);
        assert!(sheet.is_over(1_000), "damage");
        sheet.0.set_len(4).unwrap();
        assert!(sheet.is_over(1_000), "unreadable");
    }

    /// What a panicking guard writes to its standard error changes nothing here.
    #[test]
    fn words_land_behind_the_numbers() {
        let sheet = Sheet::new().unwrap();
        sheet.allow(7);
        sheet.beat(9);
        sheet.0.try_clone().unwrap().write_all(b"thread 'main' panicked").unwrap();
        assert_eq!((sheet.until_ms(), sheet.beats()), (Some(7), 9));
    }
}
