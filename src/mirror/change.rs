//! A change by an operator on the master: a new revision, brought to the directory as an apply is, whole or not at all
//! (spec 5.2, 5.3, 5.6).

mod held;

use std::sync::Arc;

use super::apply::Whose;
use super::candidate::Rejection;
use super::commit::{new_revision, yaml_fault};
use super::diff;
use super::owners::Owners;
use super::path::{RelPath, link_stays_inside};
use super::plan::{Plan, drift_branch};
use super::push::check_entry;
use super::tree::{Entry, Tree};
use super::{Mirror, Work, damaged, history, make_directory};
use crate::engine::base::{Problem, RevisionId, Term};
use crate::engine::history::{
    Became, CHANGES_TOLD_MAX, Change, ChangeReport, Expected, NewFile, Overtaken, PATHS_MAX, PathChange, PathConflict,
};
use crate::engine::input::Committed;
use crate::engine::order::FileKind;
use crate::store::Packed;

/// What an operator's change came to.
#[derive(Debug)]
pub struct Changed {
    /// The newest revision, where it is a new one: what was found in the directory before the change became one too.
    pub committed: Option<Committed>,
    /// For the operator; or why the change itself was refused.
    pub outcome: Result<ChangeReport, Problem>,
    /// The directory was being changed when it failed; it is as before, as far as it could be undone.
    pub is_undone: bool,
}

impl Mirror {
    /// Makes `change`, as one revision by `author`. What was changed in the directory and is in no revision yet becomes one
    /// before, so that it is neither lost nor said to be the operator's. Nothing is written with `dry_run`.
    ///
    /// # Errors
    /// When the directory cannot be read, or the store not be written; nothing changed.
    pub fn change(
        &self,
        term: Term,
        author: &str,
        message: &str,
        change: &Change,
        dry_run: bool,
    ) -> Result<Changed, Problem> {
        if dry_run {
            let now = self.seen_by(change)?;
            let outcome = self.target_of_change(&now, change).and_then(|wanted| {
                let mut work = self.work()?;
                self.validated(&mut work, &wanted.tree, &diff::between(&self.newest().tree, &wanted.tree))?;
                Ok(report(None, true, &now, wanted))
            });
            return Ok(Changed { committed: None, outcome, is_undone: false });
        }
        let found = self.scan_and_commit(term, super::FOUND_AUTHOR, "")?.committed;
        let mut has_begun = false;
        match self.make_change(term, author, message, change, &mut has_begun) {
            Ok((committed, report)) => {
                let outcome = self.with_held_back(change, report);
                Ok(Changed { committed: committed.or(found), outcome, is_undone: false })
            }
            Err(problem) => Ok(Changed { committed: found, outcome: Err(problem), is_undone: has_begun }),
        }
    }

    fn make_change(
        &self,
        term: Term,
        author: &str,
        message: &str,
        change: &Change,
        has_begun: &mut bool,
    ) -> Result<(Option<Committed>, ChangeReport), Problem> {
        let mut work = self.work()?;
        let newest = self.newest();
        let wanted = self.target_of_change(&newest.tree, change)?;
        let changes = Arc::new(diff::between(&newest.tree, &wanted.tree));
        if changes.is_empty() {
            return Ok((None, report(None, false, &newest.tree, wanted)));
        }
        let target = wanted.tree.clone();
        self.validated(&mut work, &target, &changes)?;
        make_directory(&self.inner.directory)?;
        let ground = self.ground()?;
        let accounts = self.accounts();
        let (found, obstacles) =
            self.what_is_touched(&ground, &newest.tree, &work.stamps, &target, accounts.as_deref())?;
        found.all_can_be_kept()?;
        held::edits_what_is_there(change, &newest.tree, &found.tree)?;
        let number = newest.head.as_ref().map_or(0, |head| head.revision.number) + 1;
        let revision = RevisionId { number, term, root: target.root() };
        let ops = diff::between(&found.tree, &target);
        // What is held back, and what came this very moment, is kept as a drift.
        let branch = drift_branch(&self.inner.store, &newest, &found.tree, super::FOUND_AUTHOR, None)?;
        let plan = Plan {
            revision,
            branch,
            new: Some(new_revision(revision, author, message, Arc::clone(&changes))),
            tree: changes,
            ops: ops.into(),
            obstacles,
        };
        let staged = (self.begin(accounts, None)?, [].as_slice(), Whose::Ours);
        *has_begun = true;
        let done = self.carry_out(&mut work, &ground, &plan, (&target, found.stamps), staged, &mut |_| {})?;
        let report = report(Some(done.committed.revision), false, &newest.tree, wanted);
        let overtaken = done.overtaken.map(|drift| Overtaken {
            kept_as: drift.kept.map(|branch| branch.name),
            paths: drift.paths.iter().map(|drifted| drifted.path.clone()).collect(),
            total: drift.paths_total,
        });
        Ok((Some(done.committed), ChangeReport { overtaken, ..report }))
    }

    /// The operator's own validation command lets it pass (spec 5.4).
    fn validated(&self, work: &mut Work, target: &Tree, changes: &[diff::Change]) -> Result<(), Problem> {
        // Who gives the order again wants to hear it anew.
        work.candidate.doubt(Some(std::time::Duration::ZERO));
        match self.judge_tree(work, target, changes, &mut || Ok(()))? {
            None => Ok(()),
            Some(Rejection { why, output }) => {
                let why = if output.is_empty() { why } else { format!("{why}: {output}") };
                let todo = "correct what it complains of, or change configuration.validate in the settings";
                Err(Problem::new("the validation command rejects the change", why, todo))
            }
        }
    }

    /// `now` with the change made. What is excluded is not brought back.
    fn target_of_change(&self, now: &Tree, change: &Change) -> Result<Target, Problem> {
        let mut target = match change {
            Change::Restore { revision, paths } => Target::of(self.restored(now, *revision, paths)?),
            Change::Put { files } => Target::of(self.with_files(now, files, true)?),
            Change::Replace { files, removed } => Target::of(self.replaced(now, files, removed)?),
            Change::Reapply { branch, paths, theirs } => self.reapplied(now, branch, paths, theirs)?,
        };
        self.give_target(now, &mut target.tree)?;
        let exclude = self.exclude();
        for change in diff::between(now, &target.tree) {
            let is_new = change.new.is_some_and(|new| exclude.covers(&change.path, new.kind == FileKind::Directory));
            if is_new {
                target.tree.remove(&change.path);
            }
        }
        for change in diff::between(now, &target.tree) {
            let Some(entry) = change.new.filter(Entry::has_content) else { continue };
            if self.inner.store.has_content(&entry.digest)? {
                continue;
            }
            let what = format!("cannot bring back {}", change.path);
            return Err(if self.inner.store.is_forgotten(&entry.digest)? {
                Problem::new(what, "its content was forgotten", "name the other paths: standin config restore N PATH…")
            } else {
                Problem::new(what, "its content is not kept here", "give the order again")
            });
        }
        Ok(target)
    }

    /// `now` with everything, or these paths, as at a revision.
    fn restored(&self, now: &Tree, number: u64, paths: &[String]) -> Result<Tree, Problem> {
        let what = format!("cannot restore revision {number}");
        let then = self.tree_of(history::numbered(&self.inner.store, number)?)?;
        if paths.is_empty() {
            return Ok(then);
        }
        check_count(paths.len(), &what)?;
        let mut target = now.clone();
        for text in paths {
            let path = history::path_of(text, &what)?;
            if then.get(&path).is_none() && now.get(&path).is_none() {
                let why = format!("{path} is neither in revision {number} nor in the newest one");
                return Err(Problem::new(what, why, "`standin config log PATH` tells where it was"));
            }
            self.is_in_mirror(&path, &then, now, &what)?;
            target.remove(&path);
            let parents: Vec<_> = std::iter::successors(path.parent(), RelPath::parent).collect();
            let is_directory =
                |tree: &Tree, path: &RelPath| tree.get(path).is_some_and(|entry| entry.kind == FileKind::Directory);
            if then.get(&path).is_some() {
                for parent in parents.iter().rev().filter(|parent| !is_directory(now, parent)) {
                    let entry = then.get(parent).ok_or_else(|| damaged("a directory is missing in a revision"))?;
                    target.set(parent, entry).map_err(|missing| damaged(&missing.to_string()))?;
                }
            }
            for (at, entry) in then.iter().filter(|(at, _)| at.is_within(&path)) {
                target.set(&at, entry).map_err(|missing| damaged(&missing.to_string()))?;
            }
        }
        Ok(target)
    }

    /// `now` without these paths, and with these files as they are given.
    fn replaced(&self, now: &Tree, files: &[NewFile], removed: &[String]) -> Result<Tree, Problem> {
        check_count(removed.len(), "cannot change the configuration")?;
        let mut rest = now.clone();
        for text in removed {
            rest.remove(&history::path_of(text, "cannot remove")?);
        }
        self.with_files(&rest, files, false)
    }

    /// `now` with these files in it. `keeps_modes`: a path that is there keeps its own.
    fn with_files(&self, now: &Tree, files: &[NewFile], keeps_modes: bool) -> Result<Tree, Problem> {
        check_count(files.len(), "cannot change the configuration")?;
        let mut target = now.clone();
        for file in files {
            let what = format!("cannot change {}", file.path);
            let path = history::path_of(&file.path, &what)?;
            let known = now.get(&path);
            check_expected(&what, file.expected, known)?;
            let kept_mode = known.filter(|known| keeps_modes && known.kind == file.kind).map(|known| known.mode);
            let mode = kept_mode.unwrap_or(file.mode);
            let entry = match file.kind {
                FileKind::Directory => Entry::directory(mode),
                FileKind::Link => {
                    let content = self.handed_over(&what, file)?;
                    if !link_stays_inside(&path, &content) {
                        let why = "the link leads out of the directory, or goes up in its middle";
                        return Err(Problem::new(what, why, "make a link that stays inside"));
                    }
                    Entry::link(&content)
                }
                FileKind::File => {
                    let content = self.handed_over(&what, file)?;
                    let (size, limit) = (content.len() as u64, self.file_size_limit());
                    if size > limit {
                        let why = format!("it has {size} bytes, the limit is {limit}");
                        return Err(Problem::new(what, why, "raise configuration.file_size_limit, or leave it out"));
                    }
                    if let Some(fault) = yaml_fault(&self.inner.store, &path, known, &content)? {
                        return Err(Problem::new(what, fault.why, "correct it; a file that was YAML has to stay YAML"));
                    }
                    Entry::file(mode, size, file.digest)
                }
            };
            let entry = match &file.owners {
                None => entry,
                Some((owner, group)) => entry.with_owners(
                    Owners::of(owner, group)
                        .map_err(|why| Problem::new(what.clone(), why, "name a user and a group"))?,
                ),
            };
            if self.exclude().covers(&path, file.kind == FileKind::Directory) {
                let todo = "give it another name, or change configuration.exclude in the settings";
                return Err(Problem::new(what, "the settings exclude it from the mirror", todo));
            }
            check_entry(&path, Some(entry))
                .map_err(|problem| Problem::new(what, problem.why, "give it another name"))?;
            if file.kind != FileKind::Directory && known.is_some_and(|known| known.kind == FileKind::Directory) {
                let what = format!("cannot change {path}");
                return Err(Problem::new(
                    what,
                    "it is a directory",
                    "remove the directory first, or name another path",
                ));
            }
            history::make_parents(&mut target, &path, history::NEW_DIRECTORY_MODE)?;
            target.set(&path, entry).map_err(|missing| damaged(&missing.to_string()))?;
        }
        Ok(target)
    }

    fn handed_over(&self, what: &str, file: &NewFile) -> Result<Vec<u8>, Problem> {
        self.inner.store.content(&file.digest)?.ok_or_else(|| {
            Problem::new(what, "its content was not handed over, or has been tidied away since", "give the order again")
        })
    }

    /// Takes the content of a file that is about to be put; it is dropped at the next start if it is not.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn keep_content(&self, bytes: Vec<u8>) -> Result<crate::engine::base::Digest, Problem> {
        let digest = super::digest::of_content(&bytes);
        self.inner.store.put_contents(&[(digest, Packed::of(bytes))])?;
        Ok(digest)
    }
}

/// What a change leads to.
pub(super) struct Target {
    pub(super) tree: Tree,
    /// What of it could not be, each path with its reason.
    pub(super) conflicts: Vec<(RelPath, String)>,
}

impl Target {
    fn of(tree: Tree) -> Self {
        Self { tree, conflicts: Vec::new() }
    }
}

pub(super) fn check_count(count: usize, what: &str) -> Result<(), Problem> {
    if count <= PATHS_MAX {
        return Ok(());
    }
    let why = format!("{count} paths are named, at most {PATHS_MAX} may be");
    Err(Problem::new(what, why, "do it in several steps, or copy them into the directory"))
}

fn check_expected(what: &str, expected: Expected, known: Option<Entry>) -> Result<(), Problem> {
    let why = match (expected, known) {
        (Expected::Any, _) | (Expected::Nothing, None) => return Ok(()),
        (Expected::Nothing, Some(_)) => "there is one of this name now",
        (Expected::Content(_), None) => "it was removed meanwhile",
        (Expected::Content(digest), Some(known)) if known.digest == digest => return Ok(()),
        (Expected::Content(_), Some(_)) => "it was changed meanwhile",
    };
    Err(Problem::new(what, why, "look at what is there now, and do it again"))
}

/// One path of it.
fn told(change: &diff::Change) -> PathChange {
    let what = match (change.old, change.new) {
        (None, _) => Became::Added,
        (_, None) => Became::Removed,
        (Some(old), Some(new)) if (old.kind, old.digest) == (new.kind, new.digest) => {
            if old.mode == new.mode {
                Became::Owner
            } else {
                Became::Mode
            }
        }
        _ => Became::Changed,
    };
    PathChange { path: change.path.to_string(), what }
}

/// What leads from one tree to the other, for people.
fn report(revision: Option<RevisionId>, dry_run: bool, from: &Tree, wanted: Target) -> ChangeReport {
    let changes = diff::between(from, &wanted.tree);
    let total = changes.len() as u64;
    let told = changes.iter().take(CHANGES_TOLD_MAX).map(told);
    let conflicts_total = wanted.conflicts.len() as u64;
    let conflict = |(path, why): (RelPath, String)| PathConflict { path: path.to_string(), why };
    let conflicts = wanted.conflicts.into_iter().take(CHANGES_TOLD_MAX).map(conflict).collect();
    ChangeReport { revision, dry_run, changes: told.collect(), total, conflicts, conflicts_total, overtaken: None }
}

#[cfg(test)]
mod tests;
