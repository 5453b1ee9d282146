//! What somebody changed in the directory at the very moment when something else was put there: it was displaced, lies in the
//! stage, and is nowhere else. It is kept as a drift before the stage goes (spec 4.5, 5.3), also after a death.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, PoisonError};

use rustix::fs::Dir;

use super::accounts::{Accounts, Belongs};
use super::commit::Keep;
use super::diff::{self, Change};
use super::displaced::{self, Displaced};
use super::drift::{Drift, Drifted};
use super::ground::Ground;
use super::path::RelPath;
use super::place::{self, Job};
use super::scan::{Found, Leaves, Manner, Stamp, Stamps, look_at};
use super::stage::Staged;
use super::tree::{Entry, Tree};
use super::{Mirror, damaged, history};
use crate::engine::base::{Digest, Problem};
use crate::engine::message::BRANCH_FILES_MAX;
use crate::store::CONTENT_MAX_BYTES;

/// Drifts that nobody was told yet; further ones are kept and listed all the same.
const UNTOLD_MAX: usize = 100;
/// Mode of a directory that is only noted because of what is in it.
const OWNER_ONLY: u32 = 0o700;
/// What became of each path, for people.
const WHAT: &str = "was changed while another content was put in its place";

/// One thing in the stage that may be what nobody expected there.
struct Aside<'a> {
    /// In the stage.
    name: RelPath,
    path: &'a RelPath,
    /// As it was when it was looked at; none: nothing is known of it.
    known: Option<Entry>,
    /// It is what was there, or what was to come: kept elsewhere.
    expected: [Option<Digest>; 2],
}

/// What was found in the stage.
#[derive(Default)]
struct Strays {
    files: Vec<(RelPath, Entry)>,
    /// What cannot be kept in the history: names in the stage.
    unfit: BTreeSet<RelPath>,
}

impl Mirror {
    /// What was changed while something else was put in place, and was kept, since this was last asked.
    #[must_use]
    pub fn take_overtaken(&self) -> Vec<Drift> {
        std::mem::take(&mut *self.inner.overtaken.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// An empty stage. What an earlier one was left with is kept first; `reserved` is a name that its drift must not have.
    pub(super) fn begin(&self, accounts: Option<Arc<Accounts>>, reserved: Option<&str>) -> Result<Staged, Problem> {
        self.keep_left(reserved)?;
        self.inner.stage.begin(accounts)
    }

    /// Puts what is staged in its place; see [`place::place`].
    pub(super) fn place(&self, job: &Job<'_>, displaced: &mut Vec<Displaced>) -> Result<(), Problem> {
        list(job)?;
        place::place(job, displaced, &mut || self.crash_point())
    }

    /// From contents in the store to the directory, with all that goes with it. `read` is what was said of the files when they were
    /// looked at.
    pub(super) fn put(
        &self,
        ground: &Ground,
        (ops, obstacles): (&[Change], &[RelPath]),
        target: &Tree,
        read: &[(RelPath, Stamp)],
        reserved: Option<&str>,
    ) -> Result<(), Problem> {
        let staged = self.begin(self.accounts(), reserved)?;
        place::stage(&self.inner.store, &staged, ops)?;
        let job = Job { ground, staged: &staged, ops, obstacles, target };
        let mut displaced = Vec::new();
        let placed = self.place(&job, &mut displaced);
        let stamps = displaced::stamps_of(&job, &displaced, &Stamps::new(), read);
        if let Err(problem) = self.keep_displaced(&job, &displaced, &stamps, reserved) {
            staged.leave();
            return Err(problem);
        }
        placed
    }

    /// After something was put in place: what was displaced and is not what was looked at is kept. If that fails the stage must be
    /// left as it is.
    pub(super) fn keep_displaced(
        &self,
        job: &Job<'_>,
        displaced: &[Displaced],
        stamps: &[Option<Stamp>],
        reserved: Option<&str>,
    ) -> Result<Option<Drift>, Problem> {
        let suspects = displaced::suspects(job, displaced, stamps);
        if suspects.is_empty() {
            return Ok(None);
        }
        let asides: Vec<Aside<'_>> = suspects
            .into_iter()
            .filter_map(|(name, path, known, new)| {
                let expected = [known, new].map(|entry| entry.map(|entry| entry.digest));
                RelPath::new(name.as_bytes()).ok().map(|name| Aside { name, path, known, expected })
            })
            .collect();
        self.keep_asides(job.ground, job.staged.fd(), &asides, job.staged.accounts(), reserved)
    }

    /// The same for a stage that was left behind by a death, or because what is in it could not be kept.
    pub(super) fn keep_left(&self, reserved: Option<&str>) -> Result<(), Problem> {
        let left = self.inner.stage.left();
        if left.is_empty() {
            return Ok(());
        }
        let accounts = self.accounts();
        for (fd, expected) in left {
            let failed = |error: rustix::io::Errno| unreadable(&std::io::Error::from(error).to_string());
            let mut asides = Vec::new();
            for entry in Dir::read_from(&fd).map_err(failed)? {
                let name = entry.map_err(failed)?.file_name().to_bytes().to_vec();
                let index = std::str::from_utf8(&name).ok().and_then(Displaced::index_of);
                let expected = index.and_then(|index| expected.get(index));
                let (Some(expected), Ok(name)) = (expected, RelPath::new(&name)) else { continue };
                let (path, expected) = (&expected.path, [expected.old, expected.new]);
                asides.push(Aside { name, path, known: None, expected });
            }
            asides.sort_by(|a, b| a.name.cmp(&b.name));
            self.keep_asides(&self.ground()?, fd.as_fd(), &asides, accounts.as_deref(), reserved)?;
        }
        self.inner.stage.clear();
        Ok(())
    }

    fn keep_asides(
        &self,
        ground: &Ground,
        stage: BorrowedFd<'_>,
        asides: &[Aside<'_>],
        accounts: Option<&Accounts>,
        reserved: Option<&str>,
    ) -> Result<Option<Drift>, Problem> {
        let Strays { files, unfit } = self.strays(stage, asides, accounts)?;
        if files.is_empty() && unfit.is_empty() {
            return Ok(None);
        }
        self.crash_point()?;
        let mut drift = self.keep_overtaken(&files, reserved)?;
        for aside in asides.iter().filter(|aside| unfit.contains(&aside.name)) {
            let beside = place::put_beside(ground, stage, &aside.name, aside.path)?;
            let what = format!("{WHAT}, and cannot be kept in the history: it is beside it as {beside}");
            tracing::warn!("{} {what}", aside.path);
            let drift = drift.get_or_insert_default();
            drift.paths.push(Drifted { path: aside.path.to_string(), what });
            drift.paths_total += 1;
        }
        if let Some(drift) = &drift {
            self.note_overtaken(drift);
        }
        Ok(drift)
    }

    /// What nobody expected of `asides`; its contents are in the store then, and nothing names them yet.
    fn strays(
        &self,
        stage: BorrowedFd<'_>,
        asides: &[Aside<'_>],
        accounts: Option<&Accounts>,
    ) -> Result<Strays, Problem> {
        let by_name: BTreeMap<&[u8], &Aside<'_>> = asides.iter().map(|aside| (aside.name.as_bytes(), aside)).collect();
        let first = |path: &RelPath| path.names().next().and_then(|name| by_name.get(name).copied());
        let is_expected = |path: &RelPath, digest: Digest| {
            let aside = first(path).filter(|_| path.depth() == 1);
            // Where it is known, what is equal to it is not seen as a change at all, and another mode is one.
            aside.is_some_and(|Aside { known, expected: [old, new], .. }| {
                *new == Some(digest) || (known.is_none() && *old == Some(digest))
            })
        };
        let mut known = Tree::default();
        for aside in asides {
            if let Some(entry) = aside.known {
                known.set(&aside.name, entry).map_err(|missing| damaged(&missing.to_string()))?;
            }
        }
        let owned = stage.try_clone_to_owned().map_err(|error| unreadable(&error.to_string()))?;
        let mut keep = Keep::new(&self.inner.store);
        let (leaves, owners) = (Leaves::NOTHING, Belongs::checked(accounts));
        let manner = Manner { is_full: true, keeps_held: false, file_size_limit: CONTENT_MAX_BYTES, leaves, owners };
        let paths = asides.iter().map(|aside| (&aside.name, true));
        let look = &mut |path: &RelPath, _: Option<Entry>, digest, content| {
            if is_expected(path, digest) { Ok(None) } else { keep.add(digest, content) }
        };
        let Found { changes, held, .. } = look_at(&Ground::of(owned), &known, &Stamps::new(), manner, paths, look)?;
        keep.flush()?;
        let mut strays = Strays::default();
        for held in held.iter().filter(|held| !held.is_worthless) {
            strays.unfit.extend(held.path.split('/').next().and_then(|name| RelPath::from_text(name).ok()));
        }
        for Change { path, new, .. } in changes {
            let (Some(aside), Some(entry)) = (first(&path), new.filter(Entry::has_content)) else { continue };
            if is_expected(&path, entry.digest) {
                continue;
            }
            let inner: Vec<&[u8]> = std::iter::once(aside.path.as_bytes()).chain(path.names().skip(1)).collect();
            match RelPath::new(&inner.join(&b'/')) {
                Ok(at) => strays.files.push((at, entry)),
                Err(_) => drop(strays.unfit.insert(aside.name.clone())),
            }
        }
        Ok(strays)
    }

    /// Keeps, as a drift, what came to the disk during an apply and is neither what was there nor what was to come.
    pub(super) fn keep_strays(
        &self,
        now: &Tree,
        before: &Tree,
        target: &Tree,
        reserved: Option<&str>,
    ) -> Result<(), Problem> {
        let is_expected =
            |path: &RelPath, entry: &Entry| target.get(path).is_some_and(|other| other.digest == entry.digest);
        let strays: Vec<(RelPath, Entry)> = diff::between(before, now)
            .into_iter()
            .filter_map(|change| change.new.map(|new| (change.path, new)))
            .filter(|(path, entry)| entry.has_content() && !is_expected(path, entry))
            .collect();
        if let Some(drift) = self.keep_overtaken(&strays, reserved)? {
            self.note_overtaken(&drift);
        }
        Ok(())
    }

    /// One drift, or several where a path was found more than once: each content is kept.
    fn keep_overtaken(&self, strays: &[(RelPath, Entry)], reserved: Option<&str>) -> Result<Option<Drift>, Problem> {
        let mut rest: Vec<&(RelPath, Entry)> = strays.iter().collect();
        let mut all: Option<Drift> = None;
        while !rest.is_empty() {
            let (newest, mut later) = (self.newest(), Vec::new());
            let (mut tree, mut taken) = (newest.tree.clone(), BTreeSet::new());
            for stray @ (path, entry) in rest {
                let is_taken = std::iter::successors(Some(path.clone()), RelPath::parent).any(|at| taken.contains(&at))
                    || taken.range(path.clone()..).next().is_some_and(|at: &RelPath| at.is_within(path));
                if is_taken {
                    later.push(stray);
                    continue;
                }
                history::make_parents(&mut tree, path, OWNER_ONLY)?;
                tree.set(path, *entry).map_err(|missing| damaged(&missing.to_string()))?;
                taken.insert(path.clone());
            }
            rest = later;
            if tree == newest.tree {
                continue;
            }
            let kept = self.keep_drift(&newest, &tree, reserved)?;
            let drift = all.get_or_insert_default();
            let words = taken.iter().map(|path| Drifted { path: path.to_string(), what: WHAT.into() });
            drift.paths.extend(words.take(BRANCH_FILES_MAX.saturating_sub(drift.paths.len())));
            drift.paths_total += taken.len() as u64;
            drift.kept = drift.kept.take().or(kept);
        }
        Ok(all)
    }

    fn note_overtaken(&self, drift: &Drift) {
        let mut untold = self.inner.overtaken.lock().unwrap_or_else(PoisonError::into_inner);
        if untold.len() < UNTOLD_MAX {
            untold.push(drift.clone());
        }
    }
}

/// Before the first step: what is displaced has to be known after a death.
pub(super) fn list(job: &Job<'_>) -> Result<(), Problem> {
    job.staged.list(job.ops, job.obstacles).map_err(|error| place::failed_aside(&error))
}

fn unreadable(why: &str) -> Problem {
    Problem::new(
        "cannot look at what was displaced in the configuration directory",
        why,
        "check the disk of the home and of the directory",
    )
}
