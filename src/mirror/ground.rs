//! The mirrored directory on the disk, reached so that no link can lead anything out of it (spec 5.4).
//!
//! Everything goes through a descriptor of the directory: `openat2` beneath it without links where the kernel has it, and
//! one step after the other with `O_NOFOLLOW` where it has not.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{Mode, OFlags, ResolveFlags, fstat, openat, openat2};
use rustix::io::{Errno, Result};

use super::exclude::Exclude;
use super::path::RelPath;
use crate::engine::base::Problem;

/// Tries of an `openat2` that something moved under.
const OPEN_TRIES: usize = 8;

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// The directory, open.
pub(super) struct Ground {
    top: OwnedFd,
    exclude: Arc<Exclude>,
}

impl Ground {
    /// Opens it.
    pub(super) fn open(directory: &Path) -> std::result::Result<Self, Problem> {
        let top = rustix::fs::open(directory, DIRECTORY, Mode::empty()).map_err(|error| {
            Problem::new(
                format!("cannot read the configuration directory {}", directory.display()),
                std::io::Error::from(error).to_string(),
                "check that it exists, is mounted, and belongs to the user that runs Standin",
            )
        })?;
        Ok(Self { top, exclude: Arc::default() })
    }

    /// Another one, that is open already.
    pub(super) fn of(top: OwnedFd) -> Self {
        Self { top, exclude: Arc::default() }
    }

    /// What no scan looks at, and what is kept aside when its directory goes.
    pub(super) fn with_exclude(self, exclude: Arc<Exclude>) -> Self {
        Self { exclude, ..self }
    }

    /// See [`Ground::with_exclude`].
    pub(super) fn exclude(&self) -> &Exclude {
        &self.exclude
    }

    /// Device and inode: which directory it is, whatever its name.
    pub(super) fn identity(&self) -> Option<(u64, u64)> {
        fstat(&self.top).ok().map(|stat| (stat.st_dev, stat.st_ino))
    }

    /// The directory itself.
    pub(super) fn top(&self) -> BorrowedFd<'_> {
        self.top.as_fd()
    }

    /// A directory inside, or the whole one.
    pub(super) fn directory(&self, path: Option<&RelPath>) -> Result<OwnedFd> {
        let Some(path) = path else { return openat(&self.top, c".", DIRECTORY, Mode::empty()) };
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        for _ in 0..OPEN_TRIES {
            match openat2(&self.top, path.as_bytes(), DIRECTORY, Mode::empty(), resolve) {
                Err(Errno::AGAIN) => {}
                // Not in this kernel, or kept from us by a filter; or longer than a path may be in one piece.
                Err(Errno::NOSYS | Errno::PERM | Errno::NAMETOOLONG) => break,
                other => return other,
            }
        }
        self.descend(path)
    }

    fn descend(&self, path: &RelPath) -> Result<OwnedFd> {
        let mut directory = openat(&self.top, c".", DIRECTORY, Mode::empty())?;
        for name in path.names() {
            directory = openat(&directory, name, DIRECTORY | OFlags::NOFOLLOW, Mode::empty())?;
        }
        Ok(directory)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// spec 5.4: neither way of going down follows a link
    #[test]
    fn no_link_leads_out() {
        let home = tempfile::tempdir().unwrap();
        let inside = home.path().join("in");
        std::fs::create_dir_all(inside.join("a/b")).unwrap();
        std::fs::create_dir(home.path().join("out")).unwrap();
        symlink("../out", inside.join("leads-out")).unwrap();
        symlink("a", inside.join("stays")).unwrap();
        let ground = Ground::open(&inside).unwrap();
        let path = |text: &str| RelPath::new(text.as_bytes()).unwrap();
        for (text, is_open) in [("a/b", true), ("leads-out", false), ("stays", false), ("stays/b", false)] {
            assert_eq!(ground.directory(Some(&path(text))).is_ok(), is_open, "{text}");
            assert_eq!(ground.descend(&path(text)).is_ok(), is_open, "{text}");
        }
    }
}
