//! One instance: its home, its process, its control socket.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use standin::engine::event::Event;
use standin::engine::order::{ClientFrame, Order, Reply, ServerFrame};
use standin::engine::status::Status;
use standin::wire::control;

use crate::{Fail, clock, service};

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_standin");
pub const ADDRESS: &str = "127.0.0.1";
pub const USER: &str = "ops";
const PASSWORD: &str = "correct horse battery 7";
/// For one frame of the control socket.
const FRAME_LIMIT: Duration = Duration::from_secs(10);
/// Asked for at once.
const EVENTS_LIMIT: u32 = 500;

pub struct Instance {
    pub name: &'static str,
    pub home: PathBuf,
    pub directory: PathBuf,
    /// Starts of its service.
    pub journal: PathBuf,
    pub port: u16,
    pub address: String,
    /// The network namespace it lives in; none: that of the measurement.
    namespace: Option<String>,
    folder: PathBuf,
    child: Option<Child>,
}

impl Instance {
    /// A home in `folder` that is not set up yet.
    pub fn new(folder: &Path, name: &'static str) -> Result<Self, Fail> {
        let directory = folder.join(format!("{name}-configuration"));
        fs::create_dir_all(&directory)?;
        Ok(Self {
            name,
            home: folder.join(name),
            directory,
            journal: folder.join(format!("{name}.starts")),
            // Free now; nobody else is likely to take it before it is bound again.
            port: std::net::TcpListener::bind((ADDRESS, 0))?.local_addr()?.port(),
            address: ADDRESS.into(),
            namespace: None,
            folder: folder.to_owned(),
            child: None,
        })
    }

    /// The same on a host of its own: a network namespace.
    pub fn on_host(folder: &Path, name: &'static str, namespace: &str, address: &str) -> Result<Self, Fail> {
        let mut instance = Self::new(folder, name)?;
        instance.address = address.into();
        instance.namespace = Some(namespace.into());
        Ok(instance)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = match &self.namespace {
            None => Command::new(PROGRAM),
            Some(namespace) => {
                // Becomes the program, with the same process id.
                let mut command = Command::new("ip");
                command.args(["netns", "exec", namespace, PROGRAM]);
                command
            }
        };
        command.arg("--home").arg(&self.home).args(arguments).env_remove("STANDIN_HOME").stdin(Stdio::null());
        command
    }

    /// Runs a command of Standin to its end.
    pub fn ok(&self, arguments: &[&str]) -> Result<(), Fail> {
        self.ends(arguments, &[0])
    }

    /// The same of one that may end with any of these codes.
    pub fn ends(&self, arguments: &[&str], codes: &[i32]) -> Result<(), Fail> {
        let output = self.command(arguments).output()?;
        if output.status.code().is_some_and(|code| codes.contains(&code)) {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        Err(format!("{}: standin {arguments:?} ended with {}: {said}", self.name, output.status).into())
    }

    pub fn password_file(&self) -> Result<String, Fail> {
        let path = self.folder.join("password");
        fs::write(&path, format!("{PASSWORD}\n"))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
        Ok(path.display().to_string())
    }

    /// `standin setup`, with the service that tells of its starts.
    pub fn set_up(&self, role: &str, more: &[&str]) -> Result<(), Fail> {
        let (password, port) = (self.password_file()?, self.port.to_string());
        let directory = self.directory.display().to_string();
        let mut arguments = vec!["setup", "--role", role, "--user", USER, "--password-file", &password];
        arguments.extend([
            "--host",
            &self.address,
            "--listen",
            &self.address,
            "--admin-port",
            &port,
            "--directory",
            &directory,
        ]);
        arguments.extend(more);
        self.ok(&arguments)?;
        let command = serde_json::to_string(&service::command(&self.journal)?)?;
        self.set_service_command(&command)
    }

    /// In the settings file, as an operator with an editor would.
    fn set_service_command(&self, value: &str) -> Result<(), Fail> {
        let path = self.home.join("settings.yaml");
        let text = fs::read_to_string(&path)?;
        let (before, section) = text.split_once("\nservice:\n").ok_or("no section 'service' in the settings file")?;
        let (comment, rest) = section.split_once("\n  command:").ok_or("no 'service.command' in the settings file")?;
        let after = rest.split_once('\n').map_or("", |(_, after)| after);
        fs::write(path, format!("{before}\nservice:\n{comment}\n  command: {value}\n{after}"))?;
        Ok(())
    }

    /// Starts the engine; `CLOCK_MONOTONIC` of that moment.
    pub fn spawn(&mut self) -> Result<u64, Fail> {
        let log =
            fs::OpenOptions::new().create(true).append(true).open(self.folder.join(format!("{}.out", self.name)))?;
        let mut command = self.command(&["serve"]);
        command.stdout(log.try_clone()?).stderr(log);
        let at_ns = clock::now_ns();
        self.child = Some(command.spawn()?);
        Ok(at_ns)
    }

    pub fn process(&self) -> Result<u32, Fail> {
        self.child.as_ref().map(Child::id).ok_or_else(|| format!("{} does not run", self.name).into())
    }

    /// `kill -9`; `CLOCK_MONOTONIC` just before. The process is collected.
    pub fn kill(&mut self) -> Result<u64, Fail> {
        let mut child = self.child.take().ok_or("it does not run")?;
        let at_ns = clock::now_ns();
        child.kill()?;
        child.wait()?;
        Ok(at_ns)
    }

    /// Sends it a signal; `CLOCK_MONOTONIC` just before.
    pub fn signal(&self, signal: Signal) -> Result<u64, Fail> {
        let pid = i32::try_from(self.process()?).ok().and_then(Pid::from_raw).ok_or("a process id")?;
        let at_ns = clock::now_ns();
        kill_process(pid, signal)?;
        Ok(at_ns)
    }

    /// SIGTERM, and waits for the end.
    pub fn stop(&mut self) -> Result<(), Fail> {
        if self.child.is_some() {
            self.signal(Signal::TERM)?;
        }
        self.ended()
    }

    /// Waits for the end.
    pub fn ended(&mut self) -> Result<(), Fail> {
        let Some(child) = &mut self.child else { return Ok(()) };
        clock::until("the instance ends on SIGTERM", || Ok(child.try_wait()?))?;
        self.child = None;
        Ok(())
    }

    /// Connects to its control socket; none: it does not answer yet.
    pub fn greet(&self) -> Result<Option<UnixStream>, Fail> {
        let Ok(mut stream) = UnixStream::connect(self.home.join("control.sock")) else { return Ok(None) };
        stream.set_read_timeout(Some(FRAME_LIMIT))?;
        match control::read::<ServerFrame>(&mut stream) {
            Ok(ServerFrame::Welcome { .. }) => Ok(Some(stream)),
            _ => Ok(None),
        }
    }

    /// What it says of itself; none: it does not answer yet.
    pub fn status(&self) -> Result<Option<Box<Status>>, Fail> {
        let Some(mut stream) = self.greet()? else { return Ok(None) };
        control::write(&mut stream, &ClientFrame::Order { id: 1, order: Order::Status })?;
        match control::read::<ServerFrame>(&mut stream) {
            Ok(ServerFrame::Reply { outcome: Ok(Reply::Status(status)), .. }) => Ok(Some(status)),
            _ => Ok(None),
        }
    }

    /// Events newer than the one with the id `after`, oldest first.
    pub fn events(&self, after: u64) -> Result<Vec<Event>, Fail> {
        let mut stream = self.greet()?.ok_or_else(|| format!("{} does not answer", self.name))?;
        let order = Order::Events { after, limit: EVENTS_LIMIT };
        control::write(&mut stream, &ClientFrame::Order { id: 1, order })?;
        match control::read::<ServerFrame>(&mut stream)? {
            ServerFrame::Reply { outcome: Ok(Reply::Events(events)), .. } => Ok(events),
            other => Err(format!("{}: no events but {other:?}", self.name).into()),
        }
    }

    /// Waits until its status fits.
    pub fn wait(&self, what: &str, fits: impl Fn(&Status) -> bool) -> Result<Box<Status>, Fail> {
        let mut last = None;
        clock::until(&format!("{}: {what}", self.name), || {
            let status = self.status()?;
            last = status.as_ref().map(|status| (status.role, status.state, status.state_message.clone()));
            Ok(status.filter(|status| fits(status)))
        })
        .map_err(|error| format!("{error}; last seen: {last:?}").into())
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        // The guard of a killed instance ends its service and then itself.
        let _ = self.kill();
    }
}
