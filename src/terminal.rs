//! The terminal: raw mode and its restoring, keys from bytes, frames written only where cells changed, the link to the
//! engine. Blocking threads, no async; whatever happens here ends the console at most, never the engine (spec 8.1, 8.7).

mod editor;
mod engine_link;
mod keys;
mod main_loop;
mod recorder;
mod screen;
mod tty;
mod wizard_loop;

use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::panic::{self, AssertUnwindSafe};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use crate::console::wizard::Wizard;
use crate::engine::base::Problem;
pub use crate::view::{ColorLevel, Scheme, Theme};
use wizard_loop::End;
pub use wizard_loop::{FindOut, Save};

/// Name of the environment variable with which a test may ask for a fault in the drawing code, by pressing `!`.
const FAULT_VARIABLE: &str = "STANDIN_TEST_PANIC_DRAW";
/// Signals waiting to be looked at.
const INTERRUPTS_MAX: usize = 8;

/// A new connection to the engine; called again after each that ended.
pub type Connect = Box<dyn FnMut() -> io::Result<UnixStream> + Send>;

/// How to run the console.
pub struct Options {
    /// Connects to the control socket.
    pub connect: Connect,
    /// This console started the engine: `q` asks whether to stop it (spec 8.1).
    pub embeds: bool,
    /// Colours and characters.
    pub theme: Theme,
    /// Signals, from whoever catches them in this process; none: nobody does.
    pub interrupts: Option<Receiver<Interrupt>>,
}

/// A signal that concerns the console.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interrupt {
    /// SIGTERM or SIGINT: leave as with `q`, the engine goes on.
    Stop,
    /// SIGHUP: the terminal is gone.
    Hangup,
}

/// Both ends of the way from a signal handler to [`Options::interrupts`]. Sending never needs to wait: use `try_send`.
#[must_use]
pub fn interrupts() -> (SyncSender<Interrupt>, Receiver<Interrupt>) {
    sync_channel(INTERRUPTS_MAX)
}

/// How the console ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The operator stopped the engine; it has answered or is gone.
    Stop,
    /// The operator left; the engine goes on.
    LeaveRunning,
    /// The terminal is gone; the engine goes on.
    TerminalLost,
    /// The drawing code failed and said so on standard error; the engine goes on.
    Failed,
}

/// Runs the console until it is left. The terminal is afterwards as it was before, in every case.
///
/// # Errors
/// When there is no terminal, or it cannot be set up.
pub fn run(options: Options) -> Result<Outcome, Problem> {
    let tty = tty::Tty::open().map_err(|error| no_terminal(&error))?;
    let message = Arc::new(Mutex::new(String::new()));
    let before = watch_panics(&message);
    let result = {
        let guard = tty.enter().map_err(|error| no_terminal(&error));
        guard.map(|guard| panic::catch_unwind(AssertUnwindSafe(|| main_loop::run(options, &tty, &guard))))
    };
    panic::set_hook(before);
    match result? {
        Ok(outcome) => Ok(outcome),
        Err(_) => {
            let why = message.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let line = format!("standin: the console failed ({why}); Standin goes on, `standin` attaches to it again");
            // Nobody left to tell if even this cannot be written.
            let _ = writeln!(io::stderr(), "{line}");
            Ok(Outcome::Failed)
        }
    }
}

/// Runs the first-start wizard; true: the home was written. The terminal is afterwards as it was before, in every case.
///
/// # Errors
/// When there is no terminal, or it cannot be set up, or it went away before anything was written.
pub fn run_wizard(wizard: Wizard, theme: Theme, find_out: FindOut, save: Save<'_>) -> Result<bool, Problem> {
    let tty = tty::Tty::open().map_err(|error| no_terminal(&error))?;
    let end = {
        let _guard = tty.enter().map_err(|error| no_terminal(&error))?;
        wizard_loop::run(wizard, theme, find_out, save, &tty)
    };
    match end {
        Ok(End::Saved) => Ok(true),
        Ok(End::Left(lines)) => {
            for line in lines {
                let _ = writeln!(io::stderr(), "{line}");
            }
            Ok(false)
        }
        Ok(End::TerminalLost) | Err(_) => Err(no_terminal(&io::ErrorKind::UnexpectedEof.into())),
    }
}

fn no_terminal(error: &io::Error) -> Problem {
    Problem::new(
        "The console cannot be shown",
        format!("no usable terminal: {error}"),
        "Run it in a terminal, or use `standin status` and the other commands",
    )
}

type Hook = Box<dyn Fn(&panic::PanicHookInfo<'_>) + Sync + Send>;

/// Keeps the first panic's message for later: printing it now would write it into the drawn screen.
fn watch_panics(message: &Arc<Mutex<String>>) -> Hook {
    let before = panic::take_hook();
    let message = Arc::clone(message);
    panic::set_hook(Box::new(move |info| {
        let payload = info.payload();
        let text =
            payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        let text = text.unwrap_or("no message");
        let place = info.location().map(|at| format!(" at {}:{}", at.file(), at.line())).unwrap_or_default();
        let mut kept = message.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.is_empty() {
            *kept = format!("{text}{place}");
        }
    }));
    before
}
