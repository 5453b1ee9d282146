//! From the directory to a revision (spec 5.2), drift (spec 4.5), and what is really on the disk (spec 5.7).

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::accounts::{Accounts, Belongs};
use super::candidate::Rejection;
use super::content::Content;
use super::diff::Change;
use super::ground::Ground;
use super::path::RelPath;
use super::push::{AUTHOR_MAX_BYTES, MESSAGE_MAX_BYTES, ManifestEntry};
use super::scan::{Found, Held, HoldBack, Leaves, Manner, Sink, Stamps, look_at, read_all, scan};
use super::tree::{Entry, Tree};
use super::watch::Dirty;
use super::{Mirror, Work, committed, yaml};
use crate::engine::base::{Digest, Problem, RevisionId, Term};
use crate::engine::input::Committed;
use crate::engine::order::FileKind;
use crate::store::{CONTENT_MAX_BYTES, Commit, NewRevision, Packed, Store};

/// What a scan of the directory came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScanOutcome {
    /// The new revision; none: nothing changed.
    pub committed: Option<Committed>,
    /// What is held back now (spec 5.4).
    pub held: Vec<Held>,
    /// Why all that changed is held back; each path of it is in `held` too.
    pub rejected: Option<Rejection>,
    /// When it is worth another look, as the reason may have passed: see [`Mirror::doubt_rejection`].
    pub retry_in: Option<Duration>,
    /// How many files are being written to and stayed as they were.
    pub postponed: usize,
    /// Paths that were changed while this instance was shadow, and are put back (spec 7.3).
    pub put_back: u64,
    /// How many of these cannot be put back yet.
    pub stuck: usize,
}

/// Bytes of contents that are kept by the commit itself; more go to the store before it.
const WITH_COMMIT_BYTES: usize = 1024 * 1024;

/// Contents on their way to the store.
pub(super) struct Keep<'a> {
    store: &'a Store,
    buffer: Vec<(Digest, Packed)>,
    bytes: usize,
}

impl<'a> Keep<'a> {
    pub(super) fn new(store: &'a Store) -> Self {
        Self { store, buffer: Vec::new(), bytes: 0 }
    }

    /// What a scan read; a large one goes to the store at once, by the piece. Why it is held back, if it has changed since.
    pub(super) fn add(&mut self, digest: Digest, content: Content) -> Result<Option<HoldBack>, Problem> {
        match content {
            Content::Memory(bytes) => self.add_packed(digest, Packed::of(bytes)).map(|()| None),
            Content::Disk(file, size) => {
                let is_kept = Content::keep_large(self.store, &digest, &file, size)?;
                Ok((!is_kept).then(|| HoldBack::from("is being written all the while".to_owned())))
            }
        }
    }

    pub(super) fn add_packed(&mut self, digest: Digest, content: Packed) -> Result<(), Problem> {
        self.bytes += content.bytes.len();
        self.buffer.push((digest, content));
        if self.bytes > WITH_COMMIT_BYTES { self.flush() } else { Ok(()) }
    }

    pub(super) fn flush(&mut self) -> Result<(), Problem> {
        self.store.put_contents(&self.buffer)?;
        self.buffer.clear();
        self.bytes = 0;
        Ok(())
    }
}

impl Mirror {
    /// Compares the directory with the newest revision and commits what changed; contents first, then the revision, durably.
    /// The first commit makes a revision of an empty directory too. Never waits for a shadow (spec 5.5).
    ///
    /// # Errors
    /// When the directory itself cannot be read, or the store cannot be written; nothing was committed.
    pub fn scan_and_commit(&self, term: Term, author: &str, message: &str) -> Result<ScanOutcome, Problem> {
        let mut work = self.work()?;
        let dirty = self.take_dirty();
        let accounts = self.accounts_now(true);
        let outcome = self.restore_first(&dirty, accounts.as_ref(), &mut work).and_then(|put_back| {
            let outcome = self.scan_where(&dirty, accounts.as_deref(), &mut work, (term, author, message))?;
            Ok(ScanOutcome { put_back, stuck: work.stuck.len(), ..outcome })
        });
        self.note_owners(accounts.as_deref());
        self.look_again(outcome.as_ref().ok().map(|outcome| outcome.held.as_slice()));
        outcome
    }

    fn scan_where(
        &self,
        dirty: &Dirty,
        accounts: Option<&Accounts>,
        work: &mut Work,
        (term, author, message): (Term, &str, &str),
    ) -> Result<ScanOutcome, Problem> {
        let newest = self.newest();
        let store = &self.inner.store;
        let ground = self.ground()?;
        let mut keep = Keep::new(store);
        let writing = self.writing();
        let leaves = Leaves { exclude: Some(ground.exclude()), writing: Some(&writing), ..Leaves::NOTHING };
        let owners = Belongs::found(accounts);
        let manner =
            Manner { is_full: false, keeps_held: true, file_size_limit: self.file_size_limit(), leaves, owners };
        let mut found =
            look(&ground, &newest.tree, &work.stamps, manner, dirty, &mut |path, known, digest, content| {
                match found_fault(store, path, known, &content)? {
                    None => keep.add(digest, content),
                    fault => Ok(fault),
                }
            })?;
        self.without_stuck(work, &newest.tree, &mut found);
        let identity = ground.identity();
        if found.tree.is_empty() && !newest.tree.is_empty() && identity != work.looked_at {
            return Err(empty(&self.inner.directory));
        }
        work.looked_at = identity;
        let postponed = found.postponed.len();
        let mut later = Dirty::nothing();
        found.postponed.iter().for_each(|path| later.add(path.clone(), false));
        self.give_back(later);
        if found.changes.is_empty() && newest.head.is_some() {
            let settled: Vec<_> = found.stamps.iter().filter(|(_, stamp)| stamp.is_settled).cloned().collect();
            store.save_stamps(&settled)?;
            work.stamps.extend(found.stamps);
            return Ok(ScanOutcome { held: found.held, postponed, ..ScanOutcome::default() });
        }
        if newest.head.is_some()
            && let Some(rejection) = self.judge(work, &found, &mut keep)?
        {
            let mut held = found.held;
            held.extend(found.changes.iter().map(|change| rejected(change, &rejection)));
            let retry_in = work.candidate.retry_in();
            return Ok(ScanOutcome { held, rejected: Some(rejection), retry_in, postponed, ..ScanOutcome::default() });
        }
        let number = newest.head.map_or(0, |head| head.revision.number) + 1;
        let revision = RevisionId { number, term, root: found.tree.root() };
        let new = new_revision(revision, author, message, found.changes.into());
        store.commit(&Commit {
            contents: &keep.buffer,
            revision: Some(&new),
            tree: &new.changes,
            stamps: &found.stamps,
            ..Commit::default()
        })?;
        forget_gone(&mut work.stamps, &new);
        work.stamps.extend(found.stamps);
        let head = self.publish_newest(found.tree)?;
        Ok(ScanOutcome { committed: head, held: found.held, postponed, ..ScanOutcome::default() })
    }

    /// After a look at what was taken as dirty: what is held back may be right another time; after one that failed (none),
    /// everything is in doubt.
    pub(super) fn look_again(&self, held: Option<&[Held]>) {
        let mut again = if held.is_some() { Dirty::nothing() } else { Dirty::all() };
        for held in held.unwrap_or_default() {
            match &held.at {
                Some(path) => again.add(path.clone(), true),
                None => again = Dirty::all(),
            }
        }
        self.give_back(again);
    }

    /// What was read a moment ago and was not told to have changed since needs no second reading: its times are trusted from
    /// now on, also by the next run. To be called when the last change is more than [`super::scan::SETTLED_AFTER_MS`] ago.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn settle(&self) -> Result<(), Problem> {
        let mut work = self.work()?;
        let dirty = self.take_dirty();
        let now_ns = super::scan::now_ns();
        let is_clean = |path: &RelPath| !dirty.is_all && !dirty.paths.iter().any(|(other, _)| path.is_within(other));
        let mut settled = Vec::new();
        for (path, stamp) in work.stamps.iter_mut().filter(|(_, stamp)| !stamp.is_settled) {
            if stamp.is_old(now_ns) && is_clean(path) {
                stamp.is_settled = true;
                settled.push((path.clone(), *stamp));
            }
        }
        self.give_back(dirty);
        // Keeping many takes long, and a takeover may be waiting. A stamp that is kept late is never trusted wrongly: a file
        // that was written since has other times.
        drop(work);
        if settled.is_empty() { Ok(()) } else { self.inner.store.save_stamps(&settled) }
    }

    /// Looks at everything, for what the watcher cannot know; true: something has changed, and is not dealt with.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn has_changed_unseen(&self) -> Result<bool, Problem> {
        let work = self.work()?;
        let ground = self.ground()?;
        let tree = self.newest().tree;
        let leaves = Leaves { exclude: Some(ground.exclude()), but: [Some(&tree), None], ..Leaves::NOTHING };
        let accounts = self.accounts();
        let owners = Belongs::checked(accounts.as_deref());
        let manner =
            Manner { is_full: false, keeps_held: true, file_size_limit: self.file_size_limit(), leaves, owners };
        let found = scan(&ground, &tree, &work.stamps, manner, &mut |_, _, _, _| Ok(None))?;
        if !found.changes.is_empty() {
            self.give_back(Dirty::all());
        }
        Ok(!found.changes.is_empty())
    }

    /// Re-reads every byte: the digest of what is on the disk, and each path (spec 5.7).
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn verify_own(&self) -> Result<(Digest, Vec<ManifestEntry>), Problem> {
        let tree = self.read_all()?;
        Ok((tree.root(), tree.iter().map(ManifestEntry::from).collect()))
    }

    /// The same as a tree.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn read_all(&self) -> Result<Tree, Problem> {
        let _turn = self.work()?;
        let ground = self.ground()?;
        let tree = self.newest().tree;
        let leaves = Leaves { exclude: Some(ground.exclude()), but: [Some(&tree), None], ..Leaves::NOTHING };
        let accounts = self.accounts();
        Ok(read_all(&ground, &tree, leaves, Belongs::checked(accounts.as_deref()))?.tree)
    }

    /// The directory as it really is, where it may have changed; what differs from `known` kept in the store; and what is in
    /// the way of a tree. What is excluded is left alone, unless `known` or the `target` has it. Owners are looked at with `accounts`.
    pub(super) fn what_is_there(
        &self,
        ground: &Ground,
        known: &Tree,
        stamps: &Stamps,
        is_full: bool,
        dirty: &Dirty,
        (target, accounts): (Option<&Tree>, Option<&Accounts>),
    ) -> Result<(Found, Vec<RelPath>), Problem> {
        let mut keep = Keep::new(&self.inner.store);
        let leaves = Leaves { exclude: Some(ground.exclude()), but: [Some(known), target], ..Leaves::NOTHING };
        let owners = Belongs::checked(accounts);
        let manner = Manner { is_full, keeps_held: false, file_size_limit: CONTENT_MAX_BYTES, leaves, owners };
        let found = look(ground, known, stamps, manner, dirty, &mut |_, _, digest, content| keep.add(digest, content))?;
        keep.flush()?;
        let obstacles = found.obstacles();
        Ok((found, obstacles))
    }

    /// Makes the newest revision of the store, with its tree, the one that all see.
    pub(super) fn publish_newest(&self, tree: Tree) -> Result<Option<Committed>, Problem> {
        let row = self.inner.store.newest_revision()?;
        let head = row.map(|row| committed(&self.inner.store, &row, &tree)).transpose()?;
        self.publish(head.clone(), tree);
        Ok(head)
    }

    pub(super) fn file_size_limit(&self) -> u64 {
        self.inner.file_size_limit.load(std::sync::atomic::Ordering::Relaxed).min(CONTENT_MAX_BYTES)
    }
}

/// Everything, or only where something may have changed.
fn look(
    ground: &Ground,
    known: &Tree,
    stamps: &Stamps,
    manner: Manner<'_>,
    dirty: &Dirty,
    sink: &mut Sink<'_>,
) -> Result<Found, Problem> {
    if dirty.is_all {
        scan(ground, known, stamps, manner, sink)
    } else {
        look_at(ground, known, stamps, manner, dirty.each(), sink)
    }
}

/// Stamps of paths that a revision took away are of no use.
fn forget_gone(stamps: &mut Stamps, new: &NewRevision) {
    for change in new.changes.iter().filter(|change| change.new.is_none()) {
        stamps.remove(&change.path);
    }
}

/// A directory that is another one than before and has nothing in it is more likely not mounted, or moved away and made
/// anew, than meant: taking it up would remove every file from both machines.
fn empty(directory: &std::path::Path) -> Problem {
    Problem::new(
        format!("the configuration directory {} is empty", directory.display()),
        "it is not the directory that was looked at before: it may not be mounted, or was moved away",
        "bring the directory back; if it is really meant to be empty, put a file into it and remove it again",
    )
}

/// A path of a change that was rejected as a whole.
fn rejected(change: &Change, rejection: &Rejection) -> Held {
    Held {
        path: change.path.to_string(),
        why: rejection.why.clone(),
        at: Some(change.path.clone()),
        is_rejected: true,
        ..Held::default()
    }
}

/// The same as [`yaml_fault`] of what a scan found; a large file is read only where that is asked.
pub(super) fn found_fault(
    store: &Store,
    path: &RelPath,
    known: Option<Entry>,
    content: &Content,
) -> Result<Option<HoldBack>, Problem> {
    if may_fail(path, known) { yaml_fault(store, path, known, &content.bytes()?) } else { Ok(None) }
}

/// A file that [`yaml_fault`] looks at.
fn may_fail(path: &RelPath, known: Option<Entry>) -> bool {
    known.is_some_and(|known| known.kind == FileKind::File) && yaml::is_yaml_name(path.name())
}

/// A file that was YAML in the last revision and no longer is (spec 5.4): why it is held back.
pub(super) fn yaml_fault(
    store: &Store,
    path: &RelPath,
    known: Option<Entry>,
    bytes: &[u8],
) -> Result<Option<HoldBack>, Problem> {
    let Some(known) = known.filter(|_| may_fail(path, known)) else { return Ok(None) };
    let Err(fault) = yaml::check(bytes) else { return Ok(None) };
    let was_yaml = store.content(&known.digest)?.is_some_and(|old| yaml::check(&old).is_ok());
    Ok(was_yaml.then(|| HoldBack {
        why: format!("line {}: is no longer YAML: {}", fault.line, fault.why),
        line: u64::try_from(fault.line).ok().filter(|line| *line > 0),
    }))
}

/// A revision of now; texts that are longer than what travels are cut.
pub(super) fn new_revision(
    revision: RevisionId,
    author: &str,
    message: &str,
    changes: Arc<Vec<Change>>,
) -> NewRevision {
    let (author, message) = (cut(author, AUTHOR_MAX_BYTES), cut(message, MESSAGE_MAX_BYTES));
    NewRevision { revision, author, at: now_ms(), message, changes }
}

/// `text`, at most `limit` bytes of it.
fn cut(text: &str, limit: usize) -> String {
    let end = (0..=limit.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text[..end.unwrap_or(0)].to_owned()
}

pub(super) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
