//! Alerts: one list, each trouble once, gone when its cause is (spec 6). The catalogue is in `alerts::catalogue`.

use serde::{Deserialize, Serialize};

use super::base::UnixMillis;
use super::event::Severity;

pub mod book;
pub mod catalogue;

/// One open alert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// For `alerts delete ID`; never used twice.
    pub id: u64,
    /// Stable: `P-010`.
    pub code: String,
    /// What the trouble is about, so that the same trouble is one alert: a file, a hook, empty where there is only one.
    pub subject: String,
    /// How bad.
    pub severity: Severity,
    /// What kind of trouble.
    pub category: Category,
    /// What happened.
    pub what: String,
    /// Because of what.
    pub why: String,
    /// What it means for the service.
    pub means: String,
    /// What to do, in words; the keys are in `actions`.
    pub todo: String,
    /// First seen.
    pub since: UnixMillis,
    /// Last seen.
    pub last_seen: UnixMillis,
    /// How often.
    pub count: u32,
    /// What the operator can do from here, most useful first.
    pub actions: Vec<AlertAction>,
    /// The trouble is over; this only tells of it.
    pub is_over: bool,
}

/// What kind of trouble (spec 6.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Category {
    /// Roles, link, protection.
    HighAvailability,
    /// Revisions and files.
    Configuration,
    /// Validity.
    Certificate,
    /// Passwords, foreign certificates.
    Security,
    /// Disk, memory.
    Resources,
    /// The service and its hooks.
    Service,
}

impl Category {
    /// For people.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::HighAvailability => "high availability",
            Self::Configuration => "configuration",
            Self::Certificate => "certificate",
            Self::Security => "security",
            Self::Resources => "resources",
            Self::Service => "service",
        }
    }
}

/// What can be done from an alert (spec 6.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertAction {
    /// `r`: push again now, or try the master again now.
    Retry,
    /// `C`: drop the link and transfer everything.
    Reconnect,
    /// `D`.
    Disconnect,
    /// `d`: differences between the two.
    Differences,
    /// `v`: every file on both sides.
    Verify,
    /// `2`: the panel of the pair.
    OpenPair,
    /// `3`: the configuration.
    OpenConfiguration,
    /// `5`: the events.
    OpenEvents,
    /// `T`: become master.
    BecomeMaster,
    /// `o`: the branches kept after a divergence.
    Branches,
}
