//! Revisions, their changes, branches, and the journal of a revision on its way to the disk.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Row, TransactionBehavior, params};
use serde::{Deserialize, Serialize};

use super::{Packed, Store, contents, drifts, retention, tree, trouble};
use crate::engine::base::{Digest, Problem, RevisionId, Term};
use crate::engine::message::Branch;
use crate::mirror::diff::Change;
use crate::mirror::path::RelPath;
use crate::mirror::scan::Stamp;

/// A kept revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevisionRow {
    /// In the database.
    pub row: i64,
    /// Which.
    pub revision: RevisionId,
    /// Who.
    pub author: String,
    /// When, Unix milliseconds.
    pub at: i64,
    /// Why.
    pub message: String,
}

/// A revision to be kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewRevision {
    /// Which.
    pub revision: RevisionId,
    /// Who.
    pub author: String,
    /// When, Unix milliseconds.
    pub at: i64,
    /// Why.
    pub message: String,
    /// From its parent to it, each directory before what is in it.
    pub changes: Arc<Vec<Change>>,
}

/// Revisions that leave the main line (spec 7.6).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BranchPlan {
    /// What they become.
    pub branch: Branch,
    /// All with a higher number leave.
    pub after: u64,
    /// What was on the disk and in no revision: one more at the end.
    pub uncommitted: Option<NewRevision>,
}

/// What one transaction does.
#[derive(Default)]
pub struct Commit<'a> {
    /// Contents not yet kept.
    pub contents: &'a [(Digest, Packed)],
    /// First: what leaves the main line.
    pub branch: Option<&'a BranchPlan>,
    /// Then: the new end of the main line; none where it is already there.
    pub revision: Option<&'a NewRevision>,
    /// From the newest tree before to the newest tree after.
    pub tree: &'a [Change],
    /// What the file system said, for the paths looked at.
    pub stamps: &'a [(RelPath, Stamp)],
    /// The journal's plan is done.
    pub clears_journal: bool,
}

pub(super) const ROW: &str = "SELECT id, number, term, root, author, at, message FROM revision WHERE branch IS NULL";

impl Store {
    /// Newest revision of the main line.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn newest_revision(&self) -> Result<Option<RevisionRow>, Problem> {
        self.one_row(&format!("{ROW} ORDER BY number DESC LIMIT 1"), [])
    }

    /// The revision of the main line with this number, or the next older one.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn revision_at_most(&self, number: u64) -> Result<Option<RevisionRow>, Problem> {
        self.one_row(&format!("{ROW} AND number <= ?1 ORDER BY number DESC LIMIT 1"), [number.cast_signed()])
    }

    /// Newest revisions of the main line, newest first.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn newest_revisions(&self, limit: u32) -> Result<Vec<RevisionRow>, Problem> {
        self.rows(&format!("{ROW} ORDER BY number DESC LIMIT ?1"), [i64::from(limit)])
    }

    /// Revisions of the main line above `number`, oldest first.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn revisions_after(&self, number: u64) -> Result<Vec<RevisionRow>, Problem> {
        self.rows(&format!("{ROW} AND number > ?1 ORDER BY number"), [number.cast_signed()])
    }

    /// Changes of all revisions of the main line above `number`, oldest first.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn changes_after(&self, number: u64) -> Result<Vec<Change>, Problem> {
        let sql = "SELECT path, old_kind, old_mode, old_size, old_digest, new_kind, new_mode, new_size, new_digest \
                   FROM change JOIN revision ON revision.id = change.revision \
                   WHERE branch IS NULL AND number > ?1 ORDER BY number, path";
        let connection = self.mirror();
        let read = || -> rusqlite::Result<Vec<Change>> {
            connection.prepare_cached(sql)?.query_map([number.cast_signed()], tree::change_of)?.collect()
        };
        read().map_err(|error| trouble("read the history", &error))
    }

    /// The first paths that a revision changed, and how many in all.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn changed_paths(&self, row: i64, limit: usize) -> Result<(Vec<RelPath>, u64), Problem> {
        let connection = self.mirror();
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let read = || -> rusqlite::Result<(Vec<RelPath>, i64)> {
            let paths = connection
                .prepare_cached("SELECT path FROM change WHERE revision = ?1 ORDER BY path LIMIT ?2")?
                .query_map([row, limit], |row| tree::path_of(row, 0))?
                .collect::<rusqlite::Result<_>>()?;
            let total = connection
                .prepare_cached("SELECT count(*) FROM change WHERE revision = ?1")?
                .query_row([row], |row| row.get(0))?;
            Ok((paths, total))
        };
        let (paths, total) = read().map_err(|error| trouble("read the history", &error))?;
        Ok((paths, total.cast_unsigned()))
    }

    /// Branches, oldest first.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn branches(&self) -> Result<Vec<Branch>, Problem> {
        let connection = self.mirror();
        let read = || -> rusqlite::Result<Vec<String>> {
            connection
                .prepare_cached("SELECT json FROM branch ORDER BY rowid")?
                .query_map([], |row| row.get(0))?
                .collect()
        };
        let rows = read().map_err(|error| trouble("read the branches", &error))?;
        let parse = |json: &String| {
            serde_json::from_str(json).map_err(|error| Problem::new("cannot read a branch", error.to_string(), ""))
        };
        rows.iter().map(parse).collect()
    }

    /// Changes of the revisions of a branch, oldest first.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn branch_changes(&self, name: &str) -> Result<Vec<Change>, Problem> {
        let sql = "SELECT path, old_kind, old_mode, old_size, old_digest, new_kind, new_mode, new_size, new_digest \
                   FROM change JOIN revision ON revision.id = change.revision WHERE branch = ?1 ORDER BY number, path";
        let connection = self.mirror();
        let read = || -> rusqlite::Result<Vec<Change>> {
            connection.prepare_cached(sql)?.query_map([name], tree::change_of)?.collect()
        };
        read().map_err(|error| trouble("read a branch", &error))
    }

    /// Does all of it, or nothing. When this returns, it is on the disk.
    ///
    /// # Errors
    /// When it is not; nothing changed.
    pub fn commit(&self, commit: &Commit<'_>) -> Result<(), Problem> {
        self.write_point()?;
        let (mut connection, turn) = self.mirror_turn();
        let mut write = || -> rusqlite::Result<()> {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            for (digest, bytes) in commit.contents {
                contents::insert(&transaction, digest, bytes)?;
            }
            let named = self.named_up_to();
            if let Some(plan) = commit.branch {
                leave_main_line(&transaction, plan, named)?;
            }
            if let Some(revision) = commit.revision {
                insert_revision(&transaction, revision, None, named)?;
            }
            drifts::release(&transaction, commit.tree)?;
            let number: Option<i64> = transaction
                .prepare_cached("SELECT max(number) FROM revision WHERE branch IS NULL")?
                .query_row([], |row| row.get(0))?;
            tree::write(&transaction, commit.tree, commit.stamps, number.unwrap_or(0))?;
            if commit.clears_journal {
                transaction.execute("DELETE FROM journal", [])?;
                transaction.execute("DELETE FROM journal_part", [])?;
            }
            transaction.commit()?;
            self.all_named(&connection)
        };
        write().map_err(|error| trouble("commit a revision", &error))?;
        drop((turn, connection));
        // Given up on a full disk, which has space again.
        self.inner.reserve.keep();
        Ok(())
    }

    /// Notes, durably, what is about to be done to the directory (spec 5.3): a plan, and what of it is long in parts that are
    /// made one after the other.
    ///
    /// # Errors
    /// When it cannot be written, and those of the parts; nothing was noted then.
    pub fn save_journal(
        &self,
        plan: &[u8],
        parts: impl Iterator<Item = Result<Vec<u8>, Problem>>,
    ) -> Result<(), Problem> {
        self.write_point()?;
        let failed = |error: rusqlite::Error| trouble("write the journal of a revision", &error);
        let (mut connection, _turn) = self.mirror_turn();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        transaction
            .execute("INSERT INTO journal (id, plan) VALUES (1, ?1) ON CONFLICT (id) DO UPDATE SET plan = ?1", [plan])
            .map_err(failed)?;
        transaction.execute("DELETE FROM journal_part", []).map_err(failed)?;
        for part in parts {
            let put = |bytes: &[u8]| -> rusqlite::Result<()> {
                transaction.prepare_cached("INSERT INTO journal_part (bytes) VALUES (?1)")?.execute([bytes]).map(drop)
            };
            put(&part?).map_err(failed)?;
        }
        transaction.commit().map_err(failed)
    }

    /// What was being done to the directory when the program ended; `take` gets the parts first, in their order.
    ///
    /// # Errors
    /// When it cannot be read, and those of `take`.
    pub fn journal(&self, mut take: impl FnMut(Vec<u8>) -> Result<(), Problem>) -> Result<Option<Vec<u8>>, Problem> {
        let failed = |error: rusqlite::Error| trouble("read the journal of a revision", &error);
        let connection = self.mirror();
        let plan = connection.query_row("SELECT plan FROM journal WHERE id = 1", [], |row| row.get(0));
        let Some(plan) = plan.optional().map_err(failed)? else { return Ok(None) };
        let mut statement = connection.prepare("SELECT bytes FROM journal_part ORDER BY part").map_err(failed)?;
        let mut rows = statement.query([]).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            take(row.get(0).map_err(failed)?)?;
        }
        Ok(Some(plan))
    }

    fn one_row<P: rusqlite::Params>(&self, sql: &str, params: P) -> Result<Option<RevisionRow>, Problem> {
        self.rows(sql, params).map(|rows| rows.into_iter().next())
    }

    fn rows<P: rusqlite::Params>(&self, sql: &str, params: P) -> Result<Vec<RevisionRow>, Problem> {
        let connection = self.mirror();
        let read = || -> rusqlite::Result<Vec<RevisionRow>> {
            connection.prepare_cached(sql)?.query_map(params, row_of)?.collect()
        };
        read().map_err(|error| trouble("read the history", &error))
    }
}

pub(super) fn row_of(row: &Row<'_>) -> rusqlite::Result<RevisionRow> {
    let number: i64 = row.get(1)?;
    let term: i64 = row.get(2)?;
    let revision =
        RevisionId { number: number.cast_unsigned(), term: Term(term.cast_unsigned()), root: Digest(row.get(3)?) };
    Ok(RevisionRow { row: row.get(0)?, revision, author: row.get(4)?, at: row.get(5)?, message: row.get(6)? })
}

/// `named`: the row of contents up to which some revision may name each.
fn insert_revision(
    connection: &Connection,
    new: &NewRevision,
    branch: Option<&str>,
    named: i64,
) -> rusqlite::Result<()> {
    let parent: Option<i64> = connection
        .prepare_cached("SELECT id FROM revision WHERE branch IS ?1 ORDER BY number DESC LIMIT 1")?
        .query_row([branch], |row| row.get(0))
        .optional()?;
    let RevisionId { number, term, root } = new.revision;
    connection
        .prepare_cached(
            "INSERT INTO revision (number, term, root, parent, author, at, message, branch) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute(params![
            number.cast_signed(),
            term.0.cast_signed(),
            &root.0,
            parent,
            new.author,
            new.at,
            new.message,
            branch
        ])?;
    let row = connection.last_insert_rowid();
    if branch.is_some_and(drifts::is_drift) {
        drifts::keep(connection, row, &new.changes, named)?;
    } else {
        drifts::release(connection, &new.changes)?;
        let weight = retention::weigh(connection, &new.changes)?;
        if weight > 0 {
            retention::put_weight(connection, row, weight)?;
        }
    }
    tree::write_changes(connection, row, &new.changes)
}

fn leave_main_line(connection: &Connection, plan: &BranchPlan, named: i64) -> rusqlite::Result<()> {
    let name = plan.branch.name.as_str();
    let json =
        serde_json::to_string(&plan.branch).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
    connection.prepare_cached("INSERT INTO branch (name, json) VALUES (?1, ?2)")?.execute([name, &json])?;
    connection
        .prepare_cached("UPDATE revision SET branch = ?1 WHERE branch IS NULL AND number > ?2")?
        .execute(params![name, plan.after.cast_signed()])?;
    let Some(uncommitted) = &plan.uncommitted else { return Ok(()) };
    insert_revision(connection, uncommitted, Some(name), named)
}
