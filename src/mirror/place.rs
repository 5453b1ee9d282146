//! Brings the directory from one tree to another: each file is moved into place in one step (spec 5.3).

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;

use rustix::fs::{
    AtFlags, Dir, FileType, Mode, OFlags, RawMode, fchmod, fstat, fsync, mkdirat, openat, renameat, syncfs, unlinkat,
};
use rustix::io::{Errno, Result as SysResult};

use super::accounts::Accounts;
use super::diff::Change;
use super::exclude::{KEPT, is_left_out};
use super::ground::Ground;
use super::path::RelPath;
use super::stage::Staged;
use super::tree::{Entry, Tree};
use crate::engine::base::Problem;
use crate::engine::order::FileKind;
use crate::store::{LARGE_BYTES, Store};

/// Up to so many files are made durable one by one, more by one call for the whole file system.
const SINGLE_SYNCS_MAX: usize = 32;
/// Directories of one name that are kept aside.
const KEPT_MAX: u32 = 10_000;
/// Bytes of a name that are kept of it: with what comes before and after it, it is still a name.
const KEPT_NAME_MAX: usize = 200;
/// What the owner of a directory needs to change what is in it.
const OWNER_ALL: RawMode = 0o700;

/// Writes all new files of `ops` aside, durably.
pub(super) fn stage(store: &Store, staged: &Staged, ops: &[Change]) -> Result<(), Problem> {
    stage_rest(store, staged, ops, &[], &mut |_| {})
}

/// A change of so few files is made durable one by one.
pub(super) fn is_synced(ops: &[Change]) -> bool {
    let files = ops.iter().filter(|op| op.new.is_some_and(|new| new.kind == FileKind::File));
    files.take(SINGLE_SYNCS_MAX + 1).count() <= SINGLE_SYNCS_MAX
}

/// The same without those that are `done`; `tell` hears the bytes of each file that was written.
pub(super) fn stage_rest(
    store: &Store,
    staged: &Staged,
    ops: &[Change],
    done: &[bool],
    tell: &mut dyn FnMut(u64),
) -> Result<(), Problem> {
    let new = || ops.iter().enumerate().filter_map(|(index, op)| op.new.map(|entry| (index, op, entry)));
    let syncs = is_synced(ops);
    let is_done = |index: usize| done.get(index).copied().unwrap_or(false);
    for (index, op, entry) in new().filter(|(index, _, entry)| entry.has_content() && !is_done(*index)) {
        let missing = || {
            Problem::new(
                format!("cannot write {}", op.path),
                "its content is missing",
                "reconnect with a complete transfer",
            )
        };
        let name = index.to_string();
        let written = if entry.size > LARGE_BYTES {
            let mut is_there = true;
            let written = staged.file_of(&name, entry, syncs, |file| {
                is_there = store.read_large(&entry.digest, file).map_err(std::io::Error::other)?.is_some();
                Ok(())
            });
            if !is_there {
                return Err(missing());
            }
            written
        } else {
            let bytes = store.content(&entry.digest)?.ok_or_else(missing)?;
            match entry.kind {
                FileKind::Link => staged.link(&name, &bytes, entry),
                _ => staged.file(&name, &bytes, entry, syncs),
            }
        };
        written.map_err(|error| failed(&op.path, &error.to_string()))?;
        tell(entry.size);
    }
    if !syncs {
        syncfs(staged.fd()).map_err(|error| failed_at("the new configuration", error))?;
    }
    Ok(())
}

/// Moves them into place. `obstacles` are things that no tree can hold and that are in the way. `step` is called before
/// each single change of the directory.
pub(super) fn place(
    ground: &Ground,
    staged: &Staged,
    ops: &[Change],
    obstacles: &[RelPath],
    target: &Tree,
    step: &mut dyn FnMut() -> Result<(), Problem>,
) -> Result<(), Problem> {
    place_or(ground, staged, ops, obstacles, target, step, &mut |path, error| Err(failed_at(&path.to_string(), error)))
}

/// The same, path by path: what cannot be changed stays as it is, and is named with the reason, all else is done.
pub(super) fn place_what_can(
    ground: &Ground,
    staged: &Staged,
    ops: &[Change],
    obstacles: &[RelPath],
    target: &Tree,
    step: &mut dyn FnMut() -> Result<(), Problem>,
) -> Result<BTreeMap<RelPath, String>, Problem> {
    let mut stuck = BTreeMap::new();
    place_or(ground, staged, ops, obstacles, target, step, &mut |path, error| {
        stuck.entry(path.clone()).or_insert_with(|| super::scan::plain(error));
        Ok(())
    })?;
    Ok(stuck)
}

/// `on_failure` says whether it goes on.
fn place_or(
    ground: &Ground,
    staged: &Staged,
    ops: &[Change],
    obstacles: &[RelPath],
    target: &Tree,
    step: &mut dyn FnMut() -> Result<(), Problem>,
    on_failure: &mut dyn FnMut(&RelPath, Errno) -> Result<(), Problem>,
) -> Result<(), Problem> {
    let mut placer = Placer { ground, touched: BTreeSet::new(), modes: BTreeMap::new(), open: None };
    for path in obstacles {
        step()?;
        placer.unlink(path, AtFlags::empty()).or_else(|error| on_failure(path, error))?;
    }
    // What is inside a directory goes before it.
    for op in ops.iter().rev() {
        if let Some(old) = op.old.filter(|old| goes_first(old, op.new)) {
            step()?;
            placer.remove(&op.path, old).or_else(|error| on_failure(&op.path, error))?;
        }
    }
    for (index, op) in ops.iter().enumerate() {
        let Some(new) = op.new else { continue };
        step()?;
        let placed = match new.kind {
            FileKind::Directory => placer.directory(&op.path, op.old, new),
            FileKind::File | FileKind::Link => placer.move_in(staged, index, &op.path),
        };
        placed.or_else(|error| on_failure(&op.path, error))?;
    }
    step()?;
    placer.set_modes(target, staged.accounts(), on_failure)?;
    placer.sync()
}

/// The old one must be gone before the new one comes: a directory and something else cannot replace each other in one step.
fn goes_first(old: &Entry, new: Option<Entry>) -> bool {
    new.is_none_or(|new| (old.kind == FileKind::Directory) != (new.kind == FileKind::Directory))
}

struct Placer<'a> {
    ground: &'a Ground,
    /// Directories in which something changed; none: the whole one.
    touched: BTreeSet<Option<RelPath>>,
    /// Directories whose mode has to be set at the end, with the mode where the target does not say.
    modes: BTreeMap<RelPath, RawMode>,
    /// The directory that was changed last.
    open: Option<(Option<RelPath>, Rc<OwnedFd>)>,
}

impl Placer<'_> {
    /// The directory that `path` is in, made writable for its owner for the time being.
    fn parent(&mut self, path: &RelPath) -> SysResult<Rc<OwnedFd>> {
        let parent = path.parent();
        if let Some((_, fd)) = self.open.as_ref().filter(|(open, _)| *open == parent) {
            return Ok(Rc::clone(fd));
        }
        self.open = None;
        let fd = Rc::new(self.ground.directory(parent.as_ref())?);
        if let Some(parent) = &parent {
            let mode = fstat(&fd)?.st_mode;
            if mode & OWNER_ALL != OWNER_ALL {
                fchmod(&fd, Mode::from_raw_mode(mode | OWNER_ALL))?;
                self.modes.entry(parent.clone()).or_insert(mode);
            }
        }
        self.touched.insert(parent.clone());
        self.open = Some((parent, Rc::clone(&fd)));
        Ok(fd)
    }

    fn unlink(&mut self, path: &RelPath, flags: AtFlags) -> SysResult<()> {
        let parent = self.parent(path)?;
        match unlinkat(&parent, path.name(), flags) {
            Err(Errno::NOENT) => Ok(()),
            other => other,
        }
    }

    fn remove(&mut self, path: &RelPath, old: Entry) -> SysResult<()> {
        if old.kind != FileKind::Directory {
            return self.unlink(path, AtFlags::empty());
        }
        self.open = None;
        self.touched.remove(&Some(path.clone()));
        let mode = self.modes.remove(path);
        let removed = self.remove_directory(path);
        if let Some(mode) = mode.filter(|_| removed.is_err()) {
            // It stays, and as it was.
            self.modes.insert(path.clone(), mode);
        }
        removed
    }

    fn remove_directory(&mut self, path: &RelPath) -> SysResult<()> {
        match self.unlink(path, AtFlags::REMOVEDIR) {
            Err(Errno::NOTEMPTY | Errno::EXIST) => {
                let directory = self.ground.directory(Some(path))?;
                match remove_left_out(&directory, path, self.ground)? {
                    Rest::Excluded => self.move_aside(path),
                    Rest::Nothing | Rest::Others => self.unlink(path, AtFlags::REMOVEDIR),
                }
            }
            other => other,
        }
    }

    /// What is excluded belongs to this machine alone, and is not deleted because the directory that it is in goes (spec 5.2):
    /// that is kept beside its place, by a name that no scan looks at.
    fn move_aside(&mut self, path: &RelPath) -> SysResult<()> {
        let parent = self.parent(path)?;
        let name = path.name();
        let name = &name[..name.len().min(KEPT_NAME_MAX)];
        for number in 1..KEPT_MAX {
            let mut aside = [KEPT, name].concat();
            if number > 1 {
                aside.extend(format!("-{number}").into_bytes());
            }
            match renameat(&parent, path.name(), &parent, aside.as_slice()) {
                // Of an earlier time.
                Err(Errno::NOTEMPTY | Errno::EXIST | Errno::NOTDIR) => {}
                Ok(()) => {
                    let aside = super::path::shown(&aside);
                    tracing::info!("{path} was removed; what is excluded in it is kept beside it as {aside}");
                    return Ok(());
                }
                other => return other,
            }
        }
        Err(Errno::EXIST)
    }

    fn directory(&mut self, path: &RelPath, old: Option<Entry>, new: Entry) -> SysResult<()> {
        if old.is_none_or(|old| old.kind != FileKind::Directory) {
            let parent = self.parent(path)?;
            mkdirat(&parent, path.name(), Mode::from_raw_mode(OWNER_ALL))?;
        }
        self.modes.insert(path.clone(), new.mode);
        Ok(())
    }

    fn move_in(&mut self, staged: &Staged, index: usize, path: &RelPath) -> SysResult<()> {
        let parent = self.parent(path)?;
        renameat(staged.fd(), index.to_string(), &parent, path.name())
    }

    /// Innermost first, as a mode may close a directory. Its owner comes before: the mode may be taken away with it.
    fn set_modes(
        &mut self,
        target: &Tree,
        accounts: Option<&Accounts>,
        on_failure: &mut dyn FnMut(&RelPath, Errno) -> Result<(), Problem>,
    ) -> Result<(), Problem> {
        for (path, mode) in self.modes.iter().rev() {
            let entry = target.get(path);
            let mode = entry.map_or(*mode, |entry| entry.mode);
            let set = |fd: OwnedFd| {
                if let (Some(accounts), Some(entry)) = (accounts, entry.filter(|entry| !entry.owners.is_none())) {
                    accounts.give(&fd, entry.owners, &fstat(&fd)?)?;
                }
                fchmod(&fd, Mode::from_raw_mode(mode))
            };
            self.ground.directory(Some(path)).and_then(set).or_else(|error| on_failure(path, error))?;
        }
        Ok(())
    }

    fn sync(&mut self) -> Result<(), Problem> {
        self.touched.extend(self.modes.keys().cloned().map(Some));
        let failed = |error| failed_at("the new configuration", error);
        if self.touched.len() > SINGLE_SYNCS_MAX {
            return syncfs(self.ground.top()).map_err(failed);
        }
        for path in &self.touched {
            match self.ground.directory(path.as_ref()) {
                Ok(directory) => fsync(&directory).map_err(failed)?,
                // Its new mode closes it; the one it is in was opened before.
                Err(Errno::ACCESS | Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {
                    syncfs(self.ground.top()).map_err(failed)?
                }
                Err(error) => return Err(failed(error)),
            }
        }
        Ok(())
    }
}

/// What is in a directory that goes.
enum Rest {
    Nothing,
    /// Only what is excluded, or was kept aside earlier.
    Excluded,
    /// Something that makes it stay.
    Others,
}

/// Removes temporary files of editors.
fn remove_left_out(directory: &OwnedFd, path: &RelPath, ground: &Ground) -> SysResult<Rest> {
    let mut rest = Rest::Nothing;
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        let is_excluded = || {
            let is_directory = entry.file_type() == FileType::Directory;
            let inner = RelPath::child(Some(path), name.to_bytes());
            inner.is_ok_and(|inner| ground.exclude().covers(&inner, is_directory))
        };
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        if name.to_bytes().starts_with(KEPT) || is_excluded() {
            rest = if matches!(rest, Rest::Others) { rest } else { Rest::Excluded };
            continue;
        }
        if !is_left_out(name.to_bytes()) {
            rest = Rest::Others;
            continue;
        }
        match unlinkat(directory, name, AtFlags::empty()) {
            Err(Errno::ISDIR) => {
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let inner = openat(directory, name, flags, Mode::empty())?;
                remove_all(&inner, 0)?;
                unlinkat(directory, name, AtFlags::REMOVEDIR)?;
            }
            other => other?,
        }
    }
    Ok(rest)
}

/// Removes what is in a directory that is left out of the mirror as a whole.
fn remove_all(directory: &OwnedFd, depth: usize) -> SysResult<()> {
    if depth > super::path::PATH_MAX_DEPTH {
        return Err(Errno::NAMETOOLONG);
    }
    for entry in Dir::read_from(directory.as_fd())? {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        match unlinkat(directory, name, AtFlags::empty()) {
            Err(Errno::ISDIR) => {
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                remove_all(&openat(directory, name, flags, Mode::empty())?, depth + 1)?;
                unlinkat(directory, name, AtFlags::REMOVEDIR)?;
            }
            other => other?,
        }
    }
    Ok(())
}

pub(super) fn failed(path: &RelPath, why: &str) -> Problem {
    Problem::new(format!("cannot write {path}"), why, "check free space and permissions of the configuration directory")
}

fn failed_at(what: &str, error: Errno) -> Problem {
    Problem::new(
        format!("cannot write {what}"),
        std::io::Error::from(error).to_string(),
        "check free space and permissions of the configuration directory",
    )
}
