//! Making and reading certificates of the link.

use std::net::IpAddr;

use rcgen::{CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose, SanType};
use time::{Duration, OffsetDateTime};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use crate::engine::base::UnixMillis;

/// A clock a little behind must not find a new certificate not valid yet.
const VALID_BEFORE: Duration = Duration::DAY;
/// Validity of a new certificate.
const VALID_FOR: Duration = Duration::days(2 * 365);
/// Longest common name (RFC 5280, upper bound of X.520).
const COMMON_NAME_MAX_BYTES: usize = 64;

/// A certificate of `key` for the link of `host`.
pub(super) fn self_signed(key: &KeyPair, host: &str) -> Result<rcgen::Certificate, rcgen::Error> {
    let mut params = CertificateParams::default();
    let now = OffsetDateTime::now_utc();
    params.not_before = now - VALID_BEFORE;
    params.not_after = now + VALID_FOR;
    let mut name: String = format!("standin link {host}");
    while name.len() > COMMON_NAME_MAX_BYTES {
        name.pop();
    }
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.subject_alt_names = subject_alternative_name(host).into_iter().collect();
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params.self_signed(key)
}

/// None for a name that a certificate cannot carry: nothing depends on it, as only the fingerprint is compared.
fn subject_alternative_name(host: &str) -> Option<SanType> {
    if let Ok(address) = host.parse() {
        return Some(SanType::IpAddress(address));
    }
    if host.is_empty() || !host.is_ascii() {
        return None;
    }
    host.to_owned().try_into().ok().map(SanType::DnsName)
}

/// End of validity of the certificate `der`.
///
/// # Errors
/// When it is no X.509 certificate.
pub fn certificate_expiry(der: &[u8]) -> Result<UnixMillis, String> {
    let (_, certificate) = X509Certificate::from_der(der).map_err(|error| format!("not a certificate: {error}"))?;
    Ok(UnixMillis(certificate.validity().not_after.timestamp().saturating_mul(1_000)))
}

/// The host that the certificate `der` was made for; none: it carries none.
#[must_use]
pub fn certificate_host(der: &[u8]) -> Option<String> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let names = &certificate.subject_alternative_name().ok()??.value.general_names;
    names.iter().find_map(|name| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => match bytes.len() {
            4 => <[u8; 4]>::try_from(*bytes).ok().map(|bytes| IpAddr::from(bytes).to_string()),
            16 => <[u8; 16]>::try_from(*bytes).ok().map(|bytes| IpAddr::from(bytes).to_string()),
            _ => None,
        },
        _ => None,
    })
}

/// `der` as text, for files that people open with `openssl x509`.
#[must_use]
pub fn pem(der: &[u8]) -> String {
    const LINE_CHARS: usize = 64;
    let mut text = String::from("-----BEGIN CERTIFICATE-----\n");
    for line in base64(der).as_bytes().chunks(LINE_CHARS) {
        text.extend(line.iter().map(|byte| char::from(*byte)));
        text.push('\n');
    }
    text.push_str("-----END CERTIFICATE-----\n");
    text
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let [a, b, c] = [group[0], group.get(1).copied().unwrap_or(0), group.get(2).copied().unwrap_or(0)];
        let digits = [a >> 2, (a & 3) << 4 | b >> 4, (b & 15) << 2 | c >> 6, c & 63];
        for (index, digit) in digits.into_iter().enumerate() {
            text.push(if index <= group.len() { char::from(DIGITS[usize::from(digit)]) } else { '=' });
        }
    }
    text
}
