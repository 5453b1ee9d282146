//! How far the clocks of the two are apart (spec 6.5): an alert, and nothing else; wall time decides nothing.

use std::collections::VecDeque;

use super::core::Engine;
use super::settings::table::seconds_text;

/// Samples judged together.
const SAMPLES_MAX: usize = 9;
/// Fewer say nothing.
const SAMPLES_MIN: usize = 3;
/// What is shown moves in steps of so many milliseconds, so that an idle pair gives an equal status.
const SHOWN_STEP_MS: u64 = 50;

/// The peer's clock against the own one. Positive: the peer's is ahead.
#[derive(Clone, Debug, Default)]
pub(super) struct Clocks {
    samples: VecDeque<i64>,
    shown_ms: Option<i64>,
    /// The difference and its limit for which the alert stands or does not: said with every check, and mostly the same.
    judged: Option<(i64, u64)>,
}

impl Clocks {
    /// Judged over several samples; none: too few yet.
    pub fn difference(&self) -> Option<i64> {
        self.shown_ms
    }

    /// A new connection: another peer, or a clock that was set meanwhile.
    pub fn forget(&mut self) {
        *self = Self::default();
    }

    /// One sample. The median, because one answer that was held up says little.
    fn take(&mut self, sample_ms: i64) {
        if self.samples.len() >= SAMPLES_MAX {
            self.samples.pop_front();
        }
        self.samples.push_back(sample_ms);
        if self.samples.len() < SAMPLES_MIN {
            return;
        }
        let mut sorted: Vec<i64> = self.samples.iter().copied().collect();
        sorted.sort_unstable();
        self.show(sorted[sorted.len() / 2]);
    }

    fn show(&mut self, median_ms: i64) {
        if self.shown_ms.is_none_or(|shown| shown.abs_diff(median_ms) >= SHOWN_STEP_MS) {
            self.shown_ms = Some(median_ms);
        }
    }
}

impl Engine {
    /// The master's answer to a check carried its clock; it read it half a round trip ago.
    pub(super) fn clock_told(&mut self, peer_wall_ms: Option<i64>, round_trip_ms: u64) {
        let Some(theirs) = peer_wall_ms else { return };
        let half_ms = i64::try_from(round_trip_ms / 2).unwrap_or(i64::MAX);
        self.clocks.take(theirs.saturating_add(half_ms).saturating_sub(self.now.wall.0));
        self.judge_clocks();
    }

    /// The shadow measured it: on this side it is the other way round.
    pub(super) fn clock_difference_told(&mut self, peer_saw_ms: Option<i64>) {
        let Some(seen) = peer_saw_ms else { return };
        self.clocks.show(seen.saturating_neg());
        self.judge_clocks();
    }

    fn judge_clocks(&mut self) {
        let Some(difference_ms) = self.clocks.difference() else { return };
        let limit_ms = self.in_force().alerting.clock_difference;
        if self.clocks.judged.replace((difference_ms, limit_ms)) == Some((difference_ms, limit_ms)) {
            return;
        }
        if difference_ms.unsigned_abs() <= limit_ms {
            return self.settle("R-010", "");
        }
        let which = if difference_ms > 0 { "ahead of" } else { "behind" };
        let (by, limit) = (seconds_text(difference_ms.unsigned_abs()), seconds_text(limit_ms));
        let why = format!("the clock of {} is {by} {which} this one; {limit} is allowed", self.peer_name());
        if self.clocks_alerted() != Some(why.as_str()) {
            self.hold_alert("R-010", "", &why);
        }
    }

    /// What the alert says now.
    fn clocks_alerted(&self) -> Option<&str> {
        self.book.why_of("R-010", "")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// spec 6.5: judged over several samples, and one that was held up does not count
    #[test]
    fn one_late_answer_says_nothing() {
        let mut clocks = Clocks::default();
        clocks.take(9_000);
        clocks.take(10);
        assert_eq!(clocks.difference(), None);
        clocks.take(12);
        assert_eq!(clocks.difference(), Some(12));
        clocks.take(40);
        assert_eq!(clocks.difference(), Some(12), "an idle pair gives an equal status");
        for _ in 0..SAMPLES_MAX {
            clocks.take(-3_000);
        }
        assert_eq!(clocks.difference(), Some(-3_000));
        clocks.forget();
        assert_eq!(clocks.difference(), None);
    }
}
