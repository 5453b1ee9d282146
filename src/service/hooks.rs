//! Hooks (spec 7.13): commands run one at a time, in order, each with a time limit.

use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::lines::{OutputLine, read_lines};
use super::{Env, lock, procs, spawn};
use crate::engine::base::Problem;
use crate::engine::effect::Hook;
use crate::text::mask;

/// Most hooks waiting for their turn.
pub const QUEUE_MAX: usize = 64;
/// Most lines kept of one run; further ones are counted.
pub const OUTPUT_LINES_MAX: usize = 100;
/// Most characters of a line in [`HookDone::summary`].
const SUMMARY_CHARS_MAX: usize = 200;
/// How long the output of a hook that has ended is waited for: something it left in the background may hold it open.
const OUTPUT_WAIT: Duration = Duration::from_millis(500);

/// One hook to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookRun {
    /// Which.
    pub hook: Hook,
    /// Program and arguments; empty: nothing is run, and nothing reported.
    pub argv: Vec<String>,
    /// Working directory.
    pub directory: PathBuf,
    /// Its environment.
    pub env: Env,
    /// After this it is killed with its whole group.
    pub timeout_ms: u64,
}

/// How it went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookDone {
    /// Which.
    pub hook: Hook,
    /// It ended in time with exit status 0.
    pub ok: bool,
    /// `exit status 0`, `killed after its time limit of 30000 ms`, or why it could not be started.
    pub status: String,
    /// What it wrote, at most [`OUTPUT_LINES_MAX`] lines.
    pub output: Vec<OutputLine>,
    /// Lines beyond these.
    pub dropped: u64,
    /// How long it took.
    pub took_ms: u64,
}

/// Runs hooks on a thread of its own. When dropped, what waits is not run; the one that runs is finished.
pub struct Runner {
    queue: Option<SyncSender<HookRun>>,
    is_closing: Arc<Mutex<bool>>,
}

impl Runner {
    /// Starts the thread; `on_done` is called there, once for each run.
    ///
    /// # Errors
    /// No thread can be started.
    pub fn new(on_done: impl Fn(HookDone) + Send + 'static) -> Result<Self, Problem> {
        let (queue, runs) = sync_channel::<HookRun>(QUEUE_MAX);
        let is_closing = Arc::new(Mutex::new(false));
        let closing = Arc::clone(&is_closing);
        thread::Builder::new()
            .name("hooks".into())
            .spawn(move || {
                for hook in runs {
                    if *lock(&closing) {
                        return;
                    }
                    on_done(run(&hook));
                }
            })
            .map_err(|error| Problem::new("hooks cannot run", format!("no thread could be started: {error}"), ""))?;
        Ok(Self { queue: Some(queue), is_closing })
    }

    /// Lets it run in its turn. Returns at once.
    ///
    /// # Errors
    /// [`QUEUE_MAX`] hooks wait already.
    pub fn run(&self, hook: HookRun) -> Result<(), Problem> {
        let Some(queue) = self.queue.as_ref().filter(|_| !hook.argv.is_empty()) else { return Ok(()) };
        queue.try_send(hook).map_err(|refused| match refused {
            TrySendError::Full(hook) => Problem::new(
                format!("hook {} was not run", hook.hook.word()),
                format!("{QUEUE_MAX} hooks wait for their turn already"),
                "make the hooks faster, or lower hooks.timeout",
            ),
            TrySendError::Disconnected(hook) => {
                Problem::new(format!("hook {} was not run", hook.hook.word()), "Standin is stopping", "")
            }
        })
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        *lock(&self.is_closing) = true;
        self.queue = None;
    }
}

/// Lines of one run.
#[derive(Default)]
struct Output {
    lines: Vec<OutputLine>,
    dropped: u64,
}

/// Runs a command that is no hook (the health check), here and now, with the same limits. Whether it ended well, and in
/// words how, with the last line it wrote.
#[must_use]
pub fn run_alone(argv: &[String], directory: &Path, env: &Env, timeout_ms: u64) -> (bool, String) {
    let (argv, directory) = (argv.to_vec(), directory.to_owned());
    let done = run(&HookRun { hook: Hook::Fence, argv, directory, env: env.clone(), timeout_ms });
    (done.ok, done.summary())
}

/// The same without an environment of Standin's: whether it ended well, in words how, and all it wrote to its standard
/// output.
#[must_use]
pub(super) fn run_alone_plain(argv: &[String], directory: &Path, timeout_ms: u64) -> (bool, String, String) {
    let done = run_with(Hook::Fence, argv, directory, &[], timeout_ms);
    let lines = done.output.iter().filter(|line| !line.is_error).map(|line| format!("{}\n", line.text)).collect();
    (done.ok, done.summary(), lines)
}

/// Runs a command that judges a configuration, with the same limits: whether it ended well, in words how, and all it wrote.
#[must_use]
pub fn run_judge(
    argv: &[String],
    directory: &Path,
    env: &[(String, String)],
    timeout_ms: u64,
) -> (bool, String, Vec<String>) {
    let done = run_with(Hook::Fence, argv, directory, env, timeout_ms);
    (done.ok, done.status, done.output.into_iter().map(|line| line.text).collect())
}

impl HookDone {
    /// How it ended, with the last line it wrote.
    #[must_use]
    pub fn summary(&self) -> String {
        match self.output.iter().rev().find(|line| !line.text.trim().is_empty()) {
            Some(line) => format!("{}: {}", self.status, line.text.chars().take(SUMMARY_CHARS_MAX).collect::<String>()),
            None => self.status.clone(),
        }
    }
}

/// Runs it here and now. Whatever of its process group is left when it ends is killed: what is to stay has to leave the
/// group (`setsid`).
fn run(hook: &HookRun) -> HookDone {
    let done = run_with(hook.hook, &hook.argv, &hook.directory_or_root(), &hook.env.variables(), hook.timeout_ms);
    HookDone { output: without_secrets(done.output), ..done }
}

/// What it wrote goes into events, alerts, mails and the program log: values of secret keys do not (spec 5.8).
fn without_secrets(mut output: Vec<OutputLine>) -> Vec<OutputLine> {
    // Each stream by itself: a value may go on in the next line of its own.
    for is_error in [false, true] {
        let texts: Vec<&str> =
            output.iter().filter(|line| line.is_error == is_error).map(|line| line.text.as_str()).collect();
        let masked = mask::output(&texts);
        for (line, text) in output.iter_mut().filter(|line| line.is_error == is_error).zip(masked) {
            line.text = text;
        }
    }
    output
}

fn run_with(hook: Hook, argv: &[String], directory: &Path, env: &[(String, String)], timeout_ms: u64) -> HookDone {
    let begin = Instant::now();
    let output = Arc::new(Mutex::new(Output::default()));
    let outcome = spawn::spawn(argv, directory, env).and_then(|child| finish(child, timeout_ms, &output));
    let output = std::mem::take(&mut *lock(&output));
    HookDone {
        hook,
        ok: outcome.as_ref().is_ok_and(|ended| ended.is_good),
        status: outcome.map_or_else(|why| why, |ended| ended.status),
        output: output.lines,
        dropped: output.dropped,
        took_ms: u64::try_from(begin.elapsed().as_millis()).unwrap_or(u64::MAX),
    }
}

impl HookRun {
    /// A mirrored directory that does not exist yet must not keep a hook from running.
    fn directory_or_root(&self) -> PathBuf {
        if self.directory.is_dir() { self.directory.clone() } else { Path::new("/").to_owned() }
    }
}

struct Outcome {
    is_good: bool,
    status: String,
}

fn finish(mut child: Child, timeout_ms: u64, output: &Arc<Mutex<Output>>) -> Result<Outcome, String> {
    let group = i32::try_from(child.id()).unwrap_or(0);
    let (done, is_read) = sync_channel(2);
    let stdout = child.stdout.take().map(|stream| Box::new(stream) as Box<dyn std::io::Read + Send>);
    let stderr = child.stderr.take().map(|stream| Box::new(stream) as Box<dyn std::io::Read + Send>);
    for (stream, is_error) in [(stdout, false), (stderr, true)] {
        follow(stream, is_error, output, done.clone());
    }
    drop(done);
    let (sender, ended) = sync_channel(1);
    let waiter = thread::Builder::new().name("hook-wait".into()).spawn(move || sender.send(child.wait()));
    if waiter.is_err() {
        procs::signal_group(group, Signal::KILL);
        return Err("killed: no thread could be started to wait for it".into());
    }
    let first = ended.recv_timeout(Duration::from_millis(timeout_ms));
    // Ended or not: nothing of the group stays.
    procs::signal_group(group, Signal::KILL);
    let outcome = match first {
        Ok(Ok(status)) => {
            use std::os::unix::process::ExitStatusExt;
            Ok(Outcome { is_good: status.success(), status: spawn::ended(status.code(), status.signal()) })
        }
        Ok(Err(error)) => Err(format!("could not be waited for: {error}")),
        Err(_) => Err(format!("killed after its time limit of {timeout_ms} ms")),
    };
    wait_for_output(&is_read);
    outcome
}

/// Until both readers are done, or [`OUTPUT_WAIT`] has passed.
fn wait_for_output(is_read: &Receiver<()>) {
    let end = Instant::now() + OUTPUT_WAIT;
    loop {
        match is_read.recv_timeout(end.saturating_duration_since(Instant::now())) {
            Ok(()) => {}
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return,
        }
    }
}

fn follow(
    stream: Option<Box<dyn std::io::Read + Send>>,
    is_error: bool,
    output: &Arc<Mutex<Output>>,
    done: SyncSender<()>,
) {
    let Some(stream) = stream else { return };
    let output = Arc::clone(output);
    // Without a thread the pipe closes, and the hook sees that its output has no reader.
    let _ = thread::Builder::new().name("hook-output".into()).spawn(move || {
        read_lines(stream, is_error, |line| {
            let mut output = lock(&output);
            if output.lines.len() < OUTPUT_LINES_MAX {
                output.lines.push(line);
            } else {
                output.dropped += 1 + line.dropped;
            }
        });
        let _ = done.send(());
    });
}

#[cfg(test)]
mod tests;
