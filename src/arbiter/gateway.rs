//! etcd's JSON gateway: whole numbers as text, bytes as base64, what is zero left out. The same from etcd 3.4 on.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::Failure;
use crate::engine::base::PairId;
use crate::engine::vote::{KNOWN_MAX, Lease, VoteRecord};
use crate::http::shortened;

/// Read and write keys.
pub const TXN: &str = "/v3/kv/txn";
/// Make a lease.
pub const GRANT: &str = "/v3/lease/grant";
/// Give a lease its whole time again.
pub const KEEP_ALIVE: &str = "/v3/lease/keepalive";
/// End a lease.
pub const REVOKE: &str = "/v3/lease/revoke";
/// A token for a user and its password.
pub const AUTHENTICATE: &str = "/v3/auth/authenticate";
/// gRPC: there is no such lease.
pub const NOT_FOUND: i64 = 5;
/// gRPC: not now; what `authenticate` says when authentication is switched off.
pub const FAILED_PRECONDITION: i64 = 9;
/// Largest value of a key that is looked at, bytes.
const VALUE_MAX_BYTES: usize = 16 * 1024;

/// The keys of a pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    /// Kept for ever.
    pub record: String,
    /// Gone with its lease.
    pub lease: String,
}

impl Keys {
    /// `PREFIX/PAIR/vote` and `PREFIX/PAIR/lease`.
    pub fn new(prefix: &str, pair: PairId) -> Self {
        let prefix = prefix.trim_end_matches('/');
        Self { record: format!("{prefix}/{pair}/vote"), lease: format!("{prefix}/{pair}/lease") }
    }
}

/// A value as it stands in etcd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held<T> {
    /// The value.
    pub value: T,
    /// Changes with every write.
    pub revision: i64,
    /// The lease it goes with; 0: none.
    pub lease: i64,
}

/// What a read found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The record; none: never written, or wiped.
    pub record: Option<Held<VoteRecord>>,
    /// The lease; none: over.
    pub lease: Option<Held<Lease>>,
    /// How often etcd had chosen a leader.
    pub raft_term: u64,
}

/// One transaction that only reads: both keys at one moment, and as the majority has them.
pub fn read(keys: &Keys) -> Value {
    json!({"success": [
        {"request_range": {"key": coded(&keys.record)}},
        {"request_range": {"key": coded(&keys.lease)}},
    ]})
}

/// Understands the answer to [`read`].
pub fn seen(keys: &Keys, answer: &Value) -> Result<Seen, Failure> {
    let responses = answer.get("responses").and_then(Value::as_array).ok_or_else(|| strange("its keys"))?;
    let [record, lease] = responses.as_slice() else { return Err(strange("its keys")) };
    let lease: Option<Held<Lease>> = held(&keys.lease, lease, parsed)?;
    if lease.as_ref().is_some_and(|lease| lease.lease == 0) {
        return Err(Failure::Final(format!(
            "key {0} goes with no lease and would never end: nobody but Standin may write it; etcdctl del {0}",
            keys.lease
        )));
    }
    Ok(Seen { record: held(&keys.record, record, parse_record)?, lease, raft_term: raft_term(answer)? })
}

/// A record has a term, and names few instances; anything else is somebody else's.
fn parse_record(text: &[u8]) -> Option<VoteRecord> {
    let value: Value = parsed(text)?;
    value.get("term")?;
    serde_json::from_value::<VoteRecord>(value).ok().filter(|record| record.known.len() <= KNOWN_MAX)
}

fn parsed<T: DeserializeOwned>(text: &[u8]) -> Option<T> {
    serde_json::from_slice(text).ok()
}

fn held<T>(key: &str, response: &Value, parse: fn(&[u8]) -> Option<T>) -> Result<Option<Held<T>>, Failure> {
    let range = response.get("response_range").and_then(Value::as_object).ok_or_else(|| strange("its keys"))?;
    let Some(kvs) = range.get("kvs") else { return Ok(None) };
    let [kv] = kvs.as_array().map(Vec::as_slice).unwrap_or_default() else { return Err(strange("its keys")) };
    if !kv.is_object() {
        return Err(strange("its keys"));
    }
    // An empty value is left out, like a zero.
    let text = kv.get("value").map_or(Some(""), Value::as_str).ok_or_else(|| strange("a value"))?;
    let bytes = STANDARD.decode(text).map_err(|_| strange("a value"))?;
    let value = Some(bytes).filter(|bytes| bytes.len() <= VALUE_MAX_BYTES).and_then(|bytes| parse(&bytes));
    let value = value.ok_or_else(|| {
        Failure::Final(format!(
            "key {key} holds something that Standin did not write: look at it (etcdctl get {key}), and if nothing else needs it \
             delete it (etcdctl del {key}); both instances then write it anew"
        ))
    })?;
    let revision = number(kv, "mod_revision").filter(|revision| *revision > 0).ok_or_else(|| strange("a key"))?;
    Ok(Some(Held { value, revision, lease: number(kv, "lease").ok_or_else(|| strange("a key"))? }))
}

/// One transaction: if both keys are as they were seen, write. `lease`: none: leave it; `Some(None)`: delete it; else put it
/// with that lease.
pub fn write(keys: &Keys, seen: &Seen, record: Option<&VoteRecord>, lease: Option<Option<(&Lease, i64)>>) -> Value {
    let is_as_seen = |key: &str, revision: i64| json!({"key": coded(key), "target": "MOD", "result": "EQUAL", "mod_revision": revision.to_string()});
    let mut success = Vec::new();
    success.extend(record.map(
        |record| json!({"request_put": {"key": coded(&keys.record), "value": coded(&json!(record).to_string())}}),
    ));
    success.extend(lease.map(|lease| match lease {
        None => json!({"request_delete_range": {"key": coded(&keys.lease)}}),
        Some((lease, id)) => json!({"request_put": {
            "key": coded(&keys.lease), "value": coded(&json!(lease).to_string()), "lease": id.to_string(),
        }}),
    }));
    json!({
        "compare": [
            is_as_seen(&keys.record, seen.record.as_ref().map_or(0, |held| held.revision)),
            is_as_seen(&keys.lease, seen.lease.as_ref().map_or(0, |held| held.revision)),
        ],
        "success": success,
    })
}

/// Whether a transaction was carried out.
pub fn succeeded(answer: &Value) -> Result<bool, Failure> {
    raft_term(answer)?;
    match answer.get("succeeded") {
        None => Ok(false),
        Some(value) => value.as_bool().ok_or_else(|| strange("a transaction")),
    }
}

/// A lease that was made or kept alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alive {
    /// Its number.
    pub id: i64,
    /// Seconds it was given; 0: there is none of that number.
    pub ttl_s: u64,
    /// How often etcd had chosen a leader before.
    pub raft_term: u64,
}

/// Understands the answer to [`GRANT`], and the result within that to [`KEEP_ALIVE`].
pub fn alive(answer: &Value) -> Result<Alive, Failure> {
    let wrong = || strange("a lease");
    if let Some(error) = answer.get("error").and_then(Value::as_str).filter(|error| !error.is_empty()) {
        return Err(Failure::Endpoint(format!("it made no lease: {}", shortened(error))));
    }
    let answer = answer.get("result").unwrap_or(answer);
    let id = number(answer, "ID").filter(|id| *id != 0).ok_or_else(wrong)?;
    let ttl_s = number(answer, "TTL").ok_or_else(wrong)?;
    Ok(Alive { id, ttl_s: u64::try_from(ttl_s).unwrap_or(0), raft_term: raft_term(answer)? })
}

fn raft_term(answer: &Value) -> Result<u64, Failure> {
    let header = answer.get("header").ok_or_else(|| strange("a header"))?;
    let term = number(header, "raft_term").and_then(|term| u64::try_from(term).ok()).filter(|term| *term > 0);
    term.ok_or_else(|| strange("a header"))
}

/// A whole number, as text or as one; left out: 0. None: something else.
fn number(object: &Value, name: &str) -> Option<i64> {
    match object.as_object()?.get(name) {
        None => Some(0),
        Some(Value::String(text)) => text.parse().ok(),
        Some(value) => value.as_i64(),
    }
}

/// Bytes as the gateway takes them.
pub fn coded(text: &str) -> String {
    STANDARD.encode(text)
}

fn strange(what: &str) -> Failure {
    Failure::Endpoint(format!("its answer about {what} is none that etcd gives (is this etcd?)"))
}

/// A refusal in etcd's words, with what to do where that is known.
pub fn refusal(code: i64, message: &str) -> Failure {
    /// gRPC: no right to it.
    const PERMISSION_DENIED: i64 = 7;
    let message = shortened(message);
    if message.contains("user name is empty") {
        return Failure::Final("it asks for a user: set arbiter.user and arbiter.password_file".into());
    }
    if message.contains("invalid user ID or password") {
        return Failure::Final("wrong user or password: look at arbiter.user and the password file".into());
    }
    if code == PERMISSION_DENIED {
        return Failure::Final(
            "its user may not read and write the keys of the pair: grant its role readwrite under arbiter.prefix"
                .into(),
        );
    }
    if message.contains("CommonName of client sending a request against gateway") {
        return Failure::Final(
            "it takes no client certificate with a common name from its gateway: use one without, and a user".into(),
        );
    }
    Failure::Endpoint(format!("it refused: {message}"))
}

#[cfg(test)]
mod tests;
