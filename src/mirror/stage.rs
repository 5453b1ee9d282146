//! Where new files are written before they are moved into place: on the file system of the directory, so that the move is
//! one step, and out of sight of readers and scans.

use std::fs::{self, DirBuilder, File};
use std::io::{self, BufWriter, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{
    AtFlags, Mode, OFlags, RawMode, RenameFlags, fchmod, fstat, mkdirat, open, openat, renameat_with, statat,
    symlinkat, unlinkat,
};
use rustix::io::Errno;

use super::accounts::Accounts;
use super::diff::Change;
use super::displaced::{self, Expected};
use super::path::RelPath;
use super::place::failed_aside;
use super::tree::Entry;
use crate::engine::base::Problem;
use crate::engine::order::FileKind;

/// Inside the home; used if a file can be moved from there into the directory.
const IN_HOME: &str = crate::store::STAGE;
/// Inside the mirrored directory otherwise; a name that scans leave out.
const IN_DIRECTORY: &str = ".standin-stage";
/// In the place, before anything is moved into or out of it: what each number stands for. A name that scans leave out.
const LIST: &str = ".standin-list";
/// Most bytes of it that are read.
const LIST_MAX_BYTES: u64 = 1 << 32;
/// Moved from one to the other to find out.
const PROBE: &str = ".standin-probe";
/// What the owner of a file needs to read it back,
const OWNER_READS: RawMode = 0o400;
/// and of a directory.
const OWNER_LOOKS: RawMode = 0o500;

/// The two possible places.
pub(super) struct Stage {
    home: PathBuf,
    directory: PathBuf,
    #[cfg(test)]
    crash: std::sync::Arc<super::testing::Crash>,
}

/// An empty place, gone again when dropped.
pub(super) struct Staged {
    path: PathBuf,
    /// Stays when dropped: there is something in it that is nowhere else.
    is_left: bool,
    /// Everything goes through it, whatever its name comes to mean.
    fd: OwnedFd,
    /// Who files are given to; none: they stay Standin's own.
    accounts: Option<Arc<Accounts>>,
    #[cfg(test)]
    crash: std::sync::Arc<super::testing::Crash>,
}

impl Stage {
    pub(super) fn new(home: &Path, directory: &Path) -> Self {
        Self {
            home: home.join(IN_HOME),
            directory: directory.to_owned(),
            #[cfg(test)]
            crash: std::sync::Arc::default(),
        }
    }

    /// Its writes are counted with those of the store.
    #[cfg(test)]
    pub(super) fn with_crash(self, crash: std::sync::Arc<super::testing::Crash>) -> Self {
        Self { crash, ..self }
    }

    /// Makes an empty place; what an interrupted apply left there is thrown away: see [`Stage::left`].
    /// New files are given to their owners among `accounts`.
    pub(super) fn begin(&self, accounts: Option<Arc<Accounts>>) -> Result<Staged, Problem> {
        #[cfg(test)]
        self.crash.point()?;
        let made = match fresh(&self.home) {
            Ok(()) if self.can_move() => Ok(self.home.clone()),
            _ => {
                let path = self.directory.join(IN_DIRECTORY);
                fresh(&path).map(|()| path)
            }
        };
        let failed = |error: io::Error| failed_aside(&error);
        let path = made.map_err(failed)?;
        // What lies there now may have been put there by somebody else in the last moment.
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = open(&path, flags, Mode::empty()).map_err(|error| failed(error.into()))?;
        let owner = fstat(&fd).map_err(|error| failed(error.into()))?.st_uid;
        if owner != rustix::process::geteuid().as_raw() {
            return Err(failed(io::Error::other(format!("{} belongs to somebody else", path.display()))));
        }
        Ok(Staged {
            path,
            is_left: false,
            fd,
            accounts,
            #[cfg(test)]
            crash: std::sync::Arc::clone(&self.crash),
        })
    }

    /// Places in which something was displaced, left by an apply that was interrupted; and what should be in them.
    pub(super) fn left(&self) -> Vec<(OwnedFd, Vec<Expected>)> {
        let places = [self.home.clone(), self.directory.join(IN_DIRECTORY)];
        let open = |path: &PathBuf| {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let fd = open(path, flags, Mode::empty()).ok()?;
            let is_own = fstat(&fd).is_ok_and(|stat| stat.st_uid == rustix::process::geteuid().as_raw());
            let list = openat(&fd, LIST, OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty());
            let list = list.ok().filter(|_| is_own)?;
            let mut bytes = Vec::new();
            // What cannot be read of it is not known by name; there is nothing else to go by.
            let _ = File::from(list).take(LIST_MAX_BYTES).read_to_end(&mut bytes);
            Some((fd, displaced::listed(&bytes)))
        };
        places.iter().filter_map(open).collect()
    }

    /// What an interrupted apply left there is gone.
    pub(super) fn clear(&self) {
        for path in [&self.home, &self.directory.join(IN_DIRECTORY)] {
            // Mostly there is nothing.
            let _ = fs::remove_dir_all(path);
        }
        let _ = fs::remove_file(self.directory.join(PROBE));
    }

    fn can_move(&self) -> bool {
        let (from, to) = (self.home.join(PROBE), self.directory.join(PROBE));
        let can = File::create(&from).is_ok() && fs::rename(&from, &to).is_ok();
        // Only one of them is there; the other error says nothing.
        let _ = fs::remove_file(if can { to } else { from });
        can
    }
}

impl Staged {
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// The place.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn accounts(&self) -> Option<&Accounts> {
        self.accounts.as_deref()
    }

    /// Writes a file; `syncs` it at once.
    pub(super) fn file(&self, name: &str, bytes: &[u8], entry: Entry, syncs: bool) -> io::Result<()> {
        self.file_of(name, entry, syncs, |file| file.write_all(bytes))
    }

    /// The same with what `write` writes.
    pub(super) fn file_of(
        &self,
        name: &str,
        entry: Entry,
        syncs: bool,
        write: impl FnOnce(&mut File) -> io::Result<()>,
    ) -> io::Result<()> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        self.write_point()?;
        let mut file = File::from(openat(&self.fd, name, flags, Mode::RUSR | Mode::WUSR)?);
        self.write_point()?;
        write(&mut file)?;
        if let Some(accounts) = self.accounts().filter(|_| !entry.owners.is_none()) {
            // Before the mode, part of which would be taken away with the owner.
            accounts.give(&file, entry.owners, &fstat(&file)?)?;
        }
        file.set_permissions(fs::Permissions::from_mode(entry.mode))?;
        if syncs { file.sync_all() } else { Ok(()) }
    }

    /// Says what each number stands for, so that what is displaced is known after a death too.
    pub(super) fn list(&self, ops: &[Change], obstacles: &[RelPath]) -> io::Result<()> {
        self.write_point()?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut list = BufWriter::new(File::from(openat(&self.fd, LIST, flags, Mode::RUSR | Mode::WUSR)?));
        displaced::write_list(&mut list, ops, obstacles)?;
        list.flush()
    }

    /// The first of `ops`, all of which are written aside, that could not be read back once it is in place: with its mode, or
    /// its owner, it is closed to the user that runs Standin (spec 5.7).
    pub(super) fn closed<'o>(&self, ops: &'o [Change]) -> io::Result<Option<&'o Change>> {
        for (index, op) in ops.iter().enumerate() {
            let Some(new) = op.new.filter(|new| self.may_be_closed(*new)) else { continue };
            let is_closed = match new.kind {
                FileKind::File => {
                    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                    denied(openat(&self.fd, index.to_string(), flags, Mode::empty()).map(drop))?
                }
                FileKind::Directory => self.is_closed_directory(new)?,
                FileKind::Link => false,
            };
            if is_closed {
                return Ok(Some(op));
            }
        }
        Ok(None)
    }

    /// Whoever may read what is their own can be sure of all else without a try.
    fn may_be_closed(&self, new: Entry) -> bool {
        let needed = if new.kind == FileKind::Directory { OWNER_LOOKS } else { OWNER_READS };
        new.mode & needed != needed || (self.accounts.is_some() && !new.owners.is_none())
    }

    /// Tried out with an empty one.
    fn is_closed_directory(&self, new: Entry) -> io::Result<bool> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        mkdirat(&self.fd, PROBE, Mode::RWXU)?;
        let look = || {
            let fd = openat(&self.fd, PROBE, flags, Mode::empty())?;
            if let Some(accounts) = self.accounts().filter(|_| !new.owners.is_none()) {
                accounts.give(&fd, new.owners, &fstat(&fd)?)?;
            }
            fchmod(&fd, Mode::from_raw_mode(new.mode))?;
            drop(fd);
            let fd = openat(&self.fd, PROBE, flags, Mode::empty())?;
            // What is inside has to be reached too.
            statat(&fd, ".", AtFlags::empty()).map(drop)
        };
        let is_closed = denied(look());
        unlinkat(&self.fd, PROBE, AtFlags::REMOVEDIR)?;
        is_closed
    }

    /// Moves what is `name` here into `parent`.
    pub(super) fn move_to(
        &self,
        name: &str,
        parent: &OwnedFd,
        to: &[u8],
        flags: RenameFlags,
    ) -> rustix::io::Result<()> {
        #[cfg(test)]
        if self.crash.cannot_exchange() {
            return Err(rustix::io::Errno::INVAL);
        }
        renameat_with(&self.fd, name, parent, to, flags)
    }

    /// It stays as it is, until somebody looks what is in it.
    pub(super) fn leave(mut self) {
        self.is_left = true;
    }

    /// Makes a link.
    pub(super) fn link(&self, name: &str, target: &[u8], entry: Entry) -> io::Result<()> {
        self.write_point()?;
        symlinkat(target, &self.fd, name)?;
        if let Some(accounts) = self.accounts().filter(|_| !entry.owners.is_none()) {
            let stat = statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW)?;
            accounts.give_at(&self.fd, name.as_bytes(), entry, &stat)?;
        }
        Ok(())
    }

    /// Before each write: a test may let it fail.
    #[cfg_attr(not(test), allow(clippy::unused_self, clippy::unnecessary_wraps))]
    fn write_point(&self) -> io::Result<()> {
        #[cfg(test)]
        self.crash.point().map_err(|problem| io::Error::other(problem.why))?;
        Ok(())
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        #[cfg(test)]
        if self.crash.is_down() {
            return;
        }
        if self.is_left {
            return;
        }
        // What stays is thrown away by the next one.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Whether something failed because this user may not.
fn denied(tried: rustix::io::Result<()>) -> io::Result<bool> {
    match tried {
        Ok(()) => Ok(false),
        Err(Errno::ACCESS | Errno::PERM) => Ok(true),
        Err(error) => Err(error.into()),
    }
}

fn fresh(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    DirBuilder::new().mode(0o700).create(path)
}
