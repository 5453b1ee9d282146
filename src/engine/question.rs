//! *Who are you now?*: the boot question, the boot hold, and the probes of a master without its shadow (spec 7.5 to 7.7).

use super::base::{LinkId, Reason, Role, Term};
use super::core::Engine;
use super::durable::Durable;
use super::event::{EventKind, Severity};
use super::faults::{Fault, breaks};
use super::links::Dialling;
use super::master::Activity;
use super::message::{Answer, Body, Purpose, Question, Refusal, RefusalCode};
use super::then::Then;
use super::timers::Timer;
use super::work::StartFor;

/// Most own questions that may still be answered.
const QUESTIONS_OPEN_MAX: usize = 8;
/// After failed takeover checks the boot hold goes on for so long, ms.
const HOLD_AGAIN_MS: u64 = 5_000;
/// A probe while nothing presses, ms at least.
const PROBE_PAUSE_MS: u64 = 1_000;
/// What a former master whose home is a copy waits for: the one it was copied from would be given the same answers.
pub(super) const COPIED_TODO: &str = "this home was restored or copied: only an operator makes it active, with `ha resume`, if no \
     other instance runs from it";

impl Engine {
    /// Dials the peer when there is something to ask or to tell.
    pub(super) fn plan_dial(&mut self) {
        if self.is_shadow() {
            return self.plan_attach();
        }
        let is_free = self.reign.ask_link.is_none()
            && self.links.dialling.is_none()
            && self.timers.get(Timer::Redial).is_none()
            && (self.leaving.is_none() || self.is_offering());
        if !is_free || self.links.all.len() >= super::links::LINKS_MAX {
            return;
        }
        if let Some(purpose) = self.wanted_dial() {
            if purpose == Purpose::DialBack {
                self.reign.dial_back_due = false;
            }
            self.dial(purpose);
        }
    }

    /// Asks over a connection that has just been greeted; with an open offer, repeats that too.
    pub(super) fn ask_over(&mut self, id: LinkId) {
        let question = if self.reign.activity == Activity::Holding { Question::Boot } else { Question::Probe };
        let nonce = self.random.next();
        if self.reign.asked.len() >= QUESTIONS_OPEN_MAX {
            self.reign.asked.remove(0);
        }
        self.reign.asked.push((nonce, question, self.now.mono));
        self.renew_over(id);
        self.send(id, Body::Ask { question, nonce });
        self.repeat_offer(id);
        self.timers.set(Timer::AskLimit, self.after(self.timing().request_timeout_ms));
    }

    /// No answer in time: the connection is of no use.
    pub(super) fn ask_due(&mut self) {
        let own = self.reign.ask_link;
        if let Some(id) = own {
            self.close(id, "the question was not answered in time");
        }
        // A shadow that has connected is asked over its connection; an isolated master dials none beside it.
        let asks = match self.reign.activity {
            Activity::Holding | Activity::InDoubt => own.is_none(),
            _ => self.is_isolated_by_checks(),
        };
        if let Some(id) = self.reign.shadow.filter(|_| asks) {
            self.ask_over(id);
        }
    }

    pub(super) fn ask_link_gone(&mut self, why: &str) {
        self.reign.ask_link = None;
        if self.is_master() {
            let span_ms = self.redial_pause_ms().max(if self.is_active() { PROBE_PAUSE_MS } else { 0 });
            self.timers.set_if_unset(Timer::Redial, self.after(span_ms));
            if self.reign.activity == Activity::Holding {
                self.reign.hold_why = why.to_owned();
            }
        }
    }

    /// Somebody of the pair asks who we are. A shadow that answers a starting master's question has thereby cancelled any
    /// takeover under way and counts its delay anew (spec 7.5).
    pub(super) fn asked(&mut self, id: LinkId, role: Role, term: Term, question: Question, nonce: u64) {
        if self.is_shadow() && role == Role::Master && term >= self.durable.term {
            // The word must hold for as long as the asker may act on the answer.
            let timing = self.timing();
            let word_ms = 2 * timing.request_timeout_ms + timing.connect_timeout_ms;
            if !breaks(Fault::AnswerCancelsNothing) {
                let word_ms = if question == Question::Boot { word_ms } else { 0 };
                self.count_anew(word_ms, "the master asked about its role");
            }
            if self.watch.lost.is_some() && self.links.dialling.is_none() {
                // It is there: attach before the new delay is over.
                self.timers.set(Timer::Redial, self.after(super::core::REDIAL_PAUSE_MIN_MS));
            }
            self.checks.begun = None;
        }
        let answer = Answer {
            nonce,
            has_taken_over: self.is_master() && self.work.is_role_sure(),
            known_term: self.highest_term(),
            open_offer: self.durable.offer.map(|offer| offer.term),
            head: self.head_id(),
        };
        self.send(id, Body::Answer(answer));
    }

    /// The answer to an own question of this run.
    pub(super) fn answered(&mut self, id: LinkId, role: Role, term: Term, answer: &Answer) {
        let limit_ms = self.timing().request_timeout_ms;
        let now = self.now.mono;
        let known =
            self.reign.asked.iter().position(|(nonce, _, at)| *nonce == answer.nonce && now.since(*at) <= limit_ms);
        let Some(index) = known else { return };
        let (_, question, sent) = self.reign.asked.remove(index);
        if !self.is_master() {
            return;
        }
        self.timers.clear(Timer::AskLimit);
        self.heard_term = self.heard_term.max(answer.known_term);
        if self.reign.activity == Activity::GivingWay {
            // Whoever gives the role up has settled what it asked for: an open offer of an earlier run goes with the role.
        } else if self.durable.offer.is_some() {
            self.answered_with_offer(role, term, answer);
        } else {
            match self.reign.activity {
                Activity::Holding => self.answered_on_hold(role, term, answer, question),
                Activity::Active | Activity::Isolated if answer.known_term.max(term) > self.durable.term => {
                    self.relinquish(term.max(answer.known_term), "the other instance knows a higher term");
                }
                Activity::Isolated if role == Role::Shadow => self.isolation_answered(),
                _ => {}
            }
        }
        if self.stall.is_over_by(sent) && self.is_master() && !self.is_giving_way() {
            self.fresh_round();
        }
        let is_answered = self.is_confirmed() || self.reign.activity != Activity::Isolated;
        if self.reign.ask_link == Some(id) && self.durable.offer.is_none() && is_answered {
            self.close(id, "answered");
        } else if self.is_waiting() {
            let span_ms = self.redial_pause_ms();
            self.timers.set(Timer::AskLimit, self.after(span_ms));
        }
        if self.is_isolated_by_checks() {
            // Its service is still being stopped, say: whatever connection this came over, it asks again.
            let span_ms = self.redial_pause_ms();
            self.timers.set(Timer::AskLimit, self.after(span_ms));
        }
    }

    fn answered_on_hold(&mut self, role: Role, term: Term, answer: &Answer, question: Question) {
        let theirs = term.max(answer.known_term);
        if question != Question::Boot {
            return;
        }
        if theirs > self.durable.term {
            let what = if role == Role::Master { "has taken over" } else { "knows a higher term" };
            return self.relinquish(theirs, &format!("{} {what}", self.peer_name()));
        }
        if role == Role::Master && term == self.durable.term {
            return self.halt("the other instance is master with the same term");
        }
        if role == Role::Shadow && self.facts.is_copied {
            // The home it was copied from may run, and be given the same answer (spec 7.6).
            self.reign.hold_why = format!("{} has not taken over; {COPIED_TODO}", self.peer_name());
            let why = self.reign.hold_why.clone();
            self.hold_alert("H-020", "", &why);
        } else if role == Role::Shadow {
            self.note(EventKind::Role, Severity::Information, "the shadow has not taken over; this master goes on");
            self.resume();
        } else {
            self.reign.hold_why = "the other instance is a master of a lower term and gives way".into();
        }
    }

    /// With a hand-over open only these settle it (spec 7.7).
    fn answered_with_offer(&mut self, role: Role, term: Term, answer: &Answer) {
        let Some(offer) = self.durable.offer.filter(|_| !breaks(Fault::StaysInDoubt)) else { return };
        if role == Role::Master && term >= offer.term {
            if answer.has_taken_over {
                self.offer_taken(term);
            }
            return;
        }
        if role == Role::Master {
            if answer.has_taken_over && term > self.durable.term {
                // By itself, before the offer could reach it: what is offered to it will never be taken.
                self.relinquish_offer(term.max(answer.known_term), "has taken over by itself");
            }
            return;
        }
        if answer.known_term.max(term) > offer.term.max(self.durable.term) {
            return self.relinquish_offer(term.max(answer.known_term), "knows a term above the offered one");
        }
        // A new run of this instance: the other one drops whatever the earlier run said, so the offer is dead.
        if offer.run != self.durable.run {
            self.resume_above(offer.term, "the hand-over of the earlier run was not taken");
        }
    }

    /// The listener refused our question.
    pub(super) fn ask_refused(&mut self, role: Role, term: Term, refusal: &Refusal) {
        match refusal.code {
            RefusalCode::NotMyPair => self.hold_alert("H-007", "", &refusal.why),
            RefusalCode::SameInstance => self.hold_alert("H-008", "", &refusal.why),
            _ => {}
        }
        if self.durable.offer.is_some() {
            return;
        }
        if role == Role::Master && term > self.durable.term {
            self.relinquish(term, "the other instance is master with a higher term");
        } else if role == Role::Master && term < self.durable.term && refusal.code == RefusalCode::NotMyPair {
            // Reset while it was alone, and active since: whoever has no shadow waits for nobody.
            self.met_loser(term);
        } else if self.reign.activity == Activity::Holding
            && !self.facts.is_copied
            && refusal.code == RefusalCode::NotMyPair
            && role == Role::Shadow
        {
            self.note(EventKind::Role, Severity::Warning, "the former shadow belongs to this pair no more");
            self.resume();
        }
    }

    /// A former master waits (spec 7.5).
    pub(super) fn begin_hold(&mut self, why: &str) {
        self.reign.activity = Activity::Holding;
        self.reign.hold_why = why.to_owned();
        self.reign.hold_since = Some(self.now.wall);
        let hold_ms = self.in_force().high_availability.boot_hold;
        let ends = !self.facts.is_copied && self.durable.offer.is_none() && !self.goes_by_an_arbiter();
        self.reign.hold_ends = ends.then(|| self.after(hold_ms));
        if let Some(at) = self.reign.hold_ends {
            self.timers.set(Timer::BootHold, at);
        }
        if self.durable.offer.is_some() {
            self.reign.activity = Activity::InDoubt;
            self.reign.doubt_since = Some(self.now.mono);
            self.hold_alert("H-011", "", "a hand-over begun before the restart is not answered yet");
        } else {
            self.hold_alert("H-020", "", why);
        }
        self.note(EventKind::Role, Severity::Warning, format!("not active yet: {why}"));
    }

    /// With an arbiter nobody becomes active from what is on disk alone (spec 7.5). One that was taken out of the settings here,
    /// while the other instance was not there to hear of it, can still grant that one the role (spec 7.11).
    fn goes_by_an_arbiter(&self) -> bool {
        self.has_arbiter() || self.has_left_its_arbiter()
    }

    /// A master that was stopped, or alone, while its arbiter went out of the settings.
    pub(super) fn has_left_its_arbiter(&self) -> bool {
        let durable = &self.durable;
        durable.shares_arbiter
            && !self.has_arbiter()
            && self.peer().is_some()
            && durable.peer_promise.is_none()
            && (durable.may_take_over || durable.rival_unmet)
    }

    /// Nobody answered within the boot hold.
    pub(super) fn hold_due(&mut self) {
        if self.reign.activity != Activity::Holding || self.facts.is_copied || self.goes_by_an_arbiter() {
            return;
        }
        if self.in_force().takeover_checks.is_empty() {
            self.note(EventKind::Role, Severity::Warning, "nobody answered within the boot hold; this master goes on");
            return self.resume();
        }
        self.checks.begun = None;
        self.run_checks();
    }

    /// The takeover checks are done; a hold that is over waits for them.
    pub(super) fn hold_checked(&mut self) {
        let is_over = self.reign.hold_ends.is_some_and(|ends| ends <= self.now.mono);
        if self.reign.activity != Activity::Holding || !is_over || self.goes_by_an_arbiter() {
            return;
        }
        if self.checks.pass(&self.in_force()) {
            self.note(EventKind::Role, Severity::Warning, "nobody answered within the boot hold; this master goes on");
            return self.resume();
        }
        self.reign.hold_why =
            "nobody answers, and the takeover checks fail: this machine may be the one cut off".into();
        self.timers.set(Timer::BootHold, self.after(HOLD_AGAIN_MS));
    }

    /// Active at the term it has.
    pub(super) fn resume(&mut self) {
        let is_leaving = |leaving: &super::stop::Leaving| leaving.stage != super::stop::LeaveStage::Pausing;
        if self.leaving.as_ref().is_some_and(is_leaving) {
            return;
        }
        self.begin_reign(StartFor::NewMaster, Reason::Start, None);
    }

    /// Active at a new own term, because an earlier one was offered (spec 7.7).
    pub(super) fn resume_above(&mut self, offered: Term, why: &str) {
        let term = self.next_own_term(offered);
        self.note(EventKind::Role, Severity::Warning, format!("{why}; going on as master with term {term}"));
        let highest = self.highest_term();
        let ungranted = self.has_arbiter().then_some(highest);
        let draft = Durable { term, known_term: highest.max(term), offer: None, ungranted, ..self.draft() };
        self.write(draft, Then::ResumedAbove { order: None });
    }

    /// The role is this instance's to exercise: everything that held it back is over.
    pub(super) fn become_active_keeping(&mut self, keep: Option<LinkId>) {
        for timer in [Timer::BootHold, Timer::OfferRepeat, Timer::OfferDoubt, Timer::Takeover, Timer::AskLimit] {
            self.timers.clear(timer);
        }
        self.end_restart_pause("this instance is master now");
        self.reign.activity = Activity::Active;
        // Whatever led here was decided on something fresh: a stall of the role before bars nothing.
        self.stall = super::stall::Stall::default();
        self.reign.hold_ends = None;
        self.reign.frozen = false;
        self.handover = None;
        if let Some(id) = self.reign.ask_link {
            self.close(id, "nothing is left to ask");
            // It may have been the dial-back, whose outcome is then still to be known.
            self.reign.dial_back_due = true;
        }
        self.settle_all(super::start::SHADOW_CODES);
        self.reign.isolated = None;
        self.reign.doubt_since = None;
        self.settle_all(&["H-011", "H-020", "H-023"]);
        self.drop_takeover_wish();
        if self.watch.state.is_some() {
            self.leave_shadow(keep);
        }
        if self.peer().is_some() && self.reign.shadow.is_none() {
            let silent_ms = 3 * self.timing().check_interval_ms;
            self.timers.set(Timer::Silent, self.after(silent_ms));
        }
        self.reign.scan.dirty = true;
    }

    /// As above; no connection of the shadow's role is kept.
    pub(super) fn become_active(&mut self) {
        self.become_active_keeping(None);
    }

    /// What belonged to the shadow's role ends; a connection over which the role came stays, for the answer.
    fn leave_shadow(&mut self, keep: Option<LinkId>) {
        if let Some(id) = self.watch.link {
            self.watch.state = None;
            self.watch.link = None;
            if keep != Some(id) {
                self.close(id, "this instance is master now");
            }
        }
        if matches!(self.links.dialling, Some(Dialling { purpose: Purpose::Attach, .. })) {
            self.cancel_dial();
        }
        let connecting = std::mem::take(&mut self.watch.connecting);
        self.refuse_forced("this instance is master already");
        self.watch = super::shadow::Watch::default();
        for order in connecting {
            self.refuse(order, "not connected", "this instance has become master", "");
        }
        for timer in [Timer::Redial, Timer::Check, Timer::CheckLimit, Timer::ConnectLimit, Timer::Farewell] {
            self.timers.clear(timer);
        }
    }
}
