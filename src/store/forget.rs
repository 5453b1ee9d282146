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
/// Most other paths told that keep a content, or that lose it too.
const OTHERS_MAX: usize = 50;

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
    /// Other paths that have one of the same contents in the newest revision; it stays.
    pub kept_by: Vec<RelPath>,
    /// Other paths that had one of the contents removed in older revisions: a copy, or another name of the same file.
    pub also_at: Vec<RelPath>,
}

impl Store {
    /// Removes all contents that `path`, or a path inside it, ever had, in all revisions and branches, also where older ones
    /// have them at another path: but not those that the newest revision has, at any path. What is removed is overwritten in
    /// the database, and so is what no revision names. Call [`Store::scrub`] and [`Store::expel`] afterwards. A few at a time: the record
    /// is never held up.
    ///
    /// # Errors
    /// When it cannot be read or written; what is left goes when it is called again.
    pub fn forget(&self, path: &RelPath, at: i64) -> Result<Forgotten, Problem> {
        let found = plan(&self.mirror(), path).map_err(|error| trouble("read the history", &error))?;
        let wanted: Vec<Digest> = found.wanted.into_iter().collect();
        let contents = self.drop_contents(&wanted, |connection, digest| {
            connection
                .prepare_cached("INSERT OR IGNORE INTO forgotten (digest, at) VALUES (?1, ?2)")?
                .execute(params![&digest.0, at])
                .map(drop)
        })?;
        self.drop_loose_contents()?;
        Ok(Forgotten { contents, kept_by: found.kept_by, also_at: found.also_at })
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
        let found = plan(&self.mirror(), path).map_err(|error| trouble("read the history", &error))?;
        Ok(found.wanted)
    }

    /// A revision or branch that is kept names the path, or one inside it.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn is_in_history(&self, path: &RelPath) -> Result<bool, Problem> {
        let (first, end) = inside(path);
        let connection = self.mirror();
        let found = |table: &str| {
            let sql = format!("SELECT 1 FROM {table} WHERE path = ?1 OR (path >= ?2 AND path < ?3)");
            connection.prepare_cached(&sql)?.exists(params![path.as_bytes(), first, end])
        };
        let is_there = found("change").and_then(|is_there| Ok(is_there || found("tree")?));
        is_there.map_err(|error: rusqlite::Error| trouble("read the history", &error))
    }
}

/// Every content that the path, or one inside it, ever had. That of an empty file tells nothing, and is half of the world's.
fn digests_of(connection: &rusqlite::Connection, path: &RelPath) -> rusqlite::Result<BTreeSet<Digest>> {
    let (first, end) = inside(path);
    let mut wanted = BTreeSet::new();
    let sql = "SELECT old_digest, old_size, new_digest, new_size FROM change
               WHERE path = ?1 OR (path >= ?2 AND path < ?3)";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params![path.as_bytes(), first, end])?;
    while let Some(row) = rows.next()? {
        for column in [0, 2] {
            let digest = row.get::<_, Option<[u8; 32]>>(column)?.map(Digest);
            let has_bytes = row.get::<_, Option<i64>>(column + 1)?.is_some_and(|size| size > 0);
            wanted.extend(digest.filter(|digest| has_bytes && *digest != Digest::ZERO));
        }
    }
    Ok(wanted)
}

/// The contents of a path, and where else they are.
struct Plan {
    wanted: BTreeSet<Digest>,
    kept_by: Vec<RelPath>,
    also_at: Vec<RelPath>,
}

/// What of `path` goes: all but what the newest revision has, here or under another path.
fn plan(connection: &rusqlite::Connection, path: &RelPath) -> rusqlite::Result<Plan> {
    let mut wanted = digests_of(connection, path)?;
    let (mut kept, mut kept_by, mut also_at) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    if !wanted.is_empty() {
        each_named(connection, "SELECT path, digest, NULL FROM tree", |other, digest| {
            if wanted.contains(&digest) {
                kept.insert(digest);
                note(&mut kept_by, other, path);
            }
        })?;
        wanted.retain(|digest| !kept.contains(digest));
    }
    if !wanted.is_empty() {
        each_named(connection, "SELECT path, old_digest, new_digest FROM change", |other, digest| {
            if wanted.contains(&digest) {
                note(&mut also_at, other, path);
            }
        })?;
    }
    Ok(Plan { wanted, kept_by: kept_by.into_iter().collect(), also_at: also_at.into_iter().collect() })
}

fn note(others: &mut BTreeSet<RelPath>, other: RelPath, path: &RelPath) {
    if !other.is_within(path) && others.len() < OTHERS_MAX {
        others.insert(other);
    }
}

fn each_named(
    connection: &rusqlite::Connection,
    sql: &str,
    mut each: impl FnMut(RelPath, Digest),
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        for column in 1..3 {
            if let Some(digest) = row.get::<_, Option<[u8; 32]>>(column)?.map(Digest) {
                each(tree::path_of(row, 0)?, digest);
            }
        }
    }
    Ok(())
}
