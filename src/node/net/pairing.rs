//! Pairing on the master (spec 3.1 to 3.3): who are you, may you, prove that an administrator sent you, be my pair.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::{AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio_rustls::server::TlsStream;
use uuid::Uuid;

use super::framed::{FrameReader, write_frame};
use super::listen::Incoming;
use super::{PAIRINGS_MAX, PairingAnswer, Shared, policy};
use crate::access::{UserRole, Verdict};
use crate::engine::base::{Fingerprint, PairId};
use crate::engine::event::{EventKind, Severity};
use crate::engine::input::Input;
use crate::engine::message::{PROTOCOL, PROTOCOL_MIN, PairGrant, PairHello, Refusal, RefusalCode};
use crate::wire::frame::LINK_FRAME_MAX_BYTES;
use crate::wire::pair::{Credentials, MasterSays, PairWelcome, ShadowSays, decode_shadow, encode_master};

/// Alert of the catalogue: a wrong password at a pairing.
const WRONG_PASSWORD: &str = "S-002";
/// Alert of the catalogue: locked out after too many of them.
const LOCKED_OUT: &str = "S-003";

/// Forgets the question to the engine when the conversation ends before its answer.
struct Question {
    shared: Arc<Shared>,
    id: u64,
}

impl Drop for Question {
    fn drop(&mut self) {
        self.shared.state().pairings.remove(&self.id);
    }
}

struct Conversation {
    shared: Arc<Shared>,
    id: u64,
    reader: FrameReader<ReadHalf<TlsStream<TcpStream>>>,
    writer: WriteHalf<TlsStream<TcpStream>>,
    fingerprint: Fingerprint,
    certificate: Vec<u8>,
    address: IpAddr,
    host_problem: Option<String>,
}

/// A connection came in and asked for a pairing.
pub(super) async fn serve(shared: Arc<Shared>, incoming: Incoming) {
    let Incoming { stream, fingerprint, certificate, address, deadline, slot } = incoming;
    let (read, writer) = tokio::io::split(stream);
    let mut reader = FrameReader::new(read, LINK_FRAME_MAX_BYTES);
    let Ok(ShadowSays::Hello(hello)) = reader.next_by(deadline).await.and_then(|frame| Ok(decode_shadow(&frame)?))
    else {
        tracing::debug!(%address, "no pairing hello");
        return;
    };
    drop(slot);
    let id = shared.next_pairing.fetch_add(1, Ordering::Relaxed);
    let host_problem = policy::host_problem(&shared, &hello.host, address).await;
    let mut talk =
        Conversation { shared: shared.clone(), id, reader, writer, fingerprint, certificate, address, host_problem };
    let slot = shared.pairing_slots.clone().try_acquire_owned();
    if slot.is_err() {
        talk.refuse_at_once(busy(format!("{PAIRINGS_MAX} pairings are under way already"))).await;
    } else {
        talk.hold(&hello).await;
    }
    talk.end().await;
}

fn busy(why: impl Into<String>) -> Refusal {
    Refusal { code: RefusalCode::Busy, why: why.into() }
}

impl Conversation {
    async fn hold(&mut self, hello: &PairHello) {
        let asked = Input::PairAsked {
            id: self.id,
            hello: Box::new(hello.clone()),
            fingerprint: self.fingerprint,
            address: self.address.to_string(),
            host_problem: self.host_problem.clone(),
        };
        if let Err(refusal) = self.decide(asked).await {
            self.refuse_at_once(refusal).await;
            return;
        }
        if !self.say(&MasterSays::Welcome(self.welcome(None))).await {
            return;
        }
        // A mere probe hangs up here.
        let Ok(frame) = self.reader.next_within(self.shared.limits.credentials_ms).await else { return };
        let frame = zeroize::Zeroizing::new(frame);
        let Ok(ShadowSays::Credentials(credentials)) = decode_shadow(&frame) else { return };
        let said = match self.check(credentials, hello).await {
            Ok(grant) => MasterSays::Grant(grant),
            Err(refusal) => MasterSays::Refused(refusal),
        };
        self.say(&said).await;
    }

    /// Asks the engine.
    async fn decide(&self, input: Input) -> PairingAnswer {
        let (answer, waiting) = oneshot::channel();
        self.shared.state().pairings.insert(self.id, answer);
        let _forget = Question { shared: self.shared.clone(), id: self.id };
        self.shared.tell(input).await;
        let limit = Duration::from_millis(self.shared.limits.decision_ms);
        match tokio::time::timeout(limit, waiting).await {
            Ok(Ok(answer)) => answer,
            _ => Err(busy("the master did not decide in time; it may be stopping")),
        }
    }

    async fn check(&self, credentials: Credentials, hello: &PairHello) -> Result<Box<PairGrant>, Refusal> {
        self.check_credentials(credentials, hello).await?;
        let proved = Input::PairProved {
            id: self.id,
            hello: Box::new(hello.clone()),
            fingerprint: self.fingerprint,
            address: self.address.to_string(),
            host_problem: self.host_problem.clone(),
            fresh_pair: PairId(Uuid::new_v4()),
        };
        let grant = self.decide(proved).await?.ok_or_else(|| busy("the master gave no grant"))?;
        let (shared, der) = (self.shared.clone(), self.certificate.clone());
        let saved = tokio::task::spawn_blocking(move || shared.identity.save_peer(&der)).await;
        if let Ok(Err(problem)) = saved {
            // What is trusted is the fingerprint in the engine's record; this copy is for people.
            self.shared.note(EventKind::Security, Severity::Warning, problem.to_string()).await;
        }
        Ok(grant)
    }

    async fn check_credentials(&self, credentials: Credentials, hello: &PairHello) -> Result<(), Refusal> {
        let Credentials { user, password } = credentials;
        let shown: String = user.chars().filter(|c| !c.is_control()).take(64).collect();
        let (shared, address) = (self.shared.clone(), self.address.to_string());
        let verdict = tokio::task::spawn_blocking(move || {
            let now = (shared.clock)().mono;
            shared.access.verify(&user, &address, password.expose(), now)
        })
        .await
        .unwrap_or_else(|error| Verdict::Unavailable(error.to_string()));
        let who = format!("user {shown} from {} ({})", self.address, hello.host);
        match verdict {
            Verdict::Ok(UserRole::Administrator) => Ok(()),
            Verdict::Ok(_) => {
                self.note(format!("pairing refused: {who} is no administrator")).await;
                Err(Refusal { code: RefusalCode::NotAdministrator, why: format!("user {shown} is no administrator") })
            }
            Verdict::Wrong => {
                let why = format!("wrong user or password at a pairing: {who}");
                self.note(why.clone()).await;
                self.trouble(WRONG_PASSWORD, why).await;
                Err(Refusal { code: RefusalCode::Credentials, why: "no such user has this password here".into() })
            }
            Verdict::LockedOut { for_ms, is_locked } => {
                let seconds = for_ms.div_ceil(1_000);
                if is_locked {
                    let why = format!("locked out after too many wrong passwords: {who}");
                    self.shared.note_seldom("locked out", why.clone()).await;
                    self.trouble(LOCKED_OUT, why).await;
                } else {
                    let text = format!("pairing refused, wrong passwords came too fast: {who}");
                    self.shared.note_seldom("too fast", text).await;
                }
                let why = format!("too many wrong passwords; the next is looked at in {seconds} s");
                Err(Refusal { code: RefusalCode::LockedOut, why })
            }
            Verdict::Unavailable(why) => {
                let text = format!("pairing refused, the user store does not answer: {why}");
                self.shared.note_seldom("user store", text).await;
                Err(Refusal { code: RefusalCode::UserStore, why: format!("the master's user store: {why}") })
            }
        }
    }

    async fn note(&self, text: String) {
        self.shared.note(EventKind::Security, Severity::Warning, text).await;
    }

    async fn trouble(&self, code: &'static str, why: String) {
        // By address: invented user names must not make a list of alerts.
        self.shared.tell(Input::Trouble { code, subject: self.address.to_string(), why }).await;
    }

    fn welcome(&self, refusal: Option<Refusal>) -> PairWelcome {
        let about = self.shared.state().about.clone();
        PairWelcome {
            version: about.version,
            protocol: PROTOCOL,
            protocol_min: PROTOCOL_MIN,
            host: about.host,
            role: about.role,
            description: about.description,
            refusal,
        }
    }

    async fn refuse_at_once(&mut self, refusal: Refusal) {
        let welcome = self.welcome(Some(refusal));
        self.say(&MasterSays::Welcome(welcome)).await;
    }

    async fn say(&mut self, message: &MasterSays) -> bool {
        let Ok(payload) = encode_master(message) else { return false };
        let limit_ms = self.shared.limits.first_frame_ms;
        write_frame(&mut self.writer, &payload, LINK_FRAME_MAX_BYTES, limit_ms).await.is_ok()
    }

    async fn end(mut self) {
        let limit = Duration::from_millis(self.shared.limits.flush_ms);
        let flush = async {
            if self.writer.shutdown().await.is_ok() {
                self.reader.drain().await;
            }
        };
        // A shadow that does not hang up in time has had its answer all the same.
        let _ = tokio::time::timeout(limit, flush).await;
    }
}
