//! What stood in the directory where something else was put, or that was removed: it lies aside until somebody has looked
//! whether it is what was meant to go. An operator may have made something else of it in the last moment, and that is nowhere
//! else (spec 5.3).

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use rustix::fs::{AtFlags, FileType, Stat, statat};

use super::diff::Change;
use super::path::RelPath;
use super::place::Job;
use super::scan::{Stamp, Stamps};
use super::tree::{Entry, MODE_BITS};
use crate::engine::base::Digest;
use crate::engine::order::FileKind;

/// First byte of the name of what was moved out without anything that took its place.
const MOVED: char = 'o';
/// Bits in a list: the digest of what was there follows, and that of what is to come.
const HAS_OLD: u8 = 1;
const HAS_NEW: u8 = 2;
/// Bytes of a digest.
const DIGEST_BYTES: usize = 32;

/// Something in the stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Displaced {
    /// Of the change; behind those, of the obstacle.
    index: usize,
    /// None: it has the name of the new file that took its place in the same step.
    moved: Option<usize>,
}

impl Displaced {
    /// By the new file of this change.
    pub(super) fn exchanged(index: usize) -> Self {
        Self { index, moved: None }
    }

    /// It made room; `count` is another one each time.
    pub(super) fn moved(index: usize, count: usize) -> Self {
        Self { index, moved: Some(count) }
    }

    /// In the stage.
    pub(super) fn name(self) -> String {
        self.moved.map_or_else(|| self.index.to_string(), |count| format!("{MOVED}{}-{count}", self.index))
    }

    /// From a name in the stage: which change or obstacle it belongs to.
    pub(super) fn index_of(name: &str) -> Option<usize> {
        let number = match name.strip_prefix(MOVED) {
            Some(rest) => rest.split_once('-')?.0,
            None => name,
        };
        number.parse().ok()
    }

    /// Where it stood, what should have stood there, and what was to come.
    pub(super) fn of<'a>(self, job: &Job<'a>) -> Option<(&'a RelPath, Option<Entry>, Option<Entry>)> {
        match job.ops.get(self.index) {
            Some(op) => Some((&op.path, op.old, op.new)),
            None => job.obstacles.get(self.index - job.ops.len()).map(|path| (path, None, None)),
        }
    }
}

/// What the file system said of each when it was looked at, as far as that is known.
pub(super) fn stamps_of(
    job: &Job<'_>,
    displaced: &[Displaced],
    known: &Stamps,
    read: &[(RelPath, Stamp)],
) -> Vec<Option<Stamp>> {
    let paths = || displaced.iter().map(|displaced| displaced.of(job).map(|(path, ..)| path));
    let wanted: BTreeSet<&RelPath> = paths().flatten().collect();
    let read: BTreeMap<&RelPath, Stamp> = read
        .iter()
        .filter(|(path, _)| !wanted.is_empty() && wanted.contains(path))
        .map(|(path, stamp)| (path, *stamp))
        .collect();
    let stamp = |path: &RelPath| read.get(path).or_else(|| known.get(path)).copied();
    paths().map(|path| path.and_then(stamp)).collect()
}

/// Those that are not seen at once to be what was looked at: name in the stage, where it stood, what was expected there, and what
/// was to come.
pub(super) fn suspects<'a>(
    job: &Job<'a>,
    displaced: &[Displaced],
    stamps: &[Option<Stamp>],
) -> Vec<(String, &'a RelPath, Option<Entry>, Option<Entry>)> {
    let mut suspects = Vec::new();
    for (displaced, stamp) in displaced.iter().zip(stamps) {
        let (name, Some((path, old, new))) = (displaced.name(), displaced.of(job)) else { continue };
        // Only ever missing.
        let Ok(stat) = statat(job.staged.fd(), name.as_str(), AtFlags::SYMLINK_NOFOLLOW) else { continue };
        if !is_as_stamped(&stat, old, *stamp) {
            suspects.push((name, path, old, new));
        }
    }
    suspects
}

/// The time of the last change of anything says nothing: the move itself is one.
fn is_as_stamped(stat: &Stat, old: Option<Entry>, stamp: Option<Stamp>) -> bool {
    let (Some(old), Some(stamp)) = (old, stamp) else { return false };
    let now = Stamp::of(stat, 0);
    FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
        && old.kind == FileKind::File
        && stat.st_mode & MODE_BITS == old.mode
        && (now.size, now.mtime_ns, now.inode) == (stamp.size, stamp.mtime_ns, stamp.inode)
}

/// What a number in a stage that was left stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Expected {
    pub(super) path: RelPath,
    pub(super) old: Option<Digest>,
    pub(super) new: Option<Digest>,
}

/// Each change, then each obstacle, in a form that costs little: there may be a hundred thousand.
pub(super) fn write_list(to: &mut impl Write, ops: &[Change], obstacles: &[RelPath]) -> io::Result<()> {
    let ops = ops.iter().map(|op| (&op.path, op.old, op.new));
    for (path, old, new) in ops.chain(obstacles.iter().map(|path| (path, None, None))) {
        let length = u16::try_from(path.as_bytes().len()).map_err(io::Error::other)?;
        let flags = if old.is_some() { HAS_OLD } else { 0 } | if new.is_some() { HAS_NEW } else { 0 };
        to.write_all(&length.to_le_bytes())?;
        to.write_all(path.as_bytes())?;
        to.write_all(&[flags])?;
        for entry in [old, new].into_iter().flatten() {
            to.write_all(&entry.digest.0)?;
        }
    }
    Ok(())
}

/// As [`write_list`] wrote it, as far as it was written.
pub(super) fn listed(bytes: &[u8]) -> Vec<Expected> {
    let (mut list, mut rest) = (Vec::new(), bytes);
    while let Some(expected) = next_listed(&mut rest) {
        list.push(expected);
    }
    list
}

fn next_listed(rest: &mut &[u8]) -> Option<Expected> {
    let mut take = |count: usize| -> Option<&[u8]> {
        let (part, after) = rest.split_at_checked(count)?;
        *rest = after;
        Some(part)
    };
    let length = u16::from_le_bytes(take(2)?.try_into().ok()?);
    let path = RelPath::new(take(usize::from(length))?).ok()?;
    let flags = *take(1)?.first()?;
    let mut digest = |bit: u8| -> Option<Option<Digest>> {
        if flags & bit == 0 {
            return Some(None);
        }
        take(DIGEST_BYTES)?.try_into().ok().map(|bytes| Some(Digest(bytes)))
    };
    Some(Expected { path, old: digest(HAS_OLD)?, new: digest(HAS_NEW)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// spec 5.3: what is displaced is known by its name after a death, also where the list ends early.
    #[test]
    fn a_list_is_read_as_far_as_it_was_written() {
        let path = |text: &str| RelPath::new(text.as_bytes()).unwrap();
        let entry = |byte: u8| Some(Entry::file(0o644, 1, Digest([byte; 32])));
        let ops = [
            Change { path: path("a"), old: entry(1), new: entry(2) },
            Change { path: path("d/b"), old: None, new: entry(3) },
            Change { path: path("c"), old: entry(4), new: None },
        ];
        let mut bytes = Vec::new();
        write_list(&mut bytes, &ops, &[path("pipe")]).unwrap();
        let all = listed(&bytes);
        assert_eq!(all.len(), 4);
        assert_eq!((all[0].old, all[0].new), (Some(Digest([1; 32])), Some(Digest([2; 32]))));
        assert_eq!((&all[1].path, all[1].old, all[3].new), (&path("d/b"), None, None));
        for end in 0..bytes.len() {
            assert!(all.starts_with(&listed(&bytes[..end])), "{end}");
        }
        for displaced in [Displaced::exchanged(7), Displaced::moved(7, 3)] {
            assert_eq!(Displaced::index_of(&displaced.name()), Some(7));
        }
        assert_eq!(Displaced::index_of(".standin-list"), None);
    }
}
