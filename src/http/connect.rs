//! From a name to a connection that can carry requests.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::pin::Pin;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

use super::Target;
use super::tls::TlsFiles;

/// Most addresses of one name that are tried.
pub const ADDRESSES_MAX: usize = 8;
/// How long the first of several addresses may take before the next is tried, at most.
const ADDRESS_PATIENCE: Duration = Duration::from_millis(500);
/// Most names looked up at one time: a look-up cannot be cancelled and may outlast whoever asked by far.
const LOOKUPS_MAX: usize = 16;

static LOOKUPS: AtomicUsize = AtomicUsize::new(0);

/// What a request is about; says what took the time when it took too much.
#[derive(Debug, Default)]
pub struct Stage(AtomicU8);

impl Stage {
    /// The connection is being made.
    pub const CONNECT: u8 = 1;
    /// TLS is being agreed on.
    pub const TLS: u8 = 2;
    /// The answer is awaited.
    pub const ANSWER: u8 = 3;

    pub(super) fn set(&self, stage: u8) {
        self.0.store(stage, Ordering::Relaxed);
    }

    /// `connecting`.
    #[must_use]
    pub fn doing(&self) -> &'static str {
        match self.0.load(Ordering::Relaxed) {
            Self::CONNECT => "connecting",
            Self::TLS => "agreeing on TLS",
            Self::ANSWER => "waiting for the answer",
            _ => "looking up its name",
        }
    }
}

/// A connection, encrypted or not.
pub enum Stream {
    /// `http`.
    Plain(TcpStream),
    /// `https`.
    Tls(Box<TlsStream<TcpStream>>),
}

/// One look-up under way, until it really ends.
struct Lookup;

impl Lookup {
    fn begin() -> Option<Self> {
        let raised = LOOKUPS.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| (n < LOOKUPS_MAX).then_some(n + 1));
        raised.ok().map(|_| Self)
    }
}

impl Drop for Lookup {
    fn drop(&mut self) {
        LOOKUPS.fetch_sub(1, Ordering::SeqCst);
    }
}

/// The addresses of a name; an address is its own.
///
/// # Errors
/// In words.
pub async fn addresses(target: &Target) -> Result<Vec<SocketAddr>, String> {
    let (host, port) = (target.host.clone(), target.port);
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let lookup = Lookup::begin().ok_or("too many earlier requests still wait for a name server")?;
    let work = tokio::task::spawn_blocking(move || {
        let _lookup = lookup;
        (host.as_str(), port).to_socket_addrs().map(|found| found.take(ADDRESSES_MAX).collect::<Vec<_>>())
    });
    let name = &target.host;
    match work.await {
        Ok(Ok(found)) if !found.is_empty() => Ok(found),
        Ok(Ok(_)) => Err(format!("name {name} has no address")),
        Ok(Err(error)) => {
            let text = error.to_string();
            let plain = text.strip_prefix("failed to lookup address information: ").unwrap_or(&text);
            Err(format!("name {name} not found ({plain})"))
        }
        Err(_) => Err(format!("name {name} was not looked up: the program is ending")),
    }
}

/// A connection to the first address that takes one.
///
/// # Errors
/// In words, those of the last address.
pub async fn tcp(addresses: &[SocketAddr]) -> Result<TcpStream, String> {
    let mut why = "no address to connect to".to_owned();
    for (index, address) in addresses.iter().enumerate() {
        let is_last = index + 1 == addresses.len();
        let tried = if is_last {
            TcpStream::connect(address).await
        } else {
            // A dead first address must leave time for the next.
            let late = Err(io::Error::from(io::ErrorKind::TimedOut));
            timeout(ADDRESS_PATIENCE, TcpStream::connect(address)).await.unwrap_or(late)
        };
        match tried {
            Ok(stream) => {
                // A request is one small packet; waiting to fill it would be for nothing. Slower, not wrong, without.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Err(error) => why = explain(&error, *address),
        }
    }
    Err(why)
}

fn explain(error: &io::Error, address: SocketAddr) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => format!("refused by {address}"),
        io::ErrorKind::TimedOut => format!("{address} does not answer"),
        io::ErrorKind::NetworkUnreachable => format!("no way to the network of {address}"),
        io::ErrorKind::HostUnreachable => format!("{address} is not reachable"),
        _ => format!("{address}: {error}"),
    }
}

/// All of it.
///
/// # Errors
/// In words.
pub(super) async fn open(target: &Target, tls: &TlsFiles, stage: &Stage) -> Result<Stream, String> {
    let found = addresses(target).await?;
    stage.set(Stage::CONNECT);
    let stream = tcp(&found).await?;
    if !target.is_tls {
        return Ok(Stream::Plain(stream));
    }
    stage.set(Stage::TLS);
    secure(stream, target, tls).await
}

/// TLS over a connection: the server's certificate is checked, and its name.
///
/// # Errors
/// Which problem of which certificate, or that it speaks no TLS.
pub async fn secure(stream: TcpStream, target: &Target, tls: &TlsFiles) -> Result<Stream, String> {
    let secured = tls.connect(stream, target).await?;
    Ok(Stream::Tls(Box::new(secured)))
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
