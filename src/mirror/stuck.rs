//! What was changed behind Standin's back and could not be put back (spec 4.5, 7.3): whoever is master now holds it back with its last
//! good content, and puts it back as soon as that can be done. It never becomes a revision by itself.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde::{Deserialize, Serialize};

use super::accounts::Accounts;
use super::diff;
use super::path::RelPath;
use super::scan::{Found, Held};
use super::tree::{Entry, Tree};
use super::watch::Dirty;
use super::{Mirror, Work};
use crate::engine::base::Problem;

/// Paths named in one sentence.
const NAMED_MAX: usize = 3;

/// One path that is not as the newest revision says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stuck {
    /// Which.
    pub path: RelPath,
    /// What the system says.
    pub why: String,
    /// What stands there; none: nothing. Whoever makes something else of it means it.
    pub found: Option<Entry>,
    /// It has a content that cannot be kept, so that it must not be replaced: a scan holds it back by itself.
    pub is_unkept: bool,
}

impl Stuck {
    /// `why`: as a scan says it.
    pub(super) fn unkept(path: RelPath, why: &str) -> Self {
        Self { path, why: format!("it cannot be kept: it {why}"), found: None, is_unkept: true }
    }

    /// For people: the first of them, each with its reason; none: there are none.
    #[must_use]
    pub fn words(list: &[Self]) -> Option<String> {
        let named: Vec<String> =
            list.iter().take(NAMED_MAX).map(|stuck| format!("{}: {}", stuck.path, stuck.why)).collect();
        let more = list.len().saturating_sub(NAMED_MAX);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        (!list.is_empty()).then(|| format!("{}{more}", named.join(", ")))
    }
}

/// For the list of what is held back.
pub(super) fn held_back(path: &RelPath, why: &str) -> Held {
    Held {
        path: path.to_string(),
        why: format!("was changed while this instance was shadow, and cannot be put back: {why}"),
        at: Some(path.clone()),
        ..Held::default()
    }
}

impl Mirror {
    /// What is stuck from now on, durably where that is news.
    pub(super) fn note_stuck(&self, work: &mut Work, list: Vec<Stuck>) -> Result<(), Problem> {
        if work.stuck != list {
            self.inner.store.set_stuck(&list)?;
            work.stuck = list;
        }
        Ok(())
    }

    /// Before a scan: what was changed while this instance was shadow is put back, what of it can be; says how many paths.
    /// `dirty` is what the scan looks at.
    pub(super) fn restore_first(
        &self,
        dirty: &Dirty,
        accounts: Option<&Arc<Accounts>>,
        work: &mut Work,
    ) -> Result<u64, Problem> {
        if self.inner.restore_due.load(Ordering::Relaxed) {
            let (drift, _) = self.restore_where(dirty, self.is_all_looked_at(dirty), accounts, work)?;
            let in_place = drift.stuck.into_iter().filter(|stuck| !stuck.is_unkept).collect();
            self.note_stuck(work, in_place)?;
            self.inner.restore_due.store(false, Ordering::Relaxed);
            return Ok(drift.paths_total);
        }
        if work.stuck.is_empty() {
            return Ok(0);
        }
        let mut paths = Dirty::nothing();
        work.stuck.iter().for_each(|stuck| paths.add(stuck.path.clone(), false));
        let newest = self.newest();
        let on_disk = accounts.map(AsRef::as_ref);
        let (now, _) =
            self.what_is_there(&self.ground()?, &newest.tree, &work.stamps, false, &paths, (None, on_disk))?;
        let mut same = work.stuck.clone();
        same.retain(|stuck| now.tree.get(&stuck.path) == stuck.found);
        let mut paths = Dirty::nothing();
        same.iter().for_each(|stuck| paths.add(stuck.path.clone(), false));
        if same.is_empty() {
            self.note_stuck(work, same)?;
            return Ok(0);
        }
        let (drift, _) = self.restore_where(&paths, false, accounts, work)?;
        same.retain(|stuck| drift.stuck.iter().any(|still| still.path == stuck.path));
        self.note_stuck(work, same)?;
        Ok(drift.paths_total)
    }

    /// `found` without what is stuck: there it is as in `known`, and held back.
    pub(super) fn without_stuck(&self, work: &mut Work, known: &Tree, found: &mut Found) {
        if work.stuck.is_empty() {
            return;
        }
        for Stuck { path, why, .. } in &work.stuck {
            match known.get(path) {
                // Fails only where its directory is gone, which is stuck too.
                Some(entry) => drop(found.tree.set(path, entry)),
                None => found.tree.remove(path),
            }
            found.stamps.retain(|(stamped, _)| stamped != path);
            work.stamps.remove(path);
            found.held.retain(|held| held.at.as_ref() != Some(path));
            found.held.push(held_back(path, why));
        }
        found.changes = diff::between(known, &found.tree);
    }
}
