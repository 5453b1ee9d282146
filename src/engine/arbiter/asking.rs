//! What is asked of the arbiter, and when.

use super::super::base::{Millis, Role, Term};
use super::super::core::Engine;
use super::super::durable::Durable;
use super::super::effect::Effect;
use super::super::master::Activity;
use super::super::then::Then;
use super::super::timers::Timer;
use super::super::vote::{Ask, Claim, Denial, VoteAnswer, Want};
use super::{Asked, Grant, Release};

/// Shortest and longest pause before a question that was denied is asked again, ms.
const POLL_MIN_MS: u64 = 250;
const POLL_MAX_MS: u64 = 1_000;
/// A shadow looks so often whether the arbiter is there, ms.
const LOOK_INTERVAL_MS: u64 = 4_000;
/// A release that is not answered is said so often.
const RELEASE_TRIES_MAX: u8 = 3;
/// A question that the node does not answer at all is given up so long after its own limit, ms.
const ANSWER_GRACE_MS: u64 = 5_000;
/// Parts of the hold time: confirmations are asked for so often within one.
pub(super) const RENEWALS_PER_HOLD: u64 = 3;

impl Engine {
    /// Asks what is due; called after every input.
    pub(in super::super) fn plan_arbiter(&mut self) {
        self.plan_confirmation();
        if !self.has_arbiter() || !self.is_settled_on_disk() {
            return;
        }
        if let Some(asked) = self.arb.asked {
            let limit_ms = self.ask_limit_ms();
            if self.now.mono.since(asked.sent) < limit_ms {
                self.timers.set(Timer::Arbiter, asked.sent.plus(limit_ms));
                return;
            }
            self.arbiter_answered(asked.id, VoteAnswer::Silent("no answer".into()));
        }
        self.look_when_new();
        let Some((want, earliest)) = self.wanted_vote() else {
            self.timers.clear(Timer::Arbiter);
            return;
        };
        let is_new =
            self.arb.last_want.is_none_or(|last| std::mem::discriminant(&last) != std::mem::discriminant(&want));
        let at = if is_new { earliest } else { earliest.max(self.arb.not_before) };
        if at > self.now.mono {
            self.timers.set(Timer::Arbiter, at);
        } else {
            self.ask_arbiter(want);
        }
    }

    fn ask_limit_ms(&self) -> u64 {
        let arbiter = &self.settings.arbiter;
        let endpoints = u64::try_from(arbiter.endpoints.len()).unwrap_or(1).max(1);
        arbiter.request_timeout.saturating_mul(endpoints) + ANSWER_GRACE_MS
    }

    fn poll_ms(&self) -> u64 {
        (self.settings.arbiter.hold / 6).clamp(POLL_MIN_MS, POLL_MAX_MS)
    }

    /// What to ask now, and not before when.
    fn wanted_vote(&self) -> Option<(Want, Millis)> {
        let now = self.now.mono;
        if let Some(release) = self.arb.release {
            return Some((Want::Release(release.term), now));
        }
        if self.is_unsettled_copy() {
            // What a copied home knows is not to be told to anybody (spec 7.6).
            return None;
        }
        let want = match self.role()? {
            Role::Master => self.wanted_by_master()?,
            Role::Shadow => self.wanted_by_shadow(),
        };
        // An instance that starts asks for no term until its last promise has run out.
        let is_grant = matches!(want, Want::Grant(_));
        let earliest = if is_grant { self.promise_runs_until().unwrap_or(now) } else { now };
        Some((want, earliest))
    }

    fn wanted_by_master(&self) -> Option<Want> {
        match self.reign.activity {
            Activity::Active | Activity::Holding | Activity::Isolated if self.durable.offer.is_none() => {
                if self.arb.is_outdated || self.arb.wish.is_some() {
                    Some(Want::Grant(self.next_grant_term(Term(0))))
                } else if self.durable.ungranted.is_some() {
                    Some(Want::Grant(self.durable.term))
                } else {
                    Some(Want::Renew(self.durable.term))
                }
            }
            Activity::InDoubt => {
                let offered = self.durable.offer.map_or(Term(0), |offer| offer.term);
                let hold_ms = self.in_force().high_availability.boot_hold;
                let is_long = self.reign.doubt_since.is_some_and(|since| self.now.mono.since(since) >= hold_ms);
                (is_long || self.arb.wish.is_some()).then(|| Want::Grant(self.next_grant_term(offered)))
            }
            _ => None,
        }
    }

    fn wanted_by_shadow(&self) -> Want {
        if self.arb.wants_takeover || self.arb.wish.is_some() {
            Want::Grant(self.next_grant_term(Term(0)))
        } else {
            Want::Look
        }
    }

    /// The next own term to ask for: one that was granted already and never used comes first.
    fn next_grant_term(&self, above: Term) -> Term {
        let last = self.arb.last_granted;
        if last > self.highest_term().max(above) {
            return last;
        }
        self.next_own_term(above)
    }

    /// The highest term the arbiter told of, which counts for the next one (spec 7.3).
    pub(in super::super) fn arbiter_term(&self) -> Term {
        self.arb.view.map_or(Term(0), |view| view.highest)
    }

    fn ask_arbiter(&mut self, want: Want) {
        let Some(peer) = self.peer() else { return };
        let (pair, other) = (peer.pair, peer.instance);
        let mut claim = Claim { run: self.durable.run, number: self.arb.claim };
        if let (Want::Release(_), Some(release)) = (want, &mut self.arb.release) {
            claim = release.claim;
            release.tries += 1;
        }
        let known = match want {
            Want::Grant(term) if term == self.durable.term => self.durable.ungranted.unwrap_or(Term(term.0 - 1)),
            _ => self.known_to_arbiter(),
        };
        let ask = Ask { from: self.durable.instance, peer: other, known, claim, want };
        self.arb.next_id += 1;
        let id = self.arb.next_id;
        let until = self.after(self.settings.arbiter.hold);
        self.arb.asked = Some(Asked { id, want, sent: self.now.mono, until });
        self.arb.last_want = Some(want);
        if want == Want::Look {
            self.arb.looked_term = self.highest_term();
        }
        self.timers.set(Timer::Arbiter, self.after(self.ask_limit_ms()));
        let lease_s = self.settings.arbiter.lease_s();
        self.out.push(Effect::AskArbiter { id, pair, ask, lease_s });
    }

    /// The highest term to write at the arbiter.
    fn known_to_arbiter(&self) -> Term {
        // One that this instance may still go by, also where the arbiter has forgotten the grant meanwhile: otherwise that would
        // confirm the master of the term before.
        let granted = self.granted_term().unwrap_or_default();
        // What the other has written there, and perhaps never had: else the two would never have written the same.
        let heard = self.arb.view.filter(|view| !view.has_vote).map_or(Term(0), |view| view.highest);
        self.highest_term().max(granted).max(heard)
    }

    /// What the arbiter said to a question of this run.
    pub(in super::super) fn arbiter_answered(&mut self, id: u64, answer: VoteAnswer) {
        let Some(asked) = self.arb.asked.take_if(|asked| asked.id == id) else { return };
        self.timers.clear(Timer::Arbiter);
        let now = self.now.mono;
        let poll_ms = self.poll_ms();
        self.arb.not_before = match &answer {
            VoteAnswer::Confirmed | VoteAnswer::Granted => {
                asked.sent.plus(self.settings.arbiter.hold / RENEWALS_PER_HOLD).max(now)
            }
            VoteAnswer::Released => now,
            VoteAnswer::Seen(view) if view.has_vote => now.plus(LOOK_INTERVAL_MS),
            VoteAnswer::Seen(_) => now.plus(POLL_MAX_MS),
            VoteAnswer::Denied(..) | VoteAnswer::Silent(_) => now.plus(poll_ms),
        };
        self.heard_arbiter(&answer);
        if !matches!(answer, VoteAnswer::Silent(_)) && self.stall.is_over_by(asked.sent) {
            self.fresh_round();
        }
        match answer {
            VoteAnswer::Confirmed => self.arbiter_confirmed(asked),
            VoteAnswer::Granted => self.granted(asked),
            VoteAnswer::Released => self.arb.release = None,
            VoteAnswer::Denied(denial, _) => self.denied(asked.want, denial),
            VoteAnswer::Silent(why) => self.arbiter_silent(asked.want, &why),
            VoteAnswer::Seen(_) => {}
        }
    }

    fn granted(&mut self, asked: Asked) {
        let Want::Grant(term) = asked.want else { return };
        self.arb.last_granted = self.arb.last_granted.max(term);
        self.arb.is_outdated = false;
        let grant = Grant { term, until: asked.until };
        self.arb.grant = Some(grant);
        if self.is_shadow() {
            if self.arb.wish.is_some() {
                self.wish_goes_on();
            } else if self.arb.wants_takeover {
                self.takeover_time();
            }
            return;
        }
        if term == self.durable.term {
            self.arbiter_confirmed(asked);
            return;
        }
        if self.promise_runs_until().is_some() {
            // In doubt it has promised to the new master meanwhile: both hold at the moment of becoming active (spec 7.11). It is
            // asked for again when the promise has run out.
            return;
        }
        let is_wanted = matches!(self.reign.activity, Activity::Active | Activity::Holding | Activity::Isolated)
            || self.reign.activity == Activity::InDoubt;
        if is_wanted && term > self.highest_term() && self.is_settled_on_disk() && self.leaving.is_none() {
            self.raise_term(term);
        }
    }

    /// On at a term that the arbiter granted; a service that runs runs on.
    fn raise_term(&mut self, term: Term) {
        let order = self.arb.wish.take().map(|wish| wish.order);
        let text = format!("the arbiter granted term {term}");
        self.note(super::super::event::EventKind::Role, super::super::event::Severity::Warning, text);
        let draft =
            Durable { term, known_term: self.highest_term().max(term), offer: None, ungranted: None, ..self.draft() };
        self.write(draft, Then::Raised { order });
    }

    fn denied(&mut self, want: Want, denial: Denial) {
        if denial == Denial::Outdated {
            match want {
                Want::Renew(_) => self.arb.is_outdated = true,
                Want::Grant(term) if self.is_master() && term == self.durable.term => self.arb.is_outdated = true,
                Want::Grant(term) if term == self.arb.last_granted => self.arb.last_granted = Term(0),
                _ => {}
            }
            // The next question names another term, or is another.
            self.arb.not_before = self.now.mono.plus(POLL_MIN_MS);
        }
        if matches!(want, Want::Grant(_)) {
            self.wish_denied(denial);
        }
    }

    fn arbiter_silent(&mut self, want: Want, why: &str) {
        if let (Want::Release(_), Some(release)) = (want, self.arb.release)
            && release.tries >= RELEASE_TRIES_MAX
        {
            // It ends by its time to live.
            self.arb.release = None;
        }
        if matches!(want, Want::Grant(_)) {
            self.wish_unanswered(why);
        }
    }

    /// The service has stopped for good: whoever comes next need not wait (spec 7.11).
    pub(in super::super) fn release_vote(&mut self) {
        self.arb.confirmations = super::Confirmations::default();
        if !self.has_arbiter() || self.is_unsettled_copy() {
            return;
        }
        self.release_term(self.durable.term);
    }

    /// A lease that was given back, and the arbiter has not said so yet.
    pub(in super::super) fn is_releasing(&self) -> bool {
        self.has_arbiter() && self.arb.release.is_some()
    }

    /// Ends the own lease of that term; what is claimed later is another claim.
    pub(super) fn release_term(&mut self, term: Term) {
        let claim = Claim { run: self.durable.run, number: self.arb.claim };
        self.arb.claim += 1;
        self.arb.release = Some(Release { term, claim, tries: 0 });
    }

    /// A shadow looks when it has something new to write there.
    pub(super) fn look_when_new(&mut self) {
        if self.is_shadow() && self.arb.looked_term != self.highest_term() {
            self.arb.not_before = self.arb.not_before.min(self.now.mono.plus(POLL_MAX_MS));
        }
    }
}
