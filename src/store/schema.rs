//! The tables, and their version.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::trouble;
use crate::engine::base::Problem;

/// Version of the tables below.
pub(super) const SCHEMA: i64 = 1;

pub(super) const TABLES: &str = "
CREATE TABLE record (id INTEGER PRIMARY KEY CHECK (id = 1), json TEXT NOT NULL);
CREATE TABLE fact (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE alert (id INTEGER PRIMARY KEY, json TEXT NOT NULL);
CREATE TABLE event (id INTEGER PRIMARY KEY AUTOINCREMENT, json TEXT NOT NULL);

-- encoding: 0 as it is, 1 lz4, 2 zstd. size: of the bytes as they are.
CREATE TABLE content (digest BLOB NOT NULL PRIMARY KEY, encoding INTEGER NOT NULL, size INTEGER NOT NULL, bytes BLOB NOT NULL);

CREATE TABLE branch (name TEXT PRIMARY KEY, json TEXT NOT NULL);
-- branch: null for the main line, on which each revision's parent is the one with the next lower number.
CREATE TABLE revision (
    id INTEGER PRIMARY KEY AUTOINCREMENT, number INTEGER NOT NULL, term INTEGER NOT NULL, root BLOB NOT NULL,
    parent INTEGER, author TEXT NOT NULL, at INTEGER NOT NULL, message TEXT NOT NULL,
    branch TEXT REFERENCES branch (name) ON DELETE CASCADE);
CREATE UNIQUE INDEX revision_main ON revision (number) WHERE branch IS NULL;
CREATE INDEX revision_branch ON revision (branch) WHERE branch IS NOT NULL;
-- From the parent to the revision. kind: 0 file, 1 directory, 2 link, null: not there.
CREATE TABLE change (
    revision INTEGER NOT NULL REFERENCES revision (id) ON DELETE CASCADE, path BLOB NOT NULL,
    old_kind INTEGER, old_mode INTEGER, old_size INTEGER, old_digest BLOB,
    new_kind INTEGER, new_mode INTEGER, new_size INTEGER, new_digest BLOB,
    PRIMARY KEY (revision, path)) WITHOUT ROWID;
CREATE INDEX change_path ON change (path, revision);

-- The newest revision of the main line, with what the file system said when the content was read.
CREATE TABLE tree (
    path BLOB NOT NULL PRIMARY KEY, kind INTEGER NOT NULL, mode INTEGER NOT NULL, size INTEGER NOT NULL,
    digest BLOB NOT NULL, revision INTEGER NOT NULL,
    stamp_size INTEGER, mtime_ns INTEGER, ctime_ns INTEGER, inode INTEGER) WITHOUT ROWID;
-- A revision that is being brought to the disk.
CREATE TABLE journal (id INTEGER PRIMARY KEY CHECK (id = 1), plan BLOB NOT NULL);
";

/// What came later, and what an older Standin does without.
const LATER: &str = "
-- What only history keeps because of a revision: the contents that it replaced or removed, packed.
CREATE TABLE IF NOT EXISTS weight (
    revision INTEGER PRIMARY KEY REFERENCES revision (id) ON DELETE CASCADE, bytes INTEGER NOT NULL);
-- Contents that one drift alone holds, and the revision that it is.
CREATE TABLE IF NOT EXISTS drift_content (digest BLOB PRIMARY KEY, revision INTEGER NOT NULL) WITHOUT ROWID;
-- Contents that were removed on purpose, and when.
CREATE TABLE IF NOT EXISTS forgotten (digest BLOB PRIMARY KEY, at INTEGER NOT NULL) WITHOUT ROWID;
-- More of the plan in the journal, where it is long.
CREATE TABLE IF NOT EXISTS journal_part (part INTEGER PRIMARY KEY, bytes BLOB NOT NULL);
-- Owner and group of paths by the number that stands above the bits of a mode (mode + 2^32 * number; 0: not mirrored).
CREATE TABLE IF NOT EXISTS owner (number INTEGER PRIMARY KEY, name TEXT NOT NULL, of_group TEXT NOT NULL);
-- What the other instance has to remove too.
CREATE TABLE IF NOT EXISTS forget_due (path BLOB PRIMARY KEY, author TEXT NOT NULL) WITHOUT ROWID;
";
/// `auto_vacuum`: pages that are free are given back when asked for.
const INCREMENTAL: i64 = 2;

/// Makes the tables in a new database; refuses a newer one.
pub(super) fn prepare(connection: &mut Connection, path: &Path) -> Result<(), Problem> {
    let version = version(connection, path)?;
    if version != 0 && version != SCHEMA {
        return Err(refused(path, version));
    }
    let mut make = || -> rusqlite::Result<()> {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if version == 0 {
            transaction.execute_batch(TABLES)?;
            transaction.pragma_update(None, "user_version", SCHEMA)?;
        }
        transaction.execute_batch(LATER)?;
        transaction.commit()?;
        let vacuum: i64 = connection.pragma_query_value(None, "auto_vacuum", |row| row.get(0))?;
        if vacuum != INCREMENTAL {
            // A database of an earlier version: once. Without space for it, it stays as it is.
            let _ = connection.execute_batch("VACUUM");
        }
        Ok(())
    };
    make().map_err(|error| trouble(&format!("make the tables of {}", path.display()), &error))
}

/// Refuses all versions but this one.
pub(super) fn check(connection: &Connection, path: &Path) -> Result<(), Problem> {
    let version = version(connection, path)?;
    if version == SCHEMA { Ok(()) } else { Err(refused(path, version)) }
}

fn version(connection: &Connection, path: &Path) -> Result<i64, Problem> {
    connection
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .map_err(|error| trouble(&format!("read {}", path.display()), &error))
}

fn refused(path: &Path, version: i64) -> Problem {
    let what = format!("cannot use {}", path.display());
    if version > SCHEMA {
        let why = format!("this home belongs to a newer Standin (format {version}, this one knows {SCHEMA})");
        Problem::new(what, why, "run the newer Standin, or restore a backup made with this one")
    } else {
        Problem::new(what, format!("its format {version} is unknown"), "restore a backup, or set this instance up anew")
    }
}
