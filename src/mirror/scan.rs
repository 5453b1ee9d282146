//! Reads the directory and says how it differs from a known tree.
//!
//! A fast scan trusts size, times and inode of a file read before, unless the file was so young then that it may have
//! changed since without a new time (spec 5.2: an edit of the same size within the same second is noticed). A full scan
//! reads every byte (spec 5.7). What cannot be mirrored is held back and named, and all else goes on (spec 5.4).

mod back;
mod read;
mod seen;

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat, openat, readlinkat, statat};
use rustix::io::Errno;

pub(super) use self::back::{read_all, read_back};
use self::read::{Stable, Unread, read_stable};
use self::seen::Seen;
use super::accounts::Belongs;
use super::content::Content;
use super::diff::Change;
use super::exclude::{Exclude, is_left_out, is_own, never_mirrored};
use super::ground::Ground;
use super::path::{RelPath, link_stays_inside, shown};
use super::tree::{Child, Entry, LINK_MODE, Node, Tree};
use crate::engine::base::{Digest, Problem};
use crate::engine::order::FileKind;

/// Most entries of a configuration.
pub const ENTRIES_MAX: usize = 1_000_000;
/// A file must have been left alone for so long before it was read, or its times are not trusted: the coarsest clock of a
/// file system in use, 2 s.
pub const SETTLED_AFTER_MS: u64 = 2_000;
const SETTLED_AFTER_NS: i64 = 2_000_000_000;
/// A file that is written to for so long is told to be held back.
const WRITING_HELD_AFTER: Duration = Duration::from_secs(30);

/// What the file system said about a file when its content was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Bytes.
    pub size: u64,
    /// Time of the last change of content, ns since 1970.
    pub mtime_ns: i64,
    /// Time of the last change of anything, ns since 1970; cannot be set by a program.
    pub ctime_ns: i64,
    /// Number of the inode.
    pub inode: u64,
    /// It was old enough to be trusted.
    pub is_settled: bool,
}

impl Stamp {
    /// Of a file; `now_ns` is a moment before its content was read.
    pub(super) fn of(stat: &Stat, now_ns: i64) -> Self {
        let nanoseconds = |seconds: i64, rest: i64| seconds.saturating_mul(1_000_000_000).saturating_add(rest);
        let mtime_ns = nanoseconds(stat.st_mtime, i64::try_from(stat.st_mtime_nsec).unwrap_or(0));
        let ctime_ns = nanoseconds(stat.st_ctime, i64::try_from(stat.st_ctime_nsec).unwrap_or(0));
        let size = u64::try_from(stat.st_size).unwrap_or(0);
        let stamp = Self { size, mtime_ns, ctime_ns, inode: stat.st_ino, is_settled: false };
        Self { is_settled: stamp.is_old(now_ns), ..stamp }
    }

    /// Its file was left alone long enough before `now_ns`.
    pub(super) fn is_old(&self, now_ns: i64) -> bool {
        self.mtime_ns.max(self.ctime_ns).saturating_add(SETTLED_AFTER_NS) < now_ns
    }

    fn is_same_file(&self, other: &Self) -> bool {
        Self { is_settled: true, ..*self } == Self { is_settled: true, ..*other }
    }
}

/// Stamps by path.
pub type Stamps = BTreeMap<RelPath, Stamp>;

/// Something that is not mirrored, and why (spec 5.4).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// For people, relative to the directory.
    pub path: String,
    /// For people.
    pub why: String,
    /// Where in the file, from 1; none: it is not about a line.
    pub line: Option<u64>,
    /// The path; none where it is none that can be mirrored.
    pub at: Option<RelPath>,
    /// It has no content that could be lost: a pipe, a socket, a device.
    pub is_worthless: bool,
    /// The operator's validation command rejected it, together with all else that changed.
    pub is_rejected: bool,
}

/// Why a sink holds a content back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HoldBack {
    /// For people.
    pub why: String,
    /// Where, from 1.
    pub line: Option<u64>,
}

impl From<String> for HoldBack {
    fn from(why: String) -> Self {
        Self { why, line: None }
    }
}

/// Takes the content of a file or link that is not as known; `Some`: hold it back, for this reason.
pub type Sink<'a> = dyn FnMut(&RelPath, Option<Entry>, Digest, Content) -> Result<Option<HoldBack>, Problem> + 'a;

/// What a scan passes over.
#[derive(Clone, Copy, Debug, Default)]
pub struct Leaves<'a> {
    /// The operator's patterns.
    pub exclude: Option<&'a Exclude>,
    /// Paths of these trees are looked at all the same: what the master mirrors is never left alone on a shadow.
    pub but: [Option<&'a Tree>; 2],
    /// Files that are being written to, and for how long: they stay as known.
    pub writing: Option<&'a BTreeMap<RelPath, Duration>>,
}

impl Leaves<'_> {
    /// Everything is looked at.
    pub const NOTHING: Self = Self { exclude: None, but: [None, None], writing: None };

    /// Whether `path` is left out, by its name or by pattern.
    fn out(&self, path: &RelPath, is_directory: bool) -> bool {
        let is_covered = || self.exclude.is_some_and(|exclude| exclude.covers(path, is_directory));
        (never_mirrored(path.name(), is_directory) || is_covered())
            && self.but.iter().flatten().all(|tree| tree.get(path).is_none())
    }
}

/// How to scan.
#[derive(Clone, Copy, Debug)]
pub struct Manner<'a> {
    /// Read every byte, whatever the stamps say.
    pub is_full: bool,
    /// What is held back stays in the tree as known. Otherwise the tree is what is really there.
    pub keeps_held: bool,
    /// Larger files are held back.
    pub file_size_limit: u64,
    /// What it passes over.
    pub leaves: Leaves<'a>,
    /// Whether and how owners are looked at.
    pub owners: Belongs<'a>,
}

/// What a scan found.
#[derive(Debug)]
pub struct Found {
    /// The directory as it is.
    pub tree: Tree,
    /// From the known tree to it.
    pub changes: Vec<Change>,
    /// Of all files that were read.
    pub stamps: Vec<(RelPath, Stamp)>,
    /// What is not in it.
    pub held: Vec<Held>,
    /// Files that are being written to, and stayed as known.
    pub postponed: Vec<RelPath>,
    /// Files read.
    pub read: u64,
}

impl Found {
    /// What cannot be kept, is worth nothing, and is in the way.
    pub(super) fn obstacles(&self) -> Vec<RelPath> {
        self.held.iter().filter(|held| held.is_worthless).filter_map(|held| held.at.clone()).collect()
    }

    /// Nothing that is worth something stands where it would be replaced and cannot be kept (spec 5.3).
    ///
    /// # Errors
    /// The first that does.
    pub(super) fn all_can_be_kept(&self) -> Result<(), Problem> {
        let Some(held) = self.held.iter().find(|held| !held.is_worthless) else { return Ok(()) };
        // Of a path it is said what it is: `the path is …`, of a file what it does.
        let subject = if held.why.starts_with("the ") || held.why.starts_with("a ") { "" } else { "it " };
        let why = format!("it cannot be kept: {subject}{}", held.why);
        Err(Problem::new(format!("cannot replace {}", held.path), why, "move it out of the directory"))
    }
}

/// Scans the whole directory.
pub(super) fn scan(
    ground: &Ground,
    known: &Tree,
    stamps: &Stamps,
    manner: Manner<'_>,
    sink: &mut Sink<'_>,
) -> Result<Found, Problem> {
    let mut scanner = Scanner::new(known, stamps, manner, sink);
    scanner.walk(ground.top(), None, Some(&known.top))?;
    scanner.found()
}

/// Looks only at `paths`; where `is_deep` says so, at all inside it too. The rest is taken as known.
pub(super) fn look_at<'p>(
    ground: &Ground,
    known: &Tree,
    stamps: &Stamps,
    manner: Manner<'_>,
    paths: impl Iterator<Item = (&'p RelPath, bool)>,
    sink: &mut Sink<'_>,
) -> Result<Found, Problem> {
    let mut scanner = Scanner::new(known, stamps, manner, sink);
    let paths: Vec<_> = paths.collect();
    scanner.look_at(ground, paths.iter().copied())?;
    // The other names of a file that has several: the system tells of a write by the name it was made through alone.
    let others: Vec<RelPath> = if scanner.linked.is_empty() {
        Vec::new()
    } else {
        let seen: BTreeSet<&RelPath> = paths.iter().map(|(path, _)| *path).collect();
        let is_other =
            |(path, stamp): &(&RelPath, &Stamp)| scanner.linked.contains(&stamp.inode) && !seen.contains(path);
        stamps.iter().filter(is_other).map(|(path, _)| path.clone()).collect()
    };
    scanner.look_at(ground, others.iter().map(|path| (path, false)))?;
    scanner.found()
}

struct Scanner<'a, 's> {
    known: &'a Tree,
    stamps: &'a Stamps,
    manner: Manner<'a>,
    sink: &'a mut Sink<'s>,
    is_shallow: bool,
    /// Hears the bytes of each file, and what is read is not waited for: see [`read_back`].
    heard: Option<&'a (dyn Fn(u64) + Sync)>,
    keeps_stamps: bool,
    now_ns: i64,
    entries: usize,
    seen: Seen,
    /// Inodes of files read that have more than one name.
    linked: BTreeSet<u64>,
}

impl<'a, 's> Scanner<'a, 's> {
    fn new(known: &'a Tree, stamps: &'a Stamps, manner: Manner<'a>, sink: &'a mut Sink<'s>) -> Self {
        Self {
            known,
            stamps,
            manner,
            sink,
            is_shallow: false,
            heard: None,
            keeps_stamps: true,
            now_ns: now_ns(),
            entries: 0,
            seen: Seen::default(),
            linked: BTreeSet::new(),
        }
    }

    fn found(self) -> Result<Found, Problem> {
        self.seen.found(self.known, true)
    }

    /// Only at `paths`.
    fn look_at<'p>(
        &mut self,
        ground: &Ground,
        paths: impl Iterator<Item = (&'p RelPath, bool)>,
    ) -> Result<(), Problem> {
        let known = self.known;
        // Neighbours are in the same directory, which is opened once for them.
        let mut last: Option<(Option<RelPath>, OwnedFd)> = None;
        for (path, is_deep) in paths {
            self.is_shallow = !is_deep;
            let parent = path.parent();
            if last.as_ref().is_none_or(|(open, _)| *open != parent) {
                last = match ground.directory(parent.as_ref()) {
                    Ok(fd) => Some((parent, fd)),
                    Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => None,
                    Err(error) => return Err(unreadable(&path.to_string(), error)),
                };
            }
            let is_there = match &last {
                Some((_, parent)) => self.look(parent.as_fd(), path, known.child(path))?,
                None => false,
            };
            if !is_there && known.get(path).is_some() {
                self.seen.edits.push((path.clone(), None));
            }
        }
        Ok(())
    }

    fn walk(&mut self, fd: BorrowedFd<'_>, path: Option<&RelPath>, node: Option<&Arc<Node>>) -> Result<(), Problem> {
        let names = match names_in(fd) {
            Ok(names) => names,
            Err(error) => match path {
                None => return Err(unreadable("the configuration directory", error)),
                Some(path) => {
                    self.hold_known(path, &format!("the directory cannot be read: {}", plain(error)));
                    return Ok(());
                }
            },
        };
        let known = |name: &[u8]| node.and_then(|node| node.children.get(name));
        let mut seen = BTreeSet::new();
        for name in names {
            self.entries += 1;
            if self.entries > ENTRIES_MAX {
                return Err(Problem::new(
                    "cannot mirror the configuration directory",
                    format!("it has more than {ENTRIES_MAX} entries"),
                    "name a smaller directory in the settings",
                ));
            }
            match RelPath::child(path, &name) {
                // Too long or too deep to be looked at closely: an editor's file is not told of.
                Err(_) if is_left_out(&name) => {}
                Err(why) => {
                    let mut shown_path = path.map_or(String::new(), |path| format!("{path}/"));
                    shown_path.push_str(&shown(&name));
                    self.seen.held.push(Held { path: shown_path, why: why.into(), ..Held::default() });
                }
                Ok(child) => {
                    if self.look(fd, &child, known(&name))? {
                        seen.insert(name);
                    }
                }
            }
        }
        for name in node.iter().flat_map(|node| node.children.keys()).filter(|name| !seen.contains(&***name)) {
            // Names came out of a checked path at the same depth, so that this never fails.
            let Ok(child) = RelPath::child(path, name) else { continue };
            self.seen.edits.push((child, None));
        }
        Ok(())
    }

    /// Looks at one path; false: it is not there (or counts as such).
    fn look(&mut self, parent: BorrowedFd<'_>, path: &RelPath, known: Option<&Child>) -> Result<bool, Problem> {
        let stat = match statat(parent, path.name(), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => return Ok(false),
            Err(error) => return Ok(self.hold(path, format!("cannot be read: {}", plain(error)))),
        };
        let entry = known.map(Child::entry);
        let kind = FileType::from_raw_mode(stat.st_mode);
        if self.manner.leaves.out(path, kind == FileType::Directory) {
            return Ok(false);
        }
        match kind {
            FileType::Directory => self.look_at_directory(parent, path, &stat, known),
            FileType::RegularFile => self.look_at_file(parent, path, &stat, entry),
            FileType::Symlink => self.look_at_link(parent, path, &stat, entry),
            other => {
                let what = match other {
                    FileType::Fifo => "a pipe",
                    FileType::Socket => "a socket",
                    FileType::CharacterDevice | FileType::BlockDevice => "a device",
                    _ => "of a kind that is unknown",
                };
                let keeps = self.hold(path, format!("is {what}: only files, directories and links are mirrored"));
                if let Some(held) = self.seen.held.last_mut() {
                    held.is_worthless = true;
                }
                Ok(keeps)
            }
        }
    }

    fn look_at_directory(
        &mut self,
        parent: BorrowedFd<'_>,
        path: &RelPath,
        stat: &Stat,
        known: Option<&Child>,
    ) -> Result<bool, Problem> {
        let fd = match openat(
            parent,
            path.name(),
            OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC,
            Mode::empty(),
        ) {
            Ok(fd) => fd,
            Err(Errno::NOENT) => return Ok(false),
            Err(error) => return Ok(self.hold(path, format!("the directory cannot be read: {}", plain(error)))),
        };
        match self.owned(Entry::directory(stat.st_mode), path, known.map(Child::entry), stat) {
            Ok(entry) => self.edit(path, known.map(Child::entry), entry),
            Err(why) => return Ok(self.hold(path, why)),
        }
        let node = known.and_then(Child::node);
        if !self.is_shallow {
            self.walk(fd.as_fd(), Some(path), node)?;
        }
        Ok(true)
    }

    fn look_at_link(
        &mut self,
        parent: BorrowedFd<'_>,
        path: &RelPath,
        stat: &Stat,
        known: Option<Entry>,
    ) -> Result<bool, Problem> {
        let target = match readlinkat(parent, path.name(), Vec::new()) {
            Ok(target) => target.into_bytes(),
            Err(Errno::NOENT) => return Ok(false),
            Err(error) => return Ok(self.hold(path, format!("the link cannot be read: {}", plain(error)))),
        };
        if self.manner.keeps_held && !link_stays_inside(path, &target) {
            let why = format!("the link leads out of the directory, or goes up in its middle: {}", shown(&target));
            return Ok(self.hold(path, why));
        }
        match self.owned(Entry::link(&target), path, known, stat) {
            Ok(entry) => self.take(path, known, entry, Content::Memory(target)),
            Err(why) => Ok(self.hold(path, why)),
        }
    }

    fn look_at_file(
        &mut self,
        parent: BorrowedFd<'_>,
        path: &RelPath,
        stat: &Stat,
        known: Option<Entry>,
    ) -> Result<bool, Problem> {
        let stamp = Stamp::of(stat, self.now_ns);
        if let (false, Some(known), Some(trusted)) = (self.manner.is_full, known, self.stamps.get(path))
            && known.kind == FileKind::File
            && trusted.is_settled
            && trusted.is_same_file(&stamp)
            && self.written_for(path).is_none()
        {
            let entry = Entry::file(stat.st_mode, known.size, known.digest);
            return match self.owned(entry, path, Some(known), stat) {
                Ok(entry) => {
                    self.edit(path, Some(known), entry);
                    Ok(true)
                }
                Err(why) => Ok(self.hold(path, why)),
            };
        }
        if let Some(since) = self.written_for(path) {
            self.seen.postponed.push(path.clone());
            if since >= WRITING_HELD_AFTER {
                let why =
                    format!("is open and has been written to for {} s; it is taken up when that ends", since.as_secs());
                self.hold(path, why);
            }
            return Ok(true);
        }
        let Stable { content, digest, stat } =
            match read_stable(parent, path.name(), self.manner.file_size_limit, self.heard.is_none()) {
                Ok(read) => read,
                Err(Unread::Gone) => return Ok(false),
                Err(Unread::Because(why)) => return Ok(self.hold(path, why)),
            };
        self.seen.read += 1;
        if stat.st_nlink > 1 {
            self.linked.insert(stat.st_ino);
        }
        let entry = Entry::file(stat.st_mode, content.size(), digest);
        let entry = match self.owned(entry, path, known, &stat) {
            Ok(entry) => entry,
            Err(why) => return Ok(self.hold(path, why)),
        };
        if self.keeps_stamps && (self.heard.is_none() || !read::is_young(&stat)) {
            self.seen.stamps.push((path.clone(), Stamp::of(&stat, self.now_ns)));
        }
        self.take(path, known, entry, content)
    }

    /// A content was read: if it is not as known, the sink decides.
    fn take(&mut self, path: &RelPath, known: Option<Entry>, entry: Entry, content: Content) -> Result<bool, Problem> {
        debug_assert!(entry.kind != FileKind::Link || entry.mode == LINK_MODE);
        if let Some(heard) = self.heard {
            heard(entry.size);
        }
        if known.is_none_or(|known| known.digest != entry.digest || known.kind != entry.kind)
            && let Some(HoldBack { why, line }) = (self.sink)(path, known, entry.digest, content)?
        {
            self.seen.stamps.pop_if(|(stamped, _)| stamped == path);
            let counts = self.hold(path, why);
            if let Some(held) = self.seen.held.last_mut() {
                held.line = line;
            }
            return Ok(counts);
        }
        self.edit(path, known, entry);
        Ok(true)
    }

    /// `entry` with its owners, or why it cannot have them.
    fn owned(&self, entry: Entry, path: &RelPath, known: Option<Entry>, stat: &Stat) -> Result<Entry, String> {
        self.manner.owners.of(entry, path, known, stat).map_err(str::to_owned)
    }

    fn written_for(&self, path: &RelPath) -> Option<Duration> {
        self.manner.leaves.writing?.get(path).copied()
    }

    fn edit(&mut self, path: &RelPath, known: Option<Entry>, entry: Entry) {
        if known != Some(entry) {
            self.seen.edits.push((path.clone(), Some(entry)));
        }
    }

    /// Holds it back; says whether it counts as there.
    fn hold(&mut self, path: &RelPath, why: String) -> bool {
        self.seen.held.push(Held { path: path.to_string(), why, at: Some(path.clone()), ..Held::default() });
        self.manner.keeps_held
    }

    /// A directory that was noted already turns out to be unreadable: all inside stays as known.
    fn hold_known(&mut self, path: &RelPath, why: &str) {
        self.hold(path, why.into());
        if !self.manner.keeps_held {
            self.seen.edits.push((path.clone(), None));
        }
    }
}

fn names_in(fd: BorrowedFd<'_>) -> rustix::io::Result<Vec<Vec<u8>>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(fd)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." && !is_own(name) && names.len() <= ENTRIES_MAX {
            names.push(name.to_vec());
        }
    }
    // In the order of paths, so that a scan of the same directory says the same.
    names.sort_unstable();
    Ok(names)
}

/// Wall clock, ns since 1970.
pub(super) fn now_ns() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

/// What the system says, without its number.
pub(super) fn plain(error: Errno) -> String {
    let text = std::io::Error::from(error).to_string();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}

fn unreadable(what: &str, error: Errno) -> Problem {
    Problem::new(
        format!("cannot read {what}"),
        plain(error),
        "check that it exists and belongs to the user that runs Standin",
    )
}

fn vanished(path: &RelPath) -> Problem {
    Problem::new(format!("cannot read {path}"), "its directory changed while it was read", "try again")
}

#[cfg(test)]
mod tests;
