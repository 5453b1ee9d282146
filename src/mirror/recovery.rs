//! The end of an apply that failed or was interrupted: it is undone, or brought to its end (spec 5.3).

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use super::accounts::Belongs;
use super::apply::Whose;
use super::commit::Keep;
use super::diff;
use super::ground::Ground;
use super::path::RelPath;
use super::plan::{Parts, Plan};
use super::scan::{Found, read_back};
use super::tree::Tree;
use super::{Mirror, Work, make_directory};
use crate::engine::base::Problem;
use crate::engine::order::FileKind;
use crate::store::Commit;

/// Times that what others change in an apply is put right before it fails.
const ROUNDS_MAX: usize = 4;

impl Mirror {
    /// Paths as they are on the disk now. What is neither as in `known` nor as in `target` is kept.
    pub(super) fn read_back(
        &self,
        ground: &Ground,
        (known, target): (&Tree, &Tree),
        paths: &[(&RelPath, bool)],
        heard: &(dyn Fn(u64) + Sync),
    ) -> Result<Found, Problem> {
        let keep = Mutex::new(Keep::new(&self.inner.store));
        let lock = || keep.lock().unwrap_or_else(PoisonError::into_inner);
        let accounts = self.accounts();
        let owners = Belongs::checked(accounts.as_deref()).towards(target);
        let found = read_back(ground, known, owners, paths, heard, &|path, digest, content| {
            let is_stray = target.get(path).is_none_or(|entry| entry.digest != digest);
            if is_stray { lock().add(digest, content) } else { Ok(None) }
        })?;
        lock().flush()?;
        Ok(found)
    }

    /// As before a plan and after it; with what is inside and in no tree. What is neither is kept.
    fn read_deep(&self, ground: &Ground, plan: &Plan, before: &Tree, target: &Tree) -> Result<Found, Problem> {
        let is_directory = |path: &RelPath| before.get(path).is_some_and(|entry| entry.kind == FileKind::Directory);
        let paths: Vec<_> = plan.paths().into_iter().map(|path| (path, !is_directory(path))).collect();
        self.read_back(ground, (before, target), &paths, &|_| {})
    }

    /// What came to the disk after a plan was in place, and before it was read back, is kept and put right: the other instance is told
    /// that this one is as it is, and only what was read says so (spec 5.7). `found`: as it was read.
    pub(super) fn put_again(
        &self,
        ground: &Ground,
        plan: &Plan,
        target: &Tree,
        mut found: Found,
    ) -> Result<Found, Problem> {
        for _ in 0..ROUNDS_MAX {
            let late = diff::between(&found.tree, target);
            if late.is_empty() {
                return Ok(found);
            }
            found.all_can_be_kept()?;
            let obstacles = found.obstacles();
            self.keep_strays(&found.tree, target, target, plan.branch_name())?;
            self.put(ground, (&late, &obstacles), target, &found.stamps, plan.branch_name())?;
            let changed: BTreeSet<&RelPath> = late.iter().map(|change| &change.path).chain(&obstacles).collect();
            let paths: Vec<_> = changed.iter().map(|path| (*path, false)).collect();
            let mut again = self.read_back(ground, (target, target), &paths, &|_| {})?;
            found.stamps.retain(|(path, _)| !changed.contains(path));
            again.stamps.append(&mut found.stamps);
            found = again;
        }
        Err(Problem::new(
            format!("cannot bring the directory to revision {}", plan.revision.number),
            "what is on the disk after it is not what was put there: something else changes the directory, or it cannot hold it",
            "look what writes there, and try again",
        ))
    }

    /// The directory as it was before a plan.
    pub(super) fn undo(
        &self,
        work: &mut Work,
        ground: &Ground,
        plan: &Plan,
        target: &Tree,
        why: &Problem,
    ) -> Result<(), Problem> {
        let undone = plan.before(target).and_then(|before| {
            let now = self.read_deep(ground, plan, &before, target)?;
            self.keep_strays(&now.tree, &before, target, None)?;
            let ops = diff::between(&now.tree, &before);
            self.put(ground, (&ops, &[]), &before, &now.stamps, None)?;
            self.inner.store.commit(&Commit { clears_journal: true, ..Commit::default() })
        });
        for path in plan.paths() {
            work.stamps.remove(path);
        }
        undone.map_err(|problem| {
            work.is_interrupted = true;
            Problem::new(
                why.what.clone(),
                format!("{}; and it could not be undone: {problem}", why.why),
                why.todo.clone(),
            )
        })
    }

    /// Brings an interrupted apply to its end, or undoes it (spec 5.3).
    pub(super) fn recover(&self, work: &mut Work) -> Result<(), Problem> {
        let mut parts = Parts::default();
        let Some(journal) = self.inner.store.journal(|part| parts.add(&part))? else { return self.keep_left(None) };
        let plan = Plan::decode(&journal, parts)?;
        let reserved = plan.branch_name();
        self.keep_left(reserved)?;
        let target = plan.target(&self.newest().tree)?;
        let before = plan.before(&target)?;
        make_directory(&self.inner.directory)?;
        let ground = self.ground()?;
        let again = || -> Result<Found, Problem> {
            let now = self.read_deep(&ground, &plan, &before, &target)?;
            self.keep_strays(&now.tree, &before, &target, reserved)?;
            let obstacles: Vec<_> = now.obstacles();
            let ops = diff::between(&now.tree, &target);
            self.put(&ground, (&ops, &obstacles), &target, &now.stamps, reserved)?;
            Ok(now)
        };
        let finished =
            again()
                .and_then(|_| {
                    self.finish(work, &ground, &plan, (&target, Whose::Theirs), Vec::new(), &mut |_| {}).map(drop)
                })
                .or_else(|problem| {
                    if self.is_crashed() { Err(problem) } else { self.undo(work, &ground, &plan, &target, &problem) }
                });
        self.note_owners(self.accounts().as_deref());
        finished
    }
}
