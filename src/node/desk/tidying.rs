//! What of the history goes (spec 5.6), and who is told.

use super::{Kept, MirrorDesk};
use crate::engine::base::Problem;
use crate::engine::event::{EventKind, Severity};
use crate::engine::input::Input;
use crate::engine::settings::History;
use crate::node::clock;
use crate::node::shared::lock;
use crate::store::{DroppedDrift, Retention};

/// The alert of what could not be tidied.
const CODE: &str = "F-031";
const MEGABYTE: u64 = 1_000_000;

impl MirrorDesk {
    /// Drops what of the history is not to be kept any more.
    pub(super) fn tidy(&self) {
        let Kept { settings, needed } = *lock(&self.retention);
        let History { count, age, size: bytes } = settings;
        let keep = Retention { count, age, now: clock::wall().0, bytes, needed };
        // First: what they held is given back together with the rest.
        let tidied = self.drop_drifts(settings.size).and_then(|()| self.mirror.tidy(&keep));
        match tidied {
            Ok(dropped) => {
                if dropped > 0 {
                    tracing::info!("{dropped} old revisions were dropped from the history");
                }
                self.shared.input_blocking(Input::TroubleOver { code: CODE, subject: String::new() });
            }
            Err(problem) => self.not_tidied(&problem),
        }
    }

    /// The same of drifts alone, whenever one may have come: who writes into the directory all the while leaves no time for
    /// anything else, and is not to fill the disk.
    pub(super) fn tidy_drifts(&self) {
        let size = lock(&self.retention).settings.size;
        if let Err(problem) = self.drop_drifts(size) {
            self.not_tidied(&problem);
        }
    }

    fn drop_drifts(&self, size: u64) -> Result<(), Problem> {
        for drift in self.mirror.tidy_drifts(size)? {
            self.shared.note(EventKind::Configuration, Severity::Warning, dropped(&drift));
        }
        Ok(())
    }

    fn not_tidied(&self, problem: &Problem) {
        let why = format!("{}: {}", problem.what, problem.why);
        self.shared.input_blocking(Input::Trouble { code: CODE, subject: String::new(), why });
    }
}

/// For the events: which, why, and what to do.
fn dropped(drift: &DroppedDrift) -> String {
    let DroppedDrift { name, bytes, is_one_too_many } = drift;
    let why = if *is_one_too_many {
        "more drifts were kept than are at most".to_owned()
    } else {
        "drifts held more than configuration.history.size".to_owned()
    };
    let megabytes = bytes / MEGABYTE;
    format!(
        "{name} was dropped from the history as the oldest drift, with {megabytes} MB that it alone held: {why}; find out who writes \
         into this directory"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// spec 4.5, 5.6: the events say which drift went, and by which limit.
    #[test]
    fn what_went_is_told_with_its_limit() {
        let drift = |is_one_too_many| DroppedDrift { name: "drift-1".into(), bytes: 7_500_000, is_one_too_many };
        let told = dropped(&drift(false));
        assert!(
            told.contains("drift-1") && told.contains("7 MB") && told.contains("configuration.history.size"),
            "{told}"
        );
        assert!(dropped(&drift(true)).contains("more drifts"));
    }
}
