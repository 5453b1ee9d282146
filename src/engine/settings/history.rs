//! How much of the history is kept (spec 5.6).

use serde::{Deserialize, Serialize};

use super::duration;

/// How much of the history is kept: what exceeds one of these goes, oldest first. Never the newest revision, what the other
/// instance still needs, nor a branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct History {
    /// Revisions: 10 to 100,000.
    pub count: u64,
    /// From then on: 1 h to 10 years.
    #[serde(with = "duration")]
    pub age: u64,
    /// What only older revisions, or drifts, need, packed: 1 MiB to 1 TiB. Bytes.
    pub size: u64,
}

impl Default for History {
    fn default() -> Self {
        // A year.
        Self { count: 10_000, age: 365 * 24 * 3_600_000, size: 1024 * 1024 * 1024 }
    }
}
