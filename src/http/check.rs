//! HTTP and HTTPS takeover checks (spec 7.2): does a place that a connected machine reaches answer as expected?

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Client, Request, Target, TlsFiles};
use crate::engine::settings::http_check::HttpCheck;
use crate::engine::status::CheckResult;

/// Largest answer that is read, bytes; what it says is of no interest.
const BODY_MAX_BYTES: usize = 1024 * 1024;

/// Asks for a URL, as `takeover_checks.http` writes it (`https://gw.example.net/health 200`), within `limit` in all. Certificates
/// of a server are checked against those of the operating system.
pub async fn check(target: &str, limit: Duration) -> CheckResult {
    check_with(target, limit, TlsFiles::default()).await
}

async fn check_with(target: &str, limit: Duration, tls: TlsFiles) -> CheckResult {
    let begin = Instant::now();
    let outcome = ask(target, limit, tls).await;
    let took_ms = begin.elapsed().as_secs_f64() * 1_000.0;
    CheckResult {
        target: target.to_owned(),
        ok: outcome.is_ok(),
        message: outcome.map_or_else(|why| why, |status| format!("{status} after {took_ms:.1} ms")),
    }
}

async fn ask(target: &str, limit: Duration, tls: TlsFiles) -> Result<u16, String> {
    let wanted = HttpCheck::parse(target)?;
    let place = Target::parse(&wanted.url)?;
    let path = place.path.clone();
    let mut client = Client::new(place, Arc::new(tls));
    let request = Request { path: &path, json: None, authorization: None, body_max: BODY_MAX_BYTES };
    let status = client.send(request, limit).await.map_err(|error| error.why)?.status;
    if wanted.accepts(status) { Ok(status) } else { Err(format!("answered {status}, expected {}", wanted.expected())) }
}
