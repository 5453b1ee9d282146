//! Knows what may have changed in the directory, and tells when (spec 5.2). When to look is the caller's: see
//! [`super::quiet::Quiet`].
//!
//! The kernel queues an event in the call that makes the change. So a queue that was read empty says that nothing has
//! changed but what it told, and a look at the directory costs only what changed: also that of a takeover (spec 7.3).
//! Readers are not listened to. Not told are writes through a memory map or another link of a file; who cares looks at
//! everything now and then.

mod dirty;
mod tree;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{inotify, statfs};
use rustix::io::Errno;

pub use self::dirty::Dirty;
use self::tree::{Heard, Watches};
use super::exclude::Exclude;
use super::mounts::{self, Bell, Mounts};
use super::path::RelPath;
use crate::engine::base::Problem;

/// One that cannot watch tries again so often, and has everything looked at.
const AGAIN_S: i64 = 10;
/// Whether the directory is there, and still the same one, is looked at so often: its name, not what is inside.
const LOOK_AROUND_S: i64 = 2;
/// Bytes that wake the thread, read at once.
const WAKES_AT_ONCE: usize = 64;
/// File systems whose changes may be made on another machine, which the kernel is not told of: NFS, SMB, CIFS, SMB2, FUSE,
/// 9P, Ceph, AFS, VirtualBox.
const REMOTE: [u32; 9] =
    [0x6969, 0x517b, 0xff53_4d42, 0xfe53_4d42, 0x6573_5546, 0x0102_1997, 0x00c3_6400, 0x5346_414f, 0x786f_4256];

/// What the watcher tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WatchEvent {
    /// Something changed.
    Changed,
    /// Nothing that is mirrored changed, but somebody is at work in the directory.
    AtWork,
    /// Changes were lost: everything has to be looked at.
    NeedRescan,
    /// It cannot watch; everything has to be looked at now and then, which it says by [`Self::Changed`].
    Failed(String),
    /// The directory is not there. When it is back, [`Self::Replaced`] says so.
    Gone(String),
    /// Another directory has its name now, or the same one again: everything has to be looked at.
    Replaced(String),
    /// It watches again.
    Recovered,
}

/// What waits to be looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pending {
    /// So many paths, [`usize::MAX`] for everything.
    pub paths: usize,
    /// A file among them is open and being written to.
    pub is_being_written: bool,
}

/// Watches until dropped, in a thread of its own.
pub struct Watcher {
    shared: Arc<Shared>,
    /// A byte wakes the thread; closed by the drop, which ends it.
    end: UnixStream,
}

struct Shared {
    fd: OwnedFd,
    state: Mutex<State>,
    /// New patterns, not yet followed.
    exclude: Mutex<Option<Arc<Exclude>>>,
}

struct State {
    watches: Watches,
    dirty: Dirty,
    sight: Sight,
    /// Which directory is watched: device and inode.
    identity: Option<(u64, u64)>,
    /// What is mounted inside it.
    mounts: Mounts,
    /// Its changes may be made elsewhere.
    is_remote: bool,
    /// Read by who took what is dirty, and for the thread to tell.
    untold: Option<Heard>,
}

/// How well it can watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sight {
    /// Every change.
    Clear,
    /// None: everything is looked at now and then.
    Blind,
    /// There is no directory.
    Gone,
}

impl Watcher {
    /// Watches `directory` and all inside it but what is excluded, directories made later too. `tell` must not block for long.
    /// Where the watches of the system do not suffice it says [`WatchEvent::Failed`], where there is no directory
    /// [`WatchEvent::Gone`], and goes on.
    ///
    /// # Errors
    /// When the system has no watcher to give.
    pub fn start(
        directory: &Path,
        exclude: &Arc<Exclude>,
        tell: impl Fn(WatchEvent) + Send + 'static,
    ) -> Result<Self, Problem> {
        let failed = |why: String| {
            Problem::new(
                format!("cannot watch {}", directory.display()),
                why,
                "raise the limit fs.inotify.max_user_instances, or check the permissions of the directory",
            )
        };
        let from = |error: Errno| failed(std::io::Error::from(error).to_string());
        let fd = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK).map_err(from)?;
        let (end, ended) = UnixStream::pair().map_err(|error| failed(error.to_string()))?;
        // A full pipe wakes as well.
        end.set_nonblocking(true).map_err(|error| failed(error.to_string()))?;
        let mut watches = Watches::new(directory);
        watches.exclude = Arc::clone(exclude);
        let state = State {
            watches,
            dirty: Dirty::all(),
            sight: Sight::Clear,
            identity: None,
            mounts: Mounts::new(),
            is_remote: false,
            untold: None,
        };
        let shared = Arc::new(Shared { fd, state: Mutex::new(state), exclude: Mutex::default() });
        // Before the first look: what is mounted after it rings.
        let bell = Bell::new();
        let first = shared.begin(&mut shared.lock());
        let watching = Arc::clone(&shared);
        let work = move || {
            if let Some(event) = first {
                tell(event);
            }
            watching.watch(&ended, &bell, &tell);
        };
        thread::Builder::new().name("watch".into()).spawn(work).map_err(|error| failed(error.to_string()))?;
        Ok(Self { shared, end })
    }

    /// Everything that may have changed until this moment and was not taken before. Who cannot look at it gives it back.
    #[must_use]
    pub fn take(&self) -> Dirty {
        let mut state = self.shared.lock();
        // Also what the thread has not been told yet.
        let heard = self.shared.drain(&mut state);
        if let Heard::Lost | Heard::Over | Heard::Failed(_) = heard {
            state.untold = Some(heard);
            self.wake();
        }
        if state.sight != Sight::Clear || state.is_remote || state.identity != state.watches.identity() {
            return Dirty::all();
        }
        std::mem::replace(&mut state.dirty, Dirty::nothing())
    }

    /// It has to be looked at again.
    pub fn give_back(&self, dirty: Dirty) {
        self.shared.lock().dirty.join(dirty);
    }

    /// What waits; a file written to less than `idle` ago and not closed since is being written to.
    #[must_use]
    pub fn pending(&self, idle: Duration) -> Pending {
        let mut state = self.shared.lock();
        let paths = if state.dirty.is_all { usize::MAX } else { state.dirty.paths.len() };
        Pending { paths, is_being_written: state.watches.writing(idle).next().is_some() }
    }

    /// Files that are being written to, and for how long; see [`Watcher::pending`].
    #[must_use]
    pub fn writing(&self, idle: Duration) -> BTreeMap<RelPath, Duration> {
        self.shared.lock().watches.writing(idle).map(|(path, since)| (path.clone(), since)).collect()
    }

    /// Other patterns from now on; everything is looked at then. Never waits.
    pub fn set_exclude(&self, exclude: Arc<Exclude>) {
        *self.shared.exclude.lock().unwrap_or_else(PoisonError::into_inner) = Some(exclude);
        self.wake();
    }

    fn wake(&self) {
        // A pipe that is full of such bytes wakes the thread as well.
        let _ = (&self.end).write(&[1]);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // After a panic half-way the watches may lack some: better to look at everything once more.
        self.state.lock().unwrap_or_else(|poisoned| {
            let mut state = PoisonError::into_inner(poisoned);
            state.dirty = Dirty::all();
            state
        })
    }

    /// Watches everything anew; why it cannot.
    fn begin(&self, state: &mut State) -> Option<WatchEvent> {
        state.dirty = Dirty::all();
        // Before the watches: one that takes its place meanwhile is noticed by the next look.
        state.identity = state.watches.identity();
        state.mounts = mounts::inside(state.watches.top());
        if state.identity.is_none() {
            state.sight = Sight::Gone;
            return Some(WatchEvent::Gone(format!("{} is not there", state.watches.top().display())));
        }
        let kind = statfs(state.watches.top()).map(|about| about.f_type);
        state.is_remote = kind.is_ok_and(|kind| u32::try_from(kind).is_ok_and(|kind| REMOTE.contains(&kind)));
        let problem = state.watches.begin(self.fd.as_fd()).err();
        state.sight = if problem.is_some() { Sight::Blind } else { Sight::Clear };
        problem.map(WatchEvent::Failed)
    }

    /// Reads all that is queued.
    fn drain(&self, state: &mut State) -> Heard {
        let heard = state.watches.drain(self.fd.as_fd(), &mut state.dirty);
        if let Heard::Lost | Heard::Over | Heard::Failed(_) = heard {
            state.dirty = Dirty::all();
        }
        if let Heard::Over | Heard::Failed(_) = heard {
            state.watches.release(self.fd.as_fd());
            state.sight = Sight::Blind;
        }
        heard
    }

    fn watch(&self, ended: &UnixStream, bell: &Bell, tell: &dyn Fn(WatchEvent)) {
        loop {
            let sight = self.lock().sight;
            let limit = Timespec { tv_sec: if sight == Sight::Blind { AGAIN_S } else { LOOK_AROUND_S }, tv_nsec: 0 };
            let mut fds = vec![PollFd::new(ended, PollFlags::IN)];
            // Blind, only the end and the limit count: what is queued is of no use.
            if sight == Sight::Clear {
                fds.push(PollFd::new(&self.fd, PollFlags::IN));
                fds.extend(bell.file().map(|file| PollFd::new(file, PollFlags::PRI)));
            }
            let polled = poll(&mut fds, Some(&limit));
            // It rings once.
            if fds.get(2).is_some_and(|bell| !bell.revents().is_empty()) {
                self.follow_mounts(tell);
            }
            if !fds[0].revents().is_empty() {
                match (&mut &*ended).read(&mut [0; WAKES_AT_ONCE]) {
                    Ok(0) => return,
                    _ => {
                        let untold = self.lock().untold.take();
                        untold.into_iter().for_each(|heard| self.tell_heard(heard, tell));
                        self.follow_exclude(tell);
                    }
                }
                continue;
            }
            match polled {
                Ok(0) => self.look_around(sight, tell),
                Ok(_) => {
                    let heard = self.drain(&mut self.lock());
                    self.tell_heard(heard, tell);
                }
                // A signal; nothing else can happen to descriptors that are open.
                Err(_) => {}
            }
        }
    }

    fn tell_heard(&self, heard: Heard, tell: &dyn Fn(WatchEvent)) {
        match heard {
            Heard::Nothing => {}
            Heard::AtWork => tell(WatchEvent::AtWork),
            Heard::Changed => tell(WatchEvent::Changed),
            Heard::Lost => tell(WatchEvent::NeedRescan),
            Heard::Over => self.begin_elsewhere(tell),
            Heard::Failed(why) => tell(WatchEvent::Failed(why)),
        }
    }

    fn follow_exclude(&self, tell: &dyn Fn(WatchEvent)) {
        let new = self.exclude.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(exclude) = new else { return };
        let problem = {
            let mut state = self.lock();
            state.watches.exclude = exclude;
            self.begin(&mut state)
        };
        problem.into_iter().for_each(tell);
        tell(WatchEvent::Changed);
    }

    /// Something was mounted, or unmounted: inside the directory that hides or shows files, of which the watches tell nothing.
    fn follow_mounts(&self, tell: &dyn Fn(WatchEvent)) {
        let problem = {
            let mut state = self.lock();
            if mounts::inside(state.watches.top()) == state.mounts {
                return;
            }
            self.begin(&mut state)
        };
        problem.into_iter().for_each(tell);
        tell(WatchEvent::Changed);
    }

    /// Nothing was told for a while. A directory above may have been moved, or something mounted over it: of that the system
    /// tells nothing.
    fn look_around(&self, sight: Sight, tell: &dyn Fn(WatchEvent)) {
        let is_same = {
            let state = self.lock();
            state.identity.is_some() && state.identity == state.watches.identity()
        };
        match (sight, is_same) {
            (Sight::Clear, true) => {}
            (Sight::Clear | Sight::Blind, false) => self.begin_elsewhere(tell),
            (Sight::Blind, true) => {
                let is_well = self.begin(&mut self.lock()).is_none();
                if is_well {
                    tell(WatchEvent::Recovered);
                }
                tell(WatchEvent::Changed);
            }
            (Sight::Gone, _) => {
                let mut state = self.lock();
                if state.watches.identity().is_none() {
                    return;
                }
                let problem = self.begin(&mut state);
                let why = format!("{} is there again", state.watches.top().display());
                drop(state);
                tell_again(WatchEvent::Replaced(why), problem, tell);
            }
        }
    }

    /// What was watched has another name now, or none.
    fn begin_elsewhere(&self, tell: &dyn Fn(WatchEvent)) {
        let mut state = self.lock();
        let problem = self.begin(&mut state);
        let why = format!("{} is another directory than before", state.watches.top().display());
        drop(state);
        tell_again(WatchEvent::Replaced(why), problem, tell);
    }
}

/// Where the directory is there, whatever else may be.
fn tell_again(replaced: WatchEvent, problem: Option<WatchEvent>, tell: &dyn Fn(WatchEvent)) {
    if !matches!(problem, Some(WatchEvent::Gone(_))) {
        tell(replaced);
    }
    tell(problem.unwrap_or(WatchEvent::Recovered));
}

#[cfg(test)]
mod tests;
