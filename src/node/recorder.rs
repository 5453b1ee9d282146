//! Keeps events and alerts on disk from a thread of its own, so that no check waits for it.

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use tokio::sync::broadcast;

use crate::engine::alerts::Alert;
use crate::engine::base::Problem;
use crate::engine::event::{Event, Severity};
use crate::store::Store;

/// Records waiting for the disk; more are dropped and counted in the program log.
pub const RECORDS_MAX: usize = 8_192;

/// Events come in bursts, and a burst comes when there is something better to do for disk and processors than to keep it: a
/// change of roles. So they are kept, and told to consoles, together.
const GATHER: Duration = Duration::from_millis(50);
/// Most of them at once.
const TOGETHER_MAX: usize = 256;

/// Small, because the queue holds a place for each that may wait from the start.
enum Record {
    Event(Box<Event>),
    SaveAlert(Box<Alert>),
    DropAlert(u64),
    Flush(SyncSender<()>),
}

/// Clone it freely; the thread ends with the last clone.
#[derive(Clone)]
pub struct Recorder {
    queue: SyncSender<Record>,
}

impl Recorder {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(store: Store, events: broadcast::Sender<Event>) -> Result<Self, Problem> {
        let (queue, records) = sync_channel(RECORDS_MAX);
        std::thread::Builder::new().name("recorder".into()).spawn(move || run(&store, &events, &records)).map_err(
            |error| Problem::new("Standin cannot start", format!("no thread: {error}"), "Free memory and try again."),
        )?;
        Ok(Self { queue })
    }

    /// Keeps and publishes it.
    pub fn event(&self, event: Event) {
        self.send(Record::Event(Box::new(event)));
    }

    /// Keeps it.
    pub fn save_alert(&self, alert: Alert) {
        self.send(Record::SaveAlert(Box::new(alert)));
    }

    /// Forgets it.
    pub fn drop_alert(&self, id: u64) {
        self.send(Record::DropAlert(id));
    }

    /// Waits until everything sent before is on disk.
    pub fn flush(&self) {
        let (done, wait) = sync_channel(1);
        if self.queue.send(Record::Flush(done)).is_ok() {
            let _ = wait.recv();
        }
    }

    fn send(&self, record: Record) {
        if let Err(TrySendError::Full(_)) = self.queue.try_send(record) {
            tracing::warn!("the disk is too slow for the events: one was dropped");
        }
    }
}

fn run(store: &Store, events: &broadcast::Sender<Event>, records: &Receiver<Record>) {
    while let Ok(first) = records.recv() {
        let mut waiting = vec![first];
        gather(records, &mut waiting);
        let flushed = waiting.pop_if(|record| matches!(record, Record::Flush(_)));
        // One transaction: the record of the engine waits for at most one of these.
        let kept = store.keep_together(|| {
            for record in waiting.drain(..) {
                keep(store, events, record);
            }
        });
        if let Err(problem) = kept {
            tracing::error!("events and alerts were not kept: {problem}");
        }
        if let Some(Record::Flush(done)) = flushed {
            let _ = done.send(());
        }
    }
}

/// What comes within [`GATHER`], up to a flush.
fn gather(records: &Receiver<Record>, waiting: &mut Vec<Record>) {
    let end = Instant::now() + GATHER;
    while waiting.len() < TOGETHER_MAX && !matches!(waiting.last(), Some(Record::Flush(_))) {
        match records.recv_timeout(end.saturating_duration_since(Instant::now())) {
            Ok(record) => waiting.push(record),
            Err(_) => return,
        }
    }
}

fn keep(store: &Store, events: &broadcast::Sender<Event>, record: Record) {
    let result = match record {
        Record::Event(event) => keep_event(store, events, *event),
        Record::SaveAlert(alert) => store.save_alert(&alert),
        Record::DropAlert(id) => store.drop_alert(id),
        Record::Flush(_) => Ok(()),
    };
    if let Err(problem) = result {
        tracing::error!("an event or alert was not kept: {problem}");
    }
}

fn keep_event(store: &Store, events: &broadcast::Sender<Event>, mut event: Event) -> Result<(), Problem> {
    match event.severity {
        Severity::Error => tracing::error!(kind = event.kind.word(), who = event.who, "{}", event.text),
        Severity::Warning => tracing::warn!(kind = event.kind.word(), who = event.who, "{}", event.text),
        Severity::Information => tracing::info!(kind = event.kind.word(), who = event.who, "{}", event.text),
    }
    let kept = store.append_event(&event);
    event.id = *kept.as_ref().unwrap_or(&0);
    let _ = events.send(event);
    kept.map(|_| ())
}
