//! The third vote for people: status and alerts.

use super::super::base::{Millis, Now, UnixMillis};
use super::super::core::Engine;
use super::super::settings::failover;
use super::super::status::ArbiterStatus;
use super::super::vote::{Denial, VoteAnswer};

/// So many questions without answer in a row are an alert.
const SILENT_ALERT: u32 = 2;
/// So many denials for want of a vote are: both write it anew within two.
const NO_VOTE_ALERT: u32 = 4;
/// Moments that move with every confirmation are shown this often, ms.
const SHOWN_EVERY_MS: i64 = 1_000;

impl Engine {
    /// None is configured any more: nothing that it does or does not answer is a trouble.
    pub(super) fn no_arbiter_trouble(&mut self) {
        (self.arb.silent_count, self.arb.no_vote_count, self.arb.silent_why) = (0, 0, None);
        for code in ["H-024", "H-025"] {
            self.settle(code, "");
        }
    }

    /// Keeps what the arbiter told, raises and ends its alerts.
    pub(super) fn heard_arbiter(&mut self, answer: &VoteAnswer) {
        if !self.has_arbiter() {
            return;
        }
        if let VoteAnswer::Silent(why) = answer {
            self.arb.silent_count = self.arb.silent_count.saturating_add(1);
            let is_new = self.arb.silent_why.as_ref() != Some(why);
            if self.arb.silent_count >= SILENT_ALERT && (is_new || self.arb.silent_count == SILENT_ALERT) {
                self.arb.silent_why = Some(why.clone());
                let text = match self.is_master() {
                    true => {
                        let name = self.peer_name();
                        format!("the arbiter does not answer: {why}; unless it answers {name}, nobody can take over")
                    }
                    false => format!("the arbiter does not answer: {why}; this shadow cannot take over"),
                };
                self.hold_alert("H-024", "", &text);
            }
            return;
        }
        self.arb.last_answer = Some(self.now.wall);
        self.arb.silent_count = 0;
        self.arb.silent_why = None;
        self.settle("H-024", "");
        let (view, is_no_vote) = match answer {
            VoteAnswer::Seen(view) => (Some(*view), !view.has_vote),
            VoteAnswer::Denied(denial, view) => (Some(*view), *denial == Denial::NoVote),
            _ => (None, false),
        };
        if let Some(view) = view {
            self.arb.view = Some(view);
        }
        if let (VoteAnswer::Confirmed | VoteAnswer::Granted, Some(asked)) = (answer, self.arb.last_want) {
            let mut view = self.arb.view.unwrap_or_default();
            let (super::Want::Renew(term) | super::Want::Grant(term)) = asked else { return };
            view.highest = view.highest.max(term);
            view.holder = Some(self.durable.instance);
            view.has_vote = true;
            view.is_leased = true;
            self.arb.view = Some(view);
        }
        if is_no_vote {
            self.arb.no_vote_count = self.arb.no_vote_count.saturating_add(1);
            if self.arb.no_vote_count == NO_VOTE_ALERT {
                let why = "it knows less than this pair: the roles changed while it was away, or it was wiped, restored or \
                           is new; it decides when both have written it anew";
                self.hold_alert("H-025", "", why);
            }
        } else {
            self.arb.no_vote_count = 0;
            self.settle("H-025", "");
        }
    }

    /// Nobody can take over while it lasts.
    pub(in super::super) fn arbiter_problem(&self) -> Option<&'static str> {
        if !self.has_arbiter() {
            return None;
        }
        if self.arb.silent_count >= SILENT_ALERT {
            return Some("the arbiter does not answer");
        }
        (self.arb.no_vote_count >= NO_VOTE_ALERT).then_some("the arbiter has no vote")
    }

    /// A change of roles that the arbiter cannot note leaves it behind the pair, and without a vote until both have told it (spec
    /// 7.11): what whoever orders one now has to know.
    pub(in super::super) fn vote_used_up(&self) -> Option<String> {
        let is_away = self.has_arbiter() && self.arb.silent_count > 0;
        is_away.then(|| {
            "the arbiter does not answer and cannot note the change: until it answers and both instances have told it, \
             nobody takes over if one fails"
                .into()
        })
    }

    /// The master is lost, and the third vote keeps this shadow from taking over; for people.
    pub(in super::super) fn why_not_granted(&self) -> Option<String> {
        self.watch.lost.as_ref()?;
        if let Some(why) = self.arbiter_problem() {
            return Some(format!("{why}: nobody can take over without it"));
        }
        (self.is_leased_to_peer() && self.is_lease_renewed()).then(|| {
            format!("to the arbiter {} is still master: its lease has not run out, so it renews it", self.peer_name())
        })
    }

    /// Nothing but the grant is missing, and it may come yet; for people.
    pub(in super::super) fn waits_for_grant(&self) -> Option<String> {
        if !self.has_arbiter() || self.granted_term().is_some() {
            return None;
        }
        Some(if self.is_leased_to_peer() {
            format!("the lease of {} at the arbiter has run out", self.peer_name())
        } else {
            "the arbiter has granted the term".into()
        })
    }

    fn is_leased_to_peer(&self) -> bool {
        let is_leased = self.arb.view.is_some_and(|view| view.is_leased && view.holder != Some(self.durable.instance));
        self.arb.wants_takeover && is_leased
    }

    /// A dead master's lease would have run out by now.
    fn is_lease_renewed(&self) -> bool {
        let Some(lost) = &self.watch.lost else { return false };
        let sign = lost.last_check.map_or(lost.since.mono, |last| last.mono);
        self.now.mono.since(sign) > self.longest_failover_ms()
    }

    /// The moments of the status move at most once a second, so that an idle pair gives an equal one.
    pub(in super::super) fn show_arbiter(&mut self) {
        let refresh = |shown: &mut Option<UnixMillis>, at: Option<UnixMillis>| match (&shown, at) {
            (Some(old), Some(at)) if at >= *old && at.0 - old.0 < SHOWN_EVERY_MS => {}
            _ => *shown = at,
        };
        let now = self.now;
        let until = if self.is_master() {
            self.confirmed_until().filter(|_| self.needs_confirmation())
        } else {
            self.promise_runs_until()
        };
        refresh(&mut self.arb.shown_answer, self.arb.last_answer);
        refresh(&mut self.arb.shown_until, until.map(|until| wall_at(now, until)));
    }

    /// The longest time from the death of the master to the start of the service on the other side, ms.
    pub(in super::super) fn longest_failover_ms(&self) -> u64 {
        let (mut settings, timing) = ((*self.in_force()).clone(), self.timing());
        settings.shadow.check_interval = timing.check_interval_ms;
        settings.shadow.request_timeout = timing.request_timeout_ms;
        settings.shadow.takeover_delay = self.takeover_delay_ms();
        // After a hold was lowered longer promises stand for a while.
        settings.arbiter.promise = settings.arbiter.promise_ms().max(self.durable.promise_ms);
        failover::longest_failover_ms(&settings)
    }

    /// See [`ArbiterStatus`]; none: not configured.
    pub(in super::super) fn arbiter_status(&self) -> Option<ArbiterStatus> {
        let settings = &self.settings.arbiter;
        if !settings.is_set() {
            return None;
        }
        let view = self.arb.view.unwrap_or_default();
        let state = match (self.arb.silent_count >= SILENT_ALERT, self.arb.last_answer) {
            (true, _) => "away",
            (false, None) => "unknown",
            (false, Some(_)) if self.arb.no_vote_count > 0 => "no_vote",
            (false, Some(_)) => "ok",
        };
        let is_held = |until: Option<Millis>| until.is_some_and(|until| until > self.now.mono);
        let given = self.arb.confirmations;
        let is_current = self.is_master() && given.term == self.durable.term;
        let mut confirmed_by = Vec::new();
        for (who, until) in [("shadow", given.by_shadow), ("arbiter", given.by_arbiter)] {
            if is_current && is_held(until) {
                confirmed_by.push(who.to_owned());
            }
        }
        let message = match state {
            "away" => Some(self.arb.silent_why.clone().unwrap_or_else(|| "it does not answer".into())),
            "no_vote" => Some("it knows less than this pair; both have to write it anew".into()),
            _ if self.peer().is_none() => Some("there is no pair yet to decide for".into()),
            _ if self.arb.is_waived => Some("overruled by an operator".into()),
            _ if self.is_master() && self.durable.peer_promise.is_some() => {
                Some(format!("{} has promised not to take over: no confirmation is needed", self.peer_name()))
            }
            _ => None,
        };
        Some(ArbiterStatus {
            endpoints: settings.endpoints.clone(),
            state: state.into(),
            message,
            term: view.highest,
            holder: view.holder,
            last_answer: self.arb.shown_answer,
            confirmed_by,
            confirmed_until: self.arb.shown_until.filter(|_| self.is_master() && self.needs_confirmation()),
            promised_until: self.arb.shown_until.filter(|_| self.is_shadow() && self.promise_runs_until().is_some()),
            hold_ms: settings.hold,
            promise_ms: settings.promise_ms(),
            stop_budget_ms: settings.stop_budget,
            lease_s: settings.lease_s(),
            longest_failover_ms: self.longest_failover_ms(),
            stop_took_ms: self.work.stop_took_ms,
        })
    }
}

fn wall_at(now: Now, at: Millis) -> UnixMillis {
    let ahead = i64::try_from(at.since(now.mono)).unwrap_or(i64::MAX);
    UnixMillis(now.wall.0.saturating_add(ahead))
}
