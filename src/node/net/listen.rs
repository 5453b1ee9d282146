//! The listener: binds, accepts, and brings each connection to the protocol its client asked for.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::server::TlsStream;

use super::{HANDSHAKES_PER_ADDRESS_MAX, Shared, bulk_server, links, pairing};
use crate::engine::base::{Fingerprint, Problem};
use crate::engine::event::{EventKind, Severity};
use crate::identity::fingerprint_of;
use crate::wire;

const BACKLOG: u32 = 128;
/// First and longest pause after a failed accept (no file descriptors left), ms.
const ACCEPT_PAUSE_MS: u64 = 50;
const ACCEPT_PAUSE_MAX_MS: u64 = 1_000;
const KEEPALIVE_IDLE: Duration = Duration::from_secs(5);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(2);
const KEEPALIVE_COUNT: u32 = 3;
const USER_TIMEOUT_MS: u32 = 10_000;

/// The place in the queue of connections that have not said anything yet; given back when dropped.
pub(super) struct Slot {
    shared: Arc<Shared>,
    address: IpAddr,
    _permit: OwnedSemaphorePermit,
}

impl Slot {
    fn take(shared: &Arc<Shared>, address: IpAddr) -> Option<Self> {
        let permit = shared.handshakes.clone().try_acquire_owned().ok()?;
        let mut state = shared.state();
        let count = state.handshakes_by_address.entry(address).or_default();
        if *count >= HANDSHAKES_PER_ADDRESS_MAX {
            return None;
        }
        *count += 1;
        Some(Self { shared: shared.clone(), address, _permit: permit })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        if let Some(count) = state.handshakes_by_address.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                state.handshakes_by_address.remove(&self.address);
            }
        }
    }
}

/// A connection that has finished its handshake and not said anything yet.
pub(super) struct Incoming {
    pub(super) stream: TlsStream<TcpStream>,
    pub(super) fingerprint: Fingerprint,
    /// DER.
    pub(super) certificate: Vec<u8>,
    pub(super) address: IpAddr,
    /// For its first message.
    pub(super) deadline: Instant,
    pub(super) slot: Slot,
}

/// Where this instance listens, and the task that does it.
pub(super) struct Listening {
    listen: IpAddr,
    port: u16,
    task: Option<JoinHandle<()>>,
    /// For good: Standin stops.
    is_over: bool,
}

impl Drop for Listening {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

impl Listening {
    pub(super) fn start(shared: &Arc<Shared>, listen: &str, port: u16) -> Result<Self, Problem> {
        let address = parse(listen)?;
        let listener = bind(address, port)?;
        Ok(Self::run(shared, address, port, listener))
    }

    fn run(shared: &Arc<Shared>, listen: IpAddr, port: u16, listener: TcpListener) -> Self {
        let bound = listener.local_addr().ok();
        let port = bound.map_or(port, |bound| bound.port());
        {
            let mut state = shared.state();
            state.bound = bound;
            state.own_address = (!listen.is_unspecified()).then_some(listen);
        }
        Self { listen, port, task: Some(tokio::spawn(accept(shared.clone(), listener))), is_over: false }
    }

    pub(super) async fn rebind(&mut self, shared: &Arc<Shared>, listen: &str, port: u16) -> Result<(), Problem> {
        let address = parse(listen)?;
        if self.is_over || address == self.listen && port == self.port && self.task.is_some() {
            return Ok(());
        }
        // One port cannot be listened on twice, so where only the address changes the old listener has to go first; not for an
        // address that this machine has not.
        let is_same_port = port == self.port;
        if is_same_port {
            bind(address, 0).map_err(|problem| Problem { what: format!("cannot listen on {listen}"), ..problem })?;
            self.stop(shared).await;
        }
        match bind(address, port) {
            Ok(listener) => {
                self.stop(shared).await;
                *self = Self::run(shared, address, port, listener);
                Ok(())
            }
            Err(problem) => {
                if is_same_port && let Ok(listener) = bind(self.listen, self.port) {
                    *self = Self::run(shared, self.listen, self.port, listener);
                }
                Err(problem)
            }
        }
    }

    /// For good.
    pub(super) async fn end(&mut self, shared: &Shared) {
        self.is_over = true;
        self.stop(shared).await;
    }

    async fn stop(&mut self, shared: &Shared) {
        if let Some(task) = self.task.take() {
            task.abort();
            // Its end is what is waited for; that it was cancelled is known.
            let _ = task.await;
            shared.state().bound = None;
        }
    }
}

fn parse(listen: &str) -> Result<IpAddr, Problem> {
    listen.trim().trim_start_matches('[').trim_end_matches(']').parse().map_err(|_| {
        Problem::new(
            format!("cannot listen on {listen:?}"),
            "it is no IP address",
            "set administration.listen to an address of this machine, or to 0.0.0.0 or :: for all",
        )
    })
}

fn bind(address: IpAddr, port: u16) -> Result<TcpListener, Problem> {
    let open = || -> io::Result<TcpListener> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_reuseaddr(true)?;
        if address.is_ipv6() && address.is_unspecified() {
            rustix::net::sockopt::set_ipv6_v6only(&socket, false)?;
        }
        socket.bind(SocketAddr::new(address, port))?;
        socket.listen(BACKLOG)
    };
    open().map_err(|error| bind_problem(address, port, &error))
}

fn bind_problem(address: IpAddr, port: u16, error: &io::Error) -> Problem {
    let at = SocketAddr::new(address, port);
    let (why, todo) = match error.kind() {
        io::ErrorKind::AddrInUse => (
            format!("another program listens on port {port}"),
            "stop it (ss -ltnp shows which), or set administration.port or high_availability.port to a free one; \
             the other instance must then be told the new port",
        ),
        io::ErrorKind::PermissionDenied => (
            format!("the user that runs Standin may not listen on port {port}"),
            "take a port from 1024 up, or give the service CAP_NET_BIND_SERVICE",
        ),
        io::ErrorKind::AddrNotAvailable => (
            format!("{address} is no address of this machine now"),
            "set administration.listen to one that it has (ip address shows them), or to 0.0.0.0 for all",
        ),
        _ => (error.to_string(), "check administration.listen and the port"),
    };
    Problem::new(format!("cannot listen on {at}"), why, todo)
}

/// Small messages at once, and a dead connection noticed within some seconds even when nothing is sent.
pub(super) fn tune(stream: &TcpStream) -> io::Result<()> {
    use rustix::net::sockopt;
    stream.set_nodelay(true)?;
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, KEEPALIVE_IDLE)?;
    sockopt::set_tcp_keepintvl(stream, KEEPALIVE_INTERVAL)?;
    sockopt::set_tcp_keepcnt(stream, KEEPALIVE_COUNT)?;
    sockopt::set_tcp_user_timeout(stream, USER_TIMEOUT_MS)?;
    Ok(())
}

async fn accept(shared: Arc<Shared>, listener: TcpListener) {
    let mut pause_ms = 0;
    loop {
        match listener.accept().await {
            Ok((stream, from)) => {
                pause_ms = 0;
                let address = from.ip().to_canonical();
                // Full: the newest goes, as those before it are closed in time anyway.
                let Some(slot) = Slot::take(&shared, address) else { continue };
                let deadline = Instant::now() + Duration::from_millis(shared.limits.first_frame_ms);
                tokio::spawn(welcome(shared.clone(), stream, address, deadline, slot));
            }
            // The client was gone before it was accepted.
            Err(error) if matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) => {
            }
            Err(error) => {
                if pause_ms == 0 {
                    let text = format!("no new connections are accepted for now: {error}");
                    shared.note(EventKind::Program, Severity::Error, text).await;
                }
                pause_ms = (pause_ms * 2).clamp(ACCEPT_PAUSE_MS, ACCEPT_PAUSE_MAX_MS);
                tokio::time::sleep(Duration::from_millis(pause_ms)).await;
            }
        }
    }
}

async fn welcome(shared: Arc<Shared>, stream: TcpStream, address: IpAddr, deadline: Instant, slot: Slot) {
    if let Err(error) = tune(&stream) {
        tracing::debug!(%address, %error, "connection was gone at once");
        return;
    }
    let stream = match timeout_at(deadline, shared.acceptor.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            tracing::debug!(%address, %error, "no TLS handshake");
            return;
        }
        Err(_) => {
            tracing::debug!(%address, "TLS handshake not finished in time");
            return;
        }
    };
    let (_, session) = stream.get_ref();
    let protocol = session.alpn_protocol().map(<[u8]>::to_vec);
    let Some(certificate) = session.peer_certificates().and_then(<[_]>::first).map(|der| der.to_vec()) else { return };
    let fingerprint = fingerprint_of(&certificate);
    let incoming = Incoming { stream, fingerprint, certificate, address, deadline, slot };
    match protocol.as_deref() {
        Some(wire::link::ALPN) => links::serve(shared, incoming).await,
        Some(wire::pair::ALPN) => pairing::serve(shared, incoming).await,
        Some(wire::bulk::ALPN) => bulk_server::serve(shared, incoming).await,
        _ => tracing::debug!(%address, "asked for no protocol of the link"),
    }
}
