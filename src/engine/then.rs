//! What goes on when a durable write is done, or has failed.

use super::base::{LinkId, Reason, RevisionId, Term};
use super::conflict::Again;
use super::core::Engine;
use super::effect::{Effect, Hook};
use super::event::{EventKind, Severity};
use super::message::{OfferKind, PairGrant, Refusal, RefusalCode};
use super::timers::Timer;

/// A continuation, as data.
#[derive(Clone, Debug)]
pub(super) enum Then {
    /// Nothing depends on it.
    Nothing,
    /// The last line of the notice: the service of the new master runs.
    ServiceStarted,
    /// Shadow: the term followed and the master's data are noted.
    Attached { link: LinkId },
    /// Master: the note *may take over*.
    NotedMay { link: LinkId, head: RevisionId },
    /// Master: the shadow's promise.
    HeardFarewell { link: LinkId },
    /// Shadow: it is master now.
    TookOver { reason: Reason, order: Option<u64> },
    /// Shadow: it took an offered role.
    TookOffer { link: LinkId, term: Term, kind: OfferKind },
    /// It gave an offered role back.
    GaveBack,
    /// Master: the offer.
    Offered,
    /// Master: the offer was taken, it is shadow now.
    HandedOver { order: Option<u64> },
    /// Master: it is shadow now.
    GaveWay { reason: Reason, order: Option<u64> },
    /// Master: on at a new term.
    ResumedAbove { order: Option<u64> },
    /// Master: the pair is made.
    Paired { id: u64, grant: Box<PairGrant> },
    /// Shadow: the pair is made.
    Granted { order: u64 },
    /// Shadow: its operator wants the connection.
    ConnectWanted { order: u64 },
    /// Shadow: it promised not to take over.
    Promised { order: Option<u64> },
    /// Shadow: the next transfer is complete.
    CompleteWanted { order: Option<u64>, by: String },
    /// Shadow: it promised not to take over, and is to be reset.
    PromisedReset { order: u64 },
    /// The pair is forgotten.
    Reset { order: u64, untold: bool },
    /// Master: on at a term that the arbiter granted.
    Raised { order: Option<u64> },
    /// The length of a promise is noted: it can be given.
    PromiseNoted { link: LinkId, serial: u64 },
    /// Shadow: its standing promise is over.
    PromiseOver,
    /// Shadow: it stops, and has promised not to take over.
    StopPromised { link: LinkId },
    /// Takeovers are not delayed any longer.
    DampingCleared { order: u64, text: &'static str },
    /// No takeovers for a while.
    Paused(super::pause::NewPause),
    /// An order that is done with the write.
    Done { order: u64, text: &'static str },
}

impl Engine {
    /// The write is done.
    pub(super) fn go_on(&mut self, then: Then) {
        match then {
            Then::Nothing => {}
            Then::ServiceStarted => self.note_role_change(),
            Then::Attached { link } => self.attached(link),
            Then::NotedMay { link, head } => self.tell_may(link, head),
            Then::HeardFarewell { link } => self.farewell_noted(link),
            Then::TookOver { reason, order } => self.took_over(reason, order),
            Then::TookOffer { link, term: _, kind } => self.took_offer(link, kind),
            Then::GaveBack => self.gave_back(),
            Then::Offered => self.offer_written(),
            Then::HandedOver { order } => self.handed_over(order),
            Then::GaveWay { reason, order } => self.gave_way(reason, order),
            Then::ResumedAbove { order } => self.resumed_above(order),
            Then::Paired { id, grant } => self.paired(id, grant),
            Then::Granted { order } | Then::ConnectWanted { order } => self.connect_now(order),
            Then::Promised { order } => self.promised(order),
            Then::CompleteWanted { order, by } => self.reconnect_now(order, &by),
            Then::PromisedReset { order } => self.promised_reset(order),
            Then::Reset { order, untold } => self.was_reset(order, untold),
            Then::Done { order, text } => self.done(order, text),
            Then::Raised { order } => self.term_raised(order),
            Then::PromiseNoted { link, serial } => self.give_promise(link, serial, self.durable.promise_ms),
            Then::PromiseOver => self.maybe_ready(),
            Then::StopPromised { link } => {
                self.set_state(super::base::LinkState::Disconnecting, None);
                self.say_farewell(link);
            }
            Then::Paused(new) => self.pause_noted(new),
            Then::DampingCleared { order, text } => {
                self.damping_cleared();
                self.done(order, text);
            }
        }
    }

    /// The write has failed: nothing has changed.
    pub(super) fn failed_then(&mut self, then: Then, why: &str) {
        let text = format!("the disk cannot be written: {why}");
        let todo = "Free space or repair the disk, then try again";
        match then {
            Then::Nothing
            | Then::ServiceStarted
            | Then::NotedMay { .. }
            | Then::HeardFarewell { .. }
            | Then::PromiseNoted { .. }
            | Then::PromiseOver
            | Then::Raised { order: None } => {}
            Then::StopPromised { .. } => self.leave_now(&text),
            Then::Paused(new) => self.pause_not_noted(new, text),
            Then::Attached { link } => {
                self.close(link, &text);
                self.master_answered_in_vain();
            }
            Then::TookOver { reason: _, order } => self.takeover_not_written(why, order),
            Then::TookOffer { link, term, kind: _ } => {
                self.watch.refused_offer = self.watch.refused_offer.max(term);
                let own_term = self.durable.term;
                self.send(link, super::message::Body::OfferRefused { term, own_term, why: text });
            }
            Then::GaveBack => self.role_not_written(),
            Then::Offered => {
                if let Some(handover) = &mut self.handover {
                    handover.stage = super::switch::Stage::Resyncing;
                }
                self.handover_abort(&text);
            }
            // The order is kept with what is tried again.
            Then::HandedOver { .. } | Then::GaveWay { .. } => self.role_not_written(),
            Then::ResumedAbove { order } => {
                if let Some(order) = order {
                    self.refuse(order, "not done", text, todo);
                } else {
                    self.reign.retry = Some(Again::ResumeAbove(self.highest_term()));
                    self.role_not_written();
                }
            }
            Then::Paired { id, grant: _ } => {
                let refusal = Refusal { code: RefusalCode::Busy, why: text };
                self.out.push(Effect::AnswerPairing { id, outcome: Err(refusal) });
            }
            Then::Granted { order }
            | Then::ConnectWanted { order }
            | Then::PromisedReset { order }
            | Then::Reset { order, untold: _ }
            | Then::Done { order, text: _ }
            | Then::Raised { order: Some(order) }
            | Then::DampingCleared { order, text: _ }
            | Then::Promised { order: Some(order) }
            | Then::CompleteWanted { order: Some(order), by: _ } => self.refuse(order, "not done", text, todo),
            Then::Promised { order: None } | Then::CompleteWanted { order: None, by: _ } => {
                self.note(EventKind::Program, Severity::Error, text);
            }
        }
    }

    /// The offer was taken.
    fn handed_over(&mut self, order: Option<u64>) {
        let text = format!("{} is master now, this instance its shadow", self.peer_name());
        self.note(EventKind::Role, Severity::Warning, text.clone());
        self.note_role_change();
        self.enter_shadow();
        let reason = self.durable.last_role_change.as_ref().map_or(Reason::Switch, |change| change.reason);
        self.run_role_hook(Hook::BecomeShadow, reason);
        if let Some(order) = order {
            let warning = self.vote_used_up().map_or(String::new(), |why| format!("; {why}"));
            self.done(order, format!("{text}{warning}"));
        }
        if self.leaving.is_some() {
            self.leave_now(&text);
        }
    }

    /// A moment that was waited for has come.
    pub(super) fn timer_due(&mut self, timer: Timer) {
        match timer {
            Timer::Check => self.send_check(),
            Timer::CheckLimit => self.check_due(),
            Timer::Greeting(link) => self.greeting_due(link),
            // The next plan dials, or asks what is due.
            Timer::Redial | Timer::PushRetry => {}
            Timer::Takeover => self.takeover_time(),
            Timer::Checks => self.plan_checks(),
            Timer::ChecksLimit => self.takeover_checked(Vec::new()),
            Timer::Health => self.health(),
            Timer::Silent => self.silent_due(),
            Timer::Unwatched => self.unwatched_due(),
            Timer::AskLimit => self.ask_due(),
            Timer::BootHold => self.hold_due(),
            Timer::Retry => self.retry_due(),
            Timer::ServiceRetry => self.service_retry(),
            Timer::OfferRepeat => self.offer_again(),
            Timer::OfferDoubt => self.doubt("no answer in time"),
            Timer::Handover => self.handover_abort("the last changes did not reach the shadow in time"),
            Timer::PushLimit => self.push_due(),
            Timer::Leave => self.leave_due(),
            Timer::Farewell => {
                if !self.parted() {
                    self.disconnected();
                }
            }
            Timer::PauseEnd => self.end_pause("its time is over"),
            Timer::PauseWarn => self.pause_ends_soon(),
            Timer::PauseLimit => self.pause_not_heard(),
            Timer::DialBack => self.reign.dial_back_due = true,
            Timer::ConnectLimit => self.connect_due(),
            // The next plan asks.
            Timer::Arbiter => {}
            Timer::Hold => self.check_hold(),
            Timer::Renew => self.renew_due(),
            Timer::Wish => self.wish_due(),
            Timer::ShadowLost => self.shadow_is_lost(),
            Timer::StallLimit => self.stall_due(),
            Timer::SwitchWait => self.switch_wait_over(),
        }
    }
}
