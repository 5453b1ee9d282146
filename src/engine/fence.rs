//! The fence hook (spec 7.13): before a takeover where it is required, and when a stop has failed.

use super::base::{Millis, Reason, Term, UnixMillis};
use super::core::Engine;
use super::effect::Effect;
use super::event::{EventKind, Severity};
use super::timers::Timer;

/// An answer that does not come within this, on top of the hook's own time limit, is a failure, ms.
const ANSWER_GRACE_MS: u64 = 2_000;
/// A takeover whose fence failed is tried again after so long, ms.
const FENCE_RETRY_MS: u64 = 1_000;

/// The hook's run under way, and what came of the last.
#[derive(Clone, Debug, Default)]
pub(super) struct FenceWork {
    running: Option<(FenceFor, Millis)>,
    /// It has succeeded for the takeover that goes on.
    pub passed: Option<UnixMillis>,
    /// It ran for the stop that failed; once is enough.
    is_run_for_stop: bool,
}

/// Why it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FenceFor {
    /// The loss whose delay counts from then.
    Takeover(Millis),
    Stop,
}

impl Engine {
    /// Delay and checks are over: the last step before the term is written. A required fence must succeed first.
    pub(super) fn fence_then_take_over(&mut self) {
        let in_force = self.in_force();
        let is_done = self.fence.passed.is_some() && self.has_arbiter();
        if !in_force.hooks.fence_required || in_force.hooks.fence.is_empty() || is_done {
            return self.take_over(Reason::Takeover, None);
        }
        let Some(counts_from) = self.watch.lost.as_ref().map(|lost| lost.counts_from) else { return };
        let limit_ms = in_force.hooks.timeout.saturating_add(ANSWER_GRACE_MS);
        if let Some((FenceFor::Takeover(_), since)) = self.fence.running
            && self.now.mono.since(since) < limit_ms
        {
            return;
        }
        self.fence.running = Some((FenceFor::Takeover(counts_from), self.now.mono));
        self.note(EventKind::Role, Severity::Information, "running the fence command, which this takeover requires");
        let term = self.granted_term().unwrap_or_else(|| self.next_own_term(Term(0)));
        self.out.push(Effect::RunFence { term, reason: Reason::Takeover });
        self.timers.set(Timer::Takeover, self.after(limit_ms));
    }

    /// It runs for a takeover.
    pub(super) fn is_fence_running(&self) -> bool {
        matches!(self.fence.running, Some((FenceFor::Takeover(_), _)))
    }

    /// The master is lost, and the fence that its takeover requires has failed; it is tried again.
    pub(super) fn is_fence_failing(&self) -> bool {
        let is_wanted = self.watch.lost.is_some() && self.in_force().hooks.fence_required;
        is_wanted && self.fence.passed.is_none() && self.book.holds("V-011", "")
    }

    /// The service does not stop here: at least nobody shall be harmed by it.
    pub(super) fn fence_after_failed_stop(&mut self, reason: Reason) {
        if self.in_force().hooks.fence.is_empty() || self.fence.is_run_for_stop {
            return;
        }
        self.fence.is_run_for_stop = true;
        self.fence.running = Some((FenceFor::Stop, self.now.mono));
        self.out.push(Effect::RunFence { term: self.durable.term, reason });
    }

    /// It stopped after all.
    pub(super) fn fence_not_needed(&mut self) {
        self.fence.is_run_for_stop = false;
        self.settle("V-011", "");
    }

    /// The hook has ended.
    pub(super) fn fenced(&mut self, ok: bool, output: &str) {
        let Some((purpose, _)) = self.fence.running.take() else { return };
        if ok {
            self.settle("V-011", "");
        } else {
            self.hold_alert("V-011", "", output);
        }
        let FenceFor::Takeover(counts_from) = purpose else { return };
        let is_still_lost = self.watch.lost.as_ref().is_some_and(|lost| lost.counts_from == counts_from);
        if !self.is_shadow() || !is_still_lost || self.watch.attached || self.why_no_takeover().is_some() {
            self.note(
                EventKind::Role,
                Severity::Warning,
                "the fence command has run, and the takeover is not due any more",
            );
            return;
        }
        if ok {
            self.fence.passed = Some(self.now.wall);
            // It took its time: promise and grant have to hold still (spec 7.11).
            if self.may_become_active() {
                self.take_over(Reason::Takeover, None);
            } else if self.promise_runs_until().is_none() {
                self.timers.set(Timer::Takeover, self.after(FENCE_RETRY_MS));
            }
        } else {
            self.note(EventKind::Role, Severity::Error, format!("no takeover: the fence command failed: {output}"));
            self.hold_alert("H-012", "", "its fence command fails, and a takeover requires it");
            self.timers.set(Timer::Takeover, self.after(FENCE_RETRY_MS));
        }
    }

    /// The alert of a failed fence ends with what it was run for.
    pub(super) fn fence_health(&mut self) {
        let is_wanted = self.watch.lost.is_some() && self.is_shadow() || self.work.stuck;
        if !is_wanted && self.fence.running.is_none() {
            self.fence_not_needed();
        }
    }
}
