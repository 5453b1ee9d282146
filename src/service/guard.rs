//! The guard: a small process of Standin's own binary that starts, restarts and stops the service, and outlives Standin
//! just long enough to stop it (spec 7.13).
//!
//! It is *subreaper* of everything below it: what loses its parent, however it daemonizes, becomes the guard's own child.
//! So "no child left" means "nothing of the service runs", and that is the only proof it accepts.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Instant;

use rustix::process::{Signal, getpid, set_child_subreaper, setsid};

use super::addresses;
use super::protocol::{Ask, FRAME_BYTES_MAX};
use super::raw;
use super::sheet::Sheet;
use alarm::Alarm;
use children::{Children, Ended};
use keeper::Keeper;
use outbox::Outbox;
use watch::Watch;

mod alarm;
mod children;
mod keeper;
mod outbox;
pub(in crate::service) mod restarts;
mod watch;

/// Most events waiting for the guard's loop; the threads that bring them then wait.
const EVENTS_MAX: usize = 256;

/// The virtual addresses that Standin noted (spec 7.14); taken away when it is gone.
#[derive(Clone, Debug)]
pub struct Left {
    /// The file that names them.
    pub note: PathBuf,
    /// The run of Standin that this guard belongs to.
    pub run: String,
}

/// What wakes the guard.
enum Event {
    Ask(Ask),
    /// Standin is gone, or speaks nonsense, which is the same.
    Alone,
    Ended(Ended),
    /// Time to look at the sheet.
    Alarm,
}

/// Runs the guard until `stdin` ends and nothing of the service is left. Returns the exit status: 0, or 1 when processes
/// survived even a kill, or 2 when the guard could not be set up.
///
/// To be called on the main thread of a process of its own: the kernel ties the life of the service to that thread.
pub fn main(stdin: impl Read + Send + 'static, stdout: impl Write + Send + 'static, left: Option<Left>) -> i32 {
    if prepare().is_err() {
        return 2;
    }
    let (sender, events) = sync_channel(EVENTS_MAX);
    let outbox = Outbox::new();
    let reports = outbox.clone();
    let asks = sender.clone();
    let is_ready = spawn_thread("asks", move || read_asks(stdin, &asks))
        && spawn_thread("reports", move || reports.write_to(stdout));
    let alarms = sender.clone();
    let alarm = Alarm::new(move || {
        let _ = alarms.send(Event::Alarm);
    });
    let children = Children::new(move |ended| {
        let _ = sender.send(Event::Ended(ended));
    });
    match (children, alarm) {
        (Ok(children), Ok(alarm)) if is_ready => {
            run(Keeper::new(children, outbox, Watch::new(alarm, Sheet::inherited())), &events, left.as_ref())
        }
        _ => 2,
    }
}

/// Own session (no terminal, none of its signals), subreaper, deaf to polite signals: only the end of Standin ends it.
fn prepare() -> rustix::io::Result<()> {
    // Fails only for a leader of a group, which has what it needs.
    let _ = setsid();
    raw::shrug_off(&[Signal::TERM, Signal::INT, Signal::HUP, Signal::QUIT, Signal::PIPE]);
    set_child_subreaper(Some(getpid()))?;
    // Not found by a `killall standin`, which would take the guard away at the same moment as Standin.
    let _ = std::fs::write("/proc/self/comm", "service-guard");
    // Before its threads are made: a takeover waits for them.
    super::priority::raise();
    Ok(())
}

fn spawn_thread(name: &str, work: impl FnOnce() + Send + 'static) -> bool {
    thread::Builder::new().name(name.into()).spawn(work).is_ok()
}

fn read_asks(stdin: impl Read, events: &SyncSender<Event>) {
    let mut reader = BufReader::new(stdin);
    let mut line = Vec::new();
    loop {
        line.clear();
        let limit = FRAME_BYTES_MAX as u64 + 1;
        let is_whole = matches!(reader.by_ref().take(limit).read_until(b'\n', &mut line), Ok(count) if count > 0)
            && line.ends_with(b"\n");
        let event = match serde_json::from_slice(&line) {
            Ok(ask) if is_whole => Event::Ask(ask),
            _ => Event::Alone,
        };
        let is_last = matches!(event, Event::Alone);
        if events.send(event).is_err() || is_last {
            return;
        }
    }
}

fn run(mut keeper: Keeper, events: &Receiver<Event>, left: Option<&Left>) -> i32 {
    loop {
        let event = match keeper.deadline() {
            Some(deadline) => events.recv_timeout(deadline.saturating_duration_since(Instant::now())),
            None => events.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match event {
            Ok(Event::Ask(Ask::Start(start))) => keeper.start(*start),
            Ok(Event::Ask(Ask::Stop { id, grace_ms })) => keeper.stop(id, grace_ms),
            Ok(Event::Ask(Ask::Restart { why })) => keeper.restart_unwell(why),
            Ok(Event::Ask(Ask::StopGrace { ms })) => keeper.set_stop_grace(ms),
            Ok(Event::Ended(ended)) => keeper.ended(&ended),
            Ok(Event::Alarm) => {
                if keeper.alarm()
                    && let Some(left) = left.cloned()
                {
                    // By itself: a Standin that stands still may hold the note, and the service must not wait for it.
                    spawn_thread("addresses", move || addresses::withdraw_left(&left.note, &left.run));
                }
            }
            Ok(Event::Alone) | Err(RecvTimeoutError::Disconnected) => {
                // First: from now on the other instance may take over, and clients have to find that one.
                if let Some(left) = left {
                    addresses::withdraw_left(&left.note, &left.run);
                }
                keeper.alone();
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
        keeper.tick(Instant::now());
        if let Some(status) = keeper.is_over() {
            return status;
        }
    }
}
