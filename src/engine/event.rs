//! What happened, one line each: the Events screen, `standin events`, the program log.

use serde::{Deserialize, Serialize};

use super::base::UnixMillis;
use super::status::TimelineEntry;

/// One thing that happened. The node numbers and keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Grows; 0 until it is kept.
    #[serde(default)]
    pub id: u64,
    /// When.
    pub at: UnixMillis,
    /// What it is about.
    pub kind: EventKind,
    /// How much it matters.
    pub severity: Severity,
    /// One sentence.
    pub text: String,
    /// Who, for what a person or a command did.
    #[serde(default)]
    pub who: Option<String>,
    /// Of a change of roles: how it came about, line by line; shown as one unit with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub timeline: Vec<TimelineEntry>,
}

impl Event {
    /// The lines of its timeline: the moment to the millisecond, how long after the line before, and what.
    #[must_use]
    pub fn timeline_text(&self) -> Vec<String> {
        timeline_text(&self.timeline)
    }
}

/// `14:29:21.104Z     +1004 ms  check failed, reconnecting`; the first line has no span.
#[must_use]
pub fn timeline_text(timeline: &[TimelineEntry]) -> Vec<String> {
    let mut before: Option<UnixMillis> = None;
    let mut lines = Vec::with_capacity(timeline.len());
    for entry in timeline {
        let span =
            before.map_or_else(String::new, |before| format!("+{} ms", entry.at.0.saturating_sub(before.0).max(0)));
        before = Some(entry.at);
        lines.push(format!("{}  {span:>10}  {}", entry.at.clock(3), entry.text));
    }
    lines
}

/// What an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// Role, term, takeover, switch.
    Role,
    /// Connections and checks.
    Link,
    /// Revisions and transfers.
    Configuration,
    /// The service and hooks.
    Service,
    /// An order of an operator.
    Order,
    /// Passwords, certificates, refusals.
    Security,
    /// Start, stop, settings, disk.
    Program,
}

impl EventKind {
    /// One word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Role => "role",
            Self::Link => "link",
            Self::Configuration => "configuration",
            Self::Service => "service",
            Self::Order => "order",
            Self::Security => "security",
            Self::Program => "program",
        }
    }
}

/// How much something matters (spec 6.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Good to know.
    Information,
    /// Something will not work, or did not.
    Warning,
    /// Something does not work.
    Error,
}

impl Severity {
    /// In capitals, as lists show it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Information => "INFO",
            Self::Warning => "WARNING",
            Self::Error => "ERROR",
        }
    }
}
