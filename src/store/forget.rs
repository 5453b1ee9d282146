//! Contents that are removed from the history for good (spec 5.6), and what the other instance has to be told of it.

use std::collections::BTreeSet;
use std::time::Duration;

use rusqlite::{OptionalExtension, params};

use super::log::inside;
use super::{BUSY_LIMIT_MS, Store, tree, trouble};
use crate::engine::base::{Digest, Problem};
use crate::mirror::path::RelPath;

/// Most paths that wait for the other instance.
pub const FORGETS_DUE_MAX: u64 = 1_000;
/// Most other paths told that keep a content.
const KEPT_BY_MAX: usize = 50;

/// To empty the log is tried so often,
const EMPTY_TRIES: usize = 100;
/// with such a pause,
const EMPTY_PAUSE: Duration = Duration::from_millis(100);
/// and waits for readers so long each time.
const EMPTY_WAIT: Duration = Duration::from_millis(5);

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
    /// and so is what no revision names. Call [`Store::scrub`] and [`Store::expel`] afterwards. A few at a time: the record
    /// is never held up.
    ///
    /// # Errors
    /// When it cannot be read or written; what is left goes when it is called again.
    pub fn forget(&self, path: &RelPath, at: i64) -> Result<Forgotten, Problem> {
        let read = |connection: &rusqlite::Connection| -> rusqlite::Result<(Vec<Digest>, Vec<RelPath>)> {
            let wanted = digests_of(connection, path)?;
            let (kept, kept_by) = named_elsewhere(connection, path, &wanted)?;
            Ok((wanted.difference(&kept).copied().collect(), kept_by))
        };
        let (wanted, kept_by) = read(&self.mirror()).map_err(|error| trouble("read the history", &error))?;
        let contents = self.drop_contents(&wanted, |connection, digest| {
            connection
                .prepare_cached("INSERT OR IGNORE INTO forgotten (digest, at) VALUES (?1, ?2)")?
                .execute(params![&digest.0, at])
                .map(drop)
        })?;
        self.drop_loose_contents()?;
        Ok(Forgotten { contents, kept_by })
    }

    /// Gives the space of removed contents back, and empties the write-ahead log: what was removed is in neither file then.
    /// In small steps, so that the record is never held up.
    ///
    /// # Errors
    /// When another connection keeps it from that: some of it may still be in the log.
    pub fn scrub(&self) -> Result<(), Problem> {
        self.write_point()?;
        while self.give_pages_back(0)? {}
        for _ in 0..EMPTY_TRIES {
            if self.empty_log().map_err(|error| trouble("overwrite the contents", &error))? {
                return Ok(());
            }
            std::thread::sleep(EMPTY_PAUSE);
        }
        Err(Problem::new(
            "the contents are removed, but bytes of them may still be in the log of the database",
            "something else reads the database at this moment",
            "give the order again",
        ))
    }

    /// False: somebody reads what is in it.
    fn empty_log(&self) -> rusqlite::Result<bool> {
        let connection = self.mirror();
        let checkpoint = |kind: &str| {
            connection.query_row(&format!("PRAGMA wal_checkpoint({kind})"), [], |row| row.get::<_, bool>(0))
        };
        // Most of the work, while others write.
        checkpoint("PASSIVE")?;
        let _turn = self.inner.turns.patient();
        // While this waits for readers nobody can write: it is tried again rather.
        connection.busy_timeout(EMPTY_WAIT)?;
        let is_busy = checkpoint("TRUNCATE");
        connection.busy_timeout(Duration::from_millis(BUSY_LIMIT_MS))?;
        Ok(!is_busy?)
    }

    /// Writes the whole database anew, so that nothing is in it but what is kept. Takes long where it is large, and nobody can
    /// write meanwhile: only for what [`Store::expel`] cannot do.
    ///
    /// # Errors
    /// When there is no space for it.
    pub fn rewrite(&self) -> Result<(), Problem> {
        self.write_point()?;
        #[cfg(test)]
        self.inner.rewrites.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        {
            let (connection, _turn) = self.mirror_turn();
            connection.execute_batch("VACUUM").map_err(|error| trouble("write the database anew", &error))?;
        }
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
        let (connection, _turn) = self.mirror_turn();
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
        let (connection, _turn) = self.mirror_turn();
        connection
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
