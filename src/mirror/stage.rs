//! Where new files are written before they are moved into place: on the file system of the directory, so that the move is
//! one step, and out of sight of readers and scans.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{AtFlags, Mode, OFlags, fstat, open, openat, statat, symlinkat};

use super::accounts::Accounts;
use super::tree::Entry;
use crate::engine::base::Problem;

/// Inside the home; used if a file can be moved from there into the directory.
const IN_HOME: &str = crate::store::STAGE;
/// Inside the mirrored directory otherwise; a name that scans leave out.
const IN_DIRECTORY: &str = ".standin-stage";
/// Moved from one to the other to find out.
const PROBE: &str = ".standin-probe";

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

    /// Makes an empty place; what an interrupted apply left there is thrown away, as all of it is in the store.
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
        let failed = |error: io::Error| {
            Problem::new(
                "cannot write the new configuration aside",
                error.to_string(),
                "check free space and permissions of the configuration directory",
            )
        };
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
            fd,
            accounts,
            #[cfg(test)]
            crash: std::sync::Arc::clone(&self.crash),
        })
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
        // What stays is thrown away by the next one.
        let _ = fs::remove_dir_all(&self.path);
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
