//! Questions about the history: which revisions, what each changed (spec 5.6).

use rusqlite::params;

use super::revisions::{ROW, row_of};
use super::{RevisionRow, Store, trouble};
use crate::engine::base::Problem;
use crate::mirror::path::RelPath;

/// How many paths a revision added, changed and removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Were not there before.
    pub added: u64,
    /// Were there before and after.
    pub changed: u64,
    /// Are not there any more.
    pub removed: u64,
}

/// The bytes between which all paths inside a directory lie: from `path/` to the byte after the slash.
pub(super) fn inside(path: &RelPath) -> (Vec<u8>, Vec<u8>) {
    let with = |byte: u8| [path.as_bytes(), &[byte]].concat();
    (with(b'/'), with(b'/' + 1))
}

impl Store {
    /// Revisions of the main line below `before` (none: all), newest first, at most `limit`; with `path` only those that
    /// changed it or something inside it.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn log(&self, path: Option<&RelPath>, before: Option<u64>, limit: u32) -> Result<Vec<RevisionRow>, Problem> {
        let before = before.map_or(i64::MAX, |number| i64::try_from(number).unwrap_or(i64::MAX));
        let connection = self.mirror();
        let read = || -> rusqlite::Result<Vec<RevisionRow>> {
            match path {
                None => connection
                    .prepare_cached(&format!("{ROW} AND number < ?1 ORDER BY number DESC LIMIT ?2"))?
                    .query_map(params![before, limit], row_of)?
                    .collect(),
                Some(path) => {
                    let (first, end) = inside(path);
                    let sql = format!(
                        "{ROW} AND number < ?1 AND EXISTS (SELECT 1 FROM change WHERE change.revision = revision.id AND \
                         (path = ?3 OR (path >= ?4 AND path < ?5))) ORDER BY number DESC LIMIT ?2"
                    );
                    connection
                        .prepare_cached(&sql)?
                        .query_map(params![before, limit, path.as_bytes(), first, end], row_of)?
                        .collect()
                }
            }
        };
        read().map_err(|error| trouble("read the history", &error))
    }

    /// What a revision changed, by its row.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn change_counts(&self, row: i64) -> Result<Counts, Problem> {
        let sql = "SELECT count(*), coalesce(sum(old_kind IS NULL), 0), coalesce(sum(new_kind IS NULL), 0) \
                   FROM change WHERE revision = ?1";
        let (all, added, removed): (i64, i64, i64) = self
            .mirror()
            .prepare_cached(sql)
            .and_then(|mut statement| statement.query_row([row], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))))
            .map_err(|error| trouble("read the history", &error))?;
        let (added, removed) = (added.cast_unsigned(), removed.cast_unsigned());
        Ok(Counts { added, removed, changed: all.cast_unsigned().saturating_sub(added + removed) })
    }

    /// The first paths that a revision changed at `path` or inside it.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn changed_paths_in(&self, row: i64, path: &RelPath, limit: usize) -> Result<Vec<RelPath>, Problem> {
        let (first, end) = inside(path);
        let sql = "SELECT path FROM change WHERE revision = ?1 AND (path = ?2 OR (path >= ?3 AND path < ?4)) \
                   ORDER BY path LIMIT ?5";
        let connection = self.mirror();
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let read = || -> rusqlite::Result<Vec<RelPath>> {
            connection
                .prepare_cached(sql)?
                .query_map(params![row, path.as_bytes(), first, end, limit], |row| super::tree::path_of(row, 0))?
                .collect()
        };
        read().map_err(|error| trouble("read the history", &error))
    }
}
