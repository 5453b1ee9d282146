//! Keeps events and alerts on disk from a thread of its own, so that no check waits for it.

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use tokio::sync::broadcast;

use crate::engine::alerts::Alert;
use crate::engine::base::Problem;
use crate::engine::event::{Event, Severity};
use crate::store::Store;

/// Records waiting for the disk; more are dropped and counted in the program log.
pub const RECORDS_MAX: usize = 8_192;

enum Record {
    Event(Event),
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
        self.send(Record::Event(event));
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
    while let Ok(record) = records.recv() {
        let result = match record {
            Record::Event(event) => keep_event(store, events, event),
            Record::SaveAlert(alert) => store.save_alert(&alert),
            Record::DropAlert(id) => store.drop_alert(id),
            Record::Flush(done) => {
                let _ = done.send(());
                Ok(())
            }
        };
        if let Err(problem) = result {
            tracing::error!("an event or alert was not kept: {problem}");
        }
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
