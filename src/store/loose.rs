//! Contents that nothing names. They are kept before the revision that needs them, so a death leaves some; and some lose their
//! last name when old revisions or drifts go. To find them costs what has come since it was last known that there were none.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension, params};

use super::{DATABASE, Store, connect, drifts, trouble};
use crate::engine::base::{Digest, Problem};

/// The fact up to which row of contents all are named, and which revision was the newest then: two numbers.
const NAMED: &str = "named_up_to";
/// The fact that any content may have lost its last name.
const ANY: &str = "any_may_be_loose";
/// Contents dropped in one transaction,
pub(super) const CONTENTS_AT_ONCE: usize = 200;
/// and their bytes; a larger one goes alone.
pub(super) const BYTES_AT_ONCE: u64 = 1024 * 1024;

/// What was looked for, and what was found.
struct Look {
    loose: BTreeSet<Digest>,
    /// Up to here.
    content: i64,
    revision: i64,
    /// Where it began.
    from: Option<(i64, i64)>,
    /// The fact [`ANY`] was there.
    is_any: bool,
}

impl Store {
    /// Drops contents that no revision, branch or tree names. Only while nothing else writes.
    ///
    /// # Errors
    /// When it cannot be written; what is left goes the next time.
    pub fn drop_loose_contents(&self) -> Result<(), Problem> {
        self.write_point()?;
        let look = look(&self.mirror(), true).map_err(|error| trouble("tidy the history", &error))?;
        let dropped: Vec<Digest> = look.loose.iter().copied().collect();
        self.drop_contents(&dropped, |_, _| Ok(()))?;
        self.keep_look(&look)
    }

    /// Notes that all contents are named, if that is easily seen, so that the next start need not look at them. Reads over a
    /// connection of its own, and holds nobody up.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub fn note_named_contents(&self) -> Result<(), Problem> {
        let failed = |error: rusqlite::Error| trouble("look at the history", &error);
        let look = {
            let mut connection = connect(&self.home().join(DATABASE), true)?;
            let transaction = connection.transaction().map_err(failed)?;
            if is_any_loose(&transaction).map_err(failed)? {
                // It would be looked at everywhere, and could not be noted: the next start does it.
                return Ok(());
            }
            let newest = newest_rows(&transaction).map_err(failed)?;
            let known = self.inner.looked_at.lock().unwrap_or_else(std::sync::PoisonError::into_inner).replace(newest);
            if known == Some(newest) {
                return Ok(());
            }
            look(&transaction, false).map_err(failed)?
        };
        if look.loose.is_empty() && !look.is_any { self.keep_look(&look) } else { Ok(()) }
    }

    fn keep_look(&self, look: &Look) -> Result<(), Problem> {
        let (connection, _turn) = self.mirror_turn();
        let write = || -> rusqlite::Result<()> {
            // Where the last ones were dropped, their rows may be given to others.
            let named = (look.content.min(newest_rows(&connection)?.0), look.revision);
            if look.from == Some(named) {
                return Ok(());
            }
            // No wait for the disk: an older note only costs a longer look.
            connection.pragma_update(None, "synchronous", "normal")?;
            let value = format!("{} {}", named.0, named.1);
            connection
                .prepare_cached(
                    "INSERT INTO fact (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = ?2",
                )?
                .execute([NAMED, &value])?;
            if look.is_any { is_tidy(&connection) } else { Ok(()) }
        };
        let written = write();
        let is_full_again = connection.pragma_update(None, "synchronous", "full");
        written.and(is_full_again).map_err(|error| trouble("tidy the history", &error))
    }

    /// Drops these, a few at a time; `also` is done with each, in the same transaction. Says how many were there.
    pub(super) fn drop_contents(
        &self,
        digests: &[Digest],
        mut also: impl FnMut(&Connection, &Digest) -> rusqlite::Result<()>,
    ) -> Result<u64, Problem> {
        let (mut dropped, mut rest) = (0, digests);
        while !rest.is_empty() {
            self.write_point()?;
            let (mut connection, _turn) = self.mirror_turn();
            let mut work = || -> rusqlite::Result<usize> {
                let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
                let (mut done, mut bytes) = (0, 0);
                for digest in rest.iter().take(CONTENTS_AT_ONCE) {
                    let length: Option<i64> = transaction
                        .prepare_cached("SELECT length(bytes) FROM content WHERE digest = ?1")?
                        .query_row([&digest.0], |row| row.get(0))
                        .optional()?;
                    let length = length.unwrap_or(0).cast_unsigned();
                    if done > 0 && bytes + length > BYTES_AT_ONCE {
                        break;
                    }
                    bytes += length;
                    done += 1;
                    drifts::release_one(&transaction, digest)?;
                    dropped += transaction
                        .prepare_cached("DELETE FROM content WHERE digest = ?1")?
                        .execute([&digest.0])? as u64;
                    also(&transaction, digest)?;
                }
                lower_mark(&transaction)?;
                transaction.commit()?;
                self.lower_named(&connection)?;
                Ok(done)
            };
            let done = work().map_err(|error| trouble("drop contents", &error))?;
            rest = &rest[done..];
        }
        Ok(dropped)
    }
}

/// Any content may have lost its last name. In the transaction that takes names away, or before it.
pub(super) fn may_be_loose(connection: &Connection) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT INTO fact (key, value) VALUES (?1, '') ON CONFLICT DO NOTHING")?
        .execute([ANY])
        .map(drop)
}

/// See [`may_be_loose`].
pub(super) fn is_any_loose(connection: &Connection) -> rusqlite::Result<bool> {
    connection.prepare_cached("SELECT 1 FROM fact WHERE key = ?1")?.exists([ANY])
}

/// After the contents that had lost their last name are gone.
pub(super) fn is_tidy(connection: &Connection) -> rusqlite::Result<()> {
    connection.prepare_cached("DELETE FROM fact WHERE key = ?1")?.execute([ANY]).map(drop)
}

/// After contents were dropped: the rows of the last ones may be given to others.
pub(super) fn lower_mark(connection: &Connection) -> rusqlite::Result<()> {
    let Some((content, revision)) = mark(connection)? else { return Ok(()) };
    let (newest, _) = newest_rows(connection)?;
    if newest < content {
        connection
            .prepare_cached("UPDATE fact SET value = ?2 WHERE key = ?1")?
            .execute(params![NAMED, format!("{newest} {revision}")])?;
    }
    Ok(())
}

/// None: there is no mark.
fn mark(connection: &Connection) -> rusqlite::Result<Option<(i64, i64)>> {
    let value: Option<String> = connection
        .prepare_cached("SELECT value FROM fact WHERE key = ?1")?
        .query_row([NAMED], |row| row.get(0))
        .optional()?;
    Ok(value.and_then(|value| {
        let (content, revision) = value.split_once(' ')?;
        Some((content.parse().ok()?, revision.parse().ok()?))
    }))
}

fn newest_rows(connection: &Connection) -> rusqlite::Result<(i64, i64)> {
    let newest = |sql: &str| connection.prepare_cached(sql)?.query_row([], |row| row.get::<_, Option<i64>>(0));
    let content = newest("SELECT max(rowid) FROM content")?;
    let revision = newest("SELECT max(id) FROM revision")?;
    Ok((content.unwrap_or(0), revision.unwrap_or(0)))
}

/// First among the revisions that came since; what they do not name is looked for everywhere, if `everywhere`.
fn look(connection: &Connection, everywhere: bool) -> rusqlite::Result<Look> {
    let (content, revision) = newest_rows(connection)?;
    let is_any = is_any_loose(connection)?;
    let from = if is_any { None } else { mark(connection)?.filter(|(known, _)| *known <= content) };
    let (after, since) = from.unwrap_or((0, 0));
    let mut loose = BTreeSet::new();
    each_digest(connection, "SELECT digest, NULL FROM content WHERE rowid > ?1", Some(after), &mut |digest| {
        loose.insert(digest);
    })?;
    let names = [
        ("SELECT new_digest, old_digest FROM change WHERE revision > ?1", Some(since)),
        ("SELECT digest, NULL FROM tree", None),
        ("SELECT new_digest, old_digest FROM change", None),
    ];
    for (sql, number) in names {
        if loose.is_empty() || (number.is_none() && !everywhere) {
            break;
        }
        each_digest(connection, sql, number, &mut |digest| {
            loose.remove(&digest);
        })?;
    }
    Ok(Look { loose, content, revision, from, is_any })
}

/// Every digest in the first two columns.
pub(super) fn each_digest(
    connection: &Connection,
    sql: &str,
    number: Option<i64>,
    take: &mut dyn FnMut(Digest),
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare(sql)?;
    let mut rows = match number {
        Some(number) => statement.query([number])?,
        None => statement.query([])?,
    };
    while let Some(row) = rows.next()? {
        for column in 0..2 {
            if let Some(digest) = row.get::<_, Option<[u8; 32]>>(column)? {
                take(Digest(digest));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::base::{RevisionId, Term};
    use crate::mirror::diff::Change;
    use crate::mirror::path::RelPath;
    use crate::mirror::tree::Entry;
    use crate::store::{Commit, NewRevision, Packed};

    struct Home {
        _home: tempfile::TempDir,
        store: Store,
    }

    impl Home {
        fn new() -> Self {
            let home = tempfile::tempdir().unwrap();
            let store = Store::open(home.path()).unwrap();
            Self { _home: home, store }
        }

        fn put(&self, number: u8) -> Digest {
            let digest = Digest([number; 32]);
            self.store.put_contents(&[(digest, Packed::of(vec![number; 10]))]).unwrap();
            digest
        }

        /// A revision in which the path `f` has this content.
        fn commit(&self, number: u64, digest: Digest) {
            let revision = RevisionId { number, term: Term(1), root: digest };
            let path = RelPath::new(b"f").unwrap();
            let changes = vec![Change { path, old: None, new: Some(Entry::file(0o644, 10, digest)) }];
            let (author, message) = (String::new(), String::new());
            let new = NewRevision { revision, author, at: 1, message, changes: changes.into() };
            let commit = Commit { revision: Some(&new), tree: &new.changes, ..Commit::default() };
            self.store.commit(&commit).unwrap();
        }

        fn looks_from(&self) -> Option<(i64, i64)> {
            look(&self.store.mirror(), true).unwrap().from
        }
    }

    /// spec 5.6: what no revision came to need goes at the next start; what one needs stays; and what was looked at once is not
    /// looked at again.
    #[test]
    fn a_start_looks_only_at_what_came_since() {
        let home = Home::new();
        let (kept, loose) = (home.put(1), home.put(2));
        home.commit(1, kept);
        home.store.drop_loose_contents().unwrap();
        assert!(home.store.has_content(&kept).unwrap() && !home.store.has_content(&loose).unwrap());
        let first = home.looks_from();
        assert_eq!(first, Some((1, 1)));
        // The row of the one that went is given again.
        let (newer, loose) = (home.put(3), home.put(4));
        home.commit(2, newer);
        assert_eq!(home.looks_from(), first);
        home.store.note_named_contents().unwrap();
        assert_eq!(home.looks_from(), first, "there is one that is loose");
        home.store.drop_loose_contents().unwrap();
        assert!([kept, newer].iter().all(|digest| home.store.has_content(digest).unwrap()));
        assert!(!home.store.has_content(&loose).unwrap());
        let last = home.put(5);
        home.commit(3, last);
        home.store.note_named_contents().unwrap();
        assert_eq!(home.looks_from(), Some((3, 3)));
    }

    /// spec 5.6: a content that only an older revision names is no loose one, also when it has come again since.
    #[test]
    fn what_an_old_revision_names_stays() {
        let home = Home::new();
        let old = home.put(1);
        home.commit(1, old);
        let new = home.put(2);
        home.commit(2, new);
        home.store.drop_loose_contents().unwrap();
        home.store.drop_content(&old).unwrap();
        home.put(3);
        home.put(1);
        home.store.drop_loose_contents().unwrap();
        assert!(home.store.has_content(&old).unwrap());
        assert!(!home.store.has_content(&Digest([3; 32])).unwrap());
    }

    /// spec 5.6: what lost its last name is looked for everywhere.
    #[test]
    fn what_lost_its_name_goes() {
        let home = Home::new();
        let digest = home.put(1);
        home.commit(1, digest);
        home.store.drop_loose_contents().unwrap();
        {
            let connection = home.store.mirror();
            connection.execute_batch("DELETE FROM change; DELETE FROM tree").unwrap();
        }
        home.store.drop_loose_contents().unwrap();
        assert!(home.store.has_content(&digest).unwrap(), "nobody said so");
        may_be_loose(&home.store.mirror()).unwrap();
        home.store.drop_loose_contents().unwrap();
        assert!(!home.store.has_content(&digest).unwrap());
        assert!(!is_any_loose(&home.store.mirror()).unwrap());
    }
}
