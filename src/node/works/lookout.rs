//! Whether the service could be started here, long before it has to be (spec 2.6, 7.7): both sides show it.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread;
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
/// What is new and bad is looked at twice before it is told: systemd may be busy for a moment, and a program just being replaced.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

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
        spawn("lookout", move || {
            watch(look, &woken, LOOK_AGAIN, |problem| send(&shared, Input::ServiceAhead(problem)));
        })?;
        Ok(Self { wake })
    }

    /// Something was set, or the directory has changed: looks now.
    pub(super) fn look(&self) {
        // A full queue already holds the wish.
        let _ = self.wake.try_send(());
    }
}

fn watch(look: impl Fn() -> Option<String>, woken: &Receiver<()>, pause: Duration, tell: impl Fn(Option<String>)) {
    let mut told = None;
    loop {
        let mut found = look();
        if found.is_some() && found != told {
            thread::sleep(pause);
            found = look();
        }
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

    fn told_of(found: &[Option<&str>], wakes: usize) -> Vec<Option<String>> {
        let (wake, woken) = sync_channel(wakes);
        let (at, told) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
        for _ in 0..wakes {
            wake.send(()).unwrap();
        }
        drop(wake);
        let look = || found[at.fetch_add(1, Ordering::Relaxed)].map(str::to_owned);
        watch(look, &woken, Duration::ZERO, |problem| told.lock().unwrap().push(problem));
        assert_eq!(at.into_inner(), found.len(), "looks");
        told.into_inner().unwrap()
    }

    /// spec 7.7: what has not changed is not told again
    #[test]
    fn only_what_changes_is_told() {
        let missing = Some("missing");
        let told = told_of(&[None, missing, missing, missing, None], 3);
        assert_eq!(told, [missing.map(str::to_owned), None]);
    }

    /// spec 2.6: a systemd that does not answer once is no service that cannot be started
    #[test]
    fn what_is_over_at_the_second_look_is_not_told() {
        assert!(told_of(&[Some("no answer"), None, None], 1).is_empty());
        let told = told_of(&[Some("no answer"), Some("missing")], 0);
        assert_eq!(told, [Some("missing".to_owned())], "what is so now");
    }
}
