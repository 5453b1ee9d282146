//! The operator's editor on a private copy of a file. It runs as a job of its own in the foreground of the terminal, so that
//! whatever stops or ends it stops or ends neither the console nor an engine in the same process (spec 8.1).

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, kill_process_group, waitpid};

use super::tty::Tty;
use crate::console::message::Edited;
use crate::engine::history::APPLIED_FILE_MAX_BYTES;

/// Where neither VISUAL nor EDITOR is set.
const PLAIN_EDITOR: &str = "vi";
/// Names tried for the private directory.
const NAMES_MAX: u32 = 100;
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
        let set = |name: &str| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
        let name = set("VISUAL").or_else(|| set("EDITOR")).unwrap_or_else(|| PLAIN_EDITOR.into());
        let text = text.into_bytes();
        let copy = PrivateCopy::new(path, &text)?;
        let before = tty.foreground();
        // As git does it: the variable may hold arguments.
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(format!("{name} \"$@\"")).arg(&name).arg(&copy.file);
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
        let edited = self.copy.read();
        let is_same = edited.as_ref().is_ok_and(|bytes| *bytes == self.text);
        let copy = self.copy.file.display().to_string();
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

/// Removes the copy that an editor left, once its text is a revision.
pub fn remove_copy(file: &Path) {
    let Some(directory) = file.parent() else { return };
    let is_ours = directory.file_name().is_some_and(|name| name.to_string_lossy().starts_with(COPY_PREFIX));
    if is_ours {
        // An editor may have left others beside it: copies of the same text.
        let _ = std::fs::remove_dir_all(directory);
    }
}

const COPY_PREFIX: &str = "standin-edit-";

/// A copy that only this user can read: 0600 in a directory of its own.
struct PrivateCopy {
    file: PathBuf,
}

impl PrivateCopy {
    fn new(path: &str, bytes: &[u8]) -> io::Result<Self> {
        let name = Path::new(path).file_name().map_or_else(|| "file".into(), std::ffi::OsStr::to_os_string);
        let top = std::env::temp_dir();
        for number in 0..NAMES_MAX {
            let directory = top.join(format!("{COPY_PREFIX}{}-{number}", std::process::id()));
            match DirBuilder::new().mode(0o700).create(&directory) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                made => made?,
            }
            let copy = Self { file: directory.join(name) };
            let mut open = OpenOptions::new();
            let written = open
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&copy.file)
                .and_then(|mut file| file.write_all(bytes));
            if let Err(error) = written {
                copy.remove();
                return Err(error);
            }
            return Ok(copy);
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    fn read(&self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        File::open(&self.file)?.take(APPLIED_FILE_MAX_BYTES + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > APPLIED_FILE_MAX_BYTES {
            return Err(io::Error::other(format!("it is longer than {APPLIED_FILE_MAX_BYTES} bytes")));
        }
        Ok(bytes)
    }

    fn remove(&self) {
        remove_copy(&self.file);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    /// spec 9.4: what may hold secrets is readable by its owner alone, and goes when it has served.
    #[test]
    fn the_copy_is_private_and_goes() {
        let copy = PrivateCopy::new("deep/orders.yaml", b"a: 1\n").unwrap();
        let of = |path: &Path| std::fs::symlink_metadata(path).unwrap().mode() & 0o777;
        assert_eq!((of(&copy.file), of(copy.file.parent().unwrap())), (0o600, 0o700));
        assert!(copy.file.ends_with("orders.yaml"), "an editor knows the language by the name");
        assert_eq!(copy.read().unwrap(), b"a: 1\n");
        let other = PrivateCopy::new("deep/orders.yaml", b"").unwrap();
        assert_ne!(other.file, copy.file);
        copy.remove();
        other.remove();
        assert!(!copy.file.exists() && !copy.file.parent().unwrap().exists());
        let foreign = tempfile::tempdir().unwrap();
        std::fs::write(foreign.path().join("x"), "x").unwrap();
        remove_copy(&foreign.path().join("x"));
        assert!(foreign.path().join("x").exists(), "nothing else is ever removed");
    }
}
