//! Names of owners and groups (setting `configuration.owners`). Rows of entries have a number in place of the names, above the
//! bits of the mode: rows without owners are as they always were.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension, params};

use super::{Store, trouble};
use crate::engine::base::Problem;
use crate::mirror::diff::Change;
use crate::mirror::owners::{Owners, PAIRS_MAX};
use crate::mirror::tree::Entry;

/// Key of the fact with the names that are not on this disk, and what it is.
const WAITING: (&str, &str) = ("owners_waiting", "the owners of files");
/// Where the number begins in a row.
const SHIFT: u32 = 32;

/// Mode and owners as one number.
pub(super) fn pack(entry: &Entry) -> i64 {
    (u64::from(entry.owners.number()) << SHIFT | u64::from(entry.mode)).cast_signed()
}

/// The other way round; none: no such row was ever written.
pub(super) fn unpack(packed: i64) -> Option<(u32, Owners)> {
    let packed = packed.cast_unsigned();
    let mode = u32::try_from(packed & u64::from(u32::MAX)).ok()?;
    let number = u32::try_from(packed >> SHIFT).ok()?;
    Some((mode, Owners::from_number(number)))
}

/// Keeps the names of `changes`, in the transaction that keeps these.
pub(super) fn keep(connection: &Connection, changes: &[Change]) -> rusqlite::Result<()> {
    let entries = changes.iter().flat_map(|change| change.old.iter().chain(&change.new));
    let used: BTreeSet<Owners> = entries.map(|entry| entry.owners).filter(|owners| !owners.is_none()).collect();
    for owners in used {
        let Some(names) = owners.names() else { continue };
        connection
            .prepare_cached("INSERT OR IGNORE INTO owner (number, name, of_group) VALUES (?1, ?2, ?3)")?
            .execute(params![owners.number(), names.owner, names.group])?;
    }
    Ok(())
}

/// Makes the names of all rows known. A database of an earlier version has none.
pub(super) fn load(connection: &Connection) -> Result<(), Problem> {
    let load = || -> rusqlite::Result<()> {
        let has_table = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'owner'";
        if connection.query_row(has_table, [], |_| Ok(())).optional()?.is_none() {
            return Ok(());
        }
        let mut statement = connection.prepare("SELECT name, of_group FROM owner LIMIT ?1")?;
        let mut rows = statement.query([i64::try_from(PAIRS_MAX).unwrap_or(i64::MAX)])?;
        while let Some(row) = rows.next()? {
            let (owner, group): (String, String) = (row.get(0)?, row.get(1)?);
            if let Err(why) = Owners::of(&owner, &group) {
                tracing::warn!("{owner}:{group} in the database: {why}");
            }
        }
        Ok(())
    };
    load().map_err(|error| trouble("read the owners of files", &error))
}

impl Store {
    /// Names of the newest revision that are not on this disk.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn owners_waiting(&self) -> Result<Vec<String>, Problem> {
        self.list_fact(WAITING.0, WAITING.1)
    }

    /// Keeps them.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn set_owners_waiting(&self, names: &BTreeSet<String>) -> Result<(), Problem> {
        self.set_list_fact(WAITING.0, WAITING.1, names)
    }
}
