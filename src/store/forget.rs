//! Contents that are removed from the history for good (spec 5.6), and what the other instance has to be told of it.

use std::collections::BTreeSet;

use rusqlite::{OptionalExtension, TransactionBehavior, params};

use super::log::inside;
use super::{Store, tree, trouble};
use crate::engine::base::{Digest, Problem};
use crate::mirror::path::RelPath;

/// Most paths that wait for the other instance.
pub const FORGETS_DUE_MAX: u64 = 1_000;
/// Most other paths told that keep a content.
const KEPT_BY_MAX: usize = 50;

/// What [`Store::forget`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forgotten {
    /// Contents removed.
    pub contents: u64,
    /// Other paths that had one of the same contents, which stays.
    pub kept_by: Vec<RelPath>,
}

impl Store {
    /// Removes all contents that `path`, or a path inside it, ever had, in all revisions and branches: but those that the
    /// newest revision has there, and those that another path has or had. What is removed is overwritten in the database,
    /// and so is what no revision names. Call [`Store::scrub`] afterwards.
    ///
    /// # Errors
    /// When it cannot be written; then nothing was removed.
    pub fn forget(&self, path: &RelPath, at: i64) -> Result<Forgotten, Problem> {
        let mut connection = self.mirror();
        let mut work = || -> rusqlite::Result<Forgotten> {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let wanted = digests_of(&transaction, path)?;
            let (kept, kept_by) = named_elsewhere(&transaction, path, &wanted)?;
            let mut contents = 0;
            for digest in wanted.difference(&kept) {
                contents +=
                    transaction.prepare_cached("DELETE FROM content WHERE digest = ?1")?.execute([&digest.0])? as u64;
                transaction
                    .prepare_cached("INSERT OR IGNORE INTO forgotten (digest, at) VALUES (?1, ?2)")?
                    .execute(params![&digest.0, at])?;
            }
            transaction.execute(super::revisions::DROP_UNUSED, [])?;
            transaction.commit()?;
            Ok(Forgotten { contents, kept_by })
        };
        work().map_err(|error| trouble("forget contents", &error))
    }

    /// Gives the space of removed contents back, and empties the write-ahead log: what was removed is in neither file then.
    ///
    /// # Errors
    /// When another connection keeps it from that: some of it may still be in the log.
    pub fn scrub(&self) -> Result<(), Problem> {
        let connection = self.mirror();
        let work = || -> rusqlite::Result<bool> {
            // The pragma gives one row for each page.
            let mut statement = connection.prepare("PRAGMA incremental_vacuum")?;
            let mut rows = statement.query([])?;
            while rows.next()?.is_some() {}
            connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))
        };
        match work() {
            Ok(false) => Ok(()),
            Ok(true) => Err(Problem::new(
                "the contents are removed, but bytes of them may still be in the log of the database",
                "something else reads the database at this moment",
                "give the order again",
            )),
            Err(error) => Err(trouble("overwrite the contents", &error)),
        }
    }

    /// Writes the whole database anew, so that nothing is in it but what is kept. Takes long where it is large.
    ///
    /// # Errors
    /// When there is no space for it.
    pub fn rewrite(&self) -> Result<(), Problem> {
        self.mirror().execute_batch("VACUUM").map_err(|error| trouble("write the database anew", &error))?;
        self.scrub()
    }

    /// A content that is not kept any more was removed on purpose.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn is_forgotten(&self, digest: &Digest) -> Result<bool, Problem> {
        let connection = self.mirror();
        let exists = |sql: &str, params: &[&dyn rusqlite::ToSql]| connection.prepare_cached(sql)?.exists(params);
        // An older home that is only read has no such table.
        let is_there = exists("SELECT 1 FROM sqlite_master WHERE name = 'forgotten'", &[]);
        let is_forgotten = is_there
            .and_then(|is_there| Ok(is_there && exists("SELECT 1 FROM forgotten WHERE digest = ?1", &[&digest.0])?));
        is_forgotten.map_err(|error| trouble("read the history", &error))
    }

    /// The other instance has to forget this path too; durable.
    ///
    /// # Errors
    /// When it cannot be written, or too many wait already.
    pub fn add_forget_due(&self, path: &RelPath, by: &str) -> Result<(), Problem> {
        let connection = self.mirror();
        let work = || -> rusqlite::Result<bool> {
            let waiting: i64 = connection.query_row("SELECT count(*) FROM forget_due", [], |row| row.get(0))?;
            if waiting.cast_unsigned() >= FORGETS_DUE_MAX {
                return Ok(false);
            }
            connection
                .prepare_cached("INSERT OR REPLACE INTO forget_due (path, author) VALUES (?1, ?2)")?
                .execute(params![path.as_bytes(), by])?;
            Ok(true)
        };
        match work() {
            Ok(true) => Ok(()),
            Ok(false) => Err(Problem::new(
                "cannot note what the other instance has to forget",
                format!("{FORGETS_DUE_MAX} paths wait for it already"),
                "connect the two, or reset the pair",
            )),
            Err(error) => Err(trouble("note what is to be forgotten", &error)),
        }
    }

    /// What the other instance has to forget, with who asked for it.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn forgets_due(&self) -> Result<Vec<(RelPath, String)>, Problem> {
        let connection = self.mirror();
        let read = || -> rusqlite::Result<Vec<(RelPath, String)>> {
            connection
                .prepare_cached("SELECT path, author FROM forget_due ORDER BY path")?
                .query_map([], |row| Ok((tree::path_of(row, 0)?, row.get(1)?)))?
                .collect()
        };
        read().map_err(|error| trouble("read what is to be forgotten", &error))
    }

    /// The other instance has done it, or there is none any more.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn drop_forget_due(&self, path: &RelPath) -> Result<(), Problem> {
        self.mirror()
            .prepare_cached("DELETE FROM forget_due WHERE path = ?1")
            .and_then(|mut statement| statement.execute([path.as_bytes()]))
            .map(drop)
            .map_err(|error| trouble("note what is forgotten", &error))
    }

    /// A content as it lies in the database, packed or not: to look for it afterwards.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn packed(&self, digest: &Digest) -> Result<Option<Vec<u8>>, Problem> {
        self.mirror()
            .prepare_cached("SELECT bytes FROM content WHERE digest = ?1")
            .and_then(|mut statement| statement.query_row([&digest.0], |row| row.get(0)).optional())
            .map_err(|error| trouble("read the content of a file", &error))
    }

    /// The contents that [`Store::forget`] would remove.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn to_forget(&self, path: &RelPath) -> Result<BTreeSet<Digest>, Problem> {
        let connection = self.mirror();
        let read = || -> rusqlite::Result<BTreeSet<Digest>> {
            let wanted = digests_of(&connection, path)?;
            let (kept, _) = named_elsewhere(&connection, path, &wanted)?;
            Ok(wanted.difference(&kept).copied().collect())
        };
        read().map_err(|error| trouble("read the history", &error))
    }
}

/// Every content that the path, or one inside it, ever had.
fn digests_of(connection: &rusqlite::Connection, path: &RelPath) -> rusqlite::Result<BTreeSet<Digest>> {
    let (first, end) = inside(path);
    let mut wanted = BTreeSet::new();
    let sql = "SELECT old_digest, new_digest FROM change WHERE path = ?1 OR (path >= ?2 AND path < ?3)";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params![path.as_bytes(), first, end])?;
    while let Some(row) = rows.next()? {
        for column in 0..2 {
            wanted.extend(row.get::<_, Option<[u8; 32]>>(column)?.map(Digest).filter(|digest| *digest != Digest::ZERO));
        }
    }
    Ok(wanted)
}

/// Those of `wanted` that the newest revision has, or that another path has or had; and the other paths.
fn named_elsewhere(
    connection: &rusqlite::Connection,
    path: &RelPath,
    wanted: &BTreeSet<Digest>,
) -> rusqlite::Result<(BTreeSet<Digest>, Vec<RelPath>)> {
    let (mut kept, mut kept_by) = (BTreeSet::new(), BTreeSet::new());
    if wanted.is_empty() {
        return Ok((kept, Vec::new()));
    }
    let statements = ["SELECT path, digest, NULL FROM tree", "SELECT path, old_digest, new_digest FROM change"];
    for (index, sql) in statements.into_iter().enumerate() {
        let mut statement = connection.prepare_cached(sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            for column in 1..3 {
                let Some(digest) = row.get::<_, Option<[u8; 32]>>(column)?.map(Digest) else { continue };
                if !wanted.contains(&digest) {
                    continue;
                }
                let other = tree::path_of(row, 0)?;
                let is_own = other.is_within(path);
                // The newest revision keeps its contents, whatever path they are at.
                if is_own && index == 1 {
                    continue;
                }
                kept.insert(digest);
                if !is_own && kept_by.len() < KEPT_BY_MAX {
                    kept_by.insert(other);
                }
            }
        }
    }
    Ok((kept, kept_by.into_iter().collect()))
}
