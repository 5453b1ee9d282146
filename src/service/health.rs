//! The health check of the service (spec 7.13): does what runs do its work?

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::{Env, checks, hooks, lock};
use crate::engine::base::Problem;
use crate::engine::settings::{Health, TakeoverChecks};
use crate::engine::status::{CheckResult, HealthStatus};

/// Most orders waiting for the thread; a further one replaces nothing, the thread reads quickly.
const ORDERS_MAX: usize = 16;
/// Longest reason kept, in characters.
const WHY_CHARS_MAX: usize = 200;

/// How one check went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It does its work.
    Passed,
    /// It does not; why.
    Failed(String),
    /// The check itself cannot be run here; says nothing about the service.
    Unable(String),
}

/// Runs an HTTP check: address, time limit in ms.
pub type HttpCheck = Arc<dyn Fn(&str, u64) -> Outcome + Send + Sync>;

/// How a check by HTTP ends where there is no client for it.
const NOT_BUILT_IN: &str = "checks by HTTP are not built in";

/// Where there is no HTTP client.
#[must_use]
pub fn no_http() -> HttpCheck {
    Arc::new(|_, _| Outcome::Unable(NOT_BUILT_IN.into()))
}

/// As the takeover checks do it.
#[must_use]
pub fn over_checks(directory: &Path) -> HttpCheck {
    let directory = directory.to_owned();
    Arc::new(move |url, timeout| {
        let check = crate::engine::settings::HttpCheck { url: url.to_owned(), status: 200 };
        let checks = TakeoverChecks { http: vec![check], timeout, ..TakeoverChecks::default() };
        match Outcome::of(checks::run(&checks, &directory)) {
            // A check that cannot be made must never stop a service.
            Outcome::Failed(why) if why.contains(NOT_BUILT_IN) => Outcome::Unable(why),
            outcome => outcome,
        }
    })
}

impl Outcome {
    fn of(results: Vec<CheckResult>) -> Self {
        match results.into_iter().next() {
            Some(result) if result.ok => Self::Passed,
            Some(result) => Self::Failed(result.message),
            None => Self::Unable("it was not run".into()),
        }
    }
}

/// What is checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probe {
    /// Program and arguments.
    Command(Vec<String>),
    /// `host:port`
    Tcp(String),
    /// An address.
    Http(String),
}

impl Probe {
    /// The one that is configured.
    #[must_use]
    pub fn of(health: &Health) -> Option<Self> {
        let command = (!health.command.is_empty()).then(|| Self::Command(health.command.clone()));
        command.or_else(|| health.tcp.clone().map(Self::Tcp)).or_else(|| health.http.clone().map(Self::Http))
    }

    /// For people: `tcp localhost:8080`.
    #[must_use]
    pub fn target(&self) -> String {
        match self {
            Self::Command(argv) => format!("command {}", argv.join(" ")).chars().take(WHY_CHARS_MAX).collect(),
            Self::Tcp(target) => format!("tcp {target}"),
            Self::Http(address) => format!("http {address}"),
        }
    }

    fn run(&self, job: &Job, http: &HttpCheck) -> Outcome {
        let timeout_ms = job.health.timeout;
        match self {
            Self::Command(argv) => match hooks::run_alone(argv, &job.directory, &job.env, timeout_ms) {
                (true, _) => Outcome::Passed,
                (false, why) => Outcome::Failed(why.chars().take(WHY_CHARS_MAX).collect()),
            },
            Self::Tcp(target) => {
                let (tcp, timeout) = (vec![target.clone()], timeout_ms);
                let checks = TakeoverChecks { tcp, timeout, ..TakeoverChecks::default() };
                Outcome::of(checks::run(&checks, &job.directory))
            }
            Self::Http(address) => http(address, timeout_ms),
        }
    }
}

/// What the results of the checks come to. No clock and no process, so that it can be tested whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally {
    status: HealthStatus,
    has_passed: bool,
}

impl Tally {
    /// Nothing was checked yet.
    #[must_use]
    pub fn new(target: String, limit: u32) -> Self {
        let status = HealthStatus { target, state: "waiting".into(), limit, ..HealthStatus::default() };
        Self { status, has_passed: false }
    }

    /// Counts a result; `in_grace`: the start grace is not over. Some: restart the service, because of this.
    pub fn count(&mut self, outcome: Outcome, in_grace: bool) -> Option<String> {
        let status = &mut self.status;
        match outcome {
            Outcome::Passed => {
                self.has_passed = true;
                "passing".clone_into(&mut status.state);
                status.failures = 0;
                status.message = None;
            }
            Outcome::Unable(why) => {
                "unknown".clone_into(&mut status.state);
                status.failures = 0;
                status.message = Some(why);
            }
            Outcome::Failed(why) if in_grace && !self.has_passed => {
                "waiting".clone_into(&mut status.state);
                status.message = Some(why);
            }
            Outcome::Failed(why) => {
                "failing".clone_into(&mut status.state);
                status.failures = status.failures.saturating_add(1).min(status.limit);
                status.message = Some(why.clone());
                if status.failures == status.limit {
                    let times =
                        if status.limit == 1 { "once".into() } else { format!("{} times in a row", status.limit) };
                    return Some(format!("stopped because its health check failed {times}: {why}"));
                }
            }
        }
        None
    }

    /// For the status.
    #[must_use]
    pub fn status(&self) -> &HealthStatus {
        &self.status
    }
}

/// A service that runs and is to be checked.
#[derive(Clone, Debug)]
pub struct Job {
    /// How.
    pub health: Health,
    /// Working directory of a command.
    pub directory: PathBuf,
    /// Environment of a command.
    pub env: Env,
}

/// What the checks lead to.
pub enum Finding {
    /// For the status.
    Status(HealthStatus),
    /// Restart it.
    Restart(String),
}

enum Order {
    Begin(Box<Job>),
    End,
}

/// Checks on a thread of its own, while the service runs.
pub struct Watcher {
    orders: SyncSender<Order>,
    last: Mutex<bool>,
}

impl Watcher {
    /// Starts the thread; `on_finding` is called there.
    ///
    /// # Errors
    /// No thread can be started.
    pub fn new(http: HttpCheck, on_finding: impl Fn(Finding) + Send + 'static) -> Result<Self, Problem> {
        let (orders, received) = sync_channel(ORDERS_MAX);
        thread::Builder::new().name("health".into()).spawn(move || watch(&received, &http, on_finding)).map_err(
            |error| Problem::new("the service cannot be checked", format!("no thread could be started: {error}"), ""),
        )?;
        Ok(Self { orders, last: Mutex::new(false) })
    }

    /// It runs (anew): check it, if anything is configured.
    pub fn begin(&self, job: Job) {
        self.say(Order::Begin(Box::new(job)), true);
    }

    /// It does not run any more.
    pub fn end(&self) {
        if *lock(&self.last) {
            self.say(Order::End, false);
        }
    }

    fn say(&self, order: Order, is_on: bool) {
        *lock(&self.last) = is_on;
        if let Err(TrySendError::Full(_)) = self.orders.try_send(order) {
            tracing::error!("the health check is behind by {ORDERS_MAX} orders: one was dropped");
        }
    }
}

fn watch(orders: &Receiver<Order>, http: &HttpCheck, on_finding: impl Fn(Finding)) {
    let mut next = orders.recv().ok();
    while let Some(order) = next {
        next = match order {
            Order::End => orders.recv().ok(),
            Order::Begin(job) => match Probe::of(&job.health) {
                None => orders.recv().ok(),
                Some(probe) => check_until(orders, &job, &probe, http, &on_finding),
            },
        };
    }
}

/// Checks until another order comes, which is returned; none: all is over.
fn check_until(
    orders: &Receiver<Order>,
    job: &Job,
    probe: &Probe,
    http: &HttpCheck,
    on_finding: &impl Fn(Finding),
) -> Option<Order> {
    let begin = Instant::now();
    let mut tally = Tally::new(probe.target(), job.health.failures);
    on_finding(Finding::Status(tally.status().clone()));
    loop {
        match orders.recv_timeout(Duration::from_millis(job.health.interval)) {
            Ok(order) => return Some(order),
            Err(RecvTimeoutError::Disconnected) => return None,
            Err(RecvTimeoutError::Timeout) => {}
        }
        let outcome = probe.run(job, http);
        let in_grace = begin.elapsed() < Duration::from_millis(job.health.start_grace);
        let restart = tally.count(outcome, in_grace);
        on_finding(Finding::Status(tally.status().clone()));
        if let Some(why) = restart {
            on_finding(Finding::Restart(why));
            // Nothing to check until it runs again, which comes as an order.
            return orders.recv().ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed() -> Outcome {
        Outcome::Failed("refused".into())
    }

    /// spec 7.13: failures in a row restart, a success between them forgives
    #[test]
    fn only_failures_in_a_row_restart_the_service() {
        let mut tally = Tally::new("tcp a:1".into(), 3);
        assert_eq!(tally.status().state, "waiting");
        for outcome in [failed(), failed(), Outcome::Passed, failed(), failed()] {
            assert_eq!(tally.count(outcome, false), None);
        }
        assert_eq!((tally.status().state.as_str(), tally.status().failures), ("failing", 2));
        assert!(!tally.status().is_bad());
        let why = tally.count(failed(), false).unwrap();
        assert_eq!(why, "stopped because its health check failed 3 times in a row: refused");
        assert!(tally.status().is_bad());
    }

    /// settings `service.health.start_grace`: what has not come up yet is not judged; what has come up is
    #[test]
    fn failures_within_the_start_grace_count_only_after_a_success() {
        let mut tally = Tally::new("tcp a:1".into(), 1);
        assert_eq!(tally.count(failed(), true), None);
        assert_eq!((tally.status().state.as_str(), tally.status().failures), ("waiting", 0));
        assert_eq!(tally.count(Outcome::Passed, true), None);
        assert!(tally.count(failed(), true).is_some());
    }

    /// A check that cannot be run must never stop a service.
    #[test]
    fn a_check_that_cannot_run_is_unknown() {
        let mut tally = Tally::new("http a".into(), 1);
        assert_eq!(tally.count(no_http()("http://a", 1), false), None);
        assert_eq!(tally.status().state, "unknown");
    }

    /// settings `service.health`: what is checked, as people read it
    #[test]
    fn the_probe_is_the_one_configured() {
        assert_eq!(Probe::of(&Health::default()), None);
        let tcp = Health { tcp: Some("a:1".into()), ..Health::default() };
        assert_eq!(Probe::of(&tcp).unwrap().target(), "tcp a:1");
        let command = Health { command: vec!["/bin/x".into(), "-q".into()], ..Health::default() };
        assert_eq!(Probe::of(&command).unwrap().target(), "command /bin/x -q");
    }
}
