//! Handing the role over: a planned switch, or the last act of a planned stop (spec 7.7, 7.9).

use super::base::{LinkId, Reason, Term};
use super::core::Engine;
use super::durable::{Durable, OpenOffer};
use super::event::{EventKind, Severity};
use super::faults::{Fault, breaks};
use super::master::Activity;
use super::message::{Body, Offer, OfferKind};
use super::order::{Rehearsal, Reply};
use super::push::ScanThen;
use super::status::CheckResult;
use super::then::Then;
use super::timers::Timer;
use super::work::{StartFor, StopFor};

/// The last changes must reach the shadow within, ms.
const SYNC_LIMIT_MS: u64 = 10_000;
/// The same at a planned stop, ms.
const STOP_SYNC_LIMIT_MS: u64 = 2_000;
/// The offer is repeated so often, ms.
const OFFER_REPEAT_MS: u64 = 200;
/// Unanswered for so many request timeouts, it is in doubt.
const DOUBT_TIMEOUTS: u64 = 3;

/// A switch waits so long for a shadow that is about to be READY, ms.
const READY_WAIT_MS: u64 = 5_000;
/// So soon after a change of roles even one that is not connected yet is waited for, ms.
const READY_RECENT_MS: i64 = 10_000;
/// Checks of a switch that pass by themselves soon.
const SOON: [&str; 3] = ["the shadow is connected", "the shadow is READY", "same revision"];

/// A hand-over under way.
#[derive(Clone, Debug)]
pub(super) struct Handover {
    pub kind: OfferKind,
    pub order: Option<u64>,
    pub stage: Stage,
    scanned: bool,
}

impl Handover {
    /// The directory was read for this stage.
    pub fn is_scanned(&self) -> bool {
        self.scanned
    }
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// The last changes go to the shadow; the service still runs.
    Syncing,
    /// The service is being stopped.
    Stopping,
    /// What it wrote while it stopped goes to the shadow.
    Resyncing,
    /// The offer is on disk, or about to be.
    Offered,
}

impl Engine {
    /// Every check of a switch.
    pub(super) fn switch_checks(&self) -> Vec<CheckResult> {
        let mut list = Vec::new();
        let mut add = |target: &str, ok: bool, message: String| {
            list.push(CheckResult { target: target.into(), ok, message: if ok { String::new() } else { message } });
        };
        let name = self.peer_name();
        let condition = self.condition().map_or("not master", super::base::Condition::word);
        add("this instance is active", self.is_active() && self.handover.is_none(), format!("condition {condition}"));
        let is_paired = self.peer().is_some();
        let is_connected = self.reign.shadow.is_some();
        let missing = if is_paired { format!("{name} is not connected") } else { "there is no pair yet".into() };
        add("the shadow is connected", is_connected, missing);
        let why = self.reign.peer_unlike.as_ref().filter(|_| is_connected);
        let not_ready = why.map_or(format!("{name} is not READY"), |why| format!("{name} is not READY: {why}"));
        add("the shadow is READY", self.reign.peer_ready, not_ready);
        add("same revision", self.in_sync(), format!("{name} has not the newest revision yet"));
        let directory = self.directory_problem.clone().or_else(|| self.book.why_of("F-001", "").map(str::to_owned));
        add("changes here are taken up", directory.is_none(), directory.unwrap_or_default());
        add("the versions can talk", is_paired, "there is no pair yet".into());
        let told =
            if is_connected { format!("those of {name} fail") } else { "not known before it is connected".into() };
        add("takeover checks of the shadow", self.reign.peer_checks_pass, told);
        let addresses = self.peer_lacks_addresses();
        let lacks = addresses.clone().unwrap_or_default();
        add("virtual addresses of the shadow", addresses.is_none(), lacks);
        let has_service =
            self.facts.service_kind == "none" || self.reign.hello.as_ref().is_none_or(|hello| hello.service != "none");
        add("the shadow has a service", has_service, format!("{name} has no service configured"));
        let ahead = self.ahead_problem();
        add("the shadow can start the service", ahead.is_none(), ahead.unwrap_or_default().to_owned());
        list
    }

    /// `ha switch`.
    pub(super) fn switch(&mut self, id: u64, dry_run: bool) {
        let checks = self.switch_checks();
        if dry_run {
            let rehearsal = self.rehearsal(checks);
            return self.reply(id, Ok(Reply::Rehearsal(rehearsal)));
        }
        if self.stall.is_barred() {
            let why = "Standin was late a moment ago, and has not heard from the other instance since";
            return self.refuse(id, "roles not switched", why, "Try again");
        }
        if self.leaving.is_some() {
            // It waited for the shadow, and this instance was told to stop meanwhile.
            return self.refuse(id, "roles not switched", "this instance is stopping", "");
        }
        if self.switch_waits(id, &checks) {
            return;
        }
        if let Some(failed) = checks.iter().find(|check| !check.ok) {
            let todo = if self.peer().is_some() {
                "Wait until the shadow is READY and in sync; `ha switch --dry-run` shows every check"
            } else {
                "Connect a shadow first: `standin shadow connect` on the other machine"
            };
            return self.refuse(id, "roles not switched", format!("{}: {}", failed.target, failed.message), todo);
        }
        self.note(EventKind::Role, Severity::Information, "switching roles");
        if let Some(why) = self.vote_used_up() {
            self.note(EventKind::Role, Severity::Warning, why);
        }
        self.begin_handover(OfferKind::Switch, Some(id));
    }

    /// Every check was passed: the last changes go over, then the role.
    pub(super) fn begin_handover(&mut self, kind: OfferKind, order: Option<u64>) {
        if let Some(waiting) = self.reign.switch_wait.take().filter(|waiting| Some(*waiting) != order) {
            // It would get no answer from what this instance is afterwards.
            self.timers.clear(Timer::SwitchWait);
            self.refuse(waiting, "roles not switched", "the role is being handed over already", "Wait for it to end");
        }
        self.begin_steps("switch begun, changes are frozen");
        self.reign.frozen = true;
        self.handover = Some(Handover { kind, order, stage: Stage::Syncing, scanned: false });
        self.timers.set(Timer::Handover, self.after(SYNC_LIMIT_MS));
        self.scan_for(ScanThen::Handover);
    }

    /// A shadow that is about to be READY is waited for, so that roles can be switched back at once. True: it waits.
    fn switch_waits(&mut self, id: u64, checks: &[CheckResult]) -> bool {
        let is_close = |check: &CheckResult| check.ok || SOON.contains(&check.target.as_str());
        let is_after_switch =
            self.durable.last_role_change.as_ref().is_some_and(|change| change.reason == Reason::Switch)
                && self.now.wall.0 - self.durable.since.0 < READY_RECENT_MS;
        let is_new = self.is_active() && (self.heard_link().is_some() || is_after_switch);
        let waits = self.reign.switch_wait.is_none()
            && is_new
            && checks.iter().any(|check| !check.ok)
            && checks.iter().all(is_close)
            && self.peer().is_some()
            && self.durable.peer_promise.is_none();
        if waits {
            self.reign.switch_wait = Some(id);
            self.timers.set(Timer::SwitchWait, self.after(READY_WAIT_MS));
        }
        waits
    }

    /// The shadow may be READY now: the switch that waits for it goes on.
    pub(super) fn switch_goes_on(&mut self) {
        if self.reign.switch_wait.is_some() && self.switch_checks().iter().all(|check| check.ok) {
            self.switch_wait_over();
        }
    }

    /// It is decided now, with whatever the checks say.
    pub(super) fn switch_wait_over(&mut self) {
        let Some(id) = self.reign.switch_wait else { return };
        self.timers.clear(Timer::SwitchWait);
        // Kept until it is through, so that it waits only once.
        self.switch(id, false);
        self.reign.switch_wait = None;
    }

    fn rehearsal(&self, checks: Vec<CheckResult>) -> Rehearsal {
        let (name, term) = (self.peer_name(), self.offer_term());
        let grace_ms = self.in_force().high_availability.grace_period;
        let mut steps = vec![
            "changes are frozen, and the last ones go to the shadow".into(),
            format!("the service is stopped here, with {grace_ms} ms to end in peace"),
            format!("{name} is offered the role at term {term}"),
            format!("{name} writes the term and starts the service"),
            "this instance becomes its shadow".into(),
        ];
        steps.extend(self.start_problem().map(|why| format!("WARNING: {why}")));
        steps.extend(self.held_problem().map(|why| {
            format!("WARNING: {why}: as shadow this instance puts back the last good content, and keeps what is there as a drift, which `standin config branches show` gives back (F-024)")
        }));
        steps.extend(self.vote_used_up().map(|why| format!("WARNING: {why}")));
        Rehearsal {
            possible: checks.iter().all(|check| check.ok),
            new_master: name,
            term,
            checks,
            steps,
            gap: self.expected_gap(),
        }
    }

    /// The smallest term above all known that is the peer's.
    fn offer_term(&self) -> Term {
        let theirs = self.peer().map_or(super::base::OwnTerms::Even, |peer| peer.own_terms.other());
        theirs.next_above(self.highest_term().max(self.arbiter_term()))
    }

    /// At a planned stop the service is stopped already: what is left goes over, then the role (spec 7.9).
    pub(super) fn hand_over_at_stop(&mut self) {
        self.reign.frozen = true;
        self.begin_steps("planned stop, the service has stopped");
        self.handover = Some(Handover { kind: OfferKind::Stop, order: None, stage: Stage::Resyncing, scanned: false });
        self.timers.set(Timer::Handover, self.after(STOP_SYNC_LIMIT_MS));
        self.scan_for(ScanThen::Handover);
    }

    pub(super) fn handover_scanned(&mut self, problem: Option<&str>) {
        if let Some(why) = problem {
            return self.handover_abort(&format!("the directory cannot be read: {why}"));
        }
        if let Some(handover) = &mut self.handover {
            handover.scanned = true;
        }
        self.handover_synced();
    }

    /// Goes on when the shadow has everything.
    pub(super) fn handover_synced(&mut self) {
        if !self.in_sync() {
            return;
        }
        let pair_grace_ms = self.in_force().high_availability.grace_period;
        let Some(handover) = self.handover.as_mut().filter(|handover| handover.scanned) else { return };
        match handover.stage {
            Stage::Syncing => {
                handover.stage = Stage::Stopping;
                handover.scanned = false;
                self.timers.clear(Timer::Handover);
                // What fails anyway needs no time to end in peace.
                let (grace_ms, reason) = match handover.kind {
                    OfferKind::Failing => (0, Reason::ServiceFailed),
                    OfferKind::Switch | OfferKind::Stop => (pair_grace_ms, Reason::Switch),
                };
                let peace = if grace_ms > 0 { format!(", and has {grace_ms} ms to end before") } else { String::new() };
                self.step(format!("the shadow has the last changes; the service is told to stop{peace}"));
                self.stop_service(StopFor::Handover, grace_ms, reason);
            }
            Stage::Resyncing => self.write_offer(),
            Stage::Stopping | Stage::Offered => {}
        }
    }

    pub(super) fn handover_stopped(&mut self) {
        let Some(handover) = &mut self.handover else {
            // It was given up while the service stopped: run it again.
            return self.start_again();
        };
        handover.stage = Stage::Resyncing;
        self.step_stopped();
        if self.reign.shadow.is_none() {
            return self.handover_abort("the shadow is gone");
        }
        self.timers.set(Timer::Handover, self.after(SYNC_LIMIT_MS));
        self.scan_for(ScanThen::Handover);
    }

    /// The offer is on disk before it is sent (spec 7.7).
    fn write_offer(&mut self) {
        let term = self.offer_term();
        let Some(handover) = &mut self.handover else { return };
        handover.stage = Stage::Offered;
        let offer = OpenOffer { term, run: self.durable.run, kind: handover.kind };
        self.timers.clear(Timer::Handover);
        let draft = Durable { offer: Some(offer), ..self.draft() };
        self.write(draft, Then::Offered);
    }

    pub(super) fn offer_written(&mut self) {
        self.reign.activity = Activity::Offering;
        let term = self.durable.offer.map_or(Term(0), |offer| offer.term);
        self.step(format!("the shadow has everything; offer of term {term} on disk"));
        self.note(EventKind::Role, Severity::Information, format!("term {term} offered to {}", self.peer_name()));
        // The service has stopped: the arbiter can grant the offered term at once (spec 7.11).
        self.release_vote();
        // The answer comes when the service has run for its start time there (spec 7.13).
        let answer_ms = DOUBT_TIMEOUTS * self.timing().request_timeout_ms + self.settings.service.start_time;
        self.timers.set(Timer::OfferDoubt, self.after(answer_ms));
        self.offer_again();
        if self.reign.shadow.is_none() {
            self.doubt("the shadow is gone");
        }
    }

    /// On every connection to the peer, until answered.
    pub(super) fn offer_again(&mut self) {
        if self.durable.offer.is_none() || !self.is_offering() {
            return;
        }
        for id in self.live_links() {
            self.repeat_offer(id);
        }
        self.timers.set(Timer::OfferRepeat, self.after(OFFER_REPEAT_MS));
    }

    /// Only the run that began it may repeat it: after a restart the answer to a question decides (spec 7.9).
    pub(super) fn repeat_offer(&mut self, id: LinkId) {
        let Some(offer) = self.durable.offer.filter(|offer| offer.run == self.durable.run) else { return };
        if self.is_offering() {
            self.send(id, Body::Offer(Offer { term: offer.term, head: self.head_id(), kind: offer.kind }));
        }
    }

    /// Not answered: the service stays stopped, and only an answer or an operator decides (spec 7.7).
    pub(super) fn doubt(&mut self, why: &str) {
        if self.reign.activity != Activity::Offering {
            return;
        }
        self.reign.activity = Activity::InDoubt;
        self.reign.doubt_since = Some(self.now.mono);
        let why = format!("the hand-over to {} is not answered: {why}", self.peer_name());
        self.hold_alert("H-011", "", &why);
        self.reign.hold_why.clone_from(&why);
        self.note(EventKind::Role, Severity::Error, why.clone());
        let order = self.handover.as_mut().and_then(|handover| handover.order.take());
        if let Some(order) = order.filter(|_| !breaks(Fault::ForgetsReply)) {
            let todo = "Bring the other instance back; or `ha become-master --force` if it is certainly not active";
            self.refuse(order, "the switch is in doubt", why, todo);
        }
    }

    /// The shadow's connection ended while something is handed over.
    pub(super) fn handover_link_gone(&mut self, why: &str) {
        match self.handover.as_ref().map(|handover| handover.stage) {
            Some(Stage::Syncing | Stage::Stopping | Stage::Resyncing) => {
                self.handover_abort(&format!("the shadow is gone: {why}"));
            }
            None => {}
            Some(Stage::Offered) => self.doubt(why),
        }
    }

    /// Nothing was offered: everything stays as it was, and whoever looks at the alerts knows.
    pub(super) fn handover_abort(&mut self, why: &str) {
        if self.handover.as_ref().is_some_and(|handover| handover.kind != OfferKind::Stop) {
            self.tell("H-018", "", why);
            self.note(EventKind::Role, Severity::Error, format!("the switch did not come about: {why}"));
        }
        self.handover_ended(why);
    }

    /// The same, as an operator wants it.
    pub(super) fn handover_ended(&mut self, why: &str) {
        let Some(handover) = self.handover.take() else { return };
        self.timers.clear(Timer::Handover);
        self.reign.frozen = false;
        self.reign.scan.then = None;
        self.reign.scan.dirty = true;
        if let Some(order) = handover.order {
            self.refuse(order, "roles not switched", why, "See the reason, then try again");
        }
        if handover.kind == OfferKind::Stop {
            return self.leave_now(why);
        }
        match handover.stage {
            Stage::Syncing => self.start_outdated(),
            // Also while it stops: whatever was not yet told to end goes on, the rest is started again when it has ended.
            _ => self.start_again(),
        }
    }

    fn start_again(&mut self) {
        if self.is_active() {
            self.start_service(StartFor::Again, Reason::Switch);
        }
    }

    /// The other one has the role: become its shadow.
    pub(super) fn offer_taken(&mut self, term: Term) {
        let Some(offer) = self.durable.offer.filter(|offer| term >= offer.term) else { return };
        if !self.is_settled_on_disk() || !self.is_master() || self.is_giving_way() {
            return;
        }
        self.timers.clear(Timer::OfferRepeat);
        self.timers.clear(Timer::OfferDoubt);
        let order = self.handover.as_mut().and_then(|handover| handover.order.take());
        let why = format!("{} took the role over at term {term}", self.peer_name());
        let taken = Some(term.max(offer.term));
        let reason = match offer.kind {
            OfferKind::Failing => {
                self.start_tried(Some("it ended more often than service.restart_limit allows"));
                Reason::ServiceFailed
            }
            OfferKind::Switch | OfferKind::Stop => Reason::Switch,
        };
        self.reign.activity = Activity::GivingWay;
        self.reign.giving = Some(super::conflict::GiveWay { reason, why, order, taken });
        if self.reign.scan.dirty || self.reign.scan.under_way {
            // Edited since the last scan, or while it was down: to be kept as a branch (spec 7.6).
            self.scan_for(ScanThen::GiveWay);
        } else {
            self.gave_way_scanned();
        }
    }

    /// The offered role was refused, or given back: go on at a new term (spec 7.7).
    pub(super) fn offer_refused(&mut self, term: Term, own_term: Term, why: &str) {
        let is_open = self.durable.offer.is_some_and(|offer| offer.term == term);
        if !is_open || !self.is_settled_on_disk() || !self.is_master() || self.is_giving_way() {
            return;
        }
        self.heard_term = self.heard_term.max(own_term);
        // It gave the role back after its service had stopped: nothing is promised to it any more.
        self.promise_is_over();
        let text = format!("{} refused the role: {why}", self.peer_name());
        self.tell("H-018", "", &text);
        let order = self.handover.as_mut().and_then(|handover| handover.order.take());
        if let Some(order) = order {
            self.refuse(order, "roles not switched", text.clone(), "See the reason, then try again");
        }
        self.resume_above(term.max(own_term), &text);
    }
}
