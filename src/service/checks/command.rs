//! One command as a check: exit status 0 passes, the last line of its output is the message.

use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, ExitStatus};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::{Outcome, took};
use crate::service::lines::read_lines;
use crate::service::{procs, spawn};
use crate::text::mask::OutputMask;

/// How long the last words of a command that has ended are waited for: what it left behind may hold its output open.
const OUTPUT_WAIT: Duration = Duration::from_millis(500);

/// Blocks until it has ended, or for `limit`; then it is killed with its whole group.
pub(super) fn check(argv: &[String], directory: &Path, limit: Duration) -> Outcome {
    let begin = Instant::now();
    let directory = if directory.is_dir() { directory } else { Path::new("/") };
    let mut child = spawn::spawn(argv, directory, &[])?;
    let group = i32::try_from(child.id()).unwrap_or(0);
    let (words, last_words) = sync_channel(2);
    follow(child.stdout.take(), &words);
    follow(child.stderr.take(), &words);
    drop(words);
    let status = wait(child, limit);
    // Ended or not: nothing of the group stays.
    procs::signal_group(group, Signal::KILL);
    let status = status?;
    let line = last_line(&last_words);
    let ended = spawn::ended(status.code(), status.signal());
    match (status.success(), line) {
        (true, Some(line)) => Ok(format!("{line} ({})", took(begin))),
        (true, None) => Ok(format!("{ended} ({})", took(begin))),
        (false, Some(line)) => Err(format!("{ended}: {line}")),
        (false, None) => Err(ended),
    }
}

fn wait(mut child: Child, limit: Duration) -> Result<ExitStatus, String> {
    let (sender, ended) = sync_channel(1);
    let group = i32::try_from(child.id()).unwrap_or(0);
    let waiter = thread::Builder::new().name("check-wait".into()).spawn(move || {
        // Nobody may be waiting any more.
        let _ = sender.send(child.wait());
    });
    if waiter.is_err() {
        procs::signal_group(group, Signal::KILL);
        return Err("killed: no thread could be started to wait for it".into());
    }
    match ended.recv_timeout(limit) {
        Ok(Ok(status)) => Ok(status),
        Ok(Err(error)) => Err(format!("could not be waited for: {error}")),
        Err(_) => Err(format!("killed after its time limit of {} ms", limit.as_millis())),
    }
}

/// Sends the last line with something in it when the stream ends.
fn follow(stream: Option<impl Read + Send + 'static>, words: &SyncSender<(Instant, String)>) {
    let Some(stream) = stream else { return };
    let words = words.clone();
    // Without a thread the pipe closes, and the command sees that its output has no reader.
    let _ = thread::Builder::new().name("check-output".into()).spawn(move || {
        let mut last = None;
        // It goes into status and events: values of secret keys do not (spec 5.8).
        let mut mask = OutputMask::default();
        read_lines(stream, false, |line| {
            let text = mask.line(&line.text);
            if !text.trim().is_empty() {
                last = Some((Instant::now(), text));
            }
        });
        if let Some(last) = last {
            let _ = words.send(last);
        }
    });
}

/// The later of both streams' last lines, as far as they are there in time.
fn last_line(words: &Receiver<(Instant, String)>) -> Option<String> {
    let end = Instant::now() + OUTPUT_WAIT;
    let mut found: Vec<(Instant, String)> = Vec::new();
    while let Ok(line) = words.recv_timeout(end.saturating_duration_since(Instant::now())) {
        found.push(line);
    }
    found.into_iter().max_by_key(|(at, _)| *at).map(|(_, text)| text)
}
