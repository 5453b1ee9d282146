//! Brings the directory from one tree to another: each file is moved into place in one step (spec 5.3).

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

use rustix::fs::{
    AtFlags, Dir, FileType, Mode, OFlags, RawMode, RenameFlags, fchmod, fstat, fsync, linkat, mkdirat, openat,
    renameat, renameat_with, statat, syncfs, unlinkat,
};
use rustix::io::{Errno, Result as SysResult};

use super::accounts::Accounts;
use super::diff::Change;
use super::displaced::Displaced;
use super::exclude::{KEPT, never_mirrored};
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
/// Tries to move something into a place where others put and take away at the same time.
const MOVE_TRIES: usize = 8;

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

/// What is to be done to the directory.
#[derive(Clone, Copy)]
pub(super) struct Job<'a> {
    pub(super) ground: &'a Ground,
    /// Has the new files, each by the number of its change; and gets what they displace.
    pub(super) staged: &'a Staged,
    pub(super) ops: &'a [Change],
    /// Things that no tree can hold and that are in the way.
    pub(super) obstacles: &'a [RelPath],
    pub(super) target: &'a Tree,
}

/// Moves the new files into place. Nothing is overwritten or deleted: what stands there, which may be another thing by now than
/// what was looked at, is moved aside, and added to `displaced` (spec 5.3). `step` is called before each single change of the
/// directory.
pub(super) fn place(
    job: &Job<'_>,
    displaced: &mut Vec<Displaced>,
    step: &mut dyn FnMut() -> Result<(), Problem>,
) -> Result<(), Problem> {
    place_or(job, displaced, step, &mut |path, error| Err(failed_at(&path.to_string(), error)))
}

/// The same, path by path: what cannot be changed stays as it is, and is named with the reason, all else is done.
pub(super) fn place_what_can(
    job: &Job<'_>,
    displaced: &mut Vec<Displaced>,
    step: &mut dyn FnMut() -> Result<(), Problem>,
) -> Result<BTreeMap<RelPath, String>, Problem> {
    let mut stuck = BTreeMap::new();
    place_or(job, displaced, step, &mut |path, error| {
        stuck.entry(path.clone()).or_insert_with(|| super::scan::plain(error));
        Ok(())
    })?;
    Ok(stuck)
}

/// `on_failure` says whether it goes on.
fn place_or(
    job: &Job<'_>,
    displaced: &mut Vec<Displaced>,
    step: &mut dyn FnMut() -> Result<(), Problem>,
    on_failure: &mut dyn FnMut(&RelPath, Errno) -> Result<(), Problem>,
) -> Result<(), Problem> {
    let Job { ground, staged, ops, obstacles, target } = *job;
    let (touched, modes) = (BTreeSet::new(), BTreeMap::new());
    let mut placer = Placer { ground, staged, displaced, touched, modes, open: None };
    for (index, path) in obstacles.iter().enumerate() {
        step()?;
        placer.move_out(ops.len() + index, path).or_else(|error| on_failure(path, error))?;
    }
    // What is inside a directory goes before it.
    for (index, op) in ops.iter().enumerate().rev() {
        if let Some(old) = op.old.filter(|old| goes_first(old, op.new)) {
            step()?;
            placer.remove(index, &op.path, old).or_else(|error| on_failure(&op.path, error))?;
        }
    }
    for (index, op) in ops.iter().enumerate() {
        let Some(new) = op.new else { continue };
        step()?;
        let placed = match new.kind {
            FileKind::Directory => placer.directory(index, &op.path, op.old, new),
            FileKind::File | FileKind::Link => placer.move_in(index, &op.path, op.old),
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
    staged: &'a Staged,
    /// What was moved aside.
    displaced: &'a mut Vec<Displaced>,
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

    /// Whatever is at `path` goes into the stage; nothing happens where there is nothing.
    fn move_out(&mut self, index: usize, path: &RelPath) -> SysResult<()> {
        let parent = self.parent(path)?;
        let displaced = Displaced::moved(index, self.displaced.len());
        match renameat(&parent, path.name(), self.staged.fd(), displaced.name()) {
            Ok(()) => self.displaced.push(displaced),
            Err(Errno::NOENT) => {}
            // Something is mounted inside the directory: nothing can be moved from there to the stage.
            Err(Errno::XDEV) => return self.unlink(path, AtFlags::empty()),
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn remove(&mut self, index: usize, path: &RelPath, old: Entry) -> SysResult<()> {
        if old.kind != FileKind::Directory {
            return self.move_out(index, path);
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
        for number in 1..KEPT_MAX {
            let aside = kept_name(path, number);
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

    fn directory(&mut self, index: usize, path: &RelPath, old: Option<Entry>, new: Entry) -> SysResult<()> {
        if old.is_none_or(|old| old.kind != FileKind::Directory) {
            self.make_directory(index, path)?;
        }
        self.modes.insert(path.clone(), new.mode);
        Ok(())
    }

    fn make_directory(&mut self, index: usize, path: &RelPath) -> SysResult<()> {
        let parent = self.parent(path)?;
        for _ in 0..MOVE_TRIES {
            match mkdirat(&parent, path.name(), Mode::from_raw_mode(OWNER_ALL)) {
                Err(Errno::EXIST) => {}
                other => return other,
            }
            // Made by somebody else in the last moment: what is in it stays, and is found by the next look.
            if is_directory(&parent, path) {
                return Ok(());
            }
            self.move_out(index, path)?;
        }
        Err(Errno::EXIST)
    }

    /// What should be there comes into the stage in the same step. If that has changed meanwhile, so that there is nothing, or
    /// something where nothing was, it is the other way round; nothing is overwritten unseen.
    fn move_in(&mut self, index: usize, path: &RelPath, old: Option<Entry>) -> SysResult<()> {
        let parent = self.parent(path)?;
        let name = index.to_string();
        let was_directory = old.is_some_and(|old| old.kind == FileKind::Directory);
        let mut exchanges = old.is_some() && !was_directory;
        for _ in 0..MOVE_TRIES {
            let flags = if exchanges { RenameFlags::EXCHANGE } else { RenameFlags::NOREPLACE };
            match self.staged.move_to(&name, &parent, path.name(), flags) {
                Ok(()) => {
                    if exchanges {
                        self.displaced.push(Displaced::exchanged(index));
                    }
                    return Ok(());
                }
                // It could not be removed, or has come again.
                Err(Errno::EXIST) if was_directory && is_directory(&parent, path) => return Err(Errno::ISDIR),
                Err(Errno::EXIST) if !exchanges => exchanges = true,
                Err(Errno::NOENT) if exchanges => exchanges = false,
                Err(error) if cannot_do(error) && was_directory && is_directory(&parent, path) => {
                    return Err(Errno::ISDIR);
                }
                Err(error) if cannot_do(error) => return self.move_in_two_steps(index, path),
                Err(error) => return Err(error),
            }
        }
        Err(Errno::EXIST)
    }

    /// The same on a file system that cannot exchange two files: for a moment there is none.
    fn move_in_two_steps(&mut self, index: usize, path: &RelPath) -> SysResult<()> {
        let parent = self.parent(path)?;
        let name = index.to_string();
        for _ in 0..MOVE_TRIES {
            self.move_out(index, path)?;
            // Unlike a plain move it overwrites nothing.
            match linkat(self.staged.fd(), name.as_str(), &parent, path.name(), AtFlags::empty()) {
                Ok(()) => return unlinkat(self.staged.fd(), name.as_str(), AtFlags::empty()),
                Err(Errno::EXIST) => {}
                // No links there, or not of a file that was given away.
                Err(_) => return renameat(self.staged.fd(), name.as_str(), &parent, path.name()),
            }
        }
        Err(Errno::EXIST)
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

fn is_directory(parent: &OwnedFd, path: &RelPath) -> bool {
    let stat = statat(parent, path.name(), AtFlags::SYMLINK_NOFOLLOW);
    stat.is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
}

/// Name beside `path` that no scan looks at.
fn kept_name(path: &RelPath, number: u32) -> Vec<u8> {
    let name = path.name();
    let mut kept = [KEPT, &name[..name.len().min(KEPT_NAME_MAX)]].concat();
    if number > 1 {
        kept.extend(format!("-{number}").into_bytes());
    }
    kept
}

/// Moves `name` out of the stage, to lie beside `path`, where it stood: what cannot be kept in the history. Says as what.
pub(super) fn put_beside(
    ground: &Ground,
    stage: BorrowedFd<'_>,
    name: &RelPath,
    path: &RelPath,
) -> Result<String, Problem> {
    let put = || {
        let parent = ground.directory(path.parent().as_ref()).or_else(|_| ground.directory(None))?;
        for number in 1..KEPT_MAX {
            let kept = kept_name(path, number);
            if statat(&parent, kept.as_slice(), AtFlags::SYMLINK_NOFOLLOW).is_ok() {
                continue;
            }
            return match renameat_with(stage, name.as_bytes(), &parent, kept.as_slice(), RenameFlags::NOREPLACE) {
                Err(Errno::EXIST) => continue,
                Err(error) if cannot_do(error) => renameat(stage, name.as_bytes(), &parent, kept.as_slice()),
                other => other,
            }
            .map(|()| super::path::shown(&kept));
        }
        Err(Errno::EXIST)
    };
    put().map_err(|error: Errno| failed_at(&path.to_string(), error))
}

/// The file system has no such move.
fn cannot_do(error: Errno) -> bool {
    matches!(error, Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP)
}

/// What is in a directory that goes.
pub(super) enum Rest {
    Nothing,
    /// Only what is excluded, or was kept aside earlier.
    Excluded,
    /// Something that makes it stay.
    Others,
}

/// Removes temporary files of editors.
pub(super) fn remove_left_out(directory: &OwnedFd, path: &RelPath, ground: &Ground) -> SysResult<Rest> {
    let mut rest = Rest::Nothing;
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        let is_directory = entry.file_type() == FileType::Directory;
        let is_excluded = || {
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
        if !never_mirrored(name.to_bytes(), is_directory) {
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

/// Of what is written before it is moved into place.
pub(super) fn failed_aside(error: &std::io::Error) -> Problem {
    Problem::new(
        "cannot write the new configuration aside",
        error.to_string(),
        "check free space and permissions of the configuration directory",
    )
}

fn failed_at(what: &str, error: Errno) -> Problem {
    Problem::new(
        format!("cannot write {what}"),
        std::io::Error::from(error).to_string(),
        "check free space and permissions of the configuration directory",
    )
}
