//! Reaches every endpoint step by step, for operators (spec 7.11): name, TCP, TLS, version, logon, read, write.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, timeout};
use uuid::Uuid;

use super::gateway::{self, Keys};
use super::session::{Session, Token};
use super::{Failure, Transport};
use crate::engine::base::PairId;
use crate::engine::settings;
use crate::engine::status::LinkStep;
use crate::http::{Target, TlsFiles, connect};

/// Reads whose time is told, at one endpoint.
const READS: u32 = 5;
/// Time to live of what is written, s: it is removed at once, and by itself should that fail.
const TEST_LEASE_S: u64 = 10;
/// The oldest etcd that speaks this way.
const OLDEST: (u32, u32) = (3, 4);

/// What became of one endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointProbe {
    /// As the settings write it.
    pub endpoint: String,
    /// In order; after one that failed, none was tried.
    pub steps: Vec<LinkStep>,
}

impl EndpointProbe {
    /// Every step went well.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.steps.iter().all(|step| step.ok == Some(true))
    }

    fn add(&mut self, name: &str, outcome: Result<String, String>) -> Option<()> {
        let ok = outcome.is_ok();
        let message = outcome.unwrap_or_else(|why| why);
        self.steps.push(LinkStep { name: name.into(), ok: Some(ok), message });
        ok.then_some(())
    }
}

/// Tries all endpoints, one after the other, each step within the request timeout. `pair`: whose keys are read. `writes`: also
/// write a key of its own under the prefix, and remove it.
pub async fn probe(settings: &settings::Arbiter, pair: PairId, writes: bool) -> Vec<EndpointProbe> {
    let mut found = Vec::new();
    for endpoint in settings.endpoints.iter().take(settings::table::ARBITER_ENDPOINTS_MAX) {
        let mut one = EndpointProbe { endpoint: endpoint.clone(), steps: Vec::new() };
        // None: a step failed, and says so itself.
        let _ = walk(&mut one, settings, pair, writes).await;
        found.push(one);
    }
    found
}

async fn walk(found: &mut EndpointProbe, settings: &settings::Arbiter, pair: PairId, writes: bool) -> Option<()> {
    let limit = Duration::from_millis(settings.request_timeout);
    reach(found, settings, limit).await?;
    let mut session = Session::new(&found.endpoint, settings, Token::default());
    session.begin(limit);
    let version = version(&mut session).await;
    found.add("version", version)?;
    if !settings.user.is_empty() {
        session.begin(limit);
        let logon = session.log_on().await;
        let said = logon.map(|is_on| match is_on {
            true => format!("as {}", settings.user),
            false => "etcd has its authentication switched off: every client may write the keys".into(),
        });
        found.add("logon", said.map_err(why))?;
    }
    let read = read(&mut session, &Keys::new(&settings.prefix, pair), limit).await;
    found.add("read", read)?;
    if writes {
        session.begin(limit);
        let begin = Instant::now();
        let written = write(&mut session, &settings.prefix).await;
        found.add("write", written.map(|()| format!("a test key, removed again, {}", took(begin))).map_err(why))?;
    }
    Some(())
}

/// Name, TCP and TLS.
async fn reach(found: &mut EndpointProbe, settings: &settings::Arbiter, limit: Duration) -> Option<()> {
    let late = |doing: &str| format!("timed out after {} ms {doing}", limit.as_millis());
    let target = match Target::parse(&found.endpoint) {
        Ok(target) => target,
        Err(why) => return found.add("address", Err(why)),
    };
    let looked_up = timeout(limit, connect::addresses(&target)).await;
    let addresses = looked_up.unwrap_or_else(|_| Err(late("looking up its name")));
    let list = |all: &Vec<std::net::SocketAddr>| {
        all.iter().map(|address| address.ip().to_string()).collect::<Vec<_>>().join(", ")
    };
    found.add("name", addresses.as_ref().map(list).map_err(Clone::clone))?;
    let begin = Instant::now();
    let connected = timeout(limit, connect::tcp(&addresses.unwrap_or_default())).await;
    let stream = connected.unwrap_or_else(|_| Err(late("connecting")));
    found.add("TCP", stream.as_ref().map(|_| took(begin)).map_err(Clone::clone))?;
    if !target.is_tls {
        return Some(());
    }
    let path = |file: &Option<String>| file.as_ref().map(PathBuf::from);
    let (certificate, key) = (path(&settings.certificate_file), path(&settings.key_file));
    let tls = TlsFiles { roots: path(&settings.ca_file), certificate, key };
    let begin = Instant::now();
    let secured = match stream {
        Ok(stream) => timeout(limit, connect::secure(stream, &target, &tls)).await,
        Err(why) => return found.add("TLS", Err(why)),
    };
    let secured = secured.unwrap_or_else(|_| Err(late("agreeing on TLS")));
    found.add("TLS", secured.map(|_| format!("its certificate is trusted, {}", took(begin))))
}

async fn version(session: &mut Session) -> Result<String, String> {
    let response = session.get("/version").await.map_err(why)?;
    let said: Option<serde_json::Value> = serde_json::from_slice(&response.body).ok();
    let version = said.as_ref().and_then(|said| said.get("etcdserver")?.as_str());
    let Some(version) = version else { return Err("it does not say its version (is this etcd?)".into()) };
    let mut numbers = version.split('.').map(|number| number.parse::<u32>().unwrap_or(0));
    let (major, minor) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if (major, minor) < OLDEST {
        return Err(format!("etcd {version} is too old: {}.{} or newer is needed", OLDEST.0, OLDEST.1));
    }
    Ok(format!("etcd {version}"))
}

async fn read(session: &mut Session, keys: &Keys, limit: Duration) -> Result<String, String> {
    let mut best = Duration::MAX;
    let mut found = String::new();
    for _ in 0..READS {
        session.begin(limit);
        let begin = Instant::now();
        let answer = session.post(gateway::TXN, &gateway::read(keys)).await.map_err(|error| why(error.into()))?;
        best = best.min(begin.elapsed());
        let seen = gateway::seen(keys, &answer).map_err(why)?;
        let lease = if seen.lease.is_some() { "a lease runs" } else { "no lease runs" };
        found = match seen.record {
            None => "nothing of this pair yet".into(),
            Some(record) => format!("term {}, {lease}", record.value.highest()),
        };
    }
    Ok(format!("{found}; round trip {:.1} ms", best.as_secs_f64() * 1_000.0))
}

async fn write(session: &mut Session, prefix: &str) -> Result<(), Failure> {
    let key = gateway::coded(&format!("{}/test-{}", prefix.trim_end_matches('/'), Uuid::new_v4()));
    let lease = json!({"TTL": TEST_LEASE_S.to_string()});
    let lease = gateway::alive(&session.post(gateway::GRANT, &lease).await?)?;
    let put = json!({"success": [{"request_put": {"key": key, "value": "", "lease": lease.id.to_string()}}]});
    let outcome = session.post(gateway::TXN, &put).await;
    // The key goes with its lease.
    let revoked = session.post(gateway::REVOKE, &json!({"ID": lease.id.to_string()})).await;
    outcome?;
    revoked?;
    Ok(())
}

fn took(begin: Instant) -> String {
    format!("{:.1} ms", begin.elapsed().as_secs_f64() * 1_000.0)
}

fn why(failure: Failure) -> String {
    failure.why().to_owned()
}
