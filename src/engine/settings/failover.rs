//! How long a failover may take at most: from the death of the master to the start of the service on the other side, that
//! start itself not counted (spec 7.1, 7.2, 7.11). Pure arithmetic over the settings of one instance.
//!
//! All counts run side by side from the last sign of life of the master, which is at the latest its death: the shadow finds
//! out and waits its delay; its own promise runs out; the lease at the arbiter runs out. When the last of them is over the
//! takeover checks run and the arbiter is asked for the term.

use super::table::seconds_text;
use super::{Arbiter, Settings};

/// A lease may outlive its time to live by so much at the arbiter, which looks for such leases now and then. Ms.
pub const LEASE_LATE_MS: u64 = 1_000;
/// A shadow that only lacks the grant asks for it at least and at most so often. Ms.
const POLL_MS: (u64, u64) = (250, 1_000);

/// How often a shadow that only lacks the grant asks for it.
#[must_use]
pub fn poll_ms(arbiter: &Arbiter) -> u64 {
    (arbiter.hold / 6).clamp(POLL_MS.0, POLL_MS.1)
}

/// What the longest possible failover is made of. All in ms; what is not configured is 0. With an arbiter each wait is counted
/// on a clock as slow as is allowed for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Failover {
    /// From the last answered check to the failed one: check interval and request timeout.
    pub detection_ms: u64,
    /// The takeover delay, counted from the failed check.
    pub delay_ms: u64,
    /// The shadow's last promise.
    pub promise_ms: u64,
    /// The lease at the arbiter, until etcd has really ended it.
    pub lease_ms: u64,
    /// Takeover checks, after the longest of these.
    pub checks_ms: u64,
    /// Until the shadow asks for the term again, and the answer.
    pub question_ms: u64,
}

/// Of these settings. On a master the timing has to be the shadow's, as it told.
#[must_use]
pub fn longest_failover(settings: &Settings) -> Failover {
    let (shadow, arbiter) = (&settings.shadow, &settings.arbiter);
    let checks = &settings.takeover_checks;
    let mut parts = Failover {
        detection_ms: shadow.check_interval.saturating_add(shadow.request_timeout),
        delay_ms: shadow.takeover_delay,
        checks_ms: if checks.is_empty() { 0 } else { checks.timeout },
        ..Failover::default()
    };
    if arbiter.is_set() {
        let error = u64::from(arbiter.clock_error).min(999);
        let stretched = |span_ms: u64| span_ms.saturating_mul(1_000 + error).div_ceil(1_000 - error);
        parts.detection_ms = stretched(parts.detection_ms);
        parts.delay_ms = stretched(parts.delay_ms);
        parts.promise_ms = stretched(arbiter.promise_ms());
        parts.lease_ms = stretched(arbiter.lease_s().saturating_mul(1_000).saturating_add(LEASE_LATE_MS));
        parts.question_ms = poll_ms(arbiter).saturating_add(arbiter.request_timeout);
    }
    parts
}

/// The longest time from the death of the master to the start of the service on the other side, in ms.
#[must_use]
pub fn longest_failover_ms(settings: &Settings) -> u64 {
    longest_failover(settings).total_ms()
}

impl Failover {
    /// The longest of what runs side by side, and what follows it.
    #[must_use]
    pub fn total_ms(&self) -> u64 {
        let noticed_ms = self.detection_ms.saturating_add(self.delay_ms);
        let waited_ms = noticed_ms.max(self.promise_ms).max(self.lease_ms);
        waited_ms.saturating_add(self.checks_ms).saturating_add(self.question_ms)
    }

    /// `longest failover 13 s: lease 12 s, then 1 s to ask for the term`: what decides, and what follows it.
    #[must_use]
    pub fn text(&self) -> String {
        let noticed_ms = self.detection_ms.saturating_add(self.delay_ms);
        let decides = if self.lease_ms >= noticed_ms.max(self.promise_ms) && self.lease_ms > 0 {
            format!("the arbiter's lease has ended after {}", seconds_text(self.lease_ms))
        } else if self.promise_ms > noticed_ms {
            format!("the shadow's promise has ended after {}", seconds_text(self.promise_ms))
        } else {
            format!("noticed within {}, delay {}", seconds_text(self.detection_ms), seconds_text(self.delay_ms))
        };
        let mut parts = vec![decides];
        if self.checks_ms > 0 {
            parts.push(format!("checks {}", seconds_text(self.checks_ms)));
        }
        if self.question_ms > 0 {
            parts.push(format!("asking for the term {}", seconds_text(self.question_ms)));
        }
        format!("{}: {}", seconds_text(self.total_ms()), parts.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// spec 7.1, 7.2: without an arbiter, noticing and delay follow each other, and the checks follow both.
    #[test]
    fn without_an_arbiter_it_is_detection_and_delay() {
        let mut settings = Settings::default();
        assert_eq!(longest_failover_ms(&settings), 5_000);
        settings.takeover_checks.tcp = vec!["gateway:443".into()];
        assert_eq!(longest_failover_ms(&settings), 6_000);
        assert_eq!(longest_failover(&settings).text(), "6 s: noticed within 2 s, delay 3 s, checks 1 s");
    }

    /// spec 7.11: promise and lease run beside detection and delay; the longest counts, then the question for the term.
    #[test]
    fn with_an_arbiter_the_longest_wait_counts() {
        let mut settings = Settings::default();
        settings.arbiter.endpoints = vec!["https://etcd:2379".into()];
        let parts = longest_failover(&settings);
        // (4 s + 6 s) * 1005 / 995 = 10.101 s, a lease of 11 s and up to 1 s until it is ended; times 1005 / 995 again.
        assert_eq!((parts.promise_ms, parts.lease_ms, parts.question_ms), (10_203, 12_121, 1_666));
        assert_eq!(parts.total_ms(), 13_787);
        assert!(parts.text().starts_with("13.8 s: the arbiter's lease has ended after 12.2 s"));
        settings.shadow.takeover_delay = 20_000;
        assert_eq!(longest_failover_ms(&settings), 2_021 + 20_202 + 1_666, "a longer delay covers the lease");
    }
}
