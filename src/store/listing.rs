//! The newest tree in parts, and what changed in it since a revision.

use rusqlite::params;

use super::tree::{COLUMNS, path_of, tree_row};
use super::{Store, TreeRow, trouble};
use crate::engine::base::Problem;
use crate::mirror::path::RelPath;

impl Store {
    /// Paths of the newest tree behind `after` (none: from the first), in order of paths, at most `limit`.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn tree_part(&self, after: Option<&RelPath>, limit: usize) -> Result<Vec<TreeRow>, Problem> {
        let after = after.map_or(&[][..], RelPath::as_bytes);
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let connection = self.mirror();
        let read = || -> rusqlite::Result<Vec<TreeRow>> {
            connection
                .prepare_cached(&format!("{COLUMNS} WHERE path > ?1 ORDER BY path LIMIT ?2"))?
                .query_map(params![after, limit], tree_row)?
                .collect()
        };
        read().map_err(|error| trouble("read the newest revision", &error))
    }

    /// Paths that revisions of the main line above `number` changed, behind `after`, in order of paths, at most `limit`.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn changed_since(&self, number: u64, after: Option<&RelPath>, limit: usize) -> Result<Vec<RelPath>, Problem> {
        let after = after.map_or(&[][..], RelPath::as_bytes);
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let sql = "SELECT DISTINCT path FROM change JOIN revision ON revision.id = change.revision \
                   WHERE branch IS NULL AND number > ?1 AND path > ?2 ORDER BY path LIMIT ?3";
        let connection = self.mirror();
        let read = || -> rusqlite::Result<Vec<RelPath>> {
            connection
                .prepare_cached(sql)?
                .query_map(params![number.cast_signed(), after, limit], |row| path_of(row, 0))?
                .collect()
        };
        read().map_err(|error| trouble("read the history", &error))
    }
}
