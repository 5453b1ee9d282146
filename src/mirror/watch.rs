//! Knows what may have changed in the directory, and tells when (spec 5.2). When to look is the caller's: see
//! [`super::quiet::Quiet`].
//!
//! The kernel queues an event in the call that makes the change. So a queue that was read empty says that nothing has
//! changed but what it told, and a look at the directory costs only what changed: also that of a takeover (spec 7.3).
//! Readers are not listened to. Not told are writes through a memory map or another link of a file; who cares looks at
//! everything now and then.

mod dirty;
mod tree;

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{inotify, statfs};
use rustix::io::Errno;

pub use self::dirty::Dirty;
use self::tree::{Heard, Watches};
use crate::engine::base::Problem;

/// One that cannot watch tries again so often, and has everything looked at.
const AGAIN_S: i64 = 10;
/// File systems whose changes may be made on another machine, which the kernel is not told of: NFS, SMB, CIFS, SMB2, FUSE,
/// 9P, Ceph, AFS, VirtualBox.
const REMOTE: [u32; 9] =
    [0x6969, 0x517b, 0xff53_4d42, 0xfe53_4d42, 0x6573_5546, 0x0102_1997, 0x00c3_6400, 0x5346_414f, 0x786f_4256];

/// What the watcher tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WatchEvent {
    /// Something changed.
    Changed,
    /// Changes were lost: everything has to be looked at.
    NeedRescan,
    /// It cannot watch; everything has to be looked at now and then, which it says by [`Self::Changed`].
    Failed(String),
    /// It watches again.
    Recovered,
}

/// Watches until dropped, in a thread of its own.
pub struct Watcher {
    shared: Arc<Shared>,
    /// Closed by the drop, which ends the thread.
    _end: UnixStream,
}

struct Shared {
    fd: OwnedFd,
    state: Mutex<State>,
}

struct State {
    watches: Watches,
    dirty: Dirty,
    /// It cannot watch.
    is_blind: bool,
    /// Its changes may be made elsewhere.
    is_remote: bool,
}

impl Watcher {
    /// Watches `directory` and all inside it, directories made later too. `tell` must not block for long. Where the watches
    /// of the system do not suffice, it says [`WatchEvent::Failed`] and goes on.
    ///
    /// # Errors
    /// When the system has no watcher to give, or the directory is missing.
    pub fn start(directory: &Path, tell: impl Fn(WatchEvent) + Send + 'static) -> Result<Self, Problem> {
        let failed = |why: String| {
            Problem::new(
                format!("cannot watch {}", directory.display()),
                why,
                "raise the limit fs.inotify.max_user_instances, or check the permissions of the directory",
            )
        };
        let from = |error: Errno| failed(std::io::Error::from(error).to_string());
        let about = statfs(directory).map_err(from)?;
        let fd = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK).map_err(from)?;
        let (end, ended) = UnixStream::pair().map_err(|error| failed(error.to_string()))?;
        let state = State {
            watches: Watches::new(directory),
            dirty: Dirty::all(),
            is_blind: false,
            is_remote: u32::try_from(about.f_type).is_ok_and(|kind| REMOTE.contains(&kind)),
        };
        let shared = Arc::new(Shared { fd, state: Mutex::new(state) });
        let first = shared.begin(&mut shared.lock());
        let watching = Arc::clone(&shared);
        let work = move || {
            if let Some(why) = first {
                tell(WatchEvent::Failed(why));
            }
            watching.watch(&ended, &tell);
        };
        thread::Builder::new().name("watch".into()).spawn(work).map_err(|error| failed(error.to_string()))?;
        Ok(Self { shared, _end: end })
    }

    /// Everything that may have changed until this moment and was not taken before. Who cannot look at it gives it back.
    #[must_use]
    pub fn take(&self) -> Dirty {
        let mut state = self.shared.lock();
        // Also what the thread has not been told yet.
        let _ = self.shared.drain(&mut state);
        if state.is_blind || state.is_remote {
            return Dirty::all();
        }
        std::mem::replace(&mut state.dirty, Dirty::nothing())
    }

    /// It has to be looked at again.
    pub fn give_back(&self, dirty: Dirty) {
        self.shared.lock().dirty.join(dirty);
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
    fn begin(&self, state: &mut State) -> Option<String> {
        state.dirty = Dirty::all();
        let problem = state.watches.begin(self.fd.as_fd()).err();
        state.is_blind = problem.is_some();
        problem
    }

    /// Reads all that is queued.
    fn drain(&self, state: &mut State) -> Heard {
        let heard = state.watches.drain(self.fd.as_fd(), &mut state.dirty);
        if let Heard::Lost | Heard::Failed(_) = heard {
            state.dirty = Dirty::all();
        }
        if let Heard::Failed(_) = heard {
            state.is_blind = true;
        }
        heard
    }

    fn watch(&self, ended: &UnixStream, tell: &dyn Fn(WatchEvent)) {
        loop {
            let is_blind = self.lock().is_blind;
            let limit = Timespec { tv_sec: AGAIN_S, tv_nsec: 0 };
            let mut fds = [PollFd::new(ended, PollFlags::IN), PollFd::new(&self.fd, PollFlags::IN)];
            // Blind, only the end and the limit count: what is queued is of no use.
            let count = if is_blind { 1 } else { 2 };
            let polled = poll(&mut fds[..count], is_blind.then_some(&limit));
            if !fds[0].revents().is_empty() {
                return;
            }
            match polled {
                Ok(0) if is_blind => {
                    let is_well = self.begin(&mut self.lock()).is_none();
                    if is_well {
                        tell(WatchEvent::Recovered);
                    }
                    tell(WatchEvent::Changed);
                }
                Ok(_) => {
                    let heard = self.drain(&mut self.lock());
                    match heard {
                        Heard::Nothing => {}
                        Heard::Changed => tell(WatchEvent::Changed),
                        Heard::Lost => tell(WatchEvent::NeedRescan),
                        Heard::Failed(why) => tell(WatchEvent::Failed(why)),
                    }
                }
                // A signal; nothing else can happen to descriptors that are open.
                Err(_) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests;
