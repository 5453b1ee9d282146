//! Scanning the directory and pushing what changed (spec 5.1, 5.2, 5.5).

use super::base::{LinkId, Millis, RevisionId, Role, UnixMillis};
use super::core::Engine;
use super::effect::{Effect, Hook};
use super::event::{EventKind, Severity};
use super::input::Committed;
use super::master::Activity;
use super::message::{Applied, Branch};
use super::status::Transfer;
use super::timers::Timer;

/// First pause after a failed push, ms; doubles.
const PUSH_PAUSE_MIN_MS: u64 = 1_000;
/// Longest pause, ms.
const PUSH_PAUSE_MAX_MS: u64 = 60_000;
/// A push without acknowledgement or progress has failed after so long, ms.
const PUSH_LIMIT_MS: u64 = 10_000;
/// A transfer that makes no progress has failed after so long, ms: a disk that is told to make everything durable may take
/// that long.
const PUSH_STALLED_MS: u64 = 60_000;
/// Slowest transfer that is waited for, bytes per ms.
const PUSH_BYTES_PER_MS: u64 = 1_000;
/// A scan that failed is tried again after so long, ms (by the health check).
pub(super) const BRANCHES_MAX: usize = 1_000;

/// Pushes to the attached shadow.
#[derive(Clone, Debug, Default)]
pub(super) struct PushWork {
    /// Sent and not acknowledged.
    pub under_way: bool,
    /// Compare everything.
    pub complete: bool,
    pub pause_ms: u64,
    /// Since when pushes fail.
    pub failing: Option<UnixMillis>,
    pub last_progress: Option<Transfer>,
}

/// Scans of the directory.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ScanWork {
    pub under_way: bool,
    /// Something may have changed since the last scan began.
    pub dirty: bool,
    /// The stage that waits for a scan which begins now.
    pub then: Option<ScanThen>,
    begun: bool,
    since: Millis,
}

impl ScanWork {
    /// The stage that waits is served by the scan under way.
    pub fn is_begun(self) -> bool {
        self.begun
    }
}

/// What waits for a scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ScanThen {
    /// The hand-over.
    Handover,
    /// Becoming shadow.
    GiveWay,
    /// The offered role is given back.
    GiveBack,
}

/// `1 path`, `2 paths`.
pub(super) fn paths(count: u64) -> String {
    if count == 1 { "1 path".into() } else { format!("{count} paths") }
}

impl Engine {
    pub(super) fn directory_changed(&mut self) {
        if self.is_master() {
            self.reign.scan.dirty = true;
        } else if self.role() == Some(Role::Shadow) {
            self.look_for_drift();
        }
    }

    /// The mirrored directory is gone, or another one than before, or can be used again. A shadow puts back at once what it
    /// mirrors (spec 4.5); a master finds it by a scan.
    pub(super) fn directory_told(&mut self, problem: Option<String>) {
        let is_news = problem.is_some() && self.directory_problem.is_none();
        self.directory_problem = problem;
        if is_news && self.is_shadow() && self.head.is_some() {
            // By the way that also tells what was found.
            self.look_for_drift();
        }
    }

    /// A scan that begins after this moment, whatever runs now.
    pub(super) fn scan_for(&mut self, then: ScanThen) {
        self.reign.scan.then = Some(then);
        self.reign.scan.begun = false;
        self.reign.scan.dirty = true;
        self.plan_scan();
    }

    /// Scans when there is a reason and nothing forbids it.
    pub(super) fn plan_scan(&mut self) {
        let scan = self.reign.scan;
        if !self.is_master() || scan.under_way || !scan.dirty {
            return;
        }
        let is_asked = scan.then.is_some();
        let is_free = matches!(self.reign.activity, Activity::Active | Activity::Holding) && !self.reign.frozen;
        if is_asked || is_free {
            self.scan(!is_asked);
        }
    }

    pub(super) fn scan(&mut self, wait_quiet: bool) {
        self.reign.scan.under_way = true;
        self.reign.scan.dirty = false;
        self.reign.scan.begun = self.reign.scan.then.is_some();
        self.reign.scan.since = self.now.mono;
        self.out.push(Effect::Scan { term: self.durable.term, wait_quiet });
    }

    /// The scan is done.
    pub(super) fn scanned(&mut self, committed: Option<Committed>, problem: Option<String>) {
        self.reign.scan.under_way = false;
        if let Some(why) = &problem {
            self.hold_alert("F-001", "", why);
        } else {
            self.settle("F-001", "");
        }
        if let Some(committed) = committed {
            self.committed(committed);
        }
        if self.reign.scan.begun
            && let Some(then) = self.reign.scan.then.take()
        {
            self.reign.scan.begun = false;
            match then {
                ScanThen::Handover => self.handover_scanned(problem.as_deref()),
                ScanThen::GiveWay => self.gave_way_scanned(),
                ScanThen::GiveBack => self.gave_back_scanned(),
            }
        }
    }

    /// There is a new revision.
    pub(super) fn committed(&mut self, committed: Committed) {
        if self.head_id() != Some(committed.revision) {
            self.lengthen_trail();
        }
        let text = format!(
            "revision {} committed, {} changed by {}",
            committed.revision.number,
            paths(committed.paths_total),
            committed.author
        );
        self.note(EventKind::Configuration, Severity::Information, text);
        self.head = Some(committed);
        self.hook_configuration();
    }

    pub(super) fn hook_configuration(&mut self) {
        let (Some(role), revision) = (self.role(), self.head_id()) else { return };
        self.out.push(Effect::RunHook {
            hook: Hook::NewConfiguration,
            role,
            term: self.durable.term,
            reason: self.durable.last_role_change.as_ref().map_or(super::base::Reason::Start, |change| change.reason),
            revision,
        });
    }

    /// Pushes when the shadow lacks something and no push is under way (spec 5.2).
    pub(super) fn plan_push(&mut self) {
        let Some(id) = self.reign.shadow else { return };
        let is_wanted = self.is_active() && self.head.is_some() && !self.in_sync();
        let push = &self.reign.push;
        if !is_wanted || push.under_way || self.timers.get(Timer::PushRetry).is_some() {
            return;
        }
        let complete = push.complete;
        self.reign.push.under_way = true;
        let mut trail: Vec<RevisionId> = self.reign.peer_head.into_iter().collect();
        if let Some(hello) = &self.reign.hello {
            trail.extend(
                hello
                    .head
                    .into_iter()
                    .chain(hello.trail.iter().copied())
                    .filter(|id| Some(*id) != self.reign.peer_head),
            );
        }
        let bytes = self.head.as_ref().map_or(0, |head| head.bytes);
        let limit_ms = PUSH_LIMIT_MS + bytes / PUSH_BYTES_PER_MS;
        self.timers.set(Timer::PushLimit, self.after(limit_ms));
        self.out.push(Effect::Push { link: id, trail, complete });
    }

    /// A transfer goes on: here, or with the shadow, which says so with its checks.
    pub(super) fn progress(&mut self, transfer: Option<Transfer>) {
        if self.is_master() && self.reign.push.under_way && transfer.is_some() {
            let is_new = transfer != self.reign.push.last_progress;
            let due = self.after(PUSH_STALLED_MS);
            if is_new && self.timers.get(Timer::PushLimit).is_none_or(|at| at < due) {
                self.timers.set(Timer::PushLimit, due);
            }
        }
        self.reign.push.last_progress = transfer;
        self.transfer = transfer;
    }

    /// The shadow has it on disk.
    pub(super) fn peer_applied(&mut self, id: LinkId, applied: &Applied) {
        if self.reign.shadow != Some(id) {
            return;
        }
        let was_there = self.reign.peer_head == Some(applied.revision) && !self.reign.push.complete;
        self.timers.clear(Timer::PushLimit);
        self.reign.push.under_way = false;
        self.reign.push.complete = false;
        self.reign.peer_head = Some(applied.revision);
        let is_other = self
            .head_id()
            .is_some_and(|head| head != applied.revision && (was_there || head.number == applied.revision.number));
        if is_other {
            // Pushing again at once would go on like this for ever, as fast as the link is.
            self.transfer = None;
            self.push_trouble("the shadow acknowledges something else than what was pushed");
            self.check_sync();
            return;
        }
        self.reign.push.pause_ms = 0;
        self.transfer = None;
        self.reign.push.failing = None;
        self.check_sync();
        self.handover_synced();
    }

    pub(super) fn peer_apply_failed(&mut self, id: LinkId, revision: RevisionId, why: &str) {
        if self.reign.shadow == Some(id) {
            let why = format!("{} could not apply revision {}: {why}", self.peer_name(), revision.number);
            self.push_trouble(&why);
        }
    }

    pub(super) fn push_failed(&mut self, id: LinkId, why: &str) {
        if self.reign.shadow == Some(id) {
            self.push_trouble(why);
        }
    }

    pub(super) fn push_due(&mut self) {
        if self.reign.push.under_way {
            self.push_trouble("the shadow did not acknowledge it in time");
        }
    }

    /// Alert, and another try after a growing pause (spec 5.5).
    fn push_trouble(&mut self, why: &str) {
        self.timers.clear(Timer::PushLimit);
        self.reign.push.under_way = false;
        self.reign.push.failing.get_or_insert(self.now.wall);
        let pause_ms = (self.reign.push.pause_ms * 2).clamp(PUSH_PAUSE_MIN_MS, PUSH_PAUSE_MAX_MS);
        self.reign.push.pause_ms = pause_ms;
        self.timers.set(Timer::PushRetry, self.after(pause_ms));
        self.note(EventKind::Configuration, Severity::Error, format!("push failed: {why}"));
        self.raise("P-010", "", why);
    }

    /// `config push`: now, whatever the pause.
    ///
    /// # Errors
    /// Why not, and what to do.
    pub(super) fn push_now(&mut self) -> Result<&'static str, (&'static str, &'static str)> {
        if !self.is_master() {
            return Err(("this instance is not the master", "Only the master pushes: give the order there"));
        }
        if self.reign.shadow.is_none() {
            return Err(("no shadow is connected", "Connect the shadow first"));
        }
        if self.in_sync() {
            return Ok("the shadow has the newest revision already");
        }
        self.timers.clear(Timer::PushRetry);
        Ok("pushing now")
    }

    /// Revisions only this instance had were kept (spec 7.6).
    pub(super) fn kept_branch(&mut self, branch: &Branch) {
        if !self.branches.contains(&branch.name) && self.branches.len() < BRANCHES_MAX {
            self.branches.push(branch.name.clone());
        }
        let why = branch_text("this instance", branch);
        self.note(EventKind::Configuration, Severity::Warning, why.clone());
        self.tell("F-020", &branch.name, &why);
    }

    /// The loser of a divergence tells what it kept (spec 7.6).
    pub(super) fn branch_kept(&mut self, branch: &Branch) {
        let name: String = branch.name.chars().take(100).collect();
        let why = branch_text(&self.peer_name(), branch);
        self.note(EventKind::Configuration, Severity::Warning, why.clone());
        self.tell("F-020", &name, &why);
    }
}

fn branch_text(keeper: &str, branch: &Branch) -> String {
    let files: Vec<&str> = branch.files.iter().take(super::message::BRANCH_FILES_MAX).map(String::as_str).collect();
    format!(
        "{keeper} keeps {} revision{} that changed {}: {}",
        branch.revisions,
        if branch.revisions == 1 { "" } else { "s" },
        paths(branch.files_total),
        files.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::base::{InstanceId, Millis, Now, UnixMillis};
    use crate::engine::durable::Durable;
    use crate::engine::effect::Effects;
    use crate::engine::input::{Boot, Input};
    use crate::engine::order::{Actor, Order};

    fn refusal(role: Role) -> String {
        let now = Now { mono: Millis(1), wall: UnixMillis(1) };
        let durable = Durable { role: Some(role), ..Durable::new(InstanceId(uuid::Uuid::from_u128(1))) };
        let mut engine = Engine::new(now, Boot::of(durable, "none"));
        let mut effects = Effects::default();
        let actor = Actor { user: "anna".into() };
        engine.handle(now, Input::Order { id: 7, actor, order: Order::PushNow }, &mut effects);
        let answer = effects.take().into_iter().find_map(|effect| match effect {
            Effect::Reply { id: 7, outcome } => outcome.err(),
            _ => None,
        });
        answer.expect("it is refused").to_string()
    }

    /// spec 5.5: who cannot push says what is true of it, and what to do
    #[test]
    fn a_push_that_cannot_be_is_refused_with_the_truth() {
        let of_shadow = refusal(Role::Shadow);
        assert!(of_shadow.contains("not the master") && !of_shadow.contains("Connect"), "{of_shadow}");
        assert!(refusal(Role::Master).contains("no shadow is connected"));
    }
}
