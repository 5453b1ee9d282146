//! Runs an engine: hands it what happens, one thing at a time, and does what it says, in order.
//!
//! A durable write is answered before anything else is handed over, so nothing can come between a decision and its record.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::arbiter::ArbiterDesk;
use super::bulk_source::Other;
use super::clock;
use super::desk::MirrorDesk;
use super::facts::Facts;
use super::net::Net;
use super::settings_file::SettingsDesk;
use super::shared::Shared;
use super::wake::Wake;
use super::works::Works;
use crate::engine::Engine;
use crate::engine::base::{Fingerprint, LinkId, Millis, Problem, Reason, Role, Term};
use crate::engine::durable::Durable;
use crate::engine::effect::{Effect, Effects};
use crate::engine::event::{EventKind, Severity};
use crate::engine::input::Input;
use crate::engine::message::Push;
use crate::engine::order::Order;
use crate::engine::settings::Settings;
use crate::engine::settings::table::{self, Effect as TakesEffect};
use crate::engine::status::Status;
use crate::store::Store;

/// From one try to listen to the next.
const LISTEN_AGAIN: Duration = Duration::from_secs(3);
/// How long the last answers may take to reach those who asked.
const ANSWERS_LIMIT: Duration = Duration::from_secs(2);
/// The status is published at most twice in so long, ms: a check and its answer are two, and neither has to wake the loop later.
const PUBLISH_SPAN_MS: u64 = 80;
/// A loop late by so much tells the engine, which judges whether that was a stall, ms.
const LATE_TOLD_MS: u64 = 400;
/// Inputs handled in a row before the status is published in between.
const INPUTS_IN_A_ROW: usize = 256;

/// Everything that carries out effects.
pub struct Driver {
    /// The rules.
    pub engine: Engine,
    /// The record.
    pub store: Store,
    /// Consoles.
    pub shared: Shared,
    /// Links.
    pub net: Net,
    /// The mirrored directory.
    pub mirror: MirrorDesk,
    /// Service, hooks and checks.
    pub works: Works,
    /// The third vote.
    pub arbiter: ArbiterDesk,
    /// The settings file.
    pub settings: SettingsDesk,
    /// What the status needs from outside the engine.
    pub facts: Facts,
    /// Inputs that effects brought about, before any from outside.
    pub pending: VecDeque<Input>,
    /// When the status was published: the time before last, and last.
    pub published: [Millis; 2],
    /// For the next thing that is due.
    pub wake: Wake,
    /// Something happened since.
    pub is_stale: bool,
    /// The pinned peer as last told to the network.
    pub pinned: Option<Fingerprint>,
    /// Round trips of the checks.
    pub trips: super::trips::Trips,
    /// Of the program log.
    pub log_level: super::log::Level,
    /// Brings the listener to where the settings want it.
    pub listening: Option<tokio::task::AbortHandle>,
}

/// Listens where the settings say; what cannot be yet (alert N-001) is tried until it can: no program tells when it frees a port.
async fn listen_there(net: Net, shared: Shared, listen: String, port: u16) {
    let subject = String::new;
    let mut told = None;
    while let Err(Problem { why, .. }) = net.rebind(&listen, port).await {
        if told.as_ref() != Some(&why) {
            let _ = shared.inputs.send(Input::Trouble { code: "N-001", subject: subject(), why: why.clone() }).await;
            told = Some(why);
        }
        tokio::time::sleep(LISTEN_AGAIN).await;
    }
    let _ = shared.inputs.send(Input::TroubleOver { code: "N-001", subject: subject() }).await;
}

/// What cannot be when an instance has started: it would not have, without valid settings, all of them in force, and a listener.
const OVER_AT_START: [&str; 3] = ["F-010", "F-011", "N-001"];

impl Driver {
    /// Runs until the engine says `Exit` or nobody can reach it any more.
    pub async fn run(
        mut self,
        mut inputs: mpsc::Receiver<Input>,
        mut edits: mpsc::Receiver<Box<Settings>>,
        answering: oneshot::Sender<()>,
    ) {
        self.follow_peer(None);
        self.pending.push_back(self.facts.of_kit());
        self.pending.push_back(Input::Start);
        self.pending.extend(OVER_AT_START.map(|code| Input::TroubleOver { code, subject: String::new() }));
        let mut has_ended = self.turn(&mut inputs);
        self.publish();
        // Whoever asks from now on gets an answer that means something.
        let _ = answering.send(());
        while !has_ended {
            self.works.pulse(clock::monotonic());
            if self.is_stale && clock::monotonic() >= self.publish_due() {
                self.publish();
            }
            if self.engine.deadline().is_some_and(|due| clock::monotonic() >= due) {
                self.pending.push_back(Input::Tick);
                has_ended = self.turn(&mut inputs);
                continue;
            }
            let due = self.next_due();
            tokio::select! {
                biased;
                input = inputs.recv() => match input {
                    Some(input) => self.pending.push_back(input),
                    None => break,
                },
                Some(new) = edits.recv() => self.take_edit(new),
                () = self.wake.at(due) => {}
            }
            if let Some(due) = due {
                self.notice_lateness(clock::monotonic().since(due));
            }
            has_ended = self.turn(&mut inputs);
        }
        self.publish();
        self.shared.recorder.flush();
        self.shared.settle(ANSWERS_LIMIT).await;
        self.works.shut_down();
    }

    /// Handles what is there, and notices when that took long. True: the program ends.
    fn turn(&mut self, inputs: &mut mpsc::Receiver<Input>) -> bool {
        let began = clock::monotonic();
        let has_ended = self.work_off(inputs);
        self.notice_lateness(clock::monotonic().since(began));
        has_ended
    }

    /// The engine hears of a stall before anything that waited (spec 7.12).
    fn notice_lateness(&mut self, late_ms: u64) {
        if late_ms >= LATE_TOLD_MS {
            self.pending.push_front(Input::Stalled { late_ms });
        }
    }

    /// Handles what is there. True: the program ends.
    fn work_off(&mut self, inputs: &mut mpsc::Receiver<Input>) -> bool {
        for _ in 0..INPUTS_IN_A_ROW {
            let Some(input) = self.pending.pop_front().or_else(|| inputs.try_recv().ok()) else { return false };
            self.observe(&input);
            let mut effects = Effects::default();
            self.engine.handle(clock::now(), input, &mut effects);
            self.mirror.set_shadow(self.engine.durable().role == Some(Role::Shadow));
            self.is_stale = true;
            for effect in effects.take() {
                if self.execute(effect) {
                    return true;
                }
            }
        }
        false
    }

    fn publish_due(&self) -> Millis {
        self.published[0].plus(PUBLISH_SPAN_MS)
    }

    /// When there is something to do, if nothing happens before.
    fn next_due(&self) -> Option<Millis> {
        let publish = self.is_stale.then(|| self.publish_due());
        [self.engine.deadline(), self.works.pulse_due(), publish].into_iter().flatten().min()
    }

    /// What the node itself must know of an input.
    fn observe(&mut self, input: &Input) {
        match input {
            Input::LinkDown { link, .. } => self.mirror.link_down(*link),
            Input::Order { order: Order::PushNow, .. } if self.mirror.push_wanted() => {
                self.pending.push_back(Input::DirectoryChanged);
            }
            Input::Settings(settings) => self.apply_settings(settings),
            Input::Service(change) => self.works.follow(change),
            Input::Received { envelope, .. } => self.trips.received(envelope),
            _ => {}
        }
    }

    /// Does one effect. True: the program ends.
    fn execute(&mut self, effect: Effect) -> bool {
        match effect {
            Effect::Persist { ticket, durable } => self.persist(ticket, &durable),
            Effect::Dial { attempt, hosts, port, fingerprint, connect_timeout_ms } => {
                self.net.dial(attempt, hosts, port, fingerprint, connect_timeout_ms);
            }
            Effect::CancelDial { attempt } => self.net.cancel_dial(attempt),
            Effect::Send { link, envelope } => {
                self.trips.sent(&envelope);
                self.net.send(link, &envelope);
            }
            Effect::Close { link, why } => {
                // At once, not when the last words are out: a takeover waits for the end of an apply over it.
                self.mirror.link_down(link);
                self.net.close(link, &why);
            }
            Effect::Scan { term, wait_quiet } => self.pending.extend(self.mirror.scan(term, wait_quiet)),
            Effect::Push { link, trail, complete } => self.push(link, trail, complete),
            Effect::Apply { link, push, complete } => self.apply(link, push, complete),
            Effect::Change { order, term, wanted } => self.mirror.change(order, term, wanted),
            Effect::LookForDrift { serial, is_first } => self.mirror.look_for_drift(serial, is_first),
            Effect::RestoreDrift => self.works.restore_drift(),
            Effect::StartService { term, reason } => {
                self.works.start_service(self.engine.durable(), term, reason, clock::monotonic());
            }
            Effect::AllowServiceUntil(until) => self.works.set_allowance(until, clock::monotonic()),
            Effect::RunFence { term, reason } => self.run_fence(term, reason),
            Effect::StopService { grace_ms, reason } => self.works.stop_service(grace_ms, reason),
            Effect::RunHook { hook, role, term, reason, revision } => {
                if let Err(problem) = self.works.run_hook(hook, self.engine.durable(), role, term, reason, revision) {
                    let (code, subject) = ("V-010", hook.word().to_owned());
                    self.pending.push_back(Input::Trouble { code, subject, why: problem.to_string() });
                }
            }
            Effect::RunTakeoverChecks => self.works.run_takeover_checks(),
            Effect::AskArbiter { id, pair, ask, lease_s } => {
                self.pending.extend(self.arbiter.ask(id, pair, ask, lease_s));
            }
            Effect::WriteSettings(patch) => {
                let inputs = tokio::task::block_in_place(|| self.settings.write(&patch));
                self.pending.extend(inputs);
            }
            Effect::AnswerPairing { id, outcome } => self.net.answer_pairing(id, outcome),
            Effect::Reply { id, outcome } => {
                // Whoever reads the status next sees what the answer says.
                self.publish();
                self.shared.answer(id, *outcome);
            }
            Effect::Note(event) => self.shared.recorder.event(event),
            Effect::SaveAlert(alert) => self.shared.recorder.save_alert(*alert),
            Effect::DropAlert { id } => self.shared.recorder.drop_alert(id),
            Effect::Exit => return true,
        }
        false
    }

    fn run_fence(&mut self, term: Term, reason: Reason) {
        let durable = self.engine.durable();
        let role = durable.role.unwrap_or(Role::Shadow);
        if let Err(problem) = self.works.run_fence(durable, role, term, reason) {
            self.pending.push_back(Input::Fenced { ok: false, output: format!("{}: {}", problem.what, problem.why) });
        }
    }

    fn persist(&mut self, ticket: u64, durable: &Durable) {
        let written = tokio::task::block_in_place(|| self.store.save_durable(durable));
        let answer = match written {
            Ok(()) => {
                self.follow_peer(Some(durable));
                Input::Persisted { ticket }
            }
            Err(problem) => {
                tracing::error!("the record was not written: {problem}");
                Input::PersistFailed { ticket, why: problem.why }
            }
        };
        self.pending.push_front(answer);
    }

    /// Keeps what the network may serve in step with the pinned peer.
    fn follow_peer(&mut self, durable: Option<&Durable>) {
        let durable = durable.unwrap_or_else(|| self.engine.durable());
        let pinned = durable.peer.as_ref().map(|peer| peer.fingerprint);
        if pinned != self.pinned || durable.peer.is_none() {
            self.net.set_peer(pinned);
            self.facts.set_peer(pinned);
            self.pinned = pinned;
        }
    }

    fn apply(&mut self, link: LinkId, push: Box<Push>, complete: bool) {
        let outcome = match &self.engine.durable().peer {
            Some(peer) => {
                let other = Other::of(peer, &self.settings.in_force());
                self.mirror.apply(link, push, complete, other, self.net.clone())
            }
            None => {
                let why = "there is no pair any more".to_owned();
                Some(Input::ApplyFailed { link, revision: push.revision, why })
            }
        };
        self.pending.extend(outcome);
    }

    fn push(&mut self, link: LinkId, trail: Vec<crate::engine::base::RevisionId>, complete: bool) {
        let durable = self.engine.durable();
        let Some(pair) = durable.peer.as_ref().map(|peer| peer.pair) else { return };
        let Some(role) = durable.role else { return };
        let from = super::desk::Sender { pair, from: durable.instance, run: durable.run, role, term: durable.term };
        self.mirror.push(link, trail, complete, from, self.net.clone());
    }

    /// An operator's edit of the settings file: valid; refused as a whole when it touches what is locked now.
    fn take_edit(&mut self, new: Box<Settings>) {
        let subject = String::new();
        if let Some(problem) = self.engine.refuses_settings(&new) {
            let why = format!("{}: {}", problem.what, problem.why);
            self.pending.push_back(Input::Trouble { code: "F-011", subject, why });
        } else {
            let old = self.settings.in_force();
            for (key, _) in table::differences(&old, &new) {
                let when = match table::row(key).map(|row| row.effect) {
                    Some(TakesEffect::Restart) => "takes effect at the next start",
                    Some(TakesEffect::ServiceStart) => "takes effect at the next start of the service",
                    Some(TakesEffect::AtOnce) | None => "is in force",
                };
                self.shared.note(EventKind::Program, Severity::Information, format!("settings: {key} {when}"));
            }
            self.pending.push_back(Input::Settings(new));
            self.pending.push_back(Input::TroubleOver { code: "F-011", subject });
        }
    }

    /// Settings that the node itself works by.
    fn apply_settings(&mut self, settings: &Settings) {
        self.settings.put_in_force(settings);
        self.net.set_permitted(settings.high_availability.permitted_shadow_host.clone());
        self.net.set_about(self.facts.about(self.engine.durable().role));
        self.mirror.set_limits(settings);
        // What was held back by another limit, pattern or command may pass now.
        self.pending.push_back(Input::DirectoryChanged);
        self.log_level.set(&settings.log.level);
        self.works.set_settings(settings);
        self.arbiter.set_settings(&settings.arbiter);
        self.facts.set_settings(settings);
        let (listen, port) = (settings.administration.listen.clone(), settings.link_port());
        let listening = tokio::spawn(listen_there(self.net.clone(), self.shared.clone(), listen, port));
        if let Some(older) = self.listening.replace(listening.abort_handle()) {
            older.abort();
        }
    }

    fn publish(&mut self) {
        self.is_stale = false;
        self.published = [self.published[1], clock::monotonic()];
        let mut status = self.engine.status(clock::now());
        self.facts.complete(&mut status, self.net.port());
        self.mirror.set_needed(needed_by_peer(self.engine.durable(), &status));
        status.configuration.held = self.mirror.held();
        status.configuration.drift = self.mirror.drift();
        status.configuration.owners_missing = self.mirror.owners_missing();
        self.facts.reseal_if_settled(&self.store, &status);
        self.shared.status.send_if_modified(|old| {
            let is_new = **old != status;
            if is_new {
                *old = Arc::new(status);
            }
            is_new
        });
        let alerts = self.engine.alerts();
        self.shared.alerts.send_if_modified(|old| {
            let is_new = **old != alerts;
            if is_new {
                *old = Arc::new(alerts);
            }
            is_new
        });
    }
}

/// The oldest revision that the other instance still needs to be brought up to date; none: there is no other. What it has may
/// be on another line; then it needs all after the newest one that both are known to have had.
fn needed_by_peer(durable: &Durable, status: &Status) -> Option<u64> {
    let peer = status.peer.as_ref()?;
    let known = durable.common.map_or(0, |common| common.number);
    Some(if peer.in_sync { status.configuration.revision } else { peer.revision.min(known) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::base::{Digest, InstanceId, RevisionId};
    use crate::engine::status::PeerStatus;

    /// spec 5.6: what the other instance still needs is never dropped: all after the newest revision that both had.
    #[test]
    fn the_peer_keeps_what_it_lacks() {
        let mut durable = Durable::new(InstanceId(uuid::Uuid::nil()));
        let mut status = Status::default();
        status.configuration.revision = 90;
        assert_eq!(needed_by_peer(&durable, &status), None);
        status.peer = Some(PeerStatus { revision: 80, in_sync: false, ..PeerStatus::default() });
        assert_eq!(needed_by_peer(&durable, &status), Some(0), "it may be on another line");
        durable.common = Some(RevisionId { number: 70, term: Term(1), root: Digest::ZERO });
        assert_eq!(needed_by_peer(&durable, &status), Some(70));
        status.peer = Some(PeerStatus { revision: 60, in_sync: false, ..PeerStatus::default() });
        assert_eq!(needed_by_peer(&durable, &status), Some(60), "restored from a backup");
        status.peer = Some(PeerStatus { revision: 90, in_sync: true, ..PeerStatus::default() });
        assert_eq!(needed_by_peer(&durable, &status), Some(90));
    }
}
