//! From a push to the disk (spec 5.1, 5.3).
//!
//! Contents are fetched and checked into the store; new files are written aside; the plan is noted durably; files are moved
//! into place; what is on the disk is read back; then the revision is committed and the note cleared in one step. An apply
//! that ends before the note changed nothing; one that ends after it is finished at the next start, or undone.

use std::collections::BTreeSet;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, PoisonError};
use std::thread;
use std::time::Duration;

use super::accounts::{Accounts, Belongs};
use super::commit::{Keep, now_ms};
use super::diff::{self, Change};
use super::displaced::stamps_of;
use super::drift::Drift;
use super::ground::Ground;
use super::intake::{Count, Intake};
use super::path::{RelPath, link_stays_inside};
use super::place::Job;
use super::plan::{DIVERGED, DRIFT, OwnSide, Plan};
use super::push::{ContentSource, Manifest, PushPayload, refused};
use super::scan::{Found, Leaves, Manner, Stamp, Stamps, look_at};
use super::stage::Staged;
use super::tree::{Entry, Tree};
use super::watch::Dirty;
use super::{Mirror, Newest, Work, digest, history, make_directory, place};
use crate::engine::base::{Digest, Problem};
use crate::engine::input::Committed;
use crate::engine::message::{Branch, Push};
use crate::engine::order::FileKind;
use crate::engine::status::{Transfer, TransferStep};
use crate::store::{CONTENT_MAX_BYTES, Commit, NewRevision, RevisionRow};

/// While so many paths or more are read back, how far it is is told,
const TOLD_OF_MIN: usize = 500;
/// so often.
const TOLD_EVERY: Duration = Duration::from_millis(100);

/// Who wants a plan done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// An operator of this instance, the master: what others do in the directory are changes as good as this one.
    Ours,
    /// The other instance: what others do here is drift.
    Theirs,
}

/// What came of a plan.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) committed: Committed,
    /// What was changed while it was put in place, and is kept.
    pub(super) overtaken: Option<Drift>,
}

impl Mirror {
    /// Brings the directory to a push, whole or not at all; what was acknowledged is on the disk (spec 5.3). With `complete`
    /// (or a push without base) every byte on the disk is compared; otherwise only what the push changes is touched, and the
    /// push must begin at the own newest revision. Revisions that only this side has, and uncommitted files, are kept as a
    /// branch (spec 7.6), which is told; mere drift in the way of a small push is kept and not told.
    ///
    /// # Errors
    /// When the push is not possible here (the way out is a complete transfer), contents cannot be had, or the directory
    /// cannot be written. Nothing changed.
    pub fn apply(
        &self,
        push: &Push,
        complete: bool,
        source: &mut dyn ContentSource,
        progress: &mut dyn FnMut(Transfer),
    ) -> Result<(Committed, Option<Branch>), Problem> {
        let mut work = self.work()?;
        self.note_cannot_hold(None);
        let accounts = self.accounts_now(false);
        let newest = self.newest();
        let payload = PushPayload::decode(&push.payload)?;
        let is_complete = complete || push.base.is_none();
        let common = self.common_of(push, is_complete, newest.head.as_ref())?;
        let target = self.target_of(push, &payload, &newest, source)?;
        make_directory(&self.inner.directory)?;
        let ground = self.ground()?;
        if is_complete {
            let (files_total, bytes_total) = (target.files(), target.bytes());
            let step = TransferStep::Comparing;
            progress(Transfer { step, files_total, bytes_total, ..Transfer::default() });
        }
        let (found, obstacles) = if is_complete {
            self.what_is_there(
                &ground,
                &newest.tree,
                &Stamps::new(),
                true,
                &Dirty::all(),
                (Some(&target), accounts.as_deref()),
            )?
        } else {
            self.what_is_touched(&ground, &newest.tree, &work.stamps, &target, accounts.as_deref())?
        };
        found.all_can_be_kept()?;
        let mut ops = diff::between(&found.tree, &target);
        let all = ops.len();
        ops.retain(|op| !is_left_alone(&ground, op));
        let is_same = found.tree == newest.tree && ops.len() == all;
        let staged = self.begin(accounts.clone(), None)?;
        let done = self.fetch(&staged, &ops, &payload, source, progress)?;
        let own = OwnSide {
            store: &self.inner.store,
            head: newest.head.as_ref(),
            common: common.as_ref(),
            tree: &newest.tree,
            on_disk: &found.tree,
            kind: if is_complete { DIVERGED } else { DRIFT },
            author: "this instance",
            at: now_ms(),
            reserved: None,
        };
        let branch = own.branch()?;
        let ops = Arc::new(ops);
        let tree = match is_same {
            // A hundred thousand paths need not be there twice.
            true => Arc::clone(&ops),
            false => Arc::new(diff::between(&newest.tree, &target)),
        };
        let new = self.new_revision(push, payload, common.as_ref(), &newest.tree, &target, &tree)?;
        let plan = Plan { revision: push.revision, branch, new, tree, ops, obstacles };
        if plan.new.is_none() && plan.branch.is_none() && plan.ops.is_empty() && plan.obstacles.is_empty() {
            work.stamps.extend(found.stamps);
            self.note_owners(accounts.as_deref());
            let head = newest.head.ok_or_else(|| refused("it says nothing"))?;
            return Ok((head, None));
        }
        let Found { tree, stamps, .. } = found;
        drop(tree);
        let committed =
            self.carry_out(&mut work, &ground, &plan, (&target, stamps), (staged, &done, Whose::Theirs), progress)?;
        self.note_owners(accounts.as_deref());
        let committed = committed.committed;
        let told = plan.branch.filter(|_| is_complete).map(|plan| plan.branch);
        Ok((committed, told))
    }

    /// The newest revision of both sides.
    fn common_of(
        &self,
        push: &Push,
        is_complete: bool,
        head: Option<&Committed>,
    ) -> Result<Option<RevisionRow>, Problem> {
        let row = match push.common.or(push.base) {
            Some(common) => history::find(&self.inner.store, &common)?,
            None => None,
        };
        if !is_complete && (push.base.is_none() || push.base != head.map(|head| head.revision)) {
            return Err(refused("it begins at a revision that is not the newest one here"));
        }
        let least = row.as_ref().map_or(0, |row| row.revision.number);
        let is_known = row.as_ref().is_some_and(|row| row.revision == push.revision);
        if push.revision.number <= least && !is_known {
            return Err(refused(format!("its revision {} comes before the common one {least}", push.revision.number)));
        }
        Ok(row)
    }

    /// The tree of the push, which has the digest that the push says.
    fn target_of(
        &self,
        push: &Push,
        payload: &PushPayload,
        newest: &Newest,
        source: &mut dyn ContentSource,
    ) -> Result<Tree, Problem> {
        let target = if payload.manifest {
            let mut manifest = Manifest::new(&newest.tree);
            source.manifest(push.revision, &mut |entry| manifest.add(entry))?;
            manifest.finish()
        } else {
            let mut tree = match push.base {
                None => Tree::default(),
                Some(base) if newest.head.as_ref().is_some_and(|head| head.revision == base) => newest.tree.clone(),
                Some(base) => self.tree_of(base)?,
            };
            tree.apply(&payload.changes).map_err(|missing| refused(missing.to_string()))?;
            tree
        };
        if target.root() == push.revision.root {
            Ok(target)
        } else {
            Err(refused("its changes do not lead to the digest that it names"))
        }
    }

    /// As [`Mirror::what_is_there`], for the paths of a small push alone.
    pub(super) fn what_is_touched(
        &self,
        ground: &Ground,
        known: &Tree,
        stamps: &Stamps,
        target: &Tree,
        accounts: Option<&Accounts>,
    ) -> Result<(Found, Vec<RelPath>), Problem> {
        let is_directory = |entry: Option<Entry>| entry.is_some_and(|entry| entry.kind == FileKind::Directory);
        let changes = diff::between(known, target);
        // What a directory becomes, or was, in place of something else is looked at with all that is inside.
        let paths =
            changes.iter().map(|change| (&change.path, !(is_directory(change.old) && is_directory(change.new))));
        let mut keep = Keep::new(&self.inner.store);
        // What is excluded in a directory that goes is neither read nor lost.
        let leaves = Leaves { exclude: Some(ground.exclude()), but: [Some(known), Some(target)], ..Leaves::NOTHING };
        let owners = Belongs::checked(accounts);
        let manner = Manner { is_full: false, keeps_held: false, file_size_limit: CONTENT_MAX_BYTES, leaves, owners };
        let found =
            look_at(ground, known, stamps, manner, paths, &mut |_, _, digest, content| keep.add(digest, content))?;
        keep.flush()?;
        let obstacles = found.obstacles();
        Ok((found, obstacles))
    }

    /// Gets all contents that `ops` need into the store, each checked; says which changes are written aside.
    fn fetch(
        &self,
        staged: &Staged,
        ops: &[Change],
        payload: &PushPayload,
        source: &mut dyn ContentSource,
        progress: &mut dyn FnMut(Transfer),
    ) -> Result<Vec<bool>, Problem> {
        let store = &self.inner.store;
        let count = Count::default();
        let done = Intake::new(store, staged, ops, &count)?.run(&payload.contents, source, progress)?;
        let links = ops.iter().filter_map(|op| op.new.filter(|new| new.kind == FileKind::Link).map(|new| (op, new)));
        for (op, new) in links {
            let target = store.content(&new.digest)?.unwrap_or_default();
            if !link_stays_inside(&op.path, &target) {
                return Err(refused(format!("its link {} leads out of the directory", op.path)));
            }
        }
        Ok(done)
    }

    /// The revision as it is kept here; none: it is on the main line already.
    fn new_revision(
        &self,
        push: &Push,
        payload: PushPayload,
        common: Option<&RevisionRow>,
        newest: &Tree,
        target: &Tree,
        tree: &Arc<Vec<Change>>,
    ) -> Result<Option<NewRevision>, Problem> {
        let parent = match common {
            Some(common) if common.revision == push.revision => return Ok(None),
            Some(common) => history::tree_before(&self.inner.store, newest, common.revision.number)?,
            None => Tree::default(),
        };
        let changes = match parent == *newest {
            true => Arc::clone(tree),
            false => Arc::new(diff::between(&parent, target)),
        };
        let PushPayload { author, at, message, .. } = payload;
        Ok(Some(NewRevision { revision: push.revision, author, at, message, changes }))
    }

    /// Does a plan: all of it, or nothing (then the directory is as before).
    pub(super) fn carry_out(
        &self,
        work: &mut Work,
        ground: &Ground,
        plan: &Plan,
        (target, scanned): (&Tree, Vec<(RelPath, Stamp)>),
        (staged, done, whose): (Staged, &[bool], Whose),
        progress: &mut dyn FnMut(Transfer),
    ) -> Result<Done, Problem> {
        self.crash_point()?;
        let mut writing = Counter::new(TransferStep::Writing, plan, progress);
        for (op, _) in plan.ops.iter().zip(done).filter(|(_, is_done)| **is_done) {
            writing.skip(op.new.map_or(0, |new| new.size));
        }
        place::stage_rest(&self.inner.store, &staged, &plan.ops, done, &mut |bytes| writing.add(bytes))
            .inspect_err(|_| self.drop_damaged(plan))?;
        writing.tell();
        self.can_hold(ground, &staged, &plan.ops)?;
        self.crash_point()?;
        self.inner.store.save_journal(&plan.encode()?, plan.parts())?;
        let job = Job { ground, staged: &staged, ops: &plan.ops, obstacles: &plan.obstacles, target };
        let mut displaced = Vec::new();
        let placed = self.place(&job, &mut displaced);
        let expected = stamps_of(&job, &displaced, &work.stamps, &scanned);
        let done = placed.and_then(|()| self.finish(work, ground, plan, (target, whose), scanned, progress));
        // As late as can be: what was open for writing when it was displaced may be written to until then.
        let settled = self.keep_displaced(&job, &displaced, &expected, plan.branch_name());
        match &settled {
            Ok(_) => drop(staged),
            Err(problem) => {
                tracing::error!("{problem}");
                staged.leave();
                work.is_interrupted = true;
            }
        }
        match (done, settled) {
            (Ok(committed), settled) => Ok(Done { committed, overtaken: settled.ok().flatten() }),
            // The journal is still there, and the next one to have its turn looks at it.
            (Err(problem), Err(_)) => Err(problem),
            (Err(problem), Ok(_)) => {
                self.drop_damaged(plan);
                if !self.is_crashed() {
                    self.undo(work, ground, plan, target, &problem)?;
                }
                Err(problem)
            }
        }
    }

    /// Nothing is begun that could not be moved into place in one step (spec 5.3), or not be read back there: what cannot be proved
    /// is never said to be the same (spec 5.7).
    fn can_hold(&self, ground: &Ground, staged: &Staged, ops: &[Change]) -> Result<(), Problem> {
        let readable = || match staged.closed(ops).map_err(|error| place::failed_aside(&error))? {
            Some(op) => op.new.map_or(Ok(()), |new| Err(closed(&op.path, new))),
            None => Ok(()),
        };
        ground.no_mount_in_the_way(&self.inner.directory, ops).and_then(|()| readable()).inspect_err(|problem| {
            self.note_cannot_hold(Some(format!("{}: {}; {}", problem.what, problem.why, problem.todo)));
        })
    }

    fn note_cannot_hold(&self, why: Option<String>) {
        *self.inner.cannot_hold.lock().unwrap_or_else(PoisonError::into_inner) = why;
    }

    /// For people: why the last push cannot be held on this machine whatever is tried, and what to do; none: it can be.
    #[must_use]
    pub fn cannot_hold(&self) -> Option<String> {
        self.inner.cannot_hold.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// After a failure: contents of a plan that the store does not give back as they were are asked for anew the next time.
    fn drop_damaged(&self, plan: &Plan) {
        let store = &self.inner.store;
        let digests: BTreeSet<Digest> =
            plan.ops.iter().filter_map(|op| op.new.filter(Entry::has_content)).map(|entry| entry.digest).collect();
        for digest in digests {
            let Ok(Some(packed)) = store.packed_content(&digest) else { continue };
            if packed.unpack().is_ok_and(|bytes| digest::of_content(&bytes) == digest) {
                continue;
            }
            tracing::error!("the content {} is damaged on this disk: it is fetched anew", digest.short());
            if let Err(problem) = store.drop_content(&digest) {
                tracing::error!("{problem}");
            }
        }
    }

    /// Reads back what was placed and commits it. What has been changed since is put right, or, in an own directory, a later change
    /// that stays, and that the next scan takes up.
    pub(super) fn finish(
        &self,
        work: &mut Work,
        ground: &Ground,
        plan: &Plan,
        (target, whose): (&Tree, Whose),
        mut stamps: Vec<(RelPath, Stamp)>,
        progress: &mut dyn FnMut(Transfer),
    ) -> Result<Committed, Problem> {
        let dirty = self.take_dirty();
        let found = self.verified(ground, plan, target, progress);
        let mut dirty = without(dirty, plan, found.is_ok());
        let late = found.as_ref().map(|found| diff::between(target, &found.tree)).unwrap_or_default();
        let late: BTreeSet<RelPath> = late.into_iter().map(|change| change.path).collect();
        late.iter().for_each(|path| dirty.add(path.clone(), true));
        self.give_back(dirty);
        let mut found = found?;
        match whose {
            Whose::Ours => found.stamps.retain(|(path, _)| !late.contains(path)),
            Whose::Theirs => found = self.put_again(ground, plan, target, found)?,
        }
        let Found { tree, stamps: read, .. } = found;
        self.crash_point()?;
        drop(tree);
        stamps.extend(read);
        self.inner.store.commit(&Commit {
            branch: plan.branch.as_ref(),
            revision: plan.new.as_ref(),
            tree: &plan.tree,
            stamps: &stamps,
            clears_journal: true,
            ..Commit::default()
        })?;
        work.stamps.extend(stamps);
        let no_files = plan.ops.iter().filter(|op| op.new.is_none_or(|entry| entry.kind != FileKind::File));
        let late = late.iter().filter(|_| whose == Whose::Ours);
        for path in no_files.map(|op| &op.path).chain(late) {
            work.stamps.remove(path);
        }
        // Committed is committed: at worst what is unused is dropped later.
        if self.inner.store.is_receiving().unwrap_or(false) {
            let _ = self.inner.store.set_receiving(false);
        }
        let head = self.publish_newest(target.clone())?;
        head.ok_or_else(|| super::damaged("a revision that was just committed is not there"))
    }

    /// Every path of a plan as it is on the disk now, to be compared with `target`; what is not as there is kept.
    fn verified(
        &self,
        ground: &Ground,
        plan: &Plan,
        target: &Tree,
        progress: &mut dyn FnMut(Transfer),
    ) -> Result<Found, Problem> {
        let mut verifying = Counter::new(TransferStep::Verifying, plan, progress);
        let count = Count::default();
        let paths: Vec<_> = plan.paths().into_iter().map(|path| (path, false)).collect();
        let read = || self.read_back(ground, (target, target), &paths, &|bytes| count.add(bytes));
        let found = if paths.len() < TOLD_OF_MIN {
            read()
        } else {
            thread::scope(|scope| {
                let (reads, has_read) = channel::<()>();
                let reader = scope.spawn(|| {
                    let _until_then = reads;
                    read()
                });
                while has_read.recv_timeout(TOLD_EVERY) == Err(RecvTimeoutError::Timeout) {
                    verifying.set(&count);
                }
                let ended =
                    |_| Err(Problem::new("cannot read the directory", "a thread ended", "look at the program log"));
                reader.join().unwrap_or_else(ended)
            })
        };
        verifying.set(&count);
        found
    }

    /// Where a test may let the program die.
    #[cfg_attr(not(test), allow(clippy::unused_self, clippy::unnecessary_wraps))]
    pub(super) fn crash_point(&self) -> Result<(), Problem> {
        #[cfg(test)]
        self.inner.crash.point()?;
        Ok(())
    }

    #[cfg_attr(not(test), allow(clippy::unused_self))]
    pub(super) fn is_crashed(&self) -> bool {
        #[cfg(test)]
        return self.inner.crash.is_down();
        #[cfg(not(test))]
        false
    }
}

/// Counts the files of a plan that a step is done with.
struct Counter<'a> {
    transfer: Transfer,
    progress: &'a mut dyn FnMut(Transfer),
}

impl<'a> Counter<'a> {
    fn new(step: TransferStep, plan: &Plan, progress: &'a mut dyn FnMut(Transfer)) -> Self {
        let new = || plan.ops.iter().filter_map(|op| op.new.filter(Entry::has_content));
        let (files_total, bytes_total) = (new().count() as u64, new().map(|entry| entry.size).sum());
        let transfer = Transfer { step, files_total, bytes_total, ..Transfer::default() };
        progress(transfer);
        Self { transfer, progress }
    }

    fn add(&mut self, bytes: u64) {
        self.skip(bytes);
        self.tell();
    }

    /// So far.
    fn set(&mut self, count: &Count) {
        self.transfer = count.onto(self.transfer);
        self.tell();
    }

    /// Done before.
    fn skip(&mut self, bytes: u64) {
        self.transfer.files_done += 1;
        self.transfer.bytes_done += bytes;
    }

    fn tell(&mut self) {
        (self.progress)(self.transfer);
    }
}

/// What is excluded here leaves the mirror, never the disk (spec 5.2).
fn is_left_alone(ground: &Ground, op: &Change) -> bool {
    let is_directory = op.old.is_some_and(|old| old.kind == FileKind::Directory);
    op.new.is_none() && ground.exclude().covers(&op.path, is_directory)
}

/// What a plan has changed and was read back needs no further look.
fn without(mut dirty: Dirty, plan: &Plan, is_read: bool) -> Dirty {
    if is_read {
        for path in plan.paths() {
            dirty.paths.remove(path);
        }
    }
    dirty
}

fn closed(path: &RelPath, new: Entry) -> Problem {
    let right = if new.kind == FileKind::Directory { "u+rx" } else { "u+r" };
    Problem::new(
        format!("cannot hold {path}"),
        format!(
            "with mode {:04o} the user that runs Standin here could not read it back, so that nothing would prove that it is as on the master",
            new.mode
        ),
        format!("let its owner read it, on the master (chmod {right}), or leave it out by configuration.exclude"),
    )
}
