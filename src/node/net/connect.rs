//! Making a connection: names, addresses, TCP, TLS, certificate, each a step that people can read. Proxy variables of the
//! environment are never looked at (spec 3.5).

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, timeout};
use tokio_rustls::client::TlsStream;

use super::Shared;
use super::listen::tune;
use super::tls::{self, Pin};
use crate::engine::base::Fingerprint;
use crate::engine::status::LinkStep;
use crate::identity::fingerprint_of;

mod race;

/// Most steps told.
const STEPS_MAX: usize = 64;
const NAME: &str = "name found";
const TCP: &str = "TCP connect";
const TLS: &str = "TLS and certificate";

/// Where to, and what to expect there.
pub(super) struct Goal<'a> {
    pub(super) hosts: &'a [String],
    pub(super) port: u16,
    pub(super) pin: Pin,
    pub(super) protocol: &'a [u8],
    /// For each address, for TCP and again for TLS; they run side by side.
    pub(super) timeout_ms: u64,
}

/// A connection whose other end has proved the certificate wanted.
pub(super) struct Connected {
    pub(super) stream: TlsStream<TcpStream>,
    /// As given, which of the hosts answered.
    pub(super) host: String,
    pub(super) address: IpAddr,
    pub(super) own_address: IpAddr,
    pub(super) fingerprint: Fingerprint,
    /// DER.
    pub(super) certificate: Vec<u8>,
    pub(super) steps: Vec<LinkStep>,
}

/// Nobody that is wanted answered.
#[derive(Debug, Default)]
pub(super) struct NotConnected {
    pub(super) steps: Vec<LinkStep>,
    /// One sentence.
    pub(super) why: String,
    /// Another certificate answered.
    pub(super) foreign: Option<Fingerprint>,
}

impl NotConnected {
    fn step(&mut self, name: &str, ok: Option<bool>, message: String) {
        if ok == Some(false) {
            self.why.clone_from(&message);
        }
        if self.steps.len() < STEPS_MAX {
            self.steps.push(LinkStep { name: name.into(), ok, message });
        }
    }
}

/// Tries every address of every host side by side, each a little after the one before or at once when that fails, until one
/// answers as wanted: an address that is silently dead costs the others nothing but [`race::STAGGER_MS`] (spec 4.1).
pub(super) async fn connect(shared: &Shared, goal: &Goal<'_>) -> Result<Connected, NotConnected> {
    race::run(shared, goal).await
}

fn found(host: &str, resolved: &super::names::Resolved, began: Instant) -> String {
    let addresses: Vec<String> = resolved.addresses.iter().map(ToString::to_string).collect();
    if resolved.is_old {
        return format!("no name server answers; {host} was {} when last known", addresses.join(", "));
    }
    if addresses.len() == 1 && addresses[0] == host {
        return format!("{host} is an address");
    }
    format!("{host} is {} ({})", addresses.join(", "), Took(began))
}

async fn try_address(
    shared: &Shared,
    goal: &Goal<'_>,
    host: &str,
    address: IpAddr,
) -> Result<Box<Connected>, NotConnected> {
    let mut tried = NotConnected::default();
    let to = SocketAddr::new(address, goal.port);
    let limit = Duration::from_millis(goal.timeout_ms.max(1));
    let began = Instant::now();
    let own = shared.state().own_address;
    let stream = match timeout(limit, tcp(own, to)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            tried.step(TCP, Some(false), tcp_words(host, to, own, &error));
            return Err(tried);
        }
        Err(_) => {
            tried.step(TCP, Some(false), format!("{to} did not answer: timed out after {}", Span(goal.timeout_ms)));
            return Err(tried);
        }
    };
    tried.step(TCP, Some(true), format!("{to} ({})", Took(began)));
    let own_address = stream.local_addr().map_or(IpAddr::from([0, 0, 0, 0]), |own| own.ip().to_canonical());

    let began = Instant::now();
    let (connector, seen) = match tls::connector(&shared.identity, goal.pin, goal.protocol) {
        Ok(made) => made,
        Err(problem) => {
            tried.step(TLS, Some(false), problem.why);
            return Err(tried);
        }
    };
    let name = rustls::pki_types::ServerName::from(address);
    let result = timeout(limit, connector.connect(name, stream)).await;
    let certificate = seen.certificate().unwrap_or_default();
    let fingerprint = fingerprint_of(&certificate);
    let is_other = !certificate.is_empty() && matches!(goal.pin, Pin::Only(wanted) if wanted != fingerprint);
    let words = match result {
        Ok(Ok(stream)) if stream.get_ref().1.alpn_protocol() == Some(goal.protocol) => {
            tried.step(TLS, Some(true), format!("certificate {fingerprint} at {to} ({})", Took(began)));
            let (host, steps) = (host.to_owned(), std::mem::take(&mut tried.steps));
            let connected = Connected { stream, host, address, own_address, fingerprint, certificate, steps };
            return Ok(Box::new(connected));
        }
        Ok(Ok(_)) => format!("{to} answers, but does not speak {}", String::from_utf8_lossy(goal.protocol)),
        _ if is_other => {
            tried.foreign = Some(fingerprint);
            format!("another certificate answered at {to}: {fingerprint}{}", expected(goal.pin))
        }
        Ok(Err(error)) => tls_words(to, goal.protocol, &error),
        Err(_) => format!("{to} accepted the connection and then said nothing for {}", Span(goal.timeout_ms)),
    };
    tried.step(TLS, Some(false), words);
    Err(tried)
}

fn expected(pin: Pin) -> String {
    match pin {
        Pin::Only(fingerprint) => format!(", expected was {fingerprint}"),
        Pin::AnyForPairing => String::new(),
    }
}

/// Goes out from the address listened on, where that is one (spec 4.1).
async fn tcp(own: Option<IpAddr>, to: SocketAddr) -> io::Result<TcpStream> {
    let socket = if to.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if let Some(own) = own {
        if own.is_ipv4() != to.is_ipv4() {
            let why = format!("this instance listens on {own} alone, and that cannot reach it");
            return Err(io::Error::new(io::ErrorKind::Unsupported, why));
        }
        socket.bind(SocketAddr::new(own, 0))?;
    }
    let stream = socket.connect(to).await?;
    tune(&stream)?;
    Ok(stream)
}

fn tcp_words(host: &str, to: SocketAddr, own: Option<IpAddr>, error: &io::Error) -> String {
    use io::ErrorKind;
    match error.kind() {
        ErrorKind::ConnectionRefused => {
            format!("refused by {host} ({}): the machine is up, nothing listens on {}", to.ip(), to.port())
        }
        ErrorKind::TimedOut => format!("{to} did not answer: timed out"),
        ErrorKind::HostUnreachable => format!("{to}: no such machine on the network, or a firewall forbids it"),
        ErrorKind::NetworkUnreachable => format!("{to}: this machine has no route to that network"),
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted => format!("{to} closed the connection at once"),
        ErrorKind::AddrNotAvailable | ErrorKind::InvalidInput if own.is_some() => {
            let own = own.map(|own| own.to_string()).unwrap_or_default();
            format!("{to} cannot be reached from {own}, the address this instance listens on: {error}")
        }
        _ => format!("{to}: {error}"),
    }
}

fn tls_words(to: SocketAddr, protocol: &[u8], error: &io::Error) -> String {
    use rustls::{AlertDescription, Error};
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    match inner {
        Some(Error::AlertReceived(AlertDescription::NoApplicationProtocol)) => {
            format!("{to} answers, but does not speak {}", String::from_utf8_lossy(protocol))
        }
        Some(Error::InvalidMessage(_)) => format!("{to} answers, but not with TLS: is this the port of Standin?"),
        Some(error) => format!("{to}: TLS failed: {error}"),
        None if matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset) => {
            format!("{to} closed the connection during TLS: it is stopping, too busy, or no Standin")
        }
        None => format!("{to}: TLS failed: {error}"),
    }
}

/// `0.4 ms`
struct Took(Instant);

impl fmt::Display for Took {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.0.elapsed().as_micros();
        write!(f, "{}.{} ms", micros / 1_000, micros % 1_000 / 100)
    }
}

/// `1 s` or `250 ms`
struct Span(u64);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_multiple_of(1_000) { write!(f, "{} s", self.0 / 1_000) } else { write!(f, "{} ms", self.0) }
    }
}
