//! Whether the timeouts hold (spec 4.2): measured against the real master, judged here. Spans are in microseconds.

use serde::{Deserialize, Serialize};

use super::message::Timing;
use super::settings::table::seconds_text;

/// A timeout holds when it is so many times the longest sample: a loaded machine, a full disk or a lost packet (the system
/// sends it again after 200 ms and more) makes an answer that much later without anything having failed.
pub const FACTOR_WANTED: u64 = 5;
/// Below so many times, the next hiccup breaks it.
pub const FACTOR_NEEDED: u64 = 2;
/// A single lost packet costs so much, ms: a shorter timeout takes it for a failure.
const RETRANSMISSION_MS: u64 = 200;
/// Connections made to measure.
pub const CONNECTS_MEASURED: usize = 7;
/// Answers to checks that are judged, the newest.
pub const REQUESTS_MEASURED: usize = 64;

/// What was measured, to be judged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Measured {
    /// `node-a port 8443`.
    pub master: String,
    /// From dialling to a proved certificate, each, µs.
    pub connects_us: Vec<u64>,
    /// Why a connection was not made, each.
    pub connects_failed: Vec<String>,
    /// From check to answer, each, µs.
    pub requests_us: Vec<u64>,
}

/// To `shadow check-timeouts`: a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeoutReport {
    /// `node-a port 8443`.
    pub master: String,
    /// Connect timeout, request timeout.
    pub rows: Vec<TimeoutRow>,
    /// What else to know.
    pub notes: Vec<String>,
}

/// One timeout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeoutRow {
    /// `connect timeout`
    pub name: String,
    /// As set, ms.
    pub configured_ms: u64,
    /// How many were measured.
    pub samples: u32,
    /// How many came to nothing.
    pub failed: u32,
    /// Half of them took at most so long, µs; none: nothing was measured.
    pub p50_us: Option<u64>,
    /// The longest, µs.
    pub max_us: Option<u64>,
    /// What that means.
    pub verdict: TimeoutVerdict,
    /// Why, and what would happen.
    pub message: String,
}

/// Whether one holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeoutVerdict {
    /// With room to spare.
    Holds,
    /// As long as nothing is slower than it was now.
    Narrow,
    /// It does not.
    Fails,
    /// Nothing could be measured.
    Unknown,
}

impl TimeoutVerdict {
    /// In capitals, as a table shows it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Holds => "HOLDS",
            Self::Narrow => "NARROW",
            Self::Fails => "FAILS",
            Self::Unknown => "UNKNOWN",
        }
    }
}

impl TimeoutReport {
    /// Both hold.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.rows.iter().all(|row| row.verdict == TimeoutVerdict::Holds)
    }
}

/// Judges what was measured against what is set.
#[must_use]
pub fn judge(measured: &Measured, timing: Timing) -> TimeoutReport {
    let connect = Question {
        name: "connect timeout",
        configured_ms: timing.connect_timeout_ms,
        samples: &measured.connects_us,
        failed: &measured.connects_failed,
        what: "connection",
        breaks: "a try to reach the master again would fail although it is there, and a takeover could follow",
        nothing: "the master does not answer now",
    };
    let request = Question {
        name: "request timeout",
        configured_ms: timing.request_timeout_ms,
        samples: &measured.requests_us,
        failed: &[],
        what: "answer",
        breaks: "a check would fail although the master is there: the link is dropped, and the takeover delay runs",
        nothing: "no check was answered in this run; connect first, then ask again",
    };
    let mut notes = Vec::new();
    if measured.connects_us.is_empty() {
        notes.push(format!("{} does not answer: see `shadow show` for the step that fails", measured.master));
    }
    for (name, set_ms) in [("connect", timing.connect_timeout_ms), ("request", timing.request_timeout_ms)] {
        if set_ms <= RETRANSMISSION_MS {
            notes.push(format!(
                "the {name} timeout is not above {RETRANSMISSION_MS} ms: one lost packet counts as a failure"
            ));
        }
    }
    if timing.takeover_delay_ms < timing.connect_timeout_ms {
        notes.push("the takeover delay is shorter than the connect timeout: one slow try uses it up".into());
    }
    TimeoutReport { master: measured.master.clone(), rows: vec![connect.row(), request.row()], notes }
}

struct Question<'a> {
    name: &'static str,
    configured_ms: u64,
    samples: &'a [u64],
    failed: &'a [String],
    what: &'static str,
    breaks: &'static str,
    nothing: &'static str,
}

impl Question<'_> {
    fn row(&self) -> TimeoutRow {
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let mut sorted = self.samples.to_vec();
        sorted.sort_unstable();
        let max_us = sorted.last().copied();
        let (verdict, message) = self.verdict(max_us);
        TimeoutRow {
            name: self.name.into(),
            configured_ms: self.configured_ms,
            samples: count(sorted.len()),
            failed: count(self.failed.len()),
            p50_us: sorted.get(sorted.len().saturating_sub(1) / 2).copied(),
            max_us,
            verdict,
            message,
        }
    }

    fn verdict(&self, max_us: Option<u64>) -> (TimeoutVerdict, String) {
        let Some(max_us) = max_us else {
            let why = self.failed.first().map_or(String::new(), |why| format!(": {why}"));
            return (TimeoutVerdict::Unknown, format!("{}{why}", self.nothing));
        };
        let set = seconds_text(self.configured_ms);
        let factor = self.configured_ms.saturating_mul(1_000) / max_us.max(1);
        let slowest = micros_text(max_us);
        let (what, breaks) = (self.what, self.breaks);
        let (verdict, text) = if factor >= FACTOR_WANTED {
            (TimeoutVerdict::Holds, format!("{set} is {factor} times the slowest {what} ({slowest})"))
        } else if factor >= FACTOR_NEEDED {
            let text = format!(
                "{set} is only {factor} times the slowest {what} ({slowest}), {FACTOR_WANTED} are wanted: under load {breaks}"
            );
            (TimeoutVerdict::Narrow, text)
        } else {
            let wanted_ms = max_us.saturating_mul(FACTOR_WANTED).div_ceil(1_000);
            let text = format!(
                "{set} is too short for the slowest {what} ({slowest}): {breaks}. Set it to {wanted_ms}ms or more"
            );
            (TimeoutVerdict::Fails, text)
        };
        match self.failed.first() {
            None => (verdict, text),
            Some(why) => {
                let all = self.failed.len() + self.samples.len();
                (TimeoutVerdict::Fails, format!("{} of {all} failed ({why}); {text}", self.failed.len()))
            }
        }
    }
}

/// `0.4 ms`
#[must_use]
pub fn micros_text(span_us: u64) -> String {
    format!("{}.{} ms", span_us / 1_000, span_us % 1_000 / 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMING: Timing = Timing {
        check_interval_ms: 1_000,
        takeover_delay_ms: 3_000,
        connect_timeout_ms: 1_000,
        request_timeout_ms: 1_000,
    };

    fn measured(connects_us: &[u64], requests_us: &[u64]) -> Measured {
        let (connects_us, requests_us) = (connects_us.to_vec(), requests_us.to_vec());
        Measured { master: "node-a port 8443".into(), connects_us, requests_us, ..Measured::default() }
    }

    /// spec 4.2: says whether they hold
    #[test]
    fn a_timeout_holds_with_room_to_spare() {
        let report = judge(&measured(&[2_000, 3_000, 200_000], &[400, 300, 500]), TIMING);
        assert!(report.holds() && report.notes.is_empty(), "{report:?}");
        assert_eq!((report.rows[0].p50_us, report.rows[0].max_us), (Some(3_000), Some(200_000)));
        assert!(report.rows[0].message.contains("5 times the slowest connection (200.0 ms)"));

        let narrow = judge(&measured(&[201_000], &[400]), TIMING);
        assert_eq!((narrow.rows[0].verdict, narrow.holds()), (TimeoutVerdict::Narrow, false));
        let short = judge(&measured(&[2_000], &[700_000]), TIMING);
        assert_eq!(short.rows[1].verdict, TimeoutVerdict::Fails);
        assert!(short.rows[1].message.contains("Set it to 3500ms or more"), "{}", short.rows[1].message);
    }

    /// spec 4.2: works also when the master does not answer, and says so
    #[test]
    fn a_silent_master_is_said() {
        let mut silent = measured(&[], &[]);
        silent.connects_failed = vec!["refused".into(); CONNECTS_MEASURED];
        let report = judge(&silent, TIMING);
        assert_eq!(report.rows.iter().map(|row| row.verdict).collect::<Vec<_>>(), [TimeoutVerdict::Unknown; 2]);
        assert_eq!(report.rows[0].message, "the master does not answer now: refused");
        assert!(report.notes[0].contains("node-a port 8443 does not answer"), "{:?}", report.notes);
        let mut half = measured(&[1_000], &[400]);
        half.connects_failed = vec!["timed out".into()];
        let report = judge(&half, TIMING);
        assert!(report.rows[0].verdict == TimeoutVerdict::Fails && report.rows[0].message.starts_with("1 of 2 failed"));
    }

    #[test]
    fn what_one_lost_packet_breaks_is_told() {
        let report = judge(&measured(&[100], &[100]), Timing { request_timeout_ms: 100, ..TIMING });
        assert!(report.holds() && report.notes[0].contains("one lost packet"), "{:?}", report.notes);
    }
}
