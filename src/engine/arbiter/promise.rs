//! Whoever might take over: what it has promised, and the grant it needs (spec 7.11).

use super::super::base::{LinkId, LinkState, Millis, Reason, Role, Term};
use super::super::core::Engine;
use super::super::durable::Durable;
use super::super::event::{EventKind, Severity};
use super::super::faults::{Fault, breaks};
use super::super::message::{Body, Renewal};
use super::super::then::Then;
use super::super::timers::Timer;
use super::super::vote::Denial;
use super::{PROMISE_MAX_MS, Wish};

/// `become-master` waits for the grant so long beyond promise and lease, ms.
const WISH_GRACE_MS: u64 = 15_000;

impl Engine {
    /// A master asks for a promise: nobody becomes active here for so long from now (spec 7.11).
    pub(in super::super) fn renewal_came(&mut self, id: LinkId, role: Role, term: Term, renewal: Renewal) {
        if role != Role::Master || !self.is_settled_on_disk() {
            return;
        }
        let may_promise = match self.role() {
            Some(Role::Shadow) => term >= self.highest_term(),
            // The former master stands by its offer of this very term (spec 7.7).
            Some(Role::Master) => self.is_offering() && self.durable.offer.is_some_and(|offer| offer.term == term),
            None => false,
        };
        if !may_promise {
            return;
        }
        let promise_ms = renewal.promise_ms.min(PROMISE_MAX_MS);
        if promise_ms > self.durable.promise_ms {
            // Known after a restart before it is given: the next renewal is confirmed.
            let draft = Durable { promise_ms, ..self.draft() };
            return self.write(draft, Then::PromiseNoted { link: id, serial: renewal.serial });
        }
        self.give_promise(id, renewal.serial, promise_ms);
        // A hold that was lowered: nothing longer stands any more, so that a restart may count the shorter one.
        if promise_ms < self.durable.promise_ms && self.arb.promised_until == Some(self.after(promise_ms)) {
            self.write(Durable { promise_ms, ..self.draft() }, Then::Nothing);
        }
    }

    /// The length of the promise is on disk, or a longer one is.
    pub(in super::super) fn give_promise(&mut self, id: LinkId, serial: u64, promise_ms: u64) {
        // Counted from here, which is after the renewal was received.
        self.promise_for(promise_ms);
        self.send(id, Body::Confirm { serial });
    }

    pub(super) fn promise_for(&mut self, for_ms: u64) {
        let until = self.after(for_ms);
        self.arb.promised_until = self.arb.promised_until.max(Some(until));
    }

    /// The master has released this instance: its service has stopped (spec 7.7, 7.11).
    pub(in super::super) fn promise_is_over(&mut self) {
        self.arb.promised_until = None;
    }

    /// Until when this instance may not become active; none: it may.
    pub(in super::super) fn promise_runs_until(&self) -> Option<Millis> {
        self.arb.promised_until.filter(|until| *until > self.now.mono && !breaks(Fault::IgnoresPromise))
    }

    /// When the last promise ends or has ended; 0: none was given.
    pub(in super::super) fn last_promise_end(&self) -> Millis {
        self.arb.promised_until.unwrap_or_default()
    }

    /// Connected again and about to be READY: the standing promise is over, as if one had just been given.
    pub(in super::super) fn standing_promise_is_over(&mut self) {
        // One given over this very connection stands, whatever was on its way meanwhile.
        let is_earlier =
            matches!(self.watch.state, Some(LinkState::Handshake | LinkState::Initsync)) && self.leaving.is_none();
        if self.durable.own_promise.is_some() && is_earlier && self.is_settled_on_disk() {
            self.promise_for(self.own_promise_ms().max(self.durable.promise_ms));
            let draft = Durable { own_promise: None, ..self.draft() };
            self.write(draft, Then::PromiseOver);
        }
    }

    /// Delay and checks are over: is the promise too, and is there a grant? If not, the takeover goes on when they are.
    pub(in super::super) fn may_become_active(&mut self) -> bool {
        if let Some(until) = self.promise_runs_until() {
            self.timers.set(Timer::Takeover, until);
            return false;
        }
        if !self.has_arbiter() {
            return true;
        }
        if self.granted_term().is_some() || breaks(Fault::NeedsNoGrant) {
            return true;
        }
        self.arb.wants_takeover = true;
        false
    }

    /// A term granted whose hold has not lapsed, and above which nobody is known.
    pub(in super::super) fn granted_term(&self) -> Option<Term> {
        let grant = self.arb.grant?;
        let is_held = grant.until > self.now.mono;
        (is_held && grant.term > self.highest_term()).then_some(grant.term)
    }

    /// The master is back, or the role has changed: no takeover is wanted, and whoever holds the role gets the vote back.
    pub(in super::super) fn drop_takeover_wish(&mut self) {
        self.arb.wants_takeover = false;
        self.arb.grant = None;
        if self.is_shadow() && self.has_arbiter() && self.arb.last_granted > self.durable.term {
            let term = self.arb.last_granted;
            self.arb.last_granted = Term(0);
            self.release_term(term);
        }
    }

    /// The takeover under way begins anew; a grant that comes meanwhile is kept.
    pub(in super::super) fn pause_takeover_wish(&mut self) {
        self.arb.wants_takeover = false;
    }

    /// `become-master` with an arbiter: promise and grant first (spec 7.8).
    pub(in super::super) fn wish(&mut self, order: u64) {
        if self.arb.wish.is_some() {
            let why = "another such order waits for the arbiter";
            return self.refuse(order, "not made master", why, "Wait for its outcome");
        }
        self.arb.wish = Some(Wish { order });
        self.arb.not_before = self.now.mono;
        let now = self.now.mono;
        let promise_ms = self.promise_runs_until().map_or(0, |until| until.since(now));
        let lease_ms = self.settings.arbiter.lease_s().saturating_mul(1_000);
        self.timers.set(Timer::Wish, self.after(promise_ms.max(lease_ms) + WISH_GRACE_MS));
        let text = if promise_ms > 0 {
            format!(
                "become-master waits for the grant of the arbiter, and {promise_ms} ms until its promise has run out"
            )
        } else {
            "become-master waits for the grant of the arbiter".to_owned()
        };
        if self.is_shadow() {
            self.watch.message = Some(text.clone());
        } else {
            self.reign.hold_why.clone_from(&text);
        }
        self.note(EventKind::Role, Severity::Warning, text);
    }

    /// A standing promise binds even an operator's word, unless the other instance was met as a shadow: then nobody relies on it.
    pub(in super::super) fn is_bound(&self) -> bool {
        self.durable.own_promise.is_some() && !self.has_met_shadow()
    }

    /// The other instance was met as a shadow, since the master is lost.
    pub(super) fn has_met_shadow(&self) -> bool {
        self.watch.lost.as_ref().is_some_and(|lost| lost.rival.is_some())
    }

    pub(in super::super) fn wish_goes_on(&mut self) {
        if self.is_bound() {
            return self.wish_ends("it has promised meanwhile not to take over");
        }
        if self.promise_runs_until().is_some() || self.granted_term().is_none() || !self.is_settled_on_disk() {
            return;
        }
        if self.watch.applying.is_some() {
            // Its end comes first, and brings it back here; a grant that ends meanwhile is asked for again.
            return;
        }
        if let Some(wish) = self.arb.wish.take() {
            self.timers.clear(Timer::Wish);
            self.take_over(Reason::Forced, Some(wish.order));
        }
    }

    pub(super) fn wish_denied(&mut self, denial: Denial) {
        if denial == Denial::NoVote {
            self.wish_ends("the arbiter has no vote: it knew less than the pair, and both have to write it anew");
        }
    }

    pub(super) fn wish_unanswered(&mut self, why: &str) {
        self.wish_ends(&format!("the arbiter does not answer: {why}"));
    }

    /// It did not come in time.
    pub(in super::super) fn wish_due(&mut self) {
        self.wish_ends("the arbiter grants no term: the lease of the other instance runs on, so it is alive");
    }

    fn wish_ends(&mut self, why: &str) {
        if let Some(wish) = self.arb.wish.take() {
            self.timers.clear(Timer::Wish);
            let todo =
                "Only if the other instance is certainly not active: `ha become-master --force --without-arbiter`";
            self.refuse(wish.order, "not made master", why, todo);
        }
    }

    /// An operator overrules the arbiter: nobody has to confirm until somebody does (spec 7.8).
    pub(in super::super) fn waive_arbiter(&mut self) {
        if self.has_arbiter() {
            self.arb.is_waived = true;
            let text = "the arbiter is overruled by an operator until it, or the other instance, confirms this master";
            self.note(EventKind::Role, Severity::Warning, text);
        }
    }
}
