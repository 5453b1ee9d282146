//! The third vote (spec 7.11), as this instance deals with it: what it asks and when. What its answers mean is in the modules
//! beside: `confirmed` for a master, `promise` for whoever might take over, `tell` for people.
//!
//! One question is under way at a time, and an answer counts from the moment its question was sent.

mod asking;
mod confirmed;
mod promise;
mod tell;

use std::collections::VecDeque;

use super::base::{Millis, Reason, Term, UnixMillis};
use super::core::Engine;
use super::sketch::ArbitrationSketch;
use super::vote::{Claim, View, Want};
use super::work::StartFor;

/// Longest promise that is given, whatever the other side asks for, ms: the most the settings allow.
pub(super) const PROMISE_MAX_MS: u64 = 3_600_000;
/// Renewals sent to the shadow and not yet confirmed; older ones are forgotten.
const RENEWALS_OPEN_MAX: usize = 64;

/// A question under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    id: u64,
    want: Want,
    sent: Millis,
    /// A yes counts from the sending for the hold time that was in force then.
    until: Millis,
}

/// A lease to be ended, because the service it stood for has stopped.
#[derive(Clone, Copy, Debug)]
struct Release {
    term: Term,
    claim: Claim,
    tries: u8,
}

/// A term that the arbiter granted.
#[derive(Clone, Copy, Debug)]
struct Grant {
    term: Term,
    until: Millis,
}

/// A renewal sent to the shadow and not yet confirmed.
#[derive(Clone, Copy, Debug)]
struct OpenRenewal {
    serial: u64,
    sent: Millis,
    /// See [`Asked::until`].
    until: Millis,
}

/// Until when who confirmed this master: counted from the sending of what was confirmed, for the hold time that was in force
/// then. A longer one counts for what is sent later: the promises asked for before are of the earlier one. A shorter one counts at
/// once, because an arbiter that forgets is told the time of now to wait.
#[derive(Clone, Copy, Debug, Default)]
struct Confirmations {
    /// They are for this term alone.
    term: Term,
    by_shadow: Option<Millis>,
    by_arbiter: Option<Millis>,
    /// One hold time after a standing promise, or being without shadow or arbiter, ended: nobody can have taken over before.
    standing: Option<Millis>,
}

impl Confirmations {
    fn newest(&self) -> Option<Millis> {
        self.by_shadow.max(self.by_arbiter).max(self.standing)
    }

    fn all(&mut self) -> impl Iterator<Item = &mut Millis> {
        [&mut self.by_shadow, &mut self.by_arbiter, &mut self.standing].into_iter().flatten()
    }
}

/// An operator said `become-master`, and it waits for promise and grant (spec 7.8).
#[derive(Clone, Copy, Debug)]
pub(super) struct Wish {
    pub order: u64,
}

/// What is known of the arbiter and through it.
#[derive(Clone, Debug, Default)]
pub(super) struct Arbitration {
    next_id: u64,
    asked: Option<Asked>,
    /// What the last question was; another one need not wait.
    last_want: Option<Want>,
    not_before: Millis,
    /// Number of the claim within this run.
    claim: u64,
    release: Option<Release>,
    /// A renewal was denied: only a new term can be confirmed.
    is_outdated: bool,
    /// The highest own term when this instance last looked.
    looked_term: Term,
    grant: Option<Grant>,
    /// The last term granted to this instance; asked for again before a higher one.
    last_granted: Term,
    /// The delay is over and the checks pass: only the grant is missing.
    wants_takeover: bool,
    pub wish: Option<Wish>,
    confirmations: Confirmations,
    was_needed: bool,
    /// An operator overruled the arbiter; over with the first confirmation.
    pub is_waived: bool,
    renewals: VecDeque<OpenRenewal>,
    next_serial: u64,
    last_renewal: Option<Millis>,
    /// Shadow: it does not become active before then, because it has promised so.
    promised_until: Option<Millis>,
    /// What the guard of the service was last told.
    allowed: Option<Millis>,
    /// For people.
    view: Option<View>,
    silent_why: Option<String>,
    silent_count: u32,
    no_vote_count: u32,
    last_answer: Option<UnixMillis>,
    shown_answer: Option<UnixMillis>,
    shown_until: Option<UnixMillis>,
}

/// Why a master that has the role is not active, and how it goes on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Isolated {
    /// By its takeover checks (spec 7.10); else because nobody confirmed it (spec 7.11).
    pub by_checks: bool,
    pub since: Millis,
    /// What the service is started for when it is over.
    pub purpose: StartFor,
    pub reason: Reason,
}

impl Engine {
    /// One is configured, and there is a pair it can decide for.
    pub(super) fn has_arbiter(&self) -> bool {
        self.settings.arbiter.is_set() && self.peer().is_some()
    }

    /// It is settled which of the copies of a home is the instance (spec 7.6).
    pub(super) fn copy_decided(&mut self) {
        self.facts.is_copied = false;
    }

    /// A restored or copied home about which nobody has answered and no operator has decided.
    pub(super) fn is_unsettled_copy(&self) -> bool {
        let is_settled =
            if self.is_master() { !self.is_waiting() } else { self.watch.was_attached || self.has_met_shadow() };
        self.facts.is_copied && !is_settled
    }

    /// The promise of the settings, ms.
    fn own_promise_ms(&self) -> u64 {
        self.settings.arbiter.promise_ms().min(PROMISE_MAX_MS)
    }

    /// A run begins: as if the promise of the earlier run had just been given (spec 7.11).
    pub(super) fn start_arbitration(&mut self) {
        let own_ms = if self.has_arbiter() { self.own_promise_ms() } else { 0 };
        let promise_ms = own_ms.max(self.durable.promise_ms);
        if promise_ms > 0 {
            self.promise_for(promise_ms);
        }
        self.arb.confirmations.term = self.durable.term;
    }

    /// The role ended: nothing of it counts any more.
    pub(super) fn reset_arbitration(&mut self) {
        self.arb.confirmations = Confirmations::default();
        self.arb.is_outdated = false;
        self.arb.renewals.clear();
        self.arb.is_waived = false;
        self.drop_takeover_wish();
    }

    /// The part of [`Engine::sketch`] that is here.
    pub(super) fn with_arbitration(&self, reader: &mut dyn FnMut(&ArbitrationSketch<'_>)) {
        let arb = &self.arb;
        let renewals: Vec<(u64, Millis)> =
            arb.renewals.iter().map(|open| (arb.next_serial - open.serial, open.until)).collect();
        let given = &arb.confirmations;
        reader(&ArbitrationSketch {
            asked: arb.asked.map(|asked| (asked.want, asked.until)),
            last_want: arb.last_want,
            release: arb.release.map(|release| (release.term, arb.claim - release.claim.number, release.tries)),
            grant: arb.grant.map(|grant| (grant.term, grant.until)),
            terms: [arb.looked_term, arb.last_granted],
            flags: &[arb.is_outdated, arb.wants_takeover, arb.wish.is_some(), arb.was_needed, arb.is_waived],
            confirmations: (given.term, [given.by_shadow, given.by_arbiter, given.standing]),
            renewals: &renewals,
            not_before: arb.not_before,
            last_renewal: arb.last_renewal,
            promised_until: arb.promised_until,
            allowed: arb.allowed,
            view: arb.view,
        });
    }

    /// Number of the last renewal, and of the claim.
    pub(super) fn arbitration_counters(&self) -> (u64, u64) {
        (self.arb.next_serial, self.arb.claim)
    }
}
