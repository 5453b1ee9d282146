//! Identities, numbers and clocks that every other room uses.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Monotonic time in milliseconds, from a clock that counts suspension (spec 7.12). Only differences mean anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Millis(pub u64);

impl Millis {
    /// The moment `span` milliseconds later; saturates.
    #[must_use]
    pub fn plus(self, span_ms: u64) -> Self {
        Self(self.0.saturating_add(span_ms))
    }

    /// Milliseconds since `earlier`, 0 if that lies ahead.
    #[must_use]
    pub fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// Wall time, milliseconds since 1970 UTC. A label for people; decides nothing (spec 7.12). RFC 3339 in JSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixMillis(pub i64);

impl Serialize for UnixMillis {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.serialize_str(&self.rfc3339(if self.0 % 1_000 == 0 { 0 } else { 3 }))
        } else {
            serializer.serialize_i64(self.0)
        }
    }
}

impl<'de> Deserialize<'de> for UnixMillis {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        if !deserializer.is_human_readable() {
            return i64::deserialize(deserializer).map(Self);
        }
        let text = String::deserialize(deserializer)?;
        let at = time::OffsetDateTime::parse(&text, &time::format_description::well_known::Rfc3339)
            .map_err(D::Error::custom)?;
        i64::try_from(at.unix_timestamp_nanos() / 1_000_000).map(Self).map_err(D::Error::custom)
    }
}

impl UnixMillis {
    /// RFC 3339 in UTC with `fraction_digits` (0 to 3) of a second: `2026-11-22T14:00:00Z`.
    #[must_use]
    pub fn rfc3339(self, fraction_digits: usize) -> String {
        let Ok(at) = time::OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000_000) else {
            return "0000-00-00T00:00:00Z".into();
        };
        let mut text = format!(
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}",
            at.year(),
            u8::from(at.month()),
            at.day(),
            at.hour(),
            at.minute(),
            at.second()
        );
        if fraction_digits > 0 {
            let fraction = format!("{:03}", at.millisecond());
            text.push('.');
            text.push_str(&fraction[..fraction_digits.min(3)]);
        }
        text.push('Z');
        text
    }

    /// Only the time of day: `14:02:11Z`, or with tenths `14:02:11.2Z`.
    #[must_use]
    pub fn clock(self, fraction_digits: usize) -> String {
        self.rfc3339(fraction_digits).split_off(11)
    }
}

/// Both clocks, read at the same moment; handed to every call of the engine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// Decides.
    pub mono: Millis,
    /// Labels.
    pub wall: UnixMillis,
}

/// Grows at every change of master; the fencing token (spec, Words). 0 = never had one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Term(pub u64);

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Which terms an instance may take: odd ones for the instance first made master, even ones for the other (spec 7.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OwnTerms {
    /// First made master.
    Odd,
    /// The other one.
    Even,
}

impl OwnTerms {
    /// The smallest own term above `known` (spec 7.3).
    #[must_use]
    pub fn next_above(self, known: Term) -> Term {
        let next = known.0 + 1;
        let is_own = (next % 2 == 1) == (self == Self::Odd);
        Term(if is_own { next } else { next + 1 })
    }

    /// The peer's.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Odd => Self::Even,
            Self::Even => Self::Odd,
        }
    }
}

/// A number new at every start of an instance; grows (kept on disk).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Run(pub u64);

/// One instance, for ever (until `setup --new-identity`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct InstanceId(pub Uuid);

/// One pairing of two instances; every hello carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PairId(pub Uuid);

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for PairId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// 32 bytes of SHA-256; hex in text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// Of nothing known; never the digest of a real tree.
    pub const ZERO: Self = Self([0; 32]);

    /// The first 12 hex digits, for narrow places. Never where two are compared by a person.
    #[must_use]
    pub fn short(&self) -> String {
        self.to_string()[..12].to_owned()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.short())
    }
}

impl FromStr for Digest {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WRONG: &str = "not 64 hexadecimal digits";
        if text.len() != 64 || !text.is_ascii() {
            return Err(WRONG);
        }
        let mut bytes = [0; 32];
        for (index, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[index * 2..index * 2 + 2], 16).map_err(|_| WRONG)?;
        }
        Ok(Self(bytes))
    }
}

impl Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.serialize_str(&self.to_string())
        } else {
            serializer.serialize_bytes(&self.0)
        }
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        if deserializer.is_human_readable() {
            String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
        } else {
            let bytes: serde_bytes::ByteArray<32> = Deserialize::deserialize(deserializer)?;
            Ok(Self(bytes.into_array()))
        }
    }
}

/// SHA-256 of a certificate's DER; `SHA256:` and 64 hex digits in text (what `openssl x509 -fingerprint` computes).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Fingerprint(pub Digest);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SHA256:{}", self.0)
    }
}

impl FromStr for Fingerprint {
    type Err = &'static str;

    /// Takes it with or without `SHA256:`, with or without colons, in either case.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let hex = match text.get(..7) {
            Some(head) if head.eq_ignore_ascii_case("sha256:") => &text[7..],
            _ => text,
        };
        let hex: String = hex.chars().filter(|c| *c != ':').collect::<String>().to_ascii_lowercase();
        hex.parse().map(Self).map_err(|_| "not a fingerprint: expected SHA256: and 64 hexadecimal digits")
    }
}

impl From<Fingerprint> for String {
    fn from(fingerprint: Fingerprint) -> Self {
        fingerprint.to_string()
    }
}

impl TryFrom<String> for Fingerprint {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

/// What an instance is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Holds the configuration and runs the service.
    Master,
    /// Mirrors, watches, takes over.
    Shadow,
}

impl Role {
    /// `master` or `shadow`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Master => "master",
            Self::Shadow => "shadow",
        }
    }
}

/// What holds an instance back now (spec, Words).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// A former master waits for its shadow's answer (spec 7.5).
    BootHold,
    /// A hand-over is under way (spec 7.7).
    Switching,
    /// A hand-over was offered and nobody answers (spec 7.7).
    InDoubt,
    /// Cut off, service stopped, role kept (spec 7.10).
    Isolated,
    /// Takeovers suspended (spec 7.9).
    Maintenance,
    /// Too many takeovers in a row (spec 7.15).
    Damped,
    /// The service is being stopped, or will not stop (spec 7.13).
    Stopping,
}

impl Condition {
    /// The spec's word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::BootHold => "boot_hold",
            Self::Switching => "switching",
            Self::InDoubt => "in_doubt",
            Self::Isolated => "isolated",
            Self::Maintenance => "maintenance",
            Self::Damped => "damped",
            Self::Stopping => "stopping",
        }
    }
}

/// Link states of a master (spec 2.7) and states of a shadow (spec 4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum LinkState {
    /// Master: no shadow known, or one that said it leaves.
    Alone,
    /// Master: pairing or first transfer under way.
    Binding,
    /// Master: checks arrive.
    Connected,
    /// Master: a known shadow has been silent for three check intervals.
    Broken,
    /// Shadow: no master configured.
    Initial,
    /// Shadow: not connected, by order or because the master refused.
    Disconnected,
    /// Shadow: talking to the master, not in sync yet.
    Handshake,
    /// Shadow: complete transfer under way.
    Initsync,
    /// Shadow: in sync and watching.
    Ready,
    /// Shadow: checks fail, takeover delay running.
    Lost,
    /// Shadow: leaving.
    Disconnecting,
}

impl LinkState {
    /// The spec's word, in capitals.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Alone => "ALONE",
            Self::Binding => "BINDING",
            Self::Connected => "CONNECTED",
            Self::Broken => "BROKEN",
            Self::Initial => "INITIAL",
            Self::Disconnected => "DISCONNECTED",
            Self::Handshake => "HANDSHAKE",
            Self::Initsync => "INITSYNC",
            Self::Ready => "READY",
            Self::Lost => "LOST",
            Self::Disconnecting => "DISCONNECTING",
        }
    }
}

/// Why a role changed or the service starts or stops; `STANDIN_REASON` (interfaces, Hooks).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// First setup, or an instance that starts.
    Start,
    /// The master stopped answering.
    Takeover,
    /// An operator asked for it.
    Switch,
    /// Met a master of a higher term.
    Relinquish,
    /// Cut off from everything.
    Isolated,
    /// The service would not run.
    ServiceFailed,
    /// `become-master` or `become-shadow`.
    Forced,
    /// Planned stop.
    Stop,
}

impl Reason {
    /// The word of `STANDIN_REASON`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Takeover => "takeover",
            Self::Switch => "switch",
            Self::Relinquish => "relinquish",
            Self::Isolated => "isolated",
            Self::ServiceFailed => "service-failed",
            Self::Forced => "forced",
            Self::Stop => "stop",
        }
    }
}

/// Names one committed state of the configuration. Two are the same state exactly when all three fields are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RevisionId {
    /// Counts up from 1 along the history of a pair.
    pub number: u64,
    /// The term of the master that committed it.
    pub term: Term,
    /// Digest of the whole tree.
    pub root: Digest,
}

/// One connection of this run; grows, so that a later one is newer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LinkId(pub u64);

/// What people read when something was refused or failed: what, why, what to do. Each is one sentence without a final stop
/// where short, never empty but `todo`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// What was refused or failed.
    pub what: String,
    /// Because of what.
    pub why: String,
    /// The way out; empty when there is none.
    pub todo: String,
}

impl Problem {
    /// All three at once.
    pub fn new(what: impl Into<String>, why: impl Into<String>, todo: impl Into<String>) -> Self {
        Self { what: what.into(), why: why.into(), todo: todo.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.why)?;
        if !self.todo.is_empty() {
            write!(f, "\n  {}", self.todo)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problem {}

#[cfg(test)]
mod tests {
    use super::*;

    /// spec 7.3
    #[test]
    fn own_terms_are_the_smallest_above_all_known() {
        assert_eq!(OwnTerms::Odd.next_above(Term(0)), Term(1));
        assert_eq!(OwnTerms::Even.next_above(Term(0)), Term(2));
        assert_eq!(OwnTerms::Even.next_above(Term(2)), Term(4));
        assert_eq!(OwnTerms::Odd.next_above(Term(2)), Term(3));
        assert_eq!(OwnTerms::Odd.next_above(Term(3)), Term(5));
    }

    #[test]
    fn a_fingerprint_is_read_as_people_write_it() {
        let plain = "SHA256:9f2c11a8530e77d46b90c12afe0833b5c1d07e4429ab6f0e8812d3ca55907be1";
        let parsed: Fingerprint = plain.parse().unwrap();
        assert_eq!(parsed.to_string(), plain);
        let hex = &plain[7..];
        let colons: Vec<String> = hex.as_bytes().chunks(2).map(|p| String::from_utf8_lossy(p).to_uppercase()).collect();
        assert_eq!(format!("sha256:{}", colons.join(":")).parse::<Fingerprint>().unwrap(), parsed);
        assert!("SHA256:12".parse::<Fingerprint>().is_err());
    }

    #[test]
    fn times_are_written_in_utc() {
        assert_eq!(UnixMillis(1_795_356_000_250).rfc3339(0), "2026-11-22T14:00:00Z");
        assert_eq!(UnixMillis(1_795_356_000_250).clock(1), "14:00:00.2Z");
    }
}
