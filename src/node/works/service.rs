//! The service of this instance, whatever its kind: a command under the guard, or a systemd unit; with its health check.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, Weak};

use crate::engine::base::Problem;
use crate::engine::input::ServiceChange;
use crate::engine::settings::{Health, Service};
use crate::engine::status::ServiceStatus;
use crate::node::shared::lock;
use crate::service::health::{Finding, HttpCheck, Job, Watcher};
use crate::service::unit::{Systemctl, Tie, keeper::UnitKeeper};
use crate::service::{Env, GuardCommand, OutputLine, Supervisor, Watchdog};

/// Which of the two is the service now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Kind {
    #[default]
    Command,
    Unit,
}

/// What the threads of this room share.
#[derive(Default)]
struct Common {
    kind: Mutex<Kind>,
    watcher: OnceLock<Watcher>,
    /// What runs, for its health check.
    job: Mutex<Option<Job>>,
    /// The process that is being checked.
    checked: Mutex<Option<u32>>,
}

impl Common {
    fn is(&self, kind: Kind) -> bool {
        *lock(&self.kind) == kind
    }

    /// The health check begins anew with every process of the service, and ends with it.
    fn follow(&self, change: &ServiceChange) {
        let (ServiceChange::Started(status)
        | ServiceChange::StartFailed(status)
        | ServiceChange::Stopped(status)
        | ServiceChange::StopFailed(status)
        | ServiceChange::Changed(status)
        | ServiceChange::Failing(status)
        | ServiceChange::Expired(status)) = change;
        let running = Some(status).filter(|status| status.state == "running").map(|status| status.process.unwrap_or(0));
        let mut checked = lock(&self.checked);
        if *checked == running {
            return;
        }
        *checked = running;
        let Some(watcher) = self.watcher.get() else { return };
        match (running, lock(&self.job).clone()) {
            (Some(_), Some(job)) => watcher.begin(job),
            _ => watcher.end(),
        }
    }
}

/// Starts and stops it; all calls return at once.
pub struct ServiceDesk {
    supervisor: Arc<Supervisor>,
    units: Arc<UnitKeeper>,
    common: Arc<Common>,
}

impl ServiceDesk {
    /// Starts guard and threads. `on_change` and `on_output` are called on threads of this room.
    ///
    /// # Errors
    /// When the guard or a thread cannot be started.
    pub fn new(
        guard: GuardCommand,
        http: HttpCheck,
        on_change: impl Fn(ServiceChange) + Clone + Send + Sync + 'static,
        on_output: impl Fn(OutputLine) + Send + Sync + 'static,
    ) -> Result<Self, Problem> {
        let common = Arc::new(Common::default());
        let changes = |kind: Kind| {
            let (common, on_change) = (Arc::clone(&common), on_change.clone());
            move |change: ServiceChange| {
                // The other kind may still have something to say of what is not the service any more.
                if common.is(kind) {
                    common.follow(&change);
                    on_change(change);
                }
            }
        };
        let supervisor = Arc::new(Supervisor::new(guard, changes(Kind::Command), on_output)?);
        let units = Arc::new(UnitKeeper::new(Systemctl::default(), changes(Kind::Unit))?);
        let found = (Arc::downgrade(&supervisor), Arc::downgrade(&units), Arc::downgrade(&common));
        let watcher = Watcher::new(http, move |finding| act(&found.0, &found.1, &found.2, finding))?;
        let _ = common.watcher.set(watcher);
        Ok(Self { supervisor, units, common })
    }

    /// Runs it, in `directory` unless its settings name another. With an arbiter a unit must be tied to Standin (spec 7.13).
    pub fn start(&self, service: &Service, directory: &Path, env: &Env, tie: Option<Tie>) {
        let kind = if service.unit.is_some() { Kind::Unit } else { Kind::Command };
        let old = std::mem::replace(&mut *lock(&self.common.kind), kind);
        let directory = service.directory.clone().map_or_else(|| directory.to_owned(), PathBuf::from);
        let job = Job { health: service.health.clone(), directory: directory.clone(), env: env.clone() };
        *lock(&self.common.job) = Some(job);
        if old != kind {
            self.stop_kind(old, 0);
        }
        match kind {
            Kind::Command => self.supervisor.start(service, &directory, env),
            Kind::Unit => self.units.start(service, tie),
        }
    }

    /// Another health check, from now on.
    pub fn set_health(&self, health: Health) {
        let is_checked = lock(&self.common.checked).is_some();
        let job = lock(&self.common.job).as_mut().map(|job| {
            job.health = health;
            job.clone()
        });
        if let (true, Some(job), Some(watcher)) = (is_checked, job, self.common.watcher.get()) {
            self.forget_health();
            watcher.begin(job);
        }
    }

    /// From the signal to the kill, from now on, also of what runs already: the arbiter's arithmetic counts by it. Ms.
    pub fn set_stop_grace(&self, ms: u64) {
        self.supervisor.set_stop_grace(ms);
        self.units.set_stop_grace(ms);
    }

    /// What an earlier check said means nothing any more.
    fn forget_health(&self) {
        if self.common.is(Kind::Unit) {
            self.units.set_health(None);
        } else {
            self.supervisor.set_health(None);
        }
    }

    /// Lets nothing of it run.
    pub fn stop(&self, grace_ms: u64) {
        let kind = *lock(&self.common.kind);
        self.stop_kind(kind, grace_ms);
    }

    fn stop_kind(&self, kind: Kind, grace_ms: u64) {
        match kind {
            Kind::Command => self.supervisor.stop(grace_ms),
            Kind::Unit => self.units.stop(grace_ms),
        }
    }

    /// The end of the watchdog for the loop that decides.
    #[must_use]
    pub fn watchdog(&self) -> Watchdog {
        self.supervisor.watchdog()
    }
}

fn act(supervisor: &Weak<Supervisor>, units: &Weak<UnitKeeper>, common: &Weak<Common>, finding: Finding) {
    let (Some(supervisor), Some(units), Some(common)) = (supervisor.upgrade(), units.upgrade(), common.upgrade())
    else {
        return;
    };
    let is_unit = common.is(Kind::Unit);
    match finding {
        Finding::Status(status) if is_unit => units.set_health(Some(status)),
        Finding::Status(status) => supervisor.set_health(Some(status)),
        Finding::Restart(why) if is_unit => units.restart(&why),
        Finding::Restart(why) => supervisor.restart(&why),
    }
}

/// What may run on: nothing, after these.
pub fn is_at_rest(change: &ServiceChange) -> bool {
    let is_none = |status: &ServiceStatus| status.kind == "none";
    match change {
        ServiceChange::Stopped(_) | ServiceChange::StartFailed(_) | ServiceChange::Expired(_) => true,
        ServiceChange::Started(status) => is_none(status),
        _ => false,
    }
}
