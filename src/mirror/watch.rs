//! Tells that something in the directory changed (spec 5.2). When to look is the caller's: see [`super::quiet::Quiet`].

use std::path::Path;

use notify::event::{AccessKind, AccessMode, EventKind};
use notify::{Config, Event, RecommendedWatcher, RecursiveMode, Watcher as _};

use super::path::is_left_out;
use crate::engine::base::Problem;

/// What the watcher tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WatchEvent {
    /// Something changed.
    Changed,
    /// Changes were lost: look at everything.
    NeedRescan,
    /// It can no longer watch: look now and then.
    Failed(String),
}

/// Watches until dropped, in a thread of its own.
pub struct Watcher {
    _watcher: RecommendedWatcher,
}

impl Watcher {
    /// Watches `directory` and all inside it, directories made later too. `tell` must not block for long.
    ///
    /// # Errors
    /// When the system has no watch to give, or the directory cannot be read: look at it now and then instead.
    pub fn start(directory: &Path, tell: impl Fn(WatchEvent) + Send + 'static) -> Result<Self, Problem> {
        let failed = |error: notify::Error| {
            Problem::new(
                format!("cannot watch {}", directory.display()),
                error.to_string(),
                "raise the limit of watches (fs.inotify.max_user_watches), or check the permissions of the directory",
            )
        };
        let top = directory.to_owned();
        let hear = move |heard: notify::Result<Event>| match heard {
            Err(error) => tell(WatchEvent::Failed(error.to_string())),
            Ok(event) if event.need_rescan() => tell(WatchEvent::NeedRescan),
            Ok(event) if matters(&event, &top) => tell(WatchEvent::Changed),
            Ok(_) => {}
        };
        // Links are mirrored as they are; what they point to is none of the watcher's business.
        let config = Config::default().with_follow_symlinks(false);
        let mut watcher = RecommendedWatcher::new(hear, config).map_err(failed)?;
        watcher.watch(directory, RecursiveMode::Recursive).map_err(failed)?;
        Ok(Self { _watcher: watcher })
    }
}

/// Reading is no change, and neither is what is never mirrored.
fn matters(event: &Event, top: &Path) -> bool {
    use std::os::unix::ffi::OsStrExt;
    match event.kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => {}
        EventKind::Access(_) => return false,
        _ => {}
    }
    let is_left_out = |path: &Path| {
        let inside = path.strip_prefix(top).unwrap_or(path);
        inside.components().any(|name| is_left_out(name.as_os_str().as_bytes()))
    };
    event.paths.is_empty() || event.paths.iter().any(|path| !is_left_out(path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Receiver, channel};
    use std::time::Duration;

    const LIMIT: Duration = Duration::from_secs(20);

    fn wait(heard: &Receiver<WatchEvent>) {
        heard.recv_timeout(LIMIT).expect("the change must be told");
        // The rest of the same change.
        while heard.recv_timeout(Duration::from_millis(100)).is_ok() {}
    }

    /// spec 5.2
    #[test]
    fn changes_are_told_in_new_directories_too_and_readers_are_not() {
        let home = tempfile::tempdir().unwrap();
        let (sender, heard) = channel();
        let tell = move |event| drop(sender.send(event));
        let watcher = Watcher::start(home.path(), tell).unwrap();
        std::fs::write(home.path().join("a"), "1").unwrap();
        wait(&heard);
        std::fs::create_dir(home.path().join("d")).unwrap();
        wait(&heard);
        std::fs::write(home.path().join("d/inside"), "1").unwrap();
        wait(&heard);
        std::fs::read(home.path().join("d/inside")).unwrap();
        std::fs::write(home.path().join("a~"), "1").unwrap();
        std::fs::write(home.path().join("b"), "the first thing told after the two above").unwrap();
        assert_eq!(heard.recv_timeout(LIMIT), Ok(WatchEvent::Changed));
        drop(watcher);
        assert!(Watcher::start(&home.path().join("missing"), |_| {}).is_err());
    }
}
