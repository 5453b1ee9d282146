//! Keeps a unit running or stopped, as asked: start, watch, restart with growing pauses, stop within the budget.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::{Seen, Tie, Units, unknown, untied};
use crate::engine::base::Problem;
use crate::engine::input::ServiceChange;
use crate::engine::settings::Service;
use crate::engine::status::{HealthStatus, ServiceStatus};
use crate::service::guard::restarts::Restarts;
use crate::service::{lock, supervisor::now};

/// Most orders waiting.
const ORDERS_MAX: usize = 16;
/// How often a unit is looked at while it starts or stops.
const LOOK_SOON: Duration = Duration::from_millis(50);
/// While it runs: each look is a process of its own.
const LOOK_LATER: Duration = Duration::from_secs(5);
/// A unit that has not come up within this has failed to start.
const START_LIMIT: Duration = Duration::from_secs(90);
/// After a stop that failed: another kill after each of these.
const STUCK_PAUSE: Duration = Duration::from_secs(1);

enum Order {
    Start { service: Box<Service>, tie: Option<Tie> },
    Stop { grace_ms: u64 },
    Restart { why: String },
    StopGrace { ms: u64 },
    Health(Option<HealthStatus>),
}

#[derive(Clone, Copy)]
enum State {
    Idle,
    Starting {
        since: Instant,
    },
    Up {
        since: Instant,
    },
    Pause {
        until: Instant,
    },
    /// It may end by itself (spec 2.4).
    Peace {
        until: Instant,
    },
    Stopping {
        asked: Instant,
        kill_at: Instant,
        is_killed: bool,
        then: Then,
    },
    Stuck,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    Stopped,
    /// It did not do its work, after running so long.
    Restart(Duration),
}

/// Asks go in, changes come out; all calls return at once.
pub struct UnitKeeper {
    orders: SyncSender<Order>,
    status: Arc<Mutex<ServiceStatus>>,
}

impl UnitKeeper {
    /// Starts the thread; `on_change` is called there.
    ///
    /// # Errors
    /// No thread can be started.
    pub fn new(
        units: impl Units + 'static,
        on_change: impl Fn(ServiceChange) + Send + 'static,
    ) -> Result<Self, Problem> {
        let (orders, received) = sync_channel(ORDERS_MAX);
        let status = Arc::new(Mutex::new(ServiceStatus::default()));
        let keeper = Keeper {
            units: Box::new(units),
            on_change: Box::new(on_change),
            service: Service::default(),
            status: Arc::clone(&status),
            restarts: Restarts::default(),
            state: State::Idle,
            may_run: false,
        };
        thread::Builder::new().name("unit".into()).spawn(move || keeper.run(&received)).map_err(|error| {
            Problem::new("the unit cannot be supervised", format!("no thread could be started: {error}"), "")
        })?;
        Ok(Self { orders, status })
    }

    /// Runs the unit of these settings. Answered by `Started` or `StartFailed`; the latter also if it is asked for a [`Tie`],
    /// as with an arbiter, and does not keep it (spec 7.13).
    pub fn start(&self, service: &Service, tie: Option<Tie>) {
        self.say(Order::Start { service: Box::new(service.clone()), tie });
    }

    /// Lets nothing of it run. Answered by `Stopped` or `StopFailed`; after that it is tried on.
    pub fn stop(&self, grace_ms: u64) {
        self.say(Order::Stop { grace_ms });
    }

    /// It does not do its work: stopped, and started again as after an end of its own.
    pub fn restart(&self, why: &str) {
        self.say(Order::Restart { why: why.to_owned() });
    }

    /// From the signal to the kill, from now on, also of what runs already. Ms.
    pub fn set_stop_grace(&self, ms: u64) {
        self.say(Order::StopGrace { ms });
    }

    /// What the health check says, for the status.
    pub fn set_health(&self, health: Option<HealthStatus>) {
        self.say(Order::Health(health));
    }

    /// The unit as it is now.
    #[must_use]
    pub fn status(&self) -> ServiceStatus {
        lock(&self.status).clone()
    }

    fn say(&self, order: Order) {
        if self.orders.try_send(order).is_err() {
            tracing::error!("the thread of the unit is behind by {ORDERS_MAX} orders: one was dropped");
        }
    }
}

struct Keeper {
    units: Box<dyn Units>,
    on_change: Box<dyn Fn(ServiceChange) + Send>,
    service: Service,
    status: Arc<Mutex<ServiceStatus>>,
    restarts: Restarts,
    state: State,
    /// systemd was asked to start it, and it was not seen to be down since.
    may_run: bool,
}

impl Keeper {
    fn run(mut self, orders: &Receiver<Order>) {
        loop {
            let order = match self.pause() {
                None => orders.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(pause) => orders.recv_timeout(pause),
            };
            match order {
                Ok(Order::Start { service, tie }) => self.start(*service, tie),
                Ok(Order::Stop { grace_ms }) => self.stop(grace_ms),
                Ok(Order::Restart { why }) => self.restart(&why),
                Ok(Order::StopGrace { ms }) => self.service.stop_grace = ms,
                Ok(Order::Health(health)) => self.health(health),
                Err(RecvTimeoutError::Timeout) => self.look(Instant::now()),
                Err(RecvTimeoutError::Disconnected) => return self.leave(),
            }
        }
    }

    /// Standin ends and nobody asks any more: the unit ends too.
    fn leave(&self) {
        if !matches!(self.state, State::Idle) {
            let _ = self.units.stop(self.unit());
        }
    }

    fn pause(&self) -> Option<Duration> {
        match &self.state {
            State::Idle => None,
            State::Up { .. } => Some(LOOK_LATER),
            State::Pause { until } => Some(until.saturating_duration_since(Instant::now())),
            State::Stuck => Some(STUCK_PAUSE),
            State::Starting { .. } | State::Peace { .. } | State::Stopping { .. } => Some(LOOK_SOON),
        }
    }

    fn unit(&self) -> &str {
        self.service.unit.as_deref().unwrap_or_default()
    }

    fn process(&self) -> Option<u32> {
        lock(&self.status).process
    }

    fn set(&self, state: &str, process: Option<u32>, message: Option<String>) -> ServiceStatus {
        let mut status = lock(&self.status);
        if status.state != state || status.process != process {
            status.since = Some(now());
        }
        state.clone_into(&mut status.state);
        status.process = process;
        status.message = message;
        if state != "running" {
            status.health = None;
        }
        status.clone()
    }

    fn tell(&self, change: ServiceChange) {
        (self.on_change)(change);
    }

    fn start(&mut self, service: Service, tie: Option<Tie>) {
        let is_same = service.unit == self.service.unit;
        if !is_same && !matches!(self.state, State::Idle) {
            // Its end is systemd's business: it is not the service any more.
            let _ = self.units.stop(self.unit());
        }
        self.may_run = self.may_run && is_same;
        self.service = service;
        if let (State::Peace { .. }, true) = (&self.state, is_same) {
            // Nothing was asked of it yet: if it still runs it goes on.
            self.look(Instant::now());
            if matches!(self.state, State::Peace { .. }) {
                self.state = State::Up { since: Instant::now() };
            }
        }
        if let (State::Up { .. }, true) = (&self.state, is_same) {
            let status = self.set("running", self.process(), None);
            return self.tell(ServiceChange::Started(status));
        }
        let service = &self.service;
        self.restarts = Restarts::new(service.restart_pause, service.restart_limit, service.restart_window);
        let bound = self.units.seen_bound(self.unit());
        let stop_took_ms = lock(&self.status).stop_took_ms;
        *lock(&self.status) = ServiceStatus {
            kind: "unit".into(),
            state: "starting".into(),
            since: Some(now()),
            name: self.unit().to_owned(),
            stop_took_ms,
            bound: Some(bound.is_ok()),
            ..ServiceStatus::default()
        };
        let is_tied = |tie| bound.and_then(|seen| self.units.tied(self.unit(), &seen, tie)).map_err(|why| untied(&why));
        match tie.map_or(Ok(()), is_tied).and_then(|()| self.launch()) {
            Ok(()) => {
                self.state = State::Starting { since: Instant::now() };
                self.look(Instant::now());
            }
            Err(why) => self.start_failed(why),
        }
    }

    fn launch(&mut self) -> Result<(), String> {
        let seen = self.units.see(self.unit())?;
        if seen.load != "loaded" {
            return Err(unknown(self.unit(), &seen));
        }
        // Before: a call that fails may have been heard all the same.
        self.may_run = true;
        self.units.start(self.unit())
    }

    fn start_failed(&mut self, why: String) {
        self.state = State::Idle;
        self.tell(ServiceChange::StartFailed(self.set("failed", None, Some(why))));
    }

    fn stop(&mut self, grace_ms: u64) {
        let peace = Instant::now() + Duration::from_millis(grace_ms);
        match self.state {
            State::Idle if self.service.unit.is_none() => {
                self.tell(ServiceChange::Stopped(lock(&self.status).clone()));
            }
            // Nothing was started, so a systemd that cannot be asked holds nothing up: a role whose service could not even be
            // looked at is given back (spec 7.7).
            State::Idle if !self.may_run && self.units.see(self.unit()).map_or(true, |seen| seen.is_down()) => {
                self.tell(ServiceChange::Stopped(self.set("stopped", None, None)));
            }
            State::Up { .. } if grace_ms > 0 => {
                self.set("stopping", self.process(), None);
                self.state = State::Peace { until: peace };
            }
            // A later stop makes it sooner, never later.
            State::Peace { until } if grace_ms > 0 => self.state = State::Peace { until: until.min(peace) },
            State::Stopping { asked, kill_at, is_killed, .. } => {
                self.state = State::Stopping { asked, kill_at, is_killed, then: Then::Stopped };
                self.look(Instant::now());
            }
            _ => self.ask_to_end(Then::Stopped),
        }
    }

    fn ask_to_end(&mut self, then: Then) {
        let asked = Instant::now();
        self.set("stopping", self.process(), None);
        // Refused or not: what counts is whether it ends, and the kill comes in time.
        if let Err(why) = self.units.stop(self.unit()) {
            tracing::warn!("{why}");
        }
        let kill_at = asked + Duration::from_millis(self.service.stop_grace);
        self.state = State::Stopping { asked, kill_at, is_killed: false, then };
        self.look(Instant::now());
    }

    fn restart(&mut self, why: &str) {
        if let State::Up { since } = self.state {
            self.tell(ServiceChange::Changed(self.set("failed", None, Some(format!("ended: {why}")))));
            self.ask_to_end(Then::Restart(since.elapsed()));
        }
    }

    fn health(&mut self, health: Option<HealthStatus>) {
        let status = {
            let mut status = lock(&self.status);
            let health = health.filter(|_| status.state == "running");
            if status.health == health {
                return;
            }
            status.health = health;
            status.clone()
        };
        self.tell(ServiceChange::Changed(status));
    }

    fn look(&mut self, now: Instant) {
        if let State::Pause { until } = self.state {
            if now >= until {
                self.start_again();
            }
            return;
        }
        let seen = match self.units.see(self.unit()) {
            Ok(seen) => seen,
            Err(why) => return self.blind(now, why),
        };
        match self.state {
            State::Starting { since } => self.look_at_start(&seen, now, since),
            State::Up { since } => self.look_at_run(&seen, now, since),
            State::Peace { until } if seen.is_down() || now >= until => self.ask_to_end(Then::Stopped),
            State::Stopping { .. } | State::Stuck => self.look_at_stop(&seen, now),
            State::Idle | State::Pause { .. } | State::Peace { .. } => {}
        }
    }

    /// systemd does not answer: nothing is known, and time goes on.
    fn blind(&mut self, now: Instant, why: String) {
        match self.state {
            State::Starting { since } if now.duration_since(since) > START_LIMIT => self.start_failed(why),
            State::Stopping { .. } | State::Stuck => {
                self.press_on(now, || format!("may still run, systemd cannot be asked: {why}"));
            }
            State::Peace { until } if now >= until => self.ask_to_end(Then::Stopped),
            _ => {}
        }
    }

    fn look_at_start(&mut self, seen: &Seen, now: Instant, since: Instant) {
        if seen.is_up() {
            self.state = State::Up { since: now };
            let status = self.set("running", seen.process, None);
            self.tell(ServiceChange::Started(status));
        } else if seen.active == "failed" || now.duration_since(since) > START_LIMIT {
            self.start_failed(format!("{} did not start: {}", self.unit(), seen.words()));
        }
    }

    fn look_at_run(&mut self, seen: &Seen, now: Instant, since: Instant) {
        if seen.is_down() {
            let message = format!("ended: {}", seen.words());
            self.tell(ServiceChange::Changed(self.set("failed", None, Some(message))));
            self.pause_before_restart(now.duration_since(since));
        } else if seen.is_up() {
            let is_steady = self.restarts.is_steady(now, since);
            if is_steady {
                lock(&self.status).failing = false;
            }
            // systemd restarted it by itself, or it is well again.
            if is_steady || self.process() != seen.process {
                self.tell(ServiceChange::Changed(self.set("running", seen.process, None)));
            }
        }
    }

    fn pause_before_restart(&mut self, ran: Duration) {
        let verdict = self.restarts.ended(Instant::now(), ran);
        self.state = State::Pause { until: Instant::now() + verdict.pause };
        if let Some(ended) = verdict.became_failing {
            let last = lock(&self.status).message.clone().unwrap_or_default();
            lock(&self.status).failing = true;
            let message = format!("it keeps failing, {ended} times of late; {last}");
            self.tell(ServiceChange::Failing(self.set("failed", None, Some(message))));
        }
    }

    fn start_again(&mut self) {
        match self.launch() {
            Ok(()) => {
                {
                    let mut status = lock(&self.status);
                    status.restarts = status.restarts.saturating_add(1);
                }
                self.state = State::Up { since: Instant::now() };
                let process = self.units.see(self.unit()).ok().and_then(|seen| seen.process);
                self.tell(ServiceChange::Changed(self.set("running", process, None)));
            }
            Err(why) => {
                let message = format!("ended: it could not be started again: {why}");
                self.tell(ServiceChange::Changed(self.set("failed", None, Some(message))));
                self.pause_before_restart(Duration::ZERO);
            }
        }
    }

    fn look_at_stop(&mut self, seen: &Seen, now: Instant) {
        if seen.is_down() {
            return self.ended(now);
        }
        self.press_on(now, || format!("does not end, not even by a kill: {}", seen.words()));
    }

    /// It is not known to be down: kill, then tell.
    fn press_on(&mut self, now: Instant, words: impl FnOnce() -> String) {
        let reserve = Duration::from_millis(Service::KILL_RESERVE_MS);
        match self.state {
            State::Stopping { asked, kill_at, is_killed: false, then } if now >= kill_at => {
                let _ = self.units.kill(self.unit());
                self.state = State::Stopping { asked, kill_at, is_killed: true, then };
            }
            State::Stopping { kill_at, .. } if now >= kill_at + reserve => {
                self.state = State::Stuck;
                let message = format!("{} {}", self.unit(), words());
                self.tell(ServiceChange::StopFailed(self.set("stopping", self.process(), Some(message))));
            }
            State::Stuck => {
                let _ = self.units.kill(self.unit());
            }
            _ => {}
        }
    }

    fn ended(&mut self, now: Instant) {
        let mut ran = None;
        if let State::Stopping { asked, then, .. } = self.state {
            let took = u64::try_from(now.duration_since(asked).as_millis()).unwrap_or(u64::MAX);
            lock(&self.status).stop_took_ms = Some(took);
            if let Then::Restart(time) = then {
                ran = Some(time);
            }
        }
        match ran {
            Some(ran) => {
                self.set("failed", None, Some("ended: stopped because its health check failed".into()));
                self.pause_before_restart(ran);
            }
            None => {
                self.state = State::Idle;
                self.may_run = false;
                self.tell(ServiceChange::Stopped(self.set("stopped", None, None)));
            }
        }
    }
}
