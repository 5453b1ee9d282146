//! Where new files are written before they are moved into place: on the file system of the directory, so that the move is
//! one step, and out of sight of readers and scans.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, fstat, open, openat, symlinkat};

use crate::engine::base::Problem;

/// Inside the home; used if a file can be moved from there into the directory.
const IN_HOME: &str = "stage";
/// Inside the mirrored directory otherwise; a name that scans leave out.
const IN_DIRECTORY: &str = ".standin-stage";
/// Moved from one to the other to find out.
const PROBE: &str = ".standin-probe";

/// The two possible places.
pub(super) struct Stage {
    home: PathBuf,
    directory: PathBuf,
}

/// An empty place, gone again when dropped.
pub(super) struct Staged {
    path: PathBuf,
    /// Everything goes through it, whatever its name comes to mean.
    fd: OwnedFd,
}

impl Stage {
    pub(super) fn new(home: &Path, directory: &Path) -> Self {
        Self { home: home.join(IN_HOME), directory: directory.to_owned() }
    }

    /// Makes an empty place; what an interrupted apply left there is thrown away, as all of it is in the store.
    pub(super) fn begin(&self) -> Result<Staged, Problem> {
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
        Ok(Staged { path, fd })
    }

    /// What an interrupted apply left there is gone.
    pub(super) fn clear(&self) {
        for path in [&self.home, &self.directory.join(IN_DIRECTORY)] {
            // Mostly there is nothing.
            let _ = fs::remove_dir_all(path);
        }
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

    /// Writes a file; `syncs` it at once.
    pub(super) fn file(&self, name: &str, bytes: &[u8], mode: u32, syncs: bool) -> io::Result<()> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut file = File::from(openat(&self.fd, name, flags, Mode::RUSR | Mode::WUSR)?);
        file.write_all(bytes)?;
        file.set_permissions(fs::Permissions::from_mode(mode))?;
        if syncs { file.sync_all() } else { Ok(()) }
    }

    /// Makes a link.
    pub(super) fn link(&self, name: &str, target: &[u8]) -> io::Result<()> {
        Ok(symlinkat(target, &self.fd, name)?)
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
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
