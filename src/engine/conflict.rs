//! Giving way: to a higher term, by order, or because two claim one term (spec 7.6, 7.8).

use super::base::{LinkId, Reason, Role, Term};
use super::core::Engine;
use super::durable::{Durable, Peer, RoleChange};
use super::effect::Hook;
use super::event::{EventKind, Severity};
use super::faults::{Fault, breaks};
use super::master::{Activity, Reign};
use super::message::Purpose;
use super::push::ScanThen;
use super::status::Notice;
use super::then::Then;
use super::timers::Timer;
use super::work::{StartFor, StopFor};

/// A failed durable write of a role is tried again after so long, ms.
const RETRY_MS: u64 = 1_000;

/// Becoming shadow.
#[derive(Clone, Debug)]
pub(super) struct GiveWay {
    pub reason: Reason,
    pub why: String,
    pub order: Option<u64>,
    /// The other one took the offered role at this term.
    pub taken: Option<Term>,
}

/// What is tried again when the disk would not take it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Again {
    GiveWay,
    GiveBack,
    ResumeAbove(Term),
}

impl Engine {
    /// A higher term is known: stop the service, become shadow (spec 7.6). Not while a hand-over is open.
    pub(super) fn relinquish(&mut self, term: Term, why: &str) {
        self.heard_term = self.heard_term.max(term);
        if !self.is_master() || self.durable.offer.is_some() || self.leaving.is_some() || self.is_giving_way() {
            return;
        }
        if self.handover.as_ref().is_some_and(|handover| handover.stage == super::switch::Stage::Offered) {
            return;
        }
        self.give_way(Reason::Relinquish, why, None);
    }

    /// With an open offer: the other one is beyond it.
    pub(super) fn relinquish_offer(&mut self, term: Term, what: &str) {
        self.heard_term = self.heard_term.max(term);
        if self.leaving.is_none() && !self.is_giving_way() && self.is_settled_on_disk() {
            self.give_way(Reason::Relinquish, &format!("{} {what}", self.peer_name()), None);
        }
    }

    /// Service first, then the directory's last changes, then the role.
    pub(super) fn give_way(&mut self, reason: Reason, why: &str, order: Option<u64>) {
        let text = format!("giving the role up: {why}");
        self.begin_steps(text.clone());
        self.note(EventKind::Role, Severity::Warning, text);
        if let Some(handover) = self.handover.take()
            && let Some(order) = handover.order
        {
            self.refuse(order, "roles not switched", why, "");
        }
        for timer in [Timer::Handover, Timer::BootHold, Timer::OfferRepeat, Timer::OfferDoubt, Timer::PushRetry] {
            self.timers.clear(timer);
        }
        self.switch_wait_over();
        // Nothing that ends an isolation makes it active any more.
        if self.reign.isolated.take().is_some() {
            self.settle("H-023", "");
        }
        self.reign.activity = Activity::GivingWay;
        self.reign.frozen = true;
        self.reign.giving = Some(GiveWay { reason, why: why.to_owned(), order, taken: None });
        self.stop_service(StopFor::GiveWay, 0, reason);
    }

    pub(super) fn gave_way_stopped(&mut self) {
        self.step_stopped();
        if breaks(Fault::ForgetsEdits) {
            return self.gave_way_scanned();
        }
        self.release_vote();
        self.scan_for(ScanThen::GiveWay);
    }

    /// Everything edited here is committed at the own term, and lands in the branch (spec 7.6).
    pub(super) fn gave_way_scanned(&mut self) {
        let Some(giving) = &self.reign.giving else { return };
        let (reason, why, order) = (giving.reason, giving.why.clone(), giving.order);
        let mut draft = self.shadow_draft(reason, &why);
        self.reign.retry = Some(Again::GiveWay);
        if let Some(term) = giving.taken {
            draft.term = draft.term.max(term);
            draft.known_term = draft.known_term.max(term);
            return self.write(draft, Then::HandedOver { order });
        }
        self.write(draft, Then::GaveWay { reason, order });
    }

    /// The record of a former master.
    pub(super) fn shadow_draft(&self, reason: Reason, why: &str) -> Durable {
        let draft = self.draft();
        let settings_due = draft.peer.as_ref().map(Peer::settings_patch);
        let notice = Notice {
            title: "THIS INSTANCE IS NOW SHADOW".into(),
            at: self.now.wall,
            role: Role::Shadow,
            term: self.highest_term(),
            reason,
            lines: vec![format!("Reason: {why}.")],
            timeline: self.giving_timeline(why),
        };
        Durable {
            role: Some(Role::Shadow),
            since: self.now.wall,
            last_role_change: Some(RoleChange { at: self.now.wall, from: Some(Role::Master), reason }),
            connect_wanted: draft.peer.is_some(),
            complete_wanted: !matches!(reason, Reason::Switch | Reason::ServiceFailed),
            was_master: true,
            forced_shadow: reason == Reason::Forced,
            may_take_over: false,
            rival_unmet: false,
            unwatched: false,
            ungranted: None,
            peer_promise: None,
            own_promise: None,
            offer: None,
            disconnected_since: None,
            settings_due,
            restore_due: false,
            notice: Some(notice),
            ..draft
        }
    }

    /// The new role is on disk.
    pub(super) fn gave_way(&mut self, reason: Reason, order: Option<u64>) {
        self.note(EventKind::Role, Severity::Warning, format!("this instance is now shadow, reason {}", reason.word()));
        self.note_role_change();
        // Whoever has the role said so, and tells copies apart when they come (spec 7.6).
        self.copy_decided();
        self.enter_shadow();
        self.run_role_hook(Hook::BecomeShadow, reason);
        if let Some(order) = order {
            self.done(order, "this instance is now shadow");
        }
    }

    /// Everything of the master's role ends; the shadow's begins.
    pub(super) fn enter_shadow(&mut self) {
        self.cancel_dial();
        let links: Vec<LinkId> = self
            .links
            .all
            .iter()
            .filter(|(_, link)| !link.outgoing || link.purpose == Some(Purpose::Ask))
            .map(|(id, _)| *id)
            .collect();
        self.handover = None;
        for id in [self.reign.shadow.take(), self.reign.ask_link.take()].into_iter().flatten() {
            if links.contains(&id) {
                self.close(id, "this instance is shadow now");
            }
        }
        let under_way = self.reign.scan.under_way;
        self.reign = Reign { peer_role: self.reign.peer_role, peer_term: self.reign.peer_term, ..Reign::default() };
        self.reign.scan.under_way = under_way;
        for timer in [
            Timer::Silent,
            Timer::Unwatched,
            Timer::AskLimit,
            Timer::BootHold,
            Timer::Handover,
            Timer::OfferRepeat,
            Timer::OfferDoubt,
            Timer::PushRetry,
            Timer::PushLimit,
            Timer::DialBack,
            Timer::Redial,
            Timer::Retry,
            Timer::SwitchWait,
            Timer::Hold,
            Timer::Renew,
            Timer::ShadowLost,
            Timer::StallLimit,
        ] {
            self.timers.clear(timer);
        }
        self.settle_all(super::start::MASTER_CODES);
        self.reset_arbitration();
        self.book.settle_push(self.now.wall, "this instance is shadow now", &mut self.out);
        self.watch = super::shadow::Watch::default();
        self.start_watch();
        // What was held back, or not taken up, is drift from now on.
        self.begin_to_look();
    }

    /// Another master of a lower term was met: it gives way; the network may still point at it, so the role hooks run
    /// again (spec 7.6). That two were active is told only if it was: a former master that starts again, or that had stopped its
    /// service before, was not.
    pub(super) fn met_loser(&mut self, term: Term) {
        if self.reign.met_loser == Some(term) || !self.is_active() {
            return;
        }
        // One that handed its role over stopped its service before, and calls itself master until it hears that the role
        // was taken; it resumes only at a new term (spec 7.7).
        if self
            .durable
            .last_role_change
            .as_ref()
            .is_some_and(|change| matches!(change.reason, Reason::Switch | Reason::ServiceFailed))
        {
            return;
        }
        self.reign.met_loser = Some(term);
        let (peer, own) = (self.peer_name(), self.durable.term);
        let took_over = self.durable.last_role_change.as_ref().is_some_and(|change| change.reason == Reason::Takeover);
        let told = match self.reign.peer_serves {
            Some(false) if self.reign.peer_unwatched && took_over => Some(format!(
                "{peer}, master with term {term}, ran its service for longer than this instance waited to take over, and \
                 without hearing of it; it has been restarted since, and gives way to term {own}"
            )),
            Some(false) => None,
            _ => Some(format!("{peer} was active as master with term {term}; it gives way to term {own}")),
        };
        if let Some(why) = told {
            self.tell("H-022", "", &why);
            self.note(EventKind::Role, Severity::Warning, why);
        } else {
            let text = format!("{peer} is back, master with term {term} and not active; it gives way to term {own}");
            self.note(EventKind::Role, Severity::Information, text);
        }
        self.run_role_hook(Hook::BecomeMaster, Reason::Takeover);
    }

    /// Two masters with one term: only possible in a copied home. Both stop (spec 7.6).
    pub(super) fn halt(&mut self, why: &str) {
        if self.reign.activity == Activity::Halted || self.leaving.is_some() || self.is_giving_way() {
            return;
        }
        self.hold_alert("H-009", "", why);
        self.note(EventKind::Role, Severity::Error, format!("stopping the service: {why}"));
        if let Some(handover) = self.handover.take()
            && let Some(order) = handover.order
        {
            self.refuse(order, "roles not switched", why, "");
        }
        self.reign.activity = Activity::Halted;
        self.stop_service(StopFor::Halt, 0, Reason::Relinquish);
    }

    /// A role could not be written: tried again.
    pub(super) fn role_not_written(&mut self) {
        self.timers.set(Timer::Retry, self.after(RETRY_MS));
    }

    pub(super) fn retry_due(&mut self) {
        match self.reign.retry {
            // Edited since the last scan: to be kept too (spec 7.6).
            Some(Again::GiveWay) if self.reign.scan.dirty || self.reign.scan.under_way => {
                self.scan_for(ScanThen::GiveWay)
            }
            Some(Again::GiveWay) => self.gave_way_scanned(),
            Some(Again::GiveBack) => self.gave_back_stopped(),
            Some(Again::ResumeAbove(term)) => self.resume_above(term, "trying again"),
            None => {}
        }
    }

    /// On at a new term.
    pub(super) fn resumed_above(&mut self, order: Option<u64>) {
        self.reign.retry = None;
        if self.leaving.is_some() {
            return self.leave_now("the role was not taken");
        }
        let Some(order) = order else {
            return self.begin_reign(StartFor::NewMaster, Reason::Switch, None);
        };
        let waived = self.waive_isolation();
        let text = format!("this instance is master, term {}{waived}", self.durable.term);
        self.note(EventKind::Role, Severity::Warning, format!("an operator said become-master: {text}"));
        self.begin_reign(StartFor::NewMaster, Reason::Forced, None);
        self.done(order, text);
    }
}
