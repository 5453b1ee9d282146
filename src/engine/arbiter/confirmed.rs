//! The master: active only while, within the hold time, the shadow or the arbiter has confirmed it (spec 7.11).

use super::super::base::{LinkId, Millis, Reason};
use super::super::core::Engine;
use super::super::durable::Durable;
use super::super::effect::Effect;
use super::super::event::{EventKind, Severity};
use super::super::master::Activity;
use super::super::message::{Body, Renewal};
use super::super::then::Then;
use super::super::timers::Timer;
use super::super::work::{StartFor, StopFor};
use super::asking::RENEWALS_PER_HOLD;
use super::{Asked, Confirmations, Isolated, OpenRenewal, RENEWALS_OPEN_MAX};

/// Unconfirmed, the peer is asked so often over every connection, ms.
const UNCONFIRMED_RENEWAL_MS: u64 = 200;

impl Engine {
    /// Its right to be active has to be confirmed again and again.
    pub(in super::super) fn needs_confirmation(&self) -> bool {
        self.has_arbiter() && self.durable.peer_promise.is_none() && !self.arb.is_waived
    }

    /// Until when this master is confirmed, whoever did it.
    pub(in super::super) fn confirmed_until(&self) -> Option<Millis> {
        let given = &self.arb.confirmations;
        given.newest().filter(|_| given.term == self.durable.term)
    }

    /// It may be active now.
    pub(in super::super) fn is_confirmed(&self) -> bool {
        !self.needs_confirmation() || self.confirmed_until().is_some_and(|until| until > self.now.mono)
    }

    /// A master whose hold time is over does nothing more before it is confirmed (spec 7.11, 7.12).
    pub(in super::super) fn check_hold(&mut self) {
        if self.is_active() && self.arb.was_needed && !self.is_confirmed() {
            // The setting may be another by now than the one that the last confirmation was counted with.
            let why =
                format!("neither {} nor the arbiter confirmed this master within its hold time", self.peer_name());
            self.isolate(false, &why);
        }
    }

    /// Keeps the guard's limit, the hold timer and the renewals in step.
    pub(in super::super) fn plan_confirmation(&mut self) {
        let is_needed = self.needs_confirmation();
        if is_needed && !self.arb.was_needed && self.is_active() {
            // Until this moment nobody could take over: a standing promise, no arbiter, or an operator's word.
            let (until, term) = (self.after(self.settings.arbiter.hold), self.durable.term);
            self.confirmations_of(term).standing = Some(until);
        }
        self.arb.was_needed = is_needed;
        self.allow_service();
        let is_watched = is_needed && self.is_active();
        match self.confirmed_until().filter(|_| is_watched) {
            Some(until) => self.timers.set(Timer::Hold, until),
            None => self.timers.clear(Timer::Hold),
        }
        let renews = is_needed && self.is_master() && self.renewal_works();
        if renews {
            self.timers.set_if_unset(Timer::Renew, self.next_renewal());
        } else {
            self.timers.clear(Timer::Renew);
        }
    }

    fn next_renewal(&self) -> Millis {
        let pause_ms =
            if self.is_active() { self.settings.arbiter.hold / RENEWALS_PER_HOLD } else { UNCONFIRMED_RENEWAL_MS };
        // Never in the past: a moment long gone would look like a stall.
        self.arb.last_renewal.map_or(self.now.mono, |last| last.plus(pause_ms).max(self.now.mono))
    }

    fn renewal_works(&self) -> bool {
        matches!(self.reign.activity, Activity::Active | Activity::Holding | Activity::Isolated)
            && self.durable.offer.is_none()
            && !self.is_unsettled_copy()
    }

    /// Tells the guard until when the service may run, whatever becomes of Standin.
    pub(in super::super) fn allow_service(&mut self) {
        if !self.is_active() {
            return;
        }
        let until = self.confirmed_until().filter(|_| self.needs_confirmation());
        if until != self.arb.allowed {
            self.arb.allowed = until;
            self.out.push(Effect::AllowServiceUntil(until));
        }
    }

    /// The renewal that goes with an answer to a check; not with each one when checks are frequent.
    pub(in super::super) fn renewal_for_check(&mut self) -> Option<Renewal> {
        if !self.needs_confirmation() || !self.renewal_works() {
            return None;
        }
        let pause_ms = self.settings.arbiter.hold / (2 * RENEWALS_PER_HOLD);
        let is_recent = self.arb.last_renewal.is_some_and(|last| self.now.mono.since(last) < pause_ms);
        if is_recent && self.is_active() { None } else { Some(self.new_renewal()) }
    }

    fn new_renewal(&mut self) -> Renewal {
        self.arb.next_serial += 1;
        let serial = self.arb.next_serial;
        if self.arb.renewals.len() >= RENEWALS_OPEN_MAX {
            self.arb.renewals.pop_front();
        }
        let until = self.after(self.settings.arbiter.hold);
        self.arb.renewals.push_back(OpenRenewal { serial, sent: self.now.mono, until });
        self.arb.last_renewal = Some(self.now.mono);
        Renewal { serial, promise_ms: self.own_promise_ms() }
    }

    /// Asks the peer over one connection to confirm this master.
    pub(in super::super) fn renew_over(&mut self, id: LinkId) {
        if self.needs_confirmation() && self.is_master() && self.renewal_works() {
            let renewal = self.new_renewal();
            self.send(id, Body::Renew(renewal));
        }
    }

    /// The time for a renewal outside of the checks has come.
    pub(in super::super) fn renew_due(&mut self) {
        if !self.needs_confirmation() || !self.renewal_works() {
            return;
        }
        let links = if self.is_active() { self.reign.shadow.into_iter().collect() } else { self.live_links() };
        if self.next_renewal() <= self.now.mono {
            for id in links {
                self.renew_over(id);
            }
            // Nobody to ask: the pause counts all the same.
            self.arb.last_renewal = Some(self.now.mono);
        }
    }

    /// The peer has promised, for a renewal of this run.
    pub(in super::super) fn renewal_confirmed(&mut self, serial: u64) {
        let Some(index) = self.arb.renewals.iter().position(|open| open.serial == serial) else { return };
        let OpenRenewal { sent, until, .. } = self.arb.renewals[index];
        self.arb.renewals.drain(..=index);
        if !self.is_master() {
            return;
        }
        let term = self.durable.term;
        let given = self.confirmations_of(term);
        given.by_shadow = given.by_shadow.max(Some(until));
        if self.stall.is_over_by(sent) {
            self.fresh_round();
        }
        self.was_confirmed();
    }

    /// The arbiter has.
    pub(super) fn arbiter_confirmed(&mut self, asked: Asked) {
        if !self.is_master() {
            return;
        }
        self.arb.is_outdated = false;
        let term = self.durable.term;
        let given = self.confirmations_of(term);
        given.by_arbiter = given.by_arbiter.max(Some(asked.until));
        if self.durable.ungranted.is_some() && self.is_settled_on_disk() {
            let draft = Durable { ungranted: None, ..self.draft() };
            self.write(draft, Then::Nothing);
        }
        self.was_confirmed();
    }

    /// Those for that term; of an earlier one nothing counts.
    pub(super) fn confirmations_of(&mut self, term: super::super::base::Term) -> &mut Confirmations {
        if self.arb.confirmations.term != term {
            self.arb.confirmations = Confirmations { term, ..Confirmations::default() };
            self.arb.renewals.clear();
        }
        &mut self.arb.confirmations
    }

    /// The hold time is shorter from now on. Nothing that was confirmed, or asked for, outlasts it: an arbiter that loses its memory
    /// now pauses for as long as this instance then says, and the shadow may be granted the role after that (spec 7.11).
    pub(in super::super) fn hold_shortened(&mut self) {
        let latest = self.after(self.settings.arbiter.hold);
        let arb = &mut self.arb;
        let asked = arb.asked.iter_mut().map(|asked| &mut asked.until);
        let granted = arb.grant.iter_mut().map(|grant| &mut grant.until);
        let renewals = arb.renewals.iter_mut().map(|renewal| &mut renewal.until);
        for until in arb.confirmations.all().chain(asked).chain(granted).chain(renewals) {
            *until = (*until).min(latest);
        }
    }

    fn was_confirmed(&mut self) {
        self.arb.is_waived = false;
        if !self.is_confirmed() {
            return;
        }
        match self.reign.activity {
            Activity::Holding if self.durable.offer.is_none() => {
                self.note(EventKind::Role, Severity::Information, "confirmed; this master goes on");
                self.resume();
            }
            Activity::Isolated => self.isolation_may_end(),
            _ => {}
        }
    }

    /// Becomes active, or waits as master until somebody confirms it.
    pub(in super::super) fn begin_reign(&mut self, purpose: StartFor, reason: Reason, keep: Option<LinkId>) {
        if let Some(grant) = self.arb.grant.take().filter(|grant| grant.term == self.durable.term) {
            let given = self.confirmations_of(grant.term);
            given.by_arbiter = given.by_arbiter.max(Some(grant.until));
        }
        self.become_active_keeping(keep);
        self.arb.was_needed = self.needs_confirmation();
        if self.is_confirmed() {
            self.start_service(purpose, reason);
            return;
        }
        self.reign.activity = Activity::Isolated;
        "waiting for the other instance or the arbiter to confirm this master".clone_into(&mut self.reign.hold_why);
        self.reign.isolated = Some(Isolated { by_checks: false, since: self.now.mono, purpose, reason });
        if purpose == StartFor::Offer {
            // The role is on trial until the service runs.
            self.work.starting = Some((purpose, reason));
        }
        self.arb.last_renewal = None;
        self.renew_due();
    }

    /// Stops the service at once and keeps the role (spec 7.10, 7.11).
    pub(in super::super) fn isolate(&mut self, by_checks: bool, why: &str) {
        self.note(EventKind::Role, Severity::Error, format!("isolated, stopping the service: {why}"));
        self.hold_alert("H-023", "", why);
        let purpose = match self.work.starting {
            Some((StartFor::Offer, _)) => StartFor::Offer,
            _ => StartFor::NewMaster,
        };
        self.reign.activity = Activity::Isolated;
        why.clone_into(&mut self.reign.hold_why);
        let reason = Reason::Isolated;
        self.reign.isolated = Some(Isolated { by_checks, since: self.now.mono, purpose, reason });
        if self.handover.is_some() {
            self.handover_abort(why);
        }
        let is_stopping =
            self.leaving.as_ref().is_some_and(|leaving| leaving.stage != super::super::stop::LeaveStage::Pausing);
        if !is_stopping {
            self.stop_service(StopFor::Isolated, 0, reason);
        }
        self.timers.clear(Timer::Redial);
        if by_checks {
            self.timers.set(Timer::Checks, self.after(super::super::isolation::RECHECK_MS));
            // A shadow that is only slow, or heard one way, keeps its connection.
            self.timers.set(Timer::AskLimit, self.after(self.redial_pause_ms()));
        }
    }

    /// It may be over: confirmed, stopped before, and nobody of a higher term.
    pub(in super::super) fn isolation_may_end(&mut self) {
        let Some(isolated) = self.reign.isolated else { return };
        let is_free = self.work.stopping.is_none() && self.leaving.is_none() && self.is_settled_on_disk();
        let is_barred = self.stall.is_barred() || self.highest_term() > self.durable.term;
        if self.reign.activity != Activity::Isolated || !is_free || is_barred {
            return;
        }
        // One by its checks ends by them, or by the word of its peer.
        if isolated.by_checks || !self.is_confirmed() {
            return;
        }
        self.end_isolation(isolated, "confirmed");
    }

    /// Its service has stopped.
    pub(in super::super) fn isolation_stopped(&mut self) {
        if self.leaving.is_none() && self.needs_confirmation() {
            // What was confirmed before the stop does not start it again: only a fresh round does.
            let term = self.durable.term;
            let is_fresh = self.is_confirmed();
            if !is_fresh {
                *self.confirmations_of(term) = Confirmations { term, ..Confirmations::default() };
            }
        }
        self.isolation_may_end();
    }

    /// There is no third vote any more: a master that waited for it waits as one without arbiter does, by the boot hold, and asks
    /// its peer all the while (spec 7.5): that may have taken over.
    pub(in super::super) fn arbiter_given_up(&mut self) {
        self.no_arbiter_trouble();
        if !self.is_master() || self.leaving.is_some() {
            return;
        }
        let is_isolated = self.reign.isolated.is_some_and(|isolated| !isolated.by_checks)
            && self.reign.activity == Activity::Isolated;
        if is_isolated && !self.work.is_role_sure() {
            // On trial: the service of the former master has stopped, and nobody else has to confirm that.
            return self.isolation_may_end();
        }
        if is_isolated || self.reign.activity == Activity::Holding {
            self.reign.isolated = None;
            self.settle("H-023", "");
            let name = self.peer_name();
            self.begin_hold(&format!("there is no arbiter any more; asking {name} whether it has taken over"));
            for id in self.live_links() {
                self.ask_over(id);
            }
        }
    }

    /// Active again.
    pub(in super::super) fn end_isolation(&mut self, isolated: Isolated, why: &str) {
        if !self.is_confirmed() {
            return;
        }
        self.reign.isolated = None;
        if isolated.reason == Reason::Isolated {
            let span_ms = self.now.mono.since(isolated.since);
            self.note(EventKind::Role, Severity::Warning, format!("active again after {span_ms} ms: {why}"));
        }
        if isolated.purpose == StartFor::Offer {
            self.work.starting = None;
        }
        self.become_active();
        self.start_service(isolated.purpose, isolated.reason);
    }

    /// The new term is on disk.
    pub(in super::super) fn term_raised(&mut self, order: Option<u64>) {
        let text = format!("this instance is master with term {}", self.durable.term);
        self.note(EventKind::Role, Severity::Warning, text.clone());
        let grant = self.arb.grant.take().filter(|grant| grant.term == self.durable.term);
        if let Some(grant) = grant {
            let given = self.confirmations_of(grant.term);
            given.by_arbiter = given.by_arbiter.max(Some(grant.until));
        }
        if self.leaving.is_some() {
            return self.leave_now("the role was not taken");
        }
        if self.is_active() {
            self.run_role_hook(super::super::effect::Hook::BecomeMaster, Reason::Start);
        } else if self.reign.activity == Activity::Isolated {
            self.isolation_may_end();
        } else {
            self.begin_reign(StartFor::NewMaster, Reason::Start, None);
        }
        if let Some(order) = order {
            self.done(order, text);
        }
    }
}
