//! The parent of an embedded engine: it waits, hands signals on, and gives the shell its prompt back when the console was
//! left and the engine goes on. A fault in the console, a lost terminal or `kill -9` of the parent costs no check, because
//! the engine is another process (spec 8.1).

use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus};
use std::sync::mpsc;
use std::thread;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::super::home::Context;
use super::super::output::{Exit, Failure, Outcome, note};
use super::super::rooms;
use super::super::rooms::signals::{self, Caught};
use super::CHILD_COMMAND;
use super::parent_link::ChildListener;
use crate::engine::base::Problem;

/// What the parent waits for.
enum News {
    Ended(std::io::Result<ExitStatus>),
    LeftRunning,
    Caught(Caught),
}

/// Starts this program again as the engine with a console, and waits.
///
/// # Errors
/// When it cannot be started, or a signal ended it.
pub fn run(context: &Context) -> Outcome {
    let listener = ChildListener::new().map_err(|error| failed(&error))?;
    let mut command = Command::new(rooms::own_program().map_err(|error| failed(&error))?);
    command.arg("--home").arg(&context.home).arg("--settings").arg(&context.settings);
    if context.globals.ascii {
        command.arg("--ascii");
    }
    let color = clap::ValueEnum::to_possible_value(&context.globals.color);
    command.arg("--color").arg(color.as_ref().map_or("auto", |value| value.get_name()));
    for _ in 0..context.globals.verbose {
        command.arg("-v");
    }
    command.arg(CHILD_COMMAND).arg("--parent").arg(&listener.name);
    let (sender, news) = mpsc::channel();
    let caught = sender.clone();
    signals::listen(move |signal| {
        let _ = caught.send(News::Caught(signal));
    })?;
    let child = command.spawn().map_err(|error| failed(&error))?;
    supervise(child, listener, sender, &news)
}

fn supervise(
    mut child: Child,
    listener: ChildListener,
    sender: mpsc::Sender<News>,
    news: &mpsc::Receiver<News>,
) -> Outcome {
    let process = child.id();
    // A handle, not a number: the number may be another process's by the time a signal is handed on.
    let handle = i32::try_from(process).ok().and_then(Pid::from_raw).map(|pid| pidfd_open(pid, PidfdFlags::empty()));
    let handle = handle.and_then(Result::ok);
    let left = sender.clone();
    thread::spawn(move || {
        if listener.wait_for_word(process).unwrap_or(false) {
            let _ = left.send(News::LeftRunning);
        }
    });
    thread::spawn(move || sender.send(News::Ended(child.wait())));
    loop {
        match news.recv() {
            Ok(News::Ended(Ok(status))) => return ending(status),
            Ok(News::Ended(Err(error))) => return Err(failed(&error).into()),
            Ok(News::LeftRunning) => {
                note(&format!("Standin goes on without a console (process {process}). To attach again: standin"));
                return Ok(Exit::Done);
            }
            // Once is enough: a second request must not cut a planned stop short.
            Ok(News::Caught(Caught::Terminate | Caught::Interrupt)) => {
                if let Some(handle) = &handle {
                    let _ = pidfd_send_signal(handle, Signal::TERM);
                }
            }
            // The terminal is gone: the child sees it itself and goes on without a console.
            Ok(News::Caught(Caught::HangUp)) | Err(mpsc::RecvError) => return Ok(Exit::Done),
        }
    }
}

fn ending(status: ExitStatus) -> Outcome {
    if let Some(code) = status.code() {
        return Ok(Exit::Status(u8::try_from(code).unwrap_or(1)));
    }
    let signal = status.signal().map_or_else(|| "an unknown signal".into(), |signal| format!("signal {signal}"));
    Err(Failure::Problem(Problem::new(
        "The engine ended",
        format!("its process was killed by {signal}"),
        "Its service was stopped with it. Look at its log (standin paths), then start it again.",
    )))
}

fn failed(error: &std::io::Error) -> Problem {
    Problem::new("The engine was not started", error.to_string(), "Try standin serve, and look at its log.")
}

#[cfg(test)]
mod tests;
