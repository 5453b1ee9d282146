//! One process for one home.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};

use crate::engine::base::Problem;

/// The file inside the home.
const LOCK_FILE: &str = "standin.lock";
/// How long a lock that is taken is tried again.
const LOCK_PATIENCE: Duration = Duration::from_millis(500);
/// From try to try.
const LOCK_PAUSE: Duration = Duration::from_millis(10);
/// Longest text read from it.
const LOCK_TEXT_MAX_BYTES: u64 = 32;

/// Held by the one process that writes this home; the kernel drops it when the process ends, however it ends.
pub(super) struct HomeLock {
    _file: File,
}

impl HomeLock {
    /// Takes it; makes the home where it is missing.
    pub(super) fn take(home: &Path) -> Result<Self, Problem> {
        let failed = |error: std::io::Error| {
            Problem::new(
                format!("cannot open the home {}", home.display()),
                error.to_string(),
                "check that the directory exists and belongs to the user that runs Standin",
            )
        };
        DirBuilder::new().recursive(true).mode(0o700).create(home).map_err(failed)?;
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(home.join(LOCK_FILE))
            .map_err(failed)?;
        if !is_locked_soon(&file) {
            let mut process = String::new();
            // Best effort: the message is as useful without the number.
            let _ = (&file).take(LOCK_TEXT_MAX_BYTES).read_to_string(&mut process);
            let process = process.trim();
            let who = if process.is_empty() { "another process".into() } else { format!("process {process}") };
            return Err(Problem::new(
                format!("cannot open the home {}", home.display()),
                format!("Standin already runs there ({who})"),
                "run `standin` to attach to it, or `standin stop` to stop it first",
            ));
        }
        file.set_len(0).map_err(failed)?;
        writeln!(file, "{}", std::process::id()).map_err(failed)?;
        Ok(Self { _file: file })
    }
}

/// Makes an empty file that only its owner can read, where there is none (spec 9.4).
pub(super) fn make_private(path: &Path) -> Result<(), Problem> {
    let made = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path);
    made.map(drop).map_err(|error| {
        Problem::new(
            format!("cannot open {}", path.display()),
            error.to_string(),
            "check owner and permissions of the home",
        )
    })
}

/// A process that was killed a moment ago, or a child between fork and exec, may hold the lock for some milliseconds more.
fn is_locked_soon(file: &File) -> bool {
    let since = Instant::now();
    loop {
        if flock(file, FlockOperation::NonBlockingLockExclusive).is_ok() {
            return true;
        }
        if since.elapsed() >= LOCK_PATIENCE {
            return false;
        }
        std::thread::sleep(LOCK_PAUSE);
    }
}
