//! How fast a transfer goes and when its step ends. Pure: the moment comes in.

use std::collections::VecDeque;

use crate::engine::status::Transfer;

/// Told at most so often, ms: a hundred thousand small files are as many calls.
const TOLD_EVERY_MS: u64 = 200;
/// The rate is that of so long, ms.
const RATE_OVER_MS: u64 = 5_000;
/// So many looks are within that time.
const LOOKS_MAX: usize = 26;
/// A rate of a shorter time says nothing, ms.
const RATE_NEEDS_MS: u64 = 400;

/// One transfer, from its first step to its last.
#[derive(Debug, Default)]
pub struct Meter {
    /// When, and how many bytes were done then, oldest first.
    looks: VecDeque<(u64, u64)>,
    last: Option<Transfer>,
}

impl Meter {
    /// What to tell of `transfer` at `now_ms`, with rate and time left; none: something was told a moment ago.
    pub fn look(&mut self, transfer: Transfer, now_ms: u64) -> Option<Transfer> {
        let is_new_step = self.last.is_none_or(|last| last.step != transfer.step);
        if is_new_step {
            self.looks.clear();
        } else if self.looks.back().is_some_and(|(at, _)| now_ms < at + TOLD_EVERY_MS) {
            return None;
        }
        let is_old = |(at, _): &(u64, u64)| at + RATE_OVER_MS < now_ms;
        while self.looks.len() > 1 && (self.looks.len() >= LOOKS_MAX || self.looks.front().is_some_and(is_old)) {
            self.looks.pop_front();
        }
        self.looks.push_back((now_ms, transfer.bytes_done));
        self.last = Some(transfer);
        let (since_ms, done_before) = self.looks.front().copied().unwrap_or((now_ms, 0));
        let took_ms = now_ms.saturating_sub(since_ms);
        let rate = (took_ms >= RATE_NEEDS_MS)
            .then(|| transfer.bytes_done.saturating_sub(done_before).saturating_mul(1_000) / took_ms);
        let left = transfer.bytes_total.saturating_sub(transfer.bytes_done);
        let left_ms = rate.and_then(|rate| left.saturating_mul(1_000).checked_div(rate));
        Some(Transfer { rate, left_ms, ..transfer })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::status::TransferStep;

    /// spec 4.3: progress with a rate and the time left; seldom enough that it costs nothing
    #[test]
    fn the_rate_is_that_of_the_last_seconds() {
        let mut meter = Meter::default();
        let at = |bytes_done| Transfer { bytes_done, bytes_total: 10_000_000, ..Transfer::default() };
        let first = meter.look(at(0), 1_000).unwrap();
        assert_eq!((first.rate, first.left_ms), (None, None));
        assert_eq!(meter.look(at(10), 1_100), None);
        let later = meter.look(at(500_000), 1_500).unwrap();
        assert_eq!((later.rate, later.left_ms), (Some(1_000_000), Some(9_500)));
        // It slows down to a tenth: what was long ago does not count.
        for second in 0..20 {
            meter.look(at(500_000 + second * 100_000), 2_500 + second * 1_000);
        }
        let slow = meter.look(at(2_600_000), 23_500).unwrap();
        assert!((100_000..110_000).contains(&slow.rate.unwrap()), "{slow:?}");
        // A new step begins anew, and is told at once.
        let next = Transfer { step: TransferStep::Verifying, ..at(0) };
        assert_eq!(meter.look(next, 23_501).unwrap().rate, None);
        // Nothing moves: no end in sight.
        assert_eq!(meter.look(next, 24_501).unwrap().left_ms, None);
    }
}
