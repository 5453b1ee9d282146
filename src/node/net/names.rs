//! Addresses of names, with the last good answer for the time when no name server answers (spec 2.3).

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;

/// Most addresses used of one name.
pub const ADDRESSES_MAX: usize = 16;
/// Most names remembered.
pub const NAMES_MAX: usize = 64;
/// Most questions under way: each holds a thread until the system gives up.
pub const QUESTIONS_MAX: usize = 8;

/// Longest wait for a name server when an earlier answer is known: the pair must not depend on its mood.
const WAIT_WITH_KNOWN_MS: u64 = 300;

/// Finds the addresses of a name; blocks.
pub type Resolver = Arc<dyn Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync>;

/// What a name is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Resolved {
    pub(super) addresses: Vec<IpAddr>,
    /// No name server answered; this is the last good answer.
    pub(super) is_old: bool,
}

pub(super) struct Names {
    resolver: Resolver,
    limit_ms: u64,
    questions: Arc<Semaphore>,
    known: Arc<Known>,
}

/// Last good answers.
#[derive(Default)]
struct Known(Mutex<BTreeMap<String, Vec<IpAddr>>>);

impl Known {
    fn get(&self, key: &str) -> Option<Vec<IpAddr>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    fn remember(&self, key: String, addresses: &[IpAddr]) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= NAMES_MAX && !known.contains_key(&key) {
            known.clear();
        }
        known.insert(key, addresses.to_vec());
    }
}

enum Failure {
    /// The name server says that there is no such name: an answer, so no earlier one counts.
    NoSuchName,
    NoAnswer(String),
}

impl Names {
    pub(super) fn new(resolver: Option<Resolver>, limit_ms: u64) -> Self {
        Self {
            resolver: resolver.unwrap_or_else(|| Arc::new(ask_the_system)),
            limit_ms,
            questions: Arc::new(Semaphore::new(QUESTIONS_MAX)),
            known: Arc::default(),
        }
    }

    /// Every address of `host`, IPv4 mapped into IPv6 as IPv4. An address is itself.
    pub(super) async fn resolve(&self, host: &str) -> Result<Resolved, String> {
        let host = host.trim();
        if let Ok(address) = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
            return Ok(Resolved { addresses: vec![address.to_canonical()], is_old: false });
        }
        if host.is_empty() {
            return Err("no name given".into());
        }
        let key = host.to_ascii_lowercase();
        let known = self.known.get(&key);
        match self.ask(host, key, known.is_some()).await {
            Ok(addresses) => Ok(Resolved { addresses, is_old: false }),
            Err(Failure::NoSuchName) => Err(format!("there is no host of the name {host}")),
            Err(Failure::NoAnswer(why)) => {
                let no_answer = || format!("the name {host} could not be resolved: {why}");
                known.map(|addresses| Resolved { addresses, is_old: true }).ok_or_else(no_answer)
            }
        }
    }

    async fn ask(&self, host: &str, key: String, is_known: bool) -> Result<Vec<IpAddr>, Failure> {
        let Ok(permit) = self.questions.clone().try_acquire_owned() else {
            return Err(Failure::NoAnswer("too many questions wait for the name server".into()));
        };
        let (resolver, known, name) = (self.resolver.clone(), self.known.clone(), host.to_owned());
        let question = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let addresses = distinct(resolver(&name)?);
            if !addresses.is_empty() {
                // Also when nobody waits any more: then it is known for the next time.
                known.remember(key, &addresses);
            }
            Ok::<_, io::Error>(addresses)
        });
        let wait_ms = if is_known { self.limit_ms.min(WAIT_WITH_KNOWN_MS) } else { self.limit_ms };
        match tokio::time::timeout(Duration::from_millis(wait_ms), question).await {
            Err(_) => Err(Failure::NoAnswer(format!("no answer within {wait_ms} ms"))),
            Ok(Err(error)) => Err(Failure::NoAnswer(error.to_string())),
            Ok(Ok(Err(error))) if is_no_such_name(&error) => Err(Failure::NoSuchName),
            Ok(Ok(Err(error))) => Err(Failure::NoAnswer(error.to_string())),
            Ok(Ok(Ok(addresses))) if addresses.is_empty() => Err(Failure::NoSuchName),
            Ok(Ok(Ok(addresses))) => Ok(addresses),
        }
    }
}

fn distinct(addresses: Vec<IpAddr>) -> Vec<IpAddr> {
    let mut addresses: Vec<IpAddr> = addresses.into_iter().map(|address| address.to_canonical()).collect();
    let mut seen = BTreeSet::new();
    addresses.retain(|address| seen.insert(*address));
    addresses.truncate(ADDRESSES_MAX);
    addresses
}

/// The standard library gives the system's sentence alone.
fn is_no_such_name(error: &io::Error) -> bool {
    let text = error.to_string();
    ["Name or service not known", "No address associated", "Name does not resolve"].iter().any(|no| text.contains(no))
}

fn ask_the_system(host: &str) -> io::Result<Vec<IpAddr>> {
    Ok((host, 0).to_socket_addrs()?.map(|address| address.ip()).collect())
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// spec 2.3: a name server that has become slow costs 300 ms, and its late answer is the next good one.
    #[tokio::test]
    async fn the_last_good_answer_serves_while_no_name_server_answers() {
        let (answers, questions) = mpsc::channel::<Vec<IpAddr>>();
        let (answered, seen) = mpsc::channel();
        let questions = Mutex::new(questions);
        let resolver: Resolver = Arc::new(move |_| {
            let answer = questions.lock().unwrap().recv().map_err(io::Error::other);
            answered.send(()).ok();
            answer
        });
        let names = Names::new(Some(resolver), 60_000);
        let [first, second] = ["10.0.0.1", "::ffff:10.0.0.2"].map(|text| text.parse::<IpAddr>().unwrap());
        answers.send(vec![first, first]).unwrap();
        assert_eq!(names.resolve("node-a").await, Ok(Resolved { addresses: vec![first], is_old: false }));
        seen.recv().unwrap();
        assert_eq!(names.resolve("Node-A").await, Ok(Resolved { addresses: vec![first], is_old: true }));
        answers.send(vec![second]).unwrap();
        seen.recv().unwrap();
        let expected = Ok(Resolved { addresses: vec![second.to_canonical()], is_old: true });
        // It is remembered right after it was given.
        for _ in 0..200 {
            if names.resolve("node-a").await == expected {
                drop(answers);
                return;
            }
        }
        panic!("the late answer is not remembered");
    }

    #[tokio::test]
    async fn an_address_is_itself() {
        let names = Names::new(Some(Arc::new(|_| Err(io::Error::other("asked")))), 1_000);
        for (text, address) in [("10.0.0.1", "10.0.0.1"), ("[fd00::1]", "fd00::1"), ("::ffff:10.0.0.1", "10.0.0.1")] {
            assert_eq!(names.resolve(text).await.unwrap().addresses, [address.parse::<IpAddr>().unwrap()]);
        }
        assert!(names.resolve("node-a").await.unwrap_err().contains("asked"));
        assert!(names.resolve(" ").await.is_err());
    }
}
