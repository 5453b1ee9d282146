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
