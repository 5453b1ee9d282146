//! An instance that lies: somebody stands between the two with the keys of both, and alters what one of them says. So everything
//! around the lie is right: certificates, hellos, terms, checks.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, IpAddr, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::version::TLS13;
use rustls::{ClientConfig, DigitallySignedStruct, DistinguishedName, Error, ServerConfig, SignatureScheme};
use standin::engine::message::Body;
use standin::identity::Identity;
use standin::wire::frame::{self, BULK_FRAME_MAX_BYTES, FrameDecoder};
use standin::wire::{bulk, link};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// What becomes of one frame: the frames that arrive in its place. `true`: of a bulk connection.
pub type Lie = Box<dyn FnMut(&[u8], bool) -> Vec<Vec<u8>> + Send>;

/// What is altered of what passes.
#[derive(Clone, Default)]
struct Lies {
    /// Of whoever listens.
    listener: Arc<Mutex<Option<Lie>>>,
    /// Of whoever dials.
    dialler: Arc<Mutex<Option<Lie>>>,
    /// The port that whoever dials is said to have; 0: its own.
    way_back: Arc<AtomicU16>,
}

/// The one in the middle; ends when dropped.
pub struct Middle {
    pub port: u16,
    lies: Lies,
    _runtime: Runtime,
}

impl Middle {
    /// Listens; hands on to `master`. The homes need not be set up before the first connection.
    pub fn between(master_home: &Path, shadow_home: &Path, master: SocketAddr) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let port = listener.local_addr().unwrap().port();
        let lies = Lies::default();
        let homes = (master_home.to_owned(), shadow_home.to_owned());
        let told = lies.clone();
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (homes, told) = (homes.clone(), told.clone());
                tokio::spawn(async move {
                    // Ends with either side; the instances see a closed connection.
                    let _ = relay(stream, &homes, master, told, port).await;
                });
            }
        });
        Self { port, lies, _runtime: runtime }
    }

    /// What whoever listens says, from now on; none: honest.
    pub fn tell(&self, lie: Option<Lie>) {
        *self.lies.listener.lock().unwrap() = lie;
    }

    /// The same of whoever dials.
    pub fn tell_of_dialler(&self, lie: Option<Lie>) {
        *self.lies.dialler.lock().unwrap() = lie;
    }

    /// Whoever dials is itself dialled at that port from the next connection on.
    pub fn lead_back_by(&self, port: u16) {
        self.lies.way_back.store(port, Ordering::Relaxed);
    }
}

async fn relay(
    stream: TcpStream,
    (master_home, shadow_home): &(PathBuf, PathBuf),
    master: SocketAddr,
    lies: Lies,
    port: u16,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let identity = |home: &Path| {
        Identity::load_or_create(&home.join("identity"), "127.0.0.1").map_err(|problem| problem.to_string())
    };
    let (as_master, as_shadow) = (identity(master_home)?, identity(shadow_home)?);
    let provider = Arc::new(ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(Arc::new(Anybody(provider.clone())))
        .with_single_cert(vec![as_master.certificate().clone()], as_master.key())?;
    config.alpn_protocols =
        ["standin/1", "standin-pair/1", "standin-bulk/1"].map(|name| name.as_bytes().to_vec()).to_vec();
    let shadow = TlsAcceptor::from(Arc::new(config)).accept(stream).await?;
    let protocol = shadow.get_ref().1.alpn_protocol().unwrap_or_default().to_vec();
    let mut config = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody(provider)))
        .with_client_auth_cert(vec![as_shadow.certificate().clone()], as_shadow.key())?;
    config.alpn_protocols = vec![protocol.clone()];
    config.enable_sni = false;
    let name = ServerName::IpAddress(IpAddr::from(master.ip()));
    let master = TlsConnector::from(Arc::new(config)).connect(name, TcpStream::connect(master).await?).await?;
    let (from_shadow, to_shadow) = tokio::io::split(shadow);
    let (from_master, to_master) = tokio::io::split(master);
    let is_bulk = protocol == bulk::ALPN;
    let is_link = protocol == link::ALPN;
    let lies = if is_bulk || is_link { lies } else { Lies::default() };
    let way_back = lies.way_back.load(Ordering::Relaxed);
    tokio::select! {
        ended = hand_on(from_shadow, to_master, lies.dialler, is_bulk, is_link.then_some(way_back)) => ended?,
        ended = hand_on(from_master, to_shadow, lies.listener, is_bulk, is_link.then_some(port)) => ended?,
    }
    Ok(())
}

async fn hand_on(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    lie: Arc<Mutex<Option<Lie>>>,
    is_bulk: bool,
    detour: Option<u16>,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let mut decoder = FrameDecoder::new(BULK_FRAME_MAX_BYTES);
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let count = from.read(&mut buffer).await?;
        if count == 0 {
            return Ok(to.shutdown().await?);
        }
        decoder.push(&buffer[..count]);
        while let Some(frame) = decoder.next_frame().map_err(|error| error.to_string())? {
            let frame = detour.map_or_else(|| frame.clone(), |port| by_way_of(port, &frame));
            let told = lie.lock().unwrap().as_mut().map(|lie| lie(&frame, is_bulk));
            for frame in told.unwrap_or_else(|| vec![frame]) {
                let limit = frame.len().max(BULK_FRAME_MAX_BYTES);
                to.write_all(&frame::encode(&frame, limit).map_err(|error| error.to_string())?).await?;
            }
            to.flush().await?;
        }
    }
}

/// What either says its port is: bulk connections come this way too.
fn by_way_of(port: u16, frame: &[u8]) -> Vec<u8> {
    let Ok(mut envelope) = link::decode(frame) else { return frame.to_vec() };
    match &mut envelope.body {
        Body::Welcome(hello) | Body::Hello(hello) if port != 0 => hello.port = port,
        _ => return frame.to_vec(),
    }
    link::encode(&envelope)
}

/// Takes every certificate: it is the two ends that must not.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.2".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

impl ClientCertVerifier for Anybody {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.2".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
