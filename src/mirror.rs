//! The configuration as revisions (spec 5): what the directory holds, its history, and the way of a revision from master to
//! shadow. Blocking; the caller runs it off its event loop.

pub mod accounts;
mod apply;
mod build;
mod candidate;
mod change;
mod commit;
pub mod compare;
pub mod content;
pub mod diff;
pub mod digest;
mod displaced;
mod drift;
pub mod exclude;
mod ground;
pub mod history;
mod intake;
mod keeping;
mod listing;
mod mounts;
mod on_disk;
mod overtaken;
pub mod owners;
mod owning;
pub mod path;
mod place;
mod plan;
pub mod push;
pub mod quiet;
mod reapply;
mod recovery;
pub mod scan;
pub mod source;
mod stage;
mod stuck;
#[cfg(test)]
pub(crate) mod testing;
pub mod tree;
pub mod unified;
pub mod watch;
pub mod yaml;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use self::candidate::Candidate;
pub use self::candidate::{Judge, RETRY_FIRST, Rejection};
pub use self::change::Changed;
pub use self::commit::ScanOutcome;
pub use self::drift::{Drift, Drifted};
use self::exclude::Exclude;
use self::ground::Ground;
pub use self::on_disk::OnDisk;
pub use self::owning::NotGiven;
use self::owning::Owning;
use self::path::RelPath;
pub use self::push::{ContentSource, ManifestEntry, PushPayload};
pub use self::scan::Held;
use self::scan::Stamps;
use self::stage::Stage;
pub use self::stuck::Stuck;
use self::tree::Tree;
use self::watch::{Dirty, Pending, WatchEvent, Watcher};
use crate::engine::base::{Digest, Problem, RevisionId};
use crate::engine::history::LogEntry;
use crate::engine::input::{COMMITTED_PATHS_MAX, Committed};
use crate::engine::listing::FilesPart;
use crate::engine::message::Branch;
use crate::engine::order::{FileContent, FileEntry};
pub use crate::store::CONTENT_MAX_BYTES;
use crate::store::{Packed, RevisionRow, Store};

/// Author of what was found in the directory, whoever put it there (spec 5.2).
pub const FOUND_AUTHOR: &str = "directory";
/// A file that is open for writing counts as being written to until it was left alone for so long at least, see
/// [`Mirror::set_writing_idle`]: one that is never closed, such as a log, is mirrored as it is then.
pub const WRITING_IDLE: Duration = Duration::from_secs(2);

/// Settings of the mirror; may change while it is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Larger files are held back, bytes.
    pub file_size: u64,
    /// Owner and group are mirrored, by name (setting `configuration.owners`).
    pub owners: bool,
}

/// The mirror of one directory. Cloning shares it. What reads only the newest revision or the history never waits for a
/// scan or an apply under way; scans, applies and verifications take turns.
#[derive(Clone)]
pub struct Mirror {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    directory: PathBuf,
    file_size_limit: AtomicU64,
    owning: Mutex<Owning>,
    stage: Stage,
    newest: RwLock<Newest>,
    work: Mutex<Work>,
    /// Knows what may have changed; none: anything may.
    watcher: OnceLock<Watcher>,
    /// See [`Mirror::set_writing_idle`], ms.
    writing_idle_ms: AtomicU64,
    /// The operator's patterns.
    exclude: RwLock<Arc<Exclude>>,
    /// Judges a change before it is committed; with a number that grows at each change of it.
    judge: RwLock<(u64, Option<Arc<Judge>>)>,
    /// What was changed behind Standin's back has to be put back before anything is taken up (spec 7.3).
    restore_due: AtomicBool,
    /// See [`Mirror::take_overtaken`].
    overtaken: Mutex<Vec<Drift>>,
    /// See [`Mirror::cannot_hold`].
    cannot_hold: Mutex<Option<String>>,
    #[cfg(test)]
    crash: Arc<testing::Crash>,
}

/// The newest revision.
#[derive(Clone, Default)]
struct Newest {
    head: Option<Committed>,
    tree: Tree,
}

/// What scans and applies know.
#[derive(Default)]
struct Work {
    stamps: Stamps,
    /// Which directory (device, inode) was looked at last.
    looked_at: Option<(u64, u64)>,
    /// Where changes are judged.
    candidate: Candidate,
    /// Changed behind Standin's back, and could not be put back: no scan takes it up.
    stuck: Vec<Stuck>,
    /// The journal holds a plan that could be neither finished nor undone.
    is_interrupted: bool,
}

impl Mirror {
    /// Opens the mirror of `directory`, which is made if there is no revision yet and it is missing. A revision whose apply
    /// was interrupted is brought to its end first (spec 5.3).
    ///
    /// # Errors
    /// When the store cannot be read, or an interrupted apply can be neither finished nor undone.
    pub fn open(store: Store, directory: PathBuf, limits: Limits) -> Result<Self, Problem> {
        let mirror = Self::open_as_it_is(store, directory, limits)?;
        mirror.recover(&mut mirror.lock_work())?;
        // A death before the plan was noted leaves new contents, secrets among them, lying aside.
        mirror.inner.stage.clear();
        // Not before: an interrupted apply needs contents that only its plan names.
        // What has come of a transfer that a break or a restart interrupted is still to be used.
        if !mirror.inner.store.is_receiving()? {
            mirror.inner.store.drop_loose_contents()?;
        }
        Ok(mirror)
    }

    /// The same, for [`Mirror::plan_restore`]: an interrupted apply stays as it is, and contents that nothing names yet too.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn open_as_it_is(store: Store, directory: PathBuf, limits: Limits) -> Result<Self, Problem> {
        let newest = store.newest_revision()?;
        let mut tree = Tree::default();
        let mut stamps = Stamps::new();
        store.each_row(|row| {
            tree.set(&row.path, row.entry).map_err(|missing| damaged(&missing.to_string()))?;
            if let Some(stamp) = row.stamp {
                stamps.insert(row.path, stamp);
            }
            Ok(())
        })?;
        let head = newest.map(|row| committed(&store, &row, &tree)).transpose()?;
        if head.as_ref().is_some_and(|head| head.revision.root != tree.root()) {
            return Err(damaged("the newest tree does not have the digest of the newest revision"));
        }
        if head.is_none() {
            make_directory(&directory)?;
        }
        let stage = Stage::new(store.home(), &directory);
        #[cfg(test)]
        let (crash, stage) = (store.crash(), stage.with_crash(store.crash()));
        let owning = Owning::load(&store, limits.owners)?;
        let stuck = store.stuck()?;
        Ok(Self {
            inner: Arc::new(Inner {
                owning: Mutex::new(owning),
                store,
                directory,
                file_size_limit: AtomicU64::new(limits.file_size),
                stage,
                newest: RwLock::new(Newest { head, tree }),
                work: Mutex::new(Work { stamps, stuck, ..Work::default() }),
                watcher: OnceLock::new(),
                writing_idle_ms: AtomicU64::default(),
                exclude: RwLock::default(),
                judge: RwLock::default(),
                restore_due: AtomicBool::default(),
                overtaken: Mutex::default(),
                cannot_hold: Mutex::default(),
                #[cfg(test)]
                crash,
            }),
        })
    }

    /// Watches the directory from now on, so that later looks cost only what changed. Once.
    ///
    /// # Errors
    /// As [`Watcher::start`]; every look is at everything then.
    pub fn watch(&self, tell: impl Fn(WatchEvent) + Send + 'static) -> Result<(), Problem> {
        let watcher = Watcher::start(&self.inner.directory, &self.exclude(), tell)?;
        // Only the first is kept; a second one ends here.
        let _ = self.inner.watcher.set(watcher);
        Ok(())
    }

    /// What has to be looked at to know the directory as it is now.
    fn take_dirty(&self) -> Dirty {
        self.inner.watcher.get().map_or_else(Dirty::all, Watcher::take)
    }

    /// Has to be looked at by the next one.
    fn give_back(&self, dirty: Dirty) {
        if let Some(watcher) = self.inner.watcher.get().filter(|_| !dirty.is_nothing()) {
            watcher.give_back(dirty);
        }
    }

    /// What waits to be looked at.
    #[must_use]
    pub fn pending(&self) -> Pending {
        self.inner.watcher.get().map_or_else(Pending::default, |watcher| watcher.pending(self.writing_idle()))
    }

    /// A file that is open and was written to, and not closed since, is waited for until it was left alone for so long, and for
    /// [`WRITING_IDLE`] at least (spec 5.2): who writes with longer pauses has it mirrored half.
    pub fn set_writing_idle(&self, idle_ms: u64) {
        self.inner.writing_idle_ms.store(idle_ms, Ordering::Relaxed);
    }

    /// See [`Mirror::set_writing_idle`].
    #[must_use]
    pub fn writing_idle(&self) -> Duration {
        Duration::from_millis(self.inner.writing_idle_ms.load(Ordering::Relaxed)).max(WRITING_IDLE)
    }

    /// The operator's patterns from now on (spec 5.2). What is excluded leaves the mirror with the next commit, and is
    /// neither read nor touched on this disk. The watcher tells that there is something to look at. Never waits.
    pub fn set_exclude(&self, exclude: Exclude) {
        if *self.exclude() == exclude {
            return;
        }
        let exclude = Arc::new(exclude);
        *self.inner.exclude.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&exclude);
        if let Some(watcher) = self.inner.watcher.get() {
            watcher.set_exclude(exclude);
        }
    }

    /// Who judges changes from now on (spec 5.4).
    pub fn set_judge(&self, judge: Option<Arc<Judge>>) {
        let mut judges = self.inner.judge.write().unwrap_or_else(PoisonError::into_inner);
        *judges = (judges.0 + 1, judge);
    }

    fn exclude(&self) -> Arc<Exclude> {
        Arc::clone(&self.inner.exclude.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The directory, open.
    fn ground(&self) -> Result<Ground, Problem> {
        // Each time: it may be a link that leads elsewhere by now.
        crate::files::site::may_be_mirrored(self.inner.store.home(), &self.inner.directory)?;
        Ok(Ground::open(&self.inner.directory)?.with_exclude(self.exclude()))
    }

    /// Files that are being written to at this moment, and for how long.
    fn writing(&self) -> BTreeMap<RelPath, Duration> {
        self.inner.watcher.get().map_or_else(Default::default, |watcher| watcher.writing(self.writing_idle()))
    }

    /// The limits from now on.
    pub fn set_limits(&self, limits: Limits) {
        self.inner.file_size_limit.store(limits.file_size, Ordering::Relaxed);
        self.set_owners(limits.owners);
    }

    /// The mirrored directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.inner.directory
    }

    /// The newest revision.
    #[must_use]
    pub fn head(&self) -> Option<Committed> {
        self.newest().head
    }

    /// Older revisions of the main line, newest first and without the newest, at most
    /// [`crate::engine::message::TRAIL_MAX`]: the last ones all, then ever fewer.
    ///
    /// # Errors
    /// When the history cannot be read.
    pub fn trail(&self) -> Result<Vec<RevisionId>, Problem> {
        history::trail(&self.inner.store)
    }

    /// Branches kept after a divergence (spec 7.6), oldest first.
    ///
    /// # Errors
    /// When the history cannot be read.
    pub fn branches(&self) -> Result<Vec<Branch>, Problem> {
        let mut branches = self.inner.store.branches()?;
        branches.retain(|branch| !branch.name.starts_with(plan::DRIFT));
        Ok(branches)
    }

    /// What was found changed on the disk behind Standin's back and put back (spec 4.5), oldest first.
    ///
    /// # Errors
    /// When the history cannot be read.
    pub fn drifts(&self) -> Result<Vec<Branch>, Problem> {
        let mut branches = self.inner.store.branches()?;
        branches.retain(|branch| branch.name.starts_with(plan::DRIFT));
        Ok(branches)
    }

    /// Branches and drifts together, oldest first.
    ///
    /// # Errors
    /// When the history cannot be read.
    pub fn all_branches(&self) -> Result<Vec<Branch>, Problem> {
        self.inner.store.branches()
    }

    /// The branch or drift of this name.
    ///
    /// # Errors
    /// When the history cannot be read.
    pub fn branch(&self, name: &str) -> Result<Option<Branch>, Problem> {
        Ok(self.inner.store.branches()?.into_iter().find(|branch| branch.name == name))
    }

    /// Every path of a revision of the main line, for a peer that asks.
    ///
    /// # Errors
    /// When the revision is not in the history.
    pub fn manifest(&self, revision: RevisionId) -> Result<Vec<ManifestEntry>, Problem> {
        Ok(self.tree_of(revision)?.iter().map(ManifestEntry::from).collect())
    }

    /// The same as a tree.
    ///
    /// # Errors
    /// When the revision is not in the history.
    pub fn tree_of(&self, revision: RevisionId) -> Result<Tree, Problem> {
        match history::tree_from(&self.inner.store, &self.newest().tree, &revision)? {
            Some(tree) => Ok(tree),
            None => history::tree_of(&self.inner.store, &revision),
        }
    }

    /// The newest tree.
    #[must_use]
    pub fn newest_tree(&self) -> Tree {
        self.newest().tree
    }

    /// A content of any kept revision.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn content(&self, digest: &Digest) -> Result<Option<Vec<u8>>, Problem> {
        self.inner.store.content(digest)
    }

    /// The same as it is kept, and as it travels.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn packed_content(&self, digest: &Digest) -> Result<Option<Packed>, Problem> {
        self.inner.store.packed_content(digest)
    }

    /// Files, directories and links of the newest revision, in order of paths.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn list(&self) -> Result<Vec<FileEntry>, Problem> {
        history::list(&self.inner.store)
    }

    /// The same in parts, or what changed since a revision; see [`listing::part`].
    ///
    /// # Errors
    /// As there.
    pub fn list_part(&self, since: Option<&RevisionId>, after: Option<&str>) -> Result<FilesPart, Problem> {
        listing::part(&self.inner.store, since, after)
    }

    /// Revisions, newest first; see [`history::log`].
    ///
    /// # Errors
    /// As there.
    pub fn log(&self, path: Option<&str>, before: Option<u64>, limit: u32) -> Result<Vec<LogEntry>, Problem> {
        history::log(&self.inner.store, path, before, limit)
    }

    /// One of them with its content, as of a revision (none: the newest). `path` as [`Mirror::list`] shows it.
    ///
    /// # Errors
    /// When it is not there.
    pub fn show(&self, path: &str, revision: Option<u64>) -> Result<FileContent, Problem> {
        history::show(&self.inner.store, path, revision)
    }

    /// Its bytes; see [`history::bytes`].
    ///
    /// # Errors
    /// As there.
    pub fn file_bytes(&self, path: &str, revision: Option<u64>) -> Result<Vec<u8>, Problem> {
        history::bytes(&self.inner.store, path, revision)
    }

    /// A piece of them; see [`history::part`].
    ///
    /// # Errors
    /// As there.
    pub fn file_part(&self, path: &str, revision: Option<u64>, of: &Digest, offset: u64) -> Result<Vec<u8>, Problem> {
        history::part(&self.inner.store, path, revision, of, offset)
    }

    fn newest(&self) -> Newest {
        self.inner.newest.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn publish(&self, head: Option<Committed>, tree: Tree) {
        *self.inner.newest.write().unwrap_or_else(PoisonError::into_inner) = Newest { head, tree };
    }

    fn lock_work(&self) -> MutexGuard<'_, Work> {
        // What a panic may have left half done is what the journal is for.
        self.inner.work.lock().unwrap_or_else(|poisoned| {
            let mut work = PoisonError::into_inner(poisoned);
            work.is_interrupted = true;
            work
        })
    }

    /// Waits for its turn; brings an apply that failed half-way to its end first.
    fn work(&self) -> Result<MutexGuard<'_, Work>, Problem> {
        let mut work = self.lock_work();
        if work.is_interrupted {
            self.recover(&mut work)?;
            work.is_interrupted = false;
        }
        Ok(work)
    }
}

/// What the engine is told of a kept revision.
fn committed(store: &Store, row: &RevisionRow, tree: &Tree) -> Result<Committed, Problem> {
    let (paths, paths_total) = store.changed_paths(row.row, COMMITTED_PATHS_MAX)?;
    Ok(Committed {
        revision: row.revision,
        author: row.author.clone(),
        paths: paths.iter().map(ToString::to_string).collect(),
        paths_total,
        files: tree.files(),
        bytes: tree.bytes(),
        at: row.at,
    })
}

/// Makes the directory where it is missing.
fn make_directory(directory: &Path) -> Result<(), Problem> {
    std::fs::create_dir_all(directory).map_err(|error| {
        Problem::new(
            format!("cannot make the configuration directory {}", directory.display()),
            error.to_string(),
            "check owner and permissions of the directory it is in",
        )
    })
}

fn damaged(why: &str) -> Problem {
    Problem::new(
        "cannot read the history of the configuration",
        why,
        "restore the home from a backup, or set this instance up anew",
    )
}

#[cfg(test)]
mod tests;
