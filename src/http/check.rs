//! Asks a place once, for its status (spec 7.2): what HTTP and HTTPS takeover checks and health checks are made of.

use std::sync::Arc;
use std::time::Duration;

use super::{Client, Request, Target, TlsFiles};

/// Largest answer that is read, bytes; what it says is of no interest.
const BODY_MAX_BYTES: usize = 1024 * 1024;

/// The status that `url` answers with, within `limit` in all: name, connection, TLS, answer. No redirect is followed. The
/// certificate of the server is checked against those that the operating system trusts.
///
/// # Errors
/// Why there is none, as a clause for people: `refused by 192.0.2.1:443`.
pub async fn status(url: &str, limit: Duration) -> Result<u16, String> {
    let place = Target::parse(url)?;
    let path = place.path.clone();
    let mut client = Client::new(place, Arc::new(TlsFiles::default()));
    let request = Request { path: &path, json: None, authorization: None, body_max: BODY_MAX_BYTES };
    client.send(request, limit).await.map(|answer| answer.status).map_err(|error| error.why)
}
