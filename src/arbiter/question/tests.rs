use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use uuid::Uuid;

use super::super::gateway::{GRANT, KEEP_ALIVE, REVOKE, TXN};
use super::*;
use crate::engine::base::{InstanceId, PairId, Run, Term};
use crate::engine::vote::{Claim, Denial};

/// Just enough of etcd, in memory, with what may go wrong.
#[derive(Default)]
struct Fake {
    /// Key to value, revision, lease.
    keys: BTreeMap<String, (String, i64, i64)>,
    leases: BTreeMap<i64, u64>,
    revision: i64,
    next_lease: i64,
    raft_term: u64,
    calls: Vec<&'static str>,
    /// At each of these calls, counted from 1, a new leader was chosen just before.
    leader_changes: Vec<usize>,
    /// The answers of these calls are lost, after they took effect.
    lost: Vec<usize>,
    /// Before each write somebody else writes the record.
    is_busy: bool,
    /// Before each write all leases end.
    leases_end: bool,
}

impl Fake {
    fn new() -> Self {
        Self { raft_term: 2, next_lease: 100, ..Self::default() }
    }

    fn expire(&mut self, id: i64) {
        self.leases.remove(&id);
        self.keys.retain(|_, (_, _, lease)| *lease != id);
    }

    fn range(&self, key: &Value) -> Value {
        let key = key.as_str().unwrap();
        match self.keys.get(key) {
            None => json!({"response_range": {"header": {}}}),
            Some((value, revision, lease)) => {
                let mut kv = json!({"key": key, "value": value, "mod_revision": revision.to_string()});
                if *lease != 0 {
                    kv["lease"] = json!(lease.to_string());
                }
                json!({"response_range": {"kvs": [kv], "count": "1"}})
            }
        }
    }

    fn txn(&mut self, body: &Value) -> Result<Value, CallError> {
        let none = Vec::new();
        let compare = body["compare"].as_array().unwrap_or(&none);
        let is_write = !compare.is_empty();
        if is_write && self.leases_end {
            self.leases.keys().copied().collect::<Vec<_>>().into_iter().for_each(|id| self.expire(id));
        }
        if is_write && self.is_busy {
            self.revision += 1;
            for entry in self.keys.values_mut() {
                entry.1 = self.revision;
            }
        }
        let as_seen = compare.iter().all(|one| {
            let found = self.keys.get(one["key"].as_str().unwrap()).map_or(0, |(_, revision, _)| *revision);
            found.to_string() == one["mod_revision"].as_str().unwrap()
        });
        if !as_seen {
            return Ok(self.head(json!({})));
        }
        let mut responses = Vec::new();
        self.revision += i64::from(is_write);
        for one in body["success"].as_array().unwrap() {
            if let Some(range) = one.get("request_range") {
                responses.push(self.range(&range["key"]));
            } else if let Some(put) = one.get("request_put") {
                let lease: i64 = put.get("lease").map_or(0, |lease| lease.as_str().unwrap().parse().unwrap());
                if lease != 0 && !self.leases.contains_key(&lease) {
                    let message = "etcdserver: requested lease not found".into();
                    return Err(CallError::Refused { code: gateway::NOT_FOUND, message });
                }
                let text = |name: &str| put[name].as_str().unwrap().to_owned();
                self.keys.insert(text("key"), (text("value"), self.revision, lease));
            } else {
                self.keys.remove(one["request_delete_range"]["key"].as_str().unwrap());
            }
        }
        Ok(self.head(json!({"succeeded": true, "responses": responses})))
    }

    fn head(&self, mut answer: Value) -> Value {
        answer["header"] = json!({"raft_term": self.raft_term.to_string()});
        answer
    }
}

impl Transport for Fake {
    async fn post(&mut self, path: &'static str, body: &Value) -> Result<Value, CallError> {
        self.calls.push(path);
        let number = self.calls.len();
        self.raft_term += u64::from(self.leader_changes.contains(&number));
        let id = || body["ID"].as_str().unwrap().parse::<i64>().unwrap();
        let answer = match path {
            TXN => self.txn(body),
            GRANT => {
                self.next_lease += 1;
                let ttl = body["TTL"].as_str().unwrap().parse().unwrap();
                self.leases.insert(self.next_lease, ttl);
                Ok(self.head(json!({"ID": self.next_lease.to_string(), "TTL": ttl.to_string()})))
            }
            KEEP_ALIVE => {
                let mut result = self.head(json!({"ID": id().to_string()}));
                if let Some(ttl) = self.leases.get(&id()) {
                    result["TTL"] = json!(ttl.to_string());
                }
                Ok(json!({"result": result}))
            }
            REVOKE => {
                self.expire(id());
                Ok(self.head(json!({})))
            }
            other => panic!("{other}"),
        };
        if self.lost.contains(&number) {
            return Err(CallError::Failed(Failure::Endpoint("timed out".into())));
        }
        answer
    }
}

const PAIR: PairId = PairId(Uuid::from_u128(9));

struct Asker {
    number: u128,
    claim: u64,
    left: Left,
}

impl Asker {
    fn new(number: u128) -> Self {
        Self { number, claim: 1, left: Left::default() }
    }

    async fn ask(&mut self, etcd: &mut Fake, known: u64, want: Want) -> Result<VoteAnswer, Failure> {
        let id = |number| InstanceId(Uuid::from_u128(number));
        let claim = Claim { run: Run(1), number: self.claim };
        let ask = Ask { from: id(self.number), peer: id(3 - self.number), known: Term(known), claim, want };
        etcd.calls.clear();
        put(etcd, &Keys::new("/p/", PAIR), &ask, 11, &mut self.left).await
    }
}

async fn met() -> (Fake, Asker, Asker) {
    let (mut etcd, mut first, mut second) = (Fake::new(), Asker::new(1), Asker::new(2));
    first.ask(&mut etcd, 1, Want::Renew(Term(1))).await.unwrap();
    second.ask(&mut etcd, 1, Want::Look).await.unwrap();
    assert_eq!(first.ask(&mut etcd, 1, Want::Renew(Term(1))).await, Ok(VoteAnswer::Confirmed));
    (etcd, first, second)
}

fn key(name: &str) -> String {
    STANDARD.encode(format!("/p/{PAIR}/{name}"))
}

/// spec 7.11: a renewal keeps the lease alive first and reads then; nothing is written.
#[tokio::test]
async fn a_renewal_keeps_alive_and_then_reads() {
    let (mut etcd, mut first, _) = met().await;
    let revision = etcd.revision;
    assert_eq!(first.ask(&mut etcd, 1, Want::Renew(Term(1))).await, Ok(VoteAnswer::Confirmed));
    assert_eq!(etcd.calls, [KEEP_ALIVE, TXN]);
    assert_eq!(etcd.revision, revision);
    // One that does not know its lease finds it, and believes it only after it was kept alive.
    first.left.own = None;
    assert_eq!(first.ask(&mut etcd, 1, Want::Renew(Term(1))).await, Ok(VoteAnswer::Confirmed));
    assert_eq!(etcd.calls, [TXN, KEEP_ALIVE, TXN]);
}

/// spec 7.11: what a leader kept alive that was deposed meanwhile counts for nothing; it is done again.
#[tokio::test]
async fn a_deposed_leader_keeps_nothing_alive() {
    let (mut etcd, mut first, _) = met().await;
    etcd.leader_changes = vec![2];
    assert_eq!(first.ask(&mut etcd, 1, Want::Renew(Term(1))).await, Ok(VoteAnswer::Confirmed));
    assert_eq!(etcd.calls, [KEEP_ALIVE, TXN, KEEP_ALIVE, TXN]);
    etcd.leader_changes = (1..100).collect();
    let failure = first.ask(&mut etcd, 1, Want::Renew(Term(1))).await.unwrap_err();
    assert!(failure.why().contains("changed 8 times"), "{failure:?}");
}

/// spec 7.11: a lease that is gone is taken anew.
#[tokio::test]
async fn a_lease_that_is_gone_is_taken_anew() {
    let (mut etcd, mut first, mut second) = met().await;
    let id = first.left.own.unwrap().id;
    etcd.expire(id);
    assert_eq!(first.ask(&mut etcd, 1, Want::Renew(Term(1))).await, Ok(VoteAnswer::Confirmed));
    assert_eq!(etcd.calls, [KEEP_ALIVE, TXN, GRANT, TXN]);
    assert_ne!(first.left.own.unwrap().id, id);
    let denied = second.ask(&mut etcd, 1, Want::Grant(Term(2))).await.unwrap();
    assert!(matches!(denied, VoteAnswer::Denied(Denial::Leased, _)), "{denied:?}");
}

/// spec 7.11: whoever finds that something was written meanwhile decides anew, not for ever, and leaves no lease behind.
#[tokio::test]
async fn a_conflict_is_decided_anew() {
    let (mut etcd, mut first, mut second) = met().await;
    assert_eq!(first.ask(&mut etcd, 1, Want::Release(Term(1))).await, Ok(VoteAnswer::Released));
    etcd.is_busy = true;
    let failure = second.ask(&mut etcd, 1, Want::Grant(Term(2))).await.unwrap_err();
    assert!(matches!(failure, Failure::Endpoint(_)), "{failure:?}");
    assert_eq!(etcd.calls.iter().filter(|path| **path == GRANT).count(), 1, "{:?}", etcd.calls);
    assert_eq!(etcd.calls.iter().filter(|path| **path == TXN).count(), 2 * ROUNDS_MAX);
    etcd.is_busy = false;
    assert_eq!(second.ask(&mut etcd, 1, Want::Grant(Term(2))).await, Ok(VoteAnswer::Granted));
}

/// spec 7.11: a lease that ended before it was used is no vote.
#[tokio::test]
async fn a_lease_that_ends_before_its_use_is_none() {
    let (mut etcd, mut first, mut second) = met().await;
    assert_eq!(first.ask(&mut etcd, 1, Want::Release(Term(1))).await, Ok(VoteAnswer::Released));
    etcd.leases_end = true;
    let answer = second.ask(&mut etcd, 1, Want::Grant(Term(2))).await;
    assert!(answer.is_err(), "{answer:?}");
    assert!(!etcd.keys.contains_key(&key("lease")));
}

/// spec 7.11: a grant whose answer was lost is granted again; a release is not repeated by itself.
#[tokio::test]
async fn lost_answers() {
    let (mut etcd, mut first, mut second) = met().await;
    etcd.lost = vec![2];
    let failure = first.ask(&mut etcd, 1, Want::Release(Term(1))).await.unwrap_err();
    assert!(matches!(&failure, Failure::Final(why) if why.contains("is not known")), "{failure:?}");
    assert!(!etcd.keys.contains_key(&key("lease")), "it took effect");
    etcd.lost = vec![3];
    let failure = second.ask(&mut etcd, 1, Want::Grant(Term(2))).await.unwrap_err();
    assert!(matches!(failure, Failure::Endpoint(_)), "{failure:?}");
    etcd.lost.clear();
    assert_eq!(second.ask(&mut etcd, 1, Want::Grant(Term(2))).await, Ok(VoteAnswer::Granted));
    assert_eq!(etcd.calls, [TXN, KEEP_ALIVE, TXN]);
}

/// spec 7.11: a lease that was made in vain is ended.
#[tokio::test]
async fn a_lease_made_in_vain_is_ended() {
    let (mut etcd, mut first, mut second) = met().await;
    assert_eq!(first.ask(&mut etcd, 1, Want::Release(Term(1))).await, Ok(VoteAnswer::Released));
    // As if the first had asked between the second's read and its write.
    let keys = Keys::new("/p/", PAIR);
    let id = |number| InstanceId(Uuid::from_u128(number));
    let claim = Claim { run: Run(1), number: 1 };
    let ask = Ask { from: id(2), peer: id(1), known: Term(1), claim, want: Want::Grant(Term(2)) };
    etcd.calls.clear();
    let answer = {
        let mut question = Question {
            transport: &mut etcd,
            keys: &keys,
            ask: &ask,
            lease_s: 11,
            own: &mut second.left.own,
            mark: &mut second.left.mark,
            alive: None,
            spare: None,
        };
        let seen = question.read().await.unwrap();
        assert_eq!(question.spare_lease().await, Ok(question.spare.unwrap()));
        first.claim += 1;
        assert_eq!(first.ask(question.transport, 1, Want::Renew(Term(1))).await, Ok(VoteAnswer::Confirmed));
        assert_eq!(question.decide(&seen).await, Ok(None));
        question.rounds().await
    };
    assert!(matches!(answer, Ok(VoteAnswer::Denied(Denial::Leased, _))), "{answer:?}");
}
