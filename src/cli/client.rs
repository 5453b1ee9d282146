//! A blocking client of the control socket: what the commands are built on.

use std::io::{self, ErrorKind, Read};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use super::home::{socket, unreadable};
use super::output::Failure;
use crate::engine::base::Problem;
use crate::engine::order::{ClientFrame, Order, Reply, ServerFrame};
use crate::engine::status::Status;
use crate::wire::control;

/// For the first frame: an engine that lives answers at once.
const WELCOME_LIMIT: Duration = Duration::from_secs(2);
/// For writing an order into the socket.
const WRITE_LIMIT: Duration = Duration::from_secs(10);
/// Longest path of a Unix socket on Linux, in bytes, without the closing zero.
pub const SOCKET_PATH_MAX_BYTES: usize = 107;

/// One connection to a running instance.
#[derive(Debug)]
pub struct Client {
    stream: UnixStream,
    next_id: u64,
    /// Program version of the engine.
    pub version: String,
    /// Its process.
    pub process: u32,
}

impl Client {
    /// Connects to the instance that runs for `home` and waits for its welcome.
    ///
    /// # Errors
    /// [`Failure::NotRunning`] when nobody answers there; else why the socket cannot be used.
    pub fn connect(home: &Path) -> Result<Self, Failure> {
        let path = socket(home);
        let stream = UnixStream::connect(&path).map_err(|error| connect_failure(home, &path, &error))?;
        let mut client = Self { stream, next_id: 1, version: String::new(), process: 0 };
        let limit = Instant::now() + WELCOME_LIMIT;
        match client.read_until(Some(limit)) {
            Ok(ServerFrame::Welcome { version, process }) => {
                client.version = version;
                client.process = process;
                Ok(client)
            }
            Ok(_) => Err(broken("another frame than the welcome came first").into()),
            Err(error) if is_timeout(&error) => Err(Problem::new(
                format!("The instance of {} does not answer", home.display()),
                format!("its socket accepted, but no welcome came within {} s", WELCOME_LIMIT.as_secs()),
                "It may be overloaded or stopped by a signal; look at its log, then try again.",
            )
            .into()),
            // It closed before a word: it is just ending.
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Err(not_running(home, "it is just stopping")),
            Err(error) => Err(broken(&error.to_string()).into()),
        }
    }

    /// Gives an order and waits for what came of it, as long as such an order may take.
    ///
    /// # Errors
    /// The refusal of the instance, or that it did not answer.
    pub fn order(&mut self, order: Order) -> Result<Reply, Problem> {
        let limit = time_limit(&order);
        self.order_within(order, limit)
    }

    /// The same with a time limit of the caller's.
    ///
    /// # Errors
    /// Those of [`Self::order`].
    pub fn order_within(&mut self, order: Order, limit: Duration) -> Result<Reply, Problem> {
        let id = self.next_id;
        self.next_id += 1;
        self.send(&ClientFrame::Order { id, order })?;
        let end = Instant::now() + limit;
        loop {
            match self.read_until(Some(end)) {
                Ok(ServerFrame::Reply { id: of, outcome }) if of == id => return outcome,
                // News of a subscription, or a late answer to an order given up.
                Ok(_) => {}
                Err(error) if is_timeout(&error) => {
                    return Err(Problem::new(
                        format!("No answer within {} s", limit.as_secs()),
                        "the order was given and may still be carried out",
                        "Look with: standin status",
                    ));
                }
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                    return Err(Problem::new(
                        "The instance ended before it answered",
                        "its control socket was closed",
                        "Look with: standin status",
                    ));
                }
                Err(error) => return Err(broken(&error.to_string())),
            }
        }
    }

    /// The newest status.
    ///
    /// # Errors
    /// Those of [`Self::order`].
    pub fn status(&mut self) -> Result<Box<Status>, Problem> {
        match self.order(Order::Status)? {
            Reply::Status(status) => Ok(status),
            _ => Err(unexpected()),
        }
    }

    /// Asks for status, alerts and events newer than `events_after`, now and at every change; read them with
    /// [`Self::next_frame`].
    ///
    /// # Errors
    /// When the instance is gone.
    pub fn subscribe(&mut self, events_after: u64) -> Result<(), Problem> {
        self.send(&ClientFrame::Subscribe { events_after })
    }

    /// Waits, without limit, for the next frame; `None` when the instance is gone.
    ///
    /// # Errors
    /// A frame that is none.
    pub fn next_frame(&mut self) -> Result<Option<ServerFrame>, Problem> {
        match self.read_until(None) {
            Ok(frame) => Ok(Some(frame)),
            Err(error) if matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset) => Ok(None),
            Err(error) => Err(broken(&error.to_string())),
        }
    }

    /// As [`Self::next_frame`], but ends at once when nobody reads standard output any more: what follows in a pipe may
    /// have ended long before the next event comes.
    ///
    /// # Errors
    /// A frame that is none; [`Failure::ClosedPipe`].
    pub fn next_frame_wanted(&mut self) -> Result<Option<ServerFrame>, Failure> {
        use rustix::event::{PollFd, PollFlags, poll};
        let stdout = std::io::stdout();
        let mut both = [PollFd::new(&self.stream, PollFlags::IN), PollFd::new(&stdout, PollFlags::empty())];
        while let Err(rustix::io::Errno::INTR) = poll(&mut both, None) {}
        if both[1].revents().intersects(PollFlags::ERR | PollFlags::HUP) {
            return Err(Failure::ClosedPipe);
        }
        Ok(self.next_frame()?)
    }

    /// Waits until the instance has closed the connection, which it does last. False: it did not within `limit`.
    #[must_use]
    pub fn wait_for_end(&mut self, limit: Duration) -> bool {
        let end = Instant::now() + limit;
        loop {
            match self.read_until(Some(end)) {
                Ok(_) => {}
                Err(error) => return !is_timeout(&error),
            }
        }
    }

    fn send(&mut self, frame: &ClientFrame) -> Result<(), Problem> {
        let set = self.stream.set_write_timeout(Some(WRITE_LIMIT));
        set.and_then(|()| control::write(&mut self.stream, frame)).map_err(|error| {
            Problem::new("The order could not be given", error.to_string(), "Look with: standin status")
        })
    }

    fn read_until(&mut self, end: Option<Instant>) -> io::Result<ServerFrame> {
        control::read(&mut Deadline { stream: &self.stream, end })
    }
}

/// Reads until a moment, however slowly the bytes drop in.
struct Deadline<'a> {
    stream: &'a UnixStream,
    end: Option<Instant>,
}

impl Read for Deadline<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.end.map(|end| end.saturating_duration_since(Instant::now()));
        if left == Some(Duration::ZERO) {
            return Err(ErrorKind::TimedOut.into());
        }
        self.stream.set_read_timeout(left)?;
        (&mut &*self.stream).read(buffer)
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::WouldBlock)
}

/// How long an order may take before a person should look: generous, because giving up does not undo it.
fn time_limit(order: &Order) -> Duration {
    let seconds = match order {
        // A grace period and a stop grace of minutes are legal.
        Order::Switch { dry_run: false } | Order::BecomeShadow | Order::BecomeMaster { .. } | Order::Stop { .. } => 120,
        Order::Pair { .. } => 60,
        // Reads every byte on both sides.
        Order::Verify => 1_800,
        Order::ListFiles
        | Order::ListPart { .. }
        | Order::HeldFiles
        | Order::DriftFiles
        | Order::ShowFile { .. }
        | Order::FileBytes { .. }
        | Order::FilePart { .. }
        | Order::Log { .. }
        | Order::ShowBranch { .. } => 60,
        // May come from the other instance.
        Order::BranchBytes { .. } => 300,
        // Reads the directory, of the other instance every byte.
        Order::Diff { .. } => 1_800,
        // Waits for what is being read or written in the directory.
        Order::Change { .. } | Order::Forget { .. } => 300,
        _ => 30,
    };
    Duration::from_secs(seconds)
}

/// Nobody runs for this home.
#[must_use]
pub fn not_running(home: &Path, why: &str) -> Failure {
    Failure::NotRunning(Problem::new(
        format!("No instance runs for {}", home.display()),
        why,
        "Start it with: standin serve (or standin for the console). Another home: --home DIR.",
    ))
}

/// An answer that does not fit the order: only an engine of another version gives one.
#[must_use]
pub fn unexpected() -> Problem {
    broken("the answer does not fit the order")
}

fn broken(why: &str) -> Problem {
    Problem::new(
        "The running instance was not understood",
        why,
        "It may be of another version than this program: compare standin --version with standin status.",
    )
}

fn connect_failure(home: &Path, path: &Path, error: &io::Error) -> Failure {
    use std::os::unix::ffi::OsStrExt;
    let problem = match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => {
            let why = if home.is_dir() { "it has no control socket" } else { "there is no such home" };
            return not_running(home, why);
        }
        ErrorKind::ConnectionRefused => {
            return not_running(home, "its control socket is a left-over; nobody listens on it");
        }
        _ if path.as_os_str().as_bytes().len() > SOCKET_PATH_MAX_BYTES => Problem::new(
            format!("The control socket {} cannot be reached", path.display()),
            format!("its path is longer than {SOCKET_PATH_MAX_BYTES} bytes, which a socket cannot have"),
            "Move the home to a shorter path.",
        ),
        ErrorKind::PermissionDenied => Problem::new(
            format!("The control socket {} may not be used", path.display()),
            format!("permission denied for {}", super::home::user_name(rustix::process::geteuid().as_raw())),
            "Work as the owner of the home, or have control.group set in its settings to a group of yours.",
        ),
        _ => unreadable(home, error),
    };
    Failure::Problem(problem)
}

#[cfg(test)]
mod tests;
