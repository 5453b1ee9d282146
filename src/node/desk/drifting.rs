//! What the mirror's thread does about drift on a shadow (spec 4.5).

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::MirrorDesk;
use super::held::HeldBefore;
use crate::engine::event::{EventKind, Severity};
use crate::engine::input::Input;
use crate::engine::order::{HELD_MAX, HeldFile};
use crate::mirror::{Drift, Drifted, Stuck};
use crate::node::clock;
use crate::node::drift::{DriftWatch, Due};
use crate::node::shared::{Shared, lock};

/// Alert about what others changed on a shadow.
const CHANGED: &str = "F-021";
/// Alert about what a former master had held back.
const SET_ASIDE: &str = "F-024";

impl MirrorDesk {
    /// See [`crate::engine::effect::Effect::RestoreDrift`]; after [`crate::mirror::Mirror::expect_restore`].
    ///
    /// # Errors
    /// For people.
    pub fn restore_drift(&self) -> Result<Drift, crate::engine::base::Problem> {
        self.mirror.restore_expected().inspect_err(|_| {
            self.restore_owed.store(true, Ordering::Relaxed);
            self.shared.input_blocking(Input::DriftRestored(false));
        })
    }

    /// Looks for drift where that is due; how long until the next time.
    pub(super) fn care_for_drift(&self, drift: &mut DriftWatch) -> Option<Duration> {
        if self.is_shadow.load(Ordering::Relaxed) {
            drift.hear(*lock(&self.asked), clock::monotonic().0);
        } else {
            drift.stop();
        }
        let due = drift.due(clock::monotonic().0);
        match due {
            Due::Look => self.put_drift_back(drift),
            Due::Over => {
                lock(&self.drifted).clear();
                for code in [CHANGED, "F-022"] {
                    self.shared.input_blocking(Input::TroubleOver { code, subject: String::new() });
                }
            }
            Due::In(_) | Due::Nothing => {}
        }
        self.drift.store(drift.paths(), Ordering::Relaxed);
        match due {
            Due::Look | Due::Over => Some(Duration::ZERO),
            Due::In(ms) => Some(Duration::from_millis(ms)),
            Due::Nothing => None,
        }
    }

    /// Whether what was pushed can be held here at all (spec 6.2); says why not.
    pub(super) fn tell_cannot_hold(&self) -> Option<String> {
        let (code, subject) = ("F-023", String::new());
        let why = self.mirror.cannot_hold();
        self.shared.input_blocking(match why.clone() {
            Some(why) => Input::Trouble { code, subject, why },
            None => Input::TroubleOver { code, subject },
        });
        why
    }

    fn put_drift_back(&self, watch: &mut DriftWatch) {
        let subject = String::new();
        let was_held = lock(&self.held).before();
        if lock(&self.held).has_any() {
            // What the last scan as a master held back is drift now, also that of an earlier run.
            super::held::tell(&self.held, &self.shared, &[], None);
        }
        match self.mirror.look_for_drift() {
            Ok(drift) => {
                // Before it is counted: who sees the number asks for the list.
                self.remember(&drift);
                watch.found(clock::monotonic().0, drift.paths_total);
                self.drift.store(watch.paths(), Ordering::Relaxed);
                if drift.paths_total > 0 {
                    self.tell_drift(&drift, &was_held);
                    self.tidy_drifts();
                }
                match Stuck::words(&drift.stuck) {
                    Some(why) => self.not_put_back(watch, why),
                    None => {
                        // Also one of an earlier run, whose cause ended while nothing ran here.
                        self.shared.input_blocking(Input::TroubleOver { code: "F-022", subject });
                        self.shared.input_blocking(Input::Looked { serial: watch.serial(), problem: None });
                    }
                }
                self.tell_owners();
            }
            Err(problem) => self.not_put_back(watch, format!("{}: {}", problem.what, problem.why)),
        }
    }

    fn not_put_back(&self, watch: &mut DriftWatch, why: String) {
        watch.failed(clock::monotonic().0);
        self.drift.store(watch.paths(), Ordering::Relaxed);
        self.shared.input_blocking(Input::Trouble { code: "F-022", subject: String::new(), why: why.clone() });
        self.shared.input_blocking(Input::Looked { serial: watch.serial(), problem: Some(why) });
    }

    /// What was changed while something else was put in its place: on a shadow that is drift as any other (spec 4.5).
    pub(super) fn tell_overtaken(&self, watch: &mut DriftWatch) {
        for drift in self.mirror.take_overtaken() {
            if self.is_shadow.load(Ordering::Relaxed) {
                self.remember(&drift);
                watch.found(clock::monotonic().0, drift.paths_total);
                self.drift.store(watch.paths(), Ordering::Relaxed);
                self.tell_drift(&drift, &HeldBefore::default());
            } else {
                let text = format!("{}; {}", named(&drift.paths, drift.unnamed()), kept(&drift));
                self.shared.note(EventKind::Configuration, Severity::Warning, text);
            }
            self.tidy_drifts();
        }
    }

    /// For the list, as long as the alert stands; each path as it was found last.
    fn remember(&self, drift: &Drift) {
        let kept = kept(drift);
        let mut drifted = lock(&self.drifted);
        for Drifted { path, what } in &drift.paths {
            if drifted.len() >= HELD_MAX && !drifted.contains_key(path) {
                return;
            }
            let why = format!("{what}; put back, {kept}");
            drifted.insert(path.clone(), HeldFile { path: path.clone(), why, line: None, since: clock::wall() });
        }
    }

    /// `was_held`: what was held back here as master is nobody's work behind Standin's back (spec 5.4).
    fn tell_drift(&self, drift: &Drift, was_held: &HeldBefore) {
        let (held, other): (Vec<_>, Vec<_>) =
            drift.paths.iter().cloned().partition(|drifted| was_held.holds(&drifted.path));
        // Those that are not named are counted with the first.
        let (more_held, more_other) = if other.is_empty() { (drift.unnamed(), 0) } else { (0, drift.unnamed()) };
        for (code, paths, more) in [(SET_ASIDE, held, more_held), (CHANGED, other, more_other)] {
            if paths.is_empty() && more == 0 {
                continue;
            }
            let why = format!("{}; put back, {}", named(&paths, more), kept(drift));
            let what = if code == SET_ASIDE { "held back here while this was the master" } else { "drift" };
            self.shared.note(EventKind::Configuration, Severity::Warning, format!("{what}: {why}"));
            self.shared.input_blocking(match code {
                // It stays set aside, until the operator has dealt with it.
                SET_ASIDE => Input::Told { code, why },
                _ => Input::Trouble { code, subject: String::new(), why },
            });
        }
    }
}

/// What a new master has put back, or not, of what was changed while it was shadow (spec 7.3).
pub fn tell_restored(shared: &Shared, paths: u64, stuck: &[Stuck]) {
    let note = |severity, text| shared.note(EventKind::Configuration, severity, text);
    if paths > 0 {
        let what = "paths had been changed here behind Standin's back: put back, what was found is kept";
        note(Severity::Warning, format!("{paths} {what}"));
    }
    if let Some(why) = Stuck::words(stuck) {
        let what = "changed here behind Standin's back, cannot be put back, and is held back until it can";
        note(Severity::Error, format!("{what}: {why}"));
    }
}

/// The first of its paths, each with what had become of it, and how many more there are.
fn named(paths: &[Drifted], more: u64) -> String {
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let first = paths.first().map(|drifted| drifted.what.as_str()).unwrap_or_default();
    if paths.len() > 1 && paths.iter().all(|drifted| drifted.what == first) {
        let names = paths.iter().map(|drifted| drifted.path.as_str()).collect::<Vec<_>>().join(", ");
        return format!("{names}{more}: each {first}");
    }
    let named = paths.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    format!("{named}{more}")
}

/// Where what was found is.
fn kept(drift: &Drift) -> String {
    drift.kept.as_ref().map_or_else(
        || "nothing of it could be kept".to_owned(),
        |branch| format!("what was found is kept as {}", branch.name),
    )
}
