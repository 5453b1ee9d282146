//! Connections: who may speak, and over which one (spec 3.2, 7.1).

use std::collections::BTreeMap;

use super::base::{Fingerprint, LinkId, Millis, Role, Run, Term};
use super::core::Engine;
use super::effect::Effect;
use super::event::{EventKind, Severity};
use super::message::{Body, Envelope, Hello, PROTOCOL, PROTOCOL_MIN, Purpose, Refusal, RefusalCode};
use super::status::LinkStep;
use super::timers::Timer;

/// Most connections at once; past it the oldest that has not yet said who it is goes.
pub(super) const LINKS_MAX: usize = 16;
/// Silent for longer, an earlier run of the peer no longer keeps a newer one out, ms.
const ALIVE_LIMIT_MS: u64 = 5_000;
/// A copied home that has not knocked for so long is gone, ms.
const COPY_GONE_MS: u64 = 30_000;
/// How long an incoming connection may stay without its first word, ms.
const GREETING_LIMIT_MS: u64 = 5_000;

/// Whose certificate the other end proved to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// The pinned one.
    Peer,
    /// That of a peer forgotten by *reset* (spec 7.6).
    Former,
    /// Our own: a copy of this home, or ourselves.
    Own,
    /// Anybody's.
    Foreign,
}

/// One connection.
#[derive(Clone, Debug)]
pub(super) struct Link {
    pub outgoing: bool,
    pub whose: Whose,
    pub fingerprint: Fingerprint,
    pub address: String,
    /// Known from the hello.
    pub purpose: Option<Purpose>,
    /// Hello and welcome were exchanged.
    pub greeted: bool,
    /// Run of the other end, as heard over this link.
    pub run: Run,
    /// See [`Hello::start`], of the other end.
    pub start: u64,
    /// When something was last heard over it.
    pub heard_at: Option<Millis>,
    /// Master: `MayTakeOver` was said over it.
    pub told_may: bool,
}

/// A connection as it was when a message came over it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Over {
    pub outgoing: bool,
    pub whose: Whose,
    pub greeted: bool,
}

/// A dial under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dialling {
    pub attempt: u64,
    pub purpose: Purpose,
}

/// All connections.
#[derive(Clone, Debug, Default)]
pub(super) struct Links {
    pub all: BTreeMap<LinkId, Link>,
    pub dialling: Option<Dialling>,
    pub next_attempt: u64,
    /// The newest of each direction that said who it is; whatever comes over an older one is dropped.
    pub newest_in: Option<LinkId>,
    pub newest_out: Option<LinkId>,
    /// When a second copy of the peer last knocked.
    pub copy_at: Option<Millis>,
}

impl Engine {
    /// A connection stands; who dialled speaks first.
    pub(super) fn link_up(&mut self, id: LinkId, outgoing: bool, fingerprint: Fingerprint, address: String) {
        if self.links.all.len() >= LINKS_MAX {
            let oldest = self.links.all.iter().find(|(_, link)| !link.greeted).map(|(id, _)| *id);
            if let Some(oldest) = oldest.or_else(|| self.links.all.keys().next().copied()) {
                self.close(oldest, "too many connections");
            }
        }
        let whose = if self.peer().is_some_and(|peer| peer.fingerprint == fingerprint) {
            Whose::Peer
        } else if self.durable.former_peer.as_ref().is_some_and(|peer| peer.fingerprint == fingerprint) {
            Whose::Former
        } else if self.facts.fingerprint == fingerprint {
            Whose::Own
        } else {
            Whose::Foreign
        };
        let link = Link {
            outgoing,
            whose,
            fingerprint,
            address,
            purpose: None,
            greeted: false,
            run: Run(0),
            start: 0,
            heard_at: None,
            told_may: false,
        };
        self.links.all.insert(id, link);
        let limit_ms = if outgoing { self.timing().request_timeout_ms } else { GREETING_LIMIT_MS };
        self.timers.set(Timer::Greeting(id), self.after(limit_ms));
    }

    /// A connection ended.
    pub(super) fn link_down(&mut self, id: LinkId, why: &str) {
        self.timers.clear(Timer::Greeting(id));
        let is_dial_back = self.is_dial_back_open(id);
        if self.links.all.remove(&id).is_some() {
            self.link_gone(id, why);
        }
        if is_dial_back {
            self.dial_back_ended(Some(why));
        }
    }

    /// The peer's listener was dialled back, and has not said anything yet (spec 4.1).
    fn is_dial_back_open(&self, id: LinkId) -> bool {
        let is_it = |link: &Link| link.outgoing && !link.greeted && link.purpose == Some(Purpose::DialBack);
        self.is_master() && self.links.all.get(&id).is_some_and(is_it)
    }

    /// Ends a connection; nothing that comes over it counts from now on.
    pub(super) fn close(&mut self, id: LinkId, why: &str) {
        self.timers.clear(Timer::Greeting(id));
        if self.links.all.remove(&id).is_some() {
            self.out.push(Effect::Close { link: id, why: why.to_owned() });
            self.link_gone(id, why);
        }
    }

    /// Whatever hung on that connection.
    fn link_gone(&mut self, id: LinkId, why: &str) {
        if self.watch.link == Some(id) {
            self.shadow_link_gone(why);
        }
        if self.reign.shadow == Some(id) {
            self.master_link_gone(why);
        }
        if self.reign.ask_link == Some(id) {
            self.ask_link_gone(why);
        }
        self.leave_link_gone(id);
        self.parting_link_gone();
    }

    /// The first word did not come in time (an accepted connection is no answer, spec 7.1).
    pub(super) fn greeting_due(&mut self, id: LinkId) {
        let (is_dial_back, why) = (self.is_dial_back_open(id), "no hello in time");
        self.close(id, why);
        if is_dial_back {
            self.dial_back_ended(Some(why));
        }
    }

    /// Dials the peer at its declared host and where it was last seen.
    pub(super) fn dial(&mut self, purpose: Purpose) {
        let Some(peer) = self.peer().cloned() else { return };
        let mut hosts = Vec::new();
        let mut port = peer.port;
        let settings = self.in_force();
        if self.is_shadow() && !settings.shadow.master_hosts.is_empty() {
            hosts.extend(settings.shadow.master_hosts.iter().cloned());
            port = settings.shadow.master_port;
        }
        for host in [Some(peer.host.clone()), peer.address.clone()].into_iter().flatten() {
            if !host.is_empty() && !hosts.contains(&host) {
                hosts.push(host);
            }
        }
        self.links.next_attempt += 1;
        let attempt = self.links.next_attempt;
        self.links.dialling = Some(Dialling { attempt, purpose });
        self.out.push(Effect::Dial {
            attempt,
            hosts,
            port,
            fingerprint: peer.fingerprint,
            connect_timeout_ms: self.timing().connect_timeout_ms,
        });
    }

    /// Gives up the dial under way.
    pub(super) fn cancel_dial(&mut self) {
        if let Some(dialling) = self.links.dialling.take() {
            self.out.push(Effect::CancelDial { attempt: dialling.attempt });
        }
    }

    /// The dial made a connection: say who we are.
    pub(super) fn dialled(&mut self, attempt: u64, id: LinkId, steps: Vec<LinkStep>) {
        self.link_steps = steps;
        let wanted = self.links.dialling.take_if(|dialling| dialling.attempt == attempt);
        let Some(dialling) = wanted else {
            self.close(id, "no longer wanted");
            return;
        };
        let Some(link) = self.links.all.get_mut(&id) else { return self.dial_ended("the connection ended at once") };
        link.purpose = Some(dialling.purpose);
        self.links.newest_out = Some(id);
        match dialling.purpose {
            Purpose::Attach => {
                self.watch.link = Some(id);
                self.watch_own();
            }
            Purpose::Ask | Purpose::DialBack => self.reign.ask_link = Some(id),
        }
        let hello = self.hello(dialling.purpose);
        self.send(id, Body::Hello(Box::new(hello)));
    }

    /// The dial came to nothing.
    pub(super) fn dial_failed(&mut self, attempt: u64, steps: Vec<LinkStep>, why: &str, foreign: Option<Fingerprint>) {
        let wanted = self.links.dialling.take_if(|dialling| dialling.attempt == attempt);
        let Some(dialling) = wanted else { return };
        self.link_steps = steps;
        if let Some(foreign) = foreign {
            let why = if foreign == self.facts.fingerprint {
                "the address of the other instance leads to this instance itself".to_owned()
            } else {
                format!("something else answers at the address of {} with certificate {foreign}", self.peer_name())
            };
            self.hold_alert("S-001", "dialled", &why);
            self.watch_foreign(&why);
        }
        match dialling.purpose {
            Purpose::DialBack => self.dial_back_ended(Some(why)),
            Purpose::Ask | Purpose::Attach => self.dial_ended(why),
        }
    }

    /// A try to reach the peer ended without an answer.
    fn dial_ended(&mut self, why: &str) {
        if self.parted() {
            return;
        }
        if self.is_shadow() {
            self.attach_failed(why);
        } else {
            self.timers.set(Timer::Redial, self.after(self.redial_pause_ms()));
        }
    }

    /// Who we are, in full.
    pub(super) fn hello(&self, purpose: Purpose) -> Hello {
        let settings = self.in_force();
        let (configured, passing) = self.checks.counts(&settings);
        Hello {
            version: self.facts.version.clone(),
            protocol: PROTOCOL,
            protocol_min: PROTOCOL_MIN,
            host: settings.host.clone(),
            port: self.facts.link_port,
            description: settings.description.clone(),
            started: self.facts.started.0,
            purpose,
            head: self.head_id(),
            trail: self.trail.clone(),
            complete: self.durable.complete_wanted,
            was_master: self.durable.was_master,
            forced_shadow: self.durable.forced_shadow,
            promised: self.durable.own_promise.is_some() || self.leaving.is_some(),
            was_ready: self.watch.was_ready_once,
            timing: self.timing(),
            grace_period_ms: self.pair_grace_ms(),
            takeover_checks_pass: self.checks.pass(&settings),
            takeover_checks: (configured, passing),
            service: self.facts.service_kind.clone(),
            takeovers: self.takeovers_now(),
            kit: Some(self.kit_for_hello()),
            active: Some(self.is_serving()),
            unwatched: self.durable.unwatched,
            start: self.facts.start,
        }
    }

    /// Says `body` over the link, with role and term as they are on the disk.
    pub(super) fn send(&mut self, id: LinkId, body: Body) {
        let Some(link) = self.links.all.get(&id) else { return };
        let known = if link.whose == Whose::Former { &self.durable.former_peer } else { &self.durable.peer };
        let pair = known.as_ref().or(self.durable.former_peer.as_ref()).map(|peer| peer.pair);
        let envelope = Envelope {
            pair: pair.unwrap_or(super::base::PairId(uuid::Uuid::nil())),
            from: self.durable.instance,
            run: self.durable.run,
            role: self.durable.role.unwrap_or(Role::Shadow),
            term: self.durable.term,
            body,
        };
        self.out.push(Effect::Send { link: id, envelope: Box::new(envelope) });
    }

    /// A no, and the end of the connection.
    pub(super) fn refuse_link(&mut self, id: LinkId, code: RefusalCode, why: &str) {
        self.send(id, Body::Refused(Refusal { code, why: why.to_owned() }));
        self.close(id, why);
    }

    /// A message came: nothing counts that is not from the pair, or is older than what was heard before (spec 7.1).
    pub(super) fn received(&mut self, id: LinkId, envelope: Envelope, host_problem: Option<String>) {
        let Some(link) = self.links.all.get(&id) else { return };
        let heard = Over { outgoing: link.outgoing, whose: link.whose, greeted: link.greeted };
        let is_hello = matches!(envelope.body, Body::Hello(_));
        let known = match heard.whose {
            Whose::Own => return self.met_itself(id, &envelope),
            Whose::Peer => self.durable.peer.as_ref(),
            Whose::Former => self.durable.former_peer.as_ref(),
            Whose::Foreign => None,
        };
        let Some(known) = known else {
            let link = link.clone();
            return self.met_foreign(id, &link);
        };
        let is_refusal = matches!(envelope.body, Body::Refused(_));
        if envelope.from != known.instance || (envelope.pair != known.pair && !is_refusal) {
            if is_hello {
                let why = "this instance belongs to another pair now";
                let text = format!("{} refused: {why}", link.address);
                self.note(EventKind::Security, Severity::Warning, text);
                self.refuse_link(id, RefusalCode::NotMyPair, why);
            }
            return;
        }
        let is_of_pair = envelope.pair == known.pair;
        let newest = if heard.outgoing { self.links.newest_out } else { self.links.newest_in };
        if newest.is_some_and(|newest| newest > id) || envelope.run < self.heard_run {
            self.close(id, "superseded by a newer connection or run");
            return;
        }
        if is_hello && heard.whose == Whose::Peer && self.is_second_copy(&envelope) {
            let link = link.clone();
            return self.met_copy(id, &link);
        }
        self.heard(id, heard, is_of_pair, &envelope);
        if !heard.greeted && !is_hello && !matches!(envelope.body, Body::Welcome(_) | Body::Refused(_)) {
            return;
        }
        if heard.whose == Whose::Former {
            self.met_former(id, &envelope);
            return;
        }
        self.said(id, heard, envelope, host_problem);
    }

    /// A newer run, or another start of the same, says hello while an earlier one still speaks: a home started twice, or
    /// connections of a machine that died a moment ago (spec 7.6). The newer has to wait until the earlier is silent.
    fn is_second_copy(&self, envelope: &Envelope) -> bool {
        let Body::Hello(hello) = &envelope.body else { return false };
        let timing = self.timing();
        let alive_ms = (timing.check_interval_ms + timing.request_timeout_ms).min(ALIVE_LIMIT_MS);
        let is_alive = |link: &Link| link.heard_at.is_some_and(|at| self.now.mono.since(at) <= alive_ms);
        let is_newer = envelope.run > self.heard_run;
        // A home that was copied counts its runs on from where it was, so both may come to the same.
        let is_other = |link: &Link| link.start != 0 && hello.start != 0 && link.start != hello.start;
        let is_earlier = |link: &&Link| {
            let is_first = (is_newer && link.run < envelope.run) || is_other(link);
            link.whose == Whose::Peer && link.greeted && is_first
        };
        self.links.all.values().filter(is_earlier).any(is_alive)
    }

    /// The copy has not knocked for a while: it was given a new identity, or is gone.
    pub(super) fn forget_copy(&mut self) {
        if self.links.copy_at.is_some_and(|at| self.now.mono.since(at) > COPY_GONE_MS) {
            self.links.copy_at = None;
            self.settle("H-008", "peer");
        }
    }

    fn met_copy(&mut self, id: LinkId, link: &Link) {
        let why = "another run of the same instance is connected and answers: one of the two is a copied home";
        if !self.book.holds("H-008", "peer") {
            self.note(EventKind::Security, Severity::Warning, format!("{} refused: {why}", link.address));
        }
        self.links.copy_at = Some(self.now.mono);
        self.hold_alert("H-008", "peer", &format!("{} has the same identity as {}", link.address, self.peer_name()));
        self.refuse_link(id, RefusalCode::Busy, why);
    }

    /// Run and term of whoever is heard; older connections of an earlier run end.
    fn heard(&mut self, id: LinkId, over: Over, is_of_pair: bool, envelope: &Envelope) {
        if over.whose == Whose::Peer && envelope.run > self.heard_run && is_of_pair {
            self.heard_run = envelope.run;
            let older: Vec<LinkId> = self
                .links
                .all
                .iter()
                .filter(|(other, link)| **other != id && link.whose == Whose::Peer && link.greeted)
                .map(|(other, _)| *other)
                .collect();
            for other in older {
                self.close(other, "the other instance was started anew");
            }
        }
        self.heard_term = self.heard_term.max(envelope.term);
        if let Some(link) = self.links.all.get_mut(&id) {
            link.run = envelope.run;
            if let Body::Hello(hello) | Body::Welcome(hello) = &envelope.body {
                link.start = hello.start;
            }
            link.heard_at = Some(self.now.mono);
        }
        if over.whose == Whose::Peer {
            self.reign.peer_role = Some(envelope.role);
            self.reign.peer_term = envelope.term;
        }
    }

    /// Both words were said: the connection counts, and older ones of its direction no longer do.
    pub(super) fn greet(&mut self, id: LinkId, purpose: Purpose) {
        self.timers.clear(Timer::Greeting(id));
        let Some(link) = self.links.all.get_mut(&id) else { return };
        link.greeted = true;
        link.purpose = Some(purpose);
        let outgoing = link.outgoing;
        if outgoing {
            self.links.newest_out = Some(id);
        } else {
            self.links.newest_in = Some(id);
        }
        let older: Vec<LinkId> = self
            .links
            .all
            .iter()
            .filter(|(other, link)| **other < id && link.outgoing == outgoing && link.greeted)
            .map(|(other, _)| *other)
            .collect();
        for other in older {
            self.close(other, "superseded by a newer connection");
        }
    }

    /// Connections over which the peer can be told something now.
    pub(super) fn live_links(&self) -> Vec<LinkId> {
        let is_live = |link: &Link| link.greeted && link.whose == Whose::Peer;
        self.links.all.iter().filter(|(_, link)| is_live(link)).map(|(id, _)| *id).collect()
    }

    fn met_foreign(&mut self, id: LinkId, link: &Link) {
        let why = format!("{} connected with certificate {}", link.address, link.fingerprint);
        self.tell("S-001", "incoming", &why);
        self.note(EventKind::Security, Severity::Warning, format!("refused: {why}"));
        self.refuse_link(id, RefusalCode::NotMyPair, "this certificate is not the one of my pair");
    }

    /// Somebody with a certificate that *reset* has forgotten: only a higher term counts (spec 7.6).
    fn met_former(&mut self, id: LinkId, envelope: &Envelope) {
        let term = envelope.term;
        if let Body::Hello(hello) | Body::Welcome(hello) = &envelope.body {
            self.reign.peer_serves = hello.active;
            self.reign.peer_unwatched = hello.unwatched;
        }
        // It is read on the other side: not `here`.
        let own = self.in_force().host.clone();
        let own = if own.is_empty() { "the other instance" } else { &own };
        self.refuse_link(id, RefusalCode::NotMyPair, &format!("high availability was reset on {own}; pair again"));
        if self.is_master() && term > self.durable.term {
            self.relinquish(term, "the former shadow has a higher term");
        } else if self.is_master() && envelope.role == Role::Master && term < self.durable.term {
            self.met_loser(term);
        }
    }

    /// The same instance on the other end: ourselves, or a copied home (spec 7.6).
    fn met_itself(&mut self, id: LinkId, envelope: &Envelope) {
        if envelope.run == self.durable.run && envelope.term == self.durable.term && !self.facts.is_copied {
            self.hold_alert("S-001", "dialled", "an address of the other instance leads to this instance itself");
            self.refuse_link(id, RefusalCode::SameInstance, "this is the same instance");
            return;
        }
        self.hold_alert("H-008", "", "another running instance has the same identity");
        let both_masters = self.is_master() && envelope.role == Role::Master;
        self.refuse_link(id, RefusalCode::SameInstance, "both are the same instance: one home is a copy");
        if both_masters {
            self.halt("a copy of this instance is master too");
        }
    }

    /// The highest term that anybody of the pair is known to have had.
    pub(super) fn highest_term(&self) -> Term {
        self.heard_term.max(self.durable.known_term).max(self.durable.term)
    }
}
