//! Notices an operator's edit of the settings file at once (interfaces, Files).

use std::ffi::CStr;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;
use tokio::sync::mpsc;

use super::settings_file::{Look, SettingsDesk};
use super::shared::Shared;
use crate::engine::base::Problem;
use crate::engine::input::Input;
use crate::engine::settings::Settings;

/// Editors write in several steps; the file is read when it was left alone so long.
const QUIET: Duration = Duration::from_millis(100);
/// Many events, or one with the longest name.
const EVENT_BYTES: usize = 4 * 1024;
/// Valid edits waiting for the engine.
const EDITS_MAX: usize = 8;

/// Where edits come out, and where a look can be asked for (SIGHUP).
pub struct Edits {
    /// Valid settings that differ from those in force.
    pub found: mpsc::Receiver<Box<Settings>>,
    /// Send to look now.
    pub looks: Sender<()>,
}

/// Watches the file's folder: editors replace the file itself.
///
/// # Errors
/// When it cannot be watched.
pub fn start(settings: &SettingsDesk, shared: &Shared) -> Result<Edits, Problem> {
    let cannot = |why: String| {
        Problem::new(
            "The settings file cannot be watched",
            why,
            "Raise the limit of watches: sysctl fs.inotify.max_user_instances and max_user_watches.",
        )
    };
    let (looks, wishes) = channel::<()>();
    let (edits, found) = mpsc::channel(EDITS_MAX);
    let path = settings.path().to_owned();
    let (file, wish) = (path.file_name().map(|name| name.as_bytes().to_owned()), looks.clone());
    let from = |error: Errno| cannot(std::io::Error::from(error).to_string());
    let watcher = inotify::init(CreateFlags::CLOEXEC).map_err(from)?;
    // Only what ends an edit: the database beside the file is written to all the time, and wakes nobody.
    let ends = WatchFlags::CLOSE_WRITE | WatchFlags::MOVED_TO | WatchFlags::CREATE | WatchFlags::DELETE;
    inotify::add_watch(&watcher, path.parent().unwrap_or(&path), ends).map_err(from)?;
    let watch = move || tell_each(&watcher, file.as_deref(), &wish);
    thread::Builder::new().name("settings-watch".into()).spawn(watch).map_err(|error| cannot(error.to_string()))?;
    let (settings, shared) = (settings.clone(), shared.clone());
    let look = move || look_at_each(&settings, &shared, &wishes, &edits);
    thread::Builder::new().name("settings".into()).spawn(look).map_err(|error| cannot(error.to_string()))?;
    Ok(Edits { found, looks })
}

/// Wishes for a look at each event of the file, until nobody looks any more or the folder is gone.
fn tell_each(watcher: &OwnedFd, file: Option<&[u8]>, wish: &Sender<()>) {
    let mut buffer = [MaybeUninit::uninit(); EVENT_BYTES];
    let mut reader = Reader::new(watcher, &mut buffer);
    loop {
        let is_ours = match reader.next() {
            Ok(event) if event.events().contains(ReadFlags::IGNORED) => return,
            Ok(event) => {
                event.events().contains(ReadFlags::QUEUE_OVERFLOW) || event.file_name().map(CStr::to_bytes) == file
            }
            Err(Errno::INTR) => false,
            Err(_) => return,
        };
        if is_ours && wish.send(()).is_err() {
            return;
        }
    }
}

fn look_at_each(settings: &SettingsDesk, shared: &Shared, wishes: &Receiver<()>, edits: &mpsc::Sender<Box<Settings>>) {
    while wishes.recv().is_ok() {
        while wishes.recv_timeout(QUIET).is_ok() {}
        match settings.look() {
            Look::Same => {}
            Look::SameMeaning => {
                for code in ["F-010", "F-011"] {
                    shared.input_blocking(Input::TroubleOver { code, subject: String::new() });
                }
            }
            Look::Wrong(why) => {
                // An alert is one line; each fault of the file is on one of its own.
                let why = why.lines().map(str::trim).collect::<Vec<_>>().join("; ");
                shared.input_blocking(Input::Trouble { code: "F-010", subject: String::new(), why });
            }
            Look::Changed(new) => {
                shared.input_blocking(Input::TroubleOver { code: "F-010", subject: String::new() });
                if edits.blocking_send(new).is_err() {
                    return;
                }
            }
        }
    }
}
