//! What the parent and the child of an embedded engine say to each other: one line, *left running*.
//!
//! The parent listens on an abstract socket under a random name and takes only its own child for it, so that nothing has
//! to be inherited, and nothing is left behind in the file system.

use std::fs::OpenOptions;
use std::io::{self, Read, Write};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::thread;

use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout};

use crate::engine::base::Problem;

/// What the child says when its console was left and the engine goes on.
const LEFT: &[u8] = b"left";

/// The child's end.
#[derive(Debug)]
pub struct ParentLink {
    stream: UnixStream,
}

impl ParentLink {
    /// Connects to the parent that started this process.
    ///
    /// # Errors
    /// When there is none: this command is no one's to type.
    pub fn connect(name: &str) -> Result<Self, Problem> {
        address(name).and_then(|address| UnixStream::connect_addr(&address)).map(|stream| Self { stream }).map_err(
            |error| {
                Problem::new(
                    "The engine was not started",
                    format!("the process that should wait for it is not there: {error}"),
                    "Start it with: standin (with a console) or standin serve",
                )
            },
        )
    }

    /// Calls `act` once when the parent is gone, however it went: the terminal then belongs to someone else.
    /// After [`Self::detach`] the parent ends on purpose, so that a call means nothing any more.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn when_parent_is_gone(&self, act: impl FnOnce() + Send + 'static) -> Result<(), Problem> {
        let failed = |error: io::Error| Problem::new("The parent cannot be watched", error.to_string(), "");
        let mut stream = self.stream.try_clone().map_err(failed)?;
        let watch = move || {
            // It never says anything: the first byte is the end.
            let _ = stream.read(&mut [0]);
            act();
        };
        thread::Builder::new().name("parent".into()).spawn(watch).map(drop).map_err(failed)
    }

    /// Leaves the terminal for good: a session of its own, standard input and output to nowhere, and the parent gives the
    /// shell its prompt back. Call it after the terminal was restored. The engine goes on.
    ///
    /// # Errors
    /// When a step fails; the ones before it stay done.
    pub fn detach(mut self) -> Result<(), Problem> {
        let steps = || -> io::Result<()> {
            // Fails only for the leader of a process group, which needs no new session to be safe from the terminal's.
            let _ = rustix::process::setsid();
            let nowhere = OpenOptions::new().read(true).write(true).open("/dev/null")?;
            dup2_stdin(&nowhere)?;
            dup2_stdout(&nowhere)?;
            dup2_stderr(&nowhere)?;
            Ok(())
        };
        let told = steps().and_then(|()| self.say_left());
        told.map_err(|error| Problem::new("The console was not left cleanly", error.to_string(), "The engine goes on."))
    }

    pub(in crate::cli::console) fn say_left(&mut self) -> io::Result<()> {
        self.stream.write_all(LEFT)
    }
}

/// The parent's end.
#[derive(Debug)]
pub struct ChildListener {
    listener: UnixListener,
    /// To hand to the child.
    pub name: String,
}

impl ChildListener {
    /// Listens under a new name.
    ///
    /// # Errors
    /// Those of the system.
    pub fn new() -> io::Result<Self> {
        let name = format!("standin-{}", uuid::Uuid::new_v4());
        Ok(Self { listener: UnixListener::bind_addr(&address(&name)?)?, name })
    }

    /// Waits for `child`, and then for its word: true, it was left running; false, it ended without.
    ///
    /// # Errors
    /// Those of the socket.
    pub fn wait_for_word(&self, child: u32) -> io::Result<bool> {
        loop {
            let (mut stream, _) = self.listener.accept()?;
            // The name is not secret on this machine: only the child's own word counts.
            let from = rustix::net::sockopt::socket_peercred(&stream)?.pid;
            if u32::try_from(from.as_raw_pid()) != Ok(child) {
                continue;
            }
            let mut word = [0; LEFT.len()];
            return Ok(stream.read_exact(&mut word).is_ok() && word == LEFT);
        }
    }
}

fn address(name: &str) -> io::Result<SocketAddr> {
    SocketAddr::from_abstract_name(name.as_bytes())
}
