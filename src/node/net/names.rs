//! Addresses of names, with the last good answer for the time when no name server answers (spec 2.3).

use std::collections::BTreeMap;
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
    limit: Duration,
    questions: Arc<Semaphore>,
    known: Mutex<BTreeMap<String, Vec<IpAddr>>>,
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
            limit: Duration::from_millis(limit_ms),
            questions: Arc::new(Semaphore::new(QUESTIONS_MAX)),
            known: Mutex::default(),
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
        match self.ask(host).await {
            Ok(addresses) => {
                self.remember(key, &addresses);
                Ok(Resolved { addresses, is_old: false })
            }
            Err(Failure::NoSuchName) => Err(format!("there is no host of the name {host}")),
            Err(Failure::NoAnswer(why)) => {
                let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
                let no_answer = || format!("the name {host} could not be resolved: {why}");
                known.map(|addresses| Resolved { addresses, is_old: true }).ok_or_else(no_answer)
            }
        }
    }

    async fn ask(&self, host: &str) -> Result<Vec<IpAddr>, Failure> {
        let Ok(permit) = self.questions.clone().try_acquire_owned() else {
            return Err(Failure::NoAnswer("too many questions wait for the name server".into()));
        };
        let (resolver, name) = (self.resolver.clone(), host.to_owned());
        let question = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            resolver(&name)
        });
        let answer = match tokio::time::timeout(self.limit, question).await {
            Err(_) => return Err(Failure::NoAnswer(format!("no answer within {} ms", self.limit.as_millis()))),
            Ok(Err(error)) => return Err(Failure::NoAnswer(error.to_string())),
            Ok(Ok(Err(error))) if is_no_such_name(&error) => return Err(Failure::NoSuchName),
            Ok(Ok(Err(error))) => return Err(Failure::NoAnswer(error.to_string())),
            Ok(Ok(Ok(addresses))) => addresses,
        };
        let mut addresses: Vec<IpAddr> = answer.into_iter().map(|address| address.to_canonical()).collect();
        let mut seen = std::collections::BTreeSet::new();
        addresses.retain(|address| seen.insert(*address));
        addresses.truncate(ADDRESSES_MAX);
        if addresses.is_empty() { Err(Failure::NoSuchName) } else { Ok(addresses) }
    }

    fn remember(&self, key: String, addresses: &[IpAddr]) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= NAMES_MAX && !known.contains_key(&key) {
            known.clear();
        }
        known.insert(key, addresses.to_vec());
    }
}

/// The standard library gives the system's sentence alone.
fn is_no_such_name(error: &io::Error) -> bool {
    let text = error.to_string();
    ["Name or service not known", "No address associated", "Name does not resolve"].iter().any(|no| text.contains(no))
}

fn ask_the_system(host: &str) -> io::Result<Vec<IpAddr>> {
    Ok((host, 0).to_socket_addrs()?.map(|address| address.ip()).collect())
}
