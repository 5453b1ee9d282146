//! Signals for processes that run no engine of their own, or not yet: the parent of an embedded engine (spec 8.1).

use std::sync::mpsc::Sender;
use std::thread;

use tokio::runtime::Builder;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::shared::Shared;
use crate::engine::base::Problem;
use crate::engine::input::Input;

/// What came from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caught {
    /// SIGTERM: end by plan.
    Terminate,
    /// SIGINT: the same.
    Interrupt,
    /// SIGHUP: the terminal is gone.
    HangUp,
}

/// Calls `act` for every SIGTERM, SIGINT and SIGHUP from now on, in a thread of its own; none of them ends the process any
/// more. A handler is not inherited by programs that are started: there the signals do what they always do.
///
/// # Errors
/// When the system refuses a handler or a thread.
pub fn listen(act: impl Fn(Caught) + Send + 'static) -> Result<(), Problem> {
    let failed = |error: std::io::Error| Problem::new("Signals cannot be caught", error.to_string(), "");
    let runtime = Builder::new_current_thread().enable_io().build().map_err(failed)?;
    let (mut terminate, mut interrupt, mut hang_up) = {
        let _inside = runtime.enter();
        let catch = |kind: SignalKind| signal(kind).map_err(failed);
        (catch(SignalKind::terminate())?, catch(SignalKind::interrupt())?, catch(SignalKind::hangup())?)
    };
    let run = move || {
        runtime.block_on(async {
            loop {
                let caught = tokio::select! {
                    Some(()) = terminate.recv() => Caught::Terminate,
                    Some(()) = interrupt.recv() => Caught::Interrupt,
                    Some(()) = hang_up.recv() => Caught::HangUp,
                    else => return,
                };
                act(caught);
            }
        });
    };
    thread::Builder::new().name("signals".into()).spawn(run).map(drop).map_err(failed)
}

/// Keeps the engine from being held up by the terminal: from now on SIGHUP, SIGTSTP, SIGTTIN and SIGTTOU do nothing in this
/// process (spec 8.1: Ctrl-Z or a lost terminal costs no check). Handlers, not `SIG_IGN`, so that programs it starts are not
/// born deaf.
///
/// # Errors
/// When the system refuses a handler or a thread.
pub fn shrug_off_terminal() -> Result<(), Problem> {
    const FROM_TERMINAL: [i32; 4] = [
        rustix::process::Signal::HUP.as_raw(),
        rustix::process::Signal::TSTP.as_raw(),
        rustix::process::Signal::TTIN.as_raw(),
        rustix::process::Signal::TTOU.as_raw(),
    ];
    let failed = |error: std::io::Error| Problem::new("Signals cannot be caught", error.to_string(), "");
    let runtime = Builder::new_current_thread().enable_io().build().map_err(failed)?;
    let caught: Vec<Signal> = {
        let _inside = runtime.enter();
        let catch = |raw| signal(SignalKind::from_raw(raw));
        FROM_TERMINAL.into_iter().map(catch).collect::<Result<_, _>>().map_err(failed)?
    };
    // The handlers stay once installed; nobody needs to be told.
    drop(caught);
    Ok(())
}

/// SIGTERM and SIGINT become the planned stop (spec 7.9). SIGHUP has the settings read again, or, where a console may be in
/// this process, does nothing: it is the terminal's.
///
/// # Errors
/// When the system refuses a handler. Call within a runtime.
pub fn to_engine(shared: &Shared, has_terminal: bool, looks: Sender<()>) -> Result<(), Problem> {
    let failed = |error: std::io::Error| Problem::new("Signals cannot be caught", error.to_string(), "");
    if has_terminal {
        shrug_off_terminal()?;
    }
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut hang_up = signal(SignalKind::hangup()).map_err(failed)?;
    let inputs = shared.inputs.clone();
    tokio::spawn(async move {
        loop {
            tokio::select! {
                Some(()) = terminate.recv() => { let _ = inputs.send(Input::Terminate).await; }
                Some(()) = interrupt.recv() => { let _ = inputs.send(Input::Terminate).await; }
                Some(()) = hang_up.recv() => if !has_terminal { let _ = looks.send(()); },
                else => return,
            }
        }
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::sync::mpsc;
    use std::time::{Duration, Instant};

    use rustix::process::{Signal, getpid, kill_process};

    use super::*;

    const ACT: &str = "STANDIN_TEST_SIGNALS";

    /// Not a test: runs in a process of its own, because handlers stay for good.
    #[test]
    fn child() {
        if std::env::var_os(ACT).is_none() {
            return;
        }
        shrug_off_terminal().unwrap();
        for signal in [Signal::TSTP, Signal::HUP, Signal::TTOU] {
            kill_process(getpid(), signal).unwrap();
        }
        let (sender, caught) = mpsc::channel();
        listen(move |signal| sender.send(signal).unwrap()).unwrap();
        kill_process(getpid(), Signal::HUP).unwrap();
        assert_eq!(caught.recv(), Ok(Caught::HangUp));
        kill_process(getpid(), Signal::TERM).unwrap();
        // The one from before may be told to this listener too: it came to the process, not to a moment.
        let next = caught.iter().find(|signal| *signal != Caught::HangUp);
        assert_eq!(next, Some(Caught::Terminate));
        std::process::exit(42);
    }

    /// spec 8.1: neither Ctrl-Z nor a lost terminal stops or ends the engine; a request to end is heard.
    #[test]
    fn signals_of_the_terminal_do_nothing_and_requests_are_heard() {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "node::signals::tests::child", "--nocapture"]).env(ACT, "1");
        let mut child = command.stdout(std::process::Stdio::null()).spawn().unwrap();
        // A child that a signal stopped never ends by itself.
        let limit = Instant::now() + Duration::from_secs(20);
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            if Instant::now() > limit {
                child.kill().unwrap();
            }
            thread::sleep(Duration::from_millis(5));
        };
        assert_eq!(status.code(), Some(42));
    }
}
