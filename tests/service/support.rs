//! A supervisor with a home of its own, and ways to wait for what it does.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use standin::engine::base::{Reason, Role, Term};
use standin::engine::input::ServiceChange;
use standin::engine::settings::Service;
use standin::engine::status::ServiceStatus;
use standin::service::{Env, GuardCommand, MARK, OutputLine, Supervisor};

/// The longest wait for anything.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A supervisor under test.
pub struct Rig {
    pub supervisor: Supervisor,
    pub changes: Receiver<ServiceChange>,
    pub output: Receiver<OutputLine>,
    pub home: tempfile::TempDir,
}

impl Rig {
    pub fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let (changed, changes) = channel();
        let (wrote, output) = channel();
        let supervisor = supervisor(home.path(), changed, wrote);
        Self { supervisor, changes, output, home }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Starts a shell script with these settings.
    pub fn start(&self, script: &str, settings: impl FnOnce(&mut Service)) {
        let mut service = shell(script);
        settings(&mut service);
        self.supervisor.start(&service, self.home.path(), &env(self.home.path()));
    }

    /// The same, and waits until it runs. Its process id.
    pub fn started(&self, script: &str, settings: impl FnOnce(&mut Service)) -> i32 {
        self.start(script, settings);
        match self.next() {
            ServiceChange::Started(status) => pid(&status),
            other => panic!("not started: {other:?}"),
        }
    }

    pub fn next(&self) -> ServiceChange {
        self.changes.recv_timeout(PATIENCE).expect("a change")
    }

    /// The first change that `wanted` likes; others before it are dropped.
    pub fn until(&self, wanted: impl Fn(&ServiceChange) -> bool) -> ServiceChange {
        loop {
            let change = self.next();
            if wanted(&change) {
                return change;
            }
        }
    }

    pub fn stopped(&self) {
        let change = self.until(|change| !matches!(change, ServiceChange::Changed(_)));
        assert!(matches!(change, ServiceChange::Stopped(_)), "{change:?}");
        assert_eq!(marked(self.home.path()), Vec::<i32>::new(), "stopped means that nothing is left");
    }

    pub fn line(&self) -> String {
        self.output.recv_timeout(PATIENCE).expect("a line").text
    }
}

pub fn supervisor(
    home: &Path,
    changed: std::sync::mpsc::Sender<ServiceChange>,
    wrote: std::sync::mpsc::Sender<OutputLine>,
) -> Supervisor {
    let guard = GuardCommand::of(env!("CARGO_BIN_EXE_standin").into(), home.to_string_lossy());
    let on_change = move |change| {
        let _ = changed.send(change);
    };
    let on_output = move |line| {
        let _ = wrote.send(line);
    };
    Supervisor::new(guard, on_change, on_output).unwrap()
}

pub fn shell(script: &str) -> Service {
    Service {
        command: ["sh", "-c", script].map(str::to_owned).to_vec(),
        restart_pause: 50,
        stop_grace: 5_000,
        ..Service::default()
    }
}

pub fn env(directory: &Path) -> Env {
    Env {
        role: Role::Master,
        term: Term(3),
        revision: 12,
        root: None,
        reason: Reason::Switch,
        directory: directory.to_owned(),
        peer: "node-b".into(),
    }
}

pub fn pid(status: &ServiceStatus) -> i32 {
    i32::try_from(status.process.expect("a process")).unwrap()
}

/// Waits for a condition, with a limit.
pub fn wait_for(what: &str, condition: impl Fn() -> bool) {
    let limit = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < limit, "waited in vain for: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Everything of the service of this home that runs, wherever it hides.
pub fn marked(home: &Path) -> Vec<i32> {
    let wanted = format!("{MARK}={}", home.display());
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
        // Of a zombie nothing can be read, which is right.
        let environment = fs::read(entry.path().join("environ")).unwrap_or_default();
        if environment.split(|byte| *byte == 0).any(|variable| variable == wanted.as_bytes()) {
            found.push(pid);
        }
    }
    found
}

pub fn kill(pid: i32, signal: rustix::process::Signal) {
    rustix::process::kill_process(rustix::process::Pid::from_raw(pid).unwrap(), signal).unwrap();
}

/// A script that leaves processes in every place where they are hard to find, all deaf to TERM: a child, a grandchild, one
/// in a session of its own, and one that did the double fork of a daemon. Writes `ready` to its output when all are there.
pub fn hiding(home: &Path) -> String {
    let ready = home.join("ready");
    format!(
        "trap '' TERM HUP\n\
         sleep 600 &\n\
         (sleep 600 & sleep 600) &\n\
         setsid sh -c 'trap \"\" TERM; touch {0}.1; sleep 600; :' &\n\
         (setsid sh -c '(trap \"\" TERM; touch {0}.2; exec sleep 600) & exit' &)\n\
         while ! [ -e {0}.1 -a -e {0}.2 ]; do sleep 0.01; done\n\
         echo ready\n\
         while :; do sleep 600; done",
        ready.display()
    )
}

/// So many processes [`hiding`] makes at least.
pub const HIDING_PROCESSES: usize = 6;
