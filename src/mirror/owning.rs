//! Owners of the mirrored files over time (setting `configuration.owners`): names that cannot be on this disk are remembered,
//! told, and given as soon as they can be.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::AsFd;
use std::sync::{Arc, MutexGuard, PoisonError};

use rustix::fs::{AtFlags, statat};
use rustix::io::Errno;

use super::accounts::{Accounts, Refused, System, UserBook};
use super::owners::Owners;
use super::path::RelPath;
use super::tree::Tree;
use super::{Mirror, damaged, diff};
use crate::engine::base::Problem;
use crate::store::Store;

/// Names in use that are not on this disk, in words (`user app`), each with why.
pub type NotGiven = BTreeMap<String, &'static str>;

/// See [`Mirror::not_given`].
pub(super) struct Owning {
    /// None: owners are not mirrored here.
    book: Option<Arc<dyn UserBook>>,
    /// Names in use that are not on this disk, in words, as the store has them.
    waiting: BTreeSet<String>,
    told: NotGiven,
    /// What the system refused in this run.
    refused: Arc<Refused>,
}

impl Owning {
    pub(super) fn load(store: &Store, is_on: bool) -> Result<Self, Problem> {
        let waiting = store.owners_waiting()?.into_iter().collect();
        Ok(Self { book: is_on.then(system), waiting, told: NotGiven::new(), refused: Arc::default() })
    }
}

fn system() -> Arc<dyn UserBook> {
    Arc::new(System)
}

/// Both names of `owners`, in words.
fn words(owners: Owners) -> impl Iterator<Item = String> {
    let names = owners.names();
    let of = |what: &str, name: &str| (!name.is_empty()).then(|| format!("{what} {name}"));
    let pair = names.map(|names| [of("user", &names.owner), of("group", &names.group)]);
    pair.into_iter().flatten().flatten()
}

impl Mirror {
    /// Whether owner and group are mirrored, from now on. Everything is looked at then.
    pub(super) fn set_owners(&self, is_on: bool) {
        let is_changed = self.owning().book.is_some() != is_on;
        if is_changed {
            self.set_book(is_on.then(system));
        }
    }

    /// The same, with the users and groups of `book`.
    pub(super) fn set_book(&self, book: Option<Arc<dyn UserBook>>) {
        {
            let mut owning = self.owning();
            (owning.book, owning.refused) = (book, Arc::default());
        }
        if let Some(watcher) = self.inner.watcher.get() {
            watcher.set_exclude(self.exclude());
        }
    }

    /// Names of owners and groups that the configuration has and this disk has not: no such user here, or Standin may not
    /// give a file away. They count as given.
    #[must_use]
    pub fn not_given(&self) -> NotGiven {
        self.owning().told.clone()
    }

    fn owning(&self) -> MutexGuard<'_, Owning> {
        self.inner.owning.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For one look at the directory, or one change of it; none: owners are not mirrored.
    pub(super) fn accounts(&self) -> Option<Arc<Accounts>> {
        let owning = self.owning();
        let book = owning.book.clone()?;
        Some(Arc::new(Accounts::new(book, Arc::clone(&owning.refused))))
    }

    /// As [`Mirror::accounts`]. Files whose owner is known here by now are given to it first: that they were not is no change
    /// that anybody made. With `only_own` nothing is taken from anybody else: on a master he may have been given it.
    pub(super) fn accounts_now(&self, only_own: bool) -> Option<Arc<Accounts>> {
        let accounts = self.accounts()?;
        let waiting = self.owning().waiting.clone();
        if !waiting.is_empty()
            && let Err(problem) = self.give_waiting(&accounts, &waiting, only_own)
        {
            tracing::warn!("{problem}");
        }
        Some(accounts)
    }

    fn give_waiting(&self, accounts: &Accounts, waiting: &BTreeSet<String>, only_own: bool) -> Result<(), Problem> {
        let tree = self.newest().tree;
        let still = accounts.not_given(tree.owners());
        let is_ready =
            |owners: &Owners| words(*owners).any(|word| waiting.contains(&word) && !still.contains_key(&word));
        let ready: BTreeSet<Owners> = tree.owners().iter().copied().filter(is_ready).collect();
        if ready.is_empty() {
            return Ok(());
        }
        let ground = self.ground()?;
        let failed = |path: &RelPath, error: Errno| {
            let why = std::io::Error::from(error).to_string();
            Problem::new(
                format!("cannot give {path} to its owner"),
                why,
                "check owner and permissions of the directory",
            )
        };
        for (path, entry) in tree.iter().filter(|(_, entry)| ready.contains(&entry.owners)) {
            // What is not there, or is another thing now, is looked at by whoever asked for this.
            let Ok(directory) = ground.directory(path.parent().as_ref()) else { continue };
            let Ok(stat) = statat(&directory, path.name(), AtFlags::SYMLINK_NOFOLLOW) else { continue };
            if only_own && !accounts.is_own(&stat) {
                continue;
            }
            accounts.give_at(directory.as_fd(), path.name(), entry, &stat).map_err(|error| failed(&path, error))?;
        }
        Ok(())
    }

    /// What an operator's change makes of owners: a path that names none keeps those it has, and a new one belongs to whom the
    /// directory it is in belongs to, or to Standin. Where owners are not mirrored none is named.
    pub(super) fn give_target(&self, now: &Tree, target: &mut Tree) -> Result<(), Problem> {
        let own = self.accounts().map(|accounts| accounts.own());
        for change in diff::between(now, target) {
            let Some(entry) = change.new else { continue };
            let owners = match own {
                None => Owners::NONE,
                Some(_) if !entry.owners.is_none() => entry.owners,
                Some(own) => {
                    let above = std::iter::successors(change.path.parent(), RelPath::parent);
                    let same = now.get(&change.path).filter(|known| known.kind == entry.kind);
                    let known = same.into_iter().chain(above.filter_map(|path| target.get(&path)));
                    known.map(|known| known.owners).find(|owners| !owners.is_none()).unwrap_or(own)
                }
            };
            if owners != entry.owners {
                let entry = entry.with_owners(owners);
                target.set(&change.path, entry).map_err(|missing| damaged(&missing.to_string()))?;
            }
        }
        Ok(())
    }

    /// After a look or a change: which names of the newest revision are not on this disk.
    pub(super) fn note_owners(&self, accounts: Option<&Accounts>) {
        let tree = self.newest().tree;
        let told = accounts.map(|accounts| accounts.not_given(tree.owners())).unwrap_or_default();
        let waiting: BTreeSet<String> = match accounts {
            Some(_) => told.keys().cloned().collect(),
            // Not looked at here: none of them was given.
            None => tree.owners().iter().flat_map(|owners| words(*owners)).collect(),
        };
        let mut owning = self.owning();
        owning.told = told;
        if owning.waiting == waiting {
            return;
        }
        match self.inner.store.set_owners_waiting(&waiting) {
            Ok(()) => owning.waiting = waiting,
            Err(problem) => tracing::warn!("{problem}"),
        }
    }

    /// Gives files to owners that have come to be known here since, and notes what is still missing. For times when nothing
    /// else looks at the directory.
    pub fn look_after_owners(&self) {
        let Ok(_work) = self.work() else { return };
        let accounts = self.accounts_now(true);
        self.note_owners(accounts.as_deref());
    }
}
