//! The shadow: attaching, checking, being in sync (spec 4.3, 7.1).

use std::collections::VecDeque;

use super::base::{LinkId, LinkState, Millis, Now, RevisionId, Role, Term, UnixMillis};
use super::core::Engine;
use super::durable::Durable;
use super::effect::Effect;
use super::event::{EventKind, Severity};
use super::faults::{Fault, breaks};
use super::message::{Body, Check, CheckAnswer, Hello, Purpose, Push, Refusal, RefusalCode};
use super::takeover::Lost;
use super::then::Then;
use super::timers::Timer;

/// Most checks under way at once; further ones wait for an answer.
const CHECKS_UNANSWERED_MAX: usize = 64;
/// How often a refused connection is tried again, ms.
const REFUSED_RETRY_MS: u64 = 10_000;

/// What a shadow knows about its master in this run.
#[derive(Clone, Debug, Default)]
pub(super) struct Watch {
    pub state: Option<LinkState>,
    pub message: Option<String>,
    /// The connection of the checks.
    pub link: Option<LinkId>,
    /// The master said welcome over it.
    pub attached: bool,
    pub master: Option<Hello>,
    pub master_head: Option<RevisionId>,
    pub master_active: bool,
    /// So many files are held back there (spec 5.4).
    pub master_held: u64,
    /// Why its directory cannot be used.
    pub master_directory: Option<String>,
    /// `MayTakeOver` came over this connection, for that head.
    pub may: Option<RevisionId>,
    unanswered: VecDeque<(u64, Millis)>,
    next_nonce: u64,
    /// An apply is under way: a takeover and `become-master` wait for its end (spec 5.3, 7.3).
    pub applying: Option<RevisionId>,
    /// An order `become-master`, and whether the arbiter is overruled, that waits for it.
    pub forced: Option<(u64, bool)>,
    /// Another push that came meanwhile.
    waiting: Option<(LinkId, Box<Push>)>,
    /// This attachment began with a complete transfer that has not ended.
    pub complete: bool,
    pub lost: Option<Lost>,
    /// Attached once in this run.
    pub was_attached: bool,
    /// READY once in this run (spec 7.4).
    pub was_ready_once: bool,
    pub last_check: Option<Now>,
    pub shown_check: Option<UnixMillis>,
    pub round_trip_ms: Option<u64>,
    pub connected_since: Option<UnixMillis>,
    /// Orders `connect` that wait for the outcome.
    pub connecting: Vec<u64>,
    /// Highest term of an offer that was refused in this run.
    pub refused_offer: Term,
    /// The last refusal forbids further tries.
    pub gave_up: bool,
}

impl Watch {
    /// When the checks under way were sent.
    pub fn unanswered_since(&self) -> impl Iterator<Item = Millis> {
        self.unanswered.iter().map(|(_, sent)| *sent)
    }

    /// Another push came while one is being applied.
    pub fn has_waiting_push(&self) -> bool {
        self.waiting.is_some()
    }
}

impl Engine {
    /// A shadow begins to look for its master, or says why not.
    pub(super) fn start_watch(&mut self) {
        self.shadow_service_alerts();
        if self.peer().is_none() {
            let (state, message) = if self.in_force().shadow.master_hosts.is_empty() {
                (LinkState::Initial, None)
            } else {
                (LinkState::Disconnected, Some("not paired with the master yet: connect".to_owned()))
            };
            self.set_state(state, message);
        } else if self.durable.connect_wanted && self.facts.is_copied {
            // The home it was copied from may be the shadow: two of one identity would push each other out (spec 7.6).
            let why = "this home was restored or copied: `shadow connect`, if no other instance runs from it";
            self.set_state(LinkState::Disconnected, Some(why.into()));
        } else if self.durable.connect_wanted {
            self.set_state(LinkState::Handshake, Some("looking for the master".into()));
            self.timers.clear(Timer::Redial);
        } else {
            self.set_state(LinkState::Disconnected, Some("disconnected by an operator".into()));
        }
    }

    pub(super) fn set_state(&mut self, state: LinkState, message: Option<String>) {
        if self.watch.state != Some(state) {
            let text = format!("{}{}", state.word(), message.as_ref().map_or(String::new(), |m| format!(": {m}")));
            self.note(EventKind::Link, Severity::Information, text);
        }
        self.watch.state = Some(state);
        self.watch.message = message;
    }

    /// The master said welcome, or somebody under its certificate did.
    pub(super) fn attach_answered(&mut self, id: LinkId, role: Role, term: Term, hello: Hello) {
        if role == Role::Shadow {
            self.close_attach(id, "the other instance is a shadow too");
            self.met_shadow(term, &hello);
            return;
        }
        if term < self.durable.term {
            let why = format!(
                "{} is a master of the lower term {term}; this instance knows {}",
                hello.host, self.durable.term
            );
            return self.close_attach(id, &why);
        }
        let Some(peer) = self.peer().cloned() else { return };
        let address = self.links.all.get(&id).map_or(String::new(), |link| link.address.clone());
        let peer = self.peer_as_told(&peer, &hello, &address, Role::Master);
        let draft = Durable {
            term,
            peer: Some(peer),
            // With an arbiter it stands until the master has noted that this shadow may take over (spec 7.11).
            own_promise: self.durable.own_promise.filter(|_| self.has_arbiter()),
            disconnected_since: None,
            forced_shadow: false,
            ..self.draft()
        };
        self.watch.complete = self.durable.complete_wanted;
        self.watch.master = Some(hello);
        if draft == self.durable && self.is_settled_on_disk() {
            self.attached(id);
        } else {
            self.write(draft, Then::Attached { link: id });
        }
    }

    /// The term followed is on disk: the checks begin.
    pub(super) fn attached(&mut self, id: LinkId) {
        if self.watch.link != Some(id) {
            return;
        }
        self.watch.attached = true;
        self.watch.was_attached = true;
        self.drop_takeover_wish();
        self.watch.gave_up = false;
        self.watch.connected_since = Some(self.now.wall);
        self.checks.told = false;
        self.addresses.told = None;
        self.clocks.forget();
        self.watch.master_head = self.watch.master.as_ref().and_then(|hello| hello.head);
        self.watch.master_active = false;
        (self.watch.master_held, self.watch.master_directory) = (0, None);
        self.watch.last_check = Some(self.now);
        if let Some(lost) = self.watch.lost.take() {
            let text = format!("the master answers again after {} ms", self.now.mono.since(lost.since.mono));
            self.note(EventKind::Link, Severity::Information, text);
        }
        self.timers.clear(Timer::Takeover);
        let state = if self.watch.complete { LinkState::Initsync } else { LinkState::Handshake };
        self.set_state(state, None);
        let first = usize::from(breaks(Fault::KeepsAlert));
        for code in ["H-001", "H-002", "H-003", "H-004", "H-005", "H-006", "H-007", "H-012", "H-015", "H-021"]
            .into_iter()
            .skip(first)
        {
            self.settle(code, "");
        }
        for order in std::mem::take(&mut self.watch.connecting) {
            self.done(order, format!("connected to {}", self.peer_name()));
        }
        self.timers.clear(Timer::ConnectLimit);
        self.announce_pause(id);
        self.send_check();
    }

    /// The next check, and the moment of the one after it.
    pub(super) fn send_check(&mut self) {
        let Some(id) = self.watch.link.filter(|_| self.watch.attached) else { return };
        let timing = self.timing();
        self.timers.set(Timer::Check, self.after(timing.check_interval_ms.max(1)));
        if self.watch.unanswered.len() >= CHECKS_UNANSWERED_MAX {
            return;
        }
        self.watch.next_nonce += 1;
        let nonce = self.watch.next_nonce;
        self.watch.unanswered.push_back((nonce, self.now.mono));
        self.timers.set_if_unset(Timer::CheckLimit, self.after(timing.request_timeout_ms));
        let settings = self.in_force();
        let check = Check {
            nonce,
            head: self.head_id(),
            takeover_checks_pass: self.checks.pass(&settings),
            takeover_checks: self.checks.counts(&settings),
            timing,
            // What this shadow mirrors has to be there.
            ready: self.watch.state == Some(LinkState::Ready) && self.directory_problem.is_none(),
            checks: self.checks.take_news(),
            addresses: self.take_address_news(),
            clock_difference_ms: self.clocks.difference(),
            transfer: self.transfer,
            unlike: self.unlike(),
        };
        self.send(id, Body::Check(check));
    }

    /// The master answered a check.
    pub(super) fn check_answered(&mut self, id: LinkId, answer: CheckAnswer) {
        if self.watch.link != Some(id) || !self.watch.attached {
            return;
        }
        let known = self.watch.unanswered.iter().any(|(nonce, _)| *nonce == answer.nonce);
        if !known {
            return;
        }
        while let Some((nonce, sent)) = self.watch.unanswered.pop_front() {
            if nonce == answer.nonce {
                let round_trip_ms = self.now.mono.since(sent);
                self.watch.round_trip_ms = Some(round_trip_ms);
                self.clock_told(answer.wall_ms, round_trip_ms);
                break;
            }
        }
        self.timers.clear(Timer::CheckLimit);
        if let Some((_, sent)) = self.watch.unanswered.front() {
            self.timers.set(Timer::CheckLimit, sent.plus(self.timing().request_timeout_ms));
        }
        self.watch.last_check = Some(self.now);
        self.watch.master_head = answer.head;
        self.watch.master_active = answer.active;
        self.watch.master_held = answer.held;
        self.watch.master_directory = answer.directory;
        self.watch.master_directory.iter_mut().for_each(super::takeover::cut);
        if let Some(master) = &mut self.watch.master {
            master.description = answer.description;
        }
        self.fresh_round();
        self.pause_told(answer.maintenance_ms);
        if let Some(renewal) = answer.renewal {
            let term = self.durable.term;
            self.renewal_came(id, Role::Master, term, renewal);
        }
        if self.watch.may.is_some() && !self.book.holds("R-001", "record") {
            // The master says it once; what could not be written then is written when the disk takes writes again.
            self.standing_promise_is_over();
        }
        self.maybe_ready();
    }

    /// The oldest check was not answered in time.
    pub(super) fn check_due(&mut self) {
        if let Some(id) = self.watch.link {
            let limit_ms = self.timing().request_timeout_ms;
            self.close(id, &format!("no answer to a check within {limit_ms} ms"));
        }
    }

    pub(super) fn may_take_over_came(&mut self, id: LinkId, head: RevisionId) {
        if self.watch.link == Some(id) && self.watch.attached {
            self.watch.may = Some(head);
            self.watch.master_active = true;
            self.standing_promise_is_over();
            self.maybe_ready();
        }
    }

    /// READY needs the master's note, and its newest revision on this disk, which was looked at (spec 4.3, 4.5).
    pub(super) fn maybe_ready(&mut self) {
        let Some(may) = self.watch.may else { return };
        let head = self.head_id();
        let is_at_head = head == Some(may) || (head.is_some() && head == self.watch.master_head);
        let is_on_the_way = matches!(self.watch.state, Some(LinkState::Handshake | LinkState::Initsync));
        if !is_on_the_way || !is_at_head || self.watch.applying.is_some() || self.durable.own_promise.is_some() {
            return;
        }
        if let Some(why) = self.unlike() {
            // The end of the look brings it back here.
            self.watch.message = Some(why);
            return;
        }
        self.watch.complete = false;
        self.watch.was_ready_once = true;
        self.set_state(LinkState::Ready, None);
        if self.durable.complete_wanted {
            let draft = Durable { complete_wanted: false, ..self.draft() };
            self.write(draft, Then::Nothing);
        }
        self.send_check();
    }

    /// A revision to bring to the disk; one at a time, the newest of those that wait.
    pub(super) fn push_came(&mut self, id: LinkId, push: Box<Push>) {
        if self.watch.link != Some(id) || !self.watch.attached {
            return;
        }
        self.watch.master_head = Some(push.revision);
        if self.watch.applying.is_some() {
            self.watch.waiting = Some((id, push));
            return;
        }
        let complete = push.base.is_none() || self.watch.complete;
        if breaks(Fault::AcknowledgesEarly) {
            self.send(id, Body::Applied(super::message::Applied { revision: push.revision, files: 0 }));
        }
        self.watch.applying = Some(push.revision);
        self.out.push(Effect::Apply { link: id, push, complete });
    }

    /// The apply is on disk.
    pub(super) fn applied(
        &mut self,
        link: LinkId,
        revision: RevisionId,
        committed: super::input::Committed,
        branch: Option<super::message::Branch>,
    ) {
        if let Some(branch) = &branch {
            let common = branch.common;
            self.trail.retain(|old| common.is_some_and(|common| old.number <= common.number));
            self.kept_branch(branch);
        } else if self.head_id() != Some(revision) {
            self.lengthen_trail();
        }
        let files = committed.paths_total;
        self.head = Some(committed);
        self.transfer = None;
        self.note(
            EventKind::Configuration,
            Severity::Information,
            format!("revision {} applied, {} changed", revision.number, super::push::paths(files)),
        );
        self.hook_configuration();
        if self.watch.state == Some(LinkState::Ready) {
            // What went wrong before is over.
            self.watch.message = None;
        }
        self.watch.applying = None;
        if self.watch.link == Some(link) {
            self.send(link, Body::Applied(super::message::Applied { revision, files }));
            if let Some(branch) = branch {
                self.send(link, Body::BranchKept(branch));
            }
        }
        self.next_apply();
        self.maybe_ready();
        self.after_apply();
    }

    pub(super) fn apply_failed(&mut self, link: LinkId, revision: RevisionId, why: &str) {
        self.watch.applying = None;
        self.transfer = None;
        self.note(
            EventKind::Configuration,
            Severity::Error,
            format!("revision {} not applied: {why}", revision.number),
        );
        if self.watch.link == Some(link) {
            self.watch.message = Some(why.to_owned());
            self.send(link, Body::ApplyFailed { revision, why: why.to_owned() });
        }
        self.next_apply();
        self.after_apply();
    }

    /// The directory is a whole revision again: a takeover that waited for that goes on, if it is still due.
    fn after_apply(&mut self) {
        if self.watch.applying.is_some() || !self.is_shadow() || !self.is_settled_on_disk() {
            return;
        }
        if self.arb.wish.is_some() {
            self.wish_goes_on();
        }
        if self.is_settled_on_disk() && self.watch.lost.as_ref().is_some_and(|lost| lost.delay_over.is_some()) {
            self.takeover_time();
        }
    }

    fn next_apply(&mut self) {
        if let Some((id, push)) = self.watch.waiting.take() {
            self.push_came(id, push);
        }
    }

    /// The connection of the checks ended (or was ended).
    pub(super) fn shadow_link_gone(&mut self, why: &str) {
        let was = self.watch.state;
        self.detach();
        match was {
            Some(LinkState::Ready) => self.lose(why, true),
            Some(LinkState::Handshake | LinkState::Initsync) if self.durable.connect_wanted => {
                self.lose(why, false);
                self.attach_failed(why);
            }
            Some(LinkState::Lost) => self.attach_failed(why),
            Some(LinkState::Disconnecting) => self.disconnected(),
            _ => {}
        }
    }

    /// After a stall: what was not answered says nothing.
    pub(super) fn forget_checks_under_way(&mut self) {
        self.watch.unanswered.clear();
    }

    fn detach(&mut self) {
        self.watch.link = None;
        self.watch.attached = false;
        self.watch.may = None;
        self.watch.unanswered.clear();
        self.watch.waiting = None;
        self.watch.connected_since = None;
        self.watch.master_active = false;
        self.timers.clear(Timer::Check);
        self.timers.clear(Timer::CheckLimit);
    }

    /// Ends the connection of the checks for a reason that is no answer of a master.
    fn close_attach(&mut self, id: LinkId, why: &str) {
        self.close(id, why);
        self.watch.message = Some(why.to_owned());
    }

    /// One try to attach came to nothing; the state stays, the delay runs on.
    pub(super) fn attach_failed(&mut self, why: &str) {
        if !self.durable.connect_wanted {
            return;
        }
        match self.watch.state {
            Some(LinkState::Disconnected) => {
                self.timers.set(Timer::Redial, self.after(REFUSED_RETRY_MS));
                return;
            }
            Some(LinkState::Handshake | LinkState::Initsync) => self.lose(why, false),
            _ => self.watch.message = Some(why.to_owned()),
        }
        self.timers.set(Timer::Redial, self.after(self.redial_pause_ms()));
    }

    /// The master refused: an answer, so no takeover (spec 7.1).
    pub(super) fn attach_refused(&mut self, id: LinkId, refusal: &Refusal) {
        if refusal.code == RefusalCode::Busy {
            // It gives way or stops, and its service may run yet: it lives, and comes again or is gone (spec 7.1).
            self.close_attach(id, &refusal.why);
            return self.master_answered_in_vain();
        }
        self.watch.lost = None;
        self.timers.clear(Timer::Takeover);
        self.settle("H-001", "");
        self.settle("H-012", "");
        self.set_state(LinkState::Disconnected, Some(refusal.why.clone()));
        let code = match refusal.code {
            RefusalCode::Disabled => "H-002",
            RefusalCode::WrongHost => "H-003",
            RefusalCode::SecondShadow => "H-004",
            RefusalCode::Version => "H-005",
            RefusalCode::NotMyPair => "H-007",
            RefusalCode::SameInstance => "H-008",
            _ => "H-006",
        };
        self.hold_alert(code, "", &refusal.why);
        self.watch.gave_up = matches!(refusal.code, RefusalCode::NotMyPair | RefusalCode::SameInstance);
        self.detach();
        self.close(id, &refusal.why);
        if !self.watch.gave_up {
            self.timers.set(Timer::Redial, self.after(REFUSED_RETRY_MS));
        }
        let todo = super::alerts::catalogue::entry_of(code).todo;
        for order in std::mem::take(&mut self.watch.connecting) {
            self.refuse(order, "not connected", refusal.why.clone(), todo);
        }
    }

    /// Dials the master when a shadow should and nothing stands or is under way.
    pub(super) fn plan_attach(&mut self) {
        let is_free = self.watch.link.is_none()
            && self.links.dialling.is_none()
            && self.timers.get(Timer::Redial).is_none()
            && self.leaving.is_none()
            && self.parting.is_none()
            // A change of role that is being written ends the search for the master.
            && self.is_settled_on_disk()
            && !(self.watch.lost.is_some() && breaks(Fault::StopsLooking));
        let is_wanted = self.durable.connect_wanted && !self.facts.is_copied;
        if is_free && is_wanted && self.peer().is_some() && !self.watch.gave_up {
            self.dial(Purpose::Attach);
        }
    }
}
