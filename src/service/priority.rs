//! A little more of a busy processor for the few threads on which a takeover waits. What they start gets none of it.

use std::sync::OnceLock;

use rustix::process::{getpriority_process, setpriority_process};

/// Steps of `nice` above the rest of the program. Standin needs little, and needs it at once.
const STEPS: i32 = 5;
/// The highest that there is.
const HIGHEST: i32 = -20;

/// That of this process before anything was raised.
static USUAL: OnceLock<i32> = OnceLock::new();

/// Raises the calling thread, where the system permits it (root, or `CAP_SYS_NICE`): otherwise nothing happens, which is no
/// error. Threads made by it inherit that, and commands started by [`super::spawn`] do not.
pub fn raise() {
    let Ok(now) = getpriority_process(None) else { return };
    let usual = *USUAL.get_or_init(|| now);
    if setpriority_process(None, (usual - STEPS).max(HIGHEST)).is_err() {
        tracing::debug!("the priority of a thread could not be raised");
    }
}

/// What a command is started with; none: nothing was raised in this process.
pub(super) fn usual() -> Option<i32> {
    USUAL.get().copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::spawn::spawn;
    use std::io::Read;
    use std::path::Path;

    /// spec 7.13: the service gets the priority that Standin was started with, whatever thread starts it
    #[test]
    fn what_a_raised_thread_starts_is_not_raised() {
        let before = getpriority_process(None).unwrap();
        let started = std::thread::spawn(move || {
            raise();
            raise();
            let own = getpriority_process(None).unwrap();
            // Without the right to it nothing changes.
            assert!(own == before || own == (before - STEPS).max(HIGHEST), "{own}");
            let mut child = spawn(&["nice".into()], Path::new("/"), &[]).unwrap();
            let mut said = String::new();
            child.stdout.take().unwrap().read_to_string(&mut said).unwrap();
            child.wait().unwrap();
            said
        });
        assert_eq!(started.join().unwrap().trim(), before.to_string());
    }
}
