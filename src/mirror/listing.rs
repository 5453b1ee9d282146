//! The list of files for a console: in parts, and what changed since a revision (spec 5.2). Needs only a store.

use super::history::{file_entry, find, path_of};
use super::path::RelPath;
use crate::engine::base::{Problem, RevisionId};
use crate::engine::listing::{FilesPart, PART_PATHS_MAX};
use crate::store::Store;

/// What changed after `since`, or everything where that is none, or not on the main line any more; from `after` on.
///
/// A path that is committed while parts are read may be in none of them; it is then newer than [`FilesPart::revision`], and
/// comes with what changed since that.
///
/// # Errors
/// When the store cannot be read, or `after` is no path.
pub fn part(store: &Store, since: Option<&RevisionId>, after: Option<&str>) -> Result<FilesPart, Problem> {
    let after = after.map(|text| path_of(text, "cannot list what follows")).transpose()?;
    let revision = store.newest_revision()?.map(|row| row.revision);
    let known = match since {
        Some(since) => find(store, since)?.map(|row| row.revision.number),
        None => None,
    };
    match (since, known) {
        (Some(_), Some(number)) => changes(store, revision, number, after.as_ref()),
        (Some(_), None) => whole(store, revision, None),
        (None, _) => whole(store, revision, after.as_ref()),
    }
}

fn whole(store: &Store, revision: Option<RevisionId>, after: Option<&RelPath>) -> Result<FilesPart, Problem> {
    let rows = store.tree_part(after, PART_PATHS_MAX)?;
    let next = rows.last().filter(|_| rows.len() == PART_PATHS_MAX).map(|row| row.path.to_string());
    let entries = rows.iter().map(|row| file_entry(&row.path, row.entry, row.revision)).collect();
    Ok(FilesPart { revision, begins: after.is_none(), entries, gone: Vec::new(), next })
}

fn changes(
    store: &Store,
    revision: Option<RevisionId>,
    number: u64,
    after: Option<&RelPath>,
) -> Result<FilesPart, Problem> {
    let paths = store.changed_since(number, after, PART_PATHS_MAX)?;
    let next = paths.last().filter(|_| paths.len() == PART_PATHS_MAX).map(ToString::to_string);
    let mut part = FilesPart { revision, next, ..FilesPart::default() };
    for path in paths {
        match store.tree_row(&path)? {
            Some(row) => part.entries.push(file_entry(&row.path, row.entry, row.revision)),
            None => part.gone.push(path.to_string()),
        }
    }
    Ok(part)
}
