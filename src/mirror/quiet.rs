//! When a directory is quiet enough to be looked at: an editor may still be writing (spec 5.2). Pure.

/// Fires a quiet time after the last change, and at most a limit after the first.
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

    /// How many ms until it is time to look, 0: now; none: nothing changed.
    #[must_use]
    pub fn due(&self, now_ms: u64) -> Option<u64> {
        let (first, last) = self.pending?;
        let at = last.saturating_add(self.quiet_ms).min(first.saturating_add(self.limit_ms));
        Some(at.saturating_sub(now_ms))
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
        assert_eq!(quiet.due(5), None);
        quiet.changed(10);
        assert_eq!(quiet.due(10), Some(20));
        quiet.changed(25);
        assert_eq!(quiet.due(30), Some(15));
        assert_eq!(quiet.due(45), Some(0));
        (30..=105).step_by(5).for_each(|now| quiet.changed(now));
        assert_eq!(quiet.due(105), Some(5));
        assert_eq!(quiet.due(500), Some(0));
        quiet.clear();
        assert_eq!(quiet.due(500), None);
    }
}
