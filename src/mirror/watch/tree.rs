//! The watches on the directory and all directories inside it, and what they tell.

use std::collections::BTreeMap;
use std::mem::MaybeUninit;
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::fs::inotify::{self, ReadFlags, Reader, WatchFlags};
use rustix::fs::{AtFlags, CWD, FileType, statat};
use rustix::io::Errno;

use super::Dirty;
use crate::mirror::exclude::{Exclude, is_own, is_temporary, never_mirrored};
use crate::mirror::path::RelPath;
use crate::mirror::scan::ENTRIES_MAX;

/// Changes of content, attributes and names, of directories alone. Opening, reading and closing what was read wake nobody.
const WANTED: WatchFlags = WatchFlags::ATTRIB
    .union(WatchFlags::CLOSE_WRITE)
    .union(WatchFlags::CREATE)
    .union(WatchFlags::DELETE)
    .union(WatchFlags::DELETE_SELF)
    .union(WatchFlags::MODIFY)
    .union(WatchFlags::MOVED_FROM)
    .union(WatchFlags::MOVED_TO)
    .union(WatchFlags::MOVE_SELF)
    .union(WatchFlags::ONLYDIR)
    .union(WatchFlags::DONT_FOLLOW)
    .union(WatchFlags::EXCL_UNLINK);
/// Files that are written to at once and waited for; further ones are not.
const WRITING_MAX: usize = 1_000;
/// After so many events at once the rest counts as lost, so that a busy writer holds nobody up.
const EVENTS_AT_ONCE_MAX: usize = 100_000;
/// Many small events, or one with the longest name.
const BUFFER_BYTES: usize = 16 * 1024;

/// What reading the queue came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// Nothing that is mirrored.
    Nothing,
    /// Nothing that is mirrored, but somebody is at work: a temporary file that will be renamed.
    AtWork,
    /// Something changed.
    Changed,
    /// Events were lost.
    Lost,
    /// The watched directory has another name now, or is no more.
    Over,
    /// It is over.
    Failed(String),
}

pub(super) struct Watches {
    top: PathBuf,
    /// By number; none: the top.
    paths: BTreeMap<i32, Option<RelPath>>,
    /// The other way round.
    numbers: BTreeMap<Option<RelPath>, i32>,
    /// The operator's patterns.
    pub exclude: Arc<Exclude>,
    /// Files written to and not closed since, with the first and the last write.
    writing: BTreeMap<RelPath, (Instant, Instant)>,
}

impl Watches {
    pub fn new(top: &Path) -> Self {
        Self {
            top: top.to_owned(),
            paths: BTreeMap::new(),
            numbers: BTreeMap::new(),
            exclude: Arc::default(),
            writing: BTreeMap::new(),
        }
    }

    /// The directory as it was named.
    pub fn top(&self) -> &Path {
        &self.top
    }

    /// Which directory has the name of the top now: device and inode; none: there is none.
    pub fn identity(&self) -> Option<(u64, u64)> {
        let stat = statat(CWD, &self.top, AtFlags::empty()).ok()?;
        (FileType::from_raw_mode(stat.st_mode) == FileType::Directory).then_some((stat.st_dev, stat.st_ino))
    }

    /// Files written to less than `idle` ago and not closed since; and since when.
    pub fn writing(&mut self, idle: Duration) -> impl Iterator<Item = (&RelPath, Duration)> {
        self.writing.retain(|_, (_, last)| last.elapsed() < idle);
        self.writing.iter().map(|(path, (first, _))| (path, first.elapsed()))
    }

    /// Watches everything, from nothing; the error says why not.
    pub fn begin(&mut self, fd: BorrowedFd<'_>) -> Result<(), String> {
        self.release(fd);
        let added = self.add(fd, None);
        if added.is_err() {
            self.release(fd);
        }
        added?;
        if self.paths.is_empty() {
            return Err(format!("{} is not there", self.top.display()));
        }
        Ok(())
    }

    /// Watches nothing: what cannot watch everything must not take from others the watches that they need.
    pub fn release(&mut self, fd: BorrowedFd<'_>) {
        for number in std::mem::take(&mut self.paths).into_keys() {
            // Its directory may be gone, and the watch with it.
            let _ = inotify::remove_watch(fd, number);
        }
        self.numbers.clear();
        self.writing.clear();
    }

    /// A directory with all inside it. What vanishes meanwhile is told by its own directory.
    fn add(&mut self, fd: BorrowedFd<'_>, from: Option<RelPath>) -> Result<(), String> {
        let mut waiting = vec![from];
        while let Some(path) = waiting.pop() {
            let place = self.place(path.as_ref());
            // The top may be a link, as a deployment switches it; inside none is followed.
            let wanted = if path.is_some() { WANTED } else { WANTED.difference(WatchFlags::DONT_FOLLOW) };
            let number = match inotify::add_watch(fd, &place, wanted) {
                Ok(number) => number,
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => continue,
                // It is held back by the scan, which says so.
                Err(Errno::ACCESS) if path.is_some() => continue,
                // Longer than a path may be in one piece: what changes in it is found by the looks at everything alone.
                Err(Errno::NAMETOOLONG) if path.is_some() => continue,
                Err(Errno::NOSPC) => {
                    return Err(format!(
                        "the limit of watches is reached at {}: raise fs.inotify.max_user_watches",
                        place.display()
                    ));
                }
                Err(error) => return Err(format!("{}: {}", place.display(), std::io::Error::from(error))),
            };
            if self.paths.len() >= ENTRIES_MAX {
                return Err(format!("more than {ENTRIES_MAX} directories"));
            }
            if let Some(Some(old)) = self.paths.insert(number, path.clone()) {
                self.numbers.remove(&Some(old));
            }
            self.numbers.insert(path.clone(), number);
            let Ok(entries) = std::fs::read_dir(&place) else { continue };
            for entry in entries.flatten() {
                let name = entry.file_name();
                let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
                if is_directory && !is_own(name.as_bytes()) {
                    let child = RelPath::child(path.as_ref(), name.as_bytes()).ok();
                    waiting.extend(child.filter(|child| !self.exclude.covers(child, true)).map(Some));
                }
            }
        }
        Ok(())
    }

    fn place(&self, path: Option<&RelPath>) -> PathBuf {
        path.map_or_else(|| self.top.clone(), |path| self.top.join(std::ffi::OsStr::from_bytes(path.as_bytes())))
    }

    /// A directory that was moved away, with all inside it: where it went it is watched anew.
    fn forget(&mut self, fd: BorrowedFd<'_>, gone: &RelPath) {
        let inside: Vec<_> = self
            .numbers
            .range(Some(gone.clone())..)
            .take_while(|(path, _)| path.as_ref().is_some_and(|path| path.as_bytes().starts_with(gone.as_bytes())))
            .filter(|(path, _)| path.as_ref().is_some_and(|path| path.is_within(gone)))
            .map(|(path, number)| (path.clone(), *number))
            .collect();
        for (path, number) in inside {
            let _ = inotify::remove_watch(fd, number);
            self.numbers.remove(&path);
            self.paths.remove(&number);
        }
    }

    /// Reads all that is queued, and adds to `dirty` where to look.
    pub fn drain(&mut self, fd: BorrowedFd<'_>, dirty: &mut Dirty) -> Heard {
        let mut buffer = [MaybeUninit::uninit(); BUFFER_BYTES];
        let mut reader = Reader::new(fd, &mut buffer);
        let mut heard = Heard::Nothing;
        for _ in 0..EVENTS_AT_ONCE_MAX {
            let event = match reader.next() {
                Ok(event) => event,
                Err(Errno::WOULDBLOCK) => return heard,
                Err(Errno::INTR) => continue,
                Err(error) => return Heard::Failed(std::io::Error::from(error).to_string()),
            };
            let name = event.file_name().map(|name| name.to_bytes().to_vec());
            match self.event(fd, event.wd(), event.events(), name.as_deref(), dirty) {
                Heard::Nothing => {}
                Heard::AtWork => heard = if heard == Heard::Nothing { Heard::AtWork } else { heard },
                Heard::Changed => heard = if heard == Heard::Lost { heard } else { Heard::Changed },
                Heard::Lost => heard = Heard::Lost,
                over @ (Heard::Over | Heard::Failed(_)) => return over,
            }
        }
        Heard::Lost
    }

    fn event(
        &mut self,
        fd: BorrowedFd<'_>,
        number: i32,
        what: ReadFlags,
        name: Option<&[u8]>,
        dirty: &mut Dirty,
    ) -> Heard {
        if what.contains(ReadFlags::QUEUE_OVERFLOW) {
            return Heard::Lost;
        }
        let Some(directory) = self.paths.get(&number).cloned() else { return Heard::Nothing };
        let is_over = ReadFlags::IGNORED | ReadFlags::UNMOUNT | ReadFlags::DELETE_SELF | ReadFlags::MOVE_SELF;
        let Some(name) = name else {
            if !what.intersects(is_over) {
                // Its attributes: of the top they are not mirrored, of others their own directory tells.
                return Heard::Nothing;
            }
            if directory.is_none() {
                return Heard::Over;
            }
            if what.intersects(ReadFlags::IGNORED | ReadFlags::UNMOUNT) {
                self.paths.remove(&number);
                if self.numbers.get(&directory) == Some(&number) {
                    self.numbers.remove(&directory);
                }
            }
            return Heard::Nothing;
        };
        let is_directory = what.contains(ReadFlags::ISDIR);
        if never_mirrored(name, is_directory) {
            return if is_temporary(name) { Heard::AtWork } else { Heard::Nothing };
        }
        let Ok(path) = RelPath::child(directory.as_ref(), name) else {
            // A name that cannot be mirrored: the scan of its directory says so.
            match directory {
                Some(directory) => dirty.add(directory, true),
                None => *dirty = Dirty::all(),
            }
            return Heard::Changed;
        };
        if self.exclude.covers(&path, is_directory) {
            return Heard::Nothing;
        }
        self.follow_writer(&path, what);
        let is_named =
            what.intersects(ReadFlags::CREATE | ReadFlags::DELETE | ReadFlags::MOVED_FROM | ReadFlags::MOVED_TO);
        if is_directory && what.contains(ReadFlags::MOVED_FROM) {
            self.forget(fd, &path);
        }
        // Not only of directories: a directory that took a file's place may have been told as the file. Attributes of a
        // directory may let it be read at last.
        dirty.add(path.clone(), is_named || is_directory);
        let may_hold_more = what.intersects(ReadFlags::CREATE | ReadFlags::MOVED_TO | ReadFlags::ATTRIB);
        if is_directory
            && may_hold_more
            && let Err(why) = self.add(fd, Some(path))
        {
            return Heard::Failed(why);
        }
        Heard::Changed
    }

    /// An empty file that has one name was made by who opened it, and may not have begun to write. A link, a further name of a
    /// file and what is renamed into place are never closed, and not waited for.
    fn is_just_made(&self, path: &RelPath) -> bool {
        statat(CWD, self.place(Some(path)), AtFlags::SYMLINK_NOFOLLOW).is_ok_and(|stat| {
            FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile && stat.st_nlink == 1 && stat.st_size == 0
        })
    }

    /// Who writes, or is about to, has the file open until it is closed.
    fn follow_writer(&mut self, path: &RelPath, what: ReadFlags) {
        if what.contains(ReadFlags::ISDIR) {
            if what.intersects(ReadFlags::MOVED_FROM | ReadFlags::DELETE) {
                self.writing.retain(|inside, _| !inside.is_within(path));
            }
        } else if what.contains(ReadFlags::MODIFY) || (what.contains(ReadFlags::CREATE) && self.is_just_made(path)) {
            if self.writing.len() < WRITING_MAX || self.writing.contains_key(path) {
                let now = Instant::now();
                self.writing.entry(path.clone()).or_insert((now, now)).1 = now;
            }
        } else if !what.intersects(ReadFlags::ATTRIB) {
            // Closed, or another file has the name now.
            self.writing.remove(path);
        }
    }
}
