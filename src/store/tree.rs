//! The newest tree as rows, with what the file system said about each file, and changes as rows.

use std::collections::BTreeMap;

use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row, TransactionBehavior, params};

use super::{Store, owners, trouble};
use crate::engine::base::{Digest, Problem};
use crate::engine::order::FileKind;
use crate::mirror::diff::Change;
use crate::mirror::path::RelPath;
use crate::mirror::scan::Stamp;
use crate::mirror::tree::Entry;

/// Rows in one transaction of [`Store::save_stamps`].
const STAMPS_BATCH: usize = 2_000;

/// One path of the newest tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeRow {
    /// Which.
    pub path: RelPath,
    /// What it is.
    pub entry: Entry,
    /// Number of the revision that last changed it.
    pub revision: u64,
    /// What the file system said when it was read.
    pub stamp: Option<Stamp>,
}

pub(super) const COLUMNS: &str =
    "SELECT path, kind, mode, size, digest, revision, stamp_size, mtime_ns, ctime_ns, inode FROM tree";

impl Store {
    /// The newest tree, in order of paths.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn tree(&self) -> Result<Vec<TreeRow>, Problem> {
        let mut rows = Vec::new();
        self.each_row(|row| {
            rows.push(row);
            Ok(())
        })?;
        Ok(rows)
    }

    /// The same, row by row: a large tree is not in memory twice.
    ///
    /// # Errors
    /// When it cannot be read, and those of `take`.
    pub fn each_row(&self, mut take: impl FnMut(TreeRow) -> Result<(), Problem>) -> Result<(), Problem> {
        let connection = self.mirror();
        let failed = |error: rusqlite::Error| trouble("read the newest revision", &error);
        let mut statement = connection.prepare_cached(&format!("{COLUMNS} ORDER BY path")).map_err(failed)?;
        let mut rows = statement.query([]).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            take(tree_row(row).map_err(failed)?)?;
        }
        Ok(())
    }

    /// Files and links of the newest tree, and their bytes.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn tree_sums(&self) -> Result<(u64, u64), Problem> {
        let sums =
            self.mirror().query_row("SELECT count(*), coalesce(sum(size), 0) FROM tree WHERE kind <> 1", [], |row| {
                Ok((row.get::<_, i64>(0)?.cast_unsigned(), row.get::<_, i64>(1)?.cast_unsigned()))
            });
        sums.map_err(|error| trouble("read the newest revision", &error))
    }

    /// One path of the newest tree.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn tree_row(&self, path: &RelPath) -> Result<Option<TreeRow>, Problem> {
        self.mirror()
            .prepare_cached(&format!("{COLUMNS} WHERE path = ?1"))
            .and_then(|mut statement| statement.query_row([path.as_bytes()], tree_row).optional())
            .map_err(|error| trouble("read the newest revision", &error))
    }

    /// The first change of a path on the main line after revision `number`; none: it is as it was then.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn next_change(&self, path: &RelPath, number: u64) -> Result<Option<Change>, Problem> {
        let sql = "SELECT path, old_kind, old_mode, old_size, old_digest, new_kind, new_mode, new_size, new_digest \
                   FROM change JOIN revision ON revision.id = change.revision \
                   WHERE path = ?1 AND branch IS NULL AND number > ?2 ORDER BY number LIMIT 1";
        self.mirror()
            .prepare_cached(sql)
            .and_then(|mut statement| {
                statement.query_row(params![path.as_bytes(), number.cast_signed()], change_of).optional()
            })
            .map_err(|error| trouble("read the history", &error))
    }

    /// Number of the newest revision of the main line, up to `number`, that changed the path; 0: none.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn last_change(&self, path: &RelPath, number: u64) -> Result<u64, Problem> {
        let sql = "SELECT max(number) FROM change JOIN revision ON revision.id = change.revision \
                   WHERE path = ?1 AND branch IS NULL AND number <= ?2";
        let found: Option<i64> = self
            .mirror()
            .prepare_cached(sql)
            .and_then(|mut statement| {
                statement.query_row(params![path.as_bytes(), number.cast_signed()], |row| row.get(0))
            })
            .map_err(|error| trouble("read the history", &error))?;
        Ok(found.unwrap_or(0).cast_unsigned())
    }

    /// Keeps what the file system said, for files whose content did not change.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn save_stamps(&self, stamps: &[(RelPath, Stamp)]) -> Result<(), Problem> {
        for batch in stamps.chunks(STAMPS_BATCH) {
            self.write_point()?;
            let (mut connection, _turn) = self.mirror_turn();
            let mut write = || -> rusqlite::Result<()> {
                let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
                batch.iter().try_for_each(|(path, stamp)| write_stamp(&transaction, path, stamp))?;
                transaction.commit()
            };
            write().map_err(|error| trouble("keep what was read", &error))?;
        }
        Ok(())
    }
}

/// Brings the newest tree from one revision to the next; `stamps` also of paths that did not change.
pub(super) fn write(
    connection: &Connection,
    changes: &[Change],
    stamps: &[(RelPath, Stamp)],
    number: i64,
) -> rusqlite::Result<()> {
    let mut put = connection.prepare_cached(
        "INSERT INTO tree (path, kind, mode, size, digest, revision, stamp_size, mtime_ns, ctime_ns, inode) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT (path) DO UPDATE SET \
         kind = ?2, mode = ?3, size = ?4, digest = ?5, revision = ?6, stamp_size = ?7, mtime_ns = ?8, ctime_ns = ?9, \
         inode = ?10",
    )?;
    let mut drop = connection.prepare_cached("DELETE FROM tree WHERE path = ?1")?;
    // Of two for one path the later one.
    let mut stamps: BTreeMap<&RelPath, &Stamp> = stamps.iter().map(|(path, stamp)| (path, stamp)).collect();
    owners::keep(connection, changes)?;
    for change in changes {
        let path = &change.path;
        let Some(entry) = change.new else {
            drop.execute([path.as_bytes()])?;
            continue;
        };
        let stamp = stamps.remove(path);
        put.execute(params![
            path.as_bytes(),
            number_of(entry.kind),
            owners::pack(&entry),
            entry.size.cast_signed(),
            &entry.digest.0,
            number,
            stamp.and_then(size_of),
            stamp.map(|stamp| stamp.mtime_ns),
            stamp.map(|stamp| stamp.ctime_ns),
            stamp.map(|stamp| stamp.inode.cast_signed()),
        ])?;
    }
    stamps.into_iter().try_for_each(|(path, stamp)| write_stamp(connection, path, stamp))
}

fn write_stamp(connection: &Connection, path: &RelPath, stamp: &Stamp) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE tree SET stamp_size = ?2, mtime_ns = ?3, ctime_ns = ?4, inode = ?5 WHERE path = ?1")?
        .execute(params![path.as_bytes(), size_of(stamp), stamp.mtime_ns, stamp.ctime_ns, stamp.inode.cast_signed()])
        .map(|_| ())
}

/// None of a stamp too young to be trusted: the file is read at the next start.
fn size_of(stamp: &Stamp) -> Option<i64> {
    stamp.is_settled.then_some(stamp.size.cast_signed())
}

pub(super) fn write_changes(connection: &Connection, revision: i64, changes: &[Change]) -> rusqlite::Result<()> {
    let mut put = connection.prepare_cached("INSERT INTO change VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)")?;
    owners::keep(connection, changes)?;
    for change in changes {
        let (old, new) = (change.old, change.new);
        put.execute(params![
            revision,
            change.path.as_bytes(),
            old.map(|entry| number_of(entry.kind)),
            old.as_ref().map(owners::pack),
            old.map(|entry| entry.size.cast_signed()),
            old.map(|entry| entry.digest.0),
            new.map(|entry| number_of(entry.kind)),
            new.as_ref().map(owners::pack),
            new.map(|entry| entry.size.cast_signed()),
            new.map(|entry| entry.digest.0),
        ])?;
    }
    Ok(())
}

pub(super) fn path_of(row: &Row<'_>, column: usize) -> rusqlite::Result<RelPath> {
    RelPath::new(row.get_ref(column)?.as_blob()?)
        .map_err(|why| rusqlite::Error::FromSqlConversionFailure(column, Type::Blob, why.into()))
}

/// Path, then old and new entry.
pub(super) fn change_of(row: &Row<'_>) -> rusqlite::Result<Change> {
    Ok(Change { path: path_of(row, 0)?, old: entry_of(row, 1)?, new: entry_of(row, 5)? })
}

pub(super) fn tree_row(row: &Row<'_>) -> rusqlite::Result<TreeRow> {
    let entry = entry_of(row, 1)?.ok_or(rusqlite::Error::InvalidQuery)?;
    let stamp_size: Option<i64> = row.get(6)?;
    let stamp = match stamp_size {
        None => None,
        Some(size) => Some(Stamp {
            size: size.cast_unsigned(),
            mtime_ns: row.get(7)?,
            ctime_ns: row.get(8)?,
            inode: row.get::<_, i64>(9)?.cast_unsigned(),
            is_settled: true,
        }),
    };
    Ok(TreeRow { path: path_of(row, 0)?, entry, revision: row.get::<_, i64>(5)?.cast_unsigned(), stamp })
}

/// Kind, mode, size and digest from `first` on.
fn entry_of(row: &Row<'_>, first: usize) -> rusqlite::Result<Option<Entry>> {
    let kind = match row.get(first)? {
        None => return Ok(None),
        Some(0) => FileKind::File,
        Some(1) => FileKind::Directory,
        Some(2) => FileKind::Link,
        Some(other) => return Err(rusqlite::Error::IntegralValueOutOfRange(first, other)),
    };
    let size: i64 = row.get(first + 2)?;
    let digest = Digest(row.get(first + 3)?);
    let packed: i64 = row.get(first + 1)?;
    let (mode, owners) = owners::unpack(packed).ok_or(rusqlite::Error::IntegralValueOutOfRange(first + 1, packed))?;
    Ok(Some(Entry { kind, mode, size: size.cast_unsigned(), digest, owners }))
}

fn number_of(kind: FileKind) -> i64 {
    match kind {
        FileKind::File => 0,
        FileKind::Directory => 1,
        FileKind::Link => 2,
    }
}
