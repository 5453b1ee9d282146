//! The watchdog (spec 7.13): looks at the sheet, and shows that the guard lives.

use super::alarm::Alarm;
use crate::service::sheet::{Sheet, boot_ms};

/// The guard shows that it lives so often while it has something to guard, ms.
const BEAT_PAUSE_MS: u64 = 1_000;

/// Sheet and alarm.
pub struct Watch {
    alarm: Alarm,
    sheet: Option<Sheet>,
    beats: u64,
    is_on: bool,
}

impl Watch {
    pub fn new(alarm: Alarm, sheet: Option<Sheet>) -> Self {
        Self { alarm, sheet, beats: 0, is_on: false }
    }

    /// Standin has given it a sheet to watch.
    pub fn has_sheet(&self) -> bool {
        self.sheet.is_some()
    }

    /// Nothing may begin any more: the time is over.
    pub fn is_over(&self) -> bool {
        self.sheet.as_ref().is_some_and(|sheet| sheet.is_over(boot_ms()))
    }

    /// From now on, or no more.
    pub fn turn(&mut self, is_on: bool) {
        if self.is_on == is_on {
            return;
        }
        self.is_on = is_on;
        self.alarm.set(is_on.then(boot_ms));
    }

    /// Shows that the guard lives. True: the time is over.
    pub fn look(&mut self) -> bool {
        let Some(sheet) = self.sheet.as_ref().filter(|_| self.is_on) else { return false };
        let now_ms = boot_ms();
        self.beats += 1;
        sheet.beat(self.beats);
        let is_over = sheet.is_over(now_ms);
        let beat_ms = now_ms.saturating_add(BEAT_PAUSE_MS);
        let next_ms =
            sheet.until_ms().filter(|until_ms| *until_ms > now_ms).map_or(beat_ms, |until| until.min(beat_ms));
        self.alarm.set(Some(next_ms));
        is_over
    }
}
