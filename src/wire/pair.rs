//! Messages of a pairing (spec 3.1): the shadow says who it is, the master answers; only when the operator has compared the
//! fingerprint follow user and password, and then the grant.

use serde::{Deserialize, Serialize};

use super::link::{DESCRIPTION_MAX_CHARS, HOST_MAX_CHARS, NAME_MAX_CHARS, VERSION_MAX_CHARS};
use super::{Limited, Part, WireError, check, cut, from_bytes, to_bytes};
use crate::engine::base::Role;
use crate::engine::message::{PairGrant, PairHello, Refusal};
use crate::engine::order::Secret;

/// Protocol name of a pairing in the TLS handshake.
pub const ALPN: &[u8] = b"standin-pair/1";
/// Longest password, in bytes.
pub const PASSWORD_MAX_BYTES: usize = 1_024;

/// From the shadow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ShadowSays {
    /// First.
    Hello(Box<PairHello>),
    /// After the fingerprint was compared.
    Credentials(Credentials),
}

/// From the master.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MasterSays {
    /// To the hello. The connection ends when there is a refusal in it.
    Welcome(PairWelcome),
    /// To the credentials.
    Refused(Refusal),
    /// To the credentials: both are a pair now.
    Grant(Box<PairGrant>),
}

/// Who answers: what a probe shows, also when high availability is off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairWelcome {
    /// Program version.
    pub version: String,
    /// Protocol spoken.
    pub protocol: u16,
    /// The oldest protocol understood.
    pub protocol_min: u16,
    /// Its own host name.
    pub host: String,
    /// Its role; none before the first setup.
    pub role: Option<Role>,
    /// Free text of its operator.
    #[serde(default)]
    pub description: String,
    /// Why it would not pair; none: it asks for user and password.
    #[serde(default)]
    pub refusal: Option<Refusal>,
}

/// An administrator of the master (spec 3.1). Never stored, never logged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credentials {
    /// Name.
    pub user: String,
    /// Shown by nothing, wiped on drop.
    pub password: Secret,
}

/// The payload of a frame; texts over their limit are cut.
///
/// # Errors
/// When it cannot be written (never, for these types).
pub fn encode_shadow(message: &ShadowSays) -> Result<Vec<u8>, WireError> {
    let mut message = message.clone();
    cut(&mut message);
    to_bytes(&message)
}

/// See [`encode_shadow`].
///
/// # Errors
/// When it is another message or over a limit.
pub fn decode_shadow(bytes: &[u8]) -> Result<ShadowSays, WireError> {
    let mut message: ShadowSays = from_bytes(bytes)?;
    check(&mut message)?;
    if let ShadowSays::Credentials(credentials) = &message
        && credentials.password.expose().len() > PASSWORD_MAX_BYTES
    {
        return Err(WireError::OverLimit { what: "password", limit: PASSWORD_MAX_BYTES });
    }
    Ok(message)
}

/// See [`encode_shadow`].
///
/// # Errors
/// As there.
pub fn encode_master(message: &MasterSays) -> Result<Vec<u8>, WireError> {
    let mut message = message.clone();
    cut(&mut message);
    to_bytes(&message)
}

/// See [`encode_shadow`].
///
/// # Errors
/// When it is another message or over a limit.
pub fn decode_master(bytes: &[u8]) -> Result<MasterSays, WireError> {
    let mut message = from_bytes(bytes)?;
    check::<MasterSays>(&mut message)?;
    Ok(message)
}

impl Limited for ShadowSays {
    fn limits(&mut self, visit: &mut dyn FnMut(Part<'_>)) {
        match self {
            Self::Hello(hello) => {
                visit(Part::Text("version", &mut hello.version, VERSION_MAX_CHARS));
                visit(Part::Text("host", &mut hello.host, HOST_MAX_CHARS));
                visit(Part::Text("description", &mut hello.description, DESCRIPTION_MAX_CHARS));
            }
            Self::Credentials(credentials) => visit(Part::Text("user", &mut credentials.user, NAME_MAX_CHARS)),
        }
    }
}

impl Limited for MasterSays {
    fn limits(&mut self, visit: &mut dyn FnMut(Part<'_>)) {
        match self {
            Self::Welcome(welcome) => {
                visit(Part::Text("version", &mut welcome.version, VERSION_MAX_CHARS));
                visit(Part::Text("host", &mut welcome.host, HOST_MAX_CHARS));
                visit(Part::Text("description", &mut welcome.description, DESCRIPTION_MAX_CHARS));
                if let Some(refusal) = &mut welcome.refusal {
                    refusal.limits(visit);
                }
            }
            Self::Refused(refusal) => refusal.limits(visit),
            Self::Grant(grant) => {
                visit(Part::Text("version", &mut grant.version, VERSION_MAX_CHARS));
                visit(Part::Text("host", &mut grant.host, HOST_MAX_CHARS));
                visit(Part::Text("description", &mut grant.description, DESCRIPTION_MAX_CHARS));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::message::RefusalCode;

    fn welcome() -> PairWelcome {
        PairWelcome {
            version: "0.1.0".into(),
            protocol: 1,
            protocol_min: 1,
            host: "node-a".into(),
            role: Some(Role::Master),
            description: String::new(),
            refusal: Some(Refusal { code: RefusalCode::Disabled, why: "off".into() }),
        }
    }

    #[test]
    fn messages_come_back_as_they_were() {
        let said = MasterSays::Welcome(welcome());
        assert_eq!(decode_master(&encode_master(&said).unwrap()), Ok(said));
        let said =
            ShadowSays::Credentials(Credentials { user: "ann".into(), password: Secret::new("pässword".into()) });
        assert_eq!(decode_shadow(&encode_shadow(&said).unwrap()), Ok(said));
    }

    /// spec 9.4
    #[test]
    fn a_password_is_shown_by_nothing_and_has_a_limit() {
        let credentials = |length: usize| {
            ShadowSays::Credentials(Credentials { user: "ann".into(), password: Secret::new("x".repeat(length)) })
        };
        assert!(!format!("{:?}", credentials(20)).contains("xx"));
        assert!(decode_shadow(&encode_shadow(&credentials(PASSWORD_MAX_BYTES)).unwrap()).is_ok());
        assert!(decode_shadow(&encode_shadow(&credentials(PASSWORD_MAX_BYTES + 1)).unwrap()).is_err());
    }

    #[test]
    fn nonsense_is_refused() {
        assert!(decode_master(b"\x81\xa7welcome\xc0").is_err());
        assert!(decode_shadow(b"hello").is_err());
    }
}
