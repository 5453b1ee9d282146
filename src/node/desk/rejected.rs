//! A change that the operator's validation command rejected is judged again (spec 5.4): its reason may have passed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::MirrorDesk;
use crate::mirror::RETRY_FIRST;
use crate::node::shared::lock;

/// Why the same state is to be judged again, since the last scan.
#[derive(Default)]
pub(super) struct Doubts {
    is_touched: AtomicBool,
    is_push_wanted: AtomicBool,
}

impl Doubts {
    /// Something in the directory was touched.
    pub(super) fn touched(&self) {
        self.is_touched.store(true, Ordering::Relaxed);
    }
}

impl MirrorDesk {
    /// An operator asks for a push: the command is asked again about what it rejected, too. True: a scan is to come.
    #[must_use]
    pub fn push_wanted(&self) -> bool {
        let is_rejected = lock(&self.held).is_rejected();
        self.doubts.is_push_wanted.store(is_rejected, Ordering::Relaxed);
        is_rejected
    }

    /// Before a scan. One that a change of roles waits for (no `wait_quiet`) is not to wait for the command once more.
    pub(super) fn follow_doubts(&self, wait_quiet: bool) {
        let is_push_wanted = self.doubts.is_push_wanted.swap(false, Ordering::Relaxed);
        let is_touched = self.doubts.is_touched.swap(false, Ordering::Relaxed);
        if is_push_wanted {
            self.doubt_rejection(Some(Duration::ZERO));
        } else if is_touched && wait_quiet {
            // Not more often: a file over the size limit that is written all the while touches the directory as well.
            self.doubt_rejection(Some(RETRY_FIRST));
        }
    }

    /// A rejection that is so old (none: as old as the pause that grows) is not believed by the next scan.
    pub(super) fn doubt_rejection(&self, after: Option<Duration>) {
        if lock(&self.held).is_rejected()
            && let Err(problem) = self.mirror.doubt_rejection(after)
        {
            // The scan that comes says the same as an alert.
            tracing::warn!("a rejected change is not judged again: {problem}");
        }
    }
}
