//! What the other end says: each body to the room that answers for it; the greeting of incoming connections.

use super::base::{LinkId, Role};
use super::core::Engine;
use super::durable::{Durable, Peer};
use super::event::{EventKind, Severity};
use super::links::Over;
use super::message::{
    Body, Envelope, Hello, PROTOCOL, PROTOCOL_MIN, Purpose, Question, Refusal, RefusalCode, TRAIL_MAX,
};
use super::then::Then;

/// Longest text of the peer that is kept, in characters.
const PEER_TEXT_MAX: usize = 200;

impl Engine {
    /// A message of the pair, of the newest run and connection.
    pub(super) fn said(&mut self, id: LinkId, link: Over, envelope: Envelope, host_problem: Option<String>) {
        let (role, term) = (envelope.role, envelope.term);
        match envelope.body {
            Body::Hello(hello) if !link.outgoing && !link.greeted => {
                return self.greeted_by(id, role, term, &hello, host_problem);
            }
            Body::Welcome(hello) if link.outgoing && !link.greeted => return self.welcomed(id, role, term, *hello),
            Body::Refused(refusal) if link.outgoing => return self.refused(id, role, term, &refusal),
            Body::Hello(_) | Body::Welcome(_) | Body::Refused(_) => return,
            _ => {}
        }
        if !self.links.all.get(&id).is_some_and(|link| link.greeted) || !self.rank(role, term, &envelope.body) {
            return;
        }
        if self.is_shadow() && role == Role::Master && term > self.durable.term && self.watch.link == Some(id) {
            let draft = Durable { term, ..self.draft() };
            self.write(draft, Then::Nothing);
        }
        self.body(id, role, term, envelope.body);
    }

    fn body(&mut self, id: LinkId, role: Role, term: super::base::Term, body: Body) {
        match body {
            Body::Check(check) => self.check_came(id, check),
            Body::CheckAnswer(answer) => self.check_answered(id, answer),
            Body::Push(push) => self.push_came(id, push),
            Body::Applied(applied) => self.peer_applied(id, &applied),
            Body::ApplyFailed { revision, why } => self.peer_apply_failed(id, revision, &why),
            Body::MayTakeOver { head } => self.may_take_over_came(id, head),
            Body::Ask { question, nonce } => self.asked(id, role, term, question, nonce),
            Body::Answer(answer) => self.answered(id, role, term, &answer),
            Body::Offer(offer) => self.offered(id, offer),
            Body::OfferTaken { term } => self.offer_taken(term),
            Body::OfferRefused { term, own_term, why } => self.offer_refused(term, own_term, &why),
            Body::Farewell { kind } => self.farewell_came(id, kind),
            Body::FarewellHeard => self.farewell_heard(),
            Body::PleaseDisconnect { by } => self.please_disconnect(id, &by),
            Body::PleaseReconnect { by } => self.please_reconnect(id, &by),
            Body::Pause { for_ms, kind } => self.pause_came(id, for_ms, kind),
            Body::PauseHeard { for_ms, kind } => self.pause_heard(for_ms, kind),
            Body::BranchKept(branch) => self.branch_kept(&branch),
            Body::Renew(renewal) => self.renewal_came(id, role, term, renewal),
            Body::Confirm { serial } => self.renewal_confirmed(serial),
            Body::Takeovers(takeovers) => self.takeovers_told(&takeovers),
            Body::Kit(kit) => self.kit_came(*kit),
            Body::Hello(_) | Body::Welcome(_) | Body::Refused(_) => {}
            Body::Unknown => {
                self.note(EventKind::Link, Severity::Information, "a message of a newer version was passed over");
            }
        }
    }

    /// Compares the speaker's role and term with ours (spec 7.1, 7.6); false: what it says does not count.
    fn rank(&mut self, role: Role, term: super::base::Term, body: &Body) -> bool {
        let is_question = matches!(body, Body::Ask { .. });
        match self.role() {
            Some(Role::Master) => {
                if term > self.durable.term {
                    let settles_offer = matches!(
                        body,
                        Body::Answer(_) | Body::OfferTaken { .. } | Body::OfferRefused { .. } | Body::Renew(_)
                    );
                    if self.durable.offer.is_some() {
                        return settles_offer || is_question;
                    }
                    if self.is_waiting() && !matches!(body, Body::Answer(_)) {
                        // On the boot hold only an answer to the own question counts (spec 7.5).
                        return is_question;
                    }
                    if !self.is_waiting() {
                        self.relinquish(term, "the other instance knows a higher term");
                    }
                    return is_question || matches!(body, Body::Answer(_));
                }
                if role == Role::Master && term == self.durable.term && self.durable.offer.is_none() {
                    self.halt("the other instance is master with the same term");
                    return is_question;
                }
                if role == Role::Master && term < self.durable.term {
                    self.met_loser(term);
                }
                true
            }
            Some(Role::Shadow) => {
                let is_lower_master = role == Role::Master && term < self.durable.term;
                // An offer of a lower term is refused, so that the other end learns it (spec 7.7).
                !is_lower_master || is_question || matches!(body, Body::Offer(_))
            }
            None => false,
        }
    }

    /// The first word on an incoming connection.
    fn greeted_by(
        &mut self,
        id: LinkId,
        role: Role,
        term: super::base::Term,
        hello: &Hello,
        host_problem: Option<String>,
    ) {
        if hello.protocol < PROTOCOL_MIN || hello.protocol_min > PROTOCOL {
            let why = format!("{} speaks protocol {}, this instance {PROTOCOL}", hello.version, hello.protocol);
            self.hold_alert("H-005", "", &why);
            return self.refuse_link(id, RefusalCode::Version, &why);
        }
        if self.role().is_none() {
            return self.refuse_link(id, RefusalCode::NotMaster, "this instance has no role yet");
        }
        if self.leaving.is_some() && !self.is_offering() {
            return self.refuse_link(id, RefusalCode::Busy, "this instance is stopping");
        }
        if hello.purpose == Purpose::Attach && self.is_master() {
            return self.attach_asked(id, term, hello, host_problem);
        }
        self.greet(id, hello.purpose);
        self.hello_told(hello);
        let own = self.hello(hello.purpose);
        self.send(id, Body::Welcome(Box::new(own)));
        if self.is_shadow() && hello.purpose == Purpose::Attach && role == Role::Shadow {
            self.met_shadow(term, hello);
        }
        if self.is_shadow() && role == Role::Master && term >= self.durable.term {
            self.master_reaches_me();
        }
        if self.is_master() {
            self.rank(role, term, &Body::Unknown);
        }
    }

    /// A shadow wants to attach to this master (spec 2.1, 2.3, 2.7).
    fn attach_asked(&mut self, id: LinkId, term: super::base::Term, hello: &Hello, host_problem: Option<String>) {
        let in_force = self.in_force();
        if !in_force.high_availability.enabled {
            return self.refuse_shadow(id, RefusalCode::Disabled, "high availability is off on the master");
        }
        let is_due = self.durable.settings_due.as_ref().is_some_and(|due| due.permitted_shadow_host.is_some());
        if let Some(problem) = host_problem.filter(|_| !is_due) {
            return self.refuse_shadow(id, RefusalCode::WrongHost, &problem);
        }
        if term > self.durable.term && self.durable.offer.is_none() && !self.is_waiting() {
            self.refuse_link(id, RefusalCode::Busy, "this master has a lower term and gives way");
            return self.relinquish(term, "the shadow knows a higher term");
        }
        if self.reign.activity == super::master::Activity::Halted {
            // Its service has stopped for good: it keeps nobody from taking over.
            return self.close(id, "both are masters with one term, and stopped");
        }
        if self.is_giving_way() {
            return self.refuse_link(id, RefusalCode::Busy, "this master gives way");
        }
        self.settle("S-004", "");
        self.settle("H-005", "");
        self.greet(id, Purpose::Attach);
        self.hello_told(hello);
        self.shadow_attached(id, hello);
        let own = self.hello(Purpose::Attach);
        self.send(id, Body::Welcome(Box::new(own)));
        self.after_attach(id);
    }

    fn refuse_shadow(&mut self, id: LinkId, code: RefusalCode, why: &str) {
        self.hold_alert("S-004", "", why);
        self.note(EventKind::Link, Severity::Warning, format!("{} was refused: {why}", self.peer_name()));
        self.refuse_link(id, code, why);
    }

    /// The listener said yes to our hello.
    fn welcomed(&mut self, id: LinkId, role: Role, term: super::base::Term, hello: Hello) {
        let purpose = self.links.all.get(&id).and_then(|link| link.purpose).unwrap_or(Purpose::Ask);
        self.greet(id, purpose);
        self.settle("S-001", "dialled");
        self.hello_told(&hello);
        if self.is_shadow() {
            match purpose {
                Purpose::Attach => self.attach_answered(id, role, term, hello),
                Purpose::Ask | Purpose::DialBack => self.leave_welcomed(id),
            }
            return;
        }
        if !self.rank(role, term, &Body::Ask { question: Question::Probe, nonce: 0 }) {
            return;
        }
        match purpose {
            Purpose::DialBack => {
                self.close(id, "reached");
                self.dial_back_ended(None);
            }
            Purpose::Ask | Purpose::Attach => self.ask_over(id),
        }
    }

    /// The listener said no to our hello: an answer all the same (spec 7.1).
    fn refused(&mut self, id: LinkId, role: Role, term: super::base::Term, refusal: &Refusal) {
        let is_attach = self.watch.link == Some(id);
        if self.is_master() {
            self.ask_refused(role, term, refusal);
            self.close(id, &refusal.why);
        } else if is_attach {
            self.attach_refused(id, refusal);
        } else {
            self.close(id, &refusal.why);
        }
    }

    /// The peer as it says it is, for the record.
    pub(super) fn peer_as_told(&self, peer: &Peer, hello: &Hello, address: &str, role: Role) -> Peer {
        let cut = |text: &str| text.chars().take(PEER_TEXT_MAX).collect::<String>();
        let mut new = peer.clone();
        new.host = cut(&hello.host);
        new.port = hello.port;
        new.version = cut(&hello.version);
        new.description = cut(&hello.description);
        new.address = Some(address.to_owned());
        new.run = new.run.max(self.heard_run);
        match role {
            // The timing belongs to the shadow, the grace period to the master (spec 2.8).
            Role::Shadow => new.timing = hello.timing,
            Role::Master => new.grace_period_ms = hello.grace_period_ms,
        }
        new
    }

    /// What every hello carries beside who it is.
    fn hello_told(&mut self, hello: &Hello) {
        self.reign.peer_serves = hello.active;
        self.reign.has_stopped = false;
        self.reign.peer_unwatched = hello.unwatched;
        self.takeovers_told(&hello.takeovers);
        if let Some(kit) = &hello.kit {
            self.kit_came((**kit).clone());
        }
    }

    /// A list of older revisions with a new one put before it.
    pub(super) fn lengthen_trail(&mut self) {
        if let Some(head) = self.head_id() {
            self.trail.insert(0, head);
            self.trail.truncate(TRAIL_MAX);
        }
    }
}
