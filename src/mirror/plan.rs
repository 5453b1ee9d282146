//! What one apply does, written down before it is done (spec 5.3).

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Newest;
use super::commit::now_ms;
use super::diff::{self, Change, inverse};
use super::path::RelPath;
use super::tree::Tree;
use crate::engine::base::{Problem, RevisionId, Term, UnixMillis};
use crate::engine::input::Committed;
use crate::engine::message::{BRANCH_FILES_MAX, Branch};
use crate::store::{BranchPlan, NewRevision, RevisionRow, Store};

/// First part of the name of what was put back (spec 4.5).
pub(super) use crate::store::DRIFT;
/// First part of the name of a branch (spec 7.6).
pub(super) const DIVERGED: &str = "diverged-";

/// Changes in one part of a long plan; so few in tests that most plans there are long.
const CHANGES_PER_PART: usize = if cfg!(test) { 3 } else { 2_000 };
/// Authors named of one branch.
const AUTHORS_MAX: usize = 5;
/// Characters of their names together.
const AUTHORS_MAX_CHARS: usize = 200;

/// An apply, from the head to a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// What the directory is after it.
    pub revision: RevisionId,
    /// What leaves the main line.
    pub branch: Option<BranchPlan>,
    /// What is added to it; none: it is there already.
    pub new: Option<NewRevision>,
    /// From the newest tree before to the target; the very same as `ops` where the disk was as it should be.
    pub tree: Arc<Vec<Change>>,
    /// From what was on the disk to the target.
    pub ops: Arc<Vec<Change>>,
    /// In the way, and in no tree.
    pub obstacles: Vec<RelPath>,
}

/// A [`Plan`] in the journal: each list once.
#[derive(Serialize, Deserialize)]
struct Record {
    revision: RevisionId,
    branch: Option<BranchPlan>,
    new: Option<NewRevision>,
    /// None: as `ops`.
    tree: Option<Arc<Vec<Change>>>,
    ops: Arc<Vec<Change>>,
    obstacles: Vec<RelPath>,
    /// The changes of `new` are those of `tree`, and left out.
    #[serde(default)]
    is_new_shared: bool,
    /// `ops` and `tree` are empty here: they come in parts.
    #[serde(default)]
    is_parted: bool,
}

/// Which list a part of it belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum List {
    Ops,
    Tree,
}

/// The parts of a plan in the journal, as they are read.
#[derive(Default)]
pub(super) struct Parts {
    ops: Vec<Change>,
    tree: Vec<Change>,
}

impl Parts {
    /// The next one.
    pub(super) fn add(&mut self, bytes: &[u8]) -> Result<(), Problem> {
        let (list, changes): (List, Vec<Change>) = rmp_serde::from_slice(bytes).map_err(|error| unreadable(&error))?;
        match list {
            List::Ops => self.ops.extend(changes),
            List::Tree => self.tree.extend(changes),
        }
        Ok(())
    }
}

fn unreadable(error: &rmp_serde::decode::Error) -> Problem {
    super::damaged(&format!("the journal of an apply: {error}"))
}

impl Plan {
    /// As bytes, without its [`Plan::parts`].
    pub(super) fn encode(&self) -> Result<Vec<u8>, Problem> {
        let is_shared = Arc::ptr_eq(&self.tree, &self.ops);
        let is_new_shared = self.new.as_ref().is_some_and(|new| new.changes == self.tree);
        let new = self.new.as_ref().map(|new| NewRevision {
            revision: new.revision,
            author: new.author.clone(),
            at: new.at,
            message: new.message.clone(),
            changes: if is_new_shared { Arc::default() } else { Arc::clone(&new.changes) },
        });
        let is_parted = self.is_parted();
        let here = |list: &Arc<Vec<Change>>| if is_parted { Arc::default() } else { Arc::clone(list) };
        let record = Record {
            revision: self.revision,
            branch: self.branch.clone(),
            new,
            tree: (!is_shared).then(|| here(&self.tree)),
            ops: here(&self.ops),
            obstacles: self.obstacles.clone(),
            is_new_shared,
            is_parted,
        };
        rmp_serde::to_vec(&record).map_err(|error| unwritable(&error))
    }

    fn is_parted(&self) -> bool {
        self.ops.len() + self.tree.len() > CHANGES_PER_PART
    }

    /// What is not in [`Plan::encode`], made as it is asked for: a hundred thousand paths need not be there twice.
    pub(super) fn parts(&self) -> impl Iterator<Item = Result<Vec<u8>, Problem>> {
        let is_shared = Arc::ptr_eq(&self.tree, &self.ops);
        let lists = [(List::Ops, true, &self.ops), (List::Tree, !is_shared, &self.tree)];
        let lists = lists.into_iter().filter(|(_, is_there, _)| *is_there && self.is_parted());
        let parts = lists.flat_map(|(list, _, changes)| changes.chunks(CHANGES_PER_PART).map(move |part| (list, part)));
        parts.map(|part| rmp_serde::to_vec(&part).map_err(|error| unwritable(&error)))
    }

    /// From bytes of the own store.
    pub(super) fn decode(bytes: &[u8], parts: Parts) -> Result<Self, Problem> {
        let record: Record = rmp_serde::from_slice(bytes).map_err(|error| unreadable(&error))?;
        let Record { revision, branch, mut new, mut tree, mut ops, obstacles, is_new_shared, is_parted } = record;
        if is_parted {
            ops = Arc::new(parts.ops);
            tree = tree.map(|_| Arc::new(parts.tree));
        }
        let tree = tree.unwrap_or_else(|| Arc::clone(&ops));
        if let Some(new) = new.as_mut().filter(|_| is_new_shared) {
            new.changes = Arc::clone(&tree);
        }
        Ok(Self { revision, branch, new, tree, ops, obstacles })
    }

    /// The target, from the newest tree before.
    pub(super) fn target(&self, head: &Tree) -> Result<Tree, Problem> {
        changed(head, &self.tree)
    }

    /// What was on the disk before, from the target.
    pub(super) fn before(&self, target: &Tree) -> Result<Tree, Problem> {
        let mut changes = inverse(&self.ops);
        changes.sort_by(|a, b| a.path.cmp(&b.path));
        changed(target, &changes)
    }

    /// Of what leaves the main line with it.
    pub(super) fn branch_name(&self) -> Option<&str> {
        self.branch.as_ref().map(|plan| plan.branch.name.as_str())
    }

    /// All that it touches, in order.
    pub(super) fn paths(&self) -> BTreeSet<&RelPath> {
        self.ops.iter().map(|op| &op.path).chain(&self.obstacles).collect()
    }
}

fn unwritable(error: &rmp_serde::encode::Error) -> Problem {
    Problem::new("cannot write a journal", error.to_string(), "")
}

fn changed(tree: &Tree, changes: &[Change]) -> Result<Tree, Problem> {
    let mut tree = tree.clone();
    tree.apply(changes).map_err(|missing| super::damaged(&missing.to_string()))?;
    Ok(tree)
}

/// What of the own side is kept beside the main line: revisions after `common`, and what is on the disk and in none.
pub(super) struct OwnSide<'a> {
    pub(super) store: &'a Store,
    pub(super) head: Option<&'a Committed>,
    /// Newest revision of both.
    pub(super) common: Option<&'a RevisionRow>,
    /// The newest tree.
    pub(super) tree: &'a Tree,
    /// What is on the disk.
    pub(super) on_disk: &'a Tree,
    /// First part of its name.
    pub(super) kind: &'static str,
    /// Who takes its place.
    pub(super) author: &'a str,
    /// Now, Unix milliseconds.
    pub(super) at: i64,
    /// A name that it must not have: that of a branch that is still to be kept.
    pub(super) reserved: Option<&'a str>,
}

/// What of `on_disk` is in no revision, as a drift of the newest one (spec 4.5); none: nothing is. `author` takes its place. It is
/// not named `reserved`.
pub(super) fn drift_branch(
    store: &Store,
    newest: &Newest,
    on_disk: &Tree,
    author: &str,
    reserved: Option<&str>,
) -> Result<Option<BranchPlan>, Problem> {
    let common = store.newest_revision()?;
    let own = OwnSide {
        store,
        head: newest.head.as_ref(),
        common: common.as_ref(),
        tree: &newest.tree,
        on_disk,
        kind: DRIFT,
        author,
        at: now_ms(),
        reserved,
    };
    own.branch()
}

impl OwnSide<'_> {
    /// None: there is nothing to keep.
    pub(super) fn branch(&self) -> Result<Option<BranchPlan>, Problem> {
        let after = self.common.map_or(0, |row| row.revision.number);
        let revisions = self.store.revisions_after(after)?;
        let changes = diff::between(self.tree, self.on_disk);
        if revisions.is_empty() && changes.is_empty() {
            return Ok(None);
        }
        let (number, term) = self.head.map_or((0, Term(0)), |head| (head.revision.number, head.revision.term));
        let mut files: BTreeSet<RelPath> =
            self.store.changes_after(after)?.into_iter().map(|change| change.path).collect();
        files.extend(changes.iter().map(|change| change.path.clone()));
        let uncommitted = (!changes.is_empty()).then(|| NewRevision {
            revision: RevisionId { number: number + 1, term, root: self.on_disk.root() },
            author: self.author.into(),
            at: self.at,
            message: "found on the disk, in no revision".into(),
            changes: changes.into(),
        });
        let head = match (&uncommitted, revisions.last(), self.head) {
            (Some(new), _, _) => new.revision,
            (None, Some(last), _) => last.revision,
            (None, None, head) => {
                head.map_or_else(|| RevisionId { number, term, root: self.on_disk.root() }, |h| h.revision)
            }
        };
        let branch = Branch {
            name: self.name(&head)?,
            common: self.common.map(|row| row.revision),
            head,
            revisions: revisions.len() as u64 + u64::from(uncommitted.is_some()),
            files: files.iter().take(BRANCH_FILES_MAX).map(ToString::to_string).collect(),
            files_total: files.len() as u64,
            at: UnixMillis(self.at),
            author: self.authors(&revisions, uncommitted.is_some()),
            holder: String::new(),
        };
        Ok(Some(BranchPlan { branch, after, uncommitted }))
    }

    /// Each once, in the order of what they made.
    fn authors(&self, revisions: &[RevisionRow], has_uncommitted: bool) -> String {
        let mut authors: Vec<&str> = Vec::new();
        for author in revisions.iter().map(|row| row.author.as_str()).chain(has_uncommitted.then_some(self.author)) {
            if !authors.contains(&author) && authors.len() < AUTHORS_MAX {
                authors.push(author);
            }
        }
        authors.join(", ").chars().take(AUTHORS_MAX_CHARS).collect()
    }

    fn name(&self, head: &RevisionId) -> Result<String, Problem> {
        let taken: BTreeSet<String> = self.store.branches()?.into_iter().map(|branch| branch.name).collect();
        let plain = format!("{}term-{}-rev-{}", self.kind, head.term, head.number);
        let mut name = plain.clone();
        let mut count = 1_u64;
        while taken.contains(&name) || self.reserved == Some(&name) {
            count += 1;
            name = format!("{plain}-{count}");
        }
        Ok(name)
    }
}
