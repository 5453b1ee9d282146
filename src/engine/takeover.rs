//! Losing the master, the takeover delay, the takeover checks and the takeover (spec 7.1 to 7.4).

use super::base::{LinkState, Millis, Now, Reason, Role, Term, UnixMillis};
use super::core::Engine;
use super::durable::{Durable, RoleChange};
use super::effect::Effect;
use super::event::{EventKind, Severity};
use super::faults::{Fault, breaks};
use super::message::{CHECKS_TOLD_MAX, TOLD_CHARS_MAX};
use super::settings::{Settings, SettingsPatch};
use super::status::{CheckResult, Notice, TimelineEntry};
use super::then::Then;
use super::timers::Timer;
use super::work::StartFor;

/// Takeover checks that say nothing for so long have failed, on top of their own time limit, ms.
const CHECKS_GRACE_MS: u64 = 2_000;
/// Checks that passed so long ago need not pass again while the arbiter is asked, ms.
const CHECKS_FRESH_MS: u64 = 5_000;
/// A takeover that could not go on is tried again so often, ms.
const TAKEOVER_RETRY_MS: u64 = 1_000;

/// The master does not answer.
#[derive(Clone, Debug)]
pub(super) struct Lost {
    /// When the first check failed.
    pub since: Now,
    /// The last check answered before it.
    pub last_check: Option<Now>,
    /// From when the delay counts.
    pub counts_from: Millis,
    /// The same by the wall clock, and why it is not from the loss on; none: it is.
    pub counts_anew: Option<(UnixMillis, &'static str)>,
    /// READY when the link broke (spec 7.1).
    pub was_ready: bool,
    pub why: String,
    /// Something else answers there: no automatic takeover (spec 7.1).
    pub foreign: Option<String>,
    /// The other shadow was met, and who of the two may take over (spec 7.16).
    pub rival: Option<Rival>,
    /// A word given to a former master that starts: not before then (spec 7.5).
    pub not_before: Millis,
    /// When the delay was over, and how long it was, ms.
    pub delay_over: Option<(UnixMillis, u64)>,
    /// What forbade the takeover when that was last asked.
    pub forbidden: Option<String>,
    /// When what was waited for beyond the delay was over, and what it was; both for people.
    pub waited: Option<(UnixMillis, String)>,
    /// When the checks passed.
    pub checks_passed: Option<UnixMillis>,
    /// The same on the clock that counts; with an arbiter the grant comes later.
    pub passed_at: Option<Millis>,
    /// The arbiter granted the term.
    pub granted: Option<UnixMillis>,
}

/// The last meeting with another shadow.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rival {
    pub wins: bool,
    pub at: Millis,
}

/// The own takeover checks.
#[derive(Clone, Debug, Default)]
pub(super) struct OwnChecks {
    pub results: Vec<CheckResult>,
    /// When the run under way began.
    pub running: Option<Millis>,
    /// When the run that gave the results began.
    pub begun: Option<Millis>,
    /// The master knows these results.
    pub told: bool,
}

impl OwnChecks {
    /// Any one passing suffices, or all have to; none configured counts as passing (spec 7.2).
    pub fn pass(&self, settings: &Settings) -> bool {
        let checks = &settings.takeover_checks;
        let passing = self.results.iter().filter(|result| result.ok).count();
        checks.is_empty() || if checks.needs_all() { passing >= checks.count() } else { passing > 0 }
    }

    /// For the master, within the limits of the message; none: it knows them.
    pub fn take_news(&mut self) -> Option<Vec<CheckResult>> {
        let is_new = !std::mem::replace(&mut self.told, true);
        is_new.then(|| bounded(self.results.clone()))
    }

    /// Configured, passing.
    pub fn counts(&self, settings: &Settings) -> (u16, u16) {
        let count = |n: usize| u16::try_from(n).unwrap_or(u16::MAX);
        let passing = self.results.iter().filter(|result| result.ok).count();
        (count(settings.takeover_checks.count()), count(passing))
    }
}

/// Cut to the limits of a message; also whatever came from the peer is.
pub(super) fn bounded(mut results: Vec<CheckResult>) -> Vec<CheckResult> {
    results.truncate(CHECKS_TOLD_MAX);
    for result in &mut results {
        cut(&mut result.target);
        cut(&mut result.message);
    }
    results
}

/// At most [`TOLD_CHARS_MAX`] characters.
pub(super) fn cut(text: &mut String) {
    if let Some((at, _)) = text.char_indices().nth(TOLD_CHARS_MAX) {
        text.truncate(at);
    }
}

impl Engine {
    /// The master is lost: the delay begins.
    pub(super) fn lose(&mut self, why: &str, was_ready: bool) {
        let lost = Lost {
            since: self.now,
            last_check: self.watch.last_check,
            counts_from: self.now.mono,
            counts_anew: None,
            was_ready,
            why: why.to_owned(),
            foreign: None,
            rival: None,
            not_before: Millis(0),
            delay_over: None,
            forbidden: None,
            waited: None,
            checks_passed: None,
            passed_at: None,
            granted: None,
        };
        self.watch.lost = Some(lost);
        self.fence.passed = None;
        self.set_state(LinkState::Lost, Some(why.to_owned()));
        if !breaks(Fault::ForgetsAlert) {
            self.hold_alert("H-001", "", why);
        }
        self.timers.set(Timer::Takeover, self.takeover_due());
        self.timers.clear(Timer::Redial);
    }

    /// When the takeover is due if nothing else comes.
    pub(super) fn takeover_due(&self) -> Millis {
        let delay_ms = self.takeover_delay_ms();
        let promised = self.promise_runs_until().unwrap_or_default();
        let due = |lost: &Lost| lost.counts_from.plus(delay_ms).max(lost.not_before).max(promised);
        self.watch.lost.as_ref().map_or(self.now.mono, due)
    }

    /// The delay counts anew from now; `why` is for people.
    pub(super) fn count_anew(&mut self, at_least_ms: u64, why: &'static str) {
        let not_before = self.after(at_least_ms);
        let now = self.now;
        let Some(lost) = &mut self.watch.lost else { return };
        lost.counts_from = now.mono;
        lost.counts_anew = Some((now.wall, why));
        lost.forbidden = None;
        lost.waited = None;
        lost.not_before = lost.not_before.max(not_before);
        lost.delay_over = None;
        lost.checks_passed = None;
        lost.passed_at = None;
        self.fence.passed = None;
        self.pause_takeover_wish();
        self.timers.set(Timer::Takeover, self.takeover_due());
    }

    /// Something else answers at the master's address.
    pub(super) fn watch_foreign(&mut self, why: &str) {
        if let Some(lost) = &mut self.watch.lost {
            lost.foreign = Some(why.to_owned());
        }
    }

    /// The pinned certificate answers there again.
    pub(super) fn watch_own(&mut self) {
        if let Some(lost) = &mut self.watch.lost {
            lost.foreign = None;
        }
    }

    /// The master itself dialled this shadow: it is alive, whatever the way to it.
    pub(super) fn master_reaches_me(&mut self) {
        if self.watch.lost.is_some() && !breaks(Fault::AnswerCancelsNothing) {
            self.count_anew(0, "the master reached this shadow");
            self.watch.message =
                Some("the master reaches this shadow, but this shadow does not reach the master".into());
        }
    }

    /// The master said welcome, and this disk could not note it: it lives (spec 7.1). The next try has to fail before anything
    /// is decided, however short the delay.
    pub(super) fn master_answered_in_vain(&mut self) {
        let timing = self.timing();
        let word_ms = self.redial_pause_ms() + timing.connect_timeout_ms + timing.request_timeout_ms;
        self.count_anew(word_ms, "the master answered");
    }

    /// Why it would not take over now; none: it would, once the delay is over.
    pub(super) fn why_no_takeover(&self) -> Option<String> {
        if self.durable.own_promise.is_some() {
            return Some("it has promised not to, until it is connected again".into());
        }
        if let Some(why) = self.arbiter_mismatch() {
            return Some(format!("the two do not agree on the arbiter: {why}"));
        }
        let Some(lost) = &self.watch.lost else {
            return match self.watch.state {
                Some(LinkState::Ready) if self.pause.until.is_some() => Some("takeovers are suspended".into()),
                Some(LinkState::Ready) => None,
                _ => Some(self.unlike().unwrap_or_else(|| "it is not in sync with a master".into())),
            };
        };
        if self.leaving.is_some() {
            return Some("this instance is stopping".into());
        }
        if self.pause.until.is_some() {
            return Some("takeovers are suspended".into());
        }
        if let Some(foreign) = &lost.foreign {
            return Some(foreign.clone());
        }
        match lost.rival {
            Some(rival) if rival.wins && !self.is_fresh(rival) => {
                Some("both instances are shadows, and the other does not answer any more".into())
            }
            Some(rival) if !rival.wins && self.is_fresh(rival) => Some("the other shadow has precedence".into()),
            Some(rival) if rival.wins => None,
            _ if !lost.was_ready && self.may_be_granted_alone() => None,
            _ if !lost.was_ready && !breaks(Fault::TakesOverInHandshake) => {
                Some("it was not READY when the link broke, or since it started".into())
            }
            _ => None,
        }
    }

    /// The same for the operator, who also has to know that the disk is full, the checks failed when last asked, or the arbiter
    /// has not granted it (spec 4.3, 7.2, 7.11).
    pub(super) fn why_still_shadow(&self) -> Option<String> {
        let is_failing = !self.checks.results.is_empty() && !self.checks.pass(&self.in_force());
        let checks = || (self.watch.lost.is_some() && is_failing).then(|| "its takeover checks fail".to_owned());
        let disk = || self.book.holds("R-001", "record").then(|| "its disk cannot be written".to_owned());
        let fence =
            || self.is_fence_failing().then(|| "its fence command fails, and a takeover requires it".to_owned());
        self.why_no_takeover().or_else(disk).or_else(checks).or_else(fence).or_else(|| self.why_not_granted())
    }

    /// The master is lost and nothing forbids the takeover: what it waits for beyond the delay and its own promise, whose end is
    /// known. For people.
    pub(super) fn takeover_waits_for(&self) -> Option<String> {
        let lost = self.watch.lost.as_ref()?;
        if self.takeover_due() > self.now.mono {
            return None;
        }
        if self.is_fence_running() {
            return Some("the fence command has succeeded".into());
        }
        if lost.passed_at.is_none() && self.has_takeover_checks() {
            return Some("the takeover checks have passed".into());
        }
        self.waits_for_grant().or_else(|| {
            self.watch.applying.is_some().then(|| "the revision that is being written is on disk".to_owned())
        })
    }

    /// One that started and found its master unreachable may be granted the role, if it was READY in its last run (spec 7.4).
    fn may_be_granted_alone(&self) -> bool {
        self.has_arbiter()
            && !self.watch.was_attached
            && !self.durable.complete_wanted
            && !self.durable.forced_shadow
            && !self.durable.arbiter_differs
            && !self.facts.is_copied
            && self.head.is_some()
    }

    fn is_fresh(&self, rival: Rival) -> bool {
        self.now.mono.since(rival.at) <= self.meeting_counts_ms()
    }

    /// The delay is over, or a retry is due.
    pub(super) fn takeover_time(&mut self) {
        if !self.is_shadow() || self.watch.lost.is_none() || self.watch.attached {
            return;
        }
        if self.takeover_due() > self.now.mono {
            self.timers.set(Timer::Takeover, self.takeover_due());
            return;
        }
        if let Some(why) = self.why_no_takeover() {
            if self.leaving.is_none() {
                self.hold_alert("H-012", "", &why);
            }
            if let Some(lost) = &mut self.watch.lost {
                lost.forbidden = Some(why);
            }
            self.timers.set(Timer::Takeover, self.after(TAKEOVER_RETRY_MS));
            return;
        }
        let now = self.now;
        let is_fresh = |lost: &Lost| lost.passed_at.is_some_and(|at| now.mono.since(at) <= CHECKS_FRESH_MS);
        let has_checks = self.has_takeover_checks() && !self.watch.lost.as_ref().is_some_and(is_fresh);
        self.delay_is_over();
        let Some(counts_from) = self.watch.lost.as_ref().map(|lost| lost.counts_from) else { return };
        if has_checks {
            // Only checks that began after the delay was over count; older ones tell of another world.
            let due = counts_from.plus(self.takeover_delay_ms());
            let is_new = self.checks.begun.is_some_and(|begun| begun >= due);
            if !is_new || self.checks.running.is_some() {
                self.run_checks();
                return;
            }
            let settings = self.in_force();
            let passed = self.checks.pass(&settings);
            self.checks.begun = None;
            if !passed {
                self.hold_alert("H-012", "", "the takeover checks fail: this machine may be the one that is cut off");
                self.timers.set(Timer::Takeover, self.after(TAKEOVER_RETRY_MS));
                return;
            }
        }
        if let Some(lost) = &mut self.watch.lost {
            lost.checks_passed.get_or_insert(now.wall);
            lost.passed_at.get_or_insert(now.mono);
        }
        if !self.may_become_active() {
            // The answer of the arbiter brings it back here; so does time, because checks grow old.
            if self.timers.get(Timer::Takeover).is_none() {
                self.timers.set(Timer::Takeover, self.after(TAKEOVER_RETRY_MS));
            }
            if let Some(why) = self.arbiter_problem() {
                self.hold_alert("H-012", "", &format!("{why}: nobody can take over without it"));
            }
            return;
        }
        if self.watch.applying.is_some() {
            // A revision is being written: once this instance is master, what is edited must not be overwritten by it (spec 5.3).
            // Its end brings it back here; what comes over a connection that has ended gives up.
            self.timers.set(Timer::Takeover, self.after(TAKEOVER_RETRY_MS));
            return;
        }
        if let Some(lost) = &mut self.watch.lost {
            lost.granted = Some(now.wall);
        }
        self.fence_then_take_over();
    }

    /// Notes when the delay itself was over, and what else was waited for since; for the timeline.
    fn delay_is_over(&mut self) {
        let (now, delay_ms, promised) = (self.now, self.takeover_delay_ms(), self.last_promise_end());
        let Some(lost) = self.watch.lost.as_mut().filter(|lost| lost.delay_over.is_none()) else { return };
        let due = lost.counts_from.plus(delay_ms);
        let late_ms = i64::try_from(now.mono.since(due)).unwrap_or(0);
        lost.delay_over = Some((UnixMillis(now.wall.0.saturating_sub(late_ms)), delay_ms));
        let waited = match lost.forbidden.take() {
            Some(why) => Some(format!("not forbidden any more: {why}")),
            None if lost.not_before > due && lost.not_before >= promised => {
                Some("the word given to it over".to_owned())
            }
            None if promised > due => Some("own promise to it over".to_owned()),
            None => None,
        };
        lost.waited = waited.map(|what| (now.wall, what));
    }

    /// Runs the takeover checks, unless they run.
    pub(super) fn run_checks(&mut self) {
        if self.checks.running.is_none() {
            self.checks.running = Some(self.now.mono);
            let timeout_ms = self.in_force().takeover_checks.timeout;
            self.timers.set(Timer::ChecksLimit, self.after(timeout_ms + CHECKS_GRACE_MS));
            self.out.push(Effect::RunTakeoverChecks);
        }
    }

    /// The results are there; whoever waited for them goes on.
    pub(super) fn takeover_checked(&mut self, results: Vec<CheckResult>) {
        self.timers.clear(Timer::ChecksLimit);
        let Some(begun) = self.checks.running.take() else { return };
        self.checks.begun = Some(begun);
        self.checks.results = results;
        self.checks.told = false;
        let settings = self.in_force();
        if self.checks.pass(&settings) {
            self.settle("H-016", "");
        } else {
            let why = if settings.takeover_checks.needs_all() {
                let (configured, passing) = self.checks.counts(&settings);
                format!("{passing} of {configured} takeover checks pass on this machine, and all are required")
            } else {
                "none of the takeover checks passes on this machine".to_owned()
            };
            self.hold_alert("H-016", "", &why);
        }
        let interval_ms = settings.takeover_checks.interval;
        self.timers.set(Timer::Checks, self.after(interval_ms));
        if self.watch.lost.as_ref().is_some_and(|lost| lost.delay_over.is_some()) {
            self.takeover_time();
        }
        self.hold_checked();
        self.isolation_checked();
    }

    /// The checks beforehand, so that both sides show today whether it could take over (spec 7.2).
    pub(super) fn plan_checks(&mut self) {
        if self.in_force().takeover_checks.is_empty() {
            self.checks.results.clear();
            self.checks.told = false;
            self.settle("H-016", "");
            let interval_ms = self.in_force().takeover_checks.interval;
            self.timers.set(Timer::Checks, self.after(interval_ms.max(1_000)));
        } else {
            self.run_checks();
        }
    }

    /// The next own term on disk, then the role; the rest follows when it is there (spec 7.3).
    pub(super) fn take_over(&mut self, reason: Reason, order: Option<u64>) {
        let granted = self.granted_term();
        let term = granted.unwrap_or_else(|| self.next_own_term(Term(0)));
        let ungranted = (granted.is_none() && self.has_arbiter()).then(|| self.highest_term());
        let mut timeline = self.lost_timeline();
        timeline.push(TimelineEntry { at: self.now.wall, text: format!("term {term} on disk") });
        let notice = self.master_notice(term, reason, timeline);
        let mut draft = self.master_draft(term, reason, notice);
        draft.ungranted = ungranted;
        // Nobody has asked the former master: it may come back and believe itself master (spec 7.5).
        draft.rival_unmet = true;
        if reason == Reason::Takeover {
            draft.takeovers = self.with_takeover(term);
        }
        self.write(draft, Then::TookOver { reason, order });
    }

    /// The record of a new master.
    pub(super) fn master_draft(&self, term: Term, reason: Reason, notice: Notice) -> Durable {
        let mut draft = self.draft();
        if let Some(peer) = &mut draft.peer {
            peer.timing = self.timing();
            draft.settings_due = Some(SettingsPatch {
                enabled: Some(true),
                permitted_shadow_host: Some(Some(peer.host.clone()).filter(|host| !host.is_empty())),
                grace_period: Some(peer.grace_period_ms),
                ..SettingsPatch::default()
            });
        }
        Durable {
            role: Some(Role::Master),
            term,
            known_term: draft.known_term.max(term),
            since: self.now.wall,
            last_role_change: Some(RoleChange { at: self.now.wall, from: self.role(), reason }),
            restore_due: true,
            may_take_over: false,
            rival_unmet: false,
            ungranted: None,
            peer_promise: None,
            own_promise: None,
            offer: None,
            forced_shadow: false,
            was_master: false,
            complete_wanted: false,
            disconnected_since: None,
            notice: Some(notice),
            ..draft
        }
    }

    /// The takeover is on disk: put drift back, start the service (spec 7.3).
    pub(super) fn took_over(&mut self, reason: Reason, order: Option<u64>) {
        let missing = self.missing_revisions();
        let text = format!("this instance is now master, term {}", self.durable.term);
        self.note(EventKind::Role, Severity::Warning, text.clone());
        if let Some(missing) = missing {
            self.hold_alert("H-019", "", &missing);
        }
        if !breaks(Fault::SkipsDrift) {
            self.out.push(Effect::RestoreDrift);
        }
        self.begin_reign(StartFor::NewMaster, reason, None);
        if let Some(order) = order {
            self.done(order, text);
        }
    }

    /// It could not be written: no takeover, tried again.
    pub(super) fn takeover_not_written(&mut self, why: &str, order: Option<u64>) {
        self.timers.set(Timer::Takeover, self.after(TAKEOVER_RETRY_MS));
        if let Some(order) = order {
            self.refuse(order, "not done", format!("the disk cannot be written: {why}"), "Free space, then try again");
        }
    }

    fn missing_revisions(&self) -> Option<String> {
        let theirs = self.watch.master_head?;
        let own = self.head_id();
        let own_number = own.map_or(0, |own| own.number);
        (own != Some(theirs) && theirs.number > own_number)
            .then(|| format!("the former master had revision {}, this instance has {own_number}", theirs.number))
    }

    fn lost_timeline(&self) -> Vec<TimelineEntry> {
        let Some(lost) = &self.watch.lost else { return Vec::new() };
        let mut timeline = Vec::new();
        let mut add = |at: UnixMillis, text: String| timeline.push(TimelineEntry { at, text });
        if let Some(last) = lost.last_check {
            add(last.wall, "last check answered".into());
        }
        add(lost.since.wall, format!("the master is lost: {}", lost.why));
        if let Some((at, why)) = lost.counts_anew {
            add(at, format!("the delay counts anew: {why}"));
        }
        if let Some((at, delay_ms)) = lost.delay_over {
            let set_ms = self.timing().takeover_delay_ms;
            let many = if delay_ms > set_ms { format!(", {set_ms} ms are set: many takeovers") } else { String::new() };
            add(at, format!("takeover delay over ({delay_ms} ms{many})"));
        }
        if let Some((at, what)) = &lost.waited {
            add(*at, what.clone());
        }
        if let Some(at) = lost.checks_passed.filter(|_| !self.checks.results.is_empty()) {
            add(at, "takeover checks passed".into());
        }
        if let Some(at) = lost.granted.filter(|_| self.has_arbiter()) {
            add(at, "lease over, and the term granted by the arbiter".into());
        }
        if let Some(at) = self.fence.passed {
            add(at, "fence command succeeded".into());
        }
        timeline
    }

    pub(super) fn master_notice(&self, term: Term, reason: Reason, timeline: Vec<TimelineEntry>) -> Notice {
        let mut lines = Vec::new();
        let peer = self.peer_name();
        match self.watch.lost.as_ref().filter(|_| reason == Reason::Takeover) {
            Some(lost) => {
                let since = lost.last_check.map_or(lost.since.mono, |last| last.mono);
                let silent_ms = self.now.mono.since(since);
                let (seconds, tenths) = (silent_ms / 1_000, silent_ms % 1_000 / 100);
                lines.push(format!(
                    "{peer} was silent for {seconds}.{tenths} s. This instance took over with term {term}."
                ));
            }
            None => lines.push(format!("Term {term}; reason: {}.", reason.word())),
        }
        if let Some(head) = self.head_id() {
            lines.push(format!("Configuration revision {}.", head.number));
        }
        if reason == Reason::Takeover {
            lines.push(format!("What {peer} changed after that, if anything, is not here yet."));
        }
        if let Some(missing) =
            self.missing_revisions().filter(|_| !matches!(reason, Reason::Switch | Reason::ServiceFailed))
        {
            lines.push(format!("Newest changes are missing: {missing}."));
        }
        Notice {
            title: "THIS INSTANCE IS NOW MASTER".into(),
            at: self.now.wall,
            role: Role::Master,
            term,
            reason,
            lines,
            timeline,
        }
    }
}
