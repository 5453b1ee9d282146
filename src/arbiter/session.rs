//! One endpoint: its connection, and who one is there. Password and token appear nowhere else.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::{CallError, Failure, Transport, gateway};
use crate::engine::settings;
use crate::files;
use crate::http::{Client, Request, Response, Target, TlsFiles, refuse_shared, shortened};

/// Largest answer of etcd, bytes: a few keys.
const ANSWER_MAX_BYTES: usize = 256 * 1024;
/// Largest password file, bytes.
const PASSWORD_MAX_BYTES: u64 = 4 * 1024;
/// Longest token, bytes.
const TOKEN_MAX_BYTES: usize = 16 * 1024;
/// gRPC: who are you?
const UNAUTHENTICATED: i64 = 16;

/// The token of the cluster, shared by its endpoints; wiped when it is replaced.
#[derive(Clone, Default)]
pub struct Token(Arc<Mutex<Option<Arc<Zeroizing<String>>>>>);

impl Token {
    fn get(&self) -> Option<Arc<Zeroizing<String>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, token: Option<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = token.map(|token| Arc::new(Zeroizing::new(token)));
    }
}

/// A user of etcd.
struct User {
    name: String,
    password_file: Option<PathBuf>,
}

/// See the top of this file.
pub struct Session {
    endpoint: String,
    /// The endpoint cannot be one otherwise.
    client: Result<Client, String>,
    user: Option<User>,
    token: Token,
    deadline: Instant,
    limit: Duration,
    /// The next call is the first of a question, which never writes: it may be made twice.
    is_first: bool,
}

impl Session {
    /// Connects when first asked.
    pub fn new(endpoint: &str, settings: &settings::Arbiter, token: Token) -> Self {
        let path = |file: &Option<String>| file.as_ref().map(PathBuf::from);
        let tls = TlsFiles {
            roots: path(&settings.ca_file),
            certificate: path(&settings.certificate_file),
            key: path(&settings.key_file),
        };
        let user = (!settings.user.is_empty())
            .then(|| User { name: settings.user.clone(), password_file: path(&settings.password_file) });
        Self {
            endpoint: endpoint.to_owned(),
            client: Target::parse(endpoint).map(|target| Client::new(target, Arc::new(tls))),
            user,
            token,
            deadline: Instant::now(),
            limit: Duration::ZERO,
            is_first: false,
        }
    }

    /// As the settings write it.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// A question begins: all its calls together may take `limit`.
    pub fn begin(&mut self, limit: Duration) {
        self.deadline = Instant::now() + limit;
        self.limit = limit;
        self.is_first = true;
    }

    /// A GET, for what needs no user.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn get(&mut self, path: &str) -> Result<Response, Failure> {
        self.exchange(Request { path, json: None, authorization: None, body_max: ANSWER_MAX_BYTES }).await
    }

    /// Logs on, where a user is configured. False: etcd has its authentication switched off, or no user is configured.
    ///
    /// # Errors
    /// A password file that cannot be used, a wrong password, no answer.
    pub async fn log_on(&mut self) -> Result<bool, Failure> {
        let Some(user) = &self.user else { return Ok(false) };
        let name = user.name.clone();
        let password = match &user.password_file {
            Some(path) => password(path).map_err(Failure::Final)?,
            None => Zeroizing::new(String::new()),
        };
        // Written by hand into one buffer that is wiped, not through a tree of values that are not.
        let quoted = |text: &str| serde_json::to_string(text).unwrap_or_default();
        let secret = Zeroizing::new(quoted(&password));
        let body = Zeroizing::new(format!("{{\"name\":{},\"password\":{}}}", quoted(&name), *secret));
        let request = Request {
            path: gateway::AUTHENTICATE,
            json: Some(body.as_bytes()),
            authorization: None,
            body_max: ANSWER_MAX_BYTES,
        };
        let answer = match understood(&self.exchange(request).await?) {
            Err(CallError::Refused { code: gateway::FAILED_PRECONDITION, .. }) => {
                self.token.set(None);
                return Ok(false);
            }
            answer => answer?,
        };
        let token = answer.get("token").and_then(Value::as_str);
        let Some(token) = token.filter(|token| !token.is_empty() && token.len() <= TOKEN_MAX_BYTES) else {
            return Err(Failure::Endpoint("it took the password and gave no token".into()));
        };
        self.token.set(Some(token.to_owned()));
        Ok(true)
    }

    async fn exchange(&mut self, request: Request<'_>) -> Result<Response, Failure> {
        let client = self.client.as_mut().map_err(|why| Failure::Endpoint(why.clone()))?;
        let is_first = std::mem::take(&mut self.is_first);
        let late = || Failure::Endpoint(format!("timed out after {} ms", self.limit.as_millis()));
        let left =
            |deadline: Instant| Some(deadline.saturating_duration_since(Instant::now())).filter(|l| !l.is_zero());
        let mut answer = client.send(request, left(self.deadline).ok_or_else(late)?).await;
        if is_first && answer.as_ref().is_err_and(|error| error.was_kept) {
            // A connection of before a restart of etcd.
            answer = client.send(request, left(self.deadline).ok_or_else(late)?).await;
        }
        answer.map_err(|error| match error.late {
            Some(doing) => Failure::Endpoint(format!("timed out after {} ms {doing}", self.limit.as_millis())),
            None => Failure::Endpoint(error.why),
        })
    }

    async fn call(&mut self, path: &'static str, body: &[u8]) -> Result<Value, CallError> {
        let token = self.token.get();
        let authorization = token.as_ref().map(|token| token.as_str());
        let request = Request { path, json: Some(body), authorization, body_max: ANSWER_MAX_BYTES };
        let response = self.exchange(request).await.map_err(CallError::Failed)?;
        understood(&response)
    }
}

impl Transport for Session {
    async fn post(&mut self, path: &'static str, body: &Value) -> Result<Value, CallError> {
        if self.user.is_some() && self.token.get().is_none() {
            self.log_on().await.map_err(CallError::Failed)?;
        }
        let body = body.to_string();
        let outcome = self.call(path, body.as_bytes()).await;
        let is_over = match &outcome {
            Err(CallError::Refused { code, message }) => {
                *code == UNAUTHENTICATED
                    || message.contains("invalid auth token")
                    || message.contains("auth store is old")
                    || (self.user.is_some() && message.contains("user name is empty"))
            }
            _ => false,
        };
        if is_over && self.user.is_some() {
            // Nothing was done: a request without a valid token is refused before anything else.
            self.token.set(None);
            self.log_on().await.map_err(CallError::Failed)?;
            return self.call(path, body.as_bytes()).await;
        }
        outcome
    }
}

/// The password, without the line end after it.
fn password(path: &Path) -> Result<Zeroizing<String>, String> {
    refuse_shared(path).map_err(|why| format!("the password file {why}"))?;
    match files::read_bounded(path, PASSWORD_MAX_BYTES) {
        Ok(Some(bytes)) => {
            let bytes = Zeroizing::new(bytes);
            let text = std::str::from_utf8(&bytes).map_err(|_| format!("{} is no text", path.display()))?;
            Ok(Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned()))
        }
        Ok(None) => Err(format!("the password file {} is not there", path.display())),
        Err(error) => Err(format!("the password file {} cannot be read: {error}", path.display())),
    }
}

/// The object of an answer, or what etcd has against it.
fn understood(response: &Response) -> Result<Value, CallError> {
    let foreign = |what: &str| {
        let text = String::from_utf8_lossy(&response.body);
        let message = format!("it answered {} {what}: {}", response.status, shortened(&text));
        CallError::Failed(Failure::Endpoint(message.trim_end_matches([' ', ':']).to_owned()))
    };
    // An answer that streams is one object a line.
    let first = response.body.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let Some(value) = first_value(first).filter(Value::is_object) else {
        return Err(foreign("with something that is no answer of etcd"));
    };
    let error = value.get("error").filter(|error| !matches!(error, Value::String(text) if text.is_empty()));
    if response.status == 200 && error.is_none() {
        return Ok(value);
    }
    // In a stream the error is an object of its own.
    let inside = error.filter(|error| error.is_object()).unwrap_or(&value);
    let code = ["code", "grpc_code"].iter().find_map(|name| inside.get(name)?.as_i64());
    let message = ["message", "error"].iter().find_map(|name| inside.get(name)?.as_str());
    match (code, message) {
        (Some(code), Some(message)) => Err(CallError::Refused { code, message: message.to_owned() }),
        _ => Err(foreign("with an error that is none of etcd's")),
    }
}

/// The first JSON value: after an error there may stand a trailer.
fn first_value(bytes: &[u8]) -> Option<Value> {
    serde_json::Deserializer::from_slice(bytes).into_iter::<Value>().next()?.ok()
}

#[cfg(test)]
mod tests;
