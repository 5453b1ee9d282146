//! Standin's end of the guard: asks it, follows what it reports, replaces it when it dies.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::protocol::{Ask, Start, encode};
use super::sheet::Sheet;
use super::{Env, MARK, OutputLine, lock, procs};
use crate::engine::base::{Problem, UnixMillis};
use crate::engine::input::ServiceChange;
use crate::engine::settings;
use crate::engine::status::{HealthStatus, ServiceStatus};

mod record;
mod watch;
mod watchdog;

use record::Record;
pub use watchdog::Watchdog;

/// How long what an earlier run left behind may take to end (its guard is at it) before it is killed. No service starts before.
const LEFTOVER_PATIENCE: Duration = Duration::from_secs(5);
/// How long killing leftovers goes on before it is reported and begins anew.
const SWEEP_LIMIT: Duration = Duration::from_secs(3);
/// Longest command line shown in the status, in characters.
const NAME_CHARS_MAX: usize = 80;

/// How the guard is started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuardCommand {
    /// Standin itself.
    pub program: PathBuf,
    /// What makes it the guard.
    pub arguments: Vec<String>,
    /// Names this home and no other on this machine (its path with the instance id): whatever carries it is killed when its
    /// guard is gone. Two instances alive at the same time must never share one.
    pub mark: String,
}

impl GuardCommand {
    /// `program guard`.
    #[must_use]
    pub fn of(program: PathBuf, mark: impl Into<String>) -> Self {
        Self { program, arguments: vec!["guard".into()], mark: mark.into() }
    }

    /// The guard also takes away what the run `run` noted of virtual addresses, when Standin dies.
    #[must_use]
    pub fn with_addresses(mut self, note: &Path, run: &str) -> Self {
        self.arguments.extend(["--addresses".into(), note.to_string_lossy().into_owned(), "--run".into(), run.into()]);
        self
    }

    fn spawn(&self, sheet: &Sheet) -> Result<Child, Problem> {
        let sheet = sheet.handle().map_err(no_sheet)?;
        Command::new(&self.program)
            .args(&self.arguments)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Standin's own may be a screen.
            .stderr(sheet)
            .spawn()
            .map_err(|error| {
                Problem::new(
                    "the guard of the service could not be started",
                    format!("{}: {error}", self.program.display()),
                    "check that the program file is in place and that the limit of processes is not reached",
                )
            })
    }
}

fn no_sheet(error: std::io::Error) -> Problem {
    Problem::new(
        "the watchdog of the service could not be set up",
        error.to_string(),
        "check that the limits of memory and open files are not reached",
    )
}

/// Starts and stops the service, through a guard that already runs. All calls return at once; results come through
/// `on_change`, called on a thread of the supervisor or on the caller's, never with a lock held.
pub struct Supervisor {
    shared: Arc<Shared>,
}

struct Shared {
    guard: GuardCommand,
    sheet: Sheet,
    inner: Mutex<Inner>,
    on_change: Box<dyn Fn(ServiceChange) + Send + Sync>,
    on_output: Box<dyn Fn(OutputLine) + Send + Sync>,
}

struct Inner {
    /// To the guard; none while there is none.
    pipe: Option<ChildStdin>,
    guard_process: Option<u32>,
    /// It did not move, and was killed for that.
    was_silent: bool,
    record: Record,
    is_closing: bool,
}

impl Supervisor {
    /// Starts the guard, so that a later start costs a fork and an exec only. What an earlier run of this home left behind
    /// is ended first, in the background.
    ///
    /// # Errors
    /// The guard cannot be started.
    pub fn new(
        guard: GuardCommand,
        on_change: impl Fn(ServiceChange) + Send + Sync + 'static,
        on_output: impl Fn(OutputLine) + Send + Sync + 'static,
    ) -> Result<Self, Problem> {
        let has_leftovers = !procs::marked(&guard.mark).is_empty();
        let sheet = Sheet::new().map_err(no_sheet)?;
        let first = if has_leftovers { None } else { Some(guard.spawn(&sheet)?) };
        let record = if has_leftovers { Record::with_leftovers() } else { Record::default() };
        let inner = Inner { pipe: None, guard_process: None, was_silent: false, record, is_closing: false };
        let shared = Arc::new(Shared {
            guard,
            sheet,
            inner: Mutex::new(inner),
            on_change: Box::new(on_change),
            on_output: Box::new(on_output),
        });
        let first = first.map(|mut child| {
            shared.adopt(&mut child);
            child
        });
        let watched = Arc::clone(&shared);
        thread::Builder::new().name("service-guard".into()).spawn(move || watched.watch(first)).map_err(|error| {
            Problem::new("the service cannot be supervised", format!("no thread could be started: {error}"), "")
        })?;
        Ok(Self { shared })
    }

    /// Runs `service`, in `directory_default` unless it names a directory. Answered by `Started` (at once when its command
    /// is empty, or the same command runs already; its environment is then that of the first start until it restarts) or
    /// `StartFailed`. A different command that runs is stopped before.
    pub fn start(&self, service: &settings::Service, directory_default: &Path, env: &Env) {
        if service.command.is_empty() {
            return self.start_nothing();
        }
        let mut variables = env.variables();
        variables.push((MARK.to_owned(), self.shared.guard.mark.clone()));
        let start = Start {
            id: 0,
            argv: service.command.clone(),
            directory: service.directory.clone().unwrap_or_else(|| directory_default.to_string_lossy().into_owned()),
            env: variables,
            stop_signal: service.stop_signal.clone(),
            stop_grace_ms: service.stop_grace,
            start_time_ms: service.start_time,
            restart_pause_ms: service.restart_pause,
            restart_limit: service.restart_limit,
            restart_window_ms: service.restart_window,
            is_watched: self.shared.sheet.until_ms().is_some(),
        };
        let change = {
            let mut inner = lock(&self.shared.inner);
            let ask = inner.record.start(start, shortened(&service.command), now());
            if encode(&ask).is_none() {
                Some(inner.record.start_impossible("the command line with its environment is too long", now()))
            } else {
                inner.send(&ask);
                None
            }
        };
        self.tell(change);
    }

    fn start_nothing(&self) {
        let change = {
            let mut inner = lock(&self.shared.inner);
            match inner.record.start_nothing(now()) {
                Ok(change) => Some(change),
                Err(stop) => {
                    inner.send(&stop);
                    None
                }
            }
        };
        self.tell(change);
    }

    /// Lets nothing of the service run: after `grace_ms` of peace (spec 2.4) the stop signal, the grace of its settings,
    /// kill of everything. Answered by `Stopped`, at once when nothing runs, or `StopFailed`; after that it is tried on, and
    /// `Stopped` comes if it succeeds.
    pub fn stop(&self, grace_ms: u64) {
        let change = {
            let mut inner = lock(&self.shared.inner);
            match inner.record.stop(grace_ms, now()) {
                Ok(change) => Some(change),
                Err(stop) => {
                    inner.send(&stop);
                    None
                }
            }
        };
        self.tell(change);
    }

    /// From the signal to the kill, from now on, also of what runs already. Ms.
    pub fn set_stop_grace(&self, ms: u64) {
        let mut inner = lock(&self.shared.inner);
        let ask = inner.record.set_stop_grace(ms);
        inner.send(&ask);
    }

    /// It runs and does not do its work: it is stopped, and started again as after an end of its own.
    pub fn restart(&self, why: &str) {
        lock(&self.shared.inner).send(&Ask::Restart { why: why.to_owned() });
    }

    /// What the health check says, for the status.
    pub fn set_health(&self, health: Option<HealthStatus>) {
        let change = lock(&self.shared.inner).record.health(health);
        self.tell(change);
    }

    /// The end of the watchdog that Standin's own loop holds.
    #[must_use]
    pub fn watchdog(&self) -> Watchdog {
        Watchdog::new(Arc::clone(&self.shared))
    }

    /// The service as it is now.
    #[must_use]
    pub fn status(&self) -> ServiceStatus {
        lock(&self.shared.inner).record.status().clone()
    }

    /// Process id of the guard; none while it is being replaced.
    #[must_use]
    pub fn guard_process(&self) -> Option<u32> {
        lock(&self.shared.inner).guard_process
    }

    fn tell(&self, change: Option<ServiceChange>) {
        if let Some(change) = change {
            (self.shared.on_change)(change);
        }
    }
}

impl Drop for Supervisor {
    /// The guard reads the end of its input, stops the service in its own time and ends. Does not wait for it.
    fn drop(&mut self) {
        let mut inner = lock(&self.shared.inner);
        inner.is_closing = true;
        inner.pipe = None;
    }
}

impl Inner {
    /// A guard that cannot be written to is dead; the watching thread sees the same and sends this again to the next.
    fn send(&mut self, ask: &Ask) {
        if let (Some(pipe), Some(bytes)) = (&mut self.pipe, encode(ask))
            && pipe.write_all(&bytes).is_err()
        {
            self.pipe = None;
        }
    }
}

pub(super) fn now() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMillis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

fn shortened(command: &[String]) -> String {
    let whole = command.join(" ");
    if whole.chars().count() <= NAME_CHARS_MAX {
        return whole;
    }
    whole.chars().take(NAME_CHARS_MAX - 1).chain(['…']).collect()
}
