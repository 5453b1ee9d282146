//! The network side of the node: the listener, links, pairings and bulk connections, all over TLS 1.3 with a certificate at
//! both ends. What happens becomes [`Input`]s; what the engine wants done comes in through [`Net`].

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::AbortHandle;
use tokio_rustls::TlsAcceptor;

use crate::access::Access;
use crate::engine::base::{Digest, Fingerprint, LinkId, Millis, Now, Problem, RevisionId, Role};
use crate::engine::event::{Event, EventKind, Severity};
use crate::engine::input::Input;
use crate::engine::message::{Branch, Envelope, PairGrant, Refusal};
use crate::identity::Identity;
use crate::store::Packed;
use crate::wire;
use crate::wire::bulk::{ChangedEntry, Entry};
use links::Handle;
use names::Names;

mod bulk_client;
mod bulk_server;
mod connect;
mod dial;
mod framed;
mod links;
mod listen;
mod names;
mod pair_client;
mod pairing;
mod policy;
mod tls;

pub use bulk_client::{BulkClient, Partial};
pub use bulk_server::NO_CONTENT;
pub use names::Resolver;
pub use pair_client::{MasterProbed, Paired};

/// Most connections that have not said anything yet.
pub const HANDSHAKES_MAX: usize = 64;
/// Most of these from one address, so that one machine cannot lock the peer out.
pub const HANDSHAKES_PER_ADDRESS_MAX: usize = 16;
/// Most links at a time.
pub const LINKS_MAX: usize = 16;
/// Most of these that strangers may hold; the rest is the peer's.
pub const LINKS_OF_STRANGERS_MAX: usize = 8;
/// Most messages that wait to be sent over one link; one more closes it.
pub const LINK_QUEUE_MAX: usize = 256;
/// Most dials at a time.
pub const DIALS_MAX: usize = 8;
/// Most pairings at a time.
pub const PAIRINGS_MAX: usize = 4;
/// Most bulk connections at a time.
pub const BULKS_MAX: usize = 4;

/// Between two events about the same kind of trouble that strangers can make.
const NOTE_PAUSE_MS: u64 = 60_000;

/// How long things may take, ms. Another value than the default is for tests.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// From accepting a connection to its first message.
    pub first_frame_ms: u64,
    /// For what was sent before a close to get out.
    pub flush_ms: u64,
    /// For the operator of a pairing shadow to compare the fingerprint and type the password.
    pub credentials_ms: u64,
    /// For the engine to decide about a pairing.
    pub decision_ms: u64,
    /// For the master's answers to a pairing shadow (hashing and waiting for its turn included).
    pub pair_answer_ms: u64,
    /// Of silence within a bulk answer.
    pub bulk_idle_ms: u64,
    /// For a name server.
    pub resolve_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            first_frame_ms: 5_000,
            flush_ms: 200,
            credentials_ms: 120_000,
            decision_ms: 10_000,
            pair_answer_ms: 20_000,
            bulk_idle_ms: 10_000,
            resolve_ms: 2_000,
        }
    }
}

/// Every entry of a tree, made as it is asked for: a large one is not in memory as a list.
pub type Entries = Box<dyn Iterator<Item = Entry> + Send>;

/// What a bulk connection serves. All calls block, and may be made from several threads.
pub trait BulkServer: Send + Sync + 'static {
    /// Every entry of `revision`, each directory before what is in it, what is in one in order of names.
    ///
    /// # Errors
    /// For people.
    fn manifest(&self, revision: RevisionId) -> Result<Entries, String>;
    /// A content; none: not known here.
    fn content(&self, digest: &Digest) -> Option<Vec<u8>>;
    /// The same as it is kept.
    ///
    /// # Errors
    /// For people.
    fn packed(&self, digest: &Digest) -> Result<Option<Packed>, String>;
    /// Reads every file of the directory again: the digest of the whole and every entry.
    ///
    /// # Errors
    /// For people.
    fn verify(&self) -> Result<(Digest, Entries), String>;
    /// Removes the contents of a path from the history, as `by` ordered on the other instance; how many.
    ///
    /// # Errors
    /// For people.
    fn forget(&self, path: &[u8], by: &str) -> Result<u64, String>;
    /// Every branch and drift that is kept here (spec 4.5, 7.6).
    ///
    /// # Errors
    /// For people.
    fn branches(&self) -> Result<Vec<Branch>, String> {
        Ok(Vec::new())
    }
    /// What one of them changed.
    ///
    /// # Errors
    /// For people.
    fn branch_changes(&self, name: &str) -> Result<Vec<ChangedEntry>, String> {
        Err(format!("there is no branch {name} here"))
    }
}

/// Who this instance says it is before anybody is trusted (spec 3.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// Program version.
    pub version: String,
    /// Own host name.
    pub host: String,
    /// None before the first setup.
    pub role: Option<Role>,
    /// Free text.
    pub description: String,
}

/// What [`Net::start`] needs.
pub struct NetConfig {
    /// Address to listen on; connections go out from it where it is a concrete one (spec 4.1).
    pub listen: String,
    /// Port to listen on; 0: any free one (tests).
    pub port: u16,
    /// Key and certificate of the link.
    pub identity: Arc<Identity>,
    /// Where everything that happens goes.
    pub inputs: mpsc::Sender<Input>,
    /// Both clocks.
    pub clock: Arc<dyn Fn() -> Now + Send + Sync>,
    /// Users, for pairings.
    pub access: Arc<Access>,
    /// What bulk connections serve.
    pub bulk: Arc<dyn BulkServer>,
    /// How long things may take.
    pub limits: Limits,
    /// Finds the addresses of a name; none: the system's.
    pub resolver: Option<Resolver>,
}

/// The network side. Cheap to clone; every clone is the same.
#[derive(Clone)]
pub struct Net {
    shared: Arc<Shared>,
    listener: Arc<tokio::sync::Mutex<listen::Listening>>,
}

/// What every task of the network side holds.
struct Shared {
    identity: Arc<Identity>,
    acceptor: TlsAcceptor,
    inputs: mpsc::Sender<Input>,
    clock: Arc<dyn Fn() -> Now + Send + Sync>,
    access: Arc<Access>,
    bulk: Arc<dyn BulkServer>,
    limits: Limits,
    names: Names,
    handshakes: Arc<Semaphore>,
    pairing_slots: Arc<Semaphore>,
    bulk_slots: Arc<Semaphore>,
    next_link: AtomicU64,
    next_pairing: AtomicU64,
    state: Mutex<State>,
}

type PairingAnswer = Result<Option<Box<PairGrant>>, Refusal>;

#[derive(Default)]
struct State {
    links: BTreeMap<LinkId, Handle>,
    dials: BTreeMap<u64, Option<AbortHandle>>,
    pairings: BTreeMap<u64, oneshot::Sender<PairingAnswer>>,
    handshakes_by_address: BTreeMap<IpAddr, usize>,
    peer: Option<Fingerprint>,
    permitted: Option<String>,
    about: About,
    /// The concrete address listened on; none: all.
    own_address: Option<IpAddr>,
    bound: Option<SocketAddr>,
    /// When each kind of trouble that strangers can make was last told of.
    noted: BTreeMap<&'static str, Millis>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that holds it can panic halfway through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands over what happened; when nobody listens any more the program is ending.
    async fn tell(&self, input: Input) {
        let _ = self.inputs.send(input).await;
    }

    async fn note(&self, kind: EventKind, severity: Severity, text: String) {
        let at = (self.clock)().wall;
        self.tell(Input::Event(Event { id: 0, at, kind, severity, text, who: None, timeline: Vec::new() })).await;
    }

    /// At most once a minute for each `about`: a stranger that keeps trying must not fill the list of events.
    async fn note_seldom(&self, about: &'static str, text: String) {
        let now = (self.clock)().mono;
        let is_due = {
            let mut state = self.state();
            let is_due = state.noted.get(about).is_none_or(|last| now.since(*last) >= NOTE_PAUSE_MS);
            if is_due {
                state.noted.insert(about, now);
            }
            is_due
        };
        if is_due {
            self.note(EventKind::Security, Severity::Warning, text).await;
        }
    }
}

impl Net {
    /// Listens, and answers. Call within a runtime.
    ///
    /// # Errors
    /// When the address or port cannot be listened on: who has to change what.
    pub fn start(config: NetConfig) -> Result<Self, Problem> {
        let acceptor = tls::acceptor(&config.identity)?;
        let shared = Arc::new(Shared {
            identity: config.identity,
            acceptor,
            inputs: config.inputs,
            clock: config.clock,
            access: config.access,
            bulk: config.bulk,
            limits: config.limits,
            names: Names::new(config.resolver, config.limits.resolve_ms),
            handshakes: Arc::new(Semaphore::new(HANDSHAKES_MAX)),
            pairing_slots: Arc::new(Semaphore::new(PAIRINGS_MAX)),
            bulk_slots: Arc::new(Semaphore::new(BULKS_MAX)),
            next_link: AtomicU64::new(1),
            next_pairing: AtomicU64::new(1),
            state: Mutex::default(),
        });
        let listening = listen::Listening::start(&shared, &config.listen, config.port)?;
        Ok(Self { shared, listener: Arc::new(tokio::sync::Mutex::new(listening)) })
    }

    /// Listens there from now on; links stay. Nothing changes when it is where it listens already.
    ///
    /// # Errors
    /// As for [`Net::start`]; it listens where it did before then.
    pub async fn rebind(&self, listen: &str, port: u16) -> Result<(), Problem> {
        self.listener.lock().await.rebind(&self.shared, listen, port).await
    }

    /// Stops listening and closes every link, what was sent still going out.
    pub async fn stop(&self) {
        self.listener.lock().await.end(&self.shared).await;
        let links: Vec<LinkId> = self.shared.state().links.keys().copied().collect();
        for link in links {
            self.close(link, "Standin stops");
        }
    }

    /// The port listened on; 0: none, because it could not be.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.shared.state().bound.map_or(0, |bound| bound.port())
    }

    /// The only certificate served over bulk connections: that of the peer (spec 3.2).
    pub fn set_peer(&self, fingerprint: Option<Fingerprint>) {
        self.shared.state().peer = fingerprint;
    }

    /// The permitted shadow host, `host` or `host@address` (spec 2.3); none: any.
    pub fn set_permitted(&self, permitted: Option<String>) {
        self.shared.state().permitted = permitted.filter(|text| !text.trim().is_empty());
    }

    /// What a probe is told from now on.
    pub fn set_about(&self, about: About) {
        self.shared.state().about = about;
    }

    /// Starts to connect to the peer; ends in [`Input::Dialled`] or [`Input::DialFailed`], unless cancelled.
    pub fn dial(&self, attempt: u64, hosts: Vec<String>, port: u16, fingerprint: Fingerprint, connect_timeout_ms: u64) {
        dial::start(&self.shared, attempt, dial::Target { hosts, port, fingerprint, connect_timeout_ms });
    }

    /// Connects to the peer as a dial does, proves the certificate, and hangs up: how long it took, µs (spec 4.2).
    ///
    /// # Errors
    /// Why it came to nothing.
    pub async fn time_connect(
        &self,
        hosts: &[String],
        port: u16,
        fingerprint: Fingerprint,
        timeout_ms: u64,
    ) -> Result<u64, String> {
        let (pin, protocol) = (tls::Pin::Only(fingerprint), wire::link::ALPN);
        let goal = connect::Goal { hosts, port, pin, protocol, timeout_ms };
        let began = tokio::time::Instant::now();
        match connect::connect(&self.shared, &goal).await {
            Ok(_) => Ok(u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX)),
            Err(not) => Err(not.why),
        }
    }

    /// Gives up a dial that has not made its connection yet; nothing more is heard of it.
    pub fn cancel_dial(&self, attempt: u64) {
        if let Some(Some(task)) = self.shared.state().dials.remove(&attempt) {
            task.abort();
        }
    }

    /// Sends `envelope`, in order. A link that is gone drops it; one whose other end does not read is closed.
    pub fn send(&self, link: LinkId, envelope: &Envelope) {
        let payload = wire::link::encode(envelope);
        let mut state = self.shared.state();
        let Some(handle) = state.links.get(&link) else { return };
        if let Err(why) = handle.send(&payload)
            && let Some(handle) = state.links.remove(&link)
        {
            handle.close(why);
        }
    }

    /// Ends a link after what was sent is out, or after 200 ms; [`Input::LinkDown`] follows.
    pub fn close(&self, link: LinkId, why: &str) {
        if let Some(handle) = self.shared.state().links.remove(&link) {
            handle.close(why.to_owned());
        }
    }

    /// The engine's answer to [`Input::PairAsked`] or [`Input::PairProved`].
    pub fn answer_pairing(&self, id: u64, outcome: Result<Option<Box<PairGrant>>, Refusal>) {
        if let Some(waiting) = self.shared.state().pairings.remove(&id) {
            // The shadow may have hung up meanwhile: nobody waits then.
            let _ = waiting.send(outcome);
        }
    }
}

impl Shared {
    fn new_link_id(&self) -> LinkId {
        LinkId(self.next_link.fetch_add(1, Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests;
