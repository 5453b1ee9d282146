//! What happened, one line each: the Events screen, `standin events`, the program log.

use serde::{Deserialize, Serialize};

use super::base::UnixMillis;

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
