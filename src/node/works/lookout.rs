//! Whether the service could be started here, long before it has to be (spec 2.6, 7.7): both sides show it.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::{send, spawn, tie_of};
use crate::engine::base::Problem;
use crate::engine::input::Input;
use crate::engine::settings::Settings;
use crate::node::shared::{Shared, lock};
use crate::service::ahead;
use crate::service::unit::Systemctl;

/// How old the answer is at most: neither a program's absence nor a unit's file can be waited for.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// Looks again and again in a thread of its own, and tells what has changed.
pub(super) struct Lookout {
    wake: SyncSender<()>,
}

impl Lookout {
    /// Of these settings, in this directory, with what systemd gives Standin until it kills it, ms.
    pub(super) fn start(
        shared: Shared,
        (settings, directory, watchdog_ms): (Arc<Mutex<Settings>>, PathBuf, Option<u64>),
    ) -> Result<Self, Problem> {
        let (wake, woken) = sync_channel(1);
        let look = move || {
            let settings = lock(&settings).clone();
            let tie = tie_of(&settings, watchdog_ms);
            ahead::problem(&settings.service, &directory, tie, &Systemctl::default())
        };
        spawn("lookout", move || watch(look, &woken, |problem| send(&shared, Input::ServiceAhead(problem))))?;
        Ok(Self { wake })
    }

    /// Something was set: looks now.
    pub(super) fn look(&self) {
        // A full queue already holds the wish.
        let _ = self.wake.try_send(());
    }
}

fn watch(look: impl Fn() -> Option<String>, woken: &Receiver<()>, tell: impl Fn(Option<String>)) {
    let mut told = None;
    loop {
        let found = look();
        if found != told {
            tell(found.clone());
            told = found;
        }
        if woken.recv_timeout(LOOK_EVERY) == Err(RecvTimeoutError::Disconnected) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// spec 7.7: what has not changed is not told again
    #[test]
    fn only_what_changes_is_told() {
        let (wake, woken) = sync_channel(3);
        let (at, told) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
        let found = [None, Some("missing"), Some("missing"), None];
        for _ in 1..found.len() {
            wake.send(()).unwrap();
        }
        drop(wake);
        let look = || found[at.fetch_add(1, Ordering::Relaxed)].map(str::to_owned);
        watch(look, &woken, |problem| told.lock().unwrap().push(problem));
        assert_eq!(told.into_inner().unwrap(), [Some("missing".to_owned()), None]);
    }
}
