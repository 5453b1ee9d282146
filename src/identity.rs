//! Keys and certificates of the link: one pair of them for each instance, self-signed, trusted by fingerprint alone
//! (spec 3.2). They have nothing to do with the certificate of the administration API.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::engine::base::{Digest, Fingerprint, Problem, UnixMillis};
use crate::files;

mod certificate;

use certificate::certificate_host;
pub use certificate::{certificate_expiry, pem};

const KEY_FILE: &str = "link-key.pem";
const CERTIFICATE_FILE: &str = "link.pem";
/// Largest key or certificate file read.
const PEM_MAX_BYTES: u64 = 64 * 1024;

/// SHA-256 of a certificate.
#[must_use]
pub fn fingerprint_of(der: &[u8]) -> Fingerprint {
    Fingerprint(Digest(Sha256::digest(der).into()))
}

/// This instance's key and certificate of the link.
pub struct Identity {
    directory: PathBuf,
    key: PrivateKeyDer<'static>,
    certificate: CertificateDer<'static>,
    fingerprint: Fingerprint,
    expires: UnixMillis,
}

impl fmt::Debug for Identity {
    /// Without the key (spec 9.4).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("fingerprint", &self.fingerprint).finish_non_exhaustive()
    }
}

/// What can be told of a certificate without its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnCertificate {
    /// What an operator compares (spec 3.1).
    pub fingerprint: Fingerprint,
    /// End of validity (spec 3.4).
    pub expires: UnixMillis,
    /// The own host when it was made; none: it carries none.
    pub host: Option<String>,
}

/// The certificate of the link in `directory`, only read; none: there is none.
///
/// # Errors
/// When it cannot be read.
pub fn own_certificate(directory: &Path) -> Result<Option<OwnCertificate>, Problem> {
    let path = directory.join(CERTIFICATE_FILE);
    let found = files::read_bounded(&path, PEM_MAX_BYTES).map_err(|error| cannot("read", &path, &error))?;
    let Some(bytes) = found else { return Ok(None) };
    let der = CertificateDer::from_pem_slice(&bytes).map_err(|error| unusable(&path, &error))?;
    let expires = certificate_expiry(&der).map_err(|error| unusable(&path, &error))?;
    Ok(Some(OwnCertificate { fingerprint: fingerprint_of(&der), expires, host: certificate_host(&der) }))
}

/// The certificate (DER) kept in `directory` for the peer of this `fingerprint`; none: not kept.
///
/// # Errors
/// When it cannot be read or is another certificate.
pub fn peer_certificate(directory: &Path, fingerprint: Fingerprint) -> Result<Option<Vec<u8>>, Problem> {
    let path = peer_path(directory, fingerprint);
    let Some(bytes) = files::read_bounded(&path, PEM_MAX_BYTES).map_err(|error| cannot("read", &path, &error))? else {
        return Ok(None);
    };
    let der = CertificateDer::from_pem_slice(&bytes).map_err(|error| unusable(&path, &error))?;
    let found = fingerprint_of(&der);
    if found != fingerprint {
        return Err(unusable(&path, &format!("its fingerprint is {found}, not {fingerprint}")));
    }
    Ok(Some(der.to_vec()))
}

fn peer_path(directory: &Path, fingerprint: Fingerprint) -> PathBuf {
    directory.join(format!("peer-{}.pem", &fingerprint.0.to_string()[..16]))
}

impl Identity {
    /// The identity kept in `directory` (`HOME/identity`); made anew, for `host`, when there is none.
    ///
    /// # Errors
    /// When it cannot be read or written, when others may read the key, or when key and certificate do not belong together.
    pub fn load_or_create(directory: &Path, host: &str) -> Result<Self, Problem> {
        files::make_private_directory(directory).map_err(|error| cannot("make", directory, &error))?;
        match Self::load(directory)? {
            Ok(identity) => Ok(identity),
            // A crash between the two files: the key is whole and nobody has seen a certificate of it.
            Err(key) => Self::create(directory, host, key),
        }
    }

    /// Whether the identity kept in `directory` could be used; false: there is none, and the next start makes it. Writes nothing.
    ///
    /// # Errors
    /// Those of [`Self::load_or_create`].
    pub fn check(directory: &Path) -> Result<bool, Problem> {
        Ok(Self::load(directory)?.is_ok())
    }

    /// The identity kept in `directory`, or of an unfinished one the key.
    fn load(directory: &Path) -> Result<Result<Self, Option<Zeroizing<String>>>, Problem> {
        let key_path = directory.join(KEY_FILE);
        let certificate_path = directory.join(CERTIFICATE_FILE);
        let key = read_key(&key_path)?;
        let certificate = files::read_bounded(&certificate_path, PEM_MAX_BYTES)
            .map_err(|error| cannot("read", &certificate_path, &error))?;
        match (key, certificate) {
            (Some(key), Some(certificate)) => Self::from_pem(directory, &key, &certificate).map(Ok),
            (None, Some(_)) => Err(Problem::new(
                format!("the key of the link is missing: {}", key_path.display()),
                "its certificate is there, but without the key it proves nothing",
                format!(
                    "put the key back from a backup, or remove {} and pair the two instances again",
                    certificate_path.display()
                ),
            )),
            (key, None) => Ok(Err(key)),
        }
    }

    fn create(directory: &Path, host: &str, key: Option<Zeroizing<String>>) -> Result<Self, Problem> {
        let key = match key {
            Some(pem) => KeyPair::from_pem(&pem).map_err(|error| unusable(&directory.join(KEY_FILE), &error))?,
            None => KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)
                .map_err(|error| unusable(&directory.join(KEY_FILE), &error))?,
        };
        let certificate_path = directory.join(CERTIFICATE_FILE);
        let certificate = certificate::self_signed(&key, host).map_err(|error| unusable(&certificate_path, &error))?;
        let key_pem = Zeroizing::new(key.serialize_pem());
        write(&directory.join(KEY_FILE), key_pem.as_bytes())?;
        write(&certificate_path, certificate.pem().as_bytes())?;
        Self::from_pem(directory, &key_pem, certificate.pem().as_bytes())
    }

    fn from_pem(directory: &Path, key: &str, certificate: &[u8]) -> Result<Self, Problem> {
        let certificate_path = directory.join(CERTIFICATE_FILE);
        let key_path = directory.join(KEY_FILE);
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|error| unusable(&key_path, &error))?;
        let certificate =
            CertificateDer::from_pem_slice(certificate).map_err(|error| unusable(&certificate_path, &error))?;
        let provider = rustls::crypto::ring::default_provider();
        rustls::sign::CertifiedKey::from_der(vec![certificate.clone()], key.clone_key(), &provider)
            .map_err(|error| unusable(&certificate_path, &error))?;
        let expires = certificate_expiry(&certificate).map_err(|error| unusable(&certificate_path, &error))?;
        let fingerprint = fingerprint_of(&certificate);
        Ok(Self { directory: directory.to_owned(), key, certificate, fingerprint, expires })
    }

    /// What an operator compares (spec 3.1).
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// End of validity; alerts, never refuses (spec 3.4).
    #[must_use]
    pub fn expires(&self) -> UnixMillis {
        self.expires
    }

    /// The certificate, DER.
    #[must_use]
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// A copy of the key, for the TLS configuration alone.
    #[must_use]
    pub fn key(&self) -> PrivateKeyDer<'static> {
        self.key.clone_key()
    }

    fn peer_path(&self, fingerprint: Fingerprint) -> PathBuf {
        peer_path(&self.directory, fingerprint)
    }

    /// Keeps the certificate of a pinned peer, for people and for its expiry: what is trusted is the fingerprint.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn save_peer(&self, der: &[u8]) -> Result<(), Problem> {
        write(&self.peer_path(fingerprint_of(der)), pem(der).as_bytes())
    }

    /// The certificate (DER) kept for `fingerprint`; none: not kept.
    ///
    /// # Errors
    /// When it cannot be read or is another certificate.
    pub fn load_peer(&self, fingerprint: Fingerprint) -> Result<Option<Vec<u8>>, Problem> {
        peer_certificate(&self.directory, fingerprint)
    }

    /// Removes the certificate kept for `fingerprint`, if there is one.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn forget_peer(&self, fingerprint: Fingerprint) -> Result<(), Problem> {
        let path = self.peer_path(fingerprint);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(cannot("remove", &path, &error)),
            _ => Ok(()),
        }
    }
}

fn read_key(path: &Path) -> Result<Option<Zeroizing<String>>, Problem> {
    let Some(bytes) = files::read_bounded(path, PEM_MAX_BYTES).map_err(|error| cannot("read", path, &error))? else {
        return Ok(None);
    };
    let bytes = Zeroizing::new(bytes);
    let rights = files::rights_of_others(path).map_err(|error| cannot("read", path, &error))?;
    if let Some(mode) = rights {
        return Err(Problem::new(
            format!("the key of the link is not private: {}", path.display()),
            format!("its mode is {mode:04o}: others than its owner may use it, so it may have been copied"),
            format!(
                "if nobody else could read it: chmod 600 {}; otherwise remove it with the certificate beside it and pair again",
                path.display()
            ),
        ));
    }
    let text = std::str::from_utf8(&bytes).map_err(|error| unusable(path, &error))?;
    Ok(Some(Zeroizing::new(text.to_owned())))
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Problem> {
    files::write_private(path, bytes).map_err(|error| cannot("write", path, &error))
}

fn cannot(verb: &str, path: &Path, error: &io::Error) -> Problem {
    Problem::new(
        format!("cannot {verb} {}", path.display()),
        error.to_string(),
        "check the owner, the rights and the free space of Standin's home",
    )
}

fn unusable(path: &Path, why: &dyn fmt::Display) -> Problem {
    Problem::new(
        format!("{} cannot be used", path.display()),
        why.to_string(),
        "put it back from a backup, or remove the files of the link's identity and pair the two instances again",
    )
}

#[cfg(test)]
mod tests;
