//! Standin itself was late: suspended, stopped, starved (spec 7.12). Whoever was away decides nothing before it has heard anew.

use super::base::Millis;
use super::core::Engine;
use super::event::{EventKind, Severity};
use super::master::Activity;
use super::timers::Timer;

/// Late by more than this, or than the hold time if that is shorter, is a stall, ms.
const STALL_MS: u64 = 2_000;

/// The last stall, as long as nothing fresh was heard.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Stall {
    barred_since: Option<Millis>,
}

impl Stall {
    /// No role is decided now.
    pub fn is_barred(self) -> bool {
        self.barred_since.is_some()
    }

    /// A question sent then was sent after the stall.
    pub fn is_over_by(self, sent: Millis) -> bool {
        self.barred_since.is_some_and(|since| sent >= since)
    }
}

impl Engine {
    /// The shorter of hold time and 2 s.
    fn stall_limit_ms(&self) -> u64 {
        if self.has_arbiter() { self.settings.arbiter.hold.min(STALL_MS) } else { STALL_MS }
    }

    /// The own notice: the clock is far past the moment that was waited for.
    pub(super) fn notice_stall(&mut self) {
        if self.is_writing() {
            return;
        }
        let late_ms = self.deadline().map_or(0, |due| self.now.mono.since(due));
        if late_ms > self.stall_limit_ms() {
            self.stalled(late_ms);
        }
    }

    /// Late by so much.
    pub(super) fn stalled(&mut self, late_ms: u64) {
        if late_ms <= self.stall_limit_ms() || self.role().is_none() {
            return;
        }
        let is_news = self.stall.barred_since.is_none_or(|since| self.now.mono.since(since) > 0);
        if is_news {
            let text = format!("Standin was late by {late_ms} ms: no role is decided before something fresh is heard");
            self.note(EventKind::Program, Severity::Warning, text);
        }
        self.stall.barred_since = Some(self.now.mono);
        if self.is_shadow() {
            self.shadow_stalled();
        } else {
            self.master_stalled();
        }
    }

    /// Whatever ran out meanwhile says nothing about the master: the delay counts anew from the first check after it.
    fn shadow_stalled(&mut self) {
        self.count_anew(0, "this instance had stalled");
        self.forget_checks_under_way();
        if self.watch.attached {
            self.timers.clear(Timer::CheckLimit);
            self.send_check();
        } else if self.watch.lost.is_none() {
            self.stall.barred_since = None;
        }
    }

    /// The shadow may have taken over: it is asked before anything else is done.
    fn master_stalled(&mut self) {
        let could_be_replaced = self.durable.may_take_over && self.durable.peer_promise.is_none();
        if !could_be_replaced && !self.has_arbiter() {
            self.stall.barred_since = None;
            return;
        }
        if self.reign.activity == Activity::Active {
            self.timers.clear(Timer::Redial);
            self.timers.set(Timer::StallLimit, self.after(self.in_force().high_availability.boot_hold));
            for id in self.live_links() {
                self.ask_over(id);
            }
        }
    }

    /// An answer to something that was sent after the stall.
    pub(super) fn fresh_round(&mut self) {
        if self.stall.barred_since.take().is_some() {
            self.timers.clear(Timer::StallLimit);
            self.note(EventKind::Program, Severity::Information, "heard anew after the stall");
            self.isolation_may_end();
            if self.is_active() && self.handover.is_none() {
                self.service_after_stall();
            }
        }
    }

    /// Nobody answers, and no arbiter is asked: as at a start, this master goes on (spec 7.5).
    pub(super) fn stall_due(&mut self) {
        if !self.has_arbiter() {
            self.fresh_round();
        }
    }
}
