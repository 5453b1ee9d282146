//! What is held back now (spec 5.4): since when, for the list, and as alerts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use crate::engine::alerts::Alert;
use crate::engine::base::UnixMillis;
use crate::engine::input::Input;
use crate::engine::order::{HELD_MAX, HeldFile};
use crate::mirror::Rejection;
use crate::mirror::scan::Held;
use crate::node::clock;
use crate::node::shared::{Shared, lock};

/// Most alerts about single files; the list has all of them.
const ALERTS_MAX: usize = 100;
/// Alert about a file that is held back.
const FILE: &str = "F-002";
/// Alert about a change that is held back as a whole.
const CHANGE: &str = "F-006";
/// Subject of the alert about those beyond [`ALERTS_MAX`].
const MORE: &str = "and more";

/// Held back since, by path.
#[derive(Default)]
pub struct HeldBook {
    files: BTreeMap<String, HeldFile>,
    /// All of them, those that are not listed included.
    count: u64,
    /// Subjects of the alerts that stand.
    told: BTreeSet<String>,
    is_rejected: bool,
}

/// What was held back while this instance was master.
#[derive(Default)]
pub struct HeldBefore {
    paths: BTreeSet<String>,
    /// Not all of its paths are known: an earlier run held back a change as a whole, or there were too many.
    is_all: bool,
}

impl HeldBefore {
    /// What differs at `path` was held back. Where not all are known, everything that differs was: a master mirrors the rest.
    pub fn holds(&self, path: &str) -> bool {
        self.is_all || self.paths.contains(path)
    }
}

impl HeldBook {
    /// With the alerts that an earlier run left standing: what was mended while nothing ran is over with the first look.
    pub fn with_alerts(open: &[Alert]) -> Self {
        let standing = |code: &'static str| open.iter().filter(move |alert| alert.code == code && !alert.is_over);
        Self {
            told: standing(FILE).map(|alert| alert.subject.clone()).collect(),
            is_rejected: standing(CHANGE).next().is_some(),
            ..Self::default()
        }
    }

    /// Something is held back, or is told to be.
    pub fn has_any(&self) -> bool {
        self.count > 0 || self.is_rejected || !self.told.is_empty()
    }

    /// A change is held back as a whole.
    pub fn is_rejected(&self) -> bool {
        self.is_rejected
    }

    /// What is held back, or was in an earlier run.
    pub fn before(&self) -> HeldBefore {
        let is_listed = if self.count == 0 { !self.is_rejected } else { self.count <= HELD_MAX as u64 };
        let paths = self.files.keys().chain(&self.told).cloned().collect();
        HeldBefore { paths, is_all: !is_listed || self.told.contains(MORE) }
    }

    /// How many.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Sorted by path, at most [`HELD_MAX`].
    pub fn list(&self) -> Vec<HeldFile> {
        self.files.values().cloned().collect()
    }

    /// What is held back now; what was already keeps its time. The alerts that begin or go on, each with its reason, and those
    /// that are over.
    fn set(&mut self, held: &[Held], at: UnixMillis) -> (BTreeMap<String, String>, Vec<String>) {
        self.count = held.len() as u64;
        let file = |held: &Held| {
            let since = self.files.get(&held.path).map_or(at, |known| known.since);
            HeldFile { path: held.path.clone(), why: held.why.clone(), line: held.line, since }
        };
        self.files = held.iter().take(HELD_MAX).map(|held| (held.path.clone(), file(held))).collect();
        let single: Vec<&Held> = held.iter().filter(|held| !held.is_rejected).collect();
        let mut alerts: BTreeMap<String, String> =
            single.iter().take(ALERTS_MAX).map(|held| (held.path.clone(), held.why.clone())).collect();
        if let Some(more) = single.len().checked_sub(ALERTS_MAX).filter(|more| *more > 0) {
            let why = format!("{more} more files are held back: `standin config list --held` names them");
            alerts.insert(MORE.to_owned(), why);
        }
        let over = self.told.iter().filter(|subject| !alerts.contains_key(*subject)).cloned().collect();
        self.told = alerts.keys().cloned().collect();
        (alerts, over)
    }
}

/// Notes what is held back, and tells of it: one alert a file, and one for a change that was rejected as a whole.
///
/// A count that falls is told after the alerts that end with it, one that rises before those that begin: a status that says
/// all is well again never stands beside an alert that denies it.
pub fn tell(book: &Mutex<HeldBook>, shared: &Shared, held: &[Held], rejected: Option<&Rejection>) {
    let (alerts, over, was_rejected, before, count) = {
        let mut book = lock(book);
        let before = book.count();
        let (alerts, over) = book.set(held, clock::wall());
        (alerts, over, std::mem::replace(&mut book.is_rejected, rejected.is_some()), before, book.count())
    };
    if count > before {
        shared.input_blocking(Input::Held(count));
    }
    for subject in over {
        shared.input_blocking(Input::TroubleOver { code: FILE, subject });
    }
    for (subject, why) in alerts {
        shared.input_blocking(Input::Trouble { code: FILE, subject, why });
    }
    tell_of_the_change(shared, rejected, was_rejected);
    if count < before {
        shared.input_blocking(Input::Held(count));
    }
}

/// The alert about a change that was rejected as a whole.
fn tell_of_the_change(shared: &Shared, rejected: Option<&Rejection>, was_rejected: bool) {
    let subject = String::new();
    match rejected {
        Some(Rejection { why, output }) => {
            let why = if output.is_empty() { why.clone() } else { format!("{why}; {output}") };
            shared.input_blocking(Input::Trouble { code: CHANGE, subject, why });
        }
        None if was_rejected => shared.input_blocking(Input::TroubleOver { code: CHANGE, subject }),
        None => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::alerts::book::AlertBook;

    fn held(path: &str) -> Held {
        Held { path: path.into(), why: "is a pipe".into(), ..Held::default() }
    }

    /// spec 5.4: since when is kept as long as it is held back, and what is over is told
    #[test]
    fn the_list_knows_since_when() {
        let mut book = HeldBook::default();
        let (alerts, over) = book.set(&[held("a"), held("b")], UnixMillis(1));
        assert_eq!((alerts.len(), over.len(), book.count()), (2, 0, 2));
        let rejected = Held { is_rejected: true, line: Some(3), ..held("c") };
        let (alerts, over) = book.set(&[held("b"), rejected], UnixMillis(2));
        assert_eq!(alerts.into_keys().collect::<Vec<_>>(), ["b"], "a rejected change is told as a whole");
        assert_eq!(over, ["a"]);
        assert!(book.before().holds("c") && !book.before().holds("a"), "its paths are known");
        let since: Vec<_> = book.list().into_iter().map(|file| (file.path, file.since.0, file.line)).collect();
        assert_eq!(since, [("b".to_owned(), 1, None), ("c".to_owned(), 2, Some(3))]);
    }

    /// spec 6.2, 6.6: an alert of an earlier run ends with the first look that finds its cause mended; what is still held back
    /// goes on, and what is over already is not told again
    #[test]
    fn alerts_of_an_earlier_run_end_when_their_cause_is_mended() {
        let mut kept = AlertBook::default();
        for subject in ["mended", "still", "over"] {
            kept.raise(UnixMillis(1), FILE, subject, "is a pipe", &mut Vec::new());
        }
        kept.settle(UnixMillis(2), FILE, "over", &mut Vec::new());
        kept.raise(UnixMillis(1), CHANGE, "", "exit status 1", &mut Vec::new());
        let mut book = HeldBook::with_alerts(&kept.list());
        assert!(book.has_any() && book.is_rejected && book.count() == 0);
        assert!(book.before().holds("of the change"), "its paths are not known any more");
        let (alerts, over) = book.set(&[held("still")], UnixMillis(3));
        assert_eq!(
            (alerts.into_keys().collect::<Vec<_>>(), over),
            (vec!["still".to_owned()], vec!["mended".to_owned()])
        );
        assert!(!HeldBook::with_alerts(&[]).has_any());
    }

    /// architecture, wall 5: a hundred thousand pipes are no hundred thousand alerts
    #[test]
    fn many_are_one_alert_more() {
        let mut book = HeldBook::default();
        let many: Vec<_> = (0..HELD_MAX + 5).map(|number| held(&format!("{number:06}"))).collect();
        let (alerts, _) = book.set(&many, UnixMillis(1));
        assert_eq!((alerts.len(), book.list().len()), (ALERTS_MAX + 1, HELD_MAX));
        assert_eq!(book.count(), (HELD_MAX + 5) as u64);
        assert!(alerts[MORE].starts_with(&format!("{} more", HELD_MAX + 5 - ALERTS_MAX)));
        let (alerts, over) = book.set(&[], UnixMillis(2));
        assert_eq!((alerts.len(), over.len()), (0, ALERTS_MAX + 1));
    }
}
