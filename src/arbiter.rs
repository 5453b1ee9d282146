//! The third vote (spec 7.11): etcd, spoken to through its JSON gateway. What it keeps is a record and a lease for each pair;
//! what it decides is `engine::vote`'s. Answers always come, and within a time that is known before: an arbiter that is away,
//! slow or talks nonsense is [`VoteAnswer::Silent`], with a sentence.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::engine::base::PairId;
use crate::engine::settings;
use crate::engine::vote::{Ask, VoteAnswer};

mod gateway;
pub mod probe;
mod question;
mod session;

use gateway::Keys;
use question::Left;
use session::Session;

/// Over the time that the settings give, for what is no waiting: reading files, the scheduler.
const SLACK: Duration = Duration::from_millis(100);

/// What went wrong at one endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It does not answer, or not sensibly; another one may do better.
    Endpoint(String),
    /// Every endpoint would say so, or none may be asked again.
    Final(String),
}

impl Failure {
    /// For people.
    #[must_use]
    pub fn why(&self) -> &str {
        match self {
            Self::Endpoint(why) | Self::Final(why) => why,
        }
    }
}

/// One place that questions of etcd are carried to. Split off so that the rules of a question are tested without one.
pub(crate) trait Transport {
    /// Posts a JSON object, returns the JSON object of the answer, or etcd's own error within.
    fn post(
        &mut self,
        path: &'static str,
        body: &serde_json::Value,
    ) -> impl Future<Output = Result<serde_json::Value, CallError>> + Send;
}

/// Why a call has no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CallError {
    /// etcd refused it: its number (that of gRPC) and its words.
    Refused { code: i64, message: String },
    /// No answer, or none of etcd's.
    Failed(Failure),
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Failed(failure) => failure,
            CallError::Refused { code, message } => gateway::refusal(code, &message),
        }
    }
}

/// A client of all endpoints. One question at a time.
pub struct Arbiter {
    sessions: Vec<Session>,
    /// The one that answered last.
    at: usize,
    left: Left,
    prefix: String,
    request_timeout: Duration,
}

impl Arbiter {
    /// Connects when first asked. Endpoints that are none are reported by every question.
    #[must_use]
    pub fn new(settings: &settings::Arbiter) -> Self {
        let token = session::Token::default();
        let endpoints = settings.endpoints.iter().take(settings::table::ARBITER_ENDPOINTS_MAX);
        Self {
            sessions: endpoints.map(|endpoint| Session::new(endpoint, settings, token.clone())).collect(),
            at: 0,
            left: Left::default(),
            prefix: settings.prefix.clone(),
            request_timeout: Duration::from_millis(settings.request_timeout),
        }
    }

    /// The longest that [`Arbiter::ask`] takes.
    #[must_use]
    pub fn longest(&self) -> Duration {
        self.request_timeout * u32::try_from(self.sessions.len()).unwrap_or(1) + SLACK
    }

    /// Asks: at the endpoint that answered last, then at each of the others, each within the request timeout. `lease_s`: time
    /// to live of a lease that is taken.
    pub async fn ask(&mut self, pair: PairId, ask: &Ask, lease_s: u64) -> VoteAnswer {
        if self.sessions.is_empty() {
            return VoteAnswer::Silent("no arbiter is configured".into());
        }
        let limit = self.longest();
        let mut failures: Vec<String> = Vec::new();
        let asked = timeout_at(Instant::now() + limit, self.ask_each(pair, ask, lease_s, &mut failures));
        if let Ok(Some(answer)) = asked.await {
            return answer;
        }
        if failures.is_empty() {
            failures.push(format!("no answer within {} ms", limit.as_millis()));
        }
        VoteAnswer::Silent(failures.join("; "))
    }

    /// Which arbiter answered last, by the mark of its record; 0: not known.
    #[must_use]
    pub fn mark(&self) -> u64 {
        self.left.mark
    }

    async fn ask_each(
        &mut self,
        pair: PairId,
        ask: &Ask,
        lease_s: u64,
        failures: &mut Vec<String>,
    ) -> Option<VoteAnswer> {
        let keys = Keys::new(&self.prefix, pair);
        let count = self.sessions.len();
        let first = self.at;
        for at in (0..count).map(|step| (first + step) % count) {
            let session = self.sessions.get_mut(at)?;
            session.begin(self.request_timeout);
            match question::put(session, &keys, ask, lease_s, &mut self.left).await {
                Ok(answer) => {
                    self.at = at;
                    return Some(answer);
                }
                Err(failure) => {
                    failures.push(format!("{}: {}", session.endpoint(), failure.why()));
                    if matches!(failure, Failure::Final(_)) {
                        self.at = at;
                        return None;
                    }
                }
            }
            // The next question does not wait for this one first.
            self.at = (at + 1) % count;
        }
        None
    }
}
