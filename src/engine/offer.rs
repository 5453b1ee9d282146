//! The other end of a hand-over: taking the offered role, refusing it, giving it back (spec 7.7).

use super::base::{LinkId, LinkState, Reason, Role, Term};
use super::core::Engine;
use super::durable::{Durable, RoleChange};
use super::effect::Effect;
use super::event::{EventKind, Severity};
use super::master::Activity;
use super::message::{Body, Offer, OfferKind};
use super::status::TimelineEntry;
use super::then::Then;
use super::timers::Timer;
use super::work::{StartFor, StopFor};

/// Who gives the role back says so so long before it connects anew, ms.
const REFUSAL_LEAD_MS: u64 = 250;

impl Engine {
    /// The master offers its role.
    pub(super) fn offered(&mut self, id: LinkId, offer: Offer) {
        if !self.is_settled_on_disk() {
            // Repeated soon; by then it is clear what this instance is.
            return;
        }
        if self.is_master() {
            if self.durable.term >= offer.term && self.work.is_role_sure() {
                self.send(id, Body::OfferTaken { term: offer.term });
            }
            return;
        }
        if let Some(why) = self.why_not_take(&offer) {
            self.watch.refused_offer = self.watch.refused_offer.max(offer.term);
            let own_term = self.durable.term;
            self.note(EventKind::Role, Severity::Warning, format!("the offered role was refused: {why}"));
            self.send(id, Body::OfferRefused { term: offer.term, own_term, why });
            return;
        }
        // A refusal decides no role, and may be all that the master waits for: it is said above whatever happened here.
        if self.stall.is_barred() {
            // Nothing is taken before something fresh is heard (spec 7.12); the offer is repeated.
            return;
        }
        if self.watch.applying.is_some() {
            // A push that came twice is still being written; by the next repetition the directory is a whole revision.
            return;
        }
        let term = offer.term;
        let timeline = vec![TimelineEntry { at: self.now.wall, text: format!("role offered at term {term}") }];
        let reason = if offer.kind == OfferKind::Failing { Reason::ServiceFailed } else { Reason::Switch };
        let notice = self.master_notice(term, reason, timeline);
        let ungranted = self.has_arbiter().then(|| self.highest_term());
        let draft = Durable { ungranted, ..self.master_draft(term, reason, notice) };
        self.write(draft, Then::TookOffer { link: id, term, kind: offer.kind });
    }

    fn why_not_take(&self, offer: &Offer) -> Option<String> {
        let own = self.durable.term.max(self.durable.known_term);
        let Some(peer) = self.peer() else { return Some("there is no pair".into()) };
        if offer.term <= own || offer.term <= self.watch.refused_offer {
            return Some(format!("term {} is not above {}", offer.term, own.max(self.watch.refused_offer)));
        }
        if peer.own_terms.next_above(Term(offer.term.0 - 1)) != offer.term {
            return Some(format!("term {} is not one of this instance", offer.term));
        }
        let was_ready = self.watch.lost.as_ref().is_some_and(|lost| lost.was_ready);
        if self.watch.state != Some(LinkState::Ready) && !was_ready {
            return Some("it is not READY".into());
        }
        if offer.head != self.head_id() {
            return Some("it has not the newest revision".into());
        }
        if self.durable.own_promise.is_some() {
            return Some("it has promised not to take over".into());
        }
        self.leaving.is_some().then(|| "it is stopping".into())
    }

    /// The term is on disk: start the service, then say so.
    pub(super) fn took_offer(&mut self, link: LinkId, kind: OfferKind) {
        self.note(
            EventKind::Role,
            Severity::Warning,
            format!("this instance is now master, term {}", self.durable.term),
        );
        self.begin_steps(format!("term {} on disk", self.durable.term));
        // The offer ends the promise: the service there has stopped before it was made.
        self.promise_is_over();
        self.out.push(Effect::RestoreDrift);
        let reason = self.durable.last_role_change.as_ref().map_or(Reason::Switch, |change| change.reason);
        if reason == Reason::ServiceFailed {
            self.received_failing();
        }
        self.begin_reign(StartFor::Offer, reason, Some(link));
        self.reign.has_stopped = kind == OfferKind::Stop;
    }

    /// The service runs: the other one may become shadow.
    pub(super) fn offer_fulfilled(&mut self) {
        let term = self.durable.term;
        for id in self.live_links() {
            self.send(id, Body::OfferTaken { term });
        }
    }

    /// The service does not start here: give the role back (spec 7.7).
    pub(super) fn give_back(&mut self, why: &str) {
        self.give_back_for(format!("the service could not be started: {why}"));
    }

    /// The same for another reason.
    pub(super) fn give_back_for(&mut self, why: String) {
        self.reign.activity = Activity::GivingWay;
        self.reign.hold_why = why;
        self.stop_service(StopFor::GiveBack, 0, Reason::ServiceFailed);
    }

    /// What was edited while the role was on trial is committed, and lands in a branch (spec 7.6).
    pub(super) fn gave_back_stopped(&mut self) {
        if self.reign.scan.dirty || self.reign.scan.under_way {
            return self.scan_for(super::push::ScanThen::GiveBack);
        }
        self.gave_back_scanned();
    }

    pub(super) fn gave_back_scanned(&mut self) {
        self.release_vote();
        let draft = Durable {
            role: Some(Role::Shadow),
            since: self.now.wall,
            last_role_change: Some(RoleChange {
                at: self.now.wall,
                from: Some(Role::Master),
                reason: Reason::ServiceFailed,
            }),
            connect_wanted: true,
            settings_due: None,
            restore_due: false,
            ungranted: None,
            notice: None,
            ..self.draft()
        };
        self.reign.retry = Some(super::conflict::Again::GiveBack);
        self.write(draft, Then::GaveBack);
    }

    pub(super) fn gave_back(&mut self) {
        let term = self.durable.term;
        let why = std::mem::take(&mut self.reign.hold_why);
        self.note(EventKind::Role, Severity::Error, format!("the role was given back: {why}"));
        let links = self.live_links();
        for id in &links {
            self.send(*id, Body::OfferRefused { term, own_term: term, why: why.clone() });
        }
        self.enter_shadow();
        if !links.is_empty() {
            // A new connection outruns the word on the old one, which is dropped then: the switch would be in doubt (spec 7.1, 7.7).
            self.timers.set(Timer::Redial, self.after(REFUSAL_LEAD_MS));
        }
        self.watch.refused_offer = term;
        self.leave_given_back();
    }
}
