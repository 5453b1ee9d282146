//! What the active instance runs, and the commands around it (spec 7.13): std threads and processes, Linux only.
//!
//! ```text
//!  Supervisor (in Standin) ──JSON lines──▶ guard (own process, subreaper) ──fork, exec──▶ the command and all its offspring
//! ```
//!
//! The guard exists so that the service cannot outlive Standin: however Standin dies, the guard reads the end of its
//! standard input and stops everything. If the guard itself is killed, the kernel kills the command (parent-death signal)
//! and Standin finds the rest by the [`MARK`] in their environment.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::engine::base::{Digest, Reason, Role, Term};

pub mod addresses;
pub mod ahead;
pub mod checks;
pub mod guard;
pub mod health;
pub mod hooks;
mod lines;
pub mod priority;
mod procs;
mod protocol;
mod raw;
mod sheet;
mod spawn;
mod supervisor;
pub mod timer;
pub mod unit;

pub use lines::OutputLine;
pub use supervisor::{GuardCommand, Supervisor, Watchdog};

/// Environment variable that every process of the service inherits; its value names the home.
pub const MARK: &str = "STANDIN_GUARD";

/// What service and hooks find in their environment (interfaces, Hooks and service environment).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Env {
    /// `STANDIN_ROLE`
    pub role: Role,
    /// `STANDIN_TERM`
    pub term: Term,
    /// `STANDIN_REVISION`; 0: none yet.
    pub revision: u64,
    /// `STANDIN_ROOT`; empty when none.
    pub root: Option<Digest>,
    /// `STANDIN_REASON`
    pub reason: Reason,
    /// `STANDIN_DIRECTORY`: the mirrored directory.
    pub directory: PathBuf,
    /// `STANDIN_PEER`: host of the other instance; empty when there is none.
    pub peer: String,
}

impl Env {
    /// Names and values. A path that is no UTF-8 is carried with replacement characters.
    #[must_use]
    pub fn variables(&self) -> Vec<(String, String)> {
        [
            ("STANDIN_ROLE", self.role.word().to_owned()),
            ("STANDIN_TERM", self.term.to_string()),
            ("STANDIN_REVISION", self.revision.to_string()),
            ("STANDIN_ROOT", self.root.map(|root| root.to_string()).unwrap_or_default()),
            ("STANDIN_REASON", self.reason.word().to_owned()),
            ("STANDIN_DIRECTORY", self.directory.to_string_lossy().into_owned()),
            ("STANDIN_PEER", self.peer.clone()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec()
    }
}

/// Locks, whatever happened to an earlier holder: what is guarded here stays meaningful after a panic elsewhere.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
