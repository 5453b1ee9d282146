//! What the engine wants started, stopped and run: the service, hooks and takeover checks. Drift is put back before a start,
//! in the same order as the engine said (spec 7.3).

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};

use super::desk::{MirrorDesk, drifting};
use super::heart::Heart;
use super::shared::{Shared, lock};
use crate::engine::base::{Millis, Problem, Reason, RevisionId, Role, Term};
use crate::engine::durable::Durable;
use crate::engine::effect::Hook;
use crate::engine::event::{EventKind, Severity};
use crate::engine::input::{Input, ServiceChange};
use crate::engine::settings::{Health, Settings, VirtualAddress};
use crate::service::addresses::Addresses;
use crate::service::hooks::{HookDone, HookRun, Runner};
use crate::service::unit::Tie;
use crate::service::{Env, GuardCommand, OutputLine, Watchdog, checks, health};
use crate::text::mask::OutputMask;
use lookout::Lookout;
use service::ServiceDesk;

mod lookout;
mod service;

/// Works waiting for their turn; the engine has at most a few under way.
const WORKS_MAX: usize = 64;

enum Work {
    RestoreDrift,
    Start(Box<Env>),
    Stop {
        grace_ms: u64,
    },
    /// How it is checked from now on.
    Health(Box<Health>),
    /// From the signal to the kill, from now on, ms.
    StopGrace(u64),
    Checks,
    Addresses(Vec<VirtualAddress>),
    End(SyncSender<()>),
}

/// Carries them out in a thread of its own.
pub struct Works {
    queue: SyncSender<Work>,
    checks: SyncSender<Work>,
    hooks: Runner,
    /// By itself: a takeover must not wait for a hook.
    fence: Runner,
    settings: Arc<Mutex<Settings>>,
    directory: PathBuf,
    mirror: MirrorDesk,
    watchdog: Watchdog,
    /// The service may run, so the watchdog is held off.
    is_watching: bool,
    /// Not beyond this moment; see [`Works::set_allowance`].
    allowance: Option<Millis>,
    /// systemd hears of this process.
    heart: Option<Heart>,
    lookout: Lookout,
    addresses: Addresses,
}

/// Where things are.
pub struct Places {
    /// The mirrored directory.
    pub directory: PathBuf,
    /// The note of virtual addresses under the home.
    pub addresses: PathBuf,
}

impl Works {
    /// Starts guard and threads. `mark` names this home on this machine.
    ///
    /// # Errors
    /// When the guard or a thread cannot be started.
    pub fn start(
        program: PathBuf,
        mark: String,
        settings: &Settings,
        places: Places,
        mirror: &MirrorDesk,
        shared: &Shared,
    ) -> Result<Self, Problem> {
        let Places { directory, addresses: note } = places;
        // The guard works in another directory.
        let note = std::path::absolute(&note).unwrap_or(note);
        let (looks, run) = (shared.clone(), uuid::Uuid::new_v4().to_string());
        let tell = move |list| send(&looks, Input::Addresses(list));
        let addresses = Addresses::new(note.clone(), run.clone(), &settings.addresses, tell)?;
        let (changes, outputs, done, fenced) = (shared.clone(), shared.clone(), shared.clone(), shared.clone());
        let service = ServiceDesk::new(
            GuardCommand::of(program, mark).with_addresses(&note, &run),
            health::over_checks(&directory),
            with_addresses(&addresses, move |change| send(&changes, Input::Service(change))),
            without_secrets(move |line| tell_output(&outputs, "service", &line)),
        )?;
        let hooks = Runner::new(move |hook| tell_hook(&done, &hook))?;
        let fence = Runner::new(move |hook| tell_fence(&fenced, &hook))?;
        let watchdog = service.watchdog();
        let heart = Heart::from_environment();
        let settings = Arc::new(Mutex::new(settings.clone()));
        let (queue, works) = sync_channel(WORKS_MAX);
        let (checks, checking) = sync_channel(1);
        let worker = Worker {
            service,
            mirror: mirror.clone(),
            shared: shared.clone(),
            settings: Arc::clone(&settings),
            directory: directory.clone(),
            addresses: addresses.clone(),
            systemd_limit_ms: heart.as_ref().and_then(Heart::limit_ms),
        };
        let place = (Arc::clone(&settings), directory.clone(), worker.systemd_limit_ms);
        let lookout = Lookout::start(shared.clone(), place)?;
        let checker = (shared.clone(), Arc::clone(&settings), directory.clone());
        spawn("works", move || worker.run(&works))?;
        spawn("checks", move || run_checks(&checker.0, &checker.1, &checker.2, &checking))?;
        Ok(Self {
            queue,
            checks,
            hooks,
            fence,
            settings,
            directory,
            mirror: mirror.clone(),
            addresses,
            watchdog,
            is_watching: false,
            allowance: None,
            heart,
            lookout,
        })
    }

    /// The loop that decides turns (spec 7.12, 7.13): to be called by it alone, at least as often as [`Works::pulse_due`] says.
    /// A loop that stalls calls nothing, and the guard stops the service.
    pub fn pulse(&mut self, now: Millis) {
        // What turns the loop anyway saves it a turn of its own.
        if self.is_watching && now.0 >= self.watchdog.worth_ms() {
            self.watchdog.pulse(now.0, self.allowance.map(|until| until.0));
        }
        if let Some(heart) = &mut self.heart {
            heart.beat(now);
        }
    }

    /// When the next pulse is due; none: nothing has to be watched, and nobody watches.
    #[must_use]
    pub fn pulse_due(&self) -> Option<Millis> {
        let service = self.is_watching.then(|| Millis(self.watchdog.due_ms()));
        service.into_iter().chain(self.heart.as_ref().and_then(Heart::due)).min()
    }

    /// See [`crate::engine::effect::Effect::AllowServiceUntil`]: in force at once.
    pub fn set_allowance(&mut self, until: Option<Millis>, now: Millis) {
        self.allowance = until;
        if self.is_watching {
            self.watchdog.pulse(now.0, until.map(|until| until.0));
        }
    }

    /// What the service did: without one there is nothing to watch.
    pub fn follow(&mut self, change: &ServiceChange) {
        if service::is_at_rest(change) {
            self.is_watching = false;
        }
    }

    /// New settings, for the next start of anything; health check and stop grace at once.
    pub fn set_settings(&self, settings: &Settings) {
        let old = std::mem::replace(&mut *lock(&self.settings), settings.clone());
        if old.service.health != settings.service.health {
            self.send(Work::Health(Box::new(settings.service.health.clone())));
        }
        if old.service.stop_grace != settings.service.stop_grace {
            self.send(Work::StopGrace(settings.service.stop_grace));
        }
        self.send(Work::Addresses(settings.addresses.clone()));
        self.lookout.look();
    }

    /// See [`crate::engine::effect::Effect::RestoreDrift`].
    pub fn restore_drift(&self) {
        // Also before a scan that comes first.
        self.mirror.mirror().expect_restore();
        self.send(Work::RestoreDrift);
    }

    /// See [`crate::engine::effect::Effect::StartService`].
    pub fn start_service(&mut self, durable: &Durable, term: Term, reason: Reason, now: Millis) {
        // Before it runs, so that there is no moment in which it runs unwatched.
        self.is_watching = true;
        self.watchdog.begin(now.0, self.allowance.map(|until| until.0));
        let revision = self.mirror.head().map(|head| head.revision);
        self.send(Work::Start(Box::new(self.env(durable, Role::Master, term, reason, revision))));
    }

    /// See [`crate::engine::effect::Effect::StopService`].
    pub fn stop_service(&self, grace_ms: u64, _reason: Reason) {
        self.send(Work::Stop { grace_ms });
    }

    /// See [`crate::engine::effect::Effect::RunTakeoverChecks`]. One run at a time: a second wish joins the first.
    pub fn run_takeover_checks(&self) {
        let _ = self.checks.try_send(Work::Checks);
    }

    /// See [`crate::engine::effect::Effect::RunHook`]. A hook nobody configured is not run and not told.
    ///
    /// # Errors
    /// When too many wait; the caller raises the alert.
    pub fn run_hook(
        &self,
        hook: Hook,
        durable: &Durable,
        role: Role,
        term: Term,
        reason: Reason,
        revision: Option<RevisionId>,
    ) -> Result<(), Problem> {
        let settings = lock(&self.settings).clone();
        let argv = match hook {
            Hook::Fence => settings.hooks.fence,
            Hook::BecomeMaster => settings.hooks.become_master,
            Hook::BecomeShadow => settings.hooks.become_shadow,
            Hook::NewConfiguration => settings.hooks.new_configuration,
        };
        if hook == Hook::NewConfiguration {
            // The service's program may be among what has come.
            self.lookout.look();
        }
        if hook == Hook::BecomeMaster {
            // The network may still point at the other one (spec 7.6).
            self.addresses.announce();
        }
        let env = self.env(durable, role, term, reason, revision);
        let run = HookRun { hook, argv, directory: self.directory.clone(), env, timeout_ms: settings.hooks.timeout };
        self.hooks.run(run)
    }

    /// See [`crate::engine::effect::Effect::RunFence`].
    ///
    /// # Errors
    /// When it cannot be run; the caller gives the answer.
    pub fn run_fence(&self, durable: &Durable, role: Role, term: Term, reason: Reason) -> Result<(), Problem> {
        let settings = lock(&self.settings).clone();
        if settings.hooks.fence.is_empty() {
            return Err(Problem::new("the fence hook was not run", "hooks.fence is empty", "Set it"));
        }
        let env = self.env(durable, role, term, reason, self.mirror.head().map(|head| head.revision));
        let (argv, timeout_ms) = (settings.hooks.fence, settings.hooks.timeout);
        self.fence.run(HookRun { hook: Hook::Fence, argv, directory: self.directory.clone(), env, timeout_ms })
    }

    /// Ends the thread; the supervisor's guard stops whatever still runs.
    pub fn shut_down(&self) {
        let (done, wait) = sync_channel(1);
        if self.queue.send(Work::End(done)).is_ok() {
            let _ = wait.recv();
        }
    }

    fn env(&self, durable: &Durable, role: Role, term: Term, reason: Reason, revision: Option<RevisionId>) -> Env {
        Env {
            role,
            term,
            revision: revision.map_or(0, |revision| revision.number),
            root: revision.map(|revision| revision.root),
            reason,
            directory: self.directory.clone(),
            peer: durable.peer.as_ref().map(|peer| peer.host.clone()).unwrap_or_default(),
        }
    }

    fn send(&self, work: Work) {
        if self.queue.try_send(work).is_err() {
            tracing::error!("the thread of the service is behind by {WORKS_MAX} works: one was dropped");
        }
    }
}

struct Worker {
    service: ServiceDesk,
    mirror: MirrorDesk,
    shared: Shared,
    settings: Arc<Mutex<Settings>>,
    directory: PathBuf,
    addresses: Addresses,
    /// systemd kills a Standin that stands still for so long, ms; none: it does not watch.
    systemd_limit_ms: Option<u64>,
}

impl Worker {
    fn run(self, works: &Receiver<Work>) {
        // The start of the service waits for this thread.
        crate::service::priority::raise();
        while let Ok(work) = works.recv() {
            match work {
                Work::RestoreDrift => self.restore_drift(),
                Work::Start(env) => {
                    // Before the service, which may bind to them; and what stops from here on withdraws them.
                    self.raise_addresses();
                    let (service, tie) = {
                        let settings = lock(&self.settings);
                        (settings.service.clone(), tie_of(&settings, self.systemd_limit_ms))
                    };
                    self.service.start(&service, &self.directory, &env, tie);
                }
                Work::Stop { grace_ms } => {
                    self.addresses.release();
                    self.service.stop(grace_ms);
                }
                Work::Health(health) => self.service.set_health(*health),
                Work::StopGrace(ms) => self.service.set_stop_grace(ms),
                Work::Checks => {}
                Work::Addresses(wanted) => self.addresses.set(&wanted),
                Work::End(done) => {
                    drop(self);
                    let _ = done.send(());
                    return;
                }
            }
        }
    }

    fn raise_addresses(&self) {
        let began = std::time::Instant::now();
        let raised = self.addresses.raise();
        if raised > 0 {
            let took_us = began.elapsed().as_micros();
            let text = format!("{raised} virtual addresses raised in {}.{} ms", took_us / 1_000, took_us % 1_000 / 100);
            self.shared.note(EventKind::Service, Severity::Information, text);
        }
    }

    fn restore_drift(&self) {
        match self.mirror.restore_drift() {
            Ok(drift) => drifting::tell_restored(&self.shared, drift.paths_total, &drift.stuck),
            // Nothing is taken up before it is done: the scan says so, with its alert.
            Err(problem) => self.shared.note(
                EventKind::Configuration,
                Severity::Error,
                format!("what was changed here behind Standin's back is not put back yet: {problem}"),
            ),
        }
    }
}

/// *Stopped* means that the virtual addresses are gone too, and what would not stop loses them at once (spec 7.13, 7.14): so
/// this comes before the engine hears of it. A start that was asked for meanwhile keeps them.
fn with_addresses(
    addresses: &Addresses,
    tell: impl Fn(ServiceChange) + Clone + Send + Sync + 'static,
) -> impl Fn(ServiceChange) + Clone + Send + Sync + 'static {
    let addresses = addresses.clone();
    move |change| {
        if matches!(change, ServiceChange::Expired(_)) {
            // Nobody asked, so nobody has released them.
            addresses.release();
        }
        if matches!(change, ServiceChange::Stopped(_) | ServiceChange::StopFailed(_) | ServiceChange::Expired(_)) {
            addresses.withdraw_unless_held();
        }
        tell(change);
    }
}

/// What a unit has to keep with an arbiter; `watchdog_ms`: see [`Tie`].
fn tie_of(settings: &Settings, watchdog_ms: Option<u64>) -> Option<Tie> {
    settings.arbiter.is_set().then_some(Tie { budget_ms: settings.arbiter.stop_budget, watchdog_ms })
}

fn run_checks(shared: &Shared, settings: &Mutex<Settings>, directory: &Path, wishes: &Receiver<Work>) {
    while wishes.recv().is_ok() {
        let checks = lock(settings).takeover_checks.clone();
        let results = checks::run(&checks, directory);
        send(shared, Input::TakeoverChecked(results));
    }
}

/// From any thread, one of the runtime's included: never blocks for long, the engine reads quickly.
fn send(shared: &Shared, input: Input) {
    match tokio::runtime::Handle::try_current() {
        Ok(handle) => {
            let inputs = shared.inputs.clone();
            handle.spawn(async move { inputs.send(input).await });
        }
        Err(_) => shared.input_blocking(input),
    }
}

/// What the service writes goes into events and the program log: values of secret keys do not (spec 5.8).
fn without_secrets(tell: impl Fn(OutputLine) + Send + Sync + 'static) -> impl Fn(OutputLine) + Send + Sync + 'static {
    let mask = Mutex::new(OutputMask::default());
    move |line| {
        let text = lock(&mask).line(&line.text);
        tell(OutputLine { text, ..line });
    }
}

fn tell_output(shared: &Shared, from: &str, line: &OutputLine) {
    if line.dropped > 0 {
        let text = format!("{from}: {} lines were dropped, there were too many", line.dropped);
        shared.note(EventKind::Service, Severity::Warning, text);
    }
    if !line.text.is_empty() {
        shared.note(EventKind::Service, Severity::Information, format!("{from}: {}", line.text));
    }
}

fn tell_fence(shared: &Shared, done: &HookDone) {
    for line in &done.output {
        tell_output(shared, "hook fence", line);
    }
    let severity = if done.ok { Severity::Information } else { Severity::Error };
    shared.note(EventKind::Service, severity, format!("hook fence: {} after {} ms", done.status, done.took_ms));
    send(shared, Input::Fenced { ok: done.ok, output: done.summary() });
}

fn tell_hook(shared: &Shared, done: &HookDone) {
    let hook = done.hook.word();
    for line in &done.output {
        tell_output(shared, &format!("hook {hook}"), line);
    }
    let text = format!("hook {hook}: {} after {} ms", done.status, done.took_ms);
    if done.ok {
        shared.note(EventKind::Service, Severity::Information, text);
        send(shared, Input::TroubleOver { code: "V-010", subject: hook.into() });
    } else {
        shared.note(EventKind::Service, Severity::Warning, text);
        send(shared, Input::Trouble { code: "V-010", subject: hook.into(), why: done.status.clone() });
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), Problem> {
    std::thread::Builder::new().name(name.into()).spawn(work).map(drop).map_err(|error| {
        Problem::new(
            "Standin cannot start",
            format!("no thread: {error}"),
            "Free memory or raise the limit of threads.",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// spec 5.8: what the service writes is told without the values of secrets
    #[test]
    fn secrets_of_the_service_are_not_told() {
        let (sender, told) = sync_channel(4);
        let tell = without_secrets(move |line: OutputLine| sender.send(line).unwrap());
        for text in ["password: hunter2svc", "listening on 8080"] {
            tell(OutputLine { text: text.into(), is_error: false, dropped: 1 });
        }
        let line = told.recv().unwrap();
        assert!(line.text.starts_with("password: ") && !line.text.contains("hunter") && line.dropped == 1, "{line:?}");
        assert_eq!(told.recv().unwrap().text, "listening on 8080");
    }
}
