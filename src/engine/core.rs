//! The engine itself: what it knows, and the one way in. The rules are in the modules beside this one.

use std::collections::VecDeque;

use super::addresses::OwnAddresses;
use super::alerts::{Alert, book::AlertBook};
use super::arbiter::Arbitration;
use super::base::{Fingerprint, Millis, Now, Problem, Role, Run, Term, UnixMillis};
use super::clocks::Clocks;
use super::durable::{Durable, Peer};
use super::effect::{Effect, Effects};
use super::event::{Event, EventKind, Severity};
use super::failing::Failing;
use super::faults::{Fault, breaks};
use super::fence::FenceWork;
use super::input::{Boot, Committed, Input};
use super::likeness::Looks;
use super::links::Links;
use super::master::Reign;
use super::message::Timing;
use super::pause::Pause;
use super::settings::Settings;
use super::settings_rules::SettingsWork;
use super::shadow::Watch;
use super::stall::Stall;
use super::status::{LinkStep, ServiceStatus, Transfer};
use super::stop::Leaving;
use super::switch::Handover;
use super::takeover::OwnChecks;
use super::then::Then;
use super::timers::{Random, Timer, Timers};
use super::work::ServiceWork;

/// Most durable writes waiting; each handler queues one or two.
const WRITES_MAX: usize = 16;
/// Most timers served in one call; more are served by the next (the deadline stays in the past).
const TIMERS_PER_CALL_MAX: usize = 64;
/// Shortest pause between two tries to reach the peer, ms.
pub(super) const REDIAL_PAUSE_MIN_MS: u64 = 50;
/// Longest, ms.
const REDIAL_PAUSE_MAX_MS: u64 = 1_000;
/// Tries to reconnect that fit into the takeover delay, at least (if it is not too short).
const TRIES_PER_DELAY: u64 = 4;
/// How often standing troubles are looked after (spec 6.3).
pub(super) const HEALTH_INTERVAL_MS: u64 = 10_000;

/// What never changes in a run.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    pub version: String,
    pub link_port: u16,
    pub fingerprint: Fingerprint,
    pub service_kind: String,
    pub is_copied: bool,
    /// See [`super::message::Hello::start`].
    pub start: u64,
    pub started: UnixMillis,
}

/// A durable write and what depends on it.
#[derive(Clone, Debug)]
pub(super) struct Write {
    pub durable: Durable,
    pub then: Then,
}

/// The rules of one instance (spec 2 to 7). Takes what happened, returns what to do.
#[derive(Clone, Debug)]
pub struct Engine {
    pub(super) facts: Facts,
    pub(super) now: Now,
    pub(super) settings: Settings,
    pub(super) settings_work: SettingsWork,
    /// What is on the disk; changes only when the disk says so.
    pub(super) durable: Durable,
    writes: VecDeque<Write>,
    in_flight: Option<u64>,
    next_ticket: u64,
    pub(super) out: Vec<Effect>,
    pub(super) timers: Timers,
    pub(super) random: Random,
    pub(super) heard_term: Term,
    pub(super) heard_run: Run,
    pub(super) head: Option<Committed>,
    pub(super) trail: Vec<super::base::RevisionId>,
    pub(super) branches: Vec<String>,
    pub(super) book: AlertBook,
    pub(super) links: Links,
    pub(super) watch: Watch,
    pub(super) reign: Reign,
    pub(super) handover: Option<Handover>,
    pub(super) pause: Pause,
    pub(super) leaving: Option<Leaving>,
    pub(super) parting: Option<super::reset::Parting>,
    pub(super) work: ServiceWork,
    pub(super) failing: Failing,
    pub(super) fence: FenceWork,
    pub(super) service: ServiceStatus,
    pub(super) checks: OwnChecks,
    pub(super) addresses: OwnAddresses,
    pub(super) clocks: Clocks,
    pub(super) transfer: Option<Transfer>,
    pub(super) link_steps: Vec<LinkStep>,
    pub(super) arb: Arbitration,
    pub(super) stall: Stall,
    /// When the ages of the takeovers on disk were right.
    pub(super) takeovers_at: super::damping::WrittenAt,
    pub(super) kits: super::kit::Kits,
    /// Why the mirrored directory cannot be used.
    pub(super) directory_problem: Option<String>,
    /// What a shadow knows of what is in it.
    pub(super) looks: Looks,
    /// Files held back here.
    pub(super) held: u64,
}

impl Engine {
    /// An instance that has just started; nothing was done yet (see [`Input::Start`]).
    #[must_use]
    pub fn new(now: Now, boot: Boot) -> Self {
        let mut trail = boot.trail;
        trail.truncate(super::message::TRAIL_MAX);
        let durable = boot.durable;
        let settings_work = SettingsWork::new(&boot.settings, &durable);
        Self {
            facts: Facts {
                version: boot.version,
                link_port: boot.link_port,
                fingerprint: boot.fingerprint,
                service_kind: boot.service_kind,
                is_copied: boot.is_copied,
                start: boot.seed,
                started: now.wall,
            },
            now,
            settings: boot.settings,
            settings_work,
            heard_term: durable.known_term.max(durable.term),
            heard_run: durable.peer.as_ref().map_or(Run(0), |peer| peer.run),
            durable,
            writes: VecDeque::new(),
            in_flight: None,
            next_ticket: 1,
            out: Vec::new(),
            timers: Timers::default(),
            random: Random::new(boot.seed),
            head: boot.head,
            trail,
            branches: boot.branches,
            book: AlertBook::new(boot.alerts),
            links: Links::default(),
            watch: Watch::default(),
            reign: Reign::default(),
            handover: None,
            pause: Pause::default(),
            leaving: None,
            parting: None,
            work: ServiceWork::default(),
            failing: Failing::default(),
            fence: FenceWork::default(),
            service: ServiceStatus::default(),
            checks: OwnChecks::default(),
            addresses: OwnAddresses::default(),
            clocks: Clocks::default(),
            transfer: None,
            link_steps: Vec::new(),
            arb: Arbitration::default(),
            stall: Stall::default(),
            takeovers_at: now.mono,
            kits: super::kit::Kits::default(),
            directory_problem: None,
            looks: Looks::default(),
            held: 0,
        }
    }

    /// Something happened: `effects` is filled with what to do, in order. Everything in the batch before a write is
    /// independent of it; what depends on it comes after [`Input::Persisted`].
    pub fn handle(&mut self, now: Now, input: Input, effects: &mut Effects) {
        self.now = now;
        self.notice_stall();
        if self.in_flight.is_none() {
            self.check_hold();
        }
        self.dispatch(input);
        if self.in_flight.is_none() {
            for _ in 0..TIMERS_PER_CALL_MAX {
                // A timer never decides while the record is about to change.
                if !self.writes.is_empty() {
                    break;
                }
                let Some(timer) = self.timers.take_due(now.mono) else { break };
                self.timer_due(timer);
            }
            self.plan();
        }
        self.flush(effects);
    }

    /// When [`Input::Tick`] is wanted at the latest.
    #[must_use]
    pub fn deadline(&self) -> Option<Millis> {
        self.timers.earliest()
    }

    /// Open alerts, newest first; the actions are those that can work now (spec 6.4).
    #[must_use]
    pub fn alerts(&self) -> Vec<Alert> {
        let mut list = self.book.list();
        for alert in &mut list {
            alert.actions.retain(|action| self.action_works(*action));
        }
        list
    }

    /// The record as it is on the disk.
    #[must_use]
    pub fn durable(&self) -> &Durable {
        &self.durable
    }

    /// What `setup` writes for the first role: a master starts at term 1 (odd), a shadow at 0 (spec 7.3).
    #[must_use]
    pub fn first_role(durable: Durable, role: Role, now: Now) -> Durable {
        let term = if role == Role::Master { Term(1) } else { Term(0) };
        Durable {
            role: Some(role),
            term: durable.term.max(term),
            known_term: durable.known_term.max(term),
            since: now.wall,
            last_role_change: Some(super::durable::RoleChange {
                at: now.wall,
                from: None,
                reason: super::base::Reason::Start,
            }),
            ..durable
        }
    }

    fn dispatch(&mut self, input: Input) {
        match input {
            Input::Start => self.start(),
            Input::Tick => {}
            Input::Order { id, actor, order } => self.order(id, &actor, order),
            Input::Settings(settings) => self.settings_changed(*settings),
            Input::SettingsWritten { problem } => self.settings_written(problem),
            Input::LinkUp { link, outgoing, fingerprint, address } => {
                self.link_up(link, outgoing, fingerprint, address);
            }
            Input::LinkDown { link, why } => self.link_down(link, &why),
            Input::DialFailed { attempt, steps, why, foreign } => self.dial_failed(attempt, steps, &why, foreign),
            Input::Dialled { attempt, link, steps } => self.dialled(attempt, link, steps),
            Input::Received { link, envelope, host_problem } => self.received(link, *envelope, host_problem),
            Input::Persisted { ticket } => self.persisted(ticket),
            Input::PersistFailed { ticket, why } => self.persist_failed(ticket, &why),
            Input::DirectoryChanged => self.directory_changed(),
            Input::Directory { problem } => self.directory_told(problem),
            Input::Looked { serial, problem } => self.looked(serial, problem),
            Input::Held(held) => self.held_told(held),
            Input::Scanned { committed, problem } => self.scanned(committed, problem),
            Input::Changed { order, committed, outcome } => self.changed(order, committed, *outcome),
            Input::Applied { link, revision, committed, branch } => self.applied(link, revision, committed, branch),
            Input::ApplyFailed { link, revision, why } => self.apply_failed(link, revision, &why),
            Input::PushFailed { link, why } => self.push_failed(link, &why),
            Input::Progress(transfer) => self.progress(transfer),
            Input::Service(change) => self.service_changed(change),
            Input::Fenced { ok, output } => self.fenced(ok, &output),
            Input::Addresses(list) => self.addresses_came(list),
            Input::TakeoverChecked(results) => self.takeover_checked(results),
            Input::Arbiter { id, answer } => self.arbiter_answered(id, answer),
            Input::Stalled { late_ms } => self.stalled(late_ms),
            Input::Facts(facts) => self.facts_changed(*facts),
            Input::DriftRestored(is_done) => self.drift_restored(is_done),
            Input::ServiceAhead(problem) => self.service_ahead(problem),
            Input::ArbiterMark(mark) => self.mark_told(mark),
            Input::PairAsked { id, hello, fingerprint, address: _, host_problem } => {
                self.pair_asked(id, &hello, fingerprint, host_problem);
            }
            Input::PairProved { id, hello, fingerprint, address, host_problem, fresh_pair } => {
                self.pair_proved(id, &hello, fingerprint, address, host_problem, fresh_pair);
            }
            Input::PairGranted { order, grant, fingerprint, address } => {
                self.pair_granted(order, &grant, fingerprint, address);
            }
            Input::Told { code, why } => self.tell(code, "", &why),
            Input::Trouble { code, subject, why } => self.raise(code, &subject, &why),
            Input::TroubleOver { code, subject } => self.settle(code, &subject),
            Input::Event(event) => self.out.push(Effect::Note(event)),
            Input::Done { id, outcome } => self.out.push(Effect::Reply { id, outcome }),
            Input::Terminate => self.terminate(),
        }
    }

    /// What should go on whatever happened: dials, pushes, scans, settings due.
    fn plan(&mut self) {
        if self.durable.role.is_none() {
            self.plan_leave();
            return;
        }
        self.plan_forced();
        self.plan_settings();
        // Who gives the role up decides nothing that needs fresh word: the scan that it waits for is not to be held back.
        if !(self.is_master() && self.stall.is_barred() && !self.is_giving_way()) {
            self.plan_scan();
            self.plan_push();
        }
        self.plan_arbiter();
        self.plan_dial();
        self.plan_kit();
        self.plan_leave();
        self.judge_addresses();
        self.show_checks();
        self.timers.set_if_unset(Timer::Health, self.now.mono.plus(HEALTH_INTERVAL_MS));
    }

    fn flush(&mut self, effects: &mut Effects) {
        for effect in self.out.drain(..) {
            effects.push(effect);
        }
        if self.in_flight.is_none()
            && let Some(write) = self.writes.front()
        {
            let ticket = self.next_ticket;
            self.next_ticket += 1;
            self.in_flight = Some(ticket);
            effects.persist(ticket, write.durable.clone());
        }
    }

    /// A copy of the record as it will be after the writes that wait, with everything heard since; to be changed and
    /// given to [`Engine::write`].
    pub(super) fn draft(&self) -> Durable {
        let mut draft = self.drafted().clone();
        // Put back when it became active.
        draft.restore_due = self.owes_restore(draft.restore_due);
        draft.known_term = draft.known_term.max(self.heard_term).max(draft.term);
        if let Some(peer) = &mut draft.peer {
            peer.run = peer.run.max(self.heard_run);
        }
        draft
    }

    /// The record as it will be after the writes that wait.
    pub(super) fn drafted(&self) -> &Durable {
        self.writes.back().map_or(&self.durable, |write| &write.durable)
    }

    /// Writes it durably, then goes on with `then`. Later writes stand on this one: if it fails, so do they.
    pub(super) fn write(&mut self, draft: Durable, then: Then) {
        if self.writes.len() >= WRITES_MAX {
            self.note(EventKind::Program, Severity::Error, "too many durable writes at once; one was given up");
            self.failed_then(then, "too many durable writes at once");
            return;
        }
        self.writes.push_back(Write { durable: draft, then });
    }

    /// A durable write is under way: its answer comes next.
    pub(super) fn is_writing(&self) -> bool {
        self.in_flight.is_some()
    }

    /// Nothing is being written and nothing waits to be.
    pub(super) fn is_settled_on_disk(&self) -> bool {
        self.writes.is_empty()
    }

    fn persisted(&mut self, ticket: u64) {
        if self.in_flight != Some(ticket) {
            return;
        }
        self.in_flight = None;
        if let Some(write) = self.writes.pop_front() {
            let is_new = self.durable.takeovers != write.durable.takeovers;
            self.durable = write.durable;
            self.takeovers_written(is_new);
            self.refresh_in_force();
            self.heard_term = self.heard_term.max(self.durable.known_term);
            self.settle("R-001", "record");
            self.go_on(write.then);
        }
    }

    fn persist_failed(&mut self, ticket: u64, why: &str) {
        if self.in_flight != Some(ticket) {
            return;
        }
        self.in_flight = None;
        self.raise("R-001", "record", why);
        for write in std::mem::take(&mut self.writes) {
            self.failed_then(write.then, why);
        }
    }

    /// The moment of the last check moves at most once a second, so that an idle pair gives an equal status.
    fn show_checks(&mut self) {
        const SHOWN_EVERY_MS: i64 = 1_000;
        let refresh = |shown: &mut Option<UnixMillis>, at: Option<UnixMillis>| {
            let is_old = |shown: UnixMillis, at: UnixMillis| at.0 - shown.0 >= SHOWN_EVERY_MS || at < shown;
            if let Some(at) = at
                && shown.is_none_or(|shown| is_old(shown, at))
            {
                *shown = Some(at);
            }
        };
        refresh(&mut self.watch.shown_check, self.watch.last_check.map(|at| at.wall));
        refresh(&mut self.reign.shown_check, self.reign.heard_wall);
        self.show_arbiter();
    }

    // ---- small helpers that every room uses

    pub(super) fn role(&self) -> Option<Role> {
        self.durable.role
    }

    pub(super) fn is_master(&self) -> bool {
        self.durable.role == Some(Role::Master)
    }

    pub(super) fn is_shadow(&self) -> bool {
        self.durable.role == Some(Role::Shadow)
    }

    pub(super) fn peer(&self) -> Option<&Peer> {
        self.durable.peer.as_ref()
    }

    /// For people: the peer's host, or `the other instance`.
    pub(super) fn peer_name(&self) -> String {
        match self.peer() {
            Some(peer) if !peer.host.is_empty() => peer.host.clone(),
            _ => "the other instance".into(),
        }
    }

    pub(super) fn head_id(&self) -> Option<super::base::RevisionId> {
        self.head.as_ref().map(|head| head.revision)
    }

    /// The smallest own term above every term known (spec 7.3).
    pub(super) fn next_own_term(&self, above: Term) -> Term {
        let own = self.peer().map_or(super::base::OwnTerms::Odd, |peer| peer.own_terms);
        if breaks(Fault::ReusesTerm) {
            return self.durable.term;
        }
        own.next_above(self.highest_term().max(self.arbiter_term()).max(above))
    }

    /// Timing of the pair (spec 2.8): the shadow's settings, or what the shadow told.
    pub(super) fn timing(&self) -> Timing {
        let in_force = self.in_force();
        let own = &in_force.shadow;
        let own = Timing {
            check_interval_ms: own.check_interval,
            takeover_delay_ms: own.takeover_delay,
            connect_timeout_ms: own.connect_timeout,
            request_timeout_ms: own.request_timeout,
        };
        if self.is_shadow() { own } else { self.peer().map_or(own, |peer| peer.timing) }
    }

    /// Between two tries to reach the peer, ms.
    pub(super) fn redial_pause_ms(&self) -> u64 {
        let timing = self.timing();
        // Several tries fit into the takeover delay: it is for trying to reconnect (spec 7.1).
        let within_delay_ms = timing.takeover_delay_ms / TRIES_PER_DELAY;
        timing.check_interval_ms.min(within_delay_ms).clamp(REDIAL_PAUSE_MIN_MS, REDIAL_PAUSE_MAX_MS)
    }

    pub(super) fn after(&self, span_ms: u64) -> Millis {
        self.now.mono.plus(span_ms)
    }

    pub(super) fn note(&mut self, kind: EventKind, severity: Severity, text: impl Into<String>) {
        self.note_by(kind, severity, text, None);
    }

    pub(super) fn note_by(&mut self, kind: EventKind, severity: Severity, text: impl Into<String>, who: Option<&str>) {
        let event = Event {
            id: 0,
            at: self.now.wall,
            kind,
            severity,
            text: text.into(),
            who: who.map(str::to_owned),
            timeline: Vec::new(),
        };
        self.out.push(Effect::Note(event));
    }

    /// The change of roles that the notice tells of, as one event with its timeline.
    pub(super) fn note_role_change(&mut self) {
        let Some(notice) = &self.durable.notice else { return };
        let title = match notice.role {
            super::base::Role::Master => "now master",
            super::base::Role::Shadow => "now shadow",
        };
        let span = match (notice.timeline.first(), notice.timeline.last()) {
            (Some(first), Some(last)) => format!(", {} ms in all", last.at.0.saturating_sub(first.at.0).max(0)),
            _ => String::new(),
        };
        let text = format!("{title}, term {}, by {}{span}", notice.term, notice.reason.word());
        let timeline = notice.timeline.clone();
        let (at, kind, severity) = (self.now.wall, EventKind::Role, Severity::Warning);
        self.out.push(Effect::Note(Event { id: 0, at, kind, severity, text, who: None, timeline }));
    }

    pub(super) fn raise(&mut self, code: &str, subject: &str, why: &str) {
        self.book.raise(self.now.wall, code, subject, why, &mut self.out);
    }

    pub(super) fn hold_alert(&mut self, code: &str, subject: &str, why: &str) {
        self.book.hold(self.now.wall, code, subject, why, &mut self.out);
    }

    pub(super) fn tell(&mut self, code: &str, subject: &str, why: &str) {
        self.book.tell(self.now.wall, code, subject, why, &mut self.out);
    }

    pub(super) fn settle(&mut self, code: &str, subject: &str) {
        self.book.settle(self.now.wall, code, subject, &mut self.out);
    }

    pub(super) fn reply(&mut self, id: u64, outcome: Result<super::order::Reply, Problem>) {
        self.out.push(Effect::Reply { id, outcome: Box::new(outcome) });
    }

    pub(super) fn done(&mut self, id: u64, text: impl Into<String>) {
        self.reply(id, Ok(super::order::Reply::Done(text.into())));
    }

    pub(super) fn refuse(&mut self, id: u64, what: &str, why: impl Into<String>, todo: impl Into<String>) {
        self.reply(id, Err(Problem::new(what, why, todo)));
    }
}
