//! When a directory is quiet enough to be looked at: an editor may still be writing (spec 5.2). Pure.

/// More changed paths than this are a deployment, not the edit of a file with what an editor leaves around it.
pub const FEW_PATHS: usize = 4;
/// While many paths change the quiet time grows with the time they have been changing, up to so many times.
const LONGEST: u64 = 10;

/// Fires a quiet time after the last change, and at most a limit after the first. The longer many paths have been changing,
/// the longer the quiet must last: what makes them has its own pauses, and is to become one revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quiet {
    quiet_ms: u64,
    limit_ms: u64,
    /// First and last change not yet dealt with, ms.
    pending: Option<(u64, u64)>,
}

impl Quiet {
    /// `quiet_ms` after the last change, `limit_ms` after the first.
    #[must_use]
    pub fn new(quiet_ms: u64, limit_ms: u64) -> Self {
        Self { quiet_ms, limit_ms, pending: None }
    }

    /// Something changed.
    pub fn changed(&mut self, now_ms: u64) {
        let first = self.pending.map_or(now_ms, |(first, _)| first);
        self.pending = Some((first, now_ms));
    }

    /// Somebody is at work: what waits, waits on; nothing else is noted.
    pub fn at_work(&mut self, now_ms: u64) {
        if self.pending.is_some() {
            self.changed(now_ms);
        }
    }

    /// Something changed and was not dealt with.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        self.pending.is_some()
    }

    /// How many ms until it is time to look, 0: now; none: nothing changed. `paths` have changed in all.
    #[must_use]
    pub fn due(&self, now_ms: u64, paths: usize) -> Option<u64> {
        let (first, last) = self.pending?;
        let lasting_ms = last.saturating_sub(first) / 2;
        let more_ms = if paths > FEW_PATHS { lasting_ms.min(self.quiet_ms.saturating_mul(LONGEST)) } else { 0 };
        let at = last.saturating_add(self.quiet_ms).saturating_add(more_ms).min(self.latest(first));
        Some(at.saturating_sub(now_ms))
    }

    /// It is not waited for any longer, whatever still comes.
    #[must_use]
    pub fn is_late(&self, now_ms: u64) -> bool {
        self.pending.is_none_or(|(first, _)| now_ms >= self.latest(first))
    }

    fn latest(&self, first: u64) -> u64 {
        first.saturating_add(self.limit_ms)
    }

    /// It is being looked at now; what changes from here on counts anew.
    pub fn clear(&mut self) {
        self.pending = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// spec 5.2
    #[test]
    fn waits_for_quiet_but_not_for_ever() {
        let mut quiet = Quiet::new(20, 100);
        assert_eq!(quiet.due(5, 1), None);
        quiet.at_work(5);
        assert!(!quiet.is_pending(), "a temporary file alone is no reason");
        quiet.changed(10);
        assert_eq!(quiet.due(10, 1), Some(20));
        quiet.changed(25);
        assert_eq!(quiet.due(30, 1), Some(15));
        assert_eq!(quiet.due(45, 1), Some(0));
        (30..=105).step_by(5).for_each(|now| quiet.changed(now));
        assert_eq!(quiet.due(105, 1), Some(5));
        assert_eq!(quiet.due(500, 1), Some(0));
        quiet.clear();
        assert_eq!(quiet.due(500, 1), None);
    }

    /// spec 5.2: a deployment with pauses of its own is waited for, within the limit
    #[test]
    fn the_longer_many_change_the_longer_quiet_must_last() {
        let mut quiet = Quiet::new(20, 2_000);
        for at in (0..=300).step_by(15) {
            quiet.changed(at);
        }
        assert_eq!(quiet.due(300, FEW_PATHS), Some(20), "a single large file: at most the quiet time");
        assert_eq!(quiet.due(300, FEW_PATHS + 1), Some(170));
        quiet.at_work(400);
        assert_eq!(quiet.due(400, 100), Some(220), "at most ten times as long");
        assert!(!quiet.is_late(1_999) && quiet.is_late(2_000));
        (400..=1_990).step_by(10).for_each(|at| quiet.changed(at));
        assert_eq!(quiet.due(1_990, 100), Some(10), "the limit counts from the first change");
    }
}
