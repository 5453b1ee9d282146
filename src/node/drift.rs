//! When a shadow looks for drift (spec 4.5), and how long it tells of it. Pure: the mirror's thread asks it what is due.
//!
//! A program that writes into the shadow's directory again and again must not keep the machine busy nor fill the history: as
//! long as drift keeps being found, the pause between two looks grows.

/// After a change, before it is looked at: who writes a file writes the next one at once, ms.
const LOOK_AFTER_MS: u64 = 50;
/// Longest pause between two looks, ms.
const PAUSE_MAX_MS: u64 = 10_000;
/// Its alert stands so long after the last drift was found, ms.
const STANDS_MS: u64 = 30_000;

/// What is due.
#[derive(Clone, Copy, Debug, Default)]
pub struct DriftWatch {
    look_at: Option<u64>,
    pause_ms: u64,
    /// When drift was last found, and whether it was put back.
    found_at: Option<u64>,
    /// It could not be put back.
    has_failed: bool,
    /// Paths found since the alert stands.
    paths: u64,
    /// Of the engine's last question that a look answers.
    serial: u64,
}

/// Looks that the engine asked for; one look answers all that were asked for before it began.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asked {
    serial: u64,
    first: u64,
}

impl Asked {
    /// One more; `is_first`: of a time as shadow.
    pub fn ask(&mut self, serial: u64, is_first: bool) {
        self.serial = serial;
        if is_first {
            self.first = serial;
        }
    }
}

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Look.
    Look,
    /// None was found for long enough: its alert is over.
    Over,
    /// Nothing for so long, ms.
    In(u64),
    /// Nothing.
    Nothing,
}

impl DriftWatch {
    /// Something may have changed.
    pub fn changed(&mut self, now_ms: u64) {
        let pause_ms = self.pause_ms.max(LOOK_AFTER_MS);
        self.look_at.get_or_insert(now_ms.saturating_add(pause_ms));
    }

    /// At the start: looked at before the master's next revision is, which would put it back untold.
    fn begin(&mut self, now_ms: u64) {
        self.look_at = Some(now_ms);
    }

    /// What was asked for since: the first look of a time as shadow is made at once.
    pub fn hear(&mut self, asked: Asked, now_ms: u64) {
        if asked.serial <= self.serial {
            return;
        }
        if asked.first > self.serial {
            self.begin(now_ms);
        } else {
            self.changed(now_ms);
        }
        self.serial = asked.serial;
    }

    /// Of the last question that a look which begins now answers.
    #[must_use]
    pub fn serial(&self) -> u64 {
        self.serial
    }

    /// The role is another: nothing is drift any more.
    pub fn stop(&mut self) {
        self.look_at = None;
        self.pause_ms = 0;
        self.has_failed = false;
    }

    /// See [`Due`]. A look that is due counts as begun.
    pub fn due(&mut self, now_ms: u64) -> Due {
        if self.look_at.is_some_and(|at| at <= now_ms) {
            self.look_at = None;
            return Due::Look;
        }
        let over_at = self.found_at.filter(|_| !self.has_failed).map(|at| at.saturating_add(STANDS_MS));
        if over_at.is_some_and(|at| at <= now_ms) {
            *self = Self { look_at: self.look_at, serial: self.serial, ..Self::default() };
            return Due::Over;
        }
        let next = self.look_at.into_iter().chain(over_at).min();
        next.map_or(Due::Nothing, |at| Due::In(at.saturating_sub(now_ms)))
    }

    /// So many paths were put back; 0: there was no drift.
    pub fn found(&mut self, now_ms: u64, paths: u64) {
        self.has_failed = false;
        if paths > 0 {
            self.paths = self.paths.saturating_add(paths);
            self.found_at = Some(now_ms);
            self.pause_ms = (self.pause_ms * 2).clamp(LOOK_AFTER_MS, PAUSE_MAX_MS);
        }
    }

    /// It could not be looked at, or not be put back: tried again.
    pub fn failed(&mut self, now_ms: u64) {
        self.has_failed = true;
        self.paths = self.paths.max(1);
        self.found_at = Some(now_ms);
        self.pause_ms = (self.pause_ms * 2).clamp(LOOK_AFTER_MS, PAUSE_MAX_MS);
        self.changed(now_ms);
    }

    /// For the status: paths found since the alert stands.
    #[must_use]
    pub fn paths(&self) -> u64 {
        self.paths
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// spec 4.5: looked at soon, told for a while, and then over.
    #[test]
    fn is_looked_for_soon_and_told_for_a_while() {
        let mut watch = DriftWatch::default();
        assert_eq!(watch.due(0), Due::Nothing);
        watch.changed(100);
        watch.changed(120);
        assert_eq!((watch.due(120), watch.due(150)), (Due::In(30), Due::Look));
        watch.found(150, 2);
        assert_eq!((watch.paths(), watch.due(150)), (2, Due::In(STANDS_MS)));
        assert_eq!((watch.due(150 + STANDS_MS), watch.paths()), (Due::Over, 0));
        assert_eq!(watch.due(150 + STANDS_MS), Due::Nothing);
        watch.changed(50_000);
        assert_eq!(watch.due(50_050), Due::Look);
        watch.found(50_050, 0);
        assert_eq!(watch.due(50_050), Due::Nothing, "the own writes are no drift");
    }

    /// spec 4.5: who writes again and again is looked at ever more seldom, and a failure is tried again.
    #[test]
    fn who_writes_for_ever_is_looked_at_more_and_more_seldom() {
        let mut watch = DriftWatch::default();
        let (mut now, mut looks) = (0, 0);
        while now < 60_000 {
            watch.changed(now);
            if watch.due(now) == Due::Look {
                looks += 1;
                watch.found(now, 1);
            }
            now += 10;
        }
        assert!((8..20).contains(&looks), "{looks}");
        watch.failed(now);
        assert_eq!(watch.due(now + PAUSE_MAX_MS), Due::Look);
        watch.failed(now + PAUSE_MAX_MS);
        assert_ne!(watch.due(now + STANDS_MS + PAUSE_MAX_MS), Due::Over, "it is not over as long as it fails");
        watch.stop();
        watch.found(now, 0);
        assert_eq!(watch.due(now + STANDS_MS + 20_000), Due::Over);
    }
}
