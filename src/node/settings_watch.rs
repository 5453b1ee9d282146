//! Notices an operator's edit of the settings file at once (interfaces, Files).

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use notify::{RecursiveMode, Watcher};
use tokio::sync::mpsc;

use super::settings_file::{Look, SettingsDesk};
use super::shared::Shared;
use crate::engine::base::Problem;
use crate::engine::input::Input;
use crate::engine::settings::Settings;

/// Editors write in several steps; the file is read when it was left alone so long.
const QUIET: Duration = Duration::from_millis(100);
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
    let (file, wish) = (path.file_name().map(ToOwned::to_owned), looks.clone());
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let is_ours = event.is_ok_and(|event| {
            !event.kind.is_access()
                && (event.need_rescan() || event.paths.iter().any(|path| path.file_name() == file.as_deref()))
        });
        if is_ours {
            let _ = wish.send(());
        }
    })
    .map_err(|error| cannot(error.to_string()))?;
    let folder = path.parent().unwrap_or(&path);
    watcher.watch(folder, RecursiveMode::NonRecursive).map_err(|error| cannot(error.to_string()))?;
    let (settings, shared) = (settings.clone(), shared.clone());
    let look = move || {
        let _watching = watcher;
        look_at_each(&settings, &shared, &wishes, &edits);
    };
    thread::Builder::new().name("settings".into()).spawn(look).map_err(|error| cannot(error.to_string()))?;
    Ok(Edits { found, looks })
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
