//! How often the command has ended, how long to wait, and when it counts as failing (spec 7.13).

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::service::protocol::Start;

/// The longest pause before a restart; also that of a failing service.
pub const RESTART_PAUSE_MAX: Duration = Duration::from_secs(30);
/// The shortest pause but the first, so that doubling gets somewhere and nothing restarts in a tight loop.
const RESTART_PAUSE_MIN: Duration = Duration::from_millis(100);
/// After so much running the next restart begins with the first pause again.
const RUN_RESETS_PAUSE: Duration = Duration::from_secs(60);
/// Most ends remembered, whatever the limit.
const ENDS_MAX: usize = 1_001;

/// What one end of the command leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Start again after this.
    pub pause: Duration,
    /// It has just become failing: it ended so often within the window.
    pub became_failing: Option<u32>,
}

/// Counts.
#[derive(Debug, Default)]
pub struct Restarts {
    first: Duration,
    pause: Duration,
    limit: u32,
    window: Duration,
    ends: VecDeque<Instant>,
    is_failing: bool,
}

impl Restarts {
    /// Of a command that is started for the first time.
    pub fn of(start: &Start) -> Self {
        Self::new(start.restart_pause_ms, start.restart_limit, start.restart_window_ms)
    }

    /// First pause, limit (0: none) and its window.
    pub fn new(pause_ms: u64, limit: u32, window_ms: u64) -> Self {
        let first = Duration::from_millis(pause_ms);
        Self { first, pause: first, limit, window: Duration::from_millis(window_ms), ..Self::default() }
    }

    /// It ended now, after running so long.
    pub fn ended(&mut self, now: Instant, ran: Duration) -> Verdict {
        if ran >= RUN_RESETS_PAUSE {
            self.pause = self.first;
        }
        self.ends.push_back(now);
        while self.ends.len() > ENDS_MAX
            || self.ends.front().is_some_and(|end| now.saturating_duration_since(*end) > self.window)
        {
            self.ends.pop_front();
        }
        let ended = u32::try_from(self.ends.len()).unwrap_or(u32::MAX);
        let is_over = self.limit > 0 && ended > self.limit;
        let became_failing = (is_over && !self.is_failing).then_some(ended);
        self.is_failing |= is_over;
        let pause = if self.is_failing { RESTART_PAUSE_MAX } else { self.pause };
        self.pause = (self.pause * 2).clamp(RESTART_PAUSE_MIN, RESTART_PAUSE_MAX);
        Verdict { pause, became_failing }
    }

    /// When it counts as steady again, if it runs since then.
    pub fn steady_at(&self, since: Instant) -> Option<Instant> {
        self.is_failing.then(|| since + self.window)
    }

    /// It runs since then. True: it is not failing any more.
    pub fn is_steady(&mut self, now: Instant, since: Instant) -> bool {
        let is_steady = self.steady_at(since).is_some_and(|at| now >= at);
        if is_steady {
            self.is_failing = false;
            self.ends.clear();
            self.pause = self.first;
        }
        is_steady
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn restarts(limit: u32, window: Duration) -> Restarts {
        Restarts { first: SECOND, pause: SECOND, limit, window, ..Restarts::default() }
    }

    /// spec 7.13: past the restart limit it is failing, told once, and waits the longest pause
    #[test]
    fn more_ends_than_the_limit_within_the_window_are_failing() {
        let start = Instant::now();
        let mut restarts = restarts(2, SECOND * 100);
        for (at, pause, became_failing) in [(0, 1, None), (10, 2, None), (20, 30, Some(3)), (60, 30, None)] {
            let verdict = restarts.ended(start + SECOND * at, SECOND);
            assert_eq!(verdict, Verdict { pause: SECOND * pause, became_failing }, "at {at} s");
        }
        let since = start + SECOND * 90;
        assert!(!restarts.is_steady(since + SECOND * 99, since));
        assert!(restarts.is_steady(since + SECOND * 100, since), "ran for a whole window");
        assert_eq!(restarts.ended(start + SECOND * 300, SECOND * 200).pause, SECOND, "all is forgiven");
    }

    /// spec 7.13: ends that lie apart are no failing, nor is anything without a limit
    #[test]
    fn rare_ends_and_no_limit_are_not_failing() {
        let start = Instant::now();
        let mut rare = restarts(1, SECOND * 10);
        let mut free = restarts(0, SECOND * 10_000);
        for at in 0..2_000 {
            assert_eq!(rare.ended(start + SECOND * 11 * at, SECOND).became_failing, None);
            assert_eq!(free.ended(start + SECOND * at, SECOND).became_failing, None);
        }
        assert!(free.ends.len() <= ENDS_MAX, "architecture, wall 5");
    }
}
