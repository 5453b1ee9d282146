//! Everything below the guard: starting, collecting, signalling, and the proof that nothing is left.

use std::io;
use std::path::Path;
use std::process::Child;
use std::sync::{Arc, Mutex};
use std::thread::{self, Thread};

use rustix::io::Errno;
use rustix::process::{Signal, WaitId, WaitIdOptions, WaitOptions, wait, waitid};

use crate::service::{lock, procs, spawn};

/// A child that ended and was collected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Which.
    pub pid: i32,
    /// In words.
    pub status: String,
}

/// The guard's children, own and adopted.
pub struct Children {
    /// Held while a command is started: if its exec fails, the standard library collects the child itself and must find it.
    starting: Arc<Mutex<()>>,
    collector: Thread,
    /// Process group of the command last started.
    group: Option<i32>,
}

impl Children {
    /// Starts the thread that collects what ends; `on_end` is called there.
    ///
    /// # Errors
    /// No thread can be started.
    pub fn new(on_end: impl Fn(Ended) + Send + 'static) -> io::Result<Self> {
        let starting = Arc::new(Mutex::new(()));
        let held = Arc::clone(&starting);
        let collector = thread::Builder::new().name("collector".into()).spawn(move || collect(&held, on_end))?;
        Ok(Self { starting, collector: collector.thread().clone(), group: None })
    }

    /// Starts a command from this thread.
    ///
    /// # Errors
    /// In a sentence: why not.
    pub fn start(&mut self, argv: &[String], directory: &Path, env: &[(String, String)]) -> Result<Child, String> {
        let child = {
            let _held = lock(&self.starting);
            spawn::spawn(argv, directory, env)?
        };
        self.group = i32::try_from(child.id()).ok();
        self.collector.unpark();
        Ok(child)
    }

    /// Something runs, or has ended and is not collected yet.
    pub fn any(&self) -> bool {
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        !matches!(waitid(WaitId::All, look), Err(Errno::CHILD))
    }

    /// What runs. Empty also when `/proc` cannot be read: see [`Self::any`] for the truth.
    pub fn running(&self) -> Vec<i32> {
        descendants().unwrap_or_default().iter().map(|process| process.pid).collect()
    }

    /// Asks everything to end, and wakes what was stopped so that it hears it.
    pub fn ask_to_end(&self, signal: Signal) {
        self.signal(signal);
        self.signal(Signal::CONT);
    }

    /// Kills everything that is there now. What is forked meanwhile needs another call.
    pub fn kill(&self) {
        self.signal(Signal::KILL);
    }

    fn signal(&self, signal: Signal) {
        match (descendants(), self.group) {
            (Ok(below), group) => procs::signal_all(&below, group, signal),
            (Err(_), Some(group)) => procs::signal_group(group, signal),
            (Err(_), None) => {}
        }
    }
}

fn descendants() -> io::Result<Vec<procs::Process>> {
    procs::descendants(i32::try_from(std::process::id()).unwrap_or(i32::MAX))
}

fn collect(starting: &Mutex<()>, on_end: impl Fn(Ended)) {
    loop {
        // Only looks; collecting comes under the lock.
        match waitid(WaitId::All, WaitIdOptions::EXITED | WaitIdOptions::NOWAIT) {
            Ok(_) => {}
            // No child at all: sleep until one is started. An early start is not lost, unpark leaves a token.
            Err(Errno::CHILD) => {
                thread::park();
                continue;
            }
            Err(_) => continue,
        }
        let collected = {
            let _held = lock(starting);
            wait(WaitOptions::NOHANG)
        };
        if let Ok(Some((pid, status))) = collected {
            let status = spawn::ended(status.exit_status(), status.terminating_signal());
            on_end(Ended { pid: pid.as_raw_nonzero().get(), status });
        }
    }
}
