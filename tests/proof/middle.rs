//! A master that lies: stands between the two with the keys of both, and alters what the real master says. So everything
//! around the lie is right: certificates, hellos, terms, checks.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
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

/// What becomes of one frame of the master: the frames that the shadow gets in its place. `true`: of a bulk connection.
pub type Lie = Box<dyn FnMut(&[u8], bool) -> Vec<Vec<u8>> + Send>;

/// The one in the middle; ends when dropped.
pub struct Middle {
    pub port: u16,
    lie: Arc<Mutex<Option<Lie>>>,
    _runtime: Runtime,
}

impl Middle {
    /// Listens; hands on to `master`. The homes need not be set up before the first connection.
    pub fn between(master_home: &Path, shadow_home: &Path, master: SocketAddr) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let port = listener.local_addr().unwrap().port();
        let lie = Arc::new(Mutex::new(None));
        let homes = (master_home.to_owned(), shadow_home.to_owned());
        let told = Arc::clone(&lie);
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (homes, told) = (homes.clone(), Arc::clone(&told));
                tokio::spawn(async move {
                    // Ends with either side; the instances see a closed connection.
                    let _ = relay(stream, &homes, master, told, port).await;
                });
            }
        });
        Self { port, lie, _runtime: runtime }
    }

    /// From now on; none: honest.
    pub fn tell(&self, lie: Option<Lie>) {
        *self.lie.lock().unwrap() = lie;
    }
}

async fn relay(
    stream: TcpStream,
    (master_home, shadow_home): &(PathBuf, PathBuf),
    master: SocketAddr,
    lie: Arc<Mutex<Option<Lie>>>,
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
    let detour = (protocol == link::ALPN).then_some(port);
    let lies = if is_bulk || protocol == link::ALPN { lie } else { Arc::default() };
    tokio::select! {
        ended = hand_on(from_shadow, to_master, Arc::default(), is_bulk, None) => ended?,
        ended = hand_on(from_master, to_shadow, lies, is_bulk, detour) => ended?,
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

/// What the master says its port is: bulk connections come this way too.
fn by_way_of(port: u16, frame: &[u8]) -> Vec<u8> {
    match link::decode(frame) {
        Ok(mut envelope) => match &mut envelope.body {
            Body::Welcome(hello) => {
                hello.port = port;
                link::encode(&envelope)
            }
            _ => frame.to_vec(),
        },
        Err(_) => frame.to_vec(),
    }
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
