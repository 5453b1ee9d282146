//! Settings of the mirrored directory (spec 5).

use serde::{Deserialize, Serialize};

use super::{History, duration};

/// The mirrored directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Configuration {
    /// Absolute path; none: `configuration` under the home.
    pub directory: Option<String>,
    /// How long the directory must be quiet before a change is committed: 0 to 60 s.
    #[serde(with = "duration")]
    pub quiet_time: u64,
    /// The longest wait for quiet, and for the next write to a file that is open and was written to: up to 10 min.
    #[serde(with = "duration")]
    pub quiet_time_limit: u64,
    /// A larger file stops the commit with an alert. Bytes.
    pub file_size_limit: u64,
    /// How much of the history is kept (spec 5.6).
    pub history: History,
    /// Paths that are not mirrored, in the syntax of a `.gitignore` (spec 5.2). At most [`super::patterns::PATTERNS_MAX`].
    pub exclude: Vec<String>,
    /// Owner and group of each path are mirrored, by name.
    pub owners: bool,
    /// The operator's own judgement of a change (spec 5.4).
    pub validate: Validate,
}

/// A command that judges a change before it is committed (spec 5.4).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Validate {
    /// Program and arguments; exit status 0 lets the change pass. Empty: every change passes.
    pub command: Vec<String>,
    /// For one run: 100 ms to 10 min; then it is killed, and the change is held back.
    #[serde(with = "duration")]
    pub timeout: u64,
}

impl Default for Validate {
    fn default() -> Self {
        Self { command: Vec::new(), timeout: 10_000 }
    }
}

impl Default for Configuration {
    fn default() -> Self {
        Self {
            directory: None,
            quiet_time: 20,
            quiet_time_limit: 2_000,
            file_size_limit: 64 * 1024 * 1024,
            history: History::default(),
            exclude: Vec::new(),
            owners: false,
            validate: Validate::default(),
        }
    }
}
