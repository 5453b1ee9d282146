//! How much of the history is kept (spec 5.6): old revisions go, and with the last of them that names a content the content;
//! the space of both is given back.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use super::loose::{CONTENTS_AT_ONCE, each_digest, is_any_loose, is_tidy, lower_mark, may_be_loose};
use super::turns::Turns;
use super::{DATABASE, Store, connect, drifts, trouble};
use crate::engine::base::{Digest, Problem};
use crate::mirror::diff::Change;

/// Revisions dropped in one go, so that nothing waits for long; the rest goes in the next.
const REVISIONS_AT_ONCE: u64 = 500;
/// Changes dropped in one transaction.
const CHANGES_AT_ONCE: i64 = 2_000;
/// A change itself takes about so much, bytes.
pub(super) const CHANGE_BYTES: u64 = 200;
/// Of a larger revision the contents are not weighed one by one.
const WEIGHED_MAX: usize = 1_000;
/// Free pages up to so many are left: they are used again soon.
const FREE_PAGES_MIN: i64 = 256;
/// Pages given back in one go: the record waits for no more than that.
const PAGES_AT_ONCE: u32 = 250;

/// So many of the newest revisions never go by their age alone, whatever a clock says.
pub const YOUNG_MIN: u64 = 50;

/// What is kept of the main line; what exceeds one of the first three goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Revisions.
    pub count: u64,
    /// Up to this age, ms, counted back from `now` or from the newest revision, whichever is earlier: a clock that is wrong by
    /// a year at one start makes nothing old. The newest [`YOUNG_MIN`] stay, however old.
    pub age: u64,
    /// Unix milliseconds, as the wall clock has it.
    pub now: i64,
    /// Bytes that only older revisions need, less what drifts hold.
    pub bytes: u64,
    /// The other instance needs this revision and all later ones, whatever the others say; none: nobody does.
    pub needed: Option<u64>,
}

/// What goes, as found without holding anything up.
#[derive(Debug)]
pub struct Tidying {
    /// Revisions of the main line up to this number.
    up_to: u64,
    revisions: u64,
    /// Contents that nothing else names.
    contents: Vec<Digest>,
    /// The newest row that was looked at.
    newest_row: i64,
}

impl Store {
    /// Finds what goes, over a connection of its own; none: nothing.
    ///
    /// # Errors
    /// When the history cannot be read.
    pub fn plan_tidying(&self, keep: &Retention) -> Result<Option<Tidying>, Problem> {
        // Given up on a full disk, which may have space again: this is done every now and then.
        self.inner.reserve.keep();
        let connection = connect(&self.home().join(DATABASE), true)?;
        plan(&connection, keep).map_err(|error| trouble("tidy the history", &error))
    }

    /// Drops what was found, unless the main line has left the place meanwhile. Says how many revisions. Nobody else may
    /// change the history meanwhile.
    ///
    /// # Errors
    /// When it cannot be written; what is left goes the next time.
    pub fn tidy(&self, found: &Tidying) -> Result<u64, Problem> {
        self.write_point()?;
        let mut connection = self.mirror();
        tidy(&mut connection, &self.inner.turns, found)
            .and_then(|dropped| self.lower_named(&connection).map(|()| dropped))
            .map_err(|error| trouble("tidy the history", &error))
    }

    /// Gives some free space of the database back to the file system, if there is much. True: there is more.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn give_space_back(&self) -> Result<bool, Problem> {
        self.give_pages_back(FREE_PAGES_MIN)
    }

    /// The same, but for `left` pages.
    pub(super) fn give_pages_back(&self, left: i64) -> Result<bool, Problem> {
        let (connection, _turn) = self.mirror_turn();
        let work = || -> rusqlite::Result<bool> {
            let free = || connection.pragma_query_value(None, "freelist_count", |row| row.get::<_, i64>(0));
            let before = free()?;
            if before <= left {
                return Ok(false);
            }
            // The pragma gives one row for each page.
            let mut statement = connection.prepare(&format!("PRAGMA incremental_vacuum({PAGES_AT_ONCE})"))?;
            let mut rows = statement.query([])?;
            while rows.next()?.is_some() {}
            let after = free()?;
            Ok(after > left && after < before)
        };
        work().map_err(|error| trouble("give space back", &error))
    }
}

/// What the history alone keeps because of a revision: what it replaced.
pub(super) fn weigh(connection: &Connection, changes: &[Change]) -> rusqlite::Result<u64> {
    let replaced = || changes.iter().filter_map(|change| change.old).filter(|old| old.size > 0);
    let rows = changes.len() as u64 * CHANGE_BYTES;
    if changes.len() > WEIGHED_MAX {
        // Text packs to about half.
        return Ok(rows + replaced().map(|old| old.size / 2).sum::<u64>());
    }
    let mut length = connection.prepare_cached("SELECT length(bytes) FROM content WHERE digest = ?1")?;
    let mut bytes = rows;
    for old in replaced() {
        let packed: Option<i64> = length.query_row([&old.digest.0], |row| row.get(0)).optional()?;
        bytes += packed.unwrap_or(0).cast_unsigned();
    }
    Ok(bytes)
}

/// Keeps what [`weigh`] found for the revision with this row.
pub(super) fn put_weight(connection: &Connection, row: i64, bytes: u64) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT OR REPLACE INTO weight (revision, bytes) VALUES (?1, ?2)")?
        .execute(params![row, i64::try_from(bytes).unwrap_or(i64::MAX)])?;
    Ok(())
}

fn plan(connection: &Connection, keep: &Retention) -> rusqlite::Result<Option<Tidying>> {
    let number = |sql: &str, params: &[&dyn rusqlite::ToSql]| -> rusqlite::Result<u64> {
        let found: Option<i64> =
            connection.prepare_cached(sql)?.query_row(params, |row| row.get(0)).optional()?.flatten();
        Ok(found.unwrap_or(0).cast_unsigned())
    };
    let count = i64::try_from(keep.count).unwrap_or(i64::MAX);
    let bytes = i64::try_from(drifts::left_of(connection, keep.bytes)?).unwrap_or(i64::MAX);
    let nth_newest = |count: i64| {
        number("SELECT number FROM revision WHERE branch IS NULL ORDER BY number DESC LIMIT 1 OFFSET ?1", &[&count])
    };
    let by_count = nth_newest(count)?;
    // The first that is young enough, and all that come after it, whatever a wrong clock wrote into them.
    let newest_at: Option<i64> = connection
        .prepare_cached("SELECT at FROM revision WHERE branch IS NULL ORDER BY number DESC LIMIT 1")?
        .query_row([], |row| row.get(0))
        .optional()?;
    let since = newest_at.map_or(keep.now, |at| at.min(keep.now)).saturating_sub_unsigned(keep.age);
    let first_young = number("SELECT min(number) FROM revision WHERE branch IS NULL AND at >= ?1", &[&since])?;
    let newest = number("SELECT max(number) FROM revision WHERE branch IS NULL", &[])?;
    let old = if first_young == 0 { newest } else { first_young - 1 };
    let by_age = old.min(nth_newest(YOUNG_MIN.cast_signed())?);
    let by_size = number(
        "SELECT max(number) FROM (SELECT number, sum(coalesce(bytes, 0)) OVER (ORDER BY number DESC) AS total \
         FROM revision LEFT JOIN weight ON weight.revision = revision.id WHERE branch IS NULL) WHERE total > ?1",
        &[&bytes],
    )?;
    let wanted = by_count.max(by_age).max(by_size).min(newest.saturating_sub(1));
    let allowed = keep.needed.map_or(wanted, |needed| wanted.min(needed.saturating_sub(1)));
    let oldest = number("SELECT min(number) FROM revision WHERE branch IS NULL", &[])?;
    let up_to = allowed.min(oldest.saturating_add(REVISIONS_AT_ONCE - 1));
    if oldest == 0 || up_to < oldest {
        return Ok(None);
    }
    let newest_row: i64 = connection.query_row("SELECT max(id) FROM revision", [], |row| row.get(0))?;
    let contents = only_named_up_to(connection, up_to)?;
    Ok(Some(Tidying { up_to, revisions: count_up_to(connection, up_to)?, contents, newest_row }))
}

fn count_up_to(connection: &Connection, up_to: u64) -> rusqlite::Result<u64> {
    let sql = "SELECT count(*) FROM revision WHERE branch IS NULL AND number <= ?1";
    let count: i64 = connection.prepare_cached(sql)?.query_row([up_to.cast_signed()], |row| row.get(0))?;
    Ok(count.cast_unsigned())
}

/// Contents that the main line up to this number names, and nothing else.
fn only_named_up_to(connection: &Connection, up_to: u64) -> rusqlite::Result<Vec<Digest>> {
    let mut candidates = BTreeSet::new();
    let goes = "(branch IS NULL AND number <= ?1)";
    let changes = "SELECT old_digest, new_digest FROM change JOIN revision ON revision.id = change.revision WHERE";
    each_digest(connection, &format!("{changes} {goes}"), Some(up_to.cast_signed()), &mut |digest| {
        candidates.insert(digest);
    })?;
    if candidates.is_empty() {
        return Ok(Vec::new());
    }
    each_digest(connection, "SELECT digest, NULL FROM tree", None, &mut |digest| {
        candidates.remove(&digest);
    })?;
    each_digest(connection, &format!("{changes} NOT {goes}"), Some(up_to.cast_signed()), &mut |digest| {
        candidates.remove(&digest);
    })?;
    Ok(candidates.into_iter().collect())
}

/// Drops the changes of large revisions that go, a few at a time, so that no write of the record waits for them.
fn drop_large(connection: &Connection, turns: &Turns, up_to: u64) -> rusqlite::Result<()> {
    let sql = "SELECT id FROM revision WHERE branch IS NULL AND number <= ?1 AND \
               (SELECT count(*) FROM (SELECT 1 FROM change WHERE change.revision = revision.id LIMIT ?2)) = ?2";
    let large: Vec<i64> = connection
        .prepare_cached(sql)?
        .query_map(params![up_to.cast_signed(), CHANGES_AT_ONCE], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    large.into_iter().try_for_each(|row| drop_changes(connection, turns, row))
}

/// Drops the changes of the revision with this row, a few at a time.
pub(super) fn drop_changes(connection: &Connection, turns: &Turns, row: i64) -> rusqlite::Result<()> {
    let mut drop = connection.prepare_cached(
        "DELETE FROM change WHERE revision = ?1 AND path IN (SELECT path FROM change WHERE revision = ?1 LIMIT ?2)",
    )?;
    loop {
        let _turn = turns.patient();
        if drop.execute(params![row, CHANGES_AT_ONCE])? == 0 {
            return Ok(());
        }
    }
}

fn tidy(connection: &mut Connection, turns: &Turns, found: &Tidying) -> rusqlite::Result<u64> {
    if count_up_to(connection, found.up_to)? != found.revisions {
        // Some of them left the main line: their contents are a branch's now.
        return Ok(0);
    }
    let others_may_be_loose = is_any_loose(connection)?;
    {
        let _turn = turns.patient();
        may_be_loose(connection)?;
    }
    drop_large(connection, turns, found.up_to)?;
    let turn = turns.patient();
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let dropped = transaction
        .prepare_cached("DELETE FROM revision WHERE branch IS NULL AND number <= ?1")?
        .execute([found.up_to.cast_signed()])?;
    transaction.commit()?;
    drop(turn);
    for some in found.contents.chunks(CONTENTS_AT_ONCE) {
        let _turn = turns.patient();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        {
            let mut delete = transaction.prepare_cached(
                "DELETE FROM content WHERE digest = ?1 AND NOT EXISTS \
                 (SELECT 1 FROM change WHERE revision > ?2 AND (old_digest = ?1 OR new_digest = ?1))",
            )?;
            for digest in some {
                delete.execute(params![&digest.0, found.newest_row])?;
            }
        }
        lower_mark(&transaction)?;
        transaction.commit()?;
    }
    if !others_may_be_loose {
        let _turn = turns.patient();
        is_tidy(connection)?;
    }
    Ok(dropped as u64)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::engine::base::{RevisionId, Term};
    use crate::store::{Commit, NewRevision};

    const DAY: i64 = 24 * 3_600 * 1_000;

    /// A history of so many revisions, one a day; the newest one on this day.
    fn grown(count: u64, last_day: i64) -> (tempfile::TempDir, Store) {
        let home = tempfile::tempdir().unwrap();
        let store = Store::open(home.path()).unwrap();
        for number in 1..=count {
            let revision = RevisionId { number, term: Term(1), root: Digest([0; 32]) };
            let at = (last_day - (count - number).cast_signed()) * DAY;
            let changes = Arc::new(Vec::new());
            let new = NewRevision { revision, author: "anna".into(), at, message: String::new(), changes };
            store.commit(&Commit { revision: Some(&new), ..Commit::default() }).unwrap();
        }
        (home, store)
    }

    fn dropped(store: &Store, age_days: u64, now_day: i64) -> u64 {
        let keep = Retention {
            count: u64::MAX,
            age: age_days * DAY.cast_unsigned(),
            now: now_day * DAY,
            bytes: u64::MAX,
            needed: None,
        };
        store.plan_tidying(&keep).unwrap().map_or(0, |found| store.tidy(&found).unwrap())
    }

    /// spec 5.6: a clock that is far ahead at one start drops nothing, and the newest revisions do not go by age alone
    #[test]
    fn a_wrong_clock_drops_no_history() {
        let (_home, store) = grown(80, 1_000);
        assert_eq!(dropped(&store, 365, 1_400), 0, "all are of the last year, as the newest one counts");
        assert_eq!(dropped(&store, 365, 600), 0, "a clock that is behind makes nothing old");
        assert_eq!(dropped(&store, 69, 1_400), 10, "ten are older than the 70 that span 69 days");
        assert_eq!(dropped(&store, 1, 1_001), 70 - YOUNG_MIN, "the newest stay, however old");
        // A revision that the wrong clock itself dated.
        let (_home, store) = grown(40, 1_000);
        let revision = RevisionId { number: 41, term: Term(1), root: Digest([0; 32]) };
        let changes = Arc::new(Vec::new());
        let new = NewRevision { revision, author: "anna".into(), at: 1_400 * DAY, message: String::new(), changes };
        store.commit(&Commit { revision: Some(&new), ..Commit::default() }).unwrap();
        assert_eq!(dropped(&store, 365, 1_400), 0, "fewer than what always stays");
    }
}
