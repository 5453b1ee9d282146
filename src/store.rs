//! SQLite in the home: what must outlive a crash, and the one place with SQL.
//!
//! Three connections to one file, so that a short durable write (a term) never queues in the process behind a long one
//! (contents): the record, alerts and events, the mirror. All calls block, and are short.

mod contents;
mod drifts;
mod exchange;
mod facts;
mod forget;
mod large;
mod listing;
mod lock;
mod log;
mod loose;
mod notes;
mod owners;
mod record;
mod reserve;
mod retention;
mod revisions;
mod schema;
mod stuck;
mod traces;
mod tree;
mod turns;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicI64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};

pub use self::contents::{CONTENT_MAX_BYTES, Packed};
pub use self::drifts::{DRIFT, DRIFTS_MAX, DroppedDrift};
pub use self::exchange::{abandon_exchange, begin_exchange, exchange, is_exchange_open};
pub use self::forget::{FORGETS_DUE_MAX, Forgotten};
pub use self::large::{LARGE_BYTES, PIECE_BYTES};
pub use self::log::Counts;
pub use self::notes::EVENTS_MAX;
pub use self::retention::{Retention, Tidying};
pub use self::revisions::{BranchPlan, Commit, NewRevision, RevisionRow};
pub use self::tree::TreeRow;
use crate::engine::base::Problem;

/// The file inside the home.
const DATABASE: &str = "standin.db";
/// What to do about a full disk,
const NO_SPACE: &str = "free space on the disk of the home";
/// and about one that may be full, or broken.
const NO_DISK: &str = "check the disk of the home";
/// Files of a transfer that are written aside, in the home: of use to the process alone that wrote them.
pub const STAGE: &str = "stage";
/// Longest wait for another connection's write, ms.
const BUSY_LIMIT_MS: u64 = 10_000;
/// Prepared statements kept on each connection.
const STATEMENTS_MAX: usize = 64;
/// Pages in the write-ahead log at which the record's own connection would tidy up; the other two do so long before.
const RECORD_CHECKPOINT_PAGES: u32 = 20_000;

/// The home's database. Cloning shares it; calls from several threads take turns.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    home: PathBuf,
    record: Mutex<Connection>,
    notes: Mutex<Connection>,
    mirror: Mutex<Connection>,
    /// Taken by each write but those of single alerts and events.
    turns: turns::Turns,
    /// The row of contents up to which some revision may name each; later ones came since the last commit.
    named_up_to: AtomicI64,
    /// The last rows when it was last looked for contents that nothing names.
    looked_at: Mutex<Option<(i64, i64)>>,
    /// The file of the database. Once open it stays so: when a process closes it, the system drops all locks of SQLite on it.
    raw: Mutex<Option<File>>,
    /// How often all was written anew.
    #[cfg(test)]
    rewrites: std::sync::atomic::AtomicU32,
    /// Space for the record; given up when the disk is full.
    reserve: reserve::Reserve,
    /// Held as long as the store is open for writing.
    _lock: Option<lock::HomeLock>,
    #[cfg(test)]
    crash: Arc<crate::mirror::testing::Crash>,
}

impl Store {
    /// Opens the home for writing, as the only process to do so; makes home and database where they are missing.
    ///
    /// # Errors
    /// When another process has it open (named), when it belongs to a newer Standin, or when it cannot be read or written.
    pub fn open(home: &Path) -> Result<Self, Problem> {
        let lock = lock::HomeLock::take(home)?;
        exchange::move_all(home)?;
        let path = home.join(DATABASE);
        lock::make_private(&path)?;
        let (record, notes, mirror) = Self::connect_all(&path).or_else(|problem| {
            if ![NO_SPACE, NO_DISK].contains(&problem.todo.as_str()) {
                return Err(problem);
            }
            // What is kept for this is given up; else what an interrupted transfer left, which comes again.
            let is_room = reserve::Reserve::of(home).give_up();
            let again = if is_room { Self::connect_all(&path) } else { Err(problem) };
            again.or_else(|problem| match std::fs::remove_dir_all(home.join(STAGE)) {
                Ok(()) => Self::connect_all(&path),
                Err(_) => Err(problem),
            })
        })?;
        let tune = |connection: &Connection, name: &str, value: u32| {
            connection.pragma_update(None, name, value).map_err(|error| trouble("open the database", &error))
        };
        tune(&record, "wal_autocheckpoint", RECORD_CHECKPOINT_PAGES)?;
        // Alerts and events need no fsync of their own: the next durable write carries them.
        tune(&notes, "synchronous", 1)?;
        owners::load(&mirror)?;
        let store = Self::of(home, record, notes, mirror, Some(lock));
        store.inner.reserve.keep();
        Ok(store)
    }

    /// The three connections, to a database with all tables.
    fn connect_all(path: &Path) -> Result<(Connection, Connection, Connection), Problem> {
        let mut record = connect(path, false)?;
        schema::prepare(&mut record, path)?;
        Ok((record, connect(path, false)?, connect(path, false)?))
    }

    /// Opens it for reading, whether or not another process runs it; for commands when nothing runs.
    ///
    /// # Errors
    /// When there is none, it belongs to a newer Standin, or it cannot be read.
    pub fn open_read_only(home: &Path) -> Result<Self, Problem> {
        let path = home.join(DATABASE);
        if !path.exists() {
            return Err(Problem::new(
                format!("cannot read {}", path.display()),
                "there is no Standin in this home",
                "name the right home with --home, or set it up with `standin setup`",
            ));
        }
        let record = connect(&path, true)?;
        schema::check(&record, &path)?;
        owners::load(&record)?;
        Ok(Self::of(home, record, connect(&path, true)?, connect(&path, true)?, None))
    }

    fn of(home: &Path, a: Connection, b: Connection, c: Connection, lock: Option<lock::HomeLock>) -> Self {
        // Where it cannot be read nothing counts as a drift's alone.
        let named_up_to = AtomicI64::new(drifts::newest_content(&c).unwrap_or(i64::MAX));
        let inner = Inner {
            home: home.to_owned(),
            record: Mutex::new(a),
            notes: Mutex::new(b),
            mirror: Mutex::new(c),
            turns: turns::Turns::default(),
            named_up_to,
            looked_at: Mutex::default(),
            raw: Mutex::default(),
            #[cfg(test)]
            rewrites: std::sync::atomic::AtomicU32::default(),
            reserve: reserve::Reserve::of(home),
            _lock: lock,
            #[cfg(test)]
            crash: Arc::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// The home it is in.
    #[must_use]
    pub fn home(&self) -> &Path {
        &self.inner.home
    }

    /// Where a test may let a write fail, or the program die.
    #[cfg(test)]
    pub(crate) fn crash(&self) -> Arc<crate::mirror::testing::Crash> {
        Arc::clone(&self.inner.crash)
    }

    /// How often everything was written anew.
    #[cfg(test)]
    pub(crate) fn rewrites(&self) -> u32 {
        self.inner.rewrites.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// Before each write of the mirror: a test may let it fail.
    #[cfg_attr(not(test), allow(clippy::unused_self, clippy::unnecessary_wraps))]
    fn write_point(&self) -> Result<(), Problem> {
        #[cfg(test)]
        self.inner.crash.point()?;
        Ok(())
    }

    fn record(&self) -> MutexGuard<'_, Connection> {
        // A panic in another caller leaves no half-done transaction: SQLite rolled it back.
        self.inner.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn notes(&self) -> MutexGuard<'_, Connection> {
        self.inner.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn mirror(&self) -> MutexGuard<'_, Connection> {
        self.inner.mirror.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The same to write with: the turn comes after the connection, so that whoever has it waits for nobody who reads.
    fn mirror_turn(&self) -> (MutexGuard<'_, Connection>, turns::Turn<'_>) {
        let connection = self.mirror();
        let turn = self.inner.turns.patient();
        (connection, turn)
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Store({})", self.inner.home.display())
    }
}

fn connect(path: &Path, is_read_only: bool) -> Result<Connection, Problem> {
    let access = if is_read_only { OpenFlags::SQLITE_OPEN_READ_ONLY } else { OpenFlags::SQLITE_OPEN_READ_WRITE };
    let flags = access | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let open = || -> rusqlite::Result<Connection> {
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(Duration::from_millis(BUSY_LIMIT_MS))?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
        if !is_read_only {
            // Before the first page is written: pages that get free can be given back.
            connection.pragma_update(None, "auto_vacuum", "incremental")?;
            // What is removed from the history is overwritten (spec 5.6, forget).
            connection.pragma_update(None, "secure_delete", "on")?;
            connection.pragma_update(None, "journal_mode", "wal")?;
            connection.pragma_update(None, "synchronous", "full")?;
            connection.pragma_update(None, "foreign_keys", "on")?;
        }
        Ok(connection)
    };
    open().map_err(|error| trouble(&format!("open {}", path.display()), &error))
}

/// What SQLite said, for people.
fn trouble(action: &str, error: &rusqlite::Error) -> Problem {
    let todo = match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => NO_SPACE,
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            "the database is damaged: restore it from a backup, or move it away and set this instance up anew"
        }
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
            "check owner and permissions of the home, and that its disk is not mounted read-only"
        }
        Some(ErrorCode::SystemIoFailure) => NO_DISK,
        _ => "",
    };
    Problem::new(format!("cannot {action}"), error.to_string(), todo)
}

#[cfg(test)]
mod tests;
