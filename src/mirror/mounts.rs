//! What is mounted inside the mirrored directory (spec 5.3): nothing can be moved there in one step, and the watches of a
//! directory tell nothing of a mount placed on it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{AtFlags, StatxAttributes, StatxFlags, statx};

use super::diff::Change;
use super::ground::Ground;
use super::path::RelPath;
use crate::engine::base::Problem;
use crate::engine::order::FileKind;

/// Mounts of this process; a descriptor of it tells when they change.
const TABLE: &str = "/proc/self/mountinfo";
/// In a line of it: number of the mount,
const NUMBER: usize = 0;
/// and where it is.
const POINT: usize = 4;

/// Mounts inside a directory, each with its number: the same place may get another one.
pub(super) type Mounts = BTreeSet<(RelPath, u64)>;

/// Tells when any mount of the system changes.
pub(super) struct Bell(Option<File>);

impl Bell {
    /// Without `/proc` it never tells anything.
    pub(super) fn new() -> Self {
        Self(File::open(TABLE).ok())
    }

    /// To be polled for `POLLPRI`.
    pub(super) fn file(&self) -> Option<&File> {
        self.0.as_ref()
    }
}

/// What is mounted inside `directory`, which may be a link; nothing where the system does not say.
pub(super) fn inside(directory: &Path) -> Mounts {
    let Ok(top) = fs::canonicalize(directory) else { return Mounts::new() };
    fs::read(TABLE).map(|table| listed(&table, &top)).unwrap_or_default()
}

fn listed(table: &[u8], top: &Path) -> Mounts {
    let mounted = |line: &[u8]| {
        let fields: Vec<&[u8]> = line.splitn(POINT + 2, |byte| *byte == b' ').collect();
        let number = std::str::from_utf8(fields.get(NUMBER)?).ok()?.parse().ok()?;
        let point = unescaped(fields.get(POINT)?);
        let rest = point.strip_prefix(top.as_os_str().as_bytes())?.strip_prefix(b"/")?;
        Some((RelPath::new(rest).ok()?, number))
    };
    table.split(|byte| *byte == b'\n').filter_map(mounted).collect()
}

/// Blanks and backslashes are written as `\040`.
fn unescaped(field: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, tail)) = rest.split_first() {
        let code = tail.get(..3).filter(|_| *first == b'\\').and_then(|code| std::str::from_utf8(code).ok());
        match code.and_then(|code| u8::from_str_radix(code, 8).ok()) {
            Some(byte) => {
                plain.push(byte);
                rest = &tail[3..];
            }
            None => {
                plain.push(*first);
                rest = tail;
            }
        }
    }
    plain
}

impl Ground {
    /// Where something is mounted that is not excluded, and that can be seen.
    fn mounts(&self, directory: &Path) -> Vec<RelPath> {
        let mut paths: Vec<RelPath> = inside(directory).into_iter().map(|(path, _)| path).collect();
        paths.dedup();
        paths.retain(|path| !self.exclude().covers(path, true) && self.is_mount(path));
        paths
    }

    /// Nothing of `ops` needs a move across a mount.
    ///
    /// # Errors
    /// Names the place, and what to do.
    pub(super) fn no_mount_in_the_way(&self, directory: &Path, ops: &[Change]) -> Result<(), Problem> {
        match self.behind_mounts(directory, ops).into_iter().next() {
            Some((path, why)) => Err(Problem::new(format!("cannot change {path}"), why, "or exclude it on both sides")),
            None => Ok(()),
        }
    }

    /// Paths of `ops` that need a move across a mount, each with the reason and what to do.
    pub(super) fn behind_mounts(&self, directory: &Path, ops: &[Change]) -> BTreeMap<RelPath, String> {
        let mounts = if ops.is_empty() { Vec::new() } else { self.mounts(directory) };
        ops.iter().filter_map(|op| Some((op.path.clone(), in_the_way(&mounts, op)?))).collect()
    }

    /// It may be hidden by a later one. A system that does not say is believed to show it.
    fn is_mount(&self, path: &RelPath) -> bool {
        let about = statx(self.top(), path.as_bytes(), AtFlags::SYMLINK_NOFOLLOW, StatxFlags::TYPE);
        about.is_ok_and(|about| {
            let is_told = about.stx_attributes_mask.contains(StatxAttributes::MOUNT_ROOT);
            !is_told || about.stx_attributes.contains(StatxAttributes::MOUNT_ROOT)
        })
    }
}

/// Why `op` cannot be done with these mounts: it is behind one, or is a directory with one in it that would go (spec 5.3).
fn in_the_way(mounts: &[RelPath], op: &Change) -> Option<String> {
    let was_directory = op.old.is_some_and(|old| old.kind == FileKind::Directory);
    let goes = was_directory && op.new.is_none_or(|new| new.kind != FileKind::Directory);
    let mount = mounts.iter().find(|mount| op.path.is_within(mount) || (goes && mount.is_within(&op.path)))?;
    Some(format!(
        "on {mount} something is mounted, inside the configuration directory: nothing can be moved there in one step; unmount {mount} on this machine"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// spec 5.3: mounts inside are found by their whole names, blanks among them; the top and its neighbours are none
    #[test]
    fn mounts_inside_are_found() {
        let table = b"21 1 8:1 / / rw - ext4 /dev/sda rw\n22 21 0:5 / /etc/x rw shared:1 - tmpfs t rw\n\
            23 22 0:6 / /etc/x/a\\040b/c rw - tmpfs t rw\n24 22 0:7 /y /etc/xy rw - ext4 /dev/sda rw\nbroken\n";
        let found: Vec<_> = listed(table, Path::new("/etc/x")).into_iter().collect();
        assert_eq!(found, [(RelPath::new(b"a b/c").unwrap(), 23)]);
        assert_eq!(unescaped(br"a\134\04"), br"a\\04");
    }
}
