//! Pairing on the shadow (spec 3.1 to 3.3): see who answers, and, when the operator has compared the fingerprint, pair.

use std::net::IpAddr;

use tokio::io::{ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::Net;
use super::connect::{Connected, Goal, NotConnected, connect};
use super::framed::{FrameReader, ReadError, write_frame};
use super::tls::Pin;
use crate::engine::base::{Fingerprint, Problem};
use crate::engine::message::{PairGrant, PairHello, Refusal, RefusalCode};
use crate::engine::order::{MasterSeen, Secret};
use crate::wire::frame::LINK_FRAME_MAX_BYTES;
use crate::wire::pair::{self, Credentials, MasterSays, PairWelcome, ShadowSays, decode_master, encode_shadow};

/// What a granted pairing gives: all of it is to be kept.
#[derive(Clone, Debug)]
pub struct Paired {
    /// What the master said.
    pub grant: PairGrant,
    /// Of the master's certificate, as compared by the operator.
    pub fingerprint: Fingerprint,
    /// The master's certificate, DER.
    pub certificate: Vec<u8>,
    /// The address that answered.
    pub address: String,
}

struct Talk {
    reader: FrameReader<ReadHalf<TlsStream<TcpStream>>>,
    writer: WriteHalf<TlsStream<TcpStream>>,
    limit_ms: u64,
}

impl Net {
    /// Who answers at `host`: whole fingerprint, version, role, and why it would refuse a pairing. Sends no secret.
    ///
    /// # Errors
    /// When nobody answers there, or no Standin.
    pub async fn probe(&self, host: &str, port: u16, own: PairHello) -> Result<MasterProbed, Problem> {
        let hosts = [host.to_owned()];
        let connected = self.connect_for_pairing(&hosts, port, Pin::AnyForPairing, own.timing.connect_timeout_ms).await;
        let connected = connected.map_err(|not| no_answer(&hosts, port, &not.why))?;
        let seen = MasterSeen {
            host: host.to_owned(),
            port,
            address: connected.address.to_string(),
            fingerprint: connected.fingerprint,
            version: String::new(),
            role: None,
            same_network: shares_network(connected.own_address, connected.address),
        };
        let mut talk = self.talk(connected);
        let welcome = talk.hello(own).await.map_err(|why| no_answer(&hosts, port, &why))?;
        let refusal = welcome.refusal.map(|refusal| refusal_problem(&refusal, host));
        Ok(MasterProbed { seen: MasterSeen { version: welcome.version, role: welcome.role, ..seen }, refusal })
    }

    /// Makes this instance the shadow of the master at one of `hosts`. User and password go to nobody but the holder of the
    /// certificate that the operator compared.
    ///
    /// # Errors
    /// When nobody answers, another certificate answers, or the master refuses: each refusal with its own text (spec 3.3).
    pub async fn pair(
        &self,
        hosts: &[String],
        port: u16,
        fingerprint: Fingerprint,
        credentials: (String, Secret),
        own: PairHello,
    ) -> Result<Paired, Problem> {
        let pin = Pin::Only(fingerprint);
        let connected = match self.connect_for_pairing(hosts, port, pin, own.timing.connect_timeout_ms).await {
            Ok(connected) => connected,
            Err(NotConnected { foreign: Some(foreign), .. }) => return Err(foreign_problem(fingerprint, foreign)),
            Err(not) => return Err(no_answer(hosts, port, &not.why)),
        };
        let (host, address) = (connected.host.clone(), connected.address.to_string());
        let certificate = connected.certificate.clone();
        let mut talk = self.talk(connected);
        let welcome = talk.hello(own).await.map_err(|why| no_answer(hosts, port, &why))?;
        if let Some(refusal) = welcome.refusal {
            return Err(refusal_problem(&refusal, &host));
        }
        let (user, password) = credentials;
        let said = ShadowSays::Credentials(Credentials { user, password });
        talk.say(&said).await.map_err(|why| no_answer(hosts, port, &why))?;
        drop(said);
        match talk.hear().await.map_err(|why| no_answer(hosts, port, &why))? {
            MasterSays::Grant(grant) => {
                let (shared, der) = (self.shared.clone(), certificate.clone());
                let saved = tokio::task::spawn_blocking(move || shared.identity.save_peer(&der)).await;
                if let Ok(Err(problem)) = saved {
                    // The fingerprint is what is trusted; this copy is for people.
                    tracing::warn!(%problem, "certificate of the master not kept");
                }
                Ok(Paired { grant: *grant, fingerprint, certificate, address })
            }
            MasterSays::Refused(refusal) => Err(refusal_problem(&refusal, &host)),
            MasterSays::Welcome(_) => Err(no_answer(hosts, port, "the master said something unexpected")),
        }
    }

    async fn connect_for_pairing(
        &self,
        hosts: &[String],
        port: u16,
        pin: Pin,
        timeout_ms: u64,
    ) -> Result<Connected, NotConnected> {
        let goal = Goal { hosts, port, pin, protocol: pair::ALPN, timeout_ms };
        connect(&self.shared, &goal).await
    }

    fn talk(&self, connected: Connected) -> Talk {
        let (read, writer) = tokio::io::split(connected.stream);
        let reader = FrameReader::new(read, LINK_FRAME_MAX_BYTES);
        Talk { reader, writer, limit_ms: self.shared.limits.pair_answer_ms }
    }
}

/// What a probe found.
#[derive(Clone, Debug, PartialEq)]
pub struct MasterProbed {
    /// Who answered.
    pub seen: MasterSeen,
    /// Why it would refuse a pairing now; none: it would ask for user and password.
    pub refusal: Option<Problem>,
}

impl Talk {
    async fn say(&mut self, message: &ShadowSays) -> Result<(), String> {
        let payload = zeroize::Zeroizing::new(encode_shadow(message).map_err(|error| error.to_string())?);
        let written = write_frame(&mut self.writer, &payload, LINK_FRAME_MAX_BYTES, self.limit_ms).await;
        written.map_err(|error| format!("connection broken: {error}"))
    }

    async fn hear(&mut self) -> Result<MasterSays, String> {
        let read = self.reader.next_within(self.limit_ms).await;
        read.and_then(|frame| Ok(decode_master(&frame)?)).map_err(|error: ReadError| error.to_string())
    }

    async fn hello(&mut self, own: PairHello) -> Result<PairWelcome, String> {
        self.say(&ShadowSays::Hello(Box::new(own))).await?;
        match self.hear().await? {
            MasterSays::Welcome(welcome) => Ok(welcome),
            _ => Err("the other side said something unexpected".into()),
        }
    }
}

/// Spec 1.5: a hint, so a guess by the usual sizes of networks will do.
fn shares_network(own: IpAddr, other: IpAddr) -> bool {
    if own == other || other.is_loopback() {
        return true;
    }
    match (own.to_canonical(), other.to_canonical()) {
        (IpAddr::V4(own), IpAddr::V4(other)) => own.octets()[..3] == other.octets()[..3],
        (IpAddr::V6(own), IpAddr::V6(other)) => own.segments()[..4] == other.segments()[..4],
        _ => false,
    }
}

fn no_answer(hosts: &[String], port: u16, why: &str) -> Problem {
    Problem::new(
        format!("no master answers at {} port {port}", hosts.join(", ")),
        why,
        "check host and port, that Standin runs there, and that no firewall is between; proxies are not supported",
    )
}

fn foreign_problem(expected: Fingerprint, found: Fingerprint) -> Problem {
    Problem::new(
        "another certificate answered; user and password were not sent",
        format!("expected {expected}, found {found}"),
        "compare with the fingerprint on the master's console; if they differ, somebody else answers at that address",
    )
}

/// Each refusal says what, why and what to do (spec 3.3).
fn refusal_problem(refusal: &Refusal, host: &str) -> Problem {
    let (what, todo) = match refusal.code {
        RefusalCode::Disabled => {
            ("high availability is off on the master", "on the master: standin ha enable; then connect again")
        }
        RefusalCode::WrongHost => (
            "this machine is not the master's permitted shadow host",
            "on the master: standin ha edit --permitted-shadow-host HOST (or --any-shadow-host); or set the own host here",
        ),
        RefusalCode::NotMyPair => (
            "the master does not know this instance as its pair",
            "on this instance: standin shadow reset; then pair again",
        ),
        RefusalCode::SecondShadow => (
            "the master has another shadow already",
            "if that one is no more: on the master, standin ha reset; then connect again",
        ),
        RefusalCode::Version => {
            ("the two versions cannot talk to each other", "install the same version of Standin on both machines")
        }
        RefusalCode::SameInstance => (
            "both sides are the same instance: this home is a copy of the master's",
            "on this instance: standin setup --new-identity; then connect again",
        ),
        RefusalCode::Credentials => (
            "user or password is wrong",
            "give an administrator of the master; standin users set-password there sets a new password",
        ),
        RefusalCode::LockedOut => {
            ("too many wrong passwords", "wait as long as said, then try again with the right one")
        }
        RefusalCode::UserStore => (
            "the master could not check the password",
            "on the master: check users.yaml or the LDAP server; this attempt did not count as a wrong password",
        ),
        RefusalCode::NotAdministrator => {
            ("this user may not pair", "give a user of the role administrator on the master")
        }
        RefusalCode::NotMaster => (
            "the instance that answered is no master",
            "give the host of the master, or set that instance up as master first: standin setup --role master",
        ),
        RefusalCode::Busy => ("the master is busy or stopping", "try again in a few seconds"),
        RefusalCode::Other => ("the master refuses", "see the master's events: standin events"),
    };
    let why = if refusal.why.is_empty() { "no reason given".into() } else { refusal.why.clone() };
    Problem::new(what, format!("{why} (said by {host})"), todo)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// spec 3.3: each has its own message.
    #[test]
    fn every_refusal_has_its_own_words() {
        use RefusalCode as Code;
        let codes = [
            Code::Disabled,
            Code::WrongHost,
            Code::NotMyPair,
            Code::SecondShadow,
            Code::Version,
            Code::SameInstance,
            Code::Credentials,
            Code::LockedOut,
            Code::UserStore,
            Code::NotAdministrator,
            Code::NotMaster,
            Code::Busy,
            Code::Other,
        ];
        let mut words = std::collections::BTreeSet::new();
        for code in codes {
            let problem = refusal_problem(&Refusal { code, why: "because".into() }, "node-a");
            assert!(problem.why.contains("because") && problem.why.contains("node-a"));
            assert!(!problem.todo.is_empty());
            assert!(words.insert(problem.what), "{code:?}");
        }
    }

    /// spec 1.5
    #[test]
    fn networks_are_compared_by_their_usual_sizes() {
        let shares = |a: &str, b: &str| shares_network(a.parse().unwrap(), b.parse().unwrap());
        assert!(shares("10.0.0.1", "10.0.0.200"));
        assert!(!shares("10.0.0.1", "10.0.1.1"));
        assert!(shares("::ffff:10.0.0.1", "10.0.0.2"));
        assert!(shares("fd00:1:2:3::1", "fd00:1:2:3:9::1"));
        assert!(!shares("fd00:1:2:3::1", "fd00:1:2:4::1"));
        assert!(shares("127.0.0.1", "127.0.0.2"));
        assert!(!shares("10.0.0.1", "fd00::1"));
    }
}
