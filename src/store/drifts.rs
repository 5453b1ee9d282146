//! What drifts hold (spec 4.5, 5.6): contents that no revision and no other branch names. They count towards the size of the
//! history, and the oldest drifts go when there are too many, or when they hold too much. Branches of a divergence never go
//! by themselves (spec 7.6).
//!
//! Who holds a content is noted when it comes and when somebody else comes to name it, so that to weigh drifts costs no look at
//! the history. Before the contents of one that is dropped go, which is rare, it is looked whether they really have no name.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use super::loose::{each_digest, may_be_loose};
use super::retention::{CHANGE_BYTES, drop_changes, put_weight};
use super::{Store, tree, trouble};
use crate::engine::base::{Digest, Problem, UnixMillis};
use crate::engine::message::Branch;
use crate::mirror::diff::Change;
use crate::mirror::tree::Entry;

/// What the names of drifts begin with.
pub const DRIFT: &str = "drift-";
/// Drifts kept; older ones go.
pub const DRIFTS_MAX: usize = 200;
/// Part of the size of the history that drifts never take from revisions: one large stray file is not to cost all of them.
const SHARE_OF_REVISIONS: u64 = 2;

/// A drift that went because of a limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DroppedDrift {
    /// Its name.
    pub name: String,
    /// What it alone held, bytes in the database.
    pub bytes: u64,
    /// There were more than [`DRIFTS_MAX`]; otherwise they held too much.
    pub is_one_too_many: bool,
}

/// A drift, its revision, and what it holds.
struct Held {
    name: String,
    row: i64,
    bytes: u64,
}

impl Store {
    /// Drops the oldest drifts as long as there are more than [`DRIFTS_MAX`], or all together hold more than `bytes`; never the
    /// newest. Nobody else may change the history meanwhile. Says which.
    ///
    /// # Errors
    /// When it cannot be read or written; what is left goes the next time.
    pub fn tidy_drifts(&self, bytes: u64) -> Result<Vec<DroppedDrift>, Problem> {
        let failed = |error: rusqlite::Error| trouble("tidy the drifts", &error);
        let found = held(&self.mirror()).map_err(failed)?;
        let (mut sum, mut dropped, mut only_here) = (0_u64, Vec::new(), BTreeSet::new());
        for (index, drift) in found.into_iter().enumerate() {
            sum = sum.saturating_add(drift.bytes);
            let is_one_too_many = index >= DRIFTS_MAX;
            if index == 0 || !(is_one_too_many || sum > bytes) {
                continue;
            }
            self.write_point()?;
            only_here.extend(self.drop_drift(&drift).map_err(failed)?);
            dropped.push(DroppedDrift { name: drift.name, bytes: drift.bytes, is_one_too_many });
        }
        self.without_named(&mut only_here).map_err(failed)?;
        self.drop_contents(&only_here.into_iter().collect::<Vec<_>>(), |_, _| Ok(()))?;
        // As they came: the oldest first.
        dropped.reverse();
        Ok(dropped)
    }

    /// Nothing that has a name goes, whatever is noted: a wrong note would cost a file of the history (spec 5.6).
    fn without_named(&self, digests: &mut BTreeSet<Digest>) -> rusqlite::Result<()> {
        for sql in ["SELECT digest, NULL FROM tree", "SELECT new_digest, old_digest FROM change"] {
            if !digests.is_empty() {
                each_digest(&self.mirror(), sql, None, &mut |digest| {
                    digests.remove(&digest);
                })?;
            }
        }
        Ok(())
    }

    /// The branch goes; what it alone held is to be dropped. A death between leaves loose contents, which the next start drops.
    fn drop_drift(&self, drift: &Held) -> rusqlite::Result<Vec<Digest>> {
        let mut connection = self.mirror();
        let only_here = connection
            .prepare_cached("SELECT digest FROM drift_content WHERE revision = ?1")?
            .query_map([drift.row], |row| row.get(0).map(Digest))?
            .collect::<rusqlite::Result<Vec<_>>>()?;
        drop_changes(&connection, &self.inner.turns, drift.row)?;
        let _turn = self.inner.turns.patient();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        may_be_loose(&transaction)?;
        transaction.prepare_cached("DELETE FROM branch WHERE name = ?1")?.execute([&drift.name])?;
        transaction.commit()?;
        Ok(only_here)
    }

    /// The same drift was found once more: it is the newest from now on, and of this moment.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn renew_drift(&self, branch: &Branch, at: UnixMillis) -> Result<Branch, Problem> {
        self.write_point()?;
        let renewed = Branch { at, ..branch.clone() };
        let json = serde_json::to_string(&renewed)
            .map_err(|error| Problem::new("cannot keep a drift", error.to_string(), ""))?;
        let (mut connection, turn) = self.mirror_turn();
        let mut write = || -> rusqlite::Result<()> {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            transaction
                .prepare_cached(
                    "UPDATE branch SET json = ?2, rowid = (SELECT max(rowid) + 1 FROM branch) WHERE name = ?1",
                )?
                .execute([&branch.name, &json])?;
            self.hold_again(&transaction, &branch.name)?;
            transaction.commit()
        };
        write().map_err(|error| trouble("keep a drift", &error))?;
        drop(turn);
        self.all_named(&connection).map_err(|error| trouble("keep a drift", &error))?;
        Ok(renewed)
    }

    /// Contents of a branch were fetched after it: those of a drift are held by it. Nothing happens for another branch.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn hold_fetched(&self, name: &str) -> Result<(), Problem> {
        if !is_drift(name) {
            return Ok(());
        }
        self.write_point()?;
        let (connection, _turn) = self.mirror_turn();
        let write = || -> rusqlite::Result<()> {
            self.hold_again(&connection, name)?;
            self.all_named(&connection)
        };
        write().map_err(|error| trouble("keep a drift", &error))
    }

    /// What came since for a drift that is kept already.
    fn hold_again(&self, connection: &Connection, name: &str) -> rusqlite::Result<()> {
        let row: Option<i64> = connection
            .prepare_cached("SELECT max(id) FROM revision WHERE branch = ?1")?
            .query_row([name], |row| row.get(0))?;
        let Some(row) = row else { return Ok(()) };
        let changes: Vec<Change> = connection
            .prepare_cached(
                "SELECT path, old_kind, old_mode, old_size, old_digest, new_kind, new_mode, new_size, new_digest \
                 FROM change WHERE revision = ?1 ORDER BY path",
            )?
            .query_map([row], tree::change_of)?
            .collect::<rusqlite::Result<_>>()?;
        let more = hold(connection, row, &changes, self.named_up_to())?;
        add_weight(connection, row, more.cast_signed())
    }

    /// The row of contents up to which some revision may name each: later ones came since the last commit.
    pub(super) fn named_up_to(&self) -> i64 {
        self.inner.named_up_to.load(Ordering::Relaxed)
    }

    /// After a commit: what is there now may have a name.
    pub(super) fn all_named(&self, connection: &Connection) -> rusqlite::Result<()> {
        self.inner.named_up_to.store(newest_content(connection)?, Ordering::Relaxed);
        Ok(())
    }

    /// After contents were dropped: their rows may be given to others.
    pub(super) fn lower_named(&self, connection: &Connection) -> rusqlite::Result<()> {
        self.inner.named_up_to.fetch_min(newest_content(connection)?, Ordering::Relaxed);
        Ok(())
    }
}

#[cfg(test)]
impl Store {
    /// As a fault of the notes would: the oldest drift is said to hold a content alone.
    pub(crate) fn note_wrongly_as_a_drift(&self, digest: &Digest) {
        let connection = self.mirror();
        let oldest = held(&connection).unwrap().pop().unwrap().row;
        connection.execute("INSERT INTO drift_content VALUES (?1, ?2)", params![&digest.0, oldest]).unwrap();
    }
}

/// The name is that of a drift, an own one or a fetched one.
pub(super) fn is_drift(name: &str) -> bool {
    name.starts_with(DRIFT)
}

/// What drifts leave of `bytes` to older revisions.
pub(super) fn left_of(connection: &Connection, bytes: u64) -> rusqlite::Result<u64> {
    let held: u64 = held(connection)?.iter().map(|drift| drift.bytes).sum();
    Ok(bytes - held.min(bytes / SHARE_OF_REVISIONS))
}

/// Notes what a drift that was kept just now holds, and what it weighs.
pub(super) fn keep(connection: &Connection, row: i64, changes: &[Change], named: i64) -> rusqlite::Result<()> {
    let bytes = hold(connection, row, changes, named)?;
    put_weight(connection, row, bytes + changes.len() as u64 * CHANGE_BYTES)
}

/// Contents that came after `named` are held by this drift alone, and so are those of older drifts that it has too: when these
/// go it still needs them. Says how many bytes more.
fn hold(connection: &Connection, row: i64, changes: &[Change], named: i64) -> rusqlite::Result<u64> {
    let mut about = connection.prepare_cached("SELECT rowid, length(bytes) FROM content WHERE digest = ?1")?;
    let mut holder = connection.prepare_cached("SELECT revision FROM drift_content WHERE digest = ?1")?;
    let mut take = connection.prepare_cached(
        "INSERT INTO drift_content (digest, revision) VALUES (?1, ?2) ON CONFLICT (digest) DO UPDATE SET revision = ?2",
    )?;
    let mut bytes = 0_u64;
    for digest in come(changes) {
        let found: Option<(i64, i64)> =
            about.query_row([&digest.0], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        let Some((content, length)) = found else { continue };
        match holder.query_row([&digest.0], |row| row.get::<_, i64>(0)).optional()? {
            Some(known) if known == row => continue,
            Some(older) => add_weight(connection, older, -length)?,
            None if content > named => {}
            None => continue,
        }
        take.execute(params![&digest.0, row])?;
        bytes = bytes.saturating_add(length.cast_unsigned());
    }
    Ok(bytes)
}

/// Something else than a drift names the new contents of `changes` from now on: no drift holds them alone.
pub(super) fn release(connection: &Connection, changes: &[Change]) -> rusqlite::Result<()> {
    if !connection.prepare_cached("SELECT 1 FROM drift_content LIMIT 1")?.exists([])? {
        return Ok(());
    }
    let new = changes.iter().filter_map(|change| change.new).filter(Entry::has_content);
    new.map(|entry| entry.digest).collect::<BTreeSet<_>>().iter().try_for_each(|digest| release_one(connection, digest))
}

/// The same for one, which may also be about to go.
pub(super) fn release_one(connection: &Connection, digest: &Digest) -> rusqlite::Result<()> {
    let holder: Option<i64> = connection
        .prepare_cached("DELETE FROM drift_content WHERE digest = ?1 RETURNING revision")?
        .query_row([&digest.0], |row| row.get(0))
        .optional()?;
    let Some(holder) = holder else { return Ok(()) };
    let length: Option<i64> = connection
        .prepare_cached("SELECT length(bytes) FROM content WHERE digest = ?1")?
        .query_row([&digest.0], |row| row.get(0))
        .optional()?;
    add_weight(connection, holder, -length.unwrap_or(0))
}

/// Contents that `changes` brought.
fn come(changes: &[Change]) -> BTreeSet<Digest> {
    let is_other = |change: &&Change| change.old.map(|old| old.digest) != change.new.map(|new| new.digest);
    let new = changes.iter().filter(is_other).filter_map(|change| change.new).filter(Entry::has_content);
    new.map(|entry| entry.digest).collect()
}

fn add_weight(connection: &Connection, row: i64, bytes: i64) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE weight SET bytes = max(0, bytes + ?2) WHERE revision = ?1")?
        .execute([row, bytes])
        .map(drop)
}

/// Drifts, newest first. One with more than what was found on a disk has revisions, which are not to be lost by themselves.
fn held(connection: &Connection) -> rusqlite::Result<Vec<Held>> {
    let sql = "SELECT branch.name, max(revision.id), sum(coalesce(weight.bytes, 0)) FROM branch \
               JOIN revision ON revision.branch = branch.name LEFT JOIN weight ON weight.revision = revision.id \
               WHERE branch.name LIKE ?1 || '%' GROUP BY branch.name HAVING count(*) = 1 ORDER BY branch.rowid DESC";
    let held = |row: &rusqlite::Row<'_>| {
        let bytes: i64 = row.get(2)?;
        Ok(Held { name: row.get(0)?, row: row.get(1)?, bytes: bytes.cast_unsigned() })
    };
    connection.prepare_cached(sql)?.query_map([DRIFT], held)?.collect()
}

pub(super) fn newest_content(connection: &Connection) -> rusqlite::Result<i64> {
    let newest: Option<i64> =
        connection.prepare_cached("SELECT max(rowid) FROM content")?.query_row([], |row| row.get(0))?;
    Ok(newest.unwrap_or(0))
}
