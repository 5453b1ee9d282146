//! What is held back, or in no revision yet, where a revision's path is to come back (spec 5.4, 5.6).

use super::{CHANGES_TOLD_MAX, Change, ChangeReport, FileKind, RelPath, Tree, diff, told};
use crate::engine::base::Problem;
use crate::engine::history::Expected;
use crate::mirror::Mirror;
use crate::mirror::accounts::Belongs;
use crate::mirror::commit::found_fault;
use crate::mirror::history;
use crate::mirror::scan::{Leaves, Manner, scan};
use crate::mirror::watch::Dirty;

impl Mirror {
    /// The directory as a dry run of `change` compares with it: as a scan would take it up; paths that are to come back by name
    /// as they really are, as what is held back there is replaced.
    pub(super) fn seen_by(&self, change: &Change) -> Result<Tree, Problem> {
        match change {
            Change::Restore { paths, .. } if !paths.is_empty() => {
                let (taken, there) = (self.as_taken_up()?, self.on_disk()?.tree);
                let named = named(paths);
                let mut seen = taken.clone();
                let wanted: Vec<_> = diff::between(&taken, &there)
                    .into_iter()
                    .filter(|change| named.iter().any(|path| change.path.is_within(path)))
                    .collect();
                seen.apply(&wanted).map_err(|missing| super::damaged(&missing.to_string()))?;
                Ok(seen)
            }
            _ => self.as_taken_up(),
        }
    }

    /// The directory as a scan finds it: what is held back is as in the newest revision. Nothing is kept.
    fn as_taken_up(&self) -> Result<Tree, Problem> {
        let work = self.work()?;
        let (ground, newest, store) = (self.ground()?, self.newest(), &self.inner.store);
        let accounts = self.accounts();
        let leaves = Leaves { exclude: Some(ground.exclude()), ..Leaves::NOTHING };
        let owners = Belongs::found(accounts.as_deref());
        let manner =
            Manner { is_full: false, keeps_held: true, file_size_limit: self.file_size_limit(), leaves, owners };
        let found = scan(&ground, &newest.tree, &work.stamps, manner, &mut |path, known, _, content| {
            found_fault(store, path, known, &content)
        })?;
        Ok(found.tree)
    }

    /// After `change`: what is held back at a path that was to come back by name gives way to what the newest revision has
    /// there, and is kept as a drift. Says so in the report.
    pub(super) fn with_held_back(&self, change: &Change, done: ChangeReport) -> Result<ChangeReport, Problem> {
        let Change::Restore { paths, .. } = change else { return Ok(done) };
        let named = named(paths);
        if named.is_empty() {
            return Ok(done);
        }
        let (there, newest) = (self.on_disk()?.tree, self.newest());
        let held: Vec<_> = diff::between(&there, &newest.tree)
            .into_iter()
            .filter(|change| named.iter().any(|path| change.path.is_within(path)))
            .collect();
        if held.is_empty() {
            return Ok(done);
        }
        let mut dirty = Dirty::nothing();
        held.iter().for_each(|change| dirty.add(change.path.clone(), false));
        let mut work = self.work()?;
        let accounts = self.accounts_now(false);
        let outcome = self.restore_where(&dirty, false, accounts.as_ref(), &mut work);
        self.note_owners(accounts.as_deref());
        self.look_again(outcome.as_ref().ok().map(|(_, held)| held.as_slice()));
        if let Some(stuck) = outcome?.0.stuck.first() {
            let what = format!("cannot put back {}", stuck.path);
            return Err(Problem::new(
                what,
                stuck.why.clone(),
                "move it out of the directory, or look at its permissions",
            ));
        }
        let mut report = done;
        report.changes.extend(held.iter().map(told));
        report.changes.sort_by(|one, other| one.path.cmp(&other.path));
        report.changes.truncate(CHANGES_TOLD_MAX);
        report.total += held.len() as u64;
        Ok(report)
    }

    /// That a path may come back: what is excluded is not brought back, and who names it is told.
    pub(super) fn is_in_mirror(&self, path: &RelPath, then: &Tree, now: &Tree, what: &str) -> Result<(), Problem> {
        let Some(entry) = then.get(path).filter(|_| now.get(path).is_none()) else { return Ok(()) };
        if !self.exclude().covers(path, entry.kind == FileKind::Directory) {
            return Ok(());
        }
        let why = format!("the settings exclude {path} from the mirror");
        let todo = "name the other paths, or change configuration.exclude";
        Err(Problem::new(what, why, todo))
    }
}

/// Who edits a file has seen the newest revision's: where the directory has another, or one that no revision has, it is held back,
/// and is neither to be replaced unseen nor to be mixed with the edit.
///
/// # Errors
/// Names the first such file, and what to do.
pub(super) fn edits_what_is_there(change: &Change, newest: &Tree, there: &Tree) -> Result<(), Problem> {
    let Change::Put { files } = change else { return Ok(()) };
    for file in files.iter().filter(|file| file.expected != Expected::Any) {
        let path = history::path_of(&file.path, "cannot change")?;
        let content = |tree: &Tree| tree.get(&path).map(|entry| (entry.kind, entry.digest));
        if content(there) != content(newest) {
            return Err(Problem::new(
                format!("cannot change {path}"),
                "it is held back: the file in the directory is another than the one that was edited",
                "`standin config list --held` says why. Correct the file in the directory: it is taken up by itself",
            ));
        }
    }
    Ok(())
}

fn named(paths: &[String]) -> Vec<RelPath> {
    // They were checked when the target was made.
    paths.iter().filter_map(|text| history::path_of(text, "cannot restore").ok()).collect()
}
