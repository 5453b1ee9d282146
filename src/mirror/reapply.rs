//! What a branch of a divergence or a drift changed, made once more on what is there now (spec 4.5, 7.6): path by path, and
//! nothing is guessed. A path that has changed since is a conflict and stays as it is, unless the operator names it.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::change::{Target, check_count};
use super::commit::{new_revision, yaml_fault};
use super::diff::{self, Change};
use super::path::{RelPath, link_stays_inside};
use super::plan::{Plan, drift_branch};
use super::scan::Stamps;
use super::tree::{Entry, Tree};
use super::watch::Dirty;
use super::{Mirror, damaged, history, make_directory};
use crate::engine::base::{Digest, Problem, RevisionId, Term};
use crate::engine::history::APPLIED_FILE_MAX_BYTES;
use crate::engine::order::FileKind;
use crate::store::{BranchPlan, Packed};

/// Changes of a branch in their order of doing, and what cannot be done.
struct Merge<'a> {
    tree: Tree,
    theirs: &'a [RelPath],
    conflicts: Vec<(RelPath, String)>,
}

impl Mirror {
    /// `now` with what `branch` changed at `paths` (none: everywhere); at `theirs` whatever is there now.
    pub(super) fn reapplied(
        &self,
        now: &Tree,
        branch: &str,
        paths: &[String],
        theirs: &[String],
    ) -> Result<Target, Problem> {
        let what = format!("cannot re-apply {branch}");
        check_count(paths.len() + theirs.len(), &what)?;
        if self.branch(branch)?.is_none() {
            let todo = "`standin config branches` lists them";
            return Err(Problem::new(what, "there is no branch or drift of this name", todo));
        }
        let read = |texts: &[String]| -> Result<Vec<RelPath>, Problem> {
            texts.iter().map(|text| history::path_of(text, &what)).collect()
        };
        let (mut paths, theirs) = (read(paths)?, read(theirs)?);
        if !paths.is_empty() {
            paths.extend(theirs.iter().cloned());
        }
        let mut changes = diff::merged(self.inner.store.branch_changes(branch)?.into_iter());
        for path in paths.iter().chain(&theirs) {
            if !changes.iter().any(|change| change.path.is_within(path)) {
                let todo = format!("`standin config branches show {branch}` lists what it changed");
                return Err(Problem::new(what, format!("it did not change {path}"), todo));
            }
        }
        changes.retain(|change| paths.is_empty() || paths.iter().any(|path| change.path.is_within(path)));
        let mut merge = Merge { tree: now.clone(), theirs: &theirs, conflicts: Vec::new() };
        let mut wanted = merge.wanted(&changes);
        // Before anything is removed: what cannot come must not cost what is there, nor what is inside it.
        let kept_out = self.keep_out_unfit(now, &wanted, &mut merge.conflicts)?;
        wanted.retain(|change| !itself_and_parents(&change.path).any(|path| kept_out.contains(&path)));
        merge.remove(&wanted);
        for change in wanted {
            if let Some(entry) = change.new {
                merge.put(&change.path, entry)?;
            }
        }
        merge.conflicts.sort();
        merge.conflicts.dedup_by(|a, b| a.0 == b.0);
        Ok(Target { tree: merge.tree, conflicts: merge.conflicts })
    }

    /// The paths of `wanted` whose content cannot be in a revision, and files that would go for a directory with such a path
    /// in it; each becomes a conflict.
    fn keep_out_unfit(
        &self,
        now: &Tree,
        wanted: &[&Change],
        conflicts: &mut Vec<(RelPath, String)>,
    ) -> Result<BTreeSet<RelPath>, Problem> {
        let (mut unfit, mut around) = (BTreeSet::new(), BTreeSet::new());
        for change in wanted {
            let Some(entry) = change.new else { continue };
            if let Some(why) = self.unfit(change, now.get(&change.path), entry)? {
                conflicts.push((change.path.clone(), why));
                around.extend(itself_and_parents(&change.path).skip(1));
                unfit.insert(change.path.clone());
            }
        }
        for change in wanted {
            let is_file = now.get(&change.path).is_some_and(|now| now.kind != FileKind::Directory);
            if is_file && around.contains(&change.path) {
                let why = "the branch has a directory there, with something in it that cannot come";
                conflicts.push((change.path.clone(), why.into()));
                unfit.insert(change.path.clone());
            }
        }
        Ok(unfit)
    }

    /// Why the branch's content cannot be in a revision after `now` (spec 5.4).
    fn unfit(&self, change: &Change, now: Option<Entry>, entry: Entry) -> Result<Option<String>, Problem> {
        if entry.kind == FileKind::Directory {
            return Ok(None);
        }
        let limit = self.file_size_limit();
        if entry.size > limit {
            return Ok(Some(format!("the branch has {} bytes there, the limit is {limit}", entry.size)));
        }
        let bytes = match self.content_in_branch(&entry)? {
            Ok(bytes) => bytes,
            Err(why) => return Ok(Some(why.into())),
        };
        if entry.kind == FileKind::Link {
            let leads_out = !link_stays_inside(&change.path, &bytes);
            return Ok(leads_out.then(|| "the link that the branch has leads out of the directory".into()));
        }
        let fault = yaml_fault(&self.inner.store, &change.path, now, &bytes)?;
        Ok(fault.map(|fault| fault.why))
    }

    /// A content that a branch has; inside: why it is not here.
    fn content_in_branch(&self, entry: &Entry) -> Result<Result<Vec<u8>, &'static str>, Problem> {
        let store = &self.inner.store;
        Ok(match store.content(&entry.digest)? {
            Some(bytes) => Ok(bytes),
            None if store.is_forgotten(&entry.digest)? => Err("the content that the branch had was forgotten"),
            None => Err(
                "its content did not come from the other instance yet, as one order fetches so much alone: give it again",
            ),
        })
    }

    /// Keeps a branch that was fetched from the other instance. Nothing happens where it is here already.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn import_branch(&self, plan: &BranchPlan, contents: &[(Digest, Packed)]) -> Result<(), Problem> {
        if self.branch(&plan.branch.name)?.is_some() {
            return Ok(());
        }
        // In one transaction with the branch, so that nothing tidies them away between.
        let commit = crate::store::Commit { branch: Some(plan), contents, ..crate::store::Commit::default() };
        self.inner.store.commit(&commit)
    }

    /// Contents that a branch has at `paths` (none: everywhere) and that are not kept here, none larger than `largest` bytes,
    /// with their sizes; forgotten ones are not meant. At most `most` bytes of them, but one always.
    ///
    /// # Errors
    /// When the store cannot be read, or a path is none.
    pub fn missing_of_branch(
        &self,
        name: &str,
        paths: &[String],
        largest: u64,
        most: u64,
    ) -> Result<Vec<(Digest, u64)>, Problem> {
        let store = &self.inner.store;
        let read = |text: &String| history::path_of(text, &format!("cannot use {name}"));
        let paths = paths.iter().map(read).collect::<Result<Vec<RelPath>, Problem>>()?;
        let (mut missing, mut known, mut bytes) = (Vec::new(), BTreeSet::new(), 0_u64);
        for change in diff::merged(store.branch_changes(name)?.into_iter()) {
            let is_wanted = paths.is_empty() || paths.iter().any(|path| change.path.is_within(path));
            let Some(entry) = change.new.filter(|new| is_wanted && new.has_content() && new.size <= largest) else {
                continue;
            };
            if !known.insert(entry.digest) || store.has_content(&entry.digest)? || store.is_forgotten(&entry.digest)? {
                continue;
            }
            bytes = bytes.saturating_add(entry.size);
            if bytes > most && !missing.is_empty() {
                break;
            }
            missing.push((entry.digest, entry.size));
        }
        Ok(missing)
    }

    /// What a branch or drift has at `path`: the bytes of a file, or where a link leads.
    ///
    /// # Errors
    /// When it has nothing there, or too much for an answer; when its content is not here.
    pub fn branch_bytes(&self, name: &str, path: &str) -> Result<Vec<u8>, Problem> {
        let what = format!("cannot show {path} of {name}");
        let refused = |why: String, todo: &str| Problem::new(what.clone(), why, todo);
        let wanted = history::path_of(path, &what)?;
        let change =
            diff::merged(self.inner.store.branch_changes(name)?.into_iter()).into_iter().find(|at| at.path == wanted);
        let Some(entry) = change.and_then(|change| change.new).filter(Entry::has_content) else {
            let todo = "`standin config branches show` lists its files";
            return Err(refused("it has no file there".into(), todo));
        };
        if entry.size > APPLIED_FILE_MAX_BYTES {
            let why = format!("it has {} bytes, at most {APPLIED_FILE_MAX_BYTES} are handed out", entry.size);
            return Err(refused(why, "re-apply it: standin config reapply"));
        }
        self.content_in_branch(&entry)?
            .map_err(|why| refused(why.into(), "`standin config branches` tells who keeps it"))
    }

    /// Writes down, and does not do, what brings the directory to `target` as a new revision by `author`: the next one to
    /// open the mirror does it, whole or not at all. Contents must be kept already. What is in the directory and in no
    /// revision is kept as a drift. `target` is given owners as a change by an operator is. Says what changes from the newest revision.
    ///
    /// # Errors
    /// When the directory cannot be read, or the store not be written.
    pub fn plan_restore(&self, term: Term, author: &str, message: &str, target: &mut Tree) -> Result<u64, Problem> {
        let work = self.work()?;
        let (newest, accounts) = (self.newest(), self.accounts());
        make_directory(&self.inner.directory)?;
        let ground = self.ground()?;
        let (found, obstacles) = self.what_is_there(
            &ground,
            &newest.tree,
            &Stamps::new(),
            true,
            &Dirty::all(),
            (None, accounts.as_deref()),
        )?;
        drop(work);
        found.all_can_be_kept()?;
        // An empty directory is that of a new machine, and no change that somebody made.
        let branch = match found.tree.is_empty() {
            true => None,
            false => drift_branch(&self.inner.store, &newest, &found.tree, super::FOUND_AUTHOR, None)?,
        };
        self.give_target(&newest.tree, target)?;
        let target: &Tree = target;
        let tree = Arc::new(diff::between(&newest.tree, target));
        let number = newest.head.as_ref().map_or(0, |head| head.revision.number) + 1;
        let revision = RevisionId { number, term, root: target.root() };
        let is_new = !tree.is_empty() || newest.head.is_none();
        let new = is_new.then(|| new_revision(revision, author, message, Arc::clone(&tree)));
        let head = newest.head.map(|head| head.revision);
        let Some(revision) = new.as_ref().map(|new| new.revision).or(head) else { return Ok(0) };
        let ops = diff::between(&found.tree, target);
        let total = tree.len() as u64;
        let plan = Plan { revision, branch, new, tree, ops: ops.into(), obstacles };
        self.inner.store.save_journal(&plan.encode()?, plan.parts())?;
        Ok(total)
    }

    /// What a branch or a drift changed, each path once.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn branch_changes(&self, name: &str) -> Result<Vec<Change>, Problem> {
        Ok(diff::merged(self.inner.store.branch_changes(name)?.into_iter()))
    }
}

impl Merge<'_> {
    fn is_theirs(&self, path: &RelPath) -> bool {
        self.theirs.iter().any(|theirs| path.is_within(theirs))
    }

    /// Those that are not so already, and whose path has not changed since.
    fn wanted<'c>(&mut self, changes: &'c [Change]) -> Vec<&'c Change> {
        let mut wanted = Vec::new();
        for change in changes {
            let now = self.tree.get(&change.path);
            if now == change.new {
                continue;
            }
            if now == change.old || self.is_theirs(&change.path) {
                wanted.push(change);
            } else {
                self.conflicts.push((change.path.clone(), changed_since(change.old, now)));
            }
        }
        wanted
    }

    /// What goes, or makes room for something of another kind: what is inside before what it is in.
    fn remove(&mut self, wanted: &[&Change]) {
        for change in wanted.iter().rev() {
            let Some(now) = self.tree.get(&change.path) else { continue };
            if change.new.is_some_and(|new| new.kind == now.kind) {
                continue;
            }
            let is_full = now.kind == FileKind::Directory && has_entries(&self.tree, &change.path);
            if is_full && !self.is_theirs(&change.path) {
                let why = "there is something in it now that the branch does not know, or that stays";
                self.conflicts.push((change.path.clone(), why.into()));
            } else {
                self.tree.remove(&change.path);
            }
        }
    }

    fn put(&mut self, path: &RelPath, entry: Entry) -> Result<(), Problem> {
        let is_file = |tree: &Tree, path: &RelPath| tree.get(path).is_some_and(|at| at.kind != FileKind::Directory);
        let mut parents = std::iter::successors(path.parent(), RelPath::parent);
        if let Some(parent) = parents.find(|parent| is_file(&self.tree, parent)) {
            self.conflicts.push((path.clone(), format!("{parent} is no directory now")));
            return Ok(());
        }
        if entry.kind != FileKind::Directory && has_entries(&self.tree, path) {
            // Was told as a conflict where it could not be removed.
            return Ok(());
        }
        history::make_parents(&mut self.tree, path, history::NEW_DIRECTORY_MODE)?;
        self.tree.set(path, entry).map_err(|missing| damaged(&missing.to_string()))
    }
}

fn itself_and_parents(path: &RelPath) -> impl Iterator<Item = RelPath> {
    std::iter::successors(Some(path.clone()), RelPath::parent)
}

fn has_entries(tree: &Tree, path: &RelPath) -> bool {
    tree.child(path).and_then(super::tree::Child::node).is_some_and(|node| !node.children.is_empty())
}

fn changed_since(old: Option<Entry>, now: Option<Entry>) -> String {
    match (old, now) {
        (None, _) => "it was not there, and is now".into(),
        (Some(_), None) => "it was removed since".into(),
        (Some(old), Some(now)) if old.digest == now.digest && old.kind == now.kind => {
            "its mode or owner was changed since".into()
        }
        (Some(_), Some(_)) => "it was changed since".into(),
    }
}

#[cfg(test)]
mod tests;
