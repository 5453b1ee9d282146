//! What was changed behind Standin's back: found, kept and put back (spec 4.5, 7.3).

use std::fmt;
use std::sync::Arc;

use super::accounts::Accounts;
use super::diff::{self, Change};
use super::path::RelPath;
use super::plan::drift_branch;
use super::scan::{Held, Stamp, Stamps};
use super::watch::Dirty;
use super::{Mirror, Work, make_directory, place};
use crate::engine::base::Problem;
use crate::engine::message::{BRANCH_FILES_MAX, Branch};
use crate::store::Commit;

/// Up to so many entries all are looked at before a takeover, whatever the watcher has heard.
const LOOK_AT_ALL_MAX: u64 = 500;

/// What was found changed, and is as it was before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Drift {
    /// The first of them, at most [`BRANCH_FILES_MAX`].
    pub paths: Vec<Drifted>,
    /// How many in all; 0: none.
    pub paths_total: u64,
    /// What was found, as it is kept; none: it had no content that could be.
    pub kept: Option<Branch>,
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
        }
    }
}

impl Mirror {
    /// Puts back what was changed behind Standin's back; what is found is kept as a drift. Says how many paths.
    ///
    /// # Errors
    /// When the directory cannot be read or written; some of it may have been put back.
    pub fn restore_drift(&self) -> Result<u64, Problem> {
        let mut work = self.work()?;
        let dirty = self.take_dirty();
        // The kernel tells of no change through shared memory or through a link from outside; a look at every file of a
        // configuration of the usual size costs less than a millisecond, and notices them by their times.
        let is_all = dirty.is_all || self.newest().tree.entries() <= LOOK_AT_ALL_MAX;
        let accounts = self.accounts_now(false);
        let outcome = self.restore_where(&dirty, is_all, accounts.as_ref(), &mut work);
        self.note_owners(accounts.as_deref());
        self.look_again(outcome.as_ref().ok().map(|(_, held)| held.as_slice()));
        outcome.map(|(drift, _)| drift.paths_total)
    }

    /// The same, at what may have changed alone: says what was found.
    ///
    /// # Errors
    /// As there.
    pub fn look_for_drift(&self) -> Result<Drift, Problem> {
        let mut work = self.work()?;
        let dirty = self.take_dirty();
        let accounts = self.accounts_now(false);
        let outcome = self.restore_where(&dirty, dirty.is_all, accounts.as_ref(), &mut work);
        self.note_owners(accounts.as_deref());
        self.look_again(outcome.as_ref().ok().map(|(_, held)| held.as_slice()));
        outcome.map(|(drift, _)| drift)
    }

    fn restore_where(
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
        for held in found.held.iter().filter(|held| !held.is_worthless) {
            if let Some((path, entry)) = held.at.as_ref().and_then(|path| Some((path, newest.tree.get(path)?))) {
                // Fails only where its directory is gone, which is then put back with it.
                let _ = found.tree.set(path, entry);
            }
        }
        let ops = diff::between(&found.tree, &newest.tree);
        if ops.is_empty() && obstacles.is_empty() {
            work.stamps.extend(found.stamps);
            return Ok((Drift::default(), found.held));
        }
        let branch = drift_branch(&self.inner.store, &newest, &found.tree, super::FOUND_AUTHOR)?;
        self.inner.store.commit(&Commit { branch: branch.as_ref(), ..Commit::default() })?;
        let staged = self.inner.stage.begin(accounts.cloned())?;
        place::stage(&self.inner.store, &staged, &ops)?;
        place::place(&ground, &staged, &ops, &obstacles, &newest.tree, &mut || self.crash_point())?;
        for op in &ops {
            work.stamps.remove(&op.path);
        }
        Ok((Drift::of(&ops, &obstacles, branch.map(|plan| plan.branch)), found.held))
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
