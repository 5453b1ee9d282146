//! Over real sockets of the loopback. Nothing here waits for a time to pass, only for a thing to happen, with a limit.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use uuid::Uuid;

use super::*;
use crate::engine::base::{InstanceId, PairId, Run, Term, UnixMillis};
use crate::engine::message::{Body, Envelope, Hello, PairHello, Purpose, Timing};

mod bulk;
mod dialling;
mod hostile;
mod links;
mod pairing;

pub(super) const LIMIT: Duration = Duration::from_secs(20);
pub(super) const PASSWORD: &str = "lantern orbit velvet 9";

/// One instance's network side and what it told.
pub(super) struct Node {
    pub(super) net: Net,
    pub(super) inputs: mpsc::Receiver<Input>,
    pub(super) identity: Arc<Identity>,
    pub(super) home: tempfile::TempDir,
}

pub(super) struct Options {
    pub(super) listen: Option<&'static str>,
    pub(super) limits: Limits,
    pub(super) bulk: Option<Arc<dyn BulkServer>>,
    pub(super) resolver: Option<Resolver>,
}

impl Default for Options {
    fn default() -> Self {
        // A loaded machine must not make what was sent before a close disappear.
        let limits = Limits { flush_ms: 10_000, ..Limits::default() };
        Self { listen: None, limits, bulk: None, resolver: None }
    }
}

/// Has nothing.
struct NoBulk;

impl BulkServer for NoBulk {
    fn manifest(&self, _: RevisionId) -> Result<Entries, String> {
        Err("nothing here".into())
    }
    fn content(&self, _: &Digest) -> Option<Vec<u8>> {
        None
    }
    fn packed(&self, _: &Digest) -> Result<Option<crate::store::Packed>, String> {
        Ok(None)
    }
    fn verify(&self) -> Result<(Digest, Entries), String> {
        Err("nothing here".into())
    }
    fn forget(&self, _: &[u8], _: &str) -> Result<u64, String> {
        Err("nothing here".into())
    }
}

pub(super) fn node(options: Options) -> Node {
    let home = tempfile::tempdir().unwrap();
    let identity = Arc::new(Identity::load_or_create(&home.path().join("identity"), "node").unwrap());
    let (sender, inputs) = mpsc::channel(64);
    let net = Net::start(NetConfig {
        listen: options.listen.unwrap_or("127.0.0.1").into(),
        port: 0,
        identity: identity.clone(),
        inputs: sender,
        clock: Arc::new(|| Now { mono: Millis(1_000), wall: UnixMillis(1_795_356_000_000) }),
        access: Arc::new(Access::new(home.path().join("users.yaml"))),
        bulk: options.bulk.unwrap_or_else(|| Arc::new(NoBulk)),
        limits: options.limits,
        resolver: options.resolver,
    })
    .unwrap();
    Node { net, inputs, identity, home }
}

impl Node {
    pub(super) async fn next(&mut self) -> Input {
        tokio::time::timeout(LIMIT, self.inputs.recv()).await.expect("nothing happened").unwrap()
    }

    pub(super) fn dial(&self, attempt: u64, other: &Node) {
        self.net.dial(attempt, vec!["127.0.0.1".into()], other.net.port(), other.identity.fingerprint(), 5_000);
    }

    /// The next input is a link that is up.
    pub(super) async fn link_up(&mut self) -> (LinkId, bool, Fingerprint) {
        match self.next().await {
            Input::LinkUp { link, outgoing, fingerprint, .. } => (link, outgoing, fingerprint),
            other => panic!("{other:?}"),
        }
    }

    pub(super) async fn link_down(&mut self) -> String {
        match self.next().await {
            Input::LinkDown { why, .. } => why,
            other => panic!("{other:?}"),
        }
    }

    pub(super) async fn received(&mut self) -> (Envelope, Option<String>) {
        match self.next().await {
            Input::Received { envelope, host_problem, .. } => (*envelope, host_problem),
            other => panic!("{other:?}"),
        }
    }

    /// Connects both; the links at `self` and at `other`.
    pub(super) async fn link_to(&mut self, other: &mut Node) -> (LinkId, LinkId) {
        self.dial(1, other);
        let (own, outgoing, fingerprint) = self.link_up().await;
        assert!(outgoing && fingerprint == other.identity.fingerprint());
        assert!(matches!(self.next().await, Input::Dialled { attempt: 1, link, .. } if link == own));
        let (others, outgoing, fingerprint) = other.link_up().await;
        assert!(!outgoing && fingerprint == self.identity.fingerprint());
        (own, others)
    }
}

pub(super) fn timing() -> Timing {
    Timing { check_interval_ms: 1_000, takeover_delay_ms: 3_000, connect_timeout_ms: 5_000, request_timeout_ms: 1_000 }
}

pub(super) fn envelope(body: Body) -> Envelope {
    Envelope {
        pair: PairId(Uuid::from_u128(1)),
        from: InstanceId(Uuid::from_u128(2)),
        run: Run(3),
        role: Role::Shadow,
        term: Term(4),
        body,
    }
}

pub(super) fn question(nonce: u64) -> Envelope {
    envelope(Body::Ask { question: crate::engine::message::Question::Probe, nonce })
}

pub(super) fn hello(host: &str) -> Envelope {
    envelope(Body::Hello(Box::new(Hello {
        version: "0.1.0".into(),
        protocol: 1,
        protocol_min: 1,
        host: host.into(),
        port: 8443,
        description: String::new(),
        started: 5,
        purpose: Purpose::Attach,
        head: None,
        trail: Vec::new(),
        complete: false,
        was_master: false,
        forced_shadow: false,
        promised: false,
        was_ready: false,
        timing: timing(),
        grace_period_ms: 0,
        takeover_checks_pass: true,
        takeover_checks: (0, 0),
        service: "none".into(),
        takeovers: Default::default(),
        kit: None,
        active: Some(true),
        unwatched: false,
        start: 7,
    })))
}

pub(super) fn pair_hello() -> PairHello {
    PairHello {
        instance: InstanceId(Uuid::from_u128(2)),
        version: "0.1.0".into(),
        protocol: 1,
        protocol_min: 1,
        host: "node-b".into(),
        port: 8443,
        description: String::new(),
        timing: timing(),
    }
}
