//! The operator's editor on a private copy of a file. It runs as a job of its own in the foreground of the terminal, so that
//! whatever stops or ends it stops or ends neither the console nor an engine in the same process (spec 8.1).

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, kill_process_group, waitpid};

use super::tty::Tty;
use crate::console::message::Edited;
use crate::engine::history::APPLIED_FILE_MAX_BYTES;
use crate::files::private_copy::{self, PrivateCopy};

/// An editor that is told to end has this long before the terminal is taken from it.
const END_LIMIT: Duration = Duration::from_secs(1);

/// An editor that was started.
pub struct Editor {
    name: String,
    process: Pid,
    /// The terminal knows jobs: the editor is one of its own.
    is_job: bool,
    /// The job that had the terminal before.
    before: Option<Pid>,
    copy: PrivateCopy,
    text: Vec<u8>,
    has_ended: bool,
}

/// How an editor does.
pub enum State {
    /// It has the terminal.
    Open,
    /// It was stopped.
    Suspended,
    /// It has ended.
    /// How is not known where somebody else waited for it.
    Ended(Option<WaitStatus>),
}

impl Editor {
    /// Starts the operator's editor on a copy of `text`. The terminal must have been given back as it was found, and nobody
    /// may read from it.
    ///
    /// # Errors
    /// The copy cannot be made, or nothing can be started; no copy is left then.
    pub fn start(tty: &Tty, path: &str, text: String) -> io::Result<Self> {
        let name = private_copy::editor();
        let text = text.into_bytes();
        let copy = PrivateCopy::new(path, &text)?;
        let before = tty.foreground();
        // As git does it: the variable may hold arguments.
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(format!("{name} \"$@\"")).arg(&name).arg(copy.file());
        let (input, output, errors) = tty.handles()?;
        command.stdin(input).stdout(output).stderr(errors);
        if before.is_some() {
            command.process_group(0);
        }
        let started = command.spawn().and_then(|child| {
            let id = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
            id.ok_or_else(|| io::Error::other("the system gave no process number"))
        });
        let process = match started {
            Ok(process) => process,
            Err(error) => {
                copy.remove();
                return Err(error);
            }
        };
        let is_job = before.is_some();
        let editor = Self { name, process, is_job, before, copy, text, has_ended: false };
        editor.give(tty);
        Ok(editor)
    }

    /// Gives it the terminal, and lets it go on.
    pub fn give(&self, tty: &Tty) {
        if self.is_job {
            // If it has ended already, that is seen at once; there is nobody to give to then.
            let _ = tty.set_foreground(self.process);
            let _ = kill_process_group(self.process, Signal::CONT);
        }
    }

    /// Takes the terminal from it.
    pub fn take(&self, tty: &Tty) {
        if let Some(before) = self.before {
            // Fails only where the terminal is gone, which the next write tells.
            let _ = tty.set_foreground(before);
        }
    }

    /// How it does now; never waits.
    pub fn look(&mut self) -> State {
        match waitpid(Some(self.process), WaitOptions::NOHANG | WaitOptions::UNTRACED) {
            Ok(None) => State::Open,
            Ok(Some((_, status))) if status.stopped() => State::Suspended,
            Ok(Some((_, status))) => {
                self.has_ended = true;
                State::Ended(Some(status))
            }
            Err(_) => {
                self.has_ended = true;
                State::Ended(None)
            }
        }
    }

    /// What it left.
    pub fn result(self, status: Option<WaitStatus>) -> Edited {
        let edited = self.copy.read(APPLIED_FILE_MAX_BYTES);
        let is_same = edited.as_ref().is_ok_and(|bytes| *bytes == self.text);
        let copy = self.copy.file().display().to_string();
        let kept = (!is_same).then_some(copy.clone());
        if is_same {
            self.copy.remove();
        }
        let why = match (status.and_then(WaitStatus::terminating_signal), status.and_then(WaitStatus::exit_status)) {
            (Some(signal), _) => format!("{} was ended by signal {signal}", self.name),
            (None, Some(127)) => {
                format!("{} was not found; set VISUAL or EDITOR to an editor of this machine", self.name)
            }
            // As a shell tells that a signal ended what it ran.
            (None, Some(code @ 129..=192)) => format!("{} was ended by signal {}", self.name, code - 128),
            (None, Some(code)) if code != 0 => format!("{} ended with status {code}", self.name),
            _ => match edited {
                Ok(_) if is_same => return Edited::Same,
                Ok(bytes) => return Edited::Changed { bytes, copy },
                Err(error) => format!("its text cannot be read: {error}"),
            },
        };
        Edited::Failed { why, copy: kept }
    }
}

impl Drop for Editor {
    /// Whoever leaves the console leaves no stopped editor behind. Its copy stays.
    fn drop(&mut self) {
        if self.has_ended {
            return;
        }
        let tell = |signal| {
            let told = if self.is_job {
                kill_process_group(self.process, signal)
            } else {
                rustix::process::kill_process(self.process, signal)
            };
            // It may have ended by itself.
            let _ = told;
        };
        tell(Signal::HUP);
        tell(Signal::CONT);
        let since = Instant::now();
        while matches!(self.look(), State::Open | State::Suspended) && since.elapsed() < END_LIMIT {
            thread::sleep(Duration::from_millis(10));
        }
    }
}
