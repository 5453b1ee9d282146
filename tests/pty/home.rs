//! Homes of real instances, and what runs in them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use standin::engine::order::ServerFrame;
use standin::wire::control;

use super::ports::free_port;
use super::terminal::{LIMIT, Terminal, comes_true};

pub const BINARY: &str = env!("CARGO_BIN_EXE_standin");
pub const PASSWORD: &str = "correct horse battery 7";
pub const USER: &str = "ops";

/// How long a killed process may take to be gone.
const GONE_LIMIT: Duration = Duration::from_secs(10);

/// One home. Whatever runs for it is ended when dropped.
pub struct Home {
    _folder: tempfile::TempDir,
    pub path: PathBuf,
    pub directory: PathBuf,
    pub port: u16,
    pub host: &'static str,
    served: Option<Child>,
}

/// A port that was free a moment ago.
impl Home {
    /// Empty, for an instance that is reached as `host`.
    pub fn new(host: &'static str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("home");
        let directory = folder.path().join("configuration");
        fs::create_dir(&directory).unwrap();
        Self { _folder: folder, path, directory, port: free_port(), host, served: None }
    }

    /// With a role, written by `standin setup`.
    pub fn with_role(host: &'static str, role: &str, more: &[&str]) -> Self {
        let home = Self::new(host);
        let password = home.directory.with_file_name("password");
        fs::write(&password, PASSWORD).unwrap();
        fs::set_permissions(&password, fs::Permissions::from_mode(0o600)).unwrap();
        let (directory, port) = (home.directory.display().to_string(), home.port.to_string());
        let password = password.display().to_string();
        let mut arguments = vec!["setup", "--role", role, "--user", USER, "--password-file", &password];
        arguments.extend(["--host", host, "--directory", &directory, "--admin-port", &port, "--listen", "127.0.0.1"]);
        arguments.extend(more);
        let output = home.standin(&arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        home
    }

    /// A master without a shadow.
    pub fn new_master() -> Self {
        Self::with_role("127.0.0.1", "master", &[])
    }

    /// Waits until the configuration is at this revision.
    pub fn wait_for_revision(&self, number: u64) {
        let came = comes_true(LIMIT, || {
            self.status().is_some_and(|status| status["configuration"]["revision"].as_u64() == Some(number))
        });
        assert!(
            came,
            "revision {number} did not come: {:#?}",
            self.status().map(|status| status["configuration"].clone())
        );
    }

    /// A shadow of `master`.
    pub fn shadow_of(master: &Self, host: &'static str) -> Self {
        let port = master.port.to_string();
        Self::with_role(host, "shadow", &["--master-host", master.host, "--master-port", &port])
    }

    /// Runs a command of Standin to its end.
    pub fn standin(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(BINARY);
        command.arg("--home").arg(&self.path).args(arguments).env_remove("STANDIN_HOME").stdin(Stdio::null());
        command.output().unwrap()
    }

    /// Starts the engine without a console, and waits until it answers.
    pub fn serve(&mut self) {
        let mut command = Command::new(BINARY);
        command.arg("--home").arg(&self.path).arg("serve").env_remove("STANDIN_HOME");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.served = Some(command.spawn().unwrap());
        let has_role = || {
            self.status().is_some_and(|status| status["instance"]["started"].is_string() && !status["role"].is_null())
        };
        assert!(comes_true(LIMIT, || self.engine().is_some() && has_role()), "the engine does not answer");
    }

    /// Opens the console.
    pub fn console(&self, columns: u16, rows: u16) -> Terminal {
        self.console_with(&[], columns, rows)
    }

    /// The same, with more in its environment.
    pub fn console_with(&self, environment: &[(&str, &str)], columns: u16, rows: u16) -> Terminal {
        Terminal::start(&[BINARY, "--home", &self.path.display().to_string()], environment, columns, rows)
    }

    /// Opens the console where nothing runs, and says yes to starting it.
    pub fn started_console(&self, environment: &[(&str, &str)]) -> Terminal {
        let terminal = self.console_with(environment, 80, 24);
        terminal.wait_for(&["Start it here? [y/N]"]);
        terminal.press("y\r", &["[1 Overview]", "term 1"]);
        terminal
    }

    /// The process that answers on the control socket.
    pub fn engine(&self) -> Option<u32> {
        let mut stream = UnixStream::connect(self.path.join("control.sock")).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        match control::read(&mut stream).ok()? {
            ServerFrame::Welcome { process, .. } => Some(process),
            _ => None,
        }
    }

    /// What `status --json` says; none: nothing runs.
    pub fn status(&self) -> Option<Value> {
        serde_json::from_slice(&self.standin(&["status", "--json"]).stdout).ok()
    }

    /// Waits until a value of the status is `wanted`.
    pub fn wait_for_status(&self, pointer: &str, wanted: &str) {
        let mut last = None;
        let came = comes_true(LIMIT, || {
            last = self.status();
            last.as_ref().and_then(|status| status.pointer(pointer)).is_some_and(|value| value == wanted)
        });
        assert!(came, "{pointer} is not {wanted}: {last:#?}");
    }

    /// Waits until nothing runs for this home any more.
    pub fn wait_for_end(&mut self) {
        let came = comes_true(LIMIT, || {
            // A process that ended is reaped here, or it would seem to be there still.
            if let Some(child) = &mut self.served {
                let _ = child.try_wait();
            }
            self.engine().is_none() && processes(&self.path).is_empty()
        });
        assert!(came, "something still runs: {:?}", processes(&self.path));
    }

    /// `kill -9` of the engine; waits until nobody answers.
    pub fn kill_engine(&mut self) {
        let process = self.engine().expect("an engine runs");
        signal(process, Signal::KILL);
        let came = comes_true(LIMIT, || {
            if let Some(child) = &mut self.served {
                let _ = child.try_wait();
            }
            self.engine().is_none()
        });
        assert!(came, "the engine still answers");
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        comes_true(GONE_LIMIT, || {
            let left = processes(&self.path);
            for process in &left {
                signal(*process, Signal::KILL);
            }
            if let Some(child) = &mut self.served {
                let _ = child.try_wait();
            }
            left.is_empty()
        });
    }
}

/// Sends a signal to a process that these tests started.
pub fn signal(process: u32, signal: Signal) {
    if let Some(process) = i32::try_from(process).ok().and_then(Pid::from_raw) {
        // It may have ended in the meantime.
        let _ = kill_process(process, signal);
    }
}

/// The processes that were started for this home, whose name no other has. Zombies have no command line.
fn processes(home: &Path) -> Vec<u32> {
    let wanted = home.as_os_str().as_encoded_bytes();
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let ids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    ids.filter(|id: &u32| {
        let line = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0).any(|word| word == wanted)
    })
    .collect()
}
