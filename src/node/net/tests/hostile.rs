//! Clients that do not mean well, or are broken.

use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::*;
use crate::wire;

fn quick() -> Options {
    Options { limits: Limits { first_frame_ms: 300, ..Limits::default() }, ..Options::default() }
}

async fn tcp(node: &Node) -> TcpStream {
    TcpStream::connect(("127.0.0.1", node.net.port())).await.unwrap()
}

/// Whatever the node says is read until it closes.
async fn closed(mut stream: impl tokio::io::AsyncRead + Unpin) {
    tokio::time::timeout(LIMIT, stream.read_to_end(&mut Vec::new())).await.expect("still open").ok();
}

async fn tls(node: &Node, client: &Identity, protocol: &[u8]) -> std::io::Result<TlsStream<TcpStream>> {
    let (connector, _) = tls::connector(client, tls::Pin::AnyForPairing, protocol).unwrap();
    connector.connect(ServerName::try_from("127.0.0.1").unwrap(), tcp(node).await).await
}

fn identity(home: &std::path::Path) -> Identity {
    Identity::load_or_create(&home.join("client"), "client").unwrap()
}

/// Nothing hostile before may keep the peer out afterwards, and nothing of it reached the engine.
async fn still_serves(mut node: Node) {
    let mut peer = super::node(Options::default());
    peer.link_to(&mut node).await;
}

/// spec 7.1: an accepted connection is no answer; one that never finishes its handshake is closed in time.
#[tokio::test]
async fn a_handshake_that_never_finishes_is_closed() {
    let node = node(quick());
    let silent = tcp(&node).await;
    let mut halfway = tcp(&node).await;
    halfway.write_all(&[0x16, 0x03, 0x01, 0x02, 0x00, 0x01]).await.unwrap();
    closed(silent).await;
    closed(halfway).await;
    still_serves(node).await;
}

/// Slow loris: single bytes now and then do not extend the time for the first message.
#[tokio::test]
async fn a_first_message_in_drops_is_closed() {
    let mut node = node(quick());
    let client = identity(node.home.path());
    let stream = tls(&node, &client, wire::link::ALPN).await.unwrap();
    node.link_up().await;
    let (read, mut write) = tokio::io::split(stream);
    let drip = tokio::spawn(async move {
        write.write_all(&1_000_u32.to_be_bytes()).await.ok();
        while write.write_all(b"x").await.is_ok() && write.flush().await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    assert!(node.link_down().await.contains("said nothing in time"));
    closed(read).await;
    tokio::time::timeout(LIMIT, drip).await.unwrap().unwrap();
    still_serves(node).await;
}

/// architecture wall 5: a length over the limit ends the connection by its four bytes alone.
#[tokio::test]
async fn a_frame_over_the_limit_and_nonsense_end_the_link() {
    let mut node = node(Options::default());
    let client = identity(node.home.path());
    let cases: [(&[u8], &str); 3] =
        [(&[0xff; 4], "limit is 262144"), (b"\0\0\0\x04abcd", "not understood"), (b"\0\0\0\0", "not understood")];
    for (bytes, words) in cases {
        let mut stream = tls(&node, &client, wire::link::ALPN).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        node.link_up().await;
        let why = node.link_down().await;
        assert!(why.contains(words), "{why}");
        closed(stream).await;
    }
    still_serves(node).await;
}

#[tokio::test]
async fn bytes_that_are_no_tls_are_closed() {
    let node = node(Options::default());
    let mut stream = tcp(&node).await;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    closed(stream).await;
    still_serves(node).await;
}

/// interfaces: protocol negotiation decides; anything but the three names is closed.
#[tokio::test]
async fn an_unknown_protocol_is_closed() {
    let node = node(Options::default());
    let client = identity(node.home.path());
    assert!(tls(&node, &client, b"h2").await.is_err());
    let (mut connector, _) = tls::connector(&client, tls::Pin::AnyForPairing, b"x").unwrap();
    connector = {
        let mut config = (**connector.config()).clone();
        config.alpn_protocols.clear();
        Arc::new(config).into()
    };
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let stream = connector.connect(name, tcp(&node).await).await.unwrap();
    closed(stream).await;
    still_serves(node).await;
}

/// spec 3.2: both ends authenticate; without a certificate there is no link (the handshake looks fine to such a client).
#[tokio::test]
async fn a_client_without_a_certificate_gets_nowhere() {
    let node = node(Options::default());
    let client = identity(node.home.path());
    let (connector, _) = tls::connector(&client, tls::Pin::AnyForPairing, wire::link::ALPN).unwrap();
    let mut config = (**connector.config()).clone();
    config.client_auth_cert_resolver = Arc::new(NoCertificate);
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let name = ServerName::try_from("127.0.0.1").unwrap();
    if let Ok(stream) = connector.connect(name, tcp(&node).await).await {
        closed(stream).await;
    }
    still_serves(node).await;
}

#[derive(Debug)]
struct NoCertificate;

impl rustls::client::ResolvesClientCert for NoCertificate {
    fn resolve(&self, _: &[&[u8]], _: &[rustls::SignatureScheme]) -> Option<Arc<rustls::sign::CertifiedKey>> {
        None
    }
    fn has_certs(&self) -> bool {
        false
    }
}

/// The certificate of another without its key: the proof of the key is what counts, not the certificate shown.
#[tokio::test]
async fn a_stolen_certificate_without_its_key_gets_nowhere() {
    let node = node(Options::default());
    let (thief, victim) = (identity(node.home.path()), super::node(Options::default()));
    let (connector, _) = tls::connector(&thief, tls::Pin::AnyForPairing, wire::link::ALPN).unwrap();
    let mut config = (**connector.config()).clone();
    let key = rustls::crypto::ring::sign::any_supported_type(&thief.key()).unwrap();
    let stolen = rustls::sign::CertifiedKey::new(vec![victim.identity.certificate().clone()], key);
    config.client_auth_cert_resolver = Arc::new(rustls::sign::SingleCertAndKey::from(stolen));
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let name = ServerName::try_from("127.0.0.1").unwrap();
    if let Ok(stream) = connector.connect(name, tcp(&node).await).await {
        closed(stream).await;
    }
    still_serves(node).await;
}

/// architecture wall 5: one machine cannot fill the places of those that have not said anything yet.
#[tokio::test]
async fn one_address_cannot_hold_every_place() {
    let node = node(Options::default());
    let mut held = Vec::new();
    for _ in 0..HANDSHAKES_PER_ADDRESS_MAX {
        held.push(tcp(&node).await);
    }
    closed(tcp(&node).await).await;
    let mut other = super::node(Options { listen: Some("127.0.0.6"), ..Options::default() });
    other.dial(1, &node);
    assert!(other.link_up().await.1);
    drop(held);
}

/// architecture wall 5: strangers cannot take every link; the peer still gets one.
#[tokio::test]
async fn strangers_cannot_hold_every_link() {
    let mut node = node(Options::default());
    let client = identity(node.home.path());
    let mut held = Vec::new();
    for _ in 0..LINKS_OF_STRANGERS_MAX {
        held.push(tls(&node, &client, wire::link::ALPN).await.unwrap());
        node.link_up().await;
    }
    closed(tls(&node, &client, wire::link::ALPN).await.unwrap()).await;
    let mut peer = super::node(Options::default());
    node.net.set_peer(Some(peer.identity.fingerprint()));
    peer.link_to(&mut node).await;
}
