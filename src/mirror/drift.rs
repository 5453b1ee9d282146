//! What was changed behind Standin's back: found, kept and put back (spec 4.5, 7.3).

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::accounts::Accounts;
use super::diff::{self, Change};
use super::displaced::stamps_of;
use super::overtaken::list;
use super::path::RelPath;
use super::place::Job;
use super::plan::drift_branch;
use super::scan::{Held, Stamp, Stamps};
use super::stuck::{Stuck, held_back};
use super::tree::Tree;
use super::watch::Dirty;
use super::{Mirror, Newest, Work, make_directory, place};
use crate::engine::base::Problem;
use crate::engine::message::{BRANCH_FILES_MAX, Branch};
use crate::store::Commit;

/// Up to so many entries all are looked at before a takeover, whatever the watcher has heard.
const LOOK_AT_ALL_MAX: u64 = 500;

/// What was found changed, and is as it was before, but for what is stuck.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Drift {
    /// The first of them, at most [`BRANCH_FILES_MAX`].
    pub paths: Vec<Drifted>,
    /// How many in all; 0: none.
    pub paths_total: u64,
    /// What was found, as it is kept; none: it had no content that could be.
    pub kept: Option<Branch>,
    /// What could not be put back, and is as it was found.
    pub stuck: Vec<Stuck>,
}

impl Drift {
    /// How many there are beside those that are named.
    #[must_use]
    pub fn unnamed(&self) -> u64 {
        self.paths_total.saturating_sub(self.paths.len() as u64)
    }
}

/// One path that was changed, and is as it was before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drifted {
    /// Which, for people.
    pub path: String,
    /// What had become of it: `was changed`.
    pub what: String,
}

impl fmt::Display for Drifted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.path, self.what)
    }
}

impl Drift {
    /// `ops` put it back; `obstacles` were removed.
    fn of(ops: &[Change], obstacles: &[RelPath], kept: Option<Branch>) -> Self {
        let what = |op: &Change| match (op.old, op.new) {
            (None, _) => "was removed".to_owned(),
            (_, None) => "was added".to_owned(),
            (Some(old), Some(new)) if (old.kind, old.digest) == (new.kind, new.digest) => {
                if old.mode == new.mode {
                    format!("belonged to {}", old.owners)
                } else {
                    format!("had mode {:04o}", old.mode)
                }
            }
            _ => "was changed".to_owned(),
        };
        let word = |op: &Change| Drifted { path: op.path.to_string(), what: what(op) };
        let why = "was added and is none that can be mirrored";
        let obstacle = |path: &RelPath| Drifted { path: path.to_string(), what: why.to_owned() };
        let strays: Vec<&RelPath> = obstacles.iter().filter(|path| !ops.iter().any(|op| op.path == **path)).collect();
        Self {
            paths: ops.iter().map(word).chain(strays.iter().copied().map(obstacle)).take(BRANCH_FILES_MAX).collect(),
            paths_total: (ops.len() + strays.len()) as u64,
            kept,
            stuck: Vec::new(),
        }
    }
}

impl Mirror {
    /// Puts back what was changed behind Standin's back; what is found is kept as a drift. Says how many paths. What cannot be
    /// put back is taken up by no scan from now on, and put back as soon as it can be.
    ///
    /// # Errors
    /// When the directory cannot be read or written at all; some of it may have been put back.
    pub fn restore_drift(&self) -> Result<u64, Problem> {
        self.restore_all().map(|drift| drift.paths_total)
    }

    fn restore_all(&self) -> Result<Drift, Problem> {
        let mut work = self.work()?;
        let dirty = self.take_dirty();
        let is_all = self.is_all_looked_at(&dirty);
        let was_due = self.inner.restore_due.load(Ordering::Relaxed);
        let drift = self.put_back(&dirty, is_all, &mut work)?;
        if was_due {
            self.inner.restore_due.store(false, Ordering::Relaxed);
        }
        Ok(drift)
    }

    /// The kernel tells of no change through shared memory or through a link from outside; a look at every file of a configuration
    /// of the usual size costs less than a millisecond, and notices them by their times.
    pub(super) fn is_all_looked_at(&self, dirty: &Dirty) -> bool {
        dirty.is_all || self.newest().tree.entries() <= LOOK_AT_ALL_MAX
    }

    /// Nothing in the directory is taken up before [`Mirror::restore_expected`] was done. Never waits.
    pub fn expect_restore(&self) {
        self.inner.restore_due.store(true, Ordering::Relaxed);
    }

    /// As [`Mirror::restore_drift`], unless a scan that came first has done it.
    ///
    /// # Errors
    /// As there; then it is done before the next scan.
    pub fn restore_expected(&self) -> Result<Drift, Problem> {
        if self.inner.restore_due.load(Ordering::Relaxed) { self.restore_all() } else { Ok(Drift::default()) }
    }

    /// The same, at what may have changed alone: says what was found.
    ///
    /// # Errors
    /// As there.
    pub fn look_for_drift(&self) -> Result<Drift, Problem> {
        let mut work = self.work()?;
        let dirty = self.take_dirty();
        self.put_back(&dirty, dirty.is_all, &mut work)
    }

    fn put_back(&self, dirty: &Dirty, is_all: bool, work: &mut Work) -> Result<Drift, Problem> {
        let accounts = self.accounts_now(false);
        let outcome = self.restore_where(dirty, is_all, accounts.as_ref(), work);
        self.note_owners(accounts.as_deref());
        self.look_again(outcome.as_ref().ok().map(|(_, held)| held.as_slice()));
        let (drift, _) = outcome?;
        let in_place: Vec<_> = drift.stuck.iter().filter(|stuck| !stuck.is_unkept).cloned().collect();
        self.note_stuck(work, in_place)?;
        Ok(drift)
    }

    /// What was found, and what has to be looked at again.
    pub(super) fn restore_where(
        &self,
        dirty: &Dirty,
        is_all: bool,
        accounts: Option<&Arc<Accounts>>,
        work: &mut Work,
    ) -> Result<(Drift, Vec<Held>), Problem> {
        let newest = self.newest();
        if newest.head.is_none() || (dirty.is_nothing() && !is_all) {
            return Ok((Drift::default(), Vec::new()));
        }
        let trusted = (is_all && !dirty.is_all).then(|| trusted(&work.stamps, dirty));
        let stamps = trusted.as_ref().unwrap_or(&work.stamps);
        let everything = Dirty::all();
        let dirty = if is_all { &everything } else { dirty };
        make_directory(&self.inner.directory)?;
        let ground = self.ground()?;
        let on_disk = accounts.map(AsRef::as_ref);
        let (mut found, obstacles) =
            self.what_is_there(&ground, &newest.tree, stamps, false, dirty, (None, on_disk))?;
        // What cannot be kept cannot be replaced either: it stays as it is, and a scan holds it back.
        let mut stuck = Vec::new();
        for held in found.held.iter().filter(|held| !held.is_worthless) {
            let Some(path) = &held.at else { continue };
            if let Some(entry) = newest.tree.get(path) {
                // Fails only where its directory is gone, which is then put back with it.
                let _ = found.tree.set(path, entry);
            }
            stuck.push(Stuck::unkept(path.clone(), &held.why));
        }
        let mut ops = diff::between(&found.tree, &newest.tree);
        let behind = ground.behind_mounts(&self.inner.directory, &ops);
        ops.retain(|op| !behind.contains_key(&op.path));
        for (path, why) in behind {
            found.held.push(held_back(&path, &why));
            stuck.push(Stuck { found: found.tree.get(&path), path, why, is_unkept: false });
        }
        if ops.is_empty() && obstacles.is_empty() {
            work.stamps.extend(found.stamps);
            return Ok((Drift { stuck, ..Drift::default() }, found.held));
        }
        let kept = self.keep_drift(&newest, &found.tree, None)?;
        let staged = self.begin(accounts.cloned(), None)?;
        place::stage(&self.inner.store, &staged, &ops)?;
        let (ops, obstacles) = (ops.as_slice(), obstacles.as_slice());
        let job = Job { ground: &ground, staged: &staged, ops, obstacles, target: &newest.tree };
        let mut displaced = Vec::new();
        let step = &mut || self.crash_point();
        let placed = list(&job).and_then(|()| place::place_what_can(&job, &mut displaced, step));
        let stamps = stamps_of(&job, &displaced, stamps, &found.stamps);
        if let Err(problem) = self.keep_displaced(&job, &displaced, &stamps, None) {
            staged.leave();
            return Err(problem);
        }
        drop(staged);
        let failed = placed?;
        for op in ops {
            work.stamps.remove(&op.path);
        }
        let is_back = |path: &RelPath| !failed.contains_key(path);
        let drift = Drift::of(
            &ops.iter().filter(|op| is_back(&op.path)).cloned().collect::<Vec<_>>(),
            &obstacles.iter().filter(|path| is_back(path)).cloned().collect::<Vec<_>>(),
            kept,
        );
        if !failed.is_empty() {
            // What stands there now: half of it may have been done.
            let mut paths = Dirty::nothing();
            failed.keys().for_each(|path| paths.add(path.clone(), false));
            let none = Stamps::new();
            let (now, _) = self.what_is_there(&ground, &newest.tree, &none, false, &paths, (None, on_disk))?;
            for (path, why) in failed {
                let entry = now.tree.get(&path);
                found.held.push(held_back(&path, &why));
                stuck.push(Stuck { path, why, found: entry, is_unkept: false });
            }
        }
        Ok((Drift { stuck, ..drift }, found.held))
    }

    /// Keeps what of `on_disk` is in no revision, once: what is found again and again is one drift, of the last time.
    pub(super) fn keep_drift(
        &self,
        newest: &Newest,
        on_disk: &Tree,
        reserved: Option<&str>,
    ) -> Result<Option<Branch>, Problem> {
        let Some(plan) = drift_branch(&self.inner.store, newest, on_disk, super::FOUND_AUTHOR, reserved)? else {
            return Ok(None);
        };
        let is_same = |branch: &Branch| branch.head == plan.branch.head && branch.common == plan.branch.common;
        if let Some(known) = self.drifts()?.into_iter().find(is_same) {
            return self.inner.store.renew_drift(&known, plan.branch.at).map(Some);
        }
        self.inner.store.commit(&Commit { branch: Some(&plan), ..Commit::default() })?;
        Ok(Some(plan.branch))
    }
}

/// The stamps, where nothing was told to have changed as good as old ones: what changed all the same is noticed by its times,
/// and reading every young file would cost what this look must not.
fn trusted(stamps: &Stamps, dirty: &Dirty) -> Stamps {
    let is_clean = |path: &RelPath| !dirty.paths.iter().any(|(other, _)| path.is_within(other));
    let of = |(path, stamp): (&RelPath, &Stamp)| {
        (path.clone(), Stamp { is_settled: stamp.is_settled || is_clean(path), ..*stamp })
    };
    stamps.iter().map(of).collect()
}
