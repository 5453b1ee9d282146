//! Who is trusted, who one is, and what went wrong, in words. TLS 1.2 and 1.3.

use std::error::Error as StdError;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{AlertDescription, CertificateError, ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::Target;
use crate::files;

/// Largest file with certificates or a key, bytes.
const PEM_MAX_BYTES: u64 = 1024 * 1024;

/// Files that TLS is made of; read at every new connection, so that a renewed certificate is in force without a restart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// Who may have issued the server's certificate (PEM); none: those the operating system trusts.
    pub roots: Option<PathBuf>,
    /// Own certificate, its issuers after it (PEM).
    pub certificate: Option<PathBuf>,
    /// Its key (PEM), readable by the owner only.
    pub key: Option<PathBuf>,
}

impl TlsFiles {
    /// TLS over `stream`.
    ///
    /// # Errors
    /// In words.
    pub(super) async fn connect(&self, stream: TcpStream, target: &Target) -> Result<TlsStream<TcpStream>, String> {
        let files = self.clone();
        let loaded = tokio::task::spawn_blocking(move || files.load());
        let config = loaded.await.map_err(|_| "the program is ending".to_owned())??;
        let name = ServerName::try_from(target.host.clone())
            .map_err(|_| format!("{} can be the name of no certificate", target.host))?;
        TlsConnector::from(config).connect(name, stream).await.map_err(|error| {
            refusal_in(&error, target, self)
                .unwrap_or_else(|| format!("{} closed the connection while agreeing on TLS", target.place()))
        })
    }

    /// Reads all files.
    ///
    /// # Errors
    /// Which file, and why.
    pub fn load(&self) -> Result<Arc<ClientConfig>, String> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let wants = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| format!("TLS cannot be used: {error}"))?
            .with_root_certificates(self.root_store()?);
        let config = match (&self.certificate, &self.key) {
            (None, None) => wants.with_no_client_auth(),
            (Some(certificate), Some(key)) => {
                let chain = certificates(certificate)?;
                let own = private_key(key)?;
                wants.with_client_auth_cert(chain, own).map_err(|error| {
                    format!(
                        "certificate {} and key {} do not go together: {error}",
                        certificate.display(),
                        key.display()
                    )
                })?
            }
            (Some(certificate), None) => return Err(format!("certificate {} has no key file", certificate.display())),
            (None, Some(key)) => return Err(format!("key {} has no certificate file", key.display())),
        };
        Ok(Arc::new(config))
    }

    fn root_store(&self) -> Result<RootCertStore, String> {
        let mut roots = RootCertStore::empty();
        if let Some(path) = &self.roots {
            for certificate in certificates(path)? {
                roots
                    .add(certificate)
                    .map_err(|error| format!("{} holds a bad certificate: {error}", path.display()))?;
            }
            return Ok(roots);
        }
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            return Err("the operating system trusts no certificate (is the package ca-certificates missing?)".into());
        }
        Ok(roots)
    }

    fn trusted(&self) -> String {
        self.roots.as_ref().map_or_else(|| "those of the operating system".into(), |path| path.display().to_string())
    }
}

fn read(path: &Path) -> Result<zeroize::Zeroizing<Vec<u8>>, String> {
    match files::read_bounded(path, PEM_MAX_BYTES) {
        Ok(Some(bytes)) => Ok(zeroize::Zeroizing::new(bytes)),
        Ok(None) => Err(format!("{} is not there", path.display())),
        Err(error) => Err(format!("{} cannot be read: {error}", path.display())),
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Vec<_> = CertificateDer::pem_slice_iter(&read(path)?)
        .collect::<Result<_, _>>()
        .map_err(|error| format!("{} holds no certificates in PEM: {error}", path.display()))?;
    if found.is_empty() { Err(format!("{} holds no certificate in PEM", path.display())) } else { Ok(found) }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    refuse_shared(path)?;
    // What the parser says could quote the content.
    PrivateKeyDer::from_pem_slice(&read(path)?).map_err(|_| format!("{} holds no private key in PEM", path.display()))
}

/// Refuses a secret that others may read (spec 9.4).
///
/// # Errors
/// Its permissions, and how to correct them.
pub fn refuse_shared(path: &Path) -> Result<(), String> {
    match files::rights_of_others(path) {
        Ok(None) => Ok(()),
        Ok(Some(mode)) => Err(format!("{0} is open to others (mode {mode:04o}): run chmod 600 {0}", path.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(format!("{} is not there", path.display())),
        Err(error) => Err(format!("{} cannot be read: {error}", path.display())),
    }
}

/// What TLS had against it, if that is what stands behind an error.
pub(super) fn refusal_in(error: &(dyn StdError + 'static), target: &Target, files: &TlsFiles) -> Option<String> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<rustls::Error>() {
            return Some(explain(found, target, files));
        }
        // An `io::Error` hides what it was made of one level deeper.
        let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        if let Some(found) = inner.and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            return Some(explain(found, target, files));
        }
        next = error.source();
    }
    None
}

fn explain(error: &rustls::Error, target: &Target, files: &TlsFiles) -> String {
    let place = target.place();
    match error {
        rustls::Error::InvalidCertificate(problem) => {
            format!("the certificate of {place} {}", certificate_problem(problem, &target.host, &files.trusted()))
        }
        rustls::Error::AlertReceived(AlertDescription::CertificateRequired) => {
            format!("{place} asks for a client certificate")
        }
        rustls::Error::AlertReceived(
            alert @ (AlertDescription::BadCertificate
            | AlertDescription::UnknownCA
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateRevoked
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::AccessDenied),
        ) => match &files.certificate {
            Some(own) => format!("{place} does not accept the certificate {}: {alert:?}", own.display()),
            None => format!("{place} asks for a client certificate: {alert:?}"),
        },
        rustls::Error::AlertReceived(alert) => format!("{place} refused TLS: {alert:?}"),
        rustls::Error::InvalidMessage(_) => format!("{place} does not speak TLS (is it http://?)"),
        other => format!("TLS with {place} failed: {other}"),
    }
}

fn certificate_problem(problem: &CertificateError, host: &str, trusted: &str) -> String {
    match problem {
        CertificateError::UnknownIssuer => format!("is issued by none of the trusted ({trusted})"),
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "has expired".into(),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "is not valid yet (is the clock right?)".into()
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            format!("is not for the name {host}")
        }
        CertificateError::BadSignature => format!("is not signed by the trusted issuer of that name ({trusted})"),
        CertificateError::Revoked => "was revoked".into(),
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "is not one for a server".into()
        }
        CertificateError::Other(inner) if inner.to_string().contains("CaUsedAsEndEntity") => {
            "is that of an issuer itself, not of a server".into()
        }
        other => format!("cannot be used: {other}"),
    }
}
