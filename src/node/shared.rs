//! What every task of a node shares: the way to the engine, and what is published to consoles.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{broadcast, mpsc, oneshot, watch};

use super::clock;
use crate::engine::alerts::Alert;
use crate::engine::base::Problem;
use crate::engine::event::{Event, EventKind, Severity};
use crate::engine::input::Input;
use crate::engine::order::{Actor, Order, Reply};
use crate::engine::status::Status;

/// Inputs waiting for the engine; whoever adds one more waits.
pub const INPUTS_MAX: usize = 1_024;
/// Events a slow console may be behind before it has to ask for them again.
pub const EVENTS_BEHIND_MAX: usize = 512;
/// Orders waiting for their answer.
pub const ORDERS_MAX: usize = 256;

/// What an order came to.
pub type OrderOutcome = Result<Reply, Problem>;

/// Locks, whatever happened to an earlier holder: the values behind are whole at every step.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Clone it freely.
#[derive(Clone)]
pub struct Shared {
    /// To the engine.
    pub inputs: mpsc::Sender<Input>,
    /// The newest status.
    pub status: watch::Sender<Arc<Status>>,
    /// The newest alerts.
    pub alerts: watch::Sender<Arc<Vec<Alert>>>,
    /// Events as they are kept.
    pub events: broadcast::Sender<Event>,
    /// To the thread that keeps events and alerts.
    pub recorder: super::recorder::Recorder,
    orders: Arc<Mutex<BTreeMap<u64, oneshot::Sender<OrderOutcome>>>>,
    next_order: Arc<AtomicU64>,
    /// Answers that clients wait for and that are not written yet.
    owed: watch::Sender<usize>,
}

/// An answer that a client waits for; dropped when it is written, or when the client is gone.
pub struct OwedAnswer(watch::Sender<usize>);

impl Drop for OwedAnswer {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count = count.saturating_sub(1));
    }
}

impl Shared {
    /// With the receiving end of the inputs.
    #[must_use]
    pub fn new(recorder: super::recorder::Recorder, events: broadcast::Sender<Event>) -> (Self, mpsc::Receiver<Input>) {
        let (inputs, receiver) = mpsc::channel(INPUTS_MAX);
        let shared = Self {
            inputs,
            status: watch::Sender::new(Arc::default()),
            alerts: watch::Sender::new(Arc::default()),
            events,
            recorder,
            orders: Arc::default(),
            next_order: Arc::new(AtomicU64::new(1)),
            owed: watch::Sender::new(0),
        };
        (shared, receiver)
    }

    /// Keeps and publishes an event of the node's own.
    pub fn note(&self, kind: EventKind, severity: Severity, text: impl Into<String>) {
        self.recorder.event(Event {
            id: 0,
            at: clock::wall(),
            kind,
            severity,
            text: text.into(),
            who: None,
            timeline: Vec::new(),
        });
    }

    /// From a thread that may wait: hands an input to the engine. Lost only when the engine is gone.
    pub fn input_blocking(&self, input: Input) {
        let _ = self.inputs.blocking_send(input);
    }

    /// A place for the answer to a new order.
    ///
    /// # Errors
    /// When [`ORDERS_MAX`] orders wait already.
    pub fn expect_answer(&self) -> Result<(u64, oneshot::Receiver<OrderOutcome>), Problem> {
        let mut orders = lock(&self.orders);
        orders.retain(|_, waiting| !waiting.is_closed());
        if orders.len() >= ORDERS_MAX {
            return Err(Problem::new(
                "The order was not taken",
                format!("{ORDERS_MAX} orders already wait for their answer"),
                "Wait a moment and give it again.",
            ));
        }
        let id = self.next_order.fetch_add(1, Ordering::Relaxed);
        let (sender, receiver) = oneshot::channel();
        orders.insert(id, sender);
        Ok((id, receiver))
    }

    /// The answer to an order; one nobody waits for any more is dropped.
    pub fn answer(&self, id: u64, outcome: OrderOutcome) {
        if let Some(waiting) = lock(&self.orders).remove(&id) {
            let _ = waiting.send(outcome);
        }
    }

    /// A client asked something: the engine does not end before the answer is out.
    #[must_use]
    pub fn owe(&self) -> OwedAnswer {
        self.owed.send_modify(|count| *count += 1);
        OwedAnswer(self.owed.clone())
    }

    /// The engine has ended: whoever still waits for an answer hears so, and every answer goes out, within `limit`.
    pub async fn settle(&self, limit: Duration) {
        lock(&self.orders).clear();
        settled(&self.owed, limit).await;
    }

    /// Gives an order to the engine and waits for its answer.
    ///
    /// # Errors
    /// The engine's refusal, or that it is gone.
    pub async fn ask_engine(&self, actor: Actor, order: Order) -> OrderOutcome {
        let (id, answer) = self.expect_answer()?;
        let gone =
            || Problem::new("The order was not carried out", "the engine is stopping", "Look at `standin status`.");
        self.inputs.send(Input::Order { id, actor, order }).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

async fn settled(owed: &watch::Sender<usize>, limit: Duration) {
    let _ = tokio::time::timeout(limit, owed.subscribe().wait_for(|count| *count == 0)).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// interfaces, `standin stop`: the program does not end before the answer is out, and waits for no answer for ever.
    #[tokio::test]
    async fn the_end_waits_for_answers_that_are_owed() {
        let owed = watch::Sender::new(0);
        let answer = |owed: &watch::Sender<usize>| {
            owed.send_modify(|count| *count += 1);
            OwedAnswer(owed.clone())
        };
        let (first, second) = (answer(&owed), answer(&owed));
        let begun = std::time::Instant::now();
        settled(&owed, Duration::from_millis(30)).await;
        assert!(begun.elapsed() >= Duration::from_millis(30), "both are owed");
        drop(first);
        let waiting = owed.clone();
        let task = tokio::spawn(async move { settled(&waiting, Duration::from_secs(60)).await });
        tokio::task::yield_now().await;
        assert!(!task.is_finished(), "one is owed");
        drop(second);
        task.await.unwrap();
    }
}
