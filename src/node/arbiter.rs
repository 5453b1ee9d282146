//! Carries questions to the arbiter, one after the other, in a task of its own: the engine's loop never waits for it. Changed
//! settings are in force at once: a question under way ends.

use tokio::sync::{mpsc, watch};

use super::shared::Shared;
use crate::arbiter::Arbiter;
use crate::arbiter::probe::{self, EndpointProbe};
use crate::engine::base::{PairId, Problem};
use crate::engine::input::Input;
use crate::engine::settings;
use crate::engine::vote::{Ask, VoteAnswer};

/// Questions waiting; the engine has one under way at most, and may give one up for another.
const QUESTIONS_MAX: usize = 4;

struct Question {
    id: u64,
    pair: PairId,
    ask: Ask,
    lease_s: u64,
}

/// The way to the arbiter.
pub struct ArbiterDesk {
    questions: mpsc::Sender<Question>,
    settings: watch::Sender<settings::Arbiter>,
}

impl ArbiterDesk {
    /// Starts the task; call it inside the runtime.
    #[must_use]
    pub fn start(settings: &settings::Arbiter, shared: &Shared) -> Self {
        Self::answering(settings, shared.inputs.clone())
    }

    fn answering(settings: &settings::Arbiter, inputs: mpsc::Sender<Input>) -> Self {
        let (questions, asked) = mpsc::channel(QUESTIONS_MAX);
        let (sender, changes) = watch::channel(settings.clone());
        tokio::spawn(serve(asked, changes, inputs));
        Self { questions, settings: sender }
    }

    /// In force at once.
    pub fn set_settings(&self, settings: &settings::Arbiter) {
        self.settings.send_if_modified(|old| {
            let is_new = old != settings;
            if is_new {
                old.clone_from(settings);
            }
            is_new
        });
    }

    /// See [`crate::engine::effect::Effect::AskArbiter`]. Returns the answer when it is known at once: there is none.
    #[must_use]
    pub fn ask(&self, id: u64, pair: PairId, ask: Ask, lease_s: u64) -> Option<Input> {
        let question = Question { id, pair, ask, lease_s };
        let refused = self.questions.try_send(question).err()?;
        let why = match refused {
            mpsc::error::TrySendError::Full(_) => "it was not asked: earlier questions still wait",
            mpsc::error::TrySendError::Closed(_) => "it was not asked: Standin is ending",
        };
        Some(Input::Arbiter { id, answer: VoteAnswer::Silent(why.into()) })
    }
}

async fn serve(
    mut asked: mpsc::Receiver<Question>,
    mut changes: watch::Receiver<settings::Arbiter>,
    inputs: mpsc::Sender<Input>,
) {
    let mut arbiter = Arbiter::new(&changes.borrow_and_update());
    let mut is_old = false;
    // Other settings may lead to the same arbiter: it is told anew.
    let mut told = 0;
    while let Some(Question { id, pair, ask, lease_s }) = asked.recv().await {
        if is_old || changes.has_changed().unwrap_or(false) {
            arbiter = Arbiter::new(&changes.borrow_and_update());
            told = 0;
        }
        let answer = tokio::select! {
            answer = arbiter.ask(pair, &ask, lease_s) => Some(answer),
            Ok(()) = changes.changed() => None,
        };
        is_old = answer.is_none();
        let changed = || VoteAnswer::Silent("its settings were changed while it was asked".into());
        let answer = answer.unwrap_or_else(changed);
        let mark = arbiter.mark();
        if mark != told && inputs.send(Input::ArbiterMark(mark)).await.is_err() {
            return;
        }
        told = mark;
        if inputs.send(Input::Arbiter { id, answer }).await.is_err() {
            return;
        }
    }
}

/// Reaches every endpoint step by step, from a thread without a runtime. `pair`: none: one that is nobody's.
///
/// # Errors
/// No threads.
pub fn test(settings: &settings::Arbiter, pair: Option<PairId>, writes: bool) -> Result<Vec<EndpointProbe>, Problem> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| {
        Problem::new("The arbiter was not tested", format!("no threads: {error}"), "Free memory and try again.")
    })?;
    let pair = pair.unwrap_or(PairId(uuid::Uuid::nil()));
    let found = runtime.block_on(probe::probe(settings, pair, writes));
    // A name that is still looked up must not keep whoever asked.
    runtime.shutdown_background();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use tokio::net::TcpListener;
    use tokio::time::timeout;

    use super::*;
    use crate::engine::base::{InstanceId, Run, Term};
    use crate::engine::vote::{Claim, Want};

    fn settings(endpoint: String) -> settings::Arbiter {
        settings::Arbiter { endpoints: vec![endpoint], request_timeout: 30_000, ..settings::Arbiter::default() }
    }

    fn ask() -> Ask {
        let id = |number| InstanceId(uuid::Uuid::from_u128(number));
        let claim = Claim { run: Run(1), number: 1 };
        Ask { from: id(1), peer: id(2), known: Term(1), claim, want: Want::Look }
    }

    async fn answer(inputs: &mut mpsc::Receiver<Input>) -> (u64, String) {
        let input = timeout(Duration::from_secs(10), inputs.recv()).await.unwrap().unwrap();
        let Input::Arbiter { id, answer: VoteAnswer::Silent(why) } = input else { panic!("{input:?}") };
        (id, why)
    }

    /// spec 7.11: the loop never waits for the arbiter, and changed settings are in force at once, also for a question that is
    /// under way.
    #[tokio::test]
    async fn changed_settings_end_a_question_that_hangs() {
        let hangs = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let hanging = settings(format!("http://{}", hangs.local_addr().unwrap()));
        let (sender, mut inputs) = mpsc::channel(8);
        let desk = ArbiterDesk::answering(&hanging, sender);
        let begin = Instant::now();
        assert!(desk.ask(1, PairId(uuid::Uuid::nil()), ask(), 2).is_none());
        assert!(begin.elapsed() < Duration::from_secs(1), "{:?}", begin.elapsed());
        // The question is under way.
        let _asked = timeout(Duration::from_secs(10), hangs.accept()).await.unwrap().unwrap();
        desk.set_settings(&hanging);
        desk.set_settings(&settings("http://no host".into()));
        assert_eq!(answer(&mut inputs).await, (1, "its settings were changed while it was asked".into()));
        assert!(desk.ask(2, PairId(uuid::Uuid::nil()), ask(), 2).is_none());
        let (id, why) = answer(&mut inputs).await;
        assert!(id == 2 && why.contains("is no URL"), "{why}");
        assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
    }

    /// architecture, wall 5: a question too many is answered, not lost.
    #[tokio::test]
    async fn a_question_too_many_is_answered_at_once() {
        let hangs = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (sender, _inputs) = mpsc::channel(8);
        let desk = ArbiterDesk::answering(&settings(format!("http://{}", hangs.local_addr().unwrap())), sender);
        let pair = PairId(uuid::Uuid::nil());
        let refused = (0..=QUESTIONS_MAX as u64 + 1).filter_map(|id| desk.ask(id, pair, ask(), 2)).count();
        assert!(refused >= 1);
    }
}
