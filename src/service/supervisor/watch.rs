//! The thread that lives with the guard: reads its reports, and when it dies kills what is left and starts another.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout};
use std::thread;
use std::time::{Duration, Instant};

use super::{LEFTOVER_PATIENCE, SWEEP_LIMIT, Shared, now};
use crate::service::protocol::{FRAME_BYTES_MAX, Report};
use crate::service::{lock, procs};

/// Before the next guard, when the last one lived shorter than [`GUARD_LIFE_EXPECTED`] or could not be started.
const GUARD_PAUSE: Duration = Duration::from_secs(1);
const GUARD_LIFE_EXPECTED: Duration = Duration::from_secs(10);
/// How often a pause looks whether the supervisor is gone.
const CLOSING_LOOK: Duration = Duration::from_millis(100);

impl Shared {
    /// Lives as long as the supervisor, and until its last guard has ended.
    pub(super) fn watch(&self, first: Option<Child>) {
        let mut guard = first;
        let mut patience = LEFTOVER_PATIENCE;
        loop {
            if let Some(mut child) = guard.take() {
                let begin = Instant::now();
                if let Some(reports) = child.stdout.take() {
                    self.follow(reports);
                }
                // It closed its output: it is dead, or of no use.
                if !self.is_closing() {
                    let _ = child.kill();
                }
                let _ = child.wait();
                if self.lost_guard() {
                    return;
                }
                patience = Duration::ZERO;
                if begin.elapsed() < GUARD_LIFE_EXPECTED {
                    self.pause();
                }
            }
            if !self.sweep(patience) {
                return;
            }
            guard = self.replace();
        }
    }

    fn is_closing(&self) -> bool {
        lock(&self.inner).is_closing
    }

    fn pause(&self) {
        let end = Instant::now() + GUARD_PAUSE;
        while Instant::now() < end && !self.is_closing() {
            thread::sleep(CLOSING_LOOK);
        }
    }

    /// Takes the ends of the pipes, and tells the guard what is still to be done.
    pub(super) fn adopt(&self, child: &mut Child) {
        let mut inner = lock(&self.inner);
        inner.guard_process = Some(child.id());
        // Dropped at once when the supervisor is gone already: the guard then ends too.
        inner.pipe = child.stdin.take().filter(|_| !inner.is_closing);
        if let Some(ask) = inner.record.open_ask() {
            inner.send(&ask);
        }
    }

    fn replace(&self) -> Option<Child> {
        match self.guard.spawn(&self.sheet) {
            Ok(mut child) => {
                self.adopt(&mut child);
                Some(child)
            }
            Err(problem) => {
                let change = lock(&self.inner).record.no_guard(&format!("{}: {}", problem.what, problem.why), now());
                (self.on_change)(change);
                self.pause();
                None
            }
        }
    }

    /// Handles reports until the guard closes its output or speaks nonsense.
    fn follow(&self, reports: ChildStdout) {
        let mut reader = BufReader::new(reports);
        let mut line = Vec::new();
        loop {
            line.clear();
            let limit = FRAME_BYTES_MAX as u64 + 1;
            match reader.by_ref().take(limit).read_until(b'\n', &mut line) {
                Ok(count) if count > 0 && line.ends_with(b"\n") => {}
                _ => return,
            }
            match serde_json::from_slice(&line) {
                Ok(Report::Output { line }) => (self.on_output)(line),
                Ok(report) => {
                    let change = lock(&self.inner).record.report(report, now());
                    if let Some(change) = change {
                        (self.on_change)(change);
                    }
                }
                Err(_) => return,
            }
        }
    }

    /// True: the supervisor is gone, and this was meant to happen.
    fn lost_guard(&self) -> bool {
        let change = {
            let mut inner = lock(&self.inner);
            inner.pipe = None;
            inner.guard_process = None;
            if inner.is_closing {
                return true;
            }
            let was_silent = std::mem::take(&mut inner.was_silent);
            inner.record.lost_guard(was_silent, now())
        };
        if let Some(change) = change {
            (self.on_change)(change);
        }
        false
    }

    /// Nothing of the service may be left before another guard starts: two copies on one machine are as bad as on two.
    /// False: the supervisor is gone.
    fn sweep(&self, mut patience: Duration) -> bool {
        loop {
            let left = procs::sweep(&self.guard.mark, patience, SWEEP_LIMIT);
            if left.is_empty() {
                let change = lock(&self.inner).record.swept(now());
                if let Some(change) = change {
                    (self.on_change)(change);
                }
                return true;
            }
            patience = Duration::ZERO;
            let change = lock(&self.inner).record.not_swept(&left, now());
            if let Some(change) = change {
                (self.on_change)(change);
            }
            if self.is_closing() {
                return false;
            }
            self.pause();
        }
    }
}
