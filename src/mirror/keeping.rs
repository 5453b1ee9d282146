//! What of the history is kept, and what is removed from it on purpose (spec 5.6).

use super::commit::now_ms;
use super::path::RelPath;
use super::{Mirror, history};
use crate::engine::base::{Digest, Problem};
use crate::store::{DroppedDrift, Forgotten, Retention, Store};

/// Rounds of tidying in a row; what is left goes the next time.
const ROUNDS_MAX: usize = 20;
/// The same of giving space back, which is done in small steps.
const SPACE_ROUNDS_MAX: usize = 200;
/// Contents looked for in the files of the database after they were forgotten.
const LOOKED_FOR_MAX: usize = 10_000;

impl Mirror {
    /// Drops old revisions, and gives space back. Scans and applies wait for a moment at most. Says how many revisions.
    ///
    /// # Errors
    /// When the store cannot be read or written; what is left goes the next time.
    pub fn tidy(&self, keep: &Retention) -> Result<u64, Problem> {
        let store = &self.inner.store;
        store.note_named_contents()?;
        let mut dropped = 0;
        for _ in 0..ROUNDS_MAX {
            let Some(found) = store.plan_tidying(keep)? else { break };
            let _turn = self.work()?;
            dropped += store.tidy(&found)?;
        }
        for _ in 0..SPACE_ROUNDS_MAX {
            if !store.give_space_back()? {
                break;
            }
        }
        Ok(dropped)
    }

    /// Drops the oldest drifts where there are too many, or all together hold more than `bytes`; never the newest, and no branch
    /// of a divergence (spec 4.5, 5.6, 7.6). Says which.
    ///
    /// # Errors
    /// When the store cannot be read or written; what is left goes the next time.
    pub fn tidy_drifts(&self, bytes: u64) -> Result<Vec<DroppedDrift>, Problem> {
        let _turn = self.work()?;
        self.inner.store.tidy_drifts(bytes)
    }

    /// Removes all contents that `path`, or what is inside it, ever had, from every revision and branch here: from the
    /// database, its log and the stage. While the newest revision has the path this is refused, unless `history_only`: then
    /// the contents that it has there stay, and only older ones go.
    ///
    /// # Errors
    /// When it is no path, or in the newest revision, or the store cannot be written.
    pub fn forget(&self, path: &str, history_only: bool) -> Result<Forgotten, Problem> {
        let path = history::path_of(path, "cannot forget the contents")?;
        self.forget_path(&path, history_only)
    }

    /// The same for a checked path.
    ///
    /// # Errors
    /// As [`Mirror::forget`].
    pub fn forget_path(&self, path: &RelPath, history_only: bool) -> Result<Forgotten, Problem> {
        let mut work = self.work()?;
        if !history_only && self.newest().tree.get(path).is_some() {
            return Err(Problem::new(
                format!("cannot forget the contents of {path}"),
                "it is in the newest revision, which keeps its content",
                "remove it from the directory first; or, to keep the newest content and forget all older ones, add --history-only",
            ));
        }
        let store = &self.inner.store;
        let wanted = store.to_forget(path)?;
        let needles = needles(store, wanted.iter())?;
        self.keep_left(None)?;
        self.inner.stage.clear();
        work.candidate.clear(store.home());
        let forgotten = store.forget(path, now_ms())?;
        store.scrub()?;
        // A page that was rebuilt may keep an old copy in a gap.
        if !store.expel(&needles)? {
            tracing::warn!("the whole database is written anew: what was to be forgotten was still in it");
            store.rewrite()?;
        }
        Ok(forgotten)
    }
}

/// The beginnings of contents as they lie in the database.
fn needles<'a>(store: &Store, digests: impl Iterator<Item = &'a Digest>) -> Result<Vec<Vec<u8>>, Problem> {
    let mut needles = Vec::new();
    for digest in digests.take(LOOKED_FOR_MAX) {
        needles.extend(store.packed(digest)?);
    }
    Ok(needles)
}

#[cfg(test)]
mod tests;
