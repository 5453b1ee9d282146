//! A small HTTP/1.1 client: one connection to one place, kept and made anew when it is gone. No redirects, no proxies (spec
//! 3.5), a limit of time for the whole of a request and of bytes for its answer.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue, USER_AGENT};
use hyper_util::rt::TokioIo;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use connect::Stage;
pub use tls::{TlsFiles, refuse_shared};

pub mod check;
pub mod connect;
mod tls;

/// Largest head of an answer, in bytes.
const HEAD_MAX_BYTES: usize = 64 * 1024;
/// Most header lines of an answer.
const HEADERS_MAX: usize = 100;
/// Longest URL, in bytes.
const URL_MAX_BYTES: usize = 2_048;

/// Where a URL points.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// `https`.
    pub is_tls: bool,
    /// A name, or an address without brackets.
    pub host: String,
    /// The port, by default 80 or 443.
    pub port: u16,
    /// Path and query, at least `/`.
    pub path: String,
}

impl Target {
    /// Reads `http://host[:port][/path]` or `https://…`; neither user nor fragment.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(url: &str) -> Result<Self, String> {
        if url.len() > URL_MAX_BYTES || url.chars().any(|c| c.is_whitespace() || c.is_control() || c == '#') {
            return Err(format!("'{}' is no URL", shortened(url)));
        }
        let (is_tls, rest) = match (url.strip_prefix("https://"), url.strip_prefix("http://")) {
            (Some(rest), _) => (true, rest),
            (_, Some(rest)) => (false, rest),
            _ => return Err(format!("'{}' begins with neither https:// nor http://", shortened(url))),
        };
        let (place, path) = rest.find(['/', '?']).map_or((rest, ""), |at| rest.split_at(at));
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        let wrong = || format!("'{}' names no host and port", shortened(place));
        let (host, port) = match place.strip_prefix('[') {
            Some(inner) => inner.split_once(']').ok_or_else(wrong)?,
            None => place.find(':').map_or((place, ""), |at| place.split_at(at)),
        };
        let port = match port.strip_prefix(':') {
            Some(port) => port.parse().ok().filter(|port| *port != 0).ok_or_else(wrong)?,
            None if port.is_empty() => [80, 443][usize::from(is_tls)],
            None => return Err(wrong()),
        };
        if host.is_empty() || host.contains('@') {
            return Err(wrong());
        }
        Ok(Self { is_tls, host: host.to_owned(), port, path })
    }

    /// `host:port`, an IPv6 address in brackets.
    #[must_use]
    pub fn place(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

/// The beginning of a foreign text, on one line, fit for a message.
#[must_use]
pub fn shortened(text: &str) -> String {
    /// Characters of a foreign text that a message shows.
    const SHOWN_MAX_CHARS: usize = 80;
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(SHOWN_MAX_CHARS).collect();
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Why there is no answer. Its text is a clause for people: `refused by 192.0.2.1:2379`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// For people.
    pub why: String,
    /// The connection was an earlier one: a new one may well do better.
    pub was_kept: bool,
    /// The time was up, while doing this.
    pub late: Option<&'static str>,
}

impl Error {
    fn new(why: impl Into<String>) -> Self {
        Self { why: why.into(), was_kept: false, late: None }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

impl std::error::Error for Error {}

/// What to ask.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Path and query.
    pub path: &'a str,
    /// JSON to post; none: a GET.
    pub json: Option<&'a [u8]>,
    /// `Authorization`; never shown.
    pub authorization: Option<&'a str>,
    /// A larger answer is refused, bytes.
    pub body_max: usize,
}

/// What was answered.
#[derive(Clone, Debug)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// The whole body.
    pub body: Bytes,
}

/// A connection that was made; its task ends with it.
struct Kept {
    sender: SendRequest<Full<Bytes>>,
    task: JoinHandle<()>,
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A client of one place.
pub struct Client {
    target: Target,
    tls: Arc<TlsFiles>,
    kept: Option<Kept>,
}

impl Client {
    /// Connects when first asked.
    #[must_use]
    pub fn new(target: Target, tls: Arc<TlsFiles>) -> Self {
        Self { target, tls, kept: None }
    }

    /// Where it asks.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Asks, within `limit` in all: name, connection, TLS, answer.
    ///
    /// # Errors
    /// In words; whether the request took effect is not known then.
    pub async fn send(&mut self, request: Request<'_>, limit: Duration) -> Result<Response, Error> {
        let stage = Stage::default();
        // Put back only after a whole answer: a connection with half of one is of no use.
        let kept = self.kept.take();
        let work = self.exchange(kept, request, &stage);
        match timeout_at(Instant::now() + limit, work).await {
            Ok(outcome) => outcome,
            Err(_) => {
                let doing = stage.doing();
                let why = format!("timed out after {} ms {doing}", limit.as_millis());
                Err(Error { late: Some(doing), ..Error::new(why) })
            }
        }
    }

    async fn exchange(&mut self, kept: Option<Kept>, request: Request<'_>, stage: &Stage) -> Result<Response, Error> {
        let mut message = self.message(request)?;
        if let Some(mut kept) = kept
            && kept.sender.ready().await.is_ok()
        {
            stage.set(Stage::ANSWER);
            match kept.sender.try_send_request(message).await {
                Ok(answer) => return self.finish(kept, answer, request.body_max).await,
                Err(mut refused) => match refused.take_message() {
                    // Not a byte of it went out: the other side had closed.
                    Some(unsent) => message = unsent,
                    None => return Err(Error { was_kept: true, ..self.explain(refused.error()) }),
                },
            }
        }
        let mut fresh = self.connect(stage).await?;
        stage.set(Stage::ANSWER);
        let answer = fresh.sender.send_request(message).await.map_err(|error| self.explain(&error))?;
        self.finish(fresh, answer, request.body_max).await
    }

    async fn connect(&self, stage: &Stage) -> Result<Kept, Error> {
        let stream = connect::open(&self.target, &self.tls, stage).await.map_err(Error::new)?;
        let mut builder = http1::Builder::new();
        builder.max_buf_size(HEAD_MAX_BYTES).max_headers(HEADERS_MAX);
        let (sender, connection) =
            builder.handshake(TokioIo::new(stream)).await.map_err(|error| self.explain(&error))?;
        let task = tokio::spawn(async move {
            // Its failure is told to whoever asks.
            let _ = connection.await;
        });
        Ok(Kept { sender, task })
    }

    fn message(&self, request: Request<'_>) -> Result<hyper::Request<Full<Bytes>>, Error> {
        let mut builder = hyper::Request::builder()
            .uri(request.path)
            .method(if request.json.is_some() { "POST" } else { "GET" })
            .header(HOST, self.target.place())
            .header(USER_AGENT, concat!("standin/", env!("CARGO_PKG_VERSION")));
        if request.json.is_some() {
            builder = builder.header(CONTENT_TYPE, "application/json");
        }
        if let Some(secret) = request.authorization {
            let mut value = HeaderValue::from_str(secret).map_err(|_| Error::new("its token cannot be sent"))?;
            value.set_sensitive(true);
            builder = builder.header(AUTHORIZATION, value);
        }
        let body = request.json.map_or_else(Bytes::new, Bytes::copy_from_slice);
        builder.body(Full::new(body)).map_err(|_| Error::new("the request cannot be written: a wrong path"))
    }

    async fn finish(
        &mut self,
        kept: Kept,
        answer: hyper::Response<hyper::body::Incoming>,
        body_max: usize,
    ) -> Result<Response, Error> {
        let too_large = || Error::new(format!("its answer is larger than {body_max} bytes"));
        let (head, mut incoming) = answer.into_parts();
        let mut body = BytesMut::new();
        while let Some(frame) = incoming.frame().await {
            let frame = frame.map_err(|error| self.explain(&error))?;
            if let Some(data) = frame.data_ref() {
                if body.len() + data.len() > body_max {
                    return Err(too_large());
                }
                body.extend_from_slice(data);
            }
        }
        self.kept = Some(kept);
        Ok(Response { status: head.status.as_u16(), body: body.freeze() })
    }

    fn explain(&self, error: &hyper::Error) -> Error {
        let place = self.target.place();
        // TLS 1.3: a refusal of the own certificate comes with the first bytes of the answer.
        if let Some(why) = tls::refusal_in(error, &self.target, &self.tls) {
            return Error::new(why);
        }
        Error::new(if error.is_parse() && !self.target.is_tls {
            format!("{place} does not speak HTTP, or only TLS (https://)")
        } else if error.is_parse() {
            format!("{place} does not speak HTTP")
        } else if self.target.is_tls {
            format!("{place} closed the connection without an answer")
        } else {
            format!("{place} closed the connection without an answer (does it want https://?)")
        })
    }
}

#[cfg(test)]
mod tests;
