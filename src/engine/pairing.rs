//! Making the pair (spec 3.1 to 3.3): policy here, the talk and the password in the node.

use super::base::{Fingerprint, OwnTerms, PairId, Role, Run, Term};
use super::core::Engine;
use super::durable::{Durable, Peer};
use super::effect::Effect;
use super::event::{EventKind, Severity};
use super::message::{PROTOCOL, PROTOCOL_MIN, PairGrant, PairHello, Refusal, RefusalCode};
use super::then::Then;
use super::timers::Timer;

/// `connect` is answered at the latest after, ms.
const CONNECT_ANSWER_MS: u64 = 10_000;

impl Engine {
    /// Before any password is asked.
    pub(super) fn pair_asked(
        &mut self,
        id: u64,
        hello: &PairHello,
        fingerprint: Fingerprint,
        host_problem: Option<String>,
    ) {
        let outcome = match self.pairing_problem(hello, fingerprint, host_problem) {
            None => Ok(None),
            Some((code, why)) => Err(self.note_refusal(hello, code, why)),
        };
        self.out.push(Effect::AnswerPairing { id, outcome });
    }

    fn note_refusal(&mut self, hello: &PairHello, code: RefusalCode, why: String) -> Refusal {
        self.note(EventKind::Security, Severity::Warning, format!("pairing with {} refused: {why}", hello.host));
        Refusal { code, why }
    }

    fn pairing_problem(
        &self,
        hello: &PairHello,
        fingerprint: Fingerprint,
        host_problem: Option<String>,
    ) -> Option<(RefusalCode, String)> {
        if self.role() != Some(Role::Master) {
            return Some((RefusalCode::NotMaster, "this instance is not a master".into()));
        }
        if hello.instance == self.durable.instance {
            return Some((RefusalCode::SameInstance, "both are the same instance: one home is a copy".into()));
        }
        if !self.in_force().high_availability.enabled {
            return Some((RefusalCode::Disabled, "high availability is off on the master".into()));
        }
        if let Some(problem) = host_problem {
            return Some((RefusalCode::WrongHost, problem));
        }
        if hello.protocol < PROTOCOL_MIN || hello.protocol_min > PROTOCOL {
            let why = format!("version {} speaks protocol {}, this instance {PROTOCOL}", hello.version, hello.protocol);
            return Some((RefusalCode::Version, why));
        }
        if !self.is_active() || self.leaving.is_some() {
            return Some((RefusalCode::Busy, "the master is not active now".into()));
        }
        if let Some(peer) = self.peer() {
            if peer.instance != hello.instance && peer.fingerprint != fingerprint {
                let why = format!("another shadow is known: {}; reset high availability first", peer.host);
                return Some((RefusalCode::SecondShadow, why));
            }
            if self.reign.shadow.is_some() {
                return Some((RefusalCode::SecondShadow, "this shadow is connected; disconnect it first".into()));
            }
        }
        None
    }

    /// User and password were right: checked again, then the pair is made, on disk first.
    pub(super) fn pair_proved(
        &mut self,
        id: u64,
        hello: &PairHello,
        fingerprint: Fingerprint,
        address: String,
        host_problem: Option<String>,
        fresh_pair: PairId,
    ) {
        if let Some((code, why)) = self.pairing_problem(hello, fingerprint, host_problem) {
            let refusal = self.note_refusal(hello, code, why);
            return self.out.push(Effect::AnswerPairing { id, outcome: Err(refusal) });
        }
        let mut draft = self.draft();
        // The instance first made master takes the odd terms (spec 7.3).
        let term = if draft.term.0 % 2 == 1 { draft.term } else { Term(draft.term.0 + 1) };
        let grace_period_ms = self.in_force().high_availability.grace_period;
        draft.peer = Some(Peer {
            pair: fresh_pair,
            instance: hello.instance,
            fingerprint,
            own_terms: OwnTerms::Odd,
            host: hello.host.clone(),
            port: hello.port,
            address: Some(address),
            version: hello.version.clone(),
            description: hello.description.clone(),
            timing: hello.timing,
            grace_period_ms,
            paired: self.now.wall,
            run: Run(0),
        });
        draft.former_peer = None;
        draft.term = term;
        draft.known_term = term;
        draft.may_take_over = false;
        draft.peer_promise = None;
        draft.common = None;
        let in_force = self.in_force();
        let grant = PairGrant {
            pair: fresh_pair,
            instance: self.durable.instance,
            term,
            shadow_terms: OwnTerms::Even,
            host: in_force.host.clone(),
            port: self.facts.link_port,
            version: self.facts.version.clone(),
            description: in_force.description.clone(),
            grace_period_ms,
        };
        self.write(draft, Then::Paired { id, grant: Box::new(grant) });
    }

    /// The pair is on the master's disk.
    pub(super) fn paired(&mut self, id: u64, grant: Box<PairGrant>) {
        self.forget_links();
        self.heard_term = self.durable.term;
        let text = format!("paired with {}", self.peer_name());
        self.note(EventKind::Security, Severity::Information, text);
        self.settle("H-007", "");
        self.reign.is_silent = false;
        self.reign.last_heard = Some(self.now.mono);
        self.timers.set(Timer::Silent, self.after(CONNECT_ANSWER_MS));
        self.out.push(Effect::AnswerPairing { id, outcome: Ok(Some(grant)) });
    }

    /// Connections and what was heard of an earlier pair mean nothing any more.
    fn forget_links(&mut self) {
        self.heard_run = Run(0);
        let all: Vec<_> = self.links.all.keys().copied().collect();
        for id in all {
            self.close(id, "a new pair was made");
        }
        self.cancel_dial();
        self.reign.asked.clear();
    }

    /// On the shadow: the master granted the pairing.
    pub(super) fn pair_granted(&mut self, order: u64, grant: &PairGrant, fingerprint: Fingerprint, address: String) {
        let what = "not paired";
        if !self.is_shadow() {
            return self.refuse(order, what, "this instance is not a shadow", "");
        }
        if self.watch.attached {
            let why = format!("this shadow is connected to {}", self.peer_name());
            return self.refuse(order, what, why, "Disconnect and reset it first");
        }
        if grant.instance == self.durable.instance {
            return self.refuse(order, what, "the master is this very instance", "Correct the master host");
        }
        let timing = self.timing();
        let draft = Durable {
            peer: Some(Peer {
                pair: grant.pair,
                instance: grant.instance,
                fingerprint,
                own_terms: grant.shadow_terms,
                host: grant.host.clone(),
                port: grant.port,
                address: Some(address),
                version: grant.version.clone(),
                description: grant.description.clone(),
                timing,
                grace_period_ms: grant.grace_period_ms,
                paired: self.now.wall,
                run: Run(0),
            }),
            former_peer: None,
            // Terms mean something only within a pair.
            term: grant.term,
            known_term: grant.term,
            own_promise: None,
            connect_wanted: true,
            complete_wanted: true,
            disconnected_since: None,
            forced_shadow: false,
            was_master: false,
            common: None,
            ..self.draft()
        };
        self.write(draft, Then::Granted { order });
    }

    /// The shadow is wanted to connect: now; the order is answered by the outcome.
    pub(super) fn connect_now(&mut self, order: u64) {
        // The operator has decided which of the copies it is.
        self.copy_decided();
        if self.heard_run > self.peer().map_or(Run(0), |peer| peer.run)
            || self.peer().is_some_and(|peer| peer.run == Run(0))
        {
            self.forget_links();
            self.heard_term = self.durable.term;
        }
        self.watch.gave_up = false;
        self.watch.lost = None;
        self.timers.clear(Timer::Takeover);
        for timer in [Timer::Redial, Timer::Farewell] {
            self.timers.clear(timer);
        }
        self.settle("H-015", "");
        self.set_state(super::base::LinkState::Handshake, Some("looking for the master".into()));
        self.watch.connecting.push(order);
        self.timers.set(Timer::ConnectLimit, self.after(CONNECT_ANSWER_MS));
    }

    /// Not connected in time; it goes on trying.
    pub(super) fn connect_due(&mut self) {
        let why = self.watch.message.clone().unwrap_or_else(|| "the master does not answer".into());
        for order in std::mem::take(&mut self.watch.connecting) {
            let todo = "Standin goes on trying; check the master host, its port, and that the master runs";
            self.refuse(order, "not connected yet", why.clone(), todo);
        }
    }
}
